"""Records of one training: the margin of every row over the epochs, and its mean loss.

    margin of a measurement = z_y - max_{j != y} z_j,    AUM = its mean over the measurements

Pleiss, Zhang, Elenberg and Weinberger 2020, "Identifying Mislabeled Data using the Area Under the Margin Ranking",
eq. 1-2. A measurement is made with the logits of the ordinary forward pass in training mode, before the step, once an
epoch. A row with a wrong label has a low AUM: rows of its true class teach the network against that label.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from longtail.facts import checks

PERCENTILE = 0.99
"""A row is as bad as a threshold sample where its AUM is below that of more than 1 % of them."""


class Margins(nn.Module):
    """The margins and losses of N rows, added up over a training; for a loop of one's own, too.

        margins = lt.labels.Margins(len(dataset))
        for index, inputs, labels in loader:          # index: which rows of the data set these are
            logits = network(inputs)
            margins.update(index, logits.detach(), labels)

    Its buffers are part of `state_dict`, so that an interrupted training goes on with its records. Rows may be visited
    any number of times.

    Args:
        n: rows of the data set.
    """

    total: Tensor
    losses: Tensor
    negative: Tensor
    measured: Tensor

    def __init__(self, n: int) -> None:
        super().__init__()
        checks.whole("n", n, "pass the number of rows, len(dataset)", low=1)
        self.register_buffer("total", torch.zeros(n, dtype=torch.float64))
        self.register_buffer("losses", torch.zeros(n, dtype=torch.float64))
        self.register_buffer("negative", torch.zeros(n, dtype=torch.int64))
        self.register_buffer("measured", torch.zeros(n, dtype=torch.int64))

    @torch.no_grad()
    def update(self, index: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add one measurement of these rows.

        Args:
            index: (B,) int64, their numbers in the data set.
            logits: (B, C), C >= 2, in training mode and before the step.
            labels: (B,) int64, the labels that they have.

        Raises:
            ValueError: other shapes.
        """
        if logits.ndim != 2 or logits.shape[1] < 2 or index.shape != logits.shape[:1] or labels.shape != index.shape:
            shapes = ", ".join(str(tuple(one.shape)) for one in (index, logits, labels))
            raise ValueError(
                f"index, logits and labels must have shapes (B,), (B, C) and (B,) with C >= 2, got {shapes}; pass the "
                "rows of one batch"
            )
        margins = margin(logits.double(), labels)
        self.total.index_add_(0, index, margins)
        self.losses.index_add_(0, index, F.cross_entropy(logits.double(), labels, reduction="none"))
        self.negative.index_add_(0, index, (margins < 0).long())
        self.measured.index_add_(0, index, torch.ones_like(index))

    def aum(self) -> Tensor:
        """Return (N,) float64, the mean margin; NaN for a row that was never measured."""
        return self.total / self.measured

    def loss(self) -> Tensor:
        """Return (N,) float64, the mean cross-entropy; NaN for a row that was never measured."""
        return self.losses / self.measured


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Return (B,): the logit of the label minus the largest other."""
    own = logits.gather(1, labels[:, None])
    others = logits.scatter(1, labels[:, None], float("-inf"))
    return own.squeeze(1) - others.amax(1)


def threshold_samples(labels: Tensor, classes: int, *, run: int = 0, seed: int = 0) -> Tensor:
    """Return (floor(N / C),) int64 rows to train under an extra label C, by which AUM finds its threshold.

    They are wrong by construction. Every run draws others from the same permutation, so that each row is judged in a
    run in which it keeps its label.

    Args:
        labels: (N,).
        classes: C; the network needs C + 1 outputs.
        run: 0, 1, ... below C.
        seed: of the permutation.

    Raises:
        ValueError: fewer rows than classes, or a run without rows left.
    """
    number = len(labels) // classes
    if number < 1 or not 0 <= run < classes:
        raise ValueError(
            f"threshold samples need a row per class and a run in [0, {classes}), got {len(labels)} rows, run {run}; "
            "add rows or start from run 0"
        )
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    return order[run * number : (run + 1) * number]


def below_threshold(aums: Sequence[Tensor], samples: Sequence[Tensor]) -> Tensor:
    """Return (N,) bool: rows whose AUM is below the 99th percentile of the threshold samples' in every run that counts.

    A run counts for the rows that were not its threshold samples; a row without such a run is not named.

    Args:
        aums: of every run, (N,).
        samples: of every run, the rows that were its threshold samples.
    """
    named = torch.ones_like(aums[0], dtype=torch.bool)
    counted = torch.zeros_like(named)
    for aum, rows in zip(aums, samples, strict=True):
        ordered = aum[rows].sort().values
        above = len(rows) - torch.searchsorted(ordered, aum.contiguous(), right=True)  # samples with a larger AUM
        judged = torch.ones_like(named)
        judged[rows] = False
        named &= (above > (1 - PERCENTILE) * len(rows)) | ~judged
        counted |= judged
    return named & counted
