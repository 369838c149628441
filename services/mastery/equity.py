"""How levels, expectations and decisions come out for groups of learners that a district names when it asks; pure.

Groups are neither kept nor used for anything else. A cell that would say something of few learners is left out, and so is what would give
it away: the groups left out of a column are two at least and SMALLEST_GROUP learners at least together, and no group of one column can be
subtracted from those of another so that few are left. What is shared among some of the learners only, is told by the same rule of these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Final
from uuid import UUID

import orjson

from services.mastery.inputs import Inputs
from services.mastery.rule import MET
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

Groups = Mapping[str, Set[Hashable]]
Columns = Mapping[str, Groups]


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
        told: the estimates and changes of level of the learner's stream, in order, and what was weighed again. Scores count as they were
            corrected, what is void does not, and evidence that came late is left out: nothing was expected of it before.
        levels: how many competencies stand at each level now.
    """
    facts = Facts(learners=1, levels=Counter(dict(levels)))
    answers, declared = _answers(told)
    above: dict[str, list[float]] = {}
    before: Counter[str] = Counter()
    for place, answer in enumerate(answers):
        if answer.score is None:
            continue
        facts.responses += 1
        facts.expected += answer.expected
        facts.scored += answer.score
        for name, off in _above(answer.evidence, answer.score, inputs):
            above.setdefault(name, []).append(off)
            before[name] += place < declared.get(name, 0)
    for name, scores in above.items():
        _judge(facts, scores, before[name] if name in declared else None)
    return facts


@dataclass(slots=True)
class _Answer:
    """A piece of evidence and what was expected of it; without a score where it is void."""

    evidence: Mapping[str, Any]
    expected: float
    score: float | None


def _answers(told: Iterable[bytes]) -> tuple[list[_Answer], dict[str, int]]:
    """Return a learner's answers as they stand, and for each competency declared mastered how many answers came before."""
    answers: dict[str, _Answer] = {}
    declared: dict[str, int] = {}
    for raw in told:
        data = orjson.loads(raw)["data"]
        if "level" in data:
            name, cited = data["competency_id"], data.get("evidence_ids", ())
            if data["level"] == Level.MASTERED.value and not data.get("override"):
                declared.setdefault(name, len(answers))
            elif data["level"] not in MET and any(each in answers and answers[each].score is None for each in cited):
                declared.pop(name, None)  # What it rested on is void: it was never declared.
        elif "expected_e6" in data:
            seen = data["evidence"]
            answers[seen["evidence_id"]] = _Answer(seen, data["expected_e6"] / MICRO, seen["score_e6"] / MICRO)
        elif "voided" in data and (void := answers.get(data["voided"]["evidence_id"])):
            void.score = None
        elif "rescored" in data and (known := answers.get(data["rescored"]["evidence_id"])):
            known.score = data["rescored"]["score_e6"] / MICRO
    return list(answers.values()), declared


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


def members_of(learners: Iterable[tuple[Hashable, Mapping[str, str]]]) -> Columns:
    """Return who is in each group of each column."""
    found: dict[str, dict[str, set[Hashable]]] = {}
    for learner, groups in learners:
        for column, name in groups.items():
            found.setdefault(column, {}).setdefault(name, set()).add(learner)
    return found


def tellable(columns: Columns) -> dict[str, tuple[list[str], int]]:
    """Return for each column the groups that may be told of, in the order of their names, and how many are left out.

    Where groups of two columns differ by few learners, their sums do so too: the smallest of these groups is left out.

    >>> both = {"all": set(range(40))}
    >>> tellable({"a": both, "b": {"most": set(range(35))}})
    {'a': (['all'], 0), 'b': ([], 1)}
    >>> tellable({"a": both, "b": {"half": set(range(20)), "rest": set(range(20, 40))}})
    {'a': (['all'], 0), 'b': (['half', 'rest'], 0)}
    """
    counts = {column: {name: len(who) for name, who in groups.items()} for column, groups in columns.items()}
    left: dict[str, set[str]] = {column: set() for column in columns}
    shown = {column: _large_enough(counts[column]) for column in columns}
    waiting = list(combinations(columns, 2))
    while waiting:  # Ends: whenever pairs come again, one more group was left out.
        pair = waiting.pop()
        found = _gives_away(*({name: columns[column][name] for name in shown[column]} for column in pair))
        if found is not None:
            column, name = pair[found[0]], found[1]
            left[column].add(name)
            shown[column] = _large_enough(counts[column], left[column])
            waiting += [each for each in combinations(columns, 2) if column in each and each not in waiting]
    return {column: (names, len(columns[column]) - len(names)) for column, names in shown.items()}


def _large_enough(counts: Mapping[str, int], but: Collection[str] = ()) -> list[str]:
    """Return the groups that may be told of when their column is all that is known, in the order of their names.

    >>> _large_enough({"a": 90, "b": 40, "c": 3})
    ['a']
    """
    shown = sorted(name for name, count in counts.items() if count >= SMALLEST_GROUP and name not in but)
    while shown and len(counts) - len(shown) > 0 and not _safe(counts, shown):
        shown.remove(min(shown, key=lambda name: (counts[name], name)))
    return shown


def _safe(counts: Mapping[str, int], shown: Sequence[str]) -> bool:
    """Return whether the groups left out say nothing of few learners when they are what is missing from the whole."""
    hidden = [count for name, count in counts.items() if name not in shown]
    return len(hidden) > 1 and sum(hidden) >= SMALLEST_GROUP


def _gives_away(one: Groups, other: Groups) -> tuple[int, str] | None:
    """Return the smallest of those groups whose sums, subtracted from each other, tell of few learners: which of both columns it is in, and
    its name; None where none do."""
    for mine, theirs in ((one, other), (other, one)):  # A group, and those of the other column that lie within it.
        home = {learner: name for name, who in theirs.items() for learner in who}
        for name, who in mine.items():
            met = Counter(home[learner] for learner in who if learner in home)
            within = [found for found, count in met.items() if count == len(theirs[found])]
            rest = len(who) - sum(met[found] for found in within)
            if within and 0 < rest < SMALLEST_GROUP:
                return _smallest([(mine is other, name, len(who)), *((theirs is other, found, met[found]) for found in within)])
    for ones, others in _connected(one, other):  # Groups of both columns that hold nearly the same learners together.
        apart = set().union(*(one[name] for name in ones)) ^ set().union(*(other[name] for name in others))
        if 0 < len(apart) < SMALLEST_GROUP:
            sizes = [(False, name, len(one[name])) for name in ones] + [(True, name, len(other[name])) for name in others]
            return _smallest(sizes)
    return None


def _smallest(groups: Iterable[tuple[bool, str, int]]) -> tuple[int, str]:
    second, name, _ = min(groups, key=lambda group: (group[2], group[1], group[0]))
    return int(second), name


def _connected(one: Groups, other: Groups) -> Iterator[tuple[set[str], set[str]]]:
    """Yield the groups of two columns that hang together by learners who are in both."""
    home = {learner: name for name, who in other.items() for learner in who}
    links = {name: {home[learner] for learner in who if learner in home} for name, who in one.items()}
    waiting = sorted(name for name in one if links[name])
    while waiting:
        ones, others, more = set[str](), set[str](), {waiting[0]}
        while more:  # Ends: each time more groups are found.
            ones |= more
            others = set().union(*(links[name] for name in ones))
            more = {name for name in waiting if name not in ones and links[name] & others}
        waiting = [name for name in waiting if name not in ones]
        yield ones, others


def rate(part: float, whole: float) -> int | None:
    """Return a share in millionths; None of nothing."""
    return round(part / whole * MICRO) if whole else None
