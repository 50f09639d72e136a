"""Color errors of pixels, and colorfulness.

None of these metrics is enough by itself. Squared errors prefer a dull gray-brown image to a vivid
image with some wrong hues. Colorfulness prefers a garish image. Report them together.
"""

import torch
from torch import Tensor

_CHROMA_KNEE = 25.0**7  # CIEDE2000: seventh power of the chroma at which the corrections change


def chroma(ab: Tensor) -> Tensor:
    """Compute the chroma: the length of the vector of a* and b*.

    Parameters
    ----------
    ab : Tensor
        (B, 2, ...): a* and b*, or a difference of two, in Lab units.

    Returns
    -------
    Tensor
        (B, ...), Lab units, at least 0. `Tensor.norm` takes a hundred times as long on a CPU.
    """
    return torch.hypot(ab[:, 0], ab[:, 1])


def ab_mse(ab: Tensor, true: Tensor) -> Tensor:
    """Compute the mean squared error of a* and b* of each image.

    The mean is over the pixels and both channels, so it is half the mean squared chroma distance.

    Parameters
    ----------
    ab, true : Tensor
        (B, 2, H, W): predicted and true a* and b* in Lab units.

    Returns
    -------
    Tensor
        (B,), squared Lab units, at least 0; 0 is best.
    """
    return (ab - true).square().mean(dim=(1, 2, 3))


def ab_rmse(ab: Tensor, true: Tensor) -> Tensor:
    """Compute the square root of `ab_mse` of each image.

    Parameters
    ----------
    ab, true : Tensor
        (B, 2, H, W): predicted and true a* and b* in Lab units.

    Returns
    -------
    Tensor
        (B,), Lab units, at least 0; 0 is best.
    """
    return ab_mse(ab, true).sqrt()


def coarse_error(ab: Tensor, true: Tensor) -> Tensor:
    """Compute the mean squared error of a* / 255 and b* / 255 of each image.

    Parameters
    ----------
    ab, true : Tensor
        (B, 2, h, w): predicted and true a* and b* in Lab units, usually at a quarter of the working
        size, 56 x 56.

    Returns
    -------
    Tensor
        (B,), at least 0; 0 is best.
    """
    return ((ab - true) / 255).square().mean(dim=(1, 2, 3))


def psnr(rgb: Tensor, true: Tensor) -> Tensor:
    """Compute the peak signal-to-noise ratio of each image over all three channels.

    The formula is ``-10 log10(MSE)`` for codes whose peak is 1.

    Parameters
    ----------
    rgb, true : Tensor
        (B, 3, H, W): predicted and true codes in [0, 1].

    Returns
    -------
    Tensor
        (B,), in [0, 100] dB. The value is limited to 100, also for equal images.
    """
    return _decibels((rgb - true).square().mean(dim=(1, 2, 3)))


def channel_psnr(rgb: Tensor, true: Tensor) -> Tensor:
    """Compute the peak signal-to-noise ratio of each channel, as in `psnr`.

    Parameters
    ----------
    rgb, true : Tensor
        (B, 3, H, W): predicted and true codes in [0, 1].

    Returns
    -------
    Tensor
        (B, 3), in [0, 100] dB.
    """
    return _decibels((rgb - true).square().mean(dim=(2, 3)))


