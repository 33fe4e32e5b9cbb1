"""fit.json: exact there and back, and one sentence for what is no fit."""

from __future__ import annotations

import csv
import json
import math
import re

import numpy as np
import pytest

import lawful
from lawful.design.plan import plan_isoflop, simulate, study_surface
from lawful.errors import InputError, OutputError
from lawful.show.files.artifact import artifact_document, load
from lawful.show.files.bundle import write_fit, write_runs
from lawful.show.files.document import sealed

METHODS = ("vpnls", "approach1", "approach2", "approach3")


@pytest.fixture(scope="module")
def runs():
    truth = study_surface("chinchilla")
    return simulate(truth, plan_isoflop([1e18, 1e19, 1e20, 1e21], 7, surface=truth), noise=0.002, seed=1)


@pytest.fixture(scope="module")
def analyses(runs):
    return {m: lawful.analyse(runs, method=m, budgets=[1e23], draws=30, intervals="within-budget") for m in METHODS}


def same(left, right):
    return np.array_equal(np.asarray(left), np.asarray(right), equal_nan=True)


@pytest.mark.parametrize("scale", [None, {"params": 1e6, "tokens": 1e9}])
@pytest.mark.parametrize("method", METHODS)
def test_round_trip_is_exact(analyses, tmp_path, method, scale):
    found = analyses[method]
    again = load(found.save(tmp_path / "fit.json", scale=scale))
    assert type(again.fit) is type(found.fit)
    assert again.fit.frontier == found.fit.frontier
    assert (again.fit.method, again.fit.status, again.notes) == (found.fit.method, found.fit.status, found.notes)
    for name in ("N", "D", "L", "C", "weight", "group", "budgets"):
        assert same(getattr(again.runs, name), getattr(found.runs, name)), name
    assert again.runs.sha256 == found.runs.sha256
    for kind in ("coefficients", "frontier"):
        saved, kept = getattr(again.draws, kind), getattr(found.draws, kind)
        assert list(saved) == list(kept)
        assert all(same(saved[name], kept[name]) for name in kept)
    if isinstance(found.fit, lawful.Fit):
        assert again.fit.surface == found.fit.surface
        assert again.fit.solver == found.fit.solver
        assert (again.fit.objective, again.fit.value) == (found.fit.objective, found.fit.value)


@pytest.mark.parametrize("method", METHODS)
def test_a_loaded_analysis_allocates_as_the_first_did(analyses, tmp_path, method):
    again = load(analyses[method].save(tmp_path / "fit.json"))
    assert again.allocate(1e23) == analyses[method].allocations[0]


def test_saving_again_changes_nothing_but_the_date(analyses, tmp_path):
    first = artifact_document(analyses["vpnls"])
    second = artifact_document(load(analyses["vpnls"].save(tmp_path / "fit.json")))
    for document in (first, second):
        document["provenance"].pop("created")
    assert first["allocations"] != []
    assert first == second
    silent = load(analyses["vpnls"].save(tmp_path / "fit.json"), budgets=())
    assert (silent.allocations, silent.asked) == ((), tuple(one["budget"] for one in first["allocations"]))


def test_a_bare_fit_is_enough(runs, tmp_path):
    fit = lawful.fit(runs, fixed={"E": 1.7}, method=lawful.VarPro(bounds={"alpha": (0.1, 1.0), "A": (0.0, np.inf)}))
    again = lawful.load(fit.save(tmp_path / "fit.json")).fit
    assert again.surface == fit.surface
    assert (dict(again.fixed), again.solver) == (dict(fit.fixed), fit.solver)
    assert str(again) == str(fit)
    assert load(tmp_path / "fit.json").draws is None


def test_failed_draws_survive(analyses, tmp_path):
    path = analyses["vpnls"].save(tmp_path / "fit.json")
    document = json.loads(path.read_text())
    for values in (*document["draws"]["coefficients"].values(), *document["draws"]["frontier"].values()):
        values[0] = None
    path.write_text(json.dumps(sealed(document)))
    draws = load(path).draws
    assert (draws.failed, len(draws)) == (1, 30)
    assert all(map(math.isfinite, draws.interval("alpha")))


