"""Pack photographs into tar shards for WebDataset, instead of one file for each image."""

import csv
import hashlib
import io
import json
import tarfile
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import PIL
from PIL import features

from recolor_core.files import replacing, sha256_of
from training.prepare.clean import FACTS, MANIFEST
from training.prepare.errors import PrepareError
from training.prepare.files import make_folder
from training.prepare.images import SourceImage, decode, find_images, shrink
from training.prepare.measures import pixel_sha256
from training.prepare.parallel import unordered
from training.prepare.progress import Progress, silent
from training.prepare.splits import SPLITS

INDEX = "index.json"


class Codec(StrEnum):
    """Encoding of the images in the shards.

    ``webp`` halves the resolution of color, as every lossy WebP does. ``jpeg`` keeps the full
    resolution of color (4:4:4), is 1.6 times as large and decodes three times as fast. The
    lossless codecs keep the codes exactly and are four (WebP) and seven (PNG) times as large.
    """

    WEBP = "webp"
    JPEG = "jpeg"
    WEBP_LOSSLESS = "webp-lossless"
    PNG = "png"


@dataclass(frozen=True)
class Packing:
    """Settings for packing.

    Attributes
    ----------
    short_side : int
        Short side in pixels; smaller images are not enlarged.
    codec : Codec
        Encoding. An image of this format that needs no shrinking or conversion is copied unchanged.
    quality : int
        Quality of lossy WebP and JPEG, [0, 100].
    per_shard : int
        Number of images in a shard.
    """

    short_side: int = 256
    codec: Codec = Codec.WEBP
    quality: int = 90
    per_shard: int = 2048

    def __post_init__(self) -> None:
        if self.short_side < 1 or self.per_shard < 1 or not 0 <= self.quality <= 100:
            raise PrepareError(
                f"expected a short side and a number per shard of at least 1 and a quality of 0 to "
                f"100, got {self.short_side}, {self.per_shard} and {self.quality}."
            )

    @property
    def format(self) -> str:
        """Return the file format as Pillow names it."""
        return "WEBP" if self.codec is Codec.WEBP_LOSSLESS else self.codec.upper()


@dataclass(frozen=True)
class Shard:
    """A written shard, as listed in the index.

    Attributes
    ----------
    name : str
        ``train-0000.tar``
    split : str
    images : int
    bytes : int
    sha256 : str
        SHA-256 of the tar file.
    plan : str
        Hash of everything that determined the tar file. It tells a later run whether the shard is
        up to date.
    """

    name: str
    split: str
    images: int
    bytes: int
    sha256: str
    plan: str


@dataclass(frozen=True)
class _Entry:
    key: str
    image: SourceImage
    pixel_sha256: str
    facts: dict[str, str]


@dataclass(frozen=True)
class _Job:
    path: Path
    split: str
    entries: list[_Entry]
    packing: Packing

    @property
    def plan(self) -> str:
        plan = [
            asdict(self.packing),
            # A different encoder version may write different bytes for the same image.
            [PIL.__version__, *(features.version(name) for name in ("webp", "jpg", "zlib"))],
            [(entry.key, entry.pixel_sha256) for entry in self.entries],
        ]
        return hashlib.sha256(json.dumps(plan).encode()).hexdigest()


def pack(
    manifest: Path,
    into: Path,
    packing: Packing | None = None,
    *,
    workers: int = 1,
    progress: Progress = silent,
) -> list[Shard]:
    """Pack the kept images of a manifest from `clean`; each split gets its own shards.

    Images are sorted by their hashes. This order is random, so each shard is a sample of its
    split, and it is the same on every machine. The same images, options and version of Pillow give
    the same bytes.

    Parameters
    ----------
    manifest : Path
        ``manifest.csv`` from `clean`, or its folder.
    into : Path
        Folder for ``train-0000.tar``, …; ``index.json`` with the number of images, bytes and
        SHA-256 of each shard; and ``manifest.csv`` with ``key, source, category, origin, license,
        pixel_sha256`` of each image (key ``train/000000``).
    packing : Packing, optional
    workers : int
        Number of processes; each writes one shard at a time.
    progress : callable, optional
        Receives the number of images.

    Returns
    -------
    list of Shard
        Sorted by name. Shards that an earlier run completed are verified, not rewritten.

    Raises
    ------
    PrepareError
        If the manifest is invalid or keeps no image, or an image has changed since `clean`.
    """
    packing = packing or Packing()
    make_folder(into)
    manifest = manifest / MANIFEST if manifest.is_dir() else manifest
    if manifest.resolve() == (into / MANIFEST).resolve():
        raise PrepareError(f"{into} contains the input manifest: choose another folder.")
    jobs = _plan(_read_manifest(manifest), into, packing)
    before = _read_index(into)
    shards: dict[str, Shard] = {}
    todo: list[_Job] = []
    for job in jobs:
        shard = before.get(job.path.name)
        if shard and shard.plan == job.plan and _is_whole(job.path, shard):
            shards[shard.name] = shard
        else:
            todo.append(job)
    for name in before.keys() - {job.path.name for job in jobs}:
        (into / name).unlink(missing_ok=True)  # a loader that uses a glob would read it too
    total = sum(len(job.entries) for job in jobs)
    done = sum(shard.images for shard in shards.values())
    progress("pack", done, total)
    for shard in unordered(_write_shard, todo, workers):
        shards[shard.name] = shard
        _write_index(into, packing, shards)
        done += shard.images
        progress("pack", done, total)
    _write_index(into, packing, shards)
    _write_manifest(into / MANIFEST, jobs)
    return [shards[name] for name in sorted(shards)]


