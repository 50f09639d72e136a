"""One group per run: a run again takes its place, and its layers stay together."""

import threading

import numpy as np
import pytest
from qtpy.QtWidgets import QApplication

from napari_recolor.runs import pyramid, stages, worker
from napari_recolor.runs.layers import KEY, layers_of_run

pytestmark = pytest.mark.gui


@pytest.fixture
def panel(open_panel, photo, finish):
    """The panel after a run."""
    panel = open_panel(photo)
    run(panel, finish)
    return panel


def run(panel, finish, **settings):
    """Run with some settings, and return the RGB layers that are there afterwards."""
    for name, value in settings.items():
        setattr(panel._preferences, name, value)
    QApplication.processEvents()
    panel.controls.run.click()
    finish(panel)
    return images(panel)


def images(panel):
    return [x for x in panel.viewer.layers if x.metadata.get(KEY, {}).get("layer") == "rgb"]


def of_last(panel):
    return layers_of_run(panel.viewer.layers, panel._runner.last.id)


def settle(qtbot):
    qtbot.wait(50)


# --- a run again ------------------------------------------------------------------------------


def test_a_run_adds_one_layer_named_after_the_image(panel):
    (rgb,) = images(panel)
    assert rgb.name == "photo · RGB"
    assert len(panel.viewer.layers) == 2


def test_a_run_again_replaces_the_pixels_of_the_layer(panel, photo, finish, direct):
    (rgb,) = images(panel)
    rgb.opacity, rgb.name = 0.5, "my colors"
    first = rgb.metadata[KEY]
    assert run(panel, finish, views=2) == [rgb]
    np.testing.assert_array_equal(rgb.data, direct(photo, views=2).rgb)
    assert rgb.metadata[KEY]["settings"]["views"] == 2
    assert rgb.metadata[KEY]["id"] == panel._runner.last.id != first["id"]
    assert (rgb.opacity, rgb.name) == (0.5, "my colors")


def test_what_was_replaced_is_undone_and_made_again(panel, photo, finish, direct):
    one, two = direct(photo).rgb, direct(photo, views=2).rgb
    (rgb,) = run(panel, finish, views=2)
    assert "Undo" in panel.controls.status.text()
    panel._history.undo()
    np.testing.assert_array_equal(rgb.data, one)
    assert rgb.metadata[KEY]["settings"]["views"] == 1
    assert panel._runner.last_of(panel.viewer.layers["photo"]).options.views == 1
    panel._history.redo()
    np.testing.assert_array_equal(rgb.data, two)
    assert rgb.metadata[KEY]["settings"]["views"] == 2


def test_each_of_several_runs_comes_back(panel, photo, finish):
    (rgb,) = images(panel)
    shown = [rgb.data.copy()]
    for size in (80, 96):
        run(panel, finish, size=size)
        shown.append(rgb.data.copy())
    for expected in reversed(shown[:-1]):
        while not (rgb.data == expected).all():
            assert panel._history.can_undo
            panel._history.undo()


def test_memory_of_replaced_runs_is_limited(panel, finish, monkeypatch):
    monkeypatch.setattr("napari_recolor.runs.replaced.KEPT", 0)
    (rgb,) = images(panel)
    for size in (80, 96, 112):
        run(panel, finish, size=size)
    kept = panel._runner._replaced._of[rgb]
    assert [one.options.size for one in kept] == [96, 112]


def test_replacing_can_be_turned_off_and_is_remembered(panel, finish, preferences_of_this_test):
    before = images(panel)[0].data.copy()
    panel.controls.replace_last.click()
    one, two = run(panel, finish, size=96)
    np.testing.assert_array_equal(one.data, before)
    assert (one.name, two.name) == ("photo · RGB", "photo · RGB · run 2")
    assert "replace_last: false" in preferences_of_this_test.read_text()


def test_another_part_of_the_image_is_no_replacement(panel, finish):
    camera = panel.viewer.scene.camera
    camera.zoom, camera.center = 20, (0, 40, 60)
    one, two = run(panel, finish, scope="region")
    assert one.data.shape[:2] == (96, 128)
    assert two.data.shape[:2] < (96, 128)


def test_another_image_is_no_replacement(panel, photo, finish):
    panel.viewer.add_image(photo[::-1], name="other")
    assert [x.name for x in run(panel, finish)] == ["photo · RGB", "other · RGB"]


def test_results_follow_a_source_that_was_moved(panel, finish):
    (rgb,) = images(panel)
    panel._runner.show_stages(panel._runner.last, ["uncertainty"])
    panel.viewer.layers["photo"].scale = (2, 3)
    panel.viewer.layers["photo"].translate = (5, 7)
    run(panel, finish)
    for layer in of_last(panel).values():
        corner = np.array(layer.data_to_world((-0.5, -0.5)))
        np.testing.assert_allclose(corner, (5 - 1, 7 - 1.5), atol=1e-9)
    assert set(of_last(panel)) == {"rgb", "uncertainty"}
    assert rgb.scale.tolist() == [2, 3]


