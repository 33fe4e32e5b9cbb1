"""Solvers by name: who solves what, their units, and which answers they vouch for."""

from __future__ import annotations

import numpy as np
import pytest

import lawful
from lawful.core.notes import Status
from lawful.core.objective import Objective
from lawful.data.runs import Runs
from lawful.errors import UnsupportedError
from lawful.estimate.solvers import Joint, VarPro, as_solver, prepare, resolve, solve
from lawful.laws.laws import CHINCHILLA, find_law
from lawful.solve import kernel
from repeats import repeated

TRUTH = lawful.Surface.named("chinchilla")
PLAN = lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=TRUTH)
OBJECTIVES = [Objective.squared(), Objective.huber(0.01), Objective.log_squared(), Objective.log_huber(0.003)]
# The gradient of the mean objective, in units of the data, that is rounding of a sum over 27 runs.
STILL = 1e-9


def runs_with(noise: float, seed: int = 0) -> Runs:
    return lawful.simulate(TRUTH, PLAN, noise=noise, seed=seed)


def gradient(problem, z, y, w):
    """Central differences of the summed objective by the solver's own coefficients."""

    def value(at):
        c, theta = at[:3], at[3:]
        fitted = c[0] + c[1] * np.exp(-theta[0] * problem.x[0]) + c[2] * np.exp(-theta[1] * problem.x[1])
        r = np.log(y / fitted) if problem.log else y - fitted
        size, delta = np.abs(r), np.inf if problem.delta is None else problem.delta
        return (w * np.where(size <= delta, 0.5 * r**2, delta * (size - 0.5 * delta))).sum()

    steps = np.diag(1e-6 * np.maximum(np.abs(z), 1e-2))
    return max(abs(value(z + s) - value(z - s)) / (2 * s.sum()) for s in steps) / w.sum()


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_warm_rows_that_gave_up_do_not_count_as_converged(objective):
    """Bootstrap weights from a start far off: after one iteration nobody is there, after many everybody."""
    runs = runs_with(0.01)
    problem = prepare(runs, CHINCHILLA, objective, {}, {})
    solver = Joint() if objective.is_log else VarPro()
    cold = solve(problem, solver)
    assert cold.converged[0]
    far = np.clip(cold.z[0] * np.array([0.9, 1.1, 1.1, 1.2, 0.85]), problem.lower, problem.upper)
    weights = np.random.default_rng(1).multinomial(27, np.full(27, 1 / 27), size=25).astype(float)
    short = resolve(problem, far, type(solver)(max_iter=1), weights=weights)
    assert not short.converged.any()
    done = resolve(problem, far, solver, weights=weights)
    assert done.converged.all()
    slopes = [
        np.median([gradient(problem, z, runs.L, w) for z, w in zip(s.z, weights, strict=True)]) for s in (short, done)
    ]
    assert slopes[0] > 1e4 * max(slopes[1], STILL)


def test_rows_of_the_kernel_are_judged_one_by_one():
    """Of starts near and far, three iterations bring home the near ones only, and only they may say so."""
    problem = prepare(runs_with(0.01), CHINCHILLA, Objective.squared(), {}, {})
    best = solve(problem, VarPro()).theta[0]
    near, far = np.tile(best, (5, 1)) * (1 + 1e-9), np.clip(best * np.geomspace(0.1, 5, 6)[:, None], 0.011, 1.9)
    found = kernel.refine(problem.x, problem.y, problem.w, np.concatenate([near, far]), problem.box, problem.linear,
                          tolerance=1e-10, max_iter=3)  # fmt: skip
    away = np.abs(found.theta - best).max(axis=1)
    assert found.converged[:5].all()
    assert not found.converged[away > 1e-6].any()
    assert (away > 1e-6).sum() >= 3


