from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from recolor_core import motion
from recolor_core.lab import rgb_to_lab
from recolor_core.metrics import warped_error
from recolor_core.models.config import GeneratorConfig
from recolor_core.models.generator import Generator
from recolor_core.models.memory import ColorMemory
from recolor_core.trainer import Machine, MemoryRecipe, MemoryTask, Photographs, TrainingError, fit
from recolor_core.trainer.clips import add_transitions, camera_path, make_clips, old_film
from recolor_core.trainer.memory import changes, steady_colors

ALL = slice(None)


def smooth_images(count, size):
    rng = torch.Generator().manual_seed(3)
    noise = torch.rand(count, 3, 9, 9, generator=rng)
    return F.interpolate(noise, size=(size, size), mode="bicubic").clamp(0, 1)


def clips(count=4, frames=4, size=64, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return make_clips(smooth_images(count, 80), frames, size, rng, count, ALL)


@pytest.fixture(scope="module")
def generator():
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(width=64, decoder=(16, 16, 16), attention=1)).eval()
    generator.head.weight.data *= 50  # certain of this color here and of that one there
    return generator


TINY = MemoryRecipe(
    steps=12,
    batch=2,
    size=64,
    crop=32,
    frames=3,
    width=8,
    warm_up=2,
    learning_rate=3e-3,
    precision="32-true",
    log_every=2,
    validate_every=6,
    checkpoint_every=2,
)


def test_the_known_motion_brings_each_frame_to_the_next():
    clip = clips(count=6)
    before = motion.warp(clip.rgb[:, :-1].flatten(0, 1), clip.flow.flatten(0, 1))
    now, visible = clip.rgb[:, 1:].flatten(0, 1), clip.visible.flatten(0, 1).expand(-1, 3, -1, -1)
    moved = (clip.rgb[:, 1:] - clip.rgb[:, :-1]).flatten(0, 1).abs()[visible].mean()
    assert (before - now).abs()[visible].mean() < 0.01 < moved
    # What is called hidden is not to be had from the frame before.
    assert (before - now).abs()[~visible].mean() > 5 * (before - now).abs()[visible].mean()
    assert 0.5 < visible.float().mean() < 1


def test_known_motion_and_metric_agree():
    clip = clips()
    for rgb, flow, visible in zip(clip.rgb, clip.flow, clip.visible, strict=True):
        moving = warped_error(rgb, flow, visible[:, 0]).nanmean()
        still = warped_error(rgb, torch.zeros_like(flow), visible[:, 0]).nanmean()
        assert moving <= still + 1e-6
        assert moving < 0.01


def test_a_still_camera_sees_one_image_over_and_over():
    rng = torch.Generator().manual_seed(1)
    path = camera_path(5, 0.5, 0.3, rng, 8, ALL)
    assert path.shape == (8, 5, 3, 3)
    assert torch.isfinite(torch.linalg.inv(path)).all()


@pytest.mark.parametrize("rows", [slice(0, 2), slice(2, 4)])
def test_a_clip_does_not_depend_on_how_many_devices_share_the_batch(rows):
    images = smooth_images(4, 80)
    rng = torch.Generator().manual_seed(5)
    whole = make_clips(images, 3, 64, rng, 4, ALL)
    rng = torch.Generator().manual_seed(5)
    part = make_clips(images[rows], 3, 64, rng, 4, rows)
    same = whole.rgb[rows].isclose(part.rgb, atol=1e-6).float().mean()
    # The occluders are cut from the next image of the device's own share.
    assert same > 0.5


def test_old_film_flickers_and_stays_lightness():
    clip = clips(count=12)
    light = old_film(clip, torch.Generator().manual_seed(2), 12, ALL)
    clean = torch.stack([rgb_to_lab(frame)[:, :1] for frame in clip.rgb.unbind(1)], dim=1)
    assert light.shape == clean.shape
    assert 0 <= float(light.min()) <= float(light.max()) <= 100
    apart = (light - clean).abs().mean((1, 2, 3, 4))
    assert (apart < 1e-4).any(), "some clips stay as they are"
    assert (apart > 1).any()


@pytest.mark.slow
def test_some_clips_have_a_fade_a_dissolve_or_leader():
    count = 24
    plain = clips(count=count, frames=8)
    edited = add_transitions(plain, 0.75, torch.Generator().manual_seed(4), count, ALL)
    same = (edited.rgb == plain.rgb).flatten(1).all(1)
    leader = edited.empty.any(1)
    assert 2 < same.sum() < count / 2
    assert (leader & ~same).sum() > 2
    assert (~leader & ~same).sum() > 2, "dissolves"
    assert torch.equal(edited.begins[same], plain.begins[same])
    assert edited.begins[:, 0].all()
    assert (edited.begins[:, 1:].sum(1) <= 1).all()
    # Leader is gray, and its true color does not change.
    spread = (edited.rgb.amax(2) - edited.rgb.amin(2))[edited.empty]
    assert float(spread.max()) < 1e-6
    still = edited.empty[:, 1:] & edited.empty[:, :-1]
    assert edited.visible[still].all()
    assert not edited.flow[still].any()
    assert not edited.visible[edited.begins[:, 1:]].any()


