"""Calibration: probabilities that are as high as classes are frequent, fitted on a validation part.

`TemperatureScaling`, `VectorScaling` and `IsotonicCalibration` are modules from log-probabilities to log-probabilities,
saved with their model; `fit_calibration` makes one by its name, or chooses.
"""

from __future__ import annotations

from longtail.posthoc.calibration.choice import AUTO, KINDS, Calibrated, check_kind, cross_calibrated, fit_calibration
from longtail.posthoc.calibration.isotonic import IsotonicCalibration
from longtail.posthoc.calibration.scaling import Calibration, TemperatureScaling
from longtail.posthoc.calibration.vector import VectorScaling

__all__ = [
    "AUTO",
    "KINDS",
    "Calibrated",
    "Calibration",
    "IsotonicCalibration",
    "TemperatureScaling",
    "VectorScaling",
    "check_kind",
    "cross_calibrated",
    "fit_calibration",
]
