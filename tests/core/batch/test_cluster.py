"""A batch on a Dask cluster whose workers and scheduler are killed while it runs."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from PIL import Image

from recolor_core.batch.manifest import Manifest
from tests.core.cli_runner import FAST, Call, files, gray_of, photo, pixels, recolor

pytest.importorskip("distributed", reason="Dask is an extra")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="kills processes"),
    # Of Dask's own threads, whose connections are cut.
    pytest.mark.filterwarnings("ignore"),
]
COUNT = 16


class Cluster:
    """A scheduler and two workers, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "distributed.cli." + words[0], *words[1:]],
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "log.txt").open("ab"),
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            cwd=self.folder,
        )
        self.processes.append(process)
        return process

    def start_scheduler(self) -> subprocess.Popen[bytes]:
        return self._start(
            "dask_scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"
        )

    def start_worker(self) -> subprocess.Popen[bytes]:
        words = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--death-timeout", "60")
        return self._start("dask_worker", self.address, *words)

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path)
    try:
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    source = tmp_path / "in"
    source.mkdir()
    for number in range(COUNT):
        Image.fromarray(np.roll(photo(300, 400), number)).save(source / f"{number:02}.png")
    return source


def run_meanwhile(archive: Path, out: Path, address: str, happening: Callable[[], None]) -> Call:
    """A batch, and something that happens when a few of its files are done."""
    failures: list[BaseException] = []

    def happen() -> None:
        try:
            while len(list(out.glob("*.recolor.png"))) < 3:
                time.sleep(0.1)
            happening()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=happen)
    thread.start()
    call = recolor("batch", archive, out, "--scheduler", address, "--no-report", *FAST)
    thread.join()
    assert not failures
    return call


def complete_and_exact(out: Path, call: Call) -> None:
    assert call.code == 0, call.err
    names = [f"{number:02}.recolor.png" for number in range(COUNT)]
    assert [name for name in files(out) if not name.startswith(("recolor-", ".recolor-b"))] == names
    for number, name in enumerate(names):
        codes = np.roll(photo(300, 400), number)
        np.testing.assert_array_equal(gray_of(pixels(out / name)), codes)
    with Manifest(out) as manifest:
        assert manifest.counts()["done"] == COUNT
        assert len({row["output_sha256"] for row in manifest.files()}) == COUNT


def test_a_worker_that_is_killed(cluster: Cluster, archive: Path, tmp_path: Path) -> None:
    cluster.start_scheduler()
    first, _ = cluster.start_worker(), cluster.start_worker()
    out = tmp_path / "out"
    call = run_meanwhile(archive, out, cluster.address, first.kill)
    complete_and_exact(out, call)


def test_a_scheduler_that_is_restarted(cluster: Cluster, archive: Path, tmp_path: Path) -> None:
    scheduler = cluster.start_scheduler()
    cluster.start_worker()

    def restart() -> None:
        scheduler.kill()
        scheduler.wait()
        time.sleep(2)
        cluster.start_scheduler()
        cluster.start_worker()

    out = tmp_path / "out"
    complete_and_exact(out, run_meanwhile(archive, out, cluster.address, restart))


def test_no_scheduler(archive: Path, tmp_path: Path) -> None:
    with patch("recolor_core.batch.schedulers._CONNECT_SECONDS", 0.5):
        call = recolor(
            "batch", archive, tmp_path / "out", "--scheduler", "tcp://127.0.0.1:9", *FAST
        )
    assert (call.code, len(call.errors)) == (2, 1)
    assert "expected a Dask scheduler at tcp://127.0.0.1:9" in call.err
    call = recolor("batch", "status", tmp_path / "out", "--json")
    assert call.code == 0, call.err
    facts = json.loads(call.out)
    assert facts["files"]["pending"] == COUNT


def test_dask_is_named_if_it_is_missing(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    call = recolor("batch", archive, tmp_path / "out", "--scheduler", "tcp://x:1", *FAST)
    assert (call.code, len(call.errors)) == (2, 1)
    assert "napari-recolor[cluster]" in call.err
