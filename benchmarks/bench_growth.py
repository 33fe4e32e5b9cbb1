"""How cost grows with runs and with draws."""

from __future__ import annotations

import tracemalloc
from time import perf_counter
from typing import Any

import numpy as np
import pytest

import lawful
from benchmarks.cases import sweep

SIZES = (10, 100, 1_000, 10_000, 100_000, 1_000_000)


@pytest.mark.parametrize("n", SIZES)
def test_lawful_fit_against_runs(benchmark: Any, n: int) -> None:
    benchmark.group = f"cold fit, {n:,} noisy runs"
    runs = sweep(n, 0.01)
    benchmark.pedantic(lawful.fit, args=(runs,), rounds=5 if n <= 10_000 else 1)
    if n == SIZES[-1]:
        tracemalloc.start()
        lawful.fit(runs)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        benchmark.extra_info["remark"] = f"peak {peak / 2**20:.0f} MiB beside the runs"


def slope(xs: tuple[int, ...], seconds: list[float]) -> float:
    """Exponent of the growth: slope of log seconds in log size."""
    return float(np.polyfit(np.log(xs), np.log(seconds), 1)[0])


def test_lawful_growth_in_runs(benchmark: Any) -> None:
    benchmark.group = "growth"
    sizes = (10_000, 30_000, 100_000, 300_000)

    def run() -> list[float]:
        taken = []
        for n in sizes:
            runs = sweep(n, 0.01)
            start = perf_counter()
            lawful.fit(runs)
            taken.append(perf_counter() - start)
        return taken

    benchmark.extra_info["remark"] = f"time grows as runs to the power {slope(sizes, benchmark.pedantic(run)):.2f}"


def test_lawful_growth_in_draws(benchmark: Any) -> None:
    benchmark.group = "growth"
    found, draws = lawful.fit(sweep(128, 0.01)), (1_000, 3_000, 10_000, 30_000)

    def run() -> list[float]:
        taken = []
        for count in draws:
            start = perf_counter()
            found.bootstrap(count)
            taken.append(perf_counter() - start)
        return taken

    benchmark.extra_info["remark"] = f"time grows as draws to the power {slope(draws, benchmark.pedantic(run)):.2f}"
