"""The settings of images and films. Each is declared once, with its type, range, default and help.

The options of the command, the form of the panel and the preferences of the plugin are made from
`list_settings`. Importing this module does not import torch.
"""

from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from textwrap import indent, wrap
from typing import Annotated, Any, SupportsFloat, TypeVar, get_args, get_type_hints

from recolor_core.arguments import described, expect
from recolor_core.errors import ImageError

VIVID_TEMPERATURE = 0.45
"""Temperature of the color distribution at vividness 1. It is 1 at vividness 0, which gives the
plain mean, and 0.67 at 0.5. A lower temperature makes fewer hues and more blotches at the same
colorfulness."""

VIVID_CHROMA = 1.5
"""Factor on the chroma at vividness 1, where results are as colorful as color photographs are on
average; at vividness 0 the factor is its inverse. Temperature alone changes little, because the
most probable color is often gray."""

WARM_AB = (5.0, 18.0)
"""Shift of a* and b* at a warmth of 1, in Lab units: toward the orange of incandescent light."""

NEUTRAL_CHROMA = 10.0
"""Chroma, in Lab units, at which warmth has half of its effect; at zero it has none."""

VIEWS = ((1.0, False), (10 / 7, True))
"""The views that the generator may average over: enlargement, and whether the view is mirrored.
More views brought no gain on the validation split."""

_Class = TypeVar("_Class", bound=type)


@dataclass(frozen=True)
class Setting:
    """The words and the range of one setting.

    Annotate a field of a dataclass with it: ``size: Annotated[int, Setting("Size", "...", 32, 64)]
    = 32``. `list_settings` fills in the name, the type and the default of the field.

    Parameters
    ----------
    label : str
        Name for people, such as "Working size".
    help : str
        What the setting does, in sentences without the range.
    low, high : float or None
        The smallest and the largest value; None if the setting is not a number.
    step : float or None
        By how much a spin box or slider changes a number; None if the setting is not a number.
    unit : str
        Unit of the value, such as "pixels".
    choices : tuple of str
        The words that the setting takes; empty if it is a number or takes any text.
    metavar : str
        What the help of the command calls the value, such as "MOMENT"; empty for its type.
    name : str
        Name of the field.
    type : type
        Type of the value: float, int, bool or str.
    default : object
        The value if none is given; `dataclasses.MISSING` if one must be.
    """

    label: str
    help: str
    low: float | None = None
    high: float | None = None
    step: float | None = None
    unit: str = ""
    choices: tuple[str, ...] = ()
    metavar: str = ""
    name: str = ""
    type: type = float
    default: Any = None

    @property
    def option(self) -> str:
        """The name of the command's option without its dashes, such as "correct-tones"."""
        return self.name.replace("_", "-")

    @property
    def range(self) -> str:
        """The range in words, such as "32 to 4096 pixels"; empty if there is none."""
        if self.choices:
            return ", ".join(self.choices)
        if self.low is None:
            return ""
        return f"{self.low:g} to {self.high:g} {self.unit}".strip()

    def convert(self, value: object) -> Any:
        """The value as a plain Python number of the setting's type.

        Parameters
        ----------
        value : object
            A number of any kind, such as a NumPy scalar. Settings without a range take any value.

        Raises
        ------
        ImageError
            If the value is out of range, or is not a whole number where one is needed.
        """
        if hasattr(value, "item") and not getattr(value, "ndim", 0):
            value = value.item()  # of a scalar of NumPy
        if self.type is bool:
            expect(self.name, value, bool, "True or False")
        elif self.type is str and not self.choices:
            expect(self.name, value, str, "text")
        if self.choices and value not in self.choices:
            words = f"{', '.join(self.choices[:-1])} or {self.choices[-1]}"
            raise ImageError(f"expected {self.name} as {words}, got {value!r:.40}")
        if self.low is None or self.high is None:
            return value
        try:
            is_number = isinstance(value, SupportsFloat) and not isinstance(value, bool)
            number = float(value) if is_number else None  # type: ignore[arg-type]
        except (TypeError, ValueError):  # an array of several numbers
            number = None
        if number is None or not self.low <= number <= self.high:
            raise ImageError(
                f"expected {self.name} from {self.low:g} to {self.high:g}, got {value!r}"
            )
        if self.type(number) != number:
            raise ImageError(f"expected {self.name} as a whole number, got {value!r}")
        return self.type(number)


