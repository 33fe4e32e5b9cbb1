"""
Published sets of runs, checked against their hash and read as ``Runs``: fetched on request, or embedded.

The sets of others stay with their authors, and are kept in a cache on this machine once fetched. The runs that we
trained ourselves come with the package.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from lawful.core.shown import Record
from lawful.data.runs import Runs
from lawful.data.selection import Selection
from lawful.errors import FetchError, UnsupportedError
from lawful.sources import embedded
from lawful.sources.read import read_runs

CACHE_VARIABLE = "LAWFUL_DATA"
"""Environment variable with the folder of fetched sets; by default that of the system's caches."""

TIMEOUT = 30.0
"""Seconds without a byte before a server counts as silent."""

CHUNK = 1 << 16
"""Bytes read at a time."""


@dataclass(frozen=True, slots=True)
class PublishedSet(Record):
    """
    Where a published set of runs lies, what it must hash to, and how its columns read.

    Parameters
    ----------
    name : str
        What it is called here, and the stem of its file in the cache.
    title : str
        What it is.
    url, sha256, size : str, str, int
        Address, hash and bytes of the file; no address for a set that comes with the package.
    licence : str
        As its authors state it.
    citation : str
        What to cite.
    columns : mapping of str to str
        Quantity to column.
    select : mapping of str to str
        Rows that belong to it.
    advice : str
        What to know before fitting it.

    Examples
    --------
    >>> PUBLISHED_SETS["epoch-chinchilla"].columns["budget"]
    'Training FLOP'
    """

    name: str
    title: str
    url: str
    sha256: str
    size: int
    licence: str
    citation: str
    columns: Mapping[str, str]
    select: Mapping[str, str] = field(default_factory=dict)
    advice: str = ""

    @property
    def file_name(self) -> str:
        """Name of the file in the cache, or in the package."""
        return f"{self.name}.csv"

    @property
    def embedded(self) -> bool:
        """Whether it comes with the package."""
        return not self.url


def _own(name: str, title: str, advice: str) -> tuple[PublishedSet, ...]:
    """Return the set of our own runs of that name; none where this version comes without it."""
    path = embedded.EMBEDDED / f"{name}.csv"
    digest = embedded.embedded_hashes().get(path.name)
    if digest is None:
        return ()
    return (
        PublishedSet(
            name=name,
            title=title,
            url="",
            sha256=digest,
            size=path.stat().st_size if path.is_file() else 0,
            licence="Apache-2.0, as this package",
            citation="the study tinysweep of this package",
            columns={"params": "params", "tokens": "tokens", "budget": "flops", "loss": "loss"},
            advice=advice,
        ),
    )


