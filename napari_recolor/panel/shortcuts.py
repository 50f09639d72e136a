"""Keys of the panel, in the canvas and in the panel itself."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from napari.viewer import Viewer
from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QAbstractButton, QWidget

# napari's menus have Ctrl+Alt+O, P, S and T, and desktops Ctrl+Alt+D, L and T.
RUN, CANCEL, RUN_ALL, FOLDER = "Ctrl+Return", "Ctrl+Alt+X", "Ctrl+Shift+Return", "Ctrl+Alt+F"
SAVE, NEXT, RECALL = "Ctrl+Shift+S", "Ctrl+Alt+N", "Ctrl+Alt+B"
UNDO, REDO = "Ctrl+Z", "Ctrl+Shift+Z"
INSPECT, MAPS, WIPE = "Ctrl+Alt+I", "Ctrl+Shift+I", "Ctrl+Alt+W"
COPY, COPY_PYTHON = "Ctrl+Alt+C", "Ctrl+Alt+Y"
STRIP, HINT_CONTROLS, ADVANCED = "Ctrl+Alt+A", "Ctrl+Alt+K", "Ctrl+Alt+V"
HINTS, DRAW, PAINT = "Ctrl+Alt+H", "Ctrl+Alt+R", "Ctrl+Alt+M"
EYEDROPPER, DOUBT = "Ctrl+Alt+E", "Ctrl+Alt+U"
"""As Qt writes them."""

COMPARE = "B"
"""Held to see the source; napari writes it the same way."""

_OF_NAPARI = {UNDO: "Control-Z", REDO: "Control-Shift-Z"}


class Shortcuts:
    """Binds keys to buttons as long as the panel is open.

    Undo and redo are bound to the canvas too; a layer with an undo of its own, such as Labels,
    comes first while it is active. Text fields of the window, such as the palette, have undo and
    redo of their own, too.

    Parameters
    ----------
    panel : QWidget
        The panel.
    viewer : Viewer
        Gets the keys for undo, redo and to compare.
    buttons : mapping of str to QAbstractButton
        By their keys, as Qt writes them. A key does what a click does, and nothing if the button is
        disabled.
    compare : callable
        Is called with True while the key to compare is held, and then with False.
    """

    def __init__(
        self,
        panel: QWidget,
        viewer: Viewer,
        buttons: Mapping[str, QAbstractButton],
        compare: Callable[[bool], None],
    ) -> None:
        self._viewer = viewer

        def hold(_: Any) -> Iterator[None]:
            compare(True)
            yield
            compare(False)

        viewer.bind_key(COMPARE, hold, overwrite=True)
        for keys, button in buttons.items():
            if keys == COMPARE:
                continue
            shortcut = QShortcut(QKeySequence(keys), panel)
            shortcut.activated.connect(button.click)
            if keys in _OF_NAPARI:
                shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
                viewer.bind_key(_OF_NAPARI[keys], _ignoring_viewer(button.click), overwrite=True)

    def close(self) -> None:
        """Give the keys of the canvas back."""
        for keys in (COMPARE, *_OF_NAPARI.values()):
            self._viewer.bind_key(keys, None, overwrite=True)


def _ignoring_viewer(slot: Callable[[], None]) -> Callable[[Any], None]:
    return lambda viewer: slot()
