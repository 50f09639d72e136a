"""
Compare the stages: coarse and refined color
============================================

The generator predicts color on a coarse grid; the refiner predicts it at the working size. Both are
in Lab units, so a difference in brightness below is a difference in number.
"""

from importlib.resources import files

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from recolor_core import colorize

gray = np.asarray(Image.open(files("recolor_core") / "data/samples/migrant-mother.jpg"))
result = colorize(gray)

images = {
    "a* coarse": result.ab_coarse[0],
    "a* refined": result.ab_refined[0],
    "b* coarse": result.ab_coarse[1],
    "b* refined": result.ab_refined[1],
}
figure, axes = plt.subplots(1, 5, figsize=(13, 3.6), layout="constrained")
for axis, (title, ab) in zip(axes, images.items(), strict=False):
    shown = axis.imshow(ab, cmap="RdBu_r", vmin=-40, vmax=40)
    axis.set_title(title)
    axis.axis("off")
figure.colorbar(shown, ax=axes[:4], label="Lab units", shrink=0.7)

# %%
# The last image is the uncertainty: how far apart the plausible colors lie.
shown = axes[4].imshow(result.uncertainty, cmap="inferno", vmin=0)
axes[4].set_title("uncertainty")
axes[4].axis("off")
figure.colorbar(shown, ax=axes[4], shrink=0.7)
figure
