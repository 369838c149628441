"""The district's competencies as a CASE 1.1 package: mathematics and reading, kindergarten to grade 8, with what comes before what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID, uuid5

from demo.content import mathematics, reading

NAMESPACE: Final = UUID("8d1f2a52-6f0e-5d0c-9a35-5c1f6a1f9b10")
BASE: Final = "https://standards.aldermoor.example/case/v1p1"
CHANGED: Final = "2026-06-30T12:00:00+00:00"
TITLE: Final = "Aldermoor competencies"
SUBJECTS: Final = ("mathematics", "reading")
GRADES: Final = ("KG", "01", "02", "03", "04", "05", "06", "07", "08")
_SOURCES: Final = {"mathematics": mathematics.LINES, "reading": reading.LINES}


@dataclass(frozen=True)
class Skill:
    """One competency as the district wrote it."""

    code: str
    subject: str
    grade: str
    """As a roster writes it, such as `03`."""
    name: str
    statement: str
    before: tuple[str, ...]
    """Codes of what comes before it."""

    @property
    def guid(self) -> str:
        return guid("item", self.code)


def guid(kind: str, name: str) -> str:
    """Return the GUID of a part of the package: derived from its name, so that it is the same in every run."""
    return str(uuid5(NAMESPACE, f"{kind}\n{name}"))


@cache
def skills() -> Mapping[str, Skill]:
    """Return the competencies by code, in the order in which they are written."""
    found: dict[str, Skill] = {}
    for subject, lines in _SOURCES.items():
        for line in lines.strip().splitlines():
            code, before, name, statement = (part.strip() for part in line.split("|"))
            letter = code.split(".")[1]
            grade = "KG" if letter == "K" else letter.zfill(2)
            found[code] = Skill(code, subject, grade, name, statement, tuple(before.split()))
    return MappingProxyType(found)


@cache
def by_guid() -> Mapping[str, Skill]:
    """Return the competencies by GUID."""
    return MappingProxyType({skill.guid: skill for skill in skills().values()})


@cache
def teaching_order() -> tuple[str, ...]:
    """Return the codes in an order in which what comes before stands first; by grade where that leaves a choice."""
    rank = {code: (GRADES.index(skill.grade), place) for place, (code, skill) in enumerate(skills().items())}
    sorter = TopologicalSorter({code: skill.before for code, skill in skills().items()})
    sorter.prepare()
    order: list[str] = []
    ready: list[str] = []
    while sorter.is_active():
        ready = sorted([*ready, *sorter.get_ready()], key=rank.__getitem__)
        order.append(ready.pop(0))
        sorter.done(order[-1])
    return tuple(order)


@cache
def beneath(subject: str, grade: str) -> tuple[str, ...]:
    """Return what a learner of this grade should bring along: all of lower grades that its competencies rest on, in teaching order."""
    all_skills = skills()
    waiting = [code for code, skill in all_skills.items() if (skill.subject, skill.grade) == (subject, grade)]
    own, met = frozenset(waiting), set[str]()
    while waiting:
        for before in all_skills[waiting.pop()].before:
            if before not in met:
                met.add(before)
                waiting.append(before)
    return tuple(code for code in teaching_order() if code in met and code not in own)


def of_grade(subject: str, grade: str) -> tuple[str, ...]:
    """Return the codes of a subject and grade, in teaching order."""
    return tuple(code for code in teaching_order() if (skills()[code].subject, skills()[code].grade) == (subject, grade))


def package() -> dict[str, Any]:
    """Return the whole framework as a CFPackage."""
    items = [*_headings(), *(_item(skill) for skill in skills().values())]
    return {"CFDocument": _document(), "CFItems": items, "CFAssociations": _associations()}


def _document() -> dict[str, Any]:
    name = guid("document", TITLE)
    return {
        "identifier": name, "uri": f"{BASE}/CFDocuments/{name}", "creator": "Aldermoor district", "title": TITLE, "version": "2026",
        "lastChangeDateTime": CHANGED, "subject": [subject.capitalize() for subject in SUBJECTS], "language": "en",
        "adoptionStatus": "Adopted", "frameworkType": "competencies", "caseVersion": "1.1",
        "CFPackageURI": {"title": TITLE, "identifier": guid("package", TITLE), "uri": f"{BASE}/CFPackages/{name}"},
    }  # fmt: skip


def _headings() -> list[dict[str, Any]]:
    headings = []
    for subject in SUBJECTS:
        title = subject.capitalize()
        headings.append(_entry(f"heading/{subject}", title, title, "Domain", subject, []))
        for grade in GRADES:
            text = f"{title}, {'kindergarten' if grade == 'KG' else f'grade {int(grade)}'}"
            headings.append(_entry(f"heading/{subject}/{grade}", text, text, "Grade Level", subject, [grade]))
    return headings


def _item(skill: Skill) -> dict[str, Any]:
    return _entry(skill.code, skill.statement, skill.name, "Competency", skill.subject, [skill.grade]) | {"humanCodingScheme": skill.code}


def _entry(name: str, statement: str, short: str, kind: str, subject: str, grades: list[str]) -> dict[str, Any]:
    name = guid("item", name)
    return {
        "identifier": name, "uri": f"{BASE}/CFItems/{name}", "fullStatement": statement, "abbreviatedStatement": short, "CFItemType": kind,
        "subject": [subject.capitalize()], "educationLevel": grades, "language": "en", "lastChangeDateTime": CHANGED,
        "CFDocumentURI": _document_uri(),
    }  # fmt: skip


def _associations() -> list[dict[str, Any]]:
    document = guid("document", TITLE)
    links: list[tuple[str, str, str]] = []
    for subject in SUBJECTS:
        top = guid("item", f"heading/{subject}")
        links.append((top, "isChildOf", document))
        links += [(guid("item", f"heading/{subject}/{grade}"), "isChildOf", top) for grade in GRADES]
    for skill in skills().values():
        links.append((skill.guid, "isChildOf", guid("item", f"heading/{skill.subject}/{skill.grade}")))
        links += [(guid("item", before), "precedes", skill.guid) for before in skill.before]
    return [_association(number, *link) for number, link in enumerate(links, 1)]


def _association(number: int, origin: str, kind: str, destination: str) -> dict[str, Any]:
    name = guid("association", f"{origin} {kind} {destination}")
    return {
        "identifier": name, "uri": f"{BASE}/CFAssociations/{name}", "associationType": kind, "sequenceNumber": number,
        "originNodeURI": _node(origin), "destinationNodeURI": _node(destination), "lastChangeDateTime": CHANGED,
        "CFDocumentURI": _document_uri(),
    }  # fmt: skip


def _node(name: str) -> dict[str, str]:
    folder = "CFDocuments" if name == guid("document", TITLE) else "CFItems"
    return {"title": name, "identifier": name, "uri": f"{BASE}/{folder}/{name}"}


def _document_uri() -> dict[str, str]:
    name = guid("document", TITLE)
    return {"title": TITLE, "identifier": name, "uri": f"{BASE}/CFDocuments/{name}"}
