"""`cairn rebuild`: a read table, or the cache of states, made again from the ledger beside the old one, and put in its place at the end.

One transaction: readers see the old table until it commits, writers wait only for its last step, and stopping it changes nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
from psycopg import sql

from shared.contracts.envelope import Recorded, partition_of
from shared.decider import Decider
from shared.errors import NotFound
from shared.ledger import Projection, store
from shared.ledger.read import LENGTHS
from shared.ledger.turn import Held
from shared.ledger.types import Connection
from shared.parts import Parts
from shared.serve import all_deciders

STREAM: Final = "stream"
LOCK_ALL: Final = "SELECT id FROM partition ORDER BY id FOR UPDATE"
BETWEEN: Final = """
    SELECT e.bytes FROM event e JOIN jsonb_to_recordset(%s) AS b(partition int, since bigint, until bigint) USING (partition)
    WHERE e.position >= b.since AND e.position < b.until ORDER BY e.recorded_at, e.partition, e.position"""
FOLDED: Final = "SELECT stream, bytes FROM event ORDER BY stream, version"
CHANGED: Final = """
    SELECT e.stream FROM (SELECT stream, max(version) AS version FROM event GROUP BY stream) e
    LEFT JOIN pg_temp.stream s ON s.id = e.stream WHERE s.version IS DISTINCT FROM e.version"""
COLUMNS: Final = """
    SELECT column_name FROM information_schema.columns
    WHERE table_schema = 'public' AND table_name = %s AND is_generated = 'NEVER' ORDER BY ordinal_position"""

Progress = Callable[[int], None]
"""Told how many events were gone through so far."""
Lengths = Mapping[int, int]


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
    """Return the tables of a service that can be made again."""
    return [*dict.fromkeys(projection.table for projection in parts.projections), STREAM]


async def rebuild(owner_url: str, parts: Parts, table: str, batch_size: int, progress: Progress) -> Rebuilt:
    """Make one table again from the ledger.

    Args:
        batch_size: events that are put into the table at once.

    Raises:
        NotFound: the service has no such table, or none that comes from its ledger.
        psycopg.Error: the database refuses; then nothing has changed.
    """
    if table not in tables_of(parts):
        raise NotFound(f"{parts.name} has no table {table} that comes from its ledger: name one of {', '.join(tables_of(parts))}")
    count = Count(progress)
    async with await psycopg.AsyncConnection.connect(owner_url) as connection, connection.transaction():
        name = sql.Identifier(table)
        columns = sql.SQL(", ").join(sql.Identifier(row[0]) for row in await (await connection.execute(COLUMNS, [table])).fetchall())
        before = await _count(connection, sql.Identifier("public", table))
        # A temporary table is found before the public one of its name: the same statements as ever fill it.
        await connection.execute(sql.SQL("CREATE TEMPORARY TABLE {} (LIKE public.{} INCLUDING ALL) ON COMMIT DROP").format(name, name))
        if table == STREAM:
            await _fold_all(connection, parts, batch_size, count)
        else:
            chosen = [projection for projection in parts.projections if projection.table == table]
            await _project_all(connection, chosen, batch_size, count)
        await connection.execute(sql.SQL("DELETE FROM public.{}").format(name))
        await connection.execute(
            sql.SQL("INSERT INTO public.{} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM pg_temp.{}").format(name, columns, columns, name)
        )
        after = await _count(connection, sql.Identifier("public", table))
    return Rebuilt(count.events, before, after)


async def _project_all(connection: Connection, projections: Sequence[Projection], batch_size: int, count: Count) -> None:
    """Go through the record while others write; then hold them off and go through what they added meanwhile."""
    seen = await _lengths(connection)
    await project_between(connection, projections, dict.fromkeys(seen, 0), seen, batch_size, count)
    await connection.execute(LOCK_ALL)
    await project_between(connection, projections, seen, await _lengths(connection), batch_size, count)


async def project_between(
    connection: Connection, projections: Sequence[Projection], since: Lengths, until: Lengths, batch_size: int, count: Count
) -> None:
    """Project the events between these lengths in the order of recording; those of one transaction, as then, together."""
    bounds = store.rows_json({"partition": number, "since": since[number], "until": until[number]} for number in since)
    batch: list[Recorded[Any]] = []
    async with connection.cursor("events") as cursor:
        cursor.itersize = batch_size
        await cursor.execute(BETWEEN, [bounds])
        async for (raw,) in cursor:
            event = store.decoded(bytes(raw))
            if len(batch) >= batch_size and event.time != batch[-1].time:
                await store.project(connection, projections, batch)
                count.add(len(batch))
                batch = []
            batch.append(event)
    await store.project(connection, projections, batch)
    count.add(len(batch))


async def _fold_all(connection: Connection, parts: Parts, batch_size: int, count: Count) -> None:
    """Fold every stream while others write; then hold them off and fold those again that they added to."""
    deciders = {decider.kind: decider for decider in all_deciders(parts)}
    partitions = len(await _lengths(connection))
    batch: list[Held] = []
    async for stream, events in streams_of(connection, FOLDED, []):
        batch.append(folded(stream, events, deciders, partitions))
        count.add(len(events))
        if len(batch) >= batch_size:
            await store.keep_streams(connection, batch, deciders)
            batch = []
    await store.keep_streams(connection, batch, deciders)
    await connection.execute(LOCK_ALL)
    changed = [row[0] for row in await (await connection.execute(CHANGED)).fetchall()]
    await connection.execute("DELETE FROM pg_temp.stream WHERE id = ANY(%s)", [changed])
    again = [folded(stream, events, deciders, partitions) async for stream, events in streams_of(connection, store.LOAD_EVENTS, [changed])]
    await store.keep_streams(connection, again, deciders)


def folded(stream: str, events: Sequence[Recorded[Any]], deciders: Mapping[str, Decider[Any]], partitions: int) -> Held:
    """Return a stream as it is after all its events."""
    last = events[-1]
    state = deciders[stream.split("/", 2)[1]].fold(event.data for event in events)
    return Held(stream, last.key, partition_of(last.key, partitions), last.version, state, 0)


async def streams_of(connection: Connection, statement: str, parameters: Sequence[Any]) -> AsyncIterator[tuple[str, list[Recorded[Any]]]]:
    """Yield each stream with its events, in order."""
    name, events = "", list[Recorded[Any]]()
    async with connection.cursor("streams") as cursor:
        await cursor.execute(statement, parameters)
        async for stream, raw in cursor:
            if stream != name and events:
                yield name, events
                events = []
            name = stream
            events.append(store.decoded(bytes(raw)))
    if events:
        yield name, events


async def _lengths(connection: Connection) -> dict[int, int]:
    return {row[0]: row[1] for row in await (await connection.execute(LENGTHS)).fetchall()}


async def _count(connection: Connection, table: sql.Identifier) -> int:
    row = await (await connection.execute(sql.SQL("SELECT count(*) FROM {}").format(table))).fetchone()
    return int(row[0]) if row else 0
