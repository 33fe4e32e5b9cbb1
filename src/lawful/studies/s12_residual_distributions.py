"""Study 12: whether the law is misspecified on published runs, with and without one factor per budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lawful.core.objective import Objective
from lawful.core.typing import Array
from lawful.data.runs import Runs
from lawful.estimate.fit import fit
from lawful.estimate.solvers import Joint
from lawful.laws.surface import Surface
from lawful.studies import methods, real
from lawful.studies.study import Config, Study, Tables, Task
from lawful.studies.tables import Table
from lawful.studies.verdicts import Comparison, to_digits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEVEL = 0.01
NAMES = ("E", "A", "B", "alpha", "beta")
KINDS = {"loss": "fit of the loss", "log loss": "fit of the log loss", "adjusted": "the same, k fitted per budget"}
CURVE_POINTS = 41

PUBLISHED = {
    "epochai_chinchilla__massivetext__chinchilla": (85, "0.779", "0.465"),
    "llama_3__raw_loss": (116, "0.933", "0.030"),
    "marin_202603__comma__llama_2": (80, "0.998", "0.863"),
    "marin_202603__dclm__llama_2": (79, "0.998", "0.346"),
    "marin_202603__nemotron__llama_2": (80, "0.995", "0.088"),
    "misfitting__fineweb_c4__transformer": (106, "0.994", "0.538"),
}
"""Clean runs, and p of Kruskal-Wallis and of Levene on the adjusted residuals (arXiv:2603.22339)."""


def tasks(config: Config) -> list[Task]:
    """One chunk per published set."""
    return [{"set": name} for name in config["sets"]]


def compute(config: Config, task: Task) -> Tables:
    """Residuals of both fits and after k, per budget, with their tests; and lawful's fit tested without k."""
    name = task["set"]
    label = real.EXPERIMENTS[name]
    if not real.has_experiment(config["data"], name):
        return {"absent": Table.from_rows([{"set": label, "file": real.ISOFLOPS}])}
    runs = real.clean(real.read_experiment(config["data"], name), name)
    design = methods.Logs(np.log(runs.N), np.log(runs.D))
    start = methods.joint_starts(design, runs.L[None], methods.joint_grid(*methods.REAL_GRID))[0]
    surfaces: dict[str, Surface] = {}
    errors: methods.ErrorKind
    for errors in ("loss", "log loss"):
        x = methods.fit_lse(design, runs.L, start, errors=errors).x
        surfaces[errors] = Surface(dict(zip(NAMES, x.tolist(), strict=True)))
    factors = [_factor(surfaces["log loss"], runs, g) for g in range(runs.budgets.size)]
    k = np.array(factors)[runs.group]
    residuals = {kind: runs.L - surface.loss(runs.N, runs.D) for kind, surface in surfaces.items()}
    residuals["adjusted"] = runs.L - surfaces["log loss"].loss(runs.N, runs.C / (k * runs.N))
    own = fit(runs, method=Joint(), objective=Objective.log_squared()).surface
    return {
        "residuals": _residual_table(label, runs, residuals),
        "factors": _factor_table(label, runs, factors, residuals),
        "curves": _curve_table(label, runs, factors, surfaces["log loss"]),
        "tests": Table.from_rows(
            {"set": label, "runs": len(runs), "fit": kind, **surfaces[_fit_of(kind)].coefficients,
             "at_bound": float(_at_bound(surfaces[_fit_of(kind)])), **_tests(residuals[kind], runs)}
            for kind in KINDS
        ),
        "unadjusted": Table.from_rows([_unadjusted(label, runs, own)]),
    }  # fmt: skip


def _fit_of(kind: str) -> str:
    return "loss" if kind == "loss" else "log loss"


def _at_bound(surface: Surface) -> bool:
    x = np.array([surface[name] for name in NAMES])
    return bool(np.isclose(x, methods.UPPER, rtol=1e-9).any() or np.isclose(x, methods.LOWER, rtol=1e-9).any())


