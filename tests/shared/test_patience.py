"""A connection that is silent for good: whoever asks it, for whatever, is told so after a while and can go on."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from psycopg import OperationalError
from psycopg_pool import AsyncConnectionPool

from services.evidence.app import PARTS
from shared import leader
from shared.contracts.envelope import Origin
from shared.ledger import patience
from shared.ledger.failures import is_passing
from shared.ledger.types import Walk
from shared.relay import Control, compare, readers, relay
from shared.stack import ServiceDatabase
from shared.testing import running
from tests.shared.silent import Silent, fall_silent

NOBODY = Origin("", "")
ACT = "evidence/act/00000000-0000-4000-8000-000000000001"
ASKED: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "open": lambda ledger: ledger.open(),
    "parameters": lambda ledger: ledger.parameters(),
    "stream": lambda ledger: ledger.stream(ACT),
    "state": lambda ledger: ledger.state(ACT),
    "inbox": lambda ledger: ledger.inbox(["profile"]),
    "ahead": lambda ledger: ledger.ahead(Walk("day", 0, "note", NOBODY, lambda id, parameters: [])),
}


def falls_silent(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "ANSWER_S", 0.05)
    fall_silent(service.pool, monkeypatch)


async def gives_up(asked: Awaitable[Any]) -> None:
    with pytest.raises(OperationalError) as ended:
        async with asyncio.timeout(20):
            await asked
    assert is_passing(ended.value)


@pytest.mark.parametrize("name", ASKED)
async def test_the_ledger_is_not_waited_for_without_end(
    database: Callable[[str], ServiceDatabase], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async with running(PARTS, database("evidence")) as service:
        falls_silent(service, monkeypatch)
        await gives_up(ASKED[name](service.ledger))


async def test_who_asks_a_service_whose_database_is_silent_is_told_to_come_again(
    database: Callable[[str], ServiceDatabase], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(PARTS, database("evidence")) as service:
        assert (await service.client.get("/evidence/counts")).status_code == 200
        falls_silent(service, monkeypatch)
        async with asyncio.timeout(20):
            answer = await service.client.get("/evidence/counts")
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "2"
        assert answer.json()["type"] == "urn:cairn:problem:unavailable"


async def test_who_waits_for_a_lock_on_a_silent_connection_makes_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "ANSWER_S", 0.05)
    connection: Any = Silent()
    await gives_up(leader._locked(connection, 1))
    await gives_up(compare.compare(connection, "127.0.0.1:9", "test.evidence", "/local/evidence", 8))
    one = relay.Relay(
        dsn="", service="evidence", source="/local/evidence", partitions=8, kafka_servers="127.0.0.1:9", prefix="test",
        control=Control("127.0.0.1:9", "test"),
    )  # fmt: skip
    one._round_at -= 1_000
    await gives_up(one._lead(connection))
    assert one.silent_s() >= 1_000, "a lock that nobody answered for is no round"


async def test_connections_of_ones_own_are_given_up_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "ANSWER_S", 0.05)

    async def connect(*_: Any, **__: Any) -> Silent:
        return Silent()

    monkeypatch.setattr("psycopg.AsyncConnection.connect", connect)
    control = Control("127.0.0.1:9", "test")
    relaying = relay.Relay(
        dsn="", service="evidence", source="/local/evidence", partitions=8, kafka_servers="127.0.0.1:9", prefix="test", control=control
    )
    await gives_up(readers.Witnessed(dsn="", service="evidence", control=control).ask(vouched=True))
    await gives_up(relaying._connect())
    await gives_up(leader.Name("", "evidence", "evidence-0").claim())


async def test_a_connection_goes_back_to_its_pool_whatever_comes_in_between(
    database: Callable[[str], ServiceDatabase], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deadline, or the end of whoever had it, may fall just into giving it back."""
    giving, let, real = asyncio.Event(), asyncio.Event(), AsyncConnectionPool._add_to_pool

    async def slow(self: Any, connection: Any) -> None:
        giving.set()
        await let.wait()
        await real(self, connection)

    async def use(seconds: float) -> None:
        async with patience.connected(pool, seconds) as connection:
            await connection.execute("SELECT 1")

    async with AsyncConnectionPool(database("evidence").app_url, min_size=1, max_size=1, open=False) as pool, asyncio.timeout(20):
        await pool.wait()
        for seconds, cancelled in ((0.2, False), (20.0, True)):
            let.clear()
            giving.clear()
            monkeypatch.setattr(AsyncConnectionPool, "_add_to_pool", slow)
            using = asyncio.create_task(use(seconds))
            await giving.wait()
            await asyncio.sleep(0.4)
            if cancelled:
                using.cancel()
                await asyncio.sleep(0.1)
            let.set()
            await asyncio.wait([using])
            assert using.cancelled() == cancelled
            monkeypatch.setattr(AsyncConnectionPool, "_add_to_pool", real)
            again = asyncio.create_task(use(2.0))
            await asyncio.wait([again])
            assert again.exception() is None, "the pool has no connection left"
