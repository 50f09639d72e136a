"""A finished run as a call of the command, or a Python program, that gives the same pixels."""

import json
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recolor_core.errors import RecolorError
from recolor_core.files import write_file


@dataclass(frozen=True)
class Copy:
    """A run as text, and the files of hints that the text names.

    Parameters
    ----------
    text : str
        The command or the program.
    files : dict
        The hints of each file, in JSON types, by its path.
    """

    text: str
    files: dict[Path, Sequence[Mapping[str, Any]]] = field(default_factory=dict)

    def write_files(self) -> None:
        """Write the files of hints."""
        for path, hints in self.files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, json.dumps({"hints": hints}, indent=1) + "\n")


def command(about: Mapping[str, Any], folder: Path) -> Copy:
    """A call of ``recolor`` whose result is that of the run.

    Parameters
    ----------
    about : mapping
        What ``layer.metadata["recolor"]`` tells of the run.
    folder : Path
        Where files of hints go.

    Raises
    ------
    RecolorError
        If the command, which colorizes whole files, cannot do the same.
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
    wishes = about.get("wishes", {})
    color_from = [wishes["color_from"]] if "color_from" in wishes else []
    if "parts" in wishes or (color_from and "draw" in wishes):
        raise RecolorError(
            "The command takes one alternative for the whole image, and none with the color of "
            "another image. Copy this run as Python."
        )
    if not all(image["path"] for image in [*wishes.get("references", ()), *color_from]):
        raise RecolorError(
            "The command needs files, and this run took colors from an open layer. Save that "
            "layer and choose the file, or copy this run as Python."
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
    if _runtime(about) != "auto":
        words += ["--runtime", _runtime(about)]
    for name, value in about["settings"].items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            words += [f"--{option}", f"{value!r}"]
    if about["palette_colors"]:
        words += ["--palette", ",".join(about["palette_colors"])]
    for image in wishes.get("references", ()):
        words += ["--reference", image["path"]]
    for image in color_from:
        words += ["--color-from", image["path"]]
    if "draw" in wishes:
        words += ["--seed", str(wishes["draw"]["seed"]), "--take", str(wishes["draw"]["number"])]
    (span,) = levels
    if span:
        words.append(f"--levels={span[0]!r},{span[1]!r}")  # = : the first may begin with a minus
    files = {folder / f"{about['id']}.json": image["hints"] for image in hinted}
    for path in files:
        words += ["--hints", str(path)]
    joined = subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)
    return Copy(joined, files)


def python(about: Mapping[str, Any], folder: Path) -> Copy:
    """A program whose ``rgb`` is that of the run, image by image; over time, the whole stack.

    Parameters
    ----------
    about : mapping
        What ``layer.metadata["recolor"]`` tells of the run.
    folder : Path
        Where files of hints go: masks do not fit into a program.
    """
    source, images = about["source"], about["images"]
    names = ["colorize_stack"] if about["steady"] is not None else []
    names += ["Colorizer"] if about["steady"] is None or _runtime(about) != "auto" else []
    given = [_given(image) for image in images]
    hints, files = _written_hints(given, about["id"], folder)
    inline = [own for own, text in zip(given, hints, strict=True) if text.startswith("[")]
    names += {_kind(hint) for own in inline for hint in own}
    wishes = about.get("wishes", {})
    names += {"Region" for part in wishes.get("parts", ())} - set(names)
    layers = [image for image in wishes.get("references", ()) if not image["path"]]
    names += ["Reference"] if layers else []
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
    settings += _references(wishes, lines, about["steady"] is not None)
    if about["steady"] is not None:
        lines += _stack_lines(about, settings, space, hints)
        return Copy("\n".join(_importing(lines, files)) + "\n", files)
    lines += [
        f"colorizer = {_colorizer(about)}",
        f"settings = dict({settings})",
        "",
    ]
    region = () if about["region"] is None else tuple(slice(*span) for span in about["region"])
    rows = []
    for image, known in zip(images, hints, strict=True):
        window = ", ".join([*map(str, image["of_source"]), *(_slice(s) for s in region)])
        what = f"image[{window}]" if window else "image"
        more = space
        if image["levels"] is not None:
            more += f", levels=({image['levels'][0]!r}, {image['levels'][1]!r})"
        if image["hints"]:
            more += f", hints={known}"
        rows.append(f"{_chosen(what, more, wishes, image['of_source'])}.rgb")
    if len(rows) == 1:
        lines.append(f"rgb = {rows[0]}")
    else:
        lines += ["rgb = [", *(f"    {row}," for row in rows), "]"]
    return Copy("\n".join(_importing(lines, files)) + "\n", files)


def _references(wishes: Mapping[str, Any], lines: list[str], steady: bool) -> str:
    """The argument with the references; what it needs is imported in `lines`."""
    references, color_from = wishes.get("references", ()), wishes.get("color_from")
    first = max(i for i, line in enumerate(lines) if line.startswith("from recolor_core"))
    if any(image["path"] for image in references):
        lines.insert(first + 1, "from recolor_core.batch.request import read_reference")
    if color_from is not None:
        names = "read_color_source" if color_from["path"] else "ColorSource"
        applied = "" if steady else ", apply_color"
        lines.insert(first + 1, f"from recolor_core.color_from import {names}{applied}")
    if not references:
        return ""
    calls = (
        f"read_reference({image['path']!r})"
        if image["path"]
        else f"Reference({_layer(image)}, {image['name']!r})"
        for image in references
    )
    return f", references=[{', '.join(calls)}]"


def _layer(image: Mapping[str, Any]) -> str:
    return f"viewer.layers[{image['name']!r}].data{image['part']}"


def _chosen(what: str, more: str, wishes: Mapping[str, Any], of_source: Sequence[int]) -> str:
    """The coloring of one image, with the alternatives that were taken."""
    draw, color_from = wishes.get("draw"), wishes.get("color_from")
    seed = f", seed={draw['seed']}" if draw else ""
    text = f"colorizer({what}, **settings{more}{seed})"
    if draw:
        text += f".take({draw['number']})"
    for part in wishes.get("parts", ()):
        region = f"Region({part['region']['region']!r}, kind='keep')"
        seed = f", seed={part['seed']}" + (f", region={region}" if part["limited"] else "")
        changed = f"{{**settings, 'alternatives': {part['count']}}}"
        other = f"colorizer({what}, **{changed}{more}{seed}).take({part['number']})"
        text += f".combine({other}, {region})"
    if color_from is not None:
        text = f"apply_color({text}, {_color_source(color_from, of_source)})"
    return text


def _color_source(image: Mapping[str, Any], of_source: Sequence[int]) -> str:
    """The image in color that belongs to an image of the source."""
    if image["path"]:
        return f"read_color_source({image['path']!r})"
    window = f"[{', '.join(map(str, of_source))}]" if image.get("leading") else ""
    return f"ColorSource({_layer(image)}{window}[..., :3], {image['name']!r})"


def _stack_lines(
    about: Mapping[str, Any], settings: str, space: str, hints: Sequence[str]
) -> list[str]:
    """Colorize the whole stack: every frame needs those before it."""
    steady, images = about["steady"], about["images"]
    lines = [
        f"settings = dict({settings})",
        "",
        "rgb = colorize_stack(",
        "    image,",
        f"    time_axis={steady['axis']},",
        f"    passes={steady['passes']},",
        *(["    clean=True,"] if steady.get("clean") else []),
        *(
            [f"    colorizer={_colorizer(about)},"]
            if _runtime(about) != "auto"
            else [f"    weights={about['weights']['asked']!r},", f"    device={_device(about)!r},"]
        ),
        f"    **settings{space},",
    ]
    levels = images[0]["levels"]
    if levels is not None:
        lines.append(f"    levels=({levels[0]!r}, {levels[1]!r}),")
    rows = [
        f"        {tuple(image['of_source'])!r}: {known},"
        for image, known in zip(images, hints, strict=True)
        if _given(image)
    ]
    if rows:
        lines += ["    hints={", *rows, "    },"]
    color_from = about.get("wishes", {}).get("color_from")
    if color_from is not None and color_from.get("leading"):
        places = [tuple(image["of_source"]) for image in images]
        sources = [f"        {at!r}: {_color_source(color_from, at)}," for at in places]
        lines += ["    color_from={", *sources, "    },"]
    elif color_from is not None:
        lines.append(f"    color_from={_color_source(color_from, ())},")
    return [*lines, ")"]


def _given(image: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The hints that were given for an image: over time not those that were carried to it."""
    hints: list[dict[str, Any]] = image["hints"]
    return hints[len(hints) - image["frames"]["given"] :] if "frames" in image else hints


