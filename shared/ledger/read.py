"""Reading a whole record, while it grows: a page at a time, each in a transaction of its own. Never writes.

What stands below a length that was read never changes, so nothing of it needs a snapshot. One that is held open for long would keep every
old version of the rows of `partition`, `inbox` and `published`, which each transaction of a service walks: within minutes all are slow.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush
from typing import Any, Final

from psycopg import Connection as BlockingConnection
from psycopg_pool import AsyncConnectionPool

from shared.ledger.types import Connection

FETCH: Final = 1_000
"""Events of a page."""
MERGED: Final = 200
"""Events of a page where every partition has one in memory."""
FOREVER: Final = 2**63 - 1
"""A position that no partition comes to."""
PAGE: Final = """
    SELECT {columns} FROM event WHERE partition = %(number)s AND position >= %(since)s AND position < %(until)s
    ORDER BY position LIMIT %(most)s"""
ORDER: Final = "position, recorded_at, bytes"
NAMING: Final = "position, CASE WHEN key = %(text)s OR strpos(convert_from(bytes, 'UTF8'), %(text)s) > 0 THEN bytes END"
STREAM: Final = "SELECT version, bytes FROM event WHERE stream = %s AND version > %s ORDER BY version LIMIT %s"
UNDER: Final = """
    SELECT stream, version, CASE WHEN strpos(convert_from(bytes, 'UTF8'), %(text)s) > 0 THEN bytes END FROM event
    WHERE (stream, version) > (%(stream)s, %(version)s) AND stream < %(beyond)s ORDER BY stream, version LIMIT %(most)s"""
NEXT: Final = "SELECT stream FROM event WHERE stream >= %s AND stream < %s ORDER BY stream LIMIT 1"
LENGTHS: Final = "SELECT id, length, head FROM partition ORDER BY id"
COUNT: Final = "SELECT count(*) FROM event WHERE stream = ANY(%s)"
INBOX: Final = "SELECT source, partition, position FROM inbox"
ASIDE: Final = """
    SELECT source, partition, position FROM parked
    WHERE position IS NOT NULL AND (resolved_at IS NULL OR starts_with(resolution, 'discarded'))"""
PUBLISHED: Final = "SELECT partition, position FROM published"

Pool = AsyncConnectionPool[Any]
Lengths = Mapping[int, int]
"""Partition -> a position: up to it, or from it on."""


def pages(connection: BlockingConnection[Any], columns: str, number: int, until: int) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows of a partition below a length, a page at a time, in order. For who does nothing else and may stand still meanwhile:
    rows come as bytes, not as text in hexadecimal digits, without an event loop, at a third of the cost.

    Args:
        connection: with autocommit, so that each page is a transaction.
        columns: of `event`; `position` is the first.
    """
    statement, since = PAGE.format(columns=columns), 0
    while since < until:
        values = {"number": number, "since": since, "until": until, "most": FETCH}
        rows = connection.execute(statement.encode(), values, binary=True).fetchall()
        if rows:
            yield rows
        if len(rows) < FETCH:
            return
        since = rows[-1][0] + 1


async def page(connection: Connection, columns: str, number: int, since: int, until: int, most: int) -> list[tuple[Any, ...]]:
    """Return the rows of at most so many positions of a partition, from `since` on and below `until`, in order."""
    values = {"number": number, "since": since, "until": until, "most": most}
    return await (await connection.execute(PAGE.format(columns=columns).encode(), values, binary=True)).fetchall()


async def merged(connection: Connection, since: Lengths, until: Lengths) -> AsyncIterator[bytes]:
    """Yield the events of all partitions between these lengths, in the order of their recording: within a partition time never goes back.

    Args:
        connection: with autocommit, so that each page is a transaction; or in one, where nobody can write meanwhile.
    """
    lanes: dict[int, list[tuple[Any, ...]]] = {}
    heap: list[tuple[Any, int, int]] = []
    for number, start in since.items():
        lanes[number] = (await page(connection, ORDER, number, start, until[number], MERGED))[::-1]
        heap += [(row[1], number, row[0]) for row in lanes[number][-1:]]
    heapify(heap)
    while heap:
        _, number, position = heappop(heap)
        yield bytes(lanes[number].pop()[2])
        if not lanes[number]:
            lanes[number] = (await page(connection, ORDER, number, position + 1, until[number], MERGED))[::-1]
        if lanes[number]:
            first = lanes[number][-1]
            heappush(heap, (first[1], number, first[0]))


