"""Reading a whole topic, for audits: what Kafka holds now, compared record by record with what the ledger says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

from aiokafka import TopicPartition

from shared.relay.tolerant import TolerantConsumer

FETCH_MS: Final = 5_000
"""Longest wait for records that the broker says are there."""
MAX_EMPTY: Final = 6
"""Fetches in a row that may bring nothing before a topic is said to be unreadable."""


async def records(kafka_servers: str, topic: str, partitions: Sequence[int]) -> AsyncIterator[tuple[int, int, bytes]]:
    """Yield (partition, offset, value) of every record that a topic holds when this begins, in order per partition.

    Raises:
        TimeoutError: the broker says that there are records and does not send them.
    """
    async for partition, offset, _, raw in stamped(kafka_servers, topic, partitions):
        yield partition, offset, raw


async def stamped(kafka_servers: str, topic: str, partitions: Sequence[int]) -> AsyncIterator[tuple[int, int, int, bytes]]:
    """Yield (partition, offset, milliseconds since 1970 at which Kafka took it, value) as `records` does."""
    consumer = TolerantConsumer(bootstrap_servers=kafka_servers, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        places = [TopicPartition(topic, number) for number in partitions]
        consumer.assign(places)
        first, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        for place in places:  # A place that is known from the start is not lost where a record cannot be read.
            consumer.seek(place, first[place])
        waiting = {place for place in places if ends[place] > first[place]}
        empty = 0
        while waiting:
            batches = await consumer.getmany(*waiting, timeout_ms=FETCH_MS)
            empty = 0 if batches else empty + 1
            if empty >= MAX_EMPTY:
                raise TimeoutError(f"the broker does not send what {topic} holds")
            for place, batch in batches.items():
                for record in batch:
                    if record.offset < ends[place]:
                        yield place.partition, record.offset, record.timestamp, record.value or b""
            for place in list(waiting):
                if await consumer.position(place) >= ends[place]:
                    waiting.discard(place)
                    consumer.pause(place)
    finally:
        await consumer.stop()
