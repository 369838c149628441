"""The deciders of scheduling: facts are noted once, days take what is new, and a plan is adopted only if the checker finds nothing."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import strategies as some

from services.scheduling.domain import (
    AdoptPlan,
    DayState,
    NoteDemand,
    NoteStaff,
    RepairDay,
    TakeDemands,
    TakeStaff,
    day,
    demand,
    inputs_hash,
    problem_of,
    school,
)  # fmt: skip
from services.scheduling.domain.facts import MAX_STAFF, StaffState
from services.scheduling.grouping import SOLVER, search
from services.scheduling.hours import begun_periods, open_days
from services.scheduling.limits import MAX_LEARNERS
from services.scheduling.resources import RESOURCES, adults, next_school_day, schools_of
from services.scheduling.search import DaySearch, inside, solve
from shared.contracts.envelope import Event
from shared.contracts.profile import Modality
from shared.contracts.scheduling import (
    DayDemanded,
    DayStaffed,
    Demand,
    DemandNoted,
    GroupRule,
    PlacementChanged,
    PlanAdopted,
    SchoolResources,
    Session,
    StaffMember,
    StaffNoted,
    Status,
    Use,
)  # fmt: skip
from shared.decider import Refusal
from shared.ledger.types import Ask
from shared.parameters import Parameters
from shared.testing import SOME_TIME, SOMEBODY, Spec, check_decider, in_force
from tests.scheduling.school import SCHOOL, TUESDAY, WEDNESDAY, learner, made_demand, made_demands, made_school, staff

RESOURCES_OF: SchoolResources = made_school(1, 16, 3, 5)
PARAMETERS = in_force((RESOURCES, [RESOURCES_OF.model_dump(mode="json", exclude_defaults=True)]))
SET_ID = PARAMETERS.id_of(RESOURCES) or ""
PEOPLE = staff(6)
LEARNERS = 12


def take(*demands: Demand, asked_on: date = TUESDAY) -> TakeDemands:
    return TakeDemands(SCHOOL, WEDNESDAY, asked_on, demands)


def staffed(roster: int = 1, people: tuple[StaffMember, ...] = PEOPLE) -> TakeStaff:
    return TakeStaff(SCHOOL, WEDNESDAY, TUESDAY, roster, people)


def repair(begun: int = 0) -> RepairDay:
    return RepairDay(SCHOOL, WEDNESDAY, TUESDAY, begun)


def everybody(version: int = 1) -> TakeDemands:
    return take(*(made_demand(1, number, version, competencies=4) for number in range(LEARNERS)))


def searched(state: DayState, begun: int = 0) -> AdoptPlan:
    """What the search outside would bring in for this state."""
    problem = problem_of(RESOURCES_OF, WEDNESDAY, state, begun)
    plan, repaired = search(problem, state.changed if state.days else None)
    return AdoptPlan(
        SCHOOL, WEDNESDAY, TUESDAY, begun, state.version, SET_ID,
        inputs_hash(state.version, SET_ID, begun, state.demands.values(), problem.staff),
        SOLVER, Status.REPAIRED if repaired else Status.GREEDY, plan.learners, plan.sessions, plan.placements, plan.needs,
    )  # fmt: skip


READY = Spec(day, PARAMETERS).asked(staffed(), everybody())


@some.composite
def day_histories(draw: some.DrawFn) -> list[Any]:
    """Commands to one day in any order; plans are searched from the state at that point, or from one before it."""
    commands: list[Any] = []
    past: list[Event] = []
    late: list[AdoptPlan] = []
    for kind in draw(some.lists(some.sampled_from(["take", "staff", "plan", "late", "repair", "closed"]), max_size=8)):
        state = day.fold(past)
        match kind:
            case "take":
                who = draw(some.sets(some.integers(0, LEARNERS), min_size=1, max_size=6))
                version = draw(some.integers(1, 4))
                command: Any = take(*(made_demand(1, number, version, competencies=4) for number in sorted(who)))
            case "staff":
                command = staffed(draw(some.integers(1, 3)), PEOPLE[: draw(some.integers(0, 6))])
            case "plan":
                command = searched(state, draw(some.integers(0, 3)))
                late.append(command)
            case "late" if late:
                command = draw(some.sampled_from(late))
            case "closed":
                command = take(made_demand(1, 0, 9), asked_on=WEDNESDAY + timedelta(days=1))
            case _:
                command = repair(draw(some.integers(0, 3)))
        commands.append(command)
        answer = day.decide(command, state, PARAMETERS, ())
        past += [] if isinstance(answer, Refusal) else answer
    return commands


def test_properties_of_days() -> None:
    check_decider(day, day_histories(), PARAMETERS, examples=80)


def test_properties_of_demands() -> None:
    notes = some.lists(some.builds(lambda version: NoteDemand(SCHOOL, made_demand(1, 1, version)), some.integers(1, 5)), max_size=6)
    check_decider(demand, notes)


def test_properties_of_staff() -> None:
    notes = some.lists(
        some.builds(lambda number, subject, *told: NoteStaff(SCHOOL, StaffMember(staff_id=UUID(int=number), subjects=subject), *told),
                    some.integers(1, 3), some.sampled_from(((), ("reading",))), some.booleans(), some.integers(0, 3)), max_size=8,
    )  # fmt: skip
    check_decider(school, notes)


def test_the_latest_demand_is_noted_and_an_older_one_is_not() -> None:
    second = NoteDemand(SCHOOL, made_demand(1, 1, 2))
    Spec(demand).when(second).then(DemandNoted(school_id=SCHOOL, demand=second.demand))
    Spec(demand).asked(second).when(NoteDemand(SCHOOL, made_demand(1, 1, 1))).then_nothing()


def test_staff_is_noted_when_it_changes() -> None:
    there, gone = NoteStaff(SCHOOL, PEOPLE[0]), NoteStaff(SCHOOL, PEOPLE[0], active=False)
    Spec(school).when(there).then(StaffNoted(school_id=SCHOOL, member=PEOPLE[0]))
    Spec(school).asked(there).when(there).then_nothing()
    Spec(school).asked(there).when(gone).then_types(StaffNoted)
    Spec(school).when(gone).then_nothing()


def test_what_an_older_roster_said_of_staff_changes_nothing() -> None:
    there, gone = NoteStaff(SCHOOL, PEOPLE[0], version=1), NoteStaff(SCHOOL, PEOPLE[0], active=False, version=2)
    Spec(school).asked(there, gone).when(there).then_nothing()
    back = NoteStaff(SCHOOL, PEOPLE[0], version=3)
    Spec(school).asked(there, gone).when(back).then(StaffNoted(school_id=SCHOOL, member=PEOPLE[0], version=3))


def test_staff_noted_before_versions_were_is_decided_as_it_was() -> None:
    there, gone = NoteStaff(SCHOOL, PEOPLE[0]), NoteStaff(SCHOOL, PEOPLE[0], active=False)
    Spec(school).asked(there, gone).when(there).then(StaffNoted(school_id=SCHOOL, member=PEOPLE[0]))
    Spec(school).asked(there).when(replace(gone, version=1)).then_types(StaffNoted)


def test_a_school_remembers_so_many_members_of_staff() -> None:
    full = StaffState({UUID(int=number): (PEOPLE[0], True, 1) for number in range(MAX_STAFF)})
    answer = school.decide(NoteStaff(SCHOOL, PEOPLE[1]), full, PARAMETERS, ())
    assert isinstance(answer, Refusal)
    assert answer.code == "too-many-staff"


def test_a_day_takes_demands_and_adults_once() -> None:
    Spec(day).when(everybody()).then_types(DayDemanded)
    Spec(day).asked(everybody()).when(take(made_demand(1, 1, 1))).then_nothing()
    Spec(day).asked(everybody()).when(take(made_demand(1, 1, 2))).then_types(DayDemanded)
    Spec(day).when(staffed()).then_types(DayStaffed)
    Spec(day).asked(staffed(2)).when(staffed(1)).then_nothing()


def test_a_day_that_is_over_is_closed() -> None:
    over = WEDNESDAY + timedelta(days=1)
    READY.when(take(made_demand(1, 1, 2), asked_on=over)).then_refused("closed")
    READY.when(replace(staffed(2), asked_on=over)).then_refused("closed")
    READY.when(replace(repair(), asked_on=over)).then_refused("closed")
    READY.when(replace(searched(READY.state), asked_on=over)).then_refused("closed")


def test_a_day_holds_so_many_learners() -> None:
    one = made_demand(1, 1)
    full = DayState(demands={UUID(int=number): one for number in range(MAX_LEARNERS)})
    answer = day.decide(take(one), full, PARAMETERS, ())
    assert isinstance(answer, Refusal)
    assert answer.code == "too-many-learners"


def test_a_plan_is_adopted_and_every_learner_is_told_her_day() -> None:
    answer = READY.when(searched(READY.state))
    adopted, *changes = answer.events
    assert isinstance(adopted, PlanAdopted)
    assert (adopted.status, adopted.moved, adopted.inside) == (Status.GREEDY, LEARNERS, False)
    assert adopted.value > 0
    assert sorted(one.learner_id for one in changes if isinstance(one, PlacementChanged)) == [learner(number) for number in range(LEARNERS)]
    assert all(len(one.placements) == 3 and one.demand_version == 1 for one in changes if isinstance(one, PlacementChanged))


def test_only_days_that_differ_are_told_again() -> None:
    spec = READY.asked(searched(READY.state)).asked(take(made_demand(1, 3, 2, competencies=4)))
    _, *changes = spec.when(searched(spec.state)).events
    told = [one for one in changes if isinstance(one, PlacementChanged)]
    assert learner(3) in {one.learner_id for one in told}
    assert len(told) < LEARNERS
    assert {one.learner_id: one.demand_version for one in told}[learner(3)] == 2
    assert all(spec.state.days[one.learner_id] != one.placements for one in told)


def test_a_plan_searched_from_another_state_is_stale() -> None:
    plan = searched(READY.state)
    READY.asked(take(made_demand(1, 3, 2))).when(plan).then_refused("stale")
    READY.asked(plan).when(plan).then_refused("stale")
    READY.when(replace(plan, resources="0" * 64)).then_refused("stale")
    READY.when(replace(plan, inputs_hash="0" * 64)).then_refused("stale")
    Spec(day, other(closed=(TUESDAY,)), READY.past).when(plan).then_refused("stale")


def test_a_school_without_resources_has_no_plan() -> None:
    nothing = Spec(day).asked(staffed(), everybody())
    nothing.when(searched(nothing.state)).then_refused("not-ready")
    nothing.when(repair()).then_refused("not-ready")


def _doubled(plan: AdoptPlan) -> AdoptPlan:
    one = plan.sessions[0].staff_id
    return replace(plan, sessions=tuple(session.model_copy(update={"staff_id": one}) for session in plan.sessions))


def _crowded(plan: AdoptPlan) -> AdoptPlan:
    first = next(number for number, session in enumerate(plan.sessions) if session.use is Use.GROUP)
    period = [one.id for one in RESOURCES_OF.periods].index(plan.sessions[first].period_id)
    return replace(plan, placements=tuple((*row[:period], first, *row[period + 1 :]) for row in plan.placements))


def _foreign(plan: AdoptPlan) -> AdoptPlan:
    group = Session(
        period_id="p0", space_id="s00", zone_id="z0", staff_id=PEOPLE[0].staff_id, use=Use.GROUP, competency_id="none",
        modality=Modality.PROJECT,
    )  # fmt: skip
    return replace(plan, sessions=(group, *plan.sessions[1:]))


@pytest.mark.parametrize(
    "broken",
    [
        _doubled, _crowded, _foreign,
        lambda plan: replace(plan, placements=plan.placements[1:]),
        lambda plan: replace(plan, placements=((0, 0), *plan.placements[1:])),
        lambda plan: replace(plan, placements=((0, 0, 0), *plan.placements[1:])),
        lambda plan: replace(plan, placements=((-2, -1, -1), *plan.placements[1:])),
        lambda plan: replace(plan, placements=((999, -1, -1), *plan.placements[1:])),
        lambda plan: replace(plan, needs=((99, -1, -1), *plan.needs[1:])),
        lambda plan: replace(plan, learners=(learner(99), *plan.learners[1:])),
        lambda plan: replace(plan, learners=(plan.learners[1], *plan.learners[1:])),
    ],
)  # fmt: skip
def test_a_plan_with_a_violation_is_refused(broken: Any) -> None:
    READY.when(broken(searched(READY.state))).then_refused("invalid-plan")


def test_the_refusal_of_a_plan_names_the_place() -> None:
    answer = READY.when(_doubled(searched(READY.state))).answered
    assert isinstance(answer, Refusal)
    assert f"p0/staff/{PEOPLE[0].staff_id}" in answer.detail or "/staff/" in answer.detail


def test_a_day_repairs_itself_inside_once() -> None:
    first = READY.when(repair())
    adopted = first.events[0]
    assert isinstance(adopted, PlanAdopted)
    assert adopted.inside
    spec = READY.asked(repair())
    spec.when(repair()).then_nothing()
    again = spec.asked(take(made_demand(1, 3, 2, competencies=4)))
    assert again.when(repair()).events[0].model_dump()["status"] is Status.REPAIRED
    fewer = again.asked(repair(), staffed(2, PEOPLE[1:]))
    assert fewer.when(repair()).events[0].model_dump()["status"] is Status.REPAIRED


def other(**more: Any) -> Parameters:
    """Resources in force in which so much of the school is another."""
    return in_force((RESOURCES, [RESOURCES_OF.model_copy(update=more).model_dump(mode="json", exclude_defaults=True)]))


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"staff": (PEOPLE[2].model_copy(update={"away": ("p1",)}),)}, Status.REPAIRED),
        ({"rules": RESOURCES_OF.rules[:1]}, Status.REPAIRED),
        ({"rules": (*RESOURCES_OF.rules, GroupRule(modality=Modality.READING, smallest=2, largest=9))}, Status.REPAIRED),
        ({"spaces": RESOURCES_OF.spaces[1:]}, Status.REPAIRED),
        ({"periods": tuple(one.model_copy(update={"subject": "reading"}) for one in RESOURCES_OF.periods)}, Status.REPAIRED),
        ({"periods": RESOURCES_OF.periods[1:]}, Status.GREEDY),
    ],
)
def test_inside_a_day_is_repaired_for_other_resources_unless_periods_are_new(more: dict[str, Any], status: Status) -> None:
    planned = READY.asked(repair())
    adopted = Spec(day, other(**more), planned.past).when(repair()).events[0]
    assert isinstance(adopted, PlanAdopted)
    assert adopted.status is status
    Spec(day, other(closed=(TUESDAY,)), planned.past).when(repair()).then_types(PlanAdopted)


def test_who_is_away_keeps_the_subjects_of_the_roster_and_who_left_is_nobody() -> None:
    away = StaffMember(staff_id=PEOPLE[0].staff_id, away=("p1",))
    there = RESOURCES_OF.model_copy(update={"staff": (away,)})
    assert adults(there, PEOPLE[:2]) == (PEOPLE[0].model_copy(update={"away": ("p1",)}), PEOPLE[1])
    assert PEOPLE[0].subjects
    assert adults(there, PEOPLE[1:2]) == (PEOPLE[1],)
    aide, teacher = StaffMember(staff_id=UUID(int=1)), StaffMember(staff_id=PEOPLE[1].staff_id, subjects=("art",))
    assert adults(RESOURCES_OF.model_copy(update={"staff": (aide, teacher)}), PEOPLE[1:2]) == (aide, teacher)


def test_inside_and_outside_find_the_same_plan() -> None:
    within, without = READY.when(repair()).events, READY.when(searched(READY.state)).events
    assert within[1:] == without[1:]
    assert within[0].model_copy(update={"inside": False}) == without[0]


def test_periods_that_have_begun_stay() -> None:
    spec = READY.asked(searched(READY.state)).asked(take(made_demand(5, 3, 2, competencies=4)))
    before = spec.state.days[learner(3)]
    after = spec.asked(searched(spec.state, begun=2)).state.days[learner(3)]
    assert after[:2] == before[:2]
    assert after[2].use is not None


def test_the_search_reads_a_day_as_the_decider_knows_it() -> None:
    state = READY.asked(searched(READY.state)).asked(take(made_demand(1, 3, 2, competencies=4))).state
    before = READY.asked(searched(READY.state)).state
    asked = DaySearch(
        school_id=SCHOOL, on=WEDNESDAY, asked_on=TUESDAY, begun=0, base_version=state.version, resources=SET_ID,
        school=RESOURCES_OF.model_dump_json(), roster=orjson.dumps([one.model_dump(mode="json") for one in state.staff]).decode(),
        demands="\n".join(one.model_dump_json() for one in before.demands.values()),
        news=state.demands[learner(3)].model_dump_json(),
        days="\n".join(f"{who} {orjson.dumps([one.model_dump(mode='json') for one in day]).decode()}" for who, day in state.days.items()),
        led=SOMEBODY, origin=SOMEBODY, changed=tuple(state.changed),
    )  # fmt: skip
    assert solve(asked) == Ask(searched(state), SOMEBODY)
    assert inside(asked) == Ask(repair(), SOMEBODY)


def test_a_field_that_staff_may_get_later_leaves_the_hash_of_a_search_as_it_is() -> None:
    """The hash stands in `PlanAdopted` for ever, and replay computes it again with the classes of its day."""

    class Later(StaffMember):
        room: str = ""

    now = [StaffMember(staff_id=UUID(int=1), subjects=("reading",)), StaffMember(staff_id=UUID(int=2))]
    later = [Later.model_validate(member.model_dump()) for member in now]
    assert inputs_hash(3, SET_ID, 0, [], now) == inputs_hash(3, SET_ID, 0, [], later)


def test_a_large_day_is_kept_in_little_room() -> None:
    demands = made_demands(3, 240)
    demands[learner(7)] = Demand(learner_id=learner(7), version=1, path_empty=True)
    spec = Spec(day, in_force((RESOURCES, [made_school(1, 240).model_dump(mode="json", exclude_defaults=True)]))).asked(
        staffed(1, staff(16))
    )
    for start in range(0, 240, 60):
        spec = spec.asked(take(*(demands[learner(number)] for number in range(start, start + 60))))
    spec = spec.asked(repair())
    assert len(day.codec.encode(spec.state)) < 200_000
    assert day.codec.decode(day.codec.encode(spec.state)) == spec.state


def test_school_days_are_those_that_are_not_closed() -> None:
    closed = RESOURCES_OF.model_copy(update={"closed": (WEDNESDAY,)})
    assert next_school_day(RESOURCES_OF, TUESDAY) == WEDNESDAY
    assert next_school_day(closed, TUESDAY) == date(2026, 11, 26)
    assert next_school_day(RESOURCES_OF, date(2026, 11, 27)) == date(2026, 11, 30)
    random_days = [date(2026, 1, 1) + timedelta(days=n) for n in random.Random(1).sample(range(300), 50)]
    assert all((next_school_day(closed, one) or one).weekday() < 5 for one in random_days)
    always = RESOURCES_OF.model_copy(update={"closed": tuple(TUESDAY + timedelta(days=n) for n in range(1, 200))})
    assert next_school_day(always, TUESDAY) is None


def test_today_is_planned_while_a_period_is_still_to_come() -> None:
    starts = [period.starts for period in RESOURCES_OF.periods]
    assert starts == ["08:00", "08:50", "09:40"]
    at = SOME_TIME.replace(hour=8, minute=50)
    assert [
        begun_periods(RESOURCES_OF, TUESDAY, at.replace(hour=h, minute=m)) for h, m in ((7, 59), (8, 0), (8, 49), (8, 50), (12, 0))
    ] == [0, 1, 1, 2, 3]
    assert open_days(RESOURCES_OF, at) == [TUESDAY, WEDNESDAY]
    assert open_days(RESOURCES_OF, at.replace(hour=9, minute=40)) == [WEDNESDAY]
    assert begun_periods(RESOURCES_OF, WEDNESDAY, at) == 0
    assert schools_of(PARAMETERS) == {SCHOOL: RESOURCES_OF}
