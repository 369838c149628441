"""A roster is taken whole or not at all: whatever breaks, is killed, stops, or comes at the same time."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from time import sleep
from typing import Any
from uuid import UUID

import pytest
from psycopg import OperationalError

from services.profile.api import imports
from services.profile.app import PARTS
from services.profile.domain import IdentifyLearner
from services.profile.queries import Queries, reading
from services.profile.queries.steps import Steps
from services.profile.versions.v1_alias import aliases as aliases_1
from shared.clock import FixedClock
from shared.keys import person_alias
from shared.ledger import store as statements
from shared.replay import Settings, Verifier
from shared.stack import ServiceDatabase
from shared.testing import SOME_TIME, running
from tests.profile.district import District
from tests.profile.test_http import EVENTS, KEY, get, learners, rows, send, types

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60
LATER = {"urn:cairn:problem:overloaded"}
TABLES = ("event", "stream", "school", "school_class", "learner", "staff", "roster_import", "roster_step")
KILLED = """
import asyncio, sys
from services.profile.api import imports
from services.profile.app import PARTS
from shared import failpoints
from shared.stack import ServiceDatabase
from shared.testing import running
from tests.profile.district import District
from tests.profile.test_http import send

async def main():
    url, point, imports.MOST, imports.STEP = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    async with running(PARTS, ServiceDatabase(url, url)) as service:
        failpoints.arm(point, True)
        await send(service, District())

