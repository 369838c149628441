"""Elementary functions that give the same bits on every machine; pure.

`math.exp` and its kin come from the C library and differ in the last bit between builds, and one bit is enough to round a decided integer
the other way. Everything here is built from operations that IEEE 754 rounds exactly: + - * /, `math.sqrt`, `math.ldexp` and `math.frexp`
within the normal range, and integers. Error bounds are stated per function; one ulp is the distance to the next float.
"""

from math import frexp, inf, isqrt, ldexp, nan, sqrt
from typing import Final

MICRO: Final = 1_000_000
"""Micro-units in one unit; names of integers in micro-units end in `_e6`."""

_FIXED_BITS: Final = 256
_STEPS: Final = 64  # exp works in steps of 2**(1/64).


def _powers_of_two() -> tuple[float, ...]:
    """Return 2**(j/64) for j in 0..63, each rounded once from integer arithmetic of 256 bits."""
    one = 1 << _FIXED_BITS
    root = one << 1
    for _ in range(6):  # Six square roots: 2, 2**(1/2), ... 2**(1/64).
        root = isqrt(root << _FIXED_BITS)
    powers = [one]
    for _ in range(_STEPS - 1):
        powers.append(powers[-1] * root >> _FIXED_BITS)
    return tuple(power / one for power in powers)


_POWERS: Final = _powers_of_two()
_STEPS_PER_UNIT: Final = float.fromhex("0x1.71547652b82fep+6")  # 64 / ln 2
_ROUND: Final = 6755399441055744.0  # 1.5 * 2**52: adding and taking it away again rounds to the nearest integer.
_STEP_HIGH: Final = float.fromhex("0x1.62e42fef80000p-7")  # ln 2 / 64, its first 34 bits: a product with n is exact ...
_STEP_LOW: Final = float.fromhex("0x1.1cf79abc9e3b4p-42")  # ... and the rest.
_LN2_HIGH: Final = float.fromhex("0x1.62e42fefa2000p-1")
_LN2_LOW: Final = float.fromhex("0x1.9ef35793c7673p-41")
_SQRT_HALF: Final = sqrt(0.5)
_SQRT_TWO_PI: Final = float.fromhex("0x1.40d931ff62706p+1")
_EXP_OVERFLOW: Final = float.fromhex("0x1.62e42fefa39efp+9")  # ln of the largest float, about 709.78
_EXP_UNDERFLOW: Final = -745.2
_SUBNORMAL_STEP: Final = ldexp(1.0, -100)
# The series of 2 artanh(s) / s, highest power first; names, because a loop over eleven terms takes three times as long.
_A23, _A21, _A19, _A17, _A15, _A13, _A11, _A9, _A7, _A5, _A3 = (2.0 / n for n in range(23, 1, -2))
_C2, _C3, _C4, _C5, _C6 = 1 / 2, 1 / 6, 1 / 24, 1 / 120, 1 / 720


def exp(x: float) -> float:
    """Return e**x within 2 ulp; `inf` above 709.78, 0.0 below -745.2, `nan` for `nan`; never raises.

    x = n ln(2)/64 + r with |r| <= 0.0055, then a table of 2**(j/64) and the Taylor polynomial of r (what it leaves out is below 4e-20).
    Where the result is not a normal float (x < -708.4) it is rounded once more, to the spacing there.

    Source: Tang (1989), ACM Transactions on Mathematical Software 15(2), 144-157: table-driven exponential.
    >>> exp(0.0), exp(1.0), exp(1000.0), exp(-1000.0)
    (1.0, 2.718281828459045, inf, 0.0)
    """
    if not _EXP_UNDERFLOW < x <= _EXP_OVERFLOW:
        return inf if x > 0.0 else 0.0 if x < 0.0 else nan
    steps = (x * _STEPS_PER_UNIT + _ROUND) - _ROUND
    n = int(steps)
    r = (x - steps * _STEP_HIGH) - steps * _STEP_LOW
    power = _POWERS[n & 63]
    grown = power + power * (r + r * r * (_C2 + r * (_C3 + r * (_C4 + r * (_C5 + r * _C6)))))
    if n > -65_000:
        return ldexp(grown, n >> 6)
    return ldexp(grown, (n >> 6) + 100) * _SUBNORMAL_STEP  # One product rounds alike everywhere; ldexp does not among subnormals.


