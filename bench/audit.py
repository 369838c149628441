"""What it takes to audit a district: `cairn audit check` over the ledgers that the bench of growth has filled, while the services run."""

from __future__ import annotations

import asyncio
import os
import resource
import time
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Final

import psutil

from bench.bars import Bars
from bench.memory import held
from bench.throughput import SPAWN, Place
from services.cli.audit import Installation, Options, check

BAR_MINUTES: Final = 15.0
"""For two million events, on two cores: "in minutes"."""
MOST_MIB: Final = 1_000.0
"""Of all processes of the audit together, whatever there is to be audited."""
LOOK_S: Final = 1.0
"""Between two looks at the memory."""
REST_S: Final = 120.0
"""Within which the services must come to rest."""


def measure(place: Place, bars: Bars) -> None:
    """Audit what a bench has left in its ledgers and topics, and print what it took.

    Raises:
        AssertionError: the audit finds something wrong: no figure counts then.
    """
    peak, began = 0.0, time.perf_counter()
    with ProcessPoolExecutor(1, SPAWN) as pool:
        process = psutil.Process(pool.submit(os.getpid).result())
        found: Future[tuple[int, float, list[str], dict[str, float]]] = pool.submit(_audited, place)
        while not found.done():
            peak = max(peak, held(process))
            time.sleep(LOOK_S)
        events, cpu_s, violations, seconds = found.result()
    minutes = (time.perf_counter() - began) / 60
    print(f"  audit: {', '.join(f'{what} {taken:.0f} s' for what, taken in seconds.items())}", flush=True)
    bars.figure("audit: events of all ledgers", events)
    bars.figure("audit: time", minutes, "min", at_most=BAR_MINUTES)
    bars.figure("audit: CPU per event, PostgreSQL and broker apart", cpu_s / events * 1e6, "us")
    bars.figure("audit: memory of its processes at most", peak, "MiB", at_most=MOST_MIB)
    assert not violations, "\n".join(violations)


def _audited(place: Place) -> tuple[int, float, list[str], dict[str, float]]:
    """Return how many events there are, the CPU time of this process and its children, what is wrong, and what each part took."""
    installation = Installation(place.urls, owner_urls=place.owner_urls, kafka_servers=place.kafka, prefix=place.prefix)
    findings = asyncio.run(check(installation, options=Options(within_s=REST_S, most_parked=0)))
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    events = sum(count for id, what, count in findings.checked if id == "I6" and what.endswith(": events in the ledger"))
    return events, sum(each.ru_utime + each.ru_stime for each in used), [str(each) for each in findings.violations], findings.seconds
