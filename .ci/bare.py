"""What must work where only the runtime dependencies are installed: import, simulate, fit, refuse Parquet."""

import importlib.util
import tempfile
from pathlib import Path

import lawful

if any(importlib.util.find_spec(name) for name in ("pyarrow", "pytest", "hypothesis", "mypy")):
    raise SystemExit("this environment is not bare: a development package is installed")

truth = lawful.Surface.named("besiroglu")
runs = lawful.simulate(truth, lawful.plan_isoflop([1e18, 1e19, 1e20], surface=truth))
alpha = lawful.fit(runs).surface["alpha"]
if abs(alpha - truth["alpha"]) > 1e-9:
    raise SystemExit(f"a noise-free sweep gave alpha {alpha}, the truth is {truth['alpha']}")

with tempfile.TemporaryDirectory() as folder:
    table = Path(folder) / "runs.parquet"
    table.write_bytes(b"PAR1")
    try:
        lawful.read_runs(table)
    except lawful.LawfulError as error:
        if "lawful[parquet]" not in str(error):
            raise SystemExit(f"the refusal of Parquet does not name the extra to install: {error}") from error
    else:
        raise SystemExit("a Parquet file was read without pyarrow")
