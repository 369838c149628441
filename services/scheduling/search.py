"""A day's search, run in another process: from what was read of a day to the command that brings in the plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final, Generic, TypeVar
from uuid import UUID

import orjson
from pydantic import TypeAdapter

from services.scheduling.domain import AdoptPlan, RepairDay, inputs_hash
from services.scheduling.grouping import SOLVER, Before, Problem, search
from services.scheduling.resources import adults
from shared.contracts.envelope import Origin
from shared.contracts.scheduling import Demand, Placement, SchoolResources, StaffMember, Status
from shared.ledger.states import States
from shared.ledger.types import Ask

MAX_PARSED: Final = 2 * 1024 * 1024
"""Characters of demands, and as many of learners' days, that are kept parsed, such as of a school of 900 learners, and take eight times as
much: from one search of a day to the next almost all of them stay as they are. A district's come in turn, and are parsed anew each time."""

_STAFF: Final = TypeAdapter(list[StaffMember])
_DAY: Final = TypeAdapter(tuple[Placement, ...])
T = TypeVar("T")


@dataclass(frozen=True)
class DaySearch:
    """What a day is searched from. Texts are JSON as the read tables have it, so that only the solver parses it."""

    school_id: UUID
    on: date
    asked_on: date
    begun: int
    base_version: int
    """Of the day's stream, once it has taken what is new."""
    resources: str
    """Id of the set in force."""
    school: str
    roster: str
    demands: str
    """Those that the day has taken, a line for each learner."""
    news: str
    """Those that it takes with the plan, likewise."""
    days: str
    """The plan in force: a line for each learner, with her id, a space, and her placements."""
    led: Origin
    """What leads to the plan: the last thing that the day takes."""
    origin: Origin
    """What led to that."""
    changed: tuple[UUID, ...] | None
    """Learners whose demand is newer than the plan; None: all are placed anew."""
    before: str = ""
    """Where all may be placed anew: rows of learner, number of the day on which an adult last talked with her, periods without a place."""
    closed: tuple[date, ...] = ()
    """Of the days before it that are remembered, those without school."""

    @property
    def stream(self) -> str:
        """Name of the day's stream."""
        return RepairDay(self.school_id, self.on, self.asked_on, self.begun).stream.name

    @property
    def size(self) -> int:
        """Characters of all that is searched."""
        return len(self.demands) + len(self.news) + len(self.days)


def solve(asked: DaySearch) -> Ask:
    """Return the command that brings in the greedy plan of this day."""
    school = _school(asked.school)
    staff = adults(school, _STAFF.validate_json(asked.roster))
    demands = {demand.learner_id: demand for demand in [*_demands.of(asked.demands), *_demands.of(asked.news)]}
    problem = Problem(
        school, staff, demands, dict(_days.of(asked.days)), asked.begun, asked.on, _before(asked.before), frozenset(asked.closed)
    )  # fmt: skip
    plan, repaired = search(problem, None if asked.changed is None else set(asked.changed))
    adopt = AdoptPlan(
        school_id=asked.school_id, on=asked.on, asked_on=asked.asked_on, begun=asked.begun, base_version=asked.base_version,
        resources=asked.resources, inputs_hash=inputs_hash(asked.base_version, asked.resources, asked.begun, demands.values(), staff),
        solver=SOLVER, status=Status.REPAIRED if repaired else Status.GREEDY,
        learners=plan.learners, sessions=plan.sessions, placements=plan.placements, needs=plan.needs,
    )  # fmt: skip
    return Ask(adopt, asked.led)


def _before(text: str) -> dict[UUID, Before] | None:
    return {UUID(learner): Before(talked, missed) for learner, talked, missed in orjson.loads(text)} if text else None


def inside(asked: DaySearch) -> Ask:
    """Return the command that searches inside the decider."""
    return Ask(RepairDay(asked.school_id, asked.on, asked.asked_on, asked.begun), asked.origin)


@lru_cache(maxsize=1)
def _school(text: str) -> SchoolResources:
    return SchoolResources.model_validate_json(text)


def _demand(text: str) -> Demand:
    return Demand.model_validate_json(text)


def _day(text: str) -> tuple[UUID, tuple[Placement, ...]]:
    learner, placements = text.split(" ", 1)
    return UUID(learner), _DAY.validate_json(placements)


class Parsed(Generic[T]):
    """What lines hold, kept while they are among those that were asked for last."""

    def __init__(self, parse: Callable[[str], T], most: int = MAX_PARSED) -> None:
        self._parse, self._kept = parse, States(most_bytes=most)

    def __len__(self) -> int:
        return len(self._kept)

    def of(self, text: str) -> list[T]:
        """Return what each line of a text holds."""
        return [self._line(line) for line in text.splitlines()]

    def _line(self, line: str) -> T:
        kept = self._kept.get(line)
        found: T = self._parse(line) if kept is None else kept[1]
        if kept is None:
            self._kept.keep(line, 0, found, len(line))
        return found


_demands: Final = Parsed(_demand)
_days: Final = Parsed(_day)
