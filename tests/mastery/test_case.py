"""CASE packages: what is taken, what is noted, what is refused and where."""

import copy
import time
from datetime import date
from typing import Any

import pytest

from services.mastery import case
from services.mastery.case import MAX_ITEMS, MAX_STATEMENT, read_package
from services.mastery.framework import FRAMEWORK
from shared.errors import BadInput, MalformedInput, TooLarge
from shared.parameters import paged
from tests.mastery.samples import competency

DOCUMENT = "d0000000-0000-4000-8000-000000000000"


def item(number: int, **changes: Any) -> dict[str, Any]:
    """Return an item as a CASE package holds it."""
    return {
        "identifier": competency(number), "uri": f"https://case.example/items/{number}", "fullStatement": f"Can do {number}",
        "humanCodingScheme": f"5.T.{number}", "educationLevel": ["05"], "CFItemType": "Standard",
        "lastChangeDateTime": "2026-01-01T00:00:00Z",
    } | changes  # fmt: skip


def link(kind: str, origin: str | int, destination: str | int) -> dict[str, Any]:
    """Return an association between two items, or an item and the document."""
    ends = [competency(end) if isinstance(end, int) else end for end in (origin, destination)]
    return {
        "identifier": "a0000000-0000-4000-8000-000000000001", "associationType": kind,
        "originNodeURI": {"identifier": ends[0], "uri": "urn:o", "title": "o"},
        "destinationNodeURI": {"identifier": ends[1], "uri": "urn:d", "title": "d"},
    }  # fmt: skip


def package(items: list[Any], links: list[Any] | None = None, **document: Any) -> dict[str, Any]:
    """Return a package with these items and associations."""
    return {
        "CFDocument": {"identifier": DOCUMENT, "title": "Mathematics", "subject": ["Mathematics"], **document}, "CFItems": items,
        "CFAssociations": links or [],
    }  # fmt: skip


GOOD = package(
    [item(1, CFItemType="Domain", humanCodingScheme="5.T"), item(2), item(3, educationLevel=["5", "K"], subject=["Number"])],
    [link("isChildOf", 1, DOCUMENT), link("isChildOf", 2, 1), link("isChildOf", 3, 1), link("precedes", 2, 3), link("isRelatedTo", 2, 3)],
)


def test_items_hierarchy_and_order_are_taken() -> None:
    (domain, first, second), report = read_package(GOOD)
    assert (domain.assessable, first.assessable, second.assessable) == (False, True, True)
    assert (domain.parent, first.parent, second.parent) == ("", domain.id, domain.id)
    assert (first.prerequisites, second.prerequisites) == ((), (first.id,))
    assert (first.subject, first.grades, first.code, first.statement) == ("mathematics", ("05",), "5.T.2", "Can do 2")
    assert (second.subject, second.grades) == ("number", ("05", "KG"))
    assert (report.items, report.headings, report.children, report.prerequisites) == (3, 1, 2, 1)
    assert report.associations == {"isChildOf": 3, "isRelatedTo": 1, "precedes": 1}
    assert (report.unknown_types, report.notes, report.document, report.title) == ((), (), DOCUMENT, "Mathematics")


def test_the_order_of_a_package_means_nothing() -> None:
    turned = copy.deepcopy(GOOD)
    turned["CFItems"].reverse()
    turned["CFAssociations"].reverse()
    assert read_package(turned)[0] == read_package(GOOD)[0]


def test_what_was_read_makes_a_framework() -> None:
    items = [known.model_dump(mode="json", exclude_defaults=True) for known in read_package(GOOD)[0]]
    framework = FRAMEWORK.parse(list(paged(items)))
    assert list(framework.competencies) == [competency(1), competency(2), competency(3)]
    assert framework.prerequisites == {competency(3): (competency(2),)}
    assert framework.dependents == {competency(2): (competency(3),)}


