"""`cairn rebuild`: a read table, or the cache of states, made again from the ledger beside the old one, and put in its place at the end.

The new table is filled in a schema of its own, in steps of which each is a transaction, while others read and write the old one. For the
last step the old one is locked: what was recorded since the step before is put in, and the new one takes its place. Stopping it before
changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
from psycopg import sql

from services.cli import likeness, spool
from shared.contracts.envelope import Recorded, partition_of
from shared.decider import Decider
from shared.errors import LedgerError, NotFound
from shared.ledger import Projection, read, store
from shared.ledger.read import Lengths
from shared.ledger.turn import Held
from shared.ledger.types import Connection
from shared.parts import Parts
from shared.serve import all_deciders

STREAM: Final = "stream"
PARAMETERS: Final = ("parameter_page", "parameter_set")
"""Tables that a service only adds to, when pages and sets of parameters are recorded. The same statements fill both."""
SCHEMA: Final = "rebuild"
"""Where the new table grows. What a rebuild that was killed has left there, the next one removes."""
ALONE: Final = 7_012_041
"""Advisory lock under which one rebuild at a time runs in a database."""
FEW: Final = 1_000
"""Events that may be left for the last step, while readers and writers of the table wait."""
MAX_STEPS: Final = 20
"""Steps after which the last one takes what is left, however much: others write faster than they are followed."""
LOCK_MS: Final = 1_500
"""Time to wait for the table's lock: whoever asks for the table meanwhile waits behind us. An autovacuum gives way after a second."""
MAX_LOCKS: Final = 60
PAUSE_S: Final = 1.0
"""Between two tries to lock."""

Progress = Callable[[int], None]
"""Told how many events were gone through so far."""
Fill = Callable[[Lengths, Lengths], Awaitable[None]]
"""Puts into the new table what was recorded between these lengths."""


@dataclass(frozen=True)
class Rebuilt:
    """What a rebuild went through, and how many rows the table had before and has now."""

    events: int
    before: int
    after: int


@dataclass
class Count:
    """Counts the events gone through, and tells."""

    tell: Progress
    events: int = field(default=0)

    def add(self, some: int) -> None:
        self.events += some
        self.tell(self.events)


def tables_of(parts: Parts) -> list[str]:
    """Return the read tables of a service, and its states."""
    return [*dict.fromkeys(projection.table for projection in parts.projections), STREAM]


async def rebuild(owner_url: str, parts: Parts, table: str, batch_size: int, progress: Progress) -> Rebuilt:
    """Make one table again from the ledger.

    Args:
        batch_size: events that are put into the table at once.

    Raises:
        NotFound: the service has no such table, or none that comes from its ledger.
        LedgerError: another rebuild is under way, the table is in use without a pause, or a new one would not be like it.
        psycopg.Error: the database refuses. Whatever is raised, nothing has changed.
    """
    known = [*tables_of(parts), *PARAMETERS]
    if table not in known:
        raise NotFound(f"{parts.name} has no table {table} that comes from its ledger: name one of {', '.join(known)}")
    count = Count(progress)
    async with await psycopg.AsyncConnection.connect(owner_url, autocommit=True) as connection, _schema(connection):
        before = await _count(connection, table)
        for name in PARAMETERS if table in PARAMETERS else (table,):
            await likeness.create_like(connection, name, SCHEMA)
        if table == STREAM:
            fill = _folding(connection, parts, batch_size, count)
        elif table in PARAMETERS:
            fill = _keeping(connection, f"{parts.name}/settings", count)
        else:
            fill = _projecting(connection, parts, table, batch_size, count)
        seen = await _follow(connection, fill)
        await connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(SCHEMA, table)))
        await _put_in_place(connection, table, fill, seen)
        after = await _count(connection, table)
    return Rebuilt(count.events, before, after)


@asynccontextmanager
async def _schema(connection: Connection) -> AsyncIterator[None]:
    """Have an empty schema whose tables are found before those of `public`: the same statements as ever fill them."""
    if not (await _rows(connection, "SELECT pg_try_advisory_lock(%s)", [ALONE]))[0][0]:
        raise LedgerError("another rebuild is under way in this database: let it end first")
    await connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    await connection.execute(f"CREATE SCHEMA {SCHEMA}")
    await connection.execute(f"SET search_path TO {SCHEMA}, public")
    await connection.execute("SET synchronous_commit TO off")  # But for the last step, by which all before it is on disk.
    try:
        yield
    finally:
        if not connection.closed:
            await connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")


async def _follow(connection: Connection, fill: Fill) -> Lengths:
    """Put in what is recorded, and what is recorded meanwhile, until little is left; return up to where."""
    until = await _lengths(connection)
    seen: Lengths = dict.fromkeys(until, 0)
    for _ in range(MAX_STEPS):
        await fill(seen, until)
        seen, until = until, await _lengths(connection)
        if sum(until.values()) - sum(seen.values()) <= FEW:
            break
    return seen


