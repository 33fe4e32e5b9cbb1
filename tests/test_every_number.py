"""Every number that a render of one fit shows is, as text, a number of its sheets; what is not is listed here."""

from __future__ import annotations

import html as html_lib
import math
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

import lawful
from lawful.analysis.evidence import Evidence, gather
from lawful.core.render import markdown
from lawful.core.sheet import Cell, Sheet, row
from lawful.design.plan import Plan, study_surface
from lawful.forecasting.averaged import records_sheet
from lawful.show.bias import bias_sheets
from lawful.show.explorer import explorer_html
from lawful.show.report.decision import decision_sentences
from lawful.show.report.report import report_html

BUDGET = 1e23
NUMBER = re.compile(r"[-+−]?\d+(?:,\d{3})*(?:\.\d+)?(?:e-?\d+)?[KMBT%]?")


@pytest.fixture(scope="module")
def analysis() -> Any:
    truth = study_surface("chinchilla")
    plan = Plan.isoflop([1e18, 1e19, 1e20, 1e21], 7, surface=truth)
    return lawful.analyse(lawful.simulate(truth, plan, noise=0.01, seed=1), budgets=[BUDGET])


@pytest.fixture(scope="module")
def evidence(analysis: Any) -> Evidence:
    return gather(analysis)


@pytest.fixture(scope="module")
def sections(analysis: Any, evidence: Evidence) -> dict[str, str]:
    """Words of the report by section; its figures apart from them, as SVG under ``figures``."""
    return sections_of(report_html(analysis, evidence=evidence))


def numbers(said: str) -> list[str]:
    """Every number of a text, in its order, as it is written."""
    return NUMBER.findall(said)


def words(page: str) -> str:
    """What a reader sees of HTML; a tag parts words, a script and a style say nothing."""
    page = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return html_lib.unescape(re.sub(r"<[^>]+>", " ", page))


def sections_of(page: str) -> dict[str, str]:
    page = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    figures = re.findall(r"<svg\b.*?</svg>", page, flags=re.DOTALL)
    rest = re.sub(r"<svg\b.*?</svg>", " ", page, flags=re.DOTALL)
    head, *parts = re.split(r"<section[^>]*? ?(?:id|aria-label)=\"([^\"]*)\"[^>]*>", rest)
    found = {"head": words(head), "figures": "\n".join(figures)}
    for name, part in zip(parts[::2], parts[1::2], strict=True):
        section, _, after = part.partition("</section>")
        found[name] = words(section)
        found["head"] += words(after)
    return found


def told(sheet: Sheet) -> list[str]:
    """Every number of a sheet in the order of a reader: what is said, heads, cells with their intervals, notes."""
    spans = [any(row[i].span for row in sheet.rows) for i in range(len(sheet.columns))]
    lines = [sheet.title, *sheet.sentences]
    if sheet.rows:
        heads = [f"{head} {sheet.interval or ''}" if spans[i] else head for i, head in enumerate(sheet.columns)]
        lines += [*heads, *(f"{cell.text} {cell.span}" for row in sheet.rows for cell in row)]
    lines += [*sheet.closing, *(f"{note.code} {note.message}" for note in sheet.notes)]
    return numbers("\n".join(lines))


def known(sheets: Iterable[Sheet]) -> set[str]:
    """Numbers of sheets, the small print of their cells with them."""
    sheets = list(sheets)
    small = (cell.small for sheet in sheets for row in sheet.rows for cell in row)
    return {number for sheet in sheets for number in told(sheet)} | set(numbers(" ".join(small)))


def strangers(said: str, sheets: Iterable[Sheet], reasons: dict[str, str]) -> list[str]:
    """Numbers of a text that neither sheets nor reasons know; a reason's key is a pattern of the words around it."""
    for pattern in reasons:
        said = re.sub(pattern, " ", said)
    have = known(sheets)
    return [number for number in numbers(said) if number not in have]


RENDERS: dict[str, Callable[[Any], str]] = {
    "text": str,
    "notebook": lambda record: words(record._repr_html_()),
    "markdown": lambda record: markdown(*record.sheets()),
}


@pytest.mark.parametrize("record", ["analysis", "fit"])
@pytest.mark.parametrize("where", [*RENDERS, "terminal"])
def test_a_render_shows_the_numbers_of_the_sheets_and_no_other(
    analysis: Any, capsys: pytest.CaptureFixture[str], where: str, record: str
) -> None:
    """All of them, each as often and in the same order."""
    from lawful.cli.terminal import show

    one = analysis if record == "analysis" else analysis.fit
    if where == "terminal":
        show(one.sheets())
        said = capsys.readouterr().out
    else:
        said = RENDERS[where](one)
    expected = [number for sheet in one.sheets() for number in told(sheet)]
    assert len(expected) > 30
    assert numbers(said) == expected


