"""The calibration study: its conditions are what they say, its seeds are their cells', and blocks add up."""

import numpy as np
import pytest

from lawful.core.notes import Verdict
from lawful.data.runs import Runs
from lawful.estimate.fit import fit
from lawful.studies import s20_calibration as study
from lawful.studies.conditions import (
    ALONG,
    COUPLINGS,
    SHARED,
    SINGLE,
    SWEEPS,
    TRUTHS,
    errors_of,
    labels_of,
    layout_of,
    truth_of,
)
from lawful.studies.tables import Table

SIGMA = 0.01
SETS = 4000

MOMENTS = 0.05
"""Relative error of a standard deviation over 4,000 sets of two dozen runs is below 1%; that of t3 errors is larger."""

QUICK = {**study.STUDY.settings(quick=True, seed=1), "sets": 6, "fewest": 2}
CELL = {"kind": "independent", "truth": "chinchilla", "sigma": SIGMA, "design": "sweep 4x6", "noise": "gaussian"}


def errors(noise: str, design: str = "sweep 4x6") -> np.ndarray:
    at = layout_of(design, truth_of("chinchilla"))
    reducible = truth_of("chinchilla").loss(at.N, at.D) - TRUTHS["chinchilla"]["E"]
    return errors_of(noise, SIGMA, at, reducible, SETS, np.random.default_rng(0))


@pytest.mark.parametrize("noise", [noise for noise in SINGLE if noise != "outliers"])
def test_errors_of_single_runs_have_the_size_they_say_and_are_independent(noise: str) -> None:
    found = errors(noise)
    assert float(np.sqrt((found**2).mean())) == pytest.approx(SIGMA, rel=MOMENTS)
    apart = np.corrcoef(found.T)[np.triu_indices(found.shape[1], 1)]
    assert np.abs(apart).max() < 0.1


def test_outliers_are_one_run_in_twenty() -> None:
    assert (errors("outliers") > 5 * SIGMA).sum(axis=1).tolist() == [1] * SETS


@pytest.mark.parametrize("noise", [noise for noise in SHARED if noise != "ar .7"])
def test_shared_errors_are_half_of_the_variance_within_a_group_and_nothing_beyond(noise: str) -> None:
    design = {"cell effect": "seeds 4x4x3", "size effect": "ladder 5x5", "run effect": "checkpoints 6x6"}.get(
        noise, "sweep 4x6"
    )
    found, at = errors(noise, design), layout_of(design, truth_of("chinchilla"))
    label = labels_of(noise, at)
    assert float(found.std()) == pytest.approx(np.sqrt(2) * SIGMA, rel=MOMENTS)
    together = label[:, None] == label
    np.fill_diagonal(together, val=False)
    likeness = np.corrcoef(found.T)
    assert likeness[together].mean() == pytest.approx(0.5, abs=0.02)
    np.fill_diagonal(together, val=True)
    assert likeness[~together].mean() == pytest.approx(0.0, abs=0.02)


def test_neighbouring_sizes_of_a_budget_resemble_each_other() -> None:
    found, at = errors("ar .7"), layout_of("sweep 4x6", truth_of("chinchilla"))
    likeness = np.corrcoef(found.T)
    first = np.flatnonzero(labels_of("budget effect", at) == 0)
    first = first[np.argsort(at.N[first])]
    assert likeness[first[0], first[1]] == pytest.approx(ALONG, abs=0.03)
    assert likeness[first[0], first[2]] == pytest.approx(ALONG**2, abs=0.03)
    assert float(found.std()) == pytest.approx(SIGMA, rel=MOMENTS)


@pytest.mark.parametrize("design", [*study.DESIGNS, *SWEEPS, "checkpoints 6x6"])
def test_a_design_has_as_many_runs_as_its_name_says(design: str) -> None:
    at = layout_of(design, truth_of("chinchilla"))
    assert at.N.size == np.prod([int(part) for part in design.rsplit(maxsplit=1)[-1].split("x")])
    if at.C is not None:
        np.testing.assert_allclose(at.C, 6 * at.N * at.D)
    assert np.unique(at.run).size == (6 if design.startswith("checkpoints") else at.N.size)


