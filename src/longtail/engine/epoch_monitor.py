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


SHARES = ("confident", "changed")
"""Entries of a step's log that an epoch's record has the mean of: shares of the rows without labels."""
AT_ONCE = 32
"""Steps whose statistics are computed together; one by one they cost a tenth of a small network's step."""


class FinitenessError(ArithmeticError):
    """A loss became NaN or infinite; the message names stage, epoch and class."""


class EpochMonitor:
    """Sums of an epoch: the loss, instance weights per class, and which classes had a loss that was not finite.

    The instance weights (B,) of a step are the entry `weights` of its log. Of its rows without labels, `confident` is
    the share that have a pseudo-label, `changed` that whose pseudo-label a correction has changed.
    """

    def __init__(self, num_classes: int, device: torch.device | str) -> None:
        self.total = torch.zeros((), dtype=torch.float64, device=device)
        self.steps = 0
        self.examples = 0
        self.broken = torch.zeros((), dtype=torch.bool, device=device)
        self.classes = torch.zeros(num_classes, dtype=torch.bool, device=device)
        self.weights: Tensor | None = None  # (2, C): sums of the weights, and of how many examples
        self.unweighted = torch.zeros_like(self.total)
        self.shares: dict[str, Tensor] = {}
        # of steps of the same shapes: loss, losses, targets, weights, shares
        self._noted: list[tuple[Tensor | None, ...]] = []
        self._shapes: list[torch.Size | None] = []

    def reset(self) -> None:
        """Begin a new epoch on the same tensors, which a captured step writes to."""
        self.steps = self.examples = 0
        for sums in (
            self.total, self.broken, self.classes, self.weights, self.unweighted, *self.shares.values()
        ):  # fmt: skip
            if sums is not None:
                sums.zero_()

    def note(self, step: Step, batch: Batch) -> None:
        """Count and add one step, without waiting for the device."""
        self.count(len(batch["index"]))
        self.add(step, batch)

    def count(self, examples: int) -> None:
        """Count one step of so many examples."""
        self.steps += 1
        self.examples += examples

    def drop(self) -> None:
        """Forget the steps that were added and are not yet in the sums."""
        self._noted = []

    def add(self, step: Step, batch: Batch) -> None:
        """Add what one step computed, without waiting for the device."""
        losses = targets = weights = None
        given = batch.get("targets")
        if given is not None and given.ndim == 1 and not given.is_floating_point():
            targets, losses, weights = given, step.losses, step.log.get("weights")
            if weights is not None and weights.shape != targets.shape:
                weights = None
        parts = (step.loss, losses, targets, weights, *(step.log.get(name) for name in SHARES))
        noted = tuple(None if value is None else value.detach() for value in parts)
        shapes = [None if value is None else value.shape for value in noted]
        if shapes != self._shapes:
            self.add_up()
        self._shapes = shapes
        self._noted.append(noted)
        if len(self._noted) == AT_ONCE:
            self.add_up()

    def add_up(self) -> None:
        """Add the steps that were noted since the last time, without waiting for the device."""
        if not self._noted:
            return
        columns: Any = zip(*self._noted, strict=True)
        stacked: Any = (None if column[0] is None else torch.stack(column) for column in columns)
        loss, losses, targets, weights, *shares = stacked
        self._noted = []
        _add(self.total, loss)
        for name, share in zip(SHARES, shares, strict=True):
            if share is not None:
                if name not in self.shares:
                    self.shares[name] = share.new_zeros(())
                _add(self.shares[name], share)
        if weights is not None:
            self._weigh(weights, targets)
            if losses is not None:
                _add(self.unweighted, losses.to(self.total.dtype).mean(1))
        bad = ~torch.isfinite(loss)
        if losses is not None:
            wrong = ~torch.isfinite(losses)
            bad = bad | wrong.any(1)
            # the first broken step alone shows the class: after it, every parameter is NaN
            first = bad & (bad.cumsum(0) == 1) & ~self.broken
            hit = torch.zeros_like(self.classes, dtype=torch.int64)
            hit.index_add_(0, targets.clamp(min=0).flatten(), (wrong & first[:, None]).flatten().to(torch.int64))
            self.classes |= hit > 0
        self.broken |= bad.any()

    def _weigh(self, weights: Tensor, targets: Tensor) -> None:
        if self.weights is None:
            self.weights = self.total.new_zeros(2, len(self.classes))
        pairs = torch.stack([weights.to(self.total.dtype), torch.ones_like(weights, dtype=self.total.dtype)])
        pairs = torch.where(targets >= 0, pairs, 0.0)  # rows without a label belong to no class
        self.weights.index_add_(1, targets.clamp(min=0).flatten(), pairs.flatten(1))

    def weight_statistics(self) -> dict[str, Any]:
        """Return the statistics of the instance weights in this epoch; empty without instance weights.

        `mean_weights`: the average weight of each class, None for one without examples; `unweighted_loss`: the mean
        loss before weighting, which is low where the network has learnt and high where all weights are just 0.
        """
        self.add_up()
        if self.weights is None:
            return {}
        sums, counts = self.weights.tolist()
        means = [total / count if count else None for total, count in zip(sums, counts, strict=True)]
        return {"mean_weights": means, "unweighted_loss": float(self.unweighted) / max(self.steps, 1)}

    def pseudo_labels(self) -> dict[str, Any]:
        """Return the mean of each share of `SHARES` over the steps; empty where there are none."""
        self.add_up()
        return {name: float(total) / max(self.steps, 1) for name, total in self.shares.items()}

    def warn_if_frozen(self, stage: str, epoch: int) -> bool:
        """Return whether all instance weights were near 0, so that nothing was learnt; log a warning if so."""
        self.add_up()
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
        self.add_up()
        return float(self.total) / max(self.steps, 1)

    def check(self, stage: str, epoch: int, classes: tuple[str, ...]) -> None:
        """Raise FinitenessError where a loss was not finite."""
        self.add_up()
        if not bool(self.broken):
            return
        names = [classes[int(j)] for j in torch.nonzero(self.classes).flatten()]
        who = f"first in class {', '.join(names[:5])}" if names else "in the batch's mean"
        raise FinitenessError(
            f"the loss must stay finite, got NaN or infinity in stage {stage}, epoch {epoch + 1}, {who}; "
            "lower the learning rate or the scale, or check the inputs of that class"
        )


def _add(total: Tensor, values: Tensor) -> None:
    """Add values (S,) to a total one after the other, so that the sum does not depend on how steps are grouped."""
    if values.is_cuda:  # where cumsum adds in any order
        for value in values.unbind():
            total += value
        return
    total.copy_(torch.cat([total[None], values.to(total.dtype)]).cumsum(0)[-1])
