"""What is asked for: how the image files of a call are to be colorized and written."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from recolor_core.errors import HintsError, RecolorError
from recolor_core.gray import Levels
from recolor_core.hints import Mark, mark_entry, read_entries
from recolor_core.images import MAX_PIXELS, open_image
from recolor_core.palette import Palette, palette_of_colors, palette_of_image, palette_record
from recolor_core.reference import Reference
from recolor_core.settings import Settings

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
class Request:
    """How image files are to be colorized and written.

    Parameters
    ----------
    settings, palette, references, levels
        As in a call of `recolor_core.Colorizer`.
    hints : sequence of PageHint
        Points of known color.
    stages : bool
        Write the intermediate stages as TIFF beside the result.
    sidecar : bool
        Write a JSON file beside the result.
    overwrite : bool
        Replace files that are there.
    on_changed : {"fail", "redo", "skip"}
        What to do about a result of another source, other settings or weights, or a damaged one:
        raise an error, make it again, or leave it as it is.
    thumbnails : bool
        Make a small pair of before and after for the report of a batch.
    keep_dates : bool
        Give the results the file dates of their sources.
    runtime : str
        What runs the networks, as in `recolor_core.Colorizer`. With "auto", a result of any
        runtime counts as made in the same way.
    max_pixels : int
        Refuse images with more pixels.
    """

    settings: Settings = field(default_factory=Settings)
    hints: Sequence[PageHint] = ()
    palette: Palette | None = None
    references: Sequence[Reference] = ()
    levels: Levels | str | None = None
    stages: bool = False
    sidecar: bool = False
    overwrite: bool = False
    on_changed: OnChanged = "fail"
    thumbnails: bool = False
    keep_dates: bool = False
    runtime: str = "auto"
    max_pixels: int = MAX_PIXELS

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
        if self.runtime != "auto":
            facts["runtime"] = self.runtime
        plain: dict[str, Any] = json.loads(json.dumps(facts))
        return plain

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


def read_reference(path: str | Path) -> Reference:
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
    with open_image(Path(path)) as file:
        page = next(iter(file))
        codes = page.codes
        if codes.ndim == 2:
            codes = np.broadcast_to(codes[..., None], (*codes.shape, 3))
        try:
            return Reference(codes, Path(path).name, file.sha256, page.space)
        except RecolorError as error:
            raise HintsError(f"{path}: {error}") from error
