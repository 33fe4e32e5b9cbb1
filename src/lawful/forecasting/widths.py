"""derive(): the constants of the forecast's width from past misses, and how they do on a family that was left out."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np

from lawful.core.shown import Record
from lawful.core.typing import AnyArray, Array
from lawful.errors import IdentificationError
from lawful.forecasting.ensemble import WIDTH, Width

LEVEL = 0.9
TARGET = 0.915
"""Coverage that the constants are scaled to on the sets that make them; a set that is left out gets a little less."""

FREEDOM_GRID = (1.5, 2.0, 3.0, 4.0, 6.0, 10.0, 30.0)
"""Degrees of freedom tried for the tails."""


@dataclass(frozen=True, eq=False)
class Misses(Record):
    """
    Forecast runs, one entry each, with what was known before they came.

    Attributes
    ----------
    set, family : array of str, shape (n,)
    split : int array, shape (n,)
        Runs that were forecast together.
    miss : array, shape (n,)
        Log of the observed loss over the forecast.
    law, coefficients, distance, noise : array, shape (n,)
        Spread of the laws, standard error of the coefficients, h = ln(C/C_max), and the noise of one run: the terms of
        :class:`lawful.forecasting.ensemble.Width`, without its constants.
    """

    set: AnyArray
    family: AnyArray
    split: AnyArray
    miss: Array
    law: Array
    coefficients: Array
    distance: Array
    noise: Array

    def take(self, index: AnyArray) -> Misses:
        """Return some of the entries."""
        return Misses(**{one.name: getattr(self, one.name)[index] for one in fields(self)})

    @property
    def weight(self) -> Array:
        """Weights that make sets count alike, splits of a set alike, and runs of a split alike; sum 1."""
        out = np.zeros(self.miss.size)
        for name in np.unique(self.set):
            here = self.set == name
            parts = np.unique(self.split[here])
            for part in parts:
                runs = here & (self.split == part)
                out[runs] = 1.0 / (parts.size * runs.sum())
        return np.asarray(out / out.sum())

    def spread(self, width: Width) -> Array:
        """Standard deviation that a width gives to every entry."""
        square = (width.law * self.law) ** 2 + (width.coefficients * self.coefficients) ** 2
        return np.asarray(np.sqrt(square + width.distance**2 * (self.distance + width.offset) + self.noise**2))


def interval_score(miss: Array, half: Array, level: float) -> Array:
    """
    Interval score of ln L: width, plus 2/(1 - level) times the distance from the interval (Gneiting & Raftery 2007).

    Examples
    --------
    >>> interval_score(np.array([0.0, 0.03]), np.array([0.01, 0.01]), 0.9).round(3).tolist()
    [0.02, 0.42]
    """
    return np.asarray(2 * half + 2 / (1 - level) * np.maximum(np.abs(miss) - half, 0.0))


def derive(misses: Misses, *, leave_out: str | None = None) -> Width:
    """
    Derive the scale and the tails of the width from past misses.

    Parameters
    ----------
    misses : Misses
    leave_out : str, optional
        Family that is not looked at.

    Returns
    -------
    Width
        With the other constants as they are.

    Raises
    ------
    IdentificationError
        If nothing is left to learn from.

    Notes
    -----
    The scale is the one at which 90% intervals hold a share :data:`TARGET` of the runs, each set weighing the same, and
    the tails are those of the Student's t whose 50% interval then holds half. Weights of the laws, of the coefficients
    and of the distance were tried on a grid as well: over a factor of two in each the mean interval score moves by 4%,
    while the choice hangs on single families, so they are not fitted.
    """
    seen = misses if leave_out is None else misses.take(misses.family != leave_out)
    if not seen.miss.size:
        msg = "No forecast run is left to derive the width from; give at least two families of runs."
        raise IdentificationError(msg)
    ratio = np.abs(seen.miss) / seen.spread(WIDTH)
    inner, outer = (_quantile(ratio, seen.weight, share) for share in (0.5, TARGET))
    freedom = min(FREEDOM_GRID, key=lambda free: abs(np.log(_ratio(free) * inner / outer)))
    return replace(WIDTH, freedom=freedom, scale=outer / _student(freedom, LEVEL))


def _student(freedom: float, level: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + level / 2))


def _ratio(freedom: float) -> float:
    """90% over 50% half width of Student's t."""
    return _student(freedom, LEVEL) / _student(freedom, 0.5)


def _quantile(values: Array, weight: Array, share: float) -> float:
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weight[order])
    return float(values[order][min(np.searchsorted(total, share * total[-1]), values.size - 1)])


class Judged(NamedTuple):
    """
    How a width did on one set.

    Attributes
    ----------
    set, family : str
    runs : int
    coverage50, coverage90, score90 : float
        Shares held and the mean interval score of ln L.
    """

    set: str
    family: str
    runs: int
    coverage50: float
    coverage90: float
    score90: float


def judge(misses: Misses, *, leave_out: bool = True) -> tuple[Judged, ...]:
    """
    Score the width on every set, its constants made from the other families.

    Parameters
    ----------
    misses : Misses
    leave_out : bool
        Whether the constants come from the other families; otherwise those in use are scored.

    Returns
    -------
    tuple of Judged
        One per set.
    """
    found = []
    for family in np.unique(misses.family):
        width = derive(misses, leave_out=str(family)) if leave_out else WIDTH
        for name in np.unique(misses.set[misses.family == family]):
            one = misses.take(misses.set == name)
            weight, spread, size = one.weight, one.spread(width), np.abs(one.miss)
            inner, outer = width.quantile(0.5) * spread, width.quantile(LEVEL) * spread
            score = float(weight @ interval_score(size, outer, LEVEL))
            shares = float(weight @ (size <= inner)), float(weight @ (size <= outer))
            found.append(Judged(str(name), str(family), size.size, *shares, score))
    return tuple(found)
