"""Time as commands: sweeps over streams, work that lies in read tables, and searches outside any transaction.

All commands are idempotent, so a crash between two steps costs a repetition and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from datetime import date, timedelta
from time import monotonic
from typing import Any, Final
from uuid import uuid5

import structlog

from shared.contracts.envelope import NAMESPACE, Origin, instant_text
from shared.decider import Command
from shared.leader import lead
from shared.ledger.ledger import Ledger
from shared.ledger.park import is_faulty
from shared.ledger.types import Answer, Ask, Walk
from shared.parts import Drain, Search, Sweep, Tick
from shared.telemetry import describe

MAX_MISSED_DAYS: Final = 31
"""Days that a service which was down catches up with, one by one; earlier ones are left out, and a log line says so."""
MAX_STALE: Final = 2
"""Answers of a search that may come too late before the greedy search runs inside the decider."""
STALE: Final = "stale"
"""Code of the refusal by which a decider says that what was searched from has moved on."""
MAX_ROUNDS: Final = 1_000
"""Rounds of `settle` before it says that the work never ends."""
MAX_BROKEN: Final = 10
"""Commands of a drain, or streams of a sweep's step, that may break the code; beyond that the fault is not theirs."""
FAILED_PAUSE_S: Final = 1.0
MAX_YIELDS, YIELD_S = 25, 0.02
"""How often and how long a step of a sweep waits for live batches: half a second, then it is taken all the same."""
HELD_S: Final = 60.0
"""Time for which a partition's sweep rests after the code broke at every stream of a step."""
TICKER_LOCK: Final = 7_012_028
"""Advisory lock of the one ticker that works, of all workers of a service; for economy, not for correctness."""
DAYS: Final = "day"
"""Cursor that holds the last day whose sweeps are all done."""
FIRST_DAY: Final = "INSERT INTO cursor (name, partition, after_key, done) VALUES (%s, 0, %s, true) ON CONFLICT DO NOTHING"
READ_DAY: Final = "SELECT after_key FROM cursor WHERE name = %s AND partition = 0"
KEEP_DAY: Final = """
    INSERT INTO cursor (name, partition, after_key, done) VALUES (%s, 0, %s, true)
    ON CONFLICT (name, partition) DO UPDATE SET after_key = excluded.after_key"""

log = structlog.get_logger()


def tick_origin(service: str, name: str) -> Origin:
    """Return what events name as their cause where time led to them: an id derived from the tick's name."""
    cause = str(uuid5(NAMESPACE, f"tick\n{service}\n{name}"))
    return Origin(cause, cause)


