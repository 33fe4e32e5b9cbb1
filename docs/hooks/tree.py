"""Write the tree of the package into ARCHITECTURE.md, from the first line of every module's docstring."""
# ruff: noqa: INP001 - a script of the documentation, no package

from __future__ import annotations

import ast
import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "src" / "lawful"
BLOCK = re.compile(r"^```\nsrc/lawful/\n.*?^```$", re.MULTILINE | re.DOTALL)


def first_line(path: Path) -> str:
    """Return the first line of a module's docstring, without its full stop."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0].rstrip(".")


def lines(folder: Path, depth: int = 1) -> list[str]:
    """Return a folder's modules, then its folders, each with its description."""
    pad = "  " * depth
    modules = [p for p in sorted(folder.glob("*.py")) if p.name != "__init__.py" or folder == PACKAGE]
    listed = [f"{pad}{p.name:<{max(30 - len(pad), len(p.name) + 1)}}{first_line(p)}" for p in modules]
    for room in sorted(p.parent for p in folder.glob("*/__init__.py")):
        name = f"{room.name}/"
        listed.append(f"{pad}{name:<{max(30 - len(pad), len(name) + 1)}}{first_line(room / '__init__.py')}")
        listed += lines(room, depth + 1)
    return listed


def with_tree(text: str) -> str:
    """Return the text of ARCHITECTURE.md with the tree as the package has it now."""
    block = "\n".join(["```", "src/lawful/", *lines(PACKAGE), "```"])
    changed, count = BLOCK.subn(lambda _: block, text)
    if count != 1:
        msg = "ARCHITECTURE.md needs exactly one block that starts with src/lawful/"
        raise ValueError(msg)
    return changed


if __name__ == "__main__":
    page = REPOSITORY / "ARCHITECTURE.md"
    page.write_text(with_tree(page.read_text(encoding="utf-8")), encoding="utf-8")
