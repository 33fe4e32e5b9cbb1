"""Study 2: whether uneven exponents amplify what a drifting sweep does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lawful.studies import sweeps
from lawful.studies.study import Config, Study, Tables, Task
from lawful.studies.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def tasks(config: Config) -> list[Task]:
    """One chunk per ratio."""
    return [{"ratio": ratio} for ratio in config["ratios"]]


def compute(config: Config, task: Task) -> Tables:
    """Error of the exponents on drifting sweeps, per range."""
    ratio, total = task["ratio"], config["sum"]
    truth = sweeps.surface_with(total * ratio / (1 + ratio), total / (1 + ratio))
    rows = []
    for half in sweeps.half_widths(config["ranges"]):
        errors, _ = sweeps.approach2_errors(truth, sweeps.noise_free(truth, half, {"drift": 10 ** config["drift"]}))
        rows.append({"ratio": ratio, "alpha": truth["alpha"], "beta": truth["beta"], "half_width": half, **errors})
    return {"errors": Table.from_rows(rows)}


def draw(tables: Tables) -> dict[str, Figure]:
    """Error of a and of b against range, a curve per ratio."""
    from lawful.studies import drawing

    figure, axes = drawing.panels(1, 2, (9.4, 3.8))
    colors = drawing.budget_colors(10.0 ** np.arange(len(tables["errors"].values("ratio"))))
    for ax, name, text in ((axes[0, 0], "a_error", "Exponent a of N*"), (axes[0, 1], "b_error", "Exponent b of D*")):
        drawing.zero_line(ax)
        for k, ((ratio,), rows) in enumerate(tables["errors"].groups("ratio")):
            ax.plot(
                rows["half_width"],
                100 * rows[name],
                color=colors[k],
                linestyle=drawing.DASHES[k],
                label=f"α/β = {ratio:.3g}",
            )
        drawing.title(ax, text)
        drawing.range_axis(ax)
        drawing.percent_axis(ax)
    drawing.labels(axes[0, 0], axes[0, 0].get_xlabel(), "relative error")
    drawing.legend_above(figure, axes[0, 0].get_legend_handles_labels()[0])
    return {"exponent_imbalance": figure}


def findings(tables: Tables) -> list[str]:
    """Compare the even with the most uneven surface."""
    errors = tables["errors"]
    worst = {ratio: float(100 * np.abs(rows["a_error"]).max()) for (ratio,), rows in errors.groups("ratio")}
    low, high = min(worst), max(worst)
    first = (
        f"alpha/beta = {high:g} misses a by up to {worst[high]:.2f}%, alpha/beta = {low:g} by up to {worst[low]:.2f}%"
    )
    verdict = "Asymmetry amplifies the bias" if worst[high] > worst[low] else "Asymmetry does not amplify the bias"
    sentences = [f"{verdict}: on the same drifting sweeps {first}."]
    for (ratio,), rows in errors.groups("ratio"):
        listed = list(rows.rows())
        sentences.append(
            f"alpha/beta = {ratio:.3g}: error of a {100 * listed[0]['a_error']:+.2f}% at the narrowest and "
            f"{100 * listed[-1]['a_error']:+.2f}% at the widest sweep, of b {100 * listed[0]['b_error']:+.2f}% "
            f"and {100 * listed[-1]['b_error']:+.2f}%."
        )
    return sentences


STUDY = Study(
    number=2,
    name="exponent_imbalance",
    question="Does asymmetry of the exponents amplify the bias of a drifting sweep?",
    config={"ratios": [1.0, 0.34 / 0.28, 1.5, 2.0, 3.0, 9.0], "sum": 0.62, "drift": 0.2, "ranges": 20},
    quick={},
    tasks=tasks,
    compute=compute,
    draw=draw,
    findings=findings,
)
