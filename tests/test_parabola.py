"""The one parabola against NumPy's, whatever the weights, the batch axes and the opening."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lawful.solve.parabola import Abscissae, fit_parabola, smallest_vertex

# NumPy solves for powers of x itself, which costs digits that the orthogonal polynomials here keep.
RTOL = 1e-7


def numpy_parabola(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> tuple[float, float, float]:
    """Vertex, curvature and value at the mean of x, by ``numpy.polyfit``."""
    used = weight > 0
    middle = x[used].mean()
    bend, tilt, level = np.polyfit(x[used] - middle, y[used], 2, w=np.sqrt(weight[used]))
    return middle - tilt / (2 * bend), bend, level


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000), st.integers(4, 30), st.floats(-3, 3), st.sampled_from([1e-3, 1.0, 50.0]))
def test_it_is_the_weighted_parabola_of_numpy(seed: int, n: int, centre: float, width: float) -> None:
    rng = np.random.default_rng(seed)
    x = centre + width * rng.uniform(-1, 1, n)
    y = 3 + rng.normal(size=n)
    weight = rng.integers(0, 4, n).astype(float)
    if np.count_nonzero(weight) < 4:
        return
    found = fit_parabola(x, y, weight)
    vertex, bend, level = numpy_parabola(x, y, weight)
    scale = np.abs(bend) + 1 / np.ptp(x) ** 2
    assert abs(float(found.curvature) - bend) < 1e-6 * scale
    if abs(bend) * np.ptp(x) ** 2 > 1e-2:
        assert abs(float(found.vertex) - vertex) < 1e-5 * (np.ptp(x) + abs(vertex - x.mean()))
    np.testing.assert_allclose(found.at(np.array([x[weight > 0].mean()]))[0], level, rtol=1e-6, atol=1e-6)


def test_batch_axes_of_sizes_losses_and_weights_broadcast() -> None:
    rng = np.random.default_rng(1)
    x, y, w = rng.normal(size=(2, 1, 6)), rng.normal(size=(5, 6)), rng.integers(1, 4, (5, 6)).astype(float)
    found = fit_parabola(x, y, w)
    assert found.vertex.shape == found.curvature.shape == (2, 5)
    assert found.coefficients.shape == (2, 5, 3)
    for i in range(2):
        for j in range(5):
            alone = fit_parabola(np.repeat(x[i, 0], w[j].astype(int)), np.repeat(y[j], w[j].astype(int)))
            np.testing.assert_allclose(found.vertex[i, j], alone.vertex, rtol=RTOL)
            np.testing.assert_allclose(found.coefficients[i, j], alone.coefficients, rtol=RTOL, atol=1e-9)


def test_a_hill_has_a_vertex_but_no_minimum() -> None:
    x = np.linspace(8, 10, 7)
    found = fit_parabola(x, -((x - 9.3) ** 2))
    assert float(found.vertex) == pytest.approx(9.3, abs=1e-12)
    assert np.isnan(found.minimum)
    assert float(found.curvature) == pytest.approx(-1.0, rel=1e-12)


@pytest.mark.parametrize("x", [[1.0, 1.0, 2.0, 2.0], [0.3, 0.3, 0.3], [1.0, 1.0 + 2e-16, 2.0]])
def test_two_sizes_leave_no_parabola(x: list[float]) -> None:
    found = fit_parabola(x, np.arange(len(x), dtype=float))
    assert np.isnan(found.vertex)
    assert np.isnan(found.curvature)
    assert not Abscissae.of(x).determined


def test_a_weight_of_nil_leaves_a_size_out() -> None:
    x, y = np.array([8.0, 9.0, 10.0, 40.0]), np.array([2.0, 1.0, 2.5, 7.0])
    weight = np.array([1.0, 1.0, 1.0, 0.0])
    assert float(fit_parabola(x, y, weight).vertex) == pytest.approx(
        float(fit_parabola(x[:3], y[:3]).vertex), rel=1e-14
    )
    assert not Abscissae.of(x, [1.0, 1.0, 0.0, 0.0]).determined


def test_leverage_and_the_error_of_the_curvature_are_those_of_the_normal_equations() -> None:
    rng = np.random.default_rng(3)
    x, y = np.sort(rng.uniform(8, 10, 9)), rng.normal(size=9)
    design = np.stack([np.ones(9), x - 9, (x - 9) ** 2], axis=1)
    inverse = np.linalg.inv(design.T @ design)
    at = Abscissae.of(x)
    np.testing.assert_allclose(at.leverage, np.einsum("ni,ij,nj->n", design, inverse, design), rtol=1e-10)
    rest = y - design @ (inverse @ design.T @ y)
    expected = np.sqrt(rest @ rest / 6 * inverse[2, 2])
    assert float(at.curvature_error(y)) == pytest.approx(expected, rel=1e-9)
    assert np.isnan(Abscissae.of(x[:3]).curvature_error(y[:3]))


def test_the_smallest_parabola_through_two_sizes_is_that_of_polyfit() -> None:
    x, y, weight = np.array([8.1, 9.2, 9.9]), np.array([2.4, 2.2, 2.3]), np.array([2.0, 0.0, 1.0])
    with pytest.warns(Warning, match="poorly conditioned"):  # whose class moved with NumPy 2
        bend, tilt, _ = np.polyfit(np.repeat(x, weight.astype(int)), np.repeat(y, weight.astype(int)), 2)
    np.testing.assert_allclose(smallest_vertex(x, y, weight), (-tilt / (2 * bend), bend), rtol=1e-9)


def exact_parabola(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Vertex and curvature of the same numbers in rational arithmetic: Cramer's rule on the normal equations."""
    rows = [(Fraction(float(a)), Fraction(float(b)), Fraction(float(c))) for a, b, c in zip(x, y, weight, strict=True)]
    s = [sum(w * a**k for a, _, w in rows) for k in range(5)]
    t = [sum(w * b * a**k for a, b, w in rows) for k in range(3)]

    def det(m: list[list[Fraction]]) -> Fraction:
        (a, b, c), (d, e, f), (g, h, i) = m
        return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)

    gram = [[s[i + j] for j in range(3)] for i in range(3)]
    _, tilt, bend = (
        det([[t[i] if j == k else gram[i][j] for j in range(3)] for i in range(3)]) / det(gram) for k in range(3)
    )
    return float(-tilt / (2 * bend)), float(bend)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("steep", [1e-2, 1e-6, 1e-9])
def test_a_shallow_parabola_keeps_its_digits_under_uneven_weights(seed: int, steep: float) -> None:
    """
    The curvature is a millionth of the level and weights differ a thousandfold, as counts and L^-2 may make them.

    Sums of weighted losses cancel all but the last digits there; what rounding leaves of them must meet numbers as
    small as the parabola itself, not the level of 3 nats.
    """
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(8, 10, 9))
    y = 3.0 + steep * ((x - 9.1) ** 2 + 0.1 * rng.standard_normal(9))
    weight = 10 ** rng.uniform(-3, 0, 9)
    found = fit_parabola(x, y, weight)
    vertex, bend = exact_parabola(x, y, weight)
    assert float(found.curvature) == pytest.approx(bend, rel=1e-11)
    assert float(found.vertex) == pytest.approx(vertex, rel=1e-12)
