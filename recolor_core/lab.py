"""CIELAB: RGB <-> Lab, the gray of any image, and color whose gray is exactly the input.

L* is in [0, 100]. a* and b* are in Lab units; those of an 8-bit color photograph lie within about
+-110. The white is D65 and the observer is the 2-degree standard observer. RGB -> XYZ uses the
four-digit matrix of IEC 61966-2-1, divided by its row sums, so that R = G = B has exactly
a* = b* = 0.

Tensors have their channels before height and width, ``(..., 3, H, W)``. NumPy arrays have them
last, ``(..., 3)``.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recolor_core.errors import ImageError

AB_LIMIT = 110.0
"""Bound of a* and b* in the networks. Those of sRGB colors lie within [-107.9, 98.3]."""

# CIE 15:2004, with the exact rational constants (216/24389, 24389/27).
_EPSILON = 216 / 24389
_KAPPA = 24389 / 27
_KNEE = 6 / 29  # cube root of _EPSILON

_TINY = 1e-30  # keeps powers and their gradients finite at 0
_CPU = torch.device("cpu")
_ROOTS = 2**18  # entries of a table over square roots of linear light; finer than 16-bit codes
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

    def decode(self, code: Tensor) -> Tensor:
        """Convert codes to linear light; differentiable.

        Parameters
        ----------
        code : Tensor
            Codes in [0, 1], floating point, of any shape.

        Returns
        -------
        Tensor
            Linear light, with the shape and dtype of `code`.
        """
        if self.table is not None:
            table = torch.tensor(self.table, dtype=code.dtype, device=code.device)
            position = code.clamp(0, 1) * (len(table) - 1)
            below = position.floor().long().clamp(max=len(table) - 2)
            return torch.lerp(table[below], table[below + 1], position - below)
        power = (self.a * code + self.b).clamp(min=_TINY) ** self.gamma
        return torch.where(code >= self.d, power, self.c * code)

    def encode(self, linear: Tensor) -> Tensor:
        """Convert linear light to codes, the inverse of `decode`; differentiable.

        Parameters
        ----------
        linear : Tensor
            Linear light in [0, 1], floating point, of any shape.

        Returns
        -------
        Tensor
            Codes, with the shape and dtype of `linear`.
        """
        if self.table is not None:
            table = torch.tensor(self.table, dtype=linear.dtype, device=linear.device)
            above = torch.searchsorted(table, linear.contiguous()).clamp(1, len(table) - 1)
            low, high = table[above - 1], table[above]
            fraction = ((linear - low) / (high - low).clamp(min=_TINY)).clamp(0, 1)
            return (above - 1 + fraction) / (len(table) - 1)
        knee = (self.a * self.d + self.b) ** self.gamma
        power = (linear.clamp(min=max(knee, _TINY)) ** (1 / self.gamma) - self.b) / self.a
        return torch.where(linear >= knee, power, linear / self.c if self.c else linear * 0)


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


def _f(t: Tensor) -> Tensor:
    """Compute f(t) of CIELAB, CIE 15:2004 (8.6): a cube root that is linear near 0."""
    root = t.clamp(min=_EPSILON) ** (1 / 3)
    return torch.where(t > _EPSILON, root, (_KAPPA * t + 16) / 116)


def _f_inverse(t: Tensor) -> Tensor:
    return torch.where(t > _KNEE, t * t * t, (116 * t - 16) / _KAPPA)


def _matrix(space: ColorSpace, like: Tensor, *, inverse: bool = False) -> Tensor:
    matrix = torch.tensor(space.to_white_xyz, dtype=torch.float64)
    return (matrix.inverse() if inverse else matrix).to(like.device, like.dtype)


@overload
def rgb_to_lab(rgb: Tensor, space: ColorSpace = SRGB) -> Tensor: ...
@overload
def rgb_to_lab(rgb: NDArray[np.generic], space: ColorSpace = SRGB) -> NDArray[np.floating]: ...
def rgb_to_lab(
    rgb: Tensor | NDArray[np.generic], space: ColorSpace = SRGB
) -> Tensor | NDArray[np.floating]:
    """Convert RGB codes to CIELAB; differentiable for tensors.

    Parameters
    ----------
    rgb : Tensor or ndarray
        Tensor ``(..., 3, H, W)`` or array ``(..., 3)``. Codes are floating point in [0, 1], or
        uint8 or uint16 with their full range. Floating-point values outside [0, 1] are converted
        too; they are not clipped.
    space : ColorSpace
        The color space of the codes.

    Returns
    -------
    Tensor or ndarray
        L* in [0, 100], a* and b* in Lab units, with the shape and device of `rgb`. The dtype is
        that of `rgb` if it is floating point, float32 for uint8, and float64 for uint16.

    Raises
    ------
    ImageError
        If `rgb` does not have three channels or its dtype is not supported.
    """
    if isinstance(rgb, np.ndarray):
        return _channels_last(rgb_to_lab, rgb, space)
    codes = _unit_range(rgb)
    _three_channels(codes)
    xyz = torch.einsum("ij,...jhw->...ihw", _matrix(space, codes), space.curve.decode(codes))
    fx, fy, fz = _f(xyz).unbind(-3)
    return torch.stack((116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)), dim=-3)


@overload
def lab_to_rgb(lab: Tensor, space: ColorSpace = SRGB) -> Tensor: ...
@overload
def lab_to_rgb(lab: NDArray[np.generic], space: ColorSpace = SRGB) -> NDArray[np.floating]: ...
def lab_to_rgb(
    lab: Tensor | NDArray[np.generic], space: ColorSpace = SRGB
) -> Tensor | NDArray[np.floating]:
    """Convert CIELAB to RGB codes, the inverse of `rgb_to_lab`; differentiable for tensors.

    Parameters
    ----------
    lab : Tensor or ndarray
        Tensor ``(..., 3, H, W)`` or array ``(..., 3)``, floating point: L* in [0, 100], a* and b*
        in Lab units.
    space : ColorSpace
        The color space of the codes.

    Returns
    -------
    Tensor or ndarray
        Codes with the shape and dtype of `lab`. The codes of a color within the gamut are in
        [0, 1]. Codes are not clipped; `to_rgb` gives codes that always fit.

    Raises
    ------
    ImageError
        If `lab` does not have three channels or its dtype is not floating point.
    """
    if isinstance(lab, np.ndarray):
        return _channels_last(lab_to_rgb, lab, space)
    _three_channels(lab)
    if not lab.dtype.is_floating_point:
        raise ImageError(f"expected Lab in floating point, got {lab.dtype}; convert it first")
    lightness, a, b = lab.unbind(-3)
    fy = (lightness + 16) / 116
    xyz = _f_inverse(torch.stack((fy + a / 500, fy, fy - b / 200), dim=-3))
    linear = torch.einsum("ij,...jhw->...ihw", _matrix(space, lab, inverse=True), xyz)
    return space.curve.encode(linear)


def gray_codes(codes: Tensor, space: ColorSpace = SRGB) -> Tensor:
    """Compute the gray of RGB codes: the code of a neutral pixel with the same luminance.

    This function defines the promise that a colorized image has the gray of its input. It decodes
    the codes to linear light, computes the luminance Y with the middle row of the matrix
    (0.2126 R + 0.7152 G + 0.0722 B for sRGB, IEC 61966-2-1), encodes Y, and rounds it to the dtype
    of the input. It computes in float64. The gray of R = G = B = v is v.

    Parameters
    ----------
    codes : Tensor
        ``(..., 3, H, W)``, uint8, uint16, float32 or float64.
    space : ColorSpace
        The color space of the codes.

    Returns
    -------
    Tensor
        ``(..., H, W)``, with the dtype of `codes`.

    Raises
    ------
    ImageError
        If `codes` does not have three channels or its dtype is not supported.
    """
    _three_channels(codes)
    top = max_code(codes.dtype)
    linear = space.curve.decode(codes.to(torch.float64) / top)
    luminance = (linear * _matrix(space, linear)[1, :, None, None]).sum(-3)
    gray = _to_codes(space.curve.encode(luminance) * top, codes.dtype)
    # A sampled curve may have flat parts, in which several codes mean the same linear light.
    red, green, blue = (_comparable(channel) for channel in codes.unbind(-3))
    neutral = (red == green) & (green == blue)
    return torch.where(neutral, red, _comparable(gray)).to(codes.dtype)


def lightness(codes: Tensor, space: ColorSpace = SRGB) -> Tensor:
    """Compute the L* of a gray or RGB image.

    Parameters
    ----------
    codes : Tensor
        ``(H, W)`` gray or ``(3, H, W)`` RGB; uint8 or uint16 with its full range, or floating point
        in [0, 1]. An RGB image, such as a tinted scan, has the L* of its luminance.
    space : ColorSpace
        The color space of the codes.

    Returns
    -------
    Tensor
        ``(H, W)`` float32 in [0, 100].

    Raises
    ------
    ImageError
        If `codes` has a third axis of other than three channels or its dtype is not supported.
    """
    gray = codes if codes.ndim == 2 else gray_codes(codes, space)
    if gray.dtype in (torch.uint8, torch.uint16):
        table = code_tables(space, gray.dtype, gray.device).lightness
        return _look_up(table, gray.to(torch.int32))
    luminance = space.curve.decode(gray.to(torch.float64))
    return (116 * _f(luminance) - 16).to(torch.float32)


def max_code(dtype: torch.dtype) -> int:
    """Return the code of white.

    Parameters
    ----------
    dtype : torch.dtype
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
    if dtype in (torch.float32, torch.float64):
        return 1
    if dtype in (torch.uint8, torch.uint16):
        return 255 if dtype == torch.uint8 else 65535
    raise ImageError(
        f"expected codes of uint8, uint16 or floating point, got {dtype}; convert the image first"
    )


