"""Oracle of all profiles: LittleCMS, through imagecodecs and Pillow."""

import struct
from io import BytesIO

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from recolor_core.images import icc, open_image
from recolor_core.lab import SRGB, ColorSpace, ToneCurve, gray_codes, lab_to_rgb, rgb_to_lab, to_rgb

from .badfiles import encoded, jpeg_2000, tiff

ADOBE_PRIMARIES = [0.64, 0.33, 0.21, 0.71, 0.15, 0.06]
D65 = [0.3127, 0.3290, 1.0]
ADOBE = imagecodecs.cms_profile("rgb", gamma=563 / 256, primaries=ADOBE_PRIMARIES, whitepoint=D65)
GRAY_22 = imagecodecs.cms_profile("gray", gamma=2.2)
LITTLE_CMS_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

COLORS = np.random.default_rng(3).random((64, 1, 3))
CODES = np.linspace(0, 1, 257)


def transformed(codes: np.ndarray, source: bytes, target: bytes, model: str = "rgb") -> np.ndarray:
    return imagecodecs.cms_transform(
        codes,
        source,
        target,
        colorspace=model,
        outcolorspace="rgb",
        outdtype=codes.dtype,
        intent=imagecodecs.CMS.INTENT.RELATIVE_COLORIMETRIC,
        flags=imagecodecs.CMS.FLAGS.NOOPTIMIZE,  # else it takes a coarse table
    )


def profile_with_curve(tag: bytes, model: bytes = b"GRAY") -> bytes:
    """A profile with a curve that nothing in the product wrote."""
    xyz = struct.pack(">4s4x3i", b"XYZ ", 63190, 65536, 54061)  # D50
    tags = [(b"wtpt", xyz), (b"kTRC", tag)]
    if model == b"RGB ":
        columns = (
            (0.43607, 0.22249, 0.01392),
            (0.38515, 0.71687, 0.09708),
            (0.14307, 0.06060, 0.71410),
        )
        tags = [(b"wtpt", xyz)] + [(name, tag) for name in (b"rTRC", b"gTRC", b"bTRC")]
        tags += [
            (name, struct.pack(">4s4x3i", b"XYZ ", *(round(v * 65536) for v in column)))
            for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)
        ]
    return assembled(model, b"XYZ ", tags)


def assembled(model: bytes, connection: bytes, tags: list[tuple[bytes, bytes]]) -> bytes:
    at, table, body = 132 + 12 * len(tags), b"", b""
    for name, data in tags:
        data += bytes(-len(data) % 4)
        table += struct.pack(">4sII", name, at + len(body), len(data))
        body += data
    head = struct.pack(">I4xI4s4s4s", at + len(body), 0x04200000, b"scnr", model, connection)
    head = head + bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def table_profile(model: bytes, channels: int) -> bytes:
    """A profile that only has a lookup table to Lab: full ink or no light is black."""
    corners = np.array(list(np.ndindex(*[2] * channels)))
    light = np.prod(1 - corners, axis=1) if model == b"CMYK" else corners.mean(axis=1)
    lab = np.stack((light * 255, np.full(len(light), 128), np.full(len(light), 128)), axis=1)
    ramp = bytes(range(256))
    tag = b"mft1" + struct.pack(">4xBBBx", channels, 3, 2)
    tag += struct.pack(">9i", *(np.eye(3, dtype=int).ravel() * 65536)) + ramp * channels
    tag += np.rint(lab).astype(np.uint8).tobytes() + ramp * 3
    return assembled(
        model,
        b"Lab ",
        [(b"A2B0", tag), (b"wtpt", struct.pack(">4s4x3i", b"XYZ ", 63190, 65536, 54061))],
    )


def curv(*values: int) -> bytes:
    return b"curv" + struct.pack(f">II{len(values)}H", 0, len(values), *values)


def para(kind: int, *values: float) -> bytes:
    numbers = [round(value * 65536) for value in values]
    return b"para" + struct.pack(f">IHH{len(numbers)}i", 0, kind, 0, *numbers)


