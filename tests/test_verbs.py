"""The command line as a whole: groups of options, former flags, twins in Python, and the words of errors."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer

import lawful
from lawful.cli import main
from lawful.cli.app import VERBS, app
from lawful.cli.splice import VerbCommand

PACKAGE = Path(lawful.__file__).parent
EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "synthetic_sweep.csv"
POOL = EXAMPLE.with_name("next_pool.csv")


def leaves(name="lawful", command=None):
    """Every verb by its full name, ``study run`` among them."""
    command = typer.main.get_command(app) if command is None else command
    for child, one in getattr(command, "commands", {}).items():
        yield from leaves(f"{name} {child}", one)
    if not hasattr(command, "commands"):
        yield name.removeprefix("lawful "), command


COMMANDS = dict(leaves())
FLAGS = {verb: {flag for p in command.params for flag in p.opts} for verb, command in COMMANDS.items()}

GROUPS = {
    "reading": {"--columns", "--select"},
    "weights": {"--weights"},
    "check": {"--check"},
    "fitting": {"--objective", "--delta"},
    "holding": {"--fix", "--bounds"},
    "method": {"--method"},
    "law": {"--law"},
    "draws": {"--draws"},
    "level": {"--level"},
    "seed": {"--seed"},
    "intervals": {"--intervals", "--cluster"},
    "scale": {"--scale"},
    "budget": {"--budget"},
    "json": {"--json"},
    "out": {"--out"},
}
# Where a group is left out it makes no sense: check is the check, a comparison runs every method, an audit of many
# laws takes lists of them and of methods, bias and conventions are of Chinchilla's law, checkpoints are no runs
# yet, and what starts from a saved fit fits nothing.
MATRIX = {
    "fit": "reading weights check fitting holding method law draws level seed intervals scale budget json out",
    "compare": "reading weights check fitting holding law draws level seed intervals scale budget json out",
    "check": "reading weights json out",
    "look": "reading weights json out",
    "audit": "reading weights check fitting holding law draws level seed json out",
    "coverage": "reading weights check fitting holding method law draws level seed budget json out",
    "bias": "reading weights check fitting holding method budget json out",
    "conventions": "reading weights check fitting holding method budget json out",
    "isoflops": "reading json out",
    "plan": "reading weights check seed budget json out",
    "next": "law json out",
    "forecast": "reading level budget json",
    "predict": "reading level budget json out",
    "allocate": "level budget json out",
    "deadweight": "draws level seed budget json out",
    "speedup": "draws level seed budget json out",
    "report": "budget json out",
    "rerun": "json out",
    "profile": "level budget json out",
    "dial": "level budget json out",
    "indifference": "budget json out",
    "lack-of-fit": "seed json out",
    "bench": "json out",
    "explore": "reading check budget json out",
}


class TestGroups:
    def test_every_verb_has_its_row(self):
        assert set(MATRIX) | {
            "demo",
            "datasets list",
            "datasets fetch",
            "datasets path",
            "study list",
            "study run",
        } == set(COMMANDS)

    @pytest.mark.parametrize("group", GROUPS)
    @pytest.mark.parametrize("verb", MATRIX)
    def test_a_verb_has_a_group_whole_or_says_why_not(self, verb, group):
        wanted = GROUPS[group] if group in MATRIX[verb].split() else set()
        assert FLAGS[verb] & GROUPS[group] == wanted

    def test_an_option_is_declared_once(self):
        """The same flag means the same: one declaration, so one help and one default unless a verb presets it."""
        for flag in (
            "--columns",
            "--select",
            "--weights",
            "--check",
            "--law",
            "--fix",
            "--bounds",
            "--seed",
            "--level",
        ):
            helps = {p.help for verb in MATRIX for p in COMMANDS[verb].params if flag in p.opts}
            assert len(helps) == 1 or flag == "--level", flag  # of a saved fit the level is that of the fit by default


FORMER = {
    ("fit", "--bootstrap", "--draws"),
    ("fit", "--scheme", "--intervals"),
    ("compare", "--bootstrap", "--draws"),
    ("compare", "--scheme", "--intervals"),
    ("audit", "--bootstrap", "--draws"),
    ("coverage", "--bootstrap", "--draws"),
    ("speedup", "--bootstrap", "--draws"),
    ("deadweight", "--bootstrap", "--draws"),
    ("plan", "--budgets", "--trained"),
    ("plan", "--target", "--budget"),
    ("plan", "--sizes", "--sizes-per-budget"),
    ("isoflops", "--budgets", "--trained"),
    ("conventions", "--params", "--params-column"),
    ("conventions", "--flops", "--flops-column"),
}


def documents(capsys, *calls):
    found = []
    for call in calls:
        assert main([*map(str, call), "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out))
    return found


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A saved fit with its intervals."""
    return lawful.analyse(EXAMPLE, budgets=[1e24]).save(tmp_path_factory.mktemp("saved") / "fit.json")


