"""The registry of published sets: its sheet and its JSON document."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from lawful.core.sheet import Sheet, row
from lawful.sources import published

DATASETS_SCHEMA = "lawful.datasets/1"


def set_document(name: str) -> dict[str, Any]:
    """
    Return one published set as JSON types, with its path if it is on this machine.

    Examples
    --------
    >>> set_document("epoch-chinchilla")["licence"]
    'none stated'
    """
    one = published.published_set(name)
    path = published.cached_path(name)
    return {
        "name": one.name,
        "title": one.title,
        "url": one.url or None,
        "embedded": one.embedded,
        "sha256": one.sha256,
        "size": one.size,
        "licence": one.licence,
        "citation": one.citation,
        "columns": dict(one.columns),
        "select": dict(one.select),
        "advice": one.advice,
        "path": None if path is None else str(path),
    }


def datasets_document() -> dict[str, Any]:
    """
    Return the registry as JSON types.

    Examples
    --------
    >>> [one["name"] for one in datasets_document()["datasets"]]
    ['epoch-chinchilla', 'isoflop-experiments', 'misfitting-checkpoints', 'tinysweep'...]
    """
    return {
        "schema": DATASETS_SCHEMA,
        "cache": str(published.cache_folder()),
        "datasets": [set_document(name) for name in published.PUBLISHED_SETS],
    }


def datasets_sheet() -> Sheet:
    """Return the registry in a table, and a paragraph per set."""
    known = published.PUBLISHED_SETS.values()
    rows = tuple(row(one.name, f"{one.size / 1000:,.0f} kB", _here(one)) for one in known)
    told = (f"{one.name}: {one.title}. Licence: {one.licence}. Cite {one.citation}. {one.advice}" for one in known)
    where = f"Fetched sets lie in {published.cache_folder()}; LAWFUL_DATA names another folder."
    return Sheet("Published sets.", (), ("set", "size", "on this machine"), rows, "", (*told, where))


def _here(one: published.PublishedSet) -> str:
    if published.cached_path(one.name) is None:
        return "no"
    return "yes, embedded" if one.embedded else "yes, fetched"


def fetched_lines(name: str, path: Path) -> list[str]:
    """Say where a fetched set lies, what to cite, and how to read it."""
    one = published.published_set(name)
    columns = ",".join(f"{quantity}={column}" for quantity, column in one.columns.items())
    selected = "".join(f" --select {shlex.quote(f'{key}={value}')}" for key, value in one.select.items())
    return [
        f"{path}",
        *(["Nothing to fetch: it comes with lawful."] if one.embedded else []),
        f"{one.title}. Licence: {one.licence}. Cite {one.citation}. {one.advice}",
        f"Fit it with: lawful fit {shlex.quote(str(path))} --columns {shlex.quote(columns)}{selected}",
    ]
