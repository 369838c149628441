"""Long searches outside any transaction: looked for, searched in another process, and brought in, in sequence."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Executor
from time import monotonic
from typing import Any, Final

import structlog

from shared.contracts.envelope import Recorded, instant_text
from shared.decider import Command
from shared.ledger.failures import is_faulty
from shared.ledger.ledger import Ledger
from shared.ledger.patience import connected
from shared.ledger.types import Answer, Ask
from shared.parts import Search, Sought
from shared.tasks import end
from shared.telemetry import MAX_LINKS, span, traceparent_of_current
from shared.ticker.asking import HELD_S, asked
from shared.ticker.loop import Loop
from shared.ticker.pool import ready

AHEAD: Final = 2
"""Searches that the other process has at once: one to work on and the next, so that it is never idle. All others wait here: whatever waits
there and is given up keeps Python's executor from telling anybody that its process died."""
MAX_KILLS: Final = 2
"""Times in sequence that the other process dies of a search before it rests: the first time somebody else may have killed it."""
MAX_STALE: Final = 2
"""Answers of a search that may come too late before the greedy search runs inside the decider."""
STALE: Final = "stale"
"""Code of the refusal by which a decider says that what was searched from has moved on."""
REST_SHARE: Final = 0.25
"""Of the time that a look took, at least so much is rested after it, so that requests and records have their turn."""
MAX_TRACES: Final = 10_000
"""Events whose trace is remembered until a search follows from them."""

log = structlog.get_logger(__name__)


class Searching(Loop):
    """Runs one kind of search. What is due at a look is brought in one by one, while the next is searched."""

    grace_s = 0.0
    """Days that are not planned are what people wait for; each search that ends begins the time anew."""

    def __init__(self, ledger: Ledger, search: Search, executor: Callable[[], Executor]) -> None:
        super().__init__(search.name)
        self._ledger, self._search, self._executor = ledger, search, executor
        self._stale: dict[str, int] = {}
        self._held: dict[str, float] = {}
        self._room = asyncio.Semaphore(AHEAD)
        self._died: Executor | None = None
        """The last one whose process was found dead."""
        self._kills: dict[str, int] = {}
        self._running = False
        self._traces: OrderedDict[str, str] = OrderedDict()
        ledger.on_commit.append(self._remember)

    async def begin(self) -> None:
        """Let the other process start and import what searches, so that the first search does not wait for it."""
        self._running = True
        started = asyncio.get_running_loop().run_in_executor(self._executor(), ready, self._search.solve)
        started.add_done_callback(lambda done: done.cancelled() or done.exception())  # A search will say so again.

    def rest_s(self, worked: bool, took_s: float) -> float:
        """Return how long to wait before the next look: until the window is over."""
        return max(self._search.window_ms / 1000 - took_s, took_s * REST_SHARE)

    async def step(self) -> bool:
        """Search whatever is due, and return whether something came of it. What breaks the code holds nothing up but itself."""
        now = monotonic()
        self._held = {stream: until for stream, until in self._held.items() if until > now}
        async with connected(self._ledger.pool) as connection:
            due = await self._search.due(connection, instant_text(self._ledger.clock.now()))
        self.undone.due((sought.stream for sought in due), now)
        searches = [(sought, asyncio.create_task(self._searched(sought.value))) for sought in due if sought.stream not in self._held]
        try:
            return any([await self._found(sought, search) for sought, search in searches])
        finally:
            await end(*(search for _, search in searches))  # Those that nobody waits for any more.

    async def _searched(self, value: Any) -> Command | Ask:
        """Search in the other process.

        Raises:
            BrokenExecutor: the process died while it worked on this; what was only next there is searched in a new one.
        """
        await self._room.acquire()
        search: asyncio.Future[Any] | None = None
        try:
            while True:
                executor = self._executor()
                search = asyncio.get_running_loop().run_in_executor(executor, self._search.solve, value)
                try:
                    return await asyncio.shield(search)  # Given up here, it comes to its end there: nothing is cancelled that waits there.
                except BrokenExecutor:
                    if self._died is not executor:  # Of all that it had, what it worked on comes back first.
                        self._died = executor
                        raise
        finally:
            if search is None or search.done():
                self._room.release()
            else:
                search.add_done_callback(lambda _: self._room.release())

    async def _found(self, sought: Sought, search: asyncio.Task[Command | Ask]) -> bool:
        """Bring in an answer as soon as it is there, and return whether it counts; what breaks the code rests for a while."""
        try:
            came = await self._bring_in(sought, await search)
            self.watch.restart()
            return came
        except BrokenExecutor as error:
            times = self._kills[sought.stream] = self._kills.get(sought.stream, 0) + 1
            held = times >= MAX_KILLS
            log.error("process died while it searched", stream=sought.stream, exc_info=error, again_in_s=HELD_S if held else 0)
            if held:
                self._hold(sought.stream)
        except Exception as error:
            if not is_faulty(error):
                raise
            log.error("search breaks the code", stream=sought.stream, exc_info=error, again_in_s=HELD_S)
            self._hold(sought.stream)
        self.undone.tried(sought.stream, False, monotonic())
        return False

    async def _bring_in(self, sought: Sought, command: Command | Ask) -> bool:
        answer = await self._answer(sought, command)
        self._kills.pop(sought.stream, None)
        if answer.refusal is None:
            self._stale.pop(sought.stream, None)
            return bool(answer.events)
        if answer.refusal.code != STALE:  # The search itself is wrong: asking again would give the same answer.
            log.error("answer of a search refused", stream=sought.stream, code=answer.refusal.code)
            self._hold(sought.stream)
            return False
        times = self._stale[sought.stream] = self._stale.get(sought.stream, 0) + 1
        log.info("answer of a search came too late", stream=sought.stream, times=times)
        if times >= MAX_STALE and self._search.greedy is not None:
            del self._stale[sought.stream]
            return bool((await self._answer(sought, self._search.greedy(sought.value))).events)
        return True

    def _hold(self, stream: str) -> None:
        if self._running:
            self._held[stream] = monotonic() + HELD_S

    async def _answer(self, sought: Sought, command: Command | Ask) -> Answer:
        """Ask the command behind all that belongs before it, in one transaction; return what is said to the command."""
        asks = [asked(self._ledger.service, self.name, item) for item in (*sought.before, command)]
        traces = self._traces_of(sought.causes)
        with span(self.name, parent=traces[0] if traces else None, links=traces[1:], causes=len(sought.causes)):
            answer = (await self._ledger.handle(asks))[-1]
        self.undone.tried(sought.stream, bool(answer.events), monotonic())
        return answer

    def _remember(self, events: Sequence[Recorded[Any]]) -> None:
        """Keep the trace of what was committed: a search that follows from it is its next span."""
        traceparent = traceparent_of_current()
        if traceparent is None:
            return
        for event in events:
            self._traces[event.id] = traceparent
        while len(self._traces) > MAX_TRACES:
            self._traces.popitem(last=False)

    def _traces_of(self, causes: Sequence[str]) -> list[str]:
        found = (self._traces.get(cause) for cause in causes)
        return list(dict.fromkeys(trace for trace in found if trace))[: MAX_LINKS + 1]
