"""Analyze color over the frames of a stack: components, correlations and predictions."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageSequence, UnidentifiedImageError
from scipy import signal
from sklearn.decomposition import PCA

from recolor_core.files import sha256_of
from training.analysis.dataset import GRID, lab_chunks
from training.photographs import DataError
from training.prepare.errors import PrepareError
from training.prepare.images import ARCHIVE_SUFFIXES, decode, find_images, pixels
from training.prepare.progress import Progress, silent

Floats = NDArray[np.float64]

MIN_FRAMES = 12
"""Minimum number of frames for a time series analysis."""

CHANNELS = ("L*", "a*", "b*")

HELD_OUT = 0.25
"""Fraction of the frames, at the end, that test an autoregression and are not fitted to."""


@dataclass(frozen=True)
class Stack:
    """Frames of a stack, each averaged to a grid.

    Attributes
    ----------
    name : str
    codes : ndarray of uint8 (T, GRID, GRID, 3)
        sRGB.
    rate : float or None
        Frames per second. None if the file does not state it.
    """

    name: str
    codes: NDArray[np.uint8]
    rate: float | None = None

    def means(self) -> Floats:
        """Return mean L*, a*, b* of each frame, (T, 3)."""
        return np.concatenate([lab.mean((1, 2)) for lab in lab_chunks(self.codes)])

    def ab(self) -> NDArray[np.float32]:
        """Return a* and b* of each cell, (T, GRID * GRID, 2); 25 KB for each frame."""
        parts = [lab[..., 1:].astype(np.float32) for lab in lab_chunks(self.codes)]
        return np.concatenate(parts).reshape(len(self.codes), -1, 2)


def read_stack(path: Path, progress: Progress = silent) -> Stack:
    """Read the frames of a color stack.

    Parameters
    ----------
    path
        A folder or archive of frames in the order of their names, a multi-page image (TIFF, GIF,
        WebP), or a film (any format that PyAV reads; requires the extra ``film``).
    progress
        Called after each frame.

    Raises
    ------
    DataError
        If the stack cannot be read, has fewer than `MIN_FRAMES` frames, or is gray.
    """
    rate: float | None = None
    try:
        if path.is_dir() or path.suffix.lower() in ARCHIVE_SUFFIXES:
            frames = (decode(image.read()).rgb for image in find_images([path]))
            codes = _grids(frames, progress)
        else:
            pages = _pages(path, progress)
            codes, rate = (pages, None) if pages is not None else _film(path, progress)
    except (PrepareError, OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} cannot be read as a stack of frames ({error})") from error
    if len(codes) < MIN_FRAMES:
        raise DataError(
            f"{path} has {len(codes)} frames, expected at least {MIN_FRAMES}; give a folder of "
            "frames, a multi-page image, or a film"
        )
    if int(np.ptp(codes.astype(np.int16), axis=-1).max()) < 2:
        raise DataError(f"{path} is gray, expected frames in color; give the colored stack")
    return Stack(path.name, codes, rate)


def digest_stack(path: Path) -> str:
    """Return the SHA-256 of the frames that `read_stack` reads.

    Raises
    ------
    DataError
        If they cannot be read.
    """
    digest = hashlib.sha256()
    try:
        if path.is_dir() or path.suffix.lower() in ARCHIVE_SUFFIXES:
            for image in find_images([path]):
                digest.update(f"{image.name} {image.size} ".encode())
                digest.update(image.read())
        else:
            return sha256_of(path)
    except (PrepareError, OSError, KeyError) as error:
        raise DataError(f"{path} cannot be read as a stack of frames ({error})") from error
    return digest.hexdigest()


def _grids(frames: Iterator[Image.Image], progress: Progress) -> NDArray[np.uint8]:
    grids = []
    for frame in frames:
        grids.append(pixels(frame.resize((GRID, GRID), Image.Resampling.BOX)))
        progress("frames", len(grids), 0)
    return np.stack(grids) if grids else np.empty((0, GRID, GRID, 3), np.uint8)


def _pages(path: Path, progress: Progress) -> NDArray[np.uint8] | None:
    """Return the pages of an image, or None if Pillow does not recognize the file."""
    try:
        with Image.open(path) as file:
            return _grids((page.convert("RGB") for page in ImageSequence.Iterator(file)), progress)
    except UnidentifiedImageError:
        return None


def _film(path: Path, progress: Progress) -> tuple[NDArray[np.uint8], float | None]:
    try:
        import av
    except ImportError as error:
        raise DataError(
            f"{path} is not an image, and films need PyAV: pip install 'napari-recolor[film]'"
        ) from error
    with av.open(str(path)) as film:
        if not film.streams.video:
            raise DataError(f"{path} has no video; give a film or a folder of frames")
        stream = film.streams.video[0]
        rate = float(stream.average_rate) if stream.average_rate else None
        frames = (frame.to_image() for frame in film.decode(stream))
        return _grids(frames, progress), rate


@dataclass(frozen=True)
class Decomposition:
    """Decomposition of a series into trend + periodic + residual.

    Attributes
    ----------
    observed, trend, periodic, residual : ndarray (T, C)
        Components whose sum is `observed`.
    period : ndarray of int (C,)
        Period in frames. If no period exceeds the noise, it is 0 and `periodic` is 0.
    p_value : ndarray (C,)
        p-value of Fisher's test for the strongest frequency (Fisher 1929): an upper bound of the
        probability that noise has a frequency this strong.
    """

    observed: Floats
    trend: Floats
    periodic: Floats
    residual: Floats
    period: NDArray[np.int64]
    p_value: Floats

    def shares(self) -> Floats:
        """Return the variances of trend, periodic part and residual over their sum, (3, C)."""
        parts = np.stack([x.var(0) for x in (self.trend, self.periodic, self.residual)])
        return np.asarray(parts / np.maximum(parts.sum(0), 1e-12))


def decompose(series: Floats, level: float = 0.01) -> Decomposition:
    """Decompose each channel of a series.

    The trend is a Savitzky-Golay filter (second degree) over a third of the frames. The period
    is the strongest frequency of the remainder that repeats at least three times, if it is
    significant in Fisher's test at the `level`. The periodic part is the centered mean of each
    phase.

    Parameters
    ----------
    series
        (T, C), at least `MIN_FRAMES` long.
    level
        Significance level of the test.
    """
    count, channels = series.shape
    span = max(5, count // 3 // 2 * 2 + 1)
    trend = signal.savgol_filter(series, span, 2, axis=0, mode="interp")
    rest = series - trend
    periodic = np.zeros_like(series)
    period, p_value = np.zeros(channels, np.int64), np.ones(channels)
    for channel in range(channels):
        period[channel], p_value[channel] = _period(rest[:, channel], level)
        if period[channel]:
            phase = np.arange(count) % period[channel]
            size = np.bincount(phase)
            means = np.bincount(phase, rest[:, channel]) / size
            periodic[:, channel] = (means - means.mean())[phase]
    return Decomposition(series, trend, periodic, rest - periodic, period, p_value)


def _period(rest: Floats, level: float) -> tuple[int, float]:
    power = np.abs(np.fft.rfft(rest - rest.mean()))[1:] ** 2
    if len(rest) % 2 == 0:
        power = power[:-1]  # the highest frequency has one degree of freedom, not two
    # The trend removed frequencies with fewer than three cycles, so they are not noise to compare.
    power, first = power[2:], 3
    if len(power) < 3 or power.sum() < 1e-12 * len(rest):
        return 0, 1.0
    # The first term of Fisher's sum. Other terms only lower it, and by little if it is small.
    number, share = len(power), float(power.max() / power.sum())
    p_value = min(1.0, number * (1 - share) ** (number - 1))
    period = round(len(rest) / (int(power.argmax()) + first))
    return (period if p_value < level and period > 1 else 0), p_value


@dataclass(frozen=True)
class Modes:
    """Principal components of color over time.

    Attributes
    ----------
    courses : ndarray (T, K)
        Amplitude of each component in each frame, in Lab units (root mean square over the image).
    maps : ndarray (K, GRID, GRID, 2)
        a* and b* of each component by position, with a root mean square of 1.
    explained : ndarray (K,)
        Fraction of the variance over time that each component explains.
    """

    courses: Floats
    maps: Floats
    explained: Floats


def modes(stack: Stack, number: int = 3) -> Modes:
    """Compute the spatial patterns along which color changes most, and their time courses."""
    ab = stack.ab().reshape(len(stack.codes), -1)
    pca = PCA(
        min(number, len(ab) - 1),
        svd_solver="full" if len(ab) < 500 else "randomized",
        random_state=0,
    )
    courses = pca.fit_transform(ab)
    size = (ab.shape[1] / 2) ** 0.5
    maps = pca.components_.reshape(-1, GRID, GRID, 2) * size
    return Modes(
        np.asarray(courses / size, np.float64),
        np.asarray(maps, np.float64),
        np.asarray(pca.explained_variance_ratio_, np.float64),
    )


@dataclass(frozen=True)
class Lags:
    """Correlations between frames.

    Attributes
    ----------
    lags : ndarray of int (K,)
        Lags in frames, from 0.
    auto : ndarray (K, 3)
        Autocorrelation of mean L*, a*, b* at each lag.
    cross_lags : ndarray of int (2 K - 1,)
        Lags from -K + 1. If a lag is positive, color follows lightness.
    cross : ndarray (2 K - 1, 2)
        Correlation of mean L* with a* and b* at each lag.
    place : ndarray (K, 3)
        Quartiles, over the positions in the image, of the autocorrelation of color, with a* and b*
        taken as one vector. NaN if color is constant at all positions.
    bound : float
        Bound: 95 % of the correlations of independent frames are within +-`bound`.
    """

    lags: NDArray[np.int64]
    auto: Floats
    cross_lags: NDArray[np.int64]
    cross: Floats
    place: Floats
    bound: float


def lagged_correlation(stack: Stack, max_lag: int | None = None) -> Lags:
    """Correlate color with itself and with lightness over a range of lags.

    Parameters
    ----------
    stack
        Frames of the stack.
    max_lag
        Largest lag; a quarter of the frames by default.
    """
    means = stack.means()
    count = len(means)
    lags = np.arange(1 + (max_lag or count // 4))
    auto = np.stack([_lagged(means, means, lag) for lag in lags])
    both = np.arange(-lags[-1], lags[-1] + 1)
    cross = np.stack([_lagged(means[:, :1], means[:, 1:], lag) for lag in both])
    ab = stack.ab().astype(np.float64)
    ab -= ab.mean(0)
    power = (ab**2).sum((0, 2))
    moving = power > 0.25 * count  # half a Lab unit; smaller changes are rounding
    place = np.full((len(lags), 3), np.nan)
    if moving.any():
        moved = ab[:, moving]
        for lag in lags:
            product = (moved[: count - lag] * moved[lag:]).sum((0, 2)) / power[moving]
            place[lag] = np.quantile(product, (0.25, 0.5, 0.75))
    return Lags(lags, auto, both, cross, place, 1.96 / count**0.5)


def _lagged(first: Floats, second: Floats, lag: int | np.integer) -> Floats:
    """Correlate `first` with `second` `lag` frames later, using the spread of the whole series."""
    x, y = first - first.mean(0), second - second.mean(0)
    size = np.sqrt((x**2).sum(0) * (y**2).sum(0))
    count = len(x)
    if lag >= 0:
        product = (x[: count - lag] * y[lag:]).sum(0)
    else:
        product = (x[-lag:] * y[: count + lag]).sum(0)
    return np.where(size > 1e-9, product / np.maximum(size, 1e-9), np.nan)


@dataclass(frozen=True)
class Autoregression:
    """Autoregression of one channel: a linear function of the previous frames.

    Attributes
    ----------
    channel : str
    order : int
        Number of previous frames, chosen by Akaike's corrected criterion. If it is 0, the
        prediction is the mean.
    coefficients : ndarray (order,)
        Coefficients of the last frame, the one before it, and so on.
    intercept : float
    first : int
        First held-out frame.
    predicted : ndarray (T - first,)
        Predictions of the held-out frames, each from the true frames before it.
    error, persistence, constant : float
        Root mean square errors on the held-out frames, in Lab units: of the autoregression, of
        repeating the last frame, and of the mean of the fitted frames.
    """

    channel: str
    order: int
    coefficients: Floats
    intercept: float
    first: int
    predicted: Floats
    error: float
    persistence: float
    constant: float


def autoregress(series: Floats, channel: str, max_order: int = 8) -> Autoregression:
    """Fit an autoregression to the first frames and predict the last `HELD_OUT` one by one.

    Parameters
    ----------
    series
        (T,), at least `MIN_FRAMES` long.
    channel
        Name of the channel.
    max_order
        Largest order; at most a quarter of the frames fitted to.
    """
    first = len(series) - max(2, round(HELD_OUT * len(series)))
    max_order = min(max_order, first // 4)
    # Use the same frames for all orders, so that their criteria are comparable.
    target = series[max_order:first]
    best: tuple[float, int, Floats] | None = None
    for order in range(max_order + 1):
        design = _design(series, order, max_order, first)
        solution = np.linalg.lstsq(design, target, rcond=None)[0]
        squares = max(float(((target - design @ solution) ** 2).sum()), 1e-12)
        n, k = len(target), order + 2  # also count the intercept and the variance
        criterion = n * np.log(squares / n) + 2 * k + 2 * k * (k + 1) / max(n - k - 1, 1)
        if best is None or criterion < best[0]:
            best = (float(criterion), order, np.asarray(solution, np.float64))
    assert best is not None
    _, order, solution = best
    truth = series[first:]
    predicted = _design(series, order, first, len(series)) @ solution

    def error(guess: Floats | float) -> float:
        return float(np.sqrt(((truth - guess) ** 2).mean()))

    return Autoregression(
        channel,
        order,
        solution[1:],
        float(solution[0]),
        first,
        predicted,
        error(predicted),
        error(series[first - 1 : -1]),
        error(float(series[:first].mean())),
    )


def _design(series: Floats, order: int, first: int, end: int) -> Floats:
    """Return rows of 1 and the `order` values before each frame, most recent first."""
    columns = [np.ones(end - first)]
    columns += [series[first - back : end - back] for back in range(1, order + 1)]
    return np.stack(columns, axis=1)