def test_provenance_says_where_the_numbers_come_from(analyses):
    origin = artifact_document(analyses["vpnls"], scale={"params": 1e6})["provenance"]
    assert origin["lawful"] == lawful.__version__
    assert origin["sha256"] == analyses["vpnls"].runs.sha256
    assert origin["solver"]["name"] == "VarPro"
    assert origin["objective"] == {"name": "squared", "delta": None}
    assert (origin["seed"], origin["scheme"], origin["convention"]) == (0, "within-budget", "C = 6ND")
    assert origin["scale"] == {"params": 1e6, "tokens": 1.0}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", origin["created"])
    assert {"python", "numpy", "source", "columns", "selection", "weights", "bounds", "fixed"} <= set(origin)


BROKEN = {
    "a changed run": lambda d: d["runs"]["L"].__setitem__(0, 3.0),
    "no coefficients": lambda d: d["model"]["fit"].pop("coefficients"),
    "an unknown law": lambda d: d["model"]["fit"].update(law="other"),
    "an unknown status": lambda d: d["model"]["fit"].update(status="fine"),
    "a negative coefficient": lambda d: d["model"]["fit"]["coefficients"].update(A=-1.0),
    "an unknown solver": lambda d: d["model"]["fit"]["solver"].update(name="Other"),
    "no runs": lambda d: d.update(runs=None),
    "text in the draws": lambda d: d["draws"]["frontier"].update(a=["x"]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_damaged_file_is_one_sentence(analyses, tmp_path, case):
    path = analyses["vpnls"].save(tmp_path / "fit.json")
    document = json.loads(path.read_text())
    BROKEN[case](document)
    path.write_text(json.dumps(sealed(document)))
    with pytest.raises(InputError, match=r"is a damaged fit .*; fit the runs again\.$"):
        lawful.load(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[1]", "not a fit that lawful wrote"),
        (b'{"schema": "lawful.fit/9"}', r"has schema lawful\.fit/9, this lawful reads lawful\.fit/1"),
        (b'{"schema": "lawful.fit-by/1"}', r"is a lawful\.fit-by/1 document"),
        (b'{"schema": "lawful.fit/1"}', "holds the printed JSON of a fit but not the model"),
    ],
)
def test_what_is_no_fit_is_one_sentence(tmp_path, content, message):
    (tmp_path / "fit.json").write_bytes(content)
    with pytest.raises(InputError, match=message):
        lawful.load(tmp_path / "fit.json")


def test_a_missing_file_and_a_directory(tmp_path):
    with pytest.raises(InputError, match="There is no file"):
        lawful.load(tmp_path / "fit.json")
    with pytest.raises(InputError, match=r"give the fit\.json inside it"):
        lawful.load(tmp_path)


def test_an_unwritable_file_is_one_sentence(analyses, tmp_path):
    with pytest.raises(OutputError, match=r"Cannot write .*is a directory; give the name of a file"):
        analyses["vpnls"].save(tmp_path)


def test_runs_csv_keeps_every_column_and_adds_what_the_fit_says(tmp_path):
    (tmp_path / "in.csv").write_text(
        "run,my_n,loss,flops,seed,residual\n"
        + "".join(
            f'"a, ""{i}""",{n},{3 + 1e9 / n + 1e-16 * i + 0.1 * (i % 3)!r},{c!r},{i},x\n'
            for i, (n, c) in enumerate([(n, c) for c in (1e18, 1e19, 1e20) for n in (100000001, 3e8, 1e9)])
        )
    )
    runs = lawful.read_runs(tmp_path / "in.csv", columns={"params": "my_n"})
    fit = lawful.fit(runs, method="vpnls")
    write_runs(tmp_path / "out.csv", fit)
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (tmp_path / "in.csv").open(newline="") as file:
        source = list(csv.DictReader(file))
    assert list(rows[0]) == [*source[0], "tokens", "predicted_loss", "residual_fit"]
    for i, (row, old) in enumerate(zip(rows, source, strict=True)):
        assert (row["run"], row["seed"], row["residual"]) == (old["run"], old["seed"], "x")
        assert float(row["loss"]) == float(old["loss"]) == runs.L[i]
        assert row["my_n"] == str(int(float(old["my_n"])))
        assert float(row["tokens"]) == runs.D[i]
        assert float(row["residual_fit"]) == fit.residuals[i]


def test_the_document_lists_the_files_beside_it(analyses, tmp_path, monkeypatch):
    monkeypatch.setattr("lawful.show.files.bundle.report_html", lambda analysis, **more: "<html></html>")
    write_fit(tmp_path, analyses["vpnls"], with_figures="none")
    listed = json.loads((tmp_path / "fit.json").read_text())["files"]
    assert listed == sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file())
    assert {name for name in listed if "/" not in name} == {"fit.json", "report.html", "runs.csv"}
    assert "tables/isoflop_runs.csv" in listed
