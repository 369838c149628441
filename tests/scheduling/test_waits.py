"""Needs that wait for others of hers are done alone, after those; and who has had enough of a need comes back to it before she is idle."""

from __future__ import annotations

import random
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from services.scheduling.checker import Inputs, check
from services.scheduling.domain.codec import CODEC, DayState
from services.scheduling.grouping import Problem, plan, repair
from shared.contracts.profile import Modality
from shared.contracts.scheduling import Demand, Placement, SchoolResources, Use
from tests.scheduling.school import RULES, SCHOOL, applied, learner, made_demand, periods, spaces, staff
from tests.scheduling.test_explain import need, wants
from tests.scheduling.test_grouping import problems, violations

SMALL, LED, VIDEO = Modality.SMALL_GROUP, Modality.TEACHER_LED, Modality.VIDEO
MATHEMATICS = ("mathematics",)


def waits(competency: str, *modalities: Modality, subject: str = "mathematics") -> dict[str, object]:
    return {**need(competency, *modalities), "waits": True, "subject": subject}


def school(count: int, subjects: tuple[str, ...] = MATHEMATICS) -> SchoolResources:
    return SchoolResources(school_id=SCHOOL, spaces=spaces(((20,), (20,), (20,), (20,))), periods=periods(count, subjects), rules=RULES)


def problem(count: int, *demands: Demand, subjects: tuple[str, ...] = MATHEMATICS, adults: int = 6) -> Problem:
    return Problem(school(count, subjects), staff(adults), {one.learner_id: one for one in demands}, {})


def done(told: Problem, number: int = 0) -> list[str]:
    """What a learner works on in each period."""
    return [one.competency_id for one in applied(told, plan(told))[learner(number)]]


def with_waits(seed: int, demands: dict[UUID, Demand]) -> dict[UUID, Demand]:
    """Let needs wait: of some learners the last of a subject, of some all."""
    draw = random.Random(seed)
    return {
        who: one.model_copy(
            update={
                "needs": tuple(need.model_copy(update={"waits": draw.random() < (place + 1) / 4}) for place, need in enumerate(one.needs))
            }
        )
        for who, one in demands.items()
    }


@settings(max_examples=150, deadline=None)
@given(problems(), some.integers(0, 999), some.sets(some.integers(0, 39), max_size=12), some.integers(0, 6), some.integers(0, 3))
def test_every_plan_and_repair_has_needs_in_their_turn(made: Problem, seed: int, who: set[int], begun: int, gone: int) -> None:
    first = replace(made, demands=with_waits(seed, dict(made.demands)))
    assert violations(first, plan(first)) == []
    changed = with_waits(seed + 1, {learner(number): made_demand(7, number, 2, competencies=9) for number in who})
    later = replace(
        first, demands={**first.demands, **changed}, running=applied(first, plan(first)), staff=first.staff[gone:],
        begun=min(begun, len(first.school.periods)),
    )  # fmt: skip
    assert violations(later, repair(later, set(changed))) == []
    assert violations(later, plan(later)) == []


def test_a_need_that_waits_is_done_alone_after_those_of_its_subject_that_do_not() -> None:
    hers = wants(0, need("a", VIDEO), waits("c", SMALL, VIDEO), need("b", VIDEO))
    others = [wants(number, need("c", SMALL, VIDEO)) for number in (1, 2, 3)]
    told = problem(4, hers, *others)
    assert done(told) == ["a", "b", "c", "a"]
    assert applied(told, plan(told))[learner(0)][2].use is Use.INDEPENDENT, "never in a group"
    assert applied(told, plan(told))[learner(1)][2].use is Use.GROUP


def test_a_need_waits_for_those_of_its_own_subject_only() -> None:
    reading = waits("r", VIDEO, subject="reading")
    assert done(problem(2, wants(0, need("a", VIDEO), reading), subjects=("reading", "mathematics"))) == ["a", "a"]
    assert done(problem(3, wants(0, need("a", SMALL), waits("c", VIDEO)))) == ["", "", ""], "nobody else would be in the group"
    together = problem(2, *(wants(number, need("a", SMALL), waits("c", VIDEO)) for number in range(3)))
    assert done(together) == ["a", "c"]
    assert done(problem(2, wants(0, waits("c", VIDEO)))) == ["", ""]


