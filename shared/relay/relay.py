"""From the ledger to Kafka, in order: an event may be sent twice, none is left out."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from psycopg import AsyncConnection, OperationalError, errors

from shared.contracts.envelope import Recorded
from shared.contracts.topics import topic_name
from shared.errors import LedgerError, NoTopic
from shared.failpoints import reach
from shared.ledger.patience import ALIVE, NOTICED, end_standing, in_time
from shared.relay.compare import compare
from shared.relay.control import Control, Length, Lengths, Refill, Told
from shared.relay.fresh import Fresh, Row
from shared.relay.topics import ensure_topics, led
from shared.standing import Standing
from shared.tasks import end
from shared.telemetry import traceparent_of_current

if TYPE_CHECKING:
    from shared.telemetry import Metrics

CHUNK: Final = 500
"""Events of one partition that are read and sent at once; the rest follows in the next round."""
CHUNK_BYTES: Final = 900_000
"""Bytes of events in such a batch, so that the topic's limit of 1 MiB is kept."""
MANY: Final = 500
"""Events of a round from which on the next one lets more come together: a batch costs the broker as much with few of them."""
GATHER_S: Final = 0.25
"""Time for which it does. What is recorded by thousands each second comes as much later, and nothing else does."""
ANNOUNCE_S: Final = 5.0
"""Time between two announcements of the lengths, and between two looks at whether what they say is published."""
LOCK_POLL_S: Final = 1.0
RETRY_S: Final = 0.5
HELD_S: Final = 5.0
"""Time for which a partition rests that Kafka did not take while it took others: each try of it holds up their next round."""
LEADER_S: Final = 1.0
"""Time between two looks at whether a partition without a leader has one again."""
REQUEST_TIMEOUT_MS: Final = 20_000
"""Time after which a batch that Kafka did not take is given up by its producer; the events are read and sent again."""
STOP_S: Final = 5.0
MAX_REFILLS: Final = 1_024
"""Requests for refill remembered; whoever is turned away asks again."""
MAX_TRACES: Final = 10_000
"""Events whose trace is remembered until they are sent."""
RELAY_LOCK: Final = 7_012_027
"""Advisory lock of the one relay that works; for economy, not for correctness."""

UNSENT: Final = """
    SELECT partition, position, key, bytes FROM (
        SELECT e.*, sum(octet_length(e.bytes)) OVER (PARTITION BY e.partition ORDER BY e.position) - octet_length(e.bytes) AS before
        FROM published p CROSS JOIN LATERAL (
            SELECT partition, position, key, bytes FROM event
            WHERE partition = p.partition AND position >= p.position ORDER BY position LIMIT %s
        ) e WHERE p.partition <> ALL(%s)
    ) chunk WHERE before < %s ORDER BY partition, position"""
STRETCH: Final = """
    SELECT partition, position, key, bytes FROM (
        SELECT e.*, sum(octet_length(e.bytes)) OVER (ORDER BY e.position) - octet_length(e.bytes) AS before
        FROM (
            SELECT e.partition, e.position, e.key, e.bytes FROM event e JOIN published p USING (partition)
            WHERE e.partition = %s AND e.position >= %s AND e.position < least(%s, p.position) ORDER BY e.position LIMIT %s
        ) e
    ) chunk WHERE before < %s ORDER BY position"""
MOVE: Final = """
    UPDATE published SET position = sent.next
    FROM unnest(%s::int[], %s::bigint[], %s::bigint[]) AS sent(partition, read, next)
    WHERE published.partition = sent.partition AND published.position = sent.read"""
PUBLISHED: Final = "SELECT partition, position FROM published"
LENGTHS: Final = "SELECT id, length, head, position FROM partition JOIN published ON published.partition = id ORDER BY id"

log = structlog.get_logger(__name__)


