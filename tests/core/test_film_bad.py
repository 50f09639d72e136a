"""Films and calls that cannot be used: one line says what, why and what to do."""

import json
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from unittest.mock import patch

import av
import numpy as np
import pytest
from PIL import Image

from recolor_core.errors import HintsError, ImageError, OutputExistsError
from recolor_core.film import FilmError, FilmWarning, KeyHint, Moment, open_film
from recolor_core.film.resume import folder_of
from recolor_core.hints import Hint

from .cli_runner import files, recolor
from .films import FULL, SIZE, codes, colorize, decoded, make_film, scene, times


def _audio(path):
    with av.open(str(path), "w") as film:
        sound = film.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        film.mux(sound.encode(frame))
        film.mux(sound.encode(None))


def _lines(call):
    assert call.code == 2
    assert len(call.err.strip().splitlines()) == 1
    return call.err


def test_what_is_no_film(tmp_path):
    for name, make, expected in (
        ("sound.mkv", _audio, "expected a file with video, got one with audio"),
        ("text.mp4", lambda p: p.write_text("no film " * 99), "cannot be opened as a film"),
        ("empty.mkv", lambda p: p.write_bytes(b""), "cannot be opened as a film"),
        ("folder", lambda p: p.mkdir(), "are in this folder"),
    ):
        make(tmp_path / name)
        error = _lines(recolor("film", tmp_path / name, tmp_path / "out.mkv"))
        assert name in error
        assert expected in error
    assert "there is no such file" in _lines(recolor("film", "nowhere.mp4", tmp_path / "out.mkv"))
    assert "no file matches" in _lines(recolor("film", tmp_path / "a_%03d.tif", tmp_path / "o.mkv"))
    assert not (tmp_path / "out.mkv").exists()


@pytest.mark.parametrize(
    ("target", "order", "expected"),
    [
        ("b.foo", {}, "expected a film that ends in .mkv, .mp4"),
        ("b", {}, "got 'none'"),
        ("b.tif", {}, "b_%06d.tif"),
        ("b_%d.gif", {}, "expected images that end in"),
        ("b.mp4", {"lossless": True}, "name the output .mkv"),
        ("b.mp4", {"crf": 52}, "expected crf from 0 to 51, got 52"),
        ("b.mp4", {"passes": 3}, "expected passes from 1 to 2, got 3"),
        ("b.mp4", {"drop": [7]}, "expected --drop"),
        ("b.mp4", {"fps": "25"}, "leave it out"),
        ("nowhere/b.mp4", {}, "create it first"),
        ("a.mkv", {"overwrite": True}, "this is a source itself"),
        ("b.mp4", {"start": "2f", "end": "2f"}, "a start before the end"),
        ("b.mp4", {"start": "1:00"}, "it has 3 frames in 0.08 s"),
    ],
)
def test_what_cannot_be_made(tmp_path, target, order, expected):
    make_film(tmp_path / "a.mkv", 3)
    before = files(tmp_path)
    with pytest.raises((FilmError, ImageError), match=expected.replace(".", r"\.")):
        colorize(tmp_path / "a.mkv", tmp_path / target, **order)
    assert files(tmp_path) == before
    assert not folder_of(tmp_path / target).exists()


def test_outputs_that_are_there_stay(tmp_path):
    make_film(tmp_path / "a.mkv", 2)
    colorize(tmp_path / "a.mkv", tmp_path / "b.mp4")
    made = (tmp_path / "b.mp4").read_bytes()
    with pytest.raises(OutputExistsError, match=r"another start or end.*overwrite=True"):
        colorize(tmp_path / "a.mkv", tmp_path / "b.mp4", end="1f")
    assert (tmp_path / "b.mp4").read_bytes() == made
    colorize(tmp_path / "a.mkv", tmp_path / "b.mp4", end="1f", overwrite=True)
    assert len(decoded(tmp_path / "b.mp4")) == 1
    colorize(tmp_path / "a.mkv", tmp_path / "p_%d.png", end="1f")
    with pytest.raises(OutputExistsError, match=r"p_0\.png"):
        colorize(tmp_path / "a.mkv", tmp_path / "p_%d.png")


