"""speedup(): how much less recipe B needs than recipe A for the same loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lawful.core.cost import Cost
from lawful.core.notes import Note
from lawful.core.numbers import format_flops, format_level, format_short
from lawful.core.sheet import Cell, Sheet, row
from lawful.core.shown import Shown
from lawful.core.typing import Array, Interval
from lawful.core.validation import check_budget
from lawful.decide.curves import check_related
from lawful.errors import UnsupportedError
from lawful.estimate.result import Fit, one_law_of
from lawful.laws.law import Coefficients, Law
from lawful.laws.surface import Surface, budget_of, optimum_of
from lawful.uncertainty.bootstrap import Draws, redrawn
from lawful.uncertainty.quantiles import quantiles

KINDS = ("flops", "tokens", "tokens_same_size", "hours")
"""What A needs over what B needs: compute, tokens at each one's optimum, tokens at B's model size, chip hours."""


@dataclass(frozen=True, slots=True)
class Speedup(Shown):
    """
    What A needs to reach the loss that B reaches with a budget, over what B needs.

    Attributes
    ----------
    budget : float
        FLOPs that B spends, at its optimum.
    loss : float
        Nats per token that B reaches.
    needed : float
        FLOPs that A needs for it; infinite where A never reaches it.
    flops, tokens, tokens_same_size, hours : float
        Ratios, A over B; above 1 where B is better. ``tokens`` compares the compute-optimal
        D of both, ``tokens_same_size`` gives A the model size of B.
    intervals : dict of str to (float, float)
        Of the ratios over paired draws; empty without draws. A draw in which A never
        reaches the loss counts as infinite.
    unreached : float
        Share of the draws in which A never reaches the loss.
    notes : tuple of Note

    Examples
    --------
    >>> a = lawful.Surface.named("chinchilla")
    >>> found, = lawful.speedup(a, a, [1e22])
    >>> print(f"{found.flops:.3f} {found.needed:.0e}")
    1.000 1e+22
    """

    budget: float
    loss: float
    needed: float
    flops: float
    tokens: float
    tokens_same_size: float
    hours: float
    intervals: dict[str, Interval]
    unreached: float = 0.0
    notes: tuple[Note, ...] = ()

    def sheets(self) -> tuple[Sheet]:
        """Return the ratios."""
        return (speedup_sheet([self]),)


WORDS = ("FLOPs", "tokens", "tokens at B's model size", "chip hours")


def speedup_sheet(found: Sequence[Speedup], *, level: float | None = None) -> Sheet:
    """
    Return speed-ups in a table, a row per budget and kind.

    Parameters
    ----------
    found : sequence of Speedup
    level : float, optional
        Coverage of their intervals.
    """
    rows = tuple(
        row(
            f"{word}, B at {format_flops(one.budget)}",
            Cell(getattr(one, kind), "ratio", *one.intervals.get(kind, ())),
            Cell(one.loss, "nats"),
        )
        for one in found
        for kind, word in zip(KINDS, WORDS, strict=True)
    )
    said = "What A needs for B's loss over what B needs; above 1 where B is better."
    if any(one.intervals for one in found):
        said += " Intervals over paired draws."
    notes = tuple(note for one in found for note in one.notes)
    interval = "interval" if level is None else f"{format_level(level)} interval"
    return Sheet("What recipe B is worth.", (), ("A over B", "ratio", "loss of B"), rows, interval, (said,), notes)


def speedup(
    a: Fit | Surface | Draws,
    b: Fit | Surface | Draws,
    budgets: Sequence[float],
    *,
    draws: int = 0,
    seed: int = 0,
    level: float = 0.9,
    cost_a: Cost | None = None,
    cost_b: Cost | None = None,
) -> tuple[Speedup, ...]:
    """
    Say what recipe B is worth: the compute that A needs for B's loss, over B's.

    Parameters
    ----------
    a, b : Fit, Surface or Draws
        Fits of the two recipes on the same evaluation; draws bring their own resamples.
    budgets : sequence of float
        FLOPs that B spends.
    draws : int
        Bootstrap draws of each fit, with the same seed, so that draw i of both has
        resampled the same rows of a shared design.
    seed : int
    level : float
        Coverage the intervals aim at.
    cost_a, cost_b : Cost, optional
        Hardware and MFU of each recipe, for chip hours; equal by default, and then
        ``hours`` is ``flops``.

    Returns
    -------
    tuple of Speedup
        One per budget.

    Raises
    ------
    UnsupportedError
        If a budget is not positive, or the law of a side is not of Chinchilla's form.

    Examples
    --------
    A recipe whose data are worth a quarter more:

    >>> a = lawful.Surface.named("chinchilla")
    >>> better = lawful.Surface({**a.coefficients, "B": a["B"] / 1.25 ** a["beta"]})
    >>> found, = lawful.speedup(a, better, [1e22])
    >>> print(f"{found.tokens_same_size:.3f} tokens at the same size, {found.flops:.3f} FLOPs")
    1.250 tokens at the same size, 1.250 FLOPs
    """
    _check_related(one_law_of(a), one_law_of(b))
    sides = [_side(source, draws, seed) for source in (a, b)]
    prices = [cost_a or Cost(), cost_b or Cost()]
    return tuple(_at(check_budget(budget), sides, prices, level) for budget in budgets)


def _check_related(a: Fit | Surface, b: Fit | Surface) -> None:
    """Refuse fits to runs that have nothing to do with each other; surfaces alone have no runs to tell it by."""
    tables = [side.runs for side in (a, b) if side.runs is not None and side.runs.has("C")]
    if len(tables) == 2:
        check_related("A", tables[0], "B", tables[1])


@dataclass(frozen=True)
class Side:
    """One recipe: its surface and the coefficients of its draws."""

    surface: Surface
    draws: Coefficients | None
    count: int


def _side(source: Fit | Surface | Draws, draws: int, seed: int) -> Side:
    surface = one_law_of(source).surface
    if surface is None:
        msg = "A speed-up compares two surfaces; fit both recipes with vpnls or approach3."
        raise UnsupportedError(msg)
    plain = surface.as_two_powers("A speed-up")
    drawn = redrawn(source, draws, seed)
    if drawn is None:
        return Side(plain, None, 0)
    return Side(plain, surface.law.as_two_powers(drawn.coefficients), len(drawn))


def _at(budget: float, sides: list[Side], prices: list[Cost], level: float) -> Speedup:
    costs = [side.surface.cost for side in sides]
    law = sides[0].surface.law
    point = _ratios(law, [side.surface.coefficients for side in sides], budget, costs, prices)
    intervals: dict[str, Interval] = {}
    unreached = 0.0
    notes: tuple[Note, ...] = ()
    counts = [side.count for side in sides if side.draws is not None]
    if counts:
        n = min(counts)
        k = [s.surface.coefficients if s.draws is None else {m: v[:n] for m, v in s.draws.items()} for s in sides]
        drawn = _ratios(law, k, budget, costs, prices)
        unreached = float(np.isinf(np.broadcast_to(drawn["needed"], (n,))).mean())
        intervals = {kind: _interval(np.broadcast_to(drawn[kind], (n,)), level) for kind in KINDS}
    if not np.isfinite(float(point["needed"])):
        text = f"A never reaches B's loss at {format_short(budget, 3)} FLOPs: it lies at or below A's irreducible loss."
        notes = (Note("unreached", text),)
    values = {kind: float(point[kind]) for kind in KINDS}
    return Speedup(
        budget,
        float(point["loss"]),
        float(point["needed"]),
        **values,
        intervals=intervals,
        unreached=unreached,
        notes=notes,
    )


def _ratios(law: Law, k: list[Coefficients], budget: float, costs: list[Cost], prices: list[Cost]) -> dict[str, Array]:
    """Ratios A over B, with infinity where A never reaches the loss; coefficients broadcast."""
    best = optimum_of(law, k[1], budget, costs[1])
    loss = best.loss
    above = loss > k[0]["E"]
    with np.errstate(all="ignore"):
        needed = np.where(above, budget_of(law, k[0], loss, costs[0]), np.inf)
        own = optimum_of(law, k[0], np.where(above, needed, 1.0), costs[0])
        # What is left for tokens to remove once A has B's model size.
        left = loss - k[0]["E"] - k[0]["A"] * best.params ** -np.asarray(k[0]["alpha"])
        same = np.where(left > 0, (k[0]["B"] / np.where(left > 0, left, 1.0)) ** (1 / np.asarray(k[0]["beta"])), np.inf)
        tokens = np.where(above, own.tokens, np.inf)
    hours = prices[0].gpu_hours(needed) / prices[1].gpu_hours(budget)
    return {
        "loss": np.asarray(loss),
        "needed": needed,
        "flops": needed / budget,
        "tokens": tokens / best.tokens,
        "tokens_same_size": same / best.tokens,
        "hours": np.asarray(hours),
    }


def _interval(values: Array, level: float) -> Interval:
    """Quantiles over the draws with an answer, infinite ones among them."""
    known = values[~np.isnan(values)]
    if np.isfinite(known).all() or known.size < 2:
        return quantiles(known, level)
    tail = (1 - level) / 2
    low, high = np.quantile(known, [tail, 1 - tail], method="inverted_cdf")
    return float(low), float(high)
