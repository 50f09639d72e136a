"""Pages of figures: draw each figure once, cache it by its inputs, and write one HTML file."""

import base64
import hashlib
import io
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import matplotlib
import pandas as pd
from markupsafe import Markup
from PIL import Image

from recolor_core.files import replacing, sha256_of
from training.analysis.charts.style import INK, PAPER, Chart, write_table
from training.photographs import DataError

TEMPLATE = "page.html.j2"
_TEMPLATES = Path(__file__).parents[1] / "templates"
_INDEX = "index.json"
_PAGE = ".page"  # folder of the SVG drawings for the page


@dataclass(frozen=True)
class Shown:
    """A figure on a page.

    Attributes
    ----------
    name : str
        Name of the files ``figures/NAME.png``, ``.svg`` and ``.csv``.
    caption : str
    svg : Markup
        Drawing for the page. Its ink has the color of the page's text.
    """

    name: str
    caption: str
    svg: Markup


@dataclass(frozen=True)
class Cell:
    """A cell of a table: a text, and optional smaller text below it."""

    text: str
    below: str = ""


@dataclass(frozen=True)
class Table:
    """A table on a page.

    Attributes
    ----------
    caption : str
    columns : sequence of str
    rows : sequence of sequences of Cell
        The first cell of a row is its heading.
    name : str
        Name of the file ``figures/NAME.csv``; "" if there is none.
    folded : str
        Title of a table that is shown only after a click; "" for a table that is always shown.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    name: str = ""
    folded: str = ""


@dataclass
class Section:
    """A part of a page.

    Attributes
    ----------
    title : str
    text : str
        Introduction in one or two sentences.
    items : list of Shown or Table
        Figures and tables in order.
    missing : list of str
        Missing items and how to obtain them.
    """

    title: str
    text: str = ""
    items: list[Shown | Table] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def digest(*parts: Any) -> str:
    """Return the SHA-256 of values of JSON types."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def digest_code() -> str:
    """Return the SHA-256 of the drawing code. If the code changes, figures are drawn again."""
    here = Path(__file__).parent
    files = {str(p.relative_to(here)): sha256_of(p) for p in sorted(here.rglob("*.py"))}
    return digest(matplotlib.__version__, files)


class Figures:
    """A folder of figures. Each figure is drawn only if its inputs have changed.

    Parameters
    ----------
    folder
        Folder of the page. Its figures are in the subfolder ``figures``.

    Attributes
    ----------
    drawn : list of str
        Names of the figures drawn in this run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "figures"
        try:
            (self.folder / _PAGE).mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise DataError(
                f"{folder} cannot be a folder, a file is in the way; name another with --out"
            ) from error
        self.drawn: list[str] = []
        self._code = digest_code()
        self._known = self._read_index()
        self._used: dict[str, dict[str, str]] = {}

    def show(self, name: str, inputs: str, draw: Callable[[], Chart]) -> Shown:
        """Return the figure of this name; call `draw` if its `inputs` (a digest) have changed."""
        key = digest(self._code, name, inputs)
        known = self._known.get(name)
        if known is None or known["key"] != key or not all(p.is_file() for p in self._paths(name)):
            chart = draw()
            self._write(name, chart)
            known = {"key": key, "caption": chart.caption}
            self.drawn.append(name)
        self._used[name] = known
        self._known[name] = known
        self._write_index(self._known)
        svg = (self.folder / _PAGE / f"{name}.svg").read_text(encoding="utf-8")
        return Shown(name, known["caption"], Markup(svg))

    def _paths(self, name: str) -> list[Path]:
        files = [self.folder / f"{name}{suffix}" for suffix in (".png", ".svg", ".csv")]
        return [*files, self.folder / _PAGE / f"{name}.svg"]

    def write_table(self, name: str, table: pd.DataFrame) -> None:
        """Write a table to ``NAME.csv``."""
        write_table(self.folder / f"{name}.csv", table)

    def forget_others(self) -> None:
        """Remove figures of earlier runs that this run does not show."""
        for name in set(self._known) - set(self._used):
            for path in self._paths(name):
                path.unlink(missing_ok=True)
        self._known = dict(self._used)
        self._write_index(self._known)

    def _write(self, name: str, chart: Chart) -> None:
        chart.save(self.folder, name)
        svg = for_page((self.folder / f"{name}.svg").read_text(encoding="utf-8"), chart.caption)
        with replacing(self.folder / _PAGE / f"{name}.svg") as part:
            part.write_text(svg, encoding="utf-8")

    def _read_index(self) -> dict[str, dict[str, str]]:
        try:
            known = json.loads((self.folder / _INDEX).read_text(encoding="utf-8"))
            return {name: {"key": e["key"], "caption": e["caption"]} for name, e in known.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}  # all figures are drawn again

    def _write_index(self, known: dict[str, dict[str, str]]) -> None:
        with replacing(self.folder / _INDEX) as part:
            part.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


_IMAGE = re.compile(r'data:image/png;base64,([A-Za-z0-9+/=\s]+)"')
_NAMED_GROUP = re.compile(r'(<(?:g|image|svg)\b[^>]*?) id="[^"]*"')
_PROLOG = re.compile(r"^.*?(?=<svg)", re.DOTALL)


def for_page(svg: str, label: str) -> str:
    """Convert an SVG drawing from matplotlib for embedding in a page.

    Ink and paper get the colors of the page, photographs become WebP, the width adapts to the
    page, and element names that could occur in other drawings are removed.
    """
    svg = _PROLOG.sub("", svg, count=1)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = _NAMED_GROUP.sub(r"\1", svg)
    svg = svg.replace(INK, "currentColor").replace(PAPER, "var(--page)")
    svg = _IMAGE.sub(_smaller, svg)
    label = str(Markup.escape(label))
    svg = re.sub(r'(<svg\b[^>]*?) width="[^"]*" height="[^"]*"', r"\1", svg, count=1)
    # (This relies on the order of attributes that matplotlib writes.)
    svg = re.sub(r'(<svg\b[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    return Markup(
        re.sub(r"<svg\b", lambda _: f'<svg role="img" aria-label="{label}"', svg, count=1)
    )


def _smaller(match: re.Match[str]) -> str:
    """Convert the PNG of a photograph to WebP. Maps and strips of color are not changed."""
    data = base64.b64decode(match[1])
    with Image.open(io.BytesIO(data)) as image:
        opaque = image.mode == "RGB" or (
            image.mode == "RGBA" and image.getchannel("A").getextrema() == (255, 255)
        )
        if not opaque or min(image.size) < 40:
            return match[0]
        file = io.BytesIO()
        image.convert("RGB").save(file, "WEBP", quality=90, method=4)
    if file.tell() >= len(data):
        return match[0]
    return f'data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"'


def write_page(
    path: Path,
    title: str,
    summary: str,
    facts: Sequence[tuple[str, str]],
    sections: Sequence[Section],
) -> None:
    """Write a self-contained page.

    Parameters
    ----------
    path
        The HTML file. The folder ``figures`` is next to it.
    title, summary
        Heading, and a paragraph below it.
    facts
        Names and values that describe the data, the settings and the date.
    sections
        Sections in order.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template(TEMPLATE).render(
        title=title, summary=summary, facts=facts, sections=sections
    )
    with replacing(path) as part:
        part.write_text(html, encoding="utf-8")
