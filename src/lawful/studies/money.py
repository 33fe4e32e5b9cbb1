"""Study 11's arithmetic: dollars of FLOPs, deadweight of a choice, and Approach 2 on resampled runs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lawful.core.cost import Cost
from lawful.core.hardware import Rate
from lawful.core.typing import Array
from lawful.data.runs import Runs
from lawful.estimate.isoflop import lines
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
    groups = runs.budgets.size
    at, curvature, few = (np.empty((len(weight), groups)) for _ in range(3))
    for g in range(groups):
        index = np.flatnonzero(runs.group == g)
        x = np.log10(runs.D[index])
        centre, half = x.mean(), np.ptp(x) / 2
        u = (x - centre) / half
        q, r = np.linalg.qr(np.stack([np.ones_like(u), u, u * u], axis=1))
        w = weight[:, index]
        gram = np.einsum("ni,nj,bn->bij", q, q, w)
        moment = (w * (runs.L[index] - runs.L[index].mean())) @ q
        sizes, size_of = np.unique(x, return_inverse=True)
        short = ((w @ (size_of[:, None] == np.arange(sizes.size))) > 0).sum(axis=1) < 3
        gram[short] = np.eye(3)
        c = np.linalg.solve(r, np.linalg.solve(gram, moment[:, :, None])[:, :, 0].T).T
        at[:, g] = centre - half * c[:, 1] / (2 * c[:, 2])
        at[short, g] = [_minimum_norm_vertex(x, runs.L[index], row) for row in w[short]]
        curvature[:, g], few[:, g] = np.where(short, np.nan, c[:, 2]), short
    found = lines(np.log10(runs.budgets), at)
    tokens = 10.0 ** (found.intercept + found.slope * np.log10(budget))
    return tokens, (curvature <= 0).sum(axis=1).astype(float), few.sum(axis=1)


def _minimum_norm_vertex(x: Array, y: Array, weight: Array) -> float:
    times = weight.astype(int)
    columns = np.vander(np.repeat(x, times), 3)
    scale = np.sqrt((columns**2).sum(axis=0))
    c = np.linalg.lstsq(columns / scale, np.repeat(y, times), rcond=times.sum() * np.finfo(float).eps)[0] / scale
    return float(-c[1] / (2 * c[0]))
