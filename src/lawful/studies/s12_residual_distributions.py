"""Study 12: whether the law is misspecified on published runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lawful.checks.check import apply_rules
from lawful.core.objective import Objective
from lawful.estimate.fit import fit
from lawful.estimate.solvers import Joint
from lawful.studies import real
from lawful.studies.study import Config, Study, Tables, Task
from lawful.studies.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEVEL = 0.01


def tasks(config: Config) -> list[Task]:
    """One chunk per published set."""
    return [{"set": name} for name in config["sets"]]


def compute(config: Config, task: Task) -> Tables:
    """Residuals of log loss on the clean runs, tests across budgets, and the k of every budget."""
    from scipy.stats import kruskal, levene

    runs = real.read_experiment(config["data"], task["set"])
    runs = runs.take(apply_rules(runs) == "none")
    surface = fit(runs, method=Joint(), objective=Objective.log_squared()).surface
    residuals = np.log(runs.L) - np.log(surface.loss(runs.N, runs.D))
    label = real.EXPERIMENTS[task["set"]]
    rows, factors, groups = [], [], []
    for g, budget in enumerate(runs.budgets):
        at = runs.group == g
        groups.append(residuals[at])
        rows += [
            {"set": label, "budget": float(budget), "params": float(n), "residual_percent": 100 * float(r)}
            for n, r in zip(runs.N[at], residuals[at], strict=True)
        ]
        # With D = C/(kN) the loss is linear in k^beta, so the best k is a ratio of sums.
        column = surface["B"] * (runs.N[at] / budget) ** surface["beta"]
        left = runs.L[at] - surface["E"] - surface["A"] * runs.N[at] ** -surface["alpha"]
        power = float(column @ left / (column @ column))
        k = power ** (1 / surface["beta"]) if power > 0 else float("nan")
        factors.append(
            {
                "set": label,
                "budget": float(budget),
                "runs": int(at.sum()),
                "k": k,
                "median_percent": 100 * float(np.median(residuals[at])),
                "spread_percent": 100 * float(residuals[at].std(ddof=1)),
            }
        )
    tests = {
        "set": label, "runs": len(runs), "budgets": runs.budgets.size, **surface.coefficients,
        "rms_percent": 100 * float(np.sqrt((residuals**2).mean())),
        "kruskal_p": float(kruskal(*groups).pvalue), "levene_p": float(levene(*groups, center="median").pvalue),
    }  # fmt: skip
    return {"residuals": Table.from_rows(rows), "factors": Table.from_rows(factors), "tests": Table.from_rows([tests])}


def draw(tables: Tables) -> dict[str, Figure]:
    """Residuals per budget as density, box and rug, a panel per set; and k per budget."""
    from lawful.studies import drawing

    residuals, tests = tables["residuals"], tables["tests"]
    sets = residuals.values("set")
    rows = -(-len(sets) // 3)
    figure, axes = drawing.panels(rows, min(3, len(sets)), (11.2, 3.3 * rows + 0.3))
    for ax, name in zip(axes.flat, sets, strict=False):
        drawing.zero_line(ax)
        table = residuals.where(set=name)
        budgets = table.values("budget")
        for place, (color, budget) in enumerate(zip(drawing.budget_colors(budgets), budgets, strict=True)):
            values = table.where(budget=budget)["residual_percent"]
            body = ax.violinplot([values], positions=[place], widths=0.9, showextrema=False, side="high")
            body["bodies"][0].set(facecolor=color, alpha=0.35)
            drawing.boxes(ax, [values], [place], color, width=0.16, fill=0.0)
            ax.plot(np.full(values.size, place - 0.22), values, "_", color=color, markersize=6, markeredgewidth=0.9)
        every = 1 if len(budgets) <= 10 else 2
        names = [f"{b:.1e}".replace("e+", "e").replace(".0e", "e") for b in budgets[::every]]
        ax.set_xticks(range(0, len(budgets), every), names, rotation=40, ha="right", fontsize=7.5)
        ax.grid(visible=False, axis="x")
        test = tests.one(set=name)
        drawing.title(ax, f"{name}\np: location {test['kruskal_p']:.1g}, spread {test['levene_p']:.1g}")
        drawing.percent_axis(ax)
    for ax in axes.flat[len(sets) :]:
        ax.set_visible(False)
    for row in axes:
        drawing.labels(row[0], "", "residual of log loss")
    for ax in axes[-1]:
        drawing.labels(ax, "budget (FLOPs)", ax.get_ylabel())
    second, ((only,),) = drawing.panels(1, 1, (7.6, 4.0))
    only.axhline(6, color=drawing.MUTED, linewidth=0.8)
    for i, ((name,), table) in enumerate(tables["factors"].groups("set")):
        only.plot(
            table["budget"],
            table["k"],
            color=drawing.CYCLE[i],
            linestyle=drawing.DASHES[i],
            marker=drawing.MARKERS[i],
            markersize=4.5,
            label=name,
        )
    drawing.flops_axis(only)
    drawing.labels(only, "training compute (FLOPs)", "k that best explains the curve, C = kND")
    drawing.legend_over(only, columns=3)
    return {"residuals": figure, "flop_factor": second}


def findings(tables: Tables) -> list[str]:
    """Count the sets on which residuals differ between budgets."""
    tests = tables["tests"]
    moved = [row["set"] for row in tests.rows() if row["kruskal_p"] < LEVEL]
    spread = [row["set"] for row in tests.rows() if row["levene_p"] < LEVEL]
    first = (
        f"On {len(moved)} of {len(tests)} published sets the residuals' location differs between budgets "
        f"(Kruskal-Wallis, p < {LEVEL})"
    )
    sentences = [first + (f": {', '.join(moved)}; there the law is misspecified or a budget is." if moved else ".")]
    sentences.append(
        f"Their spread differs on {len(spread)} of {len(tests)} (Levene, p < {LEVEL})"
        + (f": {', '.join(spread)}." if spread else ".")
    )
    for row in tests.rows():
        k = tables["factors"].where(set=row["set"])["k"]
        sentences.append(
            f"{row['set']}: {row['runs']:.0f} clean runs at {row['budgets']:.0f} budgets, residuals "
            f"{row['rms_percent']:.2f}% of the loss; Kruskal-Wallis "
            f"p {row['kruskal_p']:.2g}, Levene p {row['levene_p']:.2g}; k from {np.nanmin(k):.2f} to "
            f"{np.nanmax(k):.2f} where 6 is assumed."
        )
    return sentences


STUDY = Study(
    number=12,
    name="residual_distributions",
    question="Is the law misspecified on published runs?",
    config={"sets": list(real.EXPERIMENTS)},
    quick={},
    tasks=tasks,
    compute=compute,
    draw=draw,
    findings=findings,
    data=(real.ISOFLOPS,),
)
