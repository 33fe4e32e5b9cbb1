"""One sheet per record: the same digits in text, terminal, notebook, Markdown, report and frame, for every record."""

from __future__ import annotations

import dataclasses
import html as html_lib
import importlib
import io
import math
import pkgutil
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import lawful
from lawful.analysis.influence import influence
from lawful.analysis.predictions import predict_points
from lawful.analysis.ranked import rank_laws
from lawful.core.cost import Cost
from lawful.core.render import columns, grid, html, markdown, page_rows, terminal, text
from lawful.core.sheet import FORMATS, KINDS, Cell, Sheet, row
from lawful.core.shown import MOST_CHARACTERS, Shown
from lawful.decide.constraints import Constraints, optimise
from lawful.decide.curves import speedup_curves
from lawful.decide.indifference import indifference
from lawful.design.plan import Plan, study_surface
from lawful.design.rehearsal import check_plan
from lawful.estimate.grouped import fit_groups
from lawful.forecasting.bench import bench, simulated_sets
from lawful.forecasting.floors import floors
from lawful.forecasting.forecast import forecast, score
from lawful.show.report.report import report_html
from lawful.trust.coverage import coverage
from lawful.trust.dial import asymptote_dial
from lawful.trust.fitness import lack_of_fit
from lawful.uncertainty.bootstrap import bootstrap
from lawful.uncertainty.delta import delta
from lawful.uncertainty.profile import profile

SUFFIX = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12, "%": 1e-2}
NUMBER = r"[+-]?\d+(?:\.\d+)?(?:e-?\d+)?[KMBT%]?"


@pytest.fixture(scope="module")
def sweep() -> tuple[Any, Any]:
    truth = study_surface("chinchilla")
    plan = Plan.isoflop([1e18, 1e19, 1e20, 1e21], 7, surface=truth)
    return truth, lawful.simulate(truth, plan, noise=0.01, seed=1)


@pytest.fixture(scope="module")
def analysis(sweep: tuple[Any, Any]) -> Any:
    return lawful.analyse(sweep[1], budgets=[1e23])


@pytest.fixture(scope="module")
def records(sweep: tuple[Any, Any], analysis: Any) -> dict[str, Any]:
    """One of every record that shows itself."""
    truth, runs = sweep
    fit = analysis.fit
    (made,) = forecast(fit, [1e22])
    planned = lawful.plan([1e18, 1e19, 1e20], target=1e22, prior=truth, total_flops=1e21)
    (speedup,) = lawful.speedup(fit, fit, [1e22], draws=20)
    found = [
        analysis, analysis.average, fit, analysis.isoflop, analysis.sure, analysis.allocations[0], bootstrap(fit, 100),
        delta(fit), profile(fit, "alpha"), asymptote_dial(fit, 1e23, points=5),
        lack_of_fit(fit), coverage(fit, repeats=10, draws=0), indifference(fit, 1e23),
        optimise(fit, budget=1e22, constraints=Constraints(unique_tokens=1e11)), speedup,
        lawful.deadweight(fit, analysis.isoflop, 1e23, draws=50), made, score(made, 2.0), planned,
        check_plan(planned, studies=20), lawful.check(runs), lawful.conventions(runs, budgets=[1e22]),
        lawful.audit(runs, methods=["vpnls", "approach2"], last=1, draws=20), lawful.bias(truth, runs),
        lawful.look({"N": runs.N, "D": runs.D, "loss": runs.L}),
        lawful.next_run(
            {"params": runs.N, "tokens": runs.D, "loss": runs.L},
            {"params": np.tile([5e8, 2e9, 4e9], 2), "tokens": np.repeat([2e10, 1e11], 3)},
            cost="6*params*tokens", target={"params": [1e10], "tokens": [2e11]}, spend=3e21,
        ),
        speedup_curves(
            {
                "old": {"compute": [1e18, 1e19, 1e20, 1e21], "loss": [3.522, 3.154, 2.848, 2.599]},
                "new": {"compute": [1e18, 1e19, 1e20, 1e21], "loss": [3.482, 3.116, 2.812, 2.569]},
            },
            [1e21],
        ),
        floors({"compute": np.geomspace(1e18, 1e20, 5), "loss": [3.52, 3.33, 3.15, 3.0, 2.85]}, values=[1.5]),
        bench(simulated_sets()[:1], ["chinchilla"], kinds=["top quarter"]),
        influence(fit, 1e23),
        predict_points(analysis, {"name": ["small", "large"], "N": [1e9, 7e9], "C": [1e21, 1e22]}),
        fit_groups({"web": runs, "code": runs.take(np.arange(len(runs)) % 2 == 0)}, by="data", share=["alpha"]),
        rank_laws(
            {"params": runs.N, "tokens": runs.D, "loss": runs.L},
            ["loss = E + A/params^p", "loss = E + A/params^p + B/tokens^q"],
        ),
    ]  # fmt: skip
    return {type(record).__name__: record for record in found}


