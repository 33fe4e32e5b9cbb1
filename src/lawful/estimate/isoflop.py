"""Approach 1 (lower envelope) and Approach 2 (IsoFLOP parabolas)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lawful.core.notes import Note
from lawful.core.numbers import format_short
from lawful.core.typing import Array, BoolArray, IntArray
from lawful.data.cells import counted_once
from lawful.data.runs import Runs
from lawful.data.table import as_runs
from lawful.errors import IdentificationError
from lawful.estimate.result import Frontier, FrontierFit, Parabola
from lawful.estimate.window import AUTO, windowed
from lawful.laws.law import FRONTIER_NAMES
from lawful.solve.parabola import fit_parabola, smallest_vertex

FARTHEST = 50.0
"""Decades of N or D beyond which a vertex is the accident of a flat parabola."""


class Vertices(NamedTuple):
    """
    Vertices of least-squares parabolas, one per budget and row of weights or losses.

    Attributes
    ----------
    at : array, shape (B, g)
        log10 of the abscissa of the extremum, be it a minimum or a maximum; NaN with fewer than 3 sizes.
    curvature : array, shape (B, g)
        Coefficient of the square; NaN with fewer than 3 sizes.
    """

    at: Array
    curvature: Array

    @property
    def minimum(self) -> Array:
        """The same, NaN where the parabola opens downward."""
        return np.where(self.curvature > 0, self.at, np.nan)

    @property
    def few(self) -> BoolArray:
        """Where fewer than 3 sizes leave no parabola."""
        return np.isnan(self.curvature)


def vertices(log10_x: Array, loss: Array, weight: Array, group: IntArray, groups: int) -> Vertices:
    """
    Fit a weighted parabola of loss in log10 of size at every budget.

    Parameters
    ----------
    log10_x : array, shape (n,)
    loss : array, shape (n,) or (B, n)
    weight : array, shape (n,) or (B, n)
        One row per data set; unit weights give the plain fit.
    group : int array, shape (n,)
    groups : int

    Returns
    -------
    Vertices
    """
    found = []
    for g in range(groups):
        index = np.flatnonzero(group == g)
        found.append(fit_parabola(log10_x[index], np.atleast_2d(loss)[:, index], np.atleast_2d(weight)[:, index]))
    return Vertices(*(np.stack(v, axis=-1) for v in ([p.vertex for p in found], [p.curvature for p in found])))


def all_vertices(log10_x: Array, runs: Runs, weight: Array) -> tuple[Vertices, BoolArray]:
    """
    Vertices of resampled runs as someone has them who does not look: every budget has one.

    Where a row of weights leaves fewer than 3 sizes, the smallest of the parabolas through
    them stands (:func:`lawful.solve.parabola.smallest_vertex`), as in published work.

    Returns
    -------
    Vertices
        Without gaps.
    few : bool array, shape (B, g)
        Where fewer than 3 sizes were left.
    """
    found = vertices(log10_x, runs.L, weight, runs.group, runs.budgets.size)
    few = found.few
    for row, g in np.argwhere(few):
        index = np.flatnonzero(runs.group == g)
        smallest = smallest_vertex(log10_x[index], runs.L[index], weight[row, index])
        found.at[row, g], found.curvature[row, g] = smallest
    return found, few


class Lines(NamedTuple):
    """Slopes and intercepts of least-squares lines, shape (B,) each."""

    slope: Array
    intercept: Array


def lines(x: Array, y: Array) -> Lines:
    """Fit a straight line to every row of y, shape (B, g), over x, shape (g,) or (B, g)."""
    mean_x, mean_y = x.mean(axis=-1, keepdims=True), y.mean(axis=-1, keepdims=True)
    dx, dy = x - mean_x, y - mean_y
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (dx * dy).sum(axis=-1) / (dx * dx).sum(axis=-1)
    return Lines(slope, mean_y[..., 0] - slope * mean_x[..., 0])


def fit_isoflop(runs: Any, *, window: int | str | None = AUTO) -> FrontierFit:
    """
    Approach 2: a parabola per budget, then straight lines through the vertices.

    Per budget a least-squares parabola of the loss in log10 N gives N*, another in
    log10 D gives D*; log10 N* and log10 D* are then fitted by straight lines in
    log10 C (Hoffmann et al. 2022, section 3.2). The estimate is biased even on
    noise-free data (arXiv:2603.22339); lawful computes it for comparison.

    Parameters
    ----------
    runs : Runs or DataFrame
        Training runs in budget groups. A budget without a parabola (fewer than 3 sizes, or one that opens
        downward) is left out, with a note.
    window : int, str or None
        Which sizes a parabola goes through: a number of points around each budget's lowest loss, a factor
        in size such as ``8x``, ``none`` for all, or ``auto``: all, but a factor of 6 on wide sweeps.

    Returns
    -------
    FrontierFit
        Exponents, the vertices per budget and the parabolas.

    Raises
    ------
    IdentificationError
        If fewer than two budgets have a parabola with a minimum; the message names one that has none.
    UnsupportedError
        If the window makes no sense.

    Examples
    --------
    Equal exponents and centred sweeps: Approach 2 is right.

    >>> import lawful
    >>> truth = lawful.Surface.named("symmetric")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e20], 9, surface=truth))
    >>> print(f"{lawful.fit_isoflop(runs).frontier.a:.6f}")
    0.500000

    Unequal exponents: the optimum is misplaced, without any noise.

    >>> truth = lawful.Surface.named("asymmetric")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e20], 9, surface=truth))
    >>> found = lawful.fit_isoflop(runs)
    >>> print(f"{found.frontier.tokens(1e24) / truth.optimum(1e24).tokens - 1:+.1%}")
    -14.9%
    """
    table = counted_once(as_runs(runs, asked="Approach 2"))
    if table.ordered is not table:
        return fit_isoflop(table.ordered, window=window).over(table)
    check_budgets(table, "approach2")
    kept, cut = windowed(table, window)
    good, faults = _with_parabola(table.take(kept))
    if good.sum() < 2:
        raise IdentificationError(faults[0][1])
    used = kept & good[table.group]
    basis = table if used.all() else table.take(used)
    ones, g = basis.weight[None], basis.budgets.size
    in_n, in_d = (vertices(np.log10(v), basis.L, ones, basis.group, g) for v in (basis.N, basis.D))
    frontier = _frontier(np.log10(basis.budgets), in_n.at, in_d.at)
    curves = tuple(_curve(basis, i, in_n.at[0, i], in_d.at[0, i]) for i in range(g))
    notes = [*table.notes, *cut]
    if faults:
        said = "; ".join(f"{format_short(budget)} FLOPs ({why})" for budget, _, why in faults[:5])
        more = f" and {len(faults) - 5} more" if len(faults) > 5 else ""
        text = f"Approach 2 leaves out {len(faults)} of {table.budgets.size} budgets: {said}{more}."
        notes.append(Note("budget_left_out", text))
    outside = [c.budget for c in curves if not c.bracketed]
    if outside:
        text = (
            f"At {len(outside)} of {g} budgets the parabola's minimum lies outside the sampled sizes: "
            f"{', '.join(format_short(b, 3) for b in outside[:5])} FLOPs."
        )
        notes.append(Note("not_bracketed", text))
    if g == 2:
        notes.append(Note("few_budgets", "The lines of Approach 2 go through 2 budgets only, so nothing tests them."))
    return FrontierFit(
        frontier=Frontier(*(float(v[0]) for v in frontier)),
        method="approach2",
        budgets=basis.budgets,
        params=10.0 ** in_n.at[0],
        tokens=10.0 ** in_d.at[0],
        runs=table,
        parabolas=curves,
        notes=tuple(notes),
        used=None if used.all() else np.flatnonzero(used),
    )


def _with_parabola(runs: Runs) -> tuple[BoolArray, list[tuple[float, str, str]]]:
    """
    Which budgets have a parabola with a minimum, shape (g,); the others with a sentence each, and a few words.

    Too few sizes come first, then budgets in their order.
    """
    g = runs.budgets.size
    in_n, in_d = (vertices(np.log10(v), runs.L, runs.weight[None], runs.group, g) for v in (runs.N, runs.D))
    sizes = runs.sizes_per_budget
    good, faults = np.ones(g, dtype=bool), list[tuple[float, str, str]]()
    short = np.flatnonzero(sizes < 3)
    for i in short:
        few = f"{sizes[i]} model size" + "s" * int(sizes[i] != 1)
        faults.append((float(runs.budgets[i]), _too_few(runs, short), few))
    for i in np.flatnonzero(sizes >= 3):
        bend = min(in_n.curvature[0, i], in_d.curvature[0, i])
        far = max(abs(in_n.at[0, i]), abs(in_d.at[0, i])) > FARTHEST
        if bend > 0 and not far:
            continue
        why = "is so flat that its minimum lies beyond any model" if bend > 0 else "is flat"
        why = "opens downward" if bend < 0 else why
        none = "" if bend > 0 else ", so Approach 2 has no optimum there"
        msg = (
            f"The IsoFLOP parabola at budget {format_short(runs.budgets[i])} {why}{none}; "
            f"add sizes on both sides of the minimum, or leave that budget out."
        )
        faults.append((float(runs.budgets[i]), msg, f"its parabola {why}"))
    good[np.isin(runs.budgets, [budget for budget, _, _ in faults])] = False
    return good, faults


def check_parabolas(runs: Runs) -> None:
    """
    Refuse runs of which a budget has no parabola.

    Raises
    ------
    IdentificationError
        One budget only, or a budget with fewer than 3 model sizes.
    """
    check_budgets(runs, "approach2")
    short = np.flatnonzero(runs.sizes_per_budget < 3)
    if short.size:
        raise IdentificationError(_too_few(runs, short))


def _too_few(runs: Runs, short: IntArray) -> str:
    sizes = runs.sizes_per_budget
    named = ", ".join(f"{format_short(runs.budgets[i])} ({sizes[i]})" for i in short[:5])
    more = f" and {short.size - 5} more" if short.size > 5 else ""
    return (
        f"Approach 2 needs at least 3 model sizes at every budget; too few at {named}{more}: "
        f"add sizes there, or leave those budgets out."
    )


def check_budgets(runs: Runs, method: str) -> None:
    """
    Refuse runs that all share one budget.

    Raises
    ------
    IdentificationError
        If there is one budget group only.
    """
    if runs.budgets.size < 2:
        msg = (
            f"{method} needs at least 2 budgets, but all {len(runs)} runs share the budget "
            f"{format_short(runs.budgets[0])} FLOPs; add a budget, or fit a surface with vpnls or approach3."
        )
        raise IdentificationError(msg)


def _frontier(log10_c: Array, log10_n: Array, log10_d: Array) -> tuple[Array, Array, Array, Array]:
    """Return a, b, log10_a0 and log10_b0 per row."""
    n, d = lines(log10_c, log10_n), lines(log10_c, log10_d)
    return n.slope, d.slope, n.intercept, d.intercept


def _curve(runs: Runs, i: int, at_n: float, at_d: float) -> Parabola:
    """Collect one budget's parabolas for figures and reports."""
    index = runs.group == i
    x, weight = np.log10(np.stack([runs.N[index], runs.D[index]])), runs.weight[index]
    found = fit_parabola(x, runs.L[index], weight)
    (in_n, in_d), (centre_n, centre_d) = found.coefficients, found.centre.tolist()
    bracketed = bool(x[0].min() <= at_n <= x[0].max())
    return Parabola(float(runs.budgets[i]), in_n, in_d, centre_n, centre_d, float(at_n), float(at_d), bracketed)


