"""A study as a record: what it asks, its settings, and how its tables become figures and words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from lawful.errors import UnsupportedError
from lawful.studies.tables import Table
from lawful.studies.verdicts import Comparison

if TYPE_CHECKING:  # matplotlib is loaded by the functions that draw
    from matplotlib.figure import Figure

Config = Mapping[str, Any]
Task = Mapping[str, Any]
Tables = dict[str, Table]

DEFAULT_SEED = 42
"""Seed of the published draws."""

LONG = ("calibration", "interval_kinds")
"""Studies that take an hour at full size: run by name, no part of ``all``."""


def _nothing_published(_: Tables) -> Sequence[Comparison]:
    return ()


@dataclass(frozen=True)
class Study:
    """
    A question put to simulated or published runs, and the road from its settings to words.

    Parameters
    ----------
    number : int
        Its place in the series; names its directory together with ``name``.
    name : str
        Identifier, as on the command line.
    question : str
        What it asks, in one sentence.
    config : mapping
        Settings at full size; JSON values only.
    quick : mapping
        Settings that the quick twin replaces.
    tasks : callable
        From the settings to the chunks of work, JSON values each. A task may carry a
        ``method``; CPU time is summed by it.
    compute : callable
        From the settings and one task to tables. The settings hold ``seed`` and, for
        a study of real runs, ``data`` (the folder). It must depend on nothing else.
    draw : callable
        From the tables to figures by name; the first one stands in the gallery.
    findings : callable
        From the tables to sentences; the first one is the finding.
    published : callable
        From the tables to published figures beside ours.
    summarise : callable, optional
        From the stacked tables of all chunks to the tables that are kept.
    data : tuple of str
        Files of published runs that it reads.

    Examples
    --------
    >>> study = find_study("analytical_error")
    >>> study.folder
    '06_analytical_error'
    >>> len(study.tasks(study.settings(quick=True, seed=0)))
    3
    """

    number: int
    name: str
    question: str
    config: Config
    tasks: Callable[[Config], Sequence[Task]]
    compute: Callable[[Config, Task], Tables]
    draw: Callable[[Tables], dict[str, Figure]]
    findings: Callable[[Tables], list[str]]
    quick: Config
    published: Callable[[Tables], Sequence[Comparison]] = _nothing_published
    summarise: Callable[[Config, Tables], Tables] | None = None
    data: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """Name of its directory in the output."""
        return f"{self.number:02d}_{self.name}"

    def settings(self, *, quick: bool, seed: int) -> dict[str, Any]:
        """Return the settings of one run."""
        return {**self.config, **(self.quick if quick else {}), "seed": seed}


@lru_cache(maxsize=1)
def all_studies() -> tuple[Study, ...]:
    """Return every study, by number: the files of this folder that are called ``sNN_name``."""
    here = str(Path(__file__).parent)
    names = sorted(m.name for m in iter_modules([here]) if m.name[0] == "s" and m.name[1:3].isdigit())
    return tuple(import_module(f"lawful.studies.{name}").STUDY for name in names)


def find_study(name: str) -> Study:
    """
    Return a study by name, number, or the two together.

    Raises
    ------
    UnsupportedError
        If there is no such study.
    """
    for study in all_studies():
        if name.lower() in (study.name, study.folder, str(study.number), f"{study.number:02d}", f"s{study.folder}"):
            return study
    msg = f"There is no study {name!r}; choose one of {', '.join(s.name for s in all_studies())}, or all."
    raise UnsupportedError(msg)


def choose_studies(names: Sequence[str]) -> tuple[Study, ...]:
    """Return the named studies in order of their numbers; ``all`` means every one that takes minutes."""
    named = [name for name in names if name != "all"]
    chosen = {study.number: study for study in map(find_study, named)}
    if "all" in names:
        chosen |= {study.number: study for study in all_studies() if study.name not in LONG}
    return tuple(chosen[number] for number in sorted(chosen))
