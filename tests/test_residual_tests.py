"""Tests of the law, shared errors and identification on simulated truths: how often each is right."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

import lawful
from lawful.uncertainty.delta import delta
from lawful.uncertainty.lawtest import Residuals, gap_labels, law_test
from lawful.uncertainty.shared import Shared, shared_error
from lawful.valley.exact import Ends
from lawful.valley.identified import identified


def sweep(budgets=6, sizes=7):
    C = np.repeat(np.geomspace(1e18, 1e21, budgets), sizes)
    N = np.sqrt(C / 120) * np.tile(np.geomspace(0.2, 5, sizes), budgets)
    return N, C / 6 / N


def ladder():
    N = np.repeat(np.geomspace(3e7, 3e9, 6), 5)
    return N, 20 * N * np.tile(2.0 ** np.arange(-1, 4), 6)


def grid():
    N, D = np.meshgrid(np.geomspace(3e7, 3e9, 6), np.geomspace(1e9, 1e11, 6))
    return N.ravel(), D.ravel()


def cells():
    return tuple(np.repeat(v, 3) for v in sweep(4, 5))


def mean_loss(N, D, k=1.0):
    """Hoffmann-like surface with k = 1, with the coupled law's power otherwise."""
    return 1.7 + ((400 / N**0.34) ** (1 / k) + (1800 / D**0.37) ** (1 / k)) ** k


class Labels(NamedTuple):
    cell: np.ndarray
    budget: np.ndarray
    size: np.ndarray


def labels(N, D):
    size, tokens = (gap_labels(np.log(v), 1e-9) for v in (N, D))
    return Labels(size * 1000 + tokens, gap_labels(np.log(N * D), 0.02), gap_labels(np.log(N), 0.02))


def residuals(N, D, L):
    at = delta(lawful.fit(lawful.Runs.from_arrays(N, D, L))).linear
    free, of = at.free[0], labels(N, D)
    return Residuals(
        at.slope[0][free], at.residual[0], np.ones(L.size), np.ones(L.size), at.reducible[0], np.log(N), np.log(D),
        of.budget, of.size, of.cell,
    )  # fmt: skip


def refusals(design, k, sigma, sets):
    N, D = design
    noise = [sigma * np.random.default_rng([seed, 7]).standard_normal(N.size) for seed in range(sets)]
    return np.mean([law_test(residuals(N, D, mean_loss(N, D, k) + e)).refused for e in noise])


@pytest.mark.parametrize("design", [sweep, ladder, grid, cells])
def test_a_right_law_is_hardly_ever_refused(design):
    # Nominal 1%: four of 80 or more would come up once in a hundred times.
    assert refusals(design(), 1.0, 0.005, 80) <= 3 / 80


@pytest.mark.parametrize(("design", "sigma", "least"), [(sweep, 0.003, 0.95), (sweep, 0.01, 0.6), (grid, 0.01, 0.6)])
def test_a_coupled_truth_is_refused(design, sigma, least):
    assert refusals(design(), 0.58, sigma, 20) >= least


def few():
    """Three budgets of four sizes: twelve runs, whose signs have few patterns."""
    return sweep(3, 4)


def test_a_coupled_truth_is_refused_on_twelve_runs():
    assert refusals(few(), 1.0, 0.003, 80) <= 3 / 80
    assert refusals(few(), 0.8, 0.003, 20) == 1.0


def test_the_f_test_of_a_coupling_is_that_of_nested_least_squares():
    """Against scipy: the law with one column more, the slope by k, by lstsq."""
    from scipy import stats

    N, D = few()
    at = residuals(N, D, mean_loss(N, D) + 0.01 * np.random.default_rng(4).standard_normal(N.size))
    bend = at.reducible * np.log(at.reducible)
    least = [np.linalg.lstsq(x, at.residual, rcond=None)[1][0] for x in (at.slope.T, np.c_[at.slope.T, bend])]
    free = N.size - 6
    expected = stats.f.sf((least[0] - least[1]) / (least[1] / free), 1, free)
    assert law_test(at).each["power"] == pytest.approx(expected, rel=1e-6)


def test_the_direction_and_size_of_a_refusal():
    N, D = sweep()
    L = mean_loss(N, D, 0.58) + 0.002 * np.random.default_rng(0).standard_normal(N.size)
    found = law_test(residuals(N, D, L))
    assert found.refused
    assert found.each["coupled"] <= 0.002
    # What the bends add back is what the law misses, to within the noise.
    at = delta(lawful.fit(lawful.Runs.from_arrays(N, D, L))).linear
    assert 0.5 < found.missed / np.sqrt((at.residual[0] ** 2).mean()) <= 1.0


