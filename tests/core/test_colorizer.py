"""The whole way of an image, with the weights that come with the package.

``python tests/core/test_colorizer.py`` writes `golden.npz` anew, after new weights say.
"""

import json
import subprocess
import sys
from contextlib import nullcontext
from importlib.metadata import version
from itertools import count, islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from recolor_core import (
    Colorizer,
    DeviceWarning,
    Hint,
    HintsError,
    ImageError,
    Settings,
    colorize,
    full_resolution,
    inference,
    list_weights,
)
from recolor_core.blotches import calm_blotches, even_chroma
from recolor_core.full_resolution.kernel import CompiledColors
from recolor_core.gray import read_gray, working_size
from recolor_core.lab import SRGB, ColorSpace, ToneCurve, gray_codes, lightness, rgb_to_lab, to_rgb
from recolor_core.palette import palette_of_colors

SAMPLES = Path(inference.__file__).parent / "data" / "samples"
GOLDEN = Path(__file__).with_name("golden.npz")
SMALL = Settings(size=48)


@pytest.fixture(scope="module")
def recolor():
    return Colorizer(device="cpu")


@pytest.fixture(scope="module")
def exact():
    return Colorizer(device="cpu", runtime="torch")


@pytest.fixture(scope="module")
def photograph():
    """Ansel Adams for the US National Park Service, 1941; public domain. (452, 588) uint8."""
    return read_sample("colorado.png")


def read_sample(name):
    with Image.open(SAMPLES / name) as image:
        return np.asarray(image)


def image(shape, dtype="u1", seed=0):
    unit = np.random.default_rng(seed).random(shape)
    return unit.astype(dtype) if dtype[0] == "f" else (unit * np.iinfo(dtype).max).astype(dtype)


def gray_of(rgb, space=SRGB):
    return gray_codes(rgb, space)


def same(first, second):
    """Whether two colorizations agree to the byte."""
    return all(
        np.array_equal(getattr(first, name), getattr(second, name))
        for name in ("rgb", "L", "ab_coarse", "ab_refined", "uncertainty", "working_lightness")
    )


# Views


def test_one_view_is_what_the_generator_says(recolor, photograph):
    assert same(recolor(photograph, size=64), recolor(photograph, size=64, views=1))


def test_views_change_colors_but_neither_gray_nor_shape(recolor, photograph):
    one, more = recolor(photograph, size=64), recolor(photograph, size=64, views=2)
    assert more.ab_coarse.shape == one.ab_coarse.shape
    assert more.uncertainty.shape == one.uncertainty.shape
    np.testing.assert_array_equal(gray_of(more.rgb), gray_of(one.rgb))
    assert 0 < np.abs(more.ab_coarse - one.ab_coarse).mean() < 10
    assert more.provenance["settings"]["views"] == 2
    seen = recolor.generate(read_gray(photograph), size=64, views=2)
    told = recolor.refine(seen).provenance["settings"]
    assert (told["size"], told["views"]) == (64, 2)  # as it was seen, whatever is asked for later


def test_two_views_know_less_of_left_and_right(recolor, photograph):
    def lopsided(views):
        there, back = recolor(photograph, size=64, views=views), photograph[:, ::-1]
        mirrored = recolor(np.ascontiguousarray(back), size=64, views=views)
        return np.abs(there.ab_coarse - mirrored.ab_coarse[..., ::-1]).mean()

    assert lopsided(2) < lopsided(1)


def test_views_of_images_of_nearly_one_size_go_together(recolor):
    images = [image((100, 150)), image((100, 149))]
    results = list(recolor.map(images, size=64, views=2, batch=2))
    assert [result.shape for result in results] == [(100, 150), (100, 149)]


# Sizes and depths


