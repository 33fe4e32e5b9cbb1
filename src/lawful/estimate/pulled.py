"""Coupled fits of the same runs under several weightings, widths and priors, as one batch of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lawful.core.typing import Array, BoolArray, IntArray
from lawful.estimate.forms import prepare_form
from lawful.laws.catalogue_coupled import SKALING, skaling_derivatives
from lawful.laws.law import Curvature, Differentiated
from lawful.solve import newton, robust, screening
from lawful.solve.newton import Part
from lawful.solve.screening import SAMPLE_TOLERANCE, sampled, screened_starts
from lawful.solve.solved import Solved

COEFFICIENTS = 6
"""E, a, b, alpha, beta, k: a and b are logs of the two terms at the middle of the runs."""

LOWEST = (0.0, -60.0, -60.0, 0.01, 0.01, 0.05)
HIGHEST = (np.inf, 60.0, 60.0, 4.0, 4.0, 2.0)
"""Bounds of the coupled law's coefficients, as the catalogue has them."""

SCREENED_STARTS, FINALISTS = 32, 6
"""Screened starts that are roughly minimised in squares, and those of them that every row is then started from."""

WIDEST, NARROWING = 0.3, 3.0
"""Width of Huber's quadratic part that a search begins with, and the factor it narrows by until the row's own."""

TINY = 1e-7
"""Scale of the residual of a pull, so small that every objective counts it squared."""


class Pulls(NamedTuple):
    """
    Rows of misfits to minimise over the same runs.

    Attributes
    ----------
    weight : array, shape (R, n)
        Weights of the runs, mean one.
    delta : array, shape (R,)
        Width of Huber's quadratic part, in log loss.
    mean, spread : array, shape (R, 2)
        Mean and standard deviation of the priors on k and on E, E in fractions of the lowest loss; an infinite
        spread is no prior.
    simple : bool array, shape (R,)
        Where k is held at 1: Chinchilla's law.
    """

    weight: Array
    delta: Array
    mean: Array
    spread: Array
    simple: BoolArray

    def take(self, rows: Any) -> Pulls:
        """Return some of the rows."""
        return Pulls(*(field[rows] for field in self))


class Coupled(NamedTuple):
    """
    Rows of coupled laws fitted to the same runs.

    Attributes
    ----------
    z : array, shape (R, 6)
        E, a, b, alpha, beta, k with a and b at the middle of the runs and the loss in units of ``scale``.
    scale : float
        Lowest loss of the runs: a fit is the same in nats and in bits.
    centre : array, shape (2,)
        Mean ln N and ln D.
    unit : array, shape (R,)
        What one nat of log-likelihood is worth, per run.
    covariance : array, shape (R, 6, 6)
        Of the coefficients, given the law: sandwich of the misfit and its priors.
    converged : bool array, shape (R,)
    """

    z: Array
    scale: float
    centre: Array
    unit: Array
    covariance: Array
    converged: BoolArray

    def take(self, rows: Any) -> Coupled:
        """Return some of the rows."""
        return self._replace(**{name: getattr(self, name)[rows] for name in ("z", "unit", "covariance", "converged")})

    def loss(self, log_n: Any, log_d: Any) -> Array:
        """Loss of every row at logs of N and D, shape (R, *shape)."""
        x, y = np.asarray(log_n, float) - self.centre[0], np.asarray(log_d, float) - self.centre[1]
        shape = (-1,) + (1,) * x.ndim
        e, a, b, alpha, beta, k = (column.reshape(shape) for column in self.z.T)
        return np.asarray(self.scale * (e + np.exp(k * np.logaddexp(a - alpha * x, b - beta * y))))

    def optimum(self, log_product: Any) -> Array:
        """Log of the compute-optimal N of every row at logs of N·D, shape (R, *shape)."""
        p = np.asarray(log_product, float) - self.centre.sum()
        shape = (-1,) + (1,) * p.ndim
        _, a, b, alpha, beta, _ = (column.reshape(shape) for column in self.z.T)
        x = (np.log(alpha / beta) + a - b + beta * p) / (alpha + beta)
        return np.asarray(x + self.centre[0])

    def optimum_slope(self, log_product: Array) -> Array:
        """Derivatives of the log compute-optimal N by the coefficients, shape (R, 6, m)."""
        p = log_product - self.centre.sum()
        _, a, b, alpha, beta, _ = (column[:, None] for column in self.z.T)
        total = alpha + beta
        x = (np.log(alpha / beta) + a - b + beta * p) / total
        none, one = np.zeros_like(x), np.ones_like(x)
        return np.stack(
            [none, one / total, -one / total, (1 / alpha - x) / total, (p - 1 / beta - x) / total, none], axis=1
        )

    @property
    def coefficients(self) -> Array:
        """Rows of E, A, B, alpha, beta, k of the law in its own units, shape (R, 6)."""
        out = self.z.copy()
        with np.errstate(over="ignore"):
            out[:, 1:3] = np.exp(self.z[:, 1:3] + self.z[:, 3:5] * self.centre + np.log(self.scale) / self.z[:, 5:6])
        out[:, 0] *= self.scale
        return out


