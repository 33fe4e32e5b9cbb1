"""Published sets: a local server plays the network, and no test leaves this machine."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import warnings
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType

import pytest

import lawful
from lawful.cli import main
from lawful.sources import embedded, published

GOOD = b"Model Size,Training FLOP,loss\n" + b"".join(
    f"{n},{c},{2 + (1e8 / n) ** 0.3 + (1e20 / c) ** 0.2}\n".encode() for n in (1e8, 2e8, 4e8) for c in (1e18, 1e19)
)


class Server(BaseHTTPRequestHandler):
    """Serves one good file, one with other bytes, one that breaks off, and one slow to exist."""

    requests: list[str] = []  # noqa: RUF012 - shared by all handlers on purpose

    def do_GET(self) -> None:
        self.requests.append(self.path)
        if self.path == "/missing.csv":
            self.send_error(404)
            return
        body = GOOD if self.path != "/changed.csv" else GOOD.replace(b"loss", b"LOSS")
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:40] if self.path == "/truncated.csv" else body)

    def log_message(self, *_: object) -> None:
        """Say nothing on stderr."""


@pytest.fixture
def server() -> Iterator[str]:
    Server.requests.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}"
        finally:
            http.shutdown()
            thread.join()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("LAWFUL_DATA", str(folder))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def register(server: str, cache: Path, monkeypatch: pytest.MonkeyPatch):
    """Put a set that the local server has into the registry, under the name of a published one."""

    def put(file: str, **changes: object) -> published.PublishedSet:
        one = replace(
            published.PUBLISHED_SETS["epoch-chinchilla"],
            url=f"{server}/{file}",
            sha256=hashlib.sha256(GOOD).hexdigest(),
            size=len(GOOD),
            **changes,
        )
        monkeypatch.setattr(published, "PUBLISHED_SETS", MappingProxyType({one.name: one}))
        return one

    return put


def left_behind(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.exists() else []


def test_a_set_is_fetched_once_and_read_as_runs(register, cache: Path) -> None:
    register("good.csv")
    path = lawful.fetch("epoch-chinchilla")
    assert path == cache / "epoch-chinchilla.csv"
    assert path.read_bytes() == GOOD
    runs = lawful.Runs.fetch("epoch-chinchilla")
    assert (len(runs), runs.columns["params"]) == (6, "Model Size")
    assert runs.D.tolist() == pytest.approx([c / (6 * n) for n in (1e8, 2e8, 4e8) for c in (1e18, 1e19)])
    assert Server.requests == ["/good.csv"]


def test_a_selection_narrows_that_of_the_set(register) -> None:
    register("good.csv", select={"Training FLOP": "1e18"})
    assert len(lawful.Runs.fetch("epoch-chinchilla")) == 3
    assert len(lawful.Runs.fetch("epoch-chinchilla", select={"Model Size": 1e8})) == 1


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("changed.csv", "what came is not the published file: its hash differs"),
        ("truncated.csv", "the connection broke before the end of the file"),
        ("missing.csv", "the server answered 404"),
    ],
)
def test_what_goes_wrong_is_one_sentence_and_leaves_nothing(register, cache: Path, file: str, reason: str) -> None:
    one = register(file)
    with pytest.raises(lawful.FetchError, match="could not be fetched") as caught:
        lawful.fetch("epoch-chinchilla")
    assert str(caught.value) == (
        f"'epoch-chinchilla' could not be fetched from {one.url} ({reason}); try again later, or download it by hand "
        f"to {str(cache / 'epoch-chinchilla.csv')!r}."
    )
    assert left_behind(cache) == []
    assert published.cached_path("epoch-chinchilla") is None


def test_no_network_is_one_sentence(register, cache: Path) -> None:
    one = register("good.csv")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    closed = replace(one, url=f"http://127.0.0.1:{port}/good.csv")
    with pytest.raises(lawful.FetchError, match=rf"127\.0\.0\.1:{port}/good\.csv \(no connection\); try again later"):
        published.fetch_set(closed)
    assert left_behind(cache) == []


def test_an_altered_file_is_fetched_again(register, cache: Path) -> None:
    register("good.csv")
    path = lawful.fetch("epoch-chinchilla")
    path.write_bytes(GOOD[:-10])
    assert published.cached_path("epoch-chinchilla") is None
    assert lawful.fetch("epoch-chinchilla").read_bytes() == GOOD
    assert left_behind(cache) == ["epoch-chinchilla.csv"]


def test_a_failed_update_keeps_what_was_there(register, cache: Path) -> None:
    register("missing.csv")
    cache.mkdir()
    (cache / "epoch-chinchilla.csv").write_bytes(b"older")
    with pytest.raises(lawful.FetchError, match="the server answered 404"):
        lawful.fetch("epoch-chinchilla")
    assert (cache / "epoch-chinchilla.csv").read_bytes() == b"older"
    assert left_behind(cache) == ["epoch-chinchilla.csv"]


def test_a_cache_that_cannot_be_written_is_said(register, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register("good.csv")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LAWFUL_DATA", str(tmp_path / "file"))
    with pytest.raises(lawful.FetchError, match=r"cannot be stored in '.*file' \(.+\); set LAWFUL_DATA to a folder"):
        lawful.fetch("epoch-chinchilla")


def test_the_cache_is_that_of_the_system_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAWFUL_DATA", raising=False)
    assert published.cache_folder().name == "lawful"
    monkeypatch.setenv("LAWFUL_DATA", "~/runs")
    assert published.cache_folder() == Path.home() / "runs"


def test_the_checkpoints_at_hand_are_the_registered_ones(shared_data: Path) -> None:
    one = published.PUBLISHED_SETS["misfitting-checkpoints"]
    data = (shared_data / "misfitting_checkpoints.csv").read_bytes()
    assert (hashlib.sha256(data).hexdigest(), len(data)) == (one.sha256, one.size)


def test_the_registered_columns_read_the_checkpoints(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAWFUL_DATA", str(tmp_path))
    (tmp_path / "misfitting-checkpoints.csv").symlink_to(shared_data / "misfitting_checkpoints.csv")
    assert len(lawful.Runs.fetch("misfitting-checkpoints")) == 4852


@pytest.mark.parametrize("one", published.PUBLISHED_SETS.values(), ids=lambda one: one.name)
def test_every_entry_is_complete(one: published.PublishedSet) -> None:
    assert one.embedded or one.url.startswith("https://")
    assert len(one.sha256) == 64
    assert set(one.sha256) <= set("0123456789abcdef")
    assert one.size > (500 if one.embedded else 1000)
    assert one.embedded or "arXiv:" in one.citation
    assert one.licence
    assert one.advice.endswith(".")
    assert {"loss"} < set(one.columns) <= {"params", "tokens", "budget", "loss"}
    with pytest.raises(TypeError, match="does not support item assignment"):
        published.PUBLISHED_SETS[one.name] = one  # type: ignore[index]


def test_an_unknown_set_is_answered_with_the_known_ones() -> None:
    with pytest.raises(lawful.UnsupportedError, match="no published set 'pile'; the sets are epoch-chinchilla, "):
        lawful.Runs.fetch("pile")


def test_the_commands_list_fetch_and_find(register, cache: Path, capsys: pytest.CaptureFixture) -> None:
    one = register("good.csv")
    assert main(["datasets", "list", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "lawful.datasets/1"
    assert document["cache"] == str(cache)
    assert [(d["name"], d["path"]) for d in document["datasets"]] == [("epoch-chinchilla", None)]
    assert main(["datasets", "path", "epoch-chinchilla"]) == 1
    assert "run lawful datasets fetch epoch-chinchilla" in capsys.readouterr().err
    assert main(["datasets", "fetch", "epoch-chinchilla"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert str(cache) in shown.out.replace("\n", "")
    assert main(["datasets", "path", "epoch-chinchilla"]) == 0
    assert capsys.readouterr().out == f"{cache / 'epoch-chinchilla.csv'}\n"
    assert main(["datasets", "fetch", "epoch-chinchilla", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sha256"] == one.sha256
    assert main(["datasets", "path", "epoch-chinchilla", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["path"] == str(cache / "epoch-chinchilla.csv")
    assert main(["datasets", "list"]) == 0
    assert "yes" in capsys.readouterr().out


def test_the_command_fails_with_one_sentence(register, capsys: pytest.CaptureFixture) -> None:
    register("missing.csv")
    assert main(["datasets", "fetch", "epoch-chinchilla"]) == 1
    shown = capsys.readouterr()
    assert (shown.out, shown.err.count("\n")) == ("", 1)
    assert main(["datasets", "fetch", "pile"]) == 2
    assert "no published set 'pile'" in capsys.readouterr().err


def test_nothing_warns_on_the_way(register) -> None:
    register("good.csv")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lawful.fetch("epoch-chinchilla")


def test_every_embedded_file_has_its_hash_and_a_place_in_the_list() -> None:
    listed = embedded.embedded_hashes()
    found = {path.name for path in embedded.EMBEDDED.iterdir() if path.suffix in (".csv", ".jsonl")}
    assert found == set(listed)
    for name, digest in listed.items():
        assert hashlib.sha256((embedded.EMBEDDED / name).read_bytes()).hexdigest() == digest
        assert f"`{name}`" in (embedded.EMBEDDED / "tinysweep.md").read_text(encoding="utf-8")


def test_an_embedded_set_is_there_without_a_network(cache: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(socket, "socket", None)
    path = embedded.EMBEDDED / "tinysweep.csv"
    assert lawful.fetch("tinysweep") == path
    assert published.cached_path("tinysweep") == path
    runs = lawful.Runs.fetch("tinysweep")
    assert (len(runs), runs.budgets.size, runs.columns["budget"]) == (53, 5, "flops")
    assert len(lawful.Runs.fetch("tinysweep", select={"seed": "1"})) == 9
    assert main(["datasets", "path", "tinysweep"]) == 0
    assert capsys.readouterr().out == f"{path}\n"
    assert main(["datasets", "fetch", "tinysweep"]) == 0
    assert "Nothing to fetch: it comes with lawful." in capsys.readouterr().out
    assert main(["datasets", "path", "tinysweep", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["embedded"], document["url"], document["path"]) == (True, None, str(path))
    assert main(["datasets", "list"]) == 0
    assert "yes, embedded" in capsys.readouterr().out
    assert left_behind(cache) == []


@pytest.mark.parametrize("content", [None, b"params,tokens\n"])
def test_an_embedded_set_that_was_altered_is_refused(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    (tmp_path / "SHA256SUMS").write_text((embedded.EMBEDDED / "SHA256SUMS").read_text(encoding="utf-8"))
    if content is not None:
        (tmp_path / "tinysweep.csv").write_bytes(content)
    monkeypatch.setattr(embedded, "EMBEDDED", tmp_path)
    said = r"comes with lawful, and '.*tinysweep\.csv' is missing or was altered; install lawful again\."
    with pytest.raises(lawful.FetchError, match=said):
        lawful.Runs.fetch("tinysweep")
    with pytest.raises(lawful.FetchError, match=said):
        embedded.embedded_file("tinysweep.csv")
    assert main(["datasets", "path", "tinysweep"]) == 1
    assert "install lawful again" in capsys.readouterr().err
    assert embedded.embedded_file("tinysweep-of-another-day.csv") is None
