"""How late a school day follows a piece of evidence: a whole installation, one process per service, an open loop.

Each answer's time of sending is fixed in advance and never waits for an answer; latency counts from that time, not from when the bench got
round to it. It ends where the bench, as a subscriber, sees the first plan of a day that serves the demand which the evidence led to
(`bench.causes` says exactly which). The installation's clock runs elsewhere, so the bench's own clock times everything.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
import uvloop

from bench.bars import Bars
from bench.causes import HOPS, Way
from bench.district import NOW, Pupils, bring_in, settle, until
from bench.figures import Spread, cpu_between, cpu_of_each, servers_of, shown
from bench.watcher import Watcher
from demo.client import Cairn
from services.cli.home import GATEWAY, read_entries, setting
from services.cli.installation import stop, up
from shared.contracts.topics import Topic

P99_MS: Final = 2_000.0
LEAST: Final = 1_000
"""Pieces of evidence whose cause chain ends in a plan."""
MOST_SECONDS: Final = 600.0
WARM_S: Final = 20.0
"""Sent at the same rate before anything counts: a Java process needs a while."""
TAIL_S: Final = 15.0
"""For what was sent last to arrive."""
LIMIT_S: Final = 60.0
CONNECTIONS: Final = 100
SEED: Final = 1
MS: Final = 1_000.0


@dataclass(frozen=True)
class Load:
    """What is sent."""

    learners: int
    rate: float
    """Pieces of evidence a second."""
    seconds: float

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
    """One piece of evidence: seconds on the bench's clock."""

    due: float
    late: float = 0.0
    """By how much the bench itself was behind."""
    taken: float | None = None
    """When its 2xx came; None: it was not recorded."""
    act_id: str = ""


@dataclass
class Sender:
    """Sends answers on time, whatever becomes of those before."""

    http: httpx.AsyncClient
    pupils: Pupils
    load: Load
    sent: list[Sent] = field(default_factory=list)

    async def run(self, counting: asyncio.Event) -> None:
        """Send everything, and return when all of it was answered; tell when what counts begins."""
        start, under_way = time.monotonic() + 1.0, set[asyncio.Task[None]]()
        for number in range(self.load.total):
            one = Sent(start + number / self.load.rate)
            self.sent.append(one)
            await asyncio.sleep(max(one.due - time.monotonic(), 0.0))
            if number == self.load.warm:
                counting.set()
            task = asyncio.create_task(self._send(one))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)

    async def _send(self, one: Sent) -> None:
        body = self.pupils.next()
        one.late = time.monotonic() - one.due
        try:
            answer = await self.http.post("/evidence/caliper", json=body)
        except httpx.TransportError:
            return
        if answer.status_code == httpx.codes.OK:
            (result,) = answer.json()["results"]
            one.act_id = result["act_id"]
            if result["result"] == "recorded":
                one.taken = time.monotonic()


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
    lags: Sequence[float]


def measure(home: Path, load: Load, bars: Bars, keep: bool) -> None:
    """Start an installation, send, print what was measured; end the installation unless it is to be kept."""
    print(f"Latency: {load.total - load.warm:,} pieces of evidence of {load.learners} learners at {load.rate:g} a second", flush=True)
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
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    async with (
        Watcher(servers, prefix, int(partitions)) as watcher,
        Cairn(address) as cairn,
        httpx.AsyncClient(base_url=address, timeout=LIMIT_S, limits=limits) as http,
    ):
        learners = await bring_in(cairn, load.learners, SEED)
        await settle(cairn, watcher, load.learners)
        print("  the district is in, its days are planned; sending", flush=True)
        pupils = Pupils(learners, watcher, -(-load.total // load.learners), random.Random(SEED))
        sender, counting = Sender(http, pupils, load), asyncio.Event()
        sending = asyncio.create_task(sender.run(counting))
        await asyncio.wait([sending, asyncio.create_task(counting.wait())], return_when=asyncio.FIRST_COMPLETED)
        watcher.lags.clear()
        own, started, before = psutil.Process(), time.monotonic(), cpu_of_each(processes)
        own_before = own.cpu_times()
        await sending
        own_after, seconds, after = own.cpu_times(), time.monotonic() - started, cpu_of_each(processes)
        counted = sender.sent[load.warm :]
        await _arrived(watcher, counted)
    used = own_after.user + own_after.system - own_before.user - own_before.system
    ways = [watcher.causes.way(one.act_id) for one in counted]
    return Outcome(counted, ways, cpu_between(before, after, len(counted)), used / seconds, watcher.lags)


async def _arrived(watcher: Watcher, sent: Sequence[Sent]) -> None:
    """Return when every demand that followed is served, or too long after."""

    def served() -> bool:
        ways = [watcher.causes.way(one.act_id) for one in sent[-LEAST:]]
        return all(way.planned is not None for way in ways if way.led_to_demand)

    await asyncio.sleep(2.0)
    try:
        await until(served, watcher, "every demand is served", TAIL_S)
    except TimeoutError:
        return  # What is not served is counted and told.


def _print(found: Outcome, bars: Bars) -> None:
    pairs = list(zip(found.sent, found.ways, strict=True))
    ended = [(one, way, way.planned) for one, way in pairs if way.planned is not None]
    latency = Spread.of([(planned - one.due) * MS for one, _, planned in ended])
    bars.figure("evidence sent", len(pairs))
    bars.figure("not recorded at once", sum(one.taken is None for one, _ in pairs), at_most=0)
    bars.figure("led to a new level", sum("level" in way.at for _, way in pairs))
    bars.figure("led to a new demand", sum(way.led_to_demand for _, way in pairs))
    bars.figure("demands that no plan serves", sum(way.led_to_demand and way.planned is None for _, way in pairs), at_most=0)
    bars.figure("counted: the cause chain ends in a plan", latency.count, at_least=LEAST)
    bars.figure("share counted", latency.count / len(pairs))
    bars.figure("of them replaced by a newer demand before a day took it", sum(not way.named for _, way, _ in ended))
    bars.figure("scheduled send to plan, p50", latency.p50, "ms")
    bars.figure("scheduled send to plan, p99", latency.p99, "ms", at_most=P99_MS)
    bars.figure("scheduled send to plan, max", latency.most, "ms")
    late = Spread.of([one.late * MS for one, _ in pairs])
    bars.figure("the bench's own lateness at sending, p99", late.p99, "ms")
    bars.figure("the bench's own lateness at sending, max", late.most, "ms")
    bars.figure("the bench's own CPU, of one core", found.generator)
    bars.figure("from Kafka's time of a record to the bench, p99", Spread.of([lag * MS for lag in found.lags]).p99, "ms")
    print(f"CPU per evidence: {shown(found.cpu_us)}")
    print_hops([(one.due, one.taken, way) for one, way, _ in ended])


def print_hops(rows: Sequence[tuple[float, float | None, Way]]) -> None:
    """Print how long each hop took, in milliseconds, for evidence whose cause chain ends in a plan."""
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
