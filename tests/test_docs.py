"""
The README and the pages of docs/ are run: one test per page.

- ```` ```python ```` blocks are executed in order and share one namespace; a block that starts with ``>>>`` is
  checked as a doctest.
- ```` ```console ```` blocks: every ``$ lawful …`` command is run and must end with exit code 0. The lines under a
  command must occur in its output in that order; runs of spaces count as one, ``...`` stands for anything.
  ``$ NAME=value`` sets variables for the commands after it.
- Tests ask nothing of a network: ``$ lawful datasets fetch NAME`` only has to name a known set, and where that set
  lies (``$ RUNS="$(lawful datasets path NAME)"``) its file in the published runs stands in for it.
- Pages run in an empty folder that has ``examples/`` in it and the published runs at ``../shared``, as a checkout has.
- ``<!-- needs: shared -->`` before a block: without the published runs, the page is skipped from there on.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from math import isclose
from pathlib import Path

import pytest

from lawful.sources.published import PUBLISHED_SETS

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "docs" / "hooks"))
import outputs  # noqa: E402 - a hook of the site

PAGES = sorted([*REPOSITORY.glob("README.md"), *(REPOSITORY / "docs").rglob("*.md")])
SHARED = Path(os.environ.get("LAWFUL_SHARED", REPOSITORY.parent / "shared")).resolve()

FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
MARKER = re.compile(r"<!-- needs: shared -->\s*\Z")
COMMAND = re.compile(r"^\$ ((?:lawful\b|[A-Z]+=)(?:.*\\\n)*.*)$", re.MULTILINE)
FETCH = re.compile(r"lawful datasets fetch ([\w-]+)")
FETCHED = re.compile(r"\$\(lawful datasets path ([\w-]+)\)")
# Pages whose commands take more than a few seconds each; the README and the tutorial are always run.
SLOW = {
    f"docs/{name}.md": pytest.mark.slow
    for name in ("bring-your-runs", "check", "costs", "deadweight", "decisions", "explore", "report")
}
STAND_INS = {"isoflop-experiments": "isoflops.csv", "misfitting-checkpoints": "misfitting_checkpoints.csv"}


@dataclass(frozen=True)
class Block:
    language: str
    code: str
    line: int  # of the opening fence, counted from 1
    needs_shared: bool


def page_name(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


def blocks_of(text: str) -> Iterator[Block]:
    for match in FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        yield Block(match[1], match[2], line, bool(MARKER.search(text, 0, match.start())))


def run_python(block: Block, namespace: dict, page: str) -> None:
    if not block.code.lstrip().startswith(">>>"):
        # Padded, so that a traceback names the line of the page.
        exec(compile("\n" * block.line + block.code, page, "exec"), namespace)
        return
    example = doctest.DocTestParser().get_doctest(block.code, namespace, page, page, block.line)
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE, verbose=False)
    runner.run(example, out=report.append, clear_globs=False)
    namespace.update(example.globs)
    assert not runner.failures, "".join(report)


def commands_of(code: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each lawful command of a console block with the output lines printed under it."""
    for part in re.split(r"^(?=\$ )", code, flags=re.MULTILINE):
        command = COMMAND.match(part)
        if command:
            yield command[1], [line for line in part[command.end() :].splitlines() if line.strip()]


def assign(command: str, variables: dict[str, str], shared: Path) -> None:
    """Set the variables of a line such as ``RUNS=runs.csv TARGET=1e24``."""
    for name, value in (part.split("=", 1) for part in shlex.split(command)):
        fetched = FETCHED.fullmatch(value)
        if fetched and fetched[1] in STAND_INS:
            # Named from the checkout, so that no line of the output depends on where that stands.
            beside = Path("..", "shared")
            variables[name] = str((beside if beside.is_dir() else shared) / "data" / STAND_INS[fetched[1]])
        elif fetched:
            path = subprocess.check_output(["bash", "-c", value[2:-1]], text=True)
            variables[name] = path.strip()
        else:
            variables[name] = value


NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")
PASSING = re.compile(
    r"\b\d{4}-\d\d-\d\d(?:[T ][\d:.]+(?:Z|[+-]\d\d:?\d\d)?)?"
    r"|\b(?=\d*[a-f])[0-9a-f]{8,}\b|(?<![.\w])\d{16}(?![.\w])"
)
"""Times and seals, which no two runs have in common: a large count has no letter, and not sixteen digits."""

CLOSE = 0.02
"""Relative difference between a recorded number and a fresh one: other machines round last digits otherwise."""


def differs(recorded: str, output: str) -> str | None:
    """
    Return the recorded words that differ from the fresh ones, or whose numbers are not close to them.

    Words are compared and not lines: a longer path moves the place where a paragraph is folded.
    """
    old, new = (PASSING.sub("", text).split() for text in (recorded, output))
    for place, (one, other) in enumerate(zip_longest(old, new, fillvalue="")):
        numbers = [[float(n.replace(",", "")) for n in NUMBER.findall(word)] for word in (one, other)]
        same = NUMBER.sub("#", one) == NUMBER.sub("#", other)
        if not same or not all(isclose(*pair, rel_tol=CLOSE) for pair in zip(*numbers, strict=True)):
            return " ".join(old[max(place - 4, 0) : place + 5]) or other
    return None


def run_console(
    block: Block, page: str, variables: dict[str, str], shared: Path, *, check_recorded: bool = True
) -> None:
    for command, expected in commands_of(block.code):
        if not command.startswith("lawful"):
            assign(command, variables, shared)
            continue
        fetch = FETCH.fullmatch(command)
        if fetch:
            assert fetch[1] in PUBLISHED_SETS, f"there is no published set {fetch[1]}: {page}, line {block.line}"
            continue
        result = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | variables,
            check=False,
            timeout=300,
        )
        where = f"{page}, line {block.line}: $ {command}\n{result.stdout}"
        assert result.returncode == 0, f"exit code {result.returncode} from {where}"
        missing = first_missing(expected, result.stdout)
        assert missing is None, f"no line {missing!r} in the output of {where}"
        kept = outputs.recorded(Path(page).stem).get(command) if check_recorded else None
        stale = None if kept is None else differs(kept, outputs.neutral(result.stdout, shared))
        assert stale is None, f"the site shows {stale!r}, no longer so (python docs/hooks/outputs.py records): {where}"


def first_missing(expected: list[str], output: str) -> str | None:
    """Return the first expected line that does not occur, in order, in the output."""
    lines = [" ".join(line.split()) for line in output.splitlines()]
    for line in expected:
        if line.strip() == "...":
            continue
        pattern = ".*".join(re.escape(part) for part in " ".join(line.split()).split("..."))
        found = next((i for i, candidate in enumerate(lines) if re.search(pattern, candidate)), None)
        if found is None:
            return line
        lines = lines[found + 1 :]
    return None


def run_page(text: str, page: str, shared: Path, *, check_recorded: bool = True) -> None:
    namespace: dict = {"__name__": "__main__"}
    variables: dict[str, str] = {}
    try:
        for block in blocks_of(text):
            if block.needs_shared and not (shared / "data").is_dir():
                pytest.skip(f"{page} from line {block.line} on needs the published runs, which are not at {shared}")
            if block.language == "python":
                run_python(block, namespace, page)
            elif block.language == "console":
                run_console(block, page, variables, shared, check_recorded=check_recorded)
    finally:
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to run a page in, laid out like a checkout."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    if (REPOSITORY / "examples").is_dir():
        shutil.copytree(REPOSITORY / "examples", checkout / "examples")
    if SHARED.is_dir():
        (tmp_path / "shared").symlink_to(SHARED)
    monkeypatch.chdir(checkout)
    # A page may call lawful from Python too; commands get room for every table, and no colours between the words.
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    return checkout


