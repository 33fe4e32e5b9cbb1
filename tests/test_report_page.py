"""The report in a browser: it opens quietly, answers to the pointer, copies, folds out, and reads in every light."""

from __future__ import annotations

import csv
import dataclasses
import re
from collections.abc import Callable
from itertools import combinations, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from lawful.analysis.analysis import Analysis, analyse
from lawful.core.numbers import format_count, format_flops
from lawful.design.plan import plan_isoflop, simulate
from lawful.laws.surface import Surface
from lawful.show.report.changes import changes_html, changes_of
from lawful.show.report.report import report_html
from lawful.show.report.saved import SavedFit
from lawful.show.report.words import bibtex

if TYPE_CHECKING:
    from playwright.sync_api import Page

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
FIGURES = ["isoflop", "losses", "params", "tokens", "surface", "residuals", "dial", "valley"]

Visit = Callable[..., "Page"]


def analysis_of(seed: int = 5, **options: Any) -> Analysis:
    truth = Surface.named("besiroglu")
    runs = simulate(truth, plan_isoflop([1e18, 1e19, 1e20, 1e21], 7, surface=truth), noise=0.004, seed=seed)
    loss = runs.L.copy()
    loss[3] += 0.4
    names = np.array([f"run {i} {HOSTILE}" if i == 0 else f"run {i}" for i in range(len(runs))])
    runs = dataclasses.replace(runs, L=loss, labels={"name": names}, source=f"{HOSTILE}.csv")
    return analyse(runs, budgets=[1e23], **options)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(report_html(analysis_of(), title=f"About {HOSTILE}"), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("changed") / "changed.html"
    fits = [SavedFit(f"{HOSTILE}/fit.json", analysis_of(), None), SavedFit("b/fit.json", analysis_of(6), None)]
    path.write_text(changes_html(changes_of(fits)), encoding="utf-8")
    return path


def live(page: Page, name: str) -> Any:
    return page.locator(f"#figure-{name} .live > svg, #figure-{name} .live > figure > svg").last


def hover(page: Page, name: str, x: float, y: float) -> str:
    """Point at a share of a figure's width and height, and return what its tip says."""
    figure = live(page, name)
    figure.scroll_into_view_if_needed()
    box = figure.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
    page.mouse.move(box["x"] + x * box["width"] + 1, box["y"] + y * box["height"])
    page.wait_for_timeout(50)
    return "\n".join(figure.locator("g[aria-label=tip] tspan").all_text_contents())


def test_every_figure_comes_alive_and_hides_its_drawing(visit: Visit, report: Path) -> None:
    page = visit(report)
    for name in FIGURES:
        assert live(page, name).is_visible(), name
        assert not page.locator(f"#figure-{name} .static").is_visible(), name
    assert page.locator("figure[data-figure]").count() == len(FIGURES)


def test_nothing_a_user_named_runs(visit: Visit, report: Path, changed: Path) -> None:
    for path in (report, changed):
        page = visit(path)
        assert page.title() != "owned"
        assert page.locator("img").count() == 0
    page = visit(report)
    page.locator("#figure-isoflop summary").click()
    assert HOSTILE in page.locator("#figure-isoflop td", has_text="document.title").first.text_content()
    assert page.title() != "owned"


def test_hovering_over_a_run_says_everything_about_it(visit: Visit, report: Path) -> None:
    page = visit(report)
    dot = live(page, "isoflop").locator("g[aria-label=dot]").first.locator("circle").nth(5)  # a short label: one line
    dot.scroll_into_view_if_needed()
    box = dot.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_timeout(50)
    lines = live(page, "isoflop").locator("g[aria-label=tip] tspan").all_text_contents()
    told = [line.replace("\u200b", "") for line in lines]
    runs, fit = analysis_of().fit.runs, analysis_of().fit
    i = int(told[1].removeprefix("row ")) - 1
    assert told[0] == runs.labels["name"][i]
    assert told[2] == f"budget {format_flops(runs.budgets[runs.group[i]])}"
    assert told[3] == f"N {format_count(runs.N[i])}, D {format_count(runs.D[i])}"
    assert told[4] == f"{format_count(runs.D[i] / runs.N[i])} tokens per parameter"
    assert told[5] == f"loss {runs.L[i]:.4f} nats"
    assert float(told[6].split()[1].replace("−", "-")) == pytest.approx(fit.residuals[i], rel=5e-3)
    assert told[7] == "not flagged"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("params", ("FLOPs", "N* ", "90%: ")),
        ("tokens", ("FLOPs", "D* ")),
        ("residuals", ("residual ", "budget ")),
        ("dial", ("E ", "L* ", "distance ", "interval")),
        ("valley", ("N ", "loss ", "above the optimum")),
    ],
)
def test_hovering_shows_values(visit: Visit, report: Path, name: str, words: tuple[str, ...]) -> None:
    # The middle of the residuals lies between two budgets, out of reach of any run.
    told = hover(visit(report), name, 0.6 if name == "residuals" else 0.5, 0.5)
    for word in words:
        assert word in told, (word, told)


