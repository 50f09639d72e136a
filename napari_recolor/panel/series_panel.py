"""Many images: a folder or all open ones in one go, and the next one of a folder."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Layer
from napari.utils.notifications import show_error
from napari.viewer import Viewer
from qtpy.QtCore import QObject, Signal

from napari_recolor.files.recall import find_next
from napari_recolor.panel.controls import Controls
from napari_recolor.panel.source_choice import SourceChoice
from napari_recolor.runs.layers import KEY, is_result
from napari_recolor.runs.options import Options
from napari_recolor.runs.runner import Runner

if TYPE_CHECKING:
    from napari_recolor.panel.folder_window import FolderWindow


class SeriesPanel(QObject):
    """Wires the controls for many images.

    Parameters
    ----------
    viewer : Viewer
        Gets the images.
    controls : Controls
        With the buttons.
    source : SourceChoice
        Its folder is suggested.
    runner : Runner
        Colorizes one image at a time.
    options : callable
        Gives the settings for a folder.
    parent : QObject, optional
        Of the object.
    """

    wanted = Signal(object)
    """Emitted with an image layer that is to be colorized now."""
    said = Signal(str)
    """A sentence that says what was done."""

    def __init__(
        self,
        viewer: Viewer,
        controls: Controls,
        source: SourceChoice,
        runner: Runner,
        options: Callable[[], Options],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.viewer, self._controls, self._source = viewer, controls, source
        self._runner, self._options = runner, options
        self._window: FolderWindow | None = None
        self._rest: list[Image] = []  # of all open images, those that are still to be colorized
        controls.folder.clicked.connect(self.open_folder)
        controls.run_all.clicked.connect(self.run_all)
        controls.cancel.clicked.connect(self.stop)

    def close(self) -> None:
        """Close the window of the folder, and end its work."""
        self._rest = []
        if self._window is not None:
            self._window.close()

    # --- many in one go ---------------------------------------------------------------------------

    def open_folder(self) -> None:
        """Open the window that colorizes a folder."""
        from napari_recolor.panel.folder_window import FolderWindow  # not while the panel opens

        if self._window is None:
            self._window = FolderWindow(self._options, self._controls)
            self._window.opened.connect(self.open)
        image = self._source.layer
        path = None if image is None else image.source.path
        if path and not self._window.source.text():
            self._window.source.setText(str(Path(path).parent))
        self._window.show()
        self._window.raise_()

    def run_all(self) -> None:
        """Colorize all open images, one after the other."""
        self._rest = [x for x in self.viewer.layers if isinstance(x, Image) and not is_result(x)]
        self.go_on()

    def go_on(self) -> bool:
        """Colorize the next of all open images; whether there was one."""
        self._rest = [layer for layer in self._rest if layer in self.viewer.layers]
        if not self._rest:
            return False
        layer = self._rest.pop(0)
        self.wanted.emit(layer)
        return True

    def enable(self) -> None:
        """Enable what can be done now."""
        several = self._controls.layer.count() > 1
        self._controls.run_all.setEnabled(several and not self._runner.busy)

    def stop(self) -> None:
        """Colorize no more of the open images."""
        self._rest = []

    # --- the next one -----------------------------------------------------------------------------

    @staticmethod
    def path_of(layer: Any) -> Path | None:
        """The file of an image, or of the image that a result was made from."""
        if layer is None:
            return None
        about = layer.metadata.get(KEY, {}).get("source", {})
        path = about.get("path") or layer.source.path
        return Path(path) if path else None

    def next_of(self, source: Path, done: list[Layer]) -> None:
        """Open the image that follows in a folder.

        Parameters
        ----------
        source : Path
            The image that is finished.
        done : list of Layer
            Its layers; they are removed.
        """
        following = find_next(source)
        if following is None:
            self.said.emit(f"{source.name} was the last image of the folder.")
            return
        for layer in done:
            if layer in self.viewer.layers:
                self.viewer.layers.remove(layer)
        self.open(str(following))
        self.said.emit(f"Next: {following.name}.")

    def open(self, path: str) -> None:
        """Open an image file."""
        try:
            self.viewer.open(path, plugin="napari")
        except Exception as error:  # whatever a reader raises
            show_error(f"{path} cannot be opened: {error}")
