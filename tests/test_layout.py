"""Tables that lie on their side, merge cells, take two lines of header or speak another language than English."""

from __future__ import annotations

import io
import json
import re
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import lawful
import test_peoples_tables
import test_sixty_more
import test_sixty_tables
from lawful.cli import main
from lawful.data.columns import ACCEPTED, ALSO, normalise
from lawful.data.layout import laid_out, quantity_named, upright
from lawful.data.selection import open_table
from lawful.errors import InputError

RNG = np.random.default_rng(4409)
BUDGETS = np.array([3e18, 2e19, 1.1e20, 7e20])
C = np.repeat(BUDGETS, 5)
N = (0.12 * np.sqrt(C) * np.tile(np.geomspace(0.3, 3.1, 5), 4)).round()
D = (C / (6 * N)).round()
LOSS = np.round(1.77 + 450 / N**0.33 + 1400 / D**0.355 + RNG.normal(0, 0.002, N.size), 4)
ROWS = range(N.size)


def same(runs: lawful.Runs, rtol: float = 2e-3) -> bool:
    want, have = np.array([N, D, LOSS]), np.array([runs.N, runs.D, runs.L])
    if want.shape != have.shape:
        return False
    want, have = (a[:, np.lexsort(a[:2])] for a in (want, have))
    return bool(np.allclose(want, have, rtol=rtol))


def codes(runs: lawful.Runs) -> list[str]:
    return [note.code for note in runs.notes]


