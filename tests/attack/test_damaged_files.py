"""Two thousand damaged files: each is refused in a sentence, recovered, or computed again; none is answered from."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest

import lawful
from lawful.cli import main
from lawful.errors import LawfulError
from lawful.show.files.artifact import load
from lawful.show.files.document import sealed
from lawful.show.ledger import append_entry, entry_of, open_ledger
from lawful.studies.chunks import Chunk, Work, read_chunk
from lawful.studies.runner import read_manifest, run_studies
from lawful.studies.study import find_study

pytestmark = pytest.mark.attack

EACH = 500
"""Damaged files of each of the four kinds."""

VALUES = (None, 0, -1, 1e308, "", "x", [], {}, True, [1, 2], {"a": 1}, "\ud800", "\x1b[2J", 10**400)


def flipped(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]


def cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def hole(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data))
    return data[:start] + data[start + 1 + rng.randrange(64) :]


def zeroed(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data))
    length = min(len(data) - start, 1 + rng.randrange(512))
    return data[:start] + b"\0" * length + data[start + length :]


def doubled(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data))
    return data[:start] + data[start : start + 40] + data[start:]


def places(document, path=()):
    if path:
        yield path
    items = document.items() if isinstance(document, dict) else ()
    items = enumerate(document) if isinstance(document, list) else items
    for key, value in items:
        yield from places(value, (*path, key))


def swapped(document, rng: random.Random):
    """Another value, or none, at one place of a document."""
    document = json.loads(json.dumps(document))
    *way, last = rng.choice(list(places(document)))
    inner = document
    for key in way:
        inner = inner[key]
    if rng.random() < 0.3:
        del inner[last]
    else:
        inner[last] = rng.choice(VALUES)
    return document


BYTES = (flipped, cut, hole, zeroed, doubled)


def mutants(data: bytes, seed: int, many: int = EACH):
    """Damaged forms of a file of one JSON document: half by their bytes, half by their values."""
    rng, document = random.Random(seed), json.loads(data)
    made = 0
    while made < many:
        if made % 2:
            changed = swapped(document, rng)
            mutant = json.dumps(changed).encode()
            if changed == document:
                continue
        else:
            mutant = rng.choice(BYTES)(data, rng)
            if same(mutant, document):
                continue
        made += 1
        yield mutant


def same(mutant: bytes, document) -> bool:
    """Whether a file says what it said: white space and the way a number is written are no damage."""
    try:
        return json.loads(mutant) == document
    except (ValueError, RecursionError):
        return False


@pytest.fixture(scope="module")
def runs():
    truth = lawful.Surface.named("besiroglu")
    return lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 7, surface=truth), noise=0.002)


@pytest.fixture(scope="module")
def fit_file(runs, tmp_path_factory) -> bytes:
    path = lawful.analyse(runs, budgets=[1e22], draws=12).save(tmp_path_factory.mktemp("fit") / "fit.json")
    return Path(path).read_bytes()


def test_no_damaged_fit_is_answered_from(fit_file, tmp_path, capsys):
    path = tmp_path / "fit.json"
    for number, mutant in enumerate(mutants(fit_file, 1)):
        path.write_bytes(mutant)
        if number % 10:
            with pytest.raises(LawfulError) as caught:
                load(path)
            assert "\n" not in str(caught.value)
            continue
        verb = [["predict", "--params", "7B", "--tokens", "2T"], ["allocate", "--budget", "1e23"], ["report"]][
            number % 3
        ]
        assert main([verb[0], str(path), *verb[1:]]) in (1, 2)
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1), err
        assert "\x1b" not in err


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_no_fit_that_was_changed_and_sealed_again_ends_in_a_traceback(fit_file, tmp_path, capsys):
    path, rng, document = tmp_path / "fit.json", random.Random(2), json.loads(fit_file)
    for _ in range(EACH // 5):
        path.write_text(json.dumps(sealed(swapped(document, rng))), encoding="utf-8", errors="backslashreplace")
        assert main(["predict", str(path), "--params", "7B", "--tokens", "2T"]) in (0, 1, 2), capsys.readouterr().err
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        assert "\x1b" not in out + err


def test_no_damaged_ledger_is_scored_without_a_word(runs, tmp_path):
    ledger, fit = tmp_path / "ledger.jsonl", lawful.fit(runs, method="vpnls")
    for budget in (1e22, 1e23, 1e24):
        append_entry(ledger, entry_of(fit, fit.forecast([budget])))
    whole = ledger.read_bytes()
    lines, rng = whole.splitlines(), random.Random(3)
    path, made = tmp_path / "damaged.jsonl", 0
    while made < EACH:
        kind = made % 4
        if kind == 0:
            mutant = rng.choice(BYTES)(whole, rng)
        elif kind == 1:
            at = rng.randrange(3)
            changed = [json.dumps(swapped(json.loads(x), rng)).encode() if i == at else x for i, x in enumerate(lines)]
            mutant = b"\n".join(changed) + b"\n"
        elif kind == 2:
            order = rng.choice([[0, 2], [1, 2], [1, 0, 2], [0, 0, 1, 2], [2, 1, 0], [0, 2, 1], [1], [2]])
            mutant = b"\n".join(lines[i] for i in order) + b"\n"
        else:
            mutant = whole[: rng.randrange(len(lines[0]) + len(lines[1]) + 2, len(whole) - 1)]
        if mutant.split() == whole.split():
            continue
        made += 1
        path.write_bytes(mutant)
        found = opened(path)
        if found is None:
            continue
        # What is left must be the beginning of the ledger; a line that was cut is spoken of.
        said = [json.loads(line) for line in lines]
        assert list(found.entries) == said[: len(found.entries)]
        # Whole lines taken off the end leave no trace in the file itself: --verify --seal is for that.
        left = b"\n".join(lines[: len(found.entries)])
        assert found.remark or len(found.entries) == len(lines) or left == mutant.rstrip(b"\n")


def opened(path):
    """A ledger; None where it is refused."""
    try:
        return open_ledger(path)
    except LawfulError:
        return None


def test_a_damaged_chunk_is_computed_again(tmp_path):
    study = find_study("analytical_error")
    work = Work(study, study.settings(quick=True, seed=1), tmp_path / "work")
    chunk = Chunk({"t": {"x": [1.0, 2.5, float("inf")], "name": ["a", "b", "c"]}}, 0.25, 0.125)
    work.store(0, chunk)
    (path,) = work.chunks.glob("*.json")
    assert read_chunk(path) == chunk
    for mutant in mutants(path.read_bytes(), 4):
        path.write_bytes(mutant)
        assert read_chunk(path) is None
    path.write_bytes(b"\0" * 400)
    assert work.missing() == list(range(len(work.tasks)))


def test_a_damaged_manifest_is_never_taken_for_a_finished_study(tmp_path):
    run_studies(["analytical_error"], tmp_path / "studies", quick=True, jobs=1)
    folder = tmp_path / "studies" / "06_analytical_error"
    path, whole = folder / "manifest.json", (folder / "manifest.json").read_bytes()
    assert read_manifest(folder)["study"] == "analytical_error"
    for mutant in mutants(whole, 5):
        path.write_bytes(mutant)
        with pytest.raises(LawfulError, match="was changed or damaged"):
            read_manifest(folder)
    path.write_bytes(whole)
    table = folder / "shifts.csv"
    first = table.read_bytes()
    table.write_bytes(b"\0" * 99)
    (outcome,) = run_studies(["analytical_error"], tmp_path / "studies", quick=True, jobs=1)
    assert outcome.state == "done"
    assert table.read_bytes() == first
    shutil.rmtree(tmp_path / "studies")
