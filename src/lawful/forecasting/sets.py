"""Public hold-outs: which sets of runs forecasts are tested on, where they come from, and how each is split."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lawful.core.cost import Cost
from lawful.core.shown import Record
from lawful.core.typing import Array, BoolArray
from lawful.data.runs import Runs
from lawful.errors import IdentificationError, InputError
from lawful.forecasting.members import check_enough
from lawful.laws.catalogue_coupled import SKALING
from lawful.laws.surface import Surface
from lawful.sources.embedded import embedded_file


@dataclass(frozen=True, slots=True)
class Source:
    """
    A set of runs that forecasts are tested on, as the registry has it.

    Attributes
    ----------
    name, family : str
        Sets of one family share their authors and their data, and are left out together.
    file : str
        Path below the folder of sets; ``embedded:NAME`` for runs that come with the package.
    columns : (str, str, str, str)
        Parameters, tokens, loss and FLOPs; empty for C = 6ND.
    only : (str, str), optional
        Column and value of its rows.
    fresh : str
        Column of unique tokens: rows that repeat data are left out.
    rows : int
        Runs that it holds.
    sha256 : str
        Of the file.
    licence, citation : str
    """

    name: str
    family: str
    file: str
    columns: tuple[str, str, str, str]
    rows: int
    sha256: str
    licence: str
    citation: str
    only: tuple[str, str] | None = None
    fresh: str = ""


ISOFLOPS = "2f1d9c2894057a58d2d6f881c4f6931d93f5a05e02810978009442bbe37f44bd"
PORIAN = "fceb3232c8c5b36cb07391fd3f1df891c4e6391df675d0f06ce1e9315d259189"


def _isoflop(name: str, family: str, experiment: str, rows: int) -> Source:
    """One experiment of Open Athena's collection."""
    columns = ("params", "tokens", "loss", "budget")
    licence, citation = "Apache-2.0, as its data set card says", "Czech et al. 2026, arXiv:2603.22339"
    only = ("experiment", experiment)
    return Source(name, family, "isoflops.csv", columns, rows, ISOFLOPS, licence, citation, only)


def _porian(name: str, experiment: str, rows: int) -> Source:
    """One sweep of Porian et al."""
    columns = ("params", "tokens", "loss", "flops")
    only = ("experiment", f"owt2/{experiment}")
    return Source(
        f"porian {name}", "porian", "more/porian_owt2.csv", columns, rows, PORIAN, "MIT", "Porian et al. 2024", only
    )


SOURCES = (
    _isoflop("chinchilla, Epoch", "chinchilla", "epochai_chinchilla__massivetext__chinchilla", 123),
    _isoflop("chinchilla, ML-Scalefit", "chinchilla", "ml_scalefit__massivetext__chinchilla", 124),
    _isoflop("llama 3", "llama 3", "llama_3__raw_loss", 133),
    _isoflop("marin CoMMA", "marin", "marin_202603__comma__llama_2", 85),
    _isoflop("marin DCLM", "marin", "marin_202603__dclm__llama_2", 85),
    _isoflop("misfitting", "misfitting", "misfitting__fineweb_c4__transformer", 176),
    Source(
        "gadre C4",
        "gadre",
        "more/gadre_c4.csv",
        ("params", "tokens", "loss", ""),
        34,
        "dc155e6c961a59337a82adcd897ee58dec129c3fdb4a7934d5718b1b2636afdf",
        "MIT",
        "Gadre et al. 2024",
    ),
    Source(
        "gemstones",
        "gemstones",
        "more/gemstones_cooldown.csv",
        ("params", "tokens", "loss", ""),
        199,
        "b8c6ca28c41a123be529c771315b08ddbf191dfa619df2d4365f2540f292e13f",
        "MIT",
        "McLeish et al. 2025",
    ),
    _porian("long, kaplan, train", "base/long/kaplan/kaplan/train", 113),
    _porian("long, kaplan", "base/long/kaplan/standard/val", 132),
    _porian("short, kaplan", "base/short/kaplan/standard/val", 132),
    _porian("short, chinchilla", "base/short/chinchilla/standard/val", 88),
    _porian("tuned, short", "tuned/short/const/standard/val", 116),
    Source(
        "farseer",
        "farseer",
        "scalebench/farseer_train.csv",
        ("N", "D", "loss", ""),
        404,
        "5141e5c294113cbac103bb352f23ec309873bac7cfbe5141c046992137e459e5",
        "CC-BY-4.0",
        "Farseer 2025, by arXiv:2604.22753",
    ),
    Source(
        "data-constrained, fresh",
        "datablations",
        "scalebench/data_constrained_train.csv",
        ("params", "tokens", "loss", ""),
        27,
        "c3d6e407a6aecfa4f32e2d83cf866fc351f98e1272245a27721c294206d71f54",
        "CC-BY-4.0",
        "Muennighoff et al. 2023, by arXiv:2604.22753",
        fresh="unique_tokens",
    ),
    Source(
        "tinysweep",
        "tinysweep",
        "embedded:tinysweep.csv",
        ("params", "tokens", "loss", "flops"),
        53,
        "",
        "Apache-2.0",
        "the study tinysweep of this package",
    ),
)
"""The public sets, in the order of the tables."""


