"""Films in and out, through FFmpeg: frames colorized in order, everything else copied.

Reading gives exact codes (`reading`, `luma`); the frames go through `recolor_core.frames`; what is
done is kept in parts (`parts`, `writing`), which are joined at the end (`joining`). The order of it
all is in `coloring`.
"""

from recolor_core.film.errors import FilmError, FilmWarning

try:
    import av as _av  # noqa: F401 (the package is an extra)
except ImportError as error:
    raise FilmError(
        f'films need PyAV, which cannot be imported ({error}); pip install "napari-recolor[film]"'
    ) from error

from recolor_core.film.coloring import FilmProgress, FilmResult, Order, colorize_film
from recolor_core.film.decoding import open_film
from recolor_core.film.hints import KeyHint, read_key_hints
from recolor_core.film.timestamps import Moment, parse_moment

__all__ = [
    "FilmError",
    "FilmProgress",
    "FilmResult",
    "FilmWarning",
    "KeyHint",
    "Moment",
    "Order",
    "colorize_film",
    "open_film",
    "parse_moment",
    "read_key_hints",
]
