"""
The rules of ``check``: what makes a run or a budget unfit for an IsoFLOP analysis, and why.

Each rule is a pure function from the runs of one experiment that are still kept to
a mask over them. Logarithms are natural throughout.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from lawful.checks.spline import left_out
from lawful.core.cost import Cost
from lawful.core.numbers import format_short
from lawful.core.shown import Record
from lawful.core.typing import BoolArray, IntArray
from lawful.data.runs import Runs
from lawful.errors import UnsupportedError
from lawful.solve.parabola import Abscissae, fit_parabola

KEPT = "none"
"""The reason of a run that is kept."""

MAD_TO_SIGMA = 0.6745
"""Median absolute deviation of a standard normal variable."""

ROUNDING = 8 * np.finfo(float).eps
"""Spread of residuals, relative to the losses, that is nothing but rounding."""


@dataclass(frozen=True, slots=True)
class Thresholds(Record):
    """
    Every number that the rules of :func:`lawful.check` use.

    Parameters
    ----------
    min_points : int
        Fewer runs than this at a budget flag the budget (rules 3 and 7).
    merge : float
        Runs within this distance in ln N of the first of their bin are one size (rule 2).
    margin : float
        Runs farther from the vertex than this many times the distance from the vertex
        to the nearer end of the sizes are off centre (rule 4).
    spline_z : float
        Largest robust z of a run against a spline through the others (rule 5).
    spline_points : int
        Fewest runs at a budget for rule 5.
    curvature_level : float
        Level of the two-sided t interval of the curvature (rule 6), between 0 and 1.
    flops_rounding : float
        Two runs whose 6ND/C differs from 1 by the same multiple of this are equally good (rules 1 and 2).

    Raises
    ------
    UnsupportedError
        If a number makes no sense.

    Examples
    --------
    >>> Thresholds(spline_z=4.5).spline_z
    4.5
    >>> Thresholds(margin=-1.0)
    Traceback (most recent call last):
        ...
    lawful.errors.UnsupportedError: The threshold margin must be a finite number above 0, got -1.0.
    """

    min_points: int = 6
    merge: float = 0.01
    margin: float = 2.5
    spline_z: float = 6.0
    spline_points: int = 3
    curvature_level: float = 0.95
    flops_rounding: float = 1e-9

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            least = {"merge": 0.0, "min_points": 0, "spline_points": 3}.get(entry.name)
            ok = np.isfinite(value) and (value > 0 if least is None else value >= least)
            if not ok:
                allowed = (
                    "a finite number above 0" if least is None else f"a finite number of at least {format_short(least)}"
                )
                msg = f"The threshold {entry.name} must be {allowed}, got {value!r}."
                raise UnsupportedError(msg)
        if self.curvature_level >= 1:
            msg = f"The threshold curvature_level must lie between 0 and 1, got {self.curvature_level!r}."
            raise UnsupportedError(msg)

    def to_dict(self) -> dict[str, Any]:
        """Return the thresholds as they stand in JSON."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}


DEFAULT_THRESHOLDS = Thresholds()
"""The numbers of the published pipeline."""


@dataclass(frozen=True, slots=True)
class Rule(Record):
    """
    One reason to set runs aside.

    Attributes
    ----------
    code : str
        What stands in the column ``reason``.
    sentence : str
        What it means, for people.
    flag : callable
        Runs still kept and thresholds to a mask of those it flags, shape (n,).
    """

    code: str
    sentence: str
    flag: Callable[[Runs, Thresholds], BoolArray]


def exact_duplicate(runs: Runs, thresholds: Thresholds) -> BoolArray:
    """
    Flag all but the best of the runs that share N within a budget.

    The best has the smallest distance of 6ND/C from 1 (rounded), then the lowest loss, then comes first.

    Examples
    --------
    >>> runs = Runs.from_arrays([1e8, 1e8, 2e8], [2e9, 2e9, 1e9], [3.2, 3.1, 3.0])
    >>> exact_duplicate(runs, Thresholds()).tolist()
    [True, False, False]
    """
    order = np.lexsort((runs.N, runs.group))
    is_new = (np.diff(runs.N[order]) != 0) | (np.diff(runs.group[order]) != 0)
    return _all_but_the_best(_label(order, is_new), runs, thresholds)


