"""Two small services on real Kafka and PostgreSQL: one notes names, the other hears it and copies each note."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.record.util import calc_crc32c
from psycopg_pool import AsyncConnectionPool

from shared.clock import FixedClock
from shared.consume import Consumer
from shared.contracts.envelope import Event, Origin, Recorded, StreamId, partition_of
from shared.contracts.evidence import AliasNoted, ItemAligned
from shared.contracts.topics import Topic, topic_name
from shared.decider import Decider, History, Refusal, json_codec
from shared.ledger.ledger import Ledger
from shared.ledger.store import decoded
from shared.ledger.types import Ask
from shared.parameters import Parameters
from shared.parts import Subscription
from shared.relay import Control, Relay
from shared.relay.tolerant import TolerantConsumer
from shared.settings import Settings
from shared.telemetry import Metrics

PARTITIONS = 8
ORIGIN = Origin(str(UUID(int=7)), str(UUID(int=7)))
POISON = UUID(int=10**9)
"""A learner whose note breaks the hearer's decider."""
UNTRANSLATABLE = UUID(int=10**9 + 1)
"""A learner whose note breaks the hearer's `commands_for`."""


@dataclass(frozen=True)
class Note:
    """Note that a name belongs to a learner."""

    name: str
    learner_id: UUID

    @property
    def stream(self) -> StreamId:
        return StreamId("evidence", "note", self.name)


@dataclass(frozen=True)
class Copy:
    """Copy a note into the hearer's ledger; not idempotent on purpose, so that a doubled one shows."""

    alias: str
    learner_id: UUID

    @property
    def stream(self) -> StreamId:
        return StreamId("profile", "copy", self.alias)


@dataclass(frozen=True)
class State:
    learners: tuple[UUID, ...] = ()


