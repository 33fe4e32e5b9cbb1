"""A bias forecast as a JSON document and as sheets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lawful.approach2.bias import PARTS, Bias, ErrorLines, Shift, bias, correct_isoflop, relative
from lawful.approach2.pairs import ImpliedBias
from lawful.core.cost import Cost
from lawful.core.numbers import format_count, format_flops, format_percent, format_short
from lawful.core.sheet import Cell, Sheet, row
from lawful.errors import IdentificationError, LawfulError
from lawful.estimate.result import Fit, FrontierFit
from lawful.show.files.document import strict

if TYPE_CHECKING:
    from lawful.analysis.analysis import Analysis

BIAS_SCHEMA = "lawful.bias/1"
PAIRS_SCHEMA = "lawful.bias-pairs/1"
QUANTITIES = ("params", "tokens")

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
    >>> truth = lawful.Surface.named("chinchilla")
    >>> plan = lawful.Plan.isoflop([1e18, 1e19, 1e20], 15, surface=truth, width=16)
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


def _split(parts: Shift, i: int) -> dict[str, float]:
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


def bias_sheets(
    found: Bias, *, isoflop: FrontierFit | None = None, fit: Fit | None = None, targets: Sequence[float] = ()
) -> list[Sheet]:
    """Return a forecast per budget, then per target: what each would choose, the causes and the cost of the bias."""
    corrected, reason = (None, None) if fit is None else corrected_or_reason(isoflop, fit)
    sheets, surface = list(found.sheets()), found.surface
    chosen, causes, costs = [], [], []
    for target in targets:
        at = surface.optimum(target)
        for name, label in zip(QUANTITIES, ("N*", "D*"), strict=True):
            lines, place = found.lines(name), f"{label} at {format_flops(target)}"
            told = [float(getattr(at, name)), *(_at(source, name, target) for source in (isoflop, corrected))]
            chosen.append(row(place, *(Cell(value, "count") for value in told), relative(lines.at(target))))
            parts = (relative(lines.at(target, cause)) for cause in found.causes)
            causes.append(row(place, *parts, relative(lines.at(target))))
        tokens = float(at.tokens) * (1 + found.error("tokens", target))
        lost = float(surface.deadweight(target, tokens))
        said = f"{format_flops(lost)} lost ({format_percent(lost / target)})"
        costs.append(f"Cost of the bias alone at {format_flops(target)}: {said}.")
    closing = tuple(costs) if reason is None else (*costs, f"No correction: {reason}")
    if targets:
        heads = ("", "surface", "approach2", "corrected", "bias")
        sheets.append(Sheet("Choices at the targets.", (), heads, tuple(chosen)))
        sheets.append(Sheet("Causes.", (), ("cause of the bias", *found.causes, "in all"), tuple(causes), "", closing))
    elif closing:
        sheets.append(Sheet(closing[0]))
    return sheets


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


def pairs_sheet(rows: Sequence[ImpliedBias], *, width: float, total: float) -> Sheet:
    """Return the same in a table."""
    listed = tuple(
        row(
            one.pair.source,
            one.pair.method,
            Cell(one.pair.ratio, "ratio"),
            Cell(one.params_error, "change"),
            Cell(one.tokens_error, "change"),
        )
        for one in rows
    )
    sweep = f"a centred ±{format_short(width)}× sweep of 15 sizes"
    title = f"Bias of Approach 2 on {sweep}, alpha + beta = {format_short(total)} assumed."
    return Sheet(title, (), ("published frontier", "method", "beta/alpha", "N*", "D*"), listed)


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
    >>> truth = lawful.Surface.named("asymmetric")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], surface=truth))
    >>> print(bias_sentences(lawful.analyse(runs, budgets=[1e23], draws=0))[0])
    At 1e23 FLOPs it must misplace N* by +16.16% and D* by -13.91%; of D*, width -13.91%, offset 0%, drift 0%.
    """
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
        causes = ", ".join(f"{part} {relative(d.at(c, part)).text}" for part in found.causes)
        errors = f"N* by {relative(n.at(c)).text} and D* by {relative(d.at(c)).text}"
        said.append(f"At {format_flops(c)} it must misplace {errors}; of D*, {causes}.")
        if corrected is not None:
            line = corrected.frontier
            sizes = f"{format_count(float(line.params(c)))} parameters on {format_count(float(line.tokens(c)))} tokens"
            rest = "what still differs from the surface is noise or a wrong law, not bias"
            said.append(f"With that bias removed Approach 2 asks for {sizes}; {rest}.")
    if not said:
        said.append(f"It must misread the exponents a by {n.slope():+.4f} and b by {d.slope():+.4f}.")
    return said if reason is None else [*said, f"The bias could not be removed: {reason}"]
