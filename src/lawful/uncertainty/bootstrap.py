"""Bootstrap: refit on resampled runs, and read intervals off the draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lawful.core.notes import Note
from lawful.core.sheet import Sheet
from lawful.core.shown import Shown
from lawful.core.typing import Array, IntArray, Interval
from lawful.core.validation import check_draws
from lawful.errors import UnsupportedError
from lawful.estimate.isoflop import envelope_draws, isoflop_draws
from lawful.estimate.result import Fit, FrontierFit, estimate_rows, one_law_of, surface_fit
from lawful.estimate.solvers import prepare, problem_of, resolve
from lawful.laws.law import FRONTIER_NAMES, terms_of
from lawful.laws.surface import Optima, Point, optimum_of, values_for
from lawful.uncertainty.delta import answer
from lawful.uncertainty.linear import equal_noise, linearise, sandwich_error
from lawful.uncertainty.quantiles import KINDS, bca, quantiles, studentised
from lawful.uncertainty.quantity import Quantity, gradient, reported, unreported, values_of
from lawful.uncertainty.resample import BLOCK, MULTIPLIERS, Resampler, Sample, choose_scheme


@dataclass(frozen=True, eq=False)
class Draws(Shown):
    """
    Refits on resampled runs: one row per draw, failed draws kept as NaN.

    Parameters
    ----------
    fit : Fit or FrontierFit
        What was resampled.
    scheme : str
        ``within-budget``, ``rows``, ``wild``, ``residual`` or ``cluster``: what was actually done.
    seed : int
        Draw i depends on this, on the scheme and on i only.
    coefficients : mapping of str to array, shape (draws,)
        By coefficient; empty for a frontier without a surface.
    frontier : mapping of str to array, shape (draws,)
        ``a, b, log10_a0, log10_b0``.
    notes : tuple of Note
        Failed draws, a changed scheme.
    cluster : str, optional
        Column of labels whose runs were drawn together.
    multiplier : {"rademacher", "mammen"}
        Random signs of the wild bootstrap.

    Examples
    --------
    >>> import lawful
    >>> truth = lawful.Surface.named("chinchilla")
    >>> plan = lawful.Plan.isoflop([1e18, 1e19, 1e20, 1e21], 9, surface=truth)
    >>> found = lawful.fit(lawful.simulate(truth, plan, noise=0.01, seed=1))
    >>> draws = found.bootstrap(500, seed=0)
    >>> low, high = draws.interval("alpha", level=0.9)
    >>> bool(low < found.surface["alpha"] < high)
    True
    >>> low, high = draws.interval("params", budget=1e24, kind="bca")
    >>> bool(low < truth.optimum(1e24).params < high)
    True
    """

    fit: Fit | FrontierFit
    scheme: str
    seed: int
    coefficients: Mapping[str, Array]
    frontier: Mapping[str, Array]
    notes: tuple[Note, ...] = field(default=())
    cluster: str | None = None
    multiplier: str = "rademacher"

    def __repr__(self) -> str:
        return f"Draws({len(self)} of {self.fit.method}, {self.scheme}, seed {self.seed}, {self.failed} failed)"

    def sheets(self) -> tuple[Sheet]:
        """Return estimates with 90% percentile intervals."""
        said = f"Bootstrap of {len(self)} draws ({self.scheme}, seed {self.seed}): {self.failed} failed."
        rows = estimate_rows(self.fit, self.interval)
        return (Sheet(said, (), ("", "estimate"), rows, "90% interval", (), self.notes),)

    def __len__(self) -> int:
        return len(self.frontier["a"])

    def extend(self, more: int) -> Draws:
        """Add draws to these, as if all had been drawn at once; see :func:`lawful.uncertainty.bootstrap.extend`."""
        return extend(self, more)

    @property
    def failed(self) -> int:
        """Number of draws without a finite frontier, or without coefficients where the law has no frontier."""
        bare = self.fit.surface is not None and self.fit.surface.law.terms is None
        read = self.coefficients if bare else self.frontier
        return int((~np.isfinite(np.stack(list(read.values()))).all(axis=0)).sum())

    def params(self, budget: float) -> Array:
        """Compute-optimal parameters at a budget, shape (draws,)."""
        if self.on_lines:
            return self._at_optimum("params", budget)
        return self._on_power("a", budget)

    def tokens(self, budget: float) -> Array:
        """Compute-optimal tokens at a budget, shape (draws,)."""
        if self.on_lines:
            return self._at_optimum("tokens", budget)
        return self._on_power("b", budget)

    def _on_power(self, name: str, budget: float) -> Array:
        """A frontier at a budget; infinite, without a warning, where a wild draw leaves the range of a float."""
        with np.errstate(over="ignore"):
            return np.asarray(10.0 ** (self.frontier[f"log10_{name}0"] + self.frontier[name] * np.log10(budget)))

    def loss(self, budget: float) -> Array:
        """Loss at the optimum of a budget, shape (draws,); surfaces only."""
        return self._at_optimum("loss", budget)

    @property
    def on_lines(self) -> bool:
        """Whether optima are found along budget lines, for want of a frontier in closed form."""
        law = None if self.fit.surface is None else self.fit.surface.law
        return law is not None and law.allocates and law.terms is None

    def _at_optimum(self, name: str, budget: float) -> Array:
        """Params, tokens or loss at the optimum of a budget, NaN where there is none."""
        value = getattr(_best(self, budget), name)
        return np.where(np.isfinite(value), value, np.nan)

    def loss_at(self, params: ArrayLike, tokens: ArrayLike) -> Array:
        """Loss of N parameters on D tokens, shape (draws,); surfaces only."""
        surface = self._surface_fit().surface
        n, d = np.asarray(params, float), np.asarray(tokens, float)
        return np.asarray(surface.law.loss(self.coefficients, *values_for(surface.law, n, d, surface.cost)))

    def values(self, name: str, *, budget: float | None = None, point: tuple[float, ...] | None = None) -> Array:
        """
        Draws of any quantity, shape (draws,).

        Parameters
        ----------
        name : str
            A coefficient, ``a``, ``b``, ``log10_a0``, ``log10_b0``; ``params``, ``tokens``
            or ``loss`` at the optimum of a budget; ``loss_at`` a point.
        budget : float, optional
            FLOPs.
        point : (float, float), optional
            N and D, for ``loss_at``.

        Raises
        ------
        UnsupportedError
            If there are no draws of that quantity.
        """
        quantity = Quantity(name, budget, point)
        known = {**self.frontier, **self.coefficients}
        if name in known:
            return np.asarray(known[name])
        if name in ("params", "tokens") and budget is not None:
            return self.params(budget) if name == "params" else self.tokens(budget)
        if name not in ("loss", "loss_at"):
            msg = f"No draws of {name!r}; there are {', '.join(known)}."
            raise UnsupportedError(msg)
        fit = self._surface_fit()
        return values_of(quantity.check(fit.surface.law), fit.surface.law, self.coefficients, fit.surface.cost)

    def interval(
        self,
        name: str,
        level: float = 0.9,
        kind: str = "percentile",
        *,
        budget: float | None = None,
        point: tuple[float, ...] | None = None,
    ) -> Interval:
        """
        Interval of any quantity; NaN at both ends where fewer than two draws have one.

        NaN as well where Approach 1's draws lie to one side of its own estimate: a lower envelope
        is made of minima, and resampled runs lose them; and where Approach 2's are all the same:
        a parabola through three sizes leaves nothing over that would tell its noise.

        Parameters
        ----------
        name, budget, point
            See :meth:`values`.
        level : float
            Coverage the interval aims at.
        kind : {"percentile", "bca", "studentised"}
            Quantiles of the draws; those quantiles shifted for bias and skewness (BCa;
            Efron 1987, acceleration by the jackknife); or the quantiles of each
            draw's deviation over its own standard error (bootstrap t).

        Returns
        -------
        (float, float)

        Raises
        ------
        UnsupportedError
            If the kind is unknown, or studentised intervals are asked of a method without a surface.
        """
        if kind not in KINDS:
            msg = f"Unknown kind of interval {kind!r}; choose one of {', '.join(KINDS)}."
            raise UnsupportedError(msg)
        if kind == "studentised":
            return self._studentised(Quantity(name, budget, point), level)
        values = self.values(name, budget=budget, point=point)
        ends = quantiles(values, level)
        if self.fit.method == "approach1":
            middle = self._estimate(name, budget=budget, point=point)
            # No resample has a lower loss than all runs together, so the draws may miss their own estimate.
            if not ends[0] <= middle <= ends[1]:
                return (float("nan"), float("nan"))
        if self.fit.method == "approach2" and ends[1] - ends[0] <= SAME * abs(ends[1]):
            return (float("nan"), float("nan"))
        if kind == "bca":
            left_out = self._jackknife().values(name, budget=budget, point=point)
            return bca(values, self._estimate(name, budget=budget, point=point), left_out, level)
        return ends

    def _estimate(self, name: str, *, budget: float | None, point: tuple[float, ...] | None) -> float:
        """Evaluate the quantity at the fit itself."""
        read = _read(self.fit, None)
        one = replace(self, coefficients=read["coefficients"], frontier=read["frontier"])
        return float(one.values(name, budget=budget, point=point)[0])

    def _jackknife(self) -> Draws:
        """Leave out one run (one cluster) at a time."""
        from lawful.data.values import distinct

        runs = self.fit.runs
        return left_out(
            self.fit, np.arange(len(runs)) if self.cluster is None else distinct(runs.labels[self.cluster])[1]
        )

    def _studentised(self, quantity: Quantity, level: float) -> Interval:
        """Bootstrap t: standard errors of the draws are those of their own linearisation."""
        fit = self._surface_fit().core
        law, cost = fit.surface.law, fit.surface.cost
        problem = problem_of(fit)

        def error(at: Array, drawn: Sample) -> Array:
            linear = linearise(problem, at, weights=drawn.weights, losses=drawn.losses)
            slope = np.nan_to_num(gradient(quantity, law, at, problem.centre, cost))
            if self.scheme == "residual":
                return equal_noise(linear, slope).error
            return sandwich_error(linear, slope, None if drawn.weights is None else drawn.weights / fit.runs.precision)

        z = problem.to_z(np.stack([self.coefficients[name] for name in law.names], axis=1))
        sampler = Resampler(fit, self.scheme, self.seed, cluster=self.cluster, multiplier=self.multiplier)
        errors = np.full(len(self), np.nan)
        for start in range(0, len(self), REFIT_ROWS):
            here = slice(start, min(start + REFIT_ROWS, len(self)))
            drawn = sampler.draw(here.start, here.stop)
            fine = np.isfinite(z[here]).all(axis=1)
            at = np.where(fine[:, None], z[here], 1.0)
            errors[here] = np.where(fine, error(at, drawn), np.nan)
        own = float(error(answer(fit, problem), Sample(None, None))[0])
        where: dict[str, Any] = {"budget": quantity.budget, "point": quantity.point}
        values = unreported(quantity, law, self.values(quantity.name, **where))
        middle = unreported(quantity, law, self._estimate(quantity.name, **where))
        ends = studentised(values, errors, float(middle), own, level)
        low, high = reported(quantity, law, np.array(ends))
        return float(low), float(high)

    def _surface_fit(self) -> Fit:
        return surface_fit(self.fit, ", hence no loss")


KEPT = 32
"""Budgets whose optima are kept: N*, D* and the loss of one budget are asked for in turn."""


@lru_cache(maxsize=KEPT)
def _best(draws: Draws, budget: float) -> Point:
    """Return the optimum of every draw at a budget."""
    surface = surface_fit(draws.fit, ", hence no loss").surface
    return optimum_of(surface.law, draws.coefficients, budget, surface.cost)


def redrawn(source: Any, draws: int, seed: int) -> Draws | None:
    """Return the draws that a source is, or refits of its runs; None where it has none, or none are asked for."""
    if isinstance(source, Draws):
        return source
    fit = one_law_of(source)
    return bootstrap(fit, draws, seed=seed) if draws and getattr(fit, "runs", None) is not None else None


REFIT_ROWS = 2000
"""Draws linearised at a time for the bootstrap t."""


def bootstrap(
    fit: Fit | FrontierFit,
    draws: int = 1000,
    *,
    scheme: str = "within-budget",
    seed: int = 0,
    cluster: str | None = None,
    multiplier: str = "rademacher",
) -> Draws:
    """
    Refit on resampled runs.

    Parameters
    ----------
    fit : Fit or FrontierFit
        A finished fit; its runs are resampled.
    draws : int
        Number of refits, >= 1.
    scheme : {"within-budget", "rows", "wild", "residual", "cluster"}
        Resample runs within each budget, or all rows alike, or all rows that share a
        label; or keep every run's N and D and draw its loss anew: ``wild`` flips the
        sign of its own residual (runs may differ in noise), ``residual`` gives it
        another run's. Without budgets of at least three sizes ``within-budget`` falls
        back to rows, and a note says so.
    seed : int
        Seed; results do not depend on chunks or workers.
    cluster : str, optional
        Column of labels (such as a seed or a sweep) whose runs stand or fall together.
    multiplier : {"rademacher", "mammen"}
        Random signs of the wild bootstrap.

    Returns
    -------
    Draws

    Raises
    ------
    UnsupportedError
        If the scheme, the multiplier or the cluster column is unknown, or ``draws`` is not positive.

    See Also
    --------
    extend : Continue a finished run.
    profile : Intervals from the shape of the misfit itself.

    Notes
    -----
    Each refit starts at the full-data answer, so a draw costs a few Gauss-Newton steps on arrays.

    Examples
    --------
    >>> import lawful
    >>> truth = lawful.Surface.named("symmetric")
    >>> plan = lawful.Plan.isoflop([1e18, 1e19, 1e20], 7, surface=truth)
    >>> found = lawful.fit(lawful.simulate(truth, plan, noise=0.005, seed=3))
    >>> draws = found.bootstrap(200)
    >>> len(draws), draws.failed
    (200, 0)
    """
    check_draws(draws, least=1)
    if multiplier not in MULTIPLIERS:
        msg = f"Unknown multiplier {multiplier!r}; choose one of {', '.join(MULTIPLIERS)}."
        raise UnsupportedError(msg)
    fit = fit.core
    used, notes = choose_scheme(fit.runs, scheme, cluster)
    empty: dict[str, Array] = dict.fromkeys(FRONTIER_NAMES, np.empty(0))
    start = Draws(fit, used, seed, {}, empty, notes, cluster, multiplier)
    return extend(start, draws)


SAME = 1e-9
"""Relative width below which draws differ by rounding alone."""

RESULTING = ("failed_draws", "one_sided_draws")
"""Notes that follow from the draws themselves and are written anew when there are more."""


def extend(draws: Draws, more: int) -> Draws:
    """
    Continue a finished bootstrap: the same draws as one longer run from the start.

    Parameters
    ----------
    draws : Draws
        What there is; it stays as it is.
    more : int
        Draws to add, >= 1.

    Returns
    -------
    Draws

    Raises
    ------
    UnsupportedError
        If ``more`` is not positive.

    Examples
    --------
    >>> truth = lawful.Surface.named("symmetric")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 7, surface=truth), noise=0.005)
    >>> short = lawful.fit(runs).bootstrap(100)
    >>> longer = short.extend(50)
    >>> bool(np.all(longer.frontier["a"] == short.fit.bootstrap(150).frontier["a"]))
    True
    """
    check_draws(more, least=1)
    fit = draws.fit.core
    sampler = Resampler(fit, draws.scheme, draws.seed, cluster=draws.cluster, multiplier=draws.multiplier)
    first, stop = len(draws), len(draws) + more
    parts = [{"coefficients": draws.coefficients, "frontier": draws.frontier}] if first else []
    for block in range(first // BLOCK, -(-stop // BLOCK)):
        start = block * BLOCK
        means = _prior_means(fit, block, draws.seed)
        rows = _refit(fit, sampler.draw(start, start + BLOCK), means)
        wanted = slice(max(first - start, 0), stop - start)
        parts.append({kind: {name: v[wanted] for name, v in rows[kind].items()} for kind in rows})
    joined: dict[str, Any] = {
        field_: {name: np.concatenate([part[field_][name] for part in parts]) for name in parts[-1][field_]}
        for field_ in ("coefficients", "frontier")
    }
    made = replace(draws, **joined, notes=tuple(note for note in draws.notes if note.code not in RESULTING))
    if made.fit.method == "approach1" and np.isnan(made.interval("a")[0]) and made.failed < stop - 1:
        text = "Resampled runs lose the lowest losses that a lower envelope is made of, so the draws of Approach 1 "
        text += "lie to one side of its own estimate; where they do, no interval is given."
        made = replace(made, notes=(*made.notes, Note("one_sided_draws", text)))
    if not made.failed:
        return made
    text = f"{made.failed} of {stop} bootstrap draws ({made.failed / stop:.1%}) have no finite answer; "
    text += "intervals are over the others and are too narrow for it."
    if made.fit.method == "approach2" and made.failed < stop - 1 and np.isnan(made.interval("a")[0]):
        text = f"{made.failed} of {stop} bootstrap draws ({made.failed / stop:.1%}) have no finite answer and the "
        text += "others are all the same: a parabola through three sizes leaves nothing over that would tell its "
        text += "noise, so no interval is given."
    return replace(made, notes=(*made.notes, Note("failed_draws", text)))


def left_out(fit: Fit | FrontierFit, codes: IntArray) -> Draws:
    """
    Refit without each group of runs in turn; row i of the draws lacks the runs whose code is i.

    Parameters
    ----------
    fit : Fit or FrontierFit
    codes : int array, shape (n,)
        Group of each run, 0 to the number of groups less one.

    Examples
    --------
    >>> import lawful
    >>> truth = lawful.Surface.named("symmetric")
    >>> found = lawful.fit(lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 7, surface=truth)))
    >>> without = left_out(found, found.runs.group)
    >>> len(without), bool(np.allclose(without.params(1e21), found.allocate(1e21).params))
    (3, True)
    """
    if fit.core is not fit:
        return left_out(fit.core, codes[fit.runs.order])
    kept = np.arange(codes.max() + 1)[:, None] != codes[None, :]
    read = _refit(fit, Sample(kept * fit.runs.weight, None))
    return Draws(fit, "left out", 0, read["coefficients"], read["frontier"])


def _prior_means(fit: Fit | FrontierFit, block: int, seed: int) -> Array | None:
    """Return the prior's mean in every draw of a block: an observation that a draw makes anew, as it does runs."""
    if not fit.prior:
        return None
    ((name, prior),) = fit.prior.items()
    rng = np.random.default_rng([seed, block, PRIOR_STREAM])
    least = 0.0 if fit.surface is None else min(fit.surface.law.bounds[name][0], 0.0)
    return np.maximum(prior.mean + prior.sd * rng.standard_normal(BLOCK), least)