def test_stages_that_are_there_are_those_of_the_new_run(panel, finish):
    layers = panel._runner.show_stages(panel._runner.last)
    run(panel, finish, size=96)
    again = of_last(panel)
    assert again == layers
    arrays = panel._runner.last.stages.arrays
    for role, layer in again.items():
        np.testing.assert_array_equal(layer.data, arrays[role])
        assert layer.metadata[KEY]["layer"] == role
        assert layer.metadata[KEY]["settings"]["size"] == 96


def test_alternatives_that_the_new_run_lacks_are_removed(panel, finish, qtbot):
    def alternatives():
        return [x for x in of_last(panel) if x.startswith("alternative")]

    run(panel, finish, alternatives=3)
    qtbot.waitUntil(lambda: len(alternatives()) == 3)
    run(panel, finish, alternatives=1)
    settle(qtbot)
    assert alternatives() == ["alternative 1"]
    assert len(panel.viewer.layers) == 3


def test_a_run_that_is_canceled_early_leaves_the_earlier_result(
    open_panel, photo, finish, direct, monkeypatch
):
    monkeypatch.setattr(pyramid, "LARGE", 1000)
    opened, paint = threading.Event(), worker.paint
    opened.set()

    def patient(*arguments):
        for seen in paint(*arguments):
            opened.wait(60)
            yield seen

    for module in (stages, worker):
        monkeypatch.setattr(module, "paint", patient)
    panel = open_panel(photo)
    (rgb,) = run(panel, finish)
    opened.clear()
    previewed = []

    def cancel(_):
        previewed.append(rgb.metadata[KEY].get("unfinished"))
        panel.controls.cancel.click()
        opened.set()

    rgb.events.metadata.connect(cancel)
    assert run(panel, finish, views=2) == [rgb]
    assert previewed[0]
    np.testing.assert_array_equal(rgb.data[0], direct(photo).rgb)
    assert "unfinished" not in rgb.metadata[KEY]
    assert panel._runner.states() == {}


def test_removed_layers_are_not_brought_back(panel, finish):
    (rgb,) = run(panel, finish, views=2)
    panel.viewer.layers.remove(rgb)
    assert panel._runner.states() == {}
    panel._history.undo()
    assert not images(panel)


# --- a group ------------------------------------------------------------------------------------


@pytest.fixture
def group(panel):
    """All layers of a run, by role, and the panel."""
    return panel._runner.show_stages(panel._runner.last), panel


def test_layers_of_a_run_have_a_common_id(group):
    layers, panel = group
    assert len(layers) > 5
    assert {x.metadata[KEY]["id"] for x in layers.values()} == {panel._runner.last.id}


def test_stages_are_hidden_and_shown_with_the_image(group):
    layers, _ = group
    layers["uncertainty"].visible = True
    layers["rgb"].visible = False
    assert not any(x.visible for x in layers.values())
    layers["rgb"].visible = True
    assert {role for role, x in layers.items() if x.visible} == {"uncertainty", "rgb"}


def test_inspect_arranges_the_group_as_it_likes(group, qtbot):
    layers, panel = group
    layers["uncertainty"].visible = True
    panel.controls.maps.click()
    qtbot.waitUntil(lambda: panel._inspector.complete)
    assert not layers["rgb"].visible
    assert layers["a coarse"].visible
    panel.controls.maps.click()
    assert {role for role, x in layers.items() if x.visible} == {"uncertainty", "rgb"}


def test_the_group_moves_with_the_image(group, photo, qtbot):
    layers, panel = group
    every = panel.viewer.layers
    other = panel.viewer.add_image(photo, name="other")
    order = [x for x in every if x in layers.values()]
    every.move(every.index(layers["rgb"]), len(every))
    settle(qtbot)
    assert list(every) == [every["photo"], other, *order]
    every.move_multiple([every.index(layers["rgb"])], 0)
    settle(qtbot)
    assert list(every) == [*order, every["photo"], other]


def test_a_stage_may_be_moved_alone(group, qtbot):
    layers, panel = group
    every = panel.viewer.layers
    every.move(every.index(layers["uncertainty"]), len(every))
    settle(qtbot)
    assert every[-1] is layers["uncertainty"]
    assert list(every).index(layers["rgb"]) > list(every).index(layers["a coarse"])


def test_the_group_is_removed_with_the_image(group, qtbot):
    layers, panel = group
    panel.viewer.layers.remove(layers["rgb"])
    qtbot.waitUntil(lambda: len(panel.viewer.layers) == 1, timeout=60_000)
    assert panel._runner.last is None


def test_a_stage_can_be_removed_alone(group, qtbot):
    layers, panel = group
    panel.viewer.layers.remove(layers["change"])
    settle(qtbot)
    assert set(of_last(panel)) == set(layers) - {"change"}


def test_a_closed_panel_leaves_the_layers_alone(group, qtbot):
    layers, panel = group
    panel.viewer.window.remove_dock_widget(panel)
    layers["uncertainty"].visible = True
    layers["rgb"].visible = False
    panel.viewer.layers.remove(layers["rgb"])
    settle(qtbot)
    assert layers["uncertainty"].visible
    assert len(panel.viewer.layers) == len(layers)
