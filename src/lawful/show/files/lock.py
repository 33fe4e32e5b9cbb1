"""One writer at a time: a lock beside what is written, which names its holder and ends with its process."""

from __future__ import annotations

import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from lawful.errors import OutputError


def _module(name: str) -> Any:
    """Return a module that only some systems have; None on the others."""
    try:
        return import_module(name)
    except ImportError:
        return None


fcntl, msvcrt = _module("fcntl"), _module("msvcrt")
"""How POSIX and how Windows lock a file."""

FAR = 1 << 20
"""Where Windows locks its byte: past the text, so that another process can read who holds it."""


NAMED_WITHIN = 0.5
"""Seconds in which a holder has written who it is."""


def lock_path(target: Path) -> Path:
    """Where the lock of a file or directory is: beside it, hidden."""
    return target.with_name(f".{target.name}.lawful-lock")


@contextmanager
def held(target: Path) -> Iterator[bool]:
    """
    Hold the lock of a file or directory while the block runs.

    The system lets go of it when the process ends, however it ends; the file is removed by whoever holds it last.
    On a file system without locks the block runs unlocked.

    Parameters
    ----------
    target : Path
        What is written; its parent exists.

    Yields
    ------
    bool
        Whether there is a lock.

    Raises
    ------
    OutputError
        If another process holds it; the sentence says which.
    OSError
        If no file can be made beside the target.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp(), "out")
    >>> with held(target) as locked:
    ...     locked, lock_path(target).exists()
    (True, True)
    >>> lock_path(target).exists()
    False
    """
    file = lock_path(target)
    handle = _taken(file, target)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            # Removed while it is held: whoever waits for the old file finds out that it is no longer the one there.
            if fcntl is not None:
                file.unlink(missing_ok=True)
            with suppress(OSError):
                _unlock(handle)
            os.close(handle)
            if fcntl is None:  # Windows removes no open file
                with suppress(OSError):
                    file.unlink(missing_ok=True)


def _taken(file: Path, target: Path) -> int | None:
    """Return an open handle that holds the lock; None where the file system has none."""
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(handle)
        except BlockingIOError:
            # The holder takes the lock first and writes its name a moment later.
            said, until = _holder(handle), time.monotonic() + NAMED_WITHIN
            while not said and time.monotonic() < until:
                time.sleep(0.005)
                said = _holder(handle)
            os.close(handle)
            msg = f"Another lawful{said} is writing to {str(target)!r}; wait until it ends, or choose another place."
            raise OutputError(msg) from None
        except OSError:
            os.close(handle)
            file.unlink(missing_ok=True)
            return None
        except BaseException:
            os.close(handle)
            raise
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), file.stat()):
                break
        os.close(handle)  # its last holder removed it between our opening and our locking
    card = {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now(UTC).isoformat(timespec="seconds")}
    os.ftruncate(handle, 0)
    os.write(handle, json.dumps(card).encode())
    return handle


def _lock(handle: int) -> None:
    """Take the lock at once, or raise BlockingIOError; OSError where there are no locks."""
    if fcntl is not None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    elif msvcrt is not None:
        os.lseek(handle, FAR, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            raise BlockingIOError from None
        finally:
            os.lseek(handle, 0, os.SEEK_SET)
    else:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


def _unlock(handle: int) -> None:
    """Let go; POSIX does when the file is closed."""
    if fcntl is None and msvcrt is not None:
        os.lseek(handle, FAR, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)


def _holder(handle: int) -> str:
    """Say who wrote the lock; nothing where it cannot be read."""
    try:
        card = json.loads(os.pread(handle, 4096, 0) if hasattr(os, "pread") else os.read(handle, 4096))
        return f" (process {card['pid']} on {card['host']}, since {card['since']})"
    except (OSError, ValueError, LookupError, TypeError):
        return ""
