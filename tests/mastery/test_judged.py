"""What people say against the estimate, what keeps what was mastered, when it is due, and when a person is needed."""

import random
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import strategies as st

from services.mastery.calibration import CALIBRATION
from services.mastery.codec import encode
from services.mastery.commands import (
    CountEvidence,
    EndOverride,
    GiveOverride,
    Recalibrate,
    WaivePrerequisite,
    WithdrawWaiver,
)
from services.mastery.domain import mastery
from services.mastery.framework import FRAMEWORK
from services.mastery.inputs import inputs_of
from services.mastery.policy import POLICY, read_policies
from services.mastery.state import CODES, HELD, MAX_OVERRIDES, MAX_WAIVERS, STUCK
from services.mastery.weigh import score_at
from shared.contracts.evidence import EvidenceRecorded, Kind
from shared.contracts.mastery import (
    Author,
    Level,
    LevelChanged,
    LevelHeld,
    OverrideEnded,
    OverrideGiven,
    PersonNeeded,
    PrerequisiteWaived,
    Reason,
    WaiverWithdrawn,
)
from shared.parameters import Parameters
from shared.testing import Spec, check_decider, in_force
from tests.mastery.samples import LEARNER, MONDAY, competency, counted, entries, evidence, evidence_sets, framework, parameters
from tests.mastery.test_amended import void
from tests.mastery.test_domain import CHAIN, PLAIN, asked, levels, strong

TEACHER = UUID("0a000000-0000-4000-8000-000000000002")
SAID: dict[str, Any] = {"author_id": TEACHER, "role": Author.TEACHER, "reason": Reason.SHOWN_IN_PERSON}


def day(number: float) -> datetime:
    return MONDAY + timedelta(days=number)


def give(about: int, level: Level = Level.MASTERED, at: float = 20, until: float = 50) -> GiveOverride:
    given = OverrideGiven(learner_id=LEARNER, competency_id=competency(about), level=level, at=day(at), until=day(until), **SAID)
    return GiveOverride(given)


def end(about: int, at: float, author: UUID | None = None) -> EndOverride:
    role = Author.TEACHER if author else None
    return EndOverride(OverrideEnded(learner_id=LEARNER, competency_id=competency(about), at=day(at), author_id=author, role=role))


def waive(about: int, before: int) -> WaivePrerequisite:
    about_id, before_id = competency(about), competency(before)
    return WaivePrerequisite(PrerequisiteWaived(learner_id=LEARNER, competency_id=about_id, prerequisite_id=before_id, at=day(30), **SAID))


def withdraw(about: int, before: int) -> WithdrawWaiver:
    about_id, before_id = competency(about), competency(before)
    return WithdrawWaiver(WaiverWithdrawn(learner_id=LEARNER, competency_id=about_id, prerequisite_id=before_id, at=day(40), **SAID))


def changes(*events: object) -> list[tuple[Level, Level, bool]]:
    return [(event.before, event.level, event.override) for event in events if isinstance(event, LevelChanged)]


def with_policy(*policies: dict[str, Any], links: tuple[tuple[int, int], ...] = (), families: dict[int, str] | None = None) -> Parameters:
    """Return the shipped calibration, a framework whose competencies belong to these families, and a district's policies."""
    items = [known | {"family": (families or {}).get(n, "")} for n, known in enumerate(framework(*links), 1)]
    return in_force((FRAMEWORK, items), (CALIBRATION, entries()), (POLICY, read_policies({"policies": list(policies)}, MONDAY)), version=4)


# Overrides ---------------------------------------------------------------------------------------------------------------------------


def test_a_persons_level_wins_is_shown_as_such_and_the_estimate_goes_on_beneath() -> None:
    spec = asked([evidence(1), evidence(2, day=1)])
    given = spec.when(give(1))
    assert changes(*given.events) == [(Level.UNKNOWN, Level.MASTERED, True)]
    after = spec.given(*given.events).asked(*counted([evidence(10 + n, 1, right=False, day=3 + n) for n in range(6)]))
    assert changes(*after.past[len(spec.past) + len(given.events) :]) == []
    assert [type(event) for event in after.past if isinstance(event, LevelHeld)]
    assert after.state.told_level(competency(1)) is Level.MASTERED
    assert after.state.own_level(competency(1)) is Level.DEVELOPING
    assert after.state.row(competency(1)) == asked(
        [evidence(1), evidence(2, day=1), *(evidence(10 + n, 1, right=False, day=3 + n) for n in range(6))]
    ).state.row(competency(1))