def near_duplicate_params(runs: Runs, thresholds: Thresholds) -> BoolArray:
    """
    Flag all but the best of the runs of nearly one size within a budget.

    Walking up in ln N, a run within ``merge`` of the first of the current bin belongs to it.
    The best is chosen as among exact duplicates; of equals the smallest is kept.
    """
    order = np.lexsort((runs.N, runs.group))
    logs, group = np.log(runs.N[order]).tolist(), runs.group[order].tolist()
    is_new, first = [], 0
    for i in range(1, len(logs)):
        starts = group[i] != group[first] or logs[i] - logs[first] > thresholds.merge
        first = i if starts else first
        is_new.append(starts)
    return _all_but_the_best(_label(order, np.array(is_new, dtype=bool)), runs, thresholds)


def _label(order: IntArray, is_new: BoolArray) -> IntArray:
    """Number the bins of runs in a given order, a new one wherever told; shape (n,) in the order of the runs."""
    label = np.empty(order.size, dtype=np.intp)
    label[order] = np.concatenate([[0], np.cumsum(is_new)])[: order.size]
    return label


def _all_but_the_best(label: IntArray, runs: Runs, thresholds: Thresholds) -> BoolArray:
    """Flag every run of a bin but the best: by 6ND, then the loss, then the smaller N, then the place in the file."""
    with np.errstate(over="ignore"):
        off = np.abs(Cost().flops(runs.N, runs.D) / runs.C - 1)
        rounded = np.rint(off / thresholds.flops_rounding)
    # Among equals of nearly one size the published flags keep the smallest; of one size, the first in the file.
    order = np.lexsort((runs.N, runs.L, rounded, label))
    flagged = np.zeros(len(runs), dtype=bool)
    flagged[order[1:]] = label[order[1:]] == label[order[:-1]]
    return flagged


def too_few_points(runs: Runs, thresholds: Thresholds) -> BoolArray:
    """
    Flag the budgets with fewer than ``min_points`` runs.

    Examples
    --------
    >>> runs = Runs.from_arrays([1e8, 2e8], [2e9, 1e9], [3.1, 3.2])
    >>> too_few_points(runs, Thresholds()).tolist(), too_few_points(runs, Thresholds(min_points=2)).tolist()
    ([True, True], [False, False])
    """
    return np.asarray(np.bincount(runs.group)[runs.group] < thresholds.min_points)


def off_center(runs: Runs, thresholds: Thresholds) -> BoolArray:
    """
    Flag runs far from the vertex compared with the reach of the sweep on its shorter side.

    A parabola of ln L in ln N is fitted to each budget. A vertex outside the sampled
    sizes flags the budget. Budgets with fewer than three runs, or whose parabola opens
    downward, are passed over.
    """
    flagged = np.zeros(len(runs), dtype=bool)
    for curve in budget_curves(runs, at_least=3):
        x = np.log(runs.N[curve])
        found = fit_parabola(x, np.log(runs.L[curve]))
        vertex, curvature = float(found.vertex), float(found.curvature)
        if not curvature > 0:
            continue
        reach = min(vertex - x[0], x[-1] - vertex)
        flagged[curve] = np.abs(x - vertex) > thresholds.margin * reach if reach > 0 else True
    return flagged


def spline_outlier(runs: Runs, thresholds: Thresholds) -> BoolArray:
    """
    Flag runs far from an Akima spline of L in ln N through the others at their budget.

    The residuals of all budgets together set the scale: a run is flagged where 0.6745 times
    the distance of its residual from their median, over their MAD, exceeds ``spline_z``.
    Where at least half of the residuals are the same number there is no scale, and
    nothing is flagged.

    Notes
    -----
    Residuals are taken in units of a power of two near the largest loss, which changes no
    digit of z and keeps extreme losses within what a float can hold.
    """
    scaled = np.ldexp(runs.L, -np.frexp(runs.L.max())[1])
    residual = np.full(len(runs), np.nan)
    for curve in budget_curves(runs, at_least=thresholds.spline_points):
        residual[curve] = left_out(np.log(runs.N[curve]), scaled[curve])
    known = np.isfinite(residual)
    if not known.any():
        return np.asarray(known)
    distance = np.abs(residual - np.median(residual[known]))
    scale = np.median(distance[known])
    if scale <= ROUNDING:
        return np.zeros(len(runs), dtype=bool)
    return np.asarray(known & (MAD_TO_SIGMA * distance / scale > thresholds.spline_z))


