"""How a learner stands against her dates: minutes needed against minutes available. Integers only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

from services.pathing.versions.v3_catalogue import Curriculum
from services.pathing.versions.v4_goals import Lanes
from shared.contracts.pathing import Pace

MINUTES_PER_DAY: Final = 45
"""Time for a subject on a school day: one period of it."""
AHEAD: Final = (7, 10)
"""Needing less than this share of the minutes available."""
DAYS_PER_WEEK, SCHOOL_DAYS_PER_WEEK = 7, 5


def school_days(on: date, due: date) -> int:
    """Return the weekdays after `on` up to and with `due`, 0 where it has passed. Holidays are not known here.

    >>> school_days(date(2026, 11, 24), date(2026, 12, 1))
    5
    """
    weeks, rest = divmod(max((due - on).days, 0), DAYS_PER_WEEK)
    return weeks * SCHOOL_DAYS_PER_WEEK + sum((on + timedelta(days=n)).weekday() < SCHOOL_DAYS_PER_WEEK for n in range(1, rest + 1))


def pace_of(curriculum: Curriculum, on: date, targets: Lanes, closures: Mapping[int, int]) -> tuple[Pace, int, date | None]:
    """Return the pace, the minutes that all goals need, and the date that binds: over subjects and dates the worst of needed / available.

    What is due by a date is weighed together. Time of one subject cannot be spent on another, so each is measured by itself. An open goal
    whose date has passed has no time left: she is at risk, and of such dates the earliest binds, so that it stays while others pass.
    """
    everything = 0
    worst: tuple[int, int, date] | None = None
    for lane in targets.values():
        mask = 0
        dues: dict[date, int] = {}
        for target in lane:
            dues[target.due] = dues.get(target.due, 0) | closures.get(target.place, 0)
        for due, closure in sorted(dues.items()):
            mask |= closure
            needed, available = curriculum.minutes_of(mask), max(school_days(on, due) * MINUTES_PER_DAY, 1)
            if worst is None or needed * worst[1] > worst[0] * available or (needed * worst[1] == worst[0] * available and due < worst[2]):
                worst = (needed, available, due)
        everything |= mask
    if worst is None:
        return Pace.NO_DATE, 0, None
    passed = [target.passed for lane in targets.values() for target in lane if target.passed is not None and target.place in closures]
    if passed:
        return Pace.AT_RISK, curriculum.minutes_of(everything), min(passed)
    needed, available, due = worst
    share, whole = AHEAD
    pace = Pace.AT_RISK if needed > available else Pace.AHEAD if needed * whole < available * share or not needed else Pace.ON_TRACK
    return pace, curriculum.minutes_of(everything), due