def test_reference_size(recolor, photograph):
    result = recolor(photograph[:224, :224])
    assert result.working_lightness.shape == (224, 224)
    assert result.ab_coarse.shape == (2, 56, 56)
    assert result.uncertainty.shape == (56, 56)
    assert result.ab_refined.shape == (2, 224, 224)
    assert result.rgb.shape == (224, 224, 3)


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 9), (9, 1), (1, 3000), (900, 2), (3, 7), (33, 57), (101, 64)]
)
def test_any_size_comes_back_as_it_went_in(recolor, shape):
    array = image(shape)
    result = recolor(array, size=32)
    height, width = working_size(shape, 32)
    assert result.shape == result.L.shape == shape
    assert result.working_lightness.shape == (height, width)
    assert result.ab_refined.shape == (2, height, width)
    assert result.ab_coarse.shape == (2, -(-height // 4), -(-width // 4))
    assert result.uncertainty.shape == result.ab_coarse.shape[1:]
    assert result.rgb.shape == (*shape, 3)
    assert np.isfinite(result.ab_refined).all()
    np.testing.assert_array_equal(gray_of(result.rgb), array)


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ((448, 672), 224, (224, 336)),
        ((672, 448), 224, (336, 224)),
        ((10, 10), 224, (224, 224)),
        ((1, 1), 32, (32, 32)),
        ((100, 800), 64, (64, 512)),
        ((100, 1600), 64, (32, 512)),  # at most eight times as long as `size`
        ((1, 100_000), 64, (1, 512)),
        ((1, 1), 4096, (224, 224)),  # a small image is not enlarged to any size
        ((100, 150), 4096, (400, 600)),
    ],
)
def test_the_working_size_keeps_the_aspect_ratio(shape, size, expected):
    assert working_size(shape, size) == expected


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "f8"])
def test_the_gray_of_the_result_is_the_input(recolor, photograph, dtype):
    array = image((60, 90), dtype) if dtype != "u1" else photograph
    result = recolor(array, SMALL)
    assert result.rgb.dtype == array.dtype
    tolerance = 1e-14 if dtype == "f8" else 0
    np.testing.assert_allclose(gray_of(result.rgb), array, rtol=0, atol=tolerance)
    assert np.ptp(result.rgb, axis=2).mean() > 0  # and it is in color


def test_a_tinted_scan_keeps_its_luminance(recolor):
    sepia = read_sample("deadwood.jpg")
    result = recolor(sepia, SMALL)
    np.testing.assert_array_equal(gray_of(result.rgb), gray_of(sepia))
    assert "color" in result.provenance["reading"]
    assert same(result, recolor(gray_of(sepia), SMALL))  # its tint decides nothing


def test_gray_color_and_alpha_of_one_image_give_one_result(recolor, photograph):
    gray = recolor(photograph, SMALL)
    rgb = np.repeat(photograph[..., None], 3, axis=2)
    rgba = np.concatenate((rgb, image((*photograph.shape, 1))), axis=2)
    assert same(recolor(rgb, SMALL), gray)
    assert same(recolor(rgba, SMALL), gray)


def test_another_color_space_is_kept(recolor):
    linear = ColorSpace("linear", ToneCurve(1, a=1, b=0, c=1, d=0))
    array = image((50, 70), "u2")
    result = recolor(array, SMALL, space=linear)
    np.testing.assert_array_equal(gray_of(result.rgb, linear), array)
    np.testing.assert_allclose(
        result.L, rgb_to_lab(np.repeat(array[..., None], 3, axis=2), linear)[..., 0], atol=1e-3
    )


def test_levels_make_other_numbers_a_image(recolor):
    array = np.random.default_rng(0).normal(1000, 300, (40, 50)).astype(np.int32)
    result = recolor(array, SMALL, levels=(0, 2000))
    expected = np.rint(np.clip(array / 2000, 0, 1) * 65535)
    np.testing.assert_array_equal(gray_of(result.rgb), expected)


@pytest.mark.parametrize(
    "image", [np.zeros((0, 4), np.uint8), np.zeros((2, 2), np.int16), np.full((2, 2), np.nan)]
)
def test_what_is_no_image_is_refused(recolor, image):
    with pytest.raises(ImageError):
        recolor(image)
    with pytest.raises(ImageError):
        list(recolor.events(image))
    with pytest.raises(ImageError):
        list(recolor.map([image]))


