"""The five steps of docs/directing.md in the real window, each as the library makes it."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from napari_recolor.files.samples import migrant_mother
from recolor_core.hints import read_hints

pytestmark = [pytest.mark.gui, pytest.mark.slow]

ROOT = Path(__file__).parents[2]


def choose(menu, data):
    menu.setCurrentIndex(menu.findData(data))
    menu.activated.emit(menu.currentIndex())


def yx(points):
    return np.array([(y, x) for x, y in points], float)


def test_the_five_steps(open_panel, qtbot, direct):
    tool = runpy.run_path(str(ROOT / "tools" / "directing.py"))
    green, steps = tool["GREEN"], tool["STEPS"]
    ((image, options, _),) = migrant_mother()
    panel = open_panel()
    panel.viewer.add_image(image, **options)
    controls, seen = panel.controls, []

    def step(number):
        """Wait until the image has followed, and compare it with that of the library."""
        qtbot.wait(150)  # changes are told when they have come to rest
        qtbot.waitUntil(
            lambda: panel._queue.job is None and not panel._live.busy and not panel.busy,
            timeout=120_000,
        )
        panel._history.note()
        hint_layer = panel._hints.current
        marks = hint_layer.values() if hint_layer else []
        assert set(marks) == set(steps[number - 1])
        rgb = panel._runner.last.layers["rgb"].data
        np.testing.assert_array_equal(rgb, direct(image, hints=marks).rgb)
        seen.append(rgb.copy())

    controls.run.click()
    step(1)

    controls.hints.click()
    panel._history.note()
    hint_layer = panel._hints.current
    points = hint_layer.layer
    hint_layer.styles.color = green
    points.current_size = 24
    points.add([480, 420])
    step(2)

    choose(controls.kind, "keep")
    for mark in steps[2]:
        if hasattr(mark, "x") and mark.kind == "keep":
            points.add([mark.y, mark.x])
    controls.draw.click()
    qtbot.waitUntil(lambda: hint_layer.marks.target is hint_layer.shapes, timeout=60_000)
    shapes = hint_layer.shapes
    choose(controls.kind, "keep")
    for mark in steps[2]:
        if hasattr(mark, "points"):
            shapes.add(yx(mark.points), shape_type="path", edge_width=2 * mark.radius)
    shapes.selected_data = set()
    step(3)

    choose(controls.kind, "color")
    hint_layer.styles.color = green
    (sleeve,) = set(steps[3]) - set(steps[2])
    shapes.add(yx(sleeve.points), shape_type="polygon")
    step(4)

    for region in steps[4]:
        if region != sleeve:
            shapes.add(yx(region.points), shape_type="polygon")
    shapes.selected_data = {i for i, kind in enumerate(shapes.shape_type) if kind == "path"}
    shapes.remove_selected()
    points.selected_data = set(range(len(points.data)))
    points.remove_selected()
    step(5)
    assert set(hint_layer.values()) == set(read_hints(ROOT / "docs" / "directing" / "hints.json"))

    for number in (4, 3, 2):
        controls.undo.click()
        qtbot.waitUntil(
            lambda number=number: np.array_equal(
                panel._runner.last.layers["rgb"].data, seen[number - 1]
            ),
            timeout=60_000,
        )
