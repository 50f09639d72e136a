"""Stacks, in memory and lazy."""

import subprocess
import sys
import weakref
from dataclasses import fields

import dask
import dask.array as da
import numpy as np
import pytest
from PIL import Image

from recolor_core import (
    Hint,
    HintsError,
    ImageError,
    Reference,
    WeightsError,
    colorize,
    colorize_frames,
    colorize_stack,
    stack,
)
from recolor_core.color_from import ColorSource, apply_color
from recolor_core.frames import FrameGuide
from recolor_core.lab import SRGB, gray_codes, rgb_to_lab
from recolor_core.stack import ColorizedStack

from .steady import SIZE, change_memory, pan

HINT = Hint(30, 20, "#c03020", 5)


@pytest.fixture
def stacked(film_colorizer):
    def colorized(images, **options):
        return colorize_stack(images, colorizer=film_colorizer, size=SIZE, **options)

    return colorized


def frames_of(colorizer, stack, **options):
    return [frame.result.rgb for frame in colorize_frames(colorizer, stack, size=SIZE, **options)]


@pytest.mark.slow
@pytest.mark.parametrize("passes", [1, 2])
def test_a_stack_is_its_frames(film_colorizer, stacked, passes):
    rgb = stacked(pan(4), passes=passes)
    assert rgb.dtype == np.uint8
    np.testing.assert_array_equal(rgb, frames_of(film_colorizer, pan(4), passes=passes))


@pytest.mark.slow
def test_time_may_be_any_axis_and_all_others_are_apart(film_colorizer, stacked):
    films = [pan(3, seed=1), pan(3, seed=2)]
    expected = [frames_of(film_colorizer, film) for film in films]
    depth_first = stacked(np.stack(films), time_axis=1)  # (Z, T, Y, X)
    np.testing.assert_array_equal(depth_first, expected)
    time_first = stacked(np.stack(films, 1))  # (T, Z, Y, X)
    np.testing.assert_array_equal(time_first, np.stack(expected, 1))


def test_without_time_every_image_is_by_itself(film_colorizer, stacked, monkeypatch):
    change_memory(monkeypatch, film_colorizer, None)
    rgb = stacked(pan(2), time_axis=None, hints={1: [HINT]})
    shown = {"find_photograph": False, "correct_tones": False}
    single = [film_colorizer(image, size=SIZE, **shown).rgb for image in pan(2)]
    np.testing.assert_array_equal(rgb[0], single[0])
    assert (rgb[1] != single[1]).any()


