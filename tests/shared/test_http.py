"""Every answer has one form, and nothing unsound reaches a route."""

import asyncio
import gzip
import io
import json
import logging
import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime
from time import monotonic
from typing import Annotated, Any
from uuid import UUID

import httpx
import orjson
import psycopg
import pytest
import structlog
import uvicorn
from fastapi import APIRouter, FastAPI, Request
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from psycopg_pool import PoolTimeout
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import Response

from shared import errors, gateway, workers
from shared.http import (
    FIRST_ID,
    NEVER,
    Health,
    Page,
    PageAsked,
    Paging,
    Sent,
    create_app,
    gate,
    read_json,
    read_model,
    require_content_type,
    strict_json,
)
from shared.http import body as body_room
from shared.http.app import HEALTH_TIMEOUT_S
from shared.http.body import MAX_DEPTH
from shared.http.gate import Gate
from shared.http.problems import MAX_FAULTS, MEDIA_TYPE, STATUS
from shared.telemetry import Metrics, configure_logging

LIMIT = 10_000
SMALL = 100
CANARY = "Canary Marmalade"
JSON = {"content-type": "application/json"}


class Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    learner_id: UUID
    score_e6: Annotated[int, Field(ge=0, le=1_000_000)]
    share: float = 0.0
    late: bool = False
    item: str = ""
    days: tuple[date, ...] = ()
    at: AwareDatetime | None = None
    due: dict[str, date] = {}


class Batch(BaseModel):
    answers: list[Answer]


RAISED: dict[str, Exception] = {
    "malformed": errors.MalformedInput("not a ZIP"),
    "large": errors.TooLarge("too many rows"),
    "bad": errors.BadInput("a row is wrong", [errors.Fault("users.csv:3:2", "missing", "no given name", "fill it in")]),
    "unknown": errors.NotFound("no learner has this id"),
    "refused": errors.Refused("stale", "the day was changed since: search again"),
    "busy": errors.Overloaded("the queue of evidence", 7),
    "away": psycopg.OperationalError(f"connection to {CANARY} failed"),
    "crowded": PoolTimeout("couldn't get a connection"),
    "restored": errors.Diverged(f"position 7 {CANARY}"),
    "stopped": errors.LedgerError(f"position 7 {CANARY}"),
    "limited": psycopg.errors.ProgramLimitExceeded(f"index row size 3000 exceeds {CANARY}"),
    "broken": RuntimeError(CANARY),
}
STATUS_OF = {
    "malformed": 400,
    "large": 413,
    "bad": 422,
    "unknown": 404,
    "refused": 409,
    "busy": 429,
    "away": 503,
    "crowded": 503,
    "restored": 503,
    "stopped": 500,
    "limited": 500,
    "broken": 500,
}


def routes() -> APIRouter:
    router = APIRouter()

    @router.post("/echo")
    async def echo(request: Request) -> Any:
        return await read_json(request)

    @router.post("/small")
    async def small(request: Request) -> Any:
        return await read_json(request, max_bytes=SMALL)

    @router.post("/batches")
    async def batches(request: Request) -> int:
        return len((await read_model(request, Batch)).answers)

    @router.post("/declared")
    async def declared(batch: Sent[Batch]) -> int:
        return len(batch.answers)

    @router.post("/files")
    async def files(request: Request) -> int:
        require_content_type(request, "application/zip", "text/csv")
        return len(await request.body())

    @router.get("/learners/{learner_id}")
    async def learner(learner_id: UUID) -> str:
        return str(learner_id)

    @router.get("/numbers")
    async def numbers(paging: Paging) -> Page[int]:
        (last,) = paging.behind(-1)
        return paging.page([n for n in range(250) if n > last][: paging.most], lambda n: [n])

    @router.get("/raise/{name}")
    async def fail(name: str) -> None:
        raise RAISED[name]

    @router.get("/trace")
    async def traced() -> str:
        return trace.format_trace_id(trace.get_current_span().get_span_context().trace_id)

    return router


