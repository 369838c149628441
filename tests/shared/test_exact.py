"""The functions of `shared.exact` against the C library, against fixed bits, and at their edges."""

import math
import struct
from fractions import Fraction
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import exact

EXP_ULPS = 2 + 1  # Ours and, for the C library we compare with, one more.
LOG_ULPS = 2 + 1
SIGMOID_ULPS = 4 + 2
finite = st.floats(allow_nan=False, allow_infinity=False)


def ulps_between(a: float, b: float) -> float:
    """Return how many spacings of floats at b lie between a and b."""
    return abs(a - b) / math.ulp(b)


@given(st.floats(-745.0, 709.7))
def test_exp_is_as_close_as_promised(x: float) -> None:
    assert ulps_between(exact.exp(x), math.exp(x)) <= EXP_ULPS


@given(st.floats(min_value=5e-324, allow_infinity=False))
def test_log_is_as_close_as_promised(x: float) -> None:
    assert ulps_between(exact.log(x), math.log(x)) <= LOG_ULPS


@given(st.floats(0.5, 2.0))
def test_log_keeps_its_accuracy_near_one(x: float) -> None:
    assert ulps_between(exact.log(x), math.log(x)) <= LOG_ULPS


@given(st.floats(1e-6, 1e6), st.floats(-20.0, 20.0))
def test_power_is_as_close_as_promised(base: float, exponent: float) -> None:
    bound = 4 + 2 * abs(exponent * math.log(base))
    assert ulps_between(exact.power(base, exponent), base**exponent) <= bound


@given(st.floats(-700.0, 700.0))
def test_sigmoid_is_as_close_as_promised(x: float) -> None:
    reference = 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
    assert ulps_between(exact.sigmoid(x), reference) <= SIGMOID_ULPS


@given(st.floats(-45.0, 45.0))
def test_normal_cdf_is_as_close_as_promised(x: float) -> None:
    reference = math.erfc(-x / math.sqrt(2)) / 2
    assert abs(exact.normal_cdf(x) - reference) <= 1e-14
    if -37 <= x <= 0:
        assert abs(exact.normal_cdf(x) / reference - 1) <= 1e-10


@given(st.floats(1e-300, 1.0, exclude_max=True))
def test_normal_quantile_is_as_close_as_promised(p: float) -> None:
    reference = NormalDist().inv_cdf(p)
    assert abs(exact.normal_quantile(p) - reference) <= 1e-14 * max(abs(reference), 1e-3)


@given(st.floats(0.001, 0.999))
def test_the_quantile_undoes_the_distribution_function(p: float) -> None:
    assert abs(exact.normal_cdf(exact.normal_quantile(p)) - p) <= 1e-14


@given(st.floats(-740.0, 705.0), st.floats(1e-12, 3.0))
def test_larger_arguments_never_give_smaller_results(x: float, step: float) -> None:
    assert exact.exp(x) <= exact.exp(x + step)
    assert exact.sigmoid(x) <= exact.sigmoid(x + step)
    assert exact.normal_cdf(x / 20) <= exact.normal_cdf((x + step) / 20) + 1e-15
    if x > 0:
        assert exact.log(x) <= exact.log(x + max(step, x * 1e-14))


@given(finite)
def test_micro_rounds_the_exact_product_half_to_even(x: float) -> None:
    assert exact.micro(x) == round(Fraction(x) * 1_000_000)


@given(st.integers(-(10**9), 10**9))
def test_micro_undoes_a_division_by_a_million(n: int) -> None:
    assert exact.micro(n / exact.MICRO) == n


@given(st.integers(-(2**30), 2**30))
def test_micro_sends_exact_halves_to_the_even_side(n: int) -> None:
    half = (2 * n + 1) / 128  # 1e6 / 128 = 7812.5, so every odd multiple ends in exactly one half.
    assert exact.micro(half) % 2 == 0
    assert abs(exact.micro(half) - half * 1e6) == 0.5


@given(st.floats())
def test_no_float_makes_exp_sigmoid_or_the_distribution_function_raise(x: float) -> None:
    for function in (exact.exp, exact.sigmoid, exact.normal_cdf):
        assert math.isnan(function(x)) == math.isnan(x)
        assert math.isnan(x) or function(x) >= 0.0


def test_the_ends_of_the_range() -> None:
    assert (exact.exp(709.79), exact.exp(math.inf), exact.exp(-746.0), exact.exp(-math.inf)) == (math.inf, math.inf, 0.0, 0.0)
    assert exact.exp(-745.13) == 5e-324
    assert (exact.sigmoid(1e308), exact.sigmoid(-1e308), exact.sigmoid(math.inf), exact.sigmoid(-math.inf)) == (1.0, 0.0, 1.0, 0.0)
    assert (exact.normal_cdf(math.inf), exact.normal_cdf(-math.inf), exact.normal_cdf(100.0), exact.normal_cdf(-100.0)) == (
        1.0,
        0.0,
        1.0,
        0.0,
    )
    assert exact.log(math.inf) == math.inf
    assert (exact.power(0.0, 0.0), exact.power(0.0, 0.5), exact.power(2.0, 2000.0), exact.power(2.0, -2000.0)) == (1.0, 0.0, math.inf, 0.0)


