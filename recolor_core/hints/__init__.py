"""What a person says about the colors of an image: points, strokes, regions and masks.

`marks` has the marks themselves, `files` reads and writes them, `drawing` finds the pixels that
they cover, `things` finds what belongs together, and `spreading` puts their colors into an image.
`in_time` does so with the marks of several frames of a film.

The public names are those of `__init__.pyi`. Each is loaded when it is first used: marks and their
files do not import torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
