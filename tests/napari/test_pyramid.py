"""Large images: pyramids, a preview first, and the same pixels as ever in the end."""

import threading
import warnings

import numpy as np
import pytest

from napari_recolor.files.writer import write_image
from napari_recolor.runs import pyramid, stages, worker
from napari_recolor.runs.layers import KEY
from napari_recolor.runs.options import Options
from napari_recolor.runs.pyramid import levels_of, paint_preview
from napari_recolor.runs.reading import LevelRule, Request, Source
from napari_recolor.runs.stages import Stages
from napari_recolor.runs.worker import colorize, recolor
from recolor_core import Hint
from recolor_core.errors import ImageError

HINT = Hint(20.0, 30.0, "#ff0000", 12.0)


@pytest.fixture
def everything_is_large(monkeypatch):
    """Make pyramids and previews of the images of the tests, in strips of eight rows."""
    monkeypatch.setattr(pyramid, "LARGE", 1000)
    monkeypatch.setattr(pyramid, "SMALLEST", 100)
    monkeypatch.setattr(pyramid, "PREVIEW", 1000)
    monkeypatch.setattr("recolor_core.full_resolution.STRIP", 128 * 8)


@pytest.fixture
def gate(monkeypatch):
    """The worker waits for this before each strip of the full resolution."""
    opened, paint = threading.Event(), worker.paint

    def patient(*arguments):
        for seen in paint(*arguments):
            opened.wait(60)
            yield seen

    for module in (stages, worker):
        monkeypatch.setattr(module, "paint", patient)
    return opened


def request_of(data):
    source = Source("photo", data, False, ("Y", "X"), (0, 1))
    return Request(source, "slice", ((),), source.whole, LevelRule())


