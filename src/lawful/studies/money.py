"""Study 11's arithmetic: dollars of FLOPs, deadweight of a choice, and Approach 2 on resampled runs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lawful.core.cost import Cost
from lawful.core.hardware import Rate
from lawful.core.typing import Array
from lawful.data.runs import Runs
from lawful.estimate.isoflop import all_vertices, lines
from lawful.laws.surface import Surface


def dollars(flops: ArrayLike, rate: Rate = "dense") -> Array:
    """
    Dollars that FLOPs cost at 50% utilisation and 2 dollars per H100 hour.

    Examples
    --------
    >>> print(f"{dollars(2.39e24, 'sparse'):,.0f}  {dollars(2.39e24):,.0f}")
    1,341,867  2,683,735
    """
    return np.asarray(Cost.on("h100", rate=rate, mfu=0.5, price=2.0).dollars(flops))


def outcome(truth: Surface, budget: float, tokens: float) -> dict[str, float]:
    """Return what training on these tokens does: N forced to C/(6D), the losses, the deadweight and its dollars."""
    best = truth.optimum(budget)
    params = float(truth.cost.params(budget=budget, tokens=tokens))
    lost = float(truth.deadweight(budget, tokens))
    return {
        "true_tokens": float(best.tokens),
        "inferred_tokens": tokens,
        "true_params": float(best.params),
        "inferred_params": params,
        "true_loss": float(best.loss),
        "inferred_loss": float(truth.loss(params, tokens)),
        "dcl_flops": lost,
        "dcl_percent": 100 * lost / budget,
        "dollars_dense": float(dollars(lost)),
        "dollars_sparse": float(dollars(lost, "sparse")),
    }


def resample(runs: Runs, draws: int, rng: np.random.Generator) -> Array:
    """How often each run is drawn when every budget is resampled on its own, shape (draws, n)."""
    counts = np.zeros((draws, len(runs)))
    for g in range(runs.budgets.size):
        index = np.flatnonzero(runs.group == g)
        counts[:, index] = rng.multinomial(index.size, np.full(index.size, 1 / index.size), size=draws)
    return counts


def published_resample(runs: Runs, draws: int, rng: np.random.Generator) -> Array:
    """Return the same counts drawn as the paper does: one choice with replacement per draw and budget, ascending."""
    counts = np.zeros((draws, len(runs)))
    members = [np.flatnonzero(runs.group == g) for g in np.argsort(runs.budgets)]
    for row in counts:
        for index in members:
            np.add.at(row, index[rng.choice(index.size, size=index.size, replace=True)], 1)
    return counts


def approach2_tokens(runs: Runs, weight: Array, budget: float) -> tuple[Array, Array, Array]:
    """
    D* of Approach 2 at a budget for many rows of weights, whatever way the parabolas open.

    Parameters
    ----------
    runs : Runs
    weight : array, shape (R, n)
    budget : float

    Returns
    -------
    tokens : array, shape (R,)
        From a straight line through the vertices. Fewer than 3 sizes do not determine a
        parabola; NumPy's minimum-norm one stands there, as in the published pipeline.
    downward, short : array, shape (R,)
        Number of parabolas that open downward, and of budgets with fewer than 3 sizes.
    """
    found, few = all_vertices(np.log10(runs.D), runs, weight)
    line = lines(np.log10(runs.budgets), found.at)
    tokens = 10.0 ** (line.intercept + line.slope * np.log10(budget))
    return tokens, ((found.curvature <= 0) & ~few).sum(axis=1).astype(float), few.sum(axis=1)
