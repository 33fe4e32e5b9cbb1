"""Study 24: which kind of interval holds? Coverage of every kind under four kinds of noise (once ``calibration``)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from lawful.core.objective import Objective
from lawful.core.typing import Array
from lawful.data.runs import Runs
from lawful.design.plan import Plan, plan_isoflop, study_surface
from lawful.estimate.solvers import Problem, prepare
from lawful.laws.surface import Surface
from lawful.studies import sweeps
from lawful.studies.study import Config, Study, Tables, Task
from lawful.studies.tables import Table
from lawful.trust.diagnose import alarms
from lawful.uncertainty import replicas as rp
from lawful.uncertainty.quantity import Quantity, working_values

if TYPE_CHECKING:
    from matplotlib.figure import Figure


DESIGNS = {"5x9": (5, 9), "4x6": (4, 6)}
"""Budgets on 1e17..1e21 and sizes at each, ±8×, centred."""

NOISES = ("gaussian", "proportional", "student-t3", "outliers")

OBJECTIVES: dict[str, float | str | None] = {"squared": None, "huber-auto": "auto", "huber-1e-3": 1e-3}

QUANTITIES = ("alpha", "beta", "E", "params", "loss")

CLOSED_FORM = ("profile", "profile-unequal", "profile-equal", "delta", "delta-unequal", "delta-equal")
"""Intervals without draws; the bare names let the variance follow the reducible loss."""

SCHEMES = ("rows", "within-budget", "wild", "residual")

ROBUST_SCHEMES = ("rows", "within-budget", "wild")

SOBER = ("gaussian", "proportional")
"""Noise under which squared errors are the right objective, or nearly."""

BAND = (0.87, 0.93)
"""Where the coverage of a nominal 90% interval should lie."""


def tasks(config: Config) -> list[Task]:
    """One chunk per cell and objective."""
    return [
        {"surface": surface, "sigma": sigma, "design": design, "noise": noise, "objective": objective}
        for objective in config["objectives"]
        for noise in config["noises"]
        for surface in config["surfaces"]
        for sigma in config["sigmas"]
        for design in config["designs"]
    ]


def plan_of(design: str, surface: Surface) -> Plan:
    """Lay out the runs of a design."""
    budgets, points = DESIGNS[design]
    return plan_isoflop(np.geomspace(1e17, 1e21, budgets), points, surface=surface)


def errors_of(noise: str, sigma: float, reducible: Array, sets: int, rng: np.random.Generator) -> Array:
    """
    Errors of every run in every data set, shape (sets, n).

    All kinds have the root mean square sigma but for the outliers: there 5% of the
    runs (at least one) are shifted by +10 sigma on top of Gaussian noise.
    """
    n = reducible.size
    if noise == "student-t3":
        return np.asarray(sigma * rng.standard_t(3, (sets, n)) / np.sqrt(3.0))
    gaussian = rng.standard_normal((sets, n))
    if noise == "gaussian":
        return sigma * gaussian
    if noise == "proportional":
        return np.asarray(sigma * reducible / np.sqrt((reducible**2).mean()) * gaussian)
    shifted = rng.random((sets, n)).argsort(axis=1) < max(1, round(0.05 * n))
    return sigma * (gaussian + 10.0 * shifted)


def simulated(config: Config, task: Task) -> tuple[Problem, Array, Array, Runs, np.random.Generator]:
    """Problem, losses of every data set, the truth in solver units, the design, and the generator for the draws."""
    truth = study_surface(task["surface"])
    plan = plan_of(task["design"], truth)
    mean = np.asarray(truth.loss(plan.N, plan.D))
    # The seed names the cell but not the objective: all objectives see the same data sets.
    cell = [
        config["seed"], list(sweeps.SURFACES).index(task["surface"]), round(task["sigma"] * 1e6),
        list(DESIGNS).index(task["design"]), NOISES.index(task["noise"]),
    ]  # fmt: skip
    rng = np.random.default_rng(cell)
    losses = mean + errors_of(task["noise"], task["sigma"], mean - truth["E"], config["sets"], rng)
    runs = Runs.from_arrays(plan.N, plan.D, mean, C=plan.C)
    problem = prepare(runs, truth.law, Objective.squared(), {}, {})
    z = problem.to_z(np.array([[truth[name] for name in truth.law.names]]))[0]
    return problem, np.maximum(losses, 1e-3), z, runs, rng


def compute(config: Config, task: Task) -> Tables:
    """Coverage and median width of every interval in one cell."""
    problem, losses, truth, runs, rng = simulated(config, task)
    fits = rp.refit(problem, losses, truth, delta=OBJECTIVES[task["objective"]])
    quantities = [Quantity(n, config["budget"] if n in ("params", "loss") else None) for n in QUANTITIES]
    law = study_surface(task["surface"]).law
    true = [float(working_values(q, law, truth[None], problem.centre)[0]) for q in quantities]
    rows = []
    for interval, ends in _all_ends(config, task, fits, runs, rng, quantities):
        for quantity, value, pair in zip(quantities, true, ends, strict=True):
            low, high = pair.T
            rows.append(
                {
                    **task,
                    "interval": interval,
                    "quantity": quantity.name,
                    "coverage": float(np.mean((low <= value) & (value <= high))),
                    "below": float(np.mean(value < low)),
                    "above": float(np.mean(value > high)),
                    "width": float(np.nanmedian(high - low)),
                    "open": float(np.mean(~np.isfinite(low) | ~np.isfinite(high))),
                    "sets": len(pair),
                }
            )
    found = alarms(fits)
    shares = {"uneven_noise": found.uneven, "outliers": found.far.any(axis=1), "narrow_delta": found.narrow}
    notes = [{**task, "note": name, "share": float(np.mean(hit))} for name, hit in shares.items()]
    return {"coverage": Table.from_rows(rows), "notes": Table.from_rows(notes)}


def _all_ends(
    config: Config, task: Task, fits: rp.Replicas, runs: Runs, rng: np.random.Generator, quantities: list[Quantity]
) -> Iterator[tuple[str, list[Array]]]:
    level = config["level"]
    for name in config["closed_form"]:
        family, _, noise = name.partition("-")
        ends_of: Any = rp.profile_intervals if family == "profile" else rp.linear_ends
        yield name, [ends_of(fits, q, noise or "trend", level) for q in quantities]
    squared = task["objective"] == "squared"
    if not squared:
        # A robust refit costs ten times as much: schemes are judged on the first data sets alone.
        few = slice(config["robust_sets"])
        delta = None if fits.delta is None else fits.delta[few]
        fits = fits._replace(losses=fits.losses[few], z=fits.z[few], delta=delta)
    for scheme in SCHEMES if squared else ROBUST_SCHEMES:
        if not config["draws"]:
            return
        parts: list[list[Array]] = [[] for _ in quantities]
        for _, z in rp.bootstrap_answers(fits, scheme, config["draws"], rng, runs.group):
            for part, quantity in zip(parts, quantities, strict=True):
                part.append(rp.percentile_ends(fits.problem, z, quantity, level))
        yield scheme, [np.concatenate(part) for part in parts]


def summarise(config: Config, tables: Tables) -> Tables:
    """Add how many figures of each interval lie where they should, per objective and noise."""
    low, high = config["band"]
    rows = []
    for (objective, noise, interval), part in tables["coverage"].groups("objective", "noise", "interval"):
        value = part["coverage"]
        rows.append(
            {
                "objective": objective,
                "noise": noise,
                "interval": interval,
                "figures": len(part),
                "in_band": float(np.mean((value >= low) & (value <= high))),
                "at_least_85": float(np.mean(value >= 0.85)),
                "mean": float(value.mean()),
                "least": float(value.min()),
                "most": float(value.max()),
            }
        )
    return {**tables, "summary": Table.from_rows(rows)}


def draw(tables: Tables) -> dict[str, Figure]:
    """Every figure of coverage as a dot: a column per interval, a panel per noise and objective."""
    from lawful.studies import drawing

    table = tables["coverage"]
    objectives, noises, kinds = (table.values(name) for name in ("objective", "noise", "interval"))
    size = (11.5, 2.1 * len(noises) + 0.9)
    figure, axes = drawing.panels(len(noises), len(objectives), size, sharex=True, sharey=True)
    for row, noise in zip(axes, noises, strict=True):
        for ax, objective in zip(row, objectives, strict=True):
            ax.axhspan(*BAND, color=drawing.CYCLE[2], alpha=0.14, linewidth=0)
            ax.axhline(0.9, color=drawing.MUTED, linewidth=0.8)
            for k, kind in enumerate(kinds):
                part = table.where(noise=noise, objective=objective, interval=kind)
                for surface, style in drawing.SURFACE_STYLE.items():
                    values = part.where(surface=surface)["coverage"]
                    place = k + np.linspace(-0.3, 0.3, max(values.size, 1))[: values.size]
                    ax.plot(place, values, ".", color=style["color"], markersize=2.6)
            ax.set_xticks(range(len(kinds)), kinds, rotation=55, ha="right")
            ax.set_ylim(0.6, 1.0)
            drawing.title(ax, f"{objective}, {noise}")
    for row in axes:
        drawing.labels(row[0], "", "coverage")
    styles = drawing.SURFACE_STYLE.items()
    handles = [drawing.key(sweeps.LABELS[n], color=s["color"], linestyle="", marker="o") for n, s in styles]
    drawing.legend_above(figure, handles)
    return {"coverage": figure}


def findings(tables: Tables) -> list[str]:
    """Say which interval holds, and where each of the others fails."""
    summary = tables["summary"]
    sentences = []
    squared = [row for row in summary.rows() if row["objective"] == "squared"]
    profile = [row for row in squared if row["interval"] == "profile" and row["noise"] in SOBER]
    if profile:
        share = np.average([row["in_band"] for row in profile], weights=[row["figures"] for row in profile])
        sentences.append(
            f"The profile with squared errors holds: under Gaussian and proportional noise {share:.0%} of its figures "
            f"lie in {BAND[0]:.0%} to {BAND[1]:.0%} (nominal 90%), the least at {min(r['least'] for r in profile):.1%}."
        )
    robust = [r for r in summary.rows() if r["objective"] == "huber-auto" and r["interval"] == "profile"]
    sentences += [
        f"huber auto, profile, {row['noise']}: {row['at_least_85']:.0%} of its figures cover at least 85%, "
        f"the mean is {row['mean']:.1%}, the least {row['least']:.1%}."
        for row in robust
    ]
    sentences += [
        f"squared, {row['interval']}, {row['noise']}: {row['in_band']:.0%} in the band, mean {row['mean']:.1%}, "
        f"{row['least']:.1%} to {row['most']:.1%}."
        for row in squared
        if row["interval"] != "profile"
    ]
    return sentences


STUDY = Study(
    number=24,
    name="interval_kinds",
    question="How often does each kind of interval hold, and under which noise does it fail?",
    config={
        "surfaces": list(sweeps.SURFACES),
        "sigmas": [0.002, 0.01, 0.05],
        "designs": list(DESIGNS),
        "noises": list(NOISES),
        "objectives": list(OBJECTIVES),
        "closed_form": list(CLOSED_FORM),
        "sets": 1000,
        "robust_sets": 200,
        "draws": 199,
        "level": 0.9,
        "budget": sweeps.TARGET,
        "band": list(BAND),
    },
    quick={"surfaces": ["chinchilla"], "sigmas": [0.01], "designs": ["4x6"], "sets": 40, "draws": 39},
    tasks=tasks,
    compute=compute,
    draw=draw,
    findings=findings,
    summarise=summarise,
)
