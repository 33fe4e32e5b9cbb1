"""Which lawful this is: its version, the build by what its code is, and what it runs on."""

from __future__ import annotations

import hashlib
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def build() -> str:
    """
    Return eight signs that stand for the code of the package, whichever way it was installed.

    Examples
    --------
    >>> len(build())
    8
    """
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        # An archive may have been unpacked with other ends of lines.
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()[:8]


def build_line(number: str) -> str:
    """Return the line that ``lawful --version`` prints."""
    parts = [f"Python {platform.python_version()}", f"NumPy {_of('numpy')}", f"SciPy {_of('scipy')}"]
    return f"lawful {number}, build {build()} ({', '.join([*parts, platform.system(), platform.machine()])})"


def _of(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
