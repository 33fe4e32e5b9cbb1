"""The same table gives the same bytes: over the order of its rows, processes, threads, and threads of BLAS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import lawful
from lawful.cli import main

TRUTH = lawful.Surface.named("chinchilla")
BUDGET = 1e23


def sweep(noise: float = 0.004) -> dict[str, np.ndarray]:
    plan = lawful.Plan.isoflop([1e18, 1e19, 1e20, 1e21], 7, surface=TRUTH)
    runs = lawful.simulate(TRUTH, plan, noise=noise, seed=4)
    seed = np.arange(len(runs)) % 2
    return {"params": runs.N, "tokens": runs.D, "budget": runs.C, "loss": runs.L, "seed": seed}


def with_outliers() -> dict[str, np.ndarray]:
    table = sweep()
    table["loss"] = table["loss"] + np.where(np.arange(28) % 9 == 4, 0.2, 0.0)
    return table


def scattered() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(6)
    n, d = 10 ** rng.uniform(7, 10, 40), 10 ** rng.uniform(9, 11, 40)
    return {"params": n, "tokens": d, "loss": TRUTH.loss(n, d) * np.exp(0.003 * rng.standard_normal(40))}


def with_copies() -> dict[str, np.ndarray]:
    """Rows that agree in every number but stand under two names, and rows that agree in all."""
    table = sweep()
    index = np.concatenate([np.arange(28), [0, 5, 5, 11]])
    doubled = {name: column[index] for name, column in table.items()}
    return {**doubled, "name": np.array([f"run {i % 9}" for i in range(index.size)])}


TABLES = {"sweep": sweep, "outliers": with_outliers, "scattered": scattered, "copies": with_copies}


def shuffled(table, seed):
    order = np.random.default_rng(seed).permutation(table["loss"].size)
    return {name: column[order] for name, column in table.items()}


def written(table, path):
    rows = zip(*[column.tolist() for column in table.values()], strict=True)
    path.write_text("\n".join([",".join(table), *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


def said(capsys, *arguments) -> dict:
    assert main([*map(str, arguments), "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


WAYS = {
    "auto": (),
    "within-budget": ("--intervals", "within-budget", "--draws", "60"),
    "wild": ("--intervals", "wild", "--draws", "60", "--method", "vpnls"),
    "delta": ("--intervals", "delta", "--objective", "huber"),
    "approach3": ("--method", "approach3"),
    "approach2": ("--method", "approach2", "--draws", "60"),
    "approach1": ("--method", "approach1", "--draws", "60"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", TABLES)
def test_the_order_of_rows_moves_no_byte_of_a_fit(tmp_path, capsys, name, way):
    if name == "scattered" and way in ("approach1", "approach2"):
        pytest.skip("runs without budgets have no frontier")
    table = TABLES[name]()
    path, answers = tmp_path / "runs.csv", []
    for seed in (None, 1):
        written(table if seed is None else shuffled(table, seed), path)
        found = said(capsys, "fit", path, "--budget", BUDGET, *WAYS[way])
        # Rows are named by where they stand in the file.
        found["notes"] = [note["code"] for note in found["notes"]]
        answers.append(json.dumps(found))
    assert answers[0] == answers[1]


def test_what_is_said_per_run_stays_in_the_order_of_the_table():
    table = with_outliers()
    order = np.random.default_rng(3).permutation(28)
    mixed = {name: column[order] for name, column in table.items()}
    a, b = lawful.read_runs(table), lawful.read_runs(mixed)
    assert np.array_equal(b.N, table["params"][order])
    for method in ("auto", "vpnls", "approach3"):
        first, second = lawful.fit(a, method=method), lawful.fit(b, method=method)
        assert np.array_equal(second.residuals, first.residuals[order])
        assert np.array_equal(second.runs.N, b.N)
        assert np.array_equal(second.runs.weight, first.runs.weight[order])
        assert second.rss == first.rss
    first, second = lawful.fit_isoflop(a, window=5), lawful.fit_isoflop(b, window=5)
    assert sorted(order[second.used]) == sorted(first.used)
    assert second.basis.L.sum() == pytest.approx(first.basis.L.sum(), abs=1e-12)
    assert np.array_equal(lawful.check(b).reason, lawful.check(a).reason[order])


def test_verbs_after_a_fit_do_not_depend_on_the_order_either():
    table = sweep()
    one, other = (lawful.fit(t, method="vpnls") for t in (table, shuffled(table, 5)))
    for ask in (
        lambda f: f.forecast([BUDGET])[0],
        lambda f: f.lack_of_fit().p,
        lambda f: f.coverage(repeats=20, draws=0).table,
        lambda f: f.profile("params", budget=BUDGET).interval,
        lambda f: f.bootstrap(40, scheme="rows").frontier["a"].tolist(),
        lambda f: f.bootstrap(20).extend(20).interval("a", kind="studentised"),
        lambda f: f.bootstrap(20).interval("a", kind="bca"),
        lambda f: f.dial(BUDGET).table["loss"].tolist(),
    ):
        assert str(ask(one)) == str(ask(other))


def test_processes_and_threads_of_blas_say_the_same_bytes(tmp_path):
    path = written(scattered(), tmp_path / "runs.csv")
    big = np.random.default_rng(1)
    n, d = 10 ** big.uniform(7, 10, 6000), 10 ** big.uniform(9, 11, 6000)
    loss = TRUTH.loss(n, d) * np.exp(0.003 * big.standard_normal(6000))
    large = written({"params": n, "tokens": d, "loss": loss}, tmp_path / "large.csv")
    for file, more in ((path, ["--draws", "40"]), (large, ["--intervals", "none", "--method", "vpnls"])):
        answers = set()
        for threads in ("1", "3"):
            names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
            command = [sys.executable, "-m", "lawful", "fit", str(file), "--budget", "1e23", "--json", *more]
            done = subprocess.run(
                command, capture_output=True, check=True, env={**os.environ, **dict.fromkeys(names, threads)}
            )
            answers.add(done.stdout)
        assert len(answers) == 1


def test_threads_of_one_process_say_the_same():
    runs = lawful.read_runs(sweep())
    alone = lawful.fit(runs).bootstrap(100).frontier["a"]
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: lawful.fit(runs).bootstrap(100).frontier["a"], range(8)))
    assert all(np.array_equal(alone, one) for one in made)


AFTER = {
    "compare": ("compare", "--budget", BUDGET, "--draws", "20"),
    "audit": ("audit", "--last", "1"),
    "audit of the average": ("audit", "--last", "1", "--methods", "auto"),
    "audit by size": ("audit", "--last", "1", "--holdout", "params"),
    "bias": ("bias",),
    "bias beyond": ("bias", "--budget", BUDGET),
}


def rows_aside(found):
    """The document with the codes of its notes alone: they name rows by where they stand in the file."""
    if isinstance(found, dict):
        codes = {key: [note["code"] for note in value] for key, value in found.items() if key == "notes"}
        return {key: rows_aside(value) for key, value in found.items()} | codes
    return [rows_aside(value) for value in found] if isinstance(found, list) else found


CASES = [(name, way) for name in ("sweep", "outliers", "copies") for way in AFTER]


# An audit fits several times over, and copies are where an order could matter.
@pytest.mark.parametrize(("name", "way"), [case for case in CASES if case[0] == "copies" or "audit" not in case[1]])
def test_the_order_of_rows_moves_no_byte_of_other_verbs(tmp_path, capsys, name, way):
    table = TABLES[name]()
    path, answers = tmp_path / "runs.csv", []
    verb, *more = AFTER[way]
    for seed in (None, 9):
        written(table if seed is None else shuffled(table, seed), path)
        answers.append(json.dumps(rows_aside(said(capsys, verb, path, *more)), indent=1))
    assert answers[0] == answers[1]


def test_an_audit_says_what_it_says_per_run_in_the_order_of_the_table():
    table = sweep()
    order = np.random.default_rng(3).permutation(28)
    mixed = {name: column[order] for name, column in table.items()}
    one, other = (lawful.audit(t, laws=["chinchilla"], methods=["vpnls"], last=1, draws=20) for t in (table, mixed))
    (first,), (second,) = one.scores, other.scores
    held = order[order >= 21] - 21  # the last budget is the last seven rows
    assert second.row.tolist() == first.row.tolist() == list(range(7))
    assert np.array_equal(second.error, first.error[held])
    assert np.array_equal(second.covered, first.covered[held])
