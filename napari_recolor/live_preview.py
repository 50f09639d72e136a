"""Colors an image anew while hints and settings change: the generator is not asked again."""

from collections.abc import Generator, Sequence
from types import EllipsisType
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.qt.threading import GeneratorWorker, create_worker
from qtpy.QtCore import QObject, Signal

if TYPE_CHECKING:
    from recolor_core import Colorization, Colorizer, Hint, Settings
    from recolor_core.colorizer import Coarse
    from recolor_core.palette import Palette


class LivePreview(QObject):
    """The refiner and the full resolution of one image, in a worker thread, newest wins.

    Lives in the main thread. One coloring runs at a time; a newer request ends it at its next
    strip, and of the requests that wait only the newest is done.

    Parameters
    ----------
    colorizer, coarse
        As a run left them.
    settings
        Of that run.
    hints
        Of that run: `recolor_core.Hint`, or plain (x, y, color, radius).
    parent
        Of the object.
    palette
        Of that run: see `recolor_core.palette`.
    """

    recolored = Signal(object)
    """The `Colorization`, its `rgb` computed."""
    failed = Signal(object)
    """The exception."""
    busy_changed = Signal(bool)

    def __init__(
        self,
        colorizer: "Colorizer",
        coarse: "Coarse",
        settings: "Settings",
        hints: Sequence[Any] = (),
        parent: QObject | None = None,
        palette: "Palette | None" = None,
    ) -> None:
        super().__init__(parent)
        self._colorizer, self._coarse = colorizer, coarse
        self._settings, self._hints, self._palette = settings, tuple(hints), palette
        self._worker: GeneratorWorker | None = None
        self._waiting = False

    @property
    def busy(self) -> bool:
        """Whether a coloring runs or waits."""
        return self._worker is not None

    def request(
        self,
        settings: "Settings | None" = None,
        hints: Sequence[Any] | None = None,
        palette: "Palette | EllipsisType | None" = ...,
        coarse: "Coarse | None" = None,
    ) -> None:
        """Color anew.

        Parameters
        ----------
        settings, hints, palette, coarse
            What to change; what is not given stays as it was asked for last. The `size` of the
            settings has had its effect already. A palette of None is no palette.
        """
        self._settings = settings or self._settings
        self._coarse = coarse or self._coarse
        self._hints = self._hints if hints is None else tuple(hints)
        self._palette = self._palette if palette is ... else palette
        if self._worker is None:
            self._start()
            self.busy_changed.emit(True)
        else:
            self._waiting = True
            self._worker.quit()

    def close(self) -> None:
        """Drop what runs and what waits; nothing is emitted any more."""
        self.blockSignals(True)
        self._waiting = False
        if self._worker is not None:
            self._worker.quit()

    def _start(self) -> None:
        self._waiting = False
        self._worker = worker = create_worker(
            _recolor,
            self._colorizer,
            self._coarse,
            self._settings,
            self._hints,
            self._palette,
        )
        worker.returned.connect(self._on_returned)
        worker.finished.connect(self._on_finished)
        worker.start()

    def _on_returned(self, outcome: "tuple[Colorization | None, Exception | None] | None") -> None:
        if self._waiting or outcome is None:  # None: it was told to quit
            return
        result, error = outcome
        if error is None:
            self.recolored.emit(result)
        else:
            self.failed.emit(error)

    def _on_finished(self) -> None:
        if self._waiting:
            self._start()
        else:
            self._worker = None
            self.busy_changed.emit(False)


def _recolor(
    colorizer: "Colorizer",
    coarse: "Coarse",
    settings: "Settings",
    hints: Sequence["Hint | tuple[float, float, str, float]"],
    palette: "Palette | None",
) -> Generator[None, None, "tuple[Colorization | None, Exception | None]"]:
    """Run in the worker. Every yield is a chance to be told to quit.

    An error comes back beside the result: napari's worker never finishes after a RuntimeError, of
    which PyTorch raises many.
    """
    try:
        from recolor_core import Hint

        yield
        known = [hint if isinstance(hint, Hint) else Hint(*hint) for hint in hints]
        result = colorizer.refine(coarse, settings, known, palette)
        strips = []
        for strip in result.strips():
            yield
            strips.append(strip)
        vars(result)["rgb"] = np.concatenate(strips)  # what the cached property would compute
    except Exception as error:
        return None, error
    return result, None
