"""Groups that share coefficients, analysed: one joint fit, refitted on resampled rows, and an analysis per group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lawful.analysis.analysis import Analysis, Progress
from lawful.core.notes import Note
from lawful.core.typing import Array
from lawful.core.validation import check_budget, check_draws, check_level
from lawful.decide.allocate import allocate
from lawful.estimate.forms import polish_form
from lawful.estimate.grouped import Sharing, fit_groups
from lawful.trust.verdict import judge
from lawful.uncertainty.bootstrap import Draws, frontier_of
from lawful.uncertainty.intervals import Intervals, of_draws

DRAWS = 200
"""Joint refits on resampled rows, unless another number is asked for."""

BLOCK, MOST_STEPS = 200, 400


def analyse_groups(
    runs: Any,
    *,
    by: str,
    share: Sequence[str],
    budgets: Sequence[float] = (),
    draws: int | None = None,
    level: float = 0.9,
    seed: int = 0,
    progress: Progress | None = None,
    **how: Any,
) -> tuple[Sharing, dict[str, Analysis]]:
    """
    Fit groups together and analyse each: intervals from joint refits, allocations under the group's own law.

    Parameters
    ----------
    runs, by, share, **how
        See :func:`lawful.estimate.grouped.fit_groups`.
    budgets : sequence of float
        To allocate in every group.
    draws : int, optional
        Joint refits on rows resampled within groups; 200 if not given, 0 for no intervals.
    level : float
    seed : int
    progress : callable, optional
        Called with a phrase before each stage.

    Returns
    -------
    (Sharing, dict of str to Analysis)

    Examples
    --------
    >>> N, D = np.tile(np.geomspace(1e7, 1e9, 5), 4), np.repeat(np.geomspace(1e9, 1e11, 4), 5)
    >>> noise = np.random.default_rng(0).normal(0, 0.003, 40)
    >>> table = {"params": np.tile(N, 2), "tokens": np.tile(D, 2), "data": np.repeat(["web", "code"], 20),
    ...     "loss": np.concatenate([1.5 + a / N**0.33 + 900 / D**0.31 for a in (400, 150)]) + noise}
    >>> found, each = analyse_groups(table, by="data", share=["alpha", "beta"], draws=60)
    >>> low, high = each["code"].interval("alpha")
    >>> bool(low < found["alpha"] < high), each["web"].interval("alpha") == (low, high)
    (True, True)
    """
    check_level(level)
    count = DRAWS if draws is None else check_draws(draws)
    targets = [check_budget(b) for b in budgets]
    tell = progress or (lambda _: None)
    tell("fitting together")
    found = fit_groups(runs, by=by, share=share, **how)
    tell(f"{count} joint refits")
    drawn = joint_draws(found, count, seed) if count else {}
    made = {}
    for value, fit in found.fits.items():
        sure = of_draws(drawn.get(value), level)
        judged = judge(fit, targets)
        spent = tuple(allocate(fit, c, draws=sure, level=level) for c in targets)
        notes = (*fit.notes, *(sure.notes if sure else ()), *judged.notes)
        draw = drawn.get(value)
        made[value] = Analysis(fit, draw, spent, None, fit, notes, level, _named(sure), judged)
    return found, made


def _named(sure: Intervals | None) -> Intervals | None:
    return sure and replace(sure, kind="rows")


def joint_draws(found: Sharing, count: int, seed: int = 0) -> dict[str, Draws]:
    """Refit all groups together on rows resampled within each group; the draws of every group's coefficients."""
    problem, fits = found.joint.problem, list(found.fits.values())
    names = problem.law.names
    sizes = [len(f.runs) for f in fits]
    rng = np.random.default_rng(seed)
    own = np.ones(problem.y.size) if problem.w is None else problem.w
    z = _answer(found)
    parts = []
    for start in range(0, count, BLOCK):
        rows = min(BLOCK, count - start)
        times = np.concatenate([rng.multinomial(n, np.full(n, 1 / n), size=rows) for n in sizes], axis=1)
        starts = np.broadcast_to(z, (rows, z.size)).copy()
        out = polish_form(problem, starts, problem.target, times * own, tolerance=1e-8, max_iter=MOST_STEPS)
        parts.append(np.where(out.converged[:, None], problem.to_coefficients(out.z), np.nan))
    drawn: Array = np.concatenate(parts)
    failed = int((~np.isfinite(drawn).all(axis=1)).sum())
    notes = (Note("failed_draws", f"{failed} of {count} joint refits did not converge and are left out."),)
    made = {}
    for i, (value, fit) in enumerate(found.fits.items()):
        law = fit.surface.law
        at = [names.index(w if w in found.shared else f"{w} {i}") for w in law.names]
        k: Mapping[str, Array] = dict(zip(law.names, drawn[:, at].T, strict=True))
        made[value] = Draws(fit, "rows", seed, k, frontier_of(k, fit), notes if failed else ())
    return made


def _answer(found: Sharing) -> Array:
    """The joint answer in solver units."""
    values = {}
    for i, fit in enumerate(found.fits.values()):
        for word, value in fit.surface.coefficients.items():
            values[word if word in found.shared else f"{word} {i}"] = value
    problem = found.joint.problem
    z = problem.to_z(np.array([[values[w] for w in problem.law.names]]))[0]
    return np.asarray(np.clip(z, problem.lower, problem.upper))
