"""The digest by which gray codes are known again."""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray


def digest_codes(codes: NDArray[Any]) -> str:
    """SHA-256 of gray codes with their shape and dtype, hexadecimal.

    Parameters
    ----------
    codes : ndarray
        (H, W), uint8, uint16, float32 or float64.

    Returns
    -------
    str
        The same on every machine: the codes count in little-endian byte order, row by row.
    """
    digest = hashlib.sha256(f"{codes.dtype.name} {codes.shape[0]}x{codes.shape[1]} ".encode())
    rows = max(1, 2**22 // max(1, codes[:1].nbytes))
    little = codes.dtype.newbyteorder("<")
    for top in range(0, codes.shape[0], rows):
        digest.update(np.ascontiguousarray(codes[top : top + rows], little).data)
    return digest.hexdigest()
