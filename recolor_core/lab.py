"""CIELAB: RGB <-> Lab, the gray of any image, and color whose gray is exactly the input.

L* is in [0, 100]. a* and b* are in Lab units; those of an 8-bit color photograph lie within about
+-110. The white is D65 and the observer is the 2-degree standard observer. RGB -> XYZ uses the
four-digit matrix of IEC 61966-2-1, divided by its row sums, so that R = G = B has exactly
a* = b* = 0.

NumPy arrays have their channels last, ``(..., 3)``. PyTorch tensors, which only the differentiable
conversions take, have them before height and width, ``(..., 3, H, W)``. Importing this module does
not import PyTorch.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from recolor_core.arguments import described, expect
from recolor_core.arrays import namespace
from recolor_core.errors import ImageError

if TYPE_CHECKING:
    from torch import Tensor

Array = TypeVar("Array", NDArray[Any], "Tensor")
"""A NumPy array or a PyTorch tensor."""

AB_LIMIT = 110.0
"""Bound of a* and b* in the networks. Those of sRGB colors lie within [-107.9, 98.3]."""

# CIE 15:2004, with the exact rational constants (216/24389, 24389/27).
_EPSILON = 216 / 24389
_KAPPA = 24389 / 27
_KNEE = 6 / 29  # cube root of _EPSILON

_TINY = 1e-30  # keeps powers and their gradients finite at 0
_ROOTS = (2**11, 2**18)
"""Numbers of entries that a table over square roots of linear light may have. The small one is for
8-bit codes; it stays in the processor's cache."""
_BISECTION = [2.0**-i for i in range(1, 12)]  # 2^-11 of a chroma of 150 is 0.07 Lab units


@dataclass(frozen=True)
class ToneCurve:
    """The curve between image codes and linear light, both in [0, 1].

    The curve is either parametric or sampled. The parametric curve is ICC.1:2010 type 3:
    ``linear = (a code + b) ** gamma`` if ``code >= d``, otherwise ``c code``. The default is sRGB
    (IEC 61966-2-1).

    Parameters
    ----------
    gamma, a, b, c, d : float
        The parameters of the formula.
    table : tuple of float or None
        Linear light at equally spaced codes from 0 to 1, in ascending order. If it is given, it
        replaces the formula.
    """

    gamma: float = 2.4
    a: float = 1 / 1.055
    b: float = 0.055 / 1.055
    c: float = 1 / 12.92
    d: float = 0.04045
    table: tuple[float, ...] | None = None

    def decode(self, code: Array) -> Array:
        """Convert codes to linear light; differentiable for tensors.

        Parameters
        ----------
        code : ndarray or Tensor
            Codes in [0, 1], floating point, of any shape.

        Returns
        -------
        ndarray or Tensor
            Linear light, with the shape and dtype of `code`.
        """
        xp = namespace(code)
        if self.table is not None:
            table = _like(self.table, code)
            position = xp.clip(code, 0, 1) * (len(table) - 1)
            below = xp.clip(xp.floor(position), 0, len(table) - 2)
            cell = below.astype(np.intp) if xp is np else below.long()
            return table[cell] + (table[cell + 1] - table[cell]) * (position - below)  # type: ignore[no-any-return]
        power = xp.clip(self.a * code + self.b, _TINY, None) ** self.gamma
        return xp.where(code >= self.d, power, self.c * code)  # type: ignore[no-any-return]

    def encode(self, linear: Array) -> Array:
        """Convert linear light to codes, the inverse of `decode`; differentiable for tensors.

        Parameters
        ----------
        linear : ndarray or Tensor
            Linear light in [0, 1], floating point, of any shape.

        Returns
        -------
        ndarray or Tensor
            Codes, with the shape and dtype of `linear`.
        """
        xp = namespace(linear)
        if self.table is not None:
            table = _like(self.table, linear)
            above = xp.clip(xp.searchsorted(table, linear), 1, len(table) - 1)
            low, high = table[above - 1], table[above]
            part = xp.clip((linear - low) / xp.clip(high - low, _TINY, None), 0, 1)
            return (_like(above - 1, part) + part) / (len(table) - 1)  # type: ignore[no-any-return]
        knee = (self.a * self.d + self.b) ** self.gamma
        power = (xp.clip(linear, max(knee, _TINY), None) ** (1 / self.gamma) - self.b) / self.a
        line = linear / self.c if self.c else linear * 0
        return xp.where(linear >= knee, power, line)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class ColorSpace:
    """A color space: the meaning of the codes of an image.

    Parameters
    ----------
    name : str
        The common name, such as "sRGB", "Adobe RGB (1998)" or "Gray Gamma 2.2".
    curve : ToneCurve
        The tone curve of all three channels.
    to_white_xyz : tuple of tuple of float
        The 3 x 3 matrix from linear RGB to (X/Xn, Y/Yn, Z/Zn), relative to the white of the color
        space. Each row sums to 1, so that R = G = B is neutral. The middle row gives the luminance.
    """

    name: str = "sRGB"
    curve: ToneCurve = field(default_factory=ToneCurve)
    to_white_xyz: tuple[tuple[float, float, float], ...] = (
        # IEC 61966-2-1:1999, formula (7), each row divided by its sum (the D65 white).
        (0.4124 / 0.9505, 0.3576 / 0.9505, 0.1805 / 0.9505),
        (0.2126, 0.7152, 0.0722),
        (0.0193 / 1.0890, 0.1192 / 1.0890, 0.9505 / 1.0890),
    )


