"""Feed mutated files to every reader and keep those that crash it, hang it or take its memory.

A good file is read and a bad one is refused by a `RecolorError`. Everything else is a finding: any
other exception, a crash of the process, more than 20 s, more than 2 GB. Atheris mutates the files,
guided by what they reach in the code of Recolor. Each finding is kept as a file, and the run goes
on after it.

    make fuzz                                          # 30 minutes, all targets
    python tools/fuzz.py --minutes 5 --targets hints
    python tools/fuzz.py --targets images --try FILE   # repeat a finding
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import sha256
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

_SECONDS = 20  # an input may take
_MEMORY_MB = 2048
_LONGEST = 1 << 16  # bytes of an input
_PIXELS = 4_000_000

Seeds = Iterator[tuple[str, bytes]]


# --- what is fed ------------------------------------------------------------------------------


def read_image(data: bytes) -> None:
    """Read all pages of an image file, with their metadata."""
    from recolor_core.images import open_image

    with open_image(BytesIO(data), max_pixels=_PIXELS) as file:
        file.output_name()
        for page in file:
            page.codes.max()


def read_hint_file(data: bytes) -> None:
    """Read a file of hints of an image, and as one of a film."""
    from recolor_core.batch.request import read_page_hints
    from recolor_core.errors import RecolorError

    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        file.write(data)
        file.flush()
        try:
            read_page_hints(file.name)
        except RecolorError:
            if importlib.util.find_spec("av"):
                from recolor_core.film import read_key_hints

                read_key_hints(file.name)


def read_film(data: bytes) -> None:
    """Read the first frames of a film."""
    from recolor_core.film import open_film

    with tempfile.NamedTemporaryFile(suffix=".mkv") as file:
        file.write(data)
        file.flush()
        film = open_film(file.name)
        for number, frame in enumerate(film.frames()):
            frame.image.max()
            if number == 4:
                break


def read_weight_file(data: bytes) -> None:
    """Read a file of weights and build its networks."""
    from recolor_core.weights import load_weights

    with tempfile.NamedTemporaryFile(suffix=".safetensors") as file:
        file.write(data)
        file.flush()
        load_weights(file.name)


# --- what the mutations begin with ------------------------------------------------------------


def image_seeds() -> Seeds:
    """Small images of every format, kind and layout."""
    rng = np.random.default_rng(0)
    gray = rng.integers(0, 256, (19, 23), np.uint8)
    rgb = rng.integers(0, 256, (19, 23, 3), np.uint8)
    deep = gray.astype(np.uint16) * 257
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "a caption", 6

    def pillow(format: str, codes: Any, **options: Any) -> bytes:
        stream = BytesIO()
        Image.fromarray(codes).save(stream, format, **options)
        return stream.getvalue()

    for format, codes in product(("PNG", "JPEG", "WEBP", "BMP", "GIF", "AVIF"), (gray, rgb)):
        more: dict[str, Any] = {} if format in ("BMP", "GIF") else {"exif": exif}
        if format == "WEBP":
            more["lossless"] = True
        yield f"{format}-{codes.ndim}", pillow(format, codes, **more)
    yield "png-16", bytes(imagecodecs.png_encode(deep))
    yield "jpeg-progressive", pillow("JPEG", rgb, progressive=True)
    for name, codes in {"8": gray, "16": deep, "rgb": rgb}.items():
        yield f"jp2-{name}", bytes(imagecodecs.jpeg2k_encode(codes, codecformat="jp2"))
        yield f"jxl-{name}", bytes(imagecodecs.jpegxl_encode(codes, lossless=True))
    layouts: list[dict[str, Any]] = [{}, {"tile": (16, 16)}, {"rowsperstrip": 5}, {"bigtiff": True}]
    for index, (layout, packed) in enumerate(
        product(layouts, (None, "lzw", "zlib", "packbits", "lzma", "zstd", "jpeg", "jpeg2000"))
    ):
        stream = BytesIO()
        with tifffile.TiffWriter(
            stream, byteorder=">" if index % 2 else "<", bigtiff=layout.get("bigtiff", False)
        ) as writer:
            plain = {key: value for key, value in layout.items() if key != "bigtiff"}
            for codes in (rgb if packed == "jpeg" else deep, gray):
                writer.write(codes, compression=packed, metadata=None, description="a", **plain)
        yield f"tiff-{index}", stream.getvalue()
    for codes, tag in ((gray > 100, "bit"), (gray / np.float32(255), "float")):
        stream = BytesIO()
        tifffile.imwrite(stream, codes, photometric="minisblack", metadata=None)
        yield f"tiff-{tag}", stream.getvalue()
    yield "pgm", b"P5 23 19 255\n" + gray.tobytes()
    yield "ppm", b"P6 # c\n23 19 255\n" + rgb.tobytes()
    yield "pbm", b"P1 2 2 1 0 0 1"
    yield "pam", b"P7\nWIDTH 23\nHEIGHT 19\nDEPTH 3\nMAXVAL 255\nENDHDR\n" + rgb.tobytes()
    head = b"8BPS\0\1" + bytes(6) + b"\0\1" + (19).to_bytes(4, "big") + (23).to_bytes(4, "big")
    yield "psd", head + b"\0\x08\0\1" + bytes(12) + b"\0\0" + gray.tobytes()
    if importlib.util.find_spec("pillow_heif"):
        from pillow_heif import from_pillow

        stream = BytesIO()
        from_pillow(Image.fromarray(rgb)).save(stream)
        yield "heif", stream.getvalue()


def hint_seeds() -> Seeds:
    """Files of hints."""
    yield "point", b'{"hints": [{"x": 4, "y": 5, "color": "#203040", "radius": 3, "page": 1}]}'
    yield "film", b'{"hints": [{"x": 4, "y": 5, "color": "#203040", "time": "1:02.5"}]}'
    yield (
        "stroke",
        b'{"hints": [{"points": [[1, 2], [3, 4]], "color": "#203040", "radius": 2.5}]}',
    )
    yield "region", b'{"hints": [{"region": [[1, 2], [3, 4], [5, 9]], "color": "red"}]}'
    yield "utf-16", '{"hints": [{"x": 1, "y": 2, "color": "#102030"}]}'.encode("utf-16")


def film_seeds() -> Seeds:
    """Films of a few frames."""
    import av

    for codec, ending, pixels in (
        ("ffv1", "matroska", "yuv420p"),
        ("ffv1", "matroska", "gray16le"),
        ("libx264", "mp4", "yuv420p"),
        ("mjpeg", "avi", "yuvj420p"),
    ):
        stream = BytesIO()
        with av.open(stream, "w", format=ending) as film:
            video: Any = film.add_stream(codec, rate=25)
            video.width, video.height, video.pix_fmt = 64, 48, pixels
            for shade in (40, 90):
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), shade, np.uint8), "rgb24")
                film.mux(video.encode(frame.reformat(format=pixels)))
            film.mux(video.encode(None))
        yield f"{codec}-{ending}-{pixels}", stream.getvalue()


def weight_seeds() -> Seeds:
    """Headers of weights; whole files are too large to mutate."""
    tensor = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    for facts in ({}, {"__metadata__": {"format": "recolor"}, "a": tensor}):
        header = json.dumps(facts).encode()
        yield f"weights-{len(header)}", len(header).to_bytes(8, "little") + header + bytes(4)


TARGETS: dict[str, tuple[Callable[[bytes], None], Callable[[], Seeds]]] = {
    "images": (read_image, image_seeds),
    "hints": (read_hint_file, hint_seeds),
    "films": (read_film, film_seeds),
    "weights": (read_weight_file, weight_seeds),
}


# --- the run ----------------------------------------------------------------------------------


def main() -> None:
    """Fuzz the targets one after the other. The exit code is 0 if there are no findings."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30, help="for all targets together")
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--folder", type=Path, default=Path("build/fuzz"))
    parser.add_argument("--seed", type=int, default=0, help="0 chooses one")
    parser.add_argument("--try", type=Path, dest="repeat", help="read this file, and do no more")
    parser.add_argument("--work", help=argparse.SUPPRESS)  # the process that is fed
    words, rest = parser.parse_known_args()
    if words.repeat:
        TARGETS[words.targets[0]][0](words.repeat.read_bytes())
    elif words.work:
        work(words.work, words.folder, rest)
    else:
        seconds = 60 * words.minutes / len(words.targets)
        found = [
            path
            for target in words.targets
            for path in fuzz(target, words.folder, seconds, words.seed)
        ]
        for path in found:
            print(f"FINDING: {path}")
        sys.exit(bool(found))


