"""Reads the services' topics: while the bench sends, what each learner works on now; afterwards everything, with Kafka's times."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.contracts.topics import Topic, topic_name

FETCH_MS: Final = 500
"""Longest time that the broker waits for FETCH_BYTES, so that it is asked seldom."""
FETCH_BYTES: Final = 256 * 1024
LOG_APPEND_TIME: Final = 1
EVERYTHING: Final = (Topic.EVIDENCE, Topic.MASTERY, Topic.PATHING, Topic.SCHEDULING)

Seen = tuple[float, dict[str, Any]]
"""When Kafka took an event, in seconds since 1970, and the event."""


@dataclass(frozen=True)
class Reader:
    """Where the topics are."""

    servers: str
    prefix: str
    partitions: int

    async def records(self, *topics: Topic) -> AsyncGenerator[list[Seen], None]:
        """Yield the records of these topics, or of all, from their beginning and then as they come; an empty list where none came.

        Raises:
            ValueError: a record does not bear the broker's own time.
        """
        places = [
            TopicPartition(topic_name(self.prefix, topic), number) for topic in topics or EVERYTHING for number in range(self.partitions)
        ]
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.servers, enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=FETCH_MS,
            fetch_min_bytes=FETCH_BYTES, max_partition_fetch_bytes=4 * FETCH_BYTES,
        )  # fmt: skip
        async with consumer:
            consumer.assign(places)
            while consumer.assignment():
                batches = await consumer.getmany(timeout_ms=2 * FETCH_MS)
                yield [_seen(record) for some in batches.values() for record in some]


def _seen(record: Any) -> Seen:
    if record.timestamp_type != LOG_APPEND_TIME:
        raise ValueError(f"topic {record.topic} does not bear the broker's time: its message.timestamp.type is not LogAppendTime")
    return record.timestamp / 1000, orjson.loads(record.value)


class Steps:
    """What each learner works on, as pathing says."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._task: asyncio.Task[None] | None = None
        self.now: dict[str, list[str]] = {}
        """Learner -> competencies of her path, the next one first."""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def check(self) -> None:
        """Raise what ended the reading, if anything did."""
        if self._task is not None and self._task.done():
            self._task.result()

    async def _follow(self) -> None:
        async for batch in self._reader.records(Topic.PATHING):
            for _, event in batch:
                if event["type"] == "pathing.path-planned.v1":
                    data = event["data"]
                    self.now[data["learner_id"]] = [step["competency_id"] for step in data.get("steps", ())]
