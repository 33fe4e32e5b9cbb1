"""Study 7: which method finds the exponents of the frontier under noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lawful.core.typing import Array
from lawful.studies import methods, noise
from lawful.studies.batch import fit_rows
from lawful.studies.study import Config, Study, Tables, Task
from lawful.studies.tables import Table
from lawful.studies.verdicts import Comparison

if TYPE_CHECKING:
    from matplotlib.figure import Figure


LABELS = {
    "approach2": "Approach 2",
    "random": "Approach 3, random start, raw",
    "raw": "Approach 3, grid start, raw",
    "log": "Approach 3, grid start, log-sum-exp",
    "vpnls": "VPNLS",
    "lawful": "lawful's default",
}

PUBLISHED = {
    "approach2": (4.844893274749087, 715.497732452409, 238.49924415078695),
    "random": (16.19222896520442, 295.9999967026049, 98.66666556753496),
    "raw": (1.1065175582740734, 73.61300965170207, 24.53766988390069),
    "log": (1.2584099836163114, 44.207869952555654, 14.735956650851886),
    "vpnls": (1.0889078832986459, 34.19262511458581, 11.397541704861942),
}
"""Geometric mean of |error| of a and b in percent, and the largest of a and of b, over 9,216 fits."""

ENDS = ("capped", "abnormal", "at_bound")
"""Of every search: whether it met the cap on iterations, ended ABNORMAL, or ended within 1e-6 of a bound."""

PUBLISHED_ENDS = {
    "approach2": (0, 0, 0),
    "random": (11, 1286, 424),
    "raw": (0, 1997, 18),
    "log": (0, 222, 710),
    "vpnls": (0, 2247, 8),
}
"""The same counts, from the table beside the article's figure (maxiter, abnormal, bound hit)."""

FITS = 9216
FIVE_DIGITS = 0.001
"""Percent within which two figures share five digits."""


def tasks(config: Config) -> Sequence[Task]:
    """One chunk per method and condition, the slow methods first; and one for the curves."""
    slow_first = sorted(LABELS, key=lambda m: m not in ("random", "raw", "log"))
    return [{"method": m, **c} for m in slow_first for c in noise.conditions(config)] + [{"sigma": 0.0, "budgets": 3}]


def exponents(method: str, sweeps: noise.Sweeps) -> dict[str, Array]:
    """Return a and b of every draw, NaN where a fit failed, and how its search ended: three columns of 0 or 1."""
    plan, y = sweeps.plan, sweeps.losses
    quiet = np.zeros(len(y))
    if method == "approach2":
        shape = (plan.budgets.size, sweeps.points)
        logs = np.log10(plan.N).reshape(shape), np.log10(plan.D).reshape(shape), np.log10(plan.budgets)
        found = methods.parabolas(*logs, y.reshape(-1, *shape))
        good = found.curvature > 0
        a, b = np.where(good, found.a, np.nan), np.where(good, found.b, np.nan)
        return {"a": a, "b": b, "capped": quiet, "abnormal": quiet, "at_bound": quiet}
    if method == "lawful":
        fits = fit_rows(plan, y)
        a = np.where(fits.converged, fits.a, np.nan)
        return {"a": a, "b": 1 - a, "capped": quiet, "abnormal": quiet, "at_bound": quiet}
    answers = _answers(method, methods.Logs(np.log(plan.N), np.log(plan.D)), y, sweeps.starts)
    a = np.array([answer.a for answer in answers])
    return {
        "a": a,
        "b": 1 - a,
        "capped": np.array([float(answer.end == "iterations") for answer in answers]),
        "abnormal": np.array([float(answer.end == "abnormal") for answer in answers]),
        "at_bound": np.array([float(answer.touches) for answer in answers]),
    }


def _answers(method: str, design: methods.Logs, y: Array, random: Array) -> list[methods.Answer]:
    """Fit every draw by one of SciPy's searches."""
    if method == "vpnls":
        starts = methods.exponent_starts(design, y)
        return [methods.fit_projected(design, *pair) for pair in zip(y, starts, strict=True)]
    starts = random if method == "random" else methods.joint_starts(design, y)
    fit = methods.fit_lse if method == "log" else methods.fit_raw
    return [fit(design, *pair) for pair in zip(y, starts, strict=True)]


def compute(config: Config, task: Task) -> Tables:
    """Relative errors of a and b for every draw, in percent; or the curves that are drawn."""
    if "method" not in task:
        return {"curves": _curves(config, task)}
    true_a, true_b = noise.truth_of(config).exponents
    parts = []
    for sweeps in noise.noisy_sweeps(config, task):
        found = exponents(task["method"], sweeps)
        rows = len(found["a"])
        columns = {"method": np.full(rows, task["method"], dtype=object)}
        for name, value in (("sigma", task["sigma"]), ("budgets", task["budgets"]), ("points", sweeps.points)):
            columns[name] = np.full(rows, float(value))
        columns |= {
            "draw": np.arange(rows, dtype=float),
            "a_error_percent": 100 * (found["a"] / true_a - 1),
            "b_error_percent": 100 * (found["b"] / true_b - 1),
            **{name: found[name] for name in ENDS},
        }
        parts.append(Table(columns))
    return {"errors": Table.stack(parts)}