asyncio.run(main())
"""


@pytest.fixture
def place(database: Callable[[str], ServiceDatabase]) -> ServiceDatabase:
    return database("profile")


@pytest.fixture
async def profile(place: ServiceDatabase) -> AsyncIterator[Any]:
    async with running(PARTS, place, clock=FixedClock(SOME_TIME)) as service:
        yield service


async def stored(profile: Any) -> list[Any]:
    """Everything but keys, which are drawn before anything is sealed under them."""
    return [await rows(profile, f"SELECT t::text FROM {table} t ORDER BY 1") for table in TABLES]  # noqa: S608 - our own words


async def under_way(profile: Any) -> int:
    """Return how many events of a roster are still to come."""
    return sum(each["events_left"] for each in await get(profile, "/oneroster/imports/under-way"))


async def killed(place: ServiceDatabase, point: str, most: int = imports.MOST, step: int = imports.STEP) -> None:
    """Let another process take the small district, and die at a point of the code."""
    arguments = [sys.executable, "-c", KILLED, place.app_url, point, str(most), str(step)]
    process = await asyncio.create_subprocess_exec(*arguments, cwd=ROOT)
    async with asyncio.timeout(PATIENCE_S):
        assert await process.wait() == -signal.SIGKILL


def steps_of(monkeypatch: pytest.MonkeyPatch, most: int = 8, step: int = 6) -> None:
    """Let a roster of more than so many commands be taken in steps."""
    monkeypatch.setattr(imports, "MOST", most)
    monkeypatch.setattr(imports, "STEP", step)


@pytest.mark.parametrize("last", ["append", "keep_streams", "project"])
@pytest.mark.parametrize("known", [False, True])
async def test_an_import_that_breaks_in_the_middle_leaves_nothing(
    profile: Any, monkeypatch: pytest.MonkeyPatch, last: str, known: bool
) -> None:
    changed = District().put("users.csv", "u1", givenName="Ida").student("u9")
    if known:
        await send(profile, District())
    before, done = await stored(profile), getattr(statements, last)

    async def breaks(*given: Any) -> None:
        await done(*given)
        raise OperationalError("the server closed the connection")

    with monkeypatch.context() as broken:
        broken.setattr(statements, last, breaks)
        assert (await send(profile, changed, 503))["type"] == "urn:cairn:problem:unavailable"
    assert await stored(profile) == before
    assert (await send(profile, changed))["learners"]["created"] == (1 if known else 4)
    assert (await send(profile, changed))["events"] == 0


@pytest.mark.parametrize("point", ["append.before:kill:1", "append.within:kill:1", "append.after:kill:1"])
async def test_a_process_that_is_killed_in_the_middle_leaves_nothing(place: ServiceDatabase, point: str) -> None:
    await killed(place, point)
    async with running(PARTS, place) as profile:
        await profile.tick()
        assert not any(await stored(profile))
        assert (await send(profile, District()))["events"] == EVENTS
        assert sum((await types(profile)).values()) == EVENTS


@pytest.mark.parametrize(("point", "left"), [("append.before:kill:1", 20), ("append.within:kill:2", 14), ("append.after:kill:3", 7)])
async def test_a_larger_roster_is_finished_by_the_service_however_it_was_killed(place: ServiceDatabase, point: str, left: int) -> None:
    await killed(place, point, most=8, step=6)
    async with running(PARTS, place) as profile:
        assert await under_way(profile) == left
        before = await stored(profile)
        for district in (District(), District().without_user("u1")):
            assert (await send(profile, district, 429))["type"] in LATER
        assert await stored(profile) == before, "nothing else is looked at meanwhile"
        assert await profile.tick()
        assert await under_way(profile) == 0
        assert sum((await types(profile)).values()) == EVENTS
        assert set(await learners(profile)) == {"Ada", "Ben", "Cyd"}
        assert (await send(profile, District()))["events"] == 0


async def test_a_larger_roster_is_told_as_one_that_fits_a_transaction(
    database: Callable[[str], ServiceDatabase], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    for most in (imports.MOST, 8):
        steps_of(monkeypatch, most)
        async with running(PARTS, database("profile"), clock=FixedClock(SOME_TIME)) as profile:
            first = await send(profile, District())
            second = await send(profile, District().without_user("u2").put("users.csv", "u1", givenName="Ida"))
            third = await send(profile, District())
            assert (await send(profile, District()))["events"] == 0
            assert await profile.tick() == 0
            assert first["events"] + second["events"] + third["events"] == sum((await types(profile)).values())
            streams = await rows(profile, "SELECT stream, version, convert_from(bytes, 'UTF8')::jsonb->>'type' FROM event ORDER BY 1, 2")
            told.append([first, second, third, streams, await learners(profile, withdrawn=True)])
            verifier = Verifier(PARTS.deciders, Settings((), ()))
            for (stream,) in await rows(profile, "SELECT DISTINCT stream FROM event"):
                raws = await rows(profile, f"SELECT bytes FROM event WHERE stream = '{stream}' ORDER BY version")  # noqa: S608 - our own words
                verifier.stream(stream, [bytes(raw) for (raw,) in raws])
            assert verifier.tally.differences == []
    assert told[0] == told[1]


async def test_a_larger_roster_of_a_service_that_stops_is_under_way(profile: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    steps_of(monkeypatch)
    take, stopped = Steps.take, 0

    async def stops(self: Steps) -> bool:
        nonlocal stopped
        stopped += 1
        if stopped == 2:
            await profile.asker.stop()
        return await take(self)

    with monkeypatch.context() as stopping:
        stopping.setattr(Steps, "take", stops)
        answer = await send(profile, District(), 202)
    assert (answer["under_way"], answer["events"], answer["learners"]["created"]) == (True, EVENTS, 3)
    assert 0 < await under_way(profile) < EVENTS
    profile.asker._stopping = False  # The next process.
    await profile.tick()
    assert (await under_way(profile), sum((await types(profile)).values())) == (0, EVENTS)


async def test_a_larger_roster_whose_comparison_took_long_is_answered_behind_it(profile: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time counts from the request's beginning: gateways do not wait for both. What comes meanwhile is told so before it is read."""
    steps_of(monkeypatch)
    monkeypatch.setattr(imports, "FINISH_S", 0.1)
    plan = imports.plan

    def takes_long(*given: Any) -> Any:
        sleep(2 * imports.FINISH_S)
        return plan(*given)

    with monkeypatch.context() as slow:
        slow.setattr(imports, "plan", takes_long)
        answer = await send(profile, District(), 202)
    assert (answer["under_way"], answer["events"], await under_way(profile)) == (True, EVENTS, EVENTS)
    with monkeypatch.context() as unread:
        unread.setattr(imports.oneroster, "read", lambda content: pytest.fail("it was read"))
        assert (await send(profile, District(), 429))["type"] in LATER
    await profile.tick()
    assert (await under_way(profile), sum((await types(profile)).values())) == (0, EVENTS)


