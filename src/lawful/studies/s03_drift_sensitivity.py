"""Study 3: what off-centre sweeps do to Approach 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lawful.design.plan import study_surface
from lawful.studies import sweeps
from lawful.studies.study import Config, Study, Tables, Task
from lawful.studies.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = {
    "a_error": "exponent a of N*",
    "b_error": "exponent b of D*",
    "log10_a0_error": "log10 intercept of N*",
    "log10_b0_error": "log10 intercept of D*",
}


def tasks(config: Config) -> list[Task]:
    """One chunk per surface and bias."""
    return [{"surface": s, "bias": bias} for s in config["surfaces"] for bias in sweeps.BIASES]


def compute(config: Config, task: Task) -> Tables:
    """Errors of the power laws and of every budget's optimum, per range."""
    truth = study_surface(task["surface"])
    laws, optima = [], []
    for half in sweeps.half_widths(config["ranges"]):
        errors, points = sweeps.approach2_errors(truth, sweeps.noise_free(truth, half, sweeps.BIASES[task["bias"]]))
        laws.append({**task, "half_width": half, **errors})
        for point in points:
            gaps = {
                f"{q}_{kind}": value
                for q in ("params", "tokens")
                for kind, value in (
                    ("gap", point[f"{q}_found"] - point[f"{q}_true"]),
                    ("error", point[f"{q}_found"] / point[f"{q}_true"] - 1),
                )
            }
            optima.append({**task, "half_width": half, **point, **gaps})
    return {"laws": Table.from_rows(laws), "optima": Table.from_rows(optima)}


def draw(tables: Tables) -> dict[str, Figure]:
    """Errors of exponents and intercepts; then relative and absolute errors of every budget's optimum, per surface."""
    from lawful.studies import drawing

    laws = tables["laws"]
    surfaces = laws.values("surface")
    figure, axes = drawing.panels(len(surfaces), 4, (12.0, 2.5 * len(surfaces) + 0.8), sharex=True)
    for i, surface in enumerate(surfaces):
        for j, (name, text) in enumerate(COLUMNS.items()):
            ax = axes[i, j]
            drawing.zero_line(ax)
            for k, ((bias,), rows) in enumerate(laws.where(surface=surface).groups("bias")):
                values = 100 * rows[name]
                ax.plot(
                    rows["half_width"],
                    np.where(np.abs(values) < 1e-8, 0, values),
                    color=drawing.CYCLE[k],
                    linestyle=drawing.DASHES[k],
                    label=bias,
                )
            if np.abs(ax.get_ylim()).max() < 1e-3:
                ax.set_ylim(-1, 1)
            drawing.title(ax, f"{sweeps.LABELS[surface]}: {text}")
            drawing.range_axis(ax, named=i == len(surfaces) - 1, every=2)
            drawing.percent_axis(ax)
        drawing.labels(axes[i, 0], axes[i, 0].get_xlabel(), "relative error")
    drawing.legend_above(figure, axes[0, 0].get_legend_handles_labels()[0])
    return {"drift_sensitivity": figure, **{f"optima_{name}": _draw_optima(tables, name) for name in surfaces}}


def _draw_optima(tables: Tables, surface: str) -> Figure:
    """Errors of N* and D* of every budget: relative on the left of each pair, absolute on the right."""
    from lawful.show.figures.axes import set_log_axis
    from lawful.studies import drawing

    optima = tables["optima"].where(surface=surface)
    biases = optima.values("bias")
    figure, axes = drawing.panels(4, len(biases), (12.0, 9.0), sharex=True, sharey="row")
    kinds = (
        ("params_error", "N*, relative"),
        ("tokens_error", "D*, relative"),
        ("params_gap", "N*, size of error"),
        ("tokens_gap", "D*, size of error"),
    )
    colors = drawing.budget_colors(optima.values("budget"))
    # What is smaller than a hundred-thousandth of the largest error is a crossing through zero, or rounding.
    floor = {name: 1e-5 * float(np.abs(optima[name]).max()) for name, _ in kinds}
    for j, bias in enumerate(biases):
        for i, (name, text) in enumerate(kinds):
            ax = axes[i, j]
            for color, style, ((budget,), rows) in zip(
                colors, drawing.DASHES, optima.where(bias=bias).groups("budget"), strict=False
            ):
                relative = name.endswith("error")
                # A logarithmic axis has no sign; the row above it has.
                values = 100 * rows[name] if relative else np.maximum(np.abs(rows[name]), floor[name])
                label = f"{budget:.0e} FLOPs".replace("1e+", "10^")
                ax.plot(rows["half_width"], values, color=color, linestyle=style, label=label)
            if relative:
                drawing.zero_line(ax)
                drawing.percent_axis(ax)
            else:
                ax.set_yscale("log")
            if i == 0:
                drawing.title(ax, f"{sweeps.LABELS[surface]}: {bias}")
            drawing.range_axis(ax, named=i == len(kinds) - 1, every=2)
            if j == 0:
                drawing.labels(ax, ax.get_xlabel(), text)
    for ax in axes[2:].flat:
        set_log_axis(ax, "y", "count", most=5)
    drawing.legend_above(figure, axes[0, 0].get_legend_handles_labels()[0])
    return figure


def findings(tables: Tables) -> list[str]:
    """Name the worst bias per surface, and whether even exponents are safe."""
    laws = tables["laws"]
    sentences = []
    for (surface,), rows in laws.groups("surface"):
        worst = max(rows.rows(), key=lambda row: abs(row["b_error"]))
        shift = max(rows.rows(), key=lambda row: abs(row["log10_b0_shift"]))
        sentences.append(
            f"{sweeps.LABELS[surface]}: b is at most {100 * worst['b_error']:+.2f}% off ({worst['bias']}, "
            f"±{10 ** worst['half_width']:.3g}×), "
            f"the intercept of D* at most a factor {10 ** shift['log10_b0_shift']:.3f} ({shift['bias']}, "
            f"±{10 ** shift['half_width']:.3g}×)."
        )
    scale = laws.where(bias="scale 2.0")
    drift = laws.where(bias="drift 0.4")
    constant = 100 * float(np.abs(scale["b_error"]).max())
    moving = 100 * float(np.abs(drift["b_error"]).max())
    kept = "leaves the exponents exact" if constant < 1e-6 else f"moves b by up to {constant:.2f}%"
    first = (
        f"A sweep that is off by a constant factor {kept} and moves the intercepts; "
        f"one that drifts moves b by up to {moving:.1f}%"
    )
    even = laws.where(surface="symmetric", bias="drift 0.4")
    if len(even):
        size = 100 * float(np.abs(even["b_error"]).max())
        first += f", {size:.1f}% even where alpha = beta"
    return [first + ".", *sentences]


STUDY = Study(
    number=3,
    name="drift_sensitivity",
    question="What do off-centre sweeps do to Approach 2?",
    config={"surfaces": list(sweeps.SURFACES), "ranges": 20},
    quick={},
    tasks=tasks,
    compute=compute,
    draw=draw,
    findings=findings,
)
