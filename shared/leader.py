"""One of several processes does what must not be done several times at once: the one that holds an advisory lock of the database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from psycopg import AsyncConnection, OperationalError

LOCK_POLL_S: Final = 1.0
"""Time between two attempts to get the lock."""
TAKE_OVER_S: Final = 2.0
"""Pause before the work begins of whoever had to wait for the lock: who lost it with its connection has stopped by then (the ticker gives
a step one second)."""
RETRY_S: Final = 0.5

log = structlog.get_logger(__name__)


async def lead(dsn: str, lock: int, what: str, begin: Callable[[], Awaitable[None]], end: Callable[[], Awaitable[None]]) -> None:
    """Begin whenever this process gets the lock, end when it loses it or is cancelled. Returns never; a lost connection is made again.

    Args:
        dsn: of the database; one connection of its own holds the lock, and nothing else.
        what: is led, for the log.
    """
    while True:
        try:
            async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
                pause = 0.0
                while not await _locked(connection, lock):
                    pause = TAKE_OVER_S
                    await asyncio.sleep(LOCK_POLL_S)
                await asyncio.sleep(pause)
                await _work(connection, what, begin, end)
        except (OperationalError, OSError) as error:
            log.warning("leader starts again", what=what, error=type(error).__name__, again_in_s=RETRY_S)
        await asyncio.sleep(RETRY_S)


async def _locked(connection: AsyncConnection[Any], lock: int) -> bool:
    row = await (await connection.execute("SELECT pg_try_advisory_lock(%s)", [lock])).fetchone()
    return row is not None and bool(row[0])


async def _work(
    connection: AsyncConnection[Any], what: str, begin: Callable[[], Awaitable[None]], end: Callable[[], Awaitable[None]]
) -> None:
    """Let the work be done until the connection breaks, which is noticed at once: nothing else is ever read from it."""
    log.info("leads", what=what)
    try:
        await begin()
        async for _ in connection.notifies():
            pass
    finally:
        await end()
