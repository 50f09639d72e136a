"""Signed results: a well-formed manifest, the same pixels, and everything else as without it."""

import json
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from recolor_core.batch.restore import restore_image
from recolor_core.batch.verify import verify_image

from .cli_runner import FAST, files, photo, pixels, recolor

c2pa = pytest.importorskip("c2pa", reason="c2pa-python is an extra")
SYNTHETIC = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"


def certificate(name: str, key: Any, issuer: Any = None, issuer_key: Any = None) -> Any:
    """A certificate for a year, of an authority unless an issuer is given."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "The Archive"),
        ]
    )
    usage = dict.fromkeys(
        (
            *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
            *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
        ),
        False,
    )
    usage |= {"digital_signature": True, "key_cert_sign": issuer is None}
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    theirs = (issuer_key or key).public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(own, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(theirs), critical=False)
        .add_extension(x509.KeyUsage(**usage), critical=True)
    )
    if issuer:
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(purpose, critical=False)
    return builder.sign(issuer_key or key, hashes.SHA256())


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Options with a key and a certificate made for these tests."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    folder = tmp_path_factory.mktemp("keys")
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = certificate("Root", root_key)
    own = certificate("Signer", key, root, root_key)
    chain = own.public_bytes(Encoding.PEM) + root.public_bytes(Encoding.PEM)
    (folder / "cert.pem").write_bytes(chain)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(private)
    other = ec.generate_private_key(ec.SECP256R1())
    private = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "other.pem").write_bytes(private)
    return ("--c2pa-cert", str(folder / "cert.pem"), "--c2pa-key", str(folder / "key.pem"))


def manifest_of(path: Path) -> dict[str, Any]:
    kinds = {".png": "image/png", ".tif": "image/tiff", ".webp": "image/webp", ".jpg": "image/jpeg"}
    settings = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}
    context = c2pa.Context(c2pa.Settings.from_dict(settings))
    with c2pa.Reader(kinds[path.suffix], BytesIO(path.read_bytes()), context=context) as reader:
        facts: dict[str, Any] = json.loads(reader.json())
    assert facts["validation_state"] == "Valid"  # nobody trusts the root of this test
    assert [one["code"] for one in facts["validation_status"]] == ["signingCredential.untrusted"]
    manifest: dict[str, Any] = facts["manifests"][facts["active_manifest"]]
    return manifest


@pytest.mark.parametrize("ending", ["png", "tif", "webp", "jpg"])
def test_a_signed_result_is_the_same_image(
    tmp_path: Path, signing: tuple[str, ...], ending: str
) -> None:
    source = tmp_path / "scan.tif"
    tifffile.imwrite(source, photo(), compression="zlib", tile=(16, 16), bigtiff=True)
    plain, signed = tmp_path / f"plain.{ending}", tmp_path / f"signed.{ending}"
    assert recolor(source, "-o", plain, *FAST).code == 0
    call = recolor(source, "-o", signed, "--sidecar", *signing, *FAST)
    assert call.code == 0, call.err
    np.testing.assert_array_equal(pixels(plain), pixels(signed))
    manifest = manifest_of(signed)
    assert manifest["title"] == f"signed.{ending}"
    assert [one["title"] for one in manifest["ingredients"]] == ["scan.tif"]
    assert [one["relationship"] for one in manifest["ingredients"]] == ["parentOf"]
    (actions,) = (one["data"]["actions"] for one in manifest["assertions"])
    assert [one["action"] for one in actions] == ["c2pa.opened", "c2pa.color_adjustments"]
    assert actions[1]["digitalSourceType"] == SYNTHETIC
    assert manifest["signature_info"]["issuer"] == "The Archive"
    verification = verify_image(signed, source)  # its bytes, too: the sidecar is made after it
    assert verification.unaltered, verification.line()
    if ending in ("png", "tif"):
        assert restore_image(signed).exact
    with pytest.raises(c2pa.C2paError):
        manifest_of(plain)
    again = recolor(source, "-o", signed, *signing, *FAST)
    assert (again.code, b"skipped" in again.out or "skipped" in again.err) == (0, True)
    unsigned = recolor(source, "-o", plain, *signing, *FAST)
    assert unsigned.code == 2
    assert "is there already and is not signed; --overwrite renews it" in unsigned.err


def test_a_batch_is_signed_and_its_alternatives(tmp_path: Path, signing: tuple[str, ...]) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(photo()).save(tmp_path / "in" / "a.png")
    Image.fromarray(photo()).save(tmp_path / "in" / "b.bmp")
    with tifffile.TiffWriter(tmp_path / "in" / "pages.tif") as writer:
        for _ in range(2):
            writer.write(photo(), metadata=None)
    out = tmp_path / "out"
    words = ("--alternatives", "1", "--no-report", *signing, *FAST)
    call = recolor("batch", tmp_path / "in", out, *words)
    assert call.code == 2
    assert "b.bmp" in call.err
    assert "BMP cannot be signed; write a .png" in call.err
    assert "a TIFF of several pages cannot be signed" in call.err
    made = [name for name in files(out) if ".recolor." in name]
    assert made == ["a.recolor.alt1.png", "a.recolor.png"]
    for name in made:
        assert manifest_of(out / name)["ingredients"]
    assert recolor("verify", out, tmp_path / "in").code == 0


def test_a_batch_that_is_signed_later_makes_its_results_again(
    tmp_path: Path, signing: tuple[str, ...]
) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(photo()).save(tmp_path / "in" / "a.png")
    out = tmp_path / "out"
    words = ("batch", tmp_path / "in", out, "--no-report", *FAST)
    assert recolor(*words).code == 0
    assert recolor(*words, *signing, "--on-changed", "redo").code == 0
    made = out / "a.recolor.png"
    assert manifest_of(made)["ingredients"]
    before = made.read_bytes()
    assert recolor(*words, *signing, "--on-changed", "redo").code == 0
    assert made.read_bytes() == before


def test_what_is_wrong_with_a_key_is_told_at_once(tmp_path: Path, signing: tuple[str, ...]) -> None:
    Image.fromarray(photo()).save(tmp_path / "a.png")
    _, cert, _, key = signing
    other = Path(key).with_name("other.pem")
    (tmp_path / "empty.pem").touch()
    before = files(tmp_path)
    for words, said in (
        (("--c2pa-cert", cert), "expected both --c2pa-cert and --c2pa-key"),
        (("--c2pa-cert", cert, "--c2pa-key", tmp_path / "none.pem"), "cannot be read"),
        (("--c2pa-cert", cert, "--c2pa-key", other), "belong together"),
        (("--c2pa-cert", tmp_path / "empty.pem", "--c2pa-key", key), "cannot be signed"),
    ):
        call = recolor(tmp_path / "a.png", *words, *FAST)
        assert (call.code, len(call.errors)) == (2, 1), call.err
        assert said in call.err
    assert files(tmp_path) == before
