"""A database that is restored from a backup beneath a running service is not written to."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from psycopg_pool import AsyncConnectionPool

from shared.contracts.envelope import partition_of
from shared.errors import Diverged
from shared.ledger.ledger import Ledger
from shared.ledger.types import Walk
from shared.stack import ServiceDatabase, Stack, copy_database, drop_database
from tests.shared.test_ledger import LEARNERS, NOBODY, PARTITIONS, Note, a_ledger, asks, rows

LENGTHS = "SELECT id, length, head FROM partition ORDER BY id"
NAME = "told"


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


async def test_nothing_is_written_to_a_shorter_ledger(stack: Stack, backup: tuple[ServiceDatabase, ServiceDatabase]) -> None:
    source, restored = backup
    ledger = await lived(stack, source, restored)
    waiting = asyncio.create_task(ledger.furthest.diverged())
    async with connected(ledger, restored):
        before = await rows(ledger, LENGTHS)
        with pytest.raises(Diverged, match="restored from a backup beneath the running service"):
            await ledger.handle(asks(Note(NAME, LEARNERS[2])))
        with pytest.raises(Diverged, match="cairn ledger catch-up evidence"):
            await ledger.walk(Walk("again", partition_of(NAME, PARTITIONS), "note", NOBODY, lambda id, _: [Note(id, LEARNERS[3])]))
        assert await rows(ledger, LENGTHS) == before
    with pytest.raises(Diverged):
        await asyncio.wait_for(waiting, 5)


async def test_nor_to_one_that_has_gone_on_otherwise(stack: Stack, backup: tuple[ServiceDatabase, ServiceDatabase]) -> None:
    source, restored = backup
    ledger = await lived(stack, source, restored)
    async with connected(None, restored) as other:
        await other.handle(asks(Note(NAME, LEARNERS[2])))
    async with connected(ledger, restored):
        with pytest.raises(Diverged, match="held 2 events and now holds 2, or others"):
            await ledger.handle(asks(Note(NAME, LEARNERS[3])))


async def test_what_other_processes_write_is_no_divergence(backup: tuple[ServiceDatabase, ServiceDatabase]) -> None:
    source, _ = backup
    async with connected(None, source) as ledger, connected(None, source) as other:
        for number in range(4):
            await (ledger, other)[number % 2].handle(asks(Note(NAME, LEARNERS[number])))
        with pytest.raises(ValueError, match="poison"):
            await ledger.handle(asks(Note(NAME, LEARNERS[5]), Note("bad", LEARNERS[5])))  # What is rolled back was never there.
        await other.handle(asks(Note(NAME, LEARNERS[6])))
        assert (await ledger.state(f"evidence/note/{NAME}"))[0] == 5
