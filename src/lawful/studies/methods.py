"""
The compared methods, run by SciPy's own optimisers with the published settings.

Where the optimiser is the subject of a study these stand beside lawful's solvers; nothing else
uses them. Bounds, starting grids and tolerances are those of arXiv:2603.22339.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np

from lawful.core.typing import Array
from lawful.estimate.isoflop import lines
from lawful.solve.parabola import fit_parabola

LOWER = np.array([1e-6, 1e-6, 1e-6, 0.01, 0.01])
UPPER = np.array([10.0, 1e6, 1e6, 0.99, 0.99])
"""Bounds of E, A, B, alpha, beta."""

TOLERANCE = 1e-15
"""ftol and gtol of L-BFGS-B."""

MOST_ITERATIONS = 1000
COARSE_GRID = 32
FINE_GRID = 256
BOUND_FACTOR = 10.0
"""A linear coefficient within this factor of its bound is a failed fit: L-BFGS-B creeps up to a bound in log units."""

TOUCH = 1e-6
"""A coefficient within this of a bound counts as a bound hit, as in the published table of study 7."""

Jacobian = Literal["analytic", "3-point"]
ErrorKind = Literal["loss", "log loss"]
End = Literal["converged", "abnormal", "iterations"]
"""
How an optimiser ended. ``abnormal`` is SciPy's word for a line search that finds nothing lower, which at
these tolerances mostly means that the sum of squares is all rounding; ``iterations`` that their cap came first.
"""

WITH_GRADIENT = True
"""What SciPy is told of an objective that returns its gradient beside its value."""


class Answer(NamedTuple):
    """One fit: E, A, B, alpha, beta, how the optimiser ended, and its iterations."""

    x: Array
    end: End
    iterations: int

    @property
    def a(self) -> float:
        """Exponent of N*."""
        return float(self.x[4] / (self.x[3] + self.x[4]))

    @property
    def at_bound(self) -> bool:
        """Whether E, A or B sits on a bound, or close above its lower one."""
        low, high = LOWER[:3] * BOUND_FACTOR, UPPER[:3]
        return bool(((self.x[:3] <= low) | (self.x[:3] >= high)).any())

    @property
    def touches(self) -> bool:
        """Whether any of the five lies within 1e-6 of a bound."""
        return bool(((self.x - LOWER < TOUCH) | (UPPER - self.x < TOUCH)).any())

    @property
    def failed(self) -> bool:
        """Whether the published studies count it as failed: the cap came first, or E, A or B is at its bound."""
        return self.end == "iterations" or self.at_bound


class Logs(NamedTuple):
    """Logs of N and D of one set of runs, shape (n,) each."""

    log_n: Array
    log_d: Array


@lru_cache(maxsize=2)
def joint_grid(points: int = 4, most: float = 1e4) -> Array:
    """
    Return the published starts of Approach 3, shape (points⁵, 5): A and B from 10 to ``most``.

    Simulated sweeps take 4 values of each coefficient; real runs 8, with A and B up to 1e6.
    """
    amounts, exponents = np.geomspace(10, most, points), np.linspace(0.05, 0.95, points)
    axes = (np.linspace(0.1, 5, points), amounts, amounts, exponents, exponents)
    return np.stack([v.ravel() for v in np.meshgrid(*axes, indexing="ij")], axis=1)


REAL_GRID = (8, 1e6)
"""Points per coefficient and largest A and B of the grid that published fits of real runs start from."""


def joint_starts(design: Logs, losses: Array, grid: Array | None = None) -> Array:
    """
    Return the grid point with the least squared error of the loss for every row of losses.

    The start is ranked by the loss also where the fit minimises errors of the log loss: ranked by
    those, two of forty noise-free fits of the Asymmetric surface end at E = 0.

    Parameters
    ----------
    design : Logs
    losses : array, shape (R, n)
    grid : array, shape (P, 5), optional
        Starts to choose from; those of :func:`joint_grid` by default.

    Returns
    -------
    array, shape (R, 5)
    """
    grid = joint_grid() if grid is None else grid
    model = predict(grid, design)
    score = (model**2).sum(axis=1) - 2 * losses @ model.T
    return np.asarray(grid[score.argmin(axis=1)])


def predict(x: Array, design: Logs) -> Array:
    """Losses of rows of (E, A, B, alpha, beta), shape (R, n)."""
    in_n = x[:, 1:2] * np.exp(-x[:, 3:4] * design.log_n)
    in_d = x[:, 2:3] * np.exp(-x[:, 4:5] * design.log_d)
    return np.asarray(x[:, :1] + in_n + in_d)


def fit_raw(design: Logs, y: Array, start: Array) -> Answer:
    """Approach 3 in E, A, B themselves: squared error of the loss, L-BFGS-B."""
    logs = -np.stack(design)
    slope = np.empty((5, y.size))
    slope[0] = 1.0
    powers, bends = slope[1:3], slope[3:5]
    terms = np.empty_like(powers)

    def objective(x: Array) -> tuple[float, Array]:
        # Both columns at once: a sweep of 8 runs is all overhead.
        np.multiply(logs, x[3:, None], out=powers)
        np.exp(powers, out=powers)
        np.multiply(powers, x[1:3, None], out=terms)
        residual = x[0] + terms[0] + terms[1] - y
        np.multiply(terms, logs, out=bends)
        return float(residual @ residual), 2.0 * (slope @ residual)

    found = _lbfgsb(objective, start, LOWER, UPPER)
    return _answer(found.x, found)


def fit_lse(
    design: Logs, y: Array, start: Array, jacobian: Jacobian = "analytic", errors: ErrorKind = "log loss"
) -> Answer:
    """
    Approach 3 in log E, log A, log B: squared error of the log loss or of the loss, L-BFGS-B.

    Parameters
    ----------
    design : Logs
    y : array, shape (n,)
    start : array, shape (5,)
        E, A, B, alpha, beta.
    jacobian : {"analytic", "3-point"}
    errors : {"log loss", "loss"}
    """
    logs = -np.stack(design)
    target = np.log(y) if errors == "log loss" else y
    slope = np.empty((5, y.size))
    parts, powers, bends = slope[:3], slope[1:3], slope[3:5]

    def forward(z: Array) -> Array:
        """Residuals; leaves the derivative by log E, log A and log B in ``parts``."""
        parts[0] = z[0]
        np.multiply(logs, z[3:, None], out=powers)
        np.add(powers, z[1:3, None], out=powers)
        if errors == "loss":
            np.exp(parts, out=parts)
            return np.asarray(parts.sum(axis=0) - target)
        top = parts.max(axis=0)
        np.exp(parts - top, out=parts)
        total = parts.sum(axis=0)
        np.divide(parts, total, out=parts)
        return np.asarray(top + np.log(total) - target)

    def objective(z: Array) -> tuple[float, Array]:
        residual = forward(z)
        np.multiply(powers, logs, out=bends)
        return float(residual @ residual), 2.0 * (slope @ residual)

    def value(z: Array) -> float:
        residual = forward(z)
        return float((residual**2).sum())

    ends = [np.concatenate([np.log(v[:3]), v[3:]]) for v in (start, LOWER, UPPER)]
    start_z, lower, upper = ends
    if jacobian == "analytic":
        found = _lbfgsb(objective, start_z, lower, upper)
    else:
        found = _lbfgsb(value, start_z, lower, upper, jac="3-point")
    return _answer(np.concatenate([np.exp(found.x[:3]), found.x[3:]]), found)


def _answer(x: Array, found: Any) -> Answer:
    end: End = "converged" if found.success else "abnormal" if "ABNORMAL" in found.message else "iterations"
    return Answer(x, end, int(found.nit))


def _lbfgsb(objective: Callable[..., Any], start: Array, lower: Array, upper: Array, jac: Any = WITH_GRADIENT) -> Any:
    from scipy.optimize import minimize

    options: Any = {"ftol": TOLERANCE, "gtol": TOLERANCE, "maxiter": MOST_ITERATIONS}
    bounds = list(zip(lower, upper, strict=True))
    if jac != WITH_GRADIENT:
        return minimize(objective, start, jac=jac, method="L-BFGS-B", bounds=bounds, options=options)
    gradient = np.empty(start.size)

    def value(x: Array) -> float:
        result, gradient[:] = objective(x)
        return float(result)

    def slope(_: Array) -> Any:
        # SciPy asks for the gradient where it has just asked for the value. One function that returns both would cost
        # it a comparison of points at every step, a fifth of the time of these small fits.
        return gradient.copy()

    return minimize(value, start, jac=slope, method="L-BFGS-B", bounds=bounds, options=options)


def basis_of(design: Logs, theta: Array) -> Array:
    """Columns 1, N^-alpha, D^-beta, shape (n, 3)."""
    return np.stack([np.ones_like(design.log_n), np.exp(-theta[0] * design.log_n), np.exp(-theta[1] * design.log_d)], 1)


def exponent_grid(points: int) -> Array:
    """Return the grid of (alpha, beta) on 0.05 to 0.95, shape (points², 2)."""
    axis = np.linspace(0.05, 0.95, points)
    return np.stack([v.ravel() for v in np.meshgrid(axis, axis, indexing="ij")], axis=1)


def exponent_starts(design: Logs, losses: Array, points: int = COARSE_GRID) -> Array:
    """
    Return the best grid point of (alpha, beta) for every row of losses, shape (R, 2).

    Given the exponents the best E, A, B are unconstrained least squares, so what is
    left of a row is what no orthonormal column explains.
    """
    grid = exponent_grid(points)
    theta, flat = np.unique(grid[:, 0]), np.ones(design.log_n.size)
    columns_n, columns_d = np.exp(-theta[:, None] * design.log_n), np.exp(-theta[:, None] * design.log_d)
    # Without the mean and unit length: Gram-Schmidt then loses no digits that matter to a comparison.
    unit_n, unit_d = (_unit(c - c.mean(axis=1, keepdims=True)) for c in (columns_n, columns_d))
    cross = unit_n @ unit_d.T
    y = losses - np.outer(losses.mean(axis=1), flat)
    on_n, on_d = y @ unit_n.T, y @ unit_d.T
    best, score = np.zeros(len(y), dtype=np.intp), np.full(len(y), -np.inf)
    for i in range(theta.size):
        left = on_d - on_n[:, i : i + 1] * cross[i]
        gain = on_n[:, i : i + 1] ** 2 + left**2 / np.maximum(1 - cross[i] ** 2, 1e-12)
        j = gain.argmax(axis=1)
        top = gain[np.arange(len(y)), j]
        best = np.where(top > score, i * theta.size + j, best)
        score = np.maximum(score, top)
    return grid[best]


def _unit(rows: Array) -> Array:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def fit_projected(
    design: Logs,
    y: Array,
    start: Array,
    method: Literal["l-bfgs-b", "nelder-mead", "none"] = "l-bfgs-b",
    jacobian: Jacobian = "analytic",
) -> Answer:
    """
    VPNLS: SciPy searches (alpha, beta), unconstrained least squares gives E, A, B.

    Parameters
    ----------
    design : Logs
    y : array, shape (n,)
    start : array, shape (2,)
    method : {"l-bfgs-b", "nelder-mead", "none"}
        ``none`` keeps the start, as a grid alone does.
    jacobian : {"analytic", "3-point"}
        Of the projected sum of squares; analytic by the envelope theorem.
    """
    from scipy.optimize import minimize

    def solve(theta: Array) -> tuple[Array, Array, Array]:
        basis = basis_of(design, theta)
        linear = np.asarray(np.linalg.lstsq(basis, y, rcond=None)[0], dtype=float)
        return basis, linear, y - basis @ linear

    def value(theta: Array) -> float:
        residual = solve(theta)[2]
        return float(residual @ residual)

    def objective(theta: Array) -> tuple[float, Array]:
        basis, linear, residual = solve(theta)
        in_n, in_d = linear[1] * basis[:, 1] * design.log_n, linear[2] * basis[:, 2] * design.log_d
        return float(residual @ residual), 2.0 * np.array([residual @ in_n, residual @ in_d])

    if method == "none":
        return Answer(np.concatenate([solve(start)[1], start]), "converged", 0)
    if method == "nelder-mead":
        options: Any = {"xatol": 1e-10, "fatol": TOLERANCE, "maxiter": MOST_ITERATIONS}
        found: Any = minimize(
            value, start, method="Nelder-Mead", bounds=list(zip(LOWER[3:], UPPER[3:], strict=True)), options=options
        )
    elif jacobian == "analytic":
        found = _lbfgsb(objective, start, LOWER[3:], UPPER[3:])
    else:
        found = _lbfgsb(value, start, LOWER[3:], UPPER[3:], jac="3-point")
    return _answer(np.concatenate([solve(found.x)[1], found.x]), found)


class IsoflopLines(NamedTuple):
    """Approach 2 on many sets of losses: exponents, intercepts, and the least curvature of a set."""

    a: Array
    b: Array
    log10_a0: Array
    log10_b0: Array
    curvature: Array


def parabolas(log10_n: Array, log10_d: Array, log10_c: Array, losses: Array) -> IsoflopLines:
    """
    Approach 2 for many sets of losses on one design.

    Parameters
    ----------
    log10_n, log10_d : array, shape (g, n)
        Sizes and tokens per budget.
    log10_c : array, shape (g,)
    losses : array, shape (R, g, n)

    Returns
    -------
    IsoflopLines
        Arrays of shape (R,); exponents are computed whatever the sign of the curvature.
    """
    found = [fit_parabola(x, losses) for x in (log10_n, log10_d)]
    n, d = (lines(log10_c, p.vertex) for p in found)
    curvature = np.minimum(*(p.curvature.min(axis=1) for p in found))
    return IsoflopLines(n.slope, d.slope, n.intercept, d.intercept, curvature)
