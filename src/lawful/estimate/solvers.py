"""Solvers and their options: VarPro (VPNLS) and Joint (Approach 3), cold and warm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from lawful.core.objective import AUTO, DEFAULT_DELTA, Objective
from lawful.core.shown import Record
from lawful.core.typing import Array
from lawful.data.runs import Runs
from lawful.errors import UnsupportedError
from lawful.estimate.checks import Bounds, check_bounds, check_options
from lawful.estimate.forms import FormProblem, Pull, polish_form, prepare_form, pulls_of, solve_form, with_prior
from lawful.estimate.result import METHODS
from lawful.laws.formula import check_columns
from lawful.laws.law import Differentiated
from lawful.laws.laws import Law
from lawful.solve import kernel, newton, robust
from lawful.solve.grid import Linear
from lawful.solve.solved import Solved


@dataclass(frozen=True)
class VarPro(Record):
    """
    Variable projection with non-negative least squares (VPNLS, arXiv:2603.22339).

    Searches the exponents only, from the local minima of a grid; needs an
    objective of the raw loss (``squared`` or ``huber``).

    Parameters
    ----------
    bounds : mapping of str to (float, float)
        Bounds that replace the law's own, by coefficient.
    starts : int
        Local minima of the grid that are refined, >= 1.
    tolerance : float
        Relative step at which the search ends, > 0.
    max_iter : int
        Iterations after which a start is given up, >= 0: a fit that needs more has not converged.

    Raises
    ------
    UnsupportedError
        If an option is outside its range.

    Examples
    --------
    >>> VarPro().method
    'vpnls'
    >>> VarPro(starts=0)
    Traceback (most recent call last):
        ...
    lawful.errors.UnsupportedError: starts must be a whole number of at least 1, got 0.
    """

    bounds: Bounds = field(default_factory=dict)
    starts: int = 6
    tolerance: float = 1e-12
    max_iter: int = 200

    method = "vpnls"
    objectives = ("squared", "huber")

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class Joint(Record):
    """
    All coefficients at once (Approach 3 of Hoffmann et al. 2022), any objective.

    Damped Newton on the law or on its logarithm, from the local minima of a grid
    of exponents with the best coefficients at each. On the published runs it ends
    at or below the best of the published grid of 4,500 starts.

    Parameters
    ----------
    bounds : mapping of str to (float, float)
        Bounds that replace the law's own, by coefficient.
    starts : int
        Local minima of the grid that are refined, >= 1.
    tolerance : float
        Relative step at which the search ends, > 0.
    max_iter : int
        Iterations after which a start is given up, >= 0: a fit that needs more has not converged.
    prior : mapping of str to (float, float)
        For laws that are no sum of powers: coefficient to (mean, weight). Half the weight times
        the squared distance from the mean joins the summed objective.

    Raises
    ------
    UnsupportedError
        If an option is outside its range.

    Examples
    --------
    >>> Joint().method
    'approach3'
    """

    bounds: Bounds = field(default_factory=dict)
    starts: int = 6
    tolerance: float = 1e-10
    max_iter: int = 200
    prior: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    method = "approach3"
    objectives = ("squared", "huber", "log-squared", "log-huber")

    def __post_init__(self) -> None:
        check_options(self)


Solver = VarPro | Joint

SOLVERS: dict[str, type[VarPro | Joint]] = {"vpnls": VarPro, "approach3": Joint}
"""The solvers of a surface by the method they carry out."""


def as_solver(
    method: str | Solver, law: Law, objective: Objective | None = None, bounds: Bounds | None = None
) -> Solver:
    """
    Return the solver of a method by its name; ``auto`` picks VPNLS wherever it can do what is asked.

    Parameters
    ----------
    method : {"auto", "vpnls", "approach3"} or VarPro or Joint
    law : Law
    objective : Objective, optional
        What is to be minimised.
    bounds : mapping of str to (float, float), optional
        Added to the solver's own.

    Raises
    ------
    UnsupportedError
        If there is no such method.

    Examples
    --------
    >>> from lawful.laws.laws import CHINCHILLA
    >>> as_solver("auto", CHINCHILLA).method, as_solver("auto", CHINCHILLA, Objective("log-huber")).method
    ('vpnls', 'approach3')
    """
    if isinstance(method, VarPro | Joint):
        solver = method
    elif method == AUTO:
        able = law.projects and (objective is None or objective.name in VarPro.objectives)
        solver = VarPro() if able else Joint()
    elif method in SOLVERS:
        solver = SOLVERS[method]()
    else:
        msg = f"Unknown method {method!r}; choose one of {', '.join((AUTO, *METHODS))}, or give VarPro() or Joint()."
        raise UnsupportedError(msg)
    return replace(solver, bounds={**solver.bounds, **bounds}) if bounds else solver


class Problem(NamedTuple):
    """
    A fit in the solvers' units: log columns centred, coefficients scaled to match.

    Attributes
    ----------
    law : Law
        Separable: a constant and p powers.
    x : array, shape (p, n)
        Log columns less their centres.
    centre : array, shape (p,)
        Means of the log columns; 0 where the coefficient is pinned or bounded,
        so that its bounds keep their meaning.
    y : array, shape (n,)
        Losses.
    w : array, shape (n,), or None
        Weights; None for all ones.
    lower, upper : array, shape (q,)
        Bounds of (c_0, …, c_p, theta_1, …, theta_p).
    log : bool
        Whether residuals are taken between logs.
    delta : float or None
        Width of Huber's quadratic part; squares where None.
    prior : tuple of Pull
        Pulls on the constant.
    """

    law: Law
    x: Array
    centre: Array
    y: Array
    w: Array | None
    lower: Array
    upper: Array
    log: bool
    delta: float | None
    prior: tuple[Pull, ...] = ()

    @property
    def logs(self) -> Array:
        """Centred logs of the columns, shape (p, n): what a noise may follow."""
        return self.x

    @property
    def powers(self) -> int:
        """Number of power terms p."""
        return len(self.x)

    @property
    def linear(self) -> Linear:
        """Bounds of the linear coefficients as the kernel takes them."""
        m = self.powers + 1
        return Linear(self.lower[:m], self.upper[:m])

    @property
    def box(self) -> Array:
        """Bounds of the exponents, shape (p, 2)."""
        m = self.powers + 1
        return np.stack([self.lower[m:], self.upper[m:]], axis=1)

    @property
    def bounded(self) -> bool:
        """Whether a linear coefficient has bounds beyond a pin or non-negativity."""
        lower, upper = self.linear
        return bool(((lower != upper) & ((lower > 0) | np.isfinite(upper))).any())

    @property
    def least_squares(self) -> bool:
        """Whether the kernel alone can solve it."""
        return self.delta is None and not self.log and not self.bounded

    @property
    def gates(self) -> tuple[tuple[int, int], ...]:
        """Pairs (coefficient, exponent) of one term."""
        return tuple((1 + k, 1 + self.powers + k) for k in range(self.powers))

    @property
    def model(self) -> Differentiated:
        """The law as Newton's method takes it."""
        return newton.separable(self.x, log=self.log)

    def floor(self, z: Array) -> Array:
        """Irreducible loss at rows of coefficients, shape (R, 1)."""
        return z[:, :1]

    @property
    def target(self) -> Array:
        """What the model is compared with."""
        return np.asarray(np.log(self.y)) if self.log else self.y

    def to_coefficients(self, z: Array) -> Array:
        """From solver units to coefficients of the law, rows of q."""
        out = z.copy()
        m = self.powers + 1
        out[:, 1:m] = z[:, 1:m] * np.exp(z[:, m:] * self.centre)
        return out

    def to_z(self, coefficients: Array) -> Array:
        """From coefficients of the law to solver units, rows of q."""
        out = coefficients.copy()
        m = self.powers + 1
        out[:, 1:m] = coefficients[:, 1:m] * np.exp(-coefficients[:, m:] * self.centre)
        return out


