"""Draw charts. Each function takes numbers from `training.analysis` and returns a `Chart`."""

from training.analysis.charts.style import Chart

__all__ = ["Chart"]
