"""The figures of an analysis as methods: ``analysis.plot.isoflop()``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lawful.analysis.analysis import Analysis
from lawful.decide.indifference import indifference
from lawful.estimate.result import surface_fit
from lawful.show.figures.curve_figure import plot_curve
from lawful.show.figures.dial_figure import plot_dial, plot_profile
from lawful.show.figures.figures import plot_frontier, plot_isoflop, plot_residuals
from lawful.show.figures.loss_figure import plot_loss
from lawful.show.figures.methods_figure import plot_methods
from lawful.show.figures.surface_figure import plot_surface
from lawful.show.figures.valley_figure import plot_indifference
from lawful.trust.dial import asymptote_dial
from lawful.uncertainty.profile import profile

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Plots:
    """
    Figures with matplotlib, one method each; all take ``ax`` to draw on axes of the caller's.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.005)
    >>> axes = lawful.fit(runs).plot.isoflop()
    >>> axes.get_xlabel()
    'Model size N (parameters)'
    """

    analysis: Analysis

    def isoflop(self, ax: Axes | None = None, **options: Any) -> Axes:
        """IsoFLOP curves with the fitted law; see :func:`lawful.show.figures.figures.plot_isoflop`."""
        return plot_isoflop(self.analysis, ax, **options)

    def frontier(self, ax: Axes | None = None, **options: Any) -> Axes:
        """N* or D* against compute; see :func:`lawful.show.figures.figures.plot_frontier`."""
        return plot_frontier(self.analysis, ax, **options)

    def curve(self, ax: Axes | None = None, **options: Any) -> Axes:
        """A law of one column on its own axis; see :func:`lawful.show.figures.curve_figure.plot_curve`."""
        return plot_curve(surface_fit(self.analysis.fit, ", so no curve"), ax, **options)

    def residuals(self, ax: Axes | None = None, **options: Any) -> Axes:
        """Observed less fitted loss by budget; see :func:`lawful.show.figures.figures.plot_residuals`."""
        return plot_residuals(self.analysis, ax, **options)

    def surface(self, ax: Axes | None = None, **options: Any) -> Axes:
        """Lines of equal loss over N and D; see :func:`lawful.show.figures.surface_figure.plot_surface`."""
        return plot_surface(self.analysis, ax, **options)

    def loss(self, ax: Axes | None = None, **options: Any) -> Axes:
        """Loss against compute with the runs held out; see :func:`lawful.show.figures.loss_figure.plot_loss`."""
        return plot_loss(self.analysis, ax, **options)

    def methods(self, ax: Axes | None = None, **options: Any) -> Axes:
        """N* by every method on one axis; see :func:`lawful.show.figures.methods_figure.plot_methods`."""
        return plot_methods(self.analysis, ax, **options)

    def indifference(self, budget: float, ax: Axes | None = None, **options: Any) -> Axes:
        """How flat the valley is at a budget; see :func:`lawful.show.figures.valley_figure.plot_indifference`."""
        fit = surface_fit(self.analysis.fit, ", so no valley")
        return plot_indifference(indifference(fit, budget), fit, ax, **options)

    def dial(self, budget: float, ax: Axes | None = None, **options: Any) -> Axes:
        """N* at a budget against the asymptote; see :func:`lawful.show.figures.dial_figure.plot_dial`."""
        return plot_dial(asymptote_dial(self.analysis.fit, budget), ax, **options)

    def profile(self, name: str, ax: Axes | None = None, **options: Any) -> Axes:
        """Misfit against one quantity; see :func:`lawful.show.figures.dial_figure.plot_profile`."""
        return plot_profile(profile(self.analysis.fit, name, **options), ax)