SRGB = ColorSpace()


def _like(values: Any, array: Array) -> Array:
    """Convert numbers to the kind, dtype and device of an array."""
    xp = namespace(array)
    return xp.asarray(values, dtype=array.dtype, device=array.device)  # type: ignore[no-any-return]


def _f(t: Array) -> Array:
    """Compute f(t) of CIELAB, CIE 15:2004 (8.6): a cube root that is linear near 0."""
    xp = namespace(t)
    root = xp.clip(t, _EPSILON, None) ** (1 / 3)
    return xp.where(t > _EPSILON, root, (_KAPPA * t + 16) / 116)  # type: ignore[no-any-return]


def _f_inverse(t: Array) -> Array:
    return namespace(t).where(t > _KNEE, t * t * t, (116 * t - 16) / _KAPPA)  # type: ignore[no-any-return]


def _channels(codes: Any) -> tuple[Any, Any, Any]:
    """Split an array (..., 3) or a tensor (..., 3, H, W) into its channels."""
    if isinstance(codes, np.ndarray):
        if codes.ndim < 1 or codes.shape[-1] != 3:
            raise ImageError(
                f"expected an array (..., 3), got {codes.shape}; pass channels-first data as a "
                "tensor, or move its channels with np.moveaxis"
            )
        return codes[..., 0], codes[..., 1], codes[..., 2]
    if codes.ndim < 3 or codes.shape[-3] != 3:
        raise ImageError(
            f"expected a tensor (..., 3, H, W), got {tuple(codes.shape)}; channels-last data is "
            "for an array"
        )
    red, green, blue = codes.unbind(-3)
    return red, green, blue


def _joined(channels: tuple[Any, Any, Any]) -> Any:
    """Join three channels: the inverse of `_channels`."""
    xp = namespace(channels[0])
    return xp.stack(channels, axis=-1 if xp is np else -3)


def _times(rows: Any, channels: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
    """Multiply the channels of each pixel by a 3 x 3 matrix."""
    one, two, three = channels
    x, y, z = (row[0] * one + row[1] * two + row[2] * three for row in rows)
    return x, y, z


def _expect_array(name: str, value: object) -> None:
    if not (hasattr(value, "dtype") and hasattr(value, "ndim")):
        raise ImageError(
            f"expected {name} as a NumPy array or a tensor of PyTorch, got {described(value)}; "
            "convert it with numpy.asarray first"
        )


def rgb_to_lab(rgb: Array, space: ColorSpace = SRGB) -> Array:
    """Convert RGB codes to CIELAB; differentiable for tensors.

    Parameters
    ----------
    rgb : ndarray or Tensor
        Array ``(..., 3)`` or tensor ``(..., 3, H, W)``. Codes are floating point in [0, 1], or
        uint8 or uint16 with their full range. Floating-point values outside [0, 1] are converted
        too; they are not clipped.
    space : ColorSpace
        The color space of the codes.

    Returns
    -------
    ndarray or Tensor
        L* in [0, 100], a* and b* in Lab units, with the shape and device of `rgb`. The dtype is
        that of `rgb` if it is floating point, float32 for uint8, and float64 for uint16.

    Raises
    ------
    ImageError
        If `rgb` does not have three channels or its dtype is not supported.
    """
    _expect_array("rgb", rgb)
    expect("space", space, ColorSpace, "a ColorSpace, such as recolor_core.lab.SRGB")
    linear = space.curve.decode(_unit_range(rgb))
    fx, fy, fz = (_f(x) for x in _times(space.to_white_xyz, _channels(linear)))
    return _joined((116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)))  # type: ignore[no-any-return]


