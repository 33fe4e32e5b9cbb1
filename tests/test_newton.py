"""Newton's method on boxes, gates and Huber's loss, row by row, against scipy and against its own gradient."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import least_squares

from lawful.solve import newton

LOWER, UPPER = np.array([0, 0, 0, 0.01, 0.01]), np.array([np.inf, np.inf, np.inf, 2.0, 2.0])
GATES = ((1, 3), (2, 4))
TRUE = np.array([1.7, 0.8, 0.5, 0.34, 0.28])
# A relative step of 1e-10 in a coefficient leaves a gradient of about this share of the summed slopes.
STILL = 1e-6


def sweep(noise=0.01, seed=0, runs=30):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-3, 3, (2, runs))
    return x, law(TRUE, x) + noise * rng.standard_normal(runs)


def law(z, x):
    return z[0] + z[1] * np.exp(-z[3] * x[0]) + z[2] * np.exp(-z[4] * x[1])


def starts(rows, seed=1):
    return TRUE * np.exp(0.15 * np.random.default_rng(seed).standard_normal((rows, 5)))


def minimised(x, y, z, **options):
    log = options.pop("log", False)
    w = options.pop("w", np.ones(y.shape[-1]))
    return newton.minimise(newton.separable(x, log=log), y, w, z, LOWER, UPPER, gates=GATES, **options)


def objective(z, x, y, delta, *, log=False):
    value = law(z, x)
    r = y - (np.log(value) if log else value)
    size = np.abs(r)
    return np.where(size <= delta, 0.5 * r**2, delta * (size - 0.5 * delta)).sum()


def projected_gradient(z, x, y, delta, *, log=False):
    """Central differences of the objective, without what a bound holds back."""
    out = np.zeros(5)
    for k in range(5):
        step = np.zeros(5)
        step[k] = 1e-6 * max(abs(z[k]), 1e-3)
        up, down = (objective(z + s, x, y, delta, log=log) for s in (step, -step))
        slope = (up - down) / (2 * step[k])
        held = (z[k] <= LOWER[k] and slope > 0) or (z[k] >= UPPER[k] and slope < 0)
        out[k] = 0.0 if held else slope
    return np.abs(out).max()


@pytest.mark.parametrize("delta", [None, 0.01])
@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("max_iter", [2, 4, 6, 200])
def test_a_row_is_called_converged_where_its_gradient_is_gone_and_only_there(delta, log, max_iter):
    x, y = sweep()
    y = np.log(y) if log else y
    found = minimised(x, y, starts(40), delta=delta, log=log, max_iter=max_iter)
    width = np.inf if delta is None else delta
    slopes = np.array([projected_gradient(z, x, y, width, log=log) for z in found.z])
    assert (slopes[found.converged] < STILL).all()
    # A few iterations do not reach it, and those rows may not claim so.
    if max_iter <= 4:
        assert (slopes > STILL).mean() > 0.5
    if max_iter == 200:
        assert found.converged.mean() > 0.8


def test_no_iteration_leaves_the_start_unconverged():
    x, y = sweep()
    z = np.clip(starts(5), LOWER, UPPER)
    found = minimised(x, y, z, max_iter=0)
    np.testing.assert_array_equal(found.z, z)
    assert not found.converged.any()


@pytest.mark.parametrize("delta", [None, 0.005, 0.05])
@pytest.mark.parametrize("seed", range(4))
def test_the_minimum_inside_a_box_is_scipys(delta, seed):
    x, y = sweep(0.02, seed)
    upper = np.where(np.arange(5) == 3, 0.25, UPPER)
    z = np.clip(starts(6, seed), LOWER, upper)
    model = newton.separable(x, log=False)
    found = newton.minimise(model, y, np.ones(30), z, LOWER, upper, delta=delta, gates=GATES)
    options = {"loss": "linear"} if delta is None else {"loss": "huber", "f_scale": delta}
    ends = LOWER - 1e-12, np.minimum(upper, 1e9) + 1e-12
    peer = least_squares(lambda k: law(k, x) - y, z[0], bounds=ends, xtol=1e-15, ftol=1e-15, gtol=1e-15, **options)
    assert found.value.min() <= peer.cost * (1 + 1e-8)
    assert found.z[:, 3].max() <= 0.25


def test_rows_have_losses_weights_widths_and_bounds_of_their_own():
    x, _ = sweep()
    rng = np.random.default_rng(8)
    y = np.stack([sweep(0.02, seed)[1] for seed in range(6)])
    w = rng.uniform(0.5, 2.0, y.shape)
    delta = np.array([0.01, 0.02, 0.05, 0.01, 0.1, 1.0])
    lower, upper = np.tile(LOWER, (6, 1)), np.tile(UPPER, (6, 1))
    lower[2, 0] = upper[2, 0] = 1.6
    z = np.clip(np.tile(TRUE, (6, 1)), lower, upper)
    model = newton.separable(x, log=False)
    together = newton.minimise(model, y, w, z, lower, upper, delta=delta, gates=GATES)
    assert together.z[2, 0] == 1.6
    for i in range(6):
        alone = newton.minimise(model, y[i], w[i], z[i : i + 1], lower[i], upper[i], delta=float(delta[i]), gates=GATES)
        np.testing.assert_allclose(together.z[i], alone.z[0], rtol=1e-8)
        assert together.value[i] == pytest.approx(alone.value[0], rel=1e-12)


def test_the_exponent_of_a_term_that_is_gone_stays_where_it_was():
    x, _ = sweep()
    y = 1.7 + 0.5 * np.exp(-0.28 * x[1]) + 0.3 * np.exp(0.4 * x[0])  # the loss rises with size: its term must vanish
    found = minimised(x, y, np.array([[1.8, 0.02, 0.5, 0.34, 0.28]]))
    assert found.converged[0]
    assert found.z[0, 1] == 0.0
    again = minimised(x, y, found.z)
    assert again.z[0, 3] == found.z[0, 3]


def test_the_log_of_a_law_curves_as_its_differences_say():
    x, _ = sweep(runs=12)
    model = newton.logged(newton.separable(x, log=False))
    value, slope, curvature = model(TRUE[None])
    np.testing.assert_allclose(value[0], np.log(law(TRUE, x)), rtol=1e-14)
    v = np.random.default_rng(0).standard_normal((1, 12))
    for k in range(5):
        step = np.zeros(5)
        step[k] = 1e-6
        up, down = model((TRUE + step)[None]), model((TRUE - step)[None])
        np.testing.assert_allclose((up[0] - down[0])[0] / 2e-6, slope[0, k], rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(((up[1] - down[1])[0] / 2e-6) @ v[0], curvature(v)[0, k], rtol=1e-6, atol=1e-8)


def test_integer_weights_are_repeated_runs():
    x, y = sweep()
    times = np.random.default_rng(2).integers(0, 4, 30)
    weighted = minimised(x, y, TRUE[None].copy(), w=times.astype(float), delta=0.01)
    repeated = minimised(np.repeat(x, times, axis=1), np.repeat(y, times), TRUE[None].copy(), delta=0.01)
    np.testing.assert_allclose(weighted.z, repeated.z, rtol=1e-8)
