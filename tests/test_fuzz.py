"""
Random tables: whatever a user feeds in, the outcome is a result or a LawfulError with one sentence.

A healthy sweep is drawn, then spoiled: cells, columns, names, rows, and the file it is written to. No other exception
and no warning may escape. ``LAWFUL_FUZZ_EXAMPLES`` sets how many examples are tried in all (500; ``make fuzz`` takes
20,000, and other ones each time).
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lawful
from lawful.cli import main
from lawful.estimate.fit import fit
from lawful.show.look import look_document
from lawful.sources.wandb import budget_in_name

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

USUAL = 500
EXAMPLES = int(os.environ.get("LAWFUL_FUZZ_EXAMPLES", USUAL))
MANY_ROWS = 100_000
LONGEST_SENTENCE = 2000


def share(fraction: float) -> settings:
    """Settings for a part of the examples: the same ones in every usual run, new ones in a long run."""
    return settings(
        max_examples=max(1, round(EXAMPLES * fraction)),
        derandomize=EXAMPLES <= USUAL,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


BAD_CELLS = (
    *(float("nan"), float("inf"), -float("inf"), 0.0, -0.0, -1.0, 1e308, 5e-324, 1e-300, 1e30),
    *(
        None,
        "",
        "  ",
        "n/a",
        "diverged",
        "1e9",
        "7B",
        "1,000",
        "0x10",
        "１２",
        "損失",
        "🔥",
        "\x00",
        "a,b",
        '"',
        "=1+1",
    ),
    *(True, 0, -7, 2**63, 2**64, 10**30, 10**400, np.float32(2.5), np.int8(3), b"bytes", [1, 2], {"a": 1}, object()),
    *(1 + 2j, np.datetime64("2026-01-01"), np.datetime64("NaT")),
)
HEADINGS = (
    *("N", "params", "parameter_count", "D", "tokens", "loss", "L", "Loss ", "C", "budget", "flops", "name", "run"),
    *("experiment", "weight", "progress", "d_model", "num_layers", "vocab_size", "N_no_emb", "C_6ND", "total_gflops"),
    *("", " ", "損失", "a b", "a.1", "N\n", "loss,", '"', "\ufeffN", "outlier", "reason", "x" * 300),
)
ROLES = ("params", "tokens", "budget", "loss")

spoilt_cell = st.tuples(st.integers(0, 7), st.integers(0, 200), st.sampled_from(BAD_CELLS))
change = st.one_of(
    st.tuples(st.just("rename"), st.integers(0, 7), st.sampled_from(HEADINGS)),
    st.tuples(st.just("drop"), st.integers(0, 7), st.none()),
    st.tuples(st.just("repeat"), st.integers(0, 7), st.none()),
    st.tuples(st.just("constant"), st.integers(0, 7), st.sampled_from(BAD_CELLS)),
    st.tuples(st.just("scale"), st.integers(0, 7), st.sampled_from([1e-300, 1e-9, -1.0, 0.0, 1e12, 1e150, 1e290])),
    st.tuples(st.just("round"), st.integers(0, 7), st.sampled_from([0, 1, 2])),
    st.tuples(st.just("integers"), st.integers(0, 7), st.none()),
    st.tuples(st.just("shuffle"), st.integers(0, 7), st.none()),
    st.tuples(st.just("cut"), st.integers(0, 7), st.integers(0, 60)),
    st.tuples(st.just("add"), st.integers(0, 7), st.sampled_from(HEADINGS)),
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[Any]]]:
    """A header, possibly with repeats, and as many columns of cells."""
    seed = draw(st.integers(0, 10_000))
    rng = np.random.default_rng(seed)
    surface = lawful.Surface.named(draw(st.sampled_from(["symmetric", "chinchilla", "asymmetric"])))
    budgets = 10.0 ** rng.uniform(15, 24, draw(st.integers(1, 5)))
    plan = lawful.Plan.isoflop(np.unique(budgets), draw(st.integers(3, 9)), surface=surface)
    runs = lawful.simulate(surface, plan, noise=draw(st.sampled_from([0.0, 0.01, 0.5])), seed=seed)
    columns = {"params": runs.N, "tokens": runs.D, "budget": runs.C, "loss": runs.L}
    kept = draw(st.sampled_from([ROLES, ROLES[:2] + ROLES[3:], ROLES[1:], (ROLES[0], *ROLES[2:]), ROLES[:3]]))
    header = list(kept)
    cells = [columns[name].tolist() for name in kept]
    if draw(st.booleans()):
        header.append("name")
        cells.append(
            [f"sweep-{c:.0e}-{i}" for i, c in enumerate((runs.C / draw(st.sampled_from([1, 3, 50]))).tolist())]
        )
    for kind, column, value in draw(st.lists(change, max_size=2)):
        spoil(header, cells, kind, column, value, rng)
    for column, row, value in draw(st.lists(spoilt_cell, max_size=2)):
        if cells and cells[column % len(cells)]:
            cells[column % len(cells)][row % len(cells[0])] = value
    if draw(st.integers(0, 399)) == 137 and cells and cells[0]:
        times = MANY_ROWS // len(cells[0]) + 1
        cells = [(column * times)[:MANY_ROWS] for column in cells]
    return header, cells


def spoil(
    header: list[str], cells: list[list[Any]], kind: str, column: int, value: Any, rng: np.random.Generator
) -> None:
    """Change a table in place, as logs get changed."""
    if not cells:
        return
    i = column % len(cells)
    rows = len(cells[i])
    if kind == "rename":
        header[i] = value
    elif kind == "drop":
        del header[i], cells[i]
    elif kind == "repeat":
        header.append(header[i])
        cells.append(list(cells[i]))
    elif kind == "constant":
        cells[i] = [value] * rows
    elif kind == "cut":
        cells[:] = [list(c[:value]) for c in cells]
    elif kind == "shuffle":
        cells[i] = [cells[i][j] for j in rng.permutation(rows)]
    elif kind == "add":
        header.append(value)
        cells.append([BAD_CELLS[j] for j in rng.integers(0, len(BAD_CELLS), rows)])
    elif all(isinstance(cell, float) and np.isfinite(cell) for cell in cells[i]):
        cells[i] = [changed(kind, cell, value) for cell in cells[i]]


def changed(kind: str, cell: float, value: Any) -> Any:
    if kind == "scale":
        return cell * value
    if kind == "round":
        return float(f"{cell:.{value}e}")
    return int(cell)


def outcome(action: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Return the result, or None after a LawfulError that says one sentence; anything else fails the test."""
    try:
        return action(*arguments, **options)
    except lawful.LawfulError as error:
        assert_sentence(str(error))
        return None


