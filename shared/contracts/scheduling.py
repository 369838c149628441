"""What scheduling tells: a school day as it was adopted, and where each learner is in each period. A day is key'd by its school."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final
from uuid import UUID

from pydantic import BeforeValidator, Field, PlainSerializer

from shared.contracts.envelope import PLACE, Event, Hash, Part, SortedIds, SortedTexts
from shared.contracts.parameters import ParameterPageAdded, ParameterSetAdopted
from shared.contracts.pathing import MAX_STEPS, Reason, Step
from shared.contracts.profile import Modality

MAX_DEMANDS = 100
"""Learners' demands in one command to a day."""
MAX_CHECK_INS = 4
"""Learners with whom one adult can talk in one period, one after another."""
MAX_PERIODS: Final = 12
"""Of a school day."""
MAX_DATED: Final = 100
"""Dates of a school on which something is otherwise."""
PLACE_DIGITS, NEED_DIGITS, TEXT_DIGITS = 3, 1, 4
"""Hexadecimal digits by which a plan names a session, a need, and a text of its sessions."""
MAX_SESSIONS: Final = 16**PLACE_DIGITS
"""Sessions in one plan."""
_TO_READ: Final = ("period_id", "space_id", "zone_id", "staff_id", "use", "competency_id", "modality")
"""What a session's row names, in this order."""


def packed(rows: Iterable[Sequence[int]], digits: int) -> str:
    """Return rows of numbers as text: each number in so many hexadecimal digits, -1 as so many hyphens, a full stop after each row.

    >>> packed([(0, 26, -1), ()], 3)
    '00001a---..'

    Raises:
        ValueError: where a number needs more digits, or is below -1.
    """
    return "".join("".join([_written(number, digits) for number in row]) + "." for row in rows)


def _written(number: int, digits: int) -> str:
    if not -1 <= number < 16**digits:
        raise ValueError(f"{number} is not from -1 to {16**digits - 1}")
    return "-" * digits if number < 0 else f"{number:0{digits}x}"


def unpacked(text: str, digits: int) -> list[list[int]]:
    """Return the rows that `packed` was given.

    >>> unpacked("00001a---..", 3)
    [[0, 26, -1], []]

    Raises:
        ValueError: where it never gives such a text.
    """
    *rows, rest = text.split(".")
    read = [[_read(row[at : at + digits]) for at in range(0, len(row), digits)] for row in rows]
    if rest or packed(read, digits) != text:
        raise ValueError(f"not rows of {digits} hexadecimal digits for each number")
    return read


def _read(digits: str) -> int:
    return -1 if digits.startswith("-") else int(digits, 16)


def _rows(digits: int) -> Any:
    """Return what lets a tuple of rows stand in an event as one text."""
    return (
        BeforeValidator(lambda given: unpacked(given, digits) if isinstance(given, str) else given),
        PlainSerializer(lambda rows: packed(rows, digits), return_type=str),
    )


def _pack_sessions(sessions: Sequence[Session]) -> dict[str, Any]:
    """Return the sessions as rows of numbers into a list of their texts; what is empty is -1."""
    texts: dict[str, int] = {}
    told = [session.model_dump(mode="json") for session in sessions]
    rows = [[texts.setdefault(one[name], len(texts)) if one[name] else -1 for name in _TO_READ] for one in told]
    return {"rows": packed(rows, TEXT_DIGITS), "texts": list(texts)}


def _unpack_sessions(given: Any) -> Any:
    """Return the fields of each session that `_pack_sessions` was given; other values as they are."""
    if not isinstance(given, dict):
        return given
    if given.keys() != {"rows", "texts"} or not isinstance(given["rows"], str) or not isinstance(given["texts"], list):
        raise ValueError("sessions are an object of `rows` and `texts`")
    rows, texts = unpacked(given["rows"], TEXT_DIGITS), given["texts"]
    if any(len(row) != len(_TO_READ) or max(row) >= len(texts) for row in rows):
        raise ValueError(f"a session's row names {len(_TO_READ)} of the texts")
    return [{name: texts[number] for name, number in zip(_TO_READ, row, strict=True) if number >= 0} for row in rows]


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
    starts: str = Field(pattern=r"^\d\d:\d\d$", description="In the school's time zone.")
    ends: str = Field(pattern=r"^\d\d:\d\d$")
    subject: str = Field(default="", description="Lower case; empty: any subject.")


