r"""
What the runs leave open once the exponents are given: an ellipsoid cut by signs and bounds. Arrays only.

Given alpha and beta the law ``E + a u + b v`` is linear in (E, a, b), with centred columns
``u = exp(-alpha x)`` and ``v = exp(-beta y)``. The coefficients whose sum of squares stays below
a height fill an ellipsoid, and ``a, b >= 0`` and the bounds of E cut it. The largest value of a
linear function, of ``a/b``, or of the loss at a compute-optimal point over what is left is
attained where a face of that set (E free or on a bound, a or b free or held) touches it, so
every extreme is a closed form and none is searched for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from lawful.core.typing import AnyArray, Array, BoolArray, IntArray

COLLINEAR = 1e-12
"""Columns whose squared sine is below this cannot be told apart."""

GIVE = 1e-9
"""Relative breach of a sign or a bound that is rounding."""

LEVEL_ROUNDS = 5
"""Alternations between a compute-optimal point and the coefficients that move it most."""

BLOCK = 1_000_000
"""Entries of a column that are worked on at once: they stay in the cache, and Ctrl-C is heard at once."""

FARTHEST = 80.0
"""Logarithm of N* beyond which it is as good as 0 or infinite."""


class Grouped(NamedTuple):
    """
    An inverse covariance of runs whose groups share an error, never formed: diagonal less a square per group.

    Of ``(1 - g) 1 + g J`` in a group of m runs the inverse is ``(1 - g J / (1 - g + g m)) / (1 - g)``.

    Attributes
    ----------
    diagonal : array, shape (n,)
        What every run weighs by itself.
    root : array, shape (n,)
        Square root of the weight with which a run enters its group.
    label : int array, shape (n,)
        Group of each run, 0 to G - 1.
    taken : array, shape (G,)
        Factor of the square of the group.

    Examples
    --------
    >>> metric = Grouped.of(np.array([0, 0, 1]), 0.5)
    >>> dense = np.linalg.inv(np.array([[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    >>> bool(np.allclose(metric.weigh(np.eye(3)), dense))
    True
    """

    diagonal: Array
    root: Array
    label: IntArray
    taken: Array

    @classmethod
    def of(cls, label: IntArray, share: float) -> Grouped:
        """Return the metric of groups whose runs share this part of their variance."""
        _, index, count = np.unique(label, return_inverse=True, return_counts=True)
        one = np.ones(index.size)
        taken = np.asarray(share / (1 - share) / (1 - share + share * count), dtype=float)
        return cls(one / (1 - share), one, index, taken)

    def scaled(self, weight: Array) -> Grouped:
        """Return the metric of runs with these weights, shape (n,), beside it."""
        return self._replace(diagonal=self.diagonal * weight, root=self.root * np.sqrt(weight))

    def beside(self, weights: Sequence[float]) -> Grouped:
        """Return the metric with independent runs of these weights behind its own."""
        more = np.zeros(len(weights))
        return self._replace(
            diagonal=np.append(self.diagonal, weights),
            root=np.append(self.root, more),
            label=np.append(self.label, more.astype(np.intp)),
        )

    def weigh(self, rows: Array) -> Array:
        """Rows times the metric, shape (…, n)."""
        order = np.argsort(self.label, kind="stable")
        starts = np.searchsorted(self.label[order], np.arange(self.taken.size))
        sums = np.add.reduceat((rows * self.root)[..., order], starts, axis=-1) * self.taken
        return np.asarray(rows * self.diagonal - sums[..., self.label] * self.root)


class Summed(Protocol):
    """What stands for runs in sums: 1, their losses, powers of their columns, and a metric between them."""

    @property
    def one(self) -> Array:
        """What stands for 1 in every run, shape (n,)."""

    @property
    def y(self) -> Array:
        """Losses, shape (n,)."""

    def powers(self, term: int, theta: Array) -> Array:
        """Powers of a column at K exponents, shape (K, n)."""

    def leaning(self, term: int, theta: Array) -> Array:
        """Powers times the column, shape (K, n)."""

    def weigh(self, rows: Array) -> Array:
        """Rows times the metric."""


class Design(NamedTuple):
    """
    Runs in the units of the solver.

    Attributes
    ----------
    x : array, shape (2, n)
        Logs of N and D less their centres.
    y : array, shape (n,)
        Losses.
    metric : Grouped or array, shape (n,) or (n, n)
        Weights, or the inverse covariance up to a factor.
    constant : (float, float)
        Bounds of E.
    held : (float or None, float or None)
        A and B where they are pinned (then their column is not centred).
    """

    x: Array
    y: Array
    metric: Grouped | Array
    constant: tuple[float, float]
    held: tuple[float | None, float | None]

    @property
    def one(self) -> Array:
        """1 for every run."""
        return np.ones_like(self.y)

    def powers(self, term: int, theta: Array) -> Array:
        """Powers of a column at K exponents, shape (K, n)."""
        return np.asarray(np.exp(-theta[:, None] * self.x[term]))

    def leaning(self, term: int, theta: Array) -> Array:
        """Powers times the column, shape (K, n)."""
        return np.asarray(self.x[term] * self.powers(term, theta))

    def weigh(self, rows: Array) -> Array:
        """Rows times the metric."""
        if isinstance(self.metric, Grouped):
            return self.metric.weigh(rows)
        return np.asarray(rows * self.metric if self.metric.ndim == 1 else rows @ self.metric)


class Moments(NamedTuple):
    """Centred second moments of u, v and y and their means, at K pairs of exponents; totals are numbers."""

    uu: Array
    uv: Array
    vv: Array
    uy: Array
    vy: Array
    u: Array
    v: Array
    yy: float
    y: float
    total: float

    def take(self, index: AnyArray) -> Moments:
        """Some of the pairs."""
        uu, uv, vv, uy, vy, u, v = (value[index] for value in self[:7])
        return Moments(uu, uv, vv, uy, vy, u, v, *self[7:])


class _Powers(NamedTuple):
    centred: Array
    weighed: Array
    square: Array
    target: Array
    mean: Array


class Sums:
    """Moments of one design; what does not depend on the exponents is worked out once."""

    def __init__(self, design: Summed) -> None:
        self.design = design
        self.one = design.one
        self._one = design.weigh(self.one[None])[0]
        self.total = float((self._one * self.one).sum())
        self.mean = float(self._one @ design.y / self.total)
        away = design.y - self.mean * self.one
        self._weighed = design.weigh(away[None])[0]
        self.square = float(self._weighed @ away)

    def _columns(self, theta: Array, term: int) -> _Powers:
        column = self.design.powers(term, theta)
        mean = column @ self._one / self.total
        column -= mean[:, None] * self.one
        weighed = self.design.weigh(column)
        square = np.einsum("kn,kn->k", column, weighed)
        return _Powers(column, weighed, square, column @ self._weighed, mean)

    def grid(self, alpha: Array, beta: Array) -> Moments:
        """Moments at every pair of two axes, the second varying fastest."""
        u, v = self._columns(alpha, 0), self._columns(beta, 1)
        cross = (u.weighed @ v.centred.T).ravel()
        m, k = beta.size, alpha.size
        first = [np.repeat(value, m) for value in (u.square, u.target, u.mean)]
        second = [np.tile(value, k) for value in (v.square, v.target, v.mean)]
        return self._moments(first, second, cross)

    def pairs(self, alpha: Array, beta: Array) -> Moments:
        """Moments at pairs of exponents; many runs are taken a few pairs at a time."""
        step = max(1, BLOCK // self.design.y.size)
        if alpha.size > step:
            parts = [self.pairs(alpha[i : i + step], beta[i : i + step]) for i in range(0, alpha.size, step)]
            uu, uv, vv, uy, vy, u, v = (np.concatenate([part[i] for part in parts]) for i in range(7))
            return Moments(uu, uv, vv, uy, vy, u, v, *parts[0][7:])
        one, other = self._columns(alpha, 0), self._columns(beta, 1)
        cross = np.einsum("kn,kn->k", one.weighed, other.centred)
        return self._moments([one.square, one.target, one.mean], [other.square, other.target, other.mean], cross)

    def _moments(self, first: list[Array], second: list[Array], cross: Array) -> Moments:
        (uu, uy, u), (vv, vy, v) = first, second
        return Moments(uu, cross, vv, uy, vy, u, v, self.square, self.mean, self.total)


class Face(NamedTuple):
    """
    Minimum of the sum of squares over one face, and its curvature, at K pairs of exponents.

    Attributes
    ----------
    e, a, b : array, shape (K,)
        Coefficients at the minimum.
    rss : array, shape (K,)
    aa, ab, bb : array, shape (K,)
        Inverse curvature of the amplitudes; 0 where one is held.
    ee : float
        Inverse curvature of E at given amplitudes; 0 where E is held.
    inside : bool array, shape (K,)
        Whether the face exists here and its minimum keeps signs and bounds.
    exists : bool array, shape (K,)
    free : (bool, bool, bool)
        Which of E, a and b vary on it.
    """

    e: Array
    a: Array
    b: Array
    rss: Array
    aa: Array
    ab: Array
    bb: Array
    ee: float
    inside: BoolArray
    exists: BoolArray
    free: tuple[bool, bool, bool]

    def take(self, index: AnyArray) -> Face:
        """Some of the pairs."""
        e, a, b, rss, aa, ab, bb = (value[index] for value in self[:7])
        return Face(e, a, b, rss, aa, ab, bb, self.ee, self.inside[index], self.exists[index], self.free)


class Extreme(NamedTuple):
    """Largest or smallest value of a quantity over the set at K pairs of exponents; infinite the wrong way if none."""

    low: Array
    high: Array


class Node(NamedTuple):
    """Every face at K pairs of exponents, and the moments they come from."""

    alpha: Array
    beta: Array
    moments: Moments
    faces: tuple[Face, ...]
    rss: Array

    def take(self, index: AnyArray) -> Node:
        """Some of the pairs."""
        picked = tuple(face.take(index) for face in self.faces)
        return Node(self.alpha[index], self.beta[index], self.moments.take(index), picked, self.rss[index])


def node(design: Design, moments: Moments, alpha: Array, beta: Array, zeros: tuple[bool, bool] = (True, True)) -> Node:
    """
    Work out every face at pairs of exponents; ``rss`` is the least sum of squares that signs and bounds allow.

    ``zeros`` says whether faces without A, and without B, are wanted: where they lie above every height
    that is asked about, they only cost time.
    """
    faces = tuple(_faces(design, moments, alpha.size, zeros))
    rss = np.full(alpha.shape, np.inf)
    for face in faces:
        np.minimum(rss, np.where(face.inside, face.rss, np.inf), out=rss)
    return Node(alpha, beta, moments, faces, rss)


def _faces(design: Design, m: Moments, count: int, zeros: tuple[bool, bool]) -> Iterator[Face]:
    low, high = design.constant
    zero = np.zeros(count)
    amounts: list[list[Array | None]] = []
    for pin, gone in zip(design.held, zeros, strict=True):
        amounts.append([None, zero] if gone else [None]) if pin is None else amounts.append([pin + zero])
    constants = [low] if low == high else [None, low] + ([high] if np.isfinite(high) else [])
    for e in constants:
        for a in amounts[0]:
            for b in amounts[1]:
                yield _face(m, e, a, b, design.constant)


def _face(m: Moments, e: float | None, a: Array | None, b: Array | None, limits: tuple[float, float]) -> Face:
    """Minimum over one face: what is None varies, the rest is held."""
    uu, uv, vv, uy, vy, yy = m.uu, m.uv, m.vv, m.uy, m.vy, m.yy
    if e is not None:
        # E is held, so the means of the columns have to explain the mean of the losses, too.
        gap = m.y - e
        uu, uv, vv = uu + m.total * m.u**2, uv + m.total * m.u * m.v, vv + m.total * m.v**2
        uy, vy, yy = uy + m.total * gap * m.u, vy + m.total * gap * m.v, yy + m.total * gap**2
    none = np.zeros_like(uu)
    aa = ab = bb = none
    exists = np.ones(uu.shape, dtype=bool)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if a is None and b is None:
            det = uu * vv - uv**2
            exists = det > COLLINEAR * uu * vv
            det = np.where(exists, det, 1.0)
            aa, ab, bb = vv / det, -uv / det, uu / det
            at_a, at_b = aa * uy + ab * vy, ab * uy + bb * vy
        elif a is None:
            at_b = none if b is None else b
            exists = uu > 0
            aa = np.where(exists, 1.0 / uu, 0.0)
            at_a = aa * (uy - uv * at_b)
        elif b is None:
            at_a = a
            exists = vv > 0
            bb = np.where(exists, 1.0 / vv, 0.0)
            at_b = bb * (vy - uv * at_a)
        else:
            at_a, at_b = a, b
        rss = yy - 2 * (at_a * uy + at_b * vy) + at_a**2 * uu + 2 * at_a * at_b * uv + at_b**2 * vv
    at_e = m.y - at_a * m.u - at_b * m.v if e is None else np.full(uu.shape, e)
    inside = exists & (at_a >= 0) & (at_b >= 0)
    if e is None:
        inside &= _within(at_e, limits)
    ee = 1.0 / m.total if e is None else 0.0
    return Face(at_e, at_a, at_b, rss, aa, ab, bb, ee, inside, exists, (e is None, a is None, b is None))


def _within(e: Array, limits: tuple[float, float]) -> BoolArray:
    give = GIVE * (1.0 + np.abs(e))
    return np.asarray((e >= limits[0] - give) & (e <= limits[1] + give))


class _Tips(NamedTuple):
    """Points of a face where a linear function is smallest (row 0) and largest (row 1), shape (2, K) each."""

    value: Array
    e: Array
    a: Array
    b: Array


SIDES = np.array([[-1.0], [1.0]])


def _tips(face: Face, m: Moments, height: float, limits: tuple[float, float], w: tuple[Array, Array, Array]) -> _Tips:
    """Ends of ``w0 E + w1 a + w2 b`` on one face; not finite where the face does not touch the set there."""
    free_e = face.free[0]
    w0, w1, w2 = w
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # With E free it follows the amplitudes, E = mean - a u - b v, and has a spread of its own around that.
        t1, t2 = (w1 - w0 * m.u, w2 - w0 * m.v) if free_e else (w1, w2)
        da, db = face.aa * t1 + face.ab * t2, face.ab * t1 + face.bb * t2
        variance = w0**2 * face.ee + t1 * da + t2 * db
        room = height - face.rss
        k = SIDES * np.where(variance > 0, np.sqrt(np.maximum(room, 0.0) / variance), 0.0)
        a, b = face.a + k * da, face.b + k * db
        e = face.e + k * (w0 * face.ee - da * m.u - db * m.v) if free_e else np.broadcast_to(face.e, a.shape)
        touching = face.exists & (room >= 0) & (a >= 0) & (b >= 0)
        if free_e:
            touching = touching & _within(e, limits)
        value = w0 * e + w1 * a + w2 * b
    return _Tips(np.where(touching, value, -SIDES * np.inf), e, a, b)


def linear(at: Node, height: float, limits: tuple[float, float], w: tuple[Array, Array, Array]) -> _Tips:
    """Smallest and largest ``w0 E + w1 a + w2 b`` over the set at each pair, and where they are attained."""
    best = _Tips(-SIDES * np.full(at.rss.shape, np.inf), *(np.zeros((2, at.rss.size)) for _ in range(3)))
    first = True
    for face in at.faces:
        if not (face.rss <= height).any():
            continue
        tips = _tips(face, at.moments, height, limits, w)
        if first:
            best, first = tips, False
            continue
        better = SIDES * tips.value > SIDES * best.value
        best = _Tips(*(np.where(better, new, old) for new, old in zip(tips, best, strict=True)))
    return best


def ratio(at: Node, height: float, limits: tuple[float, float]) -> Extreme:
    """Smallest and largest a/b over the set at each pair, faces without a or b apart."""
    low, high = np.full(at.rss.shape, np.inf), np.full(at.rss.shape, -np.inf)
    for face in at.faces:
        if not (face.rss <= height).any():
            continue
        for r, fair in _ratios(face, at.moments, height, limits):
            low, high = np.where(fair, np.minimum(low, r), low), np.where(fair, np.maximum(high, r), high)
    return Extreme(low, high)


def _ratios(face: Face, m: Moments, height: float, limits: tuple[float, float]) -> Iterator[tuple[Array, BoolArray]]:
    """Ratios a/b at which a line through the origin touches the ellipse of one face, with whether they count."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        q = np.maximum(height - face.rss, 0.0)
        second, cross = face.b**2 - q * face.bb, face.a * face.b - q * face.ab
        first = face.a**2 - q * face.aa
        root = np.sqrt(np.maximum(cross**2 - first * second, 0.0))
        for sign in (-1.0, 1.0):
            r = (cross + sign * root) / second
            da, db = face.aa - r * face.ab, face.ab - r * face.bb
            # a - r b is zero where the line touches: the point lies on one side or the other of the centre.
            away = face.a - r * face.b
            spread = da - r * db
            k = np.where(spread > 0, -away / spread, 0.0)
            a, b = face.a + k * da, face.b + k * db
            fair = face.exists & (height >= face.rss) & (a > 0) & (b > 0) & np.isfinite(r) & (r > 0)
            if face.free[0]:
                fair &= _within(face.e - k * (da * m.u + db * m.v), limits)
            yield r, fair


def optimum_loss(at: Node, height: float, limits: tuple[float, float], x: float, y: float) -> Extreme:
    """
    Smallest and largest loss at the best N of a budget over the set at each pair.

    Parameters
    ----------
    at : Node
    height : float
    limits : (float, float)
        Bounds of E.
    x : float
        Centre of ln N.
    y : float
        ln(N D) of the budget less the centre of ln D.

    Notes
    -----
    With N given the loss is linear in the coefficients, and the optimum is the smallest over N: a
    concave function. Its smallest value is found by alternating between the best N and the lowest
    coefficients; its largest, a saddle point, in half steps. Every value returned is attained.
    """
    alpha, beta = at.alpha, at.beta
    one = np.ones(alpha.shape)

    def best_size(a: Array, b: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            s = (np.log(alpha * a / (beta * b)) + alpha * x + beta * y) / (alpha + beta)
        return np.asarray(np.clip(np.nan_to_num(s, nan=x), x - FARTHEST, x + FARTHEST))

    def level(tips: _Tips, side: int) -> Array:
        a, b = tips.a[side], tips.b[side]
        s = best_size(a, b)
        with np.errstate(invalid="ignore", over="ignore"):
            terms = a * np.exp(-alpha * (s - x)) + b * np.exp(-beta * (y - s))
        terms = np.where((a > 0) & (b > 0), terms, 0.0)
        return np.asarray(np.where(np.isfinite(tips.value[side]), tips.e[side] + terms, (1 - 2 * side) * np.inf))

    def at_size(s: Array) -> _Tips:
        with np.errstate(over="ignore"):
            return linear(at, height, limits, (one, np.exp(-alpha * (s - x)), np.exp(-beta * (y - s))))

    middle = _centre(at)
    s_low = s_high = best_size(*middle)
    low, high = np.full(alpha.shape, np.inf), np.full(alpha.shape, -np.inf)
    for _ in range(LEVEL_ROUNDS):
        down, up = at_size(s_low), at_size(s_high)
        low, high = np.minimum(low, level(down, 0)), np.maximum(high, level(up, 1))
        s_low = best_size(down.a[0], down.b[0])
        s_high = 0.5 * (s_high + best_size(up.a[1], up.b[1]))
    # Without one of the terms the optimum is E alone.
    if all(f.free[1] and f.free[2] for f in at.faces):
        return Extreme(low, high)
    only = linear(_edges(at), height, limits, (one, 0 * one, 0 * one))
    return Extreme(np.minimum(low, only.value[0]), np.maximum(high, np.where(at.rss <= height, only.value[1], -np.inf)))


def _centre(at: Node) -> tuple[Array, Array]:
    """Amplitudes of the least sum of squares at each pair."""
    a, b = np.ones(at.rss.shape), np.ones(at.rss.shape)
    for face in at.faces:
        here = face.inside & (face.rss <= at.rss) & (face.a > 0) & (face.b > 0)
        a, b = np.where(here, face.a, a), np.where(here, face.b, b)
    return a, b


def _edges(at: Node) -> Node:
    """Faces on which a term is gone; the first of all, never touching, where there is none."""
    gone = tuple(f for f in at.faces if not (f.free[1] and f.free[2]) and ((f.a == 0) | (f.b == 0)).all())
    if gone:
        return at._replace(faces=gone)
    first = at.faces[0]
    return at._replace(faces=(first._replace(exists=np.zeros_like(first.exists)),))
