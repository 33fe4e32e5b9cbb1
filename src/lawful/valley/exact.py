r"""
The exact profile of a sum of two powers: both ends of every quantity, none missed. Arrays only.

A profile interval is the set of values that a quantity takes where the sum of squares stays
below a height. Instead of looking for the value at which a held refit reaches the height,
which follows one branch of a curved valley, the quantity itself is *maximised* over that set:
given the exponents in closed form (:mod:`lawful.valley.faces`), and over the exponents by
a search in two dimensions that covers the whole region below the height, however bent, and
whether or not it is in one piece.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import numpy as np

from lawful.core.typing import Array, BoolArray, IntArray
from lawful.valley.faces import Design, Extreme, Node, Sums, linear, node, optimum_loss, ratio
from lawful.valley.folded import folded

SCAN = 41
"""Points per exponent of the scan of the whole box, evenly spaced in logs."""

FINE = 37
"""Points per exponent of the grids that cover the region."""

FILLED = 0.35
"""Share of its box that a region fills before its grid is taken as fine enough."""

DEEPEST = 7
"""Grids, one inside the other, that a piece of the region may take."""

CANDIDATES = 3
"""Nodes per end from which it is polished."""

STENCIL = 7
"""Points per direction of the stencil that polishes an end."""

POLISH_ROUNDS = 24
"""Stencils at most; each one moves, or shrinks by :data:`SHRINK`."""

SHRINK = 0.36
"""Factor by which a stencil shrinks that found its best point inside."""

SETTLED = 2e-5
"""Gain of a round, relative to the width, below which shrunken stencils have settled."""

WINDOW = (9, 15)
"""Points along and across the last steps towards the end of an exponent."""

Values = Callable[[Node, float], Extreme]


class Ends(NamedTuple):
    """
    Both ends of a quantity.

    Attributes
    ----------
    low, high : float
        A bound, or infinite, on a side that is open.
    open : (bool, bool)
        Whether signs, bounds or the lack of a term end it, and not the runs.
    """

    low: float
    high: float
    open: tuple[bool, bool]


class _Piece(NamedTuple):
    """Points that cover a piece of the region: logs of the exponents, everything known there, size of its cells."""

    at: Node
    cell: Array


class _Start(NamedTuple):
    """Where an end is polished from: its value (negated for lower ends), its side, and the size of a cell there."""

    score: float
    side: int
    logs: Array
    cell: Array


class ExactProfile:
    """
    Everything that a sum of squares says of a law with two powers.

    Parameters
    ----------
    design : Design
        Runs, with A and B free and non-negative, or pinned.
    box : array, shape (2, 2)
        Bounds of alpha and beta; equal where one is pinned.
    centre : array, shape (2,)
        Centres of ln N and ln D.
    start : array, shape (2,), optional
        Exponents of a fit, refined beside the minima of the scan.

    Attributes
    ----------
    least : float
        Least sum of squares.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> N, D = np.geomspace(1e7, 1e10, 40), 1e21 / 6 / np.geomspace(1e7, 1e10, 40) ** rng.uniform(0.9, 1.1, 40)
    >>> x, y = np.log(N), np.log(D)
    >>> L = 1.7 + 400 / N**0.34 + 1800 / D**0.37 + 0.003 * rng.standard_normal(40)
    >>> design = Design(np.stack([x - x.mean(), y - y.mean()]), L, np.ones(40), (0.0, np.inf), (None, None))
    >>> profile = ExactProfile(design, np.array([[0.01, 2.0], [0.01, 2.0]]), np.array([x.mean(), y.mean()]))
    >>> ends = profile.params(1.75**2 * profile.least / 35, np.log(1e22 / 6))
    >>> bool(ends.low < np.log(12.2e9) < ends.high)
    True
    """

    def __init__(self, design: Design, box: Array, centre: Array, *, start: Array | None = None) -> None:
        self.design, self.centre = design, centre
        self.box = np.log(box)
        self._sums = Sums(folded(design, box))
        self._regions: list[tuple[float, list[_Piece]]] = []
        self._start = None if start is None else np.log(np.clip(start, box[:, 0], box[:, 1]))
        self._minima = self._settle()
        self.least = float(self._minima.rss.min())

    def _at(self, logs: Array, zeros: tuple[bool, bool] = (True, True)) -> Node:
        """Everything at rows of logs of the exponents."""
        alpha, beta = np.exp(logs[:, 0]), np.exp(logs[:, 1])
        return node(self.design, self._sums.pairs(alpha, beta), alpha, beta, zeros)

    def _zeros(self, height: float) -> tuple[bool, bool]:
        """Whether a face without A, or without B, reaches below a height."""
        return self.least_without[0] <= height, self.least_without[1] <= height

    def _grid(self, box: Array, size: int) -> tuple[tuple[Array, Array], Node]:
        axes = tuple(np.linspace(lo, hi, size if hi > lo else 1) for lo, hi in box)
        alpha, beta = np.exp(axes[0]), np.exp(axes[1])
        moments = self._sums.grid(alpha, beta)
        return (axes[0], axes[1]), node(self.design, moments, np.repeat(alpha, beta.size), np.tile(beta, alpha.size))

    @cached_property
    def _scan(self) -> tuple[tuple[Array, Array], Node]:
        return self._grid(self.box, SCAN)

    def shape(self, at: Node) -> tuple[Array, Array]:
        """Gradient and Gauss-Newton curvature of half the sum of squares in logs of the exponents, at few pairs."""
        runs = self._sums.design
        count = at.alpha.size
        e, a, b = np.zeros(count), np.zeros(count), np.zeros(count)
        free = np.zeros((count, 3), dtype=bool)
        for face in at.faces:
            here = face.inside & (face.rss <= at.rss)
            e, a, b = np.where(here, face.e, e), np.where(here, face.a, a), np.where(here, face.b, b)
            free[here] = face.free
        u, v = runs.powers(0, at.alpha), runs.powers(1, at.beta)
        residual = runs.y - e[:, None] * runs.one - a[:, None] * u - b[:, None] * v
        columns = np.stack([np.broadcast_to(runs.one, u.shape), u, v], axis=1) * free[:, :, None]
        lean, other = runs.leaning(0, at.alpha), runs.leaning(1, at.beta)
        slopes = -np.stack([(a * at.alpha)[:, None] * lean, (b * at.beta)[:, None] * other], axis=1)
        weighed = runs.weigh(np.concatenate([columns, slopes], axis=1))
        level = weighed[:, :3] @ columns.transpose(0, 2, 1)
        cross = weighed[:, 3:] @ columns.transpose(0, 2, 1)
        size = np.sqrt(np.maximum(level.diagonal(axis1=1, axis2=2), 1e-300))
        unit = level / size[:, :, None] / size[:, None, :] + 1e-13 * np.eye(3)
        part = np.linalg.solve(unit, (cross / size[:, None, :]).transpose(0, 2, 1))
        curvature = weighed[:, 3:] @ slopes.transpose(0, 2, 1) - (cross / size[:, None, :]) @ part
        gradient = -(weighed[:, 3:] @ residual[:, :, None])[:, :, 0]
        return gradient, curvature

    def _settle(self) -> Node:
        """Refine the local minima of the scan."""
        axes, scan = self._scan
        rss = scan.rss.reshape(axes[0].size, axes[1].size)
        padded = np.pad(rss, 1, constant_values=np.inf)
        lowest = np.ones(rss.shape, dtype=bool)
        for i, j in ((0, 1), (2, 1), (1, 0), (1, 2)):
            lowest &= rss <= padded[i : i + rss.shape[0], j : j + rss.shape[1]]
        found = np.flatnonzero(lowest.ravel())
        found = found[np.argsort(scan.rss[found], kind="stable")[:6]]
        logs = np.log(np.stack([scan.alpha[found], scan.beta[found]], axis=1))
        if self._start is not None:
            logs = np.concatenate([logs, self._start[None]])
        at = self._at(logs)
        damping = np.full(len(logs), 1e-3)
        moves = self.box[:, 0] < self.box[:, 1]
        for _ in range(40):
            gradient, curvature = self.shape(at)
            held = (logs <= self.box[:, 0]) & (gradient > 0) | (logs >= self.box[:, 1]) & (gradient < 0) | ~moves
            step = _damped(gradient, curvature, damping, held)
            trial = np.clip(logs + np.clip(step, -0.7, 0.7), self.box[:, 0], self.box[:, 1])
            new = self._at(trial)
            better = new.rss < at.rss
            gain = np.where(better, at.rss - new.rss, 0.0)
            logs = np.where(better[:, None], trial, logs)
            damping = np.where(better, damping * 0.2, damping * 8.0)
            at = self._at(logs)
            if ((gain <= 1e-10 * at.rss).all() and (damping > 1e3).all()) or np.abs(step).max() < 1e-9:
                break
        return at

    def _cover(self, height: float) -> list[_Piece]:
        """Points that cover the region below a height; kept for heights not much lower."""
        for top, pieces in self._regions:
            if height <= top and height - self.least >= 0.4 * (top - self.least):
                return pieces
        pieces = self._search(self.least + 1.05 * (height - self.least))
        self._regions.append((self.least + 1.05 * (height - self.least), pieces))
        return pieces

    def _search(self, top: float) -> list[_Piece]:
        axes, scan = self._scan
        seeds = self._minima.take(self._minima.rss <= top)
        points = np.log(np.stack([seeds.alpha, seeds.beta], axis=1))
        _, curvature = self.shape(seeds)
        room = np.maximum(top - seeds.rss, 0.0)
        span = np.empty_like(points)
        for k in range(2):
            other = curvature[:, 1 - k, 1 - k]
            flat = curvature[:, k, k] - curvature[:, 0, 1] ** 2 / np.maximum(other, 1e-300)
            # Along a flat direction the region is without end; its box is cut off below.
            with np.errstate(over="ignore"):
                span[:, k] = np.sqrt(room / np.maximum(flat, 1e-300))
        span = np.minimum(1.1 * span, 1.5)
        boxes = [np.stack([p - s, p + s], axis=1) for p, s in zip(points, span, strict=True)]
        inside, _ = _below(scan, axes, top)
        boxes += _boxes(inside, axes)
        pieces: list[_Piece] = []
        for box in _merged(boxes):
            self._refine(np.clip(box, self.box[:, :1], self.box[:, 1:]), top, points, pieces, DEEPEST)
        if len(points):
            pieces.append(_Piece(seeds, pieces[0].cell if pieces else np.full(2, 0.05)))
        return pieces

    def _refine(self, box: Array, top: float, seeds: Array, pieces: list[_Piece], depth: int) -> None:
        """Grids inside each other until the region fills them; pieces of it apart."""
        while True:
            axes, at = self._grid(box, FINE)
            inside, extra = _below(at, axes, top)
            cell = np.array([a[1] - a[0] if a.size > 1 else 0.0 for a in axes])
            wider = _wider(inside, box, self.box)
            depth -= 1
            if depth > 0 and wider is not None:
                box = wider
                continue
            parts = _boxes(inside, axes)
            mine = seeds[((seeds >= box[:, 0]) & (seeds <= box[:, 1])).all(axis=1)]
            parts += [np.stack([p - cell, p + cell], axis=1) for p in mine]
            parts = [np.clip(p, box[:, :1], box[:, 1:]) for p in _merged(parts)]
            if depth <= 0 or not parts or (len(parts) == 1 and _share(parts[0], box) >= FILLED):
                break
            if len(parts) == 1:
                box = parts[0]
                continue
            for part in parts:
                self._refine(part, top, seeds, pieces, depth)
            return
        pieces.append(_Piece(at.take(at.rss <= top), cell))
        if len(extra):
            more = self._at(np.clip(extra, self.box[:, 0], self.box[:, 1]))
            pieces.append(_Piece(more.take(more.rss <= top), cell))

    def _extremes(self, values: Values, rise: float) -> tuple[float, float]:
        """Smallest and largest value of a quantity over the region a rise above the least sum of squares."""
        height = self.least + rise
        found: list[list[_Start]] = [[], []]
        for at, cell in self._cover(height):
            part = at.take(np.flatnonzero(at.rss <= height))
            if part.alpha.size == 0:
                continue
            low, high = values(part, height)
            logs = np.log(np.stack([part.alpha, part.beta], axis=1))
            for side, score in enumerate((-low, high)):
                found[side] += [_Start(float(score[i]), side, logs[i], cell) for i in _best(score, logs, cell)]
        starts: list[_Start] = []
        for chosen in found:
            chosen.sort(key=lambda s: -s.score)
            starts += chosen[:CANDIDATES]
        if not starts:
            return np.inf, -np.inf
        best = self._polish(values, height, starts)
        of_side = np.array([s.side for s in starts])
        ends = [float(best[of_side == k].max(initial=-np.inf)) for k in (0, 1)]
        return -ends[0], ends[1]

    def _polish(self, values: Values, height: float, starts: list[_Start]) -> Array:
        """Best value from each start on, by stencils along the axes of the valley that move or shrink."""
        best, side = np.array([s.score for s in starts]), np.array([s.side for s in starts])
        logs = np.array([s.logs for s in starts])
        steps = self._steps(logs, np.array([s.cell for s in starts]), height)
        width = np.ptp(best * (2 * side - 1)) if np.isfinite(best).all() else 0.0
        line = np.linspace(-1.0, 1.0, STENCIL)
        p, q = (v.ravel() for v in np.meshgrid(line, line, indexing="ij"))
        edge = np.maximum(np.abs(p), np.abs(q)) == 1.0
        scale, alive, zeros = np.ones(len(best)), np.arange(len(best)), self._zeros(height)
        for _ in range(POLISH_ROUNDS):
            offsets = p[:, None] * steps[alive, None, :, 0] + q[:, None] * steps[alive, None, :, 1]
            trial = logs[alive, None] + scale[alive, None, None] * offsets
            trial = np.clip(trial, self.box[:, 0], self.box[:, 1])
            at = self._at(trial.reshape(-1, 2), zeros)
            low, high = (v.reshape(alive.size, -1) for v in values(at, height))
            score = np.where(side[alive, None] == 1, high, -low)
            score = np.where(at.rss.reshape(score.shape) <= height, score, -np.inf)
            top = score.argmax(axis=1)
            value = score[np.arange(alive.size), top]
            gain = value - best[alive]
            better = gain > 0
            logs[alive[better]] = trial[np.flatnonzero(better), top[better]]
            best[alive[better]] = value[better]
            scale[alive] *= np.where(better & edge[top], 1.0, SHRINK)
            settled = (gain <= SETTLED * width) & (scale[alive] < 0.02) | (scale[alive] < 1e-5)
            alive = alive[~settled]
            if alive.size == 0:
                break
        return best

    def _steps(self, logs: Array, cells: Array, height: float) -> Array:
        """Steps of the stencils, columns of (K, 2, 2): the axes of the valley, as long as a cell of the grid."""
        at = self._at(logs)
        _, curvature = self.shape(at)
        moves = (self.box[:, 0] < self.box[:, 1]).astype(float)
        curvature = curvature * moves[:, None] * moves
        unit = np.where(cells > 0, cells, 1.0)
        value, axes = np.linalg.eigh(curvature * unit[:, :, None] * unit[:, None, :])
        with np.errstate(over="ignore"):
            reach = np.sqrt((height - self.least) / np.maximum(value, 1e-300))
        length = np.minimum(1.5, 0.6 * reach)
        return np.asarray(unit[:, :, None] * axes * length[:, None, :] * moves[:, None])

    def _combined(self, w: Callable[[Node], tuple[Array, Array, Array]], rise: float) -> tuple[float, float]:
        def values(at: Node, height: float) -> Extreme:
            return Extreme(*linear(at, height, self.design.constant, w(at)).value)

        return self._extremes(values, rise)

    @cached_property
    def least_without(self) -> tuple[float, float]:
        """Least sum of squares with A = 0, and with B = 0; infinite where it is pinned above 0."""
        return self._without(0), self._without(1)

    def _without(self, term: int) -> float:
        if self.design.held[term] not in (None, 0.0):
            return np.inf
        box = self.box.copy()
        box[term] = box[term, 0]
        low, high = box[1 - term]
        best = np.inf
        for _ in range(6):
            axis = np.linspace(low, high, 81 if high > low else 1)
            logs = np.empty((axis.size, 2))
            logs[:, term], logs[:, 1 - term] = box[term, 0], axis
            at = self._at(logs)
            rss = np.full(axis.size, np.inf)
            for face in at.faces:
                if (face.b if term else face.a).any() or face.free[1 + term]:
                    continue
                rss = np.minimum(rss, np.where(face.inside, face.rss, np.inf))
            i = int(rss.argmin())
            best = min(best, float(rss[i]))
            low, high = axis[max(i - 1, 0)], axis[min(i + 1, axis.size - 1)]
        return best

    def constant(self, rise: float) -> Ends:
        """Ends of E."""
        low, high = self._combined(lambda at: (np.ones_like(at.alpha), 0 * at.alpha, 0 * at.alpha), rise)
        least, most = self.design.constant
        give = 1e-9 * (1.0 + abs(low))
        return Ends(low, high, (low <= least + give, high >= most - give))

    def amplitude(self, rise: float, term: int) -> Ends:
        """Ends of ln A (term 0) or ln B (term 1); minus infinity where it may be 0."""
        middle = float(self.centre[term])
        exponent = "beta" if term else "alpha"

        def values(at: Node, height: float) -> Extreme:
            w = [0 * at.alpha, 0 * at.alpha, 0 * at.alpha]
            w[1 + term] = w[1 + term] + 1.0
            tips = linear(at, height, self.design.constant, (w[0], w[1], w[2])).value
            shift = getattr(at, exponent) * middle
            with np.errstate(divide="ignore", invalid="ignore"):
                return Extreme(*(np.log(np.maximum(v, 0.0)) + shift for v in tips))

        if self.least_without[term] <= self.least + rise:
            return Ends(-np.inf, self._extremes(_no_low(values), rise)[1], (True, False))
        return Ends(*self._extremes(values, rise), (False, False))

    def loss_at(self, rise: float, log_params: float, log_tokens: float) -> Ends:
        """Ends of the loss of one model."""
        x, y = log_params - self.centre[0], log_tokens - self.centre[1]
        low, high = self._combined(
            lambda at: (np.ones_like(at.alpha), np.exp(-at.alpha * x), np.exp(-at.beta * y)), rise
        )
        return Ends(low, high, (False, False))

    def params(self, rise: float, log_product: float) -> Ends:
        """Ends of ln N* at a budget with N D = exp(log_product); infinite where a term may be gone."""
        x, y = float(self.centre[0]), log_product - float(self.centre[1])
        limits, held = self.design.constant, self.design.held

        def values(at: Node, height: float) -> Extreme:
            if held == (None, None):
                low, high = ratio(at, height, limits)
            else:
                low, high = _held_ratio(at, height, limits)
            alpha, beta = at.alpha, at.beta
            with np.errstate(divide="ignore", invalid="ignore"):
                known = np.log(alpha / beta) + alpha * x + beta * y
                ends = [(np.log(r) + known) / (alpha + beta) for r in (np.maximum(low, 0.0), np.maximum(high, 0.0))]
            return Extreme(np.where(low > 0, ends[0], np.inf), np.where(high > 0, ends[1], -np.inf))

        gone = self.least_without
        is_open = (gone[0] <= self.least + rise, gone[1] <= self.least + rise)
        low, high = self._extremes(values, rise) if not all(is_open) else (-np.inf, np.inf)
        return Ends(-np.inf if is_open[0] else low, np.inf if is_open[1] else high, is_open)

    def tokens(self, rise: float, log_product: float) -> Ends:
        """Ends of ln D* at a budget with N D = exp(log_product)."""
        low, high, (below, above) = self.params(rise, log_product)
        return Ends(log_product - high, log_product - low, (above, below))

    def loss(self, rise: float, log_product: float) -> Ends:
        """Ends of the loss at the optimum of a budget with N D = exp(log_product)."""
        x, y = float(self.centre[0]), log_product - float(self.centre[1])

        def values(at: Node, height: float) -> Extreme:
            return optimum_loss(at, height, self.design.constant, x, y)

        return Ends(*self._extremes(values, rise), (False, False))

    def exponent(self, rise: float, which: str) -> Ends:
        """Ends of ``alpha``, ``beta``, ``a`` = beta/(alpha+beta) or ``b`` = alpha/(alpha+beta)."""
        along = {"alpha": (1.0, 0.0), "beta": (0.0, 1.0), "a": (-1.0, 1.0), "b": (1.0, -1.0)}[which]
        direction = np.array(along)
        height = self.least + rise
        ends, is_open = [], []
        corner = self.box.T[(direction < 0).astype(int), [0, 1]], self.box.T[(direction > 0).astype(int), [0, 1]]
        for sign, edge in ((-1.0, corner[0]), (1.0, corner[1])):
            far = float(self._farthest(sign * direction, height))
            limit = float(sign * direction @ edge)
            is_open.append(far >= limit - 1e-9)
            ends.append(sign * far)
        if which in ("a", "b"):
            return Ends(_share_of(ends[0]), _share_of(ends[1]), (is_open[0], is_open[1]))
        return Ends(float(np.exp(ends[0])), float(np.exp(ends[1])), (is_open[0], is_open[1]))

    def _farthest(self, direction: Array, height: float) -> float:
        """Largest ``direction @ logs`` over the region."""
        best, starts = -np.inf, list[tuple[float, Array, Array]]()
        for at, cell in self._cover(height):
            below = np.flatnonzero(at.rss <= height)
            if below.size == 0:
                continue
            logs = np.log(np.stack([at.alpha[below], at.beta[below]], axis=1))
            score = logs @ direction
            i = int(score.argmax())
            starts.append((float(score[i]), logs[i], cell))
        starts.sort(key=lambda s: -s[0])
        for first, here, cell in starts[:CANDIDATES]:
            if first + 3.0 * float(np.abs(direction) @ cell) > best:
                best = max(best, self._walk(direction, height, here, cell))
        return best

    def _walk(self, direction: Array, height: float, logs: Array, cell: Array) -> float:
        """From a point of the region outwards: the best point across decides at every step along."""
        moves = self.box[:, 0] < self.box[:, 1]
        along = direction * moves
        if not along.any():
            return float(direction @ logs)
        along = along / (along @ along)
        across = np.array([-direction[1], direction[0]]) / np.sqrt(direction @ direction) * moves.all()
        _, curvature = self.shape(self._at(logs[None]))
        bend = float(across @ curvature[0] @ across)
        lean = -float(across @ curvature[0] @ along) / bend if bend > 0 else 0.0
        reach = 3.0 * float(np.abs(across) @ np.maximum(cell, 1e-12))
        if bend > 0:
            reach = min(reach, 1.5 * float(np.sqrt((height - self.least) / bend)))
        lean = lean if abs(lean) < 30 else 0.0
        stride = 2.0 * float(np.abs(direction) @ cell)
        best, at, zeros = float(direction @ logs), logs, self._zeros(height)
        enough = 2e-4 * stride
        for _ in range(14):
            t = np.linspace(0.0, stride, WINDOW[0])
            s = np.linspace(-reach, reach, WINDOW[1])
            line = at + t[:, None] * (along + lean * across)
            trial = line[:, None] + s[:, None] * across
            out = ((trial < self.box[:, 0] - 1e-12) | (trial > self.box[:, 1] + 1e-12)).any(axis=2)
            flat = np.clip(trial, self.box[:, 0], self.box[:, 1]).reshape(-1, 2)
            rss = np.where(out, np.inf, self._at(flat, zeros).rss.reshape(out.shape))
            k = rss.argmin(axis=1)
            below = np.flatnonzero(rss[np.arange(len(t)), k] <= height)
            if below.size == 0:
                stride, reach = stride * 0.5, reach * 0.5
                continue
            j = int(below[-1])
            at = trial[j, k[j]]
            best = max(best, float(direction @ at))
            if j < len(t) - 1:
                stride, reach = stride / (len(t) - 1) * 1.5, reach * 0.4
            if stride < enough:
                break
        return best


def _share_of(log_ratio: float) -> float:
    return float(1.0 / (1.0 + np.exp(-log_ratio)))


def _no_low(values: Values) -> Values:
    """Leave the lower end out, where it is known to be open."""

    def only_high(at: Node, height: float) -> Extreme:
        high = values(at, height).high
        return Extreme(np.full(high.shape, np.inf), high)

    return only_high


def _held_ratio(at: Node, height: float, limits: tuple[float, float]) -> Extreme:
    """Smallest and largest a/b where one of them, or both, are pinned."""
    zero = 0 * at.alpha
    a = linear(at, height, limits, (zero, zero + 1.0, zero)).value
    b = linear(at, height, limits, (zero, zero, zero + 1.0)).value
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = a[0] / b[1], a[1] / b[0]
    some = at.rss <= height
    return Extreme(np.where(some, low, np.inf), np.where(some, high, -np.inf))


def _damped(gradient: Array, curvature: Array, damping: Array, held: BoolArray) -> Array:
    """Levenberg's step in two unknowns, those held left out."""
    system = curvature.copy()
    k = np.arange(2)
    system[:, k, k] = system[:, k, k] * (1.0 + damping[:, None]) + 1e-300
    loose = ~held
    system *= loose[:, :, None] & loose[:, None, :]
    system[:, k, k] += np.where(held | (system[:, k, k] <= 0), 1.0, 0.0)
    det = system[:, 0, 0] * system[:, 1, 1] - system[:, 0, 1] ** 2
    det = np.where(det > 0, det, system[:, 0, 0] * system[:, 1, 1])
    # Where the slopes are so small that their products underflow there is nowhere to go: a step of zero.
    g = gradient * (loose & (det > 0)[:, None])
    det = np.where(det > 0, det, 1.0)
    return -np.stack(
        [
            (system[:, 1, 1] * g[:, 0] - system[:, 0, 1] * g[:, 1]) / det,
            (system[:, 0, 0] * g[:, 1] - system[:, 0, 1] * g[:, 0]) / det,
        ],
        axis=1,
    )


