"""Whether a consumer gets on: readiness is progress, measured against what the sources say their ledgers hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shared.ledger.types import Inbox

if TYPE_CHECKING:
    from shared.telemetry import Metrics

Place = tuple[str, int]

AHEAD: Final = 1_000
"""Events of all other partitions together: who stands still while they have more to do than that may be waiting for its turn."""
PASSED_OVER: Final = 10
"""Times `stalled_after_s` after which nobody is waiting for its turn any more, however much the others have to do."""
JOIN_AGAIN_S: Final = 300.0
"""Time between two requests to assign partitions anew: another worker may be that slow with each of its batches, and a group that is
assigned anew is slower still."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How a consumer stands."""

    lag: int
    """Events that the sources' ledgers hold and this service has not applied, on whichever worker."""
    idle_s: float
    """Seconds since a position moved, or since there was nothing to do."""
    stalled: bool
    """There is work, and for longer than `stalled_after_s` no position moved: not ready."""
    stuck: tuple[str, ...]
    """Partitions that are behind and stand still while others move: not ready."""
    diverged: tuple[str, ...]
    """Partitions that stand still for good, and why: not ready."""


class Health:
    """Keeps what the sources told and how far this service is. Time is given, in seconds."""

    def __init__(self, stalled_after_s: float, now: float, metrics: Metrics | None = None) -> None:
        self._stalled_after_s, self._moved_at, self._metrics = stalled_after_s, now, metrics
        self._lengths: dict[Place, int] = {}
        self._positions: dict[Place, int] = {}
        self._place_moved_at: dict[Place, float] = {}
        self._passed: set[Place] = set()
        """Partitions whose turn it was since they moved last: the others had less to do than AHEAD."""

    def told(self, service: str, partition: int, length: int) -> None:
        """Note how long a source says its partition is."""
        self._lengths[service, partition] = length

    def applied(self, inboxes: Mapping[Place, Inbox], now: float) -> None:
        """Note how far this service is."""
        positions = {place: inbox.position for place, inbox in inboxes.items()}
        moved = [place for place, position in positions.items() if self._positions.get(place) != position]
        if moved or not self.lag():
            self._moved_at = now
        self._positions.update(positions)
        lag = self.lag()
        for place in positions:
            behind = self._behind(place)
            if not behind or place in moved:
                self._place_moved_at[place] = now
                self._passed.discard(place)
            elif lag - behind <= AHEAD:
                self._passed.add(place)
        if self._metrics is not None:
            for (service, partition), position in positions.items():
                self._metrics.position.labels(service, str(partition)).set(position)
                self._metrics.consumer_lag.labels(service, str(partition)).set(self._behind((service, partition)))

    def parked(self, service: str, count: int) -> None:
        """Note how many records this service has set aside and not resolved."""
        if self._metrics is not None:
            self._metrics.parked.labels(service).set(count)

    def lag(self) -> int:
        """Return how many events are not applied yet."""
        return sum(self._behind(place) for place in self._lengths)

    def unmoved(self, now: float, for_s: float) -> dict[Place, int]:
        """Return the partitions that are behind and where nothing was applied for so many seconds, each with its position."""
        return {
            place: self._positions[place]
            for place in self._lengths.keys() & self._positions.keys()
            if self._behind(place) and now - self._place_moved_at.get(place, now) >= for_s
        }

    def progress(self, now: float, diverged: tuple[str, ...] = ()) -> Progress:
        """Return how the consumer stands."""
        lag, idle_s = self.lag(), now - self._moved_at
        stalled = lag > 0 and idle_s >= self._stalled_after_s
        return Progress(lag, idle_s, stalled, () if stalled else self._stuck(now), diverged)

    def _stuck(self, now: float) -> tuple[str, ...]:
        found = []
        for service, partition in self._lengths:
            place = service, partition
            behind, idle_s = self._behind(place), now - self._place_moved_at.get(place, now)
            turns = 1 if place in self._passed else PASSED_OVER
            if behind and idle_s >= turns * self._stalled_after_s:
                found.append(f"{behind} events of partition {partition} of {service} wait, and none was applied for {idle_s:.0f} s")
        return tuple(found)

    def _behind(self, place: Place) -> int:
        return max(0, self._lengths.get(place, 0) - self._positions.get(place, -1) - 1)


class Unread:
    """When to ask the group for partitions that are behind and stand still, and that this worker does not read. Time is given, in seconds.

    A member that comes again under its name is given what the name had, and nobody assigns anew, nor looks whether topics have come or
    gone: what had a topic away in between would be read by nobody, for good.
    """

    def __init__(self) -> None:
        self._asked: dict[Place, int] = {}
        """Those that were asked for, with the position at which each has stood since."""
        self._not_before = 0.0

    def is_due(self, unread: Mapping[Place, int], now: float) -> bool:
        """Return whether to ask now, which is then noted as done: once for as long as a partition stands still at one position unread, and
        never twice within JOIN_AGAIN_S.

        Args:
            unread: the position of each such partition.
        """
        self._asked = dict(self._asked.items() & unread.items())
        if now < self._not_before or unread.items() <= self._asked.items():
            return False
        self._asked, self._not_before = dict(unread), now + JOIN_AGAIN_S
        return True
