"""plan(): the sweep that a decision needs, set beside the usual grid of the same cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from lawful.core.numbers import (
    format_count,
    format_flops,
    format_percent,
    format_scientific,
    format_short,
    format_value,
)
from lawful.core.sheet import Cell, Sheet, row
from lawful.core.shown import Record, Shown
from lawful.core.typing import AnyArray, Array, IntArray
from lawful.core.validation import check_budget
from lawful.data.runs import Runs
from lawful.design.exchange import Limits, improve
from lawful.design.information import DECISIONS, Centre, around, decision_slope, information, sensitivities, variance
from lawful.design.plan import Plan, plan_isoflop
from lawful.design.priced import TYPICAL_K, Priced, priced
from lawful.design.shapes import Shapes
from lawful.errors import IdentificationError, UnsupportedError
from lawful.estimate.result import Fit, surface_of
from lawful.laws.surface import Surface

LEAST_SIZES = 3
"""Sizes that every budget keeps, smallest, middle and largest: the form of the law stays open to a test."""

USUAL_POINTS = 15
"""Runs per budget that a plan may have, or as many as a grid of the same cost."""

CANDIDATES = 25
"""Sizes per budget that a plan chooses from."""

USUAL_RATIOS = (1.0, 1000.0)
"""Tokens per parameter of the runs that people train."""

ROOM = 4.0
"""Nearer than this to an end of the usual range the prior's optimum is no usual one, and the range gives way."""


@dataclass(frozen=True, slots=True)
class Sweep(Record):
    """
    What a sweep may use.

    Parameters
    ----------
    reach : float
        Sizes lie within ±reach× of the prior's optimum, > 1.
    tokens_per_param : (float, float)
        Least and most tokens per parameter, of the plan and of the grid alike. The usual range, 1 to 1,000, gives
        way on a side where the prior's own optimum lies within a factor of 4 of its end, or beyond.
    repeats : int
        Most runs of one size at one budget (with other seeds).
    runs : int, optional
        Most runs in all; 15 per budget, or as many as a grid of the same cost has, if not given.
    spread : float
        How uncertain the prior's exponents are, as a standard deviation of their logarithms.
    decision : {"params", "loss"}
        Whether N* (and D*) or the loss at the target is to be known well.
    shapes : Shapes, optional
        Models and schedules that can be built; any size if not given.

    Raises
    ------
    UnsupportedError
        If a number is out of range, or the decision is unknown.

    Examples
    --------
    Wider than usual, one seed each, at least ten tokens per parameter:

    >>> rules = Sweep(reach=16, repeats=1, tokens_per_param=(10, 1000))
    >>> prior = lawful.Surface.named("besiroglu")
    >>> found = lawful.plan([1e18, 1e19, 1e20], target=1e24, prior=prior, total_flops=1e21, sweep=rules)
    >>> bool((found.plan.D / found.plan.N).min() >= 10 * (1 - 1e-9))
    True
    """

    reach: float = 8.0
    tokens_per_param: tuple[float, float] = USUAL_RATIOS
    repeats: int = 3
    runs: int | None = None
    spread: float = 0.15
    decision: str = "params"
    shapes: Shapes | None = None

    def __post_init__(self) -> None:
        low, high = self.tokens_per_param
        if not (self.reach > 1 and 0 < low < high and self.repeats >= 1 and self.spread >= 0):
            msg = (
                "A sweep needs a reach above 1, a range of tokens per parameter, at least one run per size and a "
                f"spread of 0 or more; got {format_short(self.reach)}, {format_short(low)} to "
                f"{format_short(high)}, {self.repeats} and {format_short(self.spread)}."
            )
            raise UnsupportedError(msg)
        if self.decision not in DECISIONS:
            msg = f"A sweep is planned for {' or '.join(DECISIONS)}, got {self.decision!r}."
            raise UnsupportedError(msg)


@dataclass(frozen=True, eq=False)
class Candidates(Record):
    """Runs that may be chosen, with what each would be built as (zeros without shapes)."""

    N: Array
    D: Array
    budget: Array
    width: Array
    layers: Array
    batch: Array
    steps: Array

    def take(self, index: IntArray) -> Candidates:
        """Return the runs at an index array."""
        return Candidates(*(getattr(self, name)[index] for name in Candidates.__dataclass_fields__))


