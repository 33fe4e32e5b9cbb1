"""The documentation site: built without a warning; every page, verb, flag and public name; no network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import lawful

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

REPOSITORY = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.slow  # the site is built once, and opened in a browser
PAGES = ("index", "tutorial", "cli", "api/conventions")
"""Pages that are opened in a browser: the home page, prose, and both references."""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it, but for the figures of the gallery."""
    pytest.importorskip("mkdocstrings", reason="the site is built with mkdocs: make docs, or install .[docs]")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = os.environ | {"LAWFUL_GALLERY": "no", "NO_MKDOCS_2_WARNING": "1"}
    result = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    return folder


class Found(HTMLParser):
    """Text, identifiers, links and sources of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.sources: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids.add(values.get("id") or "")
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        if tag == "img":
            self.images.append(values)
        if tag == "script" and values.get("src"):
            self.sources.append(values["src"])
        if tag == "link" and values.get("rel") in ("stylesheet", "icon", "preconnect", "preload"):
            self.sources.append(values["href"])

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def page_of(site: Path, name: str) -> Found:
    return Found((site / f"{name}.html").read_text(encoding="utf-8"))


def test_every_page_of_the_docs_is_reached_from_the_navigation(site: Path) -> None:
    home = page_of(site, "index")
    reached = {link.partition("#")[0] for link in home.links}
    pages = {path.relative_to(REPOSITORY / "docs") for path in (REPOSITORY / "docs").rglob("*.md")}
    pages -= {Path("calibration/findings.md"), Path("calibration/kinds/findings.md")}
    wanted = {page.with_suffix(".html").as_posix().replace("README", "index") for page in pages}
    wanted |= {"cli.html", "studies.html", "api/index.html", "architecture.html", "contributing.html", "changelog.html"}
    assert wanted - reached == set()
    assert [page for page in sorted(wanted) if not (site / page).is_file()] == []


def test_the_reference_of_the_command_line_has_every_verb_and_flag(site: Path) -> None:
    import typer

    from lawful.cli.app import app

    page = page_of(site, "cli")
    missing = []

    def look(name: str, command: object) -> None:
        if name.replace(" ", "-") not in page.ids:
            missing.append(name)
        section = re.split(rf"\b{name} \[", page.text)[-1]
        flags = [flag for param in command.params for flag in (*param.opts, *param.secondary_opts)]
        missing.extend(f"{name} {flag}" for flag in flags if flag.startswith("-") and flag not in section)
        for child, below in getattr(command, "commands", {}).items():
            look(f"{name} {child}", below)

    look("lawful", typer.main.get_command(app))
    assert missing == []


def test_the_reference_of_python_has_every_public_name(site: Path) -> None:
    index = page_of(site, "api/index")
    listed = {link for link in index.links if "#lawful." in link}
    ids = {f"{path.name}#{i}" for path in (site / "api").glob("*.html") for i in Found(path.read_text()).ids}
    names = set(lawful.__all__) - {"__version__"}
    assert names - {link.partition("#lawful.")[2] for link in listed} == set()
    assert listed - ids == set()
    assert "lawful.__version__" in index.text


def test_docstrings_leave_no_markup_behind(site: Path) -> None:
    for path in (site / "api").glob("*.html"):
        text = Found(path.read_text(encoding="utf-8")).text
        assert re.findall(r":(?:func|class|data|meth|math|attr):", text) == [], path.name


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for path in site.rglob("*.html"):
        found = Found(path.read_text(encoding="utf-8"))
        outside = [s for s in found.sources if re.match(r"(https?:)?//", s)]
        assert outside == [], path.name
        assert [image for image in found.images if not (image.get("alt") or "").strip()] == [], path.name


def test_links_of_built_pages_lead_somewhere(site: Path) -> None:
    broken = []
    for path in site.rglob("*.html"):
        if path.name == "404.html":
            continue
        for link in page_of(site, path.relative_to(site).with_suffix("").as_posix()).links:
            target = link.partition("#")[0]
            if target and not re.match(r"[a-z]+:", target) and not (path.parent / target).exists():
                broken.append(f"{path.name}: {link}")
    assert broken == []


def test_the_gallery_asks_every_question(site: Path) -> None:
    from lawful.studies.study import all_studies

    text = page_of(site, "studies").text
    assert [study.name for study in all_studies() if " ".join(study.question.split()) not in text] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_pages_are_accessible(
    site: Path, browser: Browser, serious_violations: Callable[[Page], list[str]], name: str, scheme: str
) -> None:
    # Not by visit: axe itself asks for the style sheets, which a browser refuses to scripts of a file.
    with browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme) as context:
        page = context.new_page()
        page.goto((site / f"{name}.html").as_uri())
        page.wait_for_timeout(300)  # the header fades in
        assert page.locator("h1").count() == 1
        assert serious_violations(page) == []


@pytest.mark.parametrize("name", [*PAGES, "laws", "uncertainty", "decisions", "parabolas"])
def test_pages_fit_a_phone_and_ask_no_network(site: Path, visit: Callable[..., Page], name: str) -> None:
    page = visit(site / f"{name}.html", width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_search_works_from_a_folder(site: Path, visit: Callable[..., Page]) -> None:
    page = visit(site / "index.html")
    page.locator(".md-search__input").click()
    page.keyboard.type("deadweight compute loss")
    first = page.locator(".md-search-result__link").first
    first.wait_for()
    assert "deadweight" in (first.get_attribute("href") or "").lower()


@pytest.mark.parametrize(
    ("docstring", "page"),
    [
        ("See :func:`lawful.fit` and :class:`Fit`.", "See [`fit`][lawful.fit] and [`Fit`][lawful.Fit]."),
        ("Uses :data:`~lawful.design.plan.STUDY_SURFACES`.", "Uses `STUDY_SURFACES`."),
        ("N*, D* and L* of *one* **kind**; ``a * b``.", r"N\*, D\* and L\* of *one* **kind**; ``a * b``."),
        (r"Decades, :math:`\log_{10}(N / N^*)`.", "Decades, `log10 (N / N*)`."),
        (
            "N*.\n\nExamples\n--------\nOf N*:\n\n>>> 2 * 3 ** 2\n18",
            "N\\*.\n\nExamples\n--------\nOf N\\*:\n\n>>> 2 * 3 ** 2\n18",
        ),
    ],
)
def test_docstrings_become_markdown(docstring: str, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("griffe", reason="docstrings are read with griffe: make docs, or install .[docs]")
    monkeypatch.syspath_prepend(REPOSITORY / "docs" / "hooks")
    from roles import plain

    assert plain(docstring) == page
