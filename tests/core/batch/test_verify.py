"""Altered results: each is caught, and named by what was done to it."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import ImageCms

from recolor_core.batch.verify import verify_image
from recolor_core.images import ImageWriter, Page, open_image
from tests.core.cli_runner import FAST, Call, gray_of, photo, recolor

ENDINGS = ("png", "tif", "webp", "jp2", "bmp")
Change = Callable[[Page, NDArray[Any]], tuple[Page, NDArray[Any]]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source and its results, of every format."""
    folder = tmp_path_factory.mktemp("made")
    tifffile.imwrite(folder / "scan.tif", photo())
    tifffile.imwrite(folder / "deep.tif", photo(dtype=np.uint16))
    tifffile.imwrite(folder / "other.tif", photo()[::-1])
    with tifffile.TiffWriter(folder / "pages.tif") as writer:
        for _ in range(2):
            writer.write(photo(), metadata=None)
    for ending in (*ENDINGS, "jpg"):
        call = recolor(folder / "scan.tif", "-o", folder / f"color.{ending}", *FAST)
        assert call.code == 0
    for name in ("deep", "pages"):
        assert recolor(folder / f"{name}.tif", "-o", folder / f"{name}-color.tif", *FAST).code == 0
    return folder


def stored_anew(result: Path, target: Path, change: Change) -> Path:
    """A result that somebody changed and stored, with all its metadata."""
    with open_image(result) as file, ImageWriter(target, overwrite=True) as writer:
        for page in file:
            changed, colors = change(page, np.array(page.codes[..., :3]))
            writer.write(replace(changed, codes=colors), colors)
    sidecar = result.with_name(f"{result.name}.json")
    if sidecar.exists():
        target.with_name(f"{target.name}.json").write_bytes(sidecar.read_bytes())
    return target


def one_value(page: Page, colors: NDArray[Any]) -> tuple[Page, NDArray[Any]]:
    full = np.iinfo(colors.dtype).max
    colors[7, 3] = np.where(colors[7, 3] > full // 2, colors[7, 3] - 2, colors[7, 3] + 2)
    return page, colors


def contrast(page: Page, colors: NDArray[Any]) -> tuple[Page, NDArray[Any]]:
    return page, (colors * 0.9).astype(colors.dtype)


def cropped(page: Page, colors: NDArray[Any]) -> tuple[Page, NDArray[Any]]:
    return page, np.ascontiguousarray(colors[1:, 2:])


def turned(page: Page, colors: NDArray[Any]) -> tuple[Page, NDArray[Any]]:
    return page, np.ascontiguousarray(np.rot90(colors))


def mirrored(page: Page, colors: NDArray[Any]) -> tuple[Page, NDArray[Any]]:
    return page, np.ascontiguousarray(colors[:, ::-1])


def blurred(page: Page, colors: NDArray[Any]) -> tuple[Page, NDArray[Any]]:
    return page, ((colors.astype(int) + np.roll(colors, 1, 1)) // 2).astype(colors.dtype)


def another_profile(page: Page, colors: NDArray[Any]) -> tuple[Page, NDArray[Any]]:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return replace(page, metadata=replace(page.metadata, icc=profile)), colors


def unchanged(page: Page, colors: NDArray[Any]) -> tuple[Page, NDArray[Any]]:
    return page, colors


def other_colors(page: Page, colors: NDArray[Any]) -> tuple[Page, NDArray[Any]]:
    gray = gray_of(colors)
    return page, np.dstack([gray] * 3)


def mark_stripped(page: Page, colors: NDArray[Any]) -> tuple[Page, NDArray[Any]]:
    return replace(page, metadata=replace(page.metadata, xmp=None)), colors


def kinds(output: Path, source: Path | None = None) -> set[str]:
    return {finding.kind for finding in verify_image(output, source).findings}


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_was_not_altered(made: Path, ending: str) -> None:
    for source in (None, made / "scan.tif"):
        verification = verify_image(made / f"color.{ending}", source)
        assert verification.unaltered, verification.line()
        assert verification.exact_pages == 1
        assert "unaltered coloring" in verification.line()
        assert "its gray is exact" in verification.line()
    assert verification.difference == 0


@pytest.mark.parametrize("name", ["deep", "pages"])
def test_depths_and_pages(made: Path, name: str) -> None:
    verification = verify_image(made / f"{name}-color.tif", made / f"{name}.tif")
    assert verification.unaltered, verification.line()
    assert verification.exact_pages == (2 if name == "pages" else 1)


def test_a_jpeg_says_how_near_it_is(made: Path) -> None:
    verification = verify_image(made / "color.jpg", made / "scan.tif")
    assert verification.unaltered
    assert verification.exact_pages == 0
    assert 0 < (verification.difference or 0) < 0.2
    assert "% of white" in verification.line()


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (one_value, "gray"),
        (contrast, "gray"),
        (mirrored, "gray"),
        (blurred, "gray"),
        (cropped, "size"),
        (turned, "size"),
        (another_profile, "profile"),
        (mark_stripped, "no mark"),
    ],
)
def test_altered_files(made: Path, tmp_path: Path, ending: str, change: Change, kind: str) -> None:
    if ending == "bmp" and kind in ("profile", "no mark"):
        pytest.skip("BMP holds neither")
    result = made / f"color.{ending}"
    altered = stored_anew(result, tmp_path / f"altered.{ending}", change)
    assert kind in kinds(altered)
    assert kind in kinds(altered, made / "scan.tif")
    if kind == "gray":
        assert kinds(altered) == {"gray"}
    call = recolor("verify", altered, made / "scan.tif")
    assert call.code == 2
    assert call.out.decode().startswith(f"{altered}: ALTERED: ")
    facts = json.loads(recolor("verify", altered, made / "scan.tif", "--json").out)
    assert kind in {finding["kind"] for finding in facts["findings"]}


