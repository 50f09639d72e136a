"""ICC profiles: what the codes of an image mean, and the profile of its colorized copy.

Matrix/TRC and gray profiles are read here, after ICC.1:2010 (and ICC.1:2001-04 for version 2),
because coloring needs their curve and primaries as numbers. Images in all other color spaces go
to sRGB through LittleCMS.
"""

import struct
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from recolor_core.images.limits import MAX_ICC_CURVE_ENTRIES
from recolor_core.lab import SRGB, ColorSpace, ToneCurve

_D50 = np.array((0.9642, 1.0, 0.8249))
_D65 = np.array((0.9505, 1.0, 1.0890))  # the row sums of the sRGB matrix of IEC 61966-2-1
# Linear Bradford cone responses, ICC.1:2010 annex E.
_BRADFORD = np.array(
    ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
)
_CURVES, _COLORANTS = (b"rTRC", b"gTRC", b"bTRC"), (b"rXYZ", b"gXYZ", b"bXYZ")
_LARGEST_TEXT, _LONGEST_NAME = 4096, 200  # of a description: bytes, letters
_SAMPLES = 4096  # of a curve that no formula of ToneCurve fits
# A profile this near to sRGB is sRGB: makers round its curve and primaries differently.
_SRGB_CURVE_TOLERANCE = 1e-4
_SRGB_MATRIX_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Profile:
    """What an ICC profile says.

    Parameters
    ----------
    name
        Its description, for people.
    model
        The color space of the codes, as ICC spells it: "GRAY", "RGB", "CMYK", "Lab", ...
    space
        Curve and primaries, or None if the profile needs a color management system (lookup
        tables, curves that differ between the channels).
    """

    name: str
    model: str
    space: ColorSpace | None


def read_profile(icc: bytes) -> Profile | None:
    """Parse a profile; return None if it is damaged."""
    try:
        if icc[36:40] != b"acsp":
            return None
        tags = _tags(icc)
        model = icc[16:20].decode("ascii").strip()
        description = bytes(tags.get(b"desc", b"")[:_LARGEST_TEXT])
        name = _text(description)[:_LONGEST_NAME] or f"unnamed {model}"
        return Profile(name, model, _space(name, model, icc[20:24], tags))
    except (ValueError, IndexError, struct.error, UnicodeError):
        return None


def _tags(icc: bytes) -> dict[bytes, memoryview]:
    (count,) = struct.unpack(">I", icc[128:132])
    view, tags = memoryview(icc), {}  # tags may share their bytes: no copies
    for index in range(min(count, 1000)):
        name, offset, size = struct.unpack(">4sII", icc[132 + 12 * index : 144 + 12 * index])
        if offset + size > len(icc):
            raise ValueError("tag outside of the profile")
        tags[name] = view[offset : offset + size]
    return tags


def _text(tag: bytes) -> str:
    if tag[:4] == b"desc":  # version 2: ASCII with its length
        (length,) = struct.unpack(">I", tag[8:12])
        return tag[12 : 12 + length].split(b"\0")[0].decode("latin-1").strip()
    if tag[:4] == b"mluc":  # version 4: UTF-16 records; the first will do
        length, offset = struct.unpack(">II", tag[20:28])
        return tag[offset : offset + length].decode("utf-16-be").strip("\0 ")
    return ""


def _space(
    name: str, model: str, connection: bytes, tags: dict[bytes, memoryview]
) -> ColorSpace | None:
    if any(table in tags for table in (b"A2B0", b"A2B1", b"D2B0", b"D2B1")):
        return None
    if model == "GRAY" and b"kTRC" in tags:
        curve = _curve(tags[b"kTRC"])
        if curve is not None and connection == b"Lab ":
            curve = _from_lightness(curve)
        return _named(name, curve, None)
    if model == "RGB" and all(tag in tags for tag in (*_CURVES, *_COLORANTS)):
        if not tags[b"rTRC"] == tags[b"gTRC"] == tags[b"bTRC"]:
            return None
        colorants = np.array([_xyz(tags[tag]) for tag in _COLORANTS]).T
        return _named(name, _curve(tags[b"rTRC"]), _to_white(colorants))
    return None


def _named(
    name: str, curve: ToneCurve | None, matrix: NDArray[np.float64] | None
) -> ColorSpace | None:
    if curve is None:
        return None
    if _is_srgb(curve):
        curve = SRGB.curve
    if matrix is None or np.abs(matrix - SRGB.to_white_xyz).max() < _SRGB_MATRIX_TOLERANCE:
        rows = SRGB.to_white_xyz
    else:
        if np.linalg.matrix_rank(matrix) < 3 or not np.isfinite(matrix).all():
            return None
        rows = tuple((float(r), float(g), float(b)) for r, g, b in matrix)
    return ColorSpace(name, curve, rows)


def _is_srgb(curve: ToneCurve) -> bool:
    codes = np.linspace(0, 1, 1025)
    difference = np.abs(curve.decode(codes) - SRGB.curve.decode(codes)).max()
    return float(difference) < _SRGB_CURVE_TOLERANCE


