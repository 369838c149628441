"""When what is mastered is due to be shown again, held against a look at every single day."""

import random
from math import sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.mastery.commands import CountEvidence
from services.mastery.inputs import MAX_DUE_DAYS, Inputs, inputs_of
from services.mastery.state import FAR, LEVELS, Belief, Row, State, minute_of
from services.mastery.weigh import apply, score_at, weigh
from shared.contracts.envelope import MICRO
from shared.contracts.mastery import Level, LevelChanged
from shared.exact import sigmoid
from tests.mastery.samples import competency, counted, evidence, parameters
from tests.mastery.test_domain import asked, strong

SHIPPED = inputs_of(parameters())
FADING = inputs_of(parameters(fade_e6=300_000, time_noise_e6=50_000))
"""As much as a calibration may hold of both."""
MINUTE, DAY = 1_000, 1_440
variances = st.integers(10_000, 250_000)


def mastered(mean: int, variance: int, wide: int, above: float, inputs: Inputs) -> tuple[tuple[int, int], Row]:
    """Return the general level and a competency that together lie this many deviations above the bar of re-verification."""
    policy, easiness = inputs.policy, inputs.calibration.reference_of(competency(1))
    logit = policy.bar_logit + (policy.verify_z + above) * sqrt((wide + variance) / MICRO) - easiness
    return (round(logit * MICRO) - mean, wide), Row(b"", mean, variance, MINUTE, 0, 1, 2, 3, 9, 3, 1, 3, 0, 0, 0, 0)


def below(general: tuple[int, int], row: Row, inputs: Inputs) -> list[bool]:
    """Return for each day whether it is below the bar."""
    days = range(MAX_DUE_DAYS + 1)
    return [score_at(competency(1), general, row, MINUTE + day * DAY, inputs)[1] < inputs.policy.verify_z for day in days]


@pytest.mark.parametrize("inputs", [SHIPPED, FADING], ids=["shipped", "fading"])
@settings(deadline=None, max_examples=50)
@given(mean=st.integers(-1_000_000, 1_500_000), variance=variances, wide=variances, above=st.floats(0.001, 2.0))
def test_the_due_day_is_the_first_of_all_days_below(inputs: Inputs, mean: int, variance: int, wide: int, above: float) -> None:
    general, row = mastered(mean, variance, wide, above, inputs)
    due = inputs.due_minute(general, row, inputs.calibration.reference_of(competency(1)), inputs.policy)
    days = below(general, row, inputs)
    belief = Belief(b"", mean, variance, MINUTE)
    for day in (0, 1, 30, MAX_DUE_DAYS):
        stands = inputs.stands(general, belief, MINUTE + day * DAY, inputs.calibration.reference_of(competency(1)), inputs.policy)
        assert stands is not days[day]
    if due == FAR:
        assert not days[-1]
        assert mean < 0 or not any(days)  # Below zero it may have been below for a while.
    else:
        assert due == MINUTE + days.index(True) * DAY
        assert all(days[days.index(True) :])


def test_what_was_mastered_is_due_once_work_on_others_makes_it_doubtful() -> None:
    spec = asked(strong(0, 1))
    wrong = [evidence(100 + n, 2 + n % 4, right=False, day=9 + n * 0.5) for n in range(40)]
    spec = spec.asked(*counted(wrong))
    change = next(event for event in spec.past if isinstance(event, LevelChanged) and event.level is Level.REVERIFY)
    assert (change.competency_id, len(change.evidence_ids)) == (competency(1), 1)  # It was work that did it, not time.
    assert spec.state.told_level(competency(1)) is Level.REVERIFY
    assert spec.asked(CountEvidence(evidence(300, 1, day=30))).state.told_level(competency(1)) is Level.REVERIFY, "nothing is taken away"


@pytest.mark.parametrize("seed", range(4))
def test_nothing_stays_told_as_mastered_that_is_doubtful_by_now(seed: int) -> None:
    draw, state, inputs = random.Random(seed), State(), inputs_of(parameters(size=12))
    seen = 0
    for number in range(12 * 14):
        skill = 3.0 if number < 3 * 14 else draw.gauss(0.3, 1)
        each = evidence(number, 1 + number // 14, day=number * 0.6, right=draw.random() < sigmoid(0.6 + skill))
        apply(each, weigh(each, state, inputs), state)
        minute = minute_of(each.occurred_at)
        for name, row in state.every_row():
            if LEVELS[row.level] is Level.MASTERED:
                seen += 1
                _, score = score_at(name, state.general, row, minute, inputs)
                assert score > inputs.policy_of(name).verify_z - 0.35  # The general level moves by less than a step unseen.
    assert seen > 100
