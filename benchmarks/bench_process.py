"""Whole processes, as a user starts them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cases import SHARED

SCRIPT = Path(sys.executable).parent / "lawful"


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def test_lawful_fit_1000_draws(benchmark: Any) -> None:
    benchmark.group = "process: lawful fit, 133 runs, 1,000 draws, no figures"
    table = SHARED / "data" / "isoflops.csv"
    if not table.is_file():
        pytest.skip(f"the published runs are not at {table}; set LAWFUL_SHARED")
    select = ("--select", "experiment=llama_3__raw_loss", "--budget", "3.8e25")
    benchmark.pedantic(run, args=(str(SCRIPT), "fit", str(table), *select, "--draws", "1000"), rounds=5)


def test_lawful_help(benchmark: Any) -> None:
    benchmark.group = "process: lawful --help"
    benchmark.pedantic(run, args=(str(SCRIPT), "--help"), rounds=5)


def test_import_lawful(benchmark: Any) -> None:
    benchmark.group = "process: import lawful"
    benchmark.pedantic(run, args=(sys.executable, "-c", "import lawful"), rounds=5)
    benchmark.extra_info["remark"] = "interpreter start included"
