"""Stacks in the panel: colors steady over time, frames shown as they come."""

from dataclasses import replace

import numpy as np
import pytest
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QLabel, QPushButton

from napari_recolor.runs.layers import KEY
from napari_recolor.runs.options import Options
from recolor_core import Colorizer, Hint, Reference, colorize_stack
from recolor_core.color_from import ColorSource
from recolor_core.models.memory import ColorMemory

pytestmark = pytest.mark.gui

AXES = ("t", "y", "x")


def change_memory(monkeypatch, colorizer, network):
    runner = colorizer.runner
    file = runner._file
    configs = {kind: config for kind, config in file.configs.items() if kind != "memory"}
    changed = replace(file, configs=configs | ({"memory": network.config} if network else {}))
    changed._read.update(file._read, memory=network)
    monkeypatch.setattr(runner, "_file", changed)


@pytest.fixture
def colorizer(engine, monkeypatch):
    """The networks, with a memory that keeps much of the color before."""
    memory = ColorMemory().eval().requires_grad_(False)
    memory.out.bias[0] = 0.7
    colorizer = engine.colorizer(Options())
    change_memory(monkeypatch, colorizer, memory)
    return colorizer


@pytest.fixture
def film(photo):
    """(4, 96, 116) uint8: a pan."""
    return np.stack([photo[:, 4 * i : 4 * i + 116] for i in range(4)])


def run(widget, finish):
    widget.findChild(QPushButton, "recolor.run").click()
    finish(widget)
    return {
        layer.metadata[KEY]["layer"]: layer
        for layer in widget.viewer.layers
        if KEY in layer.metadata
    }


def status(widget):
    return widget.findChild(QLabel, "recolor.status").text()


def open_stack(open_panel, stack, **arguments):
    widget = open_panel(stack, **arguments)
    widget.controls.scope.setCurrentText("whole stack")
    widget._requests.describe()
    return widget


@pytest.mark.parametrize("passes", [1, 2])
def test_a_stack_with_time_is_what_the_library_makes_of_it(
    open_panel, film, colorizer, finish, passes
):
    widget = open_stack(open_panel, film, axis_labels=AXES)
    assert "4 images, colors steady over T." in widget.controls.summary.text()
    widget.controls.passes.setValue(passes)
    rgb = run(widget, finish)["rgb"]
    expected = colorize_stack(film, colorizer=colorizer, size=64, passes=passes)
    np.testing.assert_array_equal(rgb.data, expected)
    assert rgb.visible
    about = rgb.metadata[KEY]
    assert about["steady"] == {"axis": 0, "name": "T", "passes": passes, "clean": False}
    assert [image["frames"]["first"] for image in about["images"]] == [True] + [False] * 3


def test_a_cleaned_copy_is_what_the_library_makes_of_it(
    open_panel, film, colorizer, finish, monkeypatch
):
    widget = open_stack(open_panel, film, axis_labels=AXES)
    widget.controls.clean.setChecked(True)
    rgb = run(widget, finish)["rgb"]
    expected = colorize_stack(film, colorizer=colorizer, size=64, clean=True)
    np.testing.assert_array_equal(rgb.data, expected)
    widget.viewer.layers.selection.active = rgb
    widget.findChild(QPushButton, "recolor.copy_python").click()
    program = QGuiApplication.clipboard().text()
    assert "clean=True" in program
    monkeypatch.setattr("recolor_core.stack.Colorizer", always(colorizer))
    scope = {"viewer": widget.viewer}
    exec(program, scope)
    np.testing.assert_array_equal(scope["rgb"], rgb.data)