PRIOR_STREAM = 1
"""Draws of the prior are seeded apart, so that those of the runs stay what they are without one."""


GAIN = 1e-7
"""Share of the misfit below which what a refit could still gain is far below any interval's width."""


def _refit(fit: Fit | FrontierFit, sample: Sample, means: Array | None = None) -> dict[str, dict[str, Array]]:
    """Coefficients and frontier of every row of weights or losses, and of the prior's mean where there is one."""
    if fit.surface is None:
        weight = np.empty(0) if sample.weights is None else sample.weights
        weight = weight if fit.used is None else weight[:, fit.used]
        rows = (isoflop_draws if fit.method == "approach2" else envelope_draws)(fit.basis, weight)
        return {"coefficients": {}, "frontier": rows}
    pull = {**getattr(fit.solver, "prior", {}), **fit.prior}
    problem = prepare(fit.runs, fit.surface.law, fit.objective, fit.solver.bounds, fit.fixed, pull)
    start, drawn = answer(fit, problem), {"weights": sample.weights, "losses": sample.losses, "means": means}
    found = resolve(problem, start, fit.solver, gain=GAIN, **drawn)
    values = problem.to_coefficients(found.z)
    values[~found.converged] = np.nan
    return _read(fit, values)


def _read(fit: Fit | FrontierFit, values: Array | None) -> dict[str, dict[str, Array]]:
    """Coefficients and frontier by name; those of the fit itself where there are no values."""
    if fit.surface is None:
        return {"coefficients": {}, "frontier": {n: np.array([v]) for n, v in fit.frontier.to_dict().items()}}
    names = fit.surface.law.names
    rows = np.array([[fit.surface[name] for name in names]]) if values is None else values
    coefficients = dict(zip(names, rows.T, strict=True))
    return {"coefficients": coefficients, "frontier": frontier_of(coefficients, fit)}


def frontier_of(k: Mapping[str, Array], fit: Fit) -> dict[str, Array]:
    """Exponents and intercepts of the frontier of every draw, NaN where A or B is 0."""
    if fit.surface.law.terms is None:
        return dict.fromkeys(FRONTIER_NAMES, np.full(len(next(iter(k.values()))), np.nan))
    found = Optima.of(terms_of(fit.surface.law, k))
    known = np.isfinite(found.log_g)
    return {name: np.where(known, value, np.nan) for name, value in found.frontier(fit.surface.cost).items()}
