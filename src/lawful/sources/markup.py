"""Tables in the marks of other programs: LaTeX, HTML, reStructuredText, databases, YAML, TOML, Python."""

from __future__ import annotations

import ast
import importlib
import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from lawful.data.layout import DITTO
from lawful.errors import InputError

TextRows = list[list[str]]
"""Rows of cells, the header first."""

YAML = (".yaml", ".yml")
_TABULAR = re.compile(
    r"\\begin\{(?P<kind>tabular[x*y]?|longtable|array|tblr)\}(?:\[[^\]]*\])?(?P<body>.*?)\\end\{(?P=kind)\}", re.DOTALL
)
_COLUMNS = re.compile(r"^\s*(?:\{(?:[^{}]|\{[^{}]*\})*\}\s*){1,2}")
_RULES = re.compile(
    r"\\(?:top|mid|bottom)rule(?:\[[^\]]*\])?|\\hline|\\cline\{[^}]*\}|\\cmidrule(?:\([^)]*\))?(?:\[[^\]]*\])?\{[^}]*\}"
    r"|\\addlinespace(?:\[[^\]]*\])?|\\(?:end)?(?:first)?(?:head|foot)\b|(?<!\\)%[^\n]*"
)
_SPAN = re.compile(r"\\multicolumn\{(?P<count>\d+)\}\{[^}]*\}\{(?P<text>.*)\}$", re.DOTALL)
_DOWN = re.compile(r"\\multirow\{(?P<count>\d+)\}(?:\[[^\]]*\])?\{[^}]*\}\{(?P<text>.*)\}$", re.DOTALL)
_WRAPPED = re.compile(r"\\(?:text\w*|math\w*|emph|underline|num|makecell|thead|footnotesize|small)\{([^{}]*)\}")
_MARKS = (
    *((r"\times", "×"), (r"\cdot", "·"), (r"\pm", "±"), (r"\sim", "~"), (r"\approx", "≈"), (r"\downarrow", "")),
    *(
        (r"\uparrow", ""),
        (r"\,", " "),
        (r"\;", " "),
        (r"\ ", " "),
        (r"\%", "%"),
        (r"\_", "_"),
        (r"\#", "#"),
        (r"\&", "&"),
    ),
    *((r"\dagger", "†"), (r"\ddagger", "‡"), ("{,}", ","), ("~", " "), ("$", "")),
)


def latex_tables(text: str) -> list[TextRows]:
    r"""
    Rows of every table of a LaTeX text, cells without its commands; those under a ``\multirow`` have a ditto mark.

    Examples
    --------
    >>> latex_tables(r"\begin{tabular}{lr} N & $L$ \\ \midrule $4\times10^{8}$ & \textbf{3.1} \\ \end{tabular}")
    [[['N', 'L'], ['4×10^8', '3.1']]]
    """
    bodies = [_COLUMNS.sub("", found["body"], count=1) for found in _TABULAR.finditer(text)]
    return [rows for body in bodies or [text] if len(rows := _latex_rows(body)) > 1]


def _latex_rows(body: str) -> TextRows:
    rows: TextRows = []
    below: dict[int, int] = {}
    for line in re.split(r"\\\\(?:\[[^\]]*\])?", _RULES.sub("", body)):
        cells: list[str] = []
        for raw in re.split(r"(?<!\\)&", line):
            cell, wide = raw.strip(), 1
            if across := _SPAN.match(cell):
                cell, wide = across["text"].strip(), int(across["count"])
            at = len(cells)
            if down := _DOWN.match(cell):
                cell, below[at] = down["text"], int(down["count"])
            elif not cell and below.get(at, 0) > 0:
                cell = DITTO
            below[at] = below.get(at, 0) - 1
            cells += [_latex_cell(cell), *[""] * (wide - 1)]
        if any(cells):
            rows.append(cells)
    return rows


def _latex_cell(cell: str) -> str:
    for _ in range(4):  # commands stand inside each other
        cell = _WRAPPED.sub(r"\1", cell)
    cell = re.sub(r"(?:\^|\\textsuperscript)\{([*†‡a-z])\}", "", cell)
    for mark, plain in _MARKS:
        cell = re.sub(re.escape(mark) + (r"(?![A-Za-z])" if mark[-1].isalpha() else ""), plain, cell)
    cell = re.sub(r"\^\{([-+]?\d+)\}", r"^\1", cell)
    return re.sub(r"\s*×\s*", "×", " ".join(cell.replace("{", "").replace("}", "").split()))


