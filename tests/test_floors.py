"""Leave-future-out over floors: by hand with scipy, the worked example, the shell, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.optimize import least_squares

import lawful
from lawful.cli import main
from lawful.errors import IdentificationError, UnsupportedError
from lawful.forecasting.floors import floors

C = np.array([1e18, 3e18, 1e19, 3e19, 1e20, 3e20])
L = np.array([3.522, 3.339, 3.154, 3.000, 2.848, 2.725])
OPTIMA = {"compute": C, "loss": L}


def by_hand(floor: float) -> np.ndarray:
    """Relative errors of all forecasts with a floor held, by scipy's own least squares."""
    errors = []
    for n in range(3, 6):
        x = np.log(C / 1e19)
        found = least_squares(
            lambda k, n=n, x=x: floor + np.exp(k[0] - k[1] * x[:n]) - L[:n], [0.4, 0.1], xtol=1e-15, ftol=1e-15
        )
        errors += list((floor + np.exp(found.x[0] - found.x[1] * x[n:])) / L[n:] - 1)
    return np.array(errors)


def test_every_floor_forecasts_what_scipy_does():
    found = floors(OPTIMA, values=[1.4, 1.6, 1.8])
    for one in found.rows[:-1]:
        assert one.error == pytest.approx(by_hand(one.held), abs=1e-7)
        assert one.ahead.tolist() == [1, 2, 3, 1, 2, 1]
        assert one.next_error == pytest.approx(np.abs(by_hand(one.held)[[0, 3, 5]]).mean(), abs=1e-7)
    assert found.rows[-1].held is None
    assert found.rows[-1].rss == pytest.approx(lawful.fit(OPTIMA, law="compute").rss, rel=1e-9)


def test_the_right_floor_is_found_where_there_is_no_noise():
    clean = {"compute": C, "loss": 1.6 + 94.35 / C**0.0939}
    found = floors(clean, values=np.linspace(1.4, 1.8, 5))
    assert found.best.held == pytest.approx(1.6)
    assert found.rows[0].signed_error < 0 < found.rows[4].signed_error


def test_a_width_and_a_wrong_floor_in_the_worked_example():
    """What came at 1e21 and 1e23 is told to the table: a pin is too sure, a width is not."""
    later = {"compute": [*C, 1e21, 1e23], "loss": [*L, 2.599, 2.234]}
    pinned, known, _ = floors(later, values=[1.6, "1.6±0.1"]).rows
    assert known.held == (1.6, 0.1)
    assert pinned.coverage < 0.9 <= known.coverage
    assert known.mean_error < pinned.mean_error


def test_laws_of_other_columns():
    tokens = np.geomspace(1e8, 1e11, 8)
    rng = np.random.default_rng(1)
    table = {"tokens": tokens, "loss": 1.7 + 300 * tokens**-0.3 + 0.002 * rng.standard_normal(8)}
    found = floors(table, law="hestness", values=[1.5, 1.7])
    assert found.column == "D"
    assert found.rows[1].mean_error < found.rows[0].mean_error
    truth = lawful.Surface.named("chinchilla")
    runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20, 1e21], 7, surface=truth), noise=0.003)
    surface = floors(runs, law="chinchilla", values=[1.5, 1.69])
    assert surface.rows[0].error.size == 7
    assert surface.rows[1].mean_error < surface.rows[0].mean_error


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"law": "kaplan-c", "values": [1.6]}, UnsupportedError, "has none"),
        ({"name": "alpha", "values": [0.1]}, UnsupportedError, "is held by E, not alpha"),
        ({"values": [1.6], "level": 2}, UnsupportedError, "between 0 and 1"),
    ],
)
def test_what_is_no_floor_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        floors(OPTIMA, **options)


def test_three_values_leave_nothing_to_forecast():
    with pytest.raises(IdentificationError, match="forecasts the others, and the runs have 3"):
        floors({"compute": C[:3], "loss": L[:3]}, values=[1.6])


def test_the_shell(tmp_path, capsys):
    path = tmp_path / "optima.csv"
    path.write_text("compute,loss\n" + "\n".join(f"{c},{y}" for c, y in zip(C, L, strict=True)))
    command = ["audit", str(path), "--law", "compute", "--fix"]
    assert main([*command, "E=1.4:1.8:5", "--out", str(tmp_path / "out"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [one["value"] for one in document["rows"]] == [1.4, 1.5, 1.6, 1.7, 1.8, None]
    assert document["rows"][2]["mean_error"] == pytest.approx(np.abs(by_hand(1.6)).mean(), abs=1e-7)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["floors.csv", "floors.json"]
    assert main([*command, "E=1.6±0.1"]) == 0
    assert "1.6 ± 0.1" in capsys.readouterr().out
    for given, message in (
        ("E=1.8:1.4:5", "the lower value first"),
        ("E=1.4:1.8:1", "2 to 200 of them"),
        ("alpha=0.1:0.2:3", "is held by E, not alpha"),
    ):
        assert main([*command, given]) == 2
        assert message in " ".join(capsys.readouterr().err.split())
    assert main(["audit", str(path), "--bounds", "E=1:2"]) == 2
    assert "--bounds goes with --fix" in capsys.readouterr().err
    assert main(["fit", str(path), "--law", "compute", "--fix", "E=1.4:1.8:5"]) == 2
    assert "--fix E=1.4:1.8:5 is a range, which lawful audit takes" in capsys.readouterr().err
