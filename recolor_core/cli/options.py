"""Options that images and films share."""

from typing import Annotated

import typer

Weights = Annotated[
    str, typer.Option(metavar="NAME|FILE", help="Which networks: see `recolor weights`.")
]
Device = Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, mps, cuda, cuda:1, ...")]
Vividness = Annotated[
    float, typer.Option(help="From 0, conservative, to 1, vivid; 0.3 to 0.5 err least.")
]
Saturation = Annotated[
    float, typer.Option(help="Factor on the colors, 0 to 4; 1 leaves them as predicted.")
]
Size = Annotated[int, typer.Option(help="Short side that the networks see, 32 to 4096 pixels.")]
Views = Annotated[
    int,
    typer.Option(help="Views of the image to average over, 1 or 2: errs less, takes longer."),
]
Palette = Annotated[
    str | None,
    typer.Option(
        metavar="COLORS|FILE",
        help='Colors to work towards: "#5b3a1e,#6ca0dc", or a reference image.',
    ),
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Tell errors alone.")]
