"""Reading a whole record, while it grows: a page at a time, each in a transaction of its own. Never writes.

What stands below a length that was read never changes, so nothing of it needs a snapshot. One that is held open for long would keep every
old version of the rows of `partition`, `inbox` and `published`, which each transaction of a service walks: within minutes all are slow.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
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
    SELECT {columns} FROM event WHERE partition = %(number)s AND position > %(position)s AND position < %(until)s
    ORDER BY position LIMIT %(most)s"""
ORDER: Final = "position, date_part('epoch', recorded_at), bytes"
"""As a number: a time that was tampered with need not be one that Python knows, such as -infinity."""
NAMING: Final = "position, CASE WHEN key = %(text)s OR strpos(convert_from(bytes, 'UTF8'), %(text)s) > 0 THEN bytes END"
STREAM: Final = "SELECT version, bytes FROM event WHERE stream = %(name)s AND version > %(version)s ORDER BY version LIMIT %(most)s"
UNDER: Final = """
    SELECT {columns} FROM event WHERE (stream, version) > (%(stream)s, %(version)s) AND stream < %(beyond)s
    ORDER BY stream, version LIMIT %(most)s"""
HOLDING: Final = "stream, version, CASE WHEN strpos(convert_from(bytes, 'UTF8'), %(text)s) > 0 THEN bytes END"
NEXT: Final = "SELECT stream FROM event WHERE stream >= %s AND stream < %s ORDER BY stream LIMIT 1"
LENGTHS: Final = "SELECT id, length, head FROM partition ORDER BY id"
OUTSIDE: Final = """
    WITH RECURSIVE held AS (
        (SELECT partition FROM event ORDER BY partition LIMIT 1)
        UNION ALL SELECT (SELECT min(partition) FROM event WHERE partition > held.partition) FROM held WHERE held.partition IS NOT NULL
    ) SELECT held.partition, place.position, place.stream, place.version
    FROM held LEFT JOIN partition ON partition.id = held.partition CROSS JOIN LATERAL (
        (SELECT position, stream, version FROM event
            WHERE event.partition = held.partition AND position >= coalesce(length, 0) ORDER BY position LIMIT %(most)s)
        UNION ALL
        (SELECT position, stream, version FROM event
            WHERE event.partition = held.partition AND position < 0 ORDER BY position LIMIT %(most)s)
    ) AS place ORDER BY 1, 2"""
"""Events that stand in no partition's length, the first of each: whoever reads by partitions never sees them, whoever reads streams does.
One statement, hence one snapshot with the lengths; from one place of the index to the next, however long the record is."""
COUNT: Final = "SELECT count(*) FROM event WHERE stream = ANY(%s)"
INBOX: Final = "SELECT source, partition, position FROM inbox"
ASIDE: Final = """
    SELECT source, partition, position FROM parked
    WHERE position IS NOT NULL AND (resolved_at IS NULL OR starts_with(resolution, 'discarded'))"""
PUBLISHED: Final = "SELECT partition, position FROM published"

Pool = AsyncConnectionPool[Any]
Row = tuple[Any, ...]
Fetch = Callable[[str, Mapping[str, Any]], Awaitable[list[Row]]]
"""Returns what a statement with these values finds."""
Lengths = Mapping[int, int]
"""Partition -> a position: up to it, or from it on."""


def pages(connection: BlockingConnection[Any], columns: str, number: int, until: int) -> Iterator[list[Row]]:
    """Yield the rows of a partition below a length, a page at a time, in order. For who does nothing else and may stand still meanwhile:
    rows come as bytes, not as text in hexadecimal digits, without an event loop, at a third of the cost.

    Args:
        connection: with autocommit, so that each page is a transaction.
        columns: of `event`; `position` is the first.
    """
    return paged(connection, PAGE.format(columns=columns), _of(number, 0, until), ["position"])


def pages_under(connection: BlockingConnection[Any], columns: str, prefix: str, most: int) -> Iterator[list[Row]]:
    """Yield the rows of all streams whose names begin so, a page at a time, in the order of names and versions; see `pages`.

    Args:
        columns: of `event`; `stream` and `version` are the first.
        prefix: ends with "/".
        most: rows of a page.
    """
    return paged(connection, UNDER.format(columns=columns), _under(prefix) | {"most": most}, ["stream", "version"])


def paged(connection: BlockingConnection[Any], statement: str, values: dict[str, Any], place: Sequence[str]) -> Iterator[list[Row]]:
    """Yield what a statement finds, a page at a time.

    Args:
        values: of the statement, with `most`, the rows of a page.
        place: names of the first columns, and of the values behind which the next page begins.
    """
    rows: list[Row] | None = None
    while rows is None or len(rows) == values["most"]:
        rows = connection.execute(statement.encode(), values, binary=True).fetchall()
        if rows:
            values |= dict(zip(place, rows[-1], strict=False))
            yield rows


