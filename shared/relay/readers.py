"""Sources ask their readers how far they are: the last witnesses where a database was restored from a backup and Kafka lost what it told.

A source asks on the control topic before it writes anything, where its own topic does not vouch for its ledger; each reader answers from
its inbox. Readers also tell it by themselves when they start. A source that a reader is ahead of stops.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog
from psycopg import AsyncConnection, OperationalError

from shared.contracts.envelope import digest
from shared.errors import Diverged
from shared.ledger.patience import in_time
from shared.relay.control import Control, Heads, Heard, Told, WhoHeard

WAIT_S: Final = 2.0
"""Time for which a source waits for its readers' answers before it writes. A reader that runs answers within a few milliseconds."""
RETRY_S: Final = 1.0
CONNECT_S: Final = 5
MAX_QUEUED: Final = 1_000
"""Answers that wait to be compared; a reader that is dropped tells it again when it is asked next."""
HEARD: Final = "SELECT partition, position, head FROM inbox WHERE source = %s AND position >= 0 ORDER BY partition"
HELD: Final = """
    SELECT p.length, e.bytes FROM partition p LEFT JOIN event e ON e.partition = p.id AND e.position = %s WHERE p.id = %s"""
REFETCH: Final = (
    ". Keep {service} stopped and run `cairn ledger catch-up {service}`, which copies back what Kafka still holds; where Kafka lost it as "
    "well, restore a newer backup, or go on behind the hole with `cairn ledger resume {service} --why ...`"
)
AGAIN: Final = (
    ", and has written since. Keep {service} stopped, restore the backup again, delete the topic of {service}, and go on behind the hole "
    "with `cairn ledger resume {service} --why ...`"
)
"""The ledger and its readers have different events at the same positions: what it wrote after it was restored must go."""
LENGTH: Final = "SELECT sum(length) FROM partition"

log = structlog.get_logger(__name__)


class Witness:
    """Tells the sources of a service how far it has applied them: once at the start, and whenever one of them asks."""

    def __init__(self, *, dsn: str, service: str, sources: Iterable[str], control: Control) -> None:
        self._dsn, self._service, self._sources, self._control = dsn, service, tuple(map(str, sources)), control
        self._asked: asyncio.Queue[str] = asyncio.Queue(MAX_QUEUED)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to answer; all sources are told at once."""
        self._control.listeners.append(self._hear)
        for source in self._sources:
            self._asked.put_nowait(source)
        self._task = asyncio.create_task(self._run(), name="witness")

    async def stop(self) -> None:
        """Answer no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _hear(self, told: Told) -> None:
        message = told.message
        if isinstance(message, WhoHeard) and message.service in self._sources and not self._asked.full():
            self._asked.put_nowait(message.service)

    async def _run(self) -> None:
        while True:
            source = await self._asked.get()
            try:
                async with _connected(self._dsn) as connection:
                    rows = await (await connection.execute(HEARD, [source])).fetchall()
                heads = tuple(Heard(partition=partition, position=position, head=head) for partition, position, head in rows)
                await self._control.send(Heads(service=source, reader=self._service, partitions=heads))
            except OperationalError as error:  # Whoever asked goes on without this answer, and is told at the next start.
                log.warning("inbox not told", source=source, error=type(error).__name__)
                await asyncio.sleep(RETRY_S)
            except Exception as error:
                log.error("inbox not told", source=source, exc_info=error)
                await asyncio.sleep(RETRY_S)


class Witnessed:
    """Compares what readers say with a service's own ledger."""

    def __init__(self, *, dsn: str, service: str, control: Control) -> None:
        self._dsn, self._service, self._control = dsn, service, control
        self._told: asyncio.Queue[Heads | None] = asyncio.Queue(MAX_QUEUED + 1)
        control.listeners.append(self._hear)

    async def ask(self, vouched: bool, wait_s: float = WAIT_S) -> None:
        """Ask all readers that run, and wait for their answers, unless Kafka vouches for the ledger. Before anything is written.

        Args:
            vouched: the topic holds the last event that was published of each partition, and the ledger is not empty.

        Raises:
            Diverged: a reader has applied what this ledger does not hold.
        """
        if vouched and await self._holds_something():
            return
        await self._control.send(WhoHeard(service=self._service))
        loop = asyncio.get_running_loop()
        until = loop.time() + wait_s
        while (left := until - loop.time()) > 0:
            try:
                heads = await asyncio.wait_for(self._told.get(), left)
            except TimeoutError:
                return
            if heads is not None:
                await self._compare(heads.reader, heads.partitions)

    async def stop(self) -> None:
        """Let `run` end."""
        self._told.put_nowait(None)

    async def run(self) -> None:
        """Compare what readers tell from now on, until stopped.

        Raises:
            Diverged: as `ask`; the service must stop.
        """
        while (heads := await self._told.get()) is not None:
            try:
                await self._compare(heads.reader, heads.partitions)
            except OperationalError as error:
                log.warning("readers' inboxes not compared", reader=heads.reader, error=type(error).__name__)

    def _hear(self, told: Told) -> None:
        message = told.message
        if isinstance(message, Heads) and message.service == self._service and self._told.qsize() < MAX_QUEUED:
            self._told.put_nowait(message)

    async def _holds_something(self) -> bool:
        async with _connected(self._dsn) as connection:
            row = await (await connection.execute(LENGTH)).fetchone()
        return row is not None and bool(row[0])

    async def _compare(self, reader: str, heads: Sequence[Heard]) -> None:
        """Compare a reader's inbox with the ledger as it is now: what a reader has applied was committed here before."""
        async with _connected(self._dsn) as connection:
            for each in heads:
                row = await (await connection.execute(HELD, [each.position, each.partition])).fetchone()
                length, raw = row if row is not None else (0, None)
                if each.position >= length:
                    raise Diverged(self._behind(reader, each, f"the ledger holds {length} events", REFETCH))
                if raw is not None and digest(bytes(raw)) != each.head:  # None: a hole that was recorded.
                    raise Diverged(self._behind(reader, each, "the ledger holds another event there", AGAIN))

    def _behind(self, reader: str, each: Heard, what: str, way_out: str) -> str:
        return (
            f"{reader} has applied event {each.position} of partition {each.partition} of {self._service}, and {what}: this database was "
            f"restored behind its readers{way_out.format(service=self._service)}"
        )


@asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[AsyncConnection[Any]]:
    """Yield a connection of its own for what must end within ANSWER_S."""
    async with in_time(), await AsyncConnection.connect(dsn, autocommit=True, connect_timeout=CONNECT_S) as connection:
        yield connection
