"""A contact sheet: a coloring and its alternatives in small, numbered, to choose from."""

from io import BytesIO
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from recolor_core.provenance import xmp_packet
from recolor_core.result import Colorization

_SIDE = 360  # of a coloring, the longer side, in pixels
_GAP = 12
_LINE = 22  # height of a line of text
_PAPER, _INK = (255, 255, 255), (20, 20, 20)


def contact_sheet(result: Colorization, facts: dict[str, Any]) -> bytes:
    """Lay a coloring and its alternatives out, numbered as `Colorization.take` numbers them.

    Parameters
    ----------
    result : Colorization
        With alternatives.
    facts : dict
        The provenance of the page; it is in the file, as in a result.

    Returns
    -------
    bytes
        PNG.
    """
    count = len(result.ab_alternatives)
    small = [result.take(number).thumbnail(_SIDE) for number in range(count + 1)]
    height, width = small[0].shape[:2]
    columns = min(count + 1, max(1, round(((count + 1) * (height + _LINE) / width) ** 0.5)))
    rows = -(-(count + 1) // columns)
    font = ImageFont.load_default(14)
    notes = _wrapped(_notes(facts), font, columns * (width + _GAP) - _GAP)
    size = (
        _GAP + columns * (width + _GAP),
        _GAP + rows * (height + _LINE + _GAP) + len(notes) * _LINE + _GAP,
    )
    sheet = Image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(sheet)
    for number, image in enumerate(small):
        x = _GAP + number % columns * (width + _GAP)
        y = _GAP + number // columns * (height + _LINE + _GAP)
        sheet.paste(Image.fromarray(image), (x, y))
        label = f"{number}" if number else "0 (without --take)"
        pen.text((x, y + height + 3), label, _INK, font)
    for line, text in enumerate(notes):
        y = size[1] - _GAP - (len(notes) - line) * _LINE
        pen.text((_GAP, y), text, _INK, font)
    info = PngInfo()
    packet = xmp_packet(facts | {"sheet": count}).decode()
    info.add_itxt("XML:com.adobe.xmp", packet)
    stream = BytesIO()
    sheet.save(stream, "PNG", pnginfo=info)
    return stream.getvalue()


def _notes(facts: dict[str, Any]) -> str:
    weights = facts["weights"]
    return (
        f"Synthetic colors, which may be wrong: made by {facts['software']} {facts['version']} "
        f"with the weights {weights['name']} ({weights['sha256'][:12]}), seed {facts['seed']}. "
        f"Source SHA-256 {facts['source_sha256'][:12]}. --take N makes number N the result."
    )


def _wrapped(text: str, font: Any, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
