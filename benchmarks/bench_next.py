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
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lawful.core.expression import evaluate, parse
from lawful.design.certainty import best_path, first_part
from lawful.design.next_run import FIRST_SHARE, Known, weigh
from lawful.laws.formula import QUANTITIES
from lawful.laws.formula import law as law_of
from lawful.laws.law import Law
from lawful.solve.varpro import search

SHARED = Path(os.environ.get("LAWFUL_SHARED", Path(__file__).resolve().parents[2] / "shared"))
CHECKPOINTS = (0.01, 0.05, 0.10)
COSTS = {
    "parallel": "num_params",
    "data_constrained": "6*params*tokens",
    "vocab": "non_vocab_parameters*num_characters",
    "moe": "num_experts*dense_parameter_count",
    "farseer": "6*N*D",
}
PUBLISHED = {
    "data_constrained": (0.73, 0.85, 0.86),
    "vocab": (0.96, 0.98, 0.98),
    "parallel": (-1.0, 0.77, 0.99),
    "moe": (0.59, 0.65, 0.83),
}
"""Best published choice at the checkpoints, mean over ten laws and ten repeats (arXiv:2604.22753)."""

FAINT = 1e-3
"""Weight of a run that was not bought, beside one that was, where what was bought is too little for a law."""

Columns = dict[str, Any]


class Task:
    """A pool with hidden losses, a test, and a law in the columns' own names; of one group where there are some."""

    def __init__(self, name: str, entry: dict[str, Any], group: str | None = None, thin: int = 1) -> None:
        folder = SHARED / "data" / "scalebench"
        train, test = (pd.read_csv(folder / f"{name}_{part}.csv") for part in ("train", "test"))
        if group is not None:
            train, test = (table[table["group"] == group].reset_index(drop=True) for table in (train, test))
        train = train.iloc[np.arange(0, len(train), thin)].reset_index(drop=True)
        words: dict[str, str] = entry["columns"]
        self.columns: Columns = {s: train[c].to_numpy(float) for s, c in words.items()}
        self.test: Columns = {s: test[c].to_numpy(float) for s, c in words.items()}
        self.loss, self.truth = train[entry["loss"]].to_numpy(float), test[entry["loss"]].to_numpy(float)
        self.cost = np.asarray(
            evaluate(parse(COSTS[name]), {c: train[c].to_numpy(float) for c in train if c != "group"})
        )
        # A coefficient may not have the name of a quantity that it is not.
        own = {w: f"{w}_own" for w in entry["bounds"] if w in QUANTITIES and w not in words}
        text = re.sub(r"\b\w+\b", lambda m: own.get(m[0], m[0]), entry["formula"])
        self.formula = parse(text.partition("=")[2])
        self.bounds = {own.get(k, k): (float(low), float(high)) for k, (low, high) in entry["bounds"].items()}
        self.law: Law = law_of(text, list(words), bounds=self.bounds)

    def guess(self, bought: list[int]) -> Any:
        """Losses of the test by the law fitted to what was bought, however little; None of nothing."""
        if not bought:
            return None
        rows, loss, weight = list(bought), self.loss[bought], np.ones(len(bought))
        if len(bought) <= len(self.bounds):
            # Too few runs for the law: a faint pull to the mean of what was bought, at the rest of the pool.
            rest = np.setdiff1d(np.arange(self.cost.size), bought)
            rows += rest.tolist()
            loss = np.concatenate([loss, np.full(rest.size, loss.mean())])
            weight = np.concatenate([weight, np.full(rest.size, FAINT)])
        columns = {s: v[rows] for s, v in self.columns.items()}
        found = search(self.formula, columns, loss, self.bounds, weight)
        return np.broadcast_to(np.asarray(evaluate(self.formula, self.test | found.coefficients)), self.truth.shape)

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


def score(groups: list[Task], bought: list[list[int]]) -> float:
    """R² pooled over the groups' tests, clipped to [-1, 1]; -1 where a group cannot be fitted."""
    guesses = [task.guess(rows) for task, rows in zip(groups, bought, strict=True)]
    if any(one is None for one in guesses):
        return -1.0
    truth, guess = np.concatenate([t.truth for t in groups]), np.concatenate(guesses)
    r2 = 1.0 - ((truth - guess) ** 2).sum() / ((truth - truth.mean()) ** 2).sum()
    return float(np.clip(np.nan_to_num(r2, nan=-1.0), -1.0, 1.0))


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
    parser.add_argument("--thin", type=int, default=1, help="take every k-th run of the pool")
    asked = parser.parse_args()
    entries = json.loads((SHARED / "reference" / "scalebench_laws.json").read_text(encoding="utf-8"))
    tasks = [groups_of(asked.task, e, asked.thin) for e in entries if e["task"] == asked.task][: asked.laws]
    print(f"{asked.task}: {len(tasks)} laws; published best {PUBLISHED.get(asked.task, 'not given')}")
    for name, choose in CHOICES.items():
        scores, steps = [], []
        for repeat in range(asked.repeats if name == "random" else 1):
            for groups in tasks:
                rng = np.random.default_rng(repeat)
                made = [choose(task, rng) for task in groups]
                steps += [s for _, seconds in made for s in seconds]
                bought = [[reached[i] for reached, _ in made] for i in range(len(CHECKPOINTS))]
                scores.append([score(groups, rows) for rows in bought])
                counts = [sum(map(len, rows)) for rows in bought]
                print(f"  {name} {counts} runs, R2 {np.round(scores[-1], 3).tolist()}", flush=True)
        table = np.array(scores).reshape(-1, len(tasks), len(CHECKPOINTS)).mean(axis=1)
        error = table.std(axis=0, ddof=1) / np.sqrt(len(table)) if len(table) > 1 else np.zeros(len(CHECKPOINTS))
        mean = ", ".join(
            f"{100 * c:g}%: {r:.3f} (se {e:.3f})"
            for c, r, e in zip(CHECKPOINTS, table.mean(axis=0), error, strict=True)
        )
        print(f"{name}: {mean}; a step {np.mean(steps):.2f} s, at most {np.max(steps):.2f} s of CPU", flush=True)


def groups_of(name: str, entry: dict[str, Any], thin: int) -> list[Task]:
    """The task of a law, one per group that is fitted apart."""
    if not entry["groups"]:
        return [Task(name, entry, thin=thin)]
    table = pd.read_csv(SHARED / "data" / "scalebench" / f"{name}_train.csv")
    return [Task(name, entry, group, thin) for group in sorted(table["group"].unique())]


if __name__ == "__main__":
    main()
