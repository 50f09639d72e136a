"""A batch: what is done, what is noted, and what a killed one leaves."""

import csv
import hashlib
import json
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import tifffile
from PIL import Image

from recolor_core.batch.lock import LOCK
from recolor_core.batch.manifest import MANIFEST, Found, Making, Manifest
from recolor_core.batch.outcome import Outcome
from recolor_core.batch.schedulers import MAX_PROCESSES, LocalProcesses, Lost
from recolor_core.batch.tasks import IMAGES_AT_A_TIME, Task, Work
from recolor_core.colorizer import Colorizer
from recolor_core.errors import RecolorError
from tests.core.cli_runner import FAST, files, gray_of, photo, pixels, recolor

posix = pytest.mark.skipif(os.name != "posix", reason="of POSIX systems")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    root = tmp_path / "in"
    (root / "box" / "deep").mkdir(parents=True)
    Image.fromarray(photo()).save(root / "a.png")
    Image.fromarray(photo()[::-1]).save(root / "a.jpg")
    Image.fromarray(photo(24, 80)).save(root / "box" / "b.jpg")
    with tifffile.TiffWriter(root / "box" / "deep" / "c.tif") as writer:
        for page in (photo(dtype=np.uint16), photo(16, 16, np.uint16)):
            writer.write(page, metadata=None)
    (root / "box" / "bad.png").write_bytes(b"no image")
    (root / "notes.txt").write_text("words")
    return root


RESULTS = [
    "a.jpg.recolor.png",
    "a.png.recolor.png",
    str(Path("box", "b.recolor.png")),
    str(Path("box", "deep", "c.recolor.tif")),
]


def rows(out: Path) -> dict[str, dict[str, object]]:
    with Manifest(out) as manifest:
        return {row["path"]: row for row in manifest.files()}


def statuses(out: Path) -> dict[str, str]:
    return {path: str(row["status"]) for path, row in rows(out).items()}


def images(out: Path) -> list[str]:
    ours = (LOCK, "recolor-manifest", "recolor-report")
    return [name for name in files(out) if not name.startswith(ours)]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# --- a run ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_tree_is_mirrored_and_every_file_noted(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    call = recolor("batch", archive, out, *FAST)
    assert call.code == 2
    assert call.errors == [
        f"recolor: {archive / 'box' / 'bad.png'}: " + call.err.split(": ", 2)[2].split("\n")[0]
    ]
    assert "left out 1 .txt" in call.err
    assert "4 done, 1 failed" in call.err
    assert images(out) == RESULTS
    noted = rows(out)
    assert {path: row["output"] for path, row in noted.items()} == {
        "a.jpg": "a.jpg.recolor.png",
        "a.png": "a.png.recolor.png",
        "box/b.jpg": "box/b.recolor.png",
        "box/bad.png": None,
        "box/deep/c.tif": "box/deep/c.recolor.tif",
    }
    for path, row in noted.items():
        if path == "box/bad.png":
            assert row["status"] == "failed"
            assert "no image" in str(row["message"])
            continue
        assert row["status"] == "done"
        assert row["source_sha256"] == digest(archive / path)
        assert row["output_sha256"] == digest(out / str(row["output"]))
        assert row["exact_gray"] == 1
        assert row["seconds"] > 0  # type: ignore[operator]
        assert row["weights"] == "default"
        assert json.loads(str(row["parameters"]))["settings"]["size"] == 32
        assert row["device"] == "cpu"
    with Manifest(out) as manifest:
        pages = [
            (p["path"], p["page"], p["width"], p["height"], p["dtype"]) for p in manifest.pages()
        ]
    assert ("box/deep/c.tif", 1, 56, 40, "uint16") in pages
    assert ("box/deep/c.tif", 2, 16, 16, "uint16") in pages
    np.testing.assert_array_equal(gray_of(pixels(out / RESULTS[1])), photo())


