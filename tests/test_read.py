"""Reading: every format gives the same runs, and every broken file is one sentence."""

from __future__ import annotations

import gzip
import json
import math
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lawful.data.runs import Runs
from lawful.data.values import column_values
from lawful.design.plan import plan_isoflop, simulate, study_surface
from lawful.errors import InputError, UnsupportedError
from lawful.sources import files
from lawful.sources.read import read_groups, read_runs, to_frame

FRAME = pd.DataFrame(
    {
        "run": ["001", "NA", "c, d", 'e "f"'],
        "N": [100_000_000, 200_000_000, 100_000_000, 200_000_000],
        "lr": [0.1, 0.2, np.nan, 0.1],
        "flops": [1e18, 1e18, 1e19, 1e19],
        "loss": [3.1, 1 / 3 + 2, 2.9, 2.7],
        "seed": [1, 2, 3, 4],
        "annealed": [True, False, True, True],
        "note": ["", "ü", "", "x"],
    }
)

Writer = Callable[[Path], Path]


def write_csv(folder: Path) -> Path:
    FRAME.to_csv(folder / "runs.csv", index=False)
    return folder / "runs.csv"


def write_semicolons(folder: Path) -> Path:
    FRAME.to_csv(folder / "runs.csv", index=False, sep=";", encoding="utf-8-sig", lineterminator="\r\n")
    return folder / "runs.csv"


def write_tsv(folder: Path) -> Path:
    FRAME.to_csv(folder / "runs.tsv", index=False, sep="\t")
    return folder / "runs.tsv"


def write_gzip(folder: Path) -> Path:
    FRAME.to_csv(folder / "runs.csv.gz", index=False)
    return folder / "runs.csv.gz"


def write_unknown(folder: Path) -> Path:
    FRAME.to_csv(folder / "runs.txt", index=False)
    return folder / "runs.txt"


def write_jsonl(folder: Path) -> Path:
    # Python's JSON keeps all digits, as loggers do; pandas would round to ten.
    rows = FRAME.astype(object).where(FRAME.notna(), None).to_dict("records")
    lines = [json.dumps(row) for row in rows]
    (folder / "runs.jsonl").write_text("\n\n".join(lines) + "\n")
    return folder / "runs.jsonl"


def write_ndjson_without_suffix(folder: Path) -> Path:
    return write_jsonl(folder).rename(folder / "runs.log")


def write_parquet(folder: Path) -> Path:
    pytest.importorskip("pyarrow")
    FRAME.to_parquet(folder / "runs.parquet")
    return folder / "runs.parquet"


WRITERS = [
    write_csv,
    write_semicolons,
    write_tsv,
    write_gzip,
    write_unknown,
    write_jsonl,
    write_ndjson_without_suffix,
    write_parquet,
]


def assert_same(runs: Runs, expected: Runs) -> None:
    for name in ("N", "D", "L", "C", "weight", "group", "budgets", "row"):
        np.testing.assert_array_equal(getattr(runs, name), getattr(expected, name))
    assert runs.columns == expected.columns
    assert runs.notes == expected.notes
    for kept in ("labels", "table"):
        ours, theirs = getattr(runs, kept), getattr(expected, kept)
        assert list(ours) == list(theirs)
        for name in ours:
            assert ours[name].dtype.kind == theirs[name].dtype.kind
            np.testing.assert_array_equal(ours[name], theirs[name])


# Round trips


@pytest.mark.parametrize("write", WRITERS)
def test_every_format_gives_the_same_runs(write: Writer, tmp_path: Path) -> None:
    path = write(tmp_path)
    runs = read_runs(path)
    assert_same(runs, read_runs(FRAME))
    assert runs.source == str(path)
    assert runs.labels["run"].tolist() == FRAME["run"].tolist()
    assert runs.labels["note"].tolist() == ["", "ü", "", "x"]
    assert math.isnan(runs.labels["lr"][2])
    assert_same(read_runs(str(path)), runs)


@pytest.mark.parametrize("write", WRITERS)
def test_the_table_comes_back_with_what_was_derived(write: Writer, tmp_path: Path) -> None:
    frame = to_frame(read_runs(write(tmp_path)))
    assert list(frame.columns) == [*FRAME.columns, "params", "tokens", "budget"]
    pd.testing.assert_frame_equal(frame[list(FRAME.columns)], FRAME, check_dtype=False)
    assert frame["N"].dtype.kind == "i"
    np.testing.assert_allclose(6 * frame["params"] * frame["tokens"], frame["budget"], rtol=1e-15)