def _below(at: Node, axes: tuple[Array, Array], top: float) -> tuple[BoolArray, Array]:
    """
    Nodes below a height or with a dip below it beside them, and where those dips are.

    A valley narrower than a cell passes between the nodes: where a row or a column of the grid has
    a strict minimum, a parabola says how deep it is.
    """
    rss = at.rss.reshape(axes[0].size, axes[1].size)
    inside = rss <= top
    spots = []
    for axis in (0, 1):
        if rss.shape[axis] < 3:
            continue
        r = rss if axis == 0 else rss.T
        before, here, after = r[:-2], r[1:-1], r[2:]
        with np.errstate(invalid="ignore", divide="ignore"):
            bend = before - 2 * here + after
            shift = 0.5 * (before - after) / bend
            depth = here - 0.125 * (before - after) ** 2 / bend
        dip = (here < before) & (here < after) & np.isfinite(bend) & (depth <= top)
        i, j = np.nonzero(dip)
        step = axes[axis][1] - axes[axis][0]
        moved = axes[axis][i + 1] + shift[i, j] * step
        spots.append(np.stack([moved, axes[1][j]] if axis == 0 else [axes[0][j], moved], axis=1))
        mask = np.zeros(r.shape, dtype=bool)
        mask[1:-1] = dip
        inside = inside | (mask if axis == 0 else mask.T)
    return inside, np.concatenate(spots) if spots else np.empty((0, 2))