@pytest.fixture
def counted(tmp_path):
    """Runs with another count of parameters and of FLOPs."""
    header, *rows = EXAMPLE.read_text().splitlines()
    cells = [row.split(",") for row in rows]
    more = [[*cell, str(0.9 * float(cell[1])), str(1.1 * float(cell[3]))] for cell in cells]
    path = tmp_path / "counted.csv"
    path.write_text("\n".join([f"{header},rest,measured", *map(",".join, more)]) + "\n")
    return path


class TestFormerFlags:
    def test_the_table_is_whole(self):
        assert {
            (verb, old, new)
            for verb, command in COMMANDS.items()
            if isinstance(command, VerbCommand)
            for old, new in command.former.items()
        } == FORMER

    @pytest.mark.parametrize(("verb", "old", "new"), sorted(FORMER))
    def test_works_as_before_and_no_help_shows_it(self, capsys, saved, counted, verb, old, new):
        start = {
            "fit": ["fit", EXAMPLE],
            "compare": ["compare", EXAMPLE, "--draws", "9"] if "draws" not in new else ["compare", EXAMPLE],
            "audit": ["audit", EXAMPLE, "--methods", "approach2", "--last", "1"],
            "coverage": ["coverage", EXAMPLE, "--repeats", "10"],
            "speedup": ["speedup", saved, saved, "--budget", "1e23"],
            "deadweight": ["deadweight", saved, "--budget", "1e23"],
            "plan": ["plan", "--prior", "besiroglu", "--layout", "grid"],
            "isoflops": ["isoflops", EXAMPLE],
            "conventions": ["conventions", counted],
        }[verb]
        value = {
            "--draws": "12",
            "--intervals": "delta",
            "--trained": "1e18:1e20:3" if verb == "plan" else "1e19",
            "--budget": "1e22",
            "--sizes-per-budget": "5",
            "--params-column": "rest",
            "--flops-column": "measured",
        }[new]
        rest = {"--trained": ("--budget", "1e22"), "--budget": ("--trained", "1e18:1e20:3")}.get(new, ())
        if new == "--sizes-per-budget":
            rest = ("--budget", "1e22", "--trained", "1e18:1e20:3")
        rest = rest if verb == "plan" else ()
        first, second = documents(capsys, [*start, *rest, old, value], [*start, *rest, f"{new}={value}"])
        # Under NumPy 1 on AVX-512 the last digit of logs was seen to move from call to call.
        digits = 17 if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else 13
        first, second = (
            json.loads(json.dumps(d), parse_float=lambda t: f"{float(t):.{digits}g}") for d in (first, second)
        )
        assert first == second
        main([*verb.split(), "--help"])
        assert not re.search(rf"{old}(?![\w-])", capsys.readouterr().out)

    def test_a_bad_value_is_said_of_the_flag_that_was_typed(self, capsys):
        assert main(["fit", str(EXAMPLE), "--bootstrap", "-3"]) == 2
        assert capsys.readouterr().err.startswith("--bootstrap must be 0 or more")
        assert main(["fit", str(EXAMPLE), "--draws", "-3"]) == 2
        assert capsys.readouterr().err.startswith("--draws must be 0 or more")

    def test_behind_a_bare_dash_dash_nothing_is_a_flag(self, capsys):
        assert main(["fit", "--", "--bootstrap"]) == 1
        assert "no file '--bootstrap'" in capsys.readouterr().err


