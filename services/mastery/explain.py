"""What an estimate explains: where it comes from, how sure it is, what is missing, and what would change it; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.mastery.calibration import Calibration
from services.mastery.filter import Normal, faded, predict, update
from services.mastery.framework import Framework
from services.mastery.rule import Policy, probability_e6, reference, score_of
from services.mastery.state import MINUTES_PER_DAY
from services.mastery.weigh import MET
from shared.contracts.envelope import MICRO
from shared.contracts.evidence import Kind
from shared.contracts.mastery import Level

MAX_ANSWERS: Final = 20
"""Right answers tried when it is asked what would be enough."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the read tables hold of a learner and a competency."""

    general: Normal
    form: Normal
    competency: Normal
    last_minute: int
    scored: int
    items: int
    days: int
    level: Level


@dataclass(frozen=True, slots=True)
class Estimate:
    """A competency at some minute, against the policy."""

    logit: Normal
    """Of an answer to the reference item."""
    competency: Normal
    success: float
    """Success rate expected on the reference item."""
    probability_e6: int
    """That the success rate is above the bar."""


def estimate(known: Known, minute: int, calibration: Calibration) -> Estimate:
    """Return what is believed at this minute; form of the day and memory of single items are left out."""
    competency = faded(known.competency, (minute - known.last_minute) / MINUTES_PER_DAY, calibration.numbers)
    logit = reference(calibration.reference_easiness, known.general, competency)
    nothing = Normal(0.0, 0.0)
    success = predict(calibration.reference_easiness, known.general, nothing, [competency]).share
    return Estimate(logit, competency, success, probability_e6(logit, calibration.policy))


def unmet(competency_id: str, framework: Framework, levels: Mapping[str, Level]) -> list[str]:
    """Return the prerequisites that hold back `mastered`; `levels` are the learner's."""
    return [name for name in framework.prerequisites.get(competency_id, ()) if levels.get(name) not in MET]


def answers_needed(known: Known, now: Estimate, calibration: Calibration) -> int | None:
    """Return how many right answers to short items of reference difficulty would bring the probability to the certainty asked for.

    0 where it is there; None where 20 would not do. Neither form nor fading changes meanwhile.
    """
    policy, numbers, weight = calibration.policy, calibration.numbers, calibration.kinds[Kind.ITEM]
    general, form, competency = known.general, known.form, now.competency
    for count in range(MAX_ANSWERS + 1):
        if score_of(reference(calibration.reference_easiness, general, competency), policy) >= policy.certainty_z:
            return count
        expected = predict(calibration.reference_easiness, general, form, [competency])
        general, form, (competency,) = update(expected, 1.0, weight.precision, general, form, [competency], numbers)
    return None


def missing(known: Known, now: Estimate, waiting: list[str] | None, calibration: Calibration) -> list[str]:
    """Return in words what stands between the learner and `mastered`; nothing where nothing does.

    Args:
        waiting: names of the prerequisites that are not met; None where no framework is in force.
    """
    policy = calibration.policy
    lacks = []
    if score_of(now.logit, policy) < policy.certainty_z:
        lacks.append(f"certainty: {_percent(now.probability_e6)} that {_bar(policy)}, {_percent(policy.certainty * MICRO)} is asked for")
    for has, asked, what in (
        (known.scored, policy.scored, "scored pieces of work"),
        (known.items, policy.items, "different items"),
        (known.days, policy.days, "different days"),
    ):
        if has < asked:
            lacks.append(f"breadth: {has} of {asked} {what}")
    if waiting is None:
        lacks.append("framework: none was imported, so what comes before is not known")
    lacks.extend(f"prerequisite: {name}" for name in waiting or ())
    return lacks


def sentence(known: Known, now: Estimate, lacks: list[str], more: int | None, policy: Policy) -> str:
    """Return the explanation in one or two sentences, for teachers."""
    said = f"{_percent(now.success * MICRO)} of answers to a standard item are expected to be right."
    match known.level:
        case Level.UNKNOWN:
            return "There is not enough evidence to say how well this is known."
        case Level.MASTERED:
            return f"{said} Mastered: work on enough items and days shows it."
        case Level.REVERIFY:
            return f"{said} It was mastered; it is time to show it again."
        case _:
            pass
    if more:
        return f"{said} About {more} more right answers at standard difficulty would make it certain enough."
    return f"{said} Held back by {'; '.join(lacks)}." if lacks else f"{said} The next work on it decides."


def _bar(policy: Policy) -> str:
    return f"more than {_percent(policy.bar * MICRO)} of answers to a standard item would be right"


def _percent(millionths: float) -> str:
    return f"{round(millionths / 10_000)} %"