@dataclass(frozen=True, eq=False)
class Planned(Shown):
    """
    A sweep that was planned for one decision, or laid out as a grid.

    Attributes
    ----------
    plan : Plan
        Runs to train, budgets in ``C``; a size that is run twice stands twice.
    chosen : Candidates
        The same runs with widths, layers, batches and steps.
    grid : Plan
        The usual ±k× grid, for comparison; its cost is at most that of the plan allowed. Of a
        sweep that is a grid, itself.
    target : float
        Budget of the decision, FLOPs.
    error, grid_error : float
        Standard error of the decision per nat of noise, of the plan and of the grid (scaled
        to the plan's allowance where whole grid points leave some of it unspent).
    total : float
        FLOPs allowed.
    prior : Surface
    sweep : Sweep
    given : Runs or None
        Runs that were there already; they count for both.
    layout : {"design", "grid"}
        Whether runs were chosen for the decision (:func:`lawful.plan`) or laid out
        evenly (:func:`lawful.design.usual_grid.plan_grid`).

    Examples
    --------
    >>> prior = lawful.Surface.named("besiroglu")
    >>> found = lawful.plan([1e18, 1e19, 1e20, 1e21], target=3e25, prior=prior, total_flops=1.5e22)
    >>> len(found.plan), f"{found.gain:.2f} times the precision of the grid"
    (60, '1.54 times the precision of the grid')
    """

    plan: Plan
    chosen: Candidates
    grid: Plan
    target: float
    error: float
    grid_error: float
    total: float
    prior: Surface
    sweep: Sweep
    given: Runs | None = field(default=None)
    layout: str = "design"

    def __repr__(self) -> str:
        spent = f"{format_scientific(self.cost)} of {format_flops(self.total)}"
        return f"Planned({self.layout}, {len(self.plan)} runs for {format_flops(self.target)}: {spent})"

    def sheets(self) -> tuple[Sheet, Sheet]:
        """Return a row per budget and what is gained, then the runs."""
        return self.summary(), self._runs()

    def _runs(self) -> Sheet:
        columns = zip(self.plan.C.tolist(), self.plan.N.tolist(), self.plan.D.tolist(), strict=True)
        rows = tuple(row(Cell(c, "flops"), Cell(n, "count"), Cell(d, "count")) for c, n, d in columns)
        return Sheet("Runs to train.", (), ("budget, FLOPs", "N", "D"), rows)

    def summary(self) -> Sheet:
        """Return a row per budget, and what the sweep tells about the decision."""
        chosen, is_design = self.chosen, self.layout == "design"
        rows = []
        for budget in np.unique(chosen.budget):
            here = chosen.budget == budget
            sizes, ratio = chosen.N[here], chosen.D[here] / chosen.N[here]
            beside = [Cell(int(np.isclose(self.grid.C, budget, rtol=1e-9).sum()), "integer")] if is_design else []
            rows.append(
                row(
                    Cell(float(budget), "flops"),
                    Cell(int(here.sum()), "integer"),
                    Cell(np.unique(sizes).size, "integer"),
                    Cell(None, "count", float(sizes.min()), float(sizes.max())),
                    Cell(None, "count", float(ratio.min()), float(ratio.max())),
                    *beside,
                )
            )
        laid = "" if is_design else f" of a ±{format_short(self.sweep.reach)}× grid"
        given = "" if self.given is None else f", beside {len(self.given)} that are done"
        spent = format_flops(self.cost)
        if is_design or self.total > self.cost:
            spent += f" of {format_flops(self.total)}"
        title = f"{len(self.plan)} runs{laid}{given}: {spent}, for {self._what} at {format_flops(self.target)}."
        heads = ("FLOPs", "runs", "sizes", "N", "tokens per N", *(["grid"] if is_design else []))
        said = (
            (self._known(), self._trade(), self._if_coupled())
            if is_design and np.isfinite(self.error)
            else (self._known(),)
        )
        return Sheet(title, (), heads, tuple(rows), "", said)

    @property
    def _what(self) -> str:
        return "ln N*" if self.sweep.decision == "params" else "the loss"

    def _known(self) -> str:
        if np.isinf(self.error):
            return f"These runs alone do not determine {self._what} at the target."
        said = f"Standard error of {self._what} per 0.01 nats of noise: {format_short(0.01 * self.error, 3)}"
        if self.layout != "design":
            return f"{said}."
        other, gain = format_short(0.01 * self.grid_error, 3), format_value(self.gain, 3)
        if not self.gain > 1:
            return f"{said}; the usual grid's is no larger, {other}."
        return f"{said}; the usual grid's {other}, {gain} times as large."

    @cached_property
    def priced(self) -> tuple[Priced, Priced]:
        """What the plan and the grid, at equal cost, tell of N* and L*, under this law and under the coupled one."""
        plan = priced(self.prior, self.plan, self.target, self.given)
        share = self.total / float(self.grid.C.sum())
        return plan, priced(self.prior, self.grid, self.target, self.given, share)

    def _trade(self) -> str:
        """Say what the plan tells of the other decision, which it was not made for."""
        mine, grid = self.priced
        other, name = ("loss", "the loss") if self.sweep.decision == "params" else ("params", "ln N*")
        here, there = (0.01 * getattr(each, other) for each in (mine, grid))
        than = "less" if here < there else "more"
        return (
            f"The plan is not made for {name} at the target: its standard error is {format_short(here, 3)}, "
            f"{abs(1 - here / there):.0%} {than} than the usual grid's {format_short(there, 3)}."
        )

    def _if_coupled(self) -> str:
        """Say what the plan is worth where the terms of the law are coupled."""
        mine, grid = self.priced
        name = "coupled_params" if self.sweep.decision == "params" else "coupled_loss"
        here, there = (0.01 * getattr(each, name) for each in (mine, grid))
        told = "not determined" if np.isinf(here) else format_short(here, 3)
        beside = "not determined" if np.isinf(there) else format_short(there, 3)
        shares = [format_percent(each.waste) for each in (mine, grid)]
        return (
            f"If the terms are coupled, (A/N^alpha + B/D^beta)^k, and k is fitted too, {self._what} is known to {told} "
            f"(the grid: {beside}); with k = {TYPICAL_K} this law would miss N* by {np.expm1(mine.missed):+.0%} and "
            f"waste {shares[0]} of the target (on the grid {np.expm1(grid.missed):+.0%}, {shares[1]})."
        )

    @property
    def gain(self) -> float:
        """Standard error of the grid over that of the plan."""
        return self.grid_error / self.error

    @property
    def cost(self) -> float:
        """FLOPs of the planned runs, 6ND."""
        return float(self.prior.cost.flops(self.plan.N, self.plan.D).sum())


