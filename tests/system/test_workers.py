"""One service on two machines, one worker, then three, then two, while evidence flows: nothing lost, doubled or decided otherwise."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from bench.evidence import NOBODY, acts, known
from bench.serving import shares
from services.evidence.app import PARTS as EVIDENCE
from services.mastery.app import PARTS as MASTERY
from shared.clock import SystemClock
from shared.contracts.evidence import EvidenceRecorded
from shared.ledger.store import decoded
from shared.ledger.types import Ask
from shared.relay import Control, Relay
from shared.serve import SearchPool, build
from shared.settings import load_settings
from shared.stack import ServiceDatabase
from shared.telemetry import Metrics
from shared.testing import a_port, running
from shared.ticker import TICKER_LOCK

PATIENCE_S = 90.0
TOGETHER = 60
"""Pieces of evidence in one transaction."""
PARTITIONS = 8
TOPICS = len(MASTERY.subscription.topics) if MASTERY.subscription else 0
SESSION_MS = 6_000
KEY = "11" * 32
LENGTHS = "SELECT coalesce(sum(length), 0) FROM partition"
APPLIED = "SELECT coalesce(sum(position + 1), 0) FROM inbox WHERE source = 'evidence'"
ROWS = {
    "learner_estimate": "SELECT to_jsonb(t) - 'version' FROM learner_estimate t ORDER BY learner_id",
    "competency_estimate": "SELECT to_jsonb(t) - 'version' FROM competency_estimate t ORDER BY learner_id, competency_id",
    "level": "SELECT to_jsonb(t) - 'version' - 'changed_at' FROM level t ORDER BY learner_id, competency_id",
}


@dataclass
class Place:
    """Where the two services keep what they know."""

    kafka: str
    prefix: str
    evidence: ServiceDatabase
    mastery: ServiceDatabase
    home: Path
    seen: list[dict[str, list[tuple[str, int]]]] = field(default_factory=list)
    """What each member of mastery's group was given, at every look at a settled group."""
    holders: list[int] = field(default_factory=list)
    """How many sessions held the ticker's lock, at every look."""
    looking: "asyncio.Task[None] | None" = None

    @property
    def group(self) -> str:
        return f"{self.prefix}.mastery"

    def number(self, url: str, query: str) -> int:
        with psycopg.connect(url) as connection:
            row = connection.execute(query.encode()).fetchone()
        return int(row[0]) if row else 0

    @asynccontextmanager
    async def machine(self, instance: str, workers: int) -> AsyncIterator[tuple[Process, int]]:
        """Run mastery as on a machine of its own, and kill what is left of it."""
        port = a_port()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CAIRN_")}
        given = {
            "CAIRN_HOME": str(self.home), "CAIRN_KAFKA_SERVERS": self.kafka, "CAIRN_TOPIC_PREFIX": self.prefix,
            "CAIRN_DATABASE_URL": self.mastery.app_url, "CAIRN_PARKING_KEY": KEY, "CAIRN_PORT": str(port), "CAIRN_INSTANCE_ID": instance,
            "CAIRN_SESSION_TIMEOUT_MS": str(SESSION_MS),
        }  # fmt: skip
        with (self.home / f"{instance}.log").open("wb") as log:
            argv = ["-m", "services.cli", "serve", "mastery", "--workers", str(workers)]
            process = await asyncio.create_subprocess_exec(sys.executable, *argv, env=kept | given, stdout=log, stderr=log)
        try:
            yield process, port
        finally:
            if process.returncode is None:
                for each in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
                    each.kill()
            await process.wait()

    async def look(self) -> None:
        """Look, until cancelled, who has which partitions and who ticks."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        await admin.start()
        try:
            async with await psycopg.AsyncConnection.connect(self.mastery.app_url, autocommit=True) as connection:
                held = "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database WHERE d.datname = current_database() "
                while True:
                    found = await shares(admin, self.group)
                    if found is not None:
                        self.seen.append(found)
                    row = await (await connection.execute(f"{held} AND objid = {TICKER_LOCK} AND granted")).fetchone()
                    self.holders.append(row[0] if row else -1)
                    await asyncio.sleep(0.1)
        finally:
            await admin.close()

    async def until(self, what: Callable[[], Any], why: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not what():
                    await asyncio.sleep(0.1)
                    assert self.looking is None or not self.looking.done(), "nobody looks any more"
        except TimeoutError:
            logs = "\n".join(path.read_text()[-3_000:] for path in self.home.glob("*.log"))
            raise AssertionError(f"never: {why}\n{self.seen[-1:]}\n{logs}") from None

    def shared_by(self, count: int) -> bool:
        """Say whether at the last look all partitions lay with so many workers, each of which had some."""
        last = self.seen[-1] if self.seen else {}
        given = [each for each in last.values() if each]
        return len(last) == len(given) == count and sum(map(len, given)) == PARTITIONS * TOPICS


@asynccontextmanager
async def flow(place: Place) -> AsyncIterator[Callable[[], int]]:
    """Write evidence, one transaction after another, as long as the context lasts; yields how many pieces were written."""
    settings = load_settings(
        EVIDENCE.settings, kafka_servers=place.kafka, topic_prefix=place.prefix, database_url=place.evidence.app_url, parking_key=KEY,
        district_key=KEY, home=place.home,
    )  # fmt: skip
    service = build(EVIDENCE, settings, SystemClock(), SearchPool(), Metrics())
    control = Control(place.kafka, place.prefix)
    relay = Relay(
        dsn=settings.database(), service="evidence", source=service.ledger.source, partitions=PARTITIONS, kafka_servers=place.kafka,
        prefix=place.prefix, control=control,
    )  # fmt: skip
    service.ledger.on_commit.append(relay.wake)
    written, ended = 0, False

    async def write() -> None:
        nonlocal written
        while not ended:
            asked = [Ask(command, NOBODY, n) for n, command in enumerate(acts(written, TOGETHER))]
            await service.ledger.handle(asked)
            written += TOGETHER
            await asyncio.sleep(0.15)

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(service.pool)
        await relay.start()
        await control.start()
        stack.push_async_callback(control.stop)
        relaying = asyncio.create_task(relay.run())
        await service.ledger.handle([Ask(command, NOBODY, n) for n, command in enumerate(known())])
        writing = asyncio.create_task(write())
        try:
            yield lambda: written
        finally:
            ended = True
            await writing
            await place.until(lambda: place.number(place.evidence.app_url, "SELECT sum(position) FROM published") == _length(place), "told")
            await relay.stop()
            await relaying


def _length(place: Place) -> int:
    return place.number(place.evidence.app_url, LENGTHS)


def _topics(parts: list[tuple[str, int]]) -> set[str]:
    return {topic for topic, _ in parts}


def _ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def _workers(process: Process) -> list[psutil.Process]:
    """Return the workers of a supervisor, without what multiprocessing runs beside them."""
    found = []
    for each in psutil.Process(process.pid).children():
        with suppress(psutil.NoSuchProcess):  # It was killed, and nobody has taken notice yet.
            if "spawn_main" in " ".join(each.cmdline()):
                found.append(each)
    return found


@pytest.mark.slow
async def test_workers_come_and_go_while_evidence_flows(
    kafka_servers: str, topic_prefix: str, database: Callable[[str], ServiceDatabase], tmp_path: Path
) -> None:
    place = Place(kafka_servers, topic_prefix, database("evidence"), database("mastery"), tmp_path)
    async with AsyncExitStack() as stack:
        looking = place.looking = asyncio.create_task(place.look())
        stack.callback(looking.cancel)
        async with flow(place) as written:
            first, first_port = await stack.enter_async_context(place.machine("a", 1))
            await place.until(lambda: place.shared_by(1) and _ready(first_port), "one worker has all partitions")
            more, more_port = await stack.enter_async_context(place.machine("b", 2))
            await place.until(lambda: place.shared_by(3) and _ready(more_port), "three workers share the partitions")
            before = {each.pid for each in _workers(more)}
            assert len(before) == 2
            os.kill(max(before), signal.SIGKILL)  # With a batch in hand, as likely as not.
            await place.until(lambda: len({each.pid for each in _workers(more)} - before) == 1, "who was killed comes back")
            await place.until(lambda: place.shared_by(3) and _ready(more_port), "three workers share the partitions again")
            first.send_signal(signal.SIGTERM)
            assert await first.wait() == 0
            await place.until(lambda: place.shared_by(2) and _ready(more_port), "two workers share the partitions")
            pause = written()
            await place.until(lambda: written() > pause + 5 * TOGETHER, "evidence goes on")
        await place.until(lambda: place.number(place.mastery.app_url, APPLIED) == _length(place), "all is applied")
        more.send_signal(signal.SIGTERM)
        assert await more.wait() == 0
        assert not looking.done()
    for look in place.seen:
        given = list(chain.from_iterable(look.values()))
        assert not given or len(given) == len(set(given)) == PARTITIONS * len(_topics(given)), "a partition with nobody, or with two"
        for parts in look.values():
            assert len({frozenset(number for topic, number in parts if topic == each) for each in _topics(parts)}) <= 1, "topics lie apart"
    assert max(place.holders) == 1, "two ticked at once"
    _check_deadlocks(place)
    await _check_once(place)
    await _check_same(place, database("mastery"))


def _check_deadlocks(place: Place) -> None:
    assert place.number(place.mastery.app_url, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0


async def _events(url: str) -> list[Any]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        rows = await (await connection.execute("SELECT bytes FROM event ORDER BY partition, position")).fetchall()
    return [decoded(bytes(row[0])) for row in rows]


async def _check_once(place: Place) -> None:
    """Every piece of evidence was weighed once, and none was set aside."""
    told = [event.data.evidence_id for event in await _events(place.evidence.app_url) if isinstance(event.data, EvidenceRecorded)]
    weighed = Counter(event.data.evidence.evidence_id for event in await _events(place.mastery.app_url) if hasattr(event.data, "evidence"))
    assert len(told) > 20 * TOGETHER
    assert weighed == Counter(told)
    assert place.number(place.mastery.app_url, "SELECT count(*) FROM parked") == 0


async def _check_same(place: Place, fresh: ServiceDatabase) -> None:
    """One process that hears the same evidence believes the same."""
    async with running(MASTERY, fresh) as service:
        heard = [event for event in await _events(place.evidence.app_url) if isinstance(event.data, EvidenceRecorded)]
        for start in range(0, len(heard), TOGETHER):
            await service.hear(*heard[start : start + TOGETHER])
    for table, query in ROWS.items():
        with psycopg.connect(fresh.app_url) as one, psycopg.connect(place.mastery.app_url) as several:
            expected = one.execute(query.encode()).fetchall()
            assert expected, f"nothing in {table}"
            assert several.execute(query.encode()).fetchall() == expected, f"{table} differs"