def test_what_waits_is_put_off_where_a_talk_takes_the_period_of_what_comes_before() -> None:
    hers = wants(0, need("a", VIDEO), waits("c", VIDEO))
    before = problem(2, hers, adults=1)
    running = applied(before, plan(before))
    assert done(before) == ["a", "c"]
    asked = replace(before, demands={learner(0): hers.model_copy(update={"check_in": True})}, running=running, staff=staff(6))
    told = applied(asked, repair(asked, set()))[learner(0)]
    assert [(one.use, one.competency_id) for one in told] == [(Use.CHECK_IN, ""), (Use.INDEPENDENT, "a")]


def test_what_waits_goes_on_after_what_was_done_with_an_adult_who_has_gone_since() -> None:
    before = problem(2, wants(0, need("a", VIDEO), waits("c", VIDEO)), adults=2)
    running = applied(before, plan(before))
    (first,) = {running[learner(0)][0].staff_id}
    later = replace(before, running=running, begun=1, staff=tuple(one for one in before.staff if one.staff_id != first))
    assert [one.competency_id for one in applied(later, plan(later))[learner(0)]] == ["a", "c"]


def out_of_turn(*placed: Placement, begun: int = 0) -> list[str]:
    demands = {learner(0): wants(0, need("a", SMALL, VIDEO), waits("c", SMALL, VIDEO))}
    verdict = check(Inputs(school(2), staff(2), demands, begun), {learner(0): placed})
    return [one.place for one in verdict.violations if one.code == "out-of-turn"]


def at(period: int, competency: str, use: Use, modality: Modality) -> Placement:
    return Placement(
        period_id=f"p{period}", space_id="s00", zone_id="z0", staff_id=staff(1)[0].staff_id, use=use, competency_id=competency,
        modality=modality, activity_id=f"{competency}-{modality}",
    )  # fmt: skip


def test_the_checker_refuses_what_waits_in_a_group_or_before_its_turn() -> None:
    first, then = at(0, "a", Use.INDEPENDENT, VIDEO), at(1, "c", Use.INDEPENDENT, VIDEO)
    grouped = at(1, "c", Use.GROUP, SMALL)
    assert out_of_turn(first, then) == []
    assert out_of_turn(first, grouped) == out_of_turn(at(0, "", Use.CHECK_IN, VIDEO), then) == [f"p1/learner/{learner(0)}"]
    assert out_of_turn(at(0, "c", Use.INDEPENDENT, VIDEO), then, begun=1) == [f"p1/learner/{learner(0)}"]
    assert out_of_turn(at(0, "c", Use.GROUP, SMALL), grouped, begun=2) == [], "what has begun stays"


def test_what_is_kept_of_a_day_says_what_waits_and_what_had_begun() -> None:
    demand, day = wants(0, need("a", VIDEO), waits("c", VIDEO)), (Placement(period_id="p0", begun=True), Placement(period_id="p1"))
    state = DayState(demands={demand.learner_id: demand}, days={demand.learner_id: day})
    assert CODEC.decode(CODEC.encode(state)) == state


@pytest.mark.parametrize("count", [4, 6])
def test_she_joins_the_group_of_a_need_she_has_had_enough_of_rather_than_work_on_it_alone(count: int) -> None:
    hers = wants(0, need("a", LED, VIDEO), need("x", LED), need("y", SMALL))
    told = problem(count, hers, *(wants(number, need("a", LED, VIDEO)) for number in range(1, 6)), subjects=())
    assert [(one.use, one.competency_id) for one in applied(told, plan(told))[learner(0)]] == [(Use.GROUP, "a")] * count


def test_she_works_alone_on_what_is_new_rather_than_in_a_group_on_what_she_has_had_enough_of() -> None:
    hers = wants(0, need("a", LED, VIDEO), need("x", VIDEO))
    told = problem(4, hers, *(wants(number, need("a", LED, VIDEO)) for number in range(1, 6)), subjects=())
    assert done(told).count("x") == 2
