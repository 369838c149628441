"""What is otherwise on a date: whom and what a day has then, and how it is changed without losing what others said."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from services.scheduling import dated
from services.scheduling.checks import faults_of
from services.scheduling.dated import base_of, changed, kept, told_of, with_past
from services.scheduling.domain import AdoptPlan, DayState, RepairDay, day, inputs_hash, problem_of
from services.scheduling.domain.placing import days_of
from services.scheduling.grouping import SOLVER, plan
from services.scheduling.hours import begun_periods, refuse_other_hours
from services.scheduling.limits import bytes_of
from services.scheduling.resources import RESOURCES, adults, days_alike, is_school_day, of_day, takes_repair
from shared.contracts.scheduling import MAX_DATED, DayResources, Period, SchoolResources, StaffMember, Status
from shared.decider import Refusal
from shared.errors import Refused
from shared.parameters import Parameters
from tests.scheduling.school import SCHOOL, TUESDAY, WEDNESDAY, made_demands, made_school, periods, staff

USUAL = made_school(1, 30, 4, 6)
HALF = DayResources(on=WEDNESDAY, periods=periods(2), reason="half-day")


def told(*days: DayResources, school: SchoolResources = USUAL) -> SchoolResources:
    return school.model_copy(update={"days": days})


def test_a_date_has_its_own_periods_spaces_and_adults_and_others_are_as_usual() -> None:
    ill, late, substitute = staff(2)[0].staff_id, staff(2)[1].staff_id, UUID(int=1)
    one = HALF.model_copy(
        update={
            "absent": (ill,), "closed_spaces": ("s00",),
            "staff": (StaffMember(staff_id=late, away=("p0",)), StaffMember(staff_id=substitute, subjects=("art",))),
        }
    )  # fmt: skip
    school = told(one)
    on, other = of_day(school, WEDNESDAY), of_day(school, TUESDAY)
    assert [period.id for period in on.periods] == ["p0", "p1"]
    assert {space.id for space in school.spaces} - {space.id for space in on.spaces} == {"s00"}
    present = {member.staff_id: member for member in adults(on, staff(3))}
    assert present.keys() == {member.staff_id for member in staff(3)} - {ill} | {substitute}
    assert (present[late].subjects, present[late].away) == (staff(2)[1].subjects, ("p0",))
    assert other == USUAL
    assert adults(other, staff(3)) == staff(3)
    assert of_day(USUAL, WEDNESDAY) is USUAL


def test_who_is_always_away_in_a_period_stays_away_in_it() -> None:
    usual = USUAL.model_copy(update={"staff": (StaffMember(staff_id=staff(1)[0].staff_id, away=("p3",)),)})
    school = told(DayResources(on=WEDNESDAY, staff=(StaffMember(staff_id=staff(1)[0].staff_id, away=("p1",)),)), school=usual)
    ((member,), (as_usual,)) = (adults(of_day(school, on), staff(1)) for on in (WEDNESDAY, TUESDAY))
    assert (member.away, as_usual.away) == (("p1", "p3"), ("p3",))


def test_who_left_is_made_no_adult_by_being_away_on_a_date() -> None:
    school = told(DayResources(on=WEDNESDAY, staff=(StaffMember(staff_id=UUID(int=1), away=("p1",)),)))
    assert adults(of_day(school, WEDNESDAY), staff(1)) == staff(1)


@pytest.mark.parametrize(
    ("one", "alike", "repair"),
    [
        ({"periods": periods(2)}, False, False), ({"closed_spaces": ("s00",)}, False, True), ({"absent": (UUID(int=1),)}, False, True),
        ({"staff": (StaffMember(staff_id=UUID(int=1), away=("p0",)),)}, False, True), ({"reason": "fair"}, True, True),
        ({"closed": True}, True, True),
    ],
)  # fmt: skip
def test_whether_a_plan_stands_is_asked_of_its_own_date(one: dict[str, object], alike: bool, repair: bool) -> None:
    school = told(DayResources.model_validate({"on": WEDNESDAY, **one}))
    assert days_alike(of_day(USUAL, TUESDAY), of_day(school, TUESDAY))
    assert days_alike(of_day(USUAL, WEDNESDAY), of_day(school, WEDNESDAY)) is alike
    assert takes_repair(of_day(USUAL, WEDNESDAY), of_day(school, WEDNESDAY)) is repair


def test_a_date_may_be_closed() -> None:
    school = told(DayResources(on=WEDNESDAY, closed=True, reason="snow"))
    assert (is_school_day(school, TUESDAY), is_school_day(school, WEDNESDAY)) == (True, False)


def parameters(school: SchoolResources) -> Parameters:
    return Parameters(1, {RESOURCES.name: {SCHOOL: school}}, {RESOURCES.name: "5" * 64})


def decided(command: AdoptPlan | RepairDay, state: DayState, given: Parameters) -> Any:
    """The events of an answer, or the refusal."""
    return day.decide(command, state, given, ())


STATE = DayState(demands=made_demands(1, 20), staff=staff(6))


@pytest.mark.parametrize("on", [TUESDAY, WEDNESDAY])
def test_the_decider_takes_a_plan_of_the_date_and_no_other_one(on: date) -> None:
    school = told(HALF)
    problem = problem_of(of_day(school, on), on, STATE, 0)
    found = plan(problem)
    command = AdoptPlan(
        SCHOOL, on, TUESDAY, 0, 0, "5" * 64, inputs_hash(0, "5" * 64, 0, STATE.demands.values(), problem.staff), SOLVER, Status.GREEDY,
        found.learners, found.sessions, found.placements, found.needs,
    )  # fmt: skip
    events = decided(command, STATE, parameters(school))
    assert not isinstance(events, Refusal)
    assert [one.period_id for one in events[1].placements] == [period.id for period in of_day(school, on).periods]
    wrong = decided(command, STATE, parameters(told(HALF.model_copy(update={"on": TUESDAY}))))
    assert isinstance(wrong, Refusal)
    assert wrong.code == "invalid-plan"
    inside = decided(RepairDay(SCHOOL, on, TUESDAY, 0), STATE, parameters(school))
    assert not isinstance(inside, Refusal)
    assert [one.period_id for one in inside[1].placements] == [period.id for period in of_day(school, on).periods]


def test_an_adult_who_is_absent_on_a_date_is_none_of_the_decider() -> None:
    ill = staff(1)[0].staff_id
    for on, there in ((TUESDAY, True), (WEDNESDAY, False)):
        events = decided(RepairDay(SCHOOL, on, TUESDAY, 0), STATE, parameters(told(DayResources(on=WEDNESDAY, absent=(ill,)))))
        assert not isinstance(events, Refusal)
        assert (ill in {session.staff_id for session in events[0].sessions}) is there


def test_periods_of_a_date_that_have_begun_stay_as_they_were() -> None:
    problem = problem_of(USUAL, WEDNESDAY, STATE, 0)
    before = days_of(plan(problem), USUAL, STATE.demands, {}, 0)
    running = DayState(demands=STATE.demands, staff=STATE.staff, days=before, anew=False)
    school = told(DayResources(on=WEDNESDAY, periods=USUAL.periods[:3]))
    events = decided(RepairDay(SCHOOL, WEDNESDAY, WEDNESDAY, 2), running, parameters(school))
    assert not isinstance(events, Refusal)
    assert all(event.placements[:2] == before[event.learner_id][:2] and len(event.placements) == 3 for event in events[1:])


def test_periods_of_a_date_begin_when_they_do_on_it() -> None:
    late = tuple(
        Period(id=period.id, starts=f"{10 + number}:00", ends=f"{10 + number}:30", subject=period.subject)
        for number, period in enumerate(USUAL.periods)
    )
    school = told(DayResources(on=WEDNESDAY, periods=late))
    assert [begun_periods(school, on, datetime(on.year, on.month, on.day, 10, tzinfo=UTC)) for on in (TUESDAY, WEDNESDAY)] == [3, 1]


def test_what_is_told_of_a_date_is_in_place_of_what_was_and_others_stay() -> None:
    first = changed(told(DayResources(on=TUESDAY, absent=(UUID(int=1),))), HALF, "", TUESDAY)
    assert [one.on for one in first.days] == [TUESDAY, WEDNESDAY]
    assert changed(first, HALF, "", TUESDAY) is first, "the same again"
    snow = DayResources(on=WEDNESDAY, closed=True)
    second = changed(first, snow, base_of(told_of(first, WEDNESDAY)), TUESDAY)
    assert second.days == (first.days[0], snow)
    usual = changed(second, DayResources(on=WEDNESDAY), base_of(snow), TUESDAY)
    assert usual.days == first.days[:1]
    assert base_of(told_of(usual, WEDNESDAY)) == ""


@pytest.mark.parametrize("base", ["", "0" * 64])
def test_of_two_who_change_a_date_the_later_one_is_asked_to_look(base: str) -> None:
    with pytest.raises(Refused) as refused:
        changed(told(HALF), DayResources(on=WEDNESDAY, absent=(UUID(int=1),)), base, TUESDAY)
    assert (refused.value.code, "look at it with GET" in str(refused.value)) == ("changed", True)


@pytest.mark.parametrize(("on", "code"), [(TUESDAY - timedelta(days=1), "over"), (TUESDAY + timedelta(days=401), "too-far")])
def test_dates_that_are_over_or_far_ahead_are_refused(on: date, code: str) -> None:
    with pytest.raises(Refused) as refused:
        changed(USUAL, DayResources(on=on, closed=True), "", TUESDAY)
    assert refused.value.code == code


def test_periods_of_today_that_have_begun_are_told_first_as_they_were() -> None:
    ten = datetime(2026, 11, 24, 8, 50, tzinfo=UTC)
    assert begun_periods(USUAL, TUESDAY, ten) == 2
    older = USUAL.model_copy(update={"periods": (Period(id="p", starts="0\uff18:5\u0660", ends="10:00"),)})  # 08:50.
    assert [begun_periods(older, TUESDAY, ten - timedelta(minutes=ago)) for ago in (1, 0)] == [0, 1], "what older releases took is read"
    for given in (USUAL.periods[1:], USUAL.periods[:1]):
        for after in (told(DayResources(on=TUESDAY, periods=given)), USUAL.model_copy(update={"periods": given})):
            with pytest.raises(Refused) as refused:
                refuse_other_hours(USUAL, after, TUESDAY, ten)
            assert (refused.value.code, "periods p0, p1 have begun" in str(refused.value)) == ("begun", True)
            refuse_other_hours(USUAL, after, WEDNESDAY, ten)
    refuse_other_hours(USUAL, told(DayResources(on=TUESDAY, periods=USUAL.periods[:2])), TUESDAY, ten)
    refuse_other_hours(USUAL, USUAL.model_copy(update={"timezone": "Asia/Seoul"}), TUESDAY, ten)


def test_dates_that_are_over_are_forgotten_but_that_a_day_was_closed() -> None:
    snow, over = (
        DayResources(on=WEDNESDAY + timedelta(days=ahead), closed=closed, reason="x") for ahead, closed in ((0, True), (1, False))
    )
    school = told(snow, over)
    assert kept(school, over.on) == school
    assert kept(school, over.on + timedelta(days=1)).days == (snow,)
    assert kept(school, WEDNESDAY + timedelta(days=401)).days == ()


def test_what_is_over_stays_as_it_was_as_far_as_there_is_room() -> None:
    over = [DayResources(on=WEDNESDAY - timedelta(days=ago), closed=True) for ago in (3, 2, 1)]
    half = HALF.model_copy(update={"on": WEDNESDAY - timedelta(days=4)})
    before, today = told(half, *over), WEDNESDAY
    coming = [DayResources(on=WEDNESDAY + timedelta(days=ahead), reason="x") for ahead in range(MAX_DATED)]
    assert with_past(before, told(), today).days == tuple(over)
    assert with_past(before, told(DayResources(on=over[0].on, reason="x"), *coming[:1]), today).days == (*over, coming[0])
    assert with_past(before, told(DayResources(on=half.on, closed=True)), today).days == tuple(over), "it was not closed"
    assert with_past(before, told(*coming[1:]), today).days == (over[-1], *coming[1:]), "the latest"
    assert with_past(before, told(*coming), today).days == tuple(coming)
    for days in (coming[:5], coming):
        after = with_past(before, told(*days), today)
        assert SchoolResources.model_validate(after.model_dump()) == after, "what is stored can be read again"


def test_what_is_over_goes_where_the_school_would_be_too_large_for_its_page(monkeypatch: pytest.MonkeyPatch) -> None:
    snow = DayResources(on=WEDNESDAY - timedelta(days=1), closed=True)
    fits = bytes_of(told(snow))
    for most, days in ((fits, (snow,)), (fits - 1, ())):
        monkeypatch.setattr(dated, "MAX_SCHOOL_BYTES", most)
        assert with_past(told(snow), told(), WEDNESDAY).days == days


AT = "/schools/0/days/0"
BAD: list[tuple[tuple[dict[str, object], ...], str, str]] = [
    (({"closed_spaces": ("s99",)},), f"{AT}/closed_spaces/0", "unknown-reference"),
    (({"staff": ({"staff_id": UUID(int=1), "away": ("p9",)},)},), f"{AT}/staff/0/away", "unknown-reference"),
    (({"periods": periods(2), "staff": ({"staff_id": UUID(int=1), "away": ("p3",)},)},), f"{AT}/staff/0/away", "unknown-reference"),
    (({"periods": (periods(2)[1], periods(2)[0])},), f"{AT}/periods/1/starts", "out-of-order"),
    (({"periods": (periods(1)[0], periods(1)[0])},), f"{AT}/periods/1/id", "duplicate"),
    (({"closed": True}, {"reason": "snow"}), "/schools/0/days/1/on", "duplicate"),
]  # fmt: skip


@pytest.mark.parametrize(("days", "place", "code"), BAD)
def test_what_is_wrong_with_a_date_is_told_with_its_place(days: tuple[dict[str, object], ...], place: str, code: str) -> None:
    school = told(*(DayResources.model_validate({"on": WEDNESDAY, **one}) for one in days))
    assert (place, code) in [(fault.place, fault.code) for fault in faults_of([school])]
    assert not faults_of([told(HALF, DayResources(on=TUESDAY, closed_spaces=("s00",)))])


def test_a_school_without_dates_is_written_as_before() -> None:
    assert "days" not in USUAL.model_dump(mode="json", exclude_defaults=True)
