"""Published runs as the studies take them: the sets, what was left out, and coefficients in printed units."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lawful.checks.check import apply_rules
from lawful.checks.rules import DEFAULT_THRESHOLDS, Thresholds
from lawful.data.runs import Runs
from lawful.errors import InputError
from lawful.sources.published import PUBLISHED_SETS
from lawful.sources.read import read_runs

CHINCHILLA_SVG = "chinchilla_svg.csv"
ISOFLOPS = "isoflops.csv"

FETCHED = {CHINCHILLA_SVG: "epoch-chinchilla", ISOFLOPS: "isoflop-experiments"}
"""The same runs among the sets that ``lawful datasets fetch`` knows."""

HIGHEST_LOSSES = 5
"""Outliers of Epoch AI's digitisation, with under 0.4 tokens per parameter."""

EXPERIMENTS = {
    "llama_3__raw_loss": "Llama 3",
    "epochai_chinchilla__massivetext__chinchilla": "Chinchilla (Epoch AI)",
    "ml_scalefit__massivetext__chinchilla": "Chinchilla (ml-scalefit)",
    "marin_202603__comma__llama_2": "Marin, CoMMA",
    "marin_202603__dclm__llama_2": "Marin, DCLM",
    "marin_202603__nemotron__llama_2": "Marin, Nemotron",
    "misfitting__fineweb_c4__transformer": "Misfitting",
}


SPLINE_Z = {"epochai_chinchilla__massivetext__chinchilla": 3.0, "marin_202603__dclm__llama_2": 4.5}
"""Largest robust z against the spline in the published quality control, where it is not the usual one."""


def clean(runs: Runs, experiment: str) -> Runs:
    """Runs that the published quality control keeps, with the thresholds of the experiment."""
    return runs.take(flags(runs, experiment) == "none")


def flags(runs: Runs, experiment: str) -> NDArray[Any]:
    """Code of the first rule of the published quality control that flags each run, ``"none"`` where none does."""
    usual = DEFAULT_THRESHOLDS.spline_z
    return apply_rules(runs, Thresholds(spline_z=SPLINE_Z.get(experiment, usual)))


def has_file(folder: Path, name: str) -> bool:
    """Whether a folder holds a table of published runs, under its own name or as a fetched set."""
    return (folder / name).is_file() or (folder / PUBLISHED_SETS[FETCHED[name]].file_name).is_file()


def data_file(folder: Path, name: str) -> Path:
    """
    Return the file that holds a table of published runs.

    Raises
    ------
    InputError
        If the folder has neither the table nor the fetched set.
    """
    if not has_file(folder, name):
        msg = f"There is no {name} in {str(folder)!r}; run lawful datasets fetch, or name another folder."
        raise InputError(msg)
    own = folder / name
    return own if own.is_file() else folder / PUBLISHED_SETS[FETCHED[name]].file_name


def _read(folder: str, name: str, select: Mapping[str, str] | None = None) -> Runs:
    path = data_file(Path(folder), name)
    columns = None if path.name == name else PUBLISHED_SETS[FETCHED[name]].columns
    return read_runs(path, select=select, columns=columns)


def read_svg(folder: str, *, below: float | None = None) -> Runs:
    """Chinchilla runs of figure 4 without the five highest losses, at budgets below a limit."""
    runs = _read(folder, CHINCHILLA_SVG)
    keep = np.argsort(runs.L, kind="stable")[:-HIGHEST_LOSSES]
    mask = np.zeros(len(runs), dtype=bool)
    mask[keep] = True
    if below is not None:
        mask &= below > runs.C
    return runs.take(mask)


def has_experiment(folder: str, name: str) -> bool:
    """Whether the folder's table of experiments holds this one."""
    import csv

    with data_file(Path(folder), ISOFLOPS).open(encoding="utf-8", newline="") as file:
        return any(row["experiment"] == name for row in csv.DictReader(file))


def read_experiment(folder: str, name: str) -> Runs:
    """Runs of one published IsoFLOP experiment."""
    return _read(folder, ISOFLOPS, {"experiment": name})
