import csv
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skimage.data
import torch
from PIL import Image

from recolor_core.metrics import bootstrap_interval, difference_of_means, ratio_of_means
from training import evaluate, export, frechet
from training.evaluation_data import EvaluationError, read_evaluation
from training.measures import MEASURES, VERSION, Truth
from training.models import Prediction
from training.perceptual import Fid
from training.photographs import DataError
from training.summary import (
    bootstrap_means,
    bootstrap_pairs,
    calibration,
    compare,
    plain,
    summarize,
)

from .chain import command, small_weights

pytestmark = pytest.mark.slow  # a whole chain, run once, is what all of it looks at

SIDE = 224


def cuts():
    """Squares of photographs that differ in color, by name."""
    astronaut, cat, coffee = skimage.data.astronaut(), skimage.data.chelsea(), skimage.data.coffee()
    return {
        "astronaut": astronaut[:SIDE, 100 : 100 + SIDE],
        "cat": cat[:SIDE, 100 : 100 + SIDE],
        "coffee": coffee[100 : 100 + SIDE, 200 : 200 + SIDE],
        "suit": astronaut[280 : 280 + SIDE, :SIDE],
        "table": coffee[:SIDE, :SIDE],
    }


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for name, rgb in cuts().items():
        Image.fromarray(rgb).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    path = tmp_path_factory.mktemp("facts") / "manifest.csv"
    kinds = {"astronaut": "people", "suit": "people", "cat": "animals"}
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("key", "category"), *kinds.items()])
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return small_weights(tmp_path_factory.mktemp("weights") / "small.safetensors")


def evaluated(photographs, out, weights, *more):
    few = ["--hints", "3", "--alternatives", "2", "--device", "cpu", "--weights", weights]
    train = ["--train", photographs.parent / "train", "--train-count", "2"]
    assert command(evaluate.app, photographs, "--out", out, *few, *train, *more) == 0
    return read_evaluation(out)


@pytest.fixture(scope="module")
def evaluation(photographs, weights, manifest, tmp_path_factory):
    train = photographs.parent / "train"
    train.mkdir()
    for name, left in (("a", 0), ("b", 200), ("c", 300)):
        cut = skimage.data.rocket()[100 : 100 + SIDE, left : left + SIDE]
        Image.fromarray(cut).save(train / f"{name}.png")
    out = tmp_path_factory.mktemp("evaluation")
    return evaluated(photographs, out, weights, "--manifest", manifest)


# --- the whole chain --------------------------------------------------------------------------

NAMES = [
    *("gray", "average", "nearest", "forest", "xgboost", "coarse", "refined"),
    *("refined-best-of-2", "coarse-hints-3", "refined-hints-3"),
]


def test_every_model_is_measured_on_every_image(evaluation):
    assert evaluation.models == NAMES
    assert evaluation.about["images"] == {"all": 5, "animals": 1, "people": 2}
    table = evaluation.images
    assert len(table) == 5 * len(NAMES)
    assert not table.duplicated(["fingerprint", "model"]).any()
    # Not every image has snow, or black.
    sometimes = {name for name in MEASURES if name.endswith(("_hue", "_chroma"))}
    everywhere = set(MEASURES) - sometimes - {"uncertainty_mean", "mse_of_alternatives", "lpips"}
    assert table[[*sometimes]].notna().any(axis=None)
    assert table[[*everywhere, "seconds"]].notna().all(axis=None)
    assert table["uncertainty_mean"].notna().sum() == 5 * 5
    assert set(table[table["mse_of_alternatives"].notna()]["model"]) == {"refined-best-of-2"}
    first = table.iloc[0]
    assert (first["image"], first["key"]) == (
        "photographs0::astronaut.png",
        "photographs0/astronaut",
    )
    as_text = pd.read_csv(evaluation.folder / "images.csv")
    pd.testing.assert_frame_equal(table, as_text.fillna({"category": ""}), rtol=1e-9)


