import csv
import json
import re

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

from recolor_core.lab import lab_to_rgb, rgb_to_lab
from recolor_core.metrics import wilson_interval
from training.photographs import DataError
from training.visual_turing_test import classifiers
from training.visual_turing_test.classifiers import cross_validate, network, trees
from training.visual_turing_test.explanation import COUNT, explain
from training.visual_turing_test.features import color_statistics, grouped_statistics, planes
from training.visual_turing_test.machine import CLASSIFIERS, judge, two_sample_tests
from training.visual_turing_test.pairs import Pair, Pairs

pytestmark = pytest.mark.slow  # a whole chain, run once, is what all of it looks at


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    """A network that has learned what is plain, quickly."""
    monkeypatch.setattr(classifiers, "STEPS", 40)
    monkeypatch.setattr(classifiers, "BATCH", 8)


@pytest.fixture(scope="module")
def photographs():
    """24 photographs of 64 x 64 pixels, cut from two."""
    cuts = [
        image[100 * row :, 100 * column :][:64, :64]
        for image in (skimage.data.coffee(), skimage.data.astronaut())
        for row, column in np.ndindex(3, 4)
    ]
    order = np.random.default_rng(0).permutation(len(cuts))
    return [np.ascontiguousarray(cuts[i]) for i in order]


def paler(rgb):
    lab = rgb_to_lab(rgb)
    lab[..., 1:] *= 0.2
    return np.rint(255 * lab_to_rgb(lab).clip(0, 1)).astype(np.uint8)


def measured(images, name):
    if name == "network":
        return np.stack([planes(rgb) for rgb in images])
    return np.array([[*color_statistics(rgb).values()] for rgb in images])


def outcome(real, other, name, folds=2):
    classify = CLASSIFIERS[name]
    found = list(cross_validate(real, other, classify, folds=folds, seed=0))
    assert sorted(np.concatenate([numbers for numbers, _ in found])) == list(range(len(real)))
    return judge([said for _, said in found], "other", False, name, 0)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_gray_is_told(photographs, name):
    gray = [np.repeat(rgb.mean(2, keepdims=True).astype(np.uint8), 3, 2) for rgb in photographs]
    row = outcome(measured(photographs, name), measured(gray, name), name)
    assert row.told > 0.9
    assert row.accuracy > 0.8
    assert row.accuracy_low > 0.5
    assert row.p < 0.01


def test_equal_images_are_not_told(photographs):
    for name in CLASSIFIERS:
        features = measured(photographs, name)
        row = outcome(features, features.copy(), name)
        assert row.accuracy == 0.5  # one of two equal ones is called right
        assert 0.2 < row.told < 0.8  # by lot
        assert row.p > 0.05


def test_what_comes_from_one_distribution_is_told_by_chance():
    told = []
    for seed in range(8):
        two = np.random.default_rng(seed).normal(size=(2, 60, 12))
        told.append(outcome(*two, "trees"))
    share = np.mean([row.told for row in told])
    assert 0.42 < share < 0.58  # of 480 pairs, 3.5 standard deviations
    assert min(row.p for row in told) > 0.005


def test_a_shift_is_told_by_the_better_classifier_of_both_images():
    two = np.random.default_rng(0).normal(size=(2, 100, 4))
    two[1, :, 0] += 1.5
    row = outcome(*two, "trees", folds=5)
    assert row.accuracy > 0.65
    assert row.told >= row.accuracy
    assert row.p < 0.01


def test_pairs_stay_in_one_fold():
    numbers = np.arange(20.0)

    def classify(real, other, test, _):
        assert np.array_equal(-real, other)
        assert not set(real) & set(np.abs(test))
        return test

    found = list(cross_validate(numbers, -numbers, classify, folds=4, seed=0))
    assert sorted(np.concatenate([asked for asked, _ in found])) == list(numbers)
    for asked, said in found:
        assert np.array_equal(said, np.stack((asked, -asked), axis=1))


def test_intervals_and_bound():
    sure, wrong, tie = (0.9, 0.1), (0.2, 0.8), (0.3, 0.3)
    folds = [np.array([sure] * 9 + [wrong]), np.array([sure] * 10), np.array([sure] * 10)]
    row = judge(folds, "x", False, "trees", 0)
    assert (row.told, row.told_low, row.told_high) == wilson_interval(29, 30)
    assert row.accuracy == pytest.approx(29 / 30)
    assert row.p == pytest.approx(2 * 0.5**10)
    lots = judge([np.array([tie] * 400)], "x", False, "trees", 0)
    assert 0.4 < lots.told < 0.6
    assert lots.accuracy == 0.5


