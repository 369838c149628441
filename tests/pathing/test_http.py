"""Pathing as its clients and neighbours meet it: over HTTP, on a real database, and through what it hears."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from services.pathing.api.reading import MAX_ACTIVITIES, MAX_OF_A_COMPETENCY
from services.pathing.app import PARTS
from services.pathing.catalogue import CONFERENCE
from shared.clock import FixedClock
from shared.contracts.envelope import Event, Recorded, StreamId
from shared.contracts.mastery import Author, FrameworkAdopted, Level, LevelChanged, MasteryPageAdded, PrerequisiteWaived, WaiverWithdrawn
from shared.contracts.mastery import Reason as Why
from shared.contracts.parameters import set_id_of
from shared.contracts.pathing import (
    ActivityChosen,
    DemandChanged,
    EnrolmentNoted,
    FrameworkNoted,
    GoalsSet,
    LevelNoted,
    PathPlanned,
    WaiversNoted,
)
from shared.contracts.profile import LearnerRostered, Modality, PreferencesStated, Role
from shared.ledger import store
from shared.parameters import page_hash
from shared.replay import Settings, Verifier
from shared.serve import Service, all_deciders
from shared.testing import recorded, running
from tests.pathing.district import activity, competency

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
LEARNER, SCHOOL, TEACHER = UUID(int=11), UUID(int=12), UUID(int=13)
FRAMEWORK = [
    competency("A", grade="04"), competency("B", "A"), competency("C", "B"), competency("S", subject="science"),
]  # fmt: skip
ACTIVITIES = [
    activity(f"{id}-{modality.value}", id, modality)
    for id in "ABCS"
    for modality in (Modality.VIDEO, Modality.READING, Modality.PROJECT, Modality.PRACTICE)
]
CATALOGUE = {"activities": ACTIVITIES}


def told(event: Event, version: int = 1, at: datetime = NOW) -> Recorded[Any]:
    """Return the event as another service's ledger holds it."""
    service, kind = event.TYPE.split(".")[0], "settings" if isinstance(event, MasteryPageAdded | FrameworkAdopted) else "learner"
    one = recorded(StreamId(service, kind, "" if kind == "settings" else str(LEARNER)), [event], at)[0]
    return Recorded(**{name: getattr(one, name) for name in one.__slots__} | {"version": version, "position": version - 1})


def framework_told(entries: list[dict[str, Any]] = FRAMEWORK) -> list[Recorded[Any]]:
    pages = (page_hash(entries),)
    return [told(MasteryPageAdded(content=entries)), told(FrameworkAdopted(set_id=set_id_of("framework", pages), pages=pages), 2)]


def rostered(learner_id: UUID = LEARNER, active: bool = True, grade: str = "05", version: int = 1) -> Recorded[Any]:
    return told(LearnerRostered(learner_id=learner_id, school_id=SCHOOL, aliases=("a" * 64,), grade=grade, active=active), version)


def levelled(id: str, level: Level = Level.MASTERED, version: int = 2) -> Recorded[Any]:
    return told(LevelChanged(learner_id=LEARNER, competency_id=id, level=level, probability_e6=900_000), version)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
async def service(database: Callable[[str], Any], clock: FixedClock) -> AsyncIterator[Service]:
    async with running(PARTS, database("pathing"), clock=clock) as service:
        yield service


@pytest.fixture
async def planned(service: Service) -> Service:
    """A service with a framework, a catalogue, and a learner who has a path."""
    await service.hear(*framework_told())
    assert (await service.client.put("/pathing/activities", json=CATALOGUE)).status_code == 200
    await service.hear(rostered())
    return service


async def get(service: Service, path: str, status: int = 200) -> Any:
    answer = await service.client.get(f"/pathing{path}")
    assert answer.status_code == status, answer.text
    return answer.json()


