"""One way to ask for an interval, whatever it is made from: draws, the profile, or the linearisation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from lawful.core.notes import Note
from lawful.core.numbers import format_level, format_short
from lawful.core.sheet import Sheet
from lawful.core.shown import Shown
from lawful.core.typing import Array, Interval
from lawful.core.validation import check_level
from lawful.errors import IdentificationError, UnsupportedError
from lawful.estimate.result import Fit, FrontierFit, estimate_rows
from lawful.laws.formula import Formula
from lawful.uncertainty.bootstrap import Draws, bootstrap
from lawful.uncertainty.delta import Delta, delta
from lawful.uncertainty.grounds import AUTO, INDEPENDENT, grounds, spare
from lawful.uncertainty.linear import AUTO_NOISE, corrected_residuals
from lawful.uncertainty.noise import RunNoise, run_noise
from lawful.uncertainty.profile import Profile, profile
from lawful.uncertainty.quantity import Quantity, columns_at
from lawful.uncertainty.resample import SCHEMES

KINDS = (*SCHEMES, "profile", "delta", "none")
"""What ``--intervals`` takes."""

CLOSED_FORM = {
    "profile": "profile of the misfit, variance following the loss",
    "delta": "linearised at the optimum, variance following the loss",
}
"""Intervals that draw nothing, in words."""

FEW = 12
"""Runs up to which a law of one column gets Student's t: resampled rows of so few say little."""


def is_closed(fit: Fit | FrontierFit) -> bool:
    """
    Whether a law of one column gets intervals in closed form: few runs, or a prior, which no resampled rows know of.

    Examples
    --------
    >>> from lawful.forecasting.curve import fit_curve
    >>> is_closed(fit_curve([1e18, 1e19, 1e20, 1e21], [3.52, 3.15, 2.85, 2.60]))
    True
    """
    if fit.surface is None or fit.surface.law.profiles:
        return False
    return bool(fit.prior) or (len(fit.surface.law.columns) == 1 and len(fit.runs) <= FEW)


NOWHERE: Interval = (float("nan"), float("nan"))


def check_kind(kind: str) -> str:
    """
    Return a kind of interval.

    Raises
    ------
    UnsupportedError
        If it is unknown.
    """
    if kind not in KINDS:
        msg = f"Unknown intervals {kind!r}; choose one of {', '.join(KINDS)}."
        raise UnsupportedError(msg)
    return kind


SEARCHED = 12
"""Budgets of a band at which the optima of all draws are searched for."""


