"""``lawful check`` and ``lawful fit --check``: tables, documents, files, and the figure."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest

import lawful
from lawful.checks.rules import KEPT, SENTENCES, Thresholds
from lawful.cli import main
from lawful.design.plan import plan_isoflop, simulate, study_surface
from lawful.show.checked import check_document
from lawful.show.figures.check_figure import MOST_PANELS, plot_check

QUICK = ("--bootstrap", "0", "--no-figures")


@pytest.fixture
def call(capsys):
    def run(*args):
        code = main([str(a) for a in args])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def document(call):
    def run(*args):
        code, out, err = call(*args, "--json")
        assert (code, err) == (0, "")
        return json.loads(out, parse_constant=lambda c: pytest.fail(f"{c} in strict JSON"))

    return run


@pytest.fixture(autouse=True)
def _quick_reports(monkeypatch):
    def write_report_files(folder, analysis, checked=None):
        (folder / "report.html").write_text(f"<html>{analysis.method}</html>")

    monkeypatch.setattr("lawful.show.files.bundle.write_report_files", write_report_files)


def sweep_rows(seed=0):
    truth = study_surface("chinchilla")
    runs = simulate(truth, plan_isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.003, seed=seed)
    return [[f"{v:.17g}" for v in row] for row in zip(runs.N, runs.D, runs.C, runs.L, strict=True)]


def write(path, rows, header=("params", "tokens", "budget", "loss")):
    path.write_text("\n".join(",".join(row) for row in [header, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def spoilt_csv(tmp_path):
    """A clean sweep with a crashed run at row 3 and row 5 repeated, worse, at the end."""
    rows = sweep_rows()
    rows[2][3] = "diverged"
    rows.append([*rows[4][:3], "9.5"])
    return write(tmp_path / "runs.csv", rows)


class TestDocument:
    def test_has_every_promised_key(self, document, spoilt_csv):
        found = document("check", spoilt_csv)
        assert (found["schema"], found["n_runs"], found["n_kept"]) == ("lawful.check/1", 28, 26)
        assert list(found["counts"]) == list(SENTENCES)
        assert {code: n for code, n in found["counts"].items() if n} == {"invalid_value": 1, "exact_duplicate": 1}
        assert [row["row"] for row in found["rows"]] == list(range(1, 29))
        assert found["rows"][0] == {"row": 1, "outlier": False, "reason": "none"}
        assert found["rows"][2] == {"row": 3, "outlier": True, "reason": "invalid_value"}
        assert found["rows"][27] == {"row": 28, "outlier": True, "reason": "exact_duplicate"}

    def test_every_threshold_has_a_flag(self, document, spoilt_csv):
        values = {
            "min_points": 9,
            "merge": 0.02,
            "margin": 3.5,
            "spline_z": 4.5,
            "spline_points": 4,
            "curvature_level": 0.9,
            "flops_rounding": 1e-6,
        }
        assert set(values) == set(Thresholds().to_dict())
        options = [part for name, value in values.items() for part in (f"--{name.replace('_', '-')}", value)]
        found = document("check", spoilt_csv, *options)
        assert found["thresholds"] == values
        # The crashed run leaves eight of its budget.
        assert found["counts"]["too_few_points"] == 8

    def test_the_defaults_of_the_flags_are_those_of_python(self, document, spoilt_csv):
        assert document("check", spoilt_csv)["thresholds"] == Thresholds().to_dict()

    def test_it_says_what_python_says(self, document, spoilt_csv):
        assert document("check", spoilt_csv) == check_document(lawful.check(spoilt_csv))

    def test_columns_select_and_by_are_those_of_fit(self, document, tmp_path):
        rows = [[*row, lab] for lab in ("a", "b", "c") for row in sweep_rows()]
        path = write(tmp_path / "labs.csv", rows, ("n", "tokens", "flops", "eval", "lab"))
        found = document(
            "check", path, "--columns", "params=n,loss=eval", "--select", "lab=a", "--select", "lab=c", "--by", "lab"
        )
        assert (found["n_runs"], found["by"], found["counts"]["exact_duplicate"]) == (54, "lab", 0)
        assert [row["row"] for row in found["rows"]] == [*range(1, 28), *range(55, 82)]
        assert document("check", path, "--columns", "params=n,loss=eval")["counts"]["exact_duplicate"] == 54


class TestTable:
    def test_a_count_per_rule_and_what_the_rules_say(self, call, spoilt_csv):
        code, out, err = call("check", spoilt_csv)
        assert (code, err) == (0, "")
        assert "26 of 28 runs kept" in " ".join(out.split())
        for rule in SENTENCES:
            assert re.search(rf"^{rule} ", out, re.MULTILINE), rule
        assert re.search(r"^invalid_value +1 +3\b", out, re.MULTILINE)
        assert re.search(r"^exact_duplicate +1 +28\b", out, re.MULTILINE)
        assert f"exact_duplicate: {SENTENCES['exact_duplicate']}" in " ".join(out.split())

    def test_several_experiments_have_a_line_each(self, call, tmp_path):
        rows = [[*row, lab] for lab in ("web", "books") for row in sweep_rows()]
        rows[0][3] = "nan"
        out = call("check", write(tmp_path / "two.csv", rows, ("N", "D", "C", "loss", "dataset")))[1]
        assert re.search(r"^web +26 of 27 +invalid_value 1", out, re.MULTILINE)
        assert re.search(r"^books +27 of 27 +-", out, re.MULTILINE)
        assert "note check_by: The table holds 2 experiments (column 'dataset': web, books)" in " ".join(out.split())

    @pytest.mark.parametrize(
        ("options", "code", "sentence"),
        [
            (("--margin", "-1"), 2, "The threshold margin must be a finite number above 0, got -1.0."),
            (("--by", "lab"), 1, "The table has no column 'lab', which --by names"),
            (("--columns", "loss=x"), 1, "The table has no column 'x', which --columns names"),
            (("--min-points", "six"), 2, "Invalid value for '--min-points'"),
        ],
    )
    def test_trouble_is_one_sentence(self, call, spoilt_csv, options, code, sentence):
        found, out, err = call("check", spoilt_csv, *options)
        assert (found, out) == (code, "")
        assert err.startswith(sentence)
        assert err.count("\n") == 1

    def test_a_missing_file_leaves_no_directory(self, call, tmp_path):
        code, out, err = call("check", tmp_path / "no.csv", "--out", tmp_path / "out")
        assert (code, out) == (1, "")
        assert "There is no file" in err
        assert list(tmp_path.iterdir()) == []


class TestOut:
    def test_writes_every_row_in_its_order_with_the_reason(self, call, spoilt_csv, tmp_path):
        folder = tmp_path / "out"
        code, out, _ = call("check", spoilt_csv, "--out", folder)
        assert code == 0
        assert {p.name for p in folder.iterdir()} == {"runs.csv", "check.png", "check.svg", "check.json"}
        assert "check.json, check.png, check.svg, runs.csv" in " ".join(out.split())
        with spoilt_csv.open(encoding="utf-8") as before, (folder / "runs.csv").open(encoding="utf-8") as after:
            given, rows = list(csv.DictReader(before)), list(csv.DictReader(after))
        assert list(rows[0]) == [*given[0], "outlier", "reason"]
        assert [row["loss"] for row in rows] == [row["loss"] for row in given]
        assert [float(row["params"]) for row in rows] == [float(row["params"]) for row in given]
        expected = lawful.check(spoilt_csv)
        assert [row["reason"] for row in rows] == expected.reason.tolist()
        assert [row["outlier"] for row in rows] == [str(flag) for flag in expected.outlier]

    def test_a_second_run_replaces_the_first_and_nothing_else(self, call, spoilt_csv, tmp_path):
        folder = tmp_path / "out"
        assert call("check", spoilt_csv, "--out", folder)[0] == 0
        (folder / "mine.txt").write_text("keep me")
        assert call("check", spoilt_csv, "--out", folder, "--no-figures")[0] == 0
        assert {p.name for p in folder.iterdir()} == {"runs.csv", "check.json", "mine.txt"}

    def test_each_experiment_has_a_figure(self, call, tmp_path, monkeypatch):
        monkeypatch.setattr(
            "lawful.show.checked.save_figures",
            lambda figure, folder, name, kinds: (folder / f"{name}.png").write_text(str(figure)),
        )
        rows = [[*row, lab] for lab in ("web", "a/b") for row in sweep_rows()]
        path = write(tmp_path / "two.csv", rows, ("N", "D", "C", "loss", "dataset"))
        assert call("check", path, "--out", tmp_path / "out")[0] == 0
        names = {p.name for p in (tmp_path / "out").iterdir() if p.suffix == ".png"}
        assert names == {"check-web.png", "check-a-b.png"}


class TestFigure:
    def test_every_budget_has_a_panel_and_every_reason_its_mark(self, shared_data):
        checked = lawful.check(
            shared_data / "isoflops.csv", select={"experiment": "misfitting__fineweb_c4__transformer"}
        )
        figure = plot_check(checked)
        assert len(figure.axes) == 26
        drawn = sum(len(collection.get_offsets()) for ax in figure.axes for collection in ax.collections)
        assert drawn == 176
        kept = [re.search(r": (\d+) of (\d+) kept$", ax.get_title(loc="left")).groups() for ax in figure.axes]
        assert sum(int(n) for n, _ in kept) == 106
        assert sum(int(n) for _, n in kept) == 176
        labels = [text.get_text() for text in figure.legends[0].get_texts()]
        assert labels == [
            "kept 106",
            "too_few_points 32",
            "off_center 20",
            "spline_outlier 6",
            "weak_curvature 5",
            "too_few_post_qc 7",
        ]

    def test_a_run_beyond_the_panel_is_pinned_with_its_loss(self):
        truth = study_surface("chinchilla")
        runs = simulate(truth, plan_isoflop([1e19, 1e20], 9, surface=truth), noise=0.003)
        loss = runs.L.copy()
        loss[4] = 9.87
        checked = lawful.check({"N": runs.N, "D": runs.D, "C": runs.C, "loss": loss})
        ax = plot_check(checked).axes[0]
        assert checked.reason[4] == "spline_outlier"
        assert ax.get_ylim()[1] < 9.87
        assert "↑9.87" in {text.get_text() for text in ax.texts}

    def test_rows_without_numbers_are_counted_where_they_cannot_be_drawn(self, spoilt_csv):
        labels = [text.get_text() for text in plot_check(lawful.check(spoilt_csv)).legends[0].get_texts()]
        assert "invalid_value 1 (not drawn)" in labels

    def test_of_very_many_budgets_those_with_the_most_runs_are_drawn(self):
        C = np.repeat(10.0 ** np.linspace(15, 25, MOST_PANELS + 3), 3)[:-2]
        checked = lawful.check({"N": np.full(C.size, 1e8), "budget": C, "loss": np.full(C.size, 3.0)})
        figure = plot_check(checked)
        assert len(figure.axes) == MOST_PANELS
        assert figure.get_suptitle() == f"{MOST_PANELS} of {MOST_PANELS + 3} budgets: those with the most runs"

    def test_several_experiments_need_a_name(self, tmp_path):
        rows = [[*row, lab] for lab in ("web", "books") for row in sweep_rows()]
        checked = lawful.check(write(tmp_path / "two.csv", rows, ("N", "D", "C", "loss", "dataset")))
        assert len(plot_check(checked, "books").axes) == 3
        with pytest.raises(lawful.UnsupportedError, match="The table holds 2 experiments; name one of 'web', 'books'"):
            plot_check(checked)
        with pytest.raises(lawful.UnsupportedError, match="There is no experiment 'news'; name one of 'web', 'books'"):
            plot_check(checked, "news")

    def test_nothing_to_draw_is_one_sentence(self):
        checked = lawful.check({"N": [1e9], "D": [1e10], "loss": [None]})
        with pytest.raises(lawful.IdentificationError, match="Every row has an invalid value"):
            plot_check(checked)


class TestFitCheck:
    def test_fits_the_kept_runs_and_counts_the_others(self, document, spoilt_csv):
        found = document("fit", spoilt_csv, "--check", "--method", "vpnls", "--budget", "1e21", *QUICK)
        assert found["n_runs"] == 26
        assert {note["code"] for note in found["notes"]} >= {"check_flagged", "check_moved"}
        check = found["check"]
        assert (check["n_runs"], check["n_kept"]) == (28, 26)
        assert sum(check["counts"].values()) == 2
        (move,) = check["moves"]
        assert (move["budget"], move["moved"]) == (1e21, True)
        assert move["params_kept"] == found["allocations"][0]["params"]
        # All runs that have a loss, the bad twin included.
        everything = lawful.fit(lawful.check(spoilt_csv).runs, method="vpnls")
        assert move["params_all"] == pytest.approx(float(everything.surface.optimum(1e21).params), rel=1e-9)

    def test_without_the_flag_the_crashed_run_is_refused(self, call, spoilt_csv):
        code, out, err = call("fit", spoilt_csv, *QUICK)
        assert (code, out) == (1, "")
        assert "row 3 ('diverged')" in err

    def test_a_clean_table_gives_the_same_fit_and_no_note(self, document, tmp_path):
        path = write(tmp_path / "clean.csv", sweep_rows())
        plain, checked = (document("fit", path, *extra, *QUICK) for extra in ((), ("--check",)))
        assert checked.pop("check")["moves"][0]["moved"] is False
        assert checked == plain

    def test_out_holds_all_rows_and_the_counts(self, call, spoilt_csv, tmp_path):
        folder = tmp_path / "out"
        assert call("fit", spoilt_csv, "--check", *QUICK, "--out", folder)[0] == 0
        with (folder / "checked.csv").open(encoding="utf-8") as file:
            reasons = [row["reason"] for row in csv.DictReader(file)]
        assert len(reasons) == 28
        assert reasons.count(KEPT) == 26
        saved = json.loads((folder / "fit.json").read_text(encoding="utf-8"))
        assert saved["check"]["n_kept"] == 26
        assert "checked.csv" in saved["files"]
        assert len(lawful.load(folder / "fit.json").fit.runs) == 26

    def test_groups_are_checked_apart_and_hopeless_ones_have_a_reason(self, document, tmp_path):
        rows = [[*row, lab] for lab in ("web", "books") for row in sweep_rows()]
        rows[0][3] = "nan"
        rows += [["1e8", "1e10", "6e18", "?", "lost"], ["1e8", "1e10", "6e18", "3.0", "few"]]
        path = write(tmp_path / "two.csv", rows, ("N", "D", "C", "loss", "dataset"))
        found = document("fit", path, "--by", "dataset", "--check", *QUICK)
        fits = {group["value"]: group["fit"] for group in found["groups"]}
        assert {value: fit["n_runs"] for value, fit in fits.items()} == {"web": 26, "books": 27, "lost": 0, "few": 0}
        assert fits["lost"]["notes"][0]["message"] == "check flags 1 of 1 rows, so none is left: invalid_value 1."
        assert fits["few"]["notes"][0]["message"] == "check flags 1 of 1 rows, so none is left: too_few_points 1."
        assert [move["group"] for move in found["check"]["moves"]] == ["web", "books"]

    def test_a_table_with_nothing_left_is_one_sentence(self, call, tmp_path):
        path = write(tmp_path / "few.csv", sweep_rows()[:4])
        code, out, err = call("fit", path, "--check", *QUICK)
        assert (code, out, err) == (1, "", "check flags 4 of 4 rows, so none is left: too_few_points 4.\n")
