"""IPTC captions (IIM 4) as XMP properties, for formats that have no place for IPTC.

The mapping is that of the IPTC Photo Metadata Standard, "IPTC Core and IIM".
"""

from collections.abc import Iterator

from recolor_core.images.xmp import DC, IPTC_CORE, PHOTOSHOP, Property

_CHARACTER_SET, _UTF_8 = (1, 90), b"\x1b%G"
_DATE, _TIME = (2, 55), (2, 60)
_MAX_DATASETS = 10_000

# Dataset of record 2: namespace, name, kind of value.
_MAPPING = {
    5: (DC, "dc:title", "alt"),
    10: (PHOTOSHOP, "photoshop:Urgency", "text"),
    15: (PHOTOSHOP, "photoshop:Category", "text"),
    20: (PHOTOSHOP, "photoshop:SupplementalCategories", "bag"),
    25: (DC, "dc:subject", "bag"),
    40: (PHOTOSHOP, "photoshop:Instructions", "text"),
    55: (PHOTOSHOP, "photoshop:DateCreated", "text"),
    80: (DC, "dc:creator", "seq"),
    85: (PHOTOSHOP, "photoshop:AuthorsPosition", "text"),
    90: (PHOTOSHOP, "photoshop:City", "text"),
    92: (IPTC_CORE, "Iptc4xmpCore:Location", "text"),
    95: (PHOTOSHOP, "photoshop:State", "text"),
    100: (IPTC_CORE, "Iptc4xmpCore:CountryCode", "text"),
    101: (PHOTOSHOP, "photoshop:Country", "text"),
    103: (PHOTOSHOP, "photoshop:TransmissionReference", "text"),
    105: (PHOTOSHOP, "photoshop:Headline", "text"),
    110: (PHOTOSHOP, "photoshop:Credit", "text"),
    115: (PHOTOSHOP, "photoshop:Source", "text"),
    116: (DC, "dc:rights", "alt"),
    120: (DC, "dc:description", "alt"),
    122: (PHOTOSHOP, "photoshop:CaptionWriter", "text"),
}


def datasets(block: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Record, dataset and value of every entry; what follows damage is left out."""
    at = 0
    for _ in range(_MAX_DATASETS):
        if block[at : at + 1] != b"\x1c" or at + 5 > len(block):
            return
        size, start = int.from_bytes(block[at + 3 : at + 5], "big"), at + 5
        if size & 0x8000:  # the size of the size
            count = size & 0x7FFF
            size = int.from_bytes(block[start : start + count], "big")
            start += count
        if start + size > len(block):
            return
        yield block[at + 1], block[at + 2], block[start : start + size]
        at = start + size


def properties(block: bytes) -> list[Property]:
    """The XMP properties that say the same as an IPTC block."""
    found: dict[tuple[int, int], list[bytes]] = {}
    for record, number, value in datasets(block):
        found.setdefault((record, number), []).append(value)
    utf_8 = _UTF_8 in found.get(_CHARACTER_SET, [])
    result = []
    for number, (namespace, name, kind) in _MAPPING.items():
        values = [text for value in found.get((2, number), []) if (text := _text(value, utf_8))]
        if not values:
            continue
        if (2, number) == _DATE:
            values = [_moment(values[0], found.get(_TIME, []))]
        result.append(Property(namespace, name, kind, tuple(values)))
    return result


def _text(value: bytes, utf_8: bool) -> str:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        text = value.decode("utf-8" if utf_8 else "latin-1", "replace")
    return text.strip("\0 ")


def _moment(date: str, times: list[bytes]) -> str:
    """ISO 8601 of CCYYMMDD and HHMMSS±HHMM; what is not of this form stays as it is."""
    if not (len(date) == 8 and date.isdecimal()):
        return date
    moment = f"{date[:4]}-{date[4:6]}-{date[6:]}"
    time = _text(times[0], utf_8=True) if times else ""
    if len(time) >= 6 and time[:6].isdecimal():
        moment += f"T{time[:2]}:{time[2:4]}:{time[4:6]}"
        if len(time) == 11 and time[6] in "+-":
            moment += f"{time[6:9]}:{time[9:]}"
    return moment
