"""
Joint fits of laws that are no sum of powers: screened for starts, then Newton's method.

A screen scores thousands of combinations of the law's shapes at once, the multipliers
being a small non-negative least-squares problem at each; the best distinct ones are
minimised. Slopes come from a step along the imaginary axis, exact to rounding, and curvature
from differences of them, unless the law brings its own derivatives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lawful.core.typing import Array, BoolArray
from lawful.estimate.priors import Prior
from lawful.laws.formula import Formula, expression_of
from lawful.laws.law import Curvature, Differentiated, Law
from lawful.laws.surface import evaluate
from lawful.solve import newton, robust, screening
from lawful.solve.screening import SAMPLE_TOLERANCE, sampled, screened_starts
from lawful.solve.solved import Solved
from lawful.solve.varpro import search

COMPLEX_STEP = 1e-20
DIFFERENCE_STEP = 1e-4
LAST_STEPS = 12
"""Newton's steps from where a search of the same squares has ended."""

ROUGH, FINALISTS, TAKEN_ON = 32, 6, 3
"""Screened starts that are roughly minimised, those of them that are taken to the end, and minima of a sample of
many runs that are taken on to all of them."""


def middle_of(law: Law, centre: Array) -> Array:
    """Matrix that adds its exponent times the mean log column to each multiplier, shape (q, q)."""
    names, out = law.names, np.zeros((len(law.names),) * 2)
    for amount, exponent, _ in law.amounts:
        i = names.index(amount)
        out[i, names.index(exponent)] = centre[i]
    return out


def form_coefficients(law: Law, z: Any, centre: Array) -> Any:
    """From solver units, real or complex, to coefficients of a law with a form, rows of q."""
    logs = np.array([name in law.positive for name in law.names])
    with np.errstate(over="ignore"):
        # Bounds may be infinite, and infinity times a weight of zero is no number.
        shift = np.where(np.isfinite(z), z, 0.0) @ middle_of(law, centre).T
        return np.where(logs, np.exp(np.where(logs, z + shift, 0.0)), z)


class Pull(NamedTuple):
    """
    A pull on a coefficient in solver units: half its weight times the squared distance joins the summed objective.

    Attributes
    ----------
    at : int
        Position of the coefficient.
    mean, weight : float
    sd : float or None
        Standard deviation of the prior behind it, where there is one.
    freedom : float or None
        Degrees of freedom of the variance of a run, ``weight * sd**2``, where that is known.
    """

    at: int
    mean: float
    weight: float
    sd: float | None = None
    freedom: float | None = None


def pulls_of(law: Law, prior: Mapping[str, Any] | None) -> tuple[Pull, ...]:
    """Pulls by position, from coefficients to (mean, weight) or to a :class:`Prior`."""
    made = []
    for name, given in (prior or {}).items():
        one = given if isinstance(given, Prior) else None
        values = tuple(given) if one is None else (one.mean, one.weight, one.sd, one.freedom)
        made.append(Pull(law.names.index(name), *values))
    return tuple(made)