class Relay:
    """One service's relay. `start` before anything writes to the ledger, then `run` until `stop`."""

    def __init__(
        self, *, dsn: str, service: str, source: str, partitions: int, kafka_servers: str, prefix: str, control: Control,
        poll_ms: int = 100, metrics: Metrics | None = None,
    ) -> None:  # fmt: skip
        """Prepare; nothing is opened.

        Args:
            dsn: of the service's database, as its app role; the relay keeps one connection of its own.
            source: `/<installation>/<service>`, as it stands in the events.
            poll_ms: how often to look for events that nobody told it about.
        """
        self._dsn, self._service, self._source, self._partitions = dsn, service, source, partitions
        self._servers, self._prefix, self._topic = kafka_servers, prefix, topic_name(prefix, service)
        self._control, self._poll_s, self._metrics = control, poll_ms / 1000, metrics
        self._woken, self._stopping = asyncio.Event(), asyncio.Event()
        self._refills: OrderedDict[tuple[str, int], Refill] = OrderedDict()
        self._traces: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._fresh = Fresh()
        self._next: dict[int, int] = {}
        """Partition -> position to send next, as `published` has it; empty before it was read."""
        self._held: dict[int, float] = {}
        """Partition -> when it is tried again."""
        self._shut: set[int] = set()
        """Partitions of which ledger and topic are not compared, since nobody leads them: nothing is sent to them, nor refilled."""
        self._looked = self._announced = self._freed = self._opened = 0.0
        self._widest = 0
        """Bytes of the largest batch of the last round."""
        self._round_at = time.monotonic()
        self._standing = Standing()
        """Partitions with events that are not published, and the position from which they are not."""
        self.published = 0
        """Events sent to Kafka by this process, repeats included."""
        control.listeners.append(self._hear)

    async def start(self) -> bool:
        """Check topics and ledger against each other, writing nothing; return whether Kafka vouches for the ledger, see `compare`.

        Raises:
            WrongPartitionCount: see `ensure_topics`.
            Diverged: Kafka holds events that this database does not: it was restored behind its readers.
            aiokafka.errors.KafkaError, psycopg.Error: a server cannot be reached.
        """
        connection = await self._connect()
        try:
            await self._ensure_topics()
            return await compare(connection, self._servers, self._topic, self._source, range(self._partitions))
        finally:
            await connection.close()

    def wake(self, events: Sequence[Recorded[Any]] = ()) -> None:
        """Send what was committed: to be called after each commit, with its events. Without events: look for some in the ledger."""
        if self._next:
            self._fresh.add(events)
        if not events:
            self._looked = 0.0
        traceparent = traceparent_of_current()
        if traceparent is not None:
            for event in events:
                self._traces[event.partition, event.position] = traceparent.encode()
            while len(self._traces) > MAX_TRACES:
                self._traces.popitem(last=False)
        self._woken.set()

    def silent_s(self) -> float:
        """Return for how many seconds no round has ended: what was recorded since then may not be on Kafka."""
        return time.monotonic() - self._round_at

    def troubles(self, after_s: float) -> list[str]:
        """Return what stands still for so long: the relay itself, or what of the ledger is not on Kafka, whoever has to send it."""
        found = []
        if self.silent_s() >= after_s:
            found.append(f"the relay has not got round for {self.silent_s():.0f} s: what is recorded does not reach Kafka")
        for partition, seconds in self._standing.seconds().items():
            if seconds >= after_s:
                found.append(f"events of partition {partition} are recorded, and none was published for {seconds:.0f} s")
        return found

    async def stop(self) -> None:
        """Let `run` end after what it is sending now."""
        self._stopping.set()
        self._woken.set()

    async def run(self) -> None:
        """Relay until stopped; connections that break are made again without end.

        Raises:
            LedgerError: Diverged or WrongPartitionCount after a reconnect, as for `start`, or the ledger has other partitions than we were
                told. The service must stop; at whatever else it must not.
        """
        while not self._stopping.is_set():
            try:
                connection = await self._connect()
                try:
                    await self._watched(connection, self._lead(connection))
                finally:
                    await connection.close()
            except (OperationalError, errors.ReadOnlySqlTransaction, KafkaError, NoTopic, OSError) as error:
                log.warning("relay starts again", error=type(error).__name__, again_in_s=RETRY_S)
                await _within(self._stopping, RETRY_S)
            except LedgerError:
                raise
            except Exception as error:  # Such as what aiokafka asserts, of a broker that has just come back too.
                log.error("relay starts again", exc_info=error, again_in_s=RETRY_S)
                await _within(self._stopping, RETRY_S)

    async def _watched(self, connection: AsyncConnection[Any], work: Coroutine[Any, Any, None]) -> None:
        """Do a relay's work, and look all the while whether what is recorded gets published, however long Kafka takes and whoever sends."""
        task = asyncio.create_task(work)
        try:
            while not task.done():
                async with in_time():
                    rows = await _lengths(connection)
                self._standing.see({number: position for number, length, _, position in rows if position < length}, time.monotonic())
                await asyncio.wait([task], timeout=ANNOUNCE_S)
            task.result()
        finally:
            await end(task)

    async def _connect(self) -> AsyncConnection[Any]:
        async with in_time():
            connection = await AsyncConnection.connect(self._dsn, autocommit=True, options=NOTICED, **ALIVE)
            # What is lost when PostgreSQL crashes is sent again; waiting for the disk would gain nothing.
            await connection.execute("SET synchronous_commit = off")
        return connection

    async def _ensure_topics(self) -> None:
        await ensure_topics(self._servers, self._prefix, [self._service], self._partitions)

    async def _open(self, connection: AsyncConnection[Any]) -> None:
        """Compare ledger and topic where that was left out and somebody leads the partition by now; from then on it is sent to."""
        found = self._shut & await led(self._servers, self._topic)
        await compare(connection, self._servers, self._topic, self._source, found)
        self._shut -= found
        if found and self._shut:  # Told where it changes.
            log.warning("partitions wait for a leader", topic=self._topic, partitions=sorted(self._shut))
        self._opened = time.monotonic()

    async def _lead(self, connection: AsyncConnection[Any]) -> None:
        self._next = {}  # Nothing is kept for a relay that may not send.
        while not self._stopping.is_set():
            async with in_time():
                row = await (await connection.execute("SELECT pg_try_advisory_lock(%s)", [RELAY_LOCK])).fetchone()
                self._round_at = time.monotonic()
                if row is not None and row[0]:
                    break
                await self._free(connection)
            await _within(self._stopping, LOCK_POLL_S)
        while not self._stopping.is_set():
            await self._ensure_topics()
            self._shut = set(range(self._partitions))
            await self._open(connection)
            producer = AIOKafkaProducer(
                bootstrap_servers=self._servers, acks="all", enable_idempotence=True, max_batch_size=CHUNK_BYTES, compression_type="zstd",
                request_timeout_ms=REQUEST_TIMEOUT_MS,
            )  # fmt: skip
            try:
                await producer.start()
                await self._work(connection, producer)
            except (KafkaError, AssertionError) as error:  # aiokafka asserts that it knows the partition; a topic made anew has none yet.
                log.warning("relay takes a new producer", error=type(error).__name__)
                await _within(self._stopping, RETRY_S)
            finally:
                await _end(producer)

    async def _work(self, connection: AsyncConnection[Any], producer: AIOKafkaProducer) -> None:
        self._fresh.clear()
        async with in_time():
            await connection.execute(MOVE, [[], [], []])  # A database that is read-only refuses: what is sent could not be noted there.
            self._next, self._looked = await _published(connection), 0.0
        while not self._stopping.is_set():
            self._woken.clear()
            if self._shut and time.monotonic() - self._opened >= LEADER_S:
                await self._open(connection)
            async with in_time():
                counts = await self._relay(connection, producer)
                more = await self._refill(connection, producer)
                if time.monotonic() - self._announced >= ANNOUNCE_S:
                    await self._announce(connection)
                await self._free(connection)
            self._round_at = time.monotonic()
            if not counts and not more:
                await _within(self._woken, self._poll_s)
            elif may_gather(counts, self._widest) and not more:
                await _within(self._stopping, GATHER_S)

    async def _relay(self, connection: AsyncConnection[Any], producer: AIOKafkaProducer) -> list[int]:
        """Send the next events of every partition, one batch each, and return how many each of them held.

        Raises:
            Exception: what the first partition that Kafka did not take raised, once what it took of the others counts as published.
        """
        held = [*self._shut, *(partition for partition, until in self._held.items() if until > time.monotonic())]
        batches = self._fresh.next({number: self._next[number] for number in self._next if number not in held}, CHUNK, CHUNK_BYTES)
        if time.monotonic() - self._looked >= self._poll_s:
            await self._look(connection, batches, held)
        if not batches:
            return []
        self._widest = max(sum(len(row[3]) for row in batch) for batch in batches.values())
        answers = await asyncio.gather(*(self._send(producer, batch) for batch in batches.values()), return_exceptions=True)
        counts = {number: answer for number, answer in zip(batches, answers, strict=True) if isinstance(answer, int)}
        first = {number: batches[number][0][1] for number in counts}
        after = {number: first[number] + count for number, count in counts.items()}
        reach("published.before")
        moved = (await connection.execute(MOVE, [list(counts), list(first.values()), list(after.values())])).rowcount if counts else 0
        reach("published.after")
        if moved == len(counts):
            self._next.update(after)
        else:  # Another relay has moved them, or a crash of PostgreSQL moved them back: only repeats follow.
            self._next = await _published(connection)
        failed = {number: answer for number, answer in zip(batches, answers, strict=True) if isinstance(answer, BaseException)}
        if failed:
            self._held = dict.fromkeys(failed, time.monotonic() + HELD_S) if counts else {}
            raise next(iter(failed.values()))
        return list(counts.values())

    async def _look(self, connection: AsyncConnection[Any], batches: dict[int, list[Row]], held: Sequence[int]) -> None:
        """Add what the ledger holds of the other partitions that are not held: what other processes wrote, and what is not kept."""
        async with connection.cursor(binary=True) as cursor:
            rows: list[Row] = await (await cursor.execute(UNSENT, [CHUNK, [*batches, *held], CHUNK_BYTES])).fetchall()
        self._looked = 0.0 if rows else time.monotonic()  # Where there were some, there may be more.
        for row in rows:
            batches.setdefault(row[0], []).append(row)

    async def _send(self, producer: AIOKafkaProducer, rows: Sequence[Row]) -> int:
        """Send events of one partition, in order, as one batch; return how many went into it, at least one."""
        batch = producer.create_batch()
        count, traces = 0, self._traces
        for partition, position, key, raw in rows:
            trace = traces.pop((partition, position), None) if traces else None
            headers = [("traceparent", trace)] if trace else []
            if batch.append(timestamp=None, key=key.encode(), value=raw, headers=headers) is None:
                break
            count += 1
        reach("produce.before")
        await (await producer.send_batch(batch, self._topic, partition=rows[0][0]))
        reach("produce.after")
        self.published += count
        if self._metrics is not None:
            self._metrics.relay_published.inc(count)
        return count

    async def _refill(self, connection: AsyncConnection[Any], producer: AIOKafkaProducer) -> bool:
        """Send one chunk of the refill that waits longest, and return whether more is to be sent."""
        place = next((place for place in self._refills if place[1] not in self._shut), None)
        if place is None:
            return False
        wanted = self._refills.pop(place)
        async with connection.cursor(binary=True) as cursor:
            arguments = [wanted.partition, wanted.start, wanted.end, CHUNK, CHUNK_BYTES]
            rows: list[Row] = await (await cursor.execute(STRETCH, arguments)).fetchall()
        if rows:
            after = rows[0][1] + await self._send(producer, rows)
            if after < wanted.end:
                self._refills.setdefault(place, wanted.model_copy(update={"start": after}))  # A newer request of its stands.
        return any(partition not in self._shut for _, partition in self._refills)

    async def _free(self, connection: AsyncConnection[Any]) -> None:
        """Now and then, take their locks from workers that stand still where PostgreSQL itself would leave them theirs."""
        if time.monotonic() - self._freed >= ANNOUNCE_S:
            self._freed = time.monotonic()
            ended = await end_standing(connection)
            if ended:
                log.warning("sessions ended that stood still and held others up", sessions=ended)

    async def _announce(self, connection: AsyncConnection[Any]) -> None:
        self._announced = time.monotonic()
        partitions = tuple(Length(partition=number, length=length, head=head) for number, length, head, _ in await _lengths(connection))
        if len(partitions) != self._partitions:
            raise LedgerError(f"the ledger of {self._service} has {len(partitions)} partitions instead of {self._partitions}")
        self._control.tell(Lengths(service=self._service, partitions=partitions))

    def _hear(self, told: Told) -> None:
        message = told.message
        if isinstance(message, Refill) and message.service == self._service and message.partition < self._partitions:
            place = (message.reader, message.partition)
            if place in self._refills or len(self._refills) < MAX_REFILLS:
                self._refills[place] = message
                self._woken.set()


async def _lengths(connection: AsyncConnection[Any]) -> list[Any]:
    return await (await connection.execute(LENGTHS)).fetchall()


async def _published(connection: AsyncConnection[Any]) -> dict[int, int]:
    return dict(await (await connection.execute(PUBLISHED)).fetchall())


def may_gather(counts: Sequence[int], widest: int = 0) -> bool:
    """Return whether a round whose batches held so many events shows that more of them would fill the next ones better: they were many, and
    no partition has a whole batch waiting, by events or by bytes.

    Args:
        widest: bytes of the events of the largest one.
    """
    return sum(counts) >= MANY and max(counts) < CHUNK and widest < CHUNK_BYTES // 2


async def _within(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, `seconds` at most."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass


async def _end(producer: AIOKafkaProducer) -> None:
    """Stop a producer. One that hangs on batches which Kafka does not take is left to end by itself: at worst they arrive twice."""
    try:
        async with asyncio.timeout(STOP_S):
            await producer.stop()
    except (KafkaError, TimeoutError) as error:
        log.warning("relay's producer did not end well", error=type(error).__name__)