def to_rgb(gray: Tensor, ab: Tensor, space: ColorSpace = SRGB) -> Tensor:
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
    gray : Tensor
        ``(H, W)`` codes: uint8, uint16, or float32 or float64 in [0, 1].
    ab : Tensor
        ``(2, H, W)`` float32: a* and b* in Lab units. Any finite value is accepted.
    space : ColorSpace
        The color space of `gray` and of the result.

    Returns
    -------
    Tensor
        ``(3, H, W)`` codes, with the dtype of `gray`.

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
    luminance = space.curve.decode(gray.to(torch.float64))
    fy = _f(luminance)
    linear = _fit(luminance, fy, _f_inverse(fy), ab.to(torch.float64), space)
    weights = space.to_white_xyz[1]
    rgb = torch.stack([space.curve.encode(light.clamp_(0, 1)) for light in linear]).to(gray.dtype)
    # Each channel compensates for the rounding error of the luminance, the finest channels last.
    for channel in (1, 2, 0):
        light = space.curve.decode(rgb.to(torch.float64))
        missing = luminance - sum(w * x for w, x in zip(weights, light, strict=True))
        better = (light[channel] + missing / weights[channel]).clamp_(0, 1)
        rgb[channel] = space.curve.encode(better).to(gray.dtype)
    if gray.dtype == torch.float32:  # for float64, the check is no finer than the codes
        _match_gray(rgb, gray, gray_codes(rgb, space) != gray, space)
    return rgb


