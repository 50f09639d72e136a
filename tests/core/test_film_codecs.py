"""FFV1 with luma and chroma apart, ProRes, and kinds of images that are refused in words."""

import json

import av
import numpy as np
import pytest

from recolor_core import ImageError
from recolor_core.film import FilmError
from recolor_core.film.luma import Luma, halve_columns
from recolor_core.settings import FilmSettings

from .films import FULL, LIMITED, colorize, colorizer, decoded, luma, make_film, rgb, scene, times
from .test_film_kept import _interlaced


@pytest.mark.parametrize("color_range", [LIMITED, FULL])
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p10le", "gray12le"])
def test_ffv1_keeps_the_luma_plane_bit_for_bit(tmp_path, pixels, color_range):
    planes = make_film(tmp_path / "a.mkv", 2, pixels=pixels, color_range=color_range)
    colorize(tmp_path / "a.mkv", tmp_path / "b.mkv", codec="ffv1")
    frames = decoded(tmp_path / "b.mkv")
    bits = av.VideoFormat(pixels).components[0].bits
    assert frames[0].format.name == ("yuv444p" if bits == 8 else f"yuv444p{bits}le")
    assert frames[0].color_range == color_range
    for frame, plane in zip(frames, planes, strict=True):
        np.testing.assert_array_equal(luma(frame), plane)
    assert np.ptp(rgb(frames[0]).astype(int), axis=2).max() > 0
    assert times(tmp_path / "a.mkv") == times(tmp_path / "b.mkv")


def test_ffv1_of_a_lossless_film_shows_the_same_colors(tmp_path):
    make_film(tmp_path / "a.mkv", 2)
    colorize(tmp_path / "a.mkv", tmp_path / "b.mkv", codec="ffv1")
    colorize(tmp_path / "a.mkv", tmp_path / "c.mkv", lossless=True)
    one, other = rgb(decoded(tmp_path / "b.mkv")[1]), rgb(decoded(tmp_path / "c.mkv")[1])
    assert np.abs(one.astype(int) - other).mean() < 4


@pytest.mark.parametrize("ending", [".mov", ".mkv"])
def test_prores_is_limited_of_10_bits_and_keeps_gray_and_sound(tmp_path, ending):
    planes = make_film(tmp_path / "a.mkv", 3, audio=True)
    colorize(tmp_path / "a.mkv", tmp_path / f"b{ending}", codec="prores")
    with av.open(str(tmp_path / f"b{ending}")) as film:
        assert film.streams.video[0].codec_context.name == "prores"
        assert len(film.streams.audio) == 1
    frames = decoded(tmp_path / f"b{ending}")
    assert frames[0].format.name == "yuv422p10le"
    for frame, plane in zip(frames, planes, strict=True):
        expected = Luma(8, True).converted(plane, 10).astype(int)
        assert np.abs(luma(frame) - expected).mean() < 4
    assert times(tmp_path / "a.mkv") == times(tmp_path / f"b{ending}")


def test_prores_of_a_film_of_full_range(tmp_path):
    (plane,) = make_film(tmp_path / "a.mkv", [scene(0)], color_range=FULL)
    colorize(tmp_path / "a.mkv", tmp_path / "b.mov", codec="prores")
    (frame,) = decoded(tmp_path / "b.mov")
    expected = Luma(10, True).codes(Luma(8, False).gray(plane)).astype(int)
    assert np.abs(luma(frame) - expected).mean() < 4


def test_prores_of_an_odd_width_has_full_chroma(tmp_path):
    make_film(tmp_path / "a.mkv", 1, pixels="gray", size=(65, 48))
    colorize(tmp_path / "a.mkv", tmp_path / "b.mov", codec="prores")
    assert decoded(tmp_path / "b.mov")[0].format.name.startswith("yuv444p")


def test_prores_of_interlaced_films_says_so(tmp_path):
    _interlaced(tmp_path / "a.mkv")
    colorize(tmp_path / "a.mkv", tmp_path / "b.mov", codec="prores")
    with av.open(str(tmp_path / "b.mov")) as film:
        frame = next(film.decode(video=0))
    assert frame.interlaced_frame


@pytest.mark.filterwarnings("ignore:this is a result of recolor")  # which is meant here
def test_prores_goes_in_again(tmp_path):
    make_film(tmp_path / "a.mkv", 2)
    colorize(tmp_path / "a.mkv", tmp_path / "b.mov", codec="prores")
    colorize(tmp_path / "b.mov", tmp_path / "c.mkv", codec="ffv1")
    for one, other in zip(decoded(tmp_path / "b.mov"), decoded(tmp_path / "c.mkv"), strict=True):
        np.testing.assert_array_equal(luma(one), luma(other))


@pytest.mark.parametrize(
    ("target", "order", "expected"),
    [
        ("b.mp4", {"codec": "prores"}, r"to end in \.mov or \.mkv for --codec prores"),
        ("b.mov", {"codec": "ffv1"}, r"to end in \.mkv for --codec ffv1"),
        ("b.mkv", {"codec": "ffv1", "lossless": True}, "cannot be combined"),
        ("b_%04d.exr", {}, "OpenEXR is not supported"),
        ("b.exr", {}, "OpenEXR is not supported"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_work(tmp_path, target, order, expected):
    make_film(tmp_path / "a.mkv", 1)
    with pytest.raises(FilmError, match=expected):
        colorize(tmp_path / "a.mkv", tmp_path / target, **order)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]


def test_openexr_is_refused_with_a_remedy(tmp_path):
    (tmp_path / "in_0001.exr").write_bytes(b"v/1\x01")
    for source in (tmp_path, tmp_path / "in_%04d.exr", tmp_path / "in_0001.exr"):
        with pytest.raises(FilmError, match=r"scene-linear light; convert"):
            colorize(source, tmp_path / "b.mkv", fps="24")


def test_an_unknown_codec_is_refused():
    with pytest.raises(ImageError, match="expected codec as auto, ffv1 or prores, got 'dnxhd'"):
        FilmSettings(codec="dnxhd")


def test_chroma_of_422_lies_on_even_columns():
    codes = np.array([[0, 4, 8, 12], [8, 8, 8, 8]], np.uint8)
    assert halve_columns(codes).tolist() == [[1, 8], [8, 8]]
    deep = np.full((1, 4), 65535, np.uint16)
    assert halve_columns(deep).tolist() == [[65535, 65535]]


def test_a_film_names_the_ai_system_and_its_version(tmp_path):
    make_film(tmp_path / "a.mkv", 1)
    colorize(tmp_path / "a.mkv", tmp_path / "b.mp4")
    (page,) = json.loads((tmp_path / "b.mp4.json").read_text())["pages"]
    assert page["ai_system_used"] == f"recolor, weights {colorizer().record.name}"
    assert page["ai_system_version_used"] == page["version"]
    with av.open(str(tmp_path / "b.mp4")) as film:
        comment = film.metadata["comment"]
    assert f"AI system used: {page['ai_system_used']}" in comment
    assert f"AI system version used: {page['version']}" in comment
