"""SimPro: class priors of the rows without labels and of all rows, estimated in training, for guesses and loss."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from longtail.facts.types import Batch, Outputs, Progress, TrainingData
from longtail.functional import widen
from longtail.functional.adjusted import Adjustment
from longtail.losses.adjusted import Adjusted
from longtail.targets import Refinement

SMALLEST = 1e-12
"""Lower limit of a prior in its logarithm, as in the paper's code."""


class EstimatedPriors(Refinement):
    """y_k = q_k u_k^tau / sum_j q_j u_j^tau, u the prior of rows without labels; and v, that of all rows of a step.

    An epoch begins with u <- m u + (1 - m) a / sum a and v <- m v + (1 - m) c / sum c, m the momentum. a_k is the sum
    of w_i y_ik over the epoch before, w the weights of use(y), and c_k is a_k and the number of labelled rows of class
    k in its steps. Where no row counts, u stays. u begins uniform, v with the shares of the labels.

    Args:
        counts: n (C,) of the labelled rows; in a step there are `rows` of them, in these shares.
        use: soft labels (M, C) -> targets and weights (M,), or None where all rows count.
        rows: labelled rows of a step.
        tau: strength of the priors, here and in `MixturePriorLoss`.
        momentum: of both priors.
    """

    unlabeled: Tensor
    mixture: Tensor
    taught: Tensor
    labelled: Tensor
    shares: Tensor
    use: Any

    def __init__(self, counts: Tensor, use: nn.Module, rows: int, *, tau: float = 1.0, momentum: float = 0.9) -> None:
        super().__init__()
        self.tau = tau
        self.momentum = momentum
        self.rows = rows
        self.use = use
        shares = counts.double() / counts.sum()
        self.register_buffer("shares", shares)
        self.register_buffer("unlabeled", torch.full_like(shares, 1 / len(shares)))
        self.register_buffer("mixture", shares.clone())
        self.register_buffer("taught", torch.zeros_like(shares))
        self.register_buffer("labelled", torch.zeros_like(shares))

    @torch.no_grad()
    def forward(self, batch: Batch, guess: Tensor, outputs: Outputs, progress: Progress) -> Tensor:
        """Return the labels under the prior of rows without labels, and count them unless `holding`."""
        labels = (guess.log() + self.offset(self.unlabeled).to(guess.dtype)).softmax(1)
        if not self.holding:
            weight = self.use(labels)[1]
            self.taught += (labels if weight is None else weight[:, None] * labels).sum(0)
            self.labelled += self.rows * self.shares
        return labels

    @torch.no_grad()
    def refresh(self, data: TrainingData, progress: Progress) -> None:
        """Move both priors towards the shares of the last epoch."""
        for prior, counted in ((self.unlabeled, self.taught), (self.mixture, self.taught + self.labelled)):
            total = counted.sum()
            moved = prior.lerp(counted / total, 1 - self.momentum)
            prior.copy_(torch.where(total > 0, moved, prior))
        self.taught.zero_()
        self.labelled.zero_()

    def offset(self, prior: Tensor) -> Tensor:
        """Return tau log prior (C,)."""
        return self.tau * prior.clamp(min=SMALLEST).log()

    def extra_repr(self) -> str:
        """Return the arguments for `repr`."""
        return f"tau={self.tau}, momentum={self.momentum}"


class MixturePriorLoss(Adjusted):
    """l(z, y) = -log softmax(z + tau log v)_y, v the prior of all rows in a step as it is now.

    The scores z are for balanced classes, `probabilities` are those of the rows trained on, under v.

    Args:
        priors: which has v.
    """

    priors: EstimatedPriors

    def __init__(self, priors: EstimatedPriors) -> None:
        super().__init__(None, {})
        self.__dict__["priors"] = priors  # no part of its own: the state is that of the targets

    def adjustment(self, like: Tensor, progress: Progress | None) -> Adjustment:
        """o = tau log v."""
        return Adjustment(offset=self.priors.offset(self.priors.mixture).to(like.device, like.dtype))

    def probabilities(self, logits: Tensor, progress: Progress | None = None) -> Tensor:
        """softmax(z + tau log v)."""
        z: Any = widen(logits)
        offset: Any = self.adjustment(z, progress).offset
        probabilities: Tensor = (z + offset).softmax(1)
        return probabilities
