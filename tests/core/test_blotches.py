"""Uncertain islands of color are made paler, and strong colors weaker."""

import pytest
import torch

from recolor_core import blotches
from recolor_core.blotches import MIDDLE, STRENGTH


def calm_blotches(ab, uncertainty):
    return torch.from_numpy(blotches.calm_blotches(ab.numpy(), uncertainty.numpy()))


def even_chroma(ab):
    return torch.from_numpy(blotches.even_chroma(ab.numpy()))


def island(color=(40.0, 20.0), ground=(2.0, 4.0), side=56):
    ab = torch.tensor(ground)[None, :, None, None].repeat(1, 1, side, side)
    ab[:, :, 20:24, 30:34] = torch.tensor(color)[:, None, None]
    return ab


def spread(value, side=56):
    return torch.full((1, 1, side, side), value)


def chroma_at_island(ab):
    return float(ab[:, :, 20:24, 30:34].norm(dim=1).mean())


def test_an_uncertain_island_is_made_paler_and_a_certain_one_stays():
    ab = island()
    assert calm_blotches(ab, spread(10.0)).equal(ab)
    unsure, half = (chroma_at_island(calm_blotches(ab, spread(u))) for u in (30.0, 23.0))
    before = chroma_at_island(ab)
    assert unsure < (1.25 - STRENGTH) * before
    assert unsure < half < before


def test_the_ground_and_what_is_paler_than_its_surround_stay():
    ab = island()
    calmed = calm_blotches(ab, spread(40.0))
    far = torch.ones(56, 56, dtype=torch.bool)
    far[14:30, 24:40] = False
    assert calmed[..., far].allclose(ab[..., far], atol=1e-4)
    assert not calmed[:, :, 20:24, 30:34].equal(ab[:, :, 20:24, 30:34])
    pale = island(color=(0.0, 0.0), ground=(30.0, 30.0))  # a gray coat before a red wall
    assert calm_blotches(pale, spread(40.0))[:, :, 20:24, 30:34].equal(pale[:, :, 20:24, 30:34])


def test_large_areas_keep_their_color():
    ab = island()
    ab[:, :, :, :28] = torch.tensor([40.0, 20.0])[:, None, None]
    calmed = calm_blotches(ab, spread(40.0))
    assert calmed[:, :, 10:46, 6:22].allclose(ab[:, :, 10:46, 6:22], atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 1), (3, 8), (56, 90)])
def test_any_size_and_no_color(shape):
    gray = torch.zeros(2, 2, *shape)
    assert calm_blotches(gray, torch.full((2, 1, *shape), 40.0)).equal(gray)
    noise = 20 * torch.randn(2, 2, *shape)
    calmed = calm_blotches(noise, torch.full((2, 1, *shape), 40.0))
    assert calmed.isfinite().all()
    assert calmed.norm(dim=1).mean() <= noise.norm(dim=1).mean() + 1e-4


def test_a_small_change_of_the_prediction_changes_the_result_a_little():
    """Frames of a film differ a little, and their colors must not jump."""
    ab = 20 * torch.randn(1, 2, 56, 56, generator=torch.Generator().manual_seed(0))
    doubt = spread(24.0)
    moved = calm_blotches(ab + 0.01, doubt + 0.01) - calm_blotches(ab, doubt)
    assert float(moved.abs().median()) < 0.03


def test_strong_colors_become_weaker_and_pale_ones_stronger_in_the_same_hue():
    angle = torch.linspace(0, 6.28, 40)
    chroma = torch.linspace(0, 120, 50)[:, None]
    ab = torch.stack((chroma * angle.cos(), chroma * angle.sin()))[None]
    evened = even_chroma(ab)
    after = evened.norm(dim=1)[0]
    assert after[0].abs().max() == 0  # gray stays gray
    assert (after.diff(dim=0) > 0).all()  # what is more colorful stays so
    strong, pale = (chroma > MIDDLE).expand_as(after), (chroma < MIDDLE).expand_as(after)
    assert (after <= chroma + 1e-4)[strong].all()
    assert (after >= chroma - 1e-4)[pale].all()
    assert 0.8 < float(after[-1].mean() / 120) < 0.85
    cross = ab[:, 0] * evened[:, 1] - ab[:, 1] * evened[:, 0]
    assert cross.abs().max() < 1e-2


def test_the_middle_of_the_chroma_stays():
    ab = torch.full((1, 2, 3, 4), MIDDLE / 2**0.5)
    assert even_chroma(ab).allclose(ab, atol=1e-4)
