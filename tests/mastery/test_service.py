"""Mastery as it runs, without Kafka: real PostgreSQL, real HTTP."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import orjson
import pytest

from services.mastery.app import PARTS
from services.mastery.calibration import CALIBRATION, DEFAULT_ENTRIES
from services.mastery.commands import CountEvidence
from services.mastery.membership import NoteMembership
from services.mastery.subscribers import commands_for
from shared.contracts.envelope import Header, StreamId
from shared.contracts.evidence import EvidenceRecorded
from shared.contracts.mastery import EVENTS, Level, LevelChanged, MembershipNoted
from shared.contracts.profile import LearnerRostered
from shared.http import MAX_BODY_BYTES
from shared.settings_stream import adoption
from shared.stack import ServiceDatabase
from shared.testing import recorded, running
from tests.mastery.samples import LEARNER, competency, entries, evidence, told
from tests.mastery.state_package import state_package
from tests.mastery.test_case import DOCUMENT, GOOD, item, link, package
from tests.mastery.test_domain import strong

READ_TABLES = (
    "learner_estimate", "competency_estimate", "due", "level", "level_change", "person_needed", "override", "waiver", "deferred",
    "membership", "framework_page", "framework_in_force",
)  # fmt: skip
CIRCUMSTANCES = ["version", "changed_at", "settings", "probability_e6", "evidence_ids"]
"""What tells when and by what a level was changed, which is another thing than the level."""
OTHER = UUID("7d1f1a52-0000-4000-8000-000000000002")


async def hear(service: Any, *seen: EvidenceRecorded) -> None:
    """Handle evidence one by one, as it would come in batches."""
    for position, each in enumerate(seen):
        await service.hear(told(each, position))


async def get(service: Any, path: str, **query: Any) -> Any:
    answer = await service.client.get(f"/mastery{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def rows(service: Any, statement: str) -> list[tuple[Any, ...]]:
    async with service.pool.connection() as connection:
        return await (await connection.execute(statement)).fetchall()


async def table_of(service: Any, table: str) -> list[dict[str, Any]]:
    """Return the rows of a read table, in a fixed order."""
    found = await rows(service, f"SELECT to_jsonb(t) FROM {table} t")  # noqa: S608 - our own names
    return sorted((row for (row,) in found), key=str)


def without(row: dict[str, Any], names: list[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


async def events(service: Any) -> int:
    ((count,),) = await rows(service, "SELECT count(*) FROM event")
    return int(count)


async def test_the_shipped_calibration_is_adopted_once(database: Callable[[str], ServiceDatabase]) -> None:
    place = database("mastery")
    for _ in range(2):
        async with running(PARTS, place) as service:
            assert await events(service) == 2  # The page and its adoption.
            assert (await service.context.asker.parameters()).get(CALIBRATION) is not None


async def test_a_package_becomes_the_framework_and_again_changes_nothing(service: Any) -> None:
    before = await events(service)
    dry = await service.client.post("/mastery/case/packages", params={"dry_run": True}, json=GOOD)
    assert (dry.status_code, dry.json()["events"], dry.json()["added"]) == (200, 0, 3)
    assert await events(service) == before
    first = (await service.client.post("/mastery/case/packages", json=GOOD)).json()
    assert (first["events"], first["added"], first["changed"], first["removed"]) == (2, 3, 0, 0)
    assert first["report"]["prerequisites"] == 1
    again = (await service.client.post("/mastery/case/packages", json=GOOD)).json()
    assert (again["events"], again["added"], again["framework_id"]) == (0, 0, first["framework_id"])
    assert dry.json()["framework_id"] == first["framework_id"]
    smaller = package([item(2, fullStatement="Another wording"), item(7)], [link("replacedBy", 2, 7)])
    replaced = (await service.client.post("/mastery/case/packages", json=smaller)).json()
    assert (replaced["added"], replaced["changed"], replaced["removed"]) == (1, 1, 2)
    same = (await service.client.post("/mastery/case/packages", json=smaller)).json()
    assert (same["events"], same["added"], same["changed"], same["removed"]) == (0, 0, 0, 0)


async def test_the_framework_is_summed_up_and_listed_in_pages(service: Any) -> None:
    assert (await get(service, "/framework"))["framework_id"] is None
    imported = (await service.client.post("/mastery/case/packages", json=GOOD)).json()
    summary = await get(service, "/framework")
    assert summary == {
        "framework_id": imported["framework_id"], "competencies": 3, "assessable": 2, "prerequisites": 1, "replaced": 0,
        "frameworks": {DOCUMENT: 3}, "goals": {DOCUMENT: 2}, "families": {"domain": 1, "standard": 2},
        "subjects": {"mathematics": 2, "number": 1}, "grades": {"05": 3, "KG": 1},
    }  # fmt: skip
    first = await get(service, "/framework/competencies", limit=2)
    second = await get(service, "/framework/competencies", limit=2, after=first["next"])
    assert [known["id"] for known in first["items"] + second["items"]] == [competency(n) for n in (1, 2, 3)]
    assert second["next"] is None
    assert [known["id"] for known in (await get(service, "/framework/competencies", subject="Number"))["items"]] == [competency(3)]
    assert [known["id"] for known in (await get(service, "/framework/competencies", grade="KG"))["items"]] == [competency(3)]


@pytest.mark.parametrize(
    ("content", "headers", "status", "place"),
    [
        (b"{", {}, 400, ""),
        (b'{"CFDocument": {"identifier": "\\u0000"}, "CFItems": []}', {}, 400, "/CFDocument/identifier"),
        (b'{"CFItems": []}', {}, 400, "/CFDocument"),
        (b"\xff\xfe", {}, 400, ""),
        (b"{}", {"content-type": "text/plain"}, 415, None),
    ],
)
async def test_what_is_no_package_is_refused_and_leaves_no_trace(
    service: Any, content: bytes, headers: dict[str, str], status: int, place: str | None
) -> None:  # fmt: skip
    before = await events(service)
    answer = await service.client.post("/mastery/case/packages", content=content, headers={"content-type": "application/json"} | headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    if place is not None:
        assert answer.json()["errors"][0]["place"] == place
    assert await events(service) == before


async def test_a_cycle_is_refused_by_name_and_the_framework_before_stays(service: Any) -> None:
    imported = (await service.client.post("/mastery/case/packages", json=GOOD)).json()
    bad = package([item(1), item(2)], [link("precedes", 1, 2), link("precedes", 2, 1)])
    answer = await service.client.post("/mastery/case/packages", json=bad)
    assert answer.status_code == 422
    assert "5.T.1 -> 5.T.2 -> 5.T.1" in answer.json()["errors"][0]["detail"]
    assert (await get(service, "/framework"))["framework_id"] == imported["framework_id"]


async def test_packages_that_come_at_once_are_all_in_force_afterwards(service: Any) -> None:
    documents = [f"d0000000-0000-4000-8000-00000000000{n}" for n in range(4)]
    sent = [package([item(10 * n + 1), item(10 * n + 2)], identifier=document) for n, document in enumerate(documents)]
    answers = await asyncio.gather(*(service.client.post("/mastery/case/packages", json=each) for each in sent))
    assert [answer.status_code for answer in answers] == [200] * 4, [answer.text for answer in answers]
    assert (await get(service, "/framework"))["frameworks"] == dict.fromkeys(documents, 2)
    last = (await get(service, "/framework"))["framework_id"]
    assert [answer.json()["framework_id"] for answer in answers].count(last) == 1
    assert sum(answer.json()["events"] for answer in answers) == await events(service) - 2  # The shipped calibration is two.
    again = [await service.client.post("/mastery/case/packages", json=each) for each in sent]
    assert {(answer.json()["events"], answer.json()["framework_id"]) for answer in again} == {(0, last)}


async def test_a_document_is_withdrawn_once_somebody_has_looked_and_levels_stay(service: Any) -> None:
    address, other = f"/mastery/case/documents/{DOCUMENT}", "d0000000-0000-4000-8000-000000000009"
    imported = (await service.client.post("/mastery/case/packages", json=GOOD)).json()
    await hear(service, *strong(0, 2))
    beside = package([item(9)], [link("precedes", 3, 9)], identifier=other)
    base = (await service.client.post("/mastery/case/packages", json=beside)).json()["framework_id"]
    await service.tick()
    levels, before = await table_of(service, "level"), await events(service)
    looked = await service.client.delete(address, params={"dry_run": True})
    told = looked.json()
    assert (looked.status_code, told["base"], told["events"]) == (200, base, 0)
    assert (told["competencies"], told["learners"], told["kept"], told["others_behind"], told["named"]) == (3, 1, 1, 1, [competency(9)])
    for query, status, words in (({}, 422, "dry_run=true"), ({"base": imported["framework_id"]}, 409, "look again")):
        refused = await service.client.delete(address, params=query)
        assert (refused.status_code, words in refused.text) == (status, True), refused.text
    assert await events(service) == before
    done = (await service.client.delete(address, params={"base": base})).json()
    assert (done["framework_id"], done["events"]) == (told["framework_id"], 2)
    summary = await get(service, "/framework")
    assert (summary["frameworks"], summary["goals"]) == ({"": 1, other: 1}, {other: 1})
    assert await service.tick() > 0
    assert await table_of(service, "level") == levels
    for gone in (address, f"/mastery/case/documents/{UUID(int=3)}"):
        again = await service.client.delete(gone, params={"base": done["framework_id"]})
        assert (again.status_code, "withdrawn before, or never imported" in again.text) == (404, True), again.text
    back = (await service.client.post("/mastery/case/packages", json=GOOD)).json()
    assert (back["framework_id"], back["added"]) == (base, 2)


async def test_levels_from_evidence_that_waited_for_its_framework_stay_when_that_is_withdrawn(service: Any) -> None:
    other = "d0000000-0000-4000-8000-000000000009"
    await service.client.post("/mastery/case/packages", json=package([item(2)]))
    await hear(service, *strong(0, 3))
    base = (await service.client.post("/mastery/case/packages", json=package([item(3)], identifier=other))).json()["framework_id"]
    await service.tick()
    levels = await table_of(service, "level")
    assert [(row["competency_id"], row["level"]) for row in levels] == [(competency(3), "mastered")]
    done = await service.client.delete(f"/mastery/case/documents/{other}", params={"base": base})
    assert (done.status_code, done.json()["kept"]) == (200, 1)
    await service.tick()
    assert await table_of(service, "level") == levels
    beside = (await service.client.post("/mastery/case/packages", json=package([item(2), item(4)]))).json()
    assert (beside["added"], beside["changed"], beside["removed"]) == (1, 0, 0)


async def test_the_last_document_can_be_withdrawn(service: Any) -> None:
    base = (await service.client.post("/mastery/case/packages", json=GOOD)).json()["framework_id"]
    done = await service.client.delete(f"/mastery/case/documents/{DOCUMENT}", params={"base": base})
    assert done.status_code == 200, done.text
    assert (await get(service, "/framework"))["competencies"] == 0
    await service.tick()
    assert (await service.client.post("/mastery/case/packages", json=GOOD)).json()["added"] == 3


async def test_an_import_notes_what_other_documents_have_and_what_is_over(service: Any) -> None:
    await service.client.post("/mastery/case/packages", json=GOOD)
    sent = package(
        [item(2), item(5, statusEndDate="2019-06-30"), item(6)],
        [link("replacedBy", 6, 77)],
        identifier="d0000000-0000-4000-8000-000000000009",
    )
    report = (await service.client.post("/mastery/case/packages", json=sent)).json()["report"]
    assert report["noted"] == {"of-another-document": 1, "replaced-elsewhere": 1, "retired": 1}
    assert [note["code"] for note in report["notes"]] == ["retired", "of-another-document", "replaced-elsewhere"]


async def test_evidence_becomes_competencies_levels_and_changes(service: Any) -> None:
    await service.client.post("/mastery/case/packages", json=GOOD)
    await hear(service, *strong(0, 2, 3), evidence(90, 1, day=9), evidence(91, 2, learner=OTHER))
    page = await get(service, f"/learners/{LEARNER}/competencies", limit=2)
    rest = await get(service, f"/learners/{LEARNER}/competencies", limit=2, after=page["next"])
    shown = {view["competency_id"]: view for view in page["items"] + rest["items"]}
    assert list(shown) == [competency(n) for n in (1, 2, 3)]
    assert rest["next"] is None
    second = shown[competency(2)]
    assert (second["level"], second["code"], second["scored"], second["items"], second["days"]) == ("mastered", "5.T.2", 16, 3, 8)
    assert second["sd_e6"] > 0
    assert second["success_e6"] > 800_000
    assert second["probability_e6"] > 800_000
    changes = await get(service, f"/learners/{LEARNER}/levels/changes", limit=3)
    assert changes["items"][0]["version"] > changes["items"][1]["version"]
    older = await get(service, f"/learners/{LEARNER}/levels/changes", limit=100, after=changes["next"])
    told_levels = [(change["competency_id"], change["level"]) for change in [*changes["items"], *older["items"]]][::-1]
    assert told_levels.count((competency(2), "mastered")) == 1
    assert told_levels.index((competency(2), "nearly")) < told_levels.index((competency(2), "mastered"))
    stranger = await service.client.get(f"/mastery/learners/{UUID(int=9)}/competencies")
    assert (stranger.status_code, stranger.json()["detail"][:9]) == (404, "no roster")


async def test_an_explanation_adds_up_and_says_what_is_missing(service: Any) -> None:
    await service.client.post("/mastery/case/packages", json=GOOD)
    await hear(service, *strong(0, 3, count=10))
    why = await get(service, f"/learners/{LEARNER}/competencies/{competency(3)}/why")
    assert why["mean_e6"] == pytest.approx(sum(part["logit_e6"] for part in why["contributions"] if part["decides"]), abs=2)
    assert {part["part"] for part in why["contributions"]} == {"item", "learner", "competency", "form", "same-item"}
    assert (why["level"], why["statement"], why["bar_e6"], why["certainty_e6"]) == ("nearly", "Can do 3", 800_000, 900_000)
    missed = {"competency_id": competency(2), "code": "5.T.2", "level": "not-enough-evidence", "met": False, "waived": False}
    assert why["prerequisites"] == [missed]
    assert any(lack.startswith("certainty:") for lack in why["missing"])
    assert "prerequisite: 5.T.2" in why["missing"]
    assert why["right_answers_needed"] > 0
    assert str(why["right_answers_needed"]) in why["words"]
    assert why["evidence_ids"] == [str(evidence(n).evidence_id) for n in range(9, -1, -1)]
    assert len(why["decided_by"]) == 1
    assert why["policy_id"] is None
    assert why["calibration_id"] == (await service.context.asker.parameters()).ids["calibration"]
    assert why["framework_id"] == (await get(service, "/framework"))["framework_id"]


async def test_what_was_never_worked_on_is_told_as_unknown_and_what_nobody_knows_as_404(service: Any) -> None:
    await service.client.post("/mastery/case/packages", json=GOOD)
    await hear(service, evidence(1, 3))
    why = await get(service, f"/learners/{LEARNER}/competencies/{competency(2)}/why")
    assert (why["level"], why["scored"], why["evidence_ids"], why["since"]) == ("not-enough-evidence", 0, [], None)
    assert why["words"] == "There is not enough evidence to say how well this is known."
    missing = await service.client.get(f"/mastery/learners/{LEARNER}/competencies/nothing/why")
    assert missing.status_code == 404
    assert (await service.client.get("/mastery/learners/nobody/competencies")).status_code == 422
    bad = await service.client.get(f"/mastery/learners/{LEARNER}/competencies", params={"after": "%%"})
    assert (bad.status_code, bad.json()["errors"][0]["place"]) == (422, "query/after")


async def test_any_order_and_repetition_ends_in_the_same_rows(service: Any, database: Callable[[str], ServiceDatabase]) -> None:
    seen = [*strong(0, 1, 2), *(evidence(50 + n, 2, right=False, day=3 + n / 3) for n in range(5))]
    await hear(service, *sorted(seen, key=lambda each: each.occurred_at))
    async with running(PARTS, database("mastery")) as other:
        await hear(other, *seen[::-1], *seen[3:6])
        for table, apart in (("learner_estimate", ["version"]), ("competency_estimate", ["version"]), ("level", CIRCUMSTANCES)):
            one, another = [[without(row, apart) for row in await table_of(place, table)] for place in (service, other)]
            assert one == another != []


async def test_older_events_told_again_change_no_row_and_all_rows_can_be_made_anew(service: Any) -> None:
    await hear(service, *strong(0, 1), evidence(70, 1, day=1.5))
    made = [await table_of(service, table) for table in READ_TABLES]
    assert all(made[:4])
    await project_all(service, backwards=True)
    assert [await table_of(service, table) for table in READ_TABLES] == made
    async with service.pool.connection() as connection:
        for table in READ_TABLES:
            await connection.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
    await project_all(service)
    assert [await table_of(service, table) for table in READ_TABLES] == made


async def project_all(service: Any, backwards: bool = False) -> None:
    """Project every event of the ledger, one at a time, from the first or from the last."""
    headers = [Header.read(bytes(raw)) for (raw,) in await rows(service, "SELECT bytes FROM event ORDER BY partition, position")]
    classes = {each.TYPE: each for each in EVENTS}
    async with service.pool.connection() as connection:
        for header in reversed(headers) if backwards else headers:
            event = header.decode(classes[header.event_type])
            for projection in PARTS.projections:
                if made := projection.reduced([event]):
                    await connection.execute(projection.statement, {"rows": orjson.dumps(made).decode()})


async def test_a_new_framework_and_calibration_sweep_over_the_learners_once(service: Any) -> None:
    await service.client.post("/mastery/case/packages", json=package([item(2), item(3)]))
    await hear(service, *strong(0, 3), evidence(91, 2, learner=OTHER))
    await service.tick()
    quiet = await events(service)
    assert await service.tick() == 0
    await service.client.post("/mastery/case/packages", json=GOOD)
    await service.tick()
    assert [row["level"] for row in await table_of(service, "level")] == [
        "mastered"
    ]  # Its prerequisite is not mastered, and a new framework alone takes nothing back.
    calibrated = adoption("mastery", CALIBRATION, entries(gain_right_e6=90_000))
    await service.context.asker.ask(calibrated, UUID(int=5))
    await service.tick()
    ((counted,),) = await rows(service, "SELECT count(*) FROM event WHERE type = 'mastery.re-estimated.v1'")
    assert counted >= 2  # Both learners' numbers changed with the calibration.
    after = await events(service)
    assert after > quiet
    await service.tick()
    assert await events(service) == after
    await service.context.asker.ask(adoption("mastery", CALIBRATION, DEFAULT_ENTRIES), UUID(int=6))
    await service.tick()
    ((again,),) = await rows(service, "SELECT count(*) FROM event WHERE type = 'mastery.re-estimated.v1'")
    assert again >= counted + 2  # Going back to numbers that were in force before is a change like any other.


def test_only_recorded_evidence_asks_for_anything() -> None:
    assert commands_for(told(evidence(1), 0)) == [CountEvidence(evidence(1))]
    level = LevelChanged(learner_id=LEARNER, competency_id=competency(1), level=Level.NEARLY, probability_e6=600_000)
    assert commands_for(replace(told(evidence(1), 0), data=level)) == []  # type: ignore[arg-type]  # Another service's event.


def test_classes_are_noted_with_their_place_in_what_profile_tells() -> None:
    """Behind a hole the version of her stream is given a second time, its place never is."""
    learner = UUID(int=1)
    (told,) = recorded(
        StreamId("profile", "learner", str(learner)), [LearnerRostered(learner_id=learner, school_id=UUID(int=2), aliases=())]
    )
    assert commands_for(replace(told, position=40)) == [NoteMembership(MembershipNoted(learner_id=learner, version=41))]


async def test_a_framework_of_many_pages_is_taken_whole(service: Any) -> None:
    many = package([item(n) for n in range(5_000)], [link("precedes", n, n + 1) for n in range(4_999)])
    imported = (await service.client.post("/mastery/case/packages", json=many)).json()
    assert imported["events"] == 8  # Seven pages, and the adoption.
    assert (await get(service, "/framework"))["prerequisites"] == 4_999
    assert (await service.client.post("/mastery/case/packages", json=many)).json()["events"] == 0


async def test_a_whole_state_s_package_is_taken_with_all_its_oddities(service: Any) -> None:
    """15,000 items with null fields, definitions, rubrics, extensions and links to elsewhere: more than any other body may have."""
    sent = orjson.dumps(state_package(15_000))
    assert len(sent) > MAX_BODY_BYTES
    as_json = {"content-type": "application/json"}
    answer = await service.client.post("/mastery/case/packages", content=sent, headers=as_json)
    assert answer.status_code == 200, answer.text[:2_000]
    report = answer.json()["report"]
    assert (report["items"], report["children"], report["unknown_types"]) == (15_000, 14_950, ["ext:alignsTo"])
    assert set(report["noted"]) == {"foreign", "heading-prerequisite", "replaced-elsewhere", "retired", "unknown-grade"}
    assert {note["code"] for note in report["notes"]} == set(report["noted"])  # Many of one code hide no others.
    again = await service.client.post("/mastery/case/packages", content=sent, headers=as_json)
    assert (again.json()["events"], again.json()["changed"]) == (0, 0)
