"""tau-normalisation as a rule on scores: the lengths and the bias of the classifier are taken out of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self, final

import numpy as np
import torch
from torch import Tensor, nn

from longtail.facts.fixed_dtype import FixedDtype
from longtail.facts.knobs import NonNegativeFloat, Range
from longtail.functional import across
from longtail.posthoc.choice import METRIC, Metric, best_tau, checked_grid
from longtail.posthoc.corrections import T, apply_to, checked_scores

TAUS = tuple(round(0.1 * k, 1) for k in range(21))
"""0, 0.1, ..., 2: the values of the authors' code."""


class _Normalization(FixedDtype):
    """(z - b) / ||w_j||^tau; `tau` (), `lengths` (C,) and `bias` (C,) are buffers that keep their dtype."""

    tau: Tensor
    lengths: Tensor
    bias: Tensor

    def __init__(self, counts: Any, tau: float) -> None:
        super().__init__()
        self.register_buffer("tau", torch.tensor(tau, dtype=torch.get_default_dtype()))
        self.register_buffer("lengths", torch.full((len(counts),), torch.nan))
        self.register_buffer("bias", torch.full((len(counts),), torch.nan))

    @torch.no_grad()
    def read(self, network: nn.Module, scale: float = 1.0) -> Self:
        """Read lengths and bias of a network's classifier.

        Args:
            network: its `head` is an `nn.Linear`; or the layer itself.
            scale: of its logits in the scores.

        Raises:
            ValueError: another head, or another number of classes.
        """
        head = getattr(network, "head", network)
        if not isinstance(head, nn.Linear) or head.out_features != len(self.lengths):
            size = getattr(head, "out_features", "other")
            raise ValueError(
                f"network must have a linear head of {len(self.lengths)} classes, got a {type(head).__name__} of "
                f"{size} outputs; other heads have no length to normalise"
            )
        length = torch.linalg.vector_norm(head.weight.double(), dim=1)
        self.lengths.copy_(torch.where(length > 0, length, 1.0))
        self.bias.copy_(torch.zeros_like(length) if head.bias is None else scale * head.bias)
        return self

    def forward(self, scores: T) -> T:
        """Return normalised scores, like the scores: tensor or array."""
        if bool(torch.isnan(self.tau)):
            raise ValueError("tau must be chosen before use; call fit(scores, targets) on validation data first")
        return apply_to(scores, lambda z: self._at(z, self.tau))

    def _at(self, scores: Tensor, tau: Tensor | float) -> Tensor:
        if bool(torch.isnan(self.lengths).any()):
            raise ValueError("lengths of the classifier must be read before use; call read(network)")
        z = checked_scores(scores, len(self.lengths), "scores")
        return (z - across(self.bias, z)) / across(self.lengths.pow(tau), z)


@final
class TauNormalization(_Normalization):
    """tau-normalisation of a trained linear classifier, as a rule on its scores.

    z'_j = (z_j - b_j) / ||w_j||^tau = <w_j, h> / ||w_j||^tau

    As `normalize_tau` of the layer, on scores that are there already: one training serves every tau.

    Args:
        counts: class counts (C,); only their number matters.
        tau: >= 0; 0 takes off the bias alone, 1 makes all lengths 1.

    Reference: Kang et al. 2020, "Decoupling Representation and Classifier", eq. 4.
    """

    def __init__(self, counts: Any, *, tau: NonNegativeFloat = 1.0) -> None:
        Range(0, open_high=True).check("tau", tau)
        super().__init__(counts, tau)

    def extra_repr(self) -> str:
        """Return the arguments for `repr`."""
        return f"tau={float(self.tau):g}, classes={len(self.lengths)}"


@final
class TunedTauNormalization(_Normalization):
    """tau-normalisation with tau chosen on validation data: the best metric, ties to the smallest tau.

    Args:
        counts: class counts (C,); only their number matters.
        taus: the grid, by default 0, 0.1, ..., 2.
        metric: "balanced_accuracy", "accuracy" or "macro_f1", as in `TunedLogitAdjustment`.

    `read` the network first, then `fit`; the chosen `tau` is a buffer.
    """

    def __init__(self, counts: Any, *, taus: Sequence[float] = TAUS, metric: Metric = "balanced_accuracy") -> None:
        METRIC.check("metric", metric)
        grid = checked_grid(taus, "0, 0.1, ..., 2")
        super().__init__(counts, torch.nan)
        self.taus, self.metric = grid, metric

    @torch.no_grad()
    def fit(
        self,
        scores: Tensor | np.ndarray,
        targets: Tensor | np.ndarray,
        *,
        sample_weight: Tensor | np.ndarray | None = None,
    ) -> Self:
        """Choose tau from scores (N, C), class indices (N,) and weights (N,) of the validation part, as `best_tau`."""
        size = len(self.lengths)
        chosen = best_tau(scores, targets, size, self.taus, self._at, self.metric, sample_weight=sample_weight)
        self.tau.fill_(chosen)
        return self

    def extra_repr(self) -> str:
        """Return the arguments for `repr`."""
        return f"tau={float(self.tau):g}, metric={self.metric}, classes={len(self.lengths)}"