def test_groups_are_means_with_intervals_of_the_rows(evaluation):
    for group, model, metric in (
        ("all", "average", "psnr"),
        ("people", "refined", "ciede2000"),
        ("all", "forest", "edge_error"),
    ):
        rows = evaluation.of(model)
        if group != "all":
            rows = rows[rows["category"] == group]
        expected = bootstrap_interval(rows[metric].to_numpy())
        assert evaluation.groups[group][model][metric] == pytest.approx(expected)
    one = evaluation.groups["animals"]["gray"]["psnr"]
    assert one[0] == one[1] == one[2]
    told = evaluation.about["models"]
    assert [model["fitted_on"] for model in told] == [None, 2, 2, 2, 2] + 5 * [None]
    assert told[5]["seconds_per_image"] == pytest.approx(evaluation.of("coarse")["seconds"].mean())


def test_what_ships_keeps_the_gray_and_the_others_tell_when_they_do_not(evaluation):
    exact = evaluation.images.groupby("model")["gray_exact"].min()
    assert (exact[[name for name in NAMES if name.startswith(("coarse", "refined"))]] == 1).all()
    assert exact["gray"] == 1
    assert exact["xgboost"] < 1


def test_hints_help_and_the_comparisons_say_by_how_much(evaluation):
    rows = [evaluation.of(name)["psnr"].to_numpy() for name in ("refined-hints-3", "refined")]
    gain = evaluation.about["comparisons"]["all"]["refined-hints-3 over refined"]["psnr"]
    assert gain[0] == pytest.approx((rows[0] - rows[1]).mean())
    assert gain[0] > 0
    assert "refined over coarse" in evaluation.about["comparisons"]["people"]
    best, plain = (
        evaluation.of(name)["mse"].to_numpy() for name in ("refined-best-of-2", "refined")
    )
    assert (best <= plain + 1e-12).all()
    assert (best <= evaluation.of("refined-best-of-2")["mse_of_alternatives"]).all()


def test_figure_curves_and_tables_are_there(evaluation):
    figures = evaluation.folder / "figures"
    assert {path.suffix for path in figures.iterdir()} == {".svg", ".png", ".csv"}
    table = pd.read_csv(figures / "quality_time.csv")
    assert list(table["model"]) == NAMES
    assert table["psnr"][0] == pytest.approx(evaluation.groups["all"]["gray"]["psnr"][0], rel=1e-5)
    curves = evaluation.risk_coverage
    assert set(curves["model"]) == {"coarse", "refined"}
    assert ((curves["low"] <= curves["risk"]) & (curves["risk"] <= curves["high"])).all()
    markdown = (evaluation.folder / "table.md").read_text()
    assert "## people, 2 images" in markdown
    assert "| random forest regression |" in markdown


def test_what_cannot_be_measured_is_said(evaluation):
    unavailable = evaluation.about["unavailable"]
    assert "--original" in unavailable["original"]
    assert "fid" in unavailable or evaluation.about["fid"]


def test_a_further_run_computes_nothing_anew(
    evaluation, photographs, weights, manifest, monkeypatch
):
    def never(*_):
        raise AssertionError("measured again")

    monkeypatch.setattr(evaluate, "measure_image", never)
    again = evaluated(photographs, evaluation.folder, weights, "--manifest", manifest)
    pd.testing.assert_frame_equal(again.images, evaluation.images)
    assert again.groups == evaluation.groups


def test_a_killed_run_goes_on_where_it_was(photographs, evaluation, weights, tmp_path, monkeypatch):
    words = [photographs, "--out", tmp_path, "--models", "gray,average", "--weights", weights]
    words += ["--train", photographs.parent / "train"]
    assert command(evaluate.app, *words) == 0
    whole, rows = read_evaluation(tmp_path), tmp_path / "rows.jsonl"
    kept = rows.read_text().splitlines(keepends=True)
    rows.write_text("".join(kept[:3]) + kept[3][:50])  # killed while it wrote the fourth row
    measured = []

    def counting(job, real=evaluate.measure_image):
        measured.append((job.image.name, job.names))
        return real(job)

    monkeypatch.setattr(evaluate, "measure_image", counting)
    assert command(evaluate.app, *words) == 0
    both = ("gray", "average")
    assert measured == [
        ("cat.png", ("average",)),
        ("coffee.png", both),
        ("suit.png", both),
        ("table.png", both),
    ]
    again = read_evaluation(tmp_path)
    drop = ["seconds"]
    pd.testing.assert_frame_equal(again.images.drop(columns=drop), whole.images.drop(columns=drop))
    assert len(rows.read_text().splitlines()) == 1 + len(kept)  # the broken line stays


