"""How to colorize: the settings of a run of the panel."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_recolor.runs.palette import colors_of
from napari_recolor.runs.wishes import Wishes
from recolor_core.settings import Settings, list_settings

if TYPE_CHECKING:
    from recolor_core.palette import Palette


@dataclass(frozen=True)
class Options(Settings):
    """How to colorize: `recolor_core.Settings`, the networks, and what is outside of one image.

    Parameters
    ----------
    weights, device, runtime : str
        As in `recolor_core.Colorizer`.
    palette : str
        Colors such as ``"#5b3a1e,#6ca0dc"``; empty for none.
    passes, clean
        As in `recolor_core.colorize_stack`.
    wishes : Wishes
        References and alternatives. Images that are kept steady over time have no alternatives.
    """

    weights: str = "default"
    device: str = "auto"
    runtime: str = "auto"
    palette: str = ""
    passes: int = 1
    clean: bool = False
    wishes: Wishes = field(default_factory=Wishes)

    @property
    def settings(self) -> dict[str, Any]:
        """The fields of `recolor_core.Settings`."""
        return {setting.name: getattr(self, setting.name) for setting in list_settings(Settings)}

    def read_palette(self) -> "Palette | None":
        """The palette as `recolor_core` takes it."""
        from recolor_core.palette import palette_of_colors

        colors = colors_of(self.palette)
        return palette_of_colors(colors) if colors else None
