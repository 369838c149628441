"""`make bench`: every figure beside its bar; the last line says whether all were met. Exit code 1 where one was missed.

Everything is measured against something else in the same run, on the same machine, or told in CPU time: figures of different machines
compare only as ratios.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import growth, http, ingest, latency, memory, replay, scale, subscriber, throughput, workers
from bench.bars import Bars
from bench.form import form
from bench.room import room
from services.cli.installation import stop

CHAIN_COUNT, CHAIN_QUICK = 40_000, 8_000
LOAD: Final = latency.Load(learners=240, rate=500.0, seconds=60.0, together=10)
LIGHT: Final = latency.Load(learners=240, rate=500.0, seconds=35.0, together=10)


@dataclass(frozen=True)
class Part:
    """One bench, and what it says in the list of them."""

    what: str
    run: Callable[[Path, bool, Bars], None]
    asked_only: bool = False
    """Whether it runs only where it is named: it takes an hour."""


def _chain(home: Path, quick: bool, bars: Bars) -> None:
    throughput.measure(home, CHAIN_QUICK if quick else CHAIN_COUNT, bars)


def _latency(home: Path, quick: bool, bars: Bars) -> None:
    """Send, and look at the memory of what has worked before it is ended."""
    try:
        latency.measure(home, LIGHT if quick else LOAD, bars, keep=True)
        memory.measure(home, bars)
    finally:
        stop(home, wipe=True)


PARTS: Final = {
    "chain": Part("evidence -> mastery, to the no-logic ceiling", _chain),
    "ingest": Part("durable acknowledgement, to a plain insert and to eventsourcing", ingest.measure),
    "http": Part("the same over HTTP, through the gateway", http.measure),
    "subscriber": Part("mastery's subscriber, to Quix Streams", subscriber.measure),
    "workers": Part("one, two and four workers of mastery", workers.measure),
    "growth": Part("cost at ten thousand, a hundred thousand and a million events", growth.measure),
    "replay": Part("decisions replayed in a CPU second", replay.measure),
    "latency": Part("from send to schedule, and the memory of each process", _latency),
    "district": Part("a district of 50,000 learners, to one of 5,000", scale.measure, asked_only=True),
}


def main() -> int:
    """Run the benches and return the exit code."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", choices=PARTS, help="run this part alone; may be given several times")
    parser.add_argument("--quick", action="store_true", help="smaller counts: a look in a few minutes, no proof; growth ends at 10^5")
    options, bars = parser.parse_args(), Bars()
    print(f"Cairn runs {form()}", flush=True)
    with room() as folder:
        for name in options.only or [name for name, part in PARTS.items() if not part.asked_only]:
            print(f"== {name}: {PARTS[name].what}", flush=True)
            PARTS[name].run(folder / name, options.quick, bars)
            shutil.rmtree(folder / name, ignore_errors=True)
    return bars.close()


if __name__ == "__main__":
    sys.exit(main())
