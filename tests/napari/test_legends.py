"""Legends above the cells of Inspect: what they say, their colors, and where they are."""

import numpy as np
import pytest
from napari.layers import Image
from qtpy.QtWidgets import QWidget

from napari_recolor.runs.layers import KEY
from napari_recolor.views.legends import BAR, Legends

pytestmark = pytest.mark.gui


@pytest.fixture
def canvas(qtbot):
    widget = QWidget()
    widget.resize(600, 400)
    qtbot.addWidget(widget)
    return widget


@pytest.fixture
def legends():
    legends = Legends()
    yield legends
    legends.close()


def image(role="", rgb=False, **more):
    data = np.zeros((8, 8, 3) if rgb else (8, 8), np.float32)
    return Image(data, rgb=rgb, metadata={KEY: {"layer": role}} if role else {}, **more)


def codes(widget):
    shot = widget.grab().toImage()
    return np.array(
        [
            [shot.pixelColor(x, y).getRgb()[:3] for x in range(shot.width())]
            for y in range(shot.height())
        ]
    )


def test_they_tell_names_and_limits(canvas, legends):
    map_ = image("a refined", contrast_limits=(-20, 20))
    legends.show(canvas, [image("rgb", rgb=True), map_, image(name="mine")], (1, 3))
    assert [legend.name for legend in legends.shown] == ["RGB", "a* refined", "mine"]
    assert [legend.limits for legend in legends.shown[:2]] == [(), ("\N{MINUS SIGN}20", "20")]
    map_.contrast_limits = (-7.5, 7.5)
    assert legends.shown[1].limits == ("\N{MINUS SIGN}7.5", "7.5")


def test_the_bar_shows_the_colors_of_the_layer(canvas, legends):
    map_ = image("change", contrast_limits=(0, 9), colormap="magma")
    legends.show(canvas, [map_, image("rgb", rgb=True)], (1, 2))
    expected = np.rint(255 * map_.colormap.map(np.linspace(0, 1, BAR[0])))[:, :3]
    shown = codes(legends.shown[0])
    assert any(
        (abs(row[x : x + BAR[0]] - expected) <= 1).all()
        for row in shown
        for x in range(row.shape[0] - BAR[0])
    )
    map_.colormap = "viridis"
    assert (codes(legends.shown[0]) != shown).any()
    assert len(np.unique(codes(legends.shown[1]).reshape(-1, 3), axis=0)) < BAR[0]  # text only


def test_each_is_in_its_cell_and_follows_the_canvas(canvas, legends, qtbot):
    canvas.show()
    legends.show(canvas, [image(name=f"{i}") for i in range(6)], (2, 3))

    def cells(width, height):
        return [
            (legend.x() // (width // 3), legend.y() // (height // 2)) for legend in legends.shown
        ]

    expected = [(column, row) for row in range(2) for column in range(3)]
    assert cells(600, 400) == expected
    canvas.resize(900, 700)
    qtbot.waitUntil(lambda: canvas.width() == 900)
    assert cells(900, 700) == expected


def test_the_next_ones_move_up_when_a_layer_is_removed(canvas, legends):
    layers = [image(name=f"{i}") for i in range(3)]
    legends.show(canvas, layers, (1, 3))
    places = [legend.pos() for legend in legends.shown]
    legends.forget(layers[0])
    legends.forget(image())
    assert [legend.name for legend in legends.shown] == ["1", "2"]
    assert [legend.pos() for legend in legends.shown] == places[:2]


def test_they_go_when_closed_and_leave_the_layer_alone(canvas, legends, qtbot):
    layer = image(name="one")
    before = len(layer.events.contrast_limits.callbacks)
    legends.show(canvas, [layer], (1, 1))
    legends.close()
    qtbot.wait(10)
    assert not canvas.findChildren(QWidget)
    assert len(layer.events.contrast_limits.callbacks) == before
