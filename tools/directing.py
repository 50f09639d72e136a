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
GREEN = "#308040"
SLEEVE = Region(
    (
        *((160, 420), (190, 400), (218, 394), (240, 430), (262, 460), (285, 480), (300, 500)),
        *((301, 530), (290, 575), (278, 615), (262, 650), (243, 675), (242, 700), (243, 780)),
        *((236, 815), (228, 818), (180, 775), (172, 750), (178, 720), (172, 690), (164, 650)),
        *((170, 625), (155, 575), (148, 520), (141, 490), (143, 445)),
    ),
    GREEN,
)
FRONT = Region(
    (
        *((452, 345), (465, 352), (496, 394), (485, 440), (475, 470), (470, 500), (468, 530)),
        *((480, 557), (520, 565), (570, 565), (572, 590), (560, 615), (553, 650), (535, 662)),
        *((510, 653), (490, 650), (460, 665), (430, 700), (410, 707), (394, 706), (404, 690)),
        *((422, 640), (426, 615), (433, 590), (437, 530), (437, 470), (457, 464), (459, 445)),
    ),
    GREEN,
)
BELOW = Region(((353, 625), (380, 660), (388, 668), (378, 700), (376, 712), (345, 710)), GREEN)

STEPS: tuple[tuple[Mark, ...], ...] = (
    (),
    (JACKET,),
    (JACKET, *SKIN),
    (JACKET, *SKIN, SLEEVE),
    (SLEEVE, FRONT, BELOW),  # the regions say it all
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
