"""Make the images of docs/directing.md: ``python tools/directing.py docs/directing``."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

import recolor_core
from recolor_core import Colorizer, Hint, Region, Stroke
from recolor_core.hints import Mark, write_hints

SAMPLE = Path(recolor_core.__file__).parent / "data" / "samples" / "migrant-mother.jpg"

JACKET = Hint(420, 480, "#308040", 12)
SKIN = (
    Hint(291, 425, kind="keep", radius=12),
    Stroke(((300, 500), (270, 600), (240, 700)), kind="keep", radius=10),
    Stroke(((380, 350), (400, 390), (385, 470)), kind="keep", radius=8),
    Hint(530, 440, kind="keep", radius=12),
)
SLEEVE = Region(
    (
        (149, 437),
        (204, 386),
        (255, 455),
        (300, 519),
        (291, 601),
        (246, 682),
        (233, 828),
        (182, 801),
        (167, 637),
    ),
    "#308040",
)
FRONT = Region(
    (
        (433, 364),
        (470, 446),
        (466, 500),
        (528, 555),
        (482, 610),
        (455, 677),
        (391, 706),
        (360, 699),
        (375, 628),
        (422, 500),
        (419, 410),
    ),
    "#308040",
)

STEPS: tuple[tuple[Mark, ...], ...] = (
    (),
    (JACKET,),
    (JACKET, *SKIN),
    (JACKET, *SKIN, SLEEVE),
    (JACKET, *SKIN, SLEEVE, FRONT),
)
"""The hints of each step."""


def main(folder: Path) -> None:
    """Write the image of each step, and the hint file of the last step."""
    folder.mkdir(parents=True, exist_ok=True)
    with Image.open(SAMPLE) as file:
        image = np.asarray(file)
    colorizer = Colorizer(device="cpu")
    for number, hints in enumerate(STEPS, 1):
        result = colorizer(image, hints=hints)
        picture = Image.fromarray(result.rgb)
        picture.thumbnail((480, 480))
        picture.save(folder / f"step-{number}.jpg", quality=88)
    write_hints(folder / "hints.json", STEPS[-1])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
