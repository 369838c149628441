"""The no-logic ceiling: producer -> topic -> a consumer that COPYs raw bytes into one table without index -> the next topic.

No inbox, stream, chain, projection or HTTP: what the same machine could do if Cairn did nothing.
"""

from __future__ import annotations

import asyncio
import time
from multiprocessing.connection import Connection
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from psycopg import AsyncConnection

PARTITIONS = 8
BATCH = 500


async def make_topics(servers: str, names: list[str]) -> None:
    """Create topics with PARTITIONS partitions each."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names])
    finally:
        await admin.close()


async def send(producer: AIOKafkaProducer, topic: str, partition: int, values: list[bytes]) -> None:
    """Send values to one partition in as few batches as fit."""
    start = 0
    while start < len(values):
        batch = producer.create_batch()
        while start < len(values) and batch.append(timestamp=None, key=None, value=values[start]) is not None:
            start += 1
        await (await producer.send_batch(batch, topic, partition=partition))


def a_producer(servers: str) -> AIOKafkaProducer:
    """Return a producer set as the relay's."""
    return AIOKafkaProducer(bootstrap_servers=servers, acks="all", enable_idempotence=True, max_batch_size=900_000, compression_type="lz4")


def produce(servers: str, topic: str, value: bytes, count: int) -> None:
    """Child process: send `count` copies of `value` in batches, over all partitions."""

    async def main() -> None:
        async with a_producer(servers) as producer:
            for turn in range(0, count, BATCH):
                await send(producer, topic, (turn // BATCH) % PARTITIONS, [value] * min(BATCH, count - turn))

    asyncio.run(main())


def carry(servers: str, dsn: str, topic: str, onward: str, count: int, told: Connection) -> None:
    """Child process: copy `count` records into a table and on to the next topic; tells the parent when it is ready and when done."""

    async def main() -> None:
        connection: AsyncConnection[Any] = await AsyncConnection.connect(dsn)
        consumer = AIOKafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False, auto_offset_reset="earliest")
        async with connection, consumer, a_producer(servers) as producer:
            await connection.execute("CREATE TABLE IF NOT EXISTS raw (bytes bytea)")
            await connection.commit()
            places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
            consumer.assign(places)
            told.send("ready")
            done = 0
            while done < count:
                batches = await consumer.getmany(*places, timeout_ms=100, max_records=1_000)
                if not batches:
                    continue
                async with connection.cursor() as cursor, cursor.copy("COPY raw FROM STDIN (FORMAT BINARY)") as copy:
                    copy.set_types(["bytea"])
                    for records in batches.values():
                        for record in records:
                            await copy.write_row((record.value,))
                await connection.commit()
                for place, records in batches.items():
                    await send(producer, onward, place.partition, [record.value for record in records])
                    done += len(records)
            told.send(time.perf_counter())

    asyncio.run(main())
