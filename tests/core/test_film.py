"""Films, from one file to another: what is kept, what is made, and going on after a stop."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from unittest.mock import patch

import av
import numpy as np
import pytest
from PIL import Image

from recolor_core.film import (
    FilmError,
    FilmJob,
    KeyHint,
    Moment,
    coloring,
    colorize_film,
    parse_moment,
)
from recolor_core.film.luma import Luma
from recolor_core.film.resume import folder_of
from recolor_core.hints import Hint
from recolor_core.settings import FilmSettings, Settings, list_settings

from . import cli_runner
from .cli_runner import files, gray_of, pixels, recolor
from .films import (
    FAST,
    FULL,
    LIMITED,
    SIZE,
    colorize,
    colorizer,
    decoded,
    grays,
    luma,
    make_film,
    packets,
    rgb,
    scene,
    times,
)

SUBTITLES = "1\n00:00:00,000 --> 00:00:00,100\nOne\n\n2\n00:00:00,120 --> 00:00:00,300\nTwo\n"


def run(*words: object) -> cli_runner.Call:
    return recolor("film", *words, "--size", "32", "--device", "cpu")


@pytest.mark.parametrize(
    ("pixels", "color_range"),
    [
        ("yuv420p", LIMITED),
        ("yuv444p", FULL),
        ("yuv422p10le", LIMITED),
        ("yuv420p12le", FULL),
        ("gray16le", FULL),
    ],
)
def test_gray_of_lossless_film_is_the_luma_of_its_source(tmp_path, pixels, color_range):
    planes = make_film(tmp_path / "a.mkv", 2, pixels=pixels, color_range=color_range)
    result = colorize(tmp_path / "a.mkv", tmp_path / "b.mkv", lossless=True)
    bits = av.VideoFormat(pixels).components[0].bits
    meaning = Luma(bits, color_range == LIMITED)
    made = decoded(tmp_path / "b.mkv")
    assert result.exact_gray
    assert made[0].format.name == ("bgr0" if bits == 8 else "gbrp16le")
    for frame, plane in zip(made, planes, strict=True):
        np.testing.assert_array_equal(gray_of(rgb(frame)), meaning.gray(plane))
        assert np.ptp(rgb(frame).astype(int), axis=2).max() > 0  # there is color


@pytest.mark.parametrize(("color_range", "format"), [(LIMITED, "yuv420p"), (FULL, "yuvj420p")])
def test_luma_of_a_coded_film_is_its_source_s_to_the_bit(tmp_path, color_range, format):
    planes = make_film(tmp_path / "a.mkv", 2, color_range=color_range)
    colorize(tmp_path / "a.mkv", tmp_path / "b.mp4", crf=0)  # of x264 and 8 bits: without loss
    made = decoded(tmp_path / "b.mp4")
    assert made[0].format.name == format
    for frame, plane in zip(made, planes, strict=True):
        np.testing.assert_array_equal(luma(frame), plane)
        assert frame.color_range == color_range
        assert (frame.colorspace, frame.color_primaries, frame.color_trc) == (1, 1, 1)


def test_a_lossy_film_keeps_its_luma_within_the_precision_of_the_codec(tmp_path):
    planes = make_film(tmp_path / "a.mkv", 3)
    result = colorize(tmp_path / "a.mkv", tmp_path / "b.mp4")
    assert not result.exact_gray
    for frame, plane in zip(decoded(tmp_path / "b.mp4"), planes, strict=True):
        assert np.abs(luma(frame).astype(float) - plane).mean() < 3


def test_deep_films_become_hevc_of_10_bits(tmp_path):
    planes = make_film(tmp_path / "a.mkv", 2, pixels="yuv420p10le", size=(80, 64))
    colorize(tmp_path / "a.mkv", tmp_path / "b.mkv", crf=4)
    made = decoded(tmp_path / "b.mkv")
    assert made[0].format.name == "yuv420p10le"
    with av.open(str(tmp_path / "b.mkv")) as film:
        assert film.streams.video[0].codec_context.name == "hevc"
    for frame, plane in zip(made, planes, strict=True):
        assert np.abs(luma(frame).astype(float) - plane).mean() < 4  # of 1023


def test_colors_of_a_coded_film_are_those_of_the_lossless_one(tmp_path):
    flat = [np.full(SIZE[::-1], 0.5)] * 2
    make_film(tmp_path / "a.mkv", flat)
    hint = KeyHint(Hint(30, 20, "#c06040", 60))
    for name, options in (("b.mkv", {"lossless": True}), ("c.mp4", {"crf": 0})):
        colorize(tmp_path / "a.mkv", tmp_path / name, hints=[hint], **options)
    exact, coded = (rgb(decoded(tmp_path / name)[0]).astype(int) for name in ("b.mkv", "c.mp4"))
    difference = exact.mean((0, 1)) - coded.mean((0, 1))
    # Luma is kept, and luminance is not quite it: all channels move by the same, no hue does.
    assert np.ptp(difference) < 3
    assert np.ptp(exact.mean((0, 1))) > 20


def test_times_audio_and_subtitles_stay(tmp_path):
    shown = [0, 40, 70, 200, 230, 300]
    kept = {"audio": True, "subtitles": SUBTITLES, "aspect": Fraction(16, 15)}
    make_film(tmp_path / "a.mkv", 6, codec="libx264", times=shown, **kept)
    colorize(tmp_path / "a.mkv", tmp_path / "b.mkv")
    assert times(tmp_path / "b.mkv") == shown
    for kind in ("audio", "subtitle"):
        assert packets(tmp_path / "b.mkv", kind) == packets(tmp_path / "a.mkv", kind)
    with av.open(str(tmp_path / "b.mkv")) as film:
        assert [stream.type for stream in film.streams] == ["video", "audio", "subtitle"]
        assert film.streams.video[0].sample_aspect_ratio == Fraction(16, 15)
        assert film.streams.subtitles[0].metadata["language"] == "deu"
        assert {key.lower(): text for key, text in film.metadata.items()}["title"] == "A film"


def test_mp4_keeps_rate_times_and_audio(tmp_path):
    make_film(tmp_path / "a.mp4", 4, codec="libx264", audio=True, rate=24)
    colorize(tmp_path / "a.mp4", tmp_path / "b.mp4")
    assert times(tmp_path / "b.mp4") == times(tmp_path / "a.mp4")
    assert packets(tmp_path / "b.mp4", "audio") == packets(tmp_path / "a.mp4", "audio")
    with av.open(str(tmp_path / "b.mp4")) as film:
        video = film.streams.video[0]
        assert (video.average_rate, video.frames) == (24, 4)
        assert video.duration * video.time_base == Fraction(4, 24)


def test_turned_films_come_out_upright(tmp_path):
    planes = make_film(
        tmp_path / "a.mp4",
        2,
        codec="libx264",
        options={"crf": "0"},
        turned=90,
        aspect=Fraction(4, 3),
    )
    colorize(tmp_path / "a.mp4", tmp_path / "b.mp4", crf=0)
    made = decoded(tmp_path / "b.mp4")
    assert made[0].rotation == 0
    for frame, plane in zip(made, planes, strict=True):
        np.testing.assert_array_equal(luma(frame), np.rot90(plane))  # as its metadata ask players
    with av.open(str(tmp_path / "b.mp4")) as film:
        assert film.streams.video[0].sample_aspect_ratio == Fraction(3, 4)


@pytest.mark.parametrize("size", [(65, 48), (64, 47)])
def test_odd_sizes_stay(tmp_path, size):
    planes = make_film(tmp_path / "a.mkv", 1, size=size)
    colorize(tmp_path / "a.mkv", tmp_path / "b.mp4", crf=0)
    (frame,) = decoded(tmp_path / "b.mp4")
    assert frame.format.name == "yuv444p"
    np.testing.assert_array_equal(luma(frame), planes[0])


def test_a_part_of_a_film_begins_at_time_0(tmp_path):
    planes = make_film(tmp_path / "a.mkv", 8, audio=True)
    result = colorize(
        tmp_path / "a.mkv",
        tmp_path / "b.mkv",
        lossless=True,
        start="0.08",
        end="5f",
    )
    assert result.frames == 3
    assert times(tmp_path / "b.mkv") == [0, 40, 80]
    for gray, plane in zip(grays(tmp_path / "b.mkv"), planes[2:5], strict=True):
        np.testing.assert_array_equal(gray, Luma(8, True).gray(plane))
    before, after = (packets(tmp_path / name, "audio") for name in ("a.mkv", "b.mkv"))
    kept = [(at - 80, content) for at, content in before if 80 <= at < 200]
    assert [content for _, content in after] == [content for _, content in kept]
    np.testing.assert_allclose([at for at, _ in after], [at for at, _ in kept], atol=1)


@pytest.mark.filterwarnings("ignore:this is a result of recolor")  # which is meant here
def test_images_out_and_in_again(tmp_path):
    planes = make_film(tmp_path / "a.mkv", 4)
    colorize(tmp_path / "a.mkv", f"{tmp_path}/out/", start="1f")
    names = [f"frame_{number:06d}.tif" for number in (1, 2, 3)]  # numbers of the source
    assert files(tmp_path / "out") == ["frame_%06d.tif.json", *names]
    for name, plane in zip(names, planes[1:], strict=True):
        np.testing.assert_array_equal(
            gray_of(pixels(tmp_path / "out" / name)), Luma(8, True).gray(plane)
        )
    colorize(tmp_path / "out", tmp_path / "c.mkv", lossless=True, fps="16")
    for gray, plane in zip(grays(tmp_path / "c.mkv"), planes[1:], strict=True):
        np.testing.assert_array_equal(gray, Luma(8, True).gray(plane))
    assert times(tmp_path / "c.mkv") == [0, 62, 125] or times(tmp_path / "c.mkv") == [0, 63, 125]


@pytest.mark.filterwarnings("ignore:this is a result of recolor")  # which is meant here
@pytest.mark.parametrize("ending", ["png", "dpx"])
def test_deep_images_keep_16_bits(tmp_path, ending):
    planes = make_film(tmp_path / "a.mkv", 2, pixels="gray16le", color_range=FULL)
    colorize(tmp_path / "a.mkv", tmp_path / f"p_%d.{ending}")
    for number, plane in enumerate(planes):
        path = tmp_path / f"p_{number}.{ending}"
        with av.open(str(path)) as film:
            frame = next(film.decode(video=0))
        np.testing.assert_array_equal(gray_of(frame.to_ndarray(format="rgb48le")), plane)
    colorize(tmp_path / f"p_%d.{ending}", tmp_path / "again_%d.png")  # and they can be read again
    np.testing.assert_array_equal(
        gray_of(decoded(tmp_path / "again_1.png")[0].to_ndarray(format="rgb48le")), planes[1]
    )


def test_images_come_in_the_order_of_their_numbers(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in (10, 11, 9):
        Image.fromarray(np.full((40, 40), 10 * number, np.uint8)).save(
            folder / f"scan {number}.png"
        )
    colorize(folder, f"{tmp_path}/out/")
    levels = [gray_of(pixels(path))[0, 0] for path in sorted((tmp_path / "out").glob("*.tif"))]
    assert levels == [90, 100, 110]


@pytest.mark.slow
def test_cuts_are_found_and_hints_end_at_them(tmp_path):
    shots = [scene(i) for i in range(3)] + [scene(i, shot=4)[::-1] for i in range(3)]
    make_film(tmp_path / "a.mkv", shots)
    hint = KeyHint(Hint(32, 24, "#2040e0", 80), Moment(frame=1))
    plain = colorize(tmp_path / "a.mkv", tmp_path / "b.mkv", lossless=True)
    hinted = colorize(tmp_path / "a.mkv", tmp_path / "c.mkv", lossless=True, hints=[hint])
    assert plain.cuts == hinted.cuts == (3,)
    pairs = zip(decoded(tmp_path / "b.mkv"), decoded(tmp_path / "c.mkv"), strict=True)
    bluer = [rgb(c).astype(int)[..., 2].mean() - rgb(b)[..., 2].mean() for b, c in pairs]
    assert bluer[3] == bluer[4] == bluer[5] == 0
    assert min(bluer[:3]) > 5  # it goes backward through its shot, too


def test_the_sidecar_and_the_film_say_how_it_was_made(tmp_path):
    make_film(tmp_path / "a.mkv", 2)
    hint = KeyHint(Hint(3, 4, "#2040e0", 8), parse_moment("0.04"))
    colorize(tmp_path / "a.mkv", tmp_path / "b.mp4", hints=[hint], passes=2)
    facts = json.loads((tmp_path / "b.mp4.json").read_text())
    assert facts["digital_source_type"].endswith("compositeWithTrainedAlgorithmicMedia")
    digest = hashlib.sha256((tmp_path / "a.mkv").read_bytes()).hexdigest()
    assert facts["source"] == {"name": "a.mkv", "sha256": digest}
    written = hashlib.sha256((tmp_path / "b.mp4").read_bytes()).hexdigest()
    assert facts["output"] == {"name": "b.mp4", "exact_gray": False, "sha256": written}
    (page,) = facts["pages"]
    assert page["weights"]["sha256"] == colorizer().record.sha256
    assert page["hints"] == [{"x": 3, "y": 4, "color": "#2040e0", "radius": 8, "time": 0.04}]
    assert (page["passes"], page["frames"]["first"], page["frames"]["count"]) == (2, 0, 2)
    assert len(page["frames"]["gray_sha256"]) == 2
    assert len(page["uncertainty"]["frames"]) == 2
    with av.open(str(tmp_path / "b.mp4")) as film:
        assert "compositeWithTrainedAlgorithmicMedia" in film.metadata["comment"]
        assert colorizer().record.sha256 in film.metadata["comment"]


def _interrupted(source: Path, target: Path, stop: int, **order: object) -> None:
    events = colorize_film(colorizer(), str(source), str(target), FilmJob(settings=FAST, **order))
    for event in events:
        if event.stage == "frames" and event.done >= stop:
            break
    events.close()


@pytest.mark.slow
def test_a_call_that_was_stopped_goes_on_with_the_same_result(tmp_path, monkeypatch):
    monkeypatch.setattr(coloring, "PART", 3)
    make_film(tmp_path / "a.mkv", 8, audio=True)
    hints = [KeyHint(Hint(32, 24, "#2040e0", 8), Moment(frame=1))]
    colorize(tmp_path / "a.mkv", tmp_path / "whole.mkv", hints=hints)
    for stop in (2, 7):  # in the first part, and in the third
        _interrupted(tmp_path / "a.mkv", tmp_path / "b.mkv", stop, hints=hints)
        assert not (tmp_path / "b.mkv").exists()
    result = colorize(tmp_path / "a.mkv", tmp_path / "b.mkv", hints=hints)
    assert result.resumed == 6
    assert (tmp_path / "b.mkv").read_bytes() == (tmp_path / "whole.mkv").read_bytes()
    assert not folder_of(tmp_path / "b.mkv").exists()


def test_images_go_on_too(tmp_path, monkeypatch):
    monkeypatch.setattr(coloring, "PART", 2)
    make_film(tmp_path / "a.mkv", 4)
    _interrupted(tmp_path / "a.mkv", tmp_path / "b/%d.png", 3)
    assert not list((tmp_path / "b").glob("*.png"))  # no result before all of them
    assert colorize(tmp_path / "a.mkv", tmp_path / "b/%d.png").resumed == 2
    colorize(tmp_path / "a.mkv", tmp_path / "c/%d.png")
    for number in range(4):
        one, other = (pixels(tmp_path / name / f"{number}.png") for name in "bc")
        np.testing.assert_array_equal(one, other)


def test_a_kill_while_images_are_moved_loses_none(tmp_path):
    make_film(tmp_path / "a.mkv", 3)
    replace = Path.replace

    def killed(path: Path, target: Path) -> Path:
        if path.name == "1.png":
            raise KeyboardInterrupt
        return replace(path, target)

    with patch.object(Path, "replace", killed), pytest.raises(KeyboardInterrupt):
        colorize(tmp_path / "a.mkv", tmp_path / "b/%d.png")
    assert [p.name for p in (tmp_path / "b").glob("*.png")] == ["0.png"]
    colorize(tmp_path / "a.mkv", tmp_path / "b/%d.png")
    assert files(tmp_path / "b") == ["%d.png.json", "0.png", "1.png", "2.png"]


@pytest.mark.slow
@pytest.mark.parametrize("passes", [1, 2])
def test_a_part_of_the_usual_length_goes_on_with_the_same_result(tmp_path, passes):
    # A still scene with grain: the generator does not look at every frame.
    rng = np.random.default_rng(0)
    units = [scene(0) + rng.normal(0, 0.01, (48, 64)) for _ in range(coloring.PART + 6)]
    make_film(tmp_path / "a.mkv", [unit.clip(0, 1) for unit in units])
    order = {"passes": passes, "lossless": True}
    colorize(tmp_path / "a.mkv", tmp_path / "whole.mkv", **order)
    _interrupted(tmp_path / "a.mkv", tmp_path / "b.mkv", coloring.PART + 2, **order)
    result = colorize(tmp_path / "a.mkv", tmp_path / "b.mkv", **order)
    assert result.resumed == coloring.PART
    assert (tmp_path / "b.mkv").read_bytes() == (tmp_path / "whole.mkv").read_bytes()


def test_the_command_tells_what_it_did(tmp_path):
    make_film(tmp_path / "a.mkv", 2)
    call = run(tmp_path / "a.mkv", tmp_path / "b.mkv", "--lossless", "--json")
    assert (call.code, call.errors) == (0, [])
    assert f"{tmp_path / 'a.mkv'} -> {tmp_path / 'b.mkv'} (2 frames" in call.err
    facts = json.loads(call.out)
    assert facts["output"] == str(tmp_path / "b.mkv")
    assert (facts["frames"], facts["exact_gray"], facts["cuts"]) == (2, True, [])
    quiet = run(tmp_path / "a.mkv", tmp_path / "c.mkv", "--quiet", "--end", "1f")
    assert (quiet.code, quiet.out, quiet.err) == (0, b"", "")
    (page,) = json.loads((tmp_path / "c.mkv.json").read_text())["pages"]
    assert page["settings"] == asdict(Settings(size=32))  # the defaults of the library


def test_the_command_takes_hints_and_a_palette(tmp_path):
    make_film(tmp_path / "a.mkv", 1)
    hints = tmp_path / "hints.json"
    hints.write_text('{"hints": [{"x": 5, "y": 5, "color": "#c00000", "time": 0}]}')
    words = ("--hints", hints, "--palette", "#5b3a1e,#6ca0dc", "--vividness", "0.9", "--views", "2")
    assert run(tmp_path / "a.mkv", tmp_path / "b.mkv", *words).code == 0
    (page,) = json.loads((tmp_path / "b.mkv.json").read_text())["pages"]
    assert (page["settings"]["vividness"], page["settings"]["views"]) == (0.9, 2)
    assert page["palette"]["ab"]
    assert page["hints"][0]["color"] == "#c00000"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM")
def test_the_command_that_is_ended_goes_on(tmp_path, monkeypatch):
    make_film(tmp_path / "a.mkv", 40)
    code = (
        "import recolor_core.film.coloring as coloring\n"
        "coloring.PART = 4\n"
        "from recolor_core.cli import main; main()"
    )
    words = [sys.executable, "-c", code, "film"]
    words += [str(tmp_path / "a.mkv"), str(tmp_path / "b.mkv"), "--size", "32", "--device", "cpu"]
    parts = folder_of(tmp_path / "b.mkv")
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not (parts / "000001.json").exists():
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "the same call goes on from there" in err
    assert "Traceback" not in err
    assert not (tmp_path / "b.mkv").exists()
    assert not list(tmp_path.glob(".recolor-*"))
    assert not list(parts.glob(".recolor-*"))
    monkeypatch.setattr(coloring, "PART", 4)
    again = recolor(*words[3:])
    assert again.code == 0, again.err
    assert "of them before" in again.err
    assert times(tmp_path / "b.mkv") == times(tmp_path / "a.mkv")


@pytest.mark.slow
def test_without_pyav_the_command_says_what_to_install(tmp_path):
    code = "import sys; sys.modules['av'] = None\nfrom recolor_core.cli import main; main()"
    call = subprocess.run(
        [sys.executable, "-c", code, "film", "a.mkv", "b.mkv"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert call.returncode == 2
    assert call.stderr.count("\n") == 1
    assert 'pip install "napari-recolor[film]"' in call.stderr


def test_help_needs_no_pyav():
    code = (
        "import sys; from recolor_core.cli import main\ntry: main()\nfinally: print(*sys.modules)"
    )
    call = subprocess.run(
        [sys.executable, "-c", code, "film", "--help"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert call.returncode == 0
    assert "Colorize a film" in call.stdout
    assert not {"av", "torch"} & set(call.stdout.split())


@pytest.mark.parametrize("setting", list_settings(FilmSettings), ids=lambda setting: setting.name)
def test_each_setting_of_a_film_is_an_option_that_reaches_the_job(tmp_path, setting):
    texts = {"start": "1:30", "end": "2250f", "fps": "24000/1001", "drop": [2, 3]}
    if setting.name in texts or setting.choices:
        value = texts.get(setting.name) or setting.choices[-1]
    else:
        value = not setting.default if setting.type is bool else int(setting.low)
        value = setting.high if value == setting.default else value
    option = f"--no-{setting.option}" if value is False else f"--{setting.option}"
    values = value if isinstance(value, list) else [value]
    words = [option] if setting.type is bool else [w for v in values for w in (option, str(v))]
    with patch("recolor_core.film.colorize_film", side_effect=FilmError("stopped")) as called:
        assert run("a.mkv", tmp_path / "b.mkv", *words).errors == ["recolor: stopped"]
    job = called.call_args.args[-1]
    chosen = {one.name: getattr(job, one.name) for one in list_settings(FilmSettings)}
    assert chosen == asdict(FilmSettings(**{setting.name: value}))


@pytest.mark.parametrize("words", [("--crf", "52"), ("--crf", "-1"), ("--passes", "3")])
def test_settings_of_a_film_out_of_range_are_refused_before_it_is_read(tmp_path, words):
    call = run(tmp_path / "nowhere.mkv", tmp_path / "b.mkv", *words)
    assert call.code == 2
    (error,) = call.errors
    assert f"expected {words[0]} from" in error
    assert f"got {words[1]}" in error
