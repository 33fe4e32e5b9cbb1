"""Many data sets on one design, refitted and given intervals together. Arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from lawful.core.cost import Cost
from lawful.core.typing import Array, IntArray
from lawful.estimate.solvers import Problem
from lawful.solve import kernel, newton
from lawful.solve.grid import grid_values, make_grid
from lawful.uncertainty.linear import Linearised, Spread, corrected_residuals, linearise, spread_by
from lawful.uncertainty.profiling import Data, frame_of, profile_ends
from lawful.uncertainty.quantity import Quantity, gradient, working_values
from lawful.uncertainty.resample import LEVERAGE_POWER, group_weights, multipliers

AUTO_FACTOR = 1.345
"""Huber's delta in robust standard deviations: 95% efficiency under Gaussian noise."""

AUTO_ROUNDS = 30

NARROWING = (0.1, 0.03, 0.01, 0.003)
"""Widths of Huber's loss on the way from squares to a narrow delta."""

ROW_ELEMENTS = 1_500_000
"""Rows times runs of one batch of bootstrap refits."""


class Replicas(NamedTuple):
    """
    Data sets on one design and their fits, one per row.

    Attributes
    ----------
    problem : Problem
        The design; its own losses are not used.
    losses : array, shape (R, n)
    z : array, shape (R, q)
        Answers in solver units.
    delta : array, shape (R,), or None
        Huber's delta of each; None for squares.
    """

    problem: Problem
    losses: Array
    z: Array
    delta: Array | None

    @property
    def weight(self) -> Array:
        """Weights of the runs, shape (n,)."""
        return np.ones(self.problem.y.size) if self.problem.w is None else self.problem.w

    @property
    def target(self) -> Array:
        """What the model is compared with, shape (R, n)."""
        return np.log(self.losses) if self.problem.log else self.losses


def refit(problem: Problem, losses: Array, start: Array, *, delta: float | str | None = None) -> Replicas:
    """
    Fit every data set: from the best point of a grid and from a common start, the better of the two.

    Parameters
    ----------
    problem : Problem
    losses : array, shape (R, n)
    start : array, shape (q,)
        A common start in solver units (the truth of a simulation).
    delta : float or "auto", optional
        Width of Huber's loss; 1.345 robust standard deviations of the residuals, at
        its fixed point, for "auto"; squares where None.

    Returns
    -------
    Replicas
    """
    if problem.log:
        z = _newton(problem, np.log(losses), None, np.repeat(start[None], len(losses), axis=0), None)[0]
    else:
        z = _squares(problem, losses, start)
    if delta is None:
        return Replicas(problem, losses, z, None)
    target = np.log(losses) if problem.log else losses
    if delta == "auto":
        return Replicas(problem, losses, *settle(problem, target, z))
    widths = np.full(len(losses), float(delta))
    best, value = z, np.full(len(losses), np.inf)
    # Huber's loss has basins: continued from the squared answer and from the common start, the lower one counts.
    for first in (z, np.repeat(start[None], len(losses), axis=0)):
        at = first
        for width in NARROWING:
            if width > float(delta):
                at = _newton(problem, target, None, at, np.full(len(losses), width), tolerance=1e-3)[0]
        at, found = _newton(problem, target, None, at, widths)
        best, value = np.where((found < value)[:, None], at, best), np.minimum(found, value)
    return Replicas(problem, losses, best, widths)


def _squares(problem: Problem, losses: Array, start: Array) -> Array:
    m = problem.powers + 1
    grid = make_grid(problem.box, 12)
    w = np.ones(losses.shape[1]) if problem.w is None else problem.w
    if problem.bounded:
        return _newton(problem, losses, None, np.repeat(start[None], len(losses), axis=0), None)[0]
    # All data sets share the columns, so one grid scores them all; the truth joins as a start where the grid is coarse.
    score = grid_values(problem.x, losses, w, grid, problem.linear)
    starts = [grid.theta[score.argmin(axis=1)], np.repeat(start[None, m:], len(losses), axis=0)]
    limits = problem.box, problem.linear
    found = [kernel.refine(problem.x, losses, problem.w, theta, *limits, tolerance=1e-8) for theta in starts]
    return np.where((found[0].value <= found[1].value)[:, None], found[0].z, found[1].z)


