"""The napari plugin: colorize layers, look at every stage."""
