"""RCAL over any base, put together by hand."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from longtail import functional
from longtail.catalogue.method import Method
from longtail.data import TrainingSet
from longtail.data.sampled import WithSamples
from longtail.engine import Built, Recipe, Stage
from longtail.learners import PairLearner
from longtail.learners.calibrated import Calibration, ClassGaussians, MeasuredEncoder
from longtail.learners.outliers import inliers
from longtail.learners.queue import MoCo


def rcal(base: Method, recipe: Recipe, data: TrainingSet) -> Sequence[Stage]:
    first, *rest = base.stages(recipe)

    def encoder(data: TrainingSet, previous: Any) -> Built:
        network = recipe.network(data.labeled, "projection", dim=128, hidden=0, norm=False)
        learner = PairLearner(network, MoCo(4096, 128, 0.2, 0.99))
        return Built(learner, data.labeled.drawn(recipe.batch_size, views=("contrast", "contrast")))

    def measured(data: TrainingSet, previous: Any) -> Built:
        network, y = copy.deepcopy(previous.network).eval(), data.labeled.targets
        with torch.no_grad():
            h = network.features(data.labeled.inputs)
        kept = inliers(h, y, 20)
        means, own = functional.class_gaussians(h[kept], y[kept], 3, shrinkage=0.1)
        counts = torch.bincount(y)
        shares = functional.borrowed_shares(means, counts < len(y) / 3, 3, TAU)
        means, own = (functional.calibrated(one, shares, GAMMA) for one in (means, own))
        gaussians = ClassGaussians(means, functional.covariance_root(own), functional.feature_spread(h))
        return Built(MeasuredEncoder(network, gaussians), data.labeled.drawn(recipe.batch_size))

    def train(data: TrainingSet, previous: Any) -> Built:
        learner, rows, update = first.build(data, None)
        with torch.no_grad():
            for part in ("standardize", "body"):
                for name, tensor in getattr(learner.network, part).state_dict().items():
                    tensor.copy_(getattr(previous.network, part).state_dict()[name])
        beside = Calibration(
            previous.gaussians, previous.network, beta=BETA, sampled=SAMPLED, scale=learner.loss.logit_scale,
            link=learner.loss.link,
        )  # fmt: skip
        learner.beside = beside
        counts = rows.class_counts.double()
        missing = counts.max() - counts
        number = round(recipe.batch_size * float(missing.sum() / counts.sum()))
        more = WithSamples(rows, missing / missing.sum(), number, previous.gaussians.means.shape[1])
        return Built(learner, more, update)

    made = (recipe.make_optimizer, recipe.learning_rate)
    return [
        Stage("encoder", "by hand", encoder, recipe.epochs, *made),
        Stage("gaussians", "by hand", measured, 0, *made),
        replace(first, build=train),
        *rest,
    ]


BETA, SAMPLED, TAU, GAMMA = 1.0, 0.3, 1.0, 0.9
"""The defaults."""
