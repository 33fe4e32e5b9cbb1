"""Study 22: our own sweep, planned, trained, fitted and forecast, and what came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lawful.analysis.analysis import Analysis
from lawful.analysis.compare import Unavailable, compare
from lawful.checks.check import check
from lawful.checks.rules import KEPT
from lawful.core.numbers import format_count, format_scientific
from lawful.data.runs import Runs
from lawful.estimate.result import Fit
from lawful.show.figures.palette import LIGHT, font_size
from lawful.show.ledger import score_ledger
from lawful.sources.embedded import embedded_hashes
from lawful.studies import drawing, tinysweep
from lawful.studies.study import Config, Study, Tables, Task
from lawful.studies.tables import Table
from lawful.trust.fitness import lack_of_fit, replicate_groups

if TYPE_CHECKING:
    from matplotlib.axes import Axes
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


REFUSED = 0.05


def findings(tables: Tables) -> list[str]:
    """Say what the sweep supports, what the forecasts were, and how they came out."""
    found = [_support(tables), _spread(tables), _lack(tables), _choices(tables)]
    return [*found, *_forecasts(tables), *_sizes(tables), *_tuning(tables), *_again(tables)]


def _support(tables: Tables) -> str:
    fit = tables["fits"].one(sweep="second", method="vpnls")
    test = tables["lack_of_fit"].one(sweep="second")
    factor = fit["params_high"] / fit["params_low"]
    return (
        f"Seeds of one cell differ by {test['pure_error']:.3f} nats (standard deviation), and {_count(tables)} runs "
        f"then support N* at {format_scientific(tinysweep.TARGET)} FLOPs only within a factor of {factor:.1f} "
        f"({format_count(fit['params_low'])} to {format_count(fit['params_high'])}, 90%): {_verdict(tables)}."
    )


def _count(tables: Tables) -> int:
    return len(tables["runs"].where(sweep="second"))


def _verdict(tables: Tables) -> str:
    scored = [row for row in _optima(tables) if row["verdict"] != "pending"]
    if not scored:
        return "the runs that test the forecasts are not trained yet"
    inside = sum(row["verdict"] == "inside" for row in scored)
    return f"the best run there came inside the prediction intervals of {inside} of {len(scored)} methods"


def _optima(tables: Tables) -> list[dict[str, Any]]:
    return list(tables["forecasts"].where(of="optimum").rows())


def _spread(tables: Tables) -> str:
    parts = []
    for sweep, name in (("first", "without smeared keys"), ("second", "with them")):
        rows = list(tables["seeds"].where(sweep=sweep).rows())
        widest = max(rows, key=lambda row: row["highest"] - row["lowest"])
        pure = tables["lack_of_fit"].one(sweep=sweep)["pure_error"]
        parts.append(
            f"{name} by {pure:.3f} nats, at most {widest['highest'] - widest['lowest']:.3f} "
            f"(width {widest['width']:.0f}, {format_scientific(widest['budget'])} FLOPs)"
        )
    return f"Seeds differ {parts[0]}; {parts[1]}: smeared keys did not take the spread out."


def _lack(tables: Tables) -> str:
    test, first = (tables["lack_of_fit"].one(sweep=sweep) for sweep in ("second", "first"))
    said = "refuse" if test["p_replicates"] < REFUSED else "do not refuse"
    return (
        f"Replicates {said} the law (F = {test['f']:.2f} on {test['freedom_model']:.0f} and {test['freedom_pure']:.0f} "
        f"degrees of freedom, p = {test['p_replicates']:.2f}; across budgets p = {test['p_budgets']:.3f}): the fit "
        f"misses {test['model_error']:.3f} nats beyond a pure error of {test['pure_error']:.3f}. "
        f"In the first sweep the same were p = {first['p_replicates']:.2f} and p = {first['p_budgets']:.3f}."
    )


def _choices(tables: Tables) -> str:
    rows = list(tables["fits"].where(sweep="second").rows())
    sizes = ", ".join(f"{row['method']} {format_count(row['params'])}" for row in rows if np.isfinite(row["params"]))
    zero = [row["method"] for row in rows if row["E"] == 0]
    more = f"; {' and '.join(zero)} puts E at its bound of 0" if zero else ""
    return f"N* at {format_scientific(tinysweep.TARGET)} FLOPs: {sizes}{more}."


def _forecasts(tables: Tables) -> list[str]:
    rows = _optima(tables)
    missed = [row["came"] - row["loss"] for row in rows if row["verdict"] != "pending"]
    found = [_forecast(row) for row in rows]
    if missed and (min(missed) > 0 or max(missed) < 0):
        low, high = sorted((abs(min(missed)), abs(max(missed))))
        word = "low" if missed[0] > 0 else "high"
        found.append(
            f"All of these forecasts were too {word}, by {low:.3f} to {high:.3f} nats; they rest on the same runs, so "
            f"that is one miss, not {len(missed)}."
        )
    return found


def _sizes(tables: Tables) -> list[str]:
    """Say what the runs at the target tell about the best size."""
    target = tables["runs"].where(sweep="target")
    if not len(target):
        return []
    best, apart = int(target["loss"].argmin()), float(np.ptp(target["loss"]))
    pure = tables["lack_of_fit"].one(sweep="second")["pure_error"]
    said = "less than seeds do at smaller budgets, so they do not locate N*" if apart < pure else "more than seeds do"
    own = [row for row in tables["forecasts"].where(of="run").rows() if row["verdict"] != "pending"]
    inside = sum(row["verdict"] == "inside" for row in own)
    more = f" Of {len(own)} forecasts of given sizes {inside} came inside their intervals." if own else ""
    size = format_count(target["params"][best])
    return [
        f"Of the {len(target)} sizes at the target {size} is the best; they differ by {apart:.3f} nats, {said}.{more}"
    ]


def _forecast(row: Mapping[str, Any]) -> str:
    made = f"{row['method']} forecast {row['loss']:.3f} nats ({row['low']:.3f} to {row['high']:.3f})"
    if row["verdict"] == "pending":
        return f"{made}; the runs are not trained yet."
    return f"{made}; {row['came']:.3f} came, {row['verdict']} (z = {row['z']:+.1f}, score {row['interval_score']:.3f})."


def _tuning(tables: Tables) -> list[str]:
    found = []
    for sweep in ("first", "second"):
        rows = list(tables["tuning"].where(sweep=sweep).rows()) if len(tables["tuning"]) else []
        if rows:
            gain = max(row["lowest_seed"] - row["loss"] for row in rows)
            said = f"beats the best seed at the rule's rate by {gain:.3f} nats at most" if gain > 0 else "beats no seed"
            found.append(f"{sweep.capitalize()} sweep: half or double the rate ({len(rows)} runs) {said}.")
    return found


def _again(tables: Tables) -> list[str]:
    rows = list(tables["again"].rows())
    if not rows:
        return []
    told = ", ".join(f"{row['run']} {row['difference']:+.3f} ({row['device']})" for row in rows)
    return [f"Runs trained again differ from their rows by {told}."]


SWEEP_NAMES = {"first": "First sweep", "second": "Second sweep (smeared keys)"}
HEADS = ((64, "1 head", "o"), (128, "2 heads", "s"), (256, "4 heads", "D"), (np.inf, "8 heads", "^"))
"""Marker by the number of attention heads, which follows from the width."""


def curves(tables: Tables) -> Figure:
    """Draw every run of the data set over its size, seeds joined, with the fitted curve of each budget."""
    figure, ((ax,),) = drawing.panels(1, 1, (8.2, 4.4))
    _isoflops(ax, tables, "second", fitted=True)
    target = tables["runs"].where(sweep="target")
    if len(target):
        ax.scatter(target["params"], target["loss"], marker="*", s=110, color="black", zorder=5)
        x, y = _fitted_line(ax, tables, "second", tinysweep.TARGET, target["params"], color="black", dashed=True)
        _name(ax, x, y, f"{format_scientific(tinysweep.TARGET)}: forecast (dashed),\nthen trained (stars)")
    shown = tables["runs"].where(sweep="second")["params"]
    ax.set_xlim(shown.min() / 1.3, max(shown.max(), target["params"].max() if len(target) else 0) * 4)
    drawing.labels(ax, y="loss on held-out text (nats per byte)")
    drawing.count_axis(ax, "x", "parameters N")
    lines = [
        drawing.key("seeds of one cell", color=drawing.MUTED, linewidth=2.2, alpha=0.6),
        drawing.key("VPNLS fit of all runs", color=drawing.MUTED, linewidth=1.2),
    ]
    drawing.legend_above(figure, [*_head_keys(tables["runs"].where(sweep="second")), *lines], columns=6)
    return figure


def _isoflops(ax: Axes, tables: Tables, sweep: str, *, fitted: bool) -> None:
    """Runs of a sweep over size, one colour per budget, one marker per number of heads; seeds of a cell joined."""
    runs = tables["runs"].where(sweep=sweep)
    budgets = sorted(runs.values("budget"))
    for i, (color, budget) in enumerate(zip(drawing.budget_colors(budgets), budgets, strict=True)):
        rows = runs.where(budget=budget)
        for (_, _), cell in rows.groups("params", "tokens"):
            if len(cell) > 1:
                ends = [cell["loss"].min(), cell["loss"].max()]
                ax.plot(cell["params"][:2], ends, color=color, linewidth=2.2, alpha=0.6, zorder=2)
        for marker, chosen in _by_heads(rows):
            ax.scatter(
                chosen["params"],
                chosen["loss"],
                s=26,
                color=color,
                marker=marker,
                edgecolor="white",
                linewidth=0.5,
                zorder=4,
            )
        if fitted:
            x, y = _fitted_line(ax, tables, sweep, budget, rows["params"], color=color)
            _name(ax, x, y, format_scientific(budget))
            continue
        right = int(np.argmax(rows["params"]))
        _name(ax, rows["params"][right], rows["loss"][right], format_scientific(budget), lift=7 if i % 2 else -7)


def _by_heads(rows: Table) -> list[tuple[str, Table]]:
    below, found = 0.0, []
    for limit, _, marker in HEADS:
        keep = (rows["width"] >= below) & (rows["width"] < limit)
        found.append((marker, Table({name: column[keep] for name, column in rows.columns.items()})))
        below = limit
    return found


def _head_keys(rows: Table) -> list[Any]:
    """Legend entries of the numbers of heads that occur."""
    pairs = zip(HEADS, _by_heads(rows), strict=True)
    style = {"color": drawing.MUTED, "linestyle": "none", "markersize": 5}
    return [drawing.key(label, marker=marker, **style) for (_, label, marker), (_, own) in pairs if len(own)]


def _fitted_line(
    ax: Axes, tables: Tables, sweep: str, budget: float, sizes: Any, *, color: Any, dashed: bool = False
) -> tuple[float, float]:
    """Draw the fitted curve of a budget over these sizes; return its right end."""
    k = tables["fits"].one(sweep=sweep, method="vpnls")
    N = np.geomspace(sizes.min() / 1.2, sizes.max() * 1.3, 80)
    loss = k["E"] + k["A"] * N ** -k["alpha"] + k["B"] * (budget / (6 * N)) ** -k["beta"]
    ax.plot(N, loss, color=color, linewidth=1.2, linestyle=(0, (4, 2)) if dashed else "-", zorder=3)
    return float(N[-1]), float(loss[-1])


def _name(ax: Axes, x: float, y: float, text: str, *, lift: float = 0) -> None:
    """Write a text beside a point, a little above or below it."""
    size = font_size() - 0.5
    ax.annotate(text, (x, y), (7, lift), textcoords="offset points", va="center", fontsize=size, color=drawing.INK)


def plan(tables: Tables) -> Figure:
    """Draw where the runs of both sweeps lie in N and D, and the runs at the target."""
    figure, (axes,) = drawing.panels(1, 2, (8.6, 3.7), sharey=True)
    for ax, (sweep, name) in zip(axes, SWEEP_NAMES.items(), strict=True):
        runs = tables["runs"].where(sweep=sweep)
        budgets = sorted(runs.values("budget"))
        for color, budget in zip(drawing.budget_colors(budgets), budgets, strict=True):
            for (N, D), cell in runs.where(budget=budget).groups("params", "tokens"):
                many = len(cell) > 1
                ax.scatter(
                    N, D, s=54 if many else 20, color=color, marker="D" if many else "o", edgecolor="white", zorder=3
                )
        best = tables["fits"].one(sweep=sweep, method="vpnls")
        ax.scatter(best["params"], best["tokens"], marker="*", s=120, color=drawing.CYCLE[1], zorder=4)
        _name(ax, best["params"], best["tokens"], "N*, D* of\n1.25e15")
        target = tables["runs"].where(sweep="target")
        if sweep == "second" and len(target):
            ax.scatter(target["params"], target["tokens"], marker="x", s=36, color="black", zorder=5)
        drawing.title(ax, f"{name}: {len(runs)} runs")
    for ax in axes:
        ax.set_xlim(7e3, 2e7)
        ax.set_ylim(1.5e6, 3e8)
        drawing.count_axis(ax, "x", "parameters N")
        drawing.count_axis(ax, "y", "bytes D" if ax is axes[0] else "")
    keys = [
        drawing.key("one seed", color=drawing.MUTED, linestyle="none", marker="o", markersize=4),
        drawing.key("three seeds", color=drawing.MUTED, linestyle="none", marker="D", markersize=6),
        drawing.key("forecast", color=drawing.CYCLE[1], linestyle="none", marker="*", markersize=9),
    ]
    if len(tables["runs"].where(sweep="target")):
        keys.append(drawing.key("trained afterwards", color="black", linestyle="none", marker="x", markersize=6))
    drawing.legend_above(figure, keys)
    return figure


def seeds(tables: Tables) -> Figure:
    """Draw how far seeds of one cell lie from their mean, and the residuals of the fit, by budget."""
    figure, (axes,) = drawing.panels(1, 2, (8.6, 3.6), sharey=True)
    offsets = {"first": 0.94, "second": 1.07}
    for (sweep, name), color in zip(SWEEP_NAMES.items(), (drawing.MUTED, drawing.CYCLE[0]), strict=True):
        runs = tables["runs"].where(sweep=sweep)
        pure = tables["lack_of_fit"].one(sweep=sweep)["pure_error"]
        for (_, _), cell in runs.groups("params", "tokens"):
            if len(cell) > 1:
                away = cell["loss"] - cell["loss"].mean()
                axes[0].scatter(cell["budget"] * offsets[sweep], away, s=20, color=color, alpha=0.8, zorder=3)
        axes[1].scatter(runs["budget"] * offsets[sweep], runs["residual"], s=16, color=color, alpha=0.8, zorder=3)
        axes[0].axhspan(-pure, pure, color=color, alpha=0.1, zorder=1)
        axes[0].plot([], [], "o", color=color, markersize=5, label=f"{name}: {pure:.3f} nats")
    drawing.title(axes[0], "Seeds about the mean of their cell")
    drawing.title(axes[1], "Runs about the VPNLS fit")
    for ax in axes:
        ax.set_xlim(8e11, 5e14)
        drawing.zero_line(ax)
        drawing.flops_axis(ax, most=4)
        drawing.labels(ax, "planned budget (FLOPs)", "difference in loss (nats per byte)" if ax is axes[0] else "")
    handles, _ = axes[0].get_legend_handles_labels()
    drawing.legend_above(figure, handles, columns=2)
    return figure


def transition(tables: Tables) -> Figure:
    """Draw the IsoFLOP curves of both sweeps beside each other."""
    figure, (axes,) = drawing.panels(1, 2, (8.8, 3.9), sharey=True)
    for ax, (sweep, name) in zip(axes, SWEEP_NAMES.items(), strict=True):
        _isoflops(ax, tables, sweep, fitted=False)
        drawing.title(ax, name)
        ax.set_xlim(7e3, 1.6e7)
        drawing.count_axis(ax, "x", "parameters N", most=5)
        drawing.labels(ax, "parameters N", "loss (nats per byte)" if ax is axes[0] else "")
    joined = drawing.key("seeds of one cell", color=drawing.MUTED, linewidth=2.2, alpha=0.6)
    drawing.legend_above(figure, [*_head_keys(tables["runs"]), joined])
    return figure


def forecast(tables: Tables) -> Figure:
    """Draw each method's forecast of the loss and of N* with its interval, and what came."""
    figure, (axes,) = drawing.panels(1, 2, (8.6, 3.0), sharey=True)
    made, fits = tables["forecasts"].where(of="optimum"), tables["fits"].where(sweep="second")
    target = tables["runs"].where(sweep="target")
    places = {method: -i for i, method in enumerate(fits.values("method"))}
    for row in made.rows():
        style = {"color": LIGHT.method(row["method"]), "linewidth": 2.2}
        y = places[row["method"]]
        axes[0].plot([row["low"], row["high"]], [y, y], **style)
        axes[0].plot(row["loss"], y, "o", color=style["color"], markersize=7)
    for row in fits.rows():
        style = {"color": LIGHT.method(row["method"]), "linewidth": 2.2}
        y = places[row["method"]]
        axes[1].plot([row["params_low"], row["params_high"]], [y, y], **style)
        axes[1].plot(row["params"], y, "o", color=style["color"], markersize=7)
    axes[0].set_yticks(list(places.values()), list(places))
    axes[0].set_ylim(-len(places) + 0.4, 0.6)
    if len(target):
        best = int(np.argmin(target["loss"]))
        axes[0].axvline(target["loss"][best], color="black", linewidth=1.2)
        axes[0].scatter(target["loss"], np.full(len(target), 0.45), marker="|", s=60, color="black")
        for i, N in enumerate(target["params"]):
            axes[1].axvline(
                N, color="black", linewidth=1.4 if i == best else 0.7, linestyle="-" if i == best else (0, (3, 3))
            )
    drawing.title(
        axes[0], f"Loss: best run came at {target['loss'].min():.3f}" if len(target) else "Loss: not trained yet"
    )
    drawing.labels(axes[0], "loss at 1.25e15 FLOPs, 90% prediction (nats per byte)")
    said = (
        f"Size: best of {len(target)} trained has {format_count(target['params'][best])}"
        if len(target)
        else "Best size N*"
    )
    drawing.title(axes[1], said)
    axes[1].set_xlim(6e5, 8e6)
    drawing.count_axis(axes[1], "x", "N* at 1.25e15 FLOPs, 90% interval")
    return figure


def draw(tables: Tables) -> dict[str, Figure]:
    """The curves with their seeds, the plan, the seeds' spread, the two sweeps, and the forecasts."""
    return {
        "tinysweep": curves(tables),
        "plan": plan(tables),
        "seeds": seeds(tables),
        "transition": transition(tables),
        "forecast": forecast(tables),
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
    findings=findings,
)
