"""FastStream's batch subscriber with every default that would lose or delay records replaced."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final

from aiokafka import ConsumerRebalanceListener
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaAckableMessage

from shared.relay.tolerant import TolerantConsumer
from shared.settings import Settings
from shared.telemetry import MAX_LINKS

MAX_POLL_INTERVAL_MS: Final = 300_000
"""Time without a poll after which Kafka gives the partitions away; half of it is the longest back-off."""
METADATA_MAX_AGE_MS: Final = 10_000
"""Time after which topics are looked up again: a consumer whose topic was deleted has nothing to fetch, and so would not notice for five
minutes (aiokafka's default) that it was made anew."""
BATCH_TIMEOUT_MS: Final = 10
FETCH_MAX_WAIT_MS: Final = 100
MAX_PARTITION_FETCH_BYTES: Final = 4 * 1024 * 1024
DRAIN_S: Final = 20.0
"""Time that a batch in hand has to be committed when the service stops."""


def batches(
    settings: Settings, service: str, topics: Sequence[str], listener: ConsumerRebalanceListener,
    handle: Callable[[Sequence[Any]], Awaitable[None]],
) -> tuple[KafkaBroker, Any]:  # fmt: skip
    """Return a broker, not started, and its one subscriber: `handle` gets each poll's records, of all topics and partitions.

    FastStream takes one string as one server, commas and all, and would never find any of several: it is given a list.

    Raises:
        Misconfigured: Kafka's address is not set.
    """
    broker = KafkaBroker(
        settings.kafka().split(","), apply_types=False, logger=None, consumer_only=True, allow_auto_create_topics=False,
        graceful_timeout=DRAIN_S, client_id=service, metadata_max_age_ms=METADATA_MAX_AGE_MS,
    )  # fmt: skip
    subscriber = broker.subscriber(
        *topics, batch=True, group_id=f"{settings.topic_prefix}.{service}", group_instance_id=settings.instance_of(service),
        max_records=settings.consume_max_records, batch_timeout_ms=BATCH_TIMEOUT_MS, fetch_max_wait_ms=FETCH_MAX_WAIT_MS, fetch_min_bytes=1,
        max_partition_fetch_bytes=MAX_PARTITION_FETCH_BYTES, auto_offset_reset="earliest", ack_policy=AckPolicy.MANUAL,
        partition_assignment_strategy=[RangePartitionAssignor], session_timeout_ms=settings.session_timeout_ms,
        max_poll_interval_ms=MAX_POLL_INTERVAL_MS, listener=listener, parser=_as_it_is, decoder=_raw,
    )  # fmt: skip
    subscriber(handle)
    return broker, subscriber


async def start(broker: KafkaBroker) -> None:
    """Start a broker whose consumer gets past records that aiokafka cannot read."""
    builder = await broker.connect()
    assert isinstance(builder, partial), "FastStream makes its consumers otherwise than it did"
    broker.config.broker_config.builder = partial(TolerantConsumer, **builder.keywords)
    await broker.start()


async def _as_it_is(message: Any) -> KafkaAckableMessage:
    """Parse nothing: FastStream's parser decodes headers, and one bad byte there would lose a batch."""
    return KafkaAckableMessage(raw_message=message, body=b"", consumer=None)


async def _raw(message: KafkaAckableMessage) -> Any:
    return message.raw_message


def traceparents(records: Iterable[Any]) -> list[str]:
    """Return the different traces that these records belong to, as far as a span can point at them."""
    found: dict[str, None] = {}
    for record in records:
        for name, value in record.headers:
            if name == "traceparent" and value and len(found) <= MAX_LINKS:
                found[value.decode("ascii", "replace")] = None
    return list(found)