def shown_classes() -> set[str]:
    """Names of all records that show themselves, wherever they are defined."""
    for module in pkgutil.walk_packages(lawful.__path__, "lawful."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)

    def below(cls: type) -> Iterator[type]:
        for child in cls.__subclasses__():
            yield child
            yield from below(child)

    return {cls.__name__ for cls in below(Shown) if cls.__module__.startswith("lawful.")}


def read(number: str) -> float:
    """Read a number as people write it."""
    return float(number[:-1]) * SUFFIX[number[-1]] if number[-1] in SUFFIX else float(number)


def half_unit(number: str) -> float:
    """Half a unit of the last digit that a number shows."""
    digits, exponent = re.fullmatch(r"[+-]?([\d.]+)(?:e(-?\d+))?[KMBT%]?", number).groups()
    scale = SUFFIX.get(number[-1], 1.0) * 10.0 ** int(exponent or 0)
    whole, _, decimals = digits.partition(".")
    # Trailing zeros of a whole number may be rounding: 390 is a number to tens.
    unit = 10.0 ** -len(decimals) if decimals else 10.0 ** (len(whole) - len(whole.rstrip("0")) if int(whole) else 0)
    return 0.5 * unit * scale


def agrees(shown: str, value: float) -> bool:
    """Whether a shown number is the rounding of a value."""
    return abs(read(shown) - value) <= half_unit(shown) * (1 + 1e-9) + 1e-12 * abs(value)


def test_there_is_one_of_every_record(records: dict[str, Any]) -> None:
    assert set(records) == shown_classes()