def log_model(N: Array, D: Array, centre: Array) -> Differentiated:
    """Log of the coupled law at some runs, with its slopes and curvature, in the coordinates of :class:`Coupled`."""
    return newton.logged(skaling_derivatives((N, D), np.array([0.0, *centre])))


class LogRows(NamedTuple):
    """Runs to fit: N and D, the middles of their logs, and the log of the loss over the lowest."""

    columns: tuple[Array, Array]
    centre: Array
    log_loss: Array

    def model(self) -> Differentiated:
        """Return the coupled law at them."""
        return log_model(*self.columns, self.centre)

    def parts(self) -> list[Part]:
        """Return the coupled law at a stretch of them after another."""
        n, d = self.columns
        return newton.in_parts(lambda runs: log_model(n[runs], d[runs], self.centre), n.size)

    def take(self, some: IntArray) -> LogRows:
        """Return some of them, in the same coordinates."""
        return LogRows((self.columns[0][some], self.columns[1][some]), self.centre, self.log_loss[some])


def starts(columns: tuple[Array, Array], loss: Array, weight: Array) -> Array:
    """Distinct rough minima in squares of the log loss, in the coordinates of :class:`Coupled`, shape (S, 6)."""
    if loss.size > screening.MOST_SEARCHED:
        # The sample's logs have another middle, about which the two terms are written.
        some = sampled(loss.size)
        part = (columns[0][some], columns[1][some])
        low = loss[some].min() / loss.min()
        z = starts(part, loss[some], weight[some] / weight[some].mean())
        away = [np.log(whole).mean() - np.log(few).mean() for whole, few in zip(columns, part, strict=True)]
        z[:, 0] *= low
        z[:, 1:3] += np.log(low) / z[:, 5:6] - z[:, 3:5] * away
        return z
    problem = prepare_form(SKALING, columns, loss / loss.min(), weight, SKALING.bounds, log=True, delta=None)
    z = screened_starts(problem, SCREENED_STARTS)
    rough = newton.minimise(
        problem.model, problem.target, weight, z, problem.lower, problem.upper, tolerance=1e-3, max_iter=20
    )
    order = np.argsort(rough.value, kind="stable")
    z = rough.z[order]
    return np.asarray(z[robust.distinct(z)[:FINALISTS]])


