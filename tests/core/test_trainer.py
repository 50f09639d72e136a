import errno
import io
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from lightning.fabric.loggers import CSVLogger
from PIL import Image
from torch.nn import functional as F
from torch.utils.data import Dataset

from recolor_core.lab import lab_to_rgb, rgb_to_lab
from recolor_core.models.encoder import SemanticEncoder
from recolor_core.models.generator import Generator
from recolor_core.models.processing import upsample
from recolor_core.trainer import (
    CachedPhotographs,
    CacheError,
    GeneratorRecipe,
    GeneratorTask,
    Machine,
    PredictionCache,
    RefinerRecipe,
    RefinerTask,
    TrainingError,
    augment,
    fit,
    write_predictions,
)
from recolor_core.trainer.average import moving_average
from recolor_core.trainer.data import OneBatch, StepSampler
from recolor_core.trainer.generator import StochasticDepth, coarse_color
from recolor_core.trainer.loop import FORMER_NAMES, schedule_factor
from recolor_core.trainer.task import rng_of

CPU = Machine(accelerator="cpu", devices=1, workers=0)
TINY = RefinerRecipe(
    steps=6,
    batch=2,
    size=64,
    crop=32,
    width=32,
    blocks=1,
    detail=8,
    knee=2.0,
    warm_up=2,
    learning_rate=1e-2,
    precision="32-true",
    log_every=1,
    validate_every=3,
    checkpoint_every=2,
)


class Invented(Dataset):
    """Smooth colored images with random predictions: nothing to read, nothing to predict."""

    def __init__(self, count=5, size=64, bins=259):
        rng = torch.Generator().manual_seed(7)
        lab = 30 * torch.randn(count, 3, 6, 6, generator=rng)
        lab[:, 0] = 50 + lab[:, 0] / 2
        lab = F.interpolate(lab, size=(size, size), mode="bicubic")
        self.rgb = (255 * lab_to_rgb(lab).clamp(0, 1)).to(torch.uint8)
        self.logits = torch.randn(count, bins, size // 4, size // 4, generator=rng).half()

    def __len__(self):
        return len(self.rgb)

    def __getitem__(self, index):
        return {"rgb": self.rgb[index], "logits": self.logits[index]}


@pytest.fixture(scope="module")
def generator():
    return Generator()


def refiner_task(generator, **changes):
    return RefinerTask(replace(TINY, **changes), generator)


def train(task, folder, machine=CPU, **options):
    return fit(task, Invented(), folder, machine=machine, progress=False, **options)


# --- recipes ----------------------------------------------------------------------------------


def test_a_recipe_is_read_from_toml_and_overridden(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(
        "steps = 7\nlearning_rate = 1\ntemperature = [0.5, 1.0]\n[path_rates]\nlow = 0.0\n"
    )
    recipe = RefinerRecipe.read(path, {"steps": "9", "generator": "mine.safetensors"})
    assert (recipe.steps, recipe.learning_rate, recipe.temperature) == (9, 1, (0.5, 1.0))
    assert recipe.path_rates == {"low": 0.0}
    assert recipe.generator == "mine.safetensors"
    assert RefinerRecipe.of(asdict(recipe)) == recipe


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("stepz = 7", "no 'stepz'"),
        ("steps = 'many'", "steps to be a int"),
        ("steps = 0", "steps above 0"),
        ("size = 100", "multiple of 32"),
        ("crop = 30", "multiple of 4"),
        ("temperature = [1.0]", "temperature"),
        ("steps = ", "cannot be read"),
    ],
)
def test_a_wrong_recipe_is_refused_in_words(tmp_path, text, expected):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(TrainingError, match=expected):
        RefinerRecipe.read(path)


# --- which image when -----------------------------------------------------------------------