def app_with(health: Callable[[], Any]) -> FastAPI:
    return create_app("Test", "1.2.3", [routes()], None, health, Metrics(), max_body_bytes=LIMIT)


async def healthy() -> Health:
    return Health(ready=True)


def client_of(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app_with(healthy)) as made:
        yield made


def problem(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == MEDIA_TYPE
    content: dict[str, Any] = response.json()
    assert content["status"] == status
    assert content["type"].startswith("urn:cairn:problem:")
    assert content["title"]
    assert content["detail"]
    return content


# Errors


@pytest.mark.parametrize("name", RAISED)
async def test_every_error_has_its_status(name: str, client: httpx.AsyncClient) -> None:
    content = problem(await client.get(f"/raise/{name}"), STATUS_OF[name])
    assert content["instance"] == f"/raise/{name}"


def test_the_table_names_the_special_before_the_general() -> None:
    kinds = [row[0] for row in STATUS]
    assert all(not issubclass(later, earlier) for i, earlier in enumerate(kinds) for later in kinds[i + 1 :])


async def test_a_fault_says_where_and_what_to_do(client: httpx.AsyncClient) -> None:
    content = problem(await client.get("/raise/bad"), 422)
    assert content["errors"] == [{"place": "users.csv:3:2", "code": "missing", "detail": "no given name", "remedy": "fill it in"}]
    assert problem(await client.get("/raise/refused"), 409)["errors"][0]["code"] == "stale"
    assert (await client.get("/raise/busy")).headers["retry-after"] == "7"


async def test_the_inside_is_logged_and_not_shown(client: httpx.AsyncClient) -> None:
    handlers, level, to = logging.root.handlers, logging.root.level, io.StringIO()
    configure_logging("test", to=to)
    try:
        for name in ("broken", "stopped"):
            assert CANARY not in (await client.get(f"/raise/{name}")).text
    finally:
        logging.root.handlers = handlers
        logging.root.setLevel(level)
        structlog.reset_defaults()
    broken, stopped = [json.loads(line)["exception"] for line in to.getvalue().splitlines()]
    assert "message" not in broken
    assert broken["type"] == "builtins.RuntimeError"
    assert "test_http.py" in broken["frames"][-1]
    assert stopped["message"] == f"position 7 {CANARY}"  # Words of our own errors are ours, and may be logged.


async def test_unknown_addresses_and_methods_are_problems(client: httpx.AsyncClient) -> None:
    assert problem(await client.get("/nowhere"), 404)["type"] == "urn:cairn:problem:no-such-address"
    response = await client.delete("/echo")
    assert problem(response, 405)["type"] == "urn:cairn:problem:wrong-method"
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize("address", ["/health/ready/", "/health/live/", "/echo/", "/metrics/"])
async def test_an_address_with_a_slash_too_many_leads_nowhere_else(address: str, client: httpx.AsyncClient) -> None:
    response = await client.get(address)
    assert problem(response, 404)["type"] == "urn:cairn:problem:no-such-address"
    assert "location" not in response.headers


async def test_a_wrong_id_or_parameter_is_named(client: httpx.AsyncClient) -> None:
    assert problem(await client.get("/learners/17"), 422)["errors"][0]["place"] == "path/learner_id"
    assert problem(await client.get("/numbers?limit=0"), 422)["errors"][0]["place"] == "query/limit"


async def test_u0000_in_an_address_goes_no_further(client: httpx.AsyncClient) -> None:
    problem(await client.get("/raise/%00"), 400)
    problem(await client.get("/numbers?after=a%00"), 400)


# Bodies


@pytest.mark.parametrize("address", ["/batches", "/declared"])
async def test_each_wrong_place_of_a_body_is_named(address: str, client: httpx.AsyncClient) -> None:
    learner = "9b2d6a53-6c1c-4d4c-8d0a-000000000001"
    good = {"learner_id": learner, "score_e6": 5}
    assert (await client.post(address, json={"answers": [good]})).json() == 1
    bad = [good, {"learner_id": learner}, {"learner_id": CANARY, "score_e6": 1_000_001}, good | {"a/b~c": 1}]
    response = await client.post(address, json={"answers": bad})
    faults = {fault["place"]: fault for fault in problem(response, 422)["errors"]}
    assert set(faults) == {"/answers/1/score_e6", "/answers/2/learner_id", "/answers/2/score_e6", "/answers/3/a~1b~0c"}
    assert (faults["/answers/1/score_e6"]["code"], faults["/answers/1/score_e6"]["remedy"]) == ("missing", "add it")
    assert CANARY not in response.text


WRONG: list[tuple[str, Any, str]] = [
    *(("learner_id", value, "") for value in (0, True)), *(("score_e6", value, "") for value in ("5", True, 5.5)),
    *(("share", value, "") for value in ("1", True)), *(("late", value, "") for value in (1, "true")),
    *(("item", value, "") for value in (7, True)), *(("at", value, "") for value in (0, "0", " 1764547200", True)),
    *(("days", value, "/0") for value in ([0], ["0"], ["86400.0"], [True])), ("days", "2026-11-24", ""), ("due", {"a": "-1"}, "/a"),
]  # fmt: skip


@pytest.mark.parametrize("address", ["/batches", "/declared"])
async def test_nothing_is_taken_for_what_it_is_not(address: str, client: httpx.AsyncClient) -> None:
    good: dict[str, Any] = {
        "learner_id": "9b2d6a53-6c1c-4d4c-8d0a-000000000001", "score_e6": 5, "share": 1, "late": True, "item": "7",
        "days": ["2026-11-24"], "at": "2026-11-24T08:00:00Z", "due": {"86400": "2026-11-24"},
    }  # fmt: skip
    assert (await client.post(address, json={"answers": [good]})).json() == 1
    for name, value, inside in WRONG:
        (fault,) = problem(await client.post(address, json={"answers": [good, good | {name: value}]}), 422)["errors"]
        assert fault["place"] == f"/answers/1/{name}{inside}", value
        assert fault["remedy"]


async def test_only_so_many_faults_are_listed_and_all_are_counted(client: httpx.AsyncClient) -> None:
    content = problem(await client.post("/batches", json={"answers": [{}] * 200}), 422)
    assert len(content["errors"]) == MAX_FAULTS
    assert "400 faults" in content["detail"]


UNSOUND = {
    b"": ("json-invalid", ""),
    b"{": ("json-invalid", ""),
    b'{"a": 1} x': ("json-invalid", ""),
    b'{"a": "\x01"}': ("json-invalid", ""),
    b'{"a": "\xff"}': ("not-utf-8", ""),
    '{"a": "b"}'.encode("utf-16"): ("not-utf-8", ""),
    b'{"a": "\xed\xa0\x80"}': ("not-utf-8", ""),
    b'{"a": [0, {"b": 1, "c": 2, "b": 1}]}': ("duplicate-key", "/a/1/b"),
    b'{"a": ["x\\u0000"]}': ("null-character", "/a/0"),
    b'{"a\\u0000": 1}': ("null-character", "/a\\u0000"),
    b'{"a": {"b": "\\ud83d"}}': ("lone-surrogate", "/a/b"),
    b'{"a": {"b": "\\ude00\\ud83d"}}': ("lone-surrogate", "/a/b"),
    b'{"\\udead": 1}': ("lone-surrogate", "/\\udead"),
    b'{"a": [1, 9007199254740992]}': ("integer-too-large", "/a/1"),
    b'{"a": -9007199254740992}': ("integer-too-large", "/a"),
    b"[" + b"9" * 5000 + b"]": ("integer-too-large", "/0"),
    b'{"a": 1e999}': ("number-not-finite", "/a"),
    b'{"a": NaN}': ("number-not-finite", "/a"),
    b"[-Infinity]": ("number-not-finite", "/0"),
    b"[" * 65 + b"]" * 65: ("too-deep", "/0" * MAX_DEPTH),
    b"[" * 4000 + b"]" * 4000: ("too-deep", None),
}


@pytest.mark.parametrize("body", UNSOUND)
@pytest.mark.parametrize("address", ["/echo", "/declared", "/files"])
async def test_unsound_json_reaches_no_route(address: str, body: bytes, client: httpx.AsyncClient) -> None:
    """Not even one that would not have looked at it; only an empty body is each route's own business."""
    if not body and address != "/echo":
        return
    code, place = UNSOUND[body]
    content = problem(await client.post(address, content=body, headers=JSON), 400)
    assert content["errors"][0]["code"] == code
    assert place is None or content["errors"][0]["place"] == place


async def test_sound_json_arrives_as_it_was_sent(client: httpx.AsyncClient) -> None:
    value = {"a": [9007199254740991, -9007199254740991, 0.5, True, None, "\U0001f600 \u00fc \u2028"], "b": {"": {}}, "c": []}
    for sent in ("application/json", "Application/JSON; charset=utf-8", "application/ld+json"):
        response = await client.post("/echo", content=json.dumps(value), headers={"content-type": sent})
        assert response.json() == value
    assert strict_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH) is not None
    assert strict_json(b'{"a": "\\ud83d\\ude00"}') == {"a": "\U0001f600"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")), inner),
)  # fmt: skip


