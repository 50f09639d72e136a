"""What films are made of: luma, moments, hints of key frames, the state between two parts."""

import json
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recolor_core.errors import HintsError
from recolor_core.film import FilmError, KeyHint, Moment, parse_moment, read_key_hints
from recolor_core.film.luma import Luma, chroma, halve
from recolor_core.film.resume import FrameRecord, Parts, pack_state, unpack_state
from recolor_core.film.timestamps import frame_at
from recolor_core.frames import FrameState
from recolor_core.hints import Hint
from recolor_core.models.memory import MemoryState

LUMAS = [Luma(bits, limited) for bits in (8, 9, 10, 12, 14, 16) for limited in (True, False)]


@pytest.mark.parametrize("luma", LUMAS)
def test_gray_runs_from_black_to_white_and_keeps_codes_distinct(luma):
    codes = np.arange(luma.black, luma.white + 1).astype(luma.dtype)
    gray = luma.gray(codes)
    assert gray[0] == 0
    assert gray[-1] == np.iinfo(gray.dtype).max
    assert (np.diff(gray.astype(int)) > 0).all()
    np.testing.assert_array_equal(luma.codes(gray), codes)


def test_gray_is_the_nearest_code():
    codes = np.arange(16, 236, dtype=np.uint8)
    np.testing.assert_array_equal(Luma(8, True).gray(codes), np.rint((codes - 16.0) * 255 / 219))
    deep = np.arange(64, 941, dtype=np.uint16)
    np.testing.assert_array_equal(Luma(10, True).gray(deep), np.rint((deep - 64.0) * 65535 / 876))


def test_gray_beyond_black_and_white_is_cut():
    gray = Luma(8, True).gray(np.array([0, 15, 16, 235, 236, 255], np.uint8))
    assert gray.tolist() == [0, 0, 0, 255, 255, 255]


@pytest.mark.parametrize("luma", LUMAS)
def test_another_depth_keeps_black_white_and_what_is_beyond(luma):
    codes = np.arange(1 << luma.bits).astype(luma.dtype)
    new = Luma(10, luma.limited)
    there = luma.converted(codes, 10)
    assert there[luma.black] == new.black
    assert there[luma.white] == new.white
    assert (np.diff(there.astype(int)) >= 0).all()
    if luma.bits <= 10:
        np.testing.assert_array_equal(new.converted(there, luma.bits), codes)


@pytest.mark.parametrize(
    ("color", "cb", "cr"),
    # ITU-R BT.709-6 for the primaries, limited range, 8 bits: the bars of 100 %.
    [((255, 0, 0), 102, 240), ((0, 255, 0), 42, 26), ((0, 0, 255), 240, 118)],
)
def test_chroma_of_color_bars(color, cb, cr):
    bars = np.tile(np.array(color, np.uint8), (4, 6, 1))
    for plane, expected in zip(chroma(bars, Luma(8, True)), (cb, cr), strict=True):
        np.testing.assert_array_equal(plane, np.full((4, 6), expected, np.uint8))


@pytest.mark.parametrize("luma", [Luma(8, True), Luma(8, False), Luma(10, True), Luma(10, False)])
def test_gray_has_no_chroma(luma):
    gray = np.random.default_rng(0).integers(0, 65536, (8, 10, 1), np.uint16).repeat(3, 2)
    for plane in chroma(gray, luma):
        assert (plane == 1 << (luma.bits - 1)).all()


def test_halved_planes_lie_on_even_columns_between_rows():
    plane = np.zeros((4, 8), np.uint8)
    plane[0:2, 4] = 200  # one even column
    np.testing.assert_array_equal(halve(plane)[0], [0, 0, 100, 0])
    plane[0:2, 4], plane[0:2, 3] = 0, 200  # the column to its left: half of it to each side
    np.testing.assert_array_equal(halve(plane)[0], [0, 50, 50, 0])
    white = np.full((4, 8), 65535, np.uint16)
    np.testing.assert_array_equal(halve(white), np.full((2, 4), 65535))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("1:30.5", Fraction(181, 2)), ("01:02:03", 3723), ("0.04", Fraction(1, 25))],
)
def test_times(text, seconds):
    assert parse_moment(text).time == seconds


def test_frames_and_nonsense():
    assert parse_moment("2250f").frame == 2250
    for text in ("", "f", "-1", "1:2:3:4", "1.5f", "soon", "nan"):
        with pytest.raises(FilmError, match="expected a time"):
            parse_moment(text)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_hints_of_key_frames_are_read_in_any_unicode(tmp_path, encoding):
    path = tmp_path / "hints.json"
    entry = '{"x": 1, "y": 2, "color": "#102030", "frame": 12}'
    path.write_bytes(f'{{"hints": [{entry}]}}'.encode(encoding))
    assert read_key_hints(path) == [KeyHint(Hint(1, 2, "#102030"), Moment(frame=12))]


