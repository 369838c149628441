"""What a report of a calibration says: figures over all, by kind and by group, wrong and late decisions, and items that differ; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.mastery.equity import members_of, tellable
from services.mastery.fitting.columns import Floats, Responses
from services.mastery.fitting.dif import Functioning, functioning
from services.mastery.fitting.figures import Bin, Figures, figures, reliability
from services.mastery.fitting.kernel import Pass
from services.mastery.fitting.stops import AFTER, Stops, stops
from services.mastery.rule import Policy

MAX_ITEMS: Final = 40
"""Items told that function otherwise for a group."""


@dataclass(frozen=True)
class Decisions:
    """How the rule did on some learners; rates are nan where nothing can be said."""

    pairs: int
    """Learners and competencies with work enough to judge."""
    declared: int
    false: float
    """Share of the declarations that later answers speak against."""
    delayed: float
    """Share of those at the bar from the fourth answer on that were never declared."""
    responses: float
    """Median of the responses before a declaration."""


@dataclass(frozen=True)
class Part:
    """Some of the responses."""

    name: str
    learners: int
    figures: Figures
    decisions: Decisions | None = None


@dataclass(frozen=True)
class Report:
    """All that is told of how a calibration does on some responses."""

    whole: Part
    bins: list[Bin]
    kinds: list[Part]
    groups: dict[str, list[Part]]
    """Column -> its groups; those of too few learners are left out."""
    hidden: dict[str, int]
    """Column -> how many groups were left out."""
    functioning: list[Functioning]
    late: int = AFTER
    """Later answers from which a declaration is judged."""


def report(
    responses: Responses, seen: Pass, easiness: Floats, reference: Floats, policy: Policy, groups: Mapping[str, Sequence[str]]
) -> Report:  # fmt: skip
    """Return the report of what was expected of these responses.

    Args:
        easiness: (n) of each response.
        reference: (competencies) easiness of the reference items.
        groups: column -> group of each learner.
    """
    found = stops(responses, seen, easiness, reference, policy)
    everybody = np.ones(len(responses.learners), bool)
    kinds = []
    for at, kind in enumerate(responses.kinds):
        mine = responses.kind == at
        kinds.append(Part(kind, len(np.unique(responses.learner[mine])), figures(responses.score[mine], seen.share[mine])))
    parts: dict[str, list[Part]] = {}
    hidden: dict[str, int] = {}
    items: list[Functioning] = []
    ability = seen.logit - easiness - seen.memory
    members = members_of((at, {column: values[at] for column, values in groups.items()}) for at in range(len(everybody)))
    told = tellable({"all": {"all": set(range(len(everybody)))}, **members})
    for column, values in groups.items():
        shown, hidden[column] = told[column]
        parts[column] = []
        for name in shown:
            member = np.array([value == name for value in values])
            parts[column].append(_part(name, responses, seen, found, member))
            items += functioning(responses, ability, member, f"{column}: {name}")
    return Report(
        _part("all", responses, seen, found, everybody), reliability(responses.score, seen.share), kinds, parts, hidden,
        sorted(items, key=lambda one: (-abs(one.delta), one.item))[:MAX_ITEMS],
    )  # fmt: skip


def _part(name: str, responses: Responses, seen: Pass, found: Stops, member: NDArray[np.bool_]) -> Part:
    mine = member[responses.learner]
    return Part(name, int(member.sum()), figures(responses.score[mine], seen.share[mine]), _decisions(found, member))


def _decisions(found: Stops, member: NDArray[np.bool_]) -> Decisions:
    mine = member[found.learner]
    declared, false, delayed = found.declared[mine], found.false[mine], found.delayed[mine]
    was = declared[declared >= 0]
    return Decisions(len(declared), len(was), _mean(false), _mean(delayed), float(np.median(was)) if len(was) else float("nan"))


def _mean(values: Floats) -> float:
    told = values[~np.isnan(values)]
    return float(told.mean()) if len(told) else float("nan")


def lines(found: Report) -> Iterator[tuple[str, Part]]:
    """Yield every part with what it is a part of, for tables."""
    yield "all", found.whole
    for part in found.kinds if len(found.kinds) > 1 else ():
        yield "kind", part
    for column, parts in found.groups.items():
        for part in parts:
            yield column, part
