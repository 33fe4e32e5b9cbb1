"""
What mkdocs does beside rendering pages: pages that are written at build time, and links that lead out of docs/.

A page keeps the links that work in the repository; here they become links of the site. What only the site has, such as
links to pages that are written at build time, stands in ``<!-- site: … -->``. A link to a file that the site does not
hold stops the build.
"""
# ruff: noqa: INP001 - scripts of the documentation, no package

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from commands import command_page
from gallery import gallery_files, gallery_page
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from names import api_pages, names_by_topic

from lawful.show.explorer import explorer_html

REPOSITORY = Path(__file__).resolve().parents[2]
ROOT_PAGES = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Pages of the repository's root and where the site has them; the home page stands for the README."""
OPTIONAL = ("explore.md", "report.md", "tinysweep.md")
"""Pages that stand in the navigation once they are written."""
EXPLORER = "explorer/index.html"
EXAMPLES = {".csv", ".ipynb", ".json", ".md", ".py"}
"""Kinds of files in examples/ that pages may link to."""
LINK = re.compile(r"(!?\[[^\]]*\]\()(?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)")
ONLY_HERE = re.compile(r"<!-- site: (.*?) -->", re.DOTALL)
SESSION = re.compile(r"^```python\n(?=>>> )", re.MULTILINE)
FENCED = re.compile(r"(^```.*?^```[ ]*$)", re.MULTILINE | re.DOTALL)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Leave out of the navigation what this checkout does not have, and list the pages of the Python reference."""
    config.nav = _present(config.nav or [], Path(config.docs_dir))
    return config


def _present(entries: list[Any], docs: Path) -> list[Any]:
    kept = []
    for entry in entries:
        ((title, target),) = entry.items()
        if isinstance(target, list):
            kept.append({title: _present(target, docs)})
        elif target == "api/index.md":
            pages = [{topic.title: f"api/{topic.stem}.md"} for topic in names_by_topic()]
            kept.append({title: [{"Every name": target}, *pages]})
        elif target not in OPTIONAL or (docs / target).is_file():
            kept.append(entry)
    return kept


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages that are written now, and the files of the repository that pages link to."""
    for source, target in ROOT_PAGES.items():
        if source != "README.md":
            files.append(File.generated(config, target, content=(REPOSITORY / source).read_text(encoding="utf-8")))
    for path in sorted((REPOSITORY / "examples").rglob("*")):
        inside = path.relative_to(REPOSITORY)
        if path.suffix in EXAMPLES and "build" not in inside.parts and path.is_file():
            files.append(File.generated(config, inside.as_posix(), abs_src_path=str(path)))
    pages = {"cli.md": command_page(), "studies.md": gallery_page(), **api_pages()}
    for uri, content in pages.items():
        files.append(File.generated(config, uri, content=content))
    files.append(File.generated(config, EXPLORER, content=explorer_html()))
    for uri, path in gallery_files().items():
        files.append(File.generated(config, uri, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, *, page: Page, files: Files, **_: object) -> str:
    """Turn links between files of the repository into links between pages of the site."""
    uri = page.file.src_uri
    source = next((name for name, target in ROOT_PAGES.items() if target == uri and uri != "index.md"), None)
    place = "" if source else posixpath.dirname(uri if uri.startswith("examples/") else f"docs/{uri}")
    known = {file.src_uri for file in files}

    def link(match: re.Match[str]) -> str:
        head, target, anchor = match[1], match[2], match[3] or ""
        path = posixpath.normpath(posixpath.join(place, target))
        wanted = ROOT_PAGES.get(path) or path.removeprefix("docs/")
        if f"{wanted}/README.md" in known:
            wanted += "/README.md"
        if wanted not in known:
            msg = f"{source or 'docs/' + uri} links to {target}, which is no page or file of the site."
            raise PluginError(msg)
        return f"{head}{posixpath.relpath(wanted, posixpath.dirname(uri) or '.')}{anchor})"

    # As a session, so that the copy button leaves prompts and output out.
    text = SESSION.sub("```pycon\n", ONLY_HERE.sub(r"\1", markdown))
    if uri == "explore.md":
        text = text.replace("\n\n", f"\n\n[Open the explorer]({EXPLORER}){{ .md-button .md-button--primary }}\n\n", 1)
    parts = FENCED.split(text)
    return "".join(part if i % 2 else LINK.sub(link, part) for i, part in enumerate(parts))


def on_post_page(output: str, **_: object) -> str:
    """Mend what the theme leaves out for keyboards and screen readers: scrolled code, the name of the search."""
    output = re.sub(r"<pre(?![^>]*tabindex)", '<pre tabindex="0"', output)
    return output.replace(
        'data-md-component="search" role="dialog"', 'data-md-component="search" role="dialog" aria-label="Search"'
    )
