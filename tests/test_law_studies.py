"""The studies of the law library: every published figure that they claim agrees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lawful.laws.laws import LAWS
from lawful.laws.reconcile import kaplan_slope, local_exponent
from lawful.laws.surface import Surface
from lawful.studies.study import Study, Tables, find_study
from lawful.studies.tables import Table
from lawful.studies.verdicts import DIFFERS


def tables_of(study: Study, **more: object) -> Tables:
    config = study.settings(quick=True, seed=42) | more
    parts = [study.compute(config, task) for task in study.tasks(config)]
    return {name: Table.stack([part[name] for part in parts]) for name in parts[0]}


def check_words(study: Study, tables: Tables) -> None:
    assert [c.quantity for c in study.published(tables) if c.verdict == DIFFERS] == []
    assert all(sentence.endswith(".") and "nan" not in sentence for sentence in study.findings(tables))
    assert set(study.draw(tables)) == {study.name}


@pytest.mark.parametrize("name", ["kaplan_chinchilla", "toy_extrapolation"])
def test_a_study_of_known_truths_agrees_with_what_was_published(name: str) -> None:
    study = find_study(name)
    check_words(study, tables_of(study))


def test_the_exact_fit_of_the_toy_is_never_above_the_published_grid_point() -> None:
    fits = tables_of(find_study("toy_extrapolation"))["fits"]
    listed = np.isfinite(fits["grid_rss"])
    assert listed.sum() == 7
    ratio = fits["grid_rss"][listed] / fits["rss"][listed]
    # Both are the same squares: the grid's rows have four decimals, and lose up to a tenth of a percent.
    assert (ratio >= 1 - 1e-6).all()
    assert (ratio < 1.0013).all()


def test_the_pitfalls_are_reproduced_on_the_chinchilla_runs(shared_data: Path) -> None:
    study = find_study("fitting_pitfalls")
    tables = tables_of(study, data=str(shared_data))
    check_words(study, tables)
    stops, sets = tables["stops"], tables["rounding"]
    mean, total = (stops.one(objective=f"{word}, default tolerances") for word in ("mean", "sum"))
    assert mean["iterations"] < total["iterations"]
    assert mean["sum"] > total["sum"] > 1.1 * stops["sum"].min()
    rounded, full = sets.one(set="hoffmann-rounded"), sets.one(set="hoffmann")
    assert rounded["ratio"] == pytest.approx(4.05, abs=0.01)
    assert rounded["params"] / full["params"] == pytest.approx(0.80, abs=0.01)
    ratio = tables["starts"]["ratio"]
    assert 0 < (ratio < 1 + 1e-6).mean() < 1
    counts = tables["counts"]
    assert counts.one(count="non-embedding")["a"] > counts.one(count="total")["a"] + 0.03


def test_the_local_exponent_is_the_slope_of_the_allocation() -> None:
    """Against the allocation of the law itself, by differences."""
    k = Surface.named("besiroglu").coefficients
    surface = Surface(dict(k) | {"omega": 47491.0}, LAWS["pearce-song"])
    for budget in (1e17, 1e20):
        low, middle, high = (surface.optimum(budget * f).params for f in (0.999, 1.0, 1.001))
        slope = np.log(high / low) / np.log(1.001 / 0.999)
        assert slope == pytest.approx(float(local_exponent(k, middle)), rel=1e-5)


@pytest.mark.parametrize(("name", "slope"), [("besiroglu", 0.775), ("hoffmann", 0.741)])
def test_kaplans_range_sees_the_published_slope(name: str, slope: float) -> None:
    assert kaplan_slope(Surface.named(name).coefficients) == pytest.approx(slope, abs=5e-4)
