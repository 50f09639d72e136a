"""Keys of the panel, in the canvas and in the panel itself."""

from collections.abc import Callable, Iterator
from typing import Any

from napari.viewer import Viewer
from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QWidget

RUN, SAVE, UNDO, REDO = "Ctrl+Return", "Ctrl+Alt+S", "Ctrl+Z", "Ctrl+Shift+Z"
NEXT, DOUBT, HINTS = "Ctrl+Alt+N", "Ctrl+Alt+D", "Ctrl+Alt+H"
INSPECT, STRIP, COPY = "Ctrl+Alt+I", "Ctrl+Alt+A", "Ctrl+Alt+C"
"""As Qt writes them."""

COMPARE = "B"
"""As napari writes it; held to see the source."""

_OF_NAPARI = {UNDO: "Control-Z", REDO: "Control-Shift-Z"}


class Shortcuts:
    """Binds keys as long as the panel is open.

    Undo and redo are bound to the canvas too; a layer with an undo of its own, such as Labels,
    comes first while it is active.

    Parameters
    ----------
    panel : QWidget
        The panel.
    viewer : Viewer
        Gets the keys for undo and redo.
    slots : dict
        What each key does.
    compare : callable
        Is called with True while the key to compare is held, and then with False.
    """

    def __init__(
        self,
        panel: QWidget,
        viewer: Viewer,
        slots: dict[str, Callable[[], None]],
        compare: Callable[[bool], None],
    ) -> None:
        self._viewer = viewer

        def hold(_: Any) -> Iterator[None]:
            compare(True)
            yield
            compare(False)

        viewer.bind_key(COMPARE, hold, overwrite=True)
        for keys, slot in slots.items():
            shortcut = QShortcut(QKeySequence(keys), panel)
            shortcut.activated.connect(slot)
            if keys in _OF_NAPARI:
                shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
                viewer.bind_key(_OF_NAPARI[keys], _ignoring_viewer(slot), overwrite=True)

    def close(self) -> None:
        """Give the keys of the canvas back."""
        for keys in (COMPARE, *_OF_NAPARI.values()):
            self._viewer.bind_key(keys, None, overwrite=True)


def _ignoring_viewer(slot: Callable[[], None]) -> Callable[[Any], None]:
    return lambda viewer: slot()
