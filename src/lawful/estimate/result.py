"""What a fit returns: a surface or a frontier, how it was found, and what to know about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from lawful.core.cost import Cost
from lawful.core.notes import Note, Status, doubt_of, verdict_sentence
from lawful.core.numbers import format_level, format_short, format_value
from lawful.core.objective import Objective
from lawful.core.sheet import Cell, Sheet
from lawful.core.shown import Record, Shown
from lawful.core.typing import Array, IntArray, Interval
from lawful.data.runs import Runs
from lawful.errors import LawfulError, UnsupportedError
from lawful.estimate.methods import FitMethods
from lawful.estimate.priors import Prior
from lawful.laws.law import NATS, terms_of
from lawful.laws.surface import Optima, Point, Surface

METHODS = ("vpnls", "approach1", "approach2", "approach3")
"""The ways to fit that the field knows."""

SURFACE_METHODS = ("vpnls", "approach3")
"""Methods that fit a surface."""

FRONTIER_METHODS = ("approach1", "approach2")
"""Methods that fit the two lines of a frontier."""

METHOD_TITLES = {
    "vpnls": "VPNLS (variable projection)",
    "approach1": "Approach 1 (lower envelope)",
    "approach2": "Approach 2 (IsoFLOP parabolas)",
    "approach3": "Approach 3 (all coefficients jointly)",
}

FRONTIER_MEANINGS = {
    "a": "N* grows as C^a",
    "b": "D* grows as C^b",
    "log10_a0": "log10 of N* at one FLOP",
    "log10_b0": "log10 of D* at one FLOP",
}


def check_method(method: str) -> str:
    """
    Return the name of a method.

    Raises
    ------
    UnsupportedError
        If there is no such method.
    """
    if method not in METHODS:
        msg = f"Unknown method {method!r}; choose one of {', '.join(METHODS)}."
        raise UnsupportedError(msg)
    return method


def losses_of(surface: Surface, runs: Runs) -> Any:
    """Loss of a surface at the columns of runs, shape (n,)."""
    return surface.law.loss(surface.coefficients, *(runs.column(name) for name in surface.law.columns))


@dataclass(frozen=True, slots=True)
class Frontier(Record):
    """
    The power laws N* = 10^log10_a0 C^a and D* = 10^log10_b0 C^b that every method implies.

    Examples
    --------
    >>> frontier = Frontier(a=0.5, b=0.5, log10_a0=-1.0, log10_b0=0.0)
    >>> print(f"{frontier.params(1e20):.0e}")
    1e+09
    """

    a: float
    b: float
    log10_a0: float
    log10_b0: float

    @classmethod
    def of_surface(cls, surface: Surface) -> Frontier:
        """Return the frontier of a surface with two terms (non-finite where A or B is 0); NaN for other laws."""
        if surface.law.terms is None:
            return cls(*[float("nan")] * 4)
        found = Optima.of(terms_of(surface.law, surface.coefficients)).frontier(surface.cost)
        return cls(**{name: float(value) for name, value in found.items()})

    def params(self, budget: ArrayLike) -> Any:
        """Compute-optimal parameters at a budget in FLOPs."""
        return 10.0 ** (self.log10_a0 + self.a * np.log10(np.asarray(budget, float)))

    def tokens(self, budget: ArrayLike) -> Any:
        """Compute-optimal tokens at a budget in FLOPs."""
        return 10.0 ** (self.log10_b0 + self.b * np.log10(np.asarray(budget, float)))

    def to_dict(self) -> dict[str, float]:
        """Return the exponents as they stand in JSON."""
        return {"a": self.a, "b": self.b, "log10_a0": self.log10_a0, "log10_b0": self.log10_b0}


@runtime_checkable
class Fitted(Protocol):
    """
    What every fit can be asked, whether it found a surface or only a frontier.

    :class:`Fit` and :class:`FrontierFit` both answer; where a frontier knows no answer, it is None or empty.

    Attributes
    ----------
    method : str
    runs : Runs
    status : Status
    notes : tuple of Note
    frontier : Frontier
        The power laws of N* and D*.
    surface : Surface or None
        The law with its coefficients.
    objective : Objective or None
        What was minimised.
    coefficients, fixed : mapping of str to float
        Those of the law, and those of them that were pinned.
    cost : Cost
        The convention that turns a budget into N·D.

    Examples
    --------
    >>> import lawful
    >>> truth = lawful.Surface.named("symmetric")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth))
    >>> for found in (lawful.fit(runs), lawful.fit_isoflop(runs)):
    ...     best = found.optimum(1e22)
    ...     print(found.method, f"{best.params:.3g} {best.tokens:.3g}", best.loss and f"{best.loss:.3f}")
    vpnls 4.08e+10 4.08e+10 2.101
    approach2 4.08e+10 4.08e+10 None
    """

    @property
    def method(self) -> str: ...  # noqa: D102 - described above
    @property
    def runs(self) -> Runs: ...  # noqa: D102
    @property
    def status(self) -> Status: ...  # noqa: D102
    @property
    def notes(self) -> tuple[Note, ...]: ...  # noqa: D102
    @property
    def frontier(self) -> Frontier: ...  # noqa: D102
    @property
    def surface(self) -> Surface | None: ...  # noqa: D102
    @property
    def objective(self) -> Objective | None: ...  # noqa: D102
    @property
    def coefficients(self) -> Mapping[str, float]: ...  # noqa: D102
    @property
    def fixed(self) -> Mapping[str, float]: ...  # noqa: D102
    @property
    def cost(self) -> Cost: ...  # noqa: D102
    def optimum(self, budget: ArrayLike) -> Point:
        """Return N*, D* and the loss there at a budget in FLOPs; the loss is None without a surface."""
        ...


def one_law_of(source: Any) -> Any:
    """Return the fit of an analysis or of draws, for verbs that answer by one law; anything else as it is."""
    return getattr(source, "fit", source)


ONE_LAW = "By the one law of the fit, not by its average of laws, which is no surface that a choice can be priced on."
"""Why a verb answers a fit by method auto without its average."""

ONE_LAW_PLANNED = (
    "By the one law of the fit, not by its average of laws, which is no surface that runs can be drawn from."
)
"""Why a plan or a page of simulated sweeps does."""


def reach_of(fit: Fit | FrontierFit) -> float:
    """
    Return the largest compute of the runs in the FLOPs that budgets of a fit are spent in.

    A surface of N and D spends a budget by its own convention, so its runs are counted by it too: a table whose FLOPs
    differ would put one budget at two distances. Frontiers and laws of compute read the table's own.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth))
    >>> dearer = lawful.Runs.from_arrays(runs.N, runs.D, runs.L, C=2 * runs.C)
    >>> print(f"{reach_of(lawful.fit(dearer)):.3g}, {reach_of(lawful.fit(dearer, method='approach2')):.3g}")
    1e+20, 2e+20
    """
    runs = fit.runs
    if fit.surface is None or not {"N", "D"} <= set(fit.surface.law.columns):
        return float(runs.C.max())
    return float(np.max(fit.cost.flops(runs.N, runs.D)))


@dataclass(frozen=True, eq=False)
class Fit(FitMethods, Shown):
    """
    A fitted surface (methods ``vpnls`` and ``approach3``).

    Parameters
    ----------
    surface : Surface
        The law with its coefficients; N and D as counted.
    method : str
        ``vpnls`` or ``approach3``.
    objective : Objective
        What was minimised.
    solver : object
        The frozen options it was minimised with.
    runs : Runs
        The data.
    value : float
        Weighted mean of the objective per run.
    status : Status
        How the solver ended.
    notes : tuple of Note
        What the reader should know, those of the runs included.
    fixed : mapping of str to float
        Coefficients that were pinned.
    prior : mapping of str to Prior
        Coefficients that were known with a width, and what that weighed.

    Examples
    --------
    >>> import lawful
    >>> truth = lawful.Surface.named("symmetric")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth))
    >>> found = lawful.fit(runs)
    >>> found
    Fit(vpnls, chinchilla, 27 runs, converged: E=1.69, A=400, B=400, alpha=0.31, beta=0.31)
    >>> print(f"{found.frontier.a:.3f} {found.surface.loss(1e9, 2e10):.4f}")
    0.500 2.5950
    """

    surface: Surface
    method: str
    objective: Objective
    solver: Any
    runs: Runs
    value: float
    status: Status
    notes: tuple[Note, ...] = ()
    fixed: Mapping[str, float] = field(default_factory=dict)
    prior: Mapping[str, Prior] = field(default_factory=dict)

    @cached_property
    def core(self) -> Fit:
        """The same fit over its runs in the one order of all arithmetic (:attr:`Runs.ordered`)."""
        return self if self.runs.ordered is self.runs else replace(self, runs=self.runs.ordered)

    def over(self, runs: Runs) -> Fit:
        """Return the same fit over the same runs in the order of a table; weights of its own stay with their runs."""
        return replace(self, runs=self.runs.as_in(runs))

    @property
    def held(self) -> Mapping[str, Any]:
        """What was pinned and what was known with a width, as ``fixed`` of :func:`lawful.fit` takes it."""
        return {**self.fixed, **{name: prior.given for name, prior in self.prior.items()}}

    @property
    def frontier(self) -> Frontier:
        """The power laws of the compute-optimal N and D."""
        return Frontier.of_surface(self.surface)

    @property
    def coefficients(self) -> Mapping[str, float]:
        """The law's coefficients by name."""
        return self.surface.coefficients

    @property
    def cost(self) -> Cost:
        """The convention that turns a budget into N·D."""
        return self.surface.cost

    def optimum(self, budget: ArrayLike) -> Point:
        """Compute-optimal N*, D* and L* at a budget in FLOPs."""
        return self.surface.optimum(budget)

    @property
    def residuals(self) -> Array:
        """Observed minus fitted loss in nats, shape (n,)."""
        return np.asarray(self.runs.L - losses_of(self.surface, self.runs))

    @property
    def rss(self) -> float:
        """Weighted sum of squared residuals of the raw loss."""
        core = self.core
        return float(core.runs.weight @ core.residuals**2)

    def __repr__(self) -> str:
        values = _named(self.surface.coefficients)
        return f"Fit({self.method}, {self.surface.law.name}, {len(self.runs)} runs, {self.status.key}: {values})"

    def sheets(self) -> tuple[Sheet]:
        """Return how the fit ended and its coefficients, with the intervals that :meth:`intervals` gives."""
        return (fit_sheet(self, default_intervals(self), default_judgement(self)),)