CURVES = {
    "identity": curv(),
    "gamma 1.8": curv(round(1.8 * 256)),
    "table": curv(*(np.linspace(0, 1, 256) ** 1.75 * 65535).round().astype(int).tolist()),
    "dot gain": curv(*(65535 * (0.8 * CODES + 0.2 * CODES**3)).astype(int).tolist()),
    "para 0": para(0, 2.2),
    "para 1": para(1, 2.2, 0.9, 0.1),
    "para 2": para(2, 2.2, 0.8, 0.1, 0.05),
    "para 3": para(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045),
    "Rec. 709": para(3, 1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081),
    "para 4": para(4, 2.0, 0.9, 0.05, 0.2, 0.1, 0.03, 0.01),
}


@pytest.mark.parametrize("name", CURVES)
def test_every_curve_means_what_littlecms_says(name: str) -> None:
    profile = profile_with_curve(CURVES[name], b"RGB ")
    found = icc.read_profile(profile)
    assert found is not None
    assert found.space is not None
    linear = icc.profile_of(ColorSpace("linear", ToneCurve(1, 1, 0, 0, 0)))
    codes = np.repeat(CODES[:, None, None], 3, axis=2)
    expected = transformed(codes, profile, linear)[:, 0, 1]
    decoded = found.space.curve.decode(CODES)
    assert decoded == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("name", CURVES)
def test_a_gray_profile_and_the_one_for_its_colors_agree(name: str) -> None:
    gray = profile_with_curve(CURVES[name])
    found = icc.read_profile(gray)
    assert found is not None
    assert found.model == "GRAY"
    assert found.space is not None
    colors = icc.profile_in_color(gray)
    imagecodecs.cms_profile_validate(colors)
    codes = np.linspace(0, 65535, 200).round().astype(np.uint16)[None]
    of_gray = transformed(codes, gray, icc.profile_of(SRGB), "gray").astype(int)
    of_rgb = transformed(np.repeat(codes[..., None], 3, axis=2), colors, icc.profile_of(SRGB))
    assert np.abs(of_gray - of_rgb).max() <= 2  # of 65535
    again = icc.read_profile(colors)
    assert again is not None
    assert again.space is not None
    assert again.space == found.space


@pytest.mark.parametrize("name", CURVES)
def test_the_gray_of_the_colors_is_the_input(name: str) -> None:
    """Of every code that the curve tells from its neighbors."""
    found = icc.read_profile(profile_with_curve(CURVES[name]))
    assert found is not None
    assert found.space is not None
    codes = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    ab = np.random.default_rng(0).normal(0, 30, (2, 256, 256)).astype(np.float32)
    rgb = to_rgb(codes, ab, found.space)
    told = gray_codes(np.repeat(codes[..., None], 3, axis=2), found.space) == codes
    assert told.mean() > 0.98
    assert np.array_equal(gray_codes(rgb, found.space)[told], codes[told])


def test_a_gray_profile_that_connects_through_lab() -> None:
    # Its curve gives L*, so that the identity is the L* curve.
    gray = assembled(b"GRAY", b"Lab ", [(b"kTRC", curv()), (b"wtpt", bytes(20))])
    found = icc.read_profile(gray)
    assert found is not None
    assert found.space is not None
    middle = found.space.curve.decode(np.array([0.5]))
    assert middle.item() == pytest.approx(((50 + 16) / 116) ** 3, abs=1e-5)
    again = icc.read_profile(icc.profile_in_color(gray))
    assert again is not None
    assert again.space is not None
    assert again.space.curve == found.space.curve


@pytest.mark.parametrize("profile", [LITTLE_CMS_SRGB, icc.profile_of(SRGB)], ids=["lcms", "own"])
def test_what_is_nearly_srgb_is_srgb(profile: bytes) -> None:
    found = icc.read_profile(profile)
    assert found is not None
    assert found.space is not None
    assert found.space.curve == SRGB.curve
    assert found.space.to_white_xyz == SRGB.to_white_xyz


def test_other_primaries_are_not_srgb() -> None:
    found = icc.read_profile(ADOBE)
    assert found is not None
    assert found.space is not None
    assert found.space.curve.gamma == 563 / 256
    assert np.sum(found.space.to_white_xyz, axis=1) == pytest.approx(1)
    # Adobe RGB (1998) color image encoding, 2005-05, 4.3.6.1: the Y row.
    assert found.space.to_white_xyz[1] == pytest.approx((0.29734, 0.62736, 0.07529), abs=5e-4)


