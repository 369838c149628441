"""What people are shown of a day."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from pydantic import BaseModel, Field

from services.scheduling.explain import Obstacle
from shared.contracts.pathing import Reason
from shared.contracts.profile import Modality
from shared.contracts.scheduling import Status, Use
from shared.http import Page

LAST_TALK = "Where no adult talks with her, though one was asked to: day of the last talk in the fourteen days before, if there was one."
QUALIFIED = "Of a group: whether its adult teaches its subject; nothing where no demand tells the subject any more."


class Closing(BaseModel):
    """Whether there is school on a day."""

    closed: bool = Field(default=False, description="There is no school. What is shown was planned before, and takes place nowhere.")
    next_school_day: date | None = Field(default=None, description="Where it is closed: the one that follows.")


class RefusedView(BaseModel):
    """An option that ranks before the one given, or that she chose, and what stood against it."""

    competency_id: str
    activity_id: str
    modality: Modality
    obstacle: Obstacle
    detail: str
    behind: bool = Field(default=False, description="It stands behind the one given: she chose it, and the day gives it to her nowhere.")


class PeriodView(BaseModel):
    """Where a learner is in one period."""

    period_id: str
    starts: str = Field(default="", description="Local time; empty where the period is no longer one of the school's.")
    ends: str = ""
    subject: str = ""
    served: bool = Field(description="False: no place was found for her, which the school must know; but where `begun`.")
    begun: bool = Field(default=False, description="No place was looked for: it had begun when she came into the plan, or she has left.")
    use: Use | None = None
    space_id: str = ""
    space: str = Field(default="", description="Its title.")
    zone_id: str = ""
    staff_id: UUID | None = None
    qualified: bool | None = Field(default=None, description=QUALIFIED)
    with_learners: int = Field(default=0, description="Other learners in the same session.")
    competency_id: str = ""
    modality: Modality | None = None
    activity_id: str = ""
    reason: Reason | None = Field(default=None, description="Why the competency is on her path.")
    why: str = Field(description="Why this, in words.")
    refused: list[RefusedView] = Field(
        description="Options that rank before it, best first; then those `behind` it that she chose and has in no period of the day."
    )


class LearnerDayView(Closing):
    """A learner's day."""

    learner_id: UUID
    school_id: UUID
    on: date
    demand_version: int = Field(description="The demand that was in force when her day last changed.")
    check_in: bool = Field(description="Whether an adult was asked to talk with her.")
    no_talk: str = Field(default="", description="Why none does, though one was asked to.")
    last_talk: date | None = Field(default=None, description=LAST_TALK)
    changed_at: datetime
    adopted_at: datetime | None = Field(description="When the plan in force was adopted.")
    status: Status | None
    periods: list[PeriodView]


class SessionView(BaseModel):
    """A session in the grid of spaces and periods."""

    period_id: str
    space_id: str
    space: str = ""
    zone_id: str
    seats: int = Field(description="0 where the zone is no longer one of the school's.")
    staff_id: UUID | None
    qualified: bool | None = Field(default=None, description=QUALIFIED)
    use: Use
    competency_id: str = ""
    modality: Modality | None = None
    learners: list[UUID]


class SchoolDayView(Closing):
    """A day of a school: the plan in force, and a page of its sessions in order of period, space and zone."""

    school_id: UUID
    on: date
    status: Status
    solver: str
    value: int
    bound: int | None
    adopted_at: datetime
    learners: int
    unserved: int = Field(description="Periods of learners without a place, but those for which none was looked.")
    unqualified: int = Field(description="Periods of learners in a group whose adult does not teach its subject.")
    left_out: int = Field(
        description="Learners whom the day does not take, since it is full. Send fewer zones or periods, or split the school."
    )
    sessions: Page[SessionView]


class UnservedView(BaseModel):
    """What a learner asked of a day and did not get."""

    learner_id: UUID
    period_id: str = Field(description="Empty where it is about the whole day.")
    lacking: str = Field(
        description="`place`, `activity` (supervised, but no step of hers can be done alone), `check-in`, `path` (nothing is on hers: she "
        "is supervised without a step), or `day`: it is full without her."
    )
    why: str = Field(default="", description="Of a talk: why there is none.")
    last_talk: date | None = Field(default=None, description=LAST_TALK)


class ChangeView(BaseModel):
    """A learner's day became another one."""

    learner_id: UUID
    changed_at: datetime
    demand_version: int
    own: bool = Field(description="Her own demand was new; otherwise she was moved by a change of others, of adults or of resources.")
    demand_event: UUID | None = Field(description="The event that noted her demand, while it is her latest.")
    event_id: UUID
    causation: UUID
    correlation: UUID
