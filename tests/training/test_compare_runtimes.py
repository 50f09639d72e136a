"""Quantized networks against those in float32."""

import json

import numpy as np
import pytest
from PIL import Image

from recolor_core.errors import RecolorError
from training import compare_runtimes

pytestmark = pytest.mark.slow


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    random = np.random.default_rng(0)
    for index in range(3):
        coarse = Image.fromarray(random.integers(0, 256, (5, 7, 3), np.uint8))
        coarse.resize((384, 272), Image.Resampling.BICUBIC).save(folder / f"{index}.png")
    return folder


def test_the_report_compares_pairs(photographs, tmp_path, monkeypatch):
    monkeypatch.setattr(compare_runtimes, "LIMITS", {"squared_error": 2.0, "psnr": -3.0})
    out = tmp_path / "report.json"
    compare_runtimes.main([photographs], out, hints=2, clips=1, frames=5)
    report = json.loads(out.read_text())
    assert report["images"] == 3
    assert {"coarse", "refined", "refined-hints-2"} <= set(report["photographs"])
    for measures in report["photographs"].values():
        assert 0.5 < measures["squared_error"][0] < 2
        assert 0 < measures["apart"][0] < 2  # they differ, but not by much
        low, high = measures["psnr"][1:]
        assert low <= measures["psnr"][0] <= high
    assert 0.5 < report["film"]["warped_error"][0] < 2
    monkeypatch.setattr(compare_runtimes, "LIMITS", {"squared_error": 0.1, "psnr": 3.0})
    with pytest.raises(RecolorError, match="keep more layers in float32"):
        compare_runtimes.main([photographs], out, hints=0, clips=0)
