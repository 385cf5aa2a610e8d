"""The mathematics of the losses as pure functions on tensors: per example, unweighted, not reduced.

`longtail.losses` are these functions with the statistics of the classes, the knobs and the reduction.
"""

from __future__ import annotations

from longtail.functional.adjusted import log_odds_against
from longtail.functional.affine import binary_vector_scaled, relative_counts, vector_scaled
from longtail.functional.angular import angular_lowering, angular_margins
from longtail.functional.calibration import (
    borrowed_shares,
    calibrated,
    class_gaussians,
    covariance_root,
    feature_distance,
    feature_spread,
    gaussian_draws,
    missing_rows,
)
from longtail.functional.candidates import (
    candidate_activation,
    candidate_likelihood,
    candidate_posterior,
    consistent_candidates,
    leverage_weights,
    leveraged_loss,
)
from longtail.functional.centroids import discriminative_centroids
from longtail.functional.class_totals import Projection, project_on_totals
from longtail.functional.contrast import focal_nt_xent, nt_xent
from longtail.functional.distribution_refinery import refine_pseudo_labels
from longtail.functional.dot_regression import balancing_factors, dot_regression
from longtail.functional.equalised import equalised
from longtail.functional.experts import expert_diversity, tail_temperature
from longtail.functional.frames import simplex_frame, tight_frame
from longtail.functional.geometric import surrogate_labels, surrogate_logits, swapped_prediction
from longtail.functional.hinge import hinge, lead
from longtail.functional.influence import influence_balanced
from longtail.functional.info_nce import info_nce, moclr, negative_cosine
from longtail.functional.margin import ldam, ldam_margins
from longtail.functional.maximum_margin import example_margin, maximum_margins
from longtail.functional.memorisation import memorisation_scores
from longtail.functional.mixtures import across, class_weighted, is_soft, mixture, of_target, smoothed, widen
from longtail.functional.noise_robust import bootstrapped, generalised_cross_entropy, symmetric_cross_entropy
from longtail.functional.one_vs_rest import binary_hinge, binary_squares
from longtail.functional.pairwise import pairwise
from longtail.functional.product_games import product_shapley
from longtail.functional.remix import remix_share
from longtail.functional.selection import forget_rate, smallest_share
from longtail.functional.sigmoid import sigmoid_cross_entropy, sigmoid_focal
from longtail.functional.smoothing import SHAPES, class_smoothed, smoothing_strengths
from longtail.functional.softmax import cross_entropy, focal, log_prior, logit_adjusted, modulated
from longtail.functional.supervised_contrast import supervised_contrast
from longtail.functional.transition import (
    backward_corrected,
    forward_corrected,
    stochastic_matrix,
    transition_matrix,
)

__all__ = [
    "SHAPES",
    "Projection",
    "across",
    "angular_lowering",
    "angular_margins",
    "backward_corrected",
    "balancing_factors",
    "binary_hinge",
    "binary_squares",
    "binary_vector_scaled",
    "bootstrapped",
    "borrowed_shares",
    "calibrated",
    "candidate_activation",
    "candidate_likelihood",
    "candidate_posterior",
    "class_gaussians",
    "class_smoothed",
    "class_weighted",
    "consistent_candidates",
    "covariance_root",
    "cross_entropy",
    "discriminative_centroids",
    "dot_regression",
    "equalised",
    "example_margin",
    "expert_diversity",
    "feature_distance",
    "feature_spread",
    "focal",
    "focal_nt_xent",
    "forget_rate",
    "forward_corrected",
    "gaussian_draws",
    "generalised_cross_entropy",
    "hinge",
    "influence_balanced",
    "info_nce",
    "is_soft",
    "ldam",
    "ldam_margins",
    "lead",
    "leverage_weights",
    "leveraged_loss",
    "log_odds_against",
    "log_prior",
    "logit_adjusted",
    "maximum_margins",
    "memorisation_scores",
    "missing_rows",
    "mixture",
    "moclr",
    "modulated",
    "negative_cosine",
    "nt_xent",
    "of_target",
    "pairwise",
    "product_shapley",
    "project_on_totals",
    "refine_pseudo_labels",
    "relative_counts",
    "remix_share",
    "sigmoid_cross_entropy",
    "sigmoid_focal",
    "simplex_frame",
    "smallest_share",
    "smoothed",
    "smoothing_strengths",
    "stochastic_matrix",
    "supervised_contrast",
    "surrogate_labels",
    "surrogate_logits",
    "swapped_prediction",
    "symmetric_cross_entropy",
    "tail_temperature",
    "tight_frame",
    "transition_matrix",
    "vector_scaled",
    "widen",
]
