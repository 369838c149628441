"""Group commit: commands of requests that arrive together share a transaction. An answer is given only after its commit."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from psycopg import Error, OperationalError
from psycopg.errors import UniqueViolation
from uuid_utils.compat import uuid7

from shared.contracts.envelope import Origin, StreamId
from shared.decider import Command
from shared.errors import ClockAhead, KeyChanged, Overloaded, Unavailable
from shared.ledger.ledger import Ledger
from shared.ledger.types import Answer, Ask, Prepare
from shared.parameters import Parameters
from shared.telemetry import span, traceparent_of_current

MAX_WAITING: Final = 20_000
"""Commands that wait for a transaction before further requests are told to come back."""
MAX_WAIT_S: Final = 5.0
"""Time that commands may wait, as far as the last transaction tells, before further requests are told to come back: clients give up after
a while and ask again, and a queue of what nobody waits for any more leaves no room for what somebody does."""
MAX_TRIES: Final = 5
"""Of a transaction that failed for a passing reason, such as a lost connection. Commands are idempotent, so trying again is safe."""
OVERTAKEN: Final = (KeyChanged, UniqueViolation)
"""Another process made the same stream meanwhile, in another partition: asked again, the commands meet it as it is."""
PASSING: Final = ("08", "40", "53", "55", "57")
"""Classes of SQLSTATE that pass by themselves."""
ENDED_IDLE: Final = ("25P03", "25P04")
"""The server ended a transaction that stood still for too long: its process was stopped, and runs again."""


@dataclass(slots=True)
class _Request:
    commands: Sequence[Command]
    origin: Origin
    traceparent: str | None
    done: asyncio.Future[list[Answer]] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class GroupCommit:
    """The `Asker` of a running service."""

    def __init__(self, ledger: Ledger, most: int = 500) -> None:
        self._ledger, self._most = ledger, most
        self._waiting: deque[_Request] = deque()
        self._count = 0
        self._took_s = 0.0
        """Time that the last transaction took."""
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    async def start(self) -> None:
        """Begin to take requests."""
        self._task = asyncio.create_task(self._run(), name="group-commit")

    async def stop(self) -> None:
        """Finish what waits, then stop."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task

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
            raise Overloaded("the service is stopping, its queue")
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
                await self._commit(self._take())

    def _take(self) -> list[_Request]:
        taken: list[_Request] = []
        count = 0
        while self._waiting and (not taken or count + len(self._waiting[0].commands) <= self._most):
            request = self._waiting.popleft()
            count += len(request.commands)
            taken.append(request)
        self._count -= count
        return taken

    async def _commit(self, requests: list[_Request]) -> None:
        began = time.monotonic()
        try:
            answers = await self._handle(requests)
        except (Exception, asyncio.CancelledError) as error:
            if len(requests) > 1 and isinstance(error, Exception) and not is_passing(error):
                for request in requests:  # One of them broke the rest: each for itself.
                    await self._commit([request])
                return
            for request in requests:
                if not request.done.done():
                    request.done.set_exception(error if isinstance(error, Exception) else Overloaded("the service is stopping, its queue"))
            if isinstance(error, asyncio.CancelledError):
                raise
            return
        self._took_s = time.monotonic() - began
        for request, answered in zip(requests, answers, strict=True):
            if not request.done.done():  # Its client may have gone away.
                request.done.set_result(answered)

    async def _handle(self, requests: list[_Request]) -> list[list[Answer]]:
        traces = list(dict.fromkeys(request.traceparent for request in requests if request.traceparent))
        with span("commit", parent=traces[0] if traces else None, links=traces[1:], requests=len(requests)):
            return await self._try(requests)

    async def _try(self, requests: list[_Request]) -> list[list[Answer]]:
        asks: list[Ask] = []
        for request in requests:
            start = len(asks)
            asks.extend(Ask(command, request.origin, start + n) for n, command in enumerate(request.commands))
        for attempt in range(MAX_TRIES):
            try:
                return _by_request(requests, asks, await self._ledger.handle(asks))
            except (Error, KeyChanged) as error:
                if attempt == MAX_TRIES - 1 or not (isinstance(error, OVERTAKEN) or is_passing(error)):
                    raise
                await asyncio.sleep(0.05 * 2**attempt)
        raise AssertionError("unreachable")


def is_passing(error: Exception) -> bool:
    """Return whether an error passes by itself, or once a clock is set, so that the same transaction may be tried again."""
    if isinstance(error, ClockAhead):
        return True
    state = error.sqlstate if isinstance(error, Error) else None
    return isinstance(error, OperationalError) if state is None else state[:2] in PASSING or state in ENDED_IDLE


def _by_request(requests: Sequence[_Request], asks: Sequence[Ask], answers: Sequence[Answer]) -> list[list[Answer]]:
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
