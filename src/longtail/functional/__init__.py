"""The mathematics of the losses as pure functions on tensors: per example, unweighted, not reduced.

`longtail.losses` are these functions with the statistics of the classes, the knobs and the reduction.
"""

from __future__ import annotations

from longtail.functional.margin import ldam, ldam_margins, log_odds_against
from longtail.functional.mixtures import across, class_weighted, is_soft, mixture, of_target, smoothed, widen
from longtail.functional.sigmoid import sigmoid_cross_entropy, sigmoid_focal
from longtail.functional.softmax import cross_entropy, focal, log_prior, logit_adjusted, modulated

__all__ = [
    "across",
    "class_weighted",
    "cross_entropy",
    "focal",
    "is_soft",
    "ldam",
    "ldam_margins",
    "log_odds_against",
    "log_prior",
    "logit_adjusted",
    "mixture",
    "modulated",
    "of_target",
    "sigmoid_cross_entropy",
    "sigmoid_focal",
    "smoothed",
    "widen",
]