def test_one_value_is_counted_and_located(made: Path, tmp_path: Path) -> None:
    altered = stored_anew(made / "deep-color.tif", tmp_path / "altered.tif", one_value)
    line = verify_image(altered, made / "deep.tif").line()
    assert "1 of 2,240 gray values differ from the source, the first at x=3, y=7" in line


@pytest.mark.parametrize("ending", ENDINGS)
def test_another_source(made: Path, ending: str) -> None:
    assert kinds(made / f"color.{ending}", made / "other.tif") == {"other source", "gray"}


@pytest.mark.parametrize("ending", ["png", "tif", "webp"])
def test_stored_as_jpeg(made: Path, tmp_path: Path, ending: str) -> None:
    altered = stored_anew(made / f"color.{ending}", tmp_path / "altered.jpg", unchanged)
    assert kinds(altered) == {"format"}
    assert "stored anew as JPEG" in verify_image(altered).line()


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kept", [0.0, 0.5])
def test_cut_files(made: Path, tmp_path: Path, ending: str, kept: float) -> None:
    data = (made / f"color.{ending}").read_bytes()
    cut = tmp_path / f"cut.{ending}"
    cut.write_bytes(data[: int(len(data) * kept)])
    assert {"damaged", "gray"} & kinds(cut)
    assert kinds(tmp_path / "none.png") == {"missing"}


def test_a_page_that_was_removed(made: Path, tmp_path: Path) -> None:
    with open_image(made / "pages-color.tif") as file, ImageWriter(tmp_path / "a.tif") as writer:
        page = next(iter(file))
        writer.write(page, page.codes)
    assert "pages" in kinds(tmp_path / "a.tif", made / "pages.tif")


def test_other_colors_are_found_by_the_sidecar(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "scan.tif", photo())
    assert recolor(tmp_path / "scan.tif", "--sidecar", *FAST).code == 0
    result = tmp_path / "scan.recolor.tif"
    assert kinds(result) == set()
    altered = stored_anew(result, tmp_path / "altered.tif", other_colors)
    result.write_bytes(altered.read_bytes())
    assert kinds(result) == {"bytes"}


def test_half_the_depth(made: Path, tmp_path: Path) -> None:
    def shallow(page: Page, colors: NDArray[Any]) -> tuple[Page, NDArray[Any]]:
        return page, (colors >> 8).astype(np.uint8)

    altered = stored_anew(made / "deep-color.tif", tmp_path / "a.tif", shallow)
    assert "uint8 instead of uint16" in verify_image(altered, made / "deep.tif").line()


def test_64_bit_floating_point_is_compared_within_rounding(tmp_path: Path) -> None:
    source = tmp_path / "float.tif"
    tifffile.imwrite(source, photo(dtype=np.float64))
    assert recolor(source, *FAST).code == 0
    assert kinds(tmp_path / "float.recolor.tif", source) == set()
    tifffile.imwrite(source, photo(dtype=np.float64) * 0.999)
    assert kinds(tmp_path / "float.recolor.tif", source) == {"other source", "gray"}


