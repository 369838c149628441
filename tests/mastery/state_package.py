"""A CASE package as states publish them: large, legal, and odd in most places."""

from __future__ import annotations

from random import Random
from typing import Any, Final

from tests.mastery.samples import competency

DOCUMENT: Final = "d0000000-0000-4000-8000-00000000abcd"
BASE: Final = "https://case.state.example/ims/case/v1p0"
CHANGED: Final = {"lastChangeDateTime": "2024-05-03T13:22:11+00:00"}
KINDS: Final = ("Strand", "Cluster", "Student Expectation", "Breakout", "Standard", None, "Knowledge and Skills Statement", "DOK Level")
LEVELS: Final = (["KG"], ["K", "1", "2"], ["9-12"], ["HS"], [], None, "04,05", ["Grade 6"], ["AP"])
HEADINGS: Final = 50
"""The first items: each is the child of the document."""


def link_uri(identifier: str, title: str) -> dict[str, Any]:
    return {"title": title, "identifier": identifier, "uri": f"{BASE}/CFItems/{identifier}"}


def state_item(number: int, draw: Random) -> dict[str, Any]:
    """Return an item with every field that the standard has, and some that it has not."""
    kind = "Strand" if number < HEADINGS else draw.choice(KINDS)
    text = f"Explain idea {number}: " + "the student reasons about quantities, " * draw.randrange(1, 9)
    return {
        "identifier": competency(number), "CFDocumentURI": link_uri(DOCUMENT, "Standards"), "uri": f"{BASE}/CFItems/{number}",
        "fullStatement": f'{text} so-called "models"\nand \u2264 signs, $\\frac{{1}}{{2}}$', "alternativeLabel": None,
        "abbreviatedStatement": text[:60], "CFItemType": kind, "humanCodingScheme": draw.choice((f"M.{number}", None, "")),
        "CFItemTypeURI": draw.choice((None, link_uri(competency(1), kind or "Standard"))), "listEnumeration": str(number % 40),
        "conceptKeywords": draw.choice((None, [], ["number", "sense"])), "conceptKeywordsURI": None, "language": "en",
        "notes": draw.choice((None, "", "<p>See the <b>appendix</b></p>")), "educationLevel": draw.choice(LEVELS),
        "licenseURI": link_uri(competency(2), "CC BY 4.0"), "statusStartDate": draw.choice((None, "2015-08-01")),
        "statusEndDate": "2019-07-31" if number % 10 == 9 else None, "subject": draw.choice((None, [], ["Mathematics"])),
        "extensions": {"state:internal": {"id": number, "weights": [1.5, None, True], "deep": {"a": {"b": []}}}}, "x-unknown": number / 7,
        **CHANGED,
    }  # fmt: skip


def state_link(number: int, kind: str, origin: str, end: str) -> dict[str, Any]:
    return {
        "identifier": competency(10**6 + number), "uri": f"{BASE}/CFAssociations/{number}", "associationType": kind,
        "CFDocumentURI": link_uri(DOCUMENT, "Standards"), "sequenceNumber": number % 50 or None, "originNodeURI": link_uri(origin, "o"),
        "destinationNodeURI": link_uri(end, "d"), "CFAssociationGroupingURI": None, "notes": None, "extensions": {}, **CHANGED,
    }  # fmt: skip


def state_package(items: int, seed: int = 1) -> dict[str, Any]:
    """Return a package of this many items, each with its parent, and three associations for each five items besides."""
    draw = Random(seed)
    ends = [("isChildOf", competency(n), DOCUMENT if n < HEADINGS else competency(n // 6)) for n in range(items)]
    for n in range(0, items - 5, 5):
        ends += [
            ("precedes", competency(n), competency(n + 1 + draw.randrange(4))),
            ("exactMatchOf", competency(n), draw.choice(("https://skills.example/1", competency(10**5 + n)))),
            (draw.choice(("isPartOf", "exemplar", "ext:alignsTo", "isTranslationOf", "isRelatedTo")), competency(n), competency(n + 1)),
        ]  # fmt: skip
    ends += [("replacedBy", competency(n), competency(10**5 + n)) for n in range(HEADINGS, items, 997)]
    return {
        "CFDocument": {
            "identifier": DOCUMENT, "uri": f"{BASE}/CFDocuments/{DOCUMENT}", "creator": "State Board", "title": "Standards",
            "officialSourceURL": None, "description": None, "subject": ["Mathematics", "ELA"], "subjectURI": None, "version": "2.0",
            "adoptionStatus": "Adopted", "statusStartDate": "2015-08-01", "statusEndDate": None, "frameworkType": "State",
            "caseVersion": "1.1", "CFPackageURI": link_uri(competency(3), "p"), "extensions": {"x": [1, {"y": None}]}, **CHANGED,
        },
        "CFItems": [state_item(n, draw) for n in range(items)],
        "CFAssociations": [state_link(n, *each) for n, each in enumerate(ends)],
        "CFDefinitions": {"CFConcepts": [], "CFLicenses": None, "CFItemTypes": [{"identifier": competency(1), "title": "Standard"}]},
        "CFRubrics": [{"identifier": competency(4), "title": "R", "CFRubricCriteria": [{"CFRubricCriterionLevels": [{"score": 1.5}]}]}],
        "extensions": {"state:exported": True},
    }  # fmt: skip