def _factor(surface: Surface, runs: Runs, group: int) -> float:
    """Return the k in C = kND that best explains one budget: with D = C/(kN) the loss is linear in k^beta."""
    at = runs.group == group
    n, budget = runs.N[at], float(runs.budgets[group])
    column = surface["B"] * (n / budget) ** surface["beta"]
    left = runs.L[at] - surface["E"] - surface["A"] * n ** -surface["alpha"]
    power = float(column @ left / (column @ column))
    return power ** (1 / surface["beta"]) if power > 0 else float("nan")


def _tests(residuals: Array, runs: Runs) -> dict[str, float]:
    """Test location and spread across budgets of at least two runs."""
    from scipy.stats import kruskal, levene

    groups = [residuals[runs.group == g] for g in range(runs.budgets.size)]
    groups = [values for values in groups if values.size > 1]
    return {
        "kruskal_p": float(kruskal(*groups).pvalue),
        "levene_p": float(levene(*groups, center="median").pvalue),
        "mean_sigma": float(np.mean([values.std() for values in groups])),
    }


def _unadjusted(label: str, runs: Runs, surface: Surface) -> dict[str, Any]:
    """Lawful's own fit: its residuals of the log loss as they are, and the published test with its k."""
    residuals = np.log(runs.L) - np.log(surface.loss(runs.N, runs.D))
    k = np.array([_factor(surface, runs, g) for g in range(runs.budgets.size)])[runs.group]
    adjusted = _tests(runs.L - surface.loss(runs.N, runs.C / (k * runs.N)), runs)
    tests = _tests(residuals, runs)
    return {
        "set": label, "runs": len(runs), "budgets": runs.budgets.size, **surface.coefficients,
        "rms_percent": 100 * float(np.sqrt((residuals**2).mean())),
        "kruskal_p": tests["kruskal_p"], "levene_p": tests["levene_p"],
        "adjusted_kruskal_p": adjusted["kruskal_p"], "adjusted_levene_p": adjusted["levene_p"],
        "k_low": float(k.min()), "k_high": float(k.max()),
    }  # fmt: skip


def _residual_table(label: str, runs: Runs, residuals: dict[str, Array]) -> Table:
    return Table.from_rows(
        {"set": label, "fit": kind, "budget": float(c), "params": float(n), "loss": float(y), "residual_nats": float(r)}
        for kind, values in residuals.items()
        for c, n, y, r in zip(runs.budgets[runs.group], runs.N, runs.L, values, strict=True)
    )


def _factor_table(label: str, runs: Runs, factors: list[float], residuals: dict[str, Array]) -> Table:
    """Per budget its k and the population standard deviation of each kind of residual."""
    rows = []
    for g, (budget, k) in enumerate(zip(runs.budgets, factors, strict=True)):
        at = runs.group == g
        sigmas = {f"sigma_{kind.replace(' ', '_')}": float(values[at].std()) for kind, values in residuals.items()}
        rows.append({"set": label, "budget": float(budget), "runs": int(at.sum()), "k": k, **sigmas})
    return Table.from_rows(rows)


def _curve_table(label: str, runs: Runs, factors: list[float], surface: Surface) -> Table:
    """Losses along each budget, by C = 6ND and by its own k."""
    rows = []
    for g, (budget, k) in enumerate(zip(runs.budgets, factors, strict=True)):
        at = runs.N[runs.group == g]
        n = np.geomspace(at.min(), at.max(), CURVE_POINTS)
        plain, adjusted = surface.loss(n, budget / (6 * n)), surface.loss(n, budget / (k * n))
        rows += [
            {"set": label, "budget": float(budget), "params": a, "loss": b, "loss_adjusted": c}
            for a, b, c in zip(n.tolist(), plain.tolist(), adjusted.tolist(), strict=True)
        ]
    return Table.from_rows(rows)


def draw(tables: Tables) -> dict[str, Figure]:
    """Residuals per budget for each fit, a row per set; curves with and without k; k and sigma per budget."""
    return {
        "residuals": _draw_residuals(tables),
        "curves": _draw_curves(tables),
        "flop_factor": _draw_factors(tables),
    }


