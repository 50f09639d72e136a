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
from PIL import Image

from recolor_core.errors import HintsError
from recolor_core.files import write_file
from recolor_core.hints.marks import MAX_MARKS, Hint, Mark, Mask, Region, Stroke, check_mark

EXAMPLE = '{"hints": [{"x": 10, "y": 20, "color": "#4070c0", "radius": 5}]}'

_INLINE = "data:image/png;base64,"
_MAX_BYTES = 2**26
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
        entries = _parse(path)["hints"]
        if len(entries) > MAX_MARKS:
            raise HintsError(f"it has {len(entries)} hints, and {MAX_MARKS} is the limit")
        found = []
        for number, entry in enumerate(entries, start=1):
            try:
                facts = {name: value for name, value in entry.items() if name in extra}
                rest = {name: value for name, value in entry.items() if name not in extra}
                found.append((_mark(rest, path.parent), facts))
            except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
                raise HintsError(f"hint {number}: {error}") from error
    except OSError as error:
        raise HintsError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
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


def _parse(path: Path) -> Any:
    data = path.read_bytes()
    if len(data) > _MAX_BYTES:
        raise HintsError(f"it has {len(data)} bytes, and {_MAX_BYTES} is the limit")
    return json.loads(data)  # finds the encoding


def _mark(entry: Mapping[str, Any], folder: Path) -> Mark:
    known = dict(entry)
    shapes = [name for name in ("stroke", "region", "mask", "x") if name in known]
    if len(shapes) > 1:
        raise HintsError(f"expected a point, stroke, region or mask, got {' and '.join(shapes)}")
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


def _pixels(source: Any, folder: Path) -> NDArray[Any]:
    if not isinstance(source, str):
        raise HintsError(f"expected a mask as the name of a PNG file, got {source!r:.40}")
    if source.startswith(_INLINE):
        stream = io.BytesIO(base64.b64decode(source.removeprefix(_INLINE), validate=True))
    else:
        try:
            stream = io.BytesIO((folder / source).read_bytes())
        except OSError as error:
            raise HintsError(f"the mask {source:.60} cannot be read ({error.strerror})") from error
    try:
        with Image.open(stream, formats=["PNG"]) as image:
            pixels = np.asarray(image)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise HintsError(f"the mask {source:.60} cannot be read as PNG ({error})") from error
    if pixels.ndim == 3:  # painted in an image editor: any color but black
        pixels = pixels[..., :3].any(axis=2) & (pixels[..., -1] > 0)
    return pixels


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