@pytest.mark.slow
def test_tinted_stacks(film_colorizer, stacked):
    tinted = np.stack([pan(2), pan(2) // 2, pan(2) // 3], -1)
    np.testing.assert_array_equal(stacked(tinted), frames_of(film_colorizer, tinted))
    with_alpha = np.concatenate((tinted, tinted[..., :1]), -1)
    np.testing.assert_array_equal(stacked(with_alpha), stacked(tinted))


def in_color(stack):
    return np.stack([stack, stack // 2, 255 - stack], axis=-1)


@pytest.mark.slow
@pytest.mark.parametrize("passes", [1, 2])
def test_references_and_the_color_of_other_images_over_time(film_colorizer, stacked, passes):
    stack, colored = pan(3), in_color(pan(3))
    sources = {i: ColorSource(colored[i], "by hand") for i in range(3)}
    reference = Reference(colored[0], "autochrome")
    for options, of_frames in (
        ({"references": [reference]}, {"references": [reference]}),
        (
            {"color_from": sources[1]},
            {"guides": {i: FrameGuide(sources=((sources[1], 1.0),)) for i in range(3)}},
        ),
        (
            {"color_from": sources},
            {"guides": {i: FrameGuide(sources=((sources[i], 1.0),)) for i in range(3)}},
        ),
    ):
        rgb = stacked(stack, passes=passes, **options)
        np.testing.assert_array_equal(
            rgb, frames_of(film_colorizer, stack, passes=passes, **of_frames)
        )
        lazy = stacked(da.from_array(stack, chunks=(1, 48, 64)), passes=passes, **options)
        np.testing.assert_array_equal(lazy.compute(), rgb)
    assert (rgb != stacked(stack, passes=passes)).any(axis=(1, 2, 3)).all()


def test_without_time_other_images_count_one_by_one(film_colorizer, stacked):
    stack, colored = pan(2), in_color(pan(2))
    source = ColorSource(colored[1], "by hand")
    rgb = stacked(stack, time_axis=None, color_from={1: source})
    plain = {"size": SIZE, "find_photograph": False, "correct_tones": False}
    np.testing.assert_array_equal(rgb[0], film_colorizer(stack[0], **plain).rgb)
    expected = apply_color(film_colorizer(stack[1], **plain), source)
    np.testing.assert_array_equal(rgb[1], expected.rgb)


@pytest.mark.slow
@pytest.mark.parametrize("chunks", [(1, 48, 64), (2, 20, 64), (5, 48, 30)])
@pytest.mark.parametrize("passes", [1, 2])
def test_a_lazy_stack_comes_out_as_one_in_memory_to_the_bit(stacked, chunks, passes, monkeypatch):
    for module in ("frames", "stack"):
        monkeypatch.setattr(f"recolor_core.{module}.BLOCK", 2)
    monkeypatch.setattr("recolor_core.frames.AHEAD", 1)
    stack, options = pan(5), {"passes": passes, "stages": True, "hints": {1: [HINT], 4: [HINT]}}
    lazy = stacked(da.from_array(stack, chunks=chunks), **options)
    known = stacked(stack, **options)
    arrays = {field.name: getattr(lazy, field.name) for field in fields(ColorizedStack)}
    assert all(isinstance(array, da.Array) for array in arrays.values())
    computed = dask.compute(arrays)[0]
    for name, array in arrays.items():
        expected = getattr(known, name)
        assert (array.shape, array.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_array_equal(computed[name], expected)


@pytest.mark.slow
@pytest.mark.parametrize("time_axis", [0, 1, None])
def test_lazy_stacks_of_more_axes(stacked, time_axis):
    stack = np.stack([pan(2, seed=1), pan(2, seed=2), pan(2, seed=3)])
    lazy = stacked(da.from_array(stack, chunks=(2, 1, 48, 64)), time_axis=time_axis)
    np.testing.assert_array_equal(lazy.compute(), stacked(stack, time_axis=time_axis))


def test_a_lazy_tinted_stack(stacked):
    tinted = np.stack([pan(2), pan(2) // 2, pan(2) // 3], -1)
    lazy = stacked(da.from_array(tinted, chunks=(1, 48, 64, 1)))
    np.testing.assert_array_equal(lazy.compute(), stacked(tinted))


def counted(stack, read):
    def chunk(block_info=None):
        t = block_info[None]["chunk-location"][0]
        read.append(t)
        return stack[t : t + 1]

    shape = ((1,) * len(stack), *((n,) for n in stack.shape[1:]))
    return da.map_blocks(chunk, dtype=stack.dtype, chunks=shape, meta=np.empty((0, 0, 0), "u1"))


def test_to_compute_all_reads_every_frame_once(stacked):
    read = []
    lazy = stacked(counted(pan(5), read))
    assert read == []
    lazy.compute()
    assert sorted(read) == [0, 1, 2, 3, 4]


@pytest.mark.slow
def test_a_frame_needs_those_before_it_and_is_alone_refined(film_colorizer, stacked, monkeypatch):
    refined = []
    refine = type(film_colorizer).refine

    def counting(self, coarse, *arguments):
        refined.append(coarse)
        return refine(self, coarse, *arguments)

    monkeypatch.setattr(type(film_colorizer), "refine", counting)
    read = []
    lazy = stacked(counted(pan(5), read))
    third = lazy[2].compute()
    assert sorted(read) == [0, 1, 2]
    assert len(refined) == 1
    np.testing.assert_array_equal(third, stacked(pan(5))[2])


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
@pytest.mark.parametrize("passes", [1, 2])
def test_what_is_held_of_a_lazy_stack_does_not_grow_with_it(
    stacked, monkeypatch, scheduler, passes
):
    for module in ("frames", "stack"):
        monkeypatch.setattr(f"recolor_core.{module}.BLOCK", 1)
    monkeypatch.setattr("recolor_core.frames.AHEAD", 1)
    read, seen, held = [], weakref.WeakSet(), []
    see = stack._Way.see_chunk

    def watched(*arguments, **options):
        result = see(*arguments, **options)
        seen.update(result)
        held.append(len(seen))
        return result

    monkeypatch.setattr(stack._Way, "see_chunk", watched)
    for source in (counted(pan(12), read), da.from_array(pan(12), chunks=(1, 48, 64))):
        lazy = stacked(source, passes=passes)
        da.store(lazy, np.empty(lazy.shape, "u1"), scheduler=scheduler, num_workers=2)
        assert max(held) <= 4
    assert sorted(read) == list(range(12))


@pytest.mark.slow
def test_array_likes_are_read_image_by_image(stacked):
    class Like:
        shape, dtype, ndim = (3, 48, 64), np.dtype("u1"), 3

        def __getitem__(self, index):
            assert len(index) == 1
            return pan(3)[index]

        def __array__(self, *arguments, **more):
            raise AssertionError("the whole stack was read")

    np.testing.assert_array_equal(stacked(Like()), stacked(pan(3)))
    np.testing.assert_array_equal(stacked(list(pan(3))), stacked(pan(3)))


@pytest.mark.parametrize("lazy", [False, True])
def test_automatic_levels_are_those_of_the_whole_stack(film_colorizer, stacked, lazy):
    stack = pan(3).astype(np.float32) * [[[1]], [[2]], [[3]]] - 100
    stack[0, 0, 0] = np.nan
    levels = (float(np.nanmin(stack)), float(np.nanmax(stack)))
    given = da.from_array(stack, chunks=(1, 48, 64)) if lazy else stack
    rgb = np.asarray(stacked(given, levels="auto"))
    assert rgb.dtype == np.float64
    np.testing.assert_array_equal(rgb, frames_of(film_colorizer, stack, levels=levels))


def test_stages_are_those_of_the_frames(film_colorizer, stacked):
    stages = stacked(pan(2), stages=True)
    for i, frame in enumerate(colorize_frames(film_colorizer, pan(2), size=SIZE)):
        for field in fields(stages):
            expected = getattr(frame.result, field.name)
            np.testing.assert_array_equal(getattr(stages, field.name)[i], expected)


@pytest.mark.parametrize("dtype", [bool, np.uint16, np.float16, np.float32, np.float64, ">u2"])
def test_dtypes_are_those_of_single_images(film_colorizer, stacked, dtype):
    dtype = np.dtype(dtype)
    stack = (pan(2) / 255).astype(dtype) if dtype.kind in "fb" else pan(2).astype(dtype) * 257
    expected = film_colorizer(stack[0], size=SIZE).rgb.dtype
    assert stacked(stack).dtype == expected
    lazy = stacked(da.from_array(stack, chunks=(1, 48, 64)))
    assert lazy.dtype == lazy.compute().dtype == expected


@pytest.mark.parametrize(
    ("stack", "options", "error", "message"),
    [
        (np.zeros((20, 30), "u1"), {}, ImageError, r"expected a stack .* recolor_core.colorize$"),
        (np.zeros((20, 30, 3), "u1"), {}, ImageError, "a single image is for"),
        (np.zeros((0, 20, 30), "u1"), {}, ImageError, "at least one image"),
        (pan(2), {"time_axis": 1}, ImageError, "time_axis from 0 to 0"),
        (pan(2), {"time_axis": -3}, ImageError, "or None, got -3"),
        (pan(2), {"passes": 0}, ImageError, "1 or 2 passes"),
        (pan(2), {"alternatives": 1, "time_axis": None}, ImageError, "no alternatives"),
        (pan(2).astype(int), {}, ImageError, "levels="),
        (pan(2) * 1j, {}, ImageError, "complex"),
        (pan(2), {"levels": "all"}, ImageError, 'or "auto"'),
        (np.full((2, 9, 9), np.nan), {"levels": "auto"}, ImageError, "at least one number"),
        (pan(2), {"hints": {2: [HINT]}}, HintsError, r"within \(2,\), got hints at 2"),
        (pan(2), {"hints": {(0, 0): [HINT]}}, HintsError, "one number for each axis"),
        (
            pan(2),
            {"color_from": {2: ColorSource(np.zeros((9, 9, 3), "u1"))}},
            HintsError,
            r"within \(2,\), got images in color at 2",
        ),
    ],
)
def test_what_cannot_be_colorized_is_refused(stacked, stack, options, error, message):
    with pytest.raises(error, match=message):
        stacked(stack, **options)
    with pytest.raises(error, match=message):
        stacked(da.from_array(stack, chunks=-1), **options)


def test_weights_without_a_memory_say_what_to_do(film_colorizer, stacked, monkeypatch):
    change_memory(monkeypatch, film_colorizer, None)
    with pytest.raises(WeightsError, match="no color memory; pass time_axis=None"):
        stacked(pan(2))


@pytest.mark.slow
def test_weights_are_loaded_by_name(film_colorizer):
    rgb = colorize_stack(pan(2), weights=film_colorizer.record.file, device="cpu", size=SIZE)
    np.testing.assert_array_equal(rgb, frames_of(film_colorizer, pan(2)))


def test_a_single_image_call_points_to_stacks():
    with pytest.raises(ImageError, match=r"shape \(2, 48, 64\); a stack is for .*colorize_stack"):
        colorize(pan(2))


@pytest.mark.slow
def test_dask_is_not_loaded_for_arrays_in_memory():
    code = "import recolor_core.stack, sys; sys.exit('dask' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_list_of_pillow_images_is_a_stack_of_what_they_show(film_colorizer):
    stack = pan(2)
    images = [Image.fromarray(image).quantize(256) for image in stack]
    shown = np.stack([np.asarray(image.convert("RGB")) for image in images])
    made = [colorize_stack(s, colorizer=film_colorizer, size=SIZE) for s in (images, shown)]
    np.testing.assert_array_equal(*made)


def test_a_list_of_images_of_different_sizes_is_refused(film_colorizer):
    with pytest.raises(ImageError, match="images of one size and kind"):
        colorize_stack([pan(1)[0], pan(1)[0][:-3]], colorizer=film_colorizer)


def view(seed=7):
    """A still image with some structure."""
    coarse = np.random.default_rng(seed).integers(40, 216, (12, 16)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((64, 48), Image.Resampling.BICUBIC))


@pytest.fixture
def red_and_green():
    """Hints on everything of the first and the last of seven images."""
    return {0: [Hint(30, 24, "#c04030", 60)], 6: [Hint(30, 24, "#308040", 60)]}


def mean_ab(rgb):
    return rgb_to_lab(rgb / 255)[..., 1:].mean((1, 2))


@pytest.mark.slow
@pytest.mark.parametrize("passes", [1, 2])
def test_colors_pass_from_hinted_image_to_hinted_image(stacked, red_and_green, passes):
    stack = np.stack([view()] * 7)
    a = mean_ab(stacked(stack, hints=red_and_green, passes=passes))[:, 0]
    assert a[0] > 15
    assert a[6] < -10
    assert (np.diff(a) < 0).all()
    assert np.abs(np.diff(a)).max() < 2 * np.abs(np.diff(a)).mean()


@pytest.mark.slow
def test_hints_hold_backward_and_end_at_a_cut(stacked):
    first, other = np.stack([view()] * 3), np.stack([view(8)] * 2)
    hints = {2: [Hint(30, 24, "#c04030", 60)]}
    stack = np.concatenate([first, other])
    plain, hinted = (mean_ab(stacked(stack, hints=h))[:, 0] for h in ({}, hints))
    assert (hinted[:3] > plain[:3] + 10).all()
    np.testing.assert_allclose(hinted[3:], plain[3:], atol=0.5)


def test_dark_images_keep_the_color_of_their_hints(stacked):
    stack = np.stack([view() // 50] * 3)  # a film would call it leader
    rgb = stacked(stack, hints={0: [Hint(30, 24, "#c04030", 60)]}, levels=(0, 255))
    assert np.ptp(rgb, axis=-1).max() > 0


def worn(count=6):
    """A still image under a light that flickers."""
    rng = np.random.default_rng(1)
    light = 1 + 0.1 * rng.normal(size=count)
    return np.stack([np.clip(view() * gain, 0, 255).astype(np.uint8) for gain in light])


@pytest.mark.slow
def test_with_a_cleaned_copy_colors_flicker_less_and_the_gray_stays(stacked):
    stack = worn()

    def flicker(**options):
        stages = stacked(stack, stages=True, **options)
        return np.abs(np.diff(stages.ab_coarse, axis=0)).mean(), stages.rgb

    before, _ = flicker()
    after, rgb = flicker(clean=True)
    assert after < before
    for image, gray in zip(rgb, stack, strict=True):
        np.testing.assert_array_equal(gray_codes(image, SRGB), gray)


@pytest.mark.slow
@pytest.mark.parametrize(("passes", "chunk"), [(1, 2), (2, 1), (2, 2), (2, 7)])
def test_a_lazy_stack_with_all_that_is_looked_for_first_is_one_in_memory(
    stacked, red_and_green, passes, chunk, monkeypatch
):
    for module in ("frames", "stack"):
        monkeypatch.setattr(f"recolor_core.{module}.BLOCK", 2)
    monkeypatch.setattr("recolor_core.frames.AHEAD", 1)
    two = np.stack([worn(7), np.stack([view()] * 7)], axis=1)  # (T, Z, Y, X)
    hints = {(at, 1): marks for at, marks in red_and_green.items()}
    options = {"passes": passes, "clean": True, "hints": hints}
    lazy = stacked(da.from_array(two, chunks=(chunk, 1, 48, 64)), **options)
    np.testing.assert_array_equal(lazy.compute(), stacked(two, **options))


@pytest.mark.slow
def test_a_lazy_stack_is_read_once_more_for_its_hints(stacked):
    read = []
    lazy = stacked(counted(pan(5), read), hints={3: [HINT]})
    assert read == []
    lazy.compute()
    assert sorted(read) == sorted(2 * list(range(5)))


def test_hints_outside_of_their_image_are_refused_at_once(stacked):
    with pytest.raises(HintsError, match="within"):
        stacked(da.from_array(pan(2), chunks=-1), hints={1: [Hint(300, 20, "#c03020")]})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"hints": [Hint(1, 1, "#c80000")]}, "expected a dict of hints by position"),
        ({"hints": {0: Hint(1, 1, "#c80000")}}, r"expected hints at \(0,\) as a list of Hint"),
        (
            {"references": [np.zeros((8, 8, 3), np.uint8)]},
            "expected each of references as Reference, got an object of type ndarray; make",
        ),
        ({"references": Reference(np.zeros((8, 8, 3), np.uint8))}, "make one of each image with"),
    ],
)
def test_what_is_given_in_another_form_is_refused_in_words(given, words):
    with pytest.raises((HintsError, ImageError), match=words):
        colorize_stack(np.zeros((2, 8, 8), np.uint8), **given)
