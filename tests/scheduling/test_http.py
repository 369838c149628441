"""Scheduling on a real database over real HTTP: what is heard becomes groups, and every question about a day is answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfoNotFoundError

import orjson
import pytest

from services.cli.audit import settling
from services.scheduling import limits
from services.scheduling.app import PARTS
from services.scheduling.domain import NoteDemand, NoteStaff, TakeDemands
from services.scheduling.limits import most_learners_of
from services.scheduling.queries import Looks, Queries, due
from services.scheduling.search import inside, solve
from services.scheduling.subscribers import commands_for
from shared.clock import FixedClock
from shared.contracts.envelope import Event, Origin, Recorded, StreamId
from shared.contracts.pathing import DemandChanged
from shared.contracts.profile import StaffRostered
from shared.contracts.scheduling import Demand, PlanAdopted, SchoolResources, Status
from shared.ledger.types import Ask
from shared.parts import Sought
from shared.stack import ServiceDatabase
from shared.testing import recorded, running
from tests.scheduling.school import RULES, SCHOOL, SUBJECTS, TUESDAY, WEDNESDAY, learner, made_demand, made_school, staff

BEFORE_SCHOOL = datetime(2026, 11, 24, 7, tzinfo=UTC)
COUNT = 30
FULL = 60
"""Learners of a day, where a test lets it hold no more."""
OF_THE_DAY = {"period_id": "", "why": "", "last_talk": None}
"""What is shown of someone who lacks something else for a whole day."""


def told(stream: StreamId, event: Event) -> Recorded[Any]:
    return recorded(stream, [event])[0]


def demanded(demand: Demand, school: UUID = SCHOOL) -> Recorded[Any]:
    """What pathing tells of a demand."""
    event = DemandChanged(
        learner_id=demand.learner_id, school_id=school, version=demand.version, needs=demand.needs, check_in=demand.check_in,
        path_empty=demand.path_empty,
    )  # fmt: skip
    return recorded(StreamId("pathing", "learner", f"{demand.learner_id}-{demand.version}"), [event] * demand.version)[-1]


def rostered(count: int, first: int = 1) -> list[Recorded[Any]]:
    """What profile tells of so many adults."""
    return [
        told(StreamId("profile", "staff", str(one.staff_id)), StaffRostered(staff_id=one.staff_id, school_id=SCHOOL, subjects=one.subjects))
        for one in staff(count, first)
    ]


def demands(version: int = 1, who: Sequence[int] = range(COUNT)) -> list[Recorded[Any]]:
    return [demanded(made_demand(1, number, version, competencies=6)) for number in who]


def resources(**more: Any) -> dict[str, Any]:
    school: SchoolResources = made_school(1, COUNT, 4, 6).model_copy(update=more)
    return {"schools": [school.model_dump(mode="json", exclude_defaults=True)]}


@pytest.fixture
async def service(database: Callable[[str], ServiceDatabase]) -> AsyncIterator[Any]:
    async with running(PARTS, database("scheduling"), clock=FixedClock(BEFORE_SCHOOL)) as service:
        yield service


async def planned(service: Any) -> None:
    """Bring in everything a day needs."""
    await service.hear(*rostered(8))
    await service.hear(*demands())
    assert (await service.client.put("/scheduling/resources", json=resources())).status_code == 200
    await service.tick()


def test_adults_are_noted_with_their_place_in_what_profile_tells() -> None:
    """Behind a hole the version of their stream is given a second time, their place never is."""
    (one,) = rostered(1)
    (command,) = commands_for(Recorded(**{name: getattr(one, name) for name in one.__slots__} | {"position": 40}))
    assert isinstance(command, NoteStaff)
    assert command.version == 41


def test_a_demand_counts_by_its_place_whatever_number_pathing_gives_it() -> None:
    """A pathing that was restored from an older backup gives numbers a second time, places never."""
    told = demanded(made_demand(1, 3, 1))
    (command,) = commands_for(Recorded(**{name: getattr(told, name) for name in told.__slots__} | {"position": 40}))
    assert isinstance(command, NoteDemand)
    assert command.demand == made_demand(1, 3, 1).model_copy(update={"version": 41})


async def got(service: Any, address: str, **query: Any) -> Any:
    response = await service.client.get(f"/scheduling/{address}", params=query)
    assert response.status_code == 200, response.text
    return response.json()


async def everything(service: Any, address: str, part: str = "", limit: int = 7) -> list[Any]:
    """Read a list to its end, page by page."""
    items: list[Any] = []
    query: dict[str, Any] = {"limit": limit}
    while True:
        page = await got(service, address, **query)
        page = page[part] if part else page
        items += page["items"]
        if page["next"] is None:
            return items
        query["after"] = page["next"]


async def test_resources_are_taken_once(service: Any) -> None:
    first = (await service.client.put("/scheduling/resources", json=resources())).json()
    again = (await service.client.put("/scheduling/resources", json=resources())).json()
    assert (first["schools"], first["events"], again["events"]) == (1, 2, 0)
    assert first["set_id"] == again["set_id"]
    assert [school["school_id"] for school in await everything(service, "resources")] == [str(SCHOOL)]


async def test_subjects_of_resources_are_in_lower_case(service: Any) -> None:
    body = resources(staff=staff(2))
    for period in body["schools"][0]["periods"]:
        period["subject"] = f" {period['subject'].title()}"
    for member in body["schools"][0]["staff"]:
        member["subjects"] = [subject.upper() for subject in member["subjects"]]
    assert (await service.client.put("/scheduling/resources", json=body)).status_code == 200
    (school,) = (await got(service, "resources"))["items"]
    assert {period["subject"] for period in school["periods"]} == set(SUBJECTS)
    assert [tuple(member["subjects"]) for member in school["staff"]] == [one.subjects for one in staff(2)]


async def test_a_school_changes_its_own_resources_and_no_other_ones(service: Any) -> None:
    others = {f"{UUID(int=100 + n)}": resources(school_id=UUID(int=100 + n))["schools"][0] for n in range(6)}
    mine = resources()["schools"][0]
    assert (await service.client.put("/scheduling/resources", json=resources())).status_code == 200
    puts = [service.client.put(f"/scheduling/schools/{school}/resources", json=body) for school, body in others.items()]
    for response in await asyncio.gather(*puts):
        assert response.status_code == 200, response.text
    stored = {school["school_id"]: school for school in await everything(service, "resources")}
    assert stored.keys() == {mine["school_id"], *others}
    changed = mine | {"closed": ["2026-12-24"]}
    address = f"/scheduling/schools/{mine['school_id']}/resources"
    first, again = [(await service.client.put(address, json=changed)).json() for _ in range(2)]
    assert (first["schools"], first["events"] > 0, again["events"]) == (7, True, 0)
    after = {school["school_id"]: school for school in await everything(service, "resources")}
    assert after[mine["school_id"]] == stored[mine["school_id"]] | {"closed": ["2026-12-24"]} != stored[mine["school_id"]]
    assert {id: school for id, school in after.items() if id in others} == {id: stored[id] for id in others}
    wrong = await service.client.put(f"/scheduling/schools/{UUID(int=100)}/resources", json=mine)
    assert (wrong.status_code, wrong.json()["errors"][0]["place"]) == (422, "/school_id")
    bad = await service.client.put(address, json=mine | {"periods": [{"id": "p", "starts": "09:00", "ends": "08:00"}]})
    assert (bad.status_code, bad.json()["errors"][0]["place"]) == (422, "/periods/0/ends")


async def test_what_a_day_was_planned_with_is_remembered_while_other_schools_change_theirs(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A set holds all schools: to read it anew for each day at each change would cost the square of the schools."""
    read: list[str] = []
    entry = due._entry

    async def counted(connection: Any, school: SchoolResources, planned: str) -> SchoolResources | None:
        read.append(planned)
        return await entry(connection, school, planned)

    monkeypatch.setattr(due, "_entry", counted)
    await planned(service)
    await service.tick()
    before = await got(service, f"schools/{SCHOOL}/days/tomorrow")
    for n in range(3):
        other = resources(school_id=UUID(int=100 + n))["schools"][0]
        assert (await service.client.put(f"/scheduling/schools/{other['school_id']}/resources", json=other)).status_code == 200
        await service.tick()
    assert (read, await got(service, f"schools/{SCHOOL}/days/tomorrow")) == ([], before)


