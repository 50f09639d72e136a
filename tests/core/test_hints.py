"""Color hints: what they say, where, and how far it reaches."""

import json
import math
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from recolor_core import Hint, HintsError
from recolor_core.hints import (
    Direction,
    Mask,
    Region,
    Stroke,
    hint_map,
    read_hints,
    spread_hints,
    write_hints,
)
from recolor_core.hints.things import Things
from recolor_core.lab import lab_to_rgb
from recolor_core.models.bins import color_bins
from recolor_core.palette import hex_ab

PUBLISHED = {  # Lindbloom, as in test_lab
    "#ff0000": (80.0925, 67.2032),
    "#00FF00": (-86.1827, 83.1793),
    "#0000ff": (79.1875, -107.8602),
    "#777777": (0, 0),
}


@pytest.mark.parametrize(("color", "ab"), PUBLISHED.items())
def test_the_color_of_a_hint(color, ab):
    assert Hint(0, 0, color).ab == pytest.approx(ab, abs=0.025)


BAD_COLORS = ["", "#", "red", "ff0000", "#fff", "#ff00000", "#gg0000", "#ff0000ff", 5, None]


@pytest.mark.parametrize("color", BAD_COLORS)
def test_a_color_that_is_none_is_refused(color):
    with pytest.raises(HintsError, match=r"expected .*#rrggbb, got"):
        hint_map([Hint(1, 1, color)], (10, 10), (5, 5))


@pytest.mark.parametrize(
    "numbers",
    [
        {"x": math.nan},
        {"y": math.inf},
        {"radius": math.nan},
        {"x": "1"},
        {"y": None},
        {"radius": -5.0},
        {"x": 10**400},
    ],
)
def test_places_that_are_none_are_refused(numbers):
    with pytest.raises(HintsError, match="expected"):
        hint_map([Hint(**{"x": 1, "y": 1, "color": "#ff0000", **numbers})], (10, 10), (5, 5))


# The map


def test_no_hints_are_an_empty_map():
    np.testing.assert_array_equal(hint_map([], (100, 50), (25, 13)), np.zeros((3, 25, 13)))


@pytest.mark.parametrize(("x", "y"), [(-0.5, -0.5), (0, 0), (19.5, 9.5), (7.2, 3.9)])
@pytest.mark.parametrize("radius", [0, 0.1])
def test_a_point_hints_the_one_cell_it_lies_in(x, y, radius):
    hinted = hint_map([Hint(x, y, "#ff0000", radius)], (10, 20), (5, 5))  # cells of 2 x 4
    cell = (min(int((y + 0.5) / 2), 4), min(int((x + 0.5) / 4), 4))
    assert np.argwhere(hinted[2]).tolist() == [list(cell)]
    assert hinted[:, *cell].tolist() == pytest.approx([*Hint(0, 0, "#ff0000").ab, 1])


def test_a_disk_hints_the_cells_whose_centers_it_covers():
    hinted = hint_map([Hint(40, 40, "#0000ff", 10.0)], (100, 100), (50, 50))[2]
    down, across = (np.arange(50) * 2 + 0.5 for _ in range(2))
    inside = (down[:, None] - 40) ** 2 + (across - 40) ** 2 <= 100
    np.testing.assert_array_equal(hinted > 0, inside)


def test_of_hints_that_share_a_cell_the_mean_counts():
    red, blue = Hint(5, 5, "#ff0000"), Hint(5.2, 5, "#0000ff")
    cell = hint_map([red, blue], (10, 10), (2, 2))[:, 1, 1]
    mean = [(a + b) / 2 for a, b in zip(red.ab, blue.ab, strict=True)]
    assert cell.tolist() == pytest.approx([*mean, 1], rel=1e-5)


points = st.builds(
    Hint,
    x=st.floats(-0.5, 29.5),
    y=st.floats(-0.5, 19.5),
    color=st.from_regex(r"#[0-9a-f]{6}", fullmatch=True),
    radius=st.floats(0, 100),
)


