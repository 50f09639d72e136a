import sys

import pytest
import skimage.data
import torch
from PIL import Image
from torch.nn import functional as F

from recolor_core.models.encoder import LowLevelEncoder
from recolor_core.trainer import GeneratorRecipe, GeneratorTask, TrainingError
from training.command import run_command
from training.original import REACH, Original, OriginalRecipe, OriginalTask, load_original
from training.train import BUILDERS, TrainingRequest, app

QUICK = {"batch": 2, "size": 32, "precision": "32-true", "log_every": 1, "checkpoint_every": 1}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for number in range(4):
        cut = skimage.data.coffee()[:200, 60 * number : 60 * number + 200]
        Image.fromarray(cut).save(folder / f"{number}.png")
    return folder


def codes(count=2, size=32):
    rng = torch.Generator().manual_seed(3)
    coarse = torch.rand(count, 3, 4, 4, generator=rng)
    rgb = F.interpolate(coarse, size=(size, size), mode="bicubic").clamp(0, 1)
    return (255 * rgb).to(torch.uint8)


@pytest.mark.parametrize("size", [(32, 32), (37, 50), (8, 9)])
def test_it_gives_colors_in_reach_at_a_quarter_of_any_size(size):
    network = Original().eval()
    network.head.weight.data.mul_(1e3)
    with torch.no_grad():
        ab = network(100 * torch.rand(2, 1, *size))
    assert ab.shape == (2, 2, -(-size[0] // 4), -(-size[1] // 4))
    assert ab.abs().max() <= REACH


def test_it_has_low_level_encodings_and_batch_norm_before_every_relu():
    network = Original()
    assert isinstance(network.low_level, LowLevelEncoder)
    assert not any(name.startswith("semantic") for name, _ in network.named_modules())
    for block in (network.neck, network.lateral, *network.decoder):
        kinds = [type(module) for module in block]
        assert kinds == [torch.nn.Conv2d, torch.nn.BatchNorm2d, torch.nn.ReLU]


@pytest.mark.slow
def test_it_learns_the_colors_of_a_few_images():
    task = OriginalTask(OriginalRecipe.of({**QUICK, "degrade_probability": 0.0}))
    optimizer = torch.optim.AdamW(task.parameters(), lr=3e-3)
    losses = []
    for _ in range(25):  # always step 0, so always the same crops
        loss = task({"rgb": codes()}, 0, slice(0, 2))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


def test_it_is_measured_as_a_generator_is():
    task = OriginalTask(OriginalRecipe.of(QUICK))
    generator = GeneratorTask(
        GeneratorRecipe.of({**QUICK, "width": 64, "decoder": [8, 8, 8], "attention": 1})
    )
    batch = {"rgb": codes(3)}
    ours = task.validate(task.network.eval(), batch, 0)
    theirs = generator.validate(generator.network.eval(), batch, 0)
    assert ours.measures.keys() == theirs.measures.keys()
    assert ours.images.shape == theirs.images.shape == (3, 3, 3, 32, 32)
    # gray and truth, the first and the last image, are the same for both
    assert ours.images[:, [0, 2]].equal(theirs.images[:, [0, 2]])


def test_what_can_be_trained_is_listed(photographs, tmp_path, monkeypatch, capsys):
    assert {"generator", "refiner", "original"} <= BUILDERS.keys()
    words = ["train", "sculptor", "--data", photographs, "--out", tmp_path / "out"]
    monkeypatch.setattr(sys, "argv", list(map(str, words)))
    with pytest.raises(SystemExit) as end:
        run_command(app)
    assert end.value.code == 2
    error = capsys.readouterr().err.strip()
    assert f"expected one of {', '.join(BUILDERS)}" in error
    assert "'sculptor'" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_command_trains_it_and_its_checkpoint_gives_the_averaged_network(
    photographs, tmp_path, monkeypatch
):
    sets = [f"--set={name}={value}" for name, value in {**QUICK, "steps": 3}.items()]
    words = ["train", "original", "--data", photographs, "--validation", photographs, *sets]
    words += ["--out", tmp_path, "--accelerator", "cpu", "--workers", "0", "--no-progress"]
    monkeypatch.setattr(sys, "argv", list(map(str, [*words, "--devices", "1"])))
    with pytest.raises(SystemExit) as end:
        run_command(app)
    assert not end.value.code
    network = load_original(tmp_path / "last.ckpt")
    assert not network.training
    average = torch.load(tmp_path / "last.ckpt", weights_only=True)["average"]
    assert all(tensor.equal(average[name]) for name, tensor in network.state_dict().items())
    fresh = OriginalTask(OriginalRecipe.of(QUICK)).network.state_dict()
    assert not network.head.weight.equal(fresh["head.weight"])


def test_a_checkpoint_of_another_kind_is_refused(tmp_path):
    torch.save({"format": 1, "kind": "generator"}, tmp_path / "other.ckpt")
    with pytest.raises(TrainingError, match="of kind 'generator', expected 'original'"):
        load_original(tmp_path / "other.ckpt")
    with pytest.raises(TrainingError, match="cannot be read"):
        load_original(tmp_path / "missing.ckpt")


@pytest.mark.parametrize(("most", "taken"), [(0, 4), (1, 1), (3, 2), (9, 4)])
def test_at_most_so_many_are_validated_on_evenly_chosen(photographs, most, taken):
    wanted = TrainingRequest(None, {}, [photographs], [photographs], most, None, 0)
    names = [image.name for image in wanted.held_out]
    assert names == [f"{number}.png" for number in range(0, 4, 4 // taken)]
    assert TrainingRequest(None, {}, [photographs], [], most, None, 0).held_out == []
