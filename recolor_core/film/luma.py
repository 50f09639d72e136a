"""The luma of films, and the gray that it stands for."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Luma:
    """What the codes of a luma plane mean.

    Parameters
    ----------
    bits
        Of a code, 8 to 16.
    limited
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
        """Of the codes, and of the gray: uint8 for 8 bits, else uint16."""
        return np.uint8 if self.bits == 8 else np.uint16

    def gray(self, codes: NDArray[Any]) -> NDArray[Any]:
        """The gray that the codes stand for: 0 is black, 255 (8 bits) or 65535 (more) white.

        Nearest codes; from black to white all are distinct. What is beyond is cut, as on a screen.

        Parameters
        ----------
        codes
            (H, W), `dtype`.
        """
        gray: NDArray[Any] = _gray_table(self)[codes]
        return gray

    def codes(self, gray: NDArray[Any]) -> NDArray[Any]:
        """The codes nearest to a gray.

        Parameters
        ----------
        gray
            (H, W), uint8 or uint16 of full range.
        """
        top = np.iinfo(gray.dtype).max
        levels = np.arange(top + 1) * ((self.white - self.black) / top) + self.black
        codes: NDArray[Any] = np.rint(levels).astype(self.dtype)[gray]
        return codes

    def converted(self, codes: NDArray[Any], bits: int) -> NDArray[Any]:
        """The codes at another depth, of the same range; nearest, and the same at the same depth.

        Parameters
        ----------
        codes
            (H, W), `dtype`.
        bits
            Of the new codes.
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


def chroma(rgb: NDArray[Any], luma: Luma, *, halved: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """Cb and Cr of an image after ITU-R BT.709-6 (3.3 and 3.4), as codes.

    Parameters
    ----------
    rgb
        (H, W, 3), uint8 or uint16 of full range.
    luma
        Depth and range of the codes.
    halved
        Whether to halve height and width (4:2:0), which must be even: a sample lies on an even
        column and between two rows, as in MPEG-4 part 10 (ITU-T H.264, figure 6-1).

    Returns
    -------
    tuple
        Each (H, W) or (H / 2, W / 2), `luma.dtype`.
    """
    unit = rgb.astype(np.float32)
    if halved:
        rows = unit[0::2] + unit[1::2]
        left, middle, right = rows[:, 1:-1:2], rows[:, 0::2], rows[:, 1::2]
        left = np.concatenate((middle[:, :1], left), axis=1)
        unit = (left + 2 * middle + right) / 8
    unit /= np.iinfo(rgb.dtype).max
    red, green, blue = np.moveaxis(unit, -1, 0)
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    top, scale = (1 << luma.bits) - 1, 1 << (luma.bits - 8)
    span = 224 * scale if luma.limited else top

    def codes(difference: NDArray[Any]) -> NDArray[Any]:
        levels = np.rint(difference * span + 128 * scale).clip(0, top)
        plane: NDArray[Any] = levels.astype(luma.dtype)
        return plane

    return codes((blue - y) / 1.8556), codes((red - y) / 1.5748)
