"""Docstrings are written for `help()`; on the site their Sphinx roles become code and links."""
# ruff: noqa: INP001 - scripts of the documentation, no package

from __future__ import annotations

import re
from typing import Any

import griffe

import lawful

EXAMPLES = "\nExamples\n--------\n"
CODE = re.compile(r"(``[^`]*``|`[^`]*`|\*\*\w[^*]*\*\*|(?<![\w*])\*[^*\s][^*\n]*\*(?!\w))")
"""Code and emphasis: what stays as it is where stars are escaped."""
ROLE = re.compile(r":(func|class|data|meth|mod|attr|exc|math):`~?([^`]+)`")


def plain(text: str) -> str:
    """
    Write a docstring as Markdown.

    Roles of public names become links to their entry; formulas become code; the star of N* is no emphasis.
    """

    def role(match: re.Match[str]) -> str:
        kind, target = match[1], match[2].strip()
        name = target.rpartition(".")[2]
        if kind != "math" and name in lawful.__all__ and target in (name, f"lawful.{name}"):
            return f"[`{name}`][lawful.{name}]"
        return f"`{formula(target) if kind == 'math' else name}`"

    prose, heading, examples = ROLE.sub(role, text).partition(EXAMPLES)
    blocks = examples.split("\n\n")
    return prose_of(prose) + heading + "\n\n".join(b if ">>>" in b else prose_of(b) for b in blocks)


def prose_of(text: str) -> str:
    """Escape the stars of a text that are no emphasis."""
    parts = CODE.split(text)
    return "".join(part if i % 2 else part.replace("*", "\\*") for i, part in enumerate(parts))


def formula(text: str) -> str:
    """Write a short TeX formula in plain signs."""
    for tex, sign in ((r"\log_{10}", "log10 "), (r"\hat N", "N̂"), (r"\alpha", "α"), (r"\beta", "β"), ("^*", "*")):
        text = text.replace(tex, sign)
    text = re.sub(r"10\^\{([^{}]*)\}", r"10^(\1)", text).replace(r"\,", "")
    return " ".join(text.replace("{", "").replace("}", "").replace("\\", "").split())


class Roles(griffe.Extension):
    """Rewrites every docstring that is read."""

    def on_instance(self, *, obj: Any, **_: Any) -> None:
        """Rewrite the docstring of a module, class, function or attribute."""
        if obj.docstring is not None:
            obj.docstring.value = plain(obj.docstring.value)
