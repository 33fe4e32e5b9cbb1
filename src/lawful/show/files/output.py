"""Where results go: a directory that is written whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from lawful.errors import OutputError

MARKERS = {
    "fit.json": "lawful.fit/",
    "compare.json": "lawful.compare/",
    "fit-by.json": "lawful.fit-by/",
    "check.json": "lawful.check/",
    "audit.json": "lawful.audit/",
    "bias.json": "lawful.bias",
    "conventions.json": "lawful.conventions/",
    "coverage.json": "lawful.coverage/",
    "speedup.json": "lawful.speedup/",
    "deadweight.json": "lawful.deadweight/",
    "predict.json": "lawful.predict",
    "allocate.json": "lawful.allocate/",
    "profile.json": "lawful.profile/",
    "dial.json": "lawful.dial/",
    "indifference.json": "lawful.indifference/",
    "lack-of-fit.json": "lawful.lack-of-fit/",
}
"""Documents that mark a directory as ours, and how their schema begins."""

DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EXDEV}
"""Errors of the place that is written to, whatever was being written."""

MANIFEST = "files"
"""Key under which a marker lists every file that was written with it."""


@contextmanager
def staged_output(path: str | Path) -> Iterator[Path]:
    """
    Yield a temporary directory beside ``path`` that takes its place when the block ends well.

    Entering the block checks that the result can be written, so a hopeless
    ``path`` is known before any work; an exception inside leaves nothing behind.
    An existing directory is accepted when it is empty or holds an earlier result
    of lawful: then exactly the files written earlier are replaced, and every other
    file stays as it is.

    Parameters
    ----------
    path : str or Path
        Directory to be written; missing parents are made.

    Yields
    ------
    Path
        Directory to write into.

    Raises
    ------
    OutputError
        If ``path`` is a file, holds something else, or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with staged_output(Path(folder) / "result") as stage:
    ...         _ = (stage / "fit.json").write_text("{}")
    ...     print([p.name for p in (Path(folder) / "result").iterdir()])
    ['fit.json']
    """
    try:
        target = Path(path).expanduser().resolve()
        earlier = _earlier_files(target)
    except (OSError, RuntimeError) as error:
        raise _unwritable(path, error) from None
    made = [parent for parent in target.parents if not parent.exists()]
    stage = None
    try:
        try:
            stage = _open_stage(target)
        except OSError as error:
            raise _unwritable(path, error) from None
        try:
            yield stage
        except OSError as error:
            if error.errno in DISK_ERRORS or str(stage) in str(error.filename):
                raise _unwritable(path, error) from None
            raise
        try:
            _move(stage, target, earlier)
        except OSError as error:
            raise _unwritable(path, error) from None
    finally:
        if stage is not None:
            shutil.rmtree(stage, ignore_errors=True)
        for parent in made:  # the deepest first, so that a failure takes back every directory it made
            with suppress(OSError):
                parent.rmdir()


def _open_stage(target: Path) -> Path:
    """Make a directory beside the target; an existing target must take new files too."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        with tempfile.TemporaryFile(dir=target):
            pass
    return Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))


def _unwritable(path: str | Path, error: Exception) -> OutputError:
    reason = (getattr(error, "strerror", None) or type(error).__name__).lower()
    return OutputError(f"Cannot write to {str(path)!r} ({reason}); choose another directory.")


def _earlier_files(target: Path) -> list[str]:
    """Check that the directory is free, empty or ours, and return the files an earlier result wrote."""
    nearest = next(p for p in (target, *target.parents) if p.exists())
    if not nearest.is_dir():
        msg = f"Cannot write to {str(target)!r} because {str(nearest)!r} is a file; give `out` a directory."
        raise OutputError(msg)
    if nearest != target or not any(target.iterdir()):
        return []
    for marker, schema in MARKERS.items():
        files = _manifest(target / marker, schema)
        if files is not None:
            return [marker, *(name for name in files if name != marker)]
    msg = (
        f"The directory {str(target)!r} holds files that lawful did not write; "
        "choose a new or empty directory, or one with an earlier result."
    )
    raise OutputError(msg)


def _manifest(marker: Path, schema: str) -> list[str] | None:
    """Files listed in a document of ours; None if there is none. Names that leave the directory do not count."""
    try:
        document = json.loads(marker.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not (isinstance(document, dict) and str(document.get("schema", "")).startswith(schema)):
        return None
    listed = document.get(MANIFEST)
    names = [n for n in listed if isinstance(n, str)] if isinstance(listed, list) else []
    return [n for n in names if n and not PurePosixPath(n).is_absolute() and ".." not in PurePosixPath(n).parts]


def files_under(folder: Path) -> list[str]:
    """Return every file below a folder, relative and in order."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir())


def _move(stage: Path, target: Path, earlier: list[str]) -> None:
    """Put the staged files in place; on failure put the earlier ones back."""
    _open_to_others(stage)
    if not target.exists():
        stage.rename(target)
        return
    new = files_under(stage)
    foreign = [name for name in new if name not in earlier and (target / name).exists()]
    if foreign:
        msg = (
            f"The directory {str(target)!r} already holds {', '.join(map(repr, foreign))}, which lawful did not write "
            "there; choose another directory."
        )
        raise OutputError(msg)
    backup = stage / ".earlier"
    kept = [name for name in earlier if (target / name).is_file() or (target / name).is_symlink()]
    placed: list[str] = []
    try:
        for name in kept:
            _place(target / name, backup / name)
        for name in new:
            _place(stage / name, target / name)
            placed.append(name)
    except BaseException:
        for name in placed:
            (target / name).unlink(missing_ok=True)
        for name in kept:
            if (backup / name).exists():
                _place(backup / name, target / name)
        raise
    _drop_empty_folders(target, kept)


def _place(source: Path, destination: Path) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    source.replace(destination)


def _drop_empty_folders(target: Path, names: list[str]) -> None:
    """Remove the sub-directories that the earlier result leaves empty."""
    folders = {parent for name in names for parent in (target / name).parents if target in parent.parents}
    for folder in sorted(folders, key=lambda f: len(f.parts), reverse=True):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _open_to_others(stage: Path) -> None:
    """Give the directory the permissions of an ordinary new one; mkdtemp makes it private."""
    umask = os.umask(0)
    os.umask(umask)
    stage.chmod(0o777 & ~umask)
