"""Frames in order: what is carried from one to the next, and what is not."""

import itertools
import json
from dataclasses import fields, replace

import numpy as np
import pytest

from recolor_core import (
    Hint,
    HintsError,
    ImageError,
    Reference,
    Settings,
    WeightsError,
    colorize_frames,
)
from recolor_core.frames import (
    AHEAD,
    BLOCK,
    FrameGuide,
    FrameState,
    color_frame,
    see_frames,
)
from recolor_core.lab import gray_codes

from .steady import SIZE, change_memory, memory, pan, scene

RED = "#c03020"


@pytest.fixture
def recolor(film_colorizer):
    return film_colorizer


@pytest.fixture
def untrained(recolor, monkeypatch):
    """The same networks with a memory as it is before training."""
    change_memory(monkeypatch, recolor, memory())
    return recolor


def frames_of(recolor, stack, **options):
    return list(colorize_frames(recolor, stack, size=SIZE, **options))


def same(first, second):
    names = ("rgb", "ab_coarse", "ab_refined", "uncertainty")
    return all(np.array_equal(getattr(first, n), getattr(second, n)) for n in names)


def single(recolor, image, **options):
    """An image by itself, shown to the generator as frames are."""
    return recolor(image, size=SIZE, find_photograph=False, correct_tones=False, **options)


def looks(recolor, monkeypatch, stack, every, **options):
    """How often the generator looked at the frames of a stack, and the frames."""
    shown = []
    generate = recolor.generate

    def counted(gray, *others, **settings):
        shown.append(gray)
        return generate(gray, *others, **settings)

    monkeypatch.setattr(recolor, "generate", counted)
    settings = Settings(size=SIZE)
    seen = see_frames(recolor, stack, settings, every=every, **options)
    frames = [color_frame(recolor, one, settings) for one in seen]
    monkeypatch.undo()
    return len(shown), frames


def grainy(frames):
    """A still image with grain, which shows nothing new."""
    rng = np.random.default_rng(2)
    still = scene(48, 64).astype(float)
    return [
        (still + rng.normal(0, 2, still.shape)).clip(0, 255).astype("u1") for _ in range(frames)
    ]


# What is carried


@pytest.mark.slow
@pytest.mark.parametrize(("frames", "expected"), [(6, 3), (7, 4)])
def test_the_generator_may_look_at_every_second_frame(recolor, monkeypatch, frames, expected):
    stack = grainy(frames)
    count, some = looks(recolor, monkeypatch, stack, 2)
    everything, each = looks(recolor, monkeypatch, stack, 1)
    assert (count, everything) == (expected, frames)
    assert same(some[0].result, each[0].result)
    apart = [
        np.abs(a.result.ab_refined - b.result.ab_refined).mean()
        for a, b in zip(some, each, strict=True)
    ]
    assert max(apart) < 1.5  # Lab units
    for frame, image in zip(some, stack, strict=True):
        np.testing.assert_array_equal(gray_codes(frame.result.rgb), image)


@pytest.mark.slow
def test_the_generator_looks_at_frames_that_show_something_new(recolor, monkeypatch):
    still = scene(48, 64)
    new = still.copy()
    new[:, 32:] = still[::-1, 32:]
    assert looks(recolor, monkeypatch, [still] * 4, 2)[0] == 2
    assert looks(recolor, monkeypatch, [still, new, new, new], 2)[0] == 3
    assert looks(recolor, monkeypatch, [still, still[::-1].copy(), still, still], 2)[0] >= 3


@pytest.mark.parametrize(
    "options",
    [
        {"hints": {0: [Hint(20, 20, RED)]}},
        {"palette": np.array([[20.0, 30.0]], np.float32)},
        {"guides": {number: FrameGuide(visible=0.5) for number in range(4)}},
        {"guides": {number: FrameGuide(begins=True) for number in range(4)}},
    ],
)
def test_the_generator_looks_at_each_frame_of_which_more_is_known(recolor, monkeypatch, options):
    assert looks(recolor, monkeypatch, grainy(4), 2, **options)[0] == 4


