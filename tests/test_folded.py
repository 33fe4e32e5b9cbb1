"""Runs folded into a few rows: every sum that the valley asks of them is that of the runs themselves."""

from __future__ import annotations

import numpy as np
import pytest

from lawful.valley import exact
from lawful.valley import folded as folding
from lawful.valley.faces import Design, Grouped, Sums, node
from lawful.valley.folded import FOLDED_RUNS, Compressed, folded

BOX = np.array([[0.01, 2.0], [0.01, 2.0]])

CORNERS = np.array([[a, b] for a in (0.01, 0.3, 2.0) for b in (0.01, 0.3, 2.0)])


def random_design(seed, kind):
    """Runs of a few sizes or of any, spread over 2 to 8 logs; equal, uneven or shared errors, a prior beside them."""
    rng = np.random.default_rng([7, seed])
    n = int(rng.integers(FOLDED_RUNS, 9000))
    sizes = rng.uniform(*(np.array([-1, 1]) * rng.uniform(1, 4)), int(rng.integers(5, 300)))
    x = np.stack([sizes[rng.integers(0, sizes.size, n)], rng.normal(0, rng.uniform(0.5, 1.5), n)])
    x += rng.choice([0.0, 20.0]) if kind == "uncentred" else -x.mean(axis=1)[:, None]
    y = (
        1.7
        + 0.4 * np.exp(-0.34 * x[0])
        + 0.5 * np.exp(-0.28 * x[1])
        + rng.uniform(0.001, 0.05) * rng.standard_normal(n)
    )
    metric = np.ones(n) if kind == "equal" else np.exp(rng.normal(0, 1, n))
    if kind in ("shared", "prior"):
        metric = Grouped.of(rng.integers(0, 200, n), rng.uniform(0.05, 0.95)).scaled(metric)
    if kind == "prior":
        x, y, metric = np.pad(x, ((0, 0), (0, 1)), constant_values=1e6), np.append(y, 1.6), metric.beside([30.0])
    return Design(x, y, metric, (0.0, np.inf), (None, None))


KINDS = ("equal", "uneven", "shared", "prior", "uncentred")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(6))
def test_every_sum_is_that_of_the_runs(kind, seed):
    design = random_design(seed, kind)
    few = folded(design, BOX)
    assert isinstance(few, Compressed)
    assert few.y.size < 250
    pairs = np.concatenate([CORNERS, np.exp(np.random.default_rng(seed).uniform(*np.log(BOX[0]), (40, 2)))])
    exact, near = (Sums(d).pairs(*pairs.T) for d in (design, few))
    for name in ("uu", "vv", "u", "v"):
        np.testing.assert_allclose(getattr(near, name), getattr(exact, name), rtol=1e-10, err_msg=name)
    # Inner products that may vanish are held against the lengths of what they multiply.
    lengths = {
        "uv": np.sqrt(exact.uu * exact.vv),
        "uy": np.sqrt(exact.uu * exact.yy),
        "vy": np.sqrt(exact.vv * exact.yy),
    }
    for name, length in lengths.items():
        assert (np.abs(getattr(near, name) - getattr(exact, name)) / length).max() < 1e-12, name
    for name in ("yy", "y", "total"):
        assert getattr(near, name) == pytest.approx(getattr(exact, name), rel=1e-12), name
    whole, part = (node(design, moments, *pairs.T).rss for moments in (exact, near))
    np.testing.assert_allclose(part, whole, rtol=1e-9)


@pytest.mark.parametrize("kind", ["uneven", "shared", "prior"])
def test_slopes_and_curvatures_are_those_of_the_runs(kind, monkeypatch):
    design = random_design(11, kind)
    centre, log_pairs = np.zeros(2), np.log(np.array([[0.34, 0.28], [0.2, 0.5], [1.2, 0.05]]))
    near = exact.ExactProfile(design, BOX, centre)
    found = near.shape(near._at(log_pairs))
    monkeypatch.setattr(exact, "folded", lambda design, box: design)
    whole = exact.ExactProfile(design, BOX, centre)
    told = whole.shape(whole._at(log_pairs))
    for new, old in zip(found, told, strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-8, atol=1e-10 * np.abs(told[1]).max())
    assert near.least == pytest.approx(whole.least, rel=1e-11)


@pytest.mark.parametrize("kind", ["equal", "shared"])
def test_intervals_are_those_of_the_runs(kind, monkeypatch):
    design = random_design(3, kind)

    def ends():
        profile = exact.ExactProfile(design, BOX, np.array([20.0, 24.0]))
        rise = 2.7 * profile.least / design.y.size
        return [
            profile.constant(rise),
            profile.exponent(rise, "alpha"),
            profile.params(rise, 48.0),
            profile.loss(rise, 48.0),
        ]

    found = ends()
    monkeypatch.setattr(exact, "folded", lambda design, box: design)
    for new, old in zip(found, ends(), strict=True):
        assert new.open == old.open
        assert new[:2] == pytest.approx(old[:2], abs=1e-4 * (old.high - old.low))


def test_few_runs_dense_metrics_and_single_sizes_are_left_alone(monkeypatch):
    design = random_design(0, "equal")
    some = design._replace(x=design.x[:, :100], y=design.y[:100], metric=np.ones(100))
    one_size = design._replace(x=np.stack([np.zeros(design.y.size), design.x[1]]))
    wide = design._replace(x=design.x * 40)
    for left in (some, one_size, wide):
        assert folded(left, BOX) is left
    monkeypatch.setattr(folding, "FOLDED_RUNS", 100)
    assert isinstance(folded(some, BOX), Compressed)
    dense = some._replace(metric=np.eye(100))
    assert folded(dense, BOX) is dense
