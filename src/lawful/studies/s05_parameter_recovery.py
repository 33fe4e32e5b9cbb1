"""Study 5: which solver recovers all five parameters of a noise-free sweep."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from lawful.data.runs import Runs
from lawful.design.plan import study_surface
from lawful.estimate.fit import fit
from lawful.estimate.result import Frontier
from lawful.laws.surface import Surface
from lawful.studies import methods, sweeps
from lawful.studies.published_recovery import ERRORS, GRID_TEXT, ITERATIONS, NAMES
from lawful.studies.study import Config, Study, Tables, Task
from lawful.studies.tables import Table
from lawful.studies.verdicts import Comparison, to_digits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LABELS = {
    "approach3": "Approach 3, L-BFGS-B",
    "approach3 3-point": "Approach 3, L-BFGS-B, 3-point gradient",
    "l-bfgs-b": "VPNLS, L-BFGS-B",
    "l-bfgs-b 3-point": "VPNLS, L-BFGS-B, 3-point gradient",
    "nelder-mead": "VPNLS, Nelder-Mead",
    "grid": "VPNLS, 256×256 grid alone",
    "lawful": "lawful's default",
}


def solve(method: str, runs: Runs) -> methods.Answer:
    """Fit one set of runs by one method."""
    design, y = methods.Design(np.log(runs.N), np.log(runs.D)), runs.L
    if method == "lawful":
        found = fit(runs)
        return methods.Answer(np.array([found.surface[n] for n in NAMES]), found.status.key == "converged", 0)
    jacobian: methods.Jacobian = "3-point" if method.endswith("3-point") else "analytic"
    if method.startswith("approach3"):
        return methods.fit_log(design, y, methods.joint_starts(design, y[None], log=True)[0], jacobian)
    points = methods.FINE_GRID if method == "grid" else methods.COARSE_GRID
    start = methods.exponent_starts(design, y[None], points)[0]
    search = partial(methods.fit_projected, design, y, start)
    if method == "nelder-mead":
        return search("nelder-mead")
    return search("none") if method == "grid" else search("l-bfgs-b", jacobian)


def tasks(config: Config) -> list[Task]:
    """One chunk per method and surface, and the default solver on off-centre sweeps."""
    fits = [{"method": m, "surface": s} for m in LABELS for s in config["surfaces"]]
    return fits + [{"surface": s, "bias": bias} for s in config["surfaces"] for bias in sweeps.BIASES]


def compute(config: Config, task: Task) -> Tables:
    """Errors of all five parameters, per range."""
    truth = study_surface(task["surface"])
    halves = sweeps.half_widths(config["ranges"])
    true = np.array([truth[name] for name in NAMES])
    rows = []
    for half in halves:
        if "bias" in task:
            answer = solve("lawful", sweeps.noise_free(truth, half, sweeps.BIASES[task["bias"]]))
            error = 100 * np.abs(answer.x / true - 1)
            frontier = Frontier.of_surface(Surface(dict(zip(NAMES, answer.x.tolist(), strict=True))))
            budgets = np.geomspace(*config["horizon"])
            tokens = 100 * np.abs(sweeps.tokens_error(truth, frontier, budgets)).max()
            rows.append(
                {
                    **task,
                    "half_width": half,
                    "largest_error_percent": float(error.max()),
                    "tokens_error_percent": float(tokens),
                }
            )
            continue
        answer = solve(task["method"], sweeps.noise_free(truth, half))
        errors = dict(zip(NAMES, (100 * np.abs(answer.x / true - 1)).tolist(), strict=True))
        failed = int(not answer.converged or answer.at_bound)
        rows.append(
            {
                **task,
                "half_width": half,
                "failed": failed,
                "converged": int(answer.converged),
                "iterations": answer.iterations,
                **errors,
            }
        )
    return {"off_centre" if "bias" in task else "fits": Table.from_rows(rows)}


def summarise(_: Config, tables: Tables) -> Tables:
    """Largest error per parameter, failures and iterations per surface and method."""
    rows = [
        {
            "surface": surface,
            "method": method,
            "fits": len(fits),
            "failures": int(fits["failed"].sum()),
            "median_iterations": float(np.median(fits["iterations"])),
            "max_iterations": float(fits["iterations"].max()),
            **{f"max_{name}_error_percent": float(fits[name].max()) for name in NAMES},
        }
        for (method, surface), fits in tables["fits"].groups("method", "surface")
    ]
    return {**tables, "summary": Table.from_rows(rows)}


def draw(tables: Tables) -> dict[str, Figure]:
    """Largest error of the five parameters against range, a panel per surface; and the off-centre sweeps."""
    from lawful.studies import drawing

    fits = tables["fits"]
    surfaces = fits.values("surface")
    figure, axes = drawing.panels(1, len(surfaces), (10.2, 4.0), sharey=True)
    for ax, surface in zip(axes[0], surfaces, strict=True):
        for k, (method, label) in enumerate(LABELS.items()):
            rows = fits.where(surface=surface, method=method)
            worst = np.maximum(np.max([rows[name] for name in NAMES], axis=0), 1e-13)
            ax.semilogy(
                rows["half_width"],
                worst,
                color=drawing.CYCLE[k],
                linestyle=drawing.DASHES[k],
                marker=drawing.MARKERS[k],
                markersize=3,
                label=label,
                linewidth=2 if method == "lawful" else 1.3,
            )
        drawing.title(ax, sweeps.LABELS[surface])
        drawing.range_axis(ax)
    drawing.labels(axes[0, 0], axes[0, 0].get_xlabel(), "largest error of E, A, B, α, β (%)")
    drawing.legend_above(figure, axes[0, 0].get_legend_handles_labels()[0], columns=3)
    off, grid = drawing.panels(1, len(surfaces), (10.2, 3.4), sharey=True)
    for ax, surface in zip(grid[0], surfaces, strict=True):
        for k, ((bias,), rows) in enumerate(tables["off_centre"].where(surface=surface).groups("bias")):
            values = np.maximum(rows["tokens_error_percent"], 1e-14)
            ax.semilogy(rows["half_width"], values, color=drawing.CYCLE[k], linestyle=drawing.DASHES[k], label=bias)
        drawing.title(ax, sweeps.LABELS[surface])
        drawing.range_axis(ax)
    drawing.labels(grid[0, 0], grid[0, 0].get_xlabel(), "largest error of D*, 10²²–10²⁵ FLOPs (%)")
    drawing.legend_above(off, grid[0, 0].get_legend_handles_labels()[0])
    return {"recovery": figure, "off_centre": off}


def findings(tables: Tables) -> list[str]:
    """Rank the solvers by their largest error."""
    fits = tables["fits"]
    worst, failures = {}, {}
    for (method,), rows in fits.groups("method"):
        worst[method] = max(float(rows[name].max()) for name in NAMES)
        failures[method] = int(rows["failed"].sum())
    order = sorted(worst, key=lambda m: worst[m])
    best, last = order[0], order[-1]
    sentences = [
        (
            f"Most exact over {len(fits.where(method=best))} noise-free sweeps: {LABELS[best]}, never more than "
            f"{worst[best]:.1e}% off "
            f"in any parameter; least: {LABELS[last]}, {worst[last]:.1e}%."
        )
    ]
    for method in order:
        rows = fits.where(method=method)
        middle = f", median {np.median(rows['iterations']):.0f} iterations" if rows["iterations"].max() > 0 else ""
        sentences.append(
            f"{LABELS[method]}: largest error {worst[method]:.2e}%, {failures[method]} of {len(rows)} failed{middle}."
        )
    off = tables["off_centre"]
    sentences.append(
        f"Off-centre sweeps do not hurt lawful's default: over {len(off)} sweeps its largest error in a parameter is "
        f"{off['largest_error_percent'].max():.1e}%, and in D* from 10^22 to 10^25 FLOPs "
        f"{off['tokens_error_percent'].max():.1e}%."
    )
    return sentences


def published(tables: Tables) -> list[Comparison]:
    """Errors within a factor of ten, iterations within 30%, the grid to its digits; the full number of ranges only."""
    summary, out = tables["summary"], []
    if summary["fits"].min() < 20:
        return []
    for (surface, method), (middle, most) in ITERATIONS.items():
        ours, name = summary.one(surface=surface, method=method), f"{sweeps.LABELS[surface]}, {LABELS[method]}"
        remark = (
            "" if ours["failures"] == 0 else "a line search that gives up at the rounding floor counts as failed here"
        )
        out.append(Comparison(f"{name}: failures", 0.0, ours["failures"], None, remark=remark))
        for label, value, key in (
            ("median iterations", middle, "median_iterations"),
            ("most iterations", most, "max_iterations"),
        ):
            out.append(Comparison(f"{name}: {label}", value, ours[key], 30.0, "percent"))
        for parameter, value in zip(NAMES, ERRORS[surface, method], strict=True):
            key = f"max_{parameter}_error_percent"
            out.append(Comparison(f"{name}: largest error of {parameter} (%)", value, ours[key], 1.0, "decades"))
    for surface, text in GRID_TEXT.items():
        ours, name = summary.one(surface=surface, method="grid"), f"{sweeps.LABELS[surface]}, {LABELS['grid']}"
        for parameter, digits in zip(NAMES, text.split(), strict=True):
            out.append(
                to_digits(f"{name}: largest error of {parameter} (%)", digits, ours[f"max_{parameter}_error_percent"])
            )
    return out


STUDY = Study(
    number=5,
    name="parameter_recovery",
    question="Which solver recovers all five parameters of a noise-free sweep?",
    config={"surfaces": list(sweeps.SURFACES), "ranges": 20, "horizon": [1e22, 1e25, 16]},
    quick={"ranges": 5},
    tasks=tasks,
    compute=compute,
    draw=draw,
    findings=findings,
    published=published,
    summarise=summarise,
)
