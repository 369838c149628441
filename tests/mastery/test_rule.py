"""The decision: levels, their breadth, and how they are left."""

import pytest

from services.mastery.calibration import DEFAULT
from services.mastery.filter import Normal
from services.mastery.rule import Standing, level_of, probability_e6, reference
from shared.contracts.mastery import Level

POLICY = DEFAULT.policy
BAR = 1.3862943611198906  # The logit of .80.


def standing(
    above: float, sd: float = 0.5, scored: int = 3, items: int = 2, days: int = 2, met: bool = True, share: float | None = 1.0
) -> Standing:  # fmt: skip
    """Return a standing whose mean lies `above` standard deviations above the bar."""
    return Standing(Normal(BAR + above * sd, sd * sd), scored, items, days, met, share)


def test_the_probability_is_that_of_the_normal_above_the_bar() -> None:
    assert probability_e6(Normal(BAR, 0.3), POLICY) == 500_000
    assert probability_e6(Normal(BAR + 0.5 * 1.2815515655446004, 0.25), POLICY) == 900_000
    assert probability_e6(Normal(BAR - 0.5 * 0.6744897501960817, 0.25), POLICY) == 250_000


def test_the_reference_leaves_out_form_and_memory() -> None:
    assert reference(0.5, Normal(1.0, 0.2), Normal(0.25, 0.1)) == pytest.approx((1.75, 0.3))


def test_mastered_asks_for_certainty_breadth_and_prerequisites() -> None:
    assert level_of(Level.NEARLY, standing(1.2816), POLICY) is Level.MASTERED
    assert level_of(Level.NEARLY, standing(1.2815), POLICY) is Level.NEARLY
    assert level_of(Level.NEARLY, standing(3.0, scored=2), POLICY) is Level.NEARLY
    assert level_of(Level.NEARLY, standing(3.0, items=1), POLICY) is Level.NEARLY
    assert level_of(Level.NEARLY, standing(3.0, days=1), POLICY) is Level.NEARLY
    assert level_of(Level.NEARLY, standing(3.0, met=False), POLICY) is Level.NEARLY


def test_doubt_is_told_as_doubt_never_as_a_low_level() -> None:
    assert level_of(Level.UNKNOWN, standing(-4.0, sd=0.81), POLICY) is Level.UNKNOWN
    assert level_of(Level.UNKNOWN, standing(-4.0, sd=0.79), POLICY) is Level.DEVELOPING


@pytest.mark.parametrize(("above", "level"), [(-0.01, Level.DEVELOPING), (0.01, Level.NEARLY), (1.28, Level.NEARLY)])
def test_nearly_starts_where_the_bar_is_more_likely_reached_than_not(above: float, level: Level) -> None:
    assert level_of(Level.DEVELOPING, standing(above), POLICY) is level
    assert level_of(Level.UNKNOWN, standing(above), POLICY) is level


def test_mastered_is_left_only_towards_re_verification() -> None:
    assert level_of(Level.MASTERED, standing(0.68, share=0.0), POLICY) is Level.MASTERED
    for above in (0.67, 0.0, -5.0):
        for share in (None, 0.0, 1.0):
            assert level_of(Level.MASTERED, standing(above, share=share), POLICY) is Level.REVERIFY
    assert level_of(Level.MASTERED, standing(3.0, met=False), POLICY) is Level.MASTERED


def test_a_re_verification_that_fails_takes_mastery_back() -> None:
    assert level_of(Level.REVERIFY, standing(0.5, share=0.0), POLICY) is Level.NEARLY
    assert level_of(Level.REVERIFY, standing(-2.0, share=0.79), POLICY) is Level.DEVELOPING


def test_re_verification_stays_due_until_it_fails_or_succeeds() -> None:
    assert level_of(Level.REVERIFY, standing(0.5, share=None), POLICY) is Level.REVERIFY
    assert level_of(Level.REVERIFY, standing(0.5, share=1.0), POLICY) is Level.REVERIFY
    assert level_of(Level.REVERIFY, standing(1.0, share=0.0), POLICY) is Level.REVERIFY
    assert level_of(Level.REVERIFY, standing(1.3, share=1.0), POLICY) is Level.MASTERED
