"""What is counted: published test vectors, measured counts of a real sweep, and refits under each convention."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import lawful
from lawful.cli import main
from lawful.counting import formulas as count
from lawful.counting.compare import conventions
from lawful.counting.counts import find_counts
from lawful.counting.transformer import Transformer
from lawful.data.runs import Runs
from lawful.decide.token_cost import fit_token_cost

# layers, width, feed-forward width, heads, key size and the published ratio of FLOPs to 6ND
TABLE_A4 = [
    ("73M", 10, 640, 2560, 10, 64, 1.03),
    ("305M", 20, 1024, 4096, 16, 64, 1.10),
    ("552M", 24, 1280, 5120, 10, 128, 1.08),
    ("1.1B", 26, 1792, 7168, 14, 128, 1.04),
    ("1.6B", 28, 2048, 8192, 16, 128, 1.03),
    ("6.8B", 40, 3584, 14336, 28, 128, 0.99),
]
ALL_TERMS = [1.58, 1.32, 1.23, 1.15, 1.12, 1.03]


@pytest.fixture(scope="module")
def vectors(shared_reference: Path) -> dict[int, dict]:
    return {v["id"]: v for v in json.loads((shared_reference / "laws_vectors.json").read_text())}


@pytest.fixture(scope="module")
def checkpoints(shared_data: Path) -> lawful.Runs:
    return lawful.read_runs(shared_data / "misfitting_checkpoints.csv")


@pytest.fixture(scope="module")
def export(shared_data: Path) -> lawful.Runs:
    loss = {"loss": "eval/paloma/macro_loss"}
    return lawful.read_runs(shared_data / "marin_comma_wandb_export.csv", columns=loss)


def test_kaplan_counts(vectors: dict) -> None:
    i = vectors[46]["inputs"]
    shape = {"width": i["d_model"], "layers": i["n_layer"], "attention": i["d_attn"], "ffn": i["d_ff"]}
    assert count.kaplan_params(**shape) == pytest.approx(vectors[45]["output"], rel=1e-9)
    assert count.kaplan_forward_flops(**shape, context=i["n_ctx"]) == pytest.approx(vectors[46]["output"], rel=1e-9)


def test_chinchilla_counts(vectors: dict) -> None:
    i = vectors[78]["inputs"]
    names = {"d_model": "width", "ffw": "ffn", "heads": "heads", "key": "head_dim", "layers": "layers"}
    shape = {name: i[key] for key, name in names.items()}
    forward = count.chinchilla_flops(**shape, vocabulary=i["vocab"], context=i["seq"])
    assert forward.total == pytest.approx(vectors[78]["output"], rel=1e-9)
    assert count.training_flops(forward.total) / i["seq"] == pytest.approx(vectors[79]["output"], rel=1e-9)


@pytest.mark.parametrize("row", range(6))
def test_table_a4_follows_from_the_layers_alone(row: int) -> None:
    _, layers, width, ffn, heads, head_dim, published = TABLE_A4[row]
    forward = count.chinchilla_flops(width=width, layers=layers, heads=heads, head_dim=head_dim, ffn=ffn)
    by_6nd = count.flops_6nd(count.chinchilla_params(width=width, layers=layers, ffn=ffn), 2048)
    assert round(count.training_flops(forward.layers) / by_6nd, 2) == published
    assert round(count.training_flops(forward.total) / by_6nd, 2) == ALL_TERMS[row]


def test_deepseek_and_pearce_counts(vectors: dict) -> None:
    i = vectors[112]["inputs"]
    flops = count.deepseek_flops(width=i["d_model"], layers=i["n_layer"], context=i["l_seq"])
    assert flops == pytest.approx(vectors[112]["output"], rel=1e-9)
    for key in (81, 82):
        total = count.total_from_non_embedding(vectors[key]["inputs"]["N"])
        assert total == pytest.approx(vectors[key]["output"], rel=1e-9)


def test_the_exact_count_is_what_a_real_sweep_logged(shared_data: Path) -> None:
    import pandas as pd

    log = pd.read_csv(shared_data / "marin_comma_wandb_export.csv")
    width = log["model.hidden_dim"].to_numpy()
    model = Transformer(
        width=width,
        layers=log["model.num_layers"].to_numpy(),
        heads=width // 128,
        head_dim=128,
        ffn=4 * width,
        vocabulary=128256,
        context=4096,
        head_norms=2,
    )
    np.testing.assert_array_equal(model.params, log["parameter_count"])
    total = count.training_flops(model.forward_flops) * log["throughput/total_tokens"]
    np.testing.assert_allclose(total, 1e9 * log["throughput/total_gflops"], rtol=1e-14)


def test_grouped_heads_and_tied_embeddings_are_counted() -> None:
    shape = {"width": 512, "layers": 4, "heads": 8, "head_dim": 64, "ffn": 2048, "vocabulary": 1000, "context": 256}
    full, grouped = Transformer(**shape), Transformer(**shape, kv_heads=2)
    assert full.params - grouped.params == 4 * 2 * 512 * 6 * 64
    assert full.forward_flops - grouped.forward_flops == 2 * (full.params - grouped.params)
    assert full.attention_flops == grouped.attention_flops == 4 * 256 * (4 * 512 + 3 * 8)
    tied = Transformer(**shape, embeddings=1)
    assert full.params - tied.params == 1000 * 512
    assert full.forward_flops == tied.forward_flops
    plain = Transformer(**shape, ffn_matrices=2)
    assert full.non_embedding_params - plain.non_embedding_params == 4 * 512 * 2048


def test_forward_and_total_are_a_factor_of_three_apart() -> None:
    assert count.training_flops(2.0) == 6.0
    assert count.forward_flops(np.array([6.0, 3.0])).tolist() == [2.0, 1.0]
    assert count.flops_6nd(1e9, 2e10) == lawful.Cost().flops(1e9, 2e10) == count.training_flops(2 * 1e9 * 2e10)


def test_the_checkpoints_support_two_counts_of_n_and_two_of_c(checkpoints: lawful.Runs) -> None:
    params, flops, notes = find_counts(checkpoints)
    assert [(c.name, c.also) for c in params] == [("N", ()), ("N_no_emb", ())]
    assert [(c.name, c.also) for c in flops] == [
        ("C", ("C_6ND", "6ND of N")),
        ("C_no_emb", ("C_6ND_no_emb", "6ND of N_no_emb")),
    ]
    assert notes == []


def test_the_exponent_of_one_sweep_moves_with_the_convention(checkpoints: lawful.Runs) -> None:
    found = conventions(checkpoints, budgets=[1e21])
    rows = {(row.params, row.flops): row for row in found.rows}
    assert len(rows) == 4
    own = lawful.fit(checkpoints, method="vpnls").surface
    base = rows["N", "C"]
    assert base.a == pytest.approx(own.exponents[0], rel=1e-5)
    assert base.optima[0].params == pytest.approx(float(own.optimum(1e21).params), rel=1e-5)
    assert base.optima[0].base_params == pytest.approx(base.optima[0].params, rel=1e-12)
    other = rows["N_no_emb", "C_no_emb"]
    assert other.a == pytest.approx(0.7638, abs=1e-3)
    assert found.span == pytest.approx((0.50, 0.87), abs=0.01)
    budgets = count.flops_6nd(other.optima[0].params, other.optima[0].tokens)
    assert budgets == pytest.approx(1e21, rel=1e-6)


def test_the_shape_of_the_models_adds_conventions(export: lawful.Runs) -> None:
    shape = {"vocabulary": 128256, "context": 4096, "head_dim": 128.0, "heads": 8, "ffn": "model.hidden_dim"}
    names = {row.flops for row in conventions(export).rows}
    assert names == {"budget", "6ND of parameter_count", "6ND of kaplan"}
    params, flops, _ = find_counts(export, shape=shape)
    assert [c.name for c in params] == ["parameter_count", "N - 2Vd", "kaplan", "exact", "exact non-embedding"]
    assert {"kaplan with attention", "deepseek", "chinchilla appendix F", "exact FLOPs"} <= {c.name for c in flops}
    found = conventions(export, shape={"vocabulary": 128256, "context": 4096}, budgets=[1e21])
    with_embeddings = [row.a for row in found.rows if row.params == "parameter_count"]
    without = [row.a for row in found.rows if row.params != "parameter_count"]
    assert max(with_embeddings) < 0.39
    assert min(without) > 0.54


def test_logged_gflops_are_the_budget_under_another_name(export: lawful.Runs) -> None:
    _, flops, _ = find_counts(export)
    assert flops[0].also == ("throughput/total_gflops",)


def test_a_cost_in_closed_form_gives_the_closed_optimum() -> None:
    truth = lawful.Surface.named("chinchilla")
    runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e20], 9, surface=truth))
    row = conventions(runs, budgets=[1e22]).rows[0]
    assert (row.a, row.b) == pytest.approx(truth.exponents, rel=1e-9)
    assert row.optima[0].params == pytest.approx(float(truth.optimum(1e22).params), rel=1e-7)
    assert row.misfit == 0.0
    assert [note.code for note in conventions(runs).notes][-1] == "one_convention"


def test_another_cost_moves_the_optimum_to_where_no_choice_on_its_budget_is_better() -> None:
    truth = lawful.Surface.named("chinchilla")
    runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e20], 9, surface=truth))
    per_token = 6 * runs.N + 5e4 * runs.N ** (2 / 3)
    table = {"N": runs.N, "D": runs.D, "loss": runs.L, "measured": per_token * runs.D}
    row = conventions(lawful.read_runs(table), flops=["measured"], budgets=[1e20]).rows[1]
    best = row.optima[0]
    assert row.flops == "measured"
    N = best.params * np.geomspace(1 / 1.1, 1.1, 201)
    loss = truth.loss(N, 1e20 / (6 * N + 5e4 * N ** (2 / 3)))
    assert abs(int(loss.argmin()) - 100) <= 1
    assert best.tokens == pytest.approx(1e20 / (6 * best.params + 5e4 * best.params ** (2 / 3)), rel=1e-9)


@pytest.mark.parametrize("method", ["approach1", "approach2", "approach3"])
def test_other_methods_see_the_counts_too(method: str) -> None:
    truth = lawful.Surface.named("symmetric")
    runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 7, surface=truth))
    rest = runs.N**1.1
    table = {"N": runs.N, "D": runs.D, "C": runs.C, "loss": runs.L, "N_no_emb": rest}
    rows = {(r.params, r.flops): r for r in conventions(table, method=method, budgets=[1e20]).rows}
    assert rows["N", "C"].a == pytest.approx(0.5, abs=1e-4)
    # A surface is minimised on a curve through FLOPs per token, in which N^(1/1.1) is no term.
    assert rows["N_no_emb", "C"].a == pytest.approx(0.55, abs=1e-2 if method == "approach3" else 2e-3)
    if method == "approach2":
        alone = rows["N_no_emb", "6ND of N_no_emb"]
        # Budgets with fewer than three sizes are left out, and two are left.
        assert alone.a is None or 0.4 < alone.a < 0.7


def test_a_surface_without_an_optimum_says_so() -> None:
    N, D = (v.ravel() for v in np.meshgrid(np.geomspace(1e7, 1e9, 5), np.geomspace(1e9, 1e11, 5)))
    row = conventions({"N": N, "D": D, "loss": 2.0 + (1e9 / D) ** 0.3}, budgets=[1e20]).rows[0]
    assert (row.a, row.optima, row.note.code) == (None, (), "unavailable")
    assert row.note.message == "The fitted surface has no interior optimum, since one of its terms vanishes."


def test_columns_that_cannot_be_used_are_said_or_refused() -> None:
    truth = lawful.Surface.named("symmetric")
    runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e20], 5, surface=truth))
    broken = np.where(np.arange(len(runs)) == 3, np.nan, runs.N)
    table = {"N": runs.N, "D": runs.D, "loss": runs.L, "N_no_emb": broken}
    found = conventions(table)
    assert "Column 'N_no_emb' was passed over as a convention: 1 of 10 runs has NaN" in found.notes[-2].message
    with pytest.raises(lawful.InputError, match=r"column 'N_no_emb', row 4 \(nan\)"):
        conventions(table, params=["N_no_emb"])
    with pytest.raises(lawful.InputError, match="no column 'wing', which `flops` names"):
        conventions(table, flops=["wing"])
    with pytest.raises(lawful.InputError, match="no column 'wing', which `shape` names"):
        conventions(table, shape={"width": "wing"})
    with pytest.raises(lawful.UnsupportedError, match=r"A shape has the parts width, layers, .*; got 'girth'"):
        conventions(table, shape={"girth": 3})
    with pytest.raises(lawful.InputError, match=r"column 'context', row 1 \(-1\)"):
        conventions(table, shape={"context": -1})
    with pytest.raises(lawful.UnsupportedError, match="Unknown method 'magic'"):
        conventions(table, method="magic")
    with pytest.raises(lawful.UnsupportedError, match="A budget is a positive number of FLOPs, got -1"):
        conventions(table, budgets=[-1.0])


def test_the_cost_of_a_token_is_recovered_and_reads_its_slope() -> None:
    N = np.geomspace(1e7, 1e10, 12)
    curve = fit_token_cost(N, 6 * N + 3e4 * N ** (2 / 3) + 1e6 * N ** (1 / 3))
    np.testing.assert_allclose(curve.terms, [6, 3e4, 1e6], rtol=1e-8)
    log_n, step = np.log(3e8), 1e-6
    numeric = (curve.at(log_n + step)[0] - curve.at(log_n - step)[0]) / (2 * step)
    assert curve.at(log_n)[1] == pytest.approx(numeric, rel=1e-8)
    one = fit_token_cost(np.full(3, 1e8), np.full(3, 7e8))
    assert (one.terms.tolist(), one.misfit) == (pytest.approx([7.0]), 0.0)


def test_the_command_shows_and_prints_every_convention(shared_data: Path, capsys: pytest.CaptureFixture) -> None:
    path = str(shared_data / "marin_comma_wandb_export.csv")
    command = ["conventions", path, "--columns", "loss=eval/paloma/macro_loss", "--budget", "1e21"]
    assert main([*command, "--shape", "vocabulary=128256,context=4096", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "lawful.conventions/1"
    assert len(document["conventions"]) == 12
    first = document["conventions"][0]
    assert (first["params"], first["flops"]) == ("parameter_count", "budget")
    assert first["allocations"][0]["params_in_base"] == pytest.approx(first["allocations"][0]["params"])
    assert main(command) == 0
    assert "by convention alone" in capsys.readouterr().out
    assert main([*command, "--shape", "girth=3"]) == 2
    assert "A shape has the parts" in capsys.readouterr().err


@pytest.mark.filterwarnings("error")
def test_counts_that_differ_by_hundreds_of_decades_are_two() -> None:
    """A ratio of them would overflow."""
    runs = Runs.from_arrays([1.2e9, 9.5e9, 7.6e10], [7.6e10, 9.5e9, 1.2e9], [2.5, 2.3, 2.5], C=[5e-324, 5.4e20, 5.4e20])
    assert len(find_counts(runs)[1]) == 2
