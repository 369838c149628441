"""What a learner needs of a school day: the next steps of her path in each subject."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Final

from services.pathing.versions.v3_catalogue import Framework
from shared.contracts.pathing import Reason, Step

NEEDS_PER_SUBJECT: Final = 3


def needs_of(framework: Framework, before: Sequence[Sequence[int]], done: Set[int], steps: Sequence[Step]) -> tuple[Step, ...]:
    """Return up to three steps for each subject: those open now in the order of the path, then those that open once they are done.

    A review behind three open new steps has the third place: the path has it after four, where no school day would come to it.
    Subjects stand in the order of their first step. No need has an unmet prerequisite that is not an earlier need.

    Args:
        before: the prerequisites of each place that count for the learner.
        done: what she has mastered.
    """

    def unmet(competency_id: str) -> set[str]:
        return {framework.entries[place].id for place in before[framework.index[competency_id]] if place not in done}

    subjects: dict[str, list[Step]] = {step.subject: [] for step in steps}
    missing_of = [set() if step.reason is Reason.REVIEW else unmet(step.competency_id) for step in steps]
    for step, missing in zip(steps, missing_of, strict=True):
        if missing:
            continue
        needs = subjects[step.subject]
        if len(needs) < NEEDS_PER_SUBJECT:
            needs.append(step)
        elif step.reason is Reason.REVIEW and all(need.reason is not Reason.REVIEW for need in needs):
            needs[-1] = step
    met = {step.competency_id for needs in subjects.values() for step in needs}
    for step, missing in zip(steps, missing_of, strict=True):
        if missing and missing <= met and len(subjects[step.subject]) < NEEDS_PER_SUBJECT:
            subjects[step.subject].append(step)
            met.add(step.competency_id)
    return tuple(step for needs in subjects.values() for step in needs)