async def paging(fetch: Fetch, statement: str, values: dict[str, Any], place: Sequence[str]) -> AsyncIterator[list[Row]]:
    """Yield what `paged` does, beside other tasks."""
    rows: list[Row] | None = None
    while rows is None or len(rows) == values["most"]:
        rows = await fetch(statement, values)
        if rows:
            values |= dict(zip(place, rows[-1], strict=False))
            yield rows


def paging_between(connection: Connection, columns: str, number: int, since: int, until: int) -> AsyncIterator[list[Row]]:
    """Yield the rows of a partition between two positions, a page at a time; see `pages`."""
    return paging(partial(fetched, connection), PAGE.format(columns=columns), _of(number, since, until), ["position"])


def _of(number: int, since: int, until: int) -> dict[str, Any]:
    return {"number": number, "position": since - 1, "until": until, "most": FETCH}


def _under(prefix: str) -> dict[str, Any]:
    return {"stream": prefix, "version": 0, "beyond": beyond(prefix), "most": FETCH}


async def merged(connection: Connection, since: Lengths, until: Lengths) -> AsyncIterator[bytes]:
    """Yield the events of all partitions between these lengths, in the order of their recording: within a partition time never goes back.

    Args:
        connection: with autocommit, so that each page is a transaction; or in one, where nobody can write meanwhile.
    """

    async def page(number: int, since: int) -> list[Row]:
        return (await fetched(connection, PAGE.format(columns=ORDER), _of(number, since, until[number]) | {"most": MERGED}))[::-1]

    lanes: dict[int, list[Row]] = {}
    heap: list[tuple[Any, int, int]] = []
    for number, start in since.items():
        lanes[number] = await page(number, start)
        heap += [(row[1], number, row[0]) for row in lanes[number][-1:]]
    heapify(heap)
    while heap:
        _, number, position = heappop(heap)
        yield bytes(lanes[number].pop()[2])
        if not lanes[number]:
            lanes[number] = await page(number, position + 1)
        if lanes[number]:
            first = lanes[number][-1]
            heappush(heap, (first[1], number, first[0]))


async def fetched(connection: Connection, statement: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[Row]:
    """Return what a statement finds."""
    return await (await connection.execute(statement.encode(), values, binary=True)).fetchall()


async def found(pool: Pool, statement: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[Row]:
    """Return what a statement finds, in a transaction of its own."""
    async with pool.connection() as connection:
        return await fetched(connection, statement, values)


async def partition(pool: Pool, number: int, start: int = 0) -> AsyncIterator[tuple[int, bytes]]:
    """Yield (position, event bytes) of a partition from `start` on, in order."""
    async for rows in paging(partial(found, pool), PAGE.format(columns="position, bytes"), _of(number, start, FOREVER), ["position"]):
        for position, raw in rows:
            yield position, bytes(raw)


async def naming(pool: Pool, text: str) -> AsyncIterator[bytes]:
    """Yield all events whose key is, or whose content holds, this id. Reads the whole record, by partitions."""
    for number, (length, _) in (await lengths(pool)).items():
        values = _of(number, 0, length) | {"text": text}
        async for rows in paging(partial(found, pool), PAGE.format(columns=NAMING), values, ["position"]):
            for _, raw in rows:
                if raw is not None:
                    yield bytes(raw)


async def stream(pool: Pool, name: str) -> AsyncIterator[bytes]:
    """Yield the events of one stream, in order; none, where there is no such stream."""
    async for rows in paging(partial(found, pool), STREAM, {"name": name, "version": 0, "most": FETCH}, ["version"]):
        for _, raw in rows:
            yield bytes(raw)


async def naming_under(pool: Pool, prefix: str, text: str) -> AsyncIterator[bytes]:
    """Yield the events whose content holds this id, of all streams whose names begin so; the prefix ends with "/"."""
    values = _under(prefix) | {"text": text}
    async for rows in paging(partial(found, pool), UNDER.format(columns=HOLDING), values, ["stream", "version"]):
        for *_, raw in rows:
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


async def outside(pool: Pool) -> list[Row]:
    """Return partition, position, stream and version of events that stand in no partition's length, up to FETCH of each partition at each
    end. There are none in a record that nobody tampered with."""
    return await found(pool, OUTSIDE, {"most": FETCH})


async def lengths(pool: Pool) -> dict[int, tuple[int, str]]:
    """Return partition -> (length, hash of the last event)."""
    return {number: (length, head) for number, length, head in await found(pool, LENGTHS)}


async def count(pool: Pool, names: list[str]) -> int:
    """Return the number of events of these streams."""
    return int((await found(pool, COUNT, [names]))[0][0])


async def aside(pool: Pool) -> set[tuple[str, int, int]]:
    """Return source, partition and position of every event that was set aside and not taken up again: parked, or discarded."""
    return {(source, number, position) for source, number, position in await found(pool, ASIDE)}