def test_a_frame_holds_the_values_of_the_cells_and_no_other(analysis: Any) -> None:
    frame = analysis.to_frame()
    tables = [sheet for sheet in analysis.sheets() if sheet.rows]
    lines = iter(frame.to_dict("records"))
    for sheet in tables:
        for cells in sheet.rows:
            line = next(lines)
            expected: dict[str, Any] = {"table": sheet.title}
            for head, cell in zip(sheet.columns, cells, strict=True):
                expected[head or "name"] = cell.value
                expected |= {f"{head or 'name'}_{end}": getattr(cell, end) for end in ("low", "high")}
            for name, value in line.items():
                want = expected.get(name)
                if want is None:
                    assert isinstance(value, float), (name, value)
                    assert math.isnan(value), (name, value)
                else:
                    assert value == want, (sheet.title, name)
    assert next(lines, None) is None


METHODS = r"Approach [123]|approach[123]"
LAW = r"C = 6ND|C/\(6D\)"
REASONS: dict[str, dict[str, str]] = {
    "head": {r"\d+ runs, \d+ budgets from 1e18 to 1e21 FLOPs": "the runs themselves, the next tests"},
    "The decision": {
        r"\d+ per parameter \(\d+ to \d+\)": "D*/N* of the average, ends where N* is at its other end: the next tests"
    },
    "valley": {r"a factor of [\d.]+": "high over low of the region: the next tests"},
    "bias": {
        r"C/\(6D\)|H100|\$[\d.]+": "a price, of hardware and an hour, as the paper has it: tests/test_cost.py",
    },
    "data-section": {
        r"Budgets \d+, from 1e18 to 1e21 FLOPs": "the runs themselves: the next tests",
        r"(Model sizes N|Tokens D|Loss) [\d.]+[MB]? to [\d.]+[MB]?": "the range of the runs: the next tests",
    },
    "card": {
        r"SHA-256:? [0-9a-f]{64}": "the runs' hash: tests/test_card.py",
        r"(lawful|NumPy|SciPy) [\d.]+": "versions",
        r"(Coefficients|Frontier):? (\w+ = -?[\d.]+,? ?)+": "nine digits to compute with: the next tests",
        r"(Objective|Residual sum of squares):?( log-huber,)? [\d.e-]+": "more digits, to compute with: the same",
        r"up to \d+ (iterations, tolerance 1e-10|local minima)": "options of the solver: tests/test_card.py",
        r"≥ 0|in \[0.01, 2\]": "bounds of the law: tests/test_card.py",
        r"(?s)@software.*": "years and numbers of papers",
        r"\(Li et al\. 2025\)": "a year",
    },
}
"""By section of the report: words around numbers that no sheet holds, and why."""


def sheets_of(section: str, analysis: Any, evidence: Evidence) -> Sequence[Sheet]:
    """The records that a section of the report is about, by their own sheets."""
    everything = [sheet for outcome in evidence.outcomes for sheet in outcome.sheets()]
    if section == "methods":
        return everything
    if section == "evidence":
        return [*evidence.influence.sheets(), records_sheet(evidence.records)]
    if section == "bias":
        return bias_sheets(evidence.bias, isoflop=analysis.isoflop, fit=analysis.fit, targets=[BUDGET])
    if section in ("dial", "valley"):
        return {"dial": evidence.dial, "valley": evidence.region}[section].sheets()
    return {"coefficients": analysis.fit.sheets(), "data-section": evidence.checked.sheets()}.get(
        section, analysis.sheets()
    )


SECTIONS = (
    "head", "The decision", "isoflop", "methods", "evidence", "coefficients", "allocations", "residuals", "dial",
    "valley", "bias", "data-section", "notes", "card",
)  # fmt: skip


def test_these_are_all_sections(sections: dict[str, str]) -> None:
    assert set(sections) == {*SECTIONS, "figures"}
    assert set(REASONS) <= set(SECTIONS)


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_of_the_report_shows_the_numbers_of_its_records(
    sections: dict[str, str], analysis: Any, evidence: Evidence, section: str
) -> None:
    said = re.sub(rf"{METHODS}|{LAW}", " ", " ".join(sections[section].split()))
    assert strangers(said, sheets_of(section, analysis, evidence), REASONS.get(section, {})) == []


@pytest.fixture(scope="module")
def everything(analysis: Any, evidence: Evidence) -> list[Sheet]:
    """All sheets that the report stands on."""
    return [sheet for section in SECTIONS for sheet in sheets_of(section, analysis, evidence)]


TICK = r"[-−]?\d+(\.\d+)?[KMBT]?|10[⁻¹²³⁴⁵⁶⁷⁸⁹⁰]*[¹²³⁴⁵⁶⁷⁸⁹⁰]( FLOPs)?"
"""A number alone, on an axis or on a line of equal loss."""


def test_a_figure_of_the_report_shows_ticks_and_numbers_of_the_records(
    sections: dict[str, str], analysis: Any, evidence: Evidence, everything: list[Sheet]
) -> None:
    labels = re.findall(r"<(?:text|title)\b[^>]*>(.*?)</(?:text|title)>|aria-label=\"([^\"]*)\"", sections["figures"])
    said = [html_lib.unescape(re.sub(r"<[^>]+>", "", one or other)) for one, other in labels]
    assert len(said) > 100
    reasons = {
        METHODS: "names of methods",
        r"10[⁻¹²³⁴⁵⁶⁷⁸⁹⁰]+": "powers of ten of an axis: its unit, and where the runs end",
        r"±[\d.]+ nats": "the scale of colours",
        **REASONS["The decision"],
    }
    others = [Sheet("", (), ("", "N*"), tuple(row(one.label, Cell(one.params, "count")) for one in evidence.rivals))]
    found = {one: strangers(one, [*everything, *others], reasons) for one in said if not re.fullmatch(TICK, one)}
    assert {one: numbers for one, numbers in found.items() if numbers} == {}


