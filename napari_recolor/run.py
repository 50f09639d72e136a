"""One run: what was asked for, what came of it, and what its layers tell."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from napari.components import LayerList
from napari.layers import Image

from napari_recolor.layers import (
    CHROMA,
    KEY,
    Geometry,
    chroma_limit,
    is_picture,
    layers_of_run,
    make_layers,
    spread,
)
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
        self._limit = 0.0

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
            "pictures": [self._picture(index) for index in sorted(self.finished)],
        }
        return {name: value for name, value in about.items() if name not in ("levels", "hints")}

    def _picture(self, index: Index) -> dict[str, Any]:
        provenance = self.stages.provenance[index]
        told = {name: provenance[name] for name in ("levels", "hints", "device", "reading")}
        return {"index": list(self.plan.slot(index)), "of_source": list(index), **told}

    def make_layers(self) -> dict[str, Image]:
        """The layers, as soon as the first picture is finished; for a viewer to take."""
        arrays = self.stages.arrays
        self._limit = chroma_limit(arrays)
        self.layers = make_layers(arrays, self.geometry, self.plan.origin, self.about())
        return self.layers

    def show(self, viewer_layers: LayerList) -> None:
        """Show what the arrays hold now, and tell how it came to be."""
        arrays, about = self.stages.arrays, self.about()
        before, self._limit = self._limit, max(self._limit, chroma_limit(arrays))
        for role, layer in layers_of_run(viewer_layers, self.id).items():
            layer.metadata = {**layer.metadata, KEY: {**about, "layer": role}}
            # Unless the user has chosen other limits.
            if role in CHROMA and layer.contrast_limits == [-before, before]:
                layer.contrast_limits_range = layer.contrast_limits = (-self._limit, self._limit)
            elif not is_picture(role) and layer.contrast_limits[1] < spread(arrays[role]):
                layer.contrast_limits_range = layer.contrast_limits = (0, spread(arrays[role]))
            if layer.visible:
                layer.refresh(extent=False)

    def hints(
        self, values: Callable[[Index], Sequence[HintValue]], index: Index
    ) -> list[HintValue]:
        """The hints of one picture, in pixels of what is colorized of it."""
        rows, columns = self.plan.region
        height, width = self.plan.size
        moved = [(x - columns.start, y - rows.start, *more) for x, y, *more in values(index)]
        return [
            hint
            for hint in moved
            if -0.5 <= hint[0] <= width - 0.5 and -0.5 <= hint[1] <= height - 0.5
        ]
