"""Where results go: a directory that is written whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePosixPath

from lawful.errors import OutputError
from lawful.show.files.lock import held, lock_path
from lawful.show.files.place import is_running, replace_file

TABLES, TABLES_SCHEMA = "tables.json", "lawful.tables/1"
"""The document that lists the tables of a report which stands alone."""

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
    "look.json": "lawful.look/",
    "bench.json": "lawful.bench/",
    "rerun.json": "lawful.rerun/",
    TABLES: TABLES_SCHEMA,
    "manifest.json": "lawful.study/",
}
"""Documents that mark a directory as ours, and how their schema begins."""

DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EXDEV}
"""Errors of the place that is written to, whatever was being written."""

MANIFEST = "files"
"""Key under which a marker lists every file that was written with it."""

NEW, OLD, GONE = ".lawful-new-", ".lawful-old", ".lawful-gone"
"""Names, behind that of the directory, of a result that is being written, of the one it takes the place of, and of that
one when nothing in it is wanted any more. Whoever finds one of them without a writer finishes or undoes its work."""

COMMIT = ".lawful-commit"
"""A list of moves in a result that is put in place file by file: once it is there, all are made, sooner or later."""


@contextmanager
def staged_output(path: str | Path, *, besides: Sequence[str] = ()) -> Iterator[Path]:
    """
    Yield a temporary directory beside ``path`` that takes its place when the block ends well.

    Entering the block checks that the result can be written, so a hopeless
    ``path`` is known before any work; an exception inside leaves nothing behind.
    An existing directory is accepted when it is empty or holds an earlier result
    of lawful: then exactly the files written earlier are replaced, and every other
    file stays as it is.

    The directories change places whole. A process that is killed in between leaves the earlier or the new one,
    under its own or a hidden name beside it; the next one that writes there, or loads from there, finds it.

    Parameters
    ----------
    path : str or Path
        Directory to be written; missing parents are made.
    besides : sequence of str
        Names that may stand in it before there is any result.

    Yields
    ------
    Path
        Directory to write into.

    Raises
    ------
    OutputError
        If ``path`` is a file, holds something else, cannot be written, or another process writes to it.

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
        _earlier_files(target, besides)
        made = [parent for parent in target.parents if not parent.exists()]
        movable = _is_movable(target)
    except (OSError, RuntimeError) as error:
        raise _unwritable(path, error) from None
    try:
        with ExitStack() as stack:
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                locked = stack.enter_context(held(_lock_place(target, movable=movable)))
            except OSError as error:
                raise _unwritable(path, error) from None
            yield stack.enter_context(_staged(path, target, besides, movable=movable, locked=locked))
    finally:
        for parent in made:  # the deepest first, so that a failure takes back every directory it made
            with suppress(OSError):
                parent.rmdir()


@contextmanager
def _staged(path: str | Path, target: Path, besides: Sequence[str], *, movable: bool, locked: bool) -> Iterator[Path]:
    """Yield a stage for a target that is locked, and put it in place when the block ends well."""
    try:
        _recover(target, locked=locked)
        earlier = _earlier_files(target, besides)
        stage = _open_stage(target, movable=movable)
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        try:
            yield stage
        except OSError as error:
            if error.errno in DISK_ERRORS or str(stage) in str(error.filename):
                raise _unwritable(path, error) from None
            raise
        try:
            _put_in_place(stage, target, earlier, movable=movable)
        except OSError as error:
            raise _unwritable(path, error) from None
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        with suppress(OSError):
            _recover(target, locked=locked)


def recover(folder: Path) -> None:
    """Finish or undo what a killed process left of a result; nothing where another one is writing it, or none was."""
    with suppress(OSError, RuntimeError, OutputError):
        target = folder.expanduser().resolve()
        places = [_lock_place(target, movable=movable) for movable in (True, False)]
        if not _leftovers(target) and not any(lock_path(place).exists() for place in places):
            return
        for place in places:
            if place.parent.is_dir():
                with held(place) as locked:
                    _recover(target, locked=locked)


