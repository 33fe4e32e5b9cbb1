"""Saved fits: those of 0.1.0 still load, and a changed file is never answered from without a word."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lawful
from lawful.errors import InputError, LawfulError

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", ["chinchilla", "skaling", "approach2"])
def test_a_file_of_0_1_0_still_loads_and_answers(name):
    path = GOLDEN / f"fit-0.1.0-{name}.json"
    said = json.loads(path.read_text(encoding="utf-8"))
    loaded = lawful.load(path)
    best = loaded.fit.allocate(1e24)
    assert best.params == pytest.approx(said["allocations"][0]["params"], rel=1e-9)
    if said["coefficients"]:
        assert dict(loaded.fit.surface.coefficients) == pytest.approx(said["coefficients"])


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> dict:
    """The document of a small fit with draws."""
    truth = lawful.Surface.named("besiroglu")
    runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 7, surface=truth), noise=0.002)
    path = lawful.analyse(runs, budgets=[1e22], draws=12).save(tmp_path_factory.mktemp("saved") / "fit.json")
    return json.loads(Path(path).read_text(encoding="utf-8"))


def places(document, path=()):
    """Every place of a document that holds something."""
    yield path
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in items:
        yield from places(value, (*path, key))


def changed(document: dict, path: tuple, value) -> dict:
    copied = copy.deepcopy(document)
    inner = copied
    for key in path[:-1]:
        inner = inner[key]
    if value is KeyError:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return copied


VALUES = (None, 0, -1, 1e308, "", "x", [], {}, True, [1, 2], {"a": 1}, KeyError)


@given(st.data())
def test_every_change_of_a_file_is_one_sentence(saved, tmp_path_factory, data):
    every = [p for p in places(saved) if p]
    path = data.draw(st.sampled_from(every))
    document = changed(saved, path, data.draw(st.sampled_from(VALUES)))
    if document == saved:
        return
    for content in (document, {k: v for k, v in document.items() if k != "seal"}):
        file = tmp_path_factory.mktemp("changed") / "fit.json"
        file.write_text(json.dumps(content), encoding="utf-8")
        with pytest.raises(InputError) as caught:
            lawful.load(file)
        assert "\n" not in str(caught.value)


@given(st.data())
def test_a_damaged_file_of_0_1_0_is_loaded_or_one_sentence(tmp_path_factory, data):
    old = json.loads((GOLDEN / "fit-0.1.0-chinchilla.json").read_text(encoding="utf-8"))
    path = data.draw(st.sampled_from([p for p in places(old) if p]))
    document = changed(old, path, data.draw(st.sampled_from(VALUES)))
    file = tmp_path_factory.mktemp("old") / "fit.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    with suppress(LawfulError):
        repr(lawful.load(file))


def test_alpha_changed_by_hand_is_found(saved, tmp_path):
    document = copy.deepcopy(saved)
    document["model"]["fit"]["coefficients"]["alpha"] *= 1.01
    file = tmp_path / "fit.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(InputError, match="was changed after it was written: its seal does not match"):
        lawful.load(file)


def test_a_file_may_be_laid_out_anew(saved, tmp_path):
    file = tmp_path / "fit.json"
    file.write_text(json.dumps(saved, indent=None, sort_keys=True), encoding="utf-8")
    assert np.isfinite(lawful.load(file).fit.allocate(1e22).params)
