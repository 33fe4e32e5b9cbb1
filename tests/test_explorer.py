"""The explorer in a browser: its controls move its numbers, its address keeps them, and everyone can reach them."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import numpy as np
import pytest

import lawful
from explorer_page import SETTLED, read, settings
from lawful.design.plan import STUDY_SURFACES
from lawful.laws.laws import PUBLISHED
from lawful.show.explorer import CONTROLS, SCRIPTS, TRUTH_LABELS, explorer_document, explorer_html, settings_of
from lawful.show.report.embedded import asset

if TYPE_CHECKING:
    from playwright.sync_api import Page

COEFFICIENTS = ("E", "A", "B", "alpha", "beta")
HOSTILE = "<script>alert(1)</script> [bold]runs[/bold].csv"


@pytest.fixture(scope="module")
def fitted() -> lawful.Fit:
    """A fit of a sweep that drifts, from a file with a hostile name."""
    truth = lawful.Surface.named("besiroglu")
    plan = lawful.Plan.isoflop([1e18, 1e19, 1e20, 1e21], 9, surface=truth, width=4, offset=1.5, drift=2)
    runs = lawful.simulate(truth, plan, noise=0.003, seed=4)
    return lawful.fit(dataclasses.replace(runs, source=HOSTILE))


@pytest.fixture(scope="module")
def own(fitted: lawful.Fit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of that fit."""
    path = tmp_path_factory.mktemp("explorer") / "own.html"
    path.write_text(explorer_html(fitted, target=1e24), encoding="utf-8")
    return path


@pytest.fixture
def page(explorer_file: Path, visit: Callable[..., Page]) -> Iterator[Page]:
    return visit(explorer_file)


def test_sliders_move_the_numbers_and_the_keyboard_moves_the_sliders(page: Page) -> None:
    first = read(page)
    for control in CONTROLS:
        if control.group == "toy":
            continue
        before, slider = settings(page)[control.name], page.locator(f"#slider-{control.name}")
        slider.focus()
        page.keyboard.press("ArrowRight" if before < control.high else "ArrowLeft")
        page.evaluate(SETTLED)
        after = settings(page)[control.name]
        assert after != before, control.name
        assert float(page.input_value(f"#field-{control.name}")) == pytest.approx(after, rel=1e-5)
        assert control.unit in slider.get_attribute("aria-valuetext")
    now = read(page)
    assert [
        name for name in ("truth.tokens", "approach2.tokens", "vpnls.tokens", "vpnls.E") if now[name] == first[name]
    ] == []


def test_every_published_surface_and_the_toy_are_presets_and_load(page: Page) -> None:
    options = page.locator("#preset option").all_inner_texts()
    assert {TRUTH_LABELS[name] for name in (*STUDY_SURFACES, *PUBLISHED)} <= set(options)
    for i, preset in enumerate(explorer_document()["presets"]):
        page.select_option("#preset", str(i))
        now = settings(page)
        assert {name: now[name] for name in preset["settings"]} == preset["settings"]
        assert page.input_value("#preset") == str(i)
        assert page.inner_text("#headline")
        shown = "#figure-toy" if preset["settings"]["design"] == "toy" else "#figure-isoflop"
        assert page.locator(f"{shown} svg").first.is_visible()


def test_the_address_restores_the_state(explorer_file: Path, visit: Callable[..., Page]) -> None:
    wanted = {"alpha": 0.41, "noise": 0.0123, "budgets": 7, "target": 3.8e25, "drift": 2.5, "seed": 3}
    page = visit(explorer_file, fragment=urlencode(wanted))
    assert {name: settings(page)[name] for name in wanted} == wanted
    first = read(page)
    # Another address in the same page, and what it does not know or cannot take.
    page.evaluate("location.hash = 'alpha=0.5&beta=junk&points=1e9&design=nonsense&unheard=of'")
    page.wait_for_function("lawfulExplorer.settings().alpha === 0.5")
    now = settings(page)
    assert (now["points"], now["design"], now["beta"]) == (31, "sweep", STUDY_SURFACES["soda"]["beta"])
    assert "unheard" not in now
    said = page.inner_text("#status")
    for words in (
        "beta=junk is no number",
        "points=1e9 lies outside 3 to 31",
        "design=nonsense is none of",
        "unheard is no",
    ):
        assert words in said
    page.focus("#slider-alpha")
    page.keyboard.press("Tab")
    assert page.inner_text("#status") == said, "what an address said wrong stays until something is set"
    page.go_back()
    page.wait_for_function("lawfulExplorer.settings().alpha === 0.41")
    assert read(page) == first


def test_copy_link_keeps_what_is_seen_and_reset_goes_back(
    page: Page, explorer_file: Path, visit: Callable[..., Page]
) -> None:
    page.select_option("#preset", label=TRUTH_LABELS["soda"])
    page.fill("#field-width", "5.5")
    shown = read(page)
    page.click("#copy")
    page.wait_for_function("document.getElementById('status').textContent.startsWith('Link copied')")
    link = page.evaluate("navigator.clipboard.readText()")
    assert read(visit(explorer_file, fragment=link.partition("#")[2])) == shown
    page.click("#reset")
    assert settings(page) == json.loads(json.dumps(explorer_document()["initial"]))
    assert page.evaluate("location.hash") == ""


