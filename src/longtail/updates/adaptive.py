"""A step whose loss also makes the loss flat in the hidden values, for some classes more than for others."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol, final

import torch
from torch import Tensor, nn

from longtail.facts.knobs import Range
from longtail.facts.types import Batch, Progress, Step
from longtail.functional.adaptive_regularisation import gradient_norms

WEIGHT = Range(0, open_high=True)


class HiddenValues(Protocol):
    """The hidden values of a pass."""

    def gradients(self, loss: Tensor) -> list[Tensor]:
        """Return the gradients of a loss with respect to them, with a graph."""
        ...


@final
class AdaptiveRegularisation(nn.Module):
    """Descend L + reg_weight (1/B) sum_i s_(y_i) sum_l ||dL / dh_l[i]||_2, L the learner's loss of the batch.

    h_l[i] are the hidden values of example i. L is a mean over the batch, so that these gradients carry its 1/B. A step
    has a second derivative through the whole network, which takes several times as long as the first one.

    Args:
        strengths: s (C,) >= 0, by class.
        reg_weight: >= 0; at 0 the step is `Descend`'s.
        hidden: network -> a context in which its passes leave their hidden values, such as `models.hidden.Hidden`.
        per_row: whether the norms are multiplied by B, so that `reg_weight` means the same for any size of batch.

    Reference: Cao et al., Heteroskedastic and Imbalanced Deep Learning with Adaptive Regularization, ICLR 2021.
    """

    strengths: Tensor

    def __init__(
        self,
        strengths: Tensor,
        reg_weight: float,
        hidden: Callable[[nn.Module], AbstractContextManager[HiddenValues]],
        *,
        per_row: bool = False,
    ) -> None:
        super().__init__()
        WEIGHT.check("reg_weight", reg_weight)
        if strengths.ndim != 1 or not bool((strengths >= 0).all()):
            raise ValueError(
                f"strengths must be numbers >= 0, one per class, got shape {tuple(strengths.shape)}; pass a tensor (C,)"
            )
        self.register_buffer("strengths", strengths.float())
        self.reg_weight, self.hidden, self.per_row = reg_weight, hidden, per_row

    def forward(self, learner: Any, batch: Batch, optimizer: torch.optim.Optimizer, progress: Progress) -> Step:
        """Make one optimiser step and return what the learner computed for it, with the whole loss."""
        optimizer.zero_grad(set_to_none=True)
        if self.reg_weight == 0:
            step: Step = learner.training_step(batch, progress)
        else:
            with self.hidden(learner.network) as hidden:
                step = learner.training_step(batch, progress)
            step = step._replace(
                loss=step.loss + self.reg_weight * self._regulariser(step, hidden.gradients(step.loss))
            )
        step.loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return step

    def _regulariser(self, step: Step, gradients: list[Tensor]) -> Tensor:
        targets = step.targets
        if targets is None or targets.ndim != 1 or targets.is_floating_point():
            got = "none" if targets is None else f"{targets.dtype} of shape {tuple(targets.shape)}"
            raise ValueError(f"targets must be class indices (B,) for strengths by class, got {got}; use another base")
        strengths = self.strengths[targets]
        rows = {len(g) for g in gradients}
        if rows != {len(strengths)}:
            raise ValueError(
                f"network must keep one hidden value per example, {len(strengths)} here, got layers with "
                f"{', '.join(map(str, sorted(rows)))}; choose another network"
            )
        norms = gradient_norms(gradients)
        regulariser = (strengths.to(norms.dtype) * norms).mean()
        return regulariser * len(strengths) if self.per_row else regulariser
