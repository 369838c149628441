"""Facts from other services, kept as they were heard: a learner's latest demand, and the staff of a school."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from services.scheduling.domain.commands import NoteDemand, NoteStaff
from shared.contracts.scheduling import DemandNoted, StaffMember, StaffNoted
from shared.decider import Decider, History, Refusal, json_codec
from shared.parameters import Parameters

MAX_STAFF = 2_000
"""Members of staff that a school's stream remembers."""


@dataclass(frozen=True)
class DemandState:
    """Which demand of a learner a school knows."""

    version: int = 0


def decide_demand(
    command: NoteDemand, state: DemandState, parameters: Parameters, history: History = ()
) -> Sequence[DemandNoted] | Refusal:
    """Return the demand as noted; nothing, if it is no newer than the one known."""
    if command.demand.version <= state.version:
        return []
    return [DemandNoted(school_id=command.school_id, demand=command.demand)]


def evolve_demand(state: DemandState, event: DemandNoted) -> DemandState:
    """Return the state with the demand's version."""
    return DemandState(event.demand.version)


def demand_command(event: DemandNoted) -> NoteDemand:
    """Return the command that the event answers."""
    return NoteDemand(event.school_id, event.demand)


@dataclass(frozen=True)
class StaffState:
    """What the roster said of each member of staff of a school: whether she is there, and which version told it."""

    members: Mapping[UUID, tuple[StaffMember, bool, int]] = field(default_factory=dict)


def decide_staff(command: NoteStaff, state: StaffState, parameters: Parameters, history: History = ()) -> Sequence[StaffNoted] | Refusal:
    """Return what is new of this member; nothing, if it was known, or is older than what is known."""
    known = state.members.get(command.member.staff_id)
    if known is None and not command.active:
        return []
    if known is not None and (known[:2] == (command.member, command.active) or command.version < known[2]):
        return []
    if known is None and len(state.members) >= MAX_STAFF:
        return Refusal("too-many-staff", f"a school has at most {MAX_STAFF} members of staff: end those who have left in the roster")
    return [StaffNoted(school_id=command.school_id, member=command.member, active=command.active, version=command.version)]


def evolve_staff(state: StaffState, event: StaffNoted) -> StaffState:
    """Return the state with this member as told."""
    return StaffState({**state.members, event.member.staff_id: (event.member, event.active, event.version)})


def staff_command(event: StaffNoted) -> NoteStaff:
    """Return the command that the event answers."""
    return NoteStaff(event.school_id, event.member, event.active, event.version)


demand = Decider("scheduling.demand", 1, "demand", DemandState(), decide_demand, evolve_demand, demand_command, json_codec(DemandState))
school = Decider("scheduling.school", 1, "school", StaffState(), decide_staff, evolve_staff, staff_command, json_codec(StaffState, 2))
