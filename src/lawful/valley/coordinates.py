r"""
Coordinates in which one derived quantity is a coefficient of its own, for profiling it exactly.

At the optimum of a budget both terms balance: ``alpha A N*^-alpha = beta B D*^-beta = g``.
With ``s = ln N*`` and ``m = ln(C/6)`` the law reads

    L = E + g [exp(-alpha (x - s)) / alpha + exp(-beta (y - m + s)) / beta],   L* = E + g (1/alpha + 1/beta),

so (E, ln g, s, alpha, beta) or (L*, ln g, s, alpha, beta) describe the same surfaces, and
holding N* or L* is holding a coordinate. Every map below comes with its first and
second derivatives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from lawful.core.typing import Array
from lawful.laws.law import Curvature, Differentiated
from lawful.solve import newton

FAR = 60.0
"""Logs this far from the estimate are as good as infinite: e^60 is 26 decades."""

E, C1, C2, ALPHA, BETA = range(5)


class Image(NamedTuple):
    """
    Solver units at rows of coordinates.

    Attributes
    ----------
    z : array, shape (R, q)
    first : array, shape (R, q, f)
        Derivatives of z by the f coordinates.
    second : array, shape (R, q, f, f)
    """

    z: Array
    first: Array
    second: Array


class Coordinates(NamedTuple):
    """
    A description of surfaces by other numbers.

    Attributes
    ----------
    held : int
        Position of the quantity that is profiled.
    lower, upper : array, shape (f,)
        Bounds of the coordinates.
    place : callable
        From solver units, shape (R, q), to coordinates, shape (R, f).
    image : callable
        From coordinates to :class:`Image`; None where they are solver units.
    gates : tuple of (int, int)
        As :func:`lawful.solve.newton.minimise` takes them.
    limits : callable
        Bounds of the other coordinates at given values of the one held, shape (R, f) each;
        None where they do not depend on it.
    """

    held: int
    lower: Array
    upper: Array
    place: Callable[[Array], Array]
    image: Callable[[Array], Image] | None = None
    gates: tuple[tuple[int, int], ...] = ()
    limits: Callable[[Array], tuple[Array, Array]] | None = None

    def bounds(self, value: Array) -> tuple[Array, Array]:
        """Bounds of all coordinates per row with the quantity held at a value, shape (R, f) each."""
        if self.limits is not None:
            low, high = self.limits(value)
        else:
            low, high = (np.repeat(v[None], len(value), axis=0) for v in (self.lower, self.upper))
        low[:, self.held] = high[:, self.held] = value
        return low, high


def model_in(coordinates: Coordinates, x: Array, *, log: bool, base: Differentiated | None = None) -> Differentiated:
    """Law (separable, or the ``base`` given) as a function of the coordinates, for Newton's method."""
    plain = newton.separable(x, log=log) if base is None else base
    image = coordinates.image
    if image is None:
        return plain

    def model(z: Array) -> tuple[Array, Array, Curvature]:
        at = image(z)
        value, slope, bend = plain(at.z)
        back = at.first.transpose(0, 2, 1)

        def curvature(v: Array) -> Array:
            # Chain rule for f(z(phi)): J' (d²f/dz²) J, and the slopes of f times the second derivatives of z.
            pull = (slope @ v[:, :, None])[:, :, 0]
            return np.asarray(back @ bend(v) @ at.first + np.einsum("rk,rkij->rij", pull, at.second))

        return value, back @ slope, curvature

    return model


def _blank(phi: Array, q: int = 5) -> Image:
    rows, f = phi.shape
    return Image(np.zeros((rows, q)), np.zeros((rows, q, f)), np.zeros((rows, q, f, f)))


def _exponential(
    at: Image, k: int, exponent: Array, first: dict[int, Array], second: dict[tuple[int, int], Array]
) -> None:
    """Set z_k to the exponential of an exponent whose derivatives are given."""
    with np.errstate(over="ignore"):
        # z = e^u: z_i = z u_i and z_ij = z (u_i u_j + u_ij).
        value = np.exp(np.minimum(exponent, 300.0))
    at.z[:, k] = value
    for i, d in first.items():
        at.first[:, k, i] = value * d
        for j, e in first.items():
            at.second[:, k, i, j] = value * d * e
    for (i, j), d in second.items():
        at.second[:, k, i, j] += value * d
        if i != j:
            at.second[:, k, j, i] += value * d


def _copy(at: Image, k: int, phi: Array, i: int) -> None:
    at.z[:, k] = phi[:, i]
    at.first[:, k, i] = 1.0


