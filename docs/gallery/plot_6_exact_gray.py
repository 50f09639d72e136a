"""
Check that the gray is exact
============================

The usual way from Lab to RGB clips the colors that do not fit, which changes the gray. Recolor
shrinks their chroma instead. This program compares the two on the same predicted colors, made more
vivid so that many do not fit.
"""

import warnings
from importlib.resources import files

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from skimage.color import lab2rgb
from skimage.transform import resize

from recolor_core import colorize


def gray_of(rgb: np.ndarray) -> np.ndarray:
    """Gray codes of 8-bit sRGB, by the formulas of IEC 61966-2-1."""
    code = rgb / 255
    linear = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    y = linear @ [0.2126, 0.7152, 0.0722]
    back = np.where(y <= 0.0031308, y * 12.92, 1.055 * y ** (1 / 2.4) - 0.055)
    return np.rint(back * 255).astype(np.uint8)


gray = np.asarray(Image.open(files("recolor_core") / "data/samples/colorado.png"))
result = colorize(gray, vividness=1, saturation=1.3)

ab = resize(result.ab_refined.transpose(1, 2, 0), (*gray.shape, 2), order=1)
with warnings.catch_warnings():  # scikit-image warns that it clips, which is the point here
    warnings.simplefilter("ignore")
    clipped = np.rint(lab2rgb(np.dstack([result.L, ab])) * 255).astype(np.uint8)

figure, axes = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
for axis, rgb, title in zip(axes, (clipped, result.rgb), ("clipped", "Recolor"), strict=True):
    error = np.abs(gray_of(rgb).astype(int) - gray)
    axis.imshow(error, cmap="magma", vmin=0, vmax=4)
    axis.set_title(f"{title}: gray differs at {(error > 0).mean():.2%} of the pixels")
    axis.axis("off")

assert (gray_of(result.rgb) == gray).all()
