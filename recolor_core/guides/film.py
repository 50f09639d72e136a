"""Look at all frames of a film first, then color them by what was found."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from recolor_core.color_from import ColorSource
from recolor_core.colorizer import Colorizer
from recolor_core.frames import FrameGuide, FrameState, Seen, see_frames
from recolor_core.gray import GrayImage, Levels, read_gray
from recolor_core.guides.cleaning import with_eyes
from recolor_core.guides.hints import TRACKED_HEIGHT, HintTracks
from recolor_core.guides.shots import Shots, find_shots, small_image
from recolor_core.hints import Mark
from recolor_core.lab import SRGB, ColorSpace
from recolor_core.palette import Palette
from recolor_core.reference import Seen as SeenReference
from recolor_core.settings import Settings


@dataclass(frozen=True, eq=False)
class Guides:
    """What is known about each frame of a film.

    Parameters
    ----------
    shots : Shots
        Its shots.
    hints : HintTracks
        Where its hints are in every frame.
    """

    shots: Shots
    hints: HintTracks

    def at(self, number: int) -> FrameGuide:
        """What is known about a frame, by its number."""
        return replace(self.shots.guide(number), marks=self.hints.at(number))


def glance(gray: GrayImage) -> NDArray[np.uint16]:
    """A small copy of a frame for `find_guides`, which needs all frames at once.

    Parameters
    ----------
    gray : GrayImage
        The frame.

    Returns
    -------
    ndarray
        (h, w): gray codes; 33 KB for a frame of 4:3.
    """
    small = small_image(gray.codes, TRACKED_HEIGHT)[0, 0]
    return (small * 655.35).round().to(torch.int32).numpy().astype(np.uint16)


def find_guides(
    glances: Sequence[NDArray[np.uint16]],
    hints: Mapping[int, Sequence[Mark]],
    shape: tuple[int, int],
) -> Guides:
    """Find the shots of a stack, and follow its hints.

    A dark frame of a stack may be data, so that, unlike leader in a film, it keeps its color.

    Parameters
    ----------
    glances : sequence of ndarray
        All frames, from `glance`.
    hints : mapping of int to sequence of Mark
        Hints by the number of their frame, from 0.
    shape : tuple of int
        Height and width of the frames.
    """
    *_, shots = find_shots(enumerate(glances))
    assert shots is not None
    shots = Shots([replace(shot, kind="image") for shot in shots.shots])
    tracks = HintTracks(hints, shots)
    tracks.look(enumerate(glances), shape)
    return Guides(shots, tracks)


def look_first(
    frames: Iterable[Any],
    hints: Mapping[int, Sequence[Mark]],
    *,
    space: ColorSpace = SRGB,
    levels: Levels | None = None,
) -> Iterator[Guides | None]:
    """Call `find_guides` for the frames of a stack.

    Parameters
    ----------
    frames : iterable of array_like
        All frames.
    hints : mapping of int to sequence of Mark
        Hints by the number of their frame, from 0.
    space, levels
        As in `recolor_core.read_gray`.

    Yields
    ------
    Guides or None
        None after each frame that is read, to report progress, and the guides at the end.
    """
    glances: list[NDArray[np.uint16]] = []
    shape = (0, 0)
    for frame in frames:
        gray = read_gray(frame, space, levels)
        shape = gray.shape
        glances.append(glance(gray))
        yield None
    yield find_guides(glances, hints, shape)


def see_film(
    colorizer: Colorizer,
    frames: Iterable[Any],
    settings: Settings,
    *,
    guides: Guides | None,
    clean: bool = False,
    palette: Palette | None = None,
    space: ColorSpace = SRGB,
    levels: Levels | None = None,
    references: Sequence[SeenReference] = (),
    sources: Mapping[int, ColorSource] | None = None,
) -> Iterator[Seen]:
    """Run the first part of `recolor_core.colorize_frames` by what a first pass found.

    Parameters
    ----------
    colorizer, frames, settings, palette, space, levels, references
        As in `recolor_core.frames.see_frames`.
    guides : Guides or None
        What is known about the frames; None if nothing is known.
    clean : bool
        Whether the networks look at a cleaned copy.
    sources : mapping of int to ColorSource, optional
        The image whose color a frame takes, by the number of the frame.

    Returns
    -------
    iterator of Seen
        The frames, in order.
    """
    known = sources or {}
    guided: Iterable[tuple[Any, FrameGuide]] = (
        (frame, with_source(guides.at(number) if guides else FrameGuide(), known.get(number)))
        for number, frame in enumerate(frames)
    )
    if clean:
        three = ((frame, frame, guide) for frame, guide in guided)
        guided = with_eyes(three, settings.size, space, levels)
    return see_guided(
        colorizer,
        guided,
        settings,
        palette=palette,
        space=space,
        levels=levels,
        references=references,
    )


def with_source(guide: FrameGuide, source: ColorSource | None) -> FrameGuide:
    """Add the image whose color a frame takes, if there is one, to what is known about it."""
    return guide if source is None else replace(guide, sources=((source, 1.0),))


def see_guided(
    colorizer: Colorizer,
    frames: Iterable[tuple[Any, FrameGuide]],
    settings: Settings,
    *,
    palette: Palette | None = None,
    space: ColorSpace = SRGB,
    levels: Levels | None = None,
    state: FrameState | None = None,
    references: Sequence[SeenReference] = (),
) -> Iterator[Seen]:
    """Call `recolor_core.frames.see_frames` for frames that come with their guides.

    Parameters
    ----------
    colorizer, settings, palette, space, levels, state, references
        As in `see_frames`.
    frames : iterable of tuple
        The images and what is known about them.

    Returns
    -------
    iterator of Seen
        The frames, in order.
    """
    known: dict[int, FrameGuide] = {}

    def images() -> Iterator[Any]:
        for number, (image, guide) in enumerate(frames, state.number if state else 0):
            known.clear()  # a guide may hold a cleaned copy
            known[number] = guide
            yield image

    return see_frames(
        colorizer,
        images(),
        settings,
        palette=palette,
        space=space,
        levels=levels,
        state=state,
        guides=known,
        references=references,
    )