def isoflop_draws(runs: Runs, weight: Array) -> dict[str, Array]:
    """
    Approach 2 refitted with other weights, one row each.

    Parameters
    ----------
    runs : Runs
    weight : array, shape (B, n)

    Returns
    -------
    dict of array, shape (B,)
        ``a, b, log10_a0, log10_b0``; NaN where a parabola of the draw opens
        downward or a budget keeps fewer than 3 sizes.
    """
    g = runs.budgets.size
    n = vertices(np.log10(runs.N), runs.L, weight, runs.group, g)
    d = vertices(np.log10(runs.D), runs.L, weight, runs.group, g)
    return dict(zip(FRONTIER_NAMES, _frontier(np.log10(runs.budgets), n.minimum, d.minimum), strict=True))


def _envelope(runs: Runs, weight: Array) -> tuple[IntArray, BoolArray]:
    """Best run of each budget per row of weights, and whether it is on the lower envelope."""
    g = runs.budgets.size
    best = np.zeros((len(weight), g), dtype=np.intp)
    loss = np.full((len(weight), g), np.inf)
    for i in range(g):
        index = np.flatnonzero(runs.group == i)
        masked = np.where(weight[:, index] > 0, runs.L[index], np.inf)
        chosen = masked.argmin(axis=1)
        best[:, i] = index[chosen]
        loss[:, i] = masked[np.arange(len(weight)), chosen]
    before = np.minimum.accumulate(np.concatenate([np.full((len(weight), 1), np.inf), loss[:, :-1]], axis=1), axis=1)
    return best, loss < before