@pytest.mark.slow
def test_what_is_visible_in_a_transition_moves_as_the_clip_says():
    count = 24
    edited = add_transitions(
        clips(count=count, frames=8), 1.0, torch.Generator().manual_seed(4), count, ALL
    )
    before = motion.warp(edited.rgb[:, :-1].flatten(0, 1), edited.flow.flatten(0, 1))
    now, visible = edited.rgb[:, 1:].flatten(0, 1), edited.visible.flatten(0, 1)
    gray = (before - now).mean(1, keepdim=True).abs()
    # A fade changes the light of what it shows, by as much as its shortest is fast, and no more.
    assert float(gray[visible].mean()) < 0.1
    dissolved = ~edited.empty.any(1)
    apart = (before - now).abs().view(count, 7, 3, *now.shape[-2:])[dissolved]
    assert float(apart[edited.visible[dissolved].expand_as(apart)].mean()) < 0.01


def test_leader_has_grain_even_in_clips_without_wear():
    count = 24
    edited = add_transitions(clips(count=count), 1.0, torch.Generator().manual_seed(4), count, ALL)
    light = old_film(edited, torch.Generator().manual_seed(2), count, ALL)
    assert float(light[edited.empty].std((-1, -2)).min()) > 0.2


def test_a_shot_that_begins_takes_no_color_from_the_frame_before():
    torch.manual_seed(1)
    memory = ColorMemory().eval()
    torch.nn.init.normal_(memory.out.weight, std=0.1)
    light = 50 + 30 * torch.rand(1, 3, 1, 32, 32)
    coarse = 20 * torch.randn(1, 3, 2, 8, 8)
    begins = torch.tensor([[True, False, True]])
    with torch.no_grad():
        steady = steady_colors(memory, light[:, :1].expand(-1, 3, -1, -1, -1), coarse, begins)
    assert torch.equal(steady[:, 2], coarse[:, 2])
    assert not torch.equal(steady[:, 1], coarse[:, 1])


@pytest.mark.slow
def test_training_lowers_the_flicker_that_the_true_colors_lack(generator, tmp_path):
    task = MemoryTask(
        replace(TINY, learning_rate=1e-2, consistency=20.0, transitions=0.0), generator
    )
    squares = [(255 * image).to(torch.uint8) for image in smooth_images(6, 72)]

    def loss_of(network):
        rng = torch.Generator().manual_seed(9)
        codes = torch.stack(squares[:4]).float() / 255
        clip = task.clip(codes, 64, rng, 4, ALL)
        with torch.no_grad():
            steady = steady_colors(network, clip.lightness, clip.coarse)
        flicker = changes(steady, clip.flow) - changes(clip.true, clip.flow)
        return float((flicker.abs() * clip.visible).mean())

    untrained = loss_of(task.network)
    data = Photographs(squares)
    cpu = Machine(accelerator="cpu", devices=1, workers=0)
    outcome = fit(task, data, tmp_path, validation=data, machine=cpu, progress=False)
    assert outcome.step == 12
    assert loss_of(task.network) < 0.99 * untrained
    assert (tmp_path / "best.ckpt").exists()
    assert len(list(Path(tmp_path, "images").iterdir())) == 2


@pytest.mark.slow
def test_a_step_on_clips_that_all_have_transitions(generator):
    task = MemoryTask(replace(TINY, batch=6, transitions=1.0), generator)
    rgb = (255 * smooth_images(6, 72)).to(torch.uint8)
    parts = task.forward({"rgb": rgb}, 0, ALL)
    parts["loss"].backward()
    assert all(torch.isfinite(part) for part in parts.values())
    assert float(task.network.out.weight.grad.abs().max()) > 0


@pytest.mark.slow
def test_a_compiled_generator_colors_the_frames_on_the_cpu(generator):
    shapes = []

    def compiled(lightness):
        shapes.append(lightness.shape)
        return 2 * generator(torch.from_numpy(lightness)).numpy()

    images = smooth_images(2, 72)

    def coarse(task):
        return task.clip(images, 64, torch.Generator().manual_seed(9), 2, ALL).coarse

    with torch.no_grad():
        sharper = coarse(MemoryTask(TINY, generator, compiled))
    assert shapes == [(2, 1, 64, 64)] * TINY.frames
    assert not sharper.isclose(coarse(MemoryTask(TINY, generator)), atol=0.1).all()


def test_an_untrained_memory_passes_colors_through(generator):
    task = MemoryTask(TINY, generator)
    rng = torch.Generator().manual_seed(9)
    clip = task.clip(smooth_images(2, 72), 64, rng, 2, ALL)
    with torch.no_grad():
        assert torch.equal(steady_colors(ColorMemory(), clip.lightness, clip.coarse), clip.coarse)


@pytest.mark.parametrize(
    ("name", "value"), [("crop", 48), ("crop", 256), ("frames", 1), ("transitions", 1.5)]
)
def test_a_recipe_that_cannot_work_says_so(name, value):
    with pytest.raises(TrainingError, match=name):
        MemoryRecipe.of({name: value})