def test_a_leveled_result_is_compared_with_the_leveled_source(tmp_path: Path) -> None:
    source = tmp_path / "float.tif"
    tifffile.imwrite(source, photo(dtype=np.float32) * 8 - 2)
    assert recolor(source, "--levels", "-2,6", *FAST).code == 0
    verification = verify_image(tmp_path / "float.recolor.tif", source)
    assert verification.unaltered, verification.line()


def test_other_files(made: Path) -> None:
    assert kinds(made / "scan.tif") == {"no mark"}
    call = recolor("verify", made / "color.png", made / "none.tif")
    assert (call.code, len(call.errors)) == (2, 1)


# --- folders ----------------------------------------------------------------------------------


TAGS = ("", "alt1.", "ab-coarse.", "ab-refined.", "uncertainty.")
RESULTS = {f"{name}.recolor.{tag}tif" for name in "abcd" for tag in TAGS}


@pytest.fixture
def batch(tmp_path: Path) -> tuple[Path, Path]:
    source, out = tmp_path / "in", tmp_path / "out"
    (source / "box").mkdir(parents=True)
    for name in ("a.tif", "b.tif", "box/c.tif", "box/d.tif"):
        tifffile.imwrite(source / name, photo() + np.uint8(len(name)))
    assert recolor("batch", source, out, "--stages", "--alternatives", "1", *FAST).code == 0
    return source, out


def verified(*words: object) -> tuple[Call, dict[str, set[str]]]:
    call = recolor("verify", *words, "--json")
    facts = [json.loads(line) for line in call.out.splitlines()]
    return call, {
        Path(fact["output"]).name: {finding["kind"] for finding in fact["findings"]}
        for fact in facts
    }


def test_a_folder_against_its_manifest(batch: tuple[Path, Path]) -> None:
    source, out = batch
    for words in ((out,), (out, source)):
        call, found = verified(*words)
        assert call.code == 0
        assert found == {name: set() for name in RESULTS}
    text = recolor("verify", out, source).out.decode()
    assert "20 results verified, 8 compared with their sources: none altered" in text


def test_what_happened_to_a_folder(batch: tuple[Path, Path], tmp_path: Path) -> None:
    source, out = batch
    stored_anew(out / "a.recolor.tif", out / "a.recolor.tif", one_value)
    stored_anew(out / "b.recolor.tif", out / "b.recolor.tif", other_colors)
    (out / "box" / "c.recolor.tif").unlink()
    (out / "foreign.recolor.png").write_bytes((out / "box" / "d.recolor.tif").read_bytes())
    call, found = verified(out, source)
    assert call.code == 2
    assert found["a.recolor.tif"] == {"bytes", "gray"}
    assert found["b.recolor.tif"] == {"bytes"}
    assert found["c.recolor.tif"] == {"missing"}
    assert found["d.recolor.tif"] == set()
    assert found["foreign.recolor.png"] == {"not in the manifest"}
    report = tmp_path / "report.json"
    call = recolor("verify", out, source, "--report", report, "--signed-by", "A. Archivist")
    assert call.code == 2
    facts = json.loads(report.read_text())
    assert (facts["results"], facts["unaltered"]) == (21, 17)
    assert facts["signed_by"] == "A. Archivist"
    assert len(facts["altered"]) == 4
    assert "4 ALTERED" in call.out.decode()


def test_a_folder_without_a_manifest(batch: tuple[Path, Path]) -> None:
    source, out = batch
    for path in out.glob("recolor-manifest*"):
        path.unlink()
    call, found = verified(out)
    assert call.code == 0
    assert found == {name: set() for name in RESULTS}
    assert "8 compared" in recolor("verify", out, source).out.decode()
    assert recolor("verify", source).code == 2


@pytest.mark.slow
@pytest.mark.parametrize("manifest", [True, False])
def test_sources_that_are_missing_or_changed(batch: tuple[Path, Path], manifest: bool) -> None:
    source, out = batch
    if not manifest:
        for path in out.glob("recolor-manifest*"):
            path.unlink()
    for place in (source / "none", source / "a.tif"):
        call = recolor("verify", out, place)
        assert (call.code, len(call.errors), call.out) == (2, 1, b"")
    (source / "a.tif").unlink()
    (source / "b.tif").write_bytes(b"no image")
    tifffile.imwrite(source / "box" / "c.tif", photo()[::-1])
    call, found = verified(out, source)
    assert call.code == 2
    assert found["a.recolor.tif"] == found["a.recolor.alt1.tif"] == {"missing source"}
    assert found["b.recolor.tif"] == {"missing source"}
    assert found["c.recolor.tif"] == {"other source", "gray"}
    assert found["d.recolor.tif"] == set()
    assert "a.tif is not there" in recolor("verify", out, source).out.decode()


