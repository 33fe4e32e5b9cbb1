"""Study 21: Approach 2 with its bias removed, without noise and with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lawful.approach2.bias import correct_isoflop, correct_vertices, frontier_through
from lawful.design.plan import study_surface
from lawful.estimate.isoflop import fit_isoflop
from lawful.laws.surface import Optima, Surface
from lawful.solve.parabola import fit_parabola
from lawful.studies import sweeps
from lawful.studies.batch import fit_rows
from lawful.studies.study import Config, Study, Tables, Task
from lawful.studies.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CASES: dict[str, dict[str, float]] = {"centred": {}, "offset 3×": {"offset": 3.0}, "drift to 3×": {"drift": 3.0}}
METHODS = {"approach2": "Approach 2", "corrected": "corrected", "vpnls": "VPNLS"}
RIGHT = 1e-6


def tasks(config: Config) -> list[Task]:
    """One chunk per surface."""
    return [{"surface": name} for name in config["surfaces"]]


def compute(config: Config, task: Task) -> Tables:
    """Errors without noise on every grid, and bias and spread of log N* under noise on one."""
    truth = study_surface(task["surface"])
    exact = []
    for case, options in CASES.items():
        for grid, width in sweeps.WIDTHS.items():
            runs = sweeps.noise_free(truth, np.log10(width), options)
            found = fit_isoflop(runs, window="none")
            right = correct_isoflop(found, truth["alpha"], truth["beta"])
            row: dict[str, Any] = {"case": case, "surface": task["surface"], "grid": grid}
            for method, line in (("approach2", found.frontier), ("corrected", right.frontier)):
                best = truth.optimum(config["budget"])
                row[f"{method}_params_error"] = float(line.params(config["budget"]) / best.params - 1)
                row[f"{method}_tokens_error"] = float(line.tokens(config["budget"]) / best.tokens - 1)
            exact.append(row)
    noisy = [
        row
        for case, options in CASES.items()
        for sigma in config["sigmas"]
        for row in _noisy(config, task, case, options, sigma, truth)
    ]
    return {"exact": Table.from_rows(exact), "noisy": Table.from_rows(noisy)}


def _noisy(
    config: Config, task: Task, case: str, options: dict[str, float], sigma: float, truth: Surface
) -> list[dict[str, Any]]:
    """Bias and standard deviation of ln N* over noise draws, on the draws where Approach 2 has an answer."""
    plan = sweeps.sweep(truth, np.log10(config["width"]), options)
    rng = np.random.default_rng([config["seed"], round(1e6 * sigma)])
    losses = truth.loss(plan.N, plan.D) + rng.normal(0.0, sigma, (config["draws"], len(plan)))
    fits = fit_rows(plan, losses)
    runs = sweeps.noise_free(truth, np.log10(config["width"]), options)
    vertices = {}
    for name, x in (("N", np.log10(plan.N)), ("D", np.log10(plan.D))):
        groups = [runs.group == g for g in range(runs.budgets.size)]
        vertices[name] = np.stack([fit_parabola(x[i], losses[:, i]).minimum for i in groups], axis=1)
    alpha, beta = fits.x[:, 3], fits.x[:, 4]
    at_n = correct_vertices(runs, np.log10(plan.N), vertices["N"], alpha, beta)
    at_d = correct_vertices(runs, np.log10(plan.D), vertices["D"], beta, alpha)
    at = np.log10(config["budget"])
    lines = {
        "approach2": frontier_through(runs.budgets, vertices["N"], vertices["D"]),
        "corrected": frontier_through(runs.budgets, at_n, at_d),
    }
    found = {name: line["log10_a0"] + line["a"] * at for name, line in lines.items()}
    k = dict(zip(truth.law.names, fits.x.T, strict=True))
    found["vpnls"] = Optima.of(k).at(np.log(truth.cost.product(config["budget"])))[0] / np.log(10)
    true = float(np.log10(truth.optimum(config["budget"]).params))
    both = np.isfinite(np.stack(list(found.values()))).all(axis=0)
    rows = []
    for method, values in found.items():
        error = np.log(10.0) * (values[both] - true)
        rows.append(
            {
                "case": case,
                "surface": task["surface"],
                "sigma": sigma,
                "method": method,
                "draws": len(values),
                "used": int(both.sum()),
                "failed": int((~np.isfinite(values)).sum()),
                "bias": float(error.mean()),
                "sd": float(error.std(ddof=1)),
                "rmse": float(np.sqrt((error**2).mean())),
            }
        )
    return rows


def draw(tables: Tables) -> dict[str, Figure]:
    """Root mean square error of ln N* per method and case, a panel per surface."""
    from lawful.studies import drawing

    noisy = tables["noisy"]
    names, cases, sigma = noisy.values("surface"), noisy.values("case"), noisy.values("sigma")[0]
    figure, axes = drawing.panels(1, len(names), (9.6, 3.4), sharey=True)
    for ax, name in zip(axes[0], names, strict=True):
        for k, (method, label) in enumerate(METHODS.items()):
            rows = [noisy.one(surface=name, case=case, sigma=sigma, method=method) for case in cases]
            place = np.arange(len(cases)) + (k - 1) * 0.27
            ax.bar(place, [r["rmse"] for r in rows], width=0.25, color=drawing.CYCLE[k], alpha=0.45, label=label)
            ax.bar(place, [abs(r["bias"]) for r in rows], width=0.25, color=drawing.CYCLE[k])
        ax.grid(visible=False, axis="x")
        ax.set_xticks(range(len(cases)), cases)
        drawing.title(ax, sweeps.LABELS[name])
    drawing.labels(axes[0, 0], "", f"rms error of ln N*, bias dark (σ = {sigma:g})")
    drawing.legend_above(figure, axes[0, 0].get_legend_handles_labels()[0])
    return {"corrected": figure}


def findings(tables: Tables) -> list[str]:
    """Say whether the correction is right, and what it costs."""
    exact, noisy = tables["exact"], tables["noisy"]
    left = max(float(np.abs(exact[f"corrected_{q}_error"]).max()) for q in ("params", "tokens"))
    before = max(float(np.abs(exact[f"approach2_{q}_error"]).max()) for q in ("params", "tokens"))
    verdict = "is right" if left < RIGHT else "is not right"
    first = (
        f"With its bias removed Approach 2 {verdict} on all {len(exact)} noise-free sweeps: the largest error of "
        f"N* and D* at 1e24 FLOPs falls from {before:.1%} to {left:.1e}."
    )
    sentences = [first]
    for (name, case, sigma), rows in noisy.groups("surface", "case", "sigma"):
        by = {row["method"]: row for row in rows.rows()}
        two, right, one = (by[m] for m in METHODS)
        ratio = (right["sd"] / one["sd"]) ** 2
        sentences.append(
            f"{sweeps.LABELS[name]}, {case}, noise {sigma:g}: bias of ln N* {two['bias']:+.3f} before and "
            f"{right['bias']:+.3f} after, standard deviation {two['sd']:.3f} and {right['sd']:.3f}; VPNLS "
            f"{one['bias']:+.3f} and {one['sd']:.3f}, a variance {ratio:.1f} times smaller than the corrected one's "
            f"({right['used']:.0f} of {right['draws']:.0f} draws)."
        )
    return sentences


STUDY = Study(
    number=21,
    name="corrected_approach2",
    question="Can the bias of Approach 2 be taken out, and is it then as good as a surface?",
    config={
        "surfaces": list(sweeps.SURFACES),
        "budget": sweeps.TARGET,
        "sigmas": [0.005, 0.02],
        "width": 8.0,
        "draws": 1000,
    },
    quick={"draws": 60, "sigmas": [0.005]},
    tasks=tasks,
    compute=compute,
    draw=draw,
    findings=findings,
)
