"""Hints in the real window: the image follows them, and undo brings them back."""

import numpy as np
import pytest
from napari.layers import Labels, Shapes, _layer_actions

from napari_recolor.hints.hint_layer import OUTSIDE
from napari_recolor.panel.following import OUTSIDE_REGION
from napari_recolor.runs.layers import KEY
from napari_recolor.views.gl_context import canvas_of

from .hinting import wheel
from .windows import button, choose, results, text

pytestmark = pytest.mark.gui


@pytest.fixture
def settle(qtbot):
    """Wait until changes of hints were told, and the image has followed."""

    def wait(panel):
        qtbot.wait(150)
        qtbot.waitUntil(
            lambda: panel._queue.job is None and not panel._live.busy and not panel.busy,
            timeout=120_000,
        )
        panel._history.note()

    return wait


def colorized(panel, finish):
    """Run, and return the RGB layer and what it shows."""
    panel.controls.run.click()
    finish(panel)
    rgb = next(x for x in panel.viewer.layers if x.metadata.get(KEY, {}).get("layer") == "rgb")
    return rgb, rgb.data.copy()


def add_point(hint_layer):
    hint_layer.styles.color = "#ff0000"
    hint_layer.layer.add([40, 60])
    return hint_layer.layer


def add_stroke(hint_layer):
    shapes = hint_layer.marks.draw()
    shapes.add(
        np.array([[20, 20], [70, 90]]), shape_type="path", edge_color="#ff0000", edge_width=8
    )
    return shapes


def paint_mask(hint_layer):
    labels = hint_layer.marks.paint()
    labels.data_setitem(np.nonzero(np.ones((70, 80))), 1)
    return labels


@pytest.mark.parametrize("mark", [add_point, add_stroke, paint_mask])
def test_a_removed_layer_takes_its_colors_along_and_undo_brings_both_back(
    open_panel, photo, finish, settle, mark
):
    panel = open_panel(photo)
    rgb, plain = colorized(panel, finish)
    panel.controls.hints.click()
    settle(panel)
    layer = mark(panel._hints.current)
    settle(panel)
    hinted, values = rgb.data.copy(), panel._hints.current.values()
    assert len(values) == 1
    assert (hinted != plain).any()

    panel.viewer.layers.remove(layer)
    settle(panel)
    np.testing.assert_array_equal(rgb.data, plain)
    assert panel.controls.undo.isEnabled()
    panel.controls.undo.click()
    settle(panel)
    assert layer in panel.viewer.layers
    assert panel._hints.current.values() == values
    np.testing.assert_array_equal(rgb.data, hinted)
    panel.controls.redo.click()
    settle(panel)
    assert layer not in panel.viewer.layers
    np.testing.assert_array_equal(rgb.data, plain)


def test_add_hints_can_be_pressed_again_after_the_layer_was_removed(
    open_panel, photo, finish, settle
):
    panel = open_panel(photo)
    rgb, plain = colorized(panel, finish)
    button = panel.controls.hints
    button.click()
    add_point(panel._hints.current)
    settle(panel)
    assert not button.isEnabled()
    panel.viewer.layers.remove(panel._hints.current.layer)
    assert panel._hints.current is None
    assert button.isEnabled()
    assert not panel.controls.eyedropper.isEnabled()
    button.click()
    settle(panel)
    assert panel._hints.current.values() == []
    np.testing.assert_array_equal(rgb.data, plain)
    add_point(panel._hints.current)
    settle(panel)
    assert (rgb.data != plain).any()


def test_undo_takes_an_added_layer_away(open_panel, photo, settle):
    panel = open_panel(photo)
    panel._history.note()
    count = len(panel.viewer.layers)
    panel.controls.hints.click()
    settle(panel)
    assert len(panel.viewer.layers) == count + 1
    panel.controls.undo.click()
    assert len(panel.viewer.layers) == count
    assert panel.controls.hints.isEnabled()
    panel.controls.redo.click()
    assert len(panel.viewer.layers) == count + 1