def _draw_residuals(tables: Tables) -> Figure:
    from lawful.studies import drawing

    residuals, tests = tables["residuals"], tables["tests"]
    sets = residuals.values("set")
    figure, axes = drawing.panels(len(sets), len(KINDS), (11.2, 2.5 * len(sets) + 0.4), sharey="row")
    for row, name in zip(axes, sets, strict=True):
        for ax, (kind, text) in zip(row, KINDS.items(), strict=True):
            _densities(ax, residuals.where(set=name, fit=kind))
            test = tests.one(set=name, fit=kind)
            p = f"p: location {test['kruskal_p']:.3g}, spread {test['levene_p']:.3g}"
            drawing.title(ax, f"{name}\n{p}" if kind == "loss" else p)
            drawing.labels(ax, text if row is axes[-1] else "", "residual (nats)" if kind == "loss" else "")
    return figure


def _densities(ax: Axes, table: Table) -> None:
    """Draw each budget's residuals as a rug, a box and a density."""
    from lawful.studies import drawing

    drawing.zero_line(ax)
    budgets = sorted(table.values("budget"))
    for place, (color, budget) in enumerate(zip(drawing.budget_colors(budgets), budgets, strict=True)):
        values = table.where(budget=budget)["residual_nats"]
        if values.size > 1 and np.ptp(values) > 0:
            body: Any = ax.violinplot([values], positions=[place], widths=0.9, showextrema=False, side="high")
            body["bodies"][0].set(facecolor=color, alpha=0.35)
        drawing.boxes(ax, [values], [place], color, width=0.16, fill=0.0)
        ax.plot(np.full(values.size, place - 0.22), values, "_", color=color, markersize=6, markeredgewidth=0.9)
    every = -(-len(budgets) // 7)
    names = [f"{b:.1e}".replace("e+", "e").replace(".0e", "e") for b in budgets[::every]]
    ax.set_xticks(range(0, len(budgets), every), names, fontsize=7.5)
    ax.grid(visible=False, axis="x")


def _draw_curves(tables: Tables) -> Figure:
    from lawful.studies import drawing

    sets = tables["curves"].values("set")
    rows = -(-len(sets) // 3)
    figure, axes = drawing.panels(rows, min(3, len(sets)), (11.2, 3.2 * rows + 0.4))
    for ax, name in zip(axes.flat, sets, strict=False):
        curves, seen = tables["curves"].where(set=name), tables["residuals"].where(set=name, fit="adjusted")
        budgets = curves.values("budget")
        for color, budget in zip(drawing.budget_colors(budgets), budgets, strict=True):
            line, points = curves.where(budget=budget), seen.where(budget=budget)
            ax.plot(points["params"], points["loss"], "o", color=color, markersize=2.5)
            ax.plot(line["params"], line["loss"], color=color, linewidth=0.9, linestyle=(0, (3, 1.5)))
            ax.plot(line["params"], line["loss_adjusted"], color=color, linewidth=1.2)
        ax.set_xscale("log")
        drawing.count_axis(ax, "x", "model size N", most=5)
        drawing.title(ax, name)
    for ax in axes.flat[len(sets) :]:
        ax.set_visible(False)
    for row in axes:
        drawing.labels(row[0], row[0].get_xlabel(), "loss (nats per token)")
    keys = [
        drawing.key("C = 6ND", color=drawing.MUTED, linestyle=(0, (3, 1.5))),
        drawing.key("C = kND, k fitted per budget", color=drawing.MUTED),
    ]
    drawing.legend_above(figure, keys)
    return figure


def _draw_factors(tables: Tables) -> Figure:
    from lawful.studies import drawing

    figure, ((left, right),) = drawing.panels(1, 2, (10.6, 4.0))
    left.axhline(6, color=drawing.MUTED, linewidth=0.8)
    handles = []
    for i, ((name,), table) in enumerate(tables["factors"].groups("set")):
        style = {"color": drawing.CYCLE[i], "linestyle": drawing.DASHES[i], "marker": drawing.MARKERS[i]}
        left.plot(table["budget"], table["k"], markersize=4.5, **style)
        right.plot(table["budget"], table["sigma_adjusted"], markersize=4.5, **style)
        handles.append(drawing.key(name, **style))
    for ax, text in ((left, "k that best explains the curve, C = kND"), (right, "σ of the adjusted residuals (nats)")):
        drawing.flops_axis(ax)
        drawing.labels(ax, "training compute (FLOPs)", text)
    drawing.legend_above(figure, handles, columns=4)
    return figure


def findings(tables: Tables) -> list[str]:
    """Count the sets that differ, first as published, then without k."""
    tests, own = tables["tests"].where(fit="adjusted"), tables["unadjusted"]
    moved = [row["set"] for row in tests.rows() if row["kruskal_p"] < LEVEL]
    bent = [row["set"] for row in own.rows() if row["kruskal_p"] < LEVEL]
    sentences = [
        f"After one factor k per budget the residuals' location differs on {len(moved)} of {len(tests)} published sets "
        f"(Kruskal-Wallis, p < {LEVEL}, least p {tests['kruskal_p'].min():.3f}); without k it differs on {len(bent)}"
        + (f": {'; '.join(bent)}." if bent else "."),
        (
            "The factor of a budget takes the location of its residuals away, so the published test cannot see a law "
            "that bends across budgets; the second part, lawful's own fit without k, can, and what it finds is a "
            "misspecified law or a wrong budget."
        ),
    ]
    for row in tests.rows():
        bound = "; a coefficient of the published fit sits on its bound" if row["at_bound"] else ""
        sentences.append(
            f"As published, {row['set']}: {row['runs']:.0f} clean runs, Kruskal-Wallis p {row['kruskal_p']:.3f}, "
            f"Levene p {row['levene_p']:.3f}, mean sigma {row['mean_sigma']:.4f} nats{bound}."
        )
    sentences += [
        f"Without k, {row['set']}: residuals {row['rms_percent']:.2f}% of the loss at {row['budgets']:.0f} budgets; "
        f"Kruskal-Wallis p {row['kruskal_p']:.2g}, Levene p {row['levene_p']:.2g}; k from {row['k_low']:.2f} to "
        f"{row['k_high']:.2f} where 6 is assumed."
        for row in own.rows()
    ]
    if "absent" in tables:
        names = " and ".join(str(name) for name in tables["absent"]["set"])
        sentences.append(f"{names}: not among these runs; the fetched set isoflop-experiments holds it.")
    return sentences


def published(tables: Tables) -> list[Comparison]:
    """Clean runs and both p of every published set that the folder holds, by the published fit and by lawful's."""
    out = []
    present = tables["tests"].values("set")
    for name, (runs, location, spread) in PUBLISHED.items():
        label = real.EXPERIMENTS[name]
        if label not in present:
            continue
        row, own = tables["tests"].one(set=label, fit="adjusted"), tables["unadjusted"].one(set=label)
        out += [
            Comparison(f"{label}: clean runs", runs, row["runs"], 0.5, remark="to the count"),
            to_digits(f"{label}: Kruskal-Wallis p", location, row["kruskal_p"]),
            to_digits(f"{label}: Levene p", spread, row["levene_p"]),
            _by_lawful(
                f"{label}: Kruskal-Wallis p, lawful's fit", location, own["adjusted_kruskal_p"], row["at_bound"]
            ),
            _by_lawful(f"{label}: Levene p, lawful's fit", spread, own["adjusted_levene_p"], row["at_bound"]),
        ]
    return out


def _by_lawful(quantity: str, text: str, ours: float, bound: float) -> Comparison:
    """Compare to the digits, except where the published fit stops on a bound that lawful does not have."""
    if not bound:
        return to_digits(quantity, text, ours)
    why = "the published fit stops at B = 1e6, its bound; lawful's has none there"
    return Comparison(quantity, float(text), ours, None, remark=why)


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
    published=published,
    data=(real.ISOFLOPS,),
)
