"""I5's facts: of each kind, what is told and what is held meet, and what is lacking or other is found."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from services.cli.audit.book import Book
from services.cli.audit.facts import TOLD_BY, differences, facts_of, reader_of
from services.pathing.domain.state import MAX_AUTHORS

LEARNER, SCHOOL, STAFF, AUTHOR = (f"{n}0000000-0000-4000-8000-000000000000" for n in range(4))
AT, LATER = "2026-10-13T07:30:00.000000Z", "2026-10-13T07:30:01.000000Z"
Told = tuple[str, int, dict[str, Any]]
"""Type, version of its stream, content."""

PAIR = {"competency_id": "B", "prerequisite_id": "A"}
LIKES = {"learner_id": LEARNER, "author_id": AUTHOR, "role": "learner", "stated_at": AT, "modalities": ["video"]}
NEEDS = {"version": 1, "needs": [{"competency_id": "A"}]}
TEACHES = {"school_id": SCHOOL, "staff_id": STAFF, "subjects": ["art"]}
KINDS: dict[str, tuple[Told, Told, dict[str, Any]]] = {
    "alias": (
        ("profile.learner-identified.v1", 1, {"alias": "a", "learner_id": LEARNER}),
        ("evidence.alias-noted.v1", 1, {"alias": "a", "learner_id": LEARNER}), {"learner_id": STAFF},
    ),
    "calendar": (
        ("profile.roster-imported.v1", 1, {"first_session": "2026-08-31"}),
        ("evidence.calendar-noted.v1", 1, {"first_day": "2026-08-31"}), {"first_day": "2026-09-01"},
    ),
    "membership": (
        ("profile.learner-rostered.v1", 1, {"learner_id": LEARNER, "school_id": SCHOOL, "class_ids": [SCHOOL]}),
        ("mastery.membership-noted.v1", 7, {"learner_id": LEARNER, "class_ids": [SCHOOL], "version": 1}), {"class_ids": [STAFF]},
    ),
    "enrolment": (
        ("profile.learner-rostered.v1", 1, {"learner_id": LEARNER, "school_id": SCHOOL, "grade": "05"}),
        ("pathing.enrolment-noted.v1", 7, {"learner_id": LEARNER, "school_id": SCHOOL, "grade": "05", "version": 1}), {"grade": "06"},
    ),
    "preferences": (
        ("profile.preferences-stated.v1", 2, LIKES), ("pathing.preferences-noted.v1", 7, LIKES), {"modalities": ["text"]},
    ),
    "staff": (
        ("profile.staff-rostered.v1", 1, TEACHES),
        ("scheduling.staff-noted.v1", 7, {"school_id": SCHOOL, "member": {"staff_id": STAFF, "subjects": ["art"]}, "version": 1}),
        {"active": False},
    ),
    "level": (
        ("mastery.level-changed.v1", 4, {"learner_id": LEARNER, "competency_id": "A", "level": "mastered"}),
        ("pathing.level-noted.v1", 7, {"learner_id": LEARNER, "competency_id": "A", "level": "mastered", "version": 4}),
        {"level": "learning"},
    ),
    "waiver": (
        ("mastery.prerequisite-waived.v1", 4, {"learner_id": LEARNER} | PAIR),
        ("pathing.waivers-noted.v1", 7, {"learner_id": LEARNER, "waived": [PAIR], "version": 4}), {"waived": [], "ended": [PAIR]},
    ),
    "framework": (
        ("mastery.framework-adopted.v1", 3, {"set_id": "one"}), ("pathing.framework-noted.v1", 7, {"set_id": "one", "version": 3}),
        {"set_id": "other"},
    ),
    "page": (
        ("mastery.parameter-page-added.v1", 2, {"content": [1]}), ("pathing.parameter-page-added.v1", 7, {"content": [1]}),
        {"content": [2]},
    ),
    "demand": (
        ("pathing.demand-changed.v1", 2, {"learner_id": LEARNER, "school_id": SCHOOL} | NEEDS),
        ("scheduling.demand-noted.v1", 7, {"school_id": SCHOOL, "demand": {"learner_id": LEARNER} | NEEDS | {"version": 9}}),
        {"demand": {"learner_id": LEARNER, "version": 9}},
    ),
}  # fmt: skip


def found(*events: Told) -> list[tuple[str, str]]:
    """Return how the readers differ after these events."""
    with Book() as book:
        for name, version, data in events:
            header: Any = SimpleNamespace(event_type=name, attributes={"streamversion": version, "data": data})
            book.put("fact", facts_of(header))
        return differences(book)


def of(kind: str, cases: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return those of a kind: one event may tell several readers something."""
    return [case for case in cases if case[1].startswith("work counts" if kind == "calendar" else f"{kind} in ")]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_held_must_be_what_was_told(kind: str) -> None:
    told, held, otherwise = KINDS[kind]
    reader = held[0].partition(".")[0]
    assert not of(kind, found(told, held))
    assert [who for who, _ in of(kind, found(told))] == [reader], "nothing is held"
    assert [who for who, _ in of(kind, found(told, (held[0], held[1], held[2] | otherwise)))] == [reader], "something else is held"


