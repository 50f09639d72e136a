"""Find nearly equal images by perceptual hash and confirm them by their thumbnails."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

_AT_ONCE = 4_000_000  # pairs compared at a time; limits the memory to about 100 MB


@dataclass(frozen=True)
class NearPairs:
    """Pairs of nearly equal images.

    Attributes
    ----------
    first, second : ndarray of int64, shape (m,)
        Indices with ``first < second``, sorted; each pair occurs once.
    difference : ndarray of float32, shape (m,)
        Root mean square difference of the two thumbnails in 8-bit codes. The second thumbnail is
        mirrored if that gives a smaller difference.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    difference: NDArray[np.float32]


def near_pairs(
    hashes: NDArray[np.uint64],
    mirrored: NDArray[np.uint64],
    thumbnails: NDArray[np.uint8],
    bits: int,
    difference: float,
) -> NearPairs:
    """Find all pairs of images that are nearly equal, as they are or with one of them mirrored.

    Parameters
    ----------
    hashes, mirrored : ndarray of uint64, shape (n,)
        Perceptual hashes of the images and of their mirror images.
    thumbnails : ndarray of uint8, shape (n, side, side, 3)
    bits : int
        Maximum number of differing hash bits, in [0, 15].
    difference : float
        Maximum root mean square difference of the thumbnails, in 8-bit codes.

    Notes
    -----
    If two 64-bit hashes differ in at most `bits` bits, they agree in at least one of
    ``bits + 1`` bands (pigeonhole principle). So only images that share a band are compared: about
    ``n * n * (bits + 1) / 2 ** (64 / (bits + 1))`` pairs of integers.
    """
    n = len(hashes)
    pairs: list[NDArray[np.int64]] = []
    differences: list[NDArray[np.float32]] = []
    for flipped, queries in ((False, hashes), (True, mirrored)):
        for i, j in _candidates(queries, hashes, bits):
            # n * i + j identifies a pair, so that a pair found in several bands counts once
            codes = np.unique(np.minimum(i, j) * n + np.maximum(i, j))
            i, j = codes // n, codes % n
            other = thumbnails[j][:, :, ::-1] if flipped else thumbnails[j]
            squares = (thumbnails[i].astype(np.float32) - other) ** 2
            rms = np.sqrt(squares.mean(axis=(1, 2, 3)))
            pairs.append(codes[rms <= difference])
            differences.append(rms[rms <= difference])
    codes = np.concatenate([np.empty(0, np.int64), *pairs])
    rms = np.concatenate([np.empty(0, np.float32), *differences])
    order = np.lexsort((rms, codes))
    codes, first_of = np.unique(codes[order], return_index=True)
    return NearPairs(codes // max(n, 1), codes % max(n, 1), rms[order][first_of])


def _candidates(
    queries: NDArray[np.uint64], hashes: NDArray[np.uint64], bits: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    edges = np.linspace(0, 64, bits + 2).round().astype(int)
    for low, high in pairwise(edges):
        shift, mask = np.uint64(low), np.uint64((1 << int(high - low)) - 1)
        band = (hashes >> shift) & mask
        order = np.argsort(band, kind="stable")
        wanted = (queries >> shift) & mask
        start = np.searchsorted(band[order], wanted, "left")
        count = np.searchsorted(band[order], wanted, "right") - start
        # process as many queries at a time as make _AT_ONCE pairs, but at least one
        group = np.cumsum(count) // _AT_ONCE
        for part in np.split(np.arange(len(queries)), np.flatnonzero(np.diff(group)) + 1):
            i = np.repeat(part, count[part])
            begin = np.cumsum(count[part]) - count[part]  # start of each query's run in i
            j = order[np.arange(len(i)) + np.repeat(start[part] - begin, count[part])]
            near = (np.bitwise_count(queries[i] ^ hashes[j]) <= bits) & (i != j)
            yield i[near], j[near]


def clusters(n: int, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """Label images so that directly or indirectly linked images have the same label.

    Returns
    -------
    ndarray of int64, shape (n,)
        The index of the cluster's first image.
    """
    graph = coo_array((np.ones(len(first), bool), (first, second)), shape=(n, n))
    _, label = connected_components(graph, directed=False)
    _, first_of = np.unique(label, return_index=True)
    return first_of[label].astype(np.int64)
