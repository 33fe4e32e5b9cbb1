"""Deadweight Compute Loss of any choice, with intervals that carry the uncertainty of both sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lawful.core.cost import Cost
from lawful.core.notes import Note
from lawful.core.numbers import format_flops, format_level
from lawful.core.sheet import Cell, Sheet, row
from lawful.core.shown import Shown
from lawful.core.typing import Array, Interval
from lawful.core.validation import check_budget, is_positive
from lawful.decide.allocate import Allocation
from lawful.errors import UnsupportedError
from lawful.estimate.result import Fit, FrontierFit
from lawful.laws.surface import Surface, deadweight_of
from lawful.uncertainty.bootstrap import Draws, bootstrap
from lawful.uncertainty.quantiles import quantiles

Choice = Fit | FrontierFit | Surface | Allocation | float


@dataclass(frozen=True, eq=False)
class Waste(Shown):
    """
    What training on one choice of tokens loses, priced on a surface.

    Attributes
    ----------
    budget : float
        FLOPs.
    tokens, params : float
        The choice: its D*, and N forced to C/(6D).
    best_tokens, best_params : float
        The optimum of the surface that prices it.
    flops : float
        Deadweight Compute Loss.
    level : float
        Coverage the intervals aim at.
    draws : array, shape (draws,), or None
        Loss in FLOPs of every draw, NaN where a side has no answer.
    notes : tuple of Note

    Examples
    --------
    >>> truth = lawful.Surface.named("hoffmann-rounded")
    >>> lost = lawful.deadweight(truth, 3.35e13, 3.8e25)
    >>> print(f"{lost.fraction:.4%}, ${lost.dollars():.0f} dense, ${lost.dollars(Cost().at_rate('sparse')):.0f} sparse")
    0.4578%, $195340 dense, $97670 sparse
    """

    budget: float
    tokens: float
    params: float
    best_tokens: float
    best_params: float
    flops: float
    level: float
    draws: Array | None = None
    notes: tuple[Note, ...] = ()

    def sheets(self, cost: Cost | None = None) -> tuple[Sheet]:
        """Return both choices and what lies between them, in dollars on an H100 or as ``cost`` has it."""
        low, high = self.interval or (None, None)
        share, other = (None if end is None else end / self.budget for end in (low, high))
        rows = [
            row("parameters N", Cell(self.params, "count"), Cell(self.best_params, "count")),
            row("tokens D", Cell(self.tokens, "count"), Cell(self.best_tokens, "count")),
            row("deadweight, FLOPs", Cell(self.flops, "flops", low, high), None),
            row("share of the budget", Cell(self.fraction, "share", share, other), None),
        ]
        rates = both_rates(cost or Cost())
        for rate, c in rates.items():
            least, most = (None if end is None else float(c.dollars(end)) for end in (low, high))
            rows.append(row(f"dollars at the {rate} rate", Cell(self.dollars(c), "dollars", least, most), None))
        said = [f"Dollars: {c.terms}." for c in rates.values()]
        if self.draws is not None:
            said.append(f"Intervals over {self.draws.size} paired draws.")
        title, interval = f"Deadweight at {format_flops(self.budget)}.", f"{format_level(self.level)} interval"
        return (Sheet(title, (), ("", "choice", "optimum"), tuple(rows), interval, tuple(said), self.notes),)

    @property
    def fraction(self) -> float:
        """Share of the budget lost."""
        return self.flops / self.budget

    def dollars(self, cost: Cost | None = None) -> float:
        """Dollars lost; on dense H100 hours at half their peak and two dollars unless said otherwise."""
        return float((cost or Cost()).dollars(self.flops))

    @property
    def interval(self) -> Interval | None:
        """Interval of the loss in FLOPs over the draws that have one; None without draws."""
        return None if self.draws is None else quantiles(self.draws, self.level)

    @property
    def failed(self) -> int:
        """Draws in which a side has no answer, such as a parabola that opens downward."""
        return 0 if self.draws is None else int((~np.isfinite(self.draws)).sum())


def both_rates(cost: Cost) -> dict[str, Cost]:
    """Return the cost at the chip's dense rate, and at its sparse one where it has one."""
    rates = {"dense": cost.at_rate("dense")}
    return rates | ({"sparse": cost.at_rate("sparse")} if cost.hardware.sparse is not None else {})


