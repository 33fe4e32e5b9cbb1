"""
What a user looks for on a fit, each a delegation to the room that does it.

The one file of this room whose imports inside functions point up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lawful.uncertainty.intervals import Intervals


class FitMethods:
    """Methods of :class:`lawful.Fit` and :class:`lawful.FrontierFit` that other rooms carry out."""

    def intervals(self: Any, kind: str = "profile", **options: Any) -> Intervals | None:
        """Return intervals of everything that the fit implies; see :func:`lawful.intervals`."""
        from lawful.uncertainty.intervals import intervals

        return intervals(self, kind, **options)
