"""The package's own runs and what was written down about them: the files of the folder ``runs``, each with its hash."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lawful.errors import FetchError

EMBEDDED = Path(__file__).parent / "runs"
"""Folder of the sets that come with the package, and of what was written down about them."""

SUMS = "SHA256SUMS"
"""Hashes of the files there, as ``sha256sum *.csv *.jsonl`` prints them."""


def embedded_hashes() -> dict[str, str]:
    """
    Return the SHA-256 of every file that comes with the package, by name; none where it was installed without them.

    Examples
    --------
    >>> "tinysweep.csv" in embedded_hashes()
    True
    """
    sums = EMBEDDED / SUMS
    lines = sums.read_text(encoding="utf-8").splitlines() if sums.is_file() else []
    return {name: digest for digest, name in (line.split() for line in lines)}


def embedded_file(name: str) -> Path | None:
    """
    Return where a file of the package's own runs lies; None if this version has none of that name.

    Raises
    ------
    FetchError
        If it is missing or was altered.

    Examples
    --------
    >>> embedded_file("tinysweep.csv").name
    'tinysweep.csv'
    """
    expected = embedded_hashes().get(name)
    if expected is None:
        return None
    path = EMBEDDED / name
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != expected:
        msg = f"{name!r} comes with lawful, and {str(path)!r} is missing or was altered; install lawful again."
        raise FetchError(msg)
    return path
