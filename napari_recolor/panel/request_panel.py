"""What will be done: the request that the controls make, and the lines that describe it."""

from dataclasses import replace
from functools import partial
from typing import Any

from napari.components import ViewerModel
from napari.utils.events import EventedModel
from qtpy.QtCore import QObject, QTimer, Signal

from napari_recolor.panel.controls import Controls
from napari_recolor.panel.hint_panel import HintPanel
from napari_recolor.panel.preferences import (
    changed,
    level_rule,
    options,
    reset_coloring,
    restore_defaults,
)
from napari_recolor.panel.source_choice import SourceChoice
from napari_recolor.panel.wish_panel import WishPanel
from napari_recolor.runs.options import Options
from napari_recolor.runs.palette import check_colors, wrong_colors
from napari_recolor.runs.reading import Index, Request, make_request
from napari_recolor.runs.wishes import Draw, Wishes
from recolor_core.errors import ImageError, RecolorError
from recolor_core.hints import Mark

QUIET_MS = 50
"""The lines are written once nothing has changed for so many milliseconds."""

NO_IMAGE = "Open an image: File > Open Files, or File > Open Sample > Recolor."
NO_STEADY_ALTERNATIVES = (
    "Alternatives cannot be kept steady over time. Set Alternatives to 0, or uncheck Steady."
)


class RequestPanel(QObject):
    """Reads from the controls what will be done, and says it.

    Parameters
    ----------
    viewer : ViewerModel
        The current slice and the region in view are its.
    controls : Controls
        With the lines.
    preferences : EventedModel
        Of `preferences.preferences`.
    source : SourceChoice
        The layer that is colorized.
    hints : HintPanel
        Its hints.
    wishes : WishPanel
        Its references and alternative.
    parent : QObject, optional
        Of the object.
    """

    described = Signal()
    """Emitted when the lines have been written."""

    def __init__(
        self,
        viewer: ViewerModel,
        controls: Controls,
        preferences: EventedModel,
        source: SourceChoice,
        hints: HintPanel,
        wishes: WishPanel,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.viewer, self._controls, self._preferences = viewer, controls, preferences
        self._source, self._hints, self._wishes = source, hints, wishes
        controls.restore.clicked.connect(partial(restore_defaults, preferences))
        controls.reset.clicked.connect(partial(reset_coloring, preferences))
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(QUIET_MS)
        self._timer.timeout.connect(self.describe)

    def read(self) -> Request | str:
        """Return the request, or a sentence that says why there is none."""
        layer, chosen = self._source.layer, self._preferences
        if layer is None:
            return NO_IMAGE
        try:
            check_colors(chosen.palette)
            time = self._source.time if chosen.steady else None
            request = make_request(layer, self.viewer, chosen.scope, level_rule(chosen), time)
            if request.time is not None and chosen.alternatives:
                raise ImageError(NO_STEADY_ALTERNATIVES)
            return request
        except RecolorError as error:
            return str(error)

    def options_for(self, request: Request) -> Options:
        """Return how a request is colorized."""
        return replace(options(self._preferences), wishes=self._wishes_for(request))

    def hints_for(self, request: Request) -> dict[Index, list[Mark]]:
        """Return the hints of each image of a request, in pixels of the source."""
        hint_layer = self._hints.of(self._source.layer)
        if hint_layer is None:
            return {}
        # Over time, strokes that belong to no frame belong to the one that is looked at.
        everywhere = request.time is None
        return {index: hint_layer.values(index, everywhere) for index in request.indices}

    def _wishes_for(self, request: Request) -> Wishes:
        """Return what is asked for beside hints; an alternative belongs to one image."""
        wishes = self._wishes.of(self._source.layer)
        single = request.time is None and len(request.indices) == 1
        return wishes if single else replace(wishes, draw=Draw(), parts=())

    # --- what the controls say ----------------------------------------------------------------

    def describe_soon(self, _: Any = None) -> None:
        """Write the lines once changes have come to rest."""
        self._timer.start()

    def describe(self) -> None:
        """Write what will be done, and which settings are not at their default."""
        controls, request = self._controls, self.read()
        summary = request if isinstance(request, str) else request.summary()
        if isinstance(request, Request) and self._wishes_for(request) != self._wishes.current:
            summary += " The alternative that you took is left out: it is of one image."
        controls.summary.setText(summary)
        different = changed(self._preferences)
        words = ", ".join(f"{title} {_short(value)}" for title, value in different.items())
        controls.changed.setText(f"Not at its default: {words}.")
        for control in (controls.changed, controls.reset):
            control.setVisible(bool(different))
        self.described.emit()

    def show_palette(self) -> None:
        """Mark a palette with a wrong entry, and unfold one: what changes colors is seen."""
        palette = self._preferences.palette
        wrong = bool(wrong_colors(palette))
        self._controls.palette.setStyleSheet("border: 1px solid #d04030" if wrong else "")
        if palette:
            self._controls.more_hints.title.setChecked(True)

    def enable(self) -> None:
        """Enable the settings that can have an effect."""
        controls, chosen = self._controls, self._preferences
        for control in (controls.low, controls.high, controls.per):
            control.setEnabled(chosen.levels != "contrast")
        stack = chosen.scope == "stack" and controls.time.count() > 1
        controls.steady.setEnabled(stack)
        controls.time.setEnabled(stack and chosen.steady)


def _short(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 24 else f"{text[:23]}…"
