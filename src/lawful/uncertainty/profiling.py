"""The engine of profiles: where the misfit along one quantity reaches a height. Batched arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lawful.core.cost import Cost
from lawful.core.typing import Array, BoolArray, IntArray
from lawful.errors import UnsupportedError
from lawful.estimate.solvers import Problem
from lawful.laws.law import Differentiated, Law
from lawful.solve import newton
from lawful.solve.small import inverse_spd
from lawful.uncertainty.quantity import Quantity
from lawful.valley import coordinates as co

ROUNDS = 14
"""Trial values per end; the signed root of the misfit is nearly straight, so four or five do."""

STRIDE = 4.0
"""A trial goes at most this many times as far out as the last one that was too near."""


MIRRORED = {"params": "tokens", "a": "b", "log10_a0": "log10_b0"}
MIRRORED |= {other: name for name, other in MIRRORED.items()}
"""Quantities that change places with N and D."""


class Frame(NamedTuple):
    """
    Coordinates of a quantity, and how its working value is read off the one held.

    Attributes
    ----------
    at : Coordinates
    scale, offset : float
        Working value = scale times the held coordinate + offset.
    floor : Coordinates or None
        Surfaces with E = 0, for trial values of L* that would ask for E < 0.
    """

    at: co.Coordinates
    scale: float = 1.0
    offset: float = 0.0
    floor: co.Coordinates | None = None


def frame_of(quantity: Quantity, law: Law, problem: Problem, cost: Cost) -> Frame:
    """
    Coordinates in which a quantity is held.

    Raises
    ------
    UnsupportedError
        For a derived quantity of a law with a form, or while a multiplier is held or bounded.
    """
    name, lower, upper, centre = quantity.name, problem.lower, problem.upper, problem.centre
    if not law.separable:
        if name not in law.names:
            msg = f"{name!r} of the {law.name} law cannot be profiled, only its coefficients; use bootstrap or delta."
            raise UnsupportedError(msg)
        return Frame(co.Coordinates(law.names.index(name), lower, upper, np.array))
    if name in law.linear[1:]:
        return Frame(co.amplitude(law.linear.index(name) - 1, lower, upper, centre))
    if name in law.names:
        return Frame(co.identity(law.names.index(name), lower, upper))
    if law.columns[0] == "D":
        # The coordinates know a first and a second column; with D first, what they call N* is D*.
        name = MIRRORED.get(name, name)
    if name in ("a", "b"):
        at = co.ratio(lower, upper)
        return Frame(at) if name == "a" else Frame(at, -1.0, 1.0)
    if name == "loss_at":
        msg = "There is no profile of the loss at one point; use delta or bootstrap for it."
        raise UnsupportedError(msg)
    if (lower[1:3] > 0).any() or np.isfinite(upper[1:3]).any():
        msg = f"{name!r} cannot be profiled while A or B is held or bounded; use bootstrap or delta."
        raise UnsupportedError(msg)
    product = float(np.log(cost.product(quantity.budget or 1.0)))
    if name == "loss":
        floor = co.without_constant(lower, upper, centre, product) if lower[0] == 0 else None
        return Frame(co.optimum("loss", lower, upper, centre, product), floor=floor)
    at = co.optimum("params", lower, upper, centre, product)
    unit = 1.0 if name in ("params", "tokens") else float(1 / np.log(10))
    return Frame(at, unit) if name in ("params", "log10_a0") else Frame(at, -unit, unit * product)


class Data(NamedTuple):
    """
    What is profiled: one row per fit, or one fit for all rows.

    Attributes
    ----------
    x : array, shape (p, n)
    y : array, shape (n,) or (R, n)
        Losses, or their logs for log objectives.
    w : array, shape (n,)
    log : bool
    delta : array, shape (R,), or None
    model : Model, optional
        The law, where it is no sum of powers.
    """

    x: Array
    y: Array
    w: Array
    log: bool
    delta: Array | None
    model: Differentiated | None = None

    def rows(self, index: IntArray) -> Data:
        """Rows of the data."""
        y = self.y[index] if self.y.ndim == 2 else self.y
        return self._replace(y=y, delta=None if self.delta is None else self.delta[index])


def misfit(data: Data, z: Array) -> Array:
    """Half the weighted sum of squares, or the sum of Huber's loss, at rows of solver units, shape (R,)."""
    residual = np.abs(data.y - (data.model or newton.separable(data.x, log=data.log))(z)[0])
    if data.delta is None:
        return np.asarray(0.5 * (data.w * residual**2).sum(axis=1))
    clipped = np.minimum(residual, data.delta[:, None])
    return np.asarray((data.w * clipped * (residual - 0.5 * clipped)).sum(axis=1))


