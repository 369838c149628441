"""Everything passes through one address unchanged, and a service that is down is named."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message

from services.cli import serving
from services.cli.home import Entry, write_entries
from shared import gateway, workers
from shared.gateway import create_gateway
from shared.http.gate import SILENCE_LIMIT_S, limit_unread
from shared.http.problems import ClientSilent

PART, PARTS = b"x" * 65_536, 400


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """Yield the address at which an application is served in this process."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="on", timeout_graceful_shutdown=1))
    task = asyncio.create_task(server._serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn sets a flag, no event.
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


async def echo(request: Request) -> Response:
    """Tell what arrived, as it arrived."""
    body = await request.body()
    headers = [(name.decode(), value.decode()) for name, value in request.headers.raw]
    told = {"method": request.method, "target": request.scope["raw_path"].decode(), "query": request.url.query, "headers": headers}
    answer = JSONResponse(told | {"size": len(body), "begins": body[:20].decode(errors="replace")})
    answer.raw_headers += [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"connection", b"x-hop"), (b"x-hop", b"only here")]
    return answer


async def endless(request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(PARTS):
            request.app.state.sent += 1
            yield PART

    return StreamingResponse(parts())


async def broken_off(request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        yield PART
        raise asyncio.CancelledError

    return StreamingResponse(parts())


async def parts_of(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield PART


async def ready(request: Request) -> Response:
    state = request.app.state
    return JSONResponse({"ready": state.ready, "reasons": [] if state.ready else ["12 events wait"]}, 200 if state.ready else 503)


def service() -> Starlette:
    app = Starlette(
        routes=[
            Route("/mastery/endless", endless),
            Route("/mastery/broken", broken_off),
            Route("/health/ready", ready),
            Route("/{path:path}", echo, methods=["GET", "POST", "PUT", "DELETE", "PATCH"]),
        ]
    )
    app.state.sent, app.state.ready = 0, True
    return app


@pytest.fixture
async def mastery() -> AsyncIterator[tuple[Starlette, httpx.AsyncClient]]:
    """A service, and a client that reaches it through a gateway. The gateway also knows of one that is down."""
    app = service()
    async with (
        served(app) as address,
        served(create_gateway(lambda: {"mastery": address, "pathing": "http://127.0.0.1:1"})) as front,
        httpx.AsyncClient(base_url=front, timeout=20) as client,
    ):
        yield app, client


@pytest.mark.parametrize(
    ("asked", "target", "query"),
    [
        ("/mastery/learners/1?limit=5&after=a%2Bb%3D", "/mastery/learners/1", "limit=5&after=a%2Bb%3D"),
        ("/mastery/items/a%2Fb%20c", "/mastery/items/a%2Fb%20c", ""),
        ("/mastery/health/live", "/health/live", ""),
        ("/mastery/docs", "/docs", ""),
        ("/mastery/docs/swagger-ui.css", "/docs/swagger-ui.css", ""),
        ("/mastery/openapi.json", "/openapi.json", ""),
        ("/mastery/metrics", "/metrics", ""),
        ("/mastery", "/mastery", ""),
        ("/mastery/documents", "/mastery/documents", ""),
    ],
)
async def test_an_address_arrives_as_it_was_asked(asked: str, target: str, query: str, mastery: tuple[Any, httpx.AsyncClient]) -> None:
    request = mastery[1].build_request("GET", httpx.URL(mastery[1].base_url).copy_with(raw_path=asked.encode()))
    told = (await mastery[1].send(request)).json()
    assert (told["target"], told["query"]) == (target, query)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_body_arrives_whole_with_its_headers(method: str, mastery: tuple[Any, httpx.AsyncClient]) -> None:
    headers = {"content-type": "application/zip", "traceparent": "00-a-b-01", "connection": "keep-alive, x-mine", "x-mine": "hop"}
    told = (await mastery[1].request(method, "/mastery/imports", content=b"PK" + PART * 40, headers=headers)).json()
    assert (told["method"], told["size"], told["begins"][:3]) == (method, 2 + len(PART) * 40, "PKx")
    arrived = dict(told["headers"])
    assert arrived["content-type"] == "application/zip"
    assert arrived["traceparent"] == "00-a-b-01"
    assert "x-mine" not in arrived
    assert arrived["host"] == mastery[1].base_url.netloc.decode()


async def test_a_body_of_unknown_length_arrives(mastery: tuple[Any, httpx.AsyncClient]) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield PART

    assert (await mastery[1].post("/mastery/imports", content=parts())).json()["size"] == 5 * len(PART)


async def test_repeated_headers_of_an_answer_stay_apart_and_those_of_one_connection_stay_away(
    mastery: tuple[Any, httpx.AsyncClient],
) -> None:
    answer = await mastery[1].get("/mastery/x")
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert "x-hop" not in answer.headers
    assert [len(answer.headers.get_list(name)) for name in ("date", "server")] == [1, 1], "those that each of both servers adds"


async def test_a_head_has_the_headers_and_no_body(mastery: tuple[Any, httpx.AsyncClient]) -> None:
    head, got = [await mastery[1].request(method, "/mastery/health/ready") for method in ("HEAD", "GET")]
    assert (head.status_code, head.headers["content-length"], head.content) == (200, got.headers["content-length"], b"")


async def test_an_answer_is_not_read_faster_than_it_is_taken(mastery: tuple[Starlette, httpx.AsyncClient]) -> None:
    app, client = mastery
    async with client.stream("GET", "/mastery/endless") as answer:
        parts = answer.aiter_raw(1024)
        await anext(parts)
        await asyncio.sleep(0.5)
        assert app.state.sent < PARTS, "26 MB lie in the gateway though nobody took them"
        size = 1024 + sum([len(part) async for part in parts])
    assert size == len(PART) * PARTS


async def test_a_broken_answer_does_not_look_whole(mastery: tuple[Any, httpx.AsyncClient]) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await mastery[1].get("/mastery/broken")


async def test_a_service_that_is_down_is_named(mastery: tuple[Any, httpx.AsyncClient]) -> None:
    answer = await mastery[1].get("/pathing/learners")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert answer.headers["retry-after"] == "1"
    assert "pathing is not running" in answer.json()["title"]
    assert answer.json()["instance"] == "/pathing/learners"
    assert (await mastery[1].get("/mastery/x")).status_code == 200


@asynccontextmanager
async def in_place_of_mastery(behave: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[Any]:
    """Yield a client of a gateway behind which a server of plain sockets stands."""
    server = await asyncio.start_server(behave, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, served(create_gateway(lambda: {"mastery": address})) as front, httpx.AsyncClient(base_url=front) as client:
        yield client


async def test_a_service_that_breaks_off_is_named() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.close()

    async with in_place_of_mastery(hang_up) as client:
        answer = await client.post("/mastery/evidence", content=b"{}")
    assert (answer.status_code, answer.json()["title"]) == (502, "mastery broke off")


async def test_a_body_that_was_sent_is_not_sent_again_empty() -> None:
    asked = 0

    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        while await reader.readuntil(b"\r\n\r\n"):
            assert await reader.readexactly(4) == b"body"
            asked += 1
            if asked == 2:
                break
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        writer.close()

    async with in_place_of_mastery(answer_once) as client:
        answers = [(await client.put("/mastery/x", content=b"body")).status_code for _ in range(2)]
    assert (answers, asked) == ([200, 502], 2)


async def test_a_service_that_says_nothing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "TRANSFER_LIMIT_S", 0.1)

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with in_place_of_mastery(say_nothing) as client:
        answer = await client.get("/mastery/x")
    assert (answer.status_code, answer.json()["title"]) == (504, "mastery did not answer")


async def test_a_service_that_stops_in_the_middle_of_a_large_body_is_named_and_gives_its_turn_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "TRANSFER_LIMIT_S", 0.3)
    monkeypatch.setattr(gateway, "MAX_CONNECTIONS", 1)
    asked, over = 0, asyncio.Event()

    async def stop_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        await reader.readuntil(b"\r\n\r\n")
        asked += 1
        if asked == 1:
            await over.wait()  # Takes no part of the body, as if the process had been stopped.
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
        writer.close()

    async with in_place_of_mastery(stop_once) as client:
        async with asyncio.timeout(20):
            answer = await client.post("/mastery/imports", content=parts_of(1_000))
        assert (answer.status_code, answer.json()["title"]) == (504, "mastery did not answer")
        assert (await client.get("/mastery/x")).status_code == 200
        over.set()


async def test_a_client_that_stops_in_the_middle_is_told_and_gives_its_turn_back(
    mastery: tuple[Starlette, httpx.AsyncClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "TRANSFER_LIMIT_S", 0.3)
    monkeypatch.setattr(gateway, "TURN_LIMIT_S", 3.0)
    front = mastery[1].base_url
    reader, writer = await asyncio.open_connection(front.host, front.port)
    writer.write(b"POST /mastery/imports HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nonly this")
    async with asyncio.timeout(10):
        said = await reader.read()  # To its end: the connection is closed.
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in head.lower()
    problem = orjson.loads(body)
    assert (problem["type"], problem["instance"]) == ("urn:cairn:problem:client-silent", "/mastery/imports")
    assert "send it again" in problem["detail"]
    writer.close()
    assert (await mastery[1].get("/mastery/x")).status_code == 200


@pytest.mark.parametrize(
    "asked",
    [
        b"POST /mastery/imports HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nonly this",
        b"GET /mastery/endless HTTP/1.1\r\nhost: x\r\n\r\n",
    ],
    ids=["silent", "reads nothing"],
)
async def test_clients_that_do_not_move_take_nobody_elses_turn(asked: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "TRANSFER_LIMIT_S", 0.5)
    monkeypatch.setattr(gateway, "MAX_CONNECTIONS", 3)
    places: dict[str, str] = {}
    async with (
        served(service()) as places["mastery"],
        served(create_gateway(lambda: places)) as front,
        httpx.AsyncClient(base_url=front) as client,
    ):
        still = [await asyncio.open_connection(client.base_url.host, client.base_url.port) for _ in range(3)]
        for _, writer in still:
            writer.write(asked)
        await asyncio.sleep(0.2)
        async with asyncio.timeout(4):  # Less than it waits for a turn.
            assert (await client.get("/mastery/x")).status_code == 200
        for _, writer in still:
            writer.transport.abort()


async def test_who_is_slow_and_moves_is_waited_for(mastery: tuple[Starlette, httpx.AsyncClient], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "TRANSFER_LIMIT_S", 3.0)  # Less than the whole takes; a busy machine may stand still for 2 s.

    async def slowly() -> AsyncIterator[bytes]:
        async for part in parts_of(8):
            await asyncio.sleep(0.5)
            yield part

    assert (await mastery[1].post("/mastery/imports", content=slowly())).json()["size"] == 8 * len(PART)


@pytest.mark.parametrize(("each", "minutes"), [(10, 2), (60_000, 2), (310_000, 3), (510_000, 7), (600_000, None)])
async def test_a_whole_body_has_a_limit_of_time_that_grows_with_it(monkeypatch: pytest.MonkeyPatch, each: int, minutes: int | None) -> None:
    """A client that brings so many bytes a minute is let go within the minute after so many."""
    loop, now = asyncio.get_running_loop(), 1_000.0
    monkeypatch.setattr(loop, "time", lambda: now)

    async def receive() -> Message:
        nonlocal now
        for _ in range(60):
            now += 1
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return {"type": "http.request", "body": b"x" * each, "more_body": True}

    async def send(message: Message) -> None:
        raise AssertionError

    client, came = gateway._Client(receive, send), 0

    async def bring() -> None:
        nonlocal came
        async with client.watched():
            for _ in range(1_000):
                await client.receive()
                came += 1

    if minutes is None:
        await bring()
        return
    with pytest.raises(ClientSilent, match=f"only {minutes * each:,} bytes of it came in"):
        await bring()
    assert came == minutes
    assert now - 1_000 == pytest.approx(120 + minutes * each / gateway.SLOWEST_BYTES_S, abs=2)


async def test_time_that_a_service_takes_is_not_the_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, now = asyncio.get_running_loop(), 1_000.0
    monkeypatch.setattr(loop, "time", lambda: now)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def send(message: Message) -> None:
        raise AssertionError

    client = gateway._Client(receive, send)
    async with client.watched():
        for _ in range(10):
            await client.receive()
            now += 100
            await asyncio.sleep(0)


async def test_a_client_that_trickles_is_told_and_gives_its_turn_back(
    mastery: tuple[Starlette, httpx.AsyncClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "TRANSFER_LIMIT_S", 1.0)
    front = mastery[1].base_url
    reader, writer = await asyncio.open_connection(front.host, front.port)
    writer.write(b"POST /mastery/imports HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n")
    said = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
    async with asyncio.timeout(30):
        while not said.done():
            writer.write(b"x")
            await asyncio.sleep(0.05)
    assert (await said).startswith(b"HTTP/1.1 408 ")
    writer.close()
    assert (await mastery[1].get("/mastery/x")).status_code == 200


async def test_the_system_cuts_a_connection_of_which_nothing_is_taken() -> None:
    cut = asyncio.Event()

    async def write_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(PART * PARTS)
        writer.close()  # Closed by us, and open all the same, as long as something is left to write.
        try:
            await writer.wait_closed()
        except TimeoutError:
            cut.set()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        limit_unread(listening, 0.3)
        async with await asyncio.start_server(write_all, sock=listening.dup()):
            with socket.create_connection(listening.getsockname()):
                async with asyncio.timeout(20):
                    await cut.wait()


def test_the_gateway_limits_connections_and_what_lies_unread(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[tuple[uvicorn.Config, socket.socket]] = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: seen.append((self.config, *sockets)))
    monkeypatch.setattr(serving, "configure_logging", lambda *arguments: None)
    monkeypatch.setenv("CAIRN_PORT", "0")
    write_entries(tmp_path, {"mastery": Entry(1)})
    serving.gateway(tmp_path)
    [(config, listening)] = seen
    with listening:
        assert config.limit_concurrency == workers.MAX_CLIENTS > 2 * gateway.MAX_REQUESTS
        assert listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == SILENCE_LIMIT_S * 1000


@pytest.mark.parametrize("path", ["/nobody/x", "/nobody", "/mastery%00/x"])
async def test_an_unknown_service_is_a_problem(path: str, mastery: tuple[Any, httpx.AsyncClient]) -> None:
    answer = await mastery[1].get(path)
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:cairn:problem:no-such-address")


async def test_more_than_can_be_passed_on_is_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "MAX_CONNECTIONS", 2)
    monkeypatch.setattr(gateway, "MAX_REQUESTS", 5)
    monkeypatch.setattr(gateway, "TURN_LIMIT_S", 0.3)
    answering, reached = asyncio.Event(), 0

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal reached
        await reader.readuntil(b"\r\n\r\n")
        reached += 1
        await answering.wait()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()

    async with in_place_of_mastery(slow) as client:
        asked = [asyncio.create_task(client.get("/mastery/x")) for _ in range(9)]
        await asyncio.sleep(0.6)  # Four find no place at once, three find no turn.
        turned_away = [task.result() for task in asked if task.done()]
        assert [answer.status_code for answer in turned_away] == [429] * 7
        assert all(answer.headers["retry-after"] == "1" for answer in turned_away)
        assert reached == 2
        answering.set()
        assert sorted([(await task).status_code for task in asked]) == [200] * 2 + [429] * 7
        assert (await client.get("/mastery/x")).status_code == 200


async def test_a_client_that_goes_away_in_the_middle_leaves_no_trace(mastery: tuple[Any, httpx.AsyncClient]) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield PART
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        await mastery[1].post("/mastery/imports", content=parts())
    assert (await mastery[1].post("/mastery/imports", content=b"x")).json()["size"] == 1


async def test_a_service_at_a_new_address_is_found_at_the_next_request() -> None:
    places = {"mastery": "http://127.0.0.1:1"}
    async with served(service()) as address, served(create_gateway(lambda: places)) as front, httpx.AsyncClient(base_url=front) as client:
        assert (await client.get("/mastery/x")).status_code == 503
        places["mastery"] = address
        assert (await client.get("/mastery/x")).status_code == 200


async def test_a_service_that_was_started_again_is_reached_at_once() -> None:
    places: dict[str, str] = {}
    async with served(create_gateway(lambda: places)) as front, httpx.AsyncClient(base_url=front) as client:
        for _ in range(3):
            async with served(service()) as places["mastery"]:
                for _ in range(5):
                    assert (await client.get("/mastery/x")).status_code == 200


async def test_the_first_page_and_the_health_say_how_each_service_is(mastery: tuple[Starlette, httpx.AsyncClient]) -> None:
    app, client = mastery
    page = (await client.get("/")).text
    assert 'href="mastery/docs"' in page
    assert "it does not answer: `cairn up` starts it again" in page
    app.state.ready = False
    answer = await client.get("/health/ready")
    assert (answer.status_code, answer.json()["reasons"][0]) == (503, "mastery: 12 events wait")
    assert (await client.get("/health/live")).json() == {"status": "live"}


async def test_reasons_are_shown_as_text() -> None:
    async def evil(request: Request) -> Response:
        return JSONResponse({"ready": False, "reasons": ["<script>alert(1)</script>"]}, 503)

    app = Starlette(routes=[Route("/health/ready", evil)])
    async with (
        served(app) as address,
        served(create_gateway(lambda: {"mastery": address})) as front,
        httpx.AsyncClient(base_url=front) as client,
    ):
        assert "<script>" not in (await client.get("/")).text