def ciede2000(lab: Tensor, true: Tensor) -> Tensor:
    """Compute the CIEDE2000 color difference of each pixel (Sharma, Wu and Dalal 2005).

    The parametric factors are kL = kC = kH = 1. The smallest difference that people see side by
    side is about 1. The metric is symmetric, and it is 0 only for equal colors.

    Parameters
    ----------
    lab, true : Tensor
        (B, 3, H, W): predicted and true L*, a* and b* in Lab units.

    Returns
    -------
    Tensor
        (B, H, W), at least 0. The difference between black and white is 100.
    """
    (lightness, a, b), (true_lightness, true_a, true_b) = lab.unbind(1), true.unbind(1)
    # The scale of a* is stretched near neutral colors.
    mean_chroma = (torch.hypot(a, b) + torch.hypot(true_a, true_b)) / 2
    stretch = 1.5 - 0.5 * _saturation(mean_chroma)
    a, true_a = a * stretch, true_a * stretch
    chroma, true_chroma = torch.hypot(a, b), torch.hypot(true_a, true_b)
    hue, true_hue = _degrees(b, a), _degrees(true_b, true_a)

    # The difference of hues is the shorter way around the circle. The hue of a gray is arbitrary,
    # but has no effect because the chroma of 0 makes the hue step 0.
    turn, total = true_hue - hue, hue + true_hue
    wraps = turn.abs() > 180
    turn = torch.where(wraps, turn - 360 * turn.sign(), turn)
    around = torch.where(total < 360, total + 360, total - 360)
    mean_hue = torch.where(wraps, around, total) / 2

    chroma_step = true_chroma - chroma
    hue_step = 2 * (chroma * true_chroma).sqrt() * _sin(turn / 2)
    mean_lightness, mean_chroma = (lightness + true_lightness) / 2, (chroma + true_chroma) / 2
    shape = (
        1
        - 0.17 * _cos(mean_hue - 30)
        + 0.24 * _cos(2 * mean_hue)
        + 0.32 * _cos(3 * mean_hue + 6)
        - 0.20 * _cos(4 * mean_hue - 63)
    )
    from_middle = (mean_lightness - 50).square()
    lightness_step = true_lightness - lightness
    lightness_step = lightness_step / (1 + 0.015 * from_middle / (20 + from_middle).sqrt())
    chroma_step = chroma_step / (1 + 0.045 * mean_chroma)
    hue_step = hue_step / (1 + 0.015 * mean_chroma * shape)
    # Chroma and hue are not independent for blue colors.
    blueness = 30 * (-((mean_hue - 275) / 25).square()).exp()
    rotation = -2 * _saturation(mean_chroma) * _sin(2 * blueness)
    squares = lightness_step.square() + chroma_step.square() + hue_step.square()
    return (squares + rotation * chroma_step * hue_step).clamp(min=0).sqrt()


def mean_ciede2000(lab: Tensor, true: Tensor) -> Tensor:
    """Compute the mean of `ciede2000` over the pixels of each image.

    Parameters
    ----------
    lab, true : Tensor
        (B, 3, H, W): predicted and true L*, a* and b* in Lab units.

    Returns
    -------
    Tensor
        (B,), at least 0; 0 is best.
    """
    return ciede2000(lab, true).mean(dim=(1, 2))


def colorfulness(rgb: Tensor) -> Tensor:
    """Compute the colorfulness M3 of each image (Hasler and Suesstrunk 2003).

    Colorfulness does not depend on the true colors. Use `difference_of_means`,
    `mean_of_differences` and `ratio_of_means` to compare it with the colorfulness of the true
    images over a set.

    Parameters
    ----------
    rgb : Tensor
        (B, 3, H, W): codes in [0, 1].

    Returns
    -------
    Tensor
        (B,), at least 0; gray is 0. The authors call 15 slightly, 45 averagely and 82 highly
        colorful.
    """
    red, green, blue = (255 * rgb).unbind(1)
    opponents = torch.stack((red - green, (red + green) / 2 - blue), dim=1)
    deviation = opponents.std(dim=(2, 3), correction=0).norm(dim=1)
    result: Tensor = deviation + 0.3 * opponents.mean(dim=(2, 3)).norm(dim=1)
    return result


def _decibels(error: Tensor) -> Tensor:
    ratio: Tensor = -10 * error.clamp(min=1e-10).log10()
    return ratio


def _saturation(chroma: Tensor) -> Tensor:
    power = chroma**7
    return (power / (power + _CHROMA_KNEE)).sqrt()


def _degrees(b: Tensor, a: Tensor) -> Tensor:
    """Compute the hue angle in [0, 360) degrees."""
    return torch.rad2deg(torch.atan2(b, a)) % 360


def _sin(degrees: Tensor) -> Tensor:
    return torch.deg2rad(degrees).sin()


def _cos(degrees: Tensor) -> Tensor:
    return torch.deg2rad(degrees).cos()
