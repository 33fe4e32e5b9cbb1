"""Study 23: the laws of "Scaling Laws, Carefully" (Weng 2026) on their own axes, in the order of the essay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lawful.counting.formulas import kaplan_operations
from lawful.data.runs import Runs
from lawful.estimate.fit import fit
from lawful.laws.catalogue_kaplan import PF_DAY, least_tokens
from lawful.laws.laws import LAWS
from lawful.laws.surface import Surface
from lawful.studies.study import Config, Study, Tables, Task
from lawful.studies.tables import Table
from lawful.studies.verdicts import Comparison, to_digits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AMARI = {
    "amari-1": "unique solution, no noise: c/D",
    "amari-2": "many solutions, no noise: c/D²",
    "amari-3": "noisy labels: c/√D",
    "amari-4": "stochastic learner: E + c/D",
}
MODELS = {"Gopher": (280e9, 300e9), "Chinchilla": (70e9, 1.4e12)}
"""Parameters and tokens."""

BUDGET = 5.76e23
"""FLOPs of both, as Hoffmann et al. 2022 have it."""

GOPHER_LAWS = ("hoffmann-rounded", "besiroglu")
OPTIMA = {"hoffmann-rounded": "3.219e10", "besiroglu": "7.225e10"}
"""Compute-optimal N at that budget, worked out elsewhere from the printed laws."""

GPT2_XL = {"width": 1600, "layers": 48, "attention": 1600, "ffn": 6400, "context": 1024, "vocabulary": 50257}
CURVES = {
    "kaplan-n": ("N", "1.5e9", "2.303550552"),
    "kaplan-d": ("D", "", ""),
    "kaplan-c": ("C", "1", "2.574155860"),
}


def tasks(_: Config) -> list[Task]:
    """One chunk."""
    return [{}]


def compute(config: Config, _: Task) -> Tables:
    """Every curve as points, the fitted regions, the table of operations, and two models at one budget."""
    curve, regions, runs = hestness(config)
    return {
        "amari": amari(config),
        "hestness": curve,
        "hestness_fit": regions,
        "hestness_runs": runs,
        "kaplan": kaplan(config),
        "overfitting": overfitting(config),
        "operations": Table.from_rows(
            {"operation": row.name, "params": row.params, "flops": row.flops, "counted": float(row.counted)}
            for row in kaplan_operations(**GPT2_XL)
        ),
        "gopher": gopher(),
        "gopher_curves": gopher_curves(config),
    }


def amari(config: Config) -> Table:
    """Generalisation error against examples, one constant for all four types."""
    examples = np.geomspace(1e1, 1e6, config["points"])
    rows = []
    for name, text in AMARI.items():
        law = LAWS[name]
        k = {"E": config["noise_floor"] if name == "amari-4" else 0.0, "c": 5.0, "alpha": law.bounds["alpha"][0]}
        losses = Surface(k, law).loss(1.0, examples)
        rows += [
            {"type": text, "examples": d, "error": e} for d, e in zip(examples.tolist(), losses.tolist(), strict=True)
        ]
    return Table.from_rows(rows)


def hestness(config: Config) -> tuple[Table, Table, Table]:
    """A curve of three regions, runs drawn from it, and the law fitted to them with the ends of its regions."""
    law, k = LAWS["hestness-regions"], dict(config["regions"])
    tokens = np.geomspace(1e2, 1e10, 17)
    true = Surface(k, law)
    noise = np.random.default_rng(config["seed"]).normal(0.0, config["sigma"], tokens.size)
    runs = Runs.from_arrays(np.full(tokens.size, 1e8), tokens, true.loss(1e8, tokens) + noise)
    found = fit(runs, law=law).surface
    fine = np.geomspace(1e2, 1e10, config["points"])
    curves = {"truth": true.loss(1e8, fine), "fitted": found.loss(1e8, fine)}
    rows = [
        {"curve": name, "tokens": d, "error": e}
        for name, values in curves.items()
        for d, e in zip(fine.tolist(), values.tolist(), strict=True)
    ]
    fits = [
        {"curve": name, **{key: s[key] for key in law.names}, **ends(s)}
        for name, s in (("truth", true), ("fitted", found))
    ]
    seen = [{"tokens": d, "error": e} for d, e in zip(tokens.tolist(), runs.L.tolist(), strict=True)]
    return Table.from_rows(rows), Table.from_rows(fits), Table.from_rows(seen)


def ends(surface: Surface) -> dict[str, float]:
    """Where the power law takes over from guessing, and where its floor is half of the error."""
    power = {"first": surface["guess"] - surface["E"], "last": surface["E"]}
    return {f"{end}_end": (surface["A"] / value) ** (1 / surface["alpha"]) for end, value in power.items()}


def kaplan(config: Config) -> Table:
    """Kaplan's L(N), L(D) and L(C) with the published constants, each over its published range."""
    spans = {"kaplan-n": (768, 1.5e9), "kaplan-d": (2.2e7, 2.3e10), "kaplan-c": (1e-8 * PF_DAY, 1e1 * PF_DAY)}
    rows = []
    for name, span in spans.items():
        column, surface = LAWS[name].columns[0], Surface.named(name)
        rows += [
            {"law": name, "column": column, "x": x, "loss": _loss(surface, column, x)}
            for x in np.geomspace(*span, config["points"]).tolist()
        ]
    return Table.from_rows(rows)


