"""What a person asks for beside settings and hints: images to take colors from, and a choice."""

from dataclasses import dataclass, field
from typing import Any

from recolor_core.hints import Area, area_entry


@dataclass(frozen=True)
class ColorImage:
    """A color image: a file, or what an open layer held when it was chosen.

    Parameters
    ----------
    name : str
        Name of the file or of the layer.
    path : str
        Of the file; empty if it is a layer.
    rgb : ndarray or None
        (H, W, 3 or 4): the pixels of a layer.
    number : int
        Distinguishes layers; 0 for files.
    part : str
        Which part of the layer's data it is, as Python writes it, such as ``"[0]"``.
    leading : tuple of int
        The lengths of the axes before height and width of `rgb`, which is then a stack with an
        image for each image of the stack that is colorized; empty if it is one image.
    """

    name: str
    path: str = ""
    rgb: Any = field(default=None, compare=False, repr=False)
    number: int = 0
    part: str = ""
    leading: tuple[int, ...] = ()

    def record(self) -> dict[str, Any]:
        """The image in JSON types."""
        told: dict[str, Any] = {"name": self.name, "path": self.path, "part": self.part}
        return {**told, "leading": list(self.leading)} if self.leading else told


@dataclass(frozen=True)
class Draw:
    """One of several alternatives.

    Parameters
    ----------
    count : int
        How many alternatives are drawn.
    seed : int
        Another seed draws others.
    number : int
        Which one is meant, from 1; 0 is the coloring itself.
    """

    count: int = 0
    seed: int = 0
    number: int = 0


@dataclass(frozen=True)
class Part:
    """A region that comes from another alternative.

    Parameters
    ----------
    region : Region or Mask
        In pixels of the image that is colorized.
    draw : Draw
        What is there.
    limited : bool
        Whether the alternatives were drawn for the region, and not for the whole image.
    """

    region: Area
    draw: Draw
    limited: bool = False


@dataclass(frozen=True)
class Wishes:
    """What a person asks for one image, beside settings and hints.

    Parameters
    ----------
    references : tuple of ColorImage
        Their colors go where they show the same thing.
    color_from : ColorImage or None
        Shows the same as the image, in color, which is put on the gray of the image.
    draw : Draw
        The alternative that was taken.
    parts : tuple of Part
        Regions that come from other alternatives; later ones lie over earlier ones.
    """

    references: tuple[ColorImage, ...] = ()
    color_from: ColorImage | None = None
    draw: Draw = field(default_factory=Draw)
    parts: tuple[Part, ...] = ()

    def record(self) -> dict[str, Any]:
        """All that is asked for, in JSON types; empty if nothing is."""
        told: dict[str, Any] = {}
        if self.references:
            told["references"] = [image.record() for image in self.references]
        if self.color_from is not None:
            told["color_from"] = self.color_from.record()
        if self.draw.number:
            told["draw"] = vars(self.draw)
        if self.parts:
            told["parts"] = [
                {"region": area_entry(part.region), "limited": part.limited, **vars(part.draw)}
                for part in self.parts
            ]
        return told
