"""The laws that an averaged forecast rests on: which runs each of them listens to, and what it leans on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lawful.core.numbers import format_short
from lawful.core.shown import Record
from lawful.core.typing import Array
from lawful.errors import IdentificationError
from lawful.estimate.pulled import COEFFICIENTS, Coupled, Pulls, fit_pulled, starts
from lawful.forecasting.shapes import path_covariance

ExponentPrior = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class Recipe(Record):
    """
    Weights, priors and limits of the averaged forecast.

    Every number was chosen on public sweeps by how well the largest runs were forecast from the others
    (docs/forecast.md says on which, and what else was tried).

    Attributes
    ----------
    base : prior
        ``((mean, sd) of k, (mean, sd) of E)`` of the first fit; E in fractions of the lowest loss, as everywhere here.
    leading : tuple of prior
        Members that weigh runs near the valley and near the largest compute, with a narrow Huber width.
    steady, high : prior
        Of the members with a width in proportion to the noise, and of those that only widen the interval.
    delta : float
        Narrow Huber width, in log loss.
    valley : float
        A run weighs 1/(1 + (valley * excess / noise)^2), excess its loss above the optimum of its budget.
    distance : float
        Noise that member 5 adds per factor e below the largest compute, as a fraction of the lowest loss.
    effective : float
        Runs that the weights of the leading members must be worth, (sum w)^2 / sum w^2 (at most half of all).
    least_noise : float
        Smallest noise that the weights take a run to have, as a fraction of the lowest loss.
    """

    base: ExponentPrior = ((0.6, 0.2), (0.6, 0.2))
    leading: tuple[ExponentPrior, ...] = (((0.5, 0.1), (0.6, 0.1)), ((0.6, 0.2), (0.6, 0.1)), ((0.7, 0.2), (0.6, 0.1)))
    steady: ExponentPrior = ((0.6, 0.2), (0.6, 0.1))
    high: ExponentPrior = ((0.8, 0.1), (0.7, 0.1))
    delta: float = 1e-3
    valley: float = 0.2
    distance: float = 0.002
    effective: float = 15.0
    least_noise: float = 0.002


RECIPE = Recipe()

CENTRAL = 5
"""Members whose mean is the forecast; the others join them for its width."""

LEAST_RUNS, LEAST_SIZES, LEAST_RANGE, LEAST_RATIOS = 10, 3, 8.0, 1.5
"""Runs, model sizes, and the factors of compute and of tokens per parameter below which nothing is averaged."""

NEAR_VALLEY = 4.0
"""The noise of one run is read off runs within this factor of the compute-optimal size."""

MAD = 1.4826
"""Standard deviations of a Gaussian per median absolute deviation."""


class Members(NamedTuple):
    """
    Fitted members of an average.

    Attributes
    ----------
    laws : Coupled
        Those that converged, the central ones first.
    central : int
        How many of them make the centre.
    noise : float
        Standard deviation of the log loss of one run near the valley.
    power : float
        Power of compute that the leading members weigh runs by.
    failed : int
        Members that did not converge and are not used.
    path : array, shape (2, 2)
        Covariance of ln N* at the largest compute of the runs and of its slope in ln C: what the runs leave open.
    """

    laws: Coupled
    central: int
    noise: float
    power: float
    failed: int
    path: Array


def check_enough(N: Array, D: Array, C: Array) -> None:
    """
    Refuse runs that an average of laws cannot be fitted to.

    Raises
    ------
    IdentificationError
        Says what there is, what is needed, and what to do.
    """
    sizes, spread = np.unique(N).size, float(C.max() / C.min())
    ratios = float(np.exp(np.ptp(np.log(D / N))))
    short = [
        (N.size < LEAST_RUNS, f"{N.size} runs", f"{LEAST_RUNS} runs"),
        (sizes < LEAST_SIZES, f"{sizes} model size{'s' * (sizes != 1)}", f"{LEAST_SIZES} model sizes"),
        (
            spread < LEAST_RANGE,
            f"compute that spans a factor {format_short(spread, 3)}",
            f"a factor {format_short(LEAST_RANGE)} of compute",
        ),
        (
            ratios < LEAST_RATIOS,
            f"one ratio of tokens to parameters (within a factor {format_short(ratios, 3)})",
            f"ratios that differ by a factor {format_short(LEAST_RATIOS)}",
        ),
    ]
    for lacking, found, needed in short:
        if lacking:
            msg = (
                f"A forecast that averages over laws needs at least {needed}, and these runs have {found}; add runs, "
                f"or fit one law by name (vpnls, approach3)."
            )
            raise IdentificationError(msg)


def fit_members(
    N: Array, D: Array, L: Array, C: Array, weight: Array | None = None, recipe: Recipe = RECIPE
) -> Members:
    """
    Fit every member of the average.

    Parameters
    ----------
    N, D, L, C : array, shape (n,)
        Parameters, tokens, loss (nats, or any other unit above 0) and FLOPs.
    weight : array, shape (n,), optional
        Weights of the runs.
    recipe : Recipe

    Returns
    -------
    Members

    Raises
    ------
    IdentificationError
        If the runs are too few or too alike, or no central member converges.
    """
    check_enough(N, D, C)
    own = np.ones(L.size) if weight is None else weight
    low, behind = float(L.min()), np.log(C.max() / C)
    x, y = np.log(N), np.log(D)
    base = fit_pulled((N, D), L, _pulls([(np.exp(-behind), recipe.delta, recipe.base)], own))
    predicted = base.loss(x, y)[0]
    size = base.optimum(x + y)[0]
    best = base.loss(size, x + y - size)[0]
    excess = np.maximum(np.maximum(predicted, L) - best, 0.0)
    near = excess <= np.median(excess)
    noise = max(MAD * float(np.median(np.abs(L - predicted)[near])), recipe.least_noise * low)
    valley = 1.0 / (1.0 + (recipe.valley * excess / noise) ** 2)
    power = _power(valley * own, behind, recipe.effective)
    leading = valley * np.exp(-power * behind)
    recent = valley * np.exp(-behind)
    even = low**2 / (noise**2 + (recipe.distance * low * behind) ** 2 + (recipe.valley * excess) ** 2)
    wide = 2.0 * noise / low
    rows: list[tuple[Array, float, ExponentPrior | None]] = [(leading, recipe.delta, prior) for prior in recipe.leading]
    rows += [(recent, wide, recipe.steady), (even, wide, recipe.steady)]
    rows += [(even, wide, recipe.high), (recent, recipe.delta, recipe.high), (recent, recipe.delta, None)]
    pulls = _pulls(rows, own)
    found = fit_pulled((N, D), L, pulls, np.concatenate([base.z, starts((N, D), L, pulls.weight[0])]))
    usable = np.flatnonzero(found.converged)
    central = int((usable < CENTRAL).sum())
    if not central:
        msg = "None of the laws that a forecast averages over could be fitted to these runs; run check on the table."
        raise IdentificationError(msg)
    laws = found.take(usable)
    # The inverse-variance weights are the ones that say how much a run tells; the others only choose whom to hear.
    seeds, top = laws.z[[0, central // 2, central - 1]], float((x + y).max())
    excess_noise = _excess_noise(np.log(L / laws.loss(x, y)[central - 1]), even, 2.0 * wide)
    path = path_covariance((N, D), L, even * own / excess_noise, wide * excess_noise**0.5, seeds, top)
    return Members(laws, central, _noise(laws, x, y, L), power, len(rows) - usable.size, path)


def _pulls(rows: list[tuple[Array, float, ExponentPrior | None]], own: Array) -> Pulls:
    """Weights of mean one, widths and priors; Chinchilla's law where there is no prior."""
    weight = np.stack([own * row[0] for row in rows])
    priors = np.array([row[2] or ((0.0, np.inf), (0.0, np.inf)) for row in rows])
    return Pulls(
        weight / weight.mean(axis=1, keepdims=True),
        np.array([row[1] for row in rows]),
        priors[:, :, 0],
        priors[:, :, 1],
        np.array([row[2] is None for row in rows]),
    )


