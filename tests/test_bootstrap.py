"""The bootstrap: schemes, intervals, continuation, and published standard errors."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import lawful
from lawful.errors import UnsupportedError
from lawful.uncertainty.delta import delta
from lawful.uncertainty.quantiles import bca, quantiles, studentised
from lawful.uncertainty.resample import BLOCK, MULTIPLIERS, SCHEMES, multipliers, resample

TRUTH = lawful.Surface.named("chinchilla")
PLAN = lawful.Plan.isoflop([1e18, 1e19, 1e20, 1e21], 9, surface=TRUTH)


@pytest.fixture(scope="module")
def found():
    return lawful.fit(lawful.simulate(TRUTH, PLAN, noise=0.01, seed=1))


@pytest.fixture(scope="module")
def labelled():
    runs = lawful.simulate(TRUTH, PLAN, noise=0.01, seed=1)
    seeds = np.tile(np.array(["a", "b", "c"], dtype=object), len(runs) // 3)
    labels = {"seed": seeds, "same": np.array(["x"] * len(runs))}
    return lawful.fit(lawful.Runs.from_arrays(runs.N, runs.D, runs.L, C=runs.C, labels=labels))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_continued_run_equals_a_longer_one(labelled, scheme):
    options = {"scheme": scheme, "seed": 3, "cluster": "seed" if scheme == "cluster" else None}
    whole = labelled.bootstrap(BLOCK + 120, **options)
    parts = labelled.bootstrap(70, **options).extend(BLOCK).extend(50)
    for name, values in whole.coefficients.items():
        assert np.array_equal(values, parts.coefficients[name], equal_nan=True)
    assert len(parts) == BLOCK + 120


@pytest.mark.parametrize("scheme", [s for s in SCHEMES if s != "cluster"])
def test_every_scheme_agrees_with_the_linearisation_on_even_noise(found, scheme):
    draws = found.bootstrap(2000, scheme=scheme)
    spread = float(np.std(draws.coefficients["alpha"]))
    expected = delta(found, noise="equal").error("alpha")
    # 36 runs leave the schemes that use each run's own residual with a noisy variance.
    assert 0.6 < spread / expected < 1.5


def test_weights_of_a_scheme_keep_what_it_holds_fixed(labelled):
    rng = np.random.default_rng(0)
    runs = labelled.runs
    within = resample(runs, 200, "within-budget", rng)
    assert np.array_equal(within @ (runs.group[:, None] == np.arange(4)), np.full((200, 4), 9.0))
    clusters = resample(runs, 200, "cluster", rng, cluster="seed")
    assert all(np.array_equal(clusters[:, 0], clusters[:, k]) for k in range(0, 36, 3))
    assert (resample(runs, 200, "rows", rng).sum(axis=1) == 36).all()


@pytest.mark.parametrize("kind", MULTIPLIERS)
def test_multipliers_have_mean_zero_and_variance_one(kind):
    v = multipliers(kind, (400_000,), np.random.default_rng(0))
    assert v.mean() == pytest.approx(0.0, abs=0.006)
    assert v.var() == pytest.approx(1.0, abs=0.006)
    assert (v**3).mean() == pytest.approx({"rademacher": 0.0, "mammen": 1.0}[kind], abs=0.02)


def test_bca_agrees_with_scipy():
    from scipy import stats

    sample = np.random.default_rng(0).exponential(size=60)
    # The word for the seed is another since SciPy 1.15.
    seed = {"rng" if "rng" in inspect.signature(stats.bootstrap).parameters else "random_state": 1}
    result = stats.bootstrap((sample,), np.mean, n_resamples=20_000, confidence_level=0.9, method="BCa", **seed)
    draws = result.bootstrap_distribution
    left_out = (sample.sum() - sample) / (sample.size - 1)
    ours = bca(draws, float(sample.mean()), left_out, 0.9)
    assert ours == pytest.approx(tuple(result.confidence_interval), rel=1e-3)


def test_studentised_interval_of_a_mean_agrees_with_student():
    from scipy import stats

    rng = np.random.default_rng(0)
    sample = rng.standard_normal(30)
    error = sample.std(ddof=1) / np.sqrt(30)
    # Parametric draws from the normal law make the pivot exactly Student's t.
    draws = sample.mean() + sample.std(ddof=1) * rng.standard_normal((100_000, 30))
    errors = draws.std(axis=1, ddof=1) / np.sqrt(30)
    low, high = studentised(draws.mean(axis=1), errors, float(sample.mean()), error, 0.9)
    half = stats.t.ppf(0.95, 29) * error
    assert (high - low) / 2 == pytest.approx(half, rel=0.02)


@pytest.mark.parametrize("kind", ["percentile", "bca", "studentised"])
@pytest.mark.parametrize(
    ("name", "budget"), [("alpha", None), ("A", None), ("a", None), ("params", 1e24), ("loss", 1e24)]
)
def test_any_quantity_has_any_kind_of_interval(found, kind, name, budget):
    draws = found.bootstrap(300, scheme="wild")
    low, high = draws.interval(name, 0.9, kind, budget=budget)
    estimate = found.profile(name, budget=budget, points=0).estimate
    assert low < estimate < high


def test_failed_draws_are_counted_kept_and_noted():
    plan = lawful.Plan.isoflop([1e18, 1e19, 1e20], 4, surface=TRUTH)
    draws = lawful.fit_isoflop(lawful.simulate(TRUTH, plan, noise=0.02, seed=6)).bootstrap(400, scheme="rows")
    assert draws.failed > 0
    assert len(draws) == 400
    note = next(note for note in draws.notes if note.code == "failed_draws")
    assert str(draws.failed) in note.message
    again = draws.extend(100)
    assert [n.code for n in again.notes].count("failed_draws") == 1


def test_requests_that_make_no_sense_are_refused(labelled):
    with pytest.raises(UnsupportedError, match="Unknown scheme 'jackknife'; choose one of within-budget"):
        labelled.bootstrap(10, scheme="jackknife")
    with pytest.raises(UnsupportedError, match="no column 'lab' to cluster by; the runs have these labels: seed, same"):
        labelled.bootstrap(10, scheme="cluster", cluster="lab")
    with pytest.raises(UnsupportedError, match="share one value of 'same'"):
        labelled.bootstrap(10, scheme="cluster", cluster="same")
    with pytest.raises(UnsupportedError, match="needs a column of labels"):
        labelled.bootstrap(10, scheme="cluster")
    with pytest.raises(UnsupportedError, match="Unknown multiplier 'normal'"):
        labelled.bootstrap(10, multiplier="normal")
    with pytest.raises(UnsupportedError, match="a positive whole number, got 0"):
        labelled.bootstrap(10).extend(0)
    with pytest.raises(UnsupportedError, match="approach2 has no fitted losses to draw around"):
        lawful.fit_isoflop(labelled.runs).bootstrap(10, scheme="wild")
    with pytest.raises(UnsupportedError, match="Unknown kind of interval 'bias'"):
        labelled.bootstrap(10).interval("alpha", kind="bias")


def test_percentiles_ignore_failed_draws():
    assert quantiles(np.array([np.nan, 1.0, 2.0, 3.0]), 0.5) == (1.5, 2.5)


@pytest.mark.slow
def test_besiroglu_standard_errors(shared_data):
    """Besiroglu et al. 2024 on the 240 Chinchilla runs, log-Huber 1e-3, bootstrap over rows."""
    import pandas as pd

    runs = pd.read_csv(shared_data / "chinchilla_svg.csv").sort_values("loss").iloc[:-5]
    found = lawful.fit(runs, method=lawful.Joint())
    draws = found.bootstrap(4000, scheme="rows")
    published = {"E": 0.0257, "A": 124.5, "B": 1293.0, "alpha": 0.0154, "beta": 0.0206}
    for name, error in published.items():
        assert float(np.nanstd(draws.coefficients[name])) == pytest.approx(error, rel=0.2), name


def test_an_interval_of_a_lower_envelope_never_leaves_its_own_estimate_out(shared_data):
    checkpoints = lawful.fit(lawful.read_runs(shared_data / "misfitting_checkpoints.csv"), method="approach1")
    draws = checkpoints.bootstrap(200)
    low, high = quantiles(draws.values("a"), 0.9)
    assert not low <= checkpoints.frontier.a <= high
    assert np.isnan(draws.interval("a")).all()
    assert np.isnan(draws.interval("a", kind="bca")).all()
    assert [note.code for note in draws.notes if note.code == "one_sided_draws"] == ["one_sided_draws"]
    assert [note.code for note in draws.extend(10).notes].count("one_sided_draws") == 1


@pytest.mark.parametrize("window", [3, 4])
def test_parabolas_through_three_sizes_have_no_interval(window):
    """Every draw with an answer has the same three sizes, whatever the noise."""
    runs = lawful.simulate(TRUTH, lawful.Plan.isoflop([1e18, 1e19, 1e20], 7, surface=TRUTH), noise=0.01, seed=4)
    draws = lawful.fit(runs, method="approach2", window=window).bootstrap(400)
    (note,) = [note for note in draws.notes if note.code == "failed_draws"]
    assert np.isnan(draws.interval("a")).all() == (window == 3)
    assert np.isnan(draws.interval("params", budget=1e21)).all() == (window == 3)
    assert ("no interval is given" in note.message) == (window == 3)


def test_an_envelope_that_its_draws_straddle_keeps_its_interval():
    runs = lawful.simulate(TRUTH, lawful.Plan.isoflop([1e18, 1e19, 1e20, 1e21], 15, surface=TRUTH), noise=1e-4, seed=4)
    envelope = lawful.fit(runs, method="approach1")
    low, high = envelope.bootstrap(200).interval("a")
    assert low <= envelope.frontier.a <= high
