"""Cross-entropy corrected by a known or estimated matrix of label noise, forwards or backwards."""

from __future__ import annotations

from abc import ABC
from typing import Any, ClassVar, Unpack

import torch
from torch import Tensor

from longtail import functional
from longtail.facts.types import Progress
from longtail.functional.adjusted import NONE, Adjustment
from longtail.losses.adjusted import Adjusted
from longtail.losses.signature import Common


class Corrected(Adjusted, ABC):
    """Cross-entropy with a transition matrix T (C, C); with T = I it is cross-entropy, bit for bit."""

    INVERTED: ClassVar[bool] = False
    matrix: Any

    def __init__(self, class_counts: Any = None, *, matrix: Any = None, **common: Unpack[Common]) -> None:
        super().__init__(class_counts, {"matrix": matrix}, **common)

    def statistics(self, counts: Tensor | None) -> dict[str, Tensor]:
        """log T (C, C), or its inverse."""
        if self.matrix is None:
            raise ValueError(
                f"matrix of a {type(self).__name__} must be C rows of C probabilities, got None; pass that of your "
                "labels, or functional.transition_matrix(probabilities)"
            )
        size = None if counts is None else len(counts)
        self.matrix = functional.stochastic_matrix(self.matrix, size, invertible=self.INVERTED)
        self._identity = bool(self.matrix.equal(torch.eye(len(self.matrix), dtype=torch.float64)))
        return {"inverse": torch.linalg.inv(self.matrix)} if self.INVERTED else {"log_matrix": self.matrix.log()}

    def _num_classes(self) -> int | None:
        return len(self.matrix)

    def adjustment(self, like: Tensor, progress: Progress | None) -> Adjustment | None:
        """None, as of cross-entropy, where T = I."""
        return NONE if self._identity else None


class ForwardCorrectedLoss(Corrected):
    """l(z, y) = -log (T^T p)_y, p = softmax(z), T_ij = P(label j | class i): the likelihood of the label that is there.

    The scores are of the true classes: softmax(z) estimates P(class | x), and T^T p P(label | x). Computed from
    logarithms, so that a T with zeros is finite for any finite logits. Class indices take (N, C) memory, soft targets
    and label smoothing (N, C, C).

    Args:
        class_counts: n (C,), of the labels, for a named class weight.
        matrix: T, C rows of C probabilities: nested lists, an array or a tensor; see `functional.transition_matrix`.
            It is an argument and no state: build the loss with it before a state is loaded.
        common: as in `Loss`; a class weight is that of the label.

    Raises:
        TypeError, ValueError: T is not square, not of the classes of `class_counts`, or not stochastic by rows, or has
            a label that no class can get.

    Reference: Patrini et al., Making Deep Neural Networks Robust to Label Noise: a Loss Correction Approach, CVPR 2017,
    theorem 2.
    """

    def losses(self, logits: Tensor, targets: Tensor, progress: Progress | None, features: Tensor | None) -> Tensor:
        """-log (T^T p)_y."""
        if self._identity:
            return super().losses(logits, targets, progress, features)
        log_matrix = self.constant("log_matrix", logits)
        return functional.forward_corrected(logits, targets, log_matrix, ignore_index=self.ignore_index)


class BackwardCorrectedLoss(Corrected):
    """l(z, y) = -sum_j (T^-1)_yj log p_j, p = softmax(z), T_ij = P(label j | class i): unbiased cross-entropy.

    Its mean over the labels of class i is -log p_i, whatever z: sum_j T_ij l(z, j) = -log p_i. It may be negative, and
    its variance grows as T comes near a singular matrix.

    Args:
        class_counts: n (C,), of the labels, for a named class weight.
        matrix: T, as in `ForwardCorrectedLoss`; invertible.
        common: as in `Loss`; a class weight is that of the label.

    Raises:
        TypeError, ValueError: as `ForwardCorrectedLoss`, or T is singular.

    Reference: Patrini et al., CVPR 2017, theorem 1.
    """

    INVERTED: ClassVar[bool] = True

    def losses(self, logits: Tensor, targets: Tensor, progress: Progress | None, features: Tensor | None) -> Tensor:
        """-sum_j (T^-1)_yj log p_j."""
        if self._identity:
            return super().losses(logits, targets, progress, features)
        inverse = self.constant("inverse", logits)
        return functional.backward_corrected(logits, targets, inverse, ignore_index=self.ignore_index)
