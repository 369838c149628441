"""The direct API and the alignment of items: what is read, and what is refused with its place."""

from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from services.evidence.alignment import MAX_COMPETENCIES, MAX_ITEMS, Alignment, from_csv, from_json
from services.evidence.caliper import read_envelope
from services.evidence.direct import read_request
from services.evidence.told import MAX_ACTS, MAX_ID, Heard
from shared.contracts.evidence import EvidenceAccepted, Format, Kind
from shared.errors import BadInput, MalformedInput, TooLarge
from shared.keys import act_id_of, alias_of, item_id_of, person_alias
from tests.evidence.lms import KEY, LMS, act, alias, attempt_iri, envelope, graded, item_iri, put

ALIAS = partial(person_alias, KEY)
TOMORROW = datetime(2026, 11, 25, 8, tzinfo=UTC)


def read(*items: Any) -> list[Heard]:
    return read_request({"items": list(items)}, ALIAS, TOMORROW)


def told(item: Any) -> EvidenceAccepted:
    [heard] = read(item)
    assert heard.told is not None
    return heard.told


def test_an_observation_is_told_in_our_own_words() -> None:
    seen = told(act(kind="observation", share=0.25, duration_ms=60_000))
    assert seen.act_id == act_id_of("gradebook", "a-1")
    assert seen.alias == alias()
    assert seen.item_id == item_id_of(item_iri(1))
    assert (seen.score_e6, seen.kind, seen.format, seen.duration_ms) == (250_000, Kind.OBSERVATION, Format.DIRECT, 60_000)


def test_the_same_id_in_two_systems_is_two_people() -> None:
    ids = [put(put(act(), "learner", "17"), "source", source) for source in ("gradebook", "sis")] + [
        put(act(), "learner", f"{prefix}17") for prefix in (f"{LMS}/users/", "https://canvas.example/users/", f"{LMS}/u/", "urn:sis:")
    ]
    aliases = [told(each).alias for each in ids]
    assert len(set(aliases)) == 6
    assert aliases[:2] == [alias_of(KEY, "gradebook", "17"), alias_of(KEY, "sis", "17")]


def test_an_iri_is_its_own_source_in_either_format() -> None:
    [graded_in_caliper] = read_envelope(envelope(graded()), ALIAS, TOMORROW)
    assert graded_in_caliper.told is not None
    assert graded_in_caliper.told.alias == told(act(source="gradebook")).alias == told(act(source="sis")).alias


def test_with_an_attempt_it_is_the_act_that_caliper_tells() -> None:
    [heard] = read_envelope(envelope(graded()), ALIAS, TOMORROW)
    assert heard.told is not None
    assert told(act(attempt=attempt_iri("s-1"))).act_id == heard.told.act_id


@pytest.mark.parametrize(
    ("path", "new", "code"),
    [
        ("id", ..., "missing"),
        ("id", "", "string-too-short"),
        ("id", "x" * (MAX_ID + 1), "string-too-long"),
        ("id", 7, "string-type"),
        ("source", ..., "missing"),
        ("learner", ..., "missing"),
        ("learner", None, "string-type"),
        ("item", "item 1", "not-an-iri"),
        ("item", 3, "string-type"),
        ("occurred_at", "today", "not-an-instant"),
        ("occurred_at", "2026-11-23T09:00:00", "not-an-instant"),
        ("occurred_at", "2027-11-23T09:00:00Z", "in-the-future"),
        ("occurred_at", ..., "missing"),
        ("kind", "exam", "enum"),
        ("duration_ms", -1, "greater-than-equal"),
        ("duration_ms", "60000", "int-type"),
        ("duration_ms", 1.5, "int-type"),
        ("attempt", "first", "not-an-iri"),
        ("occurred_at", "2026-11-23T09:00:00+05:75", "not-an-instant"),
        ("score/given", "3", "not-a-number"),
        ("score/given", True, "not-a-number"),
        ("score/given", None, "not-a-number"),
        ("score/max", "4", "not-a-number"),
        ("score/max", None, "not-a-number"),
        ("score/given", -1, "negative"),
        ("score/max", 0, "maximum-zero"),
        ("score/max", ..., "missing"),
        ("score/of", 4, "extra-forbidden"),
        ("grade", "A", "extra-forbidden"),
        ("score", ..., "missing"),
    ],
)
def test_a_malformed_item_is_named_with_its_field(path: str, new: Any, code: str | None) -> None:
    with pytest.raises(BadInput) as caught:
        read(act("first"), put(act(), path, new))
    [fault] = caught.value.faults
    assert fault.place == f"/items/1/{path}"
    assert code in (None, fault.code)
    assert fault.remedy


def test_who_is_ahead_of_the_clock_is_told_what_it_shows() -> None:
    with pytest.raises(BadInput) as caught:
        read(act(occurred_at="2027-11-23T09:00:00Z"))
    told = caught.value.faults[0].detail
    assert told == "more than a day ahead of this installation's clock, by which it is 2026-11-24T08:00:00Z"


@pytest.mark.parametrize("share", [1.5, -0.1])
def test_a_share_is_between_0_and_1(share: float) -> None:
    with pytest.raises(BadInput) as caught:
        read(act(share=share))
    assert caught.value.faults[0].place == "/items/0/share"


