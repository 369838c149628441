"""A database that is restored from a backup beneath a running service is not written to."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from shared.contracts.envelope import chain_start, partition_of
from shared.errors import Diverged
from shared.ledger import furthest
from shared.ledger.ledger import Ledger
from shared.ledger.turn import Lane
from shared.ledger.types import Batch, Connection, Walk
from shared.stack import ServiceDatabase, Stack, copy_database, drop_database
from shared.tasks import end
from tests.shared.test_ledger import LEARNERS, NOBODY, PARTITIONS, Note, a_ledger, asks, rows

LENGTHS = "SELECT id, length, head FROM partition ORDER BY id"
NAME = "told"
PUT_BACK = """
    UPDATE partition SET length = %s, head = coalesce(
        (SELECT encode(sha256(bytes), 'hex') FROM event WHERE partition = %s AND position = %s - 1), %s) WHERE id = %s"""
TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = current_user"
MADE_ANEW = (
    "CREATE TABLE anew AS SELECT * FROM partition",
    "DROP TABLE partition CASCADE",
    "ALTER TABLE anew RENAME TO partition",
    "GRANT SELECT, UPDATE ON partition TO PUBLIC",
)
"""What `pg_restore --clean` does, while connections go on."""


@pytest.fixture
def backup(stack: Stack, database: Callable[[str], ServiceDatabase]) -> Iterator[tuple[ServiceDatabase, ServiceDatabase]]:
    """A database, and a place for its copy."""
    source, name = database("evidence"), f"cairn_backup_{secrets.token_hex(6)}"
    yield source, source.__class__(*(url.rpartition("/")[0] + f"/{name}" for url in (source.owner_url, source.app_url)))
    drop_database(stack.postgres_url, name)


@asynccontextmanager
async def connected(ledger: Ledger | None, database: ServiceDatabase) -> AsyncIterator[Ledger]:
    """A ledger as its process finds the database after it has connected anew."""
    async with AsyncConnectionPool(database.app_url, min_size=1, max_size=4, open=False) as pool:
        if ledger is None:
            ledger = a_ledger(pool)
            await ledger.open()
        ledger.pool = pool
        yield ledger


async def lived(stack: Stack, source: ServiceDatabase, copy: ServiceDatabase) -> Ledger:
    """Return a ledger that has gone on after a backup was made."""
    async with connected(None, source) as ledger:
        await ledger.handle(asks(Note(NAME, LEARNERS[0])))
    copy_database(stack.postgres_url, source, copy.app_url.rpartition("/")[2])
    async with connected(ledger, source):
        await ledger.handle(asks(Note(NAME, LEARNERS[1])))
    return ledger


async def put_back(database: ServiceDatabase, position: int) -> None:
    """Take the events of NAME's partition from this position on away, as files that are put back do, and no connection notices."""
    number = partition_of(NAME, PARTITIONS)
    async with await AsyncConnection.connect(database.owner_url) as owner:
        await owner.execute("ALTER TABLE event DISABLE TRIGGER USER")
        await owner.execute("DELETE FROM stream WHERE version > %s", [position])
        await owner.execute("DELETE FROM event WHERE partition = %s AND position >= %s", [number, position])
        await owner.execute("ALTER TABLE event ENABLE TRIGGER USER")
        await owner.execute(PUT_BACK, [position, number, position, chain_start("/local/evidence", number), number])


async def test_nothing_is_written_to_another_database(stack: Stack, backup: tuple[ServiceDatabase, ServiceDatabase]) -> None:
    source, restored = backup
    ledger = await lived(stack, source, restored)
    async with connected(ledger, restored):
        before = await rows(ledger, LENGTHS)
        with pytest.raises(Diverged, match="restored beneath the running service"):
            await ledger.handle(asks(Note(NAME, LEARNERS[2])))
        with pytest.raises(Diverged, match="cairn ledger catch-up evidence"):
            await ledger.walk(Walk("again", partition_of(NAME, PARTITIONS), "note", NOBODY, lambda id, _: [Note(id, LEARNERS[3])]))
        assert await rows(ledger, LENGTHS) == before
        with pytest.raises(Diverged):
            await asyncio.wait_for(ledger.furthest.watch(ledger.pool), 5)
    async with connected(None, restored) as begun:
        assert await begun.handle(asks(Note(NAME, LEARNERS[2]))), "who begins with it has been compared with Kafka, and writes"


async def test_nor_by_a_process_that_has_not_seen_what_is_missing(stack: Stack, backup: tuple[ServiceDatabase, ServiceDatabase]) -> None:
    source, restored = backup
    others = []
    for _ in range(2):
        async with connected(None, source) as other:
            others.append(other)
    await lived(stack, source, restored)
    doing: list[Callable[[Ledger], Awaitable[Any]]] = [
        lambda other: other.handle(asks(Note(NAME, LEARNERS[2]))),
        lambda other: other.apply(Batch({}, ())),
    ]
    for other, do in zip(others, doing, strict=True):
        async with connected(other, restored):
            before = await rows(other, LENGTHS)
            with pytest.raises(Diverged, match="another one than this process began with"):
                await do(other)
            assert await rows(other, LENGTHS) == before


