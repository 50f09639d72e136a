"""Marks of a colorized image: an XMP packet in the file, and a JSON sidecar beside it.

XMP follows ISO 16684-1. The digital source type follows the IPTC Photo Metadata Standard 2025.1,
which requires machine-readable marks for content that a trained algorithm made.
"""

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.dom import minidom
from xml.etree import ElementTree
from xml.parsers.expat import ExpatError

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XMP = "http://ns.adobe.com/xap/1.0/"
_XMPMM = "http://ns.adobe.com/xap/1.0/mm/"
_EVENT = "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_TIFF = "http://ns.adobe.com/tiff/1.0/"
_EXIF = "http://ns.adobe.com/exif/1.0/"
_PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
_PREFIXES = {"rdf": _RDF, "xmp": _XMP, "xmpMM": _XMPMM, "stEvt": _EVENT, "Iptc4xmpExt": _IPTC}

# Properties in the packet of the source that are wrong for the colorized pixels.
_STALE = (
    *((_TIFF, name) for name in ("Orientation", "ImageWidth", "ImageLength", "BitsPerSample")),
    *((_TIFF, name) for name in ("SamplesPerPixel", "PhotometricInterpretation", "Compression")),
    *((_EXIF, name) for name in ("PixelXDimension", "PixelYDimension", "ColorSpace")),
    *((_PHOTOSHOP, name) for name in ("ColorMode", "ICCProfile")),
    (_XMP, "Thumbnails"),
)
# Properties that name the AI that made an image -> keys under which the history keeps old values.
_PREVIOUS = {
    "DigitalSourceType": "previous_source_type",
    "AISystemUsed": "previous_ai_system",
    "AISystemVersionUsed": "previous_ai_system_version",
}
_SOFTWARE = "recolor "  # the beginning of the software agent in Recolor's events
_HEAD = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
_TAIL = '\n<?xpacket end="w"?>'
_EMPTY = (
    f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}">'
    '<rdf:Description rdf:about=""/></rdf:RDF></x:xmpmeta>'
)


def ai_system(provenance: Mapping[str, Any]) -> tuple[str, str]:
    """Return the AI system and its version, as the IPTC standard 2025.1 requires them.

    Parameters
    ----------
    provenance : mapping
        The provenance of an image, or the facts of a film.

    Returns
    -------
    tuple of str
        The values of *AI System Used* and *AI System Version Used*.
    """
    weights = provenance.get("weights")
    name = weights.get("name") if isinstance(weights, Mapping) else None
    system = str(provenance.get("software", "recolor"))
    return f"{system}, weights {name}" if name else system, str(provenance.get("version", ""))


