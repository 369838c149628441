"""A database that was restored behind its topic gets back, byte for byte, what it had published.

First every missing event is read from Kafka into a file on this machine and the whole chain is verified; only then anything is written.
What was recorded and never reached Kafka is not there to be copied.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import Any, Final

from shared.contracts.envelope import Header, Recorded, canonical, digest, event_id, partition_of
from shared.contracts.ledger import HoleNoted, hole_before
from shared.contracts.topics import topic_name
from shared.decider import Decider
from shared.errors import Diverged, LedgerError
from shared.ledger import Projection, store
from shared.ledger.park import AsksOf
from shared.ledger.turn import Held, Lane
from shared.ledger.types import Connection
from shared.relay.alone import alone
from shared.relay.compare import compare
from shared.relay.heard import causes, move_inbox
from shared.relay.topics import ensure_topics
from shared.relay.walk import records

BATCH: Final = 500
"""Events of one transaction, and as many more as were recorded at the same instant: those were one transaction before."""
MAX_BATCH: Final = 20_000
"""Events at which a transaction ends however many were recorded at one instant."""
LENGTH_BYTES: Final = 4
LANES: Final = "SELECT id, length, head, last_at FROM partition ORDER BY id"
PUBLISHED: Final = """
    UPDATE published SET position = greatest(published.position, partition.length) FROM partition
    WHERE partition.id = published.partition AND partition.id = ANY(%s)"""

BEGUN: Final = "catch-up"
"""Cursor that holds, per partition, how long the restored ledger was: where a run is broken off, the next one knows it."""
BEGIN: Final = "INSERT INTO cursor (name, partition, after_key) SELECT %s, id, length::text FROM partition ON CONFLICT DO NOTHING"
READ_BEGUN: Final = "SELECT partition, after_key::bigint FROM cursor WHERE name = %s"
END: Final = "DELETE FROM cursor WHERE name = %s"

Progress = Callable[[int, int], None]
"""Told how many events were written back so far, and of how many."""


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """What was written back."""

    events: int
    partitions: int
    """In which they lie."""
    heard: int = 0
    """Records of others that need not be heard again, because what they led to is back."""


class CatchUp:
    """Catches up one service's database. The service must stand still; each transaction is whole, so it may be broken off and run again."""

    def __init__(
        self, *, dsn: str, service: str, installation: str, partitions: int, kafka_servers: str, prefix: str,
        deciders: Sequence[Decider[Any]], projections: Sequence[Projection], hears: Iterable[str] = (), asks_of: AsksOf | None = None,
    ) -> None:  # fmt: skip
        """Prepare; nothing is opened.

        Args:
            dsn: of the service's database, as its app role.
            deciders: of every kind of its streams, the settings included.
            hears: the services whose events it hears.
            asks_of: what it asks about them.
        """
        self._dsn, self._service, self._installation, self._partitions = dsn, service, installation, partitions
        self._source, self._hears, self._asks_of = f"/{installation}/{service}", tuple(hears), asks_of
        self._servers, self._prefix, self._topic = kafka_servers, prefix, topic_name(prefix, service)
        self._deciders, self._projections = {decider.kind: decider for decider in deciders}, tuple(projections)

    async def run(self, progress: Progress) -> CaughtUp:
        """Write back what the topic holds beyond the ledger; nothing, where the two agree.

        Raises:
            Diverged: the ledger has gone on by itself; nothing was written.
            LedgerError: the service runs; or Kafka lacks a missing event, or holds one changed: then nothing was written.
            WrongPartitionCount: see `ensure_topics`.
            aiokafka.errors.KafkaError, TimeoutError, psycopg.Error: a server cannot be reached; run it again.
        """
        await ensure_topics(self._servers, self._prefix, [self._service], self._partitions)
        with ExitStack() as files:
            async with alone(self._dsn, self._service) as connection:
                rows = await (await connection.execute(LANES)).fetchall()
                missing = {row[0]: files.enter_context(Missing(Lane(*row), self._service, self._source, self._partitions)) for row in rows}
                await self._collect(missing)
                lacking = [each for each in missing.values() if each.count]
                if lacking:
                    await connection.execute(BEGIN, [BEGUN])
                events = await self._write_all(connection, lacking, progress)
                heard = await self._move_inboxes(connection)
                await compare(connection, self._servers, self._topic, self._source, range(self._partitions))
        return CaughtUp(events, len(lacking), heard)

    async def _move_inboxes(self, connection: Connection) -> int:
        """Move the inboxes on, as far as what was written back says that they were; return past how many records."""
        since = dict(await (await connection.execute(READ_BEGUN, [BEGUN])).fetchall())
        heard = 0
        if since and self._asks_of is not None:
            applied = await causes(connection, since)
            for source in sorted(self._hears):
                heard += await move_inbox(connection, self._servers, self._prefix, self._installation, source, self._asks_of, applied)
        await connection.execute(END, [BEGUN])
        return heard

    async def _collect(self, missing: Mapping[int, Missing]) -> None:
        """Read the topic until every partition's missing events are there; again, where a refill stands behind what follows it."""
        taken, gaps = -1, list(missing.values())
        while gaps and (count := sum(each.count for each in missing.values())) > taken:
            taken = count
            async for number, _, raw in records(self._servers, self._topic, sorted(missing)):
                missing[number].take(raw, self._deciders)
            gaps = [each for each in missing.values() if each.furthest > each.lane.length]
        if gaps:
            raise LedgerError("; ".join(each.gap for each in gaps))

    async def _write_all(self, connection: Connection, missing: Sequence[Missing], progress: Progress) -> int:
        total, written = sum(each.count for each in missing), 0
        batch: list[Recorded[Any]] = []
        # In the order of recording, as `cairn rebuild` goes: a read table may hold rows from several partitions.
        for event in heapq.merge(*missing, key=lambda event: (event.time, event.partition, event.position)):
            if len(batch) >= MAX_BATCH or (len(batch) >= BATCH and event.time != batch[-1].time):
                await self._write(connection, batch)
                written, batch = written + len(batch), []
                progress(written, total)
            batch.append(event)
        if batch:
            await self._write(connection, batch)
            progress(total, total)
        return total

    async def _write(self, connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        """Write events and all that follows from them, in one transaction."""
        async with connection.transaction():
            lanes = await store.lock_lanes(connection, {event.partition for event in events})
            for event in events:
                lane = lanes[event.partition]
                if isinstance(event.data, HoleNoted) and (event.data.first, event.data.before) == (lane.length, lane.head):
                    lane.length, lane.head = event.position, event.previous
                if (event.position, event.previous) != (lane.length, lane.head):
                    raise LedgerError(
                        f"something else writes to the ledger of {self._service}: stop it, then look at it with `replay verify`"
                    )
                lane.length, lane.head, lane.last_at = lane.length + 1, event.hash, event.time
            changed = await self._evolved(connection, events)
            await store.append(connection, events, lanes.values())
            await store.keep_streams(connection, changed, self._deciders)
            await store.keep_parameters(connection, events)
            await store.project(connection, self._projections, events)
            await connection.execute(PUBLISHED, [list(lanes)])

    async def _evolved(self, connection: Connection, events: Sequence[Recorded[Any]]) -> list[Held]:
        """Return the streams of these events as they are after them."""
        held = await store.load_streams(connection, {event.stream: -1 for event in events}, {}, self._deciders)
        for event in events:
            if event.stream not in held:
                initial = self._deciders[event.kind].initial
                held[event.stream] = Held(event.stream, event.key, event.partition, 0, initial, 0)
        await self._fold_uncached(connection, held)
        for event in events:
            stream = held[event.stream]
            if (event.version, event.key) != (stream.version + 1, stream.key):
                raise LedgerError(
                    f"{event.stream} stands at version {stream.version} and event {event.version} follows: the cache of states is wrong, "
                    f"run `cairn rebuild {self._service} stream`, then this again"
                )
            stream.version, stream.state = event.version, self._deciders[event.kind].evolve(stream.state, event.data)
        return list(held.values())

    async def _fold_uncached(self, connection: Connection, held: dict[str, Held]) -> None:
        """Fold streams that have no row, as they may have events all the same: `stream` is a cache."""
        absent = [name for name, stream in held.items() if not stream.read_version]
        await store.load_events(connection, held, absent)
        for name in absent:
            stored = held[name].stored or []
            held[name].version = len(stored)
            held[name].state = self._deciders[name.split("/", 2)[1]].fold(event.data for event in stored)


class Missing:
    """The events of one partition that the ledger lacks, verified and kept in a file that ends with this process."""

    def __init__(self, lane: Lane, service: str, source: str, partitions: int) -> None:
        """Begin where the ledger ends; `lane` moves on with what is taken."""
        self.lane, self._service, self._source, self._partitions = lane, service, source, partitions
        self.count = 0
        """How many events were taken."""
        self.furthest = lane.length
        """One more than the furthest position that the topic was seen to hold."""
        self._file = TemporaryFile()  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Missing:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def gap(self) -> str:
        """What Kafka lacks, in words."""
        return (
            f"Kafka holds event {self.furthest - 1} of partition {self.lane.number}, not event {self.lane.length}: nothing was written. "
            f"Restore a newer backup, one that holds more than {self.lane.length} events of this partition"
        )

    def __iter__(self) -> Iterator[Recorded[Any]]:
        """Yield the events taken, in order."""
        self._file.seek(0)
        while size := int.from_bytes(self._file.read(LENGTH_BYTES), "big"):
            yield store.decoded(self._file.read(size))

    def take(self, raw: bytes, deciders: Mapping[str, Decider[Any]]) -> None:
        """Take a record, where it is the next event; pass over what is no event of this partition, is here already, or comes too early.

        Raises:
            Diverged: the ledger has gone on by itself.
            LedgerError: the event was changed, or this release does not know it.
        """
        try:
            header = Header.read(raw)
        except ValueError:
            return
        if (header.attributes["source"], header.attributes["partition"]) != (self._source, self.lane.number):
            return
        self.furthest = max(self.furthest, header.position + 1)
        hole = hole_before(header)
        if hole is not None and (hole.first, hole.before) == (self.lane.length, self.lane.head):
            self.lane.length, self.lane.head = header.position, header.previous
        if header.position != self.lane.length:
            return
        if header.previous != self.lane.head:
            raise self._unchained()
        event = self._sound(header, deciders)
        self._file.write(len(raw).to_bytes(LENGTH_BYTES, "big") + raw)
        self.lane.length, self.lane.head, self.lane.last_at = self.lane.length + 1, digest(raw), event.time
        self.count += 1

    def _unchained(self) -> LedgerError:
        place = f"event {self.lane.length} of partition {self.lane.number} on Kafka"
        if self.count:
            return LedgerError(f"{place} is not chained to the one before it: one of the two was changed. Nothing was written")
        return Diverged(
            f"{place} does not follow the last event of this database: the database has gone on by itself since it was restored, or is not "
            f"the one that was published. Nothing was written. Restore the backup again, keep {self._service} stopped, and run this first"
        )

    def _sound(self, header: Header, deciders: Mapping[str, Decider[Any]]) -> Recorded[Any]:
        """Return the event of an envelope that is what this service would have written.

        Raises:
            LedgerError: it is not.
        """
        place = f"event {header.position} of partition {self.lane.number} on Kafka"
        try:
            event = store.decoded(header.raw)
        except ValueError as error:
            raise LedgerError(f"{place} does not fit its contract and was changed. Nothing was written") from error
        service, *kind = event.stream.split("/", 2)
        checks: tuple[tuple[bool, str], ...] = (
            (canonical(header.attributes) == header.raw, "is not in canonical form"),
            (event.id == event_id(event.stream, event.version), "has another id than its stream and version give"),
            (partition_of(event.key, self._partitions) == self.lane.number, "has a key of another partition"),
            (service == self._service and bool(kind) and kind[0] in deciders, "is of a stream that this service does not have"),
            (self.lane.last_at is None or event.time >= self.lane.last_at, "was recorded before the one before it"),
        )
        wrong = next((wrong for fine, wrong in checks if not fine), "")
        if wrong:
            raise LedgerError(f"{place} {wrong}: it was not written by this service as it stands there. Nothing was written")
        return event
