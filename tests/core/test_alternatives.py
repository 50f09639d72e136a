"""Alternatives differ in what is colored how, and only where the colors are uncertain."""

from importlib.resources import files

import numpy as np
import pytest
from PIL import Image

from recolor_core import Colorizer, Hint, HintsError, ImageError, Mask, Region, Settings
from recolor_core.alternatives import draw_alternatives
from recolor_core.arrays import softmax
from recolor_core.gray import read_gray
from recolor_core.hints.things import Things
from recolor_core.lab import SRGB, gray_codes
from recolor_core.models.bins import color_bins

BINS = color_bins(10)
RED, BLUE, GREEN = (60.0, 40.0), (20.0, -60.0), (-50.0, 50.0)


def distribution(*parts):
    """Logits (Q, 24, 36) of vertical stripes: each part has colors and their chances."""
    stripes = []
    for part in parts:
        chances = np.full(len(BINS), 1e-9)
        for color, chance in part.items():
            chances[((BINS - color) ** 2).sum(1).argmin()] += chance
        stripes.append(np.log(chances / chances.sum()))
    columns = np.repeat(np.stack(stripes, 1), 36 // len(parts), axis=1)
    return np.repeat(columns[:, None], 24, axis=1).astype(np.float32)


def things(logits, steps):
    light = np.repeat(np.float32(steps), 144 // len(steps))
    return Things(logits, np.broadcast_to(light, (96, 144)))


def colors(logits, shifts):
    """Mean color (2, 24, 36) of each alternative."""
    return [np.einsum("qhw,qc->chw", softmax(logits + shift, axis=0), BINS) for shift in shifts]


def gray_of(rgb):
    return gray_codes(rgb, SRGB)


@pytest.fixture(scope="module")
def undecided():
    """The left third is red or blue, the middle is certainly green, the right gray or yellow."""
    logits = distribution({RED: 0.6, BLUE: 0.4}, {GREEN: 1.0}, {(0.0, 0.0): 0.5, (0.0, 70.0): 0.5})
    return logits, things(logits, [20.0, 50.0, 80.0])


def test_a_thing_is_one_color_or_the_other_and_what_is_certain_stays(undecided):
    logits, seen = undecided
    made = colors(logits, draw_alternatives(seen, logits, BINS, 4))
    plain = colors(logits, [np.zeros_like(logits)])[0]
    left = np.stack([ab[:, :, 2:10].mean((1, 2)) for ab in made])
    near = [np.linalg.norm(left - np.array(c), axis=1).min() for c in (RED, BLUE)]
    assert max(near) < 8
    for ab in made:
        np.testing.assert_allclose(ab[:, :, 14:22], plain[:, :, 14:22], atol=1)
        assert ab[:, :, 2:10].std(axis=(1, 2)).max() < 2  # the thing has one color


def test_things_are_colored_independently_of_each_other(undecided):
    logits, seen = undecided
    made = colors(logits, draw_alternatives(seen, logits, BINS, 4))
    kinds = {(bool(ab[1, :, 2:10].mean() < 0), bool(ab[1, :, 26:34].mean() > 35)) for ab in made}
    assert len(kinds) == 4


def test_the_first_alternatives_are_the_same_whatever_their_number(undecided):
    logits, seen = undecided
    few, many = (draw_alternatives(seen, logits, BINS, n) for n in (2, 3))
    for one, other in zip(few, many, strict=False):
        np.testing.assert_array_equal(one, other)


def test_a_seed_is_repeatable(undecided):
    logits, seen = undecided
    first, again = (draw_alternatives(seen, logits, BINS, 3, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_what_is_probable_comes_first():
    logits = distribution({RED: 0.85, BLUE: 0.15}, {GREEN: 1.0})
    made = colors(logits, draw_alternatives(things(logits, [20.0, 70.0]), logits, BINS, 2))
    mean = np.array(RED) * 0.85 + np.array(BLUE) * 0.15
    assert not any(np.allclose(ab[:, 12, 8], mean, atol=3) for ab in made)
    assert {bool(ab[1, 12, 8] < 0) for ab in made} == {True, False}


@pytest.mark.parametrize("seed", [-1, 1.5, True, "1"])
def test_seeds_that_are_none_are_refused(undecided, seed):
    logits, seen = undecided
    with pytest.raises(ImageError, match="expected a seed as a whole number"):
        draw_alternatives(seen, logits, BINS, 1, seed=seed)


@pytest.fixture(scope="module")
def recolor():
    return Colorizer(device="cpu")


@pytest.fixture(scope="module")
def photograph():
    with Image.open(files("recolor_core") / "data/samples/colorado.png") as image:
        return np.asarray(image)


@pytest.fixture(scope="module")
def coarse(recolor, photograph):
    return recolor.generate(read_gray(photograph), size=96)


@pytest.fixture(scope="module")
def result(recolor, coarse):
    return recolor.refine(coarse, Settings(alternatives=4))


def test_alternatives_differ_from_each_other_and_keep_the_gray(result, recolor, coarse, photograph):
    assert len(result.ab_alternatives) == len(result.alternatives) == 4
    colorings = [result.ab_refined, *result.ab_alternatives]
    for i, one in enumerate(colorings):
        for other in colorings[:i]:
            assert np.hypot(*(one - other)).mean() > 0.5
    for rgb in result.alternatives:
        np.testing.assert_array_equal(gray_of(rgb), photograph)
    np.testing.assert_array_equal(result.ab_refined, recolor.refine(coarse).ab_refined)


def test_alternatives_differ_more_where_the_color_is_uncertain(result):
    moved = np.mean([np.hypot(*(ab - result.ab_coarse)) for ab in result.ab_coarse_alternatives], 0)
    unsure = result.uncertainty > np.quantile(result.uncertainty, 0.8)
    sure = result.uncertainty < np.quantile(result.uncertainty, 0.2)
    assert moved[unsure].mean() > 1.2 * moved[sure].mean()


def test_alternatives_differ_by_more_than_a_cast(result):
    changes = np.stack(result.ab_alternatives) - result.ab_refined
    casts = changes.mean(axis=(2, 3), keepdims=True)
    local = np.hypot(*np.moveaxis(changes - casts, 1, 0)).mean()
    assert local > 0.4 * np.hypot(*np.moveaxis(casts, 1, 0)).mean()


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (40, 40)])
@pytest.mark.parametrize("value", [0, 128])
def test_images_without_a_choice_have_alternatives_too(recolor, size, value):
    image = np.full(size, value, np.uint8)
    result = recolor(image, size=32, alternatives=16)
    assert len(result.ab_alternatives) == 16
    np.testing.assert_array_equal(gray_of(result.alternatives[-1]), image)


def test_outside_a_region_alternatives_are_the_coloring_itself(recolor, coarse, result):
    pixels = np.zeros(result.shape, bool)
    pixels[250:, 100:400] = True
    for region in (pixels, Mask(pixels), Region([(100, 250), (400, 250), (400, 451), (100, 451)])):
        made = recolor.refine(coarse, Settings(alternatives=2), region=region)
        for ab in made.ab_alternatives:
            changed = np.hypot(*(ab - made.ab_refined))
            assert not changed[: 250 * 96 // 452 - 6].any()
            assert changed[250 * 96 // 452 + 6 :, 30:70].mean() > 0.5
    said = made.provenance
    assert said["region"] == {"region": [[100, 250], [400, 250], [400, 451], [100, 451]]}
    assert said["seed"] == 0


def test_a_region_of_another_image_is_refused(recolor, coarse):
    with pytest.raises(HintsError, match="expected a mask of 588 x 452"):
        recolor.refine(coarse, Settings(alternatives=1), region=np.ones((4, 4), bool))


def test_hints_hold_in_alternatives(recolor, coarse):
    hint = Hint(300, 380, "#b03030", 12)
    made = recolor.refine(coarse, Settings(alternatives=3), [hint])
    height, width = made.ab_refined.shape[1:]
    for ab in made.ab_alternatives:
        at = ab[:, 380 * height // 452, 300 * width // 588]
        assert np.hypot(*(at - hint.ab)) < 15


def test_an_alternative_can_be_taken(result, photograph):
    taken = result.take(3)
    np.testing.assert_array_equal(taken.ab_refined, result.ab_alternatives[2])
    np.testing.assert_array_equal(taken.ab_coarse, result.ab_coarse_alternatives[2])
    np.testing.assert_array_equal(taken.rgb, result.alternatives[2])
    assert taken.provenance["alternative"] == 3
    np.testing.assert_array_equal(result.take(0).rgb, result.rgb)
    for number in (-1, 5):
        with pytest.raises(ImageError, match="expected an alternative from 0 to 4"):
            result.take(number)


def test_a_region_can_be_from_another_alternative(result, photograph):
    pixels = np.zeros(result.shape, bool)
    pixels[:200] = True
    first, second = result.take(1), result.take(2)
    both = first.combine(second, pixels)
    split = 200 * both.ab_refined.shape[1] // 452
    np.testing.assert_array_equal(both.ab_refined[:, split + 6 :], first.ab_refined[:, split + 6 :])
    np.testing.assert_allclose(
        both.ab_refined[:, : split - 6], second.ab_refined[:, : split - 6], atol=1e-4
    )
    np.testing.assert_array_equal(gray_of(both.rgb), photograph)
    assert [one["alternative"] for one in both.provenance["combined"]] == [2]
    assert both.combine(result.take(3), ~pixels).provenance["combined"][1]["alternative"] == 3


def test_colorings_of_two_images_are_not_combined(result, recolor, photograph):
    other = recolor(photograph[::-1], size=96)
    with pytest.raises(ImageError, match="expected two colorings of one image"):
        result.combine(other, np.ones(result.shape, bool))


def test_a_thumbnail_shows_the_coloring_in_small(result):
    small = result.thumbnail(64)
    assert small.dtype == np.uint8
    assert small.shape == (49, 64, 3)
    full = np.asarray(Image.fromarray(result.rgb).resize((64, 49), Image.Resampling.BOX))
    assert np.abs(small.astype(int) - full).mean() < 6
    assert result.thumbnail(10_000).shape[:2] == result.working_lightness.shape
