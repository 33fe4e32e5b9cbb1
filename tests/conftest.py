"""Fixtures: the shared folder of published runs, three known truths, two sweeps of them, and a browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lawful.design.plan import Plan, plan_isoflop, study_surface
from lawful.laws.surface import Surface

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

REPOSITORY = Path(__file__).resolve().parent.parent
THREE_SURFACES = ("symmetric", "chinchilla", "asymmetric")
FIVE_BUDGETS = (1e17, 1e18, 1e19, 1e20, 1e21)


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of published runs and figures; tests that need it are skipped without it."""
    folder = Path(os.environ.get("LAWFUL_SHARED", REPOSITORY.parent / "shared")).resolve()
    if not (folder / "data").is_dir():
        pytest.skip(f"the published runs are not at {folder}; set LAWFUL_SHARED to the folder that holds data/")
    return folder


@pytest.fixture(scope="session")
def shared_data(shared: Path) -> Path:
    """Published training runs, read in place."""
    return shared / "data"


@pytest.fixture(scope="session")
def shared_reference(shared: Path) -> Path:
    """Published figures to reproduce."""
    folder = shared / "reference"
    if not folder.is_dir():
        pytest.skip(f"the published figures are not at {folder}")
    return folder


@pytest.fixture(params=THREE_SURFACES)
def surface(request: pytest.FixtureRequest) -> Surface:
    """Each of the three truths of the studies in turn."""
    return study_surface(request.param)


@pytest.fixture(scope="session")
def symmetric() -> Surface:
    """The truth with equal exponents."""
    return study_surface("symmetric")


@pytest.fixture(scope="session")
def chinchilla() -> Surface:
    """The truth with the rounded Chinchilla exponents."""
    return study_surface("chinchilla")


@pytest.fixture(scope="session")
def asymmetric() -> Surface:
    """The truth whose exponents differ by a factor of three."""
    return study_surface("asymmetric")


@pytest.fixture
def centred_plan(surface: Surface) -> Plan:
    """Five budgets, 15 sizes each, ±8×, centred on the optimum of ``surface``."""
    return plan_isoflop(FIVE_BUDGETS, 15, surface=surface, width=8)


@pytest.fixture
def drifting_plan(surface: Surface) -> Plan:
    """The same sweep with centres that drift to N*/3."""
    return plan_isoflop(FIVE_BUDGETS, 15, surface=surface, width=8, drift=3)


QUIET = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")
"""Headless Chromium as root in a container, and without its own calls home."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium; without it tests of pages are skipped, and fail where CI is set."""
    program = shutil.which("chromium")
    if program is None:
        reason = "pages are tested in Chromium, which is not installed (on Debian: apt-get install chromium)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    playwright = pytest.importorskip("playwright.sync_api", reason="pages are tested with playwright: install .[dev]")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=program, args=list(QUIET))
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """
    Open a file as a page; whatever it prints as an error, throws or asks of a network fails the test at its end.

    ``visit(path, width=390, scheme="dark", fragment="a=1")`` returns playwright's page.
    """
    trouble: list[str] = []
    contexts = []

    def open_page(path: Path, *, width: int = 1280, scheme: str = "light", fragment: str = "") -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            permissions=["clipboard-read", "clipboard-write"],
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: trouble.append(f"console: {m.text}") if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: trouble.append(f"thrown: {error}"))
        page.on("request", lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else trouble.append(r.url))
        page.goto(path.resolve().as_uri() + (f"#{fragment}" if fragment else ""), wait_until="load")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert trouble == []


@pytest.fixture(scope="session")
def serious_violations() -> Callable[[Page], list[str]]:
    """Ask axe for accessibility violations of a page that are serious or critical, as sentences."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="install .[dev] for axe").Axe()

    def violations(page: Page) -> list[str]:
        found = axe.run(page).response["violations"]
        return [
            f"{v['id']}: {v['help']} ({', '.join(str(n['target']) for n in v['nodes'][:3])})"
            for v in found
            if v["impact"] in ("serious", "critical")
        ]

    return violations


@pytest.fixture(scope="session")
def explorer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The explorer without a fit, as a file."""
    from lawful.show.explorer import explorer_html

    path = tmp_path_factory.mktemp("explorer") / "explorer.html"
    path.write_text(explorer_html(), encoding="utf-8")
    return path
