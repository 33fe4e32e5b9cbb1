"""Fixtures: the shared folder of published runs, three known truths, and two sweeps of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lawful.core.plan import Plan, plan_isoflop, study_surface
from lawful.core.surface import Surface

REPOSITORY = Path(__file__).resolve().parent.parent
THREE_SURFACES = ("symmetric", "chinchilla", "asymmetric")
FIVE_BUDGETS = (1e17, 1e18, 1e19, 1e20, 1e21)


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of published runs and figures; tests that need it are skipped without it."""
    folder = Path(os.environ.get("LAWFUL_SHARED", REPOSITORY.parent / "shared")).resolve()
    if not (folder / "data").is_dir():
        pytest.skip(f"the published runs are not at {folder}; set LAWFUL_SHARED to the folder that holds data/")
    return folder


@pytest.fixture(scope="session")
def shared_data(shared: Path) -> Path:
    """Published training runs, read in place."""
    return shared / "data"


@pytest.fixture(scope="session")
def shared_reference(shared: Path) -> Path:
    """Published figures to reproduce."""
    folder = shared / "reference"
    if not folder.is_dir():
        pytest.skip(f"the published figures are not at {folder}")
    return folder


@pytest.fixture(params=THREE_SURFACES)
def surface(request: pytest.FixtureRequest) -> Surface:
    """Each of the three truths of the studies in turn."""
    return study_surface(request.param)


@pytest.fixture(scope="session")
def symmetric() -> Surface:
    """The truth with equal exponents."""
    return study_surface("symmetric")


@pytest.fixture(scope="session")
def chinchilla() -> Surface:
    """The truth with the rounded Chinchilla exponents."""
    return study_surface("chinchilla")


@pytest.fixture(scope="session")
def asymmetric() -> Surface:
    """The truth whose exponents differ by a factor of three."""
    return study_surface("asymmetric")


@pytest.fixture
def centred_plan(surface: Surface) -> Plan:
    """Five budgets, 15 sizes each, ±8×, centred on the optimum of ``surface``."""
    return plan_isoflop(FIVE_BUDGETS, 15, surface=surface, width=8)


@pytest.fixture
def drifting_plan(surface: Surface) -> Plan:
    """The same sweep with centres that drift to N*/3."""
    return plan_isoflop(FIVE_BUDGETS, 15, surface=surface, width=8, drift=3)