def log(x: float) -> float:
    """Return the natural logarithm within 2 ulp; `inf` for `inf`, `nan` for `nan`.

    x = m 2**k with m in [sqrt(1/2), sqrt(2)), f = m - 1, s = f / (2 + f): log m = f - f*f/2 + s (f*f/2 + R), where
    R = 2/3 s**2 + 2/5 s**4 + ... is the rest of the series of 2 artanh(s); with 11 terms it is exact to 1e-18 (s**2 <= 0.0295).

    Raises:
        ValueError: x is zero or negative.

    Source: the series is in Abramowitz and Stegun (1964), 4.1.27; the cancellation-free arrangement is that of fdlibm (Sun, 1993).
    >>> log(1.0), log(2.0), log(10.0)
    (0.0, 0.6931471805599453, 2.302585092994046)
    """
    if not 0.0 < x < inf:
        if x <= 0.0:
            raise ValueError(f"log of {x!r}: pass a number above zero")
        return x
    mantissa, k = frexp(x)
    if mantissa < _SQRT_HALF:
        mantissa, k = mantissa * 2.0, k - 1
    f = mantissa - 1.0
    s = f / (2.0 + f)
    z = s * s
    rest = (
        (((((((((_A23 * z + _A21) * z + _A19) * z + _A17) * z + _A15) * z + _A13) * z + _A11) * z + _A9) * z + _A7) * z + _A5) * z + _A3
    ) * z
    half = 0.5 * f * f
    return k * _LN2_HIGH - ((half - (s * (half + rest) + k * _LN2_LOW)) - f)


def power(base: float, exponent: float) -> float:
    """Return base**exponent for base >= 0, as exp(exponent * log(base)).

    The relative error is at most (3 + 2 |exponent * log(base)|) ulp: fine for decay curves, not meant for base**100.
    0**0 is 1.0 and 0**positive is 0.0; too large gives `inf`, too small 0.0.

    Raises:
        ValueError: base is negative, or zero with a negative exponent.

    >>> power(2.0, 0.5), power(0.9, 0.0), power(0.0, 2.0)
    (1.4142135623730951, 1.0, 0.0)
    """
    if exponent == 0.0:
        return 1.0
    if base == 0.0 and exponent > 0.0:
        return 0.0
    if base <= 0.0:
        raise ValueError(f"power of {base!r} to {exponent!r}: pass a base above zero")
    return exp(exponent * log(base))


def sigmoid(x: float) -> float:
    """Return 1 / (1 + e**-x), in [0, 1], with a relative error of at most 4 ulp; never raises, however large |x|.

    >>> sigmoid(0.0), sigmoid(800.0), sigmoid(-800.0)
    (0.5, 1.0, 0.0)
    """
    if x >= 0.0:
        return 1.0 / (1.0 + exp(-x))
    grown = exp(x)
    return grown / (1.0 + grown)


_CDF_TOP: Final[tuple[float, ...]] = (
    3.52624965998911e-02, 0.700383064443688, 6.37396220353165, 33.912866078383, 112.079291497871, 221.213596169931, 220.206867912376,
)  # fmt: skip
_CDF_BOTTOM: Final[tuple[float, ...]] = (
    8.83883476483184e-02, 1.75566716318264, 16.064177579207, 86.7807322029461, 296.564248779674, 637.333633378831, 793.826512519948,
    440.413735824752,
)  # fmt: skip
_CDF_FAR: Final = 5.0  # standard deviations, from where the continued fraction takes over
_CDF_DEPTH: Final = 40
_CDF_EMPTY: Final = 40.0  # standard deviations: the tail is below the smallest float


def normal_cdf(x: float) -> float:
    """Return the standard normal distribution function, in [0, 1], with an absolute error of at most 1e-14.

    In the lower tail the relative error stays below 1e-10 down to x = -37; from -40 down it is 0.0; `nan` for `nan`. Never raises.

    Source: Hart et al. (1968), Computer Approximations, no. 5666, up to 5 standard deviations; beyond them Laplace's continued fraction,
    Abramowitz and Stegun (1964), 26.2.14.
    >>> normal_cdf(0.0), round(normal_cdf(1.959963984540054), 12), normal_cdf(-40.0), normal_cdf(40.0)
    (0.5, 0.975, 0.0, 1.0)
    """
    far = abs(x)
    if not far < _CDF_EMPTY:
        return 0.0 if x < 0.0 else 1.0 if x > 0.0 else nan
    high = round(far * 16.0) / 16.0  # The square of this part is exact: the rounding of far * far does not reach exp.
    density = exp(-0.5 * high * high) * exp(-0.5 * (far - high) * (far + high))
    if far < _CDF_FAR:
        tail = density * _polynomial(_CDF_TOP, far) / _polynomial(_CDF_BOTTOM, far)
    else:
        fraction = far
        for term in range(_CDF_DEPTH, 0, -1):
            fraction = far + term / fraction
        tail = density / (fraction * _SQRT_TWO_PI)
    return 1.0 - tail if x > 0.0 else tail


