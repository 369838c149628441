"""The topics on the broker: created explicitly, and refused where they do not fit the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAlreadyExistsError, for_code

from shared.contracts.topics import CONTROL, RETENTION_MS, topic_name
from shared.errors import NoTopic, WrongPartitionCount

MAX_BATCH_BYTES: Final = 1024 * 1024
"""What the broker takes as one batch of a topic: four of the largest events."""
CONTROL_RETENTION_MS: Final = 60 * 60 * 1000
MOST_REPLICAS: Final = 3
LOOKS: Final = 300
"""Times that a new topic is looked for before the broker is thought not to have made it; 0.1 s apart."""


async def ensure_topics(kafka_servers: str, prefix: str, services: Iterable[str], partitions: int) -> None:
    """Create the topics of these services and the control topic where they are missing. Safe to repeat and to run at the same time.

    Args:
        services: the service itself and those whose events it hears.
        partitions: of each service's topic, the same as of every ledger.

    Raises:
        WrongPartitionCount: a topic is there with another number of partitions; nothing was changed.
        NoTopic: the broker does not make a topic.
        aiokafka.errors.KafkaError: the broker cannot be reached, or has just come back and does not know yet who leads.
    """
    wanted = {topic_name(prefix, service): partitions for service in services} | {topic_name(prefix, CONTROL): 1}
    async with _administering(kafka_servers) as admin:
        found = await _found(admin, list(wanted))
        _check(wanted, found)
        missing = [name for name in wanted if name not in found]
        if missing:
            await _create(admin, {name: wanted[name] for name in missing}, topic_name(prefix, CONTROL))
            _check(wanted, await _appeared(admin, list(wanted)))


async def led(kafka_servers: str, topic: str) -> set[int]:
    """Return the partitions of a topic that have a leader now. Others can be neither read nor written: the brokers that hold them are away.

    Raises:
        aiokafka.errors.KafkaError: as for `ensure_topics`.
    """
    async with _administering(kafka_servers) as admin:
        return {each["partition"] for found in await admin.describe_topics([topic]) for each in found["partitions"] if each["leader"] >= 0}


@asynccontextmanager
async def _administering(kafka_servers: str) -> AsyncIterator[Any]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_servers)
    try:
        await admin.start()
        yield admin
    except (AssertionError, AttributeError) as error:  # aiokafka takes for granted that somebody leads.
        raise KafkaConnectionError("the broker names nobody who could make a topic") from error
    finally:
        await admin.close()


def _check(wanted: dict[str, int], found: dict[str, int]) -> None:
    for name, count in found.items():
        if count != wanted[name]:
            raise WrongPartitionCount(name, wanted[name], count)


async def _found(admin: Any, names: list[str]) -> dict[str, int]:
    described = await admin.describe_topics(names)
    return {topic["topic"]: len(topic["partitions"]) for topic in described if topic["error_code"] == 0}


async def _appeared(admin: Any, names: list[str]) -> dict[str, int]:
    for _ in range(LOOKS):
        found = await _found(admin, names)
        if len(found) == len(names):
            return found
        await asyncio.sleep(0.1)
    raise NoTopic(set(names) - set(found))


async def _create(admin: Any, missing: dict[str, int], control: str) -> None:
    replicas = min(MOST_REPLICAS, len((await admin.describe_cluster())["brokers"]))
    response = await admin.create_topics(
        [NewTopic(name, count, replicas, topic_configs=_configuration(name == control, replicas)) for name, count in missing.items()]
    )
    for name, code, *_ in response.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:  # Another service was faster: what it made is looked at next.
            raise _refused(error, name)


def _refused(error: type[KafkaError], name: str) -> KafkaError:
    return error(f"could not create topic {name}")


def _configuration(is_control: bool, replicas: int) -> dict[str, str]:
    """Return a topic's settings. LogAppendTime: retention counts from publishing, else old evidence would be deleted at the next check."""
    return {
        "cleanup.policy": "delete",
        "message.timestamp.type": "LogAppendTime",
        "retention.ms": str(CONTROL_RETENTION_MS if is_control else RETENTION_MS),
        "max.message.bytes": str(MAX_BATCH_BYTES),
        "min.insync.replicas": str(max(1, replicas - 1)),
    }
