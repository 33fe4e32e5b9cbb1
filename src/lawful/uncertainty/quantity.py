"""What an interval is about: coefficients, exponents of the frontier, and N*, D*, L* at a budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lawful.core.cost import Cost
from lawful.core.shown import Record
from lawful.core.typing import Array
from lawful.core.validation import is_positive
from lawful.errors import UnsupportedError
from lawful.estimate.forms import form_coefficients
from lawful.laws.law import FRONTIER_NAMES, Law, terms_of
from lawful.laws.surface import Optima, evaluate, optimum_of, point_of, values_for

AT_BUDGET = ("params", "tokens", "loss")
"""Quantities at the optimum of a budget."""

AT_POINT = "loss_at"
"""The loss of one model: N parameters on D tokens."""

LOG_SCALE = ("params", "tokens")
"""Positive quantities worked out, and reported back, through their logarithm; so are A and B."""

DIFFERENCE_STEP = 1e-5

COMPLEX_STEP = 1e-20
"""A derivative along the imaginary axis has no cancellation, so the step may be tiny."""


@dataclass(frozen=True, slots=True)
class Quantity(Record):
    """
    A number that a fit implies.

    Parameters
    ----------
    name : str
        A coefficient of the law; ``a``, ``b``, ``log10_a0``, ``log10_b0``; ``params``,
        ``tokens`` or ``loss`` at the optimum of a budget; or ``loss_at`` a point.
    budget : float, optional
        FLOPs, for the quantities at a budget.
    point : (float, float) or tuple of float, optional
        N and D, for ``loss_at``; NaN for one that the law does not read. Of a law that reads more, its columns in
        their order.

    Raises
    ------
    UnsupportedError
        If the name is unknown, or the budget or the point is missing, superfluous or not positive.

    Examples
    --------
    >>> Quantity("params", budget=1e24)
    Quantity(name='params', budget=1e24, point=None)
    >>> Quantity("loss")
    Traceback (most recent call last):
        ...
    lawful.errors.UnsupportedError: 'loss' is a quantity at a budget; say which, for example budget=1e24.
    """

    name: str
    budget: float | None = None
    point: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.name in AT_BUDGET and self.budget is None:
            msg = f"{self.name!r} is a quantity at a budget; say which, for example budget=1e24."
            raise UnsupportedError(msg)
        if self.name not in AT_BUDGET and self.budget is not None:
            msg = f"{self.name!r} does not depend on a budget; leave budget out."
            raise UnsupportedError(msg)
        if (self.name == AT_POINT) != (self.point is not None):
            msg = f"{AT_POINT!r} needs a point (N, D), and only it; got {self.point!r} for {self.name!r}."
            raise UnsupportedError(msg)
        given = (self.budget, *(v for v in self.point or () if not np.isnan(v)))
        # A share of the data may be 0; of N and D `check` knows more, since it has the law.
        if not is_positive(*(v for v in given if v is not None and (v != 0 or self.point is None))):
            wrong = self.budget if self.point is None else self.point
            msg = f"A budget, N and D are positive, finite numbers, got {wrong!r}."
            raise UnsupportedError(msg)

    def check(self, law: Law) -> Quantity:
        """
        Return the quantity if a law has it.

        Raises
        ------
        UnsupportedError
            If the name is unknown to the law.
        """
        derived: tuple[str, ...] = FRONTIER_NAMES if law.terms is not None else ()
        derived += AT_BUDGET if law.allocates else ()
        derived += (AT_POINT,) if law.predicts or self.point is not None else ()
        if self.name in AT_BUDGET:
            law.require_allocates()
        if self.point is not None and in_params(law, self.point):
            point_of(law, Cost(), *(None if np.isnan(v) else v for v in self.point))
        elif self.point is not None and len(self.point) != len(law.columns):
            law.require_predicts()
            msg = f"A point of the {law.name} law has {', '.join(law.columns)}; got {self.point!r}."
            raise UnsupportedError(msg)
        if self.name not in (*law.names, *derived):
            msg = f"The {law.name} law has no quantity {self.name!r}; it has {', '.join((*law.names, *derived))}."
            raise UnsupportedError(msg)
        return self

    def is_log(self, law: Law) -> bool:
        """Whether it is worked out through its logarithm."""
        return self.name in LOG_SCALE or self.name in law.positive or self.name in getattr(law.form, "multipliers", ())


def in_params(law: Law, point: tuple[float, ...]) -> bool:
    """Whether a point is N and D; else it is the columns of the law in their order."""
    return law.predicts and len(point) == len(("N", "D"))


def columns_at(law: Law, point: tuple[float, ...], cost: Cost) -> tuple[Any, ...]:
    """Columns of a law at a point."""
    return values_for(law, point[0], point[1], cost) if in_params(law, point) else point


def reported(quantity: Quantity, law: Law, working: Any) -> Any:
    """Turn working values (logs of positive quantities) into what is reported."""
    with np.errstate(over="ignore"):
        return np.exp(working) if quantity.is_log(law) else working


def unreported(quantity: Quantity, law: Law, value: Any) -> Any:
    """Turn what is reported into working values: the inverse of :func:`reported`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(value) if quantity.is_log(law) else value