class FormProblem(NamedTuple):
    """
    A joint fit in the solver's units: positive coefficients as logs, multipliers at the middle of the runs.

    Attributes
    ----------
    law : Law
    columns : tuple of array, shape (n,)
    centre : array, shape (q,)
        Mean log column that each coefficient's power is centred on; 0 for the others.
    y : array, shape (n,)
        Losses.
    w : array, shape (n,), or None
        Weights; None for all ones.
    lower, upper : array, shape (q,)
        Bounds in solver units.
    log : bool
        Whether residuals are taken between logs.
    delta : float or None
        Width of Huber's quadratic part; squares where None.
    prior : tuple of Pull
        Pulls on coefficients.
    """

    law: Law
    columns: tuple[Array, ...]
    centre: Array
    y: Array
    w: Array | None
    lower: Array
    upper: Array
    log: bool
    delta: float | None
    prior: tuple[Pull, ...] = ()

    @property
    def least_squares(self) -> bool:
        """Whether the kernel alone can solve it: never."""
        return False

    @property
    def powers(self) -> int:
        """Number of power terms with multipliers and exponents laid out as the kernel has them: none."""
        return 0

    @property
    def gates(self) -> tuple[tuple[int, int], ...]:
        """Pairs (coefficient, exponent) of one term: none, since multipliers are logs."""
        return ()

    @property
    def is_log(self) -> BoolArray:
        """Which coefficients are searched as logs, shape (q,)."""
        return np.array([name in self.law.positive for name in self.law.names])

    @property
    def target(self) -> Array:
        """What the model is compared with."""
        return np.asarray(np.log(self.y)) if self.log else self.y

    @property
    def middle(self) -> Array:
        """Which exponent centres each coefficient, shape (q, q)."""
        return middle_of(self.law, self.centre)

    def uncentred(self) -> FormProblem:
        """Return the same fit with every multiplier in its own units, so that holding it is holding a coordinate."""
        names, own = self.law.names, self.law.bounds
        lower, upper = self.lower.copy(), self.upper.copy()
        for amount, _, _ in self.law.amounts:
            i = names.index(amount)
            if self.centre[i] != 0.0:
                with np.errstate(divide="ignore"):
                    lower[i], upper[i] = np.log(own[amount])
        return self._replace(centre=np.zeros_like(self.centre), lower=lower, upper=upper)

    def to_coefficients(self, z: Array) -> Array:
        """From solver units to coefficients of the law, rows of q."""
        return np.asarray(form_coefficients(self.law, z, self.centre))

    def sample(self) -> FormProblem:
        """Return the same fit to some of the runs that count, evenly spread; priors keep their worth beside them."""
        counted = np.arange(self.y.size) if self.w is None else np.flatnonzero(self.w)
        some = counted[sampled(counted.size)]
        w = None if self.w is None else self.w[some]
        part = some.size / counted.size if self.w is None or w is None else float(w.sum() / self.w.sum())
        prior = tuple(pull._replace(weight=pull.weight * part) for pull in self.prior)
        columns = tuple(column[some] for column in self.columns)
        return self._replace(columns=columns, y=self.y[some], w=w, prior=prior)

    @property
    def logs(self) -> Array:
        """
        Columns that a noise may follow besides the loss: none, shape (0, n).

        Whether intervals gain by looking was measured for two separate powers alone.
        """
        return np.empty((0, self.y.size))

    def floor(self, z: Array) -> Array:
        """Irreducible loss at rows of coefficients, shape (R, 1); 0 for a law without one."""
        constant = self.law.constant
        if constant is None:
            return np.zeros((len(z), 1))
        i = self.law.names.index(constant)
        return z[:, i : i + 1]

    def to_z(self, coefficients: Array) -> Array:
        """From coefficients of the law to solver units, rows of q."""
        with np.errstate(divide="ignore"):
            logs = np.log(np.where(self.is_log, coefficients, 1.0))
        return np.asarray(np.where(self.is_log, logs - coefficients @ self.middle.T, coefficients))

    def values(self, z: NDArray[np.complex128] | Array) -> NDArray[np.complex128] | Array:
        """Loss, or its log, at rows of coefficients, shape (R, n); real or complex."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            rows = form_coefficients(self.law, z, self.centre)
            k = {name: rows[:, i, None] for i, name in enumerate(self.law.names)}
            found = evaluate(self.law, k, self.columns)
            return np.asarray(np.log(found) if self.log else found)

    @property
    def model(self) -> Differentiated:
        """The law as Newton's method takes it."""
        if self.law.derivatives is None:
            return numeric(self)
        exact = self.law.derivatives(self.columns, self.centre)
        return newton.logged(exact) if self.log else exact

    @property
    def straight(self) -> Differentiated:
        """The same without curvature, which costs more than it gives where steps are rough."""
        return self.model if self.law.derivatives is not None else numeric(self, bends=False)


