"""Runs in the real window, from the button Colorize to the layers."""

import json
import threading

import numpy as np
import pytest
from napari.utils.progress import progress
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_recolor.files import command_text
from napari_recolor.runs.layers import KEY
from recolor_core import result

from .windows import button, results, run, stages, text

pytestmark = pytest.mark.gui


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


def test_the_source_may_go_while_it_is_colorized(panel, photo, finish, direct):
    button(panel, "run").click()
    panel.viewer.layers.clear()
    finish(panel)
    layers = {layer.metadata[KEY]["layer"]: layer for layer in results(panel)}
    np.testing.assert_array_equal(layers["rgb"].data, direct(photo).rgb)


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


@pytest.fixture
def active_panel(open_panel, photo, qtbot):
    """The panel in a window that has the focus."""
    panel = open_panel(photo, show=True)
    window = panel.viewer.window._qt_window
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    return panel


@pytest.mark.parametrize("ended_by", ["the run", "cancel"])
def test_the_keyboard_stays_with_the_buttons_of_a_run(active_panel, finish, ended_by):
    controls = active_panel.controls
    window = controls.window()
    QTest.mouseClick(controls.run, Qt.MouseButton.LeftButton)
    assert window.focusWidget() is controls.cancel
    if ended_by == "cancel":
        QTest.keyClick(controls.cancel, Qt.Key.Key_Space)
        assert controls.status.text() == "Canceling…"
    finish(active_panel)
    assert window.focusWidget() is controls.run


def test_a_run_takes_the_keyboard_from_no_other_control(active_panel, finish):
    window = active_panel.controls.window()
    for control in (active_panel.controls.vividness, active_panel.controls.scope):
        control.setFocus()
        focused = window.focusWidget()
        active_panel.controls.run.click()
        finish(active_panel)
        assert window.focusWidget() is focused
