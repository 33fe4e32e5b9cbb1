"""
What a user looks for on a fit, each a delegation to the room that does it.

The one file of this room whose imports inside functions point up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lawful.core.notes import Verdict
    from lawful.decide.allocate import Allocation
    from lawful.decide.indifference import Indifference
    from lawful.forecasting.forecast import Forecast
    from lawful.show.figures.plots import Plots
    from lawful.trust.coverage import Coverage
    from lawful.trust.dial import AsymptoteDial
    from lawful.trust.fitness import LackOfFit
    from lawful.trust.verdict import Judgement
    from lawful.uncertainty.bootstrap import Draws
    from lawful.uncertainty.intervals import Intervals
    from lawful.uncertainty.profile import Profile


class FitMethods:
    """
    Methods of :class:`lawful.Fit` and :class:`lawful.FrontierFit` that other rooms carry out.

    Options are those of the verb that each method names.
    """

    def predict(self: Any, params: Any = None, tokens: Any = None, *, budget: Any = None, unique: Any = None) -> Any:
        """
        Loss in nats per token of N parameters on D tokens, from the surface.

        Two of params, tokens and budget say which run; a law of one column needs that alone.

        Raises
        ------
        UnsupportedError
            If the fit is a frontier, which predicts no loss.
        """
        from lawful.estimate.result import surface_fit

        return surface_fit(self, " to predict a loss").surface.loss(params, tokens, budget=budget, unique=unique)

    def allocate(self: Any, budget: float, **options: Any) -> Allocation:
        """
        Spend a budget in FLOPs, or say why the runs do not tell; see :func:`lawful.decide.allocate.allocate`.

        A number that cannot be had is NaN, and ``notes`` say why.
        """
        from lawful.decide.allocate import allocate_told

        return allocate_told(self, budget, **options)

    def intervals(self: Any, kind: str = "profile", **options: Any) -> Intervals | None:
        """Return intervals of all that the fit implies; see :func:`lawful.uncertainty.intervals.intervals`."""
        from lawful.uncertainty.intervals import intervals

        return intervals(self, kind, **options)

    def profile(self: Any, name: str, **options: Any) -> Profile:
        """Return the misfit as a function of one quantity; see :func:`lawful.uncertainty.profile.profile`."""
        from lawful.uncertainty.profile import profile

        return profile(self, name, **options)

    def bootstrap(self: Any, draws: int = 1000, **options: Any) -> Draws:
        """Refit on resampled runs; see :func:`lawful.uncertainty.bootstrap.bootstrap`."""
        from lawful.uncertainty.bootstrap import bootstrap

        return bootstrap(self, draws, **options)

    def forecast(self: Any, budgets: Sequence[float] = (), **options: Any) -> tuple[Forecast, ...]:
        """
        Say the loss of runs that do not exist yet; see :func:`lawful.forecasting.forecast.forecast`.

        Raises
        ------
        IdentificationError
            If a budget's best run is asked for, and the runs do not tell it.
        """
        from lawful.forecasting.forecast import forecast_told

        return forecast_told(self, budgets, **options)

    def lack_of_fit(self: Any, **options: Any) -> LackOfFit:
        """Test whether the runs refuse the law; see :func:`lawful.trust.fitness.lack_of_fit`."""
        from lawful.trust.fitness import lack_of_fit

        return lack_of_fit(self, **options)

    def judge(self: Any, budgets: Sequence[float] = (), **options: Any) -> Judgement:
        """Say what the answer is worth; see :func:`lawful.trust.verdict.judge`."""
        from lawful.trust.verdict import judge

        return judge(self, budgets, **options)

    @property
    def verdict(self: Any) -> Verdict:
        """Whether the runs support the answer at their own budgets."""
        judged: Judgement = self.judge()
        return judged.verdict

    def dial(self: Any, budget: float, **options: Any) -> AsymptoteDial:
        """Turn the asymptote E and see the forecast; see :func:`lawful.trust.dial.asymptote_dial`."""
        from lawful.trust.dial import asymptote_dial

        return asymptote_dial(self, budget, **options)

    def indifference(self: Any, budget: float, epsilon: float | None = None) -> Indifference:
        """
        Return the sizes as good as the optimum; see :func:`lawful.decide.indifference.indifference`.

        Raises
        ------
        IdentificationError
            If the runs do not tell the optimum.
        """
        from lawful.decide.indifference import indifference_told

        return indifference_told(self, budget, epsilon)

    def coverage(self: Any, repeats: int = 200, **options: Any) -> Coverage:
        """Simulate how often intervals hold on these runs; see :func:`lawful.trust.coverage.coverage`."""
        from lawful.trust.coverage import coverage

        return coverage(self, repeats, **options)

    @property
    def plot(self: Any) -> Plots:
        """The figures of the fit: ``fit.plot.isoflop()``; see :class:`lawful.show.figures.plots.Plots`."""
        from lawful.analysis.analysis import Analysis
        from lawful.show.figures.plots import Plots

        return Plots(Analysis.of(self))

    def summary(self) -> str:
        """Return what ``print`` shows: the sheet of the fit as text."""
        return str(self)

    def save(self: Any, path: str | Path, *, scale: Mapping[str, float] | None = None) -> Path:
        """Write ``fit.json``, which :func:`lawful.load` reads; see :func:`lawful.show.files.artifact.save_fit`."""
        from lawful.show.files.artifact import save_fit

        return save_fit(self, path, scale=scale)
