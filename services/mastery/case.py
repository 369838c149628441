"""Competencies from a CASE package (1EdTech Competencies and Academic Standards Exchange 1.0 and 1.1, JSON); pure.

Taken: `CFItems` as competencies, their `CFItemType` as family, `isChildOf` as hierarchy, `precedes` as prerequisite, `replacedBy` as
revision, `exactMatchOf`, `isRelatedTo` and `isPeerOf` as similar; `statusStartDate`, `statusEndDate` and `adoptionStatus` say what is in
use. What can be understood in one way only is taken and noted; what cannot is refused, each place named by a JSON pointer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from services.mastery.grades import GRADES, grades_of
from services.mastery.order import cycle_in
from services.mastery.reading import MAX_WORD, Note, Reader
from services.mastery.spreading import handed_on, spread
from shared.contracts.mastery import Competency
from shared.errors import BadInput, Fault, MalformedInput, TooLarge
from shared.keys import guid_of

MAX_ITEMS: Final = 20_000
MAX_ASSOCIATIONS: Final = 60_000
MAX_BODY_BYTES: Final = 96 * 1024 * 1024
"""Of a package: as many items and associations as those with the words that published ones have. Reading it takes 600 MiB."""
MAX_STATEMENT: Final = 2_000
MAX_GRADES: Final = 20
MAX_CYCLE_NAMED: Final = 20
MAX_BEFORE: Final = 2_000
"""Prerequisites of one competency; together with MAX_SIMILAR and MAX_REPLACED they fit into a page."""
MAX_SIMILAR: Final = 1_000
MAX_REPLACED: Final = 500
DEPRECATED: Final = "deprecated"
"""Adoption status of a document that nobody is to use any more, lower case."""

CHILD, BEFORE = "isChildOf", "precedes"
REPLACED: Final = "replacedBy"
SIMILAR: Final = frozenset({"exactMatchOf", "isRelatedTo", "isPeerOf"})
UNUSED: Final = frozenset({"isPartOf", "exemplar", "hasSkillLevel", "isTranslationOf"})
"""Types of the standard that say nothing here."""
HEADINGS: Final = frozenset({
    "domain", "cluster", "strand", "substrand", "sub strand", "heading", "grade level", "grade", "grade band", "course",
    "conceptual category", "category", "subcategory", "topic", "subtopic", "theme", "unit", "discipline", "big idea", "reporting category",
    "section", "chapter",
})  # fmt: skip
"""Types of items, lower case and with blanks between words, that only group others."""
STANDARDS: Final = frozenset({
    "standard", "substandard", "sub standard", "competency", "skill", "component", "learning target", "learning objective", "objective",
    "outcome", "learning outcome", "learning expectation", "expectation", "student expectation", "grade level expectation",
    "content expectation", "performance expectation", "benchmark", "indicator", "performance indicator",
})  # fmt: skip
"""Types of items that can be shown even where they have children. Any other item can be shown where it has none."""


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a package."""

    document: str
    title: str
    items: int
    headings: int
    """Items that only group others."""
    retired: int
    """Items that would be goals and are none, because their time, or that of the document, is over or has not begun."""
    children: int
    prerequisites: int
    """Links between items that are no headings."""
    heading_prerequisites: int
    """Links of which an end is a heading."""
    spread: int
    """Prerequisites among the competencies beneath that came of those; what came of none is noted (`heading-prerequisite`)."""
    gradeless: int
    """Competencies that can be shown and have no grade level, of their own or of a parent: they belong to every grade."""
    associations: Mapping[str, int]
    """How many there are of each type."""
    unknown_types: tuple[str, ...]
    """Types that are not of the standard; they say nothing here."""
    replaced: Mapping[str, tuple[str, ...]]
    """Competencies, of this package or an earlier one, and those that stand in their place."""
    noted: Mapping[str, int]
    """How many notes there are of each code."""
    notes: tuple[Note, ...]
    """The first of them, some of each code."""


