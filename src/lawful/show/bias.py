"""A bias forecast as a JSON document and as terminal tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lawful.approach2.bias import PARTS, Bias, ErrorLines, Parts, bias, correct_isoflop
from lawful.approach2.pairs import ImpliedBias
from lawful.core.cost import Cost
from lawful.errors import IdentificationError, LawfulError
from lawful.estimate.result import Fit, FrontierFit
from lawful.show.files.document import strict

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lawful.analysis.analysis import Analysis

BIAS_SCHEMA = "lawful.bias/1"
PAIRS_SCHEMA = "lawful.bias-pairs/1"
QUANTITIES = ("params", "tokens")

UNSEEN = 1e-6
"""Decades that two decimals of a percent do not show."""

EXPONENT_OF = {"params": "a", "tokens": "b"}
INTERCEPT_OF = {"params": "log10_a0", "tokens": "log10_b0"}


def corrected_or_reason(isoflop: FrontierFit | None, fit: Fit) -> tuple[FrontierFit | None, str | None]:
    """Approach 2 without its bias, or the sentence that says why there is none."""
    if isoflop is None:
        return None, "Approach 2 cannot run on these runs."
    try:
        surface = fit.surface.as_two_powers("The bias of Approach 2")
        return correct_isoflop(isoflop, surface["alpha"], surface["beta"]), None
    except LawfulError as error:
        return None, str(error)


def bias_document(
    found: Bias, *, isoflop: FrontierFit | None = None, fit: Fit | None = None, targets: Sequence[float] = ()
) -> dict[str, Any]:
    """
    Return a forecast as JSON types: shifts in decades, errors as fractions.

    Parameters
    ----------
    found : Bias
    isoflop : FrontierFit, optional
        Approach 2 on the same runs.
    fit : Fit, optional
        Surface whose exponents correct it.
    targets : sequence of float
        Budgets in FLOPs to carry the error to.

    Examples
    --------
    >>> truth = lawful.study_surface("chinchilla")
    >>> plan = lawful.plan_isoflop([1e18, 1e19, 1e20], 15, surface=truth, width=16)
    >>> document = bias_document(lawful.bias(truth, plan), targets=[1e24])
    >>> document["schema"], f"{document['targets'][0]['tokens']['error']:.4f}"
    ('lawful.bias/1', '-0.0510')
    """
    corrected, reason = (None, None) if fit is None else corrected_or_reason(isoflop, fit)
    curves = {quantity: found.lines(quantity) for quantity in QUANTITIES}
    best = found.surface.optimum(found.budgets)
    document: dict[str, Any] = strict(
        {
            "schema": BIAS_SCHEMA,
            "alpha": found.surface["alpha"],
            "beta": found.surface["beta"],
            "budgets": [
                {
                    "budget": float(budget),
                    "centre": float(found.centre[i]),
                    **{q: {"optimum": float(getattr(best, q)[i]), **_split(getattr(found, q), i)} for q in QUANTITIES},
                }
                for i, budget in enumerate(found.budgets)
            ],
            "exponents": {
                EXPONENT_OF[q]: {
                    "surface": exponent,
                    **{p: curves[q].slope(p) for p in PARTS},
                    "total": curves[q].slope(),
                }
                for q, exponent in zip(QUANTITIES, found.surface.exponents, strict=True)
            },
            "intercepts": {
                INTERCEPT_OF[q]: {**{p: curves[q].intercept(p) for p in PARTS}, "total": curves[q].intercept()}
                for q in QUANTITIES
            },
            "targets": [_target(found, curves, budget, isoflop, corrected) for budget in targets],
            "corrected": None if corrected is None else corrected.frontier.to_dict(),
            "reason": reason,
            "convention": found.surface.cost.convention,
        }
    )
    return document


def _split(parts: Parts, i: int) -> dict[str, float]:
    return {**{name: float(getattr(parts, name)[i]) for name in PARTS}, "total": float(parts.total[i])}


def _target(
    found: Bias,
    curves: dict[str, ErrorLines],
    budget: float,
    isoflop: FrontierFit | None,
    corrected: FrontierFit | None,
) -> dict[str, Any]:
    best = found.surface.optimum(budget)
    row: dict[str, Any] = {"budget": budget}
    for quantity in QUANTITIES:
        row[quantity] = {
            "surface": float(getattr(best, quantity)),
            "approach2": _at(isoflop, quantity, budget),
            "corrected": _at(corrected, quantity, budget),
            "error": found.error(quantity, budget),
            "decades": {p: curves[quantity].at(budget, p) for p in PARTS},
        }
    tokens = float(best.tokens) * (1 + found.error("tokens", budget))
    flops = float(found.surface.deadweight(budget, tokens))
    cost = Cost()
    dollars = {"dense": float(cost.dollars(flops)), "sparse": float(cost.at_rate("sparse").dollars(flops))}
    return {**row, "deadweight": {"flops": flops, "fraction": flops / budget, "dollars": dollars}}


def _at(source: FrontierFit | None, quantity: str, budget: float) -> float | None:
    return None if source is None else float(getattr(source.frontier, quantity)(budget))


def bias_parts(
    found: Bias, *, isoflop: FrontierFit | None = None, fit: Fit | None = None, targets: Sequence[float] = ()
) -> list[RenderableType]:
    """Return a forecast as terminal tables: per budget, then per target."""
    from rich.text import Text

    from lawful.core.numbers import format_count, format_flops, format_percent, format_scientific
    from lawful.show.tables import NOTHING, text_table

    corrected, reason = (None, None) if fit is None else corrected_or_reason(isoflop, fit)
    surface = found.surface
    best, n, d = surface.optimum(found.budgets), found.lines("params"), found.lines("tokens")
    shown = [p for p in PARTS if p != "scatter" or np.abs(found.params.scatter).max() > UNSEEN]
    rows = [
        [
            format_scientific(float(budget)),
            format_count(float(best.params[i])),
            f"{10.0 ** found.centre[i]:.2f}",
            *(signed(getattr(found.params, p)[i]) for p in shown),
            signed(found.params.total[i]),
            signed(found.tokens.total[i]),
        ]
        for i, budget in enumerate(found.budgets)
    ]
    parts: list[RenderableType] = [
        Text(
            f"What Approach 2 must get wrong on these sizes, without any noise, if alpha = {surface['alpha']:.4g} and "
            f"beta = {surface['beta']:.4g}:"
        ),
        text_table(["FLOPs", "N*", "centre", *shown, "N* error", "D* error"], rows),
        Text(f"centre: of the sizes, over N*. Exponents: a {n.slope():+.4f}, b {d.slope():+.4f}."),
    ]
    chosen, causes = [], []
    for target in targets:
        at = surface.optimum(target)
        for quantity, label in zip(QUANTITIES, ("N*", "D*"), strict=True):
            lines, name = found.lines(quantity), f"{label} at {format_scientific(target)}"
            told = [_at(s, quantity, target) for s in (isoflop, corrected)]
            cells = [NOTHING if value is None else format_count(value) for value in told]
            chosen.append([name, format_count(float(getattr(at, quantity))), *cells, signed(lines.at(target))])
            causes.append([name, *(signed(lines.at(target, p)) for p in shown), signed(lines.at(target))])
    if chosen:
        parts += ["", text_table(["", "surface", "approach2", "corrected", "bias"], chosen)]
        parts += ["", text_table(["cause of the bias", *shown, "in all"], causes)]
    for target in targets:
        tokens = float(surface.optimum(target).tokens) * (1 + found.error("tokens", target))
        lost = float(surface.deadweight(target, tokens))
        said = f"{format_flops(lost)} lost ({format_percent(lost / target)})"
        parts.append(Text(f"Cost of the bias alone at {format_flops(target)}: {said}."))
    return parts if reason is None else [*parts, Text(f"No correction: {reason}")]


def signed(decades: float) -> str:
    """Write a shift in decades as a relative error."""
    error = 100 * (10.0 ** float(decades) - 1)
    return "0" if abs(error) < 5e-4 else f"{error:+.2f}%"


def pairs_document(rows: Sequence[ImpliedBias], *, width: float, total: float) -> dict[str, Any]:
    """Return the bias that published exponents imply as JSON types."""
    listed = [
        {
            "source": row.pair.source,
            "domain": row.pair.domain,
            "method": row.pair.method,
            "a": row.pair.a,
            "b": row.pair.b,
            "ratio": row.pair.ratio,
            "alpha": row.alpha,
            "beta": row.beta,
            "params_error": row.params_error,
            "tokens_error": row.tokens_error,
        }
        for row in rows
    ]
    document: dict[str, Any] = strict({"schema": PAIRS_SCHEMA, "width": width, "sum": total, "pairs": listed})
    return document


def pairs_parts(rows: Sequence[ImpliedBias], *, width: float, total: float) -> list[RenderableType]:
    """Return the same as a terminal table."""
    from rich.text import Text

    from lawful.show.tables import text_table

    listed = [
        [
            row.pair.source,
            row.pair.method,
            f"{row.pair.ratio:.2f}",
            f"{row.params_error:+.1%}",
            f"{row.tokens_error:+.1%}",
        ]
        for row in rows
    ]
    return [
        Text(f"Bias of Approach 2 on a centred ±{width:g}× sweep of 15 sizes, alpha + beta = {total:g} assumed:"),
        text_table(["published frontier", "method", "beta/alpha", "N*", "D*"], listed),
    ]


def forecast_of(fit: Fit | FrontierFit) -> Bias:
    """
    Forecast the bias on the runs of a fit.

    Raises
    ------
    IdentificationError
        If the fit has no surface to take for the truth.
    UnsupportedError
        If its law is not of Chinchilla's form.
    """
    if fit.surface is None:
        msg = f"{fit.method} fits no surface, so it cannot say what is true; fit with vpnls or approach3."
        raise IdentificationError(msg)
    return bias(fit)


def bias_sentences(analysis: Analysis) -> list[str]:
    """
    Say for a report what Approach 2 must get wrong on these sizes, and what is left of it without that.

    Empty where the law is not of Chinchilla's form, or Approach 2 cannot run.

    Examples
    --------
    >>> truth = lawful.study_surface("asymmetric")
    >>> runs = lawful.simulate(truth, lawful.plan_isoflop([1e18, 1e19, 1e20], surface=truth))
    >>> print(bias_sentences(lawful.analyse(runs, budgets=[1e23], draws=0))[0])
    At 1e23 FLOPs it must misplace N* by +16.16% and D* by -13.91%; of D*, width -13.91%, offset 0, drift 0.
    """
    from lawful.core.numbers import format_count, format_flops

    fit, isoflop = analysis.fit, analysis.isoflop
    if fit.surface is None or isoflop is None or not fit.surface.law.two_powers:
        return []
    try:
        found = bias(fit)
    except LawfulError:
        return []
    n, d = found.lines("params"), found.lines("tokens")
    said = []
    corrected, reason = corrected_or_reason(isoflop, fit)
    for one in analysis.allocations:
        c = one.budget
        causes = ", ".join(f"{part} {signed(d.at(c, part))}" for part in PARTS[:3])
        errors = f"N* by {signed(n.at(c))} and D* by {signed(d.at(c))}"
        said.append(f"At {format_flops(c)} it must misplace {errors}; of D*, {causes}.")
        if corrected is not None:
            line = corrected.frontier
            sizes = f"{format_count(float(line.params(c)))} parameters on {format_count(float(line.tokens(c)))} tokens"
            rest = "what still differs from the surface is noise or a wrong law, not bias"
            said.append(f"With that bias removed Approach 2 asks for {sizes}; {rest}.")
    if not said:
        said.append(f"It must misread the exponents a by {n.slope():+.4f} and b by {d.slope():+.4f}.")
    return said if reason is None else [*said, f"The bias could not be removed: {reason}"]
