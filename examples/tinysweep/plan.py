"""
Write a manifest as ``lawful plan`` does: a grid around the optimum of runs at hand, with three seeds on some cells.

python plan.py --given pilot.csv --budgets 8e10:2.4e12:5 --out plan.json
python plan.py --given runs.csv --budgets 7.2e12:7.2e12:1 --sizes 3 --reach 2 --repeated-budgets 0 --out target.json
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

import lawful
from lawful.infer.design import Candidates
from lawful.show.planned import write_manifest


def belief(table: Path) -> lawful.Surface:
    """Return the law that fits the best run of each size and budget: of a pilot, those at their best rates."""
    rows = pd.read_csv(table).sort_values("loss")
    return lawful.fit(lawful.read_runs(rows.drop_duplicates(["params", "tokens"]))).surface


def main() -> None:
    """Lay out the grid, repeat every other inner size of the smaller budgets, and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--given", type=Path, required=True, help="runs that the grid is centred by")
    parser.add_argument("--budgets", required=True, metavar="LOW:HIGH:COUNT")
    parser.add_argument("--sizes", type=int, default=7, help="sizes per budget")
    parser.add_argument("--reach", type=float, default=3.2, help="sizes lie within this factor of the optimum")
    parser.add_argument("--repeated-budgets", type=int, default=3, help="smallest budgets with repeated cells")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    low, high, count = asked.budgets.split(":")
    budgets = np.geomspace(float(low), float(high), int(count))
    prior = belief(asked.given)
    grid = lawful.plan_isoflop(budgets, asked.sizes, surface=prior, width=asked.reach)
    place, rank = np.tile(np.arange(asked.sizes), len(budgets)), np.repeat(np.arange(len(budgets)), asked.sizes)
    times = np.where((place % 2 == 1) & (rank < asked.repeated_budgets), 3, 1)
    N, D, C = (np.repeat(values, times) for values in (grid.N, grid.D, grid.C))
    planned = lawful.plan(budgets.tolist(), target=3 * budgets[-1], prior=prior, total_flops=float(C.sum()))
    none = np.zeros(N.size)
    taken = Candidates(N=N, D=D, budget=C, width=none, layers=none, batch=none, steps=none)
    file = write_manifest(replace(planned, plan=lawful.Plan(N, D, C), chosen=taken), asked.out)
    print(f"{prior!r}\n{N.size} runs, {C.sum():.3g} FLOPs: {file}")


if __name__ == "__main__":
    main()