def test_a_table_written_out_reads_back_as_the_same_runs(tmp_path: Path) -> None:
    runs = read_runs(FRAME, select={"annealed": True})
    assert runs.row.tolist() == [1, 3, 4]
    to_frame(runs).drop(columns=["N", "flops"]).to_csv(tmp_path / "again.csv", index=False)
    again = read_runs(tmp_path / "again.csv")
    assert again.sha256 == runs.sha256
    assert again.labels["run"].tolist() == ["001", "c, d", 'e "f"']


def test_the_table_of_simulated_runs_has_their_quantities() -> None:
    truth = study_surface("chinchilla")
    runs = simulate(truth, plan_isoflop([1e18, 1e19], 3, surface=truth))
    frame = to_frame(runs)
    assert list(frame.columns) == ["params", "tokens", "loss", "budget"]
    assert frame["loss"].tolist() == runs.L.tolist()


def test_a_column_that_took_the_name_is_kept_beside_the_quantity() -> None:
    runs = read_runs({"params": [1e8], "N_no_emb": [5e7], "D": [1e9], "loss": [3.0]}, columns={"params": "N_no_emb"})
    frame = to_frame(runs)
    assert list(frame.columns) == ["params", "N_no_emb", "D", "loss", "params_used", "tokens", "budget"]
    assert frame["params_used"].tolist() == [5e7]


