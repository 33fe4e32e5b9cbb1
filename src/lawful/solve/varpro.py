r"""
Variable projection for any formula: a search in its shapes alone, batched over starts.

Given the shapes the loss is a combination of a few columns, whose multipliers (amounts) are a small least-squares
problem in a box. What is left is a search in the shapes: from points that fill their box, Levenberg and Marquardt's
steps on the residual that the amounts cannot take up. With J the slopes at held amounts and P the projector away from
the free columns, Kaufman (1975) steps along P J: it leaves out the term in which the amounts' own change is curved,
costs no more than ordinary Gauss-Newton, and converges as quickly where the misfit is small.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from lawful.core.expression import ZERO, Expression, Tape, substitute
from lawful.core.typing import Array, BoolArray
from lawful.laws.law import Box
from lawful.laws.projection import Link, Separation, Term, split
from lawful.solve.bounded import box_least_squares, triangle_of
from lawful.solve.screening import halton, sampled

STARTS, SCREENED, FINALISTS = 256, 48, 10
"""Points that are scored, those that take a few steps, and those that are followed on."""

FIRST_STEPS, MORE_STEPS, LAST_STEPS = 12, 40, 300
ROUNDS = 6
"""Rounds of new starts, until the best value is met twice."""

SAME = 1e-7
"""Relative difference in the misfit below which two rounds have met the same optimum."""

WIDE = 50.0
"""Ratio of the bounds of a positive shape from which it is searched through its logarithm."""

LEAST_SHARE = 1e-16
"""Share of its upper bound that such a shape's search begins at, where its lower bound is 0."""

CHUNK = 6_000_000
"""Starts times runs times steps of the tape that are worked on at a time."""

HUGE = 1e280


def coefficients_of(search: Search, x: Array, c: Array) -> dict[str, Array]:
    """From a search's coordinates and scaled amounts to the coefficients of the formula, shape (R,) each."""
    state = search.evaluate(x, slopes=False)
    shapes = search.shapes(x)
    found = {w: shapes[:, i] for i, w in enumerate(search.parts.shapes)}
    work = search.link_tape.run(found)
    with np.errstate(all="ignore"):
        for j, column in enumerate(search.parts.columns):
            amount = c[:, j] * np.exp(-state.logscale[:, j])
            exponent = np.broadcast_to(work[search.link_tape.outputs[j]], amount.shape)
            found[column.amount] = unlinked(column.link, amount, exponent)
        for label, ratio in search.parts.ratios.items():
            found[ratio.numerator] = found.pop(label) * found[ratio.denominator]
    return {w: np.clip(np.nan_to_num(v), *search.bounds[w]) for w, v in found.items()}


def unlinked(link: Link, amount: Array, exponent: Array) -> Array:
    """From the multiplier of a column back to the coefficient."""
    if link.kind == "exp":
        return np.log(amount) / link.rate
    return amount ** (1.0 / exponent) if link.kind == "power" else amount


class Landing(NamedTuple):
    """
    Rows of a search.

    Attributes
    ----------
    x : array, shape (R, s)
        Coordinates of the shapes: logs for some.
    c : array, shape (R, K)
        Amounts times the scale of their columns.
    value : array, shape (R,)
        Sum of squares; infinite where the formula has no value.
    """

    x: Array
    c: Array
    value: Array


class _Places(NamedTuple):
    """
    Rows of a search where they stand.

    ``slopes`` and ``residual`` are Q'J and Q'r of one decomposition, with the rows of the free columns at 0: all that a
    step needs of the projected slopes, in K + s + 1 rows in place of n.
    """

    residual: Array
    value: Array
    c: Array
    logscale: Array
    slopes: Array


_Raised = tuple[Array, Array]
"""A term at rows of shapes: the exponential of its log part, and its plain part."""


class _Laid(NamedTuple):
    basis: Array
    rest: Array
    logscale: Array
    good: BoolArray
    work: list[Any]
    terms: list[list[_Raised]]
    loose: list[_Raised]


