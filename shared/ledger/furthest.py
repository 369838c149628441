"""How far a process has seen each partition of its ledger. A ledger never gets shorter: one that did was restored from a backup beneath the
running service, and whatever is written to it now would stand where something else was published.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from shared.errors import Diverged
from shared.ledger.turn import Lane


class Furthest:
    """The end of each partition as this process last saw it. What other processes wrote since then it does not know."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._ends: dict[int, tuple[int, str]] = {}
        self._found: asyncio.Future[None] | None = None
        self._diverged: Diverged | None = None

    def see(self, lanes: Iterable[Lane]) -> None:
        """Note partitions as they were committed."""
        for lane in lanes:
            if lane.length >= self._ends.get(lane.number, (0, ""))[0]:
                self._ends[lane.number] = lane.length, lane.head

    def check(self, lanes: Iterable[Lane]) -> None:
        """Compare partitions just locked, before anything is written behind them, and note them.

        Raises:
            Diverged: one is shorter than it was, or ends with another event.
        """
        for lane in lanes:
            length, head = self._ends.get(lane.number, (0, ""))
            if lane.length < length or (length and lane.length == length and lane.head != head):
                raise self._divergence(lane, length)
            self._ends[lane.number] = lane.length, lane.head

    async def diverged(self) -> None:
        """Wait until a partition is found shorter; the service must stop then.

        Raises:
            Diverged: it was.
        """
        if self._diverged is None:
            self._found = asyncio.get_running_loop().create_future()
            await self._found
        if self._diverged is not None:
            raise self._diverged

    def _divergence(self, lane: Lane, length: int) -> Diverged:
        self._diverged = Diverged(
            f"partition {lane.number} of {self._service} held {length} events and now holds {lane.length}, or others: its database was "
            f"restored from a backup beneath the running service, which has written nothing to it. Keep {self._service} stopped and run "
            f"`cairn ledger catch-up {self._service}`, which copies back what is missing"
        )
        if self._found is not None and not self._found.done():
            self._found.set_result(None)
        return self._diverged
