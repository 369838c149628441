"""Caliper 1.2 in: what is evidence and of what, what is not, and what is refused with its place."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.evidence.caliper import EVENT_TYPES, read_envelope
from services.evidence.told import MAX_ACTS, MAX_ID, Heard
from shared.contracts.evidence import EvidenceAccepted, Kind
from shared.errors import BadInput, Fault, MalformedInput, TooLarge
from shared.keys import act_id_of, item_id_of, person_alias
from tests.evidence.lms import CONTEXT, KEY, LMS, QUIZ, alias, answered, attempt_iri, envelope, graded, item_iri, paths_of, put, urn, used

TOMORROW = datetime(2026, 11, 25, 8, tzinfo=UTC)


def read(value: Any) -> list[Heard]:
    return read_envelope(value, partial(person_alias, KEY), TOMORROW)


def told(event: Any) -> EvidenceAccepted:
    [heard] = read(envelope(event))
    assert heard.told is not None, heard.reason
    return heard.told


def reason(event: Any) -> str:
    [heard] = read(envelope(event))
    assert heard.told is None
    return heard.reason


def test_a_grade_tells_whose_work_it_was_at_which_item_and_how_good() -> None:
    act = told(graded(given=10.0, maximum=15.0))
    assert act.alias == alias()
    assert act.item_id == item_id_of(item_iri(1))
    assert act.score_e6 == 666_667
    assert act.occurred_at == datetime(2026, 11, 23, 10, tzinfo=UTC)
    assert act.kind is Kind.ITEM


def test_a_scored_answer_tells_the_same() -> None:
    act = told(answered(given=1, maximum=8))
    assert (act.alias, act.item_id, act.score_e6) == (alias(), item_id_of(item_iri(1)), 125_000)


def test_the_answer_and_the_grade_of_one_attempt_are_one_act() -> None:
    answer, grade = told(answered()), told(graded())
    assert answer.act_id == grade.act_id
    assert answer.telling_id != grade.telling_id


def test_one_attempt_at_a_quiz_may_hold_many_items() -> None:
    assert len({told(answered(f"answer-{n}", item=n)).act_id for n in range(10)}) == 10


def test_without_an_attempt_the_event_is_the_act() -> None:
    act = told(put(answered(), "generated/attempt", ...))
    assert (act.act_id, act.telling_id) == (act_id_of("", urn("answer")), None)
    assert told(put(answered(), "generated/attempt/id", "_:attempt")).act_id == act.act_id, "a blank node means nothing elsewhere"


def test_an_id_in_capitals_is_the_same_event() -> None:
    event = put(answered(), "generated/attempt", ...)
    assert told(put(event, "id", event["id"].upper())) == told(event)


def test_an_id_that_is_a_bare_uuid_is_the_same_event() -> None:
    event = put(answered(), "generated/attempt", ...)
    bare = event["id"].removeprefix("urn:uuid:")
    for spelt in (bare, bare.upper()):
        assert read(envelope(put(event, "id", spelt))) == read(envelope(event))


@pytest.mark.parametrize("sensor", ["54b54b42-dd02-42f8-88ed-07bd719bfb7c", "our LMS", "x" * MAX_ID])
def test_a_sensor_may_have_any_name(sensor: str) -> None:
    assert read(envelope(graded(), sensor=sensor)) == read(envelope(graded()))


SNAPSHOT = {
    "@context": ["http://caliper.blackboard.com/ctx/caliper/v1/Context", CONTEXT.replace("v1p2", "v1p1")],
    "type": "http://caliper.blackboard.com/caliper/v1/CalculatedGradeSnapshotEvent",
    "id": "54b54b42-dd02-42f8-88ed-07bd719bfb7c",
    "action": "GradeCalculated",
}


def test_a_type_that_is_somebodys_own_is_taken_beside_a_grade() -> None:
    first, other, last = read(envelope(graded(), SNAPSHOT, answered("other", item=2)))
    assert (first.told, last.told) == (told(graded()), told(answered("other", item=2)))
    assert (other.id, other.told, other.reason) == (SNAPSHOT["id"], None, "a type of event that is not Caliper's")


@pytest.mark.parametrize("name", [..., None, "", 7, "x" * (MAX_ID + 1)])
def test_a_type_that_is_somebodys_own_has_an_id(name: Any) -> None:
    with pytest.raises(BadInput) as caught:
        read(envelope(put(SNAPSHOT, "id", name)))
    assert [(fault.place, fault.code) for fault in caught.value.faults] == [("/data/0/id", "not-a-text")]


def test_work_happened_when_it_ended() -> None:
    event = put(graded(), "object/startedAtTime", "2026-11-20T09:00:00.000Z")
    event = put(event, "object/endedAtTime", "2026-11-20T09:01:30.500Z")
    assert told(event).occurred_at == datetime(2026, 11, 20, 9, 1, 30, 500_000, tzinfo=UTC)
    assert told(event).duration_ms == 90_500
    assert told(put(event, "object/duration", "PT1M5S")).duration_ms == 65_000


def test_a_quiz_and_a_project_are_told_by_the_type_of_the_work() -> None:
    assert told(graded(kind="Assessment")).kind is Kind.QUIZ
    assert told(graded(kind="AssignableDigitalResource")).kind is Kind.PROJECT
    assert told(put(graded(), "object/assignable", QUIZ)).kind is Kind.ITEM


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("2026-11-23T10:00:00Z", "2026-11-23T10:00:00+00:00"),
        ("2026-11-23T10:00:00.1234567Z", "2026-11-23T10:00:00.123456+00:00"),
        ("2026-11-23T10:00:00.9999999999999Z", "2026-11-23T10:00:00.999999+00:00"),
        ("2026-11-23T10:00:00+05:30", "2026-11-23T04:30:00+00:00"),
        ("2026-11-23T10:00:00-0500", "2026-11-23T15:00:00+00:00"),
    ],
)
def test_an_instant_may_be_of_any_zone_and_of_any_fraction(sent: str, meant: str) -> None:
    assert told(put(graded(), "eventTime", sent)).occurred_at.isoformat() == meant
    assert len(read(envelope(graded(), sendTime=sent))) == 1


@pytest.mark.parametrize(
    ("sent", "meant"), [("PT0S", 0), ("P1DT2H", 93_600_000), ("P0Y0M0DT0H10M5S", 605_000), ("PT1.1234567890S", 1_123), ("P1W", 604_800_000)]
)
def test_a_duration_has_no_years_and_months_but_none(sent: str, meant: int) -> None:
    assert told(put(graded(), "object/duration", sent)).duration_ms == meant


@pytest.mark.parametrize(
    ("given", "maximum", "share"),
    [
        (0, 4, 0),
        (4, 4, 1_000_000),
        (5, 4, 1_000_000),
        (0.1, 0.3, 333_333),
        (0.5, 1_000_000, 0),
        (1.5, 1_000_000, 2),
        (2.5, 1_000_000, 2),
        (1e-9, 1e-9, 1_000_000),
    ],
)
def test_a_score_is_an_exact_share(given: float, maximum: float, share: int) -> None:
    assert told(graded(given=given, maximum=maximum)).score_e6 == share


@pytest.mark.parametrize("holder", [{"scoreGiven": 3, "maxScore": 4}, {"score": {"type": "Score", "scoreGiven": 3, "maxScore": 4}}])
def test_the_score_of_an_answer_may_stand_in_the_response(holder: dict[str, Any]) -> None:
    event = answered()
    event["generated"] = {name: value for name, value in event["generated"].items() if name != "extensions"} | holder
    assert told(event).score_e6 == 750_000


def test_the_possible_score_may_stand_at_the_item() -> None:
    event = put(put(graded(), "generated/maxScore", ...), "object/assignable/maxScore", 4)
    assert told(event).score_e6 == 750_000


def test_an_item_may_be_graded_itself() -> None:
    event = put(graded(), "object", {"id": item_iri(1), "type": "AssessmentItem"})
    event = put(event, "generated/attempt", {"id": attempt_iri("s-1"), "type": "Attempt", "assignee": f"{LMS}/users/s-1"})
    assert told(event) == told(graded())


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_what_is_anonymous_tells_no_one_from_another(scheme: str) -> None:
    def anonymous(kind: str) -> str:
        return f"{scheme}://purl.imsglobal.org/caliper/{kind}"

    ann, ben = [put(graded(f"of-{name}", learner=name), "object/id", anonymous("Attempt")) for name in ("s-1", "s-2")]
    for event, name in ((ann, "s-1"), (ben, "s-2")):
        act = told(event)
        assert (act.act_id, act.telling_id, act.alias) == (act_id_of("", urn(f"of-{name}")), None, alias(name))
    answer = put(answered(), "generated/attempt/id", anonymous("Attempt"))
    assert told(answer) == told(put(answer, "generated/attempt/id", "_:attempt"))
    assert reason(put(graded(), "object/assignee/id", anonymous("Person"))) == "nobody is assigned"
    assert reason(put(graded(), "object/assignable/id", anonymous("AssessmentItem"))) == "no item"
    herself = put(put(graded(), "object/assignee", ...), "actor", {"id": anonymous("Person"), "type": "Person"})
    assert reason(herself) == "nobody is assigned"
    answer = put(answered(), "generated/attempt/assignee", ...)
    assert reason(put(answer, "actor/id", anonymous("Person"))) == "nobody is assigned"
    assert reason(put(answered(), "object/id", anonymous("AssessmentItem"))) == "no item"


def test_what_the_envelope_says_of_one_anonymous_entity_is_not_said_of_another() -> None:
    attempt = {"@context": CONTEXT} | put(graded()["object"], "id", "http://purl.imsglobal.org/caliper/Attempt")
    heard = read(envelope(put(graded(), "object", attempt["id"]), attempt))
    assert (heard[0].told, heard[0].reason) == (None, "nobody is assigned")


RESOURCES = [
    item_iri(1),
    QUIZ,
    {"id": item_iri(1), "type": "AssessmentItem"},
    {"id": item_iri(1), "type": "DigitalResource"},
    {"id": item_iri(1), "type": "DigitalResource", "isPartOf": {"id": QUIZ, "type": "Assessment"}},
    {"id": f"{LMS}/files/1", "type": "Document"},
]


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("attempt", [{"type": "Attempt"}, {}])
def test_who_is_graded_at_one_resource_shares_no_act(resource: Any, attempt: dict[str, Any]) -> None:
    for name in ("s-1", "s-2"):
        whole = graded(learner=name)
        inner = {key: value for key, value in whole["object"].items() if key != "type"} | attempt
        assert told(put(put(whole, "object", resource), "generated/attempt", inner)) == told(whole)


def test_a_resource_that_an_attempt_does_not_name_is_its_item() -> None:
    attempt = put(graded()["object"], "assignable", ...)
    for resource in (item_iri(1), {"id": item_iri(1), "type": "DigitalResource"}):
        assert told(put(put(graded(), "object", resource), "generated/attempt", attempt)) == told(graded())


@pytest.mark.parametrize("kind", ["Assessment", "DigitalResource"])
def test_a_resource_alone_is_no_attempt(kind: str) -> None:
    event = put(put(graded(), "object", {"id": QUIZ, "type": kind}), "actor", {"id": f"{LMS}/users/s-1", "type": "Person"})
    for changed in (event, put(event, "generated/attempt", QUIZ), put(event, "generated/attempt", {"id": QUIZ, "type": "Attempt"})):
        act = told(changed)
        assert (act.act_id, act.telling_id, act.item_id) == (act_id_of("", urn("grade")), None, item_id_of(QUIZ))


def test_an_attempt_that_is_named_and_not_described_is_still_the_act() -> None:
    attempt = {"assignee": f"{LMS}/users/s-1", "assignable": item_iri(1)}
    for inner in ({"id": "_:a", "type": "Attempt"}, {"id": attempt_iri("s-1"), "type": "Attempt"}):
        event = put(put(graded(), "object", attempt_iri("s-1")), "generated/attempt", inner | attempt)
        assert told(event) == told(graded())
    event = put(put(graded(), "object", {"id": item_iri(1), "type": "AssessmentItem"}), "generated/attempt", attempt_iri("s-1"))
    event = put(event, "actor", {"id": f"{LMS}/users/s-1", "type": "Person"})
    assert told(event) == told(graded())


def test_an_answer_is_of_whom_its_attempt_is_assigned_to() -> None:
    for actor in ({"id": f"{LMS}/users/t-1", "type": "Person"}, {"id": f"{LMS}/autograder", "type": "SoftwareApplication"}):
        event = put(answered(), "actor", actor)
        assert told(event) == told(answered())
        for nobody in (..., None, "_:someone", "http://purl.imsglobal.org/caliper/Person"):
            assert told(put(answered(), "generated/attempt/assignee", nobody)) == told(answered()), "else it is who acts"


def test_a_person_who_is_graded_may_be_the_actor() -> None:
    event = put(put(graded(), "object/assignee", ...), "actor", {"id": f"{LMS}/users/s-1", "type": "Person"})
    assert told(event).alias == alias()


@pytest.mark.parametrize(
    ("place", "said", "hers"),
    [
        ("membership", {"roles": ["Instructor"]}, False),
        ("membership", {"roles": ["Instructor#Grader", "Mentor"]}, False),
        ("membership", {"roles": ["Learner"]}, True),
        ("membership", {"roles": ["http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"]}, True),
        ("membership", {"roles": []}, True),
        ("membership", f"{LMS}/m/1", True),
        ("generated/scoredBy", f"{LMS}/users/s-1", False),
        ("generated/scoredBy", {"id": f"{LMS}/users/s-1", "type": "Person"}, False),
        ("generated/scoredBy", f"{LMS}/users/t-1", True),
        ("generated/scoredBy", {"id": f"{LMS}/grader", "type": "SoftwareApplication"}, True),
    ],
)  # fmt: skip
def test_who_graded_is_not_who_was_graded(place: str, said: Any, hers: bool) -> None:
    event = put(put(graded(), "object/assignee", ...), "actor", {"id": f"{LMS}/users/s-1", "type": "Person"})
    event = put(event, place, said)
    if hers:
        assert told(event).alias == alias()
    else:
        assert reason(event) == "nobody is assigned"
    assert told(put(event, "object/assignee", f"{LMS}/users/s-1")).alias == alias(), "she is named"


def test_events_may_name_what_the_envelope_describes() -> None:
    attempt = {"@context": CONTEXT} | graded()["object"]
    heard = read(envelope(put(graded(), "object", attempt["id"]), attempt))
    assert heard[0].told == told(graded())
    assert (heard[1].told, heard[1].reason) == (None, "an entity")


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (used(), "not scored work"),
        (put(answered(), "action", "Started"), "not completed"),
        (put(answered(), "action", "Submitted"), "not completed"),
        (put(answered(), "generated/extensions", ...), "no score"),
        (put(answered(), "generated", ...), "no score"),
        (put(graded(), "generated", ...), "no score"),
        (put(graded(), "generated", f"{LMS}/scores/1"), "no score"),
        (put(put(graded(), "generated/scoreGiven", ...), "generated/maxScore", 0.0), "no score"),
        (put(graded(), "generated/maxScore", ...), "no possible score"),
        (put(graded(), "generated/maxScore", 0), "no possible score"),
        (put(graded(), "generated/maxScore", -4.0), "no possible score"),
        (put(graded(), "generated/maxScore", None), "no possible score"),
        (put(graded(), "generated/scoreGiven", None), "no score"),
        (put(graded(), "generated/type", "Result"), "no score"),
        (put(graded(), "object/assignee", ...), "nobody is assigned"),
        (put(graded(), "object/assignee/id", "_:someone"), "nobody is assigned"),
        (put(graded(), "object/assignable", ...), "no item"),
        (put(graded(), "object", attempt_iri("s-1")), "nobody is assigned"),
    ],
)
def test_other_valid_events_are_taken_and_say_why_they_are_no_evidence(event: Any, why: str) -> None:
    assert reason(event) == why


@pytest.mark.parametrize("kind", sorted(EVENT_TYPES - {"GradeEvent", "AssessmentItemEvent"}))
def test_every_type_of_caliper_is_taken(kind: str) -> None:
    assert reason(put(used(), "type", kind)) == "not scored work"


@pytest.mark.parametrize("path", ["object", "object/id", "actor", "generated"])
@pytest.mark.parametrize("address", ["https://lms.example/pages/week 1", "https://lms.example/files?a={b}|c", "s-1"])
def test_a_page_view_may_name_what_is_no_iri_beside_scored_work(path: str, address: str) -> None:
    view = {**used(), "type": "ViewEvent", "action": "Viewed", "object": {"id": "https://lms.example/pages/1", "type": "Page"}}
    started = put(answered("started"), "action", "Started")
    page = {"@context": CONTEXT, "id": address, "type": "Page"}
    heard = read(envelope(graded(), put(view, path, address), put(started, path, address), page))
    assert [(each.told, each.reason) for each in heard] == [
        (told(graded()), ""), (None, "not scored work"), (None, "not completed"), (None, "an entity"),
    ]  # fmt: skip


def test_scored_work_that_names_no_iri_is_malformed_also_where_the_envelope_describes_it() -> None:
    item = {"@context": CONTEXT, "id": "item 1", "type": "AssessmentItem"}
    with pytest.raises(BadInput) as caught:
        read(envelope(item, put(graded(), "object/assignable", item["id"])))
    assert [(fault.place, fault.code) for fault in caught.value.faults] == [("/data/1/object/assignable", "not-an-iri")]


@pytest.mark.parametrize(
    ("path", "new", "code"), [("object", None, "missing"), ("actor", 7, "not-an-entity"), ("object", [], "not-an-entity")]
)
def test_a_page_view_without_what_an_event_has_is_named(path: str, new: Any, code: str) -> None:
    with pytest.raises(BadInput) as caught:
        read(envelope(put(used(), path, new)))
    assert [(fault.place, fault.code) for fault in caught.value.faults] == [(f"/data/0/{path}", code)]


BAD_EVENTS = [
    ("id", ..., "not-a-uuid"),
    ("id", 7, "not-a-uuid"),
    ("id", "{c51570e4-f8ed-4c18-bb3a-dfe51b2cc594}", "not-a-uuid"),
    ("id", "c51570e4f8ed4c18bb3adfe51b2cc594", "not-a-uuid"),
    ("id", "urn:uuid:c51570e4", "not-a-uuid"),
    ("type", ..., "missing"),
    ("type", "", "not-a-text"),
    ("type", "GradingEvent", "unknown-type"),
    ("type", "http://purl.imsglobal.org/caliper/GradeEvent", "unknown-type"),
    ("type", "caliper:GradeEvent", "unknown-type"),
    ("@context", ..., "missing"),
    ("@context", CONTEXT.replace("v1p2", "v1p0"), "unsupported-version"),
    ("@context", [CONTEXT.replace("v1p2", "v1p0"), LMS], "unsupported-version"),
    ("@context", CONTEXT.replace("v1p2", "v1/Context"), "unsupported-version"),
    ("@context", CONTEXT.replace("v1p2", "v1p0/ToolLaunchProfile-extension"), "unsupported-version"),
    ("@context", CONTEXT + "/other", "unsupported-version"),
    ("@context", CONTEXT + "0", "unsupported-version"),
    ("@context", f"{LMS}/{CONTEXT}", "unsupported-version"),
    ("@context", [{"@vocab": CONTEXT}, 7], "unsupported-version"),
    ("actor", ..., "missing"),
    ("actor", None, "missing"),
    ("actor", 7, "not-an-entity"),
    ("actor", "s-1", "not-an-iri"),
    ("actor/id", ..., "not-an-iri"),
    ("actor/type", ..., "missing"),
    ("action", ..., "missing"),
    ("action", ["Graded"], "not-a-text"),
    ("action", "Submitted", "wrong-action"),
    ("object", ..., "missing"),
    ("object/id", 3, "not-an-iri"),
    ("object/assignee", [], "not-an-entity"),
    ("object/assignable/id", "item 1", "not-an-iri"),
    ("object/endedAtTime", "2026-13-01T00:00:00.000Z", "not-an-instant"),
    ("object/duration", "40 minutes", "not-a-duration"),
    ("object/duration", "-PT5S", "not-a-duration"),
    ("object/duration", "P1M", "not-a-duration"),
    ("object/duration", "P0Y10MT5S", "not-a-duration"),
    ("object/duration", "P0.5Y", "not-a-duration"),
    ("object/assignable/type", ["Assessment"], "not-a-text"),
    ("eventTime", ..., "not-an-instant"),
    ("eventTime", "yesterday", "not-an-instant"),
    ("eventTime", "2026-11-23T10:00:00", "not-an-instant"),
    ("eventTime", 1_764_000_000, "not-an-instant"),
    ("eventTime", "2026-11-23T10:00:00+05:75", "not-an-instant"),
    ("eventTime", "2026-02-30T10:00:00.000Z", "not-an-instant"),
    ("eventTime", "2027-11-23T10:00:00.000Z", "in-the-future"),
    ("eventTime", "0001-01-01T00:00:00.000+14:00", "not-an-instant"),
    ("eventTime", "1969-12-31T23:59:59.000Z", "too-early"),
    ("generated", 3, "not-an-entity"),
    ("generated/scoreGiven", "3", "not-a-number"),
    ("generated/scoreGiven", True, "not-a-number"),
    ("generated/scoreGiven", float("nan"), "not-a-number"),
    ("generated/maxScore", "4", "not-a-number"),
    ("generated/type", ..., "missing"),
    ("generated/type", ["Score"], "not-a-text"),
    ("generated/attempt", 1, "not-an-entity"),
]


@pytest.mark.parametrize(("path", "new", "code"), BAD_EVENTS)
def test_a_malformed_event_is_named_with_its_field(path: str, new: Any, code: str) -> None:
    with pytest.raises(BadInput) as caught:
        read(envelope(used(), put(graded(), path, new)))
    [fault] = caught.value.faults
    assert (fault.code, fault.place.startswith(f"/data/1/{path}"), bool(fault.remedy)) == (code, True, True)
    assert "s-1" not in str(fault), "an error never repeats who it was about"


def test_what_ends_before_it_starts_has_no_duration() -> None:
    event = put(put(graded(), "object/startedAtTime", "2026-11-20T09:00:01.000Z"), "object/endedAtTime", "2026-11-20T09:00:00.000Z")
    [heard] = read(envelope(event))
    assert heard.told is not None
    assert heard.told.duration_ms is None
    assert heard.told.occurred_at.isoformat() == "2026-11-20T09:00:00+00:00"


def test_less_than_nothing_is_nothing_reached() -> None:
    [heard] = read(envelope(put(graded(), "generated/scoreGiven", -0.5)))
    assert heard.told is not None
    assert heard.told.score_e6 == 0


def test_every_malformed_event_is_named() -> None:
    with pytest.raises(BadInput) as caught:
        read(envelope("no event", graded(), put(graded(), "id", 1), []))
    assert [fault.place for fault in caught.value.faults] == ["/data/0", "/data/2/id", "/data/3"]


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ([], ""),
        ([graded()], ""),
        (graded(), ""),
        ("text", ""),
        (None, ""),
        ({}, "/sensor"),
        (envelope(used(), sensor=None), "/sensor"),
        (envelope(used(), sensor=""), "/sensor"),
        (envelope(used(), sensor="x" * (MAX_ID + 1)), "/sensor"),
        (envelope(used(), sensor=["lms"]), "/sensor"),
        (envelope(used(), sendTime="now"), "/sendTime"),
        (put(envelope(used()), "sendTime", ...), "/sendTime"),
        (envelope(used(), dataVersion=1.2), "/dataVersion"),
        (envelope(), "/data"),
        (envelope(data=used()), "/data"),
        (put(envelope(), "data", ...), "/data"),
    ],
)
def test_what_is_no_envelope_is_refused_with_the_place(value: Any, place: str) -> None:
    with pytest.raises(MalformedInput) as caught:
        read(value)
    assert caught.value.faults[0].place == place


@pytest.mark.parametrize("version", [CONTEXT.replace("v1p2", "v1p0"), CONTEXT.replace("v1p2", "v1/Context"), CONTEXT + "0", LMS])
def test_another_version_is_not_supported(version: str) -> None:
    with pytest.raises(BadInput) as caught:
        read(envelope(used(), dataVersion=version))
    assert (caught.value.faults[0].place, isinstance(caught.value, MalformedInput)) == ("/dataVersion", False)
    assert caught.value.faults[0].remedy == f"send {CONTEXT}"


@pytest.mark.parametrize("context", [CONTEXT, CONTEXT.replace("v1p2", "v1p1")])
def test_a_version_is_known_by_https_and_with_a_slash_behind_it_too(context: str) -> None:
    for spelt in (context + "/", context.replace("http:", "https:"), context.replace("http:", "https:") + "/"):
        sent = envelope(put(graded(), "@context", spelt), put(answered(), "@context", [f"{LMS}/ctx", spelt]), dataVersion=spelt)
        assert read(sent) == read(envelope(graded(), answered()))


@pytest.mark.parametrize(
    ("profile", "kind"),
    [
        ("ToolLaunch", "ToolLaunchEvent"),
        ("ToolUse", "ToolUseEvent"),
        ("Survey", "SurveyInvitationEvent"),
        ("Search", "SearchEvent"),
        ("Feedback", "FeedbackEvent"),
        ("ResourceManagement", "ResourceManagementEvent"),
    ],
)
def test_what_caliper_1_1_added_later_is_taken_beside_scored_work(profile: str, kind: str) -> None:
    older = CONTEXT.replace("v1p2", "v1p1")
    context = f"{older}/{profile}Profile-extension"
    for spelt in (context, [context, older], [context], context.replace("http:", "https:") + "/"):
        event = put(put(used(), "type", kind), "@context", spelt)
        other, scored = read(envelope(event, put(answered(), "@context", older), dataVersion=older))
        assert (other.told, other.reason, scored.told) == (None, "not scored work", told(answered()))


def test_caliper_1_1_is_read_as_1_2_is() -> None:
    older = CONTEXT.replace("v1p2", "v1p1")
    events = [graded(), answered(), used()]
    sent = envelope(*[put(event, "@context", older) for event in events], dataVersion=older)
    assert read(sent) == read(envelope(*events))
    assert read(put(sent, "data/0/@context", ["https://lms.example/ctx", older])) == read(sent)


def test_the_possible_score_of_the_item_stands_in_for_one_that_is_nothing() -> None:
    event = put(put(graded(given=39.45205), "generated/maxScore", 0), "object/assignable/maxScore", 160)
    assert told(event).score_e6 == 246_575


def test_an_envelope_has_a_limit() -> None:
    assert len(read(envelope(*[used()] * MAX_ACTS))) == MAX_ACTS
    with pytest.raises(TooLarge) as caught:
        read(envelope(*[used()] * (MAX_ACTS + 1)))
    assert caught.value.faults[0].place == "/data"


json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "type", "assignee", "attempt", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
PATHS = [f"data/{n}/{path}" for n, event in enumerate([graded(), answered()]) for path in paths_of(event)] + ["data", "sendTime", "sensor"]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PATHS), json | st.just(...)), min_size=1, max_size=3))
def test_whatever_is_sent_is_read_or_refused_with_its_place(changes: list[tuple[str, Any]]) -> None:
    value: Any = envelope(graded(), answered())
    for path, new in changes:
        with suppress(KeyError, IndexError, TypeError, ValueError):  # An earlier change took the place away.
            value = put(value, path, new)
    heard: list[Heard] = []
    faults: Sequence[Fault] = ()
    try:
        heard = read(value)
    except BadInput as error:
        faults = error.faults
    assert bool(heard) != bool(faults)
    assert all(fault.remedy and (not fault.place or fault.place.startswith("/")) for fault in faults)
    for each in heard:
        assert (each.told is None) == bool(each.reason)
        assert each.told is None or EvidenceAccepted.model_validate(each.told.body()) == each.told
