"""What a piece of evidence costs when evidence's ledger holds ten thousand events, a hundred thousand, a million.

The chain of the throughput bench, filled up to each size; the CPU time of all its processes is measured over the last pieces before it.
Streams grow with the ledger (there are as many learners at the end as at the beginning), and so do indexes beyond what memory holds.
At the end the oracle audits all of it (`bench/audit.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bench import audit
from bench.bars import Bars
from bench.evidence import FIRST_QUIZ
from bench.figures import shown
from bench.throughput import LENGTH, Chain, a_chain, a_place, child, number, progress, write_evidence
from shared.stack import down, find_stack

SIZES: Final = (10_000, 100_000, 1_000_000)
"""Events in evidence's ledger: two for each piece."""
QUICK: Final = SIZES[:2]
MEASURED: Final = 2_400
"""Pieces of evidence over which a cost is measured: one quiz of everybody."""
STEP: Final = 12_000
"""Pieces in between that are made at once."""
BAR: Final = 1.25
BROKER: Final = "broker"
"""Its Java is still being compiled at the first size: what grows beside it would hide behind that."""


def measure(home: Path, quick: bool, bars: Bars) -> None:
    """Fill the ledgers, and print what a piece costs at each size."""
    sizes = QUICK if quick else SIZES
    print(f"Growth: cost per evidence where its ledger holds {', '.join(f'{size:,}' for size in sizes)} events", flush=True)
    stack = find_stack(home, lambda step: print(f"  {step}", flush=True))
    try:
        place = a_place(stack)
        applied = progress()
        with child(write_evidence, place, applied) as evidence, a_chain(place, home, evidence, applied, 1) as chain:
            chain.measure(FIRST_QUIZ)
            costs = [_cost_at(chain, size) for size in sizes]
            audit.measure(place, bars)
    finally:
        down(home)
    for size, cost in zip(sizes, costs, strict=True):
        bars.figure(f"growth: CPU per evidence at {size:,} events", sum(cost.values()), "us")
    for what, left_out in (("cost", ""), ("cost without the broker", BROKER)):
        first, *others = (sum(us for name, us in cost.items() if name != left_out) for cost in costs)
        for size, found in zip(sizes[1:], others, strict=True):
            bars.figure(f"growth: {what} at {size:,} events, to {sizes[0]:,}", found / first, "times", at_most=BAR)


def _cost_at(chain: Chain, size: int) -> Mapping[str, float]:
    """Fill evidence's ledger up to a size, and return what the last pieces before it cost, in microseconds of CPU time by process."""
    while (left := (size - number(chain.ledger, LENGTH)) // 2 - MEASURED) > 0:
        chain.measure(min(left, STEP))
    rate = chain.measure(MEASURED)
    print(f"  at {number(chain.ledger, LENGTH):,} events: {rate.per_second:,.0f}/s, CPU {shown(rate.cpu_us)}", flush=True)
    return rate.cpu_us
