"""Study 0: published fits of the Chinchilla runs, and ours of the same runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lawful.core.objective import Objective
from lawful.core.typing import Array
from lawful.estimate.fit import fit
from lawful.estimate.solvers import Joint, Solver, VarPro
from lawful.laws.surface import Surface
from lawful.studies import real
from lawful.studies.study import Config, Study, Tables, Task
from lawful.studies.tables import Table
from lawful.studies.verdicts import Comparison, to_digits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = ("E", "A", "B", "alpha", "beta", "a", "b")

METHODS: dict[str, tuple[Solver, Objective]] = {
    "VPNLS, squared": (VarPro(), Objective.squared()),
    "Approach 3, squared on log loss": (Joint(), Objective.log_squared()),
    "Approach 3, squared on loss": (Joint(), Objective.squared()),
    "Huber 1e-3 on loss": (VarPro(), Objective.huber(1e-3)),
}

PUBLISHED = {
    "VPNLS, squared": "1.9051 4.0005 1.0509 0.3511 0.4587 0.5665 0.4335",
    "Approach 3, squared on log loss": "1.8926 4.0146 1.0571 0.3522 0.4430 0.5571 0.4429",
    "Approach 3, squared on loss": "1.9051 4.0005 1.0509 0.3511 0.4587 0.5665 0.4335",
    "ml-scalefit L-BFGS, squared": "1.9051 4.0001 1.0509 0.3510 0.4588 0.5665 0.4335",
    "ml-scalefit L-BFGS, Huber": "1.8267 3.7066 1.0386 0.3240 0.4080 0.5573 0.4427",
    "ml-scalefit basin hopping, squared": "1.9051 4.0012 1.0510 0.3511 0.4587 0.5665 0.4335",
    "ml-scalefit basin hopping, Huber": "1.8250 3.6984 1.0396 0.3239 0.4058 0.5561 0.4439",
    "ml-scalefit basin hopping, squared, 10 resamples": "1.8926 3.9928 1.0517 0.3500 0.4462 0.5604 0.4396",
    "ml-scalefit basin hopping, Huber, 10 resamples": "1.8262 3.7451 1.0430 0.3285 0.4011 0.5498 0.4502",
}
"""217 runs, N in millions, D in billions (arXiv:2603.22339)."""

SCORES = {
    "ml-scalefit L-BFGS, squared": "0.996040 0.45 0.012207",
    "ml-scalefit basin hopping, squared": "0.996040 0.45 0.012208",
    "ml-scalefit basin hopping, squared, 10 resamples": "0.995982 0.45 0.012036",
    "ml-scalefit L-BFGS, Huber": "0.994747 0.42 0.011535",
    "ml-scalefit basin hopping, Huber": "0.994694 0.42 0.011531",
    "ml-scalefit basin hopping, Huber, 10 resamples": "0.994564 0.42 0.011588",
}
"""R², mean relative error in percent and mean absolute error in nats of the peer's rows."""

SCORE_NAMES = {"r2": "R²", "mre_percent": "mean relative error (%)", "mae": "mean absolute error (nats)"}
SCORE_TOLERANCE = {"r2": 6e-6, "mre_percent": 0.005, "mae": 1e-5}

CHINCHILLA = {"a": "0.4516", "b": "0.5484"}
"""Exponents of the printed coefficients of Hoffmann et al. 2022, as the table repeats them."""

PUBLISHED_RSS = {
    "VPNLS, squared": "0.062414",
    "Approach 3, squared on log loss": "0.063305",
    "Approach 3, squared on loss": "0.062414",
}
HUBER_ROWS = ("Huber 1e-3 on loss", "ml-scalefit L-BFGS, Huber", "ml-scalefit basin hopping, Huber")
HUBER_TOLERANCE = 3e-4

BESIROGLU = {"E": "1.8172", "A": "482.01", "B": "2085.43", "alpha": "0.3478", "beta": "0.3658"}
BESIROGLU_ERRORS = {"E": 0.03, "A": 124.58, "B": 1293.23, "alpha": 0.02, "beta": 0.02}
"""Besiroglu et al. 2024 on the 240 runs: coefficients and standard errors."""


def tasks(_: Config) -> list[Task]:
    """One chunk: five fits."""
    return [{}]


