"""A learner's goals in the terms of the framework, and what they need that she has not mastered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from services.pathing.versions.v3_catalogue import Framework
from shared.contracts.envelope import MICRO
from shared.contracts.pathing import Goal

SCHOOL_YEAR_ENDS: Final = (6, 15)
"""Month and day on which goals without a date are due. School years of the north end about then; no term is told to pathing yet."""


@dataclass(frozen=True, slots=True)
class Target:
    """A goal: the place of its competency, until when, and how much it matters."""

    place: int
    due: date
    weight_e6: int
    passed: date | None = None
    """Its own date where that is over, and `due` the school year's end: its steps come first, and she is at risk while it is open."""

    @property
    def own(self) -> date:
        """Return the date that was set for it, or the school year's end."""
        return self.passed or self.due


Lanes = Mapping[str, Sequence[Target]]
"""Subject -> its goals. Subjects are in order."""


def next_year_end(on: date) -> date:
    """Return the end of the school year after a day.

    >>> next_year_end(date(2026, 11, 24))
    datetime.date(2027, 6, 15)
    """
    this_year = date(on.year, *SCHOOL_YEAR_ENDS)
    return this_year if on < this_year else this_year.replace(year=on.year + 1)


def targets_of(framework: Framework, goals: Sequence[Goal], grade: str, on: date) -> Lanes:
    """Return the goals by subject, or those of the grade where there are none that can be mastered by this framework.

    What was replaced is a goal in what stands in its place; headings are passed over. Of two goals in one the earlier date counts.
    """
    year_end = next_year_end(on)
    found: dict[int, Target] = {}
    for goal in goals:
        passed = goal.due if goal.due is not None and goal.due < on else None
        for place in framework.places_of(goal.competency_id):
            target = Target(place, year_end if passed or goal.due is None else goal.due, max(goal.weight_e6, 1), passed)
            if framework.entries[place].assessable and target.own <= found.get(place, target).own:
                found[place] = target
    return _by_subject(framework, list(found.values())) if found else _grade_targets(framework, grade, year_end)


@lru_cache(maxsize=1024)
def _grade_targets(framework: Framework, grade: str, due: date) -> Lanes:
    return _by_subject(framework, [Target(place, due, MICRO) for place in framework.goals_of(grade)])


def _by_subject(framework: Framework, targets: Sequence[Target]) -> Lanes:
    lanes: dict[str, list[Target]] = {}
    for target in targets:
        lanes.setdefault(framework.entries[target.place].subject, []).append(target)
    return MappingProxyType(dict(sorted(lanes.items())))


def closures_of(before: Sequence[Sequence[int]], targets: Lanes, done: Set[int]) -> dict[int, int]:
    """Return each competency met on a walk down from the goals through unmastered ones only, with itself and all beneath it as a mask.

    Args:
        before: the prerequisites of each place that count for the learner.
    """
    needed: set[int] = set()
    waiting = [target.place for lane in targets.values() for target in lane]
    while waiting:
        place = waiting.pop()
        if place not in needed and place not in done:
            needed.add(place)
            waiting.extend(before[place])
    closures: dict[int, int] = {}
    for place in sorted(needed):  # Prerequisites have lower places, so theirs are there already.
        mask = 1 << place
        for prerequisite in before[place]:
            mask |= closures.get(prerequisite, 0)
        closures[place] = mask
    return closures
