"""Alignment, uniformity and spread of an encoder's features, measured once after training on the test part."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from longtail.catalogue.features import CHUNK
from longtail.catalogue.probing import plain_features
from longtail.data import Splits
from longtail.functional.feature_measures import alignment_terms, spread_terms, uniformity_terms
from longtail.runs.feature_terms import PREFIX
from longtail.runs.predictor import Predictor

PARTNERS = 2000
"""Rows that each row is compared with in uniformity: all of up to so many, else so many drawn with seed 0."""


@torch.no_grad()
def measure_arrays(predictor: Predictor, splits: Splits) -> dict[str, Tensor]:
    """Return the terms of alignment, uniformity and spread (M,) float64, by row of the test part.

    Views are those that encoders are trained on ("contrast"), drawn with seed 0; the network is in evaluation mode.
    Features are those that enter the classifier, not projections. Weights of rows are not used.
    """
    network: Any = predictor.evaluated()
    test, train = splits.test, splits.train
    features = plain_features(network, test)
    shown = replace(test, augment=train.augment, policy=train.policy).drawn(CHUNK, views=("contrast", "contrast"))
    alignment = torch.zeros(len(test), dtype=torch.float64)
    for batch in shown.batches(0.0, torch.Generator().manual_seed(0)):
        first, second = (network.features(view.to(features.device)) for view in batch["inputs"])
        alignment[batch["index"].cpu()] = alignment_terms(first, second).cpu()
    partners = None
    if len(test) > PARTNERS:
        partners = torch.randperm(len(test), generator=torch.Generator().manual_seed(0))[:PARTNERS]
        partners = partners.to(features.device)
    one = len(test) < 2  # a row has no other
    uniformity = torch.full((1,), math.nan) if one else uniformity_terms(features, partners).cpu()
    spread = spread_terms(features, test.targets.to(features.device), len(splits.classes)).cpu()
    terms = {"alignment": alignment, "uniformity": uniformity.double(), "spread": spread}
    return {PREFIX + name: values.contiguous() for name, values in terms.items()}
