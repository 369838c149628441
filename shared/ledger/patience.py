"""How long anybody waits for PostgreSQL. A connection may fall silent without an end (a machine cut off, a firewall that forgot it), and a
transaction may stand still with its locks (a process stopped): neither may keep the others, or its own process, for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any, Final

from psycopg import OperationalError
from psycopg_pool import AsyncConnectionPool

from shared.ledger.types import Connection

ANSWER_S: Final = 60.0
"""Longest time that a transaction of ours may take; after it the connection counts as dead, and the same is done on another one."""
CHECK_S: Final = 5.0
"""Time in which a connection from the pool must answer before it is used."""
IDLE_LOCK_MS: Final = 20_000
"""Time that a transaction may stand still, as it does when its process is stopped or its machine cut off, before PostgreSQL ends it and
with it its locks: else nobody could go on with its partitions. Ours never wait for anything outside."""
ALIVE: Final[Mapping[str, Any]] = MappingProxyType(
    {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}
)
"""Of every connection: the system notices within half a minute that the other machine is gone; its own patience is two hours."""

NOTICED: Final = " ".join(f"-c tcp_keepalives_{name}={value}" for name, value in (("idle", 10), ("interval", 5), ("count", 3)))
"""The same on PostgreSQL's side, as `options`: a session whose client is gone gives back its locks, the relay's among them."""


@asynccontextmanager
async def in_time() -> AsyncIterator[None]:
    """Do something with the database within ANSWER_S.

    Raises:
        OperationalError: it took longer; like any lost connection it passes, and whether a COMMIT was done is unknown.
    """
    try:
        async with asyncio.timeout(ANSWER_S):
            yield
    except TimeoutError as error:
        raise OperationalError(f"PostgreSQL has not answered for {ANSWER_S:.0f} s") from error


async def check_connection(connection: Connection) -> None:
    """Return if a connection of the pool answers soon.

    Raises:
        OperationalError: it does not; the pool gives another one.
    """
    try:
        async with asyncio.timeout(CHECK_S):
            await AsyncConnectionPool.check_connection(connection)
    except TimeoutError as error:
        raise OperationalError(f"a connection has not answered for {CHECK_S:.0f} s") from error
