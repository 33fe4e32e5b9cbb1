"""How a fit shows itself: one line, a text table, and the same table in HTML. Plain strings only."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from lawful.core.notes import Note

if TYPE_CHECKING:  # result.py calls this module, so the nouns are imported for the type checker only
    from lawful.estimate.result import Fit, FrontierFit

METHOD_TITLES = {
    "vpnls": "VPNLS (variable projection)",
    "approach1": "Approach 1 (lower envelope)",
    "approach2": "Approach 2 (IsoFLOP parabolas)",
    "approach3": "Approach 3 (all coefficients jointly)",
}

FORMULAS = {
    "chinchilla": "L(N, D) = E + A/N^alpha + B/D^beta",
    "skaling": "L(N, D) = E + (A/N^alpha + B/D^beta)^k",
    "nested": "L(N, D) = E + [(A/N^alpha)^(1/q) + (B/D^beta)^(1/q)]^q",
    "muennighoff": "L(N, D, U) = E + A/N'^alpha + B/D'^beta",
    "lovelace": "L(N, D, U) = E + A/N^alpha + B/D^beta + P R^delta (N/U)^kappa",
    "compute": "L(C) = E + A/C^alpha",
}

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


def standard_errors(fit: Fit) -> dict[str, float]:
    """
    Large-sample standard errors of the free coefficients (Huber's sandwich).

    With residual r, influence psi(r) and Jacobian J, the covariance is
    H^-1 S H^-1, H = Jᵀ diag(w psi') J and S = Jᵀ diag((w psi)²) J, times n/(n - p).
    It holds for every objective, and serves to round a printed number;
    :func:`lawful.bootstrap` gives the intervals. Pinned and zero coefficients have none.

    Returns
    -------
    dict of str to float
        Standard error by name; empty where the runs do not determine one.
    """
    law, k, runs, objective = fit.surface.law, dict(fit.surface.coefficients), fit.runs, fit.objective
    free = [n for n in law.names if n not in fit.fixed and k[n] > 0]
    if not free or len(runs) <= len(free):
        return {}
    gradient = law.slopes(k, *(runs.column(column) for column in law.columns))
    fitted = runs.L - fit.residuals
    residual, J = fit.residuals, np.column_stack([gradient[n] for n in free])
    if objective.is_log:
        residual, J = np.log(runs.L) - np.log(fitted), J / fitted[:, None]
    delta = objective.width or np.inf
    w, inside, psi = runs.weight, np.abs(residual) <= delta, np.clip(residual, -delta, delta)
    scale = np.linalg.norm(J, axis=0)  # columns differ by many decades; unit columns keep the inverse accurate
    if not (np.isfinite(scale) & (scale > 0)).all():
        return {}
    unit = J / scale
    bread = unit.T @ (unit * (w * inside)[:, None])
    if np.linalg.matrix_rank(bread, hermitian=True) < len(free):
        return {}
    half = np.linalg.solve(bread, unit.T * (w * psi))
    variance = (half**2).sum(axis=1) * len(runs) / (len(runs) - len(free))
    return dict(zip(free, map(float, np.sqrt(variance) / scale), strict=True))


def _line_errors(fit: FrontierFit) -> dict[str, float]:
    """Ordinary least-squares standard errors of the two lines; empty with fewer than three budgets."""
    n = len(fit.budgets)
    if n < 3:
        return {}
    x = np.log10(np.asarray(fit.budgets, float))
    spread = float(((x - x.mean()) ** 2).sum())
    errors: dict[str, float] = {}
    names = (("a", "log10_a0", fit.params), ("b", "log10_b0", fit.tokens))
    for slope, intercept, points in names:
        line = getattr(fit.frontier, intercept) + getattr(fit.frontier, slope) * x
        s2 = float(((np.log10(np.asarray(points, float)) - line) ** 2).sum()) / (n - 2)
        errors[slope] = float(np.sqrt(s2 / spread))
        errors[intercept] = float(np.sqrt(s2 * (1 / n + x.mean() ** 2 / spread)))
    return errors


def _fit_rows(fit: Fit) -> list[Row]:
    errors = standard_errors(fit)
    rows: list[Row] = []
    for name, value in fit.surface.coefficients.items():
        text, error = rounded(value, errors.get(name))
        rows.append((name, text, "fixed" if name in fit.fixed else error))
    if fit.surface.law.terms is not None:
        frontier = fit.frontier
        rows += [(name, rounded(getattr(frontier, name))[0], "") for name in ("a", "b")]
    return rows


def _frontier_rows(fit: FrontierFit) -> list[Row]:
    errors = _line_errors(fit)
    return [(name, *rounded(value, errors.get(name))) for name, value in fit.frontier.to_dict().items()]


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _fit_sentences(fit: Fit) -> list[str]:
    law = fit.surface.law.name
    title = METHOD_TITLES.get(fit.method, fit.method)
    return [
        f"{title} fit of the {law} law to {_plural(len(fit.runs), 'run')}: {fit.status.key.replace('_', ' ')}.",
        fit.status.value,
        f"{FORMULAS.get(law, law)}, {fit.surface.cost.convention}",
    ]


def _frontier_sentences(fit: FrontierFit) -> list[str]:
    title = METHOD_TITLES.get(fit.method, fit.method)
    state = fit.status.key.replace("_", " ")
    count = f"{_plural(len(fit.runs), 'run')} at {_plural(len(fit.budgets), 'budget')}"
    ending = {"converged": "Two straight lines of logarithms; there is no loss surface."}
    return [
        f"{title} fit of the frontier to {count}: {state}.",
        ending.get(fit.status.key, fit.status.value),
        "N* = 10^log10_a0 C^a, D* = 10^log10_b0 C^b",
    ]


def _footer(fit: Fit) -> str:
    return f"{fit.objective}: {fit.value:.6g} per run; RSS {fit.rss:.4g}."


def _text(sentences: Sequence[str], rows: Sequence[Row], footer: str, notes: Sequence[Note]) -> str:
    table = [HEADS, *rows]
    name, value, error = (max(len(row[i]) for row in table) for i in range(3))
    body = [f"  {r[0]:<{name}}  {r[1]:>{value}}  {r[2]:>{error}}".rstrip() for r in table]
    said = [f"- {note.code}: {note.message}" for note in notes]
    parts = [
        "\n".join(sentences),
        "\n".join(body),
        footer,
        "\n".join(["Notes:", *said]) if said else "",
    ]
    return "\n\n".join(part for part in parts if part)


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


def fit_sentences(fit: Fit | FrontierFit) -> list[str]:
    """Return what was fitted, how it ended, and the formula."""
    from lawful.estimate.result import Fit  # at module level this would be a circle

    return _fit_sentences(fit) if isinstance(fit, Fit) else _frontier_sentences(fit)


HEADS = ("", "value", "std. error")


def fit_line(fit: Fit) -> str:
    """Return the one-line form of a surface fit, its ``repr``."""
    values = ", ".join(f"{name}={value:.4g}" for name, value in fit.surface.coefficients.items())
    return f"Fit({fit.method}, {fit.surface.law.name}, {len(fit.runs)} runs, {fit.status.key}: {values})"


def fit_text(fit: Fit) -> str:
    """Return a status sentence, the coefficients rounded by their uncertainty, and the notes."""
    return _text(_fit_sentences(fit), _fit_rows(fit), _footer(fit), fit.notes)


def fit_html(fit: Fit) -> str:
    """Return what :func:`fit_text` says, as an HTML fragment for notebooks."""
    rows = _fit_rows(fit)
    return table_html(_fit_sentences(fit), HEADS, rows, _footer(fit), fit.notes, caption="Coefficients")


def frontier_line(fit: FrontierFit) -> str:
    """Return the one-line form of a frontier fit, its ``repr``."""
    values = ", ".join(f"{name}={value:.4g}" for name, value in fit.frontier.to_dict().items())
    return f"FrontierFit({fit.method}, {len(fit.runs)} runs, {len(fit.budgets)} budgets, {fit.status.key}: {values})"


def frontier_text(fit: FrontierFit) -> str:
    """Return a status sentence, the two lines rounded by their uncertainty, and the notes."""
    return _text(_frontier_sentences(fit), _frontier_rows(fit), "", fit.notes)


def frontier_html(fit: FrontierFit) -> str:
    """Return what :func:`frontier_text` says, as an HTML fragment for notebooks."""
    rows = _frontier_rows(fit)
    return table_html(_frontier_sentences(fit), HEADS, rows, "", fit.notes, caption="Lines")