@dataclass(frozen=True, slots=True)
class Parabola(Record):
    """
    One IsoFLOP curve of Approach 2: least-squares parabolas of L in log10 N and in log10 D.

    Attributes
    ----------
    budget : float
        FLOPs.
    in_params, in_tokens : array, shape (3,)
        Coefficients of 1, u, u² with u = log10 N - centre (or log10 D - centre).
    centre_params, centre_tokens : float
        Means of log10 N and log10 D at this budget.
    log10_params, log10_tokens : float
        Vertices: the inferred log10 N* and log10 D*.
    bracketed : bool
        Whether the vertex in log10 N lies between the sampled sizes.
    """

    budget: float
    in_params: Array
    in_tokens: Array
    centre_params: float
    centre_tokens: float
    log10_params: float
    log10_tokens: float
    bracketed: bool

    def loss(self, params: ArrayLike) -> Array:
        """Loss of the parabola in log10 N at model sizes."""
        level, tilt, bend = self.in_params
        u = np.log10(np.asarray(params, float)) - self.centre_params
        return np.asarray(level + u * (tilt + u * bend))

    @property
    def lowest(self) -> float:
        """Loss at the vertex in log10 N."""
        level, tilt, bend = self.in_params
        return float(level - tilt**2 / (4 * bend))


