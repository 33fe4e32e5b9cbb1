"""The gallery of the studies: their quick twins are run when the site is built."""
# ruff: noqa: INP001 - scripts of the documentation, no package

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from functools import cache
from pathlib import Path

from commands import escaped

from lawful.studies.verdicts import AGREES, DIFFERS

REPOSITORY = Path(__file__).resolve().parents[2]
STUDIES = REPOSITORY / "build" / "studies"
SHARED = Path(os.environ.get("LAWFUL_SHARED", REPOSITORY.parent / "shared")).resolve()

INTRODUCTION = """\
---
title: Gallery of the studies
description: What each study of lawful asks, what it found, and, where there are any, published figures beside ours.
---

# Gallery of the studies

The thirteen studies of [arXiv 2603.22339](https://arxiv.org/abs/2603.22339) and ours, each with its question, its
finding and a figure, drawn by their *quick twins* when this site was built: the same code on fewer or smaller sweeps.
`lawful study run all --out DIR` runs them at full size and writes a gallery with every table
([on a cluster](cluster.md), if you like).

"""


@cache
def studies_folder() -> Path | None:
    """
    Run the quick twins and return their folder.

    They are kept while the code of the library stays the same. With ``LAWFUL_GALLERY=no`` none is run: pages then
    have the questions alone, for tests of everything else.
    """
    if os.environ.get("LAWFUL_GALLERY") == "no":
        return None
    code = hashlib.sha256()
    for path in sorted((REPOSITORY / "src").rglob("*.py")):
        code.update(path.relative_to(REPOSITORY).as_posix().encode() + path.read_bytes())
    folder = STUDIES / code.hexdigest()[:12]
    if STUDIES.is_dir():
        for earlier in STUDIES.iterdir():
            if earlier != folder:
                shutil.rmtree(earlier)
    from lawful.studies.runner import run_studies

    data = SHARED / "data"
    run_studies(["all"], folder, quick=True, jobs=-1, data=data if data.is_dir() else None)
    return folder


def gallery_files() -> dict[str, Path]:
    """Return the figures of the gallery, by their place in the site."""
    folder = studies_folder()
    if folder is None:
        return {}
    return {f"studies/{path.parent.name}/{path.name}": path for path in sorted(folder.glob("*/*.png"))}


def gallery_page() -> str:
    """Return the page of all studies."""
    from lawful.studies.study import LONG, all_studies

    folder = studies_folder()
    parts = [INTRODUCTION]
    for study in all_studies():
        lines = [f"## {study.number}. {_title(study.name)}", "", f"*{escaped(study.question)}*", ""]
        place = folder / study.folder if folder else None
        if study.name in LONG:
            lines += _kept(study.name, study.question)
        elif place is not None and (place / "manifest.json").is_file():
            lines += _found(place, study.question)
        else:
            files = " and ".join(f"`{name}`" for name in study.data)
            reason = f"it reads published runs ({files})" if study.data and folder else "the studies were left out"
            lines += [f"Not run when this site was built: {reason}.", ""]
        parts.append("\n".join(lines))
    return "\n".join(parts)


def _title(name: str) -> str:
    words = name.replace("_", " ").replace("approach2", "Approach 2").replace("kaplan c", "Kaplan and C")
    return words[0].upper() + words[1:]


KEPT = {"calibration": "calibration", "interval_kinds": "calibration/kinds"}
"""Folders of these pages that hold the tables of the studies that take an hour."""


def _kept(name: str, question: str) -> list[str]:
    """Show a study that takes an hour from the files that are kept with these pages."""
    lines = ["An hour at full size; [its tables](calibration/README.md) are kept with these pages.", ""]
    figure = f"{KEPT[name]}/coverage.png"
    if (REPOSITORY / "docs" / figure).is_file():
        lines[:0] = [f"![{escaped(question)}]({figure}){{ loading=lazy }}", ""]
    return lines


def _found(folder: Path, question: str) -> list[str]:
    """Show a finished study: finding, figures, the other findings, how many published figures agree."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    lines = [f"**{escaped(manifest['finding'])}**", ""]
    first, *others = manifest["figures"]
    alt = f"Figure of the study: {question} {manifest['finding']}"
    lines += [f"![{escaped(alt)}](studies/{folder.name}/{first}.png){{ loading=lazy }}", ""]
    if manifest["published"]:
        with (folder / "published.csv").open(encoding="utf-8", newline="") as file:
            verdicts = [row["verdict"] for row in csv.DictReader(file)]
        agree, differ = verdicts.count(AGREES), verdicts.count(DIFFERS)
        lines += [f"Published figures with a tolerance that the quick twin matches: {agree} of {agree + differ}.", ""]
    details = (folder / "findings.md").read_text(encoding="utf-8").splitlines()
    more = [f"    - {escaped(line[2:])}" for line in details if line.startswith("- ")]
    if more:
        lines += ['??? note "All findings"', "", *more, ""]
    if others:
        lines += [f'??? note "More figures ({len(others)})"', ""]
        for name in others:
            words = name.replace("_", " ")
            lines += [f"    ![{words}, of the same study](studies/{folder.name}/{name}.png){{ loading=lazy }}", ""]
    return lines
