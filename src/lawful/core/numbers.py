"""Numbers for people: counts, budgets, shares, and values rounded by their uncertainty."""

from __future__ import annotations

from math import floor, isfinite, log10

MISSING = "n/a"
"""What stands where there is no number."""

_SUFFIXES = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K"))
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _is_number(value: float | None) -> bool:
    return value is not None and isfinite(value)


def _mantissa_exponent(value: float, digits: int) -> tuple[str, int]:
    """Return the rounded mantissa without trailing zeros, and the power of ten."""
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return mantissa, int(exponent)


def format_scientific(value: float | None, digits: int = 3) -> str:
    """
    Write a number as 3.8e25: no plus sign, no trailing zeros.

    Examples
    --------
    >>> format_scientific(3.8e25), format_scientific(1e19), format_scientific(2.394e24)
    ('3.8e25', '1e19', '2.39e24')
    >>> format_scientific(None)
    'n/a'
    """
    if value is None or not isfinite(value):
        return MISSING
    mantissa, exponent = _mantissa_exponent(value, digits)
    return f"{mantissa}e{exponent}" if exponent else mantissa


def format_flops(value: float | None) -> str:
    """
    Write compute with its unit.

    Examples
    --------
    >>> format_flops(3.8e25)
    '3.8e25 FLOPs'
    >>> format_flops(0.0)
    '0 FLOPs'
    """
    return f"{format_scientific(value)} FLOPs" if _is_number(value) else MISSING


def format_power(value: float, digits: int = 2) -> str:
    """
    Write a positive number as a product with a power of ten, for axes.

    Plain text with superscript digits, so that it stays text in an SVG.

    Examples
    --------
    >>> format_power(1e21), format_power(6e18), format_power(1.0965e18)
    ('10²¹', '6×10¹⁸', '1.1×10¹⁸')
    """
    mantissa, exponent = _mantissa_exponent(value, digits)
    power = "10" + str(exponent).translate(_SUPERSCRIPTS)
    return power if mantissa == "1" else f"{mantissa}×{power}"


def format_count(value: float | None, digits: int = 3) -> str:
    """
    Write a count of parameters or tokens as people say it.

    Examples
    --------
    >>> format_count(622e9), format_count(10.2e12), format_count(1e8), format_count(16)
    ('622B', '10.2T', '100M', '16')

    Rounding carries into the next unit, and beyond quadrillions powers of ten take over:

    >>> format_count(999.7e9), format_count(3.2e16)
    ('1T', '3.2e16')
    """
    if value is None or not isfinite(value):
        return MISSING
    rounded = float(f"{value:.{digits - 1}e}")
    if abs(rounded) >= 1e15 or 0 < abs(rounded) < 1e-3:
        return format_scientific(value, digits)
    for scale, suffix in _SUFFIXES:
        if abs(rounded) >= scale:
            return f"{_plain(rounded / scale, digits)}{suffix}"
    return _plain(rounded, digits)


def _plain(value: float, digits: int) -> str:
    """Significant digits without an exponent or trailing zeros."""
    places = max(digits - 1 - floor(log10(abs(value))), 0) if value else 0
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def format_percent(fraction: float | None) -> str:
    """
    Write a share with two significant digits.

    Examples
    --------
    >>> format_percent(0.0629), format_percent(0.0301), format_percent(0.000452), format_percent(0.5)
    ('6.3%', '3.0%', '0.045%', '50%')
    >>> format_percent(0.0), format_percent(1.0), format_percent(1e-9)
    ('0%', '100%', '< 0.001%')
    """
    if fraction is None or not isfinite(fraction):
        return MISSING
    percent = float(f"{100 * fraction:.1e}")
    if percent == 0:
        return "0%"
    if abs(percent) < 1e-3:
        return "< 0.001%" if percent > 0 else "> -0.001%"
    return f"{percent:.{max(1 - floor(log10(abs(percent))), 0)}f}%"


def format_level(level: float) -> str:
    """
    Write the level of an interval, exactly.

    Examples
    --------
    >>> format_level(0.9), format_level(0.975)
    ('90%', '97.5%')
    """
    return f"{100 * level:.6g}%"


def format_value(value: float | None, digits: int = 4) -> str:
    """
    Write a number whose uncertainty is unknown, with a fixed count of significant digits.

    Examples
    --------
    >>> format_value(0.31), format_value(59.1234), format_value(2085.43), format_value(1.2e-7)
    ('0.3100', '59.12', '2085', '1.2e-7')
    """
    if value is None or not isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    if not 1e-4 <= abs(value) < 1e6:
        return format_scientific(value, digits)
    rounded = float(f"{value:.{digits - 1}e}")
    return f"{rounded:.{max(digits - 1 - floor(log10(abs(rounded))), 0)}f}"