def _curves(config: Config, task: Task) -> Table:
    """Losses of the first draw at every noise, 16 points per budget where there are as many."""
    truth, rows = noise.truth_of(config), []
    for sigma in config["sigmas"]:
        sweeps = list(noise.noisy_sweeps({**config, "draws": 1}, {**task, "sigma": sigma}))
        chosen = sweeps[min(2, len(sweeps) - 1)]
        exact = truth.loss(chosen.plan.N, chosen.plan.D)
        for c, n, true, seen in zip(chosen.plan.C, chosen.plan.N, exact, chosen.losses[0], strict=True):
            rows.append(
                {"sigma": sigma, "budget": float(c), "params": float(n), "loss_true": float(true), "loss": float(seen)}
            )
    return Table.from_rows(rows)


def summarise(_: Config, tables: Tables) -> Tables:
    """Geometric means and maxima per method, over everything and per condition."""
    rows = [_summary(method, table, "all", "all", "all") for (method,), table in tables["errors"].groups("method")]
    for (method, sigma, budgets, points), table in tables["errors"].groups("method", "sigma", "budgets", "points"):
        rows.append(_summary(method, table, str(sigma), str(int(budgets)), str(int(points))))
    return {**tables, "summary": Table.from_rows(rows)}


def _summary(method: str, table: Table, sigma: str, budgets: str, points: str) -> dict[str, Any]:
    a, b = table["a_error_percent"], table["b_error_percent"]
    return {
        "method": method, "sigma": sigma, "budgets": budgets, "points": points, "fits": len(table),
        "failures": int(np.isnan(a).sum()), "geometric_mean_percent": noise.geometric_mean(np.concatenate([a, b])),
        "max_a_percent": float(np.nanmax(np.abs(a))), "max_b_percent": float(np.nanmax(np.abs(b))),
        **{name: int(table[name].sum()) for name in ENDS},
    }  # fmt: skip


def draw(tables: Tables) -> dict[str, Figure]:
    """Boxes of |error of a| per condition; and the noisy curves."""
    from lawful.studies import drawing

    errors = tables["errors"]
    sigmas, budgets, points = (errors.values(name) for name in ("sigma", "budgets", "points"))
    figure, axes = drawing.panels(len(sigmas), len(budgets), (11.0, 2.6 * len(sigmas) + 1.0), sharex=True, sharey=True)
    for i, sigma in enumerate(sigmas):
        for j, count in enumerate(budgets):
            ax = axes[i, j]
            for k, method in enumerate(LABELS):
                table = errors.where(method=method, sigma=sigma, budgets=count)
                data = [np.abs(t["a_error_percent"]) for t in (table.where(points=p) for p in points)]
                data = [v[np.isfinite(v)] for v in data]
                place = np.arange(len(points)) + (k - 2.5) * 0.14
                drawing.boxes(ax, data, place, drawing.CYCLE[k], width=0.11, fill=0.55)
                ax.plot(
                    place, [v.max() for v in data], marker="x", linestyle="", markersize=3.5, color=drawing.CYCLE[k]
                )
            ax.set_yscale("log")
            ax.set_ylim(1e-3, 2e3)
            ax.set_xticks(range(len(points)), [f"{p:.0f}" for p in points])
            ax.grid(visible=False, axis="x")
            drawing.title(ax, f"σ = {sigma:g}, {count:.0f} budgets")
            drawing.labels(
                ax, "points per budget" if i == len(sigmas) - 1 else "", "|error of a| (%)" if j == 0 else ""
            )
    keys = [
        drawing.key(label, color=drawing.CYCLE[k], linewidth=5, alpha=0.7) for k, label in enumerate(LABELS.values())
    ]
    keys.append(drawing.key("largest of all draws", color=drawing.MUTED, marker="x", linestyle="", markersize=4))
    drawing.legend_above(figure, keys, columns=4)
    curves, grid = drawing.panels(1, len(sigmas), (10.2, 3.4), sharey=True)
    for ax, sigma in zip(grid[0], sigmas, strict=True):
        table = tables["curves"].where(sigma=sigma)
        for color, ((budget,), rows) in zip(
            drawing.budget_colors(table.values("budget")), table.groups("budget"), strict=True
        ):
            ax.plot(rows["params"], rows["loss_true"], color=color, linewidth=1.2)
            ax.plot(
                rows["params"],
                rows["loss"],
                "o",
                color=color,
                markersize=3.5,
                label=f"{budget:.0e} FLOPs".replace("e+", "e"),
            )
        ax.set_xscale("log")
        drawing.count_axis(ax, "x", "model size N", most=5)
        drawing.title(ax, f"σ = {sigma:g} nats")
    drawing.labels(grid[0, 0], "model size N", "loss (nats per token)")
    drawing.legend_above(curves, grid[0, 0].get_legend_handles_labels()[0])
    return {"exponent_inference": figure, "noisy_curves": curves}


