r"""
The fit linearised at its optimum: slopes, leverages, influence of each run. Batched arrays.

To first order an estimate moves by ``sum_i l_i e_i`` when run i moves by e_i. Everything
here (standard errors for equal or unequal noise, their degrees of freedom, corrected
residuals for the bootstrap) is read off these influences.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lawful.estimate import newton
from lawful.estimate.small import inverse_spd
from lawful.estimate.solvers import Problem

Array = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

ON_BOUND = 1e-9
"""Relative distance within which a coefficient counts as sitting on its bound."""

MOST_LEVERAGE = 0.999
"""A run that the fit follows exactly says nothing about its own noise."""

WINDOW = 0.5
"""Half-width, in robust standard deviations, within which residuals tell the density at zero
where Huber's delta is narrower than that."""


class Linearised(NamedTuple):
    """
    Rows of fits linearised at their optima.

    Attributes
    ----------
    slope : array, shape (R, q, n)
        Derivatives of the fitted value (of its log for log objectives).
    inverse : array, shape (R, q, q)
        Inverse of ``slope W slope'`` over the free coefficients, zero elsewhere.
    weight : array, shape (R, n) or (1, n)
    leverage : array, shape (R, n)
        Diagonal of the hat matrix.
    residual : array, shape (R, n)
        Observed minus fitted.
    pseudo : array, shape (R, n)
        Residuals as the objective counts them: the residual itself for squares,
        psi(r) over the mean of psi' for Huber's loss.
    free : bool array, shape (R, q)
        Coefficients that are not on a bound.
    count : array, shape (R,)
        Runs with weight.
    variance : array, shape (R,)
        Of a run of weight one, if all are equally noisy.
    inliers : array, shape (R,)
        Mean of psi': the share of runs that Huber's loss counts in full (1 for squares).
    """

    slope: Array
    inverse: Array
    weight: Array
    leverage: Array
    residual: Array
    pseudo: Array
    free: BoolArray
    count: Array
    variance: Array
    inliers: Array

    @property
    def freedom(self) -> Array:
        """Degrees of freedom: runs less free coefficients, at least 1, shape (R,)."""
        return np.maximum(self.count - self.free.sum(axis=1), 1.0)


def free_coefficients(problem: Problem, z: Array) -> BoolArray:
    """Mask of coefficients inside their bounds, whose term is not zero, shape (R, q)."""
    slack = ON_BOUND * (1.0 + np.abs(z))
    free = (z - problem.lower > slack) & (problem.upper - z > slack)
    free[:, : problem.powers + 1] |= (z[:, : problem.powers + 1] > 0) & (problem.lower < problem.upper)[: problem.powers + 1]
    free &= problem.lower < problem.upper
    for coefficient, exponent in problem.gates:
        free[:, exponent] &= z[:, coefficient] > 0
    return free


def linearise(
    problem: Problem,
    z: Array,
    *,
    weights: Array | None = None,
    losses: Array | None = None,
    delta: Array | None = None,
    release: int | None = None,
) -> Linearised:
    """
    Linearise fits at rows of answers.

    Parameters
    ----------
    problem : Problem
    z : array, shape (R, q)
        Answers in solver units.
    weights : array, shape (R, n), optional
        Weights per row, in place of the problem's.
    losses : array, shape (R, n), optional
        Losses per row, in place of the problem's.
    delta : array, shape (R,), optional
        Huber's delta per row, in place of the problem's.
    release : int, optional
        A coefficient that counts as free even where it sits on a bound.

    Returns
    -------
    Linearised
    """
    value, slope, _ = newton.separable(problem.x, log=problem.log)(z)
    observed = problem.target if losses is None else (np.log(losses) if problem.log else losses)
    given = np.ones(problem.y.size) if problem.w is None else problem.w
    weight = np.atleast_2d(given if weights is None else weights)
    free = free_coefficients(problem, z)
    if release is not None:
        free[:, release] = True
    gram = (slope * weight[:, None, :]) @ slope.transpose(0, 2, 1)
    inverse = inverse_spd(gram, free)
    leverage = np.einsum("rqn,rqn->rn", slope, inverse @ slope) * weight
    residual = observed - value
    count = np.broadcast_to((weight > 0).sum(axis=1).astype(float), len(z))
    freedom = np.maximum(count - free.sum(axis=1), 1.0)
    width = delta if delta is not None else problem.delta
    if width is None:
        variance = (weight * residual**2).sum(axis=1) / freedom
        return Linearised(
            slope, inverse, weight, leverage, residual, residual, free, count, variance, np.ones(len(z))
        )
    width = np.broadcast_to(np.asarray(width, float), (len(z),))
    inliers, correction = _inliers(residual, weight, width, free.sum(axis=1))
    pseudo = np.clip(residual, -width[:, None], width[:, None]) / inliers[:, None]
    variance = correction**2 * (weight * pseudo**2).sum(axis=1) / freedom
    return Linearised(slope, inverse, weight, leverage, residual, pseudo, free, count, variance, inliers)


