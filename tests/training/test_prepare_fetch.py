import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from training.prepare import fetch, retry
from training.prepare.__main__ import main
from training.prepare.datasets import DATASETS, RemoteFile
from training.prepare.errors import PrepareError
from training.prepare.fetch import fetch_files
from training.prepare.retry import RetryPolicy
from training.prepare.unpack import unpack

DATA = np.random.default_rng(0).bytes(300_000)
CHUNK = 40_000
QUICK = RetryPolicy(connections=3, chunk=CHUNK, timeout=0.5, attempts=4, backoff=0.001)


class Server(ThreadingHTTPServer):
    """Serves bytes by path; its behavior is set by attributes, its log says what was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {"/data.zip": DATA}
        self.ranges = True
        self.etag: str | None = '"one"'
        self.send_length = True
        self.trouble = lambda number, start: None  # of a request's number: what goes wrong
        self.lock = threading.Lock()
        self.requests: list[tuple[str, str | None]] = []
        self.sent: Counter[str] = Counter()
        self.released = threading.Event()

    def url(self, path: str = "/data.zip") -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is what these tests are about."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        wanted = self.headers.get("Range")
        with server.lock:
            server.requests.append((self.path, wanted))
            number = len(server.requests)
        self.answer(number, wanted)

    def answer(self, number: int, wanted: str | None) -> None:
        server = self.server
        data = server.files.get(self.path.split("?")[0])
        if data is None:
            self.send_error(404)
            return
        start, stop = 0, len(data)
        partial = server.ranges and wanted is not None
        if partial and self.headers.get("If-Range", server.etag) != server.etag:
            partial = False
        if partial and wanted:
            first, last = wanted.removeprefix("bytes=").split("-")
            start, stop = int(first), min(int(last) + 1, len(data))
        trouble = server.trouble(number, start)
        if isinstance(trouble, tuple):
            status, retry_after = trouble
            self.send_response(status)
            if retry_after is not None:
                self.send_header("Retry-After", retry_after)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if partial and start >= len(data):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(data)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if partial else 200)
        if partial:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        if server.etag:
            self.send_header("ETag", server.etag)
        if server.send_length:
            self.send_header("Content-Length", str(stop - start))
        else:
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        body = data[start:stop]
        if trouble == "drop":
            body = body[: len(body) // 2]
            self.close_connection = True
        elif trouble == "stall":
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            server.released.wait(20)
            self.close_connection = True
            return
        elif trouble == "corrupt":
            body = bytes(len(body))
        self.wfile.write(body)
        with server.lock:
            server.sent[self.path] += len(body)


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()
    thread.join()


def fetched(
    server: Server, into: Path, retry_policy: RetryPolicy = QUICK, **expected: object
) -> bytes:
    (path,) = fetch_files([RemoteFile(server.url(), **expected)], into, retry_policy)
    return path.read_bytes()


def left(into: Path) -> set[str]:
    return {path.name for path in into.iterdir()}


def test_a_file_comes_whole_by_ranges_and_its_hash_is_recorded(server, tmp_path):
    seen = []
    (path,) = fetch_files(
        [RemoteFile(server.url(), size=len(DATA))],
        tmp_path,
        QUICK,
        lambda *progress: seen.append(progress),
    )
    assert path.read_bytes() == DATA
    assert len({wanted for _, wanted in server.requests}) == 1 + -(-len(DATA) // CHUNK)
    record = (tmp_path / "data.zip.sha256").read_text()
    assert record == f"{hashlib.sha256(DATA).hexdigest()}  data.zip\n"
    assert left(tmp_path) == {"data.zip", "data.zip.sha256"}
    assert ("data.zip", len(DATA), len(DATA)) in seen


@pytest.mark.parametrize("trouble", ["drop", "stall", (503, None), (429, "0"), (500, "nonsense")])
def test_every_third_request_going_wrong_costs_only_patience(server, tmp_path, trouble):
    server.trouble = lambda number, start: trouble if number % 3 == 2 else None
    assert fetched(server, tmp_path) == DATA


def test_what_arrived_before_a_drop_is_not_asked_for_again(server, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "_PIECE", 1000)
    server.trouble = lambda number, start: "drop" if number in (2, 3, 4) else None
    assert fetched(server, tmp_path) == DATA
    assert server.sent["/data.zip"] == len(DATA) + 1  # the probe asks for one byte


def test_a_server_without_ranges_is_read_in_one_go_and_anew_after_a_drop(server, tmp_path):
    server.ranges = False
    server.trouble = lambda number, start: "drop" if number in (2, 3) else None
    assert fetched(server, tmp_path, sha256=hashlib.sha256(DATA).hexdigest()) == DATA


def test_a_server_that_tells_no_length_is_checked_by_the_expected_size(server, tmp_path):
    server.ranges = server.send_length = False
    server.trouble = lambda number, start: "drop" if number == 2 else None
    with pytest.raises(PrepareError, match="150000 bytes, not 300000"):
        fetched(server, tmp_path, size=len(DATA))
    assert left(tmp_path) == set()
    assert fetched(server, tmp_path, size=len(DATA)) == DATA


def test_an_empty_file_is_a_file(server, tmp_path):
    server.files["/data.zip"] = b""
    assert fetched(server, tmp_path, size=0) == b""


def test_a_run_that_fails_is_resumed_without_loading_a_chunk_twice(server, tmp_path):
    server.trouble = lambda number, start: (503, None) if start >= 5 * CHUNK else None
    with pytest.raises(PrepareError, match=r"503.*Run the same command again"):
        fetched(server, tmp_path)
    assert left(tmp_path) == {"data.zip.part", "data.zip.part.json"}
    done = json.loads((tmp_path / "data.zip.part.json").read_text())["done"]
    assert done
    server.requests.clear()
    server.trouble = lambda number, start: None
    assert fetched(server, tmp_path) == DATA
    again = {int(wanted.removeprefix("bytes=").split("-")[0]) for _, wanted in server.requests[1:]}
    assert again == set(range(0, len(DATA), CHUNK)) - set(done)


def test_content_that_changed_between_two_runs_is_begun_anew(server, tmp_path):
    server.trouble = lambda number, start: (503, None) if start >= 5 * CHUNK else None
    with pytest.raises(PrepareError):
        fetched(server, tmp_path)
    server.trouble = lambda number, start: None
    server.files["/data.zip"] = DATA[::-1]
    server.etag = '"two"'
    assert fetched(server, tmp_path) == DATA[::-1]


def test_without_validator_and_hash_old_parts_are_not_trusted(server, tmp_path):
    server.etag = None
    server.trouble = lambda number, start: (503, None) if start >= 5 * CHUNK else None
    with pytest.raises(PrepareError):
        fetched(server, tmp_path)
    server.trouble = lambda number, start: None
    server.files["/data.zip"] = DATA[::-1]
    assert fetched(server, tmp_path) == DATA[::-1]


@pytest.mark.parametrize("connections", [1, 3])
def test_content_that_changes_under_way_is_begun_anew(server, tmp_path, connections):
    def change(number: int, start: int) -> None:
        if number == 4:
            server.files["/data.zip"] = DATA[::-1]
            server.etag = '"two"'

    server.trouble = change
    retry_policy = RetryPolicy(connections=connections, chunk=CHUNK, backoff=0.001)
    assert fetched(server, tmp_path, retry_policy) == DATA[::-1]


def test_content_that_never_settles_is_given_up(server, tmp_path):
    def change(number: int, start: int) -> None:
        server.etag = f'"{number}"'

    server.trouble = change
    with pytest.raises(PrepareError, match="changes while it is fetched"):
        fetched(server, tmp_path)


def test_a_wrong_hash_removes_what_came(server, tmp_path):
    with pytest.raises(PrepareError, match="sha256"):
        fetched(server, tmp_path, sha256="0" * 64)
    with pytest.raises(PrepareError, match="md5"):
        fetched(server, tmp_path, md5="0" * 32)
    assert left(tmp_path) == set()


def test_a_corrupt_transfer_is_seen_by_its_hash(server, tmp_path):
    server.trouble = lambda number, start: "corrupt" if number == 3 else None
    with pytest.raises(PrepareError, match="sha256"):
        fetched(server, tmp_path, sha256=hashlib.sha256(DATA).hexdigest())


def test_a_size_other_than_published_is_refused_before_loading(server, tmp_path):
    with pytest.raises(PrepareError, match="300000 bytes, expected 5"):
        fetched(server, tmp_path, size=5)
    assert len(server.requests) == 1


def test_a_file_that_is_there_is_checked_and_not_loaded(server, tmp_path):
    fetched(server, tmp_path)
    server.requests.clear()
    assert fetched(server, tmp_path) == DATA
    assert server.requests == []
    (tmp_path / "data.zip").write_bytes(DATA[:-1] + b"x")
    with pytest.raises(PrepareError, match="recorded at the first download"):
        fetched(server, tmp_path)
    assert (tmp_path / "data.zip").exists()


def test_a_missing_file_and_a_long_pause_end_at_once(server, tmp_path):
    with pytest.raises(PrepareError, match="404"):
        fetch_files([RemoteFile(server.url("/nothing.zip"))], tmp_path, QUICK)
    server.trouble = lambda number, start: (429, "7200")
    with pytest.raises(PrepareError, match="120 minutes"):
        fetched(server, tmp_path)
    assert len(server.requests) == 2


def test_a_dead_server_is_given_up_after_the_attempts(tmp_path):
    retry_policy = RetryPolicy(timeout=0.2, attempts=3, backoff=0.001)
    with pytest.raises(PrepareError, match="failed 3 times in a row"):
        fetch_files([RemoteFile("http://127.0.0.1:9/data.zip")], tmp_path, retry_policy)


def test_pauses_double_up_to_a_minute_and_follow_the_server(monkeypatch):
    waits = []
    client = retry.Client(RetryPolicy(attempts=9, backoff=1))
    monkeypatch.setattr(client.stop, "wait", lambda seconds=0: bool(waits.append(seconds)))
    monkeypatch.setattr(retry.random, "uniform", lambda low, high: high)

    def fail() -> None:
        raise retry.TryAgain("no")

    with pytest.raises(PrepareError):
        client.persist("http://host/file", fail)
    assert [wait for wait in waits if wait] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert retry._seconds("17") == 17
    assert retry._seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert retry._seconds("soon") is None


@pytest.mark.slow
def test_many_files_share_the_connections(server, tmp_path):
    server.files = {f"/{n}.bin": DATA[n * 1000 :] for n in range(12)}
    waiting, most = 0, 0

    def slow(number, start):
        # Counted before the answer begins: what was answered is done with at the client's end.
        nonlocal waiting, most
        with server.lock:
            waiting += 1
            most = max(most, waiting)
        time.sleep(0.01)
        with server.lock:
            waiting -= 1

    server.trouble = slow
    files = [RemoteFile(server.url(path)) for path in server.files]
    paths = fetch_files(files, tmp_path, QUICK)
    assert [path.read_bytes() for path in paths] == list(server.files.values())
    assert 1 < most <= QUICK.connections


def test_one_failing_among_many_stops_the_others_and_is_the_one_reported(server, tmp_path):
    server.files = {f"/{n}.bin": DATA for n in range(6)}
    names = [*server.files, "/gone.bin"]
    with pytest.raises(PrepareError, match=r"gone\.bin answers 404"):
        fetch_files([RemoteFile(server.url(name)) for name in names], tmp_path, QUICK)


def test_share_links_are_resolved_with_size_and_hash(server, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "_SHARE_HOSTS", {"127.0.0.1"})
    monkeypatch.setattr(fetch, "_SHARE_API", server.url("/api").replace("127.0.0.1", "localhost"))
    about = {"name": "photos.zip", "size": len(DATA), "md5": hashlib.md5(DATA).hexdigest()}
    link = {"href": server.url().replace("127.0.0.1", "localhost")}
    server.files |= {
        "/api": json.dumps(about).encode(),
        "/api/download": json.dumps(link).encode(),
    }
    (path,) = fetch_files([RemoteFile(server.url("/d/abc"))], tmp_path, QUICK)
    assert (path.name, path.read_bytes()) == ("photos.zip", DATA)
    server.files["/api"] = json.dumps(about | {"name": "p2.zip", "md5": "0" * 32}).encode()
    with pytest.raises(PrepareError, match="md5"):
        fetch_files([RemoteFile(server.url("/d/abc"))], tmp_path, QUICK)


@pytest.mark.parametrize("name", ["", "..", "%2e%2e", ".bashrc"])
def test_an_address_cannot_name_a_file_elsewhere(server, tmp_path, name):
    with pytest.raises(PrepareError, match="names no file"):
        fetch_files([RemoteFile(server.url("/") + name)], tmp_path, QUICK)


def test_things_in_the_way_and_a_full_disk_are_told(server, tmp_path, monkeypatch):
    (tmp_path / "folder" / "data.zip").mkdir(parents=True)
    with pytest.raises(PrepareError, match="is a folder"):
        fetched(server, tmp_path / "folder")
    (tmp_path / "file").touch()
    with pytest.raises(PrepareError, match="a file is in the way"):
        fetched(server, tmp_path / "file")
    usage = fetch.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(fetch.shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(PrepareError, match=r"needs 0\.00 GB more"):
        fetched(server, tmp_path)


def test_known_collections_are_well_formed():
    for name, dataset in DATASETS.items():
        assert name == dataset.name
        assert dataset.license
        for file in dataset.files:
            assert file.url.startswith(("https://", "http://"))
            assert len(file.sha256) in (0, 64)
            assert len(file.md5) in (0, 32)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="kills by signal")
def test_a_killed_run_goes_on_where_it_was(server, tmp_path):
    server.files["/data.zip"] = big = np.random.default_rng(1).bytes(80 << 20)
    slow = threading.Event()
    server.trouble = lambda number, start: None if slow.is_set() else time.sleep(0.3)
    words = ["fetch", server.url(), "-n", "2", "--into", str(tmp_path)]
    command = [sys.executable, "-m", "training.prepare", *words]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    state = tmp_path / "data.zip.part.json"
    while not (state.exists() and len(json.loads(state.read_text())["done"]) >= 3):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    done = json.loads(state.read_text())["done"]
    slow.set()
    server.requests.clear()
    assert run(*words) == 0
    assert (tmp_path / "data.zip").read_bytes() == big
    assert len(server.requests) == 1 + 10 - len(done)


# -- archives -------------------------------------------------------------------------------------


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def tarred(path: Path, members: dict[str, bytes], kind: bytes = tarfile.REGTYPE) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.type, member.linkname = len(data), kind, "/etc/passwd"
            archive.addfile(member, io.BytesIO(data))
    return path


@pytest.mark.parametrize("name", ["photos.zip", "photos.tar", "photos.tar.gz"])
def test_archives_unpack_into_a_folder_of_their_name_once(tmp_path, name):
    make = zipped if name.endswith("zip") else tarred
    archive = make(tmp_path / name, {"a/b.txt": b"b", "c.txt": b"c"})
    folder = unpack(archive)
    assert folder == tmp_path / "photos"
    assert (folder / "a/b.txt").read_bytes() == b"b"
    (folder / "c.txt").unlink()
    assert unpack(archive) == folder
    assert not (folder / "c.txt").exists()


@pytest.mark.parametrize("name", ["../evil.txt", "a/../../evil.txt", "/evil.txt", "..\\evil"])
@pytest.mark.parametrize("make", [zipped, tarred])
def test_archives_cannot_write_outside_their_folder(tmp_path, make, name):
    inside = tmp_path / "inside"
    inside.mkdir()
    suffix = ".zip" if make is zipped else ".tar"
    archive = make(inside / f"photos{suffix}", {"fine.txt": b"", name: b"evil"})
    with pytest.raises(PrepareError, match="would write outside"):
        unpack(archive)
    assert left(inside) == {archive.name}
    assert left(tmp_path) == {"inside"}
    assert not Path("/evil.txt").exists()


def test_links_damage_and_foreign_files_are_refused(tmp_path):
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
        with pytest.raises(PrepareError, match="contains a link or device"):
            unpack(tarred(tmp_path / "link.tar", {"link": b""}, kind))
    whole = zipped(tmp_path / "whole.zip", {"noise": DATA}).read_bytes()
    (tmp_path / "bad.zip").write_bytes(whole.replace(DATA[1000:1010], bytes(10)))
    with pytest.raises(PrepareError, match="CRC"):
        unpack(tmp_path / "bad.zip")
    (tmp_path / "text.zip").write_text("no archive")
    with pytest.raises(PrepareError, match="neither a zip nor a tar"):
        unpack(tmp_path / "text.zip")
    assert left(tmp_path) == {"link.tar", "whole.zip", "bad.zip", "text.zip"}


# -- command --------------------------------------------------------------------------------------


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as done:
        main([str(argument) for argument in arguments])
    return int(done.value.code or 0)


def test_the_command_fetches_unpacks_and_lists(server, tmp_path, capsys):
    archive = zipped(tmp_path / "made.zip", {"a.txt": b"a"}).read_bytes()
    server.files["/photos.zip"] = archive
    into = tmp_path / "data"
    assert run("fetch", server.url("/photos.zip"), "--into", into, "-n", 2, "--unpack") == 0
    assert (into / "photos" / "a.txt").read_bytes() == b"a"
    assert run("fetch") == 0
    assert "lhq-256" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["fetch", "no-such-collection"],
        ["fetch", "lhq-256", "--sha256", "0" * 64],
        ["fetch", "http://127.0.0.1:9/"],
    ],
)
def test_what_cannot_be_fetched_ends_in_one_line_and_code_2(tmp_path, capsys, arguments):
    assert run(*arguments, "--into", tmp_path) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1
    assert error[0].startswith("error: ")
