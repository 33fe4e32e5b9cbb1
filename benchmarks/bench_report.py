"""The report: how long it takes to write one, how large it is, and how long it takes to open."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from lawful.analysis.analysis import Analysis, analyse
from lawful.design.plan import plan_isoflop, simulate
from lawful.laws.surface import Surface
from lawful.show.report.report import report_html

OPENINGS = 5


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    truth = Surface.named("besiroglu")
    plan = plan_isoflop([1e17, 1e18, 1e19, 1e20, 1e21, 1e22, 1e23, 1e24], 16, surface=truth)
    return analyse(simulate(truth, plan, noise=0.004), budgets=[1e26])


def test_write_report(benchmark: Any, analysis: Analysis) -> None:
    benchmark.group = "report: 128 runs, four methods, dial, six figures"
    page = benchmark.pedantic(report_html, args=(analysis,), rounds=5, warmup_rounds=1)
    benchmark.extra_info["remark"] = f"{len(page.encode()) / 1e6:.2f} MB"


def test_open_report(benchmark: Any, analysis: Analysis, tmp_path: Path) -> None:
    """Navigation until the load event, scripts and figures included."""
    benchmark.group = "report: opened in headless Chromium"
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is not installed")
    playwright = pytest.importorskip("playwright.sync_api")
    file = tmp_path / "report.html"
    file.write_text(report_html(analysis), encoding="utf-8")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        benchmark.pedantic(page.goto, args=(file.as_uri(),), rounds=OPENINGS, warmup_rounds=1)
        browser.close()