def test_an_override_ends_at_its_time_and_not_before_and_the_estimates_level_is_told_again() -> None:
    spec = asked([evidence(n, right=False, day=n) for n in range(6)]).asked(give(1, at=20, until=50))
    spec.when(end(1, at=49.9)).then_nothing()
    ended = spec.when(end(1, at=50))
    assert changes(*ended.events) == [(Level.MASTERED, Level.DEVELOPING, False)]
    spec.given(*ended.events).when(end(1, at=51)).then_nothing()


def test_an_override_is_withdrawn_by_a_person_at_any_time_once() -> None:
    spec = asked([evidence(1)]).asked(give(1))
    withdrawn = spec.when(end(1, at=21, author=TEACHER))
    assert changes(*withdrawn.events) == [(Level.MASTERED, Level.UNKNOWN, False)]
    spec.given(*withdrawn.events).when(end(1, at=22, author=TEACHER)).then_refused("no-override")
    asked([evidence(1)]).when(end(1, at=22, author=TEACHER)).then_refused("no-override")


def test_an_override_is_told_twice_once_and_a_later_one_takes_its_place() -> None:
    spec = asked([evidence(1)]).asked(give(1))
    spec.when(give(1)).then_nothing()
    second = spec.when(give(1, Level.DEVELOPING, at=22))
    assert changes(*second.events) == [(Level.MASTERED, Level.DEVELOPING, True)]


def test_an_override_that_says_what_the_estimate_says_changes_no_level() -> None:
    spec = asked(strong(0, 1))
    given = spec.when(give(1))
    given.then_types(OverrideGiven)
    spec.given(*given.events).when(end(1, at=50)).then_types(OverrideEnded)


def test_an_override_that_ends_before_it_begins_or_of_nothing_known_is_refused() -> None:
    asked([evidence(1)]).when(give(1, at=20, until=20)).then_refused("until-past")
    asked([evidence(1)]).when(give(77)).then_refused("unknown-competency")
    many = Spec(mastery, parameters()).asked(*counted([evidence(100 + n, 100 + n) for n in range(MAX_OVERRIDES + 1)]))
    many = many.asked(*(give(100 + n) for n in range(MAX_OVERRIDES)))
    many.when(give(100 + MAX_OVERRIDES)).then_refused("too-many-overrides")


def test_a_competency_that_a_person_calls_mastered_holds_nothing_back_and_what_followed_stays_after_its_end() -> None:
    spec = asked(strong(0, 2), CHAIN)
    assert levels(*spec.past) == {competency(2): Level.NEARLY}
    given = spec.when(give(1))
    assert levels(*given.events) == {competency(1): Level.MASTERED, competency(2): Level.MASTERED}
    ended = spec.given(*given.events).when(end(1, at=50))
    assert levels(*ended.events) == {competency(1): Level.UNKNOWN}
    row = ended.state.row(competency(2))
    assert row is not None
    assert row.flags & HELD


def test_what_a_person_says_of_a_prerequisite_takes_back_nothing_that_was_mastered_behind_it() -> None:
    spec = asked([*strong(0, 1), *strong(100, 2)], CHAIN)
    assert levels(*spec.past) == {competency(1): Level.MASTERED, competency(2): Level.MASTERED}
    given = spec.when(give(1, Level.DEVELOPING, at=30, until=50))
    assert levels(*given.events) == {competency(1): Level.DEVELOPING}
    assert given.state.own_level(competency(2)) is Level.MASTERED
    after = spec.given(*given.events).asked(CountEvidence(evidence(300, 3, day=31)), CountEvidence(evidence(301, 3, day=8)))
    assert after.state.told_level(competency(2)) is Level.MASTERED, "late evidence about something else does not either"
    assert levels(*after.when(end(1, at=50)).events)[competency(1)] is Level.MASTERED


