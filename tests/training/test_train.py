import csv
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from torch.nn import functional

from recolor_core.colorizer import Colorizer
from recolor_core.trainer import GeneratorRecipe, MemoryRecipe, RefinerRecipe
from recolor_core.weights import load_weights
from training import export, train
from training.original import OriginalRecipe
from training.photographs import DataError, Squares, list_photographs, square

from .chain import command, small_weights

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "training" / "configs"
QUICK = ("size=64", "batch=2", "precision=32-true", "log_every=1", "checkpoint_every=1")
SETS = [word for pair in QUICK for word in ("--set", pair)]
ON_CPU = ["--accelerator", "cpu", "--workers", "0", "--no-progress"]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    astronaut, coffee = skimage.data.astronaut(), skimage.data.coffee()
    for number in range(3):
        shift = 40 * number
        for name, pixels in (("astronaut", astronaut), ("coffee", coffee)):
            cut = pixels[shift : shift + 200, shift : shift + 260]
            Image.fromarray(cut).save(folder / f"{name}-{number}.png")
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return small_weights(tmp_path_factory.mktemp("weights") / "small.safetensors")


def refiner_command(data, out, weights, *more):
    sets = [*SETS, "--set", "crop=32", "--set", "steps=2", "--set", f"generator={weights}"]
    sets += ["--set", "width=8", "--set", "blocks=1"]
    return command(
        train.app, "refiner", "--data", data, "--out", out, *sets, *ON_CPU, "--devices", 1, *more
    )


# --- images ---------------------------------------------------------------------------------


def test_squares_are_cut_from_the_center_of_folders_and_tars(photographs, tmp_path):
    with tarfile.open(tmp_path / "some.tar", "w") as tar:
        for path in sorted(photographs.iterdir()):
            tar.add(path, path.name)
    from_folder, from_tar = (list_photographs([p]) for p in (photographs, tmp_path / "some.tar"))
    assert len(from_folder) == len(from_tar) == 6
    assert Squares(from_folder, 64)[4].equal(Squares(from_tar, 64)[4])
    assert square(from_folder[0], 200).shape == (200, 200, 3)
    whole = np.asarray(Image.open(photographs / "astronaut-0.png"))
    assert np.array_equal(square(from_folder[0], 200), whole[:, 30:230])


# --- what goes wrong --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "holds no image"),
        ({"a.png": "color"}, "at least 2 photographs"),
        ({"a.png": "color", "b.png": "broken"}, "cannot be read"),
        ({"a.png": "gray", "b.png": "gray"}, "gray"),
    ],
)
def test_data_that_cannot_be_trained_on(tmp_path, weights, capsys, files, words):
    data = tmp_path / "data"
    data.mkdir()
    for name, kind in files.items():
        image = Image.fromarray(skimage.data.coffee()[:80, :80])
        if kind == "broken":
            (data / name).write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
        else:
            (image.convert("L") if kind == "gray" else image).save(data / name)
    assert refiner_command(data, tmp_path / "out", weights) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert words in error
    assert len(error.splitlines()) == 1


@pytest.mark.slow
def test_a_image_that_breaks_on_the_way_ends_in_one_line(photographs, tmp_path, weights, capsys):
    data = tmp_path / "data"
    data.mkdir()
    for number in range(80):  # so many that the check of a sample passes this one by
        content = (photographs / "coffee-0.png").read_bytes()
        (data / f"{number:03}.png").write_bytes(content[:99] if number == 1 else content)
    one_epoch = ["--set", "steps=40", "--workers", "1"]
    assert refiner_command(data, tmp_path / "out", weights, *one_epoch) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert "001.png cannot be read" in error
    assert torch.load(tmp_path / "out" / "last.ckpt", weights_only=True)["step"] > 0


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--set", "nonsense=3"], "no 'nonsense'"),
        (["--set", "steps"], "name=value"),
        (["--config", "missing.toml"], "cannot be read as a recipe"),
        (["--set", "pretrained=missing.pth"], "missing.pth cannot be read"),
        (["--set", "generator=missing.safetensors"], "missing.safetensors"),
    ],
)
def test_a_wrong_recipe_ends_in_one_line(photographs, tmp_path, weights, capsys, more, words):
    assert refiner_command(photographs, tmp_path / "out", weights, *more) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert words in error
    assert len(error.splitlines()) == 1


RECIPES = {
    "generator": GeneratorRecipe,
    "finetune": GeneratorRecipe,
    "distilled": GeneratorRecipe,
    "default": GeneratorRecipe,
    "refiner": RefinerRecipe,
    "memory": MemoryRecipe,
    "original": OriginalRecipe,
    "clean": GeneratorRecipe,
}


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_recipe_file_is_a_recipe(path):
    RECIPES[path.stem].read(path)


# --- the chain --------------------------------------------------------------------------------


@pytest.mark.slow
def test_refiner_is_trained_exported_and_colorizes(photographs, tmp_path, weights, capsys):
    cached = ["--cache", tmp_path / "cache", "--validation", photographs, "--validation-count", 2]
    assert refiner_command(photographs, tmp_path / "out", weights, *cached) == 0
    assert "done at step 2" in capsys.readouterr().out
    exported, card = tmp_path / "new.safetensors", tmp_path / "card.md"
    last = tmp_path / "out" / "last.ckpt"
    words = ["--generator", weights, "--refiner", last, "--card", card, "--recipe", "two steps"]
    assert command(export.app, exported, *words) == 0
    record = capsys.readouterr().out
    networks = load_weights(exported)
    assert networks.record.sha256 in record
    assert networks.record.sha256 in card.read_text()
    average = torch.load(last, weights_only=True)["average"]
    kept = networks.refiner.state_dict()["out.weight"]
    assert kept.equal(average["out.weight"].half().float())
    gray = skimage.data.camera()[::4, ::4]
    assert Colorizer(exported, "cpu")(gray, size=64).rgb.shape == (*gray.shape, 3)


