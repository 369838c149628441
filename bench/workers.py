"""One, two and four workers of mastery at saturation: what each evidence costs them all, and whether they wait for each other.

Evidence lies in its ledger before a round begins; when all workers have their partitions it is relayed at once, so that each has more than
it can do until the end. On a machine of few cores more workers cannot be faster; what is measured is that they are not dearer: the CPU
time of all of them and of PostgreSQL for each evidence, and how often a session was seen waiting for a lock. One worker is measured twice,
before and after the others, since ledgers grow.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import mean
from typing import Any, Final

import psycopg
import uvloop

from bench.bars import Bars
from bench.evidence import FIRST_QUIZ, NOBODY, acts, known
from bench.figures import cpu_between, cpu_of_each, servers_of, shown
from bench.serving import mastery, settled
from bench.throughput import APPLIED, BATCH, LENGTH, ROUND_S, Child, Place, Rate, a_place, child, number
from services.evidence.app import PARTS as EVIDENCE
from shared.clock import SystemClock
from shared.ledger.types import Ask
from shared.relay.control import Control
from shared.relay.relay import Relay
from shared.serve import SearchPool, build
from shared.stack import down, find_stack

COUNT: Final = 30_000
QUICK: Final = 8_000
ROUNDS: Final = (1, 2, 4, 1)
WARM: Final = 4 * FIRST_QUIZ
POLL_S: Final = 0.05
CPU_BAR: Final = 1.15
"""Of one worker's CPU time for each evidence."""
WAITS_BAR: Final = 0.02
"""Share of looks at busy sessions at which one was waiting for a row that another had locked."""
WAITS: Final = """  -- Who waits for a row that another session has locked, waits for its transaction, or for its turn behind others.
    SELECT count(*) FILTER (WHERE wait_event IN ('transactionid', 'tuple')), count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid()"""
DEADLOCKS: Final = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
PUBLISHED: Final = "SELECT sum(position) FROM published"


def hold_evidence(place: Place, told: Connection) -> None:
    """Child process: for each number it is told, append so many acts without relaying them, say "ready"; at "go" relay them all."""

    async def main() -> None:
        settings = place.settings(EVIDENCE)
        service = build(EVIDENCE, settings, SystemClock(), SearchPool())
        async with service.pool:
            await service.ledger.open()
            await service.ledger.handle([Ask(command, NOBODY, n) for n, command in enumerate(known())])
            first = 0
            while count := await asyncio.to_thread(told.recv):
                for start in range(first, first + count, BATCH):
                    commands = acts(start, min(BATCH, first + count - start))
                    await service.ledger.handle([Ask(command, NOBODY, n) for n, command in enumerate(commands)])
                first += count
                told.send("ready")
                await asyncio.to_thread(told.recv)
                await _relay_all(place, service)

    uvloop.run(main())


async def _relay_all(place: Place, service: Any) -> None:
    control = Control(place.kafka, place.prefix)
    relay = Relay(
        dsn=service.settings.database(), service="evidence", source=service.ledger.source, partitions=service.settings.partitions,
        kafka_servers=place.kafka, prefix=place.prefix, control=control,
    )  # fmt: skip
    await relay.start()
    await control.start()
    running = asyncio.create_task(relay.run())
    all_told = False
    while not all_told:
        await asyncio.sleep(POLL_S)
        async with service.pool.connection() as connection:
            row = await (await connection.execute(f"SELECT ({LENGTH}) = ({PUBLISHED})")).fetchone()
        all_told = bool(row and row[0])
    await relay.stop()
    await running
    await control.stop()


@dataclass(frozen=True)
class Round:
    """What so many workers did."""

    workers: int
    rate: Rate
    waited: float
    """Share of looks at busy sessions at which one was waiting for a row that another had locked."""

    @property
    def cpu_us(self) -> float:
        """Of all workers and PostgreSQL, for each evidence."""
        return self.rate.cpu_us["mastery"] + self.rate.cpu_us["PostgreSQL"]


def one_round(place: Place, home: Path, holder: Child, workers: int, count: int) -> Round:
    """Measure so many workers from the first record on."""
    holder.pipe.send(count)
    holder.hear(ROUND_S)
    with (
        mastery(place.environment(home), workers) as process,
        psycopg.connect(place.urls["mastery"], autocommit=True) as inbox,
        psycopg.connect(place.urls["evidence"], autocommit=True) as ledger,
    ):
        asyncio.run(settled(place.kafka, f"{place.prefix}.mastery", workers))
        total, waiting, looked = number(ledger, LENGTH), 0, 0
        processes = {"mastery": process} | servers_of(home)
        before, began = cpu_of_each(processes), time.perf_counter()
        holder.pipe.send("go")
        while number(inbox, APPLIED) < total:
            if time.perf_counter() - began > ROUND_S:
                raise TimeoutError(f"{workers} workers did not apply {total} events within {ROUND_S:.0f} s")
            row = inbox.execute(WAITS).fetchone()
            waiting, looked = waiting + bool(row and row[0]), looked + bool(row and row[1])
            time.sleep(POLL_S)
        seconds = time.perf_counter() - began
        found = Round(workers, Rate(count / seconds, cpu_between(before, cpu_of_each(processes), count)), waiting / max(looked, 1))
    print(f"  {workers} workers: {found.rate.per_second:,.0f}/s, CPU {shown(found.rate.cpu_us)}, waiting {found.waited:.3f}", flush=True)
    return found


def measure(home: Path, quick: bool, bars: Bars) -> None:
    """Measure each number of workers, and print them beside one."""
    count = QUICK if quick else COUNT
    print(f"Workers: {', '.join(map(str, ROUNDS))} of mastery, {count:,} pieces of evidence each", flush=True)
    stack = find_stack(home, lambda step: print(f"  {step}", flush=True))
    try:
        place = a_place(stack)
        with child(hold_evidence, place) as holder:
            print("  everything warms up", flush=True)
            one_round(place, home, holder, ROUNDS[0], WARM)
            rounds = [one_round(place, home, holder, workers, count) for workers in ROUNDS]
        with psycopg.connect(place.urls["mastery"], autocommit=True) as inbox:
            deadlocks = number(inbox, DEADLOCKS)
    finally:
        down(home)
    alone = mean(found.cpu_us for found in rounds if found.workers == 1)
    bars.figure("workers: CPU per evidence, one worker and PostgreSQL", alone, "us")
    for found in rounds:
        if found.workers > 1:
            bars.figure(f"workers: CPU per evidence, {found.workers} to one", found.cpu_us / alone, "times", at_most=CPU_BAR)
            bars.figure(f"workers: share of looks at which one of {found.workers} waited", found.waited, at_most=WAITS_BAR)
    bars.figure("workers: deadlocks", deadlocks, at_most=0)
