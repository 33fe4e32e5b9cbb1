"""Study 20: what a user meets who asks for nothing. Coverage, widths, verdicts and notes of the default fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lawful.checks.undertuned import undertuned
from lawful.core.notes import Verdict
from lawful.core.typing import Array
from lawful.data.runs import Runs
from lawful.errors import LawfulError
from lawful.estimate.fit import fit
from lawful.laws.surface import Surface
from lawful.studies.conditions import COUPLINGS, SINGLE, Layout, errors_of, layout_of, truth_of
from lawful.studies.study import Config, Study, Tables, Task
from lawful.studies.tables import Table
from lawful.trust.diagnose import diagnose
from lawful.trust.fitness import REFUSED
from lawful.trust.verdict import judge
from lawful.uncertainty.intervals import intervals

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KEY = ("kind", "truth", "sigma", "design", "noise")
"""What names a cell."""

BAND = (0.86, 0.94)
"""Where the coverage of a nominal 90% interval should lie."""

QUANTITIES = ("E", "alpha", "beta", "a", "params", "loss")
"""D* is the budget over 6N*, so its interval holds exactly where that of N* (params) does."""

AT_BUDGET = ("params", "loss")

NOTES = ("not_identified", "lack_of_fit", "shared_error", "uneven_noise", "outliers", "robust", "undertuned")
"""Notes that tell a reader to doubt an interval; ``extrapolation`` stands in every answer so far out."""

VERDICTS = tuple(Verdict)

BEST = "best possible"
"""Where the law is wrong, how often a test that knew how would refuse it."""

KNOWABLE = 0.8
"""Power of the best test from which on a test could know."""

SUMS = ("sets", "printed", "held", "below", "above", "open", "finite", "log_width", "silent")
"""Columns of the parts of a cell that add up."""


def cells(config: Config) -> list[dict[str, Any]]:
    """Every cell once: independent errors, shared ones, and a law that is wrong."""
    one = [
        ("independent", truth, sigma, design, noise)
        for truth, sigma, noises, designs in config["independent"]
        for design in designs
        for noise in noises
    ]
    shared = [
        ("shared", truth, sigma, design, noise)
        for truth, sigma in config["shared"]
        for design, noise in config["shared_designs"]
    ]
    refused = [
        ("refused", truth, sigma, design, "gaussian")
        for truth in config["couplings"]
        for sigma, designs in config["refused"]
        for design in designs
    ]
    return [dict(zip(KEY, cell, strict=True)) for cell in (*one, *shared, *refused)]


def tasks(config: Config) -> list[Task]:
    """One chunk per cell and block of sets, block by block: a run that is stopped early has all cells."""
    every = cells(config)
    most = max(config["blocks"].values())
    return [
        {**cell, "block": block} for block in range(most) for cell in every if block < config["blocks"][cell["kind"]]
    ]


def simulated(config: Config, task: Task) -> tuple[Surface, Layout, Array]:
    """Return truth, layout and the losses of every set of a block, shape (sets, n)."""
    truth = truth_of(task["truth"])
    at = layout_of(task["design"], truth)
    mean = np.asarray(truth.loss(at.N, at.D))
    # The seed is made of the names, so a cell has the same sets whatever other cells the settings hold.
    named = "/".join(str(task[name]) for name in KEY).encode()
    rng = np.random.default_rng([config["seed"], task["block"], *named])
    errors = errors_of(task["noise"], task["sigma"], at, mean - truth["E"], config["sets"], rng)
    return truth, at, np.maximum(mean + errors, 1e-3)


def answers(runs: Runs, budget: float, level: float) -> tuple[dict[str, tuple[float, float]], set[str], Verdict]:
    """
    What ``lawful fit`` says of some runs: intervals by quantity, codes of notes, verdict.

    The numbers of a budget are left out where the verdict withholds them. The average over laws that
    leads the decision of the command is not judged here.
    """
    found = fit(runs)
    sure = intervals(found, level=level)
    judged = judge(found, [budget])
    notes = [*found.notes, *sure.notes, *judged.notes, *diagnose(found), *undertuned(found)]  # type: ignore[union-attr]
    told = [name for name in QUANTITIES if name not in AT_BUDGET]
    if not judged.withholds(budget, runs) or judged.reason == "wide":
        told += AT_BUDGET
    ends = {name: sure.of(name, budget=budget if name in AT_BUDGET else None) for name in told}  # type: ignore[union-attr]
    return ends, {note.code for note in notes}, judged.verdict


def compute(config: Config, task: Task) -> Tables:
    """Counts of one block of a cell."""
    truth, at, losses = simulated(config, task)
    budget = config["beyond"] * float((6.0 * at.N * at.D).max())
    true = _true(truth, budget)
    counts = {name: dict.fromkeys(SUMS, 0.0) for name in true}
    seen = dict.fromkeys((*NOTES, *VERDICTS, "any note", "failed"), 0)
    labels = {} if task["design"].split()[0] != "checkpoints" else {"run_id": at.run.astype(str)}
    for y in losses:
        try:
            runs = Runs.from_arrays(at.N, at.D, y, C=at.C, labels=labels)
            ends, codes, verdict = answers(runs, budget, config["level"])
        except LawfulError:
            seen["failed"] += 1
            continue
        raised = codes & set(NOTES)
        for name in (*raised, verdict, *(["any note"] if raised else [])):
            seen[name] += 1
        for name, value in true.items():
            _count(counts[name], ends.get(name), value, warned=bool(raised))
    rows = [{**task, "quantity": name, **count} for name, count in counts.items()]
    said = [{**task, "said": str(name), "raised": float(hit), "sets": len(losses)} for name, hit in seen.items()]
    return {"coverage": Table.from_rows(rows), "detection": Table.from_rows(said)}


def _true(truth: Surface, budget: float) -> dict[str, float]:
    """True values; alpha and beta of a coupled law are not those of two separate powers."""
    best = truth.optimum(budget)
    values = {"E": truth["E"], "a": truth.exponents[0], "params": float(best.params), "loss": float(best.loss)}
    if truth.law.two_powers:
        values |= {name: truth[name] for name in ("alpha", "beta")}
    return {name: float(values[name]) for name in QUANTITIES if name in values}


def _count(count: dict[str, float], ends: tuple[float, float] | None, value: float, *, warned: bool) -> None:
    """Add one set."""
    count["sets"] += 1
    if ends is None or np.isnan(ends).any():
        return
    low, high = ends
    holds = low <= value <= high
    count["printed"] += 1
    count["held"] += holds
    count["below"] += value < low
    count["above"] += value > high
    count["silent"] += not (holds or warned)
    if np.isfinite([low, high]).all() and high > low:
        count["finite"] += 1
        count["log_width"] += float(np.log(high - low))
    else:
        count["open"] += 1


def summarise(config: Config, tables: Tables) -> Tables:
    """Put the blocks of every cell together, and count how many figures lie where they should."""
    rows = []
    for (*cell, name), part in tables["coverage"].groups(*KEY, "quantity"):
        total = {column: float(part[column].sum()) for column in SUMS}
        printed = max(total["printed"], 1.0)
        rows.append(
            {
                **dict(zip(KEY, cell, strict=True)),
                "quantity": name,
                "sets": int(total["sets"]),
                "coverage": total["held"] / printed if total["printed"] else float("nan"),
                "below": total["below"] / printed,
                "above": total["above"] / printed,
                "width": float(np.exp(total["log_width"] / max(total["finite"], 1.0))),
                "open": total["open"] / printed,
                "withheld": 1.0 - total["printed"] / max(total["sets"], 1.0),
                "silent": total["silent"] / max(total["sets"], 1.0),
            }
        )
    coverage = Table.from_rows(rows)
    said = [
        {**dict(zip((*KEY, "said"), key, strict=True)), "share": float(part["raised"].sum() / part["sets"].sum())}
        for key, part in tables["detection"].groups(*KEY, "said")
    ]
    known = [
        {**dict(zip(KEY, cell, strict=True)), "said": BEST, "share": best_power(*cell[1:4])}
        for cell, _ in tables["detection"].groups(*KEY)
        if cell[0] == "refused"
    ]
    detection = Table.from_rows([*said, *known])
    return {"coverage": coverage, "detection": detection, "summary": _summary(config, coverage, detection)}


def best_power(truth: str, sigma: float, design: str) -> float:
    """
    Power at 1% of the F test that knows in which direction the law is wrong, and that the noise is even.

    What the law misses of the truth without noise, in standard deviations, is the noncentrality; among tests
    that are told neither the coefficients nor the noise none is more powerful (the F test is the uniformly most
    powerful invariant one).

    Parameters
    ----------
    truth, sigma, design
        Of a cell whose law is wrong.

    Examples
    --------
    >>> print(f"{best_power('coupled .8', 0.003, 'ladder 5x5'):.2f}")
    0.72
    """
    from scipy.special import fdtri, ncfdtr

    surface = truth_of(truth)
    at = layout_of(design, surface)
    losses = np.asarray(surface.loss(at.N, at.D))
    missed = fit(Runs.from_arrays(at.N, at.D, losses, C=at.C), method="vpnls").residuals
    free = losses.size - len(QUANTITIES)
    far = float((np.asarray(missed) ** 2).sum()) / sigma**2
    return 1.0 - float(np.nan_to_num(ncfdtr(1.0, free, far, float(fdtri(1.0, free, 1.0 - REFUSED)))))


def _summary(config: Config, coverage: Table, detection: Table) -> Table:
    """
    Count figures by kind, noise and design.

    A figure is the coverage of one quantity in one cell; one that rests on fewer sets than
    ``fewest`` printed is left out.
    """
    low, high = config["band"]
    noted = {tuple(row[k] for k in KEY): row["share"] for row in detection.where(said="any note").rows()}
    rows = []
    for (kind, noise), part in coverage.groups("kind", "noise"):
        figures = [r for r in part.rows() if r["sets"] * (1 - r["withheld"]) >= config["fewest"]]
        if not figures:
            continue
        value = np.array([r["coverage"] for r in figures])
        unsaid = [r for r in figures if r["coverage"] < 0.8 and noted[tuple(r[k] for k in KEY)] < 0.9]
        rows.append(
            {
                "kind": kind,
                "noise": noise,
                "figures": len(figures),
                "in_band": float(np.mean((value >= low) & (value <= high))),
                "at_least_85": float(np.mean(value >= 0.85)),
                "mean": float(value.mean()),
                "least": float(value.min()),
                "most": float(value.max()),
                "below_80": int(np.sum(value < 0.8)),
                "below_80_unsaid": len(unsaid),
                "withheld": float(np.mean([r["withheld"] for r in part.rows() if r["quantity"] == "params"])),
            }
        )
    return Table.from_rows(rows)


def _place(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["truth"], row["sigma"], row["design"]


def draw(tables: Tables) -> dict[str, Figure]:
    """Every figure of coverage as a dot: a column per noise, a panel per quantity."""
    from lawful.studies import drawing

    table = tables["coverage"]
    noises = [(kind, noise) for (kind, noise), _ in table.groups("kind", "noise")]
    names = [noise if kind != "refused" else "coupled law" for kind, noise in noises]
    figure, axes = drawing.panels(2, 3, (11.5, 6.4), sharex=True, sharey=True)
    truths = table.values("truth")
    for ax, quantity in zip(axes.flat, QUANTITIES, strict=True):
        ax.axhspan(*BAND, color=drawing.CYCLE[2], alpha=0.14, linewidth=0)
        ax.axhline(0.9, color=drawing.MUTED, linewidth=0.8)
        for k, (kind, noise) in enumerate(noises):
            part = table.where(kind=kind, noise=noise, quantity=quantity)
            for truth in part.values("truth"):
                value = part.where(truth=truth)["coverage"]
                place = k + np.linspace(-0.3, 0.3, max(value.size, 1))[: value.size]
                color = drawing.CYCLE[truths.index(truth) % len(drawing.CYCLE)]
                ax.plot(place, value, ".", color=color, markersize=3.2)
        ax.set_xticks(range(len(names)), names, rotation=55, ha="right")
        ax.set_ylim(-0.02, 1.02)
        drawing.title(ax, quantity)
    for row in axes:
        drawing.labels(row[0], "", "coverage")
    handles = [
        drawing.key(name, color=drawing.CYCLE[i % len(drawing.CYCLE)], linestyle="", marker="o")
        for i, name in enumerate(truths)
    ]
    drawing.legend_above(figure, handles)
    return {"coverage": figure}


def findings(tables: Tables) -> list[str]:
    """Say where the default interval holds, where it fails, and what announces it."""
    summary, coverage, detection = tables["summary"], tables["coverage"], tables["detection"]
    sentences = []
    words = {
        "independent": ("in_band", f"in {BAND[0]:.0%} to {BAND[1]:.0%}"),
        "shared": ("at_least_85", "at 85% or more"),
    }
    for kind, (column, said) in words.items():
        part = summary.where(kind=kind)
        if len(part):
            share = float(np.average(part[column], weights=part["figures"]))
            sentences.append(
                f"Under {kind} errors {share:.0%} of {int(part['figures'].sum())} figures of the default lie {said} "
                f"(nominal 90%); {int(part['below_80'].sum())} lie under 80%, {int(part['below_80_unsaid'].sum())} of "
                f"them without a note in 90% of the sets."
            )
    sentences += [
        f"{row['noise']} ({row['kind']}): {row['in_band']:.0%} of {row['figures']:.0f} figures in the band, "
        f"{row['at_least_85']:.0%} at 85% or more, {row['least']:.1%} to {row['most']:.1%}, mean {row['mean']:.1%}; N* "
        f"withheld in {row['withheld']:.0%} of the sets."
        for row in summary.rows()
    ]
    best = {_place(row): row["share"] for row in detection.where(kind="refused", said=BEST).rows()}
    told = {_place(row): row["share"] for row in detection.where(kind="refused", said="lack_of_fit").rows()}
    could = [place for place, power in best.items() if power >= KNOWABLE]
    if best:
        seen = sum(told[place] >= KNOWABLE for place in could)
        sentences.append(
            f"A law that is wrong: in {len(could)} of {len(best)} cells a test that knew how would refuse it in "
            f"{KNOWABLE:.0%} of the sets or more, and in {seen} of them the note comes as often."
        )
    for (truth, sigma), part in detection.where(kind="refused", said="lack_of_fit").groups("truth", "sigma"):
        shares = ", ".join(f"{row['design']} {row['share']:.0%} ({best[_place(row)]:.0%})" for row in part.rows())
        sentences.append(f"Refused, {truth} at sigma {sigma:g} (in brackets at best): {shares}.")
    worst = sorted(
        (r for r in coverage.rows() if r["kind"] != "refused" and r["coverage"] < 0.8), key=lambda r: r["coverage"]
    )
    sentences += [
        f"Under 80%: {r['quantity']}, {r['truth']}, sigma {r['sigma']:g}, {r['design']}, {r['noise']}: "
        f"{r['coverage']:.0%} (missed without a note in {r['silent']:.0%} of the sets)."
        for r in worst
    ]
    return sentences


DESIGNS = ("sweep 5x9", "sweep 4x6", "few 3x4", "ladder 5x5", "grid 6x6", "irregular 30")

SHARED_DESIGNS = (
    ("sweep 6x7", "budget effect"), ("sweep 5x9", "budget effect"), ("sweep 4x6", "budget effect"),
    ("seeds 4x4x3", "cell effect"), ("ladder 5x5", "size effect"), ("grid 6x6", "size effect"),
    ("sweep 5x9", "ar .7"), ("sweep 6x7", "ar .7"),
    ("checkpoints 6x6", "run effect"), ("rows of runs 6x6", "run effect"),
)  # fmt: skip
"""Designs with the errors that their runs could share; ``rows of runs`` are checkpoints whose table names no run."""

STUDY = Study(
    number=20,
    name="calibration",
    question="How often does each number of the default fit hold, and do conditions that break it announce themselves?",
    config={
        "independent": [
            ["chinchilla", 0.01, [noise for noise in SINGLE if noise != "laplace"], list(DESIGNS)],
            ["chinchilla", 0.01, ["laplace"], ["sweep 5x9"]],
            ["chinchilla", 0.003, ["gaussian"], ["sweep 5x9", "ladder 5x5"]],
            ["chinchilla", 0.03, ["gaussian"], ["sweep 5x9"]],
            ["asymmetric", 0.01, ["gaussian"], ["sweep 4x6", "ladder 5x5"]],
            ["llama-like", 0.01, ["gaussian"], ["sweep 5x9", "few 3x4"]],
            ["llama-like", 0.03, ["gaussian"], ["sweep 4x6", "ladder 5x5"]],
        ],
        "shared": [["chinchilla", 0.01]],
        "shared_designs": [list(pair) for pair in SHARED_DESIGNS],
        "couplings": list(COUPLINGS),
        "refused": [[0.003, list(DESIGNS)], [0.01, ["sweep 5x9"]]],
        "sets": 20,
        "blocks": {"independent": 13, "shared": 13, "refused": 8},
        "fewest": 20,
        "level": 0.9,
        "beyond": 100.0,
        "band": list(BAND),
    },
    quick={
        "independent": [["chinchilla", 0.01, ["gaussian"], ["sweep 4x6"]]],
        "shared": [["chinchilla", 0.01]],
        "shared_designs": [["sweep 4x6", "budget effect"]],
        "couplings": ["coupled .58"],
        "refused": [[0.003, ["sweep 4x6"]]],
        "sets": 20,
        "blocks": {"independent": 2, "shared": 1, "refused": 1},
        "fewest": 10,
    },
    tasks=tasks,
    compute=compute,
    draw=draw,
    findings=findings,
    summarise=summarise,
)
