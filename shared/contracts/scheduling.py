"""What scheduling tells: a school day as it was adopted, and where each learner is in each period. A day is key'd by its school."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from shared.contracts.envelope import Event, Hash, Part, SortedTexts
from shared.contracts.parameters import ParameterPageAdded, ParameterSetAdopted
from shared.contracts.pathing import Reason, Step
from shared.contracts.profile import Modality

MAX_DEMANDS = 100
"""Learners' demands in one command to a day."""
MAX_CHECK_INS = 4
"""Learners with whom one adult can talk in one period, one after another."""


class Zone(Part):
    """A part of a space where one group can be."""

    id: str = Field(min_length=1, max_length=64)
    seats: int = Field(ge=1, le=500)
    features: SortedTexts = ()


class Space(Part):
    """A room, hall or corner of a school."""

    id: str = Field(min_length=1, max_length=64)
    title: str = Field(max_length=100)
    zones: tuple[Zone, ...] = Field(min_length=1, max_length=20)


class Period(Part):
    """A stretch of the school day."""

    id: str = Field(min_length=1, max_length=16)
    starts: str = Field(pattern=r"^\d\d:\d\d$", description="Local time.")
    ends: str = Field(pattern=r"^\d\d:\d\d$")
    subject: str = Field(default="", description="Lower case; empty: any subject.")


class StaffMember(Part):
    """An adult who can lead or supervise."""

    staff_id: UUID
    subjects: SortedTexts = ()
    away: SortedTexts = Field(default=(), description="Ids of periods in which she is not to be had.")


class GroupRule(Part):
    """How large a group of a modality may be; modalities without one are done in supervised independent work."""

    modality: Modality
    smallest: int = Field(ge=1, le=500)
    largest: int = Field(ge=1, le=500)


class SchoolResources(Part):
    """One entry of a resources page: everything a school's days are made of."""

    school_id: UUID
    spaces: tuple[Space, ...] = Field(max_length=200)
    periods: tuple[Period, ...] = Field(max_length=12)
    staff: tuple[StaffMember, ...] = Field(default=(), max_length=500, description="Beside those of the roster, or in their place.")
    rules: tuple[GroupRule, ...] = ()
    closed: tuple[date, ...] = Field(default=(), description="Days without school, beside Saturdays and Sundays.")


class Demand(Part):
    """A learner's demand as a day holds it."""

    learner_id: UUID
    version: int
    needs: tuple[Step, ...] = ()
    check_in: bool = False


class DemandNoted(Event):
    """A learner's latest demand, copied from pathing. Key: the school."""

    TYPE: ClassVar[str] = "scheduling.demand-noted.v1"
    school_id: UUID
    demand: Demand


class StaffNoted(Event):
    """Where a member of staff teaches, copied from profile. Key: the school."""

    TYPE: ClassVar[str] = "scheduling.staff-noted.v1"
    school_id: UUID
    member: StaffMember
    active: bool = True


class DayDemanded(Event):
    """A day takes these learners' demands, in place of those it had of them. Key: the school."""

    TYPE: ClassVar[str] = "scheduling.day-demanded.v1"
    school_id: UUID
    on: date
    asked_on: date = Field(description="The day it was asked on: a day that is over takes nothing.")
    demands: tuple[Demand, ...] = Field(max_length=MAX_DEMANDS)


class DayStaffed(Event):
    """A day takes these adults from the roster, in place of those it had. Key: the school."""

    TYPE: ClassVar[str] = "scheduling.day-staffed.v1"
    school_id: UUID
    on: date
    asked_on: date
    roster: int = Field(default=0, ge=0, description="Version of the school's own stream that was read.")
    staff: tuple[StaffMember, ...] = ()


class Use(StrEnum):
    """What a session is."""

    GROUP = "group"
    INDEPENDENT = "independent"
    CHECK_IN = "check-in"


class Session(Part):
    """A group in a zone with an adult, for one period."""

    period_id: str
    space_id: str
    zone_id: str
    staff_id: UUID
    use: Use
    competency_id: str = Field(default="", description="Empty for independent work on different competencies.")
    modality: Modality | None = None


class Status(StrEnum):
    """How good an adopted plan is known to be."""

    GREEDY = "greedy"
    REPAIRED = "repaired"
    FEASIBLE = "feasible"
    OPTIMAL = "optimal"


class PlanAdopted(Event):
    """A plan passed the independent checker and is in force: the learners it names are placed by it, all others stay. Key: the school."""

    TYPE: ClassVar[str] = "scheduling.plan-adopted.v1"
    school_id: UUID
    on: date
    asked_on: date
    begun: int = Field(default=0, ge=0, description="Periods that had begun; they stay as they were.")
    base_version: int = Field(description="Version of the day's stream that was searched from.")
    resources: Hash = Field(description="Id of the resources that it was searched with.")
    inputs_hash: Hash
    solver: str = Field(description="Name and version of the search.")
    status: Status
    inside: bool = Field(default=False, description="Searched inside the decider, after two answers that came too late.")
    value: int = Field(description="The objective as the checker computed it.")
    bound: int | None = None
    learners: tuple[UUID, ...] = Field(description="Whom the plan places, in the order that `placements` refers to.")
    sessions: tuple[Session, ...] = Field(description="Those that it refers to.")
    placements: tuple[tuple[int, ...], ...] = Field(description="For each learner and period: index into `sessions`, -1 unserved.")
    needs: tuple[tuple[int, ...], ...] = Field(description="For each learner and period: index into her demand's needs, -1 none.")
    moved: int = Field(default=0, ge=0, description="Learners whose day differs from the plan before.")


class Placement(Part):
    """Where a learner is in one period, and why."""

    period_id: str
    space_id: str = ""
    zone_id: str = ""
    staff_id: UUID | None = None
    use: Use | None = Field(default=None, description="None: unserved.")
    competency_id: str = ""
    modality: Modality | None = None
    activity_id: str = ""
    reason: Reason | None = None


class PlacementChanged(Event):
    """A learner's day is now this. Key: the school."""

    TYPE: ClassVar[str] = "scheduling.placement-changed.v1"
    school_id: UUID
    learner_id: UUID
    on: date
    demand_version: int = Field(description="The demand it serves.")
    placements: tuple[Placement, ...]


class SchedulingPageAdded(ParameterPageAdded):
    """A page of resources. Key: settings."""

    TYPE: ClassVar[str] = "scheduling.parameter-page-added.v1"


class ResourcesAdopted(ParameterSetAdopted):
    """Spaces, periods, staff and group rules of the schools from now on. Key: settings."""

    TYPE: ClassVar[str] = "scheduling.resources-adopted.v1"
    KIND: ClassVar[str] = "resources"


EVENTS: tuple[type[Event], ...] = (
    DemandNoted, StaffNoted, DayDemanded, DayStaffed, PlanAdopted, PlacementChanged, SchedulingPageAdded, ResourcesAdopted,
)  # fmt: skip