class TestUsage:
    def test_all_that_is_missing_is_said_at_once_with_the_verbs_own_help(self, capsys):
        assert main(["plan"]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err == (
            "lawful plan needs --trained, --budget and --prior; usage: lawful plan --trained LOW:HIGH:COUNT --budget C "
            "--prior NAME|FIT.json [OPTIONS]; see lawful plan --help.\n"
        )

    @pytest.mark.parametrize("verb", [verb for verb, c in COMMANDS.items() if any(p.required for p in c.params)])
    def test_a_bare_verb_is_a_usage_error(self, capsys, verb):
        assert main(verb.split()) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert f"see lawful {verb} --help" in err

    @pytest.mark.parametrize("verb", COMMANDS)
    def test_an_unknown_flag_names_the_verbs_own_help(self, capsys, verb):
        assert main([*verb.split(), "--nonsense"]) == 2
        assert f"see lawful {verb} --help" in capsys.readouterr().err

    @pytest.mark.parametrize("verb", COMMANDS)
    def test_every_verb_has_help_with_examples(self, capsys, verb):
        assert main([*verb.split(), "--help"]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        assert f"lawful {verb}" in out
        assert "Examples:" in out

    def test_help_starts_with_what_a_newcomer_runs(self, capsys):
        main(["--help"])
        out = capsys.readouterr().out
        panels = ["Start here", "Decide", "Plan", "Look closer"]
        assert list(VERBS) == panels
        assert [out.index(f"─ {panel} ─") for panel in panels] == sorted(out.index(f"─ {panel} ─") for panel in panels)
        assert out.index("│ demo") < out.index("│ fit ") < out.index("│ check") < out.index("│ compare")

    def test_the_module_is_the_program(self):
        done = subprocess.run([sys.executable, "-m", "lawful", "--version"], capture_output=True, text=True, check=True)
        assert re.fullmatch(rf"lawful {lawful.__version__}, build [0-9a-f]{{8}} \(Python .*\)\n", done.stdout)

    def test_shells_can_complete(self, capsys, monkeypatch):
        main(["--help"])
        assert "--install-completion" in capsys.readouterr().out
        monkeypatch.setenv("_LAWFUL_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", "lawful fo")
        monkeypatch.setenv("COMP_CWORD", "1")
        done = subprocess.run([sys.executable, "-m", "lawful"], capture_output=True, text=True, check=False)
        assert done.stdout.split() == ["forecast"]


BAD = {
    "--columns": ["loss", "=x", "loss=", "size=N", "loss=no-such-column"],
    "--select": ["set", "=", "set=web"],
    "--weights": ["no-such-column"],
    "--law": ["no-such-law", ""],
    "--method": ["approach9"],
    "--objective": ["cubic"],
    "--delta": ["wide", "-1", "nan"],
    "--fix": ["E", "E=", "E=many", "gamma=1", "E=1,E=2"],
    "--bounds": ["alpha", "alpha=1", "alpha=2:1", "alpha=x:y", "gamma=0:1"],
    "--draws": ["-1", "many", "1.5"],
    "--intervals": ["guess"],
    "--level": ["0", "1", "nan", "high"],
    "--seed": ["-1", "x"],
    "--scale": ["params", "loss=2", "params=0", "params=big"],
    "--budget": ["0", "-1", "nan", "inf", "many", "", "5 bananas", "30 days on 8 q99", "$0", "1e22 at 900% MFU"],
    "--trained": ["", "x", "-1", "1e18:1e20", "1e18:1e20:0"],
    "--gpu": ["q99"],
    "--mfu": ["0", "2", "x"],
    "--price": ["-1", "x"],
    "--params": ["0", "big", "7Q"],
    "--tokens": ["0", "many"],
    "--tokens-per-param": ["0", "x"],
    "--sizes": ["0", "x", "7B,,13B"],
    "--unique-tokens": ["0", "x"],
    "--inference-tokens": ["0", "x"],
    "--loss": ["0", "x"],
    "--total-flops": ["0", "x"],
    "--repeats": ["x", "-1"],
    "--holdout": ["x"],
    "--last": ["0", "x"],
    "--width": ["1", "x"],
    "--ledger": [""],
    "--quantity": ["nope", ""],
    "--within": ["0", "x"],
    "--points": ["no-such-file.csv"],
}
START = {
    "fit": ["fit", EXAMPLE],
    "compare": ["compare", EXAMPLE],
    "check": ["check", EXAMPLE],
    "look": ["look", EXAMPLE],
    "audit": ["audit", EXAMPLE, "--methods", "approach2", "--last", "1"],
    "coverage": ["coverage", EXAMPLE, "--repeats", "10", "--draws", "0"],
    "bias": ["bias", EXAMPLE],
    "conventions": ["conventions", EXAMPLE],
    "isoflops": ["isoflops", EXAMPLE],
    "plan": ["plan", "--prior", "besiroglu", "--layout", "grid", "--given", EXAMPLE],
    "next": ["next", EXAMPLE, "--pool", POOL, "--cost", "budget", "--target", "params=7B,tokens=2T"],
    "forecast": ["forecast", "FIT"],
    "predict": ["predict", "FIT", "--params", "7B", "--tokens", "2T"],
    "allocate": ["allocate", "FIT"],
    "deadweight": ["deadweight", "FIT"],
    "speedup": ["speedup", "FIT", "FIT"],
    "report": ["report", "FIT"],
    "rerun": ["rerun", "FIT"],
    "profile": ["profile", "FIT", "--quantity", "params"],
    "dial": ["dial", "FIT"],
    "indifference": ["indifference", "FIT"],
    "lack-of-fit": ["lack-of-fit", "FIT"],
    "explore": ["explore", "FIT"],
}
NEEDED = {"--params": "7B", "--tokens": "2T", "--budget": "1e23", "--trained": "1e18:1e20:3"}
DEPENDENT = {"--delta": ["--objective", "huber"], "--width": ["--published"]}
CASES = [
    (verb, flag, value)
    for verb in START
    for flag, bad in BAD.items()
    if flag in FLAGS[verb]
    for value in bad
    if (verb, flag) not in {("plan", "--tokens-per-param"), ("bias", "--width")}
]


@pytest.mark.parametrize(("verb", "flag", "value"), CASES)
def test_a_bad_value_is_one_sentence(capsys, saved, tmp_path, monkeypatch, verb, flag, value):
    monkeypatch.chdir(tmp_path)
    needed = {p.opts[0] for p in COMMANDS[verb].params if p.required and p.param_type_name == "option"} - {"--prior"}
    if verb == "profile" or (verb == "allocate" and flag != "--loss"):
        needed.add("--budget")
    rest = [part for name in sorted(needed - {flag}) if name in NEEDED for part in (name, NEEDED[name])]
    start = [str(saved) if part == "FIT" else str(part) for part in START[verb]]
    if flag in start:
        start = start[: start.index(flag)] + start[start.index(flag) + 2 :]
    code = main([*start, *rest, *DEPENDENT.get(flag, []), flag, value])
    out, err = capsys.readouterr()
    shown = "" if verb == "look" and code == 1 else out  # a look shows the columns of what it refuses
    assert (code in (1, 2), shown, err.count("\n")) == (True, "", 1), (code, out, err)
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_strict_json_of_every_verb(capsys, saved, tmp_path, monkeypatch):
    """With --json a verb prints one strict document and nothing else; --out of a printing verb keeps the same."""
    monkeypatch.chdir(tmp_path)

    def refuse(constant):
        raise AssertionError(f"{constant} in strict JSON")

    for verb, start in START.items():
        needed = {p.opts[0] for p in COMMANDS[verb].params if p.required and p.param_type_name == "option"} - {
            "--prior"
        }
        if verb in ("allocate", "forecast", "profile"):
            needed.add("--budget")
        rest = [part for name in sorted(needed) if name in NEEDED for part in (name, NEEDED[name])]
        args = [str(saved) if part == "FIT" else str(part) for part in start]
        folder = (
            [] if verb in ("plan", "next", "isoflops", "report", "explore", "forecast") else ["--out", f"{verb}-out"]
        )
        assert (
            main([*args, *rest, *folder, *(["--no-figures"] if "--figures" in FLAGS[verb] else []), "--json"]) == 0
        ), verb
        out, err = capsys.readouterr()
        assert err == "", verb
        document = json.loads(out, parse_constant=refuse)
        assert document["schema"].startswith("lawful."), verb
        if folder and (tmp_path / folder[1] / f"{verb}.json").exists():
            kept = json.loads((tmp_path / folder[1] / f"{verb}.json").read_text(), parse_constant=refuse)
            assert kept["schema"] == document["schema"], verb


TWINS = {
    "fit": "lawful.analyse",
    "compare": "lawful.compare",
    "check": "lawful.check",
    "look": "lawful.look",
    "demo": "lawful.studies.demo.run_real_demo",
    "allocate": "lawful.Fit.allocate",
    "predict": "lawful.Fit.predict",
    "predict --points": "lawful.analysis.predictions.predict_points",
    "forecast": "lawful.Fit.forecast",
    "deadweight": "lawful.deadweight",
    "speedup": "lawful.speedup",
    "plan": "lawful.plan",
    "next": "lawful.next_run",
    "report": "lawful.Analysis.report",
    "rerun": "lawful.rerun",
    "explore": "lawful.explore",
    "audit": "lawful.audit",
    "bench": "lawful.forecasting.bench.bench",
    "coverage": "lawful.Fit.coverage",
    "profile": "lawful.Fit.profile",
    "dial": "lawful.Fit.dial",
    "indifference": "lawful.Fit.indifference",
    "lack-of-fit": "lawful.Fit.lack_of_fit",
    "bias": "lawful.bias",
    "conventions": "lawful.conventions",
    "isoflops": "lawful.isoflop_points",
    "datasets list": "lawful.sources.published.PUBLISHED_SETS",
    "datasets fetch": "lawful.fetch",
    "datasets path": "lawful.sources.published.cached_path",
    "study list": "lawful.studies.study.all_studies",
    "study run": "lawful.studies.runner.run_studies",
}
"""The verb and what does the same in Python."""

WITHIN = {
    "fit": "fit",
    "fit_isoflop": "fit --method",
    "fit_envelope": "fit --method",
    "style": "fit --figures",
    "law": "fit --law",
    "sum_of_powers": "fit --law",
    "read_runs": "fit --columns",
    "load": "report",
    "Analysis.asking": "allocate --budget",
    "Fit.over": "fit",
    "simulate": "demo --synthetic",
    "Fit.intervals": "fit --intervals",
    "Fit.bootstrap": "fit --draws",
    "Fit.save": "fit --out",
    "Fit.plot": "fit --figures",
    "Fit.summary": "fit",
    "Fit.sheets": "fit",
    "Fit.judge": "fit",
    "Fit.to_frame": "fit --json",
    "Analysis.allocate": "allocate",
    "Analysis.answering": "report --budget",
    "Analysis.withholds": "report --budget",
    "Analysis.isoflop_at": "fit --budget",
    "Analysis.predict": "predict",
    "Analysis.forecast": "forecast",
    "Analysis.save": "fit --out",
    "Analysis.plot": "fit --figures",
    "Analysis.sheets": "fit",
    "Analysis.allocation_sheets": "allocate",
    "Analysis.average_sheets": "fit --method",
    "Analysis.fit_sheet": "fit",
    "Analysis.interval": "fit --level",
    "Fit.optimum": "allocate",
    "Analysis.to_frame": "fit --json",
}
"""What Python has that is part of a verb, and the flag that reaches it."""


def located(path):
    """The object that a dotted path names: modules first, attributes behind them."""
    parts = path.split(".")
    found = importlib.import_module(parts[0])
    for i, part in enumerate(parts[1:], 2):
        try:
            found = getattr(found, part)
        except AttributeError:
            found = importlib.import_module(".".join(parts[:i]))
    return found


def public_callables():
    """Functions of the top level, and methods of the two records that a user holds."""
    for name in lawful.__all__:
        if inspect.isfunction(getattr(lawful, name)):
            yield name
    for kind in (lawful.Fit, lawful.Analysis):
        for name, value in inspect.getmembers(kind, inspect.isfunction):
            if not name.startswith("_"):
                yield f"{kind.__name__}.{name}"
                assert value.__doc__


class TestTwins:
    @pytest.mark.parametrize("verb", COMMANDS)
    def test_every_verb_has_a_twin_in_python(self, verb):
        assert located(TWINS[verb]) is not None

    @pytest.mark.parametrize("name", sorted(public_callables()))
    def test_every_public_function_has_a_verb_or_a_flag(self, name):
        assert f"lawful.{name}" in TWINS.values() or name in WITHIN

    @pytest.mark.parametrize("name", WITHIN)
    def test_the_flag_that_reaches_it_exists(self, name):
        verb, _, flag = WITHIN[name].partition(" --")
        assert located(f"lawful.{name}") is not None
        assert not flag or f"--{flag}" in FLAGS[verb]


@pytest.mark.parametrize(
    ("call", "schema"),
    [
        (["demo", "--synthetic", "--out", "d"], "lawful.demo/1"),
        (["datasets", "list"], "lawful.datasets/1"),
        (["datasets", "path", "tinysweep"], None),
        (["datasets", "fetch", "tinysweep"], None),
        (["study", "list"], "lawful.studies/1"),
        (["study", "run", "14", "--quick", "--jobs", "1", "--out", "s"], "lawful.study-run/1"),
    ],
)
def test_strict_json_of_the_other_verbs(capsys, tmp_path, monkeypatch, call, schema):
    monkeypatch.chdir(tmp_path)
    assert main([*call, "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out, parse_constant=pytest.fail).get("schema") == schema


class TestWords:
    """The library speaks of options by their Python keyword, in backticks; the command line writes the flag."""

    @pytest.mark.parametrize(
        "path", sorted(p for p in PACKAGE.rglob("*.py") if "cli" not in p.parts), ids=lambda p: p.name
    )
    def test_no_sentence_of_the_library_names_a_flag(self, path):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        found = [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told
            # A whole command to type is no option of the caller's, var(--ink) a colour.
            if re.search(r"(?<![\w(-])--[a-z]", node.value) and "lawful " not in node.value
        ]
        assert found == [] or path.name in COMMANDS_SHOWN

    def test_a_sentence_gets_the_flag_of_the_verb(self, capsys, tmp_path):
        table = tmp_path / "t.csv"
        table.write_text("params,tokens,loss\n1e8,1e9,3\n2e8,1e9,2.9\n")
        assert main(["fit", str(table)]) == 1
        assert "hold coefficients fixed (--fix E=1.69)" in capsys.readouterr().err
        with pytest.raises(lawful.IdentificationError, match=r"hold coefficients fixed \(`fixed` E=1.69\)"):
            lawful.fit(str(table))


COMMANDS_SHOWN = {"datasets.py", "words.py", "look.py", "unused.py"}
"""Files that show commands to type, flag by flag."""