def test_damaged_and_intact_lightness_stay_apart_in_one_folder(weights, tmp_path):
    photographs, out = tmp_path / "photographs", tmp_path / "out"
    photographs.mkdir()
    Image.fromarray(cuts()["cat"]).save(photographs / "cat.png")
    few = ["--models", "coarse,gray", "--hints", "", "--alternatives", "0"]
    few += ["--device", "cpu", "--weights", weights]

    def evaluated(*more):
        assert command(evaluate.app, photographs, "--out", out, *few, *more) == 0
        return read_evaluation(out)

    intact, damaged = evaluated(), evaluated("--damaged")
    assert [evaluation.about["wear"] for evaluation in (intact, damaged)] == ["", "damaged"]
    psnr, other = (table.groups["all"]["coarse"]["psnr"][0] for table in (intact, damaged))
    assert psnr != other
    gray, same = (table.groups["all"]["gray"]["psnr"][0] for table in (intact, damaged))
    assert gray == same  # it sees nothing that could be damaged
    measured = (out / "rows.jsonl").read_bytes()
    assert evaluated().groups["all"]["coarse"]["psnr"][0] == psnr
    assert (out / "rows.jsonl").read_bytes() == measured  # nothing was measured again


def test_processes_measure_the_same(evaluation, photographs, weights, tmp_path):
    names = ["average", "refined", "refined-best-of-2", "refined-hints-3"]
    again = evaluated(photographs, tmp_path, weights, "--models", "average,refined", "-n", "2")
    assert again.models == names
    drop = ["seconds", "category"]
    alone = evaluation.images[evaluation.images["model"].isin(names)].reset_index(drop=True)
    pd.testing.assert_frame_equal(
        again.images.drop(columns=drop), alone.drop(columns=drop), rtol=1e-3
    )


def test_the_export_tells_what_was_measured(evaluation, weights, tmp_path, capsys):
    out, card = tmp_path / "new.safetensors", tmp_path / "card.md"
    words = ["--generator", weights, "--refiner", weights, "--report", evaluation.folder]
    assert command(export.app, out, *words, "--card", card) == 0
    mean = evaluation.groups["all"]["refined"]["psnr"][0]
    assert f"'psnr': {mean!r}" in capsys.readouterr().out
    assert f"{mean:.2f} (" in card.read_text()


# --- cheats -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cheats():
    """Rows of colorings that some measure would reward, and an honest one to compare with."""
    truths = [Truth(np.ascontiguousarray(rgb)) for rgb in cuts().values()]
    records = []
    for number, truth in enumerate(truths):
        true, other = truth.ab[0].numpy(), truths[number - 1].ab[0].numpy()
        blurred = skimage.filters.gaussian(true, 4, channel_axis=0).astype(np.float32)
        ways = {
            "honest": blurred,
            "gray": np.zeros_like(true),
            "over-saturated": 2 * true,
            "shuffled": other,
        }
        for model, ab in ways.items():
            measures = truth.measure(Prediction(ab))
            records.append({"fingerprint": str(number), "model": model, **measures})
    table = pd.DataFrame(records)
    return summarize(table, [name for name in MEASURES if name in table])


def means(cheats, metric):
    return {model: values[metric][0] for model, values in cheats.items()}


def test_shuffled_pairs_have_the_right_colorfulness_and_nothing_else_right(cheats):
    # The set as a whole is as colorful as the truth, so this alone would let them pass:
    assert means(cheats, "colorfulness_ratio")["shuffled"] == pytest.approx(1, abs=0.1)
    difference = means(cheats, "colorfulness_difference_of_means")["shuffled"]
    assert means(cheats, "colorfulness_mean_of_differences")["shuffled"] > 5 * difference
    for metric in ("ciede2000", "mse", "edge_error", "colorfulness_mean_of_differences"):
        assert means(cheats, metric)["shuffled"] > 2 * means(cheats, metric)["honest"]


