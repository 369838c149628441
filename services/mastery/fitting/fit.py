"""Fits a calibration: the numbers of the filter, and how easy items are for learners whose answers did not help to say so; pure.

Items' easiness is fitted out of fold: learners fall into FOLDS parts by a hash, and each part is predicted with easiness from the others.
Fitted to the same learners it would flatter itself, and the numbers would trust it too much.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from services.mastery.calibration import DEFAULT
from services.mastery.fitting.columns import Floats, Ints, Memory, Responses, memory_of
from services.mastery.fitting.easiness import Easiness, fit_easiness
from services.mastery.fitting.figures import log_losses
from services.mastery.fitting.kernel import NAMES, Pass, run, vector
from shared.contracts.evidence import Kind

FOLDS: Final = 5
ROUNDS: Final = 2
"""Numbers and easiness are fitted in turn; a third turn changes the log loss by less than 0.0001."""
MAX_STEPS: Final = 40
MAX_FITTED: Final = 300_000
"""Responses that the numbers are fitted to: whole learners, chosen by hash. Easiness is fitted to all."""
ENOUGH: Final = 500
"""Responses of a kind from which its precision is fitted."""
STEP: Final = 1e-3
"""Of finite differences, in the fitted scale."""

Progress = Callable[[str, float], None]
"""Is told what is being done, and the share of all that is done."""


@dataclass(frozen=True)
class Free:
    """One number that is fitted: its limits, and how firmly its default is held where the data say nothing."""

    name: str
    least: float
    most: float
    logarithmic: bool
    spread: float
    """Standard deviation of the prior around the default, in the fitted scale."""
    needs: str = ""
    """`clock` or `repeats`: without them in the data the default stays."""


FREE: Final = (
    Free("general_variance", 0.05, 6.0, True, 1.0),
    Free("general_noise", 1e-5, 0.02, True, 1.0),
    Free("form_variance", 1e-3, 1.0, True, 1.0),
    Free("form_keep", 0.3, 0.99, False, 0.2),
    Free("form_noise", 1e-4, 0.1, True, 1.0),
    Free("competency_variance", 0.25, 1.5, True, 0.7),
    Free("competency_noise", 1e-4, 0.01, True, 1.0),
    Free("time_noise", 1e-5, 0.05, True, 1.0, "clock"),
    Free("fade", 0.0, 0.3, False, 0.05, "clock"),
    Free("gain_right", 0.0, 0.3, False, 0.05),
    Free("gain_wrong", 0.0, 0.3, False, 0.05),
    Free("repeat_outcome", -1.0, 3.0, False, 0.5, "repeats"),
    Free("repeat_count", -1.0, 2.0, False, 0.3, "repeats"),
    Free("repeat_fade", 0.0, 2.0, False, 0.3, "clock repeats"),
)
"""`prerequisite_weight` is not among them: data files know no framework. A competency's noise is held at 0.01 and its variance at 0.25 or
more: fitted freely, doubt about a competency grows with evidence about it."""
PRECISION: Final = Free("precision", 0.2, 8.0, True, 0.7)


@dataclass(frozen=True)
class Fitted:
    """What was fitted, and how it does on learners whose answers did not help to fit the easiness of their items."""

    numbers: Floats
    """In the order of NAMES."""
    precisions: Floats
    """(kinds)"""
    easiness: Easiness
    """From all learners."""
    out_of_fold: Floats
    """(n) Easiness of each response, from other learners."""
    expected: Pass
    """With it."""


def folds_of(learners: Sequence[str], folds: int, seed: int) -> Ints:
    """Return the part that each learner falls into: by a hash of seed and name, the same in every file and on every machine."""
    return np.array([int.from_bytes(sha256(f"{seed}\n{name}".encode()).digest()[:8], "big") % folds for name in learners], np.int64)


def fit(responses: Responses, seed: int, progress: Progress = lambda text, share: None) -> Fitted:
    """Return the calibration that fits best. The same responses and seed give the same numbers."""
    fold = folds_of(responses.learners, FOLDS, seed)
    memory = memory_of(responses)
    parts = [(part, memory_of(part)) for part in (responses.subset(fold != at) for at in range(FOLDS))]
    numbers = vector(DEFAULT.numbers)
    precisions = np.array([DEFAULT.kinds[Kind(kind)].precision for kind in responses.kinds])
    few = _few(responses, seed)
    for turn in range(ROUNDS):
        progress("how easy items are", (2 * turn) / (2 * ROUNDS + 1))
        easiness = _out_of_fold(responses, fold, parts, precisions, numbers)
        progress("the numbers of the filter", (2 * turn + 1) / (2 * ROUNDS + 1))
        numbers, precisions = _fit_numbers(responses, memory, few, easiness, precisions, numbers)
    progress("how easy items are, from all learners", 2 * ROUNDS / (2 * ROUNDS + 1))
    easiness = _out_of_fold(responses, fold, parts, precisions, numbers)
    everything = fit_easiness(responses, memory, precisions[responses.kind], numbers)
    expected = run(responses, memory, easiness, precisions[responses.kind], numbers)
    progress("fitted", 1.0)
    return Fitted(numbers, precisions, everything, easiness, expected)


def _out_of_fold(
    responses: Responses, fold: Ints, parts: Sequence[tuple[Responses, Memory]], precisions: Floats, numbers: Floats
) -> Floats:  # fmt: skip
    """Return the easiness of each response, fitted to the learners of the other folds."""
    found = np.empty(len(responses))
    for at, (part, memory) in enumerate(parts):
        mine = fold[responses.learner] == at
        if not mine.any():
            continue
        fitted = fit_easiness(part, memory, precisions[part.kind], numbers)
        found[mine] = fitted.of(responses)[mine]
    return found


def _few(responses: Responses, seed: int) -> NDArray[np.bool_]:
    """Return which learners the numbers are fitted to: in the order of a hash, until there are responses enough."""
    counts = np.bincount(responses.learner, minlength=len(responses.learners))
    order = np.array([sha256(f"few\n{seed}\n{name}".encode()).digest() for name in responses.learners]).argsort(kind="stable")
    chosen = np.zeros(len(counts), bool)
    chosen[order[np.cumsum(counts[order]) - counts[order] < MAX_FITTED]] = True
    return chosen


def _fit_numbers(
    responses: Responses, memory: Memory, few: NDArray[np.bool_], easiness: Floats, precisions: Floats, numbers: Floats
) -> tuple[Floats, Floats]:  # fmt: skip
    """Return the numbers and the precisions of kinds with the least log loss, given the easiness of each response."""
    part = responses if few.all() else responses.subset(few)
    seen, easy = (memory, easiness) if few.all() else (memory_of(part), easiness[few[responses.learner]])
    free, kinds = _free(part, seen), _kinds(part)
    prior = _pack(free, kinds, vector(DEFAULT.numbers), np.array([DEFAULT.kinds[Kind(kind)].precision for kind in part.kinds]))
    spreads = np.array([known.spread for known in free] + [PRECISION.spread] * len(kinds))
    limits = [_scaled(known, known.least, known.most) for known in (*free, *[PRECISION] * len(kinds))]

    def loss(values: Floats) -> float:
        tried, weights = _unpack(free, kinds, values, numbers, precisions)
        expected = run(part, seen, easy, weights[part.kind], tried).share
        return float((log_losses(part.score, expected).sum() + 0.5 * np.sum(((values - prior) / spreads) ** 2)) / len(part))

    start = np.clip(_pack(free, kinds, numbers, precisions), [low for low, _ in limits], [high for _, high in limits])
    best = minimize(loss, start, method="L-BFGS-B", bounds=limits, options={"maxiter": MAX_STEPS, "eps": STEP, "ftol": 1e-8})
    return _unpack(free, kinds, best.x, numbers, precisions)


def _free(responses: Responses, memory: Memory) -> list[Free]:
    """Return what these data can say something about."""
    there = {"clock": responses.has_clock, "repeats": bool((memory.before >= 0).any())}
    return [known for known in FREE if all(there[need] for need in known.needs.split())]


def _kinds(responses: Responses) -> list[int]:
    """Return the kinds whose precision is fitted: those with responses enough, but the one seen most, which sets the scale."""
    counts = np.bincount(responses.kind, minlength=len(responses.kinds))
    return [at for at, count in enumerate(counts.tolist()) if count >= ENOUGH and at != int(counts.argmax())]


def _scaled(known: Free, *values: float) -> tuple[float, ...]:
    return tuple(float(np.log(value)) for value in values) if known.logarithmic else values


def _pack(free: Sequence[Free], kinds: Sequence[int], numbers: Floats, precisions: Floats) -> Floats:
    """Return the fitted values in the fitted scale; the gain of a right answer as what it adds to that of a wrong one."""
    values = numbers.copy()
    values[NAMES.index("gain_right")] -= values[NAMES.index("gain_wrong")]
    plain = [_scaled(known, max(known.least, values[NAMES.index(known.name)]))[0] for known in free]
    return np.array(plain + [float(np.log(precisions[kind])) for kind in kinds])


def _unpack(
    free: Sequence[Free], kinds: Sequence[int], values: Floats, numbers: Floats, precisions: Floats
) -> tuple[Floats, Floats]:  # fmt: skip
    """Return numbers and precisions with the fitted values in place."""
    found, weights = numbers.copy(), precisions.copy()
    for known, value in zip(free, values.tolist(), strict=False):
        found[NAMES.index(known.name)] = np.exp(value) if known.logarithmic else value
    found[NAMES.index("gain_right")] += found[NAMES.index("gain_wrong")]
    for kind, value in zip(kinds, values[len(free) :].tolist(), strict=True):
        weights[kind] = np.exp(value)
    return found, weights
