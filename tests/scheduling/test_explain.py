"""Why she is where she is: each obstacle that can stand against a better option is found and named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from services.scheduling.explain import Obstacle, SchoolDay, refused
from services.scheduling.grouping import Problem, plan
from shared.contracts.profile import Modality
from shared.contracts.scheduling import Demand, Placement, SchoolResources, Use
from tests.scheduling.school import RULES, SCHOOL, applied, learner, made_demands, made_school, periods, spaces, staff

ADULT, OTHER = staff(2)


def need(competency: str, *modalities: Modality, chosen: str = "") -> dict[str, Any]:
    options = [{"activity_id": f"{competency}-{one}", "modality": one, "minutes": 20, "score": 1} for one in modalities]
    return {"competency_id": competency, "subject": "mathematics", "reason": "goal", "options": options, "chosen": chosen}


def wants(number: int, *needs: dict[str, Any]) -> Demand:
    return Demand.model_validate({"learner_id": learner(number), "version": 1, "needs": needs})


def at(competency: str, modality: Modality, use: Use, period: str = "p0", zone: str = "z0", staff_id: UUID = ADULT.staff_id) -> Placement:
    return Placement(
        period_id=period, space_id="s00", zone_id=zone, staff_id=staff_id, use=use, competency_id=competency, modality=modality,
        activity_id=f"{competency}-{modality}",
    )  # fmt: skip


def day(demands: list[Demand], days: dict[int, list[Placement]], seats: tuple[int, ...] = (9, 9), adults: int = 2) -> SchoolDay:
    school = SchoolResources(school_id=SCHOOL, spaces=spaces([seats]), periods=periods(2, ("mathematics",)), rules=RULES)
    return SchoolDay(
        school, staff(adults), {one.learner_id: one for one in demands}, {learner(number): told for number, told in days.items()}
    )


def obstacles(told: SchoolDay, number: int = 0, period: int = 0) -> list[Obstacle]:
    return [one.obstacle for one in refused(told, learner(number), told.school.periods[period])]


SMALL, VIDEO = Modality.SMALL_GROUP, Modality.VIDEO
ALONE = at("a", VIDEO, Use.INDEPENDENT)
MINE = need("a", SMALL, VIDEO)


def test_what_she_wanted_most_leaves_nothing_to_explain() -> None:
    assert obstacles(day([wants(0, need("a", VIDEO, SMALL))], {0: [ALONE]})) == []


def test_a_group_that_too_few_could_use() -> None:
    told = day([wants(0, MINE)], {0: [ALONE]})
    assert obstacles(told) == [Obstacle.TOO_FEW]
    assert refused(told, learner(0), told.school.periods[0])[0].detail == "1 of the school could use it, a group needs 2"


def test_a_group_that_is_full() -> None:
    others = {number: [at("a", SMALL, Use.GROUP, zone="z1", staff_id=OTHER.staff_id)] for number in range(1, 7)}
    assert obstacles(day([wants(number, MINE) for number in range(7)], {0: [ALONE], **others})) == [Obstacle.FULL]
    del others[6]
    assert obstacles(day([wants(number, MINE) for number in range(7)], {0: [ALONE], **others})) == [Obstacle.PLAN_STAYS]


def test_no_adult_or_no_zone_was_left() -> None:
    both = [wants(0, MINE), wants(1, MINE)]
    placed = {0: [ALONE], 1: [ALONE]}
    assert obstacles(day(both, placed, adults=1)) == [Obstacle.NO_ADULT]


def test_a_group_that_nobody_may_lead_who_is_free() -> None:
    both = [wants(0, MINE), wants(1, MINE)]
    placed = {0: [ALONE], 1: [ALONE]}
    told = day(both, placed)  # The adult who is free teaches reading.
    assert obstacles(told) == [Obstacle.ROOM_FOR_ALL]
    rules = tuple(rule.model_copy(update={"qualified": True}) for rule in RULES)
    strict = replace(told, school=told.school.model_copy(update={"rules": rules}))
    assert obstacles(strict) == [Obstacle.NO_ADULT]
    assert refused(strict, learner(0), strict.school.periods[0])[0].detail == "every adult who teaches mathematics is busy"
    assert obstacles(day(both, placed, seats=(9,))) == [Obstacle.NO_ZONE]
    assert obstacles(day(both, placed)) == [Obstacle.ROOM_FOR_ALL]


def test_a_need_of_another_period() -> None:
    told = day([wants(0, need("b", VIDEO), need("a", VIDEO))], {0: [ALONE, at("b", VIDEO, Use.INDEPENDENT, "p1")]})
    assert obstacles(told) == [Obstacle.OTHER_PERIOD]
    assert obstacles(told, period=1) == []


def test_time_with_an_adult_comes_before_working_alone() -> None:
    assert obstacles(day([wants(0, need("a", VIDEO, SMALL))], {0: [at("a", SMALL, Use.GROUP)]})) == [Obstacle.ADULT_TIME]


def test_a_talk_and_a_lack_of_seats_are_named() -> None:
    demand = wants(0, need("a", VIDEO, SMALL))
    talk = Placement(period_id="p0", space_id="s00", zone_id="z0", staff_id=ADULT.staff_id, use=Use.CHECK_IN)
    assert obstacles(day([demand], {0: [talk]})) == [Obstacle.CHECK_IN] * 2
    assert obstacles(day([demand], {0: [Placement(period_id="p0")]}))[0] is Obstacle.NO_SEAT


def test_her_choice_is_her_first_option() -> None:
    chosen = need("a", SMALL, VIDEO, chosen=f"a-{VIDEO}")
    assert obstacles(day([wants(0, chosen)], {0: [ALONE]})) == []


def test_every_option_before_the_one_given_is_explained() -> None:
    school = made_school(8, 60, 4, 8)
    problem = Problem(school, staff(10), made_demands(8, 50, competencies=8), {})
    days = applied(problem, plan(problem))
    told = SchoolDay(school, problem.staff, problem.demands, days)
    for who, placements in days.items():
        for period, given in zip(school.periods, placements, strict=True):
            ranked = [
                option.activity_id
                for one in problem.demands[who].needs if one.subject == period.subject
                for option in sorted(one.options, key=lambda option: option.activity_id != one.chosen)
            ]  # fmt: skip
            before = ranked[: ranked.index(given.activity_id)] if given.activity_id in ranked else ranked
            assert [one.activity_id for one in refused(told, who, period)] == before