def assert_sentence(text: str) -> None:
    assert 20 < len(text) < LONGEST_SENTENCE, text
    assert text == text.strip()
    assert text[-1] in ".)", text
    assert text[0].isupper() or not text[0].isalpha() or text.startswith("approach"), text


def as_frame(header: list[str], cells: list[list[Any]]) -> Any:
    import pandas as pd

    frame = pd.DataFrame({i: pd.Series(column, dtype=object) for i, column in enumerate(cells)})
    frame.columns = header
    return frame.infer_objects()


def as_mapping(header: list[str], cells: list[list[Any]]) -> dict[str, Any]:
    return dict(zip(header, cells, strict=True))


def assert_fit_is_sound(fit: Any) -> None:
    if fit is None:
        return
    json.dumps([note.to_dict() for note in fit.notes])
    assert fit.status in lawful.Status
    assert str(fit)
    if isinstance(fit, lawful.Fit):
        assert np.isfinite(list(fit.surface.coefficients.values())).all()
    else:
        assert np.isfinite([fit.frontier.a, fit.frontier.b]).all()


METHODS = ("vpnls", "vpnls", "approach1", "approach2")


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@share(0.5)
@given(table=tables(), method=st.sampled_from(METHODS), form=st.sampled_from([as_frame, as_mapping]))
def test_a_table_is_read_and_fitted_or_refused(table: tuple, method: str, form: Callable) -> None:
    given_table = form(*table)
    runs = outcome(lawful.read_runs, given_table)
    if runs is None:
        return
    for values in (runs.N, runs.D, runs.L, runs.C):
        assert np.isfinite(values).all()
        assert (values > 0).all()
    assert_fit_is_sound(outcome(fit, runs, method=method))


