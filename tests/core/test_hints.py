"""Color hints: what they say, where, and how far it reaches."""

import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recolor_core import Hint, HintsError
from recolor_core.hints import hint_map, read_hints, spread_hints, write_hints

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
    assert torch.equal(hint_map([], (100, 50), (25, 13)), torch.zeros(3, 25, 13))


@pytest.mark.parametrize(("x", "y"), [(-0.5, -0.5), (0, 0), (19.5, 9.5), (7.2, 3.9)])
@pytest.mark.parametrize("radius", [0, 0.1])
def test_a_point_hints_the_one_cell_it_lies_in(x, y, radius):
    hinted = hint_map([Hint(x, y, "#ff0000", radius)], (10, 20), (5, 5))  # cells of 2 x 4
    cell = (min(int((y + 0.5) / 2), 4), min(int((x + 0.5) / 4), 4))
    assert hinted[2].nonzero().tolist() == [list(cell)]
    assert hinted[:, *cell].tolist() == pytest.approx([*Hint(0, 0, "#ff0000").ab, 1])


def test_a_disk_hints_the_cells_whose_centers_it_covers():
    hinted = hint_map([Hint(40, 40, "#0000ff", 10.0)], (100, 100), (50, 50))[2]
    down, across = (torch.arange(50.0) * 2 + 0.5 for _ in range(2))
    inside = (down[:, None] - 40) ** 2 + (across - 40) ** 2 <= 100
    assert torch.equal(hinted > 0, inside)


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
    assert hinted[:2].abs().max() <= bound + 1e-3
    assert torch.allclose(hinted, hint_map(hints[::-1], (20, 30), grid), atol=1e-3)


@pytest.mark.parametrize(("x", "y"), [(-0.6, 5), (19.6, 5), (5, -0.6), (5, 9.6), (1e9, 5)])
def test_a_hint_beyond_the_image_is_refused(x, y):
    with pytest.raises(HintsError, match=r"within 20 x 10 pixels, got one at x=.*remove it"):
        hint_map([Hint(x, y, "#ff0000")], (10, 20), (5, 5))


# Spreading


def scene(grid=(12, 16), uncertainty=20.0):
    """A flat image of which the generator says the same everywhere."""
    ab = torch.tensor([5.0, 10])[:, None, None].expand(2, *grid).contiguous()
    logits = torch.zeros(9, *grid)
    light = torch.full((grid[0] * 4, grid[1] * 4), 50.0)
    return ab, logits, torch.full(grid, uncertainty), light


def spread(hints, grid=(12, 16), **changes):
    ab, logits, uncertainty, light = scene(grid)
    parts = {"ab": ab, "logits": logits, "uncertainty": uncertainty, "lightness": light, **changes}
    image = (grid[0] * 4, grid[1] * 4)
    return spread_hints(hints=hint_map(hints, image, grid), **parts)


BLUE = Hint(10, 22, "#2040c0")


def moved(ab):
    """How far each cell went, of the way from (5, 10) to the hint."""
    way = torch.tensor(BLUE.ab) - torch.tensor([5.0, 10])
    return ((ab - torch.tensor([5.0, 10])[:, None, None]) * way[:, None, None]).sum(0) / way.dot(
        way
    )


def test_without_hints_nothing_changes():
    assert torch.equal(spread([]), scene()[0])


def test_a_hint_is_followed_most_where_it_is_and_fades_with_distance():
    share = moved(spread([BLUE]))[5]
    assert share[2] > 0.9
    assert share.max() <= 1 + 1e-3
    assert bool((share[2:].diff() < 0).all())
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
    ab = torch.tensor(BLUE.ab)[:, None, None].expand(2, 12, 16).contiguous()
    torch.testing.assert_close(spread([BLUE], ab=ab), ab, rtol=0, atol=1e-2)


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
    with pytest.raises(HintsError, match="cannot be read.*check the path"):
        read_hints(tmp_path / "none.json")
    with pytest.raises(HintsError, match="cannot be read.*check the path"):
        read_hints(tmp_path)
