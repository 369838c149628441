"""The framework in force, as views."""

from __future__ import annotations

from collections import Counter

from services.mastery.framework import EMPTY, FRAMEWORK
from services.mastery.queries.views import FrameworkView
from shared.contracts.mastery import Competency
from shared.parameters import Parameters


def framework_view(parameters: Parameters) -> FrameworkView:
    """Return a summary of the framework in force; nothing is in it before one was imported."""
    framework = parameters.get(FRAMEWORK) or EMPTY
    known = framework.competencies.values()
    return FrameworkView(
        framework_id=parameters.id_of(FRAMEWORK), competencies=len(framework.competencies),
        assessable=sum(each.assessable for each in known), prerequisites=sum(len(each.prerequisites) for each in known),
        replaced=len(framework.replaced), frameworks=_sorted(Counter(each.framework for each in known)),
        goals=_sorted(Counter(each.framework for each in known if each.assessable)),
        families=_sorted(Counter(each.family for each in known)), subjects=_sorted(Counter(each.subject for each in known)),
        grades=_sorted(Counter(grade for each in known for grade in each.grades)),
    )  # fmt: skip


def _sorted(counted: Counter[str]) -> dict[str, int]:
    return dict(sorted(counted.items()))


def competencies_in(parameters: Parameters, subject: str | None, grade: str | None, after: str, most: int) -> list[Competency]:
    """Return competencies of the framework in force, in the order of their ids, from those behind `after`."""
    framework = parameters.get(FRAMEWORK) or EMPTY
    found = []
    for known in framework.competencies.values():
        if known.id > after and (subject is None or known.subject == subject.lower()) and (grade is None or grade in known.grades):
            found.append(known)
            if len(found) == most:
                break
    return found