@given(json_values)
def test_strict_json_reads_what_others_write(value: Any) -> None:
    assert strict_json(orjson.dumps(value)) == value
    assert strict_json(json.dumps(value).encode()) == value
    assert strict_json(json.dumps(value).encode("utf-8-sig")) == value


@given(st.binary(max_size=60) | st.text('{}[]":,\\u0d8e12-.aN', max_size=60).map(str.encode))
def test_strict_json_fails_in_one_way_only(body: bytes) -> None:
    value: Any = object()
    faults: tuple[errors.Fault, ...] = ()
    try:
        value = strict_json(body)
    except errors.MalformedInput as error:
        faults = error.faults
    assert faults or orjson.loads(orjson.dumps(value)) == value


async def test_a_body_of_another_type_is_refused(client: httpx.AsyncClient) -> None:
    for sent in ({"content-type": "text/plain"}, {"content-type": "application/jsonx"}, {}):
        assert "application/json" in problem(await client.post("/echo", content=b"{}", headers=sent), 415)["detail"]
    assert (await client.post("/files", content=b"abc", headers={"content-type": "text/csv; charset=utf-8"})).json() == 3
    problem(await client.post("/files", content=b"{}", headers=JSON), 415)
    for sent in ({"content-type": "text/plain"}, {}):
        detail = problem(await client.post("/declared", content=b'{"answers": []}', headers=sent), 415)["detail"]
        assert detail == f"the Content-Type is {sent.get('content-type', 'missing')}: send application/json"


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "identity, br", "deflate"])
async def test_a_compressed_body_is_refused_as_such(coding: str, client: httpx.AsyncClient) -> None:
    refused = problem(await client.post("/echo", content=gzip.compress(b"{}"), headers=JSON | {"content-encoding": coding}), 415)
    assert refused["type"] == "urn:cairn:problem:wrong-content-coding"
    assert refused["detail"] == f"the Content-Encoding is {coding}: send the body uncompressed, without this header"
    assert (await client.post("/echo", content=b"{}", headers=JSON | {"content-encoding": "identity"})).json() == {}


