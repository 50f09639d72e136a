"""Colorize TIFF files of any size in each layout, and measure the memory that it takes.

    python tools/large.py --megapixels 400 --layouts strips-deflate tiles-lzw
    python tools/large.py --megapixels 4 --pages 300 --layouts tiles-deflate

Prints a line of JSON for each layout: the peak of the memory in all (``peak_mib``, which counts
parts of files that the system has mapped) and of that which is not backed by a file
(``anonymous_mib``), seconds, and whether the result is verified against its source.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from recolor_core.images.image import Metadata, Page, TiffLayout
from recolor_core.images.tiff_output import TiffOutput
from recolor_core.images.tiff_tags import DEFLATE, DIFFERENCE

LZW = 5
LAYOUTS = {
    "strips-plain": TiffLayout(rows_per_strip=64),
    "strips-deflate": TiffLayout(DEFLATE, DIFFERENCE, rows_per_strip=64),
    "strips-lzw": TiffLayout(LZW, DIFFERENCE, rows_per_strip=64),
    "tiles-plain": TiffLayout(tile=(256, 256)),
    "tiles-deflate": TiffLayout(DEFLATE, DIFFERENCE, (256, 256)),
    "tiles-lzw": TiffLayout(LZW, DIFFERENCE, (512, 512)),
    "one-strip-deflate": None,
}
RUN = "import sys; sys.argv[0] = 'recolor'; from recolor_core.cli import main; main()"


def main() -> None:
    """Measure each layout. The exit code is 0 if all results are verified."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--megapixels", type=float, default=400, help="of a page")
    parser.add_argument("--pages", type=int, default=1)
    parser.add_argument("--layouts", nargs="+", choices=LAYOUTS, default=list(LAYOUTS))
    parser.add_argument("--classic", action="store_true", help="not BigTIFF")
    words = parser.parse_args()
    good = True
    for layout in words.layouts:
        with tempfile.TemporaryDirectory(prefix="recolor-large-") as folder:
            facts = measure(
                Path(folder), layout, words.megapixels, words.pages, big=not words.classic
            )
        print(json.dumps(facts), flush=True)
        good &= facts["verified"]
    sys.exit(not good)


def measure(
    folder: Path, layout: str, megapixels: float, pages: int, *, big: bool
) -> dict[str, Any]:
    """Colorize one file, and return what it took."""
    source, target = folder / "scan.tif", folder / "color.tif"
    write(source, layout, round((megapixels * 1e6) ** 0.5), pages, big=big)
    began = time.monotonic()
    limit = ["--max-pixels", str(round(megapixels * 2e6))]
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(source), "-o", str(target), "--quiet", *limit]
    )
    peaks = {"VmRSS": 0, "RssAnon": 0}
    while process.poll() is None:
        for name, now in memory(process.pid).items():
            peaks[name] = max(peaks[name], now)
        time.sleep(0.02)
    seconds = time.monotonic() - began
    verified = (
        not process.returncode
        and not subprocess.run(
            [sys.executable, "-c", RUN, "verify", str(target), str(source), "--quiet"]
        ).returncode
    )
    return {
        "layout": layout,
        "big_tiff": big,
        "megapixels": megapixels,
        "pages": pages,
        "source_mib": source.stat().st_size >> 20,
        "result_mib": target.stat().st_size >> 20 if target.exists() else None,
        "seconds": round(seconds, 1),
        "peak_mib": peaks["VmRSS"] >> 10,
        "anonymous_mib": peaks["RssAnon"] >> 10,
        "verified": verified,
    }


def memory(pid: int) -> dict[str, int]:
    """What a process takes now, in KiB (Linux)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    facts = {name: text.split() for name, _, text in (line.partition(":") for line in lines)}
    return {name: int(facts[name][0]) for name in ("VmRSS", "RssAnon") if name in facts}


def write(path: Path, layout: str, side: int, pages: int, *, big: bool) -> None:
    """Write 16-bit gray pages, holding none in memory but that of one strip."""
    kind = LAYOUTS[layout]
    if kind is None:
        with tifffile.TiffWriter(path, bigtiff=big) as writer:
            for number in range(pages):
                codes = np.concatenate(list(strips(side, number)))
                writer.write(codes, compression="zlib", rowsperstrip=side, metadata=None)
        return
    with path.open("w+b") as file:
        output = TiffOutput(file, replace(kind, big=big))
        for number in range(pages):
            blank = np.broadcast_to(np.uint16(0), (side, side))
            page = Page(blank, metadata=Metadata(layout=kind))
            output.write(page, (s[..., None] for s in strips(side, number)), None, "minisblack")
        output.close()


def strips(side: int, page: int, rows: int = 256) -> Iterator[NDArray[np.uint16]]:
    """The rows of something like a photograph: smooth areas, edges and a little grain."""
    rng = np.random.default_rng(page)
    x = np.arange(side, dtype=np.float32)
    for top in range(0, side, rows):
        y = np.arange(top, min(top + rows, side), dtype=np.float32)[:, None]
        waves = 0.5 + 0.3 * np.sin(x / 900 + page) * np.cos(y / 700)
        grain = rng.integers(0, 64, waves.shape, np.uint16)
        yield ((waves * 60000).astype(np.uint16) & 0xFFC0) + grain


if __name__ == "__main__":
    main()