_SETS = (
    PublishedSet(
        name="epoch-chinchilla",
        title="Epoch AI's digitisation of Hoffmann et al. 2022, figure 4",
        url=(
            "https://raw.githubusercontent.com/epoch-research/analyzing-chinchilla/"
            "92258837425e1b5f2851d624287f0120583a3d0e/data/svg_extracted_data.csv"
        ),
        sha256="193478df4e90f040016431996c45682659306840ecdadf83cfb9cd5ca0aa1b30",
        size=23_224,
        licence="none stated",
        citation="Besiroglu et al. 2024, arXiv:2404.10102",
        columns={"params": "Model Size", "budget": "Training FLOP", "loss": "loss"},
        advice="The five highest losses are outliers; the published refits leave them out.",
    ),
    PublishedSet(
        name="isoflop-experiments",
        title="Open Athena's collection of eight IsoFLOP experiments, with quality flags",
        url=(
            "https://raw.githubusercontent.com/Open-Athena/scaling-law-analysis/"
            "3e0656ee3dce1a2c89aa67691920f5eb9d30f0fc/data/isoflops/transform/isoflops.csv"
        ),
        sha256="b04d611253611490c5cc339fb95cb28d4f38f279a97438cb804a80f03171caa0",
        size=127_708,
        licence="Apache-2.0, as its data set card says",
        citation="Czech et al. 2026, arXiv:2603.22339",
        columns={"params": "params", "tokens": "tokens", "budget": "budget", "loss": "loss"},
        advice="It holds eight experiments: choose one of them by the column experiment, or fit each on its own.",
    ),
    PublishedSet(
        name="misfitting-checkpoints",
        title="Checkpoints of the misfitting survey (Li et al. 2025)",
        url=(
            "https://raw.githubusercontent.com/hadasah/scaling_laws/"
            "1f3708c0a12df0effb0ee906b1da5f9f0ff4f4f1/data/scaling_results.csv"
        ),
        sha256="193b4b7665365112605417e2ef06d55efe599cfa08412354e3ae42c3af7a9f58",
        size=1_133_268,
        licence="none stated",
        citation="Li et al. 2025, arXiv:2502.18969",
        columns={"params": "N", "tokens": "D", "budget": "C", "loss": "loss"},
        advice="These are checkpoints of unfinished runs; lawful isoflops turns them into points at a budget.",
    ),
    *_own(
        "tinysweep",
        "Our own sweep: 53 byte-level transformers of 5 budgets, three seeds on 9 cells",
        "Seeds of one cell differ by up to a tenth of a nat, and no law can tell more than that.",
    ),
    *_own(
        "tinysweep-target",
        "The runs that tested the forecasts of tinysweep, at 10 times its largest budget",
        "They were forecast before they were trained: score the forecasts by them before you fit them.",
    ),
)

PUBLISHED_SETS: Mapping[str, PublishedSet] = MappingProxyType({one.name: one for one in _SETS})
"""The registry, by name."""


def published_set(name: str) -> PublishedSet:
    """
    Look up a published set.

    Raises
    ------
    UnsupportedError
        If there is none of that name.

    Examples
    --------
    >>> published_set("misfitting-checkpoints").citation
    'Li et al. 2025, arXiv:2502.18969'
    """
    if name not in PUBLISHED_SETS:
        msg = f"There is no published set {name!r}; the sets are {', '.join(PUBLISHED_SETS)}."
        raise UnsupportedError(msg)
    return PUBLISHED_SETS[name]


def cache_folder() -> Path:
    """
    Return the folder of fetched sets, whether it exists or not.

    Examples
    --------
    >>> cache_folder().is_absolute()
    True
    """
    given = os.environ.get(CACHE_VARIABLE, "").strip()
    if given:
        return Path(given).expanduser().absolute()
    import pooch

    return Path(pooch.os_cache("lawful"))


def cached_path(name: str) -> Path | None:
    """
    Return where a published set lies on this machine; None if it was not fetched or has been altered.

    A set that comes with the package lies there.

    Raises
    ------
    UnsupportedError
        If there is no set of that name.

    Examples
    --------
    >>> cached_path("no-such-set")
    Traceback (most recent call last):
        ...
    lawful.errors.UnsupportedError: There is no published set 'no-such-set'; the sets are epoch-chinchilla, \
isoflop-experiments, misfitting-checkpoints, tinysweep...
    """
    wanted = published_set(name)
    path = _place(wanted)
    return path if _is_intact(path, wanted) else None


def _place(wanted: PublishedSet) -> Path:
    return (embedded.EMBEDDED if wanted.embedded else cache_folder()) / wanted.file_name


def _is_intact(path: Path, wanted: PublishedSet) -> bool:
    import pooch

    try:
        return path.is_file() and pooch.file_hash(str(path), alg="sha256") == wanted.sha256
    except OSError:
        return False


