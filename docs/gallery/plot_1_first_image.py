"""
Color an image
==============

One call turns a gray array into color. The result also holds every intermediate stage.
"""

from importlib.resources import files

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from recolor_core import colorize

gray = np.asarray(Image.open(files("recolor_core") / "data/samples/colorado.png"))
result = colorize(gray)

figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for axis, image, title in zip(axes, (gray, result.rgb), ("input", "result"), strict=True):
    axis.imshow(image, cmap="gray")
    axis.set_title(title)
    axis.axis("off")