# The stages of the result


def test_the_stages_are_those_of_the_image(recolor, photograph):
    result = recolor(photograph, SMALL)
    np.testing.assert_allclose(result.L, lightness(photograph))
    coarse = recolor.generate(read_gray(photograph), SMALL)
    np.testing.assert_array_equal(coarse.lightness[0, 0], result.working_lightness)
    assert same(recolor.refine(coarse, SMALL), result)
    assert np.abs(result.ab_refined).max() < 128
    assert 0 < result.uncertainty.min() < result.uncertainty.max() < 128
    # The image in color has the chroma that was predicted, carried to its size.
    shown = rgb_to_lab(result.rgb.astype(np.float64) / 255)[..., 1:].mean((0, 1))
    np.testing.assert_allclose(shown, result.ab_refined.mean((1, 2)), atol=2)


def test_strips_are_the_image(recolor, photograph, monkeypatch):
    result = recolor(photograph, SMALL)
    monkeypatch.setattr("recolor_core.full_resolution.STRIP", 50 * photograph.shape[1])
    strips = list(result.strips())
    assert len(strips) == result.strip_count == 10
    assert [len(strip) for strip in strips] == [50] * 9 + [2]
    np.testing.assert_array_equal(np.concatenate(strips), result.rgb)


@pytest.mark.parametrize("rows", [1, 7, 100_000])
def test_the_result_does_not_depend_on_the_strips(recolor, monkeypatch, rows):
    array = image((97, 131), "u2")
    expected = recolor(array, SMALL).rgb
    monkeypatch.setattr("recolor_core.full_resolution.STRIP", rows * array.shape[1])
    np.testing.assert_array_equal(recolor(array, SMALL).rgb, expected)


def test_a_prediction_that_is_used_again_gives_the_same_bytes(recolor, photograph):
    palette = palette_of_colors(["#804020", "#3060a0"])
    ways = [
        {"settings": Settings(vividness=0.2)},
        {"palette": palette, "hints": [Hint(100, 100, "#c03040", 9.0)]},
        {"settings": Settings(vividness=0.9, alternatives=1), "palette": palette},
        {"hints": [Hint(100, 100, "#c03040", 9.0), Hint(400, 90, "#30a040")]},
    ]
    kept = recolor.generate(read_gray(photograph), SMALL)
    for way in ways * 2:
        fresh = recolor.generate(read_gray(photograph), SMALL)
        assert same(recolor.refine(kept, **way), recolor.refine(fresh, **way))
        ab = recolor.coarse_ab(kept, **way)
        ab += 5  # is the caller's own
    assert kept.with_ab(ab).things is kept.things


def test_strips_of_another_chroma(recolor, photograph):
    result = recolor(photograph, SMALL)
    strips = np.concatenate(list(result.strips(np.zeros_like(result.ab_refined))))
    np.testing.assert_array_equal(strips, np.repeat(photograph[..., None], 3, axis=2))


def test_provenance_says_how_it_came_to_be(recolor, photograph):
    hint = Hint(5, 6, "#102030", 2.0)
    settings = Settings(vividness=0.25, saturation=1.5, size=40, alternatives=1)
    said = recolor(photograph, settings, hints=[hint]).provenance
    assert json.loads(json.dumps(said)) == said
    assert said["version"] == version("napari-recolor")
    assert said["weights"]["name"] == "default"
    assert said["weights"]["sha256"] == list_weights()[0].sha256 == recolor.record.sha256
    assert Settings(**said["settings"]) == settings
    assert [Hint(**entry) for entry in said["hints"]] == [hint]
    assert said["device"] == {"generator": "cpu", "refiner": "cpu"}
    assert said["reading"] == "uint8 gray, sRGB"


# The same again


def test_weights_make_what_they_made(exact, photograph):
    recolor = exact  # test_runtime.py compares the other runtime with this one
    with np.load(GOLDEN) as golden:
        assert str(golden["weights"]) == recolor.record.sha256, "other weights: write it anew"
        result = golden_result(recolor, photograph)
        # Kept in half precision; another processor adds up in another order.
        for name in ("ab_coarse", "ab_refined", "uncertainty", "hinted"):
            np.testing.assert_allclose(result[name], golden[name], rtol=0, atol=0.1, err_msg=name)
        assert np.abs(result["rgb"].astype(int) - golden["rgb"]).max() <= 2


