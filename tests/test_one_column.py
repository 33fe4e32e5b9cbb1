"""Laws of one column on tables of one column: fitted, saved, asked to predict, from Python and from the shell."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import least_squares

import lawful
from lawful.cli import main
from lawful.data.runs import Runs
from lawful.errors import InputError, UnsupportedError
from lawful.laws.laws import LAWS
from lawful.show.files.document import predict_document

X = np.geomspace(1e7, 1e11, 14)
NOISE = np.exp(np.random.default_rng(5).normal(0.0, 0.002, X.size))

TRUTHS = {
    "hestness": ("tokens", {"E": 0.5, "A": 11.9, "alpha": 0.2}),
    "compute": ("budget", {"E": 1.7, "A": 3000.0, "alpha": 0.17}),
    "kaplan-n": ("params", {"Nc": 8.8e13, "alphaN": 0.076}),
    "kaplan-d": ("tokens", {"Dc": 5.4e13, "alphaD": 0.095}),
    "kaplan-c": ("budget", {"Cc": 3e13, "alphaC": 0.057}),
    "amari-4": ("tokens", {"E": 0.4, "c": 5e7, "alpha": 1.0}),
}
SYMBOL = {"params": "N", "tokens": "D", "budget": "C"}


def column_of(name: str) -> np.ndarray:
    return X * 6e9 if TRUTHS[name][0] == "budget" else X


def table_of(name: str) -> dict[str, np.ndarray]:
    column, truth = TRUTHS[name]
    x = column_of(name)
    return {column: x, "loss": LAWS[name].loss(truth, x) * NOISE}


@pytest.mark.parametrize("name", TRUTHS)
def test_a_table_of_one_column_is_fitted_as_the_same_column_of_a_whole_table(name: str) -> None:
    """What the table does not say makes no difference to a law that does not read it."""
    column, _ = TRUTHS[name]
    table, x = table_of(name), column_of(name)
    alone = lawful.fit(table, law=name)
    others = {"params": x**0.4, "tokens": x**0.6, "budget": x}
    if column == "params":
        others = {"params": x, "tokens": 20 * x}
    elif column == "tokens":
        others = {"params": x / 20, "tokens": x}
    whole = lawful.fit(
        Runs.from_arrays(others["params"], others["tokens"], table["loss"], C=others.get("budget")), law=name
    )
    assert alone.coefficients == pytest.approx(whole.coefficients, rel=1e-9)
    assert alone.status.key == "converged"
    assert alone.predict(**{column: 1e13}) == pytest.approx(whole.surface.law.loss(whole.coefficients, 1e13), rel=1e-9)
    linear = alone.intervals("delta")
    for coefficient in LAWS[name].identifiable:
        low, high = linear.of(coefficient)
        assert low < alone.coefficients[coefficient] < high


def test_hestness_on_tokens_and_loss_is_scipys_fit() -> None:
    table = table_of("hestness")
    found = lawful.fit(table, law="hestness")

    def residual(k: np.ndarray) -> np.ndarray:
        return k[0] + np.exp(k[1] - k[2] * np.log(table["tokens"])) - table["loss"]

    best = least_squares(residual, [0.4, 2.0, 0.15], xtol=1e-15, ftol=1e-15, gtol=1e-15)
    assert [found.coefficients[n] for n in ("E", "A", "alpha")] == pytest.approx(
        [best.x[0], np.exp(best.x[1]), best.x[2]], rel=1e-5
    )


@pytest.mark.parametrize("name", TRUTHS)
def test_the_shell_fits_saves_and_predicts_from_that_column_alone(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    column, truth = TRUTHS[name]
    rows = zip(*(values.tolist() for values in table_of(name).values()), strict=True)
    path = tmp_path / "one.csv"
    path.write_text(f"{column},loss\n" + "\n".join(f"{x!r},{y!r}" for x, y in rows))
    assert main(["fit", str(path), "--law", name, "--out", str(tmp_path / "out"), "--bootstrap", "50", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["law"] == name
    at = 1e18 if column == "budget" else 1e12
    assert main(["predict", str(tmp_path / "out" / "fit.json"), f"--{column}", repr(at), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [told[other] for other in SYMBOL if other != column] == [None, None]
    assert told["loss"] == pytest.approx(float(LAWS[name].loss(truth, at)), rel=0.03)
    low, high = told["interval"]["loss"]
    least, most = told["prediction"]["loss"]
    assert least < low < told["loss"] < high < most
    again = lawful.load(tmp_path / "out" / "fit.json")
    assert again.fit.coefficients == document["coefficients"]
    assert not again.fit.runs.has("N") or column == "params"
    written = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert written == ["curve.png", "curve.svg", "fit.json", "runs.csv"]


def test_a_law_that_reads_more_is_refused_with_those_that_fit() -> None:
    table = table_of("hestness")
    served = "amari-1, amari-2, amari-3, amari-4, hestness, hestness-regions, kaplan-d."
    for law in ("chinchilla", "skaling", "compute", "kaplan-ns"):
        with pytest.raises(InputError) as raised:
            lawful.fit(table, law=law)
        assert str(raised.value).startswith("Runs need the loss and two of params, tokens and budget, but the columns")
        assert str(raised.value).endswith(f"or fit a law of the columns that are there: {served}")
    with pytest.raises(InputError, match=r"a column of unique tokens"):
        lawful.fit({**table, "params": table["tokens"] / 20}, law="muennighoff")


VERBS = {
    "check": lambda fit: lawful.check(fit.runs),
    "approach2": lambda fit: lawful.fit(fit.runs, method="approach2"),
    "approach1": lambda fit: lawful.fit(fit.runs, method="approach1"),
    "audit": lambda fit: lawful.audit(fit.runs),
    "compare": lambda fit: lawful.compare(fit.runs),
    "conventions": lambda fit: lawful.conventions(fit.runs),
    "report": lambda fit: lawful.analyse(fit.runs, law="hestness").report("nowhere.html"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_that_needs_sizes_and_budgets_says_what_the_runs_lack(verb: str) -> None:
    fit = lawful.fit(table_of("hestness"), law="hestness")
    with pytest.raises(InputError, match=r"^Runs need the loss and two of params, tokens and budget"):
        VERBS[verb](fit)


def test_the_shell_says_what_a_law_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = lawful.Surface.named("chinchilla")
    runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 5, surface=truth))
    path = str(lawful.fit(runs).save(tmp_path / "fit.json"))
    assert main(["predict", path, "--params", "1e9"]) == 2
    assert capsys.readouterr().err.strip() == "The chinchilla law predicts from params and tokens; give these."
    assert main(["predict", path, "--params", "1e9", "--budget", "1.2e20", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tokens"] == pytest.approx(2e10, rel=1e-12)


def test_what_a_law_reads_has_to_be_given_to_predict() -> None:
    fit = lawful.fit(table_of("hestness"), law="hestness")
    with pytest.raises(UnsupportedError, match=r"^The hestness law predicts from tokens; give that\.$"):
        fit.predict(params=1e9)
    whole = lawful.Surface.named("besiroglu")
    assert whole.loss(1e9, 2e10) == whole.loss(params=1e9, budget=1.2e20)
    assert whole.loss(tokens=2e10, budget=1.2e20) == pytest.approx(whole.loss(1e9, 2e10), rel=1e-15)
    with pytest.raises(UnsupportedError, match=r"^The chinchilla law predicts from params and tokens; give these\.$"):
        whole.loss(tokens=2e10)
    with pytest.raises(UnsupportedError, match=r"two imply the third; leave one out"):
        whole.loss(1e9, 2e10, budget=1.2e20)


def test_a_table_of_one_column_is_read_only_where_it_is_enough() -> None:
    table = table_of("hestness")
    with pytest.raises(InputError, match=r"^Runs need the loss and two of params, tokens and budget"):
        lawful.read_runs(table)
    runs = lawful.read_runs(table, needs=LAWS["hestness"].columns)
    assert repr(runs) == "Runs(14 runs, D alone, source='table')"
    assert (runs.has("D"), runs.has("N"), runs.has("C"), runs.has("U")) == (True, False, False, False)
    with pytest.raises(InputError):
        lawful.read_runs(table, needs=("N",))
    with pytest.raises(InputError):
        runs.column("N")
    assert list(runs.to_frame().columns) == ["tokens", "loss"]
    groups = lawful.read_runs({**table, "who": ["a", "b"] * 7}, needs=()).groups("who")
    assert {name: len(part) for name, part in groups.items()} == {"a": 7, "b": 7}


def test_a_law_of_compute_says_nothing_about_how_the_budget_is_divided() -> None:
    analysis = lawful.analyse(table_of("compute"), law="compute", draws=30)
    document = predict_document(analysis, budget=1e20)
    assert (document["params"], document["tokens"]) == (None, None)
    assert document["budget"] == pytest.approx(1e20, rel=1e-12)
    assert document["loss"] == pytest.approx(float(analysis.fit.surface.law.loss(analysis.fit.coefficients, 1e20)))