def test_every_image_comes_once_an_epoch_whatever_the_number_of_devices():
    def images(rows, first=0):
        return list(StepSampler(10, 4, 3, first, 5, rows))

    whole = images(slice(0, 4))
    flat = [image for batch in whole for image in batch]
    assert sorted(flat[:10]) == sorted(flat[10:]) == list(range(10))
    assert flat[:10] != flat[10:]
    halves = zip(images(slice(0, 2)), images(slice(2, 4)), strict=True)
    assert [one + other for one, other in halves] == whole
    assert images(slice(0, 4), first=3) == whole[3:]


def test_one_batch_is_the_same_images_again_and_again():
    data = OneBatch(Invented(5), 2)
    assert len(data) == 5
    assert data[0]["rgb"].equal(data[4]["rgb"])
    assert not data[0]["rgb"].equal(data[1]["rgb"])


# --- the loop ---------------------------------------------------------------------------------


def test_the_learning_rate_warms_up_and_ends_at_zero():
    recipe = replace(TINY, steps=100, warm_up=10)
    factors = [schedule_factor(recipe, step) for step in range(101)]
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == pytest.approx(1)
    assert factors[9:] == sorted(factors[9:], reverse=True)
    assert factors[100] == pytest.approx(0)


@pytest.mark.slow
def test_each_step_is_taken_at_its_scheduled_rate(tmp_path, generator, monkeypatch):
    taken = []
    step = torch.optim.AdamW.step

    def recording(self, *arguments, **options):
        taken.append([group["lr"] for group in self.param_groups])
        return step(self, *arguments, **options)

    monkeypatch.setattr(torch.optim.AdamW, "step", recording)
    task = refiner_task(generator, path_rates={"low_level": 0.5})
    train(task, tmp_path)
    expected = [TINY.learning_rate * schedule_factor(task.recipe, n) for n in range(TINY.steps)]
    assert [max(rates) for rates in taken] == pytest.approx(expected)
    assert [min(rates) for rates in taken] == pytest.approx([rate / 2 for rate in expected])


@pytest.mark.slow
def test_a_training_lowers_its_loss_and_leaves_logs_images_and_checkpoints(tmp_path, generator):
    task = refiner_task(
        generator, steps=30, soften_probability=1.0, hint_probability=0.0, validate_every=15
    )
    task.network.out.weight.data.normal_(0, 0.3)  # worse than bicubic to begin with
    outcome = train(task, tmp_path, validation=Invented(2))
    assert outcome.step == 30
    assert outcome.images_per_second > 0
    lines = (tmp_path / "log/from_000000/metrics.csv").read_text().splitlines()
    column = lines[0].split(",").index("train/loss")
    losses = [float(line.split(",")[column]) for line in lines[1:] if line.split(",")[column]]
    assert len(losses) == 30
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    assert list((tmp_path / "tensorboard/from_000000").iterdir())
    assert len(list((tmp_path / "images").glob("*.webp"))) == 2
    assert sorted(path.name for path in tmp_path.glob("*.ckpt")) == ["best.ckpt", "last.ckpt"]


class Killed(BaseException):
    pass


@pytest.mark.parametrize("kind", ["refiner", pytest.param("generator", marks=pytest.mark.slow)])
def test_a_killed_training_goes_on_to_the_same_bits(tmp_path, generator, kind, monkeypatch):
    def task():
        if kind == "refiner":
            return refiner_task(generator)
        common = {name: getattr(TINY, name) for name in ("warm_up", "precision", "log_every")}
        return GeneratorTask(
            GeneratorRecipe(
                steps=4,
                batch=2,
                size=32,
                checkpoint_every=1,
                rebalance_from=0.5,
                drop_path=0.3,
                **common,
            )
        )

    train(task(), tmp_path / "whole")
    dying = task()
    forward = type(dying).forward

    def die(self, batch, step, rows):
        if step == 3:
            raise Killed
        return forward(self, batch, step, rows)

    with monkeypatch.context() as patch:
        patch.setattr(type(dying), "forward", die)
        with pytest.raises(Killed):
            train(dying, tmp_path / "killed")
    torch.manual_seed(99)  # what else the process did must not matter
    train(task(), tmp_path / "killed")
    whole, resumed = (
        torch.load(tmp_path / name / "last.ckpt", weights_only=True) for name in ("whole", "killed")
    )
    assert whole["step"] == resumed["step"]
    for part in ("network", "average", "task"):
        assert whole[part].keys() == resumed[part].keys()
        assert all(value.equal(resumed[part][name]) for name, value in whole[part].items())