async def test_a_day_of_the_past_is_shown_as_it_was_planned(service: Any) -> None:
    await planned(service)
    address = f"schools/{SCHOOL}/days/{TUESDAY}"
    before = await got(service, address), await got(service, f"learners/{learner(3)}/days/{TUESDAY}")
    service.context.clock.advance(timedelta(days=7))
    body = resources()
    body["schools"][0]["spaces"] = [{"id": "s00", "title": "Hall", "zones": [{"id": "z0", "seats": 60}]}]
    body["schools"][0]["periods"] = [{"id": "p0", "starts": "12:00", "ends": "13:00", "subject": "art"}]
    body["schools"][0]["rules"] = []
    assert (await service.client.put("/scheduling/resources", json=body)).status_code == 200
    assert (await got(service, address), await got(service, f"learners/{learner(3)}/days/{TUESDAY}")) == before
    elsewhere = {"schools": [body["schools"][0] | {"school_id": str(UUID(int=5))}]}
    assert (await service.client.put("/scheduling/resources?remove=true", json=elsewhere)).status_code == 200
    assert (await got(service, address), await got(service, f"learners/{learner(3)}/days/{TUESDAY}")) == before
    assert (await got(service, f"{address}/unserved"))["items"] is not None
    assert len((await got(service, f"{address}/changes"))["items"]) == COUNT
    for day in ("today", TUESDAY - timedelta(days=1)):
        answer = await service.client.get(f"/scheduling/schools/{SCHOOL}/days/{day}")
        assert (answer.status_code, "has no resources" in answer.json()["detail"]) == (404, True)


async def test_days_at_the_school_that_a_learner_left_stay_hers(service: Any) -> None:
    await planned(service)
    there, elsewhere = await got(service, f"learners/{learner(3)}/days/{TUESDAY}"), UUID(int=78)
    both = resources()
    both["schools"].append(both["schools"][0] | {"school_id": str(elsewhere), "staff": [one.model_dump(mode="json") for one in staff(4)]})
    assert (await service.client.put("/scheduling/resources", json=both)).status_code == 200
    service.context.clock.advance(timedelta(days=1))
    await service.hear(demanded(Demand(learner_id=learner(3), version=2)), demanded(made_demand(1, 3, 3, competencies=6), elsewhere))
    await service.tick()
    await service.tick()
    assert await got(service, f"learners/{learner(3)}/days/{TUESDAY}") == there
    for day in ("today", WEDNESDAY, "tomorrow"):
        assert (await got(service, f"learners/{learner(3)}/days/{day}"))["school_id"] == str(elsewhere)


async def test_a_closed_day_says_so_and_names_the_next_one(service: Any) -> None:
    await planned(service)
    assert (await got(service, f"schools/{SCHOOL}/days/today"))["closed"] is False
    before = await everything(service, f"schools/{SCHOOL}/days/{TUESDAY}", "sessions")
    closed = resources(closed=(TUESDAY,))["schools"][0]
    assert (await service.client.put(f"/scheduling/schools/{SCHOOL}/resources", json=closed)).status_code == 200
    await service.tick()
    for address in (f"schools/{SCHOOL}/days/today", f"learners/{learner(3)}/days/today", f"schools/{SCHOOL}/days/today/unserved"):
        answer = await service.client.get(f"/scheduling/{address}")
        assert answer.status_code == 404
        assert answer.json()["detail"] == f"the school is closed on {TUESDAY}: the next school day is {WEDNESDAY}"
    for address in (f"schools/{SCHOOL}/days/{TUESDAY}", f"learners/{learner(3)}/days/{TUESDAY}"):
        day = await got(service, address)
        assert (day["closed"], day["next_school_day"]) == (True, WEDNESDAY.isoformat())
    assert await everything(service, f"schools/{SCHOOL}/days/{TUESDAY}", "sessions") == before
    saturday = await service.client.get(f"/scheduling/schools/{SCHOOL}/days/2026-11-28")
    assert saturday.json()["detail"] == "the school is closed on 2026-11-28: the next school day is 2026-11-30"


async def test_a_group_says_whether_its_adult_teaches_its_subject(service: Any) -> None:
    taught = {str(one.staff_id): one.subjects for one in staff(8)}
    await planned(service)
    sessions = await everything(service, f"schools/{SCHOOL}/days/tomorrow", "sessions")
    subjects = {need.competency_id: need.subject for number in range(COUNT) for need in made_demand(1, number, competencies=6).needs}
    groups = [one for one in sessions if one["use"] == "group"]
    assert {one["qualified"] for one in groups} == {True, False}
    assert all(one["qualified"] == (subjects[one["competency_id"]] in taught[one["staff_id"]]) for one in groups)
    assert {one["qualified"] for one in sessions if one["use"] != "group"} == {None}
    unqualified = sum(len(one["learners"]) for one in groups if not one["qualified"])
    assert (await got(service, f"schools/{SCHOOL}/days/tomorrow"))["unqualified"] == unqualified > 0
    told = next(one for one in groups if not one["qualified"])
    view = await got(service, f"learners/{told['learners'][0]}/days/tomorrow")
    assert [one["qualified"] for one in view["periods"] if one["period_id"] == told["period_id"]] == [False]


