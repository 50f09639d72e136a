import hashlib
import inspect
import io
import json
import os
import subprocess
import sys
import warnings
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from recolor_core.batch.outcome import Outcome
from recolor_core.cli import COMMANDS
from recolor_core.cli.colorize import colorize
from recolor_core.cli.report import Report
from recolor_core.colorizer import Colorizer
from recolor_core.images import MAX_PIXELS
from recolor_core.settings import Settings

from .cli_runner import FAST, Call, by_library, files, gray_of, photo, pixels, recolor


@pytest.fixture
def jpeg(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    Image.fromarray(photo()).save(path, quality=95)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images, a folder of images, and other things that lie about in folders."""
    root = tmp_path / "archive"
    (root / "box").mkdir(parents=True)
    Image.fromarray(photo()).save(root / "a.png")
    Image.fromarray(photo()).save(root / "b.JPG")
    Image.fromarray(photo()).save(root / "box" / "a.png")
    (root / "notes.txt").write_text("not an image")
    (root / "._a.png").write_text("what macOS leaves on foreign disks")
    return root


# --- the promise ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("model", ["gray", "rgb"])
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_the_gray_of_the_result_is_the_gray_of_the_input(
    tmp_path: Path, dtype: type, model: str, ending: str
) -> None:
    gray = photo(dtype=dtype)
    codes = gray if model == "gray" else np.dstack((gray, gray[::-1], gray[:, ::-1]))
    source = tmp_path / f"scan.{ending}"
    if ending == "tif":
        tifffile.imwrite(source, codes)
    else:
        source.write_bytes(imagecodecs.png_encode(codes))
    before = source.read_bytes()
    output = tmp_path / "scan.recolor.tif"
    call = recolor(source, "-o", output, *FAST)
    assert (call.code, call.errors) == (0, [])
    result = pixels(output)
    assert result.dtype == dtype
    assert result.shape == (*gray.shape, 3)
    np.testing.assert_array_equal(gray_of(result), gray if model == "gray" else gray_of(codes))
    assert np.ptp(result.astype(int), axis=-1).mean() > 1  # and there is color
    assert source.read_bytes() == before


def test_plain_words_colorize_beside_the_input(jpeg: Path) -> None:
    before = jpeg.read_bytes()
    call = recolor(jpeg, *FAST)
    assert call.code == 0
    assert call.out == b""
    assert files(jpeg.parent) == ["photo.jpg", "photo.recolor.png"]
    assert call.err.startswith(f"{jpeg} -> {jpeg.with_name('photo.recolor.png')} (")
    np.testing.assert_array_equal(
        gray_of(pixels(jpeg.with_name("photo.recolor.png"))), pixels(jpeg)
    )
    assert jpeg.read_bytes() == before


def test_every_page_of_a_tiff(tmp_path: Path) -> None:
    pages = [photo(), photo(24, 80), photo(64, 32, np.uint16)]
    source = tmp_path / "stack.tif"
    with tifffile.TiffWriter(source) as writer:
        for page in pages:
            writer.write(page, metadata=None)
    assert recolor(source, "--stages", *FAST).code == 0
    with tifffile.TiffFile(tmp_path / "stack.recolor.tif") as result:
        assert len(result.pages) == 3
        for page, codes in zip(result.pages, pages, strict=True):
            np.testing.assert_array_equal(gray_of(page.asarray()), codes)
    assert (tmp_path / "stack.recolor.page3.uncertainty.tif").exists()


def test_a_jpeg_target_says_what_it_cannot_keep(jpeg: Path) -> None:
    output = jpeg.with_name("color.jpg")
    call = recolor(jpeg, "-o", output, "--json", *FAST)
    assert call.code == 0
    assert call.errors == [
        f"recolor: {jpeg}: JPEG cannot keep the gray exactly; name a .png or .tif for that"
    ]
    assert json.loads(call.out)["exact_gray"] is False
    assert output.read_bytes().startswith(b"\xff\xd8\xff")


# --- settings and further results -------------------------------------------------------------


def test_settings_reach_the_networks_and_are_recorded(jpeg: Path) -> None:
    words = ("--vividness", "1", "--saturation", "1.5", "--views", "2", *FAST)
    assert recolor(jpeg, "-o", jpeg.with_name("vivid.png"), *words).code == 0
    expected = by_library(pixels(jpeg), vividness=1, saturation=1.5, views=2, size=32)
    np.testing.assert_array_equal(pixels(jpeg.with_name("vivid.png")), expected.rgb)
    [info] = map(
        json.loads, recolor("info", jpeg.with_name("vivid.png"), "--json").out.splitlines()
    )
    assert info["recolor"]["settings"] == expected.provenance["settings"]
    assert info["recolor"]["source"] == "photo.jpg"


def test_saturation_0_is_the_gray_image(jpeg: Path) -> None:
    assert recolor(jpeg, "--saturation", "0", *FAST).code == 0
    rgb = pixels(jpeg.with_name("photo.recolor.png"))
    np.testing.assert_array_equal(rgb, np.dstack([pixels(jpeg)] * 3))


def test_stages_lie_beside_the_result(jpeg: Path) -> None:
    call = recolor(jpeg, "--stages", "--json", *FAST)
    expected = by_library(pixels(jpeg), size=32)
    for name, array in (
        ("ab-coarse", expected.ab_coarse),
        ("ab-refined", expected.ab_refined),
        ("uncertainty", expected.uncertainty),
    ):
        path = jpeg.with_name(f"photo.recolor.{name}.tif")
        assert str(path) in json.loads(call.out)["stages"]
        np.testing.assert_array_equal(tifffile.imread(path).squeeze(), array.squeeze())


def test_alternatives_have_other_colors_and_the_same_gray(jpeg: Path) -> None:
    assert recolor(jpeg, "--alternatives", "2", *FAST).code == 0
    results = [pixels(jpeg.with_name(f"photo.recolor{tag}.png")) for tag in ("", ".alt1", ".alt2")]
    for i, result in enumerate(results):
        np.testing.assert_array_equal(gray_of(result), pixels(jpeg))
        assert all((result != other).any() for other in results[:i])


def test_hints_color_what_they_point_at(jpeg: Path) -> None:
    hints = jpeg.with_name("hints.json")
    hint = {"x": 28, "y": 20, "color": "#ff0000", "radius": 30}
    hints.write_text(json.dumps({"hints": [hint]}))
    assert recolor(jpeg, "--hints", hints, *FAST).code == 0
    expected = by_library(pixels(jpeg), size=32)
    red = pixels(jpeg.with_name("photo.recolor.png")).astype(int)
    plain = expected.rgb.astype(int)
    assert (red[..., 0] - red[..., 1]).mean() > (plain[..., 0] - plain[..., 1]).mean() + 5


def test_a_palette_of_colors_or_of_a_image_steers(jpeg: Path) -> None:
    reference = jpeg.with_name("reference.png")
    Image.new("RGB", (20, 20), "#b45a28").save(reference)
    warmth = []
    for number, palette in enumerate(([], ["--palette", "#b45a28"], ["--palette", reference])):
        target = jpeg.with_name(f"{number}.png")
        assert recolor(jpeg, "-o", target, *palette, *FAST).code == 0
        red, _, blue = pixels(target).astype(float).mean((0, 1))
        warmth.append(red - blue)
    assert warmth[1] > warmth[0] + 10
    assert warmth[1] == pytest.approx(warmth[2], abs=1)  # one color, however it was said


@pytest.mark.parametrize("palette", ["#b45a2", "#b45a28,", "no-such-file.png"])
def test_a_palette_that_is_none_is_refused(jpeg: Path, palette: str) -> None:
    call = recolor(jpeg, "--palette", palette, *FAST)
    assert call.code == 2
    assert len(call.errors) == 1
    assert not jpeg.with_name("photo.recolor.png").exists()


def test_hints_belong_to_one_image(folder: Path) -> None:
    hints = folder / "hints.json"
    hints.write_text('{"hints": []}')
    call = recolor(folder, "--hints", hints, *FAST)
    assert call.code == 2
    assert "expected one image with --hints" in call.err


@pytest.mark.parametrize("levels", ["-2,6", "auto"])
def test_levels_say_what_is_black_and_white(tmp_path: Path, levels: str) -> None:
    values = photo(dtype=np.float32) * 8 - 2
    values[0, 0], values[0, 1] = -2, 6
    source = tmp_path / "float.tif"
    tifffile.imwrite(source, values)
    refused = recolor(source, *FAST)
    assert (refused.code, len(refused.errors)) == (2, 1)
    assert recolor(source, "--levels", levels, *FAST).code == 0
    gray = gray_of(tifffile.imread(tmp_path / "float.recolor.tif"))
    np.testing.assert_allclose(gray, (values + 2) / 8, atol=1e-5)


def test_a_leveled_image_does_not_claim_the_gray_of_its_file(jpeg: Path) -> None:
    assert recolor(jpeg, "--levels", "10,200", "--sidecar", *FAST).code == 0
    facts = json.loads(jpeg.with_name("photo.recolor.png.json").read_text())
    assert facts["output"]["exact_gray"] is False
    assert facts["pages"][0]["levels"] == [10, 200]


@pytest.mark.parametrize("levels", ["1", "low,high", "1,2,3", "5,1"])
def test_levels_that_are_none(jpeg: Path, levels: str) -> None:
    call = recolor(jpeg, "--levels", levels, *FAST)
    assert (call.code, len(call.errors)) == (2, 1)
    assert "expected" in call.err


@pytest.mark.parametrize(
    ("option", "value"),
    [("--vividness", "2"), ("--saturation", "nan"), ("--size", "8"), ("--alternatives", "99")],
)
def test_settings_out_of_range(jpeg: Path, option: str, value: str) -> None:
    call = recolor(jpeg, option, value)
    assert call.code == 2
    assert call.errors[0].startswith(f"recolor: expected {option} from ")
    assert files(jpeg.parent) == ["photo.jpg"]


def test_the_sidecar(jpeg: Path) -> None:
    call = recolor(jpeg, "--sidecar", "--json", *FAST)
    sidecar = jpeg.with_name("photo.recolor.png.json")
    assert json.loads(call.out)["sidecar"] == str(sidecar)
    assert json.loads(sidecar.read_text())["source"]["name"] == "photo.jpg"


# --- which images, and where to -------------------------------------------------------------


def test_a_folder(folder: Path) -> None:
    assert recolor(folder, *FAST).code == 0
    assert [name for name in files(folder) if ".recolor." in name] == [
        "a.recolor.png",
        "b.recolor.png",
    ]


def test_folders_of_a_folder_are_laid_out_the_same(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "color"
    assert recolor(folder, "-r", "-o", out, *FAST).code == 0
    assert files(out) == ["a.recolor.png", "b.recolor.png", str(Path("box", "a.recolor.png"))]


def test_patterns_that_no_shell_expanded(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert recolor(folder / "?.png", folder / "*.JPG", "-o", out, *FAST).code == 0
    assert files(out) == ["a.recolor.png", "b.recolor.png"]
    assert recolor(folder / "**" / "*.png", "-o", tmp_path / "all", "-q", *FAST).code == 2
    assert files(tmp_path / "all") == ["a.recolor.png"]  # and the other a.png is told of


def test_a_name_with_brackets_is_a_name(tmp_path: Path) -> None:
    source = tmp_path / "scan [1].png"
    Image.fromarray(photo()).save(source)
    assert recolor(source, *FAST).code == 0
    assert (tmp_path / "scan [1].recolor.png").exists()


def test_two_images_never_share_a_result(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    call = recolor(folder / "a.png", folder / "box" / "a.png", "-o", out, *FAST)
    assert call.code == 2
    assert call.errors == [
        f"recolor: {folder / 'box' / 'a.png'}: expected a result of its own, got "
        f"{out / 'a.recolor.png'}, which is that of {folder / 'a.png'}; name it yourself in a "
        f"call of its own: recolor {folder / 'box' / 'a.png'} -o FILE, or name the folder of both "
        "with --recursive"
    ]
    assert files(out) == ["a.recolor.png"]


def test_the_same_image_named_twice_is_done_once(jpeg: Path) -> None:
    call = recolor(jpeg, jpeg.parent, jpeg.parent / "*.jpg", "--json", *FAST)
    assert call.code == 0
    assert len(call.out.splitlines()) == 1


def test_several_images_need_a_folder(folder: Path, tmp_path: Path) -> None:
    call = recolor(folder, "-o", tmp_path / "color.png", *FAST)
    assert call.code == 2
    assert "expected a folder for several images" in call.err
    assert recolor(folder, "-o", f"{tmp_path / 'color.png'}/", *FAST).code == 0
    assert (tmp_path / "color.png" / "a.recolor.png").exists()


def test_streams(jpeg: Path) -> None:
    recolor(jpeg, *FAST)
    for words in (["-"], ["-", "-o", "-"], [jpeg, "-o", "-"]):
        call = recolor(*words, *FAST, stdin=jpeg.read_bytes())
        assert call.code == 0
        result = np.asarray(Image.open(io.BytesIO(call.out)))
        np.testing.assert_array_equal(result, pixels(jpeg.with_name("photo.recolor.png")))
    assert recolor("-", "-o", jpeg.with_name("in.png"), *FAST, stdin=jpeg.read_bytes()).code == 0
    np.testing.assert_array_equal(pixels(jpeg.with_name("in.png")), result)
    assert recolor("-", "-o", jpeg.parent, *FAST, stdin=jpeg.read_bytes()).code == 0
    assert jpeg.with_name("stdin.recolor.png").exists()


@pytest.mark.parametrize("option", ["--json", "--stages", "--sidecar"])
def test_standard_output_holds_one_thing(jpeg: Path, option: str) -> None:
    call = recolor(jpeg, "-o", "-", option, *FAST)
    assert (call.code, call.out) == (2, b"")


def test_a_file_named_like_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(photo()).save("info", "png")
    assert recolor("./info", *FAST).code == 0
    assert (tmp_path / "info.recolor.png").exists()


# --- once is enough ---------------------------------------------------------------------------


def test_a_second_call_goes_on_where_the_first_one_ended(folder: Path) -> None:
    assert recolor(folder / "a.png", *FAST).code == 0
    stamp = (folder / "a.recolor.png").stat()
    call = recolor(folder, "--json", *FAST)
    assert call.code == 0
    assert [json.loads(line)["status"] for line in call.out.splitlines()] == ["skipped", "done"]
    after = (folder / "a.recolor.png").stat()
    assert (after.st_ino, after.st_mtime_ns) == (stamp.st_ino, stamp.st_mtime_ns)
    again = recolor(folder, *FAST)
    assert again.code == 0
    assert "2 skipped" in again.err
    assert [name for name in files(folder) if ".recolor." in name] == [
        "a.recolor.png",
        "b.recolor.png",
    ]


def test_overwrite_makes_it_again(jpeg: Path) -> None:
    output = jpeg.with_name("photo.recolor.png")
    output.write_bytes(b"old")
    call = recolor(jpeg, *FAST)
    assert (call.code, len(call.errors)) == (2, 1)
    assert "not a result of recolor" in call.err
    assert "--overwrite renews it" in call.err
    assert output.read_bytes() == b"old"
    assert recolor(jpeg, "--overwrite", *FAST).code == 0
    assert pixels(output).shape == (40, 56, 3)


def test_a_result_that_was_named_and_is_there_is_an_error(jpeg: Path) -> None:
    output = jpeg.with_name("color.png")
    output.write_bytes(b"mine")
    call = recolor(jpeg, "-o", output, *FAST)
    assert call.code == 2
    assert call.errors[0].startswith(f"recolor: {jpeg}: {output} is there already")
    assert "--overwrite renews it" in call.err
    assert output.read_bytes() == b"mine"


def test_the_source_is_never_the_target(jpeg: Path) -> None:
    before = jpeg.read_bytes()
    call = recolor(jpeg, "-o", jpeg, "--overwrite", *FAST)
    assert (call.code, len(call.errors)) == (2, 1)
    assert jpeg.read_bytes() == before


def test_results_are_no_inputs_unless_the_new_name_is_given(jpeg: Path) -> None:
    recolor(jpeg, *FAST)
    result = jpeg.with_name("photo.recolor.png")
    call = recolor(result, *FAST)
    assert call.code == 2
    assert "this is a result of recolor already" in call.err
    assert recolor(result, "-o", jpeg.with_name("twice.png"), *FAST).code == 0


def test_what_another_call_did_meanwhile_is_skipped(jpeg: Path) -> None:
    output = jpeg.with_name("photo.recolor.png")
    assert recolor(jpeg, *FAST).code == 0
    theirs = output.read_bytes()
    output.unlink()
    refine = Colorizer.refine

    def slow(*arguments: object, **named: object) -> object:
        output.write_bytes(theirs)
        return refine(*arguments, **named)  # type: ignore[arg-type]

    with patch.object(Colorizer, "refine", slow):
        call = recolor(jpeg, *FAST)
    assert call.code == 0
    assert "skipped" in call.err
    assert output.read_bytes() == theirs
    assert files(jpeg.parent) == ["photo.jpg", "photo.recolor.png"]


# --- interrupted, and bugs --------------------------------------------------------------------


def test_an_interrupted_call_leaves_whole_results_alone(folder: Path) -> None:
    finish = Report.finish

    def interrupted(report: Report, outcome: Outcome) -> None:
        finish(report, outcome)
        raise KeyboardInterrupt

    with patch.object(Report, "finish", interrupted):
        call = recolor(folder, *FAST)
    assert call.code == 130
    assert "interrupted, 1 of 2 done" in call.err
    # The second image may have been done, too, but nothing is half done.
    left = [name for name in files(folder) if "recolor" in name]
    assert left in (["a.recolor.png"], ["a.recolor.png", "b.recolor.png"])
    again = recolor(folder, *FAST)
    assert again.code == 0
    assert f"{len(left)} skipped" in again.err


# The command on a machine so slow that a signal finds an image half done.
SLOWLY = """
import signal
import time
from recolor_core.cli import main
from recolor_core.result import Colorization

# A shell starts what runs in its background with Ctrl-C ignored, tests included.
signal.signal(signal.SIGINT, signal.default_int_handler)

def strips(self, ab=None, quickly=Colorization.strips):
    for strip in quickly(self, ab):
        time.sleep(1)
        yield strip

Colorization.strips = strips
main()
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM"])
def test_a_signal_removes_what_is_half_done(tmp_path: Path, signal: str) -> None:
    import signal as signals
    import time

    source = tmp_path / "large.tif"
    tifffile.imwrite(source, photo(1500, 2000, np.uint16))
    process = subprocess.Popen(
        [sys.executable, "-c", SLOWLY, str(source)], stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and not list(tmp_path.glob(".recolor-*")):
        time.sleep(0.05)
    process.send_signal(getattr(signals, signal))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted, 0 of 1 done" in err
    assert files(tmp_path) == ["large.tif"]


def test_a_failing_alternative_takes_the_others_along(jpeg: Path) -> None:
    jpeg.with_name("photo.recolor.alt2.png").mkdir()
    call = recolor(jpeg, "--alternatives", "2", *FAST)
    assert (call.code, len(call.errors)) == (2, 1)
    assert files(jpeg.parent) == ["photo.jpg"]


def test_stages_that_cannot_be_written_take_the_result_along(jpeg: Path) -> None:
    jpeg.with_name("photo.recolor.uncertainty.tif").mkdir()
    call = recolor(jpeg, "--stages", "--alternatives", "1", *FAST)
    assert (call.code, len(call.errors)) == (2, 1)
    assert files(jpeg.parent) == ["photo.jpg"]


def test_a_bug_costs_one_image_and_says_how_to_report_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refine, calls = Colorizer.refine, iter((True, False))

    def buggy(*arguments: object, **named: object) -> object:
        if next(calls):
            raise ZeroDivisionError("division\nby zero")
        return refine(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setenv("RECOLOR_DEBUG", "1")
    with patch.object(Colorizer, "refine", buggy):
        call = recolor(folder, *FAST)
    assert call.code == 1
    [line] = call.errors
    assert "ZeroDivisionError: division by zero" in line
    assert "RECOLOR_DEBUG=1" in line
    assert "Traceback" in call.err
    made = [name for name in ("a", "b") if (folder / f"{name}.recolor.png").exists()]
    assert len(made) == 1  # two images are in the works at a time: which one fails is open


def test_warnings_are_lines_about_the_image(jpeg: Path) -> None:
    import warnings

    from recolor_core.errors import DeviceWarning

    refine = Colorizer.refine

    def warning(*arguments: object, **named: object) -> object:
        warnings.simplefilter("default")
        warnings.warn("the memory of cuda is full", DeviceWarning, stacklevel=1)
        return refine(*arguments, **named)  # type: ignore[arg-type]

    with patch.object(Colorizer, "refine", warning):
        call = recolor(jpeg, "--quiet", *FAST)
    assert call.code == 0
    assert call.err == f"recolor: {jpeg}: the memory of cuda is full\n"


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.filterwarnings("always")
def test_no_command_prints_a_warning_in_the_words_of_python(command: str) -> None:
    def app(words: object, prog_name: str) -> None:
        warnings.warn("pass overwrite=True to renew it", UserWarning, stacklevel=1)

    module = SimpleNamespace(app=app)
    with patch("recolor_core.cli.import_module", lambda name: module):
        call = recolor(*([command] if command else []))
    assert (call.code, call.out) == (0, b"")
    assert call.err == "recolor: --overwrite renews it\n"


# --- what is told -----------------------------------------------------------------------------


def test_json_is_one_object_per_image_and_nothing_else(folder: Path) -> None:
    call = recolor(folder, folder / "none.png", "--json", *FAST)
    assert call.code == 2
    done, other, failed = map(json.loads, call.out.splitlines())
    assert done | {"seconds": 0, "uncertainty": 0} == {
        "input": str(folder / "a.png"),
        "status": "done",
        "message": "",
        "output": str(folder / "a.recolor.png"),
        "warnings": [],
        "alternatives": [],
        "sheets": [],
        "stages": [],
        "sidecar": None,
        "reading": ["8-bit gray, sRGB (no profile)"],
        "pages": 1,
        "megapixels": 0.00224,
        "seconds": 0,
        "exact_gray": True,
        "source_sha256": hashlib.sha256((folder / "a.png").read_bytes()).hexdigest(),
        "output_sha256": None,
        "uncertainty": 0,
    }
    assert done["seconds"] > 0
    assert done["uncertainty"] > 0
    assert other["status"] == "done"
    assert failed["status"] == "failed"
    assert "no such file" in failed["message"]


def test_quiet_tells_nothing(jpeg: Path) -> None:
    assert recolor(jpeg, "--quiet", *FAST) == Call(0, b"", "")


def test_bars_are_for_terminals(jpeg: Path) -> None:
    assert "\x1b" not in recolor(jpeg, *FAST).err
    with patch("rich.console.Console.is_terminal", True):
        call = recolor(jpeg, "--overwrite", *FAST)
    assert "MP" in call.err
    assert "\x1b[" in call.err


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        *([name, "--help"] for name in ("batch", "restore", "verify", "weights")),
        ["batch", "status", "--help"],
    ],
)
def test_help_is_there_at_once(words: list[str]) -> None:
    code = (
        "import sys; from recolor_core.cli import main\n"
        f"sys.argv = ['recolor', *{words!r}]\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "slow = {'torch', 'numpy', 'PIL', 'tifffile'} & sys.modules.keys()\n"
        "assert not slow, slow\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "recolor" in run.stdout


def test_defaults_are_those_of_the_library() -> None:
    options = inspect.signature(colorize).parameters
    for setting in fields(Settings):
        assert options[setting.name].default == setting.default
    assert options["max_pixels"].default == MAX_PIXELS


@pytest.mark.parametrize(
    ("words", "said", "see"),
    [
        ((), "Missing argument", "recolor -h"),
        (("{photo}", "--vivid", "1"), "--vivid", "recolor -h"),
        (("{photo}", "--tile", "x"), "--tile", "recolor -h"),
        (("{photo}", "-o"), "-o", "recolor -h"),
        (("batch", "--vivid"), "--vivid", "recolor batch -h"),
        (("batch", "status", "--vivid"), "--vivid", "recolor batch status -h"),
        (("info", "--vivid"), "--vivid", "recolor info -h"),
    ],
)
def test_usage_errors_are_one_line(jpeg: Path, words: tuple[str, ...], said: str, see: str) -> None:
    call = recolor(*(word.format(photo=jpeg) for word in words))
    assert call.code == 2
    [line] = call.err.splitlines()
    assert line.startswith("recolor: ")
    assert line.endswith(f"; see {see}")
    assert said in line
    assert files(jpeg.parent) == ["photo.jpg"]


@pytest.mark.parametrize(
    ("option", "choices"), [("--runtime", "auto, torch, onnxruntime"), ("--device", "auto, cpu")]
)
def test_an_unknown_runtime_or_device_names_the_option(
    jpeg: Path, option: str, choices: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recolor_core.device.available_devices", lambda: ["cpu"])
    call = recolor(jpeg, option, "foo", *FAST)
    assert call.code == 2
    [line] = call.err.splitlines()
    assert f"expected {option} as one of {choices}, got 'foo'; use one of these" in line


def test_no_color_is_taken_from_a_gray_reference(jpeg: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    reference = tmp_path / "other" / "gray.png"
    Image.fromarray(photo()[::-1]).save(reference)
    plain, directed = tmp_path / "other" / "a.png", tmp_path / "other" / "b.png"
    assert recolor(jpeg, "-o", plain, *FAST).code == 0
    call = recolor(jpeg, "-o", directed, "--reference", reference, *FAST)
    assert call.code == 0
    assert "no color taken from gray.png: it has no color" in call.err
    np.testing.assert_array_equal(pixels(directed), pixels(plain))


def test_a_bad_reference_is_named(jpeg: Path, tmp_path: Path) -> None:
    reference = tmp_path / "nan.tif"
    tifffile.imwrite(reference, np.full((8, 8, 3), np.nan, np.float32), photometric="rgb")
    call = recolor(jpeg, "--reference", reference, *FAST)
    assert call.code == 2
    [line] = call.err.splitlines()
    assert "nan.tif: " in line


# --- weights and info -------------------------------------------------------------------------


def test_weights_are_listed() -> None:
    call = recolor("weights")
    assert call.code == 0
    assert call.out.decode().split()[:2] == ["default", "installed"]
    [record] = [r for r in json.loads(recolor("weights", "--json").out) if r["name"] == "default"]
    assert f"use: {record['use']}" in call.out.decode()
    shown = recolor("weights", "default").out.decode()
    assert record["sha256"] in shown
    assert record["use"] in shown
    assert record["license"] in shown


def test_weights_that_come_with_recolor_are_fetched_at_once() -> None:
    call = recolor("weights", "--fetch", "default")
    assert call.code == 0
    assert Path(call.out.decode().strip()).is_file()


@pytest.mark.slow
def test_weights_by_path_and_unknown_ones(jpeg: Path) -> None:
    from recolor_core.weights import BUNDLED

    path = BUNDLED / "default.safetensors"
    assert recolor(jpeg, "--weights", path, *FAST).code == 0
    assert str(path) in recolor("weights", path).out.decode()
    for words in (["weights", "nope"], ["weights", "--fetch", "nope"]):
        call = recolor(*words)
        assert (call.code, len(call.errors)) == (2, 1)


def test_info_says_how_a_file_is_read(jpeg: Path) -> None:
    call = recolor("info", jpeg)
    assert call.code == 0
    assert call.out.decode().splitlines() == [
        f"{jpeg}: not colored by recolor",
        "  JPEG",
        "  56 x 40, uint8, 8-bit gray, sRGB (no profile)",
        "  the name of its result: photo.recolor.png",
    ]
    recolor(jpeg, "--stages", "--alternatives", 2, "--sheet", *FAST)
    result = jpeg.with_name("photo.recolor.png")
    text = recolor("info", result).out.decode()
    assert text.startswith(f"{result}: colored by recolor ")
    assert "tool: recolor " in text
    assert "source: photo.jpg" in text
    stage, sheet = (
        jpeg.with_name(f"photo.recolor.{name}") for name in ("ab-coarse.tif", "sheet.png")
    )
    assert ": stage ab-coarse of a coloring by recolor " in recolor("info", stage).out.decode()
    assert ": sheet of alternatives by recolor " in recolor("info", sheet).out.decode()
    call = recolor("info", jpeg.with_name("none.png"), jpeg)
    assert (call.code, len(call.errors)) == (2, 1)
    assert str(jpeg) in call.out.decode()


@pytest.mark.parametrize("xmp", [None, b"", b"no xml", b"<a/>"])
def test_images_of_other_software_say_nothing_of_recolor(xmp: bytes | None) -> None:
    from recolor_core.provenance import read_xmp

    assert read_xmp(xmp) is None
