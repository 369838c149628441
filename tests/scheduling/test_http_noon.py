"""A day that is under way or over: what had begun before somebody was planned, what was planned then, and what took place nowhere."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import orjson
import pytest

from shared.contracts.scheduling import Demand
from tests.scheduling.school import SCHOOL, TUESDAY, WEDNESDAY, learner, made_demand, staff
from tests.scheduling.test_http import COUNT, demanded, everything, got, look, planned, resources, rostered, service

__all__ = ["service"]
HAD_BEGUN = "no place was looked for: the period had begun when she came into the plan of this day"
TWO_HOURS = timedelta(hours=2)
"""To nine o'clock: two of four periods have begun."""
TODAY = f"schools/{SCHOOL}/days/today"
THURSDAY = date(2026, 11, 26)


def told(view: Any, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(one[name] for name in names) for one in view["periods"]]


async def before(service: Any, on: date) -> dict[str, tuple[int, int]]:
    """What a search of a day knows of the days before it: learner -> day of her last talk, and periods without a place."""
    (sought,) = [one for one in await look(service, now=service.context.clock.now()) if one.value.on == on]
    return {who: (talked, missed) for who, talked, missed in orjson.loads(sought.value.before)}


async def test_who_comes_at_noon_was_nowhere_before_and_nobody_failed_to_find_her_a_place(service: Any) -> None:
    await planned(service)
    late = learner(COUNT)
    service.context.clock.advance(TWO_HOURS)
    await service.hear(demanded(made_demand(1, COUNT, 1, competencies=6).model_copy(update={"check_in": False})))
    await service.tick()
    view = await got(service, f"learners/{late}/days/today")
    assert told(view, "served", "begun", "use")[:2] == [(False, True, None)] * 2
    assert {(one["why"], len(one["refused"])) for one in view["periods"][:2]} == {(HAD_BEGUN, 0)}
    assert told(view, "served", "begun")[2:] == [(True, False)] * 2
    assert (await got(service, TODAY))["unserved"] == 0
    assert str(late) not in {one["learner_id"] for one in await everything(service, f"{TODAY}/unserved")}
    await service.hear(demanded(made_demand(1, COUNT, 2, competencies=6)))  # A later plan leaves it so.
    await service.tick()
    assert told(await got(service, f"learners/{late}/days/today"), "begun") == [(True,), (True,), (False,), (False,)]
    service.context.clock.advance(timedelta(days=1))
    assert str(late) not in await before(service, THURSDAY)


async def test_a_day_that_is_first_planned_at_noon_missed_nobody(service: Any) -> None:
    service.context.clock.advance(TWO_HOURS)
    await planned(service)
    assert {one for number in range(COUNT) for one in told(await got(service, f"learners/{learner(number)}/days/today"), "begun")[:2]} == {
        (True,)
    }
    assert (await got(service, TODAY))["unserved"] == 0
    assert {one["lacking"] for one in await everything(service, f"{TODAY}/unserved")} <= {"check-in"}
    service.context.clock.advance(timedelta(days=1))
    assert {missed for _, missed in (await before(service, THURSDAY)).values()} <= {0}


async def test_who_left_and_comes_back_at_noon_was_looked_for_in_no_period_between(service: Any) -> None:
    await planned(service)
    who, one_hour = learner(3), timedelta(hours=1)
    whole = await got(service, f"learners/{who}/days/today")
    service.context.clock.advance(one_hour)
    await service.hear(demanded(Demand(learner_id=who, version=2)))
    await service.tick()
    gone = await got(service, f"learners/{who}/days/today")
    assert told(gone, "served", "use")[:1] == told(whole, "served", "use")[:1]
    assert told(gone, "served", "begun")[1:] == [(False, True)] * 3
    assert {one["why"] for one in gone["periods"][1:]} == {"she has left this school, so that no place is kept for her"}
    service.context.clock.advance(one_hour)
    await service.hear(demanded(made_demand(1, 3, 3, competencies=6)))
    await service.tick()
    back = await got(service, f"learners/{who}/days/today")
    assert told(back, "served", "begun")[1:] == [(False, True), (True, False), (True, False)]
    assert (back["periods"][1]["why"], back["periods"][1]["refused"]) == (HAD_BEGUN, [])
    assert (await got(service, TODAY))["unserved"] == 0
    service.context.clock.advance(timedelta(days=1))
    assert (await before(service, THURSDAY)).get(str(who), (0, 0))[1] == 0


