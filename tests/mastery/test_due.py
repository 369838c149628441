"""When what is mastered is due to be shown again, held against a look at every single day."""

from math import sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.mastery.inputs import MAX_DUE_DAYS, Inputs, inputs_of
from services.mastery.state import FAR, Row
from services.mastery.weigh import score_at
from shared.contracts.envelope import MICRO
from tests.mastery.samples import competency, parameters

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
    if due == FAR:
        assert not days[-1]
        assert mean < 0 or not any(days)  # Below zero it may have been below for a while.
    else:
        assert due == MINUTE + days.index(True) * DAY
        assert all(days[days.index(True) :])