def test_of_each_kind_it_is_known_who_tells_and_who_holds_it() -> None:
    known = {}
    for name, (told, held, _) in KINDS.items():
        header: Any = SimpleNamespace(event_type=told[0], attributes={"streamversion": told[1], "data": told[2]})
        (kind,) = [kind for side, kind, *_ in facts_of(header) if side == "told" and kind.startswith(name)]
        known[kind] = told[0].partition(".")[0], held[0].partition(".")[0]
    assert known == {kind: (teller, reader_of(kind)) for kind, teller in TOLD_BY.items()}


def test_what_is_told_last_counts_in_whatever_order_it_is_read() -> None:
    told, held, _ = KINDS["enrolment"]
    older = (told[0], 0, told[2] | {"grade": "04"})
    assert not of("enrolment", found(told, older, held))
    newer = (told[0], 2, told[2] | {"grade": "06"})
    assert of("enrolment", found(newer, told, held))


def test_what_became_of_a_waiver_is_known_of_both_pairs() -> None:
    told, held, _ = KINDS["waiver"]
    assert not found(told, ("mastery.waiver-withdrawn.v1", 5, told[2])), "nothing needs to be held"
    assert of("waiver", found(told, held, ("mastery.waiver-withdrawn.v1", 5, told[2])))
    other = PAIR | {"competency_id": "C"}
    moved = ("mastery.judgements-moved.v1", 6, {"learner_id": LEARNER, "waivers": [other | {"before": PAIR}]})
    assert len(of("waiver", found(told, held, moved))) == 2
    followed = ("pathing.waivers-noted.v1", 8, {"learner_id": LEARNER, "waived": [other], "ended": [PAIR], "version": 6})
    assert not found(told, held, moved, followed)


def test_the_latest_statement_of_an_author_counts() -> None:
    told, held, _ = KINDS["preferences"]
    later = (told[0], 1, LIKES | {"stated_at": LATER, "modalities": ["text"]})
    assert found(later, told, held)
    assert not found(later, told, held, (held[0], 8, later[2]))


def test_pathing_keeps_so_many_authors_and_no_more() -> None:
    told = [("profile.preferences-stated.v1", n, LIKES | {"author_id": f"{n}{AUTHOR[1:]}"}) for n in range(MAX_AUTHORS + 1)]
    assert len(found(*told[:-1])) == MAX_AUTHORS
    assert not found(*told)


def test_who_is_not_there_need_not_be_known() -> None:
    (name, version, data), (reader, _, held), _ = KINDS["staff"]
    assert not found((name, version, data | {"active": False}))
    assert found((name, version + 1, data | {"active": False}), (reader, 7, held))
    left = ("profile.learner-rostered.v1", 1, {"learner_id": LEARNER, "school_id": SCHOOL, "class_ids": [SCHOOL], "active": False})
    assert not of("membership", found(left))


def test_who_was_told_of_another_school_last_is_at_no_other() -> None:
    (name, version, data), (reader, _, held), _ = KINDS["staff"]
    at_first, noted = (name, version, data), (reader, 7, held)
    moved, noted_there = (name, version + 1, data | {"school_id": AUTHOR}), (reader, 8, held | {"school_id": AUTHOR, "version": 2})
    assert not found(at_first, noted)
    both = found(at_first, moved, noted, noted_there)
    assert both == [("scheduling", f"staff in scheduling of {SCHOOL} {STAFF} is there, told last was {AUTHOR}")]
    left = ((name, version + 1, data | {"active": False}), (name, version + 2, moved[2]))
    gone = (reader, 9, held | {"active": False, "version": 2})
    assert not found(at_first, *left, noted, gone, (reader, 8, noted_there[2] | {"version": 3}))
    withdrawn = (name, version + 2, moved[2] | {"active": False})
    assert [
        case for _, case in found(at_first, moved, withdrawn, noted, (reader, 9, noted_there[2] | {"active": False, "version": 3}))
    ] == [f"staff in scheduling of {SCHOOL} {STAFF} is there, told last was no school"]


def test_people_may_know_of_an_earlier_first_day() -> None:
    told, (reader, version, _), _ = KINDS["calendar"]
    assert not found(told, (reader, version, {"first_day": "2026-08-01"}))
    assert not found((told[0], 1, {}), (reader, version, {"first_day": "2026-08-01"}))
    assert found(told, ("profile.roster-imported.v1", 1, {"first_session": "2026-08-30"}), (reader, version, {"first_day": "2026-08-31"}))
