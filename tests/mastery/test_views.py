"""Needs, explanations, overrides, waivers and the policy over HTTP, on a real database."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg import OperationalError

from services.mastery.calibration import CALIBRATION
from services.mastery.commands import GiveOverride
from services.mastery.queries import deferred_now
from services.mastery.subscribers import ticks
from services.mastery.words import ENGLISH
from shared.contracts.envelope import Event, Recorded, instant_text
from shared.contracts.evidence import EvidenceRescored, EvidenceVoided
from shared.contracts.mastery import Author, Level, OverrideGiven, Reason
from shared.contracts.profile import LearnerRostered
from shared.parts import Drain
from shared.settings_stream import adoption
from tests.mastery.samples import LEARNER, competency, entries, evidence, told
from tests.mastery.test_amended import rescore, void
from tests.mastery.test_case import item, link, package
from tests.mastery.test_days import ONE_AFTERNOON
from tests.mastery.test_domain import strong
from tests.mastery.test_service import READ_TABLES, get, hear, project_all, rows, table_of

OTHER = UUID("7d1f1a52-0000-4000-8000-000000000002")
THIRD = UUID("7d1f1a52-0000-4000-8000-000000000003")
CLASS, SECOND_CLASS = UUID(int=0xC1A55), UUID(int=0xC1A56)
SAID = {"author_id": str(UUID(int=7)), "role": "teacher", "reason": "shown-in-person"}
FRAMEWORK = package([item(n) for n in range(1, 6)], [link("precedes", 1, 2), link("precedes", 3, 4)])


@pytest.fixture
async def service(service: Any) -> Any:
    """Mastery with a framework of five competencies."""
    assert (await service.client.post("/mastery/case/packages", json=FRAMEWORK)).status_code == 200
    return service


def heard(data: Event, source: str, position: int, version: int = 1) -> Recorded[Any]:
    """Return another service's event of this content."""
    return replace(told(evidence(1), position), data=data, type=data.TYPE, source=f"/local/{source}", version=version)  # type: ignore[arg-type]  # Any event.


async def enrol(service: Any, learner: UUID, position: int, *classes: UUID, active: bool = True, version: int = 1) -> None:
    rostered = LearnerRostered(learner_id=learner, school_id=UUID(int=5), aliases=("a",), class_ids=classes, active=active)
    await service.hear(heard(rostered, "profile", position, version))


