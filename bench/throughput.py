"""Sustained evidence per second through two ledgers, and beside it the no-logic ceiling, in turn on the same servers.

Every process is there, connected and warmed up before anything is measured, on all sides. Evidence waits where it gets too far ahead of
mastery: a rate is sustained only where what waits does not grow. Mastery is measured as one process, which one
core carries, and as one for each of two cores.
"""

from __future__ import annotations

import asyncio
import gc
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any, Final

import psutil
import psycopg
import uvloop

from bench import ceiling
from bench.bars import Bars
from bench.evidence import FIRST_QUIZ, NOBODY, acts, known
from bench.figures import cpu_between, cpu_of_each, servers_of, shown
from bench.serving import mastery, settled
from services.evidence.app import PARTS as EVIDENCE
from shared.clock import SystemClock
from shared.ledger.types import Ask
from shared.migrate import migrate
from shared.parts import Parts
from shared.relay.control import Control
from shared.relay.relay import Relay
from shared.serve import SearchPool, build
from shared.settings import load_settings
from shared.stack import Stack, create_database, down, find_stack
from shared.ticker.pool import rare_gc

BATCH: Final = 500
"""Commands that share a transaction."""
AHEAD: Final = 16 * BATCH
"""Pieces of evidence that evidence may be ahead of mastery: four polls of a consumer."""
ROUNDS: Final = 3
RAW_FACTOR: Final = 2
"""Raw records of a round for each piece of evidence, so that both sides take a while."""
WARM: Final = 5 * FIRST_QUIZ
"""Pieces of evidence before those that count: the checks of the start of the year, and four quizzes of everybody. In them the broker's
Java is compiled, which costs as much as what the broker does; it runs for months."""
WORKERS: Final = (1, 2)
"""Of mastery; the bar is for the number that is faster on this machine."""
BAR: Final = 0.3
"""Of the ceiling written with ordinary calls: issue and prototype set it there. Of hand-packed batches, whose ceiling is about twice as
high, the share is printed without a bar."""
JUDGED: Final = "ordinary calls"
READY_S: Final = 120.0
ROUND_S: Final = 180.0
POLL_S: Final = 0.02
PACE_S: Final = 0.002
SPAWN = get_context("spawn")
EVENTS: Final = 2
"""Of evidence's ledger for each of them: what was told, and what it means."""
APPLIED: Final = "SELECT coalesce(sum(position + 1), 0) FROM inbox WHERE source = 'evidence'"
LENGTH: Final = "SELECT sum(length) FROM partition"


@dataclass(frozen=True)
class Place:
    """Where the two services of a run keep their records."""

    kafka: str
    prefix: str
    urls: dict[str, str]
    raw_url: str
    """Where the ceiling copies to, as the owner."""
    owner_urls: dict[str, str]

    def environment(self, home: Path) -> dict[str, str]:
        """Return the settings of mastery as its command takes them."""
        return {
            "CAIRN_HOME": str(home), "CAIRN_KAFKA_SERVERS": self.kafka, "CAIRN_TOPIC_PREFIX": self.prefix,
            "CAIRN_DATABASE_URL": self.urls["mastery"], "CAIRN_PARKING_KEY": "11" * 32, "CAIRN_LOG_LEVEL": "WARNING",
        }  # fmt: skip

    def settings(self, parts: Parts) -> Any:
        """Return a service's settings."""
        return load_settings(
            parts.settings, kafka_servers=self.kafka, topic_prefix=self.prefix, database_url=self.urls[parts.name],
            parking_key="11" * 32, district_key="22" * 32, log_level="WARNING",
        )  # fmt: skip


def a_place(stack: Stack) -> Place:
    """Return fresh databases and topic names."""
    suffix = "_b" + secrets.token_hex(3)
    urls, owner_urls = {}, {}
    for service in ("evidence", "mastery"):
        made = create_database(stack.postgres_url, service, stack.home, suffix)
        migrate(service, made.owner_url)
        urls[service], owner_urls[service] = made.app_url, made.owner_url
    raw = create_database(stack.postgres_url, "evidence", stack.home, f"{suffix}raw")
    with psycopg.connect(raw.owner_url) as connection:
        connection.execute("CREATE TABLE raw (bytes bytea)")  # Both ceilings copy to it.
    return Place(stack.kafka_servers, f"bench{suffix}", urls, raw.owner_url, owner_urls)