def golden_result(recolor, photograph):
    result = recolor(photograph, size=96)
    hinted = recolor(photograph, size=96, hints=[Hint(300, 60, "#d08040", 20.0)])
    return {
        "ab_coarse": result.ab_coarse.astype(np.float16),
        "ab_refined": result.ab_refined[:, 1::2, 1::2].astype(np.float16),
        "uncertainty": result.uncertainty.astype(np.float16),
        "hinted": hinted.ab_coarse.astype(np.float16),
        "rgb": result.rgb[8::16, 8::16],
        "weights": np.array(recolor.record.sha256),
    }


def test_the_same_twice_is_the_same_to_the_byte(recolor, photograph):
    settings = Settings(size=64, alternatives=2)
    first, second = recolor(photograph, settings), Colorizer(device="cpu")(photograph, settings)
    assert same(first, second)
    assert all(map(np.array_equal, first.ab_alternatives, second.ab_alternatives))
    assert first.provenance == second.provenance


@pytest.mark.slow
def test_another_process_gives_the_same_to_the_byte(recolor, photograph, tmp_path):
    code = (
        "import sys, numpy as np; from recolor_core import Colorizer;"
        "np.save(sys.argv[2], Colorizer(device='cpu')(np.load(sys.argv[1]), size=64).rgb)"
    )
    np.save(tmp_path / "gray.npy", photograph)
    paths = [str(tmp_path / "gray.npy"), str(tmp_path / "rgb.npy")]
    subprocess.run([sys.executable, "-c", code, *paths], check=True)
    np.testing.assert_array_equal(np.load(paths[1]), recolor(photograph, size=64).rgb)


@pytest.mark.slow
def test_the_number_of_threads_changes_no_byte_of_the_quantized_networks(photograph):
    pytest.importorskip("onnxruntime")
    options = {
        "size": 96,
        "views": 2,
        "alternatives": 1,
        "palette": palette_of_colors(["#5b3a1e", "#6ca0dc"]),
        "hints": [Hint(300, 60, "#d08040", 20.0)],
    }
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            results.append(Colorizer(device="cpu", runtime="onnxruntime")(photograph, **options))
    finally:
        torch.set_num_threads(threads)
    assert all(same(result, results[0]) for result in results)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1, 1), (7, 3), (33, 47)])
def test_the_number_of_threads_changes_no_byte_of_the_mathematics_of_colors(recolor, size):
    logits = 4 * torch.randn(2, len(recolor.bins.bins), *size)
    colors = torch.from_numpy(palette_of_colors(["#5b3a1e", "#6ca0dc"]))

    def everything():
        steered = recolor.bins.steered(logits, colors)
        uncertainty = recolor.bins.uncertainty(logits)
        return [recolor.bins.mean_color(logits, 0.4), uncertainty, steered]

    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2, 5, 8):
            torch.set_num_threads(count)
            results.append(everything())
    finally:
        torch.set_num_threads(threads)
    for result in results[1:]:
        assert all(map(torch.equal, result, results[0]))


def test_calls_do_not_depend_on_each_other(recolor, photograph):
    before = recolor(photograph, SMALL)
    recolor(image((30, 40), "f4"), vividness=1, size=40, hints=[Hint(3, 3, "#ff0000")])
    assert same(recolor(photograph, SMALL), before)


def test_colorize_is_a_colorizer_called_once(recolor, photograph):
    settings = {"size": 48, "saturation": 0.5}
    assert same(colorize(photograph, device="cpu", **settings), recolor(photograph, **settings))


# Several images


def test_map_gives_what_calls_give(recolor):
    images = [image(s, seed=i) for i, s in enumerate([(40, 60), (80, 120), (60, 40), (60, 40)])]
    results = list(recolor.map(images, SMALL))
    assert len(results) == 4
    assert all(same(a, recolor(b, SMALL)) for a, b in zip(results, images, strict=True))


