"""Undertuned runs: a few losses far above an otherwise tight IsoFLOP curve, or above the law through the others."""

from __future__ import annotations

import numpy as np

from lawful.checks.surface import LEAST, is_isoflop, strays
from lawful.core.notes import Note
from lawful.core.numbers import format_short
from lawful.core.typing import Array, IntArray
from lawful.data.runs import Runs
from lawful.estimate.result import Fit
from lawful.solve.parabola import Abscissae

LEVEL = 0.04
"""Bound on the chance of a note where there is Gaussian noise alone; with the fit of a surface it stays below 5%."""

SURFACE_LEVEL = 0.01
"""The same for designs that are not IsoFLOP, where the noise may be uneven and the law is refitted."""

FEWEST_FREEDOM = 2
"""Degrees of freedom that the noise of a budget is estimated from at the least."""

LARGEST_SHARE = 0.25
"""Beyond this share of the runs of a budget, what lies above the curve is no exception."""

MOST_STEPS = 10
"""Runs that are looked for at one budget; more are no exception."""

TINY = 1e-9
"""Relative size below which a number is rounding."""

BUDGETS_NAMED = 5

ROWS_NAMED = 10


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
    whose runs are all equally undertuned cannot be told this way. A run less than 0.3% of its loss above is not named,
    however small the noise.

    Runs of other designs (ladders, grids, training curves) are compared with the law through the others by
    :func:`~lawful.checks.surface.strays`, and named where runs lie far above it and none far below.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> plan = lawful.Plan.isoflop([1e18, 1e19, 1e20, 1e21], 9, surface=truth)
    >>> runs = lawful.simulate(truth, plan, noise=0.002)
    >>> undertuned(lawful.fit(runs))
    ()
    >>> loss = runs.L.copy()
    >>> loss[[3, 12]] += 0.03
    >>> print(undertuned(lawful.fit({"params": runs.N, "tokens": runs.D, "budget": runs.C, "loss": loss}))[0].message)
    2 of 36 runs lie far above the curve of the budget, where none lies as far below, as undertuned runs do: \