def write_evidence(place: Place, applied: Any, told: Connection) -> None:
    """Child process: evidence's ledger and relay. For each number it is told, decode so many acts and say "ready"; at "go" append them,
    no more than AHEAD before what `applied`, a number shared with the parent, says that mastery has."""

    async def main() -> None:
        rare_gc()  # As the service does when it starts.
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
            first = 0
            while count := await asyncio.to_thread(told.recv):
                commands = acts(first, count)
                first += count
                gc.freeze()  # A service is not handed a round's commands at once.
                told.send("ready")
                await asyncio.to_thread(told.recv)
                for start in range(0, count, BATCH):
                    await _in_reach(applied, start)
                    await service.ledger.handle([Ask(command, NOBODY, n) for n, command in enumerate(commands[start : start + BATCH])])
                told.send("written")
            await relay.stop()
            await relaying
            await control.stop()

    uvloop.run(main())  # As the service does.


def progress(applied: int = 0) -> Any:
    """Return a number that processes share: how many pieces of evidence mastery has applied, for evidence not to get too far ahead."""
    return SPAWN.Value("q", applied)


async def _in_reach(applied: Any, count: int) -> None:
    """Return when mastery has applied so many pieces of evidence, but for AHEAD."""
    while True:
        if count < applied.value + AHEAD:
            return
        await asyncio.sleep(PACE_S)


@dataclass(frozen=True)
class Child:
    """A process of the bench."""

    process: psutil.Process
    pipe: Connection

    def hear(self, seconds: float = READY_S) -> Any:
        """Return what it says next.

        Raises:
            TimeoutError: it says nothing in time.
            EOFError: it ended.
        """
        if not self.pipe.poll(seconds):
            raise TimeoutError(f"{self.process.name()} said nothing for {seconds:.0f} s")
        return self.pipe.recv()