@dataclass(frozen=True, eq=False)
class FrontierFit(FitMethods, Shown):
    """
    A fitted frontier without a surface (methods ``approach1`` and ``approach2``).

    Parameters
    ----------
    frontier : Frontier
        Lines of log10 N* and log10 D* in log10 C.
    method : str
        ``approach1`` or ``approach2``.
    budgets, params, tokens : array, shape (g,)
        The points the lines go through: optima per budget.
    runs : Runs
        The data.
    parabolas : tuple of Parabola
        The IsoFLOP curves (Approach 2 only).
    status : Status
        How the fit ended.
    notes : tuple of Note
        What the reader should know, those of the runs included.
    used : int array, shape (m,), or None
        Positions of the runs that the parabolas go through; None for all of them.

    Examples
    --------
    >>> import lawful
    >>> truth = lawful.Surface.named("symmetric")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e20], 9, surface=truth))
    >>> found = lawful.fit_isoflop(runs)
    >>> [f"{n:.3g}" for n in found.params], f"{found.frontier.tokens(1e21):.3g}"
    (['4.08e+08', '4.08e+09'], '1.29e+10')
    """

    frontier: Frontier
    method: str
    budgets: Array
    params: Array
    tokens: Array
    runs: Runs
    parabolas: tuple[Parabola, ...] = ()
    status: Status = Status.CONVERGED
    notes: tuple[Note, ...] = ()
    used: IntArray | None = None

    @cached_property
    def core(self) -> FrontierFit:
        """The same fit over its runs in the one order of all arithmetic (:attr:`Runs.ordered`)."""
        return self.over(self.runs.ordered)

    def over(self, runs: Runs) -> FrontierFit:
        """Return the same fit over the same runs in another order."""
        if runs is self.runs:
            return self
        if self.used is None:
            return replace(self, runs=runs)
        kept = np.zeros(len(runs), dtype=bool)
        kept[self.used] = True
        # Both orders lead to the one: what stands at a place of it in one stands there in the other.
        there, here = (np.arange(len(runs)) if r.order is None else r.order for r in (runs, self.runs))
        moved = np.empty(len(runs), dtype=bool)
        moved[there] = kept[here]
        return replace(self, runs=runs, used=np.flatnonzero(moved))

    @property
    def basis(self) -> Runs:
        """The runs that the parabolas go through."""
        return self.runs if self.used is None else self.runs.take(self.used)

    @property
    def surface(self) -> None:
        """A frontier has no surface, and so predicts no loss."""

    @property
    def objective(self) -> None:
        """A frontier minimises no objective over all runs."""

    @property
    def coefficients(self) -> Mapping[str, float]:
        """A frontier has no law, and so no coefficients."""
        return {}

    @property
    def fixed(self) -> Mapping[str, float]:
        """Nothing of a frontier can be pinned."""
        return {}

    @property
    def prior(self) -> Mapping[str, Prior]:
        """Nor known with a width."""
        return {}

    @property
    def held(self) -> Mapping[str, Any]:
        """Nor either."""
        return {}

    @property
    def cost(self) -> Cost:
        """The convention that turns a budget into N·D."""
        return Cost()

    def optimum(self, budget: ArrayLike) -> Point:
        """Compute-optimal N* and D* at a budget in FLOPs, without a loss."""
        return Point(self.frontier.params(budget), self.frontier.tokens(budget), None)

    def __repr__(self) -> str:
        size = f"{len(self.runs)} runs, {len(self.budgets)} budgets"
        return f"FrontierFit({self.method}, {size}, {self.status.key}: {_named(self.frontier.to_dict())})"

    def sheets(self) -> tuple[Sheet]:
        """Return how the fit ended and its two lines, with the intervals that :meth:`intervals` gives."""
        return (fit_sheet(self, default_intervals(self), default_judgement(self)),)