def read_package(package: Any, known: Collection[str] = (), today: date | None = None) -> tuple[tuple[Competency, ...], Report]:
    """Return the competencies of a CASE package (a parsed JSON value), sorted by id, and a report.

    Args:
        known: competencies of the frameworks in force, which may come before those of this one.
        today: by which dates of the package say what is in use; by default they say nothing.

    Raises:
        MalformedInput: it is no CASE package.
        TooLarge: it has more items or associations than a named limit.
        BadInput: an item or association cannot be understood, the same item stands there twice with different content, or the hierarchy or
            the prerequisites form a cycle, which is named.
    """
    if not isinstance(package, Mapping):
        raise _malformed("", "not an object", "send the CFPackage as one JSON object")
    document = package.get("CFDocument")
    if not isinstance(document, Mapping):
        raise _malformed("/CFDocument", "missing or not an object", "send a CFPackage with its CFDocument")
    listed, linked = _list(package, "CFItems", MAX_ITEMS), _list(package, "CFAssociations", MAX_ASSOCIATIONS)
    if not listed:
        raise _malformed("/CFItems", "missing or empty", "send a package with at least one item")
    reader = Reader()
    root = reader.guid(document, "/CFDocument")
    title = reader.text(document, "title", "/CFDocument", 200)
    subjects = reader.texts(document, "subject", "/CFDocument")
    items = _items(reader, listed)
    reader.stop()
    parents, before, counted = _links(reader, linked, root, items, known)
    replaced, similar = _relations(reader, linked, items)
    reader.stop()
    _refuse_cycles(parents, before, items)
    kinds = {name: _kind(reader, item) for name, item in items.items()}
    headings = _headings(kinds, {parent for parent, _ in parents.values()})
    retired = _retired(reader, document, items, headings, today)
    shown = items.keys() - headings - retired
    told, before = before, handed_on(before, retired - replaced.keys(), MAX_BEFORE, reader.note)
    added = spread(
        before, {child: parent for child, (parent, _) in parents.items()}, headings, shown, items.keys(), MAX_BEFORE, reader.note
    )
    competencies = _competencies(reader, items, parents, before, subjects, _Beside(root, kinds, shown, added, replaced, similar))
    reader.stop()
    links = [(first, name) for name, known in told.items() for first in known]
    grouping = sum(not headings.isdisjoint(link) for link in links)
    report = Report(
        document=root, title=title, items=len(competencies), headings=len(headings), retired=len(retired), children=len(parents),
        prerequisites=len(links) - grouping, heading_prerequisites=grouping, spread=sum(len(known) for known in added.values()),
        gradeless=sum(known.assessable and not known.grades for known in competencies), associations=dict(sorted(counted.items())),
        unknown_types=tuple(sorted(name for name in counted if name not in UNUSED | SIMILAR | {CHILD, BEFORE, REPLACED})),
        replaced={name: tuple(sorted(after)) for name, after in sorted(replaced.items())},
        noted=dict(sorted(reader.noted.items())), notes=tuple(reader.notes),
    )  # fmt: skip
    return competencies, report


Item = tuple[str, Mapping[str, Any]]
"""JSON pointer and content."""
Links = dict[str, dict[str, str]]
"""Competency -> those before it -> JSON pointer of the association."""


def _malformed(place: str, detail: str, remedy: str) -> MalformedInput:
    return MalformedInput(f"this is no CASE package: {place or 'the body'} is {detail}", [Fault(place, "no-package", detail, remedy)])


def _list(package: Mapping[str, Any], name: str, most: int) -> Sequence[Any]:
    value = package.get(name)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise _malformed(f"/{name}", "not an array", "send an array")
    if len(value) > most:
        fault = Fault(f"/{name}", "too-many", f"{len(value)} entries, at most {most}", "import a smaller framework")
        raise TooLarge(str(fault), [fault])
    return value


def _items(reader: Reader, listed: Sequence[Any]) -> dict[str, Item]:
    items: dict[str, Item] = {}
    for index, content in enumerate(listed):
        place = f"/CFItems/{index}"
        if not isinstance(content, Mapping):
            reader.fault(place, "not-an-object", "this is no object", "send the item as an object")
            continue
        name = reader.guid(content, place)
        if not name:
            continue
        if name not in items:
            items[name] = place, content
        elif _meaning(items[name][1]) == _meaning(content):
            reader.note(place, "duplicate", f"item {name} stands at {items[name][0]} already")
        else:
            remedy = "keep the one that counts"
            reader.fault(place, "conflicting-duplicate", f"item {name} stands at {items[name][0]} with other content", remedy)
    return items