@pytest.mark.slow
def test_going_on_at_a_frame_that_the_generator_looks_at_changes_nothing(recolor, monkeypatch):
    stack = grainy(6)
    _, whole = looks(recolor, monkeypatch, stack, 2)
    _, begun = looks(recolor, monkeypatch, stack[:4], 2)
    state = replace(begun[-1].state, known=None)  # as it is read back from a file
    _, rest = looks(recolor, monkeypatch, stack[4:], 2, state=state)
    for one, other in zip(whole[4:], rest, strict=True):
        assert same(one.result, other.result)


@pytest.mark.slow
def test_the_first_frame_is_as_a_single_image_to_the_bit_and_others_are_not(recolor):
    stack = pan(4)
    frames = frames_of(recolor, stack)
    assert same(frames[0].result, single(recolor, stack[0]))
    assert [frame.first for frame in frames] == [True, False, False, False]
    assert not any(
        same(f.result, single(recolor, p)) for f, p in zip(frames[1:], stack[1:], strict=True)
    )


@pytest.mark.slow
def test_colors_change_less_from_frame_to_frame_than_frame_by_frame(recolor):
    # The same image with grain: whatever changes is flicker.
    rng = np.random.default_rng(1)
    still = scene(48, 64).astype(float)
    stack = [(still + rng.normal(0, 12, still.shape)).clip(0, 255).astype("u1") for _ in range(6)]

    def flicker(results):
        ab = np.stack([result.ab_coarse for result in results])
        return np.abs(np.diff(ab, axis=0)).mean()

    steady = flicker([frame.result for frame in frames_of(recolor, stack)])
    assert steady < 0.5 * flicker([single(recolor, image) for image in stack])


def test_the_gray_stays_exact(recolor):
    for frame, image in zip(frames_of(recolor, pan(3)), pan(3), strict=True):
        np.testing.assert_array_equal(gray_codes(frame.result.rgb), image)


@pytest.mark.parametrize("passes", [1, 2])
def test_an_untrained_memory_changes_nothing_to_the_bit(untrained, passes):
    stack = pan(3)
    for frame, image in zip(frames_of(untrained, stack, passes=passes), stack, strict=True):
        assert same(frame.result, single(untrained, image))


@pytest.mark.slow
def test_nothing_is_carried_over_any_cut(recolor):
    size, cuts = 128, 6  # in much smaller images cuts are hard to tell
    shots = [pan(2, shape=(40, 48), seed=seed) for seed in range(cuts + 1)]
    film = np.concatenate(shots)
    frames = list(colorize_frames(recolor, film, size=size))
    assert [frame.first for frame in frames] == [True, False] * (cuts + 1)
    for frame, image in zip(frames[::2], film[::2], strict=True):
        alone = recolor(image, size=size, find_photograph=False, correct_tones=False)
        assert same(frame.result, alone)


@pytest.mark.slow
def test_both_passes_stop_at_a_cut(recolor):
    one, two = pan(3, shape=(40, 48), seed=1), pan(3, shape=(40, 48), seed=2)
    apart = frames_of(recolor, one, passes=2) + frames_of(recolor, two, passes=2)
    together = frames_of(recolor, np.concatenate((one, two)), passes=2)
    assert all(same(a.result, b.result) for a, b in zip(apart, together, strict=True))


def test_two_passes_of_a_single_frame_are_one(recolor):
    (frame,) = frames_of(recolor, pan(1), passes=2)
    assert same(frame.result, single(recolor, pan(1)[0]))


@pytest.mark.slow
def test_two_passes_are_steadier_and_look_ahead(recolor):
    stack = pan(6)

    def error(frames):  # of the last frame's colors, carried back by the known pan
        ab = [frame.result.ab_refined for frame in frames]
        return np.mean([np.abs(a[..., 2:] - b[..., :-2]).mean() for a, b in itertools.pairwise(ab)])

    once, twice = frames_of(recolor, stack), frames_of(recolor, stack, passes=2)
    assert error(twice) < error(once)
    assert not same(once[0].result, twice[0].result)


# Lazily, in constant memory


def test_frames_are_read_one_at_a_time(recolor):
    read = []
    film = (read.append(i) or image for i, image in enumerate(itertools.cycle(pan(2))))
    frames = colorize_frames(recolor, film, size=SIZE)
    assert read == []
    next(frames)
    next(frames)
    assert read == [0, 1]


