"""Download large files over HTTP with several connections, resuming and verification."""

import hashlib
import json
import re
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from recolor_core.files import replacing
from training.prepare.datasets import RemoteFile
from training.prepare.errors import PrepareError
from training.prepare.files import make_folder
from training.prepare.progress import Progress, silent
from training.prepare.retry import Client, RetryPolicy, Stopped, TryAgain

# Share links of this service lead to a page. Its documented API gives name, size, hash and URL.
_SHARE_HOSTS = frozenset({"disk.yandex.ru", "disk.yandex.com", "yadi.sk"})
_SHARE_API = "https://cloud-api.yandex.net/v1/disk/public/resources"

_PIECE = 1 << 16
_RESTARTS = 3


class _Changed(Exception):
    """The file at the URL has changed since the download began."""


def fetch_files(
    files: Sequence[RemoteFile],
    into: Path,
    retry_policy: RetryPolicy | None = None,
    progress: Progress = silent,
) -> list[Path]:
    """Download files into a folder. After an interruption, a second run resumes the download.

    If there are fewer files than connections, the files are downloaded one after another, each in
    ranges over all connections. Otherwise, each file uses one connection.

    Parameters
    ----------
    files : sequence of RemoteFile
    into : Path
        Folder. For each file, ``name.sha256`` records its hash in the format of `sha256sum`.
    retry_policy : RetryPolicy, optional
    progress : callable, optional
        Receives the number of bytes.

    Returns
    -------
    list of Path
        Paths in the order of `files`.

    Raises
    ------
    PrepareError
        If a file is unavailable, does not match its size or hash, or does not fit on the disk.
    """
    make_folder(into)
    retry_policy = retry_policy or RetryPolicy()
    by_files = len(files) >= retry_policy.connections
    with Client(replace(retry_policy, connections=1) if by_files else retry_policy) as client:
        downloads = [_Download(file, into, client, progress) for file in files]
        if by_files:
            return _together((one.fetch for one in downloads), retry_policy.connections, client)
        return [one.fetch() for one in downloads]


def _together(tasks: Iterable[Callable[[], Path]], threads: int, client: Client) -> list[Path]:
    """Run tasks in threads. The first failure stops the other tasks and is raised."""
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(task) for task in tasks]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException as error:
            # If the file has changed, all threads restart; running ones detect it too.
            if not isinstance(error, _Changed):
                client.stop.set()
            for future in futures:
                future.cancel()
            raise
    return [future.result() for future in futures]


@dataclass(frozen=True)
class _Remote:
    """What the server says about a file. `validator` is the value for ``If-Range`` or empty."""

    size: int | None
    validator: str
    ranges: bool