async def test_schools_whose_learners_ask_for_something_are_not_taken_away_unasked(service: Any) -> None:
    await planned(service)
    mine, silent, new = resources()["schools"][0], UUID(int=5), UUID(int=6)
    both = {"schools": [mine, mine | {"school_id": str(silent)}]}
    assert (await service.client.put("/scheduling/resources", json=both)).json()["removed"] == []
    other = {"schools": [mine | {"school_id": str(new)}]}
    answer = await service.client.put("/scheduling/resources", json=other)
    (fault,) = answer.json()["errors"]
    assert (answer.status_code, fault["code"]) == (409, "would-remove")
    assert f"{SCHOOL} ({COUNT} learners)" in fault["detail"]
    assert str(silent) not in fault["detail"]
    assert len(await everything(service, "resources")) == 2
    without = (await service.client.put("/scheduling/resources", json=resources())).json()
    assert without["removed"] == [str(silent)], "nobody asks for anything there"
    told = (await service.client.put("/scheduling/resources?remove=true", json=other)).json()
    assert (told["removed"], told["schools"]) == ([str(SCHOOL)], 1)


async def test_what_has_no_effect_in_resources_is_told(service: Any) -> None:
    body = resources()
    body["schools"][0]["periods"][0]["subject"] = "Maths"
    stranger, helper = str(UUID(int=4)), str(UUID(int=3))
    body["schools"][0]["staff"] = [
        {"staff_id": stranger, "away": ["p0"]}, {"staff_id": str(UUID(int=9001)), "away": ["p0"]},
        {"staff_id": helper, "subjects": ["reading", "art"], "away": ["p1"]},
    ]  # fmt: skip
    early = (await service.client.put("/scheduling/resources", json=body)).json()
    nothing = {"school_id": str(SCHOOL), "unknown_subjects": [], "past_days": []}
    assert early["notes"] == [nothing | {"unknown_staff": [stranger, str(UUID(int=9001))]}]
    await service.hear(*rostered(8), *demands())
    wanted = [nothing | {"unknown_subjects": ["art", "maths"], "unknown_staff": [stranger]}]
    assert (await service.client.put("/scheduling/resources", json=body)).json()["notes"] == wanted
    address = f"/scheduling/schools/{SCHOOL}/resources"
    assert (await service.client.put(address, json=body["schools"][0])).json()["notes"] == wanted
    assert (await service.client.put("/scheduling/resources", json=resources())).json()["notes"] == []


async def test_a_school_has_room_for_those_who_are_there(service: Any) -> None:
    zones = [{"id": f"z{m}", "seats": 9} for m in range(20)]
    wide = {"spaces": [{"id": f"s{n}", "title": "", "zones": zones} for n in range(29)]}  # 580 zones in 4 periods.
    body = {"schools": [resources()["schools"][0] | wide]}
    room = most_learners_of(SchoolResources.model_validate(body["schools"][0]))
    assert 20 < room < 200, "as long as nobody knows how many adults there are"
    assert (await service.client.put("/scheduling/resources", json=body)).status_code == 200
    await service.hear(*demands(who=range(room + 1)))
    for address, sent in (("/scheduling/resources", body), (f"/scheduling/schools/{SCHOOL}/resources", body["schools"][0])):
        again = await service.client.put(address, json=sent)
        assert again.status_code == 422
        assert f"{room} learners, {room + 1} are there" in again.json()["errors"][0]["remedy"]
    await service.hear(*rostered(8))
    assert (await service.client.put("/scheduling/resources", json=body)).status_code == 200
    await service.tick()
    assert (await got(service, f"schools/{SCHOOL}/days/tomorrow"))["left_out"] == 0


BAD_RESOURCES: list[tuple[dict[str, Any], str, str]] = [
    ({"periods": [{"id": "p", "starts": "09:00", "ends": "08:00"}]}, "/schools/0/periods/0/ends", "out-of-order"),
    ({"periods": [{"id": "p", "starts": "29:00", "ends": "30:00"}]}, "/schools/0/periods/0/starts", "no-time"),
    ({"periods": [{"id": "p", "starts": "08:0\uff10", "ends": "09:00"}]}, "/schools/0/periods/0/starts", "no-time"),
    ({"periods": [{"id": p, "starts": "09:00", "ends": "10:00"} for p in "ab"]}, "/schools/0/periods/1/starts", "out-of-order"),
    ({"periods": [{"id": "p", "starts": s, "ends": s[:4] + "9"} for s in ("09:00", "10:00")]}, "/schools/0/periods/1/id", "duplicate"),
    ({"spaces": [{"id": "s", "title": "", "zones": [{"id": "z", "seats": 1}] * 2}]}, "/schools/0/spaces/0/zones/1/id", "duplicate"),
    ({"spaces": [{"id": "s", "title": "", "zones": []}]}, "/schools/0/spaces/0/zones", "too-short"),
    ({"rules": [{"modality": "project", "smallest": 3, "largest": 2}]}, "/schools/0/rules/0", "out-of-order"),
    ({"rules": [{"modality": "song", "smallest": 1, "largest": 2}]}, "/schools/0/rules/0/modality", "enum"),
    ({"staff": [{"staff_id": str(SCHOOL), "away": ["p9"]}]}, "/schools/0/staff/0/away", "unknown-reference"),
    ({"spaces": [{"id": "s", "title": "", "zones": [{"id": "z", "seats": True}]}]}, "/schools/0/spaces/0/zones/0/seats", "int-type"),
    ({"rules": [{"modality": "project", "smallest": "2", "largest": 3}]}, "/schools/0/rules/0/smallest", "int-type"),
    ({"closed": [0, 86400.0]}, "/schools/0/closed/0", "date-type"),
    ({"closed": ["2026-12-24", "0"]}, "/schools/0/closed/1", "not-a-date"),
    ({"school_id": "nobody"}, "/schools/0/school_id", "uuid-parsing"),
    ({"timezone": "Atlantis/Capital"}, "/schools/0/timezone", "unknown-timezone"),
    (
        {"spaces": [{"id": f"s{n}", "title": "", "zones": [{"id": f"z{m}", "seats": 9} for m in range(20)]} for n in range(60)]},
        "/schools/0/spaces",
        "too-large",
    ),
    ({"colour": "red"}, "/schools/0/colour", "extra-forbidden"),
]


async def test_bad_resources_are_refused_with_their_place(service: Any) -> None:
    for change, place, code in BAD_RESOURCES:
        body = resources()
        body["schools"][0] |= change
        response = await service.client.put("/scheduling/resources", json=body)
        assert response.status_code == 422, change
        assert (place, code) in [(fault["place"], fault["code"]) for fault in response.json()["errors"]], change
    assert (await got(service, "resources"))["items"] == []


async def test_the_same_school_twice_is_refused(service: Any) -> None:
    response = await service.client.put("/scheduling/resources", json={"schools": resources()["schools"] * 2})
    assert [fault["place"] for fault in response.json()["errors"]] == ["/schools/1/school_id"]


async def test_a_plan_is_made_once_demands_resources_and_adults_are_known_in_any_order(service: Any) -> None:
    steps = [service.hear(*demands()), service.client.put("/scheduling/resources", json=resources()), service.hear(*rostered(8))]
    for number, step in enumerate(steps):
        assert (await service.client.get(f"/scheduling/schools/{SCHOOL}/days/tomorrow")).status_code == 404, number
        await step
        await service.tick()
    for day in ("today", "tomorrow", WEDNESDAY.isoformat()):
        seen = await got(service, f"schools/{SCHOOL}/days/{day}")
        assert (seen["status"], seen["learners"], seen["unserved"]) == ("greedy", COUNT, 0)
    assert (await got(service, f"schools/{SCHOOL}/days/today"))["on"] == TUESDAY.isoformat()
    assert await service.tick() == 0


