"""The published schemas: what lawful writes validates, and our reading of them is that of jsonschema."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lawful
from lawful.cli import main
from lawful.show.files.schema import mismatch
from lawful.show.ledger import append_entry, entry_of
from lawful.studies.chunks import Work
from lawful.studies.runner import run_studies
from lawful.studies.study import find_study

jsonschema = pytest.importorskip("jsonschema", reason="schemas are tested with jsonschema: install .[dev]")

REPOSITORY = Path(__file__).resolve().parent.parent
NAMES = ("fit-1", "forecast-1", "study-1", "chunk-1", "laws-1")
VALUES = (None, 0, -1, 1.5, "", "x", [], {}, True, [1, 2], {"a": 1}, KeyError)


def validator(name):
    return jsonschema.Draft202012Validator(json.loads((REPOSITORY / "docs" / "schema" / f"{name}.json").read_text()))


@pytest.fixture(scope="module")
def documents(tmp_path_factory) -> dict[str, list]:
    """Documents of every kind, as lawful writes them."""
    folder = tmp_path_factory.mktemp("documents")
    truth = lawful.Surface.named("besiroglu")
    runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20, 1e21], 7, surface=truth), noise=0.002)
    fits = []
    for i, options in enumerate(
        (
            {"budgets": [1e22]},
            {"draws": 12},
            {"method": "approach1", "draws": 0},
            {"method": "approach2", "budgets": [1e22]},
            {"method": "approach3", "draws": 0},
            {"law": "skaling", "draws": 0},
            {"law": "loss = E + A/params^alpha + B/tokens^beta", "draws": 0},
        )
    ):
        path = lawful.analyse(runs, **options).save(folder / f"fit{i}.json")
        fits.append(json.loads(Path(path).read_text(encoding="utf-8")))
    assert main(["fit", str(REPOSITORY / "examples" / "synthetic_sweep.csv"), "--out", str(folder / "out")]) == 0
    fits.append(json.loads((folder / "out" / "fit.json").read_text(encoding="utf-8")))
    fits += [
        json.loads(p.read_text(encoding="utf-8")) for p in sorted((REPOSITORY / "tests/golden").glob("fit-*.json"))
    ]
    ledger, fit = folder / "ledger.jsonl", lawful.fit(runs, method="vpnls")
    for method in ("vpnls", "approach2"):
        found = lawful.fit(runs, method=method)
        append_entry(ledger, entry_of(found, found.forecast([1e23])))
    append_entry(ledger, entry_of(fit, fit.forecast([], points=[(1e10, 1e11)])))
    embedded = REPOSITORY / "src/lawful/sources/runs/tinysweep-forecasts.jsonl"
    lines = [json.loads(x) for path in (ledger, embedded) for x in path.read_text(encoding="utf-8").splitlines()]
    work = Work(find_study("analytical_error"), {"seed": 1}, folder / "work")
    work.store(0, lawful.studies.chunks.Chunk({"t": {"x": [1.0, float("nan")], "name": ["a", "b"]}}, 0.1, 0.1))
    chunks = [json.loads(p.read_text(encoding="utf-8")) for p in work.chunks.glob("*.json")]
    run_studies(["analytical_error"], folder / "studies", quick=True, jobs=1)
    manifests = [
        folder / "studies" / "06_analytical_error" / "manifest.json",
        REPOSITORY / "docs/calibration/manifest.json",
    ]
    two = ["--law", "loss = E + A/params^p", "--law", "loss = E + A/params^p + B/tokens^q"]
    sweep = str(REPOSITORY / "examples" / "synthetic_sweep.csv")
    assert main(["fit", sweep, *two, "--points", sweep, "--out", str(folder / "laws")]) == 0
    return {
        "fit-1": fits,
        "laws-1": [json.loads((folder / "laws" / "laws.json").read_text(encoding="utf-8"))],
        "forecast-1": lines,
        "chunk-1": chunks,
        "study-1": [json.loads(p.read_text(encoding="utf-8")) for p in manifests],
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_published_schema_is_the_one_that_is_read_by(name):
    published = REPOSITORY / "docs" / "schema" / f"{name}.json"
    assert published.read_bytes() == (REPOSITORY / "src/lawful/show/schemas" / f"{name}.json").read_bytes()
    jsonschema.Draft202012Validator.check_schema(json.loads(published.read_text()))


@pytest.mark.parametrize("name", NAMES)
def test_what_lawful_writes_validates(documents, name):
    assert documents[name]
    for document in documents[name]:
        assert [f"{list(e.absolute_path)}: {e.message[:200]}" for e in validator(name).iter_errors(document)] == []
        assert mismatch(document, name) == ""


def places(document, path=()):
    """Every place of a document that holds something; of long lists the first entries."""
    if path:
        yield path
    items = document.items() if isinstance(document, dict) else ()
    items = enumerate(document[:2]) if isinstance(document, list) else items
    for key, value in items:
        yield from places(value, (*path, key))


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_our_reading_of_a_schema_is_that_of_jsonschema(documents, name, data):
    document = copy.deepcopy(data.draw(st.sampled_from(documents[name][:3])))
    *way, last = data.draw(st.sampled_from(sorted(places(document), key=str)))
    value = data.draw(st.sampled_from(VALUES))
    inner = document
    for key in way:
        inner = inner[key]
    if value is KeyError:
        del inner[last]
    else:
        inner[last] = value
    found = mismatch(document, name)
    assert (found == "") == validator(name).is_valid(document), found
