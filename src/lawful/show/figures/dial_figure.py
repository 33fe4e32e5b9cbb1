"""Figures of one quantity: the asymptote dial, and a profile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lawful.core.numbers import format_count, format_flops, format_level
from lawful.show.figures.axes import set_log_axis, style_axes
from lawful.show.figures.palette import LIGHT, current_style, font_size
from lawful.trust.dial import AsymptoteDial
from lawful.uncertainty.profile import Profile

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE = "#0072b2"

COUNTS = ("params", "tokens")

WORDS = {"params": "N*, parameters", "tokens": "D*, tokens", "loss": "L*, nats per token"}


def _new_axes(ax: Axes | None) -> Axes:
    if ax is None:
        from matplotlib.figure import Figure

        ax = Figure(figsize=current_style().size((5.4, 3.4)), layout="constrained", facecolor=LIGHT.paper).add_subplot()
    style_axes(ax, LIGHT)
    return ax


def plot_dial(dial: AsymptoteDial, ax: Axes | None = None, *, quantity: str = "params") -> Axes:
    """
    Draw the forecast against E, solid and shaded where the data support E.

    Parameters
    ----------
    dial : AsymptoteDial
    ax : Axes, optional
        Where to draw; a new figure if not given.
    quantity : {"params", "tokens", "loss"}
        What is forecast.

    Returns
    -------
    Axes

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.005)
    >>> ax = plot_dial(lawful.fit(runs).dial(1e24, points=9))
    >>> ax.get_xlabel()
    'E held at, nats per token'
    """
    ax = _new_axes(ax)
    e, value = dial.table["E"], dial.table[quantity]
    low, high = dial.profile.interval
    inside = (e >= low) & (e <= high)
    label = f"{format_level(dial.profile.level)} profile interval of E"
    ax.axvspan(low, high, color=BLUE, alpha=0.10, linewidth=0, label=label)
    ax.plot(e, value, color=BLUE, linewidth=1.0, alpha=0.55, gid="dial")
    ax.plot(np.where(inside, e, np.nan), value, color=BLUE, linewidth=2.2)
    best = dial.estimate
    ax.plot([best], [np.interp(best, e, value)], "D", color=BLUE, markersize=5.5, label="fit", zorder=4)
    _value_axis(ax, quantity)
    ax.set_xlabel("E held at, nats per token", fontsize=font_size(), color=LIGHT.ink)
    ax.set_ylabel(WORDS[quantity], fontsize=font_size(), color=LIGHT.ink)
    title = f"At {format_flops(dial.budget)}, the rest refitted"
    ax.set_title(title, fontsize=font_size(), color=LIGHT.ink, loc="left")
    ax.legend(fontsize=font_size() - 1, frameon=False, labelcolor=LIGHT.ink)
    return ax


def _value_axis(ax: Axes, quantity: str) -> None:
    """Write counts as 600B, on a logarithmic axis only where they span more than a factor of ten."""
    if quantity not in COUNTS:
        return
    low, high = ax.get_ylim()
    if low > 0 and high / low > 10:
        set_log_axis(ax, "y", "count")
        return
    from matplotlib.ticker import FuncFormatter

    def write(value: float, _: int | None) -> str:
        # As many digits as tell the ticks apart: a dial may turn N* by less than three digits show.
        ticks = np.unique(ax.get_yticks())
        digits = next((n for n in (3, 4, 5, 6) if len({format_count(tick, n) for tick in ticks}) == len(ticks)), 7)
        return format_count(value, digits)

    ax.yaxis.set_major_formatter(FuncFormatter(write))


def plot_profile(profile: Profile, ax: Axes | None = None) -> Axes:
    """
    Draw the rise of the misfit along a quantity, and where it ends the interval.

    Parameters
    ----------
    profile : Profile
    ax : Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    Axes

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.005)
    >>> ax = plot_profile(lawful.fit(runs).profile("E"))
    >>> ax.get_ylabel()
    'distance (t)'
    """
    ax = _new_axes(ax)
    low, high = profile.interval
    finite = [v for v in (low, high) if np.isfinite(v)]
    ax.axhline(profile.reach, color=LIGHT.muted, linewidth=0.8)
    ax.plot(profile.values, profile.distance, color=BLUE, linewidth=1.8, gid="profile")
    ax.plot(finite, [profile.reach] * len(finite), "o", color=BLUE, markersize=5)
    ax.plot([profile.estimate], [0], "D", color=BLUE, markersize=5.5)
    if profile.name in (*COUNTS, "A", "B"):
        set_log_axis(ax, "x", "count")
    where = "" if profile.budget is None else f" at {format_flops(profile.budget)}"
    ax.set_xlabel(WORDS.get(profile.name, profile.name) + where, fontsize=font_size(), color=LIGHT.ink)
    ax.set_ylabel("distance (t)", fontsize=font_size(), color=LIGHT.ink)
    ax.set_title(f"{format_level(profile.level)} interval", fontsize=font_size(), color=LIGHT.ink, loc="left")
    return ax
