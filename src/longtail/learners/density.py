"""Weights of rows by the density of their features: what few other rows are near to counts more."""

from __future__ import annotations

import math
from typing import Any, final

import torch
from torch import Tensor, nn

from longtail.facts.types import Progress, Record, TrainingData
from longtail.functional.density import density_weights, log_density, median_distance
from longtail.learners.all_rows import CHUNK, evaluating, plain_rows
from longtail.learners.pair import PairLearner


@final
class Densities(nn.Module):
    """(mean_j K(f_i - f_j, h))^-alpha of every training row, divided by their mean; a `pair.Memory`.

    f: features of length 1 in evaluation mode, without augmentation; K the Gaussian kernel. Computed at the start of a
    training and again after every share `refresh` of it, as of the network then; batch norms and random numbers are
    left as they are.

    Args:
        rows: N.
        alpha: >= 0; 0 gives weights of exactly 1, and nothing is computed.
        bandwidth: h > 0, or "median" for the median distance of the features (`functional.density`).
        refresh: share of the training's epochs after which they are computed anew; 0 for each epoch, 1 for never.
        leave_one_out: whether the mean leaves out the row itself.

    Attributes:
        weights: (N,) >= 0, of mean 1.
    """

    weights: Tensor
    done: Tensor
    h: Tensor

    def __init__(
        self, rows: int, alpha: float, bandwidth: float | str, refresh: float, *, leave_one_out: bool = True
    ) -> None:
        super().__init__()
        self.alpha, self.bandwidth, self.refresh, self.leave_one_out = alpha, bandwidth, refresh, leave_one_out
        self.register_buffer("weights", torch.ones(rows))
        self.register_buffer("done", torch.full((), -1, dtype=torch.int64))
        self.register_buffer("h", torch.zeros((), dtype=torch.float64))

    @torch.no_grad()
    def start_epoch(self, learner: PairLearner, data: TrainingData, progress: Progress) -> None:
        """Compute the weights, where they are due."""
        if self.alpha == 0:
            return
        number = math.floor(float(progress) / self.refresh + 1e-9) if self.refresh else int(self.done) + 1
        if number <= int(self.done):
            return
        features = _features(learner, data, self.weights.device)
        h = median_distance(features) if isinstance(self.bandwidth, str) else self.bandwidth
        found = density_weights(log_density(features, h, leave_one_out=self.leave_one_out), self.alpha)
        self.weights.copy_(found)
        self.done.fill_(number)
        self.h.fill_(h)

    def epoch_record(self) -> Record:
        """Return the bandwidth of the present weights and the largest of them; 1 is their mean."""
        return {"bandwidth": float(self.h), "largest_weight": float(self.weights.max())}


def _features(learner: PairLearner, rows: Any, device: torch.device) -> Tensor:
    network: Any = learner.inference().network
    with evaluating(network):
        return torch.cat([network.features(x.to(device)) for x in plain_rows(rows).chunks(CHUNK)])