def lab_to_rgb(lab: Array, space: ColorSpace = SRGB) -> Array:
    """Convert CIELAB to RGB codes, the inverse of `rgb_to_lab`; differentiable for tensors.

    Parameters
    ----------
    lab : ndarray or Tensor
        Array ``(..., 3)`` or tensor ``(..., 3, H, W)``, floating point: L* in [0, 100], a* and b*
        in Lab units.
    space : ColorSpace
        The color space of the codes.

    Returns
    -------
    ndarray or Tensor
        Codes with the shape and dtype of `lab`. The codes of a color within the gamut are in
        [0, 1]. Codes are not clipped; `to_rgb` gives codes that always fit.

    Raises
    ------
    ImageError
        If `lab` does not have three channels or its dtype is not floating point.
    """
    _expect_array("lab", lab)
    expect("space", space, ColorSpace, "a ColorSpace, such as recolor_core.lab.SRGB")
    lightness, a, b = _channels(lab)
    if not _is_floating_point(lab):
        raise ImageError(f"expected Lab in floating point, got {lab.dtype}; convert it first")
    fy = (lightness + 16) / 116
    xyz = (_f_inverse(fy + a / 500), _f_inverse(fy), _f_inverse(fy - b / 200))
    linear: Array = _joined(_times(channel_rows(space), xyz))
    return space.curve.encode(linear)


def gray_codes(codes: NDArray[Any], space: ColorSpace = SRGB) -> NDArray[Any]:
    """Compute the gray of RGB codes: the code of a neutral pixel with the same luminance.

    This function defines the promise that a colorized image has the gray of its input. It decodes
    the codes to linear light, computes the luminance Y with the middle row of the matrix
    (0.2126 R + 0.7152 G + 0.0722 B for sRGB, IEC 61966-2-1), encodes Y, and rounds it to the dtype
    of the input. It computes in float64. The gray of R = G = B = v is v.

    Parameters
    ----------
    codes : ndarray
        ``(..., 3)``, uint8, uint16, float32 or float64.
    space : ColorSpace
        The color space of the codes.

    Returns
    -------
    ndarray
        ``(...)``, with the dtype of `codes`.

    Raises
    ------
    ImageError
        If `codes` does not have three channels or its dtype is not supported.
    """
    red, green, blue = _channels(codes)
    top = max_code(codes.dtype)
    one, two, three = (
        weight * space.curve.decode(channel.astype(np.float64) / top)
        for weight, channel in zip(space.to_white_xyz[1], (red, green, blue), strict=True)
    )
    gray = space.curve.encode(one + two + three) * top
    if top > 1:
        gray = np.clip(np.rint(gray), 0, top)
    # A sampled curve may have flat parts, in which several codes mean the same linear light.
    neutral = (red == green) & (green == blue)
    return np.where(neutral, red, gray.astype(codes.dtype))  # type: ignore[no-any-return]


def lightness(codes: NDArray[Any], space: ColorSpace = SRGB) -> NDArray[np.float32]:
    """Compute the L* of a gray or RGB image.

    Parameters
    ----------
    codes : ndarray
        ``(H, W)`` gray or ``(H, W, 3)`` RGB; uint8 or uint16 with its full range, or floating point
        in [0, 1]. An RGB image, such as a tinted scan, has the L* of its luminance.
    space : ColorSpace
        The color space of the codes.

    Returns
    -------
    ndarray
        ``(H, W)`` float32 in [0, 100].

    Raises
    ------
    ImageError
        If `codes` has a third axis of other than three channels or its dtype is not supported.
    """
    gray = codes if codes.ndim == 2 else gray_codes(codes, space)
    if max_code(gray.dtype) > 1:
        return code_tables(space, gray.dtype).lightness[gray]  # type: ignore[no-any-return]
    return (116 * _f(space.curve.decode(gray.astype(np.float64))) - 16).astype(np.float32)


