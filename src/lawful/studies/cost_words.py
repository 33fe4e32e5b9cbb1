"""Study 11's figures, findings and published costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lawful.core.typing import Array, BoolArray
from lawful.studies import money
from lawful.studies.study import Tables
from lawful.studies.tables import Table
from lawful.studies.verdicts import Comparison, to_digits

if TYPE_CHECKING:
    from matplotlib.figure import Figure


QUANTITIES = (
    "true_tokens",
    "inferred_tokens",
    "true_params",
    "inferred_params",
    "true_loss",
    "inferred_loss",
    "dcl_flops",
    "dcl_percent",
)
PUBLISHED = {
    ("empirical", "VPNLS"): "10.2e12 16.1e12 621.6e9 393.3e9 0.630631 0.630895 2.39e24 6.3",
    ("simulated", "Llama 3"): "10.2e12 10.8e12 621.6e9 584.5e9 0.630631 0.630635 4.50e22 0.1",
    ("simulated", "Chinchilla"): "29.7e12 33.5e12 213.5e9 189.3e9 1.816533 1.816620 1.70e23 0.4",
    ("simulated", "SODA"): "28.8e12 42.1e12 220.2e9 150.5e9 3.178630 3.178847 3.04e24 8.0",
}
"""arXiv:2603.22339, as printed."""

STAGED = {
    "runs": (133, 131, 126, 116, 116),
    "budgets": (10, 10, 10, 8, 8),
    "dcl_percent_all_runs": (6.30, 6.26, 4.28, 0.04, 0.04),
}
INTERVALS = {"VPNLS": (381e3, 2.8e6), "Approach 3": (412e3, 2.9e6)}
REPEAT = 100
"""Draws of the published bootstrap."""

TARGET = 3.8e25


def interval(table: Table, surface: str, *, keep: bool) -> tuple[float, float]:
    """90% interval of the deadweight in percent, failed draws kept or discarded."""
    values = usable(table, surface, keep=keep)
    low, high = np.quantile(values, [0.05, 0.95])
    return float(low), float(high)


def usable(table: Table, surface: str, *, keep: bool) -> Array:
    """Deadweight in percent of the draws that count."""
    values = table[f"dcl_percent_{surface}"]
    return np.asarray(values[np.isfinite(values) & (~failed(table) | keep)])


def failed(table: Table) -> BoolArray:
    """Draws with a downward parabola, or with a budget of fewer than 3 sizes."""
    return np.asarray((table["downward"] > 0) | (table["short"] > 0))


def repeats(table: Table, surface: str) -> Array:
    """Return the interval's ends in published dollars over repeats of 100 draws, shape (repeats, 2)."""
    ends = []
    for start in range(0, len(table) - REPEAT + 1, REPEAT):
        part = Table({name: column[start : start + REPEAT] for name, column in table.columns.items()})
        ends.append(interval(part, surface, keep=False))
    return money.dollars(np.array(ends) / 100 * TARGET, "sparse")


