"""Study 10: a biased parabola on an off-centre sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lawful.design.plan import study_surface
from lawful.estimate.isoflop import fit_isoflop
from lawful.studies import sweeps
from lawful.studies.study import Config, Study, Tables, Task
from lawful.studies.tables import Table
from lawful.studies.verdicts import DIGITS, Comparison

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PUBLISHED = {
    ("offset 3×", "symmetric"): (3.974243556888148, 3.471817881448564, 2.64516543035691, 1.509792259842919),
    ("offset 3×", "chinchilla"): (7.110118943776913, 5.690942262867751, 3.376107789059233, 0.237880848518242),
    ("drift to 3×", "symmetric"): (6.070971949665736, 5.171168143371758, 3.697903197519233, 1.68906653560295),
    ("drift to 3×", "chinchilla"): (11.61425351935766, 9.831637143942757, 6.939058914756627, 3.047597648542992),
}
"""Error of D* at 1e24 in percent at XS, S, L, XL (arXiv:2603.22339)."""

PRINTED = {
    ("offset 3×", "asymmetric"): (19.22, 14.41, 6.96, -2.42),
    ("drift to 3×", "asymmetric"): (34.57, 30.04, 22.97, 14.00),
}
"""The same as printed in the paper, to two decimals."""

TRUE = {"symmetric": 408248290463.863, "chinchilla": 4035834749563.681}
INFERRED = {
    ("offset 3×", "symmetric"): (424473071843.7291, 422421927612.8955, 419047133113.2362, 414411991554.2275),
    ("offset 3×", "chinchilla"): (4322787400631.939, 4265511774986.103, 4172088880897.259, 4045435227510.737),
    ("drift to 3×", "symmetric"): (433032929662.9141, 429359496006.1901, 423344917050.7438, 415143875720.2593),
    ("drift to 3×", "chinchilla"): (4504566829000.34, 4432623377869.933, 4315883700538.125, 4158830754490.464),
}
"""D* at 1e24."""

NINE_DIGITS = 1e-7
TOLERANCE = 0.005
APART = 2.5
"""Percentage points between two ends that both carry their number; half of it from the line of no error."""


def tasks(config: Config) -> list[Task]:
    """One chunk per surface."""
    return [{"surface": name} for name in config["surfaces"]]


def compute(config: Config, task: Task) -> Tables:
    """Error of D* for both cases, the centred sweep beside them."""
    truth = study_surface(task["surface"])
    true = float(truth.optimum(config["budget"]).tokens)
    rows = []
    for case, options in {"centred": {}, **sweeps.OFF_CENTRE}.items():
        for grid, width in sweeps.WIDTHS.items():
            frontier = fit_isoflop(sweeps.noise_free(truth, np.log10(width), options), window="none").frontier
            found = float(frontier.tokens(config["budget"]))
            rows.append(
                {
                    "case": case,
                    "surface": task["surface"],
                    "grid": grid,
                    "tokens_true": true,
                    "tokens_found": found,
                    "error_percent": 100 * (found / true - 1),
                    "b_error_percent": 100 * (frontier.b / truth.exponents[1] - 1),
                }
            )
    return {"errors": Table.from_rows(rows)}


def draw(tables: Tables) -> dict[str, Figure]:
    """Error of D* against the grid, a panel per surface and a line per case."""
    from lawful.studies import drawing

    errors = tables["errors"]
    names = errors.values("surface")
    figure, axes = drawing.panels(1, len(names), (9.6, 3.4), sharey=True)
    grids = list(sweeps.WIDTHS)
    cases = errors.values("case")
    for ax, name in zip(axes[0], names, strict=True):
        for k, case in enumerate(cases):
            values = [errors.one(surface=name, case=case, grid=grid)["error_percent"] for grid in grids]
            color = (drawing.MUTED, drawing.CYCLE[0], drawing.CYCLE[1])[k]
            ax.plot(
                values, color=color, linestyle=drawing.DASHES[k], marker=drawing.MARKERS[k], markersize=5, label=case
            )
            for x in (0, len(grids) - 1):
                others = [errors.one(surface=name, case=c, grid=grids[x])["error_percent"] for c in cases if c != case]
                if min(abs(values[x] - other) for other in others) < APART or abs(values[x]) < APART / 2:
                    continue
                text = f"{values[x]:+.1f}%".replace("-", "−") if abs(values[x]) >= 0.05 else "0%"
                side = -1 if x == 0 else 1
                ax.annotate(
                    text,
                    (x, values[x]),
                    (6 * side, 0),
                    textcoords="offset points",
                    ha="right" if x == 0 else "left",
                    va="center",
                    fontsize=7,
                    color=color,
                )
        drawing.zero_line(ax)
        ax.set_xlim(-0.75, len(grids) - 0.25)
        ax.set_xticks(range(len(grids)), [f"{grid}\n±{sweeps.WIDTHS[grid]:.0f}×" for grid in grids])
        drawing.title(ax, sweeps.LABELS[name])
        drawing.percent_axis(ax)
        ax.margins(y=0.1)
    drawing.labels(axes[0, 0], "", "error of D* at 10²⁴ FLOPs")
    drawing.legend_above(figure, axes[0, 0].get_legend_handles_labels()[0])
    return {"compounding": figure}


def findings(tables: Tables) -> list[str]:
    """Say which bias is worse, and where two cancel."""
    errors = tables["errors"]
    biased = [row for row in errors.rows() if row["case"] != "centred"]
    worst = max(biased, key=lambda row: abs(row["error_percent"]))
    least = min(biased, key=lambda row: abs(row["error_percent"]))
    sentences = [
        (
            f"The two biases compound: {worst['case']} on the {sweeps.LABELS[worst['surface']]} surface at "
            f"{worst['grid']} puts D* at 10^24 FLOPs {worst['error_percent']:+.1f}% off, without any noise."
        ),
        (
            f"They can also cancel: {least['case']}, {sweeps.LABELS[least['surface']]}, {least['grid']} is only "
            f"{least['error_percent']:+.2f}% off, which says nothing about the method."
        ),
    ]
    for (case, name), rows in errors.groups("case", "surface"):
        listed = ", ".join(f"{row['grid']} {row['error_percent']:+.2f}%" for row in rows.rows())
        sentences.append(f"{sweeps.LABELS[name]}, {case}: {listed}.")
    return sentences


def published(tables: Tables) -> list[Comparison]:
    """True and inferred D* at 1e24 and the error, every cell: nine digits, or two decimals where no more is printed."""
    out = []
    for (case, name), values in {**PUBLISHED, **PRINTED}.items():
        known = (case, name) in PUBLISHED
        tolerance, why = (NINE_DIGITS, "nine digits; what lies below is rounding") if known else (TOLERANCE, DIGITS)
        for place, (grid, value) in enumerate(zip(sweeps.WIDTHS, values, strict=True)):
            ours = tables["errors"].one(case=case, surface=name, grid=grid)
            label = f"{sweeps.LABELS[name]}, {case}, {grid}"
            quantity = f"{label}: error of D* at 1e24 (%)"
            out.append(Comparison(quantity, value, ours["error_percent"], tolerance, remark=why))
            if known:
                pairs = (("true", TRUE[name], "tokens_true"), ("inferred", INFERRED[case, name][place], "tokens_found"))
                out += [
                    Comparison(f"{label}: {word} D* at 1e24", tokens, ours[key], tolerance, "percent", why)
                    for word, tokens, key in pairs
                ]
    return out


STUDY = Study(
    number=10,
    name="compounding_errors",
    question="What happens when the parabola's bias meets an off-centre sweep?",
    config={"surfaces": list(sweeps.SURFACES), "budget": sweeps.TARGET},
    quick={},
    tasks=tasks,
    compute=compute,
    draw=draw,
    findings=findings,
    published=published,
)
