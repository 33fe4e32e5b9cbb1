"""Bytes of a table as text: Unicode in any of its forms, and older encodings, where no number depends on which."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from lawful.core.notes import Note
from lawful.data.columns import listed
from lawful.data.layout import quantity_named
from lawful.data.units import number_of, split_header
from lawful.errors import InputError

NAMES = {
    "cp1252": "Windows-1252",
    "mac_roman": "Mac Roman",
    "cp1250": "Windows-1250",
    "cp1251": "Windows-1251",
    "koi8_r": "KOI8-R",
    "cp932": "Shift-JIS",
    "cp949": "EUC-KR",
    "gb18030": "GB18030",
    "cp950": "Big5",
    "euc_jp": "EUC-JP",
}
"""Encodings that tables come in beside Unicode, in the order in which they are taken where nothing tells."""

MARKS = ((b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
"""Marks at the beginning of Unicode in four bytes and in two; the first of both begin alike."""

MOST_SHAPES = 2000
"""Cells that differ in more than their digits, by which an encoding is told."""

_SEPARATORS = re.compile(rb"[,;\t\r\n]")
"""What stands between cells; none of them is a part of a letter in any of the encodings."""

LONGEST = 200
"""Letters of a cell from which it is a remark, and neither a number nor a name."""

_PIECES = re.compile(r'[|&{}":]+')
"""What else stands between a name and its value."""


class Sense(NamedTuple):
    """What a cell says that a fit would use: a number, or the name of a quantity and its unit."""

    number: float | None
    name: tuple[str, float]


NOTHING = Sense(None, ("", 1.0))


def unicode_text(data: bytes) -> str | None:
    """
    Decode Unicode of two or four bytes a letter, with its mark at the beginning or without; None of all else.

    Examples
    --------
    >>> unicode_text("N,loss".encode("utf-32-be")), unicode_text("N,loss".encode("utf-16")), unicode_text(b"N,loss")
    ('N,loss', 'N,loss', None)
    """
    codes = [code for mark, code in MARKS if data.startswith(mark)]
    if not codes and b"\0" in data[:MOST_HEAD]:
        codes = ["utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be"]
    for code in codes:
        with suppress(UnicodeDecodeError):
            found = data.decode(code)
            kinds = {unicodedata.category(letter) for letter in set(found) - set("\t\r\n\v\f\ufeff")}
            # In another order of bytes most letters are ones that nobody has written yet.
            if not kinds & {"Cc", "Cn", "Co", "Cs"}:
                return found
    return None


MOST_HEAD = 2**16
"""Bytes at the beginning of a file in which text of two bytes a letter has a zero: that of its first separator."""


def old_text(path: Path, data: bytes) -> tuple[str, Note]:
    r"""
    Decode text that is no Unicode, where every encoding that it may be in gives one and the same numbers.

    The names of quantities tell it, then how likely its letters are.

    Parameters
    ----------
    path : Path
        For messages.
    data : bytes
        No UTF-8.

    Returns
    -------
    text : str
    note : Note
        Which encoding was taken, and what hangs on it.

    Raises
    ------
    InputError
        If most of it is UTF-8, it is in none of the encodings, or what they make of its names or numbers differs.

    Examples
    --------
    >>> text, note = old_text(Path("runs.csv"), "modèle,N,D,loss\nété,1e8,2e9,3.1\n".encode("cp1252"))
    >>> text.split(",")[0], note.message
    ('modèle', "'runs.csv' is not UTF-8 and was read as Windows-1252; only the spelling of labels depends on that.")
    """
    cells = [cell for cell in dict.fromkeys(_SEPARATORS.split(data)) if not cell.isascii()]
    whole = sum(map(_is_utf8, cells))
    line = data.count(b"\n", 0, _first_broken(data)) + 1
    if 2 * whole >= len(cells):
        msg = (
            f"{str(path)!r} is UTF-8 but for {len(cells) - whole} of its {len(cells)} cells of other letters (first: "
            f"line {line}), so it is damaged or was joined from files of two encodings; save all of it as UTF-8."
        )
        raise InputError(msg)
    read = {code: found for code in NAMES if (found := _decoded(cells, code)) is not None}
    if not read:
        msg = f"{str(path)!r} is not UTF-8 text (line {line}), nor in another encoding of text; save it as UTF-8."
        raise InputError(msg)
    shapes = {re.sub(rb"[0-9]+", b"0", cell): i for i, cell in reversed(list(enumerate(cells)))}
    first = sorted(shapes.values())[:MOST_SHAPES]
    few = {code: [texts[i] for i in first] for code, texts in read.items()}
    said = {code: [_meaning(text) for text in texts] for code, texts in few.items()}
    telling = {code: _telling(found) for code, found in said.items()}
    best = [code for code in said if telling[code] == max(telling.values())]
    chosen = max(best, key=lambda code: _at_home(few[code], code))
    _require_one_reading(path, chosen, best, few, said)
    named = [text for text, one in zip(few[chosen], said[chosen], strict=True) if one.name[0]]
    spelt = "only the spelling of labels depends"
    if named:
        spelt = f"only the names {listed(map(repr, named), 4)} and the spelling of labels depend"
    text = f"{str(path)!r} is not UTF-8 and was read as {NAMES[chosen]}; {spelt} on that."
    return data.decode(chosen), Note("encoding", text)


def _require_one_reading(
    path: Path, chosen: str, best: Sequence[str], texts: Mapping[str, list[str]], said: Mapping[str, list[Sense]]
) -> None:
    """Refuse cells that are another number in another encoding, or another name in one that names as much."""
    for code in said:
        for here, there, mine, other in zip(said[chosen], said[code], texts[chosen], texts[code], strict=True):
            numbers = here.number is not None and there.number is not None and here.number != there.number
            names = code in best and here.name != there.name
            if numbers or names:
                msg = (
                    f"{str(path)!r} is not UTF-8, and a cell of it is {mine!r} in {NAMES[chosen]} but {other!r} in "
                    f"{NAMES[code]}: save it as UTF-8, as `iconv -f {chosen} -t utf-8 {path.name}` does of the former."
                )
                raise InputError(msg)


def _is_utf8(cell: bytes) -> bool:
    with suppress(UnicodeDecodeError):
        cell.decode()
        return True
    return False


def _first_broken(data: bytes) -> int:
    try:
        data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return error.start
    return 0


_NO_LETTERS = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2500-\u259f\ue000-\uf8ff]")
"""Signs that no table has in its cells: those that steer terminals, boxes, and those of private use."""


def _decoded(cells: Sequence[bytes], code: str) -> list[str] | None:
    """Cells as text; None where they are none in this encoding."""
    try:
        found = [cell.decode(code) for cell in cells]
    except UnicodeDecodeError:
        return None
    return None if any(map(_NO_LETTERS.search, found)) else found


def _meaning(text: str) -> Sense:
    for piece in filter(str.strip, _PIECES.split(text) if len(text) < LONGEST else ()):
        number = number_of(piece)
        number = number_of(piece, decimal=",") if number is None else number
        quantity = quantity_named(piece)
        if number is not None or quantity:
            scale = next((unit.scale for _, unit in split_header(piece)), 1.0)
            return Sense(number, (quantity, scale if quantity else 1.0))
    return NOTHING


def _telling(said: Sequence[Sense]) -> tuple[int, int]:
    """How many quantities are named, and how many cells are numbers or names."""
    return len({one.name[0] for one in said} - {""}), sum(one != NOTHING for one in said)


_BEYOND = re.compile(r"[^\0-\x7f]")
MOST_LETTERS = 5000
"""Letters beyond ASCII by which an encoding is judged."""

_SIGNS = "µ²³¹°±×’‘“”„–—…€·«»½¼¾§†‡•\N{NO-BREAK SPACE}"
_LEVEL_ONE = {"gb18030": ("gb2312", 0xA1, 0xD7), "cp950": ("big5", 0xA1, 0xC6), "euc_jp": ("euc_jp", 0xA1, 0xCF)}
_LEVEL_ONE["cp932"] = _LEVEL_ONE["euc_jp"]
"""Where the common letters of an encoding stand, by the first of their bytes."""


def _at_home(texts: Sequence[str], code: str) -> float:
    """Share of the letters beyond ASCII that a text in this encoding is likely to have where they stand."""
    found = ((text, match.start()) for text in texts for match in _BEYOND.finditer(text))
    fits = [_fits(text, i, code) for text, i in islice(found, MOST_LETTERS)]
    return sum(fits) / max(len(fits), 1)


def _fits(text: str, i: int, code: str) -> bool:
    letter, before, after = text[i], text[i - 1 : i] if i else "", text[i + 1 : i + 2]
    if code in ("cp932", "gb18030", "cp950", "cp949", "euc_jp"):
        inside = before.isascii() and before.isalpha() and after.isascii() and after.isalpha()
        return not inside and _is_common(letter, code)
    small = not (letter.isupper() and before.isalpha())
    if code in ("cp1251", "koi8_r"):
        near = any("\u0400" <= other <= "\u04ff" for other in (before, after) if other)
        return ("\u0400" <= letter <= "\u04ff" and near and small) or (code == "cp1251" and letter in _SIGNS)
    crowd = bool(before and after) and not (before.isascii() or after.isascii())
    return letter in _SIGNS or (letter.isalpha() and ord(letter) < 0x180 and small and not crowd)


def _is_common(letter: str, code: str) -> bool:
    if code == "cp949":
        return "\uac00" <= letter <= "\ud7a3"
    if "\uff61" <= letter <= "\uff9f":
        return False  # kana of half the width are what other encodings look like in Shift-JIS
    if "\u3040" <= letter <= "\u30ff":
        return code in ("cp932", "euc_jp")  # Chinese encodings have kana, and Chinese text has none
    plain, first, last = _LEVEL_ONE[code]
    with suppress(UnicodeEncodeError):
        return first <= letter.encode(plain)[0] <= last
    return False