def plan(
    budgets: Sequence[float],
    *,
    target: float,
    prior: Fit | Surface,
    total_flops: float,
    given: Runs | None = None,
    sweep: Sweep | None = None,
    grid_width: float = 8.0,
) -> Planned:
    """
    Plan the sweep that tells most about a decision for its compute.

    Among the sizes that are allowed at each budget, runs are chosen to make the
    variance of ln N* (or of the loss) at the target small, averaged over what the
    prior leaves open: a c-optimal design.

    Parameters
    ----------
    budgets : sequence of float
        FLOPs that runs may have, distinct and > 0.
    target : float
        Budget of the decision, FLOPs.
    prior : Fit or Surface
        What is believed now.
    total_flops : float
        Compute for all new runs.
    given : Runs, optional
        Runs that are done; the plan adds to them.
    sweep : Sweep, optional
        What the sweep may use.
    grid_width : float
        The k of the ±k× grid it is compared with.

    Returns
    -------
    Planned

    Raises
    ------
    UnsupportedError
        If the law of the prior is not of Chinchilla's form, or a budget is not positive.
    IdentificationError
        If the compute does not pay for three sizes at every budget, or for as many runs as the
        law has coefficients.

    See Also
    --------
    plan_grid : The usual grid with seeds, as runs to launch.
    check_plan : Both, in simulated studies.

    Notes
    -----
    Variances come from the Fisher information of the law with equal Gaussian noise;
    their logarithm is averaged over nine surfaces around the prior. Runs are exchanged for
    better ones until none is (Fedorov 1972), from two starts. Every budget keeps its
    smallest, middle and largest size.

    Examples
    --------
    >>> prior = lawful.Surface.named("chinchilla")
    >>> found = lawful.plan([1e17, 1e18, 1e19, 1e20, 1e21], target=1e24, prior=prior, total_flops=1.66665e22)
    >>> bool(found.cost <= 1.66665e22 * 1.0001)
    True
    """
    surface = surface_of(prior, " to plan from").as_two_powers("A planned sweep")
    rules = sweep or Sweep()
    check_budget(target)
    check_budget(total_flops)
    C = check_sweep(surface, budgets)
    chosen = _candidates(surface, C, rules)
    middle = float(np.exp(np.log(C).mean()))
    family = around(surface, rules.spread, middle)
    centre = Centre(float(np.log(chosen.N).mean()), float(np.log(chosen.D).mean()))
    rows = np.stack([sensitivities(s, chosen.N, chosen.D, centre) for s in family])
    slopes = np.stack([decision_slope(s, target, rules.decision, centre) for s in family])
    known = np.stack([_known(s, given, centre) for s in family])
    counts = _search(rows, slopes, known, chosen, C, total_flops, rules, surface)
    index = np.repeat(np.arange(counts.size), counts)
    picked = chosen.take(index)
    grid = _grid(surface, C, total_flops, grid_width, rules)
    mine = len(family) // 2
    error = np.sqrt(variance(known[mine] + information(rows[mine], counts), slopes[mine]))
    grid_rows = sensitivities(surface, grid.N, grid.D, centre)
    # A grid comes in whole rounds of budgets; what is left over buys it a fraction of a round.
    share = total_flops / float(grid.C.sum())
    grid_error = np.sqrt(variance(known[mine] + share * information(grid_rows), slopes[mine]))
    made = Plan(picked.N, picked.D, picked.budget)
    return Planned(made, picked, grid, target, float(error), float(grid_error), total_flops, surface, rules, given)


