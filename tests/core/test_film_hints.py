"""Hints in a film: in both directions through their shot and those that return to it."""

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from recolor_core.film import KeyHint, Moment, Shot, Shots, read_key_hints
from recolor_core.film.luma import Luma
from recolor_core.guides.hints import HintTracks
from recolor_core.hints import Hint, MarksInTime, Mask, Region, Stroke
from recolor_core.hints.in_time import _factors

from .films import colorize, decoded, grays, make_film, rgb
from .test_film_colors import ab_of, view
from .test_film_shots import HEIGHT, WIDTH, codes, shown

RED, GREEN = "#c04030", "#308040"


def frames(count: int = 6) -> list[tuple[int, np.ndarray]]:
    """A shot that pans to the left by one pixel a frame."""
    return list(enumerate(codes([shown(2 * i, 1) for i in range(count)], grain=0)))


def tracks(hints, shots=None, images=None) -> HintTracks:
    images = images or frames()
    found = HintTracks(hints, shots or Shots([Shot(0, len(images) - 1)]))
    found.look(images)
    return found


def only(marks: MarksInTime):
    ((mark,),) = marks.groups
    return mark


def test_points_are_followed_in_both_directions_until_they_leave_the_image():
    found = tracks({3: [Hint(40, 36, RED, 3)]})
    for number in range(6):
        mark = only(found.at(number))
        assert mark.x == pytest.approx(43 - number, abs=1)
        assert mark.y == pytest.approx(36, abs=1)
    assert only(found.at(3)) == Hint(40, 36, RED, 3)
    left = tracks({0: [Hint(2, 36, RED, 3)]})
    assert left.at(0) is not None
    assert left.at(5) is None
    assert tracks({0: [Hint(40, 36, RED, 3)]}, Shots([Shot(0, 2), Shot(3, 5)])).at(3) is None


def test_strokes_and_regions_keep_their_shape():
    box = ((30.0, 20.0), (60.0, 20.0), (60.0, 50.0), (30.0, 50.0))
    marks = [Stroke(((30, 20), (50, 40)), RED, 2, within=box), Region(box, GREEN)]
    stroke, region = tracks({0: marks}).at(5).groups[0]
    moved = np.array(region.points) - np.array(box)
    np.testing.assert_allclose(moved, [[-5, 0]] * 4, atol=1.5)
    np.testing.assert_allclose(np.array(stroke.points), [[25, 20], [45, 40]], atol=1.5)
    assert (stroke.color, stroke.radius, len(stroke.within)) == (RED, 2, 4)


def test_masks_move_with_what_they_cover():
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
    pixels[20:50, 40:70] = 1
    found = tracks({2: [Mask(pixels, RED)]})
    for number in range(6):
        rows, columns = np.nonzero(only(found.at(number)).pixels)
        assert columns.mean() == pytest.approx(54.5 + 2 - number, abs=1)
        assert rows.mean() == pytest.approx(34.5, abs=1)
        assert len(rows) == pytest.approx(900, rel=0.1)
    assert np.array_equal(only(found.at(2)).pixels, pixels != 0)


def test_between_two_hinted_frames_both_decide_by_their_distance():
    found = tracks({1: [Hint(40, 36, RED, 3)], 4: [Hint(60, 20, GREEN, 3)]})
    assert found.at(0).orders == ((1.0, (0, 1)),)
    # The hints of the frame itself come last, and decide first.
    assert found.at(1).orders == ((1.0, (1, 0)),)
    assert [found.at(number).given for number in (0, 1, 2, 4)] == [0, 1, 0, 1]
    weights = {order: weight for weight, order in found.at(2).orders}
    assert weights == {(0, 1): pytest.approx(2 / 3), (1, 0): pytest.approx(1 / 3)}
    assert found.at(5).orders == ((1.0, (1, 0)),)


def test_the_hints_of_a_frame_can_be_exchanged():
    red, green, gray = (Hint(40, 36, color, 3) for color in (RED, GREEN, "#808080"))
    between = MarksInTime(((red,), (green,)), ((0.3, (0, 1)), (0.7, (1, 0))))
    given = between.with_given([gray])
    assert given == MarksInTime(((red,), (green,), (gray,)), ((1.0, (2, 1, 0)),), 1)
    assert given.with_given([red, gray]).groups[2] == (red, gray)
    assert given.with_given([]) == MarksInTime(((red,), (green,)), ((1.0, (1, 0)),))
    alone = MarksInTime((), ()).with_given([red])
    assert alone == MarksInTime(((red,),), ((1.0, (0,)),), 1)
    assert alone.with_given([]).groups == ()


def test_hints_hold_in_a_shot_that_returns():
    a = codes([shown(2 * i, 1) for i in range(8)], grain=0)
    b = codes([shown(i, 2) for i in range(3)], grain=0)
    images = list(enumerate(a[:4] + b + a[4:]))
    shots = Shots([Shot(0, 3), Shot(4, 6), Shot(7, 10, returns_to=0)])
    found = tracks({1: [Hint(40, 36, RED, 3)]}, shots, images)
    assert found.at(5) is None
    mark = only(found.at(9))  # the seventh frame of what the first shot shows
    assert (mark.x, mark.y) == (pytest.approx(35, abs=1.5), pytest.approx(36, abs=1))
    # The shot's own hint decides, and that of the other one counts where it claims nothing.
    both = tracks({1: [Hint(40, 36, RED, 3)], 8: [Hint(60, 20, GREEN, 3)]}, shots, images)
    assert both.at(10).orders == ((1.0, (1, 0)),)
    assert both.at(2).orders == ((1.0, (0, 1)),)