async def test_the_grid_shows_everybody_once_in_each_period(service: Any) -> None:
    await planned(service)
    sessions = await everything(service, f"schools/{SCHOOL}/days/tomorrow", "sessions")
    for period in ("p0", "p1", "p2", "p3"):
        inside = [one for one in sessions if one["period_id"] == period]
        assert sorted(who for one in inside for who in one["learners"]) == sorted(str(learner(number)) for number in range(COUNT))
        assert len({one["staff_id"] for one in inside}) == len(inside)
        assert all(len(one["learners"]) <= one["seats"] for one in inside)
    assert {"group", "independent"} <= {one["use"] for one in sessions}


async def test_a_learner_sees_her_day_and_what_she_could_not_have(service: Any) -> None:
    await planned(service)
    refused: set[str] = set()
    for number in range(COUNT):
        view = await got(service, f"learners/{learner(number)}/days/tomorrow")
        assert [period["period_id"] for period in view["periods"]] == ["p0", "p1", "p2", "p3"]
        demand = made_demand(1, number, 1, competencies=6)
        options = {(need.competency_id, one.activity_id) for need in demand.needs for one in need.options}
        for period in view["periods"]:
            assert period["served"]
            assert period["why"]
            if period["use"] in ("group", "independent"):
                assert (period["competency_id"], period["activity_id"]) in options
                assert period["reason"] == "goal"
            for one in period["refused"]:
                assert (one["competency_id"], one["activity_id"]) in options
                assert one["activity_id"] != period["activity_id"]
                assert one["detail"]
                refused.add(one["obstacle"])
    assert len(refused) > 1


async def test_a_changed_demand_moves_its_learner_in_one_repair(service: Any) -> None:
    await planned(service)
    before = {number: await got(service, f"learners/{learner(number)}/days/tomorrow") for number in range(COUNT)}
    service.context.clock.advance(timedelta(minutes=1))
    changed = [3, 4]
    await service.hear(*demands(2, changed))
    await service.tick()
    after = {number: await got(service, f"learners/{learner(number)}/days/tomorrow") for number in range(COUNT)}
    moved = [number for number in range(COUNT) if before[number]["changed_at"] != after[number]["changed_at"]]
    assert set(changed) <= set(moved)
    assert len(moved) <= 8
    assert [after[number]["demand_version"] for number in changed] == [2, 2]
    day = await got(service, f"schools/{SCHOOL}/days/tomorrow")
    assert day["status"] == "repaired"
    changes = await everything(service, f"schools/{SCHOOL}/days/tomorrow/changes")
    newest = changes[: len(moved)]
    assert {one["learner_id"] for one in newest} == {str(learner(number)) for number in moved}
    assert {one["learner_id"] for one in newest if one["own"]} == {str(learner(number)) for number in changed}
    assert all(one["demand_event"] for one in newest if one["own"])
    assert len(changes) == COUNT + len(moved)


async def test_many_changes_in_one_window_are_one_repair(service: Any) -> None:
    await planned(service)
    for version in (2, 3, 4):
        await service.hear(*demands(version, [1, 2, 3]))
    before = await _versions(service)
    await service.tick()
    after = await _versions(service)
    for day in (TUESDAY, WEDNESDAY):
        types = after[day][len(before[day]) :]
        assert types.count("scheduling.day-demanded.v1") == 1
        assert types.count("scheduling.plan-adopted.v1") == 1


async def _versions(service: Any) -> dict[Any, list[str]]:
    async with service.context.pool.connection() as connection:
        rows = await (
            await connection.execute("SELECT stream, type FROM event WHERE stream LIKE '%/day/%' ORDER BY stream, version")
        ).fetchall()
    return {day: [kind for stream, kind in rows if stream.endswith(day.isoformat())] for day in (TUESDAY, WEDNESDAY)}


async def test_a_demand_is_named_by_the_day_and_leads_to_it(service: Any) -> None:
    await planned(service)
    heard = demands(2, [5])[0]
    await service.hear(heard)
    await service.tick()
    taken, noted = await _latest(service, "scheduling.day-demanded.v1"), await _latest(service, "scheduling.demand-noted.v1")
    assert [(one["learner_id"], one["version"]) for one in taken["data"]["demands"]] == [(str(learner(5)), 2)]
    assert taken["causationid"] == noted["id"]
    assert noted["causationid"] == str(heard.id)
    assert taken["correlationid"] == noted["correlationid"] == str(heard.correlation)


async def _latest(service: Any, kind: str) -> Any:
    """Return the newest event of a type; all events of a school are in one partition."""
    statement = "SELECT convert_from(bytes, 'utf8')::jsonb FROM event WHERE type = %s ORDER BY position DESC LIMIT 1"
    async with service.context.pool.connection() as connection:
        row = await (await connection.execute(statement, [kind])).fetchone()
    return row[0]


async def test_periods_that_have_begun_are_not_changed(service: Any) -> None:
    await planned(service)
    before = await got(service, f"learners/{learner(3)}/days/today")
    service.context.clock.advance(timedelta(hours=2))  # 09:00: two of four periods have begun.
    await service.hear(demanded(made_demand(9, 3, 2, competencies=6)))
    await service.tick()
    after = await got(service, f"learners/{learner(3)}/days/today")
    shown = ("space_id", "zone_id", "staff_id", "competency_id", "activity_id")
    assert [[one[name] for name in shown] for one in after["periods"][:2]] == [
        [one[name] for name in shown] for one in before["periods"][:2]
    ]
    assert after["periods"][2:] != before["periods"][2:]


async def test_what_has_begun_stays_begun_where_the_clock_is_put_back_unless_periods_are_new(service: Any) -> None:
    await planned(service)
    clock = service.context.clock
    clock.advance(timedelta(hours=2))
    await service.hear(*demands(2, [1]))
    await service.tick()
    before = await got(service, f"learners/{learner(3)}/days/today")
    clock.at -= timedelta(hours=2)
    await service.hear(demanded(made_demand(9, 3, 2, competencies=6)))
    (sought,) = [one for one in await look(service, now=clock.now()) if one.value.on == TUESDAY]
    assert sought.value.begun == 2, "as many as when it was planned last"
    await service.tick()
    after = await got(service, f"learners/{learner(3)}/days/today")
    assert (before["demand_version"], after["demand_version"]) == (1, 2)
    shown = ("space_id", "zone_id", "staff_id", "competency_id", "activity_id")
    assert [[one[name] for name in shown] for one in after["periods"][:2]] == [
        [one[name] for name in shown] for one in before["periods"][:2]
    ]
    body = resources()
    body["schools"][0]["periods"][3]["ends"] = "11:30"
    assert (await service.client.put("/scheduling/resources", json=body)).status_code == 200
    anew = [one.value.begun for one in await look(service, now=clock.now()) if one.value.on == TUESDAY]
    assert anew == [0]