def _newton(
    problem: Problem, y: Array, w: Array | None, z: Array, delta: Array | None, *, tolerance: float = 1e-8
) -> tuple[Array, Array]:
    """Answers and values from given starts."""
    weight = w if w is not None else (np.ones(y.shape[1]) if problem.w is None else problem.w)
    out = newton.minimise(
        newton.separable(problem.x, log=problem.log), y, weight, np.clip(z, problem.lower, problem.upper),
        problem.lower, problem.upper, delta=delta, gates=problem.gates, tolerance=tolerance, max_iter=100,
    )  # fmt: skip
    return out.z, out.value


def robust_scale(residuals: Array) -> Array:
    """Robust standard deviation of every row: the median distance from zero over 0.6745."""
    return np.asarray(np.median(np.abs(residuals), axis=1) / 0.6745)


def settle(problem: Problem, y: Array, z: Array) -> tuple[Array, Array]:
    """Answers and deltas at the fixed point of delta = 1.345 robust standard deviations."""
    model = newton.separable(problem.x, log=problem.log)
    # delta follows the residuals and the residuals follow delta: rounds until the scale moves by less than a
    # thousandth, for the rows that still move.
    delta = AUTO_FACTOR * robust_scale(y - model(z)[0])
    alive = np.arange(len(z))
    z = z.copy()
    for _ in range(AUTO_ROUNDS):
        z[alive] = _newton(problem, y[alive], None, z[alive], delta[alive], tolerance=1e-6)[0]
        new = AUTO_FACTOR * robust_scale(y[alive] - model(z[alive])[0])
        moved = np.abs(new - delta[alive]) > 1e-3 * delta[alive]
        delta[alive] = new
        alive = alive[moved]
        if alive.size == 0:
            break
    return _newton(problem, y, None, z, delta)[0], delta


def linearised(replicas: Replicas, *, release: int | None = None) -> Linearised:
    """Every fit linearised at its optimum."""
    return linearise(replicas.problem, replicas.z, losses=replicas.losses, delta=replicas.delta, release=release)


def spread_of(replicas: Replicas, quantity: Quantity, noise: str) -> Spread:
    """Standard error of a quantity for every fit, its degrees of freedom and the scale of its profile."""
    law = replicas.problem.law
    release = law.names.index(quantity.name) if quantity.name in law.names else None
    at = linearised(replicas, release=release)
    # A coefficient that is asked about counts as free even on its bound; its gradient is then the unit vector.
    slope = gradient(quantity, law, replicas.z, replicas.problem.centre)
    if release is not None and not quantity.is_log(law):
        slope = np.zeros_like(replicas.z)
        slope[:, release] = 1.0
    found = spread_by(noise, at, np.nan_to_num(slope), replicas.problem.logs)
    # Huber's loss curves by the share of runs within delta only, so its rise is smaller by that for the same variance.
    return found._replace(ratio=found.ratio * at.inliers)


def linear_ends(replicas: Replicas, quantity: Quantity, noise: str, level: float) -> Array:
    """Linearised intervals in working values, shape (R, 2)."""
    from scipy.special import stdtrit

    spread = spread_of(replicas, quantity, noise)
    middle = working_values(quantity, replicas.problem.law, replicas.z, replicas.problem.centre)
    # stdtrit is the quantile of Student's t; the interval is symmetric in the log of A, B, N* and D*.
    half = stdtrit(spread.freedom, 0.5 + level / 2) * spread.error
    return np.stack([middle - half, middle + half], axis=1)


def profile_intervals(replicas: Replicas, quantity: Quantity, noise: str, level: float) -> Array:
    """Profile intervals in working values, shape (R, 2)."""
    from scipy.special import stdtrit

    spread = spread_of(replicas, quantity, noise)
    frame = frame_of(quantity, replicas.problem.law, replicas.problem, Cost())
    data = Data(replicas.problem.x, replicas.target, replicas.weight, replicas.problem.log, replicas.delta)
    reach = np.asarray(stdtrit(spread.freedom, 0.5 + level / 2), dtype=np.float64)
    return profile_ends(frame, data, replicas.z, reach, spread.ratio, precision=1e-3, tolerance=1e-6).at