def compute(config: Config, _: Task) -> Tables:
    """Fit the 217 runs four ways and the 240 runs as Besiroglu et al. did; price the published rows too."""
    runs = real.read_svg(config["data"], below=config["below"])
    huber = Objective.huber(1e-3)
    rows = []
    for name, (solver, objective) in METHODS.items():
        found = fit(runs, method=solver, objective=objective)
        k = found.surface.law.in_units(found.surface.coefficients, params=1e6, tokens=1e9)
        a, b = found.surface.exponents
        row = {"row": name, "source": "lawful", "runs": len(runs), **k, "a": a, "b": b, "rss": found.rss}
        residuals = runs.L - found.surface.loss(runs.N, runs.D)
        rows.append({**row, "huber_sum": huber.of(residuals) * len(runs), **scores(runs.L, residuals)})
    for name, text in PUBLISHED.items():
        values = dict(zip(NAMES, map(float, text.split()), strict=True))
        residuals = runs.L - predict(values, runs.N / 1e6, runs.D / 1e9)
        row = {"row": name, "source": "published", "runs": len(runs), **values, "rss": float(residuals @ residuals)}
        rows.append({**row, "huber_sum": huber.of(residuals) * len(runs), **scores(runs.L, residuals)})
    everything = real.read_svg(config["data"])
    found = fit(everything, method=Joint(), objective=Objective.log_huber(1e-3))
    theirs = Surface({name: float(text) for name, text in BESIROGLU.items()})
    second = []
    for source, surface in (("lawful", found.surface), ("Besiroglu et al. 2024", theirs)):
        residuals = np.log(everything.L) - np.log(surface.loss(everything.N, everything.D))
        total = Objective.log_huber(1e-3).of(residuals) * len(everything)
        second.append({"source": source, "runs": len(everything), **surface.coefficients, "log_huber_sum": total})
    return {"refits": Table.from_rows(rows), "besiroglu": Table.from_rows(second)}


def scores(losses: Array, residuals: Array) -> dict[str, float]:
    """R², mean relative error in percent and mean absolute error, as the peer reports them on the runs it fits."""
    spread = losses - losses.mean()
    return {
        "r2": float(1 - residuals @ residuals / (spread @ spread)),
        "mre_percent": 100 * float(np.abs(residuals / losses).mean()),
        "mae": float(np.abs(residuals).mean()),
    }


def predict(k: dict[str, float], n: Array, d: Array) -> Array:
    """Loss at N in millions and D in billions."""
    return np.asarray(k["E"] + k["A"] * n ** -k["alpha"] + k["B"] * d ** -k["beta"])


def draw(tables: Tables) -> dict[str, Figure]:
    """One panel per coefficient: every fit as a dot, published ones hollow."""
    from lawful.studies import drawing

    refits = tables["refits"]
    shown = ("E", "alpha", "beta", "a")
    names = {"E": "E (nats)", "alpha": "α", "beta": "β", "a": "a, exponent of N*"}
    figure, axes = drawing.panels(1, len(shown), (10.2, 4.0), sharey=True)
    order = list(refits.rows())
    place = np.arange(len(order))[::-1]
    for ax, name in zip(axes[0], shown, strict=True):
        for y, row in zip(place, order, strict=True):
            ours = row["source"] == "lawful"
            color = drawing.CYCLE[1] if "Huber" in row["row"] else drawing.CYCLE[0]
            ax.plot(
                row[name],
                y,
                "D" if ours else "o",
                color=color,
                markersize=6,
                markerfacecolor=color if ours else "white",
            )
            ax.annotate(
                f"{row[name]:.4f}",
                (row[name], y),
                (0, 6),
                textcoords="offset points",
                ha="center",
                fontsize=6.5,
                color=drawing.INK,
            )
        ax.margins(x=0.28, y=0.09)
        ax.locator_params(axis="x", nbins=4)
        drawing.title(ax, names[name])
    axes[0, 0].set_yticks(place, [row["row"] for row in order])
    drawing.legend_above(
        figure,
        [
            drawing.key("lawful", marker="D", linestyle="", color=drawing.MUTED),
            drawing.key("published", marker="o", linestyle="", color=drawing.MUTED, markerfacecolor="white"),
            drawing.key("squared error", color=drawing.CYCLE[0], linewidth=4),
            drawing.key("Huber 1e-3", color=drawing.CYCLE[1], linewidth=4),
        ],
    )
    return {"reproduction": figure}


