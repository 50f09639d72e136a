"""The manifest of a batch: one row per file and page, in an SQLite database.

The database is in WAL mode: it can be read while a batch writes it, and it is right after a batch
was killed at any instant. A file is marked as done after its result is in its place.
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

from recolor_core.batch.outcome import Outcome
from recolor_core.errors import RecolorError

MANIFEST = "recolor-manifest.sqlite"
"""Name of the database in the output folder."""

State = Literal["pending", "running", "done", "kept", "failed", "gone"]
STATES: tuple[State, ...] = ("pending", "running", "done", "kept", "failed", "gone")
"""What can be said of a file. "kept": its result is of an older source or other settings and stays
as it is; "gone": the source disappeared before it was done."""

_VERSION = 1
_BUSY_SECONDS = 60.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY,       -- of the source, below the input folder
    folder TEXT NOT NULL,
    output TEXT,                 -- below the output folder
    status TEXT NOT NULL,
    message TEXT NOT NULL DEFAULT '',
    warnings TEXT NOT NULL DEFAULT '[]',
    attempts INTEGER NOT NULL DEFAULT 0,
    full_name INTEGER NOT NULL DEFAULT 0,
    size INTEGER NOT NULL,       -- bytes of the source
    modified_ns INTEGER NOT NULL,
    source_sha256 TEXT,
    output_sha256 TEXT,
    output_size INTEGER,
    output_modified_ns INTEGER,
    pages INTEGER,
    megapixels REAL,
    seconds REAL,
    exact_gray INTEGER,
    uncertainty REAL,            -- mean standard deviation of the color, Lab units
    weights TEXT,
    weights_sha256 TEXT,
    parameters TEXT,
    version TEXT,
    device TEXT,
    finished TEXT,               -- UTC, ISO 8601
    run INTEGER NOT NULL         -- the last run that found the source
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files_by_status ON files (status, attempts, path);
CREATE INDEX IF NOT EXISTS files_by_folder ON files (folder);
CREATE TABLE IF NOT EXISTS pages (
    path TEXT NOT NULL,
    page INTEGER NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    dtype TEXT NOT NULL,
    reading TEXT NOT NULL,
    gray_sha256 TEXT NOT NULL,
    uncertainty REAL NOT NULL,
    PRIMARY KEY (path, page)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS thumbnails (
    path TEXT PRIMARY KEY,
    image BLOB NOT NULL          -- WebP: before above after
);
CREATE TABLE IF NOT EXISTS runs (
    run INTEGER PRIMARY KEY,
    started TEXT NOT NULL,
    ended TEXT,
    input TEXT NOT NULL,
    parameters TEXT NOT NULL,
    weights TEXT NOT NULL,
    weights_sha256 TEXT NOT NULL,
    version TEXT NOT NULL
);
"""


@dataclass(frozen=True)
class Found:
    """A source that was found in the input folder.

    Parameters
    ----------
    path : str
        Below the input folder.
    size : int
        Bytes.
    modified_ns : int
        Time of modification, in nanoseconds since 1970.
    full_name : bool
        Whether its result keeps the source's ending in its name, since another source of the
        folder differs in the ending only.
    """

    path: str
    size: int
    modified_ns: int
    full_name: bool = False

    @property
    def folder(self) -> str:
        """The folder of the source, below the input folder; "." for that folder itself."""
        return os.path.dirname(self.path) or "."  # noqa: PTH120 (one in 100,000)


@dataclass(frozen=True)
class Making:
    """How the results of a run are made.

    Parameters
    ----------
    parameters : mapping
        What `Request.parameters` gives.
    weights, weights_sha256 : str
        Name and hash of the networks.
    version : str
        Of Recolor.
    """

    parameters: Mapping[str, Any]
    weights: str
    weights_sha256: str
    version: str

    @property
    def text(self) -> str:
        """The parameters as JSON."""
        return json.dumps(self.parameters, sort_keys=True)


@contextmanager
def _closed_on_error(db: sqlite3.Connection) -> Iterator[None]:
    """Close a connection that cannot be used: Windows moves no file that is open."""
    try:
        yield
    except BaseException:
        db.close()
        raise


def _version_of(db: sqlite3.Connection) -> int:
    [version] = db.execute("PRAGMA user_version").fetchone()
    return int(version)


def _check_version(db: sqlite3.Connection) -> None:
    if (version := _version_of(db)) != _VERSION:
        raise sqlite3.DatabaseError(f"version {version}, expected {_VERSION}")


