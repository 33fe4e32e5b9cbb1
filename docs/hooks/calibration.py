"""Write the tables of docs/uncertainty.md from those of the study ``calibration``."""
# ruff: noqa: INP001 - a script of the documentation, no package

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "docs" / "calibration"
PAGE = REPOSITORY / "docs" / "uncertainty.md"

Row = dict[str, str]
CELL = ("kind", "truth", "sigma", "design", "noise")
QUANTITIES = {"E": "E", "alpha": "alpha", "beta": "beta", "a": "a", "params": "N\\*", "loss": "L\\*"}
NOTES = ("uneven_noise", "outliers", "robust", "shared_error", "lack_of_fit", "not_identified")
WORDS = {
    "gaussian": "even Gaussian noise", "laplace": "Laplace", "student-t3": "Student-t, 3",
    "outliers": "5% of runs at +10σ", "proportional": "noise ∝ L − E", "by size": "noise ∝ N^−1/4",
}  # fmt: skip

BEST = "best possible"
"""How the study calls the power of a test that knows in which direction the law is wrong."""

KINDS = {"independent errors": "independent", "shared errors": "shared", "wrong laws": "refused"}


def table(name: str) -> list[Row]:
    """Return the rows of a committed table."""
    with (FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def printed(row: Row) -> float:
    """Sets of a cell in which the number was told."""
    return float(row["sets"]) * (1 - float(row["withheld"]))


def pooled(rows: Iterable[Row], quantity: str) -> str:
    """Coverage over all sets of some cells, and the least and most of a cell."""
    own = [row for row in rows if row["quantity"] == quantity and printed(row) >= FEWEST]
    if not own:
        return "–"
    value, weight = np.array([float(row["coverage"]) for row in own]), np.array([printed(row) for row in own])
    mean = f"{np.average(value, weights=weight):.0%}"
    return mean if len(own) == 1 else f"{mean} ({100 * value.min():.0f}–{100 * value.max():.0f})"


def rate(rows: Iterable[Row], *said: str) -> str:
    """Share of sets, over all cells, in which something was said."""
    return f"{np.mean([float(row['share']) for row in rows if row['said'] in said]) * len(said):.0%}"


def line(cells: Iterable[str]) -> str:
    """Return a row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def markdown(head: list[str], body: list[list[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join([line(head), "|" + "---|" * len(head), *map(line, body)])


def chosen(rows: list[Row], **equal: str) -> list[Row]:
    """Rows whose columns have these values."""
    return [row for row in rows if all(row[key] == value for key, value in equal.items())]


def values(rows: list[Row], name: str) -> list[str]:
    """Distinct values of a column, in order of appearance."""
    return list(dict.fromkeys(row[name] for row in rows))


def size() -> str:
    """Say how many sets stand behind a figure, and what that leaves open."""
    rows = {tuple(row[k] for k in CELL): row for row in table("coverage")}.values()
    said = [
        f"{len(own)} cells of {kind} with {float(own[0]['sets']):.0f} sets each"
        for kind, word in KINDS.items()
        if (own := [row for row in rows if row["kind"] == word])
    ]
    least = min(float(row["sets"]) for row in rows)
    error = 100 * np.sqrt(0.09 / least)
    return (
        f"There are {', '.join(said)}, far from the thousand of the first edition: one figure of 90% has a standard "
        f"error of up to {error:.1f} points, the average of six cells one of {error / np.sqrt(6):.1f}."
    )


def by_noise() -> str:
    """Coverage under independent errors, by noise."""
    every = chosen(table("coverage"), kind="independent")
    body = []
    for noise in values(every, "noise"):
        part = chosen(every, noise=noise)
        cells = len({tuple(row[k] for k in CELL) for row in part})
        body.append([f"{WORDS[noise]}, {cells} cell{'s' if cells > 1 else ''}", *(pooled(part, q) for q in QUANTITIES)])
    return markdown(["independent errors", *QUANTITIES.values()], body)


def by_design() -> str:
    """Coverage under independent errors, by design."""
    every = chosen(table("coverage"), kind="independent")
    body = [
        [design, *(pooled(chosen(every, design=design), q) for q in QUANTITIES)] for design in values(every, "design")
    ]
    return markdown(["independent errors", *QUANTITIES.values()], body)


def shared() -> str:
    """Coverage under shared errors, and whether they are found."""
    every, said = chosen(table("coverage"), kind="shared"), chosen(table("detection"), kind="shared")
    body = []
    for design, noise in dict.fromkeys((row["design"], row["noise"]) for row in every):
        own = {"design": design, "noise": noise}
        part = chosen(every, **own)
        found = rate(chosen(said, **own), "shared_error")
        body.append([f"{noise}, {design}", *(pooled(part, q) for q in QUANTITIES), found])
    return markdown(["shared errors", *QUANTITIES.values(), "note `shared_error`"], body)


def refused() -> str:
    """How often the wrong law is refused, and the coverage of E and L* beside."""
    every, said = chosen(table("coverage"), kind="refused"), chosen(table("detection"), kind="refused")
    body = []
    for truth, sigma, design in dict.fromkeys((row["truth"], row["sigma"], row["design"]) for row in every):
        own = {"truth": truth, "sigma": sigma, "design": design}
        part, told = chosen(every, **own), chosen(said, **own)
        held = [pooled(part, q) for q in ("E", "params", "loss")]
        body.append(
            [
                f"k = {truth.split()[1]}, σ {sigma}",
                design,
                rate(told, BEST),
                rate(told, "lack_of_fit"),
                rate(told, "law refused"),
                *held,
            ]
        )
    head = ["truth", "design", "at best", "note `lack_of_fit`", "verdict `law refused`"]
    return markdown([*head, "E holds", "N\\* holds", "L\\* holds"], body)


def detection() -> str:
    """How often each note is raised under each condition."""
    said = table("detection")
    plain = [row for row in said if row["kind"] == "independent" and row["truth"] == "chinchilla"]
    rows: list[tuple[str, list[Row]]] = []
    for noise in values(plain, "noise"):
        name = "nothing wrong (even Gaussian noise)" if noise == "gaussian" else WORDS[noise]
        rows.append((name, chosen(plain, noise=noise)))
    weak = [row for row in said if row["kind"] == "independent" and row["truth"] == "llama-like"]
    rows.append(("E far below the runs, σ .03 (`llama-like`)", chosen(weak, sigma="0.03")))
    every = chosen(said, kind="shared")
    rows += [(noise, chosen(every, noise=noise)) for noise in values(every, "noise")]
    every = chosen(said, kind="refused")
    rows += [(f"coupled truth, k = {truth.split()[1]}", chosen(every, truth=truth)) for truth in values(every, "truth")]
    body = [[name, *(rate(part, note) for note in (*NOTES, "any note"))] for name, part in rows]
    return markdown(["condition", *(f"`{note}`" for note in NOTES), "any of them"], body)


def failures() -> str:
    """Name every figure under 80% that a wrong law does not explain, the least first."""
    noted = {tuple(row[k] for k in CELL): float(row["share"]) for row in chosen(table("detection"), said="any note")}
    under = [
        row
        for row in table("coverage")
        if row["kind"] != "refused" and printed(row) >= FEWEST and float(row["coverage"]) < 0.8
    ]
    body = [
        [
            QUANTITIES[row["quantity"]],
            f"{row['noise']}, {row['design']}, {row['truth']}, σ {row['sigma']}",
            f"{float(row['coverage']):.0%}",
            f"{noted[tuple(row[k] for k in CELL)]:.0%}",
            f"{float(row['silent']):.0%}",
        ]
        for row in sorted(under, key=lambda row: float(row["coverage"]))
    ]
    return markdown(["number", "condition", "holds", "sets with a note", "missed without a note"], body)


def chance(sets: int, low: float, high: float) -> float:
    """Probability that an interval of exactly 90% is counted between two shares in so many sets."""
    from scipy.special import bdtr

    # Counts from ceil(low n) to floor(high n), both ends included as the study includes them.
    first, last = int(np.ceil(low * sets - 1e-9)), int(np.floor(high * sets + 1e-9))
    return float(bdtr(last, sets, 0.9) - (bdtr(first - 1, sets, 0.9) if first > 0 else 0.0))


def headline() -> str:
    """Say the aims and what came of them, in figures."""
    every = [row for row in table("coverage") if printed(row) >= FEWEST]
    noted = {tuple(row[k] for k in CELL): float(row["share"]) for row in chosen(table("detection"), said="any note")}
    alone, together = chosen(every, kind="independent"), chosen(every, kind="shared")
    inside = np.mean([0.86 <= float(row["coverage"]) <= 0.94 for row in alone])
    perfect = np.mean([chance(round(printed(row)), 0.86, 0.94) for row in alone])
    mean = np.average([float(r["coverage"]) for r in alone], weights=[printed(r) for r in alone])
    under = [row for row in alone if float(row["coverage"]) < 0.8]
    luck = sum(chance(round(printed(row)), 0.0, 0.8 - 1e-6) for row in alone)
    unsaid = [row for row in under if noted[tuple(row[k] for k in CELL)] < 0.9]
    enough = np.mean([float(row["coverage"]) >= 0.85 for row in together])
    also = np.mean([chance(round(printed(row)), 0.85, 1.0) for row in together])
    mean_shared = np.average([float(r["coverage"]) for r in together], weights=[printed(r) for r in together])
    wrong = chosen(table("detection"), kind="refused")
    share = {tuple(row[k] for k in (*CELL, "said")): float(row["share"]) for row in wrong}
    could = [cell for *cell, said in share if said == BEST and share[*cell, said] >= 0.8]
    count = sum(share[*cell, "lack_of_fit"] >= 0.8 for cell in could)
    cells = sum(said == BEST for *_, said in share)
    return f"""\
- **Independent errors**: {len(alone)} figures hold {mean:.1%} on average; {inside:.0%} of them were counted between 86
  and 94%, where intervals of exactly 90% would put {perfect:.0%} of figures that rest on so few sets. {len(under)} lie
  under 80% (chance alone would put {luck:.1f} there), {len(unsaid)} of these without a note in 90% of their sets.
- **Shared errors**: {len(together)} figures hold {mean_shared:.1%} on average; {enough:.0%} were counted at 85% or more
  (intervals of exactly 90% would put {also:.0%} there).
- **A law that is wrong**: in {len(could)} of {cells} cells a test that is told in which direction, and that the noise
  is even, would refuse it in at least 80% of the sets at the same level; `lack_of_fit` is raised as often in
  {count} of them."""


FEWEST = int(json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))["config"]["fewest"])

PARTS: dict[str, Callable[[], str]] = {
    "size": size, "headline": headline, "noise": by_noise, "design": by_design, "shared": shared, "refused": refused,
    "detection": detection, "failures": failures,
}  # fmt: skip


def with_tables(text: str) -> str:
    """Return the text of the page with its tables as the study has them now."""
    for name, make in PARTS.items():
        block = re.compile(rf"(<!-- calibration: {name} -->\n).*?(\n<!-- end -->)", re.DOTALL)
        made = make()
        text, count = block.subn(lambda found, made=made: found[1] + made + found[2], text)
        if count != 1:
            msg = f"docs/uncertainty.md needs exactly one block calibration: {name}"
            raise ValueError(msg)
    return text


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
