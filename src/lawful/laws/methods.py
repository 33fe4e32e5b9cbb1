"""
What a user looks for on a surface, each a delegation to the room that does it.

The one file of this room whose imports inside functions point up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lawful.decide.allocate import Allocation
    from lawful.decide.deadweight import Deadweight
    from lawful.decide.indifference import Indifference


class SurfaceMethods:
    """Methods of :class:`lawful.Surface` that other rooms carry out."""

    def allocate(self: Any, budget: float, **options: Any) -> Allocation:
        """Spend a budget in FLOPs; see :func:`lawful.decide.allocate.allocate`."""
        from lawful.decide.allocate import allocate

        return allocate(self, budget, **options)

    def indifference(self: Any, budget: float, epsilon: float | None = None) -> Indifference:
        """Return the sizes as good as the optimum; see :func:`lawful.decide.indifference.indifference`."""
        from lawful.decide.indifference import indifference

        return indifference(self, budget, epsilon)

    def price(self: Any, choice: Any, budget: float, **options: Any) -> Deadweight:
        """Say what training on a choice wastes, a fit or a number of tokens; see :func:`lawful.deadweight`."""
        from lawful.decide.deadweight import deadweight

        return deadweight(self, choice, budget, **options)
