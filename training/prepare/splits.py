"""Assign images to training, validation and test splits."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.prepare.errors import PrepareError

SPLITS = ("train", "val", "test")


def assign_splits(
    hashes: Sequence[str],
    cluster: NDArray[np.int64],
    val: float,
    test: float,
    held_out: NDArray[np.bool_],
) -> list[str]:
    """Assign every image to a split by its content.

    All images of a cluster of near-duplicates go to one split. An image keeps its split if other
    images are added or renamed, unless this makes it join a cluster. A larger fraction includes
    the images that a smaller fraction selects.

    Parameters
    ----------
    hashes : sequence of str, length n
        Hash of each image's pixels.
    cluster : ndarray of int64, shape (n,)
        Label of each image's cluster.
    val, test : float
        Fractions of the clusters in [0, 1], together below 1. The result is approximate.
    held_out : ndarray of bool, shape (n,)
        Images for validation; their whole clusters go to validation, whatever their hash.

    Returns
    -------
    list of str, length n
        ``train``, ``val`` or ``test``.

    Raises
    ------
    PrepareError
        If the fractions are outside their range.
    """
    if not (val >= 0 and test >= 0 and val + test < 1):
        raise PrepareError(
            f"the fractions for validation and test are {val} and {test}: "
            "expected each to be at least 0 and their sum to be less than 1."
        )
    named: dict[int, str] = {}
    for label, name in zip(cluster.tolist(), hashes, strict=True):
        named[label] = min(name, named.get(label, name))
    held = set(cluster[held_out].tolist())

    def split(label: int) -> str:
        if label in held:
            return "val"
        # hash again: the smallest hash of a large cluster probably begins with zeros
        draw = int(hashlib.sha256(named[label].encode()).hexdigest()[:13], 16) / 16**13
        if draw < val:
            return "val"
        return "test" if draw >= 1 - test else "train"

    of_label = {label: split(label) for label in named}
    return [of_label[label] for label in cluster.tolist()]
