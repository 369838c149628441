"""Days that were read, kept while they are as they were: reading the whole school for each learner's question costs most of its answer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final
from uuid import UUID

from services.scheduling.explain import SchoolDay

MAX_KEPT: Final = 2_000
"""Learners in all days that are kept together, such as of 8 days of 240 learners; each takes about 24 KiB."""


@dataclass(frozen=True, slots=True)
class PlanRow:
    """The plan in force of a day."""

    status: str
    solver: str
    value: int
    bound: int | None
    adopted_at: datetime


@dataclass(frozen=True)
class Seen:
    """A day as it stands in the read tables."""

    version: int
    """Of the day's stream."""
    day: SchoolDay
    plan: PlanRow
    titles: Mapping[str, str] = field(default_factory=dict)
    """Of spaces, those too that are closed on the day."""

    @property
    def learners(self) -> int:
        """How many learners it holds."""
        return max(len(self.day.demands), len(self.day.days), 1)


class Kept:
    """The days that were asked for last. A day with another version is not the one that was kept; it says with which resources, too."""

    def __init__(self, most: int = MAX_KEPT) -> None:
        self._most, self._learners = most, 0
        self._days: OrderedDict[tuple[UUID, date], Seen] = OrderedDict()

    def get(self, school: UUID, on: date, version: int) -> Seen | None:
        """Return the day at this version, or None where it is not kept."""
        place = school, on
        seen = self._days.get(place)
        if seen is None or seen.version != version:
            return None
        self._days.move_to_end(place)
        return seen

    def put(self, on: date, seen: Seen) -> None:
        """Keep a day in place of what was kept of it, and drop those that were not asked for the longest, until all have room."""
        place = seen.day.school.school_id, on
        before = self._days.pop(place, None)
        self._days[place] = seen
        self._learners += seen.learners - (before.learners if before else 0)
        while self._learners > self._most:
            self._learners -= self._days.popitem(last=False)[1].learners
