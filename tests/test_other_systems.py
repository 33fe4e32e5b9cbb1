"""Windows and macOS, as far as another system can tell: no call that only POSIX has stands unguarded."""

from __future__ import annotations

import ast
import json
import os
import signal
from pathlib import Path

import pytest

from lawful.cli import main, process
from lawful.errors import OutputError
from lawful.show.files import lock, place
from lawful.show.files.output import staged_output

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "lawful"
EXAMPLE = PACKAGE.parents[1] / "examples" / "synthetic_sweep.csv"
POSIX = {"fcntl", "pwd", "grp", "resource", "termios", "tty", "pty", "syslog", "readline"}
CALLS = {"fork", "geteuid", "getuid", "chown", "killpg", "setsid", "mkfifo", "getpgid", "alarm", "uname"}


class Windows:
    """What ``msvcrt`` does, on top of the locks that this system has."""

    LK_NBLCK, LK_UNLCK = 1, 2

    def __init__(self) -> None:
        self.holders: set[tuple[int, int]] = set()

    def locking(self, handle: int, mode: int, count: int) -> None:
        found = os.fstat(handle)
        key = (found.st_dev, found.st_ino)
        if mode == self.LK_NBLCK and key in self.holders:
            raise OSError(36, "Resource deadlock avoided")
        (self.holders.add if mode == self.LK_NBLCK else self.holders.discard)(key)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_module_needs_what_only_posix_has(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names & POSIX == set()
    asked = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("os", "signal")
    }
    assert asked & (CALLS | {"SIGHUP", "SIGKILL", "SIGUSR1"}) == set()


@pytest.fixture(params=["windows", "no locks"])
def elsewhere(request, monkeypatch):
    """Another system: locks of Windows or none, no SIGHUP, and no question whether a process runs."""
    monkeypatch.setattr(lock, "fcntl", None)
    monkeypatch.setattr(lock, "msvcrt", Windows() if request.param == "windows" else None)
    monkeypatch.setattr(place, "is_running", lambda pid: True)
    monkeypatch.delattr(signal, "SIGHUP", raising=False)
    monkeypatch.delattr(os, "pread", raising=False)
    return request.param


def test_a_fit_is_written_and_replaced_there(elsewhere, tmp_path, capsys):
    out = tmp_path / "out"
    for _ in range(2):
        assert main(["fit", str(EXAMPLE), "--no-figures", "--out", str(out)]) == 0
    assert json.loads((out / "fit.json").read_text(encoding="utf-8"))["n_runs"] == 44
    assert main(["predict", str(out / "fit.json"), "--params", "7B", "--tokens", "2T"]) == 0
    assert main(["forecast", str(out / "fit.json"), "--budget", "1e24", "--ledger", str(tmp_path / "l.jsonl")]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["l.jsonl", "out"]


def test_a_second_writer_is_refused_there_where_there_are_locks(elsewhere, tmp_path):
    with staged_output(tmp_path / "out") as stage:
        (stage / "a.txt").write_text("a")
        if elsewhere == "windows":
            with pytest.raises(OutputError, match="Another lawful"), staged_output(tmp_path / "out"):
                pass
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_what_the_system_refuses_is_a_sentence():
    assert process.refusal(MemoryError()).startswith("This request needs more memory than there is; ask for less")
    assert process.refusal(PermissionError(13, "Permission denied", "/x")) == (
        "The system refuses '/x' (permission denied); make room there or choose another place."
    )
    assert process.refusal(ValueError("ours")) == ""


def test_no_memory_is_one_sentence(capsys, monkeypatch):
    def exhausted(*args, **options):
        raise MemoryError

    monkeypatch.setattr("lawful.analysis.analysis.analyse", exhausted)
    assert main(["fit", str(EXAMPLE)]) == 1
    assert capsys.readouterr().err.startswith("This request needs more memory than there is")
