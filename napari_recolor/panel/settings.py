"""The settings of the panel, each declared once: its form and its checks are made from them.

`napari.yaml` repeats them, because napari reads preferences from there; a test compares the two.
"""

from dataclasses import dataclass
from typing import Annotated

from recolor_core.settings import FilmSettings, Setting, Settings, list_settings


@dataclass(frozen=True)
class Menu(Setting):
    """A setting with a few choices.

    Parameters
    ----------
    labels : tuple of str
        What the menu calls each of the `choices`.
    """

    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class PanelSettings(Settings):
    """The settings of the panel: those of an image, of layers, and of the machine."""

    scope: Annotated[
        str,
        Menu(
            "Scope",
            "How much of the layer is colorized: the image shown, all images of a stack, or the "
            "rectangle in view.",
            choices=("slice", "stack", "region"),
            labels=("current slice", "whole stack", "visible region"),
        ),
    ] = "slice"
    steady: Annotated[
        bool,
        Setting(
            "Steady",
            "Carry colors from frame to frame of a whole stack, along the motion and never across "
            "a cut, so that they do not flicker.",
        ),
    ] = True
    weights: Annotated[
        str,
        Setting(
            "Weights",
            "The trained networks: a name, or a .safetensors file of your own training.",
        ),
    ] = "default"
    device: Annotated[
        str,
        Setting(
            "Device",
            "Where the networks run. auto takes the fastest: CUDA, MPS, then the CPU. If the "
            "memory of a GPU is full, the CPU continues.",
        ),
    ] = "auto"
    runtime: Annotated[
        str,
        Menu(
            "Runtime",
            "What runs the networks. automatic: the quantized networks on the CPU, which are three "
            "times as fast, and PyTorch elsewhere. PyTorch: in full precision.",
            choices=("auto", "onnxruntime", "torch"),
            labels=("automatic", "quantized (ONNX Runtime)", "PyTorch"),
        ),
    ] = "auto"
    replace_last: Annotated[
        bool,
        Setting(
            "Replace last run",
            "Show a new run of an image in the layer of its last run; Undo brings that back. "
            "Otherwise each run adds a layer.",
        ),
    ] = True
    palette: Annotated[
        str,
        Setting(
            "Palette",
            "Colors that the image as a whole should have, such as #5b3a1e, #6ca0dc. The networks "
            "decide where they go. Empty: whatever the networks predict.",
        ),
    ] = ""
    levels: Annotated[
        str,
        Menu(
            "Levels",
            "Which values are black and white. automatic: the full range of 8 and 16 bit images, "
            "so that every gray value is kept; percentiles for what has no agreed white.",
            choices=("auto", "percentiles", "contrast"),
            labels=("automatic", "percentiles", "contrast limits of the layer"),
        ),
    ] = "auto"
    low: Annotated[
        float,
        Setting(
            "Black below", "Values below this percentile become black.", low=0, high=49, unit="%"
        ),
    ] = 0.1
    high: Annotated[
        float,
        Setting(
            "White above", "Values above this percentile become white.", low=51, high=100, unit="%"
        ),
    ] = 99.9
    per: Annotated[
        str,
        Menu(
            "Measured in",
            "Whether percentiles are measured once for the whole stack, so that brightness stays "
            "comparable, or in each slice.",
            choices=("stack", "slice"),
            labels=("whole stack", "each slice"),
        ),
    ] = "stack"


OF_FILMS = ("passes", "clean")
"""Settings of films that stacks have too; the others are for files of films."""


def panel_settings() -> dict[str, Setting]:
    """All settings of the panel by name, in the order of their declaration."""
    films = (one for one in list_settings(FilmSettings) if one.name in OF_FILMS)
    return {one.name: one for one in (*list_settings(PanelSettings), *films)}
