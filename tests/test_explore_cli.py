"""``lawful explore``: what it writes, what it will not write over, and one sentence for every bad input."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import lawful
from lawful.analysis.analysis import analyse
from lawful.cli import main


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the command line in an empty folder; exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*args: object) -> tuple[int, str, str]:
        code = main(["explore", *map(str, args)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A fit that was asked for two budgets."""
    truth = lawful.Surface.named("besiroglu")
    runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 6, surface=truth), noise=0.002)
    return analyse(runs, budgets=[1e23, 1e22], draws=0).save(tmp_path / "fit.json")


def initial(page: Path) -> dict[str, Any]:
    """Settings that a page opens with."""
    data = re.search(r'id="lawful-data">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    return json.loads(data[1])["initial"]


def test_the_page_stands_where_one_is_and_replaces_an_earlier_one(call: Any, tmp_path: Path) -> None:
    assert call() == (0, "Wrote explorer.html: open it in a browser, it needs no server and no network.\n", "")
    first = (tmp_path / "explorer.html").read_text(encoding="utf-8")
    assert call("--budget", "3e23")[0] == 0
    assert (tmp_path / "explorer.html").read_text(encoding="utf-8") != first
    assert initial(tmp_path / "explorer.html")["target"] == 3e23
    assert [path.name for path in tmp_path.iterdir()] == ["explorer.html"]


def test_a_fit_brings_its_law_and_its_largest_budget(call: Any, saved: Path, tmp_path: Path) -> None:
    code, out, err = call(saved, "--out", "deep/own.html", "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert "average of laws" in document.pop("auto")["reason"]
    assert document == {"schema": "lawful.explore/1", "out": "deep/own.html", "fit": str(saved)}
    state = initial(tmp_path / "deep" / "own.html")
    assert state["alpha"] == lawful.load(saved).fit.surface["alpha"]
    assert (state["target"], state["points"]) == (1e23, 6)


def test_the_price_is_what_was_asked_for(call: Any, tmp_path: Path) -> None:
    assert call("--gpu", "a100", "--mfu", 0.4, "--price", 1.5)[0] == 0
    text = (tmp_path / "explorer.html").read_text(encoding="utf-8")
    assert "a100, dense bf16 312 TFLOP/s, 40% MFU, $1.5 per GPU hour" in text


def sentence(result: tuple[int, str, str]) -> tuple[int, str]:
    code, out, err = result
    assert out == ""
    assert err.count("\n") == 1
    return code, err.strip()


def test_what_lawful_did_not_write_is_not_written_over(call: Any, saved: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.html").write_text("<p>mine</p>")
    answer = "'notes.html' is not an explorer that lawful wrote; choose another file for --out."
    assert sentence(call("--out", "notes.html")) == (1, answer)
    assert sentence(call(saved, "--out", saved)) == (1, answer.replace("notes.html", str(saved)))
    assert (tmp_path / "notes.html").read_text() == "<p>mine</p>"
    (tmp_path / "folder").mkdir()
    answer = "'folder' is a directory; --out takes the name of an HTML file here."
    assert sentence(call("--out", "folder")) == (1, answer)
    code, said = sentence(call("--out", "notes.html/below.html"))
    assert (code, said.startswith("Cannot write to 'notes.html/below.html' (")) == (1, True)


def test_a_bad_fit_is_refused_in_a_sentence_and_nothing_is_written(call: Any, tmp_path: Path) -> None:
    (tmp_path / "table.json").write_text("[1, 2]")
    (tmp_path / "text.json").write_text("not json")
    assert sentence(call("absent.json")) == (1, "There is no file 'absent.json'; check the path.")
    assert sentence(call("text.json"))[0] == 1
    assert sentence(call("table.json")) == (1, "The file 'table.json' is JSON, but not a fit that lawful wrote.")
    truth = lawful.Surface.named("chinchilla")
    runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19], 5, surface=truth))
    lawful.fit_isoflop(runs).save(tmp_path / "lines.json")
    code, said = sentence(call("lines.json"))
    assert (code, said.startswith("approach2 fits no surface")) == (2, True)
    assert not (tmp_path / "explorer.html").exists()


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        (("--budget", "-1"), "--budget must be a positive number, got '-1'."),
        (("--gpu", "abacus"), "Unknown hardware 'abacus'; choose one of "),
        (("--mfu", "2"), "MFU is a share of the peak between 0 and 1, got 2.0."),
    ],
)
def test_options_that_make_no_sense_are_usage_errors(call: Any, options: tuple[str, ...], answer: str) -> None:
    code, said = sentence(call(*options))
    assert (code, said.startswith(answer)) == (2, True)
