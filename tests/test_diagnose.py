"""Alarms of the residuals: how often they are false, how often they are raised, and what they name."""

from __future__ import annotations

import re

import numpy as np
import pytest

import lawful
from lawful.core.objective import Objective
from lawful.data.runs import Runs
from lawful.trust.diagnose import FEWEST, NARROW, SURE, _farthest, diagnose

TRUTH = lawful.Surface.named("chinchilla")
PLAN = lawful.Plan.isoflop([1e18, 1e19, 1e20, 1e21], 10, surface=TRUTH)
MEAN = lawful.simulate(TRUTH, PLAN)
SETS = 60


def with_errors(errors, **options):
    options = {"objective": "squared", **options}  # the default may turn to a robust one by itself
    return lawful.fit(Runs.from_arrays(MEAN.N, MEAN.D, MEAN.L + errors), **options)


def gaussian(seed, noise=0.005):
    return noise * np.random.default_rng([seed, 41]).standard_normal(len(MEAN))


def codes(found):
    return [note.code for note in diagnose(found)]


def test_well_behaved_runs_raise_an_alarm_as_rarely_as_it_says():
    """One false alarm in 200 of outliers and one in 50 of a trend: of 60 sets five would come once in 50 times."""
    assert sum(bool(codes(with_errors(gaussian(seed)))) for seed in range(SETS)) <= 4


def test_the_farthest_of_gaussian_residuals_is_that_of_another_simulation():
    for freedom in (20, 60):
        draws = np.abs(np.random.default_rng(99).standard_normal((20_000, freedom)))
        z = draws.max(axis=1) / (np.median(draws, axis=1) / 0.6745)
        # A quantile this far out of 4,000 draws is known to about 15% of its probability per 0.05 of z.
        assert (z > _farthest(freedom)).mean() == pytest.approx(SURE, rel=0.6)


def test_outliers_are_found_and_named_by_their_rows():
    missed = 0
    for seed in range(20):
        errors = gaussian(seed)
        errors[[7, 23]] += 0.06, -0.05
        (note, *_) = [n for n in diagnose(with_errors(errors)) if n.code == "outliers"] or [None]
        missed += (
            note is None
            or {8, 24} - set(map(int, re.findall(r"\d+", note.message.split("rows")[-1].split(")")[0]))) != set()
        )
    assert missed <= 1
    robust = with_errors(errors, objective=Objective("huber", "auto"))
    assert "a squared objective" not in next(n.message for n in diagnose(robust) if n.code == "outliers")


@pytest.mark.parametrize("power", [2.0, -2.0])
def test_noise_that_follows_the_loss_is_found_with_its_direction(power):
    above = MEAN.L - TRUTH["E"]
    found = [with_errors(gaussian(s, 0.005 * (above / above.mean()) ** power)) for s in range(20)]
    notes = [note for one in found for note in diagnose(one) if note.code == "uneven_noise"]
    # Its standard deviation follows the reducible loss to this power, its variance to twice as much.
    assert len(notes) >= 15
    powers = [float(re.search(r"\^(-?[\d.]+)", note.message)[1]) for note in notes]
    assert np.median(powers) == pytest.approx(np.clip(2 * power, -4, 4), abs=1.2)
    assert all(("larger" in note.message) == (power > 0) for note in notes)


def test_a_narrow_delta_says_how_few_runs_lie_within_it():
    found = with_errors(gaussian(1), objective=Objective("huber", 5e-4))
    (note,) = diagnose(found)
    share = (np.abs(found.residuals) <= 5e-4).mean()
    assert share < NARROW
    assert f"Only {share:.0%} of the runs lie within Huber's delta of 0.0005" in note.message


def test_too_few_runs_and_noise_free_runs_say_nothing():
    rows = np.linspace(0, 39, 5 + FEWEST - 1).astype(int)
    errors = gaussian(1)
    errors[rows[6]] += 1.0
    few = lawful.fit(Runs.from_arrays(MEAN.N[rows], MEAN.D[rows], (MEAN.L + errors)[rows]), objective="squared")
    assert diagnose(few) == ()
    assert diagnose(lawful.fit(MEAN, objective="squared")) == ()


def test_the_order_and_the_unit_of_the_runs_change_no_alarm():
    errors = gaussian(3)
    errors[5] += 0.08
    order = np.random.default_rng(0).permutation(len(MEAN))
    runs = Runs.from_arrays(MEAN.N[order] * 1e-6, MEAN.D[order], 2.0 * (MEAN.L + errors)[order])
    assert codes(lawful.fit(runs, objective="squared")) == codes(with_errors(errors)) == ["outliers"]
