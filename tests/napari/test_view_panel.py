"""Looking at results in the real window."""

import numpy as np
import pytest

from napari_recolor.runs.layers import KEY

from .windows import button, results, run, stages

pytestmark = pytest.mark.gui


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
    qtbot.waitUntil(lambda: panel._inspector.complete, timeout=60_000)
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
