"""Study 1: how the width of a sweep biases Approach 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lawful.design.plan import study_surface
from lawful.estimate.isoflop import fit_isoflop
from lawful.studies import sweeps
from lawful.studies.study import Config, Study, Tables, Task
from lawful.studies.tables import Table
from lawful.studies.verdicts import Comparison, to_digits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lawful.core.typing import Array

SHOWN = {"narrow": 0, "medium": 10, "wide": 19}
CURVE_POINTS = 61


def tasks(_: Config) -> list[Task]:
    """One chunk."""
    return [{}]


def compute(config: Config, _: Task) -> Tables:
    """Errors for every range, and curves with parabolas for three of them."""
    truth = study_surface(config["surface"])
    halves = sweeps.half_widths(config["ranges"])
    errors, optima, runs_rows, curves = [], [], [], []
    for half in [*halves, np.log10(16.0)]:
        row, points = sweeps.approach2_errors(truth, sweeps.noise_free(truth, half))
        named = float(half) not in halves
        errors.append({"half_width": float(half), "named_grid": "±16×" if named else "", **row})
        optima += [{"half_width": float(half), **point} for point in points if not named]
    all_halves = sweeps.half_widths()
    for name, index in SHOWN.items():
        half = all_halves[index]
        runs = sweeps.noise_free(truth, half)
        for parabola in fit_isoflop(runs, window="none").parabolas:
            log_n = parabola.centre_params + np.linspace(-half, half, CURVE_POINTS)
            fitted = parabola.loss(10.0**log_n)
            true = truth.at_params(parabola.budget, 10.0**log_n).loss
            curves += [
                {
                    "range": name,
                    "half_width": half,
                    "budget": parabola.budget,
                    "params": n,
                    "loss_true": t,
                    "loss_parabola": p,
                }
                for n, t, p in zip((10.0**log_n).tolist(), true.tolist(), fitted.tolist(), strict=True)
            ]
            vertex = float(
                np.polynomial.polynomial.polyval(parabola.log10_params - parabola.centre_params, parabola.in_params)
            )
            best = truth.optimum(parabola.budget)
            runs_rows.append(
                {
                    "range": name,
                    "budget": parabola.budget,
                    "params_true": float(best.params),
                    "loss_true": float(best.loss),
                    "params_found": 10**parabola.log10_params,
                    "loss_found": vertex,
                }
            )
    return {
        "errors": Table.from_rows(errors),
        "optima": Table.from_rows(optima),
        "curves": Table.from_rows(curves),
        "vertices": Table.from_rows(runs_rows),
    }


def draw(tables: Tables) -> dict[str, Figure]:
    """Three rows: curves with parabolas; power laws; errors against range."""
    from lawful.studies import drawing

    figure, axes = drawing.panels(3, 3, (10.2, 9.4))
    for j, name in enumerate(SHOWN):
        _draw_curves(axes[0, j], tables, name)
        _draw_power_law(axes[1, j], tables, name, "compute-optimal N" if j == 0 else "")
    drawing.labels(axes[0, 0], "model size N", "loss (nats per token)")
    errors = tables["errors"].where(named_grid="")
    exponents = {name: errors[f"{name}_error"] for name in ("a", "b")}
    # A shift of an intercept is in decades; as a factor it is on the scale of the other errors.
    intercepts = {name: 10 ** errors[f"log10_{name}0_shift"] - 1 for name in ("a", "b")}
    _draw_errors(axes[2, 0], errors["half_width"], exponents, "Exponents a and b")
    _draw_errors(axes[2, 1], errors["half_width"], intercepts, "Intercepts, as a factor")
    _draw_tokens(axes[2, 2], tables["optima"])
    for ax in axes[2]:
        drawing.percent_axis(ax)
    drawing.labels(axes[2, 0], axes[2, 0].get_xlabel(), "relative error")
    drawing.legend_above(
        figure,
        [
            drawing.key("true curve", color=drawing.MUTED),
            drawing.key("parabola", color=drawing.MUTED, linestyle=(0, (3, 1.5))),
            drawing.key("true optimum", color=drawing.MUTED, marker="D", linestyle=""),
            drawing.key("inferred optimum", color=drawing.MUTED, marker="o", linestyle="", markerfacecolor="white"),
        ],
    )
    return {"empirical_error": figure}


def _draw_curves(ax: Axes, tables: Tables, name: str) -> None:
    """IsoFLOP curves of one range with their parabolas, true optima and inferred ones."""
    from lawful.studies import drawing

    curves, vertices = tables["curves"], tables["vertices"]
    true: dict[str, Any] = {"markersize": 4, "markeredgecolor": "white", "markeredgewidth": 0.5, "zorder": 5}
    inferred: dict[str, Any] = {"markersize": 7, "markerfacecolor": "none", "zorder": 4}
    colors = drawing.budget_colors(curves.values("budget"))
    for color, ((budget,), rows) in zip(colors, curves.where(range=name).groups("budget"), strict=True):
        ax.plot(rows["params"], rows["loss_true"], color=color, linewidth=1.3)
        ax.plot(rows["params"], rows["loss_parabola"], color=color, linewidth=1, linestyle=(0, (3, 1.5)))
        point = vertices.one(range=name, budget=budget)
        ax.plot(point["params_true"], point["loss_true"], "D", color=color, **true)
        ax.plot(point["params_found"], point["loss_found"], "o", color=color, **inferred)
    half = float(curves.where(range=name)["half_width"][0])
    drawing.title(ax, f"{name.capitalize()} range, ±{10**half:.3g}×")
    ax.set_xscale("log")
    drawing.count_axis(ax, "x", "model size N", most=4)


def _draw_power_law(ax: Axes, tables: Tables, name: str, label: str) -> None:
    """N* against compute, true and as Approach 2 infers it, at one range."""
    from lawful.studies import drawing

    points = tables["vertices"].where(range=name)
    hollow: dict[str, Any] = {"color": drawing.CYCLE[1], "markersize": 5, "markerfacecolor": "white"}
    ax.loglog(points["budget"], points["params_true"], "D-", color=drawing.MUTED, markersize=5, label="true N*")
    ax.loglog(points["budget"], points["params_found"], "o--", label="Approach 2", **hollow)
    drawing.flops_axis(ax, most=5)
    drawing.count_axis(ax, "y", label, most=5)
    drawing.legend(ax, columns=1)


def _draw_errors(ax: Axes, half_width: Array, errors: dict[str, Array], text: str) -> None:
    """Errors of N* and D* against range, in per cent."""
    from lawful.studies import drawing

    drawing.zero_line(ax)
    for k, (factor, label) in enumerate(zip(errors.values(), ("N*", "D*"), strict=True)):
        ax.plot(
            half_width,
            # Errors at the rounding floor are zero, not a figure of their own.
            100 * np.where(np.abs(factor) < 1e-10, 0, factor),
            color=drawing.CYCLE[k],
            linestyle=drawing.DASHES[k],
            marker=drawing.MARKERS[k],
            markersize=3,
            label=label,
        )
    drawing.title(ax, text)
    drawing.range_axis(ax)
    ax.set_ylim(-16, 19)
    drawing.legend(ax)


def _draw_tokens(ax: Axes, optima: Table) -> None:
    """Error of D* at every budget against range; thinner lines lie on thicker ones, since they coincide."""
    from lawful.studies import drawing

    drawing.zero_line(ax)
    colors = drawing.budget_colors(optima.values("budget"))
    styles = zip(colors, drawing.DASHES, (3, 5, 7, 9, 11), optima.groups("budget"), strict=False)
    for color, style, marker, ((budget,), rows) in styles:
        power = "".join("⁰¹²³⁴⁵⁶⁷⁸⁹"[int(digit)] for digit in f"{int(np.log10(budget)):02d}")
        error = 100 * (rows["tokens_found"] / rows["tokens_true"] - 1)
        ax.plot(rows["half_width"], error, color=color, linestyle=style, linewidth=6 - marker / 2.2, label=f"10{power}")
    drawing.title(ax, "D* of each budget (the five coincide)")
    drawing.range_axis(ax)
    ax.set_ylim(-16, 19)
    drawing.legend(ax)


def findings(tables: Tables) -> list[str]:
    """Say what the width does, and where text and formula disagree."""
    errors = tables["errors"]
    listed, named = errors.where(named_grid=""), errors.one(named_grid="±16×")
    exponent = 100 * float(np.abs(np.concatenate([listed["a_error"], listed["b_error"]])).max())
    low, high = next(iter(listed.rows())), list(listed.rows())[-1]
    factors = {q: 100 * (10 ** named[f"log10_{q}_shift"] - 1) for q in ("a0", "b0")}
    word = "Width leaves the exponents alone" if exponent < 1e-6 else "Width biases the exponents"
    return [
        (
            f"{word} (largest error {exponent:.1e}%) and moves the optimum: D* at every budget is "
            f"{100 * (10 ** low['log10_b0_shift'] - 1):+.2f}% off at ±{10 ** low['half_width']:.0f}× and "
            f"{100 * (10 ** high['log10_b0_shift'] - 1):+.1f}% at ±{10 ** high['half_width']:.0f}×."
        ),
        f"At ±16× the factor on D* is {factors['b0']:+.1f}% and on N* {factors['a0']:+.1f}%.",
        (
            "The published text calls the intercept error 4.1%: that is the relative error of the log10 intercept "
            f"of D*, {named['log10_b0_true']:.4f} against {named['log10_b0_found']:.4f}, "
            f"{100 * named['log10_b0_error']:+.1f}% here; "
            f"as a factor on D* the same bias is {factors['b0']:+.1f}%."
        ),
    ]


def published(tables: Tables) -> list[Comparison]:
    """Bias at ±16×: the published 4.1% and the two factors."""
    named = tables["errors"].one(named_grid="±16×")
    remark = "relative error of the log10 intercept, not a factor on D*"
    factors = [100 * (10 ** named[f"log10_{q}_shift"] - 1) for q in ("b0", "a0")]
    return [
        to_digits("±16×: error of the log10 intercept of D* (%)", "4.1", 100 * named["log10_b0_error"], remark),
        to_digits("±16×: log10 intercept of D*, true", "-0.5554", named["log10_b0_true"]),
        to_digits("±16×: log10 intercept of D*, inferred", "-0.5781", named["log10_b0_found"]),
        to_digits("±16×: factor on D* (%)", "-5.1", factors[0]),
        to_digits("±16×: factor on N* (%)", "5.4", factors[1]),
    ]


STUDY = Study(
    number=1,
    name="empirical_error",
    question="How does the width of the sweep bias Approach 2?",
    config={"surface": "chinchilla", "ranges": 20},
    quick={},
    tasks=tasks,
    compute=compute,
    draw=draw,
    findings=findings,
    published=published,
)