@dataclass
class _Download:
    file: RemoteFile
    into: Path
    client: Client
    progress: Progress
    name: str = ""
    _received: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fetch(self) -> Path:
        self._resolve_share()
        self.name = self.file.name or unquote(urlsplit(self.file.url).path).rsplit("/", 1)[-1]
        if not re.fullmatch(r"[^./\\:\x00][^/\\:\x00]*", self.name):
            raise PrepareError(f"{self.file.url} names no file: give the URL of a file.")
        target = self.into / self.name
        part = self.into / f"{self.name}.part"
        for path in (target, part):
            if path.is_dir():
                raise PrepareError(f"{path} is a folder, expected a file there: move it away.")
        if target.exists():
            self._check(target)
            return target
        for _ in range(_RESTARTS):
            try:
                self._load(part)
                break
            except _Changed:
                self._discard(part)
        else:
            raise PrepareError(f"{self.file.url} changes while it is fetched: try again later.")
        try:
            self._check(part)
        except PrepareError:
            self._discard(part)
            raise
        part.replace(target)
        self._state(part).unlink(missing_ok=True)
        return target

    def _resolve_share(self) -> None:
        if urlsplit(self.file.url).hostname not in _SHARE_HOSTS:
            return
        key = quote(self.file.url, safe="")
        about = self._json(f"{_SHARE_API}?public_key={key}")
        link = self._json(f"{_SHARE_API}/download?public_key={key}")
        size = about.get("size")
        if "href" not in link:
            raise PrepareError(f"{self.file.url} is not a file: the share may have been closed.")
        self.file = RemoteFile(
            url=str(link["href"]),
            name=self.file.name or str(about.get("name", "")),
            size=self.file.size or (size if isinstance(size, int) else None),
            sha256=self.file.sha256 or str(about.get("sha256", "")),
            md5=self.file.md5 or str(about.get("md5", "")),
        )

    def _json(self, url: str) -> Mapping[str, object]:
        def ask() -> Mapping[str, object]:
            with self.client.get(url) as response:
                answer = response.json()  # a response that is not JSON counts as a failed request
            return answer if isinstance(answer, dict) else {}

        return self.client.persist(url, ask)

    # -- loading ------------------------------------------------------------------------------

    def _load(self, part: Path) -> None:
        remote = self.client.persist(self.file.url, self._probe)
        expected = self.file.size
        if None not in (expected, remote.size) and expected != remote.size:
            raise PrepareError(
                f"{self.file.url} has {remote.size} bytes, expected {expected}: "
                "the published file has changed, or the URL points to another file."
            )
        if remote.ranges and remote.size is not None:
            self._load_ranges(remote, remote.size, part)
        else:
            self._must_fit(remote.size or 0)
            self.client.persist(self.file.url, lambda: self._load_whole(part))

    def _probe(self) -> _Remote:
        # HEAD would be enough, but many servers and signed links answer only GET.
        with self.client.get(self.file.url, Range="bytes=0-0") as response:
            validator = _validator(response.headers)
            whole = re.fullmatch(
                r"bytes (?:\d+-\d+|\*)/(\d+)", response.headers.get("Content-Range", "")
            )
            if response.status_code in (206, 416) and whole:
                size = int(whole[1])
                return _Remote(size, validator, ranges=size > 0)
            length = response.headers.get("Content-Length", "")
            return _Remote(int(length) if length.isdigit() else None, validator, ranges=False)

    def _load_whole(self, part: Path) -> None:
        """Load the file in one response, for servers without ranges or a known size."""
        self._received = 0
        with self.client.get(self.file.url) as response, part.open("wb") as file:
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdigit() else 0
            for piece in response.iter_content(_PIECE):
                file.write(piece)
                self._advance(len(piece), total)
        if total and self._received < total:
            raise TryAgain(f"the connection ended after {self._received} of {total} bytes")

    def _load_ranges(self, remote: _Remote, size: int, part: Path) -> None:
        chunk = self.client.retry_policy.chunk
        done = self._done(part, remote, size)
        missing = [start for start in range(0, size, chunk) if start not in done]
        self._received = size - sum(min(chunk, size - start) for start in missing)
        self._must_fit(size - self._received)
        if not part.exists():
            part.touch()
        with part.open("r+b") as file:
            file.truncate(size)

        def load(start: int) -> Path:
            self._load_chunk(remote, size, start, min(start + chunk, size), part)
            with self._lock:
                done.add(start)
                state = {"size": size, "validator": remote.validator, "chunk": chunk}
                with replacing(self._state(part)) as path:
                    path.write_text(json.dumps(state | {"done": sorted(done)}), encoding="utf-8")
            return part

        tasks = ((lambda start=start: load(start)) for start in missing)
        _together(tasks, self.client.retry_policy.connections, self.client)

    def _load_chunk(self, remote: _Remote, size: int, at: int, stop: int, part: Path) -> None:
        begin = at

        def load() -> None:
            nonlocal at
            headers = {"Range": f"bytes={at}-{stop - 1}"}
            if remote.validator:
                headers["If-Range"] = remote.validator
            with self.client.get(self.file.url, **headers) as response:
                # The server sent the whole file: the version that If-Range names is gone.
                if (
                    response.status_code != 206
                    or response.headers.get("Content-Range") != f"bytes {at}-{stop - 1}/{size}"
                    or _validator(response.headers) != remote.validator
                ):
                    raise _Changed
                with part.open("r+b") as file:
                    file.seek(at)
                    for piece in response.iter_content(_PIECE):
                        piece = piece[: stop - at]
                        file.write(piece)
                        at += len(piece)
                        self._advance(len(piece), size)
            if at < stop:
                raise TryAgain(f"the connection ended after {at - begin} of {stop - begin} bytes")

        self.client.persist(self.file.url, load, lambda: at)

    def _advance(self, count: int, total: int) -> None:
        if self.client.stop.is_set():
            raise Stopped
        with self._lock:
            self._received += count
            self.progress(self.name, self._received, total)

    def _must_fit(self, size: int) -> None:
        free = shutil.disk_usage(self.into).free
        if size > free:
            raise PrepareError(
                f"{self.name} needs {size / 1e9:.2f} GB more, but only {free / 1e9:.2f} GB are "
                f"free in {self.into}: free space or choose another folder."
            )

    # -- files of earlier runs ----------------------------------------------------------------

    @staticmethod
    def _state(part: Path) -> Path:
        return part.with_name(part.name + ".json")

    def _discard(self, part: Path) -> None:
        part.unlink(missing_ok=True)
        self._state(part).unlink(missing_ok=True)

    def _done(self, part: Path, remote: _Remote, size: int) -> set[int]:
        """Return the starts of the chunks of this same file that an earlier run has loaded."""
        try:
            state = json.loads(self._state(part).read_text(encoding="utf-8"))
            same = (state["size"], state["validator"], state["chunk"]) == (
                size,
                remote.validator,
                self.client.retry_policy.chunk,
            )
            # Without a validator, only the final hash can show whether old and new chunks match.
            checkable = remote.validator or self.file.sha256 or self.file.md5
            if same and checkable and part.stat().st_size == size:
                return set(state["done"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        self._discard(part)
        return set()

    def _check(self, path: Path) -> None:
        """Verify size and hash, and record the hash so that a later run can detect a change."""
        size = path.stat().st_size
        if self.file.size is not None and size != self.file.size:
            raise PrepareError(f"{self._trouble(path)} has {size} bytes, not {self.file.size}.")
        record = path.with_name(f"{self.name}.sha256")
        recorded = record.read_text(encoding="utf-8").split()[:1] if record.is_file() else []
        digests = {"sha256": hashlib.sha256(), "md5": hashlib.md5(usedforsecurity=False)}
        with path.open("rb") as file:
            while piece := file.read(1 << 22):
                for digest in digests.values():
                    digest.update(piece)
                self.progress(f"check {self.name}", file.tell(), size)
        expectations = [("sha256", self.file.sha256), ("md5", self.file.md5)]
        for kind, expected in expectations:
            if expected and expected.lower() != digests[kind].hexdigest():
                raise PrepareError(
                    f"{self._trouble(path)} has {kind} {digests[kind].hexdigest()}, not {expected}."
                )
        if recorded not in ([], [digests["sha256"].hexdigest()]):
            raise PrepareError(
                f"{self._trouble(path)} is not what {record.name} recorded at the first download "
                "(remove that record if the change is intended)."
            )
        with replacing(record) as new:
            new.write_text(f"{digests['sha256'].hexdigest()}  {self.name}\n", encoding="utf-8")

    def _trouble(self, path: Path) -> str:
        if path.suffix == ".part":
            return (
                f"the download from {self.file.url} is not the published file and was removed: it"
            )
        return f"{path} is not the published file, move it away and fetch it again: it"


def _validator(headers: Mapping[str, str]) -> str:
    """Return the strong ETag or the modification date; a weak ETag does not ensure equal bytes."""
    etag = headers.get("ETag", "")
    return etag if etag.startswith('"') else headers.get("Last-Modified", "")
