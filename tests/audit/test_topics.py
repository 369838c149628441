"""What the oracle finds in topics, on a real Kafka: a head that was cut, a record that nobody told, one that is missing."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import psycopg
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from services.cli.audit import Findings, Installation, Options, check, topics
from services.cli.audit.reading import read_all
from shared.contracts.envelope import canonical
from shared.contracts.topics import Topic, topic_name
from shared.relay import Control, Relay, ensure_topics
from shared.relay.kept import Kept, kept
from shared.relay.resume import Furthest, Resume
from tests.audit.district import NOW, District
from tests.audit.plant import append, one, some_event
from tests.shared.wire import until

AT_ONCE = Options(within_s=0, quiet_s=0)
PARTITIONS = 8


@dataclass
class Published:
    """A district whose events are on Kafka."""

    district: District
    servers: str
    prefix: str

    @property
    def installation(self) -> Installation:
        return replace(self.district.installation, kafka_servers=self.servers, prefix=self.prefix)

    async def found(self, *only: str) -> Findings:
        return await check(self.installation, only=only or ("I3", "I4"), options=AT_ONCE)

    def longest(self, service: str) -> int:
        """Return the partition of a service that holds most events."""
        with psycopg.connect(self.district.databases[service].app_url) as connection:
            row = connection.execute("SELECT id FROM partition ORDER BY length DESC LIMIT 1").fetchone()
        assert row is not None
        return int(row[0])


@pytest.fixture
async def published(district: District, kafka_servers: str, topic_prefix: str) -> AsyncIterator[Published]:
    with district.copied(*Topic) as copy:
        control = Control(kafka_servers, topic_prefix)
        await control.start()
        try:
            for service in Topic:
                await _publish(copy, service, kafka_servers, topic_prefix, control)
        finally:
            await control.stop()
        yield Published(copy, kafka_servers, topic_prefix)


async def _publish(district: District, service: str, servers: str, prefix: str, control: Control) -> None:
    url = district.databases[service].app_url
    relay = Relay(
        dsn=url, service=service, source=f"/local/{service}", partitions=PARTITIONS, kafka_servers=servers, prefix=prefix, control=control
    )
    await relay.start()
    task = asyncio.create_task(relay.run())

    async def all_sent() -> bool:
        async with await psycopg.AsyncConnection.connect(url) as connection:
            row = await (
                await connection.execute("SELECT sum(length - position) FROM partition JOIN published ON id = partition")
            ).fetchone()
        return row is not None and row[0] == 0

    await until(all_sent, f"{service} is published")
    await relay.stop()
    await task


def said(findings: Findings) -> str:
    return "; ".join(map(str, findings.violations))


async def test_topics_that_equal_their_ledgers_are_sound(published: Published) -> None:
    findings = await published.found()
    assert not findings.violations, said(findings)
    assert all(findings.counted(f"{service}: records in Kafka") for service in Topic)


async def test_a_head_that_was_cut_too_early_is_told_from_one_that_was_old(published: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    number = published.longest(Topic.PROFILE)
    admin = AIOKafkaAdminClient(bootstrap_servers=published.servers)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(topic_name(published.prefix, Topic.PROFILE), number): RecordsToDelete(3)})
    finally:
        await admin.close()
    early = await published.found()
    assert early.violated == {"I3"}
    assert f"profile: published, younger than Kafka keeps records, and not in Kafka: partition {number} position 0" in said(early)

    async def shorter(*given: Any) -> Kept:
        found = await kept(*given)
        return replace(found, settings=found.settings | {"retention.ms": "1"})

    monkeypatch.setattr(topics, "kept", shorter)
    lowered = await published.found()
    assert "profile: the settings of" in said(lowered)
    assert f"retention.ms is 1, not {topics.RETENTION_MS} or more" in said(lowered)
    assert f"profile: published, younger than Kafka keeps records, and not in Kafka: partition {number} position 0" in said(lowered)
    monkeypatch.setattr(topics, "RETENTION_MS", 1)
    lawful = await published.found()
    assert not lawful.violations, said(lawful)
    assert lawful.counted("profile: older than Kafka keeps them") == 3


async def test_a_topic_that_was_emptied_is_not_sound(published: Published) -> None:
    other = replace(published, prefix=f"{published.prefix}-empty")
    await ensure_topics(published.servers, other.prefix, list(Topic), PARTITIONS)
    findings = await other.found()
    assert findings.violated == {"I3"}
    on_purpose = await check(other.installation, only=["I3", "I4"], options=replace(AT_ONCE, emptied=tuple(Topic)))
    assert not on_purpose.violations, said(on_purpose)
    assert all(f"{service}: published, younger than Kafka keeps records" in said(findings) for service in Topic)
    one = await check(other.installation, only=["I3", "I4"], options=replace(AT_ONCE, emptied=(Topic.EVIDENCE,)))
    assert [f"{service}: published" in said(one) for service in Topic] == [service != Topic.EVIDENCE for service in Topic]


async def test_a_topic_that_is_not_there_is_said_and_is_not_waited_for(published: Published) -> None:
    other = replace(published, prefix=f"{published.prefix}-nowhere")
    findings = await other.found()
    assert findings.violated == {"I3"}
    assert all(
        f"{service}: published, and not in Kafka, where there is no topic {other.prefix}.{service}" in said(findings) for service in Topic
    )
    on_purpose = await check(other.installation, only=["I3", "I4"], options=replace(AT_ONCE, emptied=tuple(Topic)))
    assert not on_purpose.violations, said(on_purpose)


async def test_a_record_that_no_ledger_holds_and_one_that_is_missing_are_found(published: Published) -> None:
    number = published.longest(Topic.EVIDENCE)
    with psycopg.connect(published.district.databases[Topic.EVIDENCE].app_url) as connection:
        rows = connection.execute("SELECT bytes FROM event WHERE partition = %s ORDER BY position LIMIT 6", [number]).fetchall()
    raws = [bytes(row[0]) for row in rows]
    other = replace(published, prefix=f"{published.prefix}-holes")
    await ensure_topics(published.servers, other.prefix, list(Topic), PARTITIONS)
    forged = raws[1].replace(b'"time":"', b'"time":"x')
    async with AIOKafkaProducer(bootstrap_servers=published.servers) as producer:
        for raw in (raws[0], forged, raws[1], raws[3], b"junk"):
            await producer.send_and_wait(topic_name(other.prefix, Topic.EVIDENCE), raw, partition=number)
    findings = await other.found()
    assert findings.violated == {"I3", "I4"}
    assert f"I4: evidence: Kafka holds records that are not in its ledger: partition {number} offset 1" in said(findings)
    assert f"evidence: Kafka holds a record ahead of one that is missing: partition {number} position 3 follows 1" in said(findings)


async def test_a_hole_that_was_recorded_is_no_violation_and_is_counted(published: Published) -> None:
    number, url = published.longest(Topic.SCHEDULING), published.district.databases[Topic.SCHEDULING].app_url
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT length FROM partition WHERE id = %s", [number]).fetchone()
    assert row is not None
    resume = Resume(
        dsn=url, service=Topic.SCHEDULING, installation="local", partitions=PARTITIONS, release="test", kafka_servers=published.servers,
        prefix=published.prefix,
    )  # fmt: skip
    [hole] = await resume.run([Furthest(number, row[0] + 4, "a" * 64)], "a test", NOW, UUID("01890000-0000-7000-8000-000000000000"))
    assert (hole.first, hole.after) == (row[0], row[0] + 4)
    findings = await published.found("I2", "I3", "I4", "I6", "I7")
    assert not findings.violations, said(findings)
    assert findings.counted("scheduling: events lost in holes that were recorded") == 5


async def _sent(published: Published, service: str, partition: int, *raws: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=published.servers) as producer:
        for raw in raws:
            await producer.send_and_wait(topic_name(published.prefix, service), raw, partition=partition)


@pytest.mark.parametrize("at_once", [1, topics.LATER])
async def test_what_is_told_and_published_while_the_oracle_reads_is_counted_and_what_nobody_told_is_found(
    at_once: int, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics, "LATER", at_once)
    forged: list[tuple[int, bytes]] = []

    def and_then(*given: Any) -> Any:
        standings = read_all(*given)
        with published.district.as_owner(Topic.EVIDENCE) as owner:
            told = [append(owner, "evidence.accepted.v1") for _ in range(3)]
        asyncio.run(_sent(published, Topic.EVIDENCE, told[0]["partition"], *map(canonical, told), *(raw for _, raw in forged)))
        return standings

    monkeypatch.setattr(sys.modules[check.__module__], "read_all", and_then)
    findings = await published.found()
    assert not findings.violations, said(findings)
    assert findings.counted("evidence: published meanwhile, and in the ledger by now") == 3

    with published.district.as_owner(Topic.EVIDENCE) as owner:
        partition, _, event = some_event(owner, "evidence.accepted.v1")
        (length,) = one(owner, "SELECT length FROM partition WHERE id = %s", partition)
    forged += [(partition, canonical(event | {"position": position})) for position in (length, length + 99, 2**53 - 1)]
    findings = await published.found()
    assert [(each.invariant, each.count) for each in findings.violations] == [("I4", 3)], said(findings)
    assert findings.counted("evidence: published meanwhile, and in the ledger by now") == 3
