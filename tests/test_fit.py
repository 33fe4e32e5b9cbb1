"""fit(): recovery, invariances, pins, bounds, notes and refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lawful.core.notes import Status
from lawful.core.objective import Objective
from lawful.data.runs import Runs
from lawful.design.plan import Plan, plan_isoflop, simulate, study_surface
from lawful.errors import IdentificationError, UnsupportedError
from lawful.estimate.fit import fit
from lawful.estimate.solvers import Joint, VarPro
from lawful.laws.laws import CHINCHILLA
from lawful.laws.surface import Surface
from repeats import repeated

SOLVERS = (VarPro(), Joint())
ALL = [(s, Objective(o)) for s in SOLVERS for o in s.objectives]


def codes(found: object) -> list[str]:
    return [note.code for note in found.notes]  # type: ignore[attr-defined]


def noisy(surface: Surface, seed: int, noise: float = 0.01, points: int = 9) -> Runs:
    return simulate(surface, plan_isoflop([1e18, 1e19, 1e20, 1e21], points, surface=surface), noise=noise, seed=seed)


@pytest.mark.parametrize("case", ["centred", "drifting"])
def test_vpnls_recovers_a_noise_free_surface(
    surface: Surface, case: str, centred_plan: Plan, drifting_plan: Plan
) -> None:
    found = fit(simulate(surface, centred_plan if case == "centred" else drifting_plan))
    assert found.status is Status.CONVERGED
    for name in CHINCHILLA.names:
        assert found.surface[name] == pytest.approx(surface[name], rel=1e-9)


@pytest.mark.parametrize(("solver", "objective"), ALL)
def test_every_solver_and_objective_recovers_a_noise_free_surface(
    solver: VarPro | Joint, objective: Objective, surface: Surface, centred_plan: Plan
) -> None:
    found = fit(simulate(surface, centred_plan), method=solver, objective=objective)
    assert found.status is Status.CONVERGED
    assert found.objective == objective
    for name in CHINCHILLA.names:
        assert found.surface[name] == pytest.approx(surface[name], rel=1e-6)


@pytest.mark.parametrize("name", ["log-squared", "log-huber"])
def test_vpnls_refuses_a_log_objective_and_names_approach3(name: str) -> None:
    runs = noisy(study_surface("symmetric"), 0)
    with pytest.raises(UnsupportedError, match=r"not partially linear; use approach3"):
        fit(runs, method="vpnls", objective=Objective(name))  # type: ignore[arg-type]
    assert fit(runs, objective=name).method == "approach3"


@pytest.mark.parametrize("name", ["squared", "huber"])
@pytest.mark.parametrize("seed", range(4))
def test_varpro_is_never_worse_than_joint(name: str, seed: int) -> None:
    runs = noisy(study_surface("asymmetric"), seed)
    objective = Objective(name)  # type: ignore[arg-type]
    ours, joint = (fit(runs, method=s, objective=objective).value for s in SOLVERS)
    assert ours <= joint * (1 + 1e-9)


@pytest.mark.parametrize(("solver", "objective"), ALL)
def test_value_is_the_mean_per_run_and_rss_the_weighted_sum(solver: VarPro | Joint, objective: Objective) -> None:
    runs = noisy(study_surface("chinchilla"), 5)
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(runs))
    found = fit(replace(runs, weight=weight), method=solver, objective=objective)
    predicted = found.surface.loss(runs.N, runs.D)
    r = np.log(runs.L / predicted) if objective.is_log else runs.L - predicted
    if objective.is_huber:
        d = objective.delta or 0.0
        rho = np.where(np.abs(r) <= d, r**2 / 2, d * (np.abs(r) - d / 2))
    else:
        rho = r**2
    assert found.value == pytest.approx((weight * rho).sum() / weight.sum(), rel=1e-10)
    assert found.rss == pytest.approx((weight * (runs.L - predicted) ** 2).sum(), rel=1e-12)


@given(
    seed=st.integers(0, 1000),
    unit_n=st.floats(1e-9, 1e9),
    unit_d=st.floats(1e-9, 1e9),
    pick=st.sampled_from(ALL),
)
@settings(max_examples=25, deadline=None)
def test_units_of_n_and_d_leave_exponents_and_predictions(
    seed: int, unit_n: float, unit_d: float, pick: tuple[VarPro | Joint, Objective]
) -> None:
    solver, objective = pick
    runs = noisy(study_surface("chinchilla"), seed, points=7)
    scaled = Runs.from_arrays(runs.N * unit_n, runs.D * unit_d, runs.L, C=runs.C)
    a, b = (fit(r, method=solver, objective=objective) for r in (runs, scaled))
    assert b.value == pytest.approx(a.value, rel=1e-7)
    np.testing.assert_allclose(b.surface.loss(scaled.N, scaled.D), a.surface.loss(runs.N, runs.D), rtol=1e-5)


@given(seed=st.integers(0, 1000), pick=st.sampled_from(ALL))
@settings(max_examples=20, deadline=None)
def test_row_order_and_repeats_are_irrelevant(seed: int, pick: tuple[VarPro | Joint, Objective]) -> None:
    solver, objective = pick
    runs = noisy(study_surface("chinchilla"), seed, points=6)
    rng = np.random.default_rng(seed)
    order, counts = rng.permutation(len(runs)), rng.integers(1, 3, len(runs))
    again = repeated(runs, counts)
    base = fit(runs, method=solver, objective=objective).value
    assert fit(runs.take(order), method=solver, objective=objective).value == pytest.approx(base, rel=1e-7)
    weighted = fit(replace(runs, weight=counts.astype(float)), method=solver, objective=objective).value
    assert fit(again, method=solver, objective=objective).value == pytest.approx(weighted, rel=1e-7)


@pytest.mark.parametrize(("solver", "objective"), ALL)
@pytest.mark.parametrize("pin", [{"E": 1.75}, {"A": 300.0}, {"beta": 0.3}, {"E": 1.7, "alpha": 0.33}])
def test_pinned_coefficients_stay_and_the_rest_is_optimal(
    solver: VarPro | Joint, objective: Objective, pin: dict[str, float]
) -> None:
    runs = noisy(study_surface("chinchilla"), 2)
    found = fit(runs, method=solver, objective=objective, fixed=pin)
    assert "pinned" in codes(found)
    for name, value in pin.items():
        assert found.surface[name] == value
    assert found.value >= fit(runs, method=solver, objective=objective).value * (1 - 1e-12)
    rng = np.random.default_rng(0)
    for _ in range(40):
        near = {
            k: v if k in pin else v * np.exp(1e-4 * rng.standard_normal())
            for k, v in found.surface.coefficients.items()
        }
        fitted = Surface(near).loss(runs.N, runs.D)
        r = np.log(runs.L / fitted) if objective.is_log else runs.L - fitted
        assert objective.of(r) >= found.value * (1 - 1e-9)


def test_bounds_are_honoured_and_noted() -> None:
    runs = noisy(study_surface("chinchilla"), 1)
    found = fit(runs, method=VarPro(bounds={"alpha": (0.01, 0.2), "E": (0.0, 1.5)}))
    assert found.surface["alpha"] <= 0.2
    assert found.surface["E"] <= 1.5
    assert "at_bound" in codes(found)
    message = next(n.message for n in found.notes if n.code == "at_bound")
    assert "bound" in message


def test_a_term_the_data_do_not_ask_for_is_zero_and_noted() -> None:
    rng = np.random.default_rng(0)
    n, d = 10 ** rng.uniform(7, 10, 40), 10 ** rng.uniform(9, 12, 40)
    runs = Runs.from_arrays(n, d, 400 / n**0.3 + 0.05 * (d / 1e9) ** 0.05)
    found = fit(runs)
    assert "zero_coefficient" in codes(found)
    assert min(found.surface["E"], found.surface["B"]) == 0.0


def test_fewer_runs_than_coefficients() -> None:
    runs = noisy(study_surface("chinchilla"), 0).take(np.arange(4))
    with pytest.raises(IdentificationError, match=r"4 runs cannot determine 5 coefficients \(E, A, B, alpha, beta\)"):
        fit(runs)
    assert fit(noisy(study_surface("chinchilla"), 0).take(np.arange(5)), fixed={"E": 1.69}).fixed == {"E": 1.69}


@pytest.mark.parametrize(("column", "names"), [("N", "A and alpha"), ("D", "B and beta")])
def test_all_runs_at_one_size(column: str, names: str) -> None:
    runs = noisy(study_surface("chinchilla"), 0)
    flat = replace(runs, **{column: np.full(len(runs), 1e9)})
    with pytest.raises(IdentificationError, match=rf"All 36 runs have the same .* {names} are not identified"):
        fit(flat)


def test_one_budget_is_noted() -> None:
    truth = study_surface("chinchilla")
    runs = simulate(truth, plan_isoflop([1e19], 12, surface=truth), noise=0.001)
    assert "one_budget" in codes(fit(runs))


def test_sizes_and_tokens_that_rise_together_are_noted() -> None:
    n = np.geomspace(1e7, 1e10, 12)
    truth = study_surface("chinchilla")
    assert "collinear_sizes" in codes(fit(Runs.from_arrays(n, 20 * n, truth.loss(n, 20 * n))))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"fixed": {"gamma": 1.0}}, "has no coefficient 'gamma'"),
        ({"fixed": {"alpha": -0.1}}, "alpha must lie in an interval of positive numbers"),
        ({"method": VarPro(bounds={"beta": (0.9, 0.1)})}, "beta must lie in an interval"),
        ({"method": VarPro(bounds={"beta": (0.1, np.inf)})}, "upper bound of beta must be finite"),
    ],
)
def test_bad_options_are_one_sentence(kwargs: dict[str, object], message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        fit(noisy(study_surface("chinchilla"), 0), **kwargs)  # type: ignore[arg-type]


def test_an_exhausted_solver_says_so() -> None:
    runs = noisy(study_surface("asymmetric"), 0, noise=0.2)
    found = fit(runs, method=Joint(max_iter=1), objective=Objective.log_squared())
    assert found.status is Status.NOT_CONVERGED


@pytest.mark.parametrize(("solver", "name"), [(VarPro(), "huber"), (Joint(), "log-huber")])
def test_auto_delta_is_a_fixed_point_of_the_residuals_own_scale(solver: VarPro | Joint, name: str) -> None:
    runs = noisy(study_surface("chinchilla"), 11, noise=0.02, points=15)
    found = fit(runs, method=solver, objective=Objective(name, "auto"))  # type: ignore[arg-type]
    r = np.log(runs.L / found.surface.loss(runs.N, runs.D)) if found.objective.is_log else found.residuals
    scale = 1.4826 * np.median(np.abs(r - np.median(r)))
    assert found.objective.width == pytest.approx(1.345 * scale, rel=1e-3)
    assert "delta_auto" in codes(found)
    again = fit(runs, method=solver, objective=found.objective)
    assert again.value == pytest.approx(found.value, rel=1e-9)


def test_auto_delta_on_noise_free_runs_still_recovers_the_surface(surface: Surface, centred_plan: Plan) -> None:
    found = fit(simulate(surface, centred_plan), objective=Objective.huber("auto"))
    for name in CHINCHILLA.names:
        assert found.surface[name] == pytest.approx(surface[name], rel=1e-7)


@pytest.mark.parametrize("share", [0.05, 0.15])
def test_huber_shrugs_off_crashed_runs_that_move_the_squared_fit(share: float) -> None:
    truth = study_surface("chinchilla")
    runs = noisy(truth, 4, noise=0.005, points=15)
    hit = np.random.default_rng(1).random(len(runs)) < share
    spoilt = Runs.from_arrays(runs.N, runs.D, runs.L + 0.5 * hit, C=runs.C)
    wrong = {
        name: abs(np.log(fit(spoilt, objective=Objective(*given)).surface.optimum(1e24).params / 4.13e10))
        for name, given in {"squared": ("squared",), "huber": ("huber", 1e-3), "auto": ("huber", "auto")}.items()
    }
    assert wrong["huber"] < 0.25 * wrong["squared"]
    assert wrong["auto"] < 0.25 * wrong["squared"]
