"""`python -m bench.window`: CPU time of one window of one school day, by part: what the service does in memory, and its search."""

from __future__ import annotations

import argparse
import gc
import random
import sys
import time
from collections.abc import Callable
from datetime import date
from typing import Final, TypeVar
from uuid import UUID

import orjson

from bench.bars import Bars
from demo.resources import resources
from services.scheduling.checker import Inputs, check
from services.scheduling.domain import AdoptPlan, DayState, RepairDay, TakeDemands, TakeStaff, day, problem_of
from services.scheduling.grouping import search
from services.scheduling.resources import RESOURCES
from services.scheduling.search import DaySearch, solve
from shared.contracts.envelope import Origin
from shared.contracts.pathing import Option, Reason, Step
from shared.contracts.profile import Modality
from shared.contracts.scheduling import Demand, SchoolResources, StaffMember
from shared.decider import Refusal
from shared.testing import in_force
from shared.ticker.pool import rare_gc

SCHOOL: Final = UUID(int=77)
TODAY, ON = date(2026, 10, 13), date(2026, 10, 14)
COMPETENCIES: Final = 75
"""Of each subject."""
NEEDS: Final = 3
"""Of each learner and subject."""
ADULTS_SHARE: Final = 15
"""Learners for each adult."""
REPAIR_MS: Final = 500.0
ROUNDS: Final = 15
NOBODY: Final = Origin(str(UUID(int=1)), str(UUID(int=2)))

T = TypeVar("T")


def _step(draw: random.Random, subject: str, number: int) -> Step:
    ways = draw.sample([Modality.SMALL_GROUP, Modality.TEACHER_LED, Modality.VIDEO, Modality.READING, Modality.PROJECT], 2)
    options = tuple(
        Option(activity_id=str(UUID(int=10_000 * number + rank)), modality=modality, minutes=20, score=900 - 100 * rank)
        for rank, modality in enumerate((*ways, Modality.PRACTICE))
    )
    return Step(
        competency_id=str(UUID(int=5_000 + number)), subject=subject, reason=Reason.GOAL, goal_id=str(UUID(int=5_000)), options=options
    )


def _demand(number: int, version: int) -> Demand:
    draw = random.Random(f"{number} {version}")
    first = [
        (subject, draw.randrange(COMPETENCIES - NEEDS) + place * COMPETENCIES) for place, subject in enumerate(("mathematics", "reading"))
    ]
    needs = tuple(_step(draw, subject, start + more) for subject, start in first for more in range(NEEDS))
    return Demand(learner_id=UUID(int=1_000_000 + number), version=version, needs=needs)


def _asked(state: DayState, school: SchoolResources, resources_id: str) -> DaySearch:
    """Return the search of a day that has taken everything, as the service reads it from its tables."""
    days = "\n".join(f"{who} {orjson.dumps([one.model_dump(mode='json') for one in told]).decode()}" for who, told in state.days.items())
    staff = orjson.dumps([one.model_dump(mode="json") for one in state.staff]).decode()
    return DaySearch(
        school_id=SCHOOL, on=ON, asked_on=TODAY, begun=0, base_version=state.version, resources=resources_id,
        school=school.model_dump_json(), roster=staff, demands="\n".join(one.model_dump_json() for one in state.demands.values()),
        news="", days=days, led=NOBODY, origin=NOBODY, changed=tuple(sorted(state.changed)),
    )  # fmt: skip


def measure(learners: int, changed: int, bars: Bars) -> None:
    """Print what a window costs in which so many of the learners' demands changed."""
    school = SchoolResources.model_validate(resources(str(SCHOOL), learners)["schools"][0])
    parameters = in_force((RESOURCES, [school.model_dump(mode="json", exclude_defaults=True)]))
    staff = tuple(
        StaffMember(staff_id=UUID(int=9_000 + n), subjects=(("mathematics", "reading")[n % 2],)) for n in range(learners // ADULTS_SHARE)
    )
    state = day.initial

    def ask(command: TakeDemands | TakeStaff | RepairDay) -> None:
        nonlocal state
        answer = day.decide(command, state, parameters, ())
        assert not isinstance(answer, Refusal), answer.detail
        state = day.fold(answer, state)

    ask(TakeStaff(SCHOOL, ON, TODAY, 1, staff))
    for first in range(0, learners, 100):
        ask(TakeDemands(SCHOOL, ON, TODAY, tuple(_demand(number, 1) for number in range(first, min(first + 100, learners)))))
    ask(RepairDay(SCHOOL, ON, TODAY, 0))
    ask(TakeDemands(SCHOOL, ON, TODAY, tuple(_demand(number * 7 % learners, 2) for number in range(changed))))
    asked = _asked(state, school, parameters.id_of(RESOURCES) or "")
    rare_gc()
    print(f"A window of a day of {learners} learners in which {changed} demands changed; CPU time, the best of {ROUNDS}")
    plan = _part(bars, "in the other process: the search, what is parsed kept", lambda: solve(asked)).command
    assert isinstance(plan, AdoptPlan)
    problem = problem_of(school, ON, state, 0)
    _part(bars, "  of it the grouping", lambda: search(problem, state.changed), at_most=REPAIR_MS)
    answer = _part(bars, "deciding: the plan is adopted", lambda: day.decide(plan, state, parameters, ()))
    assert not isinstance(answer, Refusal), answer.detail
    after = day.fold(answer, state)
    _part(bars, "  of it the checker", lambda: check(Inputs(school, staff, state.demands), after.days))
    content = _part(bars, "the day's state is encoded", lambda: day.codec.encode(after))
    bars.figure("bytes of the state", len(content))
    bars.figure("learners whose day is another one", len(answer) - 1)
    assert day.codec.decode(content) == after


def _part(bars: Bars, name: str, work: Callable[[], T], at_most: float | None = None) -> T:
    spent = []
    for _ in range(ROUNDS):
        gc.collect()
        before = time.process_time()
        found = work()
        spent.append(time.process_time() - before)
    bars.figure(name, min(spent) * 1_000, "ms", at_most=at_most)
    return found


def main() -> int:
    """Run the bench and return the exit code: 1 where a bar was missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.window", description=__doc__)
    parser.add_argument("--learners", type=int, default=240, help="learners of the school, from 24 to 1500")
    parser.add_argument("--changed", type=int, default=20, help="of them whose demand changed, at most a hundred")
    options, bars = parser.parse_args(), Bars()
    measure(options.learners, options.changed, bars)
    return bars.close()


if __name__ == "__main__":
    sys.exit(main())
