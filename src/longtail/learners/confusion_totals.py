"""Given labels, whose network estimates the class totals of rows without labels after every epoch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from longtail.data import Part
from longtail.facts.types import Record, as_outputs
from longtail.posthoc import ConfusionEstimate, estimate_totals
from longtail.targets import Given

CHUNK = 1024
"""Rows that are classified at a time."""


class ConfusionTotals(Given):
    """The labels of the batch; `totals` (C,) are the mean of all estimates that were accepted, one an epoch.

    An estimate is `posthoc.estimate_totals` of the network's probabilities, in evaluation mode and without
    augmentation. Until one is accepted, `totals` are those of the labels. Every row counts once, whatever its weight.

    Memory: (M, C), for the time of an estimate.

    Args:
        network: which learns the labels; it is a part of the learner, not of these targets.
        withheld: labelled rows that are not trained on, of each class at least one.
        unlabeled: the M rows whose classes are counted.
        labels: (C,) totals of the labelled rows.
    """

    sum: Tensor
    accepted: Tensor
    network: nn.Module

    def __init__(self, network: nn.Module, withheld: Part, unlabeled: Part, labels: Tensor) -> None:
        super().__init__()
        self.__dict__["network"] = network  # the learner's, whose state has it
        self.withheld = withheld
        self.unlabeled = unlabeled
        self.labels = labels
        self.register_buffer("sum", torch.zeros(len(labels), dtype=torch.float64))
        self.register_buffer("accepted", torch.zeros((), dtype=torch.int64))

    @property
    def totals(self) -> Tensor:
        """(C,) float64, in the scale of the estimates, or in that of the labels."""
        return self.sum / self.accepted if bool(self.accepted) else self.labels.double().to(self.sum.device)

    def epoch_record(self) -> Record:
        """Estimate the totals once more, and return this estimate and whether it is accepted."""
        totals, accepted, _ = self.estimate()
        if accepted:
            self.sum += totals.to(self.sum.device)
            self.accepted += 1
        return {"totals": totals.tolist(), "accepted": accepted}

    def estimate(self) -> ConfusionEstimate:
        """Return the estimate of the network as it is; on the CPU, so that its bytes repeat."""
        mode = self.network.training
        self.network.eval()
        own, rest = self._probabilities(self.withheld), self._probabilities(self.unlabeled)
        self.network.train(mode)
        return estimate_totals(own, self.withheld.targets.cpu(), rest)

    @torch.no_grad()
    def _probabilities(self, rows: Part) -> Tensor:
        device = self.sum.device
        logits: Any = (as_outputs(self.network(x.to(device))).logits for x in rows.chunks(CHUNK))
        return torch.cat([z.float().softmax(1).cpu() for z in logits])
