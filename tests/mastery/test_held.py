"""What stays mastered though what is in force alone would not grant it, and what rests on that, is taken back by nothing unrelated."""

from collections.abc import Callable

import pytest

from services.mastery.commands import CountEvidence, Recalibrate
from services.mastery.domain import mastery
from services.mastery.state import HELD, State
from shared.contracts.mastery import Level
from shared.decider import Command
from shared.parameters import Parameters
from shared.testing import Spec
from tests.mastery.samples import LEARNER, competency, counted, evidence, parameters
from tests.mastery.test_amended import rescore, void
from tests.mastery.test_domain import levels, strong
from tests.mastery.test_judged import end, give

FIRST, SECOND, THIRD = competency(1), competency(2), competency(3)
LATE = CountEvidence(evidence(500, 6, day=3.3))
NEWS = [LATE, void(501), rescore(501, 0)]
Made = Callable[[], Spec[State]]
NAMES = ["late", "void", "corrected"]


def behind_a_stricter_policy() -> Spec[State]:
    """The first was mastered before the policy asked for more, the second behind it afterwards."""
    spec = Spec(mastery, parameters((1, 2))).asked(*counted(strong(0, 1)))
    spec = Spec(mastery, parameters((1, 2), version=9, scored=30), spec.past).asked(Recalibrate(LEARNER, 9))
    return spec.asked(*counted(strong(100, 2, count=40, from_day=20)))


def behind_an_override_that_ended() -> Spec[State]:
    """The second was mastered while a teacher said so of the first, the third behind the second afterwards."""
    spec = Spec(mastery, parameters((1, 2), (2, 3))).asked(*counted(strong(0, 2)), give(1, at=20, until=50), end(1, at=50))
    return spec.asked(*counted(strong(100, 3, from_day=60)))


@pytest.mark.parametrize("news", NEWS, ids=NAMES)
@pytest.mark.parametrize("made", [behind_a_stricter_policy, behind_an_override_that_ended])
def test_news_about_something_else_take_nothing_back_that_was_mastered_behind_what_is_held(made: Made, news: Command) -> None:
    spec = made().asked(CountEvidence(evidence(501, 6, day=80)))
    before = {name: spec.state.told_level(name) for name in (FIRST, SECOND, THIRD)}
    assert list(before.values()).count(Level.MASTERED) == 2
    assert not before.keys() & levels(*spec.when(news).events).keys()


@pytest.mark.parametrize("news", NEWS, ids=NAMES)
@pytest.mark.parametrize(
    "changed", [parameters((1, 2), version=9, bar_e6=990_000), parameters((3, 1), version=9)], ids=["calibration", "prerequisite"]
)
def test_news_before_and_after_her_turn_under_new_parameters_end_in_the_same(changed: Parameters, news: Command) -> None:
    spec = Spec(mastery, parameters((1, 2))).asked(*counted(strong(0, 1)), CountEvidence(evidence(501, 6, day=80)))
    spec = Spec(mastery, changed, spec.past)
    first, last = spec.asked(Recalibrate(LEARNER, 9), news), spec.asked(news, Recalibrate(LEARNER, 9))
    assert first.state == last.state
    assert last.state.told_level(FIRST) in (Level.MASTERED, Level.REVERIFY)
    assert not Spec(mastery, changed, last.past).when(Recalibrate(LEARNER, 9)).events


def test_late_work_still_shows_that_something_was_not_mastered_yet_where_parameters_changed_too() -> None:
    spec = Spec(mastery, parameters()).asked(*counted(strong(0, 1)))
    assert spec.state.told_level(FIRST) is Level.MASTERED
    late = [CountEvidence(evidence(400 + n, 1, day=1 + n / 100, right=False)) for n in range(12)]
    changed = Spec(mastery, parameters(version=9, gain_right_e6=39_000), spec.past)
    state = changed.asked(*late).state
    assert state.told_level(FIRST) not in (Level.MASTERED, Level.REVERIFY)
    row = state.row(FIRST)
    assert row is not None
    assert not row.flags & HELD


def test_a_void_of_its_own_evidence_takes_back_what_was_held() -> None:
    spec = behind_a_stricter_policy()
    for number in range(16):
        spec = spec.asked(void(number))
    assert spec.state.told_level(FIRST) is Level.UNKNOWN