@pytest.mark.parametrize(
    "profile", [ADOBE, icc.profile_of(ColorSpace("g", ToneCurve(1.8, 1, 0, 0, 0)))]
)
def test_colors_of_a_space_are_littlecms_colors(profile: bytes) -> None:
    found = icc.read_profile(profile)
    assert found is not None
    assert found.space is not None
    expected = transformed(COLORS, profile, icc.profile_of(SRGB))
    inside = ((expected > 0.02) & (expected < 0.98)).all(axis=-1)
    got = lab_to_rgb(rgb_to_lab(COLORS, found.space), SRGB)
    assert inside.sum() > 20
    assert np.abs(got - expected)[inside].max() < 2e-3


@pytest.mark.slow
@given(st.floats(0.5, 4), st.sampled_from(["power", "foot", "table"]))
def test_written_profiles_come_back(gamma: float, kind: str) -> None:
    curve = {
        "power": ToneCurve(gamma, 1, 0, 0, 0),
        "foot": ToneCurve(2.4, 0.9, 0.1, 0.1, 0.05),
        "table": ToneCurve(table=tuple((np.linspace(0, 1, 64) ** gamma).tolist())),
    }[kind]
    data = icc.profile_of(ColorSpace("Früh", curve))
    assert data == icc.profile_of(ColorSpace("Früh", curve))
    imagecodecs.cms_profile_validate(data)
    opened = ImageCms.ImageCmsProfile(BytesIO(data)).profile
    assert opened.xcolor_space == "RGB "
    assert len(data) == struct.unpack(">I", data[:4])[0]
    found = icc.read_profile(data)
    assert found is not None
    assert found.space is not None
    difference = found.space.curve.decode(CODES) - curve.decode(CODES)
    assert np.abs(difference).max() < 1.1e-4


def test_damaged_profiles_are_said_and_left_out() -> None:
    random = np.random.default_rng(0)
    for _ in range(300):
        data = bytearray(ADOBE)
        for at in random.integers(0, len(data), 3):
            data[at] = random.integers(0, 256)
        icc.read_profile(bytes(data[: random.integers(0, len(data) + 1)]))  # never raises
    for broken in (b"nonsense", ADOBE[:200], b""):
        assert icc.read_profile(broken) is None
    with open_image(BytesIO(encoded("PNG", icc_profile=b"no profile"))) as image:
        page = next(iter(image))
    assert page.space == SRGB
    assert page.metadata.icc is None
    assert "damaged profile ignored" in page.reading


def test_a_gray_image_keeps_the_meaning_of_its_codes() -> None:
    gray = np.arange(0, 65536, 100, dtype=np.uint16).reshape(8, 82)
    with open_image(BytesIO(tiff(gray, iccprofile=GRAY_22))) as image:
        page = next(iter(image))
    assert np.array_equal(page.codes, gray)
    assert page.space.curve.gamma == pytest.approx(2.2, abs=1e-4)
    assert page.space.to_white_xyz == SRGB.to_white_xyz
    assert page.metadata.icc == icc.profile_in_color(GRAY_22)
    assert "16-bit gray" in page.reading


def test_an_rgb_profile_of_a_gray_image_counts() -> None:
    gray = np.arange(256, dtype=np.uint8).reshape(16, 16)
    with open_image(BytesIO(encoded("PNG", gray, icc_profile=ADOBE))) as image:
        page = next(iter(image))
    assert np.array_equal(page.codes, gray)
    assert page.metadata.icc == ADOBE
    assert page.space.curve.gamma == 563 / 256


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_rgb_in_a_lookup_table_is_converted_and_said(dtype: type) -> None:
    profile = table_profile(b"RGB ", 3)
    assert icc.read_profile(profile).space is None
    full = np.iinfo(dtype).max
    codes = np.zeros((2, 5, 3), dtype)
    codes[1] = full
    codes[:, 2] = full // 2
    data = tiff(codes, photometric="rgb", iccprofile=profile)
    with open_image(BytesIO(data)) as image:
        page = next(iter(image))
    assert "to sRGB" in page.reading
    assert page.metadata.icc == icc.profile_of(SRGB)
    assert page.codes.dtype == dtype
    assert page.codes[0, 0].max() <= full // 100
    assert page.codes[1, 0].min() >= full - full // 100
    lightness = rgb_to_lab(page.codes[:1, 2:3] / full)[0, 0, 0]
    assert lightness == pytest.approx(50, abs=2)