1 at 1e18 FLOPs (row 4), 1 at 1e19 FLOPs (row 13); look at how they were tuned; lawful check shows the curves.
    """
    fit = fit.core
    runs, residuals = fit.runs, fit.residuals
    if not is_isoflop(runs):
        return _undertuned_off_budgets(fit)
    off = residuals if fit.objective.is_log else residuals / runs.L
    above, below = (
        found[np.abs(off[found]) > LEAST] for found in (runs_above(runs, e) for e in (residuals, -residuals))
    )
    noisy = np.unique(runs.group[below])
    found = above[~np.isin(runs.group[above], noisy)]
    if not found.size:
        return ()
    groups = np.unique(runs.group[found])
    row = _rows(runs)
    where = [
        f"{here.size} at {format_short(runs.budgets[group], 3)} FLOPs (row {', '.join(map(str, row[here].tolist()))})"
        for group in groups[:BUDGETS_NAMED]
        for here in (np.sort(found[runs.group[found] == group]),)
    ]
    more = groups.size - len(where)
    message = (
        f"{found.size} of {len(runs)} runs {'lies' if found.size == 1 else 'lie'} far above the curve of the budget, "
        f"where none lies as far below, as undertuned runs do: {', '.join(where)}"
        f"{f' and {more} more budgets' if more else ''}; "
        "look at how they were tuned; lawful check shows the curves."
    )
    return (Note("undertuned", message),)


def _rows(runs: Runs) -> IntArray:
    return np.arange(1, len(runs) + 1) if runs.row is None else runs.row


def _undertuned_off_budgets(fit: Fit) -> tuple[Note, ...]:
    """Say which runs of a ladder, a grid or the like lie above the law through the others."""
    runs = fit.runs
    if set(fit.surface.law.columns) != {"N", "D"}:
        return ()
    found = strays(runs, SURFACE_LEVEL, side=1)
    if not found.size or strays(runs, SURFACE_LEVEL, side=-1).size:
        return ()
    rows = np.sort(_rows(runs)[found])
    named = ", ".join(map(str, rows[:ROWS_NAMED])) + (
        f" and {rows.size - ROWS_NAMED} more" if rows.size > ROWS_NAMED else ""
    )
    lie, rows_word = ("lies", "row") if found.size == 1 else ("lie", "rows")
    message = (
        f"{found.size} of {len(runs)} runs {lie} far above the law through the others, where none lies as far below, "
        f"as undertuned runs do: {rows_word} {named}; look at how they were tuned; `check` leaves them out."
    )
    return (Note("undertuned", message),)


def runs_above(runs: Runs, residuals: Array) -> IntArray:
    """
    Find runs that lie far above the curve through the other runs of their budget.

    Parameters
    ----------
    runs : Runs
        Training runs in budgets.
    residuals : array, shape (n,)
        Observed minus fitted loss in nats.

    Returns
    -------
    int array, shape (m,)
        Positions of the runs, budget by budget.

    Notes
    -----
    At every budget the residuals get a parabola in ln N of their own, so that a law which
    bends too little is not taken for undertuning, and a noise of their own, since runs of
    small budgets are often noisier. The run with the largest externally studentised
    residual is compared with Student's t, one-sided, taken away, and the rest judged
    again, up to a quarter of the runs; all up to the last that passes count. That is the
    generalised extreme studentised deviate test of Rosner (1983), in which no
    undertuned run hides another. Runs that repeat a size at a budget share what their size does, so their mean
    is judged. Bonferroni's correction covers every run of every
    budget and every step.
    """
    from scipy.special import stdtrit

    order = np.argsort(runs.group, kind="stable")
    curves = np.split(order, np.cumsum(np.bincount(runs.group))[:-1])
    curves = [curve for curve in curves if curve.size >= FEWEST_FREEDOM + 4]
    total = sum(curve.size for curve in curves)
    found: list[IntArray] = []
    for whole in curves:
        curve, mean = _cells(runs, residuals, whole)
        if curve.size < FEWEST_FREEDOM + 4:
            continue
        steps = max(1, min(MOST_STEPS, int(LARGEST_SHARE * curve.size)))
        kept, taken, passed = curve, [], 0
        for _ in range(steps):
            freedom = kept.size - 4
            if freedom < FEWEST_FREEDOM:
                break
            t = _studentised(np.log(runs.N[kept]), mean[kept])
            worst = int(np.argmax(t))
            taken.append(kept[worst])
            kept = np.delete(kept, worst)
            if t[worst] > stdtrit(freedom, 1 - LEVEL / (total * steps)):
                passed = len(taken)
        found.append(whole[np.isin(runs.N[whole], runs.N[taken[:passed]])])
    return np.concatenate(found) if found else np.array([], dtype=np.intp)


def _cells(runs: Runs, residuals: Array, curve: IntArray) -> tuple[IntArray, Array]:
    """First run of every size of a budget, and the mean residual of its size in the place of each, shape (n,)."""
    sizes, first, which = np.unique(runs.N[curve], return_index=True, return_inverse=True)
    mean = residuals.copy()
    if sizes.size == curve.size:
        return curve, mean
    mean[curve[first]] = np.bincount(which, residuals[curve]) / np.bincount(which)
    return curve[np.sort(first)], mean


def _studentised(x: Array, y: Array) -> Array:
    """
    Externally studentised residuals of a parabola, shape (n,).

    They are -inf where a run decides its own prediction, or nothing is left of the noise.
    """
    at = Abscissae.of(x)
    if not at.determined:
        return np.full(x.size, -np.inf)
    rest = y - at.through(y).at(x)
    share = 1 - at.leverage  # what the residual of a run shows of its own deviation
    with np.errstate(divide="ignore", invalid="ignore"):
        noise = (rest @ rest - rest**2 / share) / (x.size - 4)
        t = rest / np.sqrt(share * noise)
    usable = (share > TINY) & (noise > (TINY * np.abs(y).max()) ** 2)
    return np.where(usable, t, -np.inf)
