"""Servers that runs are logged to: Weights & Biases by its GraphQL, MLflow by its REST or its folder."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from lawful.data.values import parse_number
from lawful.errors import InputError

WANDB, MLFLOW = "wandb://", ("mlflow://", "mlflow+http://", "mlflow+https://")
"""How addresses of both begin."""

WANDB_SERVER = "https://api.wandb.ai"
PAGE = 100
"""Runs that one answer of a server holds."""

MOST_RUNS = 100_000
"""Runs that a project may give."""

LARGEST_ANSWER = 2**28
"""Bytes of one answer."""

WAIT_S = 30.0

RUNS_QUERY = """
query Runs($entity: String!, $project: String!, $filters: JSONString, $cursor: String, $perPage: Int = 50) {
  project(name: $project, entityName: $entity) {
    runs(filters: $filters, after: $cursor, first: $perPage) {
      edges { node { name displayName state group tags config summaryMetrics } }
      pageInfo { endCursor hasNextPage }
    }
  }
}
"""
"""What is asked of Weights & Biases, as its own client asks for the runs of a project."""

MLFLOW_STATUS = {"1": "RUNNING", "2": "SCHEDULED", "3": "FINISHED", "4": "FAILED", "5": "KILLED"}

Records = list[dict[str, Any]]


def tracked(address: str) -> Records:
    """
    Read the runs behind an address of a tracking server.

    Parameters
    ----------
    address : str
        ``wandb://entity/project``, with filters behind it (``?state=finished&tags=iso&config.lr=3e-4``, or
        ``?filters={…}`` in the server's own JSON), or ``mlflow+http://host:5000/experiment``
        (``?filter=params.lr = '3e-4'``).

    Raises
    ------
    InputError
        If the address is incomplete, the server refuses, or the project has no runs.
    """
    found = list(_wandb(address) if address.startswith(WANDB) else _mlflow(address))
    if not found:
        msg = f"{address!r} has no runs; check the project and the filters."
        raise InputError(msg)
    return found


def _wandb(address: str) -> Iterator[dict[str, Any]]:
    parts = urlsplit(address)
    entity, project = unquote(parts.netloc), unquote(parts.path.strip("/"))
    if not entity or not project or "/" in project:
        msg = f"Runs of Weights & Biases are named wandb://ENTITY/PROJECT?state=finished, got {address!r}."
        raise InputError(msg)
    server = os.environ.get("WANDB_BASE_URL", WANDB_SERVER).rstrip("/")
    key = os.environ.get("WANDB_API_KEY")
    # Without a key of its own a request takes what the client left in .netrc.
    account = ("api", key) if key else None
    asked: dict[str, Any] = {"entity": entity, "project": project, "perPage": PAGE, "cursor": None}
    asked["filters"] = json.dumps(wandb_filters(parts.query, address))
    count = 0
    while True:
        question = {"query": RUNS_QUERY, "variables": asked}
        answer = _asked("POST", f"{server}/graphql", address, account, json=question)
        if answer.get("errors"):
            why = "; ".join(str(error.get("message", error)) for error in answer["errors"]).rstrip(".")
            msg = f"{address!r} was refused by {server} ({why}); check the name and the filters."
            raise InputError(msg)
        found = (answer.get("data") or {}).get("project")
        if not found:
            msg = f"{server} shows no project {entity}/{project}; check the name, and that WANDB_API_KEY may read it."
            raise InputError(msg)
        for edge in found["runs"]["edges"]:
            yield _wandb_run(edge["node"])
        count += len(found["runs"]["edges"])
        page = found["runs"]["pageInfo"]
        if not page["hasNextPage"] or not page["endCursor"]:
            return
        if count >= MOST_RUNS:
            msg = f"{address!r} has more than {MOST_RUNS:,} runs; choose some, such as ?state=finished&group=NAME."
            raise InputError(msg)
        asked["cursor"] = page["endCursor"]


def _wandb_run(node: Mapping[str, Any]) -> dict[str, Any]:
    config, summary = (_opened(node.get(part)) for part in ("config", "summaryMetrics"))
    named = {"name": node.get("displayName") or node.get("name"), "id": node.get("name"), "state": node.get("state")}
    if node.get("group"):
        named["group"] = node["group"]
    if node.get("tags"):
        named["tags"] = ",".join(map(str, node["tags"]))
    own = {key: value for key, value in config.items() if not key.startswith("_wandb")}
    return {**named, "config": own, "summary": {k: v for k, v in summary.items() if not k.startswith("_wandb")}}


def _opened(text: Any) -> dict[str, Any]:
    value = json.loads(text) if isinstance(text, str) and text.strip() else text
    return value if isinstance(value, dict) else {}


def wandb_filters(query: str, address: str) -> dict[str, Any]:
    """
    Write filters of an address as the server reads them.

    Raises
    ------
    InputError
        If ``filters`` is no JSON.

    Examples
    --------
    >>> wandb_filters("state=finished&tags=iso&config.lr=3e-4", "wandb://a/b")
    {'state': 'finished', 'tags': {'$in': ['iso']}, 'config.lr.value': 0.0003}
    """
    found: dict[str, Any] = {}
    for name, text in parse_qsl(query):
        if name == "filters":
            try:
                found |= json.loads(text)
            except (ValueError, TypeError):
                msg = f"The filters of {address!r} are no JSON; write them as ?state=finished&group=NAME."
                raise InputError(msg) from None
        elif name == "tags":
            found["tags"] = {"$in": text.split(",")}
        else:
            number = parse_number(text)
            inner = name.startswith("config.") and not name.endswith(".value")
            found[f"{name}.value" if inner else name] = text if number is None else number
    return found


def _mlflow(address: str) -> Iterator[dict[str, Any]]:
    parts = urlsplit(address)
    name = unquote(parts.path.strip("/"))
    if not parts.netloc or not name:
        msg = f"Runs of MLflow are named mlflow+http://HOST:5000/EXPERIMENT, or by their folder, got {address!r}."
        raise InputError(msg)
    server = f"{'http' if parts.scheme.endswith('+http') else 'https'}://{parts.netloc}/api/2.0/mlflow"
    user, password = (os.environ.get(f"MLFLOW_TRACKING_{part}") for part in ("USERNAME", "PASSWORD"))
    account = (user, password) if user and password else None
    found = _asked("GET", f"{server}/experiments/get-by-name", address, account, params={"experiment_name": name})
    asked: dict[str, Any] = {"experiment_ids": [found["experiment"]["experiment_id"]], "max_results": PAGE}
    asked |= {key: text for key, text in parse_qsl(parts.query) if key == "filter"}
    count = 0
    while True:
        answer = _asked("POST", f"{server}/runs/search", address, account, json=asked)
        for run in answer.get("runs", ()):
            yield _mlflow_run(run)
        count += len(answer.get("runs", ()))
        if not answer.get("next_page_token"):
            return
        if count >= MOST_RUNS:
            msg = f"{address!r} has more than {MOST_RUNS:,} runs; choose some, such as ?filter=params.lr = '3e-4'."
            raise InputError(msg)
        asked["page_token"] = answer["next_page_token"]


def _mlflow_run(run: Mapping[str, Any]) -> dict[str, Any]:
    info, data = run.get("info", {}), run.get("data", {})
    named = {"name": info.get("run_name") or info.get("run_id"), "id": info.get("run_id"), "state": info.get("status")}
    params = {one["key"]: _plain(one["value"]) for one in data.get("params", ())}
    metrics = {one["key"]: _plain(one["value"]) for one in data.get("metrics", ())}
    return {**named, "params": params, "metrics": metrics}


def _plain(value: Any) -> Any:
    """A number that is written as text, as a number."""
    number = parse_number(value) if isinstance(value, str) else None
    return value if number is None else number


def _asked(method: str, url: str, address: str, account: tuple[str, str] | None, **words: Any) -> dict[str, Any]:
    """The JSON that a server answers with."""
    import requests

    token = os.environ.get("MLFLOW_TRACKING_TOKEN") if "/mlflow/" in url and account is None else None
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with requests.request(
            method, url, auth=account, headers=headers, timeout=WAIT_S, stream=True, **words
        ) as answer:
            data = bytearray()
            for part in answer.iter_content(1 << 20):
                data += part
                if len(data) > LARGEST_ANSWER:
                    msg = (
                        f"{address!r} answers with more than {LARGEST_ANSWER >> 20} MiB; choose fewer runs by filters."
                    )
                    raise InputError(msg)
            status = answer.status_code
        found = json.loads(bytes(data)) if data else {}
    except requests.exceptions.RequestException as error:
        why = str(error).partition("\n")[0].rstrip(".") or type(error).__name__
        msg = f"{address!r} cannot be reached ({why}); check the address, or export the runs as CSV."
        raise InputError(msg) from None
    except (ValueError, RecursionError):
        found = None
    if status >= 400 or not isinstance(found, dict):
        said = found.get("message") or found.get("error_code") or "" if isinstance(found, dict) else ""
        login = "; set WANDB_API_KEY, or MLFLOW_TRACKING_TOKEN for MLflow" if status in (401, 403) else ""
        why = f"status {status}{f', {said}' if said else ''}".rstrip(".")
        msg = f"{address!r} was refused ({why}){login or '; check the address'}."
        raise InputError(msg)
    return found


def is_mlruns(folder: Path) -> bool:
    """Whether a folder is one of MLflow: of experiments, or of the runs of one."""
    return any(_is_run(child) for child in _run_folders(folder))


def _is_run(folder: Path) -> bool:
    return (folder / "meta.yaml").is_file() and (folder / "metrics").is_dir()


def _run_folders(folder: Path) -> Iterator[Path]:
    for child in sorted(folder.iterdir()):
        if _is_run(child):
            yield child
        elif child.is_dir() and (child / "meta.yaml").is_file():
            yield from (run for run in sorted(child.iterdir()) if _is_run(run))


def mlruns(folder: Path) -> Records:
    """
    Read the runs of a folder of MLflow: the last value of every metric, and the parameters.

    Raises
    ------
    InputError
        If none is left of them, or a file cannot be read.
    """
    try:
        found = [_run_of_folder(run) for run in _run_folders(folder)]
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{str(folder)!r} cannot be read ({str(error).rstrip('.')}); check its permissions."
        raise InputError(msg) from None
    kept = [record for record in found if record is not None]
    if not kept:
        msg = f"{str(folder)!r} is a folder of MLflow whose runs were all deleted; give another."
        raise InputError(msg)
    return kept


def _run_of_folder(run: Path) -> dict[str, Any] | None:
    meta = dict(
        line.split(":", 1) for line in (run / "meta.yaml").read_text(encoding="utf-8").splitlines() if ":" in line
    )
    stated = {key.strip(): value.strip().strip("'\"") for key, value in meta.items()}
    if stated.get("lifecycle_stage") == "deleted":
        return None
    status = stated.get("status", "")
    named = {"name": stated.get("run_name") or run.name, "id": run.name, "state": MLFLOW_STATUS.get(status, status)}
    params = {name: _plain(text.strip()) for name, text in _texts(run / "params")}
    metrics = {name: _last(text) for name, text in _texts(run / "metrics")}
    return {**named, "params": params, "metrics": {name: value for name, value in metrics.items() if value is not None}}


def _texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Files below a folder by their path in it, as metrics such as eval/loss lie."""
    if folder.is_dir():
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8")


def _last(text: str) -> Any:
    """The value of the largest step, of lines with a time, a value and a step."""
    lines = [line.split() for line in text.splitlines()]
    whole = [(parse_number(line[2]), _plain(line[1])) for line in lines if len(line) == 3]
    return max(((step, value) for step, value in whole if step is not None), default=(0, None), key=lambda p: p[0])[1]
