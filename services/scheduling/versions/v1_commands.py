"""What a day is asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from shared.contracts.envelope import StreamId
from shared.contracts.scheduling import Demand, Session, StaffMember, Status

SERVICE = "scheduling"


@dataclass(frozen=True)
class _OfDay:
    school_id: UUID
    on: date
    asked_on: date

    @property
    def stream(self) -> StreamId:
        return StreamId(SERVICE, "day", f"{self.school_id}/{self.on.isoformat()}", str(self.school_id))


@dataclass(frozen=True)
class TakeDemands(_OfDay):
    """Let a day know these learners' demands, at most a hundred; none newer than those it has changes nothing."""

    demands: tuple[Demand, ...]


@dataclass(frozen=True)
class TakeStaff(_OfDay):
    """Let a day know the adults of the roster, as they stood at this version of the school's stream."""

    roster: int
    staff: tuple[StaffMember, ...]


@dataclass(frozen=True)
class AdoptPlan(_OfDay):
    """Put a plan in force that was searched for outside, from this version of the day and these resources."""

    begun: int
    base_version: int
    resources: str
    inputs_hash: str
    solver: str
    status: Status
    learners: tuple[UUID, ...]
    sessions: tuple[Session, ...]
    placements: tuple[tuple[int, ...], ...]
    needs: tuple[tuple[int, ...], ...]
    bound: int | None = None


@dataclass(frozen=True)
class RepairDay(_OfDay):
    """Search inside the decider, greedily, and put the answer in force; nothing, if the plan in force knows all there is to know."""

    begun: int
