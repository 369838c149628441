"""Time as commands: sweeps over streams, work that lies in read tables, and searches outside any transaction; and states that lapse.

All commands are idempotent, so a crash between two steps costs a repetition and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from datetime import UTC, tzinfo
from time import monotonic
from typing import Final

import structlog

from shared.leader import lead
from shared.ledger.ledger import Ledger
from shared.parts import Drain, Lapse, Search, Sweep, Tick, Work
from shared.ticker.asking import tick_origin
from shared.ticker.drains import Draining, Working
from shared.ticker.lapses import Lapsing
from shared.ticker.loop import Loop
from shared.ticker.searches import Searching
from shared.ticker.stopwatch import Stopwatch
from shared.ticker.sweeps import Sweeping

__all__ = ["TICKER_LOCK", "Ticker", "tick_origin"]

MAX_ROUNDS: Final = 1_000
"""Rounds of `settle` before it says that the work never ends."""
FAILED_PAUSE_S: Final = 1.0
STOP_S: Final = 1.0
"""Time that a step under way is given when the service stops; a search may take longer, and is not waited for."""
TICKER_LOCK: Final = 7_012_028
"""Advisory lock of the one ticker that works, of all workers of a service; for economy, not for correctness."""

log = structlog.get_logger(__name__)


class Ticker:
    """Runs the ticks of a service in one of its processes, each in a task of its own, so that a long search delays no sweep."""

    def __init__(
        self, ledger: Ledger, ticks: Sequence[Tick], executor: Callable[[], Executor], poll_ms: int = 200, zone: tzinfo = UTC
    ) -> None:  # fmt: skip
        """Prepare; `zone` says when days begin."""
        self._service, poll_s = ledger.service, poll_ms / 1000
        sweeps = [tick for tick in ticks if isinstance(tick, Sweep)]
        self._loops: list[Loop] = [Sweeping(ledger, sweeps, poll_s, zone)] if sweeps else []
        self._loops += [Draining(ledger, tick, poll_s) for tick in ticks if isinstance(tick, Drain)]
        self._loops += [Working(tick, poll_s) for tick in ticks if isinstance(tick, Work)]
        self._loops += [Searching(ledger, tick, executor) for tick in ticks if isinstance(tick, Search)]
        self._loops += [Lapsing(ledger, tick, poll_s) for tick in ticks if isinstance(tick, Lapse)]
        self._failed: set[str] = set()
        """Loops whose last step failed."""
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._leading: asyncio.Task[None] | None = None
        self._asking = Stopwatch()
        """Runs from the last answer to whether this process leads; stands at 0 while it does."""

    async def start(self, dsn: str) -> None:
        """Begin, in one of the processes that share this database: the others wait until it is gone."""
        self._asking.start()
        self._leading = asyncio.create_task(
            lead(dsn, TICKER_LOCK, "ticker", self._begin, self._end, self._asking.restart), name="ticker"
        )  # fmt: skip

    def troubles(self, after_s: float) -> list[str]:
        """Return what has stood still here for so long; where another process leads, it says so of its own loops."""
        found = []
        if self._asking.seconds() >= after_s:
            found.append(f"nobody has answered for {self._asking.seconds():.0f} s whether this process runs the ticker: does PostgreSQL?")
        for loop in self._loops:
            late_s, undone_s = loop.watch.seconds(), loop.undone.seconds()
            if late_s >= after_s + (0.0 if loop.name in self._failed else loop.grace_s):
                found.append(
                    f"the ticker has not got round with {loop.name} for {late_s:.0f} s, and what time leads to there is not done: see "
                    f"whether PostgreSQL answers, and what the log says behind `tick failed`; to start the service again is safe"
                )
            elif undone_s >= after_s:
                found.append(
                    f"{loop.name} has tried for {undone_s:.0f} s to do what is due, in vain: see what the log says about it; what else "
                    f"is due there goes on"
                )
        return found

    async def stop(self) -> None:
        """Stop between two steps; one that takes too long is broken off, and done again by whoever leads next."""
        if self._leading is not None:
            self._leading.cancel()
            await asyncio.gather(self._leading, return_exceptions=True)
        self._asking.reset()

    async def _begin(self) -> None:
        self._stopping.clear()
        self._asking.reset()
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
            loop.undone.clear()
        self._failed.clear()
        self._asking.start()

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
                self._failed.discard(loop.name)
            except Exception as error:  # The watch runs on: what fails again and again does not get round.
                self._failed.add(loop.name)
                log.error("tick failed", tick=loop.name, exc_info=error, again_in_s=FAILED_PAUSE_S)
                rest_s = FAILED_PAUSE_S
            with suppress(TimeoutError):
                async with asyncio.timeout(rest_s):
                    await self._stopping.wait()
