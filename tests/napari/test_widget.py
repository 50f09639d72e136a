import json
import subprocess
import sys
import threading

import numpy as np
import pytest
import tifffile
from napari.layers import Image
from napari.utils.notifications import notification_manager
from napari.utils.progress import progress
from npe2 import PluginManager
from qtpy.QtCore import QTimer
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QApplication, QComboBox, QLabel, QPushButton, QWidget
from superqt.utils import WorkerBase

from napari_recolor import command_text
from napari_recolor.layers import KEY
from napari_recolor.options import Options
from napari_recolor.settings import panel_settings
from recolor_core import Hint, Mask, Region, Stroke, result
from tests.core.cli_runner import recolor

pytestmark = pytest.mark.gui


@pytest.fixture
def panel(open_panel, photo):
    """The panel in a viewer with one photograph."""
    return open_panel(photo)


@pytest.fixture
def notified(monkeypatch):
    """Messages that napari shows to the user."""
    shown = []
    monkeypatch.setattr(
        notification_manager, "dispatch", lambda notification: shown.append(notification.message)
    )
    return shown


def run(widget, finish):
    button(widget, "run").click()
    finish(widget)
    return {layer.metadata[KEY]["layer"]: layer for layer in results(widget)}


def stages(widget):
    """All layers of the last run."""
    return widget._runner.show_stages(widget._runner.last)


def results(widget):
    return [layer for layer in widget.viewer.layers if KEY in layer.metadata]


def button(widget, name):
    return widget.findChild(QPushButton, f"recolor.{name}")


def text(widget, name):
    return widget.findChild(QLabel, f"recolor.{name}").text()


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


def test_colorizes_what_the_library_colorizes(panel, photo, finish, direct):
    layers = run(panel, finish)
    expected = direct(photo)
    np.testing.assert_array_equal(layers["rgb"].data, expected.rgb)
    assert set(layers) == {"rgb"}  # the others are made when they are asked for
    source, *_ = panel.viewer.layers
    np.testing.assert_array_equal(source.data, photo)
    assert KEY not in source.metadata
    assert panel.viewer.layers[-1] is layers["rgb"]
    assert panel.viewer.layers.selection.active is layers["rgb"]
    assert text(panel, "status") == "Done: 1 image with the weights “default” on cpu."


def test_metadata_tell_how_it_came_to_be(panel, finish):
    about = run(panel, finish)["rgb"].metadata[KEY]
    assert about["run"] == 1
    assert len(about["weights"]["sha256"]) == 64
    assert about["settings"]["size"] == 64
    assert about["source"]["layer"] == "photo"
    assert about["device"]["generator"]
    assert about["version"]
    assert [image["of_source"] for image in about["images"]] == [[]]
    json.dumps(about)  # for files


@pytest.mark.slow
def test_runs_are_numbered(panel, finish):
    panel.controls.replace_last.click()
    run(panel, finish)
    run(panel, finish)
    names = {layer.name for layer in results(panel)}
    assert names == {"photo · RGB", "photo · RGB · run 2"}
    assert len(results(panel)) == 2
    assert panel.controls.layer.count() == 1  # results are no images to colorize


def test_options_of_the_panel_are_those_of_the_run(panel, photo, finish, direct):
    panel.controls.vividness.setValue(0.9)
    panel.controls.saturation.setValue(1.5)
    panel.controls.alternatives.setValue(2)
    panel.controls.views.setValue(2)
    run(panel, finish)
    layers = stages(panel)
    expected = direct(photo, vividness=0.9, saturation=1.5, alternatives=2, views=2)
    np.testing.assert_array_equal(layers["rgb"].data, expected.rgb)
    np.testing.assert_array_equal(layers["alternative 2"].data, expected.alternatives[1])


@pytest.mark.parametrize(
    "name", ["vividness", "saturation", "size", "tile", "views", "alternatives"]
)
def test_no_choice_of_the_panel_is_refused_by_the_library(panel, name):
    from recolor_core import Settings

    control = getattr(panel.controls, name)
    for limit in (-1e9, 1e9):
        control.setValue(type(control.value())(limit))
        Settings(**{name: control.value()})


