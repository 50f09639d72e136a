"""One run: what was asked for, what came of it, and what its layers tell."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import numpy as np
from napari.components import LayerList, ViewerModel
from napari.layers import Image
from numpy.typing import NDArray

from napari_recolor.hints.marks import marks_inside
from napari_recolor.runs.events import Failure, Recolored
from napari_recolor.runs.layers import (
    CHROMA,
    COARSE_CELL,
    KEY,
    Geometry,
    contrast_limits,
    has_colors,
    is_image,
    layers_of_run,
    limits_of,
    make_layers,
    update_layer,
)
from napari_recolor.runs.options import Options
from napari_recolor.runs.palette import colors_of
from napari_recolor.runs.pyramid import levels_of
from napari_recolor.runs.reading import Index, Request, Source, visible_region
from napari_recolor.runs.stages import Stages
from recolor_core.errors import ImageError
from recolor_core.hints import Mark

STAGES = (*CHROMA, "uncertainty")
"""The results that tell of a pixel, beside its color."""

SAMPLED = 8
"""The limits of contrast are measured in so many images, and widened when others need more."""


class Run:
    """A run and its layers. To be used in the main thread.

    Parameters
    ----------
    number
        Shown in the names of the layers.
    source
        The layer that is colorized; its geometry is taken down now.
    request, options
        What is done.
    """

    def __init__(self, number: int, source: Image, request: Request, options: Options) -> None:
        self.number, self.id = number, uuid4().hex
        self.source, self.request, self.options = source, request, options
        self.geometry = Geometry.of(source)
        self.stages = Stages(request)
        self.finished: list[Index] = []
        self.previewed: list[Index] = []
        """Images that are shown, but not at full resolution yet."""
        self.layers: dict[str, Image] = {}
        self.given: dict[Index, list[Mark]] = {}
        """The hints that each image was colored with last, without those carried to it."""
        self.canceled = False
        self.failure: Failure | None = None
        self._limits: dict[str, float] = {}  # of the stages, by role

    def about(self) -> dict[str, Any]:
        """Return what ``layer.metadata["recolor"]`` tells: JSON types only.

        ``unfinished`` is there, and true, while the pixels are not those of a finished image.
        """
        source, rows_columns = self.request.source, self.request.region
        first = dict(self.stages.provenance[(self.finished or self.previewed)[0]])
        whole = rows_columns == source.whole
        about = {
            **first,
            "run": self.number,
            "id": self.id,
            "weights": {**first["weights"], "asked": self.options.weights},
            "runtime": {**first["runtime"], "asked": self.options.runtime},
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
            "wishes": self.options.wishes.record(),
            "scope": self.request.scope,
            "region": None if whole else [[part.start, part.stop] for part in rows_columns],
            "steady": self._steady(),
            "images": [self._image(index) for index in sorted(self.finished)],
        }
        if not self.finished:
            about["unfinished"] = True
        of_images = ("levels", "hints", "frames", "gray_sha256")
        return {name: value for name, value in about.items() if name not in of_images}

    def _steady(self) -> dict[str, Any] | None:
        """Over what colors were carried from image to image, and how; None: they were not."""
        time = self.request.time
        if time is None or not self.stages.steady:
            return None
        name = self.request.source.axes[time]
        return {
            "axis": time,
            "name": name,
            "passes": self.options.passes,
            "clean": self.options.clean,
        }

    def _image(self, index: Index) -> dict[str, Any]:
        provenance = self.stages.provenance[index]
        names = ("levels", "hints", "device", "reading", "frames", "gray_sha256")
        told = {name: provenance[name] for name in names if name in provenance}
        return {"index": list(self.request.slot(index)), "of_source": list(index), **told}

    def make_layers(self, *roles: str) -> dict[str, Image]:
        """Make layers of a run of which an image is finished; for a viewer to take."""
        if roles != ("rgb",):
            self._measure_limits()
        made = make_layers(*self._results, roles)
        self.layers |= made
        return made

    def replaces(self, other: "Run") -> bool:
        """Whether this run is of the same pixels as another one, so that it can take its place."""
        one, two = self.request, other.request
        same = all(
            getattr(one, name) == getattr(two, name) for name in ("origin", "size", "leading")
        )
        return same and self.source is other.source and one.source.dtype == two.source.dtype

    def take_over(self, viewer_layers: LayerList, other: "Run") -> list[Image]:
        """Show this run in the layers of a run that it `replaces`.

        Parameters
        ----------
        viewer_layers : LayerList
            The layers of the viewer.
        other : Run
            The run that is shown now; it has no layers afterwards.

        Returns
        -------
        list of Image
            The layers of results that this run does not have.
        """
        shown = layers_of_run(viewer_layers, other.id)
        other.layers, self.layers = {}, {}
        if shown.keys() - {"rgb"}:
            self._measure_limits()
        for role, layer in shown.items():
            if role in self.stages.arrays:
                update_layer(layer, role, *self._results)
                self.layers[role] = layer
        return [layer for role, layer in shown.items() if role not in self.layers]

    @property
    def _results(self) -> tuple[Any, Any, Any, Any, Any]:
        """The first arguments of `make_layers`."""
        limits, about = self._limits, self.about()
        return self.stages.arrays, self.geometry, self.request.origin, limits, about

    def _measure_limits(self) -> None:
        if not self._limits:
            indices = self.finished[-SAMPLED:] or self.previewed
            found = [self._limits_of(index) for index in indices]
            self._limits = {role: max(one[role] for one in found) for role in found[0]}

    def show(self, viewer_layers: LayerList, index: Index) -> None:
        """Show all results of an image that is finished, and tell how it came to be."""
        self.show_colors(viewer_layers)
        self.show_stages(viewer_layers, index)

    def show_colors(self, viewer_layers: LayerList) -> None:
        """Show the image in color as it is now, and tell how it came to be."""
        about = self.about()
        for role, layer in layers_of_run(viewer_layers, self.id).items():
            layer.metadata = {**layer.metadata, KEY: {**about, "layer": role}}
            if is_image(role):
                self._show_layer(layer, role)

    def show_stages(self, viewer_layers: LayerList, index: Index) -> None:
        """Show the other results of an image as they are now."""
        before = self._limits
        if before:
            new = self._limits_of(index)
            self._limits = {role: max(limit, before[role]) for role, limit in new.items()}
        for role, layer in layers_of_run(viewer_layers, self.id).items():
            if is_image(role):
                continue
            if not has_colors(role):
                shown, wanted = (contrast_limits(role, x[role]) for x in (before, self._limits))
                if layer.contrast_limits == shown != wanted:  # not if the user chose others
                    layer.contrast_limits_range = layer.contrast_limits = wanted
            self._show_layer(layer, role)

    def _show_layer(self, layer: Image, role: str) -> None:
        if layer.multiscale:
            self._put(layer, self.stages.arrays[role])
        elif layer.visible:
            layer.refresh(extent=False)

    def look(self, viewer: ViewerModel) -> None:
        """Note which rows are in view: they are computed first."""
        layer = self.layers.get("rgb", self.source)
        try:
            rows, _ = visible_region(layer, viewer, Source.of(layer))
        except ImageError:
            rows = slice(0, 0)
        top = 0 if "rgb" in self.layers else self.request.region[0].start
        height = self.request.size[0]
        first, last = (min(max(row - top, 0), height) for row in (rows.start, rows.stop))
        self.stages.in_view = (min(first, height - 1), last)

    def show_preview(self, viewer_layers: LayerList, recolored: Recolored) -> None:
        """Show the preview of another coloring; `show` or `show_again` ends that."""
        rgb = self.layers.get("rgb")
        if rgb is not None and rgb in viewer_layers:
            self._put(rgb, self.stages.as_shown(recolored.rgb))
            rgb.metadata = {**rgb.metadata, KEY: {**rgb.metadata[KEY], "unfinished": True}}

    def show_again(self, viewer_layers: LayerList) -> None:
        """Show the finished image again after a preview that came to nothing."""
        rgb = self.layers.get("rgb")
        if rgb is not None and rgb in viewer_layers and self.finished:
            self._put(rgb, self.stages.arrays["rgb"])
            rgb.metadata = {**rgb.metadata, KEY: {**self.about(), "layer": "rgb"}}

    def _put(self, layer: Image, image: NDArray[Any]) -> None:
        if not np.may_share_memory(layer.data[0], image):
            layer.data = levels_of(image)
        elif layer.visible:
            layer.refresh(extent=False)

    def values_at(self, position: Sequence[float]) -> dict[str, Any]:
        """What is known at a position of the world, by role; nothing of unfinished images.

        Parameters
        ----------
        position : sequence of float
            World coordinates.

        Returns
        -------
        dict
            Of the RGB image three numbers, of each stage one. Empty outside the image.
        """
        rgb, arrays = self.layers.get("rgb"), self.stages.arrays
        if rgb is None:
            return {}
        pixel = np.rint(rgb.world_to_data(position)).astype(int)
        *slot, row, column = (int(i) for i in pixel)
        height, width = self.request.size
        finished = {self.request.slot(index) for index in self.finished}
        if not (0 <= row < height and 0 <= column < width) or tuple(slot) not in finished:
            return {}
        values: dict[str, Any] = {"rgb": arrays["rgb"][(*slot, row, column)]}
        working = arrays["a refined"].shape[-2:]
        for role in STAGES:
            cell = 1 if arrays[role].shape[-2:] == working else COARSE_CELL
            y = int((row + 0.5) / height * working[0] / cell)
            x = int((column + 0.5) / width * working[1] / cell)
            values[role] = arrays[role][(*slot, y, x)]
        return values

    def _limits_of(self, index: Index) -> dict[str, float]:
        slot = self.request.slot(index)
        return limits_of({role: array[slot] for role, array in self.stages.arrays.items()})

    def hints(self, values: Sequence[Mark]) -> list[Mark]:
        """Hints in pixels of the source, in pixels of what is colorized of it."""
        return marks_inside(values, self.request.region, self.request.source.size)

    def outcome(self) -> str:
        """Describe in a sentence how the run ended."""
        done, count = len(self.finished), len(self.request.indices)
        images = f"{done} of {count} images" if count > 1 else "1 image"
        if self.failure is not None:
            return f"Failed: {self.failure.message}"
        if done < count:
            return f"Canceled; {images if done and count > 1 else 'nothing'} done."
        how = self.stages.provenance[self.finished[0]]
        device = how["device"]["generator"]
        if self.stages.machine and device.startswith("cuda"):
            device = f"{device} ({self.stages.machine})"
        said = f"Done: {images} with the weights “{how['weights']['name']}” on {device}."
        if self.request.time is not None and not self.stages.steady:
            said += " Each by itself: these weights have no color memory to keep them steady."
        return said