def _loss(surface: Surface, column: str, x: float) -> float:
    """Loss of a law of one column; a law of compute sees the product of N and D alone."""
    n, d = {"N": (x, 1.0), "D": (1.0, x), "C": ((x / 6) ** 0.5, (x / 6) ** 0.5)}[column]
    return float(surface.loss(n, d))


def overfitting(config: Config) -> Table:
    """Excess of L(N, D) over unlimited data against N^(alphaN/alphaD)/D: all sizes fall on one line."""
    surface = Surface.named("kaplan-nd")
    power = surface["alphaN"] / surface["alphaD"]
    rows = []
    ratio = np.geomspace(1e-5, 1e-2, config["points"])
    for params in config["sizes"]:
        tokens = params**power / ratio
        excess = surface.overfit(params, tokens)
        rows += [
            {"params": params, "tokens": d, "ratio": r, "overfit": e}
            for d, r, e in zip(tokens.tolist(), ratio.tolist(), excess.tolist(), strict=True)
        ]
    return Table.from_rows(rows)


def gopher() -> Table:
    """Gopher and Chinchilla: as trained, and both at one budget, with what each wastes of it."""
    rows = []
    for law in GOPHER_LAWS:
        surface = Surface.named(law)
        best = surface.optimum(BUDGET)
        for model, (params, tokens) in MODELS.items():
            at_budget = BUDGET / (6 * params)
            lost = float(surface.deadweight(BUDGET, at_budget))
            rows.append(
                {
                    "law": law, "model": model, "params": params, "tokens": tokens, "flops": 6 * params * tokens,
                    "loss": float(surface.loss(params, tokens)), "tokens_at_budget": at_budget,
                    "loss_at_budget": float(surface.loss(params, at_budget)),
                    "optimal_params": float(best.params), "optimal_tokens": float(best.tokens),
                    "optimal_loss": float(best.loss), "wasted_percent": 100 * lost / BUDGET,
                }
            )  # fmt: skip
    return Table.from_rows(rows)


def gopher_curves(config: Config) -> Table:
    """Loss against model size at that budget."""
    sizes = np.geomspace(4e9, 2e12, config["points"])
    return Table.from_rows(
        {"law": law, "params": n, "loss": float(Surface.named(law).loss(n, BUDGET / (6 * n)))}
        for law in GOPHER_LAWS
        for n in sizes.tolist()
    )


def draw(tables: Tables) -> dict[str, Figure]:
    """Amari's four types, Hestness's regions, Kaplan's curves with overfitting, Gopher against Chinchilla."""
    return {
        "gopher_chinchilla": _draw_gopher(tables),
        "amari": _draw_amari(tables["amari"]),
        "hestness": _draw_hestness(tables),
        "kaplan": _draw_kaplan(tables),
    }


def _draw_amari(table: Table) -> Figure:
    from lawful.studies import drawing

    figure, axes = drawing.panels(1, len(AMARI), (11.2, 3.0), sharex=True, sharey=True)
    for ax, color, ((name,), rows) in zip(axes[0], drawing.CYCLE, table.groups("type"), strict=False):
        ax.loglog(rows["examples"], rows["error"], color=color)
        drawing.title(ax, name.partition(":")[0])
        ax.text(0.05, 0.06, name.partition(": ")[2], transform=ax.transAxes, fontsize=9, color=drawing.INK)
        drawing.count_axis(ax, "x", "examples D", most=4)
        ax.set_ylim(1e-9, 10)
    drawing.labels(axes[0, 0], "examples D", "generalisation error")
    return figure