def max_code(dtype: Any) -> int:
    """Return the code of white.

    Parameters
    ----------
    dtype : dtype
        uint8, uint16, float32 or float64.

    Returns
    -------
    int
        255 for uint8, 65535 for uint16, and 1 for floating point.

    Raises
    ------
    ImageError
        If the dtype is not supported.
    """
    tensor = str(dtype).startswith("torch.")
    name = str(dtype).removeprefix("torch.") if tensor else np.dtype(dtype).name
    found = _MAX_CODES.get(name)
    if found is None:
        raise ImageError(
            f"expected codes of uint8, uint16 or floating point, got {name}; convert the image "
            "first"
        )
    return found


def to_rgb(gray: NDArray[Any], ab: NDArray[np.floating], space: ColorSpace = SRGB) -> NDArray[Any]:
    """Combine a gray image and ab into RGB codes whose gray is exactly the input's.

    If a color lies outside the gamut, its chroma is reduced at constant L* and hue until the color
    fits; codes are never clipped. R and B are rounded first. G is then chosen so that the luminance
    is right; floating-point B and R are corrected once more. Finally the gray of the result is
    compared with the input. If the gray of a pixel differs, the function tries the neighboring
    codes, and uses R = G = B = `gray` if none of them fits. Therefore
    ``gray_codes(to_rgb(v, ab)) == v`` holds for uint8, uint16 and float32 without exception, and
    for float64 within a few rounding errors.

    Parameters
    ----------
    gray : ndarray
        ``(H, W)`` codes: uint8, uint16, or float32 or float64 in [0, 1].
    ab : ndarray
        ``(2, H, W)`` float32: a* and b* in Lab units. Any finite value is accepted.
    space : ColorSpace
        The color space of `gray` and of the result.

    Returns
    -------
    ndarray
        ``(H, W, 3)`` codes, with the dtype of `gray`.

    Raises
    ------
    ImageError
        If the dtype of `gray` is not supported.

    Notes
    -----
    Each pixel is computed independently, so the result does not depend on how an image is cut into
    strips, except for the last bit of floating-point codes. Strips of a few 100,000 pixels are
    fastest because they stay in the processor's cache.
    """
    if max_code(gray.dtype) > 1:
        return _to_integer_rgb(gray, ab, space)
    luminance = space.curve.decode(gray.astype(np.float64))
    fy = _f(luminance)
    linear = _fit(luminance, fy, _f_inverse(fy), ab.astype(np.float64), space)
    weights = space.to_white_xyz[1]
    rgb = [space.curve.encode(np.clip(light, 0, 1)).astype(gray.dtype) for light in linear]
    # Each channel compensates for the rounding error of the luminance, the finest channels last.
    light = [space.curve.decode(channel.astype(np.float64)) for channel in rgb]
    for channel in (1, 2, 0):
        missing = luminance - sum(w * x for w, x in zip(weights, light, strict=True))
        better = np.clip(light[channel] + missing / weights[channel], 0, 1)
        rgb[channel] = space.curve.encode(better).astype(gray.dtype)
        light[channel] = space.curve.decode(rgb[channel].astype(np.float64))
    codes = np.stack(rgb, axis=-1)
    if gray.dtype == np.float32:  # for float64, the check is no finer than the codes
        wrong = gray_codes(codes, space) != gray
        if wrong.any():
            codes[wrong] = match_gray(codes[wrong], gray[wrong], space)
    return codes