@pytest.mark.slow
@settings(max_examples=40)
@given(
    st.lists(points, min_size=1, max_size=5, unique_by=lambda hint: (hint.x, hint.y)),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_the_map_holds_shares_and_colors_of_the_hints(hints, grid):
    hinted = hint_map(hints, (20, 30), grid)
    assert hinted.shape == (3, *grid)
    assert hinted[2].max() == 1
    assert hinted[2].min() >= 0
    assert not hinted[:2, hinted[2] == 0].any()
    bound = max(max(map(abs, hint.ab)) for hint in hints)
    assert np.abs(hinted[:2]).max() <= bound + 1e-3
    np.testing.assert_allclose(hinted, hint_map(hints[::-1], (20, 30), grid), atol=1e-3)


@pytest.mark.parametrize(("x", "y"), [(-0.6, 5), (19.6, 5), (5, -0.6), (5, 9.6), (1e9, 5)])
def test_a_hint_beyond_the_image_is_refused(x, y):
    with pytest.raises(HintsError, match=r"within 20 x 10 pixels, got one at x=.*remove it"):
        hint_map([Hint(x, y, "#ff0000")], (10, 20), (5, 5))


# Spreading


def scene(grid=(12, 16), uncertainty=20.0):
    """A flat image of which the generator says the same everywhere."""
    ab = flat_ab((5, 10), grid)
    logits = np.zeros((9, *grid), np.float32)
    light = np.full((grid[0] * 4, grid[1] * 4), 50, np.float32)
    return ab, logits, np.full(grid, uncertainty, np.float32), light


def flat_ab(color, grid):
    return np.broadcast_to(np.array(color, np.float32)[:, None, None], (2, *grid)).copy()


def spread(hints, grid=(12, 16), **changes):
    ab, logits, uncertainty, light = scene(grid)
    parts = {"ab": ab, "logits": logits, "uncertainty": uncertainty, "lightness": light, **changes}
    image = (grid[0] * 4, grid[1] * 4)
    return spread_hints(hints=hint_map(hints, image, grid), **parts)


BLUE = Hint(10, 22, "#2040c0")


def moved(ab):
    """How far each cell went, of the way from (5, 10) to the hint."""
    way = np.subtract(BLUE.ab, (5, 10))
    return np.tensordot(way, ab - flat_ab((5, 10), ab.shape[1:]), 1) / (way @ way)


def test_without_hints_nothing_changes():
    np.testing.assert_array_equal(spread([]), scene()[0])


def test_a_hint_is_followed_most_where_it_is_and_fades_with_distance():
    share = moved(spread([BLUE]))[5]
    assert share[2] > 0.9
    assert share.max() <= 1 + 1e-3
    assert (np.diff(share[2:]) < 0).all()
    assert share[-1] < 0.5 * share[2]


def test_a_hint_stays_within_its_lightness():
    _, _, _, light = scene()
    light[:, 24:] = 95
    share = moved(spread([BLUE], lightness=light))[5]
    assert share[5] > 2 * share[6]


def test_a_hint_stays_with_what_looks_alike():
    _, logits, _, _ = scene()
    logits[0, :, 6:] = 12
    share = moved(spread([BLUE], logits=logits))[5]
    assert share[5] > 2 * share[6]


def test_a_hint_stays_away_from_what_is_certain():
    _, _, uncertainty, _ = scene()
    uncertainty[:, 6:] = 2
    share = moved(spread([BLUE], uncertainty=uncertainty))[5]
    assert share[5] > 5 * share[6]


def test_a_hint_that_agrees_with_the_prediction_changes_nothing():
    ab = flat_ab(BLUE.ab, (12, 16))
    np.testing.assert_allclose(spread([BLUE], ab=ab), ab, rtol=0, atol=1e-2)


def test_thousands_of_hinted_cells_are_borne():
    grid = (40, 60)
    everywhere = Hint(120, 80, "#2040c0", 1000.0)
    result = spread([everywhere], grid)
    assert result.shape == (2, *grid)
    assert moved(result).mean() > 0.9


# Files


@settings(max_examples=25)
@given(st.lists(points, max_size=5))
def test_hints_come_back_from_their_file(tmp_path_factory, hints):
    path = tmp_path_factory.mktemp("hints") / "hints.json"
    write_hints(path, hints)
    assert read_hints(path) == hints
    assert [p.name for p in path.parent.iterdir()] == ["hints.json"]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "hints.json"
    write_hints(path, [BLUE])
    with pytest.raises(TypeError):
        write_hints(path, [Hint(1, 2, {1, 2})])
    assert read_hints(path) == [BLUE]
    assert [p.name for p in tmp_path.iterdir()] == ["hints.json"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x89PNG\r\n",
        b"[]",
        b"{}",
        b'{"hints": 5}',
        b'{"hints": [5]}',
        b'{"hints": [{}]}',
        b'{"hints": {"x": 1}}',
        b'{"hints": [{"x": 1, "y": 2}]}',
        b'{"hints": [{"x": 1, "y": 2, "color": "#00"}]}',
        b'{"hints": [{"x": "1", "y": 2, "color": "#000000"}]}',
        b'{"hints": [{"x": 1, "y": 2, "color": "#000000", "size": 4}]}',
        b'{"hints": [{"x": 1e999, "y": 2, "color": "#000000"}]}',
        b'{"hints": [{"x": 1, "y": 2, "color": "#000000", "radius": -1}]}',
        b'{"hints": [{"x": 1' + b"0" * 400 + b', "y": 2, "color": "#000000"}]}',
        json.dumps({"hints": [{"x": 1, "y": 2, "color": 7}]}).encode(),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, content):
    path = tmp_path / "hints.json"
    path.write_bytes(content)
    with pytest.raises(HintsError, match=r"hints.json is not a file of color hints"):
        read_hints(path)


def test_an_absent_file_is_refused(tmp_path):
    with pytest.raises(HintsError, match=r"cannot be read.*check the path"):
        read_hints(tmp_path / "none.json")
    with pytest.raises(HintsError, match=r"cannot be read.*check the path"):
        read_hints(tmp_path)


# Marks and their files


def two_things(seed=0):
    """Things of an image whose left and right half differ in lightness and in what they are."""
    rng = np.random.default_rng(seed)
    logits = 0.01 * rng.standard_normal((len(BINS), 12, 16), np.float32)
    logits[:100, :, :8] += 8
    logits[100:200, :, 8:] += 8
    light = np.full((48, 64), 40, np.float32)
    light[:, 32:] = 70
    return Things(logits, light), logits


def direction(marks, chroma=1.0):
    things, logits = two_things()
    uncertainty = np.full((12, 16), 20, np.float32)
    return Direction(marks, (96, 128), things, logits, uncertainty, BINS, chroma)


BINS = color_bins(10)
IMPOSSIBLE = "#ff00ff"


def test_an_implausible_hint_colors_its_thing_and_nothing_else():
    after = direction([Hint(30, 50, IMPOSSIBLE, 4)]).blend(flat_ab((0, 0), (48, 64)))
    color = flat_ab(Hint(0, 0, IMPOSSIBLE).ab, (1, 1))
    assert (after[:, :, :28] / color).mean() > 0.9
    assert np.abs(after[:, :, 36:] / color).mean() < 0.05


def test_the_further_a_hint_reaches_the_more_it_colors():
    weights = [
        float(direction([Hint(30, 50, IMPOSSIBLE, 4, reach=reach)]).weight.mean())
        for reach in (0, 0.3, 0.5, 0.8, 1)
    ]
    assert weights == sorted(weights)
    disk = math.pi * 2**2 / (48 * 64)
    assert weights[0] == pytest.approx(disk, rel=0.5)
    assert weights[-1] > 0.5


def test_a_hint_to_keep_holds_its_thing_against_another():
    green = Hint(30, 50, IMPOSSIBLE, 4, reach=0.95)
    alone, held = direction([green]), direction([green, Hint(100, 50, kind="keep")])
    assert alone.weight[:, 36:].mean() > 3 * held.weight[:, 36:].mean()
    assert held.weight[:, :28].mean() > 0.8


@pytest.mark.parametrize(
    "mark", [Hint(30, 50, kind="gray"), Stroke(((10, 50), (50, 50)), kind="gray")]
)
def test_what_is_gray_loses_its_color(mark):
    after = direction([mark]).blend(flat_ab((10, 10), (48, 64)))
    assert after[:, :, :28].mean() < 1
    assert after[:, :, 36:].mean() > 9


def test_only_here_ends_a_hint():
    square = ((20, 30), (50, 30), (50, 60), (20, 60))
    weight = direction([Hint(30, 50, IMPOSSIBLE, 4, reach=0.9, within=square)]).weight
    assert weight[17:28, 12:23].mean() > 0.9
    weight[12:33, 7:28] = 0
    assert weight.max() < 0.02


def test_regions_and_masks_color_what_they_cover_and_the_last_one_wins():
    left = Region(((-5, -5), (60, -5), (60, 100), (-5, 100)), "#ff0000")
    pixels = np.zeros((96, 128), bool)
    pixels[:, 66:] = True
    right = Mask(pixels, "#0000ff")
    after = direction([left, right], chroma=1.3).blend(flat_ab((0, 0), (48, 64)))
    for part, mark in ((after[:, :, :26], left), (after[:, :, 38:], right)):
        wanted = flat_ab(hex_ab(mark.color), (1, 1)) / 1.3
        np.testing.assert_allclose(part, np.broadcast_to(wanted, part.shape), atol=1)
    again = direction([left, Region(left.points, kind="keep")])
    assert again.weight[:, :26].max() < 0.01


def test_the_edge_of_a_region_moves_to_an_edge_nearby():
    # The image's own edge is at column 64 of 128; the region is drawn 3 pixels short of it.
    points = ((0, 0), (61, 0), (61, 95), (0, 95))
    weight = direction([Region(points, "#ff0000")]).weight[20]
    assert weight[31] > 0.55
    assert weight[32] < 0.25


def test_a_plausible_point_is_news_and_a_disk_is_a_wish():
    color = lab_to_rgb(np.array([60, *BINS[50]])).clip(0, 1)
    code = "#" + bytes(np.rint(255 * color).astype(np.uint8)).hex()
    point, disk = (direction([Hint(30, 50, code, radius)]) for radius in (0, 4))
    assert point.hinted[2].max() > 0.9
    assert point.weight.max() < 0.1
    assert disk.hinted[2].max() == 0
    assert disk.weight.max() > 0.9


marks = st.one_of(
    points,
    st.builds(Hint, st.floats(0, 9), st.floats(0, 9), kind=st.sampled_from(["keep", "gray"])),
    st.builds(
        Stroke,
        st.lists(st.tuples(st.floats(0, 9), st.floats(0, 9)), min_size=1, max_size=3).map(tuple),
        color=st.just("#102030"),
        radius=st.floats(0, 5),
        reach=st.floats(0, 1),
    ),
    st.builds(Region, st.just(((0.0, 0.5), (5.0, 1.0), (3.0, 9.0))), color=st.just("#a0b0c0")),
    st.builds(Mask, st.just(np.eye(7, dtype=bool)), kind=st.just("gray")),
)


@settings(max_examples=25)
@given(st.lists(marks, max_size=5))
def test_marks_come_back_from_their_file(tmp_path_factory, marks):
    path = tmp_path_factory.mktemp("marks") / "hints.json"
    write_hints(path, marks)
    assert read_hints(path) == marks


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_hint_files_are_read_in_any_unicode(tmp_path, encoding):
    path = tmp_path / "hints.json"
    path.write_bytes('{"hints": [{"x": 1, "y": 2, "color": "#102030"}]}'.encode(encoding))
    assert read_hints(path) == [Hint(1, 2, "#102030")]


def test_a_mask_is_read_from_a_png_of_labels(tmp_path):
    labels = np.zeros((5, 7), np.uint8)
    labels[1:3] = 3
    labels[4] = 200
    Image.fromarray(labels).save(tmp_path / "labels.png")
    path = tmp_path / "hints.json"
    path.write_text('{"hints": [{"mask": "labels.png", "label": 3, "kind": "keep"}]}')
    assert read_hints(path) == [Mask(labels == 3, kind="keep")]
    path.write_text('{"hints": [{"mask": "labels.png", "label": 4, "kind": "keep"}]}')
    with pytest.raises(HintsError, match=r"hint 1: expected a label .* such as \[0, 3, 200\]"):
        read_hints(path)


def test_a_mask_that_is_no_png_is_named(tmp_path):
    Image.new("L", (4, 3)).save(tmp_path / "mask.jpg")
    path = tmp_path / "hints.json"
    path.write_text('{"hints": [{"mask": "mask.jpg", "color": "#4070c0"}]}')
    with pytest.raises(HintsError, match=r"expected a mask as PNG, got mask\.jpg, which is none"):
        read_hints(path)


@pytest.mark.parametrize(
    ("mode", "marking", "other"),
    [
        ("RGB", (255, 0, 0), (0, 0, 0)),
        ("RGB", (255, 255, 0), (0, 0, 0)),
        ("RGB", (0, 0, 255), (0, 0, 0)),
        ("RGBA", (255, 0, 0, 255), (255, 0, 0, 0)),
        ("RGBA", (255, 0, 0, 255), (0, 0, 0, 255)),
        ("L", 255, 0),
        ("LA", (255, 255), (0, 255)),
        ("LA", (255, 255), (255, 0)),
        ("P", 2, 0),
        ("1", 1, 0),
    ],
)
def test_a_painted_mask_marks_any_color_but_black_that_is_not_transparent(
    tmp_path, mode, marking, other
):
    image = Image.new(mode, (4, 3), other)
    if mode == "P":
        image.putpalette([0, 0, 0, 0, 255, 0, 255, 0, 0])
    image.putpixel((1, 2), marking)
    image.save(tmp_path / "mask.png")
    with Image.open(tmp_path / "mask.png") as saved:
        assert saved.mode == mode
    path = tmp_path / "hints.json"
    path.write_text('{"hints": [{"mask": "mask.png", "color": "#4070c0"}]}')
    [mask] = read_hints(path)
    assert np.argwhere(mask.pixels).tolist() == [[2, 1]]


def test_null_in_a_hint_file_is_left_out(tmp_path):
    path = tmp_path / "hints.json"
    entry = {"x": 1, "y": 1, "kind": "gray", "color": None, "radius": None}
    path.write_text(json.dumps({"hints": [entry]}))
    assert read_hints(path) == [Hint(1, 1, kind="gray")]


@pytest.mark.parametrize("color", [0, [], False, {}])
def test_a_mark_of_no_color_takes_no_color_of_another_type(tmp_path, color):
    path = tmp_path / "hints.json"
    path.write_text(json.dumps({"hints": [{"x": 1, "y": 1, "kind": "gray", "color": color}]}))
    with pytest.raises(HintsError, match="expected no color of a hint of kind gray") as caught:
        read_hints(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[]", "expected an object with a list of hints"),
        ('{"hints": null}', "expected an object with a list of hints"),
        ('{"hints": ["red"]}', "hint 1: expected an object, got 'red'"),
        ('{"hints": [{"x": 1, "color": "#102030"}]}', "got no y"),
        ('{"hints": [{"color": "#102030"}]}', "got no x and no y"),
        (
            '{"hints": [{"x": 1, "y": 2, "colour": "#102030"}]}',
            "hint 1: unknown 'colour'; known are x, y, color, radius, kind, reach, within",
        ),
        (
            '{"hints": [{"region": [[0, 0], [1, 0], [1, 1]], "radius": 2}]}',
            "unknown 'radius'; known are region, color, kind",
        ),
        (
            '{"hints": [{"mask": "m.png", "reach": 1}]}',
            "unknown 'reach'; known are mask, label, color, kind",
        ),
        ('{"hints": [{"mask": "data:image/png;base64,?"}]}', "is not base64"),
    ],
)
def test_what_is_wrong_in_a_hint_file_is_said_without_python(tmp_path, content, said):
    path = tmp_path / "hints.json"
    path.write_text(content)
    with pytest.raises(HintsError) as caught:
        read_hints(path)
    assert said in str(caught.value)
    assert not any(word in str(caught.value) for word in ("__init__", "NoneType", "attribute"))


