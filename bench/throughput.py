"""Sustained evidence per second through two ledgers, and beside it the no-logic ceiling, in the same run on the same servers."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any
from uuid import UUID, uuid5

import psutil
import psycopg

from bench import ceiling
from services.evidence.app import PARTS as EVIDENCE
from services.evidence.domain import AcceptEvidence, AlignItem, NoteAlias
from services.mastery.app import PARTS as MASTERY
from shared.clock import SystemClock
from shared.contracts.envelope import NAMESPACE, Origin, StreamId, envelope
from shared.contracts.evidence import AliasNoted, EvidenceAccepted, EvidenceRecorded, ItemAligned
from shared.ledger.types import Ask
from shared.migrate import migrate
from shared.parts import Parts
from shared.relay.control import Control
from shared.relay.relay import Relay
from shared.serve import SearchPool, build, run
from shared.settings import load_settings
from shared.stack import Stack, create_database

LEARNERS, COMPETENCIES, ITEMS = 240, 150, 600
BATCH = 500
SPAWN = get_context("spawn")
START = datetime(2026, 9, 1, 8, tzinfo=UTC)
NOBODY = Origin(UUID(int=1), UUID(int=1))


@dataclass(frozen=True)
class Place:
    """Where the two services of a run keep their records."""

    kafka: str
    prefix: str
    urls: dict[str, str]

    def settings(self, parts: Parts) -> Any:
        return load_settings(
            parts.settings, kafka_servers=self.kafka, topic_prefix=self.prefix, database_url=self.urls[parts.name],
            parking_key="11" * 32, district_key="22" * 32, log_level="WARNING",
        )  # fmt: skip


def a_place(stack: Stack) -> Place:
    """Return fresh databases and topic names."""
    suffix = "_b" + secrets.token_hex(3)
    urls = {}
    for service in ("evidence", "mastery"):
        made = create_database(stack.postgres_url, service, stack.home, suffix)
        migrate(service, made.owner_url)
        urls[service] = made.app_url
    return Place(stack.kafka_servers, f"bench{suffix}", urls)


def name(kind: str, number: int) -> UUID:
    return uuid5(NAMESPACE, f"bench/{kind}/{number}")


def alias(number: int) -> str:
    return f"{number:064x}"


def known() -> Iterator[NoteAlias | AlignItem]:
    """Yield what must be known for evidence to be recorded at once."""
    for learner in range(LEARNERS):
        yield NoteAlias(AliasNoted(alias=alias(learner), learner_id=name("learner", learner)))
    for item in range(ITEMS):
        competency = str(name("competency", item % COMPETENCIES))
        yield AlignItem(ItemAligned(item_id=name("item", item), iri=f"urn:item:{item}", competency_ids=(competency,)))


def acts(count: int) -> Iterator[AcceptEvidence]:
    """Yield quiz answers: ten in a row of one learner, in the order of time."""
    for number in range(count):
        learner, turn = (number // 10) % LEARNERS, number // (10 * LEARNERS)
        item = (learner * 7 + turn * 11 + number % 10 * 3) % ITEMS
        yield AcceptEvidence(
            EvidenceAccepted(
                act_id=name("act", number), alias=alias(learner), item_id=name("item", item), score_e6=1_000_000 * ((number * 7919) % 10 < 7),
                occurred_at=START + timedelta(seconds=number),
            )
        )  # fmt: skip


def write_evidence(place: Place, count: int, told: Connection) -> None:
    """Child process: evidence's ledger and relay. Appends `count` acts in batches of 500; says when it begins and when all is written."""

    async def main() -> None:
        settings = place.settings(EVIDENCE)
        service = build(EVIDENCE, settings, SystemClock(), SearchPool())
        control = Control(place.kafka, place.prefix)
        relay = Relay(
            dsn=settings.database(), service="evidence", source=service.ledger.source, partitions=settings.partitions,
            kafka_servers=place.kafka, prefix=place.prefix, control=control,
        )  # fmt: skip
        service.ledger.on_commit.append(relay.wake)
        async with service.pool:
            await relay.start()
            await control.start()
            await service.ledger.open()
            relaying = asyncio.create_task(relay.run())
            await service.ledger.handle([Ask(command, NOBODY, n) for n, command in enumerate(known())])
            commands = list(acts(count))
            told.send("ready")
            await asyncio.to_thread(told.recv)
            for start in range(0, count, BATCH):
                await service.ledger.handle([Ask(command, NOBODY, n) for n, command in enumerate(commands[start : start + BATCH])])
            told.send(time.perf_counter())
            await asyncio.to_thread(told.recv)
            await relay.stop()
            await relaying
            await control.stop()

    asyncio.run(main())