@pytest.mark.parametrize("batch", [2, 3, 10])
def test_batches_give_what_calls_give_in_order(recolor, batch):
    shapes = [(40, 60), (80, 120), (40, 60), (60, 40), (60, 40), (40, 60)]
    images = [image(shape, seed=i) for i, shape in enumerate(shapes)]
    results = list(recolor.map(images, SMALL, batch=batch))
    assert len(results) == len(images)
    for result, array in zip(results, images, strict=True):
        np.testing.assert_array_equal(gray_of(result.rgb), array)
        np.testing.assert_allclose(
            result.ab_refined, recolor(array, SMALL).ab_refined, rtol=0, atol=0.01
        )


def test_map_takes_images_as_they_are_asked_for(recolor):
    taken = []
    endless = (taken.append(i) or image((40, 60), seed=i) for i in count())
    assert len(list(islice(recolor.map(endless, SMALL), 2))) == 2
    assert len(taken) <= 3


@pytest.mark.parametrize("batch", [0, -1])
def test_a_batch_of_nothing_is_refused(recolor, batch):
    with pytest.raises(ImageError, match="batch"):
        list(recolor.map([image((40, 60))], SMALL, batch=batch))


# Progress and cancelling


def test_events_tell_every_step_and_end_with_what_a_call_gives(recolor, photograph, monkeypatch):
    monkeypatch.setattr("recolor_core.full_resolution.STRIP", 100 * photograph.shape[1])
    events = list(recolor.events(photograph, SMALL))
    assert [(e.stage, e.done, e.total) for e in events] == [
        ("generator", 0, 1),
        ("refiner", 0, 1),
        *(("color", done, 5) for done in range(6)),
    ]
    assert all(event.result is None for event in events[:-1])
    assert same(events[-1].result, recolor(photograph, SMALL))


def test_the_result_of_events_is_in_color_already(recolor, photograph, monkeypatch):
    *_, last = recolor.events(photograph, SMALL)
    monkeypatch.setattr("recolor_core.result.color_strips", None)
    assert last.result.rgb.shape == (*photograph.shape, 3)


@pytest.mark.parametrize(
    ("taken", "done"), [(1, []), (2, ["Generator"]), (3, ["Generator", "Refiner"])]
)
def test_to_stop_asking_is_to_cancel(exact, photograph, monkeypatch, taken, done):
    ran = []
    run = inference._run

    def noted(network, *args):
        ran.append(type(network).__name__)
        return run(network, *args)

    monkeypatch.setattr(inference, "_run", noted)
    monkeypatch.setattr("recolor_core.result.color_strips", lambda *args: pytest.fail("went on"))
    events = exact.events(photograph, SMALL)
    assert len(list(islice(events, taken))) == taken
    events.close()
    assert ran == done


def test_cancelling_between_strips_computes_no_more_of_them(recolor, photograph, monkeypatch):
    strips = []
    rows = CompiledColors.rows
    monkeypatch.setattr(CompiledColors, "rows", lambda *args: strips.append(1) or rows(*args))
    monkeypatch.setattr(full_resolution, "to_rgb", lambda *args: strips.append(1) or to_rgb(*args))
    monkeypatch.setattr(full_resolution, "STRIP", 10 * photograph.shape[1])
    events = recolor.events(photograph, SMALL)
    for event in events:
        if event.done == 3:
            break
    events.close()
    assert 3 <= len(strips) <= 3 + 2 * torch.get_num_threads()  # so many are ahead
    assert len(strips) < 20


# Settings


def test_a_setting_out_of_range_is_refused_in_a_call(recolor):
    with pytest.raises(ImageError, match="expected size from 32 to 4096, got 5000"):
        recolor(image((40, 40)), size=5000)


