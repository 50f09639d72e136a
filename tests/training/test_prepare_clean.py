import csv
import io
import json
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageDraw, ImageFilter, ImageOps

from recolor_core.lab import lab_to_rgb
from training.prepare import clean as clean_module
from training.prepare.__main__ import main
from training.prepare.clean import clean
from training.prepare.duplicates import clusters, near_pairs
from training.prepare.errors import PrepareError
from training.prepare.images import SourceImage, decode, find_images, pixels, shrink
from training.prepare.measures import inspect_image, perceptual_hash
from training.prepare.rules import TITLES, Thresholds
from training.prepare.splits import assign_splits


def photograph(seed: int, width: int = 320, height: int = 256) -> Image.Image:
    """Noise with the spectrum of natural images in lightness and, smoother, in color."""
    generator = np.random.default_rng(seed)

    def field(slope: float) -> np.ndarray:
        frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
        frequency[0, 0] = np.inf
        phase = np.exp(2j * np.pi * generator.random(frequency.shape))
        noise = np.fft.irfft2(phase / frequency**slope, (height, width))
        return noise / noise.std()

    lightness = 55 + 18 * field(1.2)
    color = [18 * field(1.8) + generator.normal(0, 8) for _ in "ab"]
    lab = np.stack([lightness.clip(2, 98), *color], axis=-1)
    return Image.fromarray((lab_to_rgb(lab).clip(0, 1) * 255).round().astype(np.uint8))


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def measured(folder: Path, image: Image.Image, kind: str = "PNG", **options: object):
    data = encoded(image, kind, **options)
    (folder / "image").write_bytes(data)
    result = inspect_image(SourceImage(str(folder), "image", len(data), 0))
    assert result.measures.error == ""
    return result.measures


def tar_of(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def rows(report: Path) -> dict[str, dict[str, str]]:
    with (report / "manifest.csv").open(newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def thrown_out_by(row: dict[str, str]) -> set[str]:
    return {rule for rule in TITLES if row[rule] == "1"}


# -- where images lie and what they are -----------------------------------------------------


def test_folders_tars_and_zips_give_the_same_images(tmp_path):
    names = ["a/one.png", "two.JPG", "a/.hidden.png", "notes.txt"]
    data = {name: encoded(photograph(i, 64, 64)) for i, name in enumerate(names)}
    folder = tmp_path / "folder"
    for name, content in data.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "folder.png").mkdir()
    tar = tar_of(tmp_path / "images.tar", data)
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for name, content in data.items():
            archive.writestr(name, content)
    for path in (folder, tar, tmp_path / "images.zip"):
        found = find_images([path, path])
        assert [image.name for image in found] == ["a/one.png", "two.JPG"]
        assert [image.read() for image in found] == [data["a/one.png"], data["two.JPG"]]
    assert len(find_images([tmp_path])) == 6  # archives in folders are looked into
    assert len(find_images([tmp_path, tar])) == 6


def test_of_members_of_one_name_the_last_counts(tmp_path):
    tar = tar_of(tmp_path / "p.tar", {"a.png": b"first"})
    with tarfile.open(tar, "a") as archive:
        info = tarfile.TarInfo("a.png")
        info.size = 6
        archive.addfile(info, io.BytesIO(b"second"))
    (image,) = find_images([tar])
    assert image.read() == b"second"


def with_red_and_blue_swapped(profile: bytes) -> bytes:
    """Exchange the primaries of an ICC matrix profile, which must not be named sRGB any more."""
    tags = {
        profile[at : at + 4]: at
        for at in range(132, 132 + 12 * int.from_bytes(profile[128:132], "big"), 12)
    }
    swapped = bytearray(profile)
    red, blue = tags[b"rXYZ"], tags[b"bXYZ"]
    swapped[red + 4 : red + 12] = profile[blue + 4 : blue + 12]
    swapped[blue + 4 : blue + 12] = profile[red + 4 : red + 12]
    return bytes(swapped).replace("sRGB".encode("utf-16-be"), "odd!".encode("utf-16-be"))


def test_an_embedded_profile_is_converted():
    color = Image.new("RGB", (40, 20), (200, 100, 50))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert decode(encoded(color, icc_profile=srgb)).rgb.getpixel((0, 0)) == (200, 100, 50)
    swapped = with_red_and_blue_swapped(srgb)
    red, _, blue = decode(encoded(color, icc_profile=swapped)).rgb.getpixel((0, 0))
    assert (red, blue) == (pytest.approx(50, abs=2), pytest.approx(200, abs=2))
    broken = decode(encoded(color, icc_profile=srgb[:200]))
    assert broken.rgb.getpixel((0, 0)) == (200, 100, 50)


def test_the_orientation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    left_red = Image.new("RGB", (40, 20))
    left_red.paste((255, 0, 0), (0, 0, 20, 20))
    turned = decode(encoded(left_red, "JPEG", quality=100, subsampling=0, exif=exif)).rgb
    assert turned.size == (20, 40)
    assert turned.getpixel((10, 2))[0] > 240
    assert turned.getpixel((10, 38))[0] < 20
    assert not turned.info


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("L", "PNG"), ("LA", "PNG"), ("P", "GIF"), ("1", "PNG"), ("CMYK", "JPEG"), ("I;16", "PNG")],
)
def test_every_mode_becomes_srgb_of_about_the_same_gray(mode, kind):
    level = 255 if mode == "1" else 96
    gray = Image.new("L", (32, 32), level)
    if mode == "I;16":
        image = Image.fromarray(np.full((32, 32), level * 257, np.uint16))
    else:
        image = gray.convert("RGB").convert(mode) if mode == "CMYK" else gray.convert(mode)
    decoded = decode(encoded(image, kind))
    assert decoded.rgb.mode == "RGB"
    assert np.abs(pixels(decoded.rgb).astype(int) - level).max() <= 2


