"""What counts as done: all that a call asks for is there, made from this source in this way."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pytest
import tifffile
from PIL import Image

from recolor_core import ImageError, provenance
from recolor_core.batch.image import check_name
from recolor_core.files import AtomicFile, part_of
from recolor_core.runtime import Runtime

from .cli_runner import FAST, files, gray_of, photo, pixels, recolor

EVERYTHING = ("--stages", "--sidecar", "--alternatives", "1", *FAST)
ALL_FILES = [
    "photo.png",
    "photo.recolor.ab-coarse.tif",
    "photo.recolor.ab-refined.tif",
    "photo.recolor.alt1.png",
    "photo.recolor.png",
    "photo.recolor.png.json",
    "photo.recolor.uncertainty.tif",
]
posix = pytest.mark.skipif(os.name != "posix", reason="of POSIX systems")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(photo()).save(path)
    return path


@pytest.fixture
def result(source: Path) -> Path:
    assert recolor(source, *FAST).code == 0
    return source.with_name("photo.recolor.png")


def status(*words: object) -> tuple[str, int]:
    call = recolor(*words, "--json", *FAST)
    [outcome] = map(json.loads, call.out.splitlines())
    return outcome["status"], call.code


# --- more is asked for ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "number"),
    [(["--sidecar"], 3), (["--stages"], 5), (["--alternatives", "2"], 4), (EVERYTHING, 7)],
)
def test_what_is_asked_for_later_is_made(
    source: Path, result: Path, words: list[str], number: int
) -> None:
    assert status(source, *words) == ("done", 0)
    assert len(files(source.parent)) == number
    assert status(source, *words) == ("skipped", 0)
    assert status(source) == ("skipped", 0)
    np.testing.assert_array_equal(gray_of(pixels(result)), photo())


@pytest.mark.parametrize("lost", ALL_FILES[1:])
def test_what_is_missing_is_made_again(source: Path, lost: str) -> None:
    assert recolor(source, *EVERYTHING).code == 0
    assert files(source.parent) == ALL_FILES
    before = {name: (source.parent / name).read_bytes() for name in ALL_FILES}
    (source.parent / lost).unlink()
    assert status(source, *EVERYTHING) == ("done", 0)
    assert files(source.parent) == ALL_FILES
    if not lost.endswith("json"):  # the time is in the XMP
        np.testing.assert_array_equal(
            pixels(source.parent / lost), _pixels_of(before[lost], source.parent / f"old-{lost}")
        )


def _pixels_of(data: bytes, path: Path) -> np.ndarray:
    path.write_bytes(data)
    return pixels(path)


def test_a_damaged_further_file_is_not_taken_for_done(source: Path) -> None:
    recolor(source, *EVERYTHING)
    stage = source.with_name("photo.recolor.uncertainty.tif")
    stage.write_bytes(stage.read_bytes()[:100])
    call = recolor(source, *EVERYTHING)
    assert call.code == 2
    assert str(stage) in call.err
    assert "--overwrite renews it" in call.err
    assert recolor(source, "--overwrite", *EVERYTHING).code == 0
    assert status(source, *EVERYTHING) == ("skipped", 0)


@posix
@pytest.mark.slow
def test_a_call_killed_between_its_files_is_finished_by_the_next(tmp_path: Path) -> None:
    moments = range(7)
    for moment in moments:
        (tmp_path / str(moment)).mkdir()
        Image.fromarray(photo()).save(tmp_path / str(moment) / "photo.png")
    # Forked before torch has computed anything, since its threads do not survive a fork, and after
    # torch is imported, so that each process need not.
    script = f"""
import os, sys
import scipy.ndimage, torch
import recolor_core.batch.image, recolor_core.colorizer
from recolor_core.cli import main
from recolor_core.files import AtomicFile

