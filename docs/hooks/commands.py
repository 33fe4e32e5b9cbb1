"""The reference of the command line, written from the commands themselves."""
# ruff: noqa: INP001 - scripts of the documentation, no package

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

INTRODUCTION = """\
---
title: Command line
description: Every verb of lawful with its usage, options, defaults and examples.
---

# Command line

This page is written from the commands themselves when the site is built; `lawful VERB --help` says the same in a
terminal. Every verb that prints results also prints them as strict JSON with `--json`.

| exit code | means |
|---|---|
| 0 | fine |
| 1 | the data cannot support the request, or a file is in the way: one sentence says what to do |
| 2 | the request itself makes no sense: an unknown option, a value out of range |
| 70 | a bug of ours, with a traceback |
| 130 | interrupted |

"""


def verbs() -> Iterator[tuple[str, Any]]:
    """Yield every command with its full name, ``lawful study run`` among them."""
    import typer

    from lawful.cli.app import app

    def walk(name: str, command: Any) -> Iterator[tuple[str, Any]]:
        yield name, command
        for child in getattr(command, "commands", {}):
            yield from walk(f"{name} {child}", command.commands[child])

    yield from walk("lawful", typer.main.get_command(app))


def command_page() -> str:
    """Return the page of all verbs."""
    found = list(verbs())
    leaves = [(name, command) for name, command in found if not hasattr(command, "commands")]
    lines = ["| command | what it does |", "|---|---|"]
    lines += [f"| [`{name}`](#{anchor(name)}) | {escaped(_first_line(command))} |" for name, command in leaves]
    return INTRODUCTION + "\n".join(lines) + "\n\n" + "\n".join(_section(name, command) for name, command in found)


def anchor(name: str) -> str:
    """Return the identifier of a verb's section."""
    return name.replace(" ", "-")


def _help_parts(command: Any) -> tuple[str, str]:
    """Split a command's help into prose and examples."""
    prose, _, examples = inspect.cleandoc(command.help or "").replace("\f", "").partition("\b\nExamples:\n")
    # What follows the examples, such as the exit codes, stands at the left margin.
    more = re.search(r"^\S.*", examples, re.MULTILINE | re.DOTALL)
    if more:
        prose, examples = f"{prose.strip()}\n\n{more[0]}", examples[: more.start()]
    return prose.strip(), inspect.cleandoc(examples)


def _first_line(command: Any) -> str:
    return " ".join(_help_parts(command)[0].partition("\n\n")[0].split())


def _section(name: str, command: Any) -> str:
    prose, examples = _help_parts(command)
    lines = [f"## `{name}` {{#{anchor(name)}}}", ""]
    lines += [escaped(" ".join(part.split())) + "\n" for part in prose.split("\n\n") if part]
    context = command.make_context(name, [], resilient_parsing=True)
    usage = " ".join(piece.strip("{}") for piece in command.collect_usage_pieces(context))
    lines += ["```text", f"{name} {usage}", "```", ""]
    panels: dict[str, list[str]] = {}
    for param in command.get_params(context):
        if getattr(param, "hidden", False):
            continue
        kind = "Arguments" if param.param_type_name == "argument" else "Options"
        panels.setdefault(getattr(param, "rich_help_panel", None) or kind, []).append(_entry(param, context))
    for title, entries in sorted(panels.items(), key=lambda panel: panel[0] != "Arguments"):
        lines += [f"**{title}**", "", *entries, ""]
    if examples:
        lines += ["**Examples**", "", "```text", examples, "```", ""]
    return "\n".join(lines) + "\n"


def _entry(param: Any, context: Any) -> str:
    """Return one argument or option as an entry of a definition list: what --help says of it, in Markdown."""
    names, text = param.get_help_record(context)
    if param.param_type_name == "argument":
        names = names.partition(" <")[0]
    text, _, extra = text.partition("  [")
    remarks = [escaped(text.strip())]
    for extra_part in extra.rstrip("]").split("; ") if extra else ():
        kind, _, value = extra_part.partition(": ")
        remarks.append(f"{kind.capitalize()}: `{value}`." if value else f"{kind.capitalize()}.")
    return f"`{names}`\n:   {' '.join(remarks)}\n"


def escaped(text: str) -> str:
    """Write plain text so that Markdown reads it as such."""
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", text).replace("\\<", "&lt;").replace("\\>", "&gt;")
