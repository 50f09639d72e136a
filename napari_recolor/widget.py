"""The Colorize panel: wires controls, worker, layers and the parts that look at them."""

import atexit
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import platformdirs
from napari.layers import Image, Labels, Layer, Shapes
from napari.qt.threading import create_worker
from napari.utils.notifications import notification_manager, show_error, show_warning
from napari.viewer import Viewer
from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QFileDialog, QFrame, QScrollArea, QVBoxLayout, QWidget
from superqt.utils import GeneratorWorker

from napari_recolor import command_text
from napari_recolor.controls import Controls, fill
from napari_recolor.hints import HintLayer
from napari_recolor.inspector import Inspector
from napari_recolor.layers import CHROMA, KEY, is_result, layers_of_run
from napari_recolor.live_preview import LivePreview
from napari_recolor.palette import palette_text
from napari_recolor.progress_bars import Activity
from napari_recolor.reading import Index, Plan, Source, make_plan, shown_index, time_axis
from napari_recolor.readout import STAGES, Readout
from napari_recolor.run import Run
from napari_recolor.settings import level_rule, options, preferences, restore_defaults
from napari_recolor.worker import Engine, Failure, Step, choices, colorize, see_again
from recolor_core.errors import DeviceWarning, RecolorError

# A script may end while a thread still loads PyTorch, with no event loop that would wait for it;
# a thread that outlives Qt's objects takes the process down.
atexit.register(GeneratorWorker.await_workers)

INSPECTED = ("a coarse", "a refined", "rgb", "b coarse", "b refined", "uncertainty")
"""What Inspect shows, row by row, three in each."""

AIR_MS = 20
"""Time for the window to answer its user between one layer and the next, in milliseconds."""

CHOOSE_FILE = "choose a file…"

