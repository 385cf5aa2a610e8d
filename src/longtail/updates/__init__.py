"""Kinds of optimiser steps: the plain one, the sharpness-aware one, and those that learn weights by a look-ahead."""

from longtail.updates.descend import Descend, StatelessUpdate
from longtail.updates.learning_to_reweight import LearningToReweight
from longtail.updates.meta_residual import MetaResidual
from longtail.updates.meta_weight_net import MetaWeightNet
from longtail.updates.meta_weights import MetaWeights
from longtail.updates.reweight import Reweight
from longtail.updates.sam import SAM

__all__ = [
    "SAM",
    "Descend",
    "LearningToReweight",
    "MetaResidual",
    "MetaWeightNet",
    "MetaWeights",
    "Reweight",
    "StatelessUpdate",
]
