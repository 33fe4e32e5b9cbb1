"""
Replay the published protocol for choosing runs (arXiv:2604.22753) on one task, with an ablation.

Losses of the pool are hidden until a run is bought. At 1, 5 and 10% of the pool's cost each law is fitted to what has
been bought, and scored by R² on the test, clipped to [-1, 1] and averaged over laws. ``random`` and ``cheapest`` buy in
those orders, as far as the money goes, with the same fitter: what they reach is the fitter's merit, the rest the
choice's.

    LAWFUL_SHARED=... python -m benchmarks.bench_next data_constrained --laws 2 --repeats 2
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lawful.core.expression import evaluate, parse
from lawful.design.certainty import best_path, first_part
from lawful.design.next_run import FIRST_SHARE, Known, weigh
from lawful.laws.formula import law as law_of
from lawful.laws.law import Law
from lawful.solve.varpro import search

SHARED = Path(os.environ.get("LAWFUL_SHARED", Path(__file__).resolve().parents[2] / "shared"))
CHECKPOINTS = (0.01, 0.05, 0.10)
COSTS = {
    "data_constrained": "6*params*tokens",
    "vocab": "non_vocab_parameters*num_characters",
    "moe": "num_experts*dense_parameter_count",
    "farseer": "6*N*D",
}
PUBLISHED = {"data_constrained": (0.73, 0.85, 0.86), "vocab": (0.96, 0.98, 0.98), "moe": (0.59, 0.65, 0.83)}
"""Best published choice at the checkpoints, mean over ten laws and ten repeats (arXiv:2604.22753)."""

Columns = dict[str, Any]


class Task:
    """A pool with hidden losses, a test, and a law in the columns' own names."""

    def __init__(self, name: str, entry: dict[str, Any]) -> None:
        folder = SHARED / "data" / "scalebench"
        train, test = (pd.read_csv(folder / f"{name}_{part}.csv") for part in ("train", "test"))
        words: dict[str, str] = entry["columns"]
        self.columns: Columns = {s: train[c].to_numpy(float) for s, c in words.items()}
        self.test: Columns = {s: test[c].to_numpy(float) for s, c in words.items()}
        self.loss, self.truth = train[entry["loss"]].to_numpy(float), test[entry["loss"]].to_numpy(float)
        self.cost = np.asarray(
            evaluate(parse(COSTS[name]), {c: train[c].to_numpy(float) for c in train if c != "group"})
        )
        self.formula = parse(entry["formula"].partition("=")[2])
        self.bounds = {k: (float(low), float(high)) for k, (low, high) in entry["bounds"].items()}
        self.law: Law = law_of(entry["formula"], list(words), bounds=self.bounds)

    def score(self, bought: list[int]) -> float:
        """R² on the test of the law fitted to what was bought; -1 of fewer runs than coefficients."""
        if len(bought) < len(self.bounds):
            return -1.0
        columns = {s: v[bought] for s, v in self.columns.items()}
        found = search(self.formula, columns, self.loss[bought], self.bounds)
        guess = np.asarray(evaluate(self.formula, self.test | found.coefficients), float)
        r2 = 1.0 - ((self.truth - guess) ** 2).sum() / ((self.truth - self.truth.mean()) ** 2).sum()
        return float(np.clip(np.nan_to_num(r2, nan=-1.0), -1.0, 1.0))

    def known(self, bought: list[int], left: Any) -> Known:
        """The table as a planner has it: bought runs, what is left of the pool, the test without losses."""
        done = {s: v[bought] for s, v in self.columns.items()}
        points = {s: np.concatenate([v[left], self.test[s]]) for s, v in self.columns.items()}
        return Known.of_arrays(done, points, self.loss[bought], len(self.truth))


def by_certainty(task: Task, _rng: np.random.Generator) -> tuple[list[list[int]], list[float]]:
    """Buy as ``lawful next`` says, plan by plan; runs at the checkpoints, and seconds of each step."""
    total, bought, reached, seconds = task.cost.sum(), [], [], []
    p = len(task.law.names)
    for share in CHECKPOINTS:
        while True:
            left = np.setdiff1d(np.arange(task.cost.size), bought)
            room = share * total - task.cost[bought].sum()
            if not left.size or task.cost[left].min() > room:
                break
            start = time.process_time()
            found = weigh([task.law], task.known(bought, left))
            cost = task.cost[left]
            if found.fits:
                path = best_path(found.belief, cost, room)
                count = first_part(path, cost, FIRST_SHARE)
            else:
                quarter = 0.25 * share * total - task.cost[bought].sum()
                path = best_path(found.belief, cost, max(quarter, cost.min()), int(1.5 * p) - len(bought))
                count = len(path.order)
            bought += left[path.order[:count]].tolist()
            seconds.append(time.process_time() - start)
        reached.append(list(bought))
    return reached, seconds


def in_order(task: Task, order: Any) -> tuple[list[list[int]], list[float]]:
    """Buy in an order what each checkpoint still affords, passing over what it does not."""
    bought: list[int] = []
    reached, spent = [], 0.0
    for share in CHECKPOINTS:
        for j in order:
            if j not in bought and spent + task.cost[j] <= share * task.cost.sum():
                bought.append(int(j))
                spent += task.cost[j]
        reached.append(list(bought))
    return reached, [0.0]


CHOICES = {
    "certainty": by_certainty,
    "random": lambda task, rng: in_order(task, rng.permutation(task.cost.size)),
    "cheapest": lambda task, _rng: in_order(task, np.argsort(task.cost, kind="stable")),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=sorted(COSTS))
    parser.add_argument("--laws", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=2, help="of the random choice; the others draw no numbers")
    asked = parser.parse_args()
    entries = json.loads((SHARED / "reference" / "scalebench_laws.json").read_text(encoding="utf-8"))
    tasks = [Task(asked.task, e) for e in entries if e["task"] == asked.task and not e["groups"]][: asked.laws]
    print(f"{asked.task}: {len(tasks)} laws; published best {PUBLISHED.get(asked.task, 'not given')}")
    for name, choose in CHOICES.items():
        scores, steps = [], []
        for repeat in range(asked.repeats if name == "random" else 1):
            for task in tasks:
                reached, seconds = choose(task, np.random.default_rng(repeat))
                scores.append([task.score(bought) for bought in reached])
                steps += seconds
                print(f"  {name} {[len(b) for b in reached]} runs, R2 {np.round(scores[-1], 3).tolist()}", flush=True)
        mean = ", ".join(f"{100 * c:g}%: {r:.3f}" for c, r in zip(CHECKPOINTS, np.mean(scores, axis=0), strict=True))
        print(f"{name}: {mean}; a step {np.mean(steps):.2f} s, at most {np.max(steps):.2f} s of CPU")


if __name__ == "__main__":
    main()