def deadweight(
    truth: Fit | Surface | Draws,
    choice: Choice | Draws,
    budget: float,
    *,
    draws: int = 0,
    seed: int = 0,
    level: float = 0.9,
) -> Waste:
    """
    Price a choice of tokens on a surface: the compute that the optimum would have saved.

    Parameters
    ----------
    truth : Fit, Surface or Draws
        Surface that prices. A fit can be drawn again; draws bring their own.
    choice : Fit, FrontierFit, Surface, Allocation, Draws or float
        What was trained on: D* of another fit at this budget, or a number of tokens.
    budget : float
        FLOPs, > 0.
    draws : int
        Bootstrap draws of either side that is a fit. Both sides are drawn with the
        same seed, so that fits of the same runs see the same resample in draw i.
    seed : int
    level : float
        Coverage the interval aims at.

    Returns
    -------
    Waste

    Raises
    ------
    UnsupportedError
        If the budget or the tokens are not positive, or the truth has no surface.

    References
    ----------
    .. [1] Czech et al. (2026), "Problems with Chinchilla Approach 2", arXiv:2603.22339.

    Examples
    --------
    Approach 2 on a sweep that drifts, priced on the surface of the same runs:

    >>> surface = lawful.Surface.named("asymmetric")
    >>> plan = lawful.Plan.isoflop([1e17, 1e18, 1e19, 1e20, 1e21], surface=surface, drift=3)
    >>> runs = lawful.simulate(surface, plan, noise=0.005, seed=1)
    >>> lost = lawful.deadweight(lawful.fit(runs), lawful.fit_isoflop(runs), 1e24, draws=200)
    >>> low, high = lost.interval
    >>> bool(low < lost.flops < high), lost.failed
    (True, 0)
    """
    c = check_budget(budget)
    held, priced = _draws_of(truth, draws, seed), _draws_of(choice, draws, seed)
    surface = _surface_of(truth)
    tokens = _tokens_of(choice, c)
    best = surface.optimum(c)
    flops = float(surface.deadweight(c, tokens))
    params = float(surface.cost.params(budget=c, tokens=tokens))
    values = None
    notes: tuple[Note, ...] = ()
    if held is not None or priced is not None:
        values = _loss_draws(surface, held, tokens, priced, c)
        missing = int((~np.isfinite(values)).sum())
        if missing:
            text = (
                f"{missing} of {values.size} draws ({missing / values.size:.0%}) have no answer on one side; "
                f"the interval is over the others and is too narrow for it."
            )
            notes = (Note("failed_draws", text),)
    found = (float(best.tokens), float(best.params))
    return Waste(c, tokens, params, *found, flops, level, values, notes)


def _surface_of(truth: Fit | Surface | Draws) -> Surface:
    source = truth.fit if isinstance(truth, Draws) else truth
    if isinstance(source, FrontierFit):
        msg = f"{source.method} has no surface to price a choice on; fit with vpnls or approach3."
        raise UnsupportedError(msg)
    return source if isinstance(source, Surface) else source.surface


def _draws_of(source: Choice | Draws, draws: int, seed: int) -> Draws | None:
    if isinstance(source, Draws):
        return source
    return bootstrap(source, draws, seed=seed) if draws and isinstance(source, Fit | FrontierFit) else None


def _tokens_of(choice: Choice | Draws, budget: float) -> float:
    source = choice.fit if isinstance(choice, Draws) else choice
    if isinstance(source, Allocation):
        tokens = source.tokens
    elif isinstance(source, Surface):
        tokens = float(source.optimum(budget).tokens)
    elif isinstance(source, Fit | FrontierFit):
        tokens = float(source.frontier.tokens(budget))
    else:
        tokens = float(source)
    if not is_positive(tokens):
        msg = f"A choice is a positive number of tokens, got {tokens!r}."
        raise UnsupportedError(msg)
    return tokens


def _loss_draws(surface: Surface, held: Draws | None, tokens: float, priced: Draws | None, budget: float) -> Array:
    """Deadweight per draw, draw i of one side against draw i of the other."""
    count = min(len(d) for d in (held, priced) if d is not None)
    k = surface.coefficients if held is None else {n: v[:count] for n, v in held.coefficients.items()}
    chosen = tokens if priced is None else priced.tokens(budget)[:count]
    return np.broadcast_to(deadweight_of(surface.law, k, budget, chosen, surface.cost), (count,)).astype(float)
