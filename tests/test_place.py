"""Files of others are never written over, by any verb that writes a single file."""

from __future__ import annotations

from pathlib import Path

import pytest

import lawful
from lawful.cli import main

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
EXAMPLE = str(EXAMPLES / "synthetic_sweep.csv")
PLAN = ["plan", "--prior", "besiroglu", "--layout", "grid", "--trained", "1e18:1e20:3", "--budget", "1e22", "--out"]
NEXT = [
    "next",
    EXAMPLE,
    "--pool",
    str(EXAMPLES / "next_pool.csv"),
    "--cost",
    "budget",
    "--target",
    "params=7B,tokens=2T",
    "--out",
]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return lawful.fit(EXAMPLE, method="vpnls").save(tmp_path_factory.mktemp("saved") / "fit.json")


CASES = (
    (["isoflops", EXAMPLE, "--out"], "points.csv", "a table of points"),
    (["isoflops", EXAMPLE, "--out"], "fit.json", "a table of points"),
    (PLAN, "plan.csv", "a plan"),
    (PLAN, "plan.json", "a plan"),
    (NEXT, "next.csv", "a table of next runs"),
    (["report", "FIT", "--out"], "page.html", "a page"),
    (["explore", "FIT", "--out"], "page.html", "an explorer"),
)


@pytest.mark.parametrize(
    ("call", "name", "what"), CASES, ids=lambda value: value[0] if isinstance(value, list) else value
)
def test_a_file_of_others_stays(saved, tmp_path, capsys, monkeypatch, call, name, what):
    monkeypatch.chdir(tmp_path)
    call = [str(saved) if part == "FIT" else part for part in call]
    mine = saved.read_bytes() if name == "fit.json" else b"params,tokens,loss\n1,2,3\n"
    Path(name).write_bytes(mine)
    assert main([*call, name]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"'{name}' is not {what} that lawful wrote; choose another file for --out.\n"
    assert Path(name).read_bytes() == mine
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(("call", "name"), [(c, n) for c, n, _ in CASES if n != "fit.json"], ids=str)
def test_an_earlier_result_is_replaced(saved, tmp_path, capsys, monkeypatch, call, name):
    monkeypatch.chdir(tmp_path)
    call = [str(saved) if part == "FIT" else part for part in call]
    assert main([*call, name]) == 0
    first = sorted(p.name for p in tmp_path.iterdir())
    assert main([*call, name]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == first


def test_a_gallery_is_not_written_over_a_page_of_others(tmp_path, capsys):
    (tmp_path / "index.html").write_text("<p>mine</p>")
    assert main(["study", "run", "6", "--quick", "--jobs", "1", "--out", str(tmp_path)]) == 1
    assert "is not a gallery that lawful wrote; choose another directory for --out" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["index.html"]


def test_a_folder_of_others_is_no_study(tmp_path, capsys):
    (tmp_path / "06_analytical_error").mkdir()
    (tmp_path / "06_analytical_error" / "shifts.csv").write_text("mine")
    assert main(["study", "run", "6", "--quick", "--jobs", "1", "--out", str(tmp_path)]) == 1
    assert "holds files that lawful did not write" in capsys.readouterr().err
    assert (tmp_path / "06_analytical_error" / "shifts.csv").read_text() == "mine"


def test_requests_that_are_too_large_say_so(capsys):
    for call in (
        ["fit", EXAMPLE, "--draws", "1000000000"],
        ["coverage", EXAMPLE, "--repeats", "1000000000"],
        ["isoflops", EXAMPLE, "--trained", "900000"],
        [*PLAN[:-1], "--sizes-per-budget", "1000000000"],
        [*PLAN[:5], "--trained", "1e18:1e20:1000000000", "--budget", "1e22"],
    ):
        assert main(call) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert "would take about" in err
        assert err.endswith("ask for less, or add --yes.\n")