def test_transparency_is_measured_and_laid_on_white():
    image = photograph(0, 64, 64).convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 64, 16))
    decoded = decode(encoded(image))
    assert decoded.transparent == 0.25
    assert decoded.rgb.getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize("damage", ["empty", "text", "truncated", "flipped"])
def test_damaged_images_are_told_in_one_line(damage):
    whole = encoded(photograph(0, 64, 64))
    data = {
        "empty": b"",
        "text": b"no image",
        "truncated": whole[: len(whole) // 2],
        "flipped": whole[:3000] + bytes(50) + whole[3050:],
    }[damage]
    with pytest.raises(PrepareError):
        decode(data)


# -- measures -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_measures_do_not_depend_on_size_and_compression(tmp_path):
    image = photograph(1, 1280, 1024)
    one = measured(tmp_path, image)
    two = measured(tmp_path, shrink(image, 300), "JPEG", quality=80)
    assert one.tone_residual == pytest.approx(two.tone_residual, rel=0.1)
    assert one.chroma == pytest.approx(two.chroma, rel=0.1)
    assert one.color_entropy == pytest.approx(two.color_entropy, rel=0.1)
    assert (one.phash ^ two.phash).bit_count() <= 4
    assert one.pixel_sha256 != two.pixel_sha256


def test_equal_pixels_have_equal_hashes_in_any_file(tmp_path):
    image = photograph(1, 64, 64)
    hashes = {measured(tmp_path, image, kind).pixel_sha256 for kind in ("PNG", "BMP", "TIFF")}
    assert len(hashes) == 1
    assert measured(tmp_path, image.rotate(90)).pixel_sha256 not in hashes


def test_toning_is_a_function_of_lightness_and_color_is_not(tmp_path):
    image = photograph(2)
    gray = image.convert("L")
    sepia = ImageOps.colorize(gray, (25, 12, 0), (255, 240, 215))
    assert measured(tmp_path, image).tone_residual > 5
    assert measured(tmp_path, sepia, "JPEG", quality=85).tone_residual < 1.8
    assert measured(tmp_path, gray).chroma < 0.01


def test_sharpness_falls_with_blur_but_not_with_contrast(tmp_path):
    image = photograph(3)
    sharp = measured(tmp_path, image).sharpness
    assert measured(tmp_path, image.point(lambda v: v // 2 + 60)).sharpness == pytest.approx(
        sharp, rel=0.15
    )
    blurred = [
        measured(tmp_path, image.filter(ImageFilter.GaussianBlur(sigma))).sharpness
        for sigma in (1, 2, 4)
    ]
    assert sharp > blurred[0] > blurred[1] > blurred[2]


def test_flat_counts_pixels_that_equal_their_neighbors(tmp_path):
    image = Image.new("RGB", (256, 256))
    image.paste((255, 0, 0), (0, 0, 128, 256))
    assert measured(tmp_path, image).flat == 1 - 2 * 256 / 256**2


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (2, 3)])
def test_tiny_images_can_be_measured(tmp_path, size):
    result = measured(tmp_path, Image.new("RGB", size, (10, 20, 30)))
    assert (result.width, result.height) == size
    assert np.isfinite([result.chroma, result.sharpness, result.color_entropy]).all()


