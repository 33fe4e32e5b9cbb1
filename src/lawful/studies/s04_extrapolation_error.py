"""Study 4: what a biased frontier does to the tokens of a large budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lawful.design.plan import study_surface
from lawful.estimate.isoflop import fit_isoflop
from lawful.studies import sweeps
from lawful.studies.study import Config, Study, Tables, Task
from lawful.studies.tables import Table
from lawful.studies.verdicts import Comparison

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RANGES = {"narrow": 0, "medium": 10, "wide": 19}

TOKENS = {
    "symmetric": (408248290463.863, (408248290464.0633, 408248290463.8362, 408248290463.8746, 408248290464.0399)),
    "chinchilla": (
        4035834749563.681,
        (4022640080071.175, 3983323492914.587, 3918678311395.28, 3829997307632.958),
    ),
}
"""True D* at 1e24 and what Approach 2 infers at XS, S, L, XL (arXiv:2603.22339)."""

ERRORS = {
    "symmetric": (4.9053e-11, -6.578e-12, 2.826e-12, 4.3327e-11),
    "chinchilla": (-0.326937803732719, -1.3011250437043, -2.902904738135434, -5.100244551712022),
}
"""The relative error in percent."""

TOLERANCE = 1e-7
NINE_DIGITS = "nine digits; what lies below is rounding"


def tasks(config: Config) -> list[Task]:
    """One chunk per surface."""
    return [{"surface": name} for name in config["surfaces"]]


def compute(config: Config, task: Task) -> Tables:
    """Error of D* along the budgets for every bias and range, and at one budget for the named grids."""
    truth = study_surface(task["surface"])
    widths = sweeps.half_widths()
    budgets = np.geomspace(*config["horizon"])
    curves, table = [], []
    for bias, options in sweeps.BIASES.items():
        for name, index in RANGES.items():
            frontier = fit_isoflop(sweeps.noise_free(truth, widths[index], options), window="none").frontier
            errors = 100 * sweeps.tokens_error(truth, frontier, budgets)
            curves += [
                {"surface": task["surface"], "bias": bias, "range": name, "budget": float(c), "error_percent": float(e)}
                for c, e in zip(budgets, errors, strict=True)
            ]
    for grid, width in sweeps.WIDTHS.items():
        frontier = fit_isoflop(sweeps.noise_free(truth, np.log10(width)), window="none").frontier
        true, found = float(truth.optimum(sweeps.TARGET).tokens), float(frontier.tokens(sweeps.TARGET))
        table.append(
            {
                "surface": task["surface"],
                "grid": grid,
                "budget": sweeps.TARGET,
                "tokens_true": true,
                "tokens_found": found,
                "error_percent": 100 * (found / true - 1),
            }
        )
    return {"curves": Table.from_rows(curves), "table": Table.from_rows(table)}


def draw(tables: Tables) -> dict[str, Figure]:
    """One panel per surface and range: error of D* against the budget, a line per bias."""
    from lawful.studies import drawing

    curves = tables["curves"]
    names = curves.values("surface")
    figure, axes = drawing.panels(len(names), 3, (9.6, 2.5 * len(names) + 0.8), sharex=True, sharey="row")
    for i, surface in enumerate(names):
        for j, chosen in enumerate(RANGES):
            ax, half = axes[i, j], sweeps.half_widths()[RANGES[chosen]]
            drawing.zero_line(ax)
            for k, (bias, rows) in enumerate(curves.where(surface=surface, range=chosen).groups("bias")):
                ax.plot(
                    rows["budget"],
                    rows["error_percent"],
                    color=drawing.CYCLE[k],
                    linestyle=drawing.DASHES[k],
                    label=bias[0],
                )
            drawing.title(ax, f"{sweeps.LABELS[surface]}, {chosen} (±{10**half:.3g}×)")
            drawing.percent_axis(ax)
            drawing.flops_axis(ax, most=4)
            drawing.labels(
                ax, "training compute (FLOPs)" if i == len(names) - 1 else "", "error of D*" if j == 0 else ""
            )
    drawing.legend_above(figure, axes[0, 0].get_legend_handles_labels()[0])
    return {"extrapolation": figure}


def findings(tables: Tables) -> list[str]:
    """Say how wrong the tokens are."""
    table = tables["table"].where(grid="L")
    worst = max(table.rows(), key=lambda row: abs(row["error_percent"]))
    curves = tables["curves"].where(budget=tables["curves"]["budget"].max())
    extreme = max(curves.rows(), key=lambda row: abs(row["error_percent"]))
    first = (
        f"A centred, noise-free ±8× sweep of the {sweeps.LABELS[worst['surface']]} surface misses D* at 10^24 FLOPs "
        f"by {worst['error_percent']:+.1f}%."
    )
    sentences = [first]
    sentences += [
        f"{sweeps.LABELS[row['surface']]}, ±8×, centred: {row['error_percent']:+.3f}% on D* at 10^24 FLOPs."
        for row in table.rows()
    ]
    sentences.append(
        f"The largest error at {extreme['budget']:.0e} FLOPs is {extreme['error_percent']:+.1f}%: "
        f"{sweeps.LABELS[extreme['surface']]}, {extreme['bias']}, {extreme['range']} range."
    )
    return sentences


def published(tables: Tables) -> list[Comparison]:
    """True and inferred D* at 1e24, and the error, for every named grid."""
    out = []
    for surface, (true, inferred) in TOKENS.items():
        for grid, found, error in zip(sweeps.WIDTHS, inferred, ERRORS[surface], strict=True):
            ours, label = tables["table"].one(surface=surface, grid=grid), f"{sweeps.LABELS[surface]}, {grid}"
            for name, value, key in (("true", true, "tokens_true"), ("inferred", found, "tokens_found")):
                quantity = f"{label}: {name} D* at 1e24"
                out.append(Comparison(quantity, value, ours[key], TOLERANCE, "percent", NINE_DIGITS))
            quantity = f"{label}: error of D* at 1e24 (%)"
            out.append(Comparison(quantity, error, ours["error_percent"], TOLERANCE, remark=NINE_DIGITS))
    return out


STUDY = Study(
    number=4,
    name="extrapolation_error",
    question="How wrong are the tokens that Approach 2 extrapolates to large budgets?",
    config={"surfaces": list(sweeps.SURFACES), "horizon": [1e22, 1e25, 16]},
    quick={},
    tasks=tasks,
    compute=compute,
    draw=draw,
    findings=findings,
    published=published,
)
