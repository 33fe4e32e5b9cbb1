"""Five errors with one base: what lawful raises when there is no number to give."""

from __future__ import annotations


class LawfulError(Exception):
    """
    Base of every error that lawful raises on purpose.

    The message is one sentence for the user: what was given, what is allowed
    and what to do. Anything else that escapes is a bug of ours.

    Examples
    --------
    >>> import lawful
    >>> try:
    ...     lawful.read_runs("no/such/file.csv")
    ... except lawful.LawfulError as error:
    ...     print(error)
    There is no file 'no/such/file.csv'; check the path.
    """


class InputError(LawfulError):
    """The file, table or value given cannot be read as training runs."""


class IdentificationError(LawfulError):
    """The runs are readable, but they cannot support the request."""


class UnsupportedError(LawfulError):
    """The request itself makes no sense, for any data (a usage error)."""


class OutputError(LawfulError):
    """A result cannot be written where it was asked to go."""


class FetchError(LawfulError):
    """A published data set cannot be fetched or does not match its hash."""