def _inliers(residual: Array, weight: Array, width: Array, fitted: Array) -> tuple[Array, Array]:
    """
    Mean of psi' per row, and Huber's finite-sample factor on the standard error.

    Where delta is far below the noise, hardly a run lies within it, and those few are
    the ones the fit goes through; the density of residuals in a window is used instead.
    """
    used = weight > 0
    size = np.where(used, np.abs(residual), np.nan)
    count = used.sum(axis=1)
    spread = np.nanmedian(size, axis=1) / 0.6745
    window = np.maximum(width, WINDOW * spread)
    inside = (size <= window[:, None]).sum(axis=1)
    plain = inside / count
    # A narrow delta makes the fit interpolate as many runs as it has coefficients.
    narrow = np.maximum(inside - fitted, 1) / np.maximum(count - fitted, 1) * (width / window)
    mean = np.where(window > width, narrow, plain)
    factor = 1.0 + fitted / count * (1.0 - mean) / mean
    return mean, np.where(window > width, 1.0, factor)


def sandwich_error(at: Linearised, slope: Array, times: Array | None = None) -> Array:
    """
    Standard error from each run's own residual, shape (R,).

    ``times`` says how often each run was drawn, shape (R, n): copies of a run are
    runs of their own to a bootstrap world, each with its share of influence and leverage.
    """
    l2 = influence(at, slope) ** 2
    leverage = at.leverage
    if times is not None:
        copies = np.maximum(times, 1.0)
        l2, leverage = l2 / copies, leverage / copies
    return np.asarray(np.sqrt((l2 * at.pseudo**2 / (1.0 - np.minimum(leverage, MOST_LEVERAGE))).sum(axis=1)))


def influence(at: Linearised, slope: Array) -> Array:
    """Influence l_i of each run on a quantity with this gradient, shape (R, n)."""
    direction = (at.inverse @ slope[:, :, None])[:, None, :, 0]
    return np.asarray((direction @ at.slope)[:, 0] * at.weight)


class Spread(NamedTuple):
    """
    Uncertainty of one quantity per row.

    Attributes
    ----------
    error : array, shape (R,)
        Standard error of the working value.
    freedom : array, shape (R,)
        Degrees of freedom of Student's t.
    ratio : array, shape (R,)
        Variance over that of the inverse Gram matrix alone: what a misfit is compared with.
    """

    error: Array
    freedom: Array
    ratio: Array


def equal_noise(at: Linearised, slope: Array) -> Spread:
    """Standard error where every run is equally noisy (variance inverse to its weight)."""
    form = np.einsum("rq,rqs,rs->r", slope, at.inverse, slope)
    return Spread(np.sqrt(at.variance * form), at.freedom, at.variance)


def unequal_noise(at: Linearised, slope: Array) -> Spread:
    r"""
    Standard error from each run's own residual (the sandwich, HC2 with Bell and McCaffrey's t).

    ``sum l_i^2 r_i^2 / (1 - h_i)`` has the right mean where noise is equal and nearly
    so where it is not; it is a quadratic form in the noise, and matching its first two
    moments gives the degrees of freedom (Bell & McCaffrey 2002, Imbens & Kolesár 2016).
    """
    l2 = influence(at, slope) ** 2
    left = 1.0 - np.minimum(at.leverage, MOST_LEVERAGE)
    d = l2 / left
    variance = (d * at.pseudo**2).sum(axis=1)
    form = np.einsum("rq,rqs,rs->r", slope, at.inverse, slope)
    root = np.sqrt(at.weight)[:, None, :] * at.slope
    hat = root.transpose(0, 2, 1) @ at.inverse @ root
    # Runs of weight w have variance 1/w; in units of that the form's matrix is d/w.
    scaled = np.divide(d, at.weight, out=np.zeros_like(d), where=at.weight > 0)
    square = np.einsum("ri,rij,rj->r", scaled, hat**2, scaled)
    trace = (scaled * left).sum(axis=1)
    cross = (scaled**2 * (left**2 - at.leverage**2)).sum(axis=1) + square
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = trace**2 / cross
        ratio = variance / form
    return Spread(np.sqrt(variance), np.where(np.isfinite(freedom), np.maximum(freedom, 1.0), 1.0), ratio)


def corrected_residuals(at: Linearised, power: float) -> Array:
    """Residuals divided by (1 - h)^power, shape (R, n): 1/2 restores their variance, 1 is the jackknife's."""
    return np.asarray(at.residual / (1.0 - np.minimum(at.leverage, MOST_LEVERAGE)) ** power)