def test_one_fit_has_the_same_numbers_everywhere(analysis: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Terminal, notebook, Markdown, printed text, frame and report, number by number."""
    from lawful.cli.terminal import show

    show(analysis.sheets())
    printed = capsys.readouterr().out
    outputs = {
        "terminal": [line.split("  ") for line in printed.splitlines()],
        "text": [line.split("  ") for line in str(analysis).splitlines()],
        "fit": [line.split("  ") for line in str(analysis.fit).splitlines()],
        "markdown": [line.strip("| ").split("|") for line in markdown(*analysis.sheets()).splitlines()],
        "notebook": cells_of_html(analysis._repr_html_()),
        "report": cells_of_html(report_html(analysis)),
    }
    rows = {where: tabled(lines) for where, lines in outputs.items()}
    frame = analysis.to_frame()
    assert frame["table"].nunique() == 3  # the average, the coefficients, the budget
    coefficients = analysis.fit.sheets()[0].rows
    assert [name.text for name, _ in coefficients] == ["E", "A", "B", "alpha", "beta", "a", "b"]
    told = frame[frame["table"] == analysis.sheets()[1].title]
    for (name, cell), (_, line) in zip(coefficients, told.iterrows(), strict=True):
        assert line["name"] == name.text
        low, high = cell.span.split(" to ")
        for shown, value in zip((cell.text, low, high), line[["value", "value_low", "value_high"]], strict=True):
            assert agrees(shown, value), (name.text, shown, value)
        for where, found in rows.items():
            assert [cell.text, cell.span] in found[name.text], (where, name.text, found[name.text], str(cell))
    page = html_lib.unescape(re.sub(r"<[^>]+>", " ", report_html(analysis)))
    # The average of laws leads; the one law follows it.
    for i, best in enumerate((*analysis.average.outlooks, *analysis.allocations)):
        words = {"parameters N*": best.params, "tokens D*": best.tokens, "loss L*": best.loss}
        for name, value in words.items():
            shown = rows["text"][name][i]
            assert agrees(shown[0], value)
            for where in ("terminal", "markdown", "notebook"):
                assert rows[where][name][i] == shown, where
            assert re.search(rf"{re.escape(shown[0])}\s+{re.escape(shown[1])}", page), name


def cells_of_html(page: str) -> list[list[str]]:
    """Rows of the tables of a page, each the texts of its cells; small print is a cell of its own."""
    found = []
    for line in re.findall(r"<tr>(.*?)</tr>", page, flags=re.DOTALL):
        cells = re.split(r"</t[hd]>|<small>", line)
        found.append([html_lib.unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in cells])
    return found


def tabled(lines: list[list[str]]) -> dict[str, list[list[str]]]:
    """By the first cell of a line, all pairs of neighbouring cells in it, over all lines that begin so."""
    rows: dict[str, list[list[str]]] = {}
    for line in lines:
        cells = [cell.strip() for cell in line if cell.strip()]
        if len(cells) > 2:
            rows.setdefault(cells[0], []).extend(map(list, pairwise(cells[1:])))
    return rows


@pytest.mark.parametrize("name", sorted(shown_classes()))
def test_every_render_of_a_record_holds_every_cell(records: dict[str, Any], name: str) -> None:
    record = records[name]
    said, page, marked, frame = str(record), record._repr_html_(), markdown(*record.sheets()), record.to_frame()
    assert len(frame) == sum(len(sheet.rows) for sheet in record.sheets())
    for sheet in record.sheets():
        _, rows, _ = grid(sheet)
        for cells in rows:
            for cell in cells:
                assert cell in said
                assert html_lib.escape(cell) in page
                assert cell.replace("|", "\\|") in marked


@pytest.mark.parametrize("name", sorted(shown_classes()))
def test_every_number_of_a_record_is_the_rounding_of_its_value(records: dict[str, Any], name: str) -> None:
    for sheet in records[name].sheets():
        for cell in (cell for cells in sheet.rows for cell in cells):
            if not isinstance(cell.value, (int, float)) or isinstance(cell.value, bool) or math.isnan(cell.value):
                continue
            shown = cell.text.removesuffix(" !").removeprefix("$")
            if re.fullmatch(NUMBER, shown):
                assert agrees(shown, cell.value), (sheet.title, cell)
            else:
                assert shown in ("never", "-") or "<" in shown, cell


@pytest.mark.parametrize("name", sorted(shown_classes()))
def test_repr_is_one_line(records: dict[str, Any], name: str) -> None:
    """Of the record and of every record in it."""
    for record in inside(records[name]):
        line = repr(record)
        assert "\n" not in line, type(record)
        assert len(line) <= 200, (type(record), line)


def inside(record: Any) -> Iterator[Any]:
    """A record and the records in it, however deep."""
    if dataclasses.is_dataclass(record):
        yield record
        for one in dataclasses.fields(record):
            yield from inside(getattr(record, one.name))
    elif isinstance(record, tuple):
        for item in record:
            yield from inside(item)


def test_a_bootstrap_of_many_draws_is_one_line(analysis: Any) -> None:
    assert len(repr(bootstrap(analysis.fit, 2000))) <= MOST_CHARACTERS


@pytest.mark.parametrize("name", sorted(shown_classes()))
def test_no_number_in_a_sentence_is_in_another_notation(records: dict[str, Any], name: str) -> None:
    for sheet in records[name].sheets():
        for said in (sheet.title, *sheet.sentences, *sheet.closing, *(note.message for note in sheet.notes)):
            assert not re.search(r"\de[+]\d|\de-0\d", said), said


class TestCell:
    @pytest.mark.parametrize(
        ("cell", "shown", "span"),
        [
            (Cell(399.68, "value", 0.0, 6.75e13), "400", "0 to 6.75e13"),
            (Cell(3.4e18, "value", -1.4e20, 1.4e20), "3.4e18", "-1.4e20 to 1.4e20"),
            (Cell(0.0, "share"), "0%", ""),
            (Cell(1e-9, "share"), "< 0.001%", ""),
            (Cell(589.3e9, "count", 425e9, 814e9), "589B", "425B to 814B"),
            (Cell(3.8e25, "flops"), "3.8e25", ""),
            (Cell(math.inf, "ratio"), "never", ""),
            (Cell(1.7, "nats", math.nan, math.nan), "1.700", ""),
            (Cell(1.7, "nats", 1.62, math.inf), "1.70", "1.62 or more"),
            (Cell(1.7, "nats", -math.inf, 1.78), "1.70", "1.78 or less"),
            (Cell(0.6, "exponent", held=True), "0.6000", "fixed"),
            (Cell(None, "nats", 2.112, 2.234), "", "2.11 to 2.23"),
            (Cell(None), "-", ""),
            (Cell(math.nan), "-", ""),
            (Cell(True), "yes", ""),
            (Cell("as it is", "text"), "as it is", ""),
            (Cell(0.84, "rate", mark=True), "84.0% !", ""),
            (Cell(1234.0, "dollars"), "$1.23K", ""),
        ],
    )
    def test_text_and_span(self, cell: Cell, shown: str, span: str) -> None:
        assert (cell.text, cell.span) == (shown, span)

    @pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "text"])
    @pytest.mark.parametrize("value", [1e-10, 1e-7, 0.04, 1.0, 399.68, 999.7e9, 3.4e18, 6e40])
    @pytest.mark.parametrize("width", [0.0, 1e-9, 1.0, 1e12, 1e60])
    def test_no_kind_writes_a_value_as_zero(self, kind: str, value: float, width: float) -> None:
        cell = Cell(value, kind, value - width, value + width)
        assert kind in ("integer", "rate") or re.search("[1-9]", cell.text), cell

    def test_every_kind_has_a_format(self) -> None:
        assert all(isinstance(write(0.5), str) for write in FORMATS.values())


class TestRender:
    sheet = Sheet(
        "Title | bar.", ("Said.",), ("", "value", "word"),
        (row("E", Cell(1.69, "nats", 1.6, 1.8), "yes"), row("A", Cell(400.0, held=True), "no")),
        "90% interval", ("End.",),
    )  # fmt: skip

    def test_a_column_with_intervals_is_followed_by_them(self) -> None:
        heads, rows, numbers = grid(self.sheet)
        assert heads == ["", "value", "90% interval", "word"]
        assert rows == [["E", "1.69", "1.60 to 1.80", "yes"], ["A", "400.0", "fixed", "no"]]
        assert numbers == [False, True, True, False]

    def test_without_a_head_an_interval_stands_in_brackets(self) -> None:
        assert grid(dataclasses.replace(self.sheet, interval=""))[1][0][1] == "1.69 (1.60 to 1.80)"
        assert grid(dataclasses.replace(self.sheet, interval=None))[1][0][1] == "1.69"

    def test_columns_are_unrounded(self) -> None:
        found = columns(self.sheet)
        assert found["value"] == [1.69, 400.0]
        assert found["value_low"][0] == 1.6
        assert np.isnan(found["value_low"][1])
        assert found["value_held"] == [False, True]

    def test_a_bar_in_markdown_is_escaped(self) -> None:
        assert "a \\| b" in markdown(Sheet("T", (), ("", "x"), (row("a | b", 1.0),)))

    def test_a_page_sets_the_interval_in_small_print(self) -> None:
        assert page_rows(self.sheet)[0]["value"] == ("1.69", "1.60 to 1.80")

    def test_the_terminal_wraps_no_number(self) -> None:
        from rich.console import Console

        console = Console(file=io.StringIO(), width=40)
        for part in terminal(self.sheet):
            console.print(part)
        assert "1.60 to 1.80" in console.file.getvalue()

    def test_sheets_follow_each_other(self) -> None:
        assert text(Sheet("One."), Sheet("Two.")) == "One.\n\nTwo."
        assert html(Sheet("One."), Sheet("Two.")).count("<p>") == 2

    def test_a_frame_of_two_tables_names_them(self) -> None:
        class Two(Shown):
            def sheets(self) -> tuple[Sheet, ...]:
                return self.one, dataclasses.replace(self.one, title="Other.")

            one = self.sheet

        assert Two().to_frame()["table"].tolist() == ["Title | bar."] * 2 + ["Other."] * 2


def test_money_is_written_like_counts() -> None:
    assert Cell(float(Cost().dollars(1e24)), "dollars").text == "$1.12M"
