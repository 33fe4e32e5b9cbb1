"""How wide N* is: the average over k against scipy, and against the law with a free k."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime, least_squares

from lawful.data.runs import Runs
from lawful.forecasting.members import _excess_noise
from lawful.forecasting.sets import coupled, design
from lawful.forecasting.shapes import SHAPES, WIDE_FLOOR, WIDE_SHAPE, path_covariance
from lawful.laws.surface import Surface

Z = np.array([[0.6, -1.0, -1.0, 0.4, 0.4, 0.8]])
"""A start: both terms a third of the lowest loss at the middle of the runs."""

WIDE = 10.0
"""A Huber width that no residual reaches: squares."""


def losses(truth: Surface, kind: str, noise: float, seed: int = 0) -> Runs:
    N, D = design(kind, truth)
    L = truth.loss(N, D) * np.exp(noise * np.random.default_rng([seed, 41]).standard_normal(N.size))
    return Runs.from_arrays(N, D, L)


class Slow:
    """The same posterior written out one law at a time, minimised by scipy, its slopes by differences."""

    def __init__(self, runs: Runs, noise: float) -> None:
        self.x, self.y = np.log(runs.N / np.exp(np.log(runs.N).mean())), np.log(runs.D / np.exp(np.log(runs.D).mean()))
        self.middle = np.log(runs.N).mean() + np.log(runs.D).mean()
        self.low, self.l, self.noise = runs.L.min(), np.log(runs.L / runs.L.min()), noise
        self.left = np.log(runs.N).mean()

    def residual(self, z: np.ndarray, k: float) -> np.ndarray:
        # In levels and exponents of the loss itself, so that the determinant needs no change of coordinates.
        e, a, b, alpha, beta = z
        law = e + (np.exp((a - alpha * self.x) / k) + np.exp((b - beta * self.y) / k)) ** k
        return np.append((np.log(law) - self.l) / self.noise, (e - WIDE_FLOOR[0]) / WIDE_FLOOR[1])

    def size(self, z: np.ndarray, k: float, product: float) -> float:
        _, a, b, alpha, beta = z
        whole = product - self.middle
        return float((k * np.log(alpha / beta) + a - b + beta * whole) / (alpha + beta))

    def best(self, k: float) -> tuple[np.ndarray, float, np.ndarray]:
        """Coefficients, misfit and curvature."""
        starts = ([0.6, -1.0, -1.0, 0.3, 0.3], [0.7, -1.5, -1.0, 0.4, 0.3], [0.5, -1.0, -1.5, 0.3, 0.4])
        tries = [least_squares(self.residual, z, args=(k,), x_scale="jac", xtol=1e-14, ftol=1e-14) for z in starts]
        found = min(tries, key=lambda one: one.cost)
        return found.x, found.cost, found.jac.T @ found.jac

    def variance(self, product: float) -> float:
        means, within, weight = [], [], []
        for k in SHAPES:
            z, misfit, bend = self.best(k)
            slope = approx_fprime(z, lambda z, k=k: self.size(z, k, product), 1e-6)
            means.append(self.size(z, k, product))
            within.append(slope @ np.linalg.solve(bend, slope))
            prior = 0.5 * ((k - WIDE_SHAPE[0]) / WIDE_SHAPE[1]) ** 2
            weight.append(-misfit - 0.5 * np.linalg.slogdet(bend)[1] - prior)
        share = np.exp(np.array(weight) - max(weight))
        share /= share.sum()
        away = np.array(means) - share @ np.array(means)
        return float(share @ (np.array(within) + away**2))


@pytest.mark.parametrize(("kind", "k", "noise"), [("sweep", 0.65, 0.003), ("grid", 1.0, 0.01), ("grid", 0.5, 0.003)])
def test_the_width_of_a_path_is_that_of_laws_fitted_one_by_one(kind: str, k: float, noise: float) -> None:
    runs = losses(coupled(k), kind, noise)
    top = float(np.log(runs.N * runs.D).max())
    found = path_covariance((runs.N, runs.D), runs.L, np.full(len(runs), noise**-2), WIDE, Z, top)
    slow = Slow(runs, noise)
    for past in (0.0, np.log(10.0)):
        ours = found[0, 0] + 2 * past * found[0, 1] + past**2 * found[1, 1]
        assert np.sqrt(ours) == pytest.approx(np.sqrt(slow.variance(top + past)), rel=0.01)


def test_runs_that_tell_k_leave_what_a_free_k_leaves() -> None:
    noise = 4e-3
    runs = losses(coupled(0.7), "sweep", noise)
    top = float(np.log(runs.N * runs.D).max())
    found = path_covariance((runs.N, runs.D), runs.L, np.full(len(runs), noise**-2), WIDE, Z, top)
    slow = Slow(runs, noise)

    def residual(z: np.ndarray) -> np.ndarray:
        return np.append(slow.residual(z[:5], z[5]), (z[5] - WIDE_SHAPE[0]) / WIDE_SHAPE[1])

    free = least_squares(residual, [*slow.best(0.7)[0], 0.7], x_scale="jac", xtol=1e-14, ftol=1e-14)
    slope = approx_fprime(free.x, lambda z: slow.size(z[:5], z[5], top), 1e-6)
    linear = slope @ np.linalg.solve(free.jac.T @ free.jac, slope)
    assert np.sqrt(found[0, 0]) == pytest.approx(np.sqrt(linear), rel=0.05)


def test_a_better_design_and_less_noise_tell_more() -> None:
    def width(kind: str, noise: float) -> float:
        runs = losses(coupled(0.8), kind, noise)
        top = float(np.log(runs.N * runs.D).max())
        return float(path_covariance((runs.N, runs.D), runs.L, np.full(len(runs), noise**-2), WIDE, Z, top)[0, 0])

    assert width("sweep", 0.003) < width("sweep", 0.01) < width("ladder", 0.01)
    assert width("grid", 0.003) < width("grid", 0.01) < width("ladder", 0.01)


def test_copies_of_every_run_tell_twice_as_much() -> None:
    runs = losses(coupled(0.8), "grid", 0.002)
    top, told = float(np.log(runs.N * runs.D).max()), np.full(len(runs), 2.5e5)
    once = path_covariance((runs.N, runs.D), runs.L, 2 * told, WIDE, Z, top)
    twice = [np.tile(column, 2) for column in (runs.N, runs.D, runs.L, told)]
    again = path_covariance((twice[0], twice[1]), twice[2], twice[3], WIDE, Z, top)
    np.testing.assert_allclose(again, once, rtol=1e-3)


def test_runs_that_scatter_more_than_they_were_weighed_by_tell_less() -> None:
    told, rng = np.full(40, 1e4), np.random.default_rng(5)
    residual = 0.01 * rng.standard_normal(40)
    assert _excess_noise(residual / 3, told, 1.0) == 1.0
    wide = _excess_noise(3 * residual, told, 1.0)
    assert wide == pytest.approx(9 * (residual**2).sum() * 1e4 / 34)
    residual[0] = 5.0
    assert _excess_noise(3 * residual, told, 0.05) < 1.5 * wide