def prepare(
    runs: Runs,
    law: Law,
    objective: Objective,
    bounds: Bounds,
    fixed: Mapping[str, float],
    prior: Mapping[str, Any] | None = None,
) -> Any:
    """
    Put runs, law and objective into the solvers' units: a Problem, or a FormProblem for a law with a form.

    ``prior`` maps coefficients to (mean, weight), or to a :class:`Prior`.
    """
    limits = check_bounds(law, bounds, fixed)
    weighted = None if np.all(runs.weight == 1.0) else runs.weight
    columns = tuple(runs.column(column) for column in law.columns)
    check_columns(law, dict(zip(law.columns, columns, strict=True)), bounds=limits)
    if not law.separable:
        width = objective.width if objective.is_huber else None
        return prepare_form(law, columns, runs.L, weighted, limits, log=objective.is_log, delta=width, prior=prior)
    lower, upper = np.array([limits[name] for name in law.names]).T
    logs = np.log(np.stack(columns))
    own = law.bounds
    plain = np.array([limits[name] == own[name] for name in law.linear[1:]])
    middle = logs.mean(axis=1) if weighted is None else np.average(logs, axis=1, weights=weighted)
    centre = np.where(plain, middle, 0.0)
    delta = objective.width if objective.is_huber else None
    pulls = pulls_of(law, prior)
    return Problem(law, logs - centre[:, None], centre, runs.L, weighted, lower, upper, objective.is_log, delta, pulls)


