"""What hangs on the optimum is refused, or opens with its verdict, wherever a saved fit is asked for it."""

from __future__ import annotations

import json

import numpy as np
import pytest

import lawful
from lawful.cli import main
from lawful.errors import IdentificationError
from lawful.show.report.words import bought_sheet

TRUTH = lawful.Surface.named("chinchilla")
BUDGET = "1e21"


def ladder():
    """Runs at one ratio of tokens to parameters."""
    N = np.geomspace(2e7, 4e9, 11)
    return lawful.Runs.from_arrays(N, 25 * N, TRUTH.loss(N, 25 * N) * np.exp(0.001 * np.cos(np.arange(11))))


def bent():
    """A sweep under a law whose two terms are coupled by a power of .6."""
    k, power = TRUTH.coefficients, 0.6
    plan = lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=TRUTH, width=8)
    terms = (k["A"] / plan.N ** k["alpha"]) ** (1 / power) + (k["B"] / plan.D ** k["beta"]) ** (1 / power)
    stray = 0.001 * np.random.default_rng(1).standard_normal(27)
    return lawful.Runs.from_arrays(plan.N, plan.D, (k["E"] + terms**power) * np.exp(stray), C=plan.C)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("told")
    for name, runs in (("untold", ladder()), ("refused", bent())):
        lawful.fit(runs, method="vpnls").save(folder / f"{name}.json")
    return folder


OF_THE_OPTIMUM = {
    "forecast": ("FIT", "--budget", BUDGET, "--ledger", "LEDGER"),
    "indifference": ("FIT", "--budget", BUDGET),
    "deadweight": ("FIT", "--budget", BUDGET, "--tokens", "2e10"),
    "speedup": ("FIT", "FIT", "--budget", BUDGET, "--draws", "0"),
}
OF_ITS_WIDTH = {
    "dial": ("FIT", "--budget", BUDGET),
    "profile": ("FIT", "--quantity", "params", "--budget", BUDGET),
    "allocate": ("FIT", "--budget", BUDGET),
}


def told(capsys, saved, tmp_path, verb, words, name):
    places = {"FIT": str(saved / f"{name}.json"), "LEDGER": str(tmp_path / "ledger.jsonl")}
    words = [places.get(word, word) for word in words]
    if verb == "speedup":
        (tmp_path / "b.json").write_text((saved / f"{name}.json").read_text())
        words[1] = str(tmp_path / "b.json")
    code = main([verb, *words])
    return code, *capsys.readouterr()


@pytest.mark.parametrize("verb", OF_THE_OPTIMUM)
def test_an_optimum_that_the_runs_do_not_tell_is_refused(capsys, saved, tmp_path, verb):
    code, out, err = told(capsys, saved, tmp_path, verb, OF_THE_OPTIMUM[verb], "untold")
    assert (code, out) == (1, "")
    assert err.startswith("The runs do not tell the compute-optimal size: all 11 runs have 25 tokens per parameter")
    assert not (tmp_path / "ledger.jsonl").exists()


@pytest.mark.parametrize("verb", OF_ITS_WIDTH)
def test_how_little_is_told_opens_with_the_verdict(capsys, saved, tmp_path, verb):
    code, out, _ = told(capsys, saved, tmp_path, verb, OF_ITS_WIDTH[verb], "untold")
    assert code == 0
    assert out.startswith("Verdict: not identified")


@pytest.mark.parametrize("verb", OF_THE_OPTIMUM | OF_ITS_WIDTH)
def test_what_a_refused_law_answers_opens_with_the_verdict(capsys, saved, tmp_path, verb):
    words = (OF_THE_OPTIMUM | OF_ITS_WIDTH)[verb]
    code, out, _ = told(capsys, saved, tmp_path, verb, words, "refused")
    assert code == 0
    assert out.startswith("Verdict: law refused")
    if verb == "deadweight":
        assert "as good as can be told: the runs refuse the law that would price it" in " ".join(out.split())
    if verb != "forecast":
        _, out, _ = told(capsys, saved, tmp_path, verb, (*words, "--json"), "refused")
        assert json.loads(out)["verdict"] == "law refused"


def test_a_fit_in_python_says_the_same():
    untold, refused = (lawful.fit(runs, method="vpnls") for runs in (ladder(), bent()))
    best = untold.allocate(1e21)
    assert np.isnan([best.params, best.tokens]).all()
    assert best.loss is None
    assert best.notes[0].code == "not_identified"
    assert "not_identified" in str(best)
    assert untold.allocate(1e21, params=1e9).params == 1e9
    for ask in (lambda: untold.forecast([1e21]), lambda: untold.indifference(1e21)):
        with pytest.raises(IdentificationError, match="do not tell the compute-optimal size"):
            ask()
    (near,) = untold.forecast(points=[(1e9, 2.5e10)])
    assert near.prediction[0] < TRUTH.loss(1e9, 2.5e10) < near.prediction[1]
    assert [note.code for note in refused.allocate(1e21).notes] == ["lack_of_fit"]


def test_no_plan_lies_around_an_optimum_that_the_runs_do_not_tell(capsys, saved):
    words = ["plan", "--trained", "1e18:1e20:3", "--budget", BUDGET, "--total-flops", "1e21", "--simulate", "0"]
    assert main([*words, "--prior", str(saved / "untold.json")]) == 1
    assert capsys.readouterr().err.startswith("The runs do not tell the compute-optimal size")
    assert main([*words, "--prior", str(saved / "refused.json")]) == 0
    assert capsys.readouterr().out.startswith("The prior's verdict: law refused.")


@pytest.mark.parametrize("verb", ["fit", "look", "check", "isoflops"])
def test_a_result_given_for_a_table_says_where_the_runs_are(capsys, saved, verb):
    assert main([verb, str(saved / "refused.json")]) == 1
    assert "is a result (lawful.fit/1), not a table of runs; give its table of runs" in capsys.readouterr().err


def test_a_price_in_the_report_carries_the_doubt_of_the_first_page():
    allocation = lawful.analyse(bent(), method="vpnls", budgets=[1e22], draws=0).allocations[0]
    (row,) = bought_sheet([allocation]).rows
    assert allocation.deadweight.fraction > 0
    assert (row[-1].text, row[-1].small) == ("as good as can be told", "the runs refuse the law that would price it")


@pytest.mark.parametrize("cluster", [None, "none", "lab"])
def test_a_saved_fit_keeps_what_its_runs_share(tmp_path, cluster):
    """Two curves a size, so that neither the sizes nor the shape of the table tell which rows are of one run."""
    rng = np.random.default_rng(2)
    run = np.repeat(np.arange(14), 5)
    N, D = np.repeat(np.geomspace(5e7, 4e9, 7), 10), np.tile(np.geomspace(2e9, 8e10, 5), 14)
    stray = 0.006 * rng.standard_normal(14)[run] + 0.001 * rng.standard_normal(70)
    table = {"run_name": [f"r{i}" for i in run], "lab": [f"lab {i % 5}" for i in run], "params": N, "tokens": D}
    made = lawful.analyse({**table, "loss": TRUTH.loss(N, D) * np.exp(stray)}, budgets=[1e22], cluster=cluster)
    made.save(tmp_path / "fit.json")
    again = lawful.load(tmp_path / "fit.json")
    assert again.verdict == made.verdict
    assert again.allocations[0].interval == made.allocations[0].interval
    assert again.allocate(1e23).interval == made.allocate(1e23).interval
    assert again.interval("alpha") == made.interval("alpha")
    assert again.fit.lack_of_fit().p == made.fit.lack_of_fit().p
