"""A folder in one go: results, contact sheet, progress, cancel."""

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt

from napari_recolor.panel.folder_window import FolderWindow
from napari_recolor.runs.options import Options

pytestmark = pytest.mark.gui


@pytest.fixture
def folder(tmp_path, photo):
    source = tmp_path / "scans"
    source.mkdir()
    for number in range(3):
        tifffile.imwrite(source / f"scan{number}.tif", np.roll(photo, 9 * number, axis=1))
    (source / "broken.tif").write_bytes(b"no image")
    return source


@pytest.fixture
def window(qtbot):
    window = FolderWindow(lambda: Options(size=64, vividness=0.5))
    qtbot.addWidget(window)
    yield window
    window._stop.set()
    qtbot.waitUntil(lambda: not window.busy, timeout=60_000)


def items(window):
    return [window.sheet.item(i) for i in range(window.sheet.count())]


def test_every_image_is_on_the_sheet_and_its_result_is_written(
    window, folder, photo, engine, qtbot
):
    assert not window.start.isEnabled()
    window.source.setText(str(folder))
    output = folder.with_name("scans colorized")
    assert window.output.text() == str(output)
    window.start.click()
    assert window.cancel.isEnabled()
    qtbot.waitUntil(lambda: not window.busy, timeout=120_000)
    said = window.status.text()
    assert said.startswith("Done: 3 of 4 images colorized, 1 failed. broken.tif: ")
    assert window.progress.value() == window.progress.maximum() == 4
    told = {item.text(): item for item in items(window)}
    assert set(told) == {"scan0.tif", "scan1.tif", "scan2.tif", "broken.tif: failed"}
    assert "broken.tif" in told["broken.tif: failed"].toolTip()
    assert not told["scan1.tif"].icon().isNull()
    expected = engine.colorizer(Options())(photo, size=64, vividness=0.5).rgb
    np.testing.assert_array_equal(tifffile.imread(output / "scan0.recolor.tif"), expected)

    with qtbot.waitSignal(window.opened) as opened:
        window.sheet.itemActivated.emit(told["scan0.tif"])
    assert opened.args == [told["scan0.tif"].data(Qt.ItemDataRole.UserRole)]
    window.start.click()
    qtbot.waitUntil(lambda: not window.busy, timeout=120_000)
    assert "0 of 4 images colorized, 3 were there already, 1 failed" in window.status.text()
    told = {item.text(): item for item in items(window)}  # nor is the sheet lost
    assert not told["scan1.tif: there already"].icon().isNull()
    with qtbot.waitSignal(window.opened) as opened:
        window.sheet.itemActivated.emit(told["scan0.tif: there already"])
    assert opened.args == [str(output / "scan0.recolor.tif")]


def test_results_of_other_settings_are_kept_or_renewed(window, folder, photo, engine, qtbot):
    (folder / "broken.tif").unlink()
    window.source.setText(str(folder))
    output = folder.with_name("scans colorized")

    def start():
        window.start.click()
        qtbot.waitUntil(lambda: not window.busy, timeout=120_000)
        return [item.text() for item in items(window)], window.status.text()

    def result(vividness):
        expected = engine.colorizer(Options())(photo, size=64, vividness=vividness).rgb
        return np.array_equal(tifffile.imread(output / "scan0.recolor.tif"), expected)

    start()
    window._options = lambda: Options(size=64, vividness=1.0)
    sheet, said = start()
    assert sheet == [f"scan{number}.tif: kept" for number in range(3)]
    assert not any(item.icon().isNull() for item in items(window))
    assert "3 were made with other settings" in said
    assert f"Check “{window.renew.text()}”" in said
    assert "overwrite=" not in said
    assert result(0.5)
    window.renew.click()
    sheet, said = start()
    assert sheet == [f"scan{number}.tif" for number in range(3)]
    assert said == "Done: 3 of 3 images colorized."
    assert result(1.0)


def test_cancel_keeps_what_is_finished_and_leaves_nothing_half_written(
    window, folder, photo, qtbot
):
    for number in range(3, 40):
        tifffile.imwrite(folder / f"scan{number:02}.tif", photo)
    window.source.setText(str(folder))
    window.start.click()
    qtbot.waitUntil(lambda: window.sheet.count() >= 2, timeout=120_000)
    window.cancel.click()
    qtbot.waitUntil(lambda: not window.busy, timeout=60_000)
    assert window.status.text().startswith("Canceled: ")
    output = folder.with_name("scans colorized")
    results = list(output.glob("*.recolor.tif"))
    assert 0 < len(results) < 40
    for result in results:
        assert tifffile.imread(result).shape == (*photo.shape, 3)
    assert not list(output.rglob("*.part"))
    assert window.start.isEnabled()


def test_a_folder_that_is_not_there_is_told(window, tmp_path, qtbot):
    window.source.setText(str(tmp_path / "none"))
    window.start.click()
    qtbot.waitUntil(lambda: not window.busy, timeout=60_000)
    assert window.status.text().startswith("Failed: ")
    assert "none" in window.status.text()
