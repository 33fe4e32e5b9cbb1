"""The reference of the Python names: which page each stands on. The text itself comes from the docstrings."""
# ruff: noqa: INP001 - scripts of the documentation, no package

from __future__ import annotations

import inspect
from dataclasses import dataclass

from roles import plain

import lawful


@dataclass(frozen=True)
class Topic:
    """A page of the reference: its file, its title, a sentence, and the modules whose public names it holds."""

    stem: str
    title: str
    sentence: str
    modules: tuple[str, ...]


TOPICS = (
    Topic(
        "runs",
        "Runs",
        "From a file, a table or a published set to validated, checked runs.",
        ("data.", "sources.", "checks."),
    ),
    Topic("laws", "Laws", "Forms of the loss, and surfaces: a law with its numbers.", ("laws.",)),
    Topic(
        "fit",
        "Fit",
        "From runs to a law: solvers, objectives, statuses and notes.",
        ("estimate.", "core.objective", "core.notes", "analysis.", "forecasting.audit", "forecasting.prior"),
    ),
    Topic(
        "intervals",
        "Intervals",
        "How sure: draws, profiles, linearisation, and whether they hold.",
        ("uncertainty.",),
    ),
    Topic(
        "decisions",
        "Decide",
        "What to train, what another choice costs, what Approach 2 gets wrong.",
        ("core.cost", "core.hardware", "decide.", "approach2."),
    ),
    Topic(
        "plans",
        "Plan and simulate",
        "Runs that do not exist yet: plans, simulations, forecasts.",
        ("design.", "forecasting."),
    ),
    Topic(
        "conventions",
        "Conventions",
        "What N and C count, and what that does to the answer.",
        ("counting.",),
    ),
    Topic("show", "Show and keep", "Figures, files and pages.", ("show.",)),
    Topic("errors", "Errors", "What is raised where there is no number to give.", ("errors",)),
)
REST = Topic("more", "More", "What belongs to no topic yet.", ("",))


def topic_of(module: str) -> Topic:
    """Return the topic whose longest prefix a module starts with."""
    inside = module.removeprefix("lawful.")
    found = [(len(m), t) for t in (*TOPICS, REST) for m in t.modules if inside.startswith(m)]
    return max(found, key=lambda pair: pair[0])[1]


def names_by_topic() -> dict[Topic, list[str]]:
    """Group every public name; topics without names are left out."""
    groups: dict[Topic, list[str]] = {topic: [] for topic in (*TOPICS, REST)}
    for name in lawful.__all__:
        if name != "__version__":
            groups[topic_of(lawful._HOME[name])].append(name)  # noqa: SLF001 - the one table of public names
    # Verbs before nouns: a reader comes with something to do.
    return {t: sorted(names, key=lambda n: (n[0].isupper(), n.lower())) for t, names in groups.items() if names}


def api_pages() -> dict[str, str]:
    """Return every page of the reference, by its place in the site."""
    groups = names_by_topic()
    pages = {"api/index.md": _index(groups)}
    for topic, names in groups.items():
        entries = "\n".join(f"::: lawful.{name}\n" for name in names)
        pages[f"api/{topic.stem}.md"] = f"# {topic.title}\n\n{topic.sentence}\n\n{entries}"
    return pages


def _index(groups: dict[Topic, list[str]]) -> str:
    lines = [
        "---",
        "title: Python",
        "description: Every public name of lawful, by topic.",
        "---",
        "",
        "# Python",
        "",
        "`import lawful` gives every name below, each loaded when it is first used, and `lawful.__version__`.",
        "Verbs are functions, nouns are frozen records, and nothing is mutated.",
        "",
    ]
    for topic, names in groups.items():
        lines += [f"## [{topic.title}]({topic.stem}.md)", "", topic.sentence, "", "| name | |", "|---|---|"]
        lines += [f"| [`{name}`]({topic.stem}.md#lawful.{name}) | {_summary(name)} |" for name in names]
        lines.append("")
    return "\n".join(lines)


def _summary(name: str) -> str:
    value = getattr(lawful, name)
    if not (inspect.isclass(value) or inspect.isroutine(value)):
        return f"a value of type {type(value).__name__}"
    first = (inspect.getdoc(value) or "").partition("\n\n")[0]
    return plain(" ".join(first.split())).replace("|", "\\|")