def test_no_two_ticks_of_an_axis_read_alike(sections: dict[str, str]) -> None:
    """Where an axis turns by less than three digits show, its labels have more."""
    for figure in sections["figures"].split("</svg>"):
        for axis in ("xtick", "ytick"):
            ticks = re.findall(rf'id="[^"]*{axis}_\d+".*?<text[^>]*>(.*?)</text>', figure, flags=re.DOTALL)
            assert len(ticks) == len(set(ticks)), ticks


def agrees(shown: str, value: float) -> bool:
    """Whether a number as written is the value rounded to its digits."""
    digits, exponent, suffix = re.fullmatch(r"(-?[\d.]+)(?:e(-?\d+))?([KMBT]?)", shown).groups()
    scale = 10.0 ** (int(exponent or 0) + 3 * " KMBT".index(suffix or " "))
    half = 0.5 * 10.0 ** -len(digits.partition(".")[2]) if "." in digits else 0.5
    return abs(float(digits) * scale - value) <= half * scale * (1 + 1e-9)


def test_what_the_report_says_beside_its_records_is_right(
    sections: dict[str, str], analysis: Any, evidence: Evidence
) -> None:
    """The numbers that stand in no sheet, each made again from the values."""
    said = {name: " ".join(text.split()) for name, text in sections.items()}
    runs, seen, fit = analysis.fit.runs, analysis.average.outlooks[0], analysis.fit
    assert f"{len(runs)} runs, {runs.budgets.size} budgets from 1e18 to 1e21 FLOPs" in said["head"]
    ends = (
        seen.interval["tokens"][0] / seen.interval["params"][1],
        seen.interval["tokens"][1] / seen.interval["params"][0],
    )
    ratio = f"{seen.tokens / seen.params:.2g} per parameter ({ends[0]:.2g} to {float(f'{ends[1]:.2g}'):.0f})"
    assert ratio in said["The decision"]
    (factor,) = re.findall(r"a factor of ([\d.]+),", said["valley"])
    assert agrees(factor, evidence.region.params[1] / evidence.region.params[0])
    for name, column in {"Model sizes N": runs.N, "Tokens D": runs.D, "Loss": runs.L}.items():
        low, high = re.search(rf"{name} ([\d.]+[MB]?) to ([\d.]+[MB]?)", said["data-section"]).groups()
        assert agrees(low, column.min()), name
        assert agrees(high, column.max()), name
    assert said["data-section"].count(f"Budgets {runs.budgets.size}, from 1e18 to 1e21 FLOPs") == 1
    exact = {**fit.surface.coefficients, **fit.frontier.to_dict()}
    told = re.findall(r"(\w+) = (-?[\d.]+)(?=,| )", said["card"].partition("@software")[0].replace("C = 6ND", ""))
    assert {name for name, _ in told} == set(exact)
    assert len(told) == 2 * len(exact)  # once as a list, once to copy
    assert all(agrees(shown, exact[name]) for name, shown in told)
    for value, name in ((fit.value, "Objective:? log-huber,"), (fit.rss, "Residual sum of squares:?")):
        shown = re.findall(rf"{name} ([\d.e-]+)", said["card"])
        assert len(shown) == 2
        assert all(agrees(one, value) for one in shown)


def test_paper_and_explorer_show_numbers_of_the_sheets(
    visit: Callable[..., Any], tmp_path: Path, analysis: Any, evidence: Evidence, everything: list[Sheet]
) -> None:
    """As a browser lays them out: the report for print, and what the explorer says of the same runs and target."""
    pages = {
        "report": report_html(analysis, evidence=evidence),
        "explorer": explorer_html(analysis.fit.runs, target=BUDGET),
    }
    for name, text in pages.items():
        (tmp_path / f"{name}.html").write_text(text, encoding="utf-8")
    paper, explorer = visit(tmp_path / "report.html"), visit(tmp_path / "explorer.html")
    paper.emulate_media(media="print")
    printed, own = paper.inner_text("body"), explorer.inner_text("#report")
    assert set(numbers(printed)) <= set(numbers(words(pages["report"])))
    lead, one_law = analysis.sheets()[0], analysis.fit.sheets()[0]
    for cells in lead.rows[:3]:
        for where, said in {"paper": printed, "explorer": own}.items():
            assert cells[1].text in said, where
            assert cells[1].span in said, where
    for cells in one_law.rows:
        assert cells[1].text in printed
        assert cells[1].span in printed
    for sentence in decision_sentences(analysis, beside=True):
        assert sentence in " ".join(printed.split())
        assert sentence in " ".join(own.split())
    assert strangers(" ".join(own.split()), everything, REASONS["The decision"] | REASONS["head"]) == []
