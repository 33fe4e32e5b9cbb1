"""What a number must be before anything is computed from it: positive, a budget, a level, a count of draws."""

from __future__ import annotations

from math import isfinite
from numbers import Integral
from typing import Any

from lawful.errors import UnsupportedError


def is_positive(*values: Any) -> bool:
    """
    Whether all values are finite numbers above zero; a text or None is not.

    Examples
    --------
    >>> is_positive(1e21, 3), is_positive(float("inf")), is_positive("1e21")
    (True, False, False)
    """
    try:
        return all(not isinstance(value, str) and isfinite(value) and value > 0 for value in values)
    except (TypeError, ValueError, OverflowError):
        return False


def positive(what: str, value: Any) -> float:
    """
    Return a number as float.

    Raises
    ------
    UnsupportedError
        If it is not a finite number above zero.

    Examples
    --------
    >>> positive("width", 8)
    8.0
    """
    if not is_positive(value):
        msg = f"{what} must be a positive number, got {value!r}."
        raise UnsupportedError(msg)
    return float(value)


def check_budget(budget: Any) -> float:
    """
    Return a budget in FLOPs as float.

    Raises
    ------
    UnsupportedError
        If it is not a positive, finite number.
    """
    if not is_positive(budget):
        msg = f"A budget is a positive number of FLOPs, got {budget!r}."
        raise UnsupportedError(msg)
    return float(budget)


def check_level(level: Any) -> float:
    """
    Return the coverage that an interval aims at.

    Raises
    ------
    UnsupportedError
        If it does not lie between 0 and 1.
    """
    if not (is_positive(level) and level < 1):
        msg = f"The level of an interval lies between 0 and 1, got {level!r}."
        raise UnsupportedError(msg)
    return float(level)


def check_draws(draws: Any, *, least: int = 0) -> int:
    """
    Return a number of bootstrap draws.

    Raises
    ------
    UnsupportedError
        If it is not a whole number, or fewer than allowed.
    """
    if not isinstance(draws, Integral) or draws < least:
        allowed = "a whole number, and not negative" if least == 0 else "a positive whole number"
        msg = f"The number of bootstrap draws must be {allowed}, got {draws!r}."
        raise UnsupportedError(msg)
    return int(draws)
