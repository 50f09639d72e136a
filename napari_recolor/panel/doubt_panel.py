"""The button Where in doubt."""

import numpy as np
from napari.components import ViewerModel
from qtpy.QtCore import QObject, Signal

from napari_recolor.panel.controls import Controls
from napari_recolor.panel.doubt import most_doubtful
from napari_recolor.panel.request_panel import RequestPanel
from napari_recolor.panel.source_choice import SourceChoice
from napari_recolor.runs.reading import Index
from napari_recolor.runs.run import Run
from napari_recolor.runs.runner import Runner
from recolor_core.hints import Hint, Mark


class DoubtPanel(QObject):
    """Moves the view to the place whose colors are most uncertain and that no hint is near.

    Parameters
    ----------
    viewer : ViewerModel
        Whose camera moves.
    controls : Controls
        With the button.
    source : SourceChoice
        The layer whose result is looked at.
    requests : RequestPanel
        The hints of the layer.
    runner : Runner
        With the finished runs.
    parent : QObject, optional
        Of the object.
    """

    said = Signal(str)
    """A sentence that says what is shown."""

    def __init__(
        self,
        viewer: ViewerModel,
        controls: Controls,
        source: SourceChoice,
        requests: RequestPanel,
        runner: Runner,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.viewer, self._controls, self._source = viewer, controls, source
        self._requests, self._runner = requests, runner
        self._shown: list[Mark] = []  # places that have been shown
        controls.doubt.clicked.connect(self._show)

    def enable(self) -> None:
        """Enable what can be done now."""
        run = self._runner.last_of(self._source.layer)
        self._controls.doubt.setEnabled(not self._runner.busy and run is not None)

    def _show(self) -> None:
        run = self._runner.last_of(self._source.layer)
        if run is None or not run.finished or self._runner.busy:
            return
        index = self._runner.finished_index(run)
        uncertainty = run.stages.arrays["uncertainty"][run.request.slot(index)]
        marks = [*run.hints(self._requests.hints_for(run.request).get(index, [])), *self._shown]
        place = most_doubtful(uncertainty, run.request.size, marks)
        if place is None:
            self._shown = []
            self.said.emit("Hints are near every place.")
            return
        self._shown.append(Hint(place[1], place[0], kind="keep"))
        self._go_to(run, index, place)
        self.said.emit("Most in doubt here. Is the color right? If you know better, add a hint.")

    def _go_to(self, run: Run, index: Index, place: tuple[float, float]) -> None:
        """Show a third of the short side of the image around a place of it."""
        rows, columns = run.request.region
        pixel = (*index, place[0] + rows.start, place[1] + columns.start)
        world = run.source.data_to_world(pixel)
        corner = run.source.data_to_world((*pixel[:-1], pixel[-1] + min(run.request.size) / 3))
        across = float(np.linalg.norm(np.subtract(world, corner))) or 1.0
        camera = self.viewer.scene.camera
        camera.center = (0.0, *world[-2:])
        camera.zoom = min(self.viewer.canvas.size) / across