def test_the_order_of_runs_changes_nothing():
    N, D = sweep()
    L = mean_loss(N, D) + 0.005 * np.random.default_rng(2).standard_normal(N.size)
    at = residuals(N, D, L)
    order = np.random.default_rng(3).permutation(N.size)
    turned = Residuals(at.slope[:, order], *(None if v is None else v[order] for v in at[1:]))
    first, second = law_test(at), law_test(turned)
    assert second.p == pytest.approx(first.p, abs=0.0021)
    assert second.missed == pytest.approx(first.missed, rel=1e-8)


def test_few_or_exact_runs_are_not_judged():
    N, D = sweep(2, 4)
    assert law_test(residuals(N, D, mean_loss(N, D) + 0.01 * np.cos(np.arange(8)))).p is None
    N, D = sweep()
    assert law_test(residuals(N, D, mean_loss(N, D))).p is None


@pytest.mark.parametrize("name", ["budget", "size", "cell"])
def test_effects_of_groups_are_seen(name):
    N, D = {"budget": sweep, "size": ladder, "cell": cells}[name]()
    label = getattr(labels(N, D), name)
    seen = []
    for seed in range(12):
        rng = np.random.default_rng([seed, 5])
        group = np.unique(label, return_inverse=True)[1]
        L = mean_loss(N, D) + 0.005 * (rng.standard_normal(N.size) + 2 * rng.standard_normal(group.max() + 1)[group])
        found = law_test(residuals(N, D, L))
        seen.append(found.each[{"cell": "replicates"}.get(name, name)] < 0.05)
    assert np.mean(seen) > 0.7


def found_share(design, name, sets=25, share=0.5):
    N, D = design
    of = labels(N, D)
    group = np.unique(getattr(of, name), return_inverse=True)[1] if name else np.arange(N.size)
    found = []
    for seed in range(sets):
        rng = np.random.default_rng([seed, 6])
        common = np.sqrt(share) * rng.standard_normal(group.max() + 1)[group]
        L = mean_loss(N, D) + 0.005 * (common + np.sqrt(1 - share) * rng.standard_normal(N.size))
        at = residuals(N, D, L)
        groupings = {"cell": of.cell, "budget": of.budget, "size": of.size}
        found.append(shared_error(at.slope, at.residual, groupings, along=(of.budget, np.log(N))))
    return found


def test_the_grouping_that_made_the_error_is_found():
    for design, name in ((sweep(), "budget"), (ladder(), "size"), (cells(), "cell")):
        found = found_share(design, name)
        assert np.mean([f is not None for f in found]) >= 0.7, name
        assert np.mean([f is not None and f.name == name for f in found]) >= 0.5, name
        shares = [f.share for f in found if f is not None and f.name == name]
        assert np.mean(shares) == pytest.approx(0.55, abs=0.2), name


def test_independent_errors_are_left_alone_most_times():
    found = found_share(sweep(), None, share=0.0)
    assert np.mean([f is not None for f in found]) <= 0.45


def test_restricted_likelihood_is_the_textbook_one():
    # Balanced one-way analysis of variance: the estimate from mean squares is the maximum where it is positive.
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(12), 5)
    y = 1.5 * rng.standard_normal(12)[group] + rng.standard_normal(60)
    found = shared_error(np.ones((1, 60)), y, {"group": group})
    assert isinstance(found, Shared)
    means = y.reshape(12, 5).mean(axis=1)
    within = ((y.reshape(12, 5) - means[:, None]) ** 2).sum() / 48
    between = 5 * ((means - y.mean()) ** 2).sum() / 11
    component = (between - within) / 5
    assert found.share == pytest.approx(component / (component + within), abs=0.011)
    assert found.freedom == 10


def test_labels_that_hardly_group_are_no_candidates():
    y = np.random.default_rng(0).standard_normal(20)
    assert shared_error(np.ones((1, 20)), y, {"run": np.arange(20)}, evidence=0.0) is None
    assert shared_error(np.ones((1, 20)), y, {"run": np.repeat([0, 1], 10)}, evidence=0.0) is None


def test_an_optimum_is_told_only_inside_and_between_ends():
    ratios = np.log([5.0, 80.0])
    product = 46.0

    def at(ratio, half=0.3, gone=(False, False)):
        middle = (product - np.log(ratio)) / 2
        return identified(Ends(middle - half, middle + half, gone), product, ratios)

    assert at(20).told
    assert not at(20).partly
    assert at(100).told
    assert at(150).partly
    assert at(1000).reason == "outside"
    assert at(20, half=1.2).reason == "wide"
    assert at(20, gone=(True, False)).reason == "open"
