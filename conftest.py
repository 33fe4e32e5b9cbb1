"""Settings that the tests and the doctests of src share."""

from __future__ import annotations

import os
from typing import Any

# No window opens while testing. Set before matplotlib is imported, and inherited by the programs that tests start.
os.environ["MPLBACKEND"] = "Agg"

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _doctest_names(doctest_namespace: dict[str, Any]) -> None:
    """Docstring examples may use ``np`` and ``lawful`` without importing them."""
    import lawful

    doctest_namespace["np"] = np
    doctest_namespace["lawful"] = lawful
