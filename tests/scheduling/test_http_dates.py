"""One date of one school over HTTP: said by itself, with nothing of others lost, and planned by the next look."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import orjson
import pytest

from services.scheduling.queries import Looks
from shared.contracts.envelope import Origin
from tests.scheduling.school import SCHOOL, TUESDAY, WEDNESDAY, learner, made_demand, staff
from tests.scheduling.test_http import demanded, everything, got, planned, resources, service

__all__ = ["service"]
DATE = f"/scheduling/schools/{SCHOOL}/days/{WEDNESDAY}/resources"
TODAY = f"/scheduling/schools/{SCHOOL}/days/{TUESDAY}/resources"
SCHOOLS, MINE = "/scheduling/resources", f"/scheduling/schools/{SCHOOL}/resources"
"""Where a school's resources are sent as a whole, with those of all schools or by themselves."""


async def put(service: Any, address: str = DATE, **told: Any) -> Any:
    answer = await service.client.put(address, json=told)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def refused(service: Any, address: str = DATE, **told: Any) -> tuple[int, str, str]:
    answer = await service.client.put(address, json=told)
    fault = answer.json()["errors"][0]
    return answer.status_code, fault["code"], fault["detail"]


async def put_whole(service: Any, address: str, school: Any, **query: Any) -> Any:
    return await service.client.put(address, json=school if address == MINE else {"schools": [school]}, params=query)


async def sent_whole(service: Any, address: str, school: Any) -> tuple[int, str]:
    """Send a school's resources and return the status and, where it is refused, the code."""
    answer = await put_whole(service, address, school)
    return answer.status_code, answer.json()["errors"][0]["code"] if answer.status_code >= 400 else ""


async def plans(service: Any) -> dict[Any, int]:
    statement = "SELECT day, version FROM day_plan WHERE school_id = %s"
    async with service.context.pool.connection() as connection:
        return dict(await (await connection.execute(statement, [SCHOOL])).fetchall())


async def test_tomorrows_half_day_leaves_today_alone(service: Any) -> None:
    await planned(service)
    before = await plans(service)
    usual = (await got(service, f"schools/{SCHOOL}/days/{WEDNESDAY}/resources"))["usual_periods"]
    told = await put(service, periods=usual[:2], reason="half-day")
    await service.tick()
    after = await plans(service)
    assert after[TUESDAY] == before[TUESDAY]
    tomorrow, today = [await got(service, f"learners/{learner(3)}/days/{day}") for day in ("tomorrow", "today")]
    assert [one["period_id"] for one in tomorrow["periods"]] == ["p0", "p1"]
    assert [one["period_id"] for one in today["periods"]] == ["p0", "p1", "p2", "p3"]
    assert (await got(service, f"schools/{SCHOOL}/days/tomorrow"))["unserved"] == 0
    seen = await got(service, f"schools/{SCHOOL}/days/{WEDNESDAY}/resources")
    assert (seen["base"], seen["day"]["reason"], len(seen["day"]["periods"])) == (told["base"], "half-day", 2)
    assert await look(service) == []
    await put(service, base=told["base"])
    await service.tick()
    assert len((await got(service, f"learners/{learner(3)}/days/tomorrow"))["periods"]) == 4
    assert (await got(service, f"schools/{SCHOOL}/days/{WEDNESDAY}/resources"))["base"] == ""


async def look(service: Any) -> list[Any]:
    """The days that a look finds which remembers nothing."""
    looks = Looks(Origin(str(UUID(int=8)), str(UUID(int=9))))
    async with service.context.pool.connection() as connection:
        found = await looks.due(connection, await service.ledger.parameters(), service.context.clock.now())
    return [sought.value.on for sought in found]


async def test_an_adult_who_is_absent_and_a_space_that_is_closed_on_a_date(service: Any) -> None:
    await planned(service)
    sessions = await everything(service, f"schools/{SCHOOL}/days/tomorrow", "sessions")
    ill, space = sessions[0]["staff_id"], sessions[-1]["space_id"]
    substitute = UUID(int=5)
    told = await put(service, absent=[ill], closed_spaces=[space], staff=[{"staff_id": str(substitute), "subjects": ["Reading"]}])
    assert told["events"] > 0
    await service.tick()
    day = await got(service, f"schools/{SCHOOL}/days/tomorrow")
    assert (day["status"], day["unserved"]) == ("repaired", 0)
    after = await everything(service, f"schools/{SCHOOL}/days/tomorrow", "sessions")
    assert not [one for one in after if one["staff_id"] == ill or one["space_id"] == space]
    today = await everything(service, f"schools/{SCHOOL}/days/today", "sessions")
    assert {ill, space} <= {one["staff_id"] for one in today} | {one["space_id"] for one in today}
    assert (await put(service, absent=[ill], closed_spaces=[space], staff=[{"staff_id": str(substitute), "subjects": ["reading"]}]))[
        "events"
    ] == 0