def test_images_never_replace_their_sources(tmp_path):
    make_film(tmp_path / "a.mkv", 1)
    colorize(tmp_path / "a.mkv", tmp_path / "p_%d.png")
    with pytest.raises(FilmError, match="source itself"):
        colorize(tmp_path / "p_%d.png", tmp_path / "p_%d.png", overwrite=True)


def test_a_stream_that_the_output_cannot_hold_is_named_before_any_work(tmp_path):
    make_film(tmp_path / "a.mkv", 2, audio=True, subtitles="1\n00:00:00,000 --> 00:00:01,000\nX\n")
    with (
        patch("recolor_core.film.coloring.see_frames", side_effect=AssertionError),
        pytest.raises(FilmError, match=r"subtitle stream 2 of a\.mkv \((srt|subrip)\).*--drop 2"),
    ):
        colorize(tmp_path / "a.mkv", tmp_path / "b.mp4")
    colorize(tmp_path / "a.mkv", tmp_path / "b.mp4", drop=[2])
    with av.open(str(tmp_path / "b.mp4")) as film:
        assert [stream.type for stream in film.streams] == ["video", "audio"]


def test_images_need_a_rate_to_become_a_film(tmp_path):
    make_film(tmp_path / "a.mkv", 2)
    colorize(tmp_path / "a.mkv", tmp_path / "p_%d.png")
    with pytest.raises(FilmError, match="--fps 24"):
        colorize(tmp_path / "p_%d.png", tmp_path / "b.mkv")
    assert "expected --fps as frames a second" in _lines(
        recolor("film", tmp_path / "p_%d.png", tmp_path / "b.mkv", "--fps", "0")
    )


def test_images_that_differ_are_refused(tmp_path):
    (tmp_path / "p").mkdir()
    for name, size in (("1_0", SIZE), ("2_0", (70, 48))):
        Image.fromarray(codes(scene(0, size), 8, FULL)).save(tmp_path / f"p/{name}.png")
    with pytest.raises(FilmError, match=r"2_0\.png: expected an image like the first one, 64 x"):
        colorize(tmp_path / "p", f"{tmp_path}/out/")


