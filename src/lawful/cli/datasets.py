"""``lawful datasets``: published sets of runs, fetched on request, and our own, which come with the package."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

from typing import Annotated

import typer

from lawful.cli import options as o
from lawful.cli.splice import VerbCommand
from lawful.cli.terminal import print_document, show, working

app = typer.Typer(no_args_is_help=True, help="List and fetch published sets of runs.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="A set that lawful datasets list shows.")]


@app.command("list", cls=VerbCommand)
def list_sets(json: o.Json = False) -> None:
    """
    List the sets: what they are, their licence, and whether they are on this machine or come with the package.

    \b
    Examples:
      lawful datasets list
      lawful datasets list --json
    """
    from lawful.show.datasets import datasets_document, datasets_sheet

    if json:
        print_document(datasets_document())
        return
    show([datasets_sheet()])


@app.command("fetch", cls=VerbCommand)
def fetch_set(name: Name, json: o.Json = False) -> None:
    """
    Fetch a published set into the cache, check its hash, and say where it is; one that comes with lawful is there.

    \b
    Examples:
      lawful datasets fetch epoch-chinchilla
      LAWFUL_DATA=data lawful datasets fetch misfitting-checkpoints
    """
    from lawful.show.datasets import fetched_lines, set_document
    from lawful.sources.published import fetch

    with working(f"Fetching {name}", quiet=json):
        path = fetch(name)
    if json:
        print_document(set_document(name))
        return
    show(fetched_lines(name, path))


@app.command("path", cls=VerbCommand)
def set_path(name: Name, json: o.Json = False) -> None:
    """
    Print where a set lies; a failure if it was not fetched.

    \b
    Examples:
      lawful fit "$(lawful datasets path tinysweep)" --budget 1.25e15
      lawful fit "$(lawful datasets path epoch-chinchilla)" --budget 1e24
    """
    from lawful.errors import FetchError
    from lawful.show.datasets import set_document
    from lawful.sources.published import cached_path, fetch, published_set

    path = fetch(name) if published_set(name).embedded else cached_path(name)
    if path is None:
        msg = f"{name!r} is not on this machine, or was altered; run lawful datasets fetch {name}."
        raise FetchError(msg)
    if json:
        print_document(set_document(name))
        return
    typer.echo(str(path))