def saved(folder: Path, text: str | bytes, name: str = "runs.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def lines(header: str, form: Callable[[int], str]) -> str:
    return "\n".join([header, *map(form, ROWS)]) + "\n"


def plain(i: int, sep: str = ",") -> str:
    return sep.join((f"{N[i]:.0f}", f"{D[i]:.0f}", f"{LOSS[i]:.4f}"))


def on_its_side(sep: str = ",", **rows: object) -> str:
    return "\n".join(sep.join(map(str, (name, *cells))) for name, cells in rows.items()) + "\n"


SIDEWAYS: dict[str, tuple[str, Callable[[], str]]] = {
    "bare": ("runs.csv", lambda: on_its_side(params=N, tokens=D, loss=LOSS)),
    "with names of runs": ("runs.csv", lambda: on_its_side(name=[f"r{i}" for i in ROWS], N=N, D=D, val_loss=LOSS)),
    "semicolons and commas": (
        "runs.csv",
        lambda: on_its_side(";", N=N, D=D, loss=[f"{x:.4f}".replace(".", ",") for x in LOSS]),
    ),
    "units in a column": (
        "runs.tsv",
        lambda: on_its_side(
            "\t",
            quantity=["unit", *(f"run {i}" for i in ROWS)],
            params=["M", *(N / 1e6)],
            tokens=["B", *(D / 1e9)],
            loss=["nats", *LOSS],
        ),
    ),
    "units in the names": (
        "runs.csv",
        lambda: on_its_side(**{"Params (M)": N / 1e6, "Tokens (B)": D / 1e9, "val loss": LOSS}),
    ),
    "Markdown": (
        "runs.md",
        lambda: "\n".join(
            [
                f"| N | {' | '.join(map(str, N))} |",
                "|---" * (N.size + 1) + "|",
                f"| D | {' | '.join(map(str, D))} |",
                f"| **loss** | {' | '.join(map(str, LOSS))} |",
            ]
        ),
    ),
    "more lines": (
        "runs.csv",
        lambda: on_its_side(
            layers=[12] * N.size, lr=[3e-4] * N.size, N=N, flops=C, optimizer=["adam"] * N.size, loss=LOSS
        ),
    ),
    "Chinese": ("runs.csv", lambda: on_its_side(参数量=N, 词元数=D, 损失=LOSS)),
}


@pytest.mark.parametrize("kind", SIDEWAYS)
def test_a_table_on_its_side_is_read_and_said(kind, tmp_path):
    name, text = SIDEWAYS[kind]
    runs = lawful.read_runs(saved(tmp_path, text(), name))
    assert same(runs)
    note = next(note for note in runs.notes if note.code == "transposed")
    assert f"the other {N.size} columns were read as one run each" in note.message


def test_a_workbook_and_a_frame_on_their_side(tmp_path):
    frame = pd.DataFrame({"N": N, "D": D, "loss": LOSS}).T.reset_index()
    frame.to_excel(tmp_path / "r.xlsx", index=False, header=False)
    assert same(lawful.read_runs(tmp_path / "r.xlsx"))
    assert same(lawful.read_runs(frame))


def test_look_shows_a_table_on_its_side_upright(tmp_path, capsys):
    path = str(saved(tmp_path, on_its_side(params=N, tokens=D, loss=LOSS)))
    assert main(["look", path]) == 0
    shown = capsys.readouterr().out
    assert "The names stand in the first column" in " ".join(shown.split())
    assert main(["check", path]) == 0
    assert main(["fit", path, "--draws", "0"]) == 0


@pytest.mark.parametrize(
    "columns",
    [
        {"metric": ["N", "loss", "N", "loss"], "value": [1e8, 3.1, 2e8, 3.0]},  # one pair below the other
        {"metric": ["N", "loss"], "a": ["small", 3.1], "b": ["large", 3.0]},  # sizes that are no numbers
        {"metric": ["lr", "loss"], "a": [3e-4, 3.1], "b": [1e-3, 3.0]},  # no size
        {"name": ["loss", "params"], "N": [1e8, 2e8], "loss": [3.1, 3.0]},  # runs that are called so
        {"name": ["loss", "params"], "eval/ppl": [21.0, 20.0], "b": [1, 2]},
    ],
)
def test_what_does_not_lie_on_its_side_stays(columns):
    table = open_table(columns, "here", None)
    assert upright(table, {}) == (table, [])


def test_a_column_that_was_named_keeps_a_table_upright():
    table = open_table({"metric": ["N", "loss"], "a": [1e8, 3.1], "b": [2e8, 3.0]}, "here", None)
    assert upright(table, {"loss": "b"})[1] == []
    assert [note.code for note in upright(table, {})[1]] == ["transposed"]


def every_upright_table() -> dict[str, object]:
    """The made-up tables of these tests that stand upright, as columns or as text."""
    sweep = {"N": N, "D": D, "C": C, "L": LOSS}
    sweep = {name: np.append(column, column[-1]) for name, column in sweep.items()}
    tables: dict[str, object] = {f"form {k}": v[0] for k, v in test_peoples_tables.forms(sweep).items()}
    tables |= {f"unstated {k}": f(sweep) for k, f in test_peoples_tables.UNSTATED.items()}
    for name in ("READ", "CRASHED", "WIDE"):
        tables |= {f"{name} {k}": f() for k, f in getattr(test_sixty_tables, name, {}).items()}
    for name in ("SAID", "REFUSED"):
        tables |= {f"{name} {k}": f[1]() for k, f in getattr(test_sixty_tables, name).items()}
    for name in ("READ", "REMEDIED", "REFUSED", "WIDE"):
        tables |= {f"more {name} {k}": f() for k, f in getattr(test_sixty_more, name).items() if k != "on its side"}
    return tables


def test_no_upright_table_is_turned(tmp_path):
    tables = every_upright_table()
    assert len(tables) > 120
    for kind, table in tables.items():
        given = saved(tmp_path, table, "theirs") if isinstance(table, (str, bytes)) else pd.DataFrame(table)
        try:
            said = codes(lawful.read_runs(given))
        except lawful.LawfulError as refused:
            said = [str(refused)]
        assert not any("transposed" in word or "stand in the first column" in word for word in said), kind
        assert not {"filled_down", "header_rows"} & set(said) or kind in (
            "more READ a budget per block",
            "more READ units under the header",
        ), kind


# Cells that stand for the value above them.


def merged(budgets: list[object]) -> dict[str, object]:
    return {"budget": budgets, "N": N, "loss": LOSS}


BLOCKS = [f"{c:g}" if i % 5 == 0 else "" for i, c in enumerate(C)]


def sized() -> dict[str, object]:
    sizes = np.repeat(np.geomspace(1e8, 1.6e9, 5).round(), 4)
    return {"params": [s if i % 4 == 0 else None for i, s in enumerate(sizes)], "tokens": D, "loss": LOSS}


MERGED: dict[str, Callable[[], dict[str, object]]] = {
    "a budget per block": lambda: merged(list(BLOCKS)),
    "ditto marks": lambda: merged([b or "〃" for b in BLOCKS]),
    "quotation marks": lambda: merged([b or '"' for b in BLOCKS]),
    "a ditto in a block of one": lambda: merged([*(f"{c:g}" for c in C[:6]), "ditto", *(f"{c:g}" for c in C[7:])]),
    "missing numbers of a frame": lambda: merged([float(b) if b else None for b in BLOCKS]),
    "a label beside": lambda: {**merged(list(BLOCKS)), "sweep name": [b and f"s{b}" for b in BLOCKS]},
    "a size per block": sized,
}


@pytest.mark.parametrize("kind", MERGED)
def test_merged_cells_are_filled_and_said(kind, tmp_path):
    columns = MERGED[kind]()
    pd.DataFrame(columns).to_csv(tmp_path / "r.csv", index=False)
    for table in (columns, tmp_path / "r.csv"):
        runs = lawful.read_runs(table)
        note = next(note for note in runs.notes if note.code == "filled_down")
        assert "read as the value above" in note.message
        if "budget" in columns:
            np.testing.assert_allclose(runs.C, C)
        else:
            np.testing.assert_allclose(runs.N, np.repeat(np.geomspace(1e8, 1.6e9, 5).round(), 4))
        np.testing.assert_allclose(runs.L, LOSS)
    if kind == "a label beside":
        assert "" not in runs.labels["sweep name"].tolist()


def test_merged_cells_of_a_workbook(tmp_path):
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    sheet.append(["budget", "N", "loss"])
    sizes = [1, 5, 5, 5, 4]
    starts = np.cumsum([0, *sizes])[:-1]
    for i in ROWS:
        sheet.append([float(C[i]), float(N[i]), float(LOSS[i])])
    for at, count in zip(starts[1:], sizes[1:], strict=True):  # blocks of one and of several rows
        sheet.merge_cells(start_row=int(at) + 2, end_row=int(at) + 1 + count, start_column=1, end_column=1)
    book.save(tmp_path / "r.xlsx")
    runs = lawful.read_runs(tmp_path / "r.xlsx")
    want = np.repeat(C[starts], sizes)
    np.testing.assert_allclose(runs.C, want)
    assert "filled_down" in codes(runs)


REFUSED: dict[str, tuple[dict[str, object], str]] = {
    "one value for all": (
        merged([C[0], *[None] * 19]),
        r"'budget' is blank in 19 of 20 rows \(rows 2, 3, 4 and 16 more",
    ),
    "blocks of one row": (merged([C[0], C[1], None, None, C[4], *[None] * 15]), r"`fill_down` budget"),
    "one value twice": (merged([2e18 if i % 4 == 0 else None for i in ROWS]), r"`fill_down` budget"),
    "a history": (
        {"N": [1e8] * 20, "tokens": np.arange(1, 21) * 1e9, "flops": [b or None for b in BLOCKS], "loss": LOSS},
        r"'flops' is blank .* `fill_down` flops; .* `drop` nan",
    ),
    "marks of a loss": (
        {"N": N, "D": D, "loss": ["〃" if i == 3 else x for i, x in enumerate(LOSS)]},
        "a loss is that of",
    ),
    "marks above all": (merged(["〃", *C[1:]]), "nothing stands above row 1"),
    "here and there": (merged([None if i in (3, 9) else c for i, c in enumerate(C)]), r"row 4 \(nan\), row 10 \(nan\)"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_blanks_that_may_be_missing_are_refused(kind):
    columns, sentence = REFUSED[kind]
    with pytest.raises(InputError, match=sentence) as refused:
        lawful.read_runs(columns)
    assert "\n" not in str(refused.value)


def in_pairs(n: np.ndarray, d: np.ndarray, *, logged: bool) -> dict[str, object]:
    """Sizes in every second row: merged cells over two runs each, or numbers that were not logged."""
    size = np.repeat(n[::2], 2) if logged else n
    return {
        "N": [x if i % 2 == 0 else None for i, x in enumerate(n)],
        "D": d,
        "C": 6 * size * d,
        "loss": 1.77 + 450 / size**0.33 + 1400 / d**0.355,
    }


@pytest.mark.parametrize("without", ["", "C", "loss is noisy"])
def test_a_size_in_every_second_row_is_that_above_where_nothing_speaks_against_it(without):
    table = in_pairs(N, D, logged=True)
    table.pop(without, None)
    if without == "loss is noisy":
        table["loss"] = table["loss"] + RNG.normal(0, 0.002, N.size)
    runs = lawful.read_runs(table)
    np.testing.assert_allclose(runs.N, np.repeat(N[::2], 2))
    assert "filled_down" in codes(runs)


@pytest.mark.parametrize("without", ["", "C"])
def test_a_size_that_was_not_logged_is_not_that_of_the_run_above(without):
    table = in_pairs(N, D, logged=False)
    table.pop(without, None)
    with pytest.raises(InputError, match=r"'N' is blank in 10 of 20 rows .* `fill_down` N; where the value is missing"):
        lawful.read_runs(table)


def test_a_nameless_last_line_that_sums_up_all_others_is_no_run():
    for last in (np.sum, np.mean):
        table = {"N": [*N, last(N)], "D": [*D, last(D)], "loss": [*LOSS, LOSS.mean()]}
        runs = lawful.read_runs(table)
        assert len(runs) == N.size
        assert any("sum or the mean of those above" in note.message for note in runs.notes)
        near = {**table, "loss": [*LOSS, LOSS.mean() * 1.01]}
        assert len(lawful.read_runs(near)) == N.size + 1


def test_a_mark_of_a_missing_loss_is_refused_and_check_sets_it_aside():
    table = {"N": N, "D": D, "loss": [999.0 if i == 3 else x for i, x in enumerate(LOSS)]}
    with pytest.raises(InputError, match=r"'loss' is above 13.86, .* in 1 of 20 rows, row 4 \(999\): .*'loss < 13.86'"):
        lawful.read_runs(table)
    assert len(lawful.read_runs(table, where="loss < 13.86")) == 19
    assert len(lawful.read_runs(table, as_is=True)) == 20
    assert "invalid_value 1" in repr(lawful.check(table))


@pytest.mark.parametrize("value", [1e-9, 0.29, 9.9])
def test_a_loss_far_from_all_others_is_doubted(value):
    table = {"N": N, "D": D, "loss": [value if i == 3 else x for i, x in enumerate(LOSS)]}
    assert any("Row 4 has a loss of " in note.message for note in lawful.read_runs(table).notes)
    assert "unit_doubt" not in codes(lawful.read_runs({**table, "loss": LOSS}))


def test_a_mean_of_seeds_is_no_seed():
    cells = [i // 3 for i in range(60)]
    table = {"N": N[cells], "D": D[cells], "seed": ["0", "1", "mean"] * 20, "loss": LOSS[cells]}
    runs = lawful.read_runs(table)
    assert len(runs) == 40
    assert any("column 'seed' says 'mean'" in note.message for note in runs.notes)


def test_one_cell_in_another_unit_is_doubted():
    N3, D3 = np.repeat(np.geomspace(1e8, 1e9, 5), 4), np.tile(np.geomspace(5e9, 4e10, 4), 5)
    loss = 1.77 + 450 / N3**0.33 + 1400 / D3**0.355
    half = {"N": N3, "C": 6 * N3 * D3 / np.where(np.arange(20) % 2, 1, 1000), "loss": loss}
    assert any("Rows 1, 3, 5 and 7 more have" in note.message for note in lawful.read_runs(half).notes)
    runs = lawful.read_runs({"N": N3, "D": [x * (1000 if i == 0 else 1) for i, x in enumerate(D3)], "loss": loss})
    assert any("Row 1 has 50000 tokens per parameter" in n.message for n in runs.notes)
    assert "unit_doubt" not in codes(lawful.read_runs({"N": N3, "D": D3, "loss": loss}))


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"params": N, "tokens": D, "tokens (B)": 2 * D / 1e9, "loss": LOSS}, "'tokens (B)' counts otherwise"),
        ({"params": N, "tokens": D, "tokens (B)": D / 1e9, "loss": LOSS}, ""),
    ],
)
def test_a_second_count_in_another_unit_is_held_against_the_first(columns, said):
    messages = " ".join(note.message for note in lawful.read_runs(columns).notes)
    assert (said in messages) if said else ("counts otherwise" not in messages)


