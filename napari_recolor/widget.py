"""The Colorize panel: only wires its parts to each other."""

import atexit
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from napari.layers import Image
from napari.utils.notifications import show_error
from napari.viewer import Viewer
from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtGui import QGuiApplication, QShowEvent
from qtpy.QtWidgets import QFileDialog, QFrame, QScrollArea, QVBoxLayout, QWidget
from superqt.utils import GeneratorWorker, create_worker

from napari_recolor import command_text
from napari_recolor.binding import Binding
from napari_recolor.color_chooser import ColorChooser
from napari_recolor.connections import Connections
from napari_recolor.controls import Controls
from napari_recolor.doubt import most_doubtful
from napari_recolor.events import Failure, failure_of
from napari_recolor.gl_context import canvas_of, guard_canvas
from napari_recolor.hint_panel import HintPanel
from napari_recolor.hints import HintLayer
from napari_recolor.history import History
from napari_recolor.inspector import Inspector
from napari_recolor.jobs import Job, JobQueue
from napari_recolor.layers import KEY, is_image, is_result, layers_of_run
from napari_recolor.legends import Legends
from napari_recolor.live_preview import LivePreview
from napari_recolor.options import Options
from napari_recolor.palette import check_colors, wrong_colors
from napari_recolor.preferences import (
    changed,
    level_rule,
    options,
    preferences,
    reset_coloring,
    restore_defaults,
)
from napari_recolor.reading import Index, Request, make_request, shown_index
from napari_recolor.readout import Readout
from napari_recolor.recall import Recalled
from napari_recolor.run import Run
from napari_recolor.run_groups import RunGroups
from napari_recolor.runner import Runner, tell_failure
from napari_recolor.saving import FILTER, is_source, save, suggested_path
from napari_recolor.series_panel import SeriesPanel
from napari_recolor.shortcuts import Shortcuts
from napari_recolor.source_choice import SourceChoice
from napari_recolor.torch_import import load_torch, preload
from napari_recolor.wipe import Wipe
from napari_recolor.wish_panel import WishPanel
from napari_recolor.wishes import Draw, Wishes
from napari_recolor.worker import choices
from recolor_core.errors import ImageError, RecolorError
from recolor_core.hints import Hint, Mark, Region

# A script may end while a thread still loads PyTorch, with no event loop that would wait for it;
# a thread that outlives Qt's objects takes the process down.
atexit.register(GeneratorWorker.await_workers)

LIVE = ("vividness", "saturation", "warmth", "palette")
"""Settings that the finished image follows at once: the generator is not asked again."""

PRELOAD_MS = 500
"""What is needed later is imported when the panel has been open for so many milliseconds."""

NO_STRIP = "Colorize one image first: the strip shows its alternatives."
NO_STRIP_OF_STACKS = (
    "Alternatives are of single images: from frame to frame, each would choose other colors. Set "
    "Scope to “current slice”, and colorize that."
)

PAGES = {
    "inspect": ("coarse", "rgb", "change"),
    "maps": ("a coarse", "a refined", "uncertainty", "b coarse", "b refined", "change"),
}
"""Buttons, and the roles of the layers that they show, row by row."""


