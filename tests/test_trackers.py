"""Runs out of tracking servers: Weights & Biases by a stub that speaks its GraphQL, MLflow by REST and folder."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

import lawful
from lawful.errors import InputError
from lawful.sources.trackers import PAGE

N = np.geomspace(3e7, 8e8, 250).round()
D = (2.4e18 / (6 * N)).round()
LOSS = 1.8 + 470 / N**0.34 + 1400 / D**0.36
CRASHED = (4, 120)


class Stub(BaseHTTPRequestHandler):
    """A server of both kinds; what it was asked is kept for the tests."""

    asked: list[Any]

    def log_message(self, *_: Any) -> None:
        """Say nothing on stderr."""

    def answer(self, document: Any, status: int = 200) -> None:
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, dict(self.headers), body))  # type: ignore[attr-defined]
        if self.path == "/graphql":
            self.answer(*graphql(body, self.headers.get("Authorization", "")))
        elif self.path == "/api/2.0/mlflow/runs/search":
            self.answer(search(body))
        else:
            self.answer({"error_code": "ENDPOINT_NOT_FOUND"}, 404)

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        name = parse_qs(asked.query).get("experiment_name", [""])[0]
        if asked.path.endswith("get-by-name") and name == "iso flop":
            self.answer({"experiment": {"experiment_id": "17", "name": name, "lifecycle_stage": "active"}})
        else:
            said = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": f"Could not find experiment with name '{name}'"}
            self.answer(said, 404)


def graphql(body: dict[str, Any], authorization: str) -> tuple[Any, ...]:
    """Answer as the server of Weights & Biases does: edges with a cursor, configurations as JSON in text."""
    asked = body["variables"]
    if "summaryMetrics" not in body["query"] or "pageInfo" not in body["query"]:
        return ({"errors": [{"message": "Cannot query"}]},)
    if base64.b64decode(authorization.removeprefix("Basic ")) != b"api:secret":
        return ({"error": "invalid API key"}, 401)
    if asked["project"] == "broken":
        return (b"<html>502</html>", 502)
    if asked["project"] == "odd":
        return ({"errors": [{"message": "invalid filter operator $near"}]},)
    if asked["project"] != "sweep":
        return ({"data": {"project": None}},)
    wanted = json.loads(asked["filters"])
    rows = [i for i in range(N.size) if all(w != "finished" or i not in CRASHED for w in wanted.values())]
    start = int(asked["cursor"] or 0)
    some = rows[start : start + asked["perPage"]]
    edges = [{"node": node(i)} for i in some]
    page = {"endCursor": str(start + len(some)), "hasNextPage": start + len(some) < len(rows)}
    return ({"data": {"project": {"runs": {"edges": edges, "pageInfo": page}}}},)


def node(i: int) -> dict[str, Any]:
    config = {"n_params": {"value": int(N[i]), "desc": None}, "lr": {"value": 3e-4}, "_wandb": {"value": {"t": {}}}}
    summary = {"eval/loss": LOSS[i] + (2 if i in CRASHED else 0), "tokens_seen": D[i], "_wandb": {"runtime": 7}}
    return {
        "name": f"x{i:03d}",
        "displayName": f"run {i}",
        "state": "crashed" if i in CRASHED else "finished",
        "group": None,
        "tags": [],
        "config": json.dumps(config),
        "summaryMetrics": json.dumps(summary),
    }


def search(body: dict[str, Any]) -> dict[str, Any]:
    """Answer as MLflow does: parameters as text, metrics as numbers, a token for the next page."""
    assert body["experiment_ids"] == ["17"]
    start = int(body.get("page_token", 0))
    end = min(start + body["max_results"], N.size)
    runs = [
        {
            "info": {"run_id": f"x{i}", "run_name": f"run {i}", "status": "FAILED" if i in CRASHED else "FINISHED"},
            "data": {
                "params": [{"key": "params", "value": str(int(N[i]))}, {"key": "optimizer", "value": "adamw"}],
                "metrics": [
                    {"key": "tokens", "value": D[i], "step": 9},
                    {"key": "val_loss", "value": LOSS[i], "step": 9},
                ],
            },
        }
        for i in range(start, end)
    ]
    return {"runs": runs, **({"next_page_token": str(end)} if end < N.size else {})}


@pytest.fixture
def server(monkeypatch):
    stub = HTTPServer(("127.0.0.1", 0), Stub)
    stub.asked = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=stub.serve_forever, daemon=True)
    thread.start()
    host = f"127.0.0.1:{stub.server_port}"
    monkeypatch.setenv("WANDB_BASE_URL", f"http://{host}/")
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    stub.host = host  # type: ignore[attr-defined]
    yield stub
    stub.shutdown()
    thread.join()
    stub.server_close()


GOOD = np.setdiff1d(np.arange(N.size), CRASHED)


def as_expected(runs: lawful.Runs) -> bool:
    order = np.argsort(runs.N)
    have = [v[order] for v in (runs.N, runs.D, runs.L)]
    return all(h.shape == w[GOOD].shape and np.allclose(h, w[GOOD]) for h, w in zip(have, (N, D, LOSS), strict=True))


def test_runs_of_weights_and_biases(server):
    runs = lawful.read_runs("wandb://lab/sweep")
    assert as_expected(runs)
    assert "set_aside" in [note.code for note in runs.notes]
    assert len(server.asked) == -(-N.size // PAGE)
    assert runs.labels["lr"].tolist() == [3e-4] * GOOD.size
    assert runs.source == "wandb://lab/sweep"


def test_filters_reach_the_server(server):
    runs = lawful.read_runs("wandb://lab/sweep?state=finished&tags=iso,flop&config.lr=3e-4")
    assert as_expected(runs)
    assert json.loads(server.asked[0][2]["variables"]["filters"]) == {
        "state": "finished",
        "tags": {"$in": ["iso", "flop"]},
        "config.lr.value": 3e-4,
    }
    lawful.read_runs('wandb://lab/sweep?filters={"group":"g"}')
    assert json.loads(server.asked[-1][2]["variables"]["filters"]) == {"group": "g"}


@pytest.mark.parametrize(
    ("address", "word"),
    [
        ("wandb://lab/none", "no project lab/none"),
        ("wandb://lab/broken", "status 502"),
        ("wandb://lab/odd", r"invalid filter operator \$near"),
        ("wandb://lab", "ENTITY/PROJECT"),
        ("wandb://lab/sweep?filters={", "no JSON"),
        ("mlflow+http://{host}/other", "Could not find experiment"),
        ("mlflow+http://{host}", "EXPERIMENT"),
    ],
)
def test_what_a_server_refuses_is_one_sentence(server, address, word):
    with pytest.raises(InputError, match=word) as refused:
        lawful.read_runs(address.replace("{host}", server.host))
    assert str(refused.value).endswith(".")


def test_a_key_that_is_wrong_or_a_server_that_is_away(server, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "another")
    with pytest.raises(InputError, match=r"status 401.*set WANDB_API_KEY"):
        lawful.read_runs("wandb://lab/sweep")
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    with pytest.raises(InputError, match="cannot be reached"):
        lawful.read_runs("wandb://lab/sweep")


def test_runs_of_an_mlflow_server(server):
    runs = lawful.read_runs(f"mlflow+http://{server.host}/iso%20flop?filter=metrics.val_loss < 9")
    assert as_expected(runs)
    assert server.asked[-1][2]["filter"] == "metrics.val_loss < 9"
    assert runs.columns["params"] == "params"


def mlruns(folder: Path) -> Path:
    """A folder as MLflow's file store writes it."""
    experiment = folder / "mlruns" / "417"
    experiment.mkdir(parents=True)
    (experiment / "meta.yaml").write_text("experiment_id: '417'\nlifecycle_stage: active\nname: iso\n")
    (folder / "mlruns" / "models").mkdir()
    for i in range(12):
        run = experiment / f"{i:032x}"
        (run / "metrics" / "eval").mkdir(parents=True)
        (run / "params").mkdir()
        stage, status = "deleted" if i == 3 else "active", 4 if i == 5 else 3
        (run / "meta.yaml").write_text(
            f"lifecycle_stage: {stage}\nrun_id: {run.name}\nrun_name: r-{i}\nstatus: {status}\n"
        )
        (run / "params" / "n_params").write_text(str(int(N[i])))
        (run / "params" / "optimizer").write_text("adamw")
        (run / "metrics" / "tokens_seen").write_text(f"1700000000000 {D[i]} 200\n")
        steps = [f"1700000000000 {LOSS[i] + 1} 100", f"1700000000001 {LOSS[i]} 200", f"1700000000002 {LOSS[i] + 2} 0"]
        (run / "metrics" / "eval" / "loss").write_text("\n".join(steps) + "\n")
    return folder / "mlruns"


