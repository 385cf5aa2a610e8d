"""Experts on one body, each with its own loss, rewarded for differing from their mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor

from longtail import losses
from longtail.catalogue.implied import weighted
from longtail.catalogue.method import SELF, Method
from longtail.catalogue.references import Reference
from longtail.data import TrainingSet
from longtail.engine import Built, Recipe, Stage
from longtail.facts.knobs import NonNegativeFloat, Range, UnitFloat
from longtail.facts.learner import Learner
from longtail.facts.schedules import switch
from longtail.facts.types import Outputs, Progress
from longtail.learners import SupervisedLearner

WANG_2021 = Reference("wang2021long", "Xudong Wang", "Long-Tailed Recognition by Routing Diverse Experts", "ICLR", 2021)


def apart(z: Tensor, temperature: Tensor) -> Tensor:
    """sum_e mean(T)^2 KL(softmax(mean / T) || softmax(z_e / T)) of z (N, E, C), the mean detached: (N,)."""
    mean = (z.mean(1, keepdim=True).detach() / temperature).log_softmax(-1)
    each = (z / temperature).log_softmax(-1)
    return temperature.mean() ** 2 * (mean.exp() * (mean - each)).sum(-1).sum(1)


def ride(
    *,
    experts: Annotated[int, Range(1, integer=True)] = 3,
    diversity: NonNegativeFloat = 0.45,
    max_margin: NonNegativeFloat = 0.5,
    at: UnitFloat = 0.8,
) -> Method:
    """RIDE without routing: E experts on one body; one expert is ldam-drw, divided by the batch.

    loss = sum_e [LDAM-DRW(z_e, y) - diversity mean(T)^2 KL(mean || z_e)];
    T = 1, and T_j = (0.05 C pi_j + 0.95) / max from `at` on.
    """

    def stages(recipe: Recipe) -> Sequence[Stage]:
        def build(data: TrainingSet, previous: Learner | None) -> Built:
            rows = data.labeled
            counts = rows.class_counts
            knobs = {"max_margin": max_margin, "class_weight": "effective", "reweight": switch(at, 0.0, 1.0)}
            loss = losses.LDAMLoss(counts, normalize="batch", **knobs)
            shares = 0.05 * len(counts) * counts / counts.sum() + 0.95
            late = shares / shares.max()

            def criterion(outputs: Outputs, targets: Tensor, weight: Tensor | None, progress: Progress) -> Tensor:
                z = outputs.extra["experts"]
                each = [loss.per_example(e, targets, sample_weight=weight, progress=progress) for e in z.unbind(1)]
                total = torch.stack(each).sum(0)
                if diversity == 0 or experts == 1:
                    return total
                temperature = late if progress >= at else torch.ones_like(late)
                differing = apart(loss.scores(z), temperature)
                return total - diversity * (differing if weight is None else weight * differing)

            network = recipe.network(rows, "experts", experts=experts, kind="cosine")
            return Built(SupervisedLearner(network, loss, criterion=criterion), rows.drawn(recipe.batch_size))

        return [Stage("train", SELF, build, recipe.epochs, recipe.make_optimizer, recipe.learning_rate)]

    return Method(stages, WANG_2021, taken=frozenset({"criterion"}), prior=weighted("effective", at))


METHODS = {"ride": ride}
