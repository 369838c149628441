"""Ingest with durable acknowledgement, beside a plain insert of one row per transaction and beside `eventsourcing`, on one PostgreSQL.

As many clients as a busy service has each hand in a piece of evidence, wait for its acknowledgement, and hand in the next. Evidence's side
is group commit on its ledger, without HTTP: two events for each piece, positions, chain, states and read tables. The plain side inserts
one row and commits. The other library appends one event of the same bytes and commits, from as many threads as it has connections. All
have the same number of connections, and `synchronous_commit` is on.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
import psutil
from psycopg_pool import AsyncConnectionPool

from bench.bars import Bars
from bench.ceiling import records
from bench.evidence import FIRST_QUIZ, NOBODY, acts, known
from bench.figures import cpu_between, cpu_of_each, servers_of, shown
from bench.rival import Rival, rival
from bench.throughput import Place, Rate, a_place, child
from services.evidence.app import PARTS as EVIDENCE
from shared.clock import SystemClock
from shared.ledger.types import Ask
from shared.serve import POOL_MAX, SearchPool, build
from shared.stack import down, find_stack

CLIENTS: Final = 64
ROUNDS: Final = 3
COUNT: Final = 6_000
QUICK: Final = 2_000
QUIZ: Final = 10
BARS: Final = {"plain insert": (0.3, 0.5), "eventsourcing": (1.5, 3.0)}
"""Least share of the other's rate, one by one and in quizzes: two chained events with states and read tables for each plain row."""


async def _by_clients(pieces: Sequence[Any], hand_in: Callable[[Any], Any]) -> float:
    """Return how long CLIENTS clients take to hand everything in, each one piece after another."""
    left = iter(pieces)

    async def client() -> None:
        for piece in left:
            await hand_in(piece)

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return time.perf_counter() - began


def take_evidence(place: Place, told: Connection) -> None:
    """Child process: evidence's group commit. For each (count, together) it is told, say "ready", at "go" take them, say how long."""

    async def main() -> None:
        service = build(EVIDENCE, place.settings(EVIDENCE), SystemClock(), SearchPool())
        async with service.pool:
            await service.start()
            await service.ledger.handle([Ask(command, NOBODY, n) for n, command in enumerate(known())])
            first = 0
            while asked := await asyncio.to_thread(told.recv):
                count, together = asked
                commands = acts(first, count)
                first += count
                told.send("ready")
                await asyncio.to_thread(told.recv)
                requests = [commands[start : start + together] for start in range(0, count, together)]
                told.send(await _by_clients(requests, service.asker.ask))

    asyncio.run(main())


def insert_plainly(place: Place, told: Connection) -> None:
    """Child process: one row, one transaction, on as many connections. Asked like `take_evidence`."""

    async def main() -> None:
        pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
            place.raw_url, min_size=POOL_MAX, max_size=POOL_MAX, open=False, kwargs={"autocommit": True}
        )
        async with pool:
            async with pool.connection() as connection:
                await connection.execute("CREATE TABLE plain (id bigserial PRIMARY KEY, bytes bytea NOT NULL)")

            async def insert(value: bytes) -> None:
                async with pool.connection() as connection:
                    await connection.execute("INSERT INTO plain (bytes) VALUES (%s)", [value])

            while asked := await asyncio.to_thread(told.recv):
                values = [value for _, value in records(0, asked[0])]
                told.send("ready")
                await asyncio.to_thread(told.recv)
                told.send(await _by_clients(values, insert))

    asyncio.run(main())


Side = Callable[[int], Rate]


def _of_child(each: Any, processes: dict[str, psutil.Process], together: int) -> Side:
    def measure(count: int) -> Rate:
        each.pipe.send((count, together))
        each.hear()
        before = cpu_of_each(processes)
        each.pipe.send("go")
        seconds = each.hear()
        return Rate(count / seconds, cpu_between(before, cpu_of_each(processes), count))

    return measure


def _of_rival(other: Rival, processes: dict[str, psutil.Process]) -> Side:
    stream_versions: dict[str, int] = {}

    def measure(count: int) -> Rate:
        events = []
        for _, value in records(0, count):
            event = orjson.loads(value)
            stream = event["stream"].rsplit("/", 1)[1]
            stream_versions[stream] = stream_versions.get(stream, 0) + 1
            events.append((stream, stream_versions[stream], event["type"], value.decode()))
        other.say(json.dumps(events))
        other.hear()
        before = cpu_of_each(processes)
        other.say("go")
        seconds = float(other.hear())
        return Rate(count / seconds, cpu_between(before, cpu_of_each(processes), count))

    return measure


@contextmanager
def sides(home: Path) -> Iterator[dict[str, Side]]:
    """Run all sides on servers of their own."""
    stack = find_stack(home, lambda step: print(f"  {step}", flush=True))
    try:
        place, postgres = a_place(stack), servers_of(home)["PostgreSQL"]
        url = urlsplit(place.raw_url)
        at = {
            "POSTGRES_DBNAME": url.path[1:], "POSTGRES_HOST": url.hostname, "POSTGRES_PORT": str(url.port), "POSTGRES_USER": url.username,
            "POSTGRES_PASSWORD": url.password, "POSTGRES_POOL_SIZE": str(POOL_MAX), "POSTGRES_MAX_OVERFLOW": "0",
        }  # fmt: skip
        with ExitStack() as open_:
            ours = open_.enter_context(child(take_evidence, place))
            plain = open_.enter_context(child(insert_plainly, place))
            other = open_.enter_context(rival("eventsourced", threads=POOL_MAX, **at))
            other.hear()
            yield {
                "evidence, one by one": _of_child(ours, {"evidence": ours.process, "PostgreSQL": postgres}, 1),
                f"evidence, quizzes of {QUIZ}": _of_child(ours, {"evidence": ours.process, "PostgreSQL": postgres}, QUIZ),
                "plain insert": _of_child(plain, {"client": plain.process, "PostgreSQL": postgres}, 1),
                "eventsourcing": _of_rival(other, {"client": other.process, "PostgreSQL": postgres}),
            }
    finally:
        down(home)


def measure(home: Path, quick: bool, bars: Bars) -> None:
    """Measure all sides in turn, and print each round and the medians."""
    count = QUICK if quick else COUNT
    print(f"Ingest: {ROUNDS} rounds in turn of {count:,} acknowledged pieces by {CLIENTS} clients over {POOL_MAX} connections", flush=True)
    rounds: list[dict[str, Rate]] = []
    with sides(home) as each:
        for side in each.values():
            side(FIRST_QUIZ)
        for turn in range(1, ROUNDS + 1):
            found = {name: side(count) for name, side in each.items()}
            rounds.append(found)
            for name, rate in found.items():
                print(f"  round {turn}: {name:<24} {rate.per_second:>8,.0f}/s, CPU {shown(rate.cpu_us)}", flush=True)
    for name in rounds[0]:
        bars.figure(f"ingest: {name}, median", median(found[name].per_second for found in rounds), "acks/s")
    for other, bars_of in BARS.items():
        for name, bar in zip(rounds[0], bars_of, strict=False):
            share = median(found[name].per_second / found[other].per_second for found in rounds)
            bars.figure(f"ingest: {name}, to {other}", share, "times", at_least=bar)
