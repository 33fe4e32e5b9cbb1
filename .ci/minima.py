"""The oldest versions that the declaration allows, as constraints for pip: `python .ci/minima.py > minima.txt`."""

import re
import sys
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
for requirement in project["dependencies"]:
    name, least = re.fullmatch(r"([\w.-]+)>=([\w.]+)", requirement).groups()
    sys.stdout.write(f"{name}=={least}\n" if least.count(".") == 2 else f"{name}=={least}.*\n")
