"""The averaged forecast: its fits against other fits, its intervals against its draws, its refusals."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import least_squares, minimize_scalar

from lawful.data.runs import Runs
from lawful.design.plan import plan_isoflop, simulate, study_surface
from lawful.errors import IdentificationError, UnsupportedError
from lawful.estimate.fit import fit
from lawful.estimate.pulled import Pulls, fit_pulled
from lawful.estimate.solvers import Joint
from lawful.forecasting.ensemble import DISAGREE, Width, ensemble
from lawful.laws.laws import LAWS
from lawful.laws.surface import Surface

SAME_MINIMUM = 1e-6
"""Relative difference of two objectives that count as one minimum: far above a solver's tolerance."""

QUANTILE_ERROR = 0.06
"""Relative error of the ends of a 90% interval read off 20,000 draws with tails of three degrees of freedom."""

COUPLED = Surface({"E": 1.69, "A": 406.4**2, "B": 410.7**2, "alpha": 0.68, "beta": 0.56, "k": 0.5}, LAWS["skaling"])


def sweep(truth: Surface, noise: float = 0.003, seed: int = 0, budgets: tuple[float, ...] = (1e18, 1e19, 1e20)) -> Runs:
    return simulate(truth, plan_isoflop(list(budgets), 9, surface=truth), noise=noise, seed=seed)


def one_row(runs: Runs, *, mean: tuple[float, float], spread: tuple[float, float], delta: float = 1e-3) -> Pulls:
    ones = np.ones((1, len(runs)))
    return Pulls(ones, np.array([delta]), np.array([mean]), np.array([spread]), np.zeros(1, bool))


@pytest.mark.parametrize("seed", range(4))
def test_a_member_reaches_the_minimum_of_the_general_solver_or_a_lower_one(seed: int) -> None:
    runs = sweep(COUPLED, 0.01, seed)
    low = float(runs.L.min())
    pulls = one_row(runs, mean=(0.6, 0.6), spread=(0.2, 0.2))
    found = fit_pulled((runs.N, runs.D), runs.L, pulls)
    unit = found.unit[0]
    prior = {"k": (0.6, unit / 0.2**2), "E": (0.6 * low, unit / (0.2 * low) ** 2)}
    other = fit(runs, law="skaling", method=Joint(prior=prior))
    fitted = found.loss(np.log(runs.N), np.log(runs.D))[0]

    def value(loss: np.ndarray, floor: float, k: float) -> float:
        pull = ((k - 0.6) / 0.2) ** 2 + ((floor - 0.6 * low) / (0.2 * low)) ** 2
        return len(runs) * other.objective.of(np.log(runs.L / loss)) + 0.5 * unit * pull

    ours = value(fitted, found.coefficients[0, 0], found.z[0, 5])
    theirs = value(other.surface.loss(runs.N, runs.D), other.surface["E"], other.surface["k"])
    assert found.converged.all()
    assert ours <= theirs * (1 + SAME_MINIMUM)


def test_the_unit_of_a_prior_is_the_misfit_of_chinchillas_law() -> None:
    runs = sweep(COUPLED, 0.01)
    pulls = one_row(runs, mean=(0.6, 1.0), spread=(0.2, 1.0))
    alone = fit(runs, method="approach3")
    assert fit_pulled((runs.N, runs.D), runs.L, pulls).unit[0] == pytest.approx(alone.value, rel=1e-5)


def test_covariance_of_squares_is_the_sandwich_of_scipys_slopes() -> None:
    runs = sweep(COUPLED, 0.005)
    pulls = one_row(runs, mean=(0.0, 0.0), spread=(np.inf, np.inf), delta=10.0)
    found = fit_pulled((runs.N, runs.D), runs.L, pulls)
    x, y = np.log(runs.N) - found.centre[0], np.log(runs.D) - found.centre[1]

    def residual(z: np.ndarray) -> np.ndarray:
        e, a, b, alpha, beta, k = z
        return np.log(e + (np.exp(a - alpha * x) + np.exp(b - beta * y)) ** k) - np.log(runs.L / found.scale)

    again = least_squares(residual, found.z[0], x_scale="jac", xtol=1e-15, ftol=1e-15, gtol=1e-15)
    assert again.cost <= 0.5 * (residual(found.z[0]) ** 2).sum() * (1 + 1e-9)
    inverse = np.linalg.inv(again.jac.T @ again.jac)
    meat = again.jac.T @ (again.jac * again.fun[:, None] ** 2) * len(runs) / (len(runs) - 6)
    ours, theirs = np.sqrt(np.diag(found.covariance[0])), np.sqrt(np.diag(inverse @ meat @ inverse))
    np.testing.assert_allclose(ours, theirs, rtol=0.02)


