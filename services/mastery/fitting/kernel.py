"""The filter of `services/mastery/filter.py` over many learners at once, compiled; pure.

It is the same arithmetic, with the C library's exp and log and without rounding the state to millionths after each event. A test holds the
two to each other. Nothing that decides imports this.
"""

from __future__ import annotations

from math import exp, log, log1p, sqrt
from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit

from services.mastery.filter import MAX_LOGIT, PROBIT, SMALLEST_VARIANCE, Numbers
from services.mastery.fitting.columns import Floats, Ints, Memory, Responses

NAMES: Final = tuple(Numbers.__dataclass_fields__)
TRACES: Final = 3
"""Columns of what a pass keeps of the learner before each response: mean and variance of the general level, mean of the form."""


class Pass(NamedTuple):
    """One walk over all responses: what was expected of each before it was seen."""

    logit: Floats
    """(n) Mean of the logit."""
    variance: Floats
    """(n) Of the logit."""
    share: Floats
    """(n) Expected score."""
    memory: Floats
    """(n) Logits of `logit` that remembering the item made."""
    trace: Floats
    """(n, TRACES)"""
    link_mean: Floats
    """(m) Mean of each competency of each response, before it."""
    link_variance: Floats


def vector(numbers: Numbers) -> Floats:
    """Return the numbers in the order of NAMES."""
    return np.array([getattr(numbers, name) for name in NAMES])


def run(responses: Responses, memory: Memory, easiness: Floats, precision: Floats, numbers: Floats) -> Pass:
    """Walk over all responses, learner by learner, each from the beginning.

    Args:
        easiness: (n) of each response's item, in logits.
        precision: (n) of each response's kind.
        numbers: in the order of NAMES.
    """
    return Pass(
        *_run(
            responses.learner,
            responses.links,
            responses.first_link,
            responses.score,
            responses.day,
            memory.before,
            memory.count,
            easiness,
            precision,
            numbers,
            len(responses.competencies),
        )
    )


@njit(cache=True)
def _sigmoid(x: float) -> float:
    if x >= 0.0:
        return 1.0 / (1.0 + exp(-x))
    grown = exp(x)
    return grown / (1.0 + grown)


@njit(cache=True)
def _kept(mean: float) -> float:
    return min(MAX_LOGIT, max(-MAX_LOGIT, mean))


@njit(cache=True)
def _run(
    learner: Ints, links: Ints, first_link: Ints, score: Floats, day: Floats, before: Ints, count: Ints, easiness: Floats,
    precision: Floats, numbers: Floats, competencies: int,
) -> Any:  # fmt: skip
    (
        general_variance, general_noise, form_variance, keep, form_noise, most, noise, time_noise, fade, gain_right, gain_wrong, _,
        repeat_outcome, repeat_count, repeat_fade,
    ) = (
        numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], numbers[6], numbers[7], numbers[8], numbers[9], numbers[10],
        numbers[11], numbers[12], numbers[13], numbers[14],
    )  # fmt: skip
    n = len(score)
    logits, variances, shares, moved_by, trace = np.empty(n), np.empty(n), np.empty(n), np.zeros(n), np.empty((n, 3))
    link_mean, link_variance = np.empty(len(links)), np.empty(len(links))
    owner = np.full(competencies, -1, np.int64)
    means, doubts, days = np.zeros(competencies), np.zeros(competencies), np.zeros(competencies)
    general = wide = form = loose = 0.0
    last = -1
    for at in range(n):
        who, now = learner[at], day[at]
        if who != last:
            last = who
            general, wide, form, loose = 0.0, general_variance, 0.0, form_variance
        else:
            form, loose = keep * form, keep * keep * loose + form_noise
        start, stop = first_link[at], first_link[at + 1]
        size = stop - start
        mean = variance = 0.0
        for link in range(start, stop):
            known = links[link]
            if owner[known] != who:
                owner[known], means[known], doubts[known], days[known] = who, 0.0, most, now
            elif now > days[known]:
                passed = log1p(now - days[known])
                grown = doubts[known] + time_noise * passed
                doubts[known] = grown if grown <= most else max(doubts[known], most)
                means[known] *= exp(-fade * passed)
            days[known] = now
            link_mean[link], link_variance[link] = means[known], doubts[known]
            mean += means[known]
            variance += doubts[known]
        remembered = 0.0
        if before[at] >= 0:
            remembered = repeat_outcome * (2.0 * score[before[at]] - 1.0) + repeat_count * log(1.0 + count[at])
            if now > day[before[at]]:
                remembered *= exp(-repeat_fade * log1p(now - day[before[at]]))
        logit = _kept(easiness[at] + remembered + general + form + mean / size)
        total = wide + loose + variance / (size * size)
        logits[at], variances[at], moved_by[at] = logit, total, remembered
        shares[at] = _sigmoid(logit / sqrt(1.0 + PROBIT * total))
        trace[at, 0], trace[at, 1], trace[at, 2] = general, wide, form
        p = _sigmoid(logit)
        weight = precision[at] * p * (1.0 - p)
        shrink = weight * total + 1.0
        error, narrowed = precision[at] * (score[at] - p) / shrink, weight / shrink
        taught = score[at] * gain_right + (1.0 - score[at]) * gain_wrong
        for link in range(start, stop):
            known = links[link]
            moved = doubts[known] / size
            means[known] = _kept(means[known] + moved * error + taught)
            limit = max(doubts[known], most)
            doubts[known] = max(SMALLEST_VARIANCE, min(doubts[known] - moved * moved * narrowed + noise, limit))
        general, wide = _kept(general + wide * error), max(SMALLEST_VARIANCE, wide - wide * wide * narrowed + general_noise)
        form, loose = _kept(form + loose * error), max(SMALLEST_VARIANCE, loose - loose * loose * narrowed)
    return logits, variances, shares, moved_by, trace, link_mean, link_variance
