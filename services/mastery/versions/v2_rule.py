"""The decision: from what is believed of a competency to the level that people are told; pure.

`mastered` needs more than a high mean: near certainty that most answers to a standard item would be right, evidence that is broad, and the
prerequisites. Doubt is told as doubt, never as a low level; a level once given is taken back only by work that fails to confirm it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt
from typing import Final, NamedTuple

from services.mastery.versions.v2_filter import Normal
from shared.contracts.mastery import Level
from shared.exact import log, micro, normal_cdf, normal_quantile

MET: Final = (Level.MASTERED, Level.REVERIFY)
"""Levels at which a prerequisite holds nothing back: what is due to be shown again was shown once."""


@dataclass(frozen=True, slots=True)
class Policy:
    """By what a family of competencies is judged. Shares are in (0, 1)."""

    bar: float
    """Success rate on the reference item that counts as knowing."""
    certainty: float
    """Probability of reaching the bar from which a competency is mastered."""
    verify_below: float
    """Probability below which a mastered competency is due to be shown again."""
    nearly_from: float
    """Probability from which it is told as nearly there."""
    doubt: float
    """Standard deviation of the logit above which nothing is told."""
    scored: int
    """Least number of scored events; an item that is remembered counts once, however often it comes."""
    items: int
    """Least number of distinct items, at most 3."""
    days: int
    """Least number of distinct days."""
    kinds: int = 0
    """Kinds of evidence that must have been seen, as bits of `state.KIND_BITS`."""
    stuck_events: int = 10
    """Events without progress from which a person is needed, on at least `stuck_days` days."""
    stuck_days: int = 3
    progress_e6: int = 50_000
    """By how much the mean must grow to count as progress, in millionths of a logit."""
    enrich_from: float = 0.975
    """Probability from which a mastered competency is told as ready for more."""
    bar_logit: float = field(init=False)
    certainty_z: float = field(init=False)
    verify_z: float = field(init=False)
    nearly_z: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "bar_logit", log(self.bar / (1.0 - self.bar)))
        object.__setattr__(self, "certainty_z", normal_quantile(self.certainty))
        object.__setattr__(self, "verify_z", normal_quantile(self.verify_below))
        object.__setattr__(self, "nearly_z", normal_quantile(self.nearly_from))


class Standing(NamedTuple):
    """All that the rule looks at."""

    logit: Normal
    """Of an answer to the reference item; form of the day and memory of items left out."""
    scored: int
    items: int
    days: int
    prerequisites_met: bool
    share: float | None = None
    """Score of the evidence at hand, in [0, 1]; None where it is about other competencies."""
    kinds: int = -1
    """Kinds of evidence that were seen, as bits; -1 for all."""


def reference(easiness: float, general: Normal, competency: Normal) -> Normal:
    """Return the logit of an answer to the reference item of this easiness."""
    return Normal(easiness + general.mean + competency.mean, general.variance + competency.variance)


def score_of(logit: Normal, policy: Policy) -> float:
    """Return by how many standard deviations the logit lies above the bar."""
    return (logit.mean - policy.bar_logit) / sqrt(logit.variance)


def probability_e6(logit: Normal, policy: Policy) -> int:
    """Return the probability, in millionths, that the success rate on the reference item is above the bar."""
    return micro(normal_cdf(score_of(logit, policy)))


def is_broad(standing: Standing, policy: Policy) -> bool:
    """Return whether there is evidence enough, on items and days enough, of every kind asked for."""
    return (
        standing.scored >= policy.scored
        and standing.items >= policy.items
        and standing.days >= policy.days
        and policy.kinds & standing.kinds == policy.kinds
    )


def level_of(before: Level, standing: Standing, policy: Policy) -> Level:
    """Return the level after some evidence, from the level before it.

    - Mastered becomes re-verify due where the probability falls below `verify_below`; it is left in no other way.
    - Re-verify due becomes mastered again where the probability is back at `certainty`, and is taken back where work on the competency
      scores below the bar while the probability is below `verify_below`: a re-verification that failed.
    """
    logit = standing.logit
    score = (logit.mean - policy.bar_logit) / sqrt(logit.variance)
    if before is Level.MASTERED:
        return Level.REVERIFY if score < policy.verify_z else Level.MASTERED
    if before is Level.REVERIFY:
        if score >= policy.certainty_z:
            return Level.MASTERED
        failed = standing.share is not None and standing.share < policy.bar and score < policy.verify_z
        if not failed:
            return Level.REVERIFY
    elif score >= policy.certainty_z and standing.prerequisites_met and is_broad(standing, policy):
        return Level.MASTERED
    if logit.variance > policy.doubt * policy.doubt:
        return Level.UNKNOWN
    return Level.NEARLY if score >= policy.nearly_z else Level.DEVELOPING