def numeric(problem: FormProblem, *, bends: bool = True) -> Differentiated:
    """Model of any form: slopes by complex step, curvature (if wanted) by central differences of them."""
    free = np.flatnonzero(problem.lower < problem.upper)
    q, n = problem.lower.size, problem.y.size

    def slopes(z: Array) -> Array:
        out = np.zeros((len(z), q, n))
        for j in free:
            moved = z.astype(complex)
            moved[:, j] += 1j * COMPLEX_STEP
            out[:, j] = np.imag(problem.values(moved)) / COMPLEX_STEP
        return np.nan_to_num(out, nan=0.0, posinf=0.0, neginf=0.0)

    def model(z: Array) -> tuple[Array, Array, Curvature]:
        value = np.asarray(problem.values(z), float)
        value = np.where(np.isfinite(value), value, 1e6)

        def curvature(v: Array) -> Array:
            out = np.zeros((len(z), q, q))
            if not bends:
                return out
            for place, j in enumerate(free):
                for i in free[: place + 1]:
                    pair = []
                    for side in (1.0, -1.0):
                        moved = z.astype(complex)
                        moved[:, j] += side * DIFFERENCE_STEP
                        moved[:, i] += 1j * COMPLEX_STEP
                        pair.append(np.imag(problem.values(moved)) / COMPLEX_STEP)
                    bend = np.nan_to_num((pair[0] - pair[1]) / (2 * DIFFERENCE_STEP), nan=0.0, posinf=0.0, neginf=0.0)
                    out[:, i, j] = out[:, j, i] = np.einsum("rn,rn->r", v, bend)
            return out

        return value, slopes(z), curvature

    return model


def prepare_form(
    law: Law,
    columns: tuple[Array, ...],
    y: Array,
    w: Array | None,
    limits: Mapping[str, tuple[float, float]],
    *,
    log: bool,
    delta: float | None,
    prior: Mapping[str, Any] | None = None,
) -> FormProblem:
    """Put a law with a form into solver units; ``prior`` maps coefficients to (mean, weight)."""
    names, own = law.names, law.bounds
    centre = np.zeros(len(names))
    for amount, _, column in law.amounts:
        if limits[amount] == own[amount]:  # bounds of a multiplier keep their meaning only where it is not centred
            centre[names.index(amount)] = float(np.log(columns[law.columns.index(column)]).mean())
    lower, upper = np.array([limits[name] for name in names]).T
    logs = np.array([name in law.positive for name in names])
    with np.errstate(divide="ignore"):
        lower, upper = (np.where(logs, np.log(np.where(logs, v, 1.0)), v) for v in (lower, upper))
    return FormProblem(law, columns, centre, y, w, lower, upper, log, delta, pulls_of(law, prior))


def with_prior(
    problem: Any, model: Differentiated, y: Array, w: Array, z: Array, means: Array | None = None
) -> tuple[Differentiated, Array, Array]:
    """Add one row per pull: a residual so small that every objective counts it squared; ``means``, one per row."""
    if not problem.prior:
        return model, y, w
    index = np.array([pull.at for pull in problem.prior])
    mean, weight = (np.array([p[k] for p in problem.prior]) for k in (1, 2))
    mean = mean if means is None else np.repeat(means[:, None], index.size, axis=1)
    count = index.size

    def pulled(z: Array) -> tuple[Array, Array, Curvature]:
        value, slope, curvature = model(z)
        n = value.shape[1]
        more = np.zeros((len(z), z.shape[1], count))
        more[:, index, np.arange(count)] = TINY
        value = np.concatenate([value, TINY * z[:, index]], axis=1)
        return value, np.concatenate([slope, more], axis=2), lambda v: curvature(v[:, :n])

    if y.ndim == 2 or w.ndim == 2 or mean.ndim == 2:
        rows = len(z)
        y = np.broadcast_to(y, (rows, y.shape[-1]))
        w = np.broadcast_to(w, (rows, w.shape[-1]))
        mean, weight = np.broadcast_to(mean, (rows, count)), np.broadcast_to(weight, (rows, count))
    target = np.concatenate([y, TINY * mean], axis=-1)
    return pulled, target, np.concatenate([w, weight / TINY**2], axis=-1)


TINY = 1e-7
"""Scale of the residual of a pull."""