def _is_read_only(error: sqlite3.Error) -> bool:
    code: int = getattr(error, "sqlite_errorcode", 0)  # only errors of SQLite itself have it
    return code & 0xFF == sqlite3.SQLITE_READONLY  # the higher bits say why


class Manifest:
    """The database of an output folder. A context manager.

    Parameters
    ----------
    folder : Path
        The output folder.
    write : bool
        Whether to write; only one process may, and it makes the database if there is none.

    Raises
    ------
    RecolorError
        If there is no database, or the file is not one of this version.
    """

    def __init__(self, folder: Path, *, write: bool = False) -> None:
        self.folder = folder
        self.path = folder / MANIFEST
        if not write and not self.path.exists():
            raise RecolorError(
                f"{folder}: expected the output folder of recolor batch, found no {MANIFEST} in it"
            )
        try:
            self._db = self._open(write)
        except sqlite3.DatabaseError as error:
            if _is_read_only(error):
                raise self._not_writable(error) from error
            raise RecolorError(
                f"{self.path}: the manifest cannot be opened ({error}); restore it from a copy, or "
                "move it away and repeat the batch: results that are there are found again"
            ) from error

    def _open(self, write: bool) -> sqlite3.Connection:
        if not write:
            return self._open_for_reading()
        db = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None)
        with _closed_on_error(db):
            db.execute("PRAGMA journal_mode=WAL")
            # A commit survives a killed process. After a power failure the last ones may be
            # missing; their results are found again by the next run.
            db.execute("PRAGMA synchronous=NORMAL")
            if _version_of(db) == 0:
                db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version={_VERSION}; COMMIT;")
            else:
                _check_version(db)
        db.row_factory = sqlite3.Row
        return db

    def _open_for_reading(self) -> sqlite3.Connection:
        # Nothing is written. But whoever reads a database in WAL mode uses files beside it, which
        # only a connection that might write removes again.
        where = self.path.resolve().as_uri()
        for mode in ("mode=rw", "mode=ro", "immutable=1"):  # the last one for read-only media
            db = sqlite3.connect(f"{where}?{mode}", uri=True, timeout=_BUSY_SECONDS)
            with suppress(sqlite3.OperationalError), _closed_on_error(db):
                db.execute("SELECT count(*) FROM sqlite_master")
                _check_version(db)
                db.row_factory = sqlite3.Row
                return db
        raise sqlite3.DatabaseError("unable to open database file")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        with suppress(sqlite3.OperationalError):  # the same error again
            self.close()
        if isinstance(error, sqlite3.OperationalError):
            if _is_read_only(error):
                raise self._not_writable(error) from error
            raise RecolorError(
                f"{self.path}: the manifest cannot be written ({error}); make room or check the "
                "disk, then repeat the call to go on from there"
            ) from error

    def _not_writable(self, error: sqlite3.Error) -> RecolorError:
        return RecolorError(
            f"{self.folder}: this folder or the manifest in it cannot be written ({error}); choose "
            "an output folder that you may write to, or change the permissions"
        )

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def copy_to(self, folder: Path) -> None:
        """Copy the database into another folder, consistently, even while it is written."""
        with closing(sqlite3.connect(folder / MANIFEST)) as copy:
            self._db.backup(copy)

    # --- a run --------------------------------------------------------------------------------

    def begin_run(self, making: Making, source: Path, started: str) -> int:
        """Note that a run begins, and return its number."""
        cursor = self._db.execute(
            "INSERT INTO runs (started, input, parameters, weights, weights_sha256, version) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (
                started,
                _stored(str(source)),
                making.text,
                making.weights,
                making.weights_sha256,
                making.version,
            ),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def end_run(self, run: int, ended: str) -> None:
        """Note that a run ended by itself."""
        self._db.execute("UPDATE runs SET ended = ? WHERE run = ?", (ended, run))

    def note_sources(
        self, run: int, sources: Sequence[Found], making: Making, *, redo_all: bool = False
    ) -> None:
        """Note the sources of a folder, and which of them are to be done.

        A result counts as done without a look into it if source and output have the sizes and dates
        that the manifest knows, and were made with the same parameters and weights.

        Parameters
        ----------
        run : int
            Number of the run.
        sources : sequence of Found
            All sources of one folder.
        making : Making
            How results are to be made.
        redo_all : bool
            Look into every result.
        """
        if not sources:
            return
        known = {
            row["path"]: row
            for row in self._db.execute(
                "SELECT * FROM files WHERE folder = ?", (_stored(sources[0].folder),)
            )
        }
        rows = []
        for found in sources:
            path = _stored(found.path)
            row = known.get(path)
            current = not redo_all and row is not None and self._is_current(row, found, making)
            status = row["status"] if row is not None and current else "pending"
            rows.append(
                (
                    path,
                    _stored(found.folder),
                    status,
                    found.full_name,
                    found.size,
                    found.modified_ns,
                    run,
                )
            )
        with self._transaction():
            self._db.executemany(
                "INSERT INTO files (path, folder, status, full_name, size, modified_ns, run) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET "
                "status = excluded.status, full_name = excluded.full_name, size = excluded.size, "
                "modified_ns = excluded.modified_ns, run = excluded.run",
                rows,
            )

    def note_gone(self, run: int) -> None:
        """Note which sources that were never done are not there any more."""
        self._db.execute(
            "UPDATE files SET status = 'gone' WHERE run < ? AND status IN "
            "('pending', 'running', 'failed')",
            (run,),
        )

    def _is_current(self, row: sqlite3.Row, found: Found, making: Making) -> bool:
        if row["status"] != "done" or row["output"] is None:
            return False
        same = (
            row["size"] == found.size
            and row["modified_ns"] == found.modified_ns
            and bool(row["full_name"]) == found.full_name
            and row["parameters"] == making.text
            and row["weights_sha256"] == making.weights_sha256
        )
        if not same:
            return False
        try:
            status = (self.folder / _loaded(row["output"])).stat()
        except OSError:
            return False
        return (status.st_size, status.st_mtime_ns) == tuple(
            row[name] for name in ("output_size", "output_modified_ns")
        )

    def pending(self, run: int) -> Iterator[Found]:
        """What a run has to do, in order; what was begun most often comes last.

        So a file that ends the whole process, or hangs, does not keep the others from being done.
        """
        last: tuple[int, str | bytes] = (-1, "")
        while True:
            rows = self._db.execute(
                "SELECT path, size, modified_ns, full_name, attempts FROM files "
                "WHERE status = 'pending' AND run = ? AND (attempts, path) > (?, ?) "
                "ORDER BY attempts, path LIMIT 200",
                (run, *last),
            ).fetchall()
            if not rows:
                return
            last = (rows[-1]["attempts"], rows[-1]["path"])
            for row in rows:
                yield Found(
                    _loaded(row["path"]), row["size"], row["modified_ns"], bool(row["full_name"])
                )

    def note_running(self, path: str) -> None:
        """Note that a file is begun."""
        self._db.execute(
            "UPDATE files SET status = 'running', attempts = attempts + 1 WHERE path = ?",
            (_stored(path),),
        )

    def note_waiting(self, paths: Iterable[str]) -> None:
        """Note that files that were begun are not being worked on any more."""
        with self._transaction():
            self._db.executemany(
                "UPDATE files SET status = 'pending' WHERE path = ? AND status = 'running'",
                [(_stored(path),) for path in paths],
            )

    def note_outcome(self, path: str, outcome: Outcome, making: Making, finished: str) -> None:
        """Note what became of a file and its pages.

        Parameters
        ----------
        path : str
            Of the source, below the input folder.
        outcome : Outcome
            Of `recolor_core.batch.image.try_image`.
        making : Making
            How it was made.
        finished : str
            When.
        """
        key = _stored(path)
        status = {"skipped": "done"}.get(outcome.status, outcome.status)
        values: dict[str, Any] = {
            "status": status,
            "message": outcome.message if status != "done" else "",
            "warnings": json.dumps(outcome.warnings),
            "finished": finished,
        }
        if outcome.source_sha256:
            values["source_sha256"] = outcome.source_sha256
        if status == "done":
            output = Path(outcome.output or "")
            stat = output.stat()
            values |= {
                "output": _stored(os.path.relpath(output, self.folder)),
                "output_sha256": outcome.output_sha256,
                "output_size": stat.st_size,
                "output_modified_ns": stat.st_mtime_ns,
                "pages": outcome.pages,
                "megapixels": outcome.megapixels,
                "exact_gray": outcome.exact_gray,
                "uncertainty": outcome.uncertainty,
                "weights": making.weights,
                "weights_sha256": making.weights_sha256,
                "parameters": making.text,
                "version": making.version,
                "device": outcome.device,
            }
            if outcome.status == "done":
                values["seconds"] = round(outcome.seconds, 3)
            else:  # it was found there: how it was made is older than this run
                del values["version"]
        names = ", ".join(f"{name} = :{name}" for name in values)
        with self._transaction():
            self._db.execute(f"UPDATE files SET {names} WHERE path = :path", values | {"path": key})
            if status == "done":
                self._db.execute("DELETE FROM pages WHERE path = ?", (key,))
                if outcome.thumbnail:
                    self._db.execute(
                        "INSERT OR REPLACE INTO thumbnails VALUES (?, ?)", (key, outcome.thumbnail)
                    )
                elif outcome.status == "done":
                    self._db.execute("DELETE FROM thumbnails WHERE path = ?", (key,))
                self._db.executemany(
                    "INSERT INTO pages VALUES (:path, :page, :width, :height, :dtype, :reading, "
                    ":gray_sha256, :uncertainty)",
                    [
                        asdict(page) | {"path": key, "page": number}
                        for number, page in enumerate(outcome.page_facts, 1)
                    ],
                )

    # --- questions ----------------------------------------------------------------------------

    def counts(self) -> dict[State, int]:
        """Number of files by status."""
        rows = self._db.execute("SELECT status, count(*) FROM files GROUP BY status")
        numbers = dict(tuple(row) for row in rows)
        return {state: numbers.get(state, 0) for state in STATES}

    def last_run(self) -> dict[str, Any] | None:
        """The last run; None if there was none."""
        row = self._db.execute("SELECT * FROM runs ORDER BY run DESC LIMIT 1").fetchone()
        return _plain(row) if row else None

    def totals(self) -> dict[str, float]:
        """Megapixels, seconds and bytes of everything that is done."""
        row = self._db.execute(
            "SELECT total(megapixels) AS megapixels, total(seconds) AS seconds, "
            "total(size) AS source_bytes, total(output_size) AS output_bytes "
            "FROM files WHERE status = 'done'"
        ).fetchone()
        return dict(row)

    def speed(self) -> float | None:
        """Megapixels per second of one worker; None if nothing was timed yet."""
        row = self._db.execute(
            "SELECT total(megapixels), total(seconds) FROM files WHERE seconds > 0"
        ).fetchone()
        return row[0] / row[1] if row[1] else None

    def failures(self, limit: int = -1) -> Iterator[dict[str, Any]]:
        """The files that failed, by path."""
        rows = self._db.execute(
            "SELECT path, message, attempts FROM files WHERE status = 'failed' "
            "ORDER BY path LIMIT ?",
            (limit,),
        )
        return map(_plain, rows)

    def files(self, *, status: State | None = None) -> Iterator[dict[str, Any]]:
        """The rows of all files, or of those of one status, by path."""
        where = "WHERE status = ?" if status else ""
        rows = self._db.execute(
            f"SELECT * FROM files {where} ORDER BY path", (status,) if status else ()
        )
        return map(_plain, rows)

    def pages(self) -> Iterator[dict[str, Any]]:
        """The rows of all pages, with the columns of their files, by path and page."""
        rows = self._db.execute(
            "SELECT files.*, pages.page, pages.width, pages.height, pages.dtype, pages.reading, "
            "pages.gray_sha256, pages.uncertainty AS page_uncertainty FROM files "
            "LEFT JOIN pages USING (path) ORDER BY path, page"
        )
        return map(_plain, rows)

    def thumbnail(self, path: str) -> bytes | None:
        """The thumbnail of a result, WebP; None if there is none."""
        row = self._db.execute(
            "SELECT image FROM thumbnails WHERE path = ?", (_stored(path),)
        ).fetchone()
        return bytes(row["image"]) if row else None

    def size_of_first_page(self, path: str) -> tuple[int, int] | None:
        """Width and height of the first page of a file; None if nothing is known."""
        row = self._db.execute(
            "SELECT width, height FROM pages WHERE path = ? AND page = 1", (_stored(path),)
        ).fetchone()
        return (row["width"], row["height"]) if row else None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _stored(path: str) -> str | bytes:
    """A path as SQLite can hold it: text, or bytes if it is not Unicode."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return os.fsencode(path)
    return path


def _loaded(value: str | bytes) -> str:
    return os.fsdecode(value) if isinstance(value, bytes) else value


def _plain(row: sqlite3.Row) -> dict[str, Any]:
    return {
        name: os.fsdecode(row[name]) if isinstance(row[name], bytes) else row[name]
        for name in row.keys()  # noqa: SIM118 (a Row iterates its values)
    }
