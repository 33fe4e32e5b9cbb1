"""
What a user looks for on runs, each a delegation to the room that does it.

The one file of this room whose imports inside functions point up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from lawful.analysis.look import Look
    from lawful.checks.check import Checked
    from lawful.data.runs import Runs


class RunsMethods:
    """Methods of :class:`lawful.Runs` that other rooms carry out."""

    @classmethod
    def read(cls, table: Any, **options: Any) -> Runs:
        """Read runs from a file or a table; see :func:`lawful.read_runs`."""
        from lawful.sources.read import read_runs

        return read_runs(table, **options)

    @classmethod
    def fetch(cls, name: str, **options: Any) -> Runs:
        """Fetch a published set and read it; see :func:`lawful.sources.published.fetch_runs`."""
        from lawful.sources.published import fetch_runs

        return fetch_runs(name, **options)

    def check(self: Any, **options: Any) -> Checked:
        """Label every run that should not count; see :func:`lawful.check`."""
        from lawful.checks.check import check

        return check(self, **options)

    def look(self: Any) -> Look:
        """Say what these runs are and what they support; see :func:`lawful.look`."""
        from lawful.analysis.look import look

        return look(self)

    def groups(self: Any, by: str) -> dict[str, Runs]:
        """Return the runs of every value of a column of the table, in order of first appearance."""
        from lawful.data.table import groups_of

        return groups_of(self, by)

    def to_frame(self: Any) -> pd.DataFrame:
        """Return the runs as the table they came from, completed; see :func:`lawful.sources.read.to_frame`."""
        from lawful.sources.read import to_frame

        return to_frame(self)
