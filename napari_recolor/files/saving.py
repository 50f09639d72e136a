"""Saves the image of a run, with its provenance, in a worker thread."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from napari.layers import Image
from napari.utils.notifications import show_error, show_info
from napari.viewer import Viewer
from qtpy.QtWidgets import QFileDialog

from napari_recolor.files.writer import write_image
from napari_recolor.runs.engine import Engine
from napari_recolor.runs.layers import KEY
from recolor_core.errors import RecolorError

FILTER = "TIFF (*.tif *.tiff);;PNG (*.png)"
"""File types that can be written, in the syntax of Qt's file dialog."""


def suggested_path(layer: Image) -> Path:
    """Where to save an image: beside its source, as the command names it."""
    source: Mapping[str, Any] = layer.metadata.get(KEY, {}).get("source", {})
    path = source.get("path")
    if path:
        return Path(path).with_name(f"{Path(path).stem}.recolor.tif")
    name = "".join(c if c.isalnum() or c in "-_ " else "_" for c in source.get("layer", layer.name))
    return Path.home() / f"{name.strip() or 'image'}.recolor.tif"


def save(engine: Engine, path: str, layer: Image) -> Iterator[str]:
    """Write a layer; the event is the path that was written."""
    data, meta, _ = layer.as_layer_data_tuple()
    yield from write_image(path, data, meta)


def save_active(viewer: Viewer) -> None:
    """Ask where to save the active layer, and save it: what the command palette offers."""
    layer = viewer.layers.selection.active
    if not isinstance(layer, Image):
        show_error("Select an image layer first: its image is saved.")
        return
    path, _ = QFileDialog.getSaveFileName(None, "Save image", str(suggested_path(layer)), FILTER)
    if path:
        data, meta, _ = layer.as_layer_data_tuple()
        try:
            (written,) = write_image(path, data, meta)
        except RecolorError as error:
            show_error(str(error))
        else:
            show_info(f"Saved, with provenance: {written}")
