"""The exact profile against brute force: the quantity held, everything else refitted on dense nested grids.

An end is short if a value beyond it, by a share of the interval's width, can still be reached below the
height; it is long if a value inside it cannot. The aim is 1% of the width; the search itself is
told to stop at about a ten-thousandth of it.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import stdtrit

import brute_profile as brute
from lawful.data.runs import Runs
from lawful.estimate.fit import fit
from lawful.uncertainty.intervals import intervals
from lawful.valley import faces
from lawful.valley.exact import ExactProfile
from lawful.valley.faces import Design
from portions import a_part_is_slow

PRODUCT = float(np.log(1e22 / 6))
POINT = (float(np.log(3e9)), float(np.log(6e10)))

SHORT = 0.01
"""Share of the width by which no end may be short; the same for long."""

QUANTITIES = ("E", "A", "B", "alpha", "beta", "a", "params", "loss_at", "loss")


def profile_of(case):
    design = Design(case.x, case.y, np.ones(case.y.size), case.constant, case.held)
    found = ExactProfile(design, case.box, case.centre)
    freedom = case.y.size - 5 + case.pins
    return found, float(stdtrit(freedom, 0.95)) ** 2 * found.least / freedom


def ends_of(profile, rise, name):
    if name == "E":
        return profile.constant(rise)
    if name in ("A", "B"):
        return profile.amplitude(rise, int(name == "B"))
    if name == "loss_at":
        return profile.loss_at(rise, *POINT)
    if name == "params":
        return profile.params(rise, PRODUCT)
    if name == "loss":
        return profile.loss(rise, PRODUCT)
    return profile.exponent(rise, name)


def pinned(case, name):
    constant, box = case.constant, case.box
    return (
        (name == "E" and constant[0] == constant[1])
        or (name == "A" and case.held[0] is not None)
        or (name == "alpha" and box[0, 0] == box[0, 1])
    )


def wrong_ends(seed, names, beyond=(SHORT, 0.05, 0.3)):
    """Ends of one random problem that brute force refutes, and how many were tried."""
    case = brute.random_case(seed)
    profile, rise = profile_of(case)
    height, wrong, tried = profile.least + rise, [], 0
    for name in names:
        ends = ends_of(profile, rise, name)
        width = ends.high - ends.low
        if pinned(case, name) or not np.isfinite(width):
            continue
        for sign, end, gone in ((-1, ends.low, ends.open[0]), (1, ends.high, ends.open[1])):
            if gone:
                continue
            tried += 1
            for share in (-SHORT, *beyond):
                value = end + sign * share * width
                if name == "a" and not 0 < value < 1:
                    continue
                least = brute.height_at(case, name, value, point=POINT, product=PRODUCT)
                if least > height and share < 0:
                    # A valley narrower than the grid: twice as many points per exponent.
                    least = brute.height_at(case, name, value, point=POINT, product=PRODUCT, size=90)
                if (least <= height) != (share < 0):
                    wrong.append((seed, name, sign, share, least / height))
    return wrong, tried


@pytest.mark.parametrize("seed", range(18))
def test_brute_force_finds_no_better_end(seed):
    names = [QUANTITIES[(seed * 2 + k) % 8] for k in range(2)]
    wrong, _ = wrong_ends(seed, names)
    assert wrong == []


def test_the_loss_at_the_optimum_against_brute_force():
    assert wrong_ends(3, ["loss"], beyond=(SHORT, 0.1))[0] == []


@pytest.mark.parametrize("first", a_part_is_slow(range(0, 300, 20), every=5))
def test_three_hundred_problems(first):
    wrong, tried = [], 0
    for seed in range(first, first + 20):
        names = ["E", "A", "B", "alpha", "beta", "params"] + (["loss"] if seed % 5 == 0 else [])
        found, count = wrong_ends(seed, names)
        wrong, tried = wrong + found, tried + count
    assert tried > 0
    assert wrong == []


def sweep(sigma=0.005, seed=0, budgets=4):
    rng = np.random.default_rng(seed)
    C = np.repeat(np.geomspace(1e18, 1e21, budgets), 9)
    N = np.sqrt(C / 120) * np.tile(np.geomspace(0.2, 5, 9), budgets)
    logs = np.log(np.stack([N, C / 6 / N]))
    y = 1.7 + 400 / N**0.34 + 1800 * (6 * N / C) ** 0.37 + sigma * rng.standard_normal(N.size)
    return logs, y


BOX = np.array([[0.01, 2.0], [0.01, 2.0]])


def build(logs, y, metric=None, constant=(0.0, np.inf)):
    centre = logs.mean(axis=1)
    metric = np.ones(y.size) if metric is None else metric
    return ExactProfile(Design(logs - centre[:, None], y, metric, constant, (None, None)), BOX, centre)


def test_a_matrix_of_weights_is_the_weights():
    logs, y = sweep()
    weights = np.random.default_rng(1).uniform(0.5, 2.0, y.size)
    by_weight, by_matrix = build(logs, y, weights), build(logs, y, np.diag(weights))
    rise = 3 * by_weight.least / 31
    assert by_matrix.least == pytest.approx(by_weight.least, rel=1e-9)
    for name in ("E", "alpha", "params", "loss"):
        assert ends_of(by_matrix, rise, name)[:2] == pytest.approx(ends_of(by_weight, rise, name)[:2], rel=1e-7)


def test_whitened_losses_and_a_metric_agree_where_cells_repeat():
    # Every run three times with weight a third is the run itself.
    logs, y = sweep()
    once, thrice = build(logs, y), build(np.repeat(logs, 3, axis=1), np.repeat(y, 3), np.full(3 * y.size, 1 / 3))
    rise = 3 * once.least / 31
    for name in ("beta", "B", "params"):
        assert ends_of(thrice, rise, name)[:2] == pytest.approx(ends_of(once, rise, name)[:2], rel=1e-6)


def test_units_of_size_and_tokens_shift_the_ends_and_nothing_else():
    logs, y = sweep()
    shift = np.log([1e6, 1e9])
    plain, scaled = build(logs, y), build(logs - shift[:, None], y)
    rise = 3 * plain.least / 31
    for name in ("E", "alpha", "a"):
        assert ends_of(scaled, rise, name)[:2] == pytest.approx(ends_of(plain, rise, name)[:2], rel=1e-7)
    moved = scaled.params(rise, PRODUCT - shift.sum())
    assert np.add(moved[:2], shift[0]) == pytest.approx(plain.params(rise, PRODUCT)[:2], rel=1e-8)


def test_a_higher_height_holds_a_lower_one():
    logs, y = sweep(sigma=0.02, budgets=3)
    profile = build(logs, y)
    for name in QUANTITIES:
        ends = [ends_of(profile, times * profile.least / 22, name) for times in (0.5, 3.0, 8.0)]
        lows, highs = [e.low for e in ends], [e.high for e in ends]
        assert lows == sorted(lows, reverse=True), name
        assert highs == sorted(highs), name


def test_tokens_are_what_the_sizes_leave_of_the_budget():
    logs, y = sweep()
    profile = build(logs, y)
    rise = 3 * profile.least / 31
    size, tokens = profile.params(rise, PRODUCT), profile.tokens(rise, PRODUCT)
    assert tokens.low == pytest.approx(PRODUCT - size.high)
    assert tokens.high == pytest.approx(PRODUCT - size.low)


def test_one_ratio_of_tokens_to_parameters_leaves_the_size_open():
    N = np.geomspace(2e7, 5e9, 12)
    logs = np.log(np.stack([N, 20 * N]))
    y = 1.7 + 400 / N**0.34 + 1800 / (20 * N) ** 0.37 + 0.003 * np.random.default_rng(0).standard_normal(12)
    profile = build(logs, y)
    size = profile.params(3.6 * profile.least / 7, PRODUCT)
    assert size.open == (True, True)
    assert not np.isfinite(size[:2]).any()
    # The loss along the ratio is told all the same.
    loss = profile.loss_at(3.6 * profile.least / 7, np.log(2e9), np.log(4e10))
    truth = 1.7 + 400 / 2e9**0.34 + 1800 / 4e10**0.37
    assert loss.low < truth < loss.high < loss.low + 0.02


def test_a_pinned_constant_holds_inside_the_profile():
    logs, y = sweep(sigma=0.002)
    pinned_, bounded = build(logs, y, constant=(1.69, 1.69)), build(logs, y, constant=(1.69, 1.69 + 1e-9))
    rise = 2.9 * pinned_.least / 32
    free = build(logs, y)
    inside = free.loss(pinned_.least + rise - free.least, PRODUCT)
    ends = pinned_.loss(rise, PRODUCT)
    # At the same height a held E leaves less room, and bounds that nearly hold it leave as much.
    assert inside.low < ends.low < ends.high < inside.high
    assert bounded.loss(rise, PRODUCT)[:2] == pytest.approx(ends[:2], abs=1e-6)


def test_slopes_whose_products_underflow_give_no_step():
    from lawful.valley.exact import _damped

    tiny = np.full((1, 2, 2), 1e-200)
    step = _damped(np.full((1, 2), 1e-200), tiny, np.zeros(1), np.zeros((1, 2), dtype=bool))
    assert step.tolist() == [[0.0, 0.0]]


def test_a_loss_of_a_billion_among_ordinary_ones_raises_no_warning():
    """Squares of 1e18 over a curvature of nothing overflow: an interval without end, and no warning of NumPy's."""
    sizes = np.geomspace(2.6e7, 1.7e9, 5)
    N = np.concatenate([sizes, sizes * 45.0])
    D = np.concatenate([sizes[::-1], sizes[::-1] * 45.0])
    loss = np.array([1e9, 3.9007, 3.7906, 3.9007, 4.2424, 2.4748, 2.3697, 2.3359, 2.3697, 2.4748])
    found = fit(Runs.from_arrays(N, D, loss), method="vpnls")
    low, high = intervals(found).of("E")
    assert low <= found.coefficients["E"] <= high


def test_pairs_taken_a_few_at_a_time_have_the_same_moments(monkeypatch):
    rng = np.random.default_rng(5)
    design = Design(rng.normal(size=(2, 50)), rng.normal(size=50), np.ones(50), (0.0, np.inf), (None, None))
    alpha, beta = np.exp(rng.normal(size=(2, 23)))
    whole = faces.Sums(design).pairs(alpha, beta)
    monkeypatch.setattr(faces, "BLOCK", 200)
    for one, other in zip(whole, faces.Sums(design).pairs(alpha, beta), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-12)
