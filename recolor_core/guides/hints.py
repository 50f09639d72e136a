"""Where the hints of some frames are in the others: followed along the motion, both ways."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from recolor_core.frames import corners_of, moved_to, touches
from recolor_core.guides.shots import Shots, small_image
from recolor_core.hints import Mark, MarksInTime, Mask
from recolor_core.motion import estimate_motion, follow_points, warp

TRACKED_HEIGHT = 112
"""Short side, in pixels, of the images in which hints are followed: as in the color memory."""


class HintTracks:
    """Where hints are in every frame of their shots.

    Hints are followed along the motion of the lightness, forward and backward, through their shot
    and through the shots that return to it. A hint ends where it leaves the image.

    Parameters
    ----------
    hints : Mapping of int to sequence of Mark
        The hints, by the number of their frame.
    shots : Shots
        The shots of the film.
    """

    def __init__(self, hints: Mapping[int, Sequence[Mark]], shots: Shots) -> None:
        self._hints = {number: tuple(marks) for number, marks in sorted(hints.items())}
        self._shots = shots
        self._chains = {shots.chain(number) for number in self._hints} - {()}
        self._frames: dict[int, tuple[Tensor, ...]] = {}
        self._tracks: dict[int, dict[int, _Place]] = {}
        self._shape = (0, 0)

    @property
    def last(self) -> int:
        """The number of the last frame that has to be looked at; -1 if there is none."""
        return max((chain[-1].last for chain in self._chains), default=-1)

    def look(
        self, frames: Iterable[tuple[int, NDArray[Any]]], shape: tuple[int, int] | None = None
    ) -> None:
        """Follow the hints through the frames of the film.

        Parameters
        ----------
        frames : Iterable of tuple
            The number of each frame and its image, (H, W) or (H, W, 3), in order.
        shape : tuple of int or None
            Height and width of the frames, if the images are smaller.
        """
        seen: dict[int, list[tuple[int, Tensor]]] = {}
        for number, image in frames:
            if number > self.last:
                break
            shot, chain = self._shots.of(number), self._shots.chain(number)
            if shot is None or chain not in self._chains or number in shot.flashes:
                continue
            self._shape = shape or (image.shape[0], image.shape[1])
            small = small_image(image, TRACKED_HEIGHT) * 2.55
            seen.setdefault(chain[0].first, []).append((number, small.round().to(torch.uint8)))
        for frames_of_chain in seen.values():
            self._follow(frames_of_chain)

    def at(self, number: int) -> MarksInTime | None:
        """The hints of a frame; None if it has none.

        The hints of the two hinted frames on both sides decide, weighted by their distance. Those
        of other frames of the shot, then those of shots that it returns to, count where these
        claim nothing.

        Parameters
        ----------
        number : int
            The number of the frame in the film.
        """
        tracks = self._tracks.get(number, {})
        groups = {key: place.marks(self._hints[key], self._shape) for key, place in tracks.items()}
        groups = {key: marks for key, marks in groups.items() if marks}
        shot = self._shots.of(number)
        if not groups or shot is None:
            return None
        # The hints of the frame itself come last, as `MarksInTime.given` asks.
        keys = sorted(groups, key=lambda key: (key == number, key))
        own = sorted(key for key in keys if shot.first <= key <= shot.last) or sorted(keys)
        after = bisect_right(own, number)
        low, high = own[max(after - 1, 0)], own[min(after, len(own) - 1)]
        share = (number - low) / (high - low) if high > low else 0.0
        anchors = [(1 - share, low), (share, high)]
        orders = [
            (weight, tuple(keys.index(key) for key in _ordered(keys, own, anchor)))
            for weight, anchor in anchors
            if weight > 0
        ]
        given = len(groups.get(number, ()))
        return MarksInTime(tuple(groups[key] for key in keys), tuple(orders), given)

    def _follow(self, chain: list[tuple[int, Tensor]]) -> None:
        """Follow the hints of one shot and of those that return to it."""
        for step in (1, -1):
            alive: dict[int, _Place] = {}
            before: Tensor | None = None
            for index in range(len(chain))[::step]:
                number, small = chain[index]
                now = small.float() / 2.55
                if before is not None and alive:
                    flow = estimate_motion(before, now)
                    alive = {
                        key: place.moved(self._hints[key], flow, self._shape)
                        for key, place in alive.items()
                    }
                if number in self._hints:
                    alive[number] = _place(self._hints[number], now)
                for key, place in alive.items():
                    self._tracks.setdefault(number, {})[key] = place
                before = now


def _ordered(keys: Sequence[int], own: Sequence[int], anchor: int) -> list[int]:
    """Hinted frames in the order in which they decide: those of the shot first, near ones first."""
    return sorted(keys, key=lambda key: (key not in own, abs(key - anchor), key))


@dataclass(frozen=True, eq=False)
class _Place:
    """Where the marks of a frame are in another one.

    Parameters
    ----------
    points : Tensor
        (N, 2): x and y of all their corners, in pixels of the film.
    gone : frozenset of int
        The indices of the marks that have left the image.
    origin : Tensor or None
        (1, 2, h, w) float16: where each pixel was in the frame of the marks, in [-1, 1]. None if
        there are no masks, which alone need it.
    """

    points: Tensor
    gone: frozenset[int]
    origin: Tensor | None

    def moved(self, marks: Sequence[Mark], flow: Tensor, shape: tuple[int, int]) -> "_Place":
        """The place in the next frame, by the backward motion (1, 2, h, w) of small images."""
        scale = torch.tensor([flow.shape[-1] / shape[1], flow.shape[-2] / shape[0]])
        points = self.points
        if len(points):
            points = (follow_points((points + 0.5) * scale - 0.5, flow) + 0.5) / scale - 0.5
        gone = set(self.gone)
        start = 0
        for index, mark in enumerate(marks):
            if isinstance(mark, Mask):
                continue
            count = len(corners_of(mark))
            moved = moved_to(mark, _pairs(points[start : start + count]))
            if not touches(moved, shape[1], shape[0]):
                gone.add(index)
            start += count
        origin = None if self.origin is None else warp(self.origin.float(), flow).half()
        return _Place(points, frozenset(gone), origin)

    def marks(self, marks: Sequence[Mark], shape: tuple[int, int]) -> tuple[Mark, ...]:
        """The marks at this place; those that have left the image are missing."""
        found: list[Mark] = []
        start = 0
        for index, mark in enumerate(marks):
            count = 0 if isinstance(mark, Mask) else len(corners_of(mark))
            corners = _pairs(self.points[start : start + count])
            start += count
            if index not in self.gone:
                found += _placed(mark, corners, self.origin, shape)
        return tuple(found)


def _place(marks: Sequence[Mark], small: Tensor) -> _Place:
    """The place of marks in their own frame."""
    corners = [
        corner for mark in marks if not isinstance(mark, Mask) for corner in corners_of(mark)
    ]
    origin = None
    if any(isinstance(mark, Mask) for mark in marks):
        identity = torch.eye(2, 3)[None]
        grid = F.affine_grid(identity, [1, 1, *small.shape[-2:]], align_corners=False)
        origin = grid.permute(0, 3, 1, 2).half()
    return _Place(torch.tensor(corners).view(-1, 2), frozenset(), origin)


def _pairs(points: Tensor) -> list[tuple[float, float]]:
    return [(x, y) for x, y in points.tolist()]


def _placed(
    mark: Mark, corners: list[tuple[float, float]], origin: Tensor | None, shape: tuple[int, int]
) -> list[Mark]:
    """A mark with its corners elsewhere; nothing of a mask that cannot be seen any more."""
    if not isinstance(mark, Mask):
        return [moved_to(mark, corners)]
    assert origin is not None
    grid = F.interpolate(origin.float(), size=shape, mode="bilinear").permute(0, 2, 3, 1)
    pixels = torch.from_numpy(np.asarray(mark.pixels) != 0).float()[None, None]
    moved = F.grid_sample(pixels, grid, mode="nearest", align_corners=False)[0, 0] > 0
    return [replace(mark, pixels=moved.numpy())] if bool(moved.any()) else []