def test_a_guid_in_capitals_is_the_same_guid() -> None:
    capitals = [item(1), item(2, identifier=competency(2).upper())]
    found, _ = read_package(package(capitals, [link("precedes", competency(2).upper(), 1)]))
    assert [known.id for known in found] == [competency(1), competency(2)]
    assert found[0].prerequisites == (competency(2),)


def test_copies_are_folded_and_noted() -> None:
    again = item(1, lastChangeDateTime="2026-05-05T00:00:00Z", identifier=competency(1).upper())
    found, report = read_package(package([item(1), item(2), again], [link("precedes", 1, 2), link("precedes", 1, 2)]))
    assert len(found) == 2
    assert found[1].prerequisites == (competency(1),)
    assert report.noted == {"duplicate": 2}
    assert [note.place for note in report.notes] == ["/CFItems/2", "/CFAssociations/1"]
    assert "/CFItems/0" in report.notes[0].detail


def test_dangling_ends_are_noted_and_left_out() -> None:
    found, report = read_package(package([item(1)], [link("precedes", 9, 1), link("isChildOf", 1, 8), link("precedes", 1, DOCUMENT)]))
    assert (found[0].prerequisites, found[0].parent) == ((), "")
    assert report.noted == {"dangling": 2, "not-an-item": 1}
    assert competency(9) in report.notes[0].detail


@pytest.mark.parametrize("kind", ["isRelatedTo", "exactMatchOf", "isPeerOf", "isChildOf", "precedes", "replacedBy"])
def test_an_end_outside_case_is_noted_and_says_nothing(kind: str) -> None:
    plain, _ = read_package(package([item(1), item(2)]))
    found, report = read_package(package([item(1), item(2)], [link(kind, 1, "https://example.org/standards/1"), link(kind, "x", 2)]))
    assert found == plain
    assert (report.noted, report.replaced) == ({"foreign": 2}, {})
    assert [note.place for note in report.notes] == ["/CFAssociations/0/destinationNodeURI", "/CFAssociations/1/originNodeURI"]


def test_grades_and_subject_come_from_the_nearest_parent_that_has_them() -> None:
    items = [
        item(1, educationLevel=["04"], subject=["Science"], CFItemType="Grade"), item(2, educationLevel=["05"], CFItemType="Cluster"),
        item(3, educationLevel=[]), item(4, educationLevel=None), item(5, educationLevel=["06"]),
    ]  # fmt: skip
    found, report = read_package(package(items, [link("isChildOf", 2, 1), link("isChildOf", 3, 2), link("isChildOf", 5, 2)]))
    assert [known.grades for known in found] == [("04",), ("05",), ("05",), (), ("06",)]
    assert [known.subject for known in found] == ["science", "science", "science", "mathematics", "science"]
    assert report.gradeless == 1


def test_what_a_parent_says_wrong_is_told_once_and_at_its_place() -> None:
    with pytest.raises(BadInput) as refused:
        read_package(package([item(1, educationLevel=[5]), item(2, educationLevel=[])], [link("isChildOf", 2, 1)]))
    assert [fault.place for fault in refused.value.faults] == ["/CFItems/0/educationLevel"]


def test_ranges_of_grades_are_expanded_and_unknown_ones_noted() -> None:
    items = [
        item(1, educationLevel=["K-2", "2"]), item(2, educationLevel=["HS"]), item(3, educationLevel=["Grade 5"]),
        item(4, educationLevel=["9-12"]), item(5, educationLevel=["5-3", "Year 7"]),
    ]  # fmt: skip
    found, report = read_package(package(items))
    upper = ("09", "10", "11", "12")
    assert [known.grades for known in found] == [("01", "02", "KG"), upper, ("05",), upper, ("5-3", "YEAR 7")]
    assert (report.noted, report.gradeless) == ({"unknown-grade": 1}, 0)
    assert report.notes[0].place == "/CFItems/4/educationLevel"


