"""Losses for rare classes: drop-in for `nn.CrossEntropyLoss`, one class for each paper's loss."""

from __future__ import annotations

from longtail.losses.class_balanced import ClassBalancedLoss
from longtail.losses.ldam import LDAMLoss
from longtail.losses.logit_adjusted import BalancedSoftmaxLoss, LogitAdjustedLoss
from longtail.losses.loss import Loss
from longtail.losses.softmax import CrossEntropyLoss, FocalLoss

__all__ = [
    "BalancedSoftmaxLoss",
    "ClassBalancedLoss",
    "CrossEntropyLoss",
    "FocalLoss",
    "LDAMLoss",
    "LogitAdjustedLoss",
    "Loss",
]