def _lock_place(target: Path, *, movable: bool) -> Path:
    """What the lock is beside: the target, or a name inside one that itself stays where it is."""
    return target if movable else target / "result"


def _is_movable(target: Path) -> bool:
    """
    Whether a directory can change places with another one.

    A mount point cannot, nor one in a folder that is not ours to write, and the directory that somebody
    stands in must not: their shell would go on in the one that was put away.
    """
    if not target.exists():
        return True
    with suppress(OSError):
        here = Path.cwd().resolve()
        if target == here or target in here.parents:
            return False
    return not target.is_mount() and os.access(target.parent, os.W_OK | os.X_OK)


def _leftovers(target: Path) -> list[Path]:
    """Hidden directories of a result beside it and in it."""
    found = [target.with_name(f".{target.name}{end}") for end in (OLD, GONE)]
    for folder, start in ((target.parent, f".{target.name}{NEW}"), (target, NEW)):
        with suppress(OSError):
            found += [one for one in sorted(folder.iterdir()) if one.name.startswith(start)]
    return [one for one in found if one.is_dir()]


def _recover(target: Path, *, locked: bool) -> None:
    """Finish or undo what is left of a result whose writer is gone; the lock says that it is."""
    old, gone = (target.with_name(f".{target.name}{end}") for end in (OLD, GONE))
    for one in _leftovers(target):
        if one in (old, gone):
            continue
        writer = one.name.partition(NEW)[2].partition("-")[0]
        if not locked and is_running(writer):
            continue
        if (one / COMMIT).is_file():
            _make_moves(one, target)
        shutil.rmtree(one, ignore_errors=True)
    if old.is_dir():
        if target.is_dir() and not any(target.iterdir()):
            target.rmdir()
        if not target.exists():
            old.rename(target)  # the new one had not come yet
        elif _marked_files(target) is not None:
            _finish(old, target)
    if gone.is_dir():
        shutil.rmtree(gone, ignore_errors=True)


