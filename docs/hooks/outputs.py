"""
Real output on the pages that leave parts of it out.

A page shows under a command the lines that matter, with ``...`` for the rest, and its test holds every line to what the
command prints. On the site the whole output stands there instead, from ``docs/outputs/PAGE.json``, which
``python docs/hooks/outputs.py`` records by running the page's commands and ``tests/test_docs.py`` holds to a fresh run.
"""
# ruff: noqa: INP001 - scripts of the documentation, no package

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent.parent
OUTPUTS = DOCS / "outputs"
PAGES = ("tutorial", "bring-your-runs", "decisions")
MOST_LINES = 60
"""Longer output is cut on the site, with the number of lines that follow."""

FENCE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (?:.*\\\n)*.*$", re.MULTILINE)


def recorded(page: str) -> dict[str, str]:
    """Return what the commands of a page print, by command; empty where nothing was recorded."""
    path = OUTPUTS / f"{page}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def rendered(markdown: str, outputs: dict[str, str]) -> str:
    """Put recorded output in the place of lines that leave parts out; other blocks stay as they are."""

    def block(match: re.Match[str]) -> str:
        parts = [whole(part) for part in re.split(r"^(?=\$ )", match[1], flags=re.MULTILINE)]
        return f"```console\n{''.join(parts).rstrip()}\n```"

    def whole(part: str) -> str:
        command = COMMAND.match(part)
        if not command or "..." not in part[command.end() :] or command[0][2:] not in outputs:
            return part
        lines = [line.rstrip() for line in outputs[command[0][2:]].rstrip("\n").split("\n")]
        more = len(lines) - MOST_LINES
        shown = [*lines[:MOST_LINES], f"[{more} more lines]"] if more > 0 else lines
        return "\n".join([command[0], *shown, "", ""])

    return FENCE.sub(block, markdown)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Called by MkDocs for every page."""
    name = Path(page.file.src_uri).stem
    return rendered(markdown, recorded(name)) if name in PAGES else markdown


def neutral(text: str, shared: Path) -> str:
    """Return output without the paths of this machine."""
    places = {str(Path.cwd()): ".", str(shared): "../shared", str(Path.home()): "~"}
    for place, name in places.items():
        text = text.replace(place, name)
    return text


def record(page: str) -> None:
    """Run the commands of a page as its test does, and keep what they print."""
    sys.path.insert(0, str(DOCS.parent / "tests"))
    import test_docs

    kept: dict[str, str] = {}
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder, "checkout")
        shutil.copytree(DOCS.parent / "examples", Path(checkout, "examples"))
        Path(folder, "shared").symlink_to(test_docs.SHARED)
        os.chdir(checkout)
        os.environ |= {"COLUMNS": "100", "NO_COLOR": "1"}
        os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        run = subprocess.run

        def listening(arguments: Any, **options: Any) -> Any:
            result = run(arguments, **options)
            kept[arguments[-1]] = neutral(result.stdout, test_docs.SHARED)
            return result

        subprocess.run = listening  # type: ignore[assignment]
        try:
            test_docs.run_page(text, page, test_docs.SHARED, check_recorded=False)
        finally:
            subprocess.run = run
            os.chdir(DOCS)
    OUTPUTS.mkdir(exist_ok=True)
    wanted = {command: output for command, output in kept.items() if command.startswith("lawful")}
    (OUTPUTS / f"{page}.json").write_text(json.dumps(wanted, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:] or PAGES:
        record(name)