commit = AtomicFile.commit
for moment in range({len(moments)}):
    if os.fork() == 0:
        left = moment
        def dying(self):
            global left
            if left == 0:
                os._exit(9)
            left -= 1
            commit(self)
        AtomicFile.commit = dying
        sys.argv = ["recolor", os.path.join({str(tmp_path)!r}, str(moment), "photo.png"), "-q",
                    *{EVERYTHING!r}]
        main()
    print(os.waitstatus_to_exitcode(os.wait()[1]))
"""
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=300
    )
    codes = [int(line) for line in run.stdout.split()]
    assert set(codes[:6]) == {9}, run.stderr  # three stages, an alternative, sidecar and image
    assert set(codes[6:]) == {0}
    for moment in moments:
        folder = tmp_path / str(moment)
        left = files(folder)
        assert ("photo.recolor.png" in left) == (moment >= 6)
        assert status(folder / "photo.png", *EVERYTHING) == (
            "done" if moment < 6 else "skipped",
            0,
        )
        assert files(folder) == ALL_FILES
        np.testing.assert_array_equal(gray_of(pixels(folder / "photo.recolor.png")), photo())


def test_foreign_files_are_not_taken_for_leftovers(source: Path) -> None:
    for name in ("photo.recolor.alt1.png", "photo.recolor.ab-coarse.tif", "photo.recolor.png.json"):
        mine = source.with_name(name)
        mine.write_bytes(b"mine")
        call = recolor(source, *EVERYTHING)
        assert (call.code, len(call.errors)) == (2, 1)
        assert "does not belong to this image" in call.err
        assert mine.read_bytes() == b"mine"
        assert files(source.parent) == ["photo.png", name] if name > "photo.png" else True
        mine.unlink()


# --- something else is there ------------------------------------------------------------------


def test_another_image_of_the_same_name_is_not_skipped(tmp_path: Path) -> None:
    for name, codes in (("a", photo()), ("b", photo()[::-1])):
        (tmp_path / name).mkdir()
        Image.fromarray(codes).save(tmp_path / name / "p.png")
    out = tmp_path / "out"
    assert recolor(tmp_path / "a" / "p.png", "-o", f"{out}/", *FAST).code == 0
    call = recolor(tmp_path / "b" / "p.png", "-o", f"{out}/", *FAST)
    assert (call.code, len(call.errors)) == (2, 1)
    assert "made from another image" in call.err
    assert "--overwrite renews it" in call.err
    np.testing.assert_array_equal(gray_of(pixels(out / "p.recolor.png")), photo())


def test_an_image_of_another_format_beside_it_is_not_skipped(source: Path, result: Path) -> None:
    Image.fromarray(photo()[::-1]).save(source.with_suffix(".webp"), lossless=True)
    Image.fromarray(photo()[::-1]).save(source.with_suffix(".jpg"))
    call = recolor(source.with_suffix(".jpg"), *FAST)
    assert (call.code, len(call.errors)) == (2, 1)
    assert "made from another image" in call.err


def test_a_source_that_has_changed_is_noticed(source: Path, result: Path) -> None:
    Image.fromarray(photo()[::-1]).save(source)
    call = recolor(source, *FAST)
    assert call.code == 2
    assert "an older version of this one (photo.png)" in call.err
    assert recolor(source, "--overwrite", *FAST).code == 0
    np.testing.assert_array_equal(gray_of(pixels(result)), photo()[::-1])


def test_the_same_source_under_another_date_is_skipped(source: Path, result: Path) -> None:
    os.utime(source, (1, 1))
    assert status(source) == ("skipped", 0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--vividness", "0.3"], "vividness 0.8 instead of 0.3"),
        (["--saturation", "2"], "saturation 1 instead of 2"),
        (["--views", "2"], "views 1 instead of 2"),
        (["--palette", "#804020"], "other palette"),
        (["--levels", "0,200"], "other levels"),
        (["--hints", "{hints}"], "other hints"),
    ],
)
def test_other_settings_are_noticed(
    source: Path, result: Path, words: list[str], said: str, tmp_path: Path
) -> None:
    hints = tmp_path / "hints.json"
    hints.write_text('{"hints": [{"x": 3, "y": 4, "color": "#ff0000"}]}')
    words = [word.format(hints=hints) for word in words]
    before = result.read_bytes()
    call = recolor(source, *words, *FAST)
    assert (call.code, len(call.errors)) == (2, 1)
    assert "made with other settings" in call.err
    assert said in call.err
    assert "--overwrite renews it" in call.err
    assert result.read_bytes() == before
    assert recolor(source, *words, "--overwrite", *FAST).code == 0
    assert status(source, *words) == ("skipped", 0)


@pytest.mark.slow
def test_another_runtime_is_noticed_if_one_is_named(source: Path) -> None:
    assert recolor(source, "--runtime", "torch", *EVERYTHING).code == 0
    assert "skipped" in recolor(source, "--runtime", "torch", *EVERYTHING).err
    other = Runtime("onnxruntime", "1", "int8")
    with patch("recolor_core.colorizer.choose_runtime", lambda *_: ({}, other)):
        assert "skipped" in recolor(source, *EVERYTHING).err
        call = recolor(source, "--runtime", "onnxruntime", *EVERYTHING)
    assert (call.code, len(call.errors)) == (2, 1)
    assert "runtime torch (float32) instead of onnxruntime (int8)" in call.err


def test_tiles_and_alternatives_do_not_change_the_main_result(source: Path, result: Path) -> None:
    assert status(source, "--tile", "64") == ("skipped", 0)
    assert recolor(source, "--alternatives", "2", *FAST).code == 0
    assert status(source) == ("skipped", 0)
    assert status(source, "--alternatives", "1") == ("skipped", 0)  # the first one of two
    call = recolor(source, "--alternatives", "1", "--seed", "2", *FAST)
    assert call.code == 2
    assert "seed 0 instead of 2" in call.err


@pytest.mark.slow
def test_other_weights_are_noticed(source: Path, tmp_path: Path) -> None:
    from recolor_core.colorizer import Colorizer

    from .steady import small_colorizer

    small = small_colorizer(tmp_path)
    weights = next(tmp_path.glob("*.safetensors"))
    assert isinstance(small, Colorizer)
    assert recolor(source, "--weights", weights, *FAST).code == 0
    call = recolor(source, *FAST)
    assert call.code == 2
    assert "made with other weights" in call.err


@pytest.mark.parametrize("ending", ["png", "tif", "webp", "bmp", "jp2", "jpg"])
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.98])
def test_a_result_that_was_cut_is_noticed(source: Path, ending: str, kept: float) -> None:
    output = source.with_name(f"color.{ending}")
    assert recolor(source, "-o", output, *FAST).code == 0
    assert status(source, "-o", output) == ("skipped", 0)
    data = output.read_bytes()
    output.write_bytes(data[: int(len(data) * kept)])
    call = recolor(source, "-o", output, *FAST)
    assert call.code == 2
    assert "damaged" in call.err
    assert recolor(source, "-o", output, "--overwrite", *FAST).code == 0
    assert status(source, "-o", output) == ("skipped", 0)


def test_other_software_may_store_the_metadata_anew(source: Path, result: Path) -> None:
    with Image.open(result) as image:
        Image.fromarray(np.asarray(image)).save(result)  # its mark is gone
    call = recolor(source, *FAST)
    assert call.code == 2
    assert "not a result of recolor" in call.err


def test_pages_are_all_looked_at(tmp_path: Path) -> None:
    source = tmp_path / "stack.tif"
    with tifffile.TiffWriter(source) as writer:
        for page in (photo(), photo(24, 80)):
            writer.write(page, metadata=None)
    hints = tmp_path / "hints.json"
    hints.write_text('{"hints": [{"x": 3, "y": 4, "color": "#ff0000", "page": 2}]}')
    assert recolor(source, "--stages", *FAST).code == 0
    assert status(source, "--stages") == ("skipped", 0)
    call = recolor(source, "--hints", hints, *FAST)
    assert call.code == 2
    assert "other hints" in call.err


# --- two calls, and dead ones -----------------------------------------------------------------


@posix
def test_part_files_of_dead_calls_are_removed_and_those_of_living_ones_stay(source: Path) -> None:
    dead = [source.with_name(f".recolor-{name}.part") for name in ("0123456789ab", "another")]
    for path in dead:
        path.write_bytes(b"half")
    other = source.with_name("notes.part")
    other.write_bytes(b"not ours")
    living = AtomicFile(source.with_name("other.png"))
    held = part_of(source.with_name("other.png"))
    try:
        assert recolor(source, *FAST).code == 0
        assert held.exists()
        assert not any(path.exists() for path in dead)
        assert other.exists()
        living.file.write(b"whole")
        living.commit()
    finally:
        living.discard()
    assert source.with_name("other.png").read_bytes() == b"whole"
    assert not held.exists()


@posix
def test_the_part_file_of_a_dead_call_for_this_very_result_is_no_obstacle(source: Path) -> None:
    output = source.with_name("photo.recolor.png")
    part_of(output).write_bytes(b"half")
    assert status(source) == ("done", 0)
    assert files(source.parent) == ["photo.png", "photo.recolor.png"]


@posix
def test_a_result_that_another_call_is_making_is_waited_for(source: Path) -> None:
    output = source.with_name("photo.recolor.png")
    assert recolor(source, *FAST).code == 0
    data = output.read_bytes()
    output.unlink()
    living = AtomicFile(output)
    living.file.write(data)
    threading.Timer(1.0, living.commit).start()
    stamp_of = output.stat
    assert status(source) == ("skipped", 0)
    assert output.read_bytes() == data
    assert stamp_of().st_size == len(data)


@posix
def test_a_result_whose_maker_gives_up_is_made(source: Path) -> None:
    living = AtomicFile(source.with_name("photo.recolor.png"))
    threading.Timer(1.0, living.discard).start()
    assert status(source) == ("done", 0)


# --- odd things in folders --------------------------------------------------------------------


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Fail instead of hanging."""

    def late(*_: object) -> None:
        raise AssertionError(f"not done within {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@posix
def test_a_pipe_in_a_folder_does_not_hang(source: Path) -> None:
    os.mkfifo(source.with_name("pipe.png"))
    with within(60):
        assert recolor(source.parent, "-r", *FAST).code == 0
        assert recolor(source.with_name("p*.png"), *FAST).code == 0


def test_what_a_mixed_folder_left_out_is_said(source: Path, result: Path) -> None:
    for name in ("a.heic2", "b.heic2", "c.mp4", "d.pdf", "README"):
        source.with_name(name).write_bytes(b"something")
    call = recolor(source.parent, *FAST)
    assert call.code == 0
    assert "left out 1 result of recolor (*.recolor.*)" in call.err
    assert "left out 1 without ending, 2 .heic2, 1 .pdf: not images that recolor reads" in call.err
    assert "left out 1 .mp4: films, which are colorized with: recolor film IN OUT" in call.err


@pytest.mark.parametrize("kind", ["mp4", "gif"])
def test_films_are_told_the_right_command(tmp_path: Path, kind: str) -> None:
    film = tmp_path / f"film.{kind}"
    if kind == "gif":
        frames = [Image.fromarray(photo()), Image.fromarray(photo()[::-1])]
        frames[0].save(film, save_all=True, append_images=frames[1:])
    else:
        film.write_bytes(b"\0\0\0\x20ftypisom")
    call = recolor(film, *FAST)
    assert (call.code, len(call.errors)) == (2, 1)
    assert "recolor film IN OUT" in call.err


def test_two_formats_of_one_image_get_advice_that_helps(source: Path) -> None:
    Image.fromarray(photo()).save(source.with_suffix(".jpg"))
    call = recolor(source.parent, "-r", *FAST)
    assert (call.code, len(call.errors)) == (2, 1)
    assert "-o FILE" in call.err
    assert "--recursive" not in call.err


@posix
@pytest.mark.parametrize("length", [243, 250, 251, 255])
def test_long_names(tmp_path: Path, length: int) -> None:
    source = tmp_path / ("n" * (length - 4) + ".png")
    Image.fromarray(photo()).save(source)
    for words in ([], ["--stages", "--sidecar"]):
        call = recolor(source, *words, *FAST)
        assert (call.code, len(call.errors)) == (2, 1) if length + 8 > 255 or words else (0, 0)
        assert "Traceback" not in call.err
    assert recolor(source, "-o", tmp_path / "short.png", *FAST).code == 0


def test_windows_counts_the_characters_of_a_name(tmp_path: Path) -> None:
    with patch("recolor_core.batch.image.sys", SimpleNamespace(platform="win32")):
        check_name(tmp_path / ("\u56f3" * 251 + ".png"))  # 757 bytes in UTF-8
        with pytest.raises(ImageError, match="at most 255 characters, got one of 256"):
            check_name(tmp_path / ("\u56f3" * 252 + ".png"))


def test_file_dates_can_be_kept(source: Path) -> None:
    os.utime(source, ns=(10**18, 10**18 + 5))
    assert recolor(source, "--keep-dates", *EVERYTHING).code == 0
    for name in ALL_FILES:
        assert source.with_name(name).stat().st_mtime_ns == 10**18 + 5


# --- hints and pages --------------------------------------------------------------------------


@pytest.fixture
def two_pages(tmp_path: Path) -> Path:
    path = tmp_path / "stack.tif"
    with tifffile.TiffWriter(path) as writer:
        for _ in range(2):
            writer.write(photo(), metadata=None)
    return path


def hint_file(folder: Path, **more: object) -> Path:
    hint = {"x": 28, "y": 20, "color": "#ff0000", "radius": 30, **more}
    path = folder / "hints.json"
    path.write_text(json.dumps({"hints": [hint]}))
    return path


def test_a_hint_colors_the_page_that_it_names(two_pages: Path) -> None:
    assert recolor(two_pages, "--hints", hint_file(two_pages.parent, page=2), *FAST).code == 0
    with tifffile.TiffFile(two_pages.with_name("stack.recolor.tif")) as file:
        first, second = (page.asarray().astype(int) for page in file.pages)
    redness = [(page[..., 0] - page[..., 1]).mean() for page in (first, second)]
    assert redness[1] > redness[0] + 5


@pytest.mark.parametrize(
    ("more", "said"),
    [({}, "expected the page of every hint"), ({"page": 3}, "expected hints for pages 1 to 2")],
)
def test_hints_for_no_page_are_refused(two_pages: Path, more: dict[str, int], said: str) -> None:
    call = recolor(two_pages, "--hints", hint_file(two_pages.parent, **more), *FAST)
    assert (call.code, len(call.errors)) == (2, 1)
    assert said in call.err


@pytest.mark.parametrize("page", [0, -1, True, "2", 1.5])
def test_pages_that_are_none(two_pages: Path, page: object) -> None:
    call = recolor(two_pages, "--hints", hint_file(two_pages.parent, page=page), *FAST)
    assert (call.code, len(call.errors)) == (2, 1)
    assert "number of a page" in call.err


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_hint_files_of_windows(source: Path, encoding: str) -> None:
    hints = hint_file(source.parent)
    hints.write_bytes(hints.read_text().encode(encoding))
    assert recolor(source, "--hints", hints, *FAST).code == 0


def test_a_deep_hint_file_is_refused(source: Path) -> None:
    hints = source.with_name("hints.json")
    hints.write_text('{"hints": ' + "[" * 100_000)
    call = recolor(source, "--hints", hints, *FAST)
    assert (call.code, len(call.errors)) == (2, 1)
    assert "Traceback" not in call.err


# --- words ------------------------------------------------------------------------------------


def test_messages_name_options_and_not_parameters(tmp_path: Path, source: Path) -> None:
    numbers = tmp_path / "float.tif"
    tifffile.imwrite(numbers, photo(dtype=np.float32) * 8 - 2)
    holes = tmp_path / "holes.tif"
    tifffile.imwrite(holes, np.full((8, 8), np.nan, np.float32))
    for words, option in (
        ((source, "--max-pixels", "100"), "--max-pixels"),
        ((numbers,), "--levels"),
        ((holes,), "--levels"),
        ((holes, "--levels", "auto"), "--levels"),
    ):
        for extra in ((), ("--json",)):
            call = recolor(*words, *FAST, *extra)
            [line] = call.errors
            said = line + call.out.decode()
            assert option in said
            for parameter in ("max_pixels", "levels=", "overwrite=", "recolor_core"):
                assert parameter not in said


# --- pipes and terminals ----------------------------------------------------------------------


def run(script: str, *words: object, **options: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,  # type: ignore[call-overload]
    )


@pytest.mark.slow
@posix
def test_a_reader_that_has_enough_ends_the_call_quietly(source: Path) -> None:
    script = """
import os, sys
from recolor_core.cli import main
read, write = os.pipe()
os.close(read)
os.dup2(write, 1)
sys.argv[0] = "recolor"
main()
"""
    process = run(script, "weights", "--json")
    _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (141, b"")


@pytest.mark.slow
@posix
def test_names_that_standard_output_cannot_encode(tmp_path: Path) -> None:
    source = tmp_path / "Żółw.png"
    Image.fromarray(photo()).save(source)
    strange = os.fsencode(tmp_path) + b"/\xff\xfe.png"
    Path(os.fsdecode(strange)).write_bytes(source.read_bytes())
    script = "from recolor_core.cli import main; main()"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    process = run(script, "info", tmp_path, env=environment)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert len(out.splitlines()) == 8  # four of each image


SLOWLY = """
import signal, sys, time
from recolor_core.cli import main
from recolor_core.result import Colorization

def strips(self, ab=None, quickly=Colorization.strips):
    for strip in quickly(self, ab):
        time.sleep(1)
        yield strip

Colorization.strips = strips
signal.signal(signal.SIGHUP, {handler})
main()
"""


@posix
@pytest.mark.slow
@pytest.mark.parametrize(("handler", "code"), [("signal.SIG_DFL", 130), ("signal.SIG_IGN", 0)])
def test_a_closed_terminal(
    tmp_path: Path, handler: str, code: int, wait: Callable[[Callable[[], bool]], None]
) -> None:
    source = tmp_path / "large.png"
    Image.fromarray(photo(700, 800)).save(source)
    process = run(SLOWLY.format(handler=handler), source, *FAST)
    wait(lambda: process.poll() is not None or bool(list(tmp_path.glob(".recolor-*"))))
    process.send_signal(signal.SIGHUP)
    _, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    done = ["large.png"] + ["large.recolor.png"] * (code == 0)
    assert files(tmp_path) == done


@pytest.fixture
def wait() -> Callable[[Callable[[], bool]], None]:
    import time

    def until(condition: Callable[[], bool]) -> None:
        while not condition():
            time.sleep(0.05)

    return until


def test_a_result_without_a_source_hash_is_not_taken_for_done(source: Path, result: Path) -> None:
    import imagecodecs

    from recolor_core.images import ImageWriter, open_image

    with open_image(source) as file, ImageWriter(result, like=file, overwrite=True) as writer:
        page = next(iter(file))
        writer.write(page, np.dstack([page.codes] * 3), {"software": "recolor", "version": "0"})
    assert imagecodecs.png_decode(result.read_bytes()).shape == (40, 56, 3)
    assert provenance.read_xmp(None) is None
    call = recolor(source, *FAST)
    assert call.code == 2
    assert "a source that it does not name" in call.err
