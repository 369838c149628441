"""The checker finds each kind of violation that is planted in a sound day."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest

from services.scheduling.checker import Inputs, check, value_of
from services.scheduling.grouping import Problem, plan
from shared.contracts.profile import Modality
from shared.contracts.scheduling import Demand, Placement, Use
from tests.scheduling.school import applied, learner, made_demands, made_school, staff

SCHOOL = made_school(6, 60, 3, 8)
STAFF = staff(12)
DEMANDS = {who: one.model_copy(update={"check_in": int(who) % 10 == 0}) for who, one in made_demands(6, 40, competencies=5).items()}
DAYS = {who: tuple(day) for who, day in applied(Problem(SCHOOL, STAFF, DEMANDS, {}), plan(Problem(SCHOOL, STAFF, DEMANDS, {}))).items()}
INPUTS = Inputs(SCHOOL, STAFF, DEMANDS)
Days = dict[UUID, tuple[Placement, ...]]


def found(days: Days, inputs: Inputs = INPUTS) -> set[str]:
    return {violation.code for violation in check(inputs, days).violations}


def first(use: Use) -> tuple[UUID, int]:
    """Somebody who is in such a session, and in which period."""
    return next((who, number) for who in sorted(DAYS) for number, one in enumerate(DAYS[who]) if one.use is use)


def members(of: Placement) -> list[UUID]:
    place = (of.period_id, of.space_id, of.zone_id)
    return [who for who in sorted(DAYS) for one in DAYS[who] if (one.period_id, one.space_id, one.zone_id) == place]


def changed(who: UUID, number: int, **update: object) -> Days:
    day = list(DAYS[who])
    day[number] = day[number].model_copy(update=update)
    return {**DAYS, who: tuple(day)}


def all_changed(of: Placement, **update: object) -> Days:
    """Everybody in a session, changed alike."""
    days = dict(DAYS)
    for who in members(of):
        days[who] = tuple(
            one.model_copy(update=update) if one.period_id == of.period_id and one.use is of.use else one for one in DAYS[who]
        )
    return days


def moved_to(who: UUID, number: int, target: Placement) -> Days:
    """Her placement, put into another session's zone and under its adult."""
    copied = ("space_id", "zone_id", "staff_id", "use", "competency_id", "modality")
    return changed(who, number, **{name: getattr(target, name) for name in copied})


GROUP_WHO, GROUP_AT = first(Use.GROUP)
GROUP = DAYS[GROUP_WHO][GROUP_AT]
ALONE_WHO, ALONE_AT = first(Use.INDEPENDENT)
ALONE = DAYS[ALONE_WHO][ALONE_AT]
TALK_WHO, TALK_AT = first(Use.CHECK_IN)


def other_session(period_id: str, but: Placement) -> Placement:
    return next(
        one for who in sorted(DAYS) for one in DAYS[who]
        if one.period_id == period_id and one.use and (one.space_id, one.zone_id) != (but.space_id, but.zone_id)
    )  # fmt: skip


def too_small() -> Days:
    """All but one of a group are sent home."""
    days = dict(DAYS)
    for who in members(GROUP)[1:]:
        days[who] = tuple(
            Placement(period_id=GROUP.period_id)
            if one == GROUP.model_copy(update={"activity_id": one.activity_id, "reason": one.reason})
            else one
            for one in DAYS[who]
        )
    return days


def crowd(use: Use) -> Days:
    """Everybody is put into one session."""
    who, at = first(use)
    target = DAYS[who][at]
    days = dict(DAYS)
    for one in sorted(DAYS):
        days[one] = tuple(target if placed.period_id == target.period_id else placed for placed in DAYS[one])
    return days


PLANTED: list[tuple[str, Callable[[], Days]]] = [
    ("learner-twice", lambda: {**DAYS, GROUP_WHO: (*DAYS[GROUP_WHO], GROUP)}),
    ("period-missing", lambda: {**DAYS, GROUP_WHO: DAYS[GROUP_WHO][1:]}),
    ("unknown-period", lambda: {**DAYS, GROUP_WHO: (*DAYS[GROUP_WHO], Placement(period_id="p9"))}),
    ("learner-missing", lambda: {who: day for who, day in DAYS.items() if who != GROUP_WHO}),
    ("unknown-learner", lambda: {**DAYS, learner(999): DAYS[GROUP_WHO]}),
    ("unknown-zone", lambda: all_changed(GROUP, zone_id="nowhere")),
    ("over-capacity", lambda: crowd(Use.INDEPENDENT)),
    ("too-large", lambda: crowd(Use.GROUP)),
    ("too-large", lambda: crowd(Use.CHECK_IN)),
    ("too-small", too_small),
    ("no-rule", lambda: all_changed(GROUP, modality=Modality.VIDEO)),
    ("zone-twice", lambda: changed(GROUP_WHO, GROUP_AT, competency_id="other")),
    ("no-adult", lambda: all_changed(GROUP, staff_id=None)),
    ("adult-twice", lambda: all_changed(GROUP, staff_id=other_session(GROUP.period_id, GROUP).staff_id)),
    ("unknown-adult", lambda: all_changed(GROUP, staff_id=UUID(int=3))),
    ("not-her-need", lambda: changed(ALONE_WHO, ALONE_AT, competency_id="other")),
    ("not-her-need", lambda: changed(GROUP_WHO, GROUP_AT, competency_id="")),
    ("not-her-option", lambda: changed(GROUP_WHO, GROUP_AT, activity_id="other")),
    ("not-her-option", lambda: changed(ALONE_WHO, ALONE_AT, modality=Modality.PROJECT)),
    ("not-asked", lambda: changed(TALK_WHO, TALK_AT) | {_unasked(): _talking(_unasked())}),
]  # fmt: skip


