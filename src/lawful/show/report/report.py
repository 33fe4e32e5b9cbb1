"""One self-contained HTML page about one analysis: the decision first, then everything it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np

from lawful.analysis.analysis import Analysis
from lawful.analysis.evidence import Evidence, gather
from lawful.approach2.bias import Bias
from lawful.core.notes import Status, Verdict
from lawful.core.numbers import format_flops, format_level
from lawful.core.render import page_rows
from lawful.core.typing import Columns
from lawful.data.runs import Runs
from lawful.decide.indifference import Indifference
from lawful.estimate.result import METHOD_TITLES
from lawful.show.bias import bias_sentences
from lawful.show.figures.palette import DARK, LIGHT, METHOD_LABELS
from lawful.show.report.card import decision_card, verdict_chip
from lawful.show.report.decision import decision_sentences
from lawful.show.report.embedded import asset, library, page_json, policy
from lawful.show.report.pictures import (
    budget_colours,
    embedded_tables,
    page_colours,
    pictures_of,
    report_tables,
    shares_error,
)
from lawful.show.report.words import (
    bias_sheet,
    bibtex,
    bought_sheet,
    card_facts,
    card_text,
    check_facts,
    coefficient_sheet,
    data_facts,
    dial_sentence,
    method_sheet,
    note_rows,
    record_sheet,
    target_sheets,
    unstated_facts,
    valley_sentence,
)
from lawful.trust.dial import AsymptoteDial


def report_html(
    analysis: Analysis,
    *,
    title: str | None = None,
    evidence: Evidence | None = None,
    tables: Mapping[str, Columns] | None = None,
    flagged: Mapping[str, Any] | None = None,
    compared: bool = False,
) -> str:
    """
    Return a report of an analysis as one self-contained HTML page.

    The page needs no network, reads on a phone, on paper and in the dark, and
    the same analysis gives the same bytes. Its figures answer to the pointer where
    scripts run, and are plain drawings where they do not, and on paper.

    Parameters
    ----------
    analysis : Analysis
        A fit with what it implies, by any method; with or without budgets and draws.
    title : str, optional
        Heading; names the source of the runs by default.
    evidence : Evidence, optional
        What the report rests on besides; gathered here by default.
    tables : mapping of str to table, optional
        The tables of the evidence, if they were made already.
    flagged : mapping of str to Any, optional
        What a check left out before the fit, for a fit that was saved.
    compared : bool
        Whether the page is about the methods side by side: their tables and held-out records come right after the card.

    Returns
    -------
    str
        HTML. Every name that comes from the user's data is escaped.

    Examples
    --------
    >>> truth = lawful.Surface.named("besiroglu")
    >>> plan = lawful.Plan.isoflop([1e18, 1e19, 1e20], surface=truth)
    >>> analysis = lawful.analyse(lawful.simulate(truth, plan, noise=0.01), budgets=[1e22], draws=0)
    >>> page = report_html(analysis, title="A sweep & its law")
    >>> page[:15], "A sweep &amp; its law" in page
    ('<!doctype html>', True)
    """
    evidence = evidence or gather(analysis)
    tables = report_tables(evidence) if tables is None else tables
    fit = analysis.fit
    heading = title or (_heading(fit.runs, "Four methods on") if compared else _heading(fit.runs))
    card_of = decision_card(evidence)
    card, unstated = card_facts(analysis), unstated_facts()
    light, dark = budget_colours(analysis)
    return page_html(
        "report.html.j2",
        title=heading,
        pictures=pictures_of(evidence),
        data=page_data(tables, colours=len(light), level=format_level(analysis.level)),
        budgets=(light, dark),
        decision=decision_sentences(analysis, beside=card_of is not None),
        decision_card=card_of,
        compared=compared,
        method=METHOD_TITLES[fit.method],
        status=fit.status.value if fit.surface is not None or fit.status is not Status.CONVERGED else "",
        facts=[*data_facts(analysis), *check_facts(evidence, flagged)],
        formula=fit.surface.law.formula if fit.surface is not None else None,
        methods=method_sheet(evidence),
        targets=target_sheets(evidence),
        backtest=record_sheet(evidence),
        influence=evidence.influence if isinstance(evidence.influence, str) else evidence.influence.sheets()[0],
        coefficients=coefficient_sheet(analysis),
        allocations=bought_sheet(analysis.allocations),
        verdict=None if analysis.verdict is Verdict.SUPPORTED else verdict_chip(analysis.verdict),
        is_told=any(np.isfinite(one.params) for one in analysis.allocations),
        is_priced=any(one.deadweight is not None and not one.deadweight.as_good for one in analysis.allocations),
        dial=dial_sentence(evidence.dial, shared=shares_error(analysis))
        if isinstance(evidence.dial, AsymptoteDial)
        else evidence.dial,
        valley=valley_sentence(evidence.region) if isinstance(evidence.region, Indifference) else evidence.region,
        target=format_flops(evidence.target),
        is_asked=evidence.is_asked,
        bias=bias_sentences(analysis) if isinstance(evidence.bias, Bias) else evidence.bias,
        bias_sheet=bias_sheet(evidence),
        level=format_level(analysis.level),
        has_draws=analysis.sure is not None,
        notes=note_rows(analysis),
        card=card,
        unstated=unstated,
        card_text=card_text(heading, [*card, *unstated]),
        bibtex=bibtex(),
    )


def _heading(runs: Runs, what: str = "Scaling law of") -> str:
    """Name the table and what was chosen of it."""
    chosen = "".join(f", {column} {value}" for column, value in runs.selection.items())
    return f"{what} {PurePath(runs.source).name or runs.source}{chosen}"


def page_data(tables: Mapping[str, Columns], **settings: Any) -> str:
    """Return what the scripts of a page draw from, as JSON that HTML cannot misread."""
    return page_json({"tables": embedded_tables(tables), "labels": METHOD_LABELS, **settings})


def page_html(template: str, *, budgets: tuple[list[str], list[str]] = ([], []), **values: Any) -> str:
    """
    Return a page made from a template, with the colours, scripts and data that pages of this kind carry.

    Parameters
    ----------
    template : str
        Its name in ``show/templates``.
    budgets : pair of list of str
        A colour per training budget, for light and for dark.
    **values : Any
        What the template names.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("lawful.show", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["rows"] = page_rows
    colours = [
        {**page_colours(palette), **{f"budget-{i}": colour for i, colour in enumerate(scheme)}}
        for palette, scheme in zip((LIGHT, DARK), budgets, strict=True)
    ]
    scripts = [library(), *(asset(name) for name in ("numbers.js", "keys.js", "figures.js", "report.js"))]
    page = environment.get_template(template).render(
        colours=colours, scripts=scripts, chips=asset("chips.css"), policy=policy(*scripts), **values
    )
    return page.rstrip() + "\n"
