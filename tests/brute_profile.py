"""Profiles by brute force: the quantity held at a value, everything else refitted on dense nested grids.

Shares nothing with the package: the exact profile maximises a quantity below a height, this one
holds the quantity and asks how high the sum of squares must be. Given the exponents a held fit
is a quadratic program in two unknowns, solved by listing every set of active constraints.
"""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np

NOTHING = [(1.0, 0.0), (-1.0, 0.0)]
"""Holds the first unknown at 0."""

NO_SECOND = [(0.0, 1.0), (0.0, -1.0)]
"""Holds the second unknown at 0."""


class Case(NamedTuple):
    """A random problem: centred logs, losses, bounds of E, pinned A and B, box of the exponents."""

    x: np.ndarray
    centre: np.ndarray
    y: np.ndarray
    constant: tuple[float, float]
    held: tuple[float | None, float | None]
    box: np.ndarray
    pins: int


def random_case(seed):
    """A ladder, a grid, a sweep or scattered runs, 10 to 60 of them, noise .003 to .05, some with pins and bounds."""
    rng = np.random.default_rng([16, seed])
    kind = rng.choice(["ladder", "grid", "sweep", "scattered"])
    n = int(rng.integers(10, 61))
    if kind == "ladder":
        sizes = np.geomspace(2e7, 2e9, max(3, n // int(rng.integers(3, 6))))
        N = np.repeat(sizes, -(-n // sizes.size))[:n]
        D = 20 * N * 2.0 ** rng.integers(-2, 4, n)
    elif kind == "grid":
        k = max(3, int(np.sqrt(n)))
        N, D = (v.ravel() for v in np.meshgrid(np.geomspace(3e7, 3e9, k), np.geomspace(5e8, 1e11, k)))
    elif kind == "sweep":
        budgets = np.geomspace(1e18, 1e21, max(2, n // 7))
        N = np.concatenate([np.sqrt(c / 120) * np.geomspace(0.2, 5, 7) for c in budgets])
        D = np.repeat(budgets, 7) / 6 / N
    else:
        N = np.exp(rng.uniform(np.log(2e7), np.log(5e9), n))
        D = np.exp(rng.uniform(np.log(4e8), np.log(1e11), n))
    alpha, beta = rng.uniform(0.2, 0.6, 2)
    e = rng.choice([0.0, 0.3, rng.uniform(1.2, 2.0)])
    x = np.log(np.stack([N, D]))
    centre = x.mean(axis=1)
    a, b = rng.uniform(0.1, 0.8, 2)
    sigma = np.exp(rng.uniform(np.log(0.003), np.log(0.05)))
    x = x - centre[:, None]
    y = e + a * np.exp(-alpha * x[0]) + b * np.exp(-beta * x[1]) + sigma * rng.standard_normal(x.shape[1])
    constant, held, pins, box = (0.0, np.inf), (None, None), 0, np.array([[0.01, 2.0], [0.01, 2.0]])
    twist = rng.integers(10)
    if twist == 0:
        constant, pins = (e + 0.01, e + 0.01), 1
    elif twist == 1:
        constant = (max(e - 0.05, 0.0), e + 0.05)
    elif twist == 2:
        box[0] = alpha
        pins = 1
    elif twist == 3:
        held, pins = (float(a * np.exp(alpha * centre[0])), None), 1
        x[0] += centre[0]
        centre = centre * [0.0, 1.0]
    return Case(x, centre, y, constant, held, box, pins)


def _program(gram, moment, square, rows, limits):
    """Least ``c'Gc - 2 m'c + s`` with ``rows @ c >= limits`` in two unknowns, at K nodes: every active set listed."""
    best = np.full(square.shape, np.inf)
    rows = [(np.asarray(r[0], float), np.asarray(r[1], float)) for r in rows]

    def offer(c):
        slack = np.stack(
            [np.broadcast_to(r[0] * c[0] + r[1] * c[1] - p, square.shape) for r, p in zip(rows, limits, strict=True)]
        )
        size = 1e-9 * (1 + np.abs(np.stack([np.broadcast_to(p, square.shape) for p in limits])))
        value = gram[0] * c[0] ** 2 + 2 * gram[1] * c[0] * c[1] + gram[2] * c[1] ** 2
        value = value - 2 * (moment[0] * c[0] + moment[1] * c[1]) + square
        np.minimum(best, np.where(np.isfinite(value) & (slack >= -size).all(axis=0), value, np.inf), out=best)

    with np.errstate(all="ignore"):
        det = gram[0] * gram[2] - gram[1] ** 2
        offer(((gram[2] * moment[0] - gram[1] * moment[1]) / det, (gram[0] * moment[1] - gram[1] * moment[0]) / det))
        for r, p in zip(rows, limits, strict=True):
            norm = r[0] ** 2 + r[1] ** 2
            at, along = (p * r[0] / norm, p * r[1] / norm), (-r[1], r[0])
            bend = gram[0] * along[0] ** 2 + 2 * gram[1] * along[0] * along[1] + gram[2] * along[1] ** 2
            pull = [moment[0] - gram[0] * at[0] - gram[1] * at[1], moment[1] - gram[1] * at[0] - gram[2] * at[1]]
            t = (pull[0] * along[0] + pull[1] * along[1]) / bend
            offer((at[0] + t * along[0], at[1] + t * along[1]))
        for (r, p), (s, q) in combinations(list(zip(rows, limits, strict=True)), 2):
            det = r[0] * s[1] - r[1] * s[0]
            offer(((p * s[1] - q * r[1]) / det, (q * r[0] - p * s[0]) / det))
    return best


def _held_at(case, alpha, beta, first, second, rest, rows, limits):
    """Least sum of squares of ``rest - c0 first - c1 second`` under linear constraints on (c0, c1)."""
    gram = [(first * first).sum(1), (first * second).sum(1), (second * second).sum(1)]
    moment = [(first * rest).sum(1), (second * rest).sum(1)]
    return _program(gram, moment, (rest * rest).sum(1), rows, limits)


def _powers(case, alpha, beta):
    return np.exp(-alpha[:, None] * case.x[0]), np.exp(-beta[:, None] * case.x[1])


def _constant_rows(case):
    """The bounds of E, as linear constraints on the first unknown."""
    low, high = case.constant
    if np.isfinite(high):
        return [(1.0, 0.0), (-1.0, 0.0)], [low, -high]
    return [(1.0, 0.0)], [low]


def _at_constant(case, value, alpha, beta):
    u, v = _powers(case, alpha, beta)
    if case.held[0] is not None:
        rest = case.y - value - case.held[0] * u
        return _held_at(case, alpha, beta, 0 * u, v, rest, [(0.0, 1.0), *NOTHING], [0.0, 0.0, 0.0])
    return _held_at(case, alpha, beta, u, v, case.y - value + 0 * u, [(1.0, 0.0), (0.0, 1.0)], [0.0, 0.0])


def _at_first(case, value, alpha, beta):
    u, v = _powers(case, alpha, beta)
    rest = case.y - np.exp(value - alpha * case.centre[0])[:, None] * u
    rows, limits = _constant_rows(case)
    return _held_at(case, alpha, beta, np.ones_like(u), v, rest, [*rows, (0.0, 1.0)], [*limits, 0.0])


def _at_second(case, value, alpha, beta):
    u, v = _powers(case, alpha, beta)
    rest = case.y - np.exp(value - beta * case.centre[1])[:, None] * v
    rows, limits = _constant_rows(case)
    if case.held[0] is not None:
        rest = rest - case.held[0] * u
        return _held_at(case, alpha, beta, np.ones_like(u), 0 * u, rest, [*rows, *NO_SECOND], [*limits, 0.0, 0.0])
    return _held_at(case, alpha, beta, np.ones_like(u), u, rest, [*rows, (0.0, 1.0)], [*limits, 0.0])


def _at_point(case, value, alpha, beta, point):
    """The loss of one model held: E = value - a p - b q."""
    u, v = _powers(case, alpha, beta)
    low, high = case.constant
    p, q = np.exp(-alpha * (point[0] - case.centre[0])), np.exp(-beta * (point[1] - case.centre[1]))
    known = 0 * p if case.held[0] is None else case.held[0] * p
    rows, limits = [(0.0, 1.0)], [0.0]
    first, rest = u - p[:, None], case.y - value + 0 * u
    if case.held[0] is None:
        rows, limits, mine = [*rows, (1.0, 0.0)], [*limits, 0.0], p
    else:
        rows, limits, mine = [*rows, *NOTHING], [*limits, 0.0, 0.0], 0 * p
        first, rest = 0 * u, rest + known[:, None] - case.held[0] * u
    rows, limits = [*rows, (-mine, -q)], [*limits, low - value + known]
    if np.isfinite(high):
        rows, limits = [*rows, (mine, q)], [*limits, value - known - high]
    return _held_at(case, alpha, beta, first, v - q[:, None], rest, rows, limits)


def _at_size(case, size, alpha, beta, product):
    """N* held: alpha A N^-alpha = beta B D^-beta there, so the ratio of the amplitudes is known."""
    u, v = _powers(case, alpha, beta)
    x0, y0 = case.centre
    log_r = np.log(beta / alpha) + (alpha + beta) * size - alpha * x0 - beta * (product - y0)
    rows, limits = _constant_rows(case)
    if case.held[0] is not None:
        rest = case.y - case.held[0] * (u + np.exp(-log_r)[:, None] * v)
        return _held_at(case, alpha, beta, np.ones_like(u), 0 * u, rest, [*rows, *NO_SECOND], [*limits, 0.0, 0.0])
    both = np.exp(np.clip(log_r, -200, 200))[:, None] * u + v
    both = both / np.abs(both).max(axis=1)[:, None]
    return _held_at(case, alpha, beta, np.ones_like(u), both, case.y + 0 * u, [*rows, (0.0, 1.0)], [*limits, 0.0])


def _at_level(case, value, alpha, beta, product, size):
    """L* held, and N* as well: L = L* + g [(exp(-alpha (x - s)) - 1)/alpha + (exp(-beta (y - t)) - 1)/beta]."""
    low, high = case.constant
    wave = (np.exp(-alpha[:, None] * (case.x[0] + case.centre[0] - size[:, None])) - 1) / alpha[:, None]
    away = case.x[1] + case.centre[1] - (product - size)[:, None]
    wave = wave + (np.exp(-beta[:, None] * away) - 1) / beta[:, None]
    total, rest = 1 / alpha + 1 / beta, case.y - value
    if case.held[0] is not None:
        g = alpha * case.held[0] * np.exp(-alpha * size)
        e = value - g * total
        fair = (e >= low - 1e-12) & (e <= high + 1e-12)
        return np.where(fair, ((rest - g[:, None] * wave) ** 2).sum(1), np.inf)
    g = np.maximum((wave * rest).sum(1) / (wave * wave).sum(1), 0.0)
    most = (value - low) / total
    least = np.maximum((value - high) / total, 0.0) if np.isfinite(high) else 0.0
    g = np.clip(g, least, most)
    return np.where(most >= least, ((rest - g[:, None] * wave) ** 2).sum(1), np.inf)


HELD = {"E": _at_constant, "A": _at_first, "B": _at_second}


def plain(case, alpha, beta):
    """Sum of squares at pairs of exponents with nothing held."""
    u, v = _powers(case, alpha, beta)
    low, high = case.constant
    y = np.broadcast_to(case.y, u.shape)
    if case.held[0] is not None:
        rows, limits = [(1.0, 0.0), (0.0, 1.0)], [low, 0.0]
        if np.isfinite(high):
            rows.append((-1.0, 0.0))
            limits.append(-high)
        return _held_at(case, alpha, beta, np.ones_like(u), v, y - case.held[0] * u, rows, limits)
    # E is profiled by its closed form: on the axis of E the best of the bounds and the free value.
    best = np.full(alpha.shape, np.inf)
    mu, mv, my = u.mean(1)[:, None], v.mean(1)[:, None], y.mean(1)[:, None]
    rows, limits = [(1.0, 0.0), (0.0, 1.0), (-mu[:, 0], -mv[:, 0])], [0.0, 0.0, low - my[:, 0]]
    if np.isfinite(high):
        rows.append((mu[:, 0], mv[:, 0]))
        limits.append(my[:, 0] - high)
    if low < high:
        best = _held_at(case, alpha, beta, u - mu, v - mv, y - my, rows, limits)
    ends = [low] + ([high] if np.isfinite(high) else [])
    for e in ends:
        best = np.minimum(best, _held_at(case, alpha, beta, u, v, y - e, [(1.0, 0.0), (0.0, 1.0)], [0.0, 0.0]))
    return best


def _filled(function, box, moves):
    """Fill the pinned arguments in: stencils turn in the others alone."""

    def of_the_others(q):
        every = np.repeat(box[None, :, 0], len(q), axis=0)
        every[:, moves] = q
        return function(every)

    return of_the_others


def lowest(case, function, box, *, size=45, rounds=9, keep=5):
    """Least value of a function of two or three logs of arguments, by nested grids around the best few nodes."""
    moves = box[:, 0] < box[:, 1]
    if not moves.all() and moves.any():
        return lowest(case, _filled(function, box, moves), box[moves], size=4 * size, rounds=rounds, keep=keep)
    dims = len(box)
    axes = [np.linspace(lo, hi, size if hi > lo else 1) for lo, hi in box]
    mesh = np.stack([m.ravel() for m in np.meshgrid(*axes, indexing="ij")], axis=1)
    value = function(mesh)
    shape = [a.size for a in axes]
    grid = value.reshape(shape)
    lower = np.isfinite(grid)
    for k in range(dims):
        pad = [(1, 1) if j == k else (0, 0) for j in range(dims)]
        wide = np.pad(grid, pad, constant_values=np.inf)
        lower &= grid <= np.take(wide, range(shape[k]), axis=k)
        lower &= grid <= np.take(wide, range(2, shape[k] + 2), axis=k)
    spots = np.flatnonzero(lower.ravel())
    spots = spots[np.argsort(value[spots])[:keep]]
    best = np.inf if spots.size == 0 else value[spots].min()
    cell0 = np.array([a[1] - a[0] if a.size > 1 else 0.0 for a in axes])
    for i in spots:
        at, here = mesh[i], value[i]
        basis, scale = np.eye(dims), 1.0
        line = np.linspace(-1, 1, 7 if dims == 3 else 9)
        offsets = np.stack([m.ravel() for m in np.meshgrid(*[line] * dims, indexing="ij")], axis=1)
        for _ in range(4 * rounds):
            trial = np.clip(at + scale * (offsets @ basis.T) * cell0, box[:, 0], box[:, 1])
            found = function(trial)
            k = int(found.argmin())
            # The axes follow the valley: a quadratic through the stencil.
            features = np.concatenate(
                [np.ones((len(offsets), 1)), offsets]
                + [offsets[:, [p]] * offsets[:, q:] for p, q in enumerate(range(dims))],
                axis=1,
            )
            if found[k] < here:
                edge = np.abs(offsets[k]).max() == 1
                at, here = trial[k], found[k]
                if not edge:
                    scale *= 0.45
            else:
                scale *= 0.45
            near = found < np.quantile(found[np.isfinite(found)], 0.6) if np.isfinite(found).any() else found < 0
            if scale < 1e-5 or near.sum() < features.shape[1]:
                if scale < 1e-5:
                    break
                continue
            coefficients = np.linalg.lstsq(features[near], found[near], rcond=None)[0][1 + dims :]
            bend, c = np.zeros((dims, dims)), 0
            for p in range(dims):
                for q in range(p, dims):
                    bend[p, q] += coefficients[c] / 2
                    bend[q, p] += coefficients[c] / 2
                    c += 1
            w, axes_ = np.linalg.eigh(bend)
            top = max(np.abs(w).max(), 1e-300)
            ratio = np.sqrt(top / np.clip(w, top / 30, None))
            basis = basis @ (axes_ * np.minimum(ratio / ratio.max() * 1.5, 1.5))
            basis /= np.abs(basis).max()
        best = min(best, here)
    return float(best)


def height_at(case, name, value, *, point, product, size=45):
    """Least sum of squares with a quantity held at a value, everything else free."""
    logs = np.log(case.box)
    if name in HELD:
        return lowest(case, lambda q: HELD[name](case, value, *np.exp(q.T)), logs, size=size)
    if name == "loss_at":
        return lowest(case, lambda q: _at_point(case, value, *np.exp(q.T), point), logs, size=size)
    if name == "params":
        return lowest(case, lambda q: _at_size(case, value, *np.exp(q.T), product), logs, size=size)
    if name == "loss":
        box = np.concatenate([logs, [[product / 2 - 12, product / 2 + 12]]])
        return lowest(case, lambda q: _at_level(case, value, *np.exp(q[:, :2].T), product, q[:, 2]), box, size=25)
    return _on_a_line(case, name, value, logs)


def _on_a_line(case, name, value, logs):
    """The same for an exponent, or for a = beta/(alpha+beta): one exponent is left, on a line of 2,000 points."""
    low, high = case.box[1] * (1 + np.array([-1e-9, 1e-9]))

    def along(q):
        if name == "alpha":
            return plain(case, np.full(q.size, value), np.exp(q))
        if name == "beta":
            return plain(case, np.exp(q), np.full(q.size, value))
        other = np.exp(q) * value / (1 - value)
        return np.where((other >= low) & (other <= high), plain(case, np.exp(q), other), np.inf)

    ends, points = logs[1] if name == "alpha" else logs[0], 2000
    for _ in range(4):
        axis = np.linspace(*ends, points) if ends[0] < ends[1] else np.array(ends[:1])
        value_at = along(axis)
        k = int(value_at.argmin())
        ends, points = (axis[max(k - 1, 0)], axis[min(k + 1, axis.size - 1)]), 200
    return float(value_at[k])
