"""Metrics of colorized images that training, validation and evaluation report.

Metrics of single images take batches and return one value for each image, ``(B,)``.
`bootstrap_interval` combines the values of many images.
"""

from recolor_core.metrics.color import (
    ab_mse,
    ab_rmse,
    channel_psnr,
    ciede2000,
    coarse_error,
    colorfulness,
    mean_ciede2000,
    psnr,
)
from recolor_core.metrics.fidelity import LightnessFidelity, lightness_fidelity
from recolor_core.metrics.flaws import black_chroma, bleeding, blotches, cast, white_chroma
from recolor_core.metrics.intervals import (
    bootstrap_interval,
    difference_of_means,
    mean_of_differences,
    ratio_of_means,
    wilson_interval,
)
from recolor_core.metrics.named import THINGS, named_errors, where_is
from recolor_core.metrics.structure import (
    EDGE_BAND,
    EDGE_GRADIENT,
    SSIM_WINDOW,
    channel_ssim,
    edge_band,
    edge_error,
    ssim,
)
from recolor_core.metrics.temporal import (
    CDC_STEPS,
    FlickerSpectrum,
    cdc,
    color_over_time,
    flicker_spectrum,
    warped_error,
)
from recolor_core.metrics.uncertainty import (
    Reliability,
    RiskCoverage,
    best_of_n,
    reliability,
    risk_coverage,
    sigma_ratio,
)

__all__ = [
    "CDC_STEPS",
    "EDGE_BAND",
    "EDGE_GRADIENT",
    "SSIM_WINDOW",
    "THINGS",
    "FlickerSpectrum",
    "LightnessFidelity",
    "Reliability",
    "RiskCoverage",
    "ab_mse",
    "ab_rmse",
    "best_of_n",
    "black_chroma",
    "bleeding",
    "blotches",
    "bootstrap_interval",
    "cast",
    "cdc",
    "channel_psnr",
    "channel_ssim",
    "ciede2000",
    "coarse_error",
    "color_over_time",
    "colorfulness",
    "difference_of_means",
    "edge_band",
    "edge_error",
    "flicker_spectrum",
    "lightness_fidelity",
    "mean_ciede2000",
    "mean_of_differences",
    "named_errors",
    "psnr",
    "ratio_of_means",
    "reliability",
    "risk_coverage",
    "sigma_ratio",
    "ssim",
    "warped_error",
    "where_is",
    "white_chroma",
    "wilson_interval",
]