async def put(service: Any, path: str, body: Any, status: int = 200) -> Any:
    answer = await service.client.put(f"/mastery{path}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


async def post(service: Any, path: str, body: Any, status: int = 200) -> Any:
    answer = await service.client.post(f"/mastery{path}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


async def ending(service: Any, days: float) -> Any:
    """Return what the ticker would ask about overrides in some days."""
    later = instant_text(service.context.clock.now() + timedelta(days=days))
    (drain,) = (tick for tick in ticks(service.context) if isinstance(tick, Drain))
    async with service.pool.connection() as connection:
        return await drain.due(connection, later)


def until(service: Any, days: float) -> str:
    return str((service.context.clock.now() + timedelta(days=days)).isoformat())


async def test_needs_say_what_follows_for_each_competency_of_a_learner(service: Any) -> None:
    stuck = [evidence(400 + n, 5, right=False, day=n) for n in range(12)]
    await hear(service, *strong(0, 1), *strong(100, 4), evidence(300, 2, day=3), evidence(301, 2, day=4), evidence(302, 3), *stuck)
    found = await get(service, f"/learners/{LEARNER}/needs")
    by = {view["competency_id"]: view for view in found["items"]}
    assert by[competency(1)]["need"] in ("mastered", "ready-for-enrichment")
    assert (by[competency(4)]["need"], by[competency(4)]["gaps"]) == ("gap-in-prerequisite", [competency(3)])
    assert (by[competency(5)]["need"], by[competency(5)]["stuck"]) == ("working-on", True)
    assert (by[competency(2)]["gaps"], by[competency(4)]["code"]) == ([], "5.T.4")
    assert sum(found["counts"].values()) == len(found["items"]) == 5
    assert (found["stuck"], found["learners"]) == (1, 1)
    only = await get(service, f"/learners/{LEARNER}/needs", need="gap-in-prerequisite")
    assert [view["competency_id"] for view in only["items"]] == [competency(4)]
    assert only["counts"] == found["counts"]
    assert [view["competency_id"] for view in (await get(service, f"/learners/{LEARNER}/needs", stuck=True))["items"]] == [competency(5)]
    assert (await get(service, f"/learners/{LEARNER}/needs", subject="history"))["items"] == []
    one = await get(service, f"/learners/{LEARNER}/needs", competency=competency(1))
    assert sum(one["counts"].values()) == 1


async def test_evidence_about_nothing_in_force_waits_visibly_and_counts_once_a_framework_names_it(service: Any) -> None:
    await hear(service, evidence(1, 1), evidence(2, 8, day=1), evidence(3, 9, day=2), evidence(4, 8, right=False, day=3), evidence(5, 1, 8))
    first = await get(service, "/waiting", limit=2)
    waiting = first["items"] + (await get(service, "/waiting", limit=2, after=first["next"]))["items"]
    assert [each["evidence_id"] for each in waiting] == [str(evidence(n).evidence_id) for n in (2, 3, 4)]
    assert {each["reason"] for each in waiting} == {"unknown-competency"}
    assert "import the framework" in waiting[0]["remedy"]
    known = [view["competency_id"] for view in (await get(service, f"/learners/{LEARNER}/competencies"))["items"]]
    assert known == [competency(1), competency(8)], "what names one competency in force counts as it is"
    await service.hear(heard(void(4).voided, "evidence", 5))
    assert len((await get(service, "/waiting"))["items"]) == 2
    async with service.pool.connection() as connection:
        assert await deferred_now(connection) == 2
    sent = package([item(8)], identifier="d0000000-0000-4000-8000-000000000001")
    assert (await service.client.post("/mastery/case/packages", json=sent)).status_code == 200
    assert await service.tick() > 0
    assert [each["evidence_id"] for each in (await get(service, "/waiting"))["items"]] == [str(evidence(3).evidence_id)]
    why = await get(service, f"/learners/{LEARNER}/competencies/{competency(8)}/why")
    assert why["evidence_ids"] == [str(evidence(n).evidence_id) for n in (2, 5)]
    assert why["scored"] == 2
    assert await service.tick() == 0


async def test_what_a_person_said_goes_on_after_a_revision_and_nothing_new_is_said_of_what_was_replaced(service: Any) -> None:
    await hear(service, *strong(0, 2))
    path = f"/learners/{LEARNER}/competencies/{competency(1)}"
    said = {**SAID, "level": "mastered", "until": until(service, 30)}
    await put(service, f"{path}/override", said)
    await put(service, f"/learners/{LEARNER}/competencies/{competency(4)}/waivers/{competency(3)}", SAID)
    links = [link("precedes", 11, 2), link("precedes", 13, 4), link("replacedBy", 1, 11), link("replacedBy", 3, 13)]
    sent = package([item(n) for n in (2, 4, 5, 11, 13)], links)
    assert (await service.client.post("/mastery/case/packages", json=sent)).status_code == 200
    assert await service.tick() > 0
    (override,) = await get(service, f"/learners/{LEARNER}/overrides")
    assert (override["competency_id"], override["author_id"]) == (competency(11), SAID["author_id"])
    (waiver,) = await get(service, f"/learners/{LEARNER}/waivers")
    assert (waiver["competency_id"], waiver["prerequisite_id"]) == (competency(4), competency(13))
    why = await get(service, f"/learners/{LEARNER}/competencies/{competency(11)}/why")
    assert (why["level"], why["override"], why["set_by_a_person"]["reason"]) == ("mastered", True, "shown-in-person")
    refused = await put(service, f"{path}/override", said, status=409)
    assert competency(11) in refused["detail"]
    assert len(await ending(service, 31)) == 1
    assert await service.tick() == 0


async def test_a_person_is_needed_for_nothing_that_a_teacher_says_is_mastered(service: Any) -> None:
    await hear(service, *(evidence(400 + n, 5, right=False, day=n) for n in range(12)))
    path = f"/learners/{LEARNER}/competencies/{competency(5)}"

    async def needed() -> set[tuple[int, bool, bool, bool]]:
        needs = await get(service, f"/learners/{LEARNER}/needs")
        competencies = (await get(service, f"/learners/{LEARNER}/competencies"))["items"]
        (shown,) = (each["stuck"] for each in competencies if each["competency_id"] == competency(5))
        words = (await get(service, f"{path}/why"))["words"]
        return {(needs["stuck"], needs["items"][0]["stuck"], shown, "a person is needed" in words)}

    assert await needed() == {(1, True, True, True)}
    await put(service, f"{path}/override", {**SAID, "level": "mastered", "until": until(service, 30)})
    assert await needed() == {(0, False, False, False)}
    await post(service, f"{path}/override/withdrawal", {"author_id": SAID["author_id"], "role": "teacher"})
    assert await needed() == {(1, True, True, True)}


async def test_a_withdrawal_whose_commit_nobody_saw_end_is_not_refused_as_if_nothing_had_been_done(service: Any) -> None:
    await hear(service, *strong(0, 1))
    override = f"/learners/{LEARNER}/competencies/{competency(1)}/override"
    waiver = f"/learners/{LEARNER}/competencies/{competency(2)}/waivers/{competency(1)}"
    await put(service, override, SAID | {"level": "developing", "until": until(service, 10)})
    await put(service, waiver, SAID)
    for path, by in ((override, {"author_id": SAID["author_id"], "role": "teacher"}), (waiver, SAID)):
        lose_the_answer_of_the_next_commit(service)
        told = await post(service, f"{path}/withdrawal", by, status=503)
        assert "nothing to withdraw" in told["detail"]
        assert "may have been done" in told["detail"]
        await post(service, f"{path}/withdrawal", by, status=409)
    assert await get(service, f"/learners/{LEARNER}/overrides") == await get(service, f"/learners/{LEARNER}/waivers") == []


def lose_the_answer_of_the_next_commit(service: Any) -> None:
    """Let the next transaction be done, and its connection be lost before anybody hears of it."""
    handle = service.ledger.handle

    async def lose(*asked: Any, **more: Any) -> Any:
        service.ledger.handle = handle
        await handle(*asked, **more)
        raise OperationalError("server closed the connection unexpectedly")

    service.ledger.handle = lose


async def test_a_class_has_the_needs_of_those_who_are_in_it_page_by_page(service: Any) -> None:
    await enrol(service, LEARNER, 0, CLASS, SECOND_CLASS)
    await enrol(service, OTHER, 1, CLASS)
    await enrol(service, THIRD, 2, SECOND_CLASS)
    await hear(service, *strong(0, 1), evidence(50, 2), *(evidence(60 + n, 1, day=n, learner=OTHER) for n in range(3)))
    whole = await get(service, f"/classes/{CLASS}/needs")
    assert [(view["learner_id"], view["competency_id"]) for view in whole["items"]] == [
        (str(LEARNER), competency(1)), (str(LEARNER), competency(2)), (str(OTHER), competency(1)),
    ]  # fmt: skip
    assert whole["learners"] == 2
    first = await get(service, f"/classes/{CLASS}/needs", limit=2)
    rest = await get(service, f"/classes/{CLASS}/needs", limit=2, after=first["next"])
    assert first["items"] + rest["items"] == whole["items"]
    assert rest["next"] is None
    await enrol(service, OTHER, 3, SECOND_CLASS, version=2)
    await enrol(service, LEARNER, 4, active=False, version=2)
    assert (await get(service, f"/classes/{CLASS}/needs"))["items"] == []
    assert [view["learner_id"] for view in (await get(service, f"/classes/{SECOND_CLASS}/needs"))["items"]] == [str(OTHER)]
    bad = await service.client.get(f"/mastery/classes/{CLASS}/needs", params={"after": "%%"})
    assert bad.status_code == 422


async def test_an_override_is_set_shown_and_ends_by_itself(service: Any) -> None:
    await hear(service, *(evidence(n, 1, right=False, day=n) for n in range(6)))
    path = f"/learners/{LEARNER}/competencies/{competency(1)}"
    before = (await get(service, f"{path}/why"))["level"]
    said = SAID | {"level": "mastered", "until": until(service, 10)}
    changed = await put(service, f"{path}/override", said)
    assert changed["levels"] == {competency(1): "mastered"}
    assert (await put(service, f"{path}/override", said))["events"] == 0
    other = await put(service, f"{path}/override", said | {"reason": "other"}, status=409)
    assert "withdraw it first" in other["detail"]
    shown = await get(service, f"{path}/why")
    assert (shown["level"], shown["override"], shown["set_by_a_person"]["author_id"]) == ("mastered", True, SAID["author_id"])
    assert "A teacher set this level until" in shown["words"]
    assert "work on enough items" not in shown["words"]
    assert shown["right_answers_needed"] != 0
    (listed,) = await get(service, f"/learners/{LEARNER}/overrides")
    assert (listed["level"], listed["reason"], listed["words"]) == ("mastered", "shown-in-person", None)
    assert (await get(service, f"/learners/{LEARNER}/needs"))["items"][0]["need"] == "mastered"
    assert await ending(service, days=9) == []
    (command,) = await ending(service, days=11)
    ended = command.ended
    assert (ended.learner_id, ended.competency_id, ended.author_id) == (LEARNER, competency(1), None)
    withdrawn = await post(service, f"{path}/override/withdrawal", {"author_id": SAID["author_id"], "role": "teacher"})
    assert withdrawn["levels"] == {competency(1): before}
    assert await get(service, f"/learners/{LEARNER}/overrides") == []
    assert await ending(service, days=11) == []
    await post(service, f"{path}/override/withdrawal", {"author_id": SAID["author_id"], "role": "teacher"}, status=409)


async def test_a_competency_may_be_named_in_capitals_wherever_one_is_named(service: Any) -> None:
    await hear(service, *strong(0, 2))
    named, before = competency(2).upper(), competency(1).upper()
    path = f"/learners/{LEARNER}/competencies/{named}"
    assert (await get(service, f"{path}/why"))["competency_id"] == competency(2)
    assert (await put(service, f"{path}/waivers/{before}", SAID))["levels"] == {competency(2): "mastered"}
    await post(service, f"{path}/waivers/{before}/withdrawal", SAID)
    assert await get(service, f"/learners/{LEARNER}/waivers") == []
    said = SAID | {"level": "nearly", "until": until(service, 10)}
    assert (await put(service, f"{path}/override", said))["levels"] == {competency(2): "nearly"}
    assert (await put(service, f"{path}/override", said))["events"] == 0
    assert [each["competency_id"] for each in await get(service, f"/learners/{LEARNER}/overrides")] == [competency(2)]
    uri = f"https://case.example/ims/case/v1p0/CFItems/{named}"
    assert [each["competency_id"] for each in (await get(service, f"/learners/{LEARNER}/needs", competency=uri))["items"]] == [
        competency(2)
    ]
    await post(service, f"{path}/override/withdrawal", {"author_id": SAID["author_id"], "role": "teacher"})
    assert await get(service, f"/learners/{LEARNER}/overrides") == []


async def test_what_an_alignment_of_earlier_releases_called_in_capitals_is_explained_and_its_override_withdrawn(service: Any) -> None:
    named = competency(1).upper()
    await hear(service, evidence(1, 2).model_copy(update={"competency_ids": (named, competency(2))}))
    path = f"/learners/{LEARNER}/competencies/{named}"
    assert (await get(service, f"{path}/why"))["competency_id"] == named
    given = OverrideGiven(
        learner_id=LEARNER, competency_id=named, at=service.context.clock.now(), level=Level.MASTERED,
        until=service.context.clock.now() + timedelta(days=9), author_id=UUID(int=7), role=Author.TEACHER, reason=Reason.SHOWN_IN_PERSON,
    )  # fmt: skip
    await service.context.asker.ask([GiveOverride(given)])
    await post(service, f"{path}/override/withdrawal", {"author_id": SAID["author_id"], "role": "teacher"})
    assert await get(service, f"/learners/{LEARNER}/overrides") == []


async def test_beside_a_persons_level_it_is_not_said_when_the_estimates_is_due(service: Any) -> None:
    fading = entries(fade_e6=300_000, general_variance_e6=50_000, gain_right_e6=250_000)
    await service.context.asker.ask(adoption("mastery", CALIBRATION, fading), UUID(int=5))
    await hear(service, *strong(0, 1, count=24))
    path = f"/learners/{LEARNER}/competencies/{competency(1)}"
    assert "due" in [said["key"] for said in (await get(service, f"{path}/why"))["said"]]
    await put(service, f"{path}/override", SAID | {"level": "developing", "until": until(service, 10)})
    assert "due" not in [said["key"] for said in (await get(service, f"{path}/why"))["said"]]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"until": "2020-01-01T00:00:00Z"}, "/until"), ({"until": "2999-01-01T00:00:00Z"}, "/until"), ({"level": "brilliant"}, "/level"),
        ({"role": "guardian"}, "/role"), ({"reason": "I just think so"}, "/reason"), ({"words": "in clear"}, "/words"),
        ({"author_id": "Ms Smith"}, "/author_id"),
    ],
)  # fmt: skip
async def test_an_override_without_what_it_needs_is_refused_with_its_place(service: Any, change: dict[str, Any], place: str) -> None:
    await hear(service, evidence(1, 1))
    body = SAID | {"level": "mastered", "until": until(service, 10)} | change
    answer = await put(service, f"/learners/{LEARNER}/competencies/{competency(1)}/override", body, status=422)
    assert any(place in error["place"] for error in answer["errors"])


