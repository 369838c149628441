"""The edges of a transaction, on a real PostgreSQL: what must not be seen before its commit, and what must not be left where it fails."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from shared.contracts.envelope import Recorded
from shared.ledger.group import GroupCommit
from shared.ledger.ledger import Ledger
from shared.ledger.types import Ask, Batch, Connection, Incoming, Trouble, Walk
from shared.parameters import Parameters
from shared.stack import ServiceDatabase
from tests.shared.test_ledger import LEARNERS, NOBODY, PARTITIONS, Note, a_ledger, asks, check_chain, rows
from tests.shared.wire import name_in, until, wait_for_locks

FAILS_LATE = """
    CREATE FUNCTION fail_late() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''too late''; END';
    CREATE CONSTRAINT TRIGGER late AFTER INSERT ON event DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail_late()"""
"""Everything goes well until the commit, which fails."""
FAILS_NO_MORE = "DROP TRIGGER late ON event; DROP FUNCTION fail_late()"
MIDDLE = PARTITIONS // 2


@pytest.fixture
def place(database: Callable[[str], ServiceDatabase]) -> ServiceDatabase:
    return database("evidence")


@pytest.fixture
async def ledger(place: ServiceDatabase) -> AsyncIterator[Ledger]:
    async with AsyncConnectionPool(place.app_url, min_size=2, max_size=6, open=False) as pool:
        yield a_ledger(pool)


@asynccontextmanager
async def commits_failing(place: ServiceDatabase) -> AsyncIterator[None]:
    async with await psycopg.AsyncConnection.connect(place.owner_url, autocommit=True) as owner:
        await owner.execute(FAILS_LATE)
        yield
        await owner.execute(FAILS_NO_MORE)


async def test_nobody_is_answered_before_the_commit(ledger: Ledger, place: ServiceDatabase) -> None:
    group = GroupCommit(ledger)
    await group.start()
    try:
        async with commits_failing(place):
            with pytest.raises(psycopg.errors.RaiseException, match="too late"):
                await group.ask([Note("a", LEARNERS[0])], uuid4())
        assert len((await group.ask([Note("a", LEARNERS[0])], uuid4()))[0].events) == 1
    finally:
        await group.stop()
    assert await check_chain(ledger) == 1


async def test_what_was_not_committed_is_told_to_nobody_and_kept_nowhere(ledger: Ledger, place: ServiceDatabase) -> None:
    told: list[Recorded[Any]] = []
    ledger.on_commit.append(told.extend)
    await ledger.handle(asks(Note("a", LEARNERS[0])))
    async with commits_failing(place):
        with pytest.raises(psycopg.errors.RaiseException, match="too late"):
            await ledger.handle(asks(Note("a", LEARNERS[1])))
    assert [event.version for event in told] == [1]
    await a_ledger(ledger.pool).handle(asks(Note("a", LEARNERS[2])))  # Another process writes the version that came to nothing here.
    assert len((await ledger.handle(asks(Note("a", LEARNERS[1]))))[0].events) == 1, "the cache holds no state of that version"


async def test_an_answer_waits_for_the_disk(ledger: Ledger) -> None:
    seen: set[str] = set()

    async def look(connection: Connection, wanted: Sequence[Ask]) -> list[Ask]:
        seen.update(row[0] for row in await (await connection.execute("SHOW synchronous_commit")).fetchall())
        return list(wanted)

    await a_ledger(ledger.pool, expand=look).handle(asks(Note("a", LEARNERS[0])))
    assert seen == {"on"}


async def test_writers_lock_partitions_in_one_order_whatever_they_are_asked_in(ledger: Ledger) -> None:
    notes = [Note(name_in(partition), LEARNERS[partition]) for partition in range(PARTITIONS)]
    others = [Note(name_in(partition), LEARNERS[100 + partition]) for partition in reversed(range(PARTITIONS))]
    async with ledger.pool.connection() as blocker:
        async with blocker.transaction():
            await blocker.execute("SELECT 1 FROM partition WHERE id = %s FOR UPDATE", [MIDDLE])
            writers = [asyncio.create_task(ledger.handle(asks(*each))) for each in (notes, others)]
            await until(lambda: wait_for_locks(ledger, 2), "two writers that wait")
        answered = await asyncio.gather(*writers, return_exceptions=True)
    assert [answer for answer in answered if isinstance(answer, BaseException)] == []
    assert await check_chain(ledger) == 2 * PARTITIONS


async def test_a_step_of_a_walk_that_fails_moves_no_cursor(ledger: Ledger) -> None:
    await ledger.handle(asks(Note("a", LEARNERS[0])))
    ((partition,),) = await rows(ledger, "SELECT partition FROM stream")
    broken = True

    def commands(id: str, parameters: Parameters) -> list[Note]:
        if broken:
            raise ValueError("poison")
        return [Note(id, LEARNERS[1])]

    walk = Walk("probe", partition, "note", NOBODY, commands)
    with pytest.raises(ValueError, match="poison"):
        await ledger.walk(walk)
    broken = False
    assert await ledger.walk(walk)
    assert await check_chain(ledger) == 2


async def test_a_record_that_is_none_of_ours_moves_the_offset_and_nothing_else(ledger: Ledger) -> None:
    before = (await ledger.inbox(["profile"]))["profile", 0]
    foreign = Incoming("profile", 0, 41, b"nonsense", None, "", "", (), Trouble.FOREIGN, "no envelope")
    applied = await ledger.apply(Batch({("profile", 0): before}, (foreign,)))
    after = (await ledger.inbox(["profile"]))["profile", 0]
    assert after == applied.inbox["profile", 0]
    assert (after.position, after.head, after.kafka_offset) == (before.position, before.head, 42)
