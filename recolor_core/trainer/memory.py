"""The task of the color memory: coarse ab that stays with its things, from frame to frame."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from recolor_core import motion
from recolor_core.lab import lab_to_rgb, rgb_to_lab
from recolor_core.losses import charbonnier
from recolor_core.metrics import psnr
from recolor_core.models.config import SCALE
from recolor_core.models.generator import Generator
from recolor_core.models.memory import ColorMemory, MemoryState, motion_lightness
from recolor_core.models.processing import upsample
from recolor_core.trainer import augment
from recolor_core.trainer.clips import add_transitions, make_clips, old_film
from recolor_core.trainer.recipe import MemoryRecipe
from recolor_core.trainer.task import TEMPERATURE, Task, Validation, rng_of


@dataclass(frozen=True)
class ColoredClip:
    """A clip as the generator colors it, frame by frame, and the truth of it.

    Parameters
    ----------
    rgb
        (B, T, 3, S, S), true codes in [0, 1].
    lightness
        (B, T, 1, S, S): worn L*, as the networks see it.
    coarse, true
        (B, T, 2, s, s): predicted and true coarse ab, Lab units.
    flow
        (B, T - 1, 2, s, s): true backward motion, in cells.
    visible
        (B, T - 1, 1, s, s): 1 where a cell and its place before show the same, else 0.
    begins
        (B, T), bool: whether a shot begins with the frame.
    """

    rgb: Tensor
    lightness: Tensor
    coarse: Tensor
    true: Tensor
    flow: Tensor
    visible: Tensor
    begins: Tensor


class MemoryTask(Task):
    """Trains a `ColorMemory` on clips with known motion.

    Parameters
    ----------
    recipe
        How to train.
    generator
        Frozen, in inference mode.
    compiled
        The same generator for arrays on the CPU, as `recolor_core.runtime.choose_runtime` gives
        it: quantized, as it colors films there, and two to three times as fast. None trains on the
        CPU with `generator` too.
    """

    recipe: MemoryRecipe
    network: ColorMemory

    def __init__(
        self,
        recipe: MemoryRecipe,
        generator: Generator,
        compiled: Callable[[NDArray[np.float32]], NDArray[np.float32]] | None = None,
    ) -> None:
        super().__init__(recipe, lambda: ColorMemory(recipe.network))
        self._generator = [generator.eval().requires_grad_(False)]  # hidden: not trained or saved
        self._compiled = compiled

    def forward(self, batch: Mapping[str, Tensor], step: int, rows: slice) -> dict[str, Tensor]:
        """Loss and its parts of one step; `rows` are this device's of the whole batch."""
        recipe = self.recipe
        with torch.no_grad(), torch.autocast(batch["rgb"].device.type, enabled=False):
            rng = rng_of(recipe.seed, step)
            codes = batch["rgb"].float() / 255
            codes = augment.crop_and_flip(codes, codes.shape[-1], 0.8, rng, recipe.batch, rows)
            clip = self.clip(codes, recipe.crop, rng, recipe.batch, rows)
        steady = steady_colors(self.network, clip.lightness, clip.coarse, clip.begins).float()
        accuracy = charbonnier(steady - clip.true, recipe.knee).mean()
        # What differs from the frame before beyond what the true colors do is flicker.
        flicker = changes(steady, clip.flow) - changes(clip.true, clip.flow)
        consistency = (charbonnier(flicker, 0.5) * clip.visible).sum() / (2 * clip.visible.sum())
        return {
            "loss": accuracy + recipe.consistency * consistency,
            "accuracy": accuracy.detach(),
            "consistency": consistency.detach(),
        }

    @torch.no_grad()
    def clip(
        self, codes: Tensor, size: int, rng: torch.Generator, count: int, rows: slice
    ) -> ColoredClip:
        """A clip of each photograph, worn and colored; parameters as of `make_clips`."""
        clip = make_clips(codes, self.recipe.frames, size, rng, count, rows)
        clip = add_transitions(clip, self.recipe.transitions, rng, count, rows)
        light = old_film(clip, rng, count, rows)
        coarse = torch.stack([self._color(frame) for frame in light.unbind(1)], dim=1)
        on_grid = (1, SCALE, SCALE)
        ab = torch.stack([rgb_to_lab(frame)[:, 1:] for frame in clip.rgb.unbind(1)], dim=1)
        return ColoredClip(
            rgb=clip.rgb,
            lightness=light,
            coarse=coarse,
            true=F.avg_pool3d(ab, on_grid),
            flow=F.avg_pool3d(clip.flow, on_grid) / SCALE,
            # A cell counts where all of its pixels do.
            visible=1 - F.max_pool3d(1 - clip.visible.float(), on_grid),
            begins=clip.begins,
        )

    def _color(self, lightness: Tensor) -> Tensor:
        """Coarse ab of frames by themselves, (B, 2, s, s)."""
        device = lightness.device
        generator = self._generator[0].to(device)
        if device.type == "cpu" and self._compiled:
            logits = torch.from_numpy(self._compiled(lightness.numpy()))
        else:
            with torch.autocast(device.type, torch.bfloat16, enabled=lightness.is_cuda):
                logits = generator(lightness).float()
        return generator.mean_color(logits, TEMPERATURE)

    @torch.no_grad()
    def validate(self, network: nn.Module, batch: Mapping[str, Tensor], first: int) -> Validation:
        """Warped error and PSNR per frame, against those of coloring frame by frame."""
        assert isinstance(network, ColorMemory)
        codes = batch["rgb"].float() / 255
        size = codes.shape[-1] * 7 // 8 // 32 * 32  # leaves the camera some way to go
        rng = rng_of(self.recipe.seed, first)
        clip = self.clip(codes, size, rng, len(codes), slice(None))
        ways = {
            "": steady_colors(network, clip.lightness, clip.coarse, clip.begins),
            "_frame_by_frame": clip.coarse,
        }
        measures: dict[str, Tensor] = {}
        shown = [_colored(clip.rgb[:, -1], torch.zeros_like(clip.true[:, -1]))]
        weight = clip.visible.sum((1, 2, 3, 4))
        for way, ab in ways.items():
            error = changes(ab, clip.flow).abs().mean(2, keepdim=True) * clip.visible
            measures["warped_error" + way] = error.sum((1, 2, 3, 4)) / weight
            frames = [
                _colored(*frame) for frame in zip(clip.rgb.unbind(1), ab.unbind(1), strict=True)
            ]
            ratios = [
                psnr(frame, true) for frame, true in zip(frames, clip.rgb.unbind(1), strict=True)
            ]
            measures["psnr" + way] = torch.stack(ratios[1:]).mean(0)
            shown.append(frames[-1])
        lost = measures["psnr_frame_by_frame"] - measures["psnr"]
        ratio = measures["warped_error"].sum() / measures["warped_error_frame_by_frame"].sum()
        measures["psnr_lost"] = lost
        measures["score"] = -ratio.expand_as(lost) - lost
        return Validation(measures, torch.stack((*shown, clip.rgb[:, -1]), dim=1))


