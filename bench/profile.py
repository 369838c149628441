"""`python -m bench.profile`: where the chain's CPU time goes, without Kafka: in one process, by function and by statement.

The chain is walked as the services walk it: acts into evidence's ledger in transactions of 500 commands, then the bytes of its events
through the reader and the decoder into mastery's ledger, in polls of `consume_max_records`. Without `--functions` nothing is traced, and
the figures are comparable from one change to the next.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

import psutil
import psycopg
import structlog
import uvloop
from psycopg.rows import namedtuple_row

from bench.evidence import FIRST_QUIZ, NOBODY, acts, known
from bench.figures import cpu_of
from bench.form import form
from services.evidence.app import PARTS as EVIDENCE
from services.mastery.app import PARTS as MASTERY
from shared.clock import Clock, SystemClock
from shared.consume.inward import Inward
from shared.consume.reader import Lane
from shared.consume.write import Writer
from shared.ledger import read
from shared.ledger.types import Ask
from shared.migrate import migrate
from shared.parts import Parts
from shared.serve import SearchPool, Service, build
from shared.settings import load_settings
from shared.stack import create_database, postgres, processes
from shared.stack.state import claim
from shared.ticker.pool import rare_gc

BATCH: Final = 500
"""Commands that share a transaction of evidence."""
WARM: Final = 2 * FIRST_QUIZ
POLL_S: Final = 0.1
START_S: Final = 60.0
STATEMENTS: Final = """
    SELECT d.datname, s.calls, s.total_exec_time + s.total_plan_time AS ms, s.wal_bytes,
        regexp_replace(s.query, E'\\\\s+', ' ', 'g') AS query
    FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid WHERE d.datname LIKE 'cairn_%%' ORDER BY ms DESC LIMIT %s"""
PRELOAD: Final = {"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track_planning": "on"}


@dataclass
class Part:
    """One side of the chain, and what each round has cost: seconds of Python, of PostgreSQL, and of waiting for both."""

    name: str
    rounds: list[tuple[float, float, float]] = field(default_factory=list)

    def shown(self, count: int) -> str:
        """Return its costs as a line: the median of the rounds, and the least, which other work on the machine has disturbed least."""
        costs = [
            f"{name} {median(spent) / count * 1e6:6.1f} us (least {min(spent) / count * 1e6:6.1f})"
            for name, spent in zip(("Python", "PostgreSQL", "wall"), zip(*self.rounds, strict=True), strict=True)
        ]
        return f"{self.name:<9} {'  '.join(costs)} per piece of evidence"


@dataclass
class Bench:
    """Both services on one PostgreSQL."""

    evidence: Service
    mastery: Service
    server: psutil.Process
    profiler: cProfile.Profile | None

    async def metered(self, part: Part, work: Callable[[], Awaitable[None]]) -> None:
        """Run some work and note what it cost."""
        cpu, server, wall = time.process_time(), cpu_of(self.server), time.perf_counter()
        if self.profiler is not None:
            self.profiler.enable()
        await work()
        if self.profiler is not None:
            self.profiler.disable()
        part.rounds.append((time.process_time() - cpu, cpu_of(self.server) - server, time.perf_counter() - wall))

    async def tell(self, first: int, count: int, part: Part) -> None:
        """Append acts to evidence's ledger."""
        commands = acts(first, count)

        async def work() -> None:
            for start in range(0, count, BATCH):
                await self.evidence.ledger.handle([Ask(command, NOBODY, n) for n, command in enumerate(commands[start : start + BATCH])])

        await self.metered(part, work)

    async def hear(self, part: Part) -> None:
        """Apply what evidence has recorded since the last time.

        Raises:
            ExceptionGroup: of Impatient alone where other work on the machine takes so much that a transaction took too long; call again.
        """
        ledger, settings = self.mastery.ledger, self.mastery.settings
        assert MASTERY.subscription is not None
        inward, writer = Inward(MASTERY.subscription), Writer(ledger, asyncio.Event(), 1.0)
        lanes = {place: Lane("evidence", self.evidence.ledger.source, inbox) for place, inbox in (await ledger.inbox(["evidence"])).items()}
        records = [
            [(lane, position, raw) async for position, raw in read.partition(self.evidence.pool, lane.partition, lane.next)]
            for lane in lanes.values()
        ]
        share = settings.consume_max_records // len(lanes)
        polls = [
            [record for some in records for record in some[start : start + share]] for start in range(0, max(map(len, records)), share)
        ]

        async def work() -> None:
            for poll in polls:
                incoming = []
                for number, (lane, offset, raw) in enumerate(poll):
                    verdict = lane.read(offset, raw)
                    assert verdict is not None
                    incoming.append(inward.incoming(lane, offset, raw, verdict, number))
                async with asyncio.TaskGroup() as hands:
                    for odd in (0, 1):
                        hands.create_task(writer.write([each for each in incoming if each.partition % 2 == odd], lanes))

        await self.metered(part, work)