@dataclass(frozen=True, eq=False)
class Intervals(Shown):
    """
    Intervals of everything that a fit implies, by one method and at one level.

    Build it with :func:`intervals`.

    Parameters
    ----------
    fit : Fit or FrontierFit
    kind : str
        ``within-budget``, ``rows``, ``wild``, ``residual``, ``cluster``, ``profile`` or ``delta``.
    level : float
        Coverage aimed at.
    draws : Draws or None
        The bootstrap behind them.
    notes : tuple of Note
        Failed draws, open intervals, coefficients on a bound, errors that runs share.
    cluster : str
        What the profile takes as sharing an error; see :func:`lawful.uncertainty.profile.profile`.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.01)
    >>> found = intervals(lawful.fit(runs), "profile")
    >>> low, high = found.of("loss", budget=1e22)
    >>> least, most = found.prediction(budget=1e22)
    >>> least < low < high < most
    True
    """

    fit: Fit | FrontierFit
    kind: str
    level: float
    draws: Draws | None = None
    notes: tuple[Note, ...] = field(default=())
    cluster: str = AUTO

    def __repr__(self) -> str:
        return f"Intervals({self.kind}, {format_level(self.level)}, of {self.fit!r})"

    def sheets(self) -> tuple[Sheet]:
        """Return what the fit estimated, with its intervals."""
        level = format_level(self.level)
        said = f"Intervals at {level} by {self.kind}."
        rows = estimate_rows(self.fit, self.of)
        return (Sheet(said, (), ("", "estimate"), rows, f"{level} interval", (self.sentence,), self.notes),)

    @property
    def sentence(self) -> str:
        """Where the intervals come from."""
        if self.draws is None and is_closed(self.fit):
            freedom = format_short(float(self._linear.linear.freedom[0]), 3)
            return f"Intervals: Student's t on {freedom} degrees of freedom, linearised at the optimum, equal noise."
        if self.draws is None:
            return f"Intervals: {CLOSED_FORM[self.kind]}."
        failed = f", {self.draws.failed} failed" if self.draws.failed else ""
        return f"Intervals: {len(self.draws)} bootstrap draws ({self.kind}){failed}."

    @cached_property
    def _linear(self) -> Delta:
        return delta(self.fit.core, noise="equal" if is_closed(self.fit) else "trend")

    @cached_property
    def _noise(self) -> RunNoise:
        return run_noise(self._linear)

    @cached_property
    def _saturated(self) -> bool:
        """Whether there are no more runs than coefficients, so that nothing tells the noise."""
        return spare(self.fit) <= 0

    @cached_property
    def _profiles(self) -> dict[tuple[str, float | None], Profile]:
        return {}

    def of(self, name: str, *, budget: float | None = None, point: tuple[float, ...] | None = None) -> Interval:
        """
        Interval of a quantity; NaN at both ends where there is none.

        Parameters
        ----------
        name : str
            A coefficient, ``a``, ``b``, ``log10_a0``, ``log10_b0``; ``params``, ``tokens`` or ``loss`` at
            the optimum of a budget; ``loss_at`` a point.
        budget : float, optional
            FLOPs.
        point : (float, float), optional
            N and D, for ``loss_at``.
        """
        if self.draws is not None:
            return self.draws.interval(name, self.level, budget=budget, point=point)
        if self._saturated:
            return NOWHERE
        if self.kind == "delta":
            return self._linear.interval(name, self.level, budget=budget, point=point)
        if point is not None:
            return self._at_point(point)
        key = (name, budget)
        if key not in self._profiles:
            try:
                self._profiles[key] = profile(
                    self.fit, name, budget=budget, level=self.level, cluster=self.cluster, points=0
                )
            except UnsupportedError:
                # A derived quantity with A or B held: the profile would need curved bounds.
                return self._linear.interval(name, self.level, budget=budget)
        return self._profiles[key].interval

    def _at_point(self, point: tuple[float, ...]) -> Interval:
        """Interval of the loss of one model: exact where the profile is, linearised elsewhere."""
        rests = grounds(self.fit, self.cluster)
        surface = self.fit.surface
        if rests is None or surface is None:
            return self._linear.interval("loss_at", self.level, point=point)
        quantity, cost = Quantity("loss_at", point=point), surface.cost
        rise = rests.rise(quantity, cost, self.level, AUTO_NOISE)[0]
        low, high, _ = rests.ends(quantity, cost, rise)
        middle = float(surface.loss(*point))
        return min(low, middle), max(high, middle)

    def band(self, name: str, budgets: Array) -> Array:
        """
        Intervals of ``params``, ``tokens`` or ``loss`` along budgets, shape (n, 2), for figures.

        Under ``profile`` they are the linearised ones, scaled to the profile at both ends of the line. Where the
        optimum of every draw is searched for, at :data:`SEARCHED` budgets, and straight in logs between them.
        """
        if self.draws is not None and self.draws.on_lines and budgets.size > SEARCHED:
            at = np.geomspace(budgets.min(), budgets.max(), SEARCHED)
            ends = np.log(self.band(name, at))
            return np.exp([np.interp(np.log(budgets), np.log(at), end) for end in ends.T]).T
        if self.draws is not None or self.kind == "delta" or self._saturated:
            return np.array([self.of(name, budget=float(c)) for c in budgets])
        return np.array([self._linear.interval(name, self.level, budget=float(c)) for c in budgets])

    def in_units(self, params: float, tokens: float) -> Intervals:
        """
        Return intervals of a law whose A and B refer to N and D in these units.

        Only coefficients change; budgets and points of the result are in these units, too.
        """
        if (params, tokens) == (1.0, 1.0) or self.fit.surface is None:
            return self
        law = self.fit.surface.law
        new = law.in_units(self.fit.surface.coefficients, params=params, tokens=tokens)
        runs = self.fit.runs
        scaled = replace(runs, N=runs.N / params, D=runs.D / tokens)
        fixed = {name: new[name] for name in self.fit.fixed}
        fit = replace(self.fit, surface=replace(self.fit.surface, coefficients=new), runs=scaled, fixed=fixed)
        draws = None
        if self.draws is not None:
            k = law.in_units(self.draws.coefficients, params=params, tokens=tokens)
            draws = replace(self.draws, fit=fit, coefficients=k)
        return Intervals(fit, self.kind, self.level, draws, self.notes, self.cluster)

    def at_level(self, level: float) -> Intervals:
        """Return the same at another level."""
        return self if level == self.level else replace(self, level=level)

    def prediction(self, *, budget: float | None = None, point: tuple[float, ...] | None = None) -> Interval:
        """
        Interval of the loss of one new run, its noise included.

        ``of("loss")`` says where the mean curve is; a single run scatters around it as runs of its
        loss do: their variance follows a power of the reducible loss. It is not negative unless a run's loss is.
        """
        if self.fit.surface is None or (self.draws is None and self._saturated):
            return NOWHERE
        noise = self._noise
        if self.draws is not None:
            name = "loss" if point is None else "loss_at"
            values = self.draws.values(name, budget=budget, point=point)
            values = values[np.isfinite(values)]
            if values.size < 2:
                return NOWHERE
            # The runs' own residuals, each in units of the noise where it lies.
            core = self.fit.core
            own = corrected_residuals(self._linear.linear, 0.5)[0] / noise.at(core.runs.L - core.residuals)
            spread = own * float(noise.at(np.median(values)))
            noisy = (values[:, None] * np.exp(spread) if noise.log else values[:, None] + spread).ravel()
            tail = (1 - self.level) / 2
            low, high = np.quantile(noisy, [tail, 1 - tail])
            return float(low) if noise.signed else max(float(low), 0.0), float(high)
        if budget is not None:
            middle = float(self.fit.surface.optimum(budget).loss)
        else:
            surface = self.fit.surface
            middle = float(surface.law.loss(surface.coefficients, *columns_at(surface.law, point or (), surface.cost)))
        return noise.around(
            middle, self.of("loss" if point is None else "loss_at", budget=budget, point=point), self.level
        )