class Held(NamedTuple):
    """Minimum of the misfit with the quantity held: its value and where it is, rows of coordinates."""

    value: Array
    phi: Array
    converged: BoolArray


def minimise_held(frame: Frame, data: Data, phi: Array, value: Array, *, tolerance: float = 1e-9) -> Held:
    """
    Minimise the misfit with the quantity held at a value per row.

    Parameters
    ----------
    frame : Frame
    data : Data
    phi : array, shape (R, f)
        Starts.
    value : array, shape (R,)
        Values of the held coordinate.
    tolerance : float
        Relative step at which a row has converged.

    Returns
    -------
    Held
    """
    at = frame.at
    lower, upper = at.bounds(value)
    start = np.clip(phi, lower, upper)
    model = co.model_in(at, data.x, log=data.log, base=data.model)
    options = {"delta": data.delta, "tolerance": tolerance, "max_iter": 60}
    out = newton.minimise(model, data.y, data.w, start, lower, upper, gates=at.gates, **options)  # type: ignore[arg-type]
    result = Held(out.value.copy(), out.z.copy(), out.converged.copy())
    if frame.floor is None or at.image is None:
        return result
    z = at.image(out.z).z
    low = np.flatnonzero((z[:, 0] < 0) & (value > 0))
    if low.size == 0:
        return result
    floor, part = frame.floor, data.rows(low)
    lower, upper = floor.bounds(np.log(value[low]))
    start = np.clip(floor.place(z[low]), lower, upper)
    options["delta"] = part.delta
    again = newton.minimise(
        co.model_in(floor, data.x, log=data.log, base=data.model),
        part.y,
        part.w,
        start,
        lower,
        upper,
        **options,  # type: ignore[arg-type]
    )
    result.value[low], result.converged[low] = again.value, again.converged
    return result


class ProfileEnds(NamedTuple):
    """
    Ends of profile intervals, in working values.

    Attributes
    ----------
    at : array, shape (R, 2)
        Lower and upper end; a bound, or infinite, where the profile stays below its height.
    open : bool array, shape (R, 2)
        Whether it does.
    phi : array, shape (R, 2, f)
        Coordinates at the ends.
    lowest : array, shape (R,)
        Lowest misfit met on the way, for comparison with that of the fit.
    """

    at: Array
    open: BoolArray
    phi: Array
    lowest: Array


