"""The loop that papers' code trains CIFAR with, in the manner of Cao et al. 2019, to compare ours with.

A DataLoader with workers over PIL images, float32, cuDNN's algorithms chosen by trial, loss and accuracies read after
every step.
"""

from __future__ import annotations

import os

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader

from benchmarks.train_step import Pictures, network
from benchmarks.turns import Stepper
from longtail.data import Examples

WORKERS = 4


def ldam(cosines: Tensor, targets: Tensor, margins: Tensor, scale: float = 30.0) -> Tensor:
    """The LDAM loss, written out."""
    chosen = torch.zeros_like(cosines, dtype=torch.bool).scatter_(1, targets.view(-1, 1), True)
    lowered = cosines - margins[targets].view(-1, 1)
    return F.cross_entropy(scale * torch.where(chosen, lowered, cosines), targets)


def accuracy(logits: Tensor, targets: Tensor) -> list[Tensor]:
    """The percentages of rows whose class is the first, and among the first five."""
    right = logits.topk(5, 1).indices.eq(targets.view(-1, 1))
    return [right[:, :k].any(1).float().mean() * 100 for k in (1, 5)]


def plain_epochs(data: Examples, batch: int, device: str) -> Stepper:
    """Return what trains one epoch."""
    torch.backends.cudnn.benchmark = True
    model = network("float32", device, head="cosine").to(memory_format=torch.contiguous_format).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=2e-4)
    margins = data.class_counts.to(device) ** -0.25
    margins = 0.5 * margins / margins.max()
    loader = DataLoader(
        Pictures(data), batch, shuffle=True, num_workers=min(WORKERS, len(os.sched_getaffinity(0))),
        pin_memory=device.startswith("cuda"), multiprocessing_context="fork",  # as by default in the first process
    )  # fmt: skip
    totals = [0.0, 0.0, 0.0]

    def epoch() -> None:
        for inputs, targets in loader:
            inputs, targets = inputs.to(device, non_blocking=True), targets.to(device, non_blocking=True)
            cosines = model.head(model.body(inputs))
            loss = ldam(cosines, targets, margins)
            for i, value in enumerate((loss, *accuracy(cosines, targets))):
                totals[i] += value.item()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return epoch
