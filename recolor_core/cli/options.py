"""Options that several commands share. Those of the settings are made from their declarations."""

import inspect
import os
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recolor_core.errors import RecolorError
from recolor_core.settings import Setting, list_settings

if TYPE_CHECKING:
    from recolor_core.images.credentials import Credentials


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
Stages = Annotated[
    bool,
    typer.Option("--stages", help="Also write coarse and refined ab and the uncertainty as TIFF."),
]
Hints = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", help="Points, strokes and regions of known color in one image, JSON."
    ),
]
Palette = Annotated[
    str | None,
    typer.Option(
        metavar="COLORS|FILE",
        help='Colors that the image as a whole should have: "#5b3a1e,#6ca0dc", or a color image.',
    ),
]
References = Annotated[
    list[str] | None,
    typer.Option(
        "--reference",
        metavar="FILE",
        help="A color image of the same things, whose colors they get. May be repeated.",
    ),
]
ColorFrom = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|FOLDER",
        help="Put the colors of another image of the same thing, from another tool or a painter, "
        "on the gray; of a folder, the image of the same name.",
    ),
]
Seed = Annotated[
    int, typer.Option(metavar="N", min=0, help="Another number gives other alternatives.")
]
Sheet = Annotated[
    bool,
    typer.Option(
        "--sheet",
        help="Put the alternatives on one numbered sheet, small, instead of into files.",
    ),
]
Take = Annotated[
    int,
    typer.Option(
        metavar="N", min=0, max=16, help="Make alternative N the result; 0 takes none of them."
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
Certificate = Annotated[
    Path | None,
    typer.Option(
        "--c2pa-cert",
        metavar="FILE",
        help="Sign results (C2PA Content Credentials): the certificate chain, PEM.",
    ),
]
SigningKey = Annotated[
    Path | None,
    typer.Option("--c2pa-key", metavar="FILE", help="The private key of --c2pa-cert, PEM."),
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print only errors and warnings.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Version = Annotated[
    bool,
    typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
]


def with_settings(*without: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command one option for each setting that its parameters declare.

    A parameter annotated with a dataclass of settings, such as ``settings: Settings``, is replaced
    by the options of its settings. The command is called with an instance of the dataclass.

    Parameters
    ----------
    *without : str
        Settings that get no option.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(function, eval_str=True)
        groups = {
            name: [s for s in list_settings(parameter.annotation) if s.name not in without]
            for name, parameter in signature.parameters.items()
            if isinstance(parameter.annotation, type) and is_dataclass(parameter.annotation)
        }

        @wraps(function)
        def command(**values: Any) -> None:
            for name, settings in groups.items():
                own = {setting.name: values.pop(setting.name) for setting in settings}
                values[name] = signature.parameters[name].annotation(**own)
            function(**values)

        parameters: list[inspect.Parameter] = []
        for name, parameter in signature.parameters.items():
            options = [_parameter(setting) for setting in groups.get(name, ())]
            parameters += options if name in groups else [parameter]
        command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        return command

    return decorate


def _parameter(setting: Setting) -> inspect.Parameter:
    words = f"{setting.help} Range: {setting.range}." if setting.range else setting.help
    return inspect.Parameter(
        setting.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=setting.default,
        annotation=Annotated[
            setting.type, typer.Option(help=words, metavar=setting.metavar or None)
        ],
    )


def read_credentials(certificate: Path | None, key: Path | None) -> "Credentials | None":
    """The credentials that ``--c2pa-cert`` and ``--c2pa-key`` name, tried out; None without them.

    Raises
    ------
    RecolorError
        If one of them is missing, or nothing can be signed with them.
    """
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise RecolorError("expected both --c2pa-cert and --c2pa-key, got one of them")
    from recolor_core.images.credentials import Credentials

    credentials = Credentials(certificate.absolute(), key.absolute())
    credentials.check()
    return credentials


def parse_levels(text: str | None) -> tuple[float, float] | str | None:
    """Parse the value of ``--levels``.

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
    """Read the number of processes from the name of a scheduler; 1 if it has none."""
    count = place.removeprefix("local:")
    return max(1, int(count)) if count.isdecimal() else 1


def threads_of(place: str) -> int | None:
    """Number of threads for each process of a scheduler; None leaves it to the networks."""
    if not place.startswith("local:"):
        return None
    return max(1, (os.cpu_count() or 1) // processes_of(place))