def profile_ends(
    frame: Frame, data: Data, z: Array, reach: Array, ratio: Array, *, precision: float = 1e-6, tolerance: float = 1e-9
) -> ProfileEnds:
    """
    Find where twice the rise of the misfit over ``ratio`` reaches ``reach`` squared, on both sides.

    Parameters
    ----------
    frame : Frame
    data : Data
    z : array, shape (R, q)
        Answers in solver units.
    reach : array, shape (R,)
        Quantile of Student's t.
    ratio : array, shape (R,)
        What the rise is measured in: the variance of a run of weight one, or its
        sandwich counterpart for this quantity.
    precision : float
        Relative error of the height at which an end is accepted.
    tolerance : float
        Relative step at which the inner minimum is accepted.

    Returns
    -------
    ProfileEnds
    """
    count, k = len(z), frame.at.held
    phi0 = frame.at.place(z)
    lowest = misfit(data, z)
    slope = _direction(frame, data, phi0)
    # Rows 0…R-1 walk down, R…2R-1 walk up.
    twice = np.concatenate([np.arange(count)] * 2)
    walk = _set_out(frame, phi0[twice], slope[twice], np.repeat([-1.0, 1.0], count), reach[twice], ratio[twice])
    both, least = data.rows(twice), lowest[twice]
    is_open = np.zeros(count * 2, dtype=bool)
    alive = np.flatnonzero(np.isfinite(walk.value) & (walk.height > 0) & (walk.unit > 0))
    at = np.where(np.isin(np.arange(count * 2), alive), walk.value, np.nan)
    ends = phi0[twice].copy()
    for _ in range(ROUNDS):
        if alive.size == 0:
            break
        held = minimise_held(frame, both.rows(alive), walk.phi[alive], walk.value[alive], tolerance=tolerance)
        done = held.converged
        if not done.all():
            # What did not converge says nothing of the height there: the next trial is nearer.
            _retreat(walk, alive[~done])
            stuck, alive = alive[~done], alive[done]
            held = Held(held.value[done], held.phi[done], held.converged[done])
        else:
            stuck = alive[:0]
        np.minimum.at(lowest, alive % count, held.value)
        rise = np.sqrt(np.maximum(2.0 * (held.value - least[alive]), 0.0) / walk.unit[alive])
        at[alive], ends[alive] = walk.value[alive], held.phi
        is_open[alive] = (rise < walk.height[alive]) & (walk.value[alive] == walk.edge[alive])
        close = np.abs(rise / walk.height[alive] - 1.0) <= precision
        narrow = np.abs(walk.outer[alive] - walk.inner[alive]) <= 1e-10 * (1.0 + np.abs(walk.value[alive]))
        _advance(walk, alive, rise, held.phi)
        alive = np.concatenate([alive[~(close | narrow | is_open[alive])], stuck])
    # A walk that never reached its height ends at the last point known to lie below it, and is open there.
    at[alive], ends[alive], is_open[alive] = walk.inner[alive], walk.inner_phi[alive], True
    return _collect(frame, phi0[:, k], at.reshape(2, count).T, is_open.reshape(2, count).T, ends, lowest)


class _Walk(NamedTuple):
    """
    Both ends of every row on their way out; the arrays are updated in place.

    ``inner`` is the farthest value still below the height (with the coordinates there) and
    ``outer`` the nearest one above it, or the edge, with its rise; ``last`` holds the
    last trial and its rise.
    """

    middle: Array
    edge: Array
    sign: Array
    height: Array
    unit: Array
    value: Array
    phi: Array
    inner: Array
    inner_phi: Array
    outer: Array
    outer_rise: Array
    last: Array


def _set_out(frame: Frame, phi: Array, slope: Array, sign: Array, height: Array, unit: Array) -> _Walk:
    """First trials: where a parabola through the estimate would reach the height."""
    k, rows = frame.at.held, len(phi)
    middle = phi[:, k].copy()
    edge = np.where(sign < 0, frame.at.lower[k], frame.at.upper[k])
    edge = np.where(np.isfinite(edge), edge, middle + sign * co.FAR)
    edge = np.where(sign < 0, np.minimum(edge, middle), np.maximum(edge, middle))
    value = _between(middle, middle + sign * height * np.sqrt(slope[:, k] * unit), edge, sign)
    start = phi + slope / np.maximum(slope[:, k], 1e-300)[:, None] * (value - middle)[:, None]
    last = np.stack([middle, np.zeros(rows)], axis=1)
    far = np.full(rows, np.inf)
    return _Walk(middle, edge, sign, height, unit, value, start, middle.copy(), phi.copy(), edge.copy(), far, last)


def _retreat(walk: _Walk, rows: IntArray) -> None:
    """Move trials half-way back to the farthest point that is known to lie below the height."""
    walk.value[rows] = 0.5 * (walk.inner[rows] + walk.value[rows])
    walk.phi[rows] = walk.inner_phi[rows]


