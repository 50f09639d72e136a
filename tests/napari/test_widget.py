"""The panel as a whole, in the real window."""

import subprocess
import sys

import numpy as np
import pytest
from napari.layers import Image
from napari.utils.progress import progress
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QComboBox, QPushButton, QWidget
from superqt.utils import WorkerBase

from napari_recolor.runs.layers import KEY

from .windows import button, results, run, text

pytestmark = pytest.mark.gui


def test_is_found_by_its_names(panel):
    for name in ("layer", "run", "cancel", "inspect", "status", "vividness"):
        assert panel.findChild(QWidget, f"recolor.{name}") is not None, name
    named = [w for w in panel.findChildren(QWidget) if w.objectName().startswith("recolor.")]
    assert len({w.objectName() for w in named}) == len(named)


def test_opens_in_turns_and_shows_only_what_works(make_napari_viewer, photo, qtbot):
    viewer = make_napari_viewer(show=True)
    viewer.add_image(photo)
    _, widget = viewer.window.add_plugin_dock_widget("napari-recolor", "Colorize")
    seen, turns = [], []

    def turn():
        turns.append(widget.complete)
        shown = [one for one in widget.findChildren(QPushButton) if one.isVisible()]
        seen.extend(one.objectName() for one in shown if not widget.complete)

    timer = QTimer()
    timer.timeout.connect(turn)
    timer.start(0)
    with qtbot.waitSignal(widget.completed, timeout=60_000):
        pass
    timer.stop()
    assert turns.count(False) >= 10
    assert seen == []
    assert button(widget, "run").isVisible()
    assert button(widget, "run").isEnabled()
    assert text(widget, "status") == "Ready."
    assert widget.minimumWidth() > 200


@pytest.mark.parametrize("milliseconds", [0, 1, 30, 100])
def test_may_be_closed_while_it_opens(make_napari_viewer, photo, qtbot, milliseconds):
    viewer = make_napari_viewer()
    viewer.add_image(photo)
    keys = dict(viewer.keymap)
    _, widget = viewer.window.add_plugin_dock_widget("napari-recolor", "Colorize")
    qtbot.wait(milliseconds)
    viewer.window.remove_dock_widget(widget)
    built = widget.complete
    qtbot.wait(200)
    assert widget.complete == built  # nothing more is built
    assert {key for key, slot in viewer.keymap.items() if slot is not None} == set(keys)
    viewer.add_image(photo)  # nobody listens who is gone
    viewer.layers.clear()


@pytest.mark.slow
def test_opening_loads_nothing_heavy():
    result = subprocess.run([sys.executable, "-W", "ignore", "-c", OPEN], capture_output=True)
    assert result.returncode == 0, result.stderr.decode()


OPEN = """
import sys
from napari import Viewer
from qtpy.QtWidgets import QApplication

viewer = Viewer(show=False)
before = set(sys.modules)
_, panel = viewer.window.add_plugin_dock_widget("napari-recolor", "Colorize")
while not panel.complete:
    QApplication.processEvents()
loaded = {"torch", "onnxruntime", "pandas", "skimage.color"} & (set(sys.modules) - before)
viewer.close()
sys.exit(", ".join(sorted(loaded)) or 0)
"""


def test_every_control_tells_what_it_is_for(panel):
    for kind in (QComboBox, QPushButton):
        for control in panel.findChildren(kind):
            assert control.toolTip(), control.objectName()


def test_fits_a_small_screen(panel):
    # 1366 x 768, less the menu bar, the title of the dock and the status bar.
    needed = panel.controls.sizeHint()
    assert needed.height() < 660
    assert panel.minimumWidth() < 400
    panel.controls.advanced.title.click()
    panel.controls.more_hints.title.click()
    assert panel.controls.minimumSizeHint().width() <= panel.minimumWidth()
    assert panel.sizeHint().height() < 660  # it scrolls


def test_the_panel_may_be_closed_while_it_works(open_panel, photo, qtbot):
    widget = open_panel(np.stack([photo] * 50))
    widget.controls.scope.setCurrentText("whole stack")
    button(widget, "run").click()
    qtbot.waitUntil(lambda: bool(results(widget)), timeout=120_000)
    viewer = widget.viewer
    one = widget._queue._worker
    viewer.window.remove_dock_widget(widget)
    qtbot.waitUntil(lambda: not one.is_running, timeout=60_000)
    QApplication.processEvents()
    assert one.abort_requested
    assert not progress._all_instances
    viewer.dims.set_current_step(0, 3)  # nobody listens who is gone
    viewer.add_image(photo)


@pytest.mark.slow
def test_the_viewer_may_be_closed_while_it_works(open_panel, photo, qtbot):
    widget = open_panel(np.stack([photo] * 50))
    widget.controls.scope.setCurrentText("whole stack")
    button(widget, "run").click()
    one = widget._queue._worker
    qtbot.waitUntil(lambda: one.is_running, timeout=60_000)
    widget.viewer.close()
    qtbot.waitUntil(lambda: not one.is_running, timeout=60_000)
    assert one.abort_requested


@pytest.mark.slow
def test_runs_leave_nothing_behind(panel, photo, finish):
    import gc
    import weakref

    finished = []
    for _ in range(5):
        layers = run(panel, finish)
        finished.append(weakref.ref(panel._runner.last))
        for layer in layers.values():
            panel.viewer.layers.remove(layer)
        del layers
    del layer
    QApplication.processEvents()
    panel.viewer.add_image(photo)  # napari itself holds on to the layer removed last
    gc.collect()
    assert sum(one() is not None for one in finished) <= 1
    assert not WorkerBase._worker_set
    assert not progress._all_instances
    images = [o for o in gc.get_objects() if type(o) is Image and KEY in o.metadata]
    assert len(images) <= 1
