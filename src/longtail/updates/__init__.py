"""Kinds of optimiser steps: plain, sharpness-aware, RECOVER, CDR, by a look-ahead; any of them in your own loop."""

from longtail.updates.cdr import CDR
from longtail.updates.closure_step import ClosureStep
from longtail.updates.descend import Descend, StatelessUpdate
from longtail.updates.learning_to_reweight import LearningToReweight
from longtail.updates.meta_residual import MetaResidual
from longtail.updates.meta_weight_net import MetaWeightNet
from longtail.updates.meta_weights import MetaWeights
from longtail.updates.passes import ByClass, ByRow
from longtail.updates.perturbation import Perturbation
from longtail.updates.recover import RECOVER
from longtail.updates.reweight import Reweight
from longtail.updates.sam import SAM, ImbSAM

__all__ = [
    "CDR",
    "RECOVER",
    "SAM",
    "ByClass",
    "ByRow",
    "ClosureStep",
    "Descend",
    "ImbSAM",
    "LearningToReweight",
    "MetaResidual",
    "MetaWeightNet",
    "MetaWeights",
    "Perturbation",
    "Reweight",
    "StatelessUpdate",
]
