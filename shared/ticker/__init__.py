"""Time as commands: sweeps over streams, work that lies in read tables, and searches outside any transaction; and states that lapse.

All commands are idempotent, so a crash between two steps costs a repetition and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from time import monotonic
from typing import Final, Protocol

import structlog

from shared.leader import lead
from shared.ledger.ledger import Ledger
from shared.ledger.patience import ANSWER_S
from shared.parts import Drain, Lapse, Search, Sweep, Tick, Work
from shared.ticker.asking import tick_origin
from shared.ticker.drains import Draining, Working
from shared.ticker.lapses import Lapsing
from shared.ticker.searches import Searching
from shared.ticker.stopwatch import Stopwatch
from shared.ticker.sweeps import Sweeping

__all__ = ["TICKER_LOCK", "Ticker", "tick_origin"]

MAX_ROUNDS: Final = 1_000
"""Rounds of `settle` before it says that the work never ends."""
FAILED_PAUSE_S: Final = 1.0
LATE_S: Final = 4 * ANSWER_S
"""Time after which a loop counts as standing still. Between two marks of progress it asks the database three times at most, each time for
ANSWER_S at most; how long searches take does not count."""
STOP_S: Final = 1.0
"""Time that a step under way is given when the service stops; a search may take longer, and is not waited for."""
TICKER_LOCK: Final = 7_012_028
"""Advisory lock of the one ticker that works, of all workers of a service; for economy, not for correctness."""

log = structlog.get_logger(__name__)


class Loop(Protocol):
    """What is done again and again."""

    name: str
    watch: Stopwatch
    """Is reset where it gets on; while it waits for what may take as long as it likes, it pauses it."""

    async def begin(self) -> None:
        """Make ready, before the first step of a process that leads; another one may have led until now."""
        ...

    async def step(self) -> bool:
        """Do what is due, and return whether that changed anything."""
        ...

    def rest_s(self, worked: bool, took_s: float) -> float:
        """Return how long to wait before the next step, given how this one went."""
        ...


class Ticker:
    """Runs the ticks of a service in one of its processes, each in a task of its own, so that a long search delays no sweep."""

    def __init__(self, ledger: Ledger, ticks: Sequence[Tick], executor: Callable[[], Executor], poll_ms: int = 200) -> None:
        self._service, poll_s = ledger.service, poll_ms / 1000
        sweeps = [tick for tick in ticks if isinstance(tick, Sweep)]
        self._loops: list[Loop] = [Sweeping(ledger, sweeps, poll_s)] if sweeps else []
        self._loops += [Draining(ledger, tick, poll_s) for tick in ticks if isinstance(tick, Drain)]
        self._loops += [Working(tick, poll_s) for tick in ticks if isinstance(tick, Work)]
        self._loops += [Searching(ledger, tick, executor) for tick in ticks if isinstance(tick, Search)]
        self._loops += [Lapsing(ledger, tick, poll_s) for tick in ticks if isinstance(tick, Lapse)]
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._leading: asyncio.Task[None] | None = None

    async def start(self, dsn: str) -> None:
        """Begin, in one of the processes that share this database: the others wait until it is gone."""
        self._leading = asyncio.create_task(lead(dsn, TICKER_LOCK, "ticker", self._begin, self._end), name="ticker")

    def troubles(self) -> list[str]:
        """Return what stands still here; nothing where another process leads."""
        late = {loop.name: loop.watch.seconds() for loop in self._loops}
        return [
            f"the ticker has not got round with {name} for {seconds:.0f} s, and what time leads to there is not done: see whether "
            f"PostgreSQL answers, and what the log says behind `tick failed`; to start the service again is safe"
            for name, seconds in late.items()
            if seconds >= LATE_S
        ]

    async def stop(self) -> None:
        """Stop between two steps; one that takes too long is broken off, and done again by whoever leads next."""
        if self._leading is not None:
            self._leading.cancel()
            await asyncio.gather(self._leading, return_exceptions=True)

    async def _begin(self) -> None:
        self._stopping.clear()
        self._tasks = [asyncio.create_task(self._forever(loop), name=loop.name) for loop in self._loops]

    async def _end(self) -> None:
        self._stopping.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for loop in self._loops:
            loop.watch.reset()

    async def settle(self) -> int:
        """Run all ticks until none has anything to do, and return the number of rounds that did something. For tests."""
        rounds = 0
        while rounds < MAX_ROUNDS:
            if not any([await loop.step() for loop in self._loops]):
                return rounds
            rounds += 1
        raise RuntimeError(f"the ticks of {self._service} found something to do {MAX_ROUNDS} times")

    async def _forever(self, loop: Loop) -> None:
        begun = False
        while not self._stopping.is_set():
            started = monotonic()
            loop.watch.start()
            try:
                if not begun:
                    await loop.begin()
                    begun = True
                worked = await loop.step()
                rest_s = loop.rest_s(worked, monotonic() - started)
                loop.watch.reset()
            except Exception as error:  # The watch runs on: what fails again and again does not get round.
                log.error("tick failed", tick=loop.name, exc_info=error, again_in_s=FAILED_PAUSE_S)
                rest_s = FAILED_PAUSE_S
            with suppress(TimeoutError):
                async with asyncio.timeout(rest_s):
                    await self._stopping.wait()