async def found(pool: Pool, statement: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
    """Return what a statement finds, in a transaction of its own."""
    async with pool.connection() as connection:
        rows: list[tuple[Any, ...]] = await (await connection.execute(statement.encode(), values, binary=True)).fetchall()
        return rows


async def partition(pool: Pool, number: int, start: int = 0) -> AsyncIterator[tuple[int, bytes]]:
    """Yield (position, event bytes) of a partition from `start` on, in order."""
    rows = None
    while rows is None or len(rows) == FETCH:
        values = {"number": number, "since": start, "until": FOREVER, "most": FETCH}
        rows = await found(pool, PAGE.format(columns="position, bytes"), values)
        for position, raw in rows:
            yield position, bytes(raw)
            start = position + 1


async def naming(pool: Pool, text: str) -> AsyncIterator[bytes]:
    """Yield all events whose key is, or whose content holds, this id. Reads the whole record, by partitions."""
    for number, (length, _) in (await lengths(pool)).items():
        rows, start = None, 0
        while rows is None or len(rows) == FETCH:
            values = {"number": number, "since": start, "until": length, "most": FETCH, "text": text}
            rows = await found(pool, PAGE.format(columns=NAMING), values)
            for position, raw in rows:
                start = position + 1
                if raw is not None:
                    yield bytes(raw)


async def stream(pool: Pool, name: str) -> AsyncIterator[bytes]:
    """Yield the events of one stream, in order; none, where there is no such stream."""
    rows, last = None, 0
    while rows is None or len(rows) == FETCH:
        rows = await found(pool, STREAM, [name, last, FETCH])
        for version, raw in rows:
            last = version
            yield bytes(raw)


async def naming_under(pool: Pool, prefix: str, text: str) -> AsyncIterator[bytes]:
    """Yield the events whose content holds this id, of all streams whose names begin so; the prefix ends with "/"."""
    values = {"text": text, "stream": prefix, "version": 0, "beyond": beyond(prefix), "most": FETCH}
    rows = None
    while rows is None or len(rows) == FETCH:
        rows = await found(pool, UNDER, values)
        for name, version, raw in rows:
            values |= {"stream": name, "version": version}
            if raw is not None:
                yield bytes(raw)


async def parts_under(pool: Pool, prefix: str) -> AsyncIterator[str]:
    """Yield what stands behind a prefix in the names of streams, up to the next "/", each once: ids, all of one length. The prefix ends
    with "/"."""
    after: str | None = prefix
    while after is not None:
        rows = await found(pool, NEXT, [after, beyond(prefix)])
        after = None
        for (name,) in rows:
            part = name.removeprefix(prefix).partition("/")[0]
            yield part
            after = beyond(f"{prefix}{part}/")


def beyond(prefix: str) -> str:
    """Return the first name behind all that begin with a prefix that ends with "/", in the order of the record's index.

    >>> beyond("scheduling/day/")
    'scheduling/day0'
    """
    return prefix.removesuffix("/") + "0"  # The character after "/".


async def lengths(pool: Pool) -> dict[int, tuple[int, str]]:
    """Return partition -> (length, hash of the last event)."""
    return {number: (length, head) for number, length, head in await found(pool, LENGTHS)}


async def count(pool: Pool, names: list[str]) -> int:
    """Return the number of events of these streams."""
    return int((await found(pool, COUNT, [names]))[0][0])


async def aside(pool: Pool) -> set[tuple[str, int, int]]:
    """Return source, partition and position of every event that was set aside and not taken up again: parked, or discarded."""
    return {(source, number, position) for source, number, position in await found(pool, ASIDE)}
