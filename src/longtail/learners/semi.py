"""Learning from labelled rows and rows without labels: consistency between a weak and a strong view."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, final

import torch
from torch import Tensor, nn

from longtail.facts.learner import Inference, Learner
from longtail.facts.types import Batch, Outputs, Progress, Step, TrainingData, as_outputs
from longtail.losses import Loss


@final
class SemiSupervisedLearner(Learner):
    """A network, and its moving average, which predicts.

    loss = loss(labelled) + consistency x mean over all unlabelled rows of m_i l(strong_i, t_i), t_i and m_i computed by
    `targets` from the weak view; a mask m divides by all rows, as in FixMatch.

    Args:
        network: inputs -> `Outputs` with logits (B, C).
        loss: of the labelled rows, and per example of the strong view.
        targets: (unlabelled batch, weak outputs, progress) -> targets of the strong view, and a weight.
        consistency: weight of the unlabelled part.
        decay: of the moving average of parameters, min(decay, (1 + t) / (10 + t)) at step t = 0, 1, ..., so that a
            short training does not end near its start; buffers are copied.
        average: the moving average, by default a copy of the network.
        no_decay: names of the network's parameters that weight decay leaves alone.
    """

    steps: Tensor

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        targets: nn.Module,
        *,
        consistency: float = 1.0,
        decay: float = 0.999,
        average: nn.Module | None = None,
        no_decay: Iterable[str] = (),
    ) -> None:
        super().__init__()
        self.network = network
        self.loss = loss
        self.targets = targets
        self.consistency = consistency
        self.decay = decay
        self.average = (copy.deepcopy(network) if average is None else average).requires_grad_(False)
        self.no_decay = frozenset(no_decay)
        self.register_buffer("steps", torch.zeros(()))

    def training_step(self, batch: Batch, progress: Progress) -> Step:
        """Make one pass for all three parts, so that they share batch statistics."""
        unlabeled = batch["unlabeled"]
        weak, strong = unlabeled["inputs"]
        inputs = batch["inputs"]
        assert isinstance(inputs, Tensor)
        sizes = (len(inputs), len(weak), len(strong))
        outputs = as_outputs(self.network(torch.cat([inputs, weak, strong])))
        labelled, weak_outputs, strong_outputs = _split_outputs(outputs, sizes)
        weight = batch.get("sample_weight")
        loss, losses = self.loss.with_losses(
            labelled.logits, batch["targets"], sample_weight=weight, features=labelled.features, progress=progress
        )
        targets, mask = self.targets(unlabeled, weak_outputs, progress)
        consistency = self.loss.per_example(
            strong_outputs.logits, targets, sample_weight=mask, features=strong_outputs.features, progress=progress
        ).mean()
        confident = torch.ones_like(consistency) if mask is None else (mask > 0).to(consistency.dtype).mean()
        log = {"consistency": consistency.detach(), "confident": confident.detach()}
        return Step(loss + self.consistency * consistency, losses, log, weak_outputs)

    def start_epoch(self, data: TrainingData, progress: Progress) -> None:
        """Let the targets compute what depends on the whole training set."""
        self.targets.refresh(data, progress)  # type: ignore[operator]

    @torch.no_grad()
    def after_update(self, batch: Batch, step: Step, progress: Progress) -> None:
        """Update the average, and let the targets store the outputs of the weak views."""
        if self.holding:
            return
        decay = ((1 + self.steps) / (10 + self.steps)).clamp(max=self.decay)
        self.steps += 1
        for mean, now in zip(self.average.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(now, (1 - decay).to(now.dtype))
        for old, new in zip(self.average.buffers(), self.network.buffers(), strict=True):
            old.copy_(new)
        self.targets.observe(batch["unlabeled"], step.outputs, progress)  # type: ignore[operator]

    def inference(self) -> Inference:
        """Return the moving average, with the loss's scale and link."""
        return Inference(self.average, self.loss.logit_scale, self.loss.link)


def _split_outputs(outputs: Outputs, sizes: tuple[int, int, int]) -> tuple[Outputs, Outputs, Outputs]:
    """Split outputs into labelled, weak (detached) and strong ones."""

    def part(value: Any) -> list[Any]:
        return [None] * 3 if value is None else list(value.split(sizes))

    labelled, weak, strong = map(Outputs, part(outputs.logits), part(outputs.features))
    detached = Outputs(weak.logits.detach(), None if weak.features is None else weak.features.detach())
    return labelled, detached, strong