NO_TIME = -1
"""In the menu of axes: none of them is time."""


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
        self._engine = Engine()
        self._inspector = Inspector(self.viewer)
        self._hint_layer: HintLayer | None = None
        self._recoloring: LivePreview | None = None
        self._recolored: tuple[Run, Index] | None = None  # what that is for
        self._coarse: Any = None  # what the generator saw in it
        self._given = 0  # how many hints of its own it has
        self._run: Run | None = None  # the last one whose layers are there
        self._running: Run | None = None
        self._adding: Run | None = None  # whose layers are on their way into the viewer
        self._pending: list[Image] = []  # those layers
        self._failure: Failure | None = None
        self._worker: list[GeneratorWorker] = []  # at most one; shared with whom ends it
        self._canceled = False
        self._axes: tuple[Layer | None, tuple[str, ...]] = (None, ())  # what the menu is of
        self._covers = False  # whether the panel has shown the image of the run that is on
        self._activity: Activity | None = None
        self._steps: deque[Step | Failure | None] = deque()
        self._stepping = False

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

        self._describing = QTimer(self)
        self._describing.setSingleShot(True)
        self._describing.setInterval(50)
        self._describing.timeout.connect(self._describe)
        self._wire_preferences()
        self._wire_controls()
        self._wire_viewer()
        self._list_layers()
        self._say("Ready.")
        self._enable()
        QTimer.singleShot(0, self._find_choices)

    # --- wiring -------------------------------------------------------------------------------

    def _wire_preferences(self) -> None:
        """Controls and preferences follow each other; napari keeps the preferences."""
        controls = self.controls
        fill(controls.weights, self._weights(["default"]), self._preferences.weights)
        fill(controls.device, [("auto", "auto"), ("cpu", "cpu")])
        for name, choice in controls.choices().items():
            choice.set(getattr(self._preferences, name))
            choice.changed.connect(partial(self._prefer, name, choice.get))
        self._connections: list[tuple[Any, Callable[..., None]]] = [
            (self._preferences.events[name], partial(self._follow, name, choice))
            for name, choice in controls.choices().items()
        ]

    def _prefer(self, name: str, get: Callable[[], Any], _: Any = None) -> None:
        value = get()
        if value == CHOOSE_FILE:
            value = self._choose_weights()
        setattr(self._preferences, name, value)
        self._describing.start()

    def _follow(self, name: str, choice: Any, _: Any = None) -> None:
        value = getattr(self._preferences, name)
        if choice.get() != value:
            choice.set(value)

    def _wire_controls(self) -> None:
        controls = self.controls
        controls.layer.currentIndexChanged.connect(self._choose_layer)
        controls.time.currentIndexChanged.connect(self._describe_soon)
        controls.run.clicked.connect(self.run)
        controls.cancel.clicked.connect(self.cancel)
        controls.inspect.toggled.connect(self._inspect)
        controls.copy_command.clicked.connect(self._copy_command)
        controls.copy_python.clicked.connect(self._copy_python)
        controls.restore.clicked.connect(partial(restore_defaults, self._preferences))
        controls.hints.clicked.connect(self._add_hints)
        controls.eyedropper.toggled.connect(self._use_eyedropper)
        controls.strokes.currentIndexChanged.connect(self._choose_strokes)
        controls.reference.activated.connect(self._take_palette)
        controls.load_hints.clicked.connect(self._load_hints)
        controls.save_hints.clicked.connect(self._save_hints)
        self._inspector.changed.connect(self._on_inspected)

    def _wire_viewer(self) -> None:
        viewer, describe = self.viewer, self._describe_soon
        connections = [
            (viewer.layers.events.inserted, self._list_layers),
            (viewer.layers.events.removed, self._on_removed),
            (viewer.layers.events.reordered, self._list_layers),
            (viewer.layers.selection.events.active, self._enable),
            (viewer.dims.events.point, describe),
            (viewer.dims.events.point, self._uncover),
            (viewer.dims.events.ndisplay, describe),
            (viewer.scene.camera.events.center, describe),
            (viewer.scene.camera.events.zoom, describe),
        ]
        # napari cannot disconnect a method of what Qt has deleted; a partial it can.
        self._connections += [(emitter, partial(slot)) for emitter, slot in connections]
        for emitter, slot in self._connections:
            emitter.connect(slot)
        # Holds nothing of the panel but what is cleared here: it must not keep it alive.
        connections, worker = self._connections, self._worker

        def leave() -> None:
            for emitter, slot in connections:
                emitter.disconnect(slot)
            connections.clear()
            for one in worker:
                one.quit()

        self._leave = leave
        self.destroyed.connect(leave)

    def changeEvent(self, event: QEvent) -> None:
        """Leave the viewer alone when napari takes the panel out of its dock."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._leave()
            self._inspector.stop()
            self._stop_recoloring()
            if self._hint_layer is not None:
                self._hint_layer.close()
                self._hint_layer = None

    # --- what there is to choose from ---------------------------------------------------------

    def _find_choices(self) -> None:
        worker = create_worker(choices, _ignore_errors=True, _worker_class=GeneratorWorker)
        worker.yielded.connect(self._on_choices)
        worker.start()

    def _on_choices(self, found: tuple[list[str], list[str]] | Failure) -> None:
        if isinstance(found, Failure):
            self._say(found.message)
            return
        devices, weights = found
        chosen = self._preferences
        names = ["auto", *devices, *({chosen.device} - {"auto", *devices})]
        fill(self.controls.device, [(name, name) for name in names], chosen.device)
        fill(self.controls.weights, self._weights(weights), chosen.weights)

    def _weights(self, names: list[str]) -> list[tuple[str, str]]:
        chosen = self._preferences.weights
        files = [] if chosen in names else [(Path(chosen).name, chosen)]
        return [*((name, name) for name in names), *files, (CHOOSE_FILE, CHOOSE_FILE)]

    def _choose_weights(self) -> str:
        path, _ = QFileDialog.getOpenFileName(self, "Weights", "", "Weights (*.safetensors)")
        weights = self.controls.weights
        names = [weights.itemText(i) for i in range(weights.count())]
        chosen: str = path or self._preferences.weights
        known = [name for name in names if name not in (CHOOSE_FILE, Path(chosen).name)]
        items = self._weights(known)
        if path:
            items.insert(-1, (Path(path).name, path))
        fill(weights, items, chosen)
        return chosen

    def _list_layers(self, _: Any = None) -> None:
        offered = [
            layer
            for layer in reversed(self.viewer.layers)
            if isinstance(layer, Image | Labels) and not is_result(layer)
        ]
        active = self.viewer.layers.selection.active
        keep = self.controls.layer.currentData()
        if keep is None and active in offered:
            keep = active
        fill(self.controls.layer, [(layer.name, layer) for layer in offered], keep)
        strokes = [layer for layer in self.viewer.layers if isinstance(layer, Labels | Shapes)]
        fill(self.controls.strokes, [("none", None), *((layer.name, layer) for layer in strokes)])
        colored = [layer for layer in self.viewer.layers if isinstance(layer, Image) and layer.rgb]
        fill(
            self.controls.reference,
            [("choose an image…", None), *((layer.name, layer) for layer in reversed(colored))],
        )
        for layer in self.viewer.layers:
            layer.events.name.disconnect(self._list_layers)
            layer.events.name.connect(self._list_layers)
        self._choose_layer()

    def _choose_layer(self, _: Any = None) -> None:
        layer = self._layer
        for one in self.viewer.layers:
            chosen = one is layer
            for name in ("data", "axis_labels", "contrast_limits"):
                if name in one.events:
                    one.events[name].disconnect(self._describe_soon)
                    if chosen:
                        one.events[name].connect(self._describe_soon)
        self._describe()

    def _on_removed(self, _: Any = None) -> None:
        self._list_layers()
        if self._run is not None and not layers_of_run(self.viewer.layers, self._run.id):
            self._run = None  # and with it its arrays
            self.controls.readout.set_stages({})
        self._enable()

    @property
    def _layer(self) -> Layer | None:
        layer: Layer | None = self.controls.layer.currentData()
        return layer if layer in self.viewer.layers else None

    # --- what will be done --------------------------------------------------------------------

    def _describe_soon(self, _: Any = None) -> None:
        self._describing.start()

    def _describe(self) -> None:
        self._list_axes()
        plan = self._plan()
        self.controls.plan.setText(plan if isinstance(plan, str) else plan.words())
        self._enable()

    def _list_axes(self) -> None:
        """Offer the axes of the layer as time; of a new layer choose the one that is called so."""
        layer = self._layer
        try:
            axes = () if layer is None else Source.of(layer).axes
        except RecolorError:
            axes = ()
        if (layer, axes) == self._axes:
            return
        self._axes = (layer, axes)
        items = [(f"over {name} (axis {i})", i) for i, name in enumerate(axes[:-2])]
        found = time_axis(axes)
        none = ("over no axis", NO_TIME)
        fill(self.controls.time, [none, *items], NO_TIME if found is None else found)

    def _plan(self) -> Plan | str:
        """What will be done, or why nothing can be."""
        if self._layer is None:
            return "Open an image: File > Open Files, or File > Open Sample > Recolor."
        try:
            chosen, axis = self._preferences, self.controls.time.currentData()
            time = axis if chosen.steady and axis != NO_TIME else None
            return make_plan(self._layer, self.viewer, chosen.scope, level_rule(chosen), time)
        except RecolorError as error:
            return str(error)

    def _enable(self, _: Any = None) -> None:
        controls, busy = self.controls, self.busy
        measured = self._preferences.levels != "contrast"
        controls.run.setEnabled(not busy and isinstance(self._plan(), Plan))
        controls.cancel.setEnabled(self._running is not None)
        shown = not busy and self._about() is not None
        for button in (controls.inspect, controls.copy_command, controls.copy_python):
            button.setEnabled(shown)
        for control in (controls.low, controls.high, controls.per):
            control.setEnabled(measured)
        stack = self._preferences.scope == "stack" and controls.time.count() > 1
        controls.steady.setEnabled(stack)
        controls.time.setEnabled(stack and self._preferences.steady)
        hinted = self._hint_layer is not None
        controls.hints.setEnabled(isinstance(self._layer, Image) and not hinted)
        for control in (
            controls.eyedropper,
            controls.strokes,
            controls.load_hints,
            controls.save_hints,
        ):
            control.setEnabled(hinted)

    def _say(self, text: str) -> None:
        self.controls.status.setText(text)

    # --- running ------------------------------------------------------------------------------

    def run(self) -> None:
        """Colorize the chosen layer in a worker thread."""
        plan = self._plan()
        if self.busy or isinstance(plan, str):
            return
        self._stop_recoloring()
        self._inspector.stop()
        self._failure, self._canceled, self._covers = None, False, True
        run = self._running = Run(
            self._next_number(), self._layer, plan, options(self._preferences)
        )
        hints = {}
        if self._hint_layer is not None and self._hint_layer.image is self._layer:
            # Over time, strokes that belong to no frame belong to the one that is looked at.
            values = partial(self._hint_layer.values, everywhere=plan.time is None)
            hints = {index: run.hints(values, index) for index in plan.indices}
        activity = self._activity = Activity(plan.source.name, len(plan.indices))
        worker = create_worker(
            colorize,
            self._engine,
            run.options,
            run.stages,
            hints,
            _ignore_errors=True,  # they come as a Failure
            _worker_class=GeneratorWorker,
        )
        worker.yielded.connect(self._on_step)
        worker.warned.connect(self._on_warning)
        worker.finished.connect(self._on_worker_finished)
        self.destroyed.connect(activity.close)
        self._worker[:] = [worker]
        worker.start()
        self.controls.progress.setRange(0, 0)
        self.controls.progress.show()
        self._say("Starting…")
        self._enable()

    @property
    def busy(self) -> bool:
        """Whether a run is on, or its layers are still on their way into the viewer."""
        return self._running is not None or self._adding is not None

    def cancel(self) -> None:
        """End the run; finished images stay."""
        for worker in self._worker:
            self._canceled = True
            worker.quit()
            self._say("Canceling…")
            self.controls.cancel.setEnabled(False)

    def _next_number(self) -> int:
        numbers = [
            layer.metadata[KEY].get("run", 0) for layer in self.viewer.layers if is_result(layer)
        ]
        last = self._run.number if self._run is not None else 0
        return 1 + max([last, *numbers])

    def _on_step(self, step: Step | Failure | None) -> None:
        """Take what the worker yields, and None when it has finished, in order.

        Moving napari's progress bars handles further events, so this is entered again from within.
        """
        self._steps.append(step)
        if self._stepping:
            return
        self._stepping = True
        try:
            while self._steps:
                self._take(self._steps.popleft())
        finally:
            self._stepping = False

    def _on_worker_finished(self) -> None:
        self._on_step(None)

    def _take(self, step: Step | Failure | None) -> None:
        run, activity = self._running, self._activity
        if run is None or activity is None:
            return
        if step is None:
            self._finish(run)
        elif isinstance(step, Failure):
            self._failure = step
        else:
            if activity.canceled and not self._canceled:
                self.cancel()
            if step.finished is not None:
                run.finished.append(step.finished)
                if run.layers:
                    run.show(self.viewer.layers, step.finished)
                else:
                    self._add_layers(run)
                self._uncover()
            if not self._steps:  # else there is news already
                self._show_progress(step)
                activity.show(step)

    def _show_progress(self, step: Step) -> None:
        done = step.image + step.done / step.total
        self.controls.progress.setRange(0, 1000 if done else 0)
        self.controls.progress.setValue(round(1000 * done / step.images))
        if not self._canceled:
            count = f"Image {step.image + 1} of {step.images}: " if step.images > 1 else ""
            strips = f", {step.done} of {step.total} strips" if step.stage == "coloring" else ""
            text = f"{count}{step.stage}{strips}"
            self._say(f"{text[0].upper()}{text[1:]}…")

    def _add_layers(self, run: Run) -> None:
        """The image at once, the others one at a time: the window stays responsive."""
        layers = run.make_layers()
        self._adding = run
        self._pending = [layer for role, layer in layers.items() if role != "rgb"]
        self.viewer.add_layer(layers["rgb"])
        QTimer.singleShot(AIR_MS, self._add_next)

    def _uncover(self, _: Any = None) -> None:
        """While a run is on, show its image where it is finished, else what lies below."""
        run = self._running
        rgb = None if run is None else run.layers.get("rgb")
        if run is None or rgb is None or rgb not in self.viewer.layers:
            return
        if rgb.visible != self._covers:  # the user chose otherwise
            return
        index = shown_index(rgb, self.viewer, run.plan.leading)
        self._covers = any(run.plan.slot(one) == index for one in run.finished)
        rgb.visible = self._covers

    def _add_next(self) -> None:
        run = self._adding
        if run is None:
            return
        rgb = run.layers["rgb"]
        if self._pending and rgb in self.viewer.layers:
            layer = self._pending.pop(0)
            self.viewer.layers.insert(self.viewer.layers.index(rgb), layer)
            QTimer.singleShot(AIR_MS, self._add_next)
            return
        self._adding, self._pending = None, []
        if rgb in self.viewer.layers:
            self._settle(run)
        self._enable()

    def _settle(self, run: Run) -> None:
        """All layers of a run are there."""
        layers = layers_of_run(self.viewer.layers, run.id)
        for axis in "ab":
            pair = [layers[role] for role in CHROMA if role[0] == axis and role in layers]
            self.viewer.layers.link_layers(
                pair, ("contrast_limits", "contrast_limits_range", "gamma")
            )
        self.viewer.layers.selection.active = run.layers["rgb"]
        self._read_out(layers)
        run.show(self.viewer.layers, run.finished[-1])
        self._run = run

    def _on_warning(self, warned: tuple[Any, ...]) -> None:
        message, category = warned[0], warned[1]
        if issubclass(category, DeviceWarning):
            show_warning(str(message))

    def _finish(self, run: Run) -> None:
        rgb = run.layers.get("rgb")
        if rgb is not None and rgb.visible == self._covers:
            rgb.visible = True
        self._running = None
        self._worker.clear()
        if self._activity is not None:
            self.destroyed.disconnect(self._activity.close)
            self._activity.close()
            self._activity = None
        self.controls.progress.hide()
        if run.finished:
            self._run = run
        done, count = len(run.finished), len(run.plan.indices)
        images = f"{done} of {count} images" if count > 1 else "1 image"
        if self._failure is not None:
            self._say(f"Failed: {self._failure.message}")
            if self._failure.error is None:
                show_error(self._failure.message)
            else:
                error = self._failure.error
                notification_manager.receive_error(type(error), error, error.__traceback__)
        elif done < count:
            self._say(f"Canceled; {images if done and count > 1 else 'nothing'} done.")
        else:
            devices = run.stages.provenance[run.finished[0]]["device"]
            said = f"Done: {images} on {devices['generator']}."
            if run.plan.time is not None and not run.stages.steady:
                said += " Each by itself: these weights have no color memory to keep them steady."
            self._say(said)
        self._enable()

    # --- looking ------------------------------------------------------------------------------

    def _about(self) -> dict[str, Any] | None:
        """What is known of the run of the active layer, or else of the last run."""
        active = self.viewer.layers.selection.active
        if active is not None and is_result(active):
            about: dict[str, Any] = active.metadata[KEY]
            return about
        if self._run is None:
            return None
        layers = layers_of_run(self.viewer.layers, self._run.id)
        return next((layer.metadata[KEY] for layer in layers.values()), None)

    def _read_out(self, layers: dict[str, Layer]) -> None:
        known = {role: layer for role, layer in layers.items() if role in STAGES}
        self.controls.readout.set_stages(known)

    def _inspect(self, on: bool) -> None:
        if on == self._inspector.active:
            return
        about = self._about()
        if on and about is not None:
            layers = layers_of_run(self.viewer.layers, about["id"])
            self._read_out(layers)
            self._inspector.start([layers[role] for role in INSPECTED if role in layers], 3)
        else:
            self._inspector.stop()
        self.controls.inspect.setChecked(self._inspector.active)

    def _on_inspected(self, on: bool) -> None:
        for layer in filter(is_result, self.viewer.layers):
            if layer.rgb:  # else nothing of the image is covered
                layer.name_overlay.visible = on
        self.controls.inspect.setChecked(on)

    def _copy_python(self) -> None:
        about = self._about()
        if about is not None:
            QGuiApplication.clipboard().setText(command_text.python(about))
            self._say("Copied: a Python program that gives the same pixels.")

    def _copy_command(self) -> None:
        about = self._about()
        if about is None:
            return
        hints = Path(platformdirs.user_data_dir("recolor")) / "hints" / f"{about['id']}.json"
        try:
            text = command_text.command(about, hints)
        except RecolorError as error:
            self._say(str(error))
            return
        if str(hints) in text:
            from recolor_core.hints import Hint, write_hints

            hints.parent.mkdir(parents=True, exist_ok=True)
            write_hints(hints, [Hint(**hint) for hint in about["images"][0]["hints"]])
        QGuiApplication.clipboard().setText(text)
        self._say("Copied: a command that gives the same image.")

    # --- hints --------------------------------------------------------------------------------

    def _add_hints(self) -> None:
        if self._hint_layer is not None or not isinstance(self._layer, Image):
            return
        hint_layer = self._hint_layer = HintLayer(self.viewer, self._layer)
        hint_layer.changed.connect(self._recolor)
        hint_layer.closed.connect(self._on_hints_closed)
        hint_layer.eyedropper_changed.connect(self._on_eyedropper)
        self._enable()

    def _on_hints_closed(self) -> None:
        self._hint_layer = None
        self._stop_recoloring()
        self._enable()

    def _on_eyedropper(self, on: bool) -> None:
        self.controls.eyedropper.setChecked(on)

    def _use_eyedropper(self, on: bool) -> None:
        if self._hint_layer is not None:
            self._hint_layer.eyedropper = on

    def _take_palette(self, _: Any = None) -> None:
        reference = self.controls.reference.currentData()
        if reference is not None:
            self.controls.palette.setText(palette_text(reference))

    def _choose_strokes(self, _: Any = None) -> None:
        if self._hint_layer is not None:
            self._hint_layer.strokes = self.controls.strokes.currentData()

    def _load_hints(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Color hints", "", "Hints (*.json)")
        if path and self._hint_layer is not None:
            try:
                self._hint_layer.load(path)
            except RecolorError as error:
                show_error(str(error))

    def _save_hints(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Color hints", "hints.json", "Hints (*.json)")
        if path and self._hint_layer is not None:
            self._hint_layer.save(path)

    def _recolor(self) -> None:
        """Color the image shown anew with the hints as they are now."""
        run, hint_layer = self._run, self._hint_layer
        if run is None or hint_layer is None or self._running or run.source is not hint_layer.image:
            return
        index = shown_index(hint_layer.image, self.viewer, run.plan.source.leading)
        if index not in run.stages.provenance:
            return
        everywhere = not run.stages.steady
        values = run.hints(partial(hint_layer.values, everywhere=everywhere), index)
        if self._recoloring is None or self._recolored != (run, index):
            self._stop_recoloring()
            coarse = self._engine.seen(run.plan, index)
            if coarse is None:
                self._see_again(run, index)
                return
            from recolor_core import Settings

            settings = Settings(**{**run.options.settings, "alternatives": 0})
            colorizer = self._engine.colorizer(run.options)
            palette = run.options.read_palette()
            self._recoloring = LivePreview(colorizer, coarse, settings, (), self, palette)
            self._recolored, self._coarse = (run, index), coarse
            self._recoloring.recolored.connect(self._on_recolored)
            self._recoloring.failed.connect(lambda error: show_error(str(error)))
        self._given = len(values)
        coarse, hints = run.stages.hinted(index, self._coarse, values)
        self._recoloring.request(hints=hints, coarse=coarse)
        self._say("Coloring with hints…")

    def _see_again(self, run: Run, index: Index) -> None:
        worker = create_worker(
            see_again,
            self._engine,
            run.options,
            run.stages,
            index,
            _ignore_errors=True,
            _worker_class=GeneratorWorker,
        )
        worker.yielded.connect(self._on_seen_again)
        self._worker[:] = [worker]
        worker.start()
        self._say("Finding colors…")

    def _on_seen_again(self, failure: Failure | None) -> None:
        self._worker.clear()
        if failure is None:
            self._recolor()
        else:
            self._say(f"Failed: {failure.message}")
            show_error(failure.message)

    def _on_recolored(self, result: Any) -> None:
        if self._recolored is None:
            return
        run, index = self._recolored
        run.stages.replace(index, result, self._given)
        run.show(self.viewer.layers, index)
        count = len(result.provenance["hints"])
        said = f"Colored with {count} hint{'' if count == 1 else 's'}."
        if run.stages.steady:
            said += " Colorize again to carry hints on through the shot."
        self._say(said)

    def _stop_recoloring(self) -> None:
        if self._recoloring is not None:
            self._recoloring.close()
            self._recoloring.deleteLater()
        self._recoloring = self._recolored = None
