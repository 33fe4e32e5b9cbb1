"""forecast(): the loss of runs that do not exist yet, with the interval that a new run must fall in; and its score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lawful.core.cost import Cost
from lawful.core.numbers import format_flops, format_level
from lawful.core.sheet import Cell, Sheet, row
from lawful.core.shown import Shown
from lawful.core.typing import Array, Interval
from lawful.core.validation import check_budget, check_level, is_positive
from lawful.data.runs import Runs
from lawful.errors import IdentificationError, UnsupportedError
from lawful.estimate.result import Fit, FrontierFit
from lawful.estimate.solvers import prepare, resolve
from lawful.forecasting.curve import optimum_curve
from lawful.trust.verdict import judged_told
from lawful.uncertainty.intervals import intervals

HALVINGS = 45
"""Bisections of each end of a prediction interval."""


@dataclass(frozen=True, slots=True)
class Forecast(Shown):
    """
    What a fit says about one run before it exists.

    Attributes
    ----------
    budget, params, tokens : float
        FLOPs, N and D of the run.
    loss : float
        Nats per token.
    prediction : (float, float)
        Interval in which a new run's loss falls, its own noise included.
    error : float
        Standard error of prediction that the interval implies: half its width over Student's t.
    level : float
        Coverage aimed at.
    optimal : bool
        Whether it is of the best run of its budget, and so to be scored by it; otherwise of a
        run of these N and D.

    Examples
    --------
    >>> from lawful.forecasting.curve import fit_curve
    >>> curve = fit_curve([1e18, 1e19, 1e20, 1e21], [3.52, 3.15, 2.85, 2.60])
    >>> made, = curve.forecast([1e22])
    >>> low, high = made.prediction
    >>> bool(low < made.loss < high)
    True
    """

    budget: float
    params: float
    tokens: float
    loss: float
    prediction: Interval
    error: float
    level: float
    optimal: bool = False

    def sheets(self) -> tuple[Sheet]:
        """Return the run and the loss foretold."""
        return (forecast_sheet([self]),)


def forecast_sheet(made: Sequence[Forecast], *, said: Sequence[str] = ()) -> Sheet:
    """
    Return forecasts in a table, a row per run.

    Parameters
    ----------
    made : sequence of Forecast
        At least one.
    said : sequence of str
        What stands after the table.
    """
    rows = tuple(
        row(
            Cell(one.budget, "flops"),
            Cell(one.params, "count"),
            Cell(one.tokens, "count"),
            Cell(one.loss, "nats", *one.prediction),
        )
        for one in made
    )
    title = "Forecast of runs that are not trained yet." if len(made) > 1 else "Forecast of a run."
    prediction = f"{format_level(made[0].level)} prediction"
    return Sheet(title, (), ("budget, FLOPs", "N", "D", "loss"), rows, prediction, tuple(said))


@dataclass(frozen=True, slots=True)
class Score(Shown):
    """
    A forecast beside what came.

    Attributes
    ----------
    forecast : Forecast
    measured : float
        Loss of the run, nats per token.
    miss : float
        Measured less forecast.
    z : float
        The miss in standard errors of prediction.
    inside : bool
        Whether it fell inside the interval.
    interval_score : float
        Width of the interval plus, outside it, 2/(1 - level) times the distance from it (Gneiting
        and Raftery 2007): smaller is better, and neither a wide nor a wrong interval is cheap.

    Examples
    --------
    >>> made = Forecast(1e21, 1e9, 1.67e11, 2.60, (2.58, 2.62), 0.01, 0.9)
    >>> score(made, 2.64).inside
    False
    """

    forecast: Forecast
    measured: float
    miss: float
    z: float
    inside: bool
    interval_score: float

    def sheets(self) -> tuple[Sheet]:
        """Return the forecast and what came."""
        made = self.forecast
        rows = (
            row("forecast", Cell(made.loss, "nats", *made.prediction)),
            row("measured", Cell(self.measured, "nats")),
            row("measured less forecast", Cell(self.miss, "nats")),
            row("in standard errors of prediction", Cell(self.z, "ratio")),
            row("inside the interval", Cell(self.inside)),
            row("interval score", Cell(self.interval_score, "ratio")),
        )
        title = f"Loss at {format_flops(made.budget)}: the forecast and what came."
        return (Sheet(title, (), ("", "value"), rows, f"{format_level(made.level)} prediction"),)


def forecast(
    fit: Fit | FrontierFit,
    budgets: Sequence[float] = (),
    *,
    points: Sequence[tuple[float, float]] = (),
    level: float = 0.9,
) -> tuple[Forecast, ...]:
    """
    Forecast runs before they exist, with prediction intervals.

    Parameters
    ----------
    fit : Fit or FrontierFit
        A surface, a curve from :func:`lawful.forecasting.curve.fit_curve`, or a frontier of Approach 1 or 2.
    budgets : sequence of float
        FLOPs of compute-optimal runs.
    points : sequence of (float, float)
        N and D of other runs; a frontier knows nothing about them.
    level : float
        Coverage of the intervals, between 0 and 1.

    Returns
    -------
    tuple of Forecast
        Budgets first, then points.

    Raises
    ------
    UnsupportedError
        If a frontier is asked about other runs than its optima, or a number is out of range.
    IdentificationError
        If there are no more runs (of a frontier: budgets) than coefficients, so that nothing tells the noise.

    See Also
    --------
    score : The forecast beside what came.
    optimum_curve : The curve behind the loss that a frontier forecasts.

    Notes
    -----
    For least squares the interval holds every loss y of the new run that a refit with it does
    not contradict: min RSS with (N, D, y) added less min RSS <= s² t², s² the residual
    variance and t Student's quantile at n - q degrees of freedom. For a linear model this is the
    textbook prediction interval; it needs no linearisation here. Other objectives take
    the interval of :func:`lawful.uncertainty.intervals.intervals`.

    A frontier gives N* and D*; its loss and interval are those of :func:`lawful.forecasting.curve.optimum_curve`. The
    scatter of its points about the curve stands for the noise of a run there, which is
    less than that of one run where a point is the minimum of a parabola through several.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.005)
    >>> made, = lawful.fit(runs).forecast([1e22])
    >>> low, high = made.prediction
    >>> bool(low < truth.optimum(1e22).loss < high)
    True
    """
    check_level(level)
    fit = fit.core
    chosen = [check_budget(c) for c in budgets]
    for n, d in points:
        if not is_positive(n, d):
            msg = f"A run has positive numbers of parameters and tokens, got {n!r} and {d!r}."
            raise UnsupportedError(msg)
    if not (chosen or points):
        msg = "Nothing to forecast; give a budget, or the parameters and tokens of a run."
        raise UnsupportedError(msg)
    if fit.surface is None:
        if points:
            msg = (
                f"{fit.method} fits no surface, so it forecasts compute-optimal runs only and nothing about other "
                f"numbers of parameters and tokens; give a budget, or fit with vpnls or approach3."
            )
            raise UnsupportedError(msg)
        return _along(fit, chosen, level)
    best = (replace(_forecast(fit, *_point(fit, c), level), budget=c, optimal=True) for c in chosen)
    return (*best, *(_forecast(fit, float(n), float(d), level) for n, d in points))


def forecast_told(fit: Fit | FrontierFit, budgets: Sequence[float] = (), **options: Any) -> tuple[Forecast, ...]:
    """
    Forecast runs before they exist; the best of a budget the runs have to tell.

    Parameters
    ----------
    fit : Fit or FrontierFit
    budgets : sequence of float
        FLOPs of compute-optimal runs.
    **options
        Those of :func:`forecast`.

    Raises
    ------
    IdentificationError
        If the runs do not tell the compute-optimal size.
    """
    made = forecast(fit, budgets, **options)
    if budgets:
        judged_told(fit, budgets)
    return made


def _along(fit: FrontierFit, budgets: Sequence[float], level: float) -> tuple[Forecast, ...]:
    """N* and D* by the frontier, the loss by the curve through its optima."""
    curve = optimum_curve(fit)
    found = []
    for budget in budgets:
        made = _forecast(curve, *_point(curve, budget), level)
        n, d = float(fit.frontier.params(budget)), float(fit.frontier.tokens(budget))
        found.append(replace(made, budget=budget, params=n, tokens=d, optimal=True))
    return tuple(found)


def _point(fit: Fit, budget: float) -> tuple[float, float]:
    """Compute-optimal N and D of a surface; for a curve in compute any N and D of that budget."""
    if fit.surface.law.columns == ("C",):
        size = float(np.sqrt(fit.surface.cost.product(budget)))
        return size, size
    best = fit.surface.optimum(budget)
    return float(best.params), float(best.tokens)


def _forecast(fit: Fit, params: float, tokens: float, level: float) -> Forecast:
    from scipy.special import stdtrit

    free = sum(name not in fit.fixed for name in fit.surface.law.identifiable)
    # A prior is one more observation.
    freedom = int(fit.runs.counted.sum()) - free + len(fit.prior)
    if freedom < 1:
        msg = f"{len(fit.runs)} runs leave nothing to tell the noise from ({free} coefficients); add runs."
        raise IdentificationError(msg)
    quantile = float(stdtrit(freedom, 0.5 + level / 2))
    loss = float(fit.surface.loss(params, tokens))
    if fit.objective.name == "squared" and not fit.prior and set(fit.surface.law.columns) <= {"N", "D", "C"}:
        ends = _refitted(fit, params, tokens, np.sqrt(fit.rss / freedom) * quantile)
    else:
        sure = intervals(fit, "profile" if fit.prior else "delta", level=level)
        ends = (float("nan"), float("nan")) if sure is None else sure.prediction(point=(params, tokens))
    budget = float(fit.surface.cost.flops(params, tokens))
    return Forecast(budget, params, tokens, loss, ends, (ends[1] - ends[0]) / (2 * quantile), level)


def _refitted(fit: Fit, params: float, tokens: float, allowed: float) -> Interval:
    """Both ends of the losses whose refit raises the sum of squares by no more than ``allowed`` squared."""
    runs = with_run(fit.runs, params, tokens)
    problem = prepare(runs, fit.surface.law, fit.objective, fit.solver.bounds, fit.fixed)
    law = fit.surface.law
    start = problem.to_z(np.array([[fit.surface[name] for name in law.names]]))
    columns = [runs.column(name) for name in law.columns]
    middle = float(fit.surface.loss(params, tokens))

    def excess(y: Array) -> Array:
        """Rise of the sum of squares for losses of the new run, less what is allowed."""
        losses = np.column_stack([np.broadcast_to(fit.runs.L, (y.size, len(fit.runs))), y])
        found = problem.to_coefficients(resolve(problem, start, fit.solver, losses=losses).z)
        k = {name: found[:, i, None] for i, name in enumerate(law.names)}
        residual = losses - law.loss(k, *columns)
        return np.asarray((residual**2) @ runs.weight - fit.rss - allowed**2)

    sign = np.array([-1.0, 1.0])
    width = np.full(2, max(allowed, 1e-12 * abs(middle)))
    for _ in range(60):
        short = excess(middle + sign * width) < 0
        if not short.any():
            break
        width = np.where(short, 2 * width, width)
    low, high = np.zeros(2), width
    for _ in range(HALVINGS):
        half = 0.5 * (low + high)
        inside = excess(middle + sign * half) < 0
        low, high = np.where(inside, half, low), np.where(inside, high, half)
    return middle - float(high[0]), middle + float(high[1])


def with_run(runs: Runs, params: float, tokens: float) -> Runs:
    """Return the numbers of runs with one more, whose loss is not known yet and stands as 1."""
    new = {"N": params, "D": tokens, "C": Cost().flops(params, tokens)}
    n, d, c = (np.append(getattr(runs, name), value) if runs.has(name) else None for name, value in new.items())
    return Runs.from_arrays(n, d, np.append(runs.L, 1.0), C=c, weight=np.append(runs.weight, 1.0), signed=True)


def score(made: Forecast, measured: float, *, signed: bool = False) -> Score:
    """
    Put a forecast beside what came.

    Parameters
    ----------
    made : Forecast
    measured : float
        Loss of the run, nats per token, > 0.
    signed : bool
        Let it be zero or negative, as that of runs which were read so.

    Returns
    -------
    Score

    Raises
    ------
    UnsupportedError
        If the loss is not positive.

    Examples
    --------
    >>> made = Forecast(1e21, 1e9, 1.67e11, 2.60, (2.58, 2.62), 0.01, 0.9)
    >>> found = score(made, 2.61)
    >>> found.inside, f"{found.z:+.1f}", f"{found.interval_score:.3f}"
    (True, '+1.0', '0.040')
    """
    if not (is_positive(measured) or (signed and np.isfinite(measured))):
        msg = f"A measured loss is a positive number of nats per token, got {measured!r}."
        raise UnsupportedError(msg)
    low, high = made.prediction
    outside = max(low - measured, measured - high, 0.0)
    width = high - low + 2 / (1 - made.level) * outside
    miss = measured - made.loss
    return Score(made, measured, miss, miss / made.error, outside == 0.0, width)
