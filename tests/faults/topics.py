"""Scenario 7: topics that are emptied, lack a record, or forget sooner than a consumer comes back; and evidence that is years old."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import httpx
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.errors import NodeNotReadyError, UnknownTopicOrPartitionError

from shared.contracts.envelope import Header
from shared.relay.topics import ensure_topics
from shared.relay.walk import records
from tests.faults import seeds
from tests.faults.load import load
from tests.faults.stage import LeftOut, Stage, scenario
from tests.faults.town import POLL_S, Town, eventually, happens

PARTITIONS = 8
ASKED = "records are missing, asking for them"
LIMIT_S = 60.0
RETENTION_S = 60.0
T = TypeVar("T")


def administer(servers: str, work: Callable[[Any], Awaitable[T]]) -> T:
    """Return what some work with Kafka's administration gives. A broker that was just ended may be asked first: then nothing was sent, and
    another one is asked."""

    async def run() -> T:
        admin = AIOKafkaAdminClient(bootstrap_servers=servers)
        await admin.start()
        try:
            return await work(admin)
        finally:
            await admin.close()

    until = time.monotonic() + LIMIT_S
    while True:
        try:
            return asyncio.run(run())
        except NodeNotReadyError:
            if time.monotonic() > until:
                raise
        time.sleep(POLL_S)


def held(town: Town, service: str = "evidence") -> list[tuple[int, int, bytes]]:
    """Return (partition, offset, value) of all that a service's topic holds."""

    async def read() -> list[tuple[int, int, bytes]]:
        return [row async for row in records(town.servers.kafka, f"{town.prefix}.{service}", range(PARTITIONS))]

    return asyncio.run(read())


def delete(town: Town, service: str = "evidence") -> None:
    """Delete a service's topic."""
    topic = f"{town.prefix}.{service}"
    administer(town.servers.kafka, lambda admin: admin.delete_topics([topic]))


def published(town: Town, service: str = "evidence") -> bool:
    """Say whether everything a service holds is on Kafka."""
    lengths = dict(town.ask(service, "SELECT id, length FROM partition"))
    return bool(dict(town.ask(service, "SELECT partition, position FROM published")) == lengths)


def refill(town: Town, rows: Iterable[tuple[int, int, bytes]]) -> None:
    """Make evidence's topic anew with these records only."""

    async def run() -> None:
        until = time.monotonic() + LIMIT_S
        while time.monotonic() < until:
            with suppress(Exception):  # Kafka takes a moment to forget a topic of this name.
                await ensure_topics(town.servers.kafka, town.prefix, ["evidence"], PARTITIONS)
                break
            await asyncio.sleep(0.2)
        producer = AIOKafkaProducer(bootstrap_servers=town.servers.kafka, acks="all", enable_idempotence=True)
        await producer.start()
        try:
            for partition, _, raw in rows:
                key = Header.read(raw).key
                await producer.send_and_wait(f"{town.prefix}.evidence", raw, partition=partition, key=key.encode())
        finally:
            await producer.stop()

    asyncio.run(run())


def cut(town: Town, before: Mapping[int, int]) -> None:
    """Delete the records of evidence's topic before these offsets, as retention does."""
    wanted = {TopicPartition(f"{town.prefix}.evidence", partition): RecordsToDelete(offset) for partition, offset in before.items()}
    administer(town.servers.kafka, lambda admin: admin.delete_records(wanted))


@scenario("topic-emptied", 7)
def topic_emptied(stage: Stage) -> None:
    """Evidence's topic is deleted under load while mastery is behind: it is made anew, and what is missing comes from the ledger."""
    with stage.town() as town:
        town.begin()
        with load(town, stage.seed) as client:
            client.until(50)
            town.of("mastery")[0].kill()
            client.until(100)
            delete(town)
            stage.inject("topic deleted")
            client.until(50)
            town.begin("mastery")
            client.until(50)
            eventually(lambda: ASKED in town.of("mastery")[0].said(), "mastery asks for what is missing", LIMIT_S)
            delete(town)
            stage.inject("topic deleted")
            stage.fault_ends()
            client.until(50)
        stage.judge(town, client, harmed=("evidence",))


