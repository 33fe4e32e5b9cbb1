"""
What a user looks for on an analysis, each a delegation to the room that does it.

The one file of this room whose imports inside functions point up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lawful.forecasting.forecast import Forecast
    from lawful.show.figures.plots import Plots


class AnalysisMethods:
    """Methods of :class:`lawful.Analysis` that other rooms carry out."""

    def predict(self: Any, params: Any = None, tokens: Any = None, *, budget: Any = None, unique: Any = None) -> Any:
        """
        Loss of N parameters on D tokens, by the average of laws where it leads; else see :meth:`lawful.Fit.predict`.

        Two of params, tokens and budget say which run.
        """
        from lawful.analysis.predictions import predict_one

        return predict_one(self, params, tokens, budget, unique)

    def forecast(
        self: Any,
        budgets: Sequence[float] = (),
        *,
        points: Sequence[tuple[float, float]] = (),
        level: float | None = None,
    ) -> tuple[Forecast, ...]:
        """
        Say the loss of runs that do not exist yet, as ``lawful forecast`` does of a saved fit.

        By the average of laws where it leads, otherwise by the fit: see :func:`lawful.forecasting.forecast.forecast`.
        """
        from lawful.analysis.predictions import forecast_runs

        return forecast_runs(self, budgets, points, level)

    @property
    def plot(self: Any) -> Plots:
        """The figures of the analysis: ``analysis.plot.isoflop()``; see :class:`lawful.show.figures.plots.Plots`."""
        from lawful.show.figures.plots import Plots

        return Plots(self)

    def report(self: Any, path: str | Path = "report.html", **options: Any) -> Path:
        """Write the report of the analysis as one page; see :func:`lawful.show.report.reporting.write_report`."""
        from lawful.show.report.reporting import write_report

        return write_report(self, path=path, **options)

    def save(self: Any, path: str | Path, *, scale: Mapping[str, float] | None = None) -> Path:
        """Write ``fit.json``, which :func:`lawful.load` reads; see :func:`lawful.show.files.artifact.save_fit`."""
        from lawful.show.files.artifact import save_fit

        return save_fit(self, path, scale=scale)
