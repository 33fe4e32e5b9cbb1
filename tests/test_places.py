"""Where tables are: several files, patterns, folders, standard input, addresses and databases, read as one file is."""

from __future__ import annotations

import functools
import io
import json
import sqlite3
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import lawful
from lawful.cli import main
from lawful.errors import InputError
from lawful.sources import places


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    C = np.repeat([3e18, 3e19, 3e20], 6)
    N = 0.1 * C**0.5 * np.tile(np.geomspace(0.4, 2.5, 6), 3)
    D = C / (6 * N)
    loss = 1.75 + 450 / N**0.34 + 1600 / D**0.36 + rng.normal(0, 0.002, 18)
    return pd.DataFrame({"N": N.round(), "D": D.round(), "loss": loss, "budget": C})


@pytest.fixture
def parts(frame, tmp_path) -> list[Path]:
    paths = []
    for budget, part in frame.groupby("budget"):
        paths.append(tmp_path / f"at_{budget:.0e}.csv")
        part.to_csv(paths[-1], index=False)
    return paths


def same(runs: lawful.Runs, frame: pd.DataFrame) -> bool:
    order, wanted = np.lexsort((runs.N, runs.C)), frame.sort_values(["budget", "N"])
    return np.array_equal(runs.N[order], wanted.N) and np.allclose(runs.L[order], wanted.loss, rtol=1e-12)


def test_several_files_and_patterns_are_one_table(frame, parts, tmp_path):
    for given in (
        parts,
        [str(tmp_path / "*.csv")],
        str(tmp_path / "at_*.csv"),
        [parts[0], tmp_path / "at_3e+[12]*.csv"],
    ):
        runs = lawful.read_runs(given)
        assert same(runs, frame)
        assert sorted(set(runs.labels["file"])) == [p.name for p in parts]
    assert runs.source.endswith("and 2 more files")
    assert len(lawful.read_runs(parts, select={"file": parts[0].name})) == 6
    assert set(lawful.read_runs(parts).groups("file")) == {p.name for p in parts}


