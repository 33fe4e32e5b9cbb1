"""What a token costs to train on, as a smooth function of the model size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lawful.core.cost import Cost, Pricing
from lawful.core.shown import Record
from lawful.core.typing import Array
from lawful.data.runs import BUDGET_TOLERANCE, COMPLETE, Runs
from lawful.estimate.result import Fitted

POWERS = np.array([1.0, 2 / 3, 1 / 3])
"""Powers of N in the cost of a token: at one shape, depth and width both grow as N^(1/3)."""


@dataclass(frozen=True)
class TokenCost(Record):
    """
    FLOPs per token as p1 N + p2 N^(2/3) + p3 N^(1/3).

    The terms are the weight matrices, attention over a fixed context, and the
    vocabulary, for models of one shape; for large N the first one rules.

    Parameters
    ----------
    terms : array, shape (k,)
        Coefficients of the first k powers.
    log_n : (float, float)
        ln of the smallest and the largest size it was fitted to.
    misfit : float
        Largest relative error over the runs.

    Examples
    --------
    >>> N = np.geomspace(1e7, 1e9, 5)
    >>> curve = fit_token_cost(N, 6 * N)
    >>> curve.terms.round(9), f"{curve.misfit:.0e}"
    (array([6.]), '0e+00')
    """

    terms: Array
    log_n: tuple[float, float]
    misfit: float

    def at(self, log_n: Any) -> tuple[Any, Any]:
        """Return ln of the cost and its slope d ln cost / d ln N; NaN where the curve is not positive."""
        powers = POWERS[: self.terms.size]
        parts = self.terms * np.exp(np.multiply.outer(np.asarray(log_n, float), powers))
        cost = parts.sum(axis=-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            positive = np.where(cost > 0, cost, np.nan)
            return np.log(positive), (parts @ powers) / positive

    def rate(self, log_n: Any) -> Any:
        """Return the cost of a token at ln N, real or complex; NaN where the curve is not positive."""
        powers = POWERS[: self.terms.size]
        cost = (self.terms * np.exp(np.multiply.outer(np.asarray(log_n), powers))).sum(axis=-1)
        return np.where(np.real(cost) > 0, cost, np.nan)

    def flops(self, params: Any, tokens: Any) -> Any:
        """Training FLOPs of N parameters on D tokens."""
        return np.exp(self.at(np.log(params))[0]) * np.asarray(tokens, float)

    def tokens(self, *, budget: Any, params: Any) -> Any:
        """Tokens that a budget buys for N parameters."""
        return np.asarray(budget, float) / self.flops(params, 1.0)

    def params(self, *, budget: Any, tokens: Any) -> Any:
        """Parameters that a budget can train on D tokens: the largest size at which a token costs so much."""
        wanted = np.asarray(np.asarray(budget, float) / np.asarray(tokens, float))
        powers = np.zeros(4)  # a cubic in N^(1/3), highest power first
        powers[: self.terms.size] = self.terms
        found = []
        for cost in wanted.ravel().tolist():
            roots = np.roots([*powers[:3], -cost])
            found.append(max((r.real for r in roots if abs(r.imag) <= 1e-9 * abs(r)), default=np.nan) ** 3)
        return np.array(found).reshape(wanted.shape)

    @property
    def convention(self) -> str:
        """The convention in words, as printed beside every figure of cost."""
        return "C as the table counts it"


def own_cost(runs: Runs) -> TokenCost | None:
    """
    Return what a token costs by the table's own FLOPs, where they are not 6ND and follow the model size.

    Parameters
    ----------
    runs : Runs
        With N, D and C.

    Returns
    -------
    TokenCost or None
        None where C = 6ND holds within 10% in the median run, or no smooth curve of N gives C / D within 10%.

    Examples
    --------
    A mixture of experts, whose table counts more than its active parameters:

    >>> N, D = np.array([2e7, 5.6e7, 1.35e8]), np.array([8e10, 2.24e11, 5.4e11])
    >>> moe = lawful.Runs.from_arrays(N, D, [3.21, 2.94, 2.75], C=[2.1e19, 1.4e20, 7.3e20])
    >>> price = own_cost(moe)
    >>> print(f"{price.flops(5.6e7, 2.24e11):.3g}")
    1.4e+20
    >>> own_cost(lawful.Runs.from_arrays(N, D, [3.21, 2.94, 2.75])) is None
    True
    """
    if not all(map(runs.has, COMPLETE)):
        return None
    off = np.abs(Cost().flops(runs.N, runs.D) / runs.C - 1)
    if np.median(off) <= BUDGET_TOLERANCE:
        return None
    curve = fit_token_cost(runs.N, runs.C / runs.D)
    return curve if curve.misfit <= BUDGET_TOLERANCE else None


def price_of(fit: Fitted) -> Pricing:
    """
    Return what a run costs where a fit is asked about it: the table's own FLOPs win over the fit's convention.

    A law of compute reads the FLOPs that it is given, and derives them from N and D by its convention alone.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.005)
    >>> price_of(lawful.fit(runs)).convention
    'C = 6ND'
    """
    of_compute = fit.surface is not None and "C" in fit.surface.law.columns
    return (None if of_compute else own_cost(fit.runs)) or fit.cost


def fit_token_cost(N: Array, per_token: Array) -> TokenCost:
    """
    Fit the cost of a token by relative least squares, with as few powers as it takes.

    Parameters
    ----------
    N : array, shape (n,)
        Model sizes.
    per_token : array, shape (n,)
        FLOPs per token.

    Returns
    -------
    TokenCost

    Examples
    --------
    Attention over a fixed context makes small models dearer per parameter:

    >>> N = np.geomspace(1e7, 1e9, 9)
    >>> curve = fit_token_cost(N, 6 * N + 4e3 * N ** (2 / 3))
    >>> print(f"{curve.terms[0]:.6f} {curve.terms[1]:.3f} {curve.at(np.log(1e8))[1]:.3f}")
    6.000000 4000.000 0.803
    """
    sizes = np.unique(N).size
    log_n = (float(np.log(N.min())), float(np.log(N.max())))
    for count in range(1, min(POWERS.size, max(1, sizes - 1)) + 1):
        scale = N.mean() ** POWERS[:count]
        design = (N[:, None] ** POWERS[:count] / scale) / per_token[:, None]
        terms, *_ = np.linalg.lstsq(design, np.ones_like(N), rcond=None)
        misfit = float(np.abs(design @ terms - 1).max())
        found = TokenCost(terms / scale, log_n, misfit if misfit > 1e-12 else 0.0)
        if misfit < SMALL_MISFIT:
            break
    return found


SMALL_MISFIT = 1e-6
"""Below it a further power of N would fit rounding."""
