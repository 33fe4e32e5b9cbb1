"""Single files: written whole or not at all, and never over a file that lawful did not write."""

from __future__ import annotations

import csv
import errno
import json
import os
import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from lawful.errors import OutputError
from lawful.show.files.lock import held

GENERATOR = "lawful"
"""What the pages of lawful name as their generator."""

Ours = Callable[[Path], bool]
HEAD = 4096
"""Characters at the start of a page that hold the name of its generator."""


def is_page(path: Path) -> bool:
    """Whether a file is a page of ours: its head names lawful as its generator."""
    with path.open(encoding="utf-8", errors="replace") as file:
        return f'<meta name="generator" content="{GENERATOR}' in file.read(HEAD)


def is_document(*schemas: str) -> Ours:
    """Return a test whether a file is a JSON document of ours, by how its schema begins."""

    def ours(path: Path) -> bool:
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError):
            return False
        return isinstance(document, dict) and str(document.get("schema", "")).startswith(schemas)

    return ours


def is_table(*columns: str) -> Ours:
    """Return a test whether a file is a CSV table of ours, by columns that only lawful names so."""

    def ours(path: Path) -> bool:
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            try:
                header = next(csv.reader(file), [])
            except csv.Error:
                return False
        return set(columns) <= set(header)

    return ours


def check_place(path: Path, ours: Ours, what: str, option: str = "out") -> None:
    """
    Refuse a place that holds anything but an empty file or an earlier result of the same kind.

    Parameters
    ----------
    path : Path
    ours : callable
        Whether an existing file is such a result.
    what : str
        The result, as a sentence names it: ``a plan``.
    option : str
        The option that named the place.

    Raises
    ------
    OutputError
        Says what stands there.

    Examples
    --------
    >>> import tempfile
    >>> notes = Path(tempfile.mkdtemp(), "notes.csv")
    >>> _ = notes.write_text("mine")
    >>> check_place(notes, is_table("run", "flops"), "a plan")
    Traceback (most recent call last):
        ...
    lawful.errors.OutputError: '...notes.csv' is not a plan that lawful wrote; choose another file for `out`.
    """
    try:
        if path.is_dir():
            msg = f"Cannot write {str(path)!r}, which is a directory; give the name of a file."
            raise OutputError(msg)
        # What is no plain file (/dev/stdout, a pipe) holds nothing that could be lost.
        taken = path.is_file() and path.stat().st_size > 0 and not ours(path)
    except OSError as error:
        raise unwritable(path, error) from None
    if taken:
        msg = f"{str(path)!r} is not {what} that lawful wrote; choose another file for `{option}`."
        raise OutputError(msg)


def write_whole(path: Path, content: str | bytes, *, ours: Ours, what: str, option: str = "out") -> None:
    """
    Write one file, whole or not at all, over nothing but an earlier result of the same kind.

    Parameters
    ----------
    path : Path
        Missing parents are made.
    content : str or bytes
        Characters that UTF-8 cannot hold are written as escapes.
    ours, what, option
        As :func:`check_place` takes them.

    Raises
    ------
    OutputError
        If the file is not ours to replace, another process writes it, or it cannot be written.
    """
    check_place(path, ours, what, option)
    data = encoded(content) if isinstance(content, str) else content
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        target = path.resolve()  # through a link, which stays one
        with held(target):
            check_place(path, ours, what, option)
            replace_file(target, data)
    except OSError as error:
        raise unwritable(path, error) from None


def replace_file(path: Path, data: bytes) -> None:
    """Put content in the place of a file: a crash leaves the old one or the new one, and the new one is on disk."""
    sweep(path.parent, f".{path.name}.part-")
    part = path.with_name(f".{path.name}.part-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def sweep(folder: Path, prefix: str) -> None:
    """Remove parts of files that a process left behind when it was killed; those of a living one stay."""
    for part in _named(folder, prefix):
        if not is_running(part.name.removeprefix(prefix).partition("-")[0]):
            with suppress(OSError):
                part.unlink()


def _named(folder: Path, prefix: str) -> Iterable[Path]:
    try:
        return [one for one in folder.iterdir() if one.name.startswith(prefix)]
    except OSError:
        return []


def is_running(pid: str) -> bool:
    """Whether a process of this number may still run here; where that cannot be told, it may."""
    if not pid.isdigit() or os.name != "posix":  # elsewhere signal 0 is no question
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def encoded(text: str) -> bytes:
    """Return text as UTF-8; halves of characters, as odd file names have them, are written as escapes."""
    return text.encode("utf-8", "backslashreplace")


def unwritable(path: str | Path, error: OSError, kind: str = "file") -> OutputError:
    """Return the error for a place that cannot be written."""
    reason = (error.strerror or type(error).__name__).lower()
    if error.errno == errno.ENAMETOOLONG:
        return OutputError(f"The name {str(path)[:40]!r}… is too long for a {kind}; choose another.")
    return OutputError(f"Cannot write to {str(path)!r} ({reason}); choose another {kind}.")