def _meaning(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes two copies of an item differ: all but the time of the last change and the spelling of the GUID."""
    return {key: value for key, value in item.items() if key not in ("lastChangeDateTime", "identifier", "uri")}


def _links(
    reader: Reader, linked: Sequence[Any], root: str, items: Mapping[str, Item], known: Collection[str]
) -> tuple[dict[str, tuple[str, str]], Links, Counter[str]]:
    """Return parent (with pointer) by child, prerequisites by competency, and how many associations there are of each type."""
    parents: dict[str, tuple[str, str]] = {}
    before: Links = {}
    counted: Counter[str] = Counter()
    seen: dict[tuple[str, str, str], str] = {}
    for index, content in enumerate(linked):
        place = f"/CFAssociations/{index}"
        kind = content.get("associationType") if isinstance(content, Mapping) else None
        if not isinstance(kind, str) or not kind:
            remedy = "send an object with an associationType"
            reader.fault(f"{place}/associationType", "missing", "the association has no type", remedy)
            continue
        counted[kind[:MAX_WORD]] += 1
        if kind not in (CHILD, BEFORE):
            continue
        origin, end = _end(reader, content, "originNodeURI", place), _end(reader, content, "destinationNodeURI", place)
        if not origin or not end:
            continue
        first = seen.setdefault((kind, origin, end), place)
        elsewhere = kind == BEFORE and origin in known
        lost = [name for name in (origin, end) if name not in items and name != root and not (elsewhere and name == origin)]
        if first != place:
            reader.note(place, "duplicate", f"the same association stands at {first} already")
        elif lost:
            reader.note(place, "dangling", f"{kind} names {lost[0]}, which is no item of this package")
        elif origin == root or (end == root and kind == BEFORE):
            reader.note(place, "not-an-item", f"{kind} names the document where an item belongs")
        elif kind == BEFORE:
            before.setdefault(end, {})[origin] = place
        elif end == root:
            continue
        elif origin in parents:
            reader.note(place, "several-parents", f"{origin} is already a child of {parents[origin][0]}, which stays its parent")
        else:
            parents[origin] = end, place
    return parents, before, counted


def _relations(reader: Reader, linked: Sequence[Any], items: Mapping[str, Item]) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Return what stands in the place of which competency, and what is similar to which. An end may lie in another package."""
    replaced: dict[str, set[str]] = {}
    similar: dict[str, set[str]] = {}
    for index, content in enumerate(linked):
        place = f"/CFAssociations/{index}"
        kind = content.get("associationType") if isinstance(content, Mapping) else None
        if not isinstance(kind, str) or (kind != REPLACED and kind not in SIMILAR):
            continue
        origin, end = _end(reader, content, "originNodeURI", place), _end(reader, content, "destinationNodeURI", place)
        if not origin or not end or origin == end:
            continue
        if origin not in items and end not in items:
            reader.note(place, "dangling", f"{kind} names {origin} and {end}, neither of which is an item of this package")
        elif kind == REPLACED:
            replaced.setdefault(origin, set()).add(end)
        else:
            similar.setdefault(origin, set()).add(end)
            similar.setdefault(end, set()).add(origin)
    return replaced, similar


def _end(reader: Reader, association: Mapping[str, Any], name: str, place: str) -> str:
    node = association.get(name)
    if isinstance(node, Mapping):
        identifier = node.get("identifier")
        found = guid_of(identifier)
        if not isinstance(identifier, str | None):
            reader.fault(f"{place}/{name}/identifier", "not-text", "this is no text", "send a string")
        elif not found:  # LinkGenURI's identifier is any text: publishers relate items to web pages and other vocabularies.
            reader.note(f"{place}/{name}", "foreign", "this end has no GUID: it lies outside CASE, and the association says nothing here")
        return found
    reader.fault(f"{place}/{name}", "missing", "the association lacks one of its ends", "send an object with the item's identifier")
    return ""


def _refuse_cycles(parents: Mapping[str, tuple[str, str]], before: Links, items: Mapping[str, Item]) -> None:
    above = {child: {parent: place} for child, (parent, place) in parents.items()}
    for links, what, remedy in (
        (before, "prerequisites", "take one `precedes` out of the cycle"),
        (above, "hierarchy", "take one `isChildOf` out of the cycle"),
    ):
        cycle = cycle_in({name: set(known) for name, known in links.items()})
        if cycle:
            names = [_label(items[name][1]) for name in [*cycle, cycle[0]][: MAX_CYCLE_NAMED + 1]]
            more = f" -> ... ({len(cycle)} in all)" if len(cycle) > MAX_CYCLE_NAMED else ""
            detail = f"the {what} form a cycle: {' -> '.join(names)}{more}"
            raise BadInput(detail, [Fault(links[cycle[0]][cycle[-1]], "cycle", detail, remedy)])


def _label(item: Mapping[str, Any]) -> str:
    """Return what people call an item: its human coding scheme, else the start of its statement."""
    return str(item.get("humanCodingScheme") or item.get("fullStatement") or item.get("identifier") or item.get("uri"))[:MAX_WORD]


def _kind(reader: Reader, item: Item) -> str:
    """Return an item's type as it is written, lower case: of the item itself, else of the definition that it names."""
    place, content = item
    named = content.get("CFItemTypeURI")
    told = reader.text(content, "CFItemType", place, MAX_WORD)
    if not told and isinstance(named, Mapping):
        told = reader.text(named, "title", f"{place}/CFItemTypeURI", MAX_WORD)
    return told.lower()[:MAX_WORD]  # Lower case may be longer.


def _headings(kinds: Mapping[str, str], parents: Collection[str]) -> set[str]:
    """Return the items that only group others, by their types and by what has children."""
    plain = {kind: " ".join(re.split(r"[\s_-]+", kind)) for kind in set(kinds.values())}
    return {name for name, kind in kinds.items() if plain[kind] in HEADINGS or (plain[kind] not in STANDARDS and name in parents)}


def _retired(
    reader: Reader, document: Mapping[str, Any], items: Mapping[str, Item], headings: Collection[str], today: date | None
) -> set[str]:
    """Return the items that can be shown and are not in use today, each noted; a document that is not is noted once."""
    status = reader.text(document, "adoptionStatus", "/CFDocument", MAX_WORD)
    whole = _unused(reader, document, "/CFDocument", today)
    if status.lower() == DEPRECATED:
        reader.note("/CFDocument/adoptionStatus", "retired", f"the document is {status}: nothing of it is a goal")
        whole = True
    standing = [name for name in items if name not in headings]
    return set(standing) if whole else {name for name in standing if _unused(reader, items[name][1], items[name][0], today)}


def _unused(reader: Reader, holder: Mapping[str, Any], place: str, today: date | None) -> bool:
    begins, ends = reader.day(holder, "statusStartDate", place), reader.day(holder, "statusEndDate", place)
    if today is not None and ends is not None and ends < today:
        reader.note(f"{place}/statusEndDate", "retired", f"its time was over on {ends}: no goal")
    elif today is not None and begins is not None and begins > today:
        reader.note(f"{place}/statusStartDate", "not-begun", f"it begins on {begins}: no goal until the package is imported from then on")
    else:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Beside:
    """What else is known of the items: their document, their types, which of them are goals, and their relations to others."""

    document: str
    kinds: Mapping[str, str]
    shown: Collection[str]
    added: Mapping[str, set[str]]
    """Prerequisites beside those that are told one by one."""
    replaced: Mapping[str, set[str]]
    similar: Mapping[str, set[str]]


def _competencies(
    reader: Reader,
    items: Mapping[str, Item],
    parents: Mapping[str, tuple[str, str]],
    before: Links,
    subjects: Sequence[str],
    beside: _Beside,
) -> tuple[Competency, ...]:
    graded, titled = _nearest(items, parents, "educationLevel"), _nearest(items, parents, "subject")
    result = []
    for name in sorted(items):
        place, content = items[name]
        statement = reader.text(content, "fullStatement", place, MAX_STATEMENT)
        if not statement and isinstance(content.get("fullStatement"), str | None):
            reader.fault(f"{place}/fullStatement", "missing", "the item has no statement", "say what a learner can do")
        where, told = titled[name]
        subject = (reader.texts(told, "subject", where) or [*subjects, ""])[0].lower()[:MAX_WORD]
        where, told = graded[name]
        levels = reader.texts(told, "educationLevel", where)
        grades = list(dict.fromkeys(grade for level in levels for grade in grades_of(level)))[:MAX_GRADES]
        unknown = [grade for grade in grades if grade not in GRADES]
        if unknown and told is content:
            reader.note(f"{place}/educationLevel", "unknown-grade", f"{unknown[0]} is no grade level that a roster has")
        code = reader.text(content, "humanCodingScheme", place, MAX_WORD)
        named = {*before.get(name, ()), *beside.added.get(name, ())}
        _refuse_many(reader, place, named, MAX_BEFORE, "come before it")
        _refuse_many(reader, place, beside.replaced.get(name, ()), MAX_REPLACED, "take its place")
        similar = sorted(beside.similar.get(name, ()))
        if len(similar) > MAX_SIMILAR:
            reader.note(place, "clipped", f"{len(similar)} relations to others, cut to {MAX_SIMILAR}")
        result.append(
            Competency(
                id=name, statement=statement, code=code, subject=subject, grades=tuple(grades),
                parent=parents[name][0] if name in parents else "", prerequisites=tuple(named), assessable=name in beside.shown,
                framework=beside.document, family=beside.kinds[name], replaced_by=tuple(beside.replaced.get(name, ())),
                similar=tuple(similar[:MAX_SIMILAR]),
            )
        )  # fmt: skip
    return tuple(result)


def _refuse_many(reader: Reader, place: str, named: Collection[str], most: int, what: str) -> None:
    if len(named) > most:
        reader.fault(place, "too-many-links", f"{len(named)} items {what}, at most {most}", "name those that matter")


def _nearest(items: Mapping[str, Item], parents: Mapping[str, tuple[str, str]], field: str) -> dict[str, Item]:
    """Return by item: itself where it has the field, else the nearest of its parents that has, else itself. The hierarchy has no cycle."""
    found: dict[str, Item] = {}
    for name in items:
        path, above = [], name
        while above not in found and not items[above][1].get(field) and above in parents:
            path.append(above)
            above = parents[above][0]
        holder = found.setdefault(above, items[above])
        for below in path:
            found[below] = holder if holder[1].get(field) else items[below]
    return found
