"""Margins that grow as the class shrinks: what LDAM and its hinge share."""

from __future__ import annotations

from abc import ABC
from typing import Any

import torch
from torch import Tensor

from longtail import functional
from longtail.facts.types import Progress
from longtail.losses.scaled import Scaled


class RareMargins(Scaled, ABC):
    """A loss with a knob `max_margin`: Delta_j = max_margin n_j^(-1/4) / max_k n_k^(-1/4)."""

    def statistics(self, counts: Tensor | None) -> dict[str, Tensor]:
        """Delta / max_margin, so that the margin may move with progress."""
        counts = self.counted(counts)
        relative = functional.ldam_margins(counts, 1.0, zero_count=self.zero_count, dtype=torch.float64)
        return {"relative_margins": relative}

    def margins(self, logits: Tensor, progress: Progress | None) -> Any:
        """Delta (C,)."""
        return self.knob("max_margin", progress) * self.constant("relative_margins", logits)
