"""Regression for each pixel from its gray surroundings only."""

import zlib
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED

import numpy as np
import skops.io
import xgboost
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from sklearn.ensemble import RandomForestRegressor

from recolor_core.hints import Hint
from training.models.interface import (
    Fitted,
    Photographs,
    Prediction,
    ab_of,
    gray_of,
    lightness_of,
)

SIDES = (3, 7, 15, 31, 63)
"""Sides of the neighborhoods, in pixels of an image with 224 rows."""


def features(gray: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Compute the features of each pixel.

    Parameters
    ----------
    gray
        (H, W) gray codes.

    Returns
    -------
    ndarray
        (H, W, 5 + 4 k) float32 for the k `SIDES`: L*; row and column in [-1, 1]; mean and standard
        deviation of L* over the image; and, for each neighborhood, its mean, its standard deviation
        and the change of the mean downward and to the right, in L* per pixel.
    """
    light = lightness_of(gray)
    shape = light.shape
    row, column = np.meshgrid(
        *(np.linspace(-1, 1, n, dtype=np.float32) for n in shape), indexing="ij"
    )
    maps = [light, row, column, np.full(shape, light.mean()), np.full(shape, light.std())]
    square = light * light
    for side in SIDES:
        mean = uniform_filter(light, side)
        variance = uniform_filter(square, side) - mean * mean
        maps += [mean, np.sqrt(variance.clip(0)), *np.gradient(mean)]
    return np.stack(maps, axis=-1, dtype=np.float32)


class PixelRegression(Fitted):
    """A regression of a* and b* on the `features` of a pixel.

    Parameters
    ----------
    name, title
        As in `Model`.
    pixels
        Number of pixels of each training image to learn from.
    parameters
        Parameters of the regression.
    """

    def __init__(self, name: str, title: str, pixels: int, **parameters: Any) -> None:
        super().__init__(name, title)
        self.pixels = pixels
        self.parameters = parameters

    @property
    def settings(self) -> dict[str, Any]:
        """See `Model.settings`."""
        return {"pixels": self.pixels, "sides": list(SIDES), **self.parameters}

    def fit(self, photographs: Photographs) -> None:
        """See `Fitted.fit`."""
        known, wanted = [], []
        for rgb in photographs:
            # Each image has its own seed, so that more images do not change the selected pixels.
            rng = np.random.default_rng(zlib.crc32(rgb.tobytes()))
            drawn = rng.choice(rgb.shape[0] * rgb.shape[1], self.pixels, replace=False)
            table = features(gray_of(rgb))
            known.append(table.reshape(-1, table.shape[-1])[drawn])
            wanted.append(ab_of(rgb).reshape(2, -1).T[drawn])
        self.learn(np.concatenate(known), np.concatenate(wanted))

    @abstractmethod
    def learn(self, known: NDArray[np.float32], ab: NDArray[np.float32]) -> None:
        """Fit (N, F) features to (N, 2) colors."""

    @abstractmethod
    def regress(self, known: NDArray[np.float32]) -> NDArray[np.float32]:
        """Predict colors: (N, F) features -> (N, 2)."""

    def predict(self, gray: NDArray[np.uint8], hints: Sequence[Hint] = ()) -> Prediction:
        """See `Model.predict`."""
        table = features(gray)
        ab = self.regress(table.reshape(-1, table.shape[-1])).astype(np.float32)
        return Prediction(np.ascontiguousarray(ab.T.reshape(2, *gray.shape)))


class Forest(PixelRegression):
    """Random forest regression (Breiman 2001) from scikit-learn."""

    suffix = ".skops"

    def __init__(self, workers: int = 1) -> None:
        super().__init__(
            *("forest", "random forest regression"),
            pixels=100,
            n_estimators=40,
            max_features=1 / 3,
            min_samples_leaf=20,
            random_state=0,
        )
        self.workers = workers

    def learn(self, known: NDArray[np.float32], ab: NDArray[np.float32]) -> None:
        """See `PixelRegression.learn`."""
        self.trees = RandomForestRegressor(n_jobs=self.workers, **self.parameters).fit(known, ab)

    def regress(self, known: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `PixelRegression.regress`."""
        self.trees.set_params(n_jobs=1)
        return np.asarray(self.trees.predict(known))

    def save(self, path: Path) -> None:
        """See `Fitted.save`."""
        skops.io.dump(self.trees, path, compression=ZIP_DEFLATED)

    def load(self, path: Path) -> None:
        """See `Fitted.load`."""
        # Every other type but those of NumPy and scikit-learn is refused. A forged tree could
        # crash the process, but runs no code.
        self.trees = skops.io.load(path, trusted=["sklearn.tree._tree.Tree"])


class XGBoost(PixelRegression):
    """Gradient boosted trees (Chen and Guestrin 2016), one model for a* and one for b*."""

    suffix = ".json"

    def __init__(self, workers: int = 1) -> None:
        super().__init__(
            *("xgboost", "XGBoost regression"),
            pixels=100,
            n_estimators=100,
            max_depth=8,
            learning_rate=0.1,
            subsample=0.5,
            colsample_bytree=0.5,
            min_child_weight=20,
            random_state=0,
        )
        self.workers = workers

    def learn(self, known: NDArray[np.float32], ab: NDArray[np.float32]) -> None:
        """See `PixelRegression.learn`."""
        self.trees = xgboost.XGBRegressor(n_jobs=self.workers, **self.parameters).fit(known, ab)

    def regress(self, known: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `PixelRegression.regress`."""
        self.trees.set_params(n_jobs=1)
        return np.asarray(self.trees.predict(known))

    def save(self, path: Path) -> None:
        """See `Fitted.save`."""
        path.write_bytes(self.trees.get_booster().save_raw(raw_format="json"))

    def load(self, path: Path) -> None:
        """See `Fitted.load`."""
        self.trees = xgboost.XGBRegressor()
        self.trees.load_model(path)
