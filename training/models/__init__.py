"""Comparison models and this project's networks behind one small interface.

`build` makes models by name::

    gray            no color
    average         the mean a* and b* of the training images
    nearest         the colors of the training image that looks most alike in gray (persistence)
    forest          random forest regression on the surroundings of a pixel
    xgboost         gradient boosted trees on the same features
    original        low-level encodings, a small decoder, L1 (`training.original`)
    coarse          the generator alone, bicubic upsampling instead of the refiner
    refined         the output of `recolor`

``coarse`` and ``refined`` are also available with hints (``refined-hints-10``).
``refined-best-of-4`` is the best of the coloring and four alternatives, selected by the truth.
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