def format_short(value: float | None, digits: int = 6) -> str:
    """
    Write a number within a sentence: at most so many significant digits, no trailing zeros.

    Examples
    --------
    >>> format_short(0.31), format_short(400.0), format_short(1e21), format_short(2085.431, 3), format_short(1e-7)
    ('0.31', '400', '1e21', '2090', '1e-7')
    """
    if value is not None and not isfinite(value):
        return f"{value:g}"
    text = format_value(value, digits)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def decimals_for(error: float) -> int:
    """
    Return how many decimals an uncertainty supports (negative: tens, hundreds, …).

    The rule of the Particle Data Group: of the three leading digits of the
    error, 100 to 354 keep two digits, 355 to 949 keep one, and 950 to 999 are
    rounded up to 1000 and keep two (Review of Particle Physics, Introduction, section 5.3).

    Parameters
    ----------
    error : float
        Uncertainty, > 0 and finite.

    Examples
    --------
    >>> decimals_for(0.0145), decimals_for(0.0367), decimals_for(0.097), decimals_for(124.0)
    (3, 2, 2, -1)
    """
    leading, exponent = f"{error:.2e}".split("e")
    digits = round(100 * float(leading))
    return (1 if digits <= 354 else 0) - int(exponent)


def _to_decimals(value: float, decimals: int) -> str:
    rounded = round(value, decimals) + 0.0
    if rounded == 0 and value != 0:  # far inside its error; a number that is not 0 never reads 0
        return format_value(value, 2)
    if rounded and not 1e-4 <= abs(rounded) < 1e6:
        return format_scientific(rounded, max(floor(log10(abs(rounded))) + decimals + 1, 1))
    return f"{rounded:.{max(decimals, 0)}f}"


MOST_DIGITS = 6
"""Significant digits at most: the intervals of noise-free runs are as narrow as rounding."""

SKEWED = 3.0
"""An interval whose ends differ by more than this factor is read in ratios: three digits for each end."""


def format_uncertain(value: float | None, low: float, high: float) -> tuple[str, str, str]:
    """
    Write a value and the ends of its interval with the digits that the interval supports.

    The shorter side of the interval is taken as the error, so that the near
    end of a skewed interval keeps its digits; it counts for at least a tenth of
    the half-width. An interval that spans a factor of three is read in ratios,
    three digits each.

    Parameters
    ----------
    value : float or None
        Estimate; None where only the interval is known.
    low, high : float
        Ends of the interval; infinite or NaN on a side that is open.

    Returns
    -------
    tuple of str
        The three numbers; ``n/a`` where one is not finite.

    Examples
    --------
    >>> format_uncertain(0.31004, 0.29571, 0.32544)
    ('0.310', '0.296', '0.325')
    >>> format_uncertain(155.1, 41.2, 903.7)
    ('155', '41.2', '904')

    A number that is not 0 never reads 0, however wide its interval:

    >>> format_uncertain(399.68, 0.0, 6.75e13)
    ('400', '0', '6.8e13')

    A pinned coefficient has an interval of no width and keeps four digits:

    >>> format_uncertain(0.6, 0.6, 0.6)
    ('0.6000', '0.6000', '0.6000')
    """
    ends = [end for end in (low, high) if _is_number(end)]
    if not ends or (value is None and len(ends) < 2) or (len(ends) == 2 and high <= low):
        return format_value(value), format_value(low), format_value(high)
    if len(ends) == 2 and low > 0 and high > SKEWED * low:
        return format_value(value, 3), format_value(low, 3), format_value(high, 3)
    middle = 0.5 * (low + high) if value is None else value
    sides = [abs(middle - end) for end in ends if middle != end]
    if not sides or not _is_number(middle):
        return format_value(value), format_value(low), format_value(high)
    decimals = decimals_for(max(min(sides), 0.05 * (high - low)) if len(ends) == 2 else sides[0])
    decimals = min(decimals, MOST_DIGITS - 1 - floor(log10(max(map(abs, (middle, *ends))))))
    said = [_to_decimals(x, decimals) if x is not None and isfinite(x) else MISSING for x in (value, low, high)]
    return said[0], said[1], said[2]


def format_signed(fraction: float | None) -> str:
    """
    Write a relative change with its sign: two decimals of a percent, more where it is smaller.

    A change below rounding is none.

    Examples
    --------
    >>> format_signed(0.1616), format_signed(-0.05), format_signed(2e-6), format_signed(1e-16)
    ('+16.16%', '-5.00%', '+0.0002%', '0%')
    """
    if fraction is None or not isfinite(fraction):
        return MISSING
    percent = 100 * fraction
    if abs(percent) < ROUNDING:
        return "0%"
    places = max(2, -floor(log10(abs(percent))))
    return f"{percent:+.{places}f}%" if places <= MOST_PLACES else f"{'+' if percent > 0 else '-'}< 0.000001%"


ROUNDING = 1e-9
"""Percent below which a change is the rounding of float64."""

MOST_PLACES = 6


def format_count_interval(low: float | None, high: float | None) -> str:
    """
    Write an interval of counts; three digits, since a decision is read in whole units.

    Examples
    --------
    >>> format_count_interval(561.3e9, 1.043e12)
    '561B to 1.04T'
    """
    return f"{format_count(low)} to {format_count(high)}"