def test_unknown_types_of_association_are_counted() -> None:
    _, report = read_package(package([item(1), item(2)], [link("ext:needs", 1, 2), link("ext:needs", 2, 1), link("replacedBy", 1, 2)]))
    assert report.associations == {"ext:needs": 2, "replacedBy": 1}
    assert report.unknown_types == ("ext:needs",)


def test_the_first_of_several_parents_counts() -> None:
    links = [link("isChildOf", 3, 1), link("isChildOf", 3, 2)]
    found, report = read_package(package([item(1), item(2), item(3)], links))
    assert found[2].parent == competency(1)
    assert report.noted == {"several-parents": 1}


def test_what_can_be_shown_depends_on_type_and_children() -> None:
    items = [
        item(1, CFItemType="Cluster"), item(2, CFItemType="Standard"), item(3, CFItemType=None), item(4, CFItemType="Odd word"),
        item(5, CFItemType="Odd word"), item(6, CFItemType="Component"),
    ]  # fmt: skip
    found, _ = read_package(package(items, [link("isChildOf", 6, 2), link("isChildOf", 5, 4)]))
    assert [known.assessable for known in found] == [False, True, True, False, True, True]


def test_a_type_and_a_subject_that_grow_in_lower_case_are_cut_behind_that() -> None:
    """The dotted capital I of Turkish becomes two characters."""
    grows = "\u0130" * 64
    (found,), _ = read_package(package([item(1, CFItemType=grows, subject=[grows])]))
    assert found.family == found.subject == grows.lower()[:64]


def test_a_statement_that_is_too_long_is_cut_and_noted() -> None:
    found, report = read_package(package([item(1, fullStatement="x" * 3_000)]))
    assert len(found[0].statement) == MAX_STATEMENT
    assert (report.noted, report.notes[0].place) == ({"clipped": 1}, "/CFItems/0/fullStatement")


def test_associations_may_be_missing_and_unknown_fields_are_ignored() -> None:
    plain = package([item(1, extensions={"x": 1})])
    del plain["CFAssociations"]
    assert len(read_package(plain | {"CFRubrics": []})[0]) == 1