def test_the_seed_decides_the_fresh_weights(generator):
    one, same, other = (refiner_task(generator, seed=seed) for seed in (1, 1, 2))
    assert one.network.fuse.weight.equal(same.network.fuse.weight)
    assert not one.network.fuse.weight.equal(other.network.fuse.weight)


@pytest.mark.slow
def test_frozen_paths_keep_every_bit_and_slow_ones_move_less(tmp_path, generator):
    task = refiner_task(generator, path_rates={"low_level": 0.0, "encode_color": 1e-3})
    task.network.out.weight.data.normal_()
    before = {name: t.clone() for name, t in task.network.state_dict().items()}
    train(task, tmp_path)
    moved = {n: float((t - before[n]).abs().max()) for n, t in task.network.state_dict().items()}
    assert all(moved[name] == 0 for name in moved if name.startswith("low_level"))
    assert 0 < moved["encode_color.0.0.weight"] < 0.1 * moved["fuse.weight"]


@pytest.mark.slow
def test_no_progress_stops_early(tmp_path, generator):
    task = refiner_task(generator, steps=50, learning_rate=1e-12, validate_every=1, patience=2)
    task.network.out.weight.data.zero_()
    outcome = train(task, tmp_path, validation=Invented(2))
    assert outcome.stopped_early
    assert outcome.step == 3  # one best, two that are no better
    again = train(task, tmp_path, validation=Invented(2))  # nothing is left to do
    assert (again.step, again.stopped_early) == (3, True)


def test_the_average_is_ramped_and_copies_buffers():
    network = torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False), torch.nn.BatchNorm1d(1))
    average = moving_average(network, 0.999)
    network[0].weight.data.fill_(5.0)
    network[1].running_mean.fill_(3.0)
    start = float(average.module[0].weight)
    average.update_parameters(network)
    assert float(average.module[0].weight) == pytest.approx(0.1 * start + 0.9 * 5)
    assert float(average.module[1].running_mean) == 3
    before = float(average.module[0].weight)
    average.n_averaged.fill_(10**6)
    average.update_parameters(network)
    assert float(average.module[0].weight) == pytest.approx(0.999 * before + 0.001 * 5)


# --- what goes wrong --------------------------------------------------------------------------


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_with_the_last_good_checkpoint(tmp_path, generator):
    class Poisoned(Invented):
        read = 0

        def __getitem__(self, index):
            item = super().__getitem__(index)
            self.read += 1
            poison = float("nan") if self.read > 8 else 0.0  # from the fifth step on
            return item | {"logits": item["logits"] + poison}

    task = refiner_task(generator, hint_probability=0.0, soften_probability=0.0)
    with pytest.raises(TrainingError, match="not finite at or before step 5"):
        fit(task, Poisoned(), tmp_path, machine=CPU, progress=False)
    kept = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert kept["step"] == 4
    assert all(tensor.isfinite().all() for tensor in kept["average"].values())


