"""Other answers to the same question: other laws and objectives, and without the runs that check flags."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from lawful.analysis.analysis import Analysis
from lawful.checks.check import Checked
from lawful.core.shown import Record
from lawful.core.typing import Interval
from lawful.data.runs import Runs
from lawful.decide.allocate import allocate
from lawful.errors import LawfulError
from lawful.estimate.fit import fit
from lawful.estimate.result import Fit, FrontierFit
from lawful.uncertainty.bootstrap import bootstrap
from lawful.uncertainty.delta import delta

FEW_DRAWS = 200
"""Refits behind the interval of a rival without a surface: it is read off a chart."""


@dataclass(frozen=True)
class Rival(Record):
    """
    N* as somebody else would have answered.

    Attributes
    ----------
    label : str
        Law, objective or method.
    method : str
        What it was fitted by.
    params : float
        N* at the budget asked for.
    interval : (float, float) or None
        At the level of the analysis: linearised, or of refits on resampled runs.
    kept : bool
        Whether the runs that check flags were left out.

    Examples
    --------
    >>> Rival("coupled law", "approach3", 7.8e11, (5.4e11, 1.1e12), kept=False).label
    'coupled law'
    """

    label: str
    method: str
    params: float
    interval: Interval | None
    kept: bool


def rivals(analysis: Analysis, checked: Checked | str, *, applied: bool) -> tuple[Rival, ...]:
    """
    Answer the first budget by the coupled law, by Huber's loss, and without the runs that check flags.

    Parameters
    ----------
    analysis : Analysis
        A fit of a sum of two powers with a budget, as Chinchilla's law is.
    checked : Checked or str
        What check says of its runs.
    applied : bool
        Whether the analysis is of the kept runs already.

    Returns
    -------
    tuple of Rival
        Those that could be fitted; empty for another law, which has its own alternatives.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.004)
    >>> analysis = lawful.analyse(runs, method="vpnls", budgets=[1e22], draws=0)
    >>> [one.label for one in rivals(analysis, lawful.check(runs), applied=False)]
    ['coupled law', 'VPNLS, Huber']
    """
    found = analysis.fit
    surface = found.surface
    if not analysis.allocations or (surface is not None and surface.law.terms is None):
        return ()
    runs, budget, level = found.runs, analysis.allocations[0].budget, analysis.level
    made: list[tuple[str, bool, Callable[[], Fit | FrontierFit]]] = [
        ("coupled law", False, lambda: fit(runs, law="skaling")),
        ("VPNLS, Huber", False, lambda: fit(runs, method="vpnls", objective="huber")),
    ]
    kept = _kept(checked) if not applied else None
    if kept is not None:
        made += [
            ("VPNLS, squares", True, lambda: fit(kept, method="vpnls", objective="squared")),
            ("Approach 2", True, lambda: fit(kept, method="approach2")),
        ]
    out = []
    for label, without, make in made:
        with suppress(LawfulError):
            other = make()
            params = float(allocate(other, budget).params)
            if np.isfinite(params) and params > 0:
                out.append(Rival(label, other.method, params, _interval(other, budget, level), without))
    return tuple(out)


def _kept(checked: Checked | str) -> Runs | None:
    """Runs that check keeps, where it flags any and does not flag most."""
    if isinstance(checked, str):
        return None
    flagged = int((np.asarray(checked.reason) != "none").sum())
    return checked.kept if 0 < flagged < 0.5 * len(checked.reason) else None


def _interval(other: Fit | FrontierFit, budget: float, level: float) -> Interval | None:
    try:
        if other.surface is None:
            ends = bootstrap(other, FEW_DRAWS).interval("params", level, budget=budget)
        else:
            ends = delta(other).interval("params", level, budget=budget)
    except LawfulError:
        return None
    return ends if bool(np.isfinite(ends).all()) else None
