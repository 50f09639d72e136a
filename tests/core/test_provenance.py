"""Oracle of the packets: an XML parser that shares nothing with the writer."""

import json
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recolor_core import provenance

NAMES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "stEvt": "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#",
    "iptc": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
}
FACTS = {
    "software": "recolor",
    "version": "0.1.0",
    "weights": {"name": "default", "sha256": "ab" * 32},
    "settings": {"vividness": 0.5},
    "reading": "16-bit gray, <Gray & Gamma> profile",
}
SCANNER = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<r:Description r:about="uuid:faf5" xmlns:xap="http://ns.adobe.com/xap/1.0/"
  xmlns:t="http://ns.adobe.com/tiff/1.0/" xmlns:mm="http://ns.adobe.com/xap/1.0/mm/"
  xmlns:e="http://ns.adobe.com/xap/1.0/sType/ResourceEvent#" xap:CreatorTool="Scan 9"
  t:Orientation="6" t:Make="Epson" xap:Rating="4">
 <dc:title xmlns:dc="http://purl.org/dc/elements/1.1/"><r:Alt>
  <r:li xml:lang="x-default">Am Fluß</r:li></r:Alt></dc:title>
 <mm:History><r:Seq><r:li e:action="created" e:when="1999-01-01T00:00:00Z"/></r:Seq></mm:History>
</r:Description></r:RDF></x:xmpmeta>
<?xpacket end="w"?>""".encode()


def parsed(packet: bytes) -> ElementTree.Element:
    text = packet.decode()
    assert text.startswith('<?xpacket begin="\ufeff"')
    assert text.endswith('<?xpacket end="w"?>')
    return ElementTree.fromstring(text)


def text(root: ElementTree.Element, path: str) -> list[str | None]:
    return [element.text for element in root.findall(f".//{path}", NAMES)]


@pytest.mark.parametrize("existing", [None, b"", b"<broken", b"<other/>", SCANNER])
def test_a_packet_says_what_the_image_is_and_how_it_came_to_be(existing: bytes | None) -> None:
    root = parsed(provenance.xmp_packet(FACTS, existing, "2026-01-02T03:04:05Z"))
    assert text(root, "iptc:DigitalSourceType") == [
        "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
    ]
    name = FACTS["weights"]["name"]
    assert text(root, "iptc:AISystemUsed") == [f"recolor, weights {name}"]
    assert text(root, "iptc:AISystemVersionUsed") == ["0.1.0"]
    assert text(root, "xmp:CreatorTool") == ["recolor 0.1.0"]
    assert text(root, "stEvt:softwareAgent") == ["recolor 0.1.0"]
    assert text(root, "stEvt:when") == ["2026-01-02T03:04:05Z"]
    (parameters,) = text(root, "stEvt:parameters")
    facts = json.loads(parameters or "")
    for key in ("weights", "settings", "reading"):
        assert facts[key] == FACTS[key]


def test_the_packet_of_the_source_is_extended() -> None:
    root = parsed(provenance.xmp_packet(FACTS, SCANNER))
    assert text(root, "dc:title/rdf:Alt/rdf:li") == ["Am Fluß"]
    first = root.find(".//rdf:Description", NAMES)
    assert first is not None
    assert first.get(f"{{{NAMES['tiff']}}}Make") == "Epson"
    assert first.get(f"{{{NAMES['xmp']}}}Rating") == "4"
    assert first.get(f"{{{NAMES['tiff']}}}Orientation") is None  # applied to the pixels
    assert first.get(f"{{{NAMES['xmp']}}}CreatorTool") is None  # given only once
    abouts = {
        description.get(f"{{{NAMES['rdf']}}}about")
        for description in root.findall("rdf:RDF/rdf:Description", NAMES)
    }
    assert abouts == {"uuid:faf5"}
    events = root.findall(".//xmpMM:History/rdf:Seq/rdf:li", NAMES)
    assert events[0].get(f"{{{NAMES['stEvt']}}}action") == "created"
    assert len(events) == 2
    assert json.loads(text(root, "stEvt:parameters")[0] or "")["previous_tool"] == "Scan 9"


def test_colorizing_twice_makes_two_events() -> None:
    once = provenance.xmp_packet(FACTS)
    root = parsed(provenance.xmp_packet({**FACTS, "version": "0.2.0"}, once))
    assert text(root, "stEvt:softwareAgent") == ["recolor 0.1.0", "recolor 0.2.0"]
    assert text(root, "xmp:CreatorTool") == ["recolor 0.2.0"]
    assert text(root, "iptc:AISystemVersionUsed") == ["0.2.0"]
    assert len(text(root, "iptc:DigitalSourceType")) == 1


@pytest.mark.slow
@given(st.dictionaries(st.text(), st.text()))
@example({"source": "\udcff.tif"})  # a name that is no Unicode, as Python spells it
@example({"\x1f": "\ufffe]]>"})
def test_any_text_fits(facts: dict[str, str]) -> None:
    wanted = {key: value for key, value in facts.items() if key not in ("software", "version")}
    (parameters,) = text(parsed(provenance.xmp_packet(wanted)), "stEvt:parameters")
    assert json.loads(parameters or "") == wanted
    data = provenance.sidecar([wanted], source="a", source_sha256="", output="b", exact_gray=True)
    assert json.loads(data)["pages"] == [wanted]


def test_a_packet_cannot_grow_without_limit() -> None:
    laughs = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))
    bomb = f'<!DOCTYPE x [<!ENTITY l0 "ha">{laughs}]><x>&l11;</x>'.encode()
    assert len(provenance.xmp_packet(FACTS, bomb)) < 10_000


def test_the_time_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert provenance.now() == "1970-01-02T00:00:00Z"
    first = provenance.xmp_packet(FACTS)
    assert first == provenance.xmp_packet(FACTS)
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert provenance.now() > "2025"


def test_the_sidecar_holds_the_same_facts_and_the_source() -> None:
    data = provenance.sidecar(
        [FACTS],
        source="scan.tif",
        source_sha256="cd" * 32,
        output="scan.recolor.tif",
        exact_gray=True,
    )
    facts = json.loads(data)
    assert facts["digital_source_type"] == provenance.SOURCE_TYPE
    assert facts["source"] == {"name": "scan.tif", "sha256": "cd" * 32}
    assert facts["output"] == {"name": "scan.recolor.tif", "exact_gray": True}
    assert facts["pages"] == [FACTS]
