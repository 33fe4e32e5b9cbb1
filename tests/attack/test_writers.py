"""Writers under attack: pairs on one place, kill -9 at every step of a write, Ctrl-C and SIGTERM in every verb."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.attack,
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL on Windows"),
]

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "synthetic_sweep.csv"
PAIRS, POINTS = 60, 20

WRITER = """
import sys, time, json
from pathlib import Path
from lawful.errors import OutputError
from lawful.show.files.output import staged_output
out, name, pause = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
try:
    with staged_output(out) as stage:
        for i in range(20):
            (stage / f"{name}-{i}.txt").write_text(name)
        (stage / "shared.txt").write_text(name)
        (stage / "tables").mkdir()
        (stage / "tables" / "t.csv").write_text(name)
        files = sorted(p.relative_to(stage).as_posix() for p in stage.rglob("*") if p.is_file())
        time.sleep(pause)
        document = {"schema": "lawful.fit/1", "name": name, "files": [*files, "fit.json"]}
        (stage / "fit.json").write_text(json.dumps(document))
except OutputError as error:
    sys.exit(f"refused: {error}")
"""

KILLER = """
import os, signal, sys
events = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.truncate"}
left = int(sys.argv.pop(1))
def hook(event, arguments):
    global left
    if event in events or (event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
import lawful.show.files.output
sys.addaudithook(hook)
"""


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def result(out: Path) -> str:
    """Whose result a directory holds; it fails where it is mixed or not whole."""
    name = json.loads((out / "fit.json").read_text())["name"]
    ours = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()} - {"mine.txt", "tables/mine.csv"}
    assert ours == {*(f"{name}-{i}.txt" for i in range(20)), "shared.txt", "tables/t.csv", "fit.json"}
    assert {p.read_text() for p in out.rglob("*.txt") if p.name != "mine.txt"} == {name}
    return str(name)


def hidden(folder: Path) -> list[str]:
    return [p.name for p in folder.iterdir() if p.name.startswith(".")]


def test_pairs_of_writers_on_one_place_never_mix(tmp_path):
    refused = 0
    for pair in range(PAIRS):
        out = tmp_path / f"out{pair % 6}"
        both = [start(WRITER, out, f"{pair}{side}", 0.05 * (pair % 3)) for side in "ab"]
        said = [one.communicate() for one in both]
        codes = [one.returncode for one in both]
        assert 0 in codes, said
        for code, (_, err) in zip(codes, said, strict=True):
            assert code == 0 or ("Another lawful (process " in err and "Traceback" not in err), err
        refused += codes.count(1)
        winners = [f"{pair}{side}" for side, code in zip("ab", codes, strict=True) if code == 0]
        assert result(out) in winners
    assert hidden(tmp_path) == []
    assert refused  # otherwise the pairs never met, and nothing was tried


def test_pairs_of_forecasts_on_one_ledger_lose_none(tmp_path):
    fit = tmp_path / "fit.json"
    code = (
        "import sys, lawful; from lawful.show.ledger import append_entry, entry_of;"
        "from lawful.errors import OutputError\n"
        "fit = lawful.load(sys.argv[1]).fit; done = 0\n"
        "for i in range(30):\n"
        "    try:\n"
        "        append_entry(sys.argv[2], entry_of(fit, fit.forecast([1e23 * (i + 1)]))); done += 1\n"
        "    except OutputError as error:\n"
        "        assert 'Another lawful' in str(error)\n"
        "print(done)\n"
    )
    import lawful
    from lawful.show.ledger import read_ledger

    lawful.fit(str(EXAMPLE), method="vpnls").save(fit)
    both = [start(code, fit, tmp_path / "ledger.jsonl") for _ in range(2)]
    said = [one.communicate() for one in both]
    assert [err for _, err in said] == ["", ""]
    assert len(read_ledger(tmp_path / "ledger.jsonl")) == sum(int(out) for out, _ in said)


@pytest.mark.parametrize("standing", [False, True], ids=["beside", "inside"])
def test_a_killed_write_leaves_the_old_result_or_the_new_one(tmp_path, standing):
    """Killed at every step that changes the disk, and then found by the next one."""
    steps, killed = 0, 0
    while True:
        steps += 1
        folder = tmp_path / f"kill{steps}"
        out = folder / "out"
        folder.mkdir()
        subprocess.run([sys.executable, "-c", WRITER, out, "old", "0"], check=True)
        (out / "mine.txt").write_text("mine")
        (out / "tables" / "mine.csv").write_text("mine")
        code = f"{KILLER}\n{WRITER}"
        # Somebody stands in the directory: it cannot change places with another.
        done = subprocess.run(
            [sys.executable, "-c", code, str(steps), out, "new", "0"],
            cwd=out if standing else None,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        killed += 1
        if out.exists() and not standing:
            assert result(out) in ("old", "new")
        from lawful.show.files.output import recover

        recover(out)
        assert result(out) in ("old", "new")
        assert (out / "mine.txt").read_text() == (out / "tables" / "mine.csv").read_text() == "mine"
        again = start(WRITER, out, "next", 0)
        said = again.communicate()
        assert again.returncode == 0, said
        assert result(out) == "next"
        assert (out / "mine.txt").read_text() == (out / "tables" / "mine.csv").read_text() == "mine"
        assert hidden(folder) == []
        assert hidden(out) == []
    assert killed >= POINTS


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    import lawful

    folder = tmp_path_factory.mktemp("saved")
    return Path(lawful.analyse(str(EXAMPLE), budgets=[1e24]).save(folder / "fit.json"))


def verbs(saved: Path) -> dict[str, list[object]]:
    fit, pool = saved, EXAMPLE.with_name("next_pool.csv")
    return {
        "demo": ["demo", "--out", "out"],
        "look": ["look", EXAMPLE, "--out", "out"],
        "fit": ["fit", EXAMPLE, "--budget", "1e24", "--out", "out"],
        "check": ["check", EXAMPLE, "--out", "out"],
        "compare": ["compare", EXAMPLE, "--budget", "1e24", "--out", "out"],
        "allocate": ["allocate", fit, "--budget", "1e24", "--out", "out"],
        "predict": ["predict", fit, "--params", "7B", "--tokens", "2T", "--out", "out"],
        "forecast": ["forecast", fit, "--budget", "1e24"],
        "deadweight": ["deadweight", fit, "--budget", "1e24", "--out", "out"],
        "speedup": ["speedup", fit, fit, "--budget", "1e24", "--out", "out"],
        "plan": [
            "plan",
            "--trained",
            "1e18:1e21:5",
            "--budget",
            "3e25",
            "--prior",
            "besiroglu",
            "--total-flops",
            "2e22",
            "--out",
            "plan.csv",
        ],
        "next": [
            "next",
            EXAMPLE,
            "--pool",
            pool,
            "--cost",
            "budget",
            "--target",
            "params=7B,tokens=2T",
            "--out",
            "next.csv",
        ],
        "report": ["report", fit],
        "explore": ["explore", fit],
        "audit": ["audit", EXAMPLE, "--last", "1", "--out", "out"],
        "bench": ["bench", "--out", "out"],
        "coverage": ["coverage", EXAMPLE, "--out", "out"],
        "profile": ["profile", fit, "--quantity", "params", "--budget", "1e24", "--out", "out"],
        "dial": ["dial", fit, "--budget", "1e24", "--out", "out"],
        "indifference": ["indifference", fit, "--budget", "1e24", "--out", "out"],
        "lack-of-fit": ["lack-of-fit", fit, "--out", "out"],
        "bias": ["bias", EXAMPLE, "--out", "out"],
        "conventions": ["conventions", EXAMPLE, "--out", "out"],
        "isoflops": ["isoflops", EXAMPLE, "--out", "points.csv"],
        "rerun": ["rerun", fit, "--out", "out"],
        "study": ["study", "run", "6", "14", "--quick", "--jobs", "2", "--out", "out"],
    }


def burnt(pid: int) -> float | None:
    """CPU seconds of a process and of those that it waited for; none where it is gone or the system does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def children() -> float:
    """CPU seconds of the processes that this one waited for."""
    times = os.times()
    return times.children_user + times.children_system


DEAF = """
import signal, sys, time
longest, last = 0.0, None
def hear(number, frame):
    global longest, last
    now = time.process_time()
    longest, last = max(longest, now - (last or now)), now
signal.signal(signal.SIGPROF, hear)
signal.setitimer(signal.ITIMER_PROF, 0.05, 0.05)
from lawful.cli import main
code = main(sys.argv[1:])
signal.setitimer(signal.ITIMER_PROF, 0)
print(f"{code} {longest:.3f}", file=sys.stderr)
"""
"""Asks twenty times per CPU second whether Python hears signals, and says the longest time it did not."""


@pytest.fixture(scope="module")
def biggish(tmp_path_factory) -> Path:
    """100,000 runs at 100 budgets."""
    import numpy as np

    import lawful

    rng, truth = np.random.default_rng(0), lawful.Surface.named("chinchilla")
    budget = np.repeat(np.geomspace(1e18, 1e21, 100), 1000)
    size = np.sqrt(budget / 120) * np.exp(np.tile(np.linspace(-1.5, 1.5, 1000), 100))
    loss = truth.loss(size, budget / 6 / size) * np.exp(0.003 * rng.standard_normal(budget.size))
    path = tmp_path_factory.mktemp("biggish") / "runs.csv"
    rows = np.stack([size, budget / 6 / size, budget, loss], axis=1)
    np.savetxt(path, rows, delimiter=",", fmt="%.8g", header="params,tokens,budget,loss", comments="")
    return path


@pytest.mark.parametrize("words", [["look"], ["fit", "--budget", "1e23"], ["check"], ["isoflops", "--out", "p.csv"]])
def test_a_verb_on_many_runs_hears_a_signal_at_every_moment(tmp_path, biggish, words):
    """Not at a few moments, as below, but at all of them."""
    command = [sys.executable, "-c", DEAF, words[0], str(biggish), *words[1:]]
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, **one})
    code, longest = done.stderr.split()[-2:]
    assert code == "0", done.stderr
    assert float(longest) < 0.5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)])
@pytest.mark.parametrize("verb", verbs(Path()))
def test_a_signal_ends_a_verb_at_once_and_leaves_nothing(tmp_path, saved, verb, number):
    """Early, while it loads, and late, while it works."""
    for delay in (0.15, 0.9, 2.2):
        program = subprocess.Popen(
            [sys.executable, "-m", "lawful", *map(str, verbs(saved)[verb])],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        time.sleep(delay)
        # To the whole group, as a terminal does.
        spent = burnt(program.pid)
        if program.poll() is None:
            os.killpg(program.pid, number)
        began, before = time.monotonic(), children()
        _, err = program.communicate(timeout=60)
        after = children() - before
        assert program.returncode in (0, 128 + number, -number), err
        # Before Python listens, the interpreter itself speaks; our part is what comes after.
        assert "Traceback" not in err or "lawful" not in err, err
        assert time.monotonic() - began < 10 or program.returncode == 0
        # A loaded machine spoils seconds on the wall, not those that the program worked after the signal.
        assert spent is None or after - spent < 1 or program.returncode == 0
        left = [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob(".*") if ".chunks" not in p.parts]
        assert left == []
