"""Post-hoc corrections: better decisions from the scores of a trained network.

Functions on tensors or NumPy arrays, and rules: modules from scores to adjusted scores whose state is saved
with the model. A rule that learns from validation data has `fit(scores, targets)`.
"""

from __future__ import annotations

from longtail.posthoc.calibration import IsotonicCalibration, TemperatureScaling, VectorScaling, fit_calibration
from longtail.posthoc.confusion import ConfusionEstimate, estimate_totals
from longtail.posthoc.corrections import adjust_logits, move_threshold, normalize_tau
from longtail.posthoc.decisions import Decision, read_cost
from longtail.posthoc.moving import ThresholdMoving
from longtail.posthoc.normalization import TauNormalization, TunedTauNormalization
from longtail.posthoc.plugin import PluginThreshold
from longtail.posthoc.prior_interval import PriorInterval, estimate_prior_interval
from longtail.posthoc.priors import PriorEstimate, correct_prior, estimate_prior, shift_prior
from longtail.posthoc.rules import LogitAdjustment, TunedLogitAdjustment
from longtail.posthoc.sets import ConformalSets, CrossConformalSets

__all__ = [
    "ConformalSets",
    "ConfusionEstimate",
    "CrossConformalSets",
    "Decision",
    "IsotonicCalibration",
    "LogitAdjustment",
    "PluginThreshold",
    "PriorEstimate",
    "PriorInterval",
    "TauNormalization",
    "TemperatureScaling",
    "ThresholdMoving",
    "TunedLogitAdjustment",
    "TunedTauNormalization",
    "VectorScaling",
    "adjust_logits",
    "correct_prior",
    "estimate_prior",
    "estimate_prior_interval",
    "estimate_totals",
    "fit_calibration",
    "move_threshold",
    "normalize_tau",
    "read_cost",
    "shift_prior",
]
