"""The color memory."""

import pytest
import torch

from recolor_core.models.config import MemoryConfig
from recolor_core.models.memory import MAX_CARRIED, ColorMemory, ConvGRU
from tests.core.steady import memory

SMALL = MemoryConfig(width=8)


def trained(seed=0):
    """A memory whose last layer says something."""
    torch.manual_seed(seed)
    network = ColorMemory(SMALL).eval()
    torch.nn.init.normal_(network.out.weight, std=0.3)
    torch.nn.init.constant_(network.out.bias, 0.3)
    return network


def frames(count, batch=1, size=(48, 61), seed=0):
    """Lightness and coarse ab of frames of one slow pan; their colors flicker."""
    generator = torch.Generator().manual_seed(seed)
    height, width = size
    wide = torch.rand(batch, 1, height // 4 + 1, width // 4 + 10, generator=generator) * 100
    wide = torch.nn.functional.interpolate(wide, scale_factor=4, mode="bilinear")
    grid = (-(-height // 4), -(-width // 4))
    for i in range(count):
        ab = 20 * torch.randn(batch, 2, *grid, generator=generator)
        yield wide[..., :height, 2 * i : 2 * i + width], ab


@torch.inference_mode()
def run(network, film, state=None):
    states = []
    for light, ab in film:
        state = network(light, ab, state)
        states.append(state)
    return states


def test_untrained_it_changes_nothing_to_the_bit():
    for state, (_, ab) in zip(run(ColorMemory().eval(), frames(4)), frames(4), strict=True):
        assert torch.equal(state.ab, ab)


def test_the_first_frame_stays_trained_or_not_and_the_others_change():
    first, *others = run(trained(), frames(4))
    (_, ab), *rest = frames(4)
    assert torch.equal(first.ab, ab)
    assert first.first.all()
    for state, (_, ab) in zip(others, rest, strict=True):
        assert not state.first.any()
        assert (state.ab - ab).abs().max() > 1


def test_the_first_frame_of_every_shot_stays_in_each_image_of_a_batch():
    one, two = list(frames(2, batch=2, seed=1)), list(frames(1, batch=2, seed=2))
    light, ab = one[1]
    light = torch.cat((light[:1], two[0][0][1:]))  # the second image is cut, the first is not
    _, state = run(trained(), [one[0], (light, ab)])
    assert state.first.tolist() == [False, True]
    assert torch.equal(state.ab[1], ab[1])
    assert not torch.equal(state.ab[0], ab[0])


def test_images_of_a_batch_do_not_meet():
    film = list(frames(3, batch=2))
    together = run(trained(), film)[-1]
    for i in range(2):
        alone = run(trained(), [(light[i : i + 1], ab[i : i + 1]) for light, ab in film])[-1]
        torch.testing.assert_close(together.ab[i : i + 1], alone.ab, atol=1e-3, rtol=1e-3)


def test_the_state_has_one_size_and_shape():
    shapes = {
        (s.lightness.shape, s.ab.shape, s.hidden[0].shape, s.hidden[1].shape, s.first.shape)
        for s in run(trained(), frames(5))
    }
    assert shapes == {((1, 1, 24, 32), (1, 2, 12, 16), (1, 8, 12, 16), (1, 8, 12, 16), (1,))}


def test_going_on_is_as_in_one_go():
    film = list(frames(5))
    whole = run(trained(), film)
    rest = run(trained(), film[2:], whole[1].to("cpu"))
    assert torch.equal(whole[-1].ab, rest[-1].ab)


def test_what_it_keeps_follows_the_motion_and_makes_flicker_less():
    film = list(frames(8, size=(64, 64)))
    states = run(memory(0.9), film)

    def flicker(colors):  # of what moves by 2 pixels, half a cell, a frame: over two frames by one
        pairs = zip(colors[4:], colors[6:], strict=False)
        return torch.stack([(a[..., 1:] - b[..., :-1]).abs().mean() for a, b in pairs]).mean()

    assert flicker([s.ab for s in states]) < 0.4 * flicker([ab for _, ab in film])


@pytest.mark.slow
def test_no_color_is_kept_for_ever():
    (light, ab), *_ = frames(1)
    network = memory(kept=5.0)  # more than all
    state = run(network, [(light, ab)])[0]
    for _ in range(200):
        state = run(network, [(light, torch.zeros_like(ab))], state)[0]
    assert state.ab.abs().max() < 1e-2 * ab.abs().max()
    assert MAX_CARRIED < 1


@pytest.mark.parametrize("size", [(1, 1), (4, 9), (33, 50)])
def test_any_size(size):
    for state in run(trained(), frames(2, size=size)):
        assert torch.isfinite(state.ab).all()


def test_the_layers_learn():
    network = trained().train()
    state = None
    for light, ab in frames(3):
        state = network(light, ab, state)
    state.ab.square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_a_gated_unit_moves_from_what_it_holds_to_what_is_new():
    unit = ConvGRU(4).eval()
    x, hidden = torch.randn(2, 1, 4, 5, 5).unbind(0)
    with torch.inference_mode():
        unit.gates.weight.zero_()
        for bias, expected in ((-50.0, hidden), (50.0, None)):
            unit.gates.bias.fill_(bias)
            result = unit(x, hidden)
            if expected is not None:
                torch.testing.assert_close(result, expected)
            else:
                assert result.abs().max() <= 1  # tanh: nothing of the old is left
