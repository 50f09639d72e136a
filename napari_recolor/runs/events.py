"""What the worker tells the main thread: steps, colorings, findings and failures."""

import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_recolor.runs.reading import Index
from recolor_core.errors import RecolorError

if TYPE_CHECKING:
    from recolor_core.result import Colorization


@dataclass(frozen=True)
class Step:
    """What was done last: `done` of `total` steps of image number `image` (from 0).

    `previewed` says that a large image has changed where it is in view, and is not finished yet.
    """

    image: int
    images: int
    done: int
    total: int
    stage: str
    finished: Index | None = None
    previewed: Index | None = None


@dataclass(frozen=True, eq=False)
class Recolored:
    """Another coloring of a finished image.

    Parameters
    ----------
    index
        Of the image.
    rgb
        (H, W, 3): the image in color.
    provenance
        How it came to be.
    given
        How many hints were given for the image.
    finished
        Whether `rgb` is at full resolution. If not, it is a preview, which the worker is still
        filling.
    matches
        What the references show of the image.
    """

    index: Index
    rgb: NDArray[Any]
    provenance: dict[str, Any]
    given: int
    finished: bool = True
    matches: "tuple[Found, ...]" = ()


@dataclass(frozen=True, eq=False)
class Looked:
    """The other results of an image that was `Recolored`, which come after its colors.

    Parameters
    ----------
    index
        Of the image.
    arrays
        By role, as in `Stages`, but of this image alone.
    """

    index: Index
    arrays: dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Found:
    """What a reference shows of an image.

    Parameters
    ----------
    name : str
        Of the reference.
    words : str
        How much was matched, or why nothing was.
    places : ndarray
        (N, 2): x and y of each match, in pixels of what was colorized.
    colors : ndarray
        (N, 3) in [0, 1]: the color that each match gives, in sRGB at one lightness.
    """

    name: str
    words: str
    places: NDArray[np.float32]
    colors: NDArray[np.float32]


def found_in(result: "Colorization") -> tuple[Found, ...]:
    """What each reference shows of an image."""
    from recolor_core import lab_to_rgb

    found = []
    for matches in result.matches:
        lab = np.concatenate((np.full((len(matches.ab), 1), 65), matches.ab), axis=1)
        colors = np.asarray(lab_to_rgb(lab.astype(np.float32)[None]))[0].clip(0, 1)
        found.append(Found(matches.reference.name, matches.words, matches.image, colors))
    return tuple(found)


@dataclass(frozen=True)
class Likely:
    """What a place of an image is likely to be.

    Parameters
    ----------
    colors : list of (str, float)
        ``"#rrggbb"`` and its probability, the likeliest first.
    lightness : float
        L* there, in [0, 100].
    """

    colors: list[tuple[str, float]]
    lightness: float


@dataclass(frozen=True)
class Failure:
    """Why a run ended early.

    Parameters
    ----------
    message
        What to say, with the remedy.
    error
        Where it is none that was to be expected.
    """

    message: str
    error: Exception | None = None


def failure_of(error: Exception) -> Failure:
    """Describe an error for the user, with a remedy if one is known."""
    text = str(error)
    if isinstance(error, RecolorError):
        return Failure(text)
    if isinstance(error, MemoryError) or "can't allocate memory" in text:
        return Failure(
            "There is not enough memory for this run. Colorize the visible region or the current "
            "slice, ask for fewer alternatives, or close other layers."
        )
    if isinstance(error, ImportError | OSError) and _from_torch(error):
        return Failure(
            f"PyTorch could not be loaded ({text}). Start napari anew and colorize before other "
            "plugins run; if that does not help, reinstall PyTorch (https://pytorch.org)."
        )
    return Failure(f"{type(error).__name__}: {text}", error)


def _from_torch(error: Exception) -> bool:
    return any(
        "torch" in frame.filename for frame in traceback.extract_tb(error.__traceback__)
    ) or ("torch" in str(error))
