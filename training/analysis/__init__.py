"""Analyze photographs and predictions. The numbers are computed here and drawn in `charts`."""
