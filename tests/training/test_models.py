import numpy as np
import pytest
import skimage.data
import torch

from recolor_core.colorizer import Colorizer
from recolor_core.gray import read_gray
from recolor_core.hints import Hint
from recolor_core.lab import lab_to_rgb
from recolor_core.settings import Settings
from training.models import (
    FITTED,
    NAMES,
    ModelError,
    ModelRequest,
    build,
    fingerprint,
    fit,
    gray_of,
    lightness_of,
)
from training.models.interface import ab_of
from training.models.pixels import SIDES, features

from .chain import small_weights

SIDE = 64


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    return small_weights(path, refines=True)


def made(name, **options):
    (model,) = build(ModelRequest((name,), **options))
    return model


def ruled(seed):
    """An image whose color follows from its lightness: the dark is blue, the bright is yellow."""
    rng = np.random.default_rng(seed)
    light = torch.from_numpy(rng.uniform(20, 80, (1, SIDE // 8, SIDE // 8)).astype(np.float32))
    light = light.repeat_interleave(8, 1).repeat_interleave(8, 2)
    lab = torch.cat((light, torch.zeros_like(light), (light - 50) * 0.6))
    codes = (255 * lab_to_rgb(lab).clamp(0, 1)).round().to(torch.uint8)
    return codes.permute(1, 2, 0).contiguous().numpy()


def error(prediction, rgb):
    return float(np.square(prediction.ab - ab_of(rgb)).mean())


PHOTOGRAPHS = [ruled(seed) for seed in range(6)]


# --- those that learn -------------------------------------------------------------------------


def test_gray_has_no_color():
    prediction = made("gray").predict(gray_of(PHOTOGRAPHS[0]))
    assert prediction.ab.shape == (2, SIDE, SIDE)
    assert not prediction.ab.any()


def test_average_is_the_mean_color_of_all_training_images():
    model = made("average")
    model.fit(PHOTOGRAPHS)
    expected = np.mean([ab_of(rgb) for rgb in PHOTOGRAPHS], axis=(0, 2, 3))
    ab = model.predict(np.zeros((3, 5), np.uint8)).ab
    assert ab.shape == (2, 3, 5)
    assert np.allclose(ab, expected[:, None, None], atol=1e-3)


def test_nearest_takes_the_colors_of_the_image_that_looks_alike():
    model = made("nearest")
    model.fit(PHOTOGRAPHS)
    darker = (PHOTOGRAPHS[3] * 0.97).astype(np.uint8)
    coarse = model.predict(gray_of(darker)).coarse
    true = torch.nn.functional.adaptive_avg_pool2d(
        torch.from_numpy(ab_of(PHOTOGRAPHS[3])), coarse.shape[1:]
    )
    assert np.allclose(coarse, true, atol=0.1)


@pytest.mark.parametrize("name", ["forest", "xgboost"])
def test_regression_learns_what_lightness_tells_of_color(name):
    average, model = made("average"), made(name)
    for one in (average, model):
        one.fit(PHOTOGRAPHS)
    unseen = ruled(99)
    errors = [error(one.predict(gray_of(unseen)), unseen) for one in (average, model)]
    assert errors[1] < 0.1 * errors[0]


def test_features_say_what_is_around_a_pixel():
    flat = features(np.full((40, 60), 128, np.uint8))
    assert flat.shape == (40, 60, 5 + 4 * len(SIDES))
    assert flat[..., 0] == pytest.approx(53.585, abs=1e-3)  # L* of code 128
    assert (flat[0, :, 1] == -1).all()
    assert (flat[:, -1, 2] == 1).all()
    spreads_and_slopes = flat[..., [4, *(5 + 4 * k + i for k in range(5) for i in (1, 2, 3))]]
    assert np.abs(spreads_and_slopes).max() < 0.05
    ramp = features(np.tile(np.arange(100, dtype=np.uint8) + 60, (100, 1)))[50, 50]
    below, right = ramp[7], ramp[8]
    assert below == pytest.approx(0, abs=1e-4)
    light = lightness_of(np.array([[110, 111]], np.uint8))[0]
    assert right == pytest.approx(light[1] - light[0], rel=0.05)


@pytest.mark.parametrize("name", FITTED)
def test_a_fit_is_taken_from_its_file(name, tmp_path):
    model, again = made(name), made(name)
    known_as = fingerprint(model, ["a", "b"])
    assert fit(model, PHOTOGRAPHS, known_as, tmp_path)
    assert not fit(again, (), known_as, tmp_path)  # of no photographs it could not be fitted
    gray = gray_of(ruled(99))
    assert np.array_equal(model.predict(gray).ab, again.predict(gray).ab)
    assert [path.suffix for path in tmp_path.iterdir()] == [model.suffix]


@pytest.mark.parametrize("name", FITTED)
def test_a_fit_is_known_by_its_images_and_settings(name):
    model = made(name)
    assert fingerprint(model, ["a"]) == fingerprint(made(name), ["a"])
    assert fingerprint(model, ["a"]) != fingerprint(model, ["b"])
    assert fingerprint(made("gray"), ["a"]) == fingerprint(made("gray"), ["b"])
    forest = made("forest")
    forest.parameters["n_estimators"] = 3
    assert fingerprint(forest, ["a"]) != fingerprint(made("forest"), ["a"])


# --- networks ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_networks_go_the_way_of_the_colorizer(weights):
    rgb = np.ascontiguousarray(skimage.data.astronaut()[:SIDE, 200 : 200 + SIDE])
    gray, settings = gray_of(rgb), Settings(size=SIDE)
    request = ModelRequest(
        ("coarse", "refined"), str(weights), settings=settings, hints=(2,), alternatives=2
    )
    models = {model.name: model for model in build(request)}
    assert set(models) == {
        *("coarse", "refined", "coarse-hints-2", "refined-hints-2", "refined-best-of-2")
    }
    hints = [Hint(3, 5, "#aa3311"), Hint(40, 50, "#2266cc")]
    colorizer = Colorizer(weights, "cpu")
    for name, given in (("refined", []), ("refined-hints-2", hints)):
        expected = colorizer(gray, settings, hints=given)
        prediction = models[name].predict(gray, given)
        assert np.array_equal(prediction.ab, expected.ab_refined)
        assert np.array_equal(prediction.colorization.rgb, expected.rgb)
        assert np.array_equal(prediction.uncertainty, expected.uncertainty)
    coarse = models["coarse"].predict(gray)
    assert np.array_equal(coarse.coarse, colorizer(gray, settings).ab_coarse)
    assert not np.array_equal(coarse.ab, models["refined"].predict(gray).ab)
    best = models["refined-best-of-2"].predict(gray)
    expected = colorizer(gray, settings, alternatives=2)
    assert np.array_equal(best.alternatives, expected.ab_alternatives)


def test_models_that_share_work_count_its_time_each(weights):
    request = ModelRequest(("coarse", "refined"), str(weights), settings=Settings(size=SIDE))
    coarse, refined = build(request)
    gray = np.full((SIDE, SIDE), 99, np.uint8)
    first, second = coarse.predict(gray), refined.predict(gray)
    _, generator = coarse.chain.generate(gray)
    _, refiner = coarse.chain.refine(gray, (), 0)
    assert first.seconds > generator
    assert second.seconds == pytest.approx(generator + refiner)
    other = np.full((SIDE, SIDE), 100, np.uint8)
    assert not np.array_equal(refined.predict(other).colorization.gray.codes, gray)


@pytest.mark.slow
def test_networks_are_known_by_weights_and_settings(weights, tmp_path):
    def known(**options):
        (model,) = build(ModelRequest(("refined",), **options))
        return fingerprint(model, [])

    same = known(weights=str(weights))
    assert same == known(weights=str(weights))
    assert same != known(weights=str(weights), settings=Settings(vividness=0.9))
    other = small_weights(tmp_path / "other.safetensors", 1, refines=True)
    assert same != known(weights=str(other))


def test_the_original_recipe_is_read_from_its_checkpoint(tmp_path):
    from recolor_core.trainer.loop import FORMAT
    from training.original import Original

    network = Original().eval()
    path = tmp_path / "last.ckpt"
    torch.save({"format": FORMAT, "kind": "original", "average": network.state_dict()}, path)
    gray = gray_of(PHOTOGRAPHS[0])
    prediction = made("original", original=path).predict(gray)
    with torch.no_grad():
        expected = network(torch.from_numpy(read_gray(gray).lightness((SIDE, SIDE)))[None, None])[0]
    assert np.allclose(prediction.coarse, expected, atol=1e-4)
    assert prediction.ab.shape == (2, SIDE, SIDE)


@pytest.mark.parametrize(
    ("name", "words"), [("guess", "expected models among gray"), ("original", "--original")]
)
def test_what_cannot_be_made_is_said(name, words):
    with pytest.raises(ModelError, match=words):
        build(ModelRequest((name,)))


def test_every_name_is_a_model_of_that_name(weights):
    names = [name for name in NAMES if name != "original"]
    assert {model.name for model in build(ModelRequest(tuple(names), str(weights)))} == set(names)