async def test_what_passed_in_a_space_that_is_closed_at_noon_keeps_its_title(service: Any) -> None:
    await planned(service)
    service.context.clock.advance(timedelta(hours=2))  # 09:00: two of four periods have begun.
    (first, *_) = await everything(service, f"schools/{SCHOOL}/days/today", "sessions")
    await put(service, TODAY, closed_spaces=[first["space_id"]])
    await service.tick()
    after = await everything(service, f"schools/{SCHOOL}/days/today", "sessions")
    there = {one["period_id"]: one["space"] for one in after if one["space_id"] == first["space_id"]}
    assert there == {"p0": first["space"], "p1": first["space"]}
    assert first["space"]


async def test_periods_of_today_that_have_begun_stay(service: Any) -> None:
    await planned(service)
    service.context.clock.advance(timedelta(hours=2))
    before = await got(service, f"learners/{learner(3)}/days/today")
    usual = (await got(service, f"schools/{SCHOOL}/days/{TUESDAY}/resources"))["usual_periods"]
    assert (await refused(service, TODAY, periods=usual[2:]))[:2] == (409, "begun")
    await put(service, TODAY, periods=usual[:3])
    await service.tick()
    after = await got(service, f"learners/{learner(3)}/days/today")
    assert (after["periods"][:2], len(after["periods"])) == (before["periods"][:2], 3)


async def test_a_closed_date_is_left_out_and_stays_known_when_it_is_over(service: Any) -> None:
    await planned(service)
    told = await put(service, closed=True, reason="snow")
    await service.tick()
    assert (await got(service, f"schools/{SCHOOL}/days/tomorrow"))["on"] == "2026-11-26"
    seen = await got(service, f"schools/{SCHOOL}/days/{WEDNESDAY}")
    assert (seen["closed"], seen["next_school_day"]) == (True, "2026-11-26")
    assert (await got(service, f"schools/{SCHOOL}/days/{WEDNESDAY}/resources"))["school_day"] is False
    service.context.clock.advance(timedelta(days=2))
    assert (await refused(service, base=told["base"]))[:2] == (409, "over")
    await put(service, f"/scheduling/schools/{SCHOOL}/days/2026-11-30/resources", reason="fair")
    assert (await got(service, f"schools/{SCHOOL}/days/{WEDNESDAY}"))["closed"] is True


async def test_two_who_change_dates_of_a_school_at_once_lose_nothing(service: Any) -> None:
    await planned(service)
    days = [WEDNESDAY + timedelta(days=ahead) for ahead in range(8)]
    asked = [service.client.put(f"/scheduling/schools/{SCHOOL}/days/{day}/resources", json={"reason": f"r{day.day}"}) for day in days]
    other = resources(school_id=UUID(int=5))["schools"][0]
    asked.append(service.client.put(f"/scheduling/schools/{UUID(int=5)}/resources", json=other))
    assert {answer.status_code for answer in await asyncio.gather(*asked)} == {200}
    (theirs, mine) = await everything(service, "resources")
    assert theirs["school_id"] == str(UUID(int=5))
    assert [(one["on"], one["reason"]) for one in mine["days"]] == [(day.isoformat(), f"r{day.day}") for day in days]
    base = (await got(service, f"schools/{SCHOOL}/days/{WEDNESDAY}/resources"))["base"]
    first = await put(service, absent=[str(UUID(int=1))], base=base)
    status, code, detail = await refused(service, absent=[str(UUID(int=2))], base=base)
    assert (status, code, "look at it with GET" in detail) == (409, "changed", True)
    both = await put(service, absent=[str(UUID(int=1)), str(UUID(int=2))], base=first["base"])
    assert both["notes"][0]["unknown_staff"] == [str(UUID(int=1)), str(UUID(int=2))]


async def test_what_is_told_of_one_school_is_stored_without_the_others(service: Any) -> None:
    async def pages() -> list[Any]:
        async with service.context.pool.connection() as connection:
            return [orjson.loads(row[0]) for row in await (await connection.execute("SELECT data FROM parameter_page")).fetchall()]

    await planned(service)
    school = resources()["schools"][0]
    others = [school | {"school_id": str(UUID(int=number))} for number in (9, 5)]
    assert (await service.client.put("/scheduling/resources", json={"schools": [*others, school]})).json()["events"] == 3
    assert (await service.client.put("/scheduling/resources", json={"schools": [school, *others]})).json()["events"] == 0, "in any order"
    before = await pages()
    assert (await put(service, closed=True))["events"] == 2
    (added,) = [page for page in await pages() if page not in before]
    assert [(one["school_id"], [day["on"] for day in one["days"]]) for one in added] == [(str(SCHOOL), [WEDNESDAY.isoformat()])]