@pytest.mark.slow
def test_networks_named_together_are_exported_as_their_mean(tmp_path):
    one, two = (small_weights(tmp_path / f"{seed}.safetensors", seed) for seed in (1, 2))
    mean = tmp_path / "mean.safetensors"
    words = ["--generator", one, "--generator", one, "--generator", two, "--refiner", one]
    assert command(export.app, mean, *words) == 0
    first, second, both = (
        load_weights(path).generator.state_dict()["head.weight"] for path in (one, two, mean)
    )
    torch.testing.assert_close(both, (2 * first + second) / 3, rtol=1e-3, atol=1e-4)
    kept = [load_weights(path).refiner.state_dict()["out.weight"] for path in (one, mean)]
    assert kept[0].equal(kept[1])


@pytest.mark.slow
def test_weights_without_a_trained_refiner_upsample_bicubically(weights, tmp_path):
    exported = tmp_path / "clean.safetensors"
    words = ["--generator", weights, "--refiner", "bicubic", "--use", "any"]
    assert command(export.app, exported, *words) == 0
    gray = skimage.data.camera()[::4, ::4]
    result = Colorizer(exported, "cpu")(gray, size=64)
    upsampled = functional.interpolate(
        torch.from_numpy(result.ab_coarse)[None],
        size=result.ab_refined.shape[1:],
        mode="bicubic",
        align_corners=False,
    )
    np.testing.assert_allclose(result.ab_refined, upsampled[0].numpy(), atol=1e-3)
    assert float(np.abs(result.ab_refined).max()) > 1
    assert load_weights(exported).record.use == "any"


@pytest.mark.slow
def test_networks_of_different_shapes_have_no_mean(tmp_path, capsys):
    one, other = (small_weights(tmp_path / f"{w}.safetensors", 1, w) for w in (64, 128))
    words = ["--generator", one, "--generator", other, "--refiner", one]
    assert command(export.app, tmp_path / "x.safetensors", *words) == 2
    assert "not of the shape" in capsys.readouterr().err
    assert not (tmp_path / "x.safetensors").exists()


def test_export_refuses_what_is_no_checkpoint(tmp_path, weights, capsys):
    wrong = tmp_path / "wrong.ckpt"
    wrong.write_bytes(b"nothing")
    assert command(export.app, tmp_path / "x.safetensors", "--generator", wrong) == 2
    missing = tmp_path / "missing.ckpt"
    assert command(export.app, tmp_path / "x.safetensors", "--generator", missing) == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert "damaged or foreign" in errors[0]
    assert "found none" in errors[1]
    assert not (tmp_path / "x.safetensors").exists()


def test_an_unreadable_image_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no")
    with pytest.raises(DataError, match=r"a\.png cannot be read"):
        square(list_photographs([tmp_path])[0], 64)


# --- whole processes --------------------------------------------------------------------------


@pytest.fixture
def one_thread():
    """What is trained here and in a process is compared to the bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def refiner_words(photographs, out, weights, *more):
    words = ["refiner", "--data", photographs, "--out", out, *SETS, *ON_CPU]
    words += ["--set", "crop=32", "--set", "width=8", "--set", "blocks=1"]
    return [*words, "--set", f"generator={weights}", *more]


def process(*words):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "training.train", *map(str, words)], cwd=ROOT, env=environment
    )


def losses(out):
    curve = {}
    for path in sorted(out.glob("log/*/metrics.csv")):
        with path.open(newline="") as file:
            curve |= {row["step"]: float(row["train/loss"]) for row in csv.DictReader(file)}
    return curve


@pytest.mark.slow
def test_killed_at_any_step_and_resumed_it_is_never_killed(
    photographs, tmp_path, weights, one_thread
):
    steps = ("--devices", "1", "--set", "steps=40")
    whole = refiner_words(photographs, tmp_path / "whole", weights, *steps)
    killed = refiner_words(photographs, tmp_path / "killed", weights, *steps)
    assert command(train.app, *whole) == 0
    doomed = process(*killed)
    last = tmp_path / "killed" / "last.ckpt"
    while not last.exists() and doomed.poll() is None:
        time.sleep(0.05)
    time.sleep(np.random.default_rng().uniform(0, 0.5))
    doomed.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    assert doomed.wait() != 0
    assert torch.load(last, weights_only=True)["step"] < 40
    assert command(train.app, *killed) == 0
    whole, resumed = (
        torch.load(tmp_path / name / "last.ckpt", weights_only=True) for name in ("whole", "killed")
    )
    for part in ("network", "average"):
        assert all(value.equal(resumed[part][name]) for name, value in whole[part].items())
    assert losses(tmp_path / "whole") == losses(tmp_path / "killed")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="gloo on Windows needs a host name to bind to")
def test_two_processes_give_the_loss_curve_of_one(photographs, tmp_path, weights):
    steps = ("--set", "steps=10", "--set", "batch=4")
    one, two = tmp_path / "one", tmp_path / "two"
    alone = refiner_words(photographs, one, weights, *steps, "--devices", "1")
    assert command(train.app, *alone) == 0
    both = refiner_words(photographs, two, weights, *steps, "--devices", "2", "--strategy", "ddp")
    assert process(*both).wait() == 0
    single, double = losses(one), losses(two)
    assert single.keys() == double.keys()
    assert len(single) == 10
    # Each process normalizes by its own half of the batch, so the curves are near, not equal.
    assert list(double.values()) == pytest.approx(list(single.values()), rel=0.02)
