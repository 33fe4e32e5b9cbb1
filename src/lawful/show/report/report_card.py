"""The reproducibility card: what someone else needs to get the same numbers, and what only the authors know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version

import numpy as np

from lawful.analysis.analysis import Analysis
from lawful.core.notes import NOTE_CODES
from lawful.core.numbers import format_level, format_scientific, format_short, format_value
from lawful.estimate.result import METHOD_TITLES, Fit
from lawful.show.report.report_words import Fact

EXACT_DIGITS = 9
"""Significant digits of the numbers that others compute with."""


def card_facts(analysis: Analysis) -> list[Fact]:
    """Return what someone else needs to get the same numbers."""
    from lawful import __version__  # at module level this would be a circle

    fit, draws = analysis.fit, analysis.draws
    facts = [Fact("Method", f"{fit.method}, {METHOD_TITLES[fit.method]}")]
    if fit.surface is not None:
        objective, solver = fit.objective, type(fit.solver).__name__
        facts += [
            Fact("Law", fit.surface.law.formula),
            Fact("Coefficients", _digits(fit.surface.coefficients)),
            Fact("Objective", f"{objective.name}, {format_scientific(fit.value, 7)} per run (weighted mean)"),
            Fact("Delta", "none" if objective.width is None else f"{format_short(objective.width)}"),
            Fact("Residual sum of squares", format_scientific(fit.rss, 5)),
            Fact(
                "Solver",
                f"{solver}, up to {fit.solver.max_iter} iterations, tolerance {format_short(fit.solver.tolerance)}",
            ),
            Fact("Starts", _starts(fit)),
            Fact("Bounds", _bounds(fit)),
        ]
        if fit.fixed:
            facts.append(
                Fact("Held fixed", ", ".join(f"{name} = {format_short(value)}" for name, value in fit.fixed.items()))
            )
    facts += [Fact("Frontier", _digits(fit.frontier.to_dict())), Fact("Status", fit.status.key)]
    if draws is None:
        if analysis.sure is None:
            facts.append(Fact("Bootstrap", "none drawn"))
        else:
            facts.append(Fact("Intervals", f"{analysis.sure.kind}, {format_level(analysis.level)}"))
    else:
        failed = f", {draws.failed} of them failed" if draws.failed else ""
        facts += [
            Fact("Bootstrap", f"{len(draws)} draws, scheme {draws.scheme}{failed}"),
            Fact("Seed", str(draws.seed)),
            Fact("Intervals", f"percentile, {format_level(analysis.level)}"),
        ]
    cost = fit.cost
    return [
        *facts,
        Fact("Data, SHA-256", fit.runs.sha256),
        Fact("Convention", f"{cost.convention}, N and D as counted, loss in nats per token"),
        Fact("Versions", f"lawful {__version__}, NumPy {np.__version__}, SciPy {version('scipy')}"),
    ]


def _digits(values: Mapping[str, float]) -> str:
    """Write numbers with enough digits to compute with."""
    return ", ".join(f"{name} = {format_value(value, EXACT_DIGITS)}" for name, value in values.items())


def _starts(fit: Fit) -> str:
    """Say from where the search began."""
    return f"up to {fit.solver.starts} local minima of a grid of exponents, the best coefficients at each"


def _bounds(fit: Fit) -> str:
    """Write the box that the coefficients were searched in."""
    box = {**fit.surface.law.bounds, **getattr(fit.solver, "bounds", {})}
    return ", ".join(
        f"{name} ≥ {format_short(low)}" if np.isinf(high) else f"{name} in [{format_short(low)}, {format_short(high)}]"
        for name, (low, high) in box.items()
    )


NOT_STATED = "not stated"

UNSTATED = (
    "Architecture and shapes",
    "Parameters counted (embeddings?)",
    "Training data and tokenizer",
    "Epochs",
    "Optimizer and schedule",
    "Batch size and learning rate, and how tuned",
    "Loss: training or held out, smoothing",
)
"""What the survey of Li et al. (2025) asks of a paper and no table of runs can tell: authors fill it in."""


def unstated_facts() -> list[Fact]:
    """Return the questions about training that only the authors can answer."""
    return [Fact(name, NOT_STATED) for name in UNSTATED]


def card_text(title: str, facts: Sequence[Fact]) -> str:
    """
    Return a card as plain text, one line per fact, as the copy button copies it.

    Examples
    --------
    >>> print(card_text("A sweep", [Fact("Law", "chinchilla")]), end="")
    A sweep
    Law: chinchilla
    """
    return "".join(f"{line}\n" for line in (title, *(f"{fact.name}: {fact.value}" for fact in facts)))


def bibtex() -> str:
    """
    Return the references of a report as BibTeX: this software, the law, and the bias of Approach 2.

    Examples
    --------
    >>> [line.split("{")[1] for line in bibtex().splitlines() if line.startswith("@")]
    ['lawful,', 'hoffmann2022training,', 'czech2026problems,', 'li2025misfitting,']
    """
    from lawful import __version__  # at module level this would be a circle

    return (
        "@software{lawful,\n"
        "  title = {lawful: fit neural scaling laws carefully},\n"
        f"  version = {{{__version__}}},\n"
        "  year = {2026}\n"
        "}\n"
        "@article{hoffmann2022training,\n"
        "  title = {Training Compute-Optimal Large Language Models},\n"
        "  author = {Hoffmann, Jordan and Borgeaud, Sebastian and Mensch, Arthur and others},\n"
        "  journal = {arXiv preprint arXiv:2203.15556},\n"
        "  year = {2022}\n"
        "}\n"
        "@article{czech2026problems,\n"
        "  title = {Problems with {Chinchilla} Approach 2: Systematic Biases in {IsoFLOP} Parabola Fits},\n"
        "  author = {Czech, Eric and Xu, Zhiwei and Elmatad, Yael and Wang, Yixin and Held, William},\n"
        "  journal = {arXiv preprint arXiv:2603.22339},\n"
        "  year = {2026}\n"
        "}\n"
        "@inproceedings{li2025misfitting,\n"
        "  title = {(Mis)Fitting: A Survey of Scaling Laws},\n"
        "  author = {Li, Margaret and Kudugunta, Sneha and Zettlemoyer, Luke},\n"
        "  booktitle = {International Conference on Learning Representations},\n"
        "  note = {arXiv:2502.18969},\n"
        "  year = {2025}\n"
        "}\n"
    )


def note_rows(analysis: Analysis) -> list[tuple[str, str, str]]:
    """Return message, general meaning and code of every note."""
    return [(note.message, NOTE_CODES[note.code], note.code) for note in analysis.notes]