def test_all_gray_has_the_error_of_twice_the_color_and_no_colorfulness(cheats):
    # Squared error of ab alone cannot tell too little from too much:
    mse = means(cheats, "mse")
    assert mse["gray"] == pytest.approx(mse["over-saturated"])
    assert means(cheats, "colorfulness_ratio")["gray"] < 0.02
    assert means(cheats, "gray_exact")["gray"] == 1
    for metric in ("ciede2000", "edge_error", "colorfulness_difference_of_means"):
        assert means(cheats, metric)["gray"] > 2 * means(cheats, metric)["honest"]


def test_over_saturated_images_are_more_colorful_than_the_truth(cheats):
    # Colorfulness alone would call them the best:
    colorfulness = means(cheats, "colorfulness")
    assert max(colorfulness, key=colorfulness.get) == "over-saturated"
    assert means(cheats, "colorfulness_ratio")["over-saturated"] > 1.3
    assert means(cheats, "gray_exact")["over-saturated"] < 0.9  # clipped to the gamut
    for metric in ("ciede2000", "mse", "edge_error"):
        assert means(cheats, metric)["over-saturated"] > 2 * means(cheats, metric)["honest"]


# --- parts ------------------------------------------------------------------------------------


def test_the_truth_measures_best():
    truth = Truth(np.ascontiguousarray(cuts()["cat"]))
    best = truth.measure(Prediction(truth.ab[0].numpy()))
    assert best["psnr"] > 60
    assert best["ssim"] == pytest.approx(1, abs=1e-4)
    assert best["ciede2000"] < 0.05
    assert best["mse"] == best["edge_error"] == 0
    assert best["colorfulness"] == pytest.approx(best["true_colorfulness"], rel=1e-3)
    gray = truth.measure(Prediction(np.zeros_like(truth.ab[0])))
    assert gray["mse"] == pytest.approx(float((truth.coarse / 255).square().mean()))
    assert gray["rmse"] == pytest.approx(float(truth.ab.square().mean().sqrt()))


def test_damage_changes_what_is_seen_and_not_what_is_true():
    rgb = np.ascontiguousarray(cuts()["astronaut"])
    intact, damaged = Truth(rgb), Truth(rgb, "damaged")
    assert damaged.gray.dtype == np.uint8
    assert damaged.gray.shape == intact.gray.shape
    assert (damaged.gray != intact.gray).mean() > 0.5
    assert np.corrcoef(damaged.gray.ravel(), intact.gray.ravel())[0, 1] > 0.5  # the same image
    np.testing.assert_array_equal(damaged.gray, Truth(rgb, "damaged").gray)
    colors = Prediction(0.5 * intact.ab[0].numpy())
    ours, theirs = intact.measure(colors), damaged.measure(colors)
    for name in ("mse", "psnr", "ssim", "ciede2000", "edge_error"):
        assert ours[name] == theirs[name]


@pytest.mark.parametrize("wear", ["mounted", "faded", "faded+mounted"])
def test_the_colors_of_a_worn_print_are_compared_with_the_photograph_in_it(wear):
    rgb = np.ascontiguousarray(cuts()["coffee"])
    intact, worn = Truth(rgb), Truth(rgb, wear)
    assert (worn.gray.shape > intact.gray.shape) == ("mounted" in wear)
    place = (slice(worn.top, worn.top + len(rgb)), slice(worn.left, worn.left + len(rgb)))
    assert np.array_equal(worn.gray[place], intact.gray) == ("faded" not in wear)
    assert (np.ptp(worn.gray[place]) < 0.9 * np.ptp(intact.gray)) == ("faded" in wear)
    # The right colors in the right place, and garish ones on the mount, which do not count.
    ab = np.full((2, *worn.gray.shape), 50, np.float32)
    ab[:, *place] = 0.8 * intact.ab[0].numpy()
    ours, theirs = worn.measure(Prediction(ab)), intact.measure(Prediction(ab[:, *place]))
    for name in ("mse", "psnr", "ssim", "edge_error", "blotches", "cast"):
        assert ours[name] == pytest.approx(theirs[name], rel=1e-4)
    other = worn.measure(Prediction(0 * ab, alternatives=(ab,)))
    assert other["mse"] == pytest.approx(theirs["mse"], rel=1e-4)
    for hint in worn.hints(5):
        y, x = int(hint.y) - worn.top, int(hint.x) - worn.left
        assert hint.color == f"#{bytes(rgb[y, x]).hex()}"


