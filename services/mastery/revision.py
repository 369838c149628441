"""From the frameworks in force and one package, or one document to withdraw, to the frameworks in force afterwards: side by side, revised
where it is the same document; pure.

What a revision replaces stays known, so that what learners have shown in it counts for what stands in its place, whatever later packages
say or leave out. An item that several documents name stands in the one that came first, and goes to another when that one drops it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.mastery.framework import Framework, indexed
from services.mastery.order import cycle_in
from services.mastery.reading import Note
from shared.contracts.mastery import Competency
from shared.errors import BadInput, Fault
from shared.parameters import paged

GONE = "(replaced by a revision)"
LATER = "nothing in force stands in its place yet, so it stays a goal; as soon as a framework in force has {}, that does"
Known = dict[str, Competency]


@dataclass(frozen=True, slots=True)
class Revised:
    """The frameworks in force once a package is taken."""

    competencies: list[Competency]
    """Sorted by document and id."""
    notes: list[Note]
    """What of the package is taken otherwise than it stands there, because of the frameworks beside it."""


def revised(before: Framework, document: str, competencies: Sequence[Competency], replaced: Mapping[str, Sequence[str]]) -> Revised:
    """Return all competencies in force once a package is taken.

    Args:
        before: what is in force.
        document: of the package.
        replaced: competency -> those that stand in its place, as the package says.

    Raises:
        BadInput: revisions, or prerequisites across frameworks, form a cycle, which is named.
    """
    sent = {known.id: known for known in competencies}
    untold = any(not known.framework and known.assessable and known.id in sent for known in before.competencies.values())
    same = {document, ""} if untold else {document}  # From before documents were told apart.
    new: Known = {}
    kept: Known = {}
    notes = []
    for id, known in sent.items():
        old = before.competencies.get(id)
        if old is not None and _held(old, known, same):
            kept[id] = old.model_copy(update={"also_in": _sorted(old.also_in, [document])})
            notes.append(Note("/CFItems", "of-another-document", f"{known.code or id} stands in document {old.framework}, as that has it"))
        else:
            also = () if old is None or old.statement == GONE else (*old.also_in, old.framework)
            new[id] = known.model_copy(update={"also_in": _sorted(name for name in also if name and name not in same)})
    for id, old in before.competencies.items():
        if id not in sent:
            left = _left(old, same)
            withdrawn_before = not left.framework and not left.assessable
            if left.framework not in same or left.replaced_by or left.replaced_elsewhere or withdrawn_before:
                kept[id] = left
    for id, after in replaced.items():
        if id not in new:
            old = kept.get(id) or before.competencies.get(id) or Competency(id=id, statement=GONE, framework=document)
            shown = old.assessable and old.framework not in same
            kept[id] = old.model_copy(update={"replaced_elsewhere": _sorted(old.replaced_elsewhere, after), "assessable": shown})
    everything = kept | new
    real = {id for id, known in everything.items() if known.statement != GONE}
    for id, known in new.items():
        told = [end for end in _ends(before.competencies.get(id, known)) if known.also_in or _others(everything.get(end), document)]
        first = tuple(name for name in known.prerequisites if name in real)
        later = _sorted(known.replaced_by, told)
        everything[id] = known.model_copy(update={"replaced_by": (), "replaced_elsewhere": later, "prerequisites": first})
    everything = _settled(everything)
    for id in sorted(new.keys() | replaced.keys()):
        known = everything[id]
        if known.assessable and known.replaced_elsewhere:
            detail = f"{known.code or id}: {LATER.format(' or '.join(known.replaced_elsewhere[:3]))}"
            notes.append(Note("/CFAssociations", "replaced-elsewhere", detail))
    return Revised(_in_order(_followed(everything)), notes)


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The frameworks in force once a document is withdrawn, and what depended on it."""

    competencies: list[Competency]
    """Sorted by document and id."""
    changes: bool
    """False where nothing of the document was in force."""
    of_document: tuple[str, ...]
    """What stood in it."""
    kept: tuple[str, ...]
    """What of it stays known, and is no goal any more."""
    passed: Mapping[str, int]
    """Document in force -> how many that it names, too, stand in it from now on."""
    before_others: tuple[str, ...]
    """Competencies of other documents that something of it came before, which holds them back no more."""
    replaced: tuple[str, ...]
    """Competencies of other documents whose place something of it has taken: they are goals again once theirs is imported again."""


def withdrawn(before: Framework, document: str, named: Collection[str]) -> Withdrawn:
    """Return what is in force without a document.

    Args:
        named: what learners have a level in, or evidence of. It stays known, so that their levels stay.
    """
    settled = _settled(dict(before.competencies))
    own = {id: known for id, known in settled.items() if known.framework == document}
    others = {id: _left(known, {document}) for id, known in settled.items()}
    others = {id: known for id, known in others.items() if known.framework != document}
    gone = own.keys() - others.keys()
    kept = {end for known in others.values() for end in known.replaced_by if end in gone}
    kept |= {id for id in gone if id in named or not others.keys().isdisjoint(own[id].replaced_by)}
    while more := {id for id in gone - kept if not kept.isdisjoint(own[id].replaced_by)}:  # Ends: `kept` grows.
        kept |= more
    stays = {id: own[id].model_copy(update={"assessable": False, "framework": ""}) for id in kept}
    passed = [others[id].framework for id in own if id in others]
    after = others | stays
    changes = any(document in known.also_in or (id in own and known != after.get(id)) for id, known in before.competencies.items())
    return Withdrawn(
        _in_order(after), changes, tuple(sorted(own)), tuple(sorted(kept)), {name: passed.count(name) for name in sorted(set(passed))},
        tuple(sorted(
            id for id, known in others.items()
            if id not in own and any(first in gone and settled[first].assessable for first in before.prerequisites.get(id, ()))
        )),
        tuple(sorted(id for id, known in others.items() if any(end in gone for end in known.replaced_by))),
    )  # fmt: skip