def _to_integer_rgb(
    gray: NDArray[Any], ab: NDArray[np.floating], space: ColorSpace
) -> NDArray[Any]:
    """Compute `to_rgb` of integer codes in float32 with tables, and doubtful pixels in float64.

    All operations round in the same way in a processor's vector and scalar units (no powers, no
    fused multiply-add), so that the color of a pixel does not depend on its place in the array.
    """
    tables = code_tables(space, gray.dtype)
    index = gray.astype(np.intp)
    weights = space.to_white_xyz[1]
    luminance = tables.linear[index]
    fy, y = tables.f[index], tables.y[index]
    red, _, blue = _fit(luminance, fy, y, ab.astype(np.float32), space)
    red, blue = _nearest_codes(red, tables), _nearest_codes(blue, tables)
    result = tables.linear[red] * weights[0] + tables.linear[blue] * weights[2]
    green = _nearest_codes((luminance - result) / weights[1], tables)
    result += tables.linear[green] * weights[1]
    # The margin covers the float32 rounding of a sum of three products.
    wrong = result <= tables.edges[index] * (1 + 5e-7)
    wrong |= result >= tables.edges[index + 1] * (1 - 5e-7)
    rgb = np.stack((red, green, blue), axis=-1).astype(gray.dtype)
    if wrong.any():
        rgb[wrong] = match_gray(rgb[wrong], gray[wrong], space)
    return rgb


def _nearest_codes(linear: NDArray[np.float32], tables: "CodeTables") -> NDArray[np.int32]:
    """Find the codes nearest to linear light in [0, 1]."""
    linear = np.clip(linear, 0, 1)
    root = np.sqrt(linear) * np.float32(len(tables.code_of_root) - 1)
    codes = tables.code_of_root[root.astype(np.int32)]  # may be one too low
    return codes + (linear >= tables.edges[codes + 1])