@pytest.mark.parametrize("content", ['{"hints": [{"mask": "big", "color": "#102030"}]}', ""])
def test_a_file_over_the_limit_is_refused_before_it_is_read(tmp_path, content):
    path = tmp_path / ("hints.json" if content else "big")
    with (tmp_path / "big").open("wb") as file:
        file.truncate(2**36)  # sparse
    if content:
        path.write_text(content)
    with pytest.raises(HintsError, match=r"more than \d+ bytes, which is the limit"):
        read_hints(path)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_mask_that_claims_too_many_pixels_is_refused_before_it_is_decoded(tmp_path):
    header = b"IHDR" + struct.pack(">IIBBBBB", 12_000, 12_000, 8, 0, 0, 0, 0)
    chunks = (header, b"IDAT")  # without data, which decoding would need
    data = b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in chunks
    )
    (tmp_path / "mask.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    path = tmp_path / "hints.json"
    path.write_text('{"hints": [{"mask": "mask.png", "color": "#102030"}]}')
    with pytest.raises(HintsError, match=r"12000 x 12000 pixels, and \d+ is the limit"):
        read_hints(path)


SQUARE = ((0, 0), (5, 0), (5, 5))


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        ([Hint(True, 2, "#102030")], "numbers of pixels"),
        ([Hint(1, 2, "#102030", reach=2)], "reach from 0 to 1"),
        ([Hint(1, 2, "#102030", reach=math.nan)], "reach from 0 to 1"),
        ([Hint(1, 2, "#102030", kind="paint")], "color, keep or gray"),
        ([Hint(1, 2, "#102030", kind="keep")], "no color of a hint of kind keep"),
        ([Hint(1, 2, "blue")], "#rrggbb"),
        ([Hint(1, 2)], "#rrggbb"),
        ([Hint(1, 2, "#102030", within=((1, 2),))], "corners of within"),
        ([Hint(1, 2, "#102030"), Hint(1, 2, "#a02030")], "hints that agree.*remove one"),
        ([Hint(1, 2, "#102030"), Hint(1, 2, kind="keep")], "hints that agree.*remove one"),
        ([Stroke((), "#102030")], "corners of a stroke"),
        ([Stroke(((1, math.inf),), "#102030")], "corners of a stroke as numbers"),
        ([Stroke(((-9, 2), (-5, 3)), "#102030", 2)], "within 20 x 10 pixels"),
        ([Region(SQUARE[:2], "#102030")], "corners of a region as 3"),
        ([Region(((50, 50), (60, 50), (60, 60)), "#102030")], "within 20 x 10 pixels"),
        ([Mask(np.ones((20, 10)), "#102030")], "mask of 20 x 10 pixels.*one of 10 x 20"),
        ([Mask(np.zeros((10, 20)), "#102030")], "empty"),
        ([Mask(np.ones((10, 20, 3)), "#102030")], "mask as"),
        ([(1, 2, "#102030")], "a hint, stroke, region or mask"),
        ([Hint(i / 2000, 2, "#102030") for i in range(20_001)], "at most 20000 hints.*mask"),
        ([Stroke(SQUARE, f"#{i:06x}") for i in range(65)], "fewer colors"),
    ],
)
def test_marks_that_do_not_fit_are_refused(marks, said):
    things, logits = two_things()
    with pytest.raises(HintsError, match=said) as caught:
        Direction(marks, (10, 20), things, logits, np.ones((12, 16), np.float32), BINS)
    assert "\n" not in str(caught.value)


