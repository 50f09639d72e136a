from urllib.error import URLError

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch.nn import functional as F
from torch.utils.data import Dataset

from recolor_core.errors import WeightsError
from recolor_core.lab import lab_to_rgb
from recolor_core.models.config import RefinerConfig
from recolor_core.models.encoder import SemanticEncoder
from recolor_core.models.generator import Generator
from recolor_core.models.refiner import Refiner
from recolor_core.trainer import (
    GeneratorRecipe,
    GeneratorTask,
    Machine,
    TrainingError,
    fit,
    frozen_generator,
    load_pretrained,
)
from recolor_core.trainer.generator import taught, unexplained
from recolor_core.trainer.pretrained import read_teacher
from recolor_core.weights import load_weights, save_weights

SMALL = RefinerConfig(width=8, blocks=1)


@pytest.fixture(scope="module")
def generator():
    return Generator()


# --- starting weights -------------------------------------------------------------------------


def test_weights_of_torchvision_names_start_the_low_level_path(tmp_path):
    network = Refiner(SMALL)
    theirs = {
        name: torch.randn(tensor.shape)
        for name, tensor in network.low_level.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    theirs["conv1.weight"] = torch.randn(64, 3, 7, 7)
    theirs["fc.weight"] = torch.randn(1000, 2048)
    torch.save(theirs, tmp_path / "resnet101.pth")
    taken = load_pretrained(network, str(tmp_path / "resnet101.pth"), "refiner.")
    assert all(name.startswith("low_level.") for name in taken.loaded)
    assert "out.weight" in taken.fresh
    assert network.low_level.conv1.weight.equal(theirs["conv1.weight"].sum(1, keepdim=True))
    name = "layer1.0.conv1.weight"
    assert network.low_level.state_dict()[name].equal(theirs[name])


def test_torchvision_by_its_name_gives_the_whole_low_level_path(generator, monkeypatch):
    with torch.device("meta"):
        names = torchvision.models.resnet101().state_dict()
    theirs = {
        name: torch.rand(tensor.shape).to(tensor.dtype)
        for name, tensor in names.items()
        if name.startswith(("conv1", "bn1", "layer1", "layer2", "fc"))
    }
    asked = []

    def fetched(weights, **options):
        asked.append((weights, options["check_hash"]))
        return theirs

    monkeypatch.setattr(torchvision.models.ResNet101_Weights, "get_state_dict", fetched)
    taken = load_pretrained(generator, "default, torchvision", "generator.")
    assert asked == [(torchvision.models.ResNet101_Weights.DEFAULT, True)]
    assert not taken.fresh
    for name, tensor in generator.low_level.state_dict().items():
        if name != "conv1.weight" and not name.endswith("num_batches_tracked"):
            assert tensor.equal(theirs[name])
    assert generator.low_level.conv1.weight.equal(theirs["conv1.weight"].sum(1, keepdim=True))


def test_torchvision_weights_that_cannot_be_fetched_are_said_in_words(generator, monkeypatch):
    def unreachable(weights, **options):
        raise URLError("no route to host")

    monkeypatch.setattr(torchvision.models.ResNet101_Weights, "get_state_dict", unreachable)
    with pytest.raises(TrainingError, match=r"no route to host.*give its path"):
        load_pretrained(generator, "torchvision", "generator.")


@pytest.mark.slow
def test_default_weights_start_a_training_by_their_name():
    generator = Generator()
    taken = load_pretrained(generator, "default", "generator.")
    assert not taken.fresh
    assert generator.head.weight.equal(load_weights().generator.head.weight)


def test_weights_of_timm_names_start_the_semantic_path(tmp_path):
    network = Generator()
    theirs = {n: torch.randn_like(t.float()) for n, t in network.semantic.state_dict().items()}
    theirs["classifier.weight"] = torch.randn(1000, 1280)
    save_file(theirs, tmp_path / "lite2.safetensors")
    taken = load_pretrained(network, str(tmp_path / "lite2.safetensors"), "generator.")
    assert all(name.startswith("semantic.") for name in taken.loaded)
    assert network.semantic.conv_stem.weight.equal(theirs["conv_stem.weight"])


def by_other_names(encoder):
    """A state dict in the order of EfficientNet-lite2 under other names, with a classifier."""
    theirs = {
        f"_layers.{number}.{name.rpartition('.')[2]}": torch.rand_like(tensor.float())
        for number, (name, tensor) in enumerate(encoder.state_dict().items())
    }
    return theirs | {"_fc.weight": torch.rand(1000, 1280), "_fc.bias": torch.rand(1000)}


@pytest.mark.parametrize("counters", [True, False])
def test_weights_of_other_names_in_timms_order_start_the_semantic_path(
    tmp_path, generator, counters
):
    theirs = by_other_names(generator.semantic)
    if not counters:
        theirs = {name: t for name, t in theirs.items() if "num_batches_tracked" not in name}
    torch.save(theirs, tmp_path / "lite2.pth")
    taken = load_pretrained(generator, str(tmp_path / "lite2.pth"), "generator.")
    assert all(name.startswith("semantic.") for name in taken.loaded)
    assert not any(name.startswith("semantic.") for name in taken.fresh)
    ours = [
        tensor
        for name, tensor in generator.semantic.state_dict().items()
        if not name.endswith("num_batches_tracked")
    ]
    weights = [tensor for name, tensor in theirs.items() if "num_batches_tracked" not in name]
    assert all(one.equal(other) for one, other in zip(ours, weights, strict=False))


@pytest.mark.slow
def test_another_order_or_shape_is_not_taken_for_lite2(tmp_path, generator):
    theirs = by_other_names(generator.semantic)
    names = list(theirs)
    wrong = [
        {names[1]: theirs[names[1]], **theirs},  # a normalization before the convolution
        theirs | {names[0]: torch.rand(32, 3, 5, 5)},
        dict(list(theirs.items())[:100]),
    ]
    for state in wrong:
        torch.save(state, tmp_path / "other.pth")
        with pytest.raises(TrainingError, match="fits"):
            load_pretrained(generator, str(tmp_path / "other.pth"), "generator.")


def test_weights_that_fit_nowhere_or_execute_code_are_refused(tmp_path):
    save_file({"what": torch.zeros(3)}, tmp_path / "foreign.safetensors")
    torch.save({"state": tmp_path}, tmp_path / "code.pth")
    (tmp_path / "damaged.safetensors").write_bytes(b"no")
    network = Refiner(SMALL)
    for name, words in (("foreign.safetensors", "fits"), ("code.pth", "more than tensors")):
        with pytest.raises(TrainingError, match=words):
            load_pretrained(network, str(tmp_path / name), "refiner.")
    for name in ("damaged.safetensors", "missing.pth"):
        with pytest.raises((TrainingError, WeightsError), match="cannot be read"):
            load_pretrained(network, str(tmp_path / name), "refiner.")


@pytest.mark.slow
def test_the_frozen_generator_is_known_by_itself_alone(tmp_path, generator):
    facts = {"license": "none", "training_data": "none"}
    names = []
    for number, recipe in enumerate(("one", "another")):
        path, refiner = tmp_path / f"{number}.safetensors", Refiner(SMALL)
        save_weights(path, generator, refiner, recipe=recipe, **facts)
        frozen, name = frozen_generator(str(path))
        names.append(name)
    assert names[0] == names[1]
    assert not frozen.training
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    generator.head.bias.data[0] += 1
    save_weights(path, generator, refiner, recipe="trained on", **facts)
    assert frozen_generator(str(path))[1] != names[0]


# --- a teacher --------------------------------------------------------------------------------


def test_agreement_leaves_nothing_unexplained_and_the_mean_everything():
    features = [torch.randn(2, 3, 4, 4), 5 + 2 * torch.randn(2, 6, 2, 2)]
    means = [level.mean(dim=(0, 2, 3), keepdim=True).expand_as(level) for level in features]
    assert float(unexplained(features, features)) == 0
    assert float(unexplained(means, features)) == pytest.approx(1)
    halfway = [(one + other) / 2 for one, other in zip(means, features, strict=True)]
    assert float(unexplained(halfway, features)) == pytest.approx(0.25)


def awake():
    """A semantic path of random weights, its normalization fit to images: fresh, it is silent."""
    torch.manual_seed(5)
    encoder = SemanticEncoder()
    for module in encoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the plain mean of what was seen
    encoder(torch.randn(8, 3, 64, 64))
    return encoder.eval()


def test_a_teacher_sees_color_as_efficientnet_lite_takes_it():
    teacher = awake()
    codes = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    sixteenth, thirtysecond = taught(teacher, codes)
    assert sixteenth.shape == (1, 120, 4, 4)
    assert thirtysecond.shape == (1, 352, 2, 2)
    with torch.no_grad():
        assert sixteenth.allclose(teacher(codes * (255 / 128) - 127 / 128)[0], atol=1e-4)
    gray = taught(teacher, codes.mean(1, keepdim=True).expand(-1, 3, -1, -1))
    assert not sixteenth.allclose(gray[0], atol=1e-2)


class Smooth(Dataset):
    """Smooth colored images."""

    def __init__(self, count=4, size=64):
        rng = torch.Generator().manual_seed(7)
        lab = 30 * torch.randn(count, 3, 6, 6, generator=rng)
        lab[:, 0] = 50 + lab[:, 0] / 2
        lab = F.interpolate(lab, size=(size, size), mode="bicubic")
        self.rgb = (255 * lab_to_rgb(lab).clamp(0, 1)).to(torch.uint8)

    def __len__(self):
        return len(self.rgb)

    def __getitem__(self, index):
        return {"rgb": self.rgb[index]}


@pytest.fixture
def teacher(tmp_path):
    path = tmp_path / "teacher.pth"
    torch.save(awake().state_dict(), path)
    return path


def distilled_task(teacher, **changes):
    values = {"steps": 4, "batch": 4, "size": 64, "warm_up": 1, "checkpoint_every": 2}
    values |= {"width": 64, "decoder": [16, 16, 16], "attention": 1, "precision": "32-true"}
    return GeneratorTask(GeneratorRecipe.of(values | {"teacher": str(teacher)} | changes))


@pytest.mark.slow
def test_the_teacher_adds_what_is_unexplained_to_the_loss(teacher):
    batch, rows = {"rgb": Smooth().rgb}, slice(0, 4)
    with torch.no_grad():
        alone = distilled_task("")(batch, 0, rows)
        parts = distilled_task(teacher, distill=3.0)(batch, 0, rows)
    assert "unexplained" not in alone
    difference = parts["loss"] - alone["loss"]
    assert float(difference) == pytest.approx(3 * float(parts["unexplained"]), rel=1e-4)


@pytest.mark.slow
def test_the_semantic_path_learns_from_the_teacher_which_is_neither_trained_nor_saved(teacher):
    task = distilled_task(teacher, distill=1.0, regression=0.0)
    taught_by = {name: t.clone() for name, t in task._teacher[0].state_dict().items()}
    assert not any("teacher" in name for name in task.state_dict())
    optimizer = torch.optim.AdamW(task.parameters(), lr=2e-3)
    batch, rows, shares = {"rgb": Smooth().rgb}, slice(0, 4), []
    for _ in range(8):  # always step 0, so always the same crops
        parts = task(batch, 0, rows)
        optimizer.zero_grad()
        parts["loss"].backward()
        optimizer.step()
        shares.append(float(parts["unexplained"]))
    assert shares[-1] < 0.8 * shares[0]
    kept = task._teacher[0].state_dict()
    assert all(t.equal(kept[name]) for name, t in taught_by.items())
    assert not task._teacher[0].training


@pytest.mark.slow
def test_a_distillation_goes_on_to_the_same_bits(tmp_path, teacher):
    cpu = Machine(accelerator="cpu", devices=1, workers=0)
    for name, stops in (("whole", [4]), ("halves", [2, 4])):
        for stop in stops:
            task = distilled_task(teacher)
            if stop < 4:
                task.register_forward_pre_hook(_until(stop))
            try:
                fit(task, Smooth(), tmp_path / name, machine=cpu, progress=False)
            except KeyboardInterrupt:
                assert stop < 4
    one, other = (
        torch.load(tmp_path / name / "last.ckpt", weights_only=True) for name in ("whole", "halves")
    )
    assert one["step"] == other["step"] == 4
    for part in ("network", "average", "task"):
        assert all(tensor.equal(other[part][name]) for name, tensor in one[part].items())


def _until(stop):
    def interrupt(task, arguments):
        if arguments[1] == stop:
            raise KeyboardInterrupt

    return interrupt


def test_a_file_that_lacks_a_part_cannot_teach(tmp_path, teacher):
    state = torch.load(teacher, weights_only=True)
    del state["blocks.6.0.conv_pwl.weight"]
    torch.save(state, tmp_path / "part.pth")
    with pytest.raises(TrainingError, match=r"part\.pth cannot teach: it lacks .*blocks\.6"):
        read_teacher(str(tmp_path / "part.pth"))
    with pytest.raises(TrainingError, match="cannot be read"):
        distilled_task(tmp_path / "missing.pth")
