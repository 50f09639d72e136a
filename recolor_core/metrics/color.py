"""How far colors are from the true ones, pixel by pixel, and how colorful they are.

No one of these is enough. The squared errors prefer a timid gray-brown to a lively image with
some wrong hues, colorfulness alone prefers a garish one: report them together.
"""

import torch
from torch import Tensor

_CHROMA_KNEE = 25.0**7  # CIEDE2000: chroma at which the correction of a* and the rotation set in


def ab_mse(ab: Tensor, true: Tensor) -> Tensor:
    """Mean squared error of a* and b* of each image; 0 is best.

    The mean over pixels and both channels, so half the mean squared chroma distance.

    Parameters
    ----------
    ab, true
        (B, 2, H, W), Lab units.

    Returns
    -------
    Tensor
        (B,), squared Lab units, at least 0.
    """
    return (ab - true).square().mean(dim=(1, 2, 3))


def ab_rmse(ab: Tensor, true: Tensor) -> Tensor:
    """Root of `ab_mse` of each image: (B,), Lab units, at least 0; 0 is best."""
    return ab_mse(ab, true).sqrt()


def coarse_error(ab: Tensor, true: Tensor) -> Tensor:
    """Mean squared error of a* and b* divided by 255, of each image.

    Parameters
    ----------
    ab, true
        (B, 2, h, w), Lab units. Customarily at a quarter of the working size, 56 x 56.

    Returns
    -------
    Tensor
        (B,), at least 0; 0 is best.
    """
    return ((ab - true) / 255).square().mean(dim=(1, 2, 3))


def psnr(rgb: Tensor, true: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of each image, over its three channels as one.

    ``-10 log10(MSE)`` for codes whose peak is 1.

    Parameters
    ----------
    rgb, true
        (B, 3, H, W), codes in [0, 1].

    Returns
    -------
    Tensor
        (B,), in [0, 100]; at most 100, for equal images too.
    """
    return _decibels((rgb - true).square().mean(dim=(1, 2, 3)))


def channel_psnr(rgb: Tensor, true: Tensor) -> Tensor:
    """`psnr` of red, green and blue apart: (B, 3), in [0, 100] dB."""
    return _decibels((rgb - true).square().mean(dim=(2, 3)))


def ciede2000(lab: Tensor, true: Tensor) -> Tensor:
    """CIEDE2000 color difference of each pixel (Sharma, Wu and Dalal 2005), kL = kC = kH = 1.

    About 1 is the least difference that people see side by side. Symmetric; it is 0 for equal
    colors alone.

    Parameters
    ----------
    lab, true
        (B, 3, H, W), L*, a* and b* in Lab units.

    Returns
    -------
    Tensor
        (B, H, W), at least 0; of black and white it is 100.
    """
    (light, a, b), (true_light, true_a, true_b) = lab.unbind(1), true.unbind(1)
    # Neutral colors get more room along a*.
    mean_chroma = (torch.hypot(a, b) + torch.hypot(true_a, true_b)) / 2
    stretch = 1.5 - 0.5 * _saturation(mean_chroma)
    a, true_a = a * stretch, true_a * stretch
    chroma, true_chroma = torch.hypot(a, b), torch.hypot(true_a, true_b)
    hue, true_hue = _degrees(b, a), _degrees(true_b, true_a)

    # Hues are compared the short way round. That of a gray is arbitrary and counts for nothing: its
    # chroma makes the step of hue 0.
    turn, total = true_hue - hue, hue + true_hue
    wraps = turn.abs() > 180
    turn = torch.where(wraps, turn - 360 * turn.sign(), turn)
    around = torch.where(total < 360, total + 360, total - 360)
    mean_hue = torch.where(wraps, around, total) / 2

    chroma_step = true_chroma - chroma
    hue_step = 2 * (chroma * true_chroma).sqrt() * _sin(turn / 2)
    mean_light, mean_chroma = (light + true_light) / 2, (chroma + true_chroma) / 2
    shape = (
        1
        - 0.17 * _cos(mean_hue - 30)
        + 0.24 * _cos(2 * mean_hue)
        + 0.32 * _cos(3 * mean_hue + 6)
        - 0.20 * _cos(4 * mean_hue - 63)
    )
    from_middle = (mean_light - 50).square()
    light_step = (true_light - light) / (1 + 0.015 * from_middle / (20 + from_middle).sqrt())
    chroma_step = chroma_step / (1 + 0.045 * mean_chroma)
    hue_step = hue_step / (1 + 0.015 * mean_chroma * shape)
    # In the blues, chroma and hue are not independent.
    blueness = 30 * (-((mean_hue - 275) / 25).square()).exp()
    rotation = -2 * _saturation(mean_chroma) * _sin(2 * blueness)
    squares = light_step.square() + chroma_step.square() + hue_step.square()
    return (squares + rotation * chroma_step * hue_step).clamp(min=0).sqrt()


def mean_ciede2000(lab: Tensor, true: Tensor) -> Tensor:
    """Mean of `ciede2000` over the pixels of each image: (B,), at least 0; 0 is best."""
    return ciede2000(lab, true).mean(dim=(1, 2))


def colorfulness(rgb: Tensor) -> Tensor:
    """Colorfulness M3 of Hasler and Suesstrunk (2003) of each image; 0 is gray.

    It knows nothing of the true colors; compare it over a set of images with theirs by
    `difference_of_means`, `mean_of_differences` and `ratio_of_means`.

    Parameters
    ----------
    rgb
        (B, 3, H, W), codes in [0, 1].

    Returns
    -------
    Tensor
        (B,), at least 0. The authors call 15 slightly, 45 averagely and 82 highly colorful.
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
    """Hue angle in [0, 360)."""
    return torch.rad2deg(torch.atan2(b, a)) % 360


def _sin(degrees: Tensor) -> Tensor:
    return torch.deg2rad(degrees).sin()


def _cos(degrees: Tensor) -> Tensor:
    return torch.deg2rad(degrees).cos()
