"""Intervals from draws: percentile, BCa and studentised. Arrays in, two numbers out."""

from __future__ import annotations

import numpy as np

from lawful.core.typing import Array, Interval

KINDS = ("percentile", "bca", "studentised")


def quantiles(values: Array, level: float) -> Interval:
    """
    Equal-tailed percentile interval of the finite values.

    Returns NaN twice if fewer than two values are finite.

    Examples
    --------
    >>> quantiles(np.arange(101.0), 0.9)
    (5.0, 95.0)
    """
    finite = values[np.isfinite(values)]
    if finite.size < 2:
        return (float("nan"), float("nan"))
    tail = (1.0 - level) / 2
    low, high = np.quantile(finite, [tail, 1.0 - tail])
    return float(low), float(high)


def bca(values: Array, estimate: float, left_out: Array, level: float) -> Interval:
    """
    Bias-corrected and accelerated interval (Efron 1987).

    Parameters
    ----------
    values : array, shape (draws,)
        NaN where a draw failed.
    estimate : float
        The quantity at the fit.
    left_out : array, shape (n,)
        The quantity with one run (or cluster) left out at a time.
    level : float

    Returns
    -------
    (float, float)
        Invariant under monotone transformations of the quantity up to the
        acceleration, which is of second order.

    Examples
    --------
    A skewed sample: the interval of its mean leans to the long side.

    >>> sample = np.random.default_rng(0).exponential(size=40)
    >>> rng = np.random.default_rng(1)
    >>> means = rng.choice(sample, (2000, 40)).mean(axis=1)
    >>> left_out = (sample.sum() - sample) / 39
    >>> low, high = bca(means, sample.mean(), left_out, 0.9)
    >>> high > quantiles(means, 0.9)[1]
    True
    """
    from scipy.special import ndtr, ndtri

    finite = values[np.isfinite(values)]
    if finite.size < 2 or not np.isfinite(estimate):
        return (float("nan"), float("nan"))
    below = ((finite < estimate).sum() + 0.5 * (finite == estimate).sum()) / finite.size
    shift = ndtri(np.clip(below, 0.5 / finite.size, 1 - 0.5 / finite.size))
    lever = left_out[np.isfinite(left_out)]
    lever = lever.mean() - lever
    size = (lever**2).sum() ** 1.5
    pull = (lever**3).sum() / (6.0 * size) if size > 0 else 0.0
    tail = ndtri((1.0 - level) / 2)
    at = shift + np.array([tail, -tail])
    low, high = np.quantile(finite, ndtr(shift + at / (1.0 - pull * at)))
    return float(low), float(high)


def studentised(values: Array, errors: Array, estimate: float, error: float, level: float) -> Interval:
    """
    Bootstrap-t interval: quantiles of each draw's deviation over its own standard error.

    Parameters
    ----------
    values, errors : array, shape (draws,)
        Draws and their standard errors; NaN where a draw failed.
    estimate, error : float
        The same at the fit.
    level : float

    Returns
    -------
    (float, float)

    Examples
    --------
    With equal standard errors it is the percentile interval mirrored at the estimate:

    >>> studentised(np.arange(101.0), np.ones(101), 40.0, 1.0, 0.9)
    (-15.0, 75.0)
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (values - estimate) / errors
    low, high = quantiles(t, level)
    return estimate - high * error, estimate - low * error