def _fit(
    luminance: NDArray[Any],
    fy: NDArray[Any],
    y: NDArray[Any],
    ab: NDArray[Any],
    space: ColorSpace,
) -> tuple[NDArray[Any], ...]:
    """Compute linear R, G, B of (L*, a*, b*), and reduce the chroma until they lie in [0, 1].

    `fy` is f(luminance), and `y` is the inverse of f at `fy`: the luminance except for rounding.
    The differences use `y` because the rounding error then cancels; otherwise it would tint dark
    grays.
    """
    # With d = (X, Z) - Y, each channel is Y + m d, because the rows of the inverse also sum to 1.
    rows = channel_rows(space)

    def channels(part: Any, *pixels: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        luminance, fy, y, a, b = pixels
        dx = _f_inverse(a * part / 500 + fy) - y
        dz = _f_inverse(b * part / -200 + fy) - y
        return tuple((x * dx + luminance) + z * dz for x, _, z in rows)

    pixels: tuple[NDArray[Any], ...] = (luminance, fy, y, ab[0], ab[1])
    linear = channels(luminance.dtype.type(1), *pixels)
    outside = _out_of_gamut(linear)
    if outside.any():
        pixels = tuple(x[outside] for x in pixels)
        part = np.zeros_like(pixels[0])
        for step in _BISECTION:
            part += step * ~_out_of_gamut(channels(part + step, *pixels))
        for channel, fitting in zip(linear, channels(part, *pixels), strict=True):
            channel[outside] = fitting
    return linear


@lru_cache(maxsize=16)
def channel_rows(space: ColorSpace) -> tuple[tuple[float, ...], ...]:
    """Invert `ColorSpace.to_white_xyz`: the rows give R, G and B from X/Xn, Y/Yn and Z/Zn.

    Parameters
    ----------
    space : ColorSpace
        The color space.

    Returns
    -------
    tuple of tuple of float
        3 x 3.
    """
    return tuple(tuple(row) for row in np.linalg.inv(np.array(space.to_white_xyz)).tolist())


def match_gray(rgb: NDArray[Any], gray: NDArray[Any], space: ColorSpace) -> NDArray[Any]:
    """Replace colors whose gray is wrong by the nearest colors whose gray is right.

    If no neighboring code fits, the gray itself replaces them.

    Parameters
    ----------
    rgb : ndarray
        (N, 3) codes: uint8, uint16 or float32.
    gray : ndarray
        (N,) codes of the same dtype: the gray that each color must have.
    space : ColorSpace
        The color space of the codes.

    Returns
    -------
    ndarray
        (N, 3), with the dtype of `rgb`. Colors whose gray is right do not change.
    """
    best = np.repeat(gray[:, None], 3, axis=1)
    missing = np.ones(len(gray), bool)
    steps = sorted(product((-1, 0, 1), (-2, -1, 0, 1, 2), (-1, 0, 1)), key=_length)
    for step in steps:
        left = rgb[missing]
        candidate = np.stack([_move(left[:, i], n) for i, n in enumerate(step)], axis=1)
        fits = gray_codes(candidate, space) == gray[missing]
        places = np.flatnonzero(missing)[fits]
        best[places], missing[places] = candidate[fits], False
        if not missing.any():
            break
    return best


def _out_of_gamut(linear: tuple[NDArray[Any], ...]) -> NDArray[np.bool_]:
    lowest = np.minimum(np.minimum(linear[0], linear[1]), linear[2])
    highest = np.maximum(np.maximum(linear[0], linear[1]), linear[2])
    return (lowest < 0) | (highest > 1)  # type: ignore[no-any-return]


def _move(codes: NDArray[Any], count: int) -> NDArray[Any]:
    """Move codes by `count` representable values of their dtype, within its range of codes."""
    if codes.dtype.kind == "u":
        return np.clip(codes.astype(np.int32) + count, 0, max_code(codes.dtype)).astype(codes.dtype)
    end = codes.dtype.type(1 if count > 0 else 0)
    for _ in range(abs(count)):
        codes = np.nextafter(codes, end)
    return codes


def _length(step: tuple[int, ...]) -> tuple[int, int]:
    """Sort key: the shortest step first, then green, which changes the luminance most."""
    return step[0] ** 2 + step[1] ** 2 + step[2] ** 2, abs(step[0]) + abs(step[2])


@dataclass(frozen=True)
class CodeTables:
    """Tables that `to_rgb` and the compiled kernel look integer codes up in.

    Parameters
    ----------
    linear : ndarray
        (N,) float32: linear light of each code, in [0, 1].
    f : ndarray
        (N,) float32: f(linear) of CIELAB.
    y : ndarray
        (N,) float32: the inverse of f at `f`.
    lightness : ndarray
        (N,) float32: L* in [0, 100].
    edges : ndarray
        (N + 1,) float32: linear light between ``edges[code]`` and ``edges[code + 1]`` is rounded to
        ``code``.
    code_of_root : ndarray
        (M,) int32: the code of linear light, at equally spaced square roots of it from 0 to 1.
    """

    linear: NDArray[np.float32]
    f: NDArray[np.float32]
    y: NDArray[np.float32]
    lightness: NDArray[np.float32]
    edges: NDArray[np.float32]
    code_of_root: NDArray[np.int32]


@lru_cache(maxsize=16)
def code_tables(space: ColorSpace, dtype: np.dtype[Any]) -> CodeTables:
    """Make the tables of the codes of a color space, or return them from a cache.

    Parameters
    ----------
    space : ColorSpace
        The color space.
    dtype : dtype
        uint8 or uint16.

    Returns
    -------
    CodeTables
    """
    top = max_code(dtype)
    linear = space.curve.decode(np.arange(top + 1) / top)
    f = _f(linear).astype(np.float32)
    edges = space.curve.decode((np.arange(top + 2) - 0.5) / top)
    edges[0], edges[-1] = -np.inf, np.inf
    for count in _ROOTS:
        roots = np.arange(count) / (count - 1)
        code_of_root = np.clip(np.rint(space.curve.encode(roots**2) * top), 0, top)
        if np.diff(code_of_root).max() <= 1:  # an entry is right, or one too low
            break
    return CodeTables(
        linear=linear.astype(np.float32),
        f=f,
        y=_f_inverse(f),
        lightness=116 * f - 16,
        edges=edges.astype(np.float32),
        code_of_root=code_of_root.astype(np.int32),
    )


_MAX_CODES = {"uint8": 255, "uint16": 65535, "float32": 1, "float64": 1}


def _is_floating_point(array: Any) -> bool:
    if isinstance(array, np.ndarray):
        return bool(array.dtype.kind == "f")
    return bool(array.dtype.is_floating_point)


def _unit_range(codes: Array) -> Array:
    if _is_floating_point(codes):
        return codes
    top = max_code(codes.dtype)
    xp = namespace(codes)
    return xp.asarray(codes, dtype=xp.float32 if top == 255 else xp.float64) / top  # type: ignore[no-any-return]