@pytest.mark.parametrize("name", ["embedding_params", "Embedding parameters", "n_params_embedding"])
def test_the_parameters_of_the_embedding_are_not_those_of_the_model(name):
    with pytest.raises(InputError, match="Runs need the loss and two of"):
        lawful.read_runs({name: N, "tokens": D, "loss": LOSS})
    assert len(lawful.read_runs({f"non {name}": N, "tokens": D, "loss": LOSS})) == N.size


READ_AS: dict[str, tuple[str, str]] = {
    "powers of ten raised in Markdown": (
        "t.md",
        "| N | D | loss |\n|--|--|--|\n"
        + "".join(
            f"| {N[i] / 1e8:.8f}×10<sup>8</sup> | {D[i] / 1e9:.8f} × 10<sup>9</sup> | {LOSS[i]:.4f} |\n" for i in ROWS
        ),
    ),
    "powers of ten raised in HTML": (
        "t.html",
        "<table><tr><th>N<th>D<th>loss</tr>"
        + "".join(
            f"<tr><td>{N[i] / 1e8:.8f}&times;10<sup>8</sup><td>{D[i] / 1e9:.8f}×10<sup>9</sup>"
            f"<td>{LOSS[i]:.4f}<sup>a</sup></tr>"
            for i in ROWS
        )
        + "</table>",
    ),
    "commas in names between semicolons": (
        "t.csv",
        lines("Params, M;Tokens, B;Loss", lambda i: f"{N[i] / 1e6:.6f};{D[i] / 1e9:.6f};{LOSS[i]:.4f}"),
    ),
    "paths of a tracker": ("t.csv", lines("params.n_params,params.tokens,metrics.val_loss", plain)),
    "units of FLOPs in cells": (
        "t.csv",
        lines("N,flops,loss", lambda i: f"{N[i]:.0f},{6 * N[i] * D[i] / 1e21:.8g} ZFLOPs,{LOSS[i]:.4f}"),
    ),
}


