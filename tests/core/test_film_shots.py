"""Cuts, fades, dissolves, flashes and leader: how they are found, written, and what they change."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from recolor_core.film import FilmError, Shot, Shots, find_shots, read_shots
from recolor_core.frames import FrameGuide, colorize_frames
from recolor_core.settings import Settings

from .cli_runner import recolor
from .films import FAST, colorize, colorizer, decoded, make_film, rgb

AS_FRAMES = {"find_photograph": False, "correct_tones": False}
"""Settings with which the generator sees a frame whole."""

WIDTH, HEIGHT = 96, 72
BLACK = np.zeros((HEIGHT, WIDTH))


def shown(index: int, shot: int) -> np.ndarray:
    """A frame of a shot that pans: soft blobs, others in each shot. (H, W) in [0, 1]."""
    rng = np.random.default_rng(shot)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    image = np.full((HEIGHT, WIDTH), 0.5)
    for _ in range(14):
        across, down, size = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT), rng.uniform(5, 14)
        at = np.exp(-((x - across + 0.5 * index) ** 2 + (y - down) ** 2) / (2 * size**2))
        image += rng.choice((-0.45, 0.45)) * at
    return np.clip(image, 0, 1)


def codes(frames, grain: float = 0.01) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    noisy = (frame + rng.normal(0, grain, frame.shape) for frame in frames)
    return [np.rint(np.clip(frame, 0, 1) * 255).astype(np.uint8) for frame in noisy]


def found(frames, grain: float = 0.01) -> tuple[Shot, ...]:
    *_, shots = find_shots(enumerate(codes(frames, grain)))
    return shots.shots


def test_a_still_and_moving_shot_is_one():
    assert found([shown(0, 1)] * 4 + [shown(i, 1) for i in range(12)]) == (Shot(0, 15),)


def test_cuts():
    shots = found([shown(i, 1) for i in range(5)] + [shown(i, 2) for i in range(6)])
    assert shots == (Shot(0, 4), Shot(5, 10))


@pytest.mark.slow
def test_a_shot_that_returns_is_recognized_and_another_is_not():
    frames = [shown(i, 1) for i in range(6)] + [shown(i, 2) for i in range(5)]
    frames += [shown(8 + i, 1) for i in range(6)] + [shown(i, 4) for i in range(5)]
    frames += [shown(14 + i, 1) for i in range(4)] + [shown(6 + i, 2) for i in range(4)]
    shots = found(frames)
    assert [shot.first for shot in shots] == [0, 6, 11, 17, 22, 26]
    assert [shot.returns_to for shot in shots] == [None, None, 0, None, 11, 6]
    chains = Shots(shots)
    assert [shot.first for shot in chains.chain(24)] == [0, 11, 22]
    assert chains.chain(7) == chains.chain(28) == (shots[1], shots[5])
    assert chains.chain(99) == ()


@pytest.mark.slow
def test_a_shot_returns_in_other_light_and_after_a_fade():
    dim = [0.1 + 0.6 * shown(6 + i, 1) for i in range(6)]
    frames = [shown(i, 1) for i in range(6)] + [shown(i, 2) for i in range(5)] + dim
    assert found(frames)[-1].returns_to == 0
    ramp = np.arange(1, 13) / 12
    faded = [a * shown(6 + i, 1) for i, a in enumerate(ramp)] + [shown(18 + i, 1) for i in range(4)]
    frames = [shown(i, 1) for i in range(6)] + [shown(i, 2) for i in range(5)] + [BLACK] * 3
    assert found(frames + faded)[-1].returns_to == 0


@pytest.mark.parametrize("level", [0.03, 0.97])
@pytest.mark.slow
def test_leader_with_grain(level):
    frames = [BLACK + level] * 6 + [shown(i, 1) for i in range(5)]
    assert found(frames, grain=0.04) == (Shot(0, 5, "leader"), Shot(6, 10))


def test_a_flat_gray_image_is_no_leader():
    assert found([BLACK + 0.5] * 4) == (Shot(0, 3),)


@pytest.mark.parametrize("white", [False, True])
def test_fades(white):
    empty = BLACK + white
    ramp = np.arange(1, 13) / 12
    frames = [empty] * 3
    frames += [empty + a * (shown(i, 1) - empty) for i, a in enumerate(ramp)]
    frames += [shown(12 + i, 1) for i in range(8)]
    frames += [empty + a * (shown(20 + i, 1) - empty) for i, a in enumerate(ramp[::-1])]
    frames += [empty] * 3
    before, shot, after = found(frames)
    assert (before.kind, after.kind) == ("leader", "leader")
    assert abs(shot.first - 3) <= 1
    assert abs(shot.last - 34) <= 1
    assert abs(shot.fade_in - 11) <= 2
    assert abs(shot.fade_out - 11) <= 4  # contrast changes by the pan, too
    assert 14 <= shot.representative <= 23


@pytest.mark.slow
@pytest.mark.parametrize("length", [8, 16, 30])
def test_dissolves(length):
    share = np.clip((np.arange(16 + length) - 7) / length, 0, 1)
    frames = [(1 - a) * shown(i, 1) + a * shown(i, 2) for i, a in enumerate(share)]
    one, other = found(frames)
    assert abs(other.first - (7 + length / 2)) <= 2
    assert abs(other.dissolve - length) <= max(3, length / 2)
    assert (one.fade_out, other.fade_in) == (0, 0)


@pytest.mark.slow
def test_a_pan_is_no_dissolve():
    wide = np.concatenate([shown(0, shot) for shot in range(3)], axis=1)
    frames = [wide[:, 4 * i : 4 * i + WIDTH] for i in range(40)]
    assert [shot.dissolve for shot in found(frames)] == [0] * len(found(frames))


@pytest.mark.parametrize("flash", [[BLACK + 1], [shown(0, 5)], [BLACK + 1, shown(0, 5)]])
def test_flashes(flash):
    frames = [shown(i, 1) for i in range(6)] + flash + [shown(6 + i, 1) for i in range(6)]
    (shot,) = found(frames)
    assert shot.flashes == tuple(range(6, 6 + len(flash)))


def test_shots_come_back_from_a_file(tmp_path):
    faded = Shot(5, 30, fade_in=6, fade_out=3, flashes=(9, 10))
    shots = Shots(
        [Shot(0, 4, "leader"), faded, Shot(31, 60, dissolve=8), Shot(61, 70, returns_to=5)]
    )
    (tmp_path / "shots.json").write_text(shots.as_json(24))
    assert read_shots(tmp_path / "shots.json").shots == shots.shots
    assert json.loads(shots.as_json(24))["shots"][1]["time"] == 0.208


@pytest.mark.parametrize(
    "entries",
    [
        [{"first": 0}],
        [{"first": 3, "last": 2}],
        [{"first": 0, "last": 5}, {"first": 5, "last": 9}],
        [{"first": 0, "last": 5, "kind": "picture"}],
        [{"first": 0, "last": 5, "fade": 2}],
        [{"first": 0, "last": 5, "fade_in": -1}],
        [{"first": 0, "last": 5.5}],
        [7],
        "none",
    ],
)
def test_files_that_are_not_shots(tmp_path, entries):
    (tmp_path / "shots.json").write_text(json.dumps({"shots": entries}))
    with pytest.raises(FilmError, match="is not a file of shots"):
        read_shots(tmp_path / "shots.json")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[]", "it holds a list instead of an object"),
        ("null", "it holds null instead of an object"),
        ("7", "it holds a number instead of an object"),
        ("{}", 'its object has no "shots"'),
        ('{"shots": null}', '"shots" is null instead of a list'),
        ('{"shots": {}}', '"shots" is an object instead of a list'),
        ('{"shots": []}', "it has no shots"),
        ('{"shots": ["a"]}', "a shot is text instead of an object"),
        ('{"shots": [{"first": 0}]}', "a shot has no 'last'"),
        ('{"shots": [{"first": 0, "last": 9, "flashes": 3}]}', "flashes are a number instead of a"),
    ],
)
def test_a_file_of_shots_says_what_is_wrong_and_what_to_do(tmp_path, content, problem):
    path = tmp_path / "shots.json"
    path.write_text(content)
    with pytest.raises(FilmError) as error:
        read_shots(path)
    assert str(error.value).startswith(f"{path} is not a file of shots ({problem}")
    assert "; expected JSON such as {" in str(error.value)
    assert str(error.value).endswith("; correct the file, or remove it to have the shots found")


def test_guides_follow_the_shots():
    shots = Shots([Shot(0, 1, "leader"), Shot(2, 19, fade_in=6), Shot(20, 39, dissolve=10)])
    guides = [shots.guide(number) for number in range(40)]
    assert [number for number, guide in enumerate(guides) if guide.begins] == [0, 2, 20]
    assert [guide.light for guide in guides[:2]] == [0, 0]
    visible = [guide.visible for guide in guides]
    assert (np.diff(visible[2:10]) > 0).all()
    assert visible[14] == 1
    assert (np.diff(visible[15:20]) < 0).all()  # the shot before goes as the next one comes
    assert (np.diff(visible[20:25]) > 0).all()
    assert visible[30:] == [1] * 10
    assert shots.guide(99) == FrameGuide()


def chroma(frame) -> float:
    return float(np.hypot(*frame.result.ab_refined).mean())


@pytest.mark.slow
def test_fades_end_and_dissolves_turn_into_the_color_of_the_frame_alone():
    share = np.clip((np.arange(28) + 1) / 12, 0, 1)
    images = codes([a * shown(0, 3) for a in share])
    *_, shots = find_shots(enumerate(images))
    guides = {number: shots.guide(number) for number in range(28)}
    *_, last = colorize_frames(colorizer(), images, FAST, guides=guides)
    alone = float(np.hypot(*colorizer()(images[-1], FAST, **AS_FRAMES).ab_refined).mean())
    *_, plain = colorize_frames(colorizer(), images, FAST)
    assert chroma(last) == pytest.approx(alone, rel=0.1)
    assert abs(chroma(last) - alone) < abs(chroma(plain) - alone)


@pytest.mark.parametrize("passes", [1, 2])
@pytest.mark.slow
def test_a_dissolve_ends_in_the_color_of_the_frame_alone(passes):
    share = np.clip((np.arange(30) - 7) / 12, 0, 1)
    images = codes([(1 - a) * shown(0, 1) + a * shown(0, 3) for a in share])
    *_, shots = find_shots(enumerate(images))
    assert [bool(shot.dissolve) for shot in shots.shots] == [False, True]
    guides = {number: shots.guide(number) for number in range(30)}
    *_, last = colorize_frames(colorizer(), images, FAST, guides=guides, passes=passes)
    alone = float(np.hypot(*colorizer()(images[-1], FAST, **AS_FRAMES).ab_refined).mean())
    assert chroma(last) == pytest.approx(alone, rel=0.1)


@pytest.mark.parametrize("passes", [1, 2])
def test_there_is_no_color_without_light(passes):
    images = codes([BLACK + 0.05] * 3 + [shown(0, 1)] * 2, grain=0.04)
    *_, shots = find_shots(enumerate(images))
    guides = {number: shots.guide(number) for number in range(5)}
    frames = list(colorize_frames(colorizer(), images, FAST, guides=guides, passes=passes))
    assert [chroma(frame) for frame in frames[:3]] == [0, 0, 0]
    assert chroma(frames[3]) > 1
    assert [frame.first for frame in frames] == [True, False, False, True, False]


@pytest.mark.parametrize("passes", [1, 2])
@pytest.mark.slow
def test_after_a_flash_colors_go_on_as_if_it_had_not_been(passes):
    images = codes([shown(0, 1)] * 3 + [shown(0, 5)] + [shown(0, 1)] * 2, grain=0)
    guides = {number: FrameGuide(begins=number == 0, passing=number == 3) for number in range(6)}
    with_flash = list(colorize_frames(colorizer(), images, FAST, guides=guides, passes=passes))
    without = list(colorize_frames(colorizer(), images[:3] + images[4:], FAST, passes=passes))
    for one, other in zip(with_flash[4:], without[3:], strict=True):
        np.testing.assert_array_equal(one.result.ab_refined, other.result.ab_refined)
    if passes == 1:
        alone = colorizer()(images[3], FAST, **AS_FRAMES).ab_refined
        np.testing.assert_array_equal(with_flash[3].result.ab_refined, alone)


def test_without_guides_frames_stay_as_they_were_to_the_bit():
    images = codes([shown(i, 1) for i in range(3)])
    plain = list(colorize_frames(colorizer(), images, FAST))
    guides = {number: FrameGuide(begins=number == 0) for number in range(3)}
    guided = list(colorize_frames(colorizer(), images, FAST, guides=guides))
    for one, other in zip(plain, guided, strict=True):
        np.testing.assert_array_equal(one.result.ab_refined, other.result.ab_refined)
        assert torch.equal(one.state.memory.ab, other.state.memory.ab)


@pytest.mark.slow
def test_shots_are_written_corrected_and_read_back(tmp_path):
    make_film(tmp_path / "a.mkv", [shown(i, 1)[:48, :64] for i in range(6)])
    path = tmp_path / "shots.json"
    plain = colorize(tmp_path / "a.mkv", tmp_path / "b.mkv", lossless=True, shots=path)
    assert plain.cuts == ()
    assert read_shots(path).shots == (Shot(0, 5),)
    path.write_text(
        '{"shots": [{"first": 0, "last": 2}, {"first": 3, "last": 5, "kind": "leader"}]}'
    )
    corrected = colorize(tmp_path / "a.mkv", tmp_path / "c.mkv", lossless=True, shots=path)
    assert corrected.cuts == (3,)
    spread = [np.ptp(rgb(f).astype(int), axis=2).max() for f in decoded(tmp_path / "c.mkv")]
    assert min(spread[:3]) > 0
    assert spread[3:] == [0, 0, 0]
    (page,) = json.loads((tmp_path / "c.mkv.json").read_text())["pages"]
    assert page["shots"][1]["kind"] == "leader"
    path.write_text("no shots")
    call = recolor("film", tmp_path / "a.mkv", tmp_path / "d.mkv", "--shots", path)
    assert call.code == 2
    assert "is not a file of shots" in call.err


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_shots_are_read_in_any_unicode(tmp_path, encoding):
    path = tmp_path / "shots.json"
    path.write_bytes(Shots([Shot(0, 2), Shot(3, 5)]).as_json(None).encode(encoding))
    assert read_shots(path).shots == (Shot(0, 2), Shot(3, 5))


def test_a_file_of_shots_nested_too_deeply_is_refused(tmp_path):
    path = tmp_path / "shots.json"
    path.write_text("[" * 100_000)
    with pytest.raises(FilmError, match="is not a file of shots"):
        read_shots(path)


def test_saturation_of_a_guided_frame_is_in_its_settings():
    guides = {0: FrameGuide(light=0.5)}
    (half,) = colorize_frames(colorizer(), codes([shown(0, 1)]), FAST, guides=guides)
    settings = replace(Settings(size=32), saturation=0.5)
    whole = colorizer()(codes([shown(0, 1)])[0], settings, **AS_FRAMES)
    np.testing.assert_array_equal(half.result.ab_refined, whole.ab_refined)
