"""Going on behind a hole: a database was restored from an older backup, and Kafka lost what it had told since.

What readers have applied of it they keep. The ledger notes the lost stretch as an event behind it, chained to what the furthest reader
holds, so that every reader can go on; nothing else of the lost stretch comes back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from shared.contracts.envelope import Origin, digest
from shared.contracts.ledger import HoleNoted
from shared.contracts.topics import topic_name
from shared.errors import LedgerError
from shared.hole_stream import KIND, NoteHole, hole_decider, marker_of
from shared.ledger import Ask, store
from shared.ledger.turn import Lane, Turn, hold
from shared.ledger.types import Connection
from shared.parameters import Parameters
from shared.relay.alone import alone
from shared.relay.compare import BYTES_OF, compare
from shared.relay.topics import ensure_topics

PASS: Final = "UPDATE published SET position = greatest(position, %s) WHERE partition = %s"
SETTINGS: Final = "SELECT coalesce(max(version), 0) FROM stream WHERE id = %s"


@dataclass(frozen=True, slots=True)
class Furthest:
    """How far the furthest reader of one partition is."""

    partition: int
    after: int
    """The last position that it applied."""
    head: str
    """Its hash."""


class Resume:
    """Notes holes in one service's ledger. The service must stand still."""

    def __init__(
        self, *, dsn: str, service: str, installation: str, partitions: int, release: str, kafka_servers: str, prefix: str
    ) -> None:
        """Prepare; nothing is opened. `dsn` is of the service's database, as its app role."""
        self._dsn, self._service, self._source, self._partitions = dsn, service, f"/{installation}/{service}", partitions
        self._release, self._servers, self._prefix = release, kafka_servers, prefix
        self._decider = hole_decider(service)

    async def run(self, furthest: list[Furthest], why: str, now: datetime, request: UUID) -> list[HoleNoted]:
        """Note a hole in each partition whose ledger is behind its furthest reader, all in one transaction; return them.

        Safe to run again: a ledger that is no longer behind has no hole.

        Raises:
            LedgerError: the service runs, a partition does not exist, or its ledger holds another event than its furthest reader.
                Nothing was written.
            Diverged: Kafka still holds events that the ledger lacks: catch up first. Nothing was written.
            psycopg.Error, aiokafka.errors.KafkaError: a server cannot be reached; run it again.
        """
        await ensure_topics(self._servers, self._prefix, [self._service], self._partitions)
        async with alone(self._dsn, self._service) as connection:
            await compare(connection, self._servers, topic_name(self._prefix, self._service), self._source, range(self._partitions))
            async with connection.transaction():
                lanes = await store.lock_lanes(connection, {each.partition for each in furthest})
                unknown = [each.partition for each in furthest if each.partition not in lanes]
                if unknown:
                    raise LedgerError(f"the ledger of {self._service} has no partition {unknown[0]}: it has {self._partitions}, from 0 on")
                behind = [each for each in furthest if lanes[each.partition].length <= each.after]
                for each in furthest:
                    await self._same(connection, each)
                return [await self._note(connection, each, lanes[each.partition], why, now, request) for each in behind]

    async def _same(self, connection: Connection, each: Furthest) -> None:
        """Return where the ledger holds what its furthest reader has applied last, or nothing there."""
        row = await (await connection.execute(BYTES_OF, [each.partition, each.after])).fetchone()
        if row is not None and digest(bytes(row[0])) != each.head:
            raise LedgerError(
                f"event {each.after} of partition {each.partition} of {self._service} is another one than its furthest reader has "
                f"applied: it was written after the database was restored. Restore the backup again, delete the topic of {self._service}, "
                f"then run this again"
            )

    async def _note(self, connection: Connection, each: Furthest, lane: Lane, why: str, now: datetime, request: UUID) -> HoleNoted:
        """Write the event behind the hole, and what follows from it."""
        hole = HoleNoted(
            partition=lane.number, marker=marker_of(lane.number, self._partitions), first=lane.length, after=each.after, before=lane.head,
            head=each.head, why=why,
        )  # fmt: skip
        command = NoteHole(self._service, hole)
        stream, deciders = command.stream, {KIND: self._decider}
        rows = await store.load_streams(connection, {stream.name: -1}, {}, deciders)
        row = await (await connection.execute(SETTINGS, [f"{self._service}/settings"])).fetchone()
        turn = Turn(
            source=self._source, release=self._release, deciders=deciders, parameters=Parameters(int(row[0]) if row else 0),
            lanes={lane.number: Lane(lane.number, each.after + 1, each.head, lane.last_at)},
            held=hold([stream], {stream.key: lane.number}, rows, deciders), now=now,
        )  # fmt: skip
        turn.run([Ask(command, Origin(str(request), str(request)))])
        if len(turn.events) != 1:
            raise LedgerError(f"partition {lane.number} of {self._service} has noted this hole before, and yet ends before it: look at it")
        await store.append(connection, turn.events, turn.lanes.values())
        await store.keep_streams(connection, turn.changed(), deciders)
        await connection.execute(PASS, [each.after + 1, lane.number])
        return hole