async def test_a_waiver_lets_through_and_is_named_in_the_explanation(service: Any) -> None:
    await hear(service, *strong(0, 2))
    path = f"/learners/{LEARNER}/competencies/{competency(2)}/waivers"
    assert (await put(service, f"{path}/{competency(1)}", SAID))["levels"] == {competency(2): "mastered"}
    assert (await put(service, f"{path}/{competency(1)}", SAID))["events"] == 0
    await put(service, f"{path}/{competency(1)}", SAID | {"author_id": str(UUID(int=8))}, status=409)
    why = await get(service, f"/learners/{LEARNER}/competencies/{competency(2)}/why")
    assert [(known["waived"], known["met"]) for known in why["prerequisites"]] == [(True, True)]
    assert [waiver["prerequisite_id"] for waiver in await get(service, f"/learners/{LEARNER}/waivers")] == [competency(1)]
    await put(service, f"{path}/{competency(3)}", SAID, status=409)
    assert (await post(service, f"{path}/{competency(1)}/withdrawal", SAID))["levels"] == {}
    assert await get(service, f"/learners/{LEARNER}/waivers") == []


async def test_an_explanation_names_what_moved_most_and_can_be_said_in_another_language(service: Any) -> None:
    odd = evidence(200, 1, right=False, day=9.5)
    await hear(service, *strong(0, 1), odd, *(evidence(300 + n, 2, day=9.6 + n / 10) for n in range(3)))
    why = await get(service, f"/learners/{LEARNER}/competencies/{competency(1)}/why")
    assert len(why["moved_most"]) == 3
    worst = why["moved_most"][0]
    assert (worst["evidence_id"], worst["score_e6"]) == (str(odd.evidence_id), 0)
    assert worst["logit_e6"] < 0
    assert worst["probability_e6"] < 0
    assert "without it the estimate would be higher" in worst["words"]
    assert len(why["evidence_ids"]) == 17
    assert why["evidence_ids"][0] == str(odd.evidence_id)
    assert all(ENGLISH[said["key"]].format(**said["values"]) == said["text"] for said in why["said"])
    assert {said["text"] for said in why["said"]} >= {part["words"] for part in why["contributions"]} | set(why["missing"])
    assert why["policy"]["bar_e6"] == 800_000


