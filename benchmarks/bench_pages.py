"""Pages in headless Chromium: how soon the explorer follows a slider."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lawful.show.explorer import explorer_html

REACT = "(width) => { lawfulExplorer.set({ width }, { write: false }); return document.body.offsetHeight; }"
"""What one move of a slider causes: all numbers, the figures on the screen, and the layout of the page."""

COMPUTE = "(width) => lawfulExplorer.compute({ width }).target.truth.tokens"


@pytest.fixture(scope="module")
def explorer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The page at five budgets of 15 points, with noise."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is not installed")
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra dev)")
    path = Path(tmp_path_factory.mktemp("pages"), "explorer.html")
    path.write_text(explorer_html(), encoding="utf-8")
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{path.as_uri()}#noise=0.01&budgets=5&points=15")
        yield page
        browser.close()


@pytest.mark.parametrize(
    ("name", "program"), [("reaction", REACT), ("arithmetic", COMPUTE)], ids=["reaction", "compute"]
)
def test_explorer(benchmark: Any, explorer: Any, name: str, program: str) -> None:
    benchmark.group = "page: explorer, 5 budgets × 15 points, from a slider to what it shows"
    widths = iter(2 + 0.05 * i for i in range(1000))
    benchmark.pedantic(
        explorer.evaluate, setup=lambda: ((program, next(widths)), {}), rounds=100, warmup_rounds=20, iterations=1
    )
    remark = "budget 50 ms; a round trip to the browser included" if name == "reaction" else "grid, fits and deadweight"
    benchmark.extra_info["remark"] = remark
