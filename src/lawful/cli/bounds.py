"""Requests that would take long or need much memory: said before the work, and done only when asked to go on."""

from __future__ import annotations

from typing import Annotated

import typer

from lawful.errors import UnsupportedError

LONGEST = 60.0
"""Seconds that a request may take without a word."""

MOST = 1e9
"""Bytes that it may need."""

Yes = Annotated[bool, typer.Option("--yes", help="Go on with a request of more than a minute or a gigabyte.")]


def check_request(what: str, *, seconds: float, bytes_: float = 0.0, yes: bool = False) -> None:
    """
    Refuse a request that is likely to take more than a minute or a gigabyte, unless it was asked to go on.

    Parameters
    ----------
    what : str
        The request, as a sentence begins with it.
    seconds, bytes_ : float
        A rough estimate; it tells a slip of the hand from a plan, no more.
    yes : bool
        Whether to go on.

    Raises
    ------
    UnsupportedError
        Says the estimate.

    Examples
    --------
    >>> check_request("1,000 draws", seconds=0.1)
    >>> check_request("A billion draws", seconds=2e5, bytes_=4e10)
    Traceback (most recent call last):
        ...
    lawful.errors.UnsupportedError: A billion draws would take about 2.3 days and 40 GB; ask for less, or add --yes.
    """
    if yes or (seconds <= LONGEST and bytes_ <= MOST):
        return
    parts = [duration(seconds)] if seconds > LONGEST else []
    parts += [f"{bytes_ / 1e9:,.0f} GB" if bytes_ >= 1e10 else f"{bytes_ / 1e9:.1f} GB"] if bytes_ > MOST else []
    msg = f"{what} would take about {' and '.join(parts)}; ask for less, or add --yes."
    raise UnsupportedError(msg)


def duration(seconds: float) -> str:
    """
    Say a time as people do.

    Examples
    --------
    >>> duration(90), duration(7200), duration(2e5), duration(1e11)
    ('1.5 minutes', '2 hours', '2.3 days', '3,169 years')
    """
    for unit, size in (("years", 31_557_600.0), ("days", 86_400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= size * (2 if unit == "years" else 1.4):
            return f"{seconds / size:,.0f} {unit}" if seconds >= 100 * size else f"{seconds / size:.2g} {unit}"
    return f"{seconds:.0f} seconds"
