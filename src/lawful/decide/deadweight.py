"""deadweight(): the compute that a choice wastes, priced on a surface, with intervals of one side or of both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from lawful.core.cost import Cost
from lawful.core.notes import Note, Verdict
from lawful.core.numbers import format_count, format_flops, format_level, format_percent, format_short
from lawful.core.sheet import Cell, Sheet, row
from lawful.core.shown import Shown
from lawful.core.typing import Array, BoolArray, IntArray, Interval
from lawful.core.validation import check_budget, check_draws, check_level, is_positive
from lawful.data.runs import Runs
from lawful.errors import UnsupportedError
from lawful.estimate.isoflop import all_vertices, lines, vertices
from lawful.estimate.result import Fit, FrontierFit, losses_of, one_law_of, surface_of
from lawful.laws.surface import Surface, deadweight_of
from lawful.uncertainty.bootstrap import Draws, redrawn
from lawful.uncertainty.noise import run_noise
from lawful.uncertainty.quantiles import quantiles
from lawful.uncertainty.resample import BLOCK, resample

SIDES = ("both", "choice", "simulated")
"""What is drawn again, on resampled runs: the surface that prices together with the choice, or the choice alone; or
Approach 2 alone, on runs simulated from the surface."""


class Spent(Protocol):
    """Anything that says on how many tokens a budget was trained, such as an allocation."""

    tokens: float


Choice = Fit | FrontierFit | Surface | Draws | Spent | float

UNTOLD = {
    Verdict.LAW_REFUSED: "the runs refuse the law that would price it",
    Verdict.NOT_IDENTIFIED: "the runs do not tell the compute-optimal size",
}
"""Verdicts on a surface that may accuse no choice of another method."""


@dataclass(frozen=True)
class Deadweight(Shown):
    """
    What training on one choice of tokens wastes, priced on a surface.

    Attributes
    ----------
    budget : float
        FLOPs.
    of, on : str
        Method that chose, and method whose surface prices it; ``tokens`` and ``surface`` where none did.
    params, tokens : float
        The choice: its D*, and N forced to C/(6D).
    best_params, best_tokens : float
        The optimum of the surface.
    flops : float
        Deadweight Compute Loss.
    level : float
        Coverage the intervals aim at.
    draws : array, shape (draws,), or None
        FLOPs lost in every draw, NaN where a side has no answer. Where Approach 2 was drawn on resampled
        runs, the vertex of a parabola that opens downward is taken as it is, and fewer than 3 sizes get the
        smallest parabola through them, as ``numpy.polyfit`` and published work have it; on simulated runs a
        budget whose parabola opens downward is left out.
    failures : bool array, shape (draws,), or None
        Draws in which a parabola opens downward, so that its vertex is a maximum, or a side has no answer.
    notes : tuple of Note
    as_good : str
        Why the choice is as good as can be told; empty where its waste is.
    named : float or None
        The N* that the method names itself: where a table's FLOPs are not 6ND, it is not what its D* leaves.

    Examples
    --------
    >>> truth = lawful.Surface.named("hoffmann-rounded")
    >>> lost = lawful.deadweight(truth, 3.35e13, 3.8e25)
    >>> print(f"{lost.fraction:.4%}, ${lost.dollars():.0f} dense, ${lost.dollars(Cost().at_rate('sparse')):.0f} sparse")
    0.4578%, $195340 dense, $97670 sparse
    """

    budget: float
    of: str
    on: str
    params: float
    tokens: float
    best_params: float
    best_tokens: float
    flops: float
    level: float = 0.9
    draws: Array | None = field(default=None, compare=False)
    failures: BoolArray | None = field(default=None, compare=False)
    notes: tuple[Note, ...] = ()
    as_good: str = ""
    named: float | None = None

    @property
    def fraction(self) -> float:
        """Share of the budget lost."""
        return self.flops / self.budget

    def dollars(self, cost: Cost | None = None) -> float:
        """Dollars lost; on dense H100 hours at half their peak and two dollars unless said otherwise."""
        return float((cost or Cost()).dollars(self.flops))

    @property
    def interval(self) -> Interval | None:
        """
        Interval in FLOPs over all draws that have an answer, the one to quote; None without draws.

        It holds what someone loses who applies Approach 2 to such runs, and what this choice loses.
        """
        if self.draws is None:
            return None
        low, high = quantiles(self.draws, self.level)
        return min(low, self.flops), max(high, self.flops)

    @property
    def discarded(self) -> Interval | None:
        """
        Interval in FLOPs over the draws that are left without the failed ones, as published work quotes it.

        Conditional on a success, so it understates how far Approach 2 can go wrong.
        """
        if self.draws is None or self.failures is None:
            return None
        return quantiles(self.draws[~self.failures], self.level)

    @property
    def failed(self) -> float | None:
        """Share of the draws that failed; None without draws."""
        return None if self.failures is None else float(np.mean(self.failures))

    @property
    def counted(self) -> tuple[int, int]:
        """Number of draws that failed, and of all draws."""
        return (0, 0) if self.failures is None else (int(self.failures.sum()), self.failures.size)

    @property
    def span(self) -> str:
        """How sure the price is: over all draws, and beside it without those that failed; empty if unknown."""
        if self.interval is None or self.discarded is None or not np.isfinite([*self.interval, *self.discarded]).all():
            return ""
        kept, other = (Cell(None, "flops", *ends).span for ends in (self.interval, self.discarded))
        if not self.failed:
            return f", interval {kept} FLOPs"
        failed, count = self.counted
        refits = f"{failed:,} of {count:,} refits in which a parabola opens downward"
        return f", interval {kept} FLOPs ({other} without the {refits})"

    @property
    def choice(self) -> str:
        """The choice in words, by the size that the method names: it stands under one N everywhere."""
        size = self.params if self.named is None else self.named
        return f"{format_count(size)} parameters on {format_count(self.tokens)} tokens"

    @property
    def sentence(self) -> str:
        """Whose choice loses how much, on whose surface; or that it is as good as can be told, and why."""
        if self.as_good:
            return f"The choice of {self.of}, {self.choice}, is as good as can be told: {self.as_good}."
        cost = f"{format_flops(self.flops)} ({format_percent(self.fraction)} of the budget)"
        return f"Deadweight of {self.of} on the {self.on} surface: {cost}{self.span}."

    def sheets(self, cost: Cost | None = None) -> tuple[Sheet]:
        """Return both choices and what lies between them, in dollars on an H100 or as ``cost`` has it."""
        low, high = self.interval or (None, None)
        share, other = (None if end is None else end / self.budget for end in (low, high))
        named = self.params if self.named is None else self.named
        forced = [] if np.isclose(named, self.params, rtol=SAME_SIZE) else [Cell(self.params, "count")]
        rows = [
            row("parameters N", Cell(named, "count"), Cell(self.best_params, "count")),
            *(row("parameters that its tokens leave", cell, None) for cell in forced),
            row("tokens D", Cell(self.tokens, "count"), Cell(self.best_tokens, "count")),
            row("deadweight, FLOPs", Cell(self.flops, "flops", low, high), None),
            row("share of the budget", Cell(self.fraction, "share", share, other), None),
        ]
        rates = both_rates(cost or Cost())
        for rate, c in rates.items():
            least, most = (None if end is None else float(c.dollars(end)) for end in (low, high))
            rows.append(row(f"dollars at the {rate} rate", Cell(self.dollars(c), "dollars", least, most), None))
        if self.failed:
            ends = self.discarded or (None, None)
            rows.append(row("FLOPs, failed draws left out", Cell(self.flops, "flops", *ends), None))
            rows.append(row("draws that failed", Cell(float(self.counted[0]), "count"), None))
        said = [self.sentence] if self.as_good else []
        said += [f"Dollars: {c.terms}." for c in rates.values()]
        if self.draws is not None:
            said.append(f"Intervals over {self.draws.size} draws.")
        title, interval = f"Deadweight at {format_flops(self.budget)}.", f"{format_level(self.level)} interval"
        return (Sheet(title, (), ("", "choice", "optimum"), tuple(rows), interval, tuple(said), self.notes),)


SAME_SIZE = 0.005
"""Relative difference below which a size named and a size left by the tokens read alike."""


def both_rates(cost: Cost) -> dict[str, Cost]:
    """Return the cost at the chip's dense rate, and at its sparse one where it has one."""
    rates = {"dense": cost.at_rate("dense")}
    return rates | ({"sparse": cost.at_rate("sparse")} if cost.hardware.sparse is not None else {})