@pytest.mark.parametrize("page", [pytest.param(p, marks=SLOW.get(page_name(p), ())) for p in PAGES], ids=page_name)
@pytest.mark.usefixtures("folder")
def test_page_runs(page: Path) -> None:
    run_page(page.read_text(encoding="utf-8"), page_name(page), SHARED)


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_no_command_hides_in_a_block_that_is_not_run(page: Path) -> None:
    blocks = blocks_of(page.read_text(encoding="utf-8"))
    unchecked = [b for b in blocks if b.language in ("bash", "sh", "shell", "py", "pycon")]
    assert [f"{page_name(page)}:{b.line}" for b in unchecked if "lawful " in b.code] == []


ONLY_ON_THE_SITE = re.compile(r"<!-- site: .*? -->", re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\((?!https?:|mailto:|#)([^)#\s]+)")


@pytest.mark.parametrize("page", sorted({*PAGES, *REPOSITORY.glob("*.md")}), ids=page_name)
def test_links_inside_the_repository_lead_somewhere(page: Path) -> None:
    text = ONLY_ON_THE_SITE.sub("", page.read_text(encoding="utf-8"))
    assert [link for link in LINK.findall(text) if not (page.parent / link).exists()] == []


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```python\n1 / 0\n```\n", "division by zero"),
        ("```python\nx = 1\n```\n\n```python\nassert x == 2, 'x went missing'\n```\n", "x went missing"),
        ("```python\n>>> 1 + 1\n3\n```\n", "Failed example:"),
        ("```console\n$ lawful no-such-verb\n```\n", "exit code 2"),
        ("```console\n$ VERB=no-such-verb\n$ lawful $VERB\n```\n", "exit code 2"),
        ("```console\n$ lawful datasets fetch no-such-set\n```\n", "there is no published set no-such-set"),
        ("```console\n$ lawful --help\nUsage: ...\nno such line\n```\n", "no line 'no such line'"),
    ],
)
def test_a_page_that_is_wrong_fails(text: str, message: str) -> None:
    with pytest.raises((AssertionError, ZeroDivisionError), match=re.escape(message)):
        run_page(text, "page.md", SHARED)


def test_a_page_that_needs_missing_runs_is_skipped_with_the_reason(tmp_path: Path) -> None:
    text = "```python\nx = 1\n```\n\n<!-- needs: shared -->\n```python\n1 / 0\n```\n"
    with pytest.raises(pytest.skip.Exception, match=r"page\.md from line 6 on needs the published runs"):
        run_page(text, "page.md", tmp_path)


def test_expected_output_may_leave_parts_out() -> None:
    output = "alpha   0.3100\nbeta  0.3136 (0.01)\ngamma\n"
    assert first_missing(["alpha 0.31", "...", "beta ... (0.01)"], output) is None
    assert first_missing(["beta", "alpha"], output) == "alpha"


@pytest.mark.parametrize("page", outputs.PAGES)
def test_the_site_shows_whole_output_where_a_page_leaves_parts_out(page: str) -> None:
    text = (REPOSITORY / "docs" / f"{page}.md").read_text(encoding="utf-8")
    shown = outputs.rendered(text, outputs.recorded(page))
    left = [line for block in blocks_of(shown) if block.language == "console" for line in block.code.splitlines()]
    assert [line for line in left if "..." in line and not line.startswith("$")] == []
    # Prose, Python and commands stay as they are written.
    assert outputs.FENCE.sub("", shown) == outputs.FENCE.sub("", text)
    assert [c for b in blocks_of(shown) for c, _ in commands_of(b.code)] == [
        c for b in blocks_of(text) for c, _ in commands_of(b.code)
    ]


def test_recorded_output_is_held_to_a_fresh_run() -> None:
    assert differs("N* 41.0B  (38 to 44)\n", "N*  41.1B (38 to 44)\n") is None
    assert differs("N* 41.0B\n", "N* 45.0B\n") == "N* 41.0B"
    assert differs("a\nb\n", "a\n") == "a b"
    assert differs("runs read from\nhere\n", "runs read\nfrom here\n") is None
    assert differs("seal f8eaf107fb4c8e19 at 2026-11-26T17:20:01Z\n", "seal 82b7af78 at 2027-01-02 03:04:05\n") is None