def test_the_hash_of_a_mirrored_image_is_that_of_its_mirror_image(tmp_path):
    image = photograph(4, 256, 256)
    mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert measured(tmp_path, image).phash_mirrored == measured(tmp_path, mirrored).phash
    assert (perceptual_hash(image) ^ perceptual_hash(mirrored)).bit_count() > 12


# -- near-duplicates ------------------------------------------------------------------------------


@pytest.mark.slow
@given(st.integers(0, 2**32), st.integers(0, 15), st.integers(2, 60))
def test_the_banded_search_finds_what_comparing_all_finds(seed, bits, count):
    generator = np.random.default_rng(seed)
    hashes = generator.integers(0, 2**63, count, dtype=np.uint64)
    for i in range(1, count, 2):  # relatives at every distance
        for bit in generator.choice(64, generator.integers(0, 17), replace=False):
            hashes[i] ^= np.uint64(1 << int(bit))
        hashes[i] ^= hashes[i] ^ hashes[i - 1] if generator.random() < 0.5 else np.uint64(0)
        for bit in generator.choice(64, generator.integers(0, 17), replace=False):
            hashes[i] ^= np.uint64(1 << int(bit))
    mirrored = np.roll(hashes, 3)
    thumbnails = np.zeros((count, 4, 4, 3), np.uint8)
    found = near_pairs(hashes, mirrored, thumbnails, bits, 1.0)
    expected = {
        (i, j)
        for i in range(count)
        for j in range(count)
        if i < j
        and min(
            int(hashes[i] ^ hashes[j]).bit_count(),
            int(mirrored[i] ^ hashes[j]).bit_count(),
            int(mirrored[j] ^ hashes[i]).bit_count(),
        )
        <= bits
    }
    assert set(zip(found.first.tolist(), found.second.tolist(), strict=True)) == expected


def test_thumbnails_tell_images_of_equal_hash_apart():
    hashes = np.zeros(3, np.uint64)
    thumbnails = np.zeros((3, 4, 4, 3), np.uint8)
    thumbnails[2] = 30
    found = near_pairs(hashes, hashes, thumbnails, 4, 20.0)
    assert (found.first.tolist(), found.second.tolist()) == ([0], [1])
    assert found.difference.tolist() == [0]


def test_clusters_join_over_others():
    labels = clusters(6, np.array([0, 4]), np.array([3, 3]))
    assert labels.tolist() == [0, 1, 2, 0, 0, 5]


# -- splits ---------------------------------------------------------------------------------------

names = st.lists(st.text("0123456789abcdef", min_size=4, max_size=4), min_size=2, unique=True)


@given(names, st.data())
def test_splits_do_not_change_when_images_are_added(hashes, data):
    count = data.draw(st.integers(1, len(hashes)))
    nobody = np.zeros(len(hashes), bool)
    alone = np.arange(len(hashes))
    all_of_them = assign_splits(hashes, alone, 0.3, 0.2, nobody)
    fewer = assign_splits(hashes[:count], alone[:count], 0.3, 0.2, nobody[:count])
    assert all_of_them[:count] == fewer
    more_val = assign_splits(hashes, alone, 0.6, 0.2, nobody)
    assert all(b == "val" for a, b in zip(all_of_them, more_val, strict=True) if a == "val")