# Waivers -----------------------------------------------------------------------------------------------------------------------------


def test_a_waived_prerequisite_holds_nothing_back_and_nothing_else_is_waived() -> None:
    seen = [*strong(0, 2), *strong(100, 5)]
    spec = asked(seen, CHAIN)
    waived = spec.when(waive(2, 1))
    assert levels(*waived.events) == {competency(2): Level.MASTERED}
    spec.given(*waived.events).when(waive(2, 1)).then_nothing()


def test_a_waiver_names_a_prerequisite_that_there_is() -> None:
    asked(strong(0, 2), CHAIN).when(waive(2, 4)).then_refused("no-such-prerequisite")
    asked(strong(0, 2), CHAIN).when(withdraw(2, 1)).then_refused("no-waiver")


def test_as_many_waivers_as_fit_may_each_be_said_again() -> None:
    pairs = [(about, before) for about in range(2, 20) for before in range(1, about)]
    links = parameters(*((before, about) for about, before in pairs), size=20)
    spec = Spec(mastery, links).asked(*(waive(*pair) for pair in pairs[:MAX_WAIVERS]))
    spec.when(waive(*pairs[MAX_WAIVERS - 1])).then_nothing()
    spec.when(waive(*pairs[MAX_WAIVERS])).then_refused("too-many-waivers")


def test_withdrawing_a_waiver_takes_no_mastery_back() -> None:
    spec = asked(strong(0, 2), CHAIN).asked(waive(2, 1))
    withdrawn = spec.when(withdraw(2, 1))
    assert levels(*withdrawn.events) == {}
    assert withdrawn.state.own_level(competency(2)) is Level.MASTERED
    assert withdrawn.state.waivers == ()


def test_a_waiver_and_evidence_may_come_in_any_order() -> None:
    first = Spec(mastery, CHAIN).asked(waive(2, 1), *counted(strong(0, 2)))
    then = asked(strong(0, 2), CHAIN).asked(waive(2, 1))
    assert encode(first.state) == encode(then.state)


# Keeping what was mastered -----------------------------------------------------------------------------------------------------------


def test_what_is_held_is_not_lost_to_late_evidence_about_something_else_but_to_work_that_fails() -> None:
    before = asked(strong(0, 1))
    stricter = Spec(mastery, parameters(version=9, bar_e6=990_000), before.past)
    held = stricter.given(*stricter.when(Recalibrate(LEARNER, 9)).events)
    assert held.state.own_level(competency(1)) is Level.REVERIFY
    late = held.asked(CountEvidence(evidence(60, 5, day=1.5)))
    assert late.state.own_level(competency(1)) is Level.REVERIFY
    failed = late.asked(CountEvidence(evidence(61, 1, right=False, day=30)))
    assert failed.state.own_level(competency(1)) in (Level.NEARLY, Level.DEVELOPING, Level.UNKNOWN)
    row = failed.state.row(competency(1))
    assert row is not None
    assert not row.flags & HELD


def test_what_is_held_is_lost_where_its_evidence_is_void_and_only_there() -> None:
    before = asked([*strong(0, 1), *strong(100, 2)])
    stricter = Spec(mastery, parameters(version=9, bar_e6=990_000), before.past)
    held = stricter.given(*stricter.when(Recalibrate(LEARNER, 9)).events)
    voided = held.when(void(3))
    assert voided.state.own_level(competency(1)) not in (Level.MASTERED, Level.REVERIFY)
    assert voided.state.own_level(competency(2)) is Level.REVERIFY


def test_what_stays_probable_under_new_numbers_stays_mastered_and_not_only_due() -> None:
    before = asked(strong(0, 1))
    stricter = Spec(mastery, parameters(version=9, scored=100), before.past)
    assert levels(*stricter.when(Recalibrate(LEARNER, 9)).events) == {}
    state = stricter.when(Recalibrate(LEARNER, 9)).state
    assert state.own_level(competency(1)) is Level.MASTERED


# When it is due ----------------------------------------------------------------------------------------------------------------------

FADING = parameters(fade_e6=300_000, general_variance_e6=50_000, gain_right_e6=250_000)
"""What is known lies in the competency, and fades."""