def deadweight(
    truth: Fit | Surface | Draws,
    choice: Choice,
    budget: float,
    *,
    draws: int = 0,
    sides: str = "both",
    seed: int = 0,
    level: float = 0.9,
) -> Deadweight:
    """
    Price a choice of tokens on a surface: the compute that the optimum would have saved.

    Parameters
    ----------
    truth : Fit, Surface or Draws
        Surface that prices. A fit can be drawn again; draws bring their own.
    choice : Fit, FrontierFit, Surface, Draws, Allocation or float
        What was trained on: D* of another fit at this budget, or a number of tokens.
    budget : float
        FLOPs, > 0.
    draws : int
        Bootstrap refits behind the interval, on runs resampled within budgets.
    sides : {"both", "choice", "simulated"}
        Whether the surface is drawn again as well, or held while the choice is, as published work has
        it (arXiv:2603.22339). Both sides are drawn with the same seed, so that fits of the same runs
        see the same resample in draw i. ``simulated``: Approach 2 refitted to losses drawn around the
        surface with the noise of its runs, which keeps every budget's sizes; for Approach 2 alone.
    seed : int
    level : float
        Coverage the interval aims at.

    Returns
    -------
    Deadweight

    Raises
    ------
    UnsupportedError
        If the budget or the tokens are not positive, the truth has no surface, or runs are to be
        simulated where no fit of a surface meets Approach 2.

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
    (True, 0.0)

    Where noise turns parabolas over, two intervals and the share that tells them apart:

    >>> runs = lawful.simulate(surface, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=surface), noise=0.1)
    >>> lost = lawful.deadweight(lawful.fit(runs), lawful.fit_isoflop(runs), 1e24, draws=500, sides="choice")
    >>> lost.failed > 0, lost.interval[1] >= lost.discarded[1]
    (True, True)
    """
    c, n = check_budget(budget), check_draws(draws)
    check_level(level)
    if sides not in SIDES:
        msg = f"Unknown sides {sides!r}; choose one of {', '.join(SIDES)}."
        raise UnsupportedError(msg)
    if getattr(choice, "average", None) is not None:
        # What an auto fit recommends is its average's choice, not that of the one law beside it.
        choice = float(choice.average.ensemble.tokens(c))  # type: ignore[union-attr]
    truth, choice = _in_order(truth), _in_order(choice)
    surface, tokens = surface_of(truth, " to price a choice on"), _tokens_of(choice, c)  # type: ignore[arg-type]
    fit = _in_order(one_law_of(truth))
    best = surface.optimum(c)
    found = Deadweight(
        budget=c,
        of=getattr(one_law_of(choice), "method", "tokens"),
        on=fit.method,
        params=float(surface.cost.params(budget=c, tokens=tokens)),
        tokens=tokens,
        best_params=float(best.params),
        best_tokens=float(best.tokens),
        flops=float(surface.deadweight(c, tokens)),
        level=level,
        named=_named(choice, c),
    )
    if fit.runs is not None and found.of == APPROACH2:
        found = replace(found, as_good=_within_noise(found, fit))
    if sides == "simulated":
        return _with_draws(found, surface, None, _simulated_tokens(truth, choice, c, n, seed)) if n else found
    held = redrawn(truth, n if sides == "both" else 0, seed)
    drawn = _drawn_tokens(choice, surface, c, n, seed)
    if held is None and drawn is None:
        return found
    return _with_draws(found, surface, held, drawn)


