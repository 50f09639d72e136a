import json

import av
import numpy as np
import pandas as pd
import pytest
import skimage.data
import torch
from typer.testing import CliRunner

from recolor_core.lab import rgb_to_lab
from recolor_core.trainer.clips import DISSOLVE, FADE, LEADER
from training.photographs import DataError
from training.smoke import write_photographs
from training.temporal_consistency import (
    FRAME_BY_FRAME,
    TRANSITIONS,
    app,
    made_clips,
    measure_film,
    read_film,
)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs") / "all"
    write_photographs(folder)
    return folder


def write_film(path, frames=9):
    image = skimage.data.astronaut()
    with av.open(path, "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 240, 232, "bgr0"
        for number in range(frames):
            view = image[100:332, 100 + 2 * number : 340 + 2 * number]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(view), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.slow
def test_motion_of_a_film_is_found(tmp_path):
    film = read_film(write_film(tmp_path / "pan.mkv"), 8)
    assert film.rgb.shape[0] == len(film.gray) == 8
    scale = film.rgb.shape[-1] / 240
    flow = film.flow.permute(1, 0, 2, 3)[:, film.visible]
    assert flow[0].median() == pytest.approx(2 * scale, abs=0.3)
    assert flow[1].median() == pytest.approx(0, abs=0.3)
    assert film.visible.float().mean() > 0.5


@pytest.mark.slow
def test_steady_true_colors_beat_flickering_ones():
    codes = torch.from_numpy(skimage.data.astronaut()[:256, :256]).permute(2, 0, 1)
    film = next(made_clips([codes, codes.flip(-1)], 8, 0))
    true = rgb_to_lab(film.rgb)[:, 1:]
    flicker = true + 8 * torch.randn(8, 2, 1, 1, generator=torch.Generator().manual_seed(0))
    good, bad = measure_film(film, true), measure_film(film, flicker)
    assert good["warped_error"] < bad["warped_error"]
    assert good["psnr"] > bad["psnr"]
    assert good["flicker"] < bad["flicker"]
    gray = measure_film(film, torch.zeros_like(true))
    assert gray["warped_error"] == 0  # the cheat: nothing flickers less than gray,
    assert gray["psnr"] < good["psnr"] - 3  # and PSNR tells


@pytest.mark.parametrize("content", [b"", b"no film"])
def test_what_is_no_film_is_refused(tmp_path, content):
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        read_film(path, 10)


def test_a_film_of_too_few_frames_is_refused(tmp_path):
    with pytest.raises(DataError, match="at least 8 frames, got 3"):
        read_film(write_film(tmp_path / "short.mkv", 3), 10)


def test_too_few_photographs_are_refused(photographs, tmp_path):
    result = CliRunner().invoke(app, [str(photographs), "--out", str(tmp_path), "--clips", "99"])
    assert isinstance(result.exception, DataError)
    assert "at least 100 photographs" in str(result.exception)


@pytest.mark.slow
def test_clips_with_transitions_change_from_nothing_or_to_another_image():
    photographs = list(
        (255 * torch.rand(5, 3, 8, 8)).byte().repeat_interleave(32, 2).repeat_interleave(32, 3)
    )
    plain = list(made_clips(photographs, 8, 0))
    edited = list(made_clips(photographs, 8, 0, tuple(TRANSITIONS)))
    assert len(edited) == len(plain) == 4
    assert [film.name for film in edited] == [*TRANSITIONS.values(), TRANSITIONS[FADE]]
    for one, other in zip(plain, edited, strict=True):
        assert not torch.equal(one.rgb, other.rgb)
        assert other.visible.float().mean() < 1
    for film in edited:
        dissolves = film.name == TRANSITIONS[DISSOLVE]
        assert bool(film.empty.any()) is not dissolves
        assert not (film.whole & film.empty).any()


@pytest.mark.slow
def test_chroma_is_that_of_whole_images_and_of_leader():
    codes = torch.from_numpy(skimage.data.astronaut()[:256, :256]).permute(2, 0, 1)
    film = next(made_clips([codes, codes.flip(-1)], 8, 0, (LEADER,)))
    ab = torch.zeros(8, 2, *film.rgb.shape[-2:])
    ab[film.whole, 0], ab[film.empty, 1] = 10, -3
    measured = measure_film(film, ab)
    assert measured["chroma"] == pytest.approx(10)
    assert measured["leader_chroma"] == pytest.approx(3)
    assert np.isnan(measure_film(next(made_clips([codes] * 2, 8, 0)), ab)["leader_chroma"])


@pytest.mark.slow
def test_the_whole_command(photographs, tmp_path):
    words = [str(photographs), "--out", str(tmp_path / "out"), "--clips", "1", "--frames", "8"]
    words += [
        "--transitions",
        "2",
        "--cuts",
        "3",
        "--film",
        str(write_film(tmp_path / "pan.mkv")),
        "--device",
        "cpu",
    ]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0
    report = json.loads(
        (tmp_path / "out" / "temporal_consistency.json").read_text(encoding="utf-8")
    )
    edited = [TRANSITIONS[FADE], TRANSITIONS[DISSOLVE]]
    assert list(report["sources"]) == ["pan.mkv", "made clips", *edited]
    for source, ways in report["over frame by frame"].items():
        assert ways[FRAME_BY_FRAME]["warped_error"][0] == 0
        assert ways["memory"]["warped_error"][0] < (0 if source in edited else -0.4)
        assert ("leader_chroma" in report["sources"][source]["memory"]) is (source == edited[0])
    assert report["cuts"]["found"] == report["cuts"]["cuts"] == 3
    assert report["cuts"]["carried"] == 0
    colors = pd.read_csv(tmp_path / "out" / "color_over_time.csv")
    assert set(colors.way) == set(report["sources"]["made clips"])