@pytest.mark.slow
def test_a_full_disk_keeps_the_last_good_checkpoint(tmp_path, generator, monkeypatch):
    train(refiner_task(generator, steps=6), tmp_path / "a")
    save, calls = torch.save, []

    def full(state, path):
        calls.append(state["step"])
        if len(calls) > 1:
            path.write_bytes(b"half of it")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(state, path)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(TrainingError, match=r"disk is full.*make room and resume"):
        train(refiner_task(generator), tmp_path / "b")
    monkeypatch.undo()
    assert not list((tmp_path / "b").glob("*.part"))
    train(refiner_task(generator), tmp_path / "b")
    one, other = (torch.load(tmp_path / n / "last.ckpt", weights_only=True) for n in "ab")
    assert all(value.equal(other["network"][name]) for name, value in one["network"].items())


@pytest.mark.slow
def test_a_disk_that_fills_up_with_logs_keeps_the_last_good_checkpoint(
    tmp_path, generator, monkeypatch
):
    def full(logger, metrics, step):
        if step > 4:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(CSVLogger, "log_metrics", full)
    with pytest.raises(TrainingError, match=r"disk is full.*make room and resume"):
        train(refiner_task(generator), tmp_path)
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["step"] == 4


@pytest.mark.parametrize(
    ("machine", "precision"),
    [
        (Machine(accelerator="abacus"), "32-true"),
        (Machine(accelerator="cpu", devices=0), "32-true"),
        (Machine(accelerator="cpu", strategy="none"), "32-true"),
        (CPU, "17-true"),
    ],
)
def test_a_machine_that_is_not_there_is_named(tmp_path, generator, machine, precision):
    task = refiner_task(generator, precision=precision)
    with pytest.raises(TrainingError, match=f"cannot train on {machine.devices} device"):
        fit(task, Invented(), tmp_path, machine=machine, progress=False)


@pytest.mark.slow
def test_another_trainings_checkpoint_is_refused(tmp_path, generator):
    train(refiner_task(generator), tmp_path)
    with pytest.raises(TrainingError, match="differs in learning_rate"):
        train(refiner_task(generator, learning_rate=0.5), tmp_path)
    other = GeneratorTask(GeneratorRecipe(size=32, batch=2, steps=9, precision="32-true"))
    with pytest.raises(TrainingError, match="of kind 'refiner', expected 'generator'"):
        train(other, tmp_path)
    (tmp_path / "last.ckpt").write_bytes(b"no checkpoint")
    with pytest.raises(TrainingError, match="damaged or foreign"):
        train(refiner_task(generator), tmp_path)


@pytest.mark.slow
def test_a_checkpoint_with_the_former_names_of_the_recipe_goes_on_to_the_same_bits(
    tmp_path, generator
):
    train(refiner_task(generator), tmp_path / "whole")
    with pytest.raises(TrainingError, match="not finite"):
        train(_poisoned_after(refiner_task(generator), 4), tmp_path / "old")
    state = torch.load(tmp_path / "old/last.ckpt", weights_only=True)
    assert state["step"] == 4
    former = {name: old for old, name in FORMER_NAMES.items()}
    state["recipe"] = {former.get(name, name): v for name, v in state["recipe"].items()}
    assert {"rate", "clip", "ema", "start", "hinted"} <= state["recipe"].keys()
    for group in state["optimizer"]["param_groups"]:
        group.pop("initial_lr")  # the version of these names scheduled by itself
    torch.save(state | {"format": 1}, tmp_path / "old/last.ckpt")
    train(refiner_task(generator), tmp_path / "old")
    whole, resumed = (
        torch.load(tmp_path / name / "last.ckpt", weights_only=True) for name in ("whole", "old")
    )
    for part in ("network", "average"):
        assert all(value.equal(resumed[part][name]) for name, value in whole[part].items())


def _poisoned_after(task, steps):
    """The task, its loss NaN from a step on: the training ends with the last good checkpoint."""
    forward = task.forward

    def poisoned(batch, step, rows):
        parts = forward(batch, step, rows)
        return parts | {"loss": parts["loss"] * (float("nan") if step >= steps else 1)}

    task.forward = poisoned
    return task