async def test_a_body_that_is_too_large_is_refused_with_the_limit(client: httpx.AsyncClient) -> None:
    csv = {"content-type": "text/csv"}
    assert (await client.post("/files", content=b"x" * LIMIT, headers=csv)).json() == LIMIT
    assert f"{LIMIT} bytes" in problem(await client.post("/files", content=b"x" * (LIMIT + 1), headers=csv), 413)["detail"]
    assert (await client.post("/small", content=b" " * (SMALL - 2) + b"{}", headers=JSON)).json() == {}
    assert f"{SMALL} bytes" in problem(await client.post("/small", content=b" " * SMALL + b"{}", headers=JSON), 413)["detail"]


async def test_a_body_without_a_declared_length_is_counted_on_a_real_server() -> None:
    server = uvicorn.Server(uvicorn.Config(app_with(healthy), host="127.0.0.1", port=0, log_config=None))
    task = asyncio.create_task(server.serve())
    try:
        for _ in range(1000):
            await asyncio.sleep(0.01)
            if server.started:
                break
        address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"

        async def chunks(count: int) -> AsyncIterator[bytes]:
            for _ in range(count):
                yield b"x" * (LIMIT // 10)

        async with httpx.AsyncClient(base_url=address, headers={"content-type": "text/csv"}) as client:
            assert (await client.post("/files", content=chunks(10))).json() == LIMIT
            problem(await client.post("/files", content=chunks(11)), 413)
            assert (await client.get("/health/live")).status_code == 200
    finally:
        server.should_exit = True
        await task


# Lists


async def test_pages_give_every_item_once(client: httpx.AsyncClient) -> None:
    seen: list[int] = []
    after: dict[str, str] = {}
    sizes = []
    while True:
        page = (await client.get("/numbers", params={"limit": "90"} | after)).json()
        seen += page["items"]
        sizes.append(len(page["items"]))
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert seen == list(range(250))
    assert sizes == [90, 90, 70]
    assert len((await client.get("/numbers")).json()["items"]) == 100
    assert (await client.get("/numbers?limit=250")).json()["next"] is None


@pytest.mark.parametrize("cursor", ["", "x", "!!!!", "W10=", "WyJhIl0=", "WzFd" * 2, "ü", "W3RydWVd"])
async def test_a_cursor_of_another_list_is_refused(cursor: str, client: httpx.AsyncClient) -> None:
    content = problem(await client.get("/numbers", params={"after": cursor}), 422)
    assert content["errors"][0]["place"] == "query/after"


ID, AT = UUID(int=7), datetime(2026, 11, 24, 8, 0, 0, 5, tzinfo=UTC)


def test_a_cursor_gives_ids_and_instants_back() -> None:
    page = PageAsked(limit=1).page([1, 2], lambda row: (ID, AT, "x", row))
    assert PageAsked(after=page.next).behind(FIRST_ID, NEVER, "", 0) == (ID, AT, "x", 1)
    assert PageAsked().behind(FIRST_ID, NEVER, "", 0) == (FIRST_ID, NEVER, "", 0)


@pytest.mark.parametrize("first", [(ID, ID, "", 0), (ID, AT, ID, 0), (ID, AT, ""), (ID, AT, "", ID)])
def test_a_cursor_that_holds_no_such_key_is_refused(first: tuple[Any, ...]) -> None:
    page = PageAsked(limit=1).page([1, 2], lambda row: (ID, AT, "x", row))
    with pytest.raises(errors.BadInput, match="start again without it") as refused:
        PageAsked(after=page.next).behind(*first)
    assert [fault.code for fault in refused.value.faults] == ["cursor-invalid"]


# Operations


async def test_ready_means_progress(client: httpx.AsyncClient) -> None:
    assert (await client.get("/health/live")).json() == {"status": "live"}
    assert (await client.get("/health/ready")).json() == {"ready": True, "reasons": [], "notes": []}

    async def stalled() -> Health:
        return Health(ready=False, reasons=["evidence/3: 12 events wait, none applied for 31 s"])

    async def broken() -> Health:
        raise OSError(CANARY)

    async with client_of(app_with(stalled)) as other:
        response = await other.get("/health/ready")
        assert (response.status_code, response.json()["reasons"][0][:10]) == (503, "evidence/3")
        assert (await other.get("/health/live")).status_code == 200
    async with client_of(app_with(broken)) as other:
        response = await other.get("/health/ready")
        assert (response.status_code, response.json()["reasons"]) == (503, ["the health check failed: OSError"])


async def test_health_answers_head_as_it_answers_get(client: httpx.AsyncClient) -> None:
    async def stalled() -> Health:
        return Health(ready=False, reasons=["evidence/3: 12 events wait, none applied for 31 s"])

    async with client_of(app_with(stalled)) as other:
        for asked in (client, other):
            for address in ("/health/live", "/health/ready"):
                head, got = await asked.head(address), await asked.get(address)
                assert (head.status_code, head.headers) == (got.status_code, got.headers)


async def test_a_health_check_that_hangs_is_a_no(monkeypatch: pytest.MonkeyPatch) -> None:
    assert HEALTH_TIMEOUT_S > 1
    monkeypatch.setattr("shared.http.app.HEALTH_TIMEOUT_S", 0.05)

    async def hanging() -> Health:
        await asyncio.sleep(60)
        return Health(ready=True)

    async with client_of(app_with(hanging)) as client:
        assert (await client.get("/health/ready")).status_code == 503


async def test_metrics_are_served(client: httpx.AsyncClient) -> None:
    response = await client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    assert "cairn_relay_published_total 0.0" in response.text


async def test_a_request_continues_the_clients_trace(client: httpx.AsyncClient) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    assert (await client.get("/trace", headers={"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"})).json() == trace_id


async def test_the_document_is_openapi_3_1_and_tells_of_problems(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    assert document["info"] == {"title": "Test", "version": "1.2.3"}
    content = document["paths"]["/batches"]["post"]["responses"]["422"]["content"]
    assert content == {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    assert "Page_int_" in document["components"]["schemas"]


async def test_the_page_of_the_api_needs_no_internet_and_works_behind_a_prefix(client: httpx.AsyncClient) -> None:
    page = (await client.get("/docs")).text
    addresses = re.findall(r"""(?:src|href)="([^"]*)"|url: '([^']*)'""", page)
    named = {first or second for first, second in addresses}
    assert len(named) == 4
    for address in named:
        assert not address.startswith(("/", "http")), f"{address} leads elsewhere behind a prefix"
        assert (await client.get(f"/{address}")).status_code == 200


async def test_more_requests_than_are_taken_at_once_are_told_to_come_back() -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/slow" and not entered.is_set():
            entered.set()
            await leave.wait()
        await Response("done")(scope, receive, send)

    transport = httpx.ASGITransport(Gate(slow, max_requests=1))
    async with httpx.AsyncClient(transport=transport, base_url="http://cairn.test") as client:
        first = asyncio.create_task(client.get("/slow"))
        await entered.wait()
        turned_away, health = await client.get("/slow"), await client.get("/health/live")
        leave.set()
        assert (await first).status_code == 200
        assert turned_away.status_code == 429
        assert turned_away.headers["content-type"] == MEDIA_TYPE
        assert turned_away.headers["retry-after"]
        assert health.status_code == 200
        assert (await client.get("/other")).status_code == 200


async def test_who_would_write_while_the_queue_is_full_is_turned_away_unread() -> None:
    full, read = True, 0

    async def take(scope: Any, receive: Any, send: Any) -> None:
        await Response("taken")(scope, receive, send)

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        read += 1
        yield b"{}"

    transport = httpx.ASGITransport(Gate(take, is_full=lambda: full))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            refused = await client.request(method, "/", content=body())
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert read == 0
        assert (await client.get("/")).text == "taken"  # Who reads needs no room in it.
        full = False
        assert (await client.post("/", content=body())).text == "taken"
        assert read == 1


async def test_bodies_take_up_no_more_room_than_is_given_them() -> None:
    going_on = asyncio.Event()

    async def take(scope: Any, receive: Any, send: Any) -> None:
        size = len((await receive())["body"])
        if scope["path"] == "/slow":
            await going_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(size).encode()})

    transport = httpx.ASGITransport(Gate(take, max_held_bytes=LIMIT))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.post("/", content=b"x" * 2 * LIMIT)).text == str(2 * LIMIT)  # Alone it may be larger.
        slow = asyncio.create_task(client.post("/slow", content=b"x" * LIMIT))
        await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        refused = await client.post("/", content=b"y")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert (await client.get("/health/live")).status_code == 200
        assert (await client.get("/")).status_code == 200  # What brings nothing needs no room.
        going_on.set()
        assert (await slow).text == str(LIMIT)
        assert (await client.post("/", content=b"y" * LIMIT)).text == str(LIMIT)


