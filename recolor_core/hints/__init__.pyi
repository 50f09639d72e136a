from .drawing import hint_map
from .files import area_entry, mark_entry, read_entries, read_hints, write_hints
from .in_time import DirectionInTime
from .marks import Area, Hint, Kind, Mark, MarksInTime, Mask, Region, Stroke, check_marks
from .spreading import Direction, cover, spread_hints

__all__ = [
    "Area",
    "Direction",
    "DirectionInTime",
    "Hint",
    "Kind",
    "Mark",
    "MarksInTime",
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
