r"""
Does the law fit? Several tests of the residuals, judged together against wild draws. Arrays only.

A residual may refuse a law in many ways: a bend that the law has not, an effect of the budget or of the
model size, neighbours that stray together, more scatter between cells than between repeats. Each
statistic here is a ratio of quadratic forms in the residuals; their null distribution comes from the
residuals themselves, with random signs (Liu 1988; Davidson & Flachaire 2008), so uneven noise does
no harm; and the least of their probabilities is judged against the least of each draw's, so several
tests refuse no more often than one. Rows of one run, whose errors are alike, have one sign (Cameron,
Gelbach & Miller 2008), and no pair of them counts for a group or as neighbours.

Signs cost power where runs are few: of twelve runs there are 4,096 patterns, and no draw of residuals that
are all misfit looks much better than the data. The one alternative that is known beforehand, the coupled
law, has its F test beside them, at a quarter of their level.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lawful.core.typing import Array, IntArray
from lawful.data.runs import scrambled

DRAWS = 999
"""Wild draws behind a probability."""

MANY, FEWER_DRAWS = 20_000, 199
"""Rows from which fewer draws serve: a level of 1% is exact with 199, and each of 999 would cost as much as a fit."""

REFUSED = 0.01
"""Joint probability below which the law counts as refused."""

OWN_PART = 4.0
"""
The F test of a coupling refuses at a fourth of the level of the others: so does its probability times this.