def test_hints_are_true_colors_and_the_same_each_time():
    rgb = np.ascontiguousarray(cuts()["coffee"])
    hints = Truth(rgb).hints(5)
    assert [h.color for h in hints] == [f"#{bytes(rgb[int(h.y), int(h.x)]).hex()}" for h in hints]
    assert Truth(rgb).hints(5) == hints
    assert Truth(rgb).hints(0) == []


def test_the_best_alternative_counts_and_the_mean_of_all_is_told():
    truth = Truth(np.ascontiguousarray(cuts()["suit"]))
    true, none = truth.ab[0].numpy(), np.zeros_like(truth.ab[0])
    measures = truth.measure(Prediction(none, alternatives=(2 * true, 0.9 * true)))
    errors = [truth.measure(Prediction(ab))["mse"] for ab in (none, 2 * true, 0.9 * true)]
    assert measures["mse"] == pytest.approx(min(errors))
    assert measures["mse_of_alternatives"] == pytest.approx(np.mean(errors), rel=1e-5)
    assert measures["edge_error"] == truth.measure(Prediction(0.9 * true))["edge_error"]


def test_doubts_pair_the_uncertainty_of_a_cell_with_its_error():
    truth = Truth(np.ascontiguousarray(cuts()["table"]))
    error = truth.coarse.norm(dim=1)[0].numpy()
    pairs = truth.doubts(Prediction(np.zeros_like(truth.ab[0]), uncertainty=error))
    assert len(pairs) == 49
    assert all(math.isclose(u, e, abs_tol=0.01) for u, e in pairs)
    _, summary = calibration({"it": [np.array(pairs)] * 3})
    assert summary["it"]["skill"][0] == pytest.approx(1, abs=0.01)
    assert summary["it"]["sigma_ratio"] == pytest.approx((1, 1, 1), abs=0.01)


def test_an_image_without_a_cell_to_ask_costs_the_uncertainty_nothing(tmp_path):
    store = evaluate.Store(tmp_path / "rows.jsonl")
    shared = {"model": "m", "wear": "", "measures": {}, "version": VERSION}
    pairs = np.random.default_rng(0).random((20, 5, 2)).tolist()
    store.add([{"image": str(i), "doubts": found, **shared} for i, found in enumerate(pairs)])
    _, alone = calibration({"it": [row["doubts"] for row in store.rows.values()]})
    store.add([{"image": "none", "doubts": [], **shared}])
    _, whole = calibration({"it": [row["doubts"] for row in store.rows.values()]})
    assert whole["it"]["skill"][0] == alone["it"]["skill"][0]


def test_quick_intervals_are_the_bootstrap_intervals():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(5, size=(30, 3)), columns=["a", "b", "gaps"])
    table.loc[3:5, "gaps"] = np.nan
    found = bootstrap_means(table)
    for name in table:
        assert found[name] == pytest.approx(bootstrap_interval(table[name].to_numpy()), abs=1e-12)
    pairs = table[["gaps", "a"]].to_numpy()
    for statistic in (ratio_of_means, difference_of_means):
        quick, slow = bootstrap_pairs(pairs, statistic), bootstrap_interval(pairs, statistic)
        assert quick == pytest.approx(slow, abs=1e-12)
    assert np.isnan(bootstrap_pairs(np.full((2, 2), np.nan), ratio_of_means)).all()


