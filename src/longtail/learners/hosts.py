"""Hosts: the losses of the methods that compare two views, see `pair.Host`."""

from __future__ import annotations

from typing import final

from torch import Tensor, nn

from longtail.facts.knobs import Knob
from longtail.facts.types import Batch, Progress
from longtail.functional import nt_xent
from longtail.learners.pair import Compared


@final
class NTXent(nn.Module):
    """SimCLR: each projection must find its partner among all others of the batch, `functional.nt_xent`.

    Args:
        t: temperature > 0, scheduled or not.
    """

    momentum = None
    symmetric = True

    def __init__(self, t: Knob = 0.2) -> None:
        super().__init__()
        self.t = t

    def forward(self, compared: Compared, batch: Batch, t: Progress, progress: Progress) -> Tensor:
        """Return the losses (B,)."""
        return nt_xent(compared.first.logits, compared.other.logits, t)
