"""The compiled kernel: the same colors as NumPy's, and gray that is the input at every code."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recolor_core import full_resolution
from recolor_core.full_resolution import color_strips, strip_rows, strip_tops
from recolor_core.full_resolution.kernel import LIBRARY, load_kernel
from recolor_core.lab import SRGB, max_code
from tests.core.test_lab import SPACES, differing, every_code, every_space

INTEGERS = [torch.uint8, torch.uint16]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", autouse=True)
def kernel():
    """Build the kernel unless it is there and current; without it these tests would test NumPy."""
    if load_kernel() is None:
        subprocess.run([sys.executable, str(ROOT / "hatch_build.py")], check=True)
        load_kernel.cache_clear()
    assert load_kernel() is not None
    return load_kernel()


@pytest.fixture
def by_numpy(monkeypatch):
    """Colors of an image without the kernel."""

    def colors(*image):
        with monkeypatch.context() as patch:
            patch.setattr(full_resolution, "load_kernel", lambda: None)
            return whole(*image)

    return colors


def whole(codes, space, ab, guide):
    rgb = np.concatenate(list(color_strips(codes.numpy(), space, ab.numpy(), guide.numpy())))
    return torch.from_numpy(rgb).permute(2, 0, 1)


def scene(size, scale=20.0, seed=0):
    random = torch.Generator().manual_seed(seed)
    ab = torch.randn(2, *size, generator=random) * scale
    return ab, torch.rand(size, generator=random) * 100


def codes_of(shape, dtype, seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.randint(max_code(dtype) + 1, shape, generator=random).to(dtype)


@every_space
@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("scale", [0.0, 3.0, 25.0, 400.0])
def test_every_gray_code_comes_back_whatever_the_color(dtype, space, scale):
    codes = every_code(dtype).reshape(-1, 256).repeat(1, 3)
    rgb = whole(codes, space, *scene((7, 9), scale))
    assert differing(rgb, codes, space) == 0


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("angle", range(0, 360, 15))
def test_every_gray_code_comes_back_along_every_hue(dtype, angle):
    codes = every_code(dtype).reshape(-1, 256)
    radians = torch.tensor(angle / 180 * torch.pi)
    ab = 60 * torch.stack((radians.cos(), radians.sin()))[:, None, None].expand(2, 4, 4)
    assert differing(whole(codes, SRGB, ab, torch.full((4, 4), 50.0)), codes) == 0


@every_space
@pytest.mark.parametrize("dtype", INTEGERS)
def test_colors_are_those_of_numpy(by_numpy, dtype, space):
    codes = codes_of((300, 1100), dtype)
    image = (codes, space, *scene((30, 50)))
    ours, theirs = whole(*image).int(), by_numpy(*image).int()
    # The chroma is interpolated in another order, which moves a code that is about to round. At the
    # border of the gamut it may move the last step of the bisection, 2^-11 of the chroma.
    apart = (ours - theirs).abs().amax(0)
    assert (apart > 0).float().mean() < (0.002 if dtype == torch.uint8 else 0.05)
    assert (apart > max_code(dtype) / 255 * 1.5).float().mean() < 0.001


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(1, 40), st.integers(1, 1200)),
    st.sampled_from(INTEGERS),
    st.sampled_from(sorted(SPACES)),
)
def test_any_shape_keeps_its_gray(size, shape, dtype, name):
    codes = codes_of(shape, dtype)
    rgb = whole(codes, SPACES[name], *scene(size))
    assert rgb.shape == (3, *shape)
    assert differing(rgb, codes, SPACES[name]) == 0


@pytest.mark.parametrize("dtype", INTEGERS)
def test_strips_and_threads_change_no_bit(monkeypatch, dtype):
    image = (codes_of((97, 700), dtype), SRGB, *scene((20, 30)))
    once = whole(*image)
    monkeypatch.setattr(full_resolution, "STRIP", 700 * 3)
    monkeypatch.setattr(full_resolution, "thread_count", lambda: 3)
    assert strip_rows(700) == 3
    assert torch.equal(whole(*image), once)


@pytest.mark.parametrize("first_row", [0, 2, 50, 96])
def test_strips_may_begin_with_the_rows_in_view(monkeypatch, first_row):
    monkeypatch.setattr(full_resolution, "STRIP", 700 * 3)
    codes, size = codes_of((97, 700), torch.uint8), (97, 700)
    image = (codes, SRGB, *scene((20, 30)))
    arrays = (codes.numpy(), SRGB, *(part.numpy() for part in image[2:]))
    tops, strips = strip_tops(size, first_row), list(color_strips(*arrays, first_row=first_row))
    assert tops[0] <= first_row < tops[0] + len(strips[0])
    rgb = np.zeros((*size, 3), np.uint8)
    for top, strip in zip(tops, strips, strict=True):
        rgb[top : top + len(strip)] = strip
    np.testing.assert_array_equal(rgb, whole(*image).permute(1, 2, 0).numpy())


def test_rows_that_lie_apart_in_memory_are_read_right():
    codes = codes_of((20, 64), torch.uint16)
    image = (SRGB, *scene((5, 6)))
    assert torch.equal(whole(codes[::2, :33], *image), whole(codes[::2, :33].clone(), *image))


@pytest.mark.parametrize("value", [1e4, 1e30, -1e30])
def test_absurd_color_keeps_the_gray(value):
    codes = every_code(torch.uint16).reshape(256, 256)
    ab = torch.full((2, 3, 3), value)
    assert differing(whole(codes, SRGB, ab, torch.full((3, 3), 50.0)), codes) == 0


def test_floating_point_is_computed_by_numpy(by_numpy):
    image = (torch.rand(20, 30), SRGB, *scene((5, 6)))
    assert torch.equal(whole(*image), by_numpy(*image))


def test_a_library_of_another_interface_is_not_used(monkeypatch, tmp_path, caplog):
    spec = importlib.util.find_spec("recolor_core.full_resolution.kernel")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.LIBRARY = tmp_path / "none.so"
    with caplog.at_level("DEBUG"):
        assert module.load_kernel() is None
    assert "NumPy computes the full resolution" in caplog.text
    module.load_kernel.cache_clear()
    module.LIBRARY, module._INTERFACE = LIBRARY, -1
    with caplog.at_level("DEBUG"):
        assert module.load_kernel() is None
    assert "build it again" in caplog.text