def _named(choice: Any, budget: float) -> float | None:
    """Size that a fit without a surface names beside its tokens, on a line of its own."""
    return float(choice.frontier.params(budget)) if getattr(choice, "surface", choice) is None else None


APPROACH2 = "approach2"


def _in_order(source: Any) -> Any:
    """Return a fit over its runs in the order of all arithmetic; what has no runs of its own as it is."""
    return getattr(source, "core", source)


AT_ONCE = 4_000_000
"""Losses that are simulated at once."""


def _within_noise(found: Deadweight, truth: Fit) -> str:
    """Say that the choice's loss is told apart from the optimum's by no run; empty where it is."""
    surface = truth.surface
    if not np.isfinite(found.flops) or not 0 < found.best_params < np.inf:
        return ""
    lost, best = (float(surface.at_params(found.budget, n).loss) for n in (found.params, found.best_params))
    noise = run_noise(truth)
    size = float(noise.at(best)) * (best if noise.log else 1.0)
    # Losses of a fit without noise differ by rounding alone.
    if size <= ROUNDING * best or not lost - best <= size:
        return ""
    return f"its loss lies within the noise of one run ({format_short(size, 2)} nats) of that of the optimum"


ROUNDING = 1e-7


def _with_draws(
    found: Deadweight, surface: Surface, held: Draws | None, drawn: tuple[Array, BoolArray] | None
) -> Deadweight:
    """Price every draw, draw i of one side against draw i of the other."""
    count = min(len(side) for side in (held, drawn and drawn[0]) if side is not None)
    k = surface.coefficients if held is None else {name: v[:count] for name, v in held.coefficients.items()}
    tokens, failures = (np.full(count, found.tokens), np.zeros(count, bool)) if drawn is None else drawn
    lost = deadweight_of(surface.law, k, found.budget, tokens[:count], surface.cost)
    values = np.where(np.isfinite(tokens[:count]), np.broadcast_to(lost, (count,)), np.nan).astype(float)
    failures = failures[:count] | ~np.isfinite(values)
    return replace(found, draws=values, failures=failures, notes=_notes(values, failures))


