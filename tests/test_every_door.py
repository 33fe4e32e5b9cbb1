"""Every door reads every layout: the verbs with a second table, and those that rank laws, as fit and look read runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

import lawful
from lawful.cli import main
from lawful.design.points import read_points

RNG = np.random.default_rng(91)
C = np.repeat([6e18, 5e19, 4e20], 4)
N = np.round(0.1 * np.sqrt(C) * np.tile(np.geomspace(0.4, 2.5, 4), 3), -5)
D = C / (6 * N)
LOSS = np.round(1.75 + 430 / N**0.335 + 1300 / D**0.35 + RNG.normal(0, 0.002, N.size), 4)
NEW = np.array([[1e10, 2e11], [2e10, 1e11], [1e10, 8e11], [2e10, 4e11]])
LAWS = ("--law", "loss = E + A/params^a", "--law", "loss = E + A/tokens^a")


def lines(rows: Iterable[Iterable[object]], sep: str = ",") -> bytes:
    return ("\n".join(sep.join(map(str, row)) for row in rows) + "\n").encode()


def under(size: str, data: str, loss: str, n: Sequence, d: Sequence, x: Sequence | None) -> list[list[object]]:
    """Columns under their names; without losses where there are none."""
    columns = [[size, *n], [data, *d], *([] if x is None else [[loss, *x]])]
    return [list(row) for row in zip(*columns, strict=True)]


def told(n: np.ndarray, d: np.ndarray, x: np.ndarray | None) -> dict[str, bytes]:
    """The same rows in every layout."""
    plain = under("params", "tokens", "loss", n, d, x)
    small = n / 1e6, d / 1e9
    german = [[f"{v:.7g}".replace(".", ",") for v in values] for values in (*small, () if x is None else x)]
    cells = [f"{v:g}M" for v in small[0]], [f"{v:.7g}B" for v in small[1]]
    below = ["M", "B", "nats"][: len(plain[0])]
    budget = [f"{c:.6g}" for c in 6 * n * d]
    once = [c if i == 0 or c != budget[i - 1] else "" for i, c in enumerate(budget)]
    blank = [""] * len(plain[0])
    return {
        "plain": lines(plain),
        "on its side": lines(zip(*plain, strict=True)),
        "on its side, with units": lines(zip(*under("N (M)", "D (B)", "L", *small, x), strict=True)),
        "units in the header": lines(under("Params (M)", "tokens_b", "val_loss", *small, x)),
        "units below the header": lines([plain[0], below, *under("", "", "", *small, x)[1:]]),
        "units in cells": lines(under("params", "tokens", "loss", *cells, x)),
        "in German": lines(
            under("Parameter (Mio.)", "Tokens (Mrd.)", "Verlust", *german[:2], None if x is None else german[2]), ";"
        ),
        "in Chinese, GB18030": lines(under("参数量", "训练词元", "验证损失", n, d, x)).decode().encode("gb18030"),
        "with a budget over each block": lines(under("FLOPs", "params", "loss", once, n, x)),
        "with perplexities": lines(under("params", "tokens", "ppl", n, d, None if x is None else np.exp(x))),
        "with headings of blocks": lines([[*plain[0], "seed"], ["large", *blank], *([*row, 1] for row in plain[1:])]),
    }


RUNS, POINTS = told(N, D, LOSS), told(*NEW.T, None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("doors")
    for i, name in enumerate(RUNS):
        (made / f"runs{i}.csv").write_bytes(RUNS[name])
        (made / f"points{i}.csv").write_bytes(POINTS[name])
    lawful.analyse(lawful.read_runs(made / "runs0.csv"), draws=0).save(made / "fit.json")
    return made


def said(capsys, *arguments: object) -> dict:
    code = main([*map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    assert code == 0, err
    return json.loads(out)


LAYOUTS = pytest.mark.parametrize("i", range(len(RUNS)), ids=list(RUNS))


def predicted(capsys, folder: Path, i: int) -> list[float]:
    found = said(capsys, "predict", folder / "fit.json", "--points", folder / f"points{i}.csv")
    return [one["loss"] for one in found["points"]]


def by_laws(capsys, folder: Path, i: int) -> list[float]:
    return said(capsys, "fit", folder / f"runs{i}.csv", *LAWS, "--points", folder / f"points{i}.csv")["predicted"]


@LAYOUTS
def test_a_table_of_points_is_read_as_a_table_of_runs_is(i, folder, capsys):
    assert np.allclose(predicted(capsys, folder, i), predicted(capsys, folder, 0), rtol=1e-5)
    assert np.allclose(read_points(folder / f"points{i}.csv", "points").column("N"), NEW[:, 0])


def test_several_laws_read_both_tables_in_any_layout(folder, capsys):
    want = by_laws(capsys, folder, 0)
    for i in (2, 6, 9):
        assert np.allclose(by_laws(capsys, folder, i), want, rtol=1e-4)


@LAYOUTS
def test_the_next_run_reads_three_tables_in_any_layout(i, folder):
    names = [str(folder / f"{kind}{i}.csv") for kind in ("runs", "points", "points")]
    tables = [read_points(name, "x") for name in names]
    assert np.allclose([tables[0].column("N"), tables[0].column("D"), tables[0].loss(None)], [N, D, LOSS], rtol=1e-5)
    assert np.allclose(tables[1].cost("6*params*tokens"), 6 * NEW[:, 0] * NEW[:, 1])
    if i in (1, 6):
        found = lawful.next_run(*names[:2], cost="6*params*tokens", target=names[2], law=LAWS[1], spend=1e26)
        assert len(found.runs) == 1
        assert any("Of the runs: " in str(note) for note in found.notes)


@LAYOUTS
def test_runs_are_read_in_any_layout(i, folder):
    runs = lawful.read_runs(folder / f"runs{i}.csv")
    assert np.allclose([runs.N, runs.D, runs.L], [N, D, LOSS], rtol=1e-5)


def test_points_without_a_unit_are_doubted(capsys, folder):
    (folder / "bare.csv").write_bytes(lines([("params", "loss"), *zip(N / 1e6, LOSS, strict=True)]))
    notes = said(capsys, "fit", folder / "bare.csv", *LAWS[:2], *LAWS[:2], "--cost", "params")["notes"]
    assert any(note["code"] == "unit_doubt" and "as in 'params (M)'" in note["message"] for note in notes)


def test_two_losses_are_refused_only_where_one_is_read(folder):
    table = {"params": N, "tokens": D, "loss": LOSS, "test_loss": LOSS + 0.1}
    points = read_points(table, "runs")
    assert np.allclose(points.column("N"), N)
    assert np.allclose(points.loss("test_loss"), LOSS + 0.1)
    with pytest.raises(lawful.InputError, match="does not say on which data"):
        points.loss(None)
