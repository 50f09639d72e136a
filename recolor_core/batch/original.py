"""What a result remembers of how its source stored the gray, so that it can be restored."""

import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from recolor_core.images import icc
from recolor_core.images.image import Page, Stored

_LARGEST_PROFILE = 1 << 16  # bytes, compressed; gray profiles have some hundred


def facts_to_verify(
    page: Page,
    *,
    source: str,
    source_sha256: str,
    format: str,
    gray_sha256: str,
    stored: Stored | None = None,
    stored_format: str = "",
) -> dict[str, Any]:
    """Return what the provenance of a page needs so that the page can be verified.

    Parameters
    ----------
    page : Page
        The page of the source.
    source : str
        The name of the source, without its folder.
    source_sha256 : str
        SHA-256 of the source file; empty if the source is no file.
    format : str
        Of the result: "TIFF", "PNG", ...
    gray_sha256 : str
        SHA-256 of the gray codes that the page keeps; see `recolor_core.digest`.
    stored : Stored or None
        The header of the page in the source file, if there is one.
    stored_format : str
        The format of the source file.

    Returns
    -------
    dict
        JSON types only.
    """
    height, width = page.codes.shape[:2]
    facts: dict[str, Any] = {
        "source": source,
        "source_sha256": source_sha256,
        "format": format,
        "icc_sha256": sha256(page.metadata.icc or b"").hexdigest(),
        "width": width,
        "height": height,
        "dtype": str(page.codes.dtype),
        "reading": page.reading,
        "gray_sha256": gray_sha256,
    }
    if stored is not None:
        facts["original"] = describe_original(stored, stored_format)
    return facts


def describe_original(stored: Stored, format: str) -> dict[str, Any]:
    """What a page's provenance says of the page of the source, in JSON types.

    Parameters
    ----------
    stored : Stored
        The header of the page.
    format : str
        Of the source.

    Returns
    -------
    dict
        "format", "model", "bits", and if they matter "white_is_zero" and "icc": the gray profile,
        compressed and in Base64, of which the result has a version in color.
    """
    bits = stored.bits_in_file or stored.bits
    facts: dict[str, Any] = {"format": format, "model": stored.model, "bits": bits}
    if stored.white_is_zero:
        facts["white_is_zero"] = True
    profile = icc.read_profile(stored.icc) if stored.icc else None
    if stored.icc and profile and profile.model == "GRAY" and profile.space:
        packed = zlib.compress(stored.icc, 9)
        if len(packed) <= _LARGEST_PROFILE:
            facts["icc"] = b64encode(packed).decode()
    return facts


def profile_of_original(facts: Mapping[str, Any]) -> bytes | None:
    """The gray profile that `describe_original` noted; None if there is none."""
    try:
        return zlib.decompress(b64decode(facts["icc"])) if "icc" in facts else None
    except (ValueError, TypeError, zlib.error):
        return None
