"""Every answer to one budget on one axis: the average, the four methods, other laws and objectives."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from lawful.analysis.analysis import Analysis
from lawful.analysis.compare import Unavailable
from lawful.analysis.evidence import Evidence, gather
from lawful.analysis.rivals import Rival
from lawful.checks.check import Checked
from lawful.core.numbers import format_count, format_flops, format_level
from lawful.errors import UnsupportedError
from lawful.show.figures.axes import drawing, new_axes, set_log_axis, style_axes, widen
from lawful.show.figures.palette import LIGHT, METHOD_LABELS, Palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDEST = 100.0
"""An axis reaches at most this factor from the middle method; wider intervals end at its edge."""


def answers(evidence: Evidence) -> tuple[Rival, ...]:
    """
    Return every method's N*, each followed by what is as it is but for the law, the objective or the flagged runs.

    Parameters
    ----------
    evidence : Evidence
        Of an analysis with a budget.

    Examples
    --------
    >>> truth = lawful.Surface.named("besiroglu")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.004)
    >>> [one.label for one in answers(gather(lawful.analyse(runs, budgets=[1e22], draws=0)))][:2]
    ['Average of laws', 'VPNLS']
    """
    analysis = evidence.analysis
    found: list[Rival] = []
    if analysis.average is not None and analysis.average.outlooks:
        seen = analysis.average.outlooks[0]
        found.append(Rival("Average of laws", "auto", seen.params, seen.interval["params"], kept=False))
    for outcome in evidence.outcomes:
        if isinstance(outcome, Unavailable) or not isinstance(outcome, Analysis):
            continue
        one = outcome.allocations[0]
        span = (one.interval or {}).get("params")
        usable = span is not None and bool(np.isfinite(span).all())
        label, ends = METHOD_LABELS[outcome.method], span if usable else None
        found.append(Rival(label, outcome.method, one.params, ends, kept=False))
        # The coupled law is fitted jointly, as Approach 3 is, but is another law: it stands by itself.
        own = [r for r in evidence.rivals if r.method == outcome.method and r.label != "coupled law"]
        found += sorted(own, key=lambda r: not r.kept)
    found += [r for r in evidence.rivals if r.label == "coupled law"]
    flagged = flagged_runs(evidence)
    named = [replace(r, label=f"without {flagged} flagged") if r.kept else r for r in found]
    return tuple(r for r in named if np.isfinite(r.params) and r.params > 0)


def flagged_runs(evidence: Evidence) -> int:
    """Count the runs that check flags."""
    checked = evidence.checked
    return int((np.asarray(checked.reason) != "none").sum()) if isinstance(checked, Checked) else 0


def reach(found: tuple[Rival, ...]) -> tuple[float, float]:
    """Ends of an axis of N* on which all answers stand, and their intervals as far as that is sensible."""
    ends = [v for r in found for v in (r.params, *(r.interval or ())) if np.isfinite(v) and v > 0]
    middle = float(np.median([r.params for r in found]))
    return max(min(ends), middle / WIDEST) / 1.15, min(max(ends), middle * WIDEST) * 1.15


def plot_methods(
    analysis: Analysis, ax: Axes | None = None, *, evidence: Evidence | None = None, palette: Palette = LIGHT
) -> Axes:
    """
    Plot N* at the first budget by every method, law and objective, with intervals.

    Parameters
    ----------
    analysis : Analysis
        With a budget.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default, as high as it has answers.
    evidence : Evidence, optional
        What is known besides, if it was gathered already.
    palette : Palette
        Colours.

    Returns
    -------
    matplotlib Axes
        N* on a log axis, an answer per line, the first on top; hollow without the runs that check flags.

    Raises
    ------
    UnsupportedError
        If no budget was asked about, or the runs tell no optimum.

    Examples
    --------
    >>> truth = lawful.Surface.named("besiroglu")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.004)
    >>> ax = lawful.analyse(runs, budgets=[1e22], draws=0).plot.methods()
    >>> ax.get_yticklabels()[0].get_text()
    'Average of laws'
    """
    if not analysis.allocations:
        msg = "Methods are compared at a budget; name one, such as budgets=[1e24]."
        raise UnsupportedError(msg)
    evidence = evidence or gather(analysis)
    found = answers(evidence)
    if not found:
        msg = "No method can tell an optimum from these runs."
        raise UnsupportedError(msg)
    with drawing():
        ax = ax or new_axes(palette, (6.4, 1.3 + 0.3 * len(found)))
        low, high = reach(found)
        for place, one in enumerate(found):
            colour = palette.ink if one.method == "auto" else palette.method(one.method)
            if one.interval is not None:
                ax.plot(np.clip(one.interval, low, high), [place, place], color=colour, linewidth=1.6, zorder=2)
            face = palette.paper if one.kept else colour
            ax.plot(one.params, place, "o", color=colour, markerfacecolor=face, markersize=6, zorder=3)
            ax.annotate(
                format_count(one.params), (one.params, place), (0, 5), textcoords="offset points", ha="center",
                fontsize="x-small", color=palette.muted,
            )  # fmt: skip
        style_axes(ax, palette)
        ax.set_xlim(*widen(np.array([low, high]), 1.05))
        set_log_axis(ax, "x", "count")
        ax.set_ylim(len(found) - 0.5, -0.7)
        ax.set_yticks(range(len(found)), [one.label for one in found])
        ax.grid(visible=False, axis="y")
        sure = f", {format_level(analysis.level)} intervals" if any(one.interval for one in found) else ""
        ax.set_xlabel(f"Compute-optimal model size N* at {format_flops(analysis.allocations[0].budget)}{sure}")
    return ax