@pytest.mark.slow
def test_two_passes_read_a_block_and_a_little_more(recolor, monkeypatch):
    monkeypatch.setattr("recolor_core.frames.BLOCK", 3)
    monkeypatch.setattr("recolor_core.frames.AHEAD", 2)
    read = []
    film = (read.append(i) or image for i, image in enumerate(pan(9)))
    numbers = [
        (len(read), frame.state.number)
        for frame in colorize_frames(recolor, film, size=SIZE, passes=2)
    ]
    assert [number for _, number in numbers] == list(range(1, 10))
    assert [count for count, _ in numbers] == [5, 5, 5, 8, 8, 8, 9, 9, 9]
    assert AHEAD < BLOCK


def test_the_state_stays_as_small_as_it_is(recolor):
    def size(state):
        tensors = [state.memory.lightness, state.memory.ab, *state.memory.hidden]
        return sum(tensor.numel() for tensor in tensors), len(state.hints)

    hints = {0: [Hint(20, 20, RED)]}
    sizes = {size(frame.state) for frame in frames_of(recolor, pan(5, step=0), hints=hints)}
    assert len(sizes) == 1
    # And nothing of the frames is held by the state alone.
    names = {"number", "memory", "hints", "shape", "visible", "known"}
    assert {field.name for field in fields(FrameState)} == names
    assert frames_of(recolor, pan(2))[-1].state.known is None


@pytest.mark.slow
@pytest.mark.parametrize("passes", [1, 2])
def test_going_on_from_a_state_is_as_in_one_go(recolor, passes, monkeypatch):
    monkeypatch.setattr("recolor_core.frames.BLOCK", 3)
    monkeypatch.setattr("recolor_core.frames.AHEAD", 2)
    stack = pan(7)
    hints = {1: [Hint(30, 20, RED, 4)], 5: [Hint(10, 20, "#2040c0")]}
    whole = frames_of(recolor, stack, hints=hints, passes=passes)
    rest = frames_of(recolor, stack[3:], hints=hints, passes=passes, state=whole[2].state)
    assert all(same(a.result, b.result) for a, b in zip(whole[3:], rest, strict=True))
    assert [frame.state.number for frame in rest] == [4, 5, 6, 7]


# Hints


def test_hints_move_with_what_they_lie_on(recolor):
    frames = frames_of(recolor, pan(6, step=3), hints={1: [Hint(40, 24, RED)]})
    assert frames[0].state.hints == ()
    for number, frame in enumerate(frames[1:]):
        (hint,) = frame.state.hints
        assert hint.x == pytest.approx(40 - 3 * number, abs=1.5)
        assert hint.y == pytest.approx(24, abs=1.5)


@pytest.mark.slow
def test_hints_color_the_frames_after_them_alone(recolor):
    stack = pan(4)
    plain = frames_of(recolor, stack)
    hinted = frames_of(recolor, stack, hints={1: [Hint(40, 24, RED, 6)]})
    assert same(plain[0].result, hinted[0].result)
    for before, after in zip(plain[1:], hinted[1:], strict=True):
        redder = after.result.ab_coarse[0] - before.result.ab_coarse[0]
        assert redder.max() > 5


def test_a_hinted_frame_is_as_a_single_image_with_that_hint(recolor):
    stack, hint = pan(3), Hint(40, 24, RED, 6)
    frames = frames_of(recolor, stack, hints={1: [hint]})
    assert same(frames[1].result, single(recolor, stack[1], hints=[hint]))
    assert frames[1].first


