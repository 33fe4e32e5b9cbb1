"""profile(): intervals from the shape of the misfit itself, for coefficients and for N*, D*, L*."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lawful.core.notes import Note
from lawful.core.numbers import format_flops, format_level, format_short
from lawful.core.sheet import Sheet, quantity
from lawful.core.shown import Shown
from lawful.core.typing import Array, Interval
from lawful.core.validation import check_level
from lawful.errors import UnsupportedError
from lawful.estimate.forms import FormProblem
from lawful.estimate.result import Fit, surface_fit
from lawful.estimate.solvers import FAR, Problem, problem_of
from lawful.laws.law import Law
from lawful.uncertainty.delta import answer
from lawful.uncertainty.grounds import AUTO, INDEPENDENT, grounds
from lawful.uncertainty.linear import AUTO_NOISE, NOISES, Spread, linearise, spread_by
from lawful.uncertainty.profiling import Data, Frame, ProfileEnds, frame_of, minimise_held, misfit, profile_ends
from lawful.uncertainty.quantity import Quantity, gradient, reported, working_values

CURVE_POINTS = 33
"""Points of a profile as drawn."""

CURVE_REACH = 1.35
"""How far beyond its interval a profile is drawn."""

PRECISION = 1e-5
"""Relative error of the height at which an end is accepted: far below what anyone prints."""

BETTER = 1e-6
"""Share of the misfit by which a point of the profile must beat the fit to be noted."""


@dataclass(frozen=True, eq=False)
class Profile(Shown):
    """
    Misfit along one quantity, everything else refitted at each value.

    Build it with :func:`profile`.

    Parameters
    ----------
    fit : Fit
    name : str
        The quantity.
    budget : float or None
        FLOPs, for the quantities at a budget.
    level : float
        Coverage the interval aims at.
    estimate : float
    interval : (float, float)
        A bound, or infinite, on a side where the data do not end it.
    open : (bool, bool)
        Whether that is so on either side.
    values : array, shape (m,)
        Where the profile was evaluated, ascending.
    distance : array, shape (m,)
        Rise of the misfit as a t statistic: 0 at the estimate, ``reach`` at the ends.
    reach : float
        Student's t at this level.
    freedom : float
        Its degrees of freedom.
    ratio : float
        What twice the rise of the misfit is divided by before its root is taken.
    notes : tuple of Note

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.005)
    >>> shape = lawful.fit(runs).profile("alpha")
    >>> bool(np.all(shape.distance >= 0)), shape.open
    (True, (False, False))
    """

    fit: Fit
    name: str
    budget: float | None
    level: float
    estimate: float
    interval: Interval
    open: tuple[bool, bool]
    values: Array
    distance: Array
    reach: float
    freedom: float
    ratio: float
    notes: tuple[Note, ...] = field(default=())

    def __repr__(self) -> str:
        value, cell = self._where(), quantity(self.name, self.estimate, self.interval)[1]
        return f"Profile({value}: {cell.text}, {format_level(self.level)} interval {cell.span or 'unknown'})"

    def _where(self) -> str:
        return self.name + ("" if self.budget is None else f" at {format_flops(self.budget)}")

    def sheets(self) -> tuple[Sheet]:
        """Return the estimate and its interval."""
        ends = [side for side, is_open in zip(("below", "above"), self.open, strict=True) if is_open]
        said = f"Profile of {self._where()}" + (f", open {' and '.join(ends)}." if ends else ".")
        rows = (quantity(self.name, self.estimate, self.interval),)
        return (Sheet(said, (), ("", "estimate"), rows, f"{format_level(self.level)} interval", (), self.notes),)


def calibration(problem: Problem, z: Array, quantity: Quantity, fit: Fit, noise: str) -> Spread:
    """
    What the rise of the misfit is measured in, and the degrees of freedom of its t.

    For squares and equal noise the rise of the residual sum of squares over its mean
    square is F(1, n - q) to second order, exactly so for a linear law. For unequal noise,
    and for Huber's loss, the rise is scaled so that its curvature at the optimum agrees
    with the sandwich variance of this quantity (Stafford 1996; Chandler & Bate 2007).
    """
    law, cost = fit.surface.law, fit.surface.cost
    release = law.names.index(quantity.name) if quantity.name in law.names else None
    at = linearise(problem, z, release=release)
    slope = np.nan_to_num(gradient(quantity, law, z, problem.centre, cost))
    if release is not None:
        slope = np.zeros_like(z)
        slope[:, release] = 1.0
        if quantity.is_log(law):
            slope = np.nan_to_num(gradient(quantity, law, z, problem.centre, cost))
    spread = spread_by(noise, at, slope, problem.logs)
    # Huber's loss curves by the share of runs that it counts in full.
    return spread._replace(ratio=spread.ratio * at.inliers)


def profile(
    fit: Any,
    name: str,
    *,
    budget: float | None = None,
    level: float = 0.90,
    noise: str = AUTO_NOISE,
    cluster: str = AUTO,
    points: int = CURVE_POINTS,
) -> Profile:
    """
    Profile the misfit along one quantity and read its interval off the shape.

    Unlike a linearised interval it is asymmetric where the data are, stays inside
    bounds, does not depend on how the law is written, and says when one side is open.

    Parameters
    ----------
    fit : Fit
        A surface fit, by any objective.
    name : str
        A coefficient; ``a``, ``b``, ``log10_a0``, ``log10_b0``; or ``params``, ``tokens``, ``loss`` at
        the optimum of a budget.
    budget : float, optional
        FLOPs, for the last three.
    level : float
        Coverage the interval aims at, between 0 and 1.
    noise : {"auto", "trend", "unequal", "equal"}
        Whether runs may differ in noise; see :func:`lawful.uncertainty.delta.delta`. ``auto`` lets it follow the
        loss, and takes each run's own residual where it follows N or D besides.
    cluster : str
        A column of labels whose runs share an error, ``none`` for independent runs, or ``auto``: any
        grouping that shares one is found and allowed for.
    points : int
        Points at which the curve is kept for a figure; 0 for none.

    Returns
    -------
    Profile

    Raises
    ------
    UnsupportedError
        If the quantity is unknown, or the fit has no surface.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> plan = lawful.Plan.isoflop([1e18, 1e19, 1e20, 1e21], 9, surface=truth)
    >>> found = lawful.fit(lawful.simulate(truth, plan, noise=0.01, seed=1))
    >>> low, high = found.profile("E").interval
    >>> bool(low < 1.69 < high)
    True

    The same for the number that decides, straight from the misfit:

    >>> ahead = found.profile("params", budget=1e24)
    >>> bool(ahead.interval[0] < truth.optimum(1e24).params < ahead.interval[1])
    True
    """
    quantity, fit = Quantity(name, budget), fit.core
    problem = _checked(fit, quantity, level, noise)
    rests = grounds(fit, cluster)
    if rests is None:
        return _by_walking(fit, quantity, problem, level, noise, points)
    law, cost = fit.surface.law, fit.surface.cost
    middle = working_values(quantity, law, answer(fit, problem), problem.centre, cost)
    estimate = float(reported(quantity, law, middle)[0])
    none = np.empty(0)
    if _is_held(quantity, law, problem):
        return Profile(fit, name, budget, level, estimate, (estimate,) * 2, (False, False), none, none, 0.0, 0.0, 1.0)
    rise, reach, freedom = rests.rise(quantity, cost, level, noise)
    ends = rests.ends(quantity, cost, rise)
    values, distance = none, none
    if points >= 2:
        # Lower heights lie inside the interval, one higher beyond it: the curve is made of their ends.
        steps = np.linspace(0.0, CURVE_REACH, points // 2 + 1)[1:]
        inner = np.array([rests.ends(quantity, cost, rise * step**2)[:2] for step in steps])
        values = np.concatenate([inner[::-1, 0], middle, inner[:, 1]])
        distance = reach * np.concatenate([steps[::-1], [0.0], steps])
        keep = np.isfinite(values)
        values, distance = values[keep], distance[keep]
    # The estimate of independent errors lies in the interval of a shared one as well.
    low, high = (ends.low, ends.high) if np.isnan(middle[0]) else (min(ends.low, middle[0]), max(ends.high, middle[0]))
    interval = tuple(float(v) for v in reported(quantity, law, np.array([low, high])))
    return Profile(
        fit=fit,
        name=name,
        budget=budget,
        level=level,
        estimate=estimate,
        interval=(interval[0], interval[1]),
        open=(bool(ends.open[0]), bool(ends.open[1])),
        values=reported(quantity, law, values),
        distance=distance,
        reach=reach,
        freedom=freedom,
        ratio=rise / reach**2,
        notes=_notes(quantity, ends.open, (interval[0], interval[1]), _better(fit)),
    )


def _is_held(quantity: Quantity, law: Law, problem: Problem | FormProblem) -> bool:
    """Whether a coefficient is pinned, or a = beta/(alpha+beta) by both exponents."""
    pinned = problem.lower == problem.upper
    if quantity.name in ("a", "b"):
        return bool(pinned[3] and pinned[4])
    return quantity.name in law.names and bool(pinned[law.names.index(quantity.name)])


def _better(fit: Fit) -> bool:
    """
    Whether the profile has a lower misfit than the fit, beyond rounding; pseudo-data may, where squares may not.

    The fit takes its runs as independent, and what it missed looks like an error that they share.
    """
    rests = grounds(fit, AUTO)
    if rests is not None and rests.shared is not None:
        rests = grounds(fit, INDEPENDENT)
    if rests is None or rests.problem.log or rests.problem.delta is not None:
        return False
    at = rests.linear
    return rests.profile.least < float((at.weight * at.residual**2).sum()) * (1 - BETTER)


def _by_walking(fit: Fit, quantity: Quantity, problem: Any, level: float, noise: str, points: int) -> Profile:
    """Profile by refits at trial values, for laws and bounds that the exact profile does not cover."""
    from scipy.special import stdtrit

    law, cost = fit.surface.law, fit.surface.cost
    z = answer(fit, problem)
    frame, data = frame_of(quantity, law, problem, cost), data_of(problem)
    spread = calibration(problem, z, quantity, fit, noise)
    reach = np.asarray(stdtrit(spread.freedom, 0.5 + level / 2), dtype=np.float64)
    middle = working_values(quantity, law, z, problem.centre, cost)
    pinned = frame.at.lower[frame.at.held] == frame.at.upper[frame.at.held]
    given = fit, quantity.name, quantity.budget, level
    if pinned or not np.isfinite(middle[0]):
        value = float(reported(quantity, law, middle)[0])
        nowhere = (value, value) if pinned else (float("nan"), float("nan"))
        none = np.empty(0)
        return Profile(*given, value, nowhere, (False, False), none, none, 0.0, 0.0, 1.0)
    ends = profile_ends(frame, data, z, reach, spread.ratio, precision=PRECISION)
    low, high = (float(v) for v in reported(quantity, law, ends.at[0]))
    curve = _curve(frame, data, z, ends, spread.ratio, points)
    order = np.argsort(curve[0], kind="stable")
    is_open = bool(ends.open[0, 0]), bool(ends.open[0, 1])
    better = float(ends.lowest[0]) < float(misfit(data, z)[0]) * (1 - BETTER)
    return Profile(
        *given,
        estimate=float(reported(quantity, law, middle)[0]),
        interval=(low, high),
        open=is_open,
        values=reported(quantity, law, curve[0][order]),
        distance=curve[1][order],
        reach=float(reach[0]),
        freedom=float(spread.freedom[0]),
        ratio=float(spread.ratio[0]),
        notes=_notes(quantity, is_open, (low, high), better),
    )


def _checked(fit: Any, quantity: Quantity, level: float, noise: str) -> Any:
    fit = surface_fit(fit, " to profile (a bootstrap needs none)")
    quantity.check(fit.surface.law)
    check_level(level)
    if noise not in (AUTO_NOISE, *NOISES):
        msg = f"Unknown noise {noise!r}; choose one of {', '.join((AUTO_NOISE, *NOISES))}."
        raise UnsupportedError(msg)
    problem = problem_of(fit)
    return problem if fit.surface.law.separable else problem.uncentred()


def data_of(problem: Problem | FormProblem) -> Data:
    """One fit as the profiling engine takes it."""
    w = np.ones(problem.y.size) if problem.w is None else problem.w
    pulls = [pull for pull in problem.prior if pull.sd is not None]
    if pulls:
        if isinstance(problem, FormProblem) or problem.log or problem.delta is not None:
            msg = "The profile of a fit with a prior is that of least squares of the loss; use delta or bootstrap."
            raise UnsupportedError(msg)
        x = np.concatenate([problem.x, np.full((len(problem.x), len(pulls)), FAR)], axis=1)
        y = np.append(problem.y, [pull.mean for pull in pulls])
        return Data(x, y, np.append(w, [pull.weight for pull in pulls]), log=False, delta=None)
    delta = None if problem.delta is None else np.array([problem.delta])
    if isinstance(problem, FormProblem):
        return Data(problem.target[None], problem.target, w, problem.log, delta, problem.model)
    return Data(problem.x, problem.target, w, problem.log, delta)


def _curve(frame: Frame, data: Data, z: Array, ends: ProfileEnds, ratio: Array, points: int) -> tuple[Array, Array]:
    """Working values across and somewhat beyond the interval, and the rise there as a t statistic."""
    k = frame.at.held
    phi = frame.at.place(z)[0]
    tips = ends.phi[0][np.argsort(ends.phi[0][:, k])]
    if points < 2 or tips[0, k] == tips[1, k] or not np.isfinite(tips).all():
        return np.empty(0), np.empty(0)
    held = phi[k] + (tips[:, k] - phi[k]) * CURVE_REACH
    held = np.clip(held, frame.at.lower[k], frame.at.upper[k])
    values = np.linspace(held[0], held[1], points)
    # Starts lie on the straight lines from the estimate through either end.
    tip = np.where((values < phi[k])[:, None], tips[0], tips[1])
    length = np.where(tip[:, k] == phi[k], 1.0, tip[:, k] - phi[k])
    start = phi + (tip - phi) * ((values - phi[k]) / length)[:, None]
    found = minimise_held(frame, data.rows(np.zeros(points, dtype=np.intp)), start, values)
    rise = np.sqrt(np.maximum(2 * (found.value - misfit(data, z)[0]), 0.0) / ratio[0])
    return frame.scale * values + frame.offset, rise


def _notes(quantity: Quantity, is_open: tuple[bool, bool], ends: Interval, better: bool) -> tuple[Note, ...]:  # noqa: FBT001
    notes = []
    for side, gone, end in zip(("below", "above"), is_open, ends, strict=True):
        if gone:
            where = (
                f"it ends at the bound {format_short(end, 4)}"
                if np.isfinite(end) and end > 0
                else "it has no end there"
            )
            text = f"The data do not bound {quantity.name} from {side}: {where}."
            notes.append(Note("open_interval", text))
    if better:
        text = f"The profile of {quantity.name} met a lower misfit than the fit: a better optimum exists."
        notes.append(Note("better_optimum", text))
    return tuple(notes)