@dataclass(frozen=True)
class Search:
    """
    A formula on runs, ready to be searched.

    Parameters
    ----------
    parts : Separation
    columns : mapping of str to array, shape (n,)
        Columns of the table by name.
    y : array, shape (n,)
        Losses times the square roots of the weights.
    root : array, shape (n,), or float
        Square roots of the weights.
    bounds : mapping of str to (float, float)
        Bounds of all coefficients, ratios included.
    """

    parts: Separation
    columns: Mapping[str, Array]
    y: Array
    root: Array | float
    bounds: Mapping[str, Box]

    @cached_property
    def tape(self) -> Tape:
        """All terms: the log part and the plain part of each."""
        terms = [t for column in self.parts.columns for t in column.terms] + list(self.parts.rest)
        return Tape(*(e for t in terms for e in (t.log, t.plain)))

    @cached_property
    def link_tape(self) -> Tape:
        """Exponents of the links, one per amount."""
        return Tape(*(c.link.exponent for c in self.parts.columns))

    @cached_property
    def logs(self) -> BoolArray:
        """Which shapes are searched through their logarithm, shape (s,)."""
        ends = [self._ends(word) for word in self.parts.shapes]
        return np.array([low > 0 and WIDE <= high / low < np.inf for low, high in ends], dtype=bool)

    def _ends(self, word: str) -> Box:
        low, high = self.bounds[word]
        return (high * LEAST_SHARE if low == 0.0 and WIDE <= high < np.inf else low), high

    @cached_property
    def limits(self) -> Array:
        """Lower and upper ends of the coordinates, shape (2, s)."""
        ends = np.array([self._ends(word) for word in self.parts.shapes], float).reshape(-1, 2).T
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.logs, np.log(np.where(self.logs, ends, 1.0)), ends)

    @property
    def lower(self) -> Array:
        """Lower ends of the coordinates, shape (s,)."""
        return np.asarray(self.limits[0])

    @property
    def upper(self) -> Array:
        """Upper ends of the coordinates, shape (s,)."""
        return np.asarray(self.limits[1])

    def shapes(self, x: Array) -> Array:
        """From coordinates to shapes, shape (R, s)."""
        return np.where(self.logs, np.exp(np.where(self.logs, x, 0.0)), x)

    def coordinates(self, shapes: Array) -> Array:
        """From shapes to coordinates, inside their bounds."""
        with np.errstate(divide="ignore", invalid="ignore"):
            x = np.where(self.logs, np.log(np.where(self.logs, shapes, 1.0)), shapes)
        return np.asarray(np.clip(np.nan_to_num(x, neginf=-HUGE), self.lower, self.upper))

    def names(self, x: Array) -> dict[str, Any]:
        """Arrays by name for the tape."""
        shapes = self.shapes(x)
        return dict(self.columns) | {w: shapes[:, i, None] for i, w in enumerate(self.parts.shapes)}

    def amount_bounds(self, x: Array, logscale: Array) -> tuple[Array, Array]:
        """Bounds of the scaled amounts, shape (R, K) each."""
        shapes = {w: v for w, v in self.names(x).items() if w in self.parts.shapes}
        lows, highs = [], []
        work = self.link_tape.run(shapes)
        for k, column in enumerate(self.parts.columns):
            low, high = linked(column.link, self.bounds[column.amount], work[self.link_tape.outputs[k]], len(x))
            lows.append(low)
            highs.append(high)
        with np.errstate(over="ignore", invalid="ignore"):
            factor = np.exp(np.clip(logscale, -600, 600))
            low, high = (np.stack(v, axis=1) * factor for v in (lows, highs))
        return np.clip(np.nan_to_num(low, nan=0.0), -HUGE, HUGE), np.clip(np.nan_to_num(high, nan=HUGE), -HUGE, HUGE)

    def evaluate(self, x: Array, *, slopes: bool) -> _Places:
        """Residual at the best amounts of every row, and the slopes by the coordinates."""
        parts = [self._evaluate(x[i : i + self.block], slopes=slopes) for i in range(0, len(x), self.block)]
        if len(parts) == 1:
            return parts[0]
        return _Places(*(np.concatenate(a) for a in zip(*parts, strict=True)))

    @property
    def block(self) -> int:
        """Rows that are evaluated at a time."""
        return max(1, CHUNK // (self.y.size * max(len(self.tape.steps), 1)))

    def _laid(self, x: Array) -> _Laid:
        """Columns of unit norm at rows of coordinates; their size is a logarithm apart, so nothing overflows."""
        rows, n = len(x), self.y.size
        work = self.tape.run(self.names(x))
        outputs = iter([np.asarray(work[i]) for i in self.tape.outputs])
        basis, logscale = np.empty((rows, len(self.parts.columns), n)), np.zeros((rows, len(self.parts.columns)))
        terms: list[list[_Raised]] = []
        with np.errstate(all="ignore"):
            for j, column in enumerate(self.parts.columns):
                pairs = [(np.broadcast_to(next(outputs), (rows, n)), next(outputs)) for _ in column.terms]
                top = np.max([log.max(axis=1) for log, _ in pairs], axis=0)
                raised = [(np.exp(log - top[:, None]) * self.root, plain) for log, plain in pairs]
                total = np.asarray(sum(e * plain for e, plain in raised))
                norm = np.sqrt((total**2).sum(axis=1))
                norm = np.where(norm > 0, norm, 1.0)
                basis[:, j], logscale[:, j] = total / norm[:, None], top + np.log(norm)
                terms.append([(e / norm[:, None], plain) for e, plain in raised])
            loose = [
                (np.exp(np.broadcast_to(next(outputs), (rows, n))) * self.root, next(outputs)) for _ in self.parts.rest
            ]
            rest = np.zeros((rows, n)) + sum(e * plain for e, plain in loose)
        good = np.isfinite(basis).all(axis=(1, 2)) & np.isfinite(rest).all(axis=1) & np.isfinite(logscale).all(axis=1)
        basis[~good], rest[~good], logscale[~good] = 0.0, 0.0, 0.0
        return _Laid(basis, rest, logscale, good, work, terms, loose)

    def _evaluate(self, x: Array, *, slopes: bool) -> _Places:
        laid = self._laid(x)
        rows = len(x)
        residual = self.y - laid.rest
        c, free = np.zeros((rows, 0)), np.zeros((rows, 0), dtype=bool)
        if self.parts.columns:
            k = len(self.parts.columns)
            r = triangle_of(np.concatenate([laid.basis, residual[:, None]], axis=1).transpose(0, 2, 1))
            c, free = box_least_squares(r[:, :k, :k], r[:, :k, k], *self.amount_bounds(x, laid.logscale))
            residual = residual - (c[:, None, :] @ laid.basis)[:, 0]
        value = np.where(laid.good, np.einsum("rn,rn->r", residual, residual), np.inf)
        if not slopes:
            return _Places(residual, value, c, laid.logscale, np.zeros((rows, 0, 0)))
        J, residual = self._projected(laid, self._slopes(x, laid, c), residual, free)
        return _Places(residual, value, c, laid.logscale, J)

    def _slopes(self, x: Array, laid: _Laid, c: Array) -> Array:
        """Slopes of the model by the coordinates at held amounts, (R, n, s)."""
        seeds: list[Any] = []
        for j, pairs in enumerate(laid.terms):
            for raised, plain in pairs:
                seeds += [c[:, j, None] * raised * plain, c[:, j, None] * raised]
        for raised, plain in laid.loose:
            seeds += [raised * plain, raised]
        found = self.tape.back(laid.work, seeds, self.parts.shapes)
        shapes = self.shapes(x)
        J = np.empty((len(x), self.y.size, len(self.parts.shapes)))
        for i, word in enumerate(self.parts.shapes):
            J[:, :, i] = found[word] * (shapes[:, i, None] if self.logs[i] else 1.0)
        return np.nan_to_num(J, nan=0.0, posinf=0.0, neginf=0.0)

    @staticmethod
    def _projected(laid: _Laid, J: Array, residual: Array, free: BoolArray) -> tuple[Array, Array]:
        """Q'J and Q'r with what the free columns can take up projected out, (R, m, s) and (R, m)."""
        rows, k, s = len(J), free.shape[1], J.shape[2]
        # Free columns first: a column of zeros before them would bring a direction of its own into Q.
        order = np.argsort(~free, axis=1, kind="stable")
        kept = np.take_along_axis(free, order, axis=1)
        basis = np.take_along_axis(laid.basis, order[:, :, None], axis=1) * kept[:, :, None]
        r = triangle_of(np.concatenate([basis.transpose(0, 2, 1), J, residual[:, :, None]], axis=2))
        left = np.concatenate([~kept, np.ones((rows, s + 1), dtype=bool)], axis=1)
        return r[:, :, k : k + s] * left[:, :, None], r[:, :, k + s] * left

    def descend(self, x: Array, steps: int, tolerance: float = 1e-12) -> Landing:
        """Levenberg and Marquardt's steps from every row; rows that have arrived rest."""
        x = np.clip(x, self.lower, self.upper)
        state = self.evaluate(x, slopes=True)
        value, c = state.value.copy(), state.c.copy()
        damping = np.full(len(x), 1e-2)
        alive = np.flatnonzero(np.isfinite(value)) if x.shape[1] else np.array([], dtype=int)
        state = _pick(state, alive)
        still = np.zeros(len(x), dtype=int)
        for _ in range(steps):
            if not alive.size:
                break
            trial = self._step(x[alive], state, damping[alive])
            new = self.evaluate(trial, slopes=True)
            better = new.value < state.value
            gain = np.where(better, (state.value - new.value) / np.maximum(state.value, 1e-300), 0.0)
            moved = np.abs(trial - x[alive]).max(axis=1) / (1e-3 + np.abs(x[alive]).max(axis=1))
            x[alive[better]] = trial[better]
            value[alive[better]], c[alive[better]] = new.value[better], new.c[better]
            damping[alive] = np.clip(np.where(better, damping[alive] * 0.2, damping[alive] * 5.0), 1e-12, 1e12)
            still[alive] = np.where(
                better & (gain > tolerance), 0, still[alive] + np.where(better | (moved < 1e-12), 1, 0)
            )
            state = _Places(*(_where(better, a, b) for a, b in zip(new, state, strict=True)))
            stay = (still[alive] < 3) & (damping[alive] < 1e11)
            alive, state = alive[stay], _pick(state, np.flatnonzero(stay))
        return Landing(x, c, value)

    def _step(self, x: Array, state: _Places, damping: Array) -> Array:
        """One damped Gauss-Newton step inside the box, from QR of the slopes."""
        J = np.asarray(state.slopes)
        s = J.shape[2]
        pull = np.einsum("rns,rn->rs", J, state.residual)
        stuck = ((x <= self.lower) & (pull < 0)) | ((x >= self.upper) & (pull > 0))
        J = J * ~stuck[:, None, :]
        size = np.sqrt(np.einsum("rns,rns->rs", J, J))
        size = np.where(size > 0, size, 1.0)
        m = J.shape[1]
        system = np.zeros((len(x), m + s, s + 1))
        system[:, :m, :s] = J / size[:, None, :]
        system[:, np.arange(m, m + s), np.arange(s)] = np.sqrt(damping)[:, None]
        system[:, :m, s] = state.residual
        r = triangle_of(system)[:, :s]
        step = np.linalg.solve(r[:, :, :s] + 1e-300 * np.eye(s), r[:, :, s:])[:, :, 0] / size
        step = np.where(stuck, 0.0, np.nan_to_num(step, nan=0.0, posinf=0.0, neginf=0.0))
        return np.asarray(np.clip(x + step, self.lower, self.upper))

    def starts(self, count: int, round_: int) -> Array:
        """
        Points that fill the box; in every second one exponents are moderate and multipliers of the data's order.

        In every fourth the exponents are positive besides: a law is written with the sign that its author expects.
        """
        unit = spread(count, len(self.lower), round_)
        x = self.lower + unit * (self.upper - self.lower)
        half, fourth = slice(1, None, 2), slice(3, None, 4)
        for rows, least in ((half, -MODERATE), (fourth, 0.0)):
            low, high = np.maximum(self.lower, least), np.minimum(self.upper, MODERATE)
            sensible = ~self.logs & (low < high)
            x[rows] = np.where(sensible, low + unit[rows] * (high - low), x[rows])
        self._balance(x, unit, half)
        return np.asarray(x)

    def _balance(self, x: Array, unit: Array, half: slice) -> None:
        """
        Put ratios of multipliers where both terms of their sum count, in place.

        Where that is follows from the exponents, over a dozen decades; elsewhere the sum is one term, and the other's
        exponent has no slope to follow.
        """
        # A mean over some hundreds of runs is near enough, and of a million it would take gigabytes.
        some = sampled(self.y.size, BALANCED_ON)
        few = {name: column[some] for name, column in self.columns.items()}
        for label, ratio in self.parts.ratios.items():
            i = self.parts.shapes.index(label)
            needed = ratio.above.names | ratio.below.names | ratio.exponent.names
            if not self.logs[i] or not needed <= {*self.columns, *self.parts.shapes}:
                continue
            tape = Tape(ratio.above, ratio.below, ratio.exponent)
            work = tape.run(self.names(x[half]) | few)
            above, below, exponent = (np.broadcast_to(work[k], (len(x[half]), some.size)) for k in tape.outputs)
            with np.errstate(all="ignore"):
                even = (np.log(below / above) / exponent).mean(axis=1)
            near = even + OFF_BALANCE * (2 * unit[half, i] - 1)
            x[half, i] = np.clip(np.where(np.isfinite(even), near, x[half, i]), self.lower[i], self.upper[i])


MODERATE = 1.2
"""Size of the exponents of half of the starts."""

BALANCED_ON = 256
"""Runs that the balance of two terms is worked out on, at most."""

OFF_BALANCE = 4.0
"""Logs by which two terms of a sum may differ there."""


def whole(formula: Expression, words: tuple[str, ...], positive: frozenset[str]) -> Separation:
    """The formula without a split: every coefficient a shape, for the last steps inside the bounds of all."""
    return Separation((), (Term(ZERO, formula),), words, {}, positive)


def linked(link: Link, bounds: Box, exponent: Any, rows: int) -> tuple[Array, Array]:
    """Bounds of the multiplier that an amount becomes through its link, shape (R,) each."""
    low, high = bounds
    if link.kind == "exp":
        with np.errstate(over="ignore"):
            ends = np.exp(np.clip(link.rate * np.array([low, high]), -700, 700))
        return np.full(rows, ends.min()), np.full(rows, ends.max())
    if link.kind == "power":
        e = np.broadcast_to(np.reshape(exponent, (-1,)), (rows,))
        with np.errstate(all="ignore"):
            both = np.stack([np.float64(max(low, 0.0)) ** e, np.float64(high) ** e])
        return np.nan_to_num(both.min(axis=0), nan=0.0), np.nan_to_num(both.max(axis=0), nan=HUGE)
    return np.full(rows, low), np.full(rows, high)


def _where(mask: BoolArray, yes: Any, no: Any) -> Any:
    return np.where(mask.reshape(-1, *([1] * (yes.ndim - 1))), yes, no)


def _pick(state: _Places, at: Any) -> _Places:
    return _Places(*(a[at] for a in state))


class Found(NamedTuple):
    """
    Answer of a search.

    Attributes
    ----------
    coefficients : dict of str to float
    value : float
        Weighted sum of squares.
    met, rounds : int
        In how many rounds of new starts this value was met, of how many.
    ends : array, shape (m, q)
        Coefficients that the rounds ended in, best first, in the order of the bounds; starts for other objectives.
    order : tuple of str
        That order.
    """

    coefficients: dict[str, float]
    value: float
    met: int
    rounds: int
    ends: Array
    order: tuple[str, ...]

    def rows(self, names: tuple[str, ...]) -> Array:
        """Ends in another order of names, shape (m, q)."""
        return self.ends[:, [self.order.index(name) for name in names]]


def search(
    formula: Expression, columns: Mapping[str, Array], y: Array, bounds: Mapping[str, Box], w: Array | None = None
) -> Found:
    """
    Fit a formula by least squares, cold: the global optimum inside the bounds, as far as rounds of new starts can tell.

    Parameters
    ----------
    formula : Expression
        The loss as a formula of columns and coefficients.
    columns : mapping of str to array, shape (n,)
        Values of its columns.
    y : array, shape (n,)
        Losses.
    bounds : mapping of str to (float, float)
        Bounds of every coefficient; equal where it is held.
    w : array, shape (n,), optional
        Weights.

    Returns
    -------
    Found

    Examples
    --------
    >>> from lawful.core.expression import parse
    >>> N, S = np.geomspace(1e8, 1e10, 12), np.tile([1.0, 2.0, 4.0], 4)
    >>> loss = 1.5 + 80 * N**-0.25 / (1 + 0.3 * np.log(S))
    >>> bounds = dict(L0=(0, 3), A=(0, 1e6), alpha=(0.01, 2), k=(1e-3, 10))
    >>> found = search(parse("L0 + A*N^(-alpha)/(1 + k*log(S))"), dict(N=N, S=S), loss, bounds)
    >>> {name: round(value, 6) for name, value in sorted(found.coefficients.items())}
    {'A': 80.0, 'L0': 1.5, 'alpha': 0.25, 'k': 0.3}
    """
    held = {name_: Expression("number", (), low) for name_, (low, high) in bounds.items() if low == high}
    free = substitute(formula, held) if held else formula
    above_one = frozenset(c for c, v in columns.items() if v.min() >= 1.0)
    given = {word: bounds[word] for word in free.names - set(columns)}
    signed = frozenset(c for c, v in columns.items() if v.min() <= 0.0)
    parts = split(free, tuple(columns), given, above_one, signed)
    root: Array | float = 1.0 if w is None else np.sqrt(w)
    limits = {k: (max(v[0], 0.0), v[1]) if k in parts.positive else v for k, v in given.items()}
    for label, ratio in parts.ratios.items():
        above, below = _decades(limits[ratio.numerator]), _decades(limits[ratio.denominator])
        limits[label] = above[0] / below[1], above[1] / below[0]
    words = tuple(sorted(given))
    inner = Search(parts, columns, y * root, root, limits)
    outer = Search(whole(free, words, parts.positive), columns, y * root, root, {k: limits[k] for k in words})
    ends, values = [], []
    for round_ in range(ROUNDS):
        x, value = _one_round(inner, outer, round_)
        ends.append(x)
        values.append(value)
        best = min(values)
        met = sum(v <= best * (1 + SAME) + NOTHING for v in values)
        # Two rounds meet in a corner of the box more easily than in a valley inside it, which may be the deeper one.
        if met >= (ENOUGH_ON_BOUND if _on_bound(inner, outer, ends[int(np.argmin(values))]) else ENOUGH):
            break
    order = np.argsort(values, kind="stable")
    ends_of = np.array([limits[k] for k in words], float).reshape(-1, 2).T
    rows = np.clip(outer.shapes(np.stack(ends)[order]), *ends_of)
    coefficients = dict(zip(words, map(float, rows[0]), strict=True)) | {n: bounds[n][0] for n in held}
    every = np.stack([np.array([dict(zip(words, r, strict=True)).get(n, bounds[n][0]) for n in bounds]) for r in rows])
    return Found(coefficients, float(min(values)), met, len(values), every, tuple(bounds))


ENOUGH, ENOUGH_ON_BOUND = 2, 4
"""Rounds that must end in the same value, inside the bounds and on one of a shape."""

NEAR = 1e-9
"""Relative distance from a bound within which a shape stands on it."""

NOTHING = 1e-28
"""Sum of squares below which two values are the same: rounding."""

LEAST_RATIO = 1e-12


def _decades(bounds: Box) -> Box:
    """Bounds of a multiplier with ends above 0 and below infinity, which a ratio of two would inherit."""
    low = max(bounds[0], LEAST_RATIO)
    return low, bounds[1] if np.isfinite(bounds[1]) else max(low, 1.0) / LEAST_RATIO


def _one_round(inner: Search, outer: Search, round_: int) -> tuple[Array, float]:
    """Score, step, follow on; then the last steps in all coefficients, inside the bounds of all."""
    x = inner.starts(STARTS, round_)
    x = x[np.argsort(inner.evaluate(x, slopes=False).value, kind="stable")[:SCREENED]]
    for steps, kept in ((FIRST_STEPS, FINALISTS), (MORE_STEPS, LAST)):
        landing = inner.descend(x, steps)
        x = landing.x[np.argsort(landing.value, kind="stable")[:kept]]
    landing = inner.descend(x, LAST_STEPS, 1e-15)
    k = coefficients_of(inner, landing.x, landing.c)
    z = np.stack([k[word] for word in outer.parts.shapes], axis=1)
    polished = outer.descend(outer.coordinates(z), LAST_STEPS, 1e-15)
    best = int(np.argmin(polished.value))
    return polished.x[best], float(polished.value[best])


def _on_bound(inner: Search, outer: Search, x: Array) -> bool:
    """Whether a shape, of which no amount follows in closed form, ended on a bound."""
    room = np.minimum(x - outer.lower, outer.upper - x)
    shape = np.array([word in inner.parts.shapes for word in outer.parts.shapes], dtype=bool)
    return bool((shape & (room <= NEAR * (1.0 + np.abs(x)))).any())


LAST = 3
"""Finalists that are taken to the end."""


def spread(count: int, dimensions: int, round_: int) -> Array:
    """
    Evenly spread points in the unit cube (Halton's, shifted anew in every round), shape (count, dimensions).

    Examples
    --------
    >>> spread(2, 2, 0).round(3).tolist()
    [[0.5, 0.333], [0.25, 0.667]]
    """
    shift = np.random.default_rng(round_).random(dimensions) if round_ else 0.0
    return np.asarray((halton(count, dimensions) + shift) % 1.0)