@share(0.2)
@given(table=tables(), form=st.sampled_from([as_frame, as_mapping]))
def test_a_table_is_checked_or_refused(table: tuple, form: Callable) -> None:
    checked = outcome(lawful.check, form(*table))
    if checked is not None:
        assert checked.reason.size == checked.outlier.size == len(checked)
        assert ((checked.reason != "none") == checked.outlier).all()


@share(0.08)
@given(table=tables(), form=st.sampled_from([as_frame, as_mapping]))
def test_a_table_is_looked_at(table: tuple, form: Callable) -> None:
    found = outcome(lawful.look, form(*table))
    if found is None:
        return
    json.dumps(look_document(found), allow_nan=False)
    assert str(found)
    assert found.next.startswith("lawful ")
    if found.runs is None:
        assert_sentence(found.refused)
    for verb in found.verbs:
        assert verb.supported or verb.why[-1] in ".)", verb


SLOWEST_S, LARGEST_BYTES = 10.0, 2**30
"""CPU seconds that a verb may take on any table, and memory that it may add."""


@share(0.1)
@given(
    table=tables(),
    form=st.sampled_from([as_frame, as_mapping]),
    method=st.sampled_from(["auto", *METHODS, "approach3"]),
    options=st.sampled_from([{}, {"as_is": True}, {"drop": "nan"}, {"row_of_run": "last"}, {"where": "loss < 4"}]),
)
def test_a_table_goes_through_every_verb_in_bounds(table, form, method, options) -> None:
    given_table = form(*table)
    verbs = {
        "read": lambda: lawful.read_runs(given_table, **options),
        "look": lambda: lawful.look(given_table, **options),
        "check": lambda: lawful.check(given_table, **options),
        "fit": lambda: fit(lawful.read_runs(given_table, **options), method=method),
    }
    for verb, action in verbs.items():
        before, start = peak_bytes(), time.process_time()
        outcome(action)
        assert time.process_time() - start < SLOWEST_S, verb
        assert peak_bytes() - before < LARGEST_BYTES, verb


def peak_bytes() -> float:
    """Most memory that this process has held; 0 where the system does not tell."""
    if resource is None:
        return 0.0
    unit = 1.0 if sys.platform == "darwin" else 1024.0
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


WORDS = (
    "params",
    "tokens",
    "budget",
    "loss",
    "name",
    "N",
    "D",
    "steps",
    "`total tokens`",
    "損失",
    "1e9",
    "0",
    "-1",
    "'a'",
)
SIGNS = ("*", "/", "+", "-", "^", "**", " < ", " == ", " and ", " or ", "(", ")", ",", " not ", " ", "`", "e")
formulas = st.lists(st.one_of(st.sampled_from(WORDS), st.sampled_from(SIGNS)), min_size=1, max_size=7).map("".join)
likely = st.tuples(st.sampled_from(WORDS), st.sampled_from(SIGNS), st.sampled_from(WORDS)).map("".join)
calls = st.tuples(st.sampled_from(["log", "exp", "sqrt", "min", "__import__"]), likely).map("{0[0]}({0[1]})".format)


@share(0.3)
@given(
    table=tables(),
    recipes=st.dictionaries(st.sampled_from([*ROLES, "N", "L"]), st.one_of(formulas, likely, calls), max_size=2),
    where=st.one_of(st.none(), formulas, likely, likely.map("{} and loss < 4".format)),
    drop=st.lists(st.integers(-1, 30), max_size=2),
    as_is=st.booleans(),
    best=st.booleans(),
)
def test_recipes_and_conditions_are_worked_out_or_refused(table, recipes, where, drop, as_is, best) -> None:
    options = {"columns": recipes, "where": where, "drop": drop, "as_is": as_is, "best_of_cell": best}
    runs = outcome(lawful.read_runs, as_frame(*table), **options)
    if runs is not None:
        assert np.isfinite([runs.N, runs.D, runs.L, runs.C]).all()
        assert not set(runs.row.tolist()) & set(drop)