Over 30 conditions (six designs, five kinds of noise of single runs) both together then refuse a right law in 0 to
2% of the sets, and refuse couplings of .58 to 1.3 on twelve runs always, where signs alone do in 60 to 87%.
"""

AT_ONCE = 400_000
"""Numbers of wild draws that are held at once: they stay in the cache."""

FEWEST_FREE = 5
"""Degrees of freedom below which the residuals cannot judge a law."""

FEWEST_GROUPS = 3
"""Groups of two runs or more that a component of the variance needs."""

EXACT = 1e-9
"""Residuals this small, relative to the losses, are rounding."""

GIVE = 1e-9
"""Statistics this close, relatively, are equal."""


class Residuals(NamedTuple):
    """
    A fit as the tests take it, runs in any order.

    Attributes
    ----------
    slope : array, shape (p, n)
        Derivatives of the fitted values by the free coefficients.
    residual : array, shape (n,)
        Observed minus fitted.
    scale : array, shape (n,)
        Standard deviation of each run up to a factor, as the trend of the noise has it.
    even : array, shape (n,)
        The same as the weights alone have it.
    reducible : array, shape (n,)
        Fitted loss above E.
    x, y : array, shape (n,)
        ln N and ln D.
    budget, size, cell : int array, shape (n,)
        Labels of budgets, of model sizes, and of runs with equal N and D.
    curve : int array, shape (n,), or None
        Labels of the runs that the rows are of; None where every row is a run.
    """

    slope: Array
    residual: Array
    scale: Array
    even: Array
    reducible: Array
    x: Array
    y: Array
    budget: IntArray
    size: IntArray
    cell: IntArray
    curve: IntArray | None = None


class LawTest(NamedTuple):
    """
    What the tests say.

    Attributes
    ----------
    p : float or None
        Joint probability of statistics this extreme if the law is right, or four times that of the F test
        where this is less; None where runs are too few.
    each : dict of str to float
        Probability of each test alone: ``coupled`` (a power of the sum of the terms), ``quadratic`` (a bend
        in ln N and ln D), ``unfinished`` (the share of a run that is still to come), ``budget`` and ``size``
        (components of the variance), ``neighbours``, ``replicates``, all by wild draws; ``power`` (F test of a
        power of the sum, k = 1).
    missed : float
        Root mean square, over the runs, of what the bends (coupled and quadratic) add to the fit, in the
        unit of the residuals: the size of the refusal.
    """

    p: float | None
    each: dict[str, float]
    missed: float

    @property
    def refused(self) -> bool:
        """Whether the joint probability is below :data:`REFUSED`."""
        return self.p is not None and self.p < REFUSED


UNTESTED = LawTest(None, {}, 0.0)
"""Where the residuals leave nothing to judge by."""


def law_test(at: Residuals, *, seed: int = 0, coupled: bool = True) -> LawTest:
    """
    Judge a law by its residuals.

    Parameters
    ----------
    at : Residuals
    seed : int
        Seed of the wild draws; runs are put into an order of their own first, so theirs does not matter.
    coupled : bool
        Whether a power of the sum of the terms is an alternative; not so for the coupled law itself.

    Returns
    -------
    LawTest
    """
    at = _ordered(at)
    n = at.residual.size
    root = np.sqrt(1.0 / at.scale**2)
    basis = _basis((at.slope * root).T)
    free = n - basis.shape[1]
    residual = at.residual * root
    residual = residual - basis @ (basis.T @ residual)
    if free < FEWEST_FREE or np.abs(residual).max() <= EXACT * np.abs(root * (at.reducible + 1.0)).max():
        return UNTESTED
    leverage = (basis**2).sum(axis=1)
    noise = residual / np.sqrt(np.maximum(1.0 - leverage, 1e-3))
    bends = _bends(at, root, basis, coupled=coupled)
    panel = Panel.of(at, bends, free)
    curve = None if at.curve is None else np.unique(at.curve, return_inverse=True)[1]
    signs = n if curve is None else int(curve.max()) + 1
    rng, parts = np.random.default_rng(seed), [panel.judged(residual[None])]
    # A few draws at a time, the same ones: all at once they take a gigabyte for every hundred thousand runs.
    most, draws = max(AT_ONCE // n, 1), DRAWS if n < MANY else FEWER_DRAWS
    for start in range(0, draws, most):
        rows = np.asarray(rng.integers(0, 2, (min(most, draws - start), signs)) * 2.0, dtype=np.float64)
        rows -= 1.0
        rows = rows * noise if curve is None else rows[:, curve] * noise
        rows -= (rows @ basis) @ basis.T
        parts.append(panel.judged(rows))
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    ranks = {name: _ranks(values) for name, values in found.items()}
    least = np.min(list(ranks.values()), axis=0)
    each = {name: float(rank[0]) for name, rank in ranks.items()}
    joint = float((least <= least[0] * (1 + GIVE)).mean())
    # Its degrees of freedom are those of independent runs.
    power = _power(at) if coupled and curve is None else None
    if power is not None:
        each["power"] = power
        joint = min(joint, OWN_PART * power)
    every = np.concatenate(list(bends.values()), axis=1) if bends else np.empty((n, 0))
    bend = _basis(every)
    missed = bend @ (bend.T @ residual) / root
    return LawTest(joint, each, float(np.sqrt((missed**2).mean())))


def _ordered(at: Residuals) -> Residuals:
    order = np.lexsort((scrambled(at.residual), at.y, at.x))
    rest = {name: v[order] for name, v in at._asdict().items() if v is not None and name != "slope"}
    return at._replace(slope=at.slope[:, order], **rest)


def _power(at: Residuals) -> float | None:
    """
    Probability of the F test of k = 1 against the coupled law, linearised there; None where the law can follow it.

    All runs count as equally noisy up to their weights: a trend of the noise that is fitted to what the law
    misses would take part of it for noise.
    """
    from scipy.special import fdtrc

    root = 1.0 / at.even
    basis = _basis((at.slope * root).T)
    bend = _bends(at, root, basis, coupled=True).get("coupled")
    free = root.size - basis.shape[1]
    if bend is None or free < FEWEST_FREE:
        return None
    residual = at.residual * root
    residual = residual - basis @ (basis.T @ residual)
    return float(fdtrc(1, free - 1, _explained(residual[None], _basis(bend), free)[0]))


def _basis(columns: Array) -> Array:
    """Orthonormal columns that span the given ones, those that add nothing left out, shape (n, k)."""
    size = np.sqrt((columns**2).sum(axis=0))
    columns = columns[:, size > 0] / size[size > 0]
    left, values, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(left[:, values > 1e-9 * max(values.max(initial=0.0), 1e-300)])


def _bends(at: Residuals, root: Array, basis: Array, *, coupled: bool) -> dict[str, Array]:
    """Directions in which the law might bend, what it can do by itself taken out."""
    x, y = at.x - at.x.mean(), at.y - at.y.mean()
    x, y = x / max(float(np.abs(x).max()), 1e-12), y / max(float(np.abs(y).max()), 1e-12)
    bends = {"quadratic": np.stack([x * x, x * y, y * y], axis=1)}
    if coupled:
        # The derivative of S^k by k at k = 1.
        bends["coupled"] = (at.reducible * np.log(at.reducible))[:, None]
    if at.curve is not None:
        last = np.full(int(at.curve.max()) + 1, -np.inf)
        np.maximum.at(last, at.curve, at.y)
        bends["unfinished"] = 1.0 - np.exp(at.y - last[at.curve])[:, None]
    found = {}
    for name, columns in bends.items():
        here = columns * root[:, None]
        size = np.sqrt((here**2).sum(axis=0))
        left = here - basis @ (basis.T @ here)
        # What is left of a column that the law can nearly follow is rounding.
        left = left[:, np.sqrt((left**2).sum(axis=0)) > 1e-6 * size]
        if left.shape[1]:
            found[name] = left
    return found


def _explained(rows: Array, basis: Array, free: int) -> Array:
    """Share of the squares that orthonormal directions explain, against what they leave, per draw."""
    part = ((rows @ basis) ** 2).sum(axis=1)
    rest = (rows**2).sum(axis=1) - part
    count = basis.shape[1]
    return np.asarray(part / count / np.maximum(rest / max(free - count, 1), 1e-300))


class Several(NamedTuple):
    """
    Groups of two runs or more, as stretches of an order.

    Attributes
    ----------
    order : int array, shape (m,)
        Runs that have company, group by group.
    starts, runs : int array, shape (g,)
        Where each group starts in the order, and how many runs it has.
    curves : Several or None
        The same runs by group and curve, counted as in their group; None where every row is a run.
    """

    order: IntArray
    starts: IntArray
    runs: IntArray
    curves: Several | None = None

    def squares(self, rows: Array) -> Array:
        """Return the sum over groups of (sum of its runs)²/count, less what single curves add, shape (R,)."""
        if not self.runs.size:
            return np.zeros(len(rows))
        sums = np.add.reduceat(rows.take(self.order, axis=1), self.starts, axis=1)
        own = 0.0 if self.curves is None else self.curves.squares(rows)
        return np.asarray((sums**2 / self.runs).sum(axis=1) - own)


class Panel(NamedTuple):
    """
    Every statistic of one table; what no draw changes is worked out once.

    Attributes
    ----------
    bends : dict of str to array, shape (n, k)
        Orthonormal directions in which the law might bend.
    free : int
        Degrees of freedom of the residuals.
    groups : dict of str to Several
        Budgets and sizes whose component of the variance can be told.
    path : int array, shape (n,), or None
        Order of neighbours along every budget; None where too few have one.
    together : array, shape (n - 1,)
        1 where two that follow each other there are of one budget, else 0.
    cells : Several or None
        Runs with the same N and D; None where too few repeat.
    """

    bends: dict[str, Array]
    free: int
    groups: dict[str, Several]
    path: IntArray | None
    together: Array
    cells: Several | None

    @classmethod
    def of(cls, at: Residuals, bends: dict[str, Array], free: int) -> Panel:
        """Return the statistics that a design allows."""
        budgets, cells = _several(at.budget, at.curve), _several(at.cell)
        groups = {
            name: several
            for name, several in (("budget", budgets), ("size", _several(at.size, at.curve)))
            if FEWEST_GROUPS <= several.runs.size < at.residual.size - 1
        }
        path: IntArray = np.lexsort((at.x, at.budget))
        together = at.budget[path][1:] == at.budget[path][:-1]
        if at.curve is not None:
            together &= at.curve[path][1:] != at.curve[path][:-1]
        near = together.sum() >= 6 and budgets.runs.size > 1
        inside, between = int((cells.runs - 1).sum()), len(np.unique(at.cell))
        # Seeds that share N and D at every checkpoint are as many runs, not as many rows.
        repeats = at.curve is None and inside >= 2 and between > 6 and cells.runs.size >= 2
        bases = {name: _basis(columns) for name, columns in bends.items()}
        return cls(bases, free, groups, path if near else None, together.astype(float), cells if repeats else None)

    def judged(self, rows: Array) -> dict[str, Array]:
        """Return every statistic of rows of residuals, shape (R,) each."""
        found = {name: _explained(rows, basis, self.free) for name, basis in self.bends.items()}
        square = (rows**2).sum(axis=1)
        for name, several in self.groups.items():
            # Score of a component of the variance: the pairs of one group that agree in sign.
            found[name] = several.squares(rows) / square
        if self.path is not None:
            along = rows.take(self.path, axis=1)
            found["neighbours"] = (along[:, 1:] * along[:, :-1]) @ self.together / square
        if self.cells is not None:
            within = (rows.take(self.cells.order, axis=1) ** 2).sum(axis=1) - self.cells.squares(rows)
            found["replicates"] = (square - within) / np.maximum(within, 1e-12 * square)
        return found


def _several(label: IntArray, curve: IntArray | None = None) -> Several:
    """Return the groups of two runs or more; of rows that are of curves, those of two curves or more."""
    _, index, count = np.unique(label, return_inverse=True, return_counts=True)
    if curve is None:
        order = np.argsort(index, kind="stable")
        order = order[count[index[order]] > 1]
        count = count[count > 1]
        return Several(order, np.concatenate([[0], np.cumsum(count)[:-1]])[: count.size], count)
    pairs, pair = np.unique(np.stack([index, curve]), axis=1, return_inverse=True)
    pair = pair.reshape(-1)  # NumPy 2.0 keeps the axis
    shared = np.bincount(pairs[0], minlength=count.size) > 1
    order = np.lexsort((pair, index))
    order = order[shared[index[order]]]
    sizes, of = np.bincount(pair)[shared[pairs[0]]], pairs[0][shared[pairs[0]]]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])[: sizes.size]
    ends = np.concatenate([[0], np.cumsum(count[shared])[:-1]])[: int(shared.sum())]
    return Several(order, ends, count[shared], Several(order, starts, count[of]))


def _ranks(values: Array) -> Array:
    """Share of all draws, the data among them, with a statistic at least as large as each one's."""
    ordered = np.sort(values)
    at_least = values.size - np.searchsorted(ordered, values - GIVE * np.abs(values), side="left")
    return np.asarray(at_least / values.size)


def gap_labels(logs: Array, gap: float) -> IntArray:
    """Label values in ascending order, a new label after each gap, shape (n,)."""
    order = np.argsort(logs, kind="stable")
    label = np.empty(logs.size, dtype=np.intp)
    label[order] = np.concatenate([[0], np.cumsum(np.diff(logs[order]) > gap)])
    return label
