"""Flaws that a person sees, and the colors of named things, each in images made for it."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from recolor_core.metrics import (
    THINGS,
    black_chroma,
    bleeding,
    blotches,
    cast,
    named_errors,
    where_is,
    white_chroma,
)
from recolor_core.metrics.structure import box_mean

SIDE = 96


def plane(a, b):
    """One color over a whole image, (1, 2, H, W)."""
    return torch.tensor([a, b], dtype=torch.float32)[None, :, None, None].repeat(1, 1, SIDE, SIDE)


def with_spot(ab, color, radius=5):
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    spot = (y - 40) ** 2 + (x - 50) ** 2 <= radius**2
    return torch.where(spot, torch.tensor(color, dtype=torch.float32)[None, :, None, None], ab)


def lab(light, ab):
    return torch.cat((torch.full_like(ab[:, :1], light), ab), dim=1)


def test_a_spot_of_color_that_is_not_there_is_a_blotch_and_a_true_one_is_not():
    gray, red = plane(0, 0), with_spot(plane(0, 0), (45.0, 25.0))
    share = float((red[0, 0] > 0).float().mean())
    assert float(blotches(red, gray)) == pytest.approx(share, rel=0.05)
    assert float(blotches(red, red)) == 0
    assert float(blotches(gray, red)) == 0  # pale is another flaw
    assert float(blotches(plane(30, 30), gray)) == 0  # so is a cast
    assert float(blotches(with_spot(plane(0, 0), (8.0, 5.0)), gray)) == 0


def test_a_cast_is_the_distance_of_the_mean_colors():
    true = plane(2, 3) + 10 * torch.randn(1, 2, SIDE, SIDE)
    assert float(cast(true + plane(6, 8), true)) == pytest.approx(10, rel=1e-4)
    assert float(cast(true, true)) == 0
    assert float(cast(true.flip(-1), true)) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(("measure", "light"), [(black_chroma, 8.0), (white_chroma, 96.0)])
def test_colored_black_and_white_are_seen_where_they_are(measure, light):
    true, color = lab(50.0, plane(0, 0)), lab(50.0, plane(3, 4))
    assert measure(color, true).isnan().all()
    true[:, 0, :30], color[:, 0, :30] = light, light
    assert float(measure(color, true)) == pytest.approx(5)
    assert float(measure(true, color)) == pytest.approx(-5)
    true[:, 0], color[:, 0] = 50.0, 50.0
    true[:, 0, 0, :20] = light  # too little of it
    assert measure(color, true).isnan().all()


def test_color_that_runs_over_an_edge_bleeds():
    true = plane(0, 0)
    true[..., 48:] = torch.tensor([40.0, 20.0])[:, None, None]
    blurred = F.avg_pool2d(F.pad(true, (10,) * 4, mode="replicate"), 21, 1)
    assert float(bleeding(true, true)) == 0
    assert float(bleeding(blurred, true)) > 1
    shifted = true.roll(5, -1)
    shifted[..., :5] = 0
    assert float(bleeding(shifted, true)) > 0.5
    assert bleeding(true, plane(0, 0)).isnan().all()


# --- named things -----------------------------------------------------------------------------


def scene():
    """A blue sky over a green meadow with a brick wall, and snow in a corner."""
    true = lab(70.0, plane(0, -30))
    true[:, :, 48:] = torch.tensor([45.0, -25.0, 35.0])[:, None, None]
    true[:, :, 60:90, 10:40] = torch.tensor([40.0, 30.0, 28.0])[:, None, None]
    true[:, :, 60:90, 60:90] = torch.tensor([95.0, 0.0, -2.0])[:, None, None]
    return true


def test_things_are_known_by_color_and_place():
    true = scene()
    found = {name: float(where_is(name, true).float().mean()) for name in THINGS}
    assert found["sky"] == pytest.approx(0.5, abs=0.05)
    assert found["water"] == 0  # the same blue further down
    assert found["foliage"] == pytest.approx(0.5 - 2 * 30 * 30 / SIDE**2, abs=0.08)
    assert found["brick"] == pytest.approx(30 * 30 / SIDE**2, abs=0.04)
    assert found["snow"] == pytest.approx(30 * 30 / SIDE**2, abs=0.04)
    below = true.flip(-2)
    assert float(where_is("sky", below).float().mean()) == 0
    assert float(where_is("water", below).float().mean()) == pytest.approx(0.5, abs=0.05)
    specks = true.clone()
    specks[:, :, :48:3] = 50.0
    assert not where_is("sky", specks).any()


def test_the_errors_of_a_thing_are_its_own():
    true = scene()
    ab = true[:, 1:].clone()
    right = {name: float(error) for name, error in named_errors(ab, true).items()}
    assert right.keys() == {f"{n}_chroma" for n in THINGS} | {f"{n}_hue" for n in THINGS} - {
        "snow_hue"
    }
    assert np.isnan(right["water_hue"])
    assert np.isnan(right["skin_chroma"])
    assert all(abs(v) < 1e-3 for v in right.values() if not np.isnan(v))
    ab[:, :, :48] = torch.tensor([0.0, -12.0])[:, None, None]  # a pale sky
    ab[:, :, 60:90, 10:40] = torch.tensor([28.0, 30.0])[:, None, None]  # yellower brick
    ab[:, :, 60:90, 60:90] = torch.tensor([6.0, 8.0])[:, None, None]  # yellow snow
    errors = {name: float(error) for name, error in named_errors(ab, true).items()}
    assert errors["sky_chroma"] == pytest.approx(-18, abs=0.1)
    assert errors["sky_hue"] == pytest.approx(0, abs=0.1)
    turned = np.degrees(np.arctan2(30, 28) - np.arctan2(28, 30))
    assert errors["brick_hue"] == pytest.approx(turned, abs=0.1)
    assert errors["snow_chroma"] == pytest.approx(8, abs=0.1)
    assert errors["foliage_hue"] == pytest.approx(0, abs=0.1)


def test_hues_are_compared_the_short_way_round():
    true = lab(60.0, plane(30 * np.cos(np.radians(31)), 30 * np.sin(np.radians(31))))
    ab = plane(30 * np.cos(np.radians(-10)), 30 * np.sin(np.radians(-10)))
    assert float(named_errors(ab, true)["skin_hue"]) == pytest.approx(41, abs=0.1)


def test_the_mean_of_a_surround_leaves_out_what_lies_beyond_the_image():
    images = torch.rand(2, 3, 7, 40, generator=torch.Generator().manual_seed(0))
    expected = F.avg_pool2d(images, 9, 1, 4, count_include_pad=False)
    torch.testing.assert_close(box_mean(images, 9), expected)