async def post(service: Service, path: str, body: Any, status: int = 200) -> Any:
    answer = await service.client.post(f"/pathing{path}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


async def lengths(service: Service) -> int:
    async with service.pool.connection() as connection:
        row = await (await connection.execute("SELECT sum(length)::int FROM partition")).fetchone()
    assert row is not None
    return int(row[0])


async def test_a_path_shows_steps_with_words_alternatives_and_pace(planned: Service) -> None:
    path = await get(planned, f"/learners/{LEARNER}/path")
    assert [(step["competency_id"], step["reason"], step["open"], step["unlocks"]) for step in path["steps"]] == [
        ("A", "gap", True, ["B"]), ("S", "goal", True, []), ("B", "goal", False, ["C"]), ("C", "goal", False, []),
    ]  # fmt: skip
    first = path["steps"][0]
    assert first["statement"] == "Can do A"
    assert first["why"] == "It is from an earlier grade, and you need it first for: Can do B"
    assert first["code"] == "A"
    assert [option["title"] for option in first["options"]] == ["Activity A-practice", "Activity A-project", "Activity A-reading"]
    assert (path["pace"], path["due"], path["school_id"], path["grade"]) == ("ahead", "2027-06-15", str(SCHOOL), "05")
    assert path["pace_in_words"] == "Well ahead: there are about 4 hours of work in mathematics to do by 2027-06-15."
    assert (path["minutes_needed"], path["due_subject"], path["due_minutes"]) == (360, "mathematics", 270)


async def test_a_level_from_mastery_moves_the_path_and_tells_scheduling(planned: Service) -> None:
    (answer,) = await planned.hear(levelled("A"))
    types = [type(event.data) for event in answer.events]
    assert types[1:] == [PathPlanned, DemandChanged]
    assert [need.competency_id for need in answer.events[2].data.needs] == ["B", "C", "S"]
    assert [step["competency_id"] for step in (await get(planned, f"/learners/{LEARNER}/path"))["steps"]] == ["B", "S", "C"]
    (again,) = await planned.hear(levelled("A"))
    assert (again.events, again.refusal) == ((), None)


async def test_what_a_teacher_waived_opens_what_waits_for_it(planned: Service, clock: FixedClock) -> None:
    said: dict[str, Any] = {"author_id": TEACHER, "role": Author.TEACHER, "reason": Why.SHOWN_IN_PERSON, "at": NOW}
    pair = {"learner_id": LEARNER, "competency_id": "B", "prerequisite_id": "A"}
    (answer,) = await planned.hear(told(PrerequisiteWaived(**pair, **said), 3))
    assert [type(event.data) for event in answer.events] == [WaiversNoted, PathPlanned, DemandChanged]
    path = await get(planned, f"/learners/{LEARNER}/path")
    assert [(step["competency_id"], step["open"], step["unlocks"]) for step in path["steps"]] == [
        ("B", True, ["C"]), ("S", True, []), ("C", False, []),
    ]  # fmt: skip
    (past, *_) = (await get(planned, f"/learners/{LEARNER}/path/history"))["items"]
    assert (past["cause_type"], past["cause"][:6]) == (WaiversNoted.TYPE, "It was")
    goals = {"author_id": str(TEACHER), "role": "teacher", "goals": [{"competency_id": "A", "due": "2026-11-30"}, {"competency_id": "B"}]}
    await post(planned, f"/learners/{LEARNER}/goals", goals)
    both = await get(planned, f"/learners/{LEARNER}/path")
    assert [(step["competency_id"], step["open"]) for step in both["steps"]] == [("A", True), ("B", True)]
    shown = await get(planned, f"/learners/{LEARNER}/path/what-if?competency_id=B&activity_id=B-reading")
    assert [step["open"] for step in shown["path"]["steps"]] == [True, True]
    await planned.hear(told(WaiverWithdrawn(**pair, **said), 4))
    closed = await get(planned, f"/learners/{LEARNER}/path")
    assert [(step["competency_id"], step["open"]) for step in closed["steps"]] == [("A", True), ("B", False)]


async def test_a_choice_is_honored_and_survives_a_new_level(planned: Service, clock: FixedClock) -> None:
    choice = {"competency_id": "B", "activity_id": "B-reading"}
    path = await post(planned, f"/learners/{LEARNER}/choices", choice)
    step = next(step for step in path["steps"] if step["competency_id"] == "B")
    assert (step["chosen"], step["options"][0]["activity_id"], step["options"][0]["chosen"]) == ("B-reading", "B-reading", True)
    before = await lengths(planned)
    clock.advance(timedelta(minutes=1))
    assert await post(planned, f"/learners/{LEARNER}/choices", choice) == path
    assert await lengths(planned) == before
    await planned.hear(levelled("A"))
    assert (await get(planned, f"/learners/{LEARNER}/path"))["steps"][0]["chosen"] == "B-reading"


async def test_a_competency_may_be_named_in_capitals_or_by_its_uri_wherever_one_is_named(service: Service) -> None:
    guid = "6b9f0c2e-abcd-4bcd-8bcd-abcdefabcdef"
    uri = f"https://case.example/ims/case/v1p0/CFItems/{guid}"
    await service.hear(*framework_told([competency(guid)]))
    catalogue = {"activities": [activity(f"a-{n}", guid, modality) | {"competency_id": sent} for n, (modality, sent) in enumerate(
        [(Modality.VIDEO, guid.upper()), (Modality.READING, uri), (Modality.PROJECT, guid)]
    )]}  # fmt: skip
    taken = (await service.client.put("/pathing/activities", json=catalogue)).json()
    assert (taken["activities"], taken["competencies"], taken["unknown"]) == (3, 1, 0)
    await service.hear(rostered())
    listed = await service.client.get("/pathing/activities", params={"competency": uri})
    assert [(each["id"], each["competency_id"]) for each in listed.json()["items"]] == [(f"a-{n}", guid) for n in range(3)]
    body = {"author_id": str(TEACHER), "role": "teacher", "goals": [{"competency_id": uri}]}
    (goal,) = (await post(service, f"/learners/{LEARNER}/goals", body))["items"]
    assert goal["competency_id"] == guid
    shown = await get(service, f"/learners/{LEARNER}/path/what-if?competency_id={guid.upper()}&activity_id=a-1")
    assert shown["path"]["steps"][0]["chosen"] == "a-1"
    path = await post(service, f"/learners/{LEARNER}/choices", {"competency_id": uri, "activity_id": "a-1"})
    assert [(step["competency_id"], step["chosen"]) for step in path["steps"]] == [(guid, "a-1")]
    twice = body | {"goals": [{"competency_id": guid}, {"competency_id": guid.upper()}]}
    assert (await post(service, f"/learners/{LEARNER}/goals", twice, 409))["errors"][0]["code"] == "duplicate-goal"


async def test_a_choice_is_taken_where_the_clock_was_put_back(planned: Service, clock: FixedClock) -> None:
    for minutes, way in ((0, "reading"), (-20, "project"), (1, "practice"), (20, "reading")):
        clock.at += timedelta(minutes=minutes)
        choice = {"competency_id": "B", "activity_id": f"B-{way}"}
        shown = await get(planned, f"/learners/{LEARNER}/path/what-if?competency_id=B&activity_id=B-{way}")
        path = await post(planned, f"/learners/{LEARNER}/choices", choice)
        assert next(step["chosen"] for step in path["steps"] if step["competency_id"] == "B") == f"B-{way}"
        assert shown["path"]["steps"] == path["steps"]
        before = await lengths(planned)
        assert await post(planned, f"/learners/{LEARNER}/choices", choice) == path
        assert await lengths(planned) == before
    told = [
        event.data.chosen_at - NOW
        for event in await planned.ledger.stream(f"pathing/learner/{LEARNER}")
        if isinstance(event.data, ActivityChosen)
    ]
    assert told == [timedelta(), timedelta(microseconds=1), timedelta(microseconds=2), timedelta(minutes=1)]


@pytest.mark.parametrize(
    ("choice", "status", "code"),
    [
        ({"competency_id": "B", "activity_id": "A-video"}, 409, "not-offered"),
        ({"competency_id": "Z", "activity_id": "A-video"}, 409, "not-on-path"),
        ({"competency_id": "B"}, 422, "missing"),
        ({"competency_id": "B", "activity_id": 7}, 422, "string-type"),
        ({"competency_id": "B", "activity_id": "A-video", "more": 1}, 422, "extra-forbidden"),
        ({"competency_id": "B\x00", "activity_id": "A-video"}, 400, "null-character"),
        ([], 422, "model-type"),
    ],
)
async def test_a_choice_that_cannot_be_taken_is_refused_with_its_reason(planned: Service, choice: Any, status: int, code: str) -> None:
    before = await lengths(planned)
    problem = await post(planned, f"/learners/{LEARNER}/choices", choice, status)
    assert [error["code"] for error in problem["errors"]] == [code]
    assert await lengths(planned) == before


async def test_an_unknown_learner_has_no_path_goals_or_choices(planned: Service) -> None:
    nobody = UUID(int=99)
    await get(planned, f"/learners/{nobody}/path", 404)
    await get(planned, f"/learners/{nobody}/goals", 404)
    await post(planned, f"/learners/{nobody}/choices", {"competency_id": "A", "activity_id": "A-video"}, 404)
    await post(planned, f"/learners/{nobody}/goals", {"author_id": str(TEACHER), "role": "teacher", "goals": []}, 404)
    assert "no roster has named this learner" in (await get(planned, f"/learners/{nobody}/path/history", 404))["detail"]
    await get(planned, "/learners/7/path", 422)


async def test_a_learner_without_path_is_told_what_it_waits_for(service: Service) -> None:
    await service.hear(rostered())
    assert "framework" in (await get(service, f"/learners/{LEARNER}/path", 404))["detail"]
    await service.hear(*framework_told())
    assert "PUT /pathing/activities" in (await get(service, f"/learners/{LEARNER}/path", 404))["detail"]
    await service.client.put("/pathing/activities", json=CATALOGUE)
    assert "moment" in (await get(service, f"/learners/{LEARNER}/path", 404))["detail"]
    await service.tick()
    assert len((await get(service, f"/learners/{LEARNER}/path"))["steps"]) == 4


async def test_what_a_choice_would_lead_to_is_shown_and_not_recorded(planned: Service) -> None:
    before, path = await lengths(planned), await get(planned, f"/learners/{LEARNER}/path")
    what_if = f"/learners/{LEARNER}/path/what-if?competency_id=B&activity_id="
    shown = await get(planned, what_if + "B-reading")
    assert (shown["changes"], shown["joining"], shown["leaving"]) == (True, [], [])
    assert (await get(planned, what_if + "A-video", 409))["errors"][0]["code"] == "not-offered"
    assert (await lengths(planned), await get(planned, f"/learners/{LEARNER}/path")) == (before, path)
    chosen = await post(planned, f"/learners/{LEARNER}/choices", {"competency_id": "B", "activity_id": "B-reading"})
    assert shown["path"]["steps"] == chosen["steps"]
    assert (await get(planned, what_if + "B-reading"))["changes"] is False


async def test_what_if_reads_the_record_where_another_release_kept_the_state(planned: Service) -> None:
    what_if = f"/learners/{LEARNER}/path/what-if?competency_id=B&activity_id=B-reading"
    shown = await get(planned, what_if)
    async with planned.pool.connection() as connection:
        stream = f"pathing/learner/{LEARNER}"
        await connection.execute("UPDATE stream SET format = 1, state = 'of an earlier release' WHERE id = %s", [stream])
    assert await get(planned, what_if) == shown


async def test_goals_are_set_shown_and_taken_back(planned: Service, clock: FixedClock) -> None:
    of_grade = await get(planned, f"/learners/{LEARNER}/goals?limit=2")
    assert [(goal["competency_id"], goal["is_default"], goal["due"]) for goal in of_grade["items"]] == [
        ("B", True, "2027-06-15"), ("C", True, "2027-06-15"),
    ]  # fmt: skip
    rest = await get(planned, f"/learners/{LEARNER}/goals?limit=2&after={of_grade['next']}")
    assert ([goal["competency_id"] for goal in rest["items"]], rest["next"]) == (["S"], None)
    body = {"author_id": str(TEACHER), "role": "teacher", "goals": [{"competency_id": "C", "due": "2026-11-26"}]}
    (goal,) = (await post(planned, f"/learners/{LEARNER}/goals", body))["items"]
    assert (goal["statement"], goal["due"], goal["role"], goal["is_default"]) == ("Can do C", "2026-11-26", "teacher", False)
    path = await get(planned, f"/learners/{LEARNER}/path")
    assert ([step["competency_id"] for step in path["steps"]], path["pace"]) == (["A", "B", "C"], "at-risk")
    assert "talk with a teacher" in path["pace_in_words"]
    clock.advance(timedelta(hours=1))
    assert len((await post(planned, f"/learners/{LEARNER}/goals", body | {"goals": []}))["items"]) == 3
    assert (await get(planned, f"/learners/{LEARNER}/path"))["pace"] == "ahead"


async def test_the_words_say_that_the_date_of_a_goal_has_passed_from_the_day_after(planned: Service, clock: FixedClock) -> None:
    """Its path is told once, on the day itself at the latest, and stays as it is: the words are those of the day on which it is read."""
    body = {"author_id": str(TEACHER), "role": "teacher", "goals": [{"competency_id": "C", "due": f"{NOW.date()}"}]}
    await post(planned, f"/learners/{LEARNER}/goals", body)
    path = await get(planned, f"/learners/{LEARNER}/path")
    assert path["pace_in_words"].startswith(
        "There are about 4 hours of work in mathematics to do by 2026-11-24, more than there is time for:"
    )
    clock.advance(timedelta(days=1))
    await planned.tick()
    passed = (
        "A goal's date, 2026-11-24, has passed, and there are about 4 hours of work in mathematics left for it: do its steps first, or "
        "agree on a new date with a teacher."
    )
    later = await get(planned, f"/learners/{LEARNER}/path")
    assert later == path | {"pace_in_words": passed}
    (behind,) = (await get(planned, f"/schools/{SCHOOL}/pace"))["learners"]["items"]
    assert (behind["learner_id"], behind["due"], behind["pace_in_words"]) == (str(LEARNER), "2026-11-24", passed)
    shown = await get(planned, f"/learners/{LEARNER}/path/what-if?competency_id=C&activity_id=C-reading")
    assert shown["path"]["pace_in_words"] == passed


async def test_goals_without_a_date_show_the_end_of_their_school_year_until_the_next_one_begins(
    planned: Service, clock: FixedClock
) -> None:
    async def dues() -> set[str]:
        return {goal["due"] for goal in (await get(planned, f"/learners/{LEARNER}/goals"))["items"]}

    for day, due in ((date(2027, 6, 14), "2027-06-15"), (date(2027, 6, 15), "2027-06-15"), (date(2027, 7, 31), "2027-06-15")):
        clock.at = datetime.combine(day, NOW.timetz())
        assert await dues() == {due}
    body: dict[str, Any] = {"author_id": str(TEACHER), "role": "teacher", "goals": [{"competency_id": "C"}]}
    assert [goal["due"] for goal in (await post(planned, f"/learners/{LEARNER}/goals", body))["items"]] == ["2028-06-15"], "set after it"
    clock.at = datetime.combine(date(2027, 8, 1), NOW.timetz())
    assert await dues() == {"2028-06-15"}


async def test_of_a_path_that_an_earlier_release_planned_the_words_count_all_goals(planned: Service) -> None:
    async with planned.pool.connection() as connection:
        await connection.execute("UPDATE path SET due_subject = DEFAULT, due_minutes = DEFAULT")
    path = await get(planned, f"/learners/{LEARNER}/path")
    assert (path["due_minutes"], path["pace_in_words"]) == (
        None, "Well ahead: there are about 6 hours of work left for all goals, and time to spare for what is due by 2027-06-15.",
    )  # fmt: skip


async def test_a_goal_that_a_later_framework_does_not_have_says_that_it_does_not_count(planned: Service) -> None:
    body = {"author_id": str(TEACHER), "role": "teacher", "goals": [{"competency_id": "C"}, {"competency_id": "B"}]}
    goals = (await post(planned, f"/learners/{LEARNER}/goals", body))["items"]
    assert [(goal["competency_id"], goal["counts"]) for goal in goals] == [("C", True), ("B", True)]
    await planned.hear(*framework_told([entry for entry in FRAMEWORK if entry["id"] != "C"]))
    goals = (await get(planned, f"/learners/{LEARNER}/goals"))["items"]
    assert [(goal["competency_id"], goal["counts"]) for goal in goals] == [("C", False), ("B", True)]


async def test_goals_are_set_where_the_clock_was_put_back(planned: Service, clock: FixedClock) -> None:
    for minutes, id in ((0, "C"), (-20, "B"), (1, "S"), (20, "C")):
        clock.at += timedelta(minutes=minutes)
        body = {"author_id": str(TEACHER), "role": "teacher", "goals": [{"competency_id": id}]}
        for _ in range(2):
            (goal,) = (await post(planned, f"/learners/{LEARNER}/goals", body))["items"]
            assert (goal["competency_id"], goal["is_default"]) == (id, False)
    told = [
        event.data.set_at - NOW for event in await planned.ledger.stream(f"pathing/learner/{LEARNER}") if isinstance(event.data, GoalsSet)
    ]
    assert told == [timedelta(), timedelta(microseconds=1), timedelta(microseconds=2), timedelta(minutes=1)]


@pytest.mark.parametrize(
    ("goals", "status", "code", "place"),
    [
        ([{"competency_id": "Z"}], 409, "unknown-competency", ""),
        ([{"competency_id": "B"}, {"competency_id": "B"}], 409, "duplicate-goal", ""),
        ([{"competency_id": "B", "due": "soon"}], 422, "date-parsing", "/goals/0/due"),
        ([{"competency_id": "B", "due": 0}], 422, "date-type", "/goals/0/due"),
        ([{"competency_id": "B", "due": "0"}], 422, "not-a-date", "/goals/0/due"),
        ([{"competency_id": "B", "weight_e6": 0.5}], 422, "int-type", "/goals/0/weight_e6"),
        ([{"competency_id": "B"}, {"competency_id": "x" * 65}], 422, "string-too-long", "/goals/1/competency_id"),
        ([{"competency_id": f"{n}"} for n in range(65)], 422, "too-long", "/goals"),
    ],
)
async def test_goals_that_cannot_be_taken_name_the_place(planned: Service, goals: Any, status: int, code: str, place: str) -> None:
    before = await lengths(planned)
    body = {"author_id": str(TEACHER), "role": "teacher", "goals": goals}
    problem = await post(planned, f"/learners/{LEARNER}/goals", body, status)
    assert (problem["errors"][0]["code"], problem["errors"][0]["place"]) == (code, place)
    assert await lengths(planned) == before


async def test_history_tells_each_path_with_its_cause(planned: Service) -> None:
    level = levelled("A")
    await planned.hear(level)
    await post(planned, f"/learners/{LEARNER}/choices", {"competency_id": "C", "activity_id": "C-reading"})
    page = await get(planned, f"/learners/{LEARNER}/path/history?limit=2")
    assert [item["cause"] for item in page["items"]] == ["You chose how to learn: Can do C", "You are now at 'mastered' in: Can do A"]
    assert page["items"][1]["causation_id"] == str(level.id)
    assert [step["competency_id"] for step in page["items"][1]["steps"]] == ["B", "S", "C"]
    rest = await get(planned, f"/learners/{LEARNER}/path/history?limit=2&after={page['next']}")
    assert [item["cause_type"] for item in rest["items"]] == ["pathing.enrolment-noted.v1"]
    assert rest["next"] is None
    await get(planned, f"/learners/{LEARNER}/path/history?after=nonsense", 422)


async def test_a_school_sees_who_is_behind(planned: Service) -> None:
    others = [UUID(int=100 + n) for n in range(3)]
    await planned.hear(*[rostered(learner) for learner in others], rostered(UUID(int=200), active=False))
    for learner in (others[0], others[2]):
        body = {"author_id": str(TEACHER), "role": "teacher", "goals": [{"competency_id": "C", "due": "2026-11-25"}]}
        await post(planned, f"/learners/{learner}/goals", body)
    behind = await get(planned, f"/schools/{SCHOOL}/pace?limit=1")
    assert behind["counts"] == {"at-risk": 2, "ahead": 2}
    assert [each["learner_id"] for each in behind["learners"]["items"]] == [str(others[0])]
    rest = await get(planned, f"/schools/{SCHOOL}/pace?limit=1&after={behind['learners']['next']}")
    assert ([each["learner_id"] for each in rest["learners"]["items"]], rest["learners"]["next"]) == ([str(others[2])], None)
    assert len((await get(planned, f"/schools/{SCHOOL}/pace?pace=ahead"))["learners"]["items"]) == 2
    await get(planned, f"/schools/{SCHOOL}/pace?pace=asleep", 422)
    assert "a learner of this school" in (await get(planned, f"/schools/{UUID(int=99)}/pace", 404))["detail"]
    await planned.hear(*(rostered(learner, active=False, version=2) for learner in (LEARNER, *others)))
    assert (await get(planned, f"/schools/{SCHOOL}/pace"))["counts"] == {}, "whom everybody left is known"


async def test_a_catalogue_is_taken_whole_and_the_same_again_is_nothing(planned: Service) -> None:
    before = await lengths(planned)
    again = (await planned.client.put("/pathing/activities", json={"activities": ACTIVITIES[::-1]})).json()
    assert (again["events"], again["activities"], again["competencies"], again["unknown"]) == (0, 16, 4, 0)
    assert (again["one_modality"], again["one_modality_ids"]) == (0, [])
    assert await lengths(planned) == before
    more = [*ACTIVITIES[:4], activity("z", "elsewhere")]
    taken = (await planned.client.put("/pathing/activities", json={"activities": more})).json()
    assert (taken["events"], taken["unknown"], taken["unknown_ids"]) == (2, 1, ["elsewhere"])
    assert (taken["one_modality"], taken["one_modality_ids"]) == (1, ["elsewhere"]), (
        "who fills a catalogue is told where it has no alternative"
    )
    await planned.tick()
    path = await get(planned, f"/learners/{LEARNER}/path")
    assert [[option["activity_id"] for option in step["options"]] for step in path["steps"][1:]] == [[CONFERENCE]] * 3
    assert path["steps"][1]["options"][0]["title"] == "Talk it over with a teacher"
    listed = await get(planned, "/activities?limit=3")
    assert [each["id"] for each in listed["items"]] == ["A-practice", "A-project", "A-reading"]
    assert [each["id"] for each in (await get(planned, f"/activities?after={listed['next']}"))["items"]] == ["A-video", "z"]
    assert [each["id"] for each in (await get(planned, "/activities?competency=elsewhere"))["items"]] == ["z"]


async def test_an_empty_catalogue_takes_all_activities_away_only_where_that_is_asked_for(planned: Any) -> None:
    before = await get(planned, "/activities")
    refused = await planned.client.put("/pathing/activities", json={"activities": []})
    assert (refused.status_code, refused.json()["errors"][0]["code"], "?remove=true" in refused.json()["detail"]) == (
        409,
        "would-remove",
        True,
    )
    assert await get(planned, "/activities") == before
    taken = await planned.client.put("/pathing/activities?remove=true", json={"activities": []})
    assert (taken.status_code, (await get(planned, "/activities"))["items"]) == (200, [])
    assert (await planned.client.put("/pathing/activities", json={"activities": []})).status_code == 200, "where none are in force"


@pytest.mark.parametrize(
    ("body", "status", "code", "place"),
    [
        ({}, 422, "missing", "/activities"),
        ({"activities": "all"}, 422, "list-type", "/activities"),
        ({"activities": [activity("a", "A"), {"id": "b"}]}, 422, "missing", "/activities/1/title"),
        ({"activities": [activity("a", "A"), activity("a", "B")]}, 422, "duplicate-id", "/activities/1/id"),
        ({"activities": [activity(CONFERENCE, "A")]}, 422, "reserved-id", "/activities/0/id"),
        ({"activities": [activity("a", "A", levels=("expert",))]}, 422, "unknown-word", "/activities/0/levels"),
        ({"activities": [activity("a", "A", areas=("opera",))]}, 422, "unknown-word", "/activities/0/areas"),
        ({"activities": [activity("a", "A") | {"minutes": 0}]}, 422, "greater-than-equal", "/activities/0/minutes"),
        ({"activities": [activity("a", "A") | {"minutes": 1.5}]}, 422, "int-type", "/activities/0/minutes"),
        ({"activities": [activity("a", "A") | {"minutes": "15"}]}, 422, "int-type", "/activities/0/minutes"),
        ({"activities": [activity("a", "A") | {"gain_e6": True}]}, 422, "int-type", "/activities/0/gain_e6"),
        ({"activities": [activity("a", "A") | {"modality": "osmosis"}]}, 422, "enum", "/activities/0/modality"),
        ({"activities": [activity("a", "A") | {"title": "x\x00"}]}, 400, "null-character", "/activities/0/title"),
        (
            {"activities": [activity(f"{n}", "A") for n in range(MAX_OF_A_COMPETENCY + 1)]},
            422, "too-many", f"/activities/{MAX_OF_A_COMPETENCY}/competency_id",
        ),
    ],
)  # fmt: skip
async def test_a_catalogue_with_one_fault_is_not_taken_and_the_place_is_named(
    service: Service, body: Any, status: int, code: str, place: str
) -> None:
    answer = await service.client.put("/pathing/activities", json=body)
    assert answer.status_code == status, answer.text
    error = answer.json()["errors"][0]
    assert (error["code"], error["place"]) == (code, place)
    assert await lengths(service) == 0


async def test_a_catalogue_that_is_no_json_or_too_large_is_not_taken(service: Service) -> None:
    for content, kind, status in ((b"{", "application/json", 400), (b"\xff", "application/json", 400), (b"{}", "text/csv", 415)):
        answer = await service.client.put("/pathing/activities", content=content, headers={"Content-Type": kind})
        assert answer.status_code == status, answer.text
    answer = await service.client.put("/pathing/activities", json={"activities": [1] * (MAX_ACTIVITIES + 1)})
    assert answer.status_code == 413, answer.text
    assert await lengths(service) == 0


async def test_preferences_and_departure_are_heard(planned: Service) -> None:
    wish = PreferencesStated(learner_id=LEARNER, author_id=LEARNER, role=Role.LEARNER, stated_at=NOW, modalities=(Modality.VIDEO,))
    await planned.hear(told(wish, 2))
    assert (await get(planned, f"/learners/{LEARNER}/path"))["steps"][0]["options"][0]["modality"] == "video"
    (answer,) = await planned.hear(rostered(active=False, version=3))
    assert answer.events[-1].data.needs == ()
    left = await get(planned, f"/learners/{LEARNER}/path")
    assert (left["steps"], left["active"]) == ([], False)
    assert left["pace_in_words"].startswith("You have left this school")
    await planned.hear(rostered(version=4))
    back = await get(planned, f"/learners/{LEARNER}/path")
    assert (back["active"], bool(back["steps"]), back["pace"]) == (True, True, "ahead")


async def test_what_is_told_behind_a_hole_counts_though_the_versions_of_its_streams_were_given_before(planned: Service) -> None:
    """Profile and mastery lost what they told last, and go on where their backups end."""

    def behind(event: Recorded[Any], position: int) -> Recorded[Any]:
        return Recorded(**{name: getattr(event, name) for name in event.__slots__} | {"position": position})

    said: dict[str, Any] = {"author_id": TEACHER, "role": Author.TEACHER, "reason": Why.OTHER, "at": NOW}
    waived, withdrawn = (
        kind(learner_id=LEARNER, competency_id="B", prerequisite_id="A", **said) for kind in (PrerequisiteWaived, WaiverWithdrawn)
    )
    await planned.hear(rostered(grade="06", version=9), levelled("A", version=9), told(waived, 9))
    await planned.hear(*framework_told([competency("A")]))
    lost = [rostered(grade="07", version=3), levelled("A", Level.DEVELOPING, version=3), told(withdrawn, 3)]
    assert [answer.events for answer in await planned.hear(*lost)] == [()] * 3, "of the same record, it would be older"
    answers = await planned.hear(*(behind(event, 40 + n) for n, event in enumerate(lost)))
    assert [[type(event.data) for event in answer.events[:1]] for answer in answers] == [[EnrolmentNoted], [LevelNoted], [WaiversNoted]]
    again = [behind(event, 50 + n) for n, event in enumerate(framework_told())]
    (*_, adopted) = await planned.hear(*again)
    assert [type(event.data) for event in adopted.events] == [FrameworkNoted]


async def test_a_new_framework_and_a_new_day_reach_every_learner(planned: Service, clock: FixedClock) -> None:
    body = {"author_id": str(TEACHER), "role": "teacher", "goals": [{"competency_id": "B", "due": "2026-11-26"}]}
    assert (await post(planned, f"/learners/{LEARNER}/goals", body))["items"]
    assert (await get(planned, f"/learners/{LEARNER}/path"))["pace"] == "at-risk"
    await planned.tick()
    before = await lengths(planned)
    await planned.hear(*framework_told([competency("A"), competency("B"), competency("C", "B")]))
    await planned.tick()
    path = await get(planned, f"/learners/{LEARNER}/path")
    assert ([step["competency_id"] for step in path["steps"]], path["pace"]) == (["B"], "ahead")
    assert await lengths(planned) > before
    clock.advance(timedelta(days=2))
    await planned.tick()
    assert (await get(planned, f"/learners/{LEARNER}/path"))["pace"] == "at-risk"
    quiet = await lengths(planned)
    await planned.tick()
    assert await lengths(planned) == quiet


async def test_tables_can_be_rebuilt_from_the_ledger_to_the_same_rows(planned: Service) -> None:
    await planned.hear(levelled("A"), levelled("S", Level.NEARLY, 3))
    await post(planned, f"/learners/{LEARNER}/choices", {"competency_id": "C", "activity_id": "C-reading"})
    tables = [projection.table for projection in PARTS.projections]
    events = await planned.ledger.stream(f"pathing/learner/{LEARNER}")

    async def rows() -> dict[str, Any]:
        async with planned.pool.connection() as connection:
            return {table: await (await connection.execute(f"SELECT * FROM {table} ORDER BY 1, version")).fetchall() for table in tables}  # noqa: S608 - our own names

    before = await rows()
    assert all(before[table] for table in tables if table != "goals")
    async with planned.pool.connection() as connection:
        for table in tables:
            await connection.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
        await store.project(connection, PARTS.projections, events)
        await store.project(connection, PARTS.projections, events[-2:])  # A second delivery changes nothing.
    assert await rows() == before


async def test_every_decision_replays_to_the_same_bytes(planned: Service, clock: FixedClock) -> None:
    await planned.hear(levelled("A"), levelled("S", Level.REVERIFY, 3))
    await post(planned, f"/learners/{LEARNER}/choices", {"competency_id": "C", "activity_id": "C-reading"})
    await planned.client.put("/pathing/activities", json={"activities": ACTIVITIES[:9]})
    clock.advance(timedelta(days=150))
    await planned.tick()
    await planned.hear(*framework_told([*FRAMEWORK, competency("D", "C")]))
    await planned.tick()
    learner, settings = f"pathing/learner/{LEARNER}", "pathing/settings"
    events = {name: await planned.ledger.stream(name) for name in (learner, settings)}
    verifier = Verifier(all_deciders(PARTS), Settings(PARTS.kinds, events[settings]))
    assert verifier.stream(learner, [event.raw for event in events[learner]]) == []
    assert verifier.stream(settings, [event.raw for event in events[settings]]) == []
    assert verifier.tally.decisions >= 12
    assert {type(event.data).__name__ for event in events[learner]} >= {"PathPlanned", "DemandChanged", "ReplanAsked", "ActivityChosen"}
    forged = [event.raw.replace(b"C-reading", b"C-project") for event in events[learner]]
    assert verifier.stream(learner, forged) != []