def test_a_folder_of_mlflow(tmp_path):
    place = mlruns(tmp_path)
    for folder in (place, place / "417"):
        runs = lawful.read_runs(folder)
        kept = np.setdiff1d(np.arange(12), (3, 5))
        np.testing.assert_allclose(runs.N, N[kept])
        np.testing.assert_allclose(runs.D, D[kept])
        np.testing.assert_allclose(runs.L, LOSS[kept])
        assert "'FAILED'" in next(note.message for note in runs.notes if note.code == "set_aside")


def test_event_files_of_tensorboard(tmp_path):
    pytest.importorskip("tensorboard", reason="event files are read by tensorboard itself")
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    for i in range(3):
        writer = EventFileWriter(str(tmp_path / f"run-{i}"))
        for step, more in ((100, 0.5), (200, 0.0)):
            tags = {"eval/loss": LOSS[i] + more, "num_params": N[i], "tokens": D[i] * step / 200}
            values = [Summary.Value(tag=tag, simple_value=value) for tag, value in tags.items()]
            writer.add_event(Event(step=step, summary=Summary(value=values)))
        writer.close()
    runs = lawful.read_runs(f"{tmp_path}/run-*/events.out.tfevents.*")
    np.testing.assert_allclose(np.sort(runs.N), N[:3], rtol=1e-6)  # scalars are floats of 32 bits there
    np.testing.assert_allclose(np.sort(runs.L), np.sort(LOSS[:3]), rtol=1e-6)
    assert sorted(runs.labels["run"].tolist()) == ["run-0", "run-1", "run-2"]


def test_an_event_file_without_its_reader_or_damaged(tmp_path):
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(b"\0" * 40)
    with pytest.raises(InputError, match=r"lawful\[tensorboard\]|event file"):
        lawful.read_runs(path)