class StaffMember(Part):
    """An adult who can lead or supervise."""

    staff_id: UUID
    subjects: SortedTexts = ()
    away: SortedTexts = Field(
        default=(), description="Ids of periods in which she is not to be had. Without `subjects` hers are the roster's, if it has her."
    )


class GroupRule(Part):
    """How large a group of a modality may be; modalities without one are done in supervised independent work."""

    modality: Modality
    smallest: int = Field(ge=1, le=500)
    largest: int = Field(ge=1, le=500)
    qualified: bool = Field(
        default=False, description="Only under an adult who teaches the subject: without one it is supervised independent work instead."
    )


class Otherwise(Part):
    """What is otherwise than usual in a school; what it does not name is as usual."""

    periods: tuple[Period, ...] | None = Field(
        default=None, min_length=1, max_length=MAX_PERIODS, description="In place of the usual ones, such as those of a half-day."
    )
    absent: SortedIds = Field(default=(), max_length=500, description="Adults who are not to be had all day.")
    staff: tuple[StaffMember, ...] = Field(
        default=(), max_length=500, description="Who is away in some periods, beside those in which she always is, or comes for the day."
    )
    closed_spaces: SortedTexts = Field(default=(), max_length=200, description="Ids of spaces where nobody can be.")
    closed: bool = Field(default=False, description="There is no school.")
    reason: str = Field(
        default="",
        max_length=40,
        pattern=r"^[a-z0-9-]*$",
        description="A word such as `half-day` or `snow`. Never about a person: it stays.",
    )


class DayResources(Otherwise):
    """What is otherwise on one date."""

    on: date


class SchoolResources(Part):
    """One entry of a resources page: everything a school's days are made of."""

    school_id: UUID
    spaces: tuple[Space, ...] = Field(max_length=200)
    periods: tuple[Period, ...] = Field(max_length=MAX_PERIODS)
    staff: tuple[StaffMember, ...] = Field(default=(), max_length=500, description="Beside those of the roster, or in their place.")
    rules: tuple[GroupRule, ...] = ()
    closed: tuple[date, ...] = Field(default=(), description="Days without school, beside Saturdays and Sundays.")
    timezone: str = Field(
        default="UTC", max_length=64, description="IANA name, such as `America/New_York`: by it a day begins, and its periods."
    )
    days: tuple[DayResources, ...] = Field(
        default=(), max_length=MAX_DATED, description="Dates on which something is otherwise. Where it is not sent, those in force stay."
    )


class Demand(Part):
    """A learner's demand as a day holds it."""

    learner_id: UUID
    version: int = Field(
        description="Of a learner's demands the one with the largest is in force: where pathing's event stands in its partition."
    )
    needs: tuple[Step, ...] = Field(default=(), max_length=MAX_STEPS)
    check_in: bool = False
    path_empty: bool = Field(default=False, description="She is at the school, and nothing is on her path.")

    @property
    def present(self) -> bool:
        """Whether she is at the school: who is gone from it asks for nothing."""
        return bool(self.needs) or self.check_in or self.path_empty


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
    version: int = Field(default=0, ge=0, description=f"{PLACE} 0 where that was not noted yet.")


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


Sessions = Annotated[
    tuple[Session, ...], BeforeValidator(_unpack_sessions), PlainSerializer(_pack_sessions, return_type=dict[str, Any])
]  # fmt: skip
Places = Annotated[tuple[tuple[int, ...], ...], *_rows(PLACE_DIGITS)]
Needs = Annotated[tuple[tuple[int, ...], ...], *_rows(NEED_DIGITS)]


class Status(StrEnum):
    """How good an adopted plan is known to be."""

    GREEDY = "greedy"
    REPAIRED = "repaired"
    FEASIBLE = "feasible"
    OPTIMAL = "optimal"


class PlanAdopted(Event):
    """A plan passed the independent checker and is in force: the learners it names are placed by it, all others stay. Key: the school.

    `placements` and `needs` are one text each: a row for each learner, ended by a full stop, with a hexadecimal number for each period (of
    three digits and of one), hyphens for -1. `sessions` are rows of seven numbers of four digits (period, space, zone, adult, use,
    competency, way of learning) into `texts`, hyphens for what is empty. So the largest day of a school fits one event.
    """

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
    sessions: Sessions = Field(description="Those that it refers to.")
    placements: Places = Field(description="For each learner and period: index into `sessions`, -1 unserved.")
    needs: Needs = Field(description="For each learner and period: index into her demand's needs, -1 none.")
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
    begun: bool = Field(default=False, description="No place was looked for: it had begun when she came into the plan, or she has left.")


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
