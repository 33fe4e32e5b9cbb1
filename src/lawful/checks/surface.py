"""
Rows against the surface: which runs of a ladder, a grid or any other design stray from the law through the rest.

A design whose runs do not stand in budgets has no IsoFLOP curves to judge them by. Its runs are judged against a
surface instead, worst first, and by a fit that the bad ones do not lead.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lawful.core.typing import Array, BoolArray, IntArray
from lawful.data.cells import best_of_cells, cells_of, first_of_copies, tuned_columns
from lawful.data.checkpoints import curve_codes, distinct_within
from lawful.data.runs import Runs
from lawful.errors import LawfulError
from lawful.estimate.fit import fit
from lawful.estimate.result import losses_of
from lawful.laws.surface import Surface

SURFACE_OUTLIER, NOT_BEST = "surface_outlier", "not_best_of_cell"

SURFACE_SENTENCES: dict[str, str] = {
    NOT_BEST: "Another setting of the hyper-parameters reached a lower loss with the same N and D.",
    SURFACE_OUTLIER: "The loss is far from what the law through the other runs predicts.",
}
"""Codes of designs that are not IsoFLOP, each with its sentence."""

FEWEST = 12
"""Fewer runs cannot be judged against a surface of five coefficients."""

FEWEST_ROWS = 6
"""Fewer rows are no design of any kind."""

GROSS, GROSS_SHARE = 40.0, 0.1
"""On IsoFLOP curves a run this many standard errors, and this log residual, off the surface diverged or is mistyped. It
goes before the published rules, which would flag its neighbours with it; of the six published sweeps that the rules
were tried on, none has a run beyond 28."""

SIZES_PER_BUDGET = 3.0
"""Mean count of model sizes at a budget from which a design is IsoFLOP: a parabola asks for three."""

FULL = 0.6
"""Share of the cells of sizes by token counts (or by tokens per parameter) that makes a table a grid of these."""

SAME_LEVEL = 0.02
"""Logs of sizes, tokens or ratios closer than this are one level, as whole steps round them."""

APART = 1.5
"""Budgets lie farther apart than this many times their own range; groups that chance formed do not."""

LEVEL = 0.005
"""Chance that any run at all is flagged where there is Gaussian noise alone."""

LEAST = 0.003
"""Log residual below which a run is not flagged, whatever the noise: 0.3% of its loss changes no decision."""

LARGEST_SHARE = 0.25
"""Runs beyond this share are no exception, and none more is looked for."""

MOST_STEPS = 60
"""Runs taken away at the most."""

ROUNDS = 3
"""Fits of what is left, the last of which judges."""

MOST_FITTED = 4000
"""Of more runs an even selection is fitted; all are judged."""

UNEVEN = 2.5
"""Standard errors from which a trend of the noise with the reducible loss is believed."""

TINY = 1e-9


def _levels(values: Array) -> IntArray:
    """Label values by level: sorted logs, cut at gaps."""
    logs = np.log(values)
    order = np.argsort(logs, kind="stable")
    label = np.empty(logs.size, dtype=np.intp)
    label[order] = np.concatenate([[0], np.cumsum(np.diff(logs[order]) > SAME_LEVEL)])
    return label


def is_isoflop(runs: Runs) -> bool:
    """
    Whether runs stand in budgets that IsoFLOP curves can be drawn through.

    They do where a budget has three sizes or more on average, and its runs lie closer to each other than
    budgets do. A grid of sizes by token counts, or by tokens per parameter, is none, though in regular steps
    its runs meet on common budgets; nor are rows of training curves.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> is_isoflop(lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 7, surface=truth)))
    True
    >>> N, D = (a.ravel() for a in np.meshgrid([1e8, 2e8, 4e8, 8e8, 1.6e9], [2e9, 4e9, 8e9, 1.6e10]))
    >>> is_isoflop(Runs.from_arrays(N, D, truth.loss(N, D)))
    False
    """
    size, tokens, ratio = (_levels(v) for v in (runs.N, runs.D, runs.D / runs.N))
    met = int(distinct_within(size, runs.group).sum())
    for along in (tokens, ratio):
        count = int(distinct_within(size, along).sum())
        across = met / ((size.max() + 1) * runs.budgets.size)
        share = count / ((size.max() + 1) * (along.max() + 1))
        if min(size.max(), along.max()) >= 2 and share >= FULL and share > across:
            return False
    if curve_codes(runs.labels, runs.N, runs.D) is not None:
        return False
    if met < SIZES_PER_BUDGET * runs.budgets.size:
        return False
    logs = np.log(runs.C)
    low, high = (reduce(logs, runs.group, runs.budgets.size) for reduce in (_least, _most))
    gap = low[1:] - high[:-1]
    return bool(gap.size == 0 or np.median(gap) >= APART * np.median(high - low))


def _least(values: Array, group: IntArray, count: int) -> Array:
    out = np.full(count, np.inf)
    np.minimum.at(out, group, values)
    return out


def _most(values: Array, group: IntArray, count: int) -> Array:
    return -_least(-values, group, count)


def against_surface(runs: Runs) -> bool:
    """Whether budgets are no help to judge these runs by: no IsoFLOP design, and more than a handful of rows."""
    return runs.has("N") and runs.has("D") and len(runs) >= FEWEST_ROWS and not is_isoflop(runs)


def gross_strays(runs: Runs) -> BoolArray:
    """
    Flag runs of an IsoFLOP design that are off the surface by far more than noise or a wrong law could explain.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 7, surface=truth), noise=0.003)
    >>> loss = runs.L.copy()
    >>> loss[5] = 9.0
    >>> np.flatnonzero(gross_strays(Runs.from_arrays(runs.N, runs.D, loss, C=runs.C))).tolist()
    [5]
    """
    flagged = np.zeros(len(runs), dtype=bool)
    order = np.lexsort((runs.L, runs.D, runs.N))
    ordered = runs.take(order)
    steps = min(int(LARGEST_SHARE * order.size), MOST_STEPS)
    at = _around(ordered, np.ones(order.size, dtype=bool)) if order.size >= FEWEST else None
    if at is None:
        return flagged
    kept = _peeled(at, LEVEL, steps)
    if not kept.all() and (again := _around(ordered, kept)) is not None:
        at, kept = again, _judged(again, kept, LEVEL, steps)
    t, off, _ = _distances(at, kept)
    flagged[order] = ~kept & (np.abs(t) > GROSS) & (np.abs(off) > GROSS_SHARE)
    return flagged


def surface_flags(runs: Runs) -> dict[str, BoolArray]:
    """
    Flag the runs of a design that is not IsoFLOP.

    Parameters
    ----------
    runs : Runs

    Returns
    -------
    dict of str to bool array, shape (n,)
        By code: copies of a row, all but the best of each cell of a hyper-parameter sweep, and runs far from
        the surface through the rest. No run is flagged twice.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> N, D = (a.ravel() for a in np.meshgrid([1e8, 2e8, 4e8, 8e8, 1.6e9], [2e9, 4e9, 8e9, 1.6e10]))
    >>> noise = np.random.default_rng(0).normal(0, 0.003, N.size)
    >>> noise[[3, 11]] += 0.1
    >>> np.flatnonzero(surface_flags(Runs.from_arrays(N, D, truth.loss(N, D) + noise))["surface_outlier"]).tolist()
    [3, 11]
    """
    copies = np.ones(len(runs), dtype=bool)
    copies[first_of_copies(runs)] = False
    left = np.flatnonzero(~copies)
    cell = cells_of(runs.N[left], runs.D[left])
    labels = {key: column[left] for key, column in runs.labels.items()}
    worse = np.zeros(len(runs), dtype=bool)
    if tuned_columns(labels, cell):
        worse[left] = ~best_of_cells(runs.L[left], cell)
    left = np.flatnonzero(~copies & ~worse)
    stray = np.zeros(len(runs), dtype=bool)
    found = left[strays(runs.take(left))]
    stray[found] = True
    stray[annealed_ends(runs, found)] = False
    return {"exact_duplicate": copies, NOT_BEST: worse, SURFACE_OUTLIER: stray}


def annealed_ends(runs: Runs, found: IntArray) -> IntArray:
    """
    Of some runs, the last rows of training curves, if more than half of the curves have theirs among them.

    The loss drops where the learning rate does: such a row is the end of its run, and no mistake.
    """
    curve = curve_codes(runs.labels, runs.N, runs.D)
    if curve is None or not found.size:
        return np.array([], dtype=np.intp)
    order = np.lexsort((runs.D, curve))
    last = order[np.append(np.diff(curve[order]) > 0, True)]
    ends = np.intersect1d(found, last)
    return ends if ends.size > last.size / 2 else np.array([], dtype=np.intp)


class Around(NamedTuple):
    """Log residuals about a surface, their slopes, relative spread and curve (None where runs share none), per run."""

    residual: Array
    slope: Array
    spread: Array
    curve: IntArray | None


def strays(runs: Runs, level: float = LEVEL, *, side: int = 0) -> IntArray:
    """
    Find runs far from the surface through the rest, worst first.

    Parameters
    ----------
    runs : Runs
    level : float
        Chance that any run at all is found where there is Gaussian noise alone.
    side : int
        1 for losses that are too high, -1 for those too low, 0 for both.

    Returns
    -------
    int array, shape (m,)
        Positions, ascending; nothing where the runs are too few or no surface can be fitted.

    Notes
    -----
    A log-Huber fit with a narrow delta, which runs far off hardly lead, orders the runs by their residuals. Along
    that order runs are taken away one at a time; each is compared with what the surface through those that
    are left predicts for it, in standard errors of a prediction, by the slopes of the surface. All up to
    the last beyond Bonferroni's bound count (the test of Rosner 1983, in which none hides another). Then the rest
    is fitted anew, and every run is judged once more against it.
    """
    order = np.lexsort((runs.L, runs.D, runs.N))
    kept = np.ones(order.size, dtype=bool)
    ordered = runs.take(order)
    steps = min(int(LARGEST_SHARE * order.size), MOST_STEPS)
    if order.size < FEWEST or not steps:
        return np.array([], dtype=np.intp)
    for turn in range(ROUNDS):
        at = _around(ordered, kept)
        if at is None:
            return np.array([], dtype=np.intp)
        before = kept
        kept = _peeled(at, level, steps) if turn == 0 else _judged(at, kept, level, steps)
        if turn and np.array_equal(kept, before):
            break
    gone = ~kept
    if side and at is not None:
        gone &= np.sign(_distances(at, kept)[1]) == side
    return np.sort(order[gone])


def _around(runs: Runs, kept: BoolArray) -> Around | None:
    """Fit the kept runs and linearise the log of the surface at all of them."""
    some = np.flatnonzero(kept)
    some = some[:: -(-some.size // MOST_FITTED)]
    bare = Runs.from_arrays(runs.N, runs.D, runs.L, C=runs.C, groups=(runs.group.copy(), runs.budgets.copy()))
    try:
        found = fit(bare.take(some), method="approach3")
    except LawfulError:
        return None
    surface: Surface = found.surface
    fitted = np.asarray(losses_of(surface, bare))
    k = surface.coefficients
    n, d = np.exp(-k["alpha"] * np.log(runs.N)), np.exp(-k["beta"] * np.log(runs.D))
    columns = [np.ones_like(n), n, d, -k["A"] * n * np.log(runs.N), -k["B"] * d * np.log(runs.D)]
    slope = np.stack(columns, axis=1) / fitted[:, None]
    norm = np.sqrt((slope**2).sum(axis=0))
    slope = slope / np.where(norm > 0, norm, 1.0)
    residual = np.log(runs.L / fitted)
    if not (np.isfinite(residual).all() and np.isfinite(slope).all()):
        return None
    reducible = np.maximum(fitted - k["E"], TINY * fitted) / fitted
    # Rows of one run share its error: each is judged beside the others of its own curve.
    return Around(residual, slope, _spread(residual, reducible, kept), curve_codes(runs.labels, runs.N, runs.D))


def _spread(residual: Array, reducible: Array, kept: BoolArray) -> Array:
    """Relative spread of the noise at every run: a power of the reducible share of its loss, where one shows."""
    x, size = np.log(reducible), np.abs(residual)
    seen = kept & (size > TINY)
    if seen.sum() < FEWEST or np.ptp(x[seen]) < TINY:
        return np.ones_like(residual)
    y, away = np.log(size[seen]), x[seen] - x[seen].mean()
    power = float(away @ y / (away @ away))
    # ln |noise| of a normal variable has variance pi²/8.
    error = float(np.pi / np.sqrt(8.0 * (away @ away)))
    power = float(np.clip(power, -2.0, 2.0)) if abs(power) > UNEVEN * error else 0.0
    return np.asarray(np.exp(power * (x - x[seen].mean())))


class _Line(NamedTuple):
    """Least squares through the kept runs: what is left of every run, its leverage, and degrees of freedom."""

    rest: Array
    leverage: Array
    freedom: int


def _line(at: Around, kept: BoolArray) -> _Line:
    r"""
    Regress the residuals of the kept runs on their slopes, and on a level per curve.

    Notes
    -----
    A column per curve would make a matrix of runs times curves. Less their means over the kept runs of a curve
    (weighted as the runs are), residuals and slopes are regressed on each other with the same remainder (Frisch
    and Waugh 1933), and the leverage is that of the mean and that of what is left. A curve with no kept run has no
    level.
    """
    slope, residual = at.slope / at.spread[:, None], at.residual / at.spread
    level, levels = np.zeros(residual.size), 0
    if at.curve is not None:
        one = 1.0 / at.spread
        weight = np.where(kept, one, 0.0)
        total = np.bincount(at.curve, weight * one)
        levels = int((total > 0).sum())
        total[total == 0] = np.inf
        columns = np.column_stack([slope, residual])
        means = np.stack([np.bincount(at.curve, weight * column) for column in columns.T], axis=1) / total[:, None]
        columns -= one[:, None] * means[at.curve]
        slope, residual, level = columns[:, :-1], columns[:, -1], one**2 / total[at.curve]
    _, s, vt = np.linalg.svd(slope[kept], full_matrices=False)
    good = s > TINY * s.max()
    inverse = (vt[good].T / s[good] ** 2) @ vt[good]
    rest = residual - slope @ (inverse @ (slope[kept].T @ residual[kept]))
    leverage = level + (slope @ inverse * slope).sum(axis=1)
    return _Line(rest, leverage, int(kept.sum()) - int(good.sum()) - levels)


def _distances(at: Around, kept: BoolArray) -> tuple[Array, Array, int]:
    """
    Distance of every run from the surface through the kept ones, itself left out.

    Returns
    -------
    (array, array, int)
        In standard errors of a prediction, and in logs of the loss; and the degrees of freedom for a kept run.
    """
    rest, leverage, freedom = _line(at, kept)
    leverage = np.minimum(leverage, 1.0 / TINY)
    total = float(rest[kept] @ rest[kept])
    free = max(freedom - 1, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.maximum(1.0 - leverage, TINY)
        inside = rest / np.sqrt(own * np.maximum(total - rest**2 / own, 0.0) / free)
        outside = rest / np.sqrt((1.0 + leverage) * total / max(freedom, 1))
        t = np.where(kept, inside, outside)
        off = np.where(kept, rest / own, rest) * at.spread
    # A run that decides its own prediction says nothing of itself.
    usable = ~kept | (leverage < 1.0 - TINY)
    return np.where(usable & np.isfinite(t), t, 0.0), np.where(usable, off, 0.0), freedom


def _bound(freedom: int, tests: int, level: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(max(freedom, 1), 1.0 - level / (2 * tests)))


def _far(t: Array, off: Array, bound: float) -> BoolArray:
    return np.asarray((np.abs(t) > bound) & (np.abs(off) > LEAST))


def _peeled(at: Around, level: float, steps: int) -> BoolArray:
    """Take runs away in the order of their residuals about a robust fit; keep those behind the last that is far."""
    n = at.residual.size
    worst = np.argsort(-np.abs(at.residual) / at.spread, kind="stable")[:steps]
    kept, passed = np.ones(n, dtype=bool), 0
    for step, index in enumerate(worst, start=1):
        kept[index] = False
        t, off, freedom = _distances(at, kept)
        if _far(t[index], off[index], _bound(freedom, n, level)):
            passed = step
    kept[worst[passed:]] = True
    return kept


def _judged(at: Around, kept: BoolArray, level: float, steps: int) -> BoolArray:
    """Judge every run against the kept ones: those within bounds come back, and the worst beyond them goes."""
    kept = kept.copy()
    n = kept.size
    for _ in range(2 * steps):
        t, off, freedom = _distances(at, kept)
        bounds = [_bound(freedom - 1, n, level), _bound(freedom, n, level)]
        far = np.where(kept, _far(t, off, bounds[0]), _far(t, off, bounds[1]))
        size = np.abs(t)
        near = np.flatnonzero(~kept & ~far)
        if near.size:
            kept[near[np.argmin(size[near])]] = True
            continue
        beyond = np.flatnonzero(kept & far)
        if not beyond.size or n - kept.sum() >= steps:
            break
        kept[beyond[np.argmax(size[beyond])]] = False
    return kept
