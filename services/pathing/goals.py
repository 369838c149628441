"""A learner's goals in the terms of the framework, and what they need that she has not mastered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from services.pathing.catalogue import Framework, rank_of
from shared.contracts.envelope import MICRO
from shared.contracts.pathing import Goal

SCHOOL_YEAR_ENDS: Final = (6, 15)
"""Month and day on which goals without a date are due. School years of the north end about then; no term is told to pathing yet."""
SCHOOL_YEAR_BEGINS: Final = (8, 1)
"""Month and day from which goals without a date are due at the end of the year that begins: until then those of the last one stay due."""
ROSTERS_MOVE_UP: Final = (5, 1)
"""Month and day from which a roster that moves a learner up means the year to come."""


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


def due_without_date(on: date, since: date | None) -> date:
    """Return when a goal that has no date is due: at the end of the school year, also after it, until the next year begins.

    Args:
        since: the day from which it counts. One from after the end is of the next year at once.

    >>> due_without_date(date(2027, 7, 31), since=date(2026, 8, 20)), due_without_date(date(2027, 7, 31), since=date(2027, 7, 5))
    (datetime.date(2027, 6, 15), datetime.date(2028, 6, 15))
    """
    end, begin = date(on.year, *SCHOOL_YEAR_ENDS), date(on.year, *SCHOOL_YEAR_BEGINS)
    return end if on < begin and (since is None or since < end) else end.replace(year=on.year + 1)


def counts_since(grade: str, before: str, on: date) -> date:
    """Return the day from which the goals of a grade count: the one on which a learner came to it.

    Where she was moved up in the last weeks of a school year, it is that year's end, so that they are goals of the next one.

    Args:
        before: her grade until then; empty where there was none.

    >>> counts_since("06", before="05", on=date(2027, 6, 3)), counts_since("06", before="", on=date(2027, 6, 3))
    (datetime.date(2027, 6, 15), datetime.date(2027, 6, 3))
    """
    rank, was = rank_of(grade), rank_of(before)
    moved_up = rank is not None and was is not None and was < rank
    end = date(on.year, *SCHOOL_YEAR_ENDS)
    return end if moved_up and date(on.year, *ROSTERS_MOVE_UP) <= on < end else on


def targets_of(framework: Framework, goals: Sequence[Goal], grade: str, on: date, since: date | None = None) -> Lanes:
    """Return the goals by subject, or those of the grade where there are none that can be mastered by this framework.

    What was replaced is a goal in what stands in its place; headings are passed over. Of two goals in one the earlier date counts.

    Args:
        since: the day from which those without a date count.
    """
    undated = _dates(due_without_date(on, since), on)
    found: dict[int, Target] = {}
    for goal in goals:
        due, passed = undated if goal.due is None else _dates(goal.due, on)
        for place in framework.places_of(goal.competency_id):
            target = Target(place, due, max(goal.weight_e6, 1), passed)
            if framework.entries[place].assessable and target.own <= found.get(place, target).own:
                found[place] = target
    return _by_subject(framework, list(found.values())) if found else _grade_targets(framework, grade, *undated)


def _dates(own: date, on: date) -> tuple[date, date | None]:
    """Return `due` and `passed` of a goal with this date."""
    return (next_year_end(on), own) if own < on else (own, None)


@lru_cache(maxsize=1024)
def _grade_targets(framework: Framework, grade: str, due: date, passed: date | None) -> Lanes:
    return _by_subject(framework, [Target(place, due, MICRO, passed) for place in framework.goals_of(grade)])


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