def draw(tables: Tables) -> dict[str, Figure]:
    """Deadweight of every case; the bootstrap; and the filtering stages."""
    from lawful.studies import drawing

    figure, ((left, right),) = drawing.panels(1, 2, (10.4, 3.7), width_ratios=[1, 1.15])
    empirical, simulated = tables["empirical"], tables["simulated"]
    bars = [(f"Llama 3 runs,\npriced on {r['surface']}", r, drawing.CYCLE[1]) for r in empirical.rows()]
    bars += [(f"{r['surface']},\nsimulated", r, drawing.CYCLE[0]) for r in simulated.rows()]
    places = np.arange(len(bars))[::-1]
    for place, (_, row, color) in zip(places, bars, strict=True):
        left.barh(place, row["dcl_percent"], color=color, height=0.62)
        text = f" {row['dcl_percent']:.2g}%  \\${_short(row['dollars_dense'])} (\\${_short(row['dollars_sparse'])})"
        left.text(row["dcl_percent"], place, text, va="center", fontsize=7.5, color=drawing.INK)
    left.set_yticks(places, [name for name, _, _ in bars], fontsize=8)
    left.set_xlim(0, 1.65 * max(row["dcl_percent"] for _, row, _ in bars))
    left.grid(visible=False, axis="y")
    drawing.title(left, "Deadweight compute loss at 3.8 × 10²⁵ FLOPs")
    drawing.labels(left, "% of the budget; dollars dense (with sparsity, as published)")
    bins = np.geomspace(1e5, 1e8, 61)
    for k, (keep, label) in enumerate(((True, "failed draws kept"), (False, "discarded, as published"))):
        values = money.dollars(usable(tables["bootstrap"], "VPNLS", keep=keep) / 100 * TARGET)
        right.hist(values, bins=bins, color=drawing.CYCLE[1 - k], alpha=0.45 if keep else 0.8, label=label)
        low, high = np.quantile(values, [0.05, 0.95])
        top = right.get_ylim()[1]
        right.plot(
            [low, high],
            [-(0.035 + 0.045 * k) * top] * 2,
            color=drawing.CYCLE[1 - k],
            linewidth=3,
            solid_capstyle="butt",
            clip_on=False,
        )
    right.set_xscale("log")
    right.xaxis.set_major_formatter(lambda value, _: f"\\${_short(value)}")
    drawing.title(right, "Llama 3 on its VPNLS surface, resampled within budgets")
    drawing.labels(right, "deadweight (dollars, dense rate); bars below: 90% intervals", "draws")
    drawing.legend(right, columns=1)
    return {"costs": figure, "filtering": _draw_filtering(tables["filtering"])}


def _short(value: float) -> str:
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:.3g}{name}"
    return f"{value:.3g}"


def _draw_filtering(table: Table) -> Figure:
    from lawful.studies import drawing

    sets = table.values("set")
    figure, axes = drawing.panels(1, len(sets), (10.4, 4.0))
    labels = {"approach2": "Approach 2", "approach3": "Approach 3"}
    for ax, name in zip(axes[0], sets, strict=True):
        rows = table.where(set=name)
        stages = rows.values("stage")
        for k, approach in enumerate(labels):
            for truth, style, face in (("all_runs", "-", None), ("clean_runs", (0, (4, 2)), "white")):
                values = np.maximum(rows.where(approach=approach)[f"dcl_percent_{truth}"], 1e-4)
                color = drawing.CYCLE[1 - k]
                label = f"{labels[approach]}, truth: fit of {truth.replace('_', ' ')}"
                shape = {"marker": "oD"[k], "markersize": 5, "markerfacecolor": face or color}
                ax.plot(values, color=color, linestyle=style, label=label, **shape)
        counts = rows.where(approach="approach2")
        ticks = [f"{s}\n{n:.0f} runs" for s, n in zip(stages, counts["runs"], strict=True)]
        ax.set_xticks(range(len(stages)), [t.replace(", ", ",\n") for t in ticks], fontsize=7.5)
        ax.set_yscale("log")
        ax.set_ylim(bottom=5e-5)
        drawing.title(ax, f"{name}, at {float(rows['target'][0]):.3g} FLOPs".replace("e+", "e"))
    drawing.labels(axes[0, 0], "", "deadweight (% of the budget)")
    drawing.legend_above(figure, axes[0, 0].get_legend_handles_labels()[0], columns=2)
    return figure


