"""Alternatives on a sheet, an alternative taken, and color from another file."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from recolor_core.batch.result import read_records
from recolor_core.lab import lab_to_rgb

from .cli_runner import FAST, files, gray_of, photo, pixels, recolor


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(photo()).save(path)
    return path


# --- sheets ------------------------------------------------------------------------------------


def test_a_sheet_shows_all_alternatives_instead_of_files(source: Path) -> None:
    call = recolor(source, "--alternatives", "6", "--sheet", "--json", *FAST)
    assert call.code == 0
    assert files(source.parent) == ["photo.png", "photo.recolor.png", "photo.recolor.sheet.png"]
    sheet = source.with_name("photo.recolor.sheet.png")
    assert json.loads(call.out)["sheets"] == [str(sheet)]
    with Image.open(sheet) as image:
        assert image.mode == "RGB"
        assert image.width * image.height > 7 * photo().size
    (record,) = read_records(sheet)
    assert record["sheet"] == 6
    assert record["seed"] == 0
    assert record["weights"]["name"] == "default"
    assert b"trainedAlgorithmicMedia" in sheet.read_bytes().replace(b"TrainedA", b"trainedA")


def test_a_sheet_counts_as_a_part_of_the_result(source: Path) -> None:
    words = (source, "--alternatives", "2", "--sheet", *FAST)
    assert recolor(*words).code == 0
    again = recolor(*words, "--json")
    assert json.loads(again.out)["status"] == "skipped"
    source.with_name("photo.recolor.sheet.png").unlink()
    assert json.loads(recolor(*words, "--json").out)["status"] == "done"
    other = recolor(*words, "--seed", "3")
    assert other.code == 2
    assert "seed 0 instead of 3" in other.err


def test_each_page_has_a_sheet_and_folders_leave_them_out(tmp_path: Path) -> None:
    pages = np.stack((photo(), photo()[::-1]))
    tifffile.imwrite(tmp_path / "two.tif", pages, photometric="minisblack")
    assert recolor(tmp_path, "--alternatives", "1", "--sheet", *FAST).code == 0
    sheets = ["two.recolor.page1.sheet.png", "two.recolor.page2.sheet.png"]
    assert files(tmp_path) == [*sheets, "two.recolor.tif", "two.tif"]
    assert recolor(tmp_path, "--json", *FAST).out.count(b'"skipped"') == 1
    call = recolor("verify", tmp_path)
    assert call.code == 0
    assert b"sheet.png" not in call.out


def test_a_sheet_needs_alternatives(source: Path) -> None:
    call = recolor(source, "--sheet", *FAST)
    assert call.code == 2
    assert "add --alternatives 6" in call.err


# --- taking one --------------------------------------------------------------------------------


def test_the_alternative_taken_is_the_one_that_was_written(source: Path) -> None:
    assert recolor(source, "--alternatives", "3", *FAST).code == 0
    taken = source.with_name("taken.png")
    assert recolor(source, "-o", taken, "--take", "2", *FAST).code == 0
    np.testing.assert_array_equal(pixels(taken), pixels(source.with_name("photo.recolor.alt2.png")))
    np.testing.assert_array_equal(gray_of(pixels(taken)), photo())
    (record,) = read_records(taken)
    assert (record["alternative"], record["seed"]) == (2, 0)
    assert recolor("verify", taken, source).code == 0


def test_another_alternative_is_another_result(source: Path) -> None:
    assert recolor(source, "--take", "1", *FAST).code == 0
    assert json.loads(recolor(source, "--take", "1", "--json", *FAST).out)["status"] == "skipped"
    for words, said in (
        (("--take", "2"), "alternative 1 instead of 2"),
        ((), "alternative 1 instead of 0"),
        (("--take", "1", "--seed", "4"), "seed 0 instead of 4"),
    ):
        call = recolor(source, *words, *FAST)
        assert call.code == 2
        assert said in call.err


# --- color from another file -------------------------------------------------------------------


def colored(seed: int = 0) -> np.ndarray:
    """The photo in color, as a painter would have it."""
    gray = photo() / 255 * 100
    lab = np.stack((gray, 30 * np.sin(gray / 20 + seed), np.full_like(gray, 25.0)), axis=-1)
    return np.rint(lab_to_rgb(lab).clip(0, 1) * 255).astype(np.uint8)


def test_color_is_taken_from_another_file(source: Path, tmp_path: Path) -> None:
    painted = tmp_path / "painted" / "by-hand.png"
    painted.parent.mkdir()
    Image.fromarray(colored()).save(painted)
    plain, output = tmp_path / "plain.png", tmp_path / "out.png"
    assert recolor(source, "-o", plain, *FAST).code == 0
    assert recolor(source, "-o", output, "--color-from", painted, *FAST).code == 0
    np.testing.assert_array_equal(gray_of(pixels(output)), photo())
    errors = [np.abs(pixels(path).astype(int) - colored()).mean() for path in (output, plain)]
    assert errors[0] < errors[1] / 2
    (record,) = read_records(output)
    (said,) = record["color_from"]["sources"]
    assert said["name"] == "by-hand.png"
    assert len(said["sha256"]) == 64
    again = recolor(source, "-o", output, "--color-from", painted, "--json", *FAST)
    assert json.loads(again.out)["status"] == "skipped"
    Image.fromarray(colored(1)).save(painted)
    changed = recolor(source, "-o", output, "--color-from", painted, *FAST)
    assert changed.code == 2
    assert "color from another file" in changed.err


def test_each_image_of_a_folder_takes_the_color_of_its_name(tmp_path: Path) -> None:
    scans, painted = tmp_path / "scans", tmp_path / "painted"
    scans.mkdir()
    painted.mkdir()
    for name in ("a", "b", "c"):
        Image.fromarray(photo()).save(scans / f"{name}.png")
    Image.fromarray(colored()).save(painted / "a.jpg", quality=97)
    Image.fromarray(colored(2)).save(painted / "b.recolor.png")
    call = recolor(scans, "--color-from", painted, *FAST)
    assert call.code == 2
    assert files(scans) == ["a.png", "a.recolor.png", "b.png", "b.recolor.png", "c.png"]
    assert "expected one image in color named c, got none" in call.err
    (record,) = read_records(scans / "b.recolor.png")
    assert record["color_from"]["sources"][0]["name"] == "b.recolor.png"


def test_a_batch_takes_the_colors_of_a_folder_of_the_same_layout(tmp_path: Path) -> None:
    for folder, seed in (("box1", 0), ("box2", 2)):
        for kind, image in (("in", photo()), ("painted", colored(seed))):
            (tmp_path / kind / folder).mkdir(parents=True)
            Image.fromarray(image).save(tmp_path / kind / folder / "a.png")
    words = ("batch", tmp_path / "in", tmp_path / "out", "--color-from", tmp_path / "painted")
    assert recolor(*words, *FAST).code == 0
    for folder, seed in (("box1", 0), ("box2", 2)):
        made = pixels(tmp_path / "out" / folder / "a.recolor.png")
        errors = [np.abs(made.astype(int) - colored(one)).mean() for one in (seed, 2 - seed)]
        assert errors[0] < errors[1]
        np.testing.assert_array_equal(gray_of(made), photo())


def test_pages_take_the_color_of_pages(tmp_path: Path) -> None:
    pages = np.stack((photo(), photo()[:, ::-1]))
    tifffile.imwrite(tmp_path / "scan.tif", pages, photometric="minisblack")
    painted = np.stack((colored(), colored(2)[:, ::-1]))
    tifffile.imwrite(tmp_path / "painted.tif", painted, photometric="rgb")
    tifffile.imwrite(tmp_path / "one.tif", painted[:1], photometric="rgb")
    output = tmp_path / "out.tif"
    words = (tmp_path / "scan.tif", "-o", output, *FAST)
    assert recolor(*words, "--color-from", tmp_path / "painted.tif").code == 0
    made = tifffile.imread(output)
    assert np.abs(made.astype(int) - painted).mean() < 12
    call = recolor(*words, "--overwrite", "--color-from", tmp_path / "one.tif")
    assert call.code == 2
    assert "expected 2 pages in color" in call.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--color-from", "{folder}/none.png"), "got nothing; check the path"),
        (("--color-from", "{source}"), "got a gray one"),
        (("--color-from", "{other}"), "expected an image of the same thing"),
        (("--color-from", "{other}", "--take", "1"), "expected --color-from, or --alternatives"),
    ],
)
def test_color_that_cannot_be_taken_is_refused(
    source: Path, words: tuple[str, ...], said: str
) -> None:
    other = source.with_name("other.png")
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    Image.fromarray(noise).save(other)
    names = {"folder": source.parent, "source": source, "other": other}
    call = recolor(source, *(word.format(**names) for word in words), *FAST)
    assert call.code == 2
    assert said in call.err
    assert not source.with_name("photo.recolor.png").exists()


# --- references --------------------------------------------------------------------------------


def test_a_reference_gives_its_colors_and_is_named(source: Path, tmp_path: Path) -> None:
    reference = tmp_path / "like" / "same.png"
    reference.parent.mkdir()
    Image.fromarray(colored()).save(reference)
    plain, output = tmp_path / "plain.png", tmp_path / "out.png"
    size = ("--size", "64")  # at the size of the other tests, hardly any cell has a clear match
    assert recolor(source, "-o", plain, *size).code == 0
    assert recolor(source, "-o", output, "--reference", reference, *size).code == 0
    errors = [np.abs(pixels(path).astype(int) - colored()).mean() for path in (output, plain)]
    assert errors[0] < errors[1]
    (record,) = read_records(output)
    assert record["references"][0]["name"] == "same.png"
    assert record["references"][0]["matched"] > 0.1
    again = recolor(source, "-o", output, *FAST)
    assert again.code == 2
    assert "other references" in again.err


def test_a_batch_takes_references(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(photo()).save(tmp_path / "in" / "a.png")
    Image.fromarray(colored()).save(tmp_path / "same.png")
    words = ("batch", tmp_path / "in", tmp_path / "out", "--reference", tmp_path / "same.png")
    assert recolor(*words, *FAST).code == 0
    (record,) = read_records(tmp_path / "out" / "a.recolor.png")
    assert record["references"][0]["name"] == "same.png"


# --- empty words -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("{source}", "-o", ""), "expected a value for -o, got an empty one"),
        (("{source}", "--palette", ""), "expected a value for --palette, got an empty one"),
        (("{source}", "--palette="), "expected a value for --palette, got an empty one"),
        (("{source}", "--reference", ""), "expected a value for --reference"),
        (("batch", "{source}", "out", "--include", ""), "expected a value for --include"),
        (("verify", ""), "expected the name of a file, got an empty one"),
    ],
)
def test_empty_words_are_refused(source: Path, words: tuple[str, ...], said: str) -> None:
    call = recolor(*(word.format(source=source) for word in words))
    assert call.code == 2
    assert said in call.err
    assert call.err.count("\n") == 1
    assert files(source.parent) == ["photo.png"]


@pytest.mark.skipif(os.name != "posix", reason="of POSIX systems")
def test_a_pipe_of_hints_is_refused_instead_of_waited_for(source: Path) -> None:
    pipe = source.with_name("hints.json")
    os.mkfifo(pipe)
    call = recolor(source, "--hints", pipe, *FAST)
    assert call.code == 2
    assert "it is a pipe or a device; give a file" in call.err
