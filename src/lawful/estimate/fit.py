"""fit(): from runs to a surface with a status and notes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Literal, TypedDict, Unpack, overload

import numpy as np

from lawful.core.notes import Note, Status
from lawful.core.numbers import format_short
from lawful.core.objective import AUTO, AUTO_FACTOR, LEAST_DELTA, Objective, as_objective
from lawful.core.typing import Array
from lawful.data.cells import counted_once
from lawful.data.runs import COMPLETE, Runs
from lawful.data.table import as_runs
from lawful.errors import IdentificationError, UnsupportedError
from lawful.estimate.checks import Bounds, check_bounds, check_objective, check_solver
from lawful.estimate.forms import FormProblem
from lawful.estimate.isoflop import fit_envelope, fit_isoflop
from lawful.estimate.priors import ROUNDED, Prior, robust_weight, run_variance, split_priors
from lawful.estimate.result import FRONTIER_METHODS, Fit, FrontierFit, losses_of
from lawful.estimate.solvers import Joint, Problem, Solver, VarPro, as_solver, prepare, resolve, solve
from lawful.estimate.steady import steadied
from lawful.estimate.window import AUTO as AUTO_WINDOW
from lawful.laws.formula import (
    degenerate,
    for_table,
    named_loss,
    never_negative,
    parted,
    signed_law,
    tied_law,
    unlogged,
)
from lawful.laws.laws import DEFAULT_LAW, LAWS, Law, find_law
from lawful.laws.surface import Surface

COLUMN_WORDS = {"N": "model size N", "D": "token count D"}


class SurfaceOptions(TypedDict, total=False):
    """What every method takes beside the runs; for type checkers."""

    law: Law | str
    objective: Objective | str | None
    fixed: Mapping[str, Any] | None
    bounds: Mapping[str, tuple[float, float]] | None
    window: int | str | None


@overload
def fit(runs: Any, *, method: Literal["approach1", "approach2"], **options: Unpack[SurfaceOptions]) -> FrontierFit: ...
@overload
def fit(
    runs: Any, *, method: Literal["auto", "vpnls", "approach3"] | Solver = "auto", **options: Unpack[SurfaceOptions]
) -> Fit: ...
@overload
def fit(runs: Any, *, method: str | Solver, **options: Unpack[SurfaceOptions]) -> Fit | FrontierFit: ...
def fit(
    runs: Any,
    *,
    law: Law | str = DEFAULT_LAW,
    method: str | Solver = "auto",
    objective: Objective | str | None = None,
    fixed: Mapping[str, float | str | tuple[float, float]] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    window: int | str | None = AUTO_WINDOW,
) -> Fit | FrontierFit:
    """
    Fit training runs: cold start, global optimum, non-negative coefficients.

    Parameters
    ----------
    runs : Runs, path, DataFrame, mapping of str to array_like, or list of records
        Training runs; a table is read by the names of its columns (:func:`lawful.read_runs`).
    law : Law or str
        The form, or its name in the catalogue.
    method : {"auto", "vpnls", "approach3", "approach1", "approach2"}, VarPro or Joint
        How to fit, or a solver with its options. ``auto`` is VPNLS for a sum of powers with an
        objective of the loss itself, and Approach 3 for the rest. Approaches 1 and 2 fit a frontier
        without a law (:func:`fit_envelope`, :func:`fit_isoflop`).
    objective : Objective or str, optional
        What to minimise: ``squared``, ``huber``, ``log-squared`` or ``log-huber``. If not given,
        squared error of the loss with VPNLS, Huber 1e-3 of the log loss with Approach 3 (as
        Hoffmann et al. 2022 did); with ``auto`` squares, unless they would be led by runs far from
        the rest, where a robust fit takes over and a note ``robust`` says so.
    fixed : mapping of str to float, str or (float, float), optional
        Coefficients to hold at a value, or tied to a formula of others: ``{"alpha": "beta"}``. ``{"a": 0.5}`` holds the
        exponent of N* of a law of two powers. The irreducible loss may be known with a width, ``{"E": "1.6±0.1"}`` or
        ``{"E": (1.6, 0.1)}``: a Gaussian prior of this mean and standard deviation.
    bounds : mapping of str to (float, float), optional
        Bounds that replace the law's own, by coefficient.
    window : int, str or None
        Sizes that Approach 2's parabolas go through, see :func:`fit_isoflop`; other methods take all runs.

    Returns
    -------
    Fit or FrontierFit
        The surface (a frontier for Approaches 1 and 2), the objective's value, a status and notes.

    Raises
    ------
    InputError
        If the runs cannot be read.
    IdentificationError
        If there are fewer runs than free coefficients, or all runs share one N or D.
    UnsupportedError
        If the method is unknown or cannot do what is asked, or a coefficient is unknown.

    See Also
    --------
    fit_isoflop : Approach 2, parabolas.
    fit_envelope : Approach 1, the lower envelope.

    Examples
    --------
    A noise-free sweep gives back the surface it came from:

    >>> import lawful
    >>> truth = lawful.Surface.named("hoffmann-rounded")
    >>> plan = lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth)
    >>> found = lawful.fit(lawful.simulate(truth, plan))
    >>> print(f"{found.surface['alpha']:.6f} {found.surface['E']:.6f}")
    0.340000 1.690000
    >>> found.status.key
    'converged'

    A coefficient can be held where other evidence puts it:

    >>> pinned = lawful.fit(lawful.simulate(truth, plan), fixed={"E": 1.7})
    >>> pinned.surface["E"]
    1.7

    Names stand for records:

    >>> robust = lawful.fit(lawful.simulate(truth, plan), method="approach3", objective="huber")
    >>> str(robust.objective)
    'huber (delta 0.001)'
    """
    objective = as_objective(objective)
    if isinstance(method, str) and method in FRONTIER_METHODS:
        given = {"law": law != DEFAULT_LAW, "objective": objective, "fixed": fixed, "bounds": bounds}
        return _fit_frontier(runs, method, [name for name, value in given.items() if value], window)
    table = counted_once(table_for(runs, law))
    if table.ordered is not table:
        asked: dict[str, Any] = {"law": law, "method": method, "objective": objective, "fixed": fixed, "bounds": bounds}
        found: Fit = fit(table.ordered, **asked)
        return found.over(table)
    law = law_for(law, table.labels, table.taken, table)
    check_columns(table, law)
    held, priors = split_priors(law, fixed or {})
    pins, ties = parted(law, held)
    if ties:
        if priors:
            msg = "`fixed` cannot tie coefficients and give one a width at once; hold that one at a number."
            raise UnsupportedError(msg)
        return _fit_tied(table, law, ties, {"method": method, "objective": objective, "fixed": pins, "bounds": bounds})
    solver = check_solver(as_solver(method, law, objective, bounds), law)
    law = unlogged(law, solver.bounds)
    # A steadied fit weighs logs of the loss, which one of zero or below has not.
    if method == "auto" and objective is None and isinstance(solver, VarPro) and not table.signed:
        squares = _fit_surface(table, law, Objective.squared(), solver, pins, priors)
        robust = Joint(solver.bounds)
        return steadied(squares, lambda runs, goal: _fit_surface(runs, law, goal, robust, pins, priors))
    if objective is None:
        objective = Objective.squared() if isinstance(solver, VarPro) else Objective.log_huber()
    return _fit_surface(table, law, objective, solver, pins, priors)


def table_for(runs: Any, law: Law | str) -> Runs:
    """
    Read the runs; a formula may name the column of its loss, and needs no other column than its own.

    Examples
    --------
    >>> table = {"N": [1e8, 2e8], "loss": [3.1, 3.2], "score": [2.1, 2.2]}
    >>> table_for(table, "loss = E + A/N^a").L.tolist(), table_for(table, "score = E + A/N^a").L.tolist()
    ([3.1, 3.2], [2.1, 2.2])
    """
    left = named_loss(law)
    if left is None:
        return as_runs(runs, ())
    if isinstance(runs, Runs):
        return runs.require(())
    return Runs.read(runs, columns={"loss": left}, needs=(), signed=True)


def law_for(law: Law | str, columns: Collection[str], taken: Mapping[str, str], *tables: Runs) -> Law:
    """
    The law as the columns and the losses of tables make it.

    A loss that is zero or negative somewhere lets the constant of a formula be negative that names its column.

    Raises
    ------
    UnsupportedError
        If there is such a loss, and the law names no column for it.

    Examples
    --------
    >>> runs = Runs.from_arrays([1e8, 2e8, 4e8], None, [0.3, -0.1, -0.4], signed=True)
    >>> law_for("excess = E + A/N^a", (), {}, runs).bounds["E"]
    (-70.4, inf)
    """
    found = find_law(law, columns, taken) if isinstance(law, str) else for_table(law, columns, taken)
    if not any(table.signed for table in tables):
        return found
    if named_loss(found) is None:
        for table in tables:
            table.require_above_zero(f"The {found.name} law")
    return signed_law(found, np.concatenate([table.L for table in tables]))


def check_signed(table: Runs, law: Law, objective: Objective, bounds: Bounds) -> None:
    """
    Refuse losses of zero or below where their logarithm is asked for, or the law is nowhere below zero.

    Raises
    ------
    UnsupportedError
        With what would do.
    """
    if not table.signed:
        return
    if objective.is_log:
        table.require_above_zero(f"The objective {objective.name}", "minimise `objective` squared or huber")
    if never_negative(law, bounds):
        count = int((table.L <= 0).sum())
        msg = (
            f"The law {law.name!r} is nowhere below zero within the bounds of its coefficients, and {count} of "
            f"{len(table)} losses are not above it; add a constant (E + …), or give a coefficient `bounds` below zero."
        )
        raise UnsupportedError(msg)


def _fit_tied(table: Runs, law: Law, ties: Mapping[str, str], given: Mapping[str, Any]) -> Fit:
    """
    Fit a law in which coefficients are formulas of others, and say what the ties cost against the law without.

    With k ties, RSS of the tied and of the free fit and n - p degrees of freedom of the free one,
    F = ((RSS_tied - RSS_free)/k) / (RSS_free/(n - p)).
    """
    from scipy.special import fdtrc

    tied = tied_law(law, ties)
    names = set(tied.names)
    kept = {**given, "fixed": {k: v for k, v in (given["fixed"] or {}).items() if k in names}}
    kept["bounds"] = {k: v for k, v in (given["bounds"] or {}).items() if k in names} or None
    found: Fit = fit(table, law=tied, **kept)
    free: Fit = fit(table, law=law, **given)
    freedom, count = len(table) - len(law.identifiable), len(law.names) - len(tied.names)
    said = ", ".join(f"{name} = {text}" for name, text in ties.items())
    text = f"Tied at the user's request: {said}."
    if freedom > 0 and free.rss > 0 and count > 0:
        ratio = max(found.rss - free.rss, 0.0) / count / (free.rss / freedom)
        p = float(fdtrc(count, freedom, ratio))
        text = (
            f"{text[:-1]}; that raises the sum of squares from {free.rss:.4g} to {found.rss:.4g} (F = {ratio:.3g}, "
            f"p = {p:.2g})."
        )
    return replace(found, notes=(*found.notes, Note("tied", text)))


def _fit_surface(
    table: Runs,
    law: Law,
    objective: Objective,
    solver: Solver,
    pins: Mapping[str, float],
    priors: Mapping[str, Prior] | None = None,
) -> Fit:
    """Fit a law to runs by one solver and one objective, under priors if there are any."""
    objective = check_objective(solver, objective)
    check_signed(table, law, objective, {**solver.bounds, **{name: (v, v) for name, v in pins.items()}})
    check_identified(table, law, solver.bounds, pins)
    own_notes = []
    if objective.delta == AUTO:
        objective = settle_delta(table, law, objective, solver, pins)
        text = f"delta = {format_short(objective.width, 3)}: 1.345 times the scale of the residuals, to a fixed point."
        own_notes.append(Note("delta_auto", text))
    weighed = {name: _weigh(table, law, objective, solver, pins, name, prior) for name, prior in (priors or {}).items()}
    problem = prepare(table, law, objective, solver.bounds, pins, {**getattr(solver, "prior", {}), **weighed})
    answer = solve(problem, solver)
    values = problem.to_coefficients(answer.z[:1])[0]
    surface = Surface(dict(zip(law.names, values.tolist(), strict=True)), law=law)
    fitted = losses_of(surface, table)
    residuals = np.log(table.L) - np.log(fitted) if objective.is_log else table.L - fitted
    return Fit(
        surface=surface,
        method=solver.method,
        objective=objective,
        solver=solver,
        runs=table,
        value=objective.of(residuals, table.weight),
        status=Status.CONVERGED if answer.converged[0] else Status.NOT_CONVERGED,
        notes=(
            *table.notes,
            *own_notes,
            *(_prior_note(name, prior, surface[name]) for name, prior in weighed.items()),
            *_notes(table, law, problem, answer.z[0], pins),
            *_found(answer.met, law),
        ),
        fixed=pins,
        prior=weighed,
    )


def _weigh(
    table: Runs, law: Law, objective: Objective, solver: Solver, pins: Mapping[str, float], name: str, prior: Prior
) -> Prior:
    """Give a prior its weight against the runs: by the variance that they have with the coefficient held."""
    if name in pins:
        msg = f"`fixed` holds {name} at a number and gives it a width; give one of them."
        raise UnsupportedError(msg)
    bounds = {other: pair for other, pair in solver.bounds.items() if other != name}
    pull = getattr(solver, "prior", None)
    start: list[Any] = []

    def held(value: float) -> tuple[float, Any]:
        """Least sum of squares with the coefficient held, as the objective takes residuals, and those residuals."""
        problem = prepare(table, law, objective, bounds, {**pins, name: value}, pull)
        at = law.names.index(name)
        if not start:
            start.append(solve(problem, solver).z[:1])
        z = start[0].copy()
        z[:, at] = value
        found = resolve(problem, z, solver).z
        start[0] = found
        residual = problem.target - problem.model(found)[0][0]
        return float(table.weight @ residual**2), residual

    free = [n for n in law.identifiable if n not in pins]
    used = int(table.counted.sum())
    if objective.is_huber:
        return robust_weight(prior, held(prior.mean)[1], float(objective.width or 0.0), len(free) - 1)
    floor = ROUNDED * (1.0 if objective.is_log else float(np.abs(table.L).mean()))
    held(prior.mean)
    least = min(law.bounds[name][0], 0.0)
    return run_variance(lambda value: held(value)[0], prior, used, len(free) - 1, floor, least=least)


def _prior_note(name: str, prior: Prior, value: float) -> Note:
    away = abs(value - prior.mean) / prior.sd
    text = (
        f"{name} has the prior {prior.text} (mean and standard deviation) at the user's request; with the runs it is "
        f"{format_short(value, 4)}, {format_short(away, 2)} standard deviations from its mean."
    )
    return Note("prior", text)


def _found(met: tuple[int, int] | None, law: Law) -> list[Note]:
    """What the search of a formula says about its own answer, and what no search can tell apart."""
    notes = []
    if met is not None and met[0] < 2:
        text = f"Of {met[1]} rounds of new starts one alone ended in this answer; a better one may exist."
        notes.append(Note("few_starts", text))
    for a, b in degenerate(law):
        text = f"{a} and {b} occur only as one product, so no runs tell them apart: hold one of them."
        notes.append(Note("not_separable", text))
    return notes


def _fit_frontier(runs: Any, method: str, given: list[str], window: int | str | None) -> FrontierFit:
    if given:
        msg = f"{method} fits lines, not a surface, so {' and '.join(given)} cannot apply; use vpnls or approach3."
        raise UnsupportedError(msg)
    return fit_envelope(runs) if method == "approach1" else fit_isoflop(runs, window=window)


def settle_delta(runs: Runs, law: Law, objective: Objective, solver: Solver, fixed: Mapping[str, float]) -> Objective:
    """
    Turn ``delta="auto"`` into a number: 1.345 times the residuals' own scale, to a fixed point.

    The scale is 1.4826 times the median absolute deviation. Starts from the squared
    fit; each round refits from the last answer, and stops when delta moves by less
    than one in a million (or after 50 rounds, when it moves within its own noise).
    """
    name = objective.name
    start = Objective("log-squared" if objective.is_log else "squared")
    problem = prepare(runs, law, start, solver.bounds, fixed)
    z = solve(problem, solver).z[:1]
    delta = 0.0
    model = problem.model
    for _ in range(50):
        residual = problem.target - model(z)[0][0]
        scale = np.median(np.abs(residual - np.median(residual)))
        wider = max(AUTO_FACTOR * float(scale), LEAST_DELTA)
        if abs(wider - delta) <= 1e-6 * wider:
            break
        delta = wider
        z = resolve(problem._replace(delta=delta), z, solver).z
    return Objective(name, wider)


def check_columns(runs: Runs, law: Law) -> Runs:
    """
    Return the runs if they have the columns that a law reads.

    Raises
    ------
    InputError
        Says which are missing, and which laws the columns that are there would serve.
    """
    missing = [name for name in law.columns if name in COMPLETE and not runs.has(name)]
    served = [other.name for other in LAWS.values() if all(runs.has(column) for column in other.columns)]
    also = f"; or fit a law of the columns that are there: {', '.join(served)}" if missing and served else ""
    return runs.require(law.columns, also)


def check_identified(runs: Runs, law: Law, bounds: Bounds, fixed: Mapping[str, float]) -> None:
    """
    Refuse runs that cannot determine the free coefficients.

    Raises
    ------
    IdentificationError
        Says which coefficients, and what would help.
    """
    limits = check_bounds(law, bounds, fixed)
    free = [name for name in law.names if limits[name][0] < limits[name][1]]
    used = runs.counted
    if used.sum() < len(free):
        msg = (
            f"{int(used.sum())} runs cannot determine {len(free)} coefficients ({', '.join(free)}); "
            f"add runs or hold coefficients fixed (`fixed` E=1.69)."
        )
        raise IdentificationError(msg)
    for coefficient, exponent, column in law.amounts:
        values = runs.column(column)[used]
        unknown = [name for name in (coefficient, exponent) if name in free]
        if unknown and np.ptp(values) <= 1e-9 * np.abs(values).max():
            verb = "is not identified" if len(unknown) == 1 else "are not identified"
            msg = (
                f"All {values.size} runs have the same {COLUMN_WORDS.get(column, repr(column))} "
                f"({format_short(values[0])}), so {' and '.join(unknown)} {verb}; add runs at other values of "
                f"{column} or hold {' and '.join(unknown)} fixed (`fixed`)."
            )
            raise IdentificationError(msg)


def _notes(runs: Runs, law: Law, problem: Problem | FormProblem, z: Array, fixed: Mapping[str, float]) -> list[Note]:
    """What the reader should know of this answer."""
    notes = []
    if fixed:
        held = ", ".join(f"{name} = {format_short(value)}" for name, value in fixed.items())
        notes.append(Note("pinned", f"Held fixed at the user's request: {held}."))
    if runs.budgets.size == 1 and runs.has("C") and law.allocates:
        text = (
            f"All {len(runs)} runs share the budget {format_short(runs.budgets[0], 3)} FLOPs, so nothing here "
            f"tests how the optimum moves with compute; add a second budget."
        )
        notes.append(Note("one_budget", text))
    logs = np.log(np.stack([runs.N, runs.D]))
    away = logs - logs.mean(axis=1, keepdims=True)
    (n_n, n_d), (_, d_d) = away @ away.T
    if law.allocates and n_d > 0.9999 * np.sqrt(n_n * d_d) > 0:
        text = "N and D rise together in all runs, so the terms in N and D can hardly be told apart."
        notes.append(Note("collinear_sizes", text))
    for column in {"N", "D"} & set(law.columns):
        distinct = np.unique(getattr(runs, column)[runs.counted]).size
        if distinct == 2:
            text = f"Only 2 distinct values of {column}: its coefficient and exponent are not identified separately."
            notes.append(Note("few_sizes", text))
    m = len(law.linear)
    if isinstance(problem, FormProblem):
        return notes + _form_notes(law, problem, z, fixed)
    for i, name in enumerate(law.names):
        lower, upper = problem.lower[i], problem.upper[i]
        if name in fixed or name not in law.identifiable:
            continue
        if i < m and z[i] == 0.0:
            text = f"{name} = 0: non-negativity binds, so the data do not ask for this term."
            notes.append(Note("zero_coefficient", text))
        elif lower < upper and (z[i] <= lower or z[i] >= upper) and not (i >= m and z[i - m + 1] == 0.0):
            side = "lower" if z[i] <= lower else "upper"
            bound = lower if side == "lower" else upper
            text = f"{name} sits on its {side} bound {format_short(bound)}; widen it if it should not."
            notes.append(Note("at_bound", text))
    return notes


def _form_notes(law: Law, problem: FormProblem, z: Array, fixed: Mapping[str, float]) -> list[Note]:
    """Coefficients of a law with a form that sit on a bound."""
    notes = []
    values, bounds = problem.to_coefficients(z[None])[0], law.bounds
    for i, name in enumerate(law.names):
        low, high = problem.lower[i], problem.upper[i]
        if name in fixed or low == high or low < z[i] < high:
            continue
        if name in law.linear and values[i] == 0.0:
            text = f"{name} = 0: non-negativity binds, so the data do not ask for this term."
            notes.append(Note("zero_coefficient", text))
        else:
            side = "lower" if z[i] <= low else "upper"
            bound = values[i] if np.isfinite(values[i]) else bounds[name][side == "upper"]
            text = f"{name} sits on its {side} bound {format_short(bound)}; widen it if it should not."
            notes.append(Note("at_bound", text))
    return notes
