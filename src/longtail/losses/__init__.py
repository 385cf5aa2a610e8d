"""Losses for rare classes: drop-in for `nn.CrossEntropyLoss`, one class for each paper's loss; and those of encoders.

A `Loss` compares logits with targets, a `PairLoss` the projections of two views.
"""

from __future__ import annotations

from longtail.losses.class_balanced import ClassBalancedLoss
from longtail.losses.contrast import FocalNTXentLoss, InfoNCELoss, NegativeCosineLoss, NTXentLoss, SupConLoss
from longtail.losses.corrected import BackwardCorrectedLoss, ForwardCorrectedLoss
from longtail.losses.dot_regression import DotRegressionLoss
from longtail.losses.equalised import SoftmaxEqualizationLoss
from longtail.losses.influence import InfluenceBalancedLoss
from longtail.losses.ldam import LDAMHingeLoss, LDAMLoss
from longtail.losses.logit_adjusted import BalancedSoftmaxLoss, LogitAdjustedLoss
from longtail.losses.loss import Loss
from longtail.losses.maximum_margin import MaximumMarginLoss
from longtail.losses.noise_robust import BootstrappedLoss, GeneralizedCrossEntropyLoss, SymmetricCrossEntropyLoss
from longtail.losses.one_vs_rest import BinaryHingeLoss, LeastSquaresLoss
from longtail.losses.pair import PairLoss
from longtail.losses.pairwise import PairwiseLoss
from longtail.losses.smoothing import LabelAwareSmoothingLoss
from longtail.losses.softmax import CrossEntropyLoss, FocalLoss
from longtail.losses.uniform_margin import UniformMarginLoss
from longtail.losses.vector_scaling import BinaryVSLoss, CDTLoss, VSLoss

__all__ = [
    "BackwardCorrectedLoss",
    "BalancedSoftmaxLoss",
    "BinaryHingeLoss",
    "BinaryVSLoss",
    "BootstrappedLoss",
    "CDTLoss",
    "ClassBalancedLoss",
    "CrossEntropyLoss",
    "DotRegressionLoss",
    "FocalLoss",
    "FocalNTXentLoss",
    "ForwardCorrectedLoss",
    "GeneralizedCrossEntropyLoss",
    "InfluenceBalancedLoss",
    "InfoNCELoss",
    "LDAMHingeLoss",
    "LDAMLoss",
    "LabelAwareSmoothingLoss",
    "LeastSquaresLoss",
    "LogitAdjustedLoss",
    "Loss",
    "MaximumMarginLoss",
    "NTXentLoss",
    "NegativeCosineLoss",
    "PairLoss",
    "PairwiseLoss",
    "SoftmaxEqualizationLoss",
    "SupConLoss",
    "SymmetricCrossEntropyLoss",
    "UniformMarginLoss",
    "VSLoss",
]
