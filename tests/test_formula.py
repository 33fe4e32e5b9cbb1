"""Laws given as formulas: what they become, how they are fitted, kept and refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

import lawful
from lawful.analysis.predictions import predict_points
from lawful.errors import InputError, UnsupportedError
from lawful.laws.formula import degenerate, law, loss_column
from lawful.show.choices import predict_sentence
from lawful.show.files.document import predict_document

EXPERTS = "loss = E + A/(params^alpha*num_experts^gamma) + B/tokens^beta"


@pytest.fixture(scope="module")
def table() -> dict[str, np.ndarray]:
    """A mixture of experts with a known truth and little noise."""
    rng = np.random.default_rng(4)
    N, D = 10 ** rng.uniform(7.5, 10, 60), 10 ** rng.uniform(9, 11.5, 60)
    X = rng.choice([1.0, 2.0, 4.0, 8.0, 16.0, 32.0], 60)
    L = 1.7 + 300 / N**0.33 * X**-0.08 + 900 / D**0.3 + rng.normal(0, 0.003, 60)
    return {"N": N, "D": D, "num_experts": X, "loss": L}


def test_a_sum_of_powers_is_the_law_of_that_form_to_the_last_digit(table):
    written = lawful.fit(table, law="loss = E + A*params^-alpha + B*tokens^-beta")
    named = lawful.fit(table)
    assert written.surface.law.two_powers
    assert dict(written.surface.coefficients) == dict(named.surface.coefficients)


def as_written(law_):
    return law_.name, law_.names, law_.columns, law_.bounds, law_.formula


@pytest.mark.parametrize(
    "text",
    [
        EXPERTS,
        "loss = E + A*params^-alpha + B*tokens^-beta + C*num_experts^-gamma",
        "loss = E + A*params^-alpha + B*tokens^-beta",
        "loss = E + A/params^alpha*exp(k*num_experts)",
        "skaling",
    ],
)
def test_the_door_makes_the_law_that_a_fit_makes_of_the_text(table, text):
    of_text = lawful.fit(table, law=text)
    for columns in (table, list(table), lawful.read_runs(table)):
        made = lawful.law(text, columns)
        assert as_written(made) == as_written(of_text.surface.law)
        assert lawful.fit(table, law=made).coefficients == of_text.coefficients


def test_the_door_takes_bounds_as_the_shell_does(table):
    asked = {"gamma": (0.1, 0.5), "A": (0.0, 250.0)}
    made = lawful.fit(table, law=lawful.law(EXPERTS, table, bounds=asked))
    given = lawful.fit(table, law=EXPERTS, bounds=asked)
    assert made.coefficients == pytest.approx(given.coefficients, rel=1e-6)
    assert made.surface["gamma"] == pytest.approx(0.1)  # the free one is 0.08
    assert lawful.law("skaling", bounds={"k": (0.9, 1.1)}).bounds["k"] == (0.9, 1.1)
    assert lawful.LAWS["skaling"].bounds["k"] != (0.9, 1.1)
    for bounds, message in (({"delta": (0, 1)}, "'delta', and"), ({"gamma": (1, 0)}, "lower end below their upper")):
        with pytest.raises(UnsupportedError, match=message):
            lawful.law(EXPERTS, table, bounds=bounds)
    with pytest.raises(UnsupportedError, match="Unknown law 'no-such'"):
        lawful.law("no-such")
    with pytest.raises(InputError, match="has no column"):
        lawful.law("loss = E + A*x")


def test_a_law_made_before_its_table_reads_the_columns_that_the_table_has(tmp_path):
    """Its loss from the column left of the sign, and N, D and C from columns under their own names."""
    import pandas as pd

    text = "val_loss = E + A/(active_params^alpha*num_experts^gamma) + B/tokens^beta"
    frame = pd.read_csv("examples/moe_runs.csv").assign(loss=3.0)
    made = lawful.law(text, frame)
    of_text = lawful.fit(frame, law=text)
    for verb in (lawful.fit, lambda t, law: lawful.analyse(t, law=law, draws=0).fit):
        for one in (text, made):
            found = verb(frame, law=one)
            assert found.coefficients == of_text.coefficients
            assert found.surface.law == of_text.surface.law
    again = lawful.load(lawful.fit(frame, law=made).save(tmp_path / "fit.json")).fit
    # A file keeps the formula as it was parsed, and shows it so.
    assert (again.surface.law.name, again.surface.law.columns) == (
        of_text.surface.law.name,
        of_text.surface.law.columns,
    )
    assert again.coefficients == of_text.coefficients


def test_a_formula_finds_its_truth(table):
    found = lawful.fit(table, law=EXPERTS)
    assert found.method == "vpnls"
    assert found.status.key == "converged"
    truth = {"E": 1.7, "A": 300, "B": 900, "alpha": 0.33, "beta": 0.3, "gamma": 0.08}
    for name, value in truth.items():
        assert found.surface[name] == pytest.approx(value, rel=0.15), name


def test_it_agrees_with_scipy(table):
    from scipy.optimize import least_squares

    N, D, X, L = (table[k] for k in ("N", "D", "num_experts", "loss"))

    def residual(p):
        return p[0] + np.exp(p[1] - p[3] * np.log(N) - p[5] * np.log(X)) + np.exp(p[2] - p[4] * np.log(D)) - L

    theirs = least_squares(
        residual, [1.7, np.log(300), np.log(900), 0.33, 0.3, 0.08], xtol=1e-15, ftol=1e-15, gtol=1e-15
    )
    assert lawful.fit(table, law=EXPERTS).rss == pytest.approx(2 * theirs.cost, rel=1e-8)


def test_huber_and_logs_and_weights(table):
    squared = lawful.fit(table, law=EXPERTS)
    for objective in ("huber", "log-huber", "log-squared"):
        found = lawful.fit(table, law=EXPERTS, objective=objective)
        assert found.status.key == "converged", objective
        assert found.surface["alpha"] == pytest.approx(squared.surface["alpha"], abs=0.02), objective


def test_bounds_and_pins_hold(table):
    found = lawful.fit(table, law=EXPERTS, bounds={"gamma": (-0.5, 0.05)}, fixed={"E": 1.72})
    assert found.surface["gamma"] == pytest.approx(0.05)
    assert found.surface["E"] == 1.72
    assert "at_bound" in [n.code for n in found.notes]


def test_a_saved_formula_is_loaded_without_its_source(table, tmp_path):
    found = lawful.fit(table, law=EXPERTS)
    again = lawful.load(found.save(tmp_path / "fit.json")).fit
    assert dict(again.surface.coefficients) == dict(found.surface.coefficients)
    np.testing.assert_array_equal(again.residuals, found.residuals)


def test_coefficients_may_be_tied():
    tied = law("loss = E + A/N^alpha + B/D^beta", ties={"alpha": "beta"})
    assert "alpha" not in tied.names
    N, D = np.geomspace(1e8, 1e10, 12), np.geomspace(1e11, 1e9, 12)
    L = 1.5 + 300 / N**0.3 + 500 / D**0.3
    assert lawful.fit({"N": N, "D": D, "loss": L}, law=tied).surface["beta"] == pytest.approx(0.3, abs=1e-6)


def test_what_only_occurs_as_a_product_is_said(table):
    found = lawful.fit(table, law="loss = E + A*K/params^alpha*num_experts^-0.08 + B/tokens^beta")
    assert degenerate(found.surface.law) == [("A", "K")]
    assert "not_separable" in [n.code for n in found.notes]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("loss = E + A/parms^alpha", "has no column of the table"),
        ("loss = 2*params", "has no coefficient"),
        ("loss = E + sin(params)", "'sin' is no function"),
        ("loss = E + (A/params^alpha", "a closing parenthesis is missing"),
    ],
)
def test_a_formula_that_is_no_law_is_one_sentence(text, message, table):
    with pytest.raises(InputError, match=message) as caught:
        lawful.fit(table, law=text)
    assert "\n" not in str(caught.value)


def test_a_name_that_is_neither_law_nor_formula(table):
    with pytest.raises(UnsupportedError, match=r"Unknown law 'chinchila'; choose one of .*, or write it as a formula"):
        lawful.fit(table, law="chinchila")


def test_the_loss_may_have_another_name():
    assert loss_column("loss_validation = L0 + A/N^a") == "loss_validation"
    assert loss_column("L(N, D) = E + A/N^a") is None


def test_ties_are_priced(table):
    found = lawful.fit(table, fixed={"alpha": "beta"})
    assert set(found.surface.law.names) == {"E", "A", "B", "beta"}
    (note,) = [n for n in found.notes if n.code == "tied"]
    assert "alpha = beta" in note.message
    assert "F = " in note.message
    half = lawful.fit(table, fixed={"a": 0.5})
    assert "beta" not in half.surface.law.names
    with pytest.raises(UnsupportedError, match="is held between 0 and 1"):
        lawful.fit(table, fixed={"a": 1.5})


def test_a_formula_needs_no_sizes_and_names_its_loss(tmp_path, capsys):
    from lawful.cli import main

    rng = np.random.default_rng(6)
    width, experts = rng.choice([256.0, 512.0, 1024.0, 2048.0], 40), rng.choice([1.0, 4.0, 16.0, 64.0], 40)
    err = 1.4 + 9 / (width**0.4 * experts**0.1) + rng.normal(0, 0.002, 40)
    rows = "\n".join(f"{w},{x},{e}" for w, x, e in zip(width, experts, err, strict=True))
    (tmp_path / "moe.csv").write_text(f"width,experts,val_err\n{rows}\n", encoding="utf-8")
    text = "val_err = L0 + B/(width^alpha*experts^beta)"
    found = lawful.fit(tmp_path / "moe.csv", law=text)
    assert found.surface["beta"] == pytest.approx(0.1, abs=0.01)
    command = [
        "fit",
        str(tmp_path / "moe.csv"),
        "--law",
        text,
        "--bounds",
        "beta=-0.5:1.5",
        "--objective",
        "squared",
        "--json",
    ]
    assert main(command) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["coefficients"] == pytest.approx(dict(found.surface.coefficients), rel=1e-6)
    assert main([*command[:-1], "--fix", "alpha=beta"]) == 0
    assert "alpha = beta" in capsys.readouterr().out


def test_a_column_that_the_table_has_for_params_is_no_coefficient(table):
    renamed = {"active_params": table["N"], "n_tokens": table["D"]} | {k: table[k] for k in ("num_experts", "loss")}
    own = EXPERTS.replace("params", "active_params").replace("tokens", "n_tokens")
    found, usual = lawful.fit(renamed, law=own), lawful.fit(table, law=EXPERTS)
    assert found.surface.law.columns == usual.surface.law.columns
    assert dict(found.surface.coefficients) == pytest.approx(dict(usual.surface.coefficients))


def test_zeros_of_a_column_are_numbers_where_the_law_has_a_value():
    """A proportion of 0 under an exponential; independent: SciPy from the truth."""
    from scipy.optimize import least_squares

    rng = np.random.default_rng(3)
    web, code = rng.choice([0.0, 0.1, 0.25, 0.5], 40), rng.choice([0.0, 0.2, 0.4], 40)
    loss = 2.1 + 0.6 * np.exp(-3.0 * web + 1.2 * code) + rng.normal(0, 0.003, 40)
    text = "loss = c + k*exp(t1*web + t2*code)"
    fit = lawful.fit({"web": web, "code": code, "loss": loss}, law=text, method="vpnls")
    other = least_squares(lambda t: t[0] + t[1] * np.exp(t[2] * web + t[3] * code) - loss, [2.1, 0.6, -3.0, 1.2])
    for name, value in zip(("c", "k", "t1", "t2"), other.x, strict=True):
        assert fit.surface[name] == pytest.approx(value, rel=1e-5)
    for bad, why in (("c + k*log(web)", "log of column 'web'"), ("c + k*web^-p", "powers of column 'web'")):
        with pytest.raises(InputError, match=why):
            lawful.fit({"web": web, "loss": loss}, law=f"loss = {bad}", method="vpnls")
    found = lawful.fit({"web": web, "loss": loss}, law="loss = c + k*web^p", bounds={"p": (0.1, 3.0)}, method="vpnls")
    assert found.status.key == "converged"


def test_a_formula_is_linearised_unless_draws_are_asked_for():
    rng = np.random.default_rng(3)
    web = rng.uniform(0.1, 0.5, 30)
    table = {"web": web, "loss": 2.1 + 0.6 * np.exp(-3.0 * web) + rng.normal(0, 0.003, 30)}
    law = "loss = c + k*exp(t*web)"
    assert lawful.analyse(table, law=law, method="vpnls").sure.kind == "delta"
    assert lawful.analyse(table, law=law, method="vpnls", draws=20).sure.kind == "rows"


def test_a_share_of_zero_is_predicted_and_refused_where_the_law_takes_its_log():
    rng = np.random.default_rng(0)
    web = np.concatenate([np.zeros(4), rng.uniform(0.05, 1, 26)])
    given = {"web": web, "loss": 2 + 0.6 * np.exp(-1.2 * web) + rng.normal(0, 0.002, 30)}
    found = lawful.analyse(given, law="loss = c + k*exp(-t*web)")
    document = predict_document(found, given={"web": 0.0})
    k = found.fit.surface.coefficients
    assert document["loss"] == pytest.approx(k["c"] + k["k"])
    low, high = document["interval"]["loss"]
    assert low < document["loss"] < high
    logs = lawful.analyse({**given, "web": web + 0.1}, law="loss = c + k*log(web)", bounds={"k": (-5, 5)})
    with pytest.raises(InputError, match="takes the log of column 'web'"):
        predict_document(logs, given={"web": 0.0})


def test_far_outside_of_a_column_the_doubt_comes_first_and_the_interval_widens(table):
    found = lawful.analyse(table, law=EXPERTS)
    near = predict_document(found, 1e9, 1e11, given={"num_experts": 64.0})
    assert near["notes"] == []
    assert near["verdict"] == "supported"
    far = predict_document(found, 1e9, 1e11, given={"num_experts": 65536.0})
    assert [note["code"] for note in far["notes"]] == ["extrapolation"]
    message = far["notes"][0]["message"]
    assert message.startswith("num_experts = ")
    assert "1 to 32" in message
    assert far["verdict"] == "extrapolated"
    assert predict_sentence(far).startswith(message)
    # 65536 lies ln(2048)/ln(32) = 2.2 lengths of what was sampled beyond it.
    low, high = found.sure.of("loss_at", point=(1e9, 1e11, 65536.0))
    assert np.diff(far["interval"]["loss"])[0] == pytest.approx(3.2 * (high - low))
    both = predict_points(found, {"params": [1e9, 1e9], "tokens": [1e11] * 2, "num_experts": [8.0, 65536.0]})
    assert "1 of 2 runs" in both.notes[0].message
    assert both.interval[1].tolist() == pytest.approx(list(far["interval"]["loss"]))


def test_where_a_law_explodes_there_is_no_interval():
    rng = np.random.default_rng(0)
    x = np.tile([1.0, 2.0, 4.0, 8.0], 10)
    given = {"experts": x, "loss": 3 - 0.02 * x**0.9 + rng.normal(0, 0.002, 40)}
    found = lawful.analyse(given, law="loss = c - k*experts^p", bounds={"p": (0.1, 2)})
    document = predict_document(found, given={"experts": 1e6})
    assert document["loss"] < 0
    assert document["interval"] is None
    assert document["prediction"] is None
    assert "breaks down" in document["notes"][-1]["message"]


def test_rates_of_logs_inside_exp_are_exponents_of_either_sign():
    """Clark's saturating law (2022) cold, without bounds: its exponent of the experts is below zero in this form."""
    seen = "1/(1/(x + q) + 1/m)"
    text = f"loss = exp(d + a*log(n) + b*log({seen}) + c*log(n)*log({seen}))"
    box = law(text, ["n", "x"]).bounds
    assert box["a"] == box["b"] == box["c"] == (-3.0, 3.0)
    assert law("loss = exp(d - a*log(n))", ["n"]).bounds["a"] == (0.01, 2.0)
    rng = np.random.default_rng(7)
    n, x = 10 ** rng.uniform(7, 9.5, 120), 2.0 ** rng.integers(0, 8, 120)
    effective = 1 / (1 / (x + 0.85) + 1 / 314)
    log_loss = 2.6 - 0.082 * np.log(n) - 0.108 * np.log(effective) + 0.004 * np.log(n) * np.log(effective)
    given = {"n": n, "x": x, "loss": np.exp(log_loss) + rng.normal(0, 0.01, 120)}
    found = lawful.fit(given, law=text, method="vpnls", objective="squared")
    assert float(np.sqrt((found.residuals**2).mean())) < 0.011
    assert found.surface["b"] < 0


