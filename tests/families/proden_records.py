"""PRODEN: candidate sets, narrowed by what the network believes; RECORDS takes a running class prior off first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from longtail import losses
from longtail.catalogue.compose import BaseMethod, corrected
from longtail.catalogue.method import SELF, Method
from longtail.catalogue.references import Reference
from longtail.data import Part, TrainingSet
from longtail.engine import Built, Recipe, Stage
from longtail.facts.knobs import NonNegativeFloat, UnitFloat
from longtail.facts.learner import Learner
from longtail.facts.types import Batch, Outputs, Progress, TrainingData
from longtail.learners import SupervisedLearner

Base = Annotated[Method, BaseMethod(("proden",), slots=("targets",), task="partial", such=("proden",))]
LV_2020 = Reference("lv2020progressive", "Jiaqi Lv", "Progressive Identification of True Labels", "ICML", 2020)
HONG_2023 = Reference("hong2023long", "Feng Hong", "Long-Tailed Partial Label Learning", "ICLR", 2023)


class Confidence(nn.Module):
    """q_i on the candidates of row i: even at first, then what the network believed, renormalised."""

    def __init__(self, candidates: Tensor) -> None:
        super().__init__()
        self.register_buffer("confidence", candidates.float() / candidates.sum(1, keepdim=True))

    def forward(self, batch: Batch, outputs: Outputs, progress: Progress) -> tuple[Tensor, None]:
        return self.confidence[batch["index"]], None

    def observe(self, batch: Batch, outputs: Outputs, progress: Progress) -> None:
        if progress > 0:  # not in the first epoch
            p = outputs.logits.softmax(1) * (self.confidence[batch["index"]] > 0)
            self.confidence[batch["index"]] = p / p.sum(1, keepdim=True).clamp(min=1e-12)

    def refresh(self, data: TrainingData, progress: Progress) -> None:
        pass


def lacks_candidates(rows: Part) -> str | None:
    return None if rows.kind == "candidates" else f"needs candidate sets, got labels that are {rows.kind}"


def proden() -> Method:
    """PRODEN: progressive identification of the true label among candidates.

    loss = -sum_k q_k log softmax(z)_k, then q <- softmax(z) on the candidates, renormalised.
    """

    def stages(recipe: Recipe) -> Sequence[Stage]:
        def build(data: TrainingSet, previous: Learner | None) -> Built:
            rows = data.labeled
            learner = SupervisedLearner(
                recipe.network(rows), losses.CrossEntropyLoss(), targets=Confidence(rows.targets)
            )
            return Built(learner, rows.drawn(recipe.batch_size))

        return [Stage("train", SELF, build, recipe.epochs, recipe.make_optimizer, recipe.learning_rate)]

    slots = frozenset({"update", "targets"})
    return Method(stages, LV_2020, task="partial", misfit=lacks_candidates, slots=slots)


class Records(nn.Module):
    """F <- m F + (1 - m) mean feature, prior = softmax(head(F)); what is believed, and predicted, is z - log prior."""

    def __init__(self, inner: Any, features: int, classes: int, *, momentum: float, tau: float) -> None:
        super().__init__()
        self.inner, self.momentum, self.tau = inner, momentum, tau
        self.holding = False
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("prior", torch.full((classes,), 1 / classes))

    @torch.no_grad()
    def forward(self, batch: Batch, outputs: Outputs, progress: Progress) -> tuple[Tensor, Tensor | None]:
        if not self.holding:
            self.mean.lerp_(outputs.features.mean(0), 1 - self.momentum)
            self.prior.copy_(outputs.extra["head"](self.mean[None])[0].softmax(0))
        return self.inner(batch, outputs, progress)

    def observe(self, batch: Batch, outputs: Outputs, progress: Progress) -> None:
        self.inner.observe(batch, outputs._replace(logits=outputs.logits - self.offsets()), progress)

    def refresh(self, data: TrainingData, progress: Progress) -> None:
        self.inner.refresh(data, progress)

    def offsets(self) -> Tensor:
        return self.tau * (self.prior + 1e-9).log()


def records(*, base: Base = "proden", momentum: UnitFloat = 0.9, tau: NonNegativeFloat = 1.0) -> Method:
    """RECORDS: a class prior, tracked while training, is taken off beliefs and predictions; tau = 0 is `base`.

    loss = that of `base`, which believes z - tau log prior; predict argmax z - tau log prior.
    """

    def change(built: Built, data: TrainingSet) -> Built:
        learner = built.learner
        width = learner.network.head.in_features
        targets = Records(learner.targets, width, len(data.classes), momentum=momentum, tau=tau)
        return built._replace(learner=learner.varied(targets=targets))

    return corrected(base, "targets", change, reference=HONG_2023)


METHODS = {"proden": proden, "records": records}
