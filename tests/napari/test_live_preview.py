"""Coloring anew: the newest request wins, and what comes is what the core makes."""

import threading

import numpy as np
import pytest

from napari_recolor.live_preview import LivePreview
from recolor_core import Colorizer, Hint, Settings
from recolor_core.gray import read_gray
from recolor_core.palette import palette_of_colors

GREENS = palette_of_colors(["#305020", "#809060"])
RED = (60.0, 40.0, "#c03020", 20.0)


@pytest.fixture(scope="module")
def colorizer():
    return Colorizer(device="cpu")


@pytest.fixture(scope="module")
def coarse(colorizer):
    y, x = np.mgrid[:96, :128]
    image = (127 + 60 * np.sin(x / 9) + 50 * np.cos(y / 14)).astype(np.uint8)
    return colorizer.generate(read_gray(image), size=64)


class Gate:
    """A Colorizer whose `refine` waits until it is let through, and remembers what was asked."""

    def __init__(self, colorizer):
        self.colorizer = colorizer
        self.asked = []
        self.open = threading.Event()

    def refine(self, coarse, settings, hints, palette):
        self.asked.append((settings.vividness, list(hints), palette))
        assert self.open.wait(20)
        return self.colorizer.refine(coarse, settings, hints, palette)


def test_comes_out_as_from_the_core(qtbot, colorizer, coarse):
    recoloring = LivePreview(colorizer, coarse, Settings())
    with qtbot.waitSignal(recoloring.recolored, timeout=20000) as signal:
        recoloring.request(Settings(vividness=0.9), [RED], GREENS)
    (result,) = signal.args
    expected = colorizer.refine(coarse, Settings(vividness=0.9), [Hint(*RED)], GREENS)
    np.testing.assert_array_equal(vars(result)["rgb"], expected.rgb)  # there, not yet to be made
    assert result.provenance == expected.provenance
    qtbot.waitUntil(lambda: not recoloring.busy)


def test_the_newest_request_wins(qtbot, colorizer, coarse):
    gate = Gate(colorizer)
    recoloring = LivePreview(gate, coarse, Settings())
    came, busy = [], []
    recoloring.recolored.connect(lambda result: came.append(result.provenance["settings"]))
    recoloring.busy_changed.connect(busy.append)
    recoloring.request(Settings(vividness=0.1))
    qtbot.waitUntil(lambda: len(gate.asked) == 1)
    for vividness in (0.2, 0.3, 0.4):
        recoloring.request(Settings(vividness=vividness))
    gate.open.set()
    qtbot.waitUntil(lambda: not recoloring.busy, timeout=20000)
    assert [vividness for vividness, *_ in gate.asked] == [0.1, 0.4]
    assert [settings["vividness"] for settings in came] == [0.4]
    assert busy == [True, False]


def test_what_is_not_changed_stays_as_it_was(qtbot, colorizer, coarse):
    gate = Gate(colorizer)
    gate.open.set()
    recoloring = LivePreview(gate, coarse, Settings(vividness=0.1))
    steps = (
        {"hints": [RED]},
        {"settings": Settings(vividness=0.7)},
        {"palette": GREENS},
        {"hints": []},
        {"palette": None},
    )
    for change in steps:
        with qtbot.waitSignal(recoloring.recolored, timeout=20000):
            recoloring.request(**change)
        qtbot.waitUntil(lambda: not recoloring.busy)
    assert gate.asked == [
        (0.1, [Hint(*RED)], None),
        (0.7, [Hint(*RED)], None),
        (0.7, [Hint(*RED)], GREENS),
        (0.7, [], GREENS),
        (0.7, [], None),
    ]


@pytest.mark.parametrize("error", [RuntimeError, ValueError])
def test_errors_are_told_and_the_next_request_works(qtbot, colorizer, coarse, error):
    class Broken:
        def refine(self, *_):
            raise error("broken")

    recoloring = LivePreview(Broken(), coarse, Settings())
    with qtbot.waitSignal(recoloring.failed, timeout=20000) as signal:
        recoloring.request()
    assert isinstance(signal.args[0], error)
    qtbot.waitUntil(lambda: not recoloring.busy)
    recoloring._colorizer = colorizer
    with qtbot.waitSignal(recoloring.recolored, timeout=20000):
        recoloring.request()
    qtbot.waitUntil(lambda: not recoloring.busy)


def test_nothing_is_emitted_after_it_was_closed(qtbot, colorizer, coarse):
    gate = Gate(colorizer)
    recoloring = LivePreview(gate, coarse, Settings())
    came = []
    recoloring.recolored.connect(came.append)
    recoloring.request()
    qtbot.waitUntil(lambda: len(gate.asked) == 1)
    recoloring.request()
    recoloring.close()
    gate.open.set()
    qtbot.waitUntil(lambda: not recoloring.busy, timeout=20000)
    assert came == []
    assert len(gate.asked) == 1