def test_a_group_counts_where_no_group_before_it_claims_the_place():
    claims = [np.array([[1.0, 0.0, 0.5]]), np.array([[1.0, 1.0, 1.0]])]
    first, second = _factors(claims, [(1.0, (0, 1))])
    assert first.tolist() == [[1, 1, 1]]
    assert second.tolist() == [[0, 1, 0.5]]
    first, second = _factors(claims, [(0.75, (0, 1)), (0.25, (1, 0))])
    assert first.tolist() == [[0.75, 0.75, 0.75]]
    assert second.tolist() == [[0.25, 1, 0.625]]


@pytest.mark.parametrize("passes", [1, 2])
@pytest.mark.slow
def test_colors_pass_smoothly_from_hint_to_hint(tmp_path, passes):
    planes = make_film(tmp_path / "a.mkv", [view(i) for i in range(9)])
    order = {"lossless": True, "passes": passes}
    hints = [
        KeyHint(Hint(30, 24, RED, 60), Moment(frame=1)),
        KeyHint(Hint(30, 24, GREEN, 60), Moment(frame=7)),
    ]
    colorize(tmp_path / "a.mkv", tmp_path / "b.mkv", hints=hints, **order)
    a = ab_of(tmp_path / "b.mkv")[:, 0]
    assert a[0] > 15
    assert a[8] < -10
    assert abs(a[0] - a[1]) < 3
    assert abs(a[8] - a[7]) < 3
    steps = np.diff(a[1:8])
    assert (steps < 0).all()
    assert np.abs(steps).max() < 2 * np.abs(steps).mean()
    for number, hint in enumerate(hints):
        colorize(tmp_path / "a.mkv", tmp_path / f"{number}.mkv", hints=[hint], **order)
    assert a[1] == pytest.approx(ab_of(tmp_path / "0.mkv")[1, 0], abs=1)
    assert a[7] == pytest.approx(ab_of(tmp_path / "1.mkv")[7, 0], abs=1)
    for gray, plane in zip(grays(tmp_path / "b.mkv"), planes, strict=True):
        np.testing.assert_array_equal(gray, Luma(8, True).gray(plane))


@pytest.mark.slow
def test_a_shot_between_keeps_its_color_and_the_one_that_returns_has_that_of_the_first(tmp_path):
    views = [view(i) for i in range(4)] + [view(i, 2) for i in range(5)]
    views += [view(4 + i) for i in range(4)]
    make_film(tmp_path / "a.mkv", views)
    box = Region(((-1, -1), (64, -1), (64, 48), (-1, 48)), RED)
    hint = KeyHint(box, Moment(time=Fraction(2, 25)))
    plain = colorize(tmp_path / "a.mkv", tmp_path / "plain.mkv", lossless=True)
    result = colorize(tmp_path / "a.mkv", tmp_path / "b.mkv", lossless=True, hints=[hint])
    assert plain.cuts == result.cuts == (4, 9)
    before, after = ab_of(tmp_path / "plain.mkv"), ab_of(tmp_path / "b.mkv")
    np.testing.assert_array_equal(before[4:9], after[4:9])
    inside = [0, 1, 2, 3, 9, 10, 11, 12]
    assert (after[inside, 0] > 15).all()
    assert np.ptp(after[inside, 0]) < 8


@pytest.mark.slow
def test_things_that_are_hinted_in_different_frames_keep_their_colors(tmp_path):
    make_film(tmp_path / "a.mkv", [view(0)] * 6)
    left = Region(((-1, -1), (31, -1), (31, 48), (-1, 48)), RED)
    right = Region(((32, -1), (64, -1), (64, 48), (32, 48)), GREEN)
    hints = [KeyHint(left, Moment(frame=1)), KeyHint(right, Moment(frame=4))]
    colorize(tmp_path / "a.mkv", tmp_path / "b.mkv", lossless=True, hints=hints)
    for frame in map(rgb, decoded(tmp_path / "b.mkv")):
        spread = frame.astype(int)
        assert (spread[..., 0] - spread[..., 1])[:, :26].mean() > 20
        assert (spread[..., 0] - spread[..., 1])[:, 38:].mean() < -10


def test_every_kind_of_mark_is_read(tmp_path):
    mask = np.zeros((4, 4), np.uint8)
    mask[1, 2] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    path = tmp_path / "hints.json"
    path.write_text(
        """{"hints": [{"stroke": [[1, 2], [3, 2]], "color": "#c04030", "frame": 2},
        {"region": [[1, 2], [3, 2], [3, 3]], "kind": "gray", "time": "0.5"},
        {"mask": "mask.png", "kind": "keep"}]}"""
    )
    stroke, region, painted = read_key_hints(path)
    assert stroke == KeyHint(Stroke(((1, 2), (3, 2)), "#c04030"), Moment(frame=2))
    assert region.hint.kind == "gray"
    assert painted.hint == Mask(mask, kind="keep")
    assert stroke.record()["frame"] == 2