@share(0.1)
@given(table=tables(), budgets=st.sampled_from([40, 3, [1e18], [1e-300, 1e300]]))
def test_a_table_becomes_points_or_is_refused(table: tuple, budgets: Any) -> None:
    points = outcome(lawful.isoflop_points, as_frame(*table), budgets=budgets)
    if points is not None:
        assert np.isfinite([points.N, points.D, points.L, points.C]).all()
        assert (points.labels["loss_low"] <= points.labels["loss_high"]).all()


@share(0.04)
@given(table=tables(), method=st.sampled_from(METHODS))
def test_a_table_is_counted_every_way_or_refused(table: tuple, method: str) -> None:
    runs = outcome(lawful.read_runs, as_frame(*table))
    if runs is not None and len(runs) < MANY_ROWS:
        shape = {"context": 1024, "vocabulary": 1000}
        found = outcome(lawful.conventions, runs, method=method, budgets=[1e21], shape=shape)
        for row in found.rows if found is not None else ():
            assert row.a is not None or row.note is not None


def text_of(header: list[str], cells: list[list[Any]], kind: str) -> bytes:
    """The table as a file holds it; what has no text form is written as Python shows it."""
    if kind == "jsonl":
        rows = [dict(zip(header, row, strict=True)) for row in zip(*cells, strict=True)]
        return "\n".join(json.dumps(row, default=str) for row in rows).encode(errors="replace")
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter="\t" if kind == "tsv" else ",")
    writer.writerow(header)
    writer.writerows([str(cell) for cell in row] for row in zip(*cells, strict=True))
    return buffer.getvalue().encode(errors="replace")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@share(0.1)
@given(
    table=tables(),
    kind=st.sampled_from(["csv", "tsv", "jsonl", "txt"]),
    cut=st.one_of(st.none(), st.floats(0, 1)),
    noise=st.binary(max_size=8),
)
def test_a_file_is_read_or_refused(folder: Path, table: tuple, kind: str, cut: float | None, noise: bytes) -> None:
    data = text_of(*table, kind)
    if cut is not None:
        at = int(cut * len(data))
        data = data[:at] + noise
    path = folder / f"runs.{kind}"
    path.write_bytes(data)
    outcome(lawful.read_runs, path)
    outcome(lawful.check, path)


VERBS = {
    "fit": ["--bootstrap", "3", "--budget", "1e22"],
    "compare": ["--bootstrap", "0"],
    "conventions": ["--budget", "1e22"],
    "check": ["--no-figures", "--out", "FOLDER/checked"],
    "look": ["--no-figures", "--out", "FOLDER/looked"],
    "isoflops": ["--out", "FOLDER/points.csv"],
    "report": ["--bootstrap", "3", "--budget", "1e22", "--out", "FOLDER/result"],
}


@share(0.06)
@given(
    table=tables(),
    # A report takes seconds, so it is written for one table in fifty.
    verb=st.integers(0, 49).map(lambda i: "report" if i == 31 else list(VERBS)[i % 6]),
    as_json=st.booleans(),
)
def test_the_command_line_answers_or_refuses(folder: Path, table: tuple, verb: str, as_json: bool) -> None:
    path = folder / "runs.csv"
    path.write_bytes(text_of(*table, "csv"))
    options = [text.replace("FOLDER", str(folder)) for text in VERBS[verb]]
    verb = verb.replace("report", "fit")
    shown, said = io.StringIO(), io.StringIO()
    with redirect_stdout(shown), redirect_stderr(said):
        code = main([verb, str(path), *options, *(["--json"] if as_json else [])])
    assert code in {0, 1}, said.getvalue()
    if code == 0:
        assert said.getvalue() == ""
        if as_json:
            json.loads(shown.getvalue(), parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    else:
        assert shown.getvalue() == "" or verb == "look"  # which shows the columns of what it refuses
        assert said.getvalue().count("\n") == 1
        assert_sentence(said.getvalue().strip())


@given(name=st.text(max_size=40))
@share(0.2)
def test_any_name_has_a_budget_or_none(name: str) -> None:
    budget = budget_in_name(name)
    assert np.isnan(budget) or 1e12 <= budget <= 1e30
