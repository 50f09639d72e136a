"""Many images in the real window: all open ones, the next of a folder, and what was saved."""

import contextlib
import sys

import numpy as np
import pytest
import tifffile

from napari_recolor.files.recall import find_next, find_result, recall
from napari_recolor.panel.doubt import most_doubtful
from napari_recolor.runs.layers import KEY
from napari_recolor.runs.wishes import ColorImage, Draw
from recolor_core import Hint, Mask, Region, Stroke

gui = pytest.mark.gui


@pytest.fixture
def folder(tmp_path, photo):
    for name in ("a", "b", "c"):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.roll(photo, ord(name), axis=1))
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


def results(panel):
    return [x for x in panel.viewer.layers if KEY in x.metadata and x.rgb]


def status(panel):
    return panel.controls.status.text()


def test_the_next_image_of_a_folder(folder):
    (folder / "a.recolor.tif").write_bytes(b"")
    assert find_next(folder / "a.tif") == folder / "b.tif"
    assert find_next(folder / "c.tif") is None
    assert find_result(folder / "a.tif") == folder / "a.recolor.tif"
    assert find_result(folder / "a.recolor.tif") == folder / "a.recolor.tif"
    assert find_result(folder / "b.tif") is None


@gui
def test_all_open_images_are_colorized(open_panel, photo, rest, direct):
    panel = open_panel(photo, photo[::-1].copy(), photo[:, ::-1].copy())
    panel.controls.run_all.click()
    rest(panel)
    colored = {layer.metadata[KEY]["source"]["layer"]: layer.data for layer in results(panel)}
    assert len(colored) == 3
    expected = [direct(image).rgb for image in (photo, photo[::-1], photo[:, ::-1])]
    names = sorted(colored)
    assert all(any(np.array_equal(colored[name], one) for one in expected) for name in names)


@gui
def test_cancel_ends_all(open_panel, photo, rest):
    panel = open_panel(*[photo] * 6)
    panel.controls.run_all.click()
    panel.controls.cancel.click()
    rest(panel)
    assert len(results(panel)) < 2
    assert not panel.busy


@gui
def test_save_and_next_goes_through_a_folder_and_remembers_hints(open_panel, folder, rest, qtbot):
    panel = open_panel()
    viewer = panel.viewer
    viewer.open(folder / "a.tif", plugin="napari")
    assert panel.controls.recall.isHidden()
    hints = [Hint(40, 30, "#ff0000", 5), Region(((60, 20), (90, 20), (90, 60)), kind="keep")]
    panel._hints.add().put(hints)
    panel.controls.vividness.setValue(0.4)
    panel.controls.run.click()
    rest(panel)
    colored = results(panel)[0].data.copy()
    panel.controls.save_next.click()
    qtbot.waitUntil(lambda: status(panel) == "Next: b.tif.", timeout=60_000)
    np.testing.assert_array_equal(tifffile.imread(folder / "a.recolor.tif"), colored)
    assert [layer.name for layer in viewer.layers] == ["b"]
    assert panel._hints.current is None  # hints belong to their image
    panel.controls.run.click()
    rest(panel)
    panel.controls.save_next.click()
    qtbot.waitUntil(lambda: status(panel) == "Next: c.tif.", timeout=60_000)
    panel.controls.run.click()
    rest(panel)
    panel.controls.save_next.click()
    qtbot.waitUntil(lambda: "last image" in status(panel), timeout=60_000)

    panel.controls.vividness.setValue(0.9)
    viewer.layers.clear()
    viewer.open(folder / "a.tif", plugin="napari")
    qtbot.waitUntil(lambda: not panel.controls.recall.isHidden(), timeout=60_000)
    assert panel.controls.recalled.text() == "a.recolor.tif was made with 2 hints."
    panel.controls.recall.click()
    assert panel._hints.current.values() == hints
    assert panel.controls.vividness.value() == 0.4
    panel.controls.run.click()
    rest(panel)
    np.testing.assert_array_equal(results(panel)[0].data, colored)


@gui
def test_a_reopened_result_brings_its_source_back(open_panel, folder, rest, qtbot):
    panel = open_panel()
    viewer = panel.viewer
    viewer.open(folder / "a.tif", plugin="napari")
    panel._hints.add().put([Hint(40, 30, "#ff0000", 5)])
    panel.controls.run.click()
    rest(panel)
    panel.controls.save_next.click()
    qtbot.waitUntil(lambda: status(panel) == "Next: b.tif.", timeout=60_000)
    viewer.layers.clear()
    viewer.open(folder / "a.recolor.tif", plugin="napari")
    qtbot.waitUntil(lambda: not panel.controls.recall.isHidden(), timeout=60_000)
    panel.controls.recall.click()
    assert panel._source.layer.name == "a"
    assert panel._hints.current.values() == [Hint(40, 30, "#ff0000", 5)]