class ColorizeWidget(QWidget):
    """Colorizes layers of a viewer.

    Parameters
    ----------
    napari_viewer
        The viewer that the panel is docked in.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        # napari hands plugins a proxy, whose layers are proxies anew whenever they are asked for.
        self.viewer: Viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self.controls = Controls(Readout(self.viewer))
        self._preferences = preferences()
        self._binding = Binding(self.controls, self._preferences, self)
        self._source = SourceChoice(self.viewer, self.controls, self)
        self._queue = JobQueue(self)
        self._runner = Runner(self.viewer, self._queue, self)
        self._live = LivePreview(self.viewer, self._queue, self)
        self._hints = HintPanel(self.viewer, self.controls, self)
        self._wishes = WishPanel(self.viewer, self.controls, self._queue, self)
        self._series = SeriesPanel(
            self.viewer, self.controls, self._queue, lambda: options(self._preferences), self
        )
        self._saves_next = False  # whether the next image opens once this one is saved
        self._doubted: list[Mark] = []  # places that have been shown
        self._chooser = ColorChooser(self.controls, self._hints, self._queue, self)
        self._inspector = Inspector(self.viewer)
        self._legends = Legends()
        self._groups = RunGroups(self.viewer, lambda: self._inspector.active)
        self._wipe = Wipe(self.viewer)
        self._connections = Connections()
        self._history = History(self._take_state, self._restore_state, self)
        self._late_hints: HintLayer | None = None  # changed while a run was on
        self._choices_known = False
        self._preloaded = self._loaded_for_hints = False
        self._page = ""  # of those that Inspect shows
        self._compared: Image | None = None  # hidden as long as the user compares
        self._late_save: Job | None = None  # asked for while colors changed
        self._lay_out()

        self._describing = QTimer(self)
        self._describing.setSingleShot(True)
        self._describing.setInterval(50)
        self._describing.timeout.connect(self._describe)
        self._wire_parts()
        self._wire_buttons()
        self._wire_viewer()
        self._say("Ready.")
        self._on_source()

    def _lay_out(self) -> None:
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setWidget(self.controls)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(scroll)
        beside = scroll.verticalScrollBar().sizeHint().width()
        self.setMinimumWidth(self.controls.minimumSizeHint().width() + beside)

    # --- wiring -------------------------------------------------------------------------------

    def _wire_parts(self) -> None:
        self._binding.changed.connect(self._on_setting)
        self._source.changed.connect(self._on_source)
        self._runner.changed.connect(self._on_run_changed)
        self._runner.said.connect(self._say)
        self._runner.progressed.connect(self._show_progress)
        self._live.said.connect(self._say)
        self._live.finished.connect(self._on_live_finished)
        self._hints.changed.connect(self._on_hints)
        self._hints.opened.connect(self._history.note_soon)
        self._hints.opened.connect(self._load_for_hints)
        self._hints.said.connect(self._say)
        self._hints.selected.connect(self._on_region)
        self._series.wanted.connect(self._run_layer)
        self._series.brought.connect(self._bring_back)
        self._series.said.connect(self._say)
        self._chooser.wanted.connect(self._find_likely)
        self._wishes.changed.connect(self._on_wishes)
        self._wishes.wanted.connect(self._make_alternatives)
        self._wishes.said.connect(self._say)
        self._history.changed.connect(self._enable)
        self._inspector.changed.connect(self._on_inspected)
        self._wipe.changed.connect(self._on_wiped)

    def _wire_buttons(self) -> None:
        controls = self.controls
        controls.run.clicked.connect(self.run)
        controls.cancel.clicked.connect(self._series.stop)
        controls.cancel.clicked.connect(self._runner.cancel)
        for page in PAGES:
            getattr(controls, page).clicked.connect(partial(self._inspect, page))
        controls.wipe.clicked.connect(self._wipe_over)
        controls.copy_command.clicked.connect(self._copy_command)
        controls.copy_python.clicked.connect(self._copy_python)
        controls.restore.clicked.connect(partial(restore_defaults, self._preferences))
        controls.reset.clicked.connect(partial(reset_coloring, self._preferences))
        controls.save_image.clicked.connect(self._save_image)
        controls.device.opened.connect(self._find_choices)
        controls.weights.opened.connect(self._find_choices)
        controls.before.pressed.connect(partial(self._compare, True))
        controls.before.released.connect(partial(self._compare, False))
        controls.undo.clicked.connect(self._history.undo)
        controls.save_next.clicked.connect(self._save_next)
        controls.doubt.clicked.connect(self._show_doubt)
        controls.matches.clicked.connect(self._show_matches)
        controls.redo.clicked.connect(self._history.redo)

    def _wire_viewer(self) -> None:
        viewer, connect = self.viewer, self._connections.connect
        connect(viewer.layers.events.removed, self._on_removed)
        connect(viewer.layers.selection.events.active, self._on_active)
        connect(viewer.dims.events.point, self._on_point)
        connect(viewer.dims.events.ndisplay, self._describe_soon)
        connect(viewer.scene.camera.events.center, self._describe_soon)
        connect(viewer.scene.camera.events.zoom, self._describe_soon)
        # Holds only what must end with the panel, and not the panel itself.
        shortcuts = Shortcuts(self, viewer, self.controls.buttons_with_keys(), self._compare)
        parts = (
            *(self._connections, self._source, self._binding, self._runner, self._queue),
            *(self._groups, self._inspector, self._legends, shortcuts),
        )

        def leave() -> None:
            for part in parts:
                part.close()

        self._leave = leave
        self.destroyed.connect(leave)

    def changeEvent(self, event: QEvent) -> None:
        """Leave the viewer alone when napari takes the panel out of its dock."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._leave()
            self._inspector.stop()
            self._wipe.stop()
            self._chooser.close()
            self._series.close()
            self._hints.close()

    def showEvent(self, event: QShowEvent) -> None:
        """Guard the canvas of the window that the panel is shown in."""
        super().showEvent(event)
        guard_canvas(self.viewer, self.window())
        if not self._preloaded:
            self._preloaded = True
            QTimer.singleShot(PRELOAD_MS, partial(create_worker, preload, _start_thread=True))

    def _load_for_hints(self) -> None:
        """Load what hints need when a hint layer is opened: the first hint need not wait for it."""
        if not self._loaded_for_hints:
            self._loaded_for_hints = True
            create_worker(load_torch, _start_thread=True)

    # --- what will be done --------------------------------------------------------------------

    def _find_choices(self) -> None:
        """Look for devices and weights, once: it takes PyTorch, so not when the panel opens."""
        if not self._choices_known:
            self._choices_known = True
            self._queue.submit(Job(choices, self._on_choices, keeps=True))

    def _on_choices(self, found: tuple[list[str], list[str]] | Failure) -> None:
        if isinstance(found, Failure):
            self._say(found.message)
        else:
            self._binding.offer(*found)

    def _on_setting(self, name: str) -> None:
        """Follow a setting: the finished image takes on new colors at once where that is quick."""
        self._describe_soon()
        self._history.note_soon()
        chosen, palette = self._preferences, self.controls.palette
        if name == "palette":
            wrong = bool(wrong_colors(chosen.palette))
            palette.setStyleSheet("border: 1px solid #d04030" if wrong else "")
            if chosen.palette:
                self.controls.more_hints.title.setChecked(True)  # what changes colors is seen
        if name in LIVE and not self.busy:
            self._recolor_last()

    def _recolor_last(self) -> None:
        """Color the last result of the chosen layer anew with the settings as they are now."""
        run = self._runner.last_of(self._source.layer)
        if run is None or len(run.request.indices) != 1 or wrong_colors(self._preferences.palette):
            return
        wanted = self._live_options(run)
        if wanted != run.options or self._live.busy:
            (index,) = run.request.indices
            self._live.request(run, index, self._hints_for(run.request).get(index, []), wanted)

    def _live_options(self, run: Run) -> Options:
        """The options of a run with the settings and wishes that the image follows at once."""
        now, wishes = options(self._preferences), self._wishes.of(run.source)
        # Its color is registered at another size: that takes a new run.
        wishes = replace(wishes, color_from=run.options.wishes.color_from)
        if run.stages.steady:
            wishes = run.options.wishes
        live = {name: getattr(now, name) for name in LIVE}
        return replace(run.options, **live, wishes=wishes)

    def _on_wishes(self) -> None:
        self._history.note_soon()
        self._describe_soon()
        run = self._runner.last_of(self._source.layer)
        if run is not None and len(run.request.indices) != 1:
            self._say("Press Colorize: a stack follows references when it is colorized again.")
        if not self.busy:
            self._recolor_last()

    def _on_region(self) -> None:
        hint_layer, run = self._hints.current, self._runner.last_of(self._source.layer)
        region = None if hint_layer is None else hint_layer.selected_region()
        if region is not None and run is not None:
            inside = run.hints([region])
            region = inside[0] if inside and isinstance(inside[0], Region) else None
        self._wishes.select_region(region)

    def _make_alternatives(self) -> None:
        """Fill the strip of alternatives, once nothing else is being done."""
        run = self._runner.last_of(self._source.layer)
        if self.busy or self._live.busy:
            return  # asked for again at the end
        if run is None or len(run.request.indices) != 1 or run.stages.steady or not run.finished:
            if self.controls.strip.title.isChecked():
                self._say(NO_STRIP if run is None or not run.finished else NO_STRIP_OF_STACKS)
            return
        self._on_region()
        (index,) = run.request.indices
        hints = run.hints(self._hints_for(run.request).get(index, []))
        self._wishes.make(run, hints, self._live_options(run))

    def _find_likely(self, hint_layer: HintLayer, x: float, y: float) -> None:
        run = None if self.busy else self._runner.last_of(hint_layer.image)
        self._chooser.look(run, x, y)

    def _show_matches(self) -> None:
        run = self._runner.last_of(self._source.layer)
        if run is not None and run.finished:
            index = self._index_shown(run)
            self._wishes.show_matches(run, index, run.stages.matches.get(index, ()))

    def _show_found(self) -> None:
        run = self._runner.last_of(self._source.layer)
        if run is not None and run.finished:
            self._wishes.show_found(run.stages.matches.get(self._index_shown(run), ()))

    def _index_shown(self, run: Run) -> Index:
        """The finished image of a run that is shown, or its first one."""
        index = shown_index(run.source, self.viewer, run.request.source.leading)
        return index if index in run.finished else run.finished[0]

    def _take_state(self) -> Any:
        chosen = self._preferences
        settings = {name: getattr(chosen, name) for name in self.controls.fields}
        return settings, self._hints.states(), self._wishes.states(), self._runner.states()

    def _restore_state(self, state: Any) -> None:
        for name, value in state[0].items():
            setattr(self._preferences, name, value)
        self._hints.restore(state[1])
        self._runner.restore(state[3])
        self._wishes.restore(state[2])

    def _on_source(self) -> None:
        self._hints.choose(self._source.layer)
        self._wishes.choose(self._source.layer)
        self._series.choose(self._source.layer)
        self._show_found()
        self._describe()

    def _on_active(self, _: Any = None) -> None:
        self._read_out()
        self._enable()

    def _on_point(self, _: Any = None) -> None:
        self._describe_soon()
        self._runner.uncover()

    def _describe_soon(self, _: Any = None) -> None:
        self._describing.start()

    def _describe(self) -> None:
        request = self._request()
        summary = request if isinstance(request, str) else request.summary()
        if isinstance(request, Request) and self._wishes_for(request) != self._wishes.current:
            summary += " The alternative that you took is left out: it is of one image."
        self.controls.summary.setText(summary)
        different = changed(self._preferences)
        words = ", ".join(f"{title} {_short(value)}" for title, value in different.items())
        self.controls.changed.setText(f"Not at its default: {words}.")
        for control in (self.controls.changed, self.controls.reset):
            control.setVisible(bool(different))
        self._enable()

    def _request(self) -> Request | str:
        """Return the request, or a sentence that says why there is none."""
        layer = self._source.layer
        if layer is None:
            return "Open an image: File > Open Files, or File > Open Sample > Recolor."
        try:
            chosen = self._preferences
            check_colors(chosen.palette)
            time = self._source.time if chosen.steady else None
            request = make_request(layer, self.viewer, chosen.scope, level_rule(chosen), time)
            if request.time is not None and chosen.alternatives:
                raise ImageError(
                    "Alternatives cannot be kept steady over time. Set Alternatives to 0, or "
                    "uncheck Steady."
                )
            return request
        except RecolorError as error:
            return str(error)

    def _enable(self, _: Any = None) -> None:
        controls, busy, chosen = self.controls, self.busy, self._preferences
        controls.run.setEnabled(not busy and isinstance(self._request(), Request))
        running = self._runner.running
        controls.cancel.setEnabled(running is not None and not running.canceled)
        shown = not busy and self._runner.about(self.viewer.layers.selection.active) is not None
        for button in (controls.copy_command, controls.copy_python):
            button.setEnabled(shown)
        for button in (controls.save_image, controls.before, controls.wipe):
            button.setEnabled(not busy and self._image_to_save() is not None)
        saved = self._image_to_save()
        has_file = saved is not None and self._series.path_of(saved) is not None
        controls.save_next.setEnabled(not busy and has_file)
        controls.run_all.setEnabled(not busy and controls.layer.count() > 1)
        controls.doubt.setEnabled(not busy and self._runner.last_of(self._source.layer) is not None)
        controls.undo.setEnabled(self._history.can_undo)
        controls.redo.setEnabled(self._history.can_redo)
        for page in PAGES:
            getattr(controls, page).setEnabled(not busy and self._runner.last is not None)
        for control in (controls.low, controls.high, controls.per):
            control.setEnabled(chosen.levels != "contrast")
        stack = chosen.scope == "stack" and controls.time.count() > 1
        controls.steady.setEnabled(stack)
        controls.time.setEnabled(stack and chosen.steady)
        self._hints.enable()

    def _say(self, text: str) -> None:
        self.controls.status.setText(text)

    # --- running ------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether a run is on."""
        return self._runner.busy

    def run(self) -> None:
        """Colorize the chosen layer in a worker thread."""
        request = self._request()
        if self.busy or isinstance(request, str):
            return
        self._stop_inspecting()
        self._wipe.stop()
        self._history.note()  # what was changed before the run is a step of its own
        try:
            hints = self._hints_for(request)
            wished = replace(options(self._preferences), wishes=self._wishes_for(request))
            self._runner.replaces = self._preferences.replace_last
            self._runner.start(self._source.layer, request, wished, hints)
        except Exception as error:
            failure = failure_of(error)
            self._say(f"Failed: {failure.message}")
            tell_failure(failure)

    def _run_layer(self, layer: Image) -> None:
        """Colorize one of all open images."""
        menu = self.controls.layer
        menu.setCurrentIndex(next((i for i in range(menu.count()) if menu.itemData(i) is layer), 0))
        if isinstance(self._request(), Request):
            self.run()
        else:
            self._series.go_on()

    def _wishes_for(self, request: Request) -> Wishes:
        """What is asked for beside hints; an alternative belongs to one image."""
        wishes = self._wishes.of(self._source.layer)
        single = request.time is None and len(request.indices) == 1
        return wishes if single else replace(wishes, draw=Draw(), parts=())

    def _hints_for(self, request: Request) -> dict[Index, list[Mark]]:
        """The hints of each image, in pixels of the source."""
        hint_layer = self._hints.of(self._source.layer)
        if hint_layer is None:
            return {}
        # Over time, strokes that belong to no frame belong to the one that is looked at.
        everywhere = request.time is None
        return {index: hint_layer.values(index, everywhere) for index in request.indices}

    def _show_progress(self, done: float | None) -> None:
        bar = self.controls.progress
        bar.setVisible(done is not None)
        bar.setRange(0, 1000 if done else 0)
        bar.setValue(round(1000 * (done or 0)))

    def _on_run_changed(self) -> None:
        self._read_out()
        if self._runner.last is not None and not self.busy:
            self._find_choices()  # PyTorch is there now
        if not self.busy:
            self._history.note()  # a run that took the place of another can be undone
            if self._series.go_on():
                return
            self._show_found()
            self._make_alternatives()
        if not self.busy and self._late_hints is not None:
            hint_layer, self._late_hints = self._late_hints, None
            self._on_hints(hint_layer)
        self._enable()

    def _on_removed(self, event: Any = None) -> None:
        self._wishes.forget(getattr(event, "value", None))
        self._legends.forget(getattr(event, "value", None))
        self._runner.forget_removed()
        self._enable()

    def _on_hints(self, hint_layer: HintLayer) -> None:
        """Color the image shown anew with the hints as they are now."""
        self._history.note_soon()
        if self.busy:
            self._late_hints = hint_layer
            return
        run = self._runner.last_of(hint_layer.image)
        if run is None:
            return
        index = shown_index(hint_layer.image, self.viewer, run.request.source.leading)
        if index in run.stages.provenance:
            values = hint_layer.values(index, everywhere=not run.stages.steady)
            # Another frame of a stack has other hints, and the colors of these already.
            if self._live.busy or run.hints(values) != run.given.get(index, []):
                self._live.request(run, index, values, self._live_options(run))

    def _on_live_finished(self) -> None:
        self.controls.readout.read()
        self._show_found()
        self._make_alternatives()
        if self._late_save is not None:
            job, self._late_save = self._late_save, None
            self._queue.submit(job)

    # --- saving -------------------------------------------------------------------------------

    def _image_to_save(self) -> Image | None:
        """The active image of a run, or else that of the last run."""
        active, run = self.viewer.layers.selection.active, self._runner.last
        if (
            isinstance(active, Image)
            and is_result(active)
            and is_image(active.metadata[KEY]["layer"])
        ):
            return active
        rgb = None if run is None else run.layers.get("rgb")
        return rgb if rgb in self.viewer.layers else None

    def _save_image(self) -> None:
        layer = self._image_to_save()
        if layer is None or self.busy:
            return
        path, _ = QFileDialog.getSaveFileName(
            self, "Save image", str(suggested_path(layer)), FILTER
        )
        if not path:
            self._saves_next = False
            return
        if is_source(path, layer):
            self._saves_next = False
            show_error(f"{path} is the source of this image, which is never changed.")
            return
        self._save_to(path, layer)

    def _save_to(self, path: str, layer: Image) -> None:
        work = partial(save, path=path, layer=layer)
        job = Job(work, partial(self._on_saved, layer), keeps=True)
        self._say("Saving…")
        if self._live.busy:  # first the colors that were asked for
            self._late_save = job
        else:
            self._queue.submit(job)

    def _save_next(self) -> None:
        """Save the image beside its source, then open the next one of the folder."""
        layer = self._image_to_save()
        if layer is None or self.busy or self._series.path_of(layer) is None:
            return
        self._saves_next = True
        path = suggested_path(layer)
        if path.exists():  # to replace a file is asked for
            self._save_image()
        else:
            self._save_to(str(path), layer)

    def _open_next(self, layer: Image) -> None:
        source = self._series.path_of(layer)
        run = self._runner.of(layer)
        done = list(layers_of_run(self.viewer.layers, layer.metadata[KEY]["id"]).values())
        if run is not None:
            hint_layer = self._hints.of(run.source)
            marks = [] if hint_layer is None else hint_layer.layers
            done += [run.source, *marks]
        if source is not None:
            self._series.next_of(source, done)

    def _bring_back(self, found: Recalled) -> None:
        """Use the settings, hints and wishes of a saved result for the chosen image."""
        known = type(self._preferences).model_fields
        for name, value in found.settings.items():
            if name in known:
                setattr(self._preferences, name, value)
        self._preferences.palette = found.palette
        try:
            hint_layer = self._hints.add() if found.hints else None
            if hint_layer is not None:
                hint_layer.put(found.hints)
        except RecolorError as error:
            self._say(str(error))
            return
        self._wishes.put(found.wishes)
        self._say(f"Brought back from {found.result.name}. Press Colorize (Ctrl+Enter).")

    def _show_doubt(self) -> None:
        """Go to the place that is most uncertain and that no hint is near."""
        run = self._runner.last_of(self._source.layer)
        if run is None or not run.finished or self.busy:
            return
        index = self._index_shown(run)
        uncertainty = run.stages.arrays["uncertainty"][run.request.slot(index)]
        marks = [*run.hints(self._hints_for(run.request).get(index, [])), *self._doubted]
        place = most_doubtful(uncertainty, run.request.size, marks)
        if place is None:
            self._doubted = []
            self._say("Hints are near every place.")
            return
        self._doubted.append(Hint(place[1], place[0], kind="keep"))
        rows, columns = run.request.region
        pixel = (*index, place[0] + rows.start, place[1] + columns.start)
        world = run.source.data_to_world(pixel)
        corner = run.source.data_to_world((*pixel[:-1], pixel[-1] + min(run.request.size) / 3))
        across = float(np.linalg.norm(np.subtract(world, corner))) or 1.0
        camera = self.viewer.scene.camera
        camera.center = (0.0, *world[-2:])
        camera.zoom = min(self.viewer.canvas.size) / across
        self._say("Most in doubt here. Is the color right? If you know better, add a hint.")

    def _on_saved(self, layer: Image, event: str | Failure) -> None:
        goes_on, self._saves_next = self._saves_next, False
        if isinstance(event, Failure):
            self._say(f"Not saved: {event.message}")
            tell_failure(event)
        else:
            self._say(f"Saved, with provenance: {event}")
            if goes_on:
                self._open_next(layer)

    # --- looking ------------------------------------------------------------------------------

    def _read_out(self, _: Any = None) -> None:
        run = self._runner.of(self.viewer.layers.selection.active)
        self.controls.readout.set_source(None if run is None else run.values_at)

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

    def _stop_inspecting(self) -> None:
        """Give the view back; stages that are still being brought are not shown any more."""
        self._page = ""
        self._inspector.stop()
        self._on_inspected(False)

    def _show_page(self, run: Run, page: str) -> None:
        if page == self._page and not self.busy:
            layers = layers_of_run(self.viewer.layers, run.id)
            shown = [layers[role] for role in PAGES[page] if role in layers]
            self._inspector.start(shown, 3 if page == "maps" else 0)
            canvas = canvas_of(self.window())
            if canvas is not None:
                self._legends.show(canvas, shown, self.viewer.canvas.grid.shape)

    def _wipe_over(self, on: bool) -> None:
        """Show the source left of a line and the result right of it."""
        layer = self._image_to_save()
        run = None if layer is None else self._runner.of(layer)
        self._stop_inspecting()
        if on and layer is not None and run is not None:
            layer.visible = True
            self._wipe.start(layer, run.source)
        else:
            self._wipe.stop()
        self._on_wiped(self._wipe.active)

    def _on_wiped(self, on: bool) -> None:
        self.controls.wipe.setChecked(on)

    def _compare(self, on: bool) -> None:
        """Show what lies below the result as long as the user holds a button or key."""
        if on and self._compared is None:
            layer = self._image_to_save()
            if layer is not None and layer.visible:
                self._compared, layer.visible = layer, False
        elif not on and self._compared is not None:
            self._compared.visible, self._compared = True, None

    def _on_inspected(self, on: bool) -> None:
        if not on:
            self._legends.close()
        for page in PAGES:
            getattr(self.controls, page).setChecked(on and page == self._page)

    def _copy_python(self) -> None:
        self._copy(command_text.python, "a Python program that gives the same pixels")

    def _copy_command(self) -> None:
        self._copy(command_text.command, "a command that gives the same image")

    def _copy(self, write: Callable[[Any, Path], command_text.Copy], what: str) -> None:
        about = self._runner.about(self.viewer.layers.selection.active)
        if about is None:
            return
        try:
            copy = write(about, Path(platformdirs.user_data_dir("recolor")) / "hints")
            copy.write_files()
        except (OSError, RecolorError) as error:
            self._say(str(error))
            return
        QGuiApplication.clipboard().setText(copy.text)
        self._say(f"Copied: {what}.")


def _short(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 24 else f"{text[:23]}…"