def alias(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def note(command: Note, state: State, parameters: Parameters, history: History = ()) -> list[Event]:
    return [AliasNoted(alias=alias(command.name), learner_id=command.learner_id)]


def copy(command: Copy, state: State, parameters: Parameters, history: History = ()) -> list[Event] | Refusal:
    if command.learner_id == POISON:
        raise RuntimeError("a secret that no reason may hold")
    return [AliasNoted(alias=command.alias, learner_id=command.learner_id)]


def evolve(state: State, event: AliasNoted) -> State:
    return State((*state.learners, event.learner_id))


def commands_for(event: Recorded[Any]) -> Sequence[Copy]:
    match event.data:
        case AliasNoted(alias=told, learner_id=learner_id):
            if learner_id == UNTRANSLATABLE:
                raise KeyError("a secret that no reason may hold")
            return [Copy(told, learner_id)]
        case _:
            return []


DECIDERS = {
    "evidence": Decider("test.note", 1, "note", State(), note, evolve, lambda event: None, json_codec(State)),
    "profile": Decider("test.copy", 1, "copy", State(), copy, evolve, lambda event: None, json_codec(State)),
}
SUBSCRIPTION = Subscription(topics=(Topic.EVIDENCE,), commands_for=commands_for, events=(AliasNoted,))
UNWANTED = ItemAligned(item_id=UUID(int=1), iri="urn:item", competency_ids=("c",))


def a_ledger(service: str, pool: AsyncConnectionPool[Any], **given: Any) -> Ledger:
    defaults: dict[str, Any] = {
        "service": service, "installation": "local", "release": "test", "partitions": PARTITIONS, "pool": pool,
        "deciders": [DECIDERS[service]], "kinds": [], "projections": [], "clock": FixedClock(datetime(2026, 11, 24, 8, tzinfo=UTC)),
        "seal": lambda raw: b"sealed:" + raw,
    }  # fmt: skip
    return Ledger(**(defaults | given))


@dataclass
class Wire:
    """The addresses of a test, and what it does on them."""

    kafka: str
    prefix: str
    source_url: str
    hearer_url: str

    @property
    def topic(self) -> str:
        return topic_name(self.prefix, "evidence")

    def settings(self, instance: str = "profile-0") -> Settings:
        return Settings(
            kafka_servers=self.kafka, database_url=self.hearer_url, topic_prefix=self.prefix, partitions=PARTITIONS, instance_id=instance,
            session_timeout_ms=6_000,
        )  # fmt: skip

    @asynccontextmanager
    async def source(self, url: str = "") -> AsyncIterator[Ledger]:
        async with AsyncConnectionPool(url or self.source_url, min_size=1, max_size=4, open=False) as pool:
            yield a_ledger("evidence", pool)

    @asynccontextmanager
    async def hearer(self, options: str = "", timeout: float = 30, **given: Any) -> AsyncIterator[Ledger]:
        kwargs = {"options": options}
        async with AsyncConnectionPool(self.hearer_url, min_size=1, max_size=4, open=False, kwargs=kwargs, timeout=timeout) as pool:
            yield a_ledger("profile", pool, **given)

    @asynccontextmanager
    async def control(self) -> AsyncIterator[Control]:
        control = Control(self.kafka, self.prefix)
        await control.start()
        try:
            yield control
        finally:
            await control.stop()

    def relay(self, control: Control, url: str = "", service: str = "evidence") -> Relay:
        return Relay(
            dsn=url or self.source_url, service=service, source=f"/local/{service}", partitions=PARTITIONS, kafka_servers=self.kafka,
            prefix=self.prefix, control=control,
        )  # fmt: skip

    @asynccontextmanager
    async def relaying(self, url: str = "", service: str = "evidence") -> AsyncIterator[Relay]:
        """A relay at work."""
        async with self.control() as control:
            relay = self.relay(control, url, service)
            await relay.start()
            task = asyncio.create_task(relay.run())
            try:
                yield relay
                await relay.stop()
                await task
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    @asynccontextmanager
    async def hearing(
        self, ledger: Ledger, instance: str = "profile-0", kill: bool = False, metrics: Metrics | None = None
    ) -> AsyncIterator[Consumer]:
        """A consumer at work; with `kill` its batch in hand is broken off in the end, wherever it is."""
        async with self.control() as control:
            consumer = Consumer(
                ledger=ledger, subscription=SUBSCRIPTION, service="profile", settings=self.settings(instance), control=control,
                metrics=metrics,
            )  # fmt: skip
            task = asyncio.create_task(consumer.run())
            try:
                yield consumer
                if kill:
                    for each in (*consumer._subscriber.tasks, *consumer._hands._under_way.values()):
                        each.cancel()
                await consumer.stop()
                await task
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    @asynccontextmanager
    async def consumer(self) -> AsyncIterator[TolerantConsumer]:
        """A consumer of the source's topic, at its start."""
        consumer = TolerantConsumer(bootstrap_servers=self.kafka, enable_auto_commit=False, auto_offset_reset="earliest")
        await consumer.start()
        try:
            places = [TopicPartition(self.topic, number) for number in range(PARTITIONS)]
            consumer.assign(places)
            await consumer.seek_to_beginning(*places)
            yield consumer
        finally:
            await consumer.stop()

    async def published(self) -> dict[int, list[Any]]:
        """Return all records of the source's topic, by partition."""
        places = [TopicPartition(self.topic, number) for number in range(PARTITIONS)]
        consumer = TolerantConsumer(bootstrap_servers=self.kafka, enable_auto_commit=False, auto_offset_reset="earliest")
        await consumer.start()
        try:
            consumer.assign(places)
            ends = await consumer.end_offsets(places)
            starts = await consumer.beginning_offsets(places)
            await consumer.seek_to_beginning(*places)
            found: dict[int, list[Any]] = {place.partition: [] for place in places}
            unread = {place for place in places if ends[place] > starts[place]}
            while unread:
                for place, records in (await consumer.getmany(*unread, timeout_ms=200)).items():
                    found[place.partition] += records
                    if records[-1].offset >= ends[place] - 1:
                        unread.discard(place)
            return found
        finally:
            await consumer.stop()

    async def send(self, partition: int, value: bytes | None, topic: str = "", **given: Any) -> None:
        """Put any record onto the source's topic, or another one."""
        producer = AIOKafkaProducer(bootstrap_servers=self.kafka, acks="all")
        await producer.start()
        try:
            await producer.send_and_wait(topic or self.topic, value, partition=partition, **({"key": b"x"} | given))
        finally:
            await producer.stop()

    async def send_unreadable(self, partition: int) -> None:
        """Put a record onto the source's topic whose header has a name that is no UTF-8, as other languages' clients can."""
        producer = AIOKafkaProducer(bootstrap_servers=self.kafka, acks="all")
        await producer.start()
        try:
            batch = producer.create_batch()
            batch.append(timestamp=None, key=b"x", value=b"{}", headers=[("xy", b"1")])
            raw = bytearray(batch._build().replace(b"\x04xy", b"\x04\xff\xfe"))
            raw[17:21] = calc_crc32c(bytes(raw[21:])).to_bytes(4, "big")
            batch._buffer = bytes(raw)
            await (await producer.send_batch(batch, self.topic, partition=partition))
        finally:
            await producer.stop()

    async def cut(self, partition: int, before: int) -> None:
        """Delete the records of a partition before an offset."""
        async with self.admin() as admin:
            await admin.delete_records({TopicPartition(self.topic, partition): RecordsToDelete(before)})

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()


def asks(*notes: Note) -> list[Ask]:
    return [Ask(each, ORIGIN, n) for n, each in enumerate(notes)]


def learners(count: int, first: int = 1) -> list[UUID]:
    return [UUID(int=n) for n in range(first, first + count)]


def name_in(partition: int) -> str:
    """Return a name whose notes lie in this partition."""
    return next(name for name in (f"name-{n}" for n in range(10_000)) if partition_of(name, PARTITIONS) == partition)


async def until(condition: Callable[[], Awaitable[bool]], what: str, seconds: float = 40.0) -> None:
    """Wait for something to come true, or fail saying what did not."""
    end = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.05)