def test_splits_meet_their_shares_and_keep_clusters_together():
    hashes = [f"{i:08x}" for i in range(6000)]
    cluster = np.arange(6000) // 3 * 3
    held_out = np.zeros(6000, bool)
    held_out[10] = True
    splits = np.array(assign_splits(hashes, cluster, 0.1, 0.2, held_out))
    assert (splits == "val").mean() == pytest.approx(0.1, abs=0.03)
    assert (splits == "test").mean() == pytest.approx(0.2, abs=0.04)
    assert (splits.reshape(-1, 3) == splits[::3, None]).all()
    assert splits[[9, 10, 11]].tolist() == ["val"] * 3


@pytest.mark.parametrize(("val", "test"), [(-0.1, 0), (0.5, 0.5), (0, 1), (float("nan"), 0)])
def test_impossible_fractions_are_refused(val, test):
    with pytest.raises(PrepareError, match="their sum to be less than 1"):
        assign_splits(["a"], np.zeros(1, int), val, test, np.zeros(1, bool))


# -- the whole ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    """24 good photographs, and one or two that each rule is to find."""
    folder = tmp_path_factory.mktemp("images")
    for i in range(24):
        (folder / f"good{i:02d}.png").write_bytes(encoded(photograph(i)))
    image = photograph(0)
    gray = photograph(101).convert("L")
    false_color = np.zeros((256, 320, 3))
    false_color[..., 0] = 60 + 12 * (pixels(photograph(102)).mean(2) / 255 - 0.5)
    false_color[..., 1:] = 92, -58
    false_color[..., 1:] += pixels(photograph(103))[..., :2] / 16 - 8
    chart = Image.new("RGB", (320, 256), "white")
    ImageDraw.Draw(chart).line([(10, 200), (100, 50), (300, 120)], fill="navy", width=5)
    cut_out = photograph(104).convert("RGBA")
    cut_out.paste((0, 0, 0, 0), (0, 0, 320, 60))
    bad = {
        "corrupt.png": encoded(image)[:5000],
        "empty.png": b"",
        "duplicate.webp": encoded(image, "WEBP", lossless=True),  # smaller: the PNG stays
        "near_duplicate.jpg": encoded(image, "JPEG", quality=70),
        "near_duplicate2.png": encoded(
            photograph(5).transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((300, 240))
        ),
        "monochrome.png": encoded(gray),
        "toned.png": encoded(
            ImageOps.colorize(photograph(108).convert("L"), (25, 12, 0), (255, 240, 215))
        ),
        "unusual_color.png": encoded(
            Image.fromarray((lab_to_rgb(false_color).clip(0, 1) * 255).astype(np.uint8))
        ),
        "blurry.png": encoded(photograph(105).filter(ImageFilter.GaussianBlur(3))),
        "low_resolution.png": encoded(photograph(106, 200, 160)),
        "aspect_ratio.png": encoded(photograph(107, 800, 256)),
        "graphic.png": encoded(chart),
        "graphic2.png": encoded(cut_out),
    }
    for name, data in bad.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def report(collection, tmp_path_factory):
    into = tmp_path_factory.mktemp("report")
    return into, clean([collection], into, val=0.25, test=0.25)


def test_each_rule_finds_its_outlier_and_leaves_good_images(report):
    into, result = report
    table = rows(into)
    assert len(table) == result.images == result.measured == 37
    for name, row in table.items():
        found = thrown_out_by(row)
        assert (row["kept"] == "1") == (not found)
        if name.startswith("good"):
            assert found == set(), name
        elif name == "empty.png":
            assert found == {"corrupt"}
        else:
            assert name.split(".")[0].rstrip("2") in found, name
            assert len(found) == 1 or name == "graphic.png", (name, found)
    assert table["duplicate.webp"]["duplicate_of"].endswith("good00.png")
    assert table["near_duplicate.jpg"]["duplicate_of"].endswith("good00.png")
    assert table["near_duplicate2.png"]["duplicate_of"].endswith("good05.png")
    assert "truncated" in table["corrupt.png"]["error"]
    kept = [row["split"] for row in table.values() if row["kept"] == "1"]
    assert {split: kept.count(split) for split in result.kept} == result.kept
    assert sum(result.kept.values()) == 24


