"""Undertuned runs: a few losses far above an otherwise tight IsoFLOP curve."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lawful.core.notes import Note
from lawful.core.runs import Runs
from lawful.estimate.result import Fit

Array = NDArray[np.float64]
IntArray = NDArray[np.intp]

LEVEL = 0.05
"""Chance of a note on runs with nothing but Gaussian noise."""

FEWEST_SIZES = 5
"""A parabola through fewer runs of a budget leaves too little to judge them by."""

FEWEST_FREEDOM = 5
"""Degrees of freedom, over all budgets, that the noise must be estimated from."""

LARGEST_SHARE = 0.2
"""Beyond this share of the runs, what lies above the curve is no exception."""

BUDGETS_NAMED = 5


def undertuned(fit: Fit) -> tuple[Note, ...]:
    """
    Look for budgets where some runs lie far above the curve and none lies as far below it.

    A run whose learning rate or schedule was not tuned for its size ends above the
    curve of its budget, never below: its mistake is one-sided, while noise is not.

    Parameters
    ----------
    fit : Fit
        A fitted surface with its runs.

    Returns
    -------
    tuple of Note
        One note ``undertuned`` that names budgets and runs, or nothing.

    See Also
    --------
    runs_above : How a run is judged.

    Notes
    -----
    The residuals of the fit are judged by :func:`runs_above`, and again with their sign
    turned. A budget is named where the former finds runs and the latter none. A budget
    whose runs are all equally undertuned cannot be told this way.

    Examples
    --------
    >>> truth = lawful.study_surface("chinchilla")
    >>> plan = lawful.plan_isoflop([1e18, 1e19, 1e20, 1e21], 9, surface=truth)
    >>> runs = lawful.simulate(truth, plan, noise=0.002)
    >>> undertuned(lawful.fit(runs))
    ()
    >>> loss = runs.L.copy()
    >>> loss[[3, 12]] += 0.03
    >>> print(undertuned(lawful.fit({"params": runs.N, "tokens": runs.D, "budget": runs.C, "loss": loss}))[0].message)
    2 of 36 runs lie far above the curve of their budget and none as far below, as undertuned runs do: \
1 at 1e+18 FLOPs (row 4), 1 at 1e+19 FLOPs (row 13); look at their learning rates, or set them aside with --check.
    """
    runs, residuals = fit.runs, fit.residuals
    above, below = runs_above(runs, residuals), runs_above(runs, -residuals)
    noisy = np.unique(runs.group[below])
    found = above[~np.isin(runs.group[above], noisy)]
    if not found.size:
        return ()
    groups = np.unique(runs.group[found])
    row = np.arange(1, len(runs) + 1) if runs.row is None else runs.row
    where = [
        f"{here.size} at {runs.budgets[group]:.3g} FLOPs (row {', '.join(map(str, row[here].tolist()))})"
        for group in groups[:BUDGETS_NAMED]
        for here in (np.sort(found[runs.group[found] == group]),)
    ]
    more = groups.size - len(where)
    message = (
        f"{found.size} of {len(runs)} runs lie far above the curve of their budget and none as far below, as "
        f"undertuned runs do: {', '.join(where)}{f' and {more} more budgets' if more else ''}; "
        "look at their learning rates, or set them aside with --check."
    )
    return (Note("undertuned", message),)


def runs_above(runs: Runs, residuals: Array, level: float = LEVEL) -> IntArray:
    """
    Find runs that lie far above the curve through the other runs of their budget.

    Parameters
    ----------
    runs : Runs
        Training runs in budgets.
    residuals : array, shape (n,)
        Observed minus fitted loss in nats.
    level : float
        Chance that any run at all is found where there is Gaussian noise alone.

    Returns
    -------
    int array, shape (m,)
        Positions of the runs, most extreme first.

    Notes
    -----
    At every budget with five sizes or more the residuals get a parabola in ln N of their
    own, so that a law which bends too little is not taken for undertuning. The run with the
    largest externally studentised residual is compared with Student's t at
    ``level / n`` (one-sided, Bonferroni over the n runs, noise pooled over the budgets),
    taken away, and the rest judged again, up to a fifth of the runs: the generalised
    extreme studentised deviate test of Rosner (1983), which lets no undertuned run hide
    another. All found up to the last that passes count.
    """
    from scipy.special import stdtrit

    kept = np.flatnonzero(runs.sizes_per_budget[runs.group] >= FEWEST_SIZES)
    taken: list[int] = []
    passed = 0
    x = np.log(runs.N)
    for _ in range(int(LARGEST_SHARE * kept.size)):
        groups, group = np.unique(runs.group[kept], return_inverse=True)
        freedom = kept.size - 3 * groups.size - 1
        if freedom < FEWEST_FREEDOM:
            break
        t = _studentised(x[kept], residuals[kept], group, freedom)
        worst = int(np.argmax(t))
        taken.append(int(kept[worst]))
        if t[worst] > stdtrit(freedom, 1 - level / kept.size):
            passed = len(taken)
        kept = np.delete(kept, worst)
    return np.array(taken[:passed], dtype=np.intp)


def _studentised(x: Array, y: Array, group: IntArray, freedom: int) -> Array:
    """Externally studentised residuals of a parabola per group, noise pooled; -inf where a run is alone."""
    rest, share = np.empty(x.size), np.empty(x.size)
    for g in range(group.max() + 1):
        here = group == g
        u = x[here] - x[here].mean()
        scale = np.abs(u).max() or 1.0
        u = u / scale
        q, _ = np.linalg.qr(np.stack([np.ones_like(u), u, u * u], axis=1))
        rest[here] = y[here] - q @ (q.T @ y[here])
        share[here] = 1 - (q * q).sum(axis=1)  # what of a run's own deviation its residual shows
    with np.errstate(divide="ignore", invalid="ignore"):
        own = rest**2 / share
        t = rest / np.sqrt(share * (rest @ rest - own) / freedom)
    return np.where((share > 1e-9) & np.isfinite(t), t, -np.inf)
