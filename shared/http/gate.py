"""What every request passes before its route: a trace, limits, sound JSON; and what every failure becomes after it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.errors import MalformedInput, Overloaded
from shared.http import body as bodies
from shared.http.problems import ClientSilent, WrongCoding, respond_to
from shared.telemetry import span

MAX_REQUESTS: Final = 1_000
"""Requests under way at once; further ones are told to come back. Health is always answered."""
WRITING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
MAX_HELD_BYTES: Final = 4 * bodies.MAX_BODY_BYTES
"""Of the bodies of all requests under way; who would bring more is told to come back. What JSON becomes takes about ten times as much."""
NONE: Final[Mapping[str, Any]] = MappingProxyType({})
LARGE_AGAIN_S: Final = 10
"""After which whoever brings a second large body may come again."""
SILENCE_LIMIT_S: Final = 150.0
"""Of a client in the middle of its request, or of taking its answer. Longer than the gateway's: whoever knows the client tells it so."""
SLOWEST_BYTES_S: Final = 10_000
"""Bytes per second that a client moves at least once it was waited for this long in all: who trickles would keep a place like one who is
silent."""
LARGE_LIMIT_S: Final = 300.0
"""In which a body is there whole, from when it took the room for a large one, which nobody else has meanwhile."""


class Gate:
    """ASGI middleware: reads the whole body up to a limit, refuses what no route should meet, answers what no handler caught."""

    def __init__(
        self, app: ASGIApp, max_body_bytes: int = bodies.MAX_BODY_BYTES, max_requests: int = MAX_REQUESTS,
        max_held_bytes: int = MAX_HELD_BYTES, is_full: Callable[[], bool] = lambda: False, silence_limit_s: float = SILENCE_LIMIT_S,
        large: Mapping[str, int] = NONE, large_limit_s: float = LARGE_LIMIT_S,
    ) -> None:  # fmt: skip
        """Stand before an application.

        Args:
            large: address -> bytes that a body there may have, where that is more than `max_body_bytes`. Of bodies that have more there is
                one at a time, and what they have more is not counted as held; who brings another one is told to come back.
            is_full: whether the ledger's queue has no room. Who would write is then turned away before the body is read: to read what is
                refused afterwards costs as much as to take it, and a crowd that comes again and again would leave no time for what waits.
        """
        self._app, self._is_full, self._silence_limit_s = app, is_full, silence_limit_s
        self._max_body_bytes, self._max_requests, self._max_held_bytes = max_body_bytes, max_requests, max_held_bytes
        self._large, self._large_taken, self._large_limit_s = large, False, large_limit_s
        self._under_way = self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, inside one span that continues the client's trace."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._under_way >= self._max_requests and not scope["path"].startswith("/health/"):
            await respond_to(Overloaded("the service's list of requests under way"), scope["path"])(scope, receive, send)
            return
        if scope["method"] in WRITING and self._is_full():
            await respond_to(Overloaded("the ledger's queue"), scope["path"])(scope, receive, send)
            return
        self._under_way += 1
        try:
            await self._traced(scope, receive, send)
        finally:
            self._under_way -= 1

    async def _traced(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        with span(scope["method"], parent=headers.get("traceparent")) as current:
            await self._handle(scope, headers, receive, send)
            route = scope.get("route")
            current.update_name(f"{scope['method']} {getattr(route, 'path', '(no route)')}")

    async def _handle(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        started, taken = False, _Taken()

        async def send_on(message: Message) -> None:
            nonlocal started
            started = True
            try:
                async with asyncio.timeout(self._silence_limit_s):
                    await send(message)
            except TimeoutError:
                raise TimeoutError(f"the client has taken nothing of its answer for {self._silence_limit_s:.0f} s") from None

        try:
            body = await self._checked_body(scope, headers, receive, taken)
            if body is not None:
                await self._app(scope, _replay(body, receive), send_on)
        except Exception as error:
            response = respond_to(error, scope["path"])
            if started:  # Too late for another answer: the connection is cut, so the client sees that it is not whole.
                raise
            await response(scope, receive, send_on)
        finally:
            self._held -= min(taken.size, self._max_body_bytes)
            if taken.large:
                self._large_taken = False

    async def _checked_body(self, scope: Scope, headers: Headers, receive: Receive, taken: _Taken) -> bytes | None:
        """Return the body, or None where the client went away."""
        if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
            raise MalformedInput("the address holds U+0000: take it out")
        declared = headers.get("content-length", "0")
        coding = headers.get("content-encoding", "")
        if any(each.strip().lower() not in ("", "identity") for each in coding.split(",")):
            raise WrongCoding(coding)
        limit = max(self._max_body_bytes, self._large.get(scope["path"], 0))
        if declared.isdecimal() and int(declared[:20]) > limit:
            raise bodies.too_large(limit)
        body = await self._read(receive, taken, limit)
        if body and bodies.is_json(bodies.media_type(headers.get("content-type", ""))):
            scope[bodies.STASH] = await bodies.parse(body)
        return body

    async def _read(self, receive: Receive, taken: _Taken, limit: int) -> bytes | None:
        parts: list[bytes] = []
        more = True
        while more:
            message = await self._next(receive, taken)
            if message["type"] == "http.disconnect":
                return None
            part = message.get("body", b"")
            before = min(taken.size, self._max_body_bytes)
            taken.size += len(part)
            held = min(taken.size, self._max_body_bytes)
            self._held += held - before
            if taken.size > limit:
                raise bodies.too_large(limit)
            if taken.size > self._max_body_bytes and not taken.large:
                if self._large_taken:
                    raise Overloaded("the service's room for a large body", LARGE_AGAIN_S)
                self._large_taken = taken.large = True
                taken.until = min(taken.until, asyncio.get_running_loop().time() + self._large_limit_s)
            if self._held > self._max_held_bytes and self._held > held:  # One alone is always taken.
                raise Overloaded("the service's room for the bodies of requests")
            parts.append(part)
            more = message.get("more_body", False)
        return b"".join(parts)

    async def _next(self, receive: Receive, taken: _Taken) -> Message:
        """Return what comes next of a request.

        Raises:
            ClientSilent: nothing came in time, or too little until then.
        """
        began = asyncio.get_running_loop().time()
        paced = taken.began + self._silence_limit_s + taken.size / SLOWEST_BYTES_S
        until = min(began + self._silence_limit_s, paced, taken.until)
        try:
            async with asyncio.timeout_at(until):  # What is there already comes also after that.
                return await receive()
        except TimeoutError:
            if until < began + self._silence_limit_s:
                raise ClientSilent(until - taken.began, taken.size) from None
            raise ClientSilent(self._silence_limit_s) from None


@dataclass(slots=True)
class _Taken:
    """Bytes of its body that a request has brought."""

    size: int = 0
    large: bool = False
    """Whether it has the room for a large body."""
    began: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    until: float = float("inf")
    """By when all of it has to be there."""


def limit_unread(made: socket.socket, limit_s: float) -> None:
    """Let the system cut connections (of a listening socket: all that it takes) whose other side takes nothing of what was sent.

    What was written to such a connection would keep it open without end, also after we have closed it.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux has it.
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(limit_s * 1000))


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that hands out the body first, then whatever else the server has to say."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again
