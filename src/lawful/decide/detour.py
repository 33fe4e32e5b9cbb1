"""Allocations from a finished analysis: the optimum again, or the price of another choice."""

from __future__ import annotations

from dataclasses import replace

from lawful.analysis.analysis import Analysis
from lawful.decide.allocate import Allocation, Deadweight, allocate
from lawful.decide.deadweight import with_deadweight_interval
from lawful.estimate.result import Fit


def allocate_again(
    analysis: Analysis,
    budget: float,
    *,
    params: float | None = None,
    tokens_per_param: float | None = None,
    level: float | None = None,
) -> Allocation:
    """
    Spend another budget with the fit, draws and comparison of an analysis.

    Parameters
    ----------
    analysis : Analysis
        A finished analysis, also one that was loaded.
    budget : float
        FLOPs, > 0.
    params, tokens_per_param : float, optional
        Hold the model size, or the ratio, instead of taking the optimum.
    level : float, optional
        Coverage of the intervals; that of the analysis by default.

    Returns
    -------
    Allocation
        At the optimum with the deadweight of Approach 2; for a held choice with
        the deadweight of that choice (``of`` is ``fixed-params`` or ``fixed-ratio``).

    Raises
    ------
    UnsupportedError
        As :func:`lawful.allocate`.

    Examples
    --------
    >>> truth = lawful.study_surface("chinchilla")
    >>> plan = lawful.plan_isoflop([1e18, 1e19, 1e20], 9, surface=truth)
    >>> analysis = lawful.analyse(lawful.simulate(truth, plan), draws=0)
    >>> held = allocate_again(analysis, 1e22, tokens_per_param=100)
    >>> held.deadweight.of, f"{held.deadweight.fraction:.1%}"
    ('fixed-ratio', '1.7%')
    """
    fit = analysis.fit
    at = analysis.level if level is None else level
    if params is None and tokens_per_param is None:
        best = allocate(fit, budget, draws=analysis.sure, level=at, versus=analysis.isoflop, truth=analysis.truth)
        return with_deadweight_interval(fit, best, at) if analysis.sure and isinstance(fit, Fit) else best
    held = allocate(fit, budget, params=params, tokens_per_param=tokens_per_param, draws=analysis.sure, level=at)
    if not isinstance(fit, Fit):
        return held
    flops = float(fit.surface.deadweight(held.budget, held.tokens))
    of = "fixed-params" if params is not None else "fixed-ratio"
    lost = Deadweight(of, fit.method, held.params, held.tokens, flops, flops / held.budget)
    return replace(held, deadweight=lost)