def test_five_thousand_competencies_take_seconds() -> None:
    items = [item(n) for n in range(5_000)]
    links = [link("precedes", n, n + step) for n in range(4_900) for step in (1, 7, 50)]
    links += [link("isChildOf", n, n // 20) for n in range(20, 5_000)]
    started = time.process_time()
    found, _ = read_package(package(items, links))
    pages = list(paged([known.model_dump(mode="json", exclude_defaults=True) for known in found]))
    assert len(FRAMEWORK.parse(pages).competencies) == 5_000
    assert time.process_time() - started < 5.0


BAD = {
    "not an object": ([], "", "no-package"),
    "no document": ({"CFItems": [item(1)]}, "/CFDocument", "no-package"),
    "document of another type": ({"CFDocument": "x", "CFItems": [item(1)]}, "/CFDocument", "no-package"),
    "no items": (package([]), "/CFItems", "no-package"),
    "items of another type": (package([item(1)]) | {"CFItems": {}}, "/CFItems", "no-package"),
    "associations of another type": (package([item(1)]) | {"CFAssociations": "x"}, "/CFAssociations", "no-package"),
    "document without identifier": (package([item(1)], identifier=None), "/CFDocument/identifier", "missing"),
    "document title of another type": (package([item(1)], title=5), "/CFDocument/title", "not-text"),
    "item of another type": (package([item(1), "x"]), "/CFItems/1", "not-an-object"),
    "item without identifier": (package([item(1), item(2, identifier=None)]), "/CFItems/1/identifier", "missing"),
    "identifier that is no GUID": (package([item(1, identifier="5.NF.1")]), "/CFItems/0/identifier", "not-a-guid"),
    "identifier that is a number": (package([item(1, identifier=7)]), "/CFItems/0/identifier", "not-a-guid"),
    "identifier in braces": (package([item(1, identifier="{" + competency(1) + "}")]), "/CFItems/0/identifier", "not-a-guid"),
    "item without statement": (package([item(1), item(2, fullStatement=None)]), "/CFItems/1/fullStatement", "missing"),
    "statement of blanks": (package([item(1, fullStatement="  ")]), "/CFItems/0/fullStatement", "missing"),
    "statement of another type": (package([item(1, fullStatement=["x"])]), "/CFItems/0/fullStatement", "not-text"),
    "code of another type": (package([item(1, humanCodingScheme=5)]), "/CFItems/0/humanCodingScheme", "not-text"),
    "grade levels of another type": (package([item(1, educationLevel=[5])]), "/CFItems/0/educationLevel", "not-a-list"),
    "same item, other content": (package([item(1), item(1, fullStatement="Other")]), "/CFItems/1", "conflicting-duplicate"),
    "association of another type": (package([item(1)], ["x"]), "/CFAssociations/0/associationType", "missing"),
    "association without type": (package([item(1)], [{}]), "/CFAssociations/0/associationType", "missing"),
    "association whose type is no text": (
        package([item(1)], [{"associationType": ["precedes"]}]), "/CFAssociations/0/associationType", "missing",
    ),
    "association without an end": (
        package([item(1)], [link("precedes", 1, 1) | {"destinationNodeURI": None}]), "/CFAssociations/0/destinationNodeURI", "missing",
    ),
    "item before itself": (package([item(1)], [link("precedes", 1, 1)]), "/CFAssociations/0", "cycle"),
    "cycle of three": (
        package([item(1), item(2), item(3)], [link("precedes", 1, 2), link("precedes", 2, 3), link("precedes", 3, 1)]),
        "/CFAssociations/2", "cycle",
    ),
    "cycle in the hierarchy": (
        package([item(1), item(2)], [link("isChildOf", 1, 2), link("isChildOf", 2, 1)]), "/CFAssociations/0", "cycle",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_package_is_refused_with_place_and_remedy(name: str) -> None:
    content, place, code = BAD[name]
    with pytest.raises(BadInput) as refused:
        read_package(content)
    fault = refused.value.faults[0]
    assert (fault.place, fault.code) == (place, code)
    assert fault.remedy
    assert isinstance(refused.value, MalformedInput) == (code == "no-package")


def test_every_bad_place_is_named() -> None:
    with pytest.raises(BadInput) as refused:
        read_package(package([item(1), item(2, identifier="x"), "y", item(3, identifier=None)]))
    assert [fault.place for fault in refused.value.faults] == ["/CFItems/1/identifier", "/CFItems/2", "/CFItems/3/identifier"]


def test_a_cycle_is_named_by_the_codes_in_it() -> None:
    links = [link("precedes", 1, 2), link("precedes", 2, 3), link("precedes", 3, 2), link("precedes", 3, 4)]
    with pytest.raises(BadInput, match=r"prerequisites form a cycle: 5\.T\.2 -> 5\.T\.3 -> 5\.T\.2$"):
        read_package(package([item(n) for n in range(1, 5)], links))


def test_too_many_items_are_refused_by_the_limit_that_says_so() -> None:
    with pytest.raises(TooLarge, match=str(MAX_ITEMS)):
        read_package(package([None] * (MAX_ITEMS + 1)))


def shapes(count: int, headings: list[tuple[int, list[int]]], links: list[Any]) -> dict[str, Any]:
    """Return a package of plain items and of headings with what is beneath them."""
    types = {number: {"CFItemType": "Cluster"} for number, _ in headings}
    children = [link("isChildOf", child, number) for number, below in headings for child in below]
    return package([item(n, **types.get(n, {})) for n in range(1, count + 1)], [*children, *links])


def before_of(found: Any) -> dict[int, set[int]]:
    """Return the numbers of the items before each that can be shown, and that can be shown themselves."""
    shown = [known.id for known in found if known.assessable]
    numbers = {competency(n): n for n in range(1, 200)}
    return {numbers[k.id]: {numbers[p] for p in k.prerequisites if p in shown} for k in found if k.id in shown and k.prerequisites}


def test_what_is_said_of_headings_holds_among_what_is_beneath_them() -> None:
    sent = shapes(7, [(1, [3, 4]), (2, [5, 6, 7])], [link("precedes", 1, 2), link("precedes", 3, 4), link("precedes", 5, 6)])
    found, report = read_package(sent)
    assert before_of(found) == {4: {3}, 5: {4}, 6: {5}, 7: {4}}  # The last of the first heading before the first of the second.
    assert (report.prerequisites, report.heading_prerequisites, report.spread, report.noted) == (2, 1, 2, {})
    turned = copy.deepcopy(sent)
    turned["CFAssociations"].reverse()
    assert read_package(turned)[0] == found


def test_a_heading_may_stand_before_a_single_competency_and_behind_one_of_another_framework() -> None:
    links = [link("precedes", 1, 4), link("precedes", 99, 1)]
    found, report = read_package(shapes(4, [(1, [2, 3])], links), known=[competency(99)])
    assert before_of(found) == {2: set(), 3: set(), 4: {2, 3}}
    assert [known.prerequisites for known in found if known.id == competency(2)] == [(competency(99),)]
    assert (report.heading_prerequisites, report.spread) == (2, 4)


def test_what_is_said_of_headings_and_cannot_hold_is_noted() -> None:
    sent = shapes(8, [(1, [3, 4]), (2, [5, 6]), (7, []), (8, [1])], [
        link("precedes", 1, 2), link("precedes", 6, 3), link("precedes", 7, 2), link("precedes", 8, 1),
    ])  # fmt: skip
    found, report = read_package(sent)
    assert before_of(found) == {3: {6}}
    assert (report.prerequisites, report.heading_prerequisites, report.spread) == (1, 3, 0)
    assert report.noted == {"heading-prerequisite": 3}
    told = {note.place: note.detail for note in report.notes}
    assert "the other way round" in told["/CFAssociations/5"]
    assert "nothing beneath" in told["/CFAssociations/7"]
    assert "lies beneath the other" in told["/CFAssociations/8"]


def test_headings_with_too_much_beneath_them_hold_nothing() -> None:
    sent = shapes(122, [(1, list(range(3, 63))), (2, list(range(63, 123)))], [link("precedes", 1, 2)])
    found, report = read_package(sent)
    assert before_of(found) == {}
    assert (report.spread, report.noted) == (0, {"heading-prerequisite": 1})
    assert "3600" in report.notes[0].detail


def test_links_of_headings_hold_up_to_what_may_come_before_one_competency(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case, "MAX_BEFORE", 5)
    links = [link("precedes", 1, 3), link("precedes", 2, 3), link("precedes", 12, 10)]
    sent = shapes(12, [(1, [4, 5, 6]), (2, [7, 8, 9]), (3, [10, 11])], links)
    found, report = read_package(sent)
    assert before_of(found) == {10: {4, 5, 6, 12}, 11: {4, 5, 6}}
    assert (report.spread, report.noted) == (6, {"heading-prerequisite": 1})
    assert "more than 5" in report.notes[0].detail


def test_what_is_over_or_has_not_begun_is_no_goal() -> None:
    items = [
        item(1, statusEndDate="2026-11-27"), item(2, statusEndDate="2026-11-28"), item(3, statusStartDate="2026-11-29T00:00:00+00:00"),
        item(4, statusStartDate="2020-01-01", statusEndDate=None), item(5, statusEndDate="soon"),
        item(6, CFItemType="Cluster", statusEndDate="2001-01-01"),
    ]  # fmt: skip
    found, report = read_package(package(items), today=date(2026, 11, 28))
    assert [known.assessable for known in found] == [False, True, False, True, True, False]
    assert (report.noted, report.retired, report.headings) == ({"retired": 1, "not-begun": 1, "no-date": 1}, 2, 1)
    assert [note.place for note in report.notes] == ["/CFItems/0/statusEndDate", "/CFItems/2/statusStartDate", "/CFItems/4/statusEndDate"]


def test_what_is_over_hands_on_what_comes_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    over, later = {"statusEndDate": "2019-06-30"}, {"statusStartDate": "2027-08-01"}
    items = [item(1), item(2, **over), item(3, **later), item(4), item(5, CFItemType="Cluster"), item(6), item(7, **over), item(8), item(9)]
    links = [
        link("precedes", 1, 2), link("precedes", 2, 3), link("precedes", 3, 4), link("precedes", 2, 5), link("isChildOf", 6, 5),
        link("precedes", 1, 7), link("precedes", 7, 8), link("replacedBy", 7, 9),
    ]  # fmt: skip
    sent, today = package(items, links), date(2026, 11, 28)
    found, report = read_package(sent, today=today)
    assert before_of(found) == {4: {1}, 6: {1}, 8: set()}, "what was replaced is followed to what stands in its place"
    assert (report.prerequisites, report.heading_prerequisites) == (5, 1), "links are counted as they stand there"
    assert before_of(read_package(sent)[0])[4] == {3}, "while it is in use it stands between them"

    monkeypatch.setattr(case, "MAX_BEFORE", 1)
    found, report = read_package(package(items[:4], links[:3]), today=today)
    assert before_of(found) == {4: set()}
    assert [note.place for note in report.notes if note.code == "retired-prerequisite"] == ["/CFAssociations/1"]


@pytest.mark.parametrize(
    ("changes", "goals", "noted"),
    [
        ({"adoptionStatus": "Deprecated"}, 0, {"retired": 1}),
        ({"statusEndDate": "2019-06-30"}, 0, {"retired": 1}),
        ({"statusStartDate": "2027-08-01"}, 0, {"not-begun": 1}),
        ({"adoptionStatus": "Draft", "statusStartDate": "2019-06-30"}, 2, {}),
    ],
)
def test_a_document_that_is_not_in_use_has_no_goals(changes: dict[str, Any], goals: int, noted: dict[str, int]) -> None:
    found, report = read_package(package([item(1), item(2)], **changes), today=date(2026, 11, 28))
    assert (sum(known.assessable for known in found), report.noted, report.retired) == (goals, noted, 2 - goals)


def test_types_are_known_however_their_words_are_joined_and_may_be_told_by_definition() -> None:
    words = ["Student Expectation", "Grade-Level_Expectation", "Sub-Strand", None]
    named = {"CFItemTypeURI": {"title": "Benchmark", "identifier": competency(90), "uri": "urn:b"}}
    items = [item(n + 1, CFItemType=word, **(named if word is None else {})) for n, word in enumerate(words)]
    found, _ = read_package(package([*items, item(5), item(6)], [link("isChildOf", 5, 1), link("isChildOf", 6, 4)]))
    assert [known.assessable for known in found] == [True, True, False, True, True, True]
    assert [known.family for known in found[:4]] == ["student expectation", "grade-level_expectation", "sub-strand", "benchmark"]


def test_what_does_not_fit_into_a_page_is_refused_or_cut() -> None:
    items = [item(n) for n in range(2_002)]
    before = [link("precedes", n, 2_001) for n in range(2_001)]
    with pytest.raises(BadInput, match="2001 items come before it, at most 2000"):
        read_package(package(items, before))
    found, report = read_package(package(items, [*before[1:], *(link("isRelatedTo", n, 2_001) for n in range(1_001))]))
    assert len(found[2_001].prerequisites) == 2_000
    assert (len(found[2_001].similar), report.noted) == (1_000, {"clipped": 1})
    assert paged([known.model_dump(mode="json", exclude_defaults=True) for known in found])
