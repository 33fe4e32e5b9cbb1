"""Intervals whatever they are made from: the default noise, a new run's loss, levels and units, each against theory."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import lawful
from lawful.core.objective import Objective
from lawful.errors import UnsupportedError
from lawful.uncertainty.intervals import KINDS, as_intervals, intervals

TRUTH = lawful.Surface.named("chinchilla")
PLAN = lawful.Plan.isoflop([1e18, 1e19, 1e20, 1e21], 9, surface=TRUTH)
N, D = lawful.simulate(TRUTH, PLAN).N, lawful.simulate(TRUTH, PLAN).D
MEAN = TRUTH.loss(N, D)
HELD = {"alpha": TRUTH["alpha"], "beta": TRUTH["beta"]}
SETS = 150
# The standard deviation of 150 estimates is itself known to 6%; a fifth is three of its standard errors.
SPREAD = 0.2


def fitted(noise, seed=0, **options):
    errors = noise * np.random.default_rng([seed, 21]).standard_normal(N.size)
    options = {"objective": "squared", **options}  # the default may turn to a robust one by itself
    relative = str(options["objective"]).startswith("log")
    return lawful.fit(lawful.Runs.from_arrays(N, D, MEAN * np.exp(errors) if relative else MEAN + errors), **options)


@pytest.mark.parametrize("power", [1.5, 2.0])
def test_the_default_allows_for_noise_that_follows_the_loss(power):
    """What the half-width says of the estimate of B is what refits of simulated losses say; equal noise misses it."""
    above = MEAN - TRUTH["E"]
    noise = 0.004 * (above / above.mean()) ** power
    fits = [fitted(noise, seed, fixed=HELD) for seed in range(SETS)]
    spread = np.std([np.log(one.surface["B"]) for one in fits])

    def half(**options):
        ends = [one.profile("B", points=0, cluster="none", **options).interval for one in fits[:40]]
        return np.median([np.log(high / low) / 2 for low, high in ends]) / stats.norm.ppf(0.95)

    assert half() == pytest.approx(spread, rel=SPREAD)
    assert half(noise="equal") < (1 - SPREAD) * spread
    linear = [one.intervals("delta").of("B") for one in fits[:40]]
    told = np.median([np.log(high / low) / 2 for low, high in linear]) / stats.norm.ppf(0.95)
    assert told == pytest.approx(spread, rel=SPREAD)
    # The loss of one small model, whose interval is worked out elsewhere.
    small = (1e7, 1e9)
    spread = np.std([float(one.surface.loss(*small)) for one in fits])
    ends = [one.intervals(cluster="none").of("loss_at", point=small) for one in fits[:40]]
    told = np.median(np.ptp(ends, axis=1)) / 2 / stats.norm.ppf(0.95)
    assert told == pytest.approx(spread, rel=SPREAD)


def test_a_new_run_of_a_linear_law_has_the_textbook_interval():
    """With the exponents held: t s sqrt(1 + h). Where h is 1, the two errors added up would be 1.4 times as wide."""
    found = fitted(0.01, 3, fixed=HELD)
    design = np.stack([np.ones(N.size), N ** -TRUTH["alpha"], D ** -TRUTH["beta"]], axis=1)
    bread = np.linalg.inv(design.T @ design)
    k = bread @ design.T @ found.runs.L
    s = np.sqrt(((found.runs.L - design @ k) ** 2).sum() / (N.size - 3))
    for point in ((2e5, 2e8), (1e6, 1e9), (1e9, 2e10)):
        row = np.array([1.0, point[0] ** -TRUTH["alpha"], point[1] ** -TRUTH["beta"]])
        h = float(row @ bread @ row)
        half = stats.t.ppf(0.95, N.size - 3) * s * np.sqrt(1 + h)
        low, high = intervals(found, "delta").prediction(point=point)
        assert (low + high) / 2 == pytest.approx(float(row @ k), rel=1e-6)
        # The linearised interval lets the variance follow the loss, whose estimate is not exactly even.
        assert (high - low) / 2 == pytest.approx(half, rel=0.12), h


@pytest.mark.parametrize("kind", ["profile", "delta", "rows"])
def test_relative_noise_scatters_a_new_run_in_proportion_to_its_loss(kind):
    found = fitted(0.01, 1, method="approach3", objective="log-squared")
    sure = intervals(found, kind, draws=200)
    for point in ((3e6, 3e8), (3e9, 2e11)):
        loss = float(TRUTH.loss(*point))
        low, high = sure.prediction(point=point)
        mean = np.ptp(sure.of("loss_at", point=point)) / 2
        half = np.hypot(stats.norm.ppf(0.95) * 0.01 * loss, mean)
        assert (high - low) / 2 == pytest.approx(half, rel=0.25)


def test_the_two_sides_of_a_new_run_are_worked_out_apart():
    found = fitted(0.08, 5)
    sure = intervals(found, "profile")
    low, high = sure.of("loss", budget=1e25)
    middle = float(found.surface.optimum(1e25).loss)
    least, most = sure.prediction(budget=1e25)
    down, up = (middle - low, high - middle)
    assert abs(np.log(down / up)) > 0.1
    squares = (middle - least) ** 2 - down**2, (most - middle) ** 2 - up**2
    assert squares[0] == pytest.approx(squares[1], rel=1e-9)
    # Among the runs themselves what is left is the noise that they were given.
    low, high = sure.of("loss", budget=1e20)
    least, most = sure.prediction(budget=1e20)
    middle = float(found.surface.optimum(1e20).loss)
    rest = np.sqrt((most - middle) ** 2 - (high - middle) ** 2)
    assert rest == pytest.approx(stats.t.ppf(0.95, N.size - 5) * 0.08, rel=0.35)


def test_a_wider_level_holds_a_narrower_one_by_every_kind():
    found = fitted(0.01, 2)
    for kind in KINDS:
        if kind in ("none", "cluster"):
            continue
        sure = intervals(found, kind, draws=100, seed=1)
        for name, budget in (("alpha", None), ("params", 1e22)):
            (low, high), (least, most) = (sure.at_level(level).of(name, budget=budget) for level in (0.5, 0.95))
            assert least < low < high < most, (kind, name)
    assert intervals(found, "none") is None
    assert as_intervals(None, 0.9) is None


def test_units_move_the_amounts_and_nothing_else():
    found = fitted(0.01, 2)
    sure, scaled = intervals(found, "delta"), intervals(found, "delta").in_units(1e6, 1e9)
    for name, factor in (("A", 1e6 ** -found.surface["alpha"]), ("B", 1e9 ** -found.surface["beta"])):
        assert scaled.fit.surface[name] == pytest.approx(found.surface[name] * factor, rel=1e-12)
        # Exponent and amount trade against each other: near the runs' own sizes the amount is far better known.
        assert np.ptp(np.log(scaled.of(name))) < 0.5 * np.ptp(np.log(sure.of(name)))
    for name in ("E", "alpha", "beta", "a"):
        assert scaled.of(name) == pytest.approx(sure.of(name), rel=1e-6)
    assert scaled.of("loss_at", point=(1e3, 20.0)) == pytest.approx(sure.of("loss_at", point=(1e9, 2e10)), rel=1e-9)


def test_a_frontier_gets_a_bootstrap_and_predicts_no_loss():
    found = lawful.fit_isoflop(fitted(0.002, 1).runs)
    sure = intervals(found, "profile", draws=60)
    assert sure.kind == "within-budget"
    assert np.isnan(sure.prediction(budget=1e22)).all()
    low, high = sure.of("params", budget=1e22)
    assert low < float(found.frontier.params(1e22)) < high


def test_requests_that_make_no_sense_are_refused():
    found = fitted(0.01, 2)
    with pytest.raises(UnsupportedError, match="Unknown intervals 'magic'; choose one of within-budget"):
        intervals(found, "magic")
    with pytest.raises(UnsupportedError, match="level"):
        intervals(found, level=1.0)
    with pytest.raises(UnsupportedError, match="'loss' is a quantity at a budget"):
        intervals(found).of("loss")


def test_huber_intervals_are_as_wide_as_squares_on_gaussian_noise():
    """Huber's loss at 1.345 standard deviations loses 5% of efficiency (Huber 1981)."""
    squared, huber = fitted(0.01, 4), fitted(0.01, 4, objective=Objective("huber", "auto"))
    for name, budget in (("alpha", None), ("loss", 1e23)):
        ratio = np.ptp(huber.intervals().of(name, budget=budget)) / np.ptp(squared.intervals().of(name, budget=budget))
        assert 0.75 < ratio < 1.45


@pytest.mark.parametrize("options", [{}, {"bounds": {"A": (50.0, 5000.0)}}], ids=["exact", "by refits"])
def test_a_profile_that_finds_a_lower_misfit_than_the_fit_says_so(options):
    """Once where the profile is exact, once where it walks (bounds on A); a fit that is right raises nothing."""
    given_up = lawful.VarPro(max_iter=0, starts=1)
    for method, said in ((given_up, True), ("vpnls", False)):
        shape = fitted(0.01, 2, method=method, **options).profile("alpha", points=0)
        assert ("better_optimum" in [note.code for note in shape.notes]) == said
