"""What the residuals say against the usual interval: uneven noise, outliers, a delta below the noise."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from lawful.core.notes import Note
from lawful.core.numbers import format_short
from lawful.core.typing import Array, BoolArray
from lawful.estimate.result import Fit
from lawful.solve import newton
from lawful.uncertainty.delta import delta
from lawful.uncertainty.linear import corrected_residuals, linearise, variance_power
from lawful.uncertainty.replicas import Replicas, settle

SURE = 0.005
"""Probability of a false alarm of each note on well-behaved runs."""

TREND_SURE = 0.02
"""The same for noise with a trend, whose power a few dozen runs tell poorly."""

SIMULATIONS = 4000
"""Simulated residual vectors behind a threshold."""

FEWEST = 10
"""With fewer degrees of freedom the residuals say nothing about their own distribution."""

WEAK = 0.5
"""Powers of the reducible loss below this do not matter to an interval."""

ROUNDS = 4
"""Rounds in which outliers and the trend of the noise are told apart."""

NARROW = 0.35
"""Share of runs within Huber's delta below which it acts as a least-absolute-deviations fit."""


@lru_cache(maxsize=64)
def _farthest(freedom: int) -> float:
    """Robust z that the farthest of this many Gaussian residuals exceeds with probability ``SURE``."""
    draws = np.abs(np.random.default_rng(0).standard_normal((SIMULATIONS, freedom)))
    scale = np.median(draws, axis=1) / 0.6745
    return float(np.quantile(draws.max(axis=1) / scale, 1 - SURE))


class Alarms(NamedTuple):
    """
    Which conditions the residuals of each fit show, shape (R,) each.

    Attributes
    ----------
    uneven : bool array
        The variance follows the reducible loss.
    far : bool array, shape (R, n)
        Runs too far out for Gaussian noise.
    narrow : bool array
        Huber's delta is far below the noise.
    inside : array
        Share of runs within it.
    z : array, shape (R, n)
        Robust z of every run.
    power, error : array
        Power of the reducible loss that the variance follows, and its standard error.
    """

    uneven: BoolArray
    far: BoolArray
    narrow: BoolArray
    inside: Array
    z: Array
    power: Array
    error: Array


def alarms(fits: Replicas) -> Alarms:
    """Read the conditions off fits: outliers and trend from a robust refit, which they do not bend."""
    from scipy.special import ndtri

    z, width = settle(fits.problem, fits.target, fits.z)
    at = linearise(fits.problem, z, losses=fits.losses, delta=width)
    at = at._replace(pseudo=at.residual)
    residual = corrected_residuals(at, 0.5) * np.sqrt(at.weight)
    farthest = _farthest(int(min(at.freedom[0], 400)))
    u = np.log(at.reducible) - np.log(at.reducible).mean(axis=1, keepdims=True)
    # Noise that grows with the loss is no outlier, and an outlier would pass for such noise. The
    # logs of the residuals feel an outlier least: their trend comes first, runs that stay far out
    # beside it are set aside, and the trend is read off the others.
    logs = np.log(np.maximum(residual**2, 1e-4 * np.median(residual**2, axis=1, keepdims=True)))
    power = (u * logs).sum(axis=1) / np.maximum((u**2).sum(axis=1), 1e-12)
    for _ in range(ROUNDS):
        even = residual * np.exp(-0.5 * power[:, None] * u)
        spread = np.median(np.abs(even), axis=1, keepdims=True) / 0.6745
        z = np.abs(even) / np.maximum(spread, 1e-300)
        far = z > farthest
        power, error = variance_power(at._replace(weight=at.weight * ~far))
    limit = float(ndtri(1 - TREND_SURE / 2))
    # As many runs as coefficients are lost to the fit, which the error of the power does not know.
    error = error * at.runs / at.freedom
    uneven = np.isfinite(error) & (np.abs(power) > limit * error) & (np.abs(power) > WEAK)
    own = fits.target - newton.separable(fits.problem.x, log=fits.problem.log)(fits.z)[0]
    inside = np.ones(len(z)) if fits.delta is None else (np.abs(own) <= fits.delta[:, None]).mean(axis=1)
    return Alarms(uneven, far, inside < NARROW, inside, z, power, error)


def diagnose(fit: Fit) -> tuple[Note, ...]:
    """
    Notes on conditions under which intervals are known to fail.

    Returns
    -------
    tuple of Note
        ``uneven_noise``: the noise grows or shrinks with the reducible loss, so a bootstrap
        that exchanges residuals, and an interval for equal noise, do not hold.
        ``outliers``: some residuals are too far out for Gaussian noise, so a squared
        objective follows them. ``narrow_delta``: Huber's delta is far below the noise.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> plan = lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth)
    >>> runs = lawful.simulate(truth, plan, noise=0.01)
    >>> diagnose(lawful.fit(runs))
    ()
    """
    if not fit.surface.law.two_powers:
        return ()
    fit = fit.core
    at = delta(fit)
    freedom = int(at.linear.freedom[0])
    scale = float(np.sqrt(at.linear.variance[0]))
    if freedom < FEWEST or scale < 1e-9 * float(np.mean(np.abs(fit.runs.L))):
        return ()
    width = at.problem.delta
    found = alarms(Replicas(at.problem, fit.runs.L[None], at.z, None if width is None else np.array([width])))
    notes = []
    if found.far.any():
        notes.append(_outlying(fit, found.z[0], found.far[0]))
    if found.uneven[0]:
        notes.append(_uneven(float(found.power[0]), float(found.error[0])))
    if found.narrow[0]:
        text = (
            f"Only {found.inside[0]:.0%} of the runs lie within Huber's delta of {format_short(width)}: it is far "
            f"below their noise, and the fit is one of least absolute deviations; delta 'auto' follows the noise."
        )
        notes.append(Note("narrow_delta", text))
    return tuple(notes)


def _uneven(power: float, error: float) -> Note:
    way = "larger" if power > 0 else "smaller"
    text = (
        f"Runs with a high loss have {way} residuals: their variance goes as (L - E)^{power:.1f} (standard error "
        f"{error:.1f}); intervals that take all runs as equally noisy (residual) do not hold here."
    )
    return Note("uneven_noise", text)


def _outlying(fit: Fit, z: Array, far: BoolArray) -> Note:
    rows = fit.runs.row
    index = np.flatnonzero(far)
    order = index[np.argsort(-z[index])][:5]
    named = ", ".join(str(int(rows[i]) if rows is not None else int(i) + 1) for i in order)
    one, many = ("runs lies", "row") if index.size == 1 else ("runs lie", "rows")
    remedy = "" if fit.objective.is_huber else "; a squared objective follows them: try huber with delta auto"
    text = (
        f"{index.size} of {z.size} {one} farther out than Gaussian noise would put any (up to {z.max():.0f} robust "
        f"standard deviations; {many} {named}){remedy}."
    )
    return Note("outliers", text)