def test_relatives_share_a_split(report):
    table = rows(report[0])
    for other, name in [
        ("duplicate.webp", "good00.png"),
        ("near_duplicate.jpg", "good00.png"),
        ("near_duplicate2.png", "good05.png"),
    ]:
        assert table[other]["split"] == table[name]["split"]
        assert table[other]["cluster"] == table[name]["cluster"] != ""


def test_every_rule_has_a_contact_sheet_of_its_images(report):
    into, result = report
    index = (into / "index.html").read_text()
    for rule, title in TITLES.items():
        page = (into / f"{rule}.html").read_text()
        assert f'href="{rule}.html"' in index
        assert title in page
        for name, row in rows(into).items():
            if row[rule] == "1":
                assert name in page.split("Just kept")[0]
        with Image.open(into / f"{rule}.png") as sheet:
            assert np.asarray(sheet).min() < 128  # something is drawn on the white
    assert "good" in (into / "blurry.html").read_text().split("Just kept")[1]
    assert json.loads((into / "report.json").read_text())["rejected"] == result.rejected


@pytest.mark.slow
def test_nothing_is_deleted_and_a_second_run_measures_nothing(
    collection, report, tmp_path, monkeypatch
):
    into = Path(shutil.copytree(report[0], tmp_path / "r"))
    first = report[1]
    before = (into / "manifest.csv").read_bytes()
    monkeypatch.setattr(clean_module, "inspect_image", None)  # would fail if called
    again = clean([collection], into, val=0.25, test=0.25)
    assert (again.measured, again.rejected, again.kept) == (0, first.rejected, first.kept)
    assert (into / "manifest.csv").read_bytes() == before
    strict = clean([collection], into, thresholds=Thresholds(min_short_side=300))
    assert strict.measured == 0
    assert strict.rejected["low_resolution"] > first.rejected["low_resolution"]


