"""Hint files: marks as JSON."""

import base64
import io
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from recolor_core.errors import HintsError
from recolor_core.files import write_file
from recolor_core.hints.marks import (
    MAX_MARKS,
    Area,
    Hint,
    Mark,
    Mask,
    Region,
    Stroke,
    as_area,
    check_mark,
)

EXAMPLE = '{"hints": [{"x": 10, "y": 20, "color": "#4070c0", "radius": 5}]}'

_INLINE = "data:image/png;base64,"
_MAX_BYTES = 2**26  # of a hint file, and of the file of a mask
_MAX_MASK_PIXELS = 2**27
_OPTIONAL = ("color", "kind", "reach", "within")


def read_hints(path: str | Path) -> list[Mark]:
    """Read the marks of a hint file.

    Parameters
    ----------
    path : str or Path
        A JSON file, as `write_hints` writes it, in UTF-8 or UTF-16.

    Returns
    -------
    list of Hint, Stroke, Region or Mask

    Raises
    ------
    HintsError
        If the file cannot be read or is not a hint file.
    """
    return [mark for mark, _ in read_entries(path)]


def read_entries(
    path: str | Path, extra: Collection[str] = (), example: str = EXAMPLE
) -> list[tuple[Mark, dict[str, Any]]]:
    """Read the marks of a hint file, with further facts that each one may have.

    Parameters
    ----------
    path : str or Path
        As of `read_hints`.
    extra : collection of str
        Names of the further facts, such as ``"page"``.
    example : str
        What the error names as a file that would fit.

    Returns
    -------
    list of (mark, dict)
        Each mark, and those of the further facts that the file has of it.

    Raises
    ------
    HintsError
        If the file cannot be read or is not a hint file.
    """
    path = Path(path)
    try:
        content = json.loads(_read(path))  # finds the encoding
        entries = content.get("hints") if isinstance(content, dict) else None
        if not isinstance(entries, list):
            raise HintsError("expected an object with a list of hints")
        if len(entries) > MAX_MARKS:
            raise HintsError(f"it has {len(entries)} hints, and {MAX_MARKS} is the limit")
        found = []
        for number, entry in enumerate(entries, start=1):
            try:
                if not isinstance(entry, dict):
                    raise HintsError(f"expected an object, got {entry!r:.40}")
                given = {name: value for name, value in entry.items() if value is not None}
                facts = {name: value for name, value in given.items() if name in extra}
                rest = {name: value for name, value in given.items() if name not in extra}
                found.append((_mark(rest, path.parent, extra), facts))
            except (ValueError, TypeError, OverflowError) as error:
                raise HintsError(f"hint {number}: {error}") from error
    except OSError as error:
        raise HintsError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (ValueError, TypeError, RecursionError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise HintsError(
            f"{path} is not a file of color hints ({reason:.200}); expected JSON such as {example}"
        ) from error
    return found


def write_hints(path: str | Path, hints: Sequence[Mark]) -> None:
    """Write marks as JSON, atomically.

    Parameters
    ----------
    path : str or Path
        Where to.
    hints : sequence of Hint, Stroke, Region or Mask
    """
    text = json.dumps({"hints": [mark_entry(hint) for hint in hints]}, indent=1)
    write_file(Path(path), text + "\n")


def mark_entry(mark: Mark) -> dict[str, Any]:
    """A mark in JSON types, as a hint file has it.

    A mask is in the entry itself, as a PNG in base64.
    """
    own = {field.name: getattr(mark, field.name) for field in fields(mark)}
    defaults = {field.name: field.default for field in fields(mark)}
    for name in _OPTIONAL:
        if name in own and own[name] == defaults[name]:
            del own[name]
    if isinstance(mark, Mask):
        del own["pixels"]
        return {"mask": _INLINE + _png(mark.pixels), **own}
    if isinstance(mark, Stroke | Region):
        del own["points"]
        points = [list(point) for point in mark.points]
        return {"stroke" if isinstance(mark, Stroke) else "region": points, **own}
    return own


def read_mark(entry: Mapping[str, Any]) -> Mark:
    """A mark from JSON types, as `mark_entry` writes it.

    Raises
    ------
    HintsError
        If the entry is not that of a mark.
    """
    return _mark(entry, Path(), ())


def area_entry(area: Area) -> dict[str, Any]:
    """A part of an image in JSON types: its corners as ``"region"``, or its ``"mask"``."""
    entry = mark_entry(as_area(area))
    del entry["kind"]
    return entry


def _read(path: Path) -> bytes:
    if path.exists() and not (path.is_file() or path.is_dir()):  # reading might never end
        raise HintsError("it is a pipe or a device; give a file")
    with path.open("rb") as file:
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise HintsError(f"it has more than {_MAX_BYTES} bytes, which is the limit")
    return data


def _mark(entry: Mapping[str, Any], folder: Path, extra: Collection[str]) -> Mark:
    known = dict(entry)
    shapes = [name for name in ("stroke", "region", "mask", "x") if name in known]
    if len(shapes) > 1:
        raise HintsError(f"expected a point, stroke, region or mask, got {' and '.join(shapes)}")
    _check_names(known, shapes[0] if shapes else "x", extra)
    mark: Mark
    if "stroke" in known:
        mark = Stroke(known.pop("stroke"), **known)
    elif "region" in known:
        mark = Region(known.pop("region"), **known)
    elif "mask" in known:
        label = known.pop("label", None)
        mark = Mask(_labeled(_pixels(known.pop("mask"), folder), label), **known)
    else:
        mark = Hint(**known)
    check_mark(mark)
    return mark


def _check_names(entry: Mapping[str, Any], shape: str, extra: Collection[str]) -> None:
    """Refuse an entry that has an unknown name, or lacks a place."""
    if shape == "x":
        names = [field.name for field in fields(Hint)]
        if missing := [name for name in ("x", "y") if name not in entry]:
            absent = " and no ".join(missing)
            raise HintsError(f"expected a point (x and y), stroke, region or mask, got no {absent}")
    elif shape == "mask":
        names = ["mask", "label", "color", "kind"]
    else:
        kind = Stroke if shape == "stroke" else Region
        names = [shape, *(field.name for field in fields(kind) if field.name != "points")]
    if unknown := [name for name in entry if name not in names]:
        raise HintsError(f"unknown {unknown[0]!r:.40}; known are {', '.join([*names, *extra])}")


def _pixels(source: Any, folder: Path) -> NDArray[Any]:
    if not isinstance(source, str):
        raise HintsError(f"expected a mask as the name of a PNG file, got {source!r:.40}")
    if source.startswith(_INLINE):
        try:
            data = base64.b64decode(source.removeprefix(_INLINE), validate=True)
        except ValueError as error:
            raise HintsError(f"the mask {source:.60} is not base64 ({error})") from error
    else:
        try:
            data = _read(folder / source)
        except OSError as error:
            raise HintsError(f"the mask {source:.60} cannot be read ({error.strerror})") from error
        except ValueError as error:
            raise HintsError(f"the mask {source:.60} cannot be read ({error})") from error
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if image.width * image.height > _MAX_MASK_PIXELS:  # before anything is decoded
                raise HintsError(
                    f"the mask {source:.60} has {image.width} x {image.height} pixels, and "
                    f"{_MAX_MASK_PIXELS} is the limit"
                )
            bands, pixels = image.getbands(), np.asarray(image)
    except UnidentifiedImageError as error:
        raise HintsError(f"expected a mask as PNG, got {source:.60}, which is none") from error
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise HintsError(f"the mask {source:.60} cannot be read as PNG ({error})") from error
    if pixels.ndim == 2:
        return pixels
    # Painted in an image editor: any color but black marks, unless it is transparent.
    colors = pixels[..., : len(bands) - ("A" in bands)]
    marked = np.asarray(colors[..., 0] if colors.shape[-1] == 1 else colors.any(axis=2))
    return np.asarray(marked * (pixels[..., -1] > 0)) if "A" in bands else marked


def _labeled(pixels: NDArray[Any], label: Any) -> NDArray[np.bool_]:
    if label is None:
        return np.asarray(pixels != 0)
    if isinstance(label, bool) or not isinstance(label, int):
        raise HintsError(f"expected the label of a mask as a whole number, got {label!r:.40}")
    chosen = np.asarray(pixels == label)
    if not chosen.any():
        there = np.unique(pixels)[:8].tolist()
        raise HintsError(f"expected a label that the mask has, such as {there}, got {label}")
    return chosen


def _png(pixels: NDArray[Any]) -> str:
    stream = io.BytesIO()
    Image.fromarray(np.asarray(pixels) != 0).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode("ascii")