def test_an_endless_radius_covers_the_image():
    assert hint_map([Hint(1, 2, "#102030", 1e308)], (10, 20), (5, 10))[2].min() == 1
    assert direction([Hint(1, 2, IMPOSSIBLE, 1e308)]).weight.min() > 0.99


def test_what_is_known_of_other_marks_changes_nothing():
    moved = [[Hint(x, 50, IMPOSSIBLE, 4), Hint(100, 50, "#308040", 6)] for x in (20, 30, 20)]
    things, logits = two_things()
    parts = (np.full((12, 16), 20, np.float32), BINS)
    for marks in moved:
        once = Direction(marks, (96, 128), things, logits, *parts)
        np.testing.assert_array_equal(once.given, direction(marks).given)
    assert len(things.known) == 3


def test_deep_json_is_refused(tmp_path):
    path = tmp_path / "hints.json"
    path.write_text('{"hints": ' + "[" * 100_000)
    with pytest.raises(HintsError, match="is not a file of color hints"):
        read_hints(path)


@pytest.mark.slow
def test_thousands_of_strokes_and_points_are_borne():
    rng = np.random.default_rng(0)
    where = rng.uniform(0, 95, (10_000, 2, 2)).tolist()
    strokes = [Stroke(tuple(map(tuple, line)), "#804020", 2) for line in where]
    spots = [Hint(*line[0], f"#{i:06x}") for i, line in enumerate(where)]
    assert np.isfinite(direction(strokes).hinted).all()
    assert direction(spots).hinted[2].mean() > 0.7
