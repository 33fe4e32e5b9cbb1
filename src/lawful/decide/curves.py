r"""
speedup_curves(): what recipes are worth by a few points each of the best loss against compute.

With a common floor E, ``y = ln(L - E) = a - alpha ln C`` is a line per recipe, and A needs
``exp((a_A - a_B)/alpha)`` times the compute of B for the same loss. Recipes that were trained at the same budgets are
compared budget by budget, so that what a budget does to all of them cancels; the differences have Student's t on the
(points - 1)(recipes - 1) degrees of freedom of their own scatter. E, known with a width or not, is averaged over.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lawful.core.notes import Note
from lawful.core.numbers import format_flops, format_level, format_short
from lawful.core.sheet import Cell, Sheet, row
from lawful.core.shown import Record, Shown
from lawful.core.typing import Array, IntArray, Interval
from lawful.core.validation import check_budget, check_level
from lawful.data.runs import Runs
from lawful.errors import IdentificationError, UnsupportedError
from lawful.estimate.priors import Prior, prior_of

SAME_BUDGET = 0.02
"""Logs of compute closer than this are one budget."""

FLOORS = 300
"""Values of E that are averaged over."""

NEAREST = 0.02
"""E is kept at least this share of the lowest loss below it."""

REFUSED = 0.01
"""Level at which one exponent for all recipes is refused: each refusal by chance costs the intervals their level."""

PROMOTED = 0.05
"""p at which a recipe is promoted."""

DRAWS = 20_000
"""Draws behind the intervals; each costs a few additions."""


@dataclass(frozen=True, slots=True)
class CurveSpeedup(Record):
    """
    What one recipe is worth against the baseline at one budget.

    Attributes
    ----------
    recipe : str
    budget : float
        FLOPs that the recipe spends.
    flops : float
        FLOPs that the baseline needs for its loss, over those; above 1 where the recipe is better.
    interval : (float, float)
    best : float
        Probability that no other recipe, the baseline included, needs less, by the draws.
    p : float
        One-sided p that the recipe is no better than the baseline, times the number of recipes tried (at most 1).
    promoted : bool
        Whether p is at most 5%: of recipes of which none is better, at most 5 in 100 sets promote any.
    """

    recipe: str
    budget: float
    flops: float
    interval: Interval
    best: float
    p: float

    @property
    def promoted(self) -> bool:
        """Whether p is at most 5%."""
        return self.p <= PROMOTED

    def to_dict(self) -> dict[str, Any]:
        """Return the row as it stands in JSON."""
        ends = [end if np.isfinite(end) else None for end in self.interval]
        return {
            "recipe": self.recipe,
            "budget": self.budget,
            "flops": self.flops,
            "interval": ends,
            "best": self.best,
            "p": self.p,
            "promoted": self.promoted,
        }


@dataclass(frozen=True, eq=False)
class CurveSpeedups(Shown):
    """
    What :func:`speedup_curves` found.

    Attributes
    ----------
    baseline : str
    rows : tuple of CurveSpeedup
        By budget, then recipe.
    baseline_best : tuple of float
        Probability that the baseline is the best, per budget.
    exponent : float
        Of the curves above the floor: the shared one, or the baseline's.
    shared : bool
        Whether one exponent serves all recipes.
    sharing_p : float
        p of the F test that it does; NaN where too few points tell.
    floor, floor_sd : float
        Mean and standard deviation of E after the points.
    freedom : float
        Degrees of freedom of the differences.
    paired : bool
        Whether the recipes were compared budget by budget.
    level : float
    notes : tuple of Note

    Examples
    --------
    >>> C = np.array([1e18, 1e19, 1e20, 1e21])
    >>> arms = {name: {"compute": C, "loss": 1.6 + 94 / (s * C) ** 0.094} for name, s in (("old", 1), ("new", 1.5))}
    >>> found = speedup_curves(arms, [1e21], fixed={"E": 1.6})
    >>> print(f"{found.rows[0].flops:.3f}")
    1.500
    """

    baseline: str
    rows: tuple[CurveSpeedup, ...]
    baseline_best: tuple[float, ...]
    exponent: float
    shared: bool
    sharing_p: float
    floor: float
    floor_sd: float
    freedom: float
    paired: bool
    level: float
    notes: tuple[Note, ...] = ()

    def sheets(self) -> tuple[Sheet]:
        """Return a line per recipe and budget."""
        rows = tuple(
            row(
                f"{one.recipe}, at {format_flops(one.budget)}",
                Cell(one.flops, "ratio", *one.interval),
                Cell(one.best, "share"),
                "yes" if one.promoted else "no",
            )
            for one in self.rows
        )
        told = "no points to test it" if np.isnan(self.sharing_p) else f"p = {format_short(self.sharing_p, 2)}"
        width = f" ± {format_short(self.floor_sd, 2)}" if self.floor_sd > 0 else ""
        whose = "shared by all" if self.shared else "each recipe its own"
        floor = f"a floor of {format_short(self.floor, 4)}{width}"
        how = "Paired by budget" if self.paired else "Not paired"
        said = (
            f"What {self.baseline} needs for the same loss over what each recipe needs; above 1 where that is better.",
            f"Exponent {format_short(self.exponent, 3)} above {floor}, {whose} ({told}).",
            f"{how}: Student's t on {self.freedom:g} degrees of freedom.",
        )
        heads = ("recipe", "speed-up", "P(best)", "promoted")
        title = f"What recipes are worth against {self.baseline}."
        return (Sheet(title, said, heads, rows, f"{format_level(self.level)} interval", (), self.notes),)


class _Recipes(NamedTuple):
    """Recipes with their points: code of the recipe, log compute less its mean, loss, code of the budget if paired."""

    names: list[str]
    arm: IntArray
    x: Array
    loss: Array
    cell: IntArray | None
    centre: float


def speedup_curves(
    arms: Mapping[str, Any],
    budgets: Sequence[float],
    *,
    baseline: str | None = None,
    fixed: Mapping[str, Any] | None = None,
    shared: bool | None = None,
    level: float = 0.9,
    seed: int = 0,
) -> CurveSpeedups:
    """
    Say what recipes are worth from a few points each of loss against compute.

    Parameters
    ----------
    arms : mapping of str to Runs or table
        Recipes by name, each with compute and the best loss there, on one evaluation.
    budgets : sequence of float
        FLOPs that a recipe spends.
    baseline : str, optional
        Recipe that the others are measured against; the first by default.
    fixed : mapping of str to float, str or (float, float), optional
        The floor, ``{"E": 1.6}``, or a prior of it, ``{"E": "1.6±0.1"}``; without it the points have to tell it.
    shared : bool, optional
        Whether one exponent serves all recipes; by default unless an F test refuses it at 1%.
    level : float
    seed : int

    Returns
    -------
    CurveSpeedups

    Raises
    ------
    UnsupportedError
        If the tables have nothing to do with each other: no budget, or no loss, that both have.
    IdentificationError
        If a recipe has fewer than three points.

    Notes
    -----
    The scatter of ``ln(L - E)`` is taken to be the same for all recipes and budgets. A recipe is promoted by a
    one-sided t test with Bonferroni's factor for the number of recipes.

    Examples
    --------
    >>> C = np.array([1e18, 1e19, 1e20, 1e21])
    >>> old, new = [3.522, 3.154, 2.848, 2.599], [3.482, 3.116, 2.812, 2.569]
    >>> arms = {"old": {"compute": C, "loss": old}, "new": {"compute": C, "loss": new}}
    >>> found = speedup_curves(arms, [1e22], fixed={"E": "1.6±0.1"})
    >>> found.rows[0].promoted, found.paired, found.freedom
    (True, True, 3.0)
    """
    check_level(level)
    targets = [float(check_budget(c)) for c in budgets]
    points = _gathered(arms, baseline)
    prior = _prior(fixed)
    weights, values = _floors(points, prior)
    fits = [_lines(points, float(value)) for value in values]
    middle = fits[int(np.argmax(weights))]
    p = _sharing(points, middle)
    one = bool(math.isnan(p) or p > REFUSED) if shared is None else shared
    rng = np.random.default_rng(seed)
    notes = []
    if shared is None and not one:
        text = f"One exponent for all recipes is refused (p = {format_short(p, 2)}): the speed-up changes with compute."
        notes.append(Note("lack_of_fit", text))
    rows: list[CurveSpeedup] = []
    best: list[float] = []
    for budget in targets:
        x = math.log(budget) - points.centre
        made, first = _at(points, fits, weights, x, rng, one=one, level=level)
        rows += [CurveSpeedup(name, budget, *found) for name, found in zip(points.names[1:], made, strict=True)]
        best.append(first)
    mean = float(weights @ values)
    spread = math.sqrt(max(float(weights @ (values - mean) ** 2), 0.0))
    slope = float(weights @ np.array([f.shared if one else f.own[0] for f in fits]))
    freedom = float(middle.freedom if one else middle.own_freedom)
    return CurveSpeedups(
        points.names[0],
        tuple(rows),
        tuple(best),
        slope,
        one,
        p,
        mean,
        spread,
        freedom,
        points.cell is not None,
        level,
        tuple(notes),
    )


def _prior(fixed: Mapping[str, Any] | None) -> Prior | float | None:
    given = dict(fixed or {})
    if set(given) - {"E"}:
        msg = f"`fixed` holds the floor E of the curves, or gives it a width; got {', '.join(given)}."
        raise UnsupportedError(msg)
    if "E" not in given:
        return None
    found = prior_of(given["E"])
    return float(given["E"]) if found is None else found


def _gathered(arms: Mapping[str, Any], baseline: str | None) -> _Recipes:
    names = list(arms)
    if len(names) < 2:
        msg = f"A speed-up compares at least two recipes, got {len(names)}."
        raise UnsupportedError(msg)
    if baseline is not None:
        if baseline not in names:
            msg = f"There is no recipe {baseline!r} among {', '.join(names)}."
            raise UnsupportedError(msg)
        names = [baseline, *(name for name in names if name != baseline)]
    tables = [arms[n] if isinstance(arms[n], Runs) else Runs.read(arms[n], needs=("C",)) for n in names]
    for name, table in zip(names, tables, strict=True):
        if len(table) < 3:
            msg = f"Recipe {name!r} has {len(table)} points; at least 3 tell a curve from its noise."
            raise IdentificationError(msg)
        check_related(names[0], tables[0], name, table)
    x = np.concatenate([np.log(t.column("C")) for t in tables])
    arm = np.repeat(np.arange(len(names)), [len(t) for t in tables])
    centre = float(x.mean())
    cell = _cells(x, arm, len(names))
    return _Recipes(names, arm, x - centre, np.concatenate([t.L for t in tables]), cell, centre)


def check_related(name_a: str, a: Runs, name_b: str, b: Runs) -> None:
    """
    Refuse tables that have nothing to do with each other.

    Raises
    ------
    UnsupportedError
        If no budget, or no loss, lies in the range of both.
    """
    for what, first, second in (("budgets", a.C, b.C), ("losses", a.L, b.L)):
        if first.min() > second.max() or second.min() > first.max():
            spans = [f"{format_short(v.min(), 4)} to {format_short(v.max(), 4)}" for v in (first, second)]
            msg = (
                f"The {what} of {name_a!r} ({spans[0]}) and of {name_b!r} ({spans[1]}) do not overlap, so nothing says "
                f"that these are recipes for the same model on the same evaluation; give tables that overlap."
            )
            raise UnsupportedError(msg)


def _cells(x: Array, arm: IntArray, count: int) -> IntArray | None:
    """Codes of budgets where every recipe has one point at each, else None."""
    order = np.argsort(x, kind="stable")
    code = np.empty(x.size, dtype=np.intp)
    code[order] = np.concatenate([[0], np.cumsum(np.diff(x[order]) > SAME_BUDGET)])
    seen = np.zeros((code.max() + 1, count), dtype=np.intp)
    np.add.at(seen, (code, arm), 1)
    return code if (seen == 1).all() else None


class _Curves(NamedTuple):
    """
    Lines through ln(L - E), all with one exponent and each with its own.

    Attributes
    ----------
    height : array, shape (m,)
        At the centre, of lines with one exponent.
    shared, shared_error : float
        That exponent.
    error, freedom : float
        Scatter of a point where recipes are compared, and its degrees of freedom.
    own_height, own : array, shape (m,)
        Height and exponent of each where each has its own.
    own_error, own_freedom : float
        Scatter then.
    ratio : float
        F of one exponent against many.
    """

    height: Array
    shared: float
    shared_error: float
    error: float
    freedom: float
    own_height: Array
    own: Array
    own_error: float
    own_freedom: float
    ratio: float


def _designs(points: _Recipes) -> tuple[Array, Array]:
    """Columns of lines with one exponent and of lines with their own: heights first, then minus the exponents."""
    one = np.eye(len(points.names))[points.arm]
    return np.column_stack([one, points.x]), np.column_stack([one, one * points.x[:, None]])


def _lines(points: _Recipes, floor: float) -> _Curves:
    """Fit both kinds of lines with the floor held; budgets have effects of their own where recipes are paired."""
    y = np.log(points.loss - floor)
    m, n = len(points.names), y.size
    plain, both = _designs(points)
    level, *_ = np.linalg.lstsq(plain, y, rcond=None)
    separate, *_ = np.linalg.lstsq(both, y, rcond=None)
    rest = y - plain @ level
    spread = np.linalg.inv(plain.T @ plain)
    alpha_error = float(np.sqrt(rest @ rest / (n - m - 1) * spread[m, m]))
    base, target, taken = plain, y, m + 1
    if points.cell is not None:
        # One point per recipe and budget: what a budget does to all of them goes with the budget's mean.
        count = int(points.cell.max()) + 1
        cells = np.eye(count)[points.cell]
        base, both, target = (v - cells @ (cells.T @ v) / m for v in (plain[:, :m], both, y))
        taken = m + count - 1
    freedom = n - taken
    free = freedom - (m - 1)
    rss, rss_own = _residual(base, target), _residual(both, target)
    # With no points left to tell exponents apart their scatter is that of one exponent.
    own = rss_own / free if free > 0 else rss / freedom
    ratio = (rss - rss_own) / (m - 1) / own if free > 0 and own > 0 else float("nan")
    error = float(np.sqrt(rss / freedom))
    return _Curves(
        np.asarray(level[:m], dtype=np.float64),
        -float(level[m]),
        alpha_error,
        error,
        float(freedom),
        np.asarray(separate[:m], dtype=np.float64),
        np.asarray(-separate[m:], dtype=np.float64),
        float(np.sqrt(own)),
        float(max(free, 1)),
        float(ratio),
    )


def _residual(design: Array, target: Array) -> float:
    found, *_ = np.linalg.lstsq(design, target, rcond=None)
    rest = target - design @ found
    return float(rest @ rest)


def _sharing(points: _Recipes, lines: _Curves) -> float:
    """P of the F test of one exponent against many; NaN where no points are left to test it."""
    from scipy.special import fdtrc

    if np.isnan(lines.ratio):
        return float("nan")
    return float(fdtrc(len(points.names) - 1, lines.own_freedom, max(lines.ratio, 0.0)))


def _floors(points: _Recipes, prior: Prior | float | None) -> tuple[Array, Array]:
    """Weights and values of the floor: the likelihood of lines with one exponent, times the prior."""
    highest = float(points.loss.min()) * (1 - NEAREST)
    if isinstance(prior, float):
        if not 0 <= prior < points.loss.min():
            msg = f"The floor lies between 0 and the lowest loss, {format_short(points.loss.min(), 4)}; got {prior!r}."
            raise UnsupportedError(msg)
        return np.ones(1), np.array([prior])
    low, high = 0.0, highest
    if prior is not None:
        low, high = max(prior.mean - 5 * prior.sd, 0.0), min(prior.mean + 5 * prior.sd, highest)
    if low >= high:
        msg = f"The prior of the floor lies above the lowest loss, {format_short(points.loss.min(), 4)}."
        raise UnsupportedError(msg)
    values = np.linspace(low, high, FLOORS)
    m, n = len(points.names), points.loss.size
    plain = np.column_stack([np.eye(m)[points.arm], points.x])
    y = np.log(points.loss[None] - values[:, None])
    rest = y - (plain @ (np.linalg.pinv(plain) @ y.T)).T
    rss = (rest**2).sum(axis=1) + 1e-12
    # The density of L is that of y over L - E.
    density = -0.5 * (n - m - 1) * np.log(rss) - y.sum(axis=1)
    if prior is not None:
        density -= 0.5 * ((values - prior.mean) / prior.sd) ** 2
    weight = np.exp(density - density.max())
    return weight / weight.sum(), values


def _at(
    points: _Recipes,
    fits: list[_Curves],
    weights: Array,
    x: float,
    rng: np.random.Generator,
    *,
    one: bool,
    level: float,
) -> tuple[list[tuple[float, Interval, float, float]], float]:
    """Speed-up, interval, P(best) and p of every recipe at one budget, and P(best) of the baseline."""
    m = len(points.names)
    chosen = rng.choice(len(fits), DRAWS, p=weights)
    fields: dict[str, Any] = {name: np.array([getattr(f, name) for f in fits])[chosen] for name in _Curves._fields}
    picked = _Curves(**fields)
    gain = _drawn(points, picked, x, rng, one=one)
    lead = np.bincount(np.argmax(np.where(np.isnan(gain), -np.inf, gain), axis=1), minlength=m) / DRAWS
    lines = [(f.height, np.repeat(f.shared, m)) if one else (f.own_height, f.own) for f in fits]
    estimates = np.array([_gain(height, slope, x) for height, slope in lines])
    at = weights @ estimates
    middle = fits[int(np.argmax(weights))]
    tail = (1 - level) / 2
    found = []
    for i in range(1, m):
        low, high = np.nanquantile(gain[:, i], [tail, 1 - tail])
        p = min(_doubt(points, middle, i, x, one=one) * (m - 1), 1.0)
        found.append((float(np.exp(at[i])), (float(np.exp(low)), float(np.exp(high))), float(lead[i]), p))
    return found, float(lead[0])


def _gain(height: Array, slope: Array, x: float) -> Array:
    """Log speed-up against the first recipe, shape (..., m): how much farther along its line the loss lies."""
    first = slope[..., :1]
    with np.errstate(all="ignore"):
        return np.asarray((height[..., :1] - height + (slope - first) * x) / np.where(first > 0, first, np.nan))


def _drawn(points: _Recipes, picked: _Curves, x: float, rng: np.random.Generator, *, one: bool) -> Array:
    """Draws of the log speed-ups, shape (draws, m): multivariate t about the lines of each drawn floor."""
    m = len(points.names)
    nu = np.asarray(picked.freedom if one else picked.own_freedom)
    design = _designs(points)[0 if one else 1]
    root = np.linalg.cholesky(np.linalg.inv(design.T @ design))
    moved = rng.standard_normal((DRAWS, len(root))) @ root.T
    size = np.asarray(picked.error if one else picked.own_error) * np.sqrt(nu / rng.chisquare(nu))
    if not one:
        return _gain(picked.own_height + size[:, None] * moved[:, :m], picked.own - size[:, None] * moved[:, m:], x)
    # A shared exponent is told by all points, with whatever budgets add to them.
    unit = np.asarray(picked.shared_error) / np.sqrt(float((root[m] ** 2).sum()))
    slope = np.asarray(picked.shared) - unit * moved[:, m]
    return _gain(picked.height + size[:, None] * moved[:, :m], np.repeat(slope[:, None], m, axis=1), x)


def _doubt(points: _Recipes, lines: _Curves, i: int, x: float, *, one: bool) -> float:
    """One-sided p that recipe i is no better than the first."""
    from scipy.special import stdtr

    m = len(points.names)
    plain, both = (np.linalg.inv(d.T @ d) for d in _designs(points))
    way = np.zeros(m)
    way[0], way[i] = 1.0, -1.0
    step = way @ lines.height
    with np.errstate(divide="ignore", invalid="ignore"):
        sure = float(stdtr(lines.freedom, step / (lines.error * np.sqrt(way @ plain[:m, :m] @ way))))
        if not one:
            # Refused by chance, exponents of their own would promote too often: both tests have to.
            contrast = np.concatenate([way, x * way])
            step = way @ (lines.own_height - lines.own * x)
            error = lines.own_error * np.sqrt(contrast @ both @ contrast)
            sure = min(sure, float(stdtr(lines.own_freedom, step / error)))
    return 1.0 - sure if np.isfinite(sure) else 1.0