def test_a_stack_in_the_scope_chosen(open_panel, photo, finish, direct):
    stack = np.stack([photo, photo[::-1], photo // 2])
    widget = open_panel(stack, scale=(3, 1, 1))
    viewer = widget.viewer
    viewer.dims.set_current_step(0, 1)
    assert run(widget, finish)["rgb"].data.shape == (1, *photo.shape, 3)
    (slice_only,) = (layer for layer in results(widget) if layer.rgb)
    assert slice_only.translate.tolist() == [3, 0, 0]
    np.testing.assert_array_equal(slice_only.data[0], direct(photo[::-1]).rgb)
    widget.controls.scope.setCurrentText("whole stack")
    rgb = run(widget, finish)["rgb"]
    assert rgb.data.shape == (3, *photo.shape, 3)
    np.testing.assert_array_equal(rgb.data[2], direct(photo // 2).rgb)
    assert [p["index"] for p in rgb.metadata[KEY]["images"]] == [[0], [1], [2]]


def test_finished_slices_are_shown_while_others_are_worked_on(open_panel, photo, finish, qtbot):
    widget = open_panel(np.stack([photo] * 4))
    widget.controls.scope.setCurrentText("whole stack")
    seen = []
    widget.viewer.layers.events.inserted.connect(lambda event: seen.append(widget._runner.running))
    run(widget, finish)
    assert seen[0] is not None  # the first layer came before the run had ended
    (rgb,) = (layer for layer in results(widget) if layer.rgb)
    assert rgb.data.any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize(
    ("dtype", "white"),
    [
        (np.uint8, 255),
        pytest.param(np.uint16, 65535, marks=pytest.mark.slow),
        pytest.param(np.float32, 1, marks=pytest.mark.slow),
    ],
)
def test_pixels_on_the_canvas_are_those_of_the_result(open_panel, photo, finish, dtype, white):
    widget = open_panel((photo / 255 * white).astype(dtype), show=True)
    rgb = run(widget, finish)["rgb"]
    assert rgb.data.dtype == dtype
    viewer, zoom = widget.viewer, 3
    viewer.fit_to_view(layers=[rgb])
    viewer.scene.camera.zoom = zoom / viewer.window._qt_window.devicePixelRatioF()
    QApplication.processEvents()
    shot = viewer.screenshot(canvas_only=True, flash=False)
    height, width = photo.shape
    middle = np.array(shot.shape[:2]) / 2
    y, x = np.mgrid[5 : height - 5 : 7, 5 : width - 5 : 7]
    rows = (middle[0] + (y - (height - 1) / 2) * zoom).astype(int)
    columns = (middle[1] + (x - (width - 1) / 2) * zoom).astype(int)
    expected = rgb.data[y, x] / white * 255
    assert expected.std() > 10  # a blank canvas would not pass
    np.testing.assert_allclose(shot[rows, columns, :3], expected, atol=1.01)


def test_cancel_is_answered_at_the_next_step(panel, finish, monkeypatch, qtbot):
    monkeypatch.setattr("recolor_core.full_resolution.STRIP", 128)  # 96 strips
    runner = panel._runner
    show, canceled_at = runner._show_progress, []
    strips, canceled, colored = result.color_strips, threading.Event(), []

    def wait_for_the_click(*arguments):
        for strip in strips(*arguments):
            if len(colored) == 2:  # else all strips may be done before the first one is reported
                assert canceled.wait(60)
            colored.append(strip)
            yield strip

    monkeypatch.setattr(result, "color_strips", wait_for_the_click)

    def cancel_early(run, step):
        show(run, step)
        if step.stage == "coloring" and not canceled_at:
            canceled_at.append(step.done)
            button(panel, "cancel").click()
            canceled.set()

    monkeypatch.setattr(runner, "_show_progress", cancel_early)
    button(panel, "run").click()
    assert button(panel, "cancel").isEnabled()
    assert not button(panel, "run").isEnabled()
    finish(panel)
    assert canceled_at[0] < 96
    assert len(colored) < 10
    assert not results(panel)
    assert text(panel, "status") == "Canceled; nothing done."
    assert button(panel, "run").isEnabled()
    assert not button(panel, "cancel").isEnabled()
    assert not progress._all_instances
    run(panel, finish)  # and it goes on as if nothing had been
    assert len(results(panel)) == 1


@pytest.mark.slow
def test_cancel_in_the_activity_dock(open_panel, photo, finish):
    widget = open_panel(np.stack([photo] * 30))
    widget.controls.scope.setCurrentText("whole stack")
    button(widget, "run").click()
    widget._runner._bars._images.cancel()  # what the dock's button does
    finish(widget)
    assert text(widget, "status").startswith("Canceled")


def test_progress_is_shown_and_taken_away(panel, finish, qtbot):
    button(panel, "run").click()
    assert [bar.desc for bar in progress._all_instances]
    assert not panel.controls.progress.isHidden()
    finish(panel)
    assert not progress._all_instances
    assert panel.controls.progress.isHidden()


def test_an_error_is_told_once_and_the_panel_is_ready_again(panel, finish, notified, monkeypatch):
    def fail(self, *arguments, **options):
        raise RuntimeError("surprise")

    with monkeypatch.context() as patch:
        patch.setattr("recolor_core.colorizer.Colorizer.generate", fail)
        button(panel, "run").click()
        finish(panel)
    assert len(notified) == 1
    assert "surprise" in notified[0]
    assert text(panel, "status") == "Failed: RuntimeError: surprise"
    assert button(panel, "run").isEnabled()
    assert not progress._all_instances
    run(panel, finish)
    assert len(results(panel)) == 1


@pytest.mark.parametrize("error", [ValueError("surprise"), MemoryError()])
def test_an_error_while_a_run_is_prepared_frees_the_panel(
    panel, finish, notified, monkeypatch, error
):
    button(panel, "hints").click()

    def fail(*_, **__):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(panel._hints.current, "values", fail)
        button(panel, "run").click()
    assert not panel.busy
    assert text(panel, "status").startswith("Failed: ")
    assert len(notified) == 1
    assert not progress._all_instances
    assert button(panel, "run").isEnabled()
    assert not button(panel, "cancel").isEnabled()
    run(panel, finish)
    assert len(results(panel)) == 1


def test_a_full_gpu_is_told_and_the_cpu_goes_on(panel, photo, finish, notified, monkeypatch):
    import torch

    from recolor_core import Colorizer, colorizer

    def out_of_memory(self, *arguments, **options):
        if arguments and str(arguments[0]).startswith("cuda"):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return to(self, *arguments, **options)

    to = torch.nn.Module.to
    monkeypatch.setattr(torch.nn.Module, "to", out_of_memory)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")
    monkeypatch.setattr(colorizer, "choose_device", lambda name: "cuda")
    panel._preferences.device = "cuda"
    rgb = run(panel, finish)["rgb"]
    assert any("the memory of cuda is full" in message for message in notified)
    assert "out of memory" in rgb.metadata[KEY]["device"]["generator"]
    monkeypatch.undo()
    exact = Colorizer(device="cpu", runtime="torch")  # what the CPU goes on with
    np.testing.assert_array_equal(rgb.data, exact(photo, size=64).rgb)


def test_labels_are_refused_with_a_sentence(panel, photo):
    labels = panel.viewer.add_labels(photo // 100, name="cells")
    panel.controls.layer.setCurrentText("cells")
    assert panel._source.layer is labels
    assert text(panel, "summary").startswith("“cells” holds labels")
    assert not button(panel, "run").isEnabled()


def test_without_a_layer_it_says_what_to_do(open_panel):
    widget = open_panel()
    assert "Open an image" in text(widget, "summary")
    assert not button(widget, "run").isEnabled()


def test_the_plan_follows_layer_and_viewer(open_panel, photo, qtbot):
    widget = open_panel(np.stack([photo, photo]))
    assert "1 image at stack = 0" in text(widget, "summary")
    widget.viewer.dims.set_current_step(0, 1)
    qtbot.waitUntil(lambda: "stack = 1" in text(widget, "summary"))
    widget.viewer.layers[0].axis_labels = ("t", "y", "x")
    qtbot.waitUntil(lambda: "T = 1" in text(widget, "summary"))
    widget.controls.scope.setCurrentText("whole stack")
    qtbot.waitUntil(lambda: "2 images" in text(widget, "summary"))
    widget.viewer.layers[0].name = "film"
    assert widget.controls.layer.currentText() == "film"
    widget.viewer.layers.clear()
    assert "Open an image" in text(widget, "summary")


def test_the_source_may_go_while_it_is_colorized(panel, photo, finish, direct):
    button(panel, "run").click()
    panel.viewer.layers.clear()
    finish(panel)
    layers = {layer.metadata[KEY]["layer"]: layer for layer in results(panel)}
    np.testing.assert_array_equal(layers["rgb"].data, direct(photo).rgb)


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


def test_stages_share_their_limits(panel, finish):
    run(panel, finish)
    layers = stages(panel)
    assert set(layers) == {
        *("rgb", "coarse", "change", "uncertainty"),
        *("a coarse", "b coarse", "a refined", "b refined"),
    }
    for axis in "ab":
        coarse, refined = layers[f"{axis} coarse"], layers[f"{axis} refined"]
        low, high = coarse.contrast_limits
        assert low == -high
        coarse.contrast_limits = (-7, 7)
        assert refined.contrast_limits == [-7, 7]


@pytest.mark.parametrize(
    ("page", "roles"),
    [
        ("inspect", ["coarse", "rgb", "change"]),
        (
            "maps",
            ["a coarse", "a refined", "uncertainty", "b coarse", "b refined", "change"],
        ),
    ],
)
def test_inspect_shows_stages_and_gives_the_view_back(panel, finish, qtbot, page, roles):
    rgb = run(panel, finish)["rgb"]
    viewer = panel.viewer
    before = [(layer, layer.visible) for layer in viewer.layers]
    button(panel, page).click()
    qtbot.waitUntil(lambda: panel._inspector.complete, timeout=60_000)
    shown = [layer for layer in viewer.layers if layer.visible]
    assert [layer.metadata[KEY]["layer"] for layer in shown] == roles  # in reading order
    assert [legend.layer for legend in panel._views.legends.shown] == shown
    assert viewer.layers.selection.active in shown
    button(panel, page).click()
    assert not viewer.canvas.grid.enabled
    old = [(layer, layer.visible) for layer in viewer.layers if layer in dict(before)]
    assert old == before
    assert not any(layer.visible for layer in results(panel) if layer is not rgb)
    assert not panel._views.legends.shown
    assert viewer.layers.selection.active is rgb
    count = len(results(panel))
    button(panel, page).click()
    assert viewer.canvas.grid.enabled
    assert len(results(panel)) == count  # they are made once
    button(panel, page).click()


@pytest.mark.parametrize("ended_by", ["inspect", "wipe"])
def test_stages_still_being_brought_are_not_shown_after_inspect_has_ended(
    panel, finish, qtbot, ended_by
):
    button(panel, "run").click()
    finish(panel)
    button(panel, "inspect").click()
    assert not panel._inspector.active  # the stages come one by one
    button(panel, ended_by).click()
    qtbot.wait(500)
    assert not panel._inspector.active
    assert not button(panel, "inspect").isChecked()
    assert button(panel, "wipe").isChecked() == (ended_by == "wipe")


def test_one_page_of_stages_follows_the_other(panel, finish, qtbot):
    run(panel, finish)
    viewer = panel.viewer
    before = [layer.visible for layer in viewer.layers]
    for page, count in (("inspect", 3), ("maps", 6), ("inspect", 3)):
        button(panel, page).click()
        qtbot.waitUntil(
            lambda: sum(layer.visible for layer in viewer.layers) == count,  # noqa: B023
            timeout=60_000,
        )
        assert viewer.canvas.grid.enabled
        pressed = [name for name in ("inspect", "maps") if button(panel, name).isChecked()]
        assert pressed == [page]
    button(panel, "inspect").click()
    assert not viewer.canvas.grid.enabled
    assert [x.visible for x in viewer.layers if KEY not in x.metadata or x.visible] == before


def test_coarse_colors_are_a_look_and_no_result_to_save(panel, finish, qtbot, photo):
    rgb = run(panel, finish)["rgb"]
    coarse = stages(panel)["coarse"]
    assert coarse.data.shape == (*photo.shape, 3)
    assert (coarse.data != rgb.data).any()
    np.testing.assert_allclose(coarse.data_to_world((3, 5)), rgb.data_to_world((3, 5)), atol=1e-9)
    panel.viewer.layers.selection.active = coarse
    assert panel._runner.image_shown() is rgb


def test_hints_color_the_image_anew(panel, finish, qtbot):
    rgb = run(panel, finish)["rgb"]
    before = rgb.data.copy()
    button(panel, "hints").click()
    hint_layer = panel._hints.current.layer
    hint_layer.current_face_color = "#ff0000"
    hint_layer.add([40, 60])
    qtbot.waitUntil(lambda: "Colored with 1 hint." in text(panel, "status"), timeout=60_000)
    assert (rgb.data != before).any()
    (image,) = rgb.metadata[KEY]["images"]
    assert [hint["color"] for hint in image["hints"]] == ["#ff0000"]
    hint_layer.data = np.empty((0, 2))
    qtbot.waitUntil(lambda: "Colored without hints." in text(panel, "status"), timeout=60_000)
    np.testing.assert_array_equal(rgb.data, before)


def test_a_palette_is_taken_from_a_image_and_steers(panel, finish):
    without = run(panel, finish)["rgb"].data
    color = np.zeros((30, 40, 3), np.uint8)
    color[:20], color[20:] = (200, 40, 30), (20, 90, 40)
    panel.viewer.add_image(color, name="reference", rgb=True)
    menu = panel.findChild(QComboBox, "recolor.palette_of")
    menu.setCurrentIndex(menu.findText("reference"))
    menu.activated.emit(menu.currentIndex())
    panel.controls.layer.setCurrentText("photo")
    words = panel.controls.palette.text().split(",")
    assert set(words) == {"#c8281e", "#145a28"}
    assert (words.count("#c8281e"), words.count("#145a28")) == (21, 11)  # 32nds
    rgb = run(panel, finish)["rgb"]
    assert rgb.metadata[KEY]["palette_colors"] == words
    assert (rgb.data[..., 0].astype(int) - without[..., 0]).mean() > 5


def test_what_changes_colors_is_seen_and_reset(panel, qtbot):
    controls = panel.controls
    assert panel._preferences.size != 224  # the panel of these tests is quick
    qtbot.waitUntil(lambda: "Working size" in text(panel, "changed"))
    panel.controls.palette.setText("#803020, #203080")
    panel.controls.vividness.setValue(0.3)
    qtbot.waitUntil(lambda: "Vividness 0.3" in text(panel, "changed"))
    assert "Palette #803020" in text(panel, "changed")
    assert not controls.changed.isHidden()
    assert controls.more_hints.title.isChecked()  # not folded away
    controls.reset.click()
    qtbot.waitUntil(controls.changed.isHidden)
    assert controls.palette.text() == ""
    assert controls.vividness.value() == 0.8


def test_a_wrong_palette_is_marked_while_it_is_typed(panel, qtbot):
    palette = panel.controls.palette
    palette.setText("#803020, red")
    qtbot.waitUntil(lambda: "'red'" in text(panel, "summary"))
    assert "border" in palette.styleSheet()
    assert not button(panel, "run").isEnabled()
    palette.setText("#803020")
    qtbot.waitUntil(button(panel, "run").isEnabled)
    assert palette.styleSheet() == ""


def test_the_finished_image_follows_vividness_and_palette(panel, photo, finish, direct, qtbot):
    rgb = run(panel, finish)["rgb"]
    panel.controls.vividness.setValue(0.2)
    expected = direct(photo, vividness=0.2).rgb
    qtbot.waitUntil(lambda: np.array_equal(rgb.data, expected), timeout=60_000)
    qtbot.waitUntil(lambda: not panel._live.busy)
    assert rgb.metadata[KEY]["settings"]["vividness"] == 0.2
    panel._history.note()
    panel.controls.palette.setText("#803020")
    qtbot.waitUntil(lambda: rgb.metadata[KEY]["palette_colors"] == ["#803020"], timeout=60_000)
    assert not np.array_equal(rgb.data, expected)
    panel.controls.undo.click()
    qtbot.waitUntil(lambda: np.array_equal(rgb.data, expected), timeout=60_000)
    panel.controls.undo.click()
    assert panel.controls.vividness.value() == 0.8
    panel.controls.redo.click()
    assert panel.controls.vividness.value() == 0.2


def test_the_source_is_seen_as_long_as_before_is_held(panel, finish):
    assert not button(panel, "before").isEnabled()
    rgb = run(panel, finish)["rgb"]
    button(panel, "before").pressed.emit()
    assert not rgb.visible
    button(panel, "before").released.emit()
    assert rgb.visible
    held = panel.viewer.keymap[next(key for key in panel.viewer.keymap if str(key) == "B")]
    pressed = held(panel.viewer)
    next(pressed)
    assert not rgb.visible
    next(pressed, None)
    assert rgb.visible


def test_hints_can_be_undone(panel, finish, qtbot):
    rgb = run(panel, finish)["rgb"]
    before = rgb.data.copy()
    button(panel, "hints").click()
    panel._history.note()
    panel._hints.current.layer.add([40, 60])
    qtbot.waitUntil(lambda: (rgb.data != before).any(), timeout=60_000)
    panel._history.undo()
    assert not panel._hints.current.values()
    qtbot.waitUntil(lambda: np.array_equal(rgb.data, before), timeout=60_000)
    panel._history.redo()
    assert len(panel._hints.current.values()) == 1


def test_alternatives_over_time_are_refused_before_the_run(open_panel, photo, qtbot):
    widget = open_panel(np.stack([photo] * 3), axis_labels=("t", "y", "x"))
    widget.controls.scope.setCurrentText("whole stack")
    widget.controls.alternatives.setValue(2)
    qtbot.waitUntil(lambda: "Alternatives cannot be kept steady" in text(widget, "summary"))
    assert not button(widget, "run").isEnabled()
    widget.controls.steady.setChecked(False)
    qtbot.waitUntil(button(widget, "run").isEnabled)


def test_each_image_has_its_own_hints(panel, photo, qtbot):
    first = panel.viewer.layers[0]
    button(panel, "hints").click()
    panel._hints.current.layer.add([40, 60])
    second = panel.viewer.add_image(photo[::-1], name="second")
    assert panel._source.layer is second  # the choice follows the active layer
    assert button(panel, "hints").isEnabled()
    assert not button(panel, "save_hints").isEnabled()
    button(panel, "hints").click()
    assert panel._hints.current.values() == []
    panel.viewer.layers.selection.active = first
    assert len(panel._hints.current.values()) == 1
    panel.viewer.layers.remove(panel._hints.current.layer)
    assert panel._requests.hints_for(panel._requests.read()) == {}


def test_a_run_again_leaves_the_hints_on_top_and_active(panel, finish):
    run(panel, finish)
    button(panel, "hints").click()
    hints = panel._hints.current.layer
    for replace, runs in ((True, [1]), (False, [1, 2])):
        panel.controls.replace_last.setChecked(replace)
        run(panel, finish)
        assert panel.viewer.layers[-1] is hints
        assert panel.viewer.layers.selection.active is hints
        assert [layer.metadata[KEY]["run"] for layer in results(panel)] == runs


def test_removing_the_image_while_it_comes_ends_the_run(open_panel, photo, finish, qtbot):
    widget = open_panel(np.stack([photo] * 50))
    widget.controls.scope.setCurrentText("whole stack")
    button(widget, "run").click()
    qtbot.waitUntil(lambda: bool(results(widget)), timeout=120_000)
    widget.viewer.layers.remove(results(widget)[0])
    finish(widget)
    assert not results(widget)
    assert text(widget, "status").startswith("Canceled")


def test_when_all_results_are_gone_nothing_is_called_done(panel, finish):
    rgb = run(panel, finish)["rgb"]
    panel.viewer.layers.remove(rgb)
    assert text(panel, "status") == "Ready."


def test_saving_hints_says_so_or_why_not(panel, tmp_path, monkeypatch, notified):
    button(panel, "hints").click()
    panel._hints.current.layer.add([40, 60])
    dialog = "napari_recolor.hint_panel.QFileDialog.getSaveFileName"
    monkeypatch.setattr(dialog, lambda *_: (str(tmp_path / "mine"), ""))
    button(panel, "save_hints").click()
    assert (tmp_path / "mine.json").exists()  # a name that Load shows
    assert text(panel, "status") == f"Saved 1 hint to {tmp_path / 'mine.json'}."
    before = (tmp_path / "mine.json").read_bytes()
    panel._hints.current.layer.add([50, 60])
    button(panel, "save_hints").click()  # the dialog did not ask whether to replace mine.json
    assert (tmp_path / "mine.json").read_bytes() == before
    assert "mine.json exists" in notified.pop()
    missing = tmp_path / "none" / "mine.json"
    monkeypatch.setattr(dialog, lambda *_: (str(missing), ""))
    button(panel, "save_hints").click()
    assert len(notified) == 1
    assert notified[0].count(str(missing)) == 1
    assert "Traceback" not in notified[0]
    assert text(panel, "status") == f"Not saved: {notified[0]}"


def test_settings_survive_and_can_be_restored(panel, preferences_of_this_test, qtbot):
    panel.controls.vividness.setValue(0.25)
    panel.controls.scope.setCurrentText("visible region")
    saved = preferences_of_this_test.read_text(encoding="utf-8")
    assert "vividness: 0.25" in saved
    assert "scope: region" in saved

    # A napari that starts anew finds them.
    from napari.settings import _clear_plugin_settings_cache

    _clear_plugin_settings_cache()
    _, again = panel.viewer.window.add_plugin_dock_widget("napari-recolor", "Colorize")
    from napari_recolor.widget import ColorizeWidget

    fresh = ColorizeWidget(panel.viewer) if again is panel else again
    qtbot.waitUntil(lambda: fresh.complete)
    assert fresh.controls.vividness.value() == 0.25
    assert fresh.controls.scope.currentText() == "visible region"
    assert fresh.controls.size.value() == 64
    fresh.controls.restore.click()
    assert fresh.controls.vividness.value() == 0.8
    assert fresh.controls.scope.currentText() == "current slice"
    assert "vividness" not in preferences_of_this_test.read_text(encoding="utf-8")
    fresh.deleteLater()


def test_the_preferences_dialog_and_the_panel_agree(panel):
    from napari._qt.dialogs.preferences_dialog import PreferencesDialog

    dialog = PreferencesDialog()
    pages = [dialog._list.item(i).text() for i in range(dialog._list.count())]
    assert "Recolor" in pages
    panel._preferences.vividness = 0.75  # what the dialog sets
    assert panel.controls.vividness.value() == 0.75
    dialog.close()


def test_preferences_are_those_that_the_library_declares(panel):
    contribution = PluginManager.instance().get_manifest("napari-recolor").contributions
    page = contribution.configurations["colorize"]
    kinds = {float: "number", int: "integer", bool: "boolean", str: "string"}
    assert set(page.properties) == set(panel_settings())
    for name, setting in panel_settings().items():
        about = page.properties[name]
        assert about.title == setting.label
        assert about.description == setting.help
        assert about.type == kinds[setting.type]
        assert (about.minimum, about.maximum) == (setting.low, setting.high)
        assert tuple(about.enum or ()) == setting.choices
        assert about.default == setting.default
    fields = type(panel._preferences).model_fields
    assert Options() == Options(
        **{name: fields[name].default for name in Options.__dataclass_fields__ if name in fields}
    )


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


@pytest.mark.slow
def test_color_profiles_of_files_count(open_panel, photo, finish, tmp_path):
    from PIL import Image as Pillow
    from PIL import ImageCms

    path = tmp_path / "profile.png"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Pillow.fromarray(np.stack([photo] * 3, -1)).save(path, icc_profile=profile)
    widget = open_panel()
    widget.viewer.open(path, plugin="napari")
    rgb = run(widget, finish)["rgb"]
    assert rgb.metadata[KEY]["source"]["file"]["path"] == str(path)
    command = command_text.command(rgb.metadata[KEY], tmp_path).text
    assert str(path) in command


@pytest.mark.slow
def test_weights_of_a_file(panel, tmp_path, finish, monkeypatch):
    from recolor_core import weights

    path = tmp_path / "mine.safetensors"
    path.write_bytes((weights.BUNDLED / "default.safetensors").read_bytes())
    monkeypatch.setattr(
        "napari_recolor.binding.QFileDialog.getOpenFileName", lambda *_: (str(path), "")
    )
    menu = panel.controls.weights
    menu.setCurrentText("choose a file…")
    assert menu.currentText() == "mine.safetensors"
    assert panel._preferences.weights == str(path)
    assert run(panel, finish)["rgb"].metadata[KEY]["weights"]["asked"] == str(path)


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