def _written_hints(
    given: Sequence[Sequence[Mapping[str, Any]]], run: str, folder: Path
) -> tuple[list[str], dict[Path, Sequence[Mapping[str, Any]]]]:
    """The hints of each image as Python, and the files that it reads."""
    texts, files = [], {}
    for number, hints in enumerate(given, 1):
        if any("mask" in hint for hint in hints):
            path = folder / f"{run}-{number}.json"
            files[path] = hints
            texts.append(f"read_hints({str(path)!r})")
        else:
            texts.append(f"[{', '.join(map(_call, hints))}]")
    return texts, files


def _kind(hint: Mapping[str, Any]) -> str:
    return next((name.title() for name in ("stroke", "region") if name in hint), "Hint")


def _call(hint: Mapping[str, Any]) -> str:
    """A mark as Python; the first arguments of each are its place."""
    rest = dict(hint)
    places = [rest.pop(name) for name in ("stroke", "region", "x", "y") if name in rest]
    words = [*map(repr, places), *(f"{name}={value!r}" for name, value in rest.items())]
    return f"{_kind(hint)}({', '.join(words)})"


def _importing(lines: list[str], files: Mapping[Path, Any]) -> list[str]:
    if not files:
        return lines
    after = max(i for i, line in enumerate(lines) if line.startswith("from recolor_core"))
    return [*lines[: after + 1], "from recolor_core.hints import read_hints", *lines[after + 1 :]]


def _colorizer(about: Mapping[str, Any]) -> str:
    runtime = "" if _runtime(about) == "auto" else f", runtime={_runtime(about)!r}"
    return f"Colorizer({about['weights']['asked']!r}, device={_device(about)!r}{runtime})"


def _runtime(about: Mapping[str, Any]) -> str:
    """Return what was asked to run the networks: another runtime rounds differently."""
    return str(about["runtime"]["asked"])


def _device(about: Mapping[str, Any]) -> str:
    """Return the device that the generator ran on; other devices round differently."""
    return str(about["device"]["generator"]).split()[0]


def _slice(part: slice) -> str:
    return f"{part.start}:{part.stop}"
