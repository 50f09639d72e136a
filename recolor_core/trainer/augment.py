"""Augmentation of a batch on its device: crops, flips, tone curves, and lightness that looks old.

The random parameters of a batch are drawn on the CPU, so that they do not depend on how many
devices share the batch; noise is drawn on the device. `torchvision.transforms.v2` draws one set of
parameters for a whole batch, from the global generator, and is not used here.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from recolor_core.lab import SRGB, rgb_to_lab


def uniform(rng: torch.Generator, count: int, low: float, high: float, rows: slice) -> Tensor:
    """Draw a number for each image of a batch of `count` and return those of `rows`."""
    return (low + (high - low) * torch.rand(count, generator=rng))[rows]


def photographs(
    rgb: Tensor,
    size: int,
    zoom: float,
    mounted: float,
    degraded: float,
    rng: torch.Generator,
    count: int,
    rows: slice,
) -> tuple[Tensor, Tensor]:
    """Random squares of photographs, and their lightness as an old camera may have taken it.

    Parameters
    ----------
    rgb
        (B, 3, S, S) uint8: sRGB codes of this device's images.
    size
        Side of the squares.
    zoom
        Smallest side of a square as a share of S.
    mounted
        Probability with which a photograph lies within a neutral border.
    degraded
        Probability with which an image's lightness is made to look old.
    rng
        Draws for the whole batch.
    count, rows
        Images in the whole batch, and which of them are here.

    Returns
    -------
    tuple of Tensor
        Codes in [0, 1], (B, 3, size, size), and L* in [0, 100], (B, 1, size, size).
    """
    codes = crop_and_flip(rgb.float() / 255, size, zoom, rng, count, rows)
    codes = mount(codes, mounted, rng, count, rows)
    light = degrade(codes, degraded, rng, count, rows)
    return codes, tone_curve(light, rng, count, rows)


def crop_and_flip(
    rgb: Tensor, size: int, smallest: float, rng: torch.Generator, count: int, rows: slice
) -> Tensor:
    """A random square of each image, every other one mirrored.

    Parameters
    ----------
    rgb
        (B, 3, S, S), codes in [0, 1].
    size
        Side of the result.
    smallest
        Smallest side of the square, as a share of S.
    """
    side = uniform(rng, count, smallest, 1, rows)
    across, down = (uniform(rng, count, -1, 1, rows) * (1 - side) for _ in range(2))
    mirror = uniform(rng, count, -1, 1, rows).sign()
    theta = torch.zeros(len(rgb), 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = side * mirror, side
    theta[:, 0, 2], theta[:, 1, 2] = across, down
    grid = F.affine_grid(theta.to(rgb.device), [len(rgb), 3, size, size], align_corners=False)
    return F.grid_sample(rgb, grid, padding_mode="border", align_corners=False)


def mount(rgb: Tensor, probability: float, rng: torch.Generator, count: int, rows: slice) -> Tensor:
    """Lay neutral borders over the margins of some images, as mounts, rims, and film do.

    Each of the four borders takes up to a fifth of a side; a third of them is left out. All borders
    of an image have one tone, from black film to white paper, with the grain of paper.

    Parameters
    ----------
    rgb
        (B, 3, H, W), codes in [0, 1].
    probability
        Probability with which an image has borders.

    Returns
    -------
    Tensor
        The shape of `rgb`; R = G = B within a border.
    """
    there = uniform(rng, count, 0, 1, rows) < probability
    y, x = (torch.linspace(0, 1, n, device=rgb.device) for n in rgb.shape[-2:])
    inside = torch.ones_like(rgb[:, :1], dtype=torch.bool)
    for distance in (y[:, None], 1 - y[:, None], x, 1 - x):
        width = uniform(rng, count, -0.1, 0.2, rows)
        inside &= distance >= _fit(torch.where(there, width, -1.0), rgb)
    tone = _fit(uniform(rng, count, 0, 1, rows), rgb)
    seed = int(torch.randint(2**62, (), generator=rng)) + rows.start
    noise = torch.Generator(rgb.device).manual_seed(seed)
    paper = tone + 0.006 * torch.randn(
        inside.shape, generator=noise, device=rgb.device, dtype=rgb.dtype
    )
    return torch.where(inside, rgb, paper.clamp(0, 1))


def tone_curve(lightness: Tensor, rng: torch.Generator, count: int, rows: slice) -> Tensor:
    """L* through a random curve that keeps black and white: gammas from 2/3 to 3/2.

    Exposure, development and printing differ; the colors of a scene do not.
    """
    gamma = torch.exp(uniform(rng, count, -1, 1, rows) * math.log(1.5))
    return 100 * (lightness / 100).clamp(0, 1) ** _fit(gamma, lightness)


def degrade(
    rgb: Tensor, probability: float, rng: torch.Generator, count: int, rows: slice
) -> Tensor:
    """L* of images, some of which are made to look like historic photographs.

    Each of those gets some of: the response of orthochromatic or blue-sensitive emulsion, fading,
    uneven exposure, blur, grain, scratches and dust, and JPEG compression, in the order in which
    they happen to a photograph.

    Parameters
    ----------
    rgb
        (B, 3, H, W), codes in [0, 1].
    probability
        With which an image is degraded.

    Returns
    -------
    Tensor
        (B, 1, H, W), L* in [0, 100].
    """
    device = rgb.device
    seed = int(torch.randint(2**62, (), generator=rng))
    noise = torch.Generator(device).manual_seed(seed + rows.start)  # no two devices have the same
    old = uniform(rng, count, 0, 1, rows) < probability

    def some(probability: float) -> Tensor:
        """Which images are affected."""
        return _fit((uniform(rng, count, 0, 1, rows) < probability) & old, rgb)

    light = rgb_to_lab(rgb)[:, :1]
    light = torch.where(some(0.3), orthochromatic(rgb, rng, count, rows), light)
    light = torch.where(some(0.4), fade(light, rng, count, rows), light)
    light = torch.where(some(0.3), expose_unevenly(light, rng, count, rows), light)
    light = torch.where(some(0.4), blur(light, rng, count, rows), light)
    light = torch.where(some(0.6), grain(light, rng, count, rows, noise), light)
    light = torch.where(some(0.3), scratch(light, rng, count, rows), light)
    pressed, quality = some(0.4), uniform(rng, count, 25, 90, rows)
    light = torch.where(pressed, compress(light, quality), light)
    return light.clamp(0, 100)


def orthochromatic(rgb: Tensor, rng: torch.Generator, count: int, rows: slice) -> Tensor:
    """L* as an emulsion saw it that is blind to red: skies white, lips and brick dark."""
    blue = _fit(uniform(rng, count, 0.3, 0.9, rows), rgb)[:, 0]
    linear = SRGB.curve.decode(rgb)
    luminance = blue * linear[:, 2] + (1 - blue) * (0.9 * linear[:, 1] + 0.1 * linear[:, 0])
    gray = SRGB.curve.encode(luminance)[:, None].expand(-1, 3, -1, -1)
    return rgb_to_lab(gray)[:, :1]


def fade(light: Tensor, rng: torch.Generator, count: int, rows: slice) -> Tensor:
    """Less contrast between a lifted black and a dimmed white."""
    black, white = (uniform(rng, count, *span, rows) for span in ((0, 30), (70, 100)))
    low, high = _fit(black, light), _fit(white, light)
    return low + light / 100 * (high - low)


def expose_unevenly(light: Tensor, rng: torch.Generator, count: int, rows: slice) -> Tensor:
    """A light or dark cloud over part of the image, and vignetting."""
    field = torch.randn(count, 1, 3, 3, generator=rng)[rows].to(light.device)
    field = F.interpolate(field, size=light.shape[-2:], mode="bicubic")
    strength = _fit(uniform(rng, count, 3, 12, rows), light)
    y, x = (torch.linspace(-1, 1, n, device=light.device) for n in light.shape[-2:])
    corner = _fit(uniform(rng, count, 0, 15, rows), light)
    return light + strength * field - corner * (y[:, None] ** 2 + x**2)


def blur(light: Tensor, rng: torch.Generator, count: int, rows: slice) -> Tensor:
    """A Gaussian of sigma 0.5 to 2.5 pixels, a lens or a hand that was not steady."""
    sigma = _fit(uniform(rng, count, 0.5, 2.5, rows), light)
    reach = 6
    x = torch.arange(-reach, reach + 1, device=light.device)
    kernel = torch.exp(-(x**2) / (2 * sigma[:, 0] ** 2))
    kernel = (kernel / kernel.sum(-1, keepdim=True))[:, None]  # (B, 1, 1, 13)
    padded = F.pad(light, (reach,) * 4, mode="replicate").transpose(0, 1)
    across = F.conv2d(padded, kernel, groups=len(light))
    both = F.conv2d(across, kernel.transpose(-1, -2), groups=len(light))
    return both.transpose(0, 1)


def grain(
    light: Tensor, rng: torch.Generator, count: int, rows: slice, noise: torch.Generator
) -> Tensor:
    """Silver grain: noise of one to two pixels in size, strongest in the middle tones."""
    strength = _fit(uniform(rng, count, 1, 8, rows), light)
    coarse = _fit(uniform(rng, count, 0, 1, rows), light)
    fine = torch.randn(light.shape, generator=noise, device=light.device)
    smooth = 2.5 * F.avg_pool2d(fine, 3, stride=1, padding=1)
    middle = 1 - ((light - 50) / 70) ** 2
    return light + strength * middle * torch.lerp(fine, smooth, coarse)


def scratch(light: Tensor, rng: torch.Generator, count: int, rows: slice) -> Tensor:
    """Up to four thin lines and twelve specks, white or black, on each image."""
    height, width = light.shape[-2:]
    y = torch.arange(height, device=light.device)[:, None]
    x = torch.arange(width, device=light.device)
    for number in range(16):
        there = _fit(uniform(rng, count, 0, 1, rows) < 0.5, light)
        tone = _fit(uniform(rng, count, -1, 1, rows).sign() * 50 + 50, light)
        place_x = _fit(uniform(rng, count, 0, width, rows), light)
        place_y = _fit(uniform(rng, count, 0, height, rows), light)
        slope = _fit(uniform(rng, count, -0.3, 0.3, rows), light)
        radius = _fit(uniform(rng, count, 0.4, 1.2, rows), light)
        if number < 4:
            mark = (x - place_x - slope * (y - place_y)).abs() <= radius
        else:
            mark = (x - place_x) ** 2 + (y - place_y) ** 2 <= (1.5 * radius) ** 2
        light = torch.where(mark & there, tone, light)
    return light


def compress(light: Tensor, quality: Tensor) -> Tensor:
    """L* as a JPEG file keeps it.

    The lossy part of a baseline JPEG is computed on the device: the discrete cosine transform of
    blocks of 8 x 8 pixels, and its quantization by the luminance table of ITU-T T.81, annex K.1,
    scaled by the quality as the Independent JPEG Group's encoder does.

    Parameters
    ----------
    light : Tensor
        (B, 1, H, W), L* in [0, 100].
    quality : Tensor
        (B,), quality of the encoder, 1 to 100.

    Returns
    -------
    Tensor
        (B, 1, H, W), L* in [0, 100].
    """
    height, width = light.shape[-2:]
    padded = F.pad(light, (0, -width % 8, 0, -height % 8), mode="replicate")
    codes = (padded.clamp(0, 100) * 2.55).round() - 128
    rows, columns = codes.shape[-2] // 8, codes.shape[-1] // 8
    blocks = codes.view(-1, 1, rows, 8, columns, 8).transpose(3, 4)
    quality = quality.floor()
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)[:, None, None]
    steps = ((LUMINANCE_STEPS * scale + 50) / 100).floor().clamp(1, 255)
    steps = steps[:, None, None, None].to(light.device)
    basis = _cosine_basis().to(light.device)
    quantized = (basis @ blocks @ basis.T / steps).round() * steps
    decoded = (basis.T @ quantized @ basis + 128).round().clamp(0, 255) / 2.55
    image: Tensor = decoded.transpose(3, 4).reshape(padded.shape)[..., :height, :width]
    return image


LUMINANCE_STEPS = torch.tensor(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    dtype=torch.float32,
)
"""Steps of quantization of the luminance at quality 50 (ITU-T T.81, table K.1)."""


def _cosine_basis() -> Tensor:
    """The orthonormal discrete cosine transform (DCT-II) of 8 samples, (8, 8)."""
    k, n = torch.arange(8.0)[:, None], torch.arange(8.0)
    basis = torch.cos(math.pi / 8 * (n + 0.5) * k) / 2
    basis[0] /= math.sqrt(2)
    return basis


def _fit(value: Tensor, like: Tensor) -> Tensor:
    """(B,) -> (B, 1, 1, 1) on the device of `like`."""
    return value.to(like.device)[:, None, None, None]
