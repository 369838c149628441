"""What a period is for a learner: a lesson of each of her subjects where the day has one, and how far back a day is in school days."""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set
from datetime import date, timedelta
from typing import Final

from services.scheduling.resources import SATURDAY

LESSON_DAYS: Final = 5
"""School days after a talk before the next one may take a learner's only lesson of a subject."""


def lessons(periods: Sequence[str], subjects: Set[str]) -> int:
    """Return how many of a learner's subjects have a lesson in these periods, each named by its subject, or empty: for any.

    >>> lessons(["mathematics", "mathematics", ""], {"mathematics", "reading", "art"})
    2
    """
    own = len(subjects & {*periods} - {""})
    return own + min(len(subjects) - own, list(periods).count(""))


def only_lesson(periods: Sequence[str], period: int, subjects: Set[str]) -> bool:
    """Return whether a learner loses the only lesson of a subject where a talk takes one of these periods.

    >>> [only_lesson(["mathematics", "reading", "reading"], period, {"mathematics", "reading"}) for period in range(3)]
    [True, False, False]
    """
    return lessons([*periods[:period], *periods[period + 1 :]], subjects) < lessons(periods, subjects)


def school_days_since(day: date, on: date, closed: Collection[date] = ()) -> int:
    """Return how many school days lie behind a day up to another, which counts: 1 from one school day to the next.

    Args:
        closed: days between them without school, beside Saturdays and Sundays.
    """
    days = (day + timedelta(days=ahead) for ahead in range(1, (on - day).days + 1))
    return sum(each.weekday() < SATURDAY and each not in closed for each in days)