def _to_integer_rgb(gray: Tensor, ab: Tensor, space: ColorSpace) -> Tensor:
    """Compute `to_rgb` of integer codes in float32 with tables, and doubtful pixels in float64.

    All operations round in the same way in a processor's vector and scalar units (no powers, no
    fused multiply-add), so that the color of a pixel does not depend on its place in the tensor.
    """
    tables = code_tables(space, gray.dtype, gray.device)
    index = gray.to(torch.int32)
    weights = space.to_white_xyz[1]
    luminance = _look_up(tables.linear, index)
    fy, y = _look_up(tables.f, index), _look_up(tables.y, index)
    red, _, blue = _fit(luminance, fy, y, ab.to(torch.float32), space)
    red, blue = _nearest_codes(red, tables), _nearest_codes(blue, tables)
    result = _look_up(tables.linear, red).mul_(weights[0])
    result.add_(_look_up(tables.linear, blue).mul_(weights[2]))
    green = _nearest_codes((luminance - result).div_(weights[1]), tables)
    result.add_(_look_up(tables.linear, green).mul_(weights[1]))
    # The margin covers the float32 rounding of a sum of three products.
    wrong = result <= _look_up(tables.edges, index).mul_(1 + 5e-7)
    wrong.logical_or_(result >= _look_up(tables.edges, index + 1).mul_(1 - 5e-7))
    rgb = torch.stack((red, green, blue))
    _match_gray(rgb, gray, wrong, space)
    return rgb.to(gray.dtype)


def _nearest_codes(linear: Tensor, tables: "CodeTables") -> Tensor:
    """Find the int32 codes nearest to linear light in [0, 1]."""
    root = linear.clamp_(0, 1).sqrt().mul_(_ROOTS - 1)
    codes = _look_up(tables.code_of_root, root.to(torch.int32))  # may be one too low
    return codes.add_((linear >= _look_up(tables.edges, codes + 1)).int())


