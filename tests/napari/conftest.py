from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import napari.settings
import numpy as np
import pytest
from napari.components import ViewerModel
from numpy.typing import NDArray
from superqt.utils import WorkerBase

from napari_recolor.engine import Engine
from napari_recolor.hints import HintLayer
from napari_recolor.options import Options
from napari_recolor.runner import AIR_MS

from .hinting import SHAPE


@pytest.fixture(autouse=True)
def preferences_of_this_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Start from the defaults; where the preferences are kept."""
    monkeypatch.setattr(napari.settings, "_CFG_PATH", str(tmp_path / "settings.yaml"))
    napari.settings._clear_plugin_settings_cache()
    yield tmp_path / "napari-recolor.yaml"
    napari.settings._clear_plugin_settings_cache()


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The networks, loaded once."""
    return Engine()


@pytest.fixture(scope="session")
def photo() -> NDArray[np.uint8]:
    """(96, 128) uint8: an image with some structure."""
    y, x = np.mgrid[:96, :128]
    sky = np.where(y < 48, 190 - y, 60 + 20 * np.sin(x / 5) + (x * y) % 23)
    return sky.clip(0, 255).astype(np.uint8)


@pytest.fixture
def direct(engine: Engine) -> Callable[..., Any]:
    """What the library makes of an image, at the size that the tests use."""
    return lambda image, **options: engine.colorizer(Options())(image, size=64, **options)


@pytest.fixture
def open_panel(
    make_napari_viewer: Any, qtbot: Any, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Any]]:
    """Open the panel as a user does, in a viewer with layers; the networks see little, quickly."""

    monkeypatch.setattr("napari_recolor.jobs.Engine", lambda: engine)

    def opened(*images: Any, show: bool = False, **arguments: Any) -> Any:
        viewer = make_napari_viewer(show=show)
        for image in images:
            viewer.add_image(image, name="photo", **arguments)
        _, widget = viewer.window.add_plugin_dock_widget("napari-recolor", "Colorize")
        qtbot.waitUntil(lambda: widget.complete)
        widget.controls.size.setValue(64)
        return widget

    yield opened
    WorkerBase.await_workers(60_000)


@pytest.fixture
def finish(qtbot: Any) -> Callable[[Any], None]:
    """Wait until a panel has finished what it does, the selection of its result included."""

    def wait(widget: Any) -> None:
        qtbot.waitUntil(lambda: not widget.busy, timeout=120_000)
        qtbot.wait(2 * AIR_MS)

    return wait


@pytest.fixture
def viewer(qapp: Any) -> ViewerModel:
    """A viewer without a window."""
    return ViewerModel()


@pytest.fixture
def hints(viewer: ViewerModel) -> Iterator[HintLayer]:
    """The hints of an image that is in the viewer."""
    hint_layer = HintLayer(viewer, viewer.add_image(np.zeros(SHAPE, np.uint8)))
    yield hint_layer
    hint_layer.close()