def test_one_photograph_is_too_few(tmp_path, generator):
    with pytest.raises(TrainingError, match="at least 2"):
        fit(refiner_task(generator), Invented(1), tmp_path, machine=CPU, progress=False)


def test_freezing_everything_is_refused(tmp_path, generator):
    with pytest.raises(TrainingError, match="freezes"):
        train(refiner_task(generator, path_rates={"": 0.0}), tmp_path)


# --- the cache --------------------------------------------------------------------------------


class FewPixels(Dataset):
    def __init__(self, count, seed=1):
        rng = torch.Generator().manual_seed(seed)
        self.rgb = torch.randint(256, (count, 3, 32, 32), generator=rng).to(torch.uint8)

    def __getitem__(self, index):
        return self.rgb[index]


def test_the_cache_holds_what_the_generator_says_and_goes_on_where_it_stopped(tmp_path, generator):
    generator.eval()
    pixels, order = FewPixels(5), [3, 1, 4, 0]
    writing = write_predictions(tmp_path, generator, "it", pixels, order, batch=2)
    assert next(writing) == 2
    writing.close()
    assert len(PredictionCache.open(tmp_path, "it")) == 2
    assert list(write_predictions(tmp_path, generator, "it", pixels, order, batch=2)) == [4]
    cache = PredictionCache.open(tmp_path, "it")
    item = CachedPhotographs(cache)[2]
    assert item["rgb"].equal(pixels[4])
    with torch.inference_mode():
        expected = generator(rgb_to_lab(pixels[4][None])[:, :1])[0]
    assert (item["logits"].float() - expected).abs().max() < 2e-3 * expected.abs().max()


def test_the_cache_of_another_generator_is_refused(tmp_path, generator):
    list(write_predictions(tmp_path, generator.eval(), "one", FewPixels(2), [0, 1]))
    with pytest.raises(CacheError, match="predictions of the generator one"):
        PredictionCache.open(tmp_path, "another")
    with pytest.raises(CacheError, match="something else"):
        next(write_predictions(tmp_path, generator, "one", FewPixels(2), [1, 0]))
    with pytest.raises(CacheError, match="something else"):
        next(write_predictions(tmp_path, generator, "one", FewPixels(2, seed=2), [0, 1]))
    with pytest.raises(CacheError, match="no readable cache"):
        PredictionCache.open(tmp_path / "nowhere", "one")


# --- what the refiner is asked for ------------------------------------------------------------


def batch_of(count=4):
    data = Invented(count)
    return {"rgb": data.rgb, "logits": data.logits}


def coarse_of(ab):
    return F.avg_pool2d(ab, 4)


def test_softened_truth_is_to_become_sharp_between_other_colors(generator):
    task = refiner_task(generator, batch=4, soften_probability=1.0, hint_probability=0.0)
    light, coarse, hints, target = task.sample(batch_of(), 0, slice(0, 4))
    assert light.shape == (4, 1, 32, 32)
    assert coarse.shape == (4, 2, 8, 8)
    assert target.shape == (4, 2, 32, 32)
    assert not hints.any()
    lab = rgb_to_lab(batch_of()["rgb"])
    for i in range(4):  # the crop is one of the image, perhaps mirrored
        windows = lab[i, :1].unfold(1, 32, 4).unfold(2, 32, 4).flatten(1, 2).transpose(0, 1)
        distance = [(w - c).abs().amax() for w in windows for c in (light[i], light[i].flip(-1))]
        assert min(distance) < 1e-3
    # the coarse ab has the target's colors, less sharp
    assert (coarse - coarse_of(target)).abs().mean() < 3
    assert coarse.std() < coarse_of(target).std()
    other = task.sample(batch_of(), 1, slice(0, 4))[3]
    assert not torch.allclose(other, target)


