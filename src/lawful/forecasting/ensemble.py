"""ensemble(): a forecast that knows its law is uncertain: an average of laws, and a width for what none knows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lawful.core.cost import Cost
from lawful.core.notes import Note
from lawful.core.numbers import format_short
from lawful.core.shown import Record
from lawful.core.typing import Array, Interval
from lawful.data.cells import counted_once
from lawful.data.runs import Runs
from lawful.data.table import as_runs
from lawful.decide.token_cost import TokenCost, own_cost
from lawful.errors import UnsupportedError
from lawful.estimate.pulled import COEFFICIENTS, HIGHEST, LOWEST, log_model
from lawful.forecasting.members import RECIPE, Members, Recipe, fit_members
from lawful.laws.catalogue_coupled import SKALING
from lawful.laws.surface import deadweight_of


@dataclass(frozen=True)
class Width(Record):
    """
    How wide a forecast is: what turns the spread of the members into an interval.

    With S the spread of ln L over the members, h = ln(C/C_max) beyond the runs, c the standard error of the
    coefficients and s the noise of one run, the error of ln L is that of Student's t with ``freedom`` degrees times
    ``scale`` times the root of ``(law S)^2 + (coefficients c)^2 + distance^2 (h + offset) + s^2``. The error
    of ln N* is Gaussian: what the runs leave open of it, averaged over laws of every k
    (:func:`lawful.forecasting.shapes.path_covariance`), and a distance of its own.

    Attributes
    ----------
    law, coefficients, distance, offset, scale, freedom : float
        For the loss. The scale and the degrees of freedom are made by :func:`lawful.forecasting.widths.derive` from
        public sweeps (docs/forecast.md); the weights of the first two terms are left at 1, since no sweep can tell.
    path_size, distance_size, scale_size : float
        For N*: from simulated runs whose optimum is known, and from the lowest points of parabolas through budgets
        of public sweeps that were held out.
    """

    law: float = 1.0
    coefficients: float = 1.0
    distance: float = 0.004
    offset: float = 0.25
    scale: float = 0.786
    freedom: float = 3.0
    path_size: float = 1.0
    distance_size: float = 0.12
    scale_size: float = 1.0

    def quantile(self, level: float) -> float:
        """Half the interval of a log loss in standard deviations."""
        from scipy.special import stdtrit

        return self.scale * float(stdtrit(self.freedom, 0.5 + level / 2))

    def quantile_size(self, level: float) -> float:
        """Half the interval of ln N* in standard deviations."""
        from scipy.special import ndtri

        return self.scale_size * float(ndtri(0.5 + level / 2))


WIDTH = Width()
"""The constants in use. docs/forecast.md has the study behind them."""

ORDER_OF_MAGNITUDE = 65.0
"""Times the largest compute beyond which a forecast is an order of magnitude: 90% intervals held 77% of runs there."""

FAR_FROM_VALLEY = 10.0
"""Factor from the compute-optimal size beyond which a loss has no interval: 39% of the runs there were held."""

DISAGREE = 0.03
"""Spread of ln L over the members above which the laws disagree, and no bare point is given."""


class Deviations(NamedTuple):
    """
    What the uncertainty of a log loss is made of: standard deviations that add in squares.

    Attributes
    ----------
    noise, coefficients, law, discrepancy : array
        The noise of one run; the coefficients given a law; the disagreement of the laws; what grows with the
        distance beyond the runs.
    """

    noise: Any
    coefficients: Any
    law: Any
    discrepancy: Any

    def total(self, *, run: bool) -> Any:
        """Standard deviation of all of them, with or without the noise of a run."""
        square = self.coefficients**2 + self.law**2 + self.discrepancy**2
        return np.sqrt(square + self.noise**2 if run else square)


@dataclass(frozen=True, eq=False)
class Outlook(Record):
    """
    What an average of laws says of one budget.

    Attributes
    ----------
    budget : float
        FLOPs.
    params, tokens, loss : float
        Compute-optimal N and D, and the loss there; the loss is NaN where the laws disagree.
    interval : dict of str to (float, float)
        Of ``params``, ``tokens`` and ``loss``, the mean over runs.
    prediction : (float, float)
        Interval of the loss of one new run.
    parts : Deviations
        Standard deviations of ln L: noise, coefficients, law, discrepancy.
    level : float
    beyond : float
        Budget over the largest compute of the runs.
    spread : float
        Standard deviation of ln L over the laws.
    notes : tuple of Note
        Where the laws disagree, and where a forecast is an order of magnitude.
    """

    budget: float
    params: float
    tokens: float
    loss: float
    interval: dict[str, Interval]
    prediction: Interval
    parts: Deviations
    level: float
    beyond: float
    spread: float
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, eq=False)
class LawDraws(Record):
    """
    Draws of what the loss may be, over laws, coefficients and discrepancy.

    Each row is one possible world: its losses at all N and D belong together, and so do its compute-optimal N at all
    budgets; the two are drawn apart.

    Attributes
    ----------
    ensemble : Ensemble
    tail, tail_size : array, shape (draws,)
        How far out a row lies.
    member, coefficient, path : array
        Gaussian weights of the laws, shape (draws, members), of the directions of the coefficients, (draws, 6), and of
        the level and slope of ln N*, (draws, 2).
    distance, distance_size : array, shape (draws,)
    pick : int array, shape (draws,)
        Law of a row, for quantities that need one law.

    Examples
    --------
    >>> truth = lawful.Surface.named("symmetric")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 7, surface=truth), noise=0.002)
    >>> drawn = ensemble(runs).draws(100)
    >>> drawn.loss(1e9, 2e10).shape, drawn.params(1e21).shape
    ((100,), (100,))
    """

    ensemble: Ensemble
    tail: Array
    tail_size: Array
    member: Array
    coefficient: Array
    path: Array
    distance: Array
    distance_size: Array
    pick: NDArray[np.intp]

    def loss(self, params: ArrayLike, tokens: ArrayLike) -> Array:
        """Losses of every draw at N and D, shape (draws, *shape); the noise of a run is not in them."""
        source, width = self.ensemble, self.ensemble.width
        x, y = np.log(np.asarray(params, float)), np.log(np.asarray(tokens, float))
        flat_x, flat_y = np.ravel(x), np.ravel(y)
        logs = np.log(source.members.laws.loss(flat_x, flat_y))
        away = (logs - logs.mean(axis=0)) / np.sqrt(max(len(logs) - 1, 1))
        lean = width.coefficients * self.coefficient @ source.directions(flat_x, flat_y)
        beyond = np.sqrt(source.distance(flat_x + flat_y) + width.offset)
        off = width.law * self.member @ away + lean + width.distance * np.outer(self.distance, beyond)
        middle = np.log(np.ravel(source.loss(params, tokens)))
        return np.asarray(np.exp(middle + self.tail[:, None] * off).reshape(-1, *x.shape))

    def params(self, budget: ArrayLike) -> Array:
        """Compute-optimal parameters of every draw at budgets in FLOPs, shape (draws, *shape)."""
        source, width = self.ensemble, self.ensemble.width
        product = np.log(source.cost.product(budget))
        flat = np.ravel(product)
        open_path = width.path_size * self.path @ source.path_directions(flat)
        beyond = np.sqrt(source.distance(flat) + width.offset)
        off = open_path + width.distance_size * np.outer(self.distance_size, beyond)
        middle = np.log(np.ravel(source.params(budget)))
        return np.asarray(np.exp(middle + self.tail_size[:, None] * off).reshape(-1, *product.shape))

    @cached_property
    def coefficients(self) -> dict[str, Array]:
        """Coefficients of the coupled law, one law of the members with its own uncertainty per row, shape (draws,)."""
        laws = self.ensemble.members.laws
        roots = np.stack([_root(v) for v in laws.covariance])
        z = laws.z[self.pick] + np.einsum("rij,rj->ri", roots[self.pick], self.coefficient)
        rows = laws._replace(z=np.clip(z, LOWEST, (1.0, *HIGHEST[1:]))).coefficients
        return dict(zip(SKALING.names, rows.T, strict=True))

    def deadweight(self, budget: float, tokens: float) -> Array:
        """FLOPs wasted by training on so many tokens at a budget, for every draw, shape (draws,)."""
        found = deadweight_of(SKALING, self.coefficients, budget, tokens, self.ensemble.cost)
        return np.asarray(found, float)


SIZES = (0.0, 42.0, 20001)
"""Range of ln N, and nodes on it, between which an optimum under the table's own FLOPs is read."""


