"""What an augmentation and a policy are."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Augment = Callable[[Tensor, torch.Generator], Tensor]
"""(inputs of a batch, the epoch's CPU generator) -> inputs of the same shape, dtype and device."""
Policy = Mapping[str, Augment]
"""View by name -> how inputs are augmented for it; "plain" and "weak" always exist."""