def _named(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name}={format_short(value, 4)}" for name, value in values.items())


def default_intervals(fit: Fit | FrontierFit) -> Any:
    """Return the intervals that a fit is shown with; None where it did not converge or they cannot be had."""
    if fit.status is not Status.CONVERGED:
        return None
    try:
        return fit.intervals()
    except LawfulError:
        return None


def default_judgement(fit: Fit | FrontierFit) -> Any:
    """Return what a fit is worth by the runs it has; None where it did not converge or cannot be judged."""
    if fit.status is not Status.CONVERGED:
        return None
    try:
        return fit.judge()
    except LawfulError:
        return None


def estimates(fit: Fit | FrontierFit, of: Callable[[str], Interval] | None = None) -> dict[str, Cell]:
    """
    Return what a fit estimated, by name: coefficients, then the exponents of the frontier.

    Parameters
    ----------
    fit : Fit or FrontierFit
    of : callable, optional
        From a name to the interval of what it names.
    """
    frontier = fit.frontier.to_dict()
    if fit.surface is not None:
        powers = () if fit.surface.law.terms is None else ("a", "b")
        values, held = {**fit.surface.coefficients, **{name: frontier[name] for name in powers}}, fit.fixed
        losses = {name for name, meaning in fit.surface.law.meanings.items() if meaning.unit == NATS}
    else:
        values, held, losses = frontier, {}, set()
    cells = {}
    for name, value in values.items():
        low, high = (None, None) if of is None or name in held else of(name)
        cells[name] = Cell(float(value), "nats" if name in losses else "exponent", low, high, held=name in held)
    return cells


