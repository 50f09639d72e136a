"""Films with broken packets: other frames keep their numbers and times, and the loss is told."""

import warnings
from fractions import Fraction

import av
import numpy as np
import pytest

from recolor_core.digest import digest_codes
from recolor_core.film import FilmError, FilmWarning, open_film, read_shots
from recolor_core.film.decoding import _Copies
from recolor_core.film.sequences import Movie

from .cli_runner import recolor
from .films import FULL, colorize, make_film, scene, times

FRAMES = 20
N = range(24)
INTRA = {"g": "1"}


def broken(path, source, packets, kept=0.0):
    """Copy a film with zeros in packets, from a part of each one on."""
    content = bytearray(source.read_bytes())
    with av.open(str(source)) as film:
        sizes = [(p.pos, p.size, bytes(p)) for p in film.demux(video=0) if p.size]
    for number in packets:
        _, size, data = sizes[number]
        start = content.find(data)
        assert start > 0
        begin = start + int(kept * size)
        content[begin : start + size] = bytes(start + size - begin)
    path.write_bytes(content)


def read(path):
    """The numbers and times, in milliseconds, of the frames of a film, and the warnings."""
    film = open_film(str(path))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        frames = [(f.number, round(1000 * f.pts * film.facts.time_base)) for f in film.frames()]
    return frames, [str(warning.message) for warning in told]


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("a.mkv", "mjpeg", "yuvj420p"),
        ("a.mov", "prores_ks", "yuv422p10le"),
        ("a.avi", "mjpeg", "yuvj420p"),
        ("a.mkv", "ffv1", "yuv420p"),
    ],
)
def test_frames_after_a_lost_one_keep_their_number_and_time(tmp_path, name, codec, pixels):
    source = tmp_path / name
    options = {"slicecrc": "1", "level": "3"} | INTRA if codec == "ffv1" else {}
    make_film(source, FRAMES, codec=codec, pixels=pixels, options=options)
    whole, nothing = read(source)
    assert not nothing
    assert whole == [(number, 40 * number) for number in range(FRAMES)]
    kept = 0.3 if codec == "ffv1" else 0
    broken(tmp_path / f"bad{name[1:]}", source, [5, 6, 12], kept)
    frames, told = read(tmp_path / f"bad{name[1:]}")
    assert set(frames) <= set(whole)
    if codec == "ffv1":  # FFmpeg repairs it from the frame before, and says so
        assert told
    else:
        assert frames == [frame for frame in whole if frame[0] not in (5, 6, 12)]
        assert told[0].startswith(
            f"{tmp_path / f'bad{name[1:]}'}: 3 frames lost, because the file is damaged: 0.20 to "
            "0.24 s, 0.48 s; all others keep"
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "codec", "kept"),
    [
        ("a.mp4", "libx264", 0.9),
        ("a.mkv", "ffv1", 0.9),
        ("a.webm", "libvpx", 0.02),
    ],
)
def test_a_damaged_film_decodes_the_same_way_however_long_its_frames_are_kept(
    tmp_path, name, codec, kept
):
    random = np.random.default_rng(0)
    grainy = [np.clip(scene(n, (192, 128)) + random.normal(0, 0.05, (128, 192)), 0, 1) for n in N]
    make_film(tmp_path / name, grainy, codec=codec, size=(192, 128), options={"g": "12"})
    bad = tmp_path / f"bad{name[1:]}"
    broken(bad, tmp_path / name, [0, 4, 14, 15, 20], kept)

    def digests(keep):
        """The digest of each frame, while some of those before it are kept."""
        waiting, found = [], []
        for frame in open_film(str(bad)).frames():
            found.append((frame.number, frame.pts, digest_codes(frame.luma)))
            waiting = [frame, *waiting][:keep][:: -1 if frame.number % 2 else 1]
        return found

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first, *others = [digests(keep) for keep in (0, 1, 2, 5, 24)]
    assert all(other == first for other in others)


def test_what_ffmpeg_says_of_a_frame_is_kept_with_its_copy(tmp_path):
    """Time, duration, range, fields and codes, in formats with odd sizes and alpha too."""
    for pixels in ("yuv444p", "gray16le", "bgra", "gbrp12le"):
        frame = av.VideoFrame(33, 17, pixels)
        for number, plane in enumerate(frame.planes):
            plane.update(np.random.default_rng(number).bytes(plane.buffer_size))
        frame.pts, frame.duration, frame.time_base = 7, 3, Fraction(1, 25)
        frame.color_range, frame.color_trc = FULL, 16
        copy = _Copies()(frame)
        assert copy.format.name == pixels
        for name in (
            "pts",
            "duration",
            "time_base",
            "color_range",
            "color_trc",
            "interlaced_frame",
        ):
            assert getattr(copy, name) == getattr(frame, name)
        np.testing.assert_array_equal(copy.to_ndarray(), frame.to_ndarray())