def fuzz(target: str, folder: Path, seconds: float, seed: int) -> list[Path]:
    """Fuzz a target for some time, beginning again after each crash; return the findings."""
    corpus, findings = folder / target / "corpus", folder / target / "findings"
    for path in (corpus, findings):
        path.mkdir(parents=True, exist_ok=True)
    for name, data in TARGETS[target][1]():
        (corpus / name).write_bytes(data)
    before = set(findings.iterdir())
    end = time.monotonic() + seconds
    runs = 0
    while (left := end - time.monotonic()) > 1:
        options = {
            "max_total_time": int(left),
            "timeout": _SECONDS,
            "rss_limit_mb": _MEMORY_MB,
            "max_len": _LONGEST,
            "artifact_prefix": f"{findings}/",
            "seed": seed,
            "verbosity": 0,
        }
        words = [f"-{name}={value}" for name, value in options.items()]
        command = [sys.executable, __file__, "--work", target, "--folder", str(folder)]
        done = subprocess.run(
            [*command, *words, str(corpus)],
            stdout=subprocess.DEVNULL,
            stderr=(folder / target / "log.txt").open("ab"),
        )
        runs += 1
        if done.returncode and time.monotonic() > end - seconds + 5 * runs and runs > 200:
            break
    counted = folder / target / "inputs.txt"
    inputs = sum(map(int, counted.read_text().split())) if counted.exists() else 0
    new = sorted(set(findings.iterdir()) - before)
    print(f"{target}: {inputs:,} inputs in all, {runs} processes, {len(new)} findings", flush=True)
    return [path for path in new if path.suffix != ".txt"]


