"""The no-logic ceiling: producer -> topic -> a consumer that COPYs raw bytes into one table without index -> the next topic.

No inbox, stream, chain, projection or HTTP: what the same machine could do if Cairn did nothing. Batches, compression and durability are
those of the chain, and all partitions are under way at once. It is written twice: with the ordinary calls of the client library, a `send`
for each record, and with batches packed by hand, as the relay's are.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from types import MappingProxyType
from typing import Any, Final

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from psycopg import AsyncConnection

from bench.evidence import APART, FIRST_QUIZ, NOBODY, RIGHT, START, competencies_of, learner_and_item, name
from shared.contracts.envelope import MICRO, StreamId, digest, envelope
from shared.contracts.evidence import EvidenceRecorded

PARTITIONS: Final = 8
BATCH: Final = 500
"""Records of one partition in one batch, as the relay sends them."""
TAKEN: Final = 1_000
"""Records that are taken at once, as a service's consumer takes them."""
FETCH_MS: Final = 100


async def make_topics(servers: str, names: Sequence[str]) -> None:
    """Create topics with PARTITIONS partitions each."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names])
    finally:
        await admin.close()


Record = tuple[bytes, bytes]
"""Key and value, as the relay sends them."""


def records(first: int, count: int) -> list[Record]:
    """Return pieces of evidence as evidence's ledger stores them, each another, so that they compress as real ones do."""
    return [_record(number) for number in range(first, first + count)]


def _record(number: int) -> Record:
    learner, item = learner_and_item(FIRST_QUIZ + number)
    key, at = str(name("learner", learner)), START + number * APART
    value = envelope(
        source="/local/evidence", stream=StreamId("evidence", "learner", key), version=number + 1, partition=0,
        position=number, previous=digest(str(number).encode()), at=at, decider="evidence.record/1", settings=0, release="0.1.0",
        origin=NOBODY,
        event=EvidenceRecorded(
            evidence_id=name("act", number), learner_id=name("learner", learner), item_id=name("item", item),
            competency_ids=competencies_of(item), score_e6=MICRO * ((number * 7919) % 20 < RIGHT), occurred_at=at,
        ),
    )  # fmt: skip
    return key.encode(), value


async def send_each(producer: AIOKafkaProducer, topic: str, partition: int, values: Sequence[Record]) -> None:
    """Send values to one partition with an ordinary call each."""
    sent = [await producer.send(topic, value=value, key=key, partition=partition) for key, value in values]
    await asyncio.gather(*sent)


async def send_packed(producer: AIOKafkaProducer, topic: str, partition: int, values: Sequence[Record]) -> None:
    """Send values to one partition in as few batches as fit, packed by hand."""
    start = 0
    while start < len(values):
        batch = producer.create_batch()
        while start < len(values) and batch.append(timestamp=None, key=values[start][0], value=values[start][1]) is not None:
            start += 1
        await (await producer.send_batch(batch, topic, partition=partition))


Send = Callable[[AIOKafkaProducer, str, int, Sequence[Record]], Awaitable[None]]
WAYS: Final[Mapping[str, Send]] = MappingProxyType({"ordinary calls": send_each, "hand-packed batches": send_packed})


def a_producer(servers: str) -> AIOKafkaProducer:
    """Return a producer set as the relay's."""
    return AIOKafkaProducer(bootstrap_servers=servers, acks="all", enable_idempotence=True, max_batch_size=900_000, compression_type="zstd")


def produce(servers: str, topic: str, way: str, told: Connection) -> None:
    """Child process: for each number it is told, make so many records and say "ready", then at "go" send them to all partitions."""

    async def main() -> None:
        send = WAYS[way]
        async with a_producer(servers) as producer:
            first = 0
            while count := await asyncio.to_thread(told.recv):
                values = records(first, count)
                first += count
                told.send("ready")
                await asyncio.to_thread(told.recv)
                batches = [values[start : start + BATCH] for start in range(0, count, BATCH)]
                for start in range(0, len(batches), PARTITIONS):
                    some = enumerate(batches[start : start + PARTITIONS])
                    await asyncio.gather(*(send(producer, topic, partition, batch) for partition, batch in some))

    uvloop.run(main())


def carry(servers: str, dsn: str, topic: str, onward: str, way: str, told: Connection) -> None:
    """Child process: for each number it is told, say "ready", copy so many records into a table and on to the next topic, say when done."""

    async def main() -> None:
        connection: AsyncConnection[Any] = await AsyncConnection.connect(dsn)
        consumer = AIOKafkaConsumer(
            bootstrap_servers=servers, enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=FETCH_MS,
            max_partition_fetch_bytes=4 * 1024 * 1024,
        )  # fmt: skip
        async with connection, consumer, a_producer(servers) as producer:
            consumer.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
            while count := await asyncio.to_thread(told.recv):
                told.send("ready")
                while count > 0:
                    count -= await _carry(connection, consumer, producer, onward, WAYS[way])
                told.send(time.perf_counter())

    uvloop.run(main())


async def _carry(connection: AsyncConnection[Any], consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, onward: str, send: Send) -> int:
    """Carry the records of one fetch, and return how many they were."""
    batches = await consumer.getmany(timeout_ms=FETCH_MS, max_records=TAKEN)
    if not batches:
        return 0
    async with connection.cursor() as cursor, cursor.copy("COPY raw FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(["bytea"])
        for some in batches.values():
            for record in some:
                await copy.write_row((record.value,))
    await connection.commit()
    await asyncio.gather(
        *(send(producer, onward, place.partition, [(each.key, each.value) for each in some]) for place, some in batches.items())
    )
    return sum(len(some) for some in batches.values())