def _draw_hestness(tables: Tables) -> Figure:
    from lawful.studies import drawing

    figure, ((ax,),) = drawing.panels(1, 1, (7.2, 3.8))
    found = tables["hestness_fit"].one(curve="fitted")
    for left, right, text in (
        (None, found["first_end"], "small data:\nbest guess"),
        (found["first_end"], found["last_end"], "power law"),
        (found["last_end"], None, "irreducible\nerror"),
    ):
        low, high = left or 1e2, right or 1e10
        ax.axvspan(low, high, color=drawing.GRID, alpha=0.75 if text == "power law" else 0.25, zorder=0, linewidth=0)
        ax.text(
            (low * high) ** 0.5, 0.93, text, transform=ax.get_xaxis_transform(), ha="center", va="top", fontsize=8.5
        )
    for (name,), rows in tables["hestness"].groups("curve"):
        style = (
            {"color": drawing.MUTED, "linestyle": drawing.DASHES[1]} if name == "truth" else {"color": drawing.CYCLE[0]}
        )
        ax.loglog(rows["tokens"], rows["error"], label=name, **style)
    runs = tables["hestness_runs"]
    ax.loglog(runs["tokens"], runs["error"], "o", color=drawing.INK, markersize=4, label="runs")
    ax.set_xlim(1e2, 1e10)
    ax.set_ylim(0.5, 8)
    drawing.count_axis(ax, "x", "training tokens D")
    drawing.labels(ax, "training tokens D", "loss (nats per token)")
    drawing.legend_over(ax)
    return figure


def _draw_kaplan(tables: Tables) -> Figure:
    from lawful.studies import drawing

    figure, axes = drawing.panels(1, 4, (12.0, 3.2))
    titles = {"N": "parameters N", "D": "tokens D", "C": "training compute C (FLOPs)"}
    for ax, ((_law, column), rows) in zip(axes[0], tables["kaplan"].groups("law", "column"), strict=False):
        ax.loglog(rows["x"], rows["loss"], color=drawing.CYCLE[0])
        drawing.title(ax, f"L({column})")
        if column == "C":
            drawing.flops_axis(ax, most=4)
        else:
            drawing.count_axis(ax, "x", titles[column], most=4)
        ax.set_yticks([2, 3, 4, 5, 6, 8], ["2", "3", "4", "5", "6", "8"], minor=False)
        ax.set_yticks([], minor=True)
        drawing.labels(ax, titles[column], "loss (nats per token)" if column == "N" else "")
    last = axes[0, 3]
    for k, ((params,), rows) in enumerate(tables["overfitting"].groups("params")):
        label = f"N = {params:.0e}".replace("e+0", "e").replace("e+", "e")
        width = 5 - 1.6 * k
        last.loglog(rows["ratio"], 100 * rows["overfit"], color=drawing.CYCLE[k], linewidth=width, label=label)
    drawing.title(last, "Overfitting")
    drawing.labels(last, "$N^{α_N/α_D}/D$", "excess over unlimited data (%)")
    drawing.legend(last, columns=1)
    return figure


def _draw_gopher(tables: Tables) -> Figure:
    from lawful.studies import drawing

    laws = tables["gopher_curves"].values("law")
    figure, axes = drawing.panels(1, len(laws), (9.6, 3.8), sharey=False)
    for ax, law in zip(axes[0], laws, strict=True):
        curve = tables["gopher_curves"].where(law=law)
        ax.plot(curve["params"], curve["loss"], color=drawing.MUTED, label="all sizes at 5.76e23 FLOPs")
        for k, row in enumerate(tables["gopher"].where(law=law).rows()):
            label = f"{row['model']}: {row['params'] / 1e9:.0f}B"
            ax.plot(row["params"], row["loss_at_budget"], "os"[k], color=drawing.CYCLE[k], markersize=8, label=label)
            text = f"{row['wasted_percent']:.2g}% wasted"
            ax.annotate(text, (row["params"], row["loss_at_budget"]), (8, 8), textcoords="offset points", fontsize=8.5)
        best = next(tables["gopher"].where(law=law).rows())
        label = f"optimum: {best['optimal_params'] / 1e9:.0f}B"
        ax.plot(best["optimal_params"], best["optimal_loss"], "D", color=drawing.INK, markersize=5, label=label)
        ax.set_xscale("log")
        drawing.count_axis(ax, "x", "model size N", most=5)
        drawing.labels(ax, "model size N", "loss (nats per token)" if law == laws[0] else "")
        drawing.title(ax, f"law: {law}")
        drawing.legend(ax, columns=1)
    return figure


