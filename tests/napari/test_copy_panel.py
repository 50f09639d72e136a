"""A copied command or program gives the same pixels."""

import numpy as np
import pytest
import tifffile
from qtpy.QtGui import QGuiApplication

from recolor_core import Hint, Mask, Region, Stroke
from tests.core.cli_runner import recolor

from .windows import button, run, text

pytestmark = pytest.mark.gui


@pytest.mark.parametrize(
    "kind",
    [
        "file",
        *(
            pytest.param(kind, marks=pytest.mark.slow)
            for kind in (
                *("stack", "levels", "region", "viewer", "hints", "marks", "palette", "runtime"),
            )
        ),
    ],
)
def test_copied_python_gives_the_same_pixels(open_panel, photo, finish, tmp_path, kind, qtbot):
    data = {
        "stack": np.stack([photo, photo[::-1]]),
        "levels": (photo.astype(np.float32) - 50) * 3,
    }.get(kind, photo)
    widget = open_panel()
    viewer = widget.viewer
    if kind == "viewer":
        viewer.add_image(data, name="photo")
    else:
        tifffile.imwrite(tmp_path / "photo.tif", data, photometric="minisblack")
        viewer.open(tmp_path / "photo.tif", plugin="napari")
    widget.controls.scope.setCurrentText({"stack": "whole stack"}.get(kind, "current slice"))
    if kind == "region":
        viewer.canvas.size = (60, 60)
        viewer.scene.camera.zoom = 1
        widget.controls.scope.setCurrentText("visible region")
    if kind == "hints":
        button(widget, "hints").click()
        widget._hints.current.layer.add([40, 60])
    if kind == "marks":
        button(widget, "hints").click()
        widget._hints.current.put(every_kind(photo.shape))
    if kind == "palette":
        widget.controls.palette.setText("#803020, #203080")
    if kind == "runtime":
        widget.controls.runtime.setCurrentText("PyTorch")
    qtbot.waitUntil(button(widget, "run").isEnabled)
    rgb = run(widget, finish)["rgb"]
    button(widget, "copy_python").click()
    qtbot.waitUntil(lambda: text(widget, "status").startswith("Copied"))
    program = QGuiApplication.clipboard().text()
    assert ("hints=[Hint(" in program) == (kind == "hints")
    assert ("read_hints(" in program) == (kind == "marks")
    assert ("levels=(" in program) == (kind == "levels")
    assert ("runtime='torch'" in program) == (kind == "runtime")
    scope = {"viewer": viewer}
    exec(program, scope)
    np.testing.assert_array_equal(np.array(scope["rgb"]), rgb.data)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["file", "stack", "levels", "hints", "marks", "palette", "runtime"]
)
def test_copied_command_writes_the_same_image(open_panel, photo, finish, tmp_path, kind, qtbot):
    import shlex

    data = {
        "stack": np.stack([photo, photo[::-1]]),
        "levels": (photo.astype(np.float32) - 50) * 3,
    }.get(kind, photo)
    tifffile.imwrite(tmp_path / "my photo.tif", data, photometric="minisblack")
    widget = open_panel()
    widget.viewer.open(tmp_path / "my photo.tif", plugin="napari")
    widget.controls.scope.setCurrentText("whole stack")
    if kind == "hints":
        button(widget, "hints").click()
        widget._hints.current.layer.add([40, 60])
    if kind == "marks":
        button(widget, "hints").click()
        widget._hints.current.put(every_kind(photo.shape))
    if kind == "palette":
        widget.controls.palette.setText("#803020, #203080")
    if kind == "runtime":
        widget.controls.runtime.setCurrentText("PyTorch")
    qtbot.waitUntil(button(widget, "run").isEnabled)
    rgb = run(widget, finish)["rgb"]
    button(widget, "copy_command").click()
    command, *words = shlex.split(QGuiApplication.clipboard().text())
    assert command == "recolor"
    call = recolor(*words)
    assert call.code == 0, call.err
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "my photo.recolor.tif"), rgb.data)


def every_kind(shape):
    """A mark of every sort that a person can make."""
    pixels = np.zeros(shape, bool)
    pixels[60:80, 90:110] = True
    corners = ((30.0, 20.0), (60.0, 20.0), (60.0, 50.5))
    return [
        Hint(40, 30, "#ff0000", 5, reach=0.25, within=corners),
        Hint(51, 40, kind="keep", radius=3),
        Stroke(((80, 10), (100, 12), (110, 9)), "#0000ff", 4),
        Region(((10, 60), (40, 60), (40, 90), (10, 90)), "#ffff00"),
        Mask(pixels, kind="gray"),
    ]


def test_a_command_that_cannot_do_the_same_is_not_copied(panel, finish):
    run(panel, finish)
    QGuiApplication.clipboard().setText("before")
    button(panel, "copy_command").click()
    assert QGuiApplication.clipboard().text() == "before"
    assert "Save the layer" in text(panel, "status")