def fit_envelope(runs: Any) -> FrontierFit:
    """
    Approach 1: the best run of every budget, then straight lines through them.

    Of the runs (or checkpoints) at each budget the one with the lowest loss is
    taken; budgets whose best is no better than that of a smaller budget are not on
    the lower envelope and are left out, with a note. log10 N and log10 D of the
    rest are fitted by straight lines in log10 C (Hoffmann et al. 2022, section 3.1).

    Parameters
    ----------
    runs : Runs or DataFrame
        Training runs or checkpoints.

    Returns
    -------
    FrontierFit

    Raises
    ------
    IdentificationError
        If fewer than 2 budgets are left on the envelope.

    Examples
    --------
    >>> import lawful
    >>> truth = lawful.Surface.named("symmetric")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e20], 9, surface=truth))
    >>> print(f"{lawful.fit_envelope(runs).frontier.a:.3f}")
    0.500
    """
    table = counted_once(as_runs(runs, asked="Approach 1"))
    if table.ordered is not table:
        return fit_envelope(table.ordered).over(table)
    check_budgets(table, "approach1")
    best, on = _envelope(table, table.weight[None])
    kept = on[0]
    notes = list(table.notes)
    if not kept.all():
        text = (
            f"{int((~kept).sum())} of {kept.size} budgets were left out: their best run is no better than one "
            f"at a smaller budget ({', '.join(format_short(b, 3) for b in table.budgets[~kept][:5])} FLOPs)."
        )
        notes.append(Note("envelope_dropped", text))
    if kept.sum() < 2:
        msg = "approach1 needs at least 2 budgets on the lower envelope, but no larger budget has a lower loss."
        raise IdentificationError(msg)
    if kept.sum() == 2:
        notes.append(Note("few_budgets", "The lines of Approach 1 go through 2 budgets only, so nothing tests them."))
    budgets, index = table.budgets[kept], best[0][kept]
    params, tokens = table.N[index], table.D[index]
    frontier = _frontier(np.log10(budgets), np.log10(params)[None], np.log10(tokens)[None])
    return FrontierFit(
        frontier=Frontier(*(float(v[0]) for v in frontier)),
        method="approach1",
        budgets=budgets,
        params=params,
        tokens=tokens,
        runs=table,
        notes=tuple(notes),
    )


def envelope_draws(runs: Runs, weight: Array) -> dict[str, Array]:
    """Approach 1 refitted with other weights, one row each; see :func:`isoflop_draws`."""
    best, on = _envelope(runs, weight)
    log_c = np.log10(runs.budgets)
    rows = np.full((4, len(weight)), np.nan)
    for i, (index, kept) in enumerate(zip(best, on, strict=True)):
        if kept.sum() >= 2:
            picked = index[kept]
            n, d = np.log10(runs.N[picked]), np.log10(runs.D[picked])
            rows[:, i] = [v[0] for v in _frontier(log_c[kept], n[None], d[None])]
    return dict(zip(FRONTIER_NAMES, rows, strict=True))
