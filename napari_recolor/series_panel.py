"""Many images: a folder or all open ones in one go, the next one, and what was done before."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Layer
from napari.utils.notifications import show_error
from napari.viewer import Viewer
from qtpy.QtCore import QObject, Signal

from napari_recolor.controls import Controls
from napari_recolor.events import Failure
from napari_recolor.jobs import Job, JobQueue
from napari_recolor.layers import KEY, is_result
from napari_recolor.options import Options
from napari_recolor.recall import Recalled, find_next, find_result, recall

if TYPE_CHECKING:
    from napari_recolor.folder_window import FolderWindow


class SeriesPanel(QObject):
    """Wires the controls for many images.

    Parameters
    ----------
    viewer : Viewer
        Gets the images.
    controls : Controls
        With the buttons.
    queue : JobQueue
        Reads results.
    options : callable
        Gives the settings for a folder.
    parent : QObject, optional
        Of the object.
    """

    wanted = Signal(object)
    """Emitted with an image layer that is to be colorized now."""
    brought = Signal(object)
    """Emitted with a `Recalled` whose settings and hints are to be used for the chosen image."""
    said = Signal(str)
    """A sentence that says what was done."""

    def __init__(
        self,
        viewer: Viewer,
        controls: Controls,
        queue: JobQueue,
        options: Callable[[], Options],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.viewer, self._controls, self._queue = viewer, controls, queue
        self._options = options
        self._window: FolderWindow | None = None
        self._rest: list[Image] = []  # of all open images, those that are still to be colorized
        self._count = 0
        self._found: Recalled | None = None
        self._image: Image | None = None
        controls.folder.clicked.connect(self.open_folder)
        controls.run_all.clicked.connect(self.run_all)
        controls.recall.clicked.connect(self._bring_back)

    def close(self) -> None:
        """Close the window of the folder, and end its work."""
        self._rest = []
        if self._window is not None:
            self._window.close()

    # --- many in one go ---------------------------------------------------------------------------

    def open_folder(self) -> None:
        """Open the window that colorizes a folder."""
        from napari_recolor.folder_window import FolderWindow  # not while the panel opens

        if self._window is None:
            self._window = FolderWindow(self._options, self._controls)
            self._window.opened.connect(self._open)
        path = None if self._image is None else self._image.source.path
        if path and not self._window.source.text():
            self._window.source.setText(str(Path(path).parent))
        self._window.show()
        self._window.raise_()

    def run_all(self) -> None:
        """Colorize all open images, one after the other."""
        self._rest = [x for x in self.viewer.layers if isinstance(x, Image) and not is_result(x)]
        self._count = len(self._rest)
        self.go_on()

    def go_on(self) -> bool:
        """Colorize the next of all open images; whether there was one."""
        self._rest = [layer for layer in self._rest if layer in self.viewer.layers]
        if not self._rest:
            return False
        layer = self._rest.pop(0)
        self.wanted.emit(layer)
        return True

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
        self._open(str(following))
        self.said.emit(f"Next: {following.name}.")

    def _open(self, path: str) -> None:
        try:
            self.viewer.open(path, plugin="napari")
        except Exception as error:  # whatever a reader raises
            show_error(f"{path} cannot be opened: {error}")

    # --- what was done before ---------------------------------------------------------------------

    def choose(self, image: Any) -> None:
        """Look whether the chosen image has been colorized before."""
        if image is self._image:
            return
        self._image, self._found = image, None
        self._show()
        path = None if image is None else image.source.path
        result = find_result(Path(path)) if path and not is_result(image) else None
        if result is not None:
            work = partial(recall, result=result)
            self._queue.submit(Job(work, partial(self._on_recalled, image), keeps=True))

    def _on_recalled(self, image: Image, found: Recalled | Failure | None) -> None:
        if image is self._image and isinstance(found, Recalled):
            self._found = found
            self._show()

    def _show(self) -> None:
        found = self._found
        self._controls.recalled.setText("" if found is None else found.words())
        for control in (self._controls.recalled, self._controls.recall):
            control.setVisible(found is not None)

    def _bring_back(self) -> None:
        found, image = self._found, self._image
        if found is None or image is None:
            return
        path = image.source.path
        if path and Path(path) == found.result:  # a result was opened: its source is colorized
            if found.source is None:
                self.said.emit(f"The image that {found.result.name} was made from is not there.")
                return
            self._open(str(found.source))
        self._found = None
        self._show()
        self.brought.emit(found)
