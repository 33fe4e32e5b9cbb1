"""Study 22: our own sweep, planned, trained, fitted and forecast, and what came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lawful.analysis.analysis import Analysis
from lawful.analysis.compare import Unavailable, compare
from lawful.checks.check import check
from lawful.checks.rules import KEPT
from lawful.data.runs import Runs
from lawful.estimate.result import Fit
from lawful.show.ledger import score_ledger
from lawful.sources.embedded import embedded_hashes
from lawful.studies import tinysweep
from lawful.studies.study import Config, Study, Tables, Task
from lawful.studies.tables import Table
from lawful.studies.tinysweep_words import tinysweep_findings
from lawful.uncertainty.fitness import lack_of_fit, replicate_groups

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEVEL = 0.9
COEFFICIENTS = ("E", "A", "B", "alpha", "beta")
NEVER = float("nan")
REPEATS = {"first": "tinysweep-first-tuning", "second": "tinysweep-tuning"}


def tasks(_: Config) -> list[Task]:
    """One chunk per sweep: their fits are independent."""
    return [{"sweep": sweep} for sweep in tinysweep.SWEEPS]


def compute(config: Config, task: Task) -> Tables:
    """Fits, tests and replicates of one sweep; of the second also the forecasts and what came."""
    sweep = task["sweep"]
    runs = tinysweep.sweep_runs(sweep)
    outcomes = compare(runs, budgets=(tinysweep.TARGET,), level=LEVEL, seed=config["seed"])
    surface = tinysweep.surface_of(outcomes)
    data = sweep == "second"
    made = tinysweep.forecasts(outcomes) if data else []
    return {
        "runs": Table.from_rows([*run_rows(sweep, runs, surface), *(target_rows(surface) if data else [])]),
        "fits": Table.from_rows([fit_row(sweep, outcome) for outcome in outcomes]),
        "lack_of_fit": Table.from_rows([test_row(sweep, surface, config["seed"])]),
        "seeds": Table.from_rows(seed_rows(sweep, runs)),
        "checks": Table.from_rows(check_rows(sweep, runs)),
        "tuning": Table.from_rows(repeat_rows(sweep)),
        "forecasts": Table.from_rows(forecast_rows(made)),
        "again": Table.from_rows(again_rows() if data else []),
    }


def run_rows(sweep: str, runs: Runs, surface: Fit) -> list[dict[str, Any]]:
    """Every run with its nominal budget, how it was trained, and its residual under VPNLS."""
    fitted = surface.surface.loss(runs.N, runs.D)
    nominal = nominal_budgets(runs)
    return [
        {
            "sweep": sweep,
            "run": str(runs.table["run"][i]),
            "budget": nominal[i],
            "params": runs.N[i],
            "tokens": runs.D[i],
            "width": float(runs.table["width"][i]),
            "seed": float(runs.table["seed"][i]),
            "loss": runs.L[i],
            "residual": runs.L[i] - fitted[i],
        }
        for i in range(len(runs))
    ]


def nominal_budgets(runs: Runs) -> np.ndarray:
    """
    Return the budget that each run was planned for, to three digits: whole steps and widths miss it by a percent.

    Budgets are even in log C, so the ends of the groups say where all of them lie.
    """
    middle = np.array([np.median(runs.C[runs.group == g]) for g in range(runs.budgets.size)])
    low, high = (float(f"{end:.3g}") for end in (middle[0], middle[-1]))
    planned = np.geomspace(low, high, middle.size)
    return np.array([float(f"{c:.3g}") for c in planned])[runs.group]


def target_rows(surface: Fit) -> list[dict[str, Any]]:
    """Return the runs at the target under the fit of the sweep, once they exist."""
    runs = tinysweep.own_runs(tinysweep.TESTED)
    if runs is None:
        return []
    return [{**row, "budget": tinysweep.TARGET} for row in run_rows("target", runs, surface)]


def fit_row(sweep: str, outcome: Analysis | Unavailable) -> dict[str, Any]:
    """Coefficients, exponents and the choice at the target, with the interval of N*."""
    row = dict.fromkeys(
        (*COEFFICIENTS, "rss", "a", "b", "params", "params_low", "params_high", "tokens", "loss"), NEVER
    )
    if isinstance(outcome, Analysis):
        fit, chosen = outcome.fit, outcome.allocations[0]
        if fit.surface is not None:
            row |= {**{name: fit.surface[name] for name in COEFFICIENTS}, "rss": fit.rss}
            row["a"], row["b"] = fit.surface.exponents
        else:
            row["a"], row["b"] = fit.frontier.a, fit.frontier.b
        row["params_low"], row["params_high"] = tinysweep.size_interval(outcome, LEVEL)
        row |= {"params": chosen.params, "tokens": chosen.tokens}
        row["loss"] = NEVER if chosen.loss is None else chosen.loss
    return {"sweep": sweep, "method": outcome.method, **row}


def test_row(sweep: str, surface: Fit, seed: int) -> dict[str, Any]:
    """Return the lack-of-fit test of VPNLS."""
    found = lack_of_fit(surface, seed=seed)
    freedom = found.freedom or (NEVER, NEVER)
    return {
        "sweep": sweep,
        "replicates": found.replicates,
        "pure_error": found.pure_error,
        "model_error": found.model_error,
        "f": found.f,
        "freedom_model": freedom[0],
        "freedom_pure": freedom[1],
        "p_replicates": found.p_replicates,
        "p_budgets": found.p_budgets,
    }


def seed_rows(sweep: str, runs: Runs) -> list[dict[str, Any]]:
    """Return one row per cell that was trained with several seeds."""
    groups, nominal = replicate_groups(runs.N, runs.D), nominal_budgets(runs)
    rows = []
    for group in np.unique(groups):
        own = np.flatnonzero(groups == group)
        if own.size > 1:
            L = runs.L[own]
            rows.append(
                {
                    "sweep": sweep,
                    "budget": nominal[own[0]],
                    "params": runs.N[own[0]],
                    "width": float(runs.table["width"][own[0]]),
                    "seeds": own.size,
                    "lowest": L.min(),
                    "highest": L.max(),
                    "mean": L.mean(),
                    "deviation": L.std(ddof=1),
                }
            )
    return sorted(rows, key=lambda row: (row["budget"], row["params"]))


def check_rows(sweep: str, runs: Runs) -> list[dict[str, Any]]:
    """Return how many runs each rule of ``check`` flags."""
    reasons = list(check(runs).reason)
    found = {"kept" if rule == KEPT else rule: reasons.count(rule) for rule in sorted(set(reasons))}
    return [{"sweep": sweep, "rule": rule, "runs": count} for rule, count in found.items()]


def repeat_rows(sweep: str) -> list[dict[str, Any]]:
    """Return the runs that were repeated at half and double their rate, beside the seeds at the rate itself."""
    repeated, runs = tinysweep.own_table(REPEATS[sweep]), tinysweep.own_table(tinysweep.SWEEPS[sweep])
    rows: list[dict[str, Any]] = []
    if repeated is None or runs is None:
        return rows
    for one in repeated.rows():
        name, _, factor = str(one["run"]).partition("-x")
        base = runs.one(run=name)
        cell = runs.where(width=base["width"], tokens=base["tokens"])["loss"]
        row = {"sweep": sweep, "run": name, "width": base["width"], "factor": float(factor), "loss": one["loss"]}
        row |= {"at_rate": base["loss"], "lowest_seed": cell.min(), "highest_seed": cell.max(), "device": one["device"]}
        rows.append(row)
    return rows


def again_rows() -> list[dict[str, Any]]:
    """Return the runs of the data set that were trained again, beside their cell's seeds."""
    repeated, runs = tinysweep.own_table("tinysweep-again"), tinysweep.own_table("tinysweep")
    rows: list[dict[str, Any]] = []
    if repeated is None or runs is None:
        return rows
    for one in repeated.rows():
        base = runs.one(run=one["run"])
        cell = runs.where(width=base["width"], tokens=base["tokens"])["loss"]
        row = {"run": one["run"], "width": base["width"], "seed": base["seed"], "loss": base["loss"]}
        row |= {"again": one["loss"], "difference": one["loss"] - base["loss"], "seeds": len(cell)}
        rows.append({**row, "range": float(np.ptp(cell)), "device": one["device"]})
    return rows