@pytest.mark.parametrize("shape", [(2000, 3000, 3), (4, 1999, 1001, 3), (1, 900_001, 3)])
def test_levels_halve_and_hold_pixels_of_the_image(shape):
    image = np.broadcast_to(np.arange(shape[-3] * shape[-2]).reshape((*shape[-3:-1], 1)), shape)
    levels = levels_of(image)
    assert levels[0] is image
    for number, level in enumerate(levels):
        step = 2**number
        rows, columns = (max(1, size // step) for size in shape[-3:-1])
        assert abs(level.shape[-3] - rows) <= 1
        assert abs(level.shape[-2] - columns) <= 1
        assert np.may_share_memory(level, image)
    assert levels[-1].size > 0
    assert levels[-1].shape[-3] * levels[-1].shape[-2] <= pyramid.SMALLEST


@pytest.mark.parametrize("size", [(96, 128), (97, 131), (31, 500)])
def test_a_preview_has_the_gray_of_every_nth_pixel(engine, everything_is_large, size):
    codes = np.arange(size[0] * size[1]).reshape(size).astype(np.uint8)
    result = engine.colorizer(Options())(codes, size=64)
    target = np.zeros((*size, 3), np.uint8)
    paint_preview(result, target)
    step = 1
    while codes.size > pyramid.PREVIEW * step**2:
        step *= 2
    assert step > 1
    block = target[:step, :step]
    assert (block == block[0, 0]).all()
    full = result.rgb
    at = slice(step // 2, None, step)
    known = target[at, at]
    # The color comes from the same networks, the gray from that very pixel.
    assert np.abs(known.astype(int) - full[at, at]).mean() < 6
    spread = np.ptp(known.astype(int), axis=-1)
    assert spread.mean() > 1


def test_the_strips_in_view_come_first_and_the_rest_follows(
    engine, photo, everything_is_large, direct
):
    stages = Stages(request_of(photo))
    seen, finished = [], []
    with warnings.catch_warnings():
        for step in colorize(engine, Options(size=64), stages):
            if step.stage == "refining":
                stages.in_view = (40, 60)
            if step.previewed is not None:
                seen.append((step.done, stages.arrays["rgb"].copy()))
            if step.finished is not None:
                finished.append(step.finished)
    expected = direct(photo).rgb
    assert [done for done, _ in seen] == [0, 3]  # rows 40 to 63
    np.testing.assert_array_equal(seen[1][1][40:60], expected[40:60])
    assert (seen[1][1][:40] != expected[:40]).any()
    assert finished == [()]
    np.testing.assert_array_equal(stages.arrays["rgb"], expected)


def test_coloring_anew_shows_a_preview_first_and_leaves_the_finished_image_alone(
    engine, photo, everything_is_large, direct
):
    stages = Stages(request_of(photo))
    options = Options(size=64)
    with warnings.catch_warnings():
        list(colorize(engine, options, stages))
        before = stages.arrays["rgb"]
        kept = before.copy()
        first, *others, last, looked = [
            event for event in recolor(engine, options, stages, (), [HINT]) if event is not None
        ]
    assert not first.finished
    assert all(event is first for event in others)
    np.testing.assert_array_equal(before, kept)
    stages.replace(last)
    expected = direct(photo, hints=[HINT])
    np.testing.assert_array_equal(stages.arrays["rgb"], expected.rgb)
    assert not np.array_equal(stages.arrays["a refined"], expected.ab_refined[0])
    stages.look(looked)
    np.testing.assert_array_equal(stages.arrays["a refined"], expected.ab_refined[0])


@pytest.mark.gui
class TestWindow:
    """In the real window."""

    def results(self, panel):
        return [layer for layer in panel.viewer.layers if KEY in layer.metadata]

    def test_the_layer_comes_before_the_image_is_finished(
        self, open_panel, photo, everything_is_large, finish, direct, tmp_path
    ):
        panel = open_panel(photo)
        refused = []

        def try_to_save(event):
            data, meta, _ = event.value.as_layer_data_tuple()
            assert meta["metadata"][KEY]["unfinished"]
            with pytest.raises(ImageError, match="finished") as caught:
                write_image(str(tmp_path / "early.tif"), data, meta)
            refused.append(caught)

        panel.viewer.layers.events.inserted.connect(try_to_save)
        panel.controls.run.click()
        finish(panel)
        assert refused
        (rgb,) = self.results(panel)
        assert rgb.multiscale
        assert "unfinished" not in rgb.metadata[KEY]
        expected = direct(photo).rgb
        np.testing.assert_array_equal(rgb.data[0], expected)
        data, meta, _ = rgb.as_layer_data_tuple()
        write_image(str(tmp_path / "photo.png"), data, meta)
        from PIL import Image

        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "photo.png")), expected)
        position = rgb.data_to_world((50, 70))
        np.testing.assert_array_equal(
            panel._runner.last.values_at(position)["rgb"], expected[50, 70]
        )

    def test_a_canceled_run_takes_its_preview_along(
        self, open_panel, photo, everything_is_large, finish, gate
    ):
        panel = open_panel(photo)

        def cancel(_):
            panel.controls.cancel.click()
            gate.set()

        panel.viewer.layers.events.inserted.connect(cancel)
        panel.controls.run.click()
        finish(panel)
        assert not self.results(panel)
        assert panel.controls.status.text() == "Canceled; nothing done."
        assert panel._runner.last is None

    def test_hints_end_with_the_image_of_the_library(
        self, open_panel, photo, everything_is_large, finish, direct, qtbot
    ):
        panel = open_panel(photo)
        panel.controls.run.click()
        finish(panel)
        (rgb,) = self.results(panel)
        shown = []
        rgb.events.set_data.connect(lambda _: shown.append("unfinished" in rgb.metadata[KEY]))
        panel.controls.hints.click()
        panel._hints.current.layer.add([40, 60])
        qtbot.waitUntil(lambda: "with 1 hint" in panel.controls.status.text(), timeout=60_000)
        hint = panel._hints.current.values()[0]
        np.testing.assert_array_equal(rgb.data[0], direct(photo, hints=[hint]).rgb)
        assert "unfinished" not in rgb.metadata[KEY]
        assert len(rgb.metadata[KEY]["images"][0]["hints"]) == 1
        assert len(shown) >= 2  # the preview, then the finished image

    def test_a_preview_that_comes_to_nothing_is_taken_back(
        self, open_panel, photo, everything_is_large, finish, direct, qtbot, gate
    ):
        panel = open_panel(photo)
        gate.set()
        panel.controls.run.click()
        finish(panel)
        gate.clear()
        (rgb,) = self.results(panel)
        shown = []

        def cancel(_):
            shown.append("unfinished" in rgb.metadata[KEY])
            if panel._queue.job is not None:
                panel._queue.cancel(panel._queue.job)
            gate.set()

        rgb.events.metadata.connect(cancel)
        panel.controls.hints.click()
        panel._hints.current.layer.add([40, 60])
        qtbot.waitUntil(lambda: panel._live.busy, timeout=60_000)
        qtbot.waitUntil(lambda: not panel._live.busy, timeout=60_000)
        assert shown[0]
        np.testing.assert_array_equal(rgb.data[0], direct(photo).rgb)
        assert "unfinished" not in rgb.metadata[KEY]
