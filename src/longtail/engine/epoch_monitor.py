"""Statistics of an epoch, gathered on the device and read once at its end: finiteness, losses, weights."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor

from longtail.facts.types import Batch, Step

log = logging.getLogger(__name__)

FROZEN = 1e-6
"""Average instance weight below which a step changes nothing."""


class FinitenessError(ArithmeticError):
    """A loss became NaN or infinite; the message names stage, epoch and class."""


class EpochMonitor:
    """Sums of an epoch: the loss, instance weights per class, and which classes had a loss that was not finite.

    The instance weights (B,) of a step are the entry `weights` of its log, the share of its rows without labels that
    have a pseudo-label the entry `confident`.
    """

    def __init__(self, num_classes: int, device: torch.device | str) -> None:
        self.total = torch.zeros((), dtype=torch.float64, device=device)
        self.steps = 0
        self.examples = 0
        self.broken = torch.zeros((), dtype=torch.bool, device=device)
        self.classes = torch.zeros(num_classes, dtype=torch.bool, device=device)
        self.weights: Tensor | None = None  # (2, C): sums of the weights, and of how many examples
        self.unweighted = torch.zeros_like(self.total)
        self.confident: Tensor | None = None

    def note(self, step: Step, batch: Batch) -> None:
        """Add one step, without waiting for the device."""
        loss = step.loss.detach()
        self.total += loss.to(self.total.dtype)
        self.steps += 1
        self.examples += len(batch["index"])
        bad = ~torch.isfinite(loss)
        if (confident := step.log.get("confident")) is not None:
            self.confident = confident if self.confident is None else self.confident + confident
        labelled = (given := batch.get("targets")) is not None and given.ndim == 1 and not given.is_floating_point()
        if labelled and (weights := step.log.get("weights")) is not None and weights.shape == batch["targets"].shape:
            self._weigh(weights, batch["targets"])
            if step.losses is not None:
                self.unweighted += step.losses.detach().to(self.total.dtype).mean()
        if step.losses is not None and labelled:
            wrong = ~torch.isfinite(step.losses.detach())
            hit = torch.zeros_like(self.classes, dtype=torch.int64)
            hit.index_add_(0, batch["targets"].clamp(min=0), wrong.to(torch.int64))
            # the first broken step alone shows the class: after it, every parameter is NaN
            self.classes |= (hit > 0) & ~self.broken
            bad = bad | wrong.any()
        self.broken |= bad

    def _weigh(self, weights: Tensor, targets: Tensor) -> None:
        if self.weights is None:
            self.weights = self.total.new_zeros(2, len(self.classes))
        pairs = torch.stack([weights.detach().to(self.total.dtype), torch.ones_like(weights, dtype=self.total.dtype)])
        pairs = torch.where(targets >= 0, pairs, 0.0)  # rows without a label belong to no class
        self.weights.index_add_(1, targets.clamp(min=0), pairs)

    def weight_statistics(self) -> dict[str, Any]:
        """Return the statistics of the instance weights in this epoch; empty without instance weights.

        `mean_weights`: the average weight of each class, None for one without examples; `unweighted_loss`: the mean
        loss before weighting, which is low where the network has learnt and high where all weights are just 0.
        """
        if self.weights is None:
            return {}
        sums, counts = self.weights.tolist()
        means = [total / count if count else None for total, count in zip(sums, counts, strict=True)]
        return {"mean_weights": means, "unweighted_loss": float(self.unweighted) / max(self.steps, 1)}

    def pseudo_labels(self) -> dict[str, Any]:
        """Return the mean share of rows with a pseudo-label; empty where there are none."""
        return {} if self.confident is None else {"confident": float(self.confident) / max(self.steps, 1)}

    def warn_if_frozen(self, stage: str, epoch: int) -> bool:
        """Return whether all instance weights were near 0, so that nothing was learnt; log a warning if so."""
        frozen = self.weights is not None and bool(self.weights[0].sum() < FROZEN * self.weights[1].sum())
        if frozen:
            log.warning(
                "stage %s learns nothing from epoch %d on: all instance weights are near 0, after losses far above the "
                "others; raise lam or gamma, or lower the learning rate",
                stage, epoch,
            )  # fmt: skip
        return frozen

    def mean(self) -> float:
        """Return the epoch's mean loss over its steps."""
        return float(self.total) / max(self.steps, 1)

    def check(self, stage: str, epoch: int, classes: tuple[str, ...]) -> None:
        """Raise FinitenessError where a loss was not finite."""
        if not bool(self.broken):
            return
        names = [classes[int(j)] for j in torch.nonzero(self.classes).flatten()]
        who = f"first in class {', '.join(names[:5])}" if names else "in the batch's mean"
        raise FinitenessError(
            f"the loss must stay finite, got NaN or infinity in stage {stage}, epoch {epoch + 1}, {who}; "
            "lower the learning rate or the scale, or check the inputs of that class"
        )
