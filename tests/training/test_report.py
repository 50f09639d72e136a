import json
import re
import shutil
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
import skimage.data
from PIL import Image

from recolor_core.weights import load_weights
from training import report, temporal_consistency
from training.analysis.curves import read_log, read_turing
from training.analysis.examples import (
    Colors,
    choose,
    colors_of,
    divergence,
    divergence_interval,
)
from training.analysis.layers import PARTS, describe_layer, outputs
from training.evaluation_data import read_evaluation
from training.photographs import DataError
from training.report import Given
from training.scaling import Point
from training.visual_turing_test import machine
from training.visual_turing_test.answers import FILE, Answer, Reason, Side, append_answer

from .chain import command, small_weights

pytestmark = pytest.mark.slow  # a whole chain, run once, is what all of it looks at

EVALUATED = {
    "losses",
    "errors",
    "quality-time",
    "scene-types",
    "examples-random",
    "examples-best",
    "examples-worst",
    "examples-most-uncertain",
    "risk-coverage",
    "colors",
    "layers",
}
BESIDES = {"learning-1", "scaling", "steadiness", "color-over-time", "turing"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return small_weights(tmp_path_factory.mktemp("weights") / "small.safetensors")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("measured") / "photographs"
    folder.mkdir()
    for name in ("astronaut", "chelsea", "coffee"):
        pixels = getattr(skimage.data, name)()[:240, :240]
        Image.fromarray(pixels).save(folder / f"{name}.png")
    rows = ["key,category", "astronaut,people", "chelsea,animals", "coffee,things"]
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    (folder.parent / "train").mkdir()
    for left in (0, 200):
        cut = skimage.data.rocket()[100:340, left : left + 240]
        Image.fromarray(cut).save(folder.parent / "train" / f"{left}.png")
    return folder


def write_log(folder, first, steps):
    table = pd.DataFrame({"step": steps, "train/loss": 1 / np.asarray(steps)})
    table["validation/psnr"] = np.where(np.asarray(steps) % 2, np.nan, 20 + table["step"])
    (folder / "log" / f"from_{first:06d}").mkdir(parents=True)
    table.to_csv(folder / "log" / f"from_{first:06d}" / "metrics.csv", index=False)


def write_scaling(folder):
    folder.mkdir()
    points = [
        asdict(Point("forest", "random forest", part, round(8 * part), metric, 2.0, 1.5, 2.5))
        for part in (0.125, 0.5, 1)
        for metric in ("mse", "psnr")
    ]
    about = {"format": 1, "rows": points, "measured": 3}
    (folder / "scaling.json").write_text(json.dumps(about))


def write_steadiness(folder):
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows = [
        {
            "source": "made clips",
            "way": way,
            **dict.fromkeys(temporal_consistency.METRICS, rng.random()),
        }
        for _ in range(3)
        for way in (temporal_consistency.FRAME_BY_FRAME, "memory")
    ]
    cuts = {"cuts": 5, "found": 4, "missed": 1, "seen where there was none": 0, "carried": 0.25}
    about = {"format": 1, "clips": {"count": 3, "frames": 8}, "cuts": cuts}
    about |= temporal_consistency.summarize_ways(pd.DataFrame(rows))
    (folder / "temporal_consistency.json").write_text(json.dumps(about))
    frames = pd.MultiIndex.from_product(
        [["made clips"], [temporal_consistency.FRAME_BY_FRAME, "memory"], range(3), range(8)],
        names=["source", "way", "point", "frame"],
    ).to_frame(index=False)
    frames["a"], frames["b"] = rng.random((2, len(frames)))
    frames.to_csv(folder / "color_over_time.csv", index=False)


def write_turing(folder):
    folder.mkdir()
    for number in range(1, 7):
        answer = Answer(
            "ann",
            number,
            f"p/{number % 3}.png",
            f"{number % 3}.png",
            f"{number % 3}-twin.png",
            "small",
            "0" * 64,
            Side.LEFT,
            Side.LEFT if number > 2 else Side.RIGHT,
            (Reason.GRAY,) if number == 3 else (),
            2.0,
            "2026-01-01T00:00:00+00:00",
        )
        append_answer(folder / FILE, answer)
    row = machine.Row("small", False, "network", 9, 0.7, 0.6, 0.8, 0.9, 0.7, 1.0, 0.01)
    (folder / machine.RESULT).write_text(
        json.dumps({"format": machine.FORMAT, "rows": [asdict(row)]})
    )


@pytest.fixture(scope="module")
def given(weights, tmp_path_factory):
    folder = tmp_path_factory.mktemp("given")
    write_log(folder / "run", 0, [1, 2, 3, 4])
    write_scaling(folder / "scaling")
    write_steadiness(folder / "steadiness")
    write_turing(folder / "turing")
    return Given(
        (folder / "run",),
        folder / "scaling",
        folder / "steadiness",
        folder / "turing",
        str(weights),
        "cpu",
    )


@pytest.fixture(scope="module")
def made(photographs, weights, given, tmp_path_factory):
    """The report of photographs: evaluated, drawn, with everything that can be given."""
    out = tmp_path_factory.mktemp("made") / "report"
    words = ["--train", photographs.parent / "train", "--models", "gray,average,coarse,refined"]
    words += ["--manifest", photographs / "manifest.csv", "--weights", weights, "--device", "cpu"]
    words += [
        "--hints",
        "1",
        "--alternatives",
        "0",
        "--run",
        given.runs[0],
        "--scaling",
        given.scaling,
        "--turing",
        given.turing,
    ]
    words += ["--film-metrics", given.film_metrics]
    assert command(report.app, photographs, "--out", out, *words) == 0
    return out


def page(folder):
    return (folder / "index.html").read_text(encoding="utf-8")


# --- the page ---------------------------------------------------------------------------------


def test_photographs_become_a_report_with_every_figure(made):
    figures = set(re.findall(r'<figure id="([^"]+)">', page(made)))
    assert figures == EVALUATED | BESIDES
    for name in figures:
        for suffix in ("png", "svg", "csv"):
            assert (made / "figures" / f"{name}.{suffix}").stat().st_size > 0
        assert len(pd.read_csv(made / "figures" / f"{name}.csv")) > 0
        assert re.search(r"<figcaption>[A-Z0-9]", page(made))
    assert not list(made.rglob("*.part"))


def test_tables_have_the_numbers_of_the_evaluation(made):
    evaluation = read_evaluation(made / "evaluation")
    for group in evaluation.groups.values():
        for model in evaluation.models:
            mean, low, high = group[model]["psnr"]
            assert f"{mean:.2f}<small>{low:.2f}–{high:.2f}</small>" in page(made)
    losses = pd.read_csv(made / "figures" / "losses.csv").set_index(["metric", "model"])
    expected = evaluation.groups["all"]["refined"]["ciede2000"][0]
    assert losses.loc[("ciede2000", "refined"), "mean"] == pytest.approx(expected, rel=1e-4)


def test_a_report_is_complete_in_itself(made):
    html = page(made)
    loaded = re.findall(r"""(?:src|href|data|poster)\s*=\s*["']([^"']*)|url\(([^)]*)\)""", html)
    for target in (a or b for a, b in loaded):
        assert target.startswith(("data:", "#", "figures/")), target[:80]
        if target.startswith("figures/"):
            assert (made / target).is_file()
    assert not re.search(r"<script|<link|<iframe|@import", html)


def test_a_second_run_draws_only_what_has_changed(made, given, tmp_path):
    out = tmp_path / "report"
    shutil.copytree(made, out)
    evaluation = read_evaluation(out / "evaluation")
    assert report.report(evaluation, out, given).drawn == []
    assert page(out) == page(made)
    write_log(tmp_path / "run", 0, [1, 2, 3])
    other = Given((tmp_path / "run",), *list(vars(given).values())[1:])
    assert report.report(evaluation, out, other).drawn == ["learning-1"]


def test_what_is_missing_is_said(made, weights, tmp_path):
    out = tmp_path / "report"
    shutil.copytree(made, out)
    about = json.loads((out / "evaluation" / "evaluation.json").read_text())
    about["groups"] = {"all": about["groups"]["all"]}
    about["train"] = []
    (out / "evaluation" / "evaluation.json").write_text(json.dumps(about))
    given = Given(weights=str(weights), device="cpu")
    drawn = report.report(read_evaluation(out / "evaluation"), out, given).drawn
    assert drawn == ["colors"]
    for says in (
        "No training was given",
        "No study was given",
        "No film was measured",
        "No visual Turing test",
        "knows no scene types",
        "had no training images",
        "Not measured: ",
    ):
        assert says in page(out), says
    left = set(re.findall(r'<figure id="([^"]+)">', page(out)))
    assert left == EVALUATED - {"scene-types"}
    assert {path.stem for path in (out / "figures").glob("*.png")} == left


def test_images_that_are_gone_or_changed_are_not_shown(made, photographs, weights, tmp_path):
    about = json.loads((made / "evaluation" / "evaluation.json").read_text())
    folder, out = tmp_path / "evaluation", tmp_path / "report"
    shutil.copytree(made / "evaluation", folder)
    shutil.copytree(made / "figures", out / "figures")
    for name in ("examples-random", "examples-best", "examples-worst", "layers"):
        (out / "figures" / f"{name}.png").unlink()
    moved = tmp_path / "photographs"
    shutil.copytree(photographs, moved)
    for path in moved.glob("*.png"):
        Image.new("RGB", (240, 240), "red").save(path)
    given = Given(weights=str(weights), device="cpu")
    for source, says in ((moved, "has changed since"), (tmp_path / "gone", "does not exist")):
        about["sources"] = [str(source)]
        (folder / "evaluation.json").write_text(json.dumps(about))
        report.report(read_evaluation(folder), out, given)
        assert says in page(out)
        assert 'id="examples-random"' not in page(out)
        assert 'id="losses"' in page(out)
    about["sources"], about["weights"]["sha256"] = [str(photographs)], "1" * 64
    (folder / "evaluation.json").write_text(json.dumps(about))
    report.report(read_evaluation(folder), out, given)
    assert "are others than those that were measured" in page(out)


def test_bad_input_ends_with_one_line_and_code_2(made, photographs, tmp_path, capsys):
    broken, file, out = tmp_path / "broken", tmp_path / "file", tmp_path / "out"
    broken.mkdir()
    (broken / "evaluation.json").write_text("{")
    file.write_text("in the way")
    whole = made / "evaluation"
    for words, says in (
        ([tmp_path / "nowhere"], "does not exist"),
        ([broken], "no evaluation that can be read"),
        ([whole, "--run", broken], "no log of a training"),
        ([whole, "--scaling", broken], "training.scaling"),
        ([whole, "--film-metrics", broken], "training.temporal_consistency"),
        ([whole, "--turing", broken], "training.visual_turing_test"),
        ([photographs, "--models", "oracle"], "oracle"),
        ([whole, "--out", file], "a file is in the way"),
    ):
        if "--out" not in words:
            words = [*words, "--out", out]
        assert command(report.app, *words, "--device", "cpu") == 2, words
        assert says in capsys.readouterr().err.strip().splitlines()[-1]
        assert not (out / "index.html").exists()


# --- what it is made of -----------------------------------------------------------------------


def test_images_are_chosen_by_rule():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {
            "image": [f"{i}" for i in range(40)],
            "ciede2000": rng.random(40),
            "true_colorfulness": rng.random(40),
            "uncertainty_mean": rng.random(40),
        }
    )
    chosen = choose(rows, 3, seed=1)
    colorful = rows[rows["true_colorfulness"] >= rows["true_colorfulness"].median()]
    assert chosen["best"]["ciede2000"].max() == colorful["ciede2000"].nsmallest(3).max()
    assert chosen["worst"]["ciede2000"].min() == colorful["ciede2000"].nlargest(3).min()
    doubts = rows["uncertainty_mean"].nlargest(3)
    assert chosen["most uncertain"]["uncertainty_mean"].tolist() == doubts.tolist()
    assert chosen["random"].equals(choose(rows, 3, seed=1)["random"])
    assert not chosen["random"].equals(choose(rows, 3, seed=2)["random"])
    rows["uncertainty_mean"] = np.nan
    assert "most uncertain" not in choose(rows, 3, seed=1)


