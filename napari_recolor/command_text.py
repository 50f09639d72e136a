"""A finished run as a call of the command, or a Python program, that gives the same pixels."""

import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recolor_core.errors import RecolorError


def command(about: Mapping[str, Any], hints_file: str | Path | None = None) -> str:
    """A call of ``recolor`` whose result is that of the run.

    Parameters
    ----------
    about
        What ``layer.metadata["recolor"]`` tells of the run.
    hints_file
        Where the hints of the run lie, where it has any.

    Raises
    ------
    RecolorError
        Where the command, which colorizes whole files, cannot do the same.
    """
    file, images = about["source"]["file"], about["images"]
    if about["steady"] is not None:
        raise RecolorError(
            "The command colorizes the pages of a file each by itself, and this run kept colors "
            "steady over time. Copy it as Python."
        )
    if file is None:
        raise RecolorError(
            "The command needs a file that holds just what the layer holds. Save the layer, open "
            "the file and colorize that, or copy the run as Python."
        )
    if about["region"] is not None or len(images) != file["pages"]:
        raise RecolorError(
            "The command colorizes whole files, and this run did a part of one. Copy it as Python."
        )
    levels = {tuple(image["levels"] or ()) for image in images}
    hinted = [image for image in images if image["hints"]]
    if len(levels) > 1 or (hinted and len(images) > 1):
        raise RecolorError(
            "The command has one pair of levels for a file, and hints for a single image only. "
            "Copy this run as Python."
        )
    path = Path(file["path"])
    words = ["recolor", str(path), "-o", str(path.with_name(f"{path.stem}.recolor.tif"))]
    words += ["--weights", about["weights"]["asked"], "--device", _device(about)]
    for name, value in about["settings"].items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            words += [f"--{option}", f"{value!r}"]
    if about["palette_colors"]:
        words += ["--palette", ",".join(about["palette_colors"])]
    (span,) = levels
    if span:
        words.append(f"--levels={span[0]!r},{span[1]!r}")  # = : the first may begin with a minus
    if hinted:
        words += ["--hints", str(hints_file)]
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)


def python(about: Mapping[str, Any]) -> str:
    """A program whose ``rgb`` is that of the run, image by image; over time, the whole stack.

    Parameters
    ----------
    about
        What ``layer.metadata["recolor"]`` tells of the run.
    """
    source, images = about["source"], about["images"]
    names = ["Colorizer" if about["steady"] is None else "colorize_stack"]
    names[:0] = ["Hint"] if _hinted(about) else []
    lines = [f"from recolor_core import {', '.join(sorted(names))}"]
    space = ""
    if source["file"] is None:
        lines += [
            "",
            "# For napari's console: the image lies in the viewer alone.",
            f"image = viewer.layers[{source['layer']!r}].data"
            + ("[0]  # full resolution" if source["multiscale"] else ""),
        ]
    else:
        lines = ["import numpy as np", "", *lines, "from recolor_core.images import open_image"]
        lines += [
            "",
            f"with open_image({source['file']['path']!r}) as file:",
            "    pages = list(file)",
        ]
        shape = tuple(source["shape"][:-2])
        color = (3,) if source["rgb"] else ()
        lines += [
            "image = np.stack([page.codes for page in pages])"
            f".reshape({(*shape, *source['shape'][-2:], *color)})"
            if shape
            else "image = pages[0].codes",
        ]
        space = ", space=pages[0].space"
    settings = ", ".join(f"{name}={value!r}" for name, value in about["settings"].items())
    if about["palette_colors"]:
        lines.append("from recolor_core.palette import palette_of_colors")
        settings += f", palette=palette_of_colors({about['palette_colors']!r})"
    if about["steady"] is not None:
        return "\n".join([*lines, *_stack_lines(about, settings, space)]) + "\n"
    lines += [
        f"colorizer = Colorizer({about['weights']['asked']!r}, device={_device(about)!r})",
        f"settings = dict({settings})",
        "",
    ]
    region = () if about["region"] is None else tuple(slice(*span) for span in about["region"])
    rows = []
    for image in images:
        window = ", ".join([*map(str, image["of_source"]), *(_slice(s) for s in region)])
        what = f"image[{window}]" if window else "image"
        more = space
        if image["levels"] is not None:
            more += f", levels=({image['levels'][0]!r}, {image['levels'][1]!r})"
        if image["hints"]:
            more += f", hints={_hints(image['hints'])}"
        rows.append(f"colorizer({what}, **settings{more}).rgb")
    if len(rows) == 1:
        lines.append(f"rgb = {rows[0]}")
    else:
        lines += ["rgb = [", *(f"    {row}," for row in rows), "]"]
    return "\n".join(lines) + "\n"


def _stack_lines(about: Mapping[str, Any], settings: str, space: str) -> list[str]:
    """Colorize the whole stack: every frame needs those before it."""
    steady, images = about["steady"], about["images"]
    lines = [
        f"settings = dict({settings})",
        "",
        "rgb = colorize_stack(",
        "    image,",
        f"    time_axis={steady['axis']},",
        f"    passes={steady['passes']},",
        f"    weights={about['weights']['asked']!r},",
        f"    device={_device(about)!r},",
        f"    **settings{space},",
    ]
    levels = images[0]["levels"]
    if levels is not None:
        lines.append(f"    levels=({levels[0]!r}, {levels[1]!r}),")
    if given := {tuple(p["of_source"]): own for p in images if (own := _given(p))}:
        rows = (f"        {index!r}: {_hints(own)}," for index, own in given.items())
        lines += ["    hints={", *rows, "    },"]
    return [*lines, ")"]


def _given(image: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The hints that were given for an image: over time not those that were carried to it."""
    hints: list[dict[str, Any]] = image["hints"]
    return hints[len(hints) - image["frames"]["given"] :] if "frames" in image else hints


def _hints(hints: list[dict[str, Any]]) -> str:
    known = (f"Hint({h['x']!r}, {h['y']!r}, {h['color']!r}, {h['radius']!r})" for h in hints)
    return f"[{', '.join(known)}]"


def _hinted(about: Mapping[str, Any]) -> bool:
    return any(image["hints"] for image in about["images"])


def _device(about: Mapping[str, Any]) -> str:
    """Return the device that the generator ran on; other devices round differently."""
    return str(about["device"]["generator"]).split()[0]


def _slice(part: slice) -> str:
    return f"{part.start}:{part.stop}"
