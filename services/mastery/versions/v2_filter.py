"""The estimate: a Gaussian filter per learner on the logit scale; pure.

What is believed of a learner is a general level, the form of the day, and one number per competency, each a normal distribution. One piece
of evidence is one observation, however many competencies it concerns: expanding it to one per competency would count it several times.

Source: extended Kalman filter for binomial observations, Fahrmeir (1992), Journal of the American Statistical Association 87(418).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final, NamedTuple

from shared.exact import exp, log, sigmoid

MAX_LOGIT: Final = 30.0
"""Logits beyond this differ from certainty by less than 1e-13: they are cut there."""
PROBIT: Final = 0.3927
"""Pi / 8: a logistic averaged over a normal of variance V is one divided by sqrt(1 + V pi / 8). MacKay (1992), Neural Computation 4(5)."""
SMALLEST_VARIANCE: Final = 0.000_001
"""One micro-unit: what a variance is kept in."""


class Normal(NamedTuple):
    """A normal distribution on the logit scale."""

    mean: float
    variance: float


@dataclass(frozen=True, slots=True)
class Numbers:
    """What a calibration fixes of the filter. Logits, logits squared, or exponents of days."""

    general_variance: float
    """Of the general level before anything was seen."""
    general_noise: float
    """Added to the variance of the general level by each event."""
    form_variance: float
    """Of the form of the day before the first event."""
    form_keep: float
    """Share of the form that lasts from one event to the next, in [0, 1)."""
    form_noise: float
    """Added to the variance of the form by each event."""
    competency_variance: float
    """Of a competency before anything was seen; a variance never grows beyond it."""
    competency_noise: float
    """Added to the variance of a competency by each event about it; at most 0.01 keeps the uncertainty honest."""
    time_noise: float
    """Added to the variance of a competency per log(1 + days)."""
    fade: float
    """A competency's mean is multiplied by (1 + days) ** -fade."""
    gain_right: float
    """Added to a competency's mean by a full score: learning from the work itself."""
    gain_wrong: float
    """Added by a score of zero; at most `gain_right`."""
    prerequisite_weight: float
    """Share of the mean of its known prerequisites that an unseen competency starts from."""
    repeat_outcome: float
    """Logits that the last score on this very item adds (full score) or takes (zero)."""
    repeat_count: float
    """Logits per log(1 + times the item was seen)."""
    repeat_fade: float
    """Both are multiplied by (1 + days) ** -repeat_fade."""


class Prediction(NamedTuple):
    """What is expected of an answer."""

    logit: float
    variance: float
    """Of the logit."""
    share: float
    """Expected score, in [0, 1]."""


class Posterior(NamedTuple):
    """What is believed after an answer."""

    general: Normal
    form: Normal
    competencies: tuple[Normal, ...]


def faded(belief: Normal, days: float, numbers: Numbers) -> Normal:
    """Return what is believed of a competency `days` after it was last worked on; days below zero count as none.

    The mean moves towards that of everybody, and doubt grows, up to that of a competency not yet seen.
    """
    if days <= 0.0:
        return belief
    passed = log(1.0 + days)
    variance = belief.variance + numbers.time_noise * passed
    if variance > numbers.competency_variance:
        variance = max(belief.variance, numbers.competency_variance)
    return Normal(belief.mean * exp(-numbers.fade * passed), variance)


def unseen(prerequisites: Sequence[Normal], numbers: Numbers) -> Normal:
    """Return what is believed of a competency without evidence: a share of the mean of its known prerequisites, and full doubt."""
    if not prerequisites:
        return Normal(0.0, numbers.competency_variance)
    mean = sum(known.mean for known in prerequisites) / len(prerequisites)
    return Normal(numbers.prerequisite_weight * mean, numbers.competency_variance)


def carried(form: Normal, numbers: Numbers) -> Normal:
    """Return the form at the next event: a first-order autoregression."""
    keep = numbers.form_keep
    return Normal(keep * form.mean, keep * keep * form.variance + numbers.form_noise)


def repeated(share: float, count: int, days: float, numbers: Numbers) -> float:
    """Return the logits by which remembering this very item moves its answer.

    Args:
        share: the last score on it, in [0, 1].
        count: how often it was seen; 0 gives 0.
        days: since then; below zero counts as none.
    """
    if count <= 0:
        return 0.0
    moved = numbers.repeat_outcome * (2.0 * share - 1.0) + numbers.repeat_count * log(1.0 + count)
    return moved * exp(-numbers.repeat_fade * log(1.0 + days)) if days > 0.0 else moved


def predict(offset: float, general: Normal, form: Normal, competencies: Sequence[Normal]) -> Prediction:
    """Return what is expected of an answer about these competencies, of which there is at least one.

    Args:
        offset: easiness of the item plus what remembering it adds, in logits.

    >>> predict(0.0, Normal(0.0, 0.5), Normal(0.0, 0.25), [Normal(0.0, 0.25)])
    Prediction(logit=0.0, variance=1.0, share=0.5)
    """
    n = len(competencies)
    mean = variance = 0.0
    for known in competencies:
        mean += known.mean
        variance += known.variance
    logit = offset + general.mean + form.mean + mean / n
    if not -MAX_LOGIT <= logit <= MAX_LOGIT:
        logit = MAX_LOGIT if logit > 0.0 else -MAX_LOGIT
    variance = general.variance + form.variance + variance / (n * n)
    return Prediction(logit, variance, sigmoid(logit / sqrt(1.0 + PROBIT * variance)))


def update(
    expected: Prediction, share: float, precision: float, general: Normal, form: Normal, competencies: Sequence[Normal], numbers: Numbers
) -> Posterior:  # fmt: skip
    """Return what is believed after an answer: one extended Kalman step, then process noise and what the work itself taught.

    With w = precision * p(1 - p) each part moves by its covariance with the logit, times precision * (share - p) / (w V + 1). Nothing is
    divided by w, which may be 0 for a hopeless item.

    Args:
        share: score, in [0, 1].
        precision: how much the kind of evidence weighs; 1 is one short item.

    >>> expected = predict(0.0, Normal(0.0, 1.0), Normal(0.0, 0.0), [Normal(0.0, 0.0)])
    >>> none = Numbers(1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    >>> update(expected, 1.0, 1.0, Normal(0.0, 1.0), Normal(0.0, 0.0), [Normal(0.0, 0.0)], none).general
    Normal(mean=0.4, variance=0.8)
    """
    p = sigmoid(expected.logit)
    weight = precision * p * (1.0 - p)
    shrink = weight * expected.variance + 1.0
    error, narrowed = precision * (share - p) / shrink, weight / shrink
    taught = share * numbers.gain_right + (1.0 - share) * numbers.gain_wrong
    n, noise, most = len(competencies), numbers.competency_noise, numbers.competency_variance
    after = []
    for mean, variance in competencies:
        moved, bound = variance / n, variance if variance > most else most
        left = variance - moved * moved * narrowed + noise
        after.append(_normal(mean + moved * error + taught, left if left < bound else bound))
    wide, day = general.variance, form.variance
    return Posterior(
        _normal(general.mean + wide * error, wide - wide * wide * narrowed + numbers.general_noise),
        _normal(form.mean + day * error, day - day * day * narrowed),
        tuple(after),
    )


def _normal(mean: float, variance: float) -> Normal:
    """Return the distribution within the limits that it is kept in."""
    if not -MAX_LOGIT < mean < MAX_LOGIT:
        mean = MAX_LOGIT if mean > 0.0 else -MAX_LOGIT
    return Normal(mean, variance if variance > SMALLEST_VARIANCE else SMALLEST_VARIANCE)