@pytest.fixture
def colored(folder, photo):
    """A file in color beside the images."""
    from PIL import Image

    path = folder / "autochrome.png"
    Image.fromarray(np.stack([photo, photo // 2, 255 - photo], axis=-1)).save(path)
    return path


@gui
def test_references_and_alternatives_come_back(open_panel, folder, colored, rest, qtbot):
    panel = open_panel()
    viewer = panel.viewer
    viewer.open(folder / "b.tif", plugin="napari")
    wishes = panel._wishes.taken
    wishes = type(wishes)((ColorImage(colored.name, str(colored)),), None, Draw(4, 1, 3))
    panel._wishes.put(wishes)
    panel.controls.run.click()
    rest(panel)
    before = results(panel)[0].data.copy()
    panel.controls.save_next.click()
    qtbot.waitUntil(lambda: status(panel) == "Next: c.tif.", timeout=60_000)
    viewer.layers.clear()
    viewer.open(folder / "b.tif", plugin="napari")
    qtbot.waitUntil(lambda: not panel.controls.recall.isHidden(), timeout=60_000)
    said = panel.controls.recalled.text()
    assert said == "b.recolor.tif was made with 0 hints, 1 reference and alternative 3."
    panel.controls.recall.click()
    assert panel._wishes.taken == wishes
    assert panel._preferences.alternatives == 0
    assert panel.controls.likes.text().startswith("autochrome.png")
    panel.controls.run.click()
    rest(panel)
    np.testing.assert_array_equal(results(panel)[0].data, before)


def test_what_the_command_was_given_comes_back(folder, colored, monkeypatch):
    from recolor_core.cli import main

    files = ["-o", str(folder / "a.recolor.tif"), "--reference", str(colored), "--size", "64"]
    words = [str(folder / "a.tif"), *files, "--take", "2", "--seed", "5", "--quiet"]
    monkeypatch.setattr(sys, "argv", ["recolor", *words])
    with contextlib.suppress(SystemExit):
        main()
    (found,) = recall(None, folder / "a.recolor.tif")
    assert found.wishes.references == (ColorImage(colored.name, str(colored)),)
    assert (found.wishes.draw.seed, found.wishes.draw.number) == (5, 2)
    assert "alternatives" not in found.settings
    colored.unlink()
    (found,) = recall(None, folder / "a.recolor.tif")
    assert found.wishes.references == ()
    assert found.words().endswith("Not found any more: autochrome.png.")


@gui
def test_where_in_doubt_moves_on_and_avoids_hints(open_panel, photo, rest):
    panel = open_panel(photo)
    panel.controls.run.click()
    rest(panel)
    run = panel._runner.last
    places = []
    for _ in range(3):
        panel.controls.doubt.click()
        places.append(tuple(panel.viewer.scene.camera.center[-2:]))
    assert len(set(places)) == 3
    expected = most_doubtful(run.stages.arrays["uncertainty"], photo.shape, [])
    assert places[0] == pytest.approx(expected)
    assert "Most in doubt" in status(panel)


@pytest.mark.parametrize(
    "mark",
    [
        Hint(30, 10, "#ff0000", 2),
        Stroke(((10, 10), (50, 10)), "#ff0000", 2),
        Region(((20, 5), (40, 5), (40, 15), (20, 15)), kind="keep"),
        Mask(np.pad(np.ones((20, 20), bool), ((0, 60), (20, 40))), kind="gray"),
    ],
)
def test_doubt_is_sought_away_from_marks(mark):
    uncertainty = np.ones((20, 20), np.float32)
    uncertainty[0:5, 5:11] = 20  # rows 0-20, columns 20-44 of the image
    uncertainty[15:19, 15:19] = 10
    size = (80, 80)
    row, column = most_doubtful(uncertainty, size, [])
    assert row < 20
    assert 20 <= column < 44
    row, column = most_doubtful(uncertainty, size, [mark])
    moved = np.hypot(row - 10, column - 30) > 5
    assert moved
    everywhere = Mask(np.ones(size, bool), kind="gray")
    assert most_doubtful(uncertainty, size, [everywhere]) is None
