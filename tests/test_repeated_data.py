"""Muennighoff's law on the runs it was fitted to: what is reproduced, and what these runs do not say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lawful.data.runs import Runs
from lawful.estimate.fit import fit
from lawful.laws.catalogue_repeated import MUENNIGHOFF_PUBLISHED
from lawful.laws.laws import LAWS
from lawful.sources.read import read_runs
from lawful.uncertainty.profile import profile

LAW = LAWS["muennighoff"]
PINS = {name: MUENNIGHOFF_PUBLISHED[name] for name in ("E", "A", "B", "alpha", "beta")}


@pytest.fixture(scope="module")
def rows(shared_data: Path) -> Runs:
    """Rows 102 to 283, counted from 1: the 182 runs of the published fit."""
    runs = read_runs(shared_data / "datablations.csv")
    return runs.take((runs.row >= 102) & (runs.row <= 283))


def below(rows: Runs, cut: float) -> Runs:
    return rows.take(cut > rows.L)


def test_the_published_decays_are_found_again(rows: Runs) -> None:
    """Published 15.39 and 5.31; the reference fit of these rows has 15.1 and 5.4."""
    assert len(rows) == 182
    found = fit(below(rows, 4.5), law=LAW, fixed=PINS)
    assert found.surface["RD"] == pytest.approx(15.12, abs=0.005)
    assert found.surface["RN"] == pytest.approx(5.445, abs=0.001)


def test_the_decays_move_with_the_cut(rows: Runs) -> None:
    """Their interval at the usual cut is wide, and other cuts leave it."""
    at = {cut: fit(below(rows, cut), law=LAW, fixed=PINS).surface for cut in (4.0, 4.25, 5.0)}
    assert [round(at[cut]["RD"], 1) for cut in at] == [20.7, 44.1, 13.1]
    assert [round(at[cut]["RN"], 2) for cut in at] == [4.59, 2.75, 5.82]
    low, high = profile(fit(below(rows, 4.5), law=LAW, fixed=PINS), "RD", points=0).interval
    assert (low, high) == pytest.approx((8.80, 30.1), rel=0.01)


def test_the_published_base_lies_far_below_this_tables_single_epochs(rows: Runs) -> None:
    kept = below(rows, 4.5)
    once = kept.take(kept.column("U") >= 0.999 * kept.D)
    excess = once.L - LAW.loss(MUENNIGHOFF_PUBLISHED, once.N, once.D, once.column("U"))
    assert len(once) == 22
    assert np.median(excess) == pytest.approx(0.371, abs=0.001)
    assert (excess > 0).all()


@pytest.mark.slow
def test_a_joint_refit_goes_elsewhere(rows: Runs) -> None:
    """With the base free, another base and another decay fit three times better, far from the published ones."""
    kept = below(rows, 4.5)
    free, pinned = fit(kept, law=LAW), fit(kept, law=LAW, fixed=PINS)
    assert free.value < pinned.value / 2.5
    assert free.surface["RD"] == pytest.approx(34.6, abs=0.2)
    assert free.surface["E"] < 1.0
    assert free.surface["RN"] < 0.2