def findings(tables: Tables) -> list[str]:
    """Rank the methods by typical and by largest error."""
    total = tables["summary"].where(sigma="all")
    rows = sorted(total.rows(), key=lambda row: row["geometric_mean_percent"])
    best, last = rows[0], rows[-1]
    safest = min(row["max_a_percent"] for row in rows)
    sentences = [
        (
            f"Over {best['fits']:,.0f} noisy sweeps {_tied(rows, 'geometric_mean_percent')} come typically closest, "
            f"{best['geometric_mean_percent']:.2f}% off in the exponents, {LABELS[last['method']]} farthest, "
            f"{last['geometric_mean_percent']:.1f}%; the smallest largest error of a is {safest:.1f}%, "
            f"by {_tied(rows, 'max_a_percent')}."
        )
    ]
    for row in rows:
        failed = f", {row['failures']:.0f} failed" if row["failures"] else ""
        ends = f"; {row['abnormal']:.0f} ended ABNORMAL, {row['at_bound']:.0f} on a bound" if row["abnormal"] else ""
        ends += f", {row['capped']:.0f} at the cap on iterations" if row["capped"] else ""
        sentences.append(
            f"{LABELS[row['method']]}: geometric mean {row['geometric_mean_percent']:.4f}%, at most "
            f"{row['max_a_percent']:.2f}% on a and "
            f"{row['max_b_percent']:.2f}% on b{failed}{ends}."
        )
    return sentences


def _tied(rows: Sequence[Mapping[str, Any]], key: str) -> str:
    """Name the methods with the least of a figure; those within a thousandth of it share the place."""
    least = min(row[key] for row in rows)
    return " and ".join(sorted(LABELS[row["method"]] for row in rows if row[key] <= 1.001 * least))


def published(tables: Tables) -> list[Comparison]:
    """Geometric means, maxima and how the searches ended; only where the published number of fits was run."""
    total, out = tables["summary"].where(sigma="all"), []
    if (total["fits"] != FITS).any():
        return []
    for method, values in PUBLISHED.items():
        row, name = total.one(method=method), LABELS[method]
        exact = method in ("approach2", "vpnls")
        mean, most = (FIVE_DIGITS, FIVE_DIGITS) if exact else (1.0, 2.0 if method == "raw" else 0.01)
        mean = CHAOS if method == "random" else mean
        out.append(_percent(f"{name}: geometric mean (%)", values[0], row["geometric_mean_percent"], mean))
        out += [
            _percent(f"{name}: largest error of {key} (%)", value, row[f"max_{key}_percent"], most)
            for key, value in zip("ab", values[1:], strict=True)
        ]
        counts = zip(("met the cap on iterations", "ended ABNORMAL", "ended on a bound"), ENDS, strict=True)
        for (what, key), count in zip(counts, PUBLISHED_ENDS[method], strict=True):
            # Rounding decides these, search by search: a count spreads like its root.
            why = "rounding decides each one: within three roots of the count" if count else "to the count"
            quantity = f"{name}: searches that {what}"
            out.append(Comparison(quantity, count, row[key], max(3 * count**0.5, 0.5), remark=why))
        quantity = f"{name}: fits without an answer"
        out.append(Comparison(quantity, float(method == "approach2"), row["failures"], 0.5, remark="to the count"))
    return out


CHAOS = 5.2
"""
Three standard deviations, in percent, of the geometric mean from random starts when their last digits move.

Six runs of all 9,216 fits, four of them from starts moved by a relative 1e-12, gave 16.30, 16.34, 16.35, 16.52, 16.78
and 17.01%: nearly half of the fits end elsewhere.
"""

WHY = {
    CHAOS: "half of these fits end elsewhere when a last digit moves; six such runs gave 16.30 to 17.01, three sd",
    FIVE_DIGITS: "five digits",
    0.01: "the draw with the largest error is the same, to four digits",
    1.0: "some searches of five raw coefficients stop early, and rounding decides which",
    2.0: "the largest error is one search that stops in a flat valley, and rounding decides where",
}
"""Tolerance in percent and the reason for it."""


def _percent(quantity: str, value: float, ours: float, tolerance: float) -> Comparison:
    return Comparison(quantity, value, ours, tolerance, "percent", WHY[tolerance])


STUDY = Study(
    number=7,
    name="exponent_inference",
    question="Who is right about the exponents under noise?",
    config=noise.CONFIG,
    quick={"draws": 4},
    tasks=tasks,
    compute=compute,
    draw=draw,
    findings=findings,
    published=published,
    summarise=summarise,
)
