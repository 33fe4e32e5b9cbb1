"""The studies of the law library: every published figure that they claim agrees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lawful.counting.formulas import kaplan_forward_flops, kaplan_operations, kaplan_params
from lawful.errors import UnsupportedError
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


def test_the_essay_agrees_with_what_was_published_and_draws_every_law() -> None:
    study = find_study("essay")
    tables = tables_of(study)
    compared = study.published(tables)
    assert [c.quantity for c in compared if c.verdict == DIFFERS] == []
    assert all(c.remark for c in compared if c.tolerance_percent > 1)
    assert set(study.draw(tables)) == {"amari", "hestness", "kaplan", "gopher_chinchilla"}
    assert all(sentence.endswith(".") and "nan" not in sentence for sentence in study.findings(tables))


def test_the_three_regions_are_found_where_they_are() -> None:
    tables = tables_of(find_study("essay"))
    truth, found = (tables["hestness_fit"].one(curve=name) for name in ("truth", "fitted"))
    for end in ("first_end", "last_end"):
        assert found[end] == pytest.approx(truth[end], rel=0.25)
    assert found["guess"] == pytest.approx(truth["guess"], rel=0.02)


def test_gopher_wastes_more_than_chinchilla_under_either_law() -> None:
    for _, rows in tables_of(find_study("essay"))["gopher"].groups("law"):
        gopher, chinchilla = (rows.one(model=name) for name in ("Gopher", "Chinchilla"))
        assert gopher["wasted_percent"] > 2 * chinchilla["wasted_percent"] > 0
        assert gopher["loss_at_budget"] > chinchilla["loss_at_budget"] > gopher["optimal_loss"]


def test_overfitting_is_the_published_formula_and_hangs_on_the_ratio_alone() -> None:
    surface = Surface.named("kaplan-nd")
    # arXiv:2001.08361, equation 4.3, worked out by hand for N = 1e9, D = 1e10.
    assert surface.overfit(1e9, 1e10) == pytest.approx(0.04347776364, rel=1e-9)
    power = surface["alphaN"] / surface["alphaD"]
    assert surface.overfit(1e7, 1e7**power / 1e-3) == pytest.approx(surface.overfit(1e11, 1e11**power / 1e-3), rel=1e-9)
    assert surface.overfit(1e9, np.inf) == 0
    two = Surface.named("hoffmann")
    above = two["B"] / 1e10 ** two["beta"] / (two["E"] + two["A"] / 1e9 ** two["alpha"])
    assert two.overfit(1e9, 1e10) == pytest.approx(above, rel=1e-12)
    with pytest.raises(UnsupportedError, match="the kaplan-n law is no law of N and D"):
        Surface.named("kaplan-n").overfit(1e9, 1e10)


def test_kaplan_operations_add_up_to_the_counts_of_the_paper() -> None:
    shape = {"width": 768, "layers": 12, "attention": 768, "ffn": 3072, "context": 1024}
    rows = kaplan_operations(**shape, vocabulary=50257)
    counted = [row for row in rows if row.counted]
    small = {name: value for name, value in shape.items() if name != "context"}
    assert sum(row.params for row in counted) == kaplan_params(**small)
    assert sum(row.flops for row in counted) == kaplan_forward_flops(**shape)
    assert {row.name for row in rows if not row.counted} == {"embed", "de-embed"}
