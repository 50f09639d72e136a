"""Options that several commands share."""

import os
from typing import Annotated

import typer

from recolor_core.errors import RecolorError


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"recolor {version('napari-recolor')}")
        raise typer.Exit


Weights = Annotated[
    str, typer.Option(metavar="NAME|FILE", help="Which networks to use: see `recolor weights`.")
]
Device = Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, mps, cuda, cuda:1, ...")]
Runtime = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="What runs the networks: auto, torch, or onnxruntime (CPU, fast)."
    ),
]
Vividness = Annotated[
    float, typer.Option(help="From 0, conservative, to 1, vivid; 0.3 to 0.5 err least.")
]
Saturation = Annotated[
    float, typer.Option(help="Factor on the colors, 0 to 4; 1 leaves them as predicted.")
]
Size = Annotated[int, typer.Option(help="Short side that the networks see, 32 to 4096 pixels.")]
Alternatives = Annotated[
    int, typer.Option(metavar="N", help="Also write N other plausible colorings, up to 16.")
]
Tile = Annotated[
    int,
    typer.Option(help="Side of the refiner's tiles at large sizes; smaller needs less memory."),
]
Views = Annotated[
    int,
    typer.Option(help="Views of the image to average over, 1 or 2: errs less, takes longer."),
]
FindPhotograph = Annotated[
    bool,
    typer.Option(
        "--find-photograph/--no-find-photograph",
        help="Leave mounts, rims and scanner edges out of what the networks see.",
    ),
]
CorrectTones = Annotated[
    bool,
    typer.Option(
        "--correct-tones/--no-correct-tones",
        help="Show the networks a faded print with full contrast; its gray is kept.",
    ),
]
Stages = Annotated[
    bool,
    typer.Option("--stages", help="Also write coarse and refined ab and the uncertainty as TIFF."),
]
Hints = Annotated[
    str | None, typer.Option(metavar="FILE", help="Points of known color in one image, JSON.")
]
Palette = Annotated[
    str | None,
    typer.Option(
        metavar="COLORS|FILE",
        help='Colors to work towards: "#5b3a1e,#6ca0dc", or a reference image.',
    ),
]
Levels = Annotated[
    str | None,
    typer.Option(
        metavar="LOW,HIGH|auto",
        help="Values of black and white, for data without an agreed range.",
    ),
]
Recursive = Annotated[
    bool, typer.Option("-r", "--recursive", help="Also search the folders of a folder.")
]
Sidecar = Annotated[
    bool, typer.Option("--sidecar", help="Write how each image was made beside it, as JSON.")
]
KeepDates = Annotated[
    bool, typer.Option("--keep-dates", help="Give results the file dates of their sources.")
]
MaxPixels = Annotated[
    int,
    typer.Option(metavar="N", help="Refuse larger images (guards against decompression bombs)."),
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print only errors and warnings.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Version = Annotated[
    bool,
    typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
]


def parse_levels(text: str | None) -> tuple[float, float] | str | None:
    """The levels that ``--levels`` names.

    Raises
    ------
    RecolorError
        If it is neither two numbers nor "auto".
    """
    if text is None or text == "auto":
        return text
    try:
        low, high = (float(word) for word in text.split(","))
    except ValueError:
        raise RecolorError(
            f"expected --levels LOW,HIGH or auto, got {text!r}; for example --levels 0,4095"
        ) from None
    return low, high


def processes_of(place: str) -> int:
    """Number of processes of a scheduler, as far as its name tells."""
    count = place.removeprefix("local:")
    return max(1, int(count)) if count.isdecimal() else 1


def threads_of(place: str) -> int | None:
    """Threads that each process of a scheduler should use; None leaves it to PyTorch."""
    if not place.startswith("local:"):
        return None
    return max(1, (os.cpu_count() or 1) // processes_of(place))