@dataclass(frozen=True, slots=True)
class HoldOutSet(Record):
    """
    Runs to forecast some of from the others.

    Attributes
    ----------
    name, family : str
    runs : Runs
    truth : Surface or None
        What simulated runs came from.
    altered : bool
        Whether the file is not the one of the registry.
    """

    name: str
    family: str
    runs: Runs
    truth: Surface | None = None
    altered: bool = False


@dataclass(frozen=True, slots=True)
class Split:
    """
    Which runs of a set are fitted and which are forecast.

    Attributes
    ----------
    kind : str
        One of :data:`KINDS`.
    train, test : bool array, shape (n,)
    """

    kind: str
    train: BoolArray
    test: BoolArray


KINDS = ("top quarter", "two budgets", "size", "3x", "10x", "30x", "100x")
"""Ways to split: the largest quarter of the compute, the two largest budgets, the largest sizes, and runs so many times
beyond the largest compute that was fitted."""

BANDS = {"3x": (2.0, 5.0), "10x": (6.5, 16.0), "30x": (20.0, 48.0), "100x": (65.0, np.inf)}
"""Factors beyond the largest compute that count as each distance."""

CUTS = 4
"""Places at most where a set is cut for the distances, spread over its compute."""

LEAST_HELD = 3
"""Runs that a split must hold out, and so must one in twenty be where budgets are not shared."""


def read_sets(folder: str | Path | None) -> tuple[HoldOutSet, ...]:
    """
    Read every set of the registry that lies in a folder, and those that come with the package.

    Parameters
    ----------
    folder : str or Path, optional
        Laid out as :data:`SOURCES` says; without one only the package's own runs are read.

    Returns
    -------
    tuple of HoldOutSet

    Raises
    ------
    InputError
        If there is no such folder.

    Examples
    --------
    >>> [one.name for one in read_sets(None)]
    ['tinysweep']
    """
    if folder is not None and not Path(folder).is_dir():
        msg = f"There is no folder {str(folder)!r} of published runs; lawful bench runs on simulated sets without one."
        raise InputError(msg)
    found = (_read(source, folder) for source in SOURCES)
    return tuple(one for one in found if one is not None)


def _read(source: Source, folder: str | Path | None) -> HoldOutSet | None:
    """Runs of one source; None where its file does not lie in the folder."""
    if source.file.startswith("embedded:"):
        path = embedded_file(source.file.removeprefix("embedded:"))
    else:
        path = None if folder is None else Path(folder) / source.file
    if path is None or not path.is_file():
        return None
    text = path.read_bytes()
    altered = source.sha256 not in ("", hashlib.sha256(text).hexdigest())
    rows = list(csv.DictReader(text.decode("utf-8").splitlines()))
    if source.only is not None:
        rows = [row for row in rows if row.get(source.only[0]) == source.only[1]]
    if source.fresh:
        rows = [row for row in rows if float(row[source.columns[1]]) <= float(row[source.fresh]) * (1 + 1e-4)]
    if not rows:
        return None
    N, D, L = (_column(rows, name) for name in source.columns[:3])
    C = _column(rows, source.columns[3]) if source.columns[3] else Cost().flops(N, D)
    runs = Runs.from_arrays(N, D, L, C=C, source=source.name)
    return HoldOutSet(source.name, source.family, runs, altered=altered)


def _column(rows: list[dict[str, str]], name: str) -> Array:
    return np.array([float(row[name]) for row in rows])


NOISE = 0.003
"""Standard deviation of the log loss of a simulated run."""


