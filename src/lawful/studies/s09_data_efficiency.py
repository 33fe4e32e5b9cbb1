"""Study 9: what Approach 2 costs in variance where it has no bias."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from lawful.core.typing import Array
from lawful.design.plan import Plan, plan_isoflop, study_surface
from lawful.studies import methods
from lawful.studies.batch import fit_rows
from lawful.studies.study import Config, Study, Tables, Task
from lawful.studies.tables import Table
from lawful.studies.verdicts import Comparison, to_digits

if TYPE_CHECKING:
    from matplotlib.figure import Figure


LABELS = {"approach2": "Approach 2", "lse": "Approach 3, log-sum-exp", "vpnls": "VPNLS", "lawful": "lawful's default"}
DRAWS, USABLE = 810, 738
"""Published draws, and those whose parabolas all open upward."""

PER_SIGMA = {0.01: "0.2", 0.02: "0.6", 0.05: "4.7"}
"""Published variance of b by Approach 3, in 1e-4."""


def cells(config: Config) -> list[tuple[float, float, int, int]]:
    """Noise, width, points and budgets of every cell, in the order of the published draws."""
    return list(product(config["sigmas"], config["widths"], config["points"], config["budgets"]))


def tasks(config: Config) -> list[Task]:
    """One chunk per method and noise."""
    return [
        {"method": m, "sigma": sigma} for m in ("lse", "vpnls", "lawful", "approach2") for sigma in config["sigmas"]
    ]


def compute(config: Config, task: Task) -> Tables:
    """Exponent b of every draw; the one generator runs through all cells, whichever are used."""
    truth = study_surface(config["surface"])
    rng, parts = np.random.default_rng(config["seed"]), []
    for index, (sigma, width, points, budgets) in enumerate(cells(config)):
        plan = plan_isoflop(
            np.geomspace(config["span"][0], config["span"][1], budgets), points, surface=truth, width=width
        )
        noise = np.array(
            [np.concatenate([rng.normal(0.0, sigma, points) for _ in range(budgets)]) for _ in range(config["draws"])]
        )
        if sigma != task["sigma"]:
            continue
        losses = truth.loss(plan.N, plan.D) + noise
        b, curvature = _exponents(task["method"], plan, losses, points)
        columns = {"method": np.full(len(b), task["method"], dtype=object)}
        for name, value in (
            ("cell", index),
            ("sigma", sigma),
            ("width", width),
            ("points", points),
            ("budgets", budgets),
        ):
            columns[name] = np.full(len(b), float(value))
        parts.append(
            Table({**columns, "draw": np.arange(len(b), dtype=float), "b": b, "upward": (curvature > 0).astype(float)})
        )
    return {"draws": Table.stack(parts)}


def _exponents(method: str, plan: Plan, losses: Array, points: int) -> tuple[Array, Array]:
    """Return b of every draw, and the least curvature of its parabolas."""
    shape = (plan.budgets.size, points)
    logs = np.log10(plan.N).reshape(shape), np.log10(plan.D).reshape(shape), np.log10(plan.budgets)
    found = methods.parabolas(*logs, losses.reshape(-1, *shape))
    if method == "approach2":
        return found.b, found.curvature
    if method == "lawful":
        return 1 - fit_rows(plan, losses).a, found.curvature
    design = methods.Logs(np.log(plan.N), np.log(plan.D))
    if method == "vpnls":
        starts = methods.exponent_starts(design, losses)
        answers = [methods.fit_projected(design, y, start) for y, start in zip(losses, starts, strict=True)]
    else:
        starts = methods.joint_starts(design, losses)
        answers = [methods.fit_lse(design, y, start, errors="loss") for y, start in zip(losses, starts, strict=True)]
    return np.array([1 - answer.a for answer in answers]), found.curvature


def summarise(_: Config, tables: Tables) -> Tables:
    """Variance of b per cell and pooled, over all draws and over those with upward parabolas."""
    draws = tables["draws"]
    rows, pooled = [], []
    for _cell, table in draws.groups("cell"):
        first = next(table.rows())
        row = {name: first[name] for name in ("cell", "sigma", "width", "points", "budgets")}
        upward = table.where(method="approach2")["upward"] == 1
        row["upward"] = int(upward.sum())
        for method in LABELS:
            b = table.where(method=method)["b"]
            row[f"variance_{method}"] = float(b[upward].var(ddof=1)) if upward.sum() > 1 else float("nan")
        rows.append(row)
    for method in LABELS:
        table = draws.where(method=method)
        b, good = table["b"], table["upward"] == 1
        pooled.append(
            {
                "method": method,
                "draws": len(b),
                "upward": int(good.sum()),
                "variance_all": float(b.var()),
                "variance_upward": float(b[good].var()),
            }
        )
    return {**tables, "cells": Table.from_rows(rows), "pooled": Table.from_rows(pooled)}


def ratios(tables: Tables) -> dict[str, float]:
    """Variance of Approach 2 over that of VPNLS: as published, on the same draws, and the median of the cells."""
    two, one = (tables["pooled"].one(method=m) for m in ("approach2", "vpnls"))
    per_cell = tables["cells"]["variance_approach2"] / tables["cells"]["variance_vpnls"]
    return {
        "published": two["variance_upward"] / one["variance_all"],
        "same draws": two["variance_upward"] / one["variance_upward"],
        "median cell": float(np.nanmedian(per_cell)),
    }


def draw(tables: Tables) -> dict[str, Figure]:
    """Spread of b per noise and method; the ratio of variances in every cell."""
    from lawful.studies import drawing

    draws, table = tables["draws"], tables["cells"]
    figure, ((left, right),) = drawing.panels(1, 2, (10.2, 4.0), width_ratios=[1.1, 1])
    sigmas = draws.values("sigma")
    for k, method in enumerate(LABELS):
        data = [draws.where(method=method, sigma=s, upward=1.0)["b"] for s in sigmas]
        place = np.arange(len(sigmas)) + (k - 1.5) * 0.2
        drawing.boxes(left, data, place, drawing.CYCLE[k], width=0.16, dots=2.5)
    left.set_xticks(range(len(sigmas)), [f"σ = {s:g}" for s in sigmas])
    left.grid(visible=False, axis="x")
    left.axhline(0.5, color=drawing.MUTED, linewidth=0.8)
    left.set_ylim(0.2, 0.8)
    drawing.title(left, "Exponent b of D* (truth 0.5)")
    drawing.labels(left, "noise (nats)", "b")
    ratio = table["variance_approach2"] / table["variance_vpnls"]
    for k, ((width,), rows) in enumerate(table.groups("width")):
        values = rows["variance_approach2"] / rows["variance_vpnls"]
        for j, sigma in enumerate(sigmas):
            at = values[rows["sigma"] == sigma]
            right.plot(
                j + (k - 1) * 0.22 + np.linspace(-0.07, 0.07, at.size),
                at,
                drawing.MARKERS[k],
                color=drawing.CYCLE[k],
                markersize=4,
                markerfacecolor="none",
                label=f"±{width:g}×" if j == 0 else None,
            )
    right.axhline(1, color=drawing.MUTED, linewidth=0.8)
    right.axhline(np.nanmedian(ratio), color=drawing.INK, linewidth=1, linestyle=(0, (4, 2)), label="median cell")
    right.set_yscale("log")
    right.set_xticks(range(len(sigmas)), [f"σ = {s:g}" for s in sigmas])
    right.grid(visible=False, axis="x")
    drawing.title(right, "Variance of Approach 2 / variance of VPNLS, per cell")
    drawing.labels(right, "noise (nats)", "ratio")
    drawing.legend_over(right, columns=4)
    drawing.title(right, "")
    right.set_title("")
    drawing.labels(right, "noise (nats)", "variance of Approach 2 / variance of VPNLS")
    drawing.legend_above(
        figure, [drawing.key(v, color=drawing.CYCLE[k], linewidth=5, alpha=0.6) for k, v in enumerate(LABELS.values())]
    )
    return {"data_efficiency": figure}


def findings(tables: Tables) -> list[str]:
    """Say what Approach 2 costs, by all three readings."""
    found, pooled = ratios(tables), tables["pooled"]
    two = pooled.one(method="approach2")
    others = ", ".join(f"{LABELS[m]} {pooled.one(method=m)['variance_upward']:.3e}" for m in LABELS)
    return [
        (
            f"Without any bias Approach 2 still has {found['same draws']:.1f} times the variance of VPNLS in b, on "
            "the same "
            f"{two['upward']:.0f} draws whose parabolas open upward."
        ),
        (
            f"The published reading, Approach 2 over those {two['upward']:.0f} draws against VPNLS over all "
            f"{two['draws']:.0f}, gives "
            f"{found['published']:.1f}; the {two['draws'] - two['upward']:.0f} draws that Approach 2 cannot use are "
            "the hard ones."
        ),
        (
            f"The median over cells of the ratio is {found['median cell']:.1f}: pooling is ruled by the noisiest, "
            "narrowest cells."
        ),
        f"Variance of b on the usable draws: {others}.",
    ]


def published(tables: Tables) -> list[Comparison]:
    """Variances of b to their digits, and the ratio as published and on the same draws."""
    pooled = {method: tables["pooled"].one(method=method) for method in ("approach2", "lse", "vpnls")}
    if pooled["approach2"]["draws"] != DRAWS:
        return []
    found, b = ratios(tables), tables["draws"].where(method="lse")
    out = [
        Comparison(
            "draws without a downward parabola", USABLE, pooled["approach2"]["upward"], 0.5, remark="to the count"
        ),
        to_digits(
            "variance of b, Approach 2 (1e-4)",
            "14.5",
            1e4 * pooled["approach2"]["variance_upward"],
            "over the 738 draws it can use",
        ),
    ]
    for method in ("lse", "vpnls"):
        ours = 1e4 * pooled[method]["variance_all"]
        out.append(to_digits(f"variance of b, {LABELS[method]} (1e-4)", "1.8", ours, "over all 810 draws"))
    for (sigma,), rows in b.groups("sigma"):
        ours = 1e4 * float(rows["b"].var())
        out.append(to_digits(f"variance of b, {LABELS['lse']}, σ = {sigma:g} (1e-4)", PER_SIGMA[sigma], ours))
    return [
        *out,
        to_digits("variance ratio, 738 draws against all 810", "8.0", found["published"]),
        to_digits("variance ratio, same 738 draws", "11.2", found["same draws"], "of the published draws, not printed"),
    ]


STUDY = Study(
    number=9,
    name="data_efficiency",
    question="What does Approach 2 cost in variance where it has no bias?",
    config={
        "surface": "symmetric",
        "sigmas": [0.01, 0.02, 0.05],
        "widths": [2.0, 4.0, 8.0],
        "points": [21, 31, 41],
        "budgets": [3, 5, 7],
        "span": [1e17, 1e21],
        "draws": 10,
    },
    quick={"points": [21], "budgets": [3, 5]},
    tasks=tasks,
    compute=compute,
    draw=draw,
    findings=findings,
    published=published,
    summarise=summarise,
)