def _read_manifest(path: Path) -> dict[str, list[_Entry]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["kept"] == "1"]
        sources = sorted({row["path"] for row in rows})
        wanted = [(row["split"], row["pixel_sha256"], row["path"], row["name"]) for row in rows]
    except KeyError as error:
        raise PrepareError(
            f"{path} has no column {error}: expected the manifest that `clean` writes."
        ) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PrepareError(f"{path} cannot be read ({error}): run `clean` first.") from error
    if not rows:
        raise PrepareError(f"{path} keeps no image: review the contact sheets of `clean`.")
    there = {
        (image.source, image.name): image
        for image in find_images([Path(source) for source in sources])
    }
    entries: dict[str, list[_Entry]] = {split: [] for split in SPLITS}
    for row, (split, digest, source, name) in zip(rows, wanted, strict=True):
        if (source, name) not in there:
            raise PrepareError(f"{source} no longer holds {name}: run `clean` again.")
        if split not in entries:
            raise PrepareError(f"{path}: {name} is in split '{split}', not one of {SPLITS}.")
        facts = {fact: row.get(fact) or "" for fact in FACTS}
        facts["source"] = facts["source"] or Path(source).name
        entries[split].append(_Entry("", there[source, name], digest, facts))
    return entries


def _plan(entries: dict[str, list[_Entry]], into: Path, packing: Packing) -> list[_Job]:
    jobs = []
    for split, of_split in entries.items():
        ordered = sorted(of_split, key=lambda entry: (entry.pixel_sha256, entry.image))
        keyed = [
            _Entry(f"{number:06d}", entry.image, entry.pixel_sha256, entry.facts)
            for number, entry in enumerate(ordered)
        ]
        for start in range(0, len(keyed), packing.per_shard):
            path = into / f"{split}-{start // packing.per_shard:04d}.tar"
            jobs.append(_Job(path, split, keyed[start : start + packing.per_shard], packing))
    return jobs


def _write_shard(job: _Job) -> Shard:
    with (
        replacing(job.path) as part,
        tarfile.open(part, "w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for entry in job.entries:
            data = _encode(entry, job.packing)
            info = tarfile.TarInfo(
                f"{entry.key}.{job.packing.format.lower()}"
            )  # owner 0 and time 0 make the bytes reproducible
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    size, digest = _size_and_sha256(job.path)
    return Shard(job.path.name, job.split, len(job.entries), size, digest, job.plan)


def _encode(entry: _Entry, packing: Packing) -> bytes:
    try:
        data = entry.image.read()
        decoded = decode(data)
        same = pixel_sha256(decoded.rgb) == entry.pixel_sha256
    except (PrepareError, OSError, KeyError, ValueError, RuntimeError) as error:
        raise PrepareError(
            f"{entry.image.label} can no longer be read ({error}): run `clean` again."
        ) from error
    if not same:
        raise PrepareError(f"{entry.image.label} has changed since `clean`: run it again.")
    small = shrink(decoded.rgb, packing.short_side)
    if small is decoded.rgb and decoded.as_stored and decoded.format == packing.format:
        return data  # encoding it again could only reduce the quality
    file = io.BytesIO()
    options: dict[Codec, dict[str, int]] = {
        Codec.WEBP: {"quality": packing.quality},
        Codec.JPEG: {"quality": packing.quality, "subsampling": 0},
        Codec.WEBP_LOSSLESS: {"lossless": True},
        Codec.PNG: {},
    }
    small.save(file, packing.format, **options[packing.codec])
    return file.getvalue()


def _size_and_sha256(path: Path) -> tuple[int, str]:
    return path.stat().st_size, sha256_of(path)


def _is_whole(path: Path, shard: Shard) -> bool:
    return path.is_file() and _size_and_sha256(path) == (shard.bytes, shard.sha256)


def _read_index(into: Path) -> dict[str, Shard]:
    try:
        index = json.loads((into / INDEX).read_text(encoding="utf-8"))
        return {entry["name"]: Shard(**entry) for entry in index["shards"]}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        raise PrepareError(
            f"{into / INDEX} is not an index that `pack` wrote ({error}): choose another folder."
        ) from error


def _write_index(into: Path, packing: Packing, shards: dict[str, Shard]) -> None:
    index = {
        "packing": asdict(packing),
        "shards": [asdict(shards[name]) for name in sorted(shards)],
    }
    with replacing(into / INDEX) as path:
        path.write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")


def _write_manifest(path: Path, jobs: list[_Job]) -> None:
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["key", *FACTS, "pixel_sha256"])
        for job in jobs:
            for entry in job.entries:
                facts = [entry.facts[fact] for fact in FACTS]
                writer.writerow([f"{job.split}/{entry.key}", *facts, entry.pixel_sha256])