def problem_of(fit: Any, runs: Runs | None = None, law: Law | None = None) -> Any:
    """Put a finished fit into the solvers' units once more, its priors included; other runs, or its law rewritten."""
    table, form = runs or fit.runs, law or fit.surface.law
    return prepare(table, form, fit.objective, fit.solver.bounds, fit.fixed, fit.prior)


FAR = 1e6
"""Log of a size or a budget at which every power is nil, so that a run there shows the constant alone."""


def with_far_row(
    pulls: tuple[Pull, ...], x: Array, y: Array, w: Array | None, means: Array | None = None
) -> tuple[Array, Array, Array | None]:
    """
    Add a run per pull on the constant: so far out that no power is left, its loss the mean, its weight the pull's.

    Parameters
    ----------
    pulls : tuple of Pull
    x : array, shape (p, n)
    y, w : array, shape (n,) or (R, n)
    means : array, shape (R,), optional
        Means in place of the pulls' own, one per row.
    """
    if not pulls:
        return x, y, w
    n = x.shape[1]
    mean, weight = (np.array([pull[k] for pull in pulls]) for k in (1, 2))
    x = np.concatenate([x, np.full((len(x), len(pulls)), FAR)], axis=1)
    more = mean if means is None else means[:, None]
    if more.ndim == 2 and y.ndim == 1:
        y = np.broadcast_to(y, (len(more), n))
    y = np.concatenate([y, np.broadcast_to(more, (*y.shape[:-1], len(pulls)))], axis=-1)
    w = np.ones(n) if w is None else w
    return x, y, np.concatenate([w, np.broadcast_to(weight, (*w.shape[:-1], len(pulls)))], axis=-1)


def solve(problem: Problem | FormProblem, solver: Solver) -> Solved:
    """
    Cold fit: all distinct local optima that the starts lead to, best first.

    Squares of the raw loss come from the kernel alone. Other objectives start
    there (log residuals with weights 1/L², their linearisation), narrow Huber's
    delta by tens, and finish with Newton steps at the delta asked for.
    """
    if isinstance(problem, FormProblem):
        return solve_form(problem, tolerance=max(solver.tolerance, 1e-10), max_iter=solver.max_iter)
    x, y = problem.x, problem.y
    w = problem.w
    if problem.log:
        w = (1.0 if w is None else w) / y**2
    coarse = 1e-4 if not problem.least_squares else solver.tolerance
    x, y, w = with_far_row(problem.prior, x, y, w)
    rows = kernel.fit_squares(
        x, y, w, problem.box, problem.linear, starts=solver.starts, tolerance=coarse, max_iter=solver.max_iter
    )
    if problem.least_squares:
        return rows
    z = np.clip(rows.z[robust.distinct(rows.theta)], problem.lower, problem.upper)
    if problem.delta is not None:
        doubt = kernel.doubtful(rows, y.size, problem.box, problem.linear).any()
        z = _robust_starts(problem, z, solver, search=bool(doubt))
    return _polish(problem, z, None, None, solver)


