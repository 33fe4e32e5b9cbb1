"""
What is known of a target given runs, and which further runs would tell most about it. Arrays only.

Points are rows: candidates first, then targets. What is believed of their losses has one joint covariance: within a
fit, between fits, between laws, and a Matérn misfit for what the law itself gets wrong.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lawful.core.typing import Array, BoolArray, IntArray

LENGTHS = (0.5, 1.0, 2.0, 4.0)
"""Length scales of the misfit that are tried, in standard deviations of the log columns."""

SHARES = (0.0, 0.5, 0.9, 0.99)
"""Shares of the misfit in the variance about the law that are tried; the rest is noise."""

EARNED = 0.5
"""Rise of the log likelihood that a misfit must bring over noise alone."""

PRIOR_SCALE, PRIOR_RUNS = 0.02, 1.0
"""Residual scale that is believed before the runs have said theirs, in standard deviations of the loss, and its weight
in runs."""

EXPONENTS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Powers of the cost that a gain is divided by: one plan is made with each, and the best is kept."""


class Misfit(NamedTuple):
    """
    What a law leaves over: a smooth part and noise.

    Attributes
    ----------
    length : float
        Of the Matérn kernel, in the coordinates given.
    smooth, noise : float
        Variances.
    """

    length: float
    smooth: float
    noise: float