def test_the_page_opens_on_a_preset_where_something_happens(page: Page) -> None:
    assert page.locator("#preset option:checked").inner_text() == "An audio-text law, and a sweep that drifts"
    assert abs(read(page)["approach2.tokens_error"]) > 0.05


@pytest.mark.parametrize("name", ["__proto__", "constructor", "toString", "hasOwnProperty"])
def test_an_address_with_a_name_of_the_language_is_harmless(
    explorer_file: Path, visit: Callable[..., Page], name: str
) -> None:
    page = visit(explorer_file, fragment=f"{name}=1&alpha=0.4")
    assert settings(page)["alpha"] == 0.4
    assert f"{name} is no setting" in page.inner_text("#status")
    assert read(page)["vpnls.alpha"] == pytest.approx(0.4, rel=1e-6)


def test_hover_shows_the_values_of_a_run(page: Page) -> None:
    run = page.evaluate("() => lawfulExplorer.compute({}).runs[1]")
    box = page.locator("#figure-isoflop .plot svg circle").nth(1).bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2 + 1, box["y"] + box["height"] / 2)
    tip = page.locator("#figure-isoflop .plot [aria-label=tip]")
    page.wait_for_function(
        "document.querySelector('#figure-isoflop .plot [aria-label=tip]')?.textContent.includes('loss')"
    )
    text = tip.text_content()
    assert "1e17 FLOPs" in text
    assert f"loss {run['loss']:.4f} nats" in text
    for name in ("miss", "params", "tokens"):
        page.locator(f"#figure-{name} .plot svg").scroll_into_view_if_needed()
        box = page.locator(f"#figure-{name} .plot svg circle").last.bounding_box()
        page.mouse.move(box["x"] + 4, box["y"] + 5)
        page.wait_for_function(
            f"document.querySelector('#figure-{name} [aria-label=tip]')?.textContent.includes('1e24')"
        )


def test_the_runs_can_be_read_without_hovering(page: Page) -> None:
    page.click("#details summary")
    page.wait_for_function("document.querySelectorAll('#runs-table tbody tr').length === 75")
    run = page.evaluate("() => lawfulExplorer.compute({}).runs[0]")
    assert f"{run['loss']:.5f}" in page.inner_text("#runs-table tbody tr >> nth=0")


def test_trouble_is_said_in_words(page: Page) -> None:
    page.evaluate("lawfulExplorer.set({ noise: 0.2, width: 1.5, points: 5 })")
    shown = read(page)
    assert "opens downward at" in page.inner_text("#troubles") or "open downward at" in page.inner_text("#troubles")
    assert "Approach 2 has no answer" in page.inner_text("#headline")
    assert math.isnan(shown["approach2.tokens"])
    page.evaluate("lawfulExplorer.set({ low: 1e22 })")
    assert page.inner_text("#headline").startswith("The lowest budget must lie below the highest one")
    assert not page.locator("#figure-isoflop").is_visible()
    page.evaluate("lawfulExplorer.set({ low: 1e17, E: 0, A: 1, B: 1, noise: 0.2, alpha: 1, beta: 1 })")
    assert "losses zero or negative" in page.inner_text("#headline")
    assert "NaN" not in page.inner_text("body")


def test_everything_is_reached_by_tab_with_a_visible_focus(page: Page) -> None:
    reached = set()
    page.evaluate("document.body.focus()")
    for _ in range(90):
        page.keyboard.press("Tab")
        where, style, width = page.evaluate(
            """() => { const e = document.activeElement, s = getComputedStyle(e);
                return [e.id || e.textContent, s.outlineStyle, parseFloat(s.outlineWidth)]; }"""
        )
        if where in reached and len(reached) > 40:
            break
        if page.evaluate("document.activeElement !== document.body"):
            assert (style, width >= 2) == ("solid", True), where
            reached.add(where)
    wanted = {f"{part}-{c.name}" for c in CONTROLS if c.group != "toy" for part in ("slider", "field")}
    assert wanted | {"preset", "design", "reset", "copy", "skip", "file", "gpu"} <= reached


def test_skip_leads_to_the_results(page: Page) -> None:
    page.focus("#skip")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "results-area"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_violation(
    explorer_file: Path, visit: Callable[..., Page], serious_violations: Callable[[Page], list[str]], scheme: str
) -> None:
    page = visit(explorer_file, scheme=scheme)
    assert serious_violations(page) == []
    page.evaluate("lawfulExplorer.set({ design: 'toy' })")
    assert serious_violations(page) == []
    page.evaluate("lawfulExplorer.set({ design: 'sweep', noise: 0.2, width: 1.5, points: 5 })")
    assert serious_violations(page) == []