def test_a_log_is_put_together_where_a_run_was_resumed(tmp_path):
    write_log(tmp_path, 0, [1, 2, 3, 4])
    write_log(tmp_path, 2, [3, 4, 5, 6])
    log = read_log(tmp_path)
    assert log.table.index.tolist() == [1, 2, 3, 4, 5, 6]
    assert log.values("validation/psnr").index.tolist() == [2, 4, 6]
    assert log.values("validation/loss").empty


def test_observers_answers_are_counted(given):
    found = read_turing(given.turing)
    assert (found.rows[0].trials, found.rows[0].fooled) == (6, 2)
    assert found.images["told"].sum() == 4
    assert found.images[Reason.GRAY.value].sum() == 1


def test_divergence_is_in_bits():
    one = np.eye(4) / 4
    assert divergence(one, one) == 0
    assert divergence(one, np.fliplr(one)) == pytest.approx(1)
    some = np.array([[0.75, 0.25]])
    p, q, m = some[0], some[0][::-1], np.array([0.5, 0.5])
    by_hand = (p * np.log2(p / m) + q * np.log2(q / m)).sum() / 2
    assert divergence(some, some[:, ::-1]) == pytest.approx(by_hand)


def test_distributions_of_different_colors_are_told_apart():
    rng = np.random.default_rng(0)

    def images(center, number=12):
        return colors_of(iter(rng.normal(center, 5, (number, 2, 8, 8))))

    same, other = images(0), images(40)
    assert isinstance(same, Colors)
    assert same.share.sum() == pytest.approx(1)
    assert other.share[65:85, 65:85].sum() > 0.95  # cells of 20 to 60 Lab units
    value, low, high = divergence_interval(same, other)
    assert low <= value <= high
    assert value > 0.95
    assert divergence_interval(images(0), same)[0] < 0.6


def test_every_part_of_the_networks_is_seen_and_nothing_stays_hooked(weights):
    networks = load_weights(weights)
    light = np.random.default_rng(0).uniform(0, 100, (64, 96)).astype(np.float32)
    found = outputs(networks, light, np.zeros((2, 16, 24), np.float32))
    assert list(found) == list(PARTS)
    assert found["low-level, 1/2"].shape == (64, 32, 48)
    assert found["semantic, 1/32"].shape == (352, 2, 3)
    assert found["decoder, 1/4"].shape == (16, 16, 24)
    assert found["refiner: full size"].shape == (3, 64, 96)  # three eighths of its width
    hooked = [m for n in (networks.generator, networks.refiner) for m in n.modules()]
    assert not any(module._forward_hooks for module in hooked)
    for name, output in found.items():
        layer = describe_layer(name, output)
        assert layer.components.min() >= 0
        assert layer.components.max() <= 1
        spread = output.var((1, 2))
        assert spread[layer.numbers].min() >= np.sort(spread)[-len(layer.numbers)] - 1e-6


def test_a_folder_without_answers_is_refused(tmp_path):
    with pytest.raises(DataError, match="neither answers"):
        read_turing(tmp_path)
