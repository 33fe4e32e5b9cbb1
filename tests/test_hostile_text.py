"""What stands in cells, headers and names of files never steers a terminal, and never stops a result."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from lawful.cli import main

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "synthetic_sweep.csv"
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
EVIL = "a\x1b[31m\x07\x9b2J\u202eb"


@pytest.fixture
def hostile(tmp_path):
    """A good table with a column and cells of controls, under a name that holds some."""
    header, *rows = EXAMPLE.read_text().splitlines()
    path = tmp_path / f"runs{EVIL}.csv"
    lines = [f"{header},{EVIL},name", *(f"{row},x{EVIL}{i % 2},{EVIL}{i}" for i, row in enumerate(rows))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


CASES = (
    ["fit", "PATH", "--budget", "1e24"],
    ["fit", "PATH", "--by", EVIL],
    ["check", "PATH"],
    ["look", "PATH"],
    ["compare", "PATH"],
    ["isoflops", "PATH"],
    ["conventions", "PATH"],
    ["fit", "PATH", "--select", f"{EVIL}=nope{EVIL}"],
    ["fit", "PATH", "--columns", f"loss={EVIL}"],
    ["fit", f"no{EVIL}.csv"],
    ["fit", "PATH", f"--{EVIL}"],
    ["predict", f"{EVIL}.json", "--params", "1", "--tokens", "1"],
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: re.sub("[^a-z-]+", ".", " ".join(case)))
def test_no_control_reaches_the_terminal(hostile, capfd, case):
    main([str(hostile) if part == "PATH" else part for part in case])
    out, err = capfd.readouterr()
    assert out or err
    assert CONTROL.findall(out + err) == []


@pytest.mark.skipif(os.name != "posix", reason="names of files are bytes on POSIX alone")
def test_a_name_that_is_no_text_does_not_stop_a_result(tmp_path, capsys):
    path = os.fsencode(tmp_path) + b"/runs\xff.csv"
    Path(os.fsdecode(path)).write_bytes(EXAMPLE.read_bytes())
    assert main(["fit", os.fsdecode(path), "--out", str(tmp_path / "out"), "--no-figures"]) == 0
    assert main(["rerun", str(tmp_path / "out" / "fit.json")]) == 0
    assert main(["report", str(tmp_path / "out" / "fit.json"), "--out", str(tmp_path / "page.html")]) == 0