def _label(inside: BoolArray) -> IntArray:
    """Pieces of a mask that hang together, diagonals included; -1 outside."""
    label = np.where(inside, np.arange(inside.size).reshape(inside.shape), -1)
    while True:
        padded = np.pad(label, 1, constant_values=-1)
        most = label
        for i in range(3):
            for j in range(3):
                most = np.maximum(most, padded[i : i + label.shape[0], j : j + label.shape[1]])
        new = np.where(inside, most, -1)
        if (new == label).all():
            return np.asarray(label)
        label = new


def _boxes(inside: BoolArray, axes: tuple[Array, Array]) -> list[Array]:
    """Box of every piece of a mask, one cell wider on every side."""
    if not inside.any():
        return []
    label = _label(inside)
    boxes = []
    for piece in np.unique(label[inside]):
        limits = []
        for k, hits in enumerate(np.nonzero(label == piece)):
            axis = axes[k]
            limits.append((axis[max(hits.min() - 1, 0)], axis[min(hits.max() + 1, axis.size - 1)]))
        boxes.append(np.array(limits))
    return boxes


def _merged(boxes: list[Array]) -> list[Array]:
    """Join boxes that overlap until none do."""
    done: list[Array] = []
    for new in boxes:
        box, apart = new, []
        while True:
            near = [o for o in done if ((box[:, 0] <= o[:, 1]) & (o[:, 0] <= box[:, 1])).all()]
            if not near:
                break
            apart = [o for o in done if not any(o is n for n in near)]
            every = np.stack([box, *near])
            box, done = np.stack([every[:, :, 0].min(axis=0), every[:, :, 1].max(axis=0)], axis=1), apart
        done.append(box)
    return done


