"""deadweight_interval(): how sure is the price of Approach 2, with and without its failed draws."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lawful.core.numbers import format_flops, format_level
from lawful.core.sheet import Cell, Sheet, row
from lawful.core.shown import Shown
from lawful.core.typing import Array, BoolArray, Interval
from lawful.core.validation import check_budget, check_draws
from lawful.data.runs import Runs
from lawful.decide.allocate import Allocation
from lawful.estimate.isoflop import all_vertices, check_parabolas, fit_isoflop, lines
from lawful.estimate.result import Fit
from lawful.laws.surface import Surface, deadweight_of
from lawful.uncertainty.quantiles import quantiles
from lawful.uncertainty.resample import BLOCK, resample

QUICK_DRAWS = 2000
"""Refits of Approach 2 behind the interval that a fit shows of its price."""

FEWEST_SIZES = 4
"""With fewer sizes at a budget most resamples leave no parabola there."""


@dataclass(frozen=True, eq=False)
class DeadweightInterval(Shown):
    """
    Deadweight Compute Loss of Approach 2 refitted on runs resampled within budgets.

    Attributes
    ----------
    budget, level : float
    flops : float
        The loss of Approach 2 on the runs as they are.
    draws : array, shape (draws,)
        FLOPs lost in every draw. Where a budget kept fewer than 3 sizes, the parabola is
        the smallest one through them, as ``numpy.polyfit`` and published work have it.
    downward : bool array, shape (draws,)
        Draws in which some parabola opens downward, so that its vertex is a maximum.

    Examples
    --------
    Two intervals and the share that tells them apart; quote ``kept``:

    >>> truth = lawful.Surface.named("asymmetric")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.1)
    >>> found = deadweight_interval(lawful.fit(runs), runs, 1e24, draws=500)
    >>> found.failed > 0, found.kept[1] >= found.discarded[1]
    (True, True)
    """

    budget: float
    level: float
    flops: float
    draws: Array
    downward: BoolArray

    @property
    def failed(self) -> float:
        """Share of the draws with a downward parabola."""
        return float(np.mean(self.downward))

    @property
    def discarded(self) -> Interval:
        """
        Interval over the draws that are left without the failed ones, in FLOPs.

        As published work quotes it; conditional on a success, so it understates how
        far Approach 2 can go wrong.
        """
        return quantiles(self.draws[~self.downward], self.level)

    @property
    def kept(self) -> Interval:
        """
        Interval over all draws, in FLOPs, a downward parabola's vertex taken as it is.

        What someone loses who applies Approach 2 without looking; this is the one to quote.
        """
        return quantiles(self.draws, self.level)

    def sheets(self) -> tuple[Sheet]:
        """Return the price with its interval, failed refits kept and left out."""
        rows = (
            row("over all refits, FLOPs", Cell(self.flops, "flops", *self.kept)),
            row("without those that open downward, FLOPs", Cell(self.flops, "flops", *self.discarded)),
            row("refits that open downward", Cell(self.failed, "share")),
        )
        title = f"Deadweight of Approach 2 at {format_flops(self.budget)}."
        return (Sheet(title, (), ("", "lost"), rows, f"{format_level(self.level)} interval"),)


def deadweight_interval(
    truth: Fit | Surface, runs: Runs, budget: float, *, draws: int = 10_000, level: float = 0.9, seed: int = 0
) -> DeadweightInterval:
    """
    Interval of the Deadweight Compute Loss of Approach 2, the pricing surface held.

    Runs are resampled within budgets, the parabolas and lines of Approach 2 refitted, and
    the D* of every draw priced on one surface (arXiv:2603.22339).

    Parameters
    ----------
    truth : Fit or Surface
        Surface that prices the choice.
    runs : Runs
        Runs that Approach 2 is fitted to.
    budget : float
        FLOPs, > 0.
    draws : int
        Number of refits, >= 1.
    level : float
        Coverage aimed at.
    seed : int
        Seed.

    Returns
    -------
    DeadweightInterval

    Raises
    ------
    UnsupportedError
        If the budget or the number of draws is not positive.
    IdentificationError
        If Approach 2 cannot run on these runs.

    Examples
    --------
    >>> truth = lawful.Surface.named("asymmetric")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.02)
    >>> found = deadweight_interval(lawful.fit(runs), runs, 1e24, draws=500)
    >>> found.kept[0] <= found.flops <= found.kept[1]
    True
    """
    c = check_budget(budget)
    check_draws(draws, least=1)
    check_parabolas(runs)
    surface = truth if isinstance(truth, Surface) else truth.surface
    log_d = np.log10(runs.D)
    parts = []
    for start in range(0, draws, BLOCK):
        weight = resample(runs, BLOCK, "within-budget", np.random.default_rng([seed, start // BLOCK]))
        found, _ = all_vertices(log_d, runs, weight[: draws - start])
        line = lines(np.log10(runs.budgets), found.at)
        with np.errstate(invalid="ignore"):
            log10_tokens = line.intercept + line.slope * np.log10(c)
        # A nearly straight parabola may put D* anywhere: between one token and one parameter all is lost.
        tokens = 10.0 ** np.clip(log10_tokens, 0.0, np.log10(surface.cost.product(c)))
        lost = deadweight_of(surface.law, surface.coefficients, c, tokens, surface.cost)
        parts.append((np.where(np.isfinite(tokens), lost, np.nan), ~(found.curvature > 0).all(axis=1)))
    own = float(surface.deadweight(c, float(fit_isoflop(runs).frontier.tokens(c))))
    lost, downward = (np.concatenate(v) for v in zip(*parts, strict=True))
    return DeadweightInterval(c, level, own, lost, downward)


def with_deadweight_interval(found: Fit, made: Allocation, level: float) -> Allocation:
    """Add to an allocation how sure the price of Approach 2 is, with and without its failed refits."""
    if made.deadweight is None or found.runs.sizes_per_budget.min() < FEWEST_SIZES:
        return made
    sure = deadweight_interval(found, found.runs, made.budget, draws=QUICK_DRAWS, level=level)
    lost = replace(made.deadweight, interval=sure.kept, discarded=sure.discarded, failed=sure.failed)
    return replace(made, deadweight=lost)
