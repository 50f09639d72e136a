"""The likeliest colors of a distribution: modes, their probabilities, and their lightness."""

import numpy as np
import pytest

from recolor_core import rgb_to_lab
from recolor_core.likely import likely_colors


def lab_of(color):
    return rgb_to_lab(np.array(list(bytes.fromhex(color[1:]))) / 255).tolist()


@pytest.fixture
def bins():
    return np.mgrid[-60:61:10, -60:61:10].reshape(2, -1).T.astype(np.float32)


def distribution(bins, *modes):
    """A mixture of narrow bumps at (a, b), each with its probability."""
    total = np.zeros(len(bins), np.float32)
    for a, b, share in modes:
        bump = np.exp(-((bins - np.array([a, b], np.float32)) ** 2).sum(axis=1) / 50)
        total += share * bump / bump.sum()
    return total / total.sum()


def test_finds_the_modes_with_the_likeliest_first(bins):
    told = likely_colors(distribution(bins, (30.0, 20.0, 0.3), (-20.0, -20.0, 0.7)), bins, 60, 2)
    first, second = (lab_of(one.color) for one in told)
    assert first[1:] == pytest.approx([-20, -20], abs=2)
    assert second[1:] == pytest.approx([30, 20], abs=2)
    assert told[0].probability == pytest.approx(0.7, abs=0.07)
    assert first[0] == pytest.approx(60, abs=1)


def test_probabilities_add_up_and_decrease(bins):
    told = likely_colors(np.full(len(bins), 1 / len(bins), np.float32), bins, 50, count=1000)
    shares = [one.probability for one in told]
    assert sum(shares) == pytest.approx(1)
    assert shares == sorted(shares, reverse=True)


def test_chroma_is_a_factor(bins):
    (color,) = likely_colors(distribution(bins, (20.0, 10.0, 1.0)), bins, 60, 1, chroma=0.5)
    assert lab_of(color.color)[1:] == pytest.approx([10, 5], abs=1.5)


def test_a_certain_color_is_the_only_one(bins):
    sure = np.zeros(len(bins), np.float32)
    sure[5] = 1
    assert [one.probability for one in likely_colors(sure, bins, 50)] == [1]