def test_the_refiner_is_asked_for_the_detail_alone(generator):
    task = refiner_task(generator, batch=4, detail=2, soften_probability=0.0, hint_probability=0.0)
    _, coarse, _, true = task.sample(batch_of(), 0, slice(0, 4))
    wrong, asked = (ab - upsample(coarse, 4) for ab in (true, task.target(coarse, true)))
    assert asked.abs().mean() > 1
    # Over 2 x 2 cells random predictions are wrong by units, and that is not the refiner's to mend.
    assert F.avg_pool2d(wrong, 8).abs().mean() > 3
    assert F.avg_pool2d(asked, 8).abs().mean() < 0.2 * F.avg_pool2d(wrong, 8).abs().mean()


def test_without_a_limit_the_refiner_is_asked_for_the_truth(generator):
    task = refiner_task(generator, batch=4, detail=0)
    _, coarse, _, true = task.sample(batch_of(), 0, slice(0, 4))
    torch.testing.assert_close(task.target(coarse, true), true)


def test_hints_have_true_colors_and_change_the_coarse_ab(generator):
    task = refiner_task(generator, batch=4, hint_probability=1.0, soften_probability=0.0)
    _, coarse, hints, target = task.sample(batch_of(), 0, slice(0, 4))
    hinted = hints[:, 2] > 0
    assert hinted.any()
    assert hints[:, 2].unique().tolist() == [0, 1]
    plain = refiner_task(
        generator, batch=4, hint_probability=0.0, soften_probability=0.0, temperature=(0.6, 0.6)
    )
    unhinted = plain.sample(batch_of(), 0, slice(0, 4))[1]
    assert not torch.equal(coarse, unhinted)
    low, high = (f(F.unfold(target, 32)) for f in (torch.amin, torch.amax))
    assert hints[:, :2].amax() <= high + 40
    assert hints[:, :2].amin() >= low - 40


def test_what_is_drawn_does_not_depend_on_the_number_of_devices(generator):
    task = refiner_task(generator, batch=4)
    whole = task.sample(batch_of(), 5, slice(0, 4))
    rows = slice(2, 4)
    part = task.sample({name: t[rows] for name, t in batch_of().items()}, 5, rows)
    for one, other in zip(whole, part, strict=True):
        assert one[rows].equal(other)


# --- what the generator is asked for ----------------------------------------------------------


def generator_task(**changes):
    return GeneratorTask(GeneratorRecipe(batch=4, size=32, **changes))


def test_the_generator_is_asked_for_the_colors_of_the_chosen_pixels():
    ab, rows = torch.randn(4, 2, 8, 8), slice(0, 4)
    colors, pixels = generator_task(pixels=0).choose(ab, rng_of(1), rows)
    assert pixels.sort(1).values.equal(torch.arange(64).expand(4, -1))
    number = pixels[2, 5]
    assert colors.view(4, 64, 2)[2, 5].equal(ab[2].flatten(1)[:, number])
    few, some = generator_task(pixels=10).choose(ab, rng_of(1), rows)
    assert some.equal(pixels[:, :10])
    assert few.equal(colors.view(4, 64, 2)[:, :10].flatten(0, 1))


def test_the_generators_loss_falls_when_it_knows_the_answer():
    task = generator_task(pixels=0, degrade_probability=0.0, zoom=1.0, rebalance=1.0).eval()
    batch = {"rgb": F.interpolate(batch_of()["rgb"].float(), size=32).to(torch.uint8)}
    rows = slice(0, 4)
    with torch.no_grad():
        before = task(batch, 0, rows)["loss"]
        codes, _ = augment.photographs(batch["rgb"], 32, 1.0, 0.0, 0.0, rng_of(0, 0), 4, rows)
        colors = coarse_color(codes).flatten(2).transpose(1, 2)
        answer = -(torch.cdist(colors, task.network.bins) ** 2) / 50
        task.network.forward = lambda light: answer.transpose(1, 2).unflatten(2, (8, 8))
        after = task(batch, 0, rows)["loss"]
    assert after < 0.5 * before


