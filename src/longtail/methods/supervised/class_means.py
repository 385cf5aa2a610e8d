"""A cosine classifier that begins at the class means of the features: the part of LIFT that needs no transformer."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from longtail import losses
from longtail.catalogue.features import class_means
from longtail.catalogue.implied import power, uniform
from longtail.catalogue.method import COSINE, Method, one_stage
from longtail.catalogue.references import cited
from longtail.data import Part
from longtail.facts.knobs import NonNegativeFloat, PositiveFloat
from longtail.models.heads import CosineClassifier
from longtail.models.heads.cosine import unit

OWN = {"lr": 0.01, "weight_decay": 5e-4, "decay": "cosine", "batch_size": 128, "epochs": 10}
"""LIFT's recipe, for its adapters and its head alike."""


def lift_head(*, scale: PositiveFloat = 25.0, tau: NonNegativeFloat = 1.0) -> Method:
    """LIFT's head: a cosine classifier that begins at the class means, trained with the logit-adjusted loss.

    loss = -log softmax(s z + tau log pi)_y, z_j = <h, w_j> / (||h|| ||w_j||), pi_j = n_j / N; w_j begins at the mean of
    h over class j, rescaled to length 1.

    h are the features that the network has of the training rows at its start, without augmentation. With embeddings
    and the network `linear`, of the preset `features`, they are the embeddings, standardised; nothing but the head is
    trained. In `ssp(base="lift-head")` they are those of the pre-trained network.

    Shi et al. 2024, section 4; here without the adapters in a vision transformer, and without text features.

    Works: Embeddings of a foundation model: the classes are apart already, and a class of few rows begins at their
    mean instead of at random directions.

    Breaks: A network trained from scratch: the features of its first step mean little, and so do their means. The test
    data must be balanced or the balanced error the aim: see logit-adjusted.

    Paper and code: They agree on scale 25 and on the loss. Their learning rate is 0.01, also that of the preset
    `features`. Their head begins at the text features of class names where the model has some (CLIP), else at class
    means, which are rescaled to length 1 as ours are.
    """
    stages = one_stage(lambda counts: losses.LogitAdjustedLoss(counts, tau=tau, scale=scale),
                       head="cosine", prepare=begin_at_means)  # fmt: skip
    return Method(stages, cited("shi2024longtail"), own=OWN, slots=COSINE,
                  prior=uniform if tau == 1 else power(1.0 - tau))  # fmt: skip


@torch.no_grad()
def begin_at_means(network: nn.Module, rows: Part) -> None:
    """Set the class vectors of a cosine head to the mean feature (D,) of every class, of length 1."""
    head: Any = network.head
    assert isinstance(head, CosineClassifier)
    training = network.training
    network.to(rows.targets.device).eval()  # where the rows are
    head.weight.copy_(unit(class_means(network, rows)))
    network.train(training)