def test_only_new_and_changed_images_are_measured(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(4):
        (folder / f"{i}.png").write_bytes(encoded(photograph(i, 64, 64)))
    assert clean([folder], tmp_path / "r").measured == 4
    splits = {name: row["split"] for name, row in rows(tmp_path / "r").items()}
    (folder / "4.png").write_bytes(encoded(photograph(4, 64, 64)))
    (folder / "0.png").write_bytes(encoded(photograph(9, 65, 64)))
    assert clean([folder], tmp_path / "r").measured == 2
    after = rows(tmp_path / "r")
    assert after["0.png"]["width"] == "65"
    assert all(after[name]["split"] == split for name, split in splits.items() if name != "0.png")


def test_an_interrupted_run_keeps_what_it_measured(tmp_path, monkeypatch):
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(5):
        (folder / f"{i}.png").write_bytes(encoded(photograph(i, 64, 64)))

    def interrupt(what: str, done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        clean([folder], tmp_path / "r", progress=interrupt)
    assert clean([folder], tmp_path / "r").measured == 2


@pytest.mark.slow
def test_held_out_images_stay_and_take_their_relatives_to_validation(tmp_path):
    train, held = tmp_path / "train", tmp_path / "val"
    train.mkdir()
    held.mkdir()
    for i in range(6):
        (train / f"{i}.png").write_bytes(encoded(photograph(i)))
    (held / "small.jpg").write_bytes(encoded(photograph(3, 320, 256).resize((290, 232)), "JPEG"))
    clean([train], tmp_path / "r", val=0, hold_out=[held])
    table = rows(tmp_path / "r")
    assert (table["small.jpg"]["split"], table["small.jpg"]["kept"]) == ("val", "1")
    assert (table["3.png"]["split"], table["3.png"]["kept"]) == ("val", "0")
    assert {table[f"{i}.png"]["split"] for i in (0, 1, 2, 4, 5)} == {"train"}


def test_facts_are_found_by_key_name_or_stem(tmp_path):
    tar_of(tmp_path / "train-0003.tar", {"000007.png": encoded(photograph(0, 64, 64))})
    tar_of(tmp_path / "other.tar", {"x/a.png": encoded(photograph(1, 64, 64))})
    facts = tmp_path / "facts.csv"
    facts.write_text("key,source,license\ntrain/000007,sun,unstated\nx/a,mine,CC0\n")
    clean([tmp_path], tmp_path / "r", facts=facts)
    table = rows(tmp_path / "r")
    assert (table["000007.png"]["source"], table["000007.png"]["license"]) == ("sun", "unstated")
    assert (table["x/a.png"]["source"], table["x/a.png"]["category"]) == ("mine", "")


@pytest.mark.slow
def test_two_processes_give_the_same_as_one(collection, report, tmp_path):
    result = clean([collection], tmp_path / "r", val=0.25, test=0.25, workers=2)
    assert result == report[1]
    assert rows(tmp_path / "r") == rows(report[0])


# -- command --------------------------------------------------------------------------------------


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as done:
        main([str(argument) for argument in arguments])
    return int(done.value.code or 0)


@pytest.mark.slow
def test_every_threshold_is_a_flag(collection, tmp_path, capsys):
    into = tmp_path / "r"
    loose = ["--min-short-side", 1, "--max-aspect-ratio", 99, "--min-sharpness", 0]
    loose += ["--min-chroma", 0, "--min-tone-residual", 0, "--max-color-surprise", 99]
    loose += ["--min-color-entropy", 0, "--max-flat", 1, "--max-transparent", 1]
    loose += ["--near-duplicate-bits", 0, "--near-duplicate-difference", 0]
    assert run("clean", collection, "--into", into, *loose) == 0
    out = {row: thrown_out_by(facts) for row, facts in rows(into).items()}
    assert {name for name, found in out.items() if found} == {
        "corrupt.png",
        "empty.png",
        "duplicate.webp",
    }
    assert "34  kept of 37" in capsys.readouterr().out


def bad_inputs(tmp_path: Path) -> dict[str, list[object]]:
    (tmp_path / "empty").mkdir()
    (tmp_path / "unreadable").mkdir()
    (tmp_path / "unreadable" / "a.png").write_bytes(b"no image")
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.png").write_bytes(encoded(photograph(0, 64, 64)))
    (tmp_path / "file.txt").touch()
    (tmp_path / "bad.tar").write_bytes(b"no archive" * 100)
    (tmp_path / "bad.csv").write_text("name\na\n")
    one = tmp_path / "one"
    return {
        "holds no image": [tmp_path / "empty"],
        "none of the 1 images can be decoded": [tmp_path / "unreadable"],
        "does not exist": [tmp_path / "nothing"],
        "neither a folder nor": [tmp_path / "file.txt"],
        "cannot be read as an archive": [tmp_path / "bad.tar"],
        "a file is in the way": [one, "--into", tmp_path / "file.txt"],
        "no column 'key'": [one, "--facts", tmp_path / "bad.csv"],
        "cannot be read as a CSV": [one, "--facts", tmp_path],
        "no images given": [],
        "their sum to be less than 1": [one, "--val", 2],
        "expected 0 to 15": [one, "--near-duplicate-bits", 16],
    }


def test_bad_input_ends_in_one_line_and_code_2(tmp_path, capsys):
    for expected, arguments in bad_inputs(tmp_path).items():
        assert run("clean", "--into", tmp_path / "r", *arguments) == 2
        lines = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
        assert len(lines) == 1, expected
        assert lines[0].startswith("error: ")
        assert expected in lines[0]


def test_a_full_disk_and_a_foreign_database_are_told(tmp_path, capsys, monkeypatch):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.png").write_bytes(encoded(photograph(0, 64, 64)))
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "measures.sqlite").write_bytes(b"something else" * 100)
    assert run("clean", tmp_path / "one", "--into", tmp_path / "foreign") == 2
    assert "remove it, and the images are measured again" in capsys.readouterr().err

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "manifest.csv.part")

    monkeypatch.setattr(clean_module, "_write_manifest", full)
    assert run("clean", tmp_path / "one", "--into", tmp_path / "r") == 2
    assert "no space left for manifest.csv.part" in capsys.readouterr().err
    assert not (tmp_path / "r" / "manifest.csv").exists()


def test_one_image_is_a_collection(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.png").write_bytes(encoded(photograph(0)))
    assert sum(clean([tmp_path / "one"], tmp_path / "r").kept.values()) == 1
