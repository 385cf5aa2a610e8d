"""Progress and learning rate of a step as tensors on the device, so that one captured step serves a whole training."""

from __future__ import annotations

from typing import Any

import torch

FUSED = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW)
"""Optimisers of torch whose fused step reads the learning rate on the device; their other steps wait for it."""


class StepValues:
    """The values that the host writes between two steps and that a captured step reads.

    Args:
        device: of the learner.

    Attributes:
        progress: 0-dim float64, exactly the float that a step gets otherwise; schedules take it as they take a float.
        lr: 0-dim float32, the learning rate of a parameter group after `drive`; one with a "rate" has a multiple of it.
    """

    def __init__(self, device: str | torch.device) -> None:
        self.progress = torch.zeros((), dtype=torch.float64, device=device)
        self.lr = torch.zeros((), device=device)
        self._number = 0.0  # the learning rate, on the host
        self._multiples: dict[float, torch.Tensor] = {}  # rate -> learning rate
        self._before: list[dict[str, Any]] = []

    def write(self, progress: float, lr: float) -> None:
        """Set both, in place and without waiting for the device."""
        self.progress.fill_(progress)
        self.lr.fill_(lr)
        for rate, multiple in self._multiples.items():
            multiple.fill_(lr * rate)
        self._number = lr

    def drive(self, optimizer: torch.optim.Optimizer) -> None:
        """Let an optimiser read its learning rate from `lr`; before its first step, or after a state was loaded."""
        self._before = []
        for group in optimizer.param_groups:
            rate = group.get("rate", 1.0)
            lr = self.lr if rate == 1 else self._multiples.setdefault(rate, torch.zeros_like(self.lr))
            changes: dict[str, Any] = {"lr": lr}
            if type(optimizer) in FUSED:
                changes |= {"foreach": False, "fused": True}
                changes |= {"capturable": True} if "capturable" in group else {}
            self._before.append({name: group[name] for name in changes})
            group.update(changes)
        for state in optimizer.state.values():
            if "step" in state and type(optimizer) in FUSED:  # other steps count on the host
                state["step"] = state["step"].to(self.lr.device)

    def undriven(self, state_dict: dict[str, Any]) -> dict[str, Any]:
        """Return the optimiser's state as it is without `drive`, for any device to go on from."""
        groups = [
            {**group, **before, "lr": self._number * group.get("rate", 1.0)}
            for group, before in zip(state_dict["param_groups"], self._before, strict=True)
        ]
        return {**state_dict, "param_groups": groups}
