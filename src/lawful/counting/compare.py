"""The same runs under every convention of counting: how the exponents and N* move."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from lawful.core.notes import Note
from lawful.core.numbers import format_flops, format_short
from lawful.core.objective import Objective
from lawful.core.sheet import Cell, Sheet
from lawful.core.shown import Record, Shown
from lawful.core.typing import Array
from lawful.core.validation import check_budget
from lawful.counting.counts import Count, find_counts
from lawful.data.cells import counted_once
from lawful.data.runs import Runs, group_budgets
from lawful.data.table import as_runs
from lawful.decide.token_cost import TokenCost, fit_token_cost
from lawful.errors import IdentificationError, InputError
from lawful.estimate.fit import fit
from lawful.estimate.result import METHOD_TITLES, SURFACE_METHODS, Fit, FrontierFit, check_method

Refit = Callable[[Runs], Fit | FrontierFit]

SLOPE_BUDGETS = 9
"""Budgets over the range of the runs' compute at which an exponent is read as a slope."""

REACH_DOWN, REACH_UP, GRID = np.log(100.0), np.log(1e6), 2000
"""How far below and above the sampled sizes an optimum is looked for, and at how many points first."""

LARGE_MISFIT = 0.05
"""Relative error of the cost curve that is worth a note."""


@dataclass(frozen=True, slots=True)
class Optimum(Record):
    """
    The compute-optimal choice at a budget, as one convention counts it.

    Attributes
    ----------
    budget : float
        FLOPs, counted by the convention.
    params : float
        N*, counted by the convention.
    tokens : float
        D*.
    base_params : float
        The same model, counted as the first convention counts: what may be compared.
    """

    budget: float
    params: float
    tokens: float
    base_params: float


@dataclass(frozen=True, slots=True)
class ConventionFit(Record):
    """
    A fit under one convention.

    Attributes
    ----------
    params, flops : str
        How N and C are counted.
    params_also, flops_also : tuple of str
        Other names of the same counts.
    a, b : float or None
        Exponents of N* and D*; None where the method cannot run.
    optima : tuple of Optimum
        One per budget.
    misfit : float
        Largest relative error of the curve that FLOPs per token were taken to follow;
        0 under 6ND, and where no surface was fitted.
    note : Note or None
        Why there is no answer, or that the curve of the cost misses some runs.
    """

    params: str
    flops: str
    params_also: tuple[str, ...]
    flops_also: tuple[str, ...]
    a: float | None
    b: float | None
    optima: tuple[Optimum, ...]
    misfit: float
    note: Note | None


@dataclass(frozen=True, eq=False)
class Conventions(Shown):
    """
    What :func:`conventions` found: the runs, the method, one row per convention, and notes.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19], 7, surface=truth))
    >>> found = lawful.conventions(runs, budgets=[1e21])
    >>> len(found.rows), f"{found.rows[0].a:.4f}", f"{found.rows[0].optima[0].params:.3g}"
    (1, '0.4516', '1.82e+09')
    """

    runs: Runs
    method: str
    rows: tuple[ConventionFit, ...]
    notes: tuple[Note, ...]

    def __repr__(self) -> str:
        count = "1 way" if len(self.rows) == 1 else f"{len(self.rows)} ways"
        return f"Conventions({count} to count {len(self.runs)} runs, by {self.method})"

    def sheets(self) -> tuple[Sheet]:
        """Return a row per convention, and what to know about them."""
        budgets = [o.budget for o in next((one.optima for one in self.rows if one.optima), ())]
        heads = ["N counts", "C counts", "a", "b"]
        for budget in budgets:
            heads += [f"N* at {format_flops(budget)}", f"as {self.rows[0].params}", "D*"]
        rows = []
        for one in self.rows:
            cells = [_names(one.params, one.params_also), _names(one.flops, one.flops_also)]
            cells += [Cell(one.a, "exponent"), Cell(one.b, "exponent")]
            for o in one.optima:
                cells += [Cell(value, "count") for value in (o.params, o.base_params, o.tokens)]
            rows.append((*cells, *[Cell(None)] * (len(heads) - len(cells))))
        closing: tuple[str, ...] = ()
        if self.span is not None and len(self.rows) > 1:
            low, high = (format_short(end, 3) for end in self.span)
            closing = (f"The same runs give an exponent a from {low} to {high}, by convention alone.",)
        own = {
            one.note.message: Note(one.note.code, f"{one.params} with {one.flops}: {one.note.message}")
            for one in reversed(self.rows)
            if one.note is not None
        }
        count = f"{len(self.rows)} way{'s' if len(self.rows) > 1 else ''} to count, by {METHOD_TITLES[self.method]}"
        title = f"{self.runs.source}: {len(self.runs)} runs, {count}."
        notes = (*reversed(own.values()), *self.notes)
        return (Sheet(title, (), tuple(heads), tuple(rows), "", closing, notes),)

    @property
    def span(self) -> tuple[float, float] | None:
        """Smallest and largest exponent a; None where no convention has one."""
        values = [row.a for row in self.rows if row.a is not None]
        return (min(values), max(values)) if values else None