async def test_a_larger_roster_that_cannot_be_recorded_leaves_nothing(profile: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    steps_of(monkeypatch)
    record = imports.record

    async def breaks(*given: Any) -> None:
        await record(*given)
        raise OperationalError("the server closed the connection")

    with monkeypatch.context() as broken:
        broken.setattr(imports, "record", breaks)
        await send(profile, District(), 503)
    assert not any(await stored(profile))
    assert await profile.tick() == 0
    assert (await send(profile, District()))["events"] == EVENTS


async def test_of_two_imports_in_two_workers_one_is_told_to_come_back(profile: Any, place: ServiceDatabase, monkeypatch: Any) -> None:
    entered, go, plan = threading.Event(), threading.Event(), imports.plan

    def waits(*given: Any) -> Any:
        if not entered.is_set():
            entered.set()
            assert go.wait(PATIENCE_S)
        return plan(*given)

    monkeypatch.setattr(imports, "plan", waits)
    other = District().without_user("u2").student("u9", givenName="Gus")
    async with running(PARTS, place) as worker:
        first = asyncio.create_task(send(profile, District()))
        assert await asyncio.to_thread(entered.wait, PATIENCE_S)
        try:
            assert (await send(worker, other, 429))["type"] in LATER
            assert not any(await stored(worker))
        finally:
            go.set()
        assert (await first)["events"] == EVENTS
        assert set(await learners(worker)) == {"Ada", "Ben", "Cyd"}
        await send(worker, other)
        assert set(await learners(worker)) == {"Ada", "Gus", "Cyd"}


async def test_a_full_queue_leaves_nothing(profile: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile.asker, "_stopping", True)
    assert (await send(profile, District(), 429))["type"] in LATER
    assert not any(await stored(profile))


async def test_a_decider_that_refuses_one_thing_refuses_the_roster(place: ServiceDatabase) -> None:
    """No decider of today refuses anything of a roster; the first one of aliases did."""
    first = replace(PARTS, deciders=(aliases_1, *(each for each in PARTS.deciders if each.name != aliases_1.name)))
    async with running(first, place, clock=FixedClock(SOME_TIME)) as profile:
        await profile.asker.ask([IdentifyLearner(person_alias(KEY, "sis", "u3"), UUID(int=7))])
        before = await stored(profile)
        assert (await send(profile, District(), 409))["errors"][0]["code"] == "alias-taken"
        assert await stored(profile) == before
    async with running(PARTS, place, clock=FixedClock(SOME_TIME)) as profile:
        assert (await send(profile, District()))["events"] == EVENTS, "what the first one refused is taken now"


async def test_those_who_write_meanwhile_are_answered(profile: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A roster that is compared holds up nobody."""
    await send(profile, District())
    ada = (await learners(profile))["Ada"]["learner_id"]
    entered, go, plan = threading.Event(), threading.Event(), imports.plan

    def waits(*given: Any) -> Any:
        entered.set()
        assert go.wait(PATIENCE_S)
        return plan(*given)

    monkeypatch.setattr(imports, "plan", waits)
    sending = asyncio.create_task(send(profile, District().student("u9")))
    assert await asyncio.to_thread(entered.wait, PATIENCE_S)
    said = {"author_id": ada, "role": "learner", "areas": ["space"]}
    try:
        async with asyncio.timeout(PATIENCE_S):
            assert (await profile.client.post(f"/profile/learners/{ada}/preferences", json=said)).json() == {"recorded": True}
    finally:
        go.set()
    assert (await sending)["learners"]["created"] == 1


async def test_what_is_known_of_a_whole_district_is_not_parsed_where_others_wait(profile: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await send(profile, District())
    read, parsing = list[Any](), set[bool]()
    rows_of, parsed = Queries.rows, reading._parsed

    async def noted(self: Queries, statement: str, values: Any = ()) -> Any:
        found = await rows_of(self, statement, values)
        read.extend(row["body"] for row in found if "body" in row)
        return found

    def elsewhere(kind: Any, body: Any) -> Any:
        parsing.add(threading.current_thread() is threading.main_thread())
        return parsed(kind, body)

    monkeypatch.setattr(Queries, "rows", noted)
    monkeypatch.setattr(reading, "_parsed", elsewhere)
    monkeypatch.setattr(reading, "OWN_THREAD_ROWS", 0)
    assert (await send(profile, District()))["events"] == 0
    assert {type(body) for body in read} == {str}
    assert parsing == {False}