def polish_form(
    problem: FormProblem,
    z: Array,
    y: Array,
    w: Array,
    *,
    tolerance: float,
    max_iter: int,
    means: Array | None = None,
    gain: float = 0.0,
) -> Solved:
    """
    Newton steps at the problem's own objective.

    With a ``gain`` that ends the search they leave out the curvature of a law without derivatives, which is differences
    of slopes and costs ten times as much as they do: near the answer residuals are small beside it.
    """
    own = problem.straight if gain > 0 else problem.model
    model, target, weight = with_prior(problem, own, y, w, z, means)
    return newton.minimise(
        model,
        target,
        weight,
        z,
        problem.lower,
        problem.upper,
        delta=problem.delta,
        tolerance=tolerance,
        max_iter=max_iter,
        gain=gain,
    )


def solve_form(problem: FormProblem, *, tolerance: float, max_iter: int) -> Solved:
    """
    Cold fit: screened starts, roughly minimised in squares, then at the objective asked for.

    Of many runs a sample is searched, and the best of its minima are ended on all of them.

    Parameters
    ----------
    problem : FormProblem
    tolerance : float
        Relative step at which the search ends.
    max_iter : int
        Iterations after which a start is given up.

    Returns
    -------
    Solved
    """
    if isinstance(problem.law.form, Formula):
        return _solve_formula(problem, tolerance=tolerance, max_iter=max_iter)
    w = np.ones(problem.y.size) if problem.w is None else problem.w
    if np.count_nonzero(w) > screening.MOST_SEARCHED:
        near = solve_form(problem.sample(), tolerance=max(tolerance, SAMPLE_TOLERANCE), max_iter=max_iter).z
        z = near[robust.distinct(near)[:TAKEN_ON]]
        return polish_form(problem, z, problem.target, w, tolerance=tolerance, max_iter=max_iter).best_first()
    starts = screened_starts(problem, ROUGH)
    limits = problem.lower, problem.upper
    model, y, weight = with_prior(problem, problem.straight, problem.target, w, starts)
    rough = newton.minimise(model, y, weight, starts, *limits, tolerance=1e-3, max_iter=20)
    z = _finalists(rough)
    if problem.delta is not None:
        model, y, weight = with_prior(problem, problem.straight, problem.target, w, z)
        z = robust.narrow(model, y, weight, z, *limits, problem.delta, ())
    out = polish_form(problem, z, problem.target, w, tolerance=tolerance, max_iter=max_iter)
    return out.best_first()


def _solve_formula(problem: FormProblem, *, tolerance: float, max_iter: int) -> Solved:
    """
    Variable projection by least squares, then Newton's steps at the objective asked for.

    Logs of the loss are fitted by their linearisation, weights 1/L²; Huber's delta is narrowed from there. All distinct
    ends of the rounds are followed.
    """
    names, y = problem.law.names, problem.y
    ends = problem.to_coefficients(np.stack([problem.lower, problem.upper]))
    bounds = {name: (float(low), float(high)) for name, low, high in zip(names, *ends, strict=True)}
    weight = problem.w if not problem.log else (1.0 if problem.w is None else problem.w) / y**2
    columns = dict(zip(problem.law.columns, problem.columns, strict=True))
    found = search(expression_of(problem.law), columns, y, bounds, weight)
    z = np.clip(problem.to_z(found.rows(names)), problem.lower, problem.upper)
    w = np.ones(y.size) if problem.w is None else problem.w
    if problem.delta is not None:
        model, target, more = with_prior(problem, problem.straight, problem.target, w, z)
        z = robust.narrow(model, target, more, z, problem.lower, problem.upper, problem.delta, ())
    met = found.met >= 2
    # The search ends where no step is downhill; Newton's method may be stopped short there by a kink of min or max.
    plain = met and problem.delta is None and not problem.log and not problem.prior
    if plain:  # The best end is the answer already: a few steps, and none for the others.
        z, max_iter = z[:1], min(max_iter, LAST_STEPS)
    out = polish_form(problem, z, problem.target, w, tolerance=tolerance, max_iter=max_iter)
    settled = out.converged | plain
    return out._replace(converged=settled, met=(found.met, found.rounds)).best_first()


def _finalists(rough: Solved) -> Array:
    z = rough.best_first().z
    return np.asarray(z[robust.distinct(z)[:FINALISTS]])
