"""Finished chunks of a study on disk: written whole or not at all, and recognised when the study goes on."""

from __future__ import annotations

import ast
import hashlib
import json
import platform
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lawful.errors import OutputError
from lawful.show.files.place import encoded, replace_file
from lawful.show.files.schema import mismatch
from lawful.studies.real import data_file
from lawful.studies.study import Config, Study, Tables, Task, find_study
from lawful.studies.tables import Table, as_column

CHUNKS = ".chunks"
CHUNK_SCHEMA = "lawful.chunk/1"
PACKAGE = Path(__file__).parents[1]
WITHOUT_NUMBERS = ("lawful.show", "lawful.studies.drawing", "lawful.studies.study")
"""Modules that a study imports and whose code cannot change its numbers."""


class Chunk(NamedTuple):
    """Result of one task: columns by table and name, and the seconds it took."""

    tables: dict[str, dict[str, list[Any]]]
    wall: float
    cpu: float


def read_chunk(path: Path) -> Chunk | None:
    """Return a finished chunk; None where there is none, or it is not as it was written."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if mismatch(document, "chunk-1") or document["seal"] != _seal(document):
        return None
    return Chunk(document["tables"], document["wall"], document["cpu"])


def _seal(document: Mapping[str, Any]) -> str:
    content = {name: value for name, value in document.items() if name != "seal"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def run_chunk(name: str, index: int, config: Config, task: Task) -> tuple[str, int, Chunk]:
    """
    Compute one task; runs in a worker, on one BLAS thread.

    Sums over threads depend on their number, so one thread is also what makes the
    tables the same on every machine with the same libraries.
    """
    from threadpoolctl import threadpool_limits

    wall, cpu = time.perf_counter(), time.process_time()
    with threadpool_limits(1):
        tables = find_study(name).compute(config, task)
    plain = {t: {c: column.tolist() for c, column in table.columns.items()} for t, table in tables.items()}
    return name, index, Chunk(plain, time.perf_counter() - wall, time.process_time() - cpu)


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file so that a crash leaves either the old one or the new one; when this returns, it is on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, encoded(content) if isinstance(content, str) else content)


@lru_cache(maxsize=64)
def code_hash(module: str) -> str:
    """Hash of a module and of all of lawful that it imports: other code must not go on where this one stopped."""
    digest, seen, todo = hashlib.sha256(), set(), [module]
    files = {}
    while todo:
        name = todo.pop()
        if name in seen or name.startswith(WITHOUT_NUMBERS):
            continue
        seen.add(name)
        path = PACKAGE.joinpath(*name.split(".")[1:]).with_suffix(".py")
        if path.is_file():
            files[name] = path.read_bytes()
            todo += _imports(files[name])
    for name in sorted(files):
        digest.update(name.encode() + files[name])
    return digest.hexdigest()


def _imports(code: bytes) -> list[str]:
    """Modules of lawful that a file imports, anywhere in it."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("lawful."):
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found


def versions() -> dict[str, str]:
    """Versions that a number may depend on."""
    import joblib
    import scipy

    from lawful import __version__

    found = {"lawful": __version__, "python": platform.python_version(), "numpy": np.__version__}
    return found | {"scipy": scipy.__version__, "joblib": joblib.__version__}


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass(frozen=True)
class Work:
    """
    One study with its settings, its folder, and the chunks that are done.

    Parameters
    ----------
    study : Study
    config : mapping
        Settings, with ``seed``.
    folder : Path
        ``OUT/NN_name``.
    data : Path or None
        Folder of published runs.
    """

    study: Study
    config: Config
    folder: Path
    data: Path | None = None

    @property
    def tasks(self) -> Sequence[Task]:
        """Chunks of work, in order."""
        return self.study.tasks(self.config)

    @property
    def inputs(self) -> dict[str, Any]:
        """Settings as ``compute`` takes them."""
        return {**self.config, "data": str(self.data)} if self.data else dict(self.config)

    @property
    def data_hashes(self) -> dict[str, str]:
        """SHA-256 of every file of published runs that is read."""
        if self.data is None:
            return {}
        return {name: file_hash(data_file(self.data, name)) for name in self.study.data}

    @property
    def fingerprint(self) -> str:
        """Everything that the tables depend on, as one hash."""
        parts = [
            self.study.name,
            dict(self.config),
            self.data_hashes,
            versions(),
            code_hash(self.study.compute.__module__),
        ]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @property
    def chunks(self) -> Path:
        """Where finished chunks of exactly this work are."""
        return self.folder / CHUNKS / self.fingerprint[:16]

    def missing(self) -> list[int]:
        """Tasks without a finished chunk; one that is damaged is not finished."""
        folder = self.chunks
        return [i for i in range(len(self.tasks)) if read_chunk(folder / f"{i:05d}.json") is None]

    def store(self, index: int, chunk: Chunk) -> None:
        """Keep a finished chunk."""
        content = {"schema": CHUNK_SCHEMA, **chunk._asdict()}
        write_atomic(self.chunks / f"{index:05d}.json", json.dumps({**content, "seal": _seal(content)}))

    def collect(self) -> tuple[Tables, dict[str, float]]:
        """Stack all chunks in the order of the tasks; with the CPU seconds by method and the wall seconds."""
        parts: dict[str, list[Table]] = {}
        seconds: dict[str, float] = {"wall": 0.0}
        folder = self.chunks
        for index, task in enumerate(self.tasks):
            chunk = read_chunk(folder / f"{index:05d}.json")
            if chunk is None:
                msg = f"Chunk {index} of {self.study.name} was damaged while the study ran; run the same command again."
                raise OutputError(msg)
            for name, columns in chunk.tables.items():
                parts.setdefault(name, []).append(Table({c: as_column(values) for c, values in columns.items()}))
            method = str(task.get("method", "lawful"))
            seconds[method] = seconds.get(method, 0.0) + chunk.cpu
            seconds["wall"] += chunk.wall
        tables = {name: Table.stack(listed) for name, listed in parts.items()}
        if self.study.summarise is not None:
            tables = self.study.summarise(self.config, tables)
        return tables, seconds

    def forget(self) -> None:
        """Remove the chunks of this and earlier settings: the tables have taken their place."""
        shutil.rmtree(self.folder / CHUNKS, ignore_errors=True)