class _TableParser(HTMLParser):
    """Rows of the tables of a page; cells below a ``rowspan`` have a ditto mark."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[TextRows] = []
        self.cell: list[str] | None = None
        self.spans: dict[int, int] = {}
        self.size = (1, 1)
        self.depth = 0
        self.power = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.tables.append([])
            self.spans = {}
        elif tag == "tr" and self.tables:
            self._close()
            self.tables[-1].append([])
        elif tag in ("td", "th") and self.tables and self.tables[-1]:
            self._close()
            self._below()
            given = dict(attrs)
            across, down = (str(given.get(name) or "1") for name in ("colspan", "rowspan"))
            self.size = (int(across) if across.isdecimal() else 1, int(down) if down.isdecimal() else 1)
            self.cell = []
        elif tag == "sup" and self.cell is not None and re.search(r"(?<![\d.])10\s*$", "".join(self.cell)):
            # A power of ten, and no mark of a remark.
            self.cell.append("^")
            self.power = True
        elif tag in ("sup", "style", "script"):
            self.depth += 1

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "tr", "table"):
            self._close()
        if tag == "tr":
            self._below()
        if tag == "sup" and self.power:
            self.power = False
        elif tag in ("sup", "style", "script"):
            self.depth = max(self.depth - 1, 0)

    def handle_data(self, data: str) -> None:
        if self.cell is not None and not self.depth:
            self.cell.append(data)

    def _below(self) -> None:
        row = self.tables[-1][-1] if self.tables and self.tables[-1] else []
        while self.spans.get(len(row), 0) > 0:
            self.spans[len(row)] -= 1
            row.append(DITTO)

    def _close(self) -> None:
        if self.cell is None:
            return
        row = self.tables[-1][-1]
        across, down = self.size
        self.spans[len(row)] = down - 1
        row += [" ".join("".join(self.cell).split()), *[""] * (min(across, 100) - 1)]
        self.cell = None


def html_tables(text: str) -> list[TextRows]:
    """
    Rows of every table of a page.

    Examples
    --------
    >>> html_tables("<table><tr><th>N<th>L</tr><tr><td>1e8<td>3.1<sup>a</sup></tr></table>")
    [[['N', 'L'], ['1e8', '3.1']]]
    """
    parser = _TableParser()
    parser.feed(text)
    parser.close()
    return [rows for table in parser.tables if len(rows := [row for row in table if any(row)]) > 1]


def drawn_table(text: str) -> TextRows | None:
    r"""
    Rows of a table drawn with ``+---+``, as reStructuredText, Org and databases print it, or under rules of ``====``.

    Examples
    --------
    >>> drawn_table("+-----+-----+\n| N   | L   |\n+=====+=====+\n| 1e8 | 3.1 |\n+-----+-----+\n")
    [['N', 'L'], ['1e8', '3.1']]
    >>> drawn_table("=== ===\nN   L\n=== ===\n1e8 3.1\n=== ===\n")
    [['N', 'L'], ['1e8', '3.1']]
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    rules = [bool(re.fullmatch(r"[|+]?[-=+: ]*-{2,}[-=+: ]*[|+]?|[=+ ]{3,}", line)) for line in lines]
    rest = [line for line, rule in zip(lines, rules, strict=True) if not rule]
    if sum(rules) < 1 or len(rest) < 2 or not rules[lines.index(rest[0]) + 1]:
        return None
    if all(line.count("|") >= 1 for line in rest):
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in rest]
    starts = [found.start() for found in re.finditer(r"=+", lines[0])] if set(lines[0]) <= set("= ") else []
    if len(starts) < 2:
        return None
    whole = [line for line in text.splitlines() if line.strip() and not set(line.strip()) <= set("= ")]
    shift = len(text.splitlines()[0]) - len(text.splitlines()[0].lstrip())
    ends = [*starts[1:], None]
    return [[line[shift:][a:b].strip() for a, b in zip(starts, ends, strict=True)] for line in whole]


def document_of(path: Path, text: str, suffix: str) -> Any:
    r"""
    Read a document of YAML, TOML or Python's own way to write lists; None where it is none of them.

    Raises
    ------
    InputError
        If YAML cannot be read here, or is broken.

    Examples
    --------
    >>> document_of(Path("runs.toml"), "[[runs]]\nN = 1e8\n", ".toml"), document_of(Path("x"), "[{'N': 1e8}]", "")
    ({'runs': [{'N': 100000000.0}]}, [{'N': 100000000.0}])
    """
    if suffix in YAML or re.match(r"\s*-\s+[\w-]+:\s", text):
        try:
            yaml = importlib.import_module("yaml")
        except ImportError:
            if suffix not in YAML:
                return None
            msg = f"{str(path)!r} is YAML, which needs PyYAML; pip install 'lawful[yaml]', or save the runs as JSON."
            raise InputError(msg) from None
        try:
            return yaml.safe_load(text)
        except (yaml.YAMLError, RecursionError, ValueError) as error:
            if suffix not in YAML:
                return None  # a list of remarks above a table
            msg = f"{str(path)!r} is broken YAML ({' '.join(str(error).split())[:200]}); write it again, or as JSON."
            raise InputError(msg) from None
    if suffix == ".toml" or re.match(r"\s*\[\[\s*[\w.-]+\s*\]\]", text):
        try:
            return tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            if suffix != ".toml":
                return None
            msg = f"{str(path)!r} is broken TOML ({error}); write it again, or as JSON."
            raise InputError(msg) from None
    if text.lstrip().startswith(("[", "{")):
        try:
            return ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
    return None
