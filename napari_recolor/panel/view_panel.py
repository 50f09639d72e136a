"""Looking: stages side by side, before and after, and the values under the mouse."""

from functools import partial
from typing import Any

from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtCore import QObject

from napari_recolor.panel.controls import Controls
from napari_recolor.runs.layers import KEY, is_result, layers_of_run
from napari_recolor.runs.run import Run
from napari_recolor.runs.runner import Runner
from napari_recolor.views.gl_context import canvas_of
from napari_recolor.views.inspector import Inspector
from napari_recolor.views.legends import Legends
from napari_recolor.views.wipe import Wipe

PAGES = {
    "inspect": ("coarse", "rgb", "change"),
    "maps": ("a coarse", "a refined", "uncertainty", "b coarse", "b refined", "change"),
}
"""Buttons, and the roles of the layers that they show, row by row."""


class ViewPanel(QObject):
    """Wires the buttons that change how results are looked at.

    Parameters
    ----------
    viewer : ViewerModel
        Shows the layers.
    controls : Controls
        With the buttons and the readout.
    runner : Runner
        With the finished runs.
    inspector : Inspector
        Shows stages side by side.
    wipe : Wipe
        Shows the source left of a line.
    parent : QObject, optional
        Of the object.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        controls: Controls,
        runner: Runner,
        inspector: Inspector,
        wipe: Wipe,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.viewer, self._controls, self._runner = viewer, controls, runner
        self._inspector, self._wipe = inspector, wipe
        self.legends = Legends()
        self._page = ""  # of those that Inspect shows
        self._compared: Image | None = None  # hidden as long as the user compares
        for page in PAGES:
            getattr(controls, page).clicked.connect(partial(self._inspect, page))
        controls.wipe.clicked.connect(self._wipe_over)
        controls.before.pressed.connect(partial(self.compare, True))
        controls.before.released.connect(partial(self.compare, False))
        inspector.changed.connect(self._on_inspected)
        wipe.changed.connect(self._on_wiped)

    def enable(self) -> None:
        """Enable what can be done now."""
        controls, busy = self._controls, self._runner.busy
        layer = None if busy else self._runner.image_shown()
        controls.before.setEnabled(layer is not None)
        controls.wipe.setEnabled(layer is not None and self._source_of(layer) is not None)
        for page in PAGES:
            getattr(controls, page).setEnabled(not busy and self._runner.last is not None)

    def read_out(self) -> None:
        """Show the values of the run of the active layer under the mouse."""
        run = self._runner.of(self.viewer.layers.selection.active)
        self._controls.readout.set_source(None if run is None else run.values_at)

    def stop(self) -> None:
        """Give the view back."""
        self._stop_inspecting()
        self._wipe.stop()

    # --- stages side by side ------------------------------------------------------------------

    def _inspect(self, page: str, on: bool) -> None:
        """Show the stages of a run side by side, or give the view back."""
        run = self._runner.of(self.viewer.layers.selection.active)
        self._page = page
        self._wipe.stop()
        if on and run is not None:
            # In 3D, napari fails while it adds an image or draws it later, up to a crash.
            self.viewer.dims.ndisplay = 2
            self._runner.bring_stages(run, PAGES[page], partial(self._show_page, run, page))
        else:
            self._stop_inspecting()

    def _show_page(self, run: Run, page: str) -> None:
        if page == self._page and not self._runner.busy:
            layers = layers_of_run(self.viewer.layers, run.id)
            shown = [layers[role] for role in PAGES[page] if role in layers]
            self._inspector.start(shown, 3 if page == "maps" else 0)
            canvas = canvas_of(self._controls.window())
            if canvas is not None:
                self.legends.show(canvas, shown, self.viewer.canvas.grid.shape)

    def _stop_inspecting(self) -> None:
        """Give the view back; stages that are still being brought are not shown any more."""
        self._page = ""
        self._inspector.stop()
        self._on_inspected(False)

    def _on_inspected(self, on: bool) -> None:
        if not on:
            self.legends.close()
        for page in PAGES:
            getattr(self._controls, page).setChecked(on and page == self._page)

    # --- before and after ---------------------------------------------------------------------

    def _wipe_over(self, on: bool) -> None:
        """Show the source left of a line and the result right of it."""
        layer = self._runner.image_shown()
        source = None if layer is None else self._source_of(layer)
        self._stop_inspecting()
        if on and layer is not None and source is not None:
            layer.visible = True
            self._wipe.start(layer, source)
        else:
            self._wipe.stop()
        self._on_wiped(self._wipe.active)

    def _source_of(self, layer: Image) -> Image | None:
        """Return the layer that an image was made from; without its run, the one of its name."""
        about = layer.metadata[KEY]
        run = self._runner.runs.get(about["id"])
        if run is not None:
            return run.source
        name = about["source"]["layer"]
        named = (one for one in self.viewer.layers if one.name == name and not is_result(one))
        return next((one for one in named if isinstance(one, Image)), None)

    def _on_wiped(self, on: bool) -> None:
        self._controls.wipe.setChecked(on)

    def compare(self, on: bool, _: Any = None) -> None:
        """Show what lies below the result as long as the user holds a button or key."""
        if on and self._compared is None:
            layer = self._runner.image_shown()
            if layer is not None and layer.visible:
                self._compared, layer.visible = layer, False
        elif not on and self._compared is not None:
            self._compared.visible, self._compared = True, None
