"""Records under way: those of even and of odd partitions side by side, so that neither waits for what the other is doing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

FULL: Final = 0.5
"""Share of the largest poll from which on records are applied in two transactions at the same time: fewer fill one better."""

Carry = Callable[[Sequence[Any]], Coroutine[Any, Any, None]]


class Hands:
    """Two groups of records at most are under way; the records of a partition are always in the same one, hence in order."""

    def __init__(self, at_once: int) -> None:
        """Prepare for polls of so many records at most."""
        self._apart = FULL * at_once
        self._under_way: dict[int, asyncio.Task[None]] = {}

    async def take(self, records: Sequence[Any], carry: Carry) -> None:
        """Apply a poll's records with `carry`, which never raises. Few are applied in one group, behind all others. Many are applied in
        two, by whether their partition's number is even, each behind the group of its kind before; then this returns while they are
        under way: while PostgreSQL commits the one, the other is decided, and the next poll is there when either has ended.
        """
        if len(records) < self._apart:
            await self.rest()
            await carry(records)
            return
        groups = [[record for record in records if record.partition % 2 == odd] for odd in (0, 1)]
        await asyncio.gather(*(self._begin(odd, carry, group) for odd, group in enumerate(groups) if group))

    async def rest(self) -> None:
        """Return when nothing is under way."""
        await asyncio.gather(*(self._ended(odd) for odd in tuple(self._under_way)))

    async def _begin(self, odd: int, carry: Carry, group: Sequence[Any]) -> None:
        await self._ended(odd)
        self._under_way[odd] = asyncio.create_task(carry(group), name="consumer-hand")

    async def _ended(self, odd: int) -> None:
        before = self._under_way.pop(odd, None)
        if before is not None:
            await asyncio.wait([before])  # Not `await before`: whoever waits may be cancelled, what is under way goes on.