def identity(held: int, lower: Array, upper: Array) -> Coordinates:
    """Solver units themselves, for the constant and the exponents; any number of powers."""
    p = (lower.size - 1) // 2
    return Coordinates(held, lower, upper, np.array, gates=tuple((1 + i, 1 + p + i) for i in range(p)))


def amplitude(term: int, lower: Array, upper: Array, centre: Array) -> Coordinates:
    """
    Hold the log of the multiplier of a power in place of the centred one; any number of powers.

    The term is c x^-theta = c' e^(-theta (ln x - m)), so c' = exp(ln c - theta m).
    """
    p = centre.size
    k, theta, middle = 1 + term, 1 + p + term, float(centre[term])
    others = [i for i in range(2 * p + 1) if i != k]
    low, high = lower.copy(), upper.copy()
    low[k], high[k] = -np.inf, np.inf

    def place(z: Array) -> Array:
        phi = z.copy()
        with np.errstate(divide="ignore"):
            phi[:, k] = np.log(z[:, k]) + z[:, theta] * middle
        return phi

    def image(phi: Array) -> Image:
        at = _blank(phi, 2 * p + 1)
        for i in others:
            _copy(at, i, phi, i)
        ones = np.ones(len(phi))
        _exponential(at, k, phi[:, k] - phi[:, theta] * middle, {k: ones, theta: -middle * ones}, {})
        return at

    gates = tuple((1 + i, 1 + p + i) for i in range(p) if i != term)
    return Coordinates(k, low, high, place, image, gates)


def ratio(lower: Array, upper: Array) -> Coordinates:
    """Hold a = beta/(alpha+beta): coordinates (E, c_1, c_2, a, alpha+beta)."""
    low, high = lower.copy(), upper.copy()
    low[4], high[4] = lower[ALPHA] + lower[BETA], upper[ALPHA] + upper[BETA]

    def place(z: Array) -> Array:
        phi = z.copy()
        phi[:, 4] = z[:, ALPHA] + z[:, BETA]
        phi[:, 3] = z[:, BETA] / phi[:, 4]
        return phi

    def image(phi: Array) -> Image:
        at = _blank(phi)
        for i in (E, C1, C2):
            _copy(at, i, phi, i)
        a, total = phi[:, 3], phi[:, 4]
        # alpha = (1 - a) t and beta = a t are bilinear, so the only second derivatives are the mixed ones, -1 and 1.
        for k, share, sign in ((ALPHA, 1.0 - a, -1.0), (BETA, a, 1.0)):
            at.z[:, k] = share * total
            at.first[:, k, 3], at.first[:, k, 4] = sign * total, share
            at.second[:, k, 3, 4] = at.second[:, k, 4, 3] = sign
        return at

    def limits(value: Array) -> tuple[Array, Array]:
        # The exponents are (1-a) and a times their sum: their boxes bound the sum.
        below, above = (np.repeat(v[None], len(value), axis=0) for v in (low, high))
        shares = np.stack([1.0 - value, value], axis=1)
        below[:, 4] = (lower[[ALPHA, BETA]] / shares).max(axis=1)
        above[:, 4] = np.maximum((upper[[ALPHA, BETA]] / shares).min(axis=1), below[:, 4])
        return below, above

    # a rises with beta and falls with alpha: its ends are at opposite corners of their box.
    low[3] = lower[BETA] / (lower[BETA] + upper[ALPHA])
    high[3] = upper[BETA] / (upper[BETA] + lower[ALPHA])
    return Coordinates(3, low, high, place, image, limits=limits)


