"""Mastery's subscriber beside Quix Streams, exactly once, on the same topic: what each evidence costs them.

The topic is filled first; each side then begins with nothing and hears it from its start. Quix keeps a count and a sum for each learner
and competency in RocksDB with a changelog, and tells each new count, all of it in Kafka transactions. Mastery weighs every piece with its
filter and rule, records chained events with their states and read tables in PostgreSQL, and relays them. Both begin to be measured at the
first record that they have taken, and end when the last one is committed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psutil
import psycopg

from bench.bars import Bars
from bench.evidence import FIRST_QUIZ
from bench.figures import cpu_between, cpu_of_each, servers_of, shown
from bench.rival import rival
from bench.serving import mastery
from bench.throughput import APPLIED, LENGTH, ROUND_S, Place, Rate, a_place, child, number, progress, write_evidence
from shared.stack import down, find_stack

COUNT: Final = 40_000
QUICK: Final = 8_000
POLL_S: Final = 0.02
BAR: Final = 0.25
"""Of what Quix does in the same time, by the clock and by the processor: it counts, where mastery weighs, decides and keeps a record."""


def fill(place: Place, count: int) -> int:
    """Put evidence on the topic, and return how many records are there."""
    nobody = progress(2**62)  # Waited for.
    with child(write_evidence, place, nobody) as writer, psycopg.connect(place.urls["evidence"], autocommit=True) as ledger:
        for asked in (FIRST_QUIZ, count):
            writer.pipe.send(asked)
            writer.hear()
            writer.pipe.send("go")
            writer.hear(ROUND_S)
        total = number(ledger, LENGTH)
        _await(ledger, "SELECT sum(position) FROM published", total)
    return total


def _await(connection: psycopg.Connection, query: str, least: int) -> int:
    until = time.monotonic() + ROUND_S
    while (found := number(connection, query)) < least:
        if time.monotonic() > until:
            raise TimeoutError(f"{found} of {least}: {query}")
        time.sleep(POLL_S)
    return found


def of_mastery(place: Place, home: Path, total: int, share: float, servers: Mapping[str, psutil.Process]) -> Rate:
    """Return what mastery sustains; `share` is the evidence in each record."""
    with mastery(place.environment(home), 1) as process, psycopg.connect(place.urls["mastery"], autocommit=True) as inbox:
        processes = {"mastery": process} | servers
        first = _await(inbox, APPLIED, 1)
        before, began = cpu_of_each(processes), time.perf_counter()
        _await(inbox, APPLIED, total)
        seconds, pieces = time.perf_counter() - began, round((total - first) * share)
        return Rate(pieces / seconds, cpu_between(before, cpu_of_each(processes), pieces))


def of_quix(place: Place, folder: Path, total: int, share: float, servers: Mapping[str, psutil.Process]) -> Rate:
    """Return what Quix Streams sustains; `share` is the evidence in each record."""
    topics = {"topic": f"{place.prefix}.evidence", "onward": f"{place.prefix}.counts", "group": f"{place.prefix}.quix"}
    with rival("quix", kafka=place.kafka, count=total, folder=str(folder), **topics) as other:
        processes = {"Quix": other.process} | {name: process for name, process in servers.items() if name != "PostgreSQL"}
        began = json.loads(other.hear())
        before = cpu_of_each(processes)
        ended = json.loads(other.hear())
        pieces = round(ended["taken"] * share)
        cpu = cpu_between(before, cpu_of_each(processes), pieces)
        return Rate(pieces / ended["seconds"], cpu | {"Quix": (ended["cpu"] - began["first"]) / pieces * 1e6})


def measure(home: Path, quick: bool, bars: Bars) -> None:
    """Fill a topic, measure both, print both and their ratio."""
    count = QUICK if quick else COUNT
    print(f"Subscriber: {count + FIRST_QUIZ:,} pieces of evidence on a topic, for mastery and for Quix Streams (exactly once)", flush=True)
    stack = find_stack(home, lambda step: print(f"  {step}", flush=True))
    try:
        place, servers = a_place(stack), servers_of(home)
        total = fill(place, count)
        share = (count + FIRST_QUIZ) / total
        ours = of_mastery(place, home, total, share, servers)
        print(f"  mastery {ours.per_second:,.0f}/s, CPU {shown(ours.cpu_us)}", flush=True)
        theirs = of_quix(place, home / "quix", total, share, servers)
        print(f"  Quix Streams {theirs.per_second:,.0f}/s, CPU {shown(theirs.cpu_us)}", flush=True)
    finally:
        down(home)
    bars.figure("subscriber: mastery", ours.per_second, "evidence/s")
    bars.figure("subscriber: Quix Streams", theirs.per_second, "evidence/s")
    bars.figure("subscriber: mastery's rate, to Quix", ours.per_second / theirs.per_second, "times", at_least=BAR)
    cheaper = sum(theirs.cpu_us.values()) / sum(ours.cpu_us.values())
    bars.figure("subscriber: Quix's CPU per evidence, to mastery's", cheaper, "times", at_least=BAR)
