"""The oldest versions that the declaration allows, as constraints for pip: `python .ci/minima.py > minima.txt`."""

import re
import sys
import tomllib
from pathlib import Path

# Extras that read or send a user's tables; those of our own tools (dev, docs, bench, sweep) promise nothing to anybody.
EXTRAS = ("parquet", "excel", "yaml", "duckdb", "remote", "dask")

project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
wanted = [*project["dependencies"], *(one for extra in EXTRAS for one in project["optional-dependencies"][extra])]
for requirement in wanted:
    name, least = re.fullmatch(r"([\w.-]+)>=([\w.]+)", requirement).groups()
    sys.stdout.write(f"{name}=={least}\n")  # 3.10 is 3.10.0: the first of a series, not its last
