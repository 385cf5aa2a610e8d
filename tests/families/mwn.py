"""Another kind of step over any base: Meta-Weight-Net."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from longtail.catalogue.compose import PLAIN, BaseMethod, corrected, with_update
from longtail.catalogue.method import Method
from longtail.catalogue.references import Reference
from longtail.data import Part, TrainingSet, together
from longtail.engine import Built
from longtail.facts.knobs import PositiveFloat, Range
from longtail.facts.learner import Learner
from longtail.facts.types import Batch, Progress, Step
from longtail.updates.randomness import restored_generators

SLOTS = ("weights", "update", "mixing")
"""Mixing: the rows of the meta set are taken as they are."""
Base = Annotated[Method, BaseMethod(slots=SLOTS)]
Count = Annotated[int, Range(1, integer=True)]
SHU_2019 = Reference("shu2019meta", "Jun Shu", "Meta-Weight-Net", "NeurIPS", 2019)


class MetaWeightNet(nn.Module):
    """loss -> weight by a net that lowers the loss on a balanced meta set: virtual step, meta step, real step."""

    def __init__(self, lr: float, hidden: int = 16) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, hidden), nn.ReLU(), nn.Linear(hidden, 1), nn.Sigmoid())
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=lr)

    def weigh(self, losses: Tensor) -> Tensor:
        found = self.net(losses.detach()[:, None])[:, 0]
        return found / found.sum().clamp(min=1e-8) * len(found)

    def forward(self, learner: Learner, batch: Batch, optimizer: torch.optim.Optimizer, progress: Progress) -> Step:
        weights = {name: p for name, p in learner.named_parameters() if p.requires_grad}
        with restored_generators(learner), learner.held():
            losses = functional_call(learner, weights, (batch, progress)).losses
            grads = torch.autograd.grad((self.weigh(losses) * losses).mean(), list(weights.values()), create_graph=True)
            lr = optimizer.param_groups[0]["lr"]
            virtual = {name: p - lr * g for (name, p), g in zip(weights.items(), grads, strict=True)}
            meta = functional_call(learner, virtual, (batch["meta"], progress)).loss
        self.optimizer.zero_grad(set_to_none=True)
        for p, g in zip(self.net.parameters(), torch.autograd.grad(meta, list(self.net.parameters())), strict=True):
            p.grad = g
        self.optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step = learner.training_step(batch, progress)
        found = self.weigh(step.losses).detach()
        loss = (found * step.losses).mean()
        loss.backward()
        optimizer.step()
        return step._replace(loss=loss, log={**step.log, "weights": found})

    def get_extra_state(self) -> dict[str, Any]:
        return self.optimizer.state_dict()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state)


def balanced(rows: Part, per_class: int) -> tuple[Tensor, Tensor]:
    """Rows of the meta set, and those that stay; a class of one row lends it."""
    each = [torch.nonzero(rows.targets == j).flatten() for j in range(len(rows.classes))]
    meta = [found[: max(1, min(per_class, len(found) - 1))] for found in each]
    stay = [found[0 if len(found) == 1 else len(out) :] for found, out in zip(each, meta, strict=True)]
    return torch.cat(meta), torch.cat(stay).sort().values


def mwn(*, base: Base = PLAIN, per_class: Count = 2, lr: PositiveFloat = 1e-2) -> Method:
    """Meta-Weight-Net: weights by a small net of the loss, learnt on a balanced meta set that `base` never sees.

    loss = mean of V(l_i) l_i / mean of V(l), l those of `base`.
    """

    def rest(data: TrainingSet) -> TrainingSet:
        return replace(data, labeled=data.labeled.take(balanced(data.labeled, per_class)[1]))

    def change(built: Built, data: TrainingSet) -> Built:
        meta = data.labeled.take(balanced(data.labeled, per_class)[0])
        found = with_update(lambda data: MetaWeightNet(lr))(built, data)
        return found._replace(data=together(built.data, meta=meta.drawn(len(meta))))

    found = corrected(base, SLOTS, change, rows=rest, reference=SHU_2019)
    return replace(found, slots=base.slots - {"shares"})  # the meta set re-balances


METHODS = {"mwn": mwn}