def simulated_sets() -> tuple[HoldOutSet, ...]:
    """
    Return runs of known truths that need no file: a sweep, a grid and a ladder, of coupled laws and of Chinchilla's.

    Examples
    --------
    >>> [one.name for one in simulated_sets()]
    ['simulated sweep, k .5', 'simulated grid, k .8', 'simulated ladder, k 1.3', 'simulated sweep, chinchilla']
    """
    made = []
    truths = (("sweep, k .5", coupled(0.5)), ("grid, k .8", coupled(0.8)), ("ladder, k 1.3", coupled(1.3)))
    for seed, (name, truth) in enumerate((*truths, ("sweep, chinchilla", Surface.named("hoffmann")))):
        N, D = design(name.split(",")[0], truth)
        rng = np.random.default_rng([2604, seed])
        losses = truth.loss(N, D) * np.exp(NOISE * rng.standard_normal(N.size))
        made.append(HoldOutSet(f"simulated {name}", f"simulated {name}", Runs.from_arrays(N, D, losses), truth))
    return tuple(made)


def coupled(k: float) -> Surface:
    """Return a coupled truth whose loss falls with the exponents of Hoffmann et al. 2022 along each axis."""
    values = {"E": 1.69, "A": 406.4 ** (1 / k), "B": 410.7 ** (1 / k), "alpha": 0.34 / k, "beta": 0.28 / k, "k": k}
    return Surface(values, SKALING)


def design(kind: str, truth: Surface) -> tuple[Array, Array]:
    """
    N and D of a sweep (seven budgets, nine sizes each), a grid (seven sizes, six ratios) or a ladder (eight, three).

    Raises
    ------
    KeyError
        If the kind is another.
    """
    if kind == "sweep":
        C = np.repeat(np.geomspace(1e18, 1e21, 7), 9)
        size = truth.optimum(C).params * np.tile(np.geomspace(1 / 6, 6, 9), 7)
        return size, np.asarray(Cost().tokens(budget=C, params=size))
    sizes, ratios = {
        "grid": (np.geomspace(5e7, 2e9, 7), np.geomspace(4, 400, 6)),
        "ladder": (np.geomspace(3e7, 3e9, 8), np.array([10.0, 25.0, 80.0])),
    }[kind]
    size = np.repeat(sizes, ratios.size)
    return size, size * np.tile(ratios, sizes.size)


def splits(runs: Runs, kinds: Iterable[str] = KINDS) -> tuple[Split, ...]:
    """
    Every split of some runs that leaves enough to fit and enough to forecast.

    Parameters
    ----------
    runs : Runs
    kinds : iterable of str

    Returns
    -------
    tuple of Split

    Examples
    --------
    >>> runs = simulated_sets()[0].runs
    >>> [(split.kind, int(split.test.sum())) for split in splits(runs, ["top quarter", "two budgets", "size"])]
    [('top quarter', 9), ('two budgets', 18), ('size', 16)]
    """
    wanted, logs = tuple(kinds), np.log(runs.C)
    made = []
    if "top quarter" in wanted:
        # Budgets are written down with a few digits: runs within 10% of the edge stay together below it.
        made.append(Split("top quarter", *_cut(logs <= np.quantile(logs, 0.75) + np.log(1.1))))
    if "two budgets" in wanted:
        cut = Split("two budgets", *_cut(runs.group < runs.budgets.size - 2))
        made += [cut] if cut.test.sum() >= 0.05 * len(runs) else []
    if "size" in wanted:
        made.append(Split("size", *_cut(np.quantile(runs.N, 0.75) * (1 + 1e-9) >= runs.N)))
    for train in _trains(runs) if set(wanted) & set(BANDS) else ():
        beyond = logs - logs[train].max()
        for kind, (low, high) in BANDS.items():
            if kind in wanted:
                made.append(Split(kind, train, (beyond > np.log(low)) & (beyond <= np.log(high))))
    return tuple(one for one in made if one.test.sum() >= LEAST_HELD and _is_enough(runs, one.train))


def _cut(train: BoolArray) -> tuple[BoolArray, BoolArray]:
    return train, ~train


def _trains(runs: Runs) -> list[BoolArray]:
    """Runs below some places in compute, spread evenly over those that leave enough on either side."""
    logs = np.log(runs.C)
    edges = np.unique(np.round(logs, 2))
    fits = [train for edge in edges if _is_enough(runs, train := logs <= edge + 0.02)]
    fits = [train for train in fits if logs.max() - logs[train].max() > np.log(BANDS["3x"][0])]
    if len(fits) <= CUTS:
        return fits
    return [fits[i] for i in np.unique(np.linspace(0, len(fits) - 1, CUTS).round().astype(int))]


def _is_enough(runs: Runs, train: BoolArray) -> bool:
    if not train.any():
        return False
    try:
        check_enough(runs.N[train], runs.D[train], runs.C[train])
    except IdentificationError:
        return False
    return True
