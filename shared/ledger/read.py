"""Reading a whole record: streams in order for replay, partitions in order for proofs. Never writes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from psycopg_pool import AsyncConnectionPool

from shared.ledger.types import Connection

FETCH: Final = 1_000
"""Rows that one round trip brings."""
STREAMS: Final = """
    SELECT stream, bytes FROM event WHERE (%(like)s::text IS NULL OR stream LIKE %(like)s) ORDER BY stream, version"""
PARTITION: Final = "SELECT position, bytes FROM event WHERE partition = %s AND position >= %s ORDER BY position"
NAMING: Final = """
    SELECT bytes FROM event WHERE key = %(text)s OR strpos(convert_from(bytes, 'UTF8'), %(text)s) > 0
    ORDER BY recorded_at, partition, position"""
LENGTHS: Final = "SELECT id, length, head FROM partition ORDER BY id"
COUNT: Final = "SELECT count(*) FROM event WHERE (%(like)s::text IS NULL OR stream LIKE %(like)s)"
PAGES: Final = "SELECT hash, data FROM parameter_page"

Pool = AsyncConnectionPool[Any]


async def streams(pool: Pool, like: str | None = None) -> AsyncIterator[tuple[str, bytes]]:
    """Yield (stream, event bytes), all events of a stream together and in order; `like` is an SQL pattern of stream names."""
    async with pool.connection() as connection, connection.cursor("streams") as cursor:
        cursor.itersize = FETCH
        await cursor.execute(STREAMS, {"like": like})
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


async def count(pool: Pool, like: str | None = None) -> int:
    """Return the number of events, of the streams that match."""
    async with pool.connection() as connection:
        row = await (await connection.execute(COUNT, {"like": like})).fetchone()
    return int(row[0]) if row else 0


async def pages(pool: Pool) -> Mapping[str, bytes]:
    """Return the parameter pages of the record by their hash."""
    async with pool.connection() as connection:
        return await _pages(connection)


async def _pages(connection: Connection) -> dict[str, bytes]:
    return {row[0]: bytes(row[1]) for row in await (await connection.execute(PAGES)).fetchall()}