def check_sweep(surface: Surface, budgets: Sequence[float]) -> Array:
    """Return the budgets, ascending, if a sweep at them can be planned from this prior."""
    C = np.array(sorted(check_budget(b) for b in budgets))
    if C.size == 0 or np.unique(C).size != C.size:
        msg = f"A sweep needs distinct budgets, at least one; got {C.tolist()}."
        raise UnsupportedError(msg)
    if not np.isfinite(surface.optimum(C).params).all() or min(surface["A"], surface["B"]) == 0:
        msg = "The prior has no compute-optimal size (A or B is zero); use another one."
        raise UnsupportedError(msg)
    return C


def _candidates(surface: Surface, C: Array, rules: Sweep) -> Candidates:
    """Sizes of every budget: within reach of the optimum and within the range of tokens per parameter."""
    low, high = _ratios(surface, C, rules)
    parts = []
    for budget in C:
        best = float(surface.optimum(budget).params)
        nd = float(surface.cost.product(budget))
        least, most = max(best / rules.reach, np.sqrt(nd / high)), min(best * rules.reach, np.sqrt(nd / low))
        if least >= most:
            msg = (
                f"At {format_short(budget, 3)} FLOPs no size has {format_short(low)} to {format_short(high)} "
                f"tokens per parameter within ±{format_short(rules.reach)}× of the prior's optimum, "
                f"{format_count(best)}; widen the range, or use another prior."
            )
            raise UnsupportedError(msg)
        parts.append(at_budget(surface, float(budget), np.geomspace(least, most, CANDIDATES), rules.shapes))
    columns = zip(*parts, strict=True)
    return Candidates(*(np.concatenate(column) for column in columns))


def _ratios(surface: Surface, C: Array, rules: Sweep) -> tuple[float, float]:
    """Range of tokens per parameter; the usual one is widened where the prior's own optimum lies near its end."""
    low, high = rules.tokens_per_param
    if rules.tokens_per_param != USUAL_RATIOS:
        return low, high
    best = surface.optimum(C)
    ratio = np.asarray(best.tokens / best.params)
    least, most = float(ratio.min()), float(ratio.max())
    return (
        low if least > ROOM * low else min(low, least / rules.reach**2),
        high if most < high / ROOM else max(high, most * rules.reach**2),
    )


def at_budget(surface: Surface, budget: float, sizes: Array, shapes: Shapes | None) -> tuple[Array, ...]:
    """Return the columns of :class:`Candidates` for some sizes at a budget, as models that can be built with shapes."""
    zeros = np.zeros_like(sizes)
    if shapes is None:
        tokens = np.asarray(surface.cost.tokens(budget=budget, params=sizes))
        return sizes, tokens, np.full(sizes.size, budget), zeros, zeros, zeros, zeros
    ladder = shapes.ladder(sizes[0], sizes[-1])
    index = ladder.nearest(sizes)
    params = ladder.params[index]
    batch, steps = shapes.schedule(np.asarray(surface.cost.tokens(budget=budget, params=params)), budget)
    return params, batch * steps, np.full(params.size, budget), ladder.width[index], ladder.layers[index], batch, steps


