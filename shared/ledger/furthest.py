"""Which database a process writes to, and how far it has seen each partition.

A ledger never gets shorter: one that did was restored from a backup beneath the running service, and whatever is written to it now would
stand where something else was published. What others wrote a process does not see at once. So it serves one database only: each connection
is asked first where it leads, and the process ends where that is another server, another database or table, or another timeline, as after a
restore to a point in time, or where a standby took over. Before it writes, the next start compares the ledger with Kafka and the readers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final
from weakref import WeakSet

from psycopg import Error, OperationalError
from psycopg_pool import AsyncConnectionPool

from shared.errors import Diverged
from shared.ledger.clocks import Clocks
from shared.ledger.failures import is_passing
from shared.ledger.patience import connected
from shared.ledger.turn import Lane
from shared.ledger.types import Connection

LOOK_S: Final = 1.0
"""Time between two looks at all partitions."""
LOOK: Final = """
    SELECT concat_ws('/', c.system_identifier, left(pg_walfile_name(pg_current_wal_lsn()), 8), d.oid, p.tableoid), p.id, p.length, p.head,
        p.last_at, clock_timestamp()
    FROM partition p, pg_control_system() c, pg_database d WHERE d.datname = current_database() ORDER BY p.id"""
"""The first 8 digits of a segment's name are its timeline."""


class Furthest:
    """The database that this process began with, and the end of each partition as it last saw it."""

    def __init__(self, service: str, clocks: Clocks) -> None:
        self._service, self._clocks = service, clocks
        self._database: str | None = None
        self._recognized: WeakSet[Connection] = WeakSet()
        self._ends: dict[int, tuple[int, str]] = {}
        self._found = asyncio.Event()
        self._diverged: Diverged | None = None

    async def recognize(self, connection: Connection) -> None:
        """Look where a connection leads, the first time that it is used; whoever writes to the ledger asks for it before.

        Raises:
            Diverged: see `look`; or it was found before, on any connection.
        """
        if self._diverged is not None:
            raise self._diverged
        if connection not in self._recognized:
            await self.look(connection)
            self._recognized.add(connection)

    async def look(self, connection: Connection) -> list[Lane]:
        """Return all partitions as they are now, and note them.

        Raises:
            Diverged: this is not the database that this process began with, or what was noted of it before is not there any more.
        """
        known = dict(self._ends)  # What is committed from here on need not be in the answer.
        rows = await (await connection.execute(LOOK)).fetchall()
        lanes = [Lane(*row[1:]) for row in rows]
        for database in {row[0] for row in rows}:
            if self._database not in (None, database):
                raise self._divergence(
                    f"the database of {self._service} is another one than this process began with: it was restored beneath the running "
                    f"service, or a standby took over. This process has written nothing to it. Start {self._service} again: before it "
                    f"writes, it compares its ledger with Kafka and with its readers, and says whether `cairn ledger catch-up "
                    f"{self._service}` is needed"
                )
            self._database = database
        for lane in lanes:
            self._compare(lane, *known.get(lane.number, (0, "")))
        self.see(lanes)
        self._clocks.look(lanes)
        return lanes

    def see(self, lanes: Iterable[Lane]) -> None:
        """Note partitions as they were committed."""
        for lane in lanes:
            if lane.length >= self._ends.get(lane.number, (0, ""))[0]:
                self._ends[lane.number] = lane.length, lane.head

    def check(self, lanes: Iterable[Lane]) -> None:
        """Compare partitions just locked, before anything is written behind them, and note them.

        Raises:
            Diverged: one is shorter than it was, or ends with another event.
        """
        for lane in lanes:
            self._compare(lane, *self._ends.get(lane.number, (0, "")))
            self._ends[lane.number] = lane.length, lane.head

    async def watch(self, pool: AsyncConnectionPool[Any]) -> None:
        """Look again and again, until the database is found to be restored; the service must stop then.

        Raises:
            Diverged: it was.
        """
        while self._diverged is None:
            try:
                async with connected(pool) as connection:
                    await self.look(connection)
            except Error as error:  # While the database is away, or has ended what stood still, nothing is written either.
                if not isinstance(error, OperationalError) and not is_passing(error):
                    raise
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._found.wait()
        raise self._diverged

    def _compare(self, lane: Lane, length: int, head: str) -> None:
        if lane.length < length or (length and lane.length == length and lane.head != head):
            raise self._divergence(
                f"partition {lane.number} of {self._service} held {length} events and now holds {lane.length}, or others: its database was "
                f"restored from a backup beneath the running service, which has written nothing to it. Keep {self._service} stopped and "
                f"run `cairn ledger catch-up {self._service}`, which copies back what is missing"
            )

    def _divergence(self, what: str) -> Diverged:
        self._diverged = Diverged(what)
        self._found.set()
        return self._diverged
