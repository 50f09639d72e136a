"""The compiled kernel of full resolution: `kernel.c`, called through ctypes.

The wheels carry it. Where it did not come along, such as in an installation from source without a
C compiler, `load_kernel` gives None and NumPy does the same work more slowly.
"""

import ctypes
import logging
import sys
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recolor_core.lab import ColorSpace, channel_rows, code_tables, match_gray
from recolor_core.upsample import GuidedUpsampler

_SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")

LIBRARY = Path(__file__).with_name(f"compiled{_SUFFIX}")
"""Path at which the build puts the compiled kernel."""

_INTERFACE = 2  # as in kernel.c

_log = logging.getLogger(__name__)


class _Space(ctypes.Structure):
    _fields_ = (
        ("codes", ctypes.c_void_p),
        ("edges", ctypes.c_void_p),
        ("of_root", ctypes.c_void_p),
        ("last_root", ctypes.c_int32),
        ("weights", ctypes.c_float * 3),
        ("red", ctypes.c_float * 2),
        ("green", ctypes.c_float * 2),
        ("blue", ctypes.c_float * 2),
    )


class _Chroma(ctypes.Structure):
    _fields_ = (
        ("slope", ctypes.c_void_p),
        ("ab", ctypes.c_void_p),
        ("lightness", ctypes.c_void_p),
        ("grid_height", ctypes.c_int32),
        ("grid_width", ctypes.c_int32),
        ("width", ctypes.c_int32),
        ("left", ctypes.c_void_p),
        ("across", ctypes.c_void_p),
    )


@cache
def load_kernel() -> Callable[..., int] | None:
    """Load the function ``recolor_rows`` of the compiled kernel; None if it is not there."""
    try:
        library = ctypes.CDLL(str(LIBRARY))
        library.recolor_interface.restype = ctypes.c_int32
        found = library.recolor_interface()
        if found != _INTERFACE:
            raise OSError(f"{LIBRARY} has interface {found}, expected {_INTERFACE}; build it again")
    except (OSError, AttributeError) as error:
        _log.debug("NumPy computes the full resolution: %s", error)
        return None
    pointer, i32, i64 = ctypes.c_void_p, ctypes.c_int32, ctypes.c_int64
    function = library.recolor_rows
    function.argtypes = (
        *(ctypes.POINTER(_Space), ctypes.POINTER(_Chroma), i32, i32, pointer, i64),
        *(pointer, pointer, pointer, pointer, pointer),
    )
    function.restype = i32
    return function


class CompiledColors:
    """RGB codes of an image of integer codes, strip by strip; threads may share it.

    Parameters
    ----------
    kernel
        Of `load_kernel`.
    upsampler
        Of the chroma.
    space
        What the codes mean.
    dtype
        Of the codes, uint8 or uint16.
    """

    def __init__(
        self,
        kernel: Callable[..., int],
        upsampler: GuidedUpsampler,
        space: ColorSpace,
        dtype: np.dtype[Any],
    ) -> None:
        self._kernel = kernel
        self._space = space
        self._upsampler = upsampler
        width = upsampler.size[1]
        left, _, across = upsampler.columns()
        self._kept = {
            **_tables(space, dtype),
            "slope": np.ascontiguousarray(upsampler.slope, np.float32),
            "ab": np.ascontiguousarray(upsampler.ab, np.float32),
            "lightness": np.ascontiguousarray(upsampler.lightness, np.float32),
            "left": left.astype(np.int32),
            "across": across,
        }
        address = {name: array.ctypes.data for name, array in self._kept.items()}
        self._c_space = _Space(
            address["codes"],
            address["edges"],
            address["of_root"],
            len(self._kept["of_root"]) - 1,
            (ctypes.c_float * 3)(*space.to_white_xyz[1]),
            *((ctypes.c_float * 2)(x, z) for x, _, z in channel_rows(space)),
        )
        self._c_chroma = _Chroma(
            address["slope"],
            address["ab"],
            address["lightness"],
            *upsampler.lightness.shape,
            width,
            address["left"],
            address["across"],
        )

    def rows(self, top: int, codes: NDArray[Any]) -> NDArray[Any]:
        """RGB codes of a strip; the same bits however the image is cut into strips.

        Parameters
        ----------
        top
            The number of its first row.
        codes
            (rows, W), uint8 or uint16, contiguous in its rows.

        Returns
        -------
        ndarray
            (rows, W, 3), the dtype of `codes`.
        """
        above, _, down = self._upsampler.strip(top, len(codes))
        above = above.astype(np.int32)
        rgb = np.empty((*codes.shape, 3), codes.dtype)
        work = np.empty((3, self._c_chroma.grid_width + 1, 4), np.float32)
        doubtful = np.empty(codes.size, np.int32)  # memory that is touched only where it is needed
        count = self._kernel(
            ctypes.byref(self._c_space),
            ctypes.byref(self._c_chroma),
            codes.itemsize == 2,
            len(codes),
            codes.ctypes.data,
            codes.strides[0],
            above.ctypes.data,
            down.ctypes.data,
            work.ctypes.data,
            rgb.ctypes.data,
            doubtful.ctypes.data,
        )
        if count:
            pixels = doubtful[:count]
            flat = rgb.reshape(-1, 3)
            flat[pixels] = match_gray(flat[pixels], codes.reshape(-1)[pixels], self._space)
        return rgb


@lru_cache(maxsize=16)
def _tables(space: ColorSpace, dtype: np.dtype[Any]) -> dict[str, NDArray[np.float32]]:
    """Lay out the tables of `recolor_core.lab.code_tables` as the kernel reads them."""
    tables = code_tables(space, dtype)
    code = tables.code_of_root
    linear = np.append(tables.linear, tables.linear[-1])  # beyond white there is no code
    near = (code, tables.edges[code + 1], linear[code], linear[code + 1])
    columns = (tables.linear, tables.f, tables.y, tables.lightness)
    return {
        "codes": np.stack(columns, axis=1),
        "edges": tables.edges,
        "of_root": np.stack(near, axis=1).astype(np.float32),
    }
