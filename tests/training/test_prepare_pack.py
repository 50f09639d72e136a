import csv
import gc
import hashlib
import io
import json
import shutil
import tarfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.prepare import pack as pack_module
from training.prepare.__main__ import main
from training.prepare.clean import clean
from training.prepare.errors import PrepareError
from training.prepare.pack import Codec, Packing, pack
from training.prepare.rules import Thresholds

KEEP_ALL = Thresholds(
    min_short_side=1, near_duplicate_difference=0, min_sharpness=0, max_color_surprise=99
)
SMALL = Packing(short_side=32, codec=Codec.PNG, per_shard=4)


def image(seed: int) -> Image.Image:
    codes = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return Image.fromarray(codes).resize((96, 64 + seed), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def cleaned(tmp_path_factory):
    """A folder of 20 images and the report of `clean` on them."""
    folder = tmp_path_factory.mktemp("photos")
    for i in range(20):
        image(i).save(folder / f"{i}.png")
    facts = folder / "facts.csv"
    facts.write_text("key,source,category,origin,license\n3,sun,outdoor,web,CC0\n")
    report = tmp_path_factory.mktemp("report")
    result = clean([folder], report, thresholds=KEEP_ALL, val=0.3, test=0.2, facts=facts)
    assert sum(result.kept.values()) == 20
    assert all(result.kept.values())
    return folder, report


def contents(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


def manifest(path: Path) -> list[dict[str, str]]:
    with (path / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def files(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


@pytest.mark.slow
def test_webdataset_reads_every_kept_image_of_its_split_once(cleaned, tmp_path):
    webdataset = pytest.importorskip("webdataset")
    shards = pack(cleaned[1], tmp_path, SMALL)
    splits = [row["split"] for row in manifest(cleaned[1])]
    for split in ("train", "val", "test"):
        paths = [str(tmp_path / shard.name) for shard in shards if shard.split == split]
        with warnings.catch_warnings():
            # webdataset leaves closing its tars to the garbage collector
            warnings.simplefilter("ignore", ResourceWarning)
            samples = list(webdataset.WebDataset(paths, shardshuffle=False).decode("rgb8"))
            gc.collect()
        assert len(samples) == splits.count(split)
        assert len({sample["__key__"] for sample in samples}) == len(samples)
        assert {min(sample["png"].shape[:2]) for sample in samples} == {32}


def test_index_and_manifest_say_what_is_there(cleaned, tmp_path):
    shards = pack(cleaned[1], tmp_path, SMALL)
    index = json.loads((tmp_path / "index.json").read_text())
    assert index["packing"] == {
        "short_side": 32,
        "codec": "png",
        "quality": 90,
        "per_shard": 4,
    }
    assert [shard["name"] for shard in index["shards"]] == [shard.name for shard in shards]
    for shard in shards:
        data = (tmp_path / shard.name).read_bytes()
        assert (shard.bytes, shard.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert shard.images == len(contents(tmp_path / shard.name)) <= 4
    keys = [
        f"{shard.split}/{Path(name).stem}"
        for split in ("train", "val", "test")
        for shard in shards
        if shard.split == split
        for name in contents(tmp_path / shard.name)
    ]
    table = manifest(tmp_path)
    assert [row["key"] for row in table] == keys
    assert [row["license"] for row in table].count("CC0") == 1
    assert {row["source"] for row in table} == {"sun", cleaned[0].name}


def test_packed_images_are_the_originals_made_small(cleaned, tmp_path):
    pack(cleaned[1], tmp_path, Packing(short_side=1000, codec=Codec.WEBP_LOSSLESS))
    by_hash = {row["pixel_sha256"]: row for row in manifest(cleaned[1])}
    for row in manifest(tmp_path):
        split, key = row["key"].split("/")
        data = contents(tmp_path / f"{split}-0000.tar")[f"{key}.webp"]
        with Image.open(cleaned[0] / by_hash[row["pixel_sha256"]]["name"]) as original:
            assert np.array_equal(Image.open(io.BytesIO(data)), original)


def test_what_needs_no_change_is_packed_byte_by_byte(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    image(0).save(folder / "as_it_is.webp", quality=50)
    image(1).save(folder / "turned.webp", quality=50, exif=exif)
    image(2).save(folder / "other.png")
    clean([folder], tmp_path / "r", thresholds=KEEP_ALL, val=0)
    pack(tmp_path / "r", tmp_path / "shards")
    packed = set(contents(tmp_path / "shards" / "train-0000.tar").values())
    originals = {path.name for path in folder.iterdir() if path.read_bytes() in packed}
    assert originals == {"as_it_is.webp"}


@pytest.mark.parametrize("codec", list(Codec))
def test_the_same_input_gives_the_same_bytes(cleaned, tmp_path, codec):
    packing = Packing(short_side=40, codec=codec, per_shard=7)
    pack(cleaned[1], tmp_path / "one", packing)
    pack(cleaned[1], tmp_path / "two", packing)
    assert files(tmp_path / "one") == files(tmp_path / "two")


@pytest.mark.slow
def test_two_processes_give_the_same_bytes_as_one(cleaned, tmp_path):
    pack(cleaned[1], tmp_path / "one", SMALL)
    pack(cleaned[1], tmp_path / "two", SMALL, workers=2)
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_complete_shards_are_not_written_again_and_damaged_ones_are(cleaned, tmp_path, monkeypatch):
    shards = pack(cleaned[1], tmp_path, SMALL)
    whole = files(tmp_path)
    written = []
    write = pack_module._write_shard
    monkeypatch.setattr(
        pack_module, "_write_shard", lambda job: written.append(job.path.name) or write(job)
    )
    pack(cleaned[1], tmp_path, SMALL)
    assert written == []
    (tmp_path / shards[0].name).unlink()
    (tmp_path / shards[1].name).write_bytes(whole[shards[1].name][:-1] + b"x")
    pack(cleaned[1], tmp_path, SMALL)
    assert sorted(written) == [shards[0].name, shards[1].name]
    assert files(tmp_path) == whole


def test_a_run_that_fails_leaves_only_whole_shards_and_is_resumed(cleaned, tmp_path, monkeypatch):
    expected = pack(cleaned[1], tmp_path / "expected", SMALL)
    encode, calls = pack_module._encode, []

    def full(entry: object, packing: Packing) -> bytes:
        calls.append(entry)
        if len(calls) == 7:
            raise OSError(28, "No space left on device")
        return encode(entry, packing)

    monkeypatch.setattr(pack_module, "_encode", full)
    with pytest.raises(OSError, match="No space"):
        pack(cleaned[1], tmp_path / "r", SMALL)
    assert {name for name in files(tmp_path / "r") if "tar" in name} == {expected[1].name}
    calls[:] = range(100)
    pack(cleaned[1], tmp_path / "r", SMALL)
    assert len(calls) == 100 + 20 - 4
    assert files(tmp_path / "r") == files(tmp_path / "expected")


def test_shards_of_an_earlier_plan_do_not_stay_behind(cleaned, tmp_path):
    (tmp_path / "train-9999.tar").touch()  # not ours
    many = pack(cleaned[1], tmp_path, Packing(short_side=32, per_shard=2))
    few = pack(cleaned[1], tmp_path, Packing(short_side=32, per_shard=100))
    assert len(many) > len(few) == 3
    assert {path.name for path in tmp_path.glob("*.tar")} == {
        "train-9999.tar",
        *(shard.name for shard in few),
    }


def test_packed_shards_can_be_cleaned_again_with_their_facts(cleaned, tmp_path):
    pack(cleaned[1], tmp_path / "shards", SMALL)
    again = clean(
        [tmp_path / "shards"], tmp_path / "report", facts=tmp_path / "shards" / "manifest.csv"
    )
    assert again.images == 20
    assert [row["license"] for row in manifest(tmp_path / "report")].count("CC0") == 1


# -- command --------------------------------------------------------------------------------------


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as done:
        main([str(argument) for argument in arguments])
    return int(done.value.code or 0)


def test_the_command_packs(cleaned, tmp_path, capsys):
    into = tmp_path / "shards"
    assert run("pack", cleaned[1], "--into", into, "--short-side", 32, "--codec", "png") == 0
    assert "20 images in 3 shards" in capsys.readouterr().out


def test_bad_input_ends_in_one_line_and_code_2(cleaned, tmp_path, capsys):
    text = (cleaned[1] / "manifest.csv").read_text()
    lines = text.splitlines()
    kept = lines[0].split(",").index("kept")
    nothing = [",".join([*row[:kept], "0", *row[kept + 1 :]]) for row in csv.reader(lines[1:])]
    bad = {
        "nothing": "\n".join([lines[0], *nothing]),
        "columns": "a,b\n1,2\n",
        "gone": text.replace(",3.png,", ",333.png,"),
        "split": text.replace(",train,", ",training,"),
    }
    for name, content in bad.items():
        (tmp_path / f"{name}.csv").write_text(content)
    (tmp_path / "file").touch()
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "index.json").write_text('{"shards": [{"a": 1}]}')
    for expected, arguments in {
        "run `clean` first": [tmp_path / "none.csv"],
        "has no column": [tmp_path / "columns.csv"],
        "keeps no image": [tmp_path / "nothing.csv"],
        "no longer holds 333.png": [tmp_path / "gone.csv"],
        "is in split 'training'": [tmp_path / "split.csv"],
        "a file is in the way": [cleaned[1], "--into", tmp_path / "file"],
        "contains the input manifest": [cleaned[1], "--into", cleaned[1]],
        "not an index": [cleaned[1], "--into", tmp_path / "foreign"],
        "quality of 0 to 100": [cleaned[1], "--quality", 101],
        "at least 1": [cleaned[1], "--per-shard", 0],
    }.items():
        assert run("pack", "--into", tmp_path / "r", *arguments) == 2
        errors = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
        assert len(errors) == 1, expected
        assert expected in errors[0]


def test_a_image_that_changed_since_clean_is_told(cleaned, tmp_path):
    folder = Path(shutil.copytree(cleaned[0], tmp_path / "photos"))
    clean([folder], tmp_path / "report", thresholds=KEEP_ALL)
    image(77).save(folder / "5.png")
    with pytest.raises(PrepareError, match=r"5\.png has changed since `clean`"):
        pack(tmp_path / "report", tmp_path / "r", SMALL)
    (folder / "5.png").write_bytes(b"broken")
    with pytest.raises(PrepareError, match=r"5\.png can no longer be read"):
        pack(tmp_path / "report", tmp_path / "r", SMALL)
    assert not list((tmp_path / "r").glob("*.part"))
