"""
Train the cells of a plan and append one row per finished run to a CSV.

    python sweep.py pilot  --out pilot.csv --budgets 3e12,3e13 --widths 32,64,128 --rates 0.004,0.008,0.016
    python sweep.py train  --manifest plan.json --out runs.csv --jobs 2
    python sweep.py tuning --manifest plan.json --out tuning.csv --rows run010,run017
    python sweep.py run    --manifest plan.json --row run010
    python sweep.py run    --width 48 --tokens 2e6 --seed 1

A GPU is used where torch finds one; `--device cpu` says otherwise.
"""

from __future__ import annotations

import argparse
import csv
import fcntl
import json
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from model import DEPTH, Shape, nearest
from train import BATCH_TOKENS, Cell, cell_at, train


def read_manifest(path: Path) -> list[Cell]:
    """
    Return the cells of a manifest of ``lawful plan``, JSON or CSV, the longest runs first.

    Each planned size becomes the nearest shape of the ladder, and the tokens follow from the budget of the row.
    """
    text = path.read_text(encoding="utf-8")
    rows = json.loads(text)["runs"] if path.suffix == ".json" else list(csv.DictReader(text.splitlines()))
    cells = []
    for row in rows:
        shape = nearest(float(row["params"]))
        cells.append(cell_at(row["run"], shape, float(row["flops"]) / (6 * shape.params_total), int(row["seed"])))
    return sorted(cells, key=work, reverse=True)


def work(cell: Cell) -> float:
    """Return a rough measure of a run's time: a step costs something however small the model is."""
    return cell.steps * (1 + (cell.shape.width / 128) ** 2)


def done(out: Path) -> set[str]:
    """Return the names of the runs whose rows are in the file, whole: a line that a kill cut short has no end."""
    if not out.exists():
        return set()
    whole = [line for line in out.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
    return {row["run"] for row in csv.DictReader(whole)}


def append(out: Path, row: dict[str, Any]) -> None:
    """Add a row, under a lock and through to the disk; a line that a kill cut short is dropped first."""
    with out.open("a+", newline="", encoding="utf-8") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        handle.seek(0)
        text = handle.read()
        if text and not text.endswith("\n"):
            handle.truncate(len(text[: text.rfind("\n") + 1].encode()))
            text = text[: text.rfind("\n") + 1]
        writer = csv.DictWriter(handle, fieldnames=list(row), lineterminator="\n")
        if not text:
            writer.writeheader()
        writer.writerow(row)
        handle.flush()
        os.fsync(handle.fileno())


def train_all(cells: list[Cell], out: Path, jobs: int, trainer: Callable[[Cell], dict[str, Any]]) -> None:
    """Train the cells that have no row yet, ``jobs`` at a time, and append each row as its run ends."""
    ready = done(out)
    todo = [cell for cell in cells if cell.run not in ready]
    print(f"{len(ready)} runs are done, {len(todo)} to train", flush=True)
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        for number, future in enumerate(as_completed([pool.submit(trainer, cell) for cell in todo]), start=1):
            row = future.result()
            append(out, row)
            said = f"{row['run']} N {row['params']} D {row['tokens']} rate {row['learning_rate']} seed {row['seed']}"
            print(f"{number}/{len(todo)} {said}: {row['loss']} nats, {row['seconds']} s", flush=True)


def pilot_cells(widths: list[int], rates: list[float], budgets: list[float]) -> list[Cell]:
    """Return a grid of widths and rates at some budgets."""
    cells = []
    for budget in budgets:
        for width in widths:
            shape = Shape(width, DEPTH)
            cell = cell_at(f"w{width}-c{budget:.0e}", shape, budget / (6 * shape.params_total), 0)
            cells += [replace(cell, run=f"{cell.run}-r{rate:g}", rate=rate) for rate in rates or [cell.rate]]
    return sorted(cells, key=work, reverse=True)


def tuning_cells(cells: list[Cell], names: list[str]) -> list[Cell]:
    """Return the named cells at half and at double their rate."""
    chosen = [cell for cell in cells if cell.run in names]
    return [replace(c, run=f"{c.run}-x{k:g}", rate=k * c.rate) for c in chosen for k in (0.5, 2.0)]


def numbers(text: str) -> list[float]:
    """Return the numbers of a list with commas."""
    return [float(part) for part in text.split(",") if part]


def parse() -> argparse.Namespace:
    """Return the command line, read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("pilot", "train", "tuning", "run"))
    parser.add_argument("--corpus", type=Path, default=Path(__file__).parent / "build" / "corpus")
    parser.add_argument("--manifest", type=Path, help="plan of lawful plan, .json or .csv")
    parser.add_argument("--out", type=Path, help="CSV that rows are appended to")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, one CPU thread each")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rows", default="", help="runs of the manifest for tuning, with commas")
    parser.add_argument("--row", help="run of the manifest to train again")
    parser.add_argument("--widths", type=numbers, default=[32, 64, 128], help="widths of the pilot")
    parser.add_argument("--rates", type=numbers, default=[], help="rates of the pilot; the rule's if none")
    parser.add_argument("--budgets", type=numbers, default=[3e11], help="FLOPs of the runs of the pilot")
    parser.add_argument("--width", type=int)
    parser.add_argument("--depth", type=int, default=DEPTH)
    parser.add_argument("--tokens", type=float)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--learning-rate", type=float, help="peak rate; the rule's if not given")
    return parser.parse_args()


def main() -> None:
    """Do what the command line asks for."""
    asked = parse()
    trainer = partial(train, corpus=asked.corpus, device=asked.device)
    cells = read_manifest(asked.manifest) if asked.manifest else []
    if asked.command == "run":
        if asked.row:
            cell = next(cell for cell in cells if cell.run == asked.row)
        else:
            cell = cell_at("run", Shape(asked.width, asked.depth), asked.tokens or BATCH_TOKENS, asked.seed)
        print(json.dumps(trainer(replace(cell, rate=asked.learning_rate or cell.rate)), indent=2))
        return
    if asked.command == "pilot":
        cells = pilot_cells([int(width) for width in asked.widths], asked.rates, asked.budgets)
    if asked.command == "tuning":
        cells = tuning_cells(cells, asked.rows.split(","))
    train_all(cells, asked.out, asked.jobs, trainer)


if __name__ == "__main__":
    main()
