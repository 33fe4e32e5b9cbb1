"""Which sizes of a sweep Approach 2's parabolas go through: all of them, or those around each budget's lowest loss."""

from __future__ import annotations

import re

import numpy as np

from lawful.core.notes import Note
from lawful.core.numbers import format_short
from lawful.core.typing import BoolArray
from lawful.data.runs import Runs
from lawful.errors import UnsupportedError

AUTO = "auto"
"""A window on wide sweeps only."""

EVERYTHING = "none"
"""No window."""

USUAL = 6.0
"""Factor around the lowest loss that wide sweeps are cut to. Five sweeps of Porian et al. (2024): exponents .845 .734
.601 .546 .509 against published .870 .700 .602 .569 .518, where everything gives 1.199 .845 .611 .555 .511; a factor
of 8 misses the second by .07, five points scatter more where sizes lie close. On simulated sweeps over a factor of 16
or 32 to either side, with a plateau at the largest sizes and .2% of noise, errors of the exponent fall from .015 and
.026 to .003 and .005."""

FEWEST = 5
"""A factor keeps at least so many runs: fewer leave a parabola to the noise."""

WIDEST = 260.0
"""Largest over smallest size of a budget up to which a sweep is no wide one, whatever its losses: the widest of the
published designs goes a factor of 16 to either side."""

WIDE = 64.0
"""The same where runs lie far above the valley."""

FAR_ABOVE = 1.85
"""Highest over lowest loss of a budget from which runs lie far above the valley: no published design reaches 1.8."""


def parse_window(window: int | str | None) -> tuple[int, float]:
    """
    Return the points and the factor that a window keeps around each lowest loss; infinite factor for everything.

    Raises
    ------
    UnsupportedError
        If it is neither 3 points or more, a factor above 1 such as ``8x``, ``auto`` nor ``none``.

    Examples
    --------
    >>> parse_window(5), parse_window("8x"), parse_window("none")
    ((5, 1.0), (5, 8.0), (5, inf))
    """
    text = EVERYTHING if window is None else str(window).strip().lower()
    if text == EVERYTHING:
        return FEWEST, float("inf")
    if re.fullmatch(r"\d+", text) and int(text) >= 3:
        return int(text), 1.0
    factor = re.fullmatch(r"(\d+(?:\.\d*)?)\s*x|x\s*(\d+(?:\.\d*)?)", text)
    if factor is not None and float(factor[1] or factor[2]) > 1:
        return FEWEST, float(factor[1] or factor[2])
    msg = (
        f"A window is a number of points around each lowest loss, 3 or more, or a factor in size such as 8x, or auto "
        f"or none; got {window!r}."
    )
    raise UnsupportedError(msg)


def is_wide(runs: Runs) -> bool:
    """Whether a budget reaches so far that no parabola through all of its runs describes the valley."""
    for g in range(runs.budgets.size):
        of = (runs.group == g) & runs.counted
        if not of.any():
            continue
        span, rise = (float(v[of].max() / v[of].min()) for v in (runs.N, runs.L))
        if span > WIDEST or (span > WIDE and rise > FAR_ABOVE):
            return True
    return False


def windowed(runs: Runs, window: int | str | None) -> tuple[BoolArray, tuple[Note, ...]]:
    """
    Choose the runs that parabolas go through.

    Parameters
    ----------
    runs : Runs
    window : int, str or None
        Points around each lowest loss, a factor in size (``8x``), ``none``, or ``auto``: a factor of 6 on wide sweeps.

    Returns
    -------
    kept : bool array, shape (n,)
    notes : tuple of Note
        ``window`` where some runs are not kept.
    """
    usual = f"{USUAL:g}x" if window == AUTO and is_wide(runs) else EVERYTHING
    points, factor = parse_window(usual if window == AUTO else window)
    kept = np.ones(len(runs), dtype=bool)
    for g in range(runs.budgets.size) if np.isfinite(factor) else ():
        index = np.flatnonzero((runs.group == g) & runs.counted)
        if not index.size:
            continue
        sizes = np.log(runs.N[index])
        away = np.abs(sizes - sizes[runs.L[index].argmin()])
        # Seeds of one size count once: a parabola needs sizes.
        apart = np.sort(away[np.unique(sizes, return_index=True)[1]])
        reach = max(np.log(factor), float(apart[min(points, apart.size) - 1]))
        kept[runs.group == g] = False
        kept[index[away <= reach + 1e-9]] = True
    left = int((~kept).sum())
    if not left:
        return kept, ()
    said = f"the {points} sizes around each budget's lowest loss"
    if factor > 1.0:
        said = (
            f"sizes within a factor of {format_short(factor)} of that of each budget's lowest loss, {points} at least"
        )
    why = "The sweep is wide, so the" if window == AUTO else "The"
    text = (
        f"{why} parabolas of Approach 2 go through {said}; "
        f"{left} of {len(runs)} runs lie outside (`window` none: through all of them)."
    )
    return kept, (Note("window", text),)