def test_curves_that_differ_are_converted_and_said() -> None:
    red = imagecodecs.cms_profile("rgb", gamma=2.2, primaries=ADOBE_PRIMARIES, whitepoint=D65)
    tags = {red[132 + 12 * i : 136 + 12 * i]: 132 + 12 * i for i in range(12)}
    profile = bytearray(red)
    other = curv(round(1.0 * 256)) + bytes(2)
    at = len(profile)
    profile += other
    profile[tags[b"rTRC"] + 4 : tags[b"rTRC"] + 12] = struct.pack(">II", at, 14)
    profile[:4] = struct.pack(">I", len(profile))
    found = icc.read_profile(bytes(profile))
    assert found is not None
    assert found.space is None
    codes = np.random.default_rng(0).integers(0, 65536, (20, 20, 3), dtype=np.uint16)
    data = tiff(codes, photometric="rgb", iccprofile=bytes(profile))
    with open_image(BytesIO(data)) as image:
        page = next(iter(image))
    expected = transformed(codes, bytes(profile), icc.profile_of(SRGB))
    assert "converted" in page.reading
    assert np.abs(page.codes.astype(int) - expected).max() <= 1


def cmyk_image() -> Image.Image:
    inks = np.zeros((16, 64, 4), np.uint8)
    inks[..., 3] = np.arange(0, 256, 4, dtype=np.uint8)
    return Image.fromarray(inks, "CMYK")


@pytest.mark.parametrize("format", ["TIFF", "JPEG"])
def test_cmyk_without_a_profile_is_converted_and_said(format: str) -> None:
    stream = BytesIO()
    cmyk_image().save(stream, format, quality=100)
    with open_image(BytesIO(stream.getvalue())) as image:
        page = next(iter(image))
    assert "CMYK" in page.reading
    assert "without a profile" in page.reading
    expected = 255 - np.arange(0, 256, 4)
    assert np.abs(page.codes.astype(int)[8] - expected[:, None]).max() <= 2


@pytest.mark.parametrize("format", ["TIFF", "JPEG"])
def test_cmyk_goes_through_its_profile(format: str) -> None:
    profile = table_profile(b"CMYK", 4)
    stream = BytesIO()
    cmyk_image().save(stream, format, quality=100, icc_profile=profile)
    with open_image(BytesIO(stream.getvalue())) as image:
        page = next(iter(image))
    lightness = rgb_to_lab(page.codes[8] / 255)[:, 0]
    expected = 100 * (1 - np.arange(0, 256, 4) / 255)
    assert "converted" in page.reading
    assert lightness == pytest.approx(expected, abs=2.5)
    assert page.metadata.icc == icc.profile_of(SRGB)


def test_cmyk_in_jpeg_2000_goes_through_its_profile() -> None:
    profile = table_profile(b"CMYK", 4)
    inks = np.asarray(cmyk_image())
    data = jpeg_2000(inks)
    at = data.index(b"colr") - 4
    size = int.from_bytes(data[at : at + 4], "big")
    box = struct.pack(">I4s3B", 11 + len(profile), b"colr", 2, 0, 0) + profile
    head = data.index(b"jp2h") - 4
    length = int.from_bytes(data[head : head + 4], "big") + len(box) - size
    changed = (
        data[:head] + struct.pack(">I", length) + data[head + 4 : at] + box + data[at + size :]
    )
    with open_image(BytesIO(changed)) as image:
        (page,) = image
    assert page.alpha is None
    assert "CMYK" in page.reading
    assert np.array_equal(page.codes, icc.to_srgb(inks, profile))


def test_a_profile_of_another_model_is_ignored_and_said() -> None:
    with open_image(BytesIO(encoded("PNG", icc_profile=GRAY_22))) as image:
        page = next(iter(image))
    assert page.space == SRGB
    assert "GRAY profile ignored" in page.reading
