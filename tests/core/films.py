"""Small films for the tests, made and read by PyAV alone."""

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import av
import numpy as np
from av.audio.fifo import AudioFifo

from recolor_core.colorizer import Colorizer
from recolor_core.film import FilmJob, FilmResult, colorize_film
from recolor_core.settings import Settings

from .cli_runner import _open_once, gray_of

FAST = Settings(size=32)
LIMITED, FULL = 1, 2
SIZE = (64, 48)


@cache
def colorizer() -> Colorizer:
    with patch("recolor_core.colorizer.open_weights", _open_once):
        return Colorizer(device="cpu")


def colorize(source: Path | str, target: Path | str, **order: Any) -> FilmResult:
    order.setdefault("settings", FAST)
    *_, last = colorize_film(colorizer(), str(source), str(target), FilmJob(**order))
    return last.result


def scene(index: int, size: tuple[int, int] = SIZE, shot: int = 0) -> np.ndarray:
    """Luminance in [0, 1], (H, W): waves that move on; another image in another shot."""
    y, x = np.mgrid[: size[1], : size[0]]
    waves = np.sin((x + index) / (5 + 4 * shot) + y / 7) + np.cos(x * (shot + 1) / 9 - y / 4)
    return np.clip(0.5 + 0.25 * waves + 0.01 * np.sin(x * y), 0, 1)


def codes(unit: np.ndarray, bits: int, color_range: int) -> np.ndarray:
    """Luma codes of a luminance, some of them below black and above white."""
    low, high = (16, 235) if color_range == LIMITED else (0, 255)
    if bits == 8:
        return np.rint(low - 8 * (low > 0) + unit * (high - low + 20 * (low > 0))).astype(np.uint8)
    scale = 1 << (bits - 8)
    top = high * scale if color_range == LIMITED else (1 << bits) - 1
    return np.rint(low * scale + unit * (top - low * scale)).astype(np.uint16)


def make_film(
    path: Path,
    frames: int | Sequence[np.ndarray] = 3,
    *,
    pixels: str = "yuv420p",
    color_range: int = LIMITED,
    codec: str = "ffv1",
    size: tuple[int, int] = SIZE,
    rate: int = 25,
    times: Sequence[int] | None = None,
    audio: bool = False,
    subtitles: str = "",
    turned: int = 0,
    aspect: Fraction | None = None,
    options: dict[str, str] | None = None,
) -> list[np.ndarray]:
    """Write a gray film; `times` are in ms. Gives the luma codes of its frames."""
    bits = av.VideoFormat(pixels).components[0].bits
    units = frames if not isinstance(frames, int) else [scene(i, size) for i in range(frames)]
    planes = [codes(unit, bits, color_range) for unit in units]
    base = Fraction(1, 1000) if times else Fraction(1, rate)
    with av.open(str(path), "w") as film:
        film.metadata["title"] = "A film"
        video = film.add_stream(codec, rate=rate, options=options or {})
        video.width, video.height = size
        video.pix_fmt = pixels
        video.codec_context.time_base = video.time_base = base
        video.codec_context.color_range = color_range
        if aspect:
            video.codec_context.sample_aspect_ratio = aspect
        if turned:
            video.set_display_rotation(turned)
        sound = film.add_stream("aac", rate=48000, layout="mono") if audio else None
        text = None
        if subtitles:
            written = path.with_suffix(".srt")
            written.write_text(subtitles, encoding="utf-8")
            text = av.open(str(written))
            copy = film.add_stream_from_template(text.streams[0])
            copy.metadata["language"] = "deu"
        for index, luma in enumerate(planes):
            frame = av.VideoFrame(*size, pixels)
            for number, plane in enumerate(frame.planes):
                rows = np.full(
                    (plane.height, plane.line_size // luma.itemsize), 1 << (bits - 1), luma.dtype
                )
                if number == 0:
                    rows[:, : size[0]] = luma
                plane.update(rows)
            frame.color_range = color_range
            frame.pts, frame.time_base = (times[index] if times else index), base
            film.mux(video.encode(frame))
        film.mux(video.encode(None))
        if sound is not None:
            seconds = (times[-1] / 1000 + 0.1) if times else len(planes) / rate
            tone = np.sin(2 * np.pi * 440 * np.arange(int(48000 * seconds)) / 48000)
            heard = av.AudioFrame.from_ndarray(
                (0.3 * tone).astype(np.float32)[None], format="fltp", layout="mono"
            )
            heard.sample_rate, heard.pts = 48000, 0
            fifo = AudioFifo()
            fifo.write(heard)
            while block := fifo.read(1024, partial=True):
                film.mux(sound.encode(block))
            film.mux(sound.encode(None))
        if text is not None:
            for packet in text.demux():
                if packet.size:
                    packet.stream = copy
                    film.mux(packet)
            text.close()
    return planes


def decoded(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as film:
        return list(film.decode(video=0))


def times(path: Path) -> list[float]:
    """When frames are shown, in ms."""
    return [round(float(f.pts * f.time_base) * 1000, 3) for f in decoded(path)]


def luma(frame: av.VideoFrame) -> np.ndarray:
    plane = frame.planes[0]
    dtype = np.uint8 if frame.format.components[0].bits == 8 else np.uint16
    return np.frombuffer(plane, dtype).reshape(plane.height, -1)[:, : frame.width]


def rgb(frame: av.VideoFrame) -> np.ndarray:
    deep = frame.format.components[0].bits > 8
    return frame.to_ndarray(format="rgb48le" if deep else "rgb24")


def grays(path: Path) -> list[np.ndarray]:
    """The gray of every frame of a film in RGB."""
    return [gray_of(rgb(frame)) for frame in decoded(path)]


def packets(path: Path, kind: str) -> list[tuple[float, bytes]]:
    """Time in ms and content of every packet of the first stream of a kind."""
    with av.open(str(path)) as film:
        stream = next(stream for stream in film.streams if stream.type == kind)
        return [
            (round(float(p.pts * p.time_base) * 1000, 3), bytes(p))
            for p in film.demux(stream)
            if p.size
        ]
