"""The program among others: its streams, the signals that end it, and what the system refuses it, in sentences."""

from __future__ import annotations

import errno
import io
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from lawful.core.plain import visible

EXIT_DATA = 1
EXIT_INTERRUPTED = 130

REFUSALS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE}
REFUSALS |= {errno.ENOMEM, errno.EAGAIN, errno.EFBIG, errno.ENAMETOOLONG}
"""What the system may refuse whatever we do: room, files, memory, permission."""

ENDINGS = ("SIGTERM", "SIGHUP")
"""Signals that end the program as Ctrl-C does, with everything put away; Windows has no SIGHUP."""


class Stopped(BaseException):
    """A signal asked the program to end. Typer takes a KeyboardInterrupt for an abort of its own, so it is none."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _Closed(io.TextIOBase):
    """A standard output that was closed before we began: whatever is written to it is refused."""

    def write(self, text: str) -> int:
        """Refuse; nothing to write is fine."""
        if text:
            raise OSError(errno.EBADF, "it is closed")
        return 0


@contextmanager
def prepared() -> Iterator[None]:
    """
    Make the process ready to run a verb: streams that carry every text, signals that end it with all put away.

    Drawing goes into files alone, so matplotlib is told so, and its remarks on its caches stay out of stderr.
    """
    os.environ["MPLBACKEND"] = "Agg"
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    if sys.stdout is None:
        sys.stdout = _Closed()
    if sys.stderr is None:
        sys.stderr = io.StringIO()
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            with suppress(ValueError):
                reconfigure(errors="backslashreplace")
    earlier = _listen()
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def _listen() -> dict[int, Any]:
    """Let signals end the program as Ctrl-C does; return what stood there. One that is ignored (nohup) stays so."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    earlier = {}
    for name in ENDINGS:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            earlier[number] = signal.signal(number, _stop)
    return earlier


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - what a handler is called with
    raise Stopped(number)


def refusal(error: BaseException) -> str:
    """
    Say in a sentence what the system refused; nothing where an error is not its doing.

    Examples
    --------
    >>> refusal(OSError(28, "No space left on device"))
    'The answer cannot be printed (no space left on device); write it somewhere else.'
    >>> refusal(KeyError("x"))
    ''
    """
    if isinstance(error, MemoryError):
        return (
            "This request needs more memory than there is; ask for less at once: fewer draws, repeats, sizes or rows, "
            "or no intervals."
        )
    if not isinstance(error, OSError):
        return ""
    reason = (error.strerror or type(error).__name__).lower()
    if error.filename is None and (error.errno in REFUSALS or error.errno == errno.EBADF):
        return f"The answer cannot be printed ({reason}); write it somewhere else."
    if error.errno in REFUSALS:
        return f"The system refuses {str(error.filename)!r} ({reason}); make room there or choose another place."
    return ""


def print_traceback(error: BaseException) -> None:
    """Show where an error of ours came from; names of the user's in it cannot steer the terminal."""
    with suppress(OSError):
        sys.stderr.write(visible("".join(traceback.format_exception(error))))


def close_stdout() -> None:
    """Let Python flush at exit without a word: whatever stood behind the standard output takes no more."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
