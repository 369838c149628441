"""From the frameworks in force and one package to the frameworks in force afterwards: side by side, revised where it is the same document;
pure.

What a revision replaces stays known, so that what learners have shown in it counts for what stands in its place, whatever later packages
say or leave out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.mastery.framework import Framework
from services.mastery.order import cycle_in
from shared.contracts.mastery import Competency
from shared.errors import BadInput, Fault
from shared.parameters import paged

GONE = "(replaced by a revision)"


def revised(
    before: Framework, document: str, competencies: Sequence[Competency], replaced: Mapping[str, Sequence[str]]
) -> list[Competency]:
    """Return all competencies in force once a package is taken, sorted by document and id.

    Args:
        before: what is in force.
        document: of the package.
        replaced: competency -> those that stand in its place, as the package says.

    Raises:
        BadInput: revisions, or prerequisites across frameworks, form a cycle, which is named.
    """
    new = {known.id: known for known in competencies}
    same = {document, ""} if any(not known.framework and known.id in new for known in before.competencies.values()) else {document}
    kept = {
        known.id: known
        for known in before.competencies.values()
        if known.id not in new and (known.framework not in same or known.replaced_by)
    }  # fmt: skip
    for name, after in replaced.items():
        if name not in new:
            old = kept.get(name) or before.competencies.get(name) or Competency(id=name, statement=GONE, framework=document)
            ends = tuple({*old.replaced_by, *after})
            own = old.framework not in same
            kept[name] = old.model_copy(update={"replaced_by": tuple(sorted(ends)), "assessable": old.assessable and own})
    everything = kept | new
    everything |= {  # What stands in its place has its evidence from now on: nobody could ever show it again.
        id: known.model_copy(update={"assessable": False})
        for id, known in new.items()
        if any(end in everything and (everything[end].assessable or everything[end].replaced_by) for end in known.replaced_by)
    }
    _refuse_cycle(everything, {name: set(known.replaced_by) for name, known in everything.items()}, "revisions", "replacedBy")
    _refuse_cycle(everything, {name: set(known.prerequisites) for name, known in everything.items()}, "prerequisites", "precedes")
    return sorted(everything.values(), key=lambda known: (known.framework, known.id))


def _refuse_cycle(known: Mapping[str, Competency], links: Mapping[str, set[str]], what: str, association: str) -> None:
    cycle = cycle_in(links)
    if cycle:
        names = [known[name].code or name for name in [*cycle, cycle[0]]]
        detail = f"the {what} of all frameworks together form a cycle: {' -> '.join(names)}"
        raise BadInput(detail, [Fault("/CFAssociations", "cycle", detail, f"take one `{association}` out of the cycle")])


def pages_of(competencies: Sequence[Competency]) -> list[list[Any]]:
    """Return the pages of a set: each document begins a page of its own, so that importing one adds no page of another."""
    documents: dict[str, list[Any]] = {}
    for known in competencies:
        documents.setdefault(known.framework, []).append(known.model_dump(mode="json", exclude_defaults=True))
    return [page for items in documents.values() for page in paged(items)]
