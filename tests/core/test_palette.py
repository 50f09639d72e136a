import numpy as np
import pytest

from recolor_core import HintsError, rgb_to_lab
from recolor_core.palette import (
    SAMPLES,
    hex_ab,
    palette_of_colors,
    palette_of_image,
    palette_record,
)


def test_a_color_has_the_ab_of_its_srgb_codes() -> None:
    _, a, b = rgb_to_lab(np.array([0x12, 0xAB, 0xEF], np.uint8))
    assert hex_ab("#12abef") == pytest.approx((a, b), abs=1e-4)


@pytest.mark.parametrize("text", ["12abef", "#12abe", "#12abefff", "red", "#gggggg", ""])
def test_what_is_no_color_is_refused(text: str) -> None:
    with pytest.raises(HintsError, match="#rrggbb"):
        hex_ab(text)


def test_a_palette_needs_a_color() -> None:
    with pytest.raises(HintsError, match="at least one"):
        palette_of_colors([])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_image_gives_its_colors_at_any_depth(dtype: type) -> None:
    white = 1 if dtype is np.float32 else np.iinfo(dtype).max
    image = np.zeros((90, 80, 4), dtype)
    image[..., 0] = white
    palette = palette_of_image(image)
    assert palette.shape == (SAMPLES, 2)
    assert np.allclose(palette, hex_ab("#ff0000"), atol=0.01)


def test_a_gray_image_is_no_palette() -> None:
    with pytest.raises(HintsError, match="in color"):
        palette_of_image(np.zeros((5, 5), np.uint8))


def test_the_record_tells_palettes_apart() -> None:
    short = palette_of_colors(["#ff0000"])
    assert palette_record(short)["ab"][0] == pytest.approx(hex_ab("#ff0000"), abs=1e-3)
    long = np.zeros((100, 2), np.float32)
    other = long.copy()
    other[50, 0] = 1
    assert palette_record(long)["samples"] == 100
    assert palette_record(long) != palette_record(other)