def negative_curvature(runs: Runs, thresholds: Thresholds) -> BoolArray:  # noqa: ARG001 - the signature of every rule
    """
    Flag the budgets whose parabola of ln L in ln N is flat or opens downward.

    Examples
    --------
    >>> runs = Runs.from_arrays([1e8, 2e8, 4e8], [4e9, 2e9, 1e9], [3.0, 3.1, 3.0])
    >>> negative_curvature(runs, Thresholds()).tolist()
    [True, True, True]
    """
    flagged = np.zeros(len(runs), dtype=bool)
    for curve in budget_curves(runs, at_least=3):
        flagged[curve] = fit_parabola(np.log(runs.N[curve]), np.log(runs.L[curve])).curvature <= 0
    return flagged


def weak_curvature(runs: Runs, thresholds: Thresholds) -> BoolArray:
    """
    Flag the budgets whose curvature may as well be zero.

    The two-sided t interval of the quadratic coefficient, with n - 3 degrees of
    freedom and sigma² = RSS / (n - 3), reaches 0. Needs four runs.
    """
    from scipy.special import stdtrit

    flagged = np.zeros(len(runs), dtype=bool)
    for curve in budget_curves(runs, at_least=4):
        x, y = Abscissae.of(np.log(runs.N[curve])), np.log(runs.L[curve])
        curvature, error = float(x.through(y).curvature), float(x.curvature_error(y))
        reach = stdtrit(curve.size - 3, 0.5 + thresholds.curvature_level / 2) * error
        flagged[curve] = curvature - reach <= 0
    return flagged


def budget_curves(runs: Runs, *, at_least: int = 1) -> list[IntArray]:
    """
    Return the runs of each budget from small to large models, for budgets of some size.

    Examples
    --------
    >>> runs = Runs.from_arrays([4e8, 2e8, 1e8], [1e9, 2e9, 1e11], [3.0, 3.1, 3.0])
    >>> [curve.tolist() for curve in budget_curves(runs, at_least=2)]
    [[1, 0]]
    """
    order = np.lexsort((runs.L, runs.N, runs.group))
    sizes = np.bincount(runs.group, minlength=runs.budgets.size)
    ends = np.cumsum(sizes)
    full = np.flatnonzero(sizes >= at_least)
    return [order[ends[g] - sizes[g] : ends[g]] for g in full]


RULES: tuple[Rule, ...] = (
    Rule("exact_duplicate", "The same N occurs again at this budget; a better run stands for both.", exact_duplicate),
    Rule(
        "near_duplicate_params",
        "Nearly the same N occurs again at this budget; a better run stands for both.",
        near_duplicate_params,
    ),
    Rule("too_few_points", "The budget has too few runs for a parabola worth its name.", too_few_points),
    Rule(
        "off_center",
        "The run lies far on the long side of a lopsided sweep, or the whole sweep misses its minimum.",
        off_center,
    ),
    Rule("spline_outlier", "The loss is far from what the other runs of the budget predict.", spline_outlier),
    Rule("negative_curvature", "The IsoFLOP curve of the budget is flat or opens downward.", negative_curvature),
    Rule("weak_curvature", "The curvature of the budget cannot be told from zero.", weak_curvature),
    Rule("too_few_post_qc", "Too few runs of the budget are left after the other rules.", too_few_points),
)
"""Rules 1 to 7 in their order; rule 6 has two parts."""

INVALID = "invalid_value"
"""Code of rule 0, which is applied before there are runs: a validated run has no invalid value."""

SENTENCES: dict[str, str] = {
    INVALID: "N, D, C or loss is missing, not finite, not positive or not a number, as a crashed run leaves it.",
    **{rule.code: rule.sentence for rule in RULES},
}
"""Every code in the order of the rules, with its sentence."""