async def test_evidence_that_is_void_or_corrected_is_told_so_in_every_table(service: Any) -> None:
    await hear(service, *strong(0, 1), evidence(50, 2, day=3))
    position = 100
    for amended in (void(50).voided, rescore(3, 0).rescored):
        assert isinstance(amended, EvidenceVoided | EvidenceRescored)
        await service.hear(heard(amended, "evidence", position))
        position += 1
    found = await get(service, f"/learners/{LEARNER}/competencies")
    assert [view["competency_id"] for view in found["items"]] == [competency(1)]
    why = await get(service, f"/learners/{LEARNER}/competencies/{competency(1)}/why")
    assert any(mover["evidence_id"] == str(evidence(3).evidence_id) and mover["score_e6"] == 0 for mover in why["moved_most"])
    ((count,),) = await rows(service, "SELECT count(*) FROM event WHERE type = 'mastery.re-estimated.v1'")
    assert count == 3  # The first came late itself.


async def test_a_policy_is_shown_changed_and_sweeps_once(service: Any) -> None:
    shown = await get(service, "/policy")
    assert shown["policy_id"] is None
    assert shown["policies"][0]["certainty_e6"] == 900_000
    same = await put(service, "/policy", {"policies": shown["policies"]})
    assert same["events"] == 2
    assert (await put(service, "/policy", {"policies": shown["policies"]}))["events"] == 0
    await hear(service, *strong(0, 1))
    await service.tick()
    assert (await get(service, f"/learners/{LEARNER}/competencies"))["items"][0]["level"] == "mastered"
    strict = [entry | {"scored": 40} for entry in shown["policies"]]
    changed = await put(service, "/policy", {"policies": strict})
    assert changed["policy_id"] != same["policy_id"]
    await service.tick()
    assert (await get(service, f"/learners/{LEARNER}/competencies"))["items"][0]["level"] == "mastered"  # Numbers alone take nothing back.
    await hear(service, *(evidence(500 + n, 3, day=n, learner=OTHER) for n in range(12)))
    assert (await get(service, f"/learners/{OTHER}/competencies"))["items"][0]["level"] == "nearly"
    assert (await get(service, f"/learners/{OTHER}/competencies/{competency(3)}/why"))["policy_id"] == changed["policy_id"]


