"""How a fit shows itself: one line, a text table, and the same table in HTML. Plain strings only."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from lawful.core.notes import Note

if TYPE_CHECKING:  # result.py calls this module, so the nouns are imported for the type checker only
    pass

MAX_DIGITS = 6
"""Significant digits shown at most: noise-free fits have errors near rounding."""

PLAIN_DIGITS = 4
"""Significant digits of a number without an uncertainty."""

Row = tuple[str, str, str]


def rounded(value: float, error: float | None = None) -> tuple[str, str]:
    """
    Write a number with as many digits as its uncertainty leaves, and the uncertainty with two.

    Parameters
    ----------
    value : float
        The number.
    error : float, optional
        Its standard error, > 0; without one, four significant digits are shown.

    Returns
    -------
    value, error : str
        Text of both; an unknown error is an empty string.

    Examples
    --------
    >>> rounded(0.604713, 0.0213)
    ('0.605', '0.021')
    >>> rounded(2085.43, 1290.0)
    ('2100', '1300')
    >>> rounded(0.31)
    ('0.31', '')
    """
    if not np.isfinite(value):
        return "none", ""
    if error is None or not np.isfinite(error) or error <= 0:
        return f"{value:.{PLAIN_DIGITS}g}", ""
    place = int(np.floor(np.log10(float(f"{error:.1e}")))) - 1
    if value != 0:
        place = max(place, int(np.floor(np.log10(abs(value)))) - MAX_DIGITS + 1)
    if place < 0:
        small = f"{error:.{-place}f}"
        return f"{value:.{-place}f}", small if float(small) > 0 else f"{error:.1e}"
    return f"{round(value, -place):.0f}", f"{round(error, -place):.0f}"


def table_html(
    sentences: Sequence[str],
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    footer: str,
    notes: Sequence[Note],
    *,
    caption: str,
) -> str:
    """
    Return a result as an HTML fragment for notebooks: sentences, one table, a footer and the notes.

    Every text is escaped, whoever wrote it.

    Parameters
    ----------
    sentences : sequence of str
        The first is emphasised.
    heads : sequence of str
        One per column; the first column names its row and may go without.
    rows : sequence of sequence of str
        Cells.
    footer : str
        A sentence under the table; may be empty.
    notes : sequence of Note
        What the reader should know.
    caption : str
        What the table holds.

    Examples
    --------
    >>> text = table_html(["All <fine>."], ("", "value"), [("alpha", "0.31")], "", (), caption="Coefficients")
    >>> "<strong>All &lt;fine&gt;.</strong>" in text, "<script" in text
    (True, False)
    """
    head = "".join(f"<th scope='col'>{escape(h)}</th>" if h else "<td></td>" for h in heads)
    cells = "\n".join(
        f"<tr><th scope='row' style='text-align: left'>{escape(r[0])}</th>"
        + "".join(f"<td style='text-align: right'>{escape(cell)}</td>" for cell in r[1:])
        + "</tr>"
        for r in rows
    )
    said = "\n".join(f"<li><code>{escape(n.code)}</code>: {escape(n.message)}</li>" for n in notes)
    first, *rest = (escape(s) for s in sentences)
    parts = [
        "<div class='lawful-fit'>",
        f"<p>{'<br>'.join([f'<strong>{first}</strong>', *rest])}</p>",
        f"<table>\n<caption>{escape(caption)}</caption>\n<thead><tr>{head}</tr></thead>",
        f"<tbody>\n{cells}\n</tbody>\n</table>",
        f"<p>{escape(footer)}</p>" if footer else "",
        f"<ul>\n{said}\n</ul>" if said else "",
        "</div>",
    ]
    return "\n".join(part for part in parts if part)


def counted(value: float) -> str:
    """
    Write a count of parameters or tokens with three digits.

    Examples
    --------
    >>> counted(622e9), counted(16.4)
    ('6.22e+11', '16.4')
    """
    return f"{value:.3g}" if np.isfinite(value) else "none"


def between(value: float, low: float, high: float) -> tuple[str, str]:
    """
    Write a number with the digits that its interval leaves, and the interval.

    Examples
    --------
    >>> between(0.31004, 0.29571, 0.32544)
    ('0.3100', '0.2957 to 0.3254')
    >>> between(0.31, float("nan"), float("nan"))
    ('0.31', '')
    """
    if not (np.isfinite(low) and np.isfinite(high)):
        return rounded(value)[0], ""
    error = (high - low) / 4
    return rounded(value, error)[0], f"{rounded(low, error)[0]} to {rounded(high, error)[0]}"