def _known(surface: Surface, given: Runs | None, centre: Centre) -> Array:
    if given is None:
        return np.zeros((5, 5))
    return information(sensitivities(surface, given.N, given.D, centre), given.weight)


def _search(
    rows: Array, slopes: Array, known: Array, chosen: Candidates, C: Array, total: float, rules: Sweep, surface: Surface
) -> IntArray:
    """Exchange from two starts, an even grid and one with fewer of the most expensive runs; return the better."""
    kept = np.zeros(chosen.N.size, dtype=np.intp)
    places = [np.flatnonzero(chosen.budget == budget) for budget in C]
    for place in places:
        kept[place[[0, place.size // 2, -1]]] = 1
    cost = np.asarray(surface.cost.flops(chosen.N, chosen.D))
    most = rules.runs or max(USUAL_POINTS, _grid_points(C, total)) * C.size
    if float(cost @ kept) > total or int(kept.sum()) > most:
        msg = (
            f"Three sizes at every budget take {format_short(float(cost @ kept), 3)} FLOPs and {int(kept.sum())} "
            f"runs, but {format_short(total, 3)} FLOPs and {most} runs are allowed; allow more, or leave the "
            f"largest budget out."
        )
        raise IdentificationError(msg)
    limits = Limits(cost, total, most, rules.repeats, kept)
    starts = [_even_start(kept, places, limits, share) for share in (1.0, 0.7)]
    enough = [counts for counts in starts if determined(known[len(known) // 2], rows[len(rows) // 2], counts)]
    if not enough:
        msg = (
            f"{int(starts[0].sum())} runs at {C.size} budget{'s' if C.size > 1 else ''} do not determine the "
            f"{rows.shape[-1]} coefficients of the law; allow more FLOPs, add a budget, or give the runs that are done."
        )
        raise IdentificationError(msg)
    found = []
    for start in enough:
        counts = improve(rows, slopes, known, start, limits)
        value = np.mean(
            [np.log(variance(k + information(r, counts), s)) for r, s, k in zip(rows, slopes, known, strict=True)]
        )
        found.append((float(value), counts))
    return min(found, key=lambda pair: pair[0])[1]


def determined(known: Array, rows: Array, counts: AnyArray) -> bool:
    """Whether runs, beside what is known, determine all coefficients: their information has full rank."""
    total = known + information(rows, counts)
    scale = np.sqrt(np.maximum(np.diag(total), np.finfo(float).tiny))
    return bool(np.linalg.matrix_rank(total / np.outer(scale, scale), hermitian=True) == len(total))


def _even_start(kept: IntArray, places: list[IntArray], limits: Limits, share: float) -> IntArray:
    """As many evenly spread sizes at every budget as the limits allow; at the most expensive one only a share."""
    per = limits.runs // len(places)
    while per > LEAST_SIZES:
        counts = kept.copy()
        for i, place in enumerate(places):
            size = min(per if i < len(places) - 1 else max(int(share * per), LEAST_SIZES), place.size)
            counts[place[np.round(np.linspace(0, place.size - 1, size)).astype(int)]] = 1
        if float(limits.cost @ counts) <= limits.total and int(counts.sum()) <= limits.runs:
            return counts
        per -= 1
    return kept.copy()


def _grid(surface: Surface, C: Array, total: float, width: float, rules: Sweep) -> Plan:
    """
    Lay out the usual grid with as many points per budget as the compute pays for, at least 3.

    Where it would leave the range of tokens per parameter it ends there, as the plan's sizes do.
    """
    points = _grid_points(C, total)
    laid = plan_isoflop(C, points, surface=surface, width=width)
    low, high = _ratios(surface, C, rules)
    nd = np.asarray(surface.cost.product(C))[:, None]
    sizes = laid.N.reshape(C.size, points)
    least, most = np.maximum(sizes[:, :1], np.sqrt(nd / high)), np.minimum(sizes[:, -1:], np.sqrt(nd / low))
    if (least == sizes[:, :1]).all() and (most == sizes[:, -1:]).all():
        return laid
    n = least * (most / least) ** np.linspace(0.0, 1.0, points)
    return Plan(n.ravel(), (nd / n).ravel(), np.repeat(C, points))


def _grid_points(C: Array, total: float) -> int:
    """Points per budget that the compute pays for, at least 3."""
    return max(int(total * (1 + 1e-9) / C.sum()), LEAST_SIZES)
