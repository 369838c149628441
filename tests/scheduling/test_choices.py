"""Who chose to work alone does so once a day, where her group goes on without her and a seat is to be had."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from services.scheduling.checker import Inputs, check
from services.scheduling.grouping import Problem, plan, repair
from shared.contracts.profile import Modality
from shared.contracts.scheduling import Demand, SchoolResources, Use
from tests.scheduling.school import RULES, SCHOOL, applied, learner, periods, spaces, staff
from tests.scheduling.test_explain import need, wants
from tests.scheduling.test_grouping import problems, violations

SMALL, VIDEO, READING = Modality.SMALL_GROUP, Modality.VIDEO, Modality.READING
LATER = need("b", SMALL, VIDEO), need("c", SMALL, VIDEO)
CHOSEN = need("a", VIDEO, SMALL, chosen=f"a-{VIDEO}")
HERS = wants(0, CHOSEN, *LATER)


def others(count: int) -> list[Demand]:
    return [wants(number, need(f"x{number}", VIDEO, READING), *LATER) for number in range(1, count + 1)]


def problem(count: int, *demands: Demand, adults: int = 6) -> Problem:
    school = SchoolResources(
        school_id=SCHOOL, spaces=spaces(((12, 12), (12,), (12,))), periods=periods(count, ("mathematics",)), rules=RULES
    )
    return Problem(school, staff(adults), {one.learner_id: one for one in demands}, {})


def done(told: Problem, number: int = 0) -> list[str]:
    """What a learner works on in each period."""
    return [one.competency_id for one in applied(told, plan(told))[learner(number)]]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_she_works_once_a_day_on_the_first_step_that_she_chose_to_do_alone_whatever_groups_there_are(count: int) -> None:
    told = problem(count, HERS, *others(11))
    assert done(told).count("a") == 1
    assert done(told)[-1] == "a", "in the last period"
    assert applied(told, plan(told))[learner(0)][-1].activity_id == f"a-{VIDEO}"
    assert violations(told, plan(told)) == []


def test_the_day_is_worth_more_with_her_choice() -> None:
    told = problem(2, HERS, *others(11))
    without = problem(2, HERS.model_copy(update={"needs": (HERS.needs[0].model_copy(update={"chosen": ""}), *HERS.needs[1:])}), *others(11))
    assert "a" not in done(without)
    inputs = Inputs(told.school, told.staff, told.demands)
    assert check(inputs, applied(told, plan(told))).value > check(inputs, applied(without, plan(without))).value


def test_a_group_that_would_be_too_small_without_her_keeps_her() -> None:
    told = problem(2, HERS, *others(1))
    assert done(told).count("a") == 0
    assert {one.use for day in applied(told, plan(told)).values() for one in day} == {Use.GROUP}


def test_an_earlier_step_of_hers_has_its_turn_first() -> None:
    chosen = wants(0, LATER[0], CHOSEN)
    assert done(problem(1, chosen, *others(5))) == ["b"]
    assert sorted(done(problem(2, chosen, *others(5)))) == ["a", "b"]


def test_a_repair_gives_her_a_choice_that_she_made_since_and_moves_nobody_else() -> None:
    before = wants(0, need("a", VIDEO, SMALL), *LATER)
    told = problem(2, before, *others(11))
    running = applied(told, plan(told))
    assert done(told).count("a") == 0
    later = replace(told, demands={**told.demands, learner(0): HERS.model_copy(update={"version": 2})}, running=running)
    plan_of = repair(later, {learner(0)})
    assert plan_of.learners == (learner(0),)
    days = applied(later, plan_of)
    assert [one.competency_id for one in days[learner(0)]].count("a") == 1
    again = replace(later, running=days)
    assert applied(again, repair(again, {learner(3)}))[learner(0)] == days[learner(0)], "and no later one takes it away"


def by_choice(demand: Demand) -> Demand:
    """Let her choose to work alone on all that she can do alone."""
    ways = {rule.modality for rule in RULES}
    needs = tuple(
        each.model_copy(update={"chosen": next((one.activity_id for one in each.options if one.modality not in ways), "")})
        for each in demand.needs
    )
    return demand.model_copy(update={"needs": needs})


@settings(max_examples=100, deadline=None)
@given(problems(), some.sets(some.integers(0, 39), max_size=20), some.sets(some.integers(0, 39), max_size=6), some.integers(0, 3))
def test_every_plan_and_repair_with_choices_passes_the_checker(made: Problem, first: set[int], then: set[int], gone: int) -> None:
    def chosen(demands: dict[UUID, Demand], who: set[int]) -> dict[UUID, Demand]:
        return demands | {each: by_choice(demands[each]) for each in map(learner, who) if each in demands}

    told = replace(made, demands=chosen(dict(made.demands), first))
    assert violations(told, plan(told)) == []
    demands = chosen(dict(told.demands), then)
    later = replace(told, demands=demands, running=applied(told, plan(told)), staff=told.staff[gone:])
    assert violations(later, repair(later, {learner(number) for number in then} & demands.keys())) == []
