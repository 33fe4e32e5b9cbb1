"""What study 22 found, in sentences made of its tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lawful.core.numbers import format_count, format_scientific
from lawful.studies.study import Tables
from lawful.studies.tinysweep import TARGET

REFUSED = 0.05


def tinysweep_findings(tables: Tables) -> list[str]:
    """Say what the sweep supports, what the forecasts were, and how they came out."""
    found = [_support(tables), _spread(tables), _lack(tables), _choices(tables)]
    return [*found, *_forecasts(tables), *_sizes(tables), *_tuning(tables), *_again(tables)]


def _support(tables: Tables) -> str:
    fit = tables["fits"].one(sweep="second", method="vpnls")
    test = tables["lack_of_fit"].one(sweep="second")
    factor = fit["params_high"] / fit["params_low"]
    return (
        f"Seeds of one cell differ by {test['pure_error']:.3f} nats (standard deviation), and {_count(tables)} runs "
        f"then support N* at {format_scientific(TARGET)} FLOPs only within a factor of {factor:.1f} "
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
    return f"N* at {format_scientific(TARGET)} FLOPs: {sizes}{more}."


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
