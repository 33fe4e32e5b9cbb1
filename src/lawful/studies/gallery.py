"""The gallery: every study with its question, its finding, its figure, and published figures beside ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lawful.errors import OutputError
from lawful.studies.chunks import write_atomic
from lawful.studies.study import all_studies
from lawful.studies.tables import Table
from lawful.studies.verdicts import AGREES, DIFFERS

INDEX = "index.html"
TITLE = "<title>lawful: studies</title>"
TEMPLATE = Path(__file__).parent / "templates" / "gallery.html.j2"
SHOWN_ROWS = 12
"""Published rows shown at once; the others open on a click."""


@dataclass(frozen=True)
class Entry:
    """
    One study as the gallery shows it.

    Attributes
    ----------
    number, name, folder, question : str
    finding : str
        Empty where the study was skipped or not run.
    reason : str
        Why it has no finding.
    details : list of str
        The other findings.
    figures : list of str
    rows : list of dict
        Published figures beside ours, as text.
    agree, claimed : int
        How many of the published figures that claim a tolerance agree.
    manifest : mapping
    """

    number: int
    name: str
    folder: str
    question: str
    finding: str
    reason: str
    details: list[str]
    figures: list[str]
    rows: list[dict[str, str]]
    agree: int
    claimed: int
    manifest: Mapping[str, Any]

    @property
    def compared(self) -> int:
        """Cells compared with a published figure, claimed or only shown."""
        return len(self.rows)


def check_gallery(root: Path) -> None:
    """
    Refuse a directory whose index is not a gallery of ours.

    Raises
    ------
    OutputError
        Says which file it is.
    """
    index = root / INDEX
    if not index.is_file() or not index.stat().st_size:
        return
    start = index.read_text(encoding="utf-8", errors="replace")[:4096]
    if TITLE not in start:
        msg = f"{str(index)!r} is not a gallery that lawful wrote; choose another directory for `out`."
        raise OutputError(msg)


def write_gallery(root: Path, skipped: Mapping[str, str]) -> Path:
    """
    Write ``index.html`` over every finished study in a directory.

    Parameters
    ----------
    root : Path
    skipped : mapping of str to str
        Why a study was left out, by name.

    Returns
    -------
    Path
    """
    from jinja2 import Environment, StrictUndefined

    entries = [e for e in (_entry(root, study, skipped) for study in all_studies()) if e is not None]
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(entries=entries, shown=SHOWN_ROWS)
    write_atomic(root / INDEX, text)
    return root / INDEX


def _entry(root: Path, study: Any, skipped: Mapping[str, str]) -> Entry | None:
    folder = root / study.folder
    known = (study.number, study.name, study.folder, study.question)
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        reason = skipped.get(study.name)
        return Entry(*known, "", reason, [], [], [], 0, 0, {}) if reason else None
    details = [
        line[2:] for line in (folder / "findings.md").read_text(encoding="utf-8").splitlines() if line.startswith("- ")
    ]
    rows: list[dict[str, str]] = []
    agree = claimed = 0
    if manifest["published"]:
        table = Table.read_csv(folder / "published.csv")
        rows = [_row(row) for row in table.rows()]
        agree = int((table["verdict"] == AGREES).sum())
        claimed = agree + int((table["verdict"] == DIFFERS).sum())
    return Entry(*known, manifest["finding"], "", details, manifest["figures"], rows, agree, claimed, manifest)


def _row(row: Mapping[str, Any]) -> dict[str, str]:
    units = {"percent": "%", "decades": " decades", "difference": ""}
    unit = units[row["scale"]]
    # A column without any remark or tolerance comes back from CSV as missing numbers.
    remark = row["remark"] if isinstance(row["remark"], str) else ""
    claimed = isinstance(row["tolerance"], float) and row["tolerance"] == row["tolerance"]
    return {
        "quantity": row["quantity"],
        "published": figure_text(row["published"]),
        "ours": figure_text(row["ours"]),
        "difference": figure_text(row["difference"], 2) + unit,
        "tolerance": figure_text(row["tolerance"], 2) + unit if claimed else "",
        "verdict": row["verdict"],
        "remark": remark,
    }


def figure_text(value: float, digits: int = 6) -> str:
    """
    Write a number with some significant digits.

    Examples
    --------
    >>> figure_text(4.844893274749087), figure_text(-2.5e-11, 2), figure_text(3.48e11, 3)
    ('4.84489', '−2.5e−11', '3.48e11')
    """
    return (
        f"{value:.{digits}g}".replace("e+", "e").replace("e0", "e").replace("-0", "-").replace("-", "−")
        if value
        else "0"
    )