def test_comparisons_go_image_by_image():
    rows = pd.DataFrame(
        {
            "fingerprint": ["a", "b", "b", "a"],
            "model": ["coarse", "coarse", "refined", "refined"],
            "psnr": [20.0, 30.0, 33.0, 21.0],
            "edge_error": [10.0, 30.0, 15.0, 5.0],
        }
    )
    (found,) = compare(rows, ["coarse", "refined", "gray"]).values()
    assert found["psnr"] == (2, 1, 3)
    assert found["edge_error"] == pytest.approx((-0.5, -0.5, -0.5))


def test_perceptual_measures_come_in_where_their_networks_are(tmp_path, photographs):
    truth = Truth(np.ascontiguousarray(cuts()["cat"]))
    gray = Prediction(np.zeros_like(truth.ab[0]))
    measures = truth.measure(gray, lambda rgb, true: (rgb - true).abs().mean(dim=(1, 2, 3)))
    assert measures["lpips"] == pytest.approx(
        float((truth.colored(torch.zeros_like(truth.ab)) - truth.rgb).abs().mean())
    )


class MeanColor(torch.nn.Module):
    """Stands in for Inception: what it sees is the mean color of the quarters of an image."""

    num_features = 12

    def forward(self, rgb):
        """(B, 3, H, W) -> (B, 12)."""
        return torch.nn.functional.adaptive_avg_pool2d(rgb.float(), 2).flatten(1)


def test_frechet_distances_are_of_sets_and_kept(tmp_path, photographs, monkeypatch):
    from training.models import ModelRequest, build

    monkeypatch.setattr(frechet, "Fid", lambda: Fid(features=MeanColor()))
    images = evaluate.by_content([photographs])
    (model,) = build(ModelRequest(("gray",)))
    kept = tmp_path / "fid.json"
    found = frechet.frechet(images, {"known": model}, SIDE, kept)
    assert found["gray"]["value"] > 0
    assert found["gray"]["images"] == 5
    assert "unreliable" in found["gray"]["caveat"]
    monkeypatch.setattr(frechet, "square", lambda *_: 1 / 0)
    assert frechet.frechet(images, {"known": model}, SIDE, kept) == found


def test_training_images_are_never_among_those_measured(photographs, tmp_path):
    images = evaluate.by_content([photographs])
    known = {name.name: key for key, name in images.items()}
    training = evaluate.Training.of([photographs], 0, {known["cat.png"], known["table.png"]})
    assert {image.name for image in training.images} == {
        *("astronaut.png", "coffee.png", "suit.png")
    }
    fewer = evaluate.Training.of([photographs], 2, {known["cat.png"], known["table.png"]})
    assert fewer.images == training.first(2).images
    with pytest.raises(DataError, match="all training images"):
        evaluate.Training.of([photographs], 0, set(images))


def test_json_has_no_nan():
    text = json.dumps(plain({"a": (float("nan"), 1.0, [np.inf])}), allow_nan=False)
    assert json.loads(text) == {"a": [None, 1.0, [None]]}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--models", "gray,guess"], "expected models among"),
        (["--models", "original"], "--original"),
        (["--models", "gray", "--hints", "many"], "expected numbers of hints"),
        (["--models", "gray", "--manifest", "missing.csv"], "missing.csv"),
        (["--models", "coarse", "--weights", "missing.safetensors"], "missing.safetensors"),
        (["--vividness", "3"], "vividness"),
        (["--models", "average"], "--train"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    photographs, weights, tmp_path, capsys, more, words
):
    call = [photographs, "--out", tmp_path / "out", "--weights", weights, *more]
    assert command(evaluate.app, *call) == 2
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(error) == 1
    assert words in error[0]


def test_an_evaluation_that_is_not_there_or_another_version_is_said(tmp_path, evaluation):
    with pytest.raises(EvaluationError, match="holds no evaluation"):
        read_evaluation(tmp_path)
    for name in ("images.parquet", "risk_coverage.csv"):
        (tmp_path / name).write_bytes((evaluation.folder / name).read_bytes())
    (tmp_path / "evaluation.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(EvaluationError, match="format 1"):
        read_evaluation(Path(tmp_path))
