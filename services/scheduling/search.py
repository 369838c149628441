"""A day's search, run in another process: from what was read of a day to the command that brings in the plan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final
from uuid import UUID

from pydantic import TypeAdapter

from services.scheduling.domain import AdoptPlan, RepairDay, inputs_hash
from services.scheduling.grouping import SOLVER, Problem, search
from services.scheduling.resources import adults
from shared.contracts.envelope import Origin
from shared.contracts.scheduling import Demand, Placement, SchoolResources, StaffMember, Status
from shared.ledger.types import Ask

_DEMANDS: Final = TypeAdapter(list[Demand])
_STAFF: Final = TypeAdapter(list[StaffMember])
_DAYS: Final = TypeAdapter(dict[UUID, tuple[Placement, ...]])


@dataclass(frozen=True)
class DaySearch:
    """What a day is searched from, read at `base_version`. Texts are JSON as the read tables have it, so that only the solver parses it."""

    school_id: UUID
    on: date
    asked_on: date
    begun: int
    base_version: int
    resources: str
    """Id of the set in force."""
    school: str
    roster: str
    demands: str
    days: str
    """The plan in force: learner -> placements."""
    led: Origin
    """The last thing that the day took: what led to the search."""
    changed: tuple[UUID, ...] | None
    """Learners whose demand is newer than the plan; None: all are placed anew."""


def solve(asked: DaySearch) -> Ask:
    """Return the command that brings in the greedy plan of this day."""
    school = SchoolResources.model_validate_json(asked.school)
    staff = adults(school, _STAFF.validate_json(asked.roster))
    demands = {demand.learner_id: demand for demand in _DEMANDS.validate_json(asked.demands)}
    problem = Problem(school, staff, demands, _DAYS.validate_json(asked.days), asked.begun)
    plan, repaired = search(problem, None if asked.changed is None else set(asked.changed))
    adopt = AdoptPlan(
        school_id=asked.school_id, on=asked.on, asked_on=asked.asked_on, begun=asked.begun, base_version=asked.base_version,
        resources=asked.resources, inputs_hash=inputs_hash(asked.base_version, asked.resources, asked.begun, demands.values(), staff),
        solver=SOLVER, status=Status.REPAIRED if repaired else Status.GREEDY,
        learners=plan.learners, sessions=plan.sessions, placements=plan.placements, needs=plan.needs,
    )  # fmt: skip
    return Ask(adopt, asked.led)


def inside(asked: DaySearch) -> Ask:
    """Return the command that searches inside the decider."""
    return Ask(RepairDay(asked.school_id, asked.on, asked.asked_on, asked.begun), asked.led)