@pytest.mark.parametrize(
    ("method", "objective"), [("vpnls", "squared"), ("vpnls", "huber"), ("approach3", "log-huber")]
)
def test_a_fit_that_is_given_up_says_so(method, objective):
    solver = (VarPro if method == "vpnls" else Joint)(max_iter=1)
    given_up = lawful.fit(runs_with(0.05), method=solver, objective=objective)
    assert given_up.status is Status.NOT_CONVERGED
    assert lawful.fit(runs_with(0.05), method=method, objective=objective).status is Status.CONVERGED


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_warm_fits_of_integer_weights_are_cold_fits_of_repeated_runs(objective):
    runs = runs_with(0.01)
    problem, solver = prepare(runs, CHINCHILLA, objective, {}, {}), Joint() if objective.is_log else VarPro()
    times = np.random.default_rng(3).integers(0, 4, (4, 27))
    warm = resolve(problem, solve(problem, solver).z[0], solver, weights=times.astype(float))
    for row, count in zip(problem.to_coefficients(warm.z), times, strict=True):
        cold = lawful.fit(repeated(runs, count), method=solver, objective=objective)
        fitted = lawful.Surface(dict(zip(CHINCHILLA.names, row.tolist(), strict=True))).loss(runs.N, runs.D)
        np.testing.assert_allclose(fitted, cold.surface.loss(runs.N, runs.D), rtol=1e-6)


def test_units_of_the_solver_and_of_the_law_describe_one_surface():
    problem = prepare(runs_with(0.01), CHINCHILLA, Objective.squared(), {}, {})
    k = np.array([[1.69, 406.4, 410.7, 0.34, 0.28], [1.5, 30.0, 9000.0, 0.2, 0.45]])
    z = problem.to_z(k)
    np.testing.assert_allclose(problem.to_coefficients(z), k, rtol=1e-13)
    for row, at in zip(k, z, strict=True):
        surface = lawful.Surface(dict(zip(CHINCHILLA.names, row.tolist(), strict=True)))
        N, D = np.exp(problem.x + problem.centre[:, None])
        np.testing.assert_allclose(problem.model(at[None])[0][0], surface.loss(N, D), rtol=1e-12)


def test_a_bounded_amount_keeps_its_meaning_and_leaves_the_kernel():
    runs = runs_with(0.01)
    free = prepare(runs, CHINCHILLA, Objective.squared(), {}, {})
    held = prepare(runs, CHINCHILLA, Objective.squared(), {"A": (300.0, 350.0)}, {})
    assert (free.centre != 0).all()
    assert held.centre[0] == 0.0
    assert free.least_squares
    assert not held.least_squares
    found = lawful.fit(runs, bounds={"A": (300.0, 350.0)})
    assert 300 <= found.surface["A"] <= 350
    # No other amount within the bounds, the rest refitted, is better.
    pinned = [lawful.fit(runs, fixed={"A": a}).rss for a in (300.0, 320.0, 350.0)]
    assert found.rss <= min(pinned) * (1 + 1e-9)


def test_names_choose_solvers_and_auto_the_one_that_can():
    assert as_solver("auto", CHINCHILLA) == VarPro()
    assert as_solver("auto", CHINCHILLA, Objective.log_huber()) == Joint()
    assert as_solver("approach3", CHINCHILLA, bounds={"E": (1, 2)}) == Joint(bounds={"E": (1, 2)})
    own = VarPro(bounds={"alpha": (0.1, 0.5)}, starts=2)
    assert as_solver(own, CHINCHILLA, bounds={"E": (1, 2)}).bounds == {"alpha": (0.1, 0.5), "E": (1, 2)}
    assert as_solver("auto", find_law("skaling")).method in ("vpnls", "approach3")
    with pytest.raises(UnsupportedError, match=r"Unknown method 'magic'; choose one of auto, .*, or give VarPro\(\)"):
        as_solver("magic", CHINCHILLA)


@pytest.mark.parametrize(
    "options", [{"starts": 0}, {"starts": 1.5}, {"tolerance": 0.0}, {"tolerance": -1}, {"max_iter": -1}]
)
@pytest.mark.parametrize("solver", [VarPro, Joint])
def test_an_option_outside_its_range_is_refused_by_name(solver, options):
    ((name, value),) = options.items()
    with pytest.raises(UnsupportedError, match=rf"{name} must be .*got {value}"):
        solver(**options)
