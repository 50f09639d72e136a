"""Color for a film from elsewhere: key frames, colored images and whole films."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from unittest.mock import patch

import av
import numpy as np
import pytest
from PIL import Image

from recolor_core.errors import ImageError
from recolor_core.film import (
    FilmError,
    FilmJob,
    KeyFrame,
    Moment,
    extract_key_frames,
    key_frame,
    parse_key_frame,
    read_key_frames,
)
from recolor_core.film.key_frames import ColorSources
from recolor_core.film.luma import Luma
from recolor_core.film.sequences import open_film
from recolor_core.guides.shots import Shot, Shots
from recolor_core.lab import lab_to_rgb, rgb_to_lab

from .cli_runner import recolor
from .films import colorize, decoded, grays, make_film, rgb
from .test_film_shots import shown

RED, GREEN = (30.0, 20.0), (-25.0, 20.0)


def view(index: int, shot: int = 1) -> np.ndarray:
    """A frame without black and white, where there would be no color."""
    return 0.3 + 0.4 * shown(index, shot)[:48, :64]


def tinted(frame: np.ndarray, ab: tuple[float, float]) -> np.ndarray:
    """A gray frame in one tint, (H, W, 3) uint8."""
    lightness = rgb_to_lab(np.repeat(frame[..., None], 3, axis=2))[..., :1]
    lab = np.concatenate((lightness, np.broadcast_to(ab, (*frame.shape, 2))), axis=2)
    return np.rint(lab_to_rgb(lab).clip(0, 1) * 255).astype(np.uint8)


def ab_of(path: Path) -> np.ndarray:
    """Mean a* and b* of every frame of a film, (frames, 2)."""
    return np.array([mean_ab(rgb(frame)) for frame in decoded(path)])


def mean_ab(image: np.ndarray) -> np.ndarray:
    return rgb_to_lab(image.astype(np.float32) / 255)[..., 1:].mean(axis=(0, 1))


def expected(ab: tuple[float, float], *indices: int) -> np.ndarray:
    """Mean a* and b* of tinted frames: less than the tint where frames are black or white."""
    return np.array([mean_ab(tinted(view(index), ab)) for index in indices])


def key(folder: Path, number: int, ab: tuple[float, float], shot: int = 1) -> KeyFrame:
    path = folder / f"a_00-00-00.000_f{number:06d}.png"
    Image.fromarray(tinted(view(number, shot), ab)).save(path)
    return key_frame(Moment(frame=number), path)


@pytest.mark.parametrize("passes", [1, 2])
@pytest.mark.slow
def test_a_key_frame_colors_its_shot_forward_and_backward_and_no_other(tmp_path, passes):
    views = [view(i) for i in range(7)] + [view(i, 2) for i in range(3)]
    planes = make_film(tmp_path / "a.mkv", views)
    order = {"lossless": True, "passes": passes}
    colorize(tmp_path / "a.mkv", tmp_path / "plain.mkv", **order)
    colorize(tmp_path / "a.mkv", tmp_path / "b.mkv", keys=[key(tmp_path, 3, RED)], **order)
    colors = ab_of(tmp_path / "b.mkv")
    np.testing.assert_allclose(colors[:7], expected(RED, *range(7)), atol=2)
    np.testing.assert_allclose(colors[7:], ab_of(tmp_path / "plain.mkv")[7:], atol=0.5)
    for gray, plane in zip(grays(tmp_path / "b.mkv"), planes, strict=True):
        np.testing.assert_array_equal(gray, Luma(8, True).gray(plane))
    (page,) = json.loads((tmp_path / "b.mkv.json").read_text())["pages"]
    assert page["key_frames"][0]["at"] == "frame 3"
    assert len(page["key_frames"][0]["sha256"]) == 64


@pytest.mark.slow
def test_between_two_key_frames_colors_pass_smoothly(tmp_path):
    make_film(tmp_path / "a.mkv", [view(i) for i in range(9)])
    keys = [key(tmp_path, 7, GREEN), key(tmp_path, 1, RED)]
    colorize(tmp_path / "a.mkv", tmp_path / "b.mkv", lossless=True, keys=keys)
    a = ab_of(tmp_path / "b.mkv")[:, 0]
    assert abs(a[0] - expected(RED, 0)[0, 0]) < 2
    assert abs(a[8] - expected(GREEN, 8)[0, 0]) < 2
    assert (np.diff(a[1:8]) < -1).all()
    assert np.abs(np.diff(a)).max() < 20


def test_a_shot_that_returns_takes_the_color_that_it_had():
    facts = open_film_of_three_shots()
    shots = Shots([Shot(0, 3), Shot(4, 6), Shot(7, 9, returns_to=0)])
    sources = ColorSources(facts, shots, [], None)
    sources._keys = [(2, "key")]
    assert sources._near(1) == [("key", 1.0)]
    assert sources._near(5) == []
    assert sources._near(8) == [("key", 1.0)]


def open_film_of_three_shots():
    class Facts:
        numbers = range(10)
        times = range(10)

    return Facts()


@pytest.mark.slow
def test_key_frames_are_written_colored_and_read_back(tmp_path):
    views = [view(i) for i in range(5)] + [view(i, 2) for i in range(5)]
    make_film(tmp_path / "a.mkv", views)
    call = recolor("film", tmp_path / "a.mkv", "--key-frames", tmp_path / "keys")
    assert call.code == 0, call.err
    assert "2 key frames" in call.err
    names = sorted(path.name for path in (tmp_path / "keys").iterdir())
    assert names == ["a_00-00-00.080_f000002.png", "a_00-00-00.280_f000007.png"]
    shown_there = np.asarray(Image.open(tmp_path / "keys" / names[0]))
    plane = np.rint(view(2) * 255)
    assert np.abs(shown_there.astype(float) - plane).mean() < 8
    with pytest.raises(FilmError, match="got 2 that are gray"):
        read_key_frames(tmp_path / "keys")
    Image.fromarray(tinted(view(2), RED)).save(tmp_path / "keys" / names[0])
    colored = (tmp_path / "keys" / names[0]).read_bytes()
    list(extract_key_frames(str(tmp_path / "a.mkv"), str(tmp_path / "keys")))
    assert (tmp_path / "keys" / names[0]).read_bytes() == colored  # it is not overwritten
    (found,) = read_key_frames(tmp_path / "keys")
    assert found.moment == Moment(frame=2)
    words = ("--key-frames", tmp_path / "keys", "--lossless", "--size", "32", "--device", "cpu")
    call = recolor("film", tmp_path / "a.mkv", tmp_path / "b.mkv", *words)
    assert call.code == 0, call.err
    np.testing.assert_allclose(ab_of(tmp_path / "b.mkv")[:5], expected(RED, *range(5)), atol=2)


def test_only_shots_are_written_without_an_output(tmp_path):
    make_film(tmp_path / "a.mkv", 2)
    call = recolor("film", tmp_path / "a.mkv", "--shots", tmp_path / "shots.json")
    assert (call.code, call.err) == (0, "")
    assert json.loads((tmp_path / "shots.json").read_text())["shots"]
    call = recolor("film", tmp_path / "a.mkv")
    assert call.code == 2
    assert "expected OUT" in call.err


def _color_film(path: Path, frames: list[np.ndarray], delay: int = 0) -> None:
    with av.open(str(path), "w") as film:
        video = film.add_stream("libx264", rate=25, options={"crf": "4"})
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = "yuv444p"
        for index, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts, frame.time_base = index + delay, Fraction(1, 25)
            film.mux(video.encode(frame))
        film.mux(video.encode(None))


@pytest.mark.slow
def test_the_color_of_a_film_is_taken_frame_by_frame(tmp_path):
    make_film(tmp_path / "a.mkv", [view(i) for i in range(6)])
    tints = [RED] * 3 + [GREEN] * 3
    frames = [tinted(view(i), ab) for i, ab in enumerate(tints)]
    small = [
        np.asarray(Image.fromarray(frame).resize((48, 36), Image.Resampling.BOX))
        for frame in frames
    ]
    _color_film(tmp_path / "colored.mp4", small)
    order = {"lossless": True, "color_from": str(tmp_path / "colored.mp4")}
    colorize(tmp_path / "a.mkv", tmp_path / "b.mkv", **order)
    a = ab_of(tmp_path / "b.mkv")[:, 0]
    np.testing.assert_allclose(a[:3], expected(RED, *range(3))[:, 0], atol=3)
    np.testing.assert_allclose(a[3:], expected(GREEN, *range(3, 6))[:, 0], atol=3)
    (page,) = json.loads((tmp_path / "b.mkv.json").read_text())["pages"]
    assert page["color_from"]["name"] == "colored.mp4"
    colorize(tmp_path / "a.mkv", tmp_path / "c.mkv", start="3f", **order)
    assert ab_of(tmp_path / "c.mkv")[:, 0].max() < -5
    folder = tmp_path / "images"
    folder.mkdir()
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{number}.png")
    colorize(tmp_path / "a.mkv", tmp_path / "d.mkv", lossless=True, color_from=str(folder))
    np.testing.assert_allclose(ab_of(tmp_path / "d.mkv")[:, 0], a, atol=5)


@pytest.mark.slow
def test_the_color_of_one_image_is_put_where_it_belongs(tmp_path):
    make_film(tmp_path / "a.mkv", [view(i) for i in range(3)] + [view(i, 2) for i in range(2)])
    Image.fromarray(tinted(view(1), RED)).save(tmp_path / "one.png")
    words = ("--color-from", tmp_path / "one.png", "--lossless", "--size", "32", "--device", "cpu")
    assert recolor("film", tmp_path / "a.mkv", tmp_path / "b.mkv", *words).code == 0
    a = ab_of(tmp_path / "b.mkv")[:, 0]
    np.testing.assert_allclose(a[:3], expected(RED, *range(3))[:, 0], atol=3)
    colorize(tmp_path / "a.mkv", tmp_path / "plain.mkv", lossless=True)
    np.testing.assert_allclose(a[3:], ab_of(tmp_path / "plain.mkv")[3:, 0], atol=1)


def test_key_frames_that_cannot_be_used(tmp_path):
    make_film(tmp_path / "a.mkv", 2)
    for text in ("frame.png", "soon=frame.png"):
        with pytest.raises(FilmError, match="expected a time"):
            parse_key_frame(text)
    with pytest.raises((ImageError, OSError)):
        parse_key_frame("1f=nowhere.png")
    outside = key(tmp_path, 9, RED)
    with (
        patch("recolor_core.film.coloring.find_shots", side_effect=AssertionError),  # at once
        pytest.raises(
            FilmError,
            match=r"expected the key frame .*9.* within the film, from frame 0 to frame 1, which "
            r"is shown at 0\.04 s, got one for frame 9; correct its frame or time",
        ),
    ):
        colorize(tmp_path / "a.mkv", tmp_path / "b.mkv", keys=[outside])
    twice = [key(tmp_path, 1, RED), replace(outside, moment=Moment(time=Fraction(1, 25)))]
    with pytest.raises(FilmError, match=r"expected one key frame for frame 1, got .*; leave"):
        colorize(tmp_path / "a.mkv", tmp_path / "b.mkv", keys=twice)
    assert not (tmp_path / "b.mkv").exists()
    with pytest.raises(FilmError, match="expected colored key frames"):
        read_key_frames(tmp_path / "nowhere")
    assert FilmJob().keys == ()
    assert open_film(str(tmp_path / "a.mkv")).facts.numbers == range(2)