def bootstrap_answers(
    replicas: Replicas, scheme: str, draws: int, rng: np.random.Generator, group: IntArray
) -> Iterator[tuple[slice, Array]]:
    """
    Refit resampled data sets, a few data sets at a time.

    Parameters
    ----------
    replicas : Replicas
    scheme : {"rows", "within-budget", "wild", "residual"}
    draws : int
        Per data set.
    rng : numpy.random.Generator
    group : int array, shape (n,)
        Budget of each run.

    Yields
    ------
    rows : slice
        Which data sets.
    z : array, shape (k, draws, q)
    """
    n = replicas.losses.shape[1]
    step = max(1, ROW_ELEMENTS // (draws * n))
    at = linearised(replicas)
    for start in range(0, len(replicas.z), step):
        here = slice(start, min(start + step, len(replicas.z)))
        count = here.stop - here.start
        weights, losses = None, np.repeat(replicas.losses[here], draws, axis=0)
        if scheme in LEVERAGE_POWER:
            # Residual i has (1 - h_i) of the error's variance. Divided by the root of that, residuals may be exchanged
            # between runs (their mean taken off); divided by (1 - h_i) they are the jackknife's, and get signs (wild).
            residuals = corrected_residuals(at, LEVERAGE_POWER[scheme])[here]
            fitted = (replicas.target - at.residual)[here]
            if scheme == "wild":
                noise = residuals[:, None] * multipliers("rademacher", (count, draws, n), rng)
            else:
                residuals = residuals - residuals.mean(axis=1, keepdims=True)
                picked = rng.integers(0, n, size=(count, draws, n))
                noise = np.take_along_axis(np.repeat(residuals[:, None], draws, axis=1), picked, axis=2)
            losses = (fitted[:, None] + noise).reshape(-1, n)
            losses = np.exp(losses) if replicas.problem.log else losses
        else:
            weights = _weights(scheme, count * draws, rng, group) * replicas.weight
        yield here, _resolve(replicas, here, draws, weights, losses).reshape(count, draws, -1)


def _weights(scheme: str, rows: int, rng: np.random.Generator, group: IntArray) -> Array:
    if scheme == "rows":
        return group_weights(np.arange(group.size), group.size, rows, rng)
    counts = np.zeros((rows, group.size))
    for g in np.unique(group):
        index = np.flatnonzero(group == g)
        counts[:, index] = group_weights(np.arange(index.size), index.size, rows, rng)
    return counts


def _resolve(replicas: Replicas, here: slice, draws: int, weights: Array | None, losses: Array) -> Array:
    problem = replicas.problem
    z = np.repeat(replicas.z[here], draws, axis=0)
    if replicas.delta is None and not problem.log and not problem.bounded:
        m = problem.powers + 1
        w = problem.w if weights is None else weights
        out = kernel.refine(problem.x, losses, w, z[:, m:], problem.box, problem.linear, tolerance=1e-4, max_iter=50)
        return out.z
    delta = None if replicas.delta is None else np.repeat(replicas.delta[here], draws)
    y = np.log(losses) if problem.log else losses
    return _newton(problem, y, weights, z, delta, tolerance=1e-4)[0]


def percentile_ends(problem: Problem, z: Array, quantity: Quantity, level: float) -> Array:
    """Percentile intervals in working values from draws, shape (k, draws, q) to (k, 2)."""
    k, draws, q = z.shape
    values = working_values(quantity, problem.law, z.reshape(-1, q), problem.centre).reshape(k, draws)
    values = np.where(np.isfinite(values), values, np.nan)
    with np.errstate(invalid="ignore"):
        tail = (1.0 - level) / 2
        return np.nanquantile(values, [tail, 1.0 - tail], axis=1).T