def optimum(name: str, lower: Array, upper: Array, centre: Array, log_product: float) -> Coordinates:
    """Coordinates (E, ln g, ln N*, alpha, beta), or (L*, …): hold N* or L* at a budget with N·D = e^log_product."""
    x0, y0 = float(centre[0]), float(centre[1])
    at_loss = name == "loss"
    low, high = lower.copy(), upper.copy()
    low[[1, 2]], high[[1, 2]] = -np.inf, np.inf
    if at_loss:
        low[0], high[0] = 0.0, np.inf

    def place(z: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            log_a, log_b = np.log(z[:, C1]) + z[:, ALPHA] * x0, np.log(z[:, C2]) + z[:, BETA] * y0
        alpha, beta = z[:, ALPHA], z[:, BETA]
        # ln(alpha A) - alpha s = ln(beta B) - beta (m - s) solved for s = ln N*; either side is ln g.
        s = (np.log(alpha) + log_a - np.log(beta) - log_b + beta * log_product) / (alpha + beta)
        log_g = np.log(alpha) + log_a - alpha * s
        level = z[:, E] + np.exp(log_g) * (1 / alpha + 1 / beta) if at_loss else z[:, E]
        return np.stack([level, log_g, s, alpha, beta], axis=1)

    def image(phi: Array) -> Image:
        at = _blank(phi)
        g, s, alpha, beta = np.exp(np.clip(phi[:, 1], -300, 300)), phi[:, 2], phi[:, 3], phi[:, 4]
        _copy(at, E, phi, 0)
        _copy(at, ALPHA, phi, 3)
        _copy(at, BETA, phi, 4)
        _terms(at, phi[:, 1], s, alpha, beta, (1, 2, 3, 4))
        if at_loss:
            # E = L* - g (1/alpha + 1/beta), whose derivative in ln g is itself, in alpha it is g/alpha².
            total = g * (1 / alpha + 1 / beta)
            at.z[:, E] -= total
            at.first[:, E, 1], at.first[:, E, 3], at.first[:, E, 4] = -total, g / alpha**2, g / beta**2
            at.second[:, E, 1, 1] = -total
            at.second[:, E, 1, 3] = at.second[:, E, 3, 1] = g / alpha**2
            at.second[:, E, 1, 4] = at.second[:, E, 4, 1] = g / beta**2
            at.second[:, E, 3, 3], at.second[:, E, 4, 4] = -2 * g / alpha**3, -2 * g / beta**3
        return at

    def _terms(at: Image, log_g: Array, s: Array, alpha: Array, beta: Array, where: tuple[int, int, int, int]) -> None:
        i, j, k, m = where
        # In centred columns c_1 = A e^(-alpha x0) = g e^(alpha (s - x0)) / alpha, c_2 = g e^(beta (m - s - y0)) / beta;
        # derivatives of their logs (with -ln alpha in them) are what _exponential is given.
        ones, left, right = np.ones(len(s)), s - x0, log_product - s - y0
        first = {i: ones, j: alpha, k: left - 1 / alpha}
        _exponential(at, C1, log_g - np.log(alpha) + alpha * left, first, {(j, k): ones, (k, k): 1 / alpha**2})
        first = {i: ones, j: -beta, m: right - 1 / beta}
        _exponential(at, C2, log_g - np.log(beta) + beta * right, first, {(j, m): -ones, (m, m): 1 / beta**2})

    return Coordinates(0 if at_loss else 2, low, high, place, image)


def without_constant(lower: Array, upper: Array, centre: Array, log_product: float) -> Coordinates:
    """Coordinates (ln L*, ln N*, alpha, beta) of surfaces with E = 0: what is left where L* would ask for E < 0."""
    full = optimum("params", lower, upper, centre, log_product)
    low, high = full.lower[[1, 2, 3, 4]].copy(), full.upper[[1, 2, 3, 4]].copy()

    def place(z: Array) -> Array:
        phi = full.place(z)
        phi[:, 1] += np.log(1 / phi[:, 3] + 1 / phi[:, 4])
        return phi[:, 1:]

    def image(phi: Array) -> Image:
        # ln g = ln L* - ln(1/alpha + 1/beta): a step in front of the full map.
        alpha, beta = phi[:, 2], phi[:, 3]
        total = 1 / alpha + 1 / beta
        inner = np.concatenate([np.zeros((len(phi), 1)), phi], axis=1)
        inner[:, 1] -= np.log(total)
        at = full.image(inner) if full.image else _blank(inner)
        step = np.zeros((len(phi), 5, 4))
        step[:, [1, 2, 3, 4], [0, 1, 2, 3]] = 1.0
        # d ln(1/alpha + 1/beta)/dalpha = -1/(alpha² total), so ln g rises by da; once more gives da² - 2 da/alpha.
        da, db = 1 / (alpha**2 * total), 1 / (beta**2 * total)
        step[:, 1, 2], step[:, 1, 3] = da, db
        bend = np.zeros((len(phi), 4, 4))
        bend[:, 2, 2] = da**2 - 2 * da / alpha
        bend[:, 3, 3] = db**2 - 2 * db / beta
        bend[:, 2, 3] = bend[:, 3, 2] = da * db
        second = np.einsum("rkij,ria,rjb->rkab", at.second, step, step)
        second += at.first[:, :, 1, None, None] * bend[:, None]
        return Image(at.z, at.first @ step, second)

    return Coordinates(0, low, high, place, image)