def test_a_second_run_does_what_is_new_and_retries_what_failed(
    archive: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    recolor("batch", archive, out, *FAST)
    stamps = {name: (out / name).stat().st_mtime_ns for name in RESULTS}
    Image.fromarray(photo()).save(archive / "box" / "bad.png")
    Image.fromarray(photo()).save(archive / "new.png")
    with patch.object(Colorizer, "generate", side_effect=Colorizer.generate, autospec=True) as made:
        call = recolor("batch", archive, out, *FAST)
    assert call.code == 0
    assert made.call_count == 2
    assert "2 done, 4 there already" in call.err
    assert {name: (out / name).stat().st_mtime_ns for name in RESULTS} == stamps
    assert set(statuses(out).values()) == {"done"}


def test_nothing_to_do_is_told_without_a_look_into_the_files(archive: Path, tmp_path: Path) -> None:
    (archive / "box" / "bad.png").unlink()
    out = tmp_path / "out"
    assert recolor("batch", archive, out, *FAST).code == 0
    with patch("recolor_core.batch.image.open_image", side_effect=AssertionError):
        call = recolor("batch", archive, out, *FAST)
    assert call.code == 0
    assert "0 done, 4 there already" in call.err


def test_patterns(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ("--include", "*.jpg", "--include", "box/*", "--exclude", "*/bad*")
    assert recolor("batch", archive, out, *words, *FAST).code == 0
    assert set(statuses(out)) == {"a.jpg", "box/b.jpg", "box/deep/c.tif"}


def test_a_limit_is_gone_on_from(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    call = recolor("batch", archive, out, "--limit", "2", *FAST)
    assert (call.code, len(images(out))) == (0, 2)
    assert "3 left to do" in call.err
    recolor("batch", archive, out, *FAST)
    assert images(out) == RESULTS


def test_the_output_folder_may_lie_in_the_input_folder(archive: Path) -> None:
    (archive / "box" / "bad.png").unlink()
    for out in (archive / "results", archive):
        assert recolor("batch", archive, out, *FAST).code == 0
        assert recolor("batch", archive, out, *FAST).code == 0
        assert set(statuses(out)) == {"a.jpg", "a.png", "box/b.jpg", "box/deep/c.tif"}


def test_a_source_that_disappears_is_gone(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    recolor("batch", archive, out, "--limit", "1", *FAST)
    (archive / "box" / "bad.png").unlink()
    (archive / "a.jpg").unlink()  # it was done
    assert recolor("batch", archive, out, *FAST).code == 0
    assert statuses(out)["box/bad.png"] == "gone"
    assert statuses(out)["a.jpg"] == "done"


def test_a_result_that_was_lost_or_cut_is_made_again(archive: Path, tmp_path: Path) -> None:
    (archive / "box" / "bad.png").unlink()
    out = tmp_path / "out"
    recolor("batch", archive, out, *FAST)
    (out / RESULTS[0]).unlink()
    (out / RESULTS[1]).write_bytes(b"")
    call = recolor("batch", archive, out, *FAST)
    assert call.code == 2
    assert "--on-changed redo renews it" in call.err
    assert "1 done" in call.err
    assert recolor("batch", archive, out, "--on-changed", "redo", *FAST).code == 0
    np.testing.assert_array_equal(gray_of(pixels(out / RESULTS[1])), photo())
    assert set(statuses(out).values()) == {"done"}


# --- what has changed -------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["source", "settings"])
@pytest.mark.parametrize("on_changed", ["fail", "skip", "redo"])
def test_changes(archive: Path, tmp_path: Path, what: str, on_changed: str) -> None:
    out = tmp_path / "out"
    only = ("--include", "a.png")
    recolor("batch", archive, out, *only, *FAST)
    [output] = images(out)
    before = (out / output).read_bytes()
    words = ("--vividness", "1") if what == "settings" else ()
    if what == "source":
        Image.fromarray(photo()[::-1]).save(archive / "a.png")
    call = recolor("batch", archive, out, *only, *words, "--on-changed", on_changed, *FAST)
    kept = (out / output).read_bytes() == before
    status = statuses(out)["a.png"]
    if on_changed == "fail":
        assert (call.code, kept, status) == (2, True, "failed")
        assert "--on-changed redo renews it" in call.err
    elif on_changed == "skip":
        assert (call.code, kept, status) == (0, True, "kept")
        assert "1 left as they are" in call.err
    else:
        assert (call.code, kept, status) == (0, False, "done")
        assert rows(out)["a.png"]["output_sha256"] == digest(out / output)
        call = recolor("batch", archive, out, *only, *words, *FAST)
        assert "0 done, 1 there already" in call.err


def test_another_date_of_the_same_source_is_no_change(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    only = ("--include", "a.png")
    recolor("batch", archive, out, *only, *FAST)
    os.utime(archive / "a.png", (1, 1))
    with patch.object(Colorizer, "generate", side_effect=AssertionError):
        assert recolor("batch", archive, out, *only, *FAST).code == 0
    assert statuses(out) == {"a.png": "done"}
    assert rows(out)["a.png"]["seconds"] > 0  # type: ignore[operator]


# --- killed -----------------------------------------------------------------------------------


def test_a_lost_manifest_is_made_anew_from_the_results(archive: Path, tmp_path: Path) -> None:
    (archive / "box" / "bad.png").unlink()
    out = tmp_path / "out"
    recolor("batch", archive, out, *FAST)
    before = rows(out)
    for path in out.glob(f"{MANIFEST}*"):
        path.unlink()
    with patch.object(Colorizer, "generate", side_effect=AssertionError):
        assert recolor("batch", archive, out, *FAST).code == 0
    after = rows(out)
    ignored = {"seconds", "attempts", "finished", "run", "version"}
    for path, row in before.items():
        assert {k: v for k, v in after[path].items() if k not in ignored} == {
            k: v for k, v in row.items() if k not in ignored
        }


KILLED = """
import os, random, sys
from recolor_core.batch import manifest
from recolor_core.cli import main
from recolor_core.files import AtomicFile

# Ends this process, without any cleaning up, at one of the calls of these functions.
left = int(os.environ["MOMENT"])

def dying(function):
    def call(*arguments, **options):
        global left
        left -= 1
        if left == 0:
            os._exit(9)
        return function(*arguments, **options)
    return call

for kind, name in ((manifest.Manifest, "note_running"), (manifest.Manifest, "note_outcome"),
                   (AtomicFile, "finish"), (AtomicFile, "commit"), (AtomicFile, "discard")):
    setattr(kind, name, dying(getattr(kind, name)))
sys.argv[0] = "recolor"
main()
"""


@posix
@pytest.mark.slow
def test_killed_at_any_instant_it_is_finished_by_the_next_run(
    archive: Path, tmp_path: Path
) -> None:
    (archive / "box" / "bad.png").unlink()
    out = tmp_path / "out"
    words = ["batch", str(archive), str(out), "--sidecar", *FAST]
    kills = 0
    for moment in (3, 7, 5, 9):  # each process gets a little further
        run = subprocess.run(
            [sys.executable, "-c", KILLED, *words],
            env={**os.environ, "MOMENT": str(moment)},
            capture_output=True,
            timeout=300,
        )
        kills += run.returncode == 9
        noted = statuses(out)
        for path, row in rows(out).items():
            if row["status"] == "done":
                assert row["output_sha256"] == digest(out / str(row["output"])), path
        assert sum(status == "running" for status in noted.values()) <= IMAGES_AT_A_TIME
    assert kills >= 3
    assert recolor(*words).code == 0
    assert set(statuses(out).values()) == {"done"}
    sidecars = [f"{name}.json" for name in RESULTS]
    assert images(out) == sorted(RESULTS + sidecars)
    for name, codes in ((RESULTS[0], photo()[::-1]), (RESULTS[1], photo())):
        if name.startswith("a.png"):
            np.testing.assert_array_equal(gray_of(pixels(out / name)), codes)


def test_an_interrupted_run_goes_on(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    generate, calls = Colorizer.generate, iter((False, True))

    def interrupted(*arguments: object) -> object:
        if next(calls):
            raise KeyboardInterrupt
        return generate(*arguments)  # type: ignore[arg-type]

    with patch.object(Colorizer, "generate", interrupted):
        call = recolor("batch", archive, out, *FAST)
    assert call.code == 130
    assert "interrupted, 1 file done" in call.err
    assert sorted(statuses(out).values()).count("done") == 1
    assert "running" not in statuses(out).values()
    recolor("batch", archive, out, *FAST)
    assert images(out) == RESULTS


def test_a_file_that_ended_runs_before_is_tried_last(tmp_path: Path) -> None:
    making = Making({}, "default", "0", "1")
    with Manifest(tmp_path, write=True) as manifest:
        run = manifest.begin_run(making, tmp_path, "now")
        manifest.note_sources(run, [Found(name, 1, 1) for name in "abc"], making)
        manifest.note_running("a")
    with Manifest(tmp_path, write=True) as manifest:
        run = manifest.begin_run(making, tmp_path, "now")
        manifest.note_sources(run, [Found(name, 1, 1) for name in "abc"], making)
        assert [found.path for found in manifest.pending(run)] == ["b", "c", "a"]


@pytest.mark.parametrize("begun", [False, True])
def test_a_folder_that_cannot_be_written(archive: Path, tmp_path: Path, begun: bool) -> None:
    out = tmp_path / "out"
    recolor("batch", archive, out, *FAST)
    connect = sqlite3.connect

    def read_only(path: Path, **options: object) -> sqlite3.Connection:
        db = connect(path, **options)
        db.execute("PRAGMA query_only=1")
        return db

    if begun:  # the run finds out when it writes the first row
        with patch("recolor_core.batch.manifest.sqlite3.connect", read_only):
            call = recolor("batch", archive, out, *FAST)
    else:  # the database cannot even be opened for writing
        (out / MANIFEST).unlink()

        def empty(path: Path, **options: object) -> sqlite3.Connection:
            connect(path).close()
            return connect(f"{Path(path).as_uri()}?mode=ro", uri=True, **options)

        with patch("recolor_core.batch.manifest.sqlite3.connect", empty):
            call = recolor("batch", archive, out, *FAST)
    assert (call.code, len(call.errors)) == (2, 1)
    assert "cannot be written" in call.err
    assert "choose an output folder that you may write to" in call.err
    assert "from a copy" not in call.err


def test_a_manifest_that_cannot_be_written_ends_the_run(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    full = sqlite3.OperationalError("database or disk is full")
    with patch.object(Manifest, "note_outcome", side_effect=full):
        call = recolor("batch", archive, out, *FAST)
    assert (call.code, len(call.errors)) == (2, 1)
    assert "the manifest cannot be written (database or disk is full)" in call.err
    recolor("batch", archive, out, *FAST)
    assert images(out) == RESULTS


def test_a_bug_costs_one_file(archive: Path, tmp_path: Path) -> None:
    generate, calls = Colorizer.generate, iter((True, *[False] * 9))

    def buggy(*arguments: object) -> object:
        if next(calls):
            raise ZeroDivisionError
        return generate(*arguments)  # type: ignore[arg-type]

    with patch.object(Colorizer, "generate", buggy):
        call = recolor("batch", archive, tmp_path / "out", *FAST)
    assert call.code == 1
    assert images(tmp_path / "out") == RESULTS[1:]


# --- status and export ------------------------------------------------------------------------


def test_status(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    recolor("batch", archive, out, "--limit", "4", *FAST)
    facts = json.loads(recolor("batch", "status", out, "--json").out)
    assert facts["running"] is False
    assert facts["files"] == {
        "pending": 1, "running": 0, "done": 3, "kept": 0, "failed": 1, "gone": 0,
    }  # fmt: skip
    assert [row["path"] for row in facts["failures"]] == ["box/bad.png"]
    assert facts["megapixels"] == pytest.approx((40 * 56 * 2 + 24 * 80) / 1e6)
    text = recolor("batch", "status", out).out.decode()
    assert "1 pending, 3 done, 1 failed" in text
    assert "box/bad.png: " in text


def test_status_of_no_batch(tmp_path: Path) -> None:
    call = recolor("batch", "status", tmp_path)
    assert (call.code, len(call.errors)) == (2, 1)
    assert "no recolor-manifest.sqlite" in call.err
    assert files(tmp_path) == []


def test_a_damaged_manifest_is_told(archive: Path, tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_bytes(b"garbage" * 1000)
    for words in (("status", tmp_path), (archive, tmp_path)):
        call = recolor("batch", *words)
        assert (call.code, len(call.errors)) == (2, 1)
        assert "move it away and repeat the batch" in call.err


def test_the_manifest_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    making = Making({}, "default", "0", "1")
    with Manifest(tmp_path, write=True) as writer:
        run = writer.begin_run(making, tmp_path, "now")
        writer.note_sources(run, [Found(f"{i:04}", 1, 1) for i in range(500)], making)
        for number, found in enumerate(writer.pending(run)):
            writer.note_running(found.path)
            writer.note_outcome(found.path, Outcome(found.path, "failed", "bad"), making, "now")
            if number % 100 == 50:
                with Manifest(tmp_path) as reader:
                    counts = reader.counts()
                assert counts["failed"] == number + 1
                assert sum(counts.values()) == 500


def test_names_that_are_not_unicode(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\xfe.png")
    making = Making({}, "default", "0", "1")
    with Manifest(tmp_path, write=True) as manifest:
        run = manifest.begin_run(making, tmp_path, "now")
        manifest.note_sources(run, [Found(name, 1, 1), Found("a.png", 1, 1)], making)
        assert {found.path for found in manifest.pending(run)} == {name, "a.png"}
        manifest.note_running(name)
        assert {row["path"]: row["status"] for row in manifest.files()} == {
            name: "running",
            "a.png": "pending",
        }
    assert recolor("batch", "export", tmp_path, tmp_path / "t.csv").code == 0
    assert recolor("batch", "export", tmp_path, tmp_path / "t.parquet").code == 0


def test_export(archive: Path, tmp_path: Path) -> None:
    from pyarrow import parquet

    out = tmp_path / "out"
    recolor("batch", archive, out, *FAST)
    for ending in ("csv", "parquet"):
        call = recolor("batch", "export", out, tmp_path / f"table.{ending}")
        assert (call.code, call.err) == (0, "")
        assert b": 6 rows" in call.out
    with (tmp_path / "table.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    columns = parquet.read_table(tmp_path / "table.parquet").to_pylist()
    assert [row["path"] for row in table] == [row["path"] for row in columns]
    assert [row["page"] for row in table] == ["1", "1", "1", "", "1", "2"]
    done = [row for row in columns if row["status"] == "done"]
    assert all(row["exact_gray"] is True for row in done)
    assert {row["gray_sha256"] for row in done} == {
        row["gray_sha256"] for row in table if row["gray_sha256"]
    }
    call = recolor("batch", "export", out, tmp_path / "table.csv")
    assert (call.code, len(call.errors)) == (2, 1)
    assert recolor("batch", "export", out, tmp_path / "table.csv", "--overwrite").code == 0
    assert recolor("batch", "export", out, tmp_path / "table.xlsx").code == 2


def test_parquet_names_its_extra(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    recolor("batch", archive, out, "--include", "a.png", *FAST)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    call = recolor("batch", "export", out, tmp_path / "table.parquet")
    assert (call.code, len(call.errors)) == (2, 1)
    assert "napari-recolor[parquet]" in call.err
    assert not (tmp_path / "table.parquet").exists()


def test_a_dry_run_writes_nothing_and_says_what_would_be(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    call = recolor("batch", archive, out, "--dry-run", "--json", *FAST)
    assert call.code == 0
    facts = json.loads(call.out)
    assert (facts["files"], facts["there_already"]) == (5, 0)
    readable = [40 * 56, 40 * 56, 24 * 80, 40 * 56 + 16 * 16]
    assert facts["megapixels"] == pytest.approx(5 * sum(readable) / 4 / 1e6)
    assert facts["seconds"] > 0
    assert facts["output_bytes"] > 0
    assert not out.exists()
    recolor("batch", archive, out, *FAST)
    before = files(out)
    text = recolor("batch", archive, out, "--dry-run", *FAST).out.decode()
    assert "1 file to do" in text
    assert "4 there already" in text
    assert files(out) == before


# --- bad input --------------------------------------------------------------------------------


def test_one_batch_at_a_time(archive: Path, tmp_path: Path) -> None:
    from recolor_core.batch.lock import only_one

    out = tmp_path / "out"
    out.mkdir()
    with only_one(out):
        call = recolor("batch", archive, out, *FAST)
        assert (call.code, len(call.errors)) == (2, 1)
        assert "another recolor batch is at work here" in call.err
    assert recolor("batch", archive, out, "--include", "a.png", *FAST).code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("{in}/none", "{out}"), "expected a folder of images"),
        (("{in}", "{in}/notes.txt"), "this is a file"),
        (("{in}", "{out}", "--on-changed", "maybe"), "expected --on-changed fail, redo or skip"),
        (("{in}", "{out}", "--scheduler", "local:0"), f"with N from 1 to {MAX_PROCESSES}"),
        (("{in}", "{out}", "--scheduler", "local:2", "--jobs", "2"), "got both"),
        (("{in}", "{out}", "--vividness", "7"), "expected --vividness from 0 to 1"),
        (("{in}", "{out}", "--weights", "nope"), "expected weights by name"),
    ],
)
def test_bad_calls(archive: Path, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    places = {"in": archive, "out": tmp_path / "out"}
    call = recolor("batch", *(word.format(**places) for word in words))
    assert (call.code, len(call.errors)) == (2, 1)
    assert said in call.err


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize("content", ["no database", "another version"])
def test_a_manifest_that_cannot_be_used_is_closed(
    tmp_path: Path, content: str, write: bool
) -> None:
    if content == "no database":
        (tmp_path / MANIFEST).write_bytes(b"no database" * 99)
    else:
        with closing(sqlite3.connect(tmp_path / MANIFEST)) as db:
            db.execute("PRAGMA user_version=99")
    connect, opened = sqlite3.connect, []

    def noting(*words: object, **options: object) -> sqlite3.Connection:
        opened.append(connect(*words, **options))
        return opened[-1]

    with (
        patch("recolor_core.batch.manifest.sqlite3.connect", noting),
        pytest.raises(RecolorError, match="cannot be opened"),
    ):
        Manifest(tmp_path, write=write)
    assert opened
    for db in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            db.execute("SELECT 1")


def test_a_manifest_of_the_future_is_left_alone(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    recolor("batch", archive, out, "--include", "a.png", *FAST)
    with sqlite3.connect(out / MANIFEST) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    call = recolor("batch", archive, out, *FAST)
    assert (call.code, len(call.errors)) == (2, 1)
    assert "version 99" in call.err


# --- in processes of their own ----------------------------------------------------------------


@pytest.mark.slow
def test_several_processes_do_what_one_does(archive: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert recolor("batch", archive, one, *FAST).code == 2
    assert recolor("batch", archive, two, "--jobs", "2", *FAST).code == 2
    assert images(two) == RESULTS
    assert statuses(one) == statuses(two)
    for name in RESULTS:
        np.testing.assert_array_equal(pixels(one / name), pixels(two / name))


def signal_workers(numbers: list[int], out: Path) -> threading.Thread:
    """Send a signal to one worker after the other, when it has begun a file."""

    def send() -> None:
        done: set[int] = set()
        for number in numbers:
            while True:
                children = {c.pid or 0 for c in multiprocessing.active_children()} - done
                if children and list(out.rglob(".recolor-*.part")):
                    break
                time.sleep(0.002)
            for child in children:
                os.kill(child, number)
            done |= children

    thread = threading.Thread(target=send)
    thread.start()
    return thread


def test_each_image_has_its_file_of_hints(archive: Path, tmp_path: Path) -> None:
    hints = tmp_path / "hints"
    (hints / "box").mkdir(parents=True)
    blue = {"hints": [{"x": 20, "y": 10, "color": "#2040e0", "radius": 8}]}
    (hints / "a.png.json").write_text(json.dumps(blue))
    (hints / "box" / "b.json").write_text("{")
    plain, out = tmp_path / "plain", tmp_path / "out"
    words = ("--include", "a.*", "--include", "box/b.jpg", *FAST)
    assert recolor("batch", archive, plain, *words).code == 0
    call = recolor("batch", archive, out, "--hints", hints, *words)
    assert call.code == 2
    assert statuses(out) == {"a.jpg": "done", "a.png": "done", "box/b.jpg": "failed"}
    for name, same in (("a.png.recolor.png", False), ("a.jpg.recolor.png", True)):
        assert np.array_equal(pixels(plain / name), pixels(out / name)) == same
    np.testing.assert_array_equal(gray_of(pixels(out / "a.png.recolor.png")), photo())
    # Hints that changed are found by a look into the results.
    (hints / "a.png.json").write_text(json.dumps(blue | {"hints": []}))
    (hints / "box" / "b.json").unlink()
    words = ("--hints", hints, "--check", "--on-changed", "redo", *words)
    assert recolor("batch", archive, out, *words).code == 0
    for name in ("a.png.recolor.png", str(Path("box", "b.recolor.png"))):
        np.testing.assert_array_equal(pixels(plain / name), pixels(out / name))
    call = recolor("batch", archive, out, "--hints", tmp_path / "none", *FAST)
    assert (call.code, len(call.errors)) == (2, 1)


def test_hints_that_belong_to_no_image_are_named(archive: Path, tmp_path: Path) -> None:
    hints = tmp_path / "hints"
    (hints / "box").mkdir(parents=True)
    for name in ("a.png.json", "box/b.json", "box/B1.json"):
        (hints / name).write_text('{"hints": []}')
    (archive / "box" / "bad.png").unlink()
    call = recolor("batch", archive, tmp_path / "out", "--hints", hints, *FAST)
    assert call.code == 0, call.err
    assert [line for line in call.errors if "belong to no image" in line] == [
        f"recolor: {hints / 'box' / 'B1.json'}: these hints belong to no image; name and place the "
        "file as its image in the input folder"
    ]
    words = ("--include", "a.*", *FAST)
    call = recolor("batch", archive, tmp_path / "part", "--hints", hints, *words)
    assert "belong to no image" not in call.err


def test_a_result_is_not_colorized_again(archive: Path, tmp_path: Path) -> None:
    (archive / "a.jpg").unlink()
    words = ("--include", "a.png", *FAST)
    assert recolor("batch", archive, archive, *words).code == 0  # results beside their sources
    (archive / "a.recolor.png").rename(archive / "renamed.png")
    before = digest(archive / "renamed.png")
    call = recolor("batch", archive, archive, "--include", "renamed.png", *FAST)
    assert call.code == 0, call.err
    assert "renamed.png: left out: this is a result of recolor, made from a.png" in call.err
    assert statuses(archive)["renamed.png"] == "kept"
    assert digest(archive / "renamed.png") == before
    assert not (archive / "renamed.recolor.png").exists()
    out = tmp_path / "again.png"
    call = recolor(archive / "renamed.png", "-o", out, *FAST)  # named, it is meant
    assert call.code == 0
    assert "this is a result of recolor, made from a.png" in call.err
    np.testing.assert_array_equal(gray_of(pixels(out)), photo())


def test_results_left_out_are_said_and_what_a_batch_writes_for_itself_is_not(
    archive: Path, tmp_path: Path
) -> None:
    (archive / "notes.txt").write_text("box 7")
    words = ("--include", "a.png", *FAST)
    assert recolor("batch", archive, archive, *words).code == 0  # writes manifest and report, too
    for out in (archive, tmp_path / "out"):
        call = recolor("batch", archive, out, *words)
        assert call.code == 0, call.err
        said = [line for line in call.err.splitlines() if line.startswith("left out")]
        assert said[0] == "left out 1 result of recolor (*.recolor.*)"
        assert said[1].endswith("1 .txt: not images that recolor reads")
        assert ".sqlite" not in said[1]
        assert ".html" not in said[1]
    assert b"1 result verified, 1 compared" in recolor("verify", archive, archive).out


@pytest.mark.slow
def test_neither_the_command_nor_its_process_loads_pytorch(archive: Path, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom recolor_core.cli import main\n"
        "def blocked(name, *rest):\n"
        "    if name == 'torch': raise SystemExit('torch was imported')\n"
        "sys.meta_path.insert(0, type('Blocked', (), {'find_spec': staticmethod(blocked)}))\n"
        "if __name__ in ('__main__', '__mp_main__'):\n"
        "    if __name__ == '__main__': main()\n"
    )
    script = tmp_path / "script.py"  # a file, so that the process runs it as well
    script.write_text(code)
    words = ["batch", archive, tmp_path / "out", "--include", "a.png", "--device", "cpu"]
    run = subprocess.run(
        [sys.executable, script, *map(str, words)], capture_output=True, timeout=300
    )
    assert run.returncode == 0, run.stderr
    assert statuses(tmp_path / "out") == {"a.png": "done"}


@posix
@pytest.mark.slow
def test_a_process_that_is_killed_costs_nothing(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    thread = signal_workers([signal.SIGKILL], out)
    words = ("--include", "a.*", "--include", "box/b.jpg", "--scheduler", "local:1")
    call = recolor("batch", archive, out, *words, *FAST)
    thread.join()
    assert call.code == 0, call.err
    assert statuses(out) == {"a.jpg": "done", "a.png": "done", "box/b.jpg": "done"}
    assert "a.png.recolor.png" in files(out)


@pytest.mark.slow
def test_a_process_does_one_task_alone_and_others_two_at_a_time(
    archive: Path, tmp_path: Path
) -> None:
    names = ["a.png", "a.jpg", "box/b.jpg", "box/deep/c.tif"]
    before: dict[str, list[str]] = {}  # what was done when a task was taken
    done: list[str] = []

    def tasks() -> Iterator[Task]:
        for name in names:
            before[name] = list(done)
            alone = name == "box/b.jpg"
            yield Task(name, str(archive / name), str(tmp_path / "out"), True, alone=alone)

    for task, outcome in LocalProcesses(1, Work(device="cpu")).run(tasks()):
        assert not isinstance(outcome, Lost), outcome
        assert outcome.status == "done", outcome.message
        done.append(task.path)
    assert before["a.jpg"] == []
    assert before["box/deep/c.tif"] == names[:3]
    assert done == names


@posix
@pytest.mark.slow
def test_a_file_that_crashes_its_decoder_has_failed(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    thread = signal_workers([signal.SIGSEGV, signal.SIGSEGV], out)
    words = (archive, out, "--scheduler", "local:1", *FAST)
    call = recolor("batch", *words, "--include", "a.png")
    thread.join()
    assert call.code == 2
    assert "was ended twice, by SIGSEGV" in call.err
    assert statuses(out) == {"a.png": "failed"}
    assert [name for name in files(out) if name.endswith(".part")] == []


@posix
@pytest.mark.slow
def test_a_file_that_makes_no_progress_is_given_up(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    thread = signal_workers([signal.SIGSTOP], out)
    words = ("--include", "a.png", "--timeout", "5", "--scheduler", "local:1", *FAST)
    call = recolor("batch", archive, out, *words)
    thread.join()
    assert call.code == 2
    assert "no progress for 5 s" in call.err
    assert statuses(out) == {"a.png": "failed"}
    assert [name for name in files(out) if name.endswith(".part")] == []