def serve_mastery(place: Place) -> None:
    """Child process: the mastery service as it runs anywhere."""
    asyncio.run(run(MASTERY, place.settings(MASTERY)))


def cpu_of(processes: list[psutil.Process]) -> float:
    """Return the CPU seconds that these processes and their children have used."""
    total = 0.0
    for process in processes:
        for one in (process, *process.children(recursive=True)):
            times = one.cpu_times()
            total += times.user + times.system
    return total


def servers_of(stack: Stack) -> list[psutil.Process]:
    """Return the broker and the PostgreSQL server of a stack, as far as they are processes of this machine."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = " ".join(process.info["cmdline"] or ())
        if str(stack.home) in words and ("kafka.Kafka" in words or "postgres" in words.split(" ")[0]):
            found.append(process)
    return found


@contextmanager
def child(target: Any, *arguments: Any) -> Iterator[Any]:
    """Run a function in a process of its own, and end it."""
    process = SPAWN.Process(target=target, args=arguments, daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.terminate()
        process.join(30)


def applied(url: str) -> int:
    """Return how many records of evidence a service has applied."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT coalesce(sum(position + 1), 0) FROM inbox WHERE source = 'evidence'").fetchone()
    return int(row[0]) if row else 0


def length(url: str) -> int:
    """Return how many events a ledger holds."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT sum(length) FROM partition").fetchone()
    return int(row[0]) if row else 0


def await_applied(place: Place, count: int, seconds: float = 600) -> None:
    """Wait until mastery has applied `count` records.

    Raises:
        TimeoutError: it did not, in time.
    """
    until = time.monotonic() + seconds
    while applied(place.urls["mastery"]) < count:
        if time.monotonic() > until:
            raise TimeoutError(f"mastery applied {applied(place.urls['mastery'])} of {count} records")
        time.sleep(0.02)


@dataclass(frozen=True)
class Rate:
    """Evidence per second, and CPU microseconds per evidence of all processes together."""

    per_second: float
    cpu_us: float


def measure_chain(stack: Stack, count: int, warm: int) -> Rate:
    """Return what the chain evidence -> mastery sustains."""
    place = a_place(stack)
    ours, theirs = SPAWN.Pipe()
    with child(serve_mastery, place) as mastery, child(write_evidence, place, warm + count, theirs) as evidence:
        assert ours.recv() == "ready"
        before = length(place.urls["evidence"])
        await_applied(place, before)
        processes = [*servers_of(stack), psutil.Process(mastery.pid), psutil.Process(evidence.pid)]
        cpu, started = cpu_of(processes), time.perf_counter()
        ours.send("go")
        ours.recv()
        await_applied(place, length(place.urls["evidence"]))
        seconds, cpu = time.perf_counter() - started, cpu_of(processes) - cpu
        ours.send("stop")
        evidence.join(30)
    return Rate((warm + count) / seconds, cpu / (warm + count) * 1e6)


def measure_ceiling(stack: Stack, count: int) -> Rate:
    """Return what the same servers carry without any logic."""
    place = a_place(stack)
    topic, onward = f"{place.prefix}.ceiling", f"{place.prefix}.onward"
    asyncio.run(ceiling.make_topics(stack.kafka_servers, [topic, onward]))
    ours, theirs = SPAWN.Pipe()
    with child(ceiling.carry, stack.kafka_servers, _owner(stack), topic, onward, count, theirs) as carrier:
        assert ours.recv() == "ready"
        processes = [*servers_of(stack), psutil.Process(carrier.pid)]
        cpu, started = cpu_of(processes), time.perf_counter()
        with child(ceiling.produce, stack.kafka_servers, topic, an_event(), count) as producer:
            watched = psutil.Process(producer.pid)
            ours.recv()
            seconds = time.perf_counter() - started
            cpu = cpu_of([*processes, watched]) - cpu
    return Rate(count / seconds, cpu / count * 1e6)


def _owner(stack: Stack) -> str:
    return create_database(stack.postgres_url, "evidence", stack.home, "_ceiling").owner_url


def an_event() -> bytes:
    """Return a piece of evidence as evidence's ledger stores it."""
    return envelope(
        source="/local/evidence", stream=StreamId("evidence", "learner", str(name("learner", 1))), version=1, partition=0, position=0,
        previous="0" * 64, at=START, decider="evidence.record/1", settings=0, release="0.1.0", origin=NOBODY,
        event=EvidenceRecorded(
            evidence_id=name("act", 1), learner_id=name("learner", 1), item_id=name("item", 1), competency_ids=(str(name("competency", 1)),),
            score_e6=1_000_000, occurred_at=START,
        ),
    )  # fmt: skip
