"""Support vector machines as losses: one classifier for each class against the rest."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

from torch import Tensor

from longtail import functional
from longtail.facts.types import Progress
from longtail.losses.loss import Loss
from longtail.losses.signature import Common


class BinaryHingeLoss(Loss):
    """l(z, y) = sum_j max(0, 1 - t_j z_j), t_j = 1 for j = y and -1 for the others.

    With weight decay on a linear network it is the support vector machine, one classifier for each class. Predict with
    argmax z; it has no probability model of its own: `probabilities` is softmax(z).

    Args:
        class_counts: n (C,), for a named class weight.
        common: as in `Loss`; the mean divides by the batch.

    Reference: Cortes and Vapnik, Support-Vector Networks, Machine Learning 1995; Rifkin and Klautau, In Defense of
    One-Vs-All Classification, JMLR 2004, for several classes.
    """

    DIVIDES_BY: ClassVar[str] = "batch"

    def __init__(self, class_counts: Any = None, **common: Unpack[Common]) -> None:
        super().__init__(class_counts, {}, **common)

    def losses(self, logits: Tensor, targets: Tensor, progress: Progress | None, features: Tensor | None) -> Tensor:
        """The hinge, summed over classes."""
        return functional.binary_hinge(logits, targets, ignore_index=self.ignore_index)


class LeastSquaresLoss(BinaryHingeLoss):
    """l(z, y) = sum_j (1 - t_j z_j)^2, t_j = 1 for j = y and -1 for the others: since t_j^2 = 1, sum_j (z_j - t_j)^2.

    With weight decay on a linear network it is the least-squares support vector machine, ridge regression on labels of
    1 and -1. Its minimiser is z_j = 2 P(j | x) - 1; predict with argmax z. `probabilities` is softmax(z).

    Args:
        class_counts: n (C,), for a named class weight.
        common: as in `Loss`; the mean divides by the batch.

    Reference: Suykens and Vandewalle, Least Squares Support Vector Machine Classifiers, Neural Processing Letters 1999.
    """

    def losses(self, logits: Tensor, targets: Tensor, progress: Progress | None, features: Tensor | None) -> Tensor:
        """The squares, summed over classes."""
        return functional.binary_squares(logits, targets, ignore_index=self.ignore_index)
