"""Whether a hint colors the thing it is on: the measure."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from recolor_core.hints import Hint
from training import directed, evaluate
from training.command import run_command
from training.photographs import DataError

from .chain import small_weights


def test_innermost_is_as_far_as_can_be_from_all_edges():
    inside = np.zeros((20, 30), bool)
    inside[:11, 4:25] = True
    row, column = directed.innermost(inside)
    assert row == 5  # 5 from the edge of the image and from that of the thing
    assert 4 + 5 <= column <= 24 - 5


@pytest.mark.parametrize("ab", [(10.0, 5.0), (-3.0, 20.0), (0.5, -30.0)])
def test_the_color_of_the_hint_has_another_hue_and_the_chroma_asked_for(ab):
    a, b = Hint(0, 0, directed.turned(np.array(ab))).ab
    assert np.hypot(a, b) == pytest.approx(directed.CHROMA, abs=1.5)
    turn = np.arctan2(b, a) - np.arctan2(ab[1], ab[0])
    assert turn % (2 * np.pi) == pytest.approx(directed.TURN, abs=0.05)


@pytest.fixture
def outlined(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.zeros((60, 80), np.uint8)
    labels[10:30, 20:50] = 7
    rgb = rng.integers(60, 90, (60, 80, 3), np.uint8)
    rgb[labels == 7] += 100
    Image.fromarray(rgb).save(tmp_path / "one.jpg")
    Image.fromarray(labels).save(tmp_path / "one.png")
    Image.fromarray(rgb).save(tmp_path / "without.jpg")
    return tmp_path


def test_photographs_are_read_with_their_outlines(outlined):
    (one,) = directed.read_outlined(outlined)
    assert one.name == "one"
    assert one.rgb.shape == (60, 80, 3)
    assert set(np.unique(one.people[0])) == {0, 7}


def test_a_folder_without_outlines_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"expected photographs NAME.jpg with outlines NAME.png"):
        list(directed.read_outlined(tmp_path))


@pytest.mark.slow
def test_a_perfect_hint_reaches_all_and_spills_nothing(outlined, tmp_path, monkeypatch):
    path = small_weights(tmp_path / "small.safetensors")
    colorizer = directed.Colorizer(path, "cpu")
    (one,) = directed.read_outlined(outlined)
    inside = one.people[0] == 7
    base = np.zeros((2, 60, 80), np.float32) + 5

    def perfect(colorizer, coarse, settings, hints):
        given = np.array(hints[0].ab)[:, None, None] if hints else base
        return np.where(inside & bool(hints), given, base)

    monkeypatch.setattr(directed, "_ab", perfect)
    (row,) = directed.measure(colorizer, one, directed.Settings(), 4, 0)
    assert (row.label, row.share) == (7, 600 / 4800)
    assert (row.reached, row.spilled) == pytest.approx((1, 0), abs=1e-6)
    monkeypatch.undo()
    (row,) = directed.measure(colorizer, one, directed.Settings(), 4, 0)
    assert row.reached > row.spilled


def test_evaluate_measures_directing(outlined, tmp_path, monkeypatch, capsys):
    def measured(colorizer, one, settings, most, agreement):
        assert (settings.saturation, most, agreement) == (0.5, 2, 0.3)
        return [directed.Row(one.name, 7, 0.1, 1.0, 0.8, 0.02, 0.9, 0.01)]

    monkeypatch.setattr(directed, "measure", measured)
    out = tmp_path / "out"
    words = ["evaluate", "--directed", str(outlined), "--out", str(out), "--device", "cpu"]
    more = ["--saturation", "0.5", "--regions", "2", "--agreement", "0.3"]
    monkeypatch.setattr("sys.argv", [*words, *more])
    with pytest.raises(SystemExit) as end:
        run_command(evaluate.app)
    assert not end.value.code
    said = capsys.readouterr().out
    assert "1 regions of 1 images" in said
    assert "0.800" in said
    assert pd.read_csv(out / "directed.csv").reached.tolist() == [0.8]
    assert [path.name for path in out.iterdir()] == ["directed.csv"]
