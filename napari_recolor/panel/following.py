"""The finished image follows settings, hints and references: the generator does not run again."""

from dataclasses import replace

from napari.components import ViewerModel
from napari.utils.events import EventedModel
from qtpy.QtCore import QObject, Signal

from napari_recolor.hints.hint_layer import HintLayer
from napari_recolor.panel.preferences import options
from napari_recolor.panel.request_panel import RequestPanel
from napari_recolor.panel.source_choice import SourceChoice
from napari_recolor.panel.wish_panel import WishPanel
from napari_recolor.runs.live_preview import LivePreview
from napari_recolor.runs.options import Options
from napari_recolor.runs.palette import wrong_colors
from napari_recolor.runs.reading import shown_index
from napari_recolor.runs.run import Run
from napari_recolor.runs.runner import Runner

STACK_TAKES_REFERENCES = "Press Colorize: a stack takes references when it is colorized again."
STACK_TAKES_NO_ALTERNATIVE = "The stack stays as it is: an alternative is of one image."

LIVE = ("vividness", "saturation", "warmth", "palette")
"""Settings that the finished image follows at once."""

OUTSIDE_REGION = (
    "A hint is outside the region that was colorized and has no effect: press Colorize to colorize "
    "the region in view, or set Scope to “current slice” first."
)


class Following(QObject):
    """Colors the finished image anew when something changes that it follows at once.

    Parameters
    ----------
    viewer : ViewerModel
        Of a stack, the image that it shows follows.
    preferences : EventedModel
        Of `preferences.preferences`.
    source : SourceChoice
        The layer whose result follows settings and references.
    requests : RequestPanel
        The hints of an image.
    wishes : WishPanel
        Its references and alternative.
    runner : Runner
        With the finished runs.
    live : LivePreview
        Colors anew.
    parent : QObject, optional
        Of the object.
    """

    said = Signal(str)
    """A sentence that says what is to be done."""

    def __init__(
        self,
        viewer: ViewerModel,
        preferences: EventedModel,
        source: SourceChoice,
        requests: RequestPanel,
        wishes: WishPanel,
        runner: Runner,
        live: LivePreview,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.viewer, self._preferences, self._source = viewer, preferences, source
        self._requests, self._wishes = requests, wishes
        self._runner, self._live = runner, live
        self._followed: HintLayer | None = None  # whose hints were requested last
        self._late: dict[HintLayer, None] = {}  # whose hints are to be followed later, in order

    def options_of(self, run: Run) -> Options:
        """Return the options of a run with the settings and wishes as they are now."""
        now, wishes = options(self._preferences), self._wishes.of(run.source)
        # Its color is registered at another size: that takes a new run.
        wishes = replace(wishes, color_from=run.options.wishes.color_from)
        if run.stages.steady:
            wishes = run.options.wishes
        live = {name: getattr(now, name) for name in LIVE}
        return replace(run.options, **live, wishes=wishes)

    def follow_setting(self, name: str) -> None:
        """Follow a setting that has changed, if the image follows it at once."""
        if name in LIVE:
            self._follow_options()

    def _follow_options(self) -> None:
        """Color the last result of the chosen layer anew if its options have changed."""
        run = self._runner.last_of(self._source.layer)
        if self._runner.busy or run is None or len(run.request.indices) != 1:
            return
        if wrong_colors(self._preferences.palette):
            return
        wanted = self.options_of(run)
        (index,) = run.request.indices
        if wanted != self._live.coming(run, index)[0]:
            hints = self._requests.hints_for(run.request).get(index, [])
            self._live.request(run, index, hints, wanted)

    def follow_wishes(self) -> None:
        """Color the last result of the chosen layer anew, or say what a stack does instead."""
        run = self._runner.last_of(self._source.layer)
        if run is not None and len(run.request.indices) != 1:
            wished, given = self._wishes.of(run.source), run.options.wishes
            if wished.references != given.references:
                self.said.emit(STACK_TAKES_REFERENCES)
            elif (wished.draw, wished.parts) != (given.draw, given.parts):
                self.said.emit(STACK_TAKES_NO_ALTERNATIVE)
        self._follow_options()

    def follow_hints(self, hint_layer: HintLayer) -> None:
        """Color the image shown anew with the hints as they are now; after a run that is on."""
        if self._runner.busy:
            self._late[hint_layer] = None
        else:
            self._follow(hint_layer)

    def catch_up(self) -> None:
        """Follow the hints that have changed during a run, or while another image followed."""
        while self._late:
            hint_layer = next(iter(self._late))
            del self._late[hint_layer]
            if self._follow(hint_layer):
                return

    def _follow(self, hint_layer: HintLayer) -> bool:
        """Color the image shown anew if its hints have changed; return whether they have."""
        run = self._runner.last_of(hint_layer.image)
        if run is None:
            return False
        index = shown_index(hint_layer.image, self.viewer, run.request.source.leading)
        if index not in run.stages.provenance:
            return False
        values = hint_layer.values(index, everywhere=not run.stages.steady)
        inside = run.hints(values)
        if inside == self._live.coming(run, index)[1]:
            if len(inside) < len(values):
                self.said.emit(OUTSIDE_REGION)
            return False
        if self._live.busy and self._followed not in (None, hint_layer):
            self._late[self._followed] = None  # the request for it is dropped now
        self._followed = hint_layer
        self._live.request(run, index, values, self.options_of(run))
        return True