@pytest.mark.parametrize(
    ("policies", "place"),
    [
        ([], "/policies"), ([{"family": "fluency"}], "/policies"), ([{}, {}], "/policies/1/family"),
        ([{"bar_e6": 2_000_000}], "/policies/0/bar_e6"),
        ([{"bar_e6": 0.8}], "/policies/0/bar_e6"), ([{"kinds": ["exam"]}], "/policies/0/kinds"), ([{"colour": 1}], "/policies/0/colour"),
        ([{"verify_below_e6": 950_000}], "/policies/0"), ([{"items": 3, "scored": 2}], "/policies/0/items"), (["strict"], "/policies/0"),
        ([{"family": 5}], "/policies/0/family"), ([{"family": str(n)} for n in range(201)], "/policies"),
    ],
)  # fmt: skip
async def test_a_policy_that_makes_no_sense_is_refused_with_its_place(service: Any, policies: list[Any], place: str) -> None:
    answer = await put(service, "/policy", {"policies": policies}, status=422)
    assert answer["errors"][0]["place"] == place
    assert (await get(service, "/policy"))["policy_id"] is None


async def test_days_are_those_of_the_time_zone_that_is_named_and_stay_so(service: Any) -> None:
    shown = await get(service, "/policy")
    assert (shown["timezone"], shown["utc_offset_minutes"]) == (None, 0)
    assert ["days are those of UTC" in note for note in shown["notes"]] == [True]
    seen = [evidence(n, 1).model_copy(update={"occurred_at": at}) for n, at in enumerate(ONE_AFTERNOON)]
    west = {"policies": shown["policies"], "timezone": "America/Los_Angeles"}
    told = await put(service, "/policy", west)
    assert (told["timezone"], told["utc_offset_minutes"], told["notes"], told["events"]) == ("America/Los_Angeles", -480, [], 2)
    assert (await put(service, "/policy", west))["events"] == 0
    assert (await put(service, "/policy", {"policies": shown["policies"]}))["events"] == 0, "what is not named stays"
    again = await get(service, "/policy")
    assert (again["timezone"], again["policies"]) == ("America/Los_Angeles", shown["policies"])
    await hear(service, *seen)
    why = await get(service, f"/learners/{LEARNER}/competencies/{competency(1)}/why")
    assert (why["level"], why["days"]) == ("nearly", 1)
    assert "breadth: 1 of 2 different days, which are those of America/Los_Angeles" in why["missing"]
    late = evidence(90, 1, right=False).model_copy(update={"occurred_at": ONE_AFTERNOON[-1] + timedelta(hours=1)})
    await hear(service, late)
    moved = (await get(service, f"/learners/{LEARNER}/competencies/{competency(1)}/why"))["moved_most"]
    assert moved[0]["evidence_id"] == str(late.evidence_id)
    assert moved[0]["words"].startswith("Item of 2026-11-30"), "in UTC it is the next day"
    assert (why["policy"]["timezone"], why["policy"]["utc_offset_minutes"]) == ("America/Los_Angeles", -480)
    await put(service, "/policy", west | {"timezone": "UTC"})
    await service.tick()
    assert (await get(service, f"/learners/{LEARNER}/competencies"))["items"][0]["days"] == 2, "everybody is judged again"
    refused = await put(service, "/policy", west | {"timezone": "PST"}, status=422)
    assert [(fault["place"], fault["code"]) for fault in refused["errors"]] == [("/timezone", "unknown-timezone")]


