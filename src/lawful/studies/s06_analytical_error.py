"""Study 6: the bias of Approach 2 on a centred sweep, in closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lawful.design.plan import study_surface
from lawful.studies import sweeps
from lawful.studies.study import Config, Study, Tables, Task
from lawful.studies.tables import Table
from lawful.studies.verdicts import Comparison

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOLERANCE = 1e-10


def vertex_shift(alpha: float, beta: float, half_width: float, points: int) -> float:
    r"""
    Shift of the parabola's vertex from log10 N*, in decades, on a centred noise-free sweep.

    With w the offset in log10 N, the curve is up to an affine map
    ``(beta/alpha) 10^(-alpha w) + 10^(beta w)``. With moments S2 and S4 of the offsets

        shift = -(sum wL / 2 S2) (n S4 - S2^2) / (n sum w^2 L - S2 sum L).

    The sums of L are written over pairs ±w, so that what cancels between the two terms
    never stands in a sum: the shift is exactly 0 where alpha = beta.

    Parameters
    ----------
    alpha, beta : float
        Exponents, > 0.
    half_width : float
        Decades either side, > 0.
    points : int
        Sizes on the curve, both ends included, >= 3.

    Examples
    --------
    >>> print(f"{vertex_shift(0.34, 0.28, 0.30103, 15):.6f}")
    0.001422
    >>> vertex_shift(0.31, 0.31, 1.0, 15)
    0.0
    """
    n, w, ln10 = points, np.linspace(-half_width, half_width, points), np.log(10.0)
    s2 = half_width**2 * n * (n + 1) / (3 * (n - 1))
    s4 = half_width**4 * n * (n + 1) * (3 * n * n - 7) / (15 * (n - 1) ** 3)
    odd = w @ (np.sinh(ln10 * beta * w) - (beta / alpha) * np.sinh(ln10 * alpha * w))
    # Less than 1 from each cosh: the constant part drops out of n sum w²L - S2 sum L.
    even = 2 * np.sinh(ln10 * beta * w / 2) ** 2 + (beta / alpha) * 2 * np.sinh(ln10 * alpha * w / 2) ** 2
    return float(-odd / (2 * s2) * (n * s4 - s2 * s2) / (n * (w * w) @ even - s2 * even.sum()) + 0.0)


def tasks(config: Config) -> list[Task]:
    """One chunk per surface."""
    return [{"surface": name} for name in config["surfaces"]]


def compute(config: Config, task: Task) -> Tables:
    """Closed form and numeric fit of the same sweeps."""
    truth = study_surface(task["surface"])
    rows = []
    for half in sweeps.half_widths(config["ranges"]):
        runs = sweeps.noise_free(truth, half)
        _, optima = sweeps.approach2_errors(truth, runs)
        shifts = [np.log10(o["params_found"] / o["params_true"]) for o in optima]
        closed = vertex_shift(truth["alpha"], truth["beta"], half, sweeps.POINTS)
        rows.append(
            {
                "surface": task["surface"],
                "half_width": half,
                "closed_form": closed,
                "numeric_fit": float(np.mean(shifts)),
                "largest_gap": float(np.max(np.abs(np.array(shifts) - closed))),
                "tokens_error_percent": 100 * (10**-closed - 1),
            }
        )
    return {"shifts": Table.from_rows(rows)}


def draw(tables: Tables) -> dict[str, Figure]:
    """Shift against range, and the gap between formula and fit."""
    from lawful.studies import drawing

    figure, ((left, right),) = drawing.panels(1, 2, (9.0, 3.6))
    drawing.zero_line(left)
    for (name,), rows in tables["shifts"].groups("surface"):
        style, label = drawing.SURFACE_STYLE[name], sweeps.LABELS[name]
        left.plot(rows["half_width"], 100 * (10 ** rows["closed_form"] - 1), label=f"{label}, closed form", **style)
        left.plot(
            rows["half_width"],
            100 * (10 ** rows["numeric_fit"] - 1),
            "o",
            markersize=4,
            markerfacecolor="none",
            color=style["color"],
            label=f"{label}, numeric fit",
        )
        right.semilogy(
            rows["half_width"], np.maximum(rows["largest_gap"], 1e-17), marker="o", markersize=3, label=label, **style
        )
    right.axhline(TOLERANCE, color=drawing.INK, linewidth=1, linestyle=(0, (1, 1)))
    right.text(2.04, TOLERANCE * 1.3, "asked for: 1e−10", ha="right", va="bottom", fontsize=8.5, color=drawing.INK)
    right.set_ylim(1e-17, 1e-8)
    for ax, text in ((left, "Bias of N* at every budget"), (right, "Closed form against numeric fit")):
        drawing.title(ax, text)
        drawing.range_axis(ax)
    drawing.percent_axis(left)
    drawing.labels(left, left.get_xlabel(), "error of N*")
    drawing.labels(right, right.get_xlabel(), "largest gap (decades of N)")
    drawing.legend(left, columns=1)
    drawing.legend(right, columns=1)
    return {"analytical_error": figure}


def findings(tables: Tables) -> list[str]:
    """Say whether the formula holds."""
    shifts = tables["shifts"]
    gap, even = float(shifts["largest_gap"].max()), shifts.where(surface="symmetric")
    holds = "holds" if gap <= TOLERANCE else "fails"
    sentences = [
        (
            f"The closed form {holds}: over {len(shifts)} sweeps it differs from the numeric fit by at most {gap:.1e} "
            "decades of N*."
        )
    ]
    if len(even):
        zero = bool((even["closed_form"] == 0).all())
        sentences.append(f"Where alpha = beta the bias is {'exactly zero' if zero else 'not zero'} at every range.")
    for (name,), rows in shifts.groups("surface"):
        last = list(rows.rows())[-1]
        sentences.append(
            f"{sweeps.LABELS[name]}: at ±{10 ** last['half_width']:.0f}× the vertex is {last['closed_form']:+.4f} "
            "decades off N*, "
            f"an error of {last['tokens_error_percent']:+.2f}% on D* at every budget."
        )
    return sentences


def published(tables: Tables) -> list[Comparison]:
    """Closed form against numeric fit, per surface."""
    return [
        Comparison(
            f"{sweeps.LABELS[name]}: largest gap of formula and fit (decades)",
            0.0,
            float(rows["largest_gap"].max()),
            TOLERANCE,
            remark="a closed form is the numeric fit but for rounding",
        )
        for (name,), rows in tables["shifts"].groups("surface")
    ]


STUDY = Study(
    number=6,
    name="analytical_error",
    question="Is the bias of Approach 2 on a centred sweep known in closed form?",
    config={"surfaces": list(sweeps.SURFACES), "ranges": 20},
    quick={},
    tasks=tasks,
    compute=compute,
    draw=draw,
    findings=findings,
    published=published,
)
