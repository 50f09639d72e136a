"""How a file would be read and, of a result of recolor, how it was made."""

import json
import sys
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

from recolor_core.cli.plan import STREAM
from recolor_core.images import Page, open_image

_XMP = "{http://ns.adobe.com/xap/1.0/mm/}"
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_EVENT = "{http://ns.adobe.com/xap/1.0/sType/ResourceEvent#}"
_SOFTWARE = "recolor "  # how the software agent of its events begins


def describe(name: str) -> dict[str, Any]:
    """What there is to know of an image file, of JSON types alone.

    Parameters
    ----------
    name
        Of the file, or "-" for standard input.

    Raises
    ------
    ImageError
        Where it cannot be read.
    """
    with open_image(sys.stdin.buffer if name == STREAM else name) as file:
        pages, packets = [], []
        for page in file:  # one at a time: they may be large
            pages.append(_page(page))
            packets.append(page.metadata.xmp)
        return {
            "file": name,
            "format": file.format,
            "pages": pages,
            "colorized_as": file.output_name(),
            "recolor": made_by_recolor(packets[0]),
        }


def _page(page: Page) -> dict[str, Any]:
    height, width = page.codes.shape[:2]
    resolution = page.metadata.resolution
    return {
        "width": width,
        "height": height,
        "dtype": str(page.codes.dtype),
        "reading": page.reading,
        "color_space": page.space.name,
        "dots_per_inch": resolution.per_inch() if resolution else None,
        "exif": page.metadata.exif is not None,
    }


def made_by_recolor(xmp: bytes | None) -> dict[str, Any] | None:
    """What the XMP packet of a result says of how it was made; None for other images."""
    try:
        root = ElementTree.fromstring((xmp or b"").strip(b"\0 \r\n\t"))
    except ElementTree.ParseError:
        return None
    for event in reversed(root.findall(f".//{_XMP}History//{_RDF}li")):
        # Other software may have stored its properties anew, as attributes.
        tool, when, facts = (
            event.findtext(_EVENT + name) or event.get(_EVENT + name) or ""
            for name in ("softwareAgent", "when", "parameters")
        )
        if tool.startswith(_SOFTWARE):
            try:
                return {"tool": tool, "when": when, **json.loads(facts)}
            except (ValueError, TypeError):
                return {"tool": tool, "when": when, "parameters": facts}
    return None


def lines(facts: dict[str, Any]) -> Iterator[str]:
    """The same for people."""
    pages = facts["pages"]
    count = f", {len(pages)} pages" if len(pages) > 1 else ""
    yield f"{facts['file']}: {facts['format']}{count}"
    for number, page in enumerate(pages, 1):
        words = [f"{page['width']} x {page['height']}", page["dtype"], page["reading"]]
        if page["dots_per_inch"]:
            words.append(" x ".join(f"{value:g}" for value in page["dots_per_inch"]) + " dpi")
        if page["exif"]:
            words.append("EXIF")
        yield f"  {f'page {number}: ' if count else ''}{', '.join(words)}"
    if facts["recolor"]:
        for key, value in facts["recolor"].items():
            text = value if isinstance(value, str) else json.dumps(value)
            yield f"  {key.replace('_', ' ')}: {text}"
    else:
        yield f"  colorized as {facts['colorized_as']}"
