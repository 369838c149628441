"""`python -m bench.repairs`: what a repair of a school day leaves and moves, beside version 2 of it and beside grouping the day anew.

Made-up days of six periods. Nothing here is measured by the clock, so the figures are the same on every machine.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

from bench.bars import Bars
from services.scheduling.checker import Days, Inputs, check
from services.scheduling.grouping import SOLVER, Plan, Problem, plan, repair
from services.scheduling.versions import v2_grouping, v2_grouping_day
from shared.contracts.scheduling import Demand, Use
from tests.scheduling.school import applied, learner, made_demand, made_demands, made_school, staff

WAYS: Final = ("greedy/2", SOLVER, "anew")
PERIODS: Final = 6


@dataclass
class Row:
    """What one way left in all cases of a kind: periods without a place, learners talked with, learners who moved."""

    unserved: int = 0
    talks: int = 0
    moved: int = 0

    def count(self, days: Days, before: Days) -> None:
        """Add one case."""
        self.unserved += sum(placement.use is None for day in days.values() for placement in day)
        self.talks += sum(any(placement.use is Use.CHECK_IN for placement in day) for day in days.values())
        self.moved += sum(day != before.get(who) for who, day in days.items())


@dataclass(frozen=True)
class Case:
    """A day in force, what has changed about it since, and whose demands have."""

    problem: Problem
    before: Days
    changed: AbstractSet[UUID] = field(default_factory=frozenset)


def days(seeds: int, learners: int, rooms: int, adults: int, asking: int = 0) -> Iterator[Problem]:
    """Yield days with nothing in force; one learner in `asking` is to be talked with, where that is given."""
    for seed in range(seeds):
        demands: Mapping[UUID, Demand] = made_demands(seed, learners)
        if asking:
            demands = {who: demand.model_copy(update={"check_in": int(who) % asking == 0}) for who, demand in demands.items()}
        yield Problem(made_school(seed, learners, PERIODS, rooms), staff(adults), demands, {}, before={})


def gone(problem: Problem, who: UUID, periods: Sequence[str]) -> Problem:
    """Return the day with an adult away in some periods."""
    away = {"away": tuple(periods)}
    return replace(problem, staff=[adult.model_copy(update=away) if adult.staff_id == who else adult for adult in problem.staff])


def adults_away(learners: int, rooms: int, adults: int, whole_day: bool) -> Iterator[Case]:
    """Yield days on which one adult in four is away, one at a time: the whole day, or for one period."""
    for problem in days(3, learners, rooms, adults):
        before = applied(problem, plan(problem))
        names = [period.id for period in problem.school.periods]
        for number, adult in enumerate(problem.staff[::4]):
            away = names if whole_day else names[number : number + 1]
            yield Case(replace(gone(problem, adult.staff_id, away), running=before), before)


def talkers_away(learners: int, rooms: int, adults: int) -> Iterator[Case]:
    """Yield days on which an adult is away all day who was to talk with learners, one at a time."""
    for problem in days(4, learners, rooms, adults, asking=12):
        before = applied(problem, plan(problem))
        names = [period.id for period in problem.school.periods]
        talking = {placement.staff_id for day in before.values() for placement in day if placement.use is Use.CHECK_IN}
        for who in sorted(who for who in talking if who is not None):
            yield Case(replace(gone(problem, who, names), running=before), before)


def adults_come(learners: int, rooms: int, first: int, then: int) -> Iterator[Case]:
    """Yield days planned with few adults, on which more come."""
    for problem in days(4, learners, rooms, first, asking=12):
        before = applied(problem, plan(problem))
        yield Case(replace(problem, staff=staff(then), running=before), before)


def demands_change(learners: int, rooms: int, adults: int, share: int = 20) -> Iterator[Case]:
    """Yield days on which one learner in `share` has another demand."""
    for seed, problem in enumerate(days(3, learners, rooms, adults)):
        before = applied(problem, plan(problem))
        new = {learner(number): made_demand(seed, number, 2) for number in range(learners // share)}
        yield Case(replace(problem, demands={**problem.demands, **new}, running=before), before, frozenset(new))


CASES: Final[Mapping[str, Callable[[], Iterator[Case]]]] = {
    "120 learners, 14 rooms, 18 adults; one gone all day": lambda: adults_away(120, 14, 18, True),
    "240 learners, 20 rooms, 18 adults; one gone all day": lambda: adults_away(240, 20, 18, True),
    "240 learners, 28 rooms, 18 adults; one gone all day": lambda: adults_away(240, 28, 18, True),
    "240 learners, 20 rooms, 18 adults; one away a period": lambda: adults_away(240, 20, 18, False),
    "60 learners, 14 rooms, 14 adults; one who talks is away": lambda: talkers_away(60, 14, 14),
    "120 learners, 14 rooms, 18 adults; one who talks is away": lambda: talkers_away(120, 14, 18),
    "120 learners, 14 rooms; 2 adults, then 18": lambda: adults_come(120, 14, 2, 18),
    "240 learners, 14 rooms, 18 adults; 12 demands change": lambda: demands_change(240, 14, 18),
}


def planned(way: str, case: Case) -> Plan:
    """Return the day as one way plans it."""
    if way == "anew":
        return plan(case.problem)
    if way == "greedy/2":
        told = {one.name: getattr(case.problem, one.name) for one in dataclasses.fields(v2_grouping_day.Problem)}
        frozen = v2_grouping.repair(v2_grouping_day.Problem(**told), set(case.changed))
        return Plan(frozen.learners, frozen.sessions, frozen.placements, frozen.needs)
    return repair(case.problem, set(case.changed))


def main() -> int:
    """Print the figures of all ways beside one another and return the exit code: 1 where a repair seats fewer than grouping anew."""
    bars = Bars()
    for name, cases in CASES.items():
        rows, number = {way: Row() for way in WAYS}, 0
        for case in cases():
            number += 1
            for way, row in rows.items():
                after = applied(case.problem, planned(way, case))
                found = check(Inputs(case.problem.school, case.problem.staff, case.problem.demands, case.problem.begun), after).violations
                if way != "greedy/2" and found:
                    raise SystemExit(f"{name}: {way} plans what the checker refuses: {found[0]}")
                row.count(after, case.before)
        print(f"== {name}, {number} days")
        for way, row in rows.items():
            print(f"  {way:<10} unserved {row.unserved:>6}   talked with {row.talks:>4}   moved {row.moved:>6}")
        bars.figure("unserved by a repair, beyond grouping anew", rows[SOLVER].unserved - rows["anew"].unserved, "periods", at_most=0)
    return bars.close()


if __name__ == "__main__":
    sys.exit(main())