def test_the_due_minute_is_the_first_day_below_and_the_day_before_is_not() -> None:
    state, inputs = asked(strong(0, 1, count=24), FADING).state, inputs_of(FADING)
    row = state.row(competency(1))
    assert row is not None
    assert row.due > row.minute
    assert state.next_due == row.due
    policy = inputs.policy
    scores = [score_at(competency(1), state.general, row, row.due + days * 1_440, inputs)[1] for days in (-1, 0, 30)]
    assert scores[0] >= policy.verify_z > scores[1] > scores[2]


def test_it_is_told_as_due_by_the_first_evidence_behind_its_time_and_not_by_any_before() -> None:
    spec = asked(strong(0, 1, count=24), FADING)
    row = spec.state.row(competency(1))
    assert row is not None
    minutes = (row.due - 1 - MONDAY.timestamp() // 60) / 1_440
    assert competency(1) not in levels(*spec.when(CountEvidence(evidence(90, 2, day=minutes - 0.01))).events)
    later = spec.when(CountEvidence(evidence(90, 2, right=False, day=minutes + 0.1)))
    assert levels(*later.events)[competency(1)] is Level.REVERIFY
    better = spec.when(CountEvidence(evidence(90, 2, day=minutes + 0.1)))  # Good work elsewhere: it is due later.
    moved = better.state.row(competency(1))
    assert competency(1) not in levels(*better.events)
    assert moved is not None
    assert moved.due > row.due


# When a person is needed -------------------------------------------------------------------------------------------------------------


def needed(*events: object) -> list[bool]:
    return [event.needed for event in events if isinstance(event, PersonNeeded)]


def test_ten_events_on_three_days_without_progress_need_a_person_once() -> None:
    assert needed(*asked([evidence(n, right=False, day=n / 2) for n in range(11)]).past) == [True]
    assert needed(*asked([evidence(n, right=False, day=n / 2) for n in range(10)]).past) == []
    assert needed(*asked([evidence(n, right=False, day=n / 100) for n in range(30)]).past) == []
    assert needed(*asked([evidence(n, day=n / 2) for n in range(30)]).past) == []


def test_progress_ends_that_a_person_is_needed() -> None:
    spec = asked([evidence(n, right=False, day=n) for n in range(14)]).asked(*counted([evidence(100 + n, day=20 + n) for n in range(12)]))
    assert needed(*spec.past) == [True, False]


def held_back(about: int, behind: int, count: int = 14) -> list[EvidenceRecorded]:
    """Return good work about a competency until it moves no further, then work that masters the one before it: the ninth piece does."""
    plateau = [evidence(100 + n, about, score_e6=850_000, day=10 + n / 3) for n in range(count)]
    return [*strong(0, about), *plateau, *strong(200, behind, count=9, from_day=20)]


def test_what_is_mastered_by_work_on_what_held_it_back_needs_nobody() -> None:
    *seen, last = held_back(2, behind=1)
    spec = asked(seen, CHAIN)
    assert needed(*spec.past) == [True]
    events = spec.when(CountEvidence(last)).events
    assert levels(*events) == dict.fromkeys((competency(1), competency(2)), Level.MASTERED)
    told = PersonNeeded(
        learner_id=LEARNER, competency_id=competency(2), needed=False, idle=14, idle_days=5, evidence_id=last.evidence_id
    )  # fmt: skip
    assert [event for event in events if isinstance(event, PersonNeeded)] == [told]
    after = spec.given(*events)
    assert needed(*after.when(CountEvidence(evidence(300, 2, day=40))).events) == []  # It was told, and stays so.
    assert after.state == asked([*seen, last], CHAIN).state


def test_what_is_mastered_by_late_work_on_what_held_it_back_needs_nobody() -> None:
    seen = held_back(2, behind=1)
    late = seen.pop(-4)
    spec = asked(seen, CHAIN)
    assert needed(*spec.past) == [True]
    events = spec.when(CountEvidence(late)).events
    assert levels(*events) == dict.fromkeys((competency(1), competency(2)), Level.MASTERED)
    (told,) = [event for event in events if isinstance(event, PersonNeeded)]
    assert (told.competency_id, told.needed, told.idle, told.evidence_id) == (competency(2), False, 14, late.evidence_id)


@pytest.mark.parametrize("order", range(6))
def test_in_any_order_of_the_same_work_nobody_is_needed_in_the_end(order: int) -> None:
    seen = held_back(2, behind=1)
    in_order = asked(seen, CHAIN)
    random.Random(order).shuffle(seen)
    spec = asked(seen, CHAIN)
    assert encode(spec.state) == encode(in_order.state)
    told = needed(*spec.past)
    assert told == [True, False] * (len(told) // 2)  # Late work may let her go and stop her again, or be told before she is stuck.
    row = spec.state.row(competency(2))
    assert row is not None
    assert (row.level, row.flags & STUCK) == (CODES[Level.MASTERED], 0)


def test_nobody_is_asked_for_by_the_work_that_masters_what_it_is_about_in_the_end() -> None:
    seen = held_back(1, behind=2, count=9)
    both = seen.pop().model_copy(update={"competency_ids": (competency(1), competency(2))})  # The tenth without progress.
    spec = asked(seen, parameters((2, 1))).when(CountEvidence(both))
    assert levels(*spec.events) == dict.fromkeys((competency(1), competency(2)), Level.MASTERED)
    assert needed(*spec.past, *spec.events) == []
    row = spec.state.row(competency(1))
    assert row is not None
    assert (row.idle, row.flags & STUCK) == (10, 0)


# The district's policy ---------------------------------------------------------------------------------------------------------------


def test_a_family_is_judged_by_its_own_policy_and_the_others_by_the_default() -> None:
    numbers = with_policy({"family": ""}, {"family": "fluency", "scored": 20}, families={1: "fluency"})
    spec = Spec(mastery, numbers).asked(*counted(strong(0, 1, 2)))
    assert levels(*spec.past) == {competency(1): Level.NEARLY, competency(2): Level.MASTERED}


def test_every_kind_that_is_asked_for_must_have_been_seen() -> None:
    numbers = with_policy({"kinds": ["item", "observation"]})
    spec = Spec(mastery, numbers).asked(*counted(strong(0, 1)))
    assert levels(*spec.past) == {competency(1): Level.NEARLY}
    observed = spec.when(CountEvidence(evidence(90, 1, day=9, kind=Kind.OBSERVATION)))
    assert levels(*observed.events) == {competency(1): Level.MASTERED}


def test_a_repeated_item_counts_once() -> None:
    numbers = with_policy({"scored": 3, "items": 2})
    repeated = [evidence(n, 1, day=n, item=n % 2) for n in range(30)]
    assert Level.MASTERED not in levels(*Spec(mastery, numbers).asked(*counted(repeated)).past).values()


def test_a_milder_policy_lets_through_what_waited_at_the_next_sweep() -> None:
    before = Spec(mastery, with_policy({"scored": 20})).asked(*counted(strong(0, 1)))
    milder = Spec(mastery, with_policy({"scored": 3}), before.past).when(Recalibrate(LEARNER, 5))
    assert levels(*milder.events) == {competency(1): Level.MASTERED}


# All of it together ------------------------------------------------------------------------------------------------------------------


def test_the_four_properties_hold_whatever_people_say() -> None:
    said = st.sampled_from(
        (
            give(1), give(2, Level.DEVELOPING), end(1, 60), end(1, 30, TEACHER), waive(2, 1), withdraw(2, 1), waive(5, 4),
            Recalibrate(LEARNER, 7), void(2), void(5),
        )
    )  # fmt: skip

    def mixed(drawn: tuple[list[EvidenceRecorded], list[tuple[int, Any]]]) -> list[Any]:
        commands: list[Any] = [*counted(drawn[0])]
        for place, command in drawn[1]:
            commands.insert(place % (len(commands) + 1), command)
        return commands

    histories = st.tuples(evidence_sets(12), st.lists(st.tuples(st.integers(0, 30), said), max_size=5)).map(mixed)
    check_decider(mastery, histories, CHAIN, examples=50)
    check_decider(mastery, histories, PLAIN, examples=20)