def test_the_shell_takes_several_files(parts, capsys):
    assert main(["fit", *map(str, parts), "--draws", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n_runs"] == 18
    assert main(["look", *map(str, parts)]) == 0
    assert f"Next: lawful fit {' '.join(map(str, parts))} --budget" in capsys.readouterr().out


def test_files_that_name_a_quantity_differently_are_refused_in_one_sentence(parts, frame, tmp_path):
    frame.rename(columns={"N": "params"}).to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(
        InputError, match=r"call params by several names: N in .* and params in .*; give them one name\.$"
    ):
        lawful.read_runs([*parts, tmp_path / "other.csv"])
    frame.rename(columns={"N": "size"}).assign(lr=1.0).to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(InputError, match="several names"):
        lawful.read_runs([*parts, tmp_path / "other.csv"])


def test_other_columns_may_be_missing_and_file_may_be_taken(parts, frame, tmp_path):
    frame.assign(lr=3e-4, file="x").to_csv(tmp_path / "more.csv", index=False)
    runs = lawful.read_runs([parts[0], tmp_path / "more.csv"])
    assert len(runs) == 24
    assert set(runs.labels["file.1"]) == {parts[0].name, "more.csv"}
    assert np.isnan(runs.labels["lr"][:6]).all()


def test_names_of_files_in_several_folders_stay_apart(frame, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        frame.to_csv(tmp_path / name / "runs.csv", index=False)
    runs = lawful.read_runs(str(tmp_path / "*" / "runs.csv"))
    assert set(runs.labels["file"]) == {str(tmp_path / name / "runs.csv") for name in ("a", "b")}


def test_a_folder_of_records(frame, tmp_path):
    for i, row in enumerate(frame.to_dict("records")):
        record = {"config": {"n_params": row["N"]}, "summary": {"total_tokens": row["D"], "eval/loss": row["loss"]}}
        (tmp_path / f"run{i}.json").write_text(json.dumps(record))
    (tmp_path / "notes.txt").write_text("not a run")
    runs = lawful.read_runs(tmp_path)
    assert len(runs) == 18
    assert np.array_equal(np.sort(runs.N), np.sort(frame.N))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="is a directory"):
        lawful.read_runs(tmp_path / "empty")


def test_standard_input(frame, monkeypatch, capsys):
    text = frame.to_csv(index=False).encode()
    for data in (text, frame.to_json(orient="records", double_precision=15).encode()):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        assert same(lawful.read_runs("-"), frame)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert main(["check", "-", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n_runs"] == 18
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with pytest.raises(InputError, match="'standard input' is empty"):
        lawful.read_runs("-")
    with pytest.raises(InputError, match="give - once"):
        lawful.read_runs(["-", "-"])


@pytest.fixture
def server(tmp_path, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()


def test_an_address_of_the_web(frame, parts, server, monkeypatch):
    runs = lawful.read_runs([f"{server}/{p.name.replace('+', '%2B')}" for p in parts])
    assert same(runs, frame)
    with pytest.raises(InputError, match=r"cannot be fetched .*404"):
        lawful.read_runs(f"{server}/nothing.csv")
    monkeypatch.setattr(places, "LARGEST", 100)
    with pytest.raises(InputError, match="so it was not read"):
        lawful.read_runs(f"{server}/{parts[0].name.replace('+', '%2B')}")


def test_an_address_that_nobody_answers():
    with pytest.raises(InputError, match="cannot be fetched"):
        lawful.read_runs("http://127.0.0.1:9/runs.csv")


def test_other_addresses_need_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(InputError, match=r"hf:// need fsspec; pip install 'lawful\[remote\]'"):
        lawful.read_runs("hf://datasets/someone/runs/sweep.csv")


def test_other_addresses_are_read_by_fsspec(frame):
    fsspec = pytest.importorskip("fsspec", reason="other addresses are read by fsspec, the extra `remote`")
    with fsspec.open("memory://lawful/runs.csv", "wb") as stream:
        stream.write(frame.to_csv(index=False).encode())
    assert same(lawful.read_runs("memory://lawful/runs.csv"), frame)
    with pytest.raises(InputError, match="cannot be read"):
        lawful.read_runs("memory://lawful/nothing.csv")
    with pytest.raises(InputError, match="cannot be read"):
        lawful.read_runs("no-such-scheme://runs.csv")


@pytest.fixture
def database(frame, tmp_path) -> Path:
    path = tmp_path / "runs.db"
    with sqlite3.connect(path) as connection:
        frame.assign(note="it's").to_sql("runs", connection, index=False)
    connection.close()
    return path


def test_a_query_of_a_database(frame, database, capsys):
    assert same(lawful.read_runs(database), frame)
    assert same(lawful.read_runs(f"{database}?sql=SELECT N, D, loss, budget FROM runs WHERE note = 'it''s'"), frame)
    assert main(["check", f"{database}?sql=SELECT N, D, loss FROM runs WHERE budget < 1e20", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n_runs"] == 12


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("SELECT nonsense FROM runs", "no such column"),
        ("DELETE FROM runs", "readonly"),
        ("SELECT * FROM runs WHERE N < 0", "gives no rows"),
        ("SELECT 1; SELECT 2", "one statement"),
    ],
)
def test_a_query_without_an_answer_is_one_sentence(database, query, says):
    with pytest.raises(InputError, match=says) as caught:
        lawful.read_runs(f"{database}?sql={query}")
    assert "\n" not in str(caught.value)
    assert len(lawful.read_runs(database)) == 18


def test_a_database_of_several_tables_asks_which(database, frame):
    with sqlite3.connect(database) as connection:
        frame.to_sql("more", connection, index=False)
    connection.close()
    with pytest.raises(InputError, match=r"has 2 tables \(runs, more\); say what to read as .*\?sql=SELECT"):
        lawful.read_runs(database)


def test_what_is_not_there(tmp_path):
    for place, says in (
        (tmp_path / "no.csv", "There is no file"),
        (str(tmp_path / "*.csv"), "No file matches"),
        (f"{tmp_path}/no.db?sql=SELECT 1", "There is no file"),
        ("x" * 5000, "cannot be read|There is no file"),
        ("", "path of the runs is empty"),
    ):
        with pytest.raises(InputError, match=says):
            lawful.read_runs(place)


def test_a_duckdb_database_is_read_by_a_query(tmp_path):
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect(str(tmp_path / "runs.duckdb")) as database:
        database.execute("CREATE TABLE runs AS SELECT 1e8 AS N, 2e9 AS D, 3.1 AS loss UNION ALL SELECT 2e8, 1e9, 3.2")
    for place in ("runs.duckdb", "runs.duckdb?sql=SELECT * FROM runs"):
        assert sorted(lawful.read_runs(str(tmp_path / place)).N.tolist()) == [1e8, 2e8]
    with pytest.raises(InputError, match="has no answer"):
        lawful.read_runs(str(tmp_path / "runs.duckdb?sql=DROP TABLE runs"))


def test_a_duckdb_database_without_its_reader_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    (tmp_path / "runs.duckdb").write_bytes(b"\0" * 8 + b"DUCK" + b"\0" * 100)
    with pytest.raises(InputError, match=r"pip install 'lawful\[duckdb\]'"):
        lawful.read_runs(str(tmp_path / "runs.duckdb"))
