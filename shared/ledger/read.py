"""Reading a whole record: streams in order for replay, partitions in order for proofs. Never writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, Final

from psycopg_pool import AsyncConnectionPool

FETCH: Final = 1_000
"""Rows that one round trip brings."""
STREAMS: Final = """
    SELECT stream, bytes FROM event
    WHERE (%(like)s::text IS NULL OR stream LIKE %(like)s) AND (%(lane)s::int IS NULL OR partition = %(lane)s)
    ORDER BY stream, version"""
PARTITION: Final = "SELECT position, bytes FROM event WHERE partition = %s AND position >= %s ORDER BY position"
NAMING: Final = """
    SELECT bytes FROM event WHERE key = %(text)s OR strpos(convert_from(bytes, 'UTF8'), %(text)s) > 0
    ORDER BY recorded_at, partition, position"""
LENGTHS: Final = "SELECT id, length, head FROM partition ORDER BY id"
COUNT: Final = "SELECT count(*) FROM event WHERE stream LIKE %s AND partition = %s"
INBOX: Final = "SELECT source, partition, position FROM inbox"
PARKED: Final = "SELECT source, count(*) FROM parked WHERE resolved_at IS NULL GROUP BY source"
ASIDE: Final = """
    SELECT source, partition, position FROM parked
    WHERE position IS NOT NULL AND (resolved_at IS NULL OR starts_with(resolution, 'discarded'))"""
PUBLISHED: Final = "SELECT partition, position FROM published"

Pool = AsyncConnectionPool[Any]


async def streams(pool: Pool, like: str | None = None, lane: int | None = None) -> AsyncIterator[tuple[str, bytes]]:
    """Yield (stream, event bytes), all events of a stream together and in order.

    Args:
        like: an SQL pattern of stream names; by default all.
        lane: only this partition's streams.
    """
    async with pool.connection() as connection, connection.cursor("streams") as cursor:
        cursor.itersize = FETCH
        await cursor.execute(STREAMS, {"like": like, "lane": lane})
        async for stream, raw in cursor:
            yield stream, bytes(raw)


async def partition(pool: Pool, number: int, start: int = 0) -> AsyncIterator[tuple[int, bytes]]:
    """Yield (position, event bytes) of a partition from `start` on, in order."""
    async with pool.connection() as connection, connection.cursor("partition") as cursor:
        cursor.itersize = FETCH
        await cursor.execute(PARTITION, [number, start])
        async for position, raw in cursor:
            yield position, bytes(raw)


async def naming(pool: Pool, text: str) -> list[bytes]:
    """Return the bytes of all events whose key is, or whose content holds, this id, in the order of their recording."""
    async with pool.connection() as connection:
        return [bytes(raw) for (raw,) in await (await connection.execute(NAMING, {"text": text})).fetchall()]


async def lengths(pool: Pool) -> dict[int, tuple[int, str]]:
    """Return partition -> (length, hash of the last event)."""
    async with pool.connection() as connection:
        return {row[0]: (row[1], row[2]) for row in await (await connection.execute(LENGTHS)).fetchall()}


async def count(pool: Pool, like: str, lane: int) -> int:
    """Return the number of events of a partition's streams that match an SQL pattern."""
    async with pool.connection() as connection:
        row = await (await connection.execute(COUNT, [like, lane])).fetchone()
    return int(row[0]) if row else 0


async def aside(pool: Pool) -> set[tuple[str, int, int]]:
    """Return source, partition and position of every event that was set aside and not taken up again: parked, or discarded."""
    async with pool.connection() as connection:
        return {(row[0], row[1], row[2]) for row in await (await connection.execute(ASIDE)).fetchall()}


async def standing(pool: Pool) -> tuple[dict[tuple[str, int], int], Counter[str], dict[int, int]]:
    """Return how far each source was applied, how many records of each are parked, and the next position to publish per partition."""
    async with pool.connection() as connection:
        inbox = {(row[0], row[1]): row[2] for row in await (await connection.execute(INBOX)).fetchall()}
        parked = Counter({row[0]: row[1] for row in await (await connection.execute(PARKED)).fetchall()})
        published = {row[0]: row[1] for row in await (await connection.execute(PUBLISHED)).fetchall()}
    return inbox, parked, published