async def test_large_bodies_are_taken_where_they_belong_and_one_at_a_time() -> None:
    going_on, entered = asyncio.Event(), asyncio.Event()

    async def take(scope: Any, receive: Any, send: Any) -> None:
        size = len((await receive())["body"])
        if scope["query_string"] == b"slow":
            entered.set()
            await going_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(size).encode()})

    one = Gate(take, max_body_bytes=LIMIT, max_held_bytes=2 * LIMIT, large={"/large": 4 * LIMIT})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(one), base_url="http://test") as client:
        assert (await client.post("/large", content=b"x" * 4 * LIMIT)).text == str(4 * LIMIT)
        for path, size in (("/large", 4 * LIMIT), ("/", LIMIT)):
            refused = await client.post(path, content=b"x" * (size + 1))
            assert (refused.status_code, str(size) in refused.text) == (413, True)
        slow = asyncio.create_task(client.post("/large?slow", content=b"x" * 3 * LIMIT))
        await entered.wait()
        refused = await client.post("/large", content=b"x" * (LIMIT + 1))
        assert (refused.status_code, refused.headers.get("retry-after")) == (429, "10")
        for path in ("/", "/large"):
            assert (await client.post(path, content=b"x" * LIMIT)).text == str(LIMIT)
        going_on.set()
        assert (await slow).text == str(3 * LIMIT)
        assert (await client.post("/large", content=b"x" * 2 * LIMIT)).text == str(2 * LIMIT)