@scenario("record-missing", 7, short=True)
def record_missing(stage: Stage) -> None:
    """Records in the middle of evidence's topic are gone while mastery is away: it sees the gap and has it filled from the ledger."""
    with stage.town() as town:
        town.begin()
        with load(town, stage.seed) as client:
            client.until(50)
            town.of("mastery")[0].end()
            client.until(200)
        with load(town, stage.seed + 1) as more:
            eventually(lambda: published(town), "everything is on Kafka", LIMIT_S)
            town.of("evidence")[0].kill()
            rows = held(town)
            applied = dict(town.ask("mastery", "SELECT partition, position FROM inbox WHERE source = 'evidence'"))
            ahead = [row for row in rows if Header.read(row[2]).position > applied[row[0]] + 1]
            last = {row[0]: row[1] for row in rows}
            lost = stage.draw.sample([row for row in ahead if row[1] < last[row[0]]], 5)
            delete(town)
            refill(town, [row for row in rows if row not in lost])
            stage.inject("record missing", len(lost))
            stage.fault_ends()
            town.begin("evidence", "mastery")
            stage.must(happens(lambda: ASKED in town.of("mastery")[0].said(), LIMIT_S), "mastery does not ask for what is missing")
            more.until(50)
        client.acks += more.acks
        stage.judge(town, client, harmed=("evidence",))


@scenario("retention", 7)
def retention(stage: Stage) -> None:
    """Kafka forgets records before mastery comes back: they are asked for and sent again."""
    with stage.town() as town:
        town.begin()
        with load(town, stage.seed) as client:
            client.until(50)
            town.of("mastery")[0].end()
            client.until(200)
            ends: dict[int, int] = {}
            for partition, offset, _ in held(town):
                ends[partition] = offset
            cut(town, ends)
            stage.inject("records deleted before they were read", sum(ends.values()))
            stage.fault_ends()
            town.begin("mastery")
            eventually(lambda: ASKED in town.of("mastery")[0].said(), "mastery asks for what is missing", LIMIT_S)
            client.until(50)
        stage.judge(town, client, harmed=("evidence",))


@scenario("old-evidence", 7)
def old_evidence(stage: Stage) -> None:
    """Evidence that is years old lives on Kafka as long as any: a record dated by it, on a topic without our settings, is deleted."""
    long_ago = datetime(2019, 9, 2, 8, tzinfo=UTC)
    plain = {"message.timestamp.before.max.ms": str(2**63 - 1)}
    with stage.town() as town:
        town.begin("evidence")
        witness = f"{town.prefix}.witness"

        async def make(admin: Any) -> None:
            await admin.create_topics([NewTopic(witness, 1, 1, topic_configs=plain)])
            producer = AIOKafkaProducer(bootstrap_servers=town.servers.kafka)
            await producer.start()
            await producer.send_and_wait(witness, b"a quiz of long ago", partition=0, timestamp_ms=int(long_ago.timestamp() * 1000))
            await producer.stop()

        async def left() -> bool:
            with suppress(UnknownTopicOrPartitionError):
                return bool([row async for row in records(town.servers.kafka, witness, [0])])
            return False

        with load(town, stage.seed) as client:
            said = {"first_day": str(long_ago.date() - timedelta(days=1)), "author_id": str(seeds.name("teacher", 1))}
            httpx.put(f"{town.address('evidence')}/evidence/calendar", json=said).raise_for_status()
            acts = [seeds.act(f"old-{n}", n % seeds.LEARNERS, n % seeds.ITEMS, True, long_ago + timedelta(days=n)) for n in range(200)]
            client.tell(acts)
            client.until(30)
            eventually(lambda: published(town), "it is on Kafka", LIMIT_S)
            administer(town.servers.kafka, make)
            try:
                eventually(lambda: not asyncio.run(left()), "retention deletes the witness", RETENTION_S)
            except AssertionError:
                raise LeftOut("this broker does not look for old records within a minute") from None
            stage.inject("retention ran over records of years ago")
            kept = {str(Header.read(raw).position) + f"/{partition}" for partition, _, raw in held(town)}
            length = sum(row[0] for row in town.ask("evidence", "SELECT length FROM partition"))
            stage.must(len(kept) >= length - 100, f"Kafka holds {len(kept)} of {length} events of evidence")
            town.begin("mastery")
        stage.judge(town, client)
