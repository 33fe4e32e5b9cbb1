"""A bench for people and programs: the document, a figure, and the tables of a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lawful.core.render import markdown
from lawful.core.sheet import Cell, Sheet, row
from lawful.errors import InputError
from lawful.forecasting.bench import Bench, Row
from lawful.forecasting.ensemble import WIDTH
from lawful.forecasting.sets import BANDS, KINDS, SOURCES
from lawful.show.figures.axes import drawing, figure_of, new_axes, save_figures, style_axes
from lawful.show.figures.palette import LIGHT, Palette, font_size
from lawful.show.files.bundle import write_columns, write_document
from lawful.show.files.document import Document, strict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BENCH_SCHEMA = "lawful.bench/1"

BEGIN, END = "<!-- made by lawful bench -->", "<!-- end of what lawful bench made -->"
"""What stands around the tables of a page, which are written anew between them."""


def bench_document(found: Bench) -> Document:
    """Return what ``lawful bench --json`` prints (schema ``lawful.bench/1``); errors are fractions of the loss."""
    document: Document = strict(
        {
            "schema": BENCH_SCHEMA,
            "forecasters": list(found.forecasters),
            "rows": [_plain(one) for one in found.rows],
            "differences": [asdict(one) for one in differences(found)],
            "width": {
                "constants": asdict(WIDTH),
                "family_left_out": [one._asdict() for one in found.judged()],
            },
            "altered": list(found.altered),
        }
    )
    return document


def _plain(one: Row) -> dict[str, Any]:
    values = asdict(one)
    return {name: None if isinstance(v, float) and not isfinite(v) else v for name, v in values.items()}


def differences(found: Bench) -> list[Any]:
    """Paired differences of error and of interval score, for every split."""
    kinds = [kind for kind in KINDS if any(one.kind == kind for one in found.rows)]
    return [one for quantity in ("miss", "score90") for kind in kinds for one in found.paired(quantity, kind)]


def bench_sheets(found: Bench) -> tuple[Sheet, ...]:
    """Return the tables of a bench, with paired differences and the width judged on families left out."""
    return (*found.sheets(), *_difference_sheets(found), *_judged_sheets(found))


def _difference_sheets(found: Bench) -> tuple[Sheet, ...]:
    made = differences(found)
    if not made:
        return ()
    words = {"miss": "absolute error, points of %", "score90": "interval score"}
    rows = []
    for one in made:
        factor, (low, high) = 100.0 if one.quantity == "miss" else 1.0, one.interval
        value = Cell(factor * one.mean, "value", factor * low, factor * high)
        rows.append(row(one.forecaster, words[one.quantity], one.kind, value, Cell(float(one.sets), "integer")))
    title = f"Differences from {made[0].reference} on the public sets: above 0 {made[0].reference} is better."
    return (
        Sheet(
            title,
            columns=("forecaster", "quantity", "split", "difference", "sets"),
            rows=tuple(rows),
            interval="90% interval over families",
        ),
    )


def _judged_sheets(found: Bench) -> tuple[Sheet, ...]:
    judged = found.judged()
    if not judged:
        return ()
    rows = [
        row(
            one.set,
            Cell(float(one.runs), "integer"),
            Cell(one.coverage50, "rate"),
            Cell(one.coverage90, "rate"),
            Cell(one.score90, "value"),
        )
        for one in judged
    ]
    mean = [float(np.mean([getattr(one, name) for one in judged])) for name in ("coverage50", "coverage90", "score90")]
    rows.append(row("mean", None, Cell(mean[0], "rate"), Cell(mean[1], "rate"), Cell(mean[2], "value")))
    return (
        Sheet(
            "The width of auto on each public set, its constants derived without the family of that set.",
            columns=("set", "runs forecast", "in 50% intervals", "in 90% intervals", "interval score"),
            rows=tuple(rows),
        ),
    )


def registry_sheet() -> Sheet:
    """Return the public sets with their rows, licences and hashes."""
    rows = [
        row(one.name, Cell(float(one.rows), "integer"), one.file, one.licence, one.citation, one.sha256[:12] or "-")
        for one in SOURCES
    ]
    return Sheet(
        "The public sets.", columns=("set", "runs", "file", "licence", "citation", "SHA-256 begins"), rows=tuple(rows)
    )


def plot_bench(found: Bench, ax: Axes | None = None, *, palette: Palette = LIGHT) -> Axes:
    """
    Plot the mean absolute error on the public sets against the distance beyond the runs, one line per forecaster.

    Parameters
    ----------
    found : Bench
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.
    palette : Palette

    Returns
    -------
    matplotlib Axes
        Without public sets the simulated ones are drawn.

    Examples
    --------
    >>> from lawful.forecasting.bench import bench
    >>> from lawful.forecasting.sets import simulated_sets
    >>> found = bench(simulated_sets()[:1], ["chinchilla"], kinds=["3x", "10x"])
    >>> plot_bench(found).get_ylabel()
    'Absolute error of the loss (%)'
    """
    kinds = [kind for kind in BANDS if any(one.kind == kind for one in found.rows)]
    public = any(not one.simulated for one in found.rows)
    with drawing():
        ax = ax or new_axes(palette, (6.4, 3.6))
        for place, name in enumerate(found.forecasters):
            values = [list(found.values("miss", name, kind, public=public).values()) for kind in kinds]
            heights = [100 * float(np.mean(part)) if part else np.nan for part in values]
            color = palette.methods[place % len(palette.methods)][1]
            ax.plot(
                range(len(kinds)), heights, marker="o", color=color, linewidth=2.4 if place == 0 else 1.2, label=name
            )
        style_axes(ax, palette)
        ax.set_xticks(range(len(kinds)), [f"{kind} beyond" for kind in kinds], fontsize=font_size())
        ax.set_yscale("log")
        ax.set_ylabel("Absolute error of the loss (%)")
        ax.legend(fontsize=font_size(), frameon=False)
    return ax


def write_bench(folder: Path, found: Bench, *, with_figures: str = "png+svg") -> None:
    """Write ``bench.json``, ``bench.csv`` (a line per split), ``bench.md`` (the tables) and the figure."""
    names = [one.name for one in fields(Row)]
    write_columns(folder / "bench.csv", {name: np.array([getattr(one, name) for one in found.rows]) for name in names})
    (folder / "bench.md").write_text(markdown(*bench_sheets(found)) + "\n", encoding="utf-8")
    if with_figures != "none" and any(one.kind in BANDS for one in found.rows):
        figure = figure_of(plot_bench(found))
        save_figures(figure, folder, "bench", with_figures)
    write_document(folder / "bench.json", bench_document(found))


def write_page(path: str | Path, found: Bench) -> None:
    """
    Write the tables into a page, between the two marks that it holds.

    Raises
    ------
    InputError
        If there is no such page, or it has no marks.
    """
    page = Path(path)
    if not page.is_file():
        msg = f"There is no page {str(path)!r} to write the tables into."
        raise InputError(msg)
    text = page.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        msg = f"The page {str(path)!r} has no place for the tables: put the lines {BEGIN!r} and {END!r} where they go."
        raise InputError(msg)
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    made = markdown(*bench_sheets(found), registry_sheet())
    page.write_text(f"{before}{BEGIN}\n\n{made}\n\n{END}{after}", encoding="utf-8")


def load_forecaster(where: str) -> tuple[str, Any]:
    """
    Return a user's forecaster from ``file.py:function``, with its name.

    Raises
    ------
    InputError
        If there is no such file or function.
    """
    import runpy

    file, _, name = where.rpartition(":")
    if not file or not Path(file).is_file():
        msg = f"A forecaster of your own is FILE.py:FUNCTION, and {where!r} names no file."
        raise InputError(msg)
    function = runpy.run_path(file).get(name)
    if not callable(function):
        msg = f"The file {file!r} has no function {name!r}; define {name}(runs, params, tokens, levels) in it."
        raise InputError(msg)
    return name, function


def names_of(text: str) -> Sequence[str]:
    """Names separated by semicolons, since those of forecasters hold commas."""
    return tuple(part.strip() for part in text.split(";") if part.strip())