@given(st.lists(st.tuples(*[st.floats(1e-30, 1e30)] * 3), min_size=1, max_size=8))
def test_text_carries_every_digit(rows: list[tuple[float, float, float]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "runs.csv")
        path.write_text("N,D,loss\n" + "".join(f"{n!r},{d!r},{loss!r}\n" for n, d, loss in rows))
        runs = read_runs(path, as_is=True)
    assert list(zip(runs.N.tolist(), runs.D.tolist(), runs.L.tolist(), strict=True)) == rows


def test_runs_pass_through_unless_more_is_asked() -> None:
    runs = read_runs(FRAME)
    assert read_runs(runs) is runs
    with pytest.raises(UnsupportedError, match="These runs were read already; give select, columns and weights when"):
        read_runs(runs, select={"seed": 1})


# How text is read


def test_a_csv_with_an_index_column_trailing_commas_and_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("\n,N,D,loss,\n0,1e8,2e9,3.1,\n\n1,2e8,1e9,3.2,\n")
    runs = read_runs(path)
    assert runs.L.tolist() == [3.1, 3.2]
    assert list(runs.labels) == ["column_1"]


def test_names_with_leading_zeros_stay_names_and_decimals_stay_numbers(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("N,D,loss,run,lr,step\n1e8,2e9,3.1,007,0.1,10\n0200000000,1e9,3.2,8,0.2,\n")
    runs = read_runs(path)
    assert runs.labels["run"].tolist() == ["007", "8"]
    assert runs.labels["lr"].tolist() == [0.1, 0.2]
    assert runs.labels["step"][0] == 10.0
    assert runs.N.tolist() == [1e8, 2e8]


def test_a_line_break_inside_quotes_is_no_new_row(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text('N,D,loss,note\n1e8,2e9,3.1,"two\nlines"\n2e8,1e9,3.2,one\n')
    assert read_runs(path).labels["note"].tolist() == ["two\nlines", "one"]


def test_repeated_headers_are_refused_where_they_are_used(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("N,D,loss,loss\n1e8,2e9,3.1,3.2\n")
    with pytest.raises(InputError, match=r"The table has 2 columns named 'loss'; rename all but one of them."):
        read_runs(path)


def test_objects_of_a_jsonl_may_lack_keys(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_text('{"N": 1e8, "D": 2e9, "loss": 3.1}\n{"D": 1e9, "N": 2e8, "tag": {"a": [1]}, "loss": 3.2}\n')
    runs = read_runs(path)
    assert runs.N.tolist() == [1e8, 2e8]
    assert runs.labels["tag.a"].tolist() == ["", "[1]"]


# What is refused


def test_a_missing_file() -> None:
    with pytest.raises(InputError, match=r"^There is no file 'no/such/file.csv'; check the path.$"):
        read_runs("no/such/file.csv")


def test_a_directory(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is a directory; give one file of runs \(CSV, TSV, JSON, JSONL, .*\)"):
        read_runs(tmp_path)


@pytest.mark.parametrize("path", ["", " "])
def test_an_empty_path_is_called_empty(path: str) -> None:
    with pytest.raises(InputError, match="The path of the runs is empty"):
        read_runs(path)


def test_a_path_that_cannot_be() -> None:
    with pytest.raises(InputError, match=r"cannot be read \(embedded null byte\); check the path"):
        read_runs("a\0b")
    with pytest.raises(InputError, match=r"cannot be read \(.*File name too long.*\); check the path"):
        read_runs("a" * 5000)


def test_permission_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_csv(tmp_path)

    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", os.fspath(self))

    # The superuser may read anything, so permissions alone would not do on every machine.
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(InputError, match=r"runs.csv' may not be read by this user; check its permissions"):
        read_runs(path)


GOOD = "N,D,loss\n1e8,2e9,3.1\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("runs.csv", b"", "is empty; it needs a header and one line per run"),
        ("runs.csv", b" \n\r\n\t", "is empty; it needs a header"),
        ("runs.csv", b"\xef\xbb\xbf", "has no readable header in its first line"),
        ("runs.csv.gz", gzip.compress(b"", mtime=0), "is empty; it needs a header"),
        (
            "runs.csv.gz",
            gzip.compress(GOOD.encode(), mtime=0)[:-9],
            "is a damaged gzip file; copy or compress it again",
        ),
        ("runs.csv", b"N,D,loss\n", "has a header but no rows; it needs one line per run"),
        ("runs.csv", b"\x7fELF\x02\x01\x00\x00" * 99, "is binary, not a table of text; save the runs as CSV, TSV"),
        ("runs", b"\x89PNG\r\n\x1a\n\x00\x00", "is binary, not a table of text"),
        ("runs.csv", "N,D,loss\n1,2,3\n".encode("utf-16"), "Params lie between 1 and 1"),
        ("runs.csv", "N,D,loss\n1,2,3\n".encode("utf-32"), "Params lie between 1 and 1"),
        ("runs.csv", "N,D,loss,é\n1,2,3,ü\n".encode("latin-1"), "Params lie between 1 and 1"),
        ("runs.csv", b"N,D,loss,x\n1,2,3,\x98 \xf0 \x81\n", r"is not UTF-8 text \(line 2\), nor in another encoding"),
        ("runs.parquet", GOOD.encode(), "is not a Parquet file; save the runs as CSV"),
        ("runs.parquet", b"PAR1" + bytes(100) + b"PAR1", r"is a damaged Parquet file \(.*\); write it again"),
        ("runs.csv", b"N,D,loss\n1,2,3\n1,2\n", "has 2 fields in line 3 where its header has 3; repair that line"),
        ("runs.csv", b"N,D,loss\n1,2,3,4\n1,2,3\n", "has 4 fields in line 2 where its header has 3"),
        ("runs.csv", b"N,D,loss\n1,2,3\n\n1,2,3,4\n", "has 4 fields in line 4 where its header has 3"),
        ("runs.csv", b"N,D,loss\n1,2,3,4\n1,2,3,4\n", "has 4 fields in line 2 where its header has 3"),
        ("runs.csv", b'N,D,loss,n\n1,2,3,"a\nb"\n1,2,3\n', "has 3 fields in line 4 where its header has 4"),
        ("runs.csv", b'N,D,loss\n"1,2,3\n1,2,3\n', "has 1 fields in line 2 where its header has 3"),
        ("runs.csv", b"hello world\nthis is prose\n", "Runs need .* the columns hello world give none of"),
        ("runs.jsonl", b'{"N": 1e8}\n\n{"N": 1e8,}\n', "is broken at line 3 .*; JSONL has one object per line"),
        ("runs.jsonl", b'{"N": 1e8}\n[1, 2]\n', "holds a list at line 2; JSONL has one object per line"),
        ("runs.jsonl", b'{"N":\n1e8,\n', "is broken at line 1 "),
        ("runs.jsonl", b'{"N": 1}, {"N": 2}\n{"N": 3}\n', "is broken at line 1 "),
        ("runs.json", b"[1e8, 2e9, 3.1]", "holds a list at line 1; JSONL has one object per line"),
        ("runs.jsonl", b"[" * 100_000, r"is broken at line 1 "),
        ("runs.jsonl", b"{}\n{}\n", "The table has no columns"),
        (
            "runs.csv",
            b"N,D,loss\n1,2,3.1\n2,,oops\n1,2,n/a\n",
            r"'loss' must hold numbers, but 1 of 3 .* row 2 \('oops'\)",
        ),
        (
            "runs.csv",
            b"N,D,loss\n1,2,3.1\n2,,0\n1,2,nan\n",
            r"2 of 3 .*'D', row 2 \(nan\); column 'loss', row 2 \(0\), row 3",
        ),
        ("runs.csv", b"N,D,loss\n1e8,inf,3.1\n1e8,-1,3.0\n", r"column 'D', row 1 \(inf\), row 2 \(-1\)"),
        (
            "runs.csv",
            b"N,D,loss\n1,True,3.1\n1,False,3.0\n",
            r"'D' must hold numbers, but 2 of 2 rows .* row 1 \('True'\)",
        ),
        ("runs.csv", b'N,D,loss\n"1,00,000",2e9,3.1\n', r"'N' must hold numbers, .*: row 1 \('1,00,000'\)"),
        ("runs.csv", b"N,D,params,loss\n1,2,1,3\n", "2 columns look like params: 'N', 'params'; .* `columns` params=N"),
    ],
)
def test_a_file_that_is_no_table_of_runs(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_runs(path)
    assert "\n" not in str(caught.value)


def test_parquet_without_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_parquet(tmp_path)
    for module in [name for name in sys.modules if name.partition(".")[0] == "pyarrow"]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=r"is a Parquet file, which needs pyarrow; pip install 'lawful\[parquet\]'"):
        read_runs(path)


@given(st.binary(max_size=200), st.sampled_from([".csv", ".tsv", ".jsonl", ".parquet", ".csv.gz", ""]))
def test_no_bytes_break_the_reader(content: bytes, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"runs{suffix}")
        path.write_bytes(content)
        # 200 random bytes are never a header that names the loss and two more quantities.
        with pytest.raises(InputError, match=r"runs|columns"):
            read_runs(path)


@given(st.lists(st.lists(st.text(alphabet='019.,-"\n\r;\te aé', max_size=5), min_size=3, max_size=4), max_size=5))
def test_any_cells_below_a_good_header_are_runs_or_one_sentence(cells: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "runs.csv")
        path.write_bytes(("N,D,loss\n" + "\n".join(map(",".join, cells))).encode())
        outcome = runs_or_sentence(path)
    if isinstance(outcome, Runs):
        assert all((np.isfinite(v) & (v > 0)).all() for v in (outcome.N, outcome.D, outcome.C, outcome.L))
    else:
        assert re.fullmatch(r"[A-Z0-9'].*\.", outcome)


def test_lines_that_end_in_a_carriage_return_alone_are_lines(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_bytes(b"N,D,loss,name\r1e8,2e9,3.1,a\r2e8,1e9,3.2,b\r\n4e8,5e8,3.3,c\r")
    assert read_runs(path).N.tolist() == [1e8, 2e8, 4e8]
    # pandas 2 reads the next one without end.
    path.write_bytes(b'N,D,loss\n10,"-, .,\ne,.;"a,\n,90e,\n\na.\t ,\r\n.\r\t,,\t; \n\t"0e,,.,,1a')
    assert isinstance(runs_or_sentence(path), str)


def runs_or_sentence(path: Path) -> Runs | str:
    try:
        return read_runs(path)
    except InputError as error:
        return str(error)


# Published runs

EXPERIMENTS = {
    "epochai_chinchilla__massivetext__chinchilla": 123,
    "ml_scalefit__massivetext__chinchilla": 124,
    "llama_3__raw_loss": 133,
    "marin_202603__comma__llama_2": 85,
    "marin_202603__dclm__llama_2": 85,
    "misfitting__fineweb_c4__transformer": 176,
}


def test_the_isoflop_collection_by_experiment(shared_data: Path) -> None:
    path = shared_data / "isoflops.csv"
    groups = read_groups(path, by="experiment")
    assert {name: len(runs) for name, runs in groups.items()} == EXPERIMENTS
    for name, runs in groups.items():
        assert "several_experiments" not in [note.code for note in runs.notes]
        assert runs.selection == {"experiment": name}
        chosen = read_runs(path, select={"experiment": name})
        assert_same(chosen, runs)
        # The table's own budgets are nominal: one group per value.
        assert sorted(set(chosen.table["budget"].tolist())) == runs.budgets.tolist()


def test_the_isoflop_collection_as_a_whole_is_noted(shared_data: Path) -> None:
    runs = read_runs(shared_data / "isoflops.csv")
    assert len(runs) == sum(EXPERIMENTS.values())
    messages = {note.code: note.message for note in runs.notes}
    assert set(messages) == {"flops_mismatch", "several_experiments"}
    assert (
        "The table holds 6 experiments taken as one (column 'experiment': epochai_" in messages["several_experiments"]
    )
    assert "in 40 of 726 runs" in messages["flops_mismatch"]


def test_llama_3_has_ten_budgets(shared_data: Path) -> None:
    runs = read_runs(shared_data / "isoflops.csv", select={"experiment": "llama_3__raw_loss"})
    assert len(runs) == 133
    assert runs.notes == ()
    assert runs.budgets.size == len(set(runs.C.tolist()))
    assert (runs.sizes_per_budget >= 3).all()


def test_the_digitised_figure_of_chinchilla(shared_data: Path) -> None:
    runs = read_runs(shared_data / "chinchilla_svg.csv")
    assert len(runs) == 245
    assert [note.code for note in runs.notes] == ["derived_column", "budget_groups"]
    np.testing.assert_allclose(6 * runs.N * runs.D, runs.C, rtol=1e-15)
    # The published nine budgets are there; the rest of the figure was not trained at them.
    for budget in (6e18, 1e19, 3e19, 6e19, 1e20, 3e20, 6e20, 1e21):
        assert np.abs(np.log(runs.budgets / budget)).min() < 0.15


def test_logs_of_other_projects_need_little_help(shared_data: Path) -> None:
    checkpoints = read_runs(shared_data / "misfitting_checkpoints.csv")
    assert checkpoints.columns == {"params": "N", "tokens": "D", "loss": "loss", "budget": "C"}
    assert len(checkpoints) == 4852
    export = shared_data / "marin_comma_wandb_export.csv"
    assert [note.code for note in read_runs(export).notes][:2] == ["profile", "budget_in_name"]
    # 92 rows, of which test_wandb.py shows the seven that follow another convention.
    assert len(read_runs(export, columns={"loss": "eval/paloma/macro_loss"})) == 85
    limited = read_runs(shared_data / "datablations.csv")
    assert list(limited.labels) == ["unique_tokens"]


def test_a_long_table_is_split_exactly(tmp_path: Path) -> None:
    n = 100_000
    rng = np.random.default_rng(0)
    names = rng.choice(["a", "b"], n)
    frame = pd.DataFrame({"experiment": names, "N": rng.uniform(1e8, 1e9, n), "C": 1e19, "loss": rng.uniform(2, 3, n)})
    frame.to_csv(tmp_path / "runs.csv", index=False)
    groups = read_groups(tmp_path / "runs.csv", by="experiment")
    assert {name: len(runs) for name, runs in groups.items()} == frame["experiment"].value_counts().to_dict()
    np.testing.assert_array_equal(groups["a"].N, frame.loc[frame["experiment"] == "a", "N"])


CELL = st.one_of(
    st.sampled_from(["", "1", "0", "-3", "007", "2.5", "1e8", "1E-3", ".5", "5.", "nan", "inf", "True", "false", "7B"]),
    st.sampled_from(
        ["30%", " 1", "1 ", "a b", "NA", "2024-01-01", "1_000", "99999999999999999999", "-", "+4", "0.1.2"]
    ),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(10**19), 10**19).map(str),
    st.text("abcXYZ0123456789.eE-+ ", max_size=6),
)


@settings(max_examples=400, deadline=None)
@given(st.integers(2, 4).flatmap(lambda width: st.lists(st.lists(CELL, min_size=width, max_size=width), min_size=1)))
def test_a_table_read_cell_by_cell_is_what_the_parser_of_all_of_csv_makes_of_it(rows):
    # A line of blanks alone is a line that the parser leaves out.
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    names = [f"c{i}" for i in range(len(rows[0]))] if rows else ["c0", "c1"]
    text = "\n".join(",".join(row) for row in [names, *rows]) + "\n"
    plain = files._plain(text, ",", names)
    if plain is None:
        return
    frame = files._parse_csv(Path("runs.csv"), text, ",", names)
    for name in names:
        mine, theirs = column_values(name, plain[name]), column_values(name, frame[name])
        assert mine.dtype.kind == theirs.dtype.kind
        np.testing.assert_array_equal(mine, theirs)


def test_an_ordinary_table_is_read_without_the_parser(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("run,N,D,loss\na1,1e8,2e9,3.5\nb2,200000000,4e9,3.25\n")
    code = "import sys, lawful; lawful.read_runs(sys.argv[1]); print('pandas' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
