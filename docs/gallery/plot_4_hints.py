"""
Say what you know: color hints
==============================

A hint says which color a place has. Its color spreads over the thing that it lies on.
"""

from importlib.resources import files

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from recolor_core import Colorizer, Hint

gray = np.asarray(Image.open(files("recolor_core") / "data/samples/migrant-mother.jpg"))
colorizer = Colorizer()
hint = Hint(x=420, y=480, color="#308040", radius=12)

figure, axes = plt.subplots(1, 2, figsize=(9, 5.5), layout="constrained")
axes[0].imshow(colorizer(gray).rgb)
axes[0].set_title("without a hint")
axes[1].imshow(colorizer(gray, hints=[hint]).rgb)
axes[1].plot(
    hint.x, hint.y, "o", markersize=10, markerfacecolor=hint.color, markeredgecolor="white"
)
axes[1].set_title("one green hint on the jacket")
for axis in axes:
    axis.axis("off")