def test_other_axes_stay_image_by_image_unless_asked(open_panel, film, colorizer, finish, direct):
    widget = open_stack(open_panel, film, axis_labels=("z", "y", "x"))
    assert "steady" not in widget.controls.summary.text()
    rgb = run(widget, finish)["rgb"]
    np.testing.assert_array_equal(rgb.data[3], direct(film[3]).rgb)
    assert rgb.metadata[KEY]["steady"] is None
    widget.controls.time.setCurrentIndex(1)
    widget._requests.describe()
    assert "steady over Z" in widget.controls.summary.text()
    widget.controls.steady.setChecked(False)
    widget._requests.describe()
    assert "steady" not in widget.controls.summary.text()


def test_weights_without_a_memory_color_image_by_image_and_say_so(
    open_panel, film, colorizer, finish, direct, monkeypatch
):
    change_memory(monkeypatch, colorizer, None)
    widget = open_stack(open_panel, film[:2], axis_labels=AXES)
    rgb = run(widget, finish)["rgb"]
    np.testing.assert_array_equal(rgb.data[1], direct(film[1]).rgb)
    assert "no color memory" in status(widget)


def test_unfinished_frames_show_the_source_and_cancel_keeps_what_is_done(
    open_panel, film, colorizer, finish, monkeypatch
):
    widget = open_stack(open_panel, film, axis_labels=AXES)
    widget.viewer.dims.set_current_step(0, 2)
    shown, take = [], widget._runner._on_event

    def watched(run, step):
        take(run, step)
        if getattr(step, "finished", None) is not None:
            shown.append(run.layers["rgb"].visible)
            if step.finished == (2,):
                widget._runner.cancel()

    monkeypatch.setattr(widget._runner, "_on_event", watched)
    rgb = run(widget, finish)["rgb"]
    assert shown[:3] == [False, False, True]
    assert rgb.visible
    expected = colorize_stack(film, colorizer=colorizer, size=64)
    np.testing.assert_array_equal(rgb.data[:3], expected[:3])
    assert status(widget).startswith(("Canceled; 3 of 4", "Done"))


def test_hints_belong_to_their_frame_and_are_carried_on(
    open_panel, film, colorizer, finish, qtbot, monkeypatch
):
    widget = open_stack(open_panel, film, axis_labels=AXES)
    plain = run(widget, finish)["rgb"].data.copy()
    widget.findChild(QPushButton, "recolor.hints").click()
    widget.viewer.dims.set_current_step(0, 1)
    points = widget._hints.current.layer
    points.current_face_color = "#ff0000"
    points.add([1, 40, 60])
    qtbot.waitUntil(lambda: "Colored with 1 hint" in status(widget), timeout=60_000)
    assert "Colorize again" in status(widget)
    live = widget._runner.last.layers["rgb"].data.copy()
    np.testing.assert_array_equal(live[[0, 2, 3]], plain[[0, 2, 3]])
    widget.viewer.layers.selection.active = None
    run(widget, finish)
    rgb = widget._runner.last.layers["rgb"]
    hints = {1: widget._hints.current.values((1,))}
    expected = colorize_stack(film, colorizer=colorizer, size=64, hints=hints)
    np.testing.assert_array_equal(rgb.data, expected)
    np.testing.assert_array_equal(rgb.data[1], live[1])  # what was shown at once
    assert (rgb.data[0] != plain[0]).any()  # hints hold backward
    assert (rgb.data[3] != plain[3]).any()

    widget.viewer.layers.selection.active = rgb
    widget.findChild(QPushButton, "recolor.copy_python").click()
    program = QGuiApplication.clipboard().text()
    monkeypatch.setattr("recolor_core.stack.Colorizer", always(colorizer))
    scope = {"viewer": widget.viewer}
    exec(program, scope)
    np.testing.assert_array_equal(scope["rgb"], rgb.data)
    widget.findChild(QPushButton, "recolor.copy_command").click()
    assert "Copy it as Python" in status(widget)


def always(colorizer):
    """Return a class whose objects are this colorizer, so that programs use small weights."""

    class Always(Colorizer):
        def __new__(cls, *_):
            return colorizer

    return Always


def choose(menu, text):
    menu.setCurrentIndex(menu.findText(text))
    menu.activated.emit(menu.currentIndex())


