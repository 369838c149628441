"""How a learner stands against her dates: minutes needed against minutes available. Integers only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Final, NamedTuple

from services.pathing.catalogue import Curriculum
from services.pathing.goals import Lanes, Target
from shared.contracts.pathing import Pace

MINUTES_PER_DAY: Final = 45
"""Time for a subject on a school day: one period of it."""
AHEAD: Final = (7, 10)
"""Needing less than this share of the minutes available."""
DAYS_PER_WEEK, SCHOOL_DAYS_PER_WEEK = 7, 5


def school_days(on: date, due: date) -> int:
    """Return the weekdays from `on` up to `due`, 0 where it has passed. Holidays are not known here.

    Both days count: each is planned for as it begins, and has its lessons before it.

    >>> school_days(date(2026, 11, 24), date(2026, 12, 1)), school_days(date(2026, 12, 1), date(2026, 12, 1))
    (6, 1)
    """
    weeks, rest = divmod(max((due - on).days + 1, 0), DAYS_PER_WEEK)
    return weeks * SCHOOL_DAYS_PER_WEEK + sum((on + timedelta(days=n)).weekday() < SCHOOL_DAYS_PER_WEEK for n in range(rest))


class Standing(NamedTuple):
    """How a learner stands against her dates."""

    pace: Pace = Pace.NO_DATE
    minutes_needed: int = 0
    """For all goals."""
    due: date | None = None
    """The date that binds."""
    due_subject: str = ""
    """The subject in which it does."""
    due_minutes: int | None = None
    """What is needed in that subject for what is due by that date."""


def standing_of(curriculum: Curriculum, on: date, targets: Lanes, closures: Mapping[int, int]) -> Standing:
    """Return how a learner stands by the date that binds: over subjects and dates the worst of needed / available.

    What is due by a date is weighed together. Time of one subject cannot be spent on another, so each is measured by itself. An open goal
    whose date has passed has no time left: she is at risk, and of such dates the earliest binds, so that it stays while others pass.
    """
    everything = 0
    worst: tuple[int, int, date, str] | None = None
    for subject, lane in targets.items():
        mask = 0
        dues: dict[date, int] = {}
        for target in lane:
            dues[target.due] = dues.get(target.due, 0) | closures.get(target.place, 0)
        for due, closure in sorted(dues.items()):
            mask |= closure
            needed, available = curriculum.minutes_of(mask), max(school_days(on, due) * MINUTES_PER_DAY, 1)
            if worst is None or needed * worst[1] > worst[0] * available or (needed * worst[1] == worst[0] * available and due < worst[2]):
                worst = (needed, available, due, subject)
        everything |= mask
    if worst is None:
        return Standing()
    total = curriculum.minutes_of(everything)
    if passed := [target.passed for lane in targets.values() for target in lane if target.passed and target.place in closures]:
        due = min(passed)
        minutes, subject = max(
            ((_minutes_past(curriculum, lane, due, closures), subject) for subject, lane in targets.items()), key=lambda each: each[0]
        )
        return Standing(Pace.AT_RISK, total, due, subject, minutes)
    needed, available, due, subject = worst
    share, whole = AHEAD
    pace = Pace.AT_RISK if needed > available else Pace.AHEAD if needed * whole < available * share or not needed else Pace.ON_TRACK
    return Standing(pace, total, due, subject, needed)


def _minutes_past(curriculum: Curriculum, lane: Sequence[Target], due: date, closures: Mapping[int, int]) -> int:
    """Return what the goals of a subject with this date, which has passed, still need."""
    mask = 0
    for target in lane:
        if target.passed == due:
            mask |= closures.get(target.place, 0)
    return curriculum.minutes_of(mask)