def test_saturation_scales_chroma_and_nothing_else(recolor, photograph):
    plain = recolor(photograph, SMALL)
    chroma = []
    for saturation in (0, 0.5, 1, 1.5, 2):
        result = recolor(photograph, SMALL, saturation=saturation)
        np.testing.assert_allclose(result.ab_coarse, saturation * plain.ab_coarse, rtol=1e-6)
        np.testing.assert_allclose(result.ab_refined, saturation * plain.ab_refined, rtol=1e-6)
        np.testing.assert_array_equal(gray_of(result.rgb), photograph)
        lab = rgb_to_lab(result.rgb[::4, ::4])
        chroma.append(np.hypot(lab[..., 1], lab[..., 2]).mean())
    assert chroma == sorted(chroma)
    assert chroma[0] < 0.01
    np.testing.assert_allclose(chroma[3], 1.5 * chroma[2], rtol=0.1)


def test_saturation_zero_is_the_image_itself(recolor):
    for dtype in ("u1", "u2"):
        array = image((60, 70), dtype)
        rgb = recolor(array, SMALL, saturation=0).rgb
        np.testing.assert_array_equal(rgb, np.repeat(array[..., None], 3, axis=2))


def test_vividness_goes_from_the_plain_mean_towards_the_likeliest_color(recolor, photograph):
    bins = recolor.bins
    coarse = recolor.generate(read_gray(photograph), SMALL)
    uncertainty = bins.uncertainty(coarse.logits)
    mean, likeliest = (
        even_chroma(calm_blotches(bins.mean_color(coarse.logits, temperature), uncertainty))[0]
        for temperature in (1.0, 1e-3)
    )
    results = [
        recolor.refine(coarse, settings).ab_coarse / settings.chroma
        for settings in map(Settings, (0, 0.25, 0.5, 0.75, 1))
    ]
    np.testing.assert_allclose(results[0], mean, atol=1e-4)
    away = [np.linalg.norm(ab - mean) for ab in results]
    left = [np.linalg.norm(ab - likeliest) for ab in results]
    assert away == sorted(away)
    assert left == sorted(left, reverse=True)


@pytest.mark.slow
def test_vivid_images_have_more_chroma(recolor):
    # All together: where gray is the likeliest color, a lower temperature takes chroma away.
    names = ["colorado.png", "saratoga.jpg", "migrant-mother.jpg", "deadwood.jpg", "chinatown.tif"]
    seen = [recolor.generate(read_gray(read_sample(name))) for name in names]
    chroma = [
        np.mean(
            [np.hypot(*recolor.refine(c, Settings(vividness=v)).ab_refined).mean() for c in seen]
        )
        for v in (0, 0.25, 0.5, 0.75, 1)
    ]
    assert chroma == sorted(chroma)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_chroma_that_is_no_number_is_refused(recolor, value):
    result = recolor(image((40, 60)), SMALL)
    with pytest.raises(ImageError, match="NaN or infinity"):
        list(result.strips(np.full_like(result.ab_refined, value)))


