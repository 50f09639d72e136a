"""
Choose the vividness
====================

Vividness 0 is the mean of all plausible colors, and pale. Vividness 1 is as colorful as photographs
are on average, and errs more. The generator runs once: only the steps after it are repeated.
"""

from importlib.resources import files

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from recolor_core import Colorizer, Settings, read_gray

gray = np.asarray(Image.open(files("recolor_core") / "data/samples/saratoga.jpg"))
colorizer = Colorizer()
coarse = colorizer.generate(read_gray(gray))

figure, axes = plt.subplots(1, 3, figsize=(13, 3.6), layout="constrained")
for axis, vividness in zip(axes, (0, 0.5, 1), strict=True):
    result = colorizer.refine(coarse, Settings(vividness=vividness))
    axis.imshow(result.rgb)
    axis.set_title(f"vividness {vividness}")
    axis.axis("off")