def _xyz(tag: memoryview) -> tuple[float, ...]:
    return tuple(value / 65536 for value in struct.unpack(">3i", tag[8:20]))


def _adaptation(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """XYZ under one white -> XYZ under another, linear Bradford."""
    scale = np.diag((_BRADFORD @ target) / (_BRADFORD @ source))
    return np.asarray(np.linalg.inv(_BRADFORD) @ scale @ _BRADFORD)


def _to_white(colorants: NDArray[np.float64]) -> NDArray[np.float64]:
    """Colorants relative to D50 -> linear RGB to XYZ relative to the white of the space."""
    xyz = _adaptation(_D50, _D65) @ colorants
    return np.asarray(xyz / xyz.sum(axis=1, keepdims=True))


def _curve(tag: memoryview) -> ToneCurve | None:
    """The curve of a `curv` or `para` tag; None if it does not rise."""
    if bytes(tag[:4]) == b"curv":
        (count,) = struct.unpack(">I", tag[8:12])
        if count == 0:
            return _power(1.0)
        if count == 1:
            return _power(struct.unpack(">H", tag[12:14])[0] / 256)
        if count > MAX_ICC_CURVE_ENTRIES:
            return None
        return _sampled(np.frombuffer(tag, ">u2", count, 12) / 65535)
    if bytes(tag[:4]) == b"para":
        return _parametric(tag)
    return None


def _power(gamma: float) -> ToneCurve | None:
    return ToneCurve(gamma, a=1, b=0, c=0, d=0) if gamma > 0 else None


def _sampled(linear: NDArray[np.float64]) -> ToneCurve | None:
    if np.any(np.diff(linear) < 0) or not linear[-1] > linear[0]:
        return None
    return ToneCurve(table=tuple(np.clip(linear, 0, 1).tolist()))


def _parametric(tag: memoryview) -> ToneCurve | None:
    # ICC.1:2010 table 65: the types 0 to 4 name 1, 3, 4, 5 and 7 of the parameters g a b c d e f.
    (kind,) = struct.unpack(">H", tag[8:10])
    count = (1, 3, 4, 5, 7)[kind]
    values = [value / 65536 for value in struct.unpack(f">{count}i", tag[12 : 12 + 4 * count])]
    if kind == 0:
        return _power(values[0])
    g, a, b, c, d, e, f = (*values, 0.0, 0.0, 0.0, 0.0)[:7]
    if g <= 0 or a <= 0:
        return None
    if kind == 1:
        c, d = 0.0, -b / a
    if kind != 2 and e == f == 0:
        curve = ToneCurve(g, a / (a + b), b / (a + b), c, d)  # 16 bits of fraction do not hit 1
        if d >= 0 and abs((a + b) ** g - 1) < _SRGB_CURVE_TOLERANCE and _turns_round(curve):
            return curve
    code = np.linspace(0, 1, _SAMPLES)
    if kind == 2:  # c is an offset here
        return _sampled(np.where(code >= -b / a, np.maximum(a * code + b, 0) ** g, 0) + c)
    linear = np.where(code >= d, np.maximum(a * code + b, 0) ** g + e, c * code + f)
    return _sampled(np.maximum.accumulate(linear))


def _turns_round(curve: ToneCurve) -> bool:
    """Whether every 16-bit code comes back; it does not if the parts of a formula do not meet."""
    codes = np.arange(65536, dtype=np.float64)
    if curve.decode(codes[:1]) != 0:
        return False
    return bool((np.rint(curve.encode(curve.decode(codes / 65535)) * 65535) == codes).all())


def _from_lightness(curve: ToneCurve) -> ToneCurve | None:
    """The curve of a gray profile whose connection space is Lab: it gives L* / 100."""
    lightness = curve.decode(np.linspace(0, 1, _SAMPLES)) * 100
    foot = lightness * 27 / 24389
    linear = np.where(lightness > 8, ((lightness + 16) / 116) ** 3, foot)
    return _sampled(np.round(linear * 65535) / 65535)  # as `profile_of` has to store it


def profile_in_color(gray: bytes) -> bytes:
    """The profile of a colorized image whose gray codes a gray profile describes.

    Its curve is that of the gray profile, byte for byte if that is possible, and its primaries are
    those of sRGB, so that gray codes keep their meaning.

    Parameters
    ----------
    gray
        A gray profile whose `read_profile` has a space.
    """
    profile = read_profile(gray)
    assert profile is not None
    assert profile.space is not None
    if gray[20:24] == b"Lab ":
        return profile_of(profile.space)
    return _matrix_profile(profile.space, 2 if gray[8] == 2 else 4, bytes(_tags(gray)[b"kTRC"]))


def profile_of(space: ColorSpace) -> bytes:
    """A matrix/TRC profile of a color space: RGB codes through one curve, white D65.

    Version 2, which every program reads, if the curve is a power or sampled; version 4 for a
    curve with a linear foot, which only its `para` tag says exactly.

    Returns
    -------
    bytes
        The same for the same space: the date in it is fixed.
    """
    curve = space.curve
    if curve.table is not None:
        values = np.round(np.array(curve.table) * 65535).astype(">u2")
        version, trc = 2, b"curv" + struct.pack(">II", 0, len(values)) + values.tobytes()
    elif (curve.a, curve.b, curve.c, curve.d) == (1, 0, 0, 0) and curve.gamma * 256 % 1 == 0:
        version, trc = 2, b"curv" + struct.pack(">IIH", 0, 1, round(curve.gamma * 256))
    else:
        numbers = (curve.gamma, curve.a, curve.b, curve.c, curve.d)
        fixed = struct.pack(">5i", *(round(number * 65536) for number in numbers))
        version, trc = 4, b"para" + struct.pack(">IHH", 0, 3, 0) + fixed
    return _matrix_profile(space, version, trc)


def _matrix_profile(space: ColorSpace, version: int, trc: bytes) -> bytes:
    xyz = np.array(space.to_white_xyz) * _D65[:, None]
    colorants = (_adaptation(_D65, _D50) @ xyz).T
    text = _text_tag_2 if version == 2 else _text_tag_4
    tags = [
        (b"desc", text(b"desc", space.name)),
        (b"cprt", text(b"text", "No copyright, use freely")),
        (b"wtpt", _xyz_tag(_D50)),
        (b"chad", b"sf32" + b"\0" * 4 + _fixed(_adaptation(_D65, _D50).ravel())),
        *((name, _xyz_tag(color)) for name, color in zip(_COLORANTS, colorants, strict=True)),
        *((name, trc) for name in _CURVES),
    ]
    return _assemble(version, tags)


def _fixed(values: NDArray[np.float64]) -> bytes:
    return np.round(np.asarray(values) * 65536).astype(">i4").tobytes()


def _xyz_tag(xyz: NDArray[np.float64]) -> bytes:
    return b"XYZ " + b"\0" * 4 + _fixed(xyz)


def _text_tag_2(kind: bytes, text: str) -> bytes:
    ascii_text = text.encode("ascii", "replace") + b"\0"
    if kind == b"text":
        return b"text" + b"\0" * 4 + ascii_text
    unicode_and_script_parts = b"\0" * (8 + 3 + 67)  # both empty
    head = b"desc" + struct.pack(">II", 0, len(ascii_text))
    return head + ascii_text + unicode_and_script_parts


def _text_tag_4(_kind: bytes, text: str) -> bytes:
    coded = text.encode("utf-16-be")
    return b"mluc" + struct.pack(">IIIHHII", 0, 1, 12, 0x656E, 0x5553, len(coded), 28) + coded


def _assemble(version: int, tags: list[tuple[bytes, bytes]]) -> bytes:
    offset, body, table = 132 + 12 * len(tags), b"", b""
    places: dict[bytes, int] = {}  # equal tags share their bytes
    for name, data in tags:
        if data not in places:
            places[data] = offset + len(body)
            body += data + b"\0" * (-len(data) % 4)
        table += struct.pack(">4sII", name, places[data], len(data))
    head = struct.pack(
        ">I4sI4s4s4s6H4s4s4sIIQI12s48x",
        offset + len(body),
        b"\0" * 4,
        0x02400000 if version == 2 else 0x04300000,
        b"mntr",
        b"RGB ",
        b"XYZ ",
        *(2026, 1, 1, 0, 0, 0),
        b"acsp",
        b"\0" * 4,
        b"\0" * 4,
        0,
        0,
        0,
        0,
        _fixed(_D50),
    )
    return head + struct.pack(">I", len(tags)) + table + body


def to_srgb(codes: NDArray[Any], icc: bytes) -> NDArray[Any]:
    """Codes of any color space as sRGB codes, by LittleCMS (relative colorimetric, black kept).

    Parameters
    ----------
    codes
        ``(H, W)`` gray, ``(H, W, 3)`` RGB or ``(H, W, 4)`` CMYK (0 is no ink); uint8, uint16,
        float32 or float64.
    icc
        The profile that describes them.

    Returns
    -------
    ndarray
        ``(H, W, 3)``, the dtype of `codes`.

    Raises
    ------
    RuntimeError
        If the profile does not fit the codes.
    """
    model = "gray" if codes.ndim == 2 else {3: "rgb", 4: "cmyk"}[codes.shape[-1]]
    return imagecodecs.cms_transform(
        np.ascontiguousarray(codes),
        icc,
        profile_of(SRGB),
        colorspace=model,
        outcolorspace="rgb",
        outdtype=codes.dtype,
        intent=imagecodecs.CMS.INTENT.RELATIVE_COLORIMETRIC,
        # Its shortcut through a coarse table is wrong by up to 8 % in the shadows of 16 bits.
        flags=imagecodecs.CMS.FLAGS.BLACKPOINTCOMPENSATION | imagecodecs.CMS.FLAGS.NOOPTIMIZE,
    )
