"""Read and write films through FFmpeg: frames are colorized in order, everything else is copied.

`decoding` and `sequences` read frames as exact codes (`luma`). The frames go through
`recolor_core.frames`. `encoding` writes them in parts, `resume` keeps the parts that are done, and
`muxing` joins them at the end. `coloring` holds the order of all steps.
"""

from recolor_core.film.errors import FilmError, FilmWarning

try:
    import av as _av  # noqa: F401 (the package is an extra)
except ImportError as error:
    raise FilmError(
        f'films need PyAV, which cannot be imported ({error}); pip install "napari-recolor[film]"'
    ) from error

from recolor_core.film.coloring import (
    FilmJob,
    FilmProgress,
    FilmResult,
    colorize_film,
    extract_key_frames,
)
from recolor_core.film.key_frames import (
    KeyFrame,
    key_frame,
    parse_key_frame,
    read_key_frames,
)
from recolor_core.film.key_hints import KeyHint, read_key_hints
from recolor_core.film.sequences import open_film
from recolor_core.film.timestamps import Moment, parse_moment
from recolor_core.guides.shots import Shot, Shots, find_shots, read_shots

__all__ = [
    "FilmError",
    "FilmJob",
    "FilmProgress",
    "FilmResult",
    "FilmWarning",
    "KeyFrame",
    "KeyHint",
    "Moment",
    "Shot",
    "Shots",
    "colorize_film",
    "extract_key_frames",
    "find_shots",
    "key_frame",
    "open_film",
    "parse_key_frame",
    "parse_moment",
    "read_key_frames",
    "read_key_hints",
    "read_shots",
]