async def rows(ledger: Ledger, statement: str, *values: Any) -> list[Any]:
    async with ledger.pool.connection() as connection:
        return await (await connection.execute(statement, values)).fetchall()


async def wait_for_locks(ledger: Ledger, count: int = 1) -> bool:
    """Return whether so many connections to the ledger's database wait for a lock."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool(await rows(ledger, waiting) == [(count,)])


async def events(ledger: Ledger) -> dict[int, list[bytes]]:
    """Return a ledger's events in order, by partition."""
    found: dict[int, list[bytes]] = {number: [] for number in range(PARTITIONS)}
    for partition, raw in await rows(ledger, "SELECT partition, bytes FROM event ORDER BY partition, position"):
        found[partition].append(bytes(raw))
    return found


async def copied(ledger: Ledger) -> dict[str, list[UUID]]:
    """Return what the hearer's ledger holds: alias -> learners in the order of its stream."""
    found: dict[str, list[UUID]] = {}
    for (raw,) in await rows(ledger, "SELECT bytes FROM event ORDER BY stream, version"):
        data = decoded(bytes(raw)).data
        found.setdefault(data.alias, []).append(data.learner_id)
    return found


async def heard(hearer: Ledger, count: int, seconds: float = 40.0) -> None:
    """Wait until the hearer has as many events, and fail where it has more."""

    async def enough() -> bool:
        ((found,),) = await rows(hearer, "SELECT count(*) FROM event")
        assert found <= count, f"{found} events where {count} were told"
        return bool(found == count)

    await until(enough, f"{count} events in the hearer's ledger", seconds)


def lie_nowhere_else(monkeypatch: pytest.MonkeyPatch, home: Path, database_url: str, kafka_servers: str, topic_prefix: str) -> None:
    """Give commands the environment of a service that lies nowhere else."""
    given = {
        "HOME": home, "DATABASE_URL": database_url, "KAFKA_SERVERS": kafka_servers, "TOPIC_PREFIX": topic_prefix,
        "PARKING_KEY": "00" * 32, "DISTRICT_KEY": "00" * 32,
    }  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(f"CAIRN_{name}", str(value))