def findings(tables: Tables) -> list[str]:
    """Count the figures that agree, and name the published row that is not an optimum."""
    compared = published(tables)
    matched = [c for c in compared if c.tolerance is not None]
    agree = sum(c.verdict == "agrees" for c in matched)
    refits, second = tables["refits"], tables["besiroglu"]
    huber = {name: refits.one(row=name)["huber_sum"] for name in HUBER_ROWS}
    ours, stuck = huber[HUBER_ROWS[0]], huber[HUBER_ROWS[1]]
    ratio = stuck / ours - 1
    word = "is not an optimum" if ratio > 1e-4 else "is at the optimum"
    mine, theirs = second.one(source="lawful"), second.one(source="Besiroglu et al. 2024")
    distance = max(abs(mine[n] - theirs[n]) / BESIROGLU_ERRORS[n] for n in BESIROGLU)
    return [
        f"{agree} of {len(matched)} published figures are matched to the digits asked for.",
        (
            f"The ml-scalefit L-BFGS Huber row {word}: its summed objective on the {int(refits['runs'][0])} runs is "
            f"{stuck:.6g}, ours {ours:.6g} ({100 * ratio:+.2f}% for theirs)."
        ),
        (
            f"The basin-hopping Huber row has {huber[HUBER_ROWS[2]]:.6g}, "
            f"{100 * (huber[HUBER_ROWS[2]] / ours - 1):+.4f}% above ours."
        ),
        (
            f"On all {int(mine['runs'])} runs, Huber 1e-3 on log loss: ours E {mine['E']:.4f}, A {mine['A']:.2f}, B "
            f"{mine['B']:.2f}, "
            f"alpha {mine['alpha']:.4f}, beta {mine['beta']:.4f} with objective {mine['log_huber_sum']:.11f}; "
            "Besiroglu et al. print "
            f"{theirs['log_huber_sum']:.11f}'s worth of E {theirs['E']:.4f}, A {theirs['A']:.2f}, B "
            f"{theirs['B']:.2f}, alpha "
            f"{theirs['alpha']:.4f}, beta {theirs['beta']:.4f}, at most {distance:.2f} of their standard errors away."
        ),
    ]


def published(tables: Tables) -> list[Comparison]:
    """Every printed coefficient and score: matched, near, or shown only."""
    refits = tables["refits"]
    out = []
    for name, text in PUBLISHED.items():
        matched = name in METHODS
        twin = name if matched else (HUBER_ROWS[0] if "Huber" in name else "VPNLS, squared")
        ours = refits.one(row=twin, source="lawful")
        for quantity, digits in zip(NAMES, text.split(), strict=True):
            out.append(_coefficient(name, quantity, digits, ours[quantity]))
        if name in PUBLISHED_RSS:
            out.append(to_digits(f"{name}: RSS", PUBLISHED_RSS[name], ours["rss"]))
    for name, text in SCORES.items():
        row = refits.one(row=name, source="published")
        for (key, label), digits in zip(SCORE_NAMES.items(), text.split(), strict=True):
            why = "scored by us from coefficients printed to four decimals"
            out.append(Comparison(f"{name}: {label}", float(digits), row[key], SCORE_TOLERANCE[key], remark=why))
    hoffmann = Surface.named("hoffmann-rounded").exponents
    for (key, digits), value in zip(CHINCHILLA.items(), hoffmann, strict=True):
        out.append(to_digits(f"Hoffmann et al. 2022: {key}", digits, value))
    mine = tables["besiroglu"].one(source="lawful")
    for quantity, digits in BESIROGLU.items():
        remark = "ours has the lower objective"
        out.append(
            Comparison(f"Besiroglu et al., 240 runs: {quantity}", float(digits), mine[quantity], None, remark=remark)
        )
    return out


def _coefficient(name: str, quantity: str, digits: str, ours: float) -> Comparison:
    """Compare a coefficient to its digits, within the peer's own precision, or show it with the reason."""
    label = f"{name}: {quantity}"
    if name in METHODS:
        return to_digits(label, digits, ours)
    if name == HUBER_ROWS[2]:
        why = "where basin hopping stops, its objective is still a hair above ours"
        return Comparison(label, float(digits), ours, HUBER_TOLERANCE, remark=why)
    remark = "another solver's row"
    if name == HUBER_ROWS[1]:
        remark = "not an optimum: our objective is lower"
    elif "resamples" in name:
        remark = "the mean of ten resamples whose draws are not published, beside our fit of all runs"
    return Comparison(label, float(digits), ours, None, remark=remark)


STUDY = Study(
    number=0,
    name="reproduction",
    question="Do our solvers agree with published fits of the Chinchilla runs?",
    config={"below": 1e21},
    quick={},
    tasks=tasks,
    compute=compute,
    draw=draw,
    findings=findings,
    published=published,
    data=(real.CHINCHILLA_SVG,),
)
