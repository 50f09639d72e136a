"""The cleaned copy of worn film: less flicker, dust and grain, and nothing else."""

import json

import numpy as np
import pytest
import torch

from recolor_core.film import FilmJob, coloring, colorize_film
from recolor_core.film.luma import Luma
from recolor_core.guides.cleaning import WornFrame, clean_frame, light_frames, with_neighbors

from .films import FAST, colorize, colorizer, grays, make_film
from .test_film_shots import shown


def lightness(index: int, shot: int = 1) -> torch.Tensor:
    return torch.from_numpy(20 + 60 * shown(index, shot)).float()[None, None]


def cleaned(frames, begins=(0,), unsteady=()) -> list[torch.Tensor]:
    worn = (WornFrame(f, i in begins, i not in unsteady) for i, f in enumerate(frames))
    return [clean_frame(*known) for known in with_neighbors(light_frames(worn))]


def test_flicker_goes_and_what_moves_stays():
    rng = np.random.default_rng(0)
    true = [lightness(i) for i in range(12)]
    gains, offsets = 1 + 0.08 * rng.normal(size=12), 5 * rng.normal(size=12)
    worn = [50 + g * (x - 50) + o for x, g, o in zip(true, gains, offsets, strict=True)]

    def flicker(frames):
        means = np.array([float((x - y).mean()) for x, y in zip(frames, true, strict=True)])
        return np.abs(np.diff(means)).mean()

    result = cleaned(worn)
    assert flicker(result) < 0.3 * flicker(worn)
    for x, y in zip(result, true, strict=True):
        details = torch.corrcoef(torch.stack((x.flatten(), y.flatten())))[0, 1]
        assert details > 0.98


def test_dust_and_scratches_go_and_a_flash_of_light_on_a_thing_stays():
    true = [lightness(i) for i in range(5)]
    worn = [x.clone() for x in true]
    worn[2][..., 30:34, 40:43] = 99  # dust
    worn[2][..., 60] = 1  # a scratch
    result = cleaned(worn)
    assert float((result[2] - true[2]).abs().amax()) < 20
    assert float((worn[2] - true[2]).abs().amax()) > 40
    lasting = [x.clone() for x in true]
    for x in lasting[2:]:
        x[..., 20:50, 30:70] = 95
    assert float((cleaned(lasting)[3] - lasting[3])[..., 22:48, 32:68].abs().mean()) < 2


def test_grain_becomes_less():
    rng = torch.Generator().manual_seed(0)
    true = [lightness(0)] * 6
    worn = [x + 3 * torch.randn(x.shape, generator=rng) for x in true]
    before = (worn[3] - true[3]).std()
    assert float((cleaned(worn)[3] - true[3]).std()) < 0.75 * float(before)


def test_nothing_is_carried_into_a_shot_and_what_is_not_steady_stays():
    frames = [lightness(0)] * 3 + [lightness(0, 2) - 15] * 3
    alone = cleaned(frames[3:])
    for x, y in zip(cleaned(frames, begins=(0, 3))[3:], alone, strict=True):
        assert torch.equal(x, y)
    faded = [a * lightness(0) for a in (0.2, 0.4, 0.6, 0.8, 1, 1)]
    result = cleaned(faded, unsteady=range(4))
    for x, y in zip(result[:4], faded[:4], strict=True):
        assert torch.equal(x, y)


@pytest.mark.slow
def test_light_that_changes_slowly_comes_through():
    frames = [lightness(0) * a for a in np.linspace(0.6, 1, 40)]
    drift = float(cleaned(frames)[-1].mean() - frames[0].mean())
    assert drift > 0.7 * float(frames[-1].mean() - frames[0].mean())


def test_no_frames_and_one_frame():
    assert cleaned([]) == []
    assert torch.equal(cleaned([lightness(0)])[0], lightness(0))


@pytest.mark.slow
def test_a_call_that_was_stopped_goes_on_with_the_same_result(tmp_path, monkeypatch):
    monkeypatch.setattr(coloring, "PART", 3)
    views = [shown(i, 1)[:48, :64] for i in range(7)] + [shown(i, 2)[:48, :64] for i in range(3)]
    make_film(tmp_path / "a.mkv", views)
    colorize(tmp_path / "a.mkv", tmp_path / "whole.mkv", clean=True)
    for stop in (4, 8):
        job = FilmJob(settings=FAST, clean=True)
        events = colorize_film(colorizer(), str(tmp_path / "a.mkv"), str(tmp_path / "b.mkv"), job)
        for event in events:
            if event.stage == "frames" and event.done >= stop:
                break
        events.close()
    assert colorize(tmp_path / "a.mkv", tmp_path / "b.mkv", clean=True).resumed == 6
    assert (tmp_path / "b.mkv").read_bytes() == (tmp_path / "whole.mkv").read_bytes()


@pytest.mark.slow
def test_the_gray_of_the_result_is_that_of_the_worn_film(tmp_path):
    rng = np.random.default_rng(1)
    views = [np.clip(0.2 + 0.6 * shown(i, 1)[:48, :64], 0, 1) for i in range(6)]
    worn = [np.clip(v * g, 0, 1) for v, g in zip(views, rng.uniform(0.8, 1.1, 6), strict=True)]
    planes = make_film(tmp_path / "a.mkv", worn)
    for clean in (True, False):
        target = tmp_path / f"{clean}.mkv"
        colorize(tmp_path / "a.mkv", target, lossless=True, clean=clean)
        for gray, plane in zip(grays(target), planes, strict=True):
            np.testing.assert_array_equal(gray, Luma(8, True).gray(plane))
        (page,) = json.loads(target.with_name(target.name + ".json").read_text())["pages"]
        assert page["clean"] is clean
    assert (tmp_path / "True.mkv").read_bytes() != (tmp_path / "False.mkv").read_bytes()
