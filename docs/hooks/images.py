"""Draw the figures of the first page from the example sweep: ``python docs/hooks/images.py``."""
# ruff: noqa: INP001 - a script of the documentation, no package

from __future__ import annotations

from pathlib import Path

import lawful
from lawful.show.figures.axes import save_figures
from lawful.show.figures.figures import figures_of

REPOSITORY = Path(__file__).resolve().parents[2]


def main() -> None:
    """Write ``docs/images/isoflop.png`` and ``frontier.png``."""
    analysis = lawful.analyse(str(REPOSITORY / "examples" / "synthetic_sweep.csv"), budgets=[1e24])
    figures = figures_of(analysis)
    for name in ("isoflop", "frontier"):
        save_figures(figures[name], REPOSITORY / "docs" / "images", name, "png")


if __name__ == "__main__":
    main()