async def test_without_room_learners_are_unserved_and_said_to_be(service: Any) -> None:
    await service.hear(*rostered(1), *demands())
    small = [{"id": "s", "title": "Small", "zones": [{"id": "z", "seats": 5}]}]
    body = resources()
    body["schools"][0]["spaces"] = small
    await service.client.put("/scheduling/resources", json=body)
    await service.tick()
    lacking = await everything(service, f"schools/{SCHOOL}/days/tomorrow/unserved")
    places = [one for one in lacking if one["lacking"] == "place"]
    day = await got(service, f"schools/{SCHOOL}/days/tomorrow")
    assert len(places) == day["unserved"] > 0
    view = await got(service, f"learners/{places[0]['learner_id']}/days/tomorrow")
    period = next(one for one in view["periods"] if one["period_id"] == places[0]["period_id"])
    assert (period["served"], period["use"]) == (False, None)
    assert period["why"].startswith("no place was found")
    assert {one["obstacle"] for one in period["refused"]}


async def test_who_has_nothing_on_her_path_is_supervised_and_listed_until_she_is_gone(service: Any) -> None:
    await planned(service)
    new = learner(COUNT)
    await service.hear(demanded(Demand(learner_id=new, version=1, path_empty=True)))
    await service.tick()
    day = await got(service, f"schools/{SCHOOL}/days/tomorrow")
    view = await got(service, f"learners/{new}/days/tomorrow")
    assert {(one["served"], one["use"], one["why"]) for one in view["periods"]} == {
        (True, "independent", "supervised; nothing is on her path")
    }
    lacking = await everything(service, f"schools/{SCHOOL}/days/tomorrow/unserved", limit=1)
    assert [one for one in lacking if one["learner_id"] == str(new)] == [OF_THE_DAY | {"learner_id": str(new), "lacking": "path"}]
    assert (day["learners"], day["unserved"]) == (COUNT + 1, 0)
    await service.hear(demanded(Demand(learner_id=new, version=2)))
    await service.tick()
    assert (await got(service, f"schools/{SCHOOL}/days/tomorrow"))["learners"] == COUNT
    lacking = await everything(service, f"schools/{SCHOOL}/days/tomorrow/unserved")
    assert str(new) not in {one["learner_id"] for one in lacking}


async def test_new_adults_and_new_resources_plan_the_days_again(service: Any) -> None:
    await planned(service)
    await service.hear(*rostered(1, first=40))
    await service.tick()
    body = resources()
    body["schools"][0]["staff"] = [{"staff_id": str(UUID(int=9001)), "away": ["p0"]}]
    await service.client.put("/scheduling/resources", json=body)
    assert await service.tick() > 0
    sessions = await everything(service, f"schools/{SCHOOL}/days/tomorrow", "sessions")
    assert str(UUID(int=9001)) not in {one["staff_id"] for one in sessions if one["period_id"] == "p0"}
    assert (await _versions(service))[WEDNESDAY].count("scheduling.plan-adopted.v1") == 3


async def test_what_others_say_of_their_schools_moves_nobody(service: Any) -> None:
    await planned(service)
    before = await _versions(service)
    body = resources(closed=(date(2026, 12, 24),))
    body["schools"].append(body["schools"][0] | {"school_id": str(UUID(int=5))})
    assert (await service.client.put("/scheduling/resources", json=body)).json()["events"] == 3, "two pages, and that they are in force"
    assert await look(service) == []
    await service.tick()
    assert await _versions(service) == before
    await service.hear(*demands(2, [4]))
    await service.tick()
    assert (await got(service, f"schools/{SCHOOL}/days/today"))["status"] == "repaired"


async def test_an_adult_who_is_away_moves_those_she_was_with(service: Any) -> None:
    await planned(service)
    sessions = await everything(service, f"schools/{SCHOOL}/days/tomorrow", "sessions")
    ill = next(one["staff_id"] for one in sessions if one["period_id"] == "p1")
    led = {who for one in sessions if (one["period_id"], one["staff_id"]) == ("p1", ill) for who in one["learners"]}
    body = resources()
    body["schools"][0]["staff"] = [{"staff_id": ill, "subjects": ["reading"], "away": ["p1"]}]
    await service.client.put("/scheduling/resources", json=body)
    await service.tick()
    day = await got(service, f"schools/{SCHOOL}/days/tomorrow")
    assert (day["status"], day["unserved"]) == ("repaired", 0)
    changes = await everything(service, f"schools/{SCHOOL}/days/tomorrow/changes")
    moved = {one["learner_id"] for one in changes[: len(changes) - COUNT]}
    assert led <= moved
    assert len(moved) < COUNT // 2
    after = await everything(service, f"schools/{SCHOOL}/days/tomorrow", "sessions")
    assert ill not in {one["staff_id"] for one in after if one["period_id"] == "p1"}


async def test_other_periods_and_a_roster_that_is_still_coming_in_plan_everybody_anew(service: Any) -> None:
    await planned(service)
    await service.hear(*rostered(4, first=40))
    await service.tick()
    assert (await got(service, f"schools/{SCHOOL}/days/tomorrow"))["status"] == "greedy"
    body = resources()
    body["schools"][0]["periods"] = body["schools"][0]["periods"][:3]
    await service.client.put("/scheduling/resources", json=body)
    await service.tick()
    view = await got(service, f"learners/{learner(3)}/days/tomorrow")
    assert [one["period_id"] for one in view["periods"]] == ["p0", "p1", "p2"]