def list_settings(kind: type) -> tuple[Setting, ...]:
    """The settings that a dataclass declares, in order.

    Parameters
    ----------
    kind : type
        A dataclass whose fields are annotated with `Setting`, such as `Settings`. Fields without
        one are left out.

    Returns
    -------
    tuple of Setting
        Each with its name, type and default.

    Raises
    ------
    ImageError
        If it is not such a class.
    """
    if not (isinstance(kind, type) and is_dataclass(kind)):
        raise ImageError(
            f"expected kind as a class with settings, such as Settings, got {described(kind)}"
        )
    hints = get_type_hints(kind, include_extras=True)

    def complete(field: Field[Any]) -> list[Setting]:
        type_, *extras = get_args(hints[field.name]) or (None,)
        return [
            replace(extra, name=field.name, type=type_, default=_default(field))
            for extra in extras
            if isinstance(extra, Setting)
        ]

    return tuple(setting for field in fields(kind) for setting in complete(field))


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def convert_settings(instance: Any) -> None:
    """Check the settings of a dataclass; call it in ``__post_init__``.

    Values become plain Python numbers, because those of NumPy cannot be written as JSON.

    Raises
    ------
    ImageError
        If a value is out of range or of the wrong type.
    """
    for setting in list_settings(type(instance)):
        value = setting.convert(getattr(instance, setting.name))
        object.__setattr__(instance, setting.name, value)


def documented(kind: _Class) -> _Class:
    """Add the settings that a dataclass declares to its docstring, as numpydoc parameters."""
    parameters = []
    for setting in list_settings(kind):
        text = f"{setting.help} Range: {setting.range}." if setting.range else setting.help
        head = f"{setting.name} : {setting.type.__name__}, default {setting.default!r}"
        parameters += [head, *(f"    {line}" for line in wrap(text, 92))]
    section = "\n".join(["Parameters", "-" * len("Parameters"), *parameters])
    kind.__doc__ = f"{kind.__doc__}\n\n{indent(section, '    ')}\n    "
    return kind


@documented
@dataclass(frozen=True)
class Settings:
    """The settings of a colorization."""

    vividness: Annotated[
        float,
        Setting(
            "Vividness",
            "How colorful the result is: 0 is conservative, paler than the mean of all plausible "
            "colors; 1 is as colorful as photographs are. Values from 0.4 to 0.6 have the smallest "
            "error and look pale.",
            low=0,
            high=1,
            step=0.05,
        ),
    ] = 0.8
    saturation: Annotated[
        float,
        Setting(
            "Saturation",
            "Additional factor on a* and b*; 1 leaves the colors as they are predicted.",
            low=0,
            high=4,
            step=0.05,
        ),
    ] = 1.0
    warmth: Annotated[
        float,
        Setting(
            "Warmth",
            "Shift of the colors toward orange, or toward blue if it is negative. Neutral grays "
            "stay neutral, and colors that regions and strokes ask for stay as they are.",
            low=-1,
            high=1,
            step=0.05,
        ),
    ] = 0.0
    size: Annotated[
        int,
        Setting(
            "Working size",
            "Short side of the image that the networks see. They were trained at 224; larger sizes "
            "find smaller objects and lose sight of the whole.",
            low=32,
            high=4096,
            step=32,
            unit="pixels",
        ),
    ] = 224
    alternatives: Annotated[
        int,
        Setting(
            "Alternatives",
            "Number of other plausible colorings to make.",
            low=0,
            high=16,
            step=1,
        ),
    ] = 0
    tile: Annotated[
        int,
        Setting(
            "Tile",
            "Side of the tiles in which the refiner works if the working size is larger, rounded "
            "up to a multiple of 32. Smaller tiles need less memory and more time; the colors are "
            "the same.",
            low=32,
            high=4096,
            step=32,
            unit="pixels",
        ),
    ] = 1024
    views: Annotated[
        int,
        Setting(
            "Views",
            "Number of views of the image that the generator averages over. 2 adds an enlarged, "
            "mirrored view, which has a slightly smaller error and takes three times as long.",
            low=1,
            high=len(VIEWS),
            step=1,
        ),
    ] = 1

    find_photograph: Annotated[
        bool,
        Setting(
            "Find the photograph",
            "Leave mounts, paper rims, film rebates and scanner edges out of what the generator "
            "sees; they stay gray.",
        ),
    ] = True
    correct_tones: Annotated[
        bool,
        Setting(
            "Correct faded tones",
            "Show the generator a faded print with full contrast. The gray of the result is still "
            "that of the input.",
        ),
    ] = True

    def __post_init__(self) -> None:
        convert_settings(self)

    @property
    def temperature(self) -> float:
        """Temperature at which the color distribution is averaged."""
        return float(VIVID_TEMPERATURE**self.vividness)

    @property
    def chroma(self) -> float:
        """Factor on the predicted a* and b*."""
        return float(self.saturation * VIVID_CHROMA ** (2 * self.vividness - 1))


