"""Color of another image on the exact gray of this one."""

from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image

from recolor_core.color_from import (
    ColorSource,
    TakenColor,
    apply_color,
    mixed,
    read_color_source,
    take_color,
)
from recolor_core.errors import ImageError
from recolor_core.lab import lab_to_rgb, rgb_to_lab

from .cli_runner import gray_of
from .films import FAST, colorizer

SIZE = (120, 160)


@cache
def scene(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """An image in color, (H, W, 3) uint8, and its gray: blobs of light and of other colors."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    lab = np.zeros((*SIZE, 3))
    lab[..., 0] = 50
    for _ in range(40):
        across, down, size = rng.uniform(0, SIZE[1]), rng.uniform(0, SIZE[0]), rng.uniform(4, 16)
        inside = (x - across) ** 2 + (y - down) ** 2 < size**2
        lab[inside] = rng.uniform(25, 80), *rng.uniform(-25, 25, 2)
    rgb = np.rint(lab_to_rgb(lab) * 255).clip(0, 255).astype(np.uint8)
    return rgb, gray_of(rgb)


def error(rgb: np.ndarray, other: np.ndarray) -> float:
    """Mean distance of the ab of two images of uint8, in Lab units."""
    one, two = (rgb_to_lab(x.astype(np.float32) / 255)[..., 1:] for x in (rgb, other))
    return float(np.linalg.norm(one - two, axis=-1).mean())


def changed(rgb: np.ndarray, how: str) -> np.ndarray:
    image = Image.fromarray(rgb)
    width, height = image.size
    if how == "half":
        image = image.resize((width // 2, height // 2), Image.Resampling.BICUBIC)
    elif how == "larger":
        image = image.resize((width * 3, height * 3), Image.Resampling.BICUBIC)
    elif how == "moved":
        image = image.transform(image.size, Image.Transform.AFFINE, (1, 0, -8, 0, 1, 5))
    elif how == "turned":
        image = image.rotate(2, Image.Resampling.BICUBIC)
    elif how == "pillars":
        wide = Image.new("RGB", (width + 60, height))
        wide.paste(image, (30, 0))
        image = wide
    elif how == "lighter":
        image = image.point(lambda code: round(255 * (code / 255) ** 0.8))
    return np.asarray(image)


@pytest.mark.parametrize("how", ["same", "half", "larger", "moved", "turned", "pillars", "lighter"])
def test_color_is_taken_from_versions_of_the_image(how):
    rgb, gray = scene()
    plain = colorizer()(gray, FAST)
    result = apply_color(plain, ColorSource(changed(rgb, how), "other.png", "abc"))
    np.testing.assert_array_equal(gray_of(result.rgb), gray)
    assert error(result.rgb, rgb) < 0.35 * error(plain.rgb, rgb)
    record = result.provenance["color_from"]
    assert record["sources"] == [{"name": "other.png", "sha256": "abc"}]
    assert record["agreement"] > 0.7


def test_deep_gray_stays_exact():
    rgb, gray = scene()
    deep = gray.astype(np.uint16) * 257 + 3
    result = apply_color(colorizer()(deep, FAST), ColorSource(rgb))
    assert result.rgb.dtype == np.uint16
    np.testing.assert_array_equal(gray_of(result.rgb), deep)
    assert error((result.rgb >> 8).astype(np.uint8), rgb) < 5


def test_where_structure_disagrees_the_color_of_the_networks_stays():
    rgb, gray = scene()
    half = rgb.copy()
    half[:, 80:] = scene(7)[0][:, 80:]
    plain = colorizer()(gray, FAST)
    result = apply_color(plain, ColorSource(half))
    inner = np.s_[:, 105:150]
    assert error(result.rgb[:, 10:60], rgb[:, 10:60]) < 0.4 * error(
        plain.rgb[:, 10:60], rgb[:, 10:60]
    )
    assert error(result.rgb[inner], plain.rgb[inner]) < 0.5 * error(half[inner], plain.rgb[inner])


def test_an_image_of_something_else_is_refused():
    plain = colorizer()(scene()[1], FAST)
    with pytest.raises(ImageError, match="image of the same thing"):
        apply_color(plain, ColorSource(scene(7)[0], "other.png"))


def test_sources_that_are_no_color(tmp_path):
    gray = scene()[1]
    Image.fromarray(gray).save(tmp_path / "gray.png")
    Image.fromarray(np.dstack([gray] * 3)).save(tmp_path / "rgb.png")
    for name in ("gray.png", "rgb.png"):
        with pytest.raises(ImageError, match="expected an image in color"):
            read_color_source(tmp_path / name)
    Image.fromarray(scene()[0]).save(tmp_path / "color.png")
    source = read_color_source(tmp_path / "color.png")
    assert (source.name, len(source.sha256)) == ("color.png", 64)


def test_mixtures_pass_from_one_color_to_the_other():
    one, other = (
        TakenColor(torch.full((1, 2, 2, 2), value), torch.ones(1, 1, 2, 2)) for value in (0.0, 8.0)
    )
    other.trust[..., 0] = 0  # there the first one is all there is
    taken = mixed([(one, 0.75), (other, 0.25)])
    assert taken.ab[0, 0].tolist() == [[0, 2], [0, 2]]
    assert (taken.trust == 1).all()


def test_a_flat_image_against_a_structured_one_is_not_trusted():
    lightness = torch.from_numpy(scene()[1].astype(np.float32) / 2.55)[None, None]
    flat = np.full((*SIZE, 3), (200, 90, 90), np.uint8)
    assert take_color(ColorSource(flat), lightness).agreement < 0.3