@pytest.mark.parametrize("manifest", [True, False])
def test_forged_files_beside_results(batch: tuple[Path, Path], manifest: bool) -> None:
    _, out = batch
    if not manifest:
        for path in out.glob("recolor-manifest*"):
            path.unlink()
    stored_anew(out / "a.recolor.alt1.tif", out / "a.recolor.alt1.tif", one_value)
    stored_anew(out / "b.recolor.alt1.tif", out / "b.recolor.alt1.tif", mark_stripped)
    (out / "a.recolor.alt2.tif").write_bytes((out / "a.recolor.tif").read_bytes())
    other = out / "box" / "c.recolor.alt1.tif"
    other.write_bytes((out / "b.recolor.tif").read_bytes())
    for name in ("final", "uncertainty.alt1", "page1.final"):
        tifffile.imwrite(out / f"a.recolor.{name}.tif", photo())
    call, found = verified(out)
    assert call.code == 2
    assert found["a.recolor.alt1.tif"] == {"gray"}
    assert found["b.recolor.alt1.tif"] == {"no mark"}
    assert found["a.recolor.alt2.tif"] == {"no mark"}
    assert found["c.recolor.alt1.tif"] == {"no mark", "other source"}
    for name in ("final", "uncertainty.alt1", "page1.final"):
        assert found[f"a.recolor.{name}.tif"] == {"not in the manifest" if manifest else "no mark"}
    assert found["a.recolor.tif"] == found["d.recolor.alt1.tif"] == set()


@pytest.mark.parametrize("manifest", [True, False])
def test_stages_that_were_altered(batch: tuple[Path, Path], manifest: bool) -> None:
    _, out = batch
    if not manifest:
        for path in out.glob("recolor-manifest*"):
            path.unlink()
    values = tifffile.imread(out / "a.recolor.uncertainty.tif")
    with tifffile.TiffFile(out / "a.recolor.uncertainty.tif") as file:
        packet = file.pages[0].tags[700].value
    values[0, 0] += 0.5
    tifffile.imwrite(
        out / "a.recolor.uncertainty.tif",
        values,
        extratags=[(700, 1, len(packet), packet, True)],
        metadata=None,
    )
    tifffile.imwrite(out / "b.recolor.ab-coarse.tif", values)
    (out / "b.recolor.ab-refined.tif").write_bytes(
        (out / "box" / "c.recolor.ab-refined.tif").read_bytes()
    )
    _, found = verified(out)
    assert found.pop("a.recolor.uncertainty.tif") == {"bytes"}
    assert found.pop("b.recolor.ab-coarse.tif") == {"no mark"}
    assert found.pop("b.recolor.ab-refined.tif") == {"other source"}
    assert not any(found.values())
    call = recolor("restore", out / "box" / "c.recolor.ab-refined.tif")
    assert (call.code, len(call.errors)) == (2, 1)
    assert "this stage holds no gray" in call.err


def test_a_stage_is_verified_by_its_own_name_and_a_sheet_is_no_result(
    batch: tuple[Path, Path], tmp_path: Path
) -> None:
    source, out = batch
    stage = out / "a.recolor.ab-refined.tif"
    renamed = tmp_path / "refined.tif"
    renamed.write_bytes(stage.read_bytes())
    for words in ((stage,), (renamed,), (stage, source / "a.tif")):
        call = recolor("verify", *words)
        assert call.code == 0
        assert "unaltered stage ab-refined of the coloring of a.tif" in call.out.decode()
    call = recolor("verify", stage, source / "box" / "c.tif")
    assert call.code == 2
    assert "ALTERED: made from another file (a.tif)" in call.out.decode()
    output = tmp_path / "a.png"
    call = recolor(source / "a.tif", "-o", output, "--alternatives", "1", "--sheet", *FAST)
    assert call.code == 0
    call = recolor("verify", tmp_path / "a.sheet.png", source / "a.tif")
    assert call.code == 2
    assert "this is a sheet of alternatives" in call.out.decode()


@pytest.mark.skipif(os.name != "posix", reason="of POSIX systems")
def test_a_line_break_in_a_name(made: Path, tmp_path: Path) -> None:
    for name in ("color.png", "scan.tif"):
        path = tmp_path / f"two\nlines-{name}"
        path.write_bytes((made / name).read_bytes())
        assert len(recolor("verify", path).out.decode().splitlines()) == 1
