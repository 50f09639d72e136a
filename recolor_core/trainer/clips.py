"""Clips made of photographs by known motion, so that temporal consistency is supervised exactly."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from recolor_core.lab import rgb_to_lab
from recolor_core.trainer import augment
from recolor_core.trainer.augment import uniform

OCCLUDERS = 2
"""Things that may move in front of each photograph."""

FADE, DISSOLVE, LEADER = range(3)
"""The kinds of transitions of `add_transitions`."""

NONE = 3

RIM = 0.02
"""Share from which on an occluder shows in a pixel; between this and the rest two motions mix."""


@dataclass(frozen=True)
class Clip:
    """Frames, and where each pixel was in the frame before.

    Parameters
    ----------
    rgb
        (B, T, 3, S, S), codes in [0, 1].
    flow
        (B, T - 1, 2, S, S): backward motion in pixels, as of `recolor_core.motion`.
    visible
        (B, T - 1, 1, S, S), bool: whether that place was in the frame before, and not hidden.
    begins
        (B, T), bool: whether a shot begins with the frame, as `recolor_core.film.find_shots` says.
    empty
        (B, T), bool: whether the frame is leader, which shows nothing.
    whole
        (B, T), bool: whether the frame shows one image, fully visible.
    """

    rgb: Tensor
    flow: Tensor
    visible: Tensor
    begins: Tensor
    empty: Tensor
    whole: Tensor


def make_clips(
    rgb: Tensor, frames: int, size: int, rng: torch.Generator, count: int, rows: slice
) -> Clip:
    """A clip of each photograph: a camera that pans, zooms, turns and shakes, and occluders.

    An occluder is a blob cut from the next photograph of the batch. It moves by itself, as what is
    near does before what is far. Each layer moves by an affine map, so that what was where is
    known exactly.

    Parameters
    ----------
    rgb
        (B, 3, S, S), codes in [0, 1].
    frames
        Number of frames, T.
    size
        Side of the frames in pixels, at most S.
    rng, count, rows
        What decides is drawn by `rng` for the whole batch of `count`, of which these are `rows`.
    """
    batch, side = len(rgb), rgb.shape[-1]
    camera = camera_path(frames, size / side, 0.3, rng, count, rows)
    layers = [(rgb, torch.ones_like(rgb[:, :1]), camera)]
    for number in range(OCCLUDERS):
        there = uniform(rng, count, 0, 1, rows) < 0.5
        blob = _blob(side, rng, count, rows) * there[:, None, None, None]
        path = camera_path(frames, size / side, 0.8, rng, count, rows)
        layers.append((rgb.roll(number + 1, 0), blob.to(rgb.device), path))
    image = rgb.new_zeros(batch, frames, 3, size, size)
    top = torch.zeros(batch, frames, 1, size, size, dtype=torch.long, device=rgb.device)
    sharp = torch.ones_like(top, dtype=torch.bool)
    for number, (texture, alpha, path) in enumerate(layers):
        grid = _positions(path.to(rgb.device), size)
        shown = _sample(texture, grid, "reflection")
        # What lies outside of the photograph is its reflection, which moves the other way.
        within = (grid.abs() <= 1).all(-1)[:, :, None]
        cover = torch.ones_like(shown[:, :, :1]) if number == 0 else _sample(alpha, grid, "zeros")
        image = torch.lerp(image, shown, cover)
        top = torch.where(cover > 0.5, number, top)
        sharp = torch.where(cover > 1 - RIM, within, sharp & (cover < RIM))
    flow, visible = _flow([path.to(rgb.device) for *_, path in layers], top, sharp)
    none = torch.zeros(batch, frames, dtype=torch.bool, device=rgb.device)
    begins = none.index_fill(1, torch.tensor(0, device=rgb.device), 1)
    return Clip(image.clamp(0, 1), flow, visible, begins, none, ~none)


def add_transitions(
    clip: Clip,
    probability: float,
    rng: torch.Generator,
    count: int,
    rows: slice,
    kinds: Sequence[int] = (FADE, DISSOLVE, LEADER),
) -> Clip:
    """Give some clips a fade, a dissolve or leader, in equal numbers.

    A fade comes out of black or, one in five, of white, and may be preceded by frames of leader. A
    clip with leader changes to its image at once. Half of both go the other way, from the image to
    nothing. A dissolve turns one clip of the batch into the next one. Codes are mixed, as a printer
    or a video mixer does, so that color comes and goes with the light. Nothing is called visible in
    the frame before while two images are mixed or where a shot begins; leader is still.

    Parameters
    ----------
    clip
        From `make_clips`.
    probability
        Probability with which a clip has a transition.
    rng, count, rows
        As in `make_clips`.
    kinds
        Which ones there may be.

    Returns
    -------
    Clip
    """
    frames, device = clip.rgb.shape[1], clip.rgb.device
    draws = [uniform(rng, count, 0, 1, rows).to(device)[:, None] for _ in range(6)]
    which, length, start, backward, white, level = draws
    number = (len(kinds) * which / max(probability, 1e-9)).long()
    known = torch.tensor([*kinds, NONE], device=device)
    kind = known[number.clamp(max=len(kinds))]
    time = torch.arange(frames, device=device)
    length = torch.where(kind == LEADER, 1, 2 + (length * (frames - 1)).floor())
    first = 1 + (start * (frames - 1)).floor() - torch.where(kind == DISSOLVE, length // 2, 0)
    share = ((time - first + 1) / length).clamp(0, 1)  # of the image, or of the next clip
    mixed = kind == DISSOLVE
    share = torch.where(~mixed & (backward < 0.5), share.flip(1), share)
    share = torch.where(kind == NONE, 1.0, share)
    empty = (share == 0) & ~mixed
    changed = torch.where(mixed, share >= 0.5, empty)
    begins = clip.begins.clone()
    begins[:, 1:] |= changed[:, 1:] != changed[:, :-1]

    ground = torch.where(white < 0.2, 1 - 0.06 * level, 0.06 * level)[:, :, None, None, None]
    after = clip.rgb.roll(-1, 0)
    under = torch.where(_each(mixed, 5), clip.rgb, ground)
    over = torch.where(_each(mixed, 5), after, clip.rgb)
    rgb = torch.lerp(under, over, _each(share, 5))

    pure = (share[:, 1:] == share[:, :-1]) & ((share == 0) | (share == 1))[:, 1:]
    later = _each(mixed & (share[:, 1:] == 1), 5)
    flow = torch.where(later, clip.flow.roll(-1, 0), clip.flow)
    visible = torch.where(later, clip.visible.roll(-1, 0), clip.visible)
    visible = visible & _each(~begins[:, 1:] & (pure | ~mixed), 5)
    still = _each(empty[:, 1:] & empty[:, :-1], 5)
    return replace(
        clip,
        rgb=rgb,
        flow=torch.where(still, 0, flow),
        visible=visible | still,
        begins=begins,
        empty=empty,
        whole=(share == 1) | (mixed & (share == 0)),
    )


def old_film(clip: Clip, rng: torch.Generator, count: int, rows: slice) -> Tensor:
    """L* of the frames as worn film shows them: flicker, drifting exposure, grain and dust.

    Parameters
    ----------
    clip
        As in `make_clips`.
    rng, count, rows
        As there.

    Returns
    -------
    Tensor
        (B, T, 1, S, S), L* in [0, 100]. A quarter of the clips stays as it is, but leader always
        has grain.
    """
    frames = clip.rgb.shape[1]
    device = clip.rgb.device
    light = torch.stack([rgb_to_lab(frame)[:, :1] for frame in clip.rgb.unbind(1)], dim=1)
    seed = int(torch.randint(2**62, (), generator=rng))
    noise = torch.Generator(device).manual_seed(seed + (rows.start or 0))  # others elsewhere
    worn = uniform(rng, count, 0, 1, rows) < 0.75

    def strength(maximum: float, probability: float) -> Tensor:
        """The strength of one kind of wear in each clip; 0 in clips without it."""
        has = (uniform(rng, count, 0, 1, rows) < probability) & worn
        value = uniform(rng, count, 0, maximum, rows) * has
        return value.to(device)[:, None, None, None, None]

    def wave() -> Tensor:
        """Independent numbers for the frames, (B, T, 1, 1, 1)."""
        return torch.randn(count, frames, generator=rng)[rows].to(device)[..., None, None, None]

    time = torch.linspace(-1, 1, frames, device=device)[None, :, None, None, None]
    drift = strength(10, 0.4) * torch.sin(2 * time + wave()[:, :1])
    flicker = strength(6, 0.6) * wave()
    contrast = 1 + strength(0.08, 0.5) * wave()
    field = torch.randn(count, frames, 3, 3, generator=rng)[rows].to(device)
    field = F.interpolate(field, size=light.shape[-2:], mode="bicubic")[:, :, None]
    uneven = strength(4, 0.4) * field
    light = 50 + (light - 50) * contrast + drift + flicker + uneven
    fine = torch.randn(light.shape, generator=noise, device=device)
    light = light + strength(5, 0.7) * fine
    dusty = ((uniform(rng, count, 0, 1, rows) < 0.4) & worn).tolist()
    for i in [i for i, dust in enumerate(dusty) if dust]:
        light[i] = augment.scratch(light[i], rng, frames, slice(None))
    grain = uniform(rng, count, 0.5, 5, rows).to(device)[:, None, None, None, None]
    light = light + _each(clip.empty, 5) * grain * fine
    return light.clamp(0, 100)


def camera_path(
    frames: int, scale: float, spread: float, rng: torch.Generator, count: int, rows: slice
) -> Tensor:
    """Affine maps from the frame to the photograph, both in [-1, 1]: (B, T, 3, 3).

    Up to 4 % of the frame, 3 % of zoom and 1.5 degrees per frame, half of the paths slow or still
    in each, and some shake.

    Parameters
    ----------
    frames
        T.
    scale
        Side of the frame as a share of that of the photograph.
    spread
        How far from the center of the photograph a path may begin.
    rng, count, rows
        As in `make_clips`.
    """
    time = torch.arange(frames) - (frames - 1) / 2

    def speed(maximum: float) -> Tensor:
        return maximum * uniform(rng, count, -1, 1, rows)[:, None] ** 3

    def glide(maximum: float) -> Tensor:
        velocity, change = speed(maximum), uniform(rng, count, -1, 1, rows)[:, None]
        return velocity * (time + change * time.square() / frames)

    shaking = 0.008 * uniform(rng, count, 0, 1, rows)[:, None] ** 2
    x, y = (
        spread * uniform(rng, count, -1, 1, rows)[:, None]
        + scale * (glide(0.08) + shaking * torch.randn(count, frames, generator=rng)[rows])
        for _ in range(2)
    )
    zoom = scale * torch.exp(glide(0.03) - 0.1 * uniform(rng, count, 0, 1, rows)[:, None])
    angle = glide(math.radians(1.5))
    path = torch.zeros(len(x), frames, 3, 3)
    path[..., 0, 0] = path[..., 1, 1] = zoom * angle.cos()
    path[..., 0, 1], path[..., 1, 0] = -zoom * angle.sin(), zoom * angle.sin()
    path[..., 0, 2], path[..., 1, 2], path[..., 2, 2] = x, y, 1
    return path


def _each(values: Tensor, dimensions: int) -> Tensor:
    """Values of clips and their frames, (B, T), with more dimensions of length 1."""
    return values.view(*values.shape, *[1] * (dimensions - values.dim()))


def _positions(path: Tensor, size: int) -> Tensor:
    """Where in the photograph each pixel lies, (B, T, S, S, 2) in [-1, 1]."""
    shape = [path.shape[0] * path.shape[1], 1, size, size]
    grid = F.affine_grid(path.flatten(0, 1)[:, :2], shape, align_corners=False)
    return grid.view(*path.shape[:2], size, size, 2)


def _sample(texture: Tensor, grid: Tensor, padding: str) -> Tensor:
    """(B, C, S, S) at (B, T, s, s, 2) -> (B, T, C, s, s)."""
    frames = texture.repeat_interleave(grid.shape[1], 0)
    seen = F.grid_sample(frames, grid.flatten(0, 1), padding_mode=padding, align_corners=False)
    return seen.view(*grid.shape[:2], *seen.shape[1:])


def _flow(paths: list[Tensor], top: Tensor, sharp: Tensor) -> tuple[Tensor, Tensor]:
    """Motion of the layer that is on top, and where it was on top before, too."""
    size = top.shape[-1]
    here = _positions(torch.eye(3, device=top.device).expand_as(paths[0][:, 1:]), size)
    before = torch.zeros_like(here)
    for number, path in enumerate(paths):
        back = torch.linalg.solve(path[:, :-1], path[:, 1:])
        before = torch.where((top[:, 1:, 0] == number)[..., None], _positions(back, size), before)
    flow = ((before - here) * size / 2).movedim(-1, 2)
    was = F.grid_sample(
        torch.cat((top, sharp), dim=2)[:, :-1].flatten(0, 1).float(),
        before.flatten(0, 1),
        mode="nearest",
        align_corners=False,
    ).view(*before.shape[:2], 2, size, size)
    same = was[:, :, :1].round() == top[:, 1:]
    within = (before.abs() <= 1 - 1 / size).all(-1)[:, :, None]
    return flow, same & (was[:, :, 1:] > 0.5) & sharp[:, 1:] & within


def _blob(side: int, rng: torch.Generator, count: int, rows: slice) -> Tensor:
    """A soft-edged shape around the middle of each image, (B, 1, S, S) in [0, 1]."""
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, side)] * 2, indexing="ij")
    angle = torch.atan2(y, x)
    radius = uniform(rng, count, 0.1, 0.4, rows)[:, None, None]
    for lobes in (2, 3, 5):
        phase = uniform(rng, count, 0, 2 * math.pi, rows)[:, None, None]
        depth = uniform(rng, count, 0, 0.25, rows)[:, None, None]
        radius = radius * (1 + depth * torch.cos(lobes * angle + phase))
    edge = 1.5 * 2 / side
    return ((radius - torch.hypot(x, y)) / edge + 0.5).clamp(0, 1)[:, None]
