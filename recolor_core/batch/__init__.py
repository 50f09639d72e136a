"""Colorizing image files, one or a hundred thousand: each result appears whole, exactly once.

`image` makes the result of one file and tells whether it is there already; everything else here
repeats that over many files. Importing this package does not import torch.
"""