@pytest.mark.slow
def test_an_ensemble_pulls_the_loss_toward_what_it_predicts():
    rows, batch = slice(0, 4), {"rgb": F.interpolate(batch_of()["rgb"].float(), size=32).byte()}
    task = generator_task(
        ensemble="default", ensemble_weight=1.0, pixels=0, degrade_probability=0.0, zoom=1.0
    ).eval()
    (generator,) = task._ensemble
    with torch.no_grad():
        apart = task(batch, 0, rows)
        task.network.forward = generator.forward
        together = task(batch, 0, rows)
        _, pixels = task.choose(torch.zeros(4, 2, 8, 8), rng_of(1), rows)
        predicted = task.predicted_by_ensemble(batch["rgb"] / 255, pixels)
    assert together["loss"] < 0.7 * apart["loss"]
    assert together["regression"] < 0.1 * apart["regression"]
    assert predicted.sum(1) == pytest.approx(torch.ones(4 * 64), abs=1e-5)


def test_skipped_blocks_depend_on_the_step_alone_and_none_is_skipped_in_evaluation():
    encoder = SemanticEncoder()
    depth = StochasticDepth(encoder, 0.8)
    shared = []
    for rows in (slice(0, 4), slice(0, 2), slice(2, 4)):
        depth.draw(rng_of(5), 4, rows, torch.device("cpu"))
        shared.append(depth.weights)
    assert shared[0].equal(torch.cat(shared[1:], 1))
    assert 0 < (shared[0] == 0).float().mean() < 0.8
    lightness = torch.randn(4, 1, 64, 64)
    with torch.no_grad():
        for module in (encoder, plain := SemanticEncoder()):
            module.load_state_dict(encoder.state_dict())
            module.eval()
        assert all(a.equal(b) for a, b in zip(encoder(lightness), plain(lightness), strict=True))


@pytest.mark.slow
def test_images_in_the_devices_memory_give_the_same_bits(tmp_path, generator):
    weights = []
    for resident in (False, True):
        folder = tmp_path / str(resident)
        train(refiner_task(generator), folder, machine=replace(CPU, resident=resident))
        weights.append(torch.load(folder / "last.ckpt", weights_only=True)["network"])
    assert all(value.equal(weights[1][name]) for name, value in weights[0].items())


# --- augmentation -----------------------------------------------------------------------------


def drawn(function, image, *arguments):
    rows = slice(0, len(image))
    return function(image, *arguments, rng_of(3), len(image), rows)


def test_a_crop_is_a_part_of_the_image():
    ramp = torch.linspace(0, 1, 64).expand(6, 3, 64, 64).contiguous()
    cut = drawn(augment.crop_and_flip, ramp, 32, 0.5)
    assert cut.shape == (6, 3, 32, 32)
    span = cut[:, 0, 0, -1] - cut[:, 0, 0, 0]
    assert ((span.abs() > 0.45) & (span.abs() < 1)).all()
    assert len(span.sign().unique()) == 2  # some are mirrored
    whole = drawn(augment.crop_and_flip, ramp, 64, 1.0)
    for one, original in zip(whole, ramp, strict=True):
        assert min((one - original).abs().max(), (one.flip(-1) - original).abs().max()) < 1e-5


def test_a_tone_curve_keeps_black_white_and_the_order_of_tones():
    ramp = torch.linspace(0, 100, 50).expand(8, 1, 2, 50)
    curved = drawn(augment.tone_curve, ramp)
    assert curved[..., 0].abs().max() == 0
    assert curved[..., -1] == pytest.approx(torch.full((8, 1, 2), 100.0))
    assert curved.diff(dim=-1).min() > 0
    assert len(curved[:, 0, 0, 25].unique()) == 8