@pytest.mark.parametrize("kind", READ_AS)
def test_ways_to_write_that_were_refused_before(kind, tmp_path):
    name, text = READ_AS[kind]
    assert same(lawful.read_runs(saved(tmp_path, text, name)))


def test_a_column_is_filled_down_on_request(tmp_path, capsys):
    columns = merged([C[0], *[None] * 4])
    columns = {name: np.array(cells, dtype=object)[:5] for name, cells in columns.items()}
    runs = lawful.read_runs(columns, fill_down="budget")
    assert runs.C.tolist() == [C[0]] * 5
    assert lawful.read_runs(columns, fill_down=["budget"]).C.tolist() == [C[0]] * 5
    path = tmp_path / "r.csv"
    pd.DataFrame(columns).to_csv(path, index=False)
    assert main(["look", str(path)]) != 0
    assert "--fill-down budget" in " ".join(capsys.readouterr().err.split())
    assert main(["look", str(path), "--fill-down", "budget"]) == 0
    assert main(["check", str(path), "--fill-down", "budget"]) == 0
    assert main(["isoflops", str(path), "--fill-down", "budget", "--trained", "1"]) == 0
    with pytest.raises(InputError, match="a loss is that of one run"):
        lawful.read_runs({**columns, "loss": [3.1, None, 3.0, None, 2.9]}, fill_down="loss")
    with pytest.raises(InputError, match="no column 'budgets', which `fill_down` names"):
        lawful.read_runs(columns, fill_down="budgets")


