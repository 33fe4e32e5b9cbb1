"""A saved fit comes out again to the last digit; a changed source does not go unseen, nor does a number of threads."""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

import lawful
from lawful.cli import main
from lawful.show.files.document import sealed

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "synthetic_sweep.csv"

ORDER = 1e-7
"""How far the answer may move with the order of the rows: sums of squares in another order, solved to 1e-12 of them."""

ASKED = (
    (),
    ("--check",),
    ("--draws", "30", "--law", "skaling", "--seed", "3"),
    ("--method", "approach2"),
    ("--fix", "E=1.69", "--bounds", "alpha=0.1:0.6", "--where", "loss < 4"),
    ("--objective", "huber", "--delta", "auto", "--drop", "3,5-6"),
)


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: " ".join(asked) or "plain")
def test_a_fit_comes_out_again(tmp_path, capsys, asked):
    out = tmp_path / "out"
    assert main(["fit", str(EXAMPLE), *asked, "--budget", "1e24", "--no-figures", "--out", str(out)]) == 0
    capsys.readouterr()
    assert main(["rerun", str(out / "fit.json"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["same"] is document["same_runs"] is document["read_again"] is True
    assert document["changes"] == []


def test_a_table_that_changed_is_seen(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = EXAMPLE.read_text().splitlines()
    Path("runs.csv").write_text("\n".join(lines) + "\n")
    assert main(["fit", "runs.csv", "--no-figures", "--out", "out"]) == 0
    assert main(["rerun", "out/fit.json"]) == 0
    Path("runs.csv").write_text("\n".join([lines[0], *lines[2:]]) + "\n")
    capsys.readouterr()
    assert main(["rerun", "out/fit.json"]) == 1
    out, err = capsys.readouterr()
    assert "not the same" in out
    assert "its source was changed" in out
    assert "n_runs" in out
    assert err.startswith("The saved fit 'out/fit.json' did not come out again")
    Path("runs.csv").rename("moved.csv")
    assert main(["rerun", "out/fit.json"]) == 1
    assert "There is no file 'runs.csv'" in capsys.readouterr().err


def test_a_number_that_was_changed_and_sealed_again_is_seen(tmp_path):
    found = lawful.analyse(str(EXAMPLE), method="vpnls", budgets=[1e24])
    path = found.save(tmp_path / "fit.json")
    assert lawful.rerun(path).same
    document = json.loads(path.read_text())
    document["coefficients"]["alpha"] += 1e-12
    path.write_text(json.dumps(sealed(document)))
    again = lawful.rerun(path)
    assert [place for place, *_ in again.changes] == ["coefficients.alpha"]
    assert not again.same


PROGRAM = """
import hashlib, sys, threading
import lawful
from lawful.show.files.document import dumps, fit_document
def answer():
    found = lawful.analyse(sys.argv[1], budgets=[1e24], draws=40, seed=5, intervals="wild")
    other = lawful.analyse(sys.argv[1], budgets=[1e24], law="skaling")
    return dumps(fit_document(found)) + dumps(fit_document(other))
told = [answer()]
if sys.argv[2] == "threads":
    crowd = [threading.Thread(target=lambda: told.append(answer())) for _ in range(3)]
    for one in crowd: one.start()
    for one in crowd: one.join()
    assert len(told) == 4 and len(set(told)) == 1
print(hashlib.sha256(told[0].encode()).hexdigest())
"""


def test_the_same_bytes_over_processes_threads_and_blas_threads():
    told = set()
    for threads, kind, hashing in (("1", "plain", "0"), ("2", "plain", "1"), ("7", "threads", "2")):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, threads), "PYTHONHASHSEED": hashing}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, EXAMPLE, kind], env=environment, capture_output=True, text=True, check=True
        )
        told.add(done.stdout)
    assert len(told) == 1


def test_nearly_the_same_answer_in_any_order_of_rows(tmp_path):
    with EXAMPLE.open(newline="") as file:
        header, *rows = list(csv.reader(file))
    told = []
    for seed in range(3):
        random.Random(seed).shuffle(rows)
        path = tmp_path / f"{seed}.csv"
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([header, *rows])
        found = lawful.analyse(str(path), budgets=[1e24], method="vpnls")
        told.append({**found.fit.surface.coefficients, "N": found.allocations[0].params})
    for one in told[1:]:
        assert one == pytest.approx(told[0], rel=ORDER)