async def test_what_was_done_before_a_path_changed_is_told_as_it_was(service: Any) -> None:
    await planned(service)
    shown = ("competency_id", "activity_id", "use")
    view = await got(service, f"learners/{learner(3)}/days/today")
    service.context.clock.advance(TWO_HOURS)
    await service.hear(demanded(Demand(learner_id=learner(3), version=2, path_empty=True)))
    await service.tick()
    after = await got(service, f"learners/{learner(3)}/days/today")
    assert told(after, *shown)[:2] == told(view, *shown)[:2]
    assert all(one["why"].startswith("as it was planned then") and not one["refused"] for one in after["periods"][:2])
    assert {one["why"] for one in after["periods"][2:]} == {"supervised; nothing is on her path"}
    service.context.clock.advance(timedelta(hours=1))
    await service.hear(demanded(made_demand(1, 3, 3, competencies=6)))
    await service.tick()
    *_, third, last = (await got(service, f"learners/{learner(3)}/days/today"))["periods"]
    assert (third["why"], third["refused"]) == ("supervised, as it was planned then; her path has other steps by now", [])
    assert last["competency_id"]


@pytest.mark.parametrize("closed", [(TUESDAY,), (WEDNESDAY,), (TUESDAY, WEDNESDAY)])
async def test_what_was_planned_for_a_day_that_was_then_closed_took_place_nowhere(service: Any, closed: tuple[date, ...]) -> None:
    """Of talks and of those without a place: there is room for 28, and one adult."""
    asking = [made_demand(1, number, 1, competencies=6).model_copy(update={"check_in": number < 8}) for number in range(COUNT)]
    await service.hear(*rostered(1), *map(demanded, asking))
    small = {"spaces": [{"id": "s", "title": "Small", "zones": [{"id": "z", "seats": 28}]}]}
    await service.client.put("/scheduling/resources", json={"schools": [resources()["schools"][0] | small]})
    await service.tick()
    days = {on: [await got(service, f"learners/{learner(number)}/days/{on}") for number in range(COUNT)] for on in (TUESDAY, WEDNESDAY)}
    assert all(any(not one["served"] for view in views for one in view["periods"]) for views in days.values())
    for on in closed:
        answer = await service.client.put(f"/scheduling/schools/{SCHOOL}/days/{on}/resources", json={"closed": True, "reason": "snow"})
        assert answer.status_code == 200
    service.context.clock.advance(timedelta(days=1))
    held = [on for on in days if on not in closed]
    missed = {
        view["learner_id"]: sum(not one["served"] for on in held for each in days[on] if each["learner_id"] == view["learner_id"]
                                for one in each["periods"])
        for view in days[TUESDAY]
    }  # fmt: skip
    assert {who: told[1] for who, told in (await before(service, THURSDAY)).items() if told[1]} == {
        who: count for who, count in missed.items() if count
    }


async def test_the_last_days_there_are_have_no_next_one(service: Any) -> None:
    body = resources(staff=staff(2), closed=(date(9999, 12, 30), date.max))
    assert (await service.client.put("/scheduling/resources", json=body)).status_code == 200
    for on in ("9999-12-29", "9999-12-30", "9999-12-31"):
        answer = await service.client.get(f"/scheduling/schools/{SCHOOL}/days/{on}")
        assert answer.status_code == 404, on
    assert answer.json()["detail"].endswith("no school day follows")
