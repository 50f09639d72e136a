"""Motion of lightness, and cuts."""

import math

import pytest
import torch
from torch.nn import functional as F

from recolor_core import motion

from .steady import scene


def light(seed=0, height=112, width=140):
    """L* with details of several sizes, (1, 1, height, width), smooth enough to be sampled."""
    codes = torch.from_numpy(scene(height, width, seed)).float()[None, None] * 100 / 255
    return F.avg_pool2d(codes, 3, stride=1, padding=1, count_include_pad=False)


def moved(before, matrix):
    """A frame after an affine motion, and its true backward motion."""
    height, width = before.shape[-2:]
    grid = F.affine_grid(matrix[None], [1, 1, height, width], align_corners=False)
    here = F.affine_grid(torch.eye(2, 3)[None], [1, 1, height, width], align_corners=False)
    now = F.grid_sample(before, grid, padding_mode="reflection", align_corners=False)
    flow = (grid - here) * torch.tensor([width, height]) / 2
    return now, flow.movedim(-1, 1)


def affine(x=0.0, y=0.0, zoom=1.0, angle=0.0):
    """Backward: x and y in pixels of `light`."""
    cos, sin = zoom * math.cos(angle), zoom * math.sin(angle)
    return torch.tensor([[cos, -sin, 2 * x / 140], [sin, cos, 2 * y / 112]])


MOTIONS = {
    "still": affine(),
    "right": affine(x=-3),
    "down": affine(y=2.5),
    "far": affine(x=7, y=-5),
    "zoom": affine(zoom=1.03),
    "turn": affine(angle=math.radians(1.5)),
    "all": affine(x=2, y=1, zoom=0.98, angle=math.radians(1)),
}


@pytest.mark.parametrize("matrix", MOTIONS.values(), ids=MOTIONS.keys())
def test_known_motion_is_found(matrix):
    before = light()
    now, true = moved(before, matrix)
    flow = motion.estimate_motion(before, now)
    error = (flow - true).norm(dim=1)[..., 10:-10, 10:-10]
    assert error.median() < 0.25
    assert error.mean() < 0.6


@pytest.mark.parametrize("change", [lambda x: x + 12, lambda x: 0.8 * x + 4], ids=["up", "fade"])
def test_flicker_is_no_motion(change):
    before = light() * 0.8
    still = motion.estimate_motion(before, change(before))
    assert still.norm(dim=1).mean() < 0.3
    now, true = moved(before, affine(x=3))
    flow = motion.estimate_motion(before, change(now))
    assert (flow - true).norm(dim=1)[..., 10:-10, 10:-10].median() < 0.4


def test_flat_frames_do_not_move():
    flat = torch.full((1, 1, 40, 50), 50.0)
    torch.testing.assert_close(motion.estimate_motion(flat, flat + 9), torch.zeros(1, 2, 40, 50))


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (1, 40), (13, 2), (15, 29)])
def test_any_size(shape):
    before, now = torch.rand(2, 3, 1, *shape).unbind(0)
    flow = motion.estimate_motion(100 * before, 100 * now)
    assert flow.shape == (3, 2, *shape)
    assert torch.isfinite(flow).all()
    assert motion.match(before, now).shape == (3,)


def test_images_of_a_batch_do_not_meet():
    before = torch.cat((light(1), light(2)))
    now = torch.cat((moved(before[:1], affine(x=3))[0], moved(before[1:], affine(y=-3))[0]))
    flow = motion.estimate_motion(before, now)
    for i in range(2):
        alone = motion.estimate_motion(before[i : i + 1], now[i : i + 1])
        torch.testing.assert_close(flow[i : i + 1], alone, atol=1e-3, rtol=1e-3)


def test_warp_brings_things_to_where_they_are_now():
    x = torch.arange(12.0).view(1, 1, 3, 4)
    flow = torch.zeros(1, 2, 3, 4)
    flow[:, 0] = -1  # what is here now was one to the left
    expected = torch.tensor([[0, 0, 1, 2], [4, 4, 5, 6], [8, 8, 9, 10]]).float()
    torch.testing.assert_close(motion.warp(x, flow)[0, 0], expected)
    within = torch.tensor([[0.0, 1, 1, 1]] * 3)
    torch.testing.assert_close(motion.inside(flow)[0, 0], within)


def test_points_follow_the_motion():
    flow = torch.zeros(1, 2, 20, 30)
    flow[:, 0], flow[:, 1] = -4, 2
    points = torch.tensor([[10.0, 8], [28, 3]])
    torch.testing.assert_close(motion.follow_points(points, flow), points + torch.tensor([4.0, -2]))


@pytest.mark.slow
def test_fifty_cuts_are_told_and_no_motion_is_one():
    for seed in range(50):
        before, cut = light(seed), light(seed + 1)
        assert compensated(before, cut) < motion.CUT_MATCH, seed
        matrix = list(MOTIONS.values())[seed % len(MOTIONS)]
        now = moved(before, matrix)[0] * 0.9 + 5 + torch.randn(before.shape)  # flicker, grain
        assert compensated(before, now) > motion.CUT_MATCH, seed


def compensated(before, now):
    flow = motion.estimate_motion(before, now)
    return motion.match(motion.warp(before, flow), now)


def test_match_is_one_for_the_same_and_for_flat_frames():
    before = light()
    assert motion.match(before, before) == pytest.approx(1)
    assert motion.match(before, before + 20) == pytest.approx(1)
    flat = torch.full_like(before, 30)
    assert motion.match(flat, flat + 40) == pytest.approx(1)
    assert motion.match(before, 100 - before) < 0


def test_mismatch_is_where_frames_differ_in_detail():
    before = light()
    now = before.clone()
    now[..., 40:50, 60:70] = 100 - now[..., 40:50, 60:70]
    apart = motion.mismatch(before, now + 10)
    assert apart[..., 42:48, 62:68].mean() > 5 * apart[..., :20, :20].mean()