@dataclass(frozen=True, eq=False)
class Ensemble(Record):
    """
    An average of laws fitted to the same runs, with the width that such averages turned out to need.

    Build it with :func:`ensemble`.

    Attributes
    ----------
    runs : Runs
    members : Members
    width : Width
    cost : Cost
        Convention that turns a budget into N·D.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> plan = lawful.Plan.isoflop([1e18, 1e19, 1e20, 1e21], 9, surface=truth)
    >>> found = ensemble(lawful.simulate(truth, plan, noise=0.002))
    >>> made = found.outlook(1e22)
    >>> low, high = made.interval["params"]
    >>> bool(low < truth.optimum(1e22).params < high)
    True
    """

    runs: Runs
    members: Members
    width: Width
    cost: Cost

    @property
    def notes(self) -> tuple[Note, ...]:
        """Notes of the runs, and members that could not be used."""
        failed = self.members.failed
        if not failed:
            return self.runs.notes
        text = f"{failed} of {failed + len(self.members.laws.z)} laws of the average did not converge and are not used."
        return (*self.runs.notes, Note("members_failed", text))

    def loss(self, params: ArrayLike, tokens: ArrayLike) -> Any:
        """Forecast of the loss at N and D: the mean of the central members, in the unit of the runs."""
        x, y = np.log(np.asarray(params, float)), np.log(np.asarray(tokens, float))
        return self._central.loss(x, y).mean(axis=0)[()]

    def params(self, budget: ArrayLike) -> Any:
        """Compute-optimal parameters at a budget in FLOPs: the geometric mean of the central members'."""
        return np.exp(self._central.optimum(np.log(self.cost.product(budget))).mean(axis=0))[()]

    def tokens(self, budget: ArrayLike) -> Any:
        """Compute-optimal tokens at a budget in FLOPs."""
        return self.cost.tokens(budget=budget, params=self.params(budget))

    def spread(self, params: ArrayLike, tokens: ArrayLike) -> Any:
        """Standard deviation of ln L over all members: how far the laws disagree."""
        x, y = np.log(np.asarray(params, float)), np.log(np.asarray(tokens, float))
        logs = np.log(self.members.laws.loss(x, y))
        return logs.std(axis=0, ddof=min(1, len(logs) - 1))[()]

    def parts(self, params: ArrayLike, tokens: ArrayLike) -> Deviations:
        """Standard deviations of ln L at N and D, by where they come from."""
        x, y = np.log(np.asarray(params, float)), np.log(np.asarray(tokens, float))
        lean = np.sqrt((self.directions(np.ravel(x), np.ravel(y)) ** 2).sum(axis=0)).reshape(x.shape)
        far = self.width.distance * np.sqrt(self.distance(x + y) + self.width.offset)
        return Deviations(
            np.full(x.shape, self.members.noise)[()],
            (self.width.coefficients * lean)[()],
            self.width.law * self.spread(params, tokens),
            far[()],
        )

    def interval(
        self, params: ArrayLike, tokens: ArrayLike, level: float = 0.9, *, run: bool = True
    ) -> tuple[Any, Any]:
        """
        Both ends of the loss at N and D: of one new run, or with ``run=False`` of the mean over runs.

        NaN beyond a factor :data:`FAR_FROM_VALLEY` from the compute-optimal size.
        """
        half = self.width.quantile(_check_level(level)) * self.parts(params, tokens).total(run=run)
        half = np.where(self.is_far(params, tokens), np.nan, half)
        middle = self.loss(params, tokens)
        return (middle * np.exp(-half))[()], (middle * np.exp(half))[()]

    def params_interval(self, budget: ArrayLike, level: float = 0.9) -> tuple[Any, Any]:
        """Both ends of the compute-optimal N at a budget in FLOPs."""
        width, product = self.width, np.log(self.cost.product(budget))
        told = (self.path_directions(np.ravel(product)) ** 2).sum(axis=0).reshape(product.shape)
        square = width.path_size**2 * told + width.distance_size**2 * (self.distance(product) + width.offset)
        half = width.quantile_size(_check_level(level)) * np.sqrt(square)
        middle = self.params(budget)
        with np.errstate(over="ignore"):  # an open end is infinite
            return (middle * np.exp(-half))[()], (middle * np.exp(half))[()]

    def is_far(self, params: ArrayLike, tokens: ArrayLike) -> Any:
        """Whether a run is too far from the valley for its interval to hold."""
        x, y = np.log(np.asarray(params, float)), np.log(np.asarray(tokens, float))
        return np.abs(x - self._central.optimum(x + y).mean(axis=0)) > np.log(FAR_FROM_VALLEY)

    def beyond(self, budget: ArrayLike) -> Any:
        """How many times the largest compute of the runs a budget is."""
        return np.exp(np.log(self.cost.product(budget)) - self._top)

    def outlook(self, budget: float, level: float = 0.9) -> Outlook:
        """
        N*, D* and L* of a budget with intervals, and what they are made of.

        Raises
        ------
        UnsupportedError
            If the budget or the level makes no sense.
        """
        if not (np.isfinite(budget) and budget > 0):
            msg = f"A budget is a positive number of FLOPs, got {budget!r}."
            raise UnsupportedError(msg)
        price = own_cost(self.runs) or self.cost
        size = float(self.params(budget)) if isinstance(price, Cost) else self._own_size(budget, price)
        data = float(price.tokens(budget=budget, params=size))
        at, equal = (size, data), float(self.cost.flops(size, data))
        low, high = (size * float(v / self.params(equal)) for v in self.params_interval(equal, level))
        spread, beyond = float(self.spread(*at)), float(self.beyond(equal))
        interval = {
            "params": (low, high),
            "tokens": tuple(float(price.tokens(budget=budget, params=n)) for n in (high, low)),
            "loss": tuple(float(v) for v in self.interval(*at, level, run=False)),
        }
        prediction = tuple(float(v) for v in self.interval(*at, level))
        agreed = spread <= DISAGREE
        loss = float(self.loss(*at)) if agreed else float("nan")
        notes = _warnings(budget, beyond, spread)
        parts = Deviations(*(float(v) for v in self.parts(*at)))
        return Outlook(budget, size, data, loss, interval, prediction, parts, level, beyond, spread, notes)  # type: ignore[arg-type]

    def _own_size(self, budget: float, price: TokenCost) -> float:
        """
        Compute-optimal N where a token costs c(N): the geometric mean of the central members'.

        With s = d ln c/d ln N a member's optimum has alpha A / N^alpha = s beta B / D^beta, which puts N a factor
        s^(-1/(alpha + beta)) from its optimum at the same N·D counted as 6ND.
        """
        u = np.linspace(*SIZES)
        log_cost, slope = price.at(u)
        total = self._central.z[:, 3:5].sum(axis=1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            gap = u - self._central.optimum(u + np.log(budget) - log_cost) + np.log(slope) / total
        sizes = [float(np.interp(0.0, row[np.isfinite(row)], u[np.isfinite(row)])) for row in gap]
        return float(np.exp(np.mean(sizes)))

    def draws(self, count: int = 1000, seed: int = 0) -> LawDraws:
        """Draw possible worlds: laws, coefficients and discrepancy together. Row i depends on the seed and i alone."""
        rng = np.random.default_rng([seed, 17])
        rows = len(self.members.laws.z)
        free = self.width.freedom
        normal = rng.standard_normal((count, rows + COEFFICIENTS + 4))
        tail = self.width.scale * np.sqrt(free / rng.chisquare(free, count))
        return LawDraws(
            self,
            tail,
            np.full(count, self.width.scale_size),
            normal[:, :rows],
            normal[:, rows : rows + COEFFICIENTS],
            normal[:, -4:-2],
            normal[:, -2],
            normal[:, -1],
            rng.integers(0, rows, count),
        )

    @cached_property
    def _central(self) -> Any:
        return self.members.laws.take(slice(0, self.members.central))

    @cached_property
    def _root(self) -> Array:
        """Square root of the mean covariance of the central members, whose errors are those of the same runs."""
        return _root(self._central.covariance.mean(axis=0))

    @cached_property
    def _top(self) -> float:
        """Log of the largest N·D."""
        return float((np.log(self.runs.N) + np.log(self.runs.D)).max())

    def distance(self, log_product: Any) -> Any:
        """Log of compute beyond the largest of the runs, at logs of N·D; 0 within them."""
        return np.maximum(np.asarray(log_product) - self._top, 0.0)

    def directions(self, x: Array, y: Array) -> Array:
        """Effect on ln L of one standard deviation along each direction of the coefficients, shape (6, m)."""
        laws = self._central
        slope = log_model(np.exp(x), np.exp(y), laws.centre)(laws.z)[1]
        return np.asarray(self._root.T @ slope.mean(axis=0))

    def path_directions(self, log_product: Array) -> Array:
        """Effect on ln N* of one standard deviation along either direction of its level and slope, shape (2, m)."""
        past = np.asarray(log_product) - self._top
        return np.asarray(_root(self.members.path).T @ np.stack([np.ones_like(past), past]))


def _root(covariance: Array) -> Array:
    """Matrix whose product with its transpose is the covariance, also where some directions have no variance."""
    value, vector = np.linalg.eigh(0.5 * (covariance + covariance.T))
    return np.asarray(vector * np.sqrt(np.maximum(value, 0.0)))


def _check_level(level: float) -> float:
    if not 0 < level < 1:
        msg = f"The level of an interval lies between 0 and 1, got {level!r}."
        raise UnsupportedError(msg)
    return level


def _warnings(budget: float, beyond: float, spread: float) -> tuple[Note, ...]:
    """What a reader of the forecast must know."""
    notes = []
    if beyond > ORDER_OF_MAGNITUDE:
        text = (
            f"The budget {format_short(budget, 3)} FLOPs is {beyond:,.0f} times the largest run: take the "
            "forecast as an order of magnitude (such 90% intervals held about 3 of 4 public runs)."
        )
        notes.append(Note("order_of_magnitude", text))
    if spread > DISAGREE:
        text = (
            f"The laws disagree at {format_short(budget, 3)} FLOPs: their losses spread by {spread:.1%}, so there "
            f"is an interval and no single number."
        )
        notes.append(Note("laws_disagree", text))
    return tuple(notes)


def ensemble(runs: Any, *, recipe: Recipe = RECIPE, width: Width = WIDTH, cost: Cost | None = None) -> Ensemble:
    """
    Fit the averaged forecast: the coupled law under several weightings and weak priors, and Chinchilla's for the width.

    Parameters
    ----------
    runs : Runs or DataFrame
        At least 10 runs of 3 sizes over a factor 8 of compute, at more than one ratio of tokens to parameters.
    recipe : Recipe
        Weights and priors.
    width : Width
        Constants of the intervals.
    cost : Cost, optional
        Convention that turns a budget into N·D; C = 6ND if not given.

    Returns
    -------
    Ensemble

    Raises
    ------
    IdentificationError
        If the runs are too few or too alike.

    Notes
    -----
    The first five members make the centre; eight make the width. Which runs each listens to follows from a first fit:
    those near the compute-optimal size of their budget and near the largest compute. docs/forecast.md has the method
    in a page, and what it was measured on.

    Examples
    --------
    >>> truth = lawful.Surface.named("symmetric")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 7, surface=truth), noise=0.002)
    >>> made = ensemble(runs).outlook(1e21)
    >>> low, high = made.prediction
    >>> bool(low < truth.optimum(1e21).loss < high)
    True
    """
    table = counted_once(as_runs(runs)).ordered
    members = fit_members(table.N, table.D, table.L, table.C, table.weight, recipe)
    return Ensemble(table, members, width, cost or Cost())
