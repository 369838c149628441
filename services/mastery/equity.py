"""How levels, expectations and decisions come out for groups of learners that a district names when it asks; pure.

Groups are neither kept nor used for anything else. A cell that would say something of few learners is left out, and so is what would give
it away: the groups left out of a column are two at least and SMALLEST_GROUP learners at least together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import orjson

from services.mastery.inputs import Inputs
from shared.contracts.envelope import MICRO
from shared.contracts.evidence import Kind
from shared.contracts.mastery import Level
from shared.exact import sigmoid

SMALLEST_GROUP: Final = 10
"""Learners below which nothing is told of a group."""
AFTER: Final = 5
"""Later answers on a competency from which a declaration is judged; as many from the fourth on where nothing was declared."""
BEFORE: Final = 3
"""Answers that are needed before anything could be declared."""


@dataclass(slots=True)
class Facts:
    """What is known of one or more learners, in sums."""

    learners: int = 0
    levels: Counter[Level] = field(default_factory=Counter)
    """Learners and competencies, by what is told of them."""
    responses: int = 0
    expected: float = 0.0
    """Sum of the expected scores."""
    scored: float = 0.0
    """Sum of the scores seen."""
    judged: int = 0
    """Declarations with answers enough after them."""
    false: int = 0
    """Of these, those whose later answers stayed below what a learner at the bar would have scored."""
    at_bar: int = 0
    """Learners and competencies whose answers from the fourth on reached that."""
    delayed: int = 0
    """Of these, those that were never declared."""

    def add(self, other: Facts) -> None:
        """Take in the facts of other learners."""
        self.learners += other.learners
        self.levels.update(other.levels)
        self.responses += other.responses
        self.expected += other.expected
        self.scored += other.scored
        self.judged += other.judged
        self.false += other.false
        self.at_bar += other.at_bar
        self.delayed += other.delayed


def facts_of(told: Iterable[bytes], levels: Mapping[Level, int], inputs: Inputs) -> Facts:
    """Return the facts of one learner.

    Args:
        told: the estimates and changes of level of the learner's stream, in order; scores as they were told first.
        levels: how many competencies stand at each level now.
    """
    facts = Facts(learners=1, levels=Counter(dict(levels)))
    above: dict[str, list[float]] = {}
    declared: dict[str, int] = {}
    for raw in told:
        data = orjson.loads(raw)["data"]
        if "level" in data:
            if data["level"] == Level.MASTERED.value and not data.get("override"):
                declared.setdefault(data["competency_id"], len(above.get(data["competency_id"], ())))
        elif "expected_e6" in data:
            score = data["evidence"]["score_e6"] / MICRO
            facts.responses += 1
            facts.expected += data["expected_e6"] / MICRO
            facts.scored += score
            for name, off in _above(data["evidence"], score, inputs):
                above.setdefault(name, []).append(off)
    for name, scores in above.items():
        _judge(facts, scores, declared.get(name))
    return facts


def _above(evidence: Mapping[str, Any], score: float, inputs: Inputs) -> Iterable[tuple[str, float]]:
    """Yield by how much a score lies above that of a learner exactly at the bar, for each competency."""
    names = inputs.framework.current(tuple(evidence["competency_ids"]))
    easiness = inputs.calibration.easiness(UUID(evidence["item_id"]), Kind(evidence.get("kind", Kind.ITEM.value)), names)
    for name in names:
        at_bar = sigmoid(inputs.policy_of(name).bar_logit + easiness - inputs.calibration.reference_of(name))
        yield name, score - at_bar


def _judge(facts: Facts, above: Sequence[float], declared: int | None) -> None:
    if declared is not None and len(above) - declared >= AFTER:
        facts.judged += 1
        facts.false += sum(above[declared:]) < 0.0
    if len(above) >= BEFORE + AFTER and sum(above[BEFORE:]) >= 0.0:
        facts.at_bar += 1
        facts.delayed += declared is None


def by_group(learners: Iterable[tuple[Facts, Mapping[str, str]]]) -> dict[str, dict[str, Facts]]:
    """Return the sums of each group of each column."""
    found: dict[str, dict[str, Facts]] = {}
    for facts, groups in learners:
        for column, name in groups.items():
            found.setdefault(column, {}).setdefault(name, Facts()).add(facts)
    return found


def large_enough(counts: Mapping[str, int]) -> tuple[list[str], int]:
    """Return the groups that may be told of, in the order of their names, and how many are left out.

    >>> large_enough({"a": 90, "b": 40, "c": 3})
    (['a'], 2)
    """
    shown = sorted(name for name, count in counts.items() if count >= SMALLEST_GROUP)
    while shown and len(counts) - len(shown) > 0 and not _safe(counts, shown):
        shown.remove(min(shown, key=lambda name: (counts[name], name)))
    return shown, len(counts) - len(shown)


def _safe(counts: Mapping[str, int], shown: Sequence[str]) -> bool:
    """Return whether the groups left out say nothing of few learners when they are what is missing from the whole."""
    hidden = [count for name, count in counts.items() if name not in shown]
    return len(hidden) > 1 and sum(hidden) >= SMALLEST_GROUP


def rate(part: float, whole: float) -> int | None:
    """Return a share in millionths; None of nothing."""
    return round(part / whole * MICRO) if whole else None