def steady_colors(
    memory: ColorMemory, lightness: Tensor, coarse: Tensor, begins: Tensor | None = None
) -> Tensor:
    """Steady coarse ab of whole clips, (B, T, 2, h, w).

    Parameters
    ----------
    memory
        Over time.
    lightness
        (B, T, 1, H, W), L* in [0, 100].
    coarse
        (B, T, 2, h, w), Lab units.
    begins
        (B, T), bool: whether a shot begins with the frame; None to let the lightness decide.
    """
    state: MemoryState | None = None
    steady = []
    for time, (light, ab) in enumerate(zip(lightness.unbind(1), coarse.unbind(1), strict=True)):
        known: motion.Motion | None = None
        if state is not None and begins is not None:
            now = motion_lightness(light, (ab.shape[-2], ab.shape[-1]))
            known = replace(motion.follow_frame(state.lightness, now), cut=begins[:, time])
        state = memory(light, ab, state, known)
        steady.append(state.ab)
    return torch.stack(steady, dim=1)


def changes(ab: Tensor, flow: Tensor) -> Tensor:
    """What each place differs from where it was in the frame before, (B, T - 1, 2, h, w)."""
    before = motion.warp(ab[:, :-1].flatten(0, 1), flow.flatten(0, 1))
    return ab[:, 1:] - before.view_as(flow)


def _colored(true: Tensor, coarse: Tensor) -> Tensor:
    """RGB of the lightness of the truth and bicubic upsampling of a coarse ab."""
    light = rgb_to_lab(true)[:, :1]
    return lab_to_rgb(torch.cat((light, upsample(coarse, SCALE)), dim=1)).clamp(0, 1)