async def test_those_who_left_take_nobodys_place(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_LEARNERS", FULL)
    service.context.clock.advance(timedelta(hours=5))  # After school: only tomorrow is planned.
    await service.client.put("/scheduling/resources", json=resources())
    await service.hear(*(demanded(Demand(learner_id=learner(5_000 + number), version=1)) for number in range(FULL)))
    service.context.clock.advance(timedelta(seconds=1))
    await service.hear(*rostered(8), *demands())
    await service.tick()
    day = await got(service, f"schools/{SCHOOL}/days/tomorrow")
    assert (day["learners"], day["left_out"]) == (COUNT, 0)
    assert {one["lacking"] for one in await everything(service, f"schools/{SCHOOL}/days/tomorrow/unserved")} <= {"check-in", "activity"}
    await service.hear(demanded(Demand(learner_id=learner(3), version=2)))
    await service.tick()
    assert (await got(service, f"schools/{SCHOOL}/days/tomorrow"))["learners"] == COUNT - 1


async def test_the_next_day_knows_whom_an_adult_talked_with_and_who_had_no_place(service: Any) -> None:
    await service.hear(*rostered(1), *demands())
    small = {"spaces": [{"id": "s", "title": "Small", "zones": [{"id": "z", "seats": 28}]}]}
    body = {"schools": [resources()["schools"][0] | small]}
    await service.client.put("/scheduling/resources", json=body)
    await service.tick()
    today = {number: await got(service, f"learners/{learner(number)}/days/today") for number in range(COUNT)}
    tomorrow = {number: await got(service, f"learners/{learner(number)}/days/tomorrow") for number in range(COUNT)}
    service.context.clock.advance(timedelta(days=1))
    (sought,) = [one for one in await look(service, now=service.context.clock.now()) if one.value.on == date(2026, 11, 26)]
    talked, missed = dict[int, int](), dict[int, int]()
    for on, days in ((TUESDAY, today), (WEDNESDAY, tomorrow)):
        for number, told in days.items():
            missed[number] = missed.get(number, 0) + sum(not one["served"] for one in told["periods"])
            if any(one["use"] == "check-in" for one in told["periods"]):
                talked[number] = on.toordinal()
    wanted = {number: (talked.get(number, 0), missed[number]) for number in range(COUNT) if missed[number] or number in talked}
    assert len(wanted) > 2
    assert {who: tuple(told) for who, *told in orjson.loads(sought.value.before)} == {
        str(learner(number)): told for number, told in wanted.items()
    }


async def test_who_changed_schools_is_shown_the_day_of_the_new_one(service: Any) -> None:
    await planned(service)
    demand = made_demand(1, COUNT, 1, competencies=6)
    elsewhere = UUID(int=78)
    await service.hear(demanded(demand, elsewhere))
    gone, here = Demand(learner_id=demand.learner_id, version=2), demand.model_copy(update={"version": 3})
    await service.hear(demanded(gone, elsewhere), demanded(here))  # As pathing tells a move, in one batch.
    await service.tick()
    day = await got(service, f"learners/{demand.learner_id}/days/tomorrow")
    assert day["school_id"] == str(SCHOOL)


async def test_who_left_is_not_told_that_no_place_was_found(service: Any) -> None:
    await planned(service)
    await service.hear(demanded(Demand(learner_id=learner(3), version=2)))
    await service.tick()
    await service.tick()
    day = await got(service, f"learners/{learner(3)}/days/tomorrow")
    assert {(one["served"], one["why"]) for one in day["periods"]} == {
        (False, "she has left this school, so that no place is kept for her")
    }
    lacking = await everything(service, f"schools/{SCHOOL}/days/tomorrow/unserved")
    assert str(learner(3)) not in {one["learner_id"] for one in lacking}


async def test_schools_without_adults_hold_nobody_up(service: Any) -> None:
    others = [UUID(int=number) for number in range(1, 4)]  # Before SCHOOL in every order, two days each.
    body = resources()
    body["schools"] += [body["schools"][0] | {"school_id": str(other)} for other in others]
    await service.client.put("/scheduling/resources", json=body)
    for other in others:
        await service.hear(demanded(made_demand(1, 900 + other.int, 1, competencies=6), other))
    await service.hear(*rostered(8))
    await service.hear(*demands())
    await service.tick()
    for day in ("today", "tomorrow"):
        assert (await got(service, f"schools/{SCHOOL}/days/{day}"))["learners"] == COUNT
        for address in (f"schools/{other}/days/{day}{what}" for other in others for what in ("", "/unserved", "/changes")):
            answer = await service.client.get(f"/scheduling/{address}")
            assert (answer.status_code, "there is no plan of" in answer.text) == (404, True), address


async def test_a_school_whose_hours_cannot_be_read_holds_nobody_up(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the time zone database no longer has its zone."""
    other = UUID(int=1)
    body = resources()
    body["schools"].append(body["schools"][0] | {"school_id": str(other)})
    await service.client.put("/scheduling/resources", json=body)
    hours = due.open_days

    def unknown(school: SchoolResources, now: datetime) -> list[date]:
        if school.school_id == other:
            raise ZoneInfoNotFoundError("No time zone found with key Atlantis/Capital")
        return hours(school, now)

    monkeypatch.setattr(due, "open_days", unknown)
    await service.hear(*rostered(8), *demands())
    await service.tick()
    assert (await got(service, f"schools/{SCHOOL}/days/tomorrow"))["learners"] == COUNT


async def test_closed_days_and_weekends_are_left_out(service: Any) -> None:
    await service.hear(*rostered(8), *demands())
    closed = [TUESDAY, WEDNESDAY, WEDNESDAY + timedelta(days=1), WEDNESDAY + timedelta(days=2)]
    body = resources()
    body["schools"][0]["closed"] = [day.isoformat() for day in closed]
    await service.client.put("/scheduling/resources", json=body)
    await service.tick()
    assert (await got(service, f"schools/{SCHOOL}/days/tomorrow"))["on"] == "2026-11-30"
    assert (await service.client.get(f"/scheduling/schools/{SCHOOL}/days/today")).status_code == 404


async def test_the_day_is_that_of_the_school(service: Any) -> None:
    service.context.clock.advance(timedelta(hours=6, minutes=10))  # 13:10 in Greenwich, 8:10 in New York.
    await service.hear(*rostered(8), *demands())
    await service.client.put("/scheduling/resources", json=resources(timezone="America/New_York"))
    await service.tick()
    today = await got(service, f"schools/{SCHOOL}/days/today")
    assert (today["on"], today["learners"]) == (TUESDAY.isoformat(), COUNT)
    assert {one["period_id"] for one in await everything(service, f"schools/{SCHOOL}/days/today", "sessions")} == {"p1", "p2", "p3"}
    service.context.clock.advance(timedelta(hours=13))  # 2:10 on Wednesday in Greenwich, 21:10 on Tuesday in New York.
    assert (await got(service, f"schools/{SCHOOL}/days/today"))["on"] == TUESDAY.isoformat()
    assert (await got(service, f"schools/{SCHOOL}/days/tomorrow"))["on"] == WEDNESDAY.isoformat()


async def test_in_auckland_it_is_tomorrow_already(service: Any) -> None:
    service.context.clock.advance(timedelta(hours=12))  # 19:00 on Tuesday in Greenwich, 8:00 on Wednesday in Auckland.
    await service.hear(*rostered(8), *demands())
    await service.client.put("/scheduling/resources", json=resources(timezone="Pacific/Auckland"))
    await service.tick()
    days = [(await got(service, f"schools/{SCHOOL}/days/{day}"))["on"] for day in ("today", "tomorrow")]
    assert days == [WEDNESDAY.isoformat(), "2026-11-26"]
    for day in ("0001-01-01", "9999-12-31"):
        for what in ("unserved", "changes"):
            answer = await service.client.get(f"/scheduling/schools/{SCHOOL}/days/{day}/{what}")
            assert (answer.status_code, answer.json()["detail"][:24]) == (404, "there is no plan of " + day[:4]), "nobody is unserved there"


async def test_demands_that_are_taken_together_are_said_to_follow_the_oldest(service: Any) -> None:
    await planned(service)
    heard = []
    for number in (9, 2, 5):
        service.context.clock.advance(timedelta(milliseconds=100))
        heard.append(demands(2, [number])[0])
        await service.hear(heard[-1])
    await service.tick()
    taken = await _latest(service, "scheduling.day-demanded.v1")
    assert [one["learner_id"] for one in taken["data"]["demands"]] == [str(learner(number)) for number in (9, 2, 5)]
    assert taken["correlationid"] == str(heard[0].correlation)


async def test_a_day_is_read_once_until_it_changes_and_with_what_it_was_planned_with(service: Any) -> None:
    await planned(service)
    queries = Queries(service.context.pool)

    async def seen() -> Any:
        return await queries.seen(SCHOOL, WEDNESDAY)

    first, second = await asyncio.gather(seen(), seen())
    assert first is second is await seen()
    await service.hear(*demands(2, [3]))
    await service.tick()
    changed = await seen()
    assert changed.version > first.version
    assert changed.day.demands[learner(3)].version == 2
    await service.client.put("/scheduling/resources", json=resources(rules=RULES[:1]))
    assert (await seen()).day.school.rules == RULES, "shown with what it was planned with"
    await service.tick()
    assert (await seen()).day.school.rules == RULES[:1]


async def test_learners_beyond_those_of_a_full_day_are_named_and_hold_up_nobody(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_LEARNERS", FULL)
    service.context.clock.advance(timedelta(hours=5))  # After school: only tomorrow is planned.
    beyond = [FULL + more for more in range(3)]
    body = {"schools": [made_school(1, FULL, 2, 40).model_dump(mode="json", exclude_defaults=True)]}
    assert (await service.client.put("/scheduling/resources", json=body)).status_code == 200
    await service.hear(*rostered(60), *demands(1, range(FULL)))
    service.context.clock.advance(timedelta(seconds=1))
    await service.hear(*demands(1, beyond))
    assert await service.tick() > 0
    day = await got(service, f"schools/{SCHOOL}/days/tomorrow")
    assert (day["learners"] + day["unserved"] >= FULL, day["left_out"]) == (True, 3)
    out = [one for one in await everything(service, f"schools/{SCHOOL}/days/tomorrow/unserved", limit=500) if one["lacking"] == "day"]
    assert out == [OF_THE_DAY | {"learner_id": str(learner(number)), "lacking": "day"} for number in beyond]
    answer = await service.client.get(f"/scheduling/learners/{learner(beyond[0])}/days/tomorrow")
    assert (answer.status_code, "the day is full" in answer.json()["detail"]) == (404, True)
    assert await unsettled(service) == {}, "who has no room is owed nothing"
    await service.hear(*demands(2, [beyond[0], 7, beyond[1]]))
    assert (await unsettled(service)).keys() == {(SCHOOL, WEDNESDAY)}
    await service.tick()
    assert await unsettled(service) == {}
    assert (await got(service, f"learners/{learner(7)}/days/tomorrow"))["demand_version"] == 2
    assert (await got(service, f"schools/{SCHOOL}/days/tomorrow"))["left_out"] == 3
    assert await service.tick() == 0


async def unsettled(service: Any) -> Any:
    """What the audit says is to be planned yet."""
    async with service.context.pool.connection() as connection:
        return await settling._dirty(connection)


async def look(service: Any, looks: Looks | None = None, now: datetime = BEFORE_SCHOOL) -> list[Sought]:
    """What a look finds to be searched; by default one that remembers nothing."""
    async with service.context.pool.connection() as connection:
        return await (looks or fresh()).due(connection, await service.ledger.parameters(), now)


def fresh() -> Looks:
    return Looks(Origin(str(UUID(int=8)), str(UUID(int=9))))


def brought(sought: Sought, answer: Ask | None = None) -> list[Ask]:
    """What is asked in one transaction when a search is over."""
    return [*sought.before, answer or solve(sought.value)]


async def test_a_plan_that_comes_too_late_is_refused_and_the_day_repairs_itself_inside(service: Any) -> None:
    await planned(service)
    await service.hear(*demands(2, [1]))
    first, second = (await look(service))[0], (await look(service))[0]
    await service.hear(*demands(2, [2]))
    third = (await look(service))[0]
    assert [answer.refusal for answer in await service.ledger.handle(brought(first))] == [None, None]
    for late in (second, third):  # Another process was faster: what it took is not taken again, and this plan did not know it.
        answer = (await service.ledger.handle(brought(late)))[-1]
        assert answer.refusal is not None
        assert answer.refusal.code == "stale"
    repaired = (await service.ledger.handle(brought(third, inside(third.value))))[-1]
    assert repaired.events[0].data.inside
    assert learner(2) in {one.data.learner_id for one in repaired.events[1:]}


async def test_a_day_takes_what_is_new_and_is_planned_with_it_in_one_transaction(service: Any) -> None:
    await planned(service)
    await service.hear(*demands(2, [1]))
    looks = fresh()
    ((today,), (tomorrow,)) = await look(service, looks), await look(service, looks)  # The days of a school in turn.
    assert [today.value.on, tomorrow.value.on] == [TUESDAY, WEDNESDAY]
    await service.hear(*demands(2, [2]))  # Comes while the search is under way: it is not for this window.
    for sought in (today, tomorrow):
        taken, adopted = await service.ledger.handle(brought(sought))
        assert [demand.learner_id for demand in taken.events[0].data.demands] == [learner(1)]
        assert adopted.refusal is None
        assert adopted.events[0].data.base_version == taken.events[0].version
        assert adopted.events[0].causation == taken.events[0].id
    for _ in range(2):
        ((command,),) = [sought.before for sought in await look(service, looks)]
        assert [one.learner_id for one in command.command.demands] == [learner(2)]


async def test_no_answer_comes_too_late_while_demands_keep_coming(service: Any) -> None:
    await planned(service)
    search = PARTS.ticks(service.context)[0]
    answers: list[Any] = []
    service.ledger.on_commit.append(lambda events: answers.extend(event.data for event in events if isinstance(event.data, PlanAdopted)))
    await service.ticker.start(service.settings.database())
    try:
        for version in range(2, 12):
            await service.hear(*demands(version, [version % 5]))
            await asyncio.sleep(search.window_ms / 1000 / 4)
    finally:
        await service.ticker.stop()
    await service.tick()
    assert len(answers) >= 4
    assert {(answer.status, answer.inside) for answer in answers} == {(Status.REPAIRED, False)}
    asked = [one["data"] for one in await changes_of_days(service, "scheduling.day-demanded.v1")]
    assert {(one["on"], demand["learner_id"], demand["version"]) for one in asked for demand in one["demands"]} >= {
        (str(on), str(learner(1)), 11) for on in (TUESDAY, WEDNESDAY)
    }


async def changes_of_days(service: Any, kind: str) -> list[Any]:
    async with service.context.pool.connection() as connection:
        rows = await (await connection.execute("SELECT bytes FROM event WHERE type = %s ORDER BY partition, position", [kind])).fetchall()
    return [orjson.loads(bytes(row[0])) for row in rows]


async def test_where_nothing_is_new_a_look_reads_no_day(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    looks, read = fresh(), list[date]()
    seek = looks._sought

    async def counted(connection: Any, one: Any, resources: str) -> Sought | None:
        read.append(one.on)
        return await seek(connection, one, resources)

    monkeypatch.setattr(looks, "_sought", counted)
    await planned(service)
    for _ in range(3):
        assert await look(service, looks) == []
    assert read == [TUESDAY, WEDNESDAY]
    await service.hear(*demands(2, [1]))
    assert [sought.value.on for _ in range(2) for sought in await look(service, looks)] == [TUESDAY, WEDNESDAY]
    assert read == [TUESDAY, WEDNESDAY] * 2
    await service.tick()
    for _ in range(3):
        assert await look(service, looks) == []
    assert read == [TUESDAY, WEDNESDAY] * 3
    await service.client.put("/scheduling/resources", json=resources(closed=(WEDNESDAY,)))
    assert {sought.value.on for _ in range(2) for sought in await look(service, looks)} == {date(2026, 11, 26)}


async def test_the_state_of_a_day_that_is_long_over_goes_and_is_folded_again_when_asked(service: Any) -> None:
    await planned(service)
    await service.hear(*demands(2, [1]))
    await service.tick()
    clock = service.context.clock
    stream = f"scheduling/day/{SCHOOL}/{TUESDAY}"
    before = await service.ledger.state(stream)
    clock.advance(timedelta(days=14))
    await service.tick()
    assert await kept_days(service) == {TUESDAY, WEDNESDAY, date(2026, 12, 8), date(2026, 12, 9)}
    clock.advance(timedelta(days=1))
    await service.tick()
    assert await kept_days(service) == {WEDNESDAY, date(2026, 12, 8), date(2026, 12, 9), date(2026, 12, 10)}
    assert await service.ledger.state(stream) == before
    assert (await got(service, f"schools/{SCHOOL}/days/{TUESDAY}"))["learners"] == COUNT
    async with running(PARTS, SimpleNamespace(app_url=service.settings.database()), clock=clock) as anew:  # Nothing cached.
        late = TakeDemands(SCHOOL, TUESDAY, TUESDAY, (made_demand(1, 1, 3, competencies=6),))
        (answer,) = await anew.ledger.handle([Ask(late, Origin(str(UUID(int=8)), str(UUID(int=9))))])
        assert [event.version for event in answer.events] == [before[0] + 1]
    assert TUESDAY in await kept_days(service)


async def kept_days(service: Any) -> set[date]:
    async with service.context.pool.connection() as connection:
        rows = await (await connection.execute("SELECT id FROM stream WHERE id LIKE 'scheduling/day/%%' AND state <> ''")).fetchall()
    return {date.fromisoformat(row[0].rsplit("/", 1)[1]) for row in rows}


async def test_days_are_searched_in_turn_where_there_are_many(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(due, "MAX_SEARCHES", 3)
    schools = [UUID(int=700 + number) for number in range(4)]
    places = [made_school(1, 6, 2, 3).model_copy(update={"school_id": school, "staff": staff(4)}) for school in schools]
    told = {"schools": [place.model_dump(mode="json", exclude_defaults=True) for place in places]}
    assert (await service.client.put("/scheduling/resources", json=told)).status_code == 200
    for number, school in enumerate(schools):
        await service.hear(*(demanded(made_demand(1, 10 * number + each, competencies=6), school) for each in range(6)))
    looks = fresh()
    turns = [[sought.stream for sought in await look(service, looks)] for _ in range(8)]  # Nobody brings anything in: all stay due.
    seen = [stream for turn in turns for stream in turn]
    assert all(len(turn) == 3 for turn in turns)
    assert len(set(seen[:8])) == 8
    assert seen[:8] == seen[8:16] == seen[16:]


async def test_a_look_reads_so_many_days_and_the_next_one_goes_on(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await planned(service)
    others = [made_school(1, 6, 2, 3).model_copy(update={"school_id": UUID(int=number)}) for number in range(1, 6)]  # Nobody is there.
    told = {"schools": [*resources()["schools"], *(place.model_dump(mode="json", exclude_defaults=True) for place in others)]}
    assert (await service.client.put("/scheduling/resources", json=told)).status_code == 200
    await service.hear(*demands(2, [3]))
    monkeypatch.setattr(due, "MAX_LOOKED_AT", 4)
    looks, read = fresh(), list[tuple[UUID, date]]()
    seek = looks._sought

    async def counted(connection: Any, one: Any, resources: str) -> Sought | None:
        read.append(one.place)
        return await seek(connection, one, resources)

    monkeypatch.setattr(looks, "_sought", counted)
    found = [[sought.value.on for sought in await look(service, looks)] for _ in range(3)]
    assert (len(read), len(set(read))) == (12, 12)
    assert sorted(on for each in found for on in each) == [TUESDAY, WEDNESDAY]


async def test_of_a_set_only_the_pages_that_name_the_school_are_read(service: Any) -> None:
    await planned(service)
    async with service.context.pool.connection() as connection:
        ((pages,),) = await (await connection.execute("SELECT pages FROM parameter_set WHERE kind = 'resources'")).fetchall()
        await connection.execute("INSERT INTO parameter_page VALUES ('0', 'no JSON at all')")
        await connection.execute("INSERT INTO parameter_set VALUES ('1', 'resources', %s)", [["0", *pages]])
        told = await due._entry(connection, made_school(1, 1), "1")
        assert told is not None
        assert told.model_dump(mode="json", exclude_defaults=True) == resources()["schools"][0]
        assert await due._entry(connection, made_school(1, 1).model_copy(update={"school_id": UUID(int=9)}), "1") is None


BAD_QUESTIONS = [
    (f"learners/{UUID(int=5)}/days/today", 404),
    (f"schools/{UUID(int=5)}/days/today", 404),
    (f"schools/{SCHOOL}/days/yesterday", 422),
    (f"schools/{SCHOOL}/days/2026-01-05", 404),
    (f"schools/{SCHOOL}/days/tomorrow/changes?after=nonsense", 422),
    (f"schools/{SCHOOL}/days/tomorrow/unserved?limit=0", 422),
    ("schools/nobody/days/today", 422),
]


async def test_bad_questions_are_answered_with_a_problem(service: Any) -> None:
    await planned(service)
    for address, status in BAD_QUESTIONS:
        response = await service.client.get(f"/scheduling/{address}")
        assert response.status_code == status, address
        assert response.headers["content-type"] == "application/problem+json"


async def test_subjects_without_a_need_are_spent_on_others(service: Any) -> None:
    await service.hear(*rostered(8))
    await service.hear(*(demanded(made_demand(1, number, subjects=SUBJECTS[:1], competencies=6)) for number in range(8)))
    await service.client.put("/scheduling/resources", json=resources())
    await service.tick()
    view = await got(service, f"learners/{learner(1)}/days/tomorrow")
    assert all(one["served"] and (one["competency_id"] or one["use"] == "check-in") for one in view["periods"])