def _open_stage(target: Path, *, movable: bool) -> Path:
    """Make a directory beside the target, or in it where it stays; an existing target must take new files too."""
    unique = f"{os.getpid()}-{secrets.token_hex(4)}"
    if target.exists() and not os.access(target, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    stage = target.with_name(f".{target.name}{NEW}{unique}") if movable else target / f"{NEW}{unique}"
    stage.mkdir(mode=0o777)
    return stage


def _unwritable(path: str | Path, error: Exception) -> OutputError:
    reason = (getattr(error, "strerror", None) or type(error).__name__).lower()
    return OutputError(f"Cannot write to {str(path)!r} ({reason}); choose another directory.")


def _earlier_files(target: Path, besides: Sequence[str]) -> list[str]:
    """Check that the directory is free, empty or ours, and return the files an earlier result wrote."""
    nearest = next(p for p in (target, *target.parents) if p.exists())
    if not nearest.is_dir():
        msg = f"Cannot write to {str(target)!r} because {str(nearest)!r} is a file; give `out` a directory."
        raise OutputError(msg)
    if nearest != target or set(_entries(target)) <= set(besides):
        return []
    files = _marked_files(target)
    if files is not None:
        return files
    msg = (
        f"The directory {str(target)!r} holds files that lawful did not write; "
        "choose a new or empty directory, or one with an earlier result."
    )
    raise OutputError(msg)


def _entries(target: Path) -> list[str]:
    """What a directory holds, besides what writers leave while they write."""
    return [one.name for one in target.iterdir() if not one.name.startswith((NEW, ".result.lawful-lock"))]


def _marked_files(target: Path) -> list[str] | None:
    """Files of an earlier result, the document that lists them first; None where there is none."""
    for marker, schema in MARKERS.items():
        files = _manifest(target / marker, schema)
        if files is not None:
            return [marker, *(name for name in files if name != marker)]
    return None


def _manifest(marker: Path, schema: str) -> list[str] | None:
    """Files listed in a document of ours; None if there is none. Names that leave the directory do not count."""
    try:
        document = json.loads(marker.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not (isinstance(document, dict) and str(document.get("schema", "")).startswith(schema)):
        return None
    listed = document.get(MANIFEST)
    names = [n for n in listed if isinstance(n, str)] if isinstance(listed, list) else []
    return [n for n in names if n and not PurePosixPath(n).is_absolute() and ".." not in PurePosixPath(n).parts]


def files_under(folder: Path) -> list[str]:
    """Return every file below a folder, relative and in order."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir())


def _put_in_place(stage: Path, target: Path, earlier: list[str], *, movable: bool) -> None:
    """Let a finished stage take the place of the target; whatever else stands there stays there."""
    if not target.exists():
        stage.rename(target)
        return
    new = files_under(stage)
    foreign = [name for name in new if name not in earlier and _is_there(target / name)]
    foreign += [
        part
        for part in dict.fromkeys(parent.as_posix() for name in new for parent in PurePosixPath(name).parents)
        if part not in earlier and part != "." and _is_there(target / part) and not (target / part).is_dir()
    ]
    if foreign:
        msg = (
            f"The directory {str(target)!r} already holds {', '.join(map(repr, foreign))}, which lawful did not write "
            "there; choose another directory."
        )
        raise OutputError(msg)
    if not movable:
        _put_by_files(stage, target, earlier, new)
        return
    with suppress(OSError):  # on a file system without permissions there are none to take over
        stage.chmod(target.stat().st_mode & 0o7777)
    old = target.with_name(f".{target.name}{OLD}")
    target.rename(old)
    try:
        stage.rename(target)
    except BaseException:
        old.rename(target)
        raise
    _finish(old, target)


def _is_there(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _finish(old: Path, target: Path) -> None:
    """Move what lawful did not write from an earlier directory to the new one, then remove the earlier one."""
    ours = set(_marked_files(old) or ())
    _move_rest(old, target, ours, "")
    gone = target.with_name(f".{target.name}{GONE}")
    shutil.rmtree(gone, ignore_errors=True)
    # Under another name first: a kill while it is removed must not make its last files look like somebody else's.
    old.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def _move_rest(old: Path, target: Path, ours: set[str], inside: str) -> None:
    """Move every entry that is not listed, folders whole where nothing in them is."""
    for entry in sorted((old / inside).iterdir()):
        name = entry.relative_to(old).as_posix()
        if name in ours:
            continue
        destination = target / name
        if entry.is_dir() and not entry.is_symlink():
            mixed = any(one.startswith(f"{name}/") for one in ours)
            if mixed or destination.is_dir():
                _move_rest(old, target, ours, name)
                continue
        if not _is_there(destination):
            destination.parent.mkdir(parents=True, exist_ok=True)
            entry.rename(destination)


def _put_by_files(stage: Path, target: Path, earlier: Iterable[str], new: list[str]) -> None:
    """Put a result into a directory that stays where it is: the list of moves first: a kill only delays them."""
    moves = {"drop": [name for name in earlier if name not in new], "place": new}
    replace_file(stage / COMMIT, json.dumps(moves).encode())
    _make_moves(stage, target)


def _make_moves(stage: Path, target: Path) -> None:
    """Make the moves of a list that have not been made."""
    moves = json.loads((stage / COMMIT).read_text(encoding="utf-8"))
    for name in moves["drop"]:
        (target / name).unlink(missing_ok=True)
    for name in moves["place"]:
        if _is_there(stage / name):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (stage / name).replace(target / name)
    _drop_empty_folders(target, moves["drop"])
    (stage / COMMIT).unlink()


def _drop_empty_folders(target: Path, names: Iterable[str]) -> None:
    """Remove the sub-directories that the earlier result leaves empty."""
    folders = {parent for name in names for parent in (target / name).parents if target in parent.parents}
    for folder in sorted(folders, key=lambda f: len(f.parts), reverse=True):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