@pytest.mark.parametrize("passes", [1, 2])
def test_a_reference_acts_on_every_frame(recolor, passes):
    stack = pan(3)
    colored = np.stack([stack[0], stack[0] // 2, 255 - stack[0]], axis=-1)
    reference = Reference(colored, "autochrome")
    frames = frames_of(recolor, stack, references=[reference], passes=passes)
    assert all(frame.result.provenance["references"] for frame in frames)
    if passes == 1:
        assert same(frames[0].result, single(recolor, stack[0], references=[reference]))
    if frames[0].result.matches[0].image.size:
        plain = frames_of(recolor, stack, passes=passes)
        pairs = zip(frames, plain, strict=True)
        assert all((one.result.rgb != other.result.rgb).any() for one, other in pairs)


@pytest.mark.slow
def test_hints_end_with_their_shot_and_where_they_leave_the_frame(recolor):
    film = np.concatenate((pan(2, shape=(40, 48), seed=1), pan(2, shape=(40, 48), seed=2)))
    frames = frames_of(recolor, film, hints={0: [Hint(20, 20, RED)]})
    assert [len(frame.state.hints) for frame in frames] == [1, 1, 0, 0]
    leaving = frames_of(recolor, pan(4, step=4), hints={0: [Hint(4, 24, RED)]})
    assert len(leaving[0].state.hints) == 1
    assert leaving[-1].state.hints == ()


def test_a_hint_given_later_replaces_the_one_it_covers(recolor):
    hints = {0: [Hint(20, 24, RED), Hint(50, 24, RED)], 1: [Hint(20, 24, "#2040c0", 5)]}
    frames = frames_of(recolor, pan(3, step=0), hints=hints)
    colors = {(round(hint.x, 1), hint.color) for hint in frames[-1].state.hints}
    assert colors == {(20, "#2040c0"), (50, RED)}


# What is told


def test_provenance_tells_of_passes_and_of_what_was_carried(recolor):
    hints = {1: [Hint(20, 24, RED)]}
    frames = frames_of(recolor, pan(3, step=0), hints=hints, passes=2)
    told = [frame.result.provenance["frames"] for frame in frames]
    assert told == [
        {"passes": 2, "number": 0, "first": True, "given": 0},
        {"passes": 2, "number": 1, "first": True, "given": 1},
        {"passes": 2, "number": 2, "first": False, "given": 0},
    ]
    assert len(frames[2].result.provenance["hints"]) == 1  # carried
    json.dumps(frames[2].result.provenance)


# Sizes and errors


@pytest.mark.parametrize("shape", [(1, 1), (1, 60), (33, 2), (7, 5), (45, 70)])
@pytest.mark.parametrize("passes", [1, 2])
def test_odd_sizes(recolor, shape, passes):
    rng = np.random.default_rng(0)
    stack = rng.integers(0, 256, (2, *shape), dtype=np.uint8)
    for frame in frames_of(recolor, stack, passes=passes):
        assert frame.result.rgb.shape == (*shape, 3)
        assert np.isfinite(frame.result.ab_refined).all()


def test_flat_frames(recolor):
    stack = [np.full((40, 40), value, np.uint8) for value in (0, 128, 128, 255)]
    for frame in frames_of(recolor, stack):
        assert np.isfinite(frame.result.ab_refined).all()


def test_frames_of_another_size_are_refused_also_when_going_on(recolor):
    with pytest.raises(ImageError, match=r"one size, got 64 x 48 .* frame 1, 20 x 30"):
        frames_of(recolor, [pan(1)[0], np.zeros((30, 20), np.uint8)])
    state = frames_of(recolor, pan(1))[0].state
    with pytest.raises(ImageError, match="frames of one size"):
        frames_of(recolor, [np.zeros((30, 20), np.uint8)], state=state)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"passes": 3}, "expected 1 or 2 passes, got 3"),
        ({"alternatives": 2}, "no alternatives"),
        ({"levels": "auto"}, "would flicker"),
        ({"vividness": 7}, "vividness from 0 to 1"),
    ],
)
def test_what_cannot_be_is_refused_before_a_frame_is_read(recolor, options, message):
    def film():
        raise AssertionError("a frame was read")
        yield

    with pytest.raises(ImageError, match=message):
        colorize_frames(recolor, film(), **options)


def test_weights_without_a_memory_are_refused(recolor, monkeypatch):
    change_memory(monkeypatch, recolor, None)
    with pytest.raises(WeightsError, match="'small' have no color memory"):
        colorize_frames(recolor, pan(1))


def test_hints_outside_of_their_frame_are_refused(recolor):
    with pytest.raises(HintsError, match="within 64 x 48 pixels"):
        frames_of(recolor, pan(2), hints={1: [Hint(99, 0, RED)]})


def test_settings_count(recolor):
    stack = pan(2)
    vivid = frames_of(recolor, stack, settings=Settings(vividness=1))
    pale = frames_of(recolor, stack, settings=replace(Settings(), vividness=0))
    assert np.abs(vivid[1].result.ab_refined).mean() > np.abs(pale[1].result.ab_refined).mean()
