"""Talks with who is behind: they leave her the lessons that she is behind in, and are not held twice where she talked lately."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from services.scheduling.checker import Days
from services.scheduling.domain import AdoptPlan, RepairDay, TakeDemands, TakeStaff, day, inputs_hash, problem_of
from services.scheduling.explain import SchoolDay, no_talk
from services.scheduling.grouping import SOLVER, Before, Plan, Problem, plan, repair
from services.scheduling.lessons import LESSON_DAYS, lessons, only_lesson, school_days_since
from services.scheduling.resources import RESOURCES
from shared.contracts.profile import Modality
from shared.contracts.scheduling import Demand, SchoolResources, Status, Use
from shared.testing import Spec, in_force
from tests.scheduling.school import RULES, SCHOOL, SUBJECTS, TUESDAY, applied, learner, periods, spaces, staff
from tests.scheduling.test_explain import need, wants
from tests.scheduling.test_grouping import problems, violations

SMALL, VIDEO = Modality.SMALL_GROUP, Modality.VIDEO
SCHOOL_DAYS = 20


def school(subjects: Sequence[str]) -> SchoolResources:
    return SchoolResources(school_id=SCHOOL, spaces=spaces(((12, 12), (12,), (12,))), periods=periods(len(subjects), subjects), rules=RULES)


def behind(number: int) -> Demand:
    """One who is to be talked with, and has two needs of mathematics and one of reading."""
    reading = need("r", VIDEO) | {"subject": "reading"}
    return wants(number, need("a", SMALL, VIDEO), need("b", VIDEO), reading).model_copy(update={"check_in": True})


def asking(subjects: Sequence[str], count: int = 3, adults: int = 6) -> Problem:
    return Problem(school(subjects), staff(adults), {learner(number): behind(number) for number in range(count)}, {}, on=TUESDAY)


def talks_of(days: Days, who: UUID) -> list[str]:
    """The periods in which an adult talks with her."""
    return [one.period_id for one in days[who] if one.use is Use.CHECK_IN]


def term(problem: Problem, closed: Sequence[date] = ()) -> list[tuple[date, list[str]]]:
    """Plan day after day; return each school day with the periods in which an adult talks with learner 0."""
    before: dict[UUID, Before] = {}
    told: list[tuple[date, list[str]]] = []
    on = TUESDAY
    while len(told) < SCHOOL_DAYS:
        if on.weekday() < 5 and on not in closed:
            today = replace(problem, on=on, before=dict(before), closed=frozenset(closed))
            days = applied(today, plan(today))
            before |= {who: Before(talked=on.toordinal()) for who in days if talks_of(days, who)}
            told.append((on, talks_of(days, learner(0))))
        on += timedelta(days=1)
    return told


@pytest.mark.parametrize("subjects", [("mathematics",), SUBJECTS, ("",), ("", "")])
def test_a_talk_takes_an_only_lesson_once_in_five_school_days_and_each_in_turn(subjects: tuple[str, ...]) -> None:
    held = [(place, *periods) for place, (_, periods) in enumerate(term(asking(subjects))) if periods]
    assert [place for place, _ in held] == list(range(0, SCHOOL_DAYS, LESSON_DAYS))
    assert [period for _, period in held].count("p0") == len(held) // len(subjects)


def test_days_without_school_are_no_school_days() -> None:
    closed = [TUESDAY + timedelta(days=ahead) for ahead in (1, 2, 3)]
    held = [on for on, periods in term(asking(("mathematics",)), closed) if periods]
    assert held[1] == TUESDAY + timedelta(days=10)
    assert school_days_since(held[0], held[1], closed) == LESSON_DAYS
    assert school_days_since(TUESDAY, TUESDAY + timedelta(days=7)) == LESSON_DAYS
    assert school_days_since(TUESDAY, TUESDAY) == 0


def test_a_talk_takes_a_period_of_the_subject_of_which_she_has_most_and_not_always_the_same_one() -> None:
    told = term(asking(("mathematics", "reading", "mathematics", "mathematics")))
    assert all(len(periods) == 1 for _, periods in told), "she has one every day"
    assert {period for _, (period,) in told} == {"p0", "p2", "p3"}


def test_a_period_that_is_for_none_of_her_needs_is_taken_first() -> None:
    assert {period for _, (period,) in term(asking(("mathematics", "art", "mathematics")))} == {"p1"}


def test_a_lesson_that_any_period_may_hold_is_counted() -> None:
    assert lessons(["", ""], {"mathematics", "reading"}) == 2
    assert only_lesson(["mathematics", ""], 0, {"mathematics", "reading"}), "the other one is for reading"
    assert not only_lesson(["mathematics", ""], 0, {"mathematics"})
    assert not only_lesson(["art", "mathematics"], 0, {"mathematics"})
    assert not only_lesson(["mathematics"], 0, set())


def late(problem: Problem, number: int = 0) -> Mapping[UUID, Before]:
    """An adult talked with her the day before."""
    return {learner(number): Before(talked=problem.on.toordinal() - 1)}


@pytest.mark.parametrize("subjects", [("mathematics",), SUBJECTS])
def test_no_repair_takes_the_lesson_for_which_a_talk_was_left_out(subjects: tuple[str, ...]) -> None:
    problem = asking(subjects)
    problem = replace(problem, before=late(problem))
    days = applied(problem, plan(problem))
    assert talks_of(days, learner(0)) == []
    assert len(talks_of(days, learner(1))) == 1
    changed = {learner(0): behind(0).model_copy(update={"version": 2})}
    later = replace(problem, demands={**problem.demands, **changed}, running=days, before=None)
    for who in ({learner(0)}, {learner(2)}, set[UUID]()):
        told = applied(later, repair(later, who))
        assert talks_of(told, learner(0)) == []
        assert talks_of(told, learner(1)) == talks_of(days, learner(1)), "what was planned is held"


def test_a_talk_that_was_to_take_an_only_lesson_is_sought_again_where_its_adult_is_gone() -> None:
    problem = asking(("mathematics",))
    problem = replace(problem, before=late(problem))
    days = applied(problem, plan(problem))
    (adult,) = {one.staff_id for one in days[learner(1)]}
    later = replace(problem, running=days, before=None, staff=tuple(one for one in problem.staff if one.staff_id != adult))
    told = applied(later, repair(later, set()))
    assert [talks_of(told, learner(number)) for number in range(3)] == [[], ["p0"], ["p0"]]


def test_where_nothing_of_the_days_before_is_at_hand_a_talk_takes_no_only_lesson() -> None:
    assert talks_of(applied(asking(SUBJECTS), plan(asking(SUBJECTS))), learner(0)) == []
    several = asking(SUBJECTS * 2)
    assert len(talks_of(applied(several, plan(several)), learner(0))) == 1


def test_what_she_worked_on_this_morning_is_a_lesson_that_she_had() -> None:
    calm = {who: one.model_copy(update={"check_in": False}) for who, one in asking(("mathematics",)).demands.items()}
    problem = replace(asking(("mathematics", "mathematics", "reading")), demands=calm)
    later = replace(problem, demands=asking(()).demands, running=applied(problem, plan(problem)), begun=1)
    assert talks_of(applied(later, repair(later, set(later.demands))), learner(0)) == ["p1"]


def test_the_decider_repairs_a_day_without_taking_the_lesson_either() -> None:
    resources = school(SUBJECTS)
    parameters = in_force((RESOURCES, [resources.model_dump(mode="json", exclude_defaults=True)]))
    asked, chosen, people = (SCHOOL, TUESDAY, TUESDAY), parameters.id_of(RESOURCES) or "", staff(6)
    ready = Spec(day, parameters).asked(TakeStaff(*asked, 1, people), TakeDemands(*asked, tuple(behind(number) for number in range(3))))
    problem = problem_of(resources, TUESDAY, ready.state, 0)
    told = plan(replace(problem, before=late(problem)))
    inputs = inputs_hash(ready.state.version, chosen, 0, ready.state.demands.values(), people)
    adopted = AdoptPlan(
        *asked, 0, ready.state.version, chosen, inputs, SOLVER, Status.GREEDY, told.learners, told.sessions, told.placements, told.needs
    )
    again = TakeDemands(*asked, (behind(0).model_copy(update={"version": 2}),))
    days = ready.asked(adopted, again, RepairDay(*asked, 0)).state.days
    assert [len(talks_of(days, learner(number))) for number in range(3)] == [0, 1, 1]


@settings(max_examples=100, deadline=None)
@given(problems(), some.sets(some.integers(0, 39), max_size=12), some.booleans(), some.integers(0, 3))
def test_nobody_who_was_talked_with_lately_loses_an_only_lesson(made: Problem, lately: set[int], known: bool, gone: int) -> None:
    before = {learner(number): Before(talked=TUESDAY.toordinal() - 1) for number in lately}
    demands = {who: one.model_copy(update={"check_in": bool(one.needs)}) for who, one in made.demands.items()}
    first = replace(made, demands=demands, on=TUESDAY, before=before if known else None)
    later = replace(first, running=applied(first, plan(first)), staff=first.staff[gone:], before=None)
    for problem, told in ((first, plan(first)), (later, repair(later, set()))):
        assert violations(problem, told) == []
        days, named = applied(problem, told), [period.subject for period in problem.school.periods]
        for who in {learner(number) for number in lately} & days.keys() if known else days.keys():
            subjects = {need.subject for need in demands[who].needs}
            taken = [number for number, one in enumerate(days[who]) if one.use is Use.CHECK_IN]
            assert not any(only_lesson(named, number, subjects) for number in taken)


def told_why(problem: Problem, told: Plan, talked: date | None, closed: Sequence[date] = ()) -> str:
    shown = SchoolDay(problem.school, problem.staff, problem.demands, applied(problem, told))
    return no_talk(shown, learner(0), problem.on, talked, closed)


def test_why_no_adult_talks_with_her_is_told() -> None:
    lately = asking(SUBJECTS)
    lately = replace(lately, before=late(lately))
    monday = TUESDAY - timedelta(days=1)
    assert told_why(lately, plan(lately), monday) == (
        "left out for her lessons: each of her periods on this day is her only lesson of a subject, "
        f"which a talk takes once in 5 school days; the last one was on {monday}"
    )
    week = timedelta(days=7)
    for talked in (None, TUESDAY - week):
        assert told_why(lately, plan(lately), talked).startswith(
            "no adult had room when the whole day was planned, or it was asked for since"
        )
    assert told_why(lately, plan(lately), TUESDAY - week, [monday]).startswith("left out for her lessons")
    alone = asking(("mathematics", "reading", "mathematics"), adults=0)
    assert told_why(alone, plan(alone), None) == "no adult with room was to be had in a period that is not her only lesson of a subject"
    alone = asking(("mathematics", "mathematics"), adults=0)
    alone = replace(alone, demands={learner(0): wants(0, need("a", VIDEO))})
    assert told_why(alone, plan(alone), None) == "no adult with room was to be had in a period of hers"