def test_a_state_or_a_remark_is_never_that_of_the_run_above():
    state = ["crashed" if i == 5 else "ok" if i == 0 else "" for i in ROWS]
    notes = ["best" if b else "" for b in BLOCKS]
    runs = lawful.read_runs({**merged(list(BLOCKS)), "state": state, "note": notes})
    assert len(runs) == 19
    assert runs.labels["note"].tolist().count("best") == 3


def test_rows_that_hold_no_run_are_set_aside(tmp_path):
    text = lines("N,D,loss", lambda i: (f"budget {i // 5},,\n" if i % 5 == 0 else "") + plain(i))
    runs = lawful.read_runs(saved(tmp_path, text))
    assert same(runs)
    assert "4 of 24 rows were set aside" in next(n.message for n in runs.notes if n.code == "set_aside")
    assert runs.row.tolist()[:2] == [2, 3]
    assert len(lawful.read_runs(tmp_path / "runs.csv", drop=[1, 2])) == N.size - 1
    again = lines("N,D,loss", lambda i: ("N,D,loss\n" if i == 7 else ",,\n" if i == 12 else "") + plain(i))
    assert same(lawful.read_runs(saved(tmp_path, again)))
    value = lines("budget,N,loss", lambda i: (f"{C[i]:g},,\n" if i % 5 == 0 else "") + f",{N[i]:.0f},{LOSS[i]}")
    assert same(lawful.read_runs(saved(tmp_path, value)))


# Two lines of header.

HEADERS: dict[str, str] = {
    "units": lines("params,tokens,loss\nM,B,nats", lambda i: f"{N[i] / 1e6:.5f},{D[i] / 1e9:.6f},{LOSS[i]}"),
    "units and dashes": lines(
        "run,params,tokens,loss\n-,millions,billions,-", lambda i: f"r{i},{N[i] / 1e6:.5f},{D[i] / 1e9:.6f},{LOSS[i]}"
    ),
    "a merged title": lines(
        "Model,,Loss,\nparams,tokens,train,val",
        lambda i: plain(i).replace(",", ",", 1).rsplit(",", 1)[0] + f",{LOSS[i] - 0.2:.4f},{LOSS[i]}",
    ),
    "one name twice": lines(
        "N,D,loss,loss\n,,train,val", lambda i: plain(i).rsplit(",", 1)[0] + f",{LOSS[i] - 0.2:.4f},{LOSS[i]}"
    ),
}


@pytest.mark.parametrize("kind", HEADERS)
def test_two_lines_of_header_are_one(kind, tmp_path):
    runs = lawful.read_runs(saved(tmp_path, HEADERS[kind]))
    assert same(runs)
    assert "header_rows" in codes(runs)
    assert runs.row[0] == 2


