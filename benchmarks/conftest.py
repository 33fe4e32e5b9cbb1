"""Data for the benchmarks, one BLAS thread, and the table at the end."""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest

import lawful
from benchmarks.cases import SHARED, sweep
from benchmarks.table import rows_of, text_of
from lawful.data.runs import Runs


@pytest.fixture(scope="session")
def clean() -> Runs:
    """128 noise-free runs."""
    return sweep(128, 0.0)


@pytest.fixture(scope="session")
def noisy() -> Runs:
    """128 runs with noise of 0.01 nats."""
    return sweep(128, 0.01)


@pytest.fixture(scope="session")
def llama() -> Runs:
    """The 133 digitised Llama 3 runs."""
    table = SHARED / "data" / "isoflops.csv"
    if not table.is_file():
        pytest.skip(f"the published runs are not at {table}; set LAWFUL_SHARED")
    return lawful.read_runs(table, select={"experiment": "llama_3__raw_loss"})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the one table with ratios."""
    session = getattr(config, "_benchmarksession", None)
    if session is not None and session.benchmarks:
        terminalreporter.write_line("")
        terminalreporter.write_line(text_of(rows_of(session.benchmarks)))