def _notes(values: Array, failures: BoolArray) -> tuple[Note, ...]:
    missing, failed = int((~np.isfinite(values)).sum()), int(failures.sum())
    if missing:
        text = (
            f"{missing} of {values.size} draws have no answer on one side; "
            f"the interval is over the others and is too narrow for it."
        )
        return (Note("failed_draws", text),)
    if failed:
        text = (
            f"In {failed} of {values.size} draws a parabola opens downward; the interval covers them, and published "
            f"work leaves these draws out."
        )
        return (Note("failed_draws", text),)
    return ()


def _tokens_of(choice: Choice, budget: float) -> float:
    source = one_law_of(choice)
    tokens = source.optimum(budget).tokens if hasattr(source, "optimum") else getattr(source, "tokens", source)
    if not is_positive(tokens):
        msg = f"A choice is a positive number of tokens, got {tokens!r}."
        raise UnsupportedError(msg)
    return float(tokens)


def _drawn_tokens(
    choice: Choice, surface: Surface, budget: float, draws: int, seed: int
) -> tuple[Array, BoolArray] | None:
    """D* of the choice in every draw, and whether that draw failed; None where nothing is drawn."""
    if draws and _is_approach2(choice):
        return _drawn_approach2(one_law_of(choice), surface, budget, draws, seed)
    refits = redrawn(choice, draws, seed)
    if refits is None:
        return None
    tokens = refits.tokens(budget)
    return tokens, ~np.isfinite(tokens)


def _is_approach2(choice: Any) -> bool:
    """Whether a choice is Approach 2's, to be drawn here; draws of it bring their own."""
    return getattr(choice, "method", "") == APPROACH2