def test_images_of_a_stack_that_are_not_shown_follow_when_they_are(
    open_panel, photo, finish, settle, monkeypatch
):
    panel = open_panel(np.stack([photo] * 3), axis_labels=("z", "y", "x"))
    panel.controls.scope.setCurrentText("whole stack")
    panel._requests.describe()
    rgb, plain = colorized(panel, finish)
    dims = panel.viewer.dims
    colored, request = [], panel._live.request

    def noted(run, index, *arguments):
        colored.append(index)
        request(run, index, *arguments)

    monkeypatch.setattr(panel._live, "request", noted)
    dims.set_current_step(0, 0)
    panel.controls.hints.click()
    settle(panel)
    points = panel._hints.current.layer
    points.add([1, 40, 60])  # by code, where it is not seen
    points.face_color = "#ff0000"
    settle(panel)
    assert colored == []
    np.testing.assert_array_equal(rgb.data, plain)
    dims.set_current_step(0, 1)
    settle(panel)
    assert (rgb.data[1] != plain[1]).any()
    hinted = rgb.data.copy()
    for step in (0, 2, 1, 2):
        dims.set_current_step(0, step)
        settle(panel)
    assert colored == [(1,)]  # no image is colored anew without a change

    panel.controls.undo.click()  # while another image is shown
    settle(panel)
    assert panel._hints.current.values((1,)) == []
    np.testing.assert_array_equal(rgb.data, hinted)
    dims.set_current_step(0, 1)
    settle(panel)
    np.testing.assert_array_equal(rgb.data, plain)

    points.add([1, 40, 60])
    dims.set_current_step(0, 2)  # before the change was told
    settle(panel)
    dims.set_current_step(0, 1)
    settle(panel)
    assert (rgb.data[1] != plain[1]).any()
    points.data = np.empty((0, 3))
    dims.set_current_step(0, 0)
    settle(panel)
    dims.set_current_step(0, 1)
    settle(panel)
    np.testing.assert_array_equal(rgb.data, plain)
    assert set(colored) == {(1,)}


def test_an_image_that_is_not_shown_any_more_is_colored_to_the_end(
    open_panel, photo, finish, settle
):
    """To go on to another image, whose hints are the same as before, stops nothing."""
    panel = open_panel(np.stack([photo] * 2), axis_labels=("z", "y", "x"))
    panel.controls.scope.setCurrentText("whole stack")
    panel._requests.describe()
    rgb, plain = colorized(panel, finish)
    panel.viewer.dims.set_current_step(0, 0)
    hint_layer = panel._hints.add()
    settle(panel)
    hint_layer.layer.add([0, 40, 60])
    hint_layer.layer.face_color = "#ff0000"
    hint_layer._tell()
    assert panel._live.busy
    panel.viewer.dims.set_current_step(0, 1)
    settle(panel)
    assert (rgb.data[0] != plain[0]).any()
    np.testing.assert_array_equal(rgb.data[1], plain[1])


def test_hints_of_two_images_that_change_at_once_are_both_followed(
    open_panel, photo, finish, settle
):
    panel = open_panel(photo, 255 - photo)
    first, second = panel.viewer.layers
    results = []
    for image in (first, second):
        panel.viewer.layers.selection.active = image
        panel.controls.run.click()
        finish(panel)
        results.append(panel._runner.last.layers["rgb"])
        add_point(panel._hints.add())
        settle(panel)
    hinted = [rgb.data.copy() for rgb in results]
    for image in (first, second):
        panel._hints.of(image).layer.data = np.empty((0, 2))
    settle(panel)
    for rgb, before in zip(results, hinted, strict=True):
        assert (rgb.data != before).any()
    panel.controls.undo.click()  # both at once
    settle(panel)
    for rgb, before in zip(results, hinted, strict=True):
        np.testing.assert_array_equal(rgb.data, before)


def test_a_hint_outside_the_image_is_said_in_the_status_line(open_panel, photo, finish, settle):
    panel = open_panel(photo)
    colorized(panel, finish)
    panel.controls.hints.click()
    panel._hints.current.layer.add([-5, 20])
    settle(panel)
    assert panel.controls.status.text() == OUTSIDE


def test_the_image_and_undo_follow_the_wheel(open_panel, photo, finish, settle):
    panel = open_panel(photo)
    rgb, _ = colorized(panel, finish)
    panel.controls.hints.click()
    hint_layer = panel._hints.current
    add_point(hint_layer)
    settle(panel)
    before, (hint,) = rgb.data.copy(), hint_layer.values()
    wheel(hint_layer, (40, 60), 8)
    settle(panel)
    assert (rgb.data != before).any()
    panel.controls.undo.click()
    settle(panel)
    assert hint_layer.values() == [hint]
    np.testing.assert_array_equal(rgb.data, before)


def test_a_hint_outside_the_region_that_was_colorized_is_said(open_panel, photo, finish, settle):
    panel = open_panel(photo)
    panel.viewer.canvas.size = (60, 60)
    panel.viewer.scene.camera.zoom = 1
    panel.controls.scope.setCurrentText("visible region")
    _, plain = colorized(panel, finish)
    assert plain.shape[0] < photo.shape[0]
    panel._hints.add().layer.add([1, 1])
    settle(panel)
    assert panel.controls.status.text() == OUTSIDE_REGION


