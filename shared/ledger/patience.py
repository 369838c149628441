"""How long anybody waits for PostgreSQL. A connection may fall silent without an end (a machine cut off, a firewall that forgot it), and a
transaction may stand still with its locks (a process stopped): neither may keep the others, or its own process, for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from psycopg import OperationalError
from psycopg_pool import AsyncConnectionPool

if TYPE_CHECKING:
    from shared.ledger.types import Connection

ANSWER_S: Final = 60.0
"""Longest time that a transaction or a query of ours may take; after it the connection counts as dead, and the same is done on another
one."""
WHOLE_S: Final = 100.0
"""The same for one that prepares before it locks a partition: a roster is compared and sealed meanwhile. Gateways wait longer."""
CHECK_S: Final = 5.0
"""Time in which a connection from the pool must answer before it is used."""
LOCK_MS: Final = 2_000
"""Time that records wait for a lock of their partitions, before those of each partition are applied by themselves."""
ALONE_MS: Final = 200
"""Time that they wait then: those of a partition that is held by somebody for that long are polled again later."""
IDLE_LOCK_MS: Final = 20_000
"""Time that a transaction may stand still, as it does when its process is stopped or its machine cut off, before PostgreSQL ends it and
with it its locks: else nobody could go on with its partitions. Ours never wait for anything outside."""
STANDING: Final = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity a
    WHERE datname = current_database() AND usename = current_user AND state = 'active' AND wait_event = 'ClientRead'
        AND query_start < clock_timestamp() - %s * interval '1 ms'
        AND EXISTS (SELECT FROM pg_locks l WHERE NOT l.granted AND a.pid = ANY (pg_blocking_pids(l.pid)))"""
"""Sessions of ours that have waited for their own process in the middle of a COPY for so long, while others wait for their locks."""
ALIVE: Final[Mapping[str, Any]] = MappingProxyType(
    {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}
)
"""Of every connection: the system notices within half a minute that the other machine is gone; its own patience is two hours."""

NOTICED: Final = " ".join(f"-c tcp_keepalives_{name}={value}" for name, value in (("idle", 10), ("interval", 5), ("count", 3)))
"""The same on PostgreSQL's side, as `options`: a session whose client is gone gives back its locks, the relay's among them."""

_GIVING: Final[set[asyncio.Task[None]]] = set()
"""Connections on their way back, which nobody else may wait for."""


class TookTooLong(OperationalError):
    """PostgreSQL was silent, or what was asked of it in one transaction was too much: either way whether a COMMIT was done is unknown."""


@asynccontextmanager
async def in_time(seconds: float | None = None) -> AsyncIterator[None]:
    """Do something with the database within so many seconds, by default ANSWER_S.

    Raises:
        TookTooLong: it took longer; like any lost connection it passes.
    """
    seconds = seconds or ANSWER_S
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise TookTooLong(f"PostgreSQL has not answered for {seconds:.0f} s") from error


@asynccontextmanager
async def connected(pool: AsyncConnectionPool[Any], seconds: float | None = None) -> AsyncIterator[Any]:
    """Yield a connection of the pool; to get one, and all that is done with it, must end in time. However it ends, the pool has it again.

    Raises:
        OperationalError: see `in_time`; or the pool had none to give.
    """
    connection: Any = None
    try:
        async with in_time(seconds):
            connection = await pool.getconn()
            async with connection:
                yield connection
    finally:
        if connection is not None:
            await _give_back(pool, connection)


async def _give_back(pool: AsyncConnectionPool[Any], connection: Any) -> None:
    """Give a connection back to its pool, and wait for that a while. Broken off in the middle it would be lost to the pool for good: so
    neither a deadline nor the end of whoever had it reaches this.
    """
    giving = asyncio.create_task(pool.putconn(connection), name="give-back")
    _GIVING.add(giving)
    giving.add_done_callback(_GIVING.discard)
    done, _ = await asyncio.wait([giving], timeout=CHECK_S)
    for task in done:
        task.result()


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


async def end_standing(connection: Connection) -> int:
    """End sessions that stand still in the middle of a COPY and hold others up for longer than IDLE_LOCK_MS; return how many. Of all that
    PostgreSQL waits for from a client, this is what none of its timeouts ends.
    """
    return len(await (await connection.execute(STANDING, [IDLE_LOCK_MS])).fetchall())
