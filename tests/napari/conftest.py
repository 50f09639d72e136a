# Imports of seconds are in the fixtures: pytest reads this file before it starts its processes.
from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_recolor.hints.hint_layer import HintLayer
    from napari_recolor.runs.engine import Engine


@pytest.fixture(autouse=True)
def preferences_of_this_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Start from the defaults; where the preferences are kept."""
    import napari.settings

    monkeypatch.setattr(napari.settings, "_CFG_PATH", str(tmp_path / "settings.yaml"))
    napari.settings._clear_plugin_settings_cache()
    yield tmp_path / "napari-recolor.yaml"
    napari.settings._clear_plugin_settings_cache()


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The networks, loaded once."""
    from napari_recolor.runs.engine import Engine

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
    from napari_recolor.runs.options import Options

    return lambda image, **options: engine.colorizer(Options())(image, size=64, **options)


@pytest.fixture
def open_panel(
    make_napari_viewer: Any, qtbot: Any, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Any]]:
    """Open the panel as a user does, in a viewer with layers; the networks see little, quickly."""
    from superqt.utils import WorkerBase

    monkeypatch.setattr("napari_recolor.runs.jobs.Engine", lambda: engine)

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
def panel(open_panel: Callable[..., Any], photo: NDArray[np.uint8]) -> Any:
    """The panel in a viewer with one photograph."""
    return open_panel(photo)


@pytest.fixture
def notified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Messages that napari shows to the user."""
    from napari.utils.notifications import notification_manager

    shown: list[str] = []
    monkeypatch.setattr(
        notification_manager, "dispatch", lambda notification: shown.append(notification.message)
    )
    return shown


@pytest.fixture
def finish(qtbot: Any) -> Callable[[Any], None]:
    """Wait until a panel has finished what it does, the selection of its result included."""
    from napari_recolor.runs.layers import AIR_MS

    def wait(widget: Any) -> None:
        qtbot.waitUntil(lambda: not widget.busy, timeout=120_000)
        qtbot.wait(2 * AIR_MS)

    return wait


@pytest.fixture
def viewer(qapp: Any) -> ViewerModel:
    """A viewer without a window."""
    from napari.components import ViewerModel

    return ViewerModel()


@pytest.fixture
def hints(viewer: ViewerModel) -> Iterator[HintLayer]:
    """The hints of an image that is in the viewer."""
    from napari_recolor.hints.hint_layer import HintLayer

    from .hinting import SHAPE

    hint_layer = HintLayer(viewer, viewer.add_image(np.zeros(SHAPE, np.uint8)))
    yield hint_layer
    hint_layer.close()


@pytest.fixture
def rest(qtbot: Any) -> Callable[[Any], None]:
    """Wait until a panel does nothing more."""

    def wait(panel: Any) -> None:
        qtbot.wait(150)  # changes are told when they have come to rest
        qtbot.waitUntil(
            lambda: panel._queue.job is None and not panel._live.busy and not panel.busy,
            timeout=120_000,
        )

    return wait
