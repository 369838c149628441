"""Reads the topics as any subscriber would, and notes when each event arrived."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Final, Self

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.causes import Causes
from shared.contracts.topics import Topic, topic_name

FETCH_MS: Final = 100
"""Longest time that the broker holds back an answer; any record of any partition ends it. As the services have it."""
WATCHED: Final = (Topic.EVIDENCE, Topic.MASTERY, Topic.PATHING, Topic.SCHEDULING)


class Watcher:
    """Follows the services' topics from their beginning until left."""

    def __init__(self, servers: str, prefix: str, partitions: int) -> None:
        self._servers = servers
        self._places = [TopicPartition(topic_name(prefix, topic), number) for topic in WATCHED for number in range(partitions)]
        self._task: asyncio.Task[None] | None = None
        self._left = False
        self.causes = Causes()
        self.steps: dict[str, list[str]] = {}
        """Learner -> competencies of her path as it is now, the next one first."""
        self.lags: list[float] = []
        """Seconds from Kafka's own time of each record to its arrival here."""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._left = True
        if self._task is not None:
            await self._task

    def check(self) -> None:
        """Raise what ended the reading, if anything did."""
        if self._task is not None and self._task.done():
            self._task.result()

    async def _follow(self) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._servers, enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=FETCH_MS,
            max_partition_fetch_bytes=4 * 1024 * 1024,
        )  # fmt: skip
        async with consumer:
            consumer.assign(self._places)
            while not self._left:
                batches = await consumer.getmany(timeout_ms=FETCH_MS)
                at, wall = time.monotonic(), time.time()
                for records in batches.values():
                    for record in records:
                        self.lags.append(wall - record.timestamp / 1000)
                        self._see(at, orjson.loads(record.value))

    def _see(self, at: float, event: dict[str, object]) -> None:
        self.causes.see(at, event)
        if event["type"] == "pathing.path-planned.v1":
            data = event["data"]
            assert isinstance(data, dict)
            self.steps[data["learner_id"]] = [step["competency_id"] for step in data.get("steps", ())]