def fit_rows(logs: LogRows, pulls: Pulls, strength: Array, z: Array, tolerance: float = 1e-8) -> Solved:
    """Best of several starts for every row: squares narrowed to each row's own width, the best of them to the end."""
    model, log_loss = logs.parts(), logs.log_loss
    n = log_loss.size
    if n > screening.MOST_SEARCHED:
        some = sampled(n)
        weight = pulls.weight[:, some]
        few = pulls._replace(weight=weight / weight.mean(axis=1, keepdims=True))
        near = fit_rows(logs.take(some), few, strength * some.size / n, z, SAMPLE_TOLERANCE).z
        return minimise(model, log_loss, pulls, strength, near, tolerance=tolerance, max_iter=MOST_STEPS)
    rows, count = len(pulls.delta), len(z)
    index = np.repeat(np.arange(rows), count)
    # With k held at 1 the exponents and levels of the loss itself are the start.
    additive = np.concatenate([z[:, :1], z[:, 5:] * z[:, 1:5], np.ones((count, 1))], axis=1)
    now = np.where(pulls.simple[index, None], np.tile(additive, (rows, 1)), np.tile(z, (rows, 1)))
    width, value = WIDEST, np.zeros(len(now))
    while width > pulls.delta.min():
        narrowed = pulls.take(index)._replace(delta=np.maximum(width, pulls.delta[index]))
        rough = minimise(model, log_loss, narrowed, strength[index], now, tolerance=1e-3, max_iter=ROUGH_STEPS)
        now, value = rough.z, rough.value
        width /= NARROWING
    kept = min(TAKEN_ON, count)
    order = np.argsort(value.reshape(rows, count), axis=1, kind="stable")[:, :kept]
    chosen = (order + count * np.arange(rows)[:, None]).ravel()
    last, unit = pulls.take(index[chosen]), strength[index[chosen]]
    out = minimise(model, log_loss, last, unit, now[chosen], tolerance=tolerance, max_iter=MOST_STEPS)
    # A start that ends without converging is taken only where no other did, and says so.
    reached = np.where(out.converged, out.value, LARGE + out.value).reshape(rows, kept)
    best = np.arange(rows) * kept + reached.argmin(axis=1)
    return out.take(best)


ROUGH_STEPS, MOST_STEPS, TAKEN_ON = 30, 200, 3

LARGE = 1e9
"""More than any misfit."""


def minimise(
    model: Sequence[Part],
    log_loss: Array,
    pulls: Pulls,
    strength: Array,
    z: Array,
    *,
    tolerance: float,
    max_iter: int,
    shape: Array | None = None,
) -> Solved:
    """Newton steps at the rows' own objectives; ``strength`` is the unit of the priors, ``shape`` what k is held at."""
    n = log_loss.size
    precision = strength[:, None] / pulls.spread**2

    def pull(z: Array) -> tuple[Array, Array, Curvature]:
        slope = np.zeros((len(z), COEFFICIENTS, 2))
        slope[:, 5, 0] = slope[:, 0, 1] = TINY
        return TINY * z[:, [5, 0]], slope, lambda v: np.zeros((len(v), COEFFICIENTS, COEFFICIENTS))

    rows = len(z)
    target = np.concatenate([np.broadcast_to(log_loss, (rows, n)), TINY * pulls.mean], axis=1)
    weight = np.concatenate([pulls.weight, precision / TINY**2], axis=1)
    lower, upper = np.tile(LOWEST, (rows, 1)), np.tile(HIGHEST, (rows, 1))
    lower[pulls.simple, 5] = upper[pulls.simple, 5] = 1.0
    if shape is not None:
        lower[:, 5] = upper[:, 5] = shape
    upper[:, 0] = 1.0
    start = np.clip(z, lower, upper)
    pulled = [*model, Part(pull, slice(n, n + 2))]
    return newton.minimise(
        pulled, target, weight, start, lower, upper, delta=pulls.delta, tolerance=tolerance, max_iter=max_iter
    )