@pytest.mark.parametrize("x", [0.0, -0.0, -1.0, -math.inf])
def test_log_refuses_what_has_none(x: float) -> None:
    with pytest.raises(ValueError, match="above zero"):
        exact.log(x)


@pytest.mark.parametrize(("base", "exponent"), [(-1.0, 2.0), (0.0, -1.0)])
def test_power_refuses_what_has_none(base: float, exponent: float) -> None:
    with pytest.raises(ValueError, match="above zero"):
        exact.power(base, exponent)


@pytest.mark.parametrize("p", [0.0, 1.0, -0.1, 1.1, math.nan])
def test_the_quantile_refuses_what_is_no_probability(p: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        exact.normal_quantile(p)


@pytest.mark.parametrize("x", [math.nan, math.inf, -math.inf])
def test_micro_refuses_what_is_not_finite(x: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        exact.micro(x)


GOLDEN = {
    ("exp", -745.0): "0x0.0000000000001p-1022",
    ("exp", -700.5): "0x1.4ff475c68ca02p-1011",
    ("exp", -1.0): "0x1.78b56362cef38p-2",
    ("exp", -1e-09): "0x1.fffffff768fa1p-1",
    ("exp", 0.1): "0x1.1aec7b35a00d3p+0",
    ("exp", 0.5): "0x1.a61298e1e069cp+0",
    ("exp", 1.0): "0x1.5bf0a8b145769p+1",
    ("exp", 3.75): "0x1.542b2d0a266e7p+5",
    ("exp", 100.0): "0x1.3494a9b171bf4p+144",
    ("exp", 709.0): "0x1.d422d2be5dc9bp+1022",
    ("log", 5e-324): "-0x1.74385446d71c3p+9",
    ("log", 1e-10): "-0x1.7069e2aa2aa5bp+4",
    ("log", 0.5): "-0x1.62e42fefa39efp-1",
    ("log", 0.9999): "-0x1.a3738d2cf1cc2p-14",
    ("log", 1.0001): "0x1.a368d0657fcd4p-14",
    ("log", 2.0): "0x1.62e42fefa39efp-1",
    ("log", 3.0): "0x1.193ea7aad030ap+0",
    ("log", 10.0): "0x1.26bb1bbb55516p+1",
    ("log", 1e300): "0x1.5963447f87fb5p+9",
    ("sigmoid", -40.0): "0x1.39792499b1a24p-58",
    ("sigmoid", -3.3): "0x1.236630d362b35p-5",
    ("sigmoid", -0.7): "0x1.53c695abcd716p-2",
    ("sigmoid", 0.25): "0x1.1fd5992bc4b83p-1",
    ("sigmoid", 1.0): "0x1.764d4f5d5a2bdp-1",
    ("sigmoid", 2.0): "0x1.c2f7d5a8a79c9p-1",
    ("sigmoid", 12.5): "0x1.ffff82f4698c9p-1",
    ("normal_cdf", -12.0): "0x1.272b313666239p-109",
    ("normal_cdf", -5.0): "0x1.33ca2f2133831p-22",
    ("normal_cdf", -1.96): "0x1.9990c58859316p-6",
    ("normal_cdf", -0.3): "0x1.87423a677e90fp-2",
    ("normal_cdf", 0.7): "0x1.841d5715c32a7p-1",
    ("normal_cdf", 2.5758): "0x1.fd70959f2902bp-1",
    ("normal_cdf", 6.5): "0x1.ffffffffa7affp-1",
    ("normal_quantile", 1e-20): "-0x1.2865170b43a4bp+3",
    ("normal_quantile", 0.001): "-0x1.8b8cbb7204470p+1",
    ("normal_quantile", 0.3): "-0x1.0c7e39582c5fap-1",
    ("normal_quantile", 0.8): "0x1.aee8fa73a1335p-1",
    ("normal_quantile", 0.975): "0x1.f5c0331eeff82p+0",
    ("normal_quantile", 0.99999): "0x1.10f3f8843a850p+2",
}


@pytest.mark.parametrize(("name", "argument"), GOLDEN)
def test_the_bits_never_change(name: str, argument: float) -> None:
    """Events were decided with these bits: whoever changes one changes history."""
    assert getattr(exact, name)(argument).hex() == GOLDEN[name, argument]


def test_the_bits_of_many_results_never_change() -> None:
    """A sum over the bit patterns of 4 x 2000 results, so that a change anywhere shows."""
    total = 0
    for i in range(2000):
        x = (i - 1000) / 37
        for value in (exact.exp(x), exact.sigmoid(x), exact.log(abs(x) + 0.001), exact.normal_cdf(x)):
            total = (total * 31 + int.from_bytes(struct.pack(">d", value), "big")) % (1 << 64)
    assert f"{total:016x}" == "838f49f8bd21989e"
