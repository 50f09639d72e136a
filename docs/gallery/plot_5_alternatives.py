"""
Look at alternatives
====================

The same distribution allows other colorings, in which things have other colors. Where the
alternatives differ, the networks are unsure.
"""

from importlib.resources import files

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from recolor_core import colorize

gray = np.asarray(Image.open(files("recolor_core") / "data/samples/chinatown.tif"))
result = colorize(gray, alternatives=3)

figure, axes = plt.subplots(1, 4, figsize=(13, 4), layout="constrained")
images = (result.rgb, *result.alternatives)
for axis, image, title in zip(axes, images, ("result", *"123"), strict=True):
    axis.imshow(image.astype(np.float32) / np.iinfo(image.dtype).max)
    axis.set_title(title if title == "result" else f"alternative {title}")
    axis.axis("off")