@pytest.mark.parametrize("classify", [trees, network])
def test_seeded(photographs, classify):
    name = classify.__name__
    real, other = (measured(p, name) for p in (photographs[:8], list(map(paler, photographs[:8]))))
    first, again, another = (classify(real, other, real, seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, another)
    assert ((first >= 0) & (first <= 1)).all()


def test_learning_leaves_the_random_state_alone(photographs):
    real = measured(photographs[:4], "network")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    network(real, real, real, 0)
    assert torch.rand(3).equal(expected)


# --- features ---------------------------------------------------------------------------------


def test_planes_are_a_small_copy(photographs):
    rgb = np.full((128, 192, 3), (119, 119, 119), np.uint8)
    lightness, a, b = planes(rgb)
    assert planes(rgb).shape == (3, 64, 64)
    assert lightness == pytest.approx(0, abs=0.01)  # L* 50
    assert a == pytest.approx(0, abs=1e-3)
    assert b == pytest.approx(0, abs=1e-3)


def test_statistics_are_numbers_of_any_image(photographs):
    for rgb in (
        photographs[0],
        np.zeros((64, 64, 3), np.uint8),
        np.full((90, 70, 3), 255, np.uint8),
    ):
        statistics = color_statistics(rgb)
        assert np.isfinite([*statistics.values()]).all()
        shares = [v for name, v in statistics.items() if name.startswith("share of a*")]
        assert sum(shares) == pytest.approx(1)


def test_statistics_see_what_colorizers_do(photographs):
    rgb = np.ascontiguousarray(skimage.data.coffee()[:256, :256])
    true = color_statistics(rgb)
    assert color_statistics(paler(rgb))["mean chroma"] < 0.3 * true["mean chroma"]
    lab = rgb_to_lab(rgb)
    lab[..., 1:] = np.roll(lab[..., 1:], 12, axis=1)  # colors that miss their edges
    shifted = color_statistics(np.rint(255 * lab_to_rgb(lab).clip(0, 1)).astype(np.uint8))
    on_edges = "color edges on strong edges of L*"
    assert shifted[on_edges] < 0.8 * true[on_edges]
    coarse = Image.fromarray(rgb).reduce(8).resize((256, 256), Image.Resampling.BICUBIC)
    lab[..., 1:] = rgb_to_lab(np.asarray(coarse))[..., 1:]
    blurred = color_statistics(np.rint(255 * lab_to_rgb(lab).clip(0, 1)).astype(np.uint8))
    assert blurred["color detail at 1 pixels"] < 0.7 * true["color detail at 1 pixels"]


# --- the whole --------------------------------------------------------------------------------


@pytest.fixture
def pairs(photographs, tmp_path):
    """Photographs and paler twins, as files."""
    made = []
    for number, rgb in enumerate(photographs):
        Image.fromarray(rgb).save(tmp_path / f"{number}-r.png")
        Image.fromarray(paler(rgb)).save(tmp_path / f"{number}-p.png")
        made.append(Pair(f"photos/{number}", f"{number}-r.png", {"pale": f"{number}-p.png"}))
    return Pairs(tmp_path, tuple(made), {"pale": "0" * 64}, {"version": "1"})


def test_result_has_weights_and_controls(pairs, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    rows, explanations = two_sample_tests(pairs, out, folds=2, seed=0, explained=True)
    result = json.loads((out / "machine.json").read_text())
    assert result["how"] == {"version": "1"}
    assert [row["told"] for row in result["rows"]] == [row.told for row in rows]
    kinds = {(row.other, row.control): row.pairs for row in rows if row.classifier == "trees"}
    assert kinds == {("pale", False): 24, ("real", True): 12, ("gray", True): 24}
    pale = next(row for row in rows if row.other == "pale" and row.classifier == "trees")
    assert pale.told_low > 0.5
    found = result["explanations"]["pale"]
    assert any(re.search("chroma|color|a\\*|b\\*", one["name"]) for one in found["statistics"])
    names = [group["name"] for group in found["groups"]]
    assert names == [*grouped_statistics(np.zeros((64, 64, 3), np.uint8))]
    assert [group.name for group in explanations["pale"].groups] == names
    with (out / "machine.csv").open() as file:
        assert len([*csv.DictReader(file)]) == len(rows) == 6
    with (out / "machine-images.csv").open() as file:
        said = [line for line in csv.DictReader(file) if line["classifier"] == "trees"]
    assert {line["image"] for line in said} == {pair.label for pair in pairs.pairs}
    right = sum(float(line["of photograph"]) > float(line["of twin"]) for line in said)
    assert right / 24 == pytest.approx(pale.told, abs=1 / 24)
    assert not list(out.glob("*.part"))


def test_nothing_is_explained_unless_asked_for(pairs, tmp_path):
    _, explanations = two_sample_tests(pairs, tmp_path, folds=2)
    assert explanations == {}
    assert json.loads((tmp_path / "machine.json").read_text())["explanations"] == {}


def test_explanation_names_the_group_that_tells():
    rng = np.random.default_rng(0)
    real, other = rng.normal(size=(2, 80, 6)).astype(np.float32)
    other[:, 4] += 3  # the only difference
    names = [f"statistic {i}" for i in range(6)]
    groups = ["first", "first", "first", "second", "second", "third"]
    explanation = explain(real, other, names, groups, folds=4, seed=0)
    first, second, third = explanation.groups
    assert [group.statistics for group in explanation.groups] == [3, 2, 1]
    assert second.told_by > 0.9 > 0.7 > max(first.told_by, third.told_by)
    assert second.told_without < 0.7 < 0.9 < min(first.told_without, third.told_without)
    assert len(explanation.statistics) == min(COUNT, 6)
    best = explanation.statistics[0]
    assert best.name == "statistic 4"
    assert best.gain > 0.4
    assert best.told_by > 0.9
    assert best.twin - best.photograph == pytest.approx(3, abs=0.8)
    assert best.larger < 0.1


def test_statistics_that_are_equal_explain_nothing():
    real = np.ones((20, 2), np.float32)
    explanation = explain(real, real.copy(), ["a", "b"], ["x", "y"], folds=2, seed=0)
    assert [group.told_by for group in explanation.groups] == [0.5, 0.5]
    assert [one.larger for one in explanation.statistics] == [0.5, 0.5]


def test_too_few_pairs_are_refused(pairs, tmp_path):
    with pytest.raises(DataError, match="at least 28 pairs for 7 folds, got 24"):
        two_sample_tests(pairs, tmp_path, folds=7)
