"""Method auto through the verbs: its block in every document, its first line, saved and loaded again."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import lawful
from lawful.analysis.analysis import Analysis, analyse
from lawful.analysis.compare import lead_of
from lawful.analysis.predictions import predict_points
from lawful.cli.app import app, main
from lawful.core.render import text
from lawful.data.runs import Runs
from lawful.forecasting.averaged import averaged, method_records
from lawful.forecasting.sets import coupled
from lawful.show.files.artifact import load
from lawful.show.files.bundle import write_columns
from lawful.show.files.document import (
    average_block,
    compare_document,
    fit_document,
    predict_document,
    predictions_document,
    sealed,
)
from lawful.show.report.saved import load_saved

TARGET = 1e22


@pytest.fixture(scope="module")
def runs() -> Runs:
    truth = coupled(0.5)
    return lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20, 1e21], 9, surface=truth), noise=0.003)


@pytest.fixture(scope="module")
def found(runs: Runs) -> Analysis:
    return analyse(runs, budgets=[TARGET], draws=0)


def test_the_first_line_is_the_decision_of_the_average(found: Analysis) -> None:
    first, second = text(*found.sheets()).splitlines()[:2]
    assert first.startswith("At 1e22 FLOPs, 10 times beyond the runs: N* ")
    assert "D* " in first
    assert "L* " in first
    assert second.startswith(
        "Held out: the 9 runs of most compute, forecast from the other 27, came with a median error"
    )
    assert found.average is not None
    record = found.average.record
    assert record is not None
    assert f"{record.hits} of {record.intervals} lay inside" in second


def test_its_decision_is_near_the_truth_where_one_law_alone_is_not(found: Analysis) -> None:
    best = coupled(0.5).optimum(TARGET)
    assert found.average is not None
    made = found.average.outlooks[0]
    low, high = made.prediction
    assert low < best.loss < high
    assert abs(made.loss / best.loss - 1) < 0.02
    low, high = made.interval["params"]
    assert low < best.params < high


def test_the_document_has_the_block_and_keeps_the_fit(found: Analysis, runs: Runs) -> None:
    document = fit_document(found)
    assert document["method"] == "vpnls"
    block = document["auto"]
    assert block["available"]
    assert set(block["record"]) == {"fitted", "held", "beyond", "error", "miss", "hits", "intervals"}
    one = block["forecasts"][0]
    assert set(one["parts"]) == {"noise", "coefficients", "law", "discrepancy"}
    assert one["interval"]["loss"][0] < one["loss"] < one["interval"]["loss"][1]
    named = fit_document(analyse(runs, method="vpnls", budgets=[TARGET], draws=0))
    assert named.pop("auto") is None
    document.pop("auto")
    for both in (document, named):
        both["notes"] = [note for note in both["notes"] if note["code"] != "laws_disagree"]
    assert document == named


@pytest.mark.parametrize(
    "options", [{"law": "skaling"}, {"fixed": {"E": 1.7}}, {"objective": "huber"}, {"method": "approach2"}]
)
def test_what_is_asked_by_name_stays_as_it_is(runs: Runs, options: dict[str, object]) -> None:
    named = analyse(runs, budgets=[TARGET], draws=0, **options)  # type: ignore[arg-type]
    assert named.average is None
    assert named.unaveraged == ""


def test_too_few_runs_have_a_reason_and_the_one_law(runs: Runs) -> None:
    few = runs.take(np.arange(0, len(runs), 5))
    seen = analyse(few, budgets=[TARGET], draws=0)
    assert seen.average is None
    assert "at least 10 runs" in seen.unaveraged
    assert text(*seen.sheets()).startswith("No forecast that averages over laws: ")
    assert fit_document(seen)["auto"] == average_block(seen.unaveraged)


def test_where_the_optimum_is_not_told_the_average_is_silent_too() -> None:
    truth = lawful.Surface.named("chinchilla")
    sizes = np.repeat(np.geomspace(2e7, 5e9, 8), 3)
    ratio = np.tile([400.0, 600.0, 900.0], 8)  # all far beyond the twenty or so tokens per parameter that are best
    rng = np.random.default_rng(5)
    losses = truth.loss(sizes, ratio * sizes) * np.exp(0.002 * rng.standard_normal(sizes.size))
    seen = analyse(Runs.from_arrays(sizes, ratio * sizes, losses), budgets=[1e23], draws=0)
    assert seen.judged is not None
    assert seen.judged.reason == "outside"
    assert seen.average is None
    assert seen.unaveraged.startswith("the runs do not tell")


def test_a_saved_average_is_the_same_again(found: Analysis, tmp_path: Path) -> None:
    again = load(found.save(tmp_path / "fit.json"))
    assert again.average is not None
    assert found.average is not None
    one, two = (each.ensemble.outlook(1e23) for each in (found.average, again.average))
    assert (one.params, one.loss, one.prediction, one.interval) == (two.params, two.loss, two.prediction, two.interval)
    assert again.average.record == found.average.record
    document = predict_document(again, one.params, one.tokens)
    assert document["auto"]["loss"] == one.loss
    assert tuple(document["auto"]["prediction"]["loss"]) == one.prediction


def test_a_file_from_before_the_width_of_the_size_was_averaged_over_k_answers_alike(
    found: Analysis, tmp_path: Path
) -> None:
    document = json.loads(found.save(tmp_path / "fit.json").read_text(encoding="utf-8"))
    del document["average"]["path"], document["average"]["width"]["path_size"]
    document["average"]["width"] |= {"law_size": 0.6, "coefficients_size": 0.55}
    (tmp_path / "old.json").write_text(json.dumps(sealed(document)), encoding="utf-8")
    new, old = (load(tmp_path / name).average.ensemble.outlook(1e23) for name in ("fit.json", "old.json"))
    assert (old.params, old.loss) == (new.params, new.loss)
    assert old.interval["params"] == pytest.approx(new.interval["params"], rel=1e-9)


def test_compare_has_the_average_and_the_record_of_every_method(runs: Runs) -> None:
    made = averaged(runs, [TARGET])
    records = method_records(runs, made.record)
    assert [one.method for one in records] == ["auto", "vpnls", "approach1", "approach2", "approach3"]
    assert all(one.fitted == 27 and one.miss is not None for one in records)
    held = np.sort(runs.C)[27:]
    train, test = runs.take(held.min() > runs.C), runs.take(held.min() <= runs.C)
    one_law = lawful.fit(train, method="vpnls").surface.loss(test.N, test.D) / test.L - 1
    assert records[1].error == pytest.approx(np.median(one_law))
    document = compare_document((), average=made, records=records)
    assert document["auto"]["forecasts"][0]["budget"] == TARGET
    assert [row["method"] for row in document["held_out"]] == [one.method for one in records]


def test_the_shell_leads_with_the_average(found: Analysis, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = found.save(tmp_path / "fit.json")
    assert main(["allocate", str(path), "--budget", "1e23"]) == 0
    assert capsys.readouterr().out.startswith("At 1e23 FLOPs, 100 times beyond the runs: N* ")
    assert main(["allocate", str(path), "--budget", "1e23", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["auto"][0]["beyond"] == pytest.approx(100)
    assert main(["predict", str(path), "--params", "3e9", "--tokens", "6e11"]) == 0
    assert capsys.readouterr().out.startswith("Average of laws: ")


def test_a_forecast_of_an_average_goes_into_the_ledger(
    found: Analysis, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, ledger = found.save(tmp_path / "fit.json"), tmp_path / "ours.jsonl"
    assert main(["forecast", str(path), "--budget", "1e23", "--ledger", str(ledger), "--json"]) == 0
    entry = json.loads(capsys.readouterr().out)
    assert found.average is not None
    made = found.average.ensemble.outlook(1e23)
    assert entry["forecaster"] == "auto"
    assert entry["forecasts"][0]["params"] == pytest.approx(made.params)
    assert tuple(entry["forecasts"][0]["prediction"]) == pytest.approx(made.prediction)
    assert main(["forecast", str(path), "--params", "1e8", "--tokens", "1e14", "--ledger", str(ledger)]) == 1
    assert "more than a factor 10 from the compute-optimal size" in capsys.readouterr().err


def test_two_diverged_runs_do_not_withhold_the_average():
    truth = lawful.Surface({"E": 1.52, "A": 910.0, "B": 640.0, "alpha": 0.37, "beta": 0.31})
    plan = lawful.Plan.isoflop([2e18, 8e18, 3.2e19, 1.3e20], 7, surface=truth, width=6)
    runs = lawful.simulate(truth, plan, noise=0.003, seed=4)
    loss = runs.L.copy()
    loss[[5, 16]] = [8.2, 11.0]
    spoilt = lawful.Runs.from_arrays(runs.N, runs.D, loss, C=runs.C)
    found = lawful.analyse(spoilt, budgets=[1e22], method="vpnls", draws=0, forecaster="average", intervals="none")
    assert found.verdict == "not identified"  # squares follow the two
    assert found.unaveraged == ""
    low, high = found.average.outlooks[0].interval["params"]
    assert low < truth.optimum(1e22).params < high


def test_runs_that_tell_no_optimum_by_any_fit_withhold_it():
    N = np.geomspace(2e7, 5e9, 12)
    loss = 1.7 + 400 / N**0.34 + 1800 / (20 * N) ** 0.37 + np.random.default_rng(1).normal(0, 0.003, 12)
    loss[7] = 9.0
    runs = lawful.Runs.from_arrays(N, 20 * N, loss)
    found = lawful.analyse(runs, budgets=[1e22], method="vpnls", draws=0, forecaster="average")
    assert found.average is None


def test_both_doors_load_the_answer_that_was_saved(found: Analysis, tmp_path: Path) -> None:
    path = found.save(tmp_path / "fit.json")
    one, other = lawful.load(path), load_saved(path).analysis
    assert found.average is not None
    for again in (one, other):
        assert again.average is not None
        assert text(*again.sheets()) == text(*found.sheets())
        assert [made.interval for made in again.allocations] == [made.interval for made in found.allocations]
        assert again.average.to_dict() == found.average.to_dict()
    moved = lawful.load(path, budgets=[1e23])
    assert moved.average is not None
    assert [made.budget for made in moved.allocations] == [made.budget for made in moved.average.outlooks] == [1e23]


@pytest.mark.parametrize("led", [0.0, 0.3])
def test_the_shell_fits_auto_as_python_does(
    runs: Runs, led: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lifted = runs.L + led * np.isin(np.arange(len(runs)), (0, 9, 18))
    table = tmp_path / "runs.csv"
    rows = [
        f"{n!r},{d!r},{loss!r}" for n, d, loss in zip(runs.N.tolist(), runs.D.tolist(), lifted.tolist(), strict=True)
    ]
    table.write_text("\n".join(["params,tokens,loss", *rows]), encoding="utf-8")
    assert main(["fit", str(table), "--budget", "1e22", "--json"]) == 0
    shell = json.loads(capsys.readouterr().out)
    python = analyse(table, budgets=[TARGET])
    one = lawful.fit(table)
    assert ("robust" in [note.code for note in one.notes]) == (led > 0)
    assert shell["method"] == python.method == one.method
    assert shell["coefficients"] == python.fit.coefficients == one.coefficients
    assert shell == json.loads(json.dumps(fit_document(python)))


def test_a_run_of_no_weight_does_not_make_a_fit_robust() -> None:
    truth = lawful.Surface.named("chinchilla")
    runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.003)
    third = np.arange(len(runs)) == 3
    spoiled = replace(runs, L=runs.L + 6.0 * third, weight=1.0 * ~third)
    one, other = lawful.fit(spoiled), lawful.fit(runs.take(~third))
    assert one.method == other.method == "vpnls"
    # One sum of squares to rounding, which a flat minimum turns into half the digits of the coefficients.
    assert one.rss == pytest.approx(other.rss, rel=1e-12)
    assert one.coefficients == pytest.approx(other.coefficients, rel=1e-7)


def test_one_distance_is_told_where_flops_are_not_6nd(runs: Runs) -> None:
    cheap = Runs.from_arrays(runs.N, runs.D, runs.L, C=0.6 * runs.C)
    seen = analyse(cheap, budgets=[3e22], draws=0)
    assert seen.average is not None
    # The table's FLOPs are .6 of 6ND, so 3e22 of them are 50 times its largest run, whoever says it.
    assert seen.average.outlooks[0].beyond == pytest.approx(50)
    assert seen.sheets()[0].title.startswith("At 3e22 FLOPs, 50 times beyond the runs: ")
    said = [note.message for note in seen.notes if note.code == "extrapolation"]
    assert len(said) == 1
    assert "is 30 times the largest of the runs (1e21)" in said[0]
    # 8e21 is 8 times the largest run by 6ND, and 13 times by the table's own count, which would be a note.
    assert not [note for note in analyse(cheap, budgets=[8e21], draws=0).notes if note.code == "extrapolation"]


def test_python_verbs_take_a_saved_auto_fit(found: Analysis, tmp_path: Path) -> None:
    again = lawful.load(found.save(tmp_path / "fit.json"))
    assert again.average is not None
    average = again.average.ensemble
    assert again.predict(3e9, 6e10) == average.loss(3e9, 6e10)
    assert again.predict(3e9, budget=1e21) == pytest.approx(average.loss(3e9, 1e21 / 1.8e10))
    made, point = again.forecast([TARGET], points=[(3e9, 6e11)])
    assert (made.params, made.tokens) == (average.params(TARGET), average.tokens(TARGET))
    assert point.prediction == average.interval(3e9, 6e11)
    assert lawful.speedup(again, again, [TARGET])[0].flops == pytest.approx(1)
    lost, same = (lawful.deadweight(source, 5e11, TARGET).flops for source in (again, again.fit))
    assert lost == same
    assert lawful.deadweight(again.fit, again, TARGET).tokens == average.tokens(TARGET)
    assert lawful.explore(tmp_path / "page.html", again).stat().st_size > 1000


def test_the_shell_says_which_verbs_go_by_one_law(
    found: Analysis, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(found.save(tmp_path / "fit.json"))
    named = str(lawful.fit(found.runs, method="vpnls").save(tmp_path / "named.json"))
    for source in (path, named):
        for asked in (["speedup", source, source], ["deadweight", source, "--tokens", "5e11"]):
            assert main([*asked, "--budget", "1e22", "--draws", "0", "--json"]) == 0
            assert (json.loads(capsys.readouterr().out)["auto"] is not None) == (source == path)
            assert main([*asked, "--budget", "1e22", "--draws", "0"]) == 0
            said = "By the one law of the fit" in " ".join(capsys.readouterr().out.split())
            assert said == (source == path)


def test_a_table_of_points_has_the_average_of_each(found: Analysis) -> None:
    document = predictions_document(predict_points(found, {"N": [3e9, 7e9], "D": [6e10, 1.4e11]}))
    assert found.average is not None
    losses = [point["auto"]["loss"] for point in document["points"]]
    assert losses == pytest.approx(found.average.ensemble.loss(np.array([3e9, 7e9]), np.array([6e10, 1.4e11])))


def test_audit_takes_the_average_as_a_method(runs: Runs) -> None:
    score = next(
        one for one in lawful.audit(runs, methods=["auto", "vpnls"], last=1, draws=0).scores if one.method == "auto"
    )
    top = runs.group == runs.group.max()
    from_rest = averaged(runs.take(~top), [TARGET]).ensemble
    assert np.sort(score.error) == pytest.approx(np.sort(from_rest.loss(runs.N[top], runs.D[top]) / runs.L[top] - 1))
    low, high = from_rest.interval(runs.N[top], runs.D[top], 0.9)
    assert score.covered.sum() == ((low <= runs.L[top]) & (runs.L[top] <= high)).sum()


def test_a_refused_law_that_tells_no_optimum_leaves_the_average_none() -> None:
    """Experts that no law reads move the loss more than size does; 11.5B is best at any number of them."""
    rng = np.random.default_rng(5)
    N, ratio = (side.ravel() for side in np.meshgrid(np.geomspace(3e7, 3e9, 6), [6.0, 15, 30, 70, 150]))
    loss = (1.8 + 300 / N**0.33 + 900 / (ratio * N) ** 0.31) * (1 + 0.003 * rng.standard_normal(N.size))
    unread = loss - 0.05 * np.log(np.tile([1.0, 8.0, 64.0], 10))
    blind = analyse({"N": N, "D": ratio * N, "loss": unread}, budgets=[1e23], draws=0)
    assert blind.verdict == "not identified"
    assert blind.average is None
    assert blind.unaveraged
    sighted = analyse({"N": N, "D": ratio * N, "loss": loss}, budgets=[1e23], draws=0)
    assert sighted.average is not None
    low, high = sighted.average.outlooks[0].interval["params"]
    assert low < 11.5e9 < high


@pytest.mark.parametrize("kind", ["told", "copies", "beyond the ratio", "unread column"])
def test_a_comparison_leads_with_the_answer_of_the_fit_or_with_its_refusal(kind: str) -> None:
    """One table has one answer: rows in any order, copies once, and no average where the fit withholds it."""
    rng = np.random.default_rng(8)
    N, ratio = (side.ravel() for side in np.meshgrid(np.geomspace(3e7, 3e9, 6), [6.0, 15, 30, 70, 150]))
    if kind == "beyond the ratio":
        ratio = ratio + 400.0
    loss = (1.8 + 300 / N**0.33 + 900 / (ratio * N) ** 0.31) * (1 + 0.003 * rng.standard_normal(N.size))
    if kind == "unread column":
        loss -= 0.05 * np.log(np.tile([1.0, 8.0, 64.0], 10))
    rows = rng.permutation(N.size)
    rows = np.append(rows, rows[:4]) if kind == "copies" else rows
    table = Runs.from_arrays(N[rows], (ratio * N)[rows], loss[rows])
    alone = analyse(table, budgets=[1e23], draws=0)
    lead = lead_of(lawful.compare(table, budgets=[1e23], draws=0), table, [1e23], 0.9)
    if kind in ("beyond the ratio", "unread column"):
        assert lead.average == alone.unaveraged != ""
        assert lead.records == ()
    else:
        one, other = alone.average.outlooks[0], lead.average.outlooks[0]
        assert (one.params, one.loss, one.interval) == (other.params, other.loss, other.interval)
        assert lead.analysis.average is lead.average


def test_the_page_of_a_comparison_is_its_own(runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "runs.csv"
    write_columns(path, {"params": runs.N, "tokens": runs.D, "loss": runs.L, "flops": runs.C})
    assert main(["compare", str(path), "--budget", "1e23", "--draws", "0", "--out", str(tmp_path / "o")]) == 0
    said = capsys.readouterr().out
    page = (tmp_path / "o" / "report.html").read_text(encoding="utf-8")
    assert "<h1>Four methods on runs.csv" in page
    assert "answered by the average of laws" in page
    told = re.search(r"parameters N\*\s+(\S+)", said)[1]
    assert f"<b>{told}</b>" in page
    assert (
        page.index("Average of laws") < page.index("Held-out budgets: forecasts") < page.index("How far to believe it")
    )
    assert sorted(p.name for p in (tmp_path / "o").iterdir()) == [
        "compare.json", "methods.png", "methods.svg", "report.html", "tables"
    ]  # fmt: skip


def test_a_law_of_ones_own_is_averaged_with_no_other_whatever_its_name(runs: Runs) -> None:
    mine = lawful.sum_of_powers("chinchilla", ("D", "N"))
    assert lawful.analyse(runs, law=mine, draws=0).average is None
    assert lawful.analyse(runs, law=lawful.LAWS["chinchilla"], draws=0).average is not None


def test_a_plan_and_the_explorer_say_that_they_go_by_one_law(tmp_path, capsys):
    N, D = (v.ravel() for v in np.meshgrid(np.geomspace(5e7, 2e9, 6), np.geomspace(2e9, 5e10, 6)))
    loss = 1.7 + 300 / N**0.33 + 900 / D**0.36 + 0.003 * np.random.default_rng(2).standard_normal(N.size)
    runs = {"params": N, "tokens": D, "loss": loss}
    asked = ["--trained", "1e18:1e20:3", "--budget", "1e23", "--total-flops", "1e21", "--simulate", "0"]
    for method, says in (("auto", True), ("vpnls", False)):
        saved = str(lawful.analyse(runs, method=method, budgets=[1e22]).save(tmp_path / method / "fit.json"))
        page = str(tmp_path / f"{method}.html")
        for words in (["plan", *asked, "--prior", saved], ["explore", saved, "--out", page]):
            found = CliRunner().invoke(app, words)
            assert found.exit_code == 0, found.output
            assert ("By the one law of the fit, not by its average of laws" in found.stdout) is says
            document = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
            assert (document["auto"] is not None) is says