def test_a_phone_shows_it_without_scrolling_sideways(
    own: Path, visit: Callable[..., Page], serious_violations: Callable[[Page], list[str]]
) -> None:
    page = visit(own, width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert min(page.locator("input[type=range]:visible").evaluate_all("all => all.map((e) => e.clientHeight)")) >= 44
    assert serious_violations(page) == []


def test_every_control_has_a_label_with_its_unit(page: Page) -> None:
    for control in CONTROLS:
        label = page.locator(f"label[for=slider-{control.name}]").text_content()
        assert control.label in label
        assert control.unit in label
        assert control.unit in page.get_attribute(f"#field-{control.name}", "aria-label")


def test_the_headline_is_announced_once_the_sliders_rest(page: Page) -> None:
    page.focus("#slider-drift")
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "() => { const said = document.getElementById('announcement').textContent;"
        " return said !== '' && said === document.getElementById('headline').textContent; }"
    )
    assert page.get_attribute("#announcement", "aria-live") == "polite"


def test_a_fit_is_the_initial_state_a_preset_and_points(
    own: Path, fitted: lawful.Fit, visit: Callable[..., Page]
) -> None:
    page = visit(own)
    now = settings(page)
    assert {name: now[name] for name in COEFFICIENTS} == dict(fitted.surface.coefficients)
    assert (now["low"], now["high"], now["budgets"], now["points"], now["target"]) == (1e18, 1e21, 4, 9, 1e24)
    assert page.locator("#preset option:checked").inner_text() == "fitted law, no noise"
    squares = page.locator("#figure-isoflop svg g[stroke='var(--muted)'] path")
    assert squares.count() == len(fitted.runs)
    page.uncheck("#own-runs")
    assert squares.count() == 0
    assert HOSTILE in page.inner_text("header")
    assert HOSTILE in page.title()


def test_the_grid_of_a_fit_is_that_of_its_runs(fitted: lawful.Fit) -> None:
    found = settings_of(fitted)
    assert found["width"] == pytest.approx(4, rel=0.01)
    assert found["drift"] == pytest.approx(2, rel=0.05)
    assert found["offset"] == pytest.approx(1.5, rel=0.05)


def test_runs_without_isoflop_curves_keep_the_plain_grid() -> None:
    truth, rng = lawful.Surface.named("besiroglu"), np.random.default_rng(0)
    sizes, tokens = 10 ** rng.uniform(7, 10, 30), 10 ** rng.uniform(9, 11, 30)
    plan = lawful.Plan(sizes, tokens, 6 * sizes * tokens)
    found = explorer_document(lawful.fit(lawful.simulate(truth, plan)))["initial"]
    assert (found["width"], found["budgets"], found["points"]) == (8, 5, 15)


def test_coefficients_beyond_the_sliders_widen_them() -> None:
    truth = lawful.Surface({"E": 1.0, "A": 5e9, "B": 4e3, "alpha": 1.4, "beta": 0.4})
    fit = lawful.fit(lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth)))
    controls = {c["name"]: c for c in explorer_document(fit)["controls"]}
    assert controls["A"]["high"] == fit.surface["A"]
    assert controls["alpha"]["high"] == fit.surface["alpha"]


def test_a_page_is_one_small_file_that_is_the_same_every_time(own: Path, fitted: lawful.Fit) -> None:
    text = own.read_text(encoding="utf-8")
    assert len(text.encode()) < 1.2e6
    assert explorer_html(fitted, target=1e24) == text
    assert HOSTILE not in text
    assert "src=" not in text.partition('<script type="application/json"')[0]


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_strict_and_can_be_held_in_the_head(name: str) -> None:
    text = asset(name)
    assert text.startswith('"use strict";\n')
    assert len(text.splitlines()) <= 400


def test_fits_that_the_page_cannot_show_are_refused(fitted: lawful.Fit) -> None:
    with pytest.raises(lawful.UnsupportedError, match="approach2 fits no surface, so the explorer has no law to show"):
        explorer_html(lawful.fit_isoflop(fitted.runs))
    skaling = dataclasses.replace(
        fitted, surface=lawful.Surface({**fitted.surface.coefficients, "k": 1.0}, lawful.LAWS["skaling"])
    )
    with pytest.raises(lawful.UnsupportedError, match=r"the skaling law is L.*; fit the chinchilla law for it"):
        explorer_html(skaling)
    flat = dataclasses.replace(fitted, surface=lawful.Surface({**fitted.surface.coefficients, "A": 0.0}))
    with pytest.raises(lawful.UnsupportedError, match="The fitted A is zero, so the law has no optimum to explore"):
        explorer_html(flat)
    with pytest.raises(lawful.UnsupportedError, match="A budget is a positive number of FLOPs, got -1"):
        explorer_html(target=-1)


def test_paper_takes_one_page(page: Page, tmp_path: Path) -> None:
    sheet = tmp_path / "explorer.pdf"
    page.emulate_media(media="print")
    page.pdf(path=sheet, format="A4", prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", sheet.read_bytes())) == 1
