"""What tests of the explorer read off its page."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

READ = """() => Object.fromEntries([...document.querySelectorAll("[data-name]")]
    .map((cell) => [cell.dataset.name, cell.dataset.value]))"""
SETTLED = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def read(page: Page) -> dict[str, float]:
    """Every number that the page shows, with all its digits; NaN where it says that there is none."""
    page.evaluate(SETTLED)
    return {name: math.nan if text == "none" else float(text) for name, text in page.evaluate(READ).items()}


def settings(page: Page) -> dict[str, Any]:
    """The state of the controls."""
    return page.evaluate("() => lawfulExplorer.settings()")