def meanings_of(fit: Fit | FrontierFit) -> dict[str, str]:
    """What the coefficients of a fit mean, and those of its frontier."""
    own = {} if fit.surface is None else fit.surface.law.meanings
    return FRONTIER_MEANINGS | {name: str(meaning) for name, meaning in own.items()}


def estimate_rows(fit: Fit | FrontierFit, of: Callable[[str], Interval] | None = None) -> tuple[tuple[Cell, Cell], ...]:
    """Return what :func:`estimates` does as rows: a name with its meaning, and its value."""
    said = meanings_of(fit)
    return tuple((Cell(name, "text", small=said.get(name, "")), cell) for name, cell in estimates(fit, of).items())


def fit_sheet(fit: Fit | FrontierFit, sure: Any = None, judged: Any = None) -> Sheet:
    """
    Return a fit in a sheet.

    Parameters
    ----------
    fit : Fit or FrontierFit
    sure : Intervals, optional
        Intervals of what it estimated.
    judged : Judgement, optional
        What it is worth.
    """
    state = fit.status.key.replace("_", " ")
    doubt = doubt_of(fit.notes)
    verdict = f"Doubtful: {doubt}. " if doubt else ""
    if judged is not None:
        verdict = f"{verdict_sentence(judged.verdict, fit.notes)} "
    if fit.surface is not None:
        law, method = fit.surface.law, METHOD_TITLES.get(fit.method, fit.method)
        title = f"{method} fit of the {law.name} law to {_plural(len(fit.runs), 'run')}"
        said: tuple[str, ...] = fit.status.value, f"{law.formula}, {fit.surface.cost.convention}"
        if fit.surface.law.terms is not None:
            said = *said, "N* grows as C^a, D* as C^b"
        misfit = f"{fit.objective}: {format_value(fit.value, 6)} per run; RSS {format_value(fit.rss)}."
        closing: tuple[str, ...] = (misfit,)
    else:
        count = f"{_plural(len(fit.runs), 'run')} at {_plural(len(fit.budgets), 'budget')}"
        title = f"{METHOD_TITLES.get(fit.method, fit.method)} fit of the frontier to {count}"
        lines = "Two straight lines of logarithms; there is no loss surface."
        said = (
            lines if fit.status is Status.CONVERGED else fit.status.value,
            "N* = 10^log10_a0 C^a, D* = 10^log10_b0 C^b",
        )
        closing = ()
    return Sheet(
        f"{verdict}{title}: {state}.",
        said,
        ("", "value"),
        estimate_rows(fit, None if sure is None else sure.of),
        "" if sure is None else f"{format_level(sure.level)} interval",
        closing if sure is None else (*closing, sure.sentence),
        fit.notes if judged is None else (*fit.notes, *judged.notes),
    )


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


AnyFit = Fit | FrontierFit
"""A fit by any method; ``fit.surface is None`` tells a frontier."""


def surface_of(source: AnyFit | Surface, what: str) -> Surface:
    """
    Return the surface that a verb is asked about, alone (``source.runs is None``) or in a fit.

    Parameters
    ----------
    source : Fit, FrontierFit, Surface, or an analysis or draws of a fit
    what : str
        What the surface is needed for, as it follows "has no surface".

    Raises
    ------
    UnsupportedError
        If it is a frontier: its method, what cannot be had, and which methods give it.
    """
    source = one_law_of(source)
    return source.surface if source.runs is None else surface_fit(source, what).surface


def surface_fit(fit: AnyFit, what: str) -> Fit:
    """
    Return a fit that has a surface.

    Parameters
    ----------
    fit : Fit or FrontierFit
    what : str
        What the surface is needed for, as it follows "has no surface".

    Raises
    ------
    UnsupportedError
        If it is a frontier: its method, what cannot be had, and which methods give it.
    """
    if fit.surface is None:
        msg = f"{fit.method} has no surface{what}; fit with vpnls or approach3."
        raise UnsupportedError(msg)
    return fit