def _polynomial(coefficients: tuple[float, ...], x: float) -> float:
    """Return the polynomial whose coefficients are given from the highest power down."""
    value = 0.0
    for coefficient in coefficients:
        value = value * x + coefficient
    return value


_NEAR_TOP: Final[tuple[float, ...]] = (
    2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4, 1.3731693765509461125e4,
    1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080e0,
)  # fmt: skip
_NEAR_BOTTOM: Final[tuple[float, ...]] = (
    5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4, 5.3941960214247511077e3,
    6.8718700749205790830e2, 4.2313330701600911252e1, 1.0,
)  # fmt: skip
_MIDDLE_TOP: Final[tuple[float, ...]] = (
    7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258e0, 3.64784832476320460504e0,
    5.76949722146069140550e0, 4.63033784615654529590e0, 1.42343711074968357734e0,
)  # fmt: skip
_MIDDLE_BOTTOM: Final[tuple[float, ...]] = (
    1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1, 6.89767334985100004550e-1,
    1.67638483018380384940e0, 2.05319162663775882187e0, 1.0,
)  # fmt: skip
_FAR_TOP: Final[tuple[float, ...]] = (
    2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3, 2.65321895265761230930e-2, 2.96560571828504891230e-1,
    1.78482653991729133580e0, 5.46378491116411436990e0, 6.65790464350110377720e0,
)  # fmt: skip
_FAR_BOTTOM: Final[tuple[float, ...]] = (
    2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4, 1.48753612908506148525e-2,
    1.36929880922735805310e-1, 5.99832206555887937690e-1, 1.0,
)  # fmt: skip


def normal_quantile(p: float) -> float:
    """Return the x with normal_cdf(x) = p, for p in (0, 1), with a relative error of at most 1e-14.

    Raises:
        ValueError: p is not strictly between 0 and 1.

    Source: Wichura (1988), Applied Statistics 37(3), algorithm AS 241 (PPND16).
    >>> normal_quantile(0.5), round(normal_quantile(0.975), 12), round(normal_quantile(0.025), 12)
    (0.0, 1.95996398454, -1.95996398454)
    """
    if not 0.0 < p < 1.0:
        raise ValueError(f"normal_quantile of {p!r}: pass a probability strictly between 0 and 1")
    q = p - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        return q * _polynomial(_NEAR_TOP, r) / _polynomial(_NEAR_BOTTOM, r)
    r = sqrt(-log(p if q < 0.0 else 1.0 - p))
    if r <= 5.0:
        size = _polynomial(_MIDDLE_TOP, r - 1.6) / _polynomial(_MIDDLE_BOTTOM, r - 1.6)
    else:
        size = _polynomial(_FAR_TOP, r - 5.0) / _polynomial(_FAR_BOTTOM, r - 5.0)
    return -size if q < 0.0 else size


_SAFE: Final = 1_099_511_627_776.0  # 2**40: below it the distance to the nearest integer is known to a ten-thousandth.
_MINUS_SAFE: Final = -_SAFE


def micro(x: float) -> int:
    """Return x in millionths: the integer nearest to the exact product x * 1 000 000, an exact half going to the even one.

    The product is taken without rounding, so 0.0000025 (a float a little above its name) gives 3 while x * 1e6 would round first.

    Raises:
        ValueError: x is not finite.

    >>> micro(0.4), micro(-1.25), micro(0.0000005), micro(0.0000025)
    (400000, -1250000, 0, 3)
    """
    product = x * 1e6
    if _MINUS_SAFE < product < _SAFE:
        nearest = round(product)
        if -0.499 < product - nearest < 0.499:
            return nearest
    elif not -inf < x < inf:
        raise ValueError(f"micro of {x!r}: pass a finite number")
    numerator, denominator = x.as_integer_ratio()
    whole, part = divmod(numerator * MICRO, denominator)
    return whole + (2 * part > denominator or (2 * part == denominator and whole & 1))