def test_bounds_below_zero_of_a_multiplier_inside_a_power_are_searched():
    """A multiplier is searched through its logarithm where its bounds are positive, and not where they are wide."""
    N, D = (v.ravel() for v in np.meshgrid(np.geomspace(1e7, 1e9, 5), np.geomspace(1e9, 1e11, 5)))
    loss = 1.5 + ((200 * N**-0.4) ** 1.5 + (300 * D**-0.3) ** 1.5) ** (1 / 1.5)
    text = "loss = E + ((a*N^(-alpha))^q + (b*D^(-beta))^q)^(1/q)"
    box = {"a": (-1e4, 1e4), "b": (-1e4, 1e4), "q": (0.1, 10.0)}
    found = lawful.fit({"N": N, "D": D, "loss": loss}, law=text, bounds=box, objective="squared")
    assert found.rss < 1e-12
    assert found.surface["a"] == pytest.approx(200, rel=1e-3)


@pytest.mark.slow
def test_a_law_of_sizes_and_tokens_without_a_frontier_writes_its_report(tmp_path):
    N, D = (v.ravel() for v in np.meshgrid(np.geomspace(1e7, 1e9, 4), np.geomspace(1e9, 1e11, 4)))
    loss = 1.5 + 200 / N**0.4 + 300 / D**0.3 + np.random.default_rng(3).normal(0, 0.003, N.size)
    found = lawful.analyse(
        {"N": N, "D": D, "loss": loss}, law="loss = E + A/(N^alpha + 2) + B/D^beta", objective="squared"
    )
    page = found.report(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "N* and D* are no powers of compute" in page


@pytest.mark.parametrize("seed", range(6))
def test_a_coupled_law_in_columns_of_its_own_ends_where_scipy_does(seed):
    from scipy.optimize import least_squares

    rng = np.random.default_rng([seed, 77])
    size, words, blocks = (np.exp(rng.uniform(*np.log(ends), 36)) for ends in ((3e7, 5e9), (1e9, 3e11), (1, 32)))
    E, A, B = rng.uniform(0.5, 2), np.exp(rng.uniform(4, 9)), np.exp(rng.uniform(4, 9))
    a, b, g, k = rng.uniform(0.25, 0.6), rng.uniform(0.25, 0.6), rng.uniform(0.02, 0.2), rng.uniform(0.5, 1.4)
    true = np.array([E, np.log(A), a, g, np.log(B), b, k])

    def loss(p):
        first = np.exp(p[1] - p[2] * np.log(size) - p[3] * np.log(blocks))
        return p[0] + (first + np.exp(p[4] - p[5] * np.log(words))) ** p[6]

    y = loss(true) * np.exp(0.003 * rng.standard_normal(36))
    found = lawful.fit(
        {"size": size, "words": words, "blocks": blocks, "val": y},
        law="val = E + (A/(size^alpha*blocks^gamma) + B/words^beta)^k",
        objective="squared",
    )
    least = least_squares(lambda p: loss(p) - y, true, x_scale="jac", xtol=1e-15, ftol=1e-15, gtol=1e-15)
    assert float((found.residuals**2).sum()) <= 2 * least.cost * (1 + 1e-6)
    assert "few_starts" not in {note.code for note in found.notes}