@pytest.mark.parametrize("ending", ["mp4", "ts"])
def test_damaged_predicted_frames_do_not_move_the_others(tmp_path, ending):
    source, bad = tmp_path / f"a.{ending}", tmp_path / f"bad.{ending}"
    make_film(source, FRAMES, codec="libx264", options={"g": "5", "bf": "2"}, size=(96, 64))
    whole, _ = read(source)
    if ending == "mp4":
        broken(bad, source, [6, 7])
    else:  # packets are cut into pieces there
        content = bytearray(source.read_bytes())
        start = len(content) // 2 // 188 * 188
        content[start + 4 : start + 188] = bytes(184)
        bad.write_bytes(content)
    frames, told = read(bad)
    assert {time for _, time in frames} <= {time for _, time in whole}
    if ending == "mp4":  # its index lists the broken packets, too
        assert set(frames) <= set(whole)
    assert told


def test_a_colorized_film_keeps_the_times_of_what_is_left(tmp_path):
    make_film(tmp_path / "a.mov", 6, codec="png", pixels="gray")
    broken(tmp_path / "bad.mov", tmp_path / "a.mov", [0, 3])
    with pytest.warns(FilmWarning, match=r"2 frames lost.*: 0\.00 s, 0\.12 s"):
        result = colorize(tmp_path / "bad.mov", tmp_path / "b.mkv", shots=tmp_path / "s.json")
    assert result.frames == 4
    assert times(tmp_path / "b.mkv") == [40, 80, 160, 200]
    # The file of shots that was written fits the film, lost frames included.
    (shot,) = read_shots(tmp_path / "s.json").shots
    assert shot.last == 5
    with pytest.warns(FilmWarning, match="lost"):
        colorize(tmp_path / "bad.mov", tmp_path / "c.mkv", shots=tmp_path / "s.json")


def test_a_hole_in_the_times_of_a_film_is_told(tmp_path):
    stamps = [40 * n for n in range(30) if n not in (7, 8, 20)]
    make_film(tmp_path / "a.mkv", len(stamps), times=stamps)
    frames, told = read(tmp_path / "a.mkv")
    assert [time for _, time in frames] == stamps
    assert told == [
        f"{tmp_path / 'a.mkv'}: the film has no frames in 2 places, where the file may be damaged: "
        "0.28 to 0.36 s, 0.80 to 0.84 s; the frame before is shown until the next one, so that "
        "times stay"
    ]


def test_a_variable_rate_is_no_damage(tmp_path):
    make_film(tmp_path / "a.mkv", 7, times=[0, 40, 120, 160, 400, 480, 520])
    assert read(tmp_path / "a.mkv")[1] == []


@pytest.mark.parametrize(
    ("shots", "expected"),
    [
        ([(0, 9)], "got one to frame 9"),
        ([(0, 2), (4, 5)], "no shot has frame 3;"),
        ([(0, 1), (5, 5)], "no shot has frames 2 to 4;"),
        ([(1, 5)], "no shot has frame 0;"),
        ([(0, 2)], "no shot has frames 3 to 5;"),
        ([(3, 5), (0, 2)], "begins before"),
        ([(0, 3), (3, 5)], "begins before"),
        ([(-1, 5)], "not negative"),
        ([], "it has no shots"),
    ],
)
def test_shots_that_do_not_fit_the_film_are_refused(tmp_path, shots, expected):
    make_film(tmp_path / "a.mkv", 6)
    entries = ", ".join(f'{{"first": {a}, "last": {b}}}' for a, b in shots)
    (tmp_path / "s.json").write_text(f'{{"shots": [{entries}]}}')
    call = recolor("film", tmp_path / "a.mkv", tmp_path / "b.mkv", "--shots", tmp_path / "s.json")
    assert call.code == 2
    assert expected in call.err
    assert "expected" in call.err
    assert not (tmp_path / "b.mkv").exists()


def test_shots_of_the_whole_film_fit_a_part_of_it(tmp_path):
    make_film(tmp_path / "a.mkv", 6)
    (tmp_path / "s.json").write_text('{"shots": [{"first": 0, "last": 5}]}')
    result = colorize(tmp_path / "a.mkv", tmp_path / "b.mkv", end="3f", shots=tmp_path / "s.json")
    assert result.frames == 3
    (tmp_path / "s.json").write_text('{"shots": [{"first": 0, "last": 2}]}')
    with pytest.raises(FilmError, match="no shot has frames 3 to 5"):
        colorize(tmp_path / "a.mkv", tmp_path / "c.mkv", shots=tmp_path / "s.json")


def test_elementary_streams_are_counted(tmp_path):
    """Their packets have times that begin again, so that numbers cannot come from times."""
    make_film(tmp_path / "a.mkv", 3, codec="mpeg4")
    film = Movie(tmp_path / "a.mkv")
    assert [frame.number for frame in film.frames()] == [0, 1, 2]
