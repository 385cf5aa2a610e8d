"""Heteroskedastic adaptive regularisation: how strongly a class is regularised, and what is made small."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from longtail.functional.mixtures import widen


def class_strengths(accuracies: Tensor, counts: Tensor, error_power: float = 0.6, size_power: float = 0.4) -> Tensor:
    """Return the strength (C,) of each class in float64: strong where it is uncertain and small, at most 1.

    s_c = (1 - a_c)^error_power / n_c^size_power, divided by max_k s_k; all 0 where every accuracy is 1

    Args:
        accuracies: a (C,) in [0, 1], on rows that were not trained on.
        counts: n (C,) > 0.
        error_power: >= 0.
        size_power: >= 0.

    Reference: Cao et al., Heteroskedastic and Imbalanced Deep Learning with Adaptive Regularization, ICLR 2021; the
    exponents are those of its code.
    """
    strengths = (1 - accuracies.double()).pow(error_power) / counts.double().pow(size_power)
    largest = strengths.max()
    return torch.where(largest > 0, strengths / largest, 0.0)


def gradient_norms(gradients: Sequence[Tensor]) -> Tensor:
    """Return sum_l ||g_l[i]||_2 of every example i, (B,); the gradient of a norm at 0 is 0.

    Args:
        gradients: one or more (B, ...), of a loss with respect to values of the examples.

    Reference: as `class_strengths`; norms, not their squares.
    """
    return torch.stack([torch.linalg.vector_norm(widen(g).flatten(1), dim=1) for g in gradients]).sum(0)
