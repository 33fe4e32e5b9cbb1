r"""
Priors with a width: what is known of the irreducible loss besides the runs, as one more observation of it.

``E = 1.6±0.1`` says that E is 1.6 with a standard deviation of 0.1. It enters a fit as a row of its own, whose value is
E and whose weight is ``s²/sd²``, s² the variance of a run of weight one: least squares then minimises
``sum w r² + s² (E - mean)²/sd²`` (Theil and Goldberger 1961). The variance of a run has to be told from what E may
explain, so it comes from the likelihood of the runs averaged over the prior.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lawful.core.numbers import format_short
from lawful.core.shown import Record
from lawful.core.typing import Array
from lawful.errors import UnsupportedError
from lawful.laws.law import Law

PLUS_MINUS = re.compile(r"(.*?)\s*±\s*(.*)|([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*(?:\+/-|\+-)\s*(.*)")
"""How a number with a width is written: 1.6±0.1, 1.6+-0.1 or 1.6+/-0.1 (beta+-0.1 is a formula)."""

GRID = re.compile(r"[-+.\deE]+:[-+.\deE]+:\d+")
"""A range of values, LOW:HIGH:COUNT, which an audit takes and a single fit does not."""

REACH, COARSE, SIDE = 5.0, 17, 22
"""Standard deviations either side of the prior's mean within which E is averaged over; points of a first look there,
and points on either side of the most probable E, ever closer to it, that average."""

CLOSEST = 1e-4
"""Distance of the first of those points, as a share of the way to the end."""

ROUNDED = 1e-4
"""Noise of a run is taken to be at least this share of its loss: losses are printed to four digits or so."""

SCALES = 1500
"""Points along the log variance of a run."""


@dataclass(frozen=True, slots=True)
class Prior(Record):
    """
    What is known of a coefficient besides the runs: a Gaussian, and what it weighs in a fit.

    Parameters
    ----------
    mean, sd : float
        Its mean and standard deviation, in the unit of the coefficient.
    weight : float
        Weight of the pseudo-observation: the variance of a run of weight one over sd² (for Huber's loss less, by the
        share of the runs that it counts in full).
    freedom : float or None
        Degrees of freedom with which the runs tell their variance; None where residuals of the fit tell it.

    Examples
    --------
    >>> Prior(1.6, 0.1).given
    (1.6, 0.1)
    """

    mean: float
    sd: float
    weight: float = 0.0
    freedom: float | None = None

    @property
    def given(self) -> tuple[float, float]:
        """Mean and standard deviation, as ``fixed`` takes them."""
        return self.mean, self.sd

    @property
    def text(self) -> str:
        """The prior as it is written."""
        return f"{format_short(self.mean)} ± {format_short(self.sd)}"


def prior_of(value: Any) -> Prior | None:
    """
    Read a number with a width; None for what is none, such as a number alone or a formula.

    Parameters
    ----------
    value : str, (float, float) or anything
        ``"1.6±0.1"``, ``"1.6+-0.1"``, or the mean and the standard deviation.

    Raises
    ------
    UnsupportedError
        If one of the two is no number, or the width is not positive.

    Examples
    --------
    >>> prior_of("1.6+-0.1").given, prior_of((1.6, 0.1)).given, prior_of(1.6), prior_of("alpha + beta")
    ((1.6, 0.1), (1.6, 0.1), None, None)
    """
    if isinstance(value, Prior):
        return Prior(*value.given)
    parts: Any = None
    if isinstance(value, str):
        found = PLUS_MINUS.fullmatch(value.strip())
        parts = None if found is None else [part for part in found.groups() if part is not None]
    elif isinstance(value, tuple | list) and len(value) == 2:
        parts = value
    if parts is None:
        return None
    try:
        mean, sd = (float(part) for part in parts)
    except (TypeError, ValueError):
        mean = sd = float("nan")
    if not (np.isfinite(mean) and np.isfinite(sd) and sd > 0):
        msg = f"A prior is a number and its standard deviation, such as `fixed` E=1.6±0.1; got {value!r}."
        raise UnsupportedError(msg)
    return Prior(mean, sd)


def split_priors(law: Law, fixed: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Prior]]:
    """
    Part what is held with a width from what is held without.

    Raises
    ------
    UnsupportedError
        If a width is asked of another coefficient than the irreducible loss, or the prior lies below 0.
    """
    for name, value in fixed.items():
        if isinstance(value, str) and GRID.fullmatch(value.strip()):
            msg = f"`fixed` {name}={value} is a range, which lawful audit takes; hold {name} at one number for a fit."
            raise UnsupportedError(msg)
    priors = {name: found for name, value in fixed.items() if (found := prior_of(value)) is not None}
    for name, prior in priors.items():
        if name not in law.names:
            msg = f"The {law.name} law has no coefficient {name!r}; it has {', '.join(law.names)}."
            raise UnsupportedError(msg)
        if law.constant is None or name != law.constant or law.bounds[name][0] == law.bounds[name][1]:
            has = "has none" if law.constant is None else f"calls it {law.constant}"
            if law.constant == name:
                has = "holds it by definition"
            msg = (
                f"`fixed` takes a width for the irreducible loss alone, and the {law.name} law {has}; hold {name} at "
                f"a number instead."
            )
            raise UnsupportedError(msg)
        if prior.mean < 0 and name not in law.signed:
            msg = f"The prior of {name} must lie at 0 or above, got {prior.text}."
            raise UnsupportedError(msg)
    return {name: value for name, value in fixed.items() if name not in priors}, priors


def run_variance(
    misfit: Callable[[float], float], prior: Prior, runs: int, others: int, floor: float, *, least: float = 0.0
) -> Prior:
    r"""
    Weigh a prior by the variance of a run, which the runs tell with E averaged over it.

    With q other coefficients and ``RSS(E)`` the least sum of squares with E held, the density of ln s² given the runs
    is proportional to ``s^-(n-q)`` times the mean over the prior of ``exp(-RSS(E)/2s²)`` (the other coefficients flat,
    s² as 1/s²). The scaled inverse chi-square with the same two first moments of ln s² gives s² and its degrees of
    freedom: n - q where the prior is narrow, as for E held; n - q - 1 where it says nothing, as for E free.

    Parameters
    ----------
    misfit : callable
        RSS(E).
    prior : Prior
    runs, others : int
        n and q.
    floor : float
        Least standard deviation of a run.
    least : float
        Least value of E.
    """
    from scipy.optimize import brentq
    from scipy.special import logsumexp, polygamma, psi

    values, rss = _averaged(misfit, prior, runs, others, floor, least)
    log_s2 = np.linspace(np.log(floor**2), np.log(max(float(rss.max()), runs * floor**2)) + 12.0, SCALES)
    steps = (values - prior.mean) / prior.sd
    given: Array = -0.5 * rss[None] / np.exp(log_s2)[:, None] - 0.5 * steps**2 + np.log(np.gradient(values))
    density = logsumexp(given, axis=1) - 0.5 * (runs - others) * log_s2
    share = np.exp(density - density.max())
    share /= share.sum()
    middle = float(share @ log_s2)
    spread = float(share @ (log_s2 - middle) ** 2)
    most = float(max(runs - others, 1))
    # Var ln s² = trigamma(nu/2), which falls in nu.
    if spread <= float(polygamma(1, most / 2)):
        freedom = most
    else:
        freedom = float(brentq(lambda nu: float(polygamma(1, nu / 2)) - spread, 1e-2, most))
    freedom = max(freedom, runs - others - 1.0, 1.0)
    # E ln s² = ln(s0²) + ln(nu/2) - psi(nu/2) for a scaled inverse chi-square of scale s0².
    s2 = np.exp(middle + float(psi(freedom / 2)) - np.log(freedom / 2))
    return Prior(prior.mean, prior.sd, float(s2) / prior.sd**2, freedom)


def _averaged(
    misfit: Callable[[float], float], prior: Prior, runs: int, others: int, floor: float, least: float
) -> tuple[Array, Array]:
    """Values of E that average over the prior, close where the runs and it make E most probable, with RSS there."""
    from scipy.optimize import minimize_scalar

    def unlikely(value: float) -> float:
        square = misfit(value) + runs * floor**2
        return 0.5 * (runs - others) * float(np.log(square)) + 0.5 * ((value - prior.mean) / prior.sd) ** 2

    low = max(prior.mean - REACH * prior.sd, least) if prior.mean >= 0 else prior.mean - REACH * prior.sd
    high = prior.mean + REACH * prior.sd
    look = np.linspace(low, high, COARSE)
    best = int(np.argmin([unlikely(float(value)) for value in look]))
    near = look[max(best - 1, 0)], look[min(best + 1, COARSE - 1)]
    middle = float(minimize_scalar(unlikely, bounds=near, method="bounded", options={"xatol": 1e-4 * (high - low)}).x)
    way = np.geomspace(CLOSEST, 1.0, SIDE)
    below, above = middle - way[::-1] * (middle - low), middle + way * (high - middle)
    values = np.unique(np.concatenate([below, [middle], above]))
    return values, np.array([misfit(float(value)) for value in values])


def robust_weight(prior: Prior, residual: Array, delta: float, free: int) -> Prior:
    """
    Weigh a prior against Huber's loss, whose gradient and curvature a run of Gaussian noise has on average.

    An M-estimate solves sum psi(r) x = weight (E - mean), with E psi' = P(|r| < delta) and E psi² in closed form; its
    variance is that of least squares at s_M² = E psi²/(E psi')², so the weight is E psi' times s_M²/sd².
    """
    from scipy.special import ndtr

    n = residual.size
    s = 1.4826 * float(np.median(np.abs(residual - np.median(residual)))) * np.sqrt(n / max(n - free, 1))
    s = max(s, 1e-12)
    t = delta / s
    inside = float(2 * ndtr(t) - 1)
    density = float(np.exp(-(t**2) / 2) / np.sqrt(2 * np.pi))
    square = s**2 * (inside - 2 * t * density + 2 * t**2 * float(ndtr(-t)))
    return Prior(prior.mean, prior.sd, square / max(inside, 1e-12) / prior.sd**2)