def _held(old: Competency, known: Competency, same: set[str]) -> bool:
    """Return whether what is in force stays as another document has it, where a package names it, too: unless only the package has it as
    something that can be shown."""
    standing = old.framework and old.framework not in same and old.statement != GONE
    return bool(standing and (old.assessable or old.replaced_by or not known.assessable))


def _others(known: Competency | None, document: str) -> bool:
    """Return whether another document may have said what stands in the place of what: it names this."""
    return known is not None and (known.framework != document or bool(known.also_in))


def _left(known: Competency, documents: set[str]) -> Competency:
    """Return a competency once these documents do not name it any more: where it stands in one of them, it goes to another."""
    also = [name for name in known.also_in if name not in documents]
    if known.framework in documents and also:
        return known.model_copy(update={"framework": also[0], "also_in": tuple(also[1:])})
    return known.model_copy(update={"also_in": tuple(also)}) if len(also) < len(known.also_in) else known


def _settled(competencies: Known) -> Known:
    """Return the competencies with what stands in their place now, and what is to do so later.

    What can be shown is replaced only by what can be shown, or was replaced by such: its evidence counts for that from then on, and nobody
    could ever show it again, so it is no goal.
    """
    links = {id: set(_ends(known)) for id, known in competencies.items()}
    _refuse_cycle(competencies, links, "the revisions of all frameworks together form a cycle", "replacedBy")
    alive: dict[str, bool] = {}

    def lives(id: str) -> bool:
        waiting = [id]
        while waiting:  # Ends: revisions form no cycle.
            name = waiting[-1]
            unknown = [end for end in links.get(name, ()) if end not in alive]
            if name not in competencies or competencies[name].assessable or not unknown:
                waiting.pop()
                alive[name] = name in competencies and (competencies[name].assessable or any(alive[end] for end in links[name]))
            else:
                waiting.extend(unknown)
        return alive[id]

    found = dict(competencies)
    for id, known in competencies.items():
        now = tuple(end for end in _ends(known) if lives(end))
        kept = () if known.assessable else known.replaced_by  # What cannot be shown anyway loses nothing by it.
        now = _sorted(now, kept)
        later = tuple(end for end in _ends(known) if end not in now)
        if (now, later) != (known.replaced_by, known.replaced_elsewhere) or (known.assessable and now):
            changes = {"replaced_by": now, "replaced_elsewhere": later, "assessable": known.assessable and not now}
            found[id] = known.model_copy(update=changes)
    return found


def _ends(known: Competency) -> tuple[str, ...]:
    return _sorted(known.replaced_by, known.replaced_elsewhere)


def _followed(competencies: Known) -> Known:
    """Return the competencies, after a look at what comes before what once it is followed to what stands in its place, as deciders do.

    Where a competency has taken in what came before it, that comes before it no more.
    """
    replaced = indexed(competencies.values()).replaced
    found = dict(competencies)
    for id, known in competencies.items():
        own = [first for first in known.prerequisites if id in replaced.get(first, ())]
        if own:
            others = [now for first in own for now in replaced[first] if now != id]
            left = _sorted(others, (first for first in known.prerequisites if first not in own))
            found[id] = known.model_copy(update={"prerequisites": left})
    plain = {id: set(known.prerequisites) for id, known in found.items()}
    _refuse_cycle(found, plain, "the prerequisites of all frameworks together form a cycle", "precedes")
    followed = {
        id: {now for first in known.prerequisites for now in replaced.get(first, (first,)) if now in found}
        for id, known in found.items() if id not in replaced
    }  # fmt: skip
    what = "the prerequisites of all frameworks together form a cycle, once what was replaced counts for what stands in its place"
    _refuse_cycle(found, followed, what, "precedes")
    return found


def _refuse_cycle(known: Mapping[str, Competency], links: Mapping[str, set[str]], what: str, association: str) -> None:
    cycle = cycle_in(links)
    if cycle:
        names = [known[name].code or name for name in [*cycle, cycle[0]]]
        detail = f"{what}: {' -> '.join(names)}"
        raise BadInput(detail, [Fault("/CFAssociations", "cycle", detail, f"take one `{association}` out of the cycle")])


def _sorted(*names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({name for some in names for name in some}))


def _in_order(competencies: Mapping[str, Competency]) -> list[Competency]:
    return sorted(competencies.values(), key=lambda known: (known.framework, known.id))


def pages_of(competencies: Sequence[Competency]) -> list[list[Any]]:
    """Return the pages of a set: each document begins a page of its own, so that importing one adds no page of another."""
    documents: dict[str, list[Any]] = {}
    for known in competencies:
        documents.setdefault(known.framework, []).append(known.model_dump(mode="json", exclude_defaults=True))
    return [page for items in documents.values() for page in paged(items)]
