"""One address for all services: passes `/<service>/...` on as it came, and says at `/` what runs."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

import aiohttp
import orjson
import structlog
from jinja2 import Environment, StrictUndefined
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send
from yarl import URL

from shared.http import Problem
from shared.http.gate import SLOWEST_BYTES_S, limit_unread
from shared.http.problems import ClientSilent, respond, respond_to

MAX_CONNECTIONS: Final = 100
"""To all services together; requests beyond them wait up to TURN_LIMIT_S for one."""
MAX_REQUESTS: Final = 1_000
"""Requests under way at once, those that wait included; more are told to come back. Of none is more held than a few parts."""
IDLE_LIMIT_S: Final = 2.0
"""Idle connections are closed before the services close them (5 s), else a request could meet one that is just being closed."""
CONNECT_LIMIT_S: Final = 2.0
TURN_LIMIT_S: Final = 5.0
TRANSFER_LIMIT_S: Final = 120.0
"""Silence of both client and service in the middle of a request, such as while a whole roster is taken: then its turn is given back."""
HEALTH_LIMIT_S: Final = 3.0
RETRY_AFTER_S: Final = 1

NOTHING_ADDED: Final = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
"""Headers that the client's library would add of its own."""
HOP_BY_HOP: Final = frozenset(
    (b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te", b"trailer", b"upgrade")
    + (b"transfer-encoding", b"expect")
)
"""Headers that speak of one connection only (RFC 9110, section 7.6.1); `expect` was answered by our own server."""
ADDED: Final = frozenset((b"date", b"server"))
"""Headers of an answer that our own server adds to each."""
OPERATIONS: Final = (b"/health/", b"/docs/")
"""What every service has beside its routes: these, and OPERATION_PAGES, lie outside the service's own prefix."""
OPERATION_PAGES: Final = (b"/docs", b"/openapi.json", b"/metrics")

Upstreams = Callable[[], Mapping[str, str]]
"""Service -> `http://host:port`, asked at every request: a service that was started again may have another port."""
RawHeaders = list[tuple[bytes, bytes]]
_log = structlog.get_logger()


@dataclass(frozen=True)
class Seen:
    """What a service says of itself."""

    name: str
    ready: bool
    reasons: tuple[str, ...] = ()


class Gateway:
    """Passes requests on. Bodies are streamed both ways and never held whole; addresses and headers are not read more than needed."""

    def __init__(self, upstreams: Upstreams) -> None:
        self._upstreams = upstreams
        self._session: aiohttp.ClientSession | None = None
        self._turns = asyncio.Semaphore(MAX_CONNECTIONS)
        self._under_way = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hold the connections to the services."""
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_LIMIT_S, socket_factory=_socket)  # The turns limit them.
        async with aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, skip_auto_headers=NOTHING_ADDED
        ) as self._session:
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request with what its service answers, or with a problem that names the service."""
        name = scope["path_params"]["service"]
        address = self._upstreams().get(name)
        if address is None:
            await _no_such_address(scope["path"])(scope, receive, send)
        elif self._under_way >= MAX_REQUESTS:
            await _overloaded(scope["path"])(scope, receive, send)
        else:
            self._under_way += 1
            try:
                await self._in_turn(name, address, scope, receive, send)
            finally:
                self._under_way -= 1

    async def _in_turn(self, name: str, address: str, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(TURN_LIMIT_S):
                await self._turns.acquire()
        except TimeoutError:
            await _overloaded(scope["path"])(scope, receive, send)
            return
        try:
            await self._pass_on(name, address, scope, receive, send)
        finally:
            self._turns.release()

    async def _pass_on(self, name: str, address: str, scope: Scope, receive: Receive, send: Send) -> None:
        assert self._session is not None, "the application has not started"
        started, client = False, _Client(receive, send)
        try:
            async with client.watched(), self._session.request(
                scope["method"], URL(address + target(name, scope).decode(), encoded=True), headers=_texts(_sent_on(scope["headers"])),
                data=_Body(client.receive) if _has_body(scope["headers"]) else None, allow_redirects=False,
                timeout=aiohttp.ClientTimeout(sock_connect=CONNECT_LIMIT_S),
            ) as answer:  # fmt: skip
                started = True
                await client.send({"type": "http.response.start", "status": answer.status, "headers": _answered(answer.raw_headers)})
                async for part in answer.content.iter_any():
                    await client.send({"type": "http.response.body", "body": part, "more_body": True})
                await client.send({"type": "http.response.body", "body": b""})
        except (aiohttp.ClientError, TimeoutError, UnicodeError, ClientSilent) as error:
            if isinstance(error.__cause__, _ClientGone):
                return
            if isinstance(error, ClientSilent):
                _log.warning("client was silent", service=name, limit_s=TRANSFER_LIMIT_S, answered=started)
            else:
                _log.warning("service did not answer", service=name, error=type(error).__name__)
            if started:  # Too late for another answer: the connection is cut, so that the client sees that it is not whole.
                raise
            await _unanswered(scope["path"], name, error)(scope, receive, send)

    async def look(self) -> list[Seen]:
        """Ask every service how it is, all at once."""
        upstreams = self._upstreams()
        return list(await asyncio.gather(*(self._ask(name, address) for name, address in upstreams.items())))

    async def _ask(self, name: str, address: str) -> Seen:
        assert self._session is not None, "the application has not started"
        try:
            limit = aiohttp.ClientTimeout(HEALTH_LIMIT_S)
            async with self._session.get(f"{address}/health/ready", timeout=limit) as answer:
                said = orjson.loads(await answer.read())
                return Seen(name, answer.status == 200, tuple(said["reasons"]))
        except (aiohttp.ClientConnectionError, TimeoutError):
            return Seen(name, False, (f"it does not answer: `cairn up` starts it again, its log is log/{name}.log",))
        except (aiohttp.ClientError, ValueError, LookupError, TypeError):
            return Seen(name, False, ("what it answers is not understood",))


def target(name: str, scope: Scope) -> bytes:
    """Return path and query as the service knows them, as they came: nothing is decoded."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    rest = raw.removeprefix(f"/{name}".encode())
    if rest in OPERATION_PAGES or rest.startswith(OPERATIONS):
        raw = rest
    query: bytes = scope["query_string"]
    return raw + b"?" + query if query else raw


def create_gateway(upstreams: Upstreams) -> Starlette:
    """Return the application that serves every service under one address.

    `/` is a page that lists them, `/health/live` says that the gateway runs and `/health/ready` whether all services are ready.
    """
    gateway = Gateway(upstreams)
    page = Environment(autoescape=True, undefined=StrictUndefined).from_string(files("shared").joinpath("gateway.html").read_text())

    async def index(request: Request) -> Response:
        seen = await gateway.look()
        return HTMLResponse(page.render(services=seen, ready=all(one.ready for one in seen)))

    async def live(request: Request) -> Response:
        return JSONResponse({"status": "live"})

    async def ready(request: Request) -> Response:
        reasons = [f"{one.name}: {reason}" for one in await gateway.look() if not one.ready for reason in one.reasons or ("not ready",)]
        return JSONResponse({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with gateway.running():
            yield

    async def unknown(request: Request, error: Exception) -> Response:
        return _no_such_address(request.url.path)

    routes = [
        Route("/", index),
        Route("/health/live", live),
        Route("/health/ready", ready),
        Route("/{service}", gateway),
        Route("/{service}/{rest:path}", gateway),
    ]
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers={404: unknown})


class _ClientGone(Exception):
    """Who asked has hung up in the middle of the request."""


class _Repeated(aiohttp.ClientConnectionError):
    """The service broke off, and what was sent to it is not there any more to be sent again."""


class _Client:
    """Who asks: its parts and what it is sent, and a watch over the request, which ends where nobody moves for TRANSFER_LIMIT_S, or where
    the client was waited for so long in all and for longer than what it moved takes at SLOWEST_BYTES_S.

    The library's own limit does not see a client that is silent, nor a service before it has taken the whole body.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._limit = asyncio.timeout(None)
        self._awaited = False
        """Whether it is the client who has to move next; else the service."""
        self._since = self._waited_s = 0.0
        """Time at which that began, and for how long the client was waited for before."""
        self._size = 0
        """Bytes that came from the client and went to it."""

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Do something for the client.

        Raises:
            ClientSilent: it brought no further part, or took none of its answer, or too little.
            TimeoutError: the service did not take a part, or did not answer.
        """
        try:
            async with self._limit:
                self._wait(for_client=False)
                yield
        except TimeoutError:
            if self._limit.expired() and self._awaited:
                waited_s = asyncio.get_running_loop().time() - self._since
                if waited_s < TRANSFER_LIMIT_S:
                    raise ClientSilent(self._waited_s + waited_s, self._size) from None
                raise ClientSilent(TRANSFER_LIMIT_S) from None
            raise

    async def receive(self) -> Message:
        """Return what the client brings next."""
        self._wait(for_client=True)
        message = await self._receive()
        self._wait(for_client=False, size=len(message.get("body", b"")))
        return message

    async def send(self, message: Message) -> None:
        """Return when the client has taken what was sent before, but for a buffer's worth."""
        self._wait(for_client=True)
        await self._send(message)
        self._wait(for_client=False, size=len(message.get("body", b"")))

    def _wait(self, for_client: bool, size: int = 0) -> None:
        """Begin to wait, after so many bytes were moved."""
        if self._limit.expired():  # The library takes the body in a task of its own, which may come here while the request is ended.
            return
        now = asyncio.get_running_loop().time()
        if self._awaited:
            self._waited_s += now - self._since
        self._size += size
        self._awaited, self._since = for_client, now
        left = self._size / SLOWEST_BYTES_S - self._waited_s if for_client else 0.0
        self._limit.reschedule(now + TRANSFER_LIMIT_S + min(left, 0.0))


class _Body:
    """A request's body as it arrives, once; the next part is taken only when the service has taken this one."""

    def __init__(self, receive: Receive) -> None:
        self._receive, self._begun = receive, False

    def __aiter__(self) -> AsyncIterator[bytes]:
        if self._begun:  # The library would send a PUT again, with nothing in it.
            raise _Repeated
        self._begun = True
        return self._parts()

    async def _parts(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise _ClientGone
            yield message.get("body", b"")
            more = message.get("more_body", False)


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Return a socket for a service that does not keep what a stopped service does not take."""
    made = socket.socket(*address[:3])
    limit_unread(made, TRANSFER_LIMIT_S)
    return made


def _has_body(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name.lower() == b"transfer-encoding" or (name.lower() == b"content-length" and value != b"0") for name, value in headers)


def _sent_on(headers: Iterable[tuple[bytes, bytes]]) -> RawHeaders:
    """Return the headers without those that speak of this connection."""
    given = [(name.lower(), value) for name, value in headers]
    dropped = HOP_BY_HOP.union(*(_words(value) for name, value in given if name == b"connection"))
    chunked = any(name == b"transfer-encoding" for name, _ in given)  # Then a length beside it must not be believed.
    return [(name, value) for name, value in given if name not in dropped and not (chunked and name == b"content-length")]


def _answered(headers: Iterable[tuple[bytes, bytes]]) -> RawHeaders:
    """Return the headers of an answer that are passed on: each of those that a server adds stands there once (RFC 9110, section 6.6.1)."""
    return [(name, value) for name, value in _sent_on(headers) if name not in ADDED]


def _texts(headers: RawHeaders) -> list[tuple[str, str]]:
    return [(name.decode(), value.decode()) for name, value in headers]


def _words(value: bytes) -> set[bytes]:
    return {word.strip().lower() for word in value.split(b",")}


def _unanswered(path: str, name: str, error: Exception) -> Response:
    """Return the problem that says who failed, and what to do."""
    if isinstance(error, ClientSilent):
        return respond_to(error, path)
    if isinstance(error, UnicodeError):
        return _problem(path, "malformed-input", 400, "The input is not well formed", "the address and the headers are UTF-8: send them so")
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return _problem(path, "service-down", 503, f"{name} is not running", f"nothing was taken; `cairn up` starts {name} again")
    if isinstance(error, TimeoutError):
        detail = f"within {TRANSFER_LIMIT_S:.0f} s; whether it was taken is unknown, sending the same again is safe"
        return _problem(path, "service-silent", 504, f"{name} did not answer", detail)
    return _problem(path, "service-broken-off", 502, f"{name} broke off", "whether it was taken is unknown; sending the same again is safe")


def _overloaded(path: str) -> Response:
    return _problem(
        path, "overloaded", 429, "More is waiting than can be taken", "too many requests are under way: send this one again later"
    )


def _no_such_address(path: str) -> Response:
    return _problem(path, "no-such-address", 404, "There is no such address", "see / for the services there are")


def _problem(path: str, kind: str, status: int, title: str, detail: str) -> Response:
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status in (429, 503) else None
    return respond(Problem(type=f"urn:cairn:problem:{kind}", title=title, status=status, detail=detail), path, headers)