def matern(a: Array, b: Array, length: float) -> Array:
    """
    Matérn kernel with smoothness 5/2 between rows of points, shape (len(a), len(b)).

    Examples
    --------
    >>> matern(np.array([[0.0]]), np.array([[0.0], [1.0]]), 1.0).round(3).tolist()
    [[1.0, 0.524]]
    """
    square = ((a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2.0 * a @ b.T).clip(0.0)
    d = np.sqrt(5.0 * square) / length
    return np.asarray((1.0 + d + d**2 / 3.0) * np.exp(-d))


def fitted_misfit(residual: Array, slopes: Array, at: Array, scale: float) -> Misfit:
    """
    Size and length of the misfit by restricted likelihood, over a small grid.

    Parameters
    ----------
    residual : array, shape (n,)
    slopes : array, shape (n, q)
        Of the fit by its coefficients, whose freedom the residuals have lost.
    at : array, shape (n, d)
        Coordinates of the runs.
    scale : float
        Standard deviation of the losses; :data:`PRIOR_SCALE` of it is believed of the residuals beforehand.
    """
    n = residual.size
    basis, values, _ = np.linalg.svd(slopes, full_matrices=True)
    rank = int((values > values.max(initial=0.0) * 1e-9).sum())
    free = basis[:, rank:]
    left = free.T @ residual
    believed = PRIOR_RUNS * (PRIOR_SCALE * scale) ** 2
    best, found = -np.inf, Misfit(LENGTHS[0], 0.0, believed / PRIOR_RUNS)
    margin = 0.0
    for length in LENGTHS:
        kernel = free.T @ matern(at, at, length) @ free
        for share in SHARES if rank + 3 <= n else SHARES[:1]:
            root = np.linalg.cholesky(share * kernel + (1.0 - share) * np.eye(n - rank))
            white = np.linalg.solve(root, left)
            variance = float((white @ white + believed) / (n - rank + PRIOR_RUNS))
            likelihood = -0.5 * (n - rank + PRIOR_RUNS) * np.log(variance) - np.log(np.diag(root)).sum()
            if likelihood > best + (margin if found.smooth == 0.0 else 0.0):
                best, found = likelihood, Misfit(length, share * variance, (1.0 - share) * variance)
                margin = EARNED
    return found


class Belief(NamedTuple):
    """
    Losses at points, as believed.

    Attributes
    ----------
    mean : array, shape (m,)
    covariance : array, shape (m, m)
    noise : float
        Variance of a run about it.
    """

    mean: Array
    covariance: Array
    noise: float


def within_fit(slopes: Array, points: Array, spread: Array, misfit: Misfit, runs_at: Array, at: Array) -> Array:
    """
    Covariance of points within one fit, with what the misfit adds, shape (m, m).

    Parameters
    ----------
    slopes, points : array, shape (n, q) and (m, q)
        Slopes of the law by its coefficients at runs and at points.
    spread : array, shape (q,)
        Standard deviations of the coefficients before any run.
    misfit : Misfit
    runs_at, at : array, shape (n, d) and (m, d)
        Coordinates of runs and points.
    """
    n = len(slopes)
    root = np.linalg.cholesky(misfit.smooth * matern(runs_at, runs_at, misfit.length) + misfit.noise * np.eye(n))
    white = np.linalg.solve(root, slopes * spread)
    # QR of the whitened slopes above the prior: the normal equations would lose half of the digits.
    r = np.asarray(np.linalg.qr(np.vstack([white, np.eye(spread.size)]), mode="r"))
    # What the runs say of the misfit near them takes up some of the law's own freedom there (universal kriging).
    pulled = np.linalg.solve(root, misfit.smooth * matern(runs_at, at, misfit.length))
    left = np.linalg.solve(r.T, (points * spread - pulled.T @ white).T)
    return np.asarray(left.T @ left + misfit.smooth * matern(at, at, misfit.length) - pulled.T @ pulled)


def mixed(means: Array, covariances: list[Array], weights: Array, noises: Array) -> Belief:
    """
    One belief of several fits: their covariances, and how they differ.

    Parameters
    ----------
    means : array, shape (k, m)
    covariances : list of array, shape (m, m)
    weights : array, shape (k,)
        Sum to 1.
    noises : array, shape (k,)

    Examples
    --------
    >>> both = mixed(np.array([[1.0], [3.0]]), [np.zeros((1, 1))] * 2, np.array([0.5, 0.5]), np.ones(2))
    >>> both.mean.tolist(), both.covariance.tolist()
    ([2.0], [[1.0]])
    """
    mean = weights @ means
    apart = (means - mean) * np.sqrt(weights)[:, None]
    total = apart.T @ apart
    for weight, covariance in zip(weights, covariances, strict=True):
        total = total + weight * covariance
    return Belief(mean, total, float(weights @ noises))


def before_any_fit(runs_at: Array, at: Array) -> Belief:
    """
    What is believed of losses, in their own standard deviations, before a law can be fitted: a plane and a misfit.

    Parameters
    ----------
    runs_at, at : array, shape (n, d) and (m, d)
        Standardised logs of the columns, of runs and points.
    """
    misfit = Misfit(2.0, 0.25, 0.01)
    plane, points = (np.column_stack([np.ones(len(x)), x]) for x in (runs_at, at))
    covariance = within_fit(plane, points, np.ones(plane.shape[1]), misfit, runs_at, at)
    return Belief(np.zeros(len(at)), covariance, misfit.noise)


class Path(NamedTuple):
    """
    Candidates in the order in which they are bought.

    Attributes
    ----------
    order : int array, shape (k,)
    variance : array, shape (k + 1,)
        Mean variance of the targets before any of them, and after each.
    exponent : float
        Power of the cost that gains were divided by.
    """

    order: IntArray
    variance: Array
    exponent: float


def greedy(belief: Belief, cost: Array, spend: float, exponent: float) -> Path:
    """
    Buy the candidate of most gain per cost^exponent until nothing that is left is affordable.

    The gain of candidate c is the fall of the summed target variance, Σ C_tc²/(C_cc + s²); each purchase is a
    rank-one update of the covariance.

    Parameters
    ----------
    belief : Belief
        Candidates first, then targets.
    cost : array, shape (p,)
        Of the candidates, > 0.
    spend : float
    exponent : float
    """
    p, covariance = cost.size, belief.covariance
    targets = np.arange(p, len(covariance))
    diagonal = np.diag(covariance).copy()
    cross = covariance[targets, :p].copy()
    open_: BoolArray = np.ones(p, dtype=bool)
    price, left = cost**exponent, spend
    order: list[int] = []
    steps: list[Array] = []
    variance = [diagonal[targets].mean()]
    while (allowed := open_ & (cost <= left)).any():
        gain = (cross**2).sum(axis=0) / (diagonal[:p].clip(0.0) + belief.noise) / price
        j = int(np.argmax(np.where(allowed, gain, -np.inf)))
        column = covariance[:, j].copy()
        for step in steps:
            column -= step * step[j]
        step = column / np.sqrt(max(column[j], 0.0) + belief.noise)
        steps.append(step)
        diagonal = diagonal - step**2
        cross = cross - np.outer(step[targets], step[:p])
        order.append(j)
        open_[j] = False
        left -= cost[j]
        variance.append(max(diagonal[targets].mean(), 0.0))
    return Path(np.array(order, dtype=np.intp), np.array(variance), exponent)


def best_path(belief: Belief, cost: Array, spend: float) -> Path:
    """
    Of the plans with each exponent, the one that leaves the targets least uncertain; of equals the first.

    Examples
    --------
    Two candidates tell the same of the target; the cheap one is bought.

    >>> covariance = np.array([[1.0, 0.9, 0.9], [0.9, 1.0, 0.9], [0.9, 0.9, 1.0]])
    >>> best_path(Belief(np.zeros(3), covariance, 0.01), np.array([5.0, 1.0]), 5.0).order.tolist()
    [1]
    """
    paths = [greedy(belief, cost, spend, e) for e in EXPONENTS]
    least = min(path.variance[-1] for path in paths)
    alike = [path for path in paths if path.variance[-1] <= least * (1 + 1e-9)]
    return min(alike, key=lambda path: float(cost[path.order].sum()))


def first_part(path: Path, cost: Array, share: float) -> int:
    """Purchases that make up the first share of a plan's cost, one at least (none of an empty plan)."""
    spent = np.cumsum(cost[path.order])
    return min(len(path.order), max(1, int((spent <= share * spent[-1] * (1 + 1e-12)).sum()))) if spent.size else 0
