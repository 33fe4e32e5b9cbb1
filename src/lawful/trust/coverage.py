"""coverage(): how often the intervals would have held, on your own design and with your own noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lawful.core.numbers import format_flops, format_level
from lawful.core.sheet import Cell, Sheet, row
from lawful.core.shown import Shown
from lawful.core.typing import Array, BoolArray, Columns
from lawful.core.validation import check_budget
from lawful.errors import IdentificationError, UnsupportedError
from lawful.estimate.forms import FormProblem
from lawful.estimate.result import Fit
from lawful.estimate.solvers import Problem, problem_of, resolve
from lawful.uncertainty import replicas as rp
from lawful.uncertainty.delta import answer
from lawful.uncertainty.linear import AUTO_NOISE, linearise, working_variances
from lawful.uncertainty.quantity import AT_BUDGET, AT_POINT, Quantity, working_values

DRAWN = ("within-budget", "rows", "wild", "residual")

BEYOND = 10.0
"""Without a budget the forecast is judged this many times beyond the largest one."""

TOLERANCE = 0.03
"""Coverage this far from nominal, beyond twice its Monte Carlo error, is marked."""

COLUMNS = ("interval", "quantity", "budget", "coverage", "error", "width", "truth")

ROWS = 200
"""Data sets in hand at a time."""


@dataclass(frozen=True, eq=False)
class Coverage(Shown):
    """
    How often intervals held over simulated repeats of the same sweep.

    Attributes
    ----------
    fit : Fit
        The law that the repeats were simulated from.
    level : float
        What the intervals aimed at.
    repeats, draws : int
        Simulated data sets, and bootstrap draws on each.
    table : mapping of str to array
        One row per kind of interval and quantity: ``interval``, ``quantity``, ``budget``
        (NaN for a coefficient), ``coverage``, ``error`` (its Monte Carlo standard error),
        ``width`` (median, of ln N* and ln A for N*, A and B), ``truth``.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.01)
    >>> lawful.fit(runs).coverage(repeats=20, draws=0).table["quantity"].tolist()[:3]
    ['E', 'A', 'B']
    """

    fit: Fit
    level: float
    repeats: int
    draws: int
    table: Columns

    def of(self, interval: str, quantity: str) -> float:
        """
        Coverage of one kind of interval for one quantity.

        Raises
        ------
        UnsupportedError
            If that pair was not simulated.
        """
        at = np.flatnonzero((self.table["interval"] == interval) & (self.table["quantity"] == quantity))
        if at.size == 0:
            msg = f"No coverage of {quantity!r} by {interval!r} was simulated."
            raise UnsupportedError(msg)
        return float(self.table["coverage"][at[0]])

    def __repr__(self) -> str:
        kinds = list(dict.fromkeys(self.table["interval"].tolist()))
        means = (float(np.mean(np.asarray(self.table["coverage"], float)[self.table["interval"] == k])) for k in kinds)
        held = ", ".join(f"{k} {Cell(mean, 'rate').text}" for k, mean in zip(kinds, means, strict=True))
        return f"Coverage(nominal {format_level(self.level)} over {self.repeats} repeats: {held})"

    def sheets(self) -> tuple[Sheet, Sheet]:
        """Return how often each kind of interval held, a row per quantity; what misses is marked; and the widths."""
        table, error = self.table, float(np.sqrt(self.level * (1 - self.level) / self.repeats))
        kinds = list(dict.fromkeys(table["interval"].tolist()))
        first = np.flatnonzero(table["interval"] == kinds[0])
        held, wide = [], []
        for name, budget in zip(table["quantity"][first].tolist(), table["budget"][first].tolist(), strict=True):
            same = np.isnan(table["budget"]) if np.isnan(budget) else table["budget"] == budget
            at = [int(np.flatnonzero((table["interval"] == k) & (table["quantity"] == name) & same)[0]) for k in kinds]
            where = {"params": "N*", "loss": "L*", "loss_at": "loss at the largest value of every column"}.get(
                name, name
            )
            where += "" if np.isnan(budget) else f" at {format_flops(budget)}"
            held.append(row(where, *(self._held(i) for i in at)))
            wide.append(row(where, *(Cell(float(table["width"][i]), "ratio") for i in at)))
        said = (
            f"Monte Carlo error about {Cell(error, 'rate').text}; ! marks what is off by more than "
            f"{Cell(TOLERANCE, 'share').text} beyond twice that."
        )
        level, heads = format_level(self.level), ("", *map(str, kinds))
        title = f"How often a {level} interval held over {self.repeats} simulated repeats of these runs."
        law = self.fit.surface.law
        in_logs = [w for w in dict.fromkeys(table["quantity"].tolist()) if Quantity(w, *_somewhere(w)).is_log(law)]
        names = ", ".join("N*" if w == "params" else w for w in in_logs)
        logs = "Those of N*, A and B are of their logarithms."
        if not law.two_powers:
            logs = f"Those of {names} are of their logarithms." if in_logs else ""
        return (
            Sheet(title, (), heads, tuple(held), "", (said,)),
            Sheet("Median width of the intervals.", (), heads, tuple(wide), "", (logs,) if logs else ()),
        )

    def _held(self, i: int) -> Cell:
        share, error = float(self.table["coverage"][i]), float(self.table["error"][i])
        return Cell(share, "rate", mark=abs(share - self.level) > TOLERANCE + 2 * error)


def _somewhere(name: str) -> tuple[float | None, tuple[float, ...] | None]:
    """A budget or a point, where a quantity needs one to be named."""
    return (1.0 if name in AT_BUDGET else None), ((1.0, 1.0) if name == AT_POINT else None)


def coverage(
    fit: Any,
    repeats: int = 200,
    *,
    draws: int = 99,
    budgets: Sequence[float] = (),
    level: float = 0.9,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Coverage:
    """
    Simulate the same sweep from the fitted law, refit, and count how often intervals hold.

    The noise is the user's own: residuals freed of leverage and of their trend with the
    loss, drawn anew, and given the trend of their new place.

    Parameters
    ----------
    fit : Fit
        A surface fit.
    repeats : int
        Simulated data sets, >= 10; 400 tell 87% from 90%.
    draws : int
        Bootstrap draws on each; 0 for the closed-form intervals alone.
    budgets : sequence of float
        Where N* and L* are judged; ten times the largest training budget if none is given.
    level : float
        What the intervals aim at.
    seed : int
        Seed.
    progress : callable, optional
        Called with a phrase before each stage.

    Returns
    -------
    Coverage

    Raises
    ------
    UnsupportedError
        If the fit has no surface, or a number makes no sense.
    IdentificationError
        If the runs leave no degrees of freedom, hence no noise to draw from.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20, 1e21], 9, surface=truth), noise=0.01)
    >>> found = lawful.fit(runs).coverage(repeats=100, draws=0)
    >>> 0.8 < found.of("profile", "alpha") <= 1
    True
    """
    fit = fit.core
    if fit.surface is None:
        msg = "Coverage is simulated from a fitted surface; fit with vpnls or approach3."
        raise UnsupportedError(msg)
    if fit.prior:
        msg = "Coverage is simulated from the runs alone, and this fit has a prior; fit it without a width in `fixed`."
        raise UnsupportedError(msg)
    if repeats < 10 or draws < 0 or not 0 < level < 1:
        msg = (
            f"Coverage needs at least 10 repeats, no negative draws and a level between 0 and 1; "
            f"got {repeats}, {draws} and {level!r}."
        )
        raise UnsupportedError(msg)
    problem = problem_of(fit)
    z = answer(fit, problem)
    targets = [check_budget(c) for c in budgets] or [BEYOND * float(fit.runs.C.max())]
    form = isinstance(problem, FormProblem)
    quantities = _quantities_of_form(fit, problem, targets) if form else _quantities(fit, problem, targets)
    truth = [float(working_values(q, problem.law, z, problem.centre, fit.surface.cost)[0]) for q in quantities]
    rng = np.random.default_rng(seed)
    tell = progress or (lambda _: None)
    hits: dict[str, list[BoolArray]] = {}
    widths: dict[str, list[Array]] = {}
    for start in range(0, repeats, ROWS):
        tell(f"{start} of {repeats} repeats")
        losses = own_noise(problem, z, min(ROWS, repeats - start), rng)
        if isinstance(problem, FormProblem):
            found = _ends_of_form(fit, problem, losses, z[0], quantities, draws, level, rng)
        else:
            fits = rp.refit(problem, losses, z[0], delta=problem.delta)
            found = _all_ends(fits, quantities, draws, level, rng, fit)
        for kind, ends in found:
            value = np.array(truth)[:, None]
            hits.setdefault(kind, []).append((ends[:, :, 0] <= value) & (value <= ends[:, :, 1]))
            widths.setdefault(kind, []).append(ends[:, :, 1] - ends[:, :, 0])
    return Coverage(fit, level, repeats, draws, _table(quantities, truth, hits, widths))


def own_noise(problem: Problem, z: Array, sets: int, rng: np.random.Generator) -> Array:
    """
    Losses of simulated repeats, shape (sets, n): the fitted law plus noise like that of the fit.

    Raises
    ------
    IdentificationError
        If there are no more runs than coefficients.
    """
    at = linearise(problem, z)
    if at.runs[0] <= at.free[0].sum():
        msg = f"{int(at.runs[0])} runs for {int(at.free[0].sum())} coefficients leave no noise to draw from; add runs."
        raise IdentificationError(msg)
    phi, seen = (v[0] for v in working_variances(at))
    weight = np.where(at.weight[0] > 0, at.weight[0], 1.0)
    unit = at.residual[0] * np.sqrt(weight) / np.sqrt(seen)
    unit = unit - unit.mean()
    drawn = unit[rng.integers(0, unit.size, size=(sets, unit.size))] * np.sqrt(phi / weight)
    values = problem.target - at.residual[0] + drawn
    if problem.log:
        return np.asarray(np.exp(values))
    least = problem.y.min()
    return np.asarray(np.maximum(values, 1e-6 * least) if least > 0 else values)


def _quantities(fit: Fit, problem: Problem, targets: list[float]) -> list[Quantity]:
    names = [n for i, n in enumerate(fit.surface.law.names) if problem.lower[i] < problem.upper[i]]
    held = (problem.lower[1:3] > 0).any() or np.isfinite(problem.upper[1:3]).any()
    at_budget = () if held else ("params", "loss")
    return [*(Quantity(n) for n in names), *(Quantity(n, c) for c in targets for n in at_budget)]


def _quantities_of_form(fit: Fit, problem: FormProblem, targets: list[float]) -> list[Quantity]:
    """Coefficients that move, the optimum at budgets where there is one, and the loss at the far corner of the runs."""
    law = fit.surface.law
    names = [n for i, n in enumerate(law.names) if problem.lower[i] < problem.upper[i] and n in law.identifiable]
    corner = {c: float(fit.runs.column(c).max()) for c in law.columns}
    if set(law.columns) <= set("ND"):
        point = tuple(corner.get(c, float("nan")) for c in "ND")
    else:
        point = tuple(corner[c] for c in law.columns)
    at_budget = ("params", "loss") if law.allocates else ()
    budgets = [Quantity(n, c) for c in targets for n in at_budget]
    return [*(Quantity(n) for n in names), *budgets, Quantity("loss_at", point=point)]


def _ends_of_form(
    fit: Fit,
    problem: FormProblem,
    losses: Array,
    z: Array,
    quantities: list[Quantity],
    draws: int,
    level: float,
    rng: np.random.Generator,
) -> Iterator[tuple[str, Array]]:
    """Ends of the linearised interval, and of a bootstrap of rows, for a law that is no sum of powers."""
    answers = resolve(problem, z, fit.solver, losses=losses).z
    replicas = rp.Replicas(problem, losses, answers, None)  # type: ignore[arg-type]
    yield "delta", np.stack([rp.linear_ends(replicas, q, "trend", level) for q in quantities])
    if not draws:
        return
    own = np.ones(problem.y.size) if problem.w is None else problem.w
    found: list[list[Array]] = [[] for _ in quantities]
    n = problem.y.size
    for drawn, at in zip(losses, answers, strict=True):
        weights = rng.multinomial(n, np.full(n, 1 / n), size=draws) * own
        again = resolve(problem, at, fit.solver, weights=weights, losses=np.tile(drawn, (draws, 1))).z
        for ends, quantity in zip(found, quantities, strict=True):
            ends.append(rp.percentile_ends(problem, again[None], quantity, level)[0])  # type: ignore[arg-type]
    yield "rows", np.stack([np.stack(ends) for ends in found])


def _all_ends(
    fits: rp.Replicas, quantities: list[Quantity], draws: int, level: float, rng: np.random.Generator, fit: Fit
) -> Iterator[tuple[str, Array]]:
    """Ends of every kind of interval, shape (quantities, sets, 2) in working values."""
    yield "profile", np.stack([rp.profile_intervals(fits, q, AUTO_NOISE, level) for q in quantities])
    yield "delta", np.stack([rp.linear_ends(fits, q, "trend", level) for q in quantities])
    grouped = (fit.runs.sizes_per_budget >= 3).any()
    for scheme in DRAWN if draws else ():
        if scheme == "within-budget" and not grouped:
            continue
        parts = []
        for _, z in rp.bootstrap_answers(fits, scheme, draws, rng, fit.runs.group):
            parts.append(np.stack([rp.percentile_ends(fits.problem, z, q, level) for q in quantities]))
        yield scheme, np.concatenate(parts, axis=1)


def _table(
    quantities: list[Quantity], truth: list[float], hits: dict[str, list[BoolArray]], widths: dict[str, list[Array]]
) -> Columns:
    columns: dict[str, list[object]] = {name: [] for name in COLUMNS}
    for kind, parts in hits.items():
        held, wide = np.concatenate(parts, axis=1), np.concatenate(widths[kind], axis=1)
        for quantity, value, hit, width in zip(quantities, truth, held, wide, strict=True):
            share = float(hit.mean())
            error = float(np.sqrt(share * (1 - share) / hit.size))
            row = (kind, quantity.name, quantity.budget or np.nan, share, error, float(np.nanmedian(width)), value)
            for name, cell in zip(COLUMNS, row, strict=True):
                columns[name].append(cell)
    return {name: np.array(cells, dtype=object if name in COLUMNS[:2] else float) for name, cells in columns.items()}