def test_a_first_run_without_a_number_is_no_header(tmp_path):
    text = "run,N,D,loss\nr0,n/a,n/a,diverged\n" + "".join(f"r{i + 1},{plain(i)}\n" for i in ROWS)
    with pytest.raises(InputError, match=r"row 1 \('diverged'\)"):
        lawful.read_runs(saved(tmp_path, text))
    assert same(lawful.read_runs(tmp_path / "runs.csv", drop="nan"))


# Other languages.

LANGUAGES = {
    "German": "Parameteranzahl;Trainingstokens;Validierungsverlust",
    "German, hyphen": "Anzahl Parameter;Trainings-Token;Validierungsverlust",
    "German, short": "Parameter;Token;Verlust",
    "French": "Nombre de paramètres;Jetons;Perte de validation",
    "French, capitals without accents": "PARAMETRES;JETONS;PERTE",
    "Spanish": "Parámetros;Tokens de entrenamiento;Pérdida",
    "Chinese": "参数量;训练词元;验证损失",
    "Chinese and Latin": "模型参数量;训练token数;损失",
    "traditional Chinese": "參數量;詞元數;損失",
    "Japanese": "パラメータ数;トークン数;損失",
    "Japanese in half width": "ﾊﾟﾗﾒｰﾀ数;ﾄｰｸﾝ数;検証損失",
    "wide Latin": "Ｎ;Ｄ;ｌｏｓｓ",
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_headers_in_other_languages(language, form, tmp_path):
    header = unicodedata.normalize(form, LANGUAGES[language])
    runs = lawful.read_runs(saved(tmp_path, lines(header, lambda i: plain(i, ";"))))
    assert same(runs)
    if language != "wide Latin":
        said = [note.message for note in runs.notes if note.code == "column_choice"]
        assert len(said) >= 2, "a name that is not English is said to be taken"


@pytest.mark.parametrize("name", ["计算量", "算力", "計算量", "Rechenaufwand", "budget de calcul", "cómputo"])
def test_compute_in_other_languages(name):
    runs = lawful.read_runs({name: C, "N": N, "loss": LOSS})
    assert runs.columns["budget"] == name


def test_units_in_other_languages(tmp_path):
    french = lines(
        "paramètres (millions);jetons (milliards);perte",
        lambda i: f"{N[i] / 1e6:.5f};{D[i] / 1e9:.6f};{LOSS[i]}".replace(".", ","),
    )
    chinese = lines("参数量（亿）,词元数（万亿）,损失", lambda i: f"{N[i] / 1e8:.7f},{D[i] / 1e12:.9f},{LOSS[i]}")
    cells = lines("参数量,词元数,损失", lambda i: f"{N[i] / 1e8:.7g}亿,{D[i] / 1e8:.7g}亿,{LOSS[i]}")
    for text in (french, chinese, cells):
        assert same(lawful.read_runs(saved(tmp_path, text)))


def test_ambiguity_is_refused_in_every_language():
    with pytest.raises(InputError, match="2 columns look like loss: '测试损失', '验证损失'"):
        lawful.read_runs({"N": N, "D": D, "测试损失": LOSS, "验证损失": LOSS + 0.1})
    with pytest.raises(InputError, match=r"not taken unasked; name it with `columns` loss=训练损失"):
        lawful.read_runs({"参数量": N, "词元": D, "训练损失": LOSS})
    runs = lawful.read_runs({"Parameter": N, "Token": D, "Trainingsverlust": LOSS - 0.2, "Validierungsverlust": LOSS})
    assert runs.columns["loss"] == "Validierungsverlust"


def test_an_unknown_script_is_printed_whole(tmp_path, capsys):
    path = saved(tmp_path, lines("параметры,токены,потери", plain))
    assert main(["fit", str(path)]) != 0
    said = capsys.readouterr().err
    assert "параметры, токены, потери" in " ".join(said.split())
    assert "--columns" in said
    asked = {"params": "параметры", "tokens": "токены", "loss": "потери"}
    assert same(lawful.read_runs(path, columns=asked))


def test_no_name_stands_for_two_quantities():
    names = [(normalise(n), q) for q in ACCEPTED for n in {*map(normalise, (*ACCEPTED[q], *ALSO[q]))}]
    assert len({name for name, _ in names}) == len(names)
    assert all(quantity_named(name) == quantity for name, quantity in names)


# Tables in the marks of other programs, and the quirks of cells.


def tex(rows: list[str]) -> str:
    return "\\begin{tabular}{lrr}\n\\toprule\n" + " \\\\\n".join(rows) + " \\\\\n\\bottomrule\n\\end{tabular}\n"


def packed(name: str, text: str, *others: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, text)
        for other in others:
            archive.writestr(other, "hello")
    return buffer.getvalue()


RULE = "+------------+--------------+--------+\n"
FOREIGN: dict[str, tuple[str, Callable[[], str | bytes]]] = {
    "LaTeX": (
        "t.tex",
        lambda: tex(
            ["$N$ & $D$ & Val.\\ loss", "\\midrule"][:1]
            + [
                f"${N[i] / 1e8:.6f}\\times 10^{{8}}$ & ${D[i] / 1e9:.6f}\\times10^{{9}}$ & \\textbf{{{LOSS[i]}}}"
                for i in ROWS
            ]
        ),
    ),
    "LaTeX with rows of one budget": (
        "t.tex",
        lambda: tex(
            ["C & N & loss"]
            + [(f"\\multirow{{5}}{{*}}{{{C[i]:g}}}" if i % 5 == 0 else "") + f" & {N[i]:.0f} & {LOSS[i]}" for i in ROWS]
        ),
    ),
    "HTML": (
        "t.html",
        lambda: (
            "<table><thead><tr><th>Params</th><th>Tokens</th><th>Loss</th></tr></thead>"
            + "".join(f"<tr><td>{N[i]:.0f}</td><td>{D[i]:.0f}</td><td>{LOSS[i]}<sup>a</sup></td></tr>" for i in ROWS)
            + "</table>"
        ),
    ),
    "HTML with rows of one budget": (
        "t.html",
        lambda: (
            "<table><tr><th>C<th>N<th>loss</tr>"
            + "".join(
                "<tr>" + (f"<td rowspan=5>{C[i]:g}" if i % 5 == 0 else "") + f"<td>{N[i]:.0f}<td>{LOSS[i]}</tr>"
                for i in ROWS
            )
            + "</table>"
        ),
    ),
    "YAML": (
        "t.yaml",
        lambda: (
            "runs:\n" + "".join(f"  - params: {N[i]:.0f}\n    tokens: {D[i]:.0f}\n    loss: {LOSS[i]}\n" for i in ROWS)
        ),
    ),
    "TOML": (
        "t.toml",
        lambda: "".join(f"[[runs]]\nparams = {N[i]:.0f}\ntokens = {D[i]:.0f}\nloss = {LOSS[i]}\n" for i in ROWS),
    ),
    "a list of Python": (
        "t.txt",
        lambda: repr([{"N": float(N[i]), "D": float(D[i]), "loss": float(LOSS[i])} for i in ROWS]),
    ),
    "a grid of reStructuredText": (
        "t.rst",
        lambda: (
            RULE
            + "| N          | D            | loss   |\n"
            + RULE.replace("-", "=")
            + "".join(f"| {N[i]:<10.0f} | {D[i]:<12.0f} | {LOSS[i]:.4f} |\n{RULE}" for i in ROWS)
        ),
    ),
    "under rules": (
        "t.rst",
        lambda: (
            "========== ============ ======\nN          D            loss\n========== ============ ======\n"
            + "".join(f"{N[i]:<10.0f} {D[i]:<12.0f} {LOSS[i]:.4f}\n" for i in ROWS)
            + "========== ============ ======\n"
        ),
    ),
    "Org": (
        "t.org",
        lambda: (
            "| N | D | loss |\n|---+---+---|\n" + "".join(f"| {N[i]:.0f} | {D[i]:.0f} | {LOSS[i]} |\n" for i in ROWS)
        ),
    ),
    "Markdown below a list": (
        "t.md",
        lambda: (
            "- lr: 3e-4\n\n| N | D | L ↓ |\n|---|---|---|\n"
            + "".join(f"| {N[i]:.0f} | {D[i]:.0f} | {LOSS[i]}<sup>1</sup> |\n" for i in ROWS)
        ),
    ),
    "JSON in parts": (
        "t.json",
        lambda: json.dumps(
            {"columns": ["N", "D", "loss"], "index": [*ROWS], "data": np.array([N, D, LOSS]).T.tolist()}
        ),
    ),
    "JSON in rows": ("t.json", lambda: json.dumps([["N", "D", "loss"], *np.array([N, D, LOSS]).T.tolist()])),
    "an archive": ("t.zip", lambda: packed("a/runs.csv", lines("N,D,loss", plain), "README.txt")),
    "UTF-16 without a mark": ("t.csv", lambda: lines("N,D,loss", plain).encode("utf-16-be")),
    "the delimiter above": ("t.csv", lambda: "sep=;\n" + lines("N;D;loss", lambda i: plain(i, ";"))),
    "remarks between": ("t.csv", lambda: lines("N,D,loss", lambda i: ("# next\n" if i % 5 == 0 else "") + plain(i))),
    "single quotes": ("t.csv", lambda: lines("'N','D','loss'", lambda i: "'" + plain(i).replace(",", "','") + "'")),
    "Fortran": (
        "t.csv",
        lambda: lines("N,D,loss", lambda i: f"{N[i]:.6e},{D[i]:.6e},{LOSS[i]}".replace("e+", "D+")),
    ),
    "raised marks": ("t.csv", lambda: lines("N,D,loss", lambda i: plain(i) + "ᵃ" * (i % 3 == 0) + "¹" * (i % 7 == 1))),
    "a spread in brackets": ("t.csv", lambda: lines("N,D,loss", lambda i: plain(i) + " (±0.004)")),
    "thousands of a German": (
        "t.csv",
        lambda: lines(
            "Parameter (Tsd);Tokens (Mio);Verlust",
            lambda i: f"{N[i] / 1e3:,.0f};{D[i] / 1e6:,.0f};".replace(",", ".") + f"{LOSS[i]:.4f}".replace(".", ","),
        ),
    ),
    "decimals of a German": (
        "t.csv",
        lambda: lines(
            "size;data;loss",
            lambda i: f"{N[i] / 1e9:.6f}B;{D[i] / 1e12:.7f}T;{LOSS[i]}".replace(".", ","),
        ),
    ),
    "three decimals beside a comma": (
        "t.csv",
        lambda: lines("params (M);tokens (B);loss;betas", lambda i: f"{N[i] / 1e6:.3f};{D[i] / 1e9:.3f};{LOSS[i]};0,9"),
    ),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_the_marks_of_other_programs(kind, tmp_path):
    name, content = FOREIGN[kind]
    assert same(lawful.read_runs(saved(tmp_path, content(), name)))


def test_what_cannot_be_read_says_why(tmp_path):
    for name, content, sentence in (
        ("t.zip", packed("a.csv", "x", "b.csv"), "an archive with 2 tables among a.csv, b.csv: unpack it"),
        ("t.zip", packed("a.txt", "x"), "an archive with no table among a.txt"),
        ("t.zip", b"PK\x03\x04 and no more", "a damaged archive"),
        ("t.yaml", "- a: [", "broken YAML"),
        ("t.toml", "[[a\n", "broken TOML"),
    ):
        with pytest.raises(InputError, match=re.escape(sentence)):
            lawful.read_runs(saved(tmp_path, content, name))


@pytest.mark.parametrize(("column", "word"), [("model", "TOTAL"), ("", "Summe"), ("setting", "Average")])
def test_a_line_that_sums_up_the_others(column, word, tmp_path):
    text = lines(f"{column},N,D,loss", lambda i: f"m{i},{plain(i)}")
    last = (
        f"{word},{N.sum():.0f},{D.sum():.0f},\n"
        if word != "Average"
        else f"{word},{N.mean()},{D.mean()},{LOSS.mean()}\n"
    )
    runs = lawful.read_runs(saved(tmp_path, text + last))
    assert same(runs)
    assert "set_aside" in codes(runs)


def test_a_run_that_is_called_as_sums_are_stays(tmp_path):
    names = ["web", "books", "code", "total"]
    text = lines("mix of text,N,D,loss", lambda i: f"{names[i % 4] if i < 16 or i == 19 else 'web'},{plain(i)}")
    text = text.replace("total", "math", 4)
    assert len(lawful.read_runs(saved(tmp_path, text))) == N.size


@pytest.mark.parametrize("quantity", ["params", "tokens", "budget"])
def test_counts_beyond_any_unit_are_refused_in_a_plain_sentence(quantity):
    table = {"params": N, "tokens": D, "budget": C, "loss": LOSS}
    del table["budget" if quantity != "budget" else "tokens"]
    with pytest.raises(InputError, match="more than any") as refused:
        lawful.read_runs({**table, quantity: np.where(np.arange(N.size) == 3, 1e308, table[quantity])})
    said = str(refused.value)
    assert said.startswith(f"{quantity.capitalize()} lie between ")
    assert "?" not in said
    assert "in 1 of 20 rows above" in said
    assert "row 4 (1e308)" in said
    kept = lawful.read_runs(
        {**table, quantity: np.where(np.arange(N.size) == 3, 1e40, table[quantity])}, where=f"{quantity} < 1e32"
    )
    assert len(kept) == N.size - 1


def test_laying_out_a_plain_table_changes_nothing():
    table = open_table({"N": N, "D": D, "loss": LOSS, "tag": ["a", "b"] * 10}, "here", None)
    assert laid_out(table, {}) == (table, [])
