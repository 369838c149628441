"""How easy items are: fitted to what the filter did not expect, drawn towards what is common where little is known; pure.

The easiness of a response is that of its competencies (their mean), plus its item's own deviation, plus its kind's. Deviations are normal
with a variance that is fitted too, so that an item seen three times stays close to its competency, and one seen a thousand times does not.

Source: empirical Bayes for crossed effects, Bates et al. (2015), Journal of Statistical Software 67(1); Newton steps on the logistic
likelihood averaged over the filter's doubt (MacKay 1992, Neural Computation 4(5)).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.mastery.filter import PROBIT
from services.mastery.fitting.columns import NO_ITEM, Floats, Ints, Memory, Responses
from services.mastery.fitting.kernel import run

ROUNDS: Final = 6
"""Passes of the filter, each followed by Newton steps. The largest change of the last one is below 0.05 logits on real data."""
STEPS: Final = 2
MAX_STEP: Final = 1.0
"""Logits that one Newton step moves an easiness at most."""
MAX_EASINESS: Final = 8.0
"""Logits: a success rate of 0.9997."""
WIDE: Final = 1.0
"""Variance of deviations before they were looked at, logits squared."""
NARROW, WIDEST = 0.01, 9.0
"""Limits of the fitted variances."""
FIRM: Final = 4.0
"""Responses that the common easiness is worth beside those of one kind."""


@dataclass(frozen=True)
class Easiness:
    """Of everything in some responses, in logits."""

    common: float
    competencies: Floats
    """(competencies) Of a typical item about it."""
    items: Floats
    """(items) Deviation from its competencies."""
    kinds: Floats
    """(kinds) Deviation of work of this kind; 0 for the kind seen most."""

    def of(self, responses: Responses) -> Floats:
        """Return the easiness of each response. The responses number items, competencies and kinds as those that were fitted."""
        return self.kinds[responses.kind] + _base(responses, self.competencies) + _own(responses, self.items)


def fit_easiness(responses: Responses, memory: Memory, precision: Floats, numbers: Floats, rounds: int = ROUNDS) -> Easiness:
    """Return the easiness that fits these responses best under the numbers of a filter.

    Args:
        precision: (n) of each response's kind.
        numbers: in the order of kernel's NAMES.
    """
    share = float(np.clip(responses.score.mean(), 0.01, 0.99))
    common = float(np.log(share / (1.0 - share)))
    competencies, items = np.full(len(responses.competencies), common), np.zeros(len(responses.items))
    kinds = np.zeros(len(responses.kinds))
    counts = np.bincount(responses.kind, minlength=len(kinds))
    known = responses.item != NO_ITEM
    item, weight = responses.item[known], 1.0 / np.diff(responses.first_link)
    owner = np.repeat(np.arange(len(responses)), np.diff(responses.first_link))
    spread_competency = spread_item = WIDE
    found = Easiness(common, competencies, items, kinds)
    for _ in range(rounds):
        seen = run(responses, memory, found.of(responses), precision, numbers)
        slope = 1.0 / np.sqrt(1.0 + PROBIT * seen.variance)
        logit = seen.logit.copy()
        for _ in range(STEPS):
            moved, spread_item = _newton(responses, logit, slope, item, known, items, spread_item)
            items += moved
            logit[known] += moved[item]
            moved, spread_competency = _linked(responses, logit, slope, owner, weight, competencies - common, spread_competency)
            competencies += moved
            logit += np.bincount(owner, moved[responses.links], len(responses)) * weight
            if len(kinds) > 1:
                moved, _ = _newton(responses, logit, slope, responses.kind, np.ones(len(responses), bool), kinds, 1.0 / (0.25 * FIRM))
                moved[int(counts.argmax())] = 0.0
                kinds += moved
                logit += moved[responses.kind]
        found = Easiness(
            common, np.clip(competencies, -MAX_EASINESS, MAX_EASINESS), np.clip(items, -MAX_EASINESS, MAX_EASINESS), kinds.copy()
        )  # fmt: skip
        common = float(np.average(competencies, weights=np.bincount(responses.links, minlength=len(competencies)) + 1e-9))
    return found


def _newton(
    responses: Responses, logit: Floats, slope: Floats, group: Ints, among: NDArray[np.bool_], values: Floats,
    spread: float,
) -> tuple[Floats, float]:  # fmt: skip
    """Return the step of each group's deviation, and the variance of the deviations that follows."""
    gradient, curvature = _slopes(responses, logit, slope)
    up = np.bincount(group, gradient[among], len(values)) - values / spread
    down = np.bincount(group, curvature[among], len(values)) + 1.0 / spread
    moved = np.clip(up / down, -MAX_STEP, MAX_STEP)
    seen = np.bincount(group, minlength=len(values)) > 0
    return moved, _spread((values + moved)[seen], down[seen], spread)


def _linked(
    responses: Responses, logit: Floats, slope: Floats, owner: Ints, weight: Floats, values: Floats, spread: float
) -> tuple[Floats, float]:  # fmt: skip
    """Return the same for competencies, of which a response may have several, each with its share."""
    gradient, curvature = _slopes(responses, logit, slope)
    up = np.bincount(responses.links, (gradient * weight)[owner], len(values)) - values / spread
    down = np.bincount(responses.links, (curvature * weight)[owner], len(values)) + 1.0 / spread
    moved = np.clip(up / down, -MAX_STEP, MAX_STEP)
    seen = np.bincount(responses.links, minlength=len(values)) > 0
    return moved, _spread((values + moved)[seen], down[seen], spread)


def _slopes(responses: Responses, logit: Floats, slope: Floats) -> tuple[Floats, Floats]:
    share = sigmoids(logit * slope)
    return (responses.score - share) * slope, share * (1.0 - share) * slope * slope


def _spread(values: Floats, precision: NDArray[np.floating[Any]], before: float) -> float:
    """Return the variance of deviations: expected squares, of which each estimate's own doubt is a part."""
    return float(np.clip(np.mean(values * values + 1.0 / precision), NARROW, WIDEST)) if len(values) else before


def sigmoids(logits: Floats) -> Floats:
    """Return the logistic function of each, without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * logits))


def _base(responses: Responses, competencies: Floats) -> Floats:
    lengths = np.diff(responses.first_link)
    return np.add.reduceat(competencies[responses.links], responses.first_link[:-1]) / lengths if len(responses) else np.zeros(0)


def _own(responses: Responses, items: Floats) -> Floats:
    if not len(items):
        return np.zeros(len(responses))
    return np.where(responses.item == NO_ITEM, 0.0, items[responses.item])


__all__ = ["ROUNDS", "Easiness", "fit_easiness", "sigmoids"]