def work(target: str, folder: Path, options: list[str]) -> None:
    """Feed one process until it crashes or its time is over."""
    import atheris

    with atheris.instrument_imports(include=["recolor_core"]):
        import recolor_core.batch.request
        import recolor_core.errors
        import recolor_core.images
    if target == "films":
        with atheris.instrument_imports(include=["recolor_core.film"]):
            import recolor_core.film
    if target == "weights":
        with atheris.instrument_imports(include=["recolor_core.weights"]):
            import recolor_core.weights
    warnings.simplefilter("ignore")
    read, findings = TARGETS[target][0], folder / target / "findings"
    counted = (folder / target / "inputs.txt").open("a")
    count = 0
    with suppress(Exception):
        read(b"")  # what it imports does not count as the time of an input

    def feed(data: bytes) -> None:
        nonlocal count
        count += 1
        if count % 100 == 0:
            print(100, file=counted, flush=True)
        try:
            read(data)
        except recolor_core.errors.RecolorError:
            pass
        except Exception as error:
            keep(findings, data, error)

    atheris.Setup([sys.argv[0], *options], feed)
    atheris.Fuzz()


def keep(findings: Path, data: bytes, error: Exception) -> None:
    """Keep an input that raises a foreign exception, one for each place that raises it."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{type(error).__name__}-{Path(where.filename).stem}-{where.lineno}"
    digest = sha256(place.encode()).hexdigest()[:8]
    path = findings / f"raised-{place}-{digest}"
    if not path.exists():
        path.write_bytes(data)
        text = "".join(traceback.format_exception(error))
        path.with_suffix(".txt").write_text(text)


if __name__ == "__main__":
    main()