def working_values(quantity: Quantity, law: Law, z: Any, centre: Array, cost: Cost | None = None) -> Any:
    """
    Working value of a quantity at rows of coefficients in solver units.

    Parameters
    ----------
    quantity : Quantity
    law : Law
    z : array, shape (R, q)
        Real or complex: (c_0, …, c_p, theta_1, …, theta_p) with centred columns.
    centre : array, shape (p,)
        Means of the log columns.
    cost : Cost, optional
        Convention that turns a budget into N·D.

    Returns
    -------
    array, shape (R,)
        Logs of A, B, N* and D*; everything else as it is. NaN where A or B is 0.
    """
    if not law.two_powers:
        return _working_of_form(quantity, law, z, centre, cost or Cost())
    names, m = law.names, len(law.linear)
    name = quantity.name
    if name in law.linear[1:]:
        k = law.linear.index(name)
        with np.errstate(divide="ignore"):
            return np.log(z[:, k]) + z[:, m + k - 1] * centre[k - 1]
    if name in names:
        return z[:, names.index(name)]
    i, j = law.columns.index("N"), law.columns.index("D")
    e, alpha, beta = z[:, 0], z[:, 3 + i], z[:, 3 + j]
    with np.errstate(divide="ignore", invalid="ignore"):
        log_a, log_b = np.log(z[:, 1 + i]) + alpha * centre[i], np.log(z[:, 1 + j]) + beta * centre[j]
        if quantity.point is not None:
            x, y = np.log(quantity.point)
            return e + z[:, 1 + i] * np.exp(alpha * (centre[i] - x)) + z[:, 1 + j] * np.exp(beta * (centre[j] - y))
        known = _optimal(quantity, Optima.of_logs(log_a, log_b, alpha, beta), cost or Cost())
        if name != "loss":
            return known[name]
        return e + np.exp(log_a - alpha * known["params"]) + np.exp(log_b - beta * known["tokens"])


def _optimal(quantity: Quantity, optima: Optima, cost: Cost) -> dict[str, Any]:
    """Working values of the frontier, and of N* and D* at the quantity's budget; NaN where A or B is 0."""
    size, tokens = optima.at(np.log(cost.product(quantity.budget or 1.0)))
    found = {name: value + 0 * optima.log_g for name, value in optima.frontier(cost).items()}
    return {**found, "params": size, "tokens": tokens}


def _working_of_form(quantity: Quantity, law: Law, z: Any, centre: Array, cost: Cost) -> Any:
    """Working value for any law, from solver units."""
    if law.separable:
        m = len(law.linear)
        rows = np.array(z)
        rows[:, 1:m] = z[:, 1:m] * np.exp(z[:, m:] * centre)
    else:
        rows = form_coefficients(law, z, centre)
    return _working_at(quantity, law, dict(zip(law.names, rows.T, strict=True)), cost)


def _working_at(quantity: Quantity, law: Law, k: Mapping[str, Any], cost: Cost) -> Any:
    """Working value for any law at coefficients by name, real or complex."""
    name = quantity.name
    with np.errstate(divide="ignore", invalid="ignore"):
        if name in k:
            return np.log(k[name]) if quantity.is_log(law) else k[name]
        if quantity.point is not None:
            return evaluate(law, k, columns_at(law, quantity.point, cost))
        if law.terms is None:
            return _working_on_line(quantity, law, k, cost)
        known = _optimal(quantity, Optima.of(terms_of(law, k)), cost)
        if name != "loss":
            return known[name]
        return evaluate(law, k, values_for(law, np.exp(known["params"]), np.exp(known["tokens"]), cost))


def _working_on_line(quantity: Quantity, law: Law, k: Mapping[str, Any], cost: Cost) -> Any:
    """Working value at the optimum of a law without a closed form; real coefficients."""
    best = optimum_of(law, k, quantity.budget or 1.0, cost)
    return {"params": np.log(best.params), "tokens": np.log(best.tokens), "loss": best.loss}[quantity.name]


def gradient(quantity: Quantity, law: Law, z: Array, centre: Array, cost: Cost | None = None) -> Array:
    """
    Gradient of the working value in solver units, shape (R, q), exact to rounding.

    Where N* is found by following a budget line there is no complex step through it: central differences
    of an optimum that is exact to rounding lose half the digits, more than a standard error shows.
    """
    out = np.empty_like(z)
    if quantity.name in AT_BUDGET and law.terms is None:
        for j in range(z.shape[1]):
            step = DIFFERENCE_STEP * np.maximum(np.abs(z[:, j]), 1.0)
            ends = [z.copy(), z.copy()]
            for end, side in zip(ends, (1.0, -1.0), strict=True):
                end[:, j] += side * step
            up, down = (working_values(quantity, law, end, centre, cost) for end in ends)
            out[:, j] = (up - down) / (2 * step)
        return out
    for j in range(z.shape[1]):
        moved = z.astype(complex)
        moved[:, j] += 1j * COMPLEX_STEP
        out[:, j] = np.imag(working_values(quantity, law, moved, centre, cost)) / COMPLEX_STEP
    return out


def values_of(quantity: Quantity, law: Law, coefficients: Mapping[str, Array], cost: Cost | None = None) -> Array:
    """Reported value of a quantity for rows of coefficients given by name, shape (R,); NaN where there is none."""
    z = np.stack([np.asarray(coefficients[name], float) for name in law.names], axis=1)
    if law.two_powers:
        working = working_values(quantity, law, z, np.zeros(len(law.exponents)), cost)
    else:
        working = _working_at(quantity, law, dict(zip(law.names, z.T, strict=True)), cost or Cost())
    found = reported(quantity, law, working)
    return np.where(np.isfinite(found), found, np.nan)
