"""Kill a batch repeatedly, then check that every good scan has exactly one result.

The script makes scans of several kinds, some of them broken on purpose, in a folder that is
read-only. It colorizes them with `recolor batch`, kills the batch and its workers at random
moments, lets the disk run full once, and checks the result. Where it may mount one, the results go
to a disk of its own in memory, which it fills; elsewhere the size of files is limited instead.

    make soak                                   # 2,000 scans, 20 kills; takes most of an hour
    make soak ARGS="--scans 300 --kills 8"
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from recolor_core.batch.manifest import Manifest
from recolor_core.batch.verify import verify_image
from recolor_core.files import sha256_of

if sys.platform == "win32":
    sys.exit("tools/soak.py kills process groups and limits file sizes, which Windows cannot do")

import resource  # only POSIX systems have it

BATCH = "import sys; sys.argv[0] = 'recolor'; from recolor_core.cli import main; main()"
DISK_BYTES_PER_SCAN = 200_000  # of the disk that is filled
FILE_BYTES = 20_000  # maximum size of a file while the disk is full, if none can be mounted


def main() -> None:
    """Run the test. The exit code is 0 if nothing was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scans", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--broken", type=float, default=0.05, help="fraction of the scans, 0 to 1")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="keep all files in this folder")
    words = parser.parse_args()
    folder = words.folder or Path(tempfile.mkdtemp(prefix="recolor-soak-"))
    began = time.monotonic()
    try:
        problems, facts = soak(
            folder, words.scans, words.kills, words.jobs, words.broken, random.Random(words.seed)
        )
    finally:
        subprocess.run(["umount", str(folder / "disk")], capture_output=True)
        if not words.folder:
            (folder / "scans").chmod(0o755)
            shutil.rmtree(folder)
    facts["seconds"] = round(time.monotonic() - began, 1)
    print(json.dumps(facts))
    for problem in problems:
        print(f"PROBLEM: {problem}", file=sys.stderr)
    sys.exit(bool(problems))


