"""Quantized networks against those in float32."""

import json

import pytest

from recolor_core.errors import RecolorError
from training import compare_runtimes

from .chain import smooth_images

pytestmark = pytest.mark.slow


@pytest.fixture
def photographs(tmp_path):
    return smooth_images(tmp_path / "photographs", 384, 272)


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
