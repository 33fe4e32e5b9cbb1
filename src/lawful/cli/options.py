"""The options that verbs share: one group for reading, one for fitting, one for sampling, one for output."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lawful.cli import values
from lawful.cli.bounds import Yes, check_request
from lawful.cli.splice import Formerly, Switch
from lawful.cli.terminal import print_document, print_sheets, show, written_line
from lawful.errors import UnsupportedError

if TYPE_CHECKING:  # NumPy is loaded by the commands, not by --help
    from lawful.checks.check import Checked
    from lawful.core.cost import Cost
    from lawful.core.objective import Objective
    from lawful.data.runs import Runs
    from lawful.estimate.result import Fit, FrontierFit
Documented = Callable[[], Mapping[str, Any]]
SheetsMade = Callable[[], Sequence[Any]]


class MethodName(StrEnum):
    """The four ways to fit, under the names the field knows, or the one that suits."""

    auto = "auto"
    vpnls = "vpnls"
    approach1 = "approach1"
    approach2 = "approach2"
    approach3 = "approach3"


class ObjectiveChoice(StrEnum):
    """What may be minimised."""

    squared = "squared"
    huber = "huber"
    log_huber = "log-huber"
    log_squared = "log-squared"


class SchemeName(StrEnum):
    """Where intervals come from."""

    profile = "profile"
    delta = "delta"
    within_budget = "within-budget"
    rows = "rows"
    wild = "wild"
    residual = "residual"
    cluster = "cluster"
    none = "none"


DATA, FITTING, UNCERTAINTY, HARDWARE, OUTPUT = "Data", "Fitting", "Uncertainty", "Hardware", "Output"

RunsPath = Annotated[
    list[str],
    typer.Argument(
        metavar="RUNS",
        help="Tables of runs: CSV, JSON, Parquet and the like; files, patterns, addresses, or - for stdin.",
    ),
]
FitPath = Annotated[str, typer.Argument(metavar="FIT.json", help="A fit.json written by lawful fit --out.")]
Budgets = Annotated[
    list[str] | None,
    typer.Option(
        "--budget",
        metavar="C",
        help="Budget asked about: FLOPs, '30 days on 1024 h100' or '$5M'; repeat or separate by commas.",
    ),
]
Budget = Annotated[
    str | None,
    typer.Option("--budget", metavar="C", help="Budget asked about: FLOPs, '30 days on 1024 h100' or '$5M'."),
]
NeededBudget = Annotated[
    str, typer.Option("--budget", metavar="C", help="Budget asked about: FLOPs, '30 days on 1024 h100' or '$5M'.")
]
Window = Annotated[
    str,
    typer.Option(
        "--window",
        metavar="K|Fx|none",
        help="Sizes that Approach 2's parabolas go through: K around each lowest loss, within a factor of F, or all. "
        "Default: all, 6x on wide sweeps.",
        rich_help_panel=FITTING,
    ),
]
By = Annotated[
    str | None,
    typer.Option("--by", metavar="COLUMN", help="Take each group of this column on its own.", rich_help_panel=DATA),
]
Share = Annotated[
    list[str] | None,
    typer.Option(
        "--share",
        metavar="NAME,NAME,...",
        help="With --by: coefficients that the groups share; the others are each group's own.",
        rich_help_panel=FITTING,
    ),
]
LevelOrSaved = Annotated[
    float | None,
    typer.Option("--level", help="Level of the intervals; that of the fit by default.", rich_help_panel=UNCERTAINTY),
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of every random draw.", rich_help_panel=UNCERTAINTY)]
Json = Annotated[bool, typer.Option("--json", help="Print strict JSON.", rich_help_panel=OUTPUT)]
Scale = Annotated[
    list[str] | None,
    typer.Option(
        "--scale",
        metavar="QUANTITY=UNIT",
        help="Units that A and B refer to: params=1e6,tokens=1e9.",
        rich_help_panel=OUTPUT,
    ),
]


def parse_scale(scale: Sequence[str] | None) -> dict[str, float]:
    """Read the units that A and B refer to."""
    from lawful.show.files.document import check_scale

    return check_scale(values.parse_numbers("--scale", values.split(scale)))


LAW_HELP = "Law of the catalogue, such as skaling, or a formula: 'loss = E + A/params^alpha + C*experts^-gamma'."
"""Help of --law, one law or several."""


@dataclass(frozen=True)
class Reading:
    """Which rows and columns of a table are the runs."""

    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--columns",
            metavar="QUANTITY=COLUMN",
            help="Name a column, loss=val, or give a formula of columns, tokens='steps*batch_size*seq_len'.",
            rich_help_panel=DATA,
        ),
    ] = None
    select: Annotated[
        list[str] | None,
        typer.Option("--select", metavar="COLUMN=VALUE", help="Keep the rows with this value.", rich_help_panel=DATA),
    ] = None
    weights: Annotated[
        str | None, typer.Option("--weights", metavar="COLUMN", help="Column of run weights.", rich_help_panel=DATA)
    ] = None
    as_is: Annotated[
        bool,
        typer.Option("--as-is", help="Take numbers that only a forgotten unit would explain.", rich_help_panel=DATA),
    ] = False
    best_of_cell: Annotated[
        bool,
        typer.Option(
            "--best-of-cell", help="Keep the best run of every N and D (hyper-parameter sweeps).", rich_help_panel=DATA
        ),
    ] = False
    where: Annotated[
        str | None,
        typer.Option(
            "--where", metavar="CONDITION", help="Keep the rows with 'loss < 4 and lr == 3e-4'.", rich_help_panel=DATA
        ),
    ] = None
    drop: Annotated[
        list[str] | None,
        typer.Option(
            "--drop",
            metavar="ROWS",
            help="Leave out rows, counted from 1, 3,17-19, or nan: those that lack a number.",
            rich_help_panel=DATA,
        ),
    ] = None
    group_by: Annotated[
        str | None,
        typer.Option(
            "--group-by",
            metavar="COLUMN",
            help="Column that names the budget of each run, where compute does not tell.",
            rich_help_panel=DATA,
        ),
    ] = None
    row_of_run: Annotated[
        str | None,
        typer.Option(
            "--row-of-run", metavar="last|best", help="Keep one row of every run of a history.", rich_help_panel=DATA
        ),
    ] = None
    fill_down: Annotated[
        list[str] | None,
        typer.Option(
            "--fill-down",
            metavar="COLUMN",
            help="Take a blank cell of this column for the value above it, as merged cells leave; repeatable.",
            rich_help_panel=DATA,
        ),
    ] = None
    check: Annotated[
        bool,
        typer.Option("--check", help="Leave out the runs that lawful check flags, and say so.", rich_help_panel=DATA),
    ] = False

    def __post_init__(self) -> None:
        self.words()

    def needs_table(self, option: str) -> None:
        """Refuse to read by these options where the option that names the table was left out."""
        given = [f"--{one.name.replace('_', '-')}" for one in fields(self) if getattr(self, one.name)]
        if given:
            msg = f"{' and '.join(given)} would read the table of {option}; give that too, or leave it out."
            raise UnsupportedError(msg)

    def arguments(self) -> list[str]:
        """Return what was asked of the table as the words of a command, in the order of the options."""
        words = []
        for one in fields(self):
            value = getattr(self, one.name)
            flag = f"--{one.name.replace('_', '-')}"
            if value is True:
                words.append(flag)
            elif value:
                words += [word for text in ([value] if isinstance(value, str) else value) for word in (flag, text)]
        return words

    def for_law(self, law: str) -> Reading:
        """Return the same for a formula, which may name the column of its loss."""
        from lawful.laws.formula import is_formula, loss_column

        left = loss_column(law) if is_formula(law) else None
        if left is None:
            return self
        named = any(text.strip().casefold().startswith(("loss=", "l=")) for text in values.split(self.columns))
        columns = self.columns if named else [*(self.columns or []), f"loss={left}"]
        return NamedLoss(**{**vars(self), "columns": columns})

    def words(self) -> dict[str, Any]:
        """Return what was asked of the table, as :func:`lawful.read_runs` takes it."""
        asked = {"columns": values.parse_columns(self.columns), "select": values.parse_selection(self.select)}
        handling = {"as_is": self.as_is, "best_of_cell": self.best_of_cell, "where": self.where}
        rows = {"drop": values.parse_rows(self.drop), "group_by": self.group_by, "row_of_run": self.row_of_run}
        return {**asked, "weights": self.weights, **handling, **rows, "fill_down": tuple(self.fill_down or ())}

    def read(self, path: str | Sequence[str], needs: Sequence[str] | None = None) -> Runs:
        """Read the runs that have the columns needed; with --check those that the check keeps."""
        if self.check:
            return self.checked(path).kept
        from lawful.sources.read import read_runs

        runs: Runs = read_runs(path, **self.words(), needs=needs)
        return runs

    def checked(self, path: str | Sequence[str], by: str | None = None) -> Checked:
        """Read and check the runs."""
        from lawful.checks.check import check

        return check(path, by=by, **self.words())


@dataclass(frozen=True)
class NamedLoss(Reading):
    """The same for a formula that names the column of its loss, which may then be zero or negative."""

    def words(self) -> dict[str, Any]:
        """Return what was asked of the table, as :func:`lawful.read_runs` takes it."""
        return {**super().words(), "signed": True}


@dataclass(frozen=True)
class Fitting:
    """How the runs are fitted."""

    method: Annotated[
        MethodName,
        typer.Option(
            "--method",
            help="How to fit. auto: vpnls, approach3 where vpnls cannot do what is asked or squares would mislead.",
            rich_help_panel=FITTING,
        ),
    ] = MethodName.auto
    law: Annotated[
        str,
        typer.Option(
            "--law",
            metavar="LAW",
            help=LAW_HELP,
            rich_help_panel=FITTING,
        ),
    ] = "chinchilla"
    objective: Annotated[
        ObjectiveChoice | None,
        typer.Option(
            "--objective",
            help="What to minimise. Default: squared for vpnls, log-huber for approach3.",
            rich_help_panel=FITTING,
        ),
    ] = None
    delta: Annotated[
        str | None,
        typer.Option(
            "--delta",
            help="Width of the Huber objectives (1e-3), or auto: from the residuals.",
            rich_help_panel=FITTING,
        ),
    ] = None
    fix: Annotated[
        list[str] | None,
        typer.Option(
            "--fix",
            metavar="NAME=VALUE",
            help="Hold a coefficient, E=1.69; know E with a width, E=1.6±0.1; tie one: alpha=beta. "
            "An audit takes a range, E=1.4:1.8:5.",
            rich_help_panel=FITTING,
        ),
    ] = None
    bounds: Annotated[
        list[str] | None,
        typer.Option(
            "--bounds", metavar="NAME=LOW:HIGH", help="Bound a coefficient: alpha=0.01:1.5.", rich_help_panel=FITTING
        ),
    ] = None

    def __post_init__(self) -> None:
        self.how()

    @property
    def method_name(self) -> str:
        """The method asked for, or the one that suits the law and the objective; an unknown law is refused."""
        return self._method_for(self.goal)

    def _method_for(self, goal: Objective | None) -> str:
        from lawful.estimate.solvers import as_solver
        from lawful.laws.formula import is_formula
        from lawful.laws.laws import DEFAULT_LAW, find_law

        # A formula is fitted as the default law is: what it is linear in is eliminated.
        law = find_law(DEFAULT_LAW if is_formula(self.law) else self.law)
        return self.method.value if self.method is not MethodName.auto else as_solver("auto", law, goal).method

    @property
    def goal(self) -> Objective | None:
        """What to minimise; None where the method chooses."""
        name = self.objective
        if name is None and self.delta is not None and self._method_for(None) == "approach3":
            name = ObjectiveChoice.log_huber  # the method's own objective, at another width
        return values.parse_objective(name and name.value, self.delta)

    def how(self) -> dict[str, Any]:
        """Return the objective and what holds the coefficients, as :func:`lawful.analyse` takes them."""
        return {
            "objective": self.goal,
            "fixed": values.parse_pins("--fix", values.split(self.fix)),
            "bounds": values.parse_ranges("--bounds", self.bounds),
        }

    def words(self) -> dict[str, Any]:
        """Return the method, the law and how they are fitted, as :func:`lawful.analyse` takes them."""
        return {"method": self.method_name, "law": self.law, **self.how()}


def of_a_surface(fitting: Fitting, purpose: str) -> dict[str, Any]:
    """Return how a surface is fitted, or say that the method asked for has none."""
    asked = fitting.words()
    if asked["method"] not in ("vpnls", "approach3"):
        msg = f"{asked['method']} has no surface {purpose}; use vpnls or approach3."
        raise UnsupportedError(msg)
    return asked


def with_surface(fit: Fit | FrontierFit) -> Fit:
    """Return a saved fit that has a surface, or say that this one has none."""
    if fit.surface is None:
        msg = f"This is a fit by {fit.method}, which has no surface; fit with vpnls or approach3."
        raise UnsupportedError(msg)
    return fit


DRAW_SECONDS, DRAW_BYTES = 2e-5, 200.0
"""What a draw takes on a hundred runs: a refit, and the numbers that are kept of it."""


@dataclass(frozen=True)
class Sampling:
    """How sure the answer is, and by which draws."""

    draws: Annotated[
        int | None,
        typer.Option(
            "--draws",
            metavar="N",
            help="Intervals from N bootstrap draws; 0 for no intervals.",
            rich_help_panel=UNCERTAINTY,
        ),
        Formerly("--bootstrap"),
    ] = None
    intervals: Annotated[
        SchemeName | None,
        typer.Option(
            "--intervals",
            help="Where intervals come from. Default: profile, within-budget for methods without a surface.",
            rich_help_panel=UNCERTAINTY,
        ),
        Formerly("--scheme"),
    ] = None
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster",
            metavar="COLUMN|none",
            help="Labels of runs that share an error; none for independent runs. Found from the runs by default.",
            rich_help_panel=UNCERTAINTY,
        ),
    ] = None
    level: Annotated[float, typer.Option("--level", help="Level of the intervals.", rich_help_panel=UNCERTAINTY)] = 0.9
    seed: Seed = 0
    yes: Yes = False

    def __post_init__(self) -> None:
        values.check_sampling(draws=self.draws, level=self.level, seed=self.seed)
        many = self.draws or 0
        check_request(f"{many:,} draws", seconds=many * DRAW_SECONDS, bytes_=many * DRAW_BYTES, yes=self.yes)

    def words(self) -> dict[str, Any]:
        """Return the kind of intervals and their draws, as :func:`lawful.analyse` takes them."""
        kind = self.intervals and self.intervals.value
        return {"draws": self.draws, "intervals": kind, "cluster": self.cluster, "level": self.level, "seed": self.seed}


@dataclass(frozen=True)
class Spending:
    """What compute runs on and what it costs."""

    gpu: Annotated[
        str | None,
        typer.Option("--gpu", metavar="NAME", help="Chip: h100, a100, b200, tpu-v5p, ...", rich_help_panel=HARDWARE),
    ] = None
    mfu: Annotated[
        float, typer.Option("--mfu", metavar="X", help="Model FLOPs utilisation.", rich_help_panel=HARDWARE)
    ] = 0.5
    price: Annotated[
        float, typer.Option("--price", metavar="X", help="Dollars per chip and hour.", rich_help_panel=HARDWARE)
    ] = 2.0
    sparse: Annotated[
        bool,
        typer.Option(
            "--sparse", help="Take the peak with sparsity, as some published figures.", rich_help_panel=HARDWARE
        ),
    ] = False

    def cost(self) -> Cost:
        """Return the terms, checked."""
        from lawful.core.cost import Cost

        return Cost.on(self.gpu or "h100", rate="sparse" if self.sparse else "dense", mfu=self.mfu, price=self.price)


FORMATS = ("table", "markdown", "csv", "json")
FIGURES = {"screen": "png+svg", "paper": "pdf+png+svg", "none": "none"}
"""What figures are for, with the formats of their files."""
COLUMN_WIDTH = 3.25
"""Inches of a column in most papers of two."""


@dataclass(frozen=True)
class Output:
    """Where the answer goes."""

    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Write the results here, all or nothing.", rich_help_panel=OUTPUT),
    ] = None
    json: Json = False
    format: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="|".join(FORMATS),
            help="How to print the answer; csv has its tables, unrounded.",
            rich_help_panel=OUTPUT,
        ),
    ] = "table"
    figures: Annotated[
        str,
        typer.Option(
            "--figures",
            metavar="|".join(FIGURES),
            help="Figures with --out: for a screen, for a paper's column (3.25 inches, PDF too), or none.",
            rich_help_panel=OUTPUT,
        ),
        Switch("screen", FIGURES, {"--no-figures": "none"}),
    ] = "screen"

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            msg = f"An answer is printed as {', '.join(FORMATS)}, got `format` {self.format!r}; choose one of these."
            raise UnsupportedError(msg)
        if self.figures not in FIGURES:
            msg = f"Figures are for {', '.join(FIGURES)}, got `figures` {self.figures!r}; choose one of these."
            raise UnsupportedError(msg)

    @property
    def with_figures(self) -> str:
        """Which files of figures to write."""
        return FIGURES[self.figures]

    @contextmanager
    def staged(self) -> Iterator[Path | None]:
        """Yield a folder to write into, refused before any work if it cannot be written; None without --out."""
        if self.out is None:
            yield None
            return
        from lawful.show.files.output import staged_output

        with staged_output(self.out) as stage, self._style():
            yield stage

    def _style(self) -> AbstractContextManager[Any]:
        if self.figures != "paper":
            return nullcontext()
        from lawful.show.figures.palette import style

        return style(COLUMN_WIDTH)

    def give(self, document: Documented, parts: SheetsMade) -> None:
        """Print the document where JSON was asked for, and otherwise the tables and what was written."""
        if self.json or self.format == "json":
            print_document(document())
        elif self.format != "table":
            print_sheets(parts(), self.format)
        else:
            show([*parts(), *([] if self.out is None else ["", written_line(self.out)])])

    @contextmanager
    def answering(self, name: str) -> Iterator[Callable[[Documented, SheetsMade], None]]:
        """Yield where an answer goes: its document into the folder of --out, then either of them to the terminal."""
        answers: list[tuple[Documented, SheetsMade]] = []
        with self.staged() as stage:
            yield lambda document, parts: answers.append((document, parts))
            if stage is not None:
                from lawful.show.files.bundle import write_document

                write_document(stage / f"{name}.json", answers[0][0]())
        self.give(*answers[0])
