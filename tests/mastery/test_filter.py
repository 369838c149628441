"""The estimate: formulas worked out by hand, and what must hold whatever the numbers."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.mastery.calibration import DEFAULT
from services.mastery.filter import MAX_LOGIT, SMALLEST_VARIANCE, Normal, carried, faded, predict, repeated, unseen, update

NUMBERS = DEFAULT.numbers
means = st.floats(-12, 12)
beliefs = st.builds(Normal, means, st.floats(0.001, 2.0))
competencies = st.lists(st.builds(Normal, means, st.floats(0.001, NUMBERS.competency_variance)), min_size=1, max_size=5)
shares = st.floats(0, 1)
precisions = st.floats(0.1, 5)


def test_an_answer_is_expected_as_worked_out_by_hand() -> None:
    # z = 0.5 + 0.2 - 0.1 + (0.6 + 0.2) / 2 = 1.0; V = 0.3 + 0.1 + (0.2 + 0.2) / 4 = 0.5; 1 / sqrt(1.19635) = 0.914263
    expected = predict(0.5, Normal(0.2, 0.3), Normal(-0.1, 0.1), [Normal(0.6, 0.2), Normal(0.2, 0.2)])
    assert expected.logit == pytest.approx(1.0)
    assert expected.variance == pytest.approx(0.5)
    assert expected.share == pytest.approx(0.713872, abs=1e-6)


def test_one_step_moves_every_part_as_worked_out_by_hand() -> None:
    # p0 = 0.5, w = 2 * 0.25 = 0.5, V = 0.4 + 0.1 + 0.4 / 4 = 0.6, w V + 1 = 1.3, err = 2 * 0.5 / 1.3 = 0.769231.
    general, form, known = Normal(0.0, 0.4), Normal(0.0, 0.1), [Normal(0.1, 0.2), Normal(-0.1, 0.2)]
    after = update(predict(0.0, general, form, known), 1.0, 2.0, general, form, known, NUMBERS)
    assert after.general.mean == pytest.approx(0.4 * 0.769231, abs=1e-6)
    assert after.general.variance == pytest.approx(0.4 - 0.16 * 0.5 / 1.3 + NUMBERS.general_noise)
    assert after.form == pytest.approx((0.0769231, 0.1 - 0.01 * 0.5 / 1.3))
    first = after.competencies[0]  # Its covariance with the logit is half its variance: there are two of them.
    assert first.mean == pytest.approx(0.1 + 0.1 * 0.769231 + NUMBERS.gain_right, abs=1e-6)
    assert first.variance == pytest.approx(0.2 - 0.01 * 0.5 / 1.3 + NUMBERS.competency_noise)


def test_two_competencies_in_one_item_are_one_observation() -> None:
    general, form = Normal(0.0, 0.5), Normal(0.0, 0.1)
    one, two = [Normal(0.0, 0.2)], [Normal(0.0, 0.2)] * 2
    of_one = update(predict(0.0, general, form, one), 1.0, 1.0, general, form, one, NUMBERS)
    of_two = update(predict(0.0, general, form, two), 1.0, 1.0, general, form, two, NUMBERS)
    assert of_two.competencies[0].mean < of_one.competencies[0].mean
    assert of_two.competencies[0].variance > of_one.competencies[0].variance


def test_memory_fades_and_doubt_grows_up_to_that_of_the_unseen() -> None:
    then = Normal(1.0, 0.1)
    now = faded(then, 9.0, NUMBERS)
    assert now.mean == pytest.approx(10.0**-NUMBERS.fade)
    assert now.variance == pytest.approx(0.1 + NUMBERS.time_noise * math.log(10.0))
    assert faded(then, 1e12, NUMBERS).variance == pytest.approx(NUMBERS.competency_variance, rel=0.05)
    assert faded(Normal(1.0, NUMBERS.competency_variance), 1e9, NUMBERS).variance == NUMBERS.competency_variance
    assert faded(then, -3.0, NUMBERS) == faded(then, 0.0, NUMBERS) == then


def test_an_unseen_competency_starts_from_its_prerequisites_and_full_doubt() -> None:
    assert unseen([], NUMBERS) == Normal(0.0, NUMBERS.competency_variance)
    assert unseen([Normal(1.0, 0.1), Normal(0.0, 0.1)], NUMBERS) == Normal(
        0.5 * NUMBERS.prerequisite_weight, NUMBERS.competency_variance
    )  # fmt: skip


def test_an_item_is_remembered_less_as_days_pass() -> None:
    assert repeated(1.0, 0, 0.0, NUMBERS) == 0.0
    fresh, later = repeated(1.0, 1, 0.0, NUMBERS), repeated(1.0, 1, 30.0, NUMBERS)
    assert fresh == pytest.approx(NUMBERS.repeat_outcome + NUMBERS.repeat_count * math.log(2.0))
    assert 0.0 < later < fresh
    assert repeated(0.0, 1, 0.0, NUMBERS) < 0.0 < repeated(0.0, 200, 0.0, NUMBERS)
    assert repeated(1.0, 1, -5.0, NUMBERS) == fresh


def test_the_form_of_the_day_goes_back_to_none() -> None:
    form = Normal(1.0, 0.0)
    for _ in range(200):
        form = carried(form, NUMBERS)
    assert form.mean == pytest.approx(0.0, abs=1e-6)
    assert form.variance == pytest.approx(NUMBERS.form_noise / (1 - NUMBERS.form_keep**2), rel=1e-3)


@given(beliefs, beliefs, competencies, st.floats(-10, 10), shares, precisions)
def test_variance_stays_positive_and_the_expectation_in_range(
    general: Normal, form: Normal, known: list[Normal], offset: float, share: float, precision: float
) -> None:  # fmt: skip
    expected = predict(offset, general, form, known)
    assert 0.0 <= expected.share <= 1.0
    after = update(expected, share, precision, general, form, known, NUMBERS)
    for belief in (after.general, after.form, *after.competencies):
        assert belief.variance >= SMALLEST_VARIANCE
        assert -MAX_LOGIT <= belief.mean <= MAX_LOGIT
    assert all(belief.variance <= NUMBERS.competency_variance for belief in after.competencies)


@given(beliefs, beliefs, competencies, st.floats(-10, 10), shares, shares, precisions)
def test_a_better_score_never_lowers_a_mean(
    general: Normal, form: Normal, known: list[Normal], offset: float, one: float, other: float, precision: float
) -> None:  # fmt: skip
    worse, better = sorted((one, other))
    assume(worse < better)
    expected = predict(offset, general, form, known)
    low = update(expected, worse, precision, general, form, known, NUMBERS)
    high = update(expected, better, precision, general, form, known, NUMBERS)
    assert high.general.mean >= low.general.mean
    assert high.form.mean >= low.form.mean
    assert all(up.mean >= down.mean for up, down in zip(high.competencies, low.competencies, strict=True))


@given(beliefs, beliefs, competencies, st.floats(-10, 10), shares, precisions)
def test_evidence_alone_never_adds_doubt(
    general: Normal, form: Normal, known: list[Normal], offset: float, share: float, precision: float
) -> None:  # fmt: skip
    after = update(predict(offset, general, form, known), share, precision, general, form, known, NUMBERS)
    assert after.general.variance <= general.variance + NUMBERS.general_noise + 1e-12
    assert after.form.variance <= form.variance + 1e-12
    for before, now in zip(known, after.competencies, strict=True):
        assert now.variance <= before.variance + NUMBERS.competency_noise + 1e-12


def test_a_hopeless_item_moves_nothing_much() -> None:
    general, form, known = Normal(-30.0, 0.5), Normal(-30.0, 0.1), [Normal(-30.0, 0.2)]
    after = update(predict(-30.0, general, form, known), 0.0, 1.0, general, form, known, NUMBERS)
    assert after.general.mean == pytest.approx(-30.0)
    assert after.competencies[0].mean == pytest.approx(-30.0 + NUMBERS.gain_wrong)