def _wider(inside: BoolArray, box: Array, limits: Array) -> Array | None:
    """Return a wider box where the region touches an edge that is not the limit's own; None where it does not."""
    wider, length = box.copy(), np.maximum(box[:, 1] - box[:, 0], 1e-9)
    for k in range(2):
        first, last = inside.take(0, axis=k).any(), inside.take(-1, axis=k).any()
        if inside.shape[k] == 1:
            continue
        if first and box[k, 0] > limits[k, 0]:
            wider[k, 0] = max(box[k, 0] - 0.6 * length[k], limits[k, 0])
        if last and box[k, 1] < limits[k, 1]:
            wider[k, 1] = min(box[k, 1] + 0.6 * length[k], limits[k, 1])
    return None if (wider == box).all() else wider


def _share(part: Array, box: Array) -> float:
    """Share of a box that a part of it fills."""
    sides = np.where(box[:, 1] > box[:, 0], (part[:, 1] - part[:, 0]) / np.maximum(box[:, 1] - box[:, 0], 1e-300), 1.0)
    return float(sides.prod())


def _best(score: Array, logs: Array, cell: Array) -> list[int]:
    """Positions of the best few points that are not neighbours."""
    order = np.argsort(-score, kind="stable")[:60]
    chosen: list[int] = []
    unit = np.where(cell > 0, cell, 1.0)
    for i in order.tolist():
        if not np.isfinite(score[i]):
            break
        if all(np.abs((logs[i] - logs[k]) / unit).max() > 2.5 for k in chosen):
            chosen.append(i)
        if len(chosen) == CANDIDATES:
            break
    return chosen
