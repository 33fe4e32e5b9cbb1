"""The linearised fit against refits of moved runs, simulated answers, and a likelihood that scipy maximises."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import stdtrit

import lawful
from lawful.core.objective import Objective
from lawful.data.runs import Runs
from lawful.estimate.solvers import prepare, problem_of
from lawful.uncertainty.delta import answer
from lawful.uncertainty.linear import (
    corrected_residuals,
    equal_noise,
    free_coefficients,
    influence,
    linearise,
    spread_by,
    strays,
    trend_noise,
    unequal_noise,
    variance_power,
    work,
)
from lawful.uncertainty.quantity import Quantity, gradient
from lawful.uncertainty.replicas import linearised, refit
from repeats import repeated

TRUTH = lawful.Surface.named("chinchilla")
PLAN = lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=TRUTH)
MEAN = lawful.simulate(TRUTH, PLAN)


def squares(runs, **options):
    """Fit by squares unless asked otherwise: the default may turn to a robust objective by itself."""
    return lawful.fit(runs, **{"objective": "squared", **options})


def at_optimum(found):
    problem = prepare(found.runs, found.surface.law, found.objective, found.solver.bounds, found.fixed)
    z = answer(found, problem)
    return problem, z, linearise(problem, z)


def noisy(seed=1, noise=0.01, weight=None):
    errors = noise * np.random.default_rng([seed, 31]).standard_normal(len(MEAN))
    return Runs.from_arrays(MEAN.N, MEAN.D, MEAN.L + errors, weight=weight)


@pytest.mark.parametrize("objective", ["squared", "log-squared"])
@pytest.mark.parametrize(("name", "budget"), [("alpha", None), ("params", 1e23), ("loss", 1e23)])
def test_influence_is_what_a_refit_says_of_a_run_that_moves(objective, name, budget):
    """A curved law adds the curvature times the residuals, so the noise is kept small beside the move."""
    runs = noisy(noise=1e-5)
    found = squares(runs, objective=objective)
    problem, z, at = at_optimum(found)
    slope = gradient(Quantity(name, budget), found.surface.law, z, problem.centre)
    told = influence(at, slope)[0]
    for i in (0, 8, 13, 26):
        ends = []
        for side in (1, -1):
            moved = runs.L.copy()
            moved[i] = moved[i] * np.exp(side * 1e-4) if objective.startswith("log") else moved[i] + side * 1e-4
            again = squares(Runs.from_arrays(runs.N, runs.D, moved), objective=objective).surface
            value = again["alpha"] if budget is None else getattr(again.optimum(budget), name)
            ends.append(np.log(value) if name == "params" else value)
        assert told[i] == pytest.approx((ends[0] - ends[1]) / 2e-4, rel=5e-3, abs=5e-3 * np.abs(told).max())


def test_leverages_add_up_to_the_free_coefficients():
    for options, count in (({}, 5), ({"fixed": {"E": 1.69}}, 4), ({"bounds": {"alpha": (0.01, 0.2)}}, 4)):
        problem, z, at = at_optimum(squares(noisy(), **options))
        assert int(free_coefficients(problem, z).sum()) == count
        assert at.leverage.sum() == pytest.approx(count, rel=1e-6)
        assert float(at.freedom[0]) == 27 - count
        assert ((at.leverage >= 0) & (at.leverage <= 1 + 1e-9)).all()


def test_weights_of_whole_numbers_are_repeated_runs():
    times = np.random.default_rng(5).integers(1, 4, 27)
    runs = noisy(weight=times.astype(float))
    found = squares(runs)
    again = squares(repeated(noisy(), times))
    (_, _, one), (_, _, two) = at_optimum(found), at_optimum(again)
    np.testing.assert_allclose(np.repeat(one.leverage[0] / times, times), two.leverage[0], rtol=1e-5)
    # The variance of a run of weight one: the same sum of squares, over the degrees of freedom of 27 runs.
    assert one.variance[0] * 22 == pytest.approx(two.variance[0] * (times.sum() - 5), rel=1e-6)


def test_corrected_residuals_have_the_spread_of_the_noise_and_the_last_power_is_the_jackknife():
    held = {"alpha": TRUTH["alpha"], "beta": TRUTH["beta"]}
    found = squares(noisy(), fixed=held)
    _, _, at = at_optimum(found)
    for i in (0, 12, 26):
        keep = np.arange(27) != i
        left = squares(Runs.from_arrays(*(v[keep] for v in (found.runs.N, found.runs.D, found.runs.L))), fixed=held)
        out = found.runs.L[i] - float(left.surface.loss(found.runs.N[i], found.runs.D[i]))
        assert corrected_residuals(at, 1.0)[0, i] == pytest.approx(out, rel=1e-5)
    many = np.array([corrected_residuals(at_optimum(squares(noisy(s), fixed=held))[2], 0.5)[0] for s in range(200)])
    # 5400 squares of one standard deviation each: their mean is known to 2%.
    assert (many**2).mean() == pytest.approx(0.01**2, rel=0.06)


def test_standard_errors_are_the_spread_of_simulated_answers():
    """Noise that follows the loss: of the three, the one for equal noise alone is wrong."""
    above = MEAN.L - TRUTH["E"]
    noise = 0.004 * (above / above.mean()) ** 2
    held = {"alpha": TRUTH["alpha"], "beta": TRUTH["beta"]}
    answers, said = [], []
    for seed in range(200):
        found = squares(noisy(seed, noise), fixed=held)
        _, _, at = at_optimum(found)
        slope = np.eye(5)[[1]]
        answers.append(found.surface["A"] * np.exp(-TRUTH["alpha"] * np.log(MEAN.N).mean()))
        said.append([float(kind(at, slope).error[0]) for kind in (trend_noise, unequal_noise, equal_noise)])
    spread = np.std(answers)
    trend, unequal, equal = np.sqrt((np.array(said) ** 2).mean(axis=0)) / spread
    # The spread of 200 answers is known to 5%.
    assert trend == pytest.approx(1.0, abs=0.2)
    assert unequal == pytest.approx(1.0, abs=0.2)
    assert equal < 0.8


def fits_under(scale, sets=300):
    """Fits of a sweep of 45 runs whose noise has these relative sizes, and what each misses alpha by."""
    plan = lawful.Plan.isoflop(np.geomspace(1e17, 1e21, 5), 9, surface=TRUTH)
    mean = lawful.simulate(TRUTH, plan)
    size = scale(mean) / np.sqrt((scale(mean) ** 2).mean())
    losses = mean.L + 0.01 * size * np.random.default_rng(17).standard_normal((sets, len(mean)))
    problem = problem_of(squares(mean))
    fits = refit(problem, losses, answer(squares(mean), problem)[0])
    return fits, linearised(fits), fits.z[:, problem.law.names.index("alpha")] - TRUTH["alpha"]


def test_a_noise_that_follows_the_size_is_seen_and_each_run_then_tells_its_own():
    alarms, held = [], []
    for scale in (lambda runs: np.ones(len(runs)), lambda runs: runs.L - TRUTH["E"], lambda runs: runs.N**-0.25):
        fits, at, missed = fits_under(scale)
        model, logs = work(at), fits.problem.logs
        slope = gradient(Quantity("alpha"), fits.problem.law, fits.z, fits.problem.centre)
        own = strays(at, model, logs)
        alarms.append(own.mean())
        kinds = {kind: spread_by(kind, at, slope, logs, model) for kind in ("auto", "trend", "unequal")}
        np.testing.assert_array_equal(kinds["auto"].error[own], kinds["unequal"].error[own])
        np.testing.assert_array_equal(kinds["auto"].freedom[~own], kinds["trend"].freedom[~own])
        reach = {kind: stdtrit(found.freedom, 0.95) * found.error for kind, found in kinds.items()}
        held.append({kind: float((np.abs(missed) <= half).mean()) for kind, half in reach.items()})
    # Two looks at one in ten each; the standard error of a share of 300 is 2 points at most.
    assert max(alarms[:2]) < 0.25
    assert alarms[2] > 0.6
    assert all(0.85 <= cell["auto"] <= 0.95 for cell in held)
    assert held[2]["trend"] < 0.85


def test_what_residuals_show_of_each_variance_is_what_simulation_says():
    """(M phi M)_ii under the working variances, M = 1 - H."""
    above = MEAN.L - TRUTH["E"]
    found = squares(noisy(3, 0.004 * (above / above.mean()) ** 2), fixed={"alpha": 0.34, "beta": 0.28})
    _, _, at = at_optimum(found)
    model = work(at)
    X = at.slope[0][:3].T
    M = np.eye(27) - X @ np.linalg.pinv(X)
    draws = np.random.default_rng(0).standard_normal((40_000, 27)) * np.sqrt(model.phi[0])
    np.testing.assert_allclose((draws @ M).var(axis=0), model.seen[0], rtol=0.05)


def test_the_power_of_the_noise_is_the_one_of_greatest_likelihood():
    above = MEAN.L - TRUTH["E"]
    found = squares(noisy(4, 0.004 * (above / above.mean()) ** 1.5))
    _, _, at = at_optimum(found)
    u = np.log(at.reducible[0]) - np.log(at.reducible[0]).mean()
    square = at.residual[0] ** 2 / (1 - at.leverage[0])

    def minus_log_likelihood(power):
        return np.log((square * np.exp(-power * u)).mean()) * 27 + power * u.sum()

    best = minimize_scalar(minus_log_likelihood, bounds=(-4, 4), method="bounded", options={"xatol": 1e-10})
    power, error = variance_power(at)
    assert power[0] == pytest.approx(best.x, abs=1e-5)
    step = 1e-3
    bend = minus_log_likelihood(best.x + step) + minus_log_likelihood(best.x - step) - 2 * best.fun
    # The error is that of expected information, sqrt(2/sum u²); the observed one scatters about it.
    assert error[0] == pytest.approx(np.sqrt(2 / (bend / step**2)), rel=0.5)


def test_hubers_standard_error_is_the_spread_of_simulated_answers():
    held = {"alpha": TRUTH["alpha"], "beta": TRUTH["beta"]}
    for delta in (0.0134, 0.003):
        answers, said = [], []
        for seed in range(150):
            found = squares(noisy(seed), fixed=held, objective=Objective("huber", delta))
            _, _, at = at_optimum(found)
            answers.append(found.surface["E"])
            said.append(float(equal_noise(at, np.eye(5)[[0]]).error[0]))
        assert np.median(said) / np.std(answers) == pytest.approx(1.0, abs=0.2), delta