def test_score_and_share_are_not_both_told() -> None:
    with pytest.raises(BadInput, match="either score or share"):
        read(act() | {"share": 0.5})


@pytest.mark.parametrize("value", [[], {}, {"items": []}, {"items": {}}, {"items": [act()], "more": 1}, None, "text"])
def test_what_is_no_request_is_refused(value: Any) -> None:
    with pytest.raises(MalformedInput):
        read_request(value, ALIAS, TOMORROW)


def test_an_item_that_is_no_object_is_named() -> None:
    with pytest.raises(BadInput) as caught:
        read(act(), "act")
    assert caught.value.faults[0].place == "/items/1"


def test_a_request_has_a_limit() -> None:
    with pytest.raises(TooLarge):
        read(*[act()] * (MAX_ACTS + 1))


def aligned(*rows: Any) -> list[tuple[str, tuple[str, ...]]]:
    return [(each.iri, each.competency_ids) for each in from_json({"alignments": list(rows)})]


def test_csv_and_json_say_the_same() -> None:
    csv = b"\xef\xbb\xbfitem,competency\r\nhttps://lms.example/b,K2\r\nhttps://lms.example/a,K1\r\nhttps://lms.example/b,K1\r\n\r\n"
    rows = [{"item": "https://lms.example/b", "competencies": ["K2", "K1"]}, {"item": "https://lms.example/a", "competencies": ["K1"]}]
    assert from_csv(csv) == from_json({"alignments": rows})
    assert aligned(*rows)[0] == ("https://lms.example/b", ("K1", "K2"))


@pytest.mark.parametrize(
    ("row", "place"),
    [
        ({"item": "item 1", "competencies": ["K"]}, "/alignments/1/item"),
        ({"competencies": ["K"]}, "/alignments/1/item"),
        ({"item": item_iri(2), "competencies": []}, "/alignments/1/competencies"),
        ({"item": item_iri(2), "competencies": "K"}, "/alignments/1/competencies"),
        ({"item": item_iri(2), "competencies": ["K", ""]}, "/alignments/1/competencies/1"),
        ({"item": item_iri(2), "competencies": ["two words"]}, "/alignments/1/competencies/0"),
        ({"item": item_iri(2), "competencies": ["x" * 65]}, "/alignments/1/competencies/0"),
        ({"item": item_iri(2), "competencies": ["K", "L", "K"]}, "/alignments/1/competencies/2"),
        ({"item": item_iri(2), "competencies": [str(n) for n in range(MAX_COMPETENCIES + 1)]}, "/alignments/1/competencies"),
        ({"item": item_iri(1), "competencies": ["L"]}, "/alignments/1/item"),
        ({"item": item_iri(2), "competencies": ["K"], "x": 1}, "/alignments/1/x"),
        ("row", "/alignments/1"),
    ],
)
def test_a_wrong_alignment_is_named(row: Any, place: str) -> None:
    with pytest.raises(BadInput) as caught:
        aligned({"item": item_iri(1), "competencies": ["K"]}, row)
    assert [fault.place for fault in caught.value.faults] == [place]


def test_an_id_may_be_as_long_as_the_interface_says() -> None:
    longest = Alignment.model_json_schema()["properties"]["competencies"]["items"]["maxLength"]
    assert aligned({"item": item_iri(1), "competencies": ["x" * longest]}) == [(item_iri(1), ("x" * longest,))]
    with pytest.raises(BadInput):
        aligned({"item": item_iri(1), "competencies": ["x" * (longest + 1)]})


@pytest.mark.parametrize(
    ("content", "kind", "place"),
    [
        (b"", MalformedInput, "alignments.csv:1:1"),
        (b"competency,item\n", MalformedInput, "alignments.csv:1:1"),
        (b"item,competency\n", MalformedInput, "alignments.csv:2:1"),
        (b"item,competency\nhttps://a,\xff\n", MalformedInput, "alignments.csv:2:1"),
        (b"item,competency\nhttps://a,K\nhttps://b,\x00\n", MalformedInput, "alignments.csv:3:1"),
        (b'item,competency\n"https://a,K\n', MalformedInput, "alignments.csv:2:1"),
        (b"item,competency\nhttps://a,K,L\n", BadInput, "alignments.csv:2:1"),
        (b"item,competency\nhttps://a,K\nhttps://a,K\n", BadInput, "alignments.csv:3:2"),
        (b"item,competency\na,K\n", BadInput, "alignments.csv:2:1"),
        (b"item,competency\nhttps://a,K K\n", BadInput, "alignments.csv:2:2"),
        (b"item,competency\n" + b"".join(b"https://a,K%d\n" % n for n in range(17)), BadInput, "alignments.csv:18:2"),
    ],
)
def test_a_wrong_row_is_named_by_its_line(content: bytes, kind: type[BadInput], place: str) -> None:
    with pytest.raises(kind) as caught:
        from_csv(content)
    assert [fault.place for fault in caught.value.faults] == [place]


def test_an_import_has_a_limit() -> None:
    with pytest.raises(TooLarge):
        from_csv(b"item,competency\n" + b"".join(b"https://a/%d,K\n" % n for n in range(MAX_ITEMS + 1)))
