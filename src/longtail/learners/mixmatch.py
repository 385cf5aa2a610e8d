"""The hosts MixMatch and ReMixMatch: labelled rows and rows without labels are mixed in one pool."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from longtail.facts.knobs import Knob
from longtail.facts.schedules import Linear, at
from longtail.facts.types import Batch, Outputs, Progress, as_outputs
from longtail.learners.mixing import Mixture
from longtail.learners.semi import HostStep, SemiSupervisedLearner, joint_pass, stacked


class MixedPart(NamedTuple):
    """Mixed rows after one pass: outputs (B, C), mixed soft labels (B, C) and weights (B,) or None."""

    outputs: Outputs
    targets: Tensor
    weight: Tensor | None


class MixMatch(nn.Module):
    """loss(mixed labelled rows) + consistency x mean over mixed rows without labels and classes of (p - q)^2.

    All V views are weak, and their rows share a guess. Labelled rows and all views are one pool: every row is mixed
    with another one of the pool (`batch["mixing"]`), and so are their labels. p is the loss's probability model of the
    mixed row, q its mixed label.

    Batch norms: the guess is made with the statistics of its own pass over the weak views, which are not recorded; the
    pool is one pass, whose statistics are recorded.

    Args:
        consistency: weight of the second part, by default in proportion to progress.
    """

    def __init__(self, consistency: Knob = Linear(0.0, 75.0)) -> None:  # noqa: B008  # immutable
        super().__init__()
        self.consistency = consistency

    def forward(self, learner: SemiSupervisedLearner, batch: Batch, progress: Progress) -> HostStep:
        """Return the loss of a batch whose rows without labels have weak views."""
        unlabeled = batch["unlabeled"]
        weak = guessing_pass(learner, unlabeled["inputs"])
        _, targets, weight, log = learner.taught(unlabeled, weak, progress)
        labelled, mixed = mixed_pass(learner.network, batch, targets, weight)
        loss, losses = learner.labelled(*labelled, progress)
        p = learner.loss.probabilities(mixed.outputs.logits, progress)
        errors = (p - mixed.targets).square().mean(1)
        weighted = errors if mixed.weight is None else mixed.weight * errors
        consistency = weighted.sum() / max(len(errors), 1)  # without such rows 0: mixup
        total = loss + at(self.consistency, progress, "consistency") * consistency
        return HostStep(total, losses, weak, {"consistency": consistency.detach(), **log})


class ReMixMatch(nn.Module):
    """loss(mixed labelled rows) + consistency x mean loss(mixed rows without labels) + anchor x mean loss(first strong
    view, not mixed) + rotation x cross-entropy of the turn of that view.

    The first view is weak and gives the labels of all. Labelled rows and all views are one pool, as in `MixMatch`. The
    rotation part needs images: the rows get 0, 1, 2 and 3 quarter turns by turns of their places in the batch.

    Batch norms: the guess has the statistics of the weak view alone, the pool has its own, and the first strong view
    and its turned copy have theirs; those of the pool are recorded.

    Args:
        consistency, anchor: weights of the second and third part, by default in proportion to progress.
        rotation: weight of the fourth part.
        turned: features (M, D) -> logits of the turns; None leaves out the fourth part.
        turns: the quarter turns of images of this shape, `data.turned.quarter_turns`.
    """

    def __init__(
        self,
        consistency: Knob = Linear(0.0, 1.5),  # noqa: B008  # immutable
        anchor: Knob = Linear(0.0, 0.5),  # noqa: B008
        rotation: float = 0.5,
        turned: nn.Module | None = None,
        turns: Sequence[int] = (0, 1, 2, 3),
    ) -> None:
        super().__init__()
        self.consistency = consistency
        self.anchor = anchor
        self.rotation = rotation
        self.turned = turned
        self.turns = tuple(turns)

    def forward(self, learner: SemiSupervisedLearner, batch: Batch, progress: Progress) -> HostStep:
        """Return the loss of a batch whose rows without labels have a weak view and strong ones."""
        unlabeled = batch["unlabeled"]
        first, strong, *_ = unlabeled["inputs"]
        weak = guessing_pass(learner, [first])
        _, targets, weight, log = learner.taught(unlabeled, weak, progress)
        labelled, mixed = mixed_pass(learner.network, batch, targets, weight)
        loss, losses = learner.labelled(*labelled, progress)

        def mean(outputs: Outputs, q: Tensor, w: Tensor | None) -> Tensor:
            parts: Any = {"sample_weight": w, "features": outputs.features, "progress": progress}
            return learner.loss.per_example(outputs.logits, q, **parts).mean()

        images = [strong] if self.turned is None else [strong, *self._turned(strong)]
        with learner.held():  # its statistics are not recorded
            alone, *turned = joint_pass(learner.network, images)
        consistency = mean(*mixed)
        anchor = mean(alone, targets, weight)
        total = loss + at(self.consistency, progress, "consistency") * consistency
        total = total + at(self.anchor, progress, "anchor") * anchor
        log = {"consistency": consistency.detach(), "anchor": anchor.detach(), **log}
        if self.turned is not None:
            rotation = self._rotation(turned)
            total, log = total + self.rotation * rotation, {**log, "rotation": rotation.detach()}
        return HostStep(total, losses, weak, log)

    def _turned(self, images: Tensor) -> list[Tensor]:
        """Return every n-th image turned by each of the n turns."""
        count = len(self.turns)
        return [torch.rot90(images[k::count], turn, (-2, -1)) for k, turn in enumerate(self.turns)]

    def _rotation(self, turned: Sequence[Outputs]) -> Tensor:
        assert self.turned is not None
        logits = self.turned(torch.cat([outputs.features for outputs in turned]))  # type: ignore[misc]
        parts = [torch.full((len(outputs.logits),), k, device=logits.device) for k, outputs in enumerate(turned)]
        return F.cross_entropy(logits, torch.cat(parts))


def guessing_pass(learner: SemiSupervisedLearner, views: Iterable[Any]) -> Outputs:
    """Return the stacked outputs of weak views, without a graph; nothing is recorded."""
    with torch.no_grad(), learner.held():
        return stacked(joint_pass(learner.network, views))


def mixed_pass(network: nn.Module, batch: Batch, labels: Tensor, weight: Tensor | None) -> tuple[MixedPart, MixedPart]:
    """Mix the labelled rows and all V views of the others at the input; return both parts, (B, C) and (V M, C).

    Labelled rows of weight s and their partners of weight t have the weight l s + (1 - l) t, and the label
    l s y + (1 - l) t y', divided by it. `weight` stays with the row.

    Args:
        network: takes a change of its hidden values, as `models.Network`.
        batch: with `mixing` of the pool.
        labels: of the rows without labels, classes (M,) or soft labels (M, C).
        weight: (M,) or None.
    """
    mixing, inputs = batch["mixing"], [batch["inputs"], *batch["unlabeled"]["inputs"]]
    outputs = as_outputs(network(torch.cat(inputs), Mixture(mixing, 0, 1)))
    size, copies = len(batch["index"]), len(inputs) - 1
    classes = outputs.logits.shape[1]
    pool = torch.cat([soft(batch["targets"], classes), *[soft(labels, classes)] * copies]).to(outputs.logits.dtype)
    own = mixing.share.to(pool.dtype).expand(len(pool))[:, None]
    other = 1 - own
    mixed = own * pool + other * pool[mixing.partner]
    targets, total, given = mixed[:size], None, batch.get("sample_weight")
    if given is not None:
        counts = torch.cat([given.to(pool.dtype), pool.new_ones(len(pool) - size)])[:, None]
        own, other = (own * counts)[:size], (other * counts[mixing.partner])[:size]
        total = (own + other)[:, 0]
        weighted = own * pool[:size] + other * pool[mixing.partner[:size]]
        targets = weighted / total[:, None].clamp(min=torch.finfo(pool.dtype).tiny)

    def part(rows: slice) -> Outputs:
        return Outputs(outputs.logits[rows], None if outputs.features is None else outputs.features[rows])

    return (
        MixedPart(part(slice(size)), targets, total),
        MixedPart(part(slice(size, None)), mixed[size:], None if weight is None else weight.repeat(copies)),
    )


def soft(labels: Tensor, classes: int) -> Tensor:
    """Return classes (M,) as one-hot labels (M, C), soft labels as they are."""
    if labels.ndim == 2:
        return labels
    return torch.zeros(len(labels), classes, device=labels.device).scatter_(1, labels[:, None], 1.0)