def changed(settings: Settings | None, **changes: Any) -> Settings:
    """Settings with some of their fields changed.

    Parameters
    ----------
    settings : Settings or None
        The settings; the defaults if None.
    **changes
        The fields that differ, by name.

    Raises
    ------
    ImageError
        If these are not settings, or a value is out of range or of the wrong type.
    TypeError
        If there is no setting of a name.
    """
    settings = Settings() if settings is None else settings
    expect("settings", settings, Settings, "Settings; make them with Settings(size=224, ...)")
    names = [setting.name for setting in list_settings(Settings)]
    for name in changes:
        if name not in names:
            raise TypeError(f"expected a setting, one of {', '.join(names)}; got {name!r}")
    return replace(settings, **changes)


@documented
@dataclass(frozen=True, kw_only=True)
class FilmSettings:
    """The settings of a film, in addition to `Settings`."""

    passes: Annotated[
        int,
        Setting(
            "Passes",
            "1 looks only at earlier frames. 2 also looks ahead, which gives steadier colors and "
            "takes longer.",
            low=1,
            high=2,
            step=1,
        ),
    ] = 1
    clean: Annotated[
        bool,
        Setting(
            "Clean copy",
            "Let the networks look at a copy of the film without flicker, dust, scratches and "
            "grain: steadier colors of worn film, nothing gained on intact film. The gray of the "
            "result is still that of the film.",
        ),
    ] = False
    lossless: Annotated[
        bool,
        Setting(
            "Lossless",
            "Write FFV1 in Matroska (.mkv) as RGB, so that the gray is exact.",
        ),
    ] = False
    codec: Annotated[
        str,
        Setting(
            "Codec",
            "How the frames of a film are coded. auto: H.264, HEVC of 10 bits for deeper sources, "
            "VP9 in WebM. ffv1: lossless, with the luma plane of the source bit for bit (.mkv). "
            "prores: ProRes 422 HQ (.mov, .mkv).",
            choices=("auto", "ffv1", "prores"),
        ),
    ] = "auto"
    crf: Annotated[
        int,
        Setting(
            "Constant rate factor",
            "Quality of lossy codecs: 0 gives the best quality and the largest file; the default "
            "is hard to tell from the original.",
            low=0,
            high=51,
            step=1,
        ),
    ] = 16

    start: Annotated[
        str,
        Setting(
            "Start",
            "Begin with the frame that is shown at this moment: 90, 1:30.5, 00:01:30, or frame "
            "2250f. The film's beginning if it is empty.",
            metavar="MOMENT",
        ),
    ] = ""
    end: Annotated[
        str,
        Setting("End", "End before this moment. The film's end if it is empty.", metavar="MOMENT"),
    ] = ""
    fps: Annotated[
        str,
        Setting(
            "Frames per second",
            "Number of images shown per second, if the film consists of images: 24 or 24000/1001.",
            metavar="N",
        ),
    ] = ""
    drop: Annotated[
        list[int],
        Setting("Drop", "Leave stream N of the film out; may be repeated.", metavar="N"),
    ] = field(default_factory=list)

    def __post_init__(self) -> None:
        convert_settings(self)
