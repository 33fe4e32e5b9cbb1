"""The kernel against scipy, closed forms and its own invariances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import least_squares, nnls

from lawful.solve import kernel, newton
from lawful.solve.grid import Linear, grid_values, local_minima, make_grid
from lawful.solve.small import best_subset, eliminate, inverse_spd, nonnegative, solve_spd
from portions import a_part_is_slow

Array = NDArray[np.float64]

BOX = np.array([[0.01, 2.0], [0.01, 2.0]])
FREE = Linear.free(3)

# The value is a sum over up to 60 squares of numbers near 3; two ways of adding them up differ by this.
ROUNDING = 1e-14


def problem(seed: int) -> tuple[Array, Array, np.random.Generator]:
    """A random small sweep: 8 to 40 runs, noise 0 to 0.2, asymmetry 1 to 9, logs centred."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(8, 41))
    ratio = np.exp(rng.uniform(0, np.log(9)))
    exponents = 0.62 * np.array([ratio, 1.0]) / (1 + ratio)
    alpha, beta = exponents if rng.random() < 0.5 else exponents[::-1]
    noise = rng.choice([0.0, rng.uniform(0, 0.01), rng.uniform(0, 0.2)])
    size, tokens = 10 ** rng.uniform(7, 10, n), 10 ** rng.uniform(8.5, 11.5, n)
    loss = 1.69 + 406 / size**alpha + 410 / tokens**beta + noise * rng.standard_normal(n)
    x = np.log(np.stack([size, tokens]))
    return x - x.mean(axis=1, keepdims=True), np.maximum(loss, 0.05), rng


def best_of_scipy(x: Array, y: Array, rng: np.random.Generator, starts: int, first: Array | None = None) -> float:
    """Lowest sum of squares that ``scipy.optimize.least_squares`` reaches from many starts."""

    def residual(z: Array) -> Array:
        return np.asarray(z[0] + z[1] * np.exp(-z[3] * x[0]) + z[2] * np.exp(-z[4] * x[1]) - y)

    def jacobian(z: Array) -> Array:
        e1, e2 = np.exp(-z[3] * x[0]), np.exp(-z[4] * x[1])
        return np.stack([np.ones_like(y), e1, e2, -z[1] * x[0] * e1, -z[2] * x[1] * e2], axis=1)

    lower, upper = np.array([0, 0, 0, *BOX[:, 0]]), np.array([np.inf] * 3 + [*BOX[:, 1]])

    def descend(start: Array, tolerance: float) -> tuple[float, Array]:
        ends = {"xtol": tolerance, "ftol": tolerance, "gtol": tolerance}
        found = least_squares(residual, start, jacobian, bounds=(lower, upper), **ends)
        return 2 * found.cost, found.x

    ends = []
    for i in range(starts):
        theta = np.exp(rng.uniform(*np.log(BOX.T)))
        columns = np.stack([np.ones_like(y), np.exp(-theta[0] * x[0]), np.exp(-theta[1] * x[1])], axis=1)
        start = np.concatenate([nnls(columns, y)[0] + 1e-6, np.clip(theta, BOX[:, 0] + 1e-9, BOX[:, 1] - 1e-9)])
        if first is not None and i == 0:
            start = first
        ends.append(descend(np.clip(start, lower + 1e-12, upper - 1e-12), 1e-8))
    # Every start goes to the valley's floor, the five that came lowest to the last digit.
    ends.sort(key=lambda end: end[0])
    return min(descend(np.clip(z, lower + 1e-12, upper - 1e-12), 1e-15)[0] for _, z in ends[:5])


@pytest.mark.parametrize("m", [1, 2, 3, 5])
@pytest.mark.parametrize("rows", [3, 200])
def test_small_solvers_agree_with_lapack(m: int, rows: int) -> None:
    rng = np.random.default_rng(m)
    root = rng.standard_normal((rows, m, m + 3))
    matrix, rhs = root @ root.transpose(0, 2, 1), rng.standard_normal((rows, m))
    expected = np.linalg.solve(matrix, rhs[:, :, None])[:, :, 0]
    np.testing.assert_allclose(solve_spd(matrix, rhs), expected, rtol=1e-8)
    np.testing.assert_allclose((inverse_spd(matrix) @ rhs[:, :, None])[:, :, 0], expected, rtol=1e-8)
    found, pivot = eliminate(matrix, rhs)
    np.testing.assert_allclose(found, expected, rtol=1e-8)
    assert (pivot > 0).all()


def test_elimination_reports_an_indefinite_system() -> None:
    matrix = np.array([[[1.0, 2.0], [2.0, 1.0]], [[2.0, 1.0], [1.0, 2.0]]])
    _, pivot = eliminate(matrix, np.ones((2, 2)))
    assert pivot[0] < 0 < pivot[1]


def test_held_unknowns_are_exactly_zero() -> None:
    matrix = np.array([[[2.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 4.0]]])
    free = np.array([[True, False, True]])
    np.testing.assert_allclose(solve_spd(matrix, np.ones((1, 3)), free), [[0.5, 0.0, 0.25]])


