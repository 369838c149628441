"""Our clock beside PostgreSQL's, and the last times of the partitions beside both.

What is recorded keeps its time for ever, and within a partition time never goes back: one transaction of a machine whose clock is years
ahead dates all that follows there for years. So nothing is written with a clock that is far ahead of the database's own. One that is
behind does no such harm: the partition's last time counts, or the next one does.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from shared.clock import Clock
from shared.contracts.envelope import instant_text
from shared.errors import ClockAhead
from shared.ledger.turn import Lane

MOST_AHEAD: Final = timedelta(minutes=15)
"""By which our clock may be ahead of PostgreSQL's. More than the ten minutes that clocks may differ without harm, and than PostgreSQL's
answer may have waited for a lock beside that; less than a clock is wrong that was set to another time zone."""

log = structlog.get_logger(__name__)


class Clocks:
    """What a process knows of the clocks of its service."""

    def __init__(self, service: str, clock: Clock) -> None:
        self._service, self._clock = service, clock
        self._ahead: ClockAhead | None = None
        self._dated: dict[int, datetime] = {}

    def now(self, database_at: datetime) -> datetime:
        """Return the present instant.

        Args:
            database_at: what PostgreSQL's clock showed a moment ago, or when it was asked for a lock.

        Raises:
            ClockAhead: our clock is too far ahead of that.
        """
        now = self._clock.now()
        self._compare(now, database_at)
        if self._ahead is not None:
            raise self._ahead
        return now

    def look(self, lanes: Sequence[Lane]) -> None:
        """Compare the clocks, and note the partitions whose last event is dated ahead."""
        dated: dict[int, datetime] = {}
        if lanes:
            self._compare(self._clock.now(), lanes[0].asked_at)
        for lane in lanes:
            if lane.last_at is not None and lane.last_at - self._clock.shown_at(lane.asked_at) > MOST_AHEAD:
                dated[lane.number] = lane.last_at
        for number in sorted(dated.keys() - self._dated.keys()):
            log.warning("partition is dated ahead", partition=number, until=instant_text(dated[number]))
        self._dated = dated

    def _compare(self, now: datetime, database_at: datetime) -> None:
        ahead = now - self._clock.shown_at(database_at)
        self._ahead = ClockAhead(self._service, ahead, MOST_AHEAD) if ahead > MOST_AHEAD else None

    def troubles(self) -> list[str]:
        """Return why nothing is written now."""
        return [] if self._ahead is None else [str(self._ahead)]

    def notes(self) -> list[str]:
        """Return which partitions are dated ahead: nothing can be done about it, and what they say of time is wrong until then."""
        return [
            f"partition {number} of {self._service} is dated ahead: a clock was wrong, and events there bear {instant_text(at)} until then"
            for number, at in sorted(self._dated.items())
        ]
