"""A class prior taken off the logits that other targets learn from, and off the scores: given, or RECORDS' own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from longtail.facts.types import Batch, Outputs, Progress, Record, TrainingData
from longtail.functional.mixtures import widen

EPS = 1e-9
"""Added to the prior before its logarithm, as in the code of RECORDS."""


class Debiased(nn.Module):
    """Targets that learn from z - tau log(prior + 1e-9), with a constant prior; what is predicted has it taken off too.

    Logits count up to a constant: the largest entry of log prior is subtracted from all, so that a uniform prior
    changes no bit.

    Args:
        inner: the targets.
        prior: (C,), sums to 1.
        tau: >= 0; 0 is `inner`, bit for bit.
    """

    prior: Tensor

    def __init__(self, inner: nn.Module, prior: Tensor, tau: float = 1.0) -> None:
        super().__init__()
        self.inner, self.tau = inner, tau
        self.register_buffer("prior", prior.float())

    @property
    def second_pass(self) -> bool:
        """Whether `inner` learns from the outputs after the update."""
        return bool(getattr(self.inner, "second_pass", False))

    def forward(self, batch: Batch, outputs: Outputs, progress: Progress) -> tuple[Tensor, Tensor | None]:
        """Return what `inner` teaches."""
        answer: tuple[Tensor, Tensor | None] = self.inner(batch, outputs, progress)
        return answer

    @torch.no_grad()
    def observe(self, batch: Batch, outputs: Outputs, progress: Progress) -> None:
        """Let `inner` observe the logits without the prior."""
        inner: Any = self.inner
        inner.observe(batch, outputs._replace(logits=widen(outputs.logits) - self._shift()), progress)

    def refresh(self, data: TrainingData, progress: Progress) -> None:
        """Let `inner` compute what depends on the whole training set."""
        inner: Any = self.inner
        inner.refresh(data, progress)

    def offsets(self) -> Tensor | None:
        """Return tau log(prior + 1e-9) (C,) up to a constant, to subtract from scores; None for tau = 0."""
        return self._shift() if self.tau else None

    def _shift(self) -> Tensor:
        shift = self.tau * (self.prior + EPS).log()
        return shift - shift.max()


class Records(Debiased):
    """RECORDS: the prior is softmax(head(F)), F the momentum mean of the features, with the present head.

    F <- m F + (1 - m) mean of the batch's features, from F = 0 and without bias correction, so that the first priors
    are close to softmax(bias of the head). In a step F moves with its first pass; targets that learn from the step's
    own outputs get the prior of the head that made these, and those of a second pass that of the updated head, as does
    prediction.

    Args:
        inner, tau: as in `Debiased`.
        features: D, the width of the head's input.
        classes: C.
        momentum: m in [0, 1].
    """

    holding = False
    mean: Tensor

    def __init__(
        self, inner: nn.Module, features: int, classes: int, *, momentum: float = 0.9, tau: float = 1.0
    ) -> None:
        super().__init__(inner, torch.full((classes,), 1 / classes), tau)
        self.momentum = momentum
        self.register_buffer("mean", torch.zeros(features))

    def forward(self, batch: Batch, outputs: Outputs, progress: Progress) -> tuple[Tensor, Tensor | None]:
        """Move F and the prior, unless `holding`, and return what `inner` teaches."""
        if not self.holding:
            assert outputs.features is not None
            with torch.no_grad():
                self.mean.lerp_(outputs.features.mean(0).to(self.mean.dtype), 1 - self.momentum)
            self._estimate(outputs)
        return super().forward(batch, outputs, progress)

    @torch.no_grad()
    def observe(self, batch: Batch, outputs: Outputs, progress: Progress) -> None:
        """Let `inner` observe the logits without the prior, and estimate it by the updated head."""
        if self.second_pass:
            self._estimate(outputs)
        super().observe(batch, outputs, progress)
        self._estimate(outputs)

    @torch.no_grad()
    def _estimate(self, outputs: Outputs) -> None:
        assert outputs.features is not None
        logits = outputs.extra["head"](self.mean[None].to(outputs.features.dtype))[0]
        self.prior.copy_(widen(logits).softmax(0))

    def epoch_record(self) -> Record:
        """Return the prior (C,) at the end of an epoch."""
        return {"prior": self.prior.tolist()}
