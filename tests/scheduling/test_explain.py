"""Why she is where she is: each obstacle that can stand against a better option is found and named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from services.scheduling.explain import Obstacle, SchoolDay, outdated, refused
from services.scheduling.grouping import Problem, plan
from shared.contracts.profile import Modality
from shared.contracts.scheduling import DayResources, Demand, Placement, SchoolResources, StaffMember, Use
from tests.scheduling.school import RULES, SCHOOL, TUESDAY, applied, learner, made_demands, made_school, periods, spaces, staff

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


def strict(told: SchoolDay) -> SchoolDay:
    """Return the day where only who teaches a subject may lead a group in it."""
    rules = tuple(rule.model_copy(update={"qualified": True}) for rule in RULES)
    return replace(told, school=told.school.model_copy(update={"rules": rules}))


def away(adult: StaffMember) -> StaffMember:
    return adult.model_copy(update={"away": ("p0",)})


def absent(told: SchoolDay, *gone: StaffMember, staff: Sequence[StaffMember] | None = None) -> SchoolDay:
    """Return the day, with these on the roster and not to be had; and of the others these."""
    ids = {adult.staff_id for adult in gone}
    others = tuple(adult for adult in (told.staff if staff is None else staff) if adult.staff_id not in ids)
    dated = DayResources(on=TUESDAY, absent=tuple(sorted(ids)))
    return replace(told, school=told.school.model_copy(update={"days": (dated,)}), staff=others, roster=(*gone, *others))


def without_subject(demand: Demand) -> Demand:
    return demand.model_copy(update={"needs": tuple(need.model_copy(update={"subject": ""}) for need in demand.needs)})


def first_detail(told: SchoolDay) -> str:
    """Return what is said to stand against her first option."""
    return refused(told, learner(0), told.school.periods[0])[0].detail


def no_adult(told: SchoolDay) -> str:
    """Return the sentence about the adults, which is all that stands against her first option."""
    (only,) = refused(told, learner(0), told.school.periods[0])
    assert only.obstacle is Obstacle.NO_ADULT
    return only.detail


SMALL, LED, VIDEO = Modality.SMALL_GROUP, Modality.TEACHER_LED, Modality.VIDEO
ALONE = at("a", VIDEO, Use.INDEPENDENT)
SUPERVISED = at("a", VIDEO, Use.INDEPENDENT, staff_id=OTHER.staff_id)
MINE = need("a", SMALL, VIDEO)


def test_what_she_wanted_most_leaves_nothing_to_explain() -> None:
    assert obstacles(day([wants(0, need("a", VIDEO, SMALL))], {0: [ALONE]})) == []


def test_a_group_that_too_few_could_use() -> None:
    told = day([wants(0, MINE)], {0: [ALONE]})
    assert obstacles(told) == [Obstacle.TOO_FEW]
    assert (
        refused(told, learner(0), told.school.periods[0])[0].detail
        == "1 of the school would rather learn it so than alone, a group needs 2"
    )


def test_who_would_rather_work_alone_makes_no_group() -> None:
    others = [wants(number, need("a", VIDEO, SMALL)) for number in (1, 2, 3)]
    told = day([wants(0, MINE), *others], {0: [ALONE]})
    assert obstacles(told) == [Obstacle.TOO_FEW]
    chosen = day([wants(0, MINE), wants(1, need("a", VIDEO, SMALL, chosen=f"a-{SMALL}"))], {0: [ALONE]})
    assert obstacles(chosen) == [Obstacle.ROOM_FOR_ALL]
    waiting = day([wants(0, MINE), wants(1, {**MINE, "waits": True})], {0: [ALONE]})
    assert obstacles(waiting) == [Obstacle.TOO_FEW]


def test_a_need_that_waits_for_another_of_hers() -> None:
    told = day([wants(0, {**need("b", SMALL, VIDEO), "waits": True}, MINE)], {0: [ALONE]})
    assert obstacles(told) == [Obstacle.WAITS, Obstacle.WAITS, Obstacle.TOO_FEW]


def test_a_period_that_had_begun_when_she_was_planned_refused_her_nothing() -> None:
    assert obstacles(day([wants(0, MINE)], {0: [Placement(period_id="p0", begun=True)]})) == []
    assert obstacles(day([wants(0, MINE)], {0: [Placement(period_id="p0")]})) == [Obstacle.TOO_FEW, Obstacle.NO_SEAT]


TALK = Placement(period_id="p0", space_id="s00", zone_id="z0", staff_id=ADULT.staff_id, use=Use.CHECK_IN)
IDLE = Placement(period_id="p0", space_id="s00", zone_id="z0", staff_id=ADULT.staff_id, use=Use.INDEPENDENT)


@pytest.mark.parametrize("given", [ALONE, at("a", SMALL, Use.GROUP), TALK, IDLE])
def test_what_an_earlier_demand_led_to_is_told_as_it_was_planned_then(given: Placement) -> None:
    """She has mastered it since; who had nothing on her path has something; and nobody asks for the talk any more."""
    later = wants(0, need("b", SMALL, VIDEO), need("c", VIDEO))
    told = day([later], {0: [given]})
    assert outdated(told, later, given)
    assert obstacles(told) == []


@pytest.mark.parametrize("given", [at("a", SMALL, Use.GROUP), IDLE])
def test_what_the_demand_in_force_led_to_is_not_outdated(given: Placement) -> None:
    told = day([wants(0, need("a", SMALL, LED))], {0: [given]})
    assert not outdated(told, told.demands[learner(0)], given)


def test_a_group_that_is_full() -> None:
    others = {number: [at("a", SMALL, Use.GROUP, zone="z1", staff_id=OTHER.staff_id)] for number in range(1, 7)}
    assert obstacles(day([wants(number, MINE) for number in range(7)], {0: [ALONE], **others})) == [Obstacle.FULL]
    del others[6]
    free = day([wants(number, MINE) for number in range(7)], {0: [ALONE], **others})
    assert obstacles(free) == obstacles(replace(free, repaired=True)) == [Obstacle.PLAN_STAYS]
    assert first_detail(free) == "the group is planned without her, though it has a free seat"
    assert first_detail(replace(free, repaired=True)) == f"{first_detail(free)}; in a repair only those move who must"
    other = wants(0, MINE, need("b", SMALL))
    led = day([other, *(wants(number, MINE) for number in range(1, 7))], {0: [at("b", SMALL, Use.GROUP)], **others})
    assert obstacles(led) == [Obstacle.ADULT_TIME, Obstacle.ADULT_TIME]
    assert obstacles(replace(led, repaired=True)) == [Obstacle.PLAN_STAYS, Obstacle.ADULT_TIME]


def test_no_adult_or_no_zone_was_left() -> None:
    both = [wants(0, MINE), wants(1, MINE)]
    placed = {0: [ALONE], 1: [ALONE]}
    assert obstacles(day(both, placed, adults=1)) == [Obstacle.NO_ADULT]


def test_a_group_that_nobody_may_lead_who_is_free() -> None:
    both = [wants(0, MINE), wants(1, MINE)]
    placed = {0: [ALONE], 1: [ALONE]}
    told = day(both, placed)  # The adult who is free teaches reading.
    assert obstacles(told) == [Obstacle.ROOM_FOR_ALL]
    assert no_adult(strict(told)) == "every adult who teaches mathematics is with others"
    assert obstacles(day(both, placed, seats=(9,))) == [Obstacle.NO_ZONE]
    assert obstacles(day(both, placed)) == [Obstacle.ROOM_FOR_ALL]


def test_a_subject_that_nobody_of_the_school_teaches() -> None:
    told = strict(day([wants(0, MINE), wants(1, MINE)], {0: [ALONE], 1: [ALONE]}))
    assert no_adult(replace(told, staff=(OTHER,))) == "nobody at the school teaches mathematics"
    assert no_adult(replace(told, staff=())) == "nobody at the school teaches mathematics"


def test_a_subject_that_is_only_taught_by_who_is_away() -> None:
    told = strict(day([wants(0, MINE), wants(1, MINE)], {0: [SUPERVISED], 1: [SUPERVISED]}))
    assert obstacles(told) == [Obstacle.ROOM_FOR_ALL]
    assert no_adult(replace(told, staff=(away(ADULT), OTHER))) == "every adult who teaches mathematics is away in this period"
    assert no_adult(absent(told, ADULT)) == "every adult who teaches mathematics is away in this period"
    assert no_adult(absent(told, OTHER, staff=())) == "nobody at the school teaches mathematics", "who is absent teaches reading"


def test_a_subject_that_is_taught_by_who_is_away_or_busy() -> None:
    third = staff(1, 4)[0]
    told = strict(day([wants(0, MINE), wants(1, MINE)], {0: [ALONE], 1: [ALONE]}))
    assert no_adult(replace(told, staff=(ADULT, away(third)))) == "every adult who teaches mathematics is away or with others"
    assert no_adult(absent(told, third)) == "every adult who teaches mathematics is away or with others"
    assert obstacles(replace(told, staff=(ADULT, third))) == [Obstacle.ROOM_FOR_ALL]


def test_a_group_that_any_adult_may_lead_where_none_is_free() -> None:
    told = day([wants(0, MINE), wants(1, MINE)], {0: [SUPERVISED], 1: [SUPERVISED]})
    assert no_adult(replace(told, staff=(OTHER,))) == "every adult is with others"
    assert no_adult(replace(told, staff=(away(ADULT),))) == "every adult is away in this period"
    assert no_adult(replace(told, staff=())) == "the school has no adults"
    nothing = replace(told, demands={who: without_subject(demand) for who, demand in told.demands.items()})
    free = told.school.model_copy(update={"periods": periods(2, ())})
    assert no_adult(strict(replace(nothing, school=free, staff=(OTHER,)))) == "every adult is with others", "of no subject"


def test_a_need_of_another_period() -> None:
    told = day([wants(0, need("b", VIDEO), need("a", VIDEO))], {0: [ALONE, at("b", VIDEO, Use.INDEPENDENT, "p1")]})
    assert obstacles(told) == [Obstacle.OTHER_PERIOD]
    assert obstacles(told, period=1) == []


def test_time_with_an_adult_comes_before_working_alone() -> None:
    assert obstacles(day([wants(0, need("a", VIDEO, SMALL))], {0: [at("a", SMALL, Use.GROUP)]})) == [Obstacle.ADULT_TIME]


def test_what_she_chose_for_a_later_step_and_has_in_no_period_is_told_with_what_stood_against_it() -> None:
    """But not where she has it in another period, or where it stands before what she was given."""
    chosen = [need("b", SMALL, VIDEO, chosen=f"b-{VIDEO}"), need("c", VIDEO, SMALL, chosen=f"c-{SMALL}"), need("d", VIDEO)]
    told = day([wants(0, MINE, *chosen)], {0: [at("a", SMALL, Use.GROUP), at("a", VIDEO, Use.INDEPENDENT, "p1")]})
    first, second = (refused(told, learner(0), period) for period in told.school.periods)
    assert [(one.activity_id, one.obstacle, one.behind) for one in first] == [
        (f"b-{VIDEO}", Obstacle.EARLIER_STEP, True), (f"c-{SMALL}", Obstacle.TOO_FEW, True),
    ]  # fmt: skip
    assert [(one.activity_id, one.behind) for one in second] == [(f"a-{SMALL}", False), (f"b-{VIDEO}", True), (f"c-{SMALL}", True)]
    has = day([wants(0, MINE, *chosen)], {0: [at("a", SMALL, Use.GROUP), at("b", VIDEO, Use.INDEPENDENT, "p1")]})
    assert [one.activity_id for one in refused(has, learner(0), has.school.periods[0])] == [f"c-{SMALL}"]
    talked = day([wants(0, MINE, *chosen).model_copy(update={"check_in": True})], {0: [TALK]})
    assert {one.behind for one in refused(talked, learner(0), talked.school.periods[0])} == {False}


def test_a_group_that_would_be_too_small_without_her_is_said_to_keep_her() -> None:
    mine = wants(0, need("b", SMALL, VIDEO, chosen=f"b-{VIDEO}"), MINE)
    members = {number: [at("a", SMALL, Use.GROUP)] for number in range(2)}
    told = day([mine, wants(1, MINE)], members)
    assert first_detail(told) == "without her the group would have too few: it needs 2"
    assert (
        first_detail(day([mine, wants(1, MINE), wants(2, MINE)], {**members, 2: members[0]})) == "a group with an adult had a seat for her"
    )


def test_a_talk_and_a_lack_of_seats_are_named() -> None:
    demand = wants(0, need("a", VIDEO, SMALL))
    asked = demand.model_copy(update={"check_in": True})
    assert obstacles(day([asked], {0: [TALK]})) == [Obstacle.CHECK_IN] * 2
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
            assert [one.activity_id for one in refused(told, who, period) if not one.behind] == before
