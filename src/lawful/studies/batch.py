"""Lawful's own solver on many sets of losses of one design at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lawful.core.typing import Array, BoolArray
from lawful.design.plan import Plan
from lawful.laws.laws import CHINCHILLA
from lawful.solve.grid import Linear, grid_values, local_minima, make_grid
from lawful.solve.kernel import refine
from lawful.solve.small import inverse_spd

STARTS = 6
"""Local minima of the grid that are refined, as the default solver does."""

GRID = 40
"""Points per exponent; finer than the cold fit's, which looks a second time instead."""


class Fits(NamedTuple):
    """
    Rows of fits, least squares of the loss with non-negative E, A, B.

    Attributes
    ----------
    x : array, shape (R, 5)
        E, A, B, alpha, beta.
    value : array, shape (R,)
        Sum of squares.
    covariance : array, shape (R, 2, 2)
        Of (alpha, beta), by the Gauss-Newton Hessian and the residual variance.
    converged : bool array, shape (R,)
    """

    x: Array
    value: Array
    covariance: Array
    converged: BoolArray

    @property
    def a(self) -> Array:
        """Exponent of N*, shape (R,)."""
        return np.asarray(self.x[:, 4] / (self.x[:, 3] + self.x[:, 4]))


def fit_rows(plan: Plan, losses: Array, box: tuple[float, float] | None = None) -> Fits:
    """
    Cold fits of many sets of losses on one design.

    Parameters
    ----------
    plan : Plan
        N and D, n runs.
    losses : array, shape (R, n)
    box : (float, float), optional
        Bounds of both exponents; the law's own by default.

    Returns
    -------
    Fits
    """
    logs = np.log(np.stack([plan.N, plan.D]))
    centre = logs.mean(axis=1)
    x = logs - centre[:, None]
    limits = np.array([box or CHINCHILLA.bounds[name] for name in CHINCHILLA.exponents])
    linear, grid = Linear.free(3), make_grid(limits, GRID)
    scores = grid_values(x, losses, np.ones(x.shape[1]), grid, linear)
    starts = [local_minima(row, grid.shape, STARTS) for row in scores]
    owner = np.repeat(np.arange(len(losses)), [len(s) for s in starts])
    found = refine(x, losses[owner], None, grid.theta[np.concatenate(starts)], limits, linear)
    # Rows of one owner stand together, best first after this sort; the first of each is its answer.
    order = np.lexsort((found.value, owner))
    first = order[np.searchsorted(owner[order], np.arange(len(losses)))]
    theta, amounts, value = found.theta[first], found.linear[first], found.value[first]
    coefficients = np.concatenate([amounts, theta], axis=1)
    coefficients[:, 1:3] *= np.exp(theta * centre)
    noise = value / max(x.shape[1] - 5, 1)
    covariance = inverse_spd(np.asarray(found.gauss)[first]) * noise[:, None, None]
    return Fits(coefficients, value, covariance, found.converged[first])
