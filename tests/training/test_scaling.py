import json

import numpy as np
import pandas as pd
import pytest
import skimage.data
from PIL import Image

from training import evaluate, scaling
from training.models.interface import ab_of
from training.photographs import square

from .chain import command


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Two images to measure and eight to learn from."""
    folder = tmp_path_factory.mktemp("photographs")
    for kind, image, count in (
        ("test", skimage.data.chelsea(), 2),
        ("train", skimage.data.coffee(), 8),
    ):
        (folder / kind).mkdir()
        for number in range(count):
            cut = image[:224, 20 * number : 20 * number + 224]
            Image.fromarray(cut).save(folder / kind / f"{number}.png")
    return folder


def studied(photographs, out, *more):
    words = [photographs / "test", "--train", photographs / "train", "--out", out, *more]
    return command(scaling.app, *words)


@pytest.mark.slow
def test_every_part_of_the_images_is_fitted_and_measured(photographs, tmp_path, capsys):
    assert studied(photographs, tmp_path, "--models", "average", "--fractions", "1/4,1") == 0
    assert "8 images" in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "scaling.csv")
    assert set(zip(table["fraction"], table["images"], strict=True)) == {(0.25, 2), (1, 8)}
    assert ((table["low"] <= table["mean"]) & (table["mean"] <= table["high"])).all()
    about = json.loads((tmp_path / "scaling.json").read_text())
    assert about["measured"] == 2
    assert len(about["rows"]) == len(table)
    # The error is that of the mean color of just these two images.
    measured = evaluate.by_content([photographs / "test"])
    learned = evaluate.Training.of([photographs / "train"], 0, set()).first(2)
    mean = np.mean([ab_of(square(p, 224)) for p in learned.images], axis=(0, 2, 3))
    true = [ab_of(square(p, 224)) for p in measured.values()]
    expected = np.mean([np.sqrt(np.square(ab - mean[:, None, None]).mean()) for ab in true])
    row = table[(table["images"] == 2) & (table["metric"] == "rmse")]
    assert row["mean"].item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_a_study_goes_on_where_it_stopped(photographs, tmp_path, monkeypatch):
    assert studied(photographs, tmp_path, "--models", "average", "--fractions", "1/2") == 0
    kept = (tmp_path / "rows.jsonl").read_text()
    assert studied(photographs, tmp_path, "--models", "average", "--fractions", "1/2,1") == 0
    rows = (tmp_path / "rows.jsonl").read_text()
    assert rows.startswith(kept)
    assert len(rows.splitlines()) == 4


@pytest.mark.slow
@pytest.mark.parametrize("network", ["generator", "original"])
def test_networks_are_trained_on_parts_too(photographs, tmp_path, network):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('steps = 1\nbatch = 2\nsize = 64\nprecision = "32-true"\n')
    more = ["--models", network, "--fractions", "1/4,1/2", "--config", recipe]
    assert studied(photographs, tmp_path / "out", *more) == 0
    table = pd.read_csv(tmp_path / "out" / "scaling.csv")
    assert set(table["model"]) == {network}
    assert set(table["images"]) == {2, 4}
    assert table[table["metric"] == "psnr"]["mean"].nunique() == 2


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--fractions", "1/8,2"], "expected parts above 0"),
        (["--fractions", "half"], "expected parts above 0"),
        (["--models", "refined"], "expected models among average"),
        (["--models", "generator,original", "--config", "x.toml"], "one network"),
    ],
)
def test_a_study_that_cannot_be_made_is_said_in_one_line(
    photographs, tmp_path, capsys, more, words
):
    assert studied(photographs, tmp_path, *more) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert words in error
    assert len(error.splitlines()) == 1