async def test_resources_that_tell_of_no_dates_leave_those_that_are_told(service: Any) -> None:
    await planned(service)
    await put(service, closed=True)
    whole = await service.client.put("/scheduling/resources", json=resources())
    assert (whole.status_code, whole.json()["events"]) == (200, 0)
    mine = resources()["schools"][0]
    address = f"/scheduling/schools/{SCHOOL}/resources"
    assert (await service.client.put(address, json=mine)).json()["events"] == 0
    over = {"on": "2026-11-23", "reason": "fair"}
    fair = mine | {"days": [over, {"on": "2026-11-27", "reason": "fair"}]}
    base = (await service.client.put(address, json=fair, params={"dry_run": True})).json()["base"]
    answer = (await service.client.put(address, json=fair, params={"base": base})).json()
    assert answer["notes"] == [{"school_id": str(SCHOOL), "unknown_subjects": [], "past_days": ["2026-11-23"], "unknown_staff": []}]
    (stored,) = await everything(service, "resources")
    assert [one["on"] for one in stored["days"]] == ["2026-11-27"]


@pytest.mark.parametrize("address", [SCHOOLS, MINE])
async def test_dates_that_somebody_told_meanwhile_are_not_lost(service: Any, address: str) -> None:
    async def sent(days: list[Any], **query: Any) -> Any:
        return await put_whole(service, address, resources()["schools"][0] | {"days": days}, **query)

    async def stored() -> Any:
        return {one["on"]: one["reason"] for one in (await everything(service, "resources"))[0]["days"]}

    await planned(service)
    fair, snow = {"on": "2026-11-27", "reason": "fair"}, {"on": WEDNESDAY.isoformat(), "reason": "snow"}
    assert (await sent([fair])).status_code == 200, "nothing was told before"
    await put(service, reason="snow")
    for asked in (await sent([fair]), await sent([fair], base="0" * 64), await sent([])):
        problem = asked.json()
        assert asked.status_code == 409, problem
        assert problem["errors"][0]["code"] == "changed"
        assert all(word in problem["detail"] for word in (WEDNESDAY.isoformat(), "dry_run=true", "Leave out `days`")), problem
    assert (await sent([fair, snow])).json()["events"] == 0
    looked = (await sent([fair], dry_run=True)).json()
    assert (looked["events"], looked["replaced"]) == (0, [{"school_id": str(SCHOOL), "days": [WEDNESDAY.isoformat()]}])
    assert await stored() == {"2026-11-27": "fair", WEDNESDAY.isoformat(): "snow"}, "a look stores nothing"
    other = (await got(service, f"schools/{SCHOOL}/days/{WEDNESDAY}/resources"))["base"]
    await put(service, reason="ice", base=other)
    assert (await sent([fair], base=looked["base"])).status_code == 409, "somebody told something since the look"
    base = (await sent([fair], dry_run=True)).json()["base"]
    for _ in range(2):
        assert (await sent([fair], base=base)).status_code == 200, "also when it is repeated"
    assert await stored() == {"2026-11-27": "fair"}


@pytest.mark.parametrize("address", [SCHOOLS, MINE])
async def test_resources_as_a_whole_leave_periods_of_today_that_have_begun(service: Any, address: str) -> None:
    sent = partial(sent_whole, service, address)
    await planned(service)
    service.context.clock.advance(timedelta(hours=2))  # 09:00: two of four periods have begun.
    usual = resources()["schools"][0]
    early = {"id": "extra", "starts": "08:46", "ends": "08:49"}
    other = usual | {"periods": usual["periods"][1:]}
    assert await sent(other) == (409, "begun")
    assert await sent(usual | {"periods": [usual["periods"][0], early, *usual["periods"][1:]]}) == (409, "begun")
    assert await sent(usual | {"days": [{"on": TUESDAY.isoformat(), "periods": usual["periods"][2:]}]}) == (409, "begun")
    assert await sent(usual | {"periods": usual["periods"][:3]}) == (200, "")
    assert await sent(other | {"days": [{"on": TUESDAY.isoformat(), "periods": usual["periods"]}]}) == (200, ""), "from tomorrow on"
    service.context.clock.advance(timedelta(hours=8))
    seen = usual | {"periods": usual["periods"][:1]}
    assert await sent(seen) == (200, ""), "when the day is over"


