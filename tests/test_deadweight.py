"""Deadweight Compute Loss of any choice: published figures, and intervals of both sides."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

import lawful
from lawful.core.cost import Cost
from lawful.decide.deadweight import _by_parabolas, _by_runs, deadweight
from lawful.design.plan import plan_isoflop, simulate, study_surface
from lawful.errors import UnsupportedError
from lawful.estimate.isoflop import vertices
from lawful.laws.laws import find_law
from lawful.show.files.document import fit_document
from lawful.show.report.decision import decision_sentences
from lawful.show.speedup import deadweight_document

FIVE = [1e18, 1e19, 1e20, 1e21, 1e22]
SPARSE = Cost(rate="sparse")


@pytest.fixture(scope="module")
def noisy():
    truth = study_surface("asymmetric")
    runs = simulate(
        truth, plan_isoflop([1e17, 1e18, 1e19, 1e20, 1e21], 15, surface=truth, drift=3), noise=0.005, seed=1
    )
    return lawful.fit(runs), lawful.fit_isoflop(runs)


@pytest.mark.parametrize("vector", [209, 213])
def test_vectors_of_the_loss(shared_reference, vector):
    found = {v["id"]: v for v in json.loads((shared_reference / "laws_vectors.json").read_text())}[vector]
    surface = lawful.Surface({n: found["params"][n] for n in ("E", "A", "B", "alpha", "beta")})
    lost = deadweight(surface, found["inputs"]["D"], found["inputs"]["C"])
    assert lost.flops == pytest.approx(found["output"], rel=1e-9)
    assert lost.interval is None


@pytest.mark.parametrize(("row", "surface"), [("Chinchilla", "chinchilla"), ("SODA", "soda")])
def test_study_11_simulated_rows(shared_reference, row, surface):
    with (shared_reference / "study11_costs.csv").open(newline="") as file:
        published = next(r for r in csv.DictReader(file) if r["row"] == row)
    truth = study_surface(surface)
    runs = simulate(truth, plan_isoflop(FIVE, 15, surface=truth, width=2, drift=3))
    lost = deadweight(truth, lawful.fit_isoflop(runs), 3.8e25)
    assert lost.flops == pytest.approx(float(published["dcl_flops"]), rel=0.005)
    assert lost.tokens == pytest.approx(float(published["inferred_tokens"]), rel=0.005)
    assert lost.best_params == pytest.approx(float(published["true_params"]), rel=0.001)


def test_study_11_empirical_row(shared_data):
    runs = lawful.read_runs(shared_data / "isoflops.csv", select={"experiment": "llama_3__raw_loss"})
    surface, isoflop = lawful.fit(runs, method="vpnls"), lawful.fit_isoflop(runs)
    lost = deadweight(surface, isoflop, 3.8e25, draws=400)
    assert lost.fraction == pytest.approx(0.063, abs=5e-4)
    assert lost.dollars(SPARSE) == pytest.approx(1.34e6, rel=0.01)
    assert lost.dollars() == pytest.approx(2 * lost.dollars(SPARSE))
    assert 0.1 < lost.failed < 0.25
    assert [note.code for note in lost.notes] == ["failed_draws"]
    document = deadweight_document(lost, Cost())
    assert document["failed"] == round(400 * lost.failed)
    assert document["dollars"]["dense"] == pytest.approx(2 * document["dollars"]["sparse"])
    assert "with sparsity" in str(lost)


def test_both_sides_are_drawn_and_in_pairs(noisy):
    surface, isoflop = noisy
    both = deadweight(surface, isoflop, 1e24, draws=300, seed=4)
    held, priced = surface.bootstrap(300, seed=4), isoflop.bootstrap(300, seed=4)
    by_hand = [
        float(lawful.Surface({n: held.coefficients[n][i] for n in surface.surface.law.names}).deadweight(1e24, t))
        for i, t in enumerate(priced.tokens(1e24)[:20])
    ]
    assert both.draws[:20] == pytest.approx(by_hand, rel=1e-9)
    assert deadweight(held, priced, 1e24).draws == pytest.approx(both.draws)
    one = deadweight(surface, isoflop, 1e24, draws=300, seed=4, sides="choice")
    assert one.draws == pytest.approx(deadweight(surface.surface, isoflop, 1e24, draws=300, seed=4).draws)
    assert np.nanstd(one.draws) != pytest.approx(np.nanstd(both.draws), rel=1e-3)


def test_a_parabola_that_opens_downward_is_priced_and_counted():
    """The draws that a bootstrap drops are those that `discarded` leaves out; the interval to quote holds them."""
    truth = study_surface("asymmetric")
    runs = simulate(truth, plan_isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.1)
    isoflop = lawful.fit_isoflop(runs)
    lost = deadweight(truth, isoflop, 1e24, draws=500)
    dropped = ~np.isfinite(isoflop.bootstrap(500).tokens(1e24))
    # A downward parabola in log N fails a bootstrap too, and D* is priced here by the parabolas in log D alone.
    assert not (lost.failures & ~dropped).any()
    assert 0 < lost.failures.sum() <= dropped.sum()
    assert np.isfinite(lost.draws).all()
    assert lost.interval[1] > lost.discarded[1]
    assert (lost.draws <= 1e24).all()
    assert lost.notes[0].code == "failed_draws"
    clean = deadweight(truth, isoflop.bootstrap(500), 1e24)
    assert clean.failed == pytest.approx(dropped.mean())
    assert "too narrow" in clean.notes[0].message


def test_a_choice_of_the_optimum_wastes_nothing(noisy):
    surface, _ = noisy
    assert deadweight(surface, surface, 1e24).flops == pytest.approx(0, abs=1e24 * 1e-12)
    assert deadweight(surface, surface.allocate(1e24), 1e24).flops == pytest.approx(0, abs=1e24 * 1e-12)
    assert deadweight(surface, surface.surface, 1e24, draws=50).draws.min() >= 0


def test_what_cannot_be_priced_is_refused(noisy):
    surface, isoflop = noisy
    with pytest.raises(UnsupportedError, match="approach2 has no surface to price a choice on"):
        deadweight(isoflop, surface, 1e24)
    with pytest.raises(UnsupportedError, match="A choice is a positive number of tokens"):
        deadweight(surface, -1.0, 1e24)
    with pytest.raises(UnsupportedError, match="Unknown sides 'one'; choose one of both, choice"):
        deadweight(surface, isoflop, 1e24, sides="one")
    with pytest.raises(UnsupportedError, match="A budget is a positive number"):
        deadweight(surface, isoflop, 0.0)


def test_simulated_runs_leave_no_failed_parabola_where_the_sweep_is_sound():
    """On resampled runs of six sizes the interval reached up to the whole budget."""
    truth = study_surface("chinchilla")
    runs = simulate(truth, plan_isoflop([1e18, 1e19, 1e20, 1e21], 6, surface=truth, drift=3), noise=0.003, seed=2)
    surface, isoflop = lawful.fit(runs, method="vpnls"), lawful.fit_isoflop(runs)
    lost = deadweight(surface, isoflop, 1e23, draws=500, sides="simulated")
    wide = deadweight(surface, isoflop, 1e23, draws=500, sides="choice")
    low, high = lost.interval
    assert low <= lost.flops <= high < 0.05 * 1e23
    assert wide.interval[1] > high
    assert lost.failed == 0.0
    assert "refits" not in lost.sentence


def test_failed_refits_are_counted_and_never_told_as_no_percent():
    truth = study_surface("chinchilla")
    runs = simulate(truth, plan_isoflop([1e18, 1e19, 1e20], 6, surface=truth), noise=0.1, seed=5)
    surface, isoflop = lawful.fit(runs, method="vpnls"), lawful.fit_isoflop(runs)
    lost = deadweight(surface, isoflop, 1e23, draws=2000, sides="simulated")
    assert 0 < lost.failed < 0.5
    count = int(lost.failures.sum())
    assert f"without the {count:,} of 2,000 refits in which a parabola opens downward" in lost.span
    with pytest.raises(UnsupportedError, match="Approach 2 is refitted to them"):
        deadweight(surface.surface, isoflop, 1e23, draws=10, sides="simulated")


def test_a_choice_within_the_noise_of_one_run_is_not_accused():
    truth = study_surface("chinchilla")
    plan = plan_isoflop([1e18, 1e19, 1e20, 1e21], 9, surface=truth, drift=3)
    for noise, accused in ((1e-5, True), (0.01, False)):
        found = lawful.analyse(simulate(truth, plan, noise=noise, seed=3), method="vpnls", budgets=[1e23])
        lost = found.allocations[0].deadweight
        document = fit_document(found)["allocations"][0]["deadweight"]
        said = [lost.sentence, str(found), decision_sentences(found)[0], document["sentence"], found._repr_html_()]
        assert document["as_good_as_can_be_told"] is not accused
        for text in said:
            assert ("as good as can be told" in text) is not accused
            assert "wasted" not in text or accused


def test_a_refused_law_accuses_nobody():
    truth = lawful.Surface(
        {"E": 1.7, "A": 400.0, "B": 1800.0, "alpha": 0.5, "beta": 0.55, "k": 0.55}, law=find_law("skaling")
    )
    runs = simulate(truth, plan_isoflop([1e18, 1e19, 1e20, 1e21], 11, surface=study_surface("chinchilla")), noise=5e-4)
    for method in ("vpnls", "approach2"):
        found = lawful.analyse(runs, method=method, budgets=[1e24])
        lost = found.allocations[0].deadweight
        assert lost is None or lost.as_good == "the runs refuse the law that would price it"
        assert "waste" not in decision_sentences(found)[0]


@pytest.mark.parametrize("log", [False, True])
def test_a_parabola_drawn_whole_strays_as_one_of_drawn_runs(log):
    """Of a thousand runs a budget the vertex drawn through three losses has the mean and the width of refits."""
    truth = lawful.Surface.named("chinchilla")
    plan = lawful.Plan.isoflop([1e18, 1e20], 300, surface=truth)
    mean = truth.loss(plan.N, plan.D)
    runs = lawful.Runs.from_arrays(plan.N, plan.D, mean, C=plan.C)
    spread = np.full(mean.size, 0.02) * (1.0 if log else mean)
    rng, at = np.random.default_rng(0), {}
    for make in (_by_runs, _by_parabolas):
        made = make(runs, mean, spread, log=log)
        losses = made.losses(rng.standard_normal((2000, made.at.size)))
        at[make] = vertices(made.at, losses, made.weight, made.group, 2).at
    refits, whole = at.values()
    assert whole.mean(axis=0) == pytest.approx(refits.mean(axis=0), abs=4 * refits.std() * 2 / np.sqrt(2000))
    assert whole.std(axis=0) == pytest.approx(refits.std(axis=0), rel=0.08)
