"""Signed Content Credentials (C2PA): who vouches that the colors of an image are synthetic.

The manifest is written by c2pa-python, the library of the Content Authenticity Initiative, from a
key and a certificate that the user names. Nothing is fetched from a network: no time stamp, no
revocation list, no remote manifest.
"""

import json
import shutil
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import imagecodecs
import numpy as np

from recolor_core.errors import ImageError, RecolorError
from recolor_core.provenance import SOURCE_TYPE

SIGNED = {
    "PNG": "image/png",
    "TIFF": "image/tiff",
    "JPEG": "image/jpeg",
    "WebP": "image/webp",
}
"""The formats that can be signed, with their media types."""

_INGREDIENTS = SIGNED | {"GIF": "image/gif", "AVIF": "image/avif", "HEIF": "image/heif"}
_OFFLINE = {
    "builder": {"thumbnail": {"enabled": False}},
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
}
_INGREDIENT = "source"


@dataclass(frozen=True)
class Credentials:
    """The key and the certificate that sign results.

    Parameters
    ----------
    certificate : Path
        The certificate chain, PEM, the signer's first. A C2PA validator accepts no self-signed one.
    key : Path
        The private key, PEM (PKCS 8), without a password.
    """

    certificate: Path
    key: Path

    def check(self) -> None:
        """Sign an image in memory, so that what is wrong is told before hours of work.

        Raises
        ------
        RecolorError
            If c2pa-python is not installed, a file cannot be read, or they do not belong together.
        """
        try:
            import c2pa  # noqa: F401
        except ImportError as error:
            raise RecolorError(
                f"Content Credentials need c2pa-python, which cannot be imported ({error}); "
                'pip install "napari-recolor[c2pa]"'
            ) from error
        file = BytesIO(imagecodecs.png_encode(np.zeros((1, 1), np.uint8)))
        self.sign(file, "PNG", str(self.certificate))

    def sign(
        self,
        file: BinaryIO,
        format: str,
        name: str,
        *,
        source: BinaryIO | None = None,
        source_name: str = "",
        source_format: str = "",
    ) -> None:
        """Put a signed manifest into a complete image file. Its pixels stay as they are.

        Parameters
        ----------
        file : BinaryIO
            The file, open for reading and writing; its content is replaced.
        format : str
            Its format, one of `SIGNED`.
        name : str
            Its name.
        source : BinaryIO or None
            The gray image, which becomes the ingredient if C2PA knows its format.
        source_name, source_format : str
            Its name and its format, as `ImageFile.format` names it.

        Raises
        ------
        ImageError
            If it cannot be signed.
        """
        import c2pa

        context = c2pa.Context(c2pa.Settings.from_dict(_OFFLINE))
        has_ingredient = source is not None and source_format in _INGREDIENTS
        manifest = _manifest(Path(name).name, SIGNED[format], has_ingredient=has_ingredient)
        try:
            chain, key = self.certificate.read_bytes(), self.key.read_bytes()
            info = c2pa.C2paSignerInfo(_algorithm(chain), chain, key, None)
            with (
                c2pa.Signer.from_info(info) as signer,
                c2pa.Builder(json.dumps(manifest), context) as builder,
                tempfile.TemporaryFile() as signed,
            ):
                if source is not None and has_ingredient:
                    facts = {
                        "title": source_name,
                        "relationship": "parentOf",
                        "label": _INGREDIENT,
                    }
                    builder.add_ingredient(json.dumps(facts), _INGREDIENTS[source_format], source)
                file.flush()
                file.seek(0)
                builder.sign(signer, SIGNED[format], file, signed)
                signed.seek(0)
                file.seek(0)
                file.truncate()
                shutil.copyfileobj(signed, file)
        except OSError as error:
            if error.filename is None:
                raise
            raise ImageError(
                f"{error.filename}: the key or certificate cannot be read ({error.strerror}); "
                "check --c2pa-key and --c2pa-cert"
            ) from error
        except (c2pa.C2paError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise ImageError(
                f"{name}: cannot be signed ({reason}); check that --c2pa-key and --c2pa-cert "
                "belong together, and that the certificate is one for signing documents"
            ) from error


def _manifest(title: str, media_type: str, *, has_ingredient: bool) -> dict[str, Any]:
    agent = {"name": "recolor", "version": version("napari-recolor")}
    first = (
        {"action": "c2pa.opened", "parameters": {"ingredientIds": [_INGREDIENT]}}
        if has_ingredient
        else {"action": "c2pa.created", "digitalSourceType": SOURCE_TYPE}
    )
    colored = {
        "action": "c2pa.color_adjustments",
        "digitalSourceType": SOURCE_TYPE,
        "softwareAgent": agent,
    }
    return {
        "claim_generator_info": [agent],
        "format": media_type,
        "title": title,
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [first, colored]}}],
    }


def _algorithm(chain: bytes) -> Any:
    """The algorithm that fits the key of a certificate (C2PA 2.1, 13.2.1)."""
    import c2pa
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    key = x509.load_pem_x509_certificates(chain)[0].public_key()
    names = c2pa.C2paSigningAlg
    if isinstance(key, ec.EllipticCurvePublicKey):
        return {256: names.ES256, 384: names.ES384}.get(key.key_size, names.ES512)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return names.ED25519
    if isinstance(key, rsa.RSAPublicKey):
        return names.PS256
    raise ValueError("expected a certificate with an EC, Ed25519 or RSA key")


def is_signed(path: Path, format: str) -> bool:
    """Whether an image carries Content Credentials; who signed them is not looked at.

    Parameters
    ----------
    path : Path
        The image.
    format : str
        Its format, as `ImageFile.format` names it.
    """
    if format not in SIGNED:
        return False
    import c2pa

    context = c2pa.Context(c2pa.Settings.from_dict(_OFFLINE))
    try:
        with path.open("rb") as file:
            reader = c2pa.Reader.try_create(SIGNED[format], file, context=context)
            if reader is None:
                return False
            reader.close()
            return True
    except c2pa.C2paError:
        return False  # what is there cannot be read