def _unasked() -> UUID:
    return next(who for who in sorted(DAYS) if not DEMANDS[who].check_in)


def _talking(who: UUID) -> tuple[Placement, ...]:
    talk = DAYS[TALK_WHO][TALK_AT]
    return tuple(talk if one.period_id == talk.period_id else one for one in DAYS[who])


def test_a_sound_day_has_no_violation() -> None:
    assert check(INPUTS, DAYS).violations == ()


@pytest.mark.parametrize(("code", "planted"), PLANTED, ids=[f"{code}-{number}" for number, (code, _) in enumerate(PLANTED)])
def test_each_planted_violation_is_found(code: str, planted: Callable[[], Days]) -> None:
    assert code in found(planted())


def test_an_adult_who_is_away_is_found() -> None:
    away = [one.model_copy(update={"away": (GROUP.period_id,)}) if one.staff_id == GROUP.staff_id else one for one in STAFF]
    assert found(DAYS, Inputs(SCHOOL, away, DEMANDS)) == {"adult-away"}


def test_a_group_is_led_by_an_adult_who_teaches_its_subject_where_its_rule_says_so() -> None:
    strict = SCHOOL.model_copy(update={"rules": tuple(rule.model_copy(update={"qualified": True}) for rule in SCHOOL.rules)})
    nobody = [one.model_copy(update={"subjects": ("art",)}) if one.staff_id == GROUP.staff_id else one for one in STAFF]
    places = [str(one) for one in check(Inputs(strict, nobody, DEMANDS), DAYS).violations if one.code == "not-qualified"]
    place = f"{GROUP.period_id}/{GROUP.space_id}/{GROUP.zone_id}: the adult does not teach"
    assert any(one.startswith(place) for one in places)
    assert found(DAYS, Inputs(SCHOOL, nobody, DEMANDS)) == set()


def test_what_is_done_in_groups_is_not_done_alone() -> None:
    alone = all_changed(GROUP, use=Use.INDEPENDENT)
    assert found(alone) == {"not-alone"}


def test_a_violation_names_its_place() -> None:
    days = all_changed(GROUP, zone_id="nowhere")
    assert [str(one) for one in check(INPUTS, days).violations] == [
        f"{GROUP.period_id}/{GROUP.space_id}/nowhere: the school has no such zone"
    ]


def test_periods_that_have_begun_are_not_checked_again() -> None:
    days = all_changed(GROUP, zone_id="nowhere")
    begun = 1 + [period.id for period in SCHOOL.periods].index(GROUP.period_id)
    assert found(days, Inputs(SCHOOL, STAFF, DEMANDS, begun)) == set()


def test_the_value_falls_with_each_learner_who_is_unserved_and_each_talk_that_is_missed() -> None:
    value = value_of(INPUTS, DAYS)
    without = {**DAYS, GROUP_WHO: tuple(Placement(period_id=one.period_id) for one in DAYS[GROUP_WHO])}
    assert value_of(INPUTS, without) < value - 40 * len(SCHOOL.periods)
    talk = changed(TALK_WHO, TALK_AT, use=Use.INDEPENDENT)
    assert value_of(INPUTS, talk) == value - 100


def test_who_is_at_the_school_with_nothing_on_her_path_has_a_day_and_who_is_gone_has_none() -> None:
    here = Demand(learner_id=learner(998), version=1, path_empty=True)
    gone = Demand(learner_id=learner(999), version=1)
    inputs = Inputs(SCHOOL, STAFF, DEMANDS | {here.learner_id: here, gone.learner_id: gone})
    assert [str(one) for one in check(inputs, DAYS).violations] == [
        f"learner/{here.learner_id}: she is at the school, and nothing says where"
    ]
    unserved = {**DAYS, here.learner_id: tuple(Placement(period_id=period.id) for period in SCHOOL.periods)}
    assert check(inputs, unserved).violations == ()
    assert value_of(inputs, unserved) == value_of(INPUTS, DAYS) - 40 * len(SCHOOL.periods)
    late = {**DAYS, here.learner_id: tuple(Placement(period_id=one.id, begun=at < 2) for at, one in enumerate(SCHOOL.periods))}
    assert value_of(inputs, late) == value_of(INPUTS, DAYS) - 40 * (len(SCHOOL.periods) - 2), "two periods had begun without her"


def test_the_value_counts_first_needs_and_first_options_most() -> None:
    worth = []
    for need in DEMANDS[ALONE_WHO].needs[:2]:
        for option in need.options[:2]:
            told = changed(ALONE_WHO, ALONE_AT, competency_id=need.competency_id, activity_id=option.activity_id)
            worth.append(value_of(INPUTS, told))
    if not any(need.chosen for need in DEMANDS[ALONE_WHO].needs[:2]):
        assert worth == sorted(worth, reverse=True)
    assert len(set(worth)) == 4