def now() -> str:
    """Return the current time in UTC, or the time in SOURCE_DATE_EPOCH if it is set.

    Returns
    -------
    str
        ISO 8601, to the second.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    moment = datetime.fromtimestamp(int(epoch), UTC) if epoch.isdecimal() else datetime.now(UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def xmp_packet(
    provenance: Mapping[str, Any], existing: bytes | None = None, created: str | None = None
) -> bytes:
    """Make the XMP packet of a colorized image.

    Parameters
    ----------
    provenance : mapping
        `recolor_core.Colorization.provenance`: "software", "version", and anything else that JSON
        can hold. All of it goes into the history.
    existing : bytes, optional
        The packet of the source. It is kept and extended, except for properties that are wrong for
        the colorized pixels. A damaged packet is left out.
    created : str, optional
        Time of creation, as `now` returns it; the current time by default.

    Returns
    -------
    bytes
        UTF-8, with the ``xpacket`` wrapper. The same arguments give the same bytes.
    """
    document = _parsed(existing) or minidom.parseString(_EMPTY)
    rdf = document.getElementsByTagNameNS(_RDF, "RDF")[0]
    facts = dict(provenance)
    tool = f"{facts.pop('software', 'recolor')} {facts.pop('version', '')}".strip()
    if previous := _take(rdf, _XMP, "CreatorTool"):
        facts["previous_tool"] = previous
    for name, key in _PREVIOUS.items():
        if previous := _take(rdf, _IPTC, name):
            facts[key] = previous
    for namespace, name in _STALE:
        _take(rdf, namespace, name)
    moment = created or now()
    for name in ("ModifyDate", "MetadataDate"):
        _take(rdf, _XMP, name)

    description = _element(document, "rdf:Description", *_PREFIXES)
    description.setAttributeNS(_RDF, "rdf:about", _about(rdf))
    rdf.appendChild(description)
    _set(document, description, _IPTC, "Iptc4xmpExt:DigitalSourceType", SOURCE_TYPE)
    system, version = ai_system(provenance)
    _set(document, description, _IPTC, "Iptc4xmpExt:AISystemUsed", system)
    if version:
        _set(document, description, _IPTC, "Iptc4xmpExt:AISystemVersionUsed", version)
    _set(document, description, _XMP, "xmp:CreatorTool", tool)
    _set(document, description, _XMP, "xmp:ModifyDate", moment)
    _set(document, description, _XMP, "xmp:MetadataDate", moment)
    event = _element(document, "rdf:li", "rdf", "stEvt")
    event.setAttributeNS(_RDF, "rdf:parseType", "Resource")
    _set(document, event, _EVENT, "stEvt:action", "edited")
    _set(document, event, _EVENT, "stEvt:changed", "/")
    # JSON in ASCII, because a file name can contain characters that XML cannot.
    _set(document, event, _EVENT, "stEvt:parameters", json.dumps(facts, sort_keys=True))
    _set(document, event, _EVENT, "stEvt:softwareAgent", tool)
    _set(document, event, _EVENT, "stEvt:when", moment)
    _history(document, rdf, description).appendChild(event)
    root = document.documentElement
    assert root is not None  # it was parsed
    return f"{_HEAD}{root.toxml()}{_TAIL}".encode()


def read_xmp(packet: bytes | None) -> dict[str, Any] | None:
    """Read how an image was made from its XMP packet.

    Parameters
    ----------
    packet : bytes or None
        A packet that `xmp_packet` wrote; other software may have rewritten it.

    Returns
    -------
    dict or None
        ``"tool"``, ``"when"`` and the facts of the last event of Recolor; None if there is no such
        event.
    """
    try:
        root = ElementTree.fromstring((packet or b"").strip(b"\0 \r\n\t"))
    except (ElementTree.ParseError, ValueError):
        return None
    for event in reversed(root.findall(f".//{{{_XMPMM}}}History//{{{_RDF}}}li")):
        # Other software may have rewritten the properties as attributes.
        tool, when, facts = (
            event.findtext(f"{{{_EVENT}}}{name}") or event.get(f"{{{_EVENT}}}{name}") or ""
            for name in ("softwareAgent", "when", "parameters")
        )
        if tool.startswith(_SOFTWARE):
            try:
                return {"tool": tool, "when": when, **json.loads(facts)}
            except (ValueError, TypeError):
                return {"tool": tool, "when": when, "parameters": facts}
    return None


def without_mark(packet: bytes | None) -> bytes | None:
    """Restore the XMP packet of the source from that of the colorized image.

    Parameters
    ----------
    packet : bytes or None
        A packet that `xmp_packet` wrote.

    Returns
    -------
    bytes or None
        The packet without the properties that Recolor added, and with the values that it replaced;
        None if nothing is left. Properties that Recolor removed because they were wrong for the
        colorized pixels are not restored. A packet without an event of Recolor does not change.
    """
    made, document = read_xmp(packet), _parsed(packet)
    if made is None or document is None:
        return packet
    rdf = document.getElementsByTagNameNS(_RDF, "RDF")[0]
    for name in ("CreatorTool", "ModifyDate", "MetadataDate"):
        _take(rdf, _XMP, name)
    for name in _PREVIOUS:
        _take(rdf, _IPTC, name)
    for event in reversed(list(rdf.getElementsByTagNameNS(_RDF, "li"))):
        agents = event.getElementsByTagNameNS(_EVENT, "softwareAgent")
        text = "".join(
            node.data
            for agent in agents
            for node in agent.childNodes
            if isinstance(node, minidom.Text)
        )
        if (text or event.getAttributeNS(_EVENT, "softwareAgent")).startswith(_SOFTWARE):
            _remove(event, until=rdf)
            break
    previous = {
        (_XMP, "xmp:CreatorTool"): made.get("previous_tool"),
        **{(_IPTC, f"Iptc4xmpExt:{name}"): made.get(key) for name, key in _PREVIOUS.items()},
    }
    if any(previous.values()):
        description = _element(document, "rdf:Description", *_PREFIXES)
        description.setAttributeNS(_RDF, "rdf:about", _about(rdf))
        rdf.appendChild(description)
        for (namespace, name), value in previous.items():
            if value:
                _set(document, description, namespace, name, value)
    for description in list(rdf.getElementsByTagNameNS(_RDF, "Description")):
        if description.parentNode is rdf and not _says_anything(description):
            rdf.removeChild(description)
    if not rdf.getElementsByTagNameNS(_RDF, "Description"):
        return None
    root = document.documentElement
    assert root is not None  # it was parsed
    return f"{_HEAD}{root.toxml()}{_TAIL}".encode()


def _remove(element: minidom.Element, until: minidom.Element) -> None:
    """Remove an element, and then each parent that contains no other element."""
    while element is not until:
        parent = element.parentNode
        if not isinstance(parent, minidom.Element):
            return
        parent.removeChild(element)
        if any(child.nodeType == child.ELEMENT_NODE for child in parent.childNodes):
            return
        element = parent


def _says_anything(description: minidom.Element) -> bool:
    if any(child.nodeType == child.ELEMENT_NODE for child in description.childNodes):
        return True
    names = (name for name in description.attributes.keys())  # noqa: SIM118 (no mapping)
    return any(not name.startswith("xmlns") and name != "rdf:about" for name in names)


def read_sidecar(path: Path) -> list[dict[str, Any]]:
    """Read how the pages of an image were made from its JSON sidecar.

    Parameters
    ----------
    path : Path
        A file with the content that `sidecar` returned.

    Returns
    -------
    list of dict
        One for each page, with the name of the source; empty if the file does not exist or is not a
        sidecar.
    """
    try:
        facts = json.loads(path.read_bytes())
        known = {"when": facts["created"], "source": facts["source"]["name"]}
        return [
            {"tool": f"{page.get('software')} {page.get('version')}", **known, **page}
            for page in facts["pages"]
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []


def describe_result(record: Mapping[str, Any]) -> str:
    """Say in words that an image or film is a result of Recolor, and of what.

    Parameters
    ----------
    record : mapping
        How it was made, as `read_xmp` and `read_sidecar` return it.
    """
    source = record.get("source")
    return "this is a result of recolor" + (f", made from {source}" if source else "")


RECOLORED = "its gray is colorized again. Name the source instead, if you have it"
"""What a command says if a result of Recolor is its input."""


def sidecar(
    pages: Sequence[Mapping[str, Any]],
    *,
    source: str,
    source_sha256: str,
    output: str,
    exact_gray: bool,
    output_sha256: str = "",
    created: str | None = None,
) -> bytes:
    """Make the JSON sidecar of a colorized image, which contains the facts of its XMP and more.

    Parameters
    ----------
    pages : sequence of mapping
        The provenance of each image in the file.
    source, output : str
        Names of the source file and of the colorized file.
    source_sha256 : str
        SHA-256 of the source file, hexadecimal.
    exact_gray : bool
        Whether the gray of the file is the gray of the source at every pixel.
    output_sha256 : str
        SHA-256 of the colorized file, hexadecimal; left out if empty.
    created : str, optional
        Time of creation, as `now` returns it; the current time by default.

    Returns
    -------
    bytes
        UTF-8.
    """
    written = {"name": output, "exact_gray": exact_gray}
    if output_sha256:
        written["sha256"] = output_sha256
    facts = {
        "digital_source_type": SOURCE_TYPE,
        "created": created or now(),
        "source": {"name": source, "sha256": source_sha256},
        "output": written,
        "pages": [dict(page) for page in pages],
    }
    text = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
    return text.encode("utf-8", "backslashreplace")  # a file name may not be valid Unicode


def _parsed(packet: bytes | None) -> minidom.Document | None:
    if not packet:
        return None
    try:
        document = minidom.parseString(packet.strip(b"\0 \r\n\t"))
    except (ExpatError, ValueError):
        return None
    return document if document.getElementsByTagNameNS(_RDF, "RDF") else None


def _about(rdf: minidom.Element) -> str:
    # All descriptions in a packet are about the same resource.
    for description in rdf.getElementsByTagNameNS(_RDF, "Description"):
        if description.parentNode is rdf:
            return description.getAttributeNS(_RDF, "about")
    return ""


def _take(rdf: minidom.Element, namespace: str, name: str) -> str:
    """Remove a property, whether it is an attribute or an element, and return its text."""
    value = ""
    for description in rdf.getElementsByTagNameNS(_RDF, "Description"):
        if description.parentNode is not rdf:
            continue
        if description.hasAttributeNS(namespace, name):
            value = description.getAttributeNS(namespace, name)
            description.removeAttributeNS(namespace, name)
        for child in list(description.childNodes):
            if child.namespaceURI == namespace and child.localName == name:
                value = "".join(
                    node.data for node in child.childNodes if node.nodeType == node.TEXT_NODE
                )
                description.removeChild(child)
    return value.strip()


def _element(document: minidom.Document, name: str, *prefixes: str) -> minidom.Element:
    """Make an element that declares its prefixes; the source may define them differently."""
    element = document.createElementNS(_RDF, name)
    for prefix in prefixes:
        element.setAttribute(f"xmlns:{prefix}", _PREFIXES[prefix])
    return element


def _set(
    document: minidom.Document, parent: minidom.Element, namespace: str, name: str, value: str
) -> None:
    element = document.createElementNS(namespace, name)
    element.appendChild(document.createTextNode(value))
    parent.appendChild(element)


def _history(
    document: minidom.Document, rdf: minidom.Element, description: minidom.Element
) -> minidom.Element:
    """Find the list of events of the source, or add an empty list to `description`."""
    for found in rdf.getElementsByTagNameNS(_XMPMM, "History"):
        for kind in ("Seq", "Bag"):
            for events in found.getElementsByTagNameNS(_RDF, kind):
                return events
    events = document.createElementNS(_RDF, "rdf:Seq")
    history = document.createElementNS(_XMPMM, "xmpMM:History")
    history.appendChild(events)
    description.appendChild(history)
    return events
