"""The strip of alternatives: other plausible colorings of the chosen image."""

from dataclasses import replace
from functools import partial
from typing import Any

from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from napari_recolor.panel.controls import Controls
from napari_recolor.panel.following import Following
from napari_recolor.panel.hint_panel import HintPanel
from napari_recolor.panel.request_panel import RequestPanel
from napari_recolor.panel.source_choice import SourceChoice
from napari_recolor.panel.wish_panel import WishPanel
from napari_recolor.runs.events import Failure
from napari_recolor.runs.jobs import Job, JobQueue
from napari_recolor.runs.live_preview import LivePreview
from napari_recolor.runs.run import Run
from napari_recolor.runs.runner import Runner
from napari_recolor.runs.wishes import Draw, Part, Wishes
from napari_recolor.runs.worker import alternatives
from recolor_core.hints import Area, Region

ALTERNATIVES = 6
"""How many alternatives the strip shows beside the coloring itself."""

NO_RUN = "Colorize one image first: the strip shows its alternatives."
NO_ALTERNATIVES_OF_STACKS = (
    "Alternatives are for single images: in a stack, each image would get other colors. Set Scope "
    "to “current slice”, and press Colorize."
)
NO_REGION = "Select a region first: press “Draw shapes”, and draw around a thing."


class StripPanel(QObject):
    """Fills the strip with alternatives; a click looks at one, a double click takes it.

    Parameters
    ----------
    controls : Controls
        With the strip.
    source : SourceChoice
        The layer whose result has alternatives.
    requests : RequestPanel
        The hints of the layer.
    hints : HintPanel
        The region that is selected.
    wishes : WishPanel
        Get the alternative that is taken.
    following : Following
        How the result is colorized now.
    queue : JobQueue
        Makes the alternatives.
    runner : Runner
        With the finished runs.
    live : LivePreview
        What it still colors comes first.
    parent : QObject, optional
        Of the object.
    """

    said = Signal(str)
    """A sentence that says what was done or what is to be done."""

    def __init__(
        self,
        controls: Controls,
        source: SourceChoice,
        requests: RequestPanel,
        hints: HintPanel,
        wishes: WishPanel,
        following: Following,
        queue: JobQueue,
        runner: Runner,
        live: LivePreview,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._controls, self._source, self._requests = controls, source, requests
        self._hints, self._wishes, self._following = hints, wishes, following
        self._queue, self._runner, self._live = queue, runner, live
        self._region: Area | None = None  # the one that is selected
        self._seed = 0
        self._job: Job | None = None
        self._made: tuple[Any, ...] = ()  # what the strip shows
        controls.gallery.shown.connect(self._try)
        controls.gallery.taken.connect(self._take)
        controls.alternatives_of.activated.connect(self._on_mode)
        controls.more_alternatives.clicked.connect(self._draw_others)
        controls.strip.title.toggled.connect(self._on_opened)
        hints.selected.connect(self._on_region)
        wishes.chosen.connect(self._on_chosen)
        wishes.shown.connect(self._mark)

    @property
    def _open(self) -> bool:
        return bool(self._controls.strip.title.isChecked())

    @property
    def _mode(self) -> str:
        return str(self._controls.alternatives_of.currentData())

    def make(self) -> None:
        """Make the images of an open strip, unless it shows them, once nothing else is done."""
        if not self._open or self._runner.busy or self._live.busy:
            return  # asked for again at the end
        run = self._runner.last_of(self._source.layer)
        if run is None or not run.finished:
            self.said.emit(NO_RUN)
            return
        if len(run.request.indices) != 1 or run.stages.steady:
            self.said.emit(NO_ALTERNATIVES_OF_STACKS)
            return
        self._region = self._selected(run)
        if self._mode != "whole" and self._region is None:
            self.said.emit(NO_REGION)
            return
        region = self._region if self._mode == "drawn" else None
        (index,) = run.request.indices
        hints = run.hints(self._requests.hints_for(run.request).get(index, []))
        options = self._following.options_of(run)
        plain = replace(options, wishes=Wishes(options.wishes.references))
        wanted = (run.id, tuple(hints), plain, self._seed, region)
        if wanted == self._made:
            return
        work = partial(
            alternatives,
            options=plain,
            stages=run.stages,
            index=index,
            hints=hints,
            draw=Draw(ALTERNATIVES, self._seed),
            region=region,
        )
        job = self._job = Job(work, partial(self._on_made, wanted))
        job.on_end = partial(self._on_end, job)
        self._controls.gallery.wait(ALTERNATIVES + 1)
        self._queue.submit(job)

    def _selected(self, run: Run | None) -> Area | None:
        """Return the region that is selected, in pixels of what the run has colorized."""
        hint_layer = self._hints.current
        region = None if hint_layer is None else hint_layer.selected_region()
        if region is None or run is None:
            return region
        inside = run.hints([region])
        return inside[0] if inside and isinstance(inside[0], Region) else None

    def _on_region(self) -> None:
        region = self._selected(self._runner.last_of(self._source.layer))
        if region != self._region:
            self._region = region
            if self._mode == "drawn":
                self.make()

    def _on_chosen(self) -> None:
        """Show nothing of the image that was chosen before."""
        self._made = ()
        self._controls.gallery.clear()
        self.make()

    def _on_made(self, made: tuple[Any, ...], event: list[NDArray[Any]] | Failure | None) -> None:
        if isinstance(event, Failure):
            self.said.emit(f"Failed: {event.message}")
        elif event is not None:
            self._made = made
            names = ["likeliest", *map(str, range(1, len(event)))]
            self._controls.gallery.fill(event, names)
            self._mark()

    def _on_end(self, job: Job) -> None:
        if self._job is job:  # it failed, or something newer ended it
            self._controls.gallery.ready()

    def _draw_others(self) -> None:
        self._seed += 1
        self._controls.gallery.choose(-1)
        self.make()

    def _on_mode(self, _: Any = None) -> None:
        self._controls.gallery.choose(-1)
        self.make()

    def _on_opened(self, on: bool) -> None:
        if on:
            self.make()
        elif self._wishes.trying:  # looked at, not taken
            self._wishes.look_at(None)
            self._mark()

    def _wish_for(self, number: int) -> Wishes:
        draw = Draw(ALTERNATIVES, self._seed, number)
        if self._mode == "whole":
            return replace(self._wishes.taken, draw=draw if number else Draw(), parts=())
        if self._region is None:
            return self._wishes.taken
        part = Part(self._region, draw, limited=self._mode == "drawn")
        return replace(self._wishes.taken, parts=(*self._wishes.taken.parts, part))

    def _try(self, number: int) -> None:
        wishes = self._wish_for(number)
        if wishes != self._wishes.current:
            self.said.emit("A double click, or Enter, takes it.")
            self._wishes.look_at(wishes)

    def _take(self, number: int) -> None:
        wishes = self._wish_for(number)
        if self._mode != "whole" and self._region is None:
            return
        self._wishes.put(wishes)
        self.said.emit("Taken. Undo (Ctrl+Z) brings back what was before.")

    def _mark(self) -> None:
        """Mark the alternative that is asked for."""
        draw = self._wishes.taken.draw
        if not self._wishes.trying and self._mode == "whole":
            same = draw.seed == self._seed or not draw.number
            self._controls.gallery.choose(draw.number if same else -1)
