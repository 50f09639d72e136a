"""Write a gray film, with everything else that a colorized film holds."""

import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from recolor_core.files import AtomicFile, explained
from recolor_core.film.decoding import FULL_RANGE, LIMITED_RANGE, FilmFrame, Movie
from recolor_core.film.encoding import LOSSLESS
from recolor_core.film.errors import FilmError
from recolor_core.film.luma import Luma
from recolor_core.film.muxing import join
from recolor_core.film.resume import FrameRecord

_PIXELS = {8: "gray", **{bits: f"gray{bits}le" for bits in (9, 10, 12, 14, 16)}}


class GrayFilm:
    """A gray film being written: FFV1 in Matroska.

    Use it as a context manager. The film appears at its end, unless there was an exception.

    Parameters
    ----------
    target : Path
        Where it will appear.
    like : Movie
        The colorized film. The other streams, the metadata and the times come from it.
    luma : Luma or None
        What the codes mean; None for gray of full range, of the depth of the colorized film.
    overwrite : bool
        Whether a file that is there may be replaced.

    Raises
    ------
    FilmError
        If FFV1 has no such depth.
    """

    def __init__(self, target: Path, like: Movie, luma: Luma | None, *, overwrite: bool) -> None:
        bits = luma.bits if luma else 8 * like.facts.dtype.itemsize
        if bits not in _PIXELS:
            raise FilmError(f"{target}: FFV1 cannot hold gray of {bits} bits; use images instead")
        self._pixels = _PIXELS[bits]
        self._range = LIMITED_RANGE if luma and luma.limited else FULL_RANGE
        self._target = target
        self._like = like
        self._records: list[FrameRecord] = []
        self._overwrite = overwrite

    def __enter__(self) -> Self:
        self._output = AtomicFile(self._target, overwrite=self._overwrite)
        try:
            # The frames come first: the other streams are mixed in when all of them are known.
            self._folder = tempfile.TemporaryDirectory(
                prefix=".recolor-", dir=self._target.parent, ignore_cleanup_errors=True
            )
            self._part = Path(self._folder.name, "gray.mkv")
            self._container = av.open(str(self._part), "w", format="matroska")
            facts = self._like.facts
            stream = self._container.add_stream("ffv1", rate=facts.rate or 25, options=LOSSLESS)
            context = stream.codec_context
            context.width, context.height = facts.size
            context.pix_fmt = self._pixels
            context.time_base = stream.time_base = facts.time_base
            context.sample_aspect_ratio = facts.aspect
            context.color_range, context.color_trc = self._range, facts.transfer
            context.field_order = facts.field_order
            self._stream = stream
        except BaseException:
            self._output.discard()
            raise
        return self

    def write(self, frame: FilmFrame, codes: NDArray[Any]) -> None:
        """Write the codes of a frame, ``(H, W)`` uint8 or uint16."""
        gray = VideoFrame(codes.shape[1], codes.shape[0], self._pixels)
        plane = gray.planes[0]
        rows = np.zeros((plane.height, plane.line_size // codes.itemsize), codes.dtype)
        rows[:, : codes.shape[1]] = codes
        plane.update(rows.tobytes())
        gray.color_range = self._range
        gray.pts, gray.time_base = frame.pts, self._like.facts.time_base
        self._records.append(FrameRecord(frame.number, frame.pts, frame.duration, True, 0))
        with explained(str(self._target)):
            self._container.mux(self._stream.encode(gray))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            with explained(str(self._target)):
                if kind is None:
                    self._container.mux(self._stream.encode(None))
                self._container.close()
                if kind is None:
                    join(
                        self._output.file,
                        "matroska",
                        iter([self._part]),
                        self._records,
                        self._like.facts,
                        film=self._like,
                        comment="Gray restored by recolor",
                        without_mark=True,
                    )
            if kind is None:
                self._output.commit()
        finally:
            self._output.discard()
            self._folder.cleanup()