@pytest.mark.parametrize(("address", "root"), [(SCHOOLS, "/schools/0"), (MINE, "")])
async def test_dates_that_stay_are_held_against_what_is_sent(service: Any, address: str, root: str) -> None:
    async def sent(**more: Any) -> Any:
        return await put_whole(service, address, resources()["schools"][0] | more)

    await planned(service)
    space, adult = resources()["schools"][0]["spaces"][0]["id"], str(staff(1)[0].staff_id)
    told = await put(service, closed_spaces=[space], staff=[{"staff_id": adult, "away": ["p3"]}])
    usual = resources()["schools"][0]
    for more, place, named in (
        ({"spaces": usual["spaces"][1:]}, "closed_spaces/0", space), ({"periods": usual["periods"][:3]}, "staff/0/away", "p3"),
    ):  # fmt: skip
        answer = await sent(**more)
        assert answer.status_code == 422, answer.text
        (fault,) = answer.json()["errors"]
        assert (fault["place"], fault["code"]) == (f"{root}/days/{WEDNESDAY}/{place}", "unknown-reference")
        assert all(word in fault["detail"] for word in (WEDNESDAY.isoformat(), repr(named))), fault
        assert DATE in fault["remedy"]
    await put(service, base=told["base"])
    assert (await sent(spaces=usual["spaces"][1:], periods=usual["periods"][:3])).status_code == 200


async def test_what_is_told_of_a_date_wrongly_is_refused_with_its_place(service: Any) -> None:
    answer = await service.client.put(DATE, json={"closed": True})
    assert answer.status_code == 404
    await planned(service)
    for told, place in (
        ({"closed_spaces": ["s99"]}, "/closed_spaces/0"), ({"reason": "Mrs. Miller is ill"}, "/reason"),
        ({"staff": [{"staff_id": str(staff(1)[0].staff_id), "away": ["p9"]}]}, "/staff/0/away"), ({"periods": []}, "/periods"),
        ({"on": "2026-11-25"}, "/on"),
    ):  # fmt: skip
        answer = await service.client.put(DATE, json=told)
        assert (answer.status_code, answer.json()["errors"][0]["place"]) == (422, place), answer.text
    wrong = await service.client.put(f"/scheduling/schools/{SCHOOL}/days/tomorrow/resources", json={})
    assert (wrong.status_code, wrong.json()["errors"][0]["place"]) == (422, "path/date")


async def test_a_repair_of_a_date_counts_its_own_adults(service: Any) -> None:
    await planned(service)
    ill = str(staff(1)[0].staff_id)
    await put(service, absent=[ill])
    await service.tick()
    await service.hear(demanded(made_demand(9, 3, 2, competencies=6)))
    await service.tick()
    sessions = await everything(service, f"schools/{SCHOOL}/days/tomorrow", "sessions")
    assert ill not in {one["staff_id"] for one in sessions}
    assert (await got(service, f"learners/{learner(3)}/days/tomorrow"))["demand_version"] == 2
    assert ill in {one["staff_id"] for one in await everything(service, f"schools/{SCHOOL}/days/today", "sessions")}


async def test_a_day_without_any_adult_shows_who_has_no_place(service: Any) -> None:
    await planned(service)
    everybody = [str(adult.staff_id) for adult in staff(8)]
    told = await put(service, absent=everybody)
    await service.tick()
    day = await got(service, f"schools/{SCHOOL}/days/tomorrow")
    assert (day["sessions"]["items"], day["unserved"] > 0) == ([], True)
    views = [await got(service, f"learners/{learner(number)}/days/tomorrow") for number in range(3)]
    reasons = [one for view in views for period in view["periods"] for one in period["refused"]]
    assert {one["detail"] for one in reasons if one["obstacle"] == "no-adult"} == {"every adult is away in this period"}
    assert await look(service) == []
    await put(service, base=told["base"])
    await service.tick()
    assert (await got(service, f"schools/{SCHOOL}/days/tomorrow"))["unserved"] == 0


async def test_a_period_that_is_new_has_not_begun(service: Any) -> None:
    await planned(service)
    usual = (await got(service, f"schools/{SCHOOL}/days/{TUESDAY}/resources"))["usual_periods"]
    service.context.clock.advance(timedelta(hours=1, minutes=47))  # 08:47: the first period has begun, and ends at 08:45.
    early, late = ({"id": "extra", "starts": starts, "ends": "08:49", "subject": ""} for starts in ("08:46", "08:48"))
    assert (await refused(service, TODAY, periods=[usual[0], early, *usual[1:]]))[:2] == (409, "begun")
    assert (await put(service, TODAY, periods=[usual[0], late, *usual[1:]]))["events"] > 0
