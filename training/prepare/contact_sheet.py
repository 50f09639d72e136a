"""Contact sheets that show the images a rule rejected and those it barely kept."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from training.prepare.errors import PrepareError
from training.prepare.images import SourceImage, decode

THUMBNAIL = 160
"""Side in pixels of the square that a thumbnail fits into."""

_COLUMNS = 8
_PNG_CELLS = 64
_LINE = 13  # height in pixels of a line of text under an image

_STYLE = """
body { font: 14px system-ui, sans-serif; margin: 2em; color: #222; background: #fff }
figure { display: inline-block; vertical-align: top; margin: 4px; max-width: 340px }
figcaption { font-size: 11px; overflow-wrap: anywhere }
td, th { text-align: left; padding: 2px 1em 2px 0; vertical-align: top }
"""


@dataclass(frozen=True)
class Cell:
    """One image on a contact sheet.

    Attributes
    ----------
    image : SourceImage
    caption : str
        The measures that the rule used.
    beside : SourceImage or None
        The image that it duplicates, shown to its right.
    """

    image: SourceImage
    caption: str
    beside: SourceImage | None = None


def thumbnail(image: SourceImage) -> tuple[SourceImage, bytes]:
    """Return the image and its thumbnail as a JPEG file; a damaged image becomes a crossed box."""
    try:
        small = ImageOps.contain(decode(image.read()).rgb, (THUMBNAIL, THUMBNAIL))
    except (PrepareError, OSError, KeyError, ValueError, RuntimeError):
        small = Image.new("RGB", (THUMBNAIL, THUMBNAIL * 3 // 4), "white")
        draw = ImageDraw.Draw(small)
        right, bottom = small.width - 1, small.height - 1
        draw.rectangle((0, 0, right, bottom), outline="gray")
        draw.line((0, 0, right, bottom), fill="gray")
        draw.line((0, bottom, right, 0), fill="gray")
    file = io.BytesIO()
    small.save(file, "JPEG", quality=85)
    return image, file.getvalue()


def write_sheet(
    folder: Path,
    name: str,
    heading: str,
    thrown_out: Sequence[Cell],
    just_kept: Sequence[Cell],
    thumbnails: Mapping[SourceImage, bytes],
) -> None:
    """Write ``name.html`` (self-contained) and ``name.png`` (the first 64 rejected images).

    Parameters
    ----------
    folder : Path
    name, heading : str
    thrown_out, just_kept : sequence of Cell
        Cells, sorted from worst to best.
    thumbnails : mapping of SourceImage to bytes
        JPEG files of all images on the sheet.
    """
    parts = [f"<h1>{html.escape(heading)}</h1>", _figures(thrown_out, thumbnails)]
    if just_kept:
        parts += ["<h2>Just kept</h2>", _figures(just_kept, thumbnails)]
    write_page(folder / f"{name}.html", heading, "".join(parts))
    _grid(thrown_out[:_PNG_CELLS], thumbnails).save(folder / f"{name}.png")


def write_page(path: Path, title: str, body: str) -> None:
    """Write an HTML page around `body`."""
    path.write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style><body>{body}</body></html>\n",
        encoding="utf-8",
    )


def _figures(cells: Sequence[Cell], thumbnails: Mapping[SourceImage, bytes]) -> str:
    def img_tag(image: SourceImage) -> str:
        data = base64.b64encode(thumbnails[image]).decode()
        label = html.escape(image.label, quote=True)
        return f'<img alt="{label}" title="{label}" src="data:image/jpeg;base64,{data}">'

    return "".join(
        f"<figure>{img_tag(cell.image)}{img_tag(cell.beside) if cell.beside else ''}"
        f"<figcaption>{html.escape(cell.caption)}<br>{html.escape(cell.image.label)}"
        "</figcaption></figure>"
        for cell in cells
    )


def _grid(cells: Sequence[Cell], thumbnails: Mapping[SourceImage, bytes]) -> Image.Image:
    """Draw a grid of thumbnails with caption and name below; a pair takes two cells."""
    wide = 2 if any(cell.beside for cell in cells) else 1
    width, height = THUMBNAIL * wide + 8, THUMBNAIL + 2 * _LINE + 6
    columns = _COLUMNS // wide
    rows = max(1, -(-len(cells) // columns))
    sheet = Image.new("RGB", (columns * width, rows * height), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(10)
    if not cells:
        draw.text((4, 4), "nothing was thrown out", fill="black", font=font)
    for place, cell in enumerate(cells):
        x, y = place % columns * width, place // columns * height
        for shift, image in enumerate(p for p in (cell.image, cell.beside) if p):
            with Image.open(io.BytesIO(thumbnails[image])) as small:
                sheet.paste(small, (x + 2 + shift * THUMBNAIL, y + 2))
        for line, text in enumerate((cell.caption, cell.image.label)):
            room = width - 6
            while text and font.getlength(text) > room:  # keep the end: names differ there
                text = text[:-1] if line == 0 else text[1:]
            at = (x + 2, y + THUMBNAIL + 2 + line * _LINE)
            draw.text(at, text, fill="black", font=font)
    return sheet
