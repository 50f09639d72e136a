"""What is asked for: how the image files of a call are to be colorized and written."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from recolor_core.batch.tree import OWN, find_files, is_image_name
from recolor_core.errors import HintsError, ImageError, RecolorError
from recolor_core.files import sha256_of
from recolor_core.gray import Levels
from recolor_core.hints import Mark, mark_entry, read_entries
from recolor_core.images import MAX_PIXELS, open_image
from recolor_core.images.credentials import Credentials
from recolor_core.palette import Palette, palette_of_colors, palette_of_image, palette_record
from recolor_core.settings import Settings

if TYPE_CHECKING:
    from recolor_core.reference import Reference

OnChanged = Literal["fail", "redo", "skip"]

# They change neither the colors nor the gray of the main result.
_WITHOUT_EFFECT = ("alternatives", "tile")


@dataclass(frozen=True)
class PageHint:
    """A hint and the page of the file that it belongs to.

    Parameters
    ----------
    hint : Hint, Stroke, Region or Mask
        In pixels of that page.
    page : int or None
        From 1; None is the page of a file that has one.
    """

    hint: Mark
    page: int | None = None


@dataclass(frozen=True)
class ColorFile:
    """A file whose color is put on the gray of an image.

    Parameters
    ----------
    path : Path
        An image in color.
    sha256 : str
        Of the file, hexadecimal.
    """

    path: Path
    sha256: str


@dataclass(frozen=True)
class Request:
    """How image files are to be colorized and written.

    Parameters
    ----------
    settings, palette, references, levels
        As in a call of `recolor_core.Colorizer`.
    hints : sequence of PageHint
        Points of known color.
    color_from : Path, ColorFile or None
        A file in color of the same thing, page by page, whose color is put on the gray; or a folder
        that has one of the same name, whatever its ending, for each image.
    take : int
        Which alternative is the result; 0 is the coloring itself.
    seed : int
        Another seed gives other alternatives.
    sheet : bool
        Put the alternatives on one numbered sheet for each page instead of into files of their own.
    stages : bool
        Write the intermediate stages as TIFF beside the result.
    sidecar : bool
        Write a JSON file beside the result.
    overwrite : bool
        Replace files that are there.
    on_changed : {"fail", "redo", "skip"}
        What to do about a result of another source, other settings or weights, or a damaged one:
        raise an error, make it again, or leave it as it is.
    skip_results : bool
        Leave images that Recolor colorized as they are. Otherwise they are colorized again, with a
        warning.
    thumbnails : bool
        Make a small pair of before and after for the report of a batch.
    keep_dates : bool
        Give the results the file dates of their sources.
    runtime : str
        What runs the networks, as in `recolor_core.Colorizer`. With "auto", a result of any
        runtime counts as made in the same way.
    max_pixels : int
        Refuse images with more pixels.
    credentials : Credentials or None
        What signs the results (C2PA). A result counts as made in the same way without it.
    """

    settings: Settings = field(default_factory=Settings)
    hints: Sequence[PageHint] = ()
    palette: Palette | None = None
    references: "Sequence[Reference]" = ()
    color_from: "Path | ColorFile | None" = None
    levels: Levels | str | None = None
    take: int = 0
    seed: int = 0
    sheet: bool = False
    stages: bool = False
    sidecar: bool = False
    overwrite: bool = False
    on_changed: OnChanged = "fail"
    skip_results: bool = False
    thumbnails: bool = False
    keep_dates: bool = False
    runtime: str = "auto"
    max_pixels: int = MAX_PIXELS
    credentials: Credentials | None = None

    def __post_init__(self) -> None:
        if self.sheet and not self.settings.alternatives:
            raise ImageError(
                "expected 1 alternative or more on a sheet, got 0; ask for alternatives=6"
            )
        if self.color_from is not None and (self.take or self.settings.alternatives):
            raise ImageError(
                "expected color_from or alternatives, got both; the color of another file has none"
            )

    def parameters(self) -> dict[str, Any]:
        """All that determines the colors of a file beside its pixels and the weights, as JSON."""
        settings = asdict(self.settings)
        facts: dict[str, Any] = {
            "settings": {k: v for k, v in settings.items() if k not in _WITHOUT_EFFECT},
            "hints": [mark_entry(hint.hint) | {"page": hint.page} for hint in self.hints],
            "palette": None if self.palette is None else palette_record(self.palette),
            "references": [reference.sha256 for reference in self.references],
            "levels": self.levels,
        }
        if self.take:
            facts |= {"alternative": self.take, "seed": self.seed}
        if self.color_from is not None:
            facts["color_from"] = (
                self.color_from.sha256
                if isinstance(self.color_from, ColorFile)
                else str(self.color_from)
            )
        if self.runtime != "auto":
            facts["runtime"] = self.runtime
        plain: dict[str, Any] = json.loads(json.dumps(facts))
        return plain

    def resolved(self, source: Path | None) -> "Request":
        """The same for one image file: with the file that its color comes from.

        Parameters
        ----------
        source : Path or None
            The image; None if it is a stream.

        Raises
        ------
        ImageError
            If there is no such file, or more than one.
        """
        if not isinstance(self.color_from, Path):
            return self
        return replace(self, color_from=find_color_file(self.color_from, source))

    def page_parameters(self, page: int) -> dict[str, Any]:
        """The same for one page, as the provenance of that page records it."""
        hints = [mark_entry(hint) for hint in self.page_hints(page)]
        return self.parameters() | {"hints": json.loads(json.dumps(hints))}

    def page_hints(self, page: int) -> list[Mark]:
        """The hints of a page."""
        return [hint.hint for hint in self.hints if hint.page in (None, page)]

    def check_pages(self, pages: int) -> None:
        """Check that every hint says which of the pages it belongs to.

        Raises
        ------
        HintsError
            If one does not, or names a page that the file does not have.
        """
        for hint in self.hints:
            if hint.page is None and pages > 1:
                raise HintsError(
                    f"expected the page of every hint, since this file has {pages} pages, got a "
                    'hint without one; add "page": 1 to it'
                )
            if hint.page is not None and not 1 <= hint.page <= pages:
                raise HintsError(
                    f"expected hints for pages 1 to {pages}, got one for page {hint.page}; correct "
                    '"page" in the file of hints'
                )


def read_page_hints(path: str | Path) -> list[PageHint]:
    """Hints of a file: that of `recolor_core.hints`, with ``page`` in some of them.

    Parameters
    ----------
    path : path-like
        JSON in UTF-8 or UTF-16, with or without a byte order mark.

    Raises
    ------
    HintsError
        If the file cannot be read or is not a file of hints.
    """
    return [PageHint(mark, _page(facts)) for mark, facts in read_entries(path, ("page",))]


def _page(facts: Mapping[str, Any]) -> int | None:
    page = facts.get("page")
    if page is not None and (isinstance(page, bool) or not isinstance(page, int) or page < 1):
        raise HintsError(f"expected the number of a page, 1 or more, got {page!r}")
    return page


def check_color_place(place: Path) -> Path:
    """Check that the file or folder of `Request.color_from` is there.

    Raises
    ------
    ImageError
        If it is not.
    """
    if not place.is_dir() and not place.is_file():
        what = "a pipe or a device" if place.exists() else "nothing"
        raise ImageError(
            f"{place}: expected an image in color or a folder of such images, got {what}; "
            "check the path"
        )
    return place


def find_color_file(place: Path, source: Path | None) -> ColorFile:
    """Find the file that the color of an image comes from.

    Parameters
    ----------
    place : Path
        The file, or a folder that has a file of the name of the image, whatever its ending, in
        itself or in a folder of the name of the image's folder.
    source : Path or None
        The image; None if it is a stream.

    Raises
    ------
    ImageError
        If there is no such file, or more than one, or if it cannot be read.
    """
    if not place.is_dir():
        return ColorFile(check_color_place(place), sha256_of(place))
    if source is None:
        raise ImageError(
            f"{place}: expected the color of an image from standard input as a file, got a folder; "
            "name the file"
        )
    # The folder may be laid out as that of the images.
    parents = source.absolute().parent.parts[1:]
    below = (place.joinpath(*parents[first:]) for first in range(len(parents) + 1))
    folder = next(folder for folder in below if folder.is_dir())
    found = [
        path
        for path in find_files(folder, recursive=False)
        if path.stem.removesuffix(OWN.rstrip(".")) == source.stem and is_image_name(path.name)
    ]
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise ImageError(
            f"{folder}: expected one image in color named {source.stem}, got {names}; "
            "name the file itself, or correct the folder"
        )
    return ColorFile(found[0], sha256_of(found[0]))


def read_palette(text: str) -> Palette:
    """The palette that a text names.

    Parameters
    ----------
    text : str
        A list of colors, ``"#5b3a1e,#6ca0dc"``, or the file of a reference image.
    """
    if text.startswith("#"):
        return palette_of_colors([color.strip() for color in text.split(",")])
    with open_image(Path(text)) as file:
        page = next(iter(file))
        return palette_of_image(page.codes, page.space)


def read_reference(path: str | Path) -> "Reference":
    """Read a reference image, upright.

    Parameters
    ----------
    path : path-like
        Any image that can be read; of a file with several pages the first one. No color is
        taken from a gray image, and the coloring says so.

    Raises
    ------
    ImageError
        If the file cannot be read.
    HintsError
        If the image is not a reference, such as one with NaN.
    """
    from recolor_core.reference import Reference

    with open_image(Path(path)) as file:
        page = next(iter(file))
        try:
            return Reference(page.codes, Path(path).name, file.sha256, page.space)
        except RecolorError as error:
            raise HintsError(f"{path}: {error}") from error