def _simulated_tokens(truth: Any, choice: Any, budget: float, draws: int, seed: int) -> tuple[Array, BoolArray]:
    """D* of Approach 2 on runs simulated from a fit, and whether a budget had to be left out."""
    if getattr(truth, "runs", None) is None or not _is_approach2(choice):
        msg = "Runs are simulated from the fit of a surface, and Approach 2 is refitted to them; give these two."
        raise UnsupportedError(msg)
    runs, noise = choice.basis, run_noise(truth)
    mean = losses_of(truth.surface, runs)
    spread = noise.at(mean) / np.sqrt(runs.precision)
    made = (_by_runs if len(runs) <= MANY_RUNS else _by_parabolas)(runs, mean, spread, log=noise.log)
    rng, seen, most = np.random.default_rng(seed), [], max(AT_ONCE // made.at.size, 1)
    for start in range(0, draws, most):
        losses = made.losses(rng.standard_normal((min(most, draws - start), made.at.size)))
        found = vertices(made.at, losses, made.weight, made.group, runs.budgets.size)
        seen.append(np.where((found.curvature > 0) & np.isfinite(found.at), found.at, np.nan))
    vertex = np.concatenate(seen)
    good = np.isfinite(vertex)
    x, y, w = np.log10(runs.budgets), np.where(good, vertex, 0.0), good.astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        count = w.sum(axis=1, keepdims=True)
        away = (x - (w * x).sum(axis=1, keepdims=True) / count) * w
        slope = (away * y).sum(axis=1) / (away * away).sum(axis=1)
        at = y.sum(axis=1) / count[:, 0] + slope * (np.log10(budget) - (w * x).sum(axis=1) / count[:, 0])
    # A nearly straight parabola may put D* anywhere: between one token and one parameter all is lost.
    tokens = 10.0 ** np.clip(at, 0.0, np.log10(truth.surface.cost.product(budget)))
    return tokens, np.asarray(~good.all(axis=1))


class _Simulated(NamedTuple):
    """Where losses are drawn, shape (m,) each, and how rows of normal numbers, shape (B, m), become losses."""

    at: Array
    weight: Array
    group: IntArray
    losses: Callable[[Array], Array]


def _by_runs(runs: Runs, mean: Array, spread: Array, *, log: bool) -> _Simulated:
    """Every run with a loss of its own."""

    def losses(normal: Array) -> Array:
        return np.asarray(mean * np.exp(spread * normal) if log else mean + spread * normal)

    return _Simulated(np.log10(runs.D), runs.weight, runs.group, losses)


def _by_parabolas(runs: Runs, mean: Array, spread: Array, *, log: bool) -> _Simulated:
    """
    Three losses for each budget: its parabola at three sizes, with the mean and the covariance that all runs give it.

    A parabola is linear in the losses; of hundreds of runs a budget its coefficients are normal.
    """
    scale = np.exp(spread**2 / 2) if log else np.ones_like(mean)
    centre, variance = mean * scale, (mean * scale) ** 2 * np.expm1(spread**2) if log else spread**2
    nodes = np.array([[1.0, u, u * u] for u in (-1.0, 0.0, 1.0)])
    at, means, roots = [], [], []
    for g in range(runs.budgets.size):
        own = np.flatnonzero((runs.group == g) & (runs.weight > 0))
        x, heavy = np.log10(runs.D[own]), np.sqrt(runs.weight[own])
        middle, half = (x.max() + x.min()) / 2, max((x.max() - x.min()) / 2, 1e-12)
        u = (x - middle) / half
        q, r = np.linalg.qr(np.stack([np.ones_like(u), u, u * u], axis=1) * heavy[:, None])
        told = own.size >= 3 and np.abs(np.diag(r)).min() > FLAT * np.abs(r).max()  # three sizes or more
        through = nodes @ np.linalg.solve(r, (q * heavy[:, None]).T) if told else np.full((3, own.size), np.nan)
        at.append(middle + half * np.array([-1.0, 0.0, 1.0]))
        means.append(through @ centre[own])
        # A triangular root without the square of the condition.
        upper: Array = np.linalg.qr((through * np.sqrt(variance[own])).T)[1] if told else np.full((3, 3), np.nan)
        roots.append(upper.T)
    root, flat = np.array(roots), np.concatenate(means)

    def losses(normal: Array) -> Array:
        drawn = np.einsum("gij,bgj->bgi", root, normal.reshape(-1, len(root), 3))
        return np.asarray(flat + drawn.reshape(normal.shape))

    return _Simulated(np.concatenate(at), np.ones(flat.size), np.repeat(np.arange(len(root)), 3), losses)


MANY_RUNS = 5000
"""Runs above which the parabola of a budget is drawn and not each of its runs."""

FLAT = 1e-9
"""Relative size of a column of the parabola that the sizes of a budget do not tell."""


def _drawn_approach2(
    choice: FrontierFit, surface: Surface, budget: float, draws: int, seed: int
) -> tuple[Array, BoolArray]:
    """Approach 2 as someone applies it who does not look: every parabola's vertex is taken as it is."""
    runs, basis = choice.runs, choice.basis
    log_c, log_d, parts = np.log10(basis.budgets), np.log10(basis.D), []
    for start in range(0, draws, BLOCK):
        # The weights of a bootstrap within budgets, so that draw i is the same resample on both sides.
        weight = resample(runs, BLOCK, "within-budget", np.random.default_rng([seed, start // BLOCK]))
        weight = weight[: draws - start] if choice.used is None else weight[: draws - start, choice.used]
        found, _ = all_vertices(log_d, basis, weight)
        line = lines(log_c, found.at)
        with np.errstate(invalid="ignore"):
            log10_tokens = line.intercept + line.slope * np.log10(budget)
        # A nearly straight parabola may put D* anywhere: between one token and one parameter all is lost.
        tokens = 10.0 ** np.clip(log10_tokens, 0.0, np.log10(surface.cost.product(budget)))
        parts.append((tokens, ~(found.curvature > 0).all(axis=1)))
    tokens, failures = (np.concatenate(v) for v in zip(*parts, strict=True))
    return tokens, failures