OWN_ERRORS = (None, AUTO, INDEPENDENT)
"""Choices of a cluster that name no column whose runs share an error."""


def intervals(
    fit: Fit | FrontierFit,
    kind: str = "profile",
    *,
    level: float = 0.9,
    draws: int = 1000,
    seed: int = 0,
    cluster: str | None = None,
) -> Intervals | None:
    """
    Prepare the intervals of a fit.

    Parameters
    ----------
    fit : Fit or FrontierFit
        A frontier has no surface to profile or linearise, and gets a bootstrap within budgets; so do laws of another
        form than Chinchilla's (``Law.profiles``) in place of the profile. Laws that are formulas are linearised in its
        place, with Student's t and a noise that follows the loss: resampled rows hold no better and take minutes.
        Any law can be linearised.
    kind : {"profile", "delta", "within-budget", "rows", "wild", "residual", "cluster", "none"}
    level : float
    draws, seed
        See :func:`lawful.uncertainty.bootstrap.bootstrap`.
    cluster : str, optional
        A column of labels whose runs share an error, for ``profile`` and ``cluster``; ``none`` for independent
        runs. The profile looks for a shared error by itself if not given.

    Returns
    -------
    Intervals or None
        None for ``none``.

    Raises
    ------
    UnsupportedError
        If the kind is unknown or does not apply.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.01)
    >>> found = lawful.fit(runs)
    >>> [found.intervals(kind, draws=100).of("alpha")[0] < 0.34 for kind in ("profile", "delta", "wild")]
    [True, True, True]
    """
    check_kind(kind)
    check_level(level)
    if kind == "none":
        return None
    fit = fit.core
    if kind in ("profile", "delta"):
        if fit.surface is not None and kind == "delta":
            return Intervals(fit, kind, level, notes=delta(fit).notes)
        if fit.surface is not None and fit.surface.law.profiles:
            rests = grounds(fit, cluster or AUTO)
            return Intervals(fit, kind, level, notes=rests.notes if rests else (), cluster=cluster or AUTO)
        if fit.surface is not None and isinstance(fit.surface.law.form, Formula) and cluster in OWN_ERRORS:
            return Intervals(fit, "delta", level, notes=delta(fit).notes)
        if is_closed(fit) and cluster in OWN_ERRORS:
            return _by_student(fit, level)
        kind = "within-budget" if cluster in OWN_ERRORS else "cluster"
    cluster = None if cluster in (AUTO, INDEPENDENT) else cluster
    drawn = bootstrap(fit, draws, scheme=kind, seed=seed, cluster=cluster)
    return Intervals(fit, drawn.scheme, level, drawn, drawn.notes)


def _by_student(fit: Any, level: float) -> Intervals | None:
    """
    Student's t on n - p degrees of freedom with the estimated scale, linearised at the optimum.

    Raises
    ------
    IdentificationError
        If there are no more runs than coefficients, so that nothing tells the noise.
    """
    free = sum(name not in fit.fixed for name in fit.surface.law.identifiable)
    used = int(fit.runs.counted.sum())
    if used - free + len(fit.prior) < 1:
        msg = (
            f"{used} runs leave nothing to tell the noise from ({free} coefficients); add runs, or say what is known "
            f"of one (`fixed` E=1.6 or E=1.6±0.1)."
        )
        raise IdentificationError(msg)
    return Intervals(fit, "delta", level, notes=delta(fit, noise="equal").notes)


def of_draws(draws: Draws | None, level: float) -> Intervals | None:
    """Percentile intervals of a finished bootstrap; None without one."""
    return None if draws is None else Intervals(draws.fit, draws.scheme, level, draws, draws.notes)


def as_intervals(source: Any, level: float) -> Intervals | None:
    """Return intervals from what a caller has: intervals, draws or nothing."""
    return source.at_level(level) if isinstance(source, Intervals) else of_draws(source, level)
