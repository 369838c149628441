"""What a learner needs of a school day: the next steps of her path in each subject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from services.pathing.versions.v2_catalogue import Framework
from services.pathing.versions.v2_planner import Learner
from shared.contracts.mastery import Level
from shared.contracts.pathing import Reason, Step

NEEDS_PER_SUBJECT: Final = 3
_KNOWN: Final = frozenset({Level.MASTERED, Level.REVERIFY})


def needs_of(framework: Framework, learner: Learner, steps: Sequence[Step]) -> tuple[Step, ...]:
    """Return up to three steps for each subject: those open now in the order of the path, then those that open once they are done.

    Subjects stand in the order of their first step. No need has an unmet prerequisite that is not an earlier need.
    """
    subjects: dict[str, list[Step]] = {step.subject: [] for step in steps}
    known = framework.levels_by_place(learner.levels)
    unmet = [set() if step.reason is Reason.REVIEW else _unmet(framework, known, step.competency_id) for step in steps]
    for step, missing in zip(steps, unmet, strict=True):
        if not missing and len(subjects[step.subject]) < NEEDS_PER_SUBJECT:
            subjects[step.subject].append(step)
    met = {step.competency_id for needs in subjects.values() for step in needs}
    for step, missing in zip(steps, unmet, strict=True):
        if missing and missing <= met and len(subjects[step.subject]) < NEEDS_PER_SUBJECT:
            subjects[step.subject].append(step)
            met.add(step.competency_id)
    return tuple(step for needs in subjects.values() for step in needs)


def _unmet(framework: Framework, known: Mapping[int, Level], competency_id: str) -> set[str]:
    before = framework.before[framework.index[competency_id]]
    return {framework.entries[place].id for place in before if known.get(place) not in _KNOWN}