def test_a_truncated_film_says_how_much_is_there(tmp_path):
    noise = list(np.random.default_rng(0).random((40, 48, 64)))
    make_film(tmp_path / "a.mkv", noise)
    content = (tmp_path / "a.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(content[: len(content) // 2])
    count = len(open_film(str(tmp_path / "cut.mkv")).facts.times)
    assert 10 < count < 30
    with pytest.raises(FilmError, match=rf"truncated or damaged.*--end {count}f"):
        colorize(tmp_path / "cut.mkv", tmp_path / "b.mkv")
    result = colorize(tmp_path / "cut.mkv", tmp_path / "b.mkv", end="2f")
    assert result.frames == 2


def test_a_truncated_mp4_is_refused(tmp_path):
    make_film(tmp_path / "a.mp4", 3, codec="libx264")
    content = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: len(content) // 2])  # its index was at the end
    with pytest.raises(FilmError, match="truncated"):
        colorize(tmp_path / "cut.mp4", tmp_path / "b.mkv")


@pytest.mark.parametrize(
    ("codec", "pixels", "share", "expected", "left"),
    [
        ("png", "gray", 0, "1 frame lost, because the file is damaged: 0.08 s", [0, 40, 120]),
        (
            "mpeg4",
            "yuv420p",
            0.5,
            "1 frame damaged, and decoded as far as possible: 0.08 s",
            [0, 40, 80, 120],
        ),
    ],
)
def test_damage_is_told_and_times_stay(tmp_path, codec, pixels, share, expected, left):
    make_film(tmp_path / "a.mov", 4, codec=codec, pixels=pixels, options={"g": "1"})
    content = bytearray((tmp_path / "a.mov").read_bytes())
    with av.open(str(tmp_path / "a.mov")) as film:
        packet = bytes([p for p in film.demux(video=0) if p.size][2])
    start, kept = content.find(packet), int(share * len(packet))
    content[start + kept : start + len(packet)] = bytes(len(packet) - kept)
    (tmp_path / "bad.mov").write_bytes(content)
    with pytest.warns(FilmWarning, match=expected):
        colorize(tmp_path / "bad.mov", tmp_path / "b.mkv")
    assert times(tmp_path / "b.mkv") == left


def test_a_film_that_changes_its_size_says_where(tmp_path):
    make_film(tmp_path / "a.mkv", 2, codec="mpeg4")
    make_film(tmp_path / "b.mkv", 2, codec="mpeg4", size=(80, 48))
    with av.open(str(tmp_path / "c.m4v"), "w", format="m4v") as joined:
        stream = joined.add_mux_stream("mpeg4", rate=25, width=64, height=48)
        for part, name in enumerate(("a.mkv", "b.mkv")):
            with av.open(str(tmp_path / name)) as film:
                header = bytes(film.streams.video[0].codec_context.extradata)
                for number, packet in enumerate(p for p in film.demux(video=0) if p.size):
                    whole = av.Packet(header + bytes(packet) if number == 0 else bytes(packet))
                    whole.pts = whole.dts = 2 * part + number
                    whole.time_base, whole.stream = Fraction(1, 25), stream
                    joined.mux(whole)
    with pytest.raises(FilmError, match=r"changes at frame 2, from 64 x 48 .* to 80 x 48 .*"):
        colorize(tmp_path / "c.m4v", tmp_path / "d.mkv")


def test_hints_that_no_frame_gets_are_told(tmp_path):
    make_film(tmp_path / "a.mkv", 3)
    outside = KeyHint(Hint(3, 3, "#c00000"), Moment(frame=2))
    with pytest.warns(
        FilmWarning, match="1 hint left out: the moment is not in the part .*, frames 0 to 1"
    ):
        colorize(tmp_path / "a.mkv", tmp_path / "b.mkv", hints=[outside], end="2f")
    for moment, words in ((Moment(frame=9), "frame 9"), (Moment(time=Fraction(7)), "7 s")):
        with pytest.raises(
            FilmError,
            match="expected hints within the film, from frame 0 to frame 2, which is shown at "
            rf"0\.08 s, got one for {words}; correct its frame or time",
        ):
            colorize(
                tmp_path / "a.mkv", tmp_path / "c.mkv", hints=[replace(outside, moment=moment)]
            )
    beyond = replace(outside, hint=Hint(99, 3, "#c00000"))
    with pytest.raises(HintsError, match="expected hints within 64 x 48"):
        colorize(tmp_path / "a.mkv", tmp_path / "c.mkv", hints=[beyond])
    assert not folder_of(tmp_path / "c.mkv").exists()


def test_another_call_does_not_go_on_with_parts(tmp_path):
    make_film(tmp_path / "a.mkv", 2)
    with (
        patch("recolor_core.film.coloring.join", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        colorize(tmp_path / "a.mkv", tmp_path / "b.mkv")
    assert json.loads((folder_of(tmp_path / "b.mkv") / "job.json").read_text())
    with pytest.raises(FilmError, match="parts of another call"):
        colorize(tmp_path / "a.mkv", tmp_path / "b.mkv", crf=3)
    assert colorize(tmp_path / "a.mkv", tmp_path / "b.mkv").resumed == 2


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files")
def test_a_full_disk_is_told_and_leaves_no_output(tmp_path):
    make_film(tmp_path / "a.mkv", [scene(i) for i in range(3)])
    code = (
        "import resource, signal, sys\n"
        "from recolor_core.cli import main\n"
        "import recolor_core.film, recolor_core.colorizer\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (9000, resource.RLIM_INFINITY))\n"
        "main()"
    )
    words = ["film", str(tmp_path / "a.mkv"), str(tmp_path / "b.mkv"), "--lossless"]
    call = subprocess.run(
        [sys.executable, "-c", code, *words, "--size", "32", "--device", "cpu"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert call.returncode == 2, call.stderr
    assert "make room" in call.stderr
    assert call.stderr.count("\n") == 1
    assert not (tmp_path / "b.mkv").exists()
    assert not list(tmp_path.rglob("*.part"))