def test_the_dial_turns_to_another_quantity(visit: Visit, report: Path) -> None:
    page = visit(report)
    page.locator("#figure-dial").get_by_label("Show").select_option("loss")
    assert "L* (nats per token)" in live(page, "dial").text_content()


def test_the_isoflop_curves_turn_to_tokens(visit: Visit, report: Path) -> None:
    page = visit(report)
    page.locator("#figure-isoflop").get_by_label("Show").select_option("tokens")
    assert "Training tokens D" in live(page, "isoflop").text_content()
    assert live(page, "isoflop").locator("circle").count() > 20


@pytest.mark.parametrize("has_clipboard", [True, False])
def test_copy_buttons_copy_and_say_so(visit: Visit, report: Path, has_clipboard: bool) -> None:
    page = visit(report)
    if not has_clipboard:
        page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
        page.evaluate("document.addEventListener('copy', () => { window.copied = document.activeElement.value })")
    page.get_by_role("button", name="Copy BibTeX").click()
    told = page.locator("#bibtex").locator("xpath=preceding-sibling::p[1]").get_by_role("status")
    told.filter(has_text="Copied.").wait_for()
    text = page.evaluate("navigator.clipboard.readText()" if has_clipboard else "window.copied")
    assert text.strip() == bibtex().strip()


def test_a_table_folds_out_and_its_download_holds_the_same_rows(visit: Visit, report: Path) -> None:
    page = visit(report)
    page.locator("#figure-residuals summary").press("Enter")
    tables = page.locator("#figure-residuals .scroll table")
    tables.nth(1).wait_for()
    assert tables.count() == 2
    with page.expect_download() as waiting:
        page.locator("#figure-isoflop button[data-download=isoflop_runs]").click()
    with Path(waiting.value.path()).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == analysis_of().fit.runs.L.tolist()
    assert rows[0]["label"] == f"run 0 {HOSTILE}"


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["report", "changed"])
def test_axe_finds_nothing_serious(
    visit: Visit, serious_violations: Callable[[Page], list[str]], request: Any, name: str, scheme: str
) -> None:
    page = visit(request.getfixturevalue(name), scheme=scheme)
    page.locator("summary").first.click()
    assert serious_violations(page) == []