async def test_a_time_zone_is_not_lost_where_somebody_sets_numbers_at_the_same_time(service: Any) -> None:
    shown = await get(service, "/policy")
    strict = [shown["policies"][0] | {"bar_e6": 900_000}]
    west = service.client.put("/mastery/policy", json={"policies": shown["policies"], "timezone": "America/Los_Angeles"})
    answers = await asyncio.gather(west, service.client.put("/mastery/policy", json={"policies": strict}))
    assert [answer.status_code for answer in answers] in ([200, 200], [200, 409])
    assert (await get(service, "/policy"))["timezone"] == "America/Los_Angeles"


async def test_a_competency_that_no_framework_names_says_that_it_cannot_be_mastered(service: Any) -> None:
    await hear(service, *strong(0, 1, 8))
    why = {n: await get(service, f"/learners/{LEARNER}/competencies/{competency(n)}/why") for n in (1, 8)}
    assert (why[1]["level"], why[1]["missing"], why[8]["level"]) == ("mastered", [], "nearly")
    assert why[8]["missing"] == ["framework: none in force names this competency, so it cannot be mastered"]
    assert "Held back by framework" in why[8]["words"]


async def test_words_about_a_learner_of_whom_nobody_has_heard_are_not_taken(service: Any) -> None:
    body = SAID | {"level": "mastered", "until": until(service, 10)}
    for path, said in ((f"{competency(1)}/override", body), (f"{competency(2)}/waivers/{competency(1)}", SAID)):
        refused = await put(service, f"/learners/{OTHER}/competencies/{path}", said, status=404)
        assert "once you import the roster" in refused["detail"]
    ((events,),) = await rows(service, "SELECT count(*) FROM event WHERE stream LIKE 'mastery/learner/%'")
    assert events == 0
    await enrol(service, OTHER, 0, CLASS)
    await enrol(service, THIRD, 1)
    await hear(service, evidence(1, 3))
    for learner in (OTHER, THIRD, LEARNER):  # In a class; on the roster of a school only; by evidence.
        assert (await put(service, f"/learners/{learner}/competencies/{competency(1)}/override", body))["events"] == 2
        assert (await put(service, f"/learners/{learner}/competencies/{competency(2)}/waivers/{competency(1)}", SAID))["events"] == 1


