"""The luma of films, and the gray that it stands for."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recolor_core.lab import SRGB

# ITU-R BT.2087-0: linear light of BT.709 primaries to that of BT.2020 primaries.
_TO_BT2020 = np.array(
    [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]], np.float32
)


@dataclass(frozen=True)
class Luma:
    """What the codes of a luma plane mean.

    Parameters
    ----------
    bits : int
        Bits of a code, 8 to 16.
    limited : bool
        Whether black is 16 and white 235, times 2 ** (bits - 8) (ITU-R BT.709-6, 4.6; BT.2100-2,
        table 9), with room below and above; else 0 is black and the highest code white.
    """

    bits: int
    limited: bool

    @property
    def black(self) -> int:
        """The code of black."""
        return 16 << (self.bits - 8) if self.limited else 0

    @property
    def white(self) -> int:
        """The code of white."""
        return 235 << (self.bits - 8) if self.limited else (1 << self.bits) - 1

    @property
    def dtype(self) -> type[np.uint8] | type[np.uint16]:
        """The dtype of the codes and of the gray: uint8 for 8 bits, else uint16."""
        return np.uint8 if self.bits == 8 else np.uint16

    def gray(self, codes: NDArray[Any]) -> NDArray[Any]:
        """The gray that the codes stand for: 0 is black, 255 (8 bits) or 65535 (more) white.

        The codes are the nearest, and distinct from black to white. Codes beyond are clipped, as on
        a screen.

        Parameters
        ----------
        codes : ndarray
            (H, W), `dtype`.
        """
        gray: NDArray[Any] = _gray_table(self)[codes]
        return gray

    def codes(self, gray: NDArray[Any]) -> NDArray[Any]:
        """The codes nearest to a gray.

        Parameters
        ----------
        gray : ndarray
            (H, W), uint8 or uint16 of full range.
        """
        top = np.iinfo(gray.dtype).max
        levels = np.arange(top + 1) * ((self.white - self.black) / top) + self.black
        codes: NDArray[Any] = np.rint(levels).astype(self.dtype)[gray]
        return codes

    def count_beyond(self, codes: NDArray[Any]) -> int:
        """Number of codes below black or above white, which `gray` cuts off."""
        return int(np.count_nonzero((codes < self.black) | (codes > self.white)))

    def converted(self, codes: NDArray[Any], bits: int) -> NDArray[Any]:
        """The codes at another depth, of the same range; nearest, and the same at the same depth.

        Parameters
        ----------
        codes : ndarray
            (H, W), `dtype`.
        bits : int
            Bits of the new codes.
        """
        if bits == self.bits:
            return codes
        new = Luma(bits, self.limited)
        scale = (new.white - new.black) / (self.white - self.black)
        levels = np.rint(np.arange(1 << self.bits) * scale)
        table = levels.clip(0, (1 << bits) - 1).astype(new.dtype)
        converted: NDArray[Any] = table[codes]
        return converted


@lru_cache(maxsize=8)
def _gray_table(luma: Luma) -> NDArray[Any]:
    top = np.iinfo(luma.dtype).max
    share = (np.arange(1 << luma.bits) - luma.black) / (luma.white - luma.black)
    table: NDArray[Any] = np.rint(share.clip(0, 1) * top).astype(luma.dtype)
    return table


def halve_columns(codes: NDArray[Any]) -> NDArray[Any]:
    """A plane at the size of 4:2:2 chroma, and in its place: a sample lies on an even column.

    Parameters
    ----------
    codes : ndarray
        (H, W), uint8 or uint16; the width is even.

    Returns
    -------
    ndarray
        (H, W / 2), the dtype of `codes`.
    """
    wide: NDArray[Any] = codes.astype(np.uint32 if codes.dtype == np.uint16 else np.uint16)
    halved: NDArray[Any] = ((_across(wide) + 2) // 4).astype(codes.dtype)
    return halved


def halve(codes: NDArray[Any], *, interlaced: bool = False) -> NDArray[Any]:
    """A plane at the size of 4:2:0 chroma, and in its place.

    A sample lies on an even column and between two rows, as in MPEG-4 part 10 (ITU-T H.264,
    figure 6-1).

    Parameters
    ----------
    codes : ndarray
        (H, W), uint8 or uint16; height and width are even.
    interlaced : bool
        Whether every other row is of another field. Then rows of one field are halved together,
        and the height must be a multiple of 4.

    Returns
    -------
    ndarray
        (H / 2, W / 2), the dtype of `codes`.
    """
    if interlaced:
        fields = [halve(codes[row::2]) for row in (0, 1)]
        return np.stack(fields, axis=1).reshape(-1, fields[0].shape[1])
    wide: NDArray[Any] = codes.astype(np.uint32 if codes.dtype == np.uint16 else np.uint16)
    halved: NDArray[Any] = ((_across(wide[0::2] + wide[1::2]) + 4) // 8).astype(codes.dtype)
    return halved


def _across(codes: NDArray[Any]) -> NDArray[Any]:
    """Sums with weights 1, 2 and 1 around every even column."""
    middle, right = codes[:, 0::2], codes[:, 1::2]
    left = np.concatenate((middle[:, :1], right[:, :-1]), axis=1)
    sums: NDArray[Any] = left + 2 * middle + right
    return sums


def chroma(
    rgb: NDArray[Any], luma: Luma, *, wide: bool = False
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Cb and Cr of an image by ITU-R BT.709-6 (3.3 and 3.4), as codes.

    Parameters
    ----------
    rgb : ndarray
        (H, W, 3), uint8 or uint16 of full range, BT.709 primaries.
    luma : Luma
        Depth and range of the codes.
    wide : bool
        Whether the codes are of ITU-R BT.2020 (primaries and matrix) instead.

    Returns
    -------
    tuple of ndarray
        Cb and Cr, each (H, W), `luma.dtype`.
    """
    unit = rgb.astype(np.float32)
    unit /= np.iinfo(rgb.dtype).max
    if wide:
        unit = SRGB.curve.encode(SRGB.curve.decode(unit) @ _TO_BT2020.T)
    red, green, blue = np.moveaxis(unit, -1, 0)
    kr, kb = (0.2627, 0.0593) if wide else (0.2126, 0.0722)
    y = kr * red + (1 - kr - kb) * green + kb * blue
    top, scale = (1 << luma.bits) - 1, 1 << (luma.bits - 8)
    span = 224 * scale if luma.limited else top

    def codes(difference: NDArray[Any]) -> NDArray[Any]:
        levels = np.rint(difference * span + 128 * scale).clip(0, top)
        plane: NDArray[Any] = levels.astype(luma.dtype)
        return plane

    return codes((blue - y) / (2 - 2 * kb)), codes((red - y) / (2 - 2 * kr))
