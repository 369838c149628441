"""What only one of several processes may do or be: the one that holds an advisory lock of the database does the work, or has the name."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any, Final

import structlog
from psycopg import AsyncConnection, OperationalError

from shared.errors import CairnError
from shared.ledger.patience import ALIVE, NOTICED, in_time

NAME_LOCK: Final = 7_012
"""First half of the advisory locks that stand for names; the other one is made of the name."""
CLAIM_S: Final = 45.0
"""Time for which a process waits for its name: that of a machine which was cut off is given back within half a minute. What an
answer of the database takes does not count: it may be the database that stood still."""
LOCK_POLL_S: Final = 1.0
"""Time between two attempts to get the lock."""
TAKE_OVER_S: Final = 2.0
"""Pause before the work begins of whoever had to wait for the lock: who lost it with its connection has stopped by then (the ticker gives
a step one second)."""
RETRY_S: Final = 0.5

log = structlog.get_logger(__name__)


class NameTaken(CairnError):
    """Another process of the service has the same name."""

    def __init__(self, service: str, name: str) -> None:
        super().__init__(
            f"another worker of {service} is called {name}, and each would put the other out of Kafka's consumer group: give every machine "
            f"that runs {service} a CAIRN_INSTANCE_ID of its own, which stays the same after a restart, or end the other worker"
        )


class Name:
    """A worker's name in the consumer group of its service. Nobody else has it at the same time, on whichever machine."""

    def __init__(self, dsn: str, service: str, name: str) -> None:
        self._dsn, self._service, self._name = dsn, service, name
        self._connection: AsyncConnection[Any] | None = None

    async def claim(self) -> None:
        """Return as soon as the name is this process's.

        Raises:
            NameTaken: somebody else keeps it.
            psycopg.OperationalError: the database does not answer.
        """
        if self._connection is None:
            self._connection = await _connect(self._dsn)
        key = int.from_bytes(sha256(self._name.encode()).digest()[:4], "big", signed=True)
        waited = 0.0
        while not await _locked(self._connection, NAME_LOCK, key):
            if waited >= CLAIM_S:
                raise NameTaken(self._service, self._name)
            if not waited:
                log.warning("another worker has this name", name=self._name, waits_s=CLAIM_S)
            await asyncio.sleep(LOCK_POLL_S)
            waited += LOCK_POLL_S

    async def keep(self) -> None:
        """Keep the name, until this is cancelled; where the connection is lost, claim it again.

        Raises:
            NameTaken: somebody else has got it meanwhile.
        """
        while True:
            try:
                await self.claim()
                assert self._connection is not None
                async for _ in self._connection.notifies():  # Ends when the connection breaks: nothing else is ever read from it.
                    pass
            except (OperationalError, OSError) as error:
                log.warning("the name is claimed again", name=self._name, error=type(error).__name__, again_in_s=RETRY_S)
            await self.give_back()
            await asyncio.sleep(RETRY_S)

    async def give_back(self) -> None:
        """Let somebody else have the name."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


async def lead(
    dsn: str, lock: int, what: str, begin: Callable[[], Awaitable[None]], end: Callable[[], Awaitable[None]],
    answered: Callable[[], None] = lambda: None,
) -> None:  # fmt: skip
    """Begin whenever this process gets the lock, end when it loses it or is cancelled. Returns never; a lost connection is made again.

    Args:
        dsn: of the database; one connection of its own holds the lock, and nothing else.
        what: is led, for the log.
        answered: called each time when the database has said who has the lock.
    """
    while True:
        try:
            async with await _connect(dsn) as connection:
                pause = 0.0
                while not await _locked(connection, lock):
                    answered()
                    pause = TAKE_OVER_S
                    await asyncio.sleep(LOCK_POLL_S)
                await asyncio.sleep(pause)
                await _work(connection, what, begin, end)
        except (OperationalError, OSError) as error:
            log.warning("leader starts again", what=what, error=type(error).__name__, again_in_s=RETRY_S)
        except Exception as error:
            log.error("leader starts again", what=what, exc_info=error, again_in_s=RETRY_S)
        await asyncio.sleep(RETRY_S)


async def _connect(dsn: str) -> AsyncConnection[Any]:
    async with in_time():
        return await AsyncConnection.connect(dsn, autocommit=True, options=NOTICED, **ALIVE)


async def _locked(connection: AsyncConnection[Any], *lock: int) -> bool:
    keys = ", ".join(["%s"] * len(lock))
    async with in_time():
        row = await (await connection.execute(f"SELECT pg_try_advisory_lock({keys})".encode(), lock)).fetchone()
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
