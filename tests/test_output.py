"""The output directory: whole or not at all."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest

from lawful.cli.app import main
from lawful.errors import OutputError
from lawful.show.files.output import recover, staged_output


def write(folder, **files):
    """Write a result of some text files."""
    with staged_output(folder) as stage:
        for name, text in files.items():
            (stage / f"{name}.txt").write_text(text)


def write_and_fail(folder):
    with staged_output(folder) as stage:
        (stage / "a.txt").write_text("a")
        raise KeyError("ours")


def mark(folder, files, schema="lawful.fit/1"):
    (folder / "fit.json").write_text(json.dumps({"schema": schema, "files": files}))


def test_appears_whole_with_ordinary_permissions(tmp_path):
    with staged_output(tmp_path / "out") as stage:
        (stage / "a.txt").write_text("a")
        assert not (tmp_path / "out").exists()
    (tmp_path / "plain").mkdir()
    assert (tmp_path / "out" / "a.txt").read_text() == "a"
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "plain"]


def test_an_exception_leaves_nothing_behind(tmp_path):
    with pytest.raises(KeyError, match="ours"):
        write_and_fail(tmp_path / "a" / "b" / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_directory_is_filled(tmp_path):
    (tmp_path / "out").mkdir()
    write(tmp_path / "out", a="a")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a.txt"]


def test_stale_files_of_an_earlier_result_go_and_foreign_ones_stay(tmp_path):
    (tmp_path / "group").mkdir()
    for name in ("old.png", "group/old.csv", "mine.txt"):
        (tmp_path / name).write_text("x")
    mark(tmp_path, ["fit.json", "old.png", "group/old.csv"])
    with staged_output(tmp_path) as stage:
        (stage / "new.png").write_text("n")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.txt", "new.png"]


def test_a_manifest_cannot_reach_outside(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "precious").write_text("x")
    mark(out, ["../precious", str(tmp_path / "precious")])
    with staged_output(out) as stage:
        (stage / "new.png").write_text("n")
    assert (tmp_path / "precious").read_text() == "x"


def test_a_failure_while_moving_restores_the_earlier_result(tmp_path, monkeypatch):
    mark(tmp_path, ["fit.json", "a.txt"])
    (tmp_path / "a.txt").write_text("old")
    before = {p.name: p.read_text() for p in tmp_path.iterdir()}
    real, calls = os.rename, []

    def fail_late(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return real(source, target)

    monkeypatch.setattr("os.rename", fail_late)
    with pytest.raises(OutputError, match="no space left on device"):
        write(tmp_path, a="new", b="new")
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == before
    assert len(calls) == 3


def test_a_directory_that_somebody_stands_in_stays_where_it_is(tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    mark(out, ["fit.json", "a.txt"])
    (out / "mine.txt").write_text("mine")
    inode = out.stat().st_ino
    monkeypatch.chdir(out)
    write(out, a="new", b="new")
    assert sorted(p.name for p in out.iterdir()) == ["a.txt", "b.txt", "mine.txt"]
    assert out.stat().st_ino == inode
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_second_writer_is_told_who_holds_the_place(tmp_path):
    with (
        staged_output(tmp_path / "out"),
        pytest.raises(OutputError, match=rf"Another lawful \(process {os.getpid()} on .*, since 20.*out'; wait until"),
    ):
        write(tmp_path / "out", a="a")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_what_a_killed_writer_left_is_undone_or_finished(tmp_path):
    out, old = tmp_path / "out", tmp_path / ".out.lawful-old"
    write(out, a="old")
    mark(out, ["a.txt", "fit.json"])
    (out / "mine.txt").write_text("mine")
    (tmp_path / ".out.lawful-new-99999999-ab").mkdir()
    out.rename(old)  # killed before the new one came
    recover(out)
    assert sorted(p.name for p in out.iterdir()) == ["a.txt", "fit.json", "mine.txt"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    out.rename(old)
    (tmp_path / ".out.lawful-new-99999999-cd").mkdir()
    write(tmp_path / "other", a="new")
    mark(tmp_path / "other", ["a.txt", "fit.json"])
    (tmp_path / "other").rename(out)  # killed before the rest of the old one was moved
    recover(out)
    assert sorted(p.name for p in out.iterdir()) == ["a.txt", "fit.json", "mine.txt"]
    assert (out / "a.txt").read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("marker", ["{}", '{"schema": "other/1"}', "not json", "[]"])
def test_a_foreign_json_does_not_make_it_ours(tmp_path, marker):
    (tmp_path / "fit.json").write_text(marker)
    with pytest.raises(OutputError, match="holds files that lawful did not write"):
        write(tmp_path, a="a")
    assert (tmp_path / "fit.json").read_text() == marker


def test_a_file_is_no_directory(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match=r"file' because .*file' is a file"):
        write(tmp_path / "file")
    with (
        pytest.raises(OutputError, match=r"under' because .*file' is a file"),
        staged_output(tmp_path / "file" / "under"),
    ):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_read_only_parent_is_known_at_once(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="permission denied"):
            write(tmp_path / "out")
    finally:
        tmp_path.chmod(0o700)


def test_a_table_of_one_column_is_written_with_the_curve_of_its_law(tmp_path: Path) -> None:
    tokens = np.geomspace(1e7, 1e10, 9)
    losses = 1.2 + 60 / tokens**0.25 + np.random.default_rng(3).normal(0, 0.01, 9)
    rows = "\n".join(f"{d:.8g},{loss:.8g}" for d, loss in zip(tokens, losses, strict=True))
    (tmp_path / "curve.csv").write_text(f"tokens,loss\n{rows}\n", encoding="utf-8")
    assert main(["fit", str(tmp_path / "curve.csv"), "--law", "hestness", "--out", str(tmp_path / "out")]) == 0
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"curve.png", "curve.svg", "fit.json", "runs.csv"}
