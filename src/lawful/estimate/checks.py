"""What may be asked of a solver: bounds that make sense, and laws and objectives it can minimise."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from lawful.core.numbers import format_short
from lawful.core.objective import Objective
from lawful.errors import UnsupportedError
from lawful.laws.law import Law

Bounds = Mapping[str, tuple[float, float]]


def check_options(solver: Any) -> None:
    """
    Refuse options of a solver outside their range.

    Raises
    ------
    UnsupportedError
        One sentence with the option, what it may be, and what was given.
    """
    for name, least in (("starts", 1), ("max_iter", 0)):
        value = getattr(solver, name)
        if not (isinstance(value, Integral) and int(value) >= least):
            msg = f"{name} must be a whole number of at least {least}, got {value!r}."
            raise UnsupportedError(msg)
    tolerance = solver.tolerance
    if not (isinstance(tolerance, Real) and 0 < float(tolerance) < np.inf):
        msg = f"tolerance must be a positive number, got {tolerance!r}."
        raise UnsupportedError(msg)
    for option in ("bounds", "prior"):
        for name, pair in getattr(solver, option, {}).items():
            if len(np.shape(pair)) != 1 or len(pair) != 2 or not all(isinstance(v, Real) for v in pair):
                msg = f"{option} are pairs of numbers by coefficient, such as alpha: (0.1, 0.9); {name} has {pair!r}."
                raise UnsupportedError(msg)


def check_bounds(law: Law, bounds: Bounds, fixed: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """
    Return the bounds of every coefficient, pins included.

    Raises
    ------
    UnsupportedError
        If a name is unknown, bounds are empty or negative, or an exponent may be 0.
    """
    merged = law.bounds
    for name, pair in {**bounds, **{n: (v, v) for n, v in fixed.items()}}.items():
        if name not in merged:
            msg = f"The {law.name} law has no coefficient {name!r}; it has {', '.join(law.names)}."
            raise UnsupportedError(msg)
        lo, hi = float(pair[0]), float(pair[1])
        power = name in law.exponents and law.separable
        least = "positive" if power else "not negative"
        if (
            not (lo <= hi)
            or (lo < 0 and name not in law.signed)
            or (power and lo <= 0)
            or (name not in law.signed and not np.isfinite(lo))
        ):
            msg = (
                f"{name} must lie in an interval of {least} numbers, lowest first; got {format_short(lo)} to "
                f"{format_short(hi)}."
            )
            raise UnsupportedError(msg)
        if name in law.exponents and law.separable and not np.isfinite(hi):
            msg = f"The upper bound of {name} must be finite; got {format_short(hi)}."
            raise UnsupportedError(msg)
        merged[name] = (lo, hi)
    return merged


def check_objective(solver: Any, objective: Objective) -> Objective:
    """
    Return the objective if the solver can minimise it.

    Raises
    ------
    UnsupportedError
        For a log objective under VarPro: it is not partially linear.
    """
    if objective.name not in solver.objectives:
        msg = (
            f"vpnls cannot minimise the objective {objective.name!r}: it is not partially linear; "
            f"use approach3 (lawful.Joint()) for it, or choose {' or '.join(solver.objectives)}."
        )
        raise UnsupportedError(msg)
    return objective


def check_solver(solver: Any, law: Law) -> Any:
    """
    Return the solver if it can fit the law.

    Raises
    ------
    UnsupportedError
        For a law that is no sum of powers under VarPro, or a prior on one that is.
    """
    if solver.method == "vpnls" and not law.projects:
        msg = (
            f"vpnls fits sums of powers and formulas, and {law.name} is neither; use approach3 (lawful.Joint()) for it."
        )
        raise UnsupportedError(msg)
    prior = getattr(solver, "prior", None) or {}
    unknown = [name for name in prior if name not in law.names]
    if unknown or (prior and law.separable):
        msg = (
            f"A prior can be set on coefficients of laws that are no sum of powers; {law.name} "
            f"{'is one' if law.separable else 'has no ' + ', '.join(unknown)}."
        )
        raise UnsupportedError(msg)
    return solver