class Ticker:
    """Runs the ticks of one service until stopped. It yields to live batches: a step is taken only while none is under way."""

    def __init__(self, ledger: Ledger, ticks: Sequence[Tick], executor: Callable[[], Executor], poll_ms: int = 200) -> None:
        self._ledger, self._ticks, self._executor, self._poll_s = ledger, ticks, executor, poll_ms / 1000
        self._done: set[tuple[str, int]] = set()
        self._held: dict[tuple[str, int], float] = {}
        self._last_day: str | None = None
        self._stale: dict[str, int] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._leading: asyncio.Task[None] | None = None

    async def start(self, dsn: str) -> None:
        """Begin, in one of the processes that share this database: the others wait until it is gone."""
        self._leading = asyncio.create_task(lead(dsn, TICKER_LOCK, "ticker", self._begin, self._end), name="ticker")

    async def stop(self) -> None:
        """Stop between two steps."""
        if self._leading is not None:
            self._leading.cancel()
            await asyncio.gather(self._leading, return_exceptions=True)

    async def _begin(self) -> None:
        """Begin to tick; each tick has a task of its own, so that a long search delays no sweep."""
        self._last_day = None  # Another process may have led meanwhile.
        self._tasks = [asyncio.create_task(self._forever(self._sweeps, self._poll_s), name="sweeps")]
        for tick in self._ticks:
            if isinstance(tick, Drain):
                self._tasks.append(asyncio.create_task(self._forever(self._drains(tick), self._poll_s), name=tick.name))
            elif isinstance(tick, Search):
                self._tasks.append(asyncio.create_task(self._forever(self._searches(tick), tick.window_ms / 1000), name=tick.name))

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def settle(self) -> int:
        """Run all ticks until none has anything to do, and return the number of rounds that did something. For tests."""
        rounds = 0
        while rounds < MAX_ROUNDS:
            worked = [await self._sweeps()]
            for tick in self._ticks:
                if isinstance(tick, Drain):
                    worked.append(await self._drains(tick)())
                elif isinstance(tick, Search):
                    worked.append(await self._searches(tick)())
            if not any(worked):
                return rounds
            rounds += 1
        raise RuntimeError(f"the ticks of {self._ledger.service} found something to do {MAX_ROUNDS} times")

    async def _forever(self, step: Callable[[], Any], pause_s: float) -> None:
        while True:
            try:
                if not await step():
                    await asyncio.sleep(pause_s)
            except Exception as error:
                log.error("tick-failed", service=self._ledger.service, **describe(error))
                await asyncio.sleep(max(pause_s, FAILED_PAUSE_S))

    async def _sweeps(self) -> bool:
        """Take one step of the first sweep that is not done; return whether there was one."""
        sweeps = [tick for tick in self._ticks if isinstance(tick, Sweep)]
        if not sweeps:
            return False
        parameters, now = await self._ledger.parameters(), monotonic()
        self._held = {place: until for place, until in self._held.items() if until > now}
        for day in await self._days():
            for sweep in sweeps:
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
        except Exception as error:
            if not self._tasks or not is_faulty(error):
                raise
            log.error("sweep-held", service=self._ledger.service, sweep=name, partition=partition, again_in_s=HELD_S, **describe(error))
            self._held[name, partition] = monotonic() + HELD_S  # The other partitions go on.

    async def _walked(self, walk: Walk) -> bool:
        """Take a step; where a stream breaks the code, one stream at a time, passing by those that do. Return whether the walk is done."""
        try:
            return await self._ledger.walk(walk)
        except Exception as error:
            if not is_faulty(error):
                raise
            log.error("sweep-failed", service=self._ledger.service, sweep=walk.name, partition=walk.partition, **describe(error))
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
            log.error("sweep-passed-by", service=self._ledger.service, sweep=walk.name, stream=stream)
        return frozenset(broken)

    async def _days(self) -> list[str]:
        """Return the days whose sweeps are due: those missed, and today."""
        today = self._ledger.clock.now().date()
        if self._last_day is None:
            async with self._ledger.pool.connection() as connection:
                await connection.execute(FIRST_DAY, [DAYS, today.isoformat()])
                row = await (await connection.execute(READ_DAY, [DAYS])).fetchone()
            self._last_day = row[0] if row else today.isoformat()
        first = date.fromisoformat(self._last_day)
        if (today - first).days > MAX_MISSED_DAYS:
            log.warning("days-left-out", service=self._ledger.service, after=self._last_day, days=(today - first).days - MAX_MISSED_DAYS)
            first = today - timedelta(days=MAX_MISSED_DAYS)
        return [(first + timedelta(days=n)).isoformat() for n in range((today - first).days + 1)]

    async def _end_day(self, day: str) -> None:
        if day != self._last_day:
            async with self._ledger.pool.connection() as connection:
                await connection.execute(KEEP_DAY, [DAYS, day])
            self._last_day = day

    def _drains(self, drain: Drain) -> Callable[[], Any]:
        async def step() -> bool:
            async with self._ledger.pool.connection() as connection:
                due = await drain.due(connection, instant_text(self._ledger.clock.now()))
            asks = [self._asked(drain.name, item) for item in due]
            # Work that changes nothing is not done again at once.
            return bool(asks) and any(answer.events for answer in await self._taken(drain.name, asks, []))

        return step

    async def _taken(self, name: str, asks: Sequence[Ask], broken: list[Ask]) -> list[Answer]:
        """Ask all in one transaction; where one of them breaks the code, in halves, so that it holds nothing up but itself."""
        try:
            return await self._ledger.handle(asks)
        except Exception as error:
            if not is_faulty(error) or len(broken) >= MAX_BROKEN:
                raise
            if len(asks) > 1:
                middle = len(asks) // 2
                return [*await self._taken(name, asks[:middle], broken), *await self._taken(name, asks[middle:], broken)]
            log.error("work-failed", service=self._ledger.service, work=name, stream=asks[0].stream.name, **describe(error))
            broken.append(asks[0])
            return []

    def _searches(self, search: Search) -> Callable[[], Any]:
        async def step() -> bool:
            async with self._ledger.pool.connection() as connection:
                due = await search.due(connection, instant_text(self._ledger.clock.now()))
            worked = False
            for value in due:
                try:
                    worked = await self._search(search, value) or worked
                except Exception as error:
                    if not is_faulty(error):
                        raise
                    log.error("search-failed", service=self._ledger.service, search=search.name, **describe(error))
            return False if self._tasks else worked  # A running service pauses for the window, so that changes are taken together.

        return step

    async def _search(self, search: Search, value: Any) -> bool:
        command = await asyncio.get_running_loop().run_in_executor(self._executor(), search.solve, value)
        stream = str(command.stream)
        answer = await self._answer(search, command)
        if answer.refusal is None:
            self._stale.pop(stream, None)
            return bool(answer.events)
        if answer.refusal.code != STALE:  # The search itself is wrong: asking again would give the same answer.
            log.error("search-refused", service=self._ledger.service, stream=stream, code=answer.refusal.code)
            await asyncio.sleep(FAILED_PAUSE_S)
            return False
        self._stale[stream] = self._stale.get(stream, 0) + 1
        log.info("search-stale", service=self._ledger.service, stream=stream, times=self._stale[stream])
        if self._stale[stream] >= MAX_STALE and search.greedy is not None:
            del self._stale[stream]
            return bool((await self._answer(search, search.greedy(value))).events)
        return True

    async def _answer(self, search: Search, command: Command) -> Answer:
        return (await self._ledger.handle([self._asked(search.name, command)]))[0]

    def _asked(self, name: str, item: Command | Ask) -> Ask:
        return item if isinstance(item, Ask) else Ask(item, tick_origin(self._ledger.service, name))
