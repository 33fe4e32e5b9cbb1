"""The house order: imports point one way, files stay small, `import lawful` stays light, names are documented."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lawful

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "docs" / "hooks"))
import tree

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = REPOSITORY / "src" / "lawful"
MODULES = sorted(PACKAGE.rglob("*.py"))

# The rooms from the ground up: a module imports from its own room and from rooms that stand before it.
ROOMS = (
    "errors",
    "core",
    "data",
    "laws",
    "solve",
    "estimate",
    "sources",
    "checks",
    "valley",
    "uncertainty",
    "trust",
    "decide",
    "counting",
    "forecasting",
    "design",
    "approach2",
    "analysis",
    "show",
    "studies",
    "cli",
    "__main__",
)
# What a user looks for on a noun stands as methods that delegate upward, in one file per noun: only there may an
# import inside a function, or one for type checkers, point up.
METHODS = {
    "data/methods.py": "Runs",
    "laws/methods.py": "Surface",
    "estimate/methods.py": "Fit and FrontierFit",
    "analysis/methods.py": "Analysis",
}

FORBIDDEN_STEMS = {"utils", "util", "helpers", "helper", "common", "misc", "base"}
# Public names that are values, described by the string under their definition.
CONSTANTS = {"CHINCHILLA", "LAWS", "__version__", "PUBLISHED_SETS"}
HEAVY = {"pandas", "matplotlib", "typer", "jinja2", "scipy", "rich", "pyarrow"}


def relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def at_import(tree: ast.Module) -> list[ast.stmt]:
    """What runs when a module is imported: no bodies of functions, nothing that only type checkers read."""

    def kept(statements: list[ast.stmt]) -> list[ast.stmt]:
        out = []
        for node in statements:
            typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
            if typing or isinstance(node, ast.FunctionDef):
                continue
            if isinstance(node, ast.ClassDef):
                node.body = kept(node.body) or [ast.Pass()]
            out.append(node)
        return out

    return kept(tree.body)


def imports_of_lawful(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield (line, room) for every import of the package, at the top of a file or inside a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "lawful":
            # The version is a constant of the package itself; any other name would pull in its room.
            names = [f"lawful.{alias.name}" for alias in node.names if alias.name != "__version__"]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package == "lawful":
                yield node.lineno, rest.partition(".")[0]


@pytest.mark.parametrize("path", [p for p in MODULES if p != PACKAGE / "__init__.py"], ids=relative)
def test_imports_point_one_way(path: Path) -> None:
    room, tree = room_of(path), ast.parse(path.read_text(encoding="utf-8"))
    if relative(path) in METHODS:
        tree.body = at_import(tree)
    wrong = [
        f"{relative(path)}:{line}: {room} imports {other or 'the package itself'}"
        for line, other in imports_of_lawful(tree)
        if other not in ROOMS[: ROOMS.index(room) + 1]
    ]
    assert wrong == []


def modules_imported(path: Path) -> set[str]:
    """Modules of the package that a file imports, lazily or for type checkers too; methods of a noun only at import."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if relative(path) in METHODS:
        tree.body = at_import(tree)
    known = {module_name(other) for other in MODULES}
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lawful."):
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & known
            found |= inner or {node.module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & known
    return found - {module_name(path)}


def module_name(path: Path) -> str:
    return ".".join(("lawful", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


def test_no_modules_import_each_other_in_a_circle() -> None:
    # Whoever imports nothing that is left can be taken away; what cannot be taken away stands in a circle.
    left = {module_name(path): modules_imported(path) for path in MODULES if path != PACKAGE / "__init__.py"}
    while free := {name for name, others in left.items() if not others & left.keys()}:
        left = {name: others for name, others in left.items() if name not in free}
    assert {name: sorted(others & left.keys()) for name, others in left.items()} == {}


@pytest.mark.parametrize("path", [PACKAGE / name for name in METHODS], ids=relative)
def test_the_methods_of_a_noun_only_delegate(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            statements = [s for s in node.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
            assert len(statements) <= 3, f"{relative(path)}: {node.name} does more than delegate"


def test_the_one_exception_is_lazy() -> None:
    code = "import lawful.cli\nif TYPE_CHECKING:\n    import lawful.show\ndef report():\n    import lawful.studies\n"
    tree = ast.parse(code)
    tree.body = at_import(tree)
    assert list(imports_of_lawful(tree)) == [(1, "cli")]


def test_the_import_check_sees_every_form_of_import() -> None:
    code = "import lawful\nimport lawful.show.figures\nfrom lawful.cli import main\nfrom lawful import fit, __version__"
    assert list(imports_of_lawful(ast.parse(code))) == [(1, ""), (2, "show"), (3, "cli"), (4, "fit")]


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_file_can_be_held_in_the_head(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert path.stem not in FORBIDDEN_STEMS
    assert ast.get_docstring(ast.parse(text))


FULLEST_ROOM = 16
"""Files of a room that can be taken in at a glance; a study and a command are a file each, however many there are."""


@pytest.mark.parametrize("room", sorted({path.parent for path in MODULES}), ids=lambda room: room.name)
def test_a_room_can_be_taken_in_at_a_glance(room: Path) -> None:
    assert room.name in {"studies", "cli"} or len(list(room.glob("*.py"))) <= FULLEST_ROOM


LONGEST_BODY = 60
"""Lines of a function without its docstring that a reader can hold in the head."""


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function) and len(function.body) > 1 else function.body
    return int(body[-1].end_lineno or 0) - body[0].lineno + 1


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_function_can_be_held_in_the_head(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert {f.name: body_lines(f) for f in functions if body_lines(f) > LONGEST_BODY} == {}


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_fits_and_laws_are_asked_what_they_can_do_and_not_what_they_are(path: Path) -> None:
    """A fit answers by its protocol (``surface is None``), a law by its capabilities."""
    kinds, laws = {"Fit", "FrontierFit"}, {"CHINCHILLA", "SKALING", "COMPUTE_LAW", "MUENNIGHOFF"}
    wrong = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            wrong += [node.lineno] * bool(kinds & names_in(node.args[1]))
        elif isinstance(node, ast.Compare):
            wrong += [node.lineno] * bool(laws & set().union(*(names_in(side) for side in node.comparators)))
        elif isinstance(node, ast.arguments):
            wrong += [d.lineno for d in (*node.defaults, *node.kw_defaults) if d is not None and laws & names_in(d)]
    assert wrong == []


def names_in(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_the_library_prints_nothing(path: Path) -> None:
    calls = (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call))
    prints = [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]
    assert prints == []


def loaded_by(statement: str) -> set[str]:
    """Top-level packages in memory after a statement, in a fresh interpreter."""
    program = f"{statement}\nimport sys\nsys.stdout.write(' '.join(sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in result.stdout.split()}


def test_importing_lawful_loads_nothing_heavy() -> None:
    assert loaded_by("import lawful") & HEAVY == set()


def test_the_lowest_rooms_need_numpy_alone() -> None:
    modules = [
        f"lawful.{relative(path).removesuffix('.py').replace('/', '.')}"
        for room in ("core", "data", "laws")
        for path in (PACKAGE / room).glob("*.py")
        if path.stem != "__init__"
    ]
    assert loaded_by(f"import {', '.join(modules)}") & HEAVY == set()


def test_every_public_name_loads_is_listed_and_has_a_home() -> None:
    assert set(lawful.__all__) == set(lawful._HOME) | {"__version__"}
    assert set(lawful.__all__) <= set(dir(lawful))
    assert set(lawful.__all__).isdisjoint(lawful._BESIDE)
    for name, home in (lawful._HOME | lawful._BESIDE).items():
        assert getattr(lawful, name) is getattr(sys.modules[home], name)
    with pytest.raises(AttributeError, match="module 'lawful' has no attribute 'no_such_name'"):
        _ = lawful.no_such_name


def test_type_checkers_see_the_names_that_load_at_run_time() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    assert {alias.name: node.module for node in imports for alias in node.names} == lawful._HOME | lawful._BESIDE


@pytest.mark.parametrize("name", sorted(set(lawful.__all__) - CONSTANTS))
def test_every_public_name_is_documented_with_an_example(name: str) -> None:
    value = getattr(lawful, name)
    text = inspect.getdoc(value) or ""
    # The children of LawfulError are one sentence each; their base shows how to catch them.
    if inspect.isclass(value) and issubclass(value, lawful.LawfulError) and value is not lawful.LawfulError:
        assert text.count("\n") == 0
        assert text.endswith(".")
    else:
        examples = text.partition("\nExamples\n--------\n")[2]
        assert ">>> " in examples


def test_the_tree_in_architecture_is_made_from_the_docstrings() -> None:
    text = (REPOSITORY / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert tree.with_tree(text) == text, "run `make tree`"


PROSE = ("ARCHITECTURE.md", "CONTRIBUTING.md")
ELSEWHERE = {"build/site", "../shared"}
"""Made by a command, and beside the repository."""


def words_in_code(page: str) -> list[str]:
    """Everything between backticks on a page, the tree and other blocks left out."""
    text = re.sub(r"```.*?```", "", (REPOSITORY / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.findall(r"`([^`\n]+)`", text)


def files_named(path: str) -> list[Path]:
    """Files of a path as the pages write it: from the root, from the package, or by its last name alone."""
    for root in (REPOSITORY, PACKAGE):
        if found := list(root.glob(path.rstrip("/"))):
            return found
    return [] if "/" in path else list(PACKAGE.rglob(path))


@pytest.mark.parametrize("page", PROSE)
def test_every_path_that_a_page_names_exists(page: str) -> None:
    paths = [
        w for w in words_in_code(page) if re.fullmatch(r"[\w.*/-]+", w) and ("/" in w or w.endswith((".py", ".yml")))
    ]
    assert len(paths) > 15
    assert [path for path in dict.fromkeys(paths) if path not in ELSEWHERE and not files_named(path)] == []


@pytest.mark.parametrize("page", PROSE)
def test_every_list_that_a_page_sends_a_newcomer_to_stands_there(page: str) -> None:
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    named = re.findall(r"`([A-Za-z_]+)`(?: and `([A-Za-z_]+)`)? (?:in|of) `([\w./*-]+\.(?:py|yml))`", text)
    assert len(named) >= 3
    for first, second, path in named:
        content = "".join(file.read_text(encoding="utf-8") for file in files_named(path))
        for name in filter(None, (first, second)):
            assert re.search(rf"\b{name}\b", content), f"{page}: {name} is not in {path}"


def test_the_newcomers_tasks_count_their_own_files() -> None:
    """A row says how many files of code and of tests a task touches, and names as many."""
    text = (REPOSITORY / "ARCHITECTURE.md").read_text(encoding="utf-8").partition("## A newcomer's five tasks")[2]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if re.match(r"\| an? ", line)]
    assert len(rows) == 5
    for task, *cells in rows:
        for cell in cells:
            count, _, names = cell.partition(": ")
            told = re.sub(r"\([^)]*\)", "", names)
            assert int(count) == len(re.split(r"; |, `| and `", told)), f"{task}: {cell}"


def nouns_of(tree: ast.Module) -> list[str]:
    """
    Classes of a module, however deep, and names that it gives to types; a private one by its name without the bar.

    What is ``Annotated`` is the option of a verb: a parameter, not a noun.
    """
    named = [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript | ast.BinOp | ast.Name):
            if isinstance(node.value, ast.Subscript) and ast.unparse(node.value.value) == "Annotated":
                continue
            named += [target.id for target in node.targets if isinstance(target, ast.Name)]
    return [name.lstrip("_") for name in named if re.fullmatch(r"_*[A-Z][a-z]\w*", name)]


def test_every_noun_stands_once() -> None:
    homes: dict[str, list[str]] = {}
    for path in MODULES:
        for noun in nouns_of(ast.parse(path.read_text(encoding="utf-8"))):
            homes.setdefault(noun, []).append(relative(path))
    assert len(homes) > 250
    assert {noun: where for noun, where in homes.items() if len(where) > 1} == {}


def test_nouns_are_seen_in_every_form() -> None:
    code = (
        "class A1: ...\nclass _Ends:\n    class Inner: ...\nBox = tuple[float, float]\nSource = Path | str\n"
        "Budget = Annotated[str, Option()]\nLOW: int = 3\nOther = Path\nmade = list[int]\n"
    )
    assert nouns_of(ast.parse(code)) == ["Ends", "Inner", "Box", "Source", "Other"]


def test_every_sheet_and_document_is_written_by_one_function() -> None:
    """Two functions that write the same thing under one name have two hands."""
    homes: dict[str, list[str]] = {}
    for path in MODULES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and re.search(r"_(sheets?|document)$", node.name):
                homes.setdefault(node.name.lstrip("_"), []).append(relative(path))
    assert len(homes) > 50
    assert {name: where for name, where in homes.items() if len(where) > 1} == {}
