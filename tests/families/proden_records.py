"""RECORDS over PRODEN: a running class prior is subtracted from what the network believes, and in prediction."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from torch import Tensor, nn

from longtail.catalogue.compose import BaseMethod, corrected
from longtail.catalogue.method import Method
from longtail.catalogue.references import Reference
from longtail.data import TrainingSet
from longtail.engine import Built
from longtail.facts.knobs import NonNegativeFloat, UnitFloat
from longtail.facts.types import Batch, Outputs, Progress, TrainingData

Base = Annotated[Method, BaseMethod(("proden",), slots=("targets",), task="partial", such=("proden",))]
HONG_2023 = Reference("hong2023long", "Feng Hong", "Long-Tailed Partial Label Learning", "ICLR", 2023)


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


METHODS = {"records": records}
