"""Progress and learning rate of a step as tensors on the device, so that one captured step serves a whole training."""

from __future__ import annotations

import torch

FUSED = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW)
"""Optimisers of torch whose fused step reads the learning rate on the device; their other steps wait for it."""


class StepValues:
    """The values that the host writes between two steps and that a captured step reads.

    Args:
        device: of the learner.

    Attributes:
        progress: 0-dim float64, exactly the float that a step gets otherwise; schedules take it as they take a float.
        lr: 0-dim float32, the learning rate of every parameter group after `drive`.
    """

    def __init__(self, device: str | torch.device) -> None:
        self.progress = torch.zeros((), dtype=torch.float64, device=device)
        self.lr = torch.zeros((), device=device)

    def write(self, progress: float, lr: float) -> None:
        """Set both, in place and without waiting for the device."""
        self.progress.fill_(progress)
        self.lr.fill_(lr)

    def drive(self, optimizer: torch.optim.Optimizer) -> None:
        """Let an optimiser read its learning rate from `lr`; before its first step, or after a state was loaded."""
        fused = {"foreach": False, "fused": True} if type(optimizer) in FUSED else {}
        for group in optimizer.param_groups:
            group.update(fused, lr=self.lr)