def _names(name: str, also: tuple[str, ...]) -> Cell:
    return Cell(name + (f" (= {', '.join(also)})" if also else ""), "text")


class _NoAnswerError(Exception):
    """A convention under which this method has no answer; the message becomes a note."""


def conventions(
    runs: Any,
    *,
    method: str = "vpnls",
    budgets: Sequence[float] = (),
    shape: Mapping[str, Any] | None = None,
    params: Sequence[str] = (),
    flops: Sequence[str] = (),
    objective: Objective | str | None = None,
    fixed: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
) -> Conventions:
    """
    Refit runs under every convention that their table supports.

    Which parameters N counts and which FLOPs C counts is part of a scaling law. Every
    count of parameters is paired with every count of FLOPs; 6ND goes with the N that it
    is made of.

    Parameters
    ----------
    runs : Runs or DataFrame
        Training runs with columns such as ``N_no_emb``, ``C_no_emb``, or the models'
        width and depth.
    method : {"vpnls", "approach1", "approach2", "approach3"}
        How to fit.
    budgets : sequence of float
        Budgets in FLOPs, counted by each convention in turn.
    shape : mapping of str to float or str, optional
        What the table does not say of the models: a number or a column for ``width,
        layers, heads, kv_heads, head_dim, ffn, vocabulary, context``.
    params, flops : sequence of str
        More columns that count parameters, or FLOPs.
    objective, fixed, bounds
        As for :func:`lawful.fit`.

    Returns
    -------
    Conventions
        The runs' own convention first.

    Raises
    ------
    UnsupportedError
        Unknown method or part of a shape.
    InputError
        A column that was asked for does not exist or cannot be used.

    Notes
    -----
    A surface is refitted on each count of N. What a token costs is then taken as
    p1 N + p2 N^(2/3) + p3 N^(1/3), fitted to the runs (for a family of one shape the
    terms are the matrices, attention, and the vocabulary; 6ND is p1 = 6 alone), and
    N* minimises the loss on that curve. Its exponents are slopes of log N* and log D*
    over the range of the runs' compute, where it has an optimum. Approaches 1 and 2 keep the runs' budget
    groups under their own C, and group by 10% under any other.

    References
    ----------
    .. [1] Pearce & Song (2024), arXiv:2406.12907; Porian et al. (2024), arXiv:2406.19146.

    Examples
    --------
    Without embeddings a small model looks smaller than it is, and the exponent larger:

    >>> from lawful.counting.formulas import total_from_non_embedding
    >>> truth = lawful.Surface.named("besiroglu")
    >>> rest, D = (v.ravel() for v in np.meshgrid(np.geomspace(1e6, 1e9, 8), np.geomspace(1e8, 1e10, 5)))
    >>> N = total_from_non_embedding(rest)
    >>> runs = lawful.read_runs({"N": N, "N_no_emb": rest, "D": D, "loss": truth.loss(N, D)})
    >>> for row in lawful.conventions(runs).rows:
    ...     print(f"{row.params:9} {row.flops:16} a = {row.a:.2f}")
    N         6ND              a = 0.51
    N_no_emb  6ND of N_no_emb  a = 0.74
    """
    check_method(method)
    table = counted_once(as_runs(runs))
    at = [check_budget(budget) for budget in budgets]
    sizes, costs, notes = find_counts(table, shape=shape, params=params, flops=flops)
    fitted: dict[str, Fit | FrontierFit] = {}
    pairs = [(size, cost) for size in sizes for cost in costs if cost.own in {"", size.name}]
    refit = partial(fit, method=method, objective=objective, fixed=fixed, bounds=bounds)
    rows = [_row(table, method, refit, size, cost, at, sizes[0], fitted) for size, cost in pairs]
    if len(rows) == 1:
        message = (
            "The table supports one convention only; columns such as N_no_emb or C_no_emb, or the models' shape "
            "(width, layers, vocabulary, context), would add others."
        )
        notes.append(Note("one_convention", message))
    return Conventions(table, method, tuple(rows), (*table.notes, *notes))


def _row(
    runs: Runs,
    method: str,
    refit: Refit,
    size: Count,
    cost: Count,
    budgets: Sequence[float],
    base: Count,
    fitted: dict[str, Fit | FrontierFit],
) -> ConventionFit:
    a: float | None = None
    b: float | None = None
    note: Note | None = None
    optima: tuple[Optimum, ...] = ()
    misfit = 0.0
    try:
        found = _refit(runs, method, refit, size, cost, fitted)
        if found.surface is None:
            a, b = found.frontier.a, found.frontier.b
            chosen = [(c, float(found.frontier.params(c)), float(found.frontier.tokens(c))) for c in budgets]
        else:
            curve = fit_token_cost(size.values, cost.values / runs.D)
            misfit = curve.misfit
            a, b = _slopes(found, curve, cost.values)
            chosen = [(c, *_optimum(found, curve, c)) for c in budgets]
            note = _cost_note(cost, misfit)
        optima = tuple(Optimum(c, n, d, _translate(n, size.values, base.values)) for c, n, d in chosen)
    except (_NoAnswerError, IdentificationError, InputError) as error:
        note = Note("unavailable", str(error))
    return ConventionFit(size.name, cost.name, size.also, cost.also, a, b, optima, misfit, note)