@pytest.mark.parametrize("options", [{"vividness": 1}, {"saturation": 2}, {"vividness": 0}])
def test_hints_mean_what_they_say_however_vivid_the_rest_is(recolor, photograph, options):
    hints = [Hint(300, 200, "#b03030", 40)]
    result = recolor(photograph, hints=hints, **options)
    height, width = result.ab_refined.shape[1:]
    at = result.ab_refined[:, 200 * height // 452, 300 * width // 588]
    assert np.hypot(*(at - hints[0].ab)) < 15


# Hints


@pytest.mark.parametrize("color", ["#d08040", "#2050c0", "#20a040"])
@pytest.mark.parametrize(("x", "y"), [(300, 60), (80, 400)])
def test_a_hint_moves_the_color_where_it_is_towards_its_own(recolor, photograph, color, x, y):
    hint = Hint(x, y, color, radius=25)
    coarse = recolor.generate(read_gray(photograph), size=96)
    plain, hinted = recolor.refine(coarse), recolor.refine(coarse, hints=[hint])
    scale = plain.ab_refined.shape[1] / photograph.shape[0]
    at = (slice(None), int(y * scale), int(x * scale))
    off = [np.linalg.norm(r.ab_refined[at] - hint.ab) for r in (plain, hinted)]
    assert off[1] < 0.35 * off[0]
    shown = [
        rgb_to_lab(r.rgb[y - 5 : y + 6, x - 5 : x + 6])[..., 1:].mean((0, 1))
        for r in (plain, hinted)
    ]
    wanted = np.array(hint.ab)
    assert np.linalg.norm(shown[1] - wanted) < np.linalg.norm(shown[0] - wanted)
    np.testing.assert_array_equal(gray_of(hinted.rgb), photograph)


def test_a_hint_does_not_decide_the_whole_image(recolor, photograph):
    coarse = recolor.generate(read_gray(photograph), size=96)
    plain = recolor.refine(coarse)
    hinted = recolor.refine(coarse, hints=[Hint(300, 60, "#d08040", 10.0)])
    moved = np.hypot(*(hinted.ab_refined - plain.ab_refined))
    assert moved[:24, 50:76].mean() > 4 * moved[-24:].mean()


def test_a_hint_beyond_the_image_is_refused(recolor, photograph):
    with pytest.raises(HintsError, match="within 588 x 452 pixels"):
        recolor(photograph, SMALL, hints=[Hint(588, 3, "#ff0000")])


# Large working sizes


@pytest.mark.parametrize(("tile", "shape"), [(64, (90, 333)), (129, (500, 80))])
def test_tiles_give_what_the_whole_gives(recolor, monkeypatch, tile, shape):
    coarse = recolor.generate(read_gray(image(shape)), size=min(shape))
    assert coarse.lightness.shape[-2:] == shape
    hints = [Hint(20, 70, "#ff8000", 6.0)]
    whole = recolor.refine(coarse, hints=hints)
    sizes = []
    run = recolor.runner._run
    monkeypatch.setattr(
        recolor.runner, "_run", lambda n, d, *x: sizes.append(x[0].shape[-2:]) or run(n, d, *x)
    )
    tiled = recolor.refine(coarse, Settings(tile=tile), hints=hints)
    step = -(-tile // 32) * 32
    assert len(sizes) == -(-shape[0] // step) * -(-shape[1] // step) > 1
    np.testing.assert_allclose(tiled.ab_refined, whole.ab_refined, rtol=0, atol=0.01)


# A GPU whose memory is full


class PretendedGPU:
    """A device whose memory holds what `fits` says, given inputs; the CPU computes for it."""

    def __init__(self, fits):
        self.device = torch.device("cuda")
        self.fits = fits
        self.tried = []

    def colorizer(self, monkeypatch):
        tensor_to, module_to = torch.Tensor.to, torch.nn.Module.to

        def move_tensor(tensor, *args, **options):
            if args and args[0] == self.device:
                return tensor
            return tensor_to(tensor, *args, **options)

        def move_module(module, *args, **options):
            if args and isinstance(args[0], torch.device):
                module.where = args[0]
                if hasattr(module, "bins"):  # tensors on a GPU do not mix with those on the CPU
                    module.bins = module.bins.to("meta")
                return module
            return module_to(module, *args, **options)

        recolor = Colorizer(device="cpu", runtime="torch")
        for name in ("generator", "refiner"):
            network = recolor.runner._file.network(name)
            network.register_forward_pre_hook(self.before)
        monkeypatch.setattr(torch.Tensor, "to", move_tensor)
        monkeypatch.setattr(torch.nn.Module, "to", move_module)
        monkeypatch.setattr(inference, "autocast", lambda device: nullcontext())
        recolor.runner.device = str(self.device)
        return recolor

    def before(self, network, inputs):
        if network.where == self.device:
            self.tried.append((type(network).__name__, tuple(inputs[0].shape)))
            if not self.fits(*self.tried[-1]):
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@pytest.mark.slow
def test_on_a_full_gpu_the_batch_is_halved(exact, monkeypatch):
    images = [image((40, 60), seed=i) for i in range(4)]
    expected = [exact(array, SMALL) for array in images]
    gpu = PretendedGPU(lambda network, shape: shape[0] == 1)
    results = list(gpu.colorizer(monkeypatch).map(images, SMALL, batch=4))
    assert [s[0] for name, s in gpu.tried if name == "Generator"] == [4, 2, 1, 1, 2, 1, 1]
    for result, wanted in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result.rgb, wanted.rgb)
        assert result.provenance["device"] == {"generator": "cuda", "refiner": "cuda"}


@pytest.mark.slow
def test_on_a_full_gpu_the_tiles_are_made_smaller(exact, monkeypatch):
    coarse = exact.generate(read_gray(image((160, 600))), size=160)
    expected = exact.refine(coarse)
    gpu = PretendedGPU(lambda network, shape: shape[-1] < 600)
    result = gpu.colorizer(monkeypatch).refine(coarse)
    assert len(gpu.tried) == 1 + 2
    np.testing.assert_allclose(result.ab_refined, expected.ab_refined, rtol=0, atol=0.01)
    assert result.provenance["device"]["refiner"] == "cuda"


@pytest.mark.slow
def test_what_does_not_fit_even_alone_goes_to_the_cpu_and_that_is_said(exact, monkeypatch):
    array = image((40, 60))
    expected = exact(array, SMALL)
    gpu = PretendedGPU(lambda network, shape: False)
    with pytest.warns(DeviceWarning, match=r"memory of cuda is full.*on the CPU") as caught:
        result = gpu.colorizer(monkeypatch)(array, SMALL)
    assert len(caught) == 2  # generator and refiner
    assert same(result, expected)
    for device in result.provenance["device"].values():
        assert device.startswith("cpu")
        assert "cuda was out of memory" in device


@pytest.mark.slow
def test_a_image_that_went_to_the_cpu_says_so_whatever_its_alternatives_did(monkeypatch):
    # The generator, the refiner, and once more for the alternative: the second call is too much.
    gpu = PretendedGPU(lambda network, shape: len(gpu.tried) != 2)
    with pytest.warns(DeviceWarning):
        result = gpu.colorizer(monkeypatch)(image((40, 60)), SMALL, alternatives=1)
    assert result.provenance["device"]["generator"] == "cuda"
    assert "out of memory" in result.provenance["device"]["refiner"]


def test_other_errors_of_a_gpu_are_not_hidden(monkeypatch):
    def broken(network, shape):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(RuntimeError, match="illegal memory access"):
        PretendedGPU(broken).colorizer(monkeypatch)(image((40, 60)), SMALL)


def test_a_full_memory_of_the_cpu_is_not_hidden(photograph):
    recolor = Colorizer(device="cpu", runtime="torch")

    def full(network, inputs):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: out of memory")

    recolor.runner._file.network("generator").register_forward_pre_hook(full)
    with pytest.raises(RuntimeError, match="out of memory"):
        recolor(photograph, SMALL)


if __name__ == "__main__":
    np.savez_compressed(
        GOLDEN,
        **golden_result(Colorizer(device="cpu", runtime="torch"), read_sample("colorado.png")),
    )


def test_warmth_moves_colors_and_leaves_grays_and_the_gray(photograph):
    from recolor_core import Colorizer, Region, rgb_to_lab

    colorizer = Colorizer()
    region = Region(((50, 50), (400, 50), (400, 400), (50, 400)), kind="gray")
    plain, warm, cold = (
        colorizer(photograph, size=64, warmth=warmth, hints=[region]) for warmth in (0, 1, -1)
    )
    b = [rgb_to_lab(one.rgb / 255)[..., 2].mean() for one in (cold, plain, warm)]
    assert b[0] < b[1] - 1
    assert b[2] > b[1] + 1
    gray = [np.array(one.rgb[225, 225], int) for one in (cold, plain, warm)]
    assert all(np.ptp(code) <= 1 for code in gray)  # a region keeps what it asks for
    assert warm.provenance["settings"]["warmth"] == 1
    without = colorizer(photograph, size=64, saturation=0, warmth=1)
    assert np.ptp(without.rgb.astype(int), axis=-1).max() == 0  # without color, nothing is warm
