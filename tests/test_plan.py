"""Plans against the settings of the studies, and simulated runs against the published random draws."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lawful.design.plan import STUDY_SURFACES, Plan, plan_isoflop, simulate, study_surface
from lawful.errors import InputError, UnsupportedError
from lawful.laws.surface import Surface

BUDGETS = np.array([1e17, 1e18, 1e19, 1e20, 1e21])

# Powers and logs of N lose a few units in the last place; sizes are printed to 3 digits at best.
ROUNDING = 1e-12


def centres(plan: Plan, points: int) -> np.ndarray:
    return 10 ** np.log10(plan.N.reshape(-1, points)).mean(axis=1)


@pytest.mark.parametrize("width", [2.0, 4.0, 8.0, 16.0])
def test_a_centred_sweep_spans_the_factor_either_side_of_the_optimum(surface: Surface, width: float) -> None:
    plan = plan_isoflop(BUDGETS, 15, surface=surface, width=width)
    sizes = plan.N.reshape(5, 15)
    best = surface.optimum(BUDGETS).params
    np.testing.assert_allclose(sizes[:, 0], best / width, rtol=ROUNDING)
    np.testing.assert_allclose(sizes[:, -1], best * width, rtol=ROUNDING)
    np.testing.assert_allclose(sizes[:, 7], best, rtol=ROUNDING)
    np.testing.assert_allclose(np.diff(np.log10(sizes), axis=1), 2 * np.log10(width) / 14, rtol=1e-9)


def test_every_run_of_a_sweep_spends_its_budget_exactly(surface: Surface) -> None:
    plan = plan_isoflop(BUDGETS, 15, surface=surface, drift=3.0, offset=1.5)
    assert plan.C.tolist() == np.repeat(BUDGETS, 15).tolist()
    np.testing.assert_allclose(6 * plan.N * plan.D, plan.C, rtol=ROUNDING)


def test_an_offset_trains_every_centre_on_k_times_the_optimal_tokens(surface: Surface) -> None:
    plan = plan_isoflop(BUDGETS, 15, surface=surface, offset=3.0)
    best = surface.optimum(BUDGETS)
    np.testing.assert_allclose(centres(plan, 15), best.params / 3, rtol=ROUNDING)
    np.testing.assert_allclose(plan.D.reshape(5, 15)[:, 7], 3 * best.tokens, rtol=ROUNDING)


def test_drift_is_none_at_the_lowest_budget_whole_at_the_highest_and_linear_in_log_compute(surface: Surface) -> None:
    plan = plan_isoflop(BUDGETS, 15, surface=surface, drift=3.0)
    miss = surface.optimum(BUDGETS).params / centres(plan, 15)
    np.testing.assert_allclose(miss, 3.0 ** np.array([0, 0.25, 0.5, 0.75, 1]), rtol=ROUNDING)


def test_drift_follows_compute_not_the_order_of_the_budgets(chinchilla: Surface) -> None:
    forward = plan_isoflop(BUDGETS, 3, surface=chinchilla, drift=3.0)
    backward = plan_isoflop(BUDGETS[::-1], 3, surface=chinchilla, drift=3.0)
    np.testing.assert_allclose(backward.N.reshape(5, 3)[::-1].ravel(), forward.N, rtol=ROUNDING)
    assert backward.C[0] == BUDGETS[-1]


@given(
    drift=st.floats(0.05, 20),
    offset=st.floats(0.05, 20),
    width=st.floats(1.01, 100),
    points=st.integers(2, 40),
)
def test_offset_and_drift_multiply(drift: float, offset: float, width: float, points: int) -> None:
    truth = study_surface("asymmetric")
    plan = plan_isoflop([1e18, 1e22], points, surface=truth, width=width, offset=offset, drift=drift)
    miss = truth.optimum([1e18, 1e22]).params / centres(plan, points)
    np.testing.assert_allclose(miss, [offset, offset * drift], rtol=1e-10)


@pytest.mark.parametrize(
    ("name", "a"),
    [  # beta / (alpha + beta), by hand from the published exponents
        ("symmetric", 0.5),
        ("chinchilla", 0.28 / 0.62),
        ("asymmetric", 0.25),
        ("soda", 0.439 / 1.123),
        ("sparse-nmm", 0.372 / 1.082),
    ],
)
def test_the_known_truths_have_the_published_exponents(name: str, a: float) -> None:
    assert study_surface(name).exponents == pytest.approx((a, 1 - a), rel=1e-14)


def test_the_five_known_truths_are_all_there() -> None:
    assert list(STUDY_SURFACES) == ["symmetric", "chinchilla", "asymmetric", "soda", "sparse-nmm"]
    with pytest.raises(UnsupportedError, match=r"Unknown surface 'gopher'; choose one of symmetric, chinchilla"):
        study_surface("gopher")


def test_without_noise_a_simulated_loss_is_the_law_itself(surface: Surface, drifting_plan: Plan) -> None:
    runs = simulate(surface, drifting_plan)
    k = surface.coefficients
    by_hand = k["E"] + k["A"] / drifting_plan.N ** k["alpha"] + k["B"] / drifting_plan.D ** k["beta"]
    np.testing.assert_allclose(runs.L, by_hand, rtol=1e-15)
    assert runs.budgets.tolist() == BUDGETS.tolist()
    assert runs.sizes_per_budget.tolist() == [15] * 5
    assert runs.source == "simulation"


def test_noise_is_the_published_sequence_of_draws(asymmetric: Surface) -> None:
    """Study 7 draws rng.normal(0, sigma, n) for each budget from low to high, N ascending."""
    plan = plan_isoflop([1e17, 1e19, 1e21], 8, surface=asymmetric, drift=3.0)
    rng = np.random.default_rng(42)
    published = np.concatenate([rng.normal(0, 0.1, 8) for _ in range(3)])
    noisy, exact = simulate(asymmetric, plan, noise=0.1, seed=42), simulate(asymmetric, plan)
    np.testing.assert_array_equal(noisy.L, exact.L + published)


def test_a_generator_given_as_seed_moves_on(asymmetric: Surface, symmetric: Surface) -> None:
    plan = plan_isoflop([1e18, 1e20], 5, surface=symmetric)
    rng = np.random.default_rng(7)
    first, second = (simulate(asymmetric, plan, noise=0.02, seed=rng).L for _ in range(2))
    assert not np.any(first == second)


def test_a_plan_is_a_frozen_copy() -> None:
    sizes = np.array([1e8, 2e8])
    plan = Plan(N=sizes, D=np.array([1e9, 1e9]), C=np.array([1e18, 2e18]))
    sizes[0] = 5.0
    assert plan.N[0] == 1e8
    with pytest.raises(ValueError, match="read-only"):
        plan.N[0] = 1.0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"budgets": []}, InputError, "needs distinct budgets, at least one; got []."),
        ({"budgets": [1e18, 1e18]}, InputError, "needs distinct budgets, at least one; got [1e+18, 1e+18]."),
        ({"budgets": [1e18, -1.0]}, InputError, "budgets must be positive and finite, but 1 of 2 values are not"),
        ({"budgets": [1e18, np.nan]}, InputError, "(first: entry 1, nan)"),
        ({"points": 1}, UnsupportedError, "points must be a whole number of at least 2 sizes per budget, got 1."),
        ({"points": 3.5}, UnsupportedError, "points must be a whole number of at least 2 sizes per budget, got 3.5."),
        ({"width": 1.0}, UnsupportedError, "width is the factor k of ±k× and must be above 1, got 1.0."),
        ({"width": np.inf}, UnsupportedError, "width is the factor k of ±k× and must be above 1, got inf."),
        ({"offset": 0.0}, UnsupportedError, "offset must be a positive factor, got 0.0."),
        ({"drift": -3.0}, UnsupportedError, "drift must be a positive factor, got -3.0."),
        ({"budgets": [1e18], "drift": 3.0}, UnsupportedError, "there is only one (1e18 FLOPs); use offset."),
        (
            {"surface": Surface({"E": 1.0, "A": 0.0, "B": 400.0, "alpha": 0.3, "beta": 0.3})},
            UnsupportedError,
            "no compute-optimal size to centre on, because A is zero.",
        ),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_in_one_sentence(arguments: dict, error: type, message: str) -> None:
    given_or_default = {"budgets": [1e18, 1e19], "surface": study_surface("symmetric")} | arguments
    with pytest.raises(error, match=re.escape(message)):
        plan_isoflop(given_or_default.pop("budgets"), given_or_default.pop("points", 15), **given_or_default)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (([1e8], [1e9, 1e9], [1e18]), "one entry per run; got 1, 2 and 1."),
        (([], [], []), "at least one run in a flat array; N has shape (0,)."),
        (([[1e8]], [[1e9]], [[1e18]]), "at least one run in a flat array; N has shape (1, 1)."),
        (([1e8, 0.0], [1e9, 1e9], [1e18, 1e18]), "N must be positive and finite, but 1 of 2 values are not"),
    ],
)
def test_arrays_that_are_no_plan_are_refused(arrays: tuple, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        Plan(*arrays)


def test_noise_must_leave_losses_positive_and_not_be_negative(symmetric: Surface) -> None:
    plan = plan_isoflop([1e18, 1e19], 15, surface=symmetric)
    with pytest.raises(InputError, match=r"Noise of 50 nats makes \d+ of 30 losses zero or negative \(first: run \d+"):
        simulate(symmetric, plan, noise=50.0)
    with pytest.raises(UnsupportedError, match=r"standard deviation in nats and cannot be negative, got -0\.1"):
        simulate(symmetric, plan, noise=-0.1)