@asynccontextmanager
async def service(parts: Parts, url: str, clock: Clock | None = None) -> AsyncIterator[Service]:
    """Yield a service without Kafka, by the machine's clock unless it is given another one."""
    settings = load_settings(parts.settings, database_url=url, parking_key="11" * 32, district_key="22" * 32, log_level="WARNING")
    made = build(parts, settings, clock or SystemClock(), SearchPool())
    async with made.pool:
        await made.start()
        yield made
        await made.asker.stop()


def await_answer(address: str) -> None:
    """Return when a server that was just started answers."""
    end = time.monotonic() + START_S
    while not postgres.answers(address):
        if time.monotonic() > end:
            raise TimeoutError(f"PostgreSQL does not answer after {START_S:.0f} s")
        time.sleep(POLL_S)


@asynccontextmanager
async def bench(home: Path, traced: bool) -> AsyncIterator[tuple[Bench, str]]:
    """Yield both services on a fresh PostgreSQL, and its address."""
    claim(home)
    postgres.SETTINGS.update(PRELOAD)
    part = postgres.start_postgres(home, lambda step: None)
    assert part.pid is not None
    try:
        await asyncio.to_thread(await_answer, part.address)
        with psycopg.connect(part.address, autocommit=True) as admin:
            admin.execute("CREATE EXTENSION pg_stat_statements")
        urls = {}
        for name in ("evidence", "mastery"):
            made = create_database(part.address, name, home)
            migrate(name, made.owner_url)
            urls[name] = made.app_url
        async with service(EVIDENCE, urls["evidence"]) as evidence, service(MASTERY, urls["mastery"]) as mastery:
            yield Bench(evidence, mastery, psutil.Process(part.pid), cProfile.Profile() if traced else None), part.address
    finally:
        found = processes.recognise(part.pid, part.started)
        if found is not None:
            processes.ask_to_stop([found], 2)
            processes.await_end([found])


async def measure(home: Path, options: argparse.Namespace) -> None:
    """Warm up, measure, print."""
    rare_gc()
    async with bench(home, options.functions > 0) as (both, address):
        await both.evidence.ledger.handle([Ask(command, NOBODY, n) for n, command in enumerate(known())])
        await both.tell(0, WARM, Part("warm"))
        await both.hear(Part("warm"))
        if both.profiler is not None:
            both.profiler.clear()
        with psycopg.connect(address, autocommit=True, row_factory=namedtuple_row) as admin:
            admin.execute("SELECT pg_stat_statements_reset()")
            parts = [Part("evidence"), Part("mastery")]
            for first in range(WARM, WARM + options.count, options.round):
                await both.tell(first, options.round, parts[0])
                await both.hear(parts[1])
            print(form())
            for part in parts:
                print(part.shown(options.round))
            if options.statements:
                print(f"\n{'us each':>8} {'WAL each':>9} {'calls':>6}  statement")
                for row in admin.execute(STATEMENTS, [options.statements]).fetchall():
                    each = row.ms / options.count * 1e3, row.wal_bytes / options.count
                    print(f"{each[0]:>8.1f} {each[1]:>9.0f} {row.calls:>6}  {row.datname.removeprefix('cairn_')}: {row.query[:110]}")
    if both.profiler is not None:
        stats = pstats.Stats(both.profiler)
        for order in ("cumulative", "tottime"):
            stats.sort_stats(order).print_stats(options.functions)


def main() -> None:
    """Measure on a PostgreSQL of its own, and remove it."""
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="pieces of evidence")
    parser.add_argument("--round", type=int, default=2_500, help="pieces of evidence that evidence is told before mastery hears them")
    parser.add_argument("--functions", type=int, default=0, help="print so many functions, by their time with and without what they call")
    parser.add_argument("--statements", type=int, default=0, help="print so many SQL statements, by their time")
    options = parser.parse_args()
    structlog.configure(processors=[structlog.processors.KeyValueRenderer()])
    folder = Path(tempfile.mkdtemp(prefix="cairn-profile-"))
    folder.chmod(0o755)  # PostgreSQL runs as somebody else where we are root.
    try:
        uvloop.run(measure(folder / "home", options))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