@contextmanager
def child(target: Any, *arguments: Any) -> Iterator[Child]:
    """Run a function in a process of its own, and end it."""
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=target, args=(*arguments, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Child(psutil.Process(process.pid), ours)
    finally:
        process.terminate()
        process.join(30)


def number(connection: psycopg.Connection[Any], query: str) -> int:
    """Return the one number that a query asks for."""
    row = connection.execute(query.encode()).fetchone()
    return int(row[0]) if row and row[0] is not None else 0


@dataclass(frozen=True)
class Rate:
    """Evidence, or raw records, per second; and CPU microseconds for each of them by process."""

    per_second: float
    cpu_us: Mapping[str, float]
    moved: float = 0.0
    """Levels that changed, for each piece of evidence."""


@dataclass(frozen=True)
class Chain:
    """Evidence -> mastery, running."""

    evidence: Child
    applied: Any
    """Pieces of evidence of the round that mastery has, shared with evidence's process."""
    processes: Mapping[str, psutil.Process]
    ledger: psycopg.Connection[Any]
    inbox: psycopg.Connection[Any]

    def measure(self, count: int) -> Rate:
        """Return what it sustains from the first act that is appended to the last one that mastery has counted."""
        self.applied.value = 0
        self.evidence.pipe.send(count)
        self.evidence.hear()
        events = number(self.inbox, LENGTH)
        before, started = cpu_of_each(self.processes), time.perf_counter()
        self.evidence.pipe.send("go")
        self.follow()
        seconds = time.perf_counter() - started
        cpu_us = cpu_between(before, cpu_of_each(self.processes), count)
        return Rate(count / seconds, cpu_us, (number(self.inbox, LENGTH) - events) / count - 1)

    def follow(self) -> None:
        """Tell evidence how far mastery is, until evidence has written all and mastery has applied it.

        Raises:
            TimeoutError: it did not, in time.
        """
        began, until, written = number(self.inbox, APPLIED), time.monotonic() + ROUND_S, False
        while True:
            written = written or self.evidence.pipe.poll()  # It says one thing in a round, when all is written.
            applied, told = number(self.inbox, APPLIED), number(self.ledger, LENGTH)
            self.applied.value = (applied - began) // EVENTS
            if written and applied == told:
                self.evidence.hear()
                return
            if time.monotonic() > until:
                raise TimeoutError(f"mastery applied {applied} of {told} events of evidence")
            time.sleep(POLL_S)


@dataclass(frozen=True)
class Ceiling:
    """What carries records without any logic, running."""

    producer: Child
    carrier: Child
    processes: Mapping[str, psutil.Process]

    def measure(self, count: int) -> Rate:
        """Return what it carries, from the first record that is sent to the last one that is on the next topic."""
        for side in (self.producer, self.carrier):
            side.pipe.send(count)
            side.hear()
        before, started = cpu_of_each(self.processes), time.perf_counter()
        self.producer.pipe.send("go")
        seconds = self.carrier.hear(ROUND_S) - started
        return Rate(count / seconds, cpu_between(before, cpu_of_each(self.processes), count))


@contextmanager
def a_ceiling(place: Place, servers: Mapping[str, psutil.Process], way: str) -> Iterator[Ceiling]:
    """Run a ceiling that is written in one of `ceiling.WAYS`."""
    topics = [f"{place.prefix}.{name}.{way.split()[0]}" for name in ("raw", "onward")]
    asyncio.run(ceiling.make_topics(place.kafka, topics))
    with (
        child(ceiling.carry, place.kafka, place.raw_url, *topics, way) as carrier,
        child(ceiling.produce, place.kafka, topics[0], way) as producer,
    ):
        yield Ceiling(producer, carrier, {"producer": producer.process, "consumer": carrier.process} | servers)


@contextmanager
def a_chain(place: Place, home: Path, evidence: Child, applied: Any, workers: int) -> Iterator[Chain]:
    """Run mastery with so many workers behind evidence's ledger."""
    with (
        mastery(place.environment(home), workers) as process,
        psycopg.connect(place.urls["evidence"], autocommit=True) as ledger,
        psycopg.connect(place.urls["mastery"], autocommit=True) as inbox,
    ):
        asyncio.run(settled(place.kafka, f"{place.prefix}.mastery", workers))
        yield Chain(evidence, applied, {"evidence": evidence.process, "mastery": process} | servers_of(home), ledger, inbox)


@dataclass(frozen=True)
class Round:
    """What all sides did in turn: the chain, and each ceiling."""

    chain: Rate
    ceilings: Mapping[str, Rate]

    def share(self, way: str) -> float:
        """Return the chain's rate as a share of a ceiling's."""
        return self.chain.per_second / self.ceilings[way].per_second


def one_round(chain: Chain, ceilings: Mapping[str, Ceiling], count: int) -> Round:
    """Measure all sides in turn, and print what they did."""
    found = Round(chain.measure(count), {way: each.measure(count * RAW_FACTOR) for way, each in ceilings.items()})
    print(f"    chain {found.chain.per_second:,.0f}/s, CPU {shown(found.chain.cpu_us)}")
    for way, bare in found.ceilings.items():
        print(f"      ceiling, {way} {bare.per_second:,.0f}/s, CPU {shown(bare.cpu_us)}", flush=True)
    return found


def measure(home: Path, count: int, bars: Bars) -> None:
    """Measure all sides in turn, and print each round and the medians."""
    print(f"Throughput: {ROUNDS} rounds in turn of {count:,} pieces of evidence and {count * RAW_FACTOR:,} raw records", flush=True)
    stack = find_stack(home, lambda step: print(f"  {step}", flush=True))
    rounds: dict[int, list[Round]] = {}
    try:
        place = a_place(stack)
        with ExitStack() as open_:
            ceilings = {way: open_.enter_context(a_ceiling(place, servers_of(home), way)) for way in ceiling.WAYS}
            applied = progress()
            evidence = open_.enter_context(child(write_evidence, place, applied))
            for each in ceilings.values():
                each.measure(WARM * RAW_FACTOR)
            for workers in WORKERS:
                with a_chain(place, home, evidence, applied, workers) as chain:
                    chain.measure(WARM)
                    print(f"  mastery as {workers}", flush=True)
                    rounds[workers] = [one_round(chain, ceilings, count) for _ in range(ROUNDS)]
    finally:
        down(home)
    for workers, some in rounds.items():
        tell(workers, some, bars)
    best = max(rounds, key=lambda workers: median(found.chain.per_second for found in rounds[workers]))
    share = median(found.share(JUDGED) for found in rounds[best])
    bars.figure(f"throughput: share of the ceiling, {JUDGED}, {best} of mastery", share, at_least=BAR)
    for way in ceiling.WAYS:
        rates = [found.ceilings[way] for some in rounds.values() for found in some]
        bars.figure(f"no-logic ceiling, {way}", median(rate.per_second for rate in rates), "records/s")
        for name in rates[0].cpu_us:
            bars.figure(f"  CPU per raw record: {name}", median(rate.cpu_us[name] for rate in rates), "us")


def tell(workers: int, rounds: Sequence[Round], bars: Bars) -> None:
    """Print the medians of the chain with so many workers of mastery."""
    chains = [found.chain for found in rounds]
    bars.figure(f"evidence -> mastery, {workers} of mastery", median(chain.per_second for chain in chains), "evidence/s")
    for way in ceiling.WAYS:
        bars.figure(f"  share of the ceiling, {way}", median(found.share(way) for found in rounds))
    bars.figure("  CPU per evidence", median(sum(chain.cpu_us.values()) for chain in chains), "us")
    for name in chains[0].cpu_us:
        bars.figure(f"  CPU per evidence: {name}", median(chain.cpu_us[name] for chain in chains), "us")
    bars.figure("  levels changed per evidence", median(chain.moved for chain in chains))