def _robust_starts(problem: Problem, z: Array, solver: Solver, *, search: bool) -> Array:
    """
    Squared starts continued in delta.

    Where the squared fit leaves an exponent in doubt, the basins of a robust grid join
    them, and every exponent is scanned around the best: all roughly minimised.
    """
    delta, weights = float(problem.delta or DEFAULT_DELTA), _weights(problem)
    limits = problem.lower, problem.upper
    model, target, pulled = with_prior(problem, problem.model, problem.target, weights, z)
    z = robust.narrow(model, target, pulled, z, *limits, delta, problem.gates)
    if not search:
        value = newton.minimise(model, target, pulled, z, *limits, delta=delta, max_iter=1).value
        return np.asarray(z[value <= kernel.PROMISING * value.min()])
    more = robust.robust_grid(
        problem.x, problem.y, weights, problem.box, problem.linear, delta, log=problem.log, most=solver.starts
    )
    both = np.concatenate([z, np.clip(more, *limits)])
    rough = newton.minimise(
        model, target, pulled, both, *limits, delta=delta, gates=problem.gates, tolerance=1e-4, max_iter=40
    )
    order = np.argsort(rough.value, kind="stable")
    z = rough.z[order[rough.value[order] <= kernel.PROMISING * rough.value.min()]]
    m = problem.powers + 1
    z = z[robust.distinct(z[:, m:])][:ROBUST_FINALISTS]
    if problem.target.size <= SCANNED_RUNS:
        scans = robust.profile_starts(model, target, pulled, z[0], *limits, delta, problem.gates)
        z = np.concatenate([z, scans])
    return z


SCANNED_RUNS = 60
"""Up to this many runs every exponent is scanned for a better basin."""

ROBUST_FINALISTS = 3
"""Roughly minimised starts that are taken to the end."""


def resolve(
    problem: Problem | FormProblem,
    z: Array,
    solver: Solver,
    *,
    weights: Array | None = None,
    losses: Array | None = None,
    means: Array | None = None,
    gain: float = 0.0,
) -> Solved:
    """
    Warm fits: the same problem with other weights or other losses, one row each.

    Parameters
    ----------
    problem : Problem
    z : array, shape (q,) or (R, q)
        Starts in solver units, usually the answer of the cold fit.
    solver : VarPro or Joint
    weights : array, shape (R, n), optional
        Weights per row, in place of the problem's.
    losses : array, shape (R, n), optional
        Losses per row, in place of the problem's.
    means : array, shape (R,), optional
        Mean of the prior per row, in place of the problem's.
    gain : float
        For laws with a form: share of the objective below which what a step promises is not worth it.

    Returns
    -------
    Solved
    """
    rows = max(len(a) for a in (weights, losses, np.atleast_2d(z)) if a is not None)
    starts = np.broadcast_to(z, (rows, problem.lower.size))
    if isinstance(problem, FormProblem):
        target = problem.target if losses is None else (np.log(losses) if problem.log else losses)
        given = _weights(problem) if weights is None else weights
        tolerance = max(solver.tolerance, 1e-8)
        options: dict[str, Any] = {"tolerance": tolerance, "max_iter": solver.max_iter, "means": means, "gain": gain}
        return polish_form(problem, starts, target, given, **options)
    if not problem.least_squares:
        return _polish(problem, starts, weights, losses, solver, means)
    m = problem.powers + 1
    y = problem.y if losses is None else losses
    w = problem.w if weights is None else weights
    x, y, w = with_far_row(problem.prior, problem.x, y, w, means)
    return kernel.refine(
        x,
        y,
        w,
        starts[:, m:],
        problem.box,
        problem.linear,
        tolerance=max(solver.tolerance, WARM_TOLERANCE),
        max_iter=solver.max_iter,
    )


WARM_TOLERANCE = 1e-7
"""Step in an exponent at which a warm refit ends: far below any interval's width."""


def _polish(
    problem: Problem,
    z: Array,
    weights: Array | None,
    losses: Array | None,
    solver: Solver,
    means: Array | None = None,
) -> Solved:
    """Newton steps at the final objective."""
    y = problem.target if losses is None else (np.log(losses) if problem.log else losses)
    w = weights if weights is not None else _weights(problem)
    warm = weights is not None or losses is not None
    model, y, w = with_prior(problem, problem.model, y, w, z, means)
    out = newton.minimise(
        model,
        y,
        w,
        z,
        problem.lower,
        problem.upper,
        delta=problem.delta,
        gates=problem.gates,
        tolerance=max(solver.tolerance, WARM_TOLERANCE if warm else 1e-10),
        max_iter=solver.max_iter,
    )
    return out if warm else out.best_first()


def _weights(problem: Problem | FormProblem) -> Array:
    return np.ones(problem.y.size) if problem.w is None else problem.w
