"""One run: what was asked for, what came of it, and what its layers tell."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from napari.components import LayerList
from napari.layers import Image

from napari_recolor.layers import (
    KEY,
    Geometry,
    contrast_limits,
    is_image,
    layers_of_run,
    limits_of,
    make_layers,
)
from napari_recolor.palette import colors_of
from napari_recolor.reading import Index, Plan
from napari_recolor.worker import Options, Stages

HintValue = tuple[float, float, str, float]
"""x, y, color and radius of a `recolor_core.Hint`."""


class Run:
    """A run and its layers. To be used in the main thread.

    Parameters
    ----------
    number
        Shown in the names of the layers.
    source
        The layer that is colorized; its geometry is taken down now.
    plan, options
        What is done.
    """

    def __init__(self, number: int, source: Image, plan: Plan, options: Options) -> None:
        self.number, self.id = number, uuid4().hex
        self.source, self.plan, self.options = source, plan, options
        self.geometry = Geometry.of(source)
        self.stages = Stages(plan)
        self.finished: list[Index] = []
        self.layers: dict[str, Image] = {}
        self._limits: dict[str, float] = {}  # of the stages, by role

    def about(self) -> dict[str, Any]:
        """What ``layer.metadata["recolor"]`` tells; JSON types alone."""
        source, rows_columns = self.plan.source, self.plan.region
        first = dict(self.stages.provenance[self.finished[0]])
        whole = rows_columns == source.whole
        about = {
            **first,
            "run": self.number,
            "id": self.id,
            "weights": {**first["weights"], "asked": self.options.weights},
            "palette_colors": colors_of(self.options.palette),
            "source": {
                "layer": source.name,
                "path": source.path,
                "file": self.stages.file,
                "shape": list(source.shape),
                "dtype": str(source.dtype),
                "rgb": source.rgb,
                "multiscale": source.multiscale,
            },
            "scope": self.plan.scope,
            "region": None if whole else [[part.start, part.stop] for part in rows_columns],
            "steady": self._steady(),
            "images": [self._image(index) for index in sorted(self.finished)],
        }
        of_images = ("levels", "hints", "frames")
        return {name: value for name, value in about.items() if name not in of_images}

    def _steady(self) -> dict[str, Any] | None:
        """Over what colors were carried from image to image, and how; None: they were not."""
        time = self.plan.time
        if time is None or not self.stages.steady:
            return None
        name = self.plan.source.axes[time]
        return {"axis": time, "name": name, "passes": self.options.passes}

    def _image(self, index: Index) -> dict[str, Any]:
        provenance = self.stages.provenance[index]
        names = ("levels", "hints", "device", "reading", "frames")
        told = {name: provenance[name] for name in names if name in provenance}
        return {"index": list(self.plan.slot(index)), "of_source": list(index), **told}

    def make_layers(self) -> dict[str, Image]:
        """The layers, as soon as the first image is finished; for a viewer to take."""
        self._limits = self._limits_of(self.finished[0])
        self.layers = make_layers(
            self.stages.arrays, self.geometry, self.plan.origin, self._limits, self.about()
        )
        return self.layers

    def show(self, viewer_layers: LayerList, index: Index) -> None:
        """Show an image that is finished or colored anew, and tell how it came to be."""
        about, before = self.about(), self._limits
        new = self._limits_of(index)
        self._limits = {role: max(limit, before[role]) for role, limit in new.items()}
        for role, layer in layers_of_run(viewer_layers, self.id).items():
            layer.metadata = {**layer.metadata, KEY: {**about, "layer": role}}
            if not is_image(role):
                shown, wanted = (contrast_limits(role, x[role]) for x in (before, self._limits))
                if layer.contrast_limits == shown != wanted:  # not if the user chose others
                    layer.contrast_limits_range = layer.contrast_limits = wanted
            if layer.visible:
                layer.refresh(extent=False)

    def _limits_of(self, index: Index) -> dict[str, float]:
        slot = self.plan.slot(index)
        return limits_of({role: array[slot] for role, array in self.stages.arrays.items()})

    def hints(
        self, values: Callable[[Index], Sequence[HintValue]], index: Index
    ) -> list[HintValue]:
        """The hints of one image, in pixels of what is colorized of it."""
        rows, columns = self.plan.region
        height, width = self.plan.size
        moved = [(x - columns.start, y - rows.start, *more) for x, y, *more in values(index)]
        return [
            hint
            for hint in moved
            if -0.5 <= hint[0] <= width - 0.5 and -0.5 <= hint[1] <= height - 0.5
        ]