@pytest.mark.parametrize("what", ["competencies", "levels/changes", "overrides", "waivers", "needs"])
async def test_who_has_nothing_yet_is_told_from_one_of_whom_nobody_has_heard(service: Any, what: str) -> None:
    await enrol(service, OTHER, 0, CLASS)
    shown = await get(service, f"/learners/{OTHER}/{what}")
    assert (shown["items"] if isinstance(shown, dict) else shown) == []
    answer = await service.client.get(f"/mastery/learners/{THIRD}/{what}")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:cairn:problem:not-found")
    assert "once you import the roster" in answer.json()["detail"]


async def do_everything(service: Any) -> None:
    """Fill every table: a framework, classes, evidence, somebody stuck, an override and its end, a waiver, a void,
    evidence of nothing known, and a revision of what people spoke about."""
    assert (await service.client.post("/mastery/case/packages", json=FRAMEWORK)).status_code == 200
    await enrol(service, LEARNER, 0, CLASS)
    await enrol(service, LEARNER, 1, SECOND_CLASS, version=2)
    await hear(service, *strong(0, 1, 2), *(evidence(400 + n, 5, right=False, day=n) for n in range(12)), evidence(90, 3, day=1))
    body = SAID | {"level": "mastered", "until": until(service, 10)}
    await put(service, f"/learners/{LEARNER}/competencies/{competency(5)}/override", body)
    withdrawal = {"author_id": SAID["author_id"], "role": "teacher"}
    await post(service, f"/learners/{LEARNER}/competencies/{competency(5)}/override/withdrawal", withdrawal)
    await put(service, f"/learners/{LEARNER}/competencies/{competency(4)}/waivers/{competency(3)}", SAID)
    await service.hear(heard(void(90).voided, "evidence", 100))
    await hear(service, evidence(91, 9, day=2))
    await put(service, f"/learners/{LEARNER}/competencies/{competency(3)}/override", body)
    links = [link("precedes", 1, 2), link("precedes", 13, 4), link("replacedBy", 3, 13)]
    assert (
        await service.client.post("/mastery/case/packages", json=package([item(n) for n in (1, 2, 4, 5, 13)], links))
    ).status_code == 200
    await service.tick()


async def test_every_table_is_the_same_again_after_all_that_people_do(service: Any) -> None:
    await do_everything(service)
    made = [await table_of(service, table) for table in READ_TABLES]
    assert all(made)
    await project_all(service)
    assert [await table_of(service, table) for table in READ_TABLES] == made
    async with service.pool.connection() as connection:
        for table in READ_TABLES:
            await connection.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
    await project_all(service)
    assert [await table_of(service, table) for table in READ_TABLES] == made


async def test_what_means_the_same_is_shown_beside_with_its_level_and_decides_nothing(service: Any) -> None:
    other = package([item(21), item(22)], [link("exactMatchOf", 21, 1)], identifier="d0000000-0000-4000-8000-000000000001")
    assert (await service.client.post("/mastery/case/packages", json=other)).status_code == 200
    await hear(service, *strong(0, 1))
    for about, alike, level in ((21, 1, "mastered"), (1, 21, "not-enough-evidence")):
        why = await get(service, f"/learners/{LEARNER}/competencies/{competency(about)}/why")
        assert why["similar"] == [{"competency_id": competency(alike), "code": f"5.T.{alike}", "level": level}]
    assert (await get(service, f"/learners/{LEARNER}/competencies/{competency(2)}/why"))["similar"] == []
