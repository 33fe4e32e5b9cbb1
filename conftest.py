"""Settings that the tests and the doctests of src share."""

from __future__ import annotations

import os
from typing import Any

# No window opens while testing. Set before matplotlib is imported, and inherited by the programs that tests start.
os.environ["MPLBACKEND"] = "Agg"

import numpy as np
import pytest
from hypothesis import settings

# A test says whether something is right, not how long it took on a busy machine; the examples are the same every time.
settings.register_profile("lawful", deadline=None, derandomize=True)
settings.load_profile("lawful")


@pytest.fixture(autouse=True)
def _doctest_names(doctest_namespace: dict[str, Any]) -> None:
    """Docstring examples may use ``np`` and ``lawful`` without importing them."""
    import lawful

    doctest_namespace["np"] = np
    doctest_namespace["lawful"] = lawful