@pytest.mark.parametrize(("name", "kind"), [("draw", Shapes), ("paint", Labels)])
def test_a_button_opens_its_layer_ready_to_use(open_panel, photo, qtbot, name, kind):
    panel = open_panel(photo, show=True)
    getattr(panel.controls, name).click()
    qtbot.waitUntil(lambda: panel._hints._turns.complete, timeout=60_000)
    active = panel.viewer.layers.selection.active
    assert isinstance(active, kind)
    assert active.mode == {"draw": "add_polygon", "paint": "paint"}[name]
    assert active in panel._hints.current.layers
    qtbot.waitUntil(canvas_of(panel.window()).updatesEnabled, timeout=60_000)


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


def test_saving_hints_says_so_or_why_not(panel, tmp_path, monkeypatch, notified):
    button(panel, "hints").click()
    panel._hints.current.layer.add([40, 60])
    dialog = "napari_recolor.panel.hint_panel.QFileDialog.getSaveFileName"
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


@pytest.fixture
def reopen(qtbot):
    """Close the panel with its x, and open it again."""

    def opened(panel):
        window = panel.viewer.window
        panel.parent().destroyOnClose()
        _, again = window.add_plugin_dock_widget("napari-recolor", "Colorize")
        assert again is not panel
        qtbot.waitUntil(lambda: again.complete)
        again.controls.size.setValue(64)
        return again

    return opened


def test_a_panel_that_is_opened_again_takes_up_the_hints_and_the_result(
    open_panel, photo, finish, settle, reopen
):
    panel = open_panel(photo)
    panel._hints.add().styles.set_style(reach=0.8)
    for mark in (add_point, add_stroke, paint_mask):
        mark(panel._hints.current)
    settle(panel)
    rgb, hinted = colorized(panel, finish)
    layers, values = list(panel.viewer.layers), panel._hints.current.values()
    panel = reopen(panel)
    settle(panel)
    assert not panel.controls.hints.isEnabled()
    assert not panel.controls.undo.isEnabled()
    for name in ("hints", "draw", "paint"):
        getattr(panel.controls, name).click()
    settle(panel)
    assert list(panel.viewer.layers) == layers
    assert len(values) == 3
    assert values[0].reach == 0.8
    assert [str(one) for one in panel._hints.current.values()] == [str(one) for one in values]
    assert panel.controls.wipe.isEnabled()
    np.testing.assert_array_equal(rgb.data, hinted)

    points = panel._hints.current.layer
    points.data = np.add(points.data, [20, 30])
    settle(panel)
    assert (rgb.data != hinted).any()  # without a new run
    followed = rgb.data.copy()
    panel.controls.run.click()
    finish(panel)
    assert results(panel) == [rgb]  # in place of the run before
    np.testing.assert_array_equal(rgb.data, followed)


def test_only_hints_of_the_same_image_are_taken_up(open_panel, photo, settle, reopen):
    panel = open_panel(photo, photo[::-1].copy())  # both have the same name
    first, second = panel.viewer.layers
    own = {}
    for image in (first, second):
        panel.viewer.layers.selection.active = image
        own[image] = add_point(panel._hints.add())
    panel.viewer.layers.selection.active = own[second]
    _layer_actions._duplicate_layer(panel.viewer.layers)
    panel.viewer.layers.remove(first)
    panel = reopen(panel)
    settle(panel)
    assert panel._hints.of(second).layers == [own[second]]
    assert panel._hints.image_of(own[first]) is None
    assert own[first] in panel.viewer.layers


def test_a_second_panel_leaves_hints_alone_that_the_first_one_follows(
    open_panel, photo, qtbot, reopen
):
    panel = open_panel(photo)
    points = add_point(panel._hints.add())
    second = type(panel)(panel.viewer)
    panel.viewer.window.add_dock_widget(second)
    qtbot.waitUntil(lambda: second.complete)
    assert second._hints.image_of(points) is None
    assert panel._hints.current.layer is points
    again = reopen(panel)
    assert again._hints.current.layer is points


def test_a_layer_of_the_users_own_is_taken_up_until_it_was_left(open_panel, photo, settle, reopen):
    panel = open_panel(photo)
    image = panel.viewer.layers[0]
    shapes = panel.viewer.add_shapes(
        [np.array([[20, 20], [70, 90]])], shape_type="path", edge_color="#ff0000", edge_width=8
    )
    panel.viewer.layers.selection.active = image
    choose(panel.controls.strokes, shapes.name)
    panel = reopen(panel)
    assert panel._hints.current.shapes is shapes
    assert len(panel._hints.current.values()) == 1
    choose(panel.controls.strokes, "none")
    panel = reopen(panel)
    assert panel._hints.current.shapes is None