@pytest.mark.parametrize("name", COUPLINGS)
def test_a_coupled_truth_falls_as_chinchilla_does_where_one_term_leads(name: str) -> None:
    coupled, plain = truth_of(name), truth_of("chinchilla")
    for n, d in ((1e5, 1e25), (1e19, 1e9)):
        assert float(coupled.loss(n, d)) == pytest.approx(float(plain.loss(n, d)), rel=0.01)
    assert coupled.exponents[0] == pytest.approx(plain.exponents[0])


def test_a_cell_has_the_same_sets_whatever_other_cells_the_settings_hold() -> None:
    """Blocks differ, kinds of errors differ, and the rest of the settings does not matter."""
    task = {**CELL, "block": 0}
    mine, other = (study.simulated({**QUICK, "couplings": c}, task)[2] for c in ([], ["coupled .8"]))
    assert np.array_equal(mine, other)
    assert not np.array_equal(mine, study.simulated(QUICK, {**task, "block": 1})[2])
    assert not np.array_equal(mine, study.simulated(QUICK, {**task, "noise": "laplace"})[2])


def test_every_block_of_all_cells_comes_before_the_next() -> None:
    config = study.STUDY.settings(quick=False, seed=0)
    listed, every = study.tasks(config), study.cells(config)
    assert [task["block"] for task in listed] == sorted(task["block"] for task in listed)
    assert [{k: t[k] for k in study.KEY} for t in listed[: len(every)]] == every
    assert len({tuple(cell.values()) for cell in every}) == len(every)


def test_blocks_add_up_to_what_single_sets_say() -> None:
    """Counted here set by set, with lawful.fit and its methods, beside what the study makes of two blocks."""
    tasks = [{**CELL, "block": block} for block in (0, 1)]
    made = [study.compute(QUICK, task) for task in tasks]
    tables = study.summarise(QUICK, {name: Table.stack([part[name] for part in made]) for name in made[0]})
    held, noted = dict.fromkeys(study.QUANTITIES, 0), 0
    for task in tasks:
        truth, at, losses = study.simulated(QUICK, task)
        budget = 100 * float(6 * (at.N * at.D).max())
        best = truth.optimum(budget)
        true = {**truth.coefficients, "a": truth.exponents[0], "params": best.params, "loss": best.loss}
        for y in losses:
            found = fit(Runs.from_arrays(at.N, at.D, y, C=at.C))
            noted += any(note.code == "shared_error" for note in found.intervals().notes)
            for name in held:
                low, high = found.profile(name, budget=budget if name in study.AT_BUDGET else None).interval
                held[name] += low <= true[name] <= high
    rows = {row["quantity"]: row for row in tables["coverage"].rows()}
    assert {name: row["coverage"] * 12 for name, row in rows.items()} == pytest.approx(held)
    assert all(row["sets"] == 12 for row in rows.values())
    assert tables["detection"].one(said="shared_error")["share"] * 12 == pytest.approx(noted)


def test_numbers_that_the_verdict_withholds_are_no_figures_of_coverage() -> None:
    """All runs at one ratio: N* and L* are withheld; E is told."""
    truth, at, losses = study.simulated(QUICK, {**CELL, "design": "ladder 5x5", "block": 0})
    ratio = float(np.median(at.D / at.N))
    size = np.geomspace(at.N.min(), at.N.max(), 15)
    loss = truth.loss(size, ratio * size) + losses[0][:15] - truth.loss(at.N, at.D)[:15]
    ends, codes, verdict = study.answers(Runs.from_arrays(size, ratio * size, loss), 1e24, 0.9)
    assert verdict is Verdict.NOT_IDENTIFIED
    assert "not_identified" in codes
    assert set(ends) == {"E", "alpha", "beta", "a"}


def test_the_quick_study_says_where_it_holds() -> None:
    made = [study.compute(QUICK, task) for task in study.tasks(QUICK)]
    tables = study.summarise(QUICK, {name: Table.stack([part[name] for part in made]) for name in made[0]})
    said = study.findings(tables)
    assert said[0].startswith("Under independent errors ")
    assert said[1].startswith("Under shared errors ")
    assert any(sentence.startswith("Refused, coupled .58") for sentence in said)
    assert set(study.draw(tables)) == {"coverage"}
    assert {row["kind"] for row in tables["summary"].rows()} == {"independent", "shared", "refused"}
