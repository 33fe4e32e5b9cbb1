"""asymptote_dial(): the forecast as a function of E, the coefficient that decides extrapolation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lawful.core.numbers import format_count_interval, format_flops, format_level
from lawful.core.sheet import Sheet, quantity, row
from lawful.core.shown import Shown
from lawful.core.typing import Array
from lawful.core.validation import check_budget
from lawful.errors import UnsupportedError
from lawful.estimate.result import Fit
from lawful.estimate.solvers import problem_of
from lawful.laws.surface import optimum_of
from lawful.uncertainty.delta import answer
from lawful.uncertainty.grounds import INDEPENDENT
from lawful.uncertainty.profile import Profile, data_of, profile
from lawful.uncertainty.profiling import Data, Frame, minimise_held, misfit
from lawful.valley.coordinates import identity

POINTS = 41

REACH = 1.6
"""How far beyond the interval of E the dial turns."""


@dataclass(frozen=True, eq=False)
class AsymptoteDial(Shown):
    """
    Forecast at a budget with E held at one value after another and the rest refitted.

    Attributes
    ----------
    fit : Fit
    budget : float
        FLOPs.
    table : mapping of str to array, shape (m,)
        ``E``; ``params``, ``tokens`` and ``loss`` of the optimum; ``distance``, the rise of
        the misfit as a t statistic; ``support``, 1 where E is inside its interval.
    profile : Profile
        Of E; its ``reach`` is the distance at the ends of the interval.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.005)
    >>> dial = lawful.fit(runs).dial(1e24)
    >>> sorted(dial.table)
    ['E', 'distance', 'loss', 'params', 'support', 'tokens']
    """

    fit: Fit
    budget: float
    table: Mapping[str, Array]
    profile: Profile

    @property
    def estimate(self) -> float:
        """E of the fit, the law's own name for it aside."""
        return self.fit.surface[self.fit.surface.law.linear[0]]

    def __repr__(self) -> str:
        inside, n = self.table["support"] > 0, self.table["params"]
        sizes = format_count_interval(float(n[inside].min()), float(n[inside].max()))
        ends = quantity("E", self.estimate, self.profile.interval)[1].span
        return f"AsymptoteDial(E {ends} moves N* at {format_flops(self.budget)} from {sizes})"

    def sheets(self) -> tuple[Sheet]:
        """Return the forecasts at the estimate and at both ends of the interval of E."""
        low, high = self.profile.interval
        level = format_level(self.profile.level)
        places = {f"low end of E, {level}": low, "estimate": self.estimate, f"high end of E, {level}": high}
        rows = []
        for place, e in places.items():
            at = {name: float(np.interp(e, self.table["E"], self.table[name])) for name in ("params", "tokens", "loss")}
            rows.append(row(place, *(quantity(name, value)[1] for name, value in {"E": float(e), **at}.items())))
        said = f"Forecast at {format_flops(self.budget)} with E held and the rest refitted."
        return (Sheet(said, (), ("", "E", "N*", "D*", "L*"), tuple(rows)),)


def asymptote_dial(fit: Any, budget: float, *, level: float = 0.90, points: int = POINTS) -> AsymptoteDial:
    """
    Turn E and watch the forecast: N*, D* and L* at a budget, with the support of the data.

    E is the least identified coefficient and the floor of every extrapolated loss;
    the dial shows how much of a forecast hangs on it.

    Parameters
    ----------
    fit : Fit
        A surface fit in which E is free.
    budget : float
        FLOPs, > 0.
    level : float
        Level of the interval of E.
    points : int
        Values of E, >= 3, beside the two ends of its interval.

    Returns
    -------
    AsymptoteDial

    Raises
    ------
    UnsupportedError
        If the fit has no surface, E is held fixed, or points is too small.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.005)
    >>> dial = lawful.fit(runs).dial(1e24)
    >>> low, high = dial.profile.interval
    >>> low in dial.table["E"] and high in dial.table["E"]
    True
    """
    fit = fit.core
    if fit.surface is None:
        msg = "The asymptote dial needs a fitted surface with E, N and D; fit with vpnls or approach3."
        raise UnsupportedError(msg)
    law = fit.surface.law
    law.require_two_powers("The asymptote dial")
    constant = law.linear[0]
    if points < 3:
        msg = f"The dial needs at least 3 values of E, got {points}."
        raise UnsupportedError(msg)
    c = check_budget(budget)
    problem = problem_of(fit)
    if problem.lower[0] == problem.upper[0]:
        msg = f"{constant} is held fixed in this fit, so there is no dial to turn; fit it with {constant} free."
        raise UnsupportedError(msg)
    along = profile(fit, constant, level=level, cluster=INDEPENDENT, points=0)
    low, high = along.interval
    best = fit.surface[constant]
    values = np.linspace(best - REACH * (best - low), best + REACH * (high - best), points)
    values = np.unique(np.clip([*values, low, high], problem.lower[0], min(problem.upper[0], float(fit.runs.L.min()))))
    frame = Frame(identity(0, problem.lower, problem.upper))
    data, own = data_of(problem), answer(fit, problem)
    z = _walk(frame, data, own[0], values, best)
    coefficients = dict(zip(law.names, problem.to_coefficients(z).T, strict=True))
    each = data.rows(np.zeros(values.size, dtype=np.intp))
    rise = np.maximum(2 * (misfit(each, z) - misfit(data, own)[0]), 0.0)
    distance = np.sqrt(rise / along.ratio)
    optimum = optimum_of(law, coefficients, c, fit.surface.cost)
    table = {
        "E": values,
        "params": np.asarray(optimum.params),
        "tokens": np.asarray(optimum.tokens),
        "loss": np.asarray(optimum.loss),
        "distance": distance,
        "support": ((values >= low) & (values <= high)).astype(float),
    }
    return AsymptoteDial(fit, c, table, along)


def _walk(frame: Frame, data: Data, start: Array, values: Array, best: float) -> Array:
    """Refit with E held, from the estimate outwards so that each value starts at its neighbour's answer."""
    out = np.empty((values.size, start.size))
    for side in (np.flatnonzero(values >= best), np.flatnonzero(values < best)[::-1]):
        z = start
        for i in side:
            held = minimise_held(frame, data, z[None], values[[i]])
            z = out[i] = held.phi[0]
    return out
