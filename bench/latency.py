"""How late a school day follows a piece of evidence: a whole installation, one process per service, an open loop.

Each answer's time of sending is fixed in advance and never waits for an answer; latency counts from that time, not from when the bench
got round to it.
As an LMS does, the bench sends some answers together: an envelope goes when its last answer is due; each counts from its own time.
It ends when Kafka took the first plan of a day that serves the demand which the evidence led to (`bench.causes` says exactly which). What
counts is evidence whose demand a day event names; where a newer demand replaced it before, the figures stand apart, without a bar. The
broker stamps each record with the machine's clock, the bench's own; the installation's runs elsewhere. Topics are read only afterwards,
so that reading them costs the chain nothing; but for pathing's, which says what each learner works on.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import httpcore
import orjson
import psutil
import uvloop

from bench.bars import Bars
from bench.causes import HOPS, Causes, Way
from bench.district import NOW, Pupils, bring_in, settle
from bench.figures import Spread, cpu_between, cpu_of_each, servers_of, shown
from bench.reader import Reader, Steps
from demo.client import Cairn
from services.cli.home import GATEWAY, read_entries, setting
from services.cli.installation import stop, up
from shared.contracts.topics import Topic

P99_MS: Final = 2_000.0
LEAST: Final = 1_000
"""Pieces of evidence whose cause chain ends in a plan, by way of a day event that names their demand."""
MOST_SECONDS: Final = 600.0
WARM_S: Final = 20.0
"""Sent at the same rate before anything counts: a Java process needs a while."""
SERVED_S: Final = 3.0
TAIL_S: Final = 20.0
"""For what was sent last to arrive: as long as usual, and at most."""
LIMIT_S: Final = 60.0
LIMITS: Final = {"timeout": dict.fromkeys(("connect", "pool", "read", "write"), LIMIT_S)}
JSON: Final = [("Content-Type", "application/json")]
CONNECTIONS: Final = 100
IDLE_S: Final = 2.0
"""Before the gateway would close a connection that is not used."""
SEED: Final = 1
MS: Final = 1_000.0


@dataclass(frozen=True)
class Load:
    """What is sent."""

    learners: int
    rate: float
    """Pieces of evidence a second."""
    seconds: float
    together: int
    """How many go in one request."""

    @property
    def warm(self) -> int:
        """How many are sent before those that count."""
        return round(self.rate * WARM_S)

    @property
    def total(self) -> int:
        """How many are sent."""
        return self.warm + round(self.rate * min(self.seconds, MOST_SECONDS))


@dataclass
class Sent:
    """One piece of evidence; times in seconds since 1970."""

    due: float
    late: float = 0.0
    """By how much the bench itself was behind when it sent the envelope."""
    taken: float | None = None
    """When its 2xx came; None: it was not recorded."""
    act_id: str = ""


@dataclass
class Sender:
    """Sends answers on time, whatever becomes of those before."""

    http: httpcore.AsyncConnectionPool
    address: str
    pupils: Pupils
    load: Load
    sent: list[Sent] = field(default_factory=list)

    async def run(self, counting: asyncio.Event) -> None:
        """Send everything, and return when all of it was answered; tell when what counts begins."""
        start, under_way = time.monotonic() + 1.0, set[asyncio.Task[None]]()
        offset = time.time() - time.monotonic()
        for first in range(0, self.load.total, self.load.together):
            numbers = range(first, min(first + self.load.together, self.load.total))
            some = [Sent(start + number / self.load.rate + offset) for number in numbers]
            self.sent += some
            await asyncio.sleep(max(some[-1].due - time.time(), 0.0))
            if numbers[-1] >= self.load.warm:
                counting.set()
            task = asyncio.create_task(self._send(some))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)

    async def _send(self, some: Sequence[Sent]) -> None:
        body = orjson.dumps(self.pupils.next(len(some)))
        late = time.time() - some[-1].due
        for one in some:
            one.late = late
        try:
            answer = await self.http.request("POST", f"{self.address}/evidence/caliper", headers=JSON, content=body, extensions=LIMITS)
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError):
            return
        if answer.status == HTTPStatus.OK:
            taken = time.time()
            for one, result in zip(some, orjson.loads(answer.content)["results"], strict=True):
                one.act_id, one.taken = result["act_id"], taken if result["result"] == "recorded" else None


@dataclass(frozen=True)
class Outcome:
    """What was measured."""

    sent: Sequence[Sent]
    """Those that count."""
    ways: Sequence[Way]
    """Of each of them."""
    cpu_us: dict[str, float]
    """Microseconds per evidence, by process."""
    generator: float
    """Share of one CPU that the bench itself used."""


def measure(home: Path, load: Load, bars: Bars, keep: bool) -> None:
    """Start an installation, send, print what was measured; end the installation unless it is to be kept."""
    count = load.total - load.warm
    print(
        f"Latency: {count:,} pieces of evidence of {load.learners} learners, {load.rate:g} a second, {load.together} together", flush=True
    )
    try:
        up(home, now=NOW.isoformat().replace("+00:00", "Z"))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            outcome = runner.run(_measure(home, load))
        _print(outcome, bars)
    finally:
        if not keep:
            stop(home, wipe=True)


async def _measure(home: Path, load: Load) -> Outcome:
    entries = read_entries(home)
    environment, address = entries[Topic.EVIDENCE].environment, entries[GATEWAY].address
    servers, prefix, partitions = (setting(environment, name) or "" for name in ("kafka_servers", "topic_prefix", "partitions"))
    processes = {name: entry.process for name, entry in entries.items() if entry.process is not None} | servers_of(home)
    reader = Reader(servers, prefix, int(partitions))
    async with (
        Steps(reader) as steps,
        Cairn(address) as cairn,
        httpcore.AsyncConnectionPool(max_connections=CONNECTIONS, keepalive_expiry=IDLE_S) as http,
    ):
        learners = await bring_in(cairn, load.learners, SEED)
        await settle(cairn, steps, load.learners)
        print("  the district is in, its days are planned; sending", flush=True)
        pupils = Pupils(learners, steps, -(-load.total // load.learners), random.Random(SEED))
        sender, counting = Sender(http, address, pupils, load), asyncio.Event()
        sending = asyncio.create_task(sender.run(counting))
        await asyncio.wait([sending, asyncio.create_task(counting.wait())], return_when=asyncio.FIRST_COMPLETED)
        own, started, before = psutil.Process(), time.monotonic(), cpu_of_each(processes)
        own_before = own.cpu_times()
        await sending
        own_after, seconds, after = own.cpu_times(), time.monotonic() - started, cpu_of_each(processes)
    counted = sender.sent[load.warm :]
    used = own_after.user + own_after.system - own_before.user - own_before.system
    ways = await _ways(reader, counted)
    return Outcome(counted, ways, cpu_between(before, after, len(counted)), used / seconds)


async def _ways(reader: Reader, sent: Sequence[Sent]) -> list[Way]:
    """Return the way of each, when every demand that followed is served, or TAIL_S after the last was sent."""
    await asyncio.sleep(SERVED_S)
    causes, end = Causes(), time.monotonic() + TAIL_S
    async with aclosing(reader.records()) as records:
        async for batch in records:
            for at, event in batch:
                causes.see(at, event)
            if batch:
                continue
            ways = [causes.way(one.act_id) for one in sent]
            if time.monotonic() > end or all(way.planned is not None for way in ways if way.led_to_demand):
                return ways
    raise AssertionError("the records never end")


def _print(found: Outcome, bars: Bars) -> None:
    pairs = list(zip(found.sent, found.ways, strict=True))
    planned = [(one, way, (way.planned - one.due) * MS) for one, way in pairs if way.planned is not None]
    latency = Spread.of([ms for _, way, ms in planned if way.named])
    replaced = Spread.of([ms for _, way, ms in planned if not way.named])
    bars.figure("evidence sent", len(pairs))
    bars.figure("not recorded at once", sum(one.taken is None for one, _ in pairs), at_most=0)
    bars.figure("led to a new level", sum("level" in way.at for _, way in pairs))
    bars.figure("led to a new demand", sum(way.led_to_demand for _, way in pairs))
    bars.figure("demands that no plan serves", sum(way.led_to_demand and way.planned is None for _, way in pairs), at_most=0)
    bars.figure("counted: a day names the demand, and a plan serves it", latency.count, at_least=LEAST)
    bars.figure("share counted", latency.count / len(pairs))
    bars.figure("scheduled send to plan, p50", latency.p50, "ms")
    bars.figure("scheduled send to plan, p99", latency.p99, "ms", at_most=P99_MS)
    bars.figure("scheduled send to plan, max", latency.most, "ms")
    bars.figure("not counted: a newer demand came before any day took it", replaced.count)
    bars.figure("scheduled send to the newer one's plan, p50", replaced.p50, "ms")
    bars.figure("scheduled send to the newer one's plan, p99", replaced.p99, "ms")
    late = Spread.of([one.late * MS for one, _ in pairs])
    bars.figure("the bench's own lateness at sending, p99", late.p99, "ms")
    bars.figure("the bench's own lateness at sending, max", late.most, "ms")
    bars.figure("the bench's own CPU, of one core", found.generator)
    print(f"CPU per evidence: {shown(found.cpu_us)}")
    print_hops([(one.due, one.taken, way) for one, way, _ in planned if way.named])


def print_hops(rows: Sequence[tuple[float, float | None, Way]]) -> None:
    """Print how long each hop took, in milliseconds, for evidence that counts."""
    print(f"{'hop, ms':<58} {'p50':>12} {'p99':>12} {'max':>12}")
    hops: dict[str, list[float]] = {"scheduled send -> 2xx over HTTP": [taken - due for due, taken, _ in rows if taken is not None]}
    names = ("scheduled send", *HOPS)
    for before, after in zip(names, HOPS, strict=False):
        hops[f"{before} -> {after}"] = [_of(way, after) - (due if before == names[0] else _of(way, before)) for due, _, way in rows]
    for name, spans in hops.items():
        spread = Spread.of([span * MS for span in spans])
        print(f"{name:<58} {spread.p50:>12,.1f} {spread.p99:>12,.1f} {spread.most:>12,.1f}", flush=True)


def _of(way: Way, hop: str) -> Any:
    return way.at.get(hop, float("nan"))
