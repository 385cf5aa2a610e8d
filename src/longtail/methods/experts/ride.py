"""Experts that share the first layers, each with its own loss, rewarded for differing from their mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import torch
from torch import Tensor

from longtail import functional, losses
from longtail.catalogue.implied import weighted
from longtail.catalogue.method import SELF, SLOTS, Method
from longtail.catalogue.one_stage import stage_under
from longtail.catalogue.references import cited
from longtail.data import TrainingSet
from longtail.engine import Built, Recipe, Stage
from longtail.facts import schedules
from longtail.facts.knobs import NonNegativeFloat, PositiveFloat, Range, UnitStart
from longtail.facts.learner import Learner
from longtail.facts.types import Outputs, Progress
from longtail.learners import SupervisedLearner
from longtail.learners.supervised import Criterion
from longtail.methods.supervised.deferred import START

Count = Annotated[int, Range(1, integer=True)]
Width = Annotated[float, Range(0, 1, open_low=True)]
Share = Annotated[float, Range(0, 1, open_high=True)]
OWN = {"weight_decay": 5e-4}
"""Its code's recipe for CIFAR; the Nesterov momentum there is not in ours."""


def ride(
    *,
    experts: Count = 3,
    diversity: NonNegativeFloat = 0.45,
    tail: Share = 0.05,
    width: Width = 0.75,
    max_margin: NonNegativeFloat = 0.5,
    scale: PositiveFloat = 30.0,
    at: UnitStart = START,
) -> Method:
    """RIDE without routing: experts on shared first layers, each with its own LDAM-DRW loss, rewarded for differing.

    loss = sum_e [ L(z_e, y) - diversity mean(T)^2 KL(softmax(s m / T) || softmax(s z_e / T)) ], L that of ldam-drw with
    scale s, z_e the cosines of expert e, m their mean, constant in the gradient; predict argmax_j m_j.
    T_j = t_j / max_k t_k, t_j = tail C pi_j + 1 - tail from progress `at` on, pi the training prior; before, T = 1.

    The experts share the first layer of a network for tables, the first block of a convnet, stem and first stage of a
    ResNet. Each has the rest for itself, at the share `width` of its widths (24 and 48 channels in place of 32 and 64
    in a ResNet-32), with a cosine head. L is the weighted mean of each expert, sum / sum of the batch's class weights;
    KL is the mean over the batch. A single expert has nothing to differ from: `ride(experts=1, width=1)` is ldam-drw.
    Under instance weights, `absgd(base="ride")`, the loss of an example is its part of all this.

    Wang et al. 2021, first stage. Not included: the second stage, which trains routers that consult further experts
    only for hard images, to save time; and distillation from six experts (48.6 -> 49.0 % with three on CIFAR-100 at
    ratio 100, by their model zoo).

    Works: The network is wide and deep enough to be divided, and time for several experts is affordable. In their model
    zoo (CIFAR-100 at ratio 100) three experts have 48.6 % accuracy and ce 39.1 %.

    Breaks: Networks of one's own, densenet and wide_resnet cannot be divided and are refused. The reward for differing
    may add nothing: a user of their code measured 47.7 to 48.7 % whatever its sign, and without it.

    Paper and code: As in their code; in the paper each pair of experts is compared, and T is shifted by its maximum
    instead of divided. Their diversity factor is -0.45 on CIFAR-100 and -0.2 elsewhere; at 0 their code gives every
    expert the loss of the mean, ours keeps the experts' own losses.
    """
    defer = schedules.switch(at, 0.0, 1.0)
    layers = {"branches": experts, "narrow": width}

    def stages(recipe: Recipe) -> Sequence[Stage]:
        branched = replace(recipe, model_args={**recipe.model_args, **layers})

        def build(data: TrainingSet, previous: Learner | None) -> Built:
            rows = data.labeled
            loss = losses.LDAMLoss(
                rows.class_counts, max_margin=max_margin, scale=scale, class_weight="effective", reweight=defer
            )
            criterion = None
            if experts > 1:
                late = functional.tail_temperature(rows.class_counts, tail)
                criterion = _criterion(loss, diversity, late, defer)
            network = branched.network(rows, "experts", experts=experts, kind="cosine", own_features=True)
            return Built(SupervisedLearner(network, loss, criterion=criterion), rows.drawn(recipe.batch_size))

        return [stage_under(recipe, "train", SELF, build)]

    return Method(
        stages,
        cited("wang2021long"),
        own=OWN,
        prior=weighted("effective", at),
        taken=frozenset({"criterion"}),
        body_args=layers,
        slots=SLOTS - {"start", "linear head"},  # its body is its own, and its classifiers are several
    )


def _criterion(loss: losses.Loss, diversity: float, late: Tensor, defer: schedules.Schedule) -> Criterion:
    """Return the losses (B,) whose mean over the batch is the sum of the experts' weighted means less the diversity."""

    def criterion(outputs: Outputs, targets: Tensor, weight: Tensor | None, progress: Progress) -> Tensor:
        cosines = outputs.extra["experts"]
        total = torch.zeros_like(cosines[:, 0, 0])
        for own in cosines.unbind(1):
            each, omega, share = loss.terms(own, targets, sample_weight=weight, progress=progress)
            if omega is not None:
                divisor = omega.sum()
                each = each * (share.sum() / torch.where(divisor > 0, divisor, 1.0))
            total = total + each
        if diversity == 0:
            return total
        r = schedules.at(defer, progress)
        temperature = (1 - r) + r * late
        return total - diversity * (share * functional.expert_diversity(loss.scores(cosines, progress), temperature))

    return criterion
