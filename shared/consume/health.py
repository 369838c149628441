"""Whether a consumer gets on: readiness is progress, measured against what the sources say their ledgers hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.ledger.types import Inbox

if TYPE_CHECKING:
    from shared.telemetry import Metrics

Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Progress:
    """How a consumer stands."""

    lag: int
    """Events that the sources' ledgers hold and this service has not applied, on whichever worker."""
    idle_s: float
    """Seconds since a position moved, or since there was nothing to do."""
    stalled: bool
    """There is work, and for longer than `stalled_after_s` no position moved: not ready."""
    diverged: tuple[str, ...]
    """Partitions that stand still for good, and why: not ready."""


class Health:
    """Keeps what the sources told and how far this service is. Time is given, in seconds."""

    def __init__(self, stalled_after_s: float, now: float, metrics: Metrics | None = None) -> None:
        self._stalled_after_s, self._moved_at, self._metrics = stalled_after_s, now, metrics
        self._lengths: dict[Place, int] = {}
        self._positions: dict[Place, int] = {}

    def told(self, service: str, partition: int, length: int) -> None:
        """Note how long a source says its partition is."""
        self._lengths[service, partition] = length

    def applied(self, inboxes: Mapping[Place, Inbox], now: float) -> None:
        """Note how far this service is."""
        positions = {place: inbox.position for place, inbox in inboxes.items()}
        if any(self._positions.get(place) != position for place, position in positions.items()) or not self.lag():
            self._moved_at = now
        self._positions.update(positions)
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

    def progress(self, now: float, diverged: tuple[str, ...] = ()) -> Progress:
        """Return how the consumer stands."""
        lag, idle_s = self.lag(), now - self._moved_at
        return Progress(lag, idle_s, lag > 0 and idle_s >= self._stalled_after_s, diverged)

    def _behind(self, place: Place) -> int:
        return max(0, self._lengths.get(place, 0) - self._positions.get(place, -1) - 1)
