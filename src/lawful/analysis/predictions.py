"""predict_points(): the loss of every run of a table, before any of them is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lawful.analysis.analysis import Analysis
from lawful.core.notes import Note
from lawful.core.sheet import Cell, Sheet, row
from lawful.core.shown import Shown
from lawful.core.typing import AnyArray, Array, Interval
from lawful.core.validation import check_level
from lawful.data.columns import recognise_points
from lawful.data.selection import Selection
from lawful.data.table import third_quantity
from lawful.data.translate import worded
from lawful.data.values import quantity_values, require_plausible, require_positive
from lawful.decide.priced import Names, price_by
from lawful.decide.token_cost import price_of
from lawful.design.points import QUANTITY, Points, read_points
from lawful.errors import IdentificationError, InputError
from lawful.estimate.result import Fit, surface_fit
from lawful.forecasting.averaged import averaged_forecasts
from lawful.forecasting.forecast import Forecast
from lawful.laws.surface import point_of
from lawful.trust.reach import Doubt, Reach


@dataclass(frozen=True, eq=False)
class Predictions(Shown):
    """
    What a fit says of runs that nobody has trained.

    Attributes
    ----------
    analysis : Analysis
    level : float
    table : mapping of str to array, shape (n,)
        The columns that were given.
    params, tokens, budget, loss : array, shape (n,)
    interval : array, shape (n, 2)
        Of the mean loss at each point; NaN where the fit was saved without intervals.
    prediction : array, shape (n, 2)
        Of the loss of one new run, its noise included; NaN likewise.
    convention : str
        How the budgets are counted.
    columns_read : mapping of str to array, shape (n,)
        What a law of other columns read; empty for a law of N, D and C.
    notes : tuple of Note
        Columns of such a law that lie far outside of the runs.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.002)
    >>> found = predict_points(lawful.analyse(runs), {"name": ["small", "large"], "N": [1e9, 7e9], "C": [1e21, 1e22]})
    >>> list(found.columns())[:4]
    ['name', 'N', 'C', 'predicted_loss']
    """

    analysis: Analysis
    level: float
    table: Mapping[str, AnyArray]
    params: Array
    tokens: Array
    budget: Array
    loss: Array
    interval: Array
    prediction: Array
    convention: str = "C = 6ND"
    columns_read: Mapping[str, Array] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()

    def columns(self) -> dict[str, Any]:
        """Return the columns that were given, with the predicted loss and both intervals behind them."""
        ends = {"interval": self.interval, "new_run": self.prediction}
        new: dict[str, Any] = {"predicted_loss": self.loss}
        new |= {f"{name}_{end}": of[:, i] for name, of in ends.items() for i, end in enumerate(("low", "high"))}
        return {**{name: values for name, values in self.table.items() if name not in new}, **new}

    def sheets(self) -> tuple[Sheet]:
        """Return one line per run."""
        first = {"N": (self.params, "count"), "D": (self.tokens, "count"), "C": (self.budget, "flops")}
        if self.columns_read:
            first = {name: (values, "count") for name, values in self.columns_read.items()}
            first |= {} if np.isnan(self.budget).any() else {"cost": (self.budget, "flops")}
        rows = tuple(
            row(
                *(Cell(float(values[i]), kind) for values, kind in first.values()),
                Cell(float(self.loss[i]), "nats", *self.interval[i].tolist()),
                Cell(float(self.loss[i]), "nats", *self.prediction[i].tolist()),
            )
            for i in range(self.loss.size)
        )
        heads = (*first, "loss", "one new run")
        said = f"Predicted losses, with {self.level:.0%} intervals of the law and of one new run."
        return (Sheet(said, tuple(str(note) for note in self.notes), heads, rows, "", (), ()),)


def predict_points(
    analysis: Analysis,
    table: Any,
    *,
    columns: Mapping[str, str] | None = None,
    select: Selection | None = None,
    level: float | None = None,
    cost: str | None = None,
    where: str | None = None,
    drop: Sequence[int | str] | str = (),
) -> Predictions:
    """
    Predict the loss of every run of a table.

    Parameters
    ----------
    analysis : Analysis
        As :func:`lawful.load` or :func:`lawful.analyse` returns.
    table : path, DataFrame or mapping of str to array_like
        One row per run, with two of params, tokens and budget; the third follows from C = 6ND, or from the FLOPs
        that the fitted table counts where those are not 6ND.
    columns, select, where, drop
        As in :func:`lawful.read_runs`.
    level : float, optional
        Of both intervals; that of the analysis by default.
    cost : str, optional
        What a run costs, a formula of the columns that the law reads, in place of that count of FLOPs.

    Returns
    -------
    Predictions

    Raises
    ------
    IdentificationError
        If the fit is a frontier, which predicts no loss.
    InputError
        If the table cannot be read, or a number in it is not positive.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.002)
    >>> found = predict_points(lawful.analyse(runs), {"N": [1e9, 7e9], "D": [2e10, 1.4e11]})
    >>> bool((found.interval[:, 0] < found.loss).all()), bool((found.prediction[:, 1] > found.interval[:, 1]).all())
    (True, True)
    """
    surface = analysis.fit.surface
    if surface is None:
        msg = f"{analysis.method} fits no loss surface, so it predicts no loss; fit with vpnls or approach3."
        raise IdentificationError(msg)
    at = analysis.level if level is None else check_level(level)
    points = read_points(table, "runs to predict", columns=columns, select=select, where=where, drop=drop)
    kept = points.table
    if cost is not None or not surface.law.predicts:
        return _of_columns(analysis, points, cost, at)
    roles = _two_of(points, columns)
    given = {quantity: quantity_values(key, kept.columns[key], kept.row) for quantity, key in roles.items()}
    require_positive({roles[quantity]: values for quantity, values in given.items()}, kept.row)
    if len(given) < 3:
        name, derived = third_quantity(given, price_of(analysis.fit))
        given[name] = derived
    require_plausible(given, kept.row)
    N, D = given["params"], given["tokens"]
    sure = None if analysis.sure is None else analysis.sure.at_level(at)
    nowhere = np.full((N.size, 2), np.nan)
    pairs = list(zip(N.tolist(), D.tolist(), strict=True))
    return Predictions(
        analysis,
        at,
        kept.columns,
        N,
        D,
        given["budget"],
        np.asarray(surface.loss(N, D), float),
        nowhere if sure is None else np.array([sure.of("loss_at", point=pair) for pair in pairs]),
        nowhere if sure is None else np.array([sure.prediction(point=pair) for pair in pairs]),
        price_of(analysis.fit).convention,
        notes=points.notes,
    )


def _two_of(points: Points, columns: Mapping[str, str] | None) -> dict[str, str]:
    """Columns of two of params, tokens and budget."""
    known_as = {QUANTITY[symbol]: key for symbol, key in points.roles.items() if symbol in QUANTITY}
    if points.unclear and len(known_as) < 2:
        raise InputError(points.unclear)
    table = points.table
    return known_as if len(known_as) > 1 else recognise_points(table.keys, table.header, columns, words=worded(table))


def _of_columns(analysis: Analysis, points: Points, cost: str | None, level: float) -> Predictions:
    """Predict rows of a law that reads any columns, or that are priced by a formula."""
    fit = surface_fit(analysis.fit, " to predict a loss")
    law, names = fit.surface.law, Names.of(fit)
    given = points.table.columns
    price = price_by(fit, cost, names)
    read = dict.fromkeys((*law.columns, *(sorted(price.columns) if cost else ())))
    values = {c: points.column(names.shown.get(c, c) if names.shown.get(c, c) in given else c) for c in read}
    loss: Array = np.asarray(law.loss(fit.surface.coefficients, *(values[c] for c in law.columns)))
    rows = list(zip(*(values[c].tolist() for c in law.columns), strict=True))
    sure = None if analysis.sure is None else analysis.sure.at_level(level)
    nowhere = np.full((loss.size, 2), np.nan)
    unknown = np.full(loss.size, np.nan)
    spent = np.asarray(price.of(values)) if price.columns <= set(values) else unknown
    doubt = doubt_at(fit, {c: values[c] for c in law.columns}, loss, names.shown)

    def ends(of: Callable[[tuple[float, ...]], Interval]) -> Array:
        return np.array([doubt.widened(i, float(loss[i]), of(at)) for i, at in enumerate(rows)])

    return Predictions(
        analysis,
        level,
        given,
        values.get("N", unknown),
        values.get("D", unknown),
        spent,
        loss,
        nowhere if sure is None else ends(lambda at: sure.of("loss_at", point=at)),
        nowhere if sure is None else ends(lambda at: sure.prediction(point=at)),
        price.convention,
        {names.shown.get(c, c): values[c] for c in read},
        (*points.notes, *doubt.notes),
    )


def doubt_at(fit: Fit, points: Mapping[str, Array], loss: Array, shown: Mapping[str, str] | None = None) -> Doubt:
    """What the distance of points from the runs of a fit does to its intervals there."""
    runs = fit.runs
    return Doubt.of(Reach.of({c: runs.column(c) for c in points}, runs.L), points, loss, shown)


def predict_one(analysis: Analysis, params: Any, tokens: Any, budget: Any, unique: Any) -> Any:
    """Loss of a run by the average of laws where it leads, otherwise by the fit; two of the first three say which."""
    fit = analysis.fit
    if analysis.average is None or fit.surface is None or unique is not None:
        return fit.predict(params, tokens, budget=budget, unique=unique)
    return analysis.average.ensemble.loss(*point_of(fit.surface.law, price_of(fit), params, tokens, budget))


def forecast_runs(
    analysis: Analysis, budgets: Sequence[float], points: Sequence[tuple[float, float]], level: float | None
) -> tuple[Forecast, ...]:
    """Forecast runs by the average of laws where it leads, otherwise by the fit."""
    at = analysis.level if level is None else level
    if analysis.average is None or not (budgets or points):
        return analysis.fit.forecast(budgets, points=points, level=at)
    return averaged_forecasts(analysis.average.ensemble, budgets, points, at)