def soak(
    folder: Path, scans: int, kills: int, jobs: int, broken: float, chance: random.Random
) -> tuple[list[str], dict[str, object]]:
    """Make scans, colorize them while killing the batch, and return the problems found."""
    source, disk = folder / "scans", folder / "disk"
    good, bad = make_scans(source, scans, broken, chance)
    for path in (*source.iterdir(), source):
        path.chmod(0o555)
    mounted = mount(disk, DISK_BYTES_PER_SCAN * scans)
    out, filler = disk / "colored", disk / "filler"
    command = [sys.executable, "-c", BATCH, "batch", str(source), str(out), "--size", "32"]
    command += ["--quiet", "--no-report", "--jobs", str(jobs)]
    killed = filled = 0
    for number in range(kills):
        full = number == kills // 2
        if full and mounted:
            filled += fill(filler)
        process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=limit_files if full and not mounted else None,
        )
        done = count_results(out)
        wanted = done + chance.randint(1, max(1, scans // (kills + 2)))
        end = time.monotonic() + (30 if full else 120)
        while process.poll() is None and time.monotonic() < end:
            if count_results(out) >= wanted:
                time.sleep(chance.uniform(0, 0.3))
                break
            time.sleep(0.05)
        if process.poll() is None:
            killed += 1
            os.killpg(process.pid, signal.SIGKILL)  # the process group: workers too
        process.wait()
        filler.unlink(missing_ok=True)
    last = subprocess.run(command, capture_output=True, text=True)
    problems = list(check(source, out, good, bad))
    if last.returncode != (2 if bad else 0):
        problems.append(f"the last call ended with {last.returncode}: {last.stderr[-500:]}")
    how = f"filled to {filled} bytes" if mounted else "size of files limited"
    facts = {"scans": scans, "broken": len(bad), "kills": killed, "jobs": jobs, "full disk": how}
    return problems, facts


def mount(disk: Path, size: int) -> bool:
    """Mount a disk in memory; whether that is permitted."""
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(disk)]
    return (
        shutil.which("mount") is not None
        and not subprocess.run(command, capture_output=True).returncode
    )


def fill(filler: Path) -> int:
    """Fill a disk up; return the number of bytes that it took."""
    written = 0
    with filler.open("wb", buffering=0) as file:
        try:
            while count := file.write(bytes(1 << 16)):
                written += count
        except OSError:
            pass
    return written


def count_results(out: Path) -> int:
    """Number of results so far."""
    return len(list(out.rglob("*.recolor.*"))) if out.exists() else 0


def limit_files() -> None:
    """Limit the size of files, almost as on a full disk. Called in the batch process."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, resource.RLIM_INFINITY))


def make_scans(
    folder: Path, count: int, broken: float, chance: random.Random
) -> tuple[list[Path], list[Path]]:
    """Write scans of several kinds to a folder; return the good ones and the broken ones."""
    good, bad = [], []
    rng = np.random.default_rng(chance.randrange(2**32))
    for number in range(count):
        place = folder / f"box{number % 7}"
        place.mkdir(parents=True, exist_ok=True)
        codes = scan(rng, chance.randint(20, 160), chance.randint(20, 160))
        path = write_scan(place / f"scan{number:05}", codes, number % 6)
        if chance.random() < broken:
            spoil(path, chance)
            bad.append(path)
        else:
            good.append(path)
    return good, bad


def scan(rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """Return a synthetic scan with edges, gradients and grain."""
    y, x = np.mgrid[:height, :width]
    waves = np.sin(x / rng.uniform(3, 30)) * np.cos(y / rng.uniform(3, 30))
    picture = 128 + 90 * waves + rng.normal(0, 8, (height, width))
    return np.clip(picture, 0, 255).astype(np.uint8)


def write_scan(path: Path, codes: NDArray[np.uint8], kind: int) -> Path:
    """Write a scan in one of six file formats."""
    deep = codes.astype(np.uint16) * 257
    if kind == 0:
        path = path.with_suffix(".png")
        Image.fromarray(codes).save(path)
    elif kind == 1:
        path = path.with_suffix(".tif")
        tifffile.imwrite(path, deep, compression="zlib", predictor=True)
    elif kind == 2:
        path = path.with_suffix(".jpg")
        Image.fromarray(codes).save(path, quality=90)
    elif kind == 3:
        path = path.with_suffix(".tiff")
        with tifffile.TiffWriter(path) as writer:
            for page in (codes, codes[::-1]):
                writer.write(page, metadata=None)
    elif kind == 4:
        path = path.with_suffix(".png")
        path.write_bytes(imagecodecs.png_encode(np.dstack([deep] * 3)))
    else:
        path = path.with_suffix(".bmp")
        Image.fromarray(codes).save(path)
    return path


def spoil(path: Path, chance: random.Random) -> None:
    """Break a file in one of four ways."""
    data = path.read_bytes()
    ways = (b"", data[: len(data) // 3], b"no image" * 20, data[:8] + b"\xff" * len(data[8:]))
    path.write_bytes(chance.choice(ways))


def check(source: Path, out: Path, good: list[Path], bad: list[Path]) -> "list[str]":
    """Return a list of problems with the result."""
    problems = [f"{path}: left over" for path in out.rglob(".recolor-*.part")]
    with Manifest(out) as manifest:
        rows = {row["path"]: row for row in manifest.files()}
    results = {str(path.relative_to(out)) for path in out.rglob("*.recolor.*")}
    expected = set()
    for path in good:
        row = rows.get(str(path.relative_to(source)))
        if row is None or row["status"] != "done":
            problems.append(f"{path}: {row and row['status']}: {row and row['message']}")
            continue
        expected.add(row["output"])
        result = out / row["output"]
        if result.suffix == ".bmp":
            expected.add(f"{row['output']}.json")
        if sha256_of(result) != row["output_sha256"]:
            problems.append(f"{result}: does not match the file in the manifest")
        verification = verify_image(result, path)
        if not verification.unaltered or not verification.exact_pages:
            problems.append(verification.line())
    for path in bad:
        row = rows.get(str(path.relative_to(source)))
        if row is None or row["status"] != "failed" or not row["message"]:
            problems.append(f"{path}: broken, but {row and row['status']}")
    problems += [f"{name}: unexpected file" for name in sorted(results - expected)]
    problems += [f"{name}: missing" for name in sorted(expected - results)]
    return problems


if __name__ == "__main__":
    main()
