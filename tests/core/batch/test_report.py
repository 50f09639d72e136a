"""The report page: what it holds, and that a browser shows it from the disk."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recolor_core.batch.manifest import Found, Making, Manifest
from recolor_core.batch.outcome import Outcome
from recolor_core.batch.report import PAGE, write_report
from recolor_core.batch.tree import REPORT
from tests.core.cli_runner import FAST, files, photo, recolor

HOSTILE = "<script>alert(1)<!--</script>.png"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    source = tmp_path / "in"
    (source / "box").mkdir(parents=True)
    Image.fromarray(photo()).save(source / "a.png")
    Image.fromarray(photo(30, 90)).save(source / "box" / "b#1 %.png")
    (source / "bad.png").write_bytes(b"no image")
    assert recolor("batch", source, tmp_path / "out", *FAST).code == 2
    return tmp_path / "out"


def rows(out: Path) -> list[list[object]]:
    found = []
    for path in sorted((out / REPORT).glob("rows-*.js")):
        text = path.read_text()
        assert text.startswith("addRows(")
        found += json.loads(text.removeprefix("addRows(").removesuffix(");\n"))
    return found


def test_every_file_is_in_it(out: Path) -> None:
    assert [(row[0], row[1]) for row in rows(out)] == [
        ("a.png", "done"),
        ("bad.png", "failed"),
        ("box/b#1 %.png", "done"),
    ]
    assert "no image" in str(rows(out)[1][3])
    page = (out / PAGE).read_text()
    assert '["done", 2]' in page
    assert '"source": "../in/"' in page


def test_thumbnails_are_before_above_after(out: Path) -> None:
    for row in (rows(out)[0], rows(out)[2]):
        with Image.open(out / REPORT / str(row[8])) as image:
            pair = np.asarray(image.convert("RGB")).astype(int)
        height, width = pair.shape[:2]
        assert width / (height // 2) == pytest.approx(row[9] / row[10], rel=0.1)  # type: ignore[operator]
        before, after = pair[: height // 2], pair[height // 2 :]
        assert np.ptp(before, axis=-1).mean() < 3
        assert np.ptp(after, axis=-1).mean() > np.ptp(before, axis=-1).mean() + 2
        assert np.corrcoef(before.mean(-1).ravel(), after.mean(-1).ravel())[0, 1] > 0.95


def test_a_lost_thumbnail_is_made_of_the_result(out: Path) -> None:
    before = files(out / REPORT)
    shutil.rmtree(out / REPORT)
    with Manifest(out, write=True) as manifest:
        manifest._db.execute("DELETE FROM thumbnails")
    write_report(out)
    assert files(out / REPORT) == before


def test_a_report_can_be_left_out_and_made_later(out: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    recolor("batch", tmp_path / "in", other, "--no-report", *FAST)
    assert not (other / PAGE).exists()
    call = recolor("batch", "report", other)
    assert (call.code, call.out.decode().strip()) == (0, str(other / PAGE))
    assert len(rows(other)) == 3


@pytest.mark.slow
def test_many_files_come_in_chunks(tmp_path: Path) -> None:
    making = Making({"settings": {}}, "default", "0", "1")
    with Manifest(tmp_path, write=True) as manifest:
        run = manifest.begin_run(making, tmp_path, "now")
        manifest.note_sources(run, [Found(f"{i:05}", 1, 1) for i in range(12_000)], making)
    write_report(tmp_path)
    assert len(list((tmp_path / REPORT).glob("rows-*.js"))) == 3
    assert [row[0] for row in rows(tmp_path)] == [f"{i:05}" for i in range(12_000)]


CHROMIUM = next(filter(shutil.which, ("chromium", "chromium-browser", "google-chrome")), None)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_browser_shows_it_from_the_disk(tmp_path: Path) -> None:
    making = Making({"settings": {}}, "default", "0", "1")
    names = [f"box{i % 7}/{i:05}.tif" for i in range(9_000)]
    with Manifest(tmp_path, write=True) as manifest:
        run = manifest.begin_run(making, tmp_path, "now")
        for folder in range(7):
            mine = [Found(name, 1, 1) for name in names if name.startswith(f"box{folder}")]
            manifest.note_sources(run, mine, making)
        manifest.note_sources(run, [Found(HOSTILE, 1, 1)], making)
        failed = Outcome(HOSTILE, "failed", "<img src=x onerror=document.title='hacked'>")
        manifest.note_outcome(HOSTILE, failed, making, "now")
    page = write_report(tmp_path)
    assert CHROMIUM is not None
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu"]
    command += ["--virtual-time-budget=20000", "--window-size=1200,800", "--dump-dom"]
    run_ = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=120)
    dom = run_.stdout
    assert "9,001 of 9,001 files" in dom
    assert "9,000 pending" in dom
    assert "1 failed" in dom
    assert "&lt;script&gt;alert(1)" in dom
    assert "<title>Recolor: report of a batch</title>" in dom
    assert dom.count('class="cell"') < 100  # only what can be seen