def _power(weight: Array, behind: Array, wanted: float) -> float:
    """Largest power of compute, in steps of .05 up to 1, that leaves weights worth enough runs."""
    need = min(wanted, 0.5 * weight.size)
    for power in np.linspace(1.0, 0.0, 21):
        w = weight * np.exp(-power * behind)
        if w.sum() ** 2 >= need * (w**2).sum():
            return float(power)
    return 0.0


def _noise(laws: Coupled, x: Array, y: Array, L: Array) -> float:
    """Standard deviation of log losses near the valley, about the last leading member."""
    at = min(len(RECIPE.leading), len(laws.z)) - 1
    residual = np.log(L / laws.loss(x, y)[at])
    near = np.abs(x - laws.optimum(x + y)[at]) < np.log(NEAR_VALLEY)
    chosen = residual[near] if near.sum() >= LEAST_NEAR else residual
    return float(MAD * np.median(np.abs(chosen - np.median(chosen))))


def _excess_noise(residual: Array, told: Array, most: float) -> float:
    """
    Factor of at least 1 by which the variance of the runs about a law exceeds the one they were weighed by.

    A median over the half of two dozen runs that a law bends to is often half the noise or less; a mean of squares over
    all of them, six coefficients off, is steadier. Residuals beyond ``most`` count as that.
    """
    freedom = max(1.0 - COEFFICIENTS / residual.size, 1.0 / residual.size)
    square = np.minimum(np.abs(residual), most) ** 2
    return max(float((told * square).sum() / (told.sum() / told.max() * freedom)), 1.0)


LEAST_NEAR = 5
"""Runs near the valley below which the noise is read off all of them."""
