"""XMP packets: measured before they are parsed, and extended by captions of other formats."""

import re
from dataclasses import dataclass
from typing import Literal
from xml.dom import minidom
from xml.parsers import expat

from recolor_core.images.limits import MAX_XMP_BYTES, MAX_XMP_DEPTH, MAX_XMP_NODES

DC = "http://purl.org/dc/elements/1.1/"
PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
IPTC_CORE = "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"
EXIF = "http://ns.adobe.com/exif/1.0/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_LISTS = {"alt": "rdf:Alt", "bag": "rdf:Bag", "seq": "rdf:Seq"}
_EMPTY = (
    f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}">'
    '<rdf:Description rdf:about=""/></rdf:RDF></x:xmpmeta>'
)
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Property:
    """A property of XMP: a text, a bag, a sequence, or alternatives by language (the default)."""

    namespace: str
    name: str
    kind: str
    values: tuple[str, ...]


Problem = Literal["", "damaged", "too large"]


def problem(packet: bytes) -> Problem:
    """What keeps a packet from being parsed: it is damaged, or too large or deep to be honest.

    Costs one pass without building a tree.
    """
    if len(packet) > MAX_XMP_BYTES:
        return "too large"
    parser = expat.ParserCreate()
    depth = nodes = 0

    def start(_name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, nodes
        depth += 1
        nodes += 1 + len(attributes)
        if depth > MAX_XMP_DEPTH or nodes > MAX_XMP_NODES:
            raise _TooLargeError

    def end(_name: str) -> None:
        nonlocal depth
        depth -= 1

    def node(*_: object) -> None:
        nonlocal nodes
        nodes += 1
        if nodes > MAX_XMP_NODES:
            raise _TooLargeError

    def document_type(*_: object) -> None:  # entities: XMP has none
        raise ValueError

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CommentHandler = node
    parser.ProcessingInstructionHandler = node
    parser.StartDoctypeDeclHandler = document_type
    try:
        parser.Parse(packet.strip(b"\0 \r\n\t"), True)
    except _TooLargeError:
        return "too large"
    except (expat.ExpatError, ValueError, LookupError):
        return "damaged"
    return ""


class _TooLargeError(Exception):
    pass


def extended(packet: bytes | None, properties: list[Property]) -> bytes | None:
    """The packet with properties that it does not have yet; its own ones stay.

    Parameters
    ----------
    packet
        A packet without a `problem`, or None for a new one.
    properties
        What to add.
    """
    if not properties:
        return packet
    document = minidom.parseString((packet or _EMPTY.encode()).strip(b"\0 \r\n\t"))
    roots = document.getElementsByTagNameNS(_RDF, "RDF")
    if not roots:
        return packet
    rdf = roots[0]
    descriptions = [
        child
        for child in rdf.childNodes
        if child.namespaceURI == _RDF and child.localName == "Description"
    ]
    target = document.createElementNS(_RDF, "rdf:Description")
    target.setAttribute("xmlns:rdf", _RDF)
    about = descriptions[0].getAttributeNS(_RDF, "about") if descriptions else ""
    target.setAttributeNS(_RDF, "rdf:about", about)
    for item in properties:
        local = item.name.partition(":")[2]
        if any(_has(description, item.namespace, local) for description in descriptions):
            continue
        target.setAttribute(f"xmlns:{item.name.partition(':')[0]}", item.namespace)
        target.appendChild(_element(document, item))
    if not target.childNodes:
        return packet
    rdf.appendChild(target)
    root = document.documentElement
    assert root is not None  # it was parsed
    return root.toxml().encode()


def _has(description: minidom.Element, namespace: str, local: str) -> bool:
    return description.hasAttributeNS(namespace, local) or any(
        child.namespaceURI == namespace and child.localName == local
        for child in description.childNodes
    )


def _element(document: minidom.Document, item: Property) -> minidom.Element:
    element = document.createElementNS(item.namespace, item.name)
    if item.kind == "text":
        element.appendChild(document.createTextNode(_NOT_XML.sub("", item.values[0])))
        return element
    container = document.createElementNS(_RDF, _LISTS[item.kind])
    for value in item.values[:1] if item.kind == "alt" else item.values:
        entry = document.createElementNS(_RDF, "rdf:li")
        if item.kind == "alt":
            entry.setAttribute("xml:lang", "x-default")
        entry.appendChild(document.createTextNode(_NOT_XML.sub("", value)))
        container.appendChild(entry)
    element.appendChild(container)
    return element