def forecast_rows(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return every forecast, beside the run that scores it where that exists."""
    runs = tinysweep.own_runs(tinysweep.TESTED)
    if runs is not None:
        return [
            forecast_row(row.entry, vars_of(row.made), None if row.found is None else vars_of(row.found))
            for row in score_ledger(entries, runs)
        ]
    return [forecast_row(entry, one, None) for entry in entries for one in entry["forecasts"]]


def vars_of(record: Any) -> dict[str, Any]:
    """Return the fields of a record with slots."""
    return {name: getattr(record, name) for name in record.__slots__}


def forecast_row(entry: Mapping[str, Any], one: Mapping[str, Any], found: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a forecast; its date only where it was written down, so that tables do not depend on the day."""
    low, high = one["prediction"]
    state = "pending" if found is None else "inside" if found["inside"] else "outside"
    scored = found or {"measured": NEVER, "z": NEVER, "interval_score": NEVER}
    return {
        "method": entry["method"],
        "of": "optimum" if one["optimal"] else "run",
        "written": entry["made"] if tinysweep.ledger() else "not written down",
        "budget": one["budget"],
        "params": one["params"],
        "tokens": one["tokens"],
        "loss": one["loss"],
        "low": low,
        "high": high,
        "came": scored["measured"],
        "z": scored["z"],
        "interval_score": scored["interval_score"],
        "verdict": state,
    }


def draw(tables: Tables) -> dict[str, Figure]:
    """The curves with their seeds, the plan, the seeds' spread, the two sweeps, and the forecasts."""
    from lawful.studies import tinysweep_drawing as figures

    return {
        "tinysweep": figures.curves(tables),
        "plan": figures.plan(tables),
        "seeds": figures.seeds(tables),
        "transition": figures.transition(tables),
        "forecast": figures.forecast(tables),
    }


STUDY = Study(
    number=22,
    name="tinysweep",
    question="What does a small real sweep support, and does its forecast of ten times the compute hold?",
    config={"files": embedded_hashes()},
    quick={},
    tasks=tasks,
    compute=compute,
    draw=draw,
    findings=tinysweep_findings,
)