def findings(tables: Tables) -> list[str]:
    """State the costs at both rates, the intervals both ways, and what filtering does."""
    empirical, boot, stages = tables["empirical"], tables["bootstrap"], tables["filtering"]
    v = empirical.one(surface="VPNLS")
    share = float(failed(boot).mean())
    sentences = [
        (
            f"On the Llama 3 runs Approach 2 wastes {v['dcl_percent']:.1f}% of 3.8e25 FLOPs against the VPNLS surface "
            "of the same runs: "
            f"{v['dollars_dense'] / 1e6:.1f} million dollars at the dense bf16 rate ({v['dollars_sparse'] / 1e6:.1f} "
            "million at the rate with sparsity, as published)."
        )
    ]
    for row in empirical.rows():
        name = row["surface"]
        for keep, words in ((False, "failed draws discarded, as published"), (True, "failed draws kept")):
            low, high = (money.dollars(np.array(e) / 100 * TARGET) for e in interval(boot, name, keep=keep))
            sentences.append(
                f"Priced on the {name} surface: {row['dcl_percent']:.2f}%, {row['dollars_dense'] / 1e6:.2f} "
                "million dollars dense, "
                f"90% interval {low / 1e6:.2f} to {high / 1e6:.2f} million, {words} (half of that with sparsity: "
                f"{low / 2e6:.2f} to {high / 2e6:.2f})."
            )
    sentences.append(
        f"{100 * share:.1f}% of the {len(boot)} draws fail: a parabola opens downward "
        f"({100 * float((boot['downward'] > 0).mean()):.1f}%) or a budget keeps "
        f"fewer than 3 sizes ({100 * float((boot['short'] > 0).mean()):.1f}%). Leaving them out is as published, "
        "and too narrow; quote the interval that keeps them."
    )
    sentences.extend(
        f"Simulated, {row['surface']}: D* {row['true_tokens'] / 1e12:.1f}T became "
        f"{row['inferred_tokens'] / 1e12:.1f}T, {row['dcl_percent']:.1f}%, "
        f"{row['dollars_dense'] / 1e6:.3g} million dollars dense ({row['dollars_sparse'] / 1e6:.3g} with sparsity)."
        for row in tables["simulated"].rows()
    )
    for (name, approach), rows in stages.groups("set", "approach"):
        listed = ", ".join(f"{x:.2f}" for x in rows["dcl_percent_all_runs"])
        clean = ", ".join(f"{x:.2f}" for x in rows["dcl_percent_clean_runs"])
        bent = int(rows["downward_parabolas"][0])
        note = f"; {bent} parabola{'s' if bent != 1 else ''} of the unfiltered runs open downward" if bent else ""
        sentences.append(
            f"{name}, {'Approach 2' if approach == 'approach2' else 'Approach 3'}, stage by stage: DCL {listed}% "
            "if the fit of all runs is the truth, "
            f"{clean}% if the fit of the clean runs is{note}."
        )
    return sentences


def published(tables: Tables) -> list[Comparison]:
    """Every printed cost to its digits; the intervals shown, with where they fall among repeats of 100 draws."""
    out = []
    for (part, name), text in PUBLISHED.items():
        ours = tables[part].one(surface=name)
        for quantity, digits in zip(QUANTITIES, text.split(), strict=True):
            out.append(to_digits(f"{name}, {part}: {quantity.replace('_', ' ')}", digits, ours[quantity]))
    three = tables["empirical"].one(surface="Approach 3")
    out += [
        to_digits("Approach 3, empirical: dcl percent", "6.5", three["dcl_percent"]),
        to_digits("Approach 3, empirical: million dollars, with sparsity", "1.4", three["dollars_sparse"] / 1e6),
    ]
    rows = tables["filtering"].where(set="Llama 3", approach="approach2")
    for key, values in STAGED.items():
        for stage, value, ours in zip(rows["stage"], values, rows[key], strict=True):
            out.append(
                Comparison(
                    f"Llama 3, Approach 2, {stage}: {key.replace('_', ' ')}",
                    value,
                    float(ours),
                    0.005 if "dcl" in key else 0.5,
                )
            )
    for surface, pair in INTERVALS.items():
        spread = repeats(tables["bootstrap"], surface)
        ends = money.dollars(np.array(interval(tables["bootstrap"], surface, keep=False)) / 100 * TARGET, "sparse")
        for k, (end, value) in enumerate(zip(("lower", "upper"), pair, strict=True)):
            inside = spread[:, k].min() <= value <= spread[:, k].max()
            remark = (
                f"{'inside' if inside else 'outside'} the spread of {len(spread)} repeats of {REPEAT} draws, "
                f"{spread[:, k].min():,.0f} to {spread[:, k].max():,.0f}"
            )
            out.append(
                Comparison(
                    f"Llama 3 on {surface}: {end} end of the 90% interval (dollars, with sparsity)",
                    value,
                    float(ends[k]),
                    None,
                    "percent",
                    remark,
                )
            )
    return out
