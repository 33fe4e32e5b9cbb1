"""Least-squares parabolas, batched: Approach 2, its bias, and the rules of check all draw this one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lawful.core.shown import Record
from lawful.core.typing import Array, BoolArray

FLAT = 1e-12
"""Part of a square that no line explains, relative to the reach of the abscissae, below which it is rounding."""


class Parabolas(NamedTuple):
    """
    Parabolas level + tilt u + bend u² with u = (x - centre)/half, all of shape (...,).

    Where fewer than three abscissae differ, ``tilt`` and ``bend`` are NaN.
    """

    centre: Array
    half: Array
    level: Array
    tilt: Array
    bend: Array

    @property
    def vertex(self) -> Array:
        """Abscissa of the extremum, be it a minimum or a maximum."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return np.asarray(self.centre - self.half * self.tilt / (2 * self.bend))

    @property
    def minimum(self) -> Array:
        """Abscissa of the minimum; NaN where the parabola opens downward."""
        return np.where(self.bend > 0, self.vertex, np.nan)

    @property
    def curvature(self) -> Array:
        """Coefficient of x²."""
        return np.asarray(self.bend / self.half**2)

    @property
    def coefficients(self) -> Array:
        """Coefficients of 1, (x - centre) and (x - centre)², shape (..., 3)."""
        parts = (self.level, self.tilt / self.half, self.bend / self.half**2)
        return np.stack(np.broadcast_arrays(*parts), axis=-1)

    def at(self, x: ArrayLike) -> Array:
        """Values at abscissae, shape (..., m)."""
        u = (np.asarray(x, float) - np.expand_dims(self.centre, -1)) / np.expand_dims(self.half, -1)
        level, tilt, bend = (np.expand_dims(part, -1) for part in (self.level, self.tilt, self.bend))
        return np.asarray(level + u * (tilt + u * bend))


@dataclass(frozen=True, eq=False)
class Abscissae(Record):
    """
    Abscissae with weights, made ready for parabolas through any ordinates.

    In the inner product of the weights, 1, u and ``square`` = u² - ``skew`` u - ``mean_square``
    are orthogonal, so that a fit is three sums and no system is solved.

    Attributes
    ----------
    x, weight, u, square : array, shape (..., n)
    centre, half, total, sum_u2, sum_square2, skew : array, shape (..., 1)
    """

    x: Array
    weight: Array
    centre: Array
    half: Array
    u: Array
    square: Array
    total: Array
    sum_u2: Array
    sum_square2: Array
    skew: Array

    @classmethod
    def of(cls, x: ArrayLike, weight: ArrayLike | None = None) -> Abscissae:
        """
        Prepare rows of abscissae.

        Parameters
        ----------
        x : array_like, shape (..., n)
        weight : array_like, shape (..., n), optional
            Weights of the squares, >= 0; one each by default. Broadcast against ``x``.
        """
        at = np.asarray(x, float)
        w = np.ones_like(at) if weight is None else np.asarray(weight, float)
        total = w.sum(axis=-1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            centre = (w * at).sum(axis=-1, keepdims=True) / total
            away = at - centre
            half = np.where(w > 0, np.abs(away), 0.0).max(axis=-1, keepdims=True)
            u = away / half
            weighted = w * u
            sum_u2 = (weighted * u).sum(axis=-1, keepdims=True)
            skew = (weighted * u * u).sum(axis=-1, keepdims=True) / sum_u2
            square = u * u - skew * u - sum_u2 / total
            sum_square2 = (w * square * square).sum(axis=-1, keepdims=True)
        return cls(at, w, centre, half, u, square, total, sum_u2, sum_square2, skew)

    @property
    def determined(self) -> BoolArray:
        """Whether three abscissae with a weight differ, shape (...,)."""
        with np.errstate(invalid="ignore"):
            return np.asarray((self.sum_square2 > FLAT**2 * self.total)[..., 0])

    @property
    def leverage(self) -> Array:
        """Share of every ordinate in its own fitted value, shape (..., n)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            parts = 1 / self.total + self.u**2 / self.sum_u2 + self.square**2 / self.sum_square2
            return np.asarray(self.weight * parts)

    def through(self, y: ArrayLike) -> Parabolas:
        """
        Fit parabolas through ordinates, shape (..., n); batch axes broadcast.

        Examples
        --------
        >>> x = np.linspace(0, 3, 5)
        >>> found = Abscissae.of(x).through(7 + 2 * (x - 1) ** 2)
        >>> print(f"{found.vertex:.3f} {found.curvature:.3f}")
        1.000 2.000
        """
        w, ordinates = self.weight, np.asarray(y, float)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = (w * ordinates).sum(axis=-1, keepdims=True) / self.total
            # The mean is taken off first: what rounding leaves of the orthogonality then meets small numbers only.
            weighted = w * (ordinates - mean)
            tilt = (weighted * self.u).sum(axis=-1) / self.sum_u2[..., 0]
            bend = (weighted * self.square).sum(axis=-1) / self.sum_square2[..., 0]
            level = mean[..., 0] - bend * (self.sum_u2 / self.total)[..., 0]
            tilt = tilt - self.skew[..., 0] * bend
        known = self.determined
        tilt, bend = np.where(known, tilt, np.nan), np.where(known, bend, np.nan)
        return Parabolas(self.centre[..., 0], self.half[..., 0], level, tilt, bend)

    def curvature_error(self, y: ArrayLike) -> Array:
        """Standard error of the curvature from the scatter about the parabola; NaN for three abscissae."""
        rest = np.asarray(y, float) - self.through(y).at(self.x)
        freedom = np.asarray((self.weight > 0).sum(axis=-1) - 3, float)
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = (self.weight * rest**2).sum(axis=-1) / np.where(freedom > 0, freedom, np.nan)
            return np.asarray(np.sqrt(variance / self.sum_square2[..., 0]) / self.half[..., 0] ** 2)


def fit_parabola(x: ArrayLike, y: ArrayLike, weight: ArrayLike | None = None) -> Parabolas:
    """
    Fit parabolas by weighted least squares; batch axes of all three broadcast.

    Parameters
    ----------
    x, y : array_like, shape (..., n)
    weight : array_like, shape (..., n), optional
        Weights of the squares, >= 0.

    Examples
    --------
    Two curves on the same sizes, the second of which opens downward:

    >>> x = np.linspace(8, 10, 7)
    >>> found = fit_parabola(x, np.stack([(x - 9.2) ** 2, -((x - 8.5) ** 2)]))
    >>> found.vertex.round(6), found.minimum.round(6)
    (array([9.2, 8.5]), array([9.2, nan]))
    """
    return Abscissae.of(x, weight).through(y)


def smallest_vertex(x: Array, y: Array, weight: Array) -> tuple[float, float]:
    """
    Vertex and curvature where two abscissae leave many parabolas: the smallest one, as ``numpy.polyfit`` has it.

    Parameters
    ----------
    x, y, weight : array, shape (n,)
        The smallest is meant in the coefficients of 1, x and x², each over the norm of its column, as there.
    """
    design = np.vander(x, 3) * np.sqrt(weight)[:, None]
    scale = np.sqrt((design**2).sum(axis=0))
    bend, tilt, _ = np.linalg.lstsq(design / scale, y * np.sqrt(weight), rcond=x.size * np.finfo(float).eps)[0] / scale
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(-tilt / (2 * bend)), float(bend)