def findings(tables: Tables) -> list[str]:
    """Say what each law of the essay says here."""
    rows = {(row["law"], row["model"]): row for row in tables["gopher"].rows()}
    sentences = []
    for law in GOPHER_LAWS:
        big, small = rows[law, "Gopher"], rows[law, "Chinchilla"]
        sentences.append(
            f"By the law {law} Gopher's 280B on {big['tokens_at_budget'] / 1e9:.0f}B tokens reach "
            f"{big['loss_at_budget']:.3f} nats at 5.76e23 FLOPs and waste {big['wasted_percent']:.2g}% of them; "
            f"Chinchilla's 70B on {small['tokens_at_budget'] / 1e12:.2f}T reach {small['loss_at_budget']:.3f} and "
            f"waste {small['wasted_percent']:.2g}%; the optimum is {big['optimal_params'] / 1e9:.0f}B."
        )
    truth, found = (tables["hestness_fit"].one(curve=name) for name in ("truth", "fitted"))
    counted = tables["operations"].where(counted=1.0)
    attention = counted["flops"][[str(name) == "attention: mask" for name in counted["operation"]]].sum()
    over, whole = tables["overfitting"], float(counted["flops"].sum())
    spread = max(float(np.ptp(rows["overfit"]) / rows["overfit"].mean()) for _, rows in over.groups("ratio"))
    return [
        *sentences,
        (
            f"Three regions: the fitted power law takes over from guessing at {found['first_end']:.2g} tokens (truth "
            f"{truth['first_end']:.2g}) and its floor is half of the error at {found['last_end']:.2g} "
            f"({truth['last_end']:.2g}); alpha {found['alpha']:.3f} against {truth['alpha']:.3f}."
        ),
        (
            f"Kaplan's overfitting is a function of N^(alphaN/alphaD)/D alone: at one ratio sizes from "
            f"{over['params'].min():.0e} to {over['params'].max():.0e} differ by a relative {spread:.0e}."
        ),
        (
            f"Of GPT-2 XL's {whole:.3g} forward FLOPs per token {100 * attention / whole:.1f}% are products with the "
            "context, which 2N leaves out."
        ),
    ]


def published(tables: Tables) -> list[Comparison]:
    """Losses of both models, Kaplan's constants at points, counts of GPT-2 XL, and the rule for overfitting."""
    out = []
    for law, params in OPTIMA.items():
        best = tables["gopher"].one(law=law, model="Gopher")["optimal_params"]
        out.append(to_digits(f"{law}: N* at 5.76e23 FLOPs", params, best))
    for name, (column, at, text) in CURVES.items():
        if text:
            x = float(at) * (PF_DAY if column == "C" else 1.0)
            quantity = f"Kaplan et al. 2020: L({column}) at {at}{' PF-days' if column == 'C' else ''}"
            out.append(
                to_digits(quantity, text, _loss(Surface.named(name), column, x), "with the constants of table 5")
            )
    counted = tables["operations"].where(counted=1.0)
    out.append(to_digits("GPT-2 XL: non-embedding parameters", "1474560000", float(counted["params"].sum())))
    out.append(to_digits("GPT-2 XL: forward FLOPs per token", "3106406400", float(counted["flops"].sum())))
    at_rule = Surface.named("kaplan-nd").overfit(1e9, float(least_tokens(1e9)))
    why = "the rule D = 5e3 N^0.74 is said to keep it within about 0.02"
    return [*out, Comparison("overfitting at Kaplan's least tokens", 0.02, at_rule, 0.005, remark=why)]


STUDY = Study(
    number=23,
    name="essay",
    question="What do the laws of the essay say, each on its own axes?",
    config={
        "points": 81,
        "noise_floor": 0.1,
        "regions": {"E": 0.8, "A": 60.0, "guess": 5.0, "alpha": 0.3},
        "sigma": 0.02,
        "sizes": [1e6, 1e8, 1e10],
    },
    quick={"points": 41},
    tasks=tasks,
    compute=compute,
    draw=draw,
    findings=findings,
    published=published,
)
