"""What an estimate costs: microseconds in the filter for each piece of evidence, and what explaining one takes."""

from __future__ import annotations

import time
from typing import Final

import numpy as np

from bench.bars import Bars
from services.mastery.calibration import DEFAULT
from services.mastery.filter import Normal, carried, faded, predict, repeated, update

EVIDENCE: Final = 20_000
ROUNDS: Final = 7


def filter_us() -> float:
    """Return the CPU microseconds that the filter takes for each piece of evidence: form carried on, memory faded, what is expected, what
    is believed. The best of ROUNDS: the others were disturbed."""
    numbers = DEFAULT.numbers
    draw = np.random.default_rng(1)
    days, shares, easiness = (
        draw.exponential(0.5, EVIDENCE).tolist(),
        (draw.random(EVIDENCE) < 0.7).tolist(),
        draw.normal(0.5, 1, EVIDENCE).tolist(),
    )
    best = float("inf")
    for _ in range(ROUNDS):
        general, form, known = Normal(0.0, 0.8), Normal(0.0, 0.1), Normal(0.0, 0.25)
        started = time.process_time()
        for passed, share, easy in zip(days, shares, easiness, strict=True):
            form = carried(form, numbers)
            before = (faded(known, passed, numbers),)
            expected = predict(easy + repeated(1.0, 1, passed, numbers), general, form, before)
            general, form, (known,) = update(expected, share, 1.0, general, form, before, numbers)
        best = min(best, time.process_time() - started)
    return best / EVIDENCE * 1e6


def measure(bars: Bars) -> None:
    """Print what estimating and explaining cost."""
    bars.figure("filter: CPU for each piece of evidence", filter_us(), "us", at_most=15.0)
