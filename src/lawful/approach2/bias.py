"""bias(): what Approach 2 must get wrong on a sweep, split into its causes; and Approach 2 without it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lawful.approach2.shift import check_exponents, curve
from lawful.core.notes import Note
from lawful.core.numbers import format_flops, format_short
from lawful.core.sheet import Cell, Sheet, row
from lawful.core.shown import Record, Shown
from lawful.core.typing import Array
from lawful.data.runs import Runs
from lawful.data.table import as_runs
from lawful.design.plan import Plan
from lawful.errors import IdentificationError, UnsupportedError
from lawful.estimate.fit import fit
from lawful.estimate.isoflop import check_parabolas, lines
from lawful.estimate.result import AnyFit, Frontier, FrontierFit, surface_of
from lawful.laws.law import FRONTIER_NAMES
from lawful.laws.surface import Surface
from lawful.solve.parabola import Abscissae

PARTS = ("width", "offset", "drift", "scatter")

NEGLIGIBLE = 1e-14
"""Decades; what is left below it is rounding."""


@dataclass(frozen=True, eq=False)
class Shift(Record):
    """
    A shift in decades with its causes, which add up to it.

    Attributes
    ----------
    width : array, shape (g,)
        Of the same sizes centred on N*: parabolas follow no sum of two exponentials.
    offset : array, shape (g,)
        Added by the mean distance of the centres from N*, the same at all budgets.
    drift : array, shape (g,)
        Added by how that distance differs from budget to budget.
    scatter : array, shape (g,)
        Added by runs whose N·D is not exactly their budget's.
    """

    width: Array
    offset: Array
    drift: Array
    scatter: Array

    @property
    def total(self) -> Array:
        """Their sum, shape (g,)."""
        return self.width + self.offset + self.drift + self.scatter

    def line(self, log10_c: Array) -> ErrorLines:
        """Straight lines through every part over log10 C, as Approach 2 would draw them."""
        found = lines(log10_c, np.stack([getattr(self, name) for name in PARTS]))
        pick = dict(zip(PARTS, zip(found.slope.tolist(), found.intercept.tolist(), strict=True), strict=True))
        return ErrorLines(pick)


@dataclass(frozen=True, slots=True)
class ErrorLines(Record):
    """Slope and intercept of every part of a shift over log10 C."""

    parts: Mapping[str, tuple[float, float]]

    def slope(self, part: str | None = None) -> float:
        """Error of the exponent; of one part, or of all."""
        return sum(self.parts[name][0] for name in ([part] if part else PARTS))

    def intercept(self, part: str | None = None) -> float:
        """Error of the intercept in decades; of one part, or of all."""
        return sum(self.parts[name][1] for name in ([part] if part else PARTS))

    def at(self, budget: float, part: str | None = None) -> float:
        """Error in decades at a budget; of one part, or of all."""
        return self.intercept(part) + self.slope(part) * float(np.log10(budget))


UNSEEN = 1e-6
"""Decades that two decimals of a percent do not show."""


def relative(decades: float) -> Cell:
    """Return a shift in decades as a relative error."""
    return Cell(10.0 ** float(decades) - 1, "change")


@dataclass(frozen=True, eq=False)
class Bias(Shown):
    """
    What Approach 2 must get wrong on a sweep if the losses lie on a surface.

    Attributes
    ----------
    surface : Surface
        Taken for the truth.
    budgets : array, shape (g,)
        FLOPs.
    centre : array, shape (g,)
        Centre of each budget's sizes in decades from N*, log10(N_centre/N*).
    params, tokens : Shift
        Shift of log10 N* and of log10 D* at every budget.

    Examples
    --------
    >>> truth = lawful.Surface.named("asymmetric")
    >>> plan = lawful.Plan.isoflop([1e17, 1e18, 1e19, 1e20, 1e21], surface=truth, drift=3)
    >>> found = lawful.bias(truth, plan)
    >>> print(f"{found.error('tokens', 1e24):+.1%}, of which width {found.error('tokens', 1e24, 'width'):+.1%}")
    +23.0%, of which width -13.9%
    """

    surface: Surface
    budgets: Array
    centre: Array
    params: Shift
    tokens: Shift

    def __repr__(self) -> str:
        n, d = (relative(getattr(self, name).total[-1]) for name in ("params", "tokens"))
        return f"Bias({self.budgets.size} budgets; at {format_flops(float(self.budgets[-1]))} N* {n}, D* {d})"

    @property
    def causes(self) -> tuple[str, ...]:
        """Parts of the shift that this sweep has: scatter only where sizes are uneven."""
        return tuple(p for p in PARTS if p != "scatter" or np.abs(self.params.scatter).max() > UNSEEN)

    def sheets(self) -> tuple[Sheet, Sheet]:
        """Return the errors of N* and of D* at the budgets of the sweep, by cause."""
        best, k = self.surface.optimum(self.budgets), self.surface
        said = f"alpha = {format_short(k['alpha'], 4)} and beta = {format_short(k['beta'], 4)}"
        title = f"What Approach 2 must get wrong on these sizes, without any noise, if {said}"
        sheets = []
        for name, symbol in (("params", "N*"), ("tokens", "D*")):
            parts: Shift = getattr(self, name)
            rows = tuple(
                row(
                    Cell(float(budget), "flops"),
                    Cell(float(getattr(best, name)[i]), "count"),
                    *([Cell(10.0 ** float(self.centre[i]), "ratio")] if name == "params" else []),
                    *(relative(getattr(parts, cause)[i]) for cause in self.causes),
                    relative(parts.total[i]),
                )
                for i, budget in enumerate(self.budgets)
            )
            heads = ("FLOPs", symbol, *(["centre"] if name == "params" else []), *self.causes, "in all")
            sheets.append(Sheet(f"{title}: {symbol}.", (), heads, rows))
        n, d = self.lines("params").slope(), self.lines("tokens").slope()
        last = f"Errors of the exponents: a {format_short(n, 3)}, b {format_short(d, 3)}."
        centre = "centre: of the sizes, over N*."
        return replace(sheets[0], closing=(centre,)), replace(sheets[1], closing=(last,))

    def lines(self, quantity: str) -> ErrorLines:
        """ErrorLines of ``params`` or ``tokens`` over log10 C."""
        parts: Shift = getattr(self, quantity)
        return parts.line(np.log10(self.budgets))

    def error(self, quantity: str, budget: float, part: str | None = None) -> float:
        """Relative error of N* (``params``) or D* (``tokens``) at a budget; of one part, or of all."""
        return float(10.0 ** self.lines(quantity).at(budget, part) - 1)

    @property
    def frontier(self) -> Frontier:
        """The lines that Approach 2 must draw."""
        true, n, d = Frontier.of_surface(self.surface), self.lines("params"), self.lines("tokens")
        return Frontier(
            true.a + n.slope(), true.b + d.slope(), true.log10_a0 + n.intercept(), true.log10_b0 + d.intercept()
        )


def bias(source: Any, runs: Any = None) -> Bias:
    """
    Forecast the error of Approach 2 on a sweep, and say where it comes from.

    Parabolas and lines are put through the losses that the surface gives the sampled
    sizes, without noise; what they miss is the method's own doing.

    Parameters
    ----------
    source : Fit, Surface, or runs in any form that :func:`lawful.fit` takes
        Taken for the truth; runs are fitted first.
    runs : Plan, or runs in any form, optional
        The sampled sizes; those of the fit by default. A plan need not be trained.

    Returns
    -------
    Bias
        Per budget, per exponent and intercept, and at any target budget.

    Raises
    ------
    IdentificationError
        If Approach 2 cannot run on these sizes, or the surface has no optimum.
    UnsupportedError
        If a surface comes without runs.

    See Also
    --------
    parabola_shift : The closed form of one budget.
    correct_isoflop : Approach 2 with this bias removed.

    References
    ----------
    .. [1] Czech et al. (2026), "Problems with Chinchilla Approach 2", arXiv:2603.22339.

    Examples
    --------
    A centred sweep spoils the intercept only, and by the same factor at any budget:

    >>> truth = lawful.Surface.named("chinchilla")
    >>> plan = lawful.Plan.isoflop([1e18, 1e19, 1e20], 15, surface=truth, width=16)
    >>> found = lawful.bias(truth, plan)
    >>> print(f"{found.error('params', 1e24):+.2%} {found.error('tokens', 1e24):+.2%}")
    +5.37% -5.10%
    >>> abs(found.lines("params").slope()) < 1e-12
    True
    """
    if not isinstance(source, AnyFit | Surface):
        source = fit(source)
    surface = surface_of(source, " to hold Approach 2 against").as_two_powers("The bias of Approach 2")
    if runs is None:
        if source.runs is None:
            msg = "A surface alone has no sampled sizes; give the runs or the plan of the sweep as well."
            raise UnsupportedError(msg)
        runs = source.runs
    if isinstance(runs, Plan):
        runs = Runs.from_arrays(runs.N, runs.D, np.ones_like(runs.N), C=runs.C)
    sweep = as_runs(runs).ordered
    check_parabolas(sweep)
    best = surface.optimum(sweep.budgets)
    if not (np.isfinite(best.params).all() and np.isfinite(best.tokens).all() and np.all(best.params > 0)):
        msg = "The surface has no compute-optimal size (A or B is zero), so there is nothing to be biased from."
        raise IdentificationError(msg)
    alpha, beta = surface["alpha"], surface["beta"]
    losses = np.asarray(surface.loss(sweep.N, sweep.D))
    centre, params = _parts(sweep, np.log10(sweep.N), np.log10(best.params), (alpha, beta), losses)
    _, tokens = _parts(sweep, np.log10(sweep.D), np.log10(best.tokens), (beta, alpha), losses)
    return Bias(surface, sweep.budgets, centre, params, tokens)


def _parts(sweep: Runs, x: Array, best: Array, exponents: tuple[float, float], losses: Array) -> tuple[Array, Shift]:
    """Centres and shifts along one axis: per budget the vertex of centred, offset, drifting and actual curves."""
    groups = [(x[sweep.group == g], sweep.weight[sweep.group == g], g) for g in range(sweep.budgets.size)]
    lines_of = [Abscissae.of(xs, w) for xs, w, _ in groups]
    centre = np.array([float(p.centre[0]) for p in lines_of]) - best
    mean = float(centre.mean())
    columns = []
    for p, (xs, _, g) in zip(lines_of, groups, strict=True):
        from_centre = xs - float(p.centre[0])

        def shift(at: float, p: Any = p, from_centre: Array = from_centre) -> float:
            """Vertex from the optimum of a curve sampled around ``at`` decades from it."""
            return float(p.through(curve(*exponents, from_centre + at)).minimum - p.centre[0] + at)

        width, offset, drift = shift(0.0), shift(mean), shift(float(centre[g]))
        actual = float(p.through(losses[sweep.group == g]).minimum) - float(best[g])
        columns.append([width, offset - width, drift - offset, actual - drift])
    rows = np.array(columns).T
    return centre, Shift(*np.where(np.abs(rows) < NEGLIGIBLE, 0.0, rows))


def correct_isoflop(found: FrontierFit, alpha: float, beta: float) -> FrontierFit:
    """
    Take the bias out of Approach 2: the optima whose parabolas would have the vertices found.

    Only the two exponents are borrowed from a surface; where the optimum lies is
    still what the parabolas say.

    Parameters
    ----------
    found : FrontierFit
        Approach 2, from :func:`lawful.fit_isoflop`.
    alpha, beta : float
        Exponents of N and D, > 0, usually those of :func:`lawful.fit` on the same runs.

    Returns
    -------
    FrontierFit
        With method ``approach2-corrected``.

    Raises
    ------
    UnsupportedError
        If the fit is not Approach 2's, or an exponent is not positive.
    IdentificationError
        If no optimum would put a parabola's vertex where it was found.

    See Also
    --------
    bias : The size of the correction, and where it comes from.

    Notes
    -----
    A fixed point: m, the optimum of one budget, moves by what the vertex predicted
    from m misses of the vertex found, until it moves no more.

    Examples
    --------
    >>> truth = lawful.Surface.named("asymmetric")
    >>> plan = lawful.Plan.isoflop([1e17, 1e18, 1e19, 1e20, 1e21], surface=truth, drift=3)
    >>> found = lawful.fit_isoflop(lawful.simulate(truth, plan))
    >>> right = correct_isoflop(found, truth["alpha"], truth["beta"])
    >>> for line in (found.frontier, right.frontier):
    ...     print(f"{line.tokens(1e24) / truth.optimum(1e24).tokens - 1:+.4%}")
    +22.9687%
    +0.0000%
    """
    if found.method != "approach2":
        msg = f"Only Approach 2 has this bias to remove, got {found.method}."
        raise UnsupportedError(msg)
    check_exponents(alpha, beta)
    runs, exponents = found.basis.ordered, (np.array([alpha]), np.array([beta]))
    at_n = correct_vertices(runs, np.log10(runs.N), np.log10(found.params)[None], *exponents)
    at_d = correct_vertices(runs, np.log10(runs.D), np.log10(found.tokens)[None], *exponents[::-1])
    lost = np.flatnonzero(~np.isfinite(at_n + at_d)[0])
    if lost.size:
        named = ", ".join(format_short(b, 3) for b in found.budgets[lost][:5])
        msg = (
            f"With alpha {format_short(alpha, 3)} and beta {format_short(beta, 3)} no optimum explains the "
            f"parabola at the budget {named}; add sizes on both sides of its minimum, or leave that budget out."
        )
        raise IdentificationError(msg)
    values = frontier_through(found.budgets, at_n, at_d)
    moves = np.concatenate([at_n[0] - np.log10(found.params), at_d[0] - np.log10(found.tokens)])
    moved = float(10.0 ** np.abs(moves).max())
    text = (
        f"Vertices were moved by up to {moved - 1:.1%}, with alpha {format_short(alpha, 4)} and beta "
        f"{format_short(beta, 4)} from a surface."
    )
    return replace(
        found,
        frontier=Frontier(**{name: float(value[0]) for name, value in values.items()}),
        method="approach2-corrected",
        params=10.0 ** at_n[0],
        tokens=10.0 ** at_d[0],
        notes=(*found.notes, Note("bias_removed", text)),
    )


def frontier_through(budgets: Array, log10_n: Array, log10_d: Array) -> dict[str, Array]:
    """ErrorLines through rows of optima, shape (B, g): ``a, b, log10_a0, log10_b0``, shape (B,) each."""
    n, d = lines(np.log10(budgets), log10_n), lines(np.log10(budgets), log10_d)
    return dict(zip(FRONTIER_NAMES, (n.slope, d.slope, n.intercept, d.intercept), strict=True))


ROUNDS = 500
STEP = 1e-13
"""Decades: a fixed point is reached where an optimum moves by less."""


def correct_vertices(runs: Runs, x: Array, vertices: Array, alpha: Array, beta: Array) -> Array:
    """
    Optima whose parabolas have given vertices, for rows of vertices and exponents.

    Parameters
    ----------
    runs : Runs
        Gives groups and weights.
    x : array, shape (n,)
        log10 of the sizes along one axis.
    vertices : array, shape (B, g)
        log10; NaN stays NaN.
    alpha, beta : array, shape (B,)
        Exponents of that axis and of the other one.

    Returns
    -------
    array, shape (B, g)
        NaN where the fixed point is not reached.
    """
    out = np.full(vertices.shape, np.nan)
    for g in range(runs.budgets.size):
        index = runs.group == g
        sizes = Abscissae.of(x[index], runs.weight[index])
        rows = np.flatnonzero(np.isfinite(vertices[:, g]) & (alpha > 0) & (beta > 0))
        at = vertices[rows, g]
        for _ in range(ROUNDS):
            if rows.size == 0:
                break
            offsets = x[index] - at[:, None]
            parabolas = sizes.through(curve(alpha[rows, None], beta[rows, None], offsets))
            step = vertices[rows, g] - parabolas.minimum
            at = at + step
            done = np.abs(step) < STEP * (1 + np.abs(at))
            out[rows[done], g] = at[done]
            going = ~done & np.isfinite(at)
            rows, at = rows[going], at[going]
    return out
