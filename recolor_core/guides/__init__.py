"""What is known about the frames of a film or stack before they are colored.

A first pass over small copies of the frames finds the shots (`shots`) and follows hints through
them in both directions (`hints`). `cleaning` makes a copy without wear for the networks to look at.
`film` gives all of it to `recolor_core.frames`.
"""
