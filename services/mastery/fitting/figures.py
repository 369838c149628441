"""How well expectations met what came: AUC, RMSE, log loss, expected calibration error, and reliability by bins; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import rankdata

from services.mastery.fitting.columns import Floats

BINS: Final = 20
"""Of equal width, for reliability and the expected calibration error."""
LEAST: Final = 1e-6
"""Expected shares are kept this far from 0 and 1 where their logarithm is taken: as exact as they are kept."""
HALF: Final = 0.5
"""Scores from here up count as right where a figure knows only right and wrong."""


@dataclass(frozen=True)
class Figures:
    """Of some responses. AUC is nan where all came out alike."""

    count: int
    mean_score: float
    bias: float
    """Expected minus seen, on average."""
    auc: float
    rmse: float
    log_loss: float
    ece: float


@dataclass(frozen=True)
class Bin:
    """Responses with about the same expectation."""

    count: int
    expected: float
    seen: float


def figures(score: Floats, expected: Floats) -> Figures:
    """Return the figures of scores in [0, 1] beside what was expected of them."""
    if not len(score):
        nan = float("nan")
        return Figures(0, nan, nan, nan, nan, nan, nan)
    off = expected - score
    return Figures(
        len(score), float(score.mean()), float(off.mean()), auc(score, expected), float(np.sqrt(np.mean(off * off))),
        float(log_losses(score, expected).mean()), ece(score, expected),
    )  # fmt: skip


def auc(score: Floats, expected: Floats) -> float:
    """Return the probability that a right answer was expected more than a wrong one (Mann and Whitney 1947); ties count half."""
    right = score >= HALF
    many, few = int(right.sum()), int((~right).sum())
    if not many or not few:
        return float("nan")
    return float((rankdata(expected)[right].sum() - many * (many + 1) / 2) / (many * few))


def log_losses(score: Floats, expected: Floats) -> Floats:
    """Return the negative log likelihood of each score, in nats; for a partial score its expectation."""
    kept = np.clip(expected, LEAST, 1.0 - LEAST)
    return -(score * np.log(kept) + (1.0 - score) * np.log1p(-kept))


def reliability(score: Floats, expected: Floats) -> list[Bin]:
    """Return the bins that hold anything, by rising expectation."""
    place = np.minimum((expected * BINS).astype(int), BINS - 1)
    counts = np.bincount(place, minlength=BINS)
    sums, seen = np.bincount(place, expected, BINS), np.bincount(place, score, BINS)
    return [
        Bin(int(count), float(total / count), float(right / count))
        for count, total, right in zip(counts, sums, seen, strict=True) if count
    ]  # fmt: skip


def ece(score: Floats, expected: Floats) -> float:
    """Return the expected calibration error: by how much bins are off, weighed by their counts (Naeini et al. 2015, AAAI)."""
    bins = reliability(score, expected)
    return sum(one.count * abs(one.expected - one.seen) for one in bins) / sum(one.count for one in bins)