def test_hints_of_key_frames(tmp_path):
    path = tmp_path / "hints.json"
    entries = [
        {"x": 1, "y": 2, "color": "#ff0000"},
        {"x": 1, "y": 2, "color": "#00ff00", "frame": 12},
        {"x": 1, "y": 2, "color": "#0000ff", "radius": 3, "time": "0:00.5"},
    ]
    path.write_text(json.dumps({"hints": entries}))
    hints = read_key_hints(path)
    assert [key.hint.color for key in hints] == ["#ff0000", "#00ff00", "#0000ff"]
    assert [key.moment for key in hints] == [None, Moment(frame=12), Moment(time=Fraction(1, 2))]


class Clock:
    """A film of 4 frames, 25 a second, whose container begins at tick 7."""

    times = (7, 8, 9, 11)
    numbers = range(4)
    time_base = Fraction(1, 25)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("0.039", 0),
        ("0.04", 1),
        ("0.1", 2),
        ("0.16", 3),
        ("0.23", 3),
        ("0.24", 4),
        ("9f", 9),
    ],
)
def test_the_frame_that_is_shown_at_a_moment(text, number):
    assert frame_at(Clock, parse_moment(text)) == number


@pytest.mark.parametrize(
    "entry",
    [
        {"x": 1, "y": 2},
        {"x": 1, "y": 2, "color": "red"},
        {"x": 1, "y": 2, "color": "#ff0000", "frame": -1},
        {"x": 1, "y": 2, "color": "#ff0000", "frame": 1.5},
        {"x": 1, "y": 2, "color": "#ff0000", "time": "soon"},
        {"x": 1, "y": 2, "color": "#ff0000", "time": 1, "frame": 1},
        7,
    ],
)
def test_files_that_are_no_hints(tmp_path, entry):
    path = tmp_path / "hints.json"
    path.write_text(json.dumps({"hints": [entry]}))
    with pytest.raises(HintsError, match="not a file of color hints"):
        read_key_hints(path)


def _state() -> FrameState:
    noise = torch.Generator().manual_seed(0)
    light, ab, one, two = (
        torch.randn(1, channels, 4, 5, generator=noise) for channels in (1, 2, 32, 32)
    )
    memory = MemoryState(light, ab, (one, two), torch.tensor([True]))
    return FrameState(7, memory, (Hint(1.1, 2.7, "#123456", 0.1),))


def _same(one: FrameState, other: FrameState) -> bool:
    if (one.number, one.hints) != (other.number, other.hints):
        return False
    first, second = one.memory, other.memory
    if first is None or second is None:
        return first is second
    return all(
        torch.equal(a, b)
        for a, b in [
            (first.lightness, second.lightness),
            (first.ab, second.ab),
            (first.hidden[0], second.hidden[0]),
            (first.hidden[1], second.hidden[1]),
            (first.first, second.first),
        ]
    )


def test_a_state_comes_back_bit_for_bit():
    assert _same(unpack_state(pack_state(_state())), _state())
    assert _same(unpack_state(pack_state(FrameState())), FrameState())


@given(st.floats(-0.5, 1e4), st.floats(0, 1e3))
def test_hints_of_a_state_come_back_bit_for_bit(x, radius):
    hint = Hint(x, x / 3, "#123456", radius)
    assert unpack_state(pack_state(FrameState(3, None, (hint,)))).hints == (hint,)


def test_parts_go_on_where_the_last_record_is(tmp_path):
    target, job = tmp_path / "film.mp4", {"source": "abc"}
    frames = [FrameRecord(n, 2 * n, 2, n == 0, 20.5) for n in range(4)]
    parts = Parts(target, job)
    parts.finish_part(frames[:2], FrameState(2))
    parts.finish_part(frames[2:], _state())
    (parts.folder / "000002.mkv").write_bytes(b"begun")  # a part without a record
    again = Parts(target, job)
    assert again.frames == frames
    assert [path.name for path in again.files()] == ["000000.mkv", "000001.mkv"]
    assert _same(again.state(), _state())
    states = [path.name for path in parts.folder.glob("*.safetensors")]
    assert states == ["000002.safetensors"]  # one alone, however many parts there are


def test_parts_of_another_job_are_refused_or_thrown_away(tmp_path):
    target = tmp_path / "film.mp4"
    Parts(target, {"source": "abc"}).finish_part([FrameRecord(0, 0, 1, True, 1.0)], _state())
    with pytest.raises(FilmError, match="parts of another call"):
        Parts(target, {"source": "def"})
    assert Parts(target, {"source": "abc"}).count == 1
    assert Parts(target, {"source": "def"}, overwrite=True).count == 0


def test_a_damaged_state_is_told(tmp_path):
    parts = Parts(tmp_path / "film.mp4", {})
    parts.finish_part([FrameRecord(0, 0, 1, True, 1.0)], _state())
    (parts.folder / "000001.safetensors").write_bytes(b"\x10" * 40)
    with pytest.raises(FilmError, match=r"damaged .*; remove the folder"):
        Parts(tmp_path / "film.mp4", {}).state()
