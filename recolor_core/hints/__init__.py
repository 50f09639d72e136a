"""What a person says about the colors of an image: points, strokes, regions and masks.

`marks` has the marks themselves, `files` reads and writes them, `drawing` finds the pixels that
they cover, `things` finds what belongs together, and `spreading` puts their colors into an image.
"""

from recolor_core.hints.drawing import hint_map
from recolor_core.hints.files import area_entry, mark_entry, read_entries, read_hints, write_hints
from recolor_core.hints.marks import Area, Hint, Kind, Mark, Mask, Region, Stroke, check_marks
from recolor_core.hints.spreading import Direction, cover, spread_hints

__all__ = [
    "Area",
    "Direction",
    "Hint",
    "Kind",
    "Mark",
    "Mask",
    "Region",
    "Stroke",
    "area_entry",
    "check_marks",
    "cover",
    "hint_map",
    "mark_entry",
    "read_entries",
    "read_hints",
    "spread_hints",
    "write_hints",
]
