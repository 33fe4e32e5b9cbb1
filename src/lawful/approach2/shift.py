"""Where a parabola through an IsoFLOP curve puts its minimum: closed forms, no data needed."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lawful.core.typing import Array
from lawful.core.validation import is_positive
from lawful.errors import UnsupportedError
from lawful.solve.parabola import fit_parabola

LN10 = float(np.log(10.0))


def curve(alpha: ArrayLike, beta: ArrayLike, offsets: Array) -> Array:
    """
    Return the IsoFLOP curve up to an affine map, at offsets in decades from the optimum.

    ``(beta/alpha)(10^(-alpha w) - 1) + (10^(beta w) - 1)``: the two constants are taken
    off so that a narrow sweep keeps its digits. Exponents broadcast against offsets.
    """
    al, be = np.asarray(alpha, float), np.asarray(beta, float)
    return np.asarray(be / al * np.expm1(-LN10 * al * offsets) + np.expm1(LN10 * be * offsets))


def parabola_shift(alpha: float, beta: float, offsets: ArrayLike) -> float:
    r"""
    Say by how much an IsoFLOP parabola misses the optimum, before any model is trained.

    Approach 2 draws a parabola through loss against :math:`\log_{10} N` at one budget
    and reads the optimum off its vertex. A budget line cuts the loss surface in a
    sum of two exponentials, which no parabola follows, so the vertex is misplaced
    even where the losses carry no noise. How far depends on the two exponents and
    on where the models lie; the budget, ``E``, ``A`` and ``B`` drop out.

    Parameters
    ----------
    alpha, beta : float
        Exponents of N and of D in the law, > 0. Dimensionless. Swap them to
        ask about a parabola in :math:`\log_{10} D`.
    offsets : array_like, shape (n,)
        Model sizes of the sweep in decades from the true optimum,
        :math:`w_i = \log_{10}(N_i / N^*)`. At least 3 distinct values.

    Returns
    -------
    float
        :math:`\log_{10}(\hat N^* / N^*)` in decades: above 0 where Approach 2 asks for
        too large a model. NaN where the parabola opens downward.

    Raises
    ------
    UnsupportedError
        If an exponent is not positive and finite, or fewer than 3 offsets differ.

    See Also
    --------
    bias : The same for all budgets of a fitted sweep, carried to a target budget.
    correct_isoflop : Approach 2 with this shift taken out.

    Notes
    -----
    At the optimum :math:`\alpha A / N^\alpha = \beta B / D^\beta`, so that along a budget
    line the loss is an affine function of
    :math:`(\beta / \alpha)\,10^{-\alpha w} + 10^{\beta w}`. What is returned is the vertex
    of the least-squares parabola through that curve at the offsets. O(n).

    References
    ----------
    .. [1] Czech et al. (2026), "Problems with Chinchilla Approach 2", arXiv:2603.22339.

    Examples
    --------
    A valley with two equal sides, sampled evenly, is read right:

    >>> sweep = np.linspace(-1, 1, 15)
    >>> abs(parabola_shift(0.31, 0.31, sweep)) < 1e-12
    True

    Unequal sides are not, at any budget. Chinchilla's exponents, a decade either side:

    >>> shift = parabola_shift(0.34, 0.28, sweep)
    >>> print(f"{10**shift - 1:+.1%} in N*, {10**-shift - 1:+.1%} in D*")
    +3.7% in N*, -3.5% in D*

    A sweep that misses the optimum by a factor of 3 is misread even with equal exponents:

    >>> print(f"{10**parabola_shift(0.31, 0.31, sweep - np.log10(3)) - 1:+.1%} in N*")
    -2.3% in N*

    >>> parabola_shift(0.34, 0.28, [0.0, 0.0, 1.0])
    Traceback (most recent call last):
        ...
    lawful.errors.UnsupportedError: offsets must hold at least 3 distinct finite values, got 2.
    """
    check_exponents(alpha, beta)
    w = np.asarray(offsets, dtype=float).ravel()
    distinct = np.unique(w[np.isfinite(w)]).size
    if distinct < 3 or not np.isfinite(w).all():
        msg = f"offsets must hold at least 3 distinct finite values, got {distinct}."
        raise UnsupportedError(msg)
    return float(fit_parabola(w, curve(alpha, beta, w)).minimum)


def centred_shift(alpha: float, beta: float, half_width: float, points: int = 15) -> float:
    r"""
    Evaluate the same in closed form for evenly spaced sizes centred on the optimum.

    With moments :math:`S_2, S_4` of the offsets and L the curve at them,
    :math:`-\frac{\sum wL}{2 S_2} \cdot \frac{n S_4 - S_2^2}{n \sum w^2 L - S_2 \sum L}`.

    Parameters
    ----------
    alpha, beta : float
        Exponents, > 0.
    half_width : float
        Decades either side, > 0; ±8× is log10 8.
    points : int
        Sizes, both ends included, >= 3.

    Examples
    --------
    >>> print(f"{centred_shift(0.34, 0.28, np.log10(16)):.9f}")
    0.022734907
    """
    check_exponents(alpha, beta)
    n = check_grid(half_width, points)
    w = np.linspace(-half_width, half_width, n)
    value = curve(alpha, beta, w)
    s2 = half_width**2 * n * (n + 1) / (3 * (n - 1))
    s4 = half_width**4 * n * (n + 1) * (3 * n * n - 7) / (15 * (n - 1) ** 3)
    return float(-(w @ value) / (2 * s2) * (n * s4 - s2 * s2) / (n * (w * w) @ value - s2 * value.sum()))


def small_shift(alpha: float, beta: float, half_width: float, points: int | None = None) -> float:
    r"""
    Evaluate its leading term for a narrow centred sweep: :math:`(\alpha - \beta) \ln 10\, W^2 (3n^2-7)/(30 (n-1)^2)`.

    Without a number of points the limit of many, :math:`(\alpha - \beta) \ln 10\, W^2 / 10`.

    Examples
    --------
    >>> print(f"{small_shift(0.34, 0.28, np.log10(2)):.9f}")
    0.001251949
    """
    check_exponents(alpha, beta)
    if points is None:
        return (alpha - beta) * LN10 * half_width**2 / 10
    n = check_grid(half_width, points)
    return (alpha - beta) * LN10 * half_width**2 * (3 * n * n - 7) / (30 * (n - 1) ** 2)


def newton_vertex(alpha: float, beta: float, centre: float) -> float:
    """
    Evaluate the limit of a narrow sweep around a wrong centre: one Newton step from it.

    Parameters
    ----------
    alpha, beta : float
        Exponents, > 0.
    centre : float
        Centre of the sweep in decades from the optimum, log10(N_centre/N*).

    Examples
    --------
    >>> print(f"{newton_vertex(0.34, 0.28, -np.log10(3)):.9f}")
    -0.031765146
    """
    check_exponents(alpha, beta)
    up, down = 10.0 ** (beta * centre), 10.0 ** (-alpha * centre)
    return float(centre - (up - down) / (LN10 * (beta * up + alpha * down)))


def check_exponents(alpha: float, beta: float) -> None:
    """
    Refuse exponents without an optimum.

    Raises
    ------
    UnsupportedError
        If one is not positive and finite.
    """
    if not is_positive(alpha, beta):
        msg = f"alpha and beta must be positive and finite, got {alpha!r} and {beta!r}."
        raise UnsupportedError(msg)


def check_grid(half_width: float, points: int) -> int:
    """
    Return the number of points of a sweep.

    Raises
    ------
    UnsupportedError
        If the width is not positive, or there are fewer than 3 points.
    """
    if not (is_positive(half_width) and points >= 3):
        msg = f"A sweep needs a half-width above 0 decades and at least 3 points, got {half_width!r} and {points!r}."
        raise UnsupportedError(msg)
    return int(points)