def test_headings_descend_in_order_and_landmarks_are_there(visit: Visit, report: Path) -> None:
    page = visit(report)
    levels = page.eval_on_selector_all("h1, h2, h3", "all => all.map(h => Number(h.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for landmark in ("main", "header", "nav"):
        assert page.locator(landmark).count() == 1


def test_colours_follow_the_scheme_without_drawing_again(visit: Visit, report: Path) -> None:
    page = visit(report)
    axis = "document.querySelector('#figure-isoflop .live svg')"
    first = page.evaluate(f"getComputedStyle({axis}).color")
    page.evaluate(f"{axis}.dataset.same = 'yes'")
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(f"getComputedStyle({axis}).color") != first
    assert page.evaluate(f"{axis}.dataset.same") == "yes"


@pytest.mark.parametrize("name", ["report", "changed"])
def test_a_phone_needs_no_sideways_scrolling(visit: Visit, request: Any, name: str) -> None:
    page = visit(request.getfixturevalue(name), width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    figure = page.locator("figure[data-figure] .live svg").first.bounding_box()
    assert figure is not None
    assert figure["x"] + figure["width"] <= 390


@pytest.mark.parametrize("width", [1440, 1024, 390])
def test_no_label_of_a_figure_lies_on_another_or_is_too_small_to_read(visit: Visit, report: Path, width: int) -> None:
    page = visit(report, width=width)
    page.wait_for_timeout(200)
    texts = page.evaluate(
        """() => [...document.querySelectorAll(".live > svg, .live figure > svg, .dots")].map((svg) =>
        [...svg.querySelectorAll("text")].filter((t) => t.textContent.trim()).map((t) => {
          const box = t.getBoundingClientRect(), at = t.getScreenCTM();
          const size = parseFloat(getComputedStyle(t).fontSize) * Math.hypot(at.a, at.b);
          return { text: t.textContent, size, left: box.left, right: box.right, top: box.top, bottom: box.bottom };
        }))"""
    )
    assert sum(len(figure) for figure in texts) > 80
    small = [one["text"] for figure in texts for one in figure if one["size"] < 10.95]
    assert small == []
    met = [
        (one["text"], other["text"])
        for figure in texts
        for one, other in combinations(figure, 2)
        if min(one["right"], other["right"]) - max(one["left"], other["left"]) > 1
        and min(one["bottom"], other["bottom"]) - max(one["top"], other["top"]) > 2.5
    ]
    assert met == []


def test_a_number_in_a_narrow_table_is_not_broken_into_letters(visit: Visit, report: Path) -> None:
    page = visit(report, width=390)
    narrow = page.eval_on_selector_all(
        "#allocations .stacked td > span",
        "all => all.filter((s) => s.offsetWidth < 60 && s.textContent.length > 8).map((s) => s.textContent)",
    )
    assert narrow == []


def test_figures_are_drawn_again_when_the_window_changes(visit: Visit, report: Path) -> None:
    page = visit(report)
    wide = live(page, "residuals").bounding_box()
    page.set_viewport_size({"width": 500, "height": 900})
    page.wait_for_timeout(200)
    narrow = live(page, "residuals").bounding_box()
    assert wide is not None
    assert narrow is not None
    assert narrow["width"] < 0.6 * wide["width"]


def test_paper_gets_the_drawings_and_no_buttons(visit: Visit, report: Path) -> None:
    page = visit(report, scheme="dark")
    page.emulate_media(media="print")
    for name in FIGURES:
        assert page.locator(f"#figure-{name} .static").is_visible(), name
        assert not live(page, name).is_visible(), name
    assert page.locator("button:visible, nav:visible, summary:visible").count() == 0
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(31, 35, 40)"


def test_the_first_screen_holds_the_decision_and_the_curves(visit: Visit, report: Path) -> None:
    page = visit(report, width=1440)
    for where in (".card", ".answers .dots", "#figure-isoflop .live svg"):
        box = page.locator(where).first.bounding_box()
        assert box["y"] + box["height"] <= 900, where
    phone = visit(report, width=390)
    for where in (".card", "#figure-isoflop .live svg"):
        box = phone.locator(where).first.bounding_box()
        assert box["y"] + box["height"] <= 2 * 844, where


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_nothing_serious_on_the_first_screen(
    visit: Visit, serious_violations: Callable[[Page], list[str]], report: Path, scheme: str, width: int
) -> None:
    page = visit(report, scheme=scheme, width=width)
    page.evaluate("document.querySelector('main').remove()")
    assert serious_violations(page) == []


def test_paper_has_the_decision_and_a_figure_first_and_few_pages(visit: Visit, report: Path, tmp_path: Path) -> None:
    page = visit(report)
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 718, "height": 1033})  # what A4 leaves within the margins, in pixels of CSS
    for where in (".card", "#figure-isoflop .static"):
        box = page.locator(where).bounding_box()
        assert box["y"] + box["height"] <= 1033, where
    sheet = tmp_path / "report.pdf"
    page.pdf(path=sheet, format="A4", prefer_css_page_size=True)
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", sheet.read_bytes())) <= 4
    # Tables keep within their frames.
    sticking = page.eval_on_selector_all(
        ".wide", "all => all.map((w) => w.scrollWidth - w.clientWidth).filter((v) => v > 1)"
    )
    assert sticking == []


def test_without_scripts_the_page_is_complete(browser: Any, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    for name in FIGURES:
        assert page.locator(f"#figure-{name} .static").is_visible(), name
    assert page.locator("button:visible").count() == 0
    context.close()


def test_it_is_small(report: Path) -> None:
    assert report.stat().st_size < 1_000_000


def test_a_comparison_draws_both_frontiers(visit: Visit, changed: Path) -> None:
    page = visit(changed)
    assert page.locator("#figure-fits-params .legend li").all_text_contents() == ["fit A", "fit B"]
    told = hover(page, "fits-params", 0.5, 0.5)
    assert "Fit " in told
    assert "N* " in told


def test_keys_go_through_the_marks_of_a_figure_as_a_pointer_does(visit: Visit, report: Path) -> None:
    page = visit(report)
    page.locator("#figure-isoflop select").focus()
    page.keyboard.press("Tab")
    spoken = page.locator("#figure-isoflop .spoken")
    first = spoken.text_content()
    assert first.startswith("row ") or "budget" in first
    page.keyboard.press("ArrowRight")
    assert spoken.text_content() != first
    page.wait_for_timeout(50)
    assert "residual" in page.locator("#figure-isoflop .live g[aria-label=tip]").text_content()
    page.keyboard.press("End")
    page.keyboard.press("Home")
    assert spoken.text_content() == first
    page.keyboard.press("Escape")
    assert spoken.text_content() == ""
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
