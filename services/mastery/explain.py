"""What an estimate explains: where it comes from, how sure it is, what is missing, and what would change it; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from services.mastery.calibration import Calibration
from services.mastery.filter import Normal, faded, predict, update
from services.mastery.framework import Framework
from services.mastery.policy import UTC_DAYS, Days
from services.mastery.rule import MET, Policy, Standing, level_of, probability_e6, reference, score_of
from services.mastery.state import KIND_BITS, MINUTES_PER_DAY
from services.mastery.words import Said, percent, say
from shared.contracts.envelope import MICRO
from shared.contracts.evidence import Kind
from shared.contracts.mastery import Level

MAX_ANSWERS: Final = 20
"""Right answers tried when it is asked what would be enough."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a learner and a competency."""

    general: Normal
    form: Normal
    competency: Normal
    last_minute: int
    scored: int
    items: int
    days: int
    level: Level
    kinds: int = -1
    """Kinds of evidence seen, as bits; -1 where nobody looked."""


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
    easiness: float
    """Of the reference item, in logits."""


def estimate(known: Known, minute: int, calibration: Calibration, policy: Policy, easiness: float) -> Estimate:
    """Return what is believed at this minute; form of the day and memory of single items are left out.

    Args:
        easiness: of the reference item, in logits.
    """
    competency = faded(known.competency, (minute - known.last_minute) / MINUTES_PER_DAY, calibration.numbers)
    logit = reference(easiness, known.general, competency)
    nothing = Normal(0.0, 0.0)
    success = predict(easiness, known.general, nothing, [competency]).share
    return Estimate(logit, competency, success, probability_e6(logit, policy), easiness)


def unmet(competency_id: str, framework: Framework, levels: Mapping[str, Level], waived: Sequence[tuple[str, str]] = ()) -> list[str]:
    """Return the prerequisites that hold back `mastered`; `levels` are the learner's."""
    before = framework.prerequisites.get(competency_id, ())
    return [name for name in before if levels.get(name) not in MET and (competency_id, name) not in waived]


def answers_needed(known: Known, now: Estimate, calibration: Calibration, policy: Policy) -> int | None:
    """Return how many right answers to short new items of reference difficulty would make it mastered, days and prerequisites apart.

    Each is put through the filter and judged by the rule. 0 where it is mastered; None where 20 would not do. Neither form nor fading
    changes meanwhile.
    """
    if known.level is Level.MASTERED:
        return 0
    numbers, weight = calibration.numbers, calibration.kinds[Kind.ITEM]
    general, form, competency = known.general, known.form, now.competency
    for count in range(MAX_ANSWERS + 1):
        logit = reference(now.easiness, general, competency)
        days = max(known.days, policy.days)
        standing = Standing(logit, known.scored + count, min(3, known.items + count), days, True, None, -1)
        if level_of(Level.REVERIFY if known.level is Level.REVERIFY else Level.UNKNOWN, standing, policy) is Level.MASTERED:
            return count
        expected = predict(now.easiness, general, form, [competency])
        general, form, (competency,) = update(expected, 1.0, weight.precision, general, form, [competency], numbers)
    return None


def missing(
    known: Known, now: Estimate, waiting: Sequence[str] | None, policy: Policy, days: Days = UTC_DAYS, any_framework: bool = False
) -> list[Said]:
    """Return what stands between the learner and `mastered`; nothing where nothing does.

    Mastered stays so until the probability is below another bound; what is due to be shown again asks for certainty alone.

    Args:
        waiting: names of the prerequisites that are not met; None where no framework in force names the competency.
        any_framework: whether one is in force at all.
    """
    if known.level is Level.MASTERED:
        return []
    lacks = []
    if score_of(now.logit, policy) < policy.certainty_z:
        bar, asked = percent(policy.bar * MICRO), percent(policy.certainty * MICRO)
        lacks.append(say("missing.certainty", probability=percent(now.probability_e6), bar=bar, certainty=asked))
    if known.level is Level.REVERIFY:
        return lacks
    for what, has, asked_for in (("scored", known.scored, policy.scored), ("items", known.items, policy.items)):
        if has < asked_for:
            lacks.append(say(f"missing.{what}", has=has, asked=asked_for))
    if known.days < policy.days:
        lacks.append(say("missing.days", has=known.days, asked=policy.days, timezone=days.name))
    lacks += [say("missing.kind", kind=kind.value) for kind, bit in KIND_BITS.items() if policy.kinds & bit & ~known.kinds]
    if waiting is None:
        lacks.append(say("missing.not-in-framework" if any_framework else "missing.framework"))
    lacks += [say("missing.prerequisite", name=name) for name in waiting or ()]
    return lacks


def sentence(known: Known, now: Estimate, lacks: Sequence[Said], more: int | None, by_person: bool = False) -> Said:
    """Return the explanation in one or two sentences, for teachers. Of a level that a person set, work shows nothing."""
    success = percent(now.success * MICRO)
    if by_person:
        return say("level.by-person", success=success)
    match known.level:
        case Level.UNKNOWN:
            return say("level.unknown")
        case Level.MASTERED:
            return say("level.mastered", success=success)
        case Level.REVERIFY:
            return say("level.reverify", success=success)
        case _:
            pass
    if more:
        return say("level.more", success=success, more=more)
    if lacks:
        return say("level.held-back", success=success, missing="; ".join(lack.text for lack in lacks))
    return say("level.next", success=success)


def contributions(known: Known, now: Estimate) -> list[tuple[str, float, bool, Said]]:
    """Return the parts of the expected logit: name, logits, whether the level rests on it, and words."""
    parts = (
        ("item", now.easiness, True), ("learner", known.general.mean, True),
        ("competency", now.competency.mean, True), ("form", known.form.mean, False), ("same-item", 0.0, False),
    )  # fmt: skip
    return [(part, logit, decides, say(f"part.{part}")) for part, logit, decides in parts]