def _refit(
    runs: Runs, method: str, refit: Refit, size: Count, cost: Count, fitted: dict[str, Fit | FrontierFit]
) -> Fit | FrontierFit:
    """Fit under one convention; a surface does not look at C, so it is fitted once per count of N."""
    is_surface = method in SURFACE_METHODS
    key = size.name if is_surface else f"{size.name}\n{cost.name}"
    if key not in fitted:
        own_groups = is_surface or cost.values is runs.C
        groups = (runs.group, runs.budgets) if own_groups else group_budgets(cost.values)
        # Labels tell copies of a row from runs that agree in their numbers.
        counted = Runs.from_arrays(
            size.values, runs.D, runs.L, C=cost.values, weight=runs.weight, groups=groups, labels=runs.labels
        )
        fitted[key] = refit(counted)
    return fitted[key]


def _slopes(fit: Fit, curve: TokenCost, C: Array) -> tuple[float, float]:
    """Exponents of N* and D* over the range of the runs' compute, as far as it has optima."""
    found = []
    missing: _NoAnswerError | None = None
    for budget in np.geomspace(C.min(), max(C.max(), C.min() * 10), SLOPE_BUDGETS).tolist():
        try:
            found.append((budget, *_optimum(fit, curve, budget)))
        except _NoAnswerError as error:
            missing = error
    if missing is not None and len(found) < SLOPE_BUDGETS / 2:
        raise missing
    x, log_n, log_d = np.log(np.array(found).T)
    x = x - x.mean()
    a, b = (float((x * (y - y.mean())).sum() / (x * x).sum()) for y in (log_n, log_d))
    return a, b


def _optimum(fit: Fit, curve: TokenCost, budget: float) -> tuple[float, float]:
    """Minimise A N^-alpha + B D^-beta where a token costs what the curve says."""
    from scipy.optimize import brentq

    k = fit.surface.coefficients
    A, B, alpha, beta = k["A"], k["B"], k["alpha"], k["beta"]
    if not (A > 0 and B > 0 and alpha > 0 and beta > 0):
        msg = "The fitted surface has no interior optimum, since one of its terms vanishes."
        raise _NoAnswerError(msg)

    def balance(log_n: Any) -> Any:
        """Log of what a larger N costs in tokens over what it gains in size: 0 at the optimum."""
        log_cost, slope = curve.at(log_n)
        loss_of_data = np.log(beta * B * slope) + beta * (log_cost - np.log(budget))
        return loss_of_data - np.log(alpha * A) + alpha * log_n

    grid = np.linspace(curve.log_n[0] - REACH_DOWN, curve.log_n[1] + REACH_UP, GRID)
    log_cost, slope = curve.at(grid)
    inside = np.isfinite(log_cost) & (slope > 0)
    first = int(GRID - np.argmin(inside[::-1])) if not inside.all() else 0
    grid = grid[first:]
    values = balance(grid)
    rising = np.flatnonzero((values[:-1] < 0) & (values[1:] >= 0))
    if not rising.size:
        msg = (
            f"The optimum at {format_short(budget, 3)} FLOPs lies beyond the sizes for which the cost of a token is "
            f"known."
        )
        raise _NoAnswerError(msg)
    i = int(rising[0])
    log_n = float(brentq(balance, grid[i], grid[i + 1], xtol=1e-13, rtol=1e-13))
    return float(np.exp(log_n)), float(np.exp(np.log(budget) - curve.at(log_n)[0]))


def _cost_note(cost: Count, misfit: float) -> Note | None:
    if misfit < LARGE_MISFIT:
        return None
    message = f"FLOPs per token ({cost.name}) were taken as a smooth curve of N, and some runs lie {misfit:.0%} off it."
    return Note("token_cost", message)


def _translate(value: float, counted: Array, base: Array) -> float:
    """Count a model of one count as another does: interpolated in logarithms, along the last slope outside."""
    x, first = np.unique(np.log(counted), return_index=True)
    y = np.log(base[first])
    at = np.log(value)
    if x.size < 2 or x[0] <= at <= x[-1]:
        return float(np.exp(np.interp(at, x, y)))
    i, j = (0, 1) if at < x[0] else (-1, -2)
    return float(np.exp(y[i] + (at - x[i]) * (y[j] - y[i]) / (x[j] - x[i])))
