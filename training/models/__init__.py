"""Models to compare with, and this project's networks, behind one small interface.

`build` makes them by name::

    gray            no color at all
    average         the mean a* and b* of the training images
    nearest         persistence: the colors of the training image that looks most alike in gray
    forest          random forest regression on what is around a pixel
    xgboost         gradient boosted trees on the same
    original        low-level encodings, a small decoder, L1 (`training.original`)
    coarse          the generator alone, bicubic upsampling instead of the refiner
    refined         what `recolor` writes

``coarse`` and ``refined`` also come with hints (``refined-hints-10``), and ``refined-best-of-4`` is
the best of the coloring and four alternatives, of which only the truth knows which it is.
"""

from training.models.fits import fingerprint, fit
from training.models.interface import Fitted, Model, Prediction, gray_of, lightness_of
from training.models.table import FITTED, NAMES, ModelError, ModelRequest, build

__all__ = [
    "FITTED",
    "NAMES",
    "Fitted",
    "Model",
    "ModelError",
    "ModelRequest",
    "Prediction",
    "build",
    "fingerprint",
    "fit",
    "gray_of",
    "lightness_of",
]