def fetch(name: str) -> Path:
    """
    Fetch a published set, unless this machine has it, and check its hash.

    A set that comes with the package is never fetched.

    Parameters
    ----------
    name : str
        One of :data:`PUBLISHED_SETS`.

    Returns
    -------
    Path
        The file in the cache (``LAWFUL_DATA``, or the system's cache folder), or in the package.

    Raises
    ------
    UnsupportedError
        If there is no set of that name.
    FetchError
        If it cannot be fetched whole, is not what was published, or cannot be stored.
        Nothing is left behind.

    Examples
    --------
    >>> lawful.fetch("chinchilla")
    Traceback (most recent call last):
        ...
    lawful.errors.UnsupportedError: There is no published set 'chinchilla'; the sets are epoch-chinchilla, \
isoflop-experiments, misfitting-checkpoints, tinysweep...
    """
    return fetch_set(published_set(name))


def fetch_set(wanted: PublishedSet) -> Path:
    """
    Fetch a set that need not be in the registry; see :func:`fetch`.

    Raises
    ------
    FetchError
        As :func:`fetch`; or if it should have come with the package and did not.
    """
    path = _place(wanted)
    if _is_intact(path, wanted):
        return path
    if wanted.embedded:
        msg = f"{wanted.name!r} comes with lawful, and {str(path)!r} is missing or was altered; install lawful again."
        raise FetchError(msg)
    import logging

    import pooch
    import requests

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # its remarks on downloads belong to the caller, who sees the result
    try:
        stored = pooch.retrieve(
            wanted.url,
            known_hash=f"sha256:{wanted.sha256}",
            fname=wanted.file_name,
            path=path.parent,
            downloader=_download,
        )
    except requests.exceptions.RequestException as error:
        raise FetchError(_unfetched(wanted, _reason(error))) from None
    except ValueError:
        raise FetchError(_unfetched(wanted, "what came is not the published file: its hash differs")) from None
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        msg = (
            f"{wanted.name!r} cannot be stored in {str(path.parent)!r} ({why}); "
            f"set {CACHE_VARIABLE} to a folder that can be written."
        )
        raise FetchError(msg) from None
    finally:
        logger.setLevel(level)
    return Path(stored)


def _download(url: str, output: str, _: object) -> None:
    """Store what an address answers; pooch gives a temporary file, checks its hash, and moves it into place."""
    import requests

    with requests.get(url, stream=True, timeout=TIMEOUT) as response:
        response.raise_for_status()
        with Path(output).open("wb") as file:
            file.writelines(response.iter_content(CHUNK))


def _unfetched(wanted: PublishedSet, reason: str) -> str:
    return (
        f"{wanted.name!r} could not be fetched from {wanted.url} ({reason}); try again later, or download it by hand "
        f"to {str(cache_folder() / wanted.file_name)!r}."
    )


def _reason(error: Exception) -> str:
    """Name what went wrong on the way, without the layers of the network library."""
    import requests

    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answered {response.status_code}"
    kinds = (
        (requests.exceptions.Timeout, "no answer in time"),
        (requests.exceptions.ChunkedEncodingError, "the connection broke before the end of the file"),
        (requests.exceptions.ConnectionError, "no connection"),
    )
    return next((words for kind, words in kinds if isinstance(error, kind)), type(error).__name__)


def fetch_runs(name: str, *, select: Selection | None = None) -> Runs:
    """
    Fetch a published set and read it as runs.

    Parameters
    ----------
    name : str
        One of :data:`PUBLISHED_SETS`.
    select : mapping of str to value or values, optional
        Keep the runs that have one of the values in every named column, besides the
        set's own selection.

    Returns
    -------
    Runs
        As :func:`lawful.read_runs` reads the file.

    Raises
    ------
    FetchError
        As :func:`fetch`.
    InputError
        If the selection matches nothing.

    See Also
    --------
    fetch : The file alone.

    Examples
    --------
    >>> lawful.Runs.fetch("llama")
    Traceback (most recent call last):
        ...
    lawful.errors.UnsupportedError: There is no published set 'llama'; the sets are epoch-chinchilla, \
isoflop-experiments, misfitting-checkpoints, tinysweep...
    """
    wanted = published_set(name)
    return read_runs(fetch_set(wanted), select={**wanted.select, **(select or {})}, columns=wanted.columns)