def test_optimum_of_a_member_is_the_lowest_loss_of_its_budget() -> None:
    found = ensemble(sweep(COUPLED)).members.laws
    product = np.log(1e22 / 6)
    for row, size in enumerate(found.optimum(product)):
        line = minimize_scalar(
            lambda n, row=row: found.loss(n, product - n)[row], bracket=(size - 1, size + 1), options={"xtol": 1e-10}
        )
        assert line.x == pytest.approx(size, abs=1e-4)


def test_slopes_of_the_optimum_are_its_differences() -> None:
    laws = ensemble(sweep(COUPLED)).members.laws
    at = np.log(np.array([1e21, 1e24]) / 6)
    slopes = laws.optimum_slope(at)
    for j in range(6):
        up, down = laws.z.copy(), laws.z.copy()
        up[:, j] += 1e-6
        down[:, j] -= 1e-6
        difference = (laws._replace(z=up).optimum(at) - laws._replace(z=down).optimum(at)) / 2e-6
        np.testing.assert_allclose(slopes[:, j], difference, rtol=1e-5, atol=1e-6)


def test_intervals_are_the_quantiles_of_the_draws() -> None:
    found = ensemble(sweep(COUPLED, 0.005))
    made = found.outlook(1e21)
    drawn = found.draws(20_000)
    for name, values in (("loss", drawn.loss(made.params, made.tokens)), ("params", drawn.params(1e21))):
        low, high = np.log(made.interval[name])
        ends = np.quantile(np.log(values), [0.05, 0.95])
        np.testing.assert_allclose(ends, [low, high], atol=QUANTILE_ERROR * (high - low))


def test_draws_depend_on_the_seed_and_the_row_alone() -> None:
    found = ensemble(sweep(COUPLED))
    few, many = found.draws(10, seed=3), found.draws(10, seed=3)
    np.testing.assert_array_equal(few.loss(1e9, 2e10), many.loss(1e9, 2e10))
    assert not np.allclose(few.loss(1e9, 2e10), found.draws(10, seed=4).loss(1e9, 2e10))


def test_parts_add_up_to_the_interval_of_a_run() -> None:
    found = ensemble(sweep(COUPLED, 0.005))
    made = found.outlook(1e21)
    half = found.width.quantile(0.9) * np.sqrt(sum(part**2 for part in made.parts))
    middle = found.loss(made.params, made.tokens)
    np.testing.assert_allclose(np.log(made.prediction), np.log(middle) + np.array([-half, half]))
    assert all(part > 0 for part in made.parts)
    assert made.prediction[0] < made.interval["loss"][0] < made.loss < made.interval["loss"][1] < made.prediction[1]


def test_deadweight_of_the_draws_is_what_a_smaller_budget_would_have_reached() -> None:
    found = ensemble(sweep(COUPLED))
    drawn = found.draws(5)
    tokens = 3 * float(found.tokens(1e21))
    wasted = drawn.deadweight(1e21, tokens)
    for row in range(5):
        surface = Surface({name: float(value[row]) for name, value in drawn.coefficients.items()}, LAWS["skaling"])
        reached = surface.loss(1e21 / (6 * tokens), tokens)
        assert surface.optimum(1e21 - wasted[row]).loss == pytest.approx(reached, rel=1e-9)


@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_units_of_loss_and_order_of_rows_change_nothing(factor: float) -> None:
    runs = sweep(COUPLED, 0.005)
    order = np.random.default_rng(0).permutation(len(runs))
    again = Runs.from_arrays(runs.N[order], runs.D[order], factor * runs.L[order], C=runs.C[order])
    one, two = ensemble(runs).outlook(1e21), ensemble(again).outlook(1e21)
    assert two.params == pytest.approx(one.params, rel=1e-4)
    assert two.loss == pytest.approx(factor * one.loss, rel=1e-5)
    np.testing.assert_allclose(two.prediction, factor * np.array(one.prediction), rtol=1e-4)


def test_a_noise_free_sweep_of_the_law_is_forecast_to_the_width_of_its_priors() -> None:
    truth = study_surface("chinchilla")
    found = ensemble(sweep(truth, 0.0))
    best = truth.optimum(1e21)
    assert found.loss(best.params, best.tokens) == pytest.approx(best.loss, rel=2e-3)
    assert found.params(1e21) == pytest.approx(best.params, rel=0.05)


