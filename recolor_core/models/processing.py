"""What the networks do before and after their layers, for NumPy arrays and tensors alike.

`Generator` and `Refiner` add layers in PyTorch to these classes; `recolor_core.runtime.compiled`
adds a compiled program. Importing this module does not import PyTorch.
"""

from typing import TYPE_CHECKING, Any, TypeVar

from numpy.typing import NDArray

from recolor_core.arrays import namespace
from recolor_core.lab import AB_LIMIT
from recolor_core.models.bins import ColorBins
from recolor_core.models.config import SCALE, GeneratorConfig, RefinerConfig
from recolor_core.resampling import block_means, pad_to_multiple, resize

if TYPE_CHECKING:
    from torch import Tensor

Array = TypeVar("Array", NDArray[Any], "Tensor")
"""A NumPy array or a PyTorch tensor."""


class GeneratorProcessing(ColorBins):
    """A generator but for its layers, which are the method `logits`.

    Attributes
    ----------
    config : GeneratorConfig
        Its shape.
    """

    config: GeneratorConfig

    def forward(self, lightness: Array) -> Array:
        """Predict the logits of the color bins.

        Parameters
        ----------
        lightness : ndarray or Tensor
            (B, 1, H, W) float32: L* in [0, 100], any size.

        Returns
        -------
        ndarray or Tensor
            (B, Q, ceil(H / 4), ceil(W / 4)) for the Q `bins`.
        """
        return self.cropped(self.logits(self.padded(lightness)), lightness)  # type: ignore[no-any-return]

    def logits(self, x: Any) -> Any:
        """Compute the logits of padded lightness."""
        raise NotImplementedError

    def padded(self, lightness: Array) -> Array:
        """Scale lightness as `forward` takes it to [-1, 1] and pad it to whole cells of 1/32."""
        return pad_to_multiple(network_lightness(lightness), self.config.multiple)

    @staticmethod
    def cropped(logits: Array, lightness: Array) -> Array:
        """Cut what padding added from the logits."""
        height, width = (-(-size // SCALE) for size in lightness.shape[-2:])
        return logits[..., :height, :width]


class RefinerProcessing:
    """A refiner but for its layers, which are the method `residual`.

    Attributes
    ----------
    config : RefinerConfig
        Its shape.
    """

    config: RefinerConfig

    def forward(self, lightness: Array, ab: Array, hints: Array | None = None) -> Array:
        """Refine coarse ab.

        Parameters
        ----------
        lightness : ndarray or Tensor
            (B, 1, H, W) float32: L* in [0, 100], any size.
        ab : ndarray or Tensor
            (B, 2, ceil(H / 4), ceil(W / 4)): coarse a* and b*, in Lab units.
        hints : ndarray, Tensor or None
            (B, 3, ceil(H / 4), ceil(W / 4)): the mean a* and b* of the hints in a cell, in Lab
            units, times the third channel, which is the hinted part of the cell in [0, 1].

        Returns
        -------
        ndarray or Tensor
            (B, 2, H, W): a* and b*, in Lab units.
        """
        residual = self.residual(*self.inputs(lightness, ab, hints))
        return self.refined(residual, lightness, ab)  # type: ignore[no-any-return]

    def residual(self, x: Any, color: Any) -> Any:
        """Compute the residual of `inputs`."""
        raise NotImplementedError

    @staticmethod
    def inputs(lightness: Array, ab: Array, hints: Array | None) -> tuple[Array, Array]:
        """Scale what `forward` takes: padded lightness (1 channel), and color and hints (5)."""
        xp = namespace(ab)
        if hints is None:
            shape = (len(ab), 3, *ab.shape[-2:])
            hints = xp.zeros(shape, dtype=ab.dtype, device=ab.device)
        color = xp.concatenate((ab / AB_LIMIT, hints[:, :2] / AB_LIMIT, hints[:, 2:]), axis=1)
        return pad_to_multiple(network_lightness(lightness), SCALE), color

    def refined(self, residual: Array, lightness: Array, ab: Array) -> Array:
        """Add the detail of a residual to the upsampled coarse ab."""
        height, width = lightness.shape[-2:]
        refined = upsample(ab, SCALE) + AB_LIMIT * finer(residual, SCALE * self.config.detail)
        return refined[..., :height, :width]


def network_lightness(lightness: Array) -> Array:
    """Scale L* from [0, 100] to [-1, 1], as the encoders take it."""
    return lightness / 50 - 1


def upsample(ab: Array, scale: int) -> Array:
    """Upsample (B, 2, h, w) by a whole factor, bicubic: the baseline of the refiner."""
    return resize(ab, (scale * ab.shape[-2], scale * ab.shape[-1]), cubic=True)


def finer(ab: Array, block: int) -> Array:
    """Subtract what the means over blocks show, and keep the finer detail.

    Parameters
    ----------
    ab : ndarray or Tensor
        (B, 2, H, W), any unit.
    block : int
        Side of the blocks, in pixels; 0 subtracts nothing.

    Returns
    -------
    ndarray or Tensor
        (B, 2, H, W)
    """
    if not block:
        return ab
    smooth = upsample(block_means(pad_to_multiple(ab, block), block), block)
    return ab - smooth[..., : ab.shape[-2], : ab.shape[-1]]  # type: ignore[no-any-return]
