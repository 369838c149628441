"""Talks that are left out for lessons, on a real database over real HTTP: who lacks one, why, and when the last one was."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from shared.contracts.profile import Modality
from shared.contracts.scheduling import Demand
from tests.scheduling.school import SCHOOL, SUBJECTS, TUESDAY, WEDNESDAY, learner, periods
from tests.scheduling.test_explain import need, wants
from tests.scheduling.test_http import demanded, everything, got, resources, rostered, service

__all__ = ["service"]
COUNT = 8
BEHIND = 3


def demand(number: int, version: int, asked: bool = True) -> Demand:
    reading = need("r", Modality.VIDEO) | {"subject": "reading"}
    return wants(number, need("a", Modality.VIDEO), reading).model_copy(update={"version": version, "check_in": asked})


async def told(service: Any, version: int, asked: int) -> None:
    """Tell everybody's demand, of whom so many are behind, and plan the days."""
    await service.hear(*(demanded(demand(number, version, number < asked)) for number in range(COUNT)))
    await service.tick()


async def lacking(service: Any, on: date) -> list[tuple[str, str, str]]:
    found = await everything(service, f"schools/{SCHOOL}/days/{on}/unserved")
    return [(one["learner_id"], one["why"], one["last_talk"]) for one in found if one["lacking"] == "check-in"]


async def prepared(service: Any) -> None:
    await service.hear(*rostered(6))
    answer = await service.client.put("/scheduling/resources", json=resources(periods=periods(2, SUBJECTS)))
    assert answer.status_code == 200


async def test_a_talk_that_is_left_out_for_lessons_says_so_and_names_the_last_one(service: Any) -> None:
    await prepared(service)
    await told(service, 1, BEHIND)
    why = (
        "left out for her lessons: each of her periods on this day is her only lesson of a subject, which a talk takes once in 5 school "
        f"days; the last one was on {TUESDAY}"
    )
    left_out = [(str(learner(number)), why, str(TUESDAY)) for number in range(BEHIND)]
    assert (await lacking(service, TUESDAY), await lacking(service, WEDNESDAY)) == ([], left_out)
    days = [await got(service, f"learners/{learner(0)}/days/{on}") for on in (TUESDAY, WEDNESDAY)]
    assert [(day["check_in"], day["no_talk"], day["last_talk"]) for day in days] == [(True, "", None), (True, why, str(TUESDAY))]
    assert (await got(service, f"learners/{learner(5)}/days/{WEDNESDAY}"))["no_talk"] == ""
    await service.hear(demanded(demand(0, 2)))
    await service.tick()
    assert await lacking(service, WEDNESDAY) == left_out, "a repair does not bring it in"
    service.context.clock.advance(timedelta(days=6))
    await service.tick()
    assert [who for who, *_ in await lacking(service, TUESDAY + timedelta(days=6))] == [who for who, *_ in left_out]
    assert await lacking(service, TUESDAY + timedelta(days=7)) == []


async def test_where_most_demands_are_new_the_days_before_are_known(service: Any) -> None:
    await prepared(service)
    await told(service, 1, 0)
    await told(service, 2, BEHIND)
    assert await lacking(service, TUESDAY) == []
    assert [last for *_, last in await lacking(service, WEDNESDAY)] == [str(TUESDAY)] * BEHIND
