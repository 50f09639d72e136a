"""The Colorize panel: only wires its parts to each other.

napari imports this module and makes the widget in one turn of its event loop, in which the window
does not answer. So all else is imported and made in later turns, each in the step that needs it.
"""

import atexit
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.viewer import Viewer
from qtpy.QtCore import QEvent, Qt, QTimer, Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget
from superqt.utils import GeneratorWorker, create_worker

from napari_recolor.connections import Connections
from napari_recolor.runs.torch_import import preload
from napari_recolor.turns import Turns
from napari_recolor.views.gl_context import guard_canvas

if TYPE_CHECKING:
    from napari_recolor.hints.hint_layer import HintLayer

# A script may end while a thread still loads PyTorch, with no event loop that would wait for it;
# a thread that outlives Qt's objects takes the process down.
atexit.register(GeneratorWorker.await_workers)

PRELOAD_MS = 500
"""What is needed later is imported when the panel has been complete for so many milliseconds."""


class ColorizeWidget(QWidget):
    """Colorizes layers of a viewer.

    Its controls are shown once all of them work: see `complete`.

    Parameters
    ----------
    napari_viewer : Viewer
        The viewer that the panel is docked in.
    """

    completed = Signal()
    """Emitted when the panel is complete."""

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        # napari hands plugins a proxy, whose layers are proxies anew whenever they are asked for.
        self.viewer: Viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self._scroll = QScrollArea()
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._scroll)
        self._turns = Turns(self._build(), self)
        self._turns.finished.connect(self.completed)
        self._connections = Connections()
        # What must end with the panel; it does not hold the panel itself.
        ends = self._ends = [self._turns.stop, self._connections.close]

        def leave() -> None:
            for end in ends:
                end()

        self._leave = leave
        self.destroyed.connect(leave)

    @property
    def complete(self) -> bool:
        """Whether the panel has been built; before that it shows nothing, and lacks its parts."""
        return self._turns.complete

    @property
    def busy(self) -> bool:
        """Whether a run is on."""
        return self._runner.busy

    # --- building -----------------------------------------------------------------------------

    def _build(self) -> Iterator[None]:
        """Build the panel; what a user sees comes last, when all of it works."""
        yield  # napari docks the panel
        yield from self._make_controls()
        yield from self._make_parts()
        yield from self._make_panels()
        self._wire()
        self._wire_viewer()
        yield
        self._say("Ready.")
        self._on_active()
        self._on_source()
        self._scroll.setWidget(self.controls)
        self.controls.show()
        beside = self._scroll.verticalScrollBar().sizeHint().width()
        self.setMinimumWidth(self.controls.minimumSizeHint().width() + beside)
        if self.isVisible():
            QTimer.singleShot(PRELOAD_MS, partial(create_worker, preload, _start_thread=True))

    def _make_controls(self) -> Iterator[None]:
        from napari_recolor.panel.controls import Controls
        from napari_recolor.views.readout import Readout

        yield
        self.controls = Controls(Readout(self.viewer))
        yield from self.controls.build()

    def _make_parts(self) -> Iterator[None]:
        """Make what works without controls."""
        viewer = self.viewer
        from napari_recolor.panel.preferences import preferences
        from napari_recolor.runs.jobs import JobQueue

        self._preferences = preferences()
        self._queue = JobQueue(self)
        yield
        from napari_recolor.runs.live_preview import LivePreview
        from napari_recolor.runs.runner import Runner

        self._runner = Runner(viewer, self._queue, self)
        self._live = LivePreview(viewer, self._queue, self)
        yield
        from napari_recolor.views.inspector import Inspector
        from napari_recolor.views.run_groups import RunGroups
        from napari_recolor.views.wipe import Wipe

        self._inspector = Inspector(viewer)
        self._wipe = Wipe(viewer)
        self._groups = RunGroups(viewer, lambda: self._inspector.active)
        ends = (self._runner, self._queue, self._groups, self._inspector)
        self._ends += [part.close for part in ends]
        yield

    def _make_panels(self) -> Iterator[None]:
        """Make what gives the controls their meaning, from top to bottom."""
        viewer, chosen, queue, runner = self.viewer, self._preferences, self._queue, self._runner
        controls, live = self.controls, self._live
        from napari_recolor.panel.binding import Binding
        from napari_recolor.panel.source_choice import SourceChoice

        self._binding = Binding(controls, chosen, queue, self)
        source = self._source = SourceChoice(viewer, controls, self)
        self._ends += [self._binding.close, source.close]
        yield
        from napari_recolor.panel.color_chooser import ColorChooser
        from napari_recolor.panel.hint_panel import HintPanel
        from napari_recolor.panel.wish_panel import WishPanel

        yield
        hints = self._hints = HintPanel(viewer, controls, self)
        self._chooser = ColorChooser(controls, hints, queue, self)
        wishes = self._wishes = WishPanel(viewer, controls, runner, self)
        yield
        from napari_recolor.panel.preferences import options
        from napari_recolor.panel.recall_panel import RecallPanel
        from napari_recolor.panel.request_panel import RequestPanel
        from napari_recolor.panel.run_panel import RunPanel
        from napari_recolor.panel.series_panel import SeriesPanel
        from napari_recolor.panel.undo_panel import UndoPanel

        requests = self._requests = RequestPanel(
            viewer, controls, chosen, source, hints, wishes, self
        )
        self._recall = RecallPanel(controls, chosen, queue, hints, wishes, self)
        self._series = SeriesPanel(viewer, controls, source, runner, partial(options, chosen), self)
        self._run = RunPanel(controls, source, requests, runner, self)
        self._history = UndoPanel(viewer, controls, chosen, hints, wishes, runner, self)
        yield
        from napari_recolor.panel.copy_panel import CopyPanel
        from napari_recolor.panel.doubt_panel import DoubtPanel
        from napari_recolor.panel.following import Following
        from napari_recolor.panel.save_panel import SavePanel
        from napari_recolor.panel.strip_panel import StripPanel
        from napari_recolor.panel.view_panel import ViewPanel

        self._save = SavePanel(viewer, controls, queue, runner, live, hints, self._series, self)
        self._views = ViewPanel(viewer, controls, runner, self._inspector, self._wipe, self)
        self._copy = CopyPanel(viewer, controls, runner, self)
        self._following = Following(viewer, chosen, source, requests, wishes, runner, live, self)
        self._strip = StripPanel(
            controls, source, requests, hints, wishes, self._following, queue, runner, live, self
        )
        self._doubt = DoubtPanel(viewer, controls, source, requests, runner, self)
        yield

    # --- wiring -------------------------------------------------------------------------------

    def _wire(self) -> None:
        for part in (
            *(self._binding, self._runner, self._live, self._hints, self._wishes, self._recall),
            *(self._series, self._run, self._save, self._copy, self._following, self._strip),
            self._doubt,
        ):
            part.said.connect(self._say)
        self._binding.changed.connect(self._on_setting)
        self._source.changed.connect(self._on_source)
        self._requests.described.connect(self._enable)
        self._history.changed.connect(self._enable)
        self._hints.changed.connect(self._on_hints)
        self._hints.opened.connect(self._history.note_soon)
        self._wishes.changed.connect(self._on_wishes)
        self._chooser.wanted.connect(self._find_likely)
        self._recall.wanted.connect(self._series.open)
        self._series.wanted.connect(self._run.run_layer)
        self._run.skipped.connect(self._series.go_on)
        self._run.starting.connect(self._views.stop)
        self._run.starting.connect(self._history.note)  # what was changed before is its own step
        self._runner.changed.connect(self._on_run_changed)
        self._live.finished.connect(self._on_live_finished)

    def _wire_viewer(self) -> None:
        from napari_recolor.panel.shortcuts import Shortcuts

        viewer, connect = self.viewer, self._connections.connect
        describe_soon = self._requests.describe_soon
        connect(viewer.layers.events.removed, self._on_removed)
        connect(viewer.layers.selection.events.active, self._on_active)
        connect(viewer.dims.events.point, self._on_point)
        connect(viewer.dims.events.ndisplay, describe_soon)
        connect(viewer.scene.camera.events.center, describe_soon)
        connect(viewer.scene.camera.events.zoom, describe_soon)
        shortcuts = Shortcuts(self, viewer, self.controls.buttons_with_keys(), self._views.compare)
        self._ends += [self._views.legends.close, shortcuts.close]

    def changeEvent(self, event: QEvent) -> None:
        """Leave the viewer alone when napari takes the panel out of its dock."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._leave()
            if self.complete:
                self._inspector.stop()
                self._wipe.stop()
                self._chooser.close()
                self._series.close()
                self._hints.close()

    def showEvent(self, event: QShowEvent) -> None:
        """Guard the canvas of the window that the panel is shown in."""
        super().showEvent(event)
        guard_canvas(self.viewer, self.window())

    # --- what follows what --------------------------------------------------------------------

    def _on_source(self) -> None:
        for part in (self._hints, self._wishes, self._recall):
            part.choose(self._source.layer)
        self._wishes.show_found()
        self._requests.describe()

    def _on_setting(self, name: str) -> None:
        self._requests.describe_soon()
        self._history.note_soon()
        if name == "palette":
            self._requests.show_palette()
        self._following.follow_setting(name)

    def _on_hints(self, hint_layer: "HintLayer") -> None:
        self._history.note_soon()
        self._following.follow_hints(hint_layer)

    def _on_wishes(self) -> None:
        self._history.note_soon()
        self._requests.describe_soon()
        self._following.follow_wishes()

    def _on_run_changed(self) -> None:
        self._views.read_out()
        if not self.busy:
            if self._runner.last is not None:
                self._binding.find_choices()
            self._history.note()  # a run that took the place of another can be undone
            if self._series.go_on():
                return
            self._wishes.show_found()
            self._strip.make()
            self._following.catch_up()
        self._enable()

    def _on_live_finished(self) -> None:
        self.controls.readout.read()
        self._wishes.show_found()
        self._following.catch_up()
        self._strip.make()

    def _on_removed(self, event: Any = None) -> None:
        layer = getattr(event, "value", None)
        self._wishes.forget(layer)
        self._views.legends.forget(layer)
        self._runner.forget_removed()
        self._history.forget_removed()
        if not self.viewer.layers and not self.busy:
            self._say("Ready.")  # nothing that was said before is true any more
        self._enable()

    def _on_active(self, _: Any = None) -> None:
        """Choose the active image, or the image that the active layer was made from or hints."""
        active = self.viewer.layers.selection.active
        owners = (self._hints.image_of(active), self._runner.source_of(active), active)
        self._source.choose(next((one for one in owners if one is not None), None))
        self._views.read_out()
        self._enable()

    def _on_point(self, _: Any = None) -> None:
        self._requests.describe_soon()
        self._runner.uncover()

    def _find_likely(self, hint_layer: "HintLayer", x: float, y: float) -> None:
        run = None if self.busy else self._runner.last_of(hint_layer.image)
        self._chooser.look(run, x, y)

    def _enable(self) -> None:
        for part in (
            *(self._requests, self._run, self._history, self._save, self._series, self._views),
            *(self._copy, self._doubt, self._hints),
        ):
            part.enable()

    def _say(self, text: str) -> None:
        self.controls.status.setText(text)
