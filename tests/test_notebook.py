"""The example notebook runs from top to bottom, shows rich results, and is kept without outputs."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).resolve().parent.parent / "examples" / "tour.ipynb"


def test_it_is_kept_without_outputs() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert len(code) >= 8
    assert [cell["source"] for cell in code if cell["outputs"] or cell["execution_count"]] == []


def test_it_runs_and_shows_rich_results(tmp_path: Path) -> None:
    pytest.importorskip("ipykernel", reason="notebooks are run with ipykernel: install .[dev]")
    nbclient = pytest.importorskip("nbclient", reason="notebooks are run with nbclient: install .[dev]")
    import nbformat

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (tmp_path / "synthetic_sweep.csv").write_bytes((NOTEBOOK.parent / "synthetic_sweep.csv").read_bytes())
    with warnings.catch_warnings():
        # The libraries that talk to the kernel warn about their own sockets and event loops.
        warnings.simplefilter("ignore")
        client = nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}})
        client.execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    kinds = [kind for output in outputs for kind in output.get("data", {})]
    assert kinds.count("text/html") >= 5
    assert kinds.count("image/png") == 3
    assert [output.name for output in outputs if output.output_type == "stream" and output.name == "stderr"] == []