def _advance(walk: _Walk, rows: IntArray, rise: Array, phi: Array) -> None:
    """Tighten the brackets by what was found at the trials, and choose the next ones."""
    v = walk.value[rows]
    below = rise < walk.height[rows]
    previous, phi_before, v_before = walk.last[rows], walk.inner_phi[rows], walk.inner[rows]
    walk.inner[rows] = np.where(below, v, v_before)
    walk.inner_phi[rows] = np.where(below[:, None], phi, phi_before)
    walk.outer[rows] = np.where(below, walk.outer[rows], v)
    walk.outer_rise[rows] = np.where(below, walk.outer_rise[rows], rise)
    walk.last[rows] = np.stack([v, rise], axis=1)
    middle, bracket = walk.middle[rows], (walk.inner[rows], walk.outer[rows], walk.outer_rise[rows])
    new = _next(previous, v, rise, walk.height[rows], *bracket, middle)
    new = _between(middle, new, walk.edge[rows], walk.sign[rows])
    # The conditional optimum moves nearly straight with the held value.
    gap = np.where(np.abs(v - v_before) > 0, v - v_before, 1.0)
    drift = (phi - phi_before) / gap[:, None]
    walk.phi[rows] = np.where(np.isfinite(drift), phi + drift * (new - v)[:, None], phi)
    walk.value[rows] = new


def _collect(frame: Frame, middle: Array, at: Array, is_open: BoolArray, phi: Array, lowest: Array) -> ProfileEnds:
    """Ends in working values, infinite where nothing stopped the walk."""
    beyond = is_open & (np.abs(at - middle[:, None]) >= co.FAR * (1 - 1e-9))
    at = frame.scale * np.where(beyond, np.array([-np.inf, np.inf]), at) + frame.offset
    ends = phi.reshape(2, len(middle), -1).transpose(1, 0, 2)
    if frame.scale < 0:
        at, is_open, ends = at[:, ::-1], is_open[:, ::-1], ends[:, ::-1]
    return ProfileEnds(at, is_open, ends, lowest)


def _next(
    previous: Array, v: Array, rise: Array, height: Array, inner: Array, outer: Array, outer_rise: Array, middle: Array
) -> Array:
    """Next trial: the secant through the last two, kept inside the bracket."""
    with np.errstate(divide="ignore", invalid="ignore"):
        secant = v + (height - rise) * (v - previous[:, 0]) / (rise - previous[:, 1])
        stretched = middle + (v - middle) * np.minimum(height / np.maximum(rise, 1e-300), STRIDE)
    bracketed = np.isfinite(outer_rise)
    low, high = np.minimum(inner, outer), np.maximum(inner, outer)
    fair = np.isfinite(secant) & (secant > low) & (secant < high)
    within = np.where(fair, secant, 0.5 * (inner + outer))
    farthest = np.abs(v - middle) * STRIDE
    outward = np.sign(secant - v) == np.sign(v - middle)
    beyond = np.where(fair & outward & (np.abs(secant - middle) <= farthest), secant, stretched)
    return np.where(bracketed, within, beyond)


def _between(middle: Array, value: Array, edge: Array, sign: Array) -> Array:
    """Keep a trial on its side of the estimate and before the edge."""
    return np.where(sign < 0, np.clip(value, edge, middle), np.clip(value, middle, edge))


def _direction(frame: Frame, data: Data, phi: Array) -> Array:
    """Column of the inverse Gram matrix that belongs to the held coordinate, shape (R, f)."""
    k = frame.at.held
    _, slope, _ = co.model_in(frame.at, data.x, log=data.log, base=data.model)(phi)
    gram = (slope * data.w) @ slope.transpose(0, 2, 1)
    inside = (phi > frame.at.lower) & (phi < frame.at.upper)
    inside[:, k] = True
    for amount, exponent in frame.at.gates:
        inside[:, exponent] &= (phi[:, amount] > 0) | (exponent == k)
    usable = np.asarray(np.isfinite(gram).all(axis=(1, 2)))
    gram[~usable] = np.eye(gram.shape[1])
    return np.where(usable[:, None], inverse_spd(gram, inside)[:, :, k], np.nan)