SCOPE = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": []}


async def answers(to: Gate) -> int:
    """Return the status that a request with a body gets."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(to), base_url="http://test") as client:
        return (await client.post("/", content=b"x")).status_code


async def taken(scope: Any, receive: Any, send: Any) -> None:
    await Response("taken")(scope, receive, send)


async def test_a_client_that_stops_in_the_middle_is_told_and_gives_its_place_back() -> None:
    one, sent, parts = Gate(taken, max_requests=1, max_held_bytes=1, silence_limit_s=0.1), [], [b"{"]

    async def receive() -> Any:
        if parts:
            return {"type": "http.request", "body": parts.pop(), "more_body": True}
        return await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    silent = asyncio.create_task(one(SCOPE, receive, send))
    await asyncio.sleep(0.02)
    assert await answers(one) == 429
    await asyncio.wait_for(silent, 5)
    assert (sent[0]["status"], dict(sent[0]["headers"])[b"connection"]) == (408, b"close")
    told = orjson.loads(sent[1]["body"])
    assert told["type"] == "urn:cairn:problem:client-silent"
    assert "send it again" in told["detail"]
    assert await answers(one) == 200


def trickling(size: int) -> Any:
    """Return a `receive` that brings so many bytes, then one every 10 ms without end."""
    first = [b"x" * size]

    async def receive() -> Any:
        if not first:
            await asyncio.sleep(0.01)
        return {"type": "http.request", "body": first.pop() if first else b"x", "more_body": True}

    return receive


@pytest.mark.parametrize(("size", "least_s"), [(0, 0.1), (gate.SLOWEST_BYTES_S // 2, 0.6)])
async def test_a_client_that_trickles_is_told_and_gives_its_place_back(size: int, least_s: float) -> None:
    one, sent, began = Gate(taken, max_requests=1, silence_limit_s=0.1), [], monotonic()

    async def send(message: Any) -> None:
        sent.append(message)

    still = asyncio.create_task(one(SCOPE, trickling(size), send))
    await asyncio.sleep(0.02)
    assert await answers(one) == 429
    await asyncio.wait_for(still, 20)
    assert monotonic() - began >= least_s, "what it brought counts"
    assert sent[0]["status"] == 408
    assert " bytes of it came in " in orjson.loads(sent[1]["body"])["detail"]
    assert await answers(one) == 200


async def test_a_large_body_that_trickles_gives_its_room_back() -> None:
    one = Gate(taken, max_body_bytes=LIMIT, large={"/": 4 * LIMIT}, large_limit_s=0.2)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(one), base_url="http://test") as client:
        still = asyncio.create_task(one(SCOPE, trickling(LIMIT + 1), send))
        await asyncio.sleep(0.05)
        assert (await client.post("/", content=b"x" * 2 * LIMIT)).status_code == 429
        await asyncio.wait_for(still, 20)
        assert sent[0]["status"] == 408
        assert (await client.post("/", content=b"x" * 2 * LIMIT)).status_code == 200


async def test_what_is_there_already_is_not_late() -> None:
    """As where the whole process stood still."""
    sizes = [LIMIT + 1, 1, 1]

    async def receive() -> Any:
        size = sizes.pop(0)
        return {"type": "http.request", "body": b"x" * size, "more_body": bool(sizes)}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await Gate(taken, max_body_bytes=LIMIT, large={"/": 4 * LIMIT}, large_limit_s=0.0, silence_limit_s=0.0)(SCOPE, receive, send)
    assert sent[0]["status"] == 200


async def test_a_client_that_does_not_take_its_answer_gives_its_place_back() -> None:
    one = Gate(taken, max_requests=1, silence_limit_s=0.1)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        await asyncio.Event().wait()

    still = asyncio.create_task(one(SCOPE, receive, send))
    await asyncio.sleep(0.02)
    assert await answers(one) == 429
    with pytest.raises(TimeoutError, match="has taken nothing of its answer"):
        await asyncio.wait_for(still, 5)
    assert await answers(one) == 200


async def test_a_client_whose_request_is_whole_may_wait_for_its_answer() -> None:
    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        with pytest.raises(TimeoutError):  # As routes do that look whether the client is still there.
            await asyncio.wait_for(receive(), 0.3)
        await Response("done")(scope, receive, send)

    assert await answers(Gate(slow, silence_limit_s=0.1)) == 200


def test_the_gateway_loses_patience_before_the_services_behind_it() -> None:
    assert gateway.TRANSFER_LIMIT_S < gate.SILENCE_LIMIT_S


def test_requests_are_turned_away_in_words_before_connections_are_without() -> None:
    assert workers.MAX_CLIENTS > 2 * gate.MAX_REQUESTS


TOKENS = [
    '{"a":1', "}", "[", "]", ",", '"b":', '"a" :', '"c\\"":', "1", "-0", "1.5", "1e999", "9007199254740992", "null", '"x":y"', '"', '"a"',
    ":", "{", " ", '"\\u0000"', '"\\ud800"', "NaN", "12345678901234567890", "é", '"a":{', '"k":[1,2]', "true",
]  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**55), 2**70) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
)


def read(how: Callable[[bytes], Any], text: bytes) -> Any:
    """Return the value with the types of its parts, or the faults."""
    try:
        return repr(how(text))
    except errors.MalformedInput as error:
        return [str(error), *map(str, error.faults)]


TEXTS = st.lists(st.sampled_from(TOKENS), max_size=14).map("".join) | st.builds(json.dumps, VALUES, indent=st.sampled_from([None, 1]))


@given(TEXTS.map(str.encode))
def test_what_is_plainly_sound_is_read_as_what_is_looked_at_closely(text: bytes) -> None:
    assert read(strict_json, text) == read(body_room._examined, text)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (b'{"a": [1, {"b": "x"}], "c": null}', True),
        (b'{"a": 1, "b": 2, "a": 3}', False),
        (b'{"a": 1, "b" : 2, "a": 3, "c": "\\":"}', False),
        (b'{"a" : 1, "a" : 2}', False),
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, True),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), False),
        (b"[9007199254740992]", False),
        (b"[1e999]", False),
    ],
)
def test_doubtful_texts_are_looked_at_closely(text: bytes, plain: bool) -> None:
    assert (body_room._plain(text) is not body_room._DOUBTFUL) is plain
