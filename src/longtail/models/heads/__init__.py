"""Heads: the last layer of a network; swapped, rescaled, fixed, replaced by class means, or with a corrected bias."""

from __future__ import annotations

from longtail.models.heads.bias import fold_into_bias, prior_bias
from longtail.models.heads.cosine import CosineClassifier
from longtail.models.heads.exchange import find_head, swap_head
from longtail.models.heads.experts import Experts
from longtail.models.heads.frame import FrameClassifier
from longtail.models.heads.max_norm import MaxNorm
from longtail.models.heads.meta_embedding import MetaEmbedding
from longtail.models.heads.nearest import NearestClassMean
from longtail.models.heads.neighbours import Neighbours
from longtail.models.heads.projection import Projection
from longtail.models.heads.scale import LearnableScale, rescale_head
from longtail.models.heads.unit_linear import UnitLinear

__all__ = [
    "CosineClassifier",
    "Experts",
    "FrameClassifier",
    "LearnableScale",
    "MaxNorm",
    "MetaEmbedding",
    "NearestClassMean",
    "Neighbours",
    "Projection",
    "UnitLinear",
    "find_head",
    "fold_into_bias",
    "prior_bias",
    "rescale_head",
    "swap_head",
]
