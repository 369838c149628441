"""A database that takes nothing that writes for a while, as a hosted one whose disk is nearly full: it is waited for, and nobody ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from psycopg import AsyncConnection, Error, errors
from psycopg.conninfo import conninfo_to_dict

from shared.consume.write import Impatient, Writer
from shared.http.problems import respond_to
from shared.ledger.failures import is_faulty, is_passing
from shared.relay import relay as relay_room
from shared.stack import ServiceDatabase
from tests.shared.test_write import RECORDS, Failing, lanes
from tests.shared.wire import Note, Wire, asks, events, learners, until

READ_ONLY = errors.ReadOnlySqlTransaction("cannot execute UPDATE in a read-only transaction")


@asynccontextmanager
async def read_only(place: ServiceDatabase) -> AsyncIterator[None]:
    """Let every new session with a database only read."""
    name = conninfo_to_dict(place.owner_url)["dbname"]

    async def alter(how: str) -> None:
        async with await AsyncConnection.connect(place.owner_url, autocommit=True, options="-c default_transaction_read_only=off") as owner:
            await owner.execute(f'ALTER DATABASE "{name}" {how} default_transaction_read_only {"= on" if how == "SET" else ""}'.encode())

    await alter("SET")
    try:
        yield
    finally:
        await alter("RESET")


async def test_who_asks_a_database_that_is_read_only_is_told_to_come_again(
    wire: Wire, read_only_place: ServiceDatabase
) -> None:  # fmt: skip
    async with read_only(read_only_place), wire.source() as ledger:
        with pytest.raises(Error) as refused:
            await ledger.handle(asks(Note("a", learners(1)[0])))
    assert is_passing(refused.value)
    assert not is_faulty(refused.value)
    answer = respond_to(refused.value, "/evidence")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")


async def test_no_consumer_ends_while_its_database_is_read_only() -> None:
    ledger: Failing = Failing(READ_ONLY)
    with pytest.raises(Impatient):
        await Writer(ledger, asyncio.Event(), patience_s=0).write(RECORDS, lanes())  # type: ignore[arg-type]


async def test_a_relay_sends_nothing_of_which_it_could_not_note_that_it_was_sent(
    wire: Wire, read_only_place: ServiceDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """Else it would send the same again twice a second, for as long as that lasts."""
    monkeypatch.setattr(relay_room, "RETRY_S", 0.05)

    async def published() -> int:
        return sum(map(len, (await wire.published()).values()))

    async def all_there() -> bool:
        return await published() == 12

    async with wire.source() as ledger:
        await ledger.handle(asks(*(Note(f"name-{n}", learner) for n, learner in enumerate(learners(12)))))
        stored = await events(ledger)
        async with read_only(read_only_place), wire.control() as control:
            relay = wire.relay(control)
            await relay.start()
            running = asyncio.create_task(relay.run())
            await asyncio.sleep(3.0)
            assert not running.done(), "it waits"
            assert await published() == 0
        try:
            await until(all_there, "what was recorded, once the database takes writes")
            assert {number: [record.value for record in records] for number, records in (await wire.published()).items()} == stored
        finally:
            await relay.stop()
            await asyncio.wait([running], timeout=10)


@pytest.fixture
def read_only_place(database: Callable[[str], ServiceDatabase]) -> ServiceDatabase:
    return database("evidence")


@pytest.fixture
def wire(kafka_servers: str, topic_prefix: str, read_only_place: ServiceDatabase) -> Wire:
    return Wire(kafka_servers, topic_prefix, read_only_place.app_url, "")