def test_a_forecast_far_beyond_the_runs_is_called_an_order_of_magnitude() -> None:
    found = ensemble(sweep(COUPLED))
    assert "order_of_magnitude" in {note.code for note in found.outlook(1e23).notes}
    assert "order_of_magnitude" not in {note.code for note in found.outlook(1e21).notes}


def test_laws_that_disagree_give_an_interval_and_no_point() -> None:
    found = ensemble(sweep(COUPLED, 0.05, budgets=(1e18, 1e19, 3e19)))
    far = next(c for c in np.geomspace(1e20, 1e40, 41) if found.outlook(float(c)).spread > DISAGREE)
    made = found.outlook(float(far))
    assert np.isnan(made.loss)
    assert np.isfinite(made.prediction).all()
    assert "laws_disagree" in {note.code for note in made.notes}


def test_a_run_far_from_the_valley_has_no_interval() -> None:
    found = ensemble(sweep(COUPLED))
    size = float(found.params(1e21))
    data = 1e21 / (6 * size)
    low, high = found.interval(np.array([size, 12 * size]), np.array([data, data / 12]))
    assert np.isfinite([low[0], high[0]]).all()
    assert np.isnan([low[1], high[1]]).all()


N, D = (v.ravel() for v in np.meshgrid([1e8, 2e8, 4e8, 8e8], [2e9, 8e9, 3e10]))


@pytest.mark.parametrize(
    ("sizes", "tokens", "needed"),
    [
        (N[:9], D[:9], "at least 10 runs, and these runs have 9 runs"),
        (np.where(N > 2e8, 4e8, 1e8), D, "at least 3 model sizes, and these runs have 2 model sizes"),
        (1e8 * (N / 1e8) ** 0.2, 2e9 * (D / 2e9) ** 0.2, "a factor 8 of compute"),
        (N, 20 * N, "one ratio of tokens to parameters"),
    ],
)
def test_too_little_to_average_is_refused(sizes: np.ndarray, tokens: np.ndarray, needed: str) -> None:
    with pytest.raises(IdentificationError, match=needed):
        # Losses that differ: rows that agree in every number would be copies, which count once.
        ensemble(Runs.from_arrays(sizes, tokens, COUPLED.loss(sizes, tokens) + 1e-4 * np.arange(sizes.size)))


def test_nonsense_is_refused() -> None:
    found = ensemble(sweep(COUPLED))
    with pytest.raises(UnsupportedError, match="positive number of FLOPs, got -1"):
        found.outlook(-1.0)
    with pytest.raises(UnsupportedError, match="between 0 and 1, got 90"):
        found.outlook(1e21, level=90)


def test_quantiles_of_the_width_are_students() -> None:
    width = Width(scale=2.0, freedom=3.0)
    assert width.quantile(0.9) == pytest.approx(2 * 2.353, rel=1e-3)
    assert width.quantile(0.5) == pytest.approx(2 * 0.7649, rel=1e-3)


def test_the_largest_sixteenth_of_farseer_is_forecast_within_four_per_mille(shared_data: Path) -> None:
    with (shared_data / "scalebench" / "farseer_train.csv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    sizes, tokens, losses = (np.array([float(row[name]) for row in rows]) for name in ("N", "D", "loss"))
    order = np.argsort(sizes * tokens, kind="stable")
    train, held = order[: -len(order) // 16], order[-len(order) // 16 :]
    found = ensemble(Runs.from_arrays(sizes[train], tokens[train], losses[train]))
    error = np.abs(found.loss(sizes[held], tokens[held]) / losses[held] - 1)
    assert np.median(error) < 0.004
    assert error.mean() < 0.004


def test_a_search_on_a_sample_ends_at_the_minimum_of_all_runs(monkeypatch):
    rng = np.random.default_rng(2)
    N = 10 ** rng.uniform(7, 10, 2_000)
    D = N * 10 ** rng.uniform(0, 2.5, N.size)
    loss = (1.7 + (3e3 / N**0.45 + 4e4 / D**0.5) ** 0.7) * np.exp(0.004 * rng.standard_normal(N.size))
    runs = Runs.from_arrays(N, D, loss)
    found = []
    for most in (10_000, 600):
        monkeypatch.setattr("lawful.solve.screening.MOST_SEARCHED", most)
        found.append(ensemble(runs).members)
    z, other = (members.laws.z for members in found)
    assert other.shape == z.shape
    assert np.abs(other - z).max() < 1e-5
    np.testing.assert_allclose(found[1].path, found[0].path, rtol=1e-4)
