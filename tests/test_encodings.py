"""Tables in other encodings than UTF-8: the numbers are right, and the note or the refusal says what was taken."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

import lawful
from lawful.errors import InputError
from lawful.sources.encodings import NAMES, old_text, unicode_text

N, D, LOSS = 1e8 * np.arange(1, 7), 2e9 * np.array([1, 2, 3, 1, 2, 3]), 3.2 - 0.1 * np.arange(6)


def grouped(x: float, mark: str) -> str:
    return f"{x:,.0f}".replace(",", mark)


def scaled(x: float, unit: str) -> str:
    return f"{x / 1e8:g}{unit}"


HEADERS = {
    "cp1252": "modèle;Paramètres;jetons;perte",
    "mac_roman": "modèle;Paramètres;jetons;perte",
    "cp1250": "řeč;N;D;loss",
    "cp1251": "модель;N;D;loss",
    "koi8_r": "модель;N;D;loss",
    "cp932": "モデル;パラメータ数;学習トークン数;検証損失",
    "gb18030": "模型;参数量;训练词元;验证损失",
    "cp950": "模型;參數量;詞元數;驗證損失",
    "cp949": "모델;N;D;loss",
    "euc_jp": "モデル;パラメータ数;学習トークン数;検証損失",
}
UNITS = {"cp932": "億", "gb18030": "亿", "cp950": "億", "euc_jp": "億"}
MARKS = {"cp1252": "\xa0", "cp1250": "’", "cp1251": "\xa0", "mac_roman": "’"}


def table(code: str) -> bytes:
    header, *_ = [HEADERS[code]]
    label = header.partition(";")[0]

    def count(x: float) -> str:
        return scaled(x, UNITS[code]) if code in UNITS else grouped(x, MARKS.get(code, ","))

    rows = (f"{label};{count(n)};{count(d)};{x:.1f}" for n, d, x in zip(N, D, LOSS, strict=True))
    return "\n".join([header, *rows]).encode(code)


def read(folder: Path, data: bytes) -> lawful.Runs:
    path = folder / "runs.csv"
    path.write_bytes(data)
    return lawful.read_runs(path)


def same(runs: lawful.Runs) -> bool:
    return np.allclose([runs.N, runs.D, runs.L], [N, D, LOSS], rtol=1e-9)


@pytest.mark.parametrize("code", NAMES)
def test_numbers_are_right_and_the_encoding_is_said(code, tmp_path):
    runs = read(tmp_path, table(code))
    assert same(runs)
    notes = [note.message for note in runs.notes if note.code == "encoding"]
    assert len(notes) == 1
    # Labels alone tell neighbours apart by guess; names of quantities tell them for certain.
    assert NAMES[code] in notes[0] or code == "cp1250"


@pytest.mark.parametrize("code", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_unicode_needs_no_note(code, tmp_path):
    runs = read(tmp_path, table("gb18030").decode("gb18030").encode(code))
    assert same(runs)
    assert "encoding" not in {note.code for note in runs.notes}


def test_quotes_and_signs_of_windows_stand_around_numbers_and_in_them(tmp_path):
    rows = (f"“{n:.0f}”\t{d / 1e9:g}\xa0B\t{x:.1f}\xa0±\xa00.02\n" for n, d, x in zip(N, D, LOSS, strict=True))
    assert same(read(tmp_path, ("N\tD\tloss µ²\n" + "".join(rows)).replace(" µ²", "").encode("cp1252")))


def test_letters_of_labels_never_move_a_number(tmp_path):
    rng = random.Random(11)
    letters = [b for b in range(0x24, 0x100) if b not in b",;|"]
    outcomes = {True: 0, False: 0}
    for _ in range(60):
        names = [bytes(rng.choice(letters) for _ in range(6)) for _ in N]
        rows = (b"%s,%.0f,%.0f,%.1f\n" % (name, *one) for name, *one in zip(names, N, D, LOSS, strict=True))
        data = b"name,N,D,loss\n" + b"".join(rows)
        try:
            outcomes[True] += same(read(tmp_path, data))
        except InputError as error:
            assert "UTF-8" in str(error)  # noqa: PT017 - either is right
            outcomes[False] += 1
    assert sum(outcomes.values()) == 60
    assert outcomes[True] > 30


def test_a_name_that_is_two_quantities_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(
        "lawful.sources.encodings.quantity_named",
        lambda text: {"é": "params", "й": "tokens"}.get(text, ""),
    )
    with pytest.raises(InputError, match=r"'é' in Windows-1252 but 'й' in Windows-1251: save it as UTF-8, as `iconv"):
        read(tmp_path, "é,N,loss\n1,2,3\n".encode("cp1252"))


def test_damaged_utf8_is_refused(tmp_path):
    whole = "name,N,D,loss\né,1e8,2e9,3.1\nü,2e8,2e9,3.0\n".encode()
    with pytest.raises(InputError, match=r"is UTF-8 but for 1 of its 3 cells .*line 4"):
        read(tmp_path, whole + b"\xe9,3e8,2e9,2.9\n")


def test_long_lines_take_no_time():
    text, _ = old_text(Path("x"), b"a" * 300_000 + b"\xe9" + b"b" * 300_000)
    assert len(text) == 600_001
    assert unicode_text(b"N,D\n") is None


def test_the_first_letter_of_a_name_drops_no_run(tmp_path):
    rows = b"".join(b"#%d,%.0f,%.0f,%.1f\n" % one for one in zip(range(6), N, D, LOSS, strict=True))
    assert same(read(tmp_path, b"run,N,D,loss\n" + rows))
    assert same(read(tmp_path, b"run,N,D,loss\n" + rows.replace(b"#", b"") + b"# a, b, c, d\n"))


def test_several_files_say_each_encoding(tmp_path):
    for name, code in (("a.csv", "cp1252"), ("b.csv", "utf-8"), ("c.csv", "cp1252")):
        (tmp_path / name).write_bytes("modèle,N,D,loss\né,1e8,2e9,3.1\nè,2e8,2e9,3.0\n".encode(code))
    notes = [note for note in lawful.read_runs(str(tmp_path / "*.csv")).notes if note.code == "encoding"]
    assert ["a.csv" in notes[0].message, "c.csv" in notes[1].message, len(notes)] == [True, True, 2]