async def _put_in_place(connection: Connection, table: str, fill: Fill, seen: Lengths) -> None:
    """Lock the old table, put in what was recorded since, and let the new one take its place.

    With the lock, all that is recorded and concerns the table is in it; who has recorded something and waits to write to it will find the
    new one. We ask for no other lock behind it, so nobody waits for us in a circle.
    """
    old, new = sql.Identifier("public", table), sql.Identifier(SCHEMA, table)
    for _ in range(MAX_LOCKS):
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL synchronous_commit TO on; SET LOCAL lock_timeout TO {LOCK_MS}")
                await connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(old))
                await fill(seen, await _lengths(connection))
                if await likeness.shape(connection, "public", table) != await likeness.shape(connection, SCHEMA, table):
                    raise LedgerError(f"the new {table} would not be like the old one in all its keys, indexes and rights: report it")
                await connection.execute(sql.SQL("DROP TABLE {}").format(old))
                await connection.execute(sql.SQL("ALTER TABLE {} SET SCHEMA public").format(new))
            return
        except psycopg.errors.LockNotAvailable:
            until = await _lengths(connection)
            await fill(seen, until)
            seen = until
            await asyncio.sleep(PAUSE_S)
    raise LedgerError(f"{table} was in use whenever it was to be replaced: end what reads it for long, and run this again")


def _projecting(connection: Connection, parts: Parts, table: str, batch_size: int, count: Count) -> Fill:
    projections = [projection for projection in parts.projections if projection.table == table]

    async def fill(since: Lengths, until: Lengths) -> None:
        await project_between(connection, projections, since, until, batch_size, count)

    return fill


async def project_between(
    connection: Connection, projections: Sequence[Projection], since: Lengths, until: Lengths, batch_size: int, count: Count
) -> None:
    """Project the events between these lengths in the order of recording; those of one transaction, as then, together."""
    batch: list[Recorded[Any]] = []
    async for raw in read.merged(connection, since, until):
        event = store.decoded(raw)
        if len(batch) >= batch_size and event.time != batch[-1].time:
            await store.project(connection, projections, batch)
            count.add(len(batch))
            batch = []
        batch.append(event)
    await store.project(connection, projections, batch)
    count.add(len(batch))


def _keeping(connection: Connection, settings: str, count: Count) -> Fill:
    async def fill(since: Lengths, until: Lengths) -> None:
        number = partition_of("settings", len(until))
        async for rows in read.paging_between(connection, "position, stream, bytes", number, since[number], until[number]):
            await store.keep_parameters(connection, [store.decoded(bytes(raw)) for _, stream, raw in rows if stream == settings])
            count.add(len(rows))

    return fill


def _folding(connection: Connection, parts: Parts, batch_size: int, count: Count) -> Fill:
    async def fill(since: Lengths, until: Lengths) -> None:
        if any(since.values()):
            await _fold_again(connection, parts, since, until, batch_size, count)
        else:
            await fold_until(connection, parts, until, batch_size, count)

    return fill


async def fold_until(connection: Connection, parts: Parts, until: Lengths, batch_size: int, count: Count) -> None:
    """Fold every stream up to these lengths into an empty table of states."""
    deciders = {decider.kind: decider for decider in all_deciders(parts)}
    batch: list[Held] = []
    waiting = 0
    for number, length in until.items():
        with spool.Spool(length) as spooled:
            async for rows in read.paging_between(connection, spool.COLUMNS, number, 0, length):
                spooled.put(rows)
            for stream, events in spooled.streams():
                batch.append(_folded(stream, [store.decoded(raw) for *_, raw in events], deciders, len(until)))
                waiting += len(events)
                if waiting >= batch_size:
                    await store.keep_streams(connection, batch, deciders)
                    count.add(waiting)
                    batch, waiting = [], 0
    await store.keep_streams(connection, batch, deciders)
    count.add(waiting)


async def _fold_again(connection: Connection, parts: Parts, since: Lengths, until: Lengths, batch_size: int, count: Count) -> None:
    """Fold the streams again that have grown between these lengths."""
    deciders = {decider.kind: decider for decider in all_deciders(parts)}
    changed: dict[str, None] = {}
    for number, start in since.items():
        async for rows in read.paging_between(connection, "position, stream", number, start, until[number]):
            changed |= {stream: None for _, stream in rows}
            count.add(len(rows))
    names = list(changed)
    for first in range(0, len(names), batch_size):
        some = names[first : first + batch_size]
        found: dict[str, list[Recorded[Any]]] = {name: [] for name in some}
        for stream, raw in await _rows(connection, store.LOAD_EVENTS, [some]):
            found[stream].append(store.decoded(bytes(raw)))
        await connection.execute("DELETE FROM stream WHERE id = ANY(%s)", [some])
        held = [_folded(stream, events, deciders, len(until)) for stream, events in found.items()]
        await store.keep_streams(connection, held, deciders)


def _folded(stream: str, events: Sequence[Recorded[Any]], deciders: Mapping[str, Decider[Any]], partitions: int) -> Held:
    """Return a stream as it is after all its events."""
    last = events[-1]
    state = deciders[stream.split("/", 2)[1]].fold(event.data for event in events)
    return Held(stream, last.key, partition_of(last.key, partitions), last.version, state, 0)


async def _lengths(connection: Connection) -> dict[int, int]:
    return {row[0]: row[1] for row in await _rows(connection, read.LENGTHS)}


async def _count(connection: Connection, table: str) -> int:
    rows = await _rows(connection, sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier("public", table)))
    return int(rows[0][0])


async def _rows(connection: Connection, statement: Any, values: Any = None) -> list[Any]:
    return await (await connection.execute(statement, values)).fetchall()