def _fit(
    luminance: Tensor, fy: Tensor, y: Tensor, ab: Tensor, space: ColorSpace
) -> tuple[Tensor, ...]:
    """Compute linear R, G, B of (L*, a*, b*), and reduce the chroma until they lie in [0, 1].

    `fy` is f(luminance), and `y` is the inverse of f at `fy`: the luminance except for rounding.
    The differences use `y` because the rounding error then cancels; otherwise it would tint dark
    grays.
    """
    # With d = (X, Z) - Y, each channel is Y + m d, because the rows of the inverse also sum to 1.
    rows = channel_rows(space)

    def channels(scale: Tensor | float, *pixels: Tensor) -> tuple[Tensor, ...]:
        luminance, fy, y, a, b = pixels
        dx = _f_inverse((a * scale).div_(500).add_(fy)).sub_(y)
        dz = _f_inverse((b * scale).div_(-200).add_(fy)).sub_(y)
        return tuple((x * dx).add_(luminance).add_(z * dz) for x, _, z in rows)

    pixels: tuple[Tensor, ...] = (luminance, fy, y, ab[0], ab[1])
    linear = channels(1.0, *pixels)
    outside = _out_of_gamut(linear)
    if bool(outside.any()):
        pixels = tuple(x[outside] for x in pixels)
        scale = torch.zeros_like(pixels[0])
        for step in _BISECTION:
            scale.add_(step * ~_out_of_gamut(channels(scale + step, *pixels)))
        for channel, fitting in zip(linear, channels(scale, *pixels), strict=True):
            channel[outside] = fitting
    return linear


def channel_rows(space: ColorSpace) -> list[list[float]]:
    """Invert `ColorSpace.to_white_xyz`: the rows give R, G and B from X/Xn, Y/Yn and Z/Zn.

    Parameters
    ----------
    space : ColorSpace
        The color space.

    Returns
    -------
    list of list of float
        3 x 3.
    """
    return torch.tensor(space.to_white_xyz, dtype=torch.float64).inverse().tolist()


def match_gray(rgb: NDArray[Any], gray: NDArray[Any], space: ColorSpace) -> NDArray[Any]:
    """Replace colors whose gray is wrong by the nearest colors whose gray is right.

    Parameters
    ----------
    rgb : ndarray
        (N, 3) codes, uint8 or uint16.
    gray : ndarray
        (N,) codes of the same dtype: the gray that each color must have.
    space : ColorSpace
        The color space of the codes.

    Returns
    -------
    ndarray
        (N, 3), with the dtype of `rgb`. Colors whose gray is right do not change.
    """
    codes = torch.from_numpy(rgb.astype(np.int32).T[:, None].copy())
    wanted = torch.from_numpy(gray[None].copy())
    _match_gray(codes, wanted, torch.ones(wanted.shape, dtype=torch.bool), space)
    return codes[:, 0].T.numpy().astype(rgb.dtype)


def _out_of_gamut(linear: tuple[Tensor, ...]) -> Tensor:
    lowest = torch.minimum(torch.minimum(linear[0], linear[1]), linear[2])
    highest = torch.maximum(torch.maximum(linear[0], linear[1]), linear[2])
    return (lowest < 0).logical_or_(highest > 1)


def _match_gray(rgb: Tensor, gray: Tensor, wrong: Tensor, space: ColorSpace) -> None:
    """Replace codes whose gray may be wrong, in place, by the nearest ones whose gray is right.

    If no neighboring code fits, the gray itself replaces them. Integer codes must be int32, because
    PyTorch supports few operations on uint16.
    """
    if not bool(wrong.any()):
        return
    nearby, wanted = rgb[:, wrong], gray[wrong].to(rgb.dtype)
    best = wanted.repeat(3, 1)
    found = torch.zeros_like(wanted, dtype=torch.bool)
    steps = sorted(product((-1, 0, 1), (-2, -1, 0, 1, 2), (-1, 0, 1)), key=_length)
    for step in steps:
        candidate = torch.stack(
            [_move(c, n, gray.dtype) for c, n in zip(nearby, step, strict=True)]
        )
        result = gray_codes(candidate[:, None].to(gray.dtype), space)[0].to(rgb.dtype)
        fits = (result == wanted) & ~found
        best[:, fits] = candidate[:, fits]
        found |= fits
        if bool(found.all()):
            break
    rgb[:, wrong] = best