@given(st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_nonnegative_agrees_with_scipy_nnls(seed: int) -> None:
    rng = np.random.default_rng(seed)
    columns, y = rng.standard_normal((12, 3)), rng.standard_normal(12)
    c = nonnegative((columns.T @ columns)[None], (columns.T @ y)[None], np.ones(3, bool))[0]
    _, distance = nnls(columns, y)
    assert (c >= 0).all()
    assert np.linalg.norm(columns @ c - y) <= distance * (1 + 1e-9)


def test_no_feasible_subset_gives_zero() -> None:
    gram, moment = np.eye(3)[None], -np.ones((1, 3))
    np.testing.assert_array_equal(best_subset(gram, moment, np.ones(3, bool)), np.zeros((1, 3)))


def test_a_column_barely_wanted_is_taken() -> None:
    # With E left out its slope is 2e-4, and the sum of squares (0.23 of 1.5e5) is the same to its eleventh digit.
    x, y, _ = problem(1596)
    columns = np.stack([np.ones_like(y), *np.exp(-np.array([0.063822359098, 0.01])[:, None] * x)], axis=1)
    found = best_subset((columns.T @ columns)[None], (columns.T @ y)[None], np.ones(3, bool))[0]
    np.testing.assert_allclose(found, nnls(columns, y)[0], rtol=1e-6)


def test_grid_values_are_those_of_nnls() -> None:
    x, y, _ = problem(7)
    grid = make_grid(BOX, 9)
    value = grid_values(x, y[None], np.ones(y.size), grid, FREE)[0]
    for q in np.flatnonzero(np.isfinite(value))[::5]:
        columns = np.stack([np.ones_like(y), *np.exp(-grid.theta[q][:, None] * x)], axis=1)
        assert value[q] == pytest.approx(nnls(columns, y)[1] ** 2, rel=1e-7, abs=1e-10)


def test_grid_honours_a_pinned_constant() -> None:
    x, y, _ = problem(3)
    pinned = Linear(np.array([1.5, 0.0, 0.0]), np.array([1.5, np.inf, np.inf]))
    grid = make_grid(BOX, 7)
    value = grid_values(x, y[None], np.ones(y.size), grid, pinned)[0]
    for q in range(0, value.size, 6):
        columns = np.exp(-grid.theta[q][:, None] * x).T
        assert value[q] == pytest.approx(nnls(columns, y - 1.5)[1] ** 2, rel=1e-7, abs=1e-9)


def test_local_minima_are_listed_best_first() -> None:
    value = np.array([[3.0, 1.0, 3.0, 0.5], [4.0, 2.0, 4.0, 2.0]])
    assert local_minima(value.ravel(), (2, 4), 5).tolist() == [3, 1]


@pytest.mark.parametrize("seed", range(25))
def test_agreement_with_least_squares_started_at_the_optimum(seed: int) -> None:
    x, y, rng = problem(seed)
    rows = kernel.fit_squares(x, y, None, BOX, FREE)
    start = np.concatenate([rows.linear[0], rows.theta[0]])
    assert rows.converged[0]
    assert rows.value[0] <= best_of_scipy(x, y, rng, 1, start) * (1 + 1e-8) + ROUNDING


@pytest.mark.parametrize("seed", range(300, 330))
def test_never_worse_than_scipy_from_many_starts(seed: int) -> None:
    x, y, rng = problem(seed)
    rows = kernel.fit_squares(x, y, None, BOX, FREE)
    assert rows.converged[0]
    assert rows.value[0] <= best_of_scipy(x, y, rng, 12) * (1 + 1e-9) + ROUNDING


@pytest.mark.parametrize("seed", [321, 424, 1069, 1079, 1080, 1596])
def test_second_valleys_that_a_grid_cannot_see_are_found(seed: int) -> None:
    x, y, rng = problem(seed)
    rows = kernel.fit_squares(x, y, None, BOX, FREE)
    assert rows.value[0] <= best_of_scipy(x, y, rng, 50) * (1 + 1e-9) + ROUNDING


@pytest.mark.parametrize("first", a_part_is_slow(range(0, 2000, 100), every=10))
def test_global_optimum_on_two_thousand_problems(first: int) -> None:
    for seed in range(first, first + 100):
        x, y, rng = problem(seed)
        rows = kernel.fit_squares(x, y, None, BOX, FREE)
        assert rows.converged[0]
        assert rows.value[0] <= best_of_scipy(x, y, rng, 20) * (1 + 1e-9) + ROUNDING, seed


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_row_order_is_irrelevant(seed: int) -> None:
    x, y, rng = problem(seed)
    order = rng.permutation(y.size)
    a = kernel.fit_squares(x, y, None, BOX, FREE)
    b = kernel.fit_squares(x[:, order], y[order], None, BOX, FREE)
    assert b.value[0] == pytest.approx(a.value[0], rel=1e-8, abs=ROUNDING)


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_integer_weights_equal_repeated_rows(seed: int) -> None:
    x, y, rng = problem(seed)
    weight = rng.integers(1, 4, y.size)
    a = kernel.fit_squares(x, y, weight.astype(float), BOX, FREE)
    b = kernel.fit_squares(np.repeat(x, weight, axis=1), np.repeat(y, weight), None, BOX, FREE)
    assert b.value[0] == pytest.approx(a.value[0], rel=1e-8, abs=10 * ROUNDING)


def sweep(noise: float, n: int = 128) -> tuple[Array, Array]:
    """Four IsoFLOP curves of the Chinchilla surface."""
    rng = np.random.default_rng(0)
    budget = np.repeat(np.geomspace(1e18, 1e21, 4), n // 4)
    size = np.tile(np.geomspace(1 / 8, 8, n // 4), 4) * 0.08 * budget**0.5
    tokens = budget / 6 / size
    loss = 1.69 + 406.4 / size**0.34 + 410.7 / tokens**0.28
    x = np.log(np.stack([size, tokens]))
    return x - x.mean(axis=1, keepdims=True), loss + noise * rng.standard_normal(n)


@pytest.mark.parametrize("shape", ["weights", "losses"])
def test_a_batch_of_one_is_the_single_fit_and_chunks_change_nothing(
    shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = sweep(0.01)
    rng = np.random.default_rng(1)
    theta = np.repeat(kernel.fit_squares(x, y, None, BOX, FREE).theta[:1], 40, axis=0)
    if shape == "weights":
        ys, ws = y, rng.multinomial(y.size, np.full(y.size, 1 / y.size), size=40).astype(float)
    else:
        ys, ws = y + 0.01 * rng.standard_normal((40, y.size)), None
    whole = kernel.refine(x, ys, ws, theta, BOX, FREE, tolerance=1e-10)
    monkeypatch.setattr(kernel, "CHUNK_BYTES", 20_000)
    cut = kernel.refine(x, ys, ws, theta, BOX, FREE, tolerance=1e-10)
    np.testing.assert_allclose(cut.theta, whole.theta, rtol=1e-12)
    for i in (0, 17):
        y_i = ys if shape == "weights" else ys[i]
        w_i = None if ws is None else ws[i]
        single = kernel.refine(x, y_i, w_i, theta[:1], BOX, FREE, tolerance=1e-10)
        np.testing.assert_allclose(single.theta[0], whole.theta[i], rtol=1e-12)
        np.testing.assert_allclose(single.linear[0], whole.linear[i], rtol=1e-10)


def test_warm_refits_agree_with_tight_cold_ones() -> None:
    x, y = sweep(0.01)
    rng = np.random.default_rng(2)
    weights = rng.multinomial(y.size, np.full(y.size, 1 / y.size), size=30).astype(float)
    theta = kernel.fit_squares(x, y, None, BOX, FREE).theta[:1]
    warm = kernel.refine(x, y, weights, np.repeat(theta, 30, axis=0), BOX, FREE, tolerance=1e-7)
    for i in range(30):
        cold = kernel.fit_squares(x, y, weights[i], BOX, FREE)
        np.testing.assert_allclose(warm.theta[i], cold.theta[0], rtol=1e-6)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("delta", [None, 1e-3, 0.03])
def test_newton_model_slopes_and_curvature_match_finite_differences(log: bool, delta: float | None) -> None:
    x, _ = sweep(0.02, 32)
    model = newton.separable(x, log=log)
    z = np.array([[1.7, 0.8, 0.5, 0.34, 0.28]])
    value, slope, curvature = model(z)
    v = np.random.default_rng(0).standard_normal(value.shape) * (1.0 if delta is None else delta)
    step = 1e-6
    for k in range(5):
        up, down = z.copy(), z.copy()
        up[0, k] += step
        down[0, k] -= step
        high, low = model(up), model(down)
        np.testing.assert_allclose((high[0] - low[0])[0] / (2 * step), slope[0, k], rtol=1e-6, atol=1e-9)
        second = ((high[1] - low[1])[0] / (2 * step)) @ v[0]
        np.testing.assert_allclose(second, curvature(v)[0, k], rtol=1e-5, atol=1e-6 * np.abs(v).sum())


@pytest.mark.parametrize("seed", range(12))
def test_huber_optimum_is_scipys(seed: int) -> None:
    from lawful.estimate.solvers import Joint, Problem, solve
    from lawful.laws.laws import CHINCHILLA

    x, y, _ = problem(seed)
    delta = 0.02
    lower, upper = np.array([0, 0, 0, *BOX[:, 0]]), np.array([np.inf] * 3 + [*BOX[:, 1]])
    answer = solve(Problem(CHINCHILLA, x, np.zeros(2), y, None, lower, upper, log=False, delta=delta), Joint())

    def residual(z: Array) -> Array:
        return np.asarray(z[0] + z[1] * np.exp(-z[3] * x[0]) + z[2] * np.exp(-z[4] * x[1]) - y)

    start = np.clip(answer.z[0], lower + 1e-9, upper - 1e-9)
    peer = least_squares(
        residual, start, bounds=(lower, upper), loss="huber", f_scale=delta, xtol=1e-15, ftol=1e-15, gtol=1e-15
    )
    assert answer.converged[0]
    assert answer.value[0] <= peer.cost * (1 + 1e-9) + ROUNDING
