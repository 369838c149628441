"""Sweeps over streams: walked in small transactions by a cursor row per partition, day after day."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, timedelta, tzinfo
from time import monotonic
from typing import Final

import structlog

from shared.ledger.failures import is_faulty
from shared.ledger.ledger import Ledger
from shared.ledger.patience import connected
from shared.ledger.types import Ask, Walk
from shared.parts import Sweep
from shared.ticker.asking import HELD_S, MAX_BROKEN, tick_origin
from shared.ticker.loop import Loop
from shared.zones import day_in

MAX_MISSED_DAYS: Final = 31
"""Days that a service which was down catches up with, one by one; earlier ones are left out, and a log line says so."""
MAX_YIELDS, YIELD_S = 25, 0.02
"""How often and how long a step of a sweep waits for live batches: half a second, then it is taken all the same."""
DAYS: Final = "day"
"""Cursor that holds the last day whose sweeps are all done."""
FIRST_DAY: Final = "INSERT INTO cursor (name, partition, after_key, done) VALUES (%s, 0, %s, true) ON CONFLICT DO NOTHING"
READ_DAY: Final = "SELECT after_key FROM cursor WHERE name = %s AND partition = 0"
KEEP_DAY: Final = """
    INSERT INTO cursor (name, partition, after_key, done) VALUES (%s, 0, %s, true)
    ON CONFLICT (name, partition) DO UPDATE SET after_key = excluded.after_key"""

log = structlog.get_logger(__name__)


class Sweeping(Loop):
    """All sweeps of a service, one step at a time. It yields to live batches: a step is taken only while none is under way."""

    def __init__(self, ledger: Ledger, sweeps: Sequence[Sweep], poll_s: float, zone: tzinfo = UTC) -> None:
        super().__init__("sweeps", poll_s)
        self._ledger, self._sweeps, self._zone = ledger, sweeps, zone
        self._done: set[tuple[str, int]] = set()
        self._held: dict[tuple[str, int], float] = {}
        self._last_day: str | None = None
        self._running = False

    async def begin(self) -> None:
        """From now on a partition whose every stream breaks the code is held, so that the others go on."""
        self._running, self._last_day = True, None

    async def step(self) -> bool:
        """Take one step of the first sweep that is not done; return whether there was one."""
        parameters, now = await self._ledger.parameters(), monotonic()
        self.undone.due(self._held, now)
        self._held = {place: until for place, until in self._held.items() if until > now}
        for day in await self._days():
            for sweep in self._sweeps:
                name = sweep.name(parameters, day)
                for partition in range(self._ledger.partitions) if name else ():
                    if name and (name, partition) not in self._done and (name, partition) not in self._held:
                        await self._step(sweep, name, partition, day)
                        return True
            if not self._held:
                await self._end_day(day)
        return False

    async def _step(self, sweep: Sweep, name: str, partition: int, day: str) -> None:
        walk = Walk(
            name, partition, sweep.kind, tick_origin(self._ledger.service, name), lambda id, parameters: sweep.commands(id, parameters, day)
        )
        for _ in range(MAX_YIELDS):
            if not self._ledger.under_way:
                break
            await asyncio.sleep(YIELD_S)
        try:
            if await self._walked(walk):
                self._done.add((name, partition))
            self.undone.tried((name, partition), True, monotonic())
        except Exception as error:
            if not self._running or not is_faulty(error):
                raise
            log.error("sweep held", sweep=name, partition=partition, exc_info=error, again_in_s=HELD_S)
            self._held[name, partition] = monotonic() + HELD_S  # The other partitions go on.
            self.undone.tried((name, partition), False, monotonic())

    async def _walked(self, walk: Walk) -> bool:
        """Take a step; where a stream breaks the code, one stream at a time, passing by those that do. Return whether the walk is done."""
        try:
            return await self._ledger.walk(walk)
        except Exception as error:
            if not is_faulty(error):
                raise
            log.error("sweep breaks the code", sweep=walk.name, partition=walk.partition, exc_info=error)
        return await self._ledger.walk(replace(walk, passed=await self._broken(walk)))

    async def _broken(self, walk: Walk) -> frozenset[str]:
        """Ask each stream of a step by itself, which a repetition does not change; return those that break the code.

        Raises the error where none succeeds or too many fail: then the fault is not theirs, and nobody is passed by.
        """
        parameters, ids = await self._ledger.parameters(), await self._ledger.ahead(walk)
        broken: list[str] = []
        for id in ids:
            try:
                await self._ledger.handle([Ask(command, walk.origin) for command in walk.commands(id, parameters)])
            except Exception as error:
                broken.append(id)
                if not is_faulty(error) or len(broken) > MAX_BROKEN or len(broken) == len(ids):
                    raise
        for id in broken:
            stream = f"{self._ledger.service}/{walk.kind}/{id}"
            log.error("stream passed by", sweep=walk.name, stream=stream)
        return frozenset(broken)

    async def _days(self) -> list[str]:
        """Return the days whose sweeps are due: those missed, and today.

        Where a later day was swept, since the time zone was another one or its clocks were put back, it is today alone.
        """
        today = day_in(self._zone, self._ledger.clock.now())
        if self._last_day is None:
            async with connected(self._ledger.pool) as connection:
                today = day_in(self._zone, await self._ledger.now(connection))
                await connection.execute(FIRST_DAY, [DAYS, today.isoformat()])
                row = await (await connection.execute(READ_DAY, [DAYS])).fetchone()
            self._last_day = row[0] if row else today.isoformat()
        first = min(date.fromisoformat(self._last_day), today)
        if (today - first).days > MAX_MISSED_DAYS:
            log.warning("days left out", after=self._last_day, days=(today - first).days - MAX_MISSED_DAYS)
            first = today - timedelta(days=MAX_MISSED_DAYS)
        return [(first + timedelta(days=n)).isoformat() for n in range((today - first).days + 1)]

    async def _end_day(self, day: str) -> None:
        if self._last_day is None or day > self._last_day:
            async with connected(self._ledger.pool) as connection:
                await self._ledger.now(connection)  # A day that is still to come would leave out all those before it.
                await connection.execute(KEEP_DAY, [DAYS, day])
            self._last_day = day