def _move(codes: Tensor, count: int, dtype: torch.dtype) -> Tensor:
    """Move codes by `count` representable values of a dtype, within its range of codes."""
    if not codes.dtype.is_floating_point:
        return (codes + count).clamp(0, max_code(dtype))
    end = torch.full_like(codes, 1.0 if count > 0 else 0.0)
    for _ in range(abs(count)):
        codes = torch.nextafter(codes, end)
    return codes


def _length(step: tuple[int, ...]) -> tuple[int, int]:
    """Sort key: the shortest step first, then green, which changes the luminance most."""
    return step[0] ** 2 + step[1] ** 2 + step[2] ** 2, abs(step[0]) + abs(step[2])


@dataclass(frozen=True)
class CodeTables:
    """Tables that `to_rgb` and the compiled kernel look integer codes up in.

    Parameters
    ----------
    linear : Tensor
        (N,) float32: linear light of each code, in [0, 1].
    f : Tensor
        (N,) float32: f(linear) of CIELAB.
    y : Tensor
        (N,) float32: the inverse of f at `f`.
    lightness : Tensor
        (N,) float32: L* in [0, 100].
    edges : Tensor
        (N + 1,) float32: linear light between ``edges[code]`` and ``edges[code + 1]`` is rounded to
        ``code``.
    code_of_root : Tensor
        (M,) int32: the code of linear light, at equally spaced square roots of it from 0 to 1.
    """

    linear: Tensor
    f: Tensor
    y: Tensor
    lightness: Tensor
    edges: Tensor
    code_of_root: Tensor


@lru_cache(maxsize=16)
def code_tables(space: ColorSpace, dtype: torch.dtype, device: torch.device = _CPU) -> CodeTables:
    """Make the tables of the codes of a color space, or return them from a cache.

    Parameters
    ----------
    space : ColorSpace
        The color space.
    dtype : torch.dtype
        uint8 or uint16.
    device : torch.device
        The device of the tables.

    Returns
    -------
    CodeTables
    """
    top = max_code(dtype)
    codes = torch.arange(top + 1, dtype=torch.float64)
    linear = space.curve.decode(codes / top)
    f = _f(linear)
    edges = space.curve.decode((torch.arange(top + 2, dtype=torch.float64) - 0.5) / top)
    edges[0], edges[-1] = -torch.inf, torch.inf
    roots = torch.arange(_ROOTS, dtype=torch.float64) / (_ROOTS - 1)
    code_of_root = (space.curve.encode(roots**2) * top).round().clamp(0, top)
    f = f.to(torch.float32)
    return CodeTables(
        linear=linear.to(device, torch.float32),
        f=f.to(device),
        y=_f_inverse(f).to(device),
        lightness=(116 * f - 16).to(device),
        edges=edges.to(device, torch.float32),
        code_of_root=code_of_root.to(device, torch.int32),
    )


def _look_up(table: Tensor, index: Tensor) -> Tensor:
    """Return ``table[index]``; `index_select` is four times as fast."""
    return torch.index_select(table, 0, index.flatten()).view(index.shape)


def _comparable(codes: Tensor) -> Tensor:
    """Convert integer codes to int32, because PyTorch supports few operations on uint16."""
    return codes if codes.dtype.is_floating_point else codes.to(torch.int32)


def _to_codes(values: Tensor, dtype: torch.dtype) -> Tensor:
    if dtype.is_floating_point:
        return values.to(dtype)
    return values.round().clamp(0, max_code(dtype)).to(dtype)


def _unit_range(codes: Tensor) -> Tensor:
    if codes.dtype.is_floating_point:
        return codes
    top = max_code(codes.dtype)
    return codes.to(torch.float32 if top == 255 else torch.float64) / top


def _three_channels(codes: Tensor) -> None:
    if codes.ndim < 3 or codes.shape[-3] != 3:
        raise ImageError(
            "expected three channels, (..., 3, H, W) for a tensor or (..., 3) for an array, "
            f"got a tensor of {tuple(codes.shape)}"
        )


def _channels_last(
    convert: Callable[[Tensor, ColorSpace], Tensor], array: NDArray[np.generic], space: ColorSpace
) -> NDArray[np.floating]:
    if array.ndim < 1 or array.shape[-1] != 3:
        raise ImageError(
            f"expected an array (..., 3), got {array.shape}; pass channels-first data as a tensor"
        )
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    pixels = np.require(native.reshape(1, -1, 3), requirements=["C", "W"])
    converted = convert(torch.from_numpy(pixels).permute(2, 0, 1), space)
    result: NDArray[np.floating] = converted.permute(1, 2, 0).reshape(array.shape).numpy()
    return result
