"""Learning from several views of rows with candidate sets: consistency of all views with one confidence per class."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from longtail.facts.learner import Inference, Learner
from longtail.facts.types import Batch, Mixed, Outputs, Progress, Step, TrainingData, as_outputs
from longtail.losses.reduction import reduce

ViewsCriterion = Callable[[Tensor, Tensor, Tensor, Progress], Tensor]
"""(logits (B, V, C) of V views, confidences (B, C), candidates (B, C) bool, progress) -> losses (B,)."""


@final
class ViewsLearner(Learner):
    """A network whose views of a row are compared with the row's confidences.

    loss = mean_i L(z_i, q_i, S_i) + mixup mean_i L(z~_i, l q_i + (1 - l) q_j, S_i or S_j)

    z~ are the logits of l x_iv + (1 - l) x_jv, j the partner of i in the batch and l its share or 1 less it, whichever
    is larger. All views and their blends go through the network in one pass. What the targets see is the mean over the
    views, of logits and of features: the softmax of mean logits is the geometric mean of the views' probabilities,
    renormalised.

    Args:
        network: inputs -> `Outputs`.
        criterion: compares the views with the confidences.
        targets: (batch, outputs, progress) -> confidences (B, C), and a weight (B,) or None.
        mixup: weight of the blends; 0 makes none. The data pair the rows (`batch["mixing"]`).
        start: progress from which on the blends count.
        no_decay: names of the network's parameters that weight decay leaves alone.
    """

    def __init__(
        self,
        network: nn.Module,
        criterion: ViewsCriterion,
        targets: nn.Module,
        *,
        mixup: float = 0.0,
        start: float = 0.0,
        no_decay: Iterable[str] = (),
    ) -> None:
        super().__init__()
        self.network = network
        self.criterion = criterion
        self.targets = targets
        self.mixup = mixup
        self.start = start
        self.no_decay = frozenset(no_decay)

    def training_step(self, batch: Batch, progress: Progress) -> Step:
        """Return the mean loss, the losses (B,) of the rows without those of their blends, and the mean outputs."""
        views, index = batch["inputs"], batch["index"]
        if not self.mixup:
            outputs = as_outputs(self.network(torch.cat(tuple(views))))
        else:
            outputs = as_outputs(self.network(torch.cat((*views, *views)), Blends(batch["mixing"], len(views))))
        logits = outputs.logits.reshape(-1, len(index), outputs.logits.shape[1]).transpose(0, 1)  # (B, V or 2 V, C)
        shown = self._shown(outputs, logits, len(views))
        confidences, weight = self.targets(batch, shown, progress)
        given = batch.get("sample_weight")
        if given is not None:
            weight = given if weight is None else weight * given
        candidates = batch["targets"]
        losses = self.criterion(logits[:, : len(views)], confidences, candidates, progress)
        loss = mean_of(losses, weight)
        if self.mixup:
            partner, share = batch["mixing"].partner, larger_share(batch["mixing"].share)
            q = share * confidences + (1 - share) * confidences[partner]
            either = candidates | candidates[partner]
            blended = self.criterion(logits[:, len(views) :], q, either, progress)
            whole = None if weight is None else share * weight + (1 - share) * weight[partner]
            begun = torch.as_tensor(progress >= self.start, dtype=loss.dtype, device=loss.device)
            loss = loss + begun * self.mixup * mean_of(blended, whole)
        return Step(loss, losses, {}, shown, None, index)

    def _shown(self, outputs: Outputs, logits: Tensor, views: int) -> Outputs:
        """Return the mean over the views, detached, with the head."""
        features = outputs.features
        if features is not None:
            features = features.detach().reshape(-1, len(logits), features.shape[1])[:views].mean(0)
        return Outputs(logits[:, :views].detach().mean(1), features, {"head": getattr(self.network, "head", None)})

    def start_epoch(self, data: TrainingData, progress: Progress) -> None:
        """Let the targets compute what depends on the whole training set."""
        self.targets.refresh(data, progress)  # type: ignore[operator]

    def after_update(self, batch: Batch, step: Step, progress: Progress) -> None:
        """Let the targets store the mean outputs of the step's first pass."""
        if not self.holding:
            self.targets.observe(batch, step.outputs, progress)  # type: ignore[operator]

    def inference(self) -> Inference:
        """Return the network, and a prior that the targets learnt (`targets.offsets()`)."""
        offsets = getattr(self.targets, "offsets", None)
        return Inference(self.network, offsets=None if offsets is None else offsets())


@dataclass(frozen=True)
class Blends:
    """Change of a batch of V views and the same V views again: the second ones are blended with their partners'."""

    mixed: Mixed
    views: int

    def acts(self, place: int) -> bool:
        """Whether values at this place are changed: the inputs alone, after standardisation."""
        return place == 0

    def __call__(self, x: Tensor, place: int) -> Tensor:
        """Return x (2 V B, ...), the second half blended."""
        if place != 0:
            return x
        plain, again = x.reshape(2, self.views, -1, *x.shape[1:])
        share = larger_share(self.mixed.share).to(x.dtype)
        blended = share * again + (1 - share) * again.index_select(1, self.mixed.partner)
        return torch.cat([plain, blended]).flatten(0, 1)


def larger_share(share: Tensor) -> Tensor:
    """Return the share or 1 less it, whichever is larger."""
    return torch.maximum(share, 1 - share)


def mean_of(losses: Tensor, weight: Tensor | None) -> Tensor:
    """Return the mean over the rows, one of weight k counting as k."""
    if weight is None:
        return losses.mean()
    share = weight.to(losses.dtype)
    return reduce(losses * share, None, share, "mean", "batch")