@pytest.mark.parametrize("kind", ["like", "one image", "a stack"])
def test_references_and_the_color_of_other_images_count_over_time(
    open_panel, film, colorizer, finish, qtbot, monkeypatch, kind
):
    colored = np.stack([film, film // 2, 255 - film], axis=-1)
    options = {
        "like": {"references": [Reference(colored[0], "colored")]},
        "one image": {"color_from": ColorSource(colored[0], "colored")},
        "a stack": {
            "color_from": {i: ColorSource(colored[i], "colored") for i in range(len(film))}
        },
    }[kind]
    widget = open_stack(open_panel, film, axis_labels=AXES)
    viewer = widget.viewer
    viewer.add_image(colored if kind == "a stack" else colored[0], name="colored", rgb=True)
    viewer.layers.selection.active = viewer.layers["photo"]
    controls = widget.controls
    choose(controls.like if kind == "like" else controls.color_from, "colored")
    rgb = run(widget, finish)["rgb"]
    expected = colorize_stack(film, colorizer=colorizer, size=64, **options)
    np.testing.assert_array_equal(rgb.data, expected)
    if kind == "like":
        assert controls.likes.text().startswith("colored: ")

    # A hint that comes and goes leaves the frame as it was.
    hint_layer = widget._hints.add()
    viewer.dims.set_current_step(0, 2)
    hint_layer.put([Hint(40, 40, "#ff0000", 6)])
    qtbot.waitUntil(lambda: "Colored with 1 hint" in status(widget), timeout=60_000)
    assert (rgb.data[2] != expected[2]).any()
    hint_layer.put([])
    qtbot.waitUntil(lambda: "Colored without hints" in status(widget), timeout=60_000)
    np.testing.assert_array_equal(rgb.data, expected)

    viewer.layers.selection.active = rgb
    controls.copy_python.click()
    monkeypatch.setattr("recolor_core.stack.Colorizer", always(colorizer))
    scope = {"viewer": viewer}
    exec(QGuiApplication.clipboard().text(), scope)
    np.testing.assert_array_equal(scope["rgb"], expected)


def test_what_cannot_be_over_time_says_why(open_panel, film, colorizer, finish):
    widget = open_stack(open_panel, film[:2], axis_labels=AXES)
    run(widget, finish)
    widget.controls.strip.title.click()
    assert "Alternatives are for single images" in status(widget)
    stack = widget._source.layer
    widget.viewer.add_image(np.stack([film[0]] * 3, axis=-1), name="colored", rgb=True)
    widget._source.choose(stack)
    choose(widget.controls.like, "colored")
    assert "takes references when it is colorized again" in status(widget)
    choose(widget.controls.color_from, "colored")
    assert "put the color of that image on the gray" in status(widget)
    choose(widget.controls.color_from, "the networks")
    assert "let the networks choose" in status(widget)


def test_hints_of_a_stack_say_nothing_of_references(open_panel, film, finish, qtbot):
    widget = open_stack(open_panel, film[:2], axis_labels=AXES)
    run(widget, finish)
    widget.viewer.dims.set_current_step(0, 0)
    widget._history.note()
    hint_layer = widget._hints.add()
    said = []
    widget._following.said.connect(said.append)
    for change in (
        lambda: hint_layer.layer.add([0, 40, 60]),
        lambda: hint_layer.marks.draw().add(np.array([[0, 9, 9], [0, 60, 60]]), shape_type="line"),
        widget.controls.undo.click,
        widget.controls.redo.click,
    ):
        widget.controls.status.clear()
        change()
        qtbot.waitUntil(lambda: status(widget).startswith("Colored with"), timeout=60_000)
        qtbot.waitUntil(lambda: not widget._live.busy)
        widget._history.note()
        assert "references" not in status(widget)
    assert said == []
    assert "carry hints on through the shot" in status(widget)