async def test_nor_to_a_table_that_was_made_anew(backup: tuple[ServiceDatabase, ServiceDatabase]) -> None:
    source, _ = backup
    async with connected(None, source) as ledger:
        async with await AsyncConnection.connect(source.owner_url) as owner:
            for statement in MADE_ANEW:
                await owner.execute(statement)
        with pytest.raises(Diverged, match="another one than this process began with"):
            await asyncio.wait_for(ledger.furthest.watch(ledger.pool), 5)
        with pytest.raises(Diverged):
            await ledger.handle(asks(Note(NAME, LEARNERS[2])))


async def test_nor_to_a_shorter_ledger(backup: tuple[ServiceDatabase, ServiceDatabase]) -> None:
    source, _ = backup
    async with connected(None, source) as ledger:
        await ledger.handle(asks(Note(NAME, LEARNERS[0])))
        await ledger.handle(asks(Note(NAME, LEARNERS[1])))
        await put_back(source, 1)
        with pytest.raises(Diverged, match="held 2 events and now holds 1"):
            await ledger.handle(asks(Note(NAME, LEARNERS[2])))


async def test_what_others_write_is_looked_at(backup: tuple[ServiceDatabase, ServiceDatabase], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(furthest, "LOOK_S", 0.05)
    source, _ = backup
    async with connected(None, source) as ledger, connected(None, source) as other:
        watch = asyncio.create_task(ledger.furthest.watch(ledger.pool))
        await other.handle(asks(Note(NAME, LEARNERS[0])))
        await asyncio.sleep(0.5)
        await put_back(source, 0)
        with pytest.raises(Diverged, match="held 1 events and now holds 0"):
            await asyncio.wait_for(watch, 5)


async def test_a_look_that_stood_still_until_the_server_ended_it_is_made_again(
    database: Callable[[str], ServiceDatabase], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where all processes of a machine stand still for a while: a service that ended then would stay away."""
    monkeypatch.setattr(furthest, "LOOK_S", 0.05)
    async with connected(None, database("evidence")) as ledger:
        look, looks, again = ledger.furthest.look, list[int](), asyncio.Event()

        async def stand_still(connection: Connection) -> list[Lane]:
            looks.append(1)
            await connection.execute("SET idle_in_transaction_session_timeout = '50ms'")
            lanes = await look(connection)
            if len(looks) > 1:
                again.set()
            else:
                await asyncio.sleep(1)
            return lanes

        monkeypatch.setattr(ledger.furthest, "look", stand_still)
        watch = asyncio.create_task(ledger.furthest.watch(ledger.pool))
        waiting = asyncio.create_task(again.wait())
        await asyncio.wait([watch, waiting], timeout=30, return_when=asyncio.FIRST_COMPLETED)
        assert again.is_set()
        assert not watch.done()
        await end(watch, waiting)


async def test_nor_to_one_that_has_gone_on_otherwise(backup: tuple[ServiceDatabase, ServiceDatabase]) -> None:
    source, _ = backup
    async with connected(None, source) as ledger:
        await ledger.handle(asks(Note(NAME, LEARNERS[0])))
        await put_back(source, 0)
        async with connected(None, source) as other:
            await other.handle(asks(Note(NAME, LEARNERS[2])))
        with pytest.raises(Diverged, match="held 1 events and now holds 1, or others"):
            await ledger.handle(asks(Note(NAME, LEARNERS[3])))


async def test_what_other_processes_write_is_no_divergence(
    backup: tuple[ServiceDatabase, ServiceDatabase], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(furthest, "LOOK_S", 0.0)
    source, _ = backup
    async with connected(None, source) as ledger, connected(None, source) as other:
        watches = [asyncio.create_task(each.furthest.watch(each.pool)) for each in (ledger, other)]
        for number in range(40):
            await asyncio.gather(*(each.handle(asks(Note(NAME, LEARNERS[2 * number + n]))) for n, each in enumerate((ledger, other))))
        with pytest.raises(ValueError, match="poison"):
            await ledger.handle(asks(Note(NAME, LEARNERS[-1]), Note("bad", LEARNERS[-1])))  # What is rolled back was never there.
        await other.handle(asks(Note(NAME, LEARNERS[90])))
        assert (await ledger.state(f"evidence/note/{NAME}"))[0] == 81
        assert not any(watch.done() for watch in watches)
        for watch in watches:
            watch.cancel()


async def test_the_watch_waits_for_a_database_that_is_away(
    backup: tuple[ServiceDatabase, ServiceDatabase], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(furthest, "LOOK_S", 0.05)
    source, _ = backup
    async with connected(None, source) as ledger:
        watch = asyncio.create_task(ledger.furthest.watch(ledger.pool))
        for _ in range(3):
            async with await AsyncConnection.connect(source.app_url, autocommit=True) as killer:
                await killer.execute(TERMINATE)
            await asyncio.sleep(0.2)
        assert not watch.done()
        await ledger.handle(asks(Note(NAME, LEARNERS[0])))
        watch.cancel()