def fit_pulled(columns: tuple[Array, Array], loss: Array, pulls: Pulls, z: Array | None = None) -> Coupled:
    """
    Fit the coupled law, or Chinchilla's, under every row's weights, width and priors.

    Parameters
    ----------
    columns : (array, array), shape (n,) each
        N and D.
    loss : array, shape (n,)
        Nats, > 0.
    pulls : Pulls
    z : array, shape (S, 6), optional
        Starts in the coordinates of :class:`Coupled`; screened ones under the first row's weights if not given.

    Returns
    -------
    Coupled

    Notes
    -----
    A nat of log-likelihood is worth the mean misfit of Chinchilla's law per run, for Huber's loss
    with a width far below the noise (its minimum is then the maximum of a Laplace likelihood of
    that scale). The prior joins the summed objective by half of it times the squared distance in standard deviations.
    """
    centre = np.array([np.log(column).mean() for column in columns])
    low = float(loss.min())
    logs = LogRows(columns, centre, np.log(loss / low))
    z = starts(columns, loss, pulls.weight[0]) if z is None else z
    unit = _units(logs, pulls, z)
    out = fit_rows(logs, pulls, unit, z)
    return Coupled(
        out.z, low, centre, unit, _covariance(logs.parts(), logs.log_loss, pulls, unit, out.z), out.converged
    )


def _units(logs: LogRows, pulls: Pulls, z: Array) -> Array:
    """Misfit of Chinchilla's law per run for each row's weights and width, shape (R,)."""
    # Rows as bytes: distinct rows of as many columns as there are runs take NumPy a second for every hundred thousand.
    keys = [row.tobytes() for row in np.column_stack([pulls.weight, pulls.delta])]
    found_at = {key: i for i, key in reversed(list(enumerate(keys)))}
    first = np.array(sorted(found_at.values()))
    back = np.searchsorted(first, [found_at[key] for key in keys])
    alone = pulls.take(first)
    alone = alone._replace(spread=np.full((first.size, 2), np.inf), simple=np.ones(first.size, bool))
    found = fit_rows(logs, alone, np.ones(first.size), z[:TAKEN_ON], UNIT_TOLERANCE)
    return np.maximum(found.value / logs.log_loss.size, np.finfo(float).tiny)[back]


UNIT_TOLERANCE = 1e-4
"""Step at which the fit behind the unit of the priors ends: its value is then right to far better than a percent."""


def _covariance(parts: Sequence[Part], log_loss: Array, pulls: Pulls, unit: Array, z: Array) -> Array:
    """
    Sandwich covariance of every row, shape (R, 6, 6).

    The scores of the runs show the noise as it is; a prior counts as one observation with its
    own standard deviation. Coefficients on a bound are held.
    """
    residual = log_loss - np.concatenate([part.model(z)[0] for part in parts], axis=1)
    clipped = np.clip(residual, -pulls.delta[:, None], pulls.delta[:, None])
    # The bend of Huber's loss is a density at the median: runs within the noise tell it, not those within delta.
    scale = 1.4826 * np.median(np.abs(residual), axis=1)
    width = np.maximum(pulls.delta, scale)[:, None]
    steep = pulls.weight * (np.abs(residual) <= width) * (pulls.delta[:, None] / width)
    pull = pulls.weight * clipped
    bread, meat = np.zeros((2, len(z), COEFFICIENTS, COEFFICIENTS))
    for part in parts:
        slope = part.model(z)[1]
        bread += (slope * steep[:, None, part.runs]) @ slope.transpose(0, 2, 1)
        meat += (slope * (pull**2)[:, None, part.runs]) @ slope.transpose(0, 2, 1)
    meat *= log_loss.size / max(log_loss.size - COEFFICIENTS, 1)
    for place, column in ((5, 0), (0, 1)):
        bread[:, place, place] += unit / pulls.spread[:, column] ** 2
        meat[:, place, place] += (unit / pulls.spread[:, column]) ** 2
    held = (z <= np.array(LOWEST) + 1e-9) | (z >= np.array(HIGHEST) - 1e-9)
    held[:, 5] |= pulls.simple
    free = ~held
    bread = np.where(free[:, :, None] & free[:, None, :], bread, 0.0)
    meat = np.where(free[:, :, None] & free[:, None, :], meat, 0.0)
    size = np.sqrt(np.einsum("rii->ri", bread))
    size = np.where(size > 0, size, 1.0)
    scaled = bread / size[:, :, None] / size[:, None, :]
    inverse = np.linalg.pinv(scaled, rcond=1e-10, hermitian=True) / size[:, :, None] / size[:, None, :]
    return np.asarray(inverse @ meat @ inverse)
