"""Studies on a Dask cluster: real worker processes, one of them killed while it works."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from lawful.errors import UnsupportedError
from lawful.studies import runner

NAME = "parameter_recovery"


def test_without_dask_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UnsupportedError, match=r"`scheduler` needs Dask.*pip install 'lawful\[dask\]'"):
        runner.run_studies([NAME], tmp_path, quick=True, scheduler="tcp://127.0.0.1:8786")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_scheduler_that_does_not_answer_is_named(tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed; pip install 'lawful[dask]'")
    with pytest.raises(UnsupportedError, match=r"No Dask scheduler answers at 'tcp://127.0.0.1:9'"):
        runner.run_studies([NAME], tmp_path, quick=True, scheduler="tcp://127.0.0.1:9")


@pytest.mark.slow
# Dask warns of its own start-up and of the worker that is killed here on purpose.
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_gives_the_same_tables_though_a_worker_dies(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="Dask is not installed; pip install 'lawful[dask]'")
    runner.run_studies([NAME], tmp_path / "here", quick=True)
    killed: list[int] = []
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        pids = [worker.process.pid for worker in cluster.workers.values()]

        def kill_one(done: int, total: int, _: str) -> None:
            if not killed and total // 4 < done < total:
                os.kill(pids[0], signal.SIGKILL)
                killed.append(done)

        address = cluster.scheduler_address
        runner.run_studies([NAME], tmp_path / "there", quick=True, scheduler=address, progress=kill_one)
    assert killed
    folder = "05_parameter_recovery"
    tables = sorted(p.name for p in (tmp_path / "here" / folder).glob("*.csv"))
    assert tables == ["fits.csv", "off_centre.csv", "summary.csv"]
    for name in tables:
        assert (tmp_path / "there" / folder / name).read_bytes() == (tmp_path / "here" / folder / name).read_bytes()
