"""Pixels of labels: the same whether they are found at once or in a thread."""

import threading

import numpy as np
import pytest
from napari.components import ViewerModel
from superqt.utils import WorkerBase

from napari_recolor.hints import label_pixels
from napari_recolor.hints.hint_layer import HintLayer

SHAPE = (40, 60)


@pytest.fixture
def hints(qapp):
    viewer = ViewerModel()
    layer = HintLayer(viewer, viewer.add_image(np.zeros(SHAPE, np.uint8)))
    layer.labels = viewer.add_labels(np.zeros(SHAPE, np.uint8))
    yield layer
    layer.close()
    WorkerBase.await_workers(10_000)


@pytest.fixture
def threads(monkeypatch):
    """Everything is large; the threads in which pixels are found."""
    found, find = [], label_pixels._find

    def noted(*arguments):
        found.append(threading.get_ident())
        return find(*arguments)

    monkeypatch.setattr(label_pixels, "SMALL", 0)
    monkeypatch.setattr(label_pixels, "_find", noted)
    return found


def test_what_is_painted_on_a_large_image_is_found_in_a_thread(hints, threads, qtbot):
    with qtbot.waitSignal(hints_changed(hints)):
        hints.labels.paint((20, 30), 1)
    first = hints.values()
    (mask,) = first
    np.testing.assert_array_equal(mask.pixels, np.asarray(hints.labels.data) == 1)
    assert threads
    assert threading.get_ident() not in threads
    count = len(threads)
    assert hints.values() == first
    assert len(threads) == count  # remembered


def test_what_is_painted_meanwhile_is_found_too(hints, threads, qtbot, monkeypatch):
    opened, find = threading.Event(), label_pixels._find

    def patient(*arguments):
        result = find(*arguments)
        opened.wait(10)
        return result

    monkeypatch.setattr(label_pixels, "_find", patient)
    hints.labels.paint((20, 30), 1)
    qtbot.waitUntil(lambda: bool(threads), timeout=60_000)
    hints.labels.paint((10, 10), 2)
    opened.set()
    qtbot.waitUntil(lambda: len(hints._told[1]) == 2, timeout=60_000)
    assert threading.get_ident() not in threads


def test_changes_in_place_are_seen(hints):
    assert hints.values() == []
    hints.labels.data[5:9, 5:9] = 3
    hints.labels.refresh()
    (mask,) = hints.values()
    assert mask.pixels.sum() == 16


def test_nothing_is_told_after_the_end(hints, threads, qtbot):
    told = []
    hints.changed.connect(lambda: told.append(1))
    hints.labels.paint((20, 30), 1)
    qtbot.waitUntil(lambda: bool(threads), timeout=60_000)
    hints.close()
    qtbot.wait(100)
    assert not told


def hints_changed(hints):
    """`changed` as a signal of Qt, for pytest-qt."""
    from qtpy.QtCore import QObject, Signal

    class Relay(QObject):
        changed = Signal()

    hints.relay = Relay()
    hints.changed.connect(lambda: hints.relay.changed.emit())
    return hints.relay.changed