def test_lightness_stays_in_range_and_only_a_share_of_it_gets_old():
    rgb = Invented(8).rgb.float() / 255
    clean = rgb_to_lab(rgb)[:, :1]
    assert drawn(augment.degrade, rgb, 0.0) == pytest.approx(clean, abs=1e-4)
    old = drawn(augment.degrade, rgb, 1.0)
    assert old.shape == clean.shape
    assert 0 <= old.min() <= old.max() <= 100
    assert ((old - clean).abs().amax((1, 2, 3)) > 1).sum() >= 6
    some = drawn(augment.degrade, rgb, 0.5)
    changed = (some - clean).abs().amax((1, 2, 3)) > 0.1
    assert 0 < changed.sum() < 8


def test_orthochromatic_film_sees_blue_light_and_red_dark():
    colors = torch.tensor([[1.0, 0, 0], [0, 0, 1.0]])[:, :, None, None].expand(2, 3, 8, 8)
    true, seen = rgb_to_lab(colors)[:, 0, 0, 0], drawn(augment.orthochromatic, colors)[:, 0, 0, 0]
    assert seen[0] < true[0]
    assert seen[1] > true[1]


@pytest.mark.parametrize("damage", ["fade", "expose_unevenly", "blur", "scratch"])
def test_each_damage_changes_a_image_and_keeps_most_of_it(damage):
    light = rgb_to_lab(Invented(4).rgb)[:, :1]
    damaged = drawn(getattr(augment, damage), light)
    assert damaged.shape == light.shape
    assert torch.isfinite(damaged).all()
    assert 0 < (damaged - light).abs().mean() < 25


def test_blur_keeps_the_mean_and_lowers_the_variance():
    noise = 50 + 10 * torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    soft = drawn(augment.blur, noise)
    assert soft.mean() == pytest.approx(float(noise.mean()), abs=0.3)
    assert soft.std() < 0.7 * noise.std()


def test_grain_is_strongest_in_the_middle_tones():
    light = torch.tensor([50.0, 98.0]).repeat_interleave(32).expand(4, 1, 64, 64)
    noise = torch.Generator().manual_seed(0)
    grained = augment.grain(light, rng_of(1), 4, slice(0, 4), noise) - light
    assert grained[..., :32].std() > 1.5 * grained[..., 32:].std()


def test_jpeg_costs_what_an_encoder_makes_it_cost():
    light = rgb_to_lab(Invented(1).rgb)[:, :1]
    light = (light + 5 * torch.randn(light.shape)).clamp(0, 100).repeat(3, 1, 1, 1)[..., :60, :57]
    pressed = augment.compress(light, torch.tensor([95.0, 60.0, 20.0]))
    losses = (pressed - light).abs().mean((1, 2, 3)).tolist()
    assert losses == sorted(losses)
    codes = (light * 2.55).round().to(torch.uint8).numpy()
    for image, quality, ours in zip(codes, (95, 60, 20), pressed, strict=True):
        file = io.BytesIO()
        Image.fromarray(image[0]).save(file, "JPEG", quality=quality)
        theirs = torch.from_numpy(np.array(Image.open(file), dtype=np.float32)) / 2.55
        # Their DCT computes with integers, so a coefficient may be rounded the other way.
        assert (ours[0] - theirs).abs().mean() < 0.1 * losses[-1]


def test_borders_are_neutral_and_of_one_tone_and_the_photograph_within_is_kept():
    rgb = Invented(64).rgb / 255
    framed = drawn(augment.mount, rgb, 1.0)
    changed = (framed != rgb).any(1)
    assert 0.02 < changed.float().mean() < 0.4
    within = framed.permute(0, 2, 3, 1)[changed]
    assert torch.equal(within[:, 0], within[:, 2])
    assert not changed[:, 24:40, 24:40].any()
    spreads = [image[:, mask].std() for image, mask in zip(framed, changed, strict=True)]
    assert max(spread for spread in spreads if not spread.isnan()) < 0.02
    assert torch.equal(drawn(augment.mount, rgb, 0.0), rgb)
