"""What Kafka says that it keeps of a topic: where each partition's log begins and ends, and for how long a record is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import UnknownTopicOrPartitionError, for_code

from shared.relay.tolerant import TolerantConsumer

NAMES: Final = ("retention.ms", "retention.bytes", "message.timestamp.type", "cleanup.policy")
FOR_EVER: Final = "-1"


class NoTopic(LookupError):
    """Kafka has no topic of this name."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One topic as its broker keeps it."""

    starts: dict[int, int]
    """Partition -> first offset that is still there."""
    ends: dict[int, int]
    settings: dict[str, str]

    @property
    def retention_ms(self) -> int | None:
        """How long a record is kept after Kafka took it; None: for ever."""
        found = self.settings.get("retention.ms", FOR_EVER)
        return None if found == FOR_EVER else int(found)


async def kept(kafka_servers: str, topic: str, partitions: Sequence[int]) -> Kept:
    """Return what a topic's broker keeps of it.

    Raises:
        NoTopic: there is no such topic.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    try:  # First: a consumer would wait for a topic that is not there.
        settings = await _settings(kafka_servers, topic)
    except UnknownTopicOrPartitionError:
        raise NoTopic(f"there is no topic {topic}") from None
    consumer = TolerantConsumer(bootstrap_servers=kafka_servers, enable_auto_commit=False, auto_offset_reset="earliest")
    try:
        await consumer.start()
        places = [TopicPartition(topic, number) for number in partitions]
        consumer.assign(places)
        starts, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
    finally:
        await consumer.stop()
    return Kept(
        {place.partition: offset for place, offset in starts.items()},
        {place.partition: offset for place, offset in ends.items()},
        settings,
    )


async def _settings(kafka_servers: str, topic: str) -> dict[str, str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_servers)
    try:
        await admin.start()
        [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic, dict.fromkeys(NAMES))])
    finally:
        await admin.close()
    [(code, message, _, _, entries)] = answer.resources
    if code:
        raise for_code(code)(f"the settings of {topic} cannot be read: {message}")
    return {entry[0]: entry[1] for entry in entries}
