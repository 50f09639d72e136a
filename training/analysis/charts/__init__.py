"""Drawings: every function takes numbers of `training.analysis` and returns a `Chart`."""

from training.analysis.charts.style import Chart

__all__ = ["Chart"]
