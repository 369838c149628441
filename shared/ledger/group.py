"""Group commit: commands of requests that arrive together share a transaction. An answer is given only after its commit.

Requests that need a partition that somebody holds locked are set aside, and tried in turn beside the others: these do not wait with them.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import structlog
from psycopg import Error, OperationalError
from psycopg.errors import LockNotAvailable, UniqueViolation
from uuid_utils.compat import uuid7

from shared.contracts.envelope import Origin, StreamId
from shared.decider import Command
from shared.errors import KeyChanged, Overloaded, Unavailable, Unsure
from shared.ledger.failures import is_passing
from shared.ledger.ledger import Ledger
from shared.ledger.patience import ALONE_MS, LOCK_MS
from shared.ledger.types import Answer, Ask, Prepare
from shared.parameters import Parameters
from shared.telemetry import span, traceparent_of_current

MAX_WAITING: Final = 20_000
"""Commands that wait for a transaction before further requests are told to come back."""
MAX_WAIT_S: Final = 5.0
"""Time that commands may wait, as far as the last transaction tells, before further requests are told to come back: clients give up after
a while and ask again, and a queue of what nobody waits for any more leaves no room for what somebody does."""
MAX_ASIDE: Final = 5_000
"""Commands that wait for partitions that somebody holds locked before further ones are told to come back."""
ASIDE_S: Final = 30.0
"""Longest time that they wait so; whoever stands still has lost its locks by then (`shared/ledger/patience.py`)."""
MAX_TRIES: Final = 5
"""Of a transaction that failed for a passing reason, such as a lost connection. Commands are idempotent, so trying again is safe;
what is refused behind a try whose COMMIT nobody saw end is told as such."""
OVERTAKEN: Final = (KeyChanged, UniqueViolation)
"""Another process made the same stream meanwhile, in another partition: asked again, the commands meet it as it is."""
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Request:
    commands: Sequence[Command]
    origin: Origin
    traceparent: str | None
    done: asyncio.Future[list[Answer]] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    behind: frozenset[int] = frozenset()
    """The partitions that it needs and that somebody held when it was set aside."""
    unsure: bool = False
    """Whether a try may have been committed though it failed."""
    until: float = 0.0
    """How long it waits for them at most; 0: it was never set aside."""


class GroupCommit:
    """The `Asker` of a running service."""

    def __init__(self, ledger: Ledger, most: int = 500) -> None:
        self._ledger, self._most = ledger, most
        self._waiting: deque[_Request] = deque()
        self._count = 0
        self._took_s = 0.0
        """Time that the last transaction took."""
        self._wake = asyncio.Event()
        self._aside: deque[_Request] = deque()
        self._tried: Sequence[_Request] = ()
        """Those of them that are tried now."""
        self._some_aside = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False

    async def start(self) -> None:
        """Begin to take requests."""
        runs = {"group-commit": self._run(), "group-commit-aside": self._run_aside()}
        self._tasks = [asyncio.create_task(run, name=name) for name, run in runs.items()]

    async def stop(self) -> None:
        """Finish what waits, then stop; who was set aside is told to come back."""
        self._stopping = True
        self._wake.set()
        self._some_aside.set()
        for task in self._tasks:
            await task

    async def ask(self, commands: Sequence[Command], request_id: UUID | None = None) -> list[Answer]:
        """Return one answer per command, in order, after the commit; see `shared.parts.Asker`."""
        if self.is_full(min(len(commands), self._most)):  # No more than that waits at a time.
            raise Overloaded("the ledger's queue")
        led = str(request_id or uuid7())
        answers: list[Answer] = []
        for start in range(0, len(commands), self._most):
            if start and self._stopping:  # Nobody would take the rest any more; what came before it is stored.
                raise Unavailable("the service, which is stopping,")
            request = _Request(commands[start : start + self._most], Origin(led, led), traceparent_of_current())
            self._waiting.append(request)
            self._count += len(request.commands)
            self._wake.set()
            answers.extend(await request.done)
        return answers

    async def ask_whole(self, prepare: Prepare) -> list[Answer]:
        """Return the answers to what `prepare` returns, all of it committed; see `shared.parts.Asker`."""
        if self._stopping:
            raise _stopping()
        return await self._ledger.handle_whole(prepare)

    def is_full(self, more: int = 0) -> bool:
        """Return whether so many commands, by default as many as share a transaction, would be too many, or wait for too long."""
        if self._stopping or not self._count:
            return self._stopping
        return self._count + (more or self._most) > MAX_WAITING or self._count / self._most * self._took_s > MAX_WAIT_S

    async def parameters(self) -> Parameters:
        """Return what is in force now."""
        return await self._ledger.parameters()

    async def state(self, stream: StreamId) -> Any:
        """Return a stream's state; see `shared.parts.Asker`."""
        return (await self._ledger.state(stream.name))[1]

    async def _run(self) -> None:
        while not self._stopping:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                requests = await self._parted(self._take())
                if requests:
                    await self._commit(requests, LOCK_MS, bool(self._locked()))

    async def _run_aside(self) -> None:
        try:
            while not self._stopping:
                await self._some_aside.wait()
                self._some_aside.clear()
                while self._aside and not self._stopping:
                    self._tried = self._take_aside()
                    await self._commit(self._tried, ALONE_MS if self._aside else LOCK_MS, sparing=True)
                    self._tried = ()
        finally:  # Whoever stops the service may be stopped itself.
            for request in (*self._tried, *self._aside):
                _fail(request, _stopping())

    def _take(self) -> list[_Request]:
        taken: list[_Request] = []
        count = 0
        while self._waiting and (not taken or count + len(self._waiting[0].commands) <= self._most):
            request = self._waiting.popleft()
            count += len(request.commands)
            taken.append(request)
        self._count -= count
        return taken

    def _take_aside(self) -> list[_Request]:
        """Take those that wait for the same partitions as the one that was tried longest ago."""
        first, rest = self._aside.popleft(), deque[_Request]()
        taken, count = [first], len(first.commands)
        for request in self._aside:
            if request.behind == first.behind and count + len(request.commands) <= self._most:
                taken.append(request)
                count += len(request.commands)
            else:
                rest.append(request)
        self._aside = rest
        return taken

    def _locked(self) -> frozenset[int]:
        """Return the partitions that somebody waits for."""
        return frozenset().union(*(request.behind for request in (*self._aside, *self._tried)))

    async def _parted(self, requests: list[_Request]) -> list[_Request]:
        """Set aside those that need a partition that others wait for, and return the rest."""
        locked = self._locked()
        if not locked:
            return requests
        held = await self._held(requests)
        for request, numbers in zip(requests, held, strict=True):
            if numbers & locked:
                self._set_aside(request, numbers)
        return [request for request, numbers in zip(requests, held, strict=True) if not numbers & locked]

    async def _held(self, requests: Sequence[_Request]) -> list[frozenset[int]]:
        """Return, for each request, the partitions that it needs and that somebody holds now, as far as can be told."""
        asks = _asks_of(requests)
        try:
            held = await self._ledger.held(asks)
        except Exception as error:  # Where it is more than that, whoever asks the ledger next is told.
            log.warning("what is held locked is not known", error=type(error).__name__)
            held = {}
        numbers = iter(range(len(asks)))
        return [frozenset().union(*(held.get(next(numbers), ()) for _ in request.commands)) for request in requests]

    async def _wait_for_locks(self, requests: list[_Request]) -> None:
        """Set aside those that need what somebody holds, and commit the others; where it cannot be told which these are, all wait."""
        held = await self._held(requests)
        others = [request for request, numbers in zip(requests, held, strict=True) if not numbers]
        if len(others) == len(requests):
            others = []
        for request, numbers in zip(requests, held, strict=True):
            if numbers or not others:
                self._set_aside(request, numbers)
        if others:
            await self._commit(others, LOCK_MS, sparing=True)

    def _set_aside(self, request: _Request, held: frozenset[int]) -> None:
        now = time.monotonic()
        if request.done.done():  # Its client has gone away.
            return
        if self._stopping:
            _fail(request, _stopping())
        elif not request.until and sum(len(each.commands) for each in self._aside) + len(request.commands) > MAX_ASIDE:
            _fail(request, Overloaded("the queue for what somebody holds locked in the database"))
        elif request.until and now > request.until:
            _fail(request, Unavailable("what somebody holds locked in the database"))
        else:
            request.behind, request.until = held, request.until or now + ASIDE_S
            self._aside.append(request)
            self._some_aside.set()

    async def _commit(self, requests: list[_Request], lock_ms: int, sparing: bool) -> None:
        began = time.monotonic()
        try:
            answers = await self._handle(requests, lock_ms, sparing)
        except LockNotAvailable:
            await self._wait_for_locks(requests)
            return
        except (Exception, asyncio.CancelledError) as error:
            if len(requests) > 1 and isinstance(error, Exception) and not is_passing(error):
                for request in requests:  # One of them broke the rest: each for itself.
                    await self._commit([request], lock_ms, sparing)
                return
            for request in requests:
                _fail(request, error if isinstance(error, Exception) else _stopping())
            if isinstance(error, asyncio.CancelledError):
                raise
            return
        if not requests[0].until:
            self._took_s = time.monotonic() - began
        for request, answered in zip(requests, answers, strict=True):
            refusal = next((answer.refusal for answer in answered if answer.refusal), None)
            if request.unsure and refusal is not None:
                _fail(request, Unsure(refusal.detail))
            elif not request.done.done():  # Its client may have gone away.
                request.done.set_result(answered)

    async def _handle(self, requests: list[_Request], lock_ms: int, sparing: bool) -> list[list[Answer]]:
        traces = list(dict.fromkeys(request.traceparent for request in requests if request.traceparent))
        with span("commit", parent=traces[0] if traces else None, links=traces[1:], requests=len(requests)):
            return await self._try(requests, lock_ms, sparing)

    async def _try(self, requests: list[_Request], lock_ms: int, sparing: bool) -> list[list[Answer]]:
        asks = _asks_of(requests)
        for attempt in range(MAX_TRIES):
            try:
                return _by_request(requests, await self._ledger.handle(asks, lock_ms, sparing))
            except LockNotAvailable:
                raise
            except (Error, KeyChanged) as error:
                if attempt == MAX_TRIES - 1 or not (isinstance(error, OVERTAKEN) or is_passing(error)):
                    raise
                for request in requests:
                    request.unsure |= isinstance(error, OperationalError) and error.sqlstate is None
                await asyncio.sleep(0.05 * 2**attempt)
        raise AssertionError("unreachable")


def _asks_of(requests: Sequence[_Request]) -> list[Ask]:
    """Return what requests ask, numbered from 0 on."""
    asks: list[Ask] = []
    for request in requests:
        start = len(asks)
        asks.extend(Ask(command, request.origin, start + n) for n, command in enumerate(request.commands))
    return asks


def _fail(request: _Request, error: Exception) -> None:
    if not request.done.done():
        request.done.set_exception(error)


def _stopping() -> Overloaded:
    return Overloaded("the service is stopping, its queue")


def _by_request(requests: Sequence[_Request], answers: Sequence[Answer]) -> list[list[Answer]]:
    """Return for each request one answer per command: its events with those of the asks that `expand` added behind it."""
    merged: dict[int, Answer] = {}
    for answer in answers:
        place = answer.ask.record
        if place is None:
            continue
        first = merged.get(place)
        merged[place] = answer if first is None else Answer(first.ask, (*first.events, *answer.events), first.refusal or answer.refusal)
    result: list[list[Answer]] = []
    start = 0
    for request in requests:
        result.append([merged[start + n] for n in range(len(request.commands))])
        start += len(request.commands)
    return result
