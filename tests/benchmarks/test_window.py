"""How long the window does not answer, step by step: ``make bench ARGS="-k window -s"``.

For each step the longest gap between two turns of the event loop, and the largest part of the GUI
thread's own CPU time in such a gap: what other programs and threads take is not in the second.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import napari.settings
import numpy as np
import pytest
from napari.layers import Labels, Points
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QAbstractButton, QApplication, QLabel

from napari_recolor.views.gl_context import REST_MS

SIZES = {"2 megapixels": (1200, 1700), "24 megapixels": (4000, 6000)}


class Watch:
    """Notes the longest gap of the event loop, in milliseconds, and the GUI thread's CPU in one."""

    def __init__(self) -> None:
        self.gap = self.cpu = 0.0
        self._last = (time.perf_counter(), time.thread_time())
        self._timer = QTimer()
        self._timer.timeout.connect(self._turn)
        self._timer.start(0)

    def _turn(self) -> None:
        now = (time.perf_counter(), time.thread_time())
        self.gap = max(self.gap, 1000 * (now[0] - self._last[0]))
        self.cpu = max(self.cpu, 1000 * (now[1] - self._last[1]))
        self._last = now

    def stop(self) -> None:
        self._turn()
        self._timer.stop()


@pytest.fixture(autouse=True)
def preferences_of_this_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(napari.settings, "_CFG_PATH", str(tmp_path / "settings.yaml"))
    napari.settings._clear_plugin_settings_cache()
    yield
    napari.settings._clear_plugin_settings_cache()


@pytest.mark.parametrize("size", SIZES)
def test_window(
    size: str, make_napari_viewer: Any, qtbot: Any, benchmark: Any, capsys: Any
) -> None:
    """Open, run, hint, inspect, and tell what each of them costs."""
    if not size.startswith(os.environ.get("RECOLOR_BENCH_SIZE", "")):
        pytest.skip("another size is asked for by RECOLOR_BENCH_SIZE")
    y, x = np.mgrid[: SIZES[size][0], : SIZES[size][1]]
    image = (127 + 60 * np.sin(x / 90) + 50 * np.cos(y / 140)).astype(np.uint8)
    del y, x
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1366, 768)
    viewer.add_image(image, name="photo")
    qtbot.wait(500)
    found: dict[str, tuple[float, float, float]] = {}
    panel: Any = None

    @contextmanager
    def step(name: str) -> Iterator[None]:
        watch, start = Watch(), time.perf_counter()
        yield
        qtbot.wait(300)
        watch.stop()
        found[name] = (time.perf_counter() - start - 0.3, watch.gap, watch.cpu)

    def button(name: str) -> QAbstractButton:
        return panel.findChild(QAbstractButton, f"recolor.{name}")

    def wait(condition: Callable[[], bool]) -> None:
        qtbot.waitUntil(condition, timeout=300_000)

    def says(start: str) -> Callable[[], bool]:
        return lambda: panel.findChild(QLabel, "recolor.status").text().startswith(start)

    def measure() -> None:
        nonlocal panel
        with step("open"):
            _, panel = viewer.window.add_plugin_dock_widget("napari-recolor", "Colorize")
            wait(lambda: panel.complete)
            qtbot.wait(3000)
        for name in ("first run", "second run"):
            with step(name):
                button("run").click()
                wait(says("Done"))
                wait(button("run").isEnabled)
        for name in ("undo", "redo"):
            with step(f"{name} the run"):
                button(name).click()
        with step("vividness"):
            panel.controls.vividness.setValue(0.4)
            wait(says("Colored"))
        with step("add hints"):
            button("hints").click()
        points = next(layer for layer in viewer.layers if isinstance(layer, Points))
        for number, name in enumerate(("first hint", "second hint"), 1):
            with step(name):
                points.add([200 * number, 300])
                wait(says(f"Colored with {number} hint"))
        with step("choose a color"):
            button("color").click()
        qtbot.keyClick(QApplication.activePopupWidget() or panel, Qt.Key.Key_Escape)
        for page in ("inspect", "maps"):
            for name, on in (
                ("on", True),
                ("off", False),
                ("on again", True),
                ("off again", False),
            ):
                with step(f"{page} {name}"):
                    button(page).click()
                    wait(lambda on=on: panel._inspector.complete == on)

        for name in ("wipe on", "wipe off", "wipe on again", "wipe off again"):
            with step(name):
                button("wipe").click()
        with step("paint a mask"):
            button("paint").click()
            wait(lambda: str(getattr(viewer.layers.selection.active, "mode", "")) == "paint")
        labels = next(layer for layer in viewer.layers if isinstance(layer, Labels))
        with step("a label"):
            labels.data_setitem((np.arange(100, 140), np.arange(100, 140)), 1)
            qtbot.wait(1500)
        with step("remove the result"):
            viewer.layers.remove(panel._runner.last.layers["rgb"])
            qtbot.wait(500)
        with step("garbage, at rest"):
            qtbot.wait(2 * REST_MS)
        viewer.layers.clear()
        stack = viewer.add_image(np.stack([image, image[::-1]]), name="stack")
        qtbot.wait(2 * REST_MS)
        viewer.layers.selection.active = stack
        wait(button("run").isEnabled)
        button("run").click()
        wait(says("Done"))
        wait(button("run").isEnabled)
        with step("another frame"):
            viewer.dims.set_point(0, 1 - viewer.dims.point[0])

    benchmark.pedantic(measure, rounds=1)
    benchmark.extra_info.update(found)
    with capsys.disabled():
        print(f"\n{size:16}   seconds   longest gap   GUI thread's CPU in one gap")
        for name, (seconds, gap, cpu) in found.items():
            print(f"{name:16} {seconds:9.2f} {gap:10.0f} ms {cpu:10.0f} ms")
